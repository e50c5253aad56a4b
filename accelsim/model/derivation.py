"""What a producer must make per iteration of a loop that only its consumers have, derived backwards through their reads."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import IndexMap


@dataclass(frozen=True, slots=True)
class Derived:
    """The producer's `rank` follows a loop over v: v in [v0, v1) demands [factor*v0 + offset, factor*(v1-1) + offset + width)."""

    rank: str
    factor: int
    offset: int
    width: int
    kind: int = 0


def derive(cascade: Cascade, einsum: str, loop_rank: str, inside: frozenset[str]) -> Derived | None:
    """How a loop over `loop_rank` restricts an Einsum that lacks this rank; None if nothing inside the fuse says so.

    `inside`: Einsums below the loop. Each is followed once on the way, so that a recurrence ends. Refuses demands that are not one affine
    window. Source: docs/model.md, "Counting".
    """
    output = cascade.by_name[einsum].output
    written = cascade.index_maps(output)
    found: Derived | None = None
    for consumer in cascade.consumers.get(output.tensor, ()):
        if consumer.name not in inside or consumer.name == einsum:
            continue
        named = loop_rank in consumer.ranks
        driver = Derived(loop_rank, 1, 0, 1) if named else derive(cascade, consumer.name, loop_rank, inside - {einsum})
        if driver is None:
            continue
        for access in consumer.reads:
            if access.tensor != output.tensor:
                continue
            for target, index in zip(written, cascade.index_maps(access), strict=True):
                if target is None or target.single_rank is None or index is None or driver.rank not in index.ranks:
                    continue
                demand = _through(cascade, einsum, target, index, driver)
                found = demand if found is None else _union(einsum, found, demand)
    if found is not None and found.offset + found.width <= 0:
        raise InputError(f"{einsum}: the first iteration over {loop_rank} reads nothing of it", "loop over it in the leaf instead")
    return found


def _through(cascade: Cascade, einsum: str, target: IndexMap, index: IndexMap, driver: Derived) -> Derived:
    factor = dict(index.terms)[driver.rank]
    if index.divisor != 1 or index.modulus or factor < 0:
        raise InputError(
            f"{einsum}: a loop over {driver.rank} above it reads it at an index that cannot be followed backwards",
            "keep the result whole: end the fuse before its consumer",
        )
    assert target.single_rank is not None
    low = high = index.offset - target.offset
    for rank, other in index.terms:
        if rank != driver.rank:
            reach = other * (cascade.extents[rank] - 1)
            low, high = low + min(0, reach), high + max(0, reach)
    return Derived(target.single_rank, factor * driver.factor, factor * driver.offset + low, factor * (driver.width - 1) + high - low + 1)


def _union(einsum: str, one: Derived, other: Derived) -> Derived:
    if (one.rank, one.factor) != (other.rank, other.factor):
        raise InputError(f"{einsum}: its consumers walk it at different strides under one loop", "give them fuses of their own")
    low = min(one.offset, other.offset)
    return Derived(one.rank, one.factor, low, max(one.offset + one.width, other.offset + other.width) - low)
