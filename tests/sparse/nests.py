"""Random nests over stored elements: machines that intersect here and there, mappings with copies, operands of every density."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Quantity, Sparsity, Unit
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade

KINDS = ("", "skip_ahead", "leading")
STATEMENTS = {
    "Z[m,n] = A[m,k] * B[k,n]": {"A": "mk", "B": "kn"},
    "Z[m,n] = A[k,m] * B[n,k]": {"A": "km", "B": "nk"},
    "Z[m] = A[m,k] * B[k]": {"A": "mk", "B": "k"},
    "Z[m,n] = A[m,n] * B[m,k] * C[k,n]": {"A": "mn", "B": "mk", "C": "kn"},
}


def machine(rng: random.Random, limited: bool = False) -> Architecture:
    """Three levels of memories, the innermost in an array of 4 x 3. `limited`: with prices, and ports that take time."""
    price = Quantity(1.0, 0.5, 2.0) if limited else None

    def axis(name: str, size: int) -> Axis:
        return Axis(name, size, multicast=rng.random() < 0.6, reduces=rng.choice([(), ("add",)]))

    def memory(name: str, inside: Any) -> Memory:
        sparsity = Sparsity(intersect=rng.choice(KINDS))
        rate = Fraction(rng.choice([8, 64, 100]) * 10**9) if limited else None
        return Memory(name, None, rate, rate, "shared", None, price, price, price, sparse=sparsity, feeds=(inside,))

    operations = {name: Operation(name, energy_pj=price) for name in ("mac", "mul", "add")}
    sparsity = Sparsity(intersect=rng.choice(KINDS), merge_radix=rng.choice([0, 2, 3]))
    unit = Unit("U", operations, lanes=rng.choice([1, 1, 3]), sparse=sparsity)
    array = Array("array", (axis("x", 4), axis("y", 3)), feeds=(memory("Registers", unit),))
    return Architecture("random", memory("DRAM", memory("Buffer", array)), Fraction(10**9))


def mapping(rng: random.Random, extents: dict[str, int], tensors: str) -> Mapping:
    """Loops of any tiles, copies, and keeps of some tensors."""
    left = dict(extents)

    def loops(most: int) -> list[Any]:
        made = []
        for _ in range(rng.randrange(most + 1)):
            rank = rng.choice(list(left))
            left[rank] = rng.randint(1, left[rank])
            made.append(For(rank, left[rank]))
        return made

    def keep(memory: str, held: list[str]) -> list[Any]:
        return [Keep(memory, tuple(Held(tensor) for tensor in held))] if held else []

    def some() -> list[str]:
        return [tensor for tensor in tensors if rng.random() < 0.6]

    nodes = [*keep("DRAM", list(tensors)), *loops(2), *keep("Buffer", some()), *loops(2)]
    for axis, size in (("x", 4), ("y", 3)):
        if rng.random() < 0.6:
            rank = rng.choice(list(left))
            left[rank] = rng.randint(max(1, -(-left[rank] // size)), left[rank])
            nodes.append(Spatial(axis, rank, left[rank]))
    return Mapping("random", (*nodes, *keep("Registers", some()), *loops(3), Leaf("Z", "U")))


def dealt(seed: int) -> tuple[Cascade, Architecture, Mapping, dict[str, Any]]:
    """A nest with turns over a rank of the result that go to the copy that is free first, sums inside, and its stored operands."""
    rng, chances = random.Random(seed), np.random.default_rng(seed)
    extents = {rank: rng.randint(2, 7) for rank in "mkn"}
    made = machine(rng)
    registers = replace(array_of(made).feeds[0], feeds=(replace(unit_of(made), lanes=rng.choice([1, 1, 3])),))
    axis = Axis("x", 4, multicast=False, assign="dynamic")
    buffer = replace(made.root.feeds[0], feeds=(Array("array", (axis,), feeds=(registers,)),))
    made = replace(made, root=replace(made.root, feeds=(buffer,)))
    rank, left = rng.choice("mn"), dict(extents)
    nodes: list[Any] = [Keep("DRAM", tuple(Held(tensor) for tensor in "ABZ"))]
    for outer in rng.choice(["", "m", "n", "mn"]):
        left[outer] = rng.randint(max(2, -(-left[outer] // 2)), left[outer])
        nodes.append(For(outer, left[outer]))
    if held := [tensor for tensor in "ABZ" if rng.random() < 0.5]:
        nodes.append(Keep("Buffer", tuple(Held(tensor) for tensor in held)))
    if left[rank] > 4:
        left[rank] = rng.randint(2, 4)
        nodes.append(For(rank, left[rank]))
    left[rank] = rng.randint(-(-left[rank] // 4), max(1, left[rank] // 2))
    inside = tuple(Held(tensor) for tensor in "ABZ" if tensor == "Z" or rng.random() < 0.6)
    nodes += [Spatial("x", rank, left[rank]), Keep("Registers", inside)]
    for _ in range(rng.randrange(4)):
        inner = rng.choice("mkn")
        left[inner] = rng.randint(1, left[inner])
        nodes.append(For(inner, left[inner]))
    stored = {}
    for tensor, ranks in (("A", "mk"), ("B", "kn")):
        if rng.random() < 0.9:
            shape = [extents[each] for each in ranks]
            stored[tensor] = np.array(np.nonzero(chances.random(shape) < rng.choice([0.2, 0.5, 0.8])), np.int64).reshape(2, -1)
    mapped = Mapping("dealt", (*nodes, Leaf("Z", "U")))
    return cascade("dealt", ["Z[m,n] = A[m,k] * B[k,n]"], extents), made, mapped, stored


def array_of(machine: Architecture) -> Any:
    """The array of a random machine."""
    return next(node for node in machine.nodes() if isinstance(node, Array))


def unit_of(machine: Architecture) -> Unit:
    """Its unit."""
    return machine.units["U"]


def problem(seed: int, full: bool = False, limited: bool = False) -> tuple[Cascade, Architecture, Mapping, dict[str, Any]]:
    """A nest and its stored operands; `full`: all their elements are stored."""
    rng, chances = random.Random(seed), np.random.default_rng(seed)
    statement = rng.choice(list(STATEMENTS))
    operands = STATEMENTS[statement]
    extents = {rank: rng.randint(1, 6) for rank in "mkn" if any(rank in ranks for ranks in operands.values())}
    machine_, mapping_ = machine(rng, limited), mapping(rng, extents, "".join(operands) + "Z")
    stored = {}
    for tensor, ranks in operands.items():
        shape = [extents[rank] for rank in ranks]
        density = 1 if full else rng.choice([0, 0.2, 0.5, 1])
        if rng.random() < 0.85:
            stored[tensor] = np.array(np.nonzero(chances.random(shape) < density), np.int64).reshape(len(shape), -1)
    return cascade("random", [statement], extents), machine_, mapping_, stored


Problem = tuple[Cascade, Architecture, Mapping, dict[str, Any]]


def by_elements(seed: int, made: Problem) -> Problem:
    """A problem of which tiles of some loops in time hold so many elements of a stored operand instead; two more may stand anywhere."""
    rng = random.Random(seed)
    cascade_, machine_, mapping_, stored = made
    ranks = {access.tensor: [str(index.name) for index in access.indices] for access in cascade_.by_name["Z"].reads}

    def leaders(rank: str) -> list[str]:
        return [name for name in stored if rank in ranks[name]]

    nodes: list[Any] = []
    for node in mapping_.nodes:
        if isinstance(node, For) and (able := leaders(node.rank)) and rng.random() < 0.6:
            node = For(node.rank, rng.randint(1, 6), of=rng.choice(able))
        nodes.append(node)
    for _ in range(rng.randrange(3)):
        rank = rng.choice(list(cascade_.extents))
        if able := leaders(rank):
            nodes.insert(rng.randrange(1, len(nodes)), For(rank, rng.randint(1, 6), of=rng.choice(able)))
    return cascade_, machine_, replace(mapping_, nodes=tuple(nodes)), stored
