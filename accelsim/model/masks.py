"""Conditions as arrays: running sums over a listed mask where it is small, linear inequalities where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelsim.errors import InputError
from accelsim.model import plan as p
from accelsim.model.analysis import Facts
from accelsim.workload.cascade import Cascade

MAX_LISTED = 1 << 24  # points of a condition's ranks listed at most
PREFER_LISTED = 1 << 10  # up to here a condition is listed even where linear inequalities would do


@dataclass(frozen=True, slots=True)
class Mask:
    """A condition for the kernels: `survivors` is the number of points it leaves over its own ranks."""

    kind: int
    ranks: tuple[int, ...]
    count: int
    data: p.IntArray
    survivors: int


def mask(cascade: Cascade, facts: Facts) -> Mask | None:
    """The mask of an Einsum, None without condition; refuses conditions that are neither small nor linear."""
    if facts.einsum.condition is None:
        return None
    from accelsim.workload.conditions import condition_inequalities, condition_mask

    ranks = tuple(sorted(facts.coupled))
    extents = [facts.extents[rank] for rank in ranks]
    size = math.prod(extents)
    rows = condition_inequalities(cascade, facts.einsum) if size > PREFER_LISTED else None
    if rows is None and size <= MAX_LISTED:
        listed = condition_mask(cascade, facts.einsum)
        others = tuple(axis for axis in range(listed.ndim) if axis not in facts.coupled)
        listed = np.asarray(np.any(listed, axis=others)) if others else listed
        image = np.zeros([extent + 1 for extent in extents], np.int64)
        image[tuple(slice(1, None) for _ in extents)] = listed
        for axis in range(len(extents)):
            image = image.cumsum(axis)
        data = np.concatenate([np.array(extents, np.int64), image.ravel()])
        return Mask(p.IMAGE, ranks, 0, data, int(listed.sum()))
    if rows is None:
        raise InputError(
            f"{facts.einsum.name}: its condition leaves {size} points to list, more than {MAX_LISTED}",
            "write it as linear comparisons of ranks joined by 'and', or make the shape smaller",
            facts.einsum.place,
        )
    table = [[bound, *(terms.get(facts.ranks[rank], 0) for rank in ranks)] for terms, bound in rows]
    data = np.array(table, np.int64).ravel()
    return Mask(p.INEQUALITIES, ranks, len(table), data, _survivors(table, extents))


def _survivors(table: list[list[int]], extents: list[int]) -> int:
    """Points with sum(coefficient * x) <= bound in every row: all ranks but the longest are listed, that one is solved for."""
    longest = max(range(len(extents)), key=lambda k: extents[k])
    others = [k for k in range(len(extents)) if k != longest]
    shape = [extents[k] for k in others]
    if math.prod(shape) > MAX_LISTED * 8:
        raise InputError(f"a condition over {extents} points is too large to count", "make the shape smaller")
    grid = np.meshgrid(*[np.arange(size, dtype=np.int64) for size in shape], indexing="ij", sparse=True)
    left = np.zeros(shape, np.int64)
    right = np.full(shape, extents[longest] - 1, np.int64)
    for bound, *factors in table:
        room = np.full(shape, bound, np.int64)
        for k, axis in zip(others, grid, strict=True):
            room = room - factors[k] * axis
        factor = factors[longest]
        if factor > 0:
            right = np.minimum(right, room // factor)
        elif factor < 0:
            left = np.maximum(left, -(room // -factor))
        else:
            right = np.where(room < 0, left - 1, right)
    return int(np.maximum(0, right - left + 1).sum())
