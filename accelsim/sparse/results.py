"""Which elements of a result an Einsum makes over stored operands. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

MOST_ELEMENTS = 1 << 27  # of a result, duplicates included, while it is made


def made(nest: Nest) -> IntArray:
    """Elements of the result of which some product is of stored operands alone, int64[dimensions, elements], each once, in rising order.

    Operands that have all their elements leave none out. Refuses more than MOST_ELEMENTS products. Its twin: `elements` of
    `reference.count`.
    """
    points: dict[str, IntArray] = {}
    count = 1
    for operand in nest.operands:
        if operand.coordinates is not None:
            points, count = joined(nest, points, count, dict(zip(operand.ranks, operand.coordinates, strict=True)))
    for rank in nest.result:
        if rank not in points:
            points, count = joined(nest, points, count, {rank: np.arange(nest.extents[rank])})
    key = np.zeros(count, np.int64)
    for rank in nest.result:
        key = key * nest.extents[rank] + points[rank]
    key = np.unique(key)
    found = np.zeros((len(nest.result), key.size), np.int64)
    for place in range(len(nest.result) - 1, -1, -1):
        key, found[place] = np.divmod(key, nest.extents[nest.result[place]])
    return found


def joined(nest: Nest, one: dict[str, IntArray], count: int, other: dict[str, IntArray]) -> tuple[dict[str, IntArray], int]:
    """Points that agree along the ranks that two sets of them share, and how many there are."""
    shared = [rank for rank in other if rank in one]
    size = next(iter(other.values())).size
    mine, theirs = np.zeros(count, np.int64), np.zeros(size, np.int64)
    for rank in shared:
        mine, theirs = mine * nest.extents[rank] + one[rank], theirs * nest.extents[rank] + other[rank]
    order = np.argsort(theirs, kind="stable")
    first, after = (np.searchsorted(theirs[order], mine, side) for side in ("left", "right"))
    many = after - first
    total = int(many.sum())
    if total > MOST_ELEMENTS:
        what = f"{nest.einsum.name} makes {total:,} products, and its result is stored as it is made"
        raise InputError(what, f"make the shape smaller: up to {MOST_ELEMENTS:,}", nest.einsum.place)
    left = np.repeat(np.arange(count), many)
    starts = np.cumsum(many) - many
    right = order[np.arange(total) - starts[left] + first[left]]
    points = {rank: column[left] for rank, column in one.items()}
    return points | {rank: column[right] for rank, column in other.items() if rank not in one}, total
