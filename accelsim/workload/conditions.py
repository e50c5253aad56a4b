"""Where the points of an Einsum survive its condition: as a mask, as inequalities, as a count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Expression, names
from accelsim.workload.points import count_points
from accelsim.workload.ranges import Inequality, conjuncts, inequalities

if TYPE_CHECKING:
    import numpy

MOST_MASKED = 2**27


def condition_mask(cascade: Cascade, einsum: Einsum, limit: int = MOST_MASKED) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.bool_]]:
    """Which points survive: bool over `einsum.ranks` in order; a read-only view where ranks do not matter.

    Only for conditions without data; an InputError if it reads a tensor or ties together more than `limit` points.
    """
    return expression_mask(cascade, einsum, einsum.condition, limit)


def expression_mask(
    cascade: Cascade, einsum: Einsum, condition: Expression | None, limit: int = MOST_MASKED
) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.bool_]]:
    """Which points of an Einsum's box satisfy any condition without data; see `condition_mask`."""
    import numpy as np

    from accelsim.workload.evaluate import evaluate

    shape = tuple(cascade.extents[rank] for rank in einsum.ranks)
    if condition is None:
        return np.broadcast_to(np.True_, shape)
    if einsum.condition_reads:
        tensor = einsum.condition_reads[0].tensor
        raise InputError(f"the condition of {einsum.name} reads {tensor}, so only its data can tell", "", einsum.place)
    ranks = [rank for rank in einsum.ranks if rank in names(condition)]
    if math.prod(cascade.extents[rank] for rank in ranks) > limit:
        raise InputError(f"the condition of {einsum.name} ties together more than {limit} points", "shrink the shape", einsum.place)
    known: dict[str, object] = dict(cascade.sizes)
    for axis, rank in enumerate(einsum.ranks):
        if rank not in ranks:
            continue
        known[rank] = np.arange(cascade.extents[rank], dtype=np.int64).reshape([-1 if at == axis else 1 for at in range(len(einsum.ranks))])
    return np.broadcast_to(np.asarray(evaluate(condition, known), dtype=bool), shape)


def condition_inequalities(cascade: Cascade, einsum: Einsum) -> list[tuple[dict[str, int], int]] | None:
    """The condition as inequalities `sum(coefficient * rank) <= bound` that all hold; None if it is not such a conjunction.

    An Einsum without a condition has none, the empty list.
    """
    found = affine(cascade, einsum.condition)
    return None if found is None else [(dict(part.terms), part.bound) for part in found]


def affine(cascade: Cascade, condition: Expression | None) -> tuple[Inequality, ...] | None:
    """A condition as inequalities that all hold, None if it is not a conjunction of affine ones."""
    parts = [inequalities(part, cascade.sizes) for part in conjuncts(condition)]
    if any(part is None for part in parts):
        return None
    return tuple(found for part in parts for found in part or ())


def existing_points(cascade: Cascade, einsum: Einsum) -> int:
    """Points of the iteration space, without those that a partial last tile of a split does not have."""
    box = {rank: cascade.extents[rank] for rank in einsum.ranks}
    return count_points(box, affine(cascade, einsum.existence) or ())


def surviving_points(cascade: Cascade, einsum: Einsum) -> int | None:
    """Points that the condition leaves; None if only data can tell."""
    if einsum.condition is None:
        return math.prod(cascade.extents[rank] for rank in einsum.ranks)
    if einsum.condition_reads:
        return None
    found = affine(cascade, einsum.condition)
    if found is not None:
        return count_points({rank: cascade.extents[rank] for rank in einsum.ranks}, found)
    ranks = [rank for rank in einsum.ranks if rank in names(einsum.condition)]
    inside = int(_own_mask(cascade, einsum, ranks).sum())
    return inside * math.prod(cascade.extents[rank] for rank in einsum.ranks if rank not in ranks)


def _own_mask(cascade: Cascade, einsum: Einsum, ranks: list[str]) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.bool_]]:
    full = condition_mask(cascade, einsum)
    taken = tuple(slice(None) if rank in ranks else 0 for rank in einsum.ranks)
    return full[taken]
