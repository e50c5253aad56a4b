"""Random nests to simulate over stored elements: ports of every kind, latencies, caches, tiles on demand, whole tiles, merging, copies."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Sparsity, Unit
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.workload.build import cascade
from accelsim.workload.storage import Storage
from tests.sparse.nests import by_elements, dealt, problem

Problem = tuple[Any, Architecture, Mapping, dict[str, Any]]


def case(seed: int, full: bool = False) -> Problem:
    """A nest with formats, ports and places drawn by a seed; some are refused. `full`: all elements are stored."""
    rng = random.Random(seed)
    made = (problem(seed, full), dealt(seed), cached(rng, seed), again(rng, seed))[seed % 4] if not full else problem(seed, full)
    if seed % 5 == 0 and not full:
        made = by_elements(seed, made)
    workload, machine, mapping, stored = made
    tensors = dict(workload.tensors)
    for name, tensor in tensors.items():
        if (name in stored and rng.random() < 0.8) or (name == "Z" and rng.random() < 0.7):
            kinds = [rng.choice(("compressed", "compressed", "uncompressed", "bitmask")) for _ in tensor.shape]
            if name in stored and all(kind == "uncompressed" for kind in kinds):
                kinds[-1] = "compressed"
            whole = name == "Z" and seed % 4 in (1, 3) and rng.random() < 0.5
            tensors[name] = replace(tensor, storage=Storage(tuple(kinds), 8, rng.choice([0, 16]), whole_tiles=whole))
    lazy = seed % 4 != 2 and rng.random() < 0.3
    root = varied(machine.root, rng, lazy)
    assert isinstance(root, Memory)
    machine = replace(machine, root=root)
    return replace(workload, tensors=tensors), machine, placed(mapping, rng), stored


def varied(node: Any, rng: random.Random, lazy: bool) -> Any:
    """A node with rates, latencies and ports of its own; `lazy`: the buffer fetches tiles on demand."""
    if isinstance(node, Unit):
        cycles = rng.choice([Fraction(1), Fraction(1), Fraction(1, 2), Fraction(3)])
        operations = {name: replace(each, cycles=cycles) for name, each in node.operations.items()}
        return replace(node, operations=operations, pipeline_depth=rng.choice([0, 0, 2, 5]))
    inside = tuple(varied(each, rng, lazy) for each in node.feeds)
    if not isinstance(node, Memory):
        return replace(node, feeds=inside)
    rates = [rng.choice([None, *(Fraction(bits * 10**9) for bits in (8, 20, 64))]) for _ in range(2)]
    sparse = replace(node.sparse, fetch="on_demand") if lazy and node.name == "Buffer" else node.sparse
    return replace(
        node, read_bits_per_s=rates[0], write_bits_per_s=rates[1], ports=rng.choice(["shared", "separate"]),
        latency_cycles=0 if None in rates else rng.choice([0, 3, 7]), sparse=sparse, feeds=inside,
    )  # fmt: skip


def placed(mapping: Mapping, rng: random.Random) -> Mapping:
    """A mapping with places for one to three tiles of every tensor."""
    nodes = []
    for node in mapping.nodes:
        if isinstance(node, Keep) and node.memory != "DRAM":
            node = replace(node, held=tuple(replace(held, copies=rng.choice([1, 1, 2, 3])) for held in node.held))
        nodes.append(node)
    return replace(mapping, nodes=tuple(nodes))


def elements(rng: random.Random, seed: int, extents: dict[str, int]) -> dict[str, Any]:
    """Stored elements of A[m,k] and B[k,n]."""
    chances, stored = np.random.default_rng(seed), {}
    for tensor, ranks in (("A", "mk"), ("B", "kn")):
        shape = [extents[each] for each in ranks]
        stored[tensor] = np.array(np.nonzero(chances.random(shape) < rng.choice([0.2, 0.5, 0.8])), np.int64).reshape(2, -1)
    return stored


def rows(rng: random.Random, memory: Sparsity, axes: tuple[Axis, ...]) -> Architecture:
    """Three levels of memories, of which the second is as said, with units that merge in an array."""
    unit = Unit("U", {"mac": Operation("mac")}, sparse=Sparsity(intersect="leading", merge_radix=rng.choice([0, 2, 3])))
    registers = Memory("Registers", sparse=Sparsity(intersect=rng.choice(("leading", "two_finger", "skip_ahead"))), feeds=(unit,))
    size = rng.choice([None, 64, 200]) if memory.replacement else None
    buffer = Memory("Buffer", size, sparse=memory, feeds=(Array("array", axes, feeds=(registers,)),))
    return Architecture("rows", Memory("DRAM", sparse=Sparsity(intersect=rng.choice(("", "leading"))), feeds=(buffer,)), Fraction(10**9))


def cached(rng: random.Random, seed: int) -> Problem:
    """Rows of A over copies, of which some are free first or are served together, and a cache of rows of B."""
    extents = {rank: rng.randint(2, 7) for rank in "mkn"}
    assign = rng.choice(["static", "dynamic"])
    axis = Axis("x", 4, multicast=assign == "static" and rng.random() < 0.5, assign=assign)
    machine = rows(rng, Sparsity(replacement="least_recent"), (axis,))
    left = -(-extents["m"] // rng.choice([1, 2]))
    nodes: list[Any] = [Keep("DRAM", tuple(map(Held, "ABZ"))), Keep("Buffer", (Held("B"),))]
    nodes += [For("m", left)] if rng.random() < 0.7 else []
    left = left if len(nodes) == 3 else extents["m"]
    nodes += [Spatial("x", "m", rng.randint(-(-left // 4), max(1, left // 2)))] if rng.random() < 0.8 else []
    nodes += [Keep("Registers", (Held("Z"),)), For("k", rng.choice([1, 1, 2]))]
    nodes += [Keep("Registers", tuple(map(Held, rng.choice(["B", "AB"]))))]
    mapping = Mapping("rows", (*nodes, Leaf("Z", "U")))
    return cascade("cached", ["Z[m,n] = A[m,k] * B[k,n]"], extents), machine, mapping, elements(rng, seed, extents)


def again(rng: random.Random, seed: int) -> Problem:
    """Loops that lead to tiles of the result again, with lists that are merged, and keeps of it at one or two levels."""
    extents = {rank: rng.randint(2, 7) for rank in "mkn"}
    axes = (Axis("x", 4, multicast=rng.random() < 0.5, reduces=rng.choice([(), ("add",)])),)
    machine = rows(rng, Sparsity(intersect=rng.choice(("", "skip_ahead"))), axes)
    left, loops = dict(extents), list[Any]()
    for number, rank in enumerate(("k", rng.choice("mk"), "m", rng.choice("mk"), rng.choice("mkn"))):
        left[rank] = rng.randint(max(1, -(-left[rank] // 4)), -(-left[rank] // (1 + (number == 0))))
        loops.append(Spatial("x", rank, left[rank]) if number == 2 and rng.random() < 0.5 else For(rank, left[rank]))
    buffer = [Keep("Buffer", tuple(map(Held, rng.choice(["Z", "BZ", "AB", "A"]))))] if rng.random() < 0.6 else []
    inner = Keep("Registers", tuple(map(Held, rng.choice(["Z", "AZ", "BZ", "ABZ"]))))
    at = rng.randint(0, 2)
    home = Keep("DRAM", tuple(map(Held, "ABZ")))
    mapping = Mapping("again", (home, *loops[:at], *buffer, *loops[at:3], inner, *loops[3:], Leaf("Z", "U")))
    return cascade("again", ["Z[m,n] = A[m,k] * B[k,n]"], extents), machine, mapping, elements(rng, seed, extents)
