"""Random problems for a mapper, so small that tests.mapper.brute can try every mapping of their space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TypeVar

import numpy as np

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node, Operation, Unit
from accelsim.model.options import CHOICES, Counting
from accelsim.workload.build import cascade as build
from accelsim.workload.build import resized
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.operators import missing_primitive
from tests.mapper import brute
from tests.mapper.small import GIGA, memory, price

Item = TypeVar("Item")
Rng = np.random.Generator

ONE = (
    "Z[m,n] = A[m,k] * B[k,n]",
    "Z[m,n] = A[m,k] * A[n,k]",
    "Z[m] = A[m,k] * B[k]",
    "Z[m] = A[m,k] * B[m,k]",
    "Z[m] = max[k](A[m,k])",
    "Z[m,n] = A[m,n] * B[n]",
    "Z[m,n] = A[m] + B[n]",
    "Z[n,m] = exp(A[m,n])",
    "Z[p] = A[p+s] * B[s]",
)
TWO = (
    "T[m] = exp(A[m]); Z[m] = T[m] * B[m]",
    "T[m] = A[m] * B[m]; Z[m] = T[m] + C[m]",
    "T[m] = A[m] * B[m]; Z[] = T[m] * C[m]",
    "T[m,n] = A[m,k] * B[k,n]; Z[m,l] = T[m,n] * C[n,l]",
    "T[m,n] = A[m] * B[n]; Z[m] = max[n](T[m,n])",
    "T[m] = A[m,k] * B[k]; Z[m] = exp(T[m])",
    "T[m] = A[m,k] * B[k]; Z[m,n] = T[m] * C[n]",
    "T[m,n] = exp(A[m,n]); Z[m] = T[m,n] * B[n]",
    "T[m] = max[k](A[m,k]); Z[m,k] = A[m,k] - T[m]",
    "Y[m] = A[m,k] * B[k]; Z[m] = max[k](A[m,k])",
)
THREE = (
    "T[m] = exp(A[m]); S[m] = T[m] * B[m]; Z[m] = S[m] + C[m]",
    "T[m] = A[m] * B[m]; S[m] = exp(A[m]); Z[m] = T[m] * S[m]",
    "T[m] = A[m,k] * B[k]; S[m] = exp(T[m]); Z[] = S[m] * C[m]",
    "T[m] = exp(A[m]); G[] = max[m](T[m]); Z[m] = T[m] - G[]",
)
PRIMITIVES = ("mac", "mul", "add", "sub", "max", "exp")


@dataclass(frozen=True)
class Problem:
    """What a mapper is asked: the least of an objective (`latency`, `energy`, `edp`) over the map space of docs/mapspace.md."""

    cascade: Cascade
    architecture: Architecture
    counting: Counting
    objective: str
    dividing: bool
    schedules: tuple[str, ...]


def problem(rng: Rng, most: int = 3000) -> Problem:
    """A problem of at most so many mappings; the same state of the generator gives the same problem."""
    while True:
        drawn = _drawn(rng)
        while drawn is not None and _candidates(drawn, most + 1) > most:
            drawn = _smaller(rng, drawn)
        if drawn is not None:
            return drawn


def _smaller(rng: Rng, drawn: Problem) -> Problem | None:
    """The same problem with its largest rank smaller; None if all ranks are 1."""
    size = max(drawn.cascade.extents.values())
    if size == 1:
        return None
    rank = _pick(rng, [rank for rank, extent in drawn.cascade.extents.items() if extent == size])
    return replace(drawn, cascade=resized(drawn.cascade, {rank: int(rng.integers((size + 1) // 2, size))}))


def _candidates(drawn: Problem, stop: int) -> int:
    """How many mappings there are at most: also illegal ones are counted, which is cheaper than to find them out."""
    found = brute.candidates(
        drawn.cascade, drawn.architecture, dividing=drawn.dividing, schedules=drawn.schedules, refill=drawn.counting.refill
    )
    return sum(1 for _ in islice(found, stop))


def _drawn(rng: Rng) -> Problem | None:
    """A problem of any size; None if no unit can execute some Einsum."""
    einsums = _pick(rng, (1, 2, 2, 3, 3))
    cascade = _cascade(rng, einsums)
    architecture = _architecture(rng, _pick(rng, (1, 2, 2, 2, 3, 3, 3, 3) if einsums == 1 else (1, *(2,) * 10, 3)), einsums > 1)
    for einsum in cascade.work:
        if all(missing_primitive(einsum, unit.operations) for unit in architecture.units.values()):
            return None
    counting = Counting.from_text({name: _pick(rng, (values[0], *values)) for name, values in CHOICES.items()})
    schedules = _pick(rng, (brute.SCHEDULES, brute.SCHEDULES, ("sequential",), ("pipelined",)))
    return Problem(cascade, architecture, counting, _pick(rng, ("latency", "energy", "edp")), _chance(rng, 0.4), schedules)


def _cascade(rng: Rng, einsums: int) -> Cascade:
    text = _pick(rng, (ONE, TWO, THREE)[einsums - 1])
    ranks = sorted({rank for inside in text.replace("]", "[").split("[")[1::2] for rank in inside.replace("+", ",").split(",") if rank})
    shape = {rank: _pick(rng, (1, 2, 2, 3, 3, 4, 5, 6)) for rank in ranks}
    types: dict[str, str | dict[str, str]] = {"default": "bf16"}
    if _chance(rng, 0.4):
        types |= {name: {"partial": "fp32", "final": "bf16"} for name in "TZ" if f"{name}[" in text}
    if _chance(rng, 0.2):
        types["A"] = "int8"
    passing = [name for name in "TS" if f"{name}[" in text]
    outputs = {passing[0]: TensorDeclaration(output=True)} if passing and _chance(rng, 0.1) else {}
    return build("small", text, shape, types=types, tensors=outputs)


def single(rng: Rng, memories: int) -> tuple[Cascade, Architecture]:
    """One Einsum, and a machine with so many memories, of which Reg may hold less than a word."""
    work, machine = _cascade(rng, 1), _architecture(rng, memories, False)
    root = _halved(machine.root) if _chance(rng, 0.5) else machine.root
    assert isinstance(root, Memory)
    return work, replace(machine, root=root)


def _halved(node: Node) -> Node:
    """A node, with Reg below it as small as half a word."""
    if isinstance(node, Unit):
        return node
    made = replace(node, feeds=tuple(_halved(each) for each in node.feeds))
    return replace(made, size_bits=8) if isinstance(made, Memory) and made.name == "Reg" else made


def _architecture(rng: Rng, memories: int, scarce: bool) -> Architecture:
    """Main, Buffer, Reg and Latch, as many as asked for, over a unit; perhaps an array below one of them, and another unit."""
    spread = _pick(rng, (None, None, *range(memories)))  # the memory that feeds the array
    # The memory that feeds another unit; Main does only if it is alone, so that every unit is behind the Buffer.
    second = _pick(rng, (None, None, *(range(1, memories) if memories > 1 else (0,))))
    node: Node = _unit(rng, "U", PRIMITIVES if second is None or _chance(rng, 0.5) else ("mac", "mul", "add"))
    for number in reversed(range(memories)):
        feeds: tuple[Node, ...] = (node,)
        if second == number:
            feeds = (node, _unit(rng, "V", PRIMITIVES))
        if spread == number:
            inside = feeds[:1] if _chance(rng, 0.5) else feeds
            feeds = (Array("grid", _axes(rng), feeds=inside), *feeds[len(inside) :])
        node = _memory(rng, number, feeds, scarce)
    assert isinstance(node, Memory)
    return Architecture("small", node, Fraction(GIGA))


def _axes(rng: Rng) -> tuple[Axis, ...]:
    names = ("x", "y") if _chance(rng, 0.2) else ("x",)
    return tuple(
        Axis(
            name,
            _pick(rng, (2, 2, 3)),
            multicast=_chance(rng, 0.6),
            reduces=_pick(rng, ((), ("add",), ("add", "max"))),
            broadcasts=_chance(rng, 0.2),
            reduction_latency={"add": 1} if _chance(rng, 0.2) else {},
        )
        for name in names
    )


def _memory(rng: Rng, number: int, feeds: tuple[Node, ...], scarce: bool) -> Memory:
    """Main is unlimited; the others are mostly too small for everything, a `scarce` Buffer too small for most."""
    if number == 3:
        return memory("Latch", _pick(rng, (None, 1, 2, 3)), _pick(rng, (None, None, 4)), _pick(rng, (0.01, 0.05, 0.1)), *feeds)
    buffers = (2, 3, 4, 5, 6, 8) if scarce else (None, 2, 3, 4, 6, 8, 12, 16, 24)
    words = (None, _pick(rng, buffers), _pick(rng, (None, 1, 2, 3, 4, 6)))[number]
    rate = _pick(rng, ((1, 1, 2, 4, None), (None, 1, 2, 3, 8), (None, None, 2, 4))[number])
    picojoules = _pick(rng, ((4.0, 10.0), (0.5, 1.0, 3.0), (0.05, 0.1, 1.0))[number])
    made = memory(("Main", "Buffer", "Reg")[number], words, rate, picojoules, *feeds, ports=_pick(rng, ("shared", "separate")))
    if rate is not None and made.ports == "separate" and _chance(rng, 0.5):
        made = replace(made, write_bits_per_s=Fraction(_pick(rng, (8, 16, 48)) * GIGA))
    if _chance(rng, 0.3):
        made = replace(made, write_pj=price(picojoules * 1.5), update_pj=price(picojoules * 2.0))
    return replace(made, static_w=price(_pick(rng, (0.01, 0.1)))) if _chance(rng, 0.3) else made


def _unit(rng: Rng, name: str, primitives: tuple[str, ...]) -> Unit:
    """A unit that may be pipelined, and of which an exp may take longer."""
    operations = {primitive: Operation(primitive, Fraction(1), price(_pick(rng, (0.5, 1.0, 2.0)))) for primitive in primitives}
    if "exp" in operations:
        operations["exp"] = replace(operations["exp"], cycles=_pick(rng, (Fraction(1), Fraction(3), Fraction(1, 2))))
    return Unit(name, operations, lanes=_pick(rng, (1, 1, 2)), pipeline_depth=_pick(rng, (0, 0, 0, 1, 2)))


def _pick(rng: Rng, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def _chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)
