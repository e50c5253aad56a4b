"""What an Einsum over stored operands needs, in whatever order it is computed: operations, and elements that take part in one."""

from __future__ import annotations

import math
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.sparse.results import joined

if TYPE_CHECKING:
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

MOST_PRODUCTS = 1 << 22  # that are listed; of more, only what two operands need of each other is known


@dataclass(frozen=True, slots=True)
class Needs:
    """What every nest does: operations on stored elements, words of each operand that take part in one, words of the result."""

    effectual: int
    words: dict[str, int]
    made: int


def needs(nest: Nest) -> Needs:
    """Those of a nest's Einsum over its stored operands.

    Where more than MOST_PRODUCTS products would be listed, none of the result are known; nor, with more than two stored operands, any.
    """
    stored = [each for each in nest.operands if each.coordinates is not None]
    products = _products(nest)
    if products > MOST_PRODUCTS:
        if len(stored) > 2:
            return Needs(0, {each.tensor: 0 for each in nest.operands}, 0)
        inside = {rank for each in stored for rank in each.ranks}
        beyond = math.prod(size for rank, size in nest.extents.items() if rank not in inside)
        words = {each.tensor: 0 for each in nest.operands}
        words |= {each.tensor: _matched(nest, number) for number, each in enumerate(nest.operands) if each.coordinates is not None}
        return Needs(products * beyond, words, 0)
    points: dict[str, IntArray] = {}
    count = 1
    for each in stored:
        assert each.coordinates is not None
        points, count = joined(nest, points, count, dict(zip(each.ranks, each.coordinates, strict=True)))
    beyond = math.prod(size for rank, size in nest.extents.items() if rank not in points)
    words = {each.tensor: _different(nest, points, count, each.ranks) for each in nest.operands}
    return Needs(count * beyond, words, _different(nest, points, count, nest.result))


def taking_part(nest: Nest, number: int) -> int:
    """Elements of a stored operand that take part in an operation; none is known of more than two operands with many products."""
    stored = sum(each.coordinates is not None for each in nest.operands)
    return needs(nest).words[nest.operands[number].tensor] if stored > 2 else _matched(nest, number)


def _products(nest: Nest) -> int:
    """Points at which the stored operands meet, over the ranks that they have; no fewer where there are more than two."""
    stored = [each for each in nest.operands if each.coordinates is not None]
    total = 1
    if len(stored) == 2:
        one, other = (_keys(nest, number) for number, each in enumerate(nest.operands) if each.coordinates is not None)
        places, times = np.unique(one, return_counts=True)
        theirs, others = np.unique(other, return_counts=True)
        _, mine, yours = np.intersect1d(places, theirs, assume_unique=True, return_indices=True)
        return int(times[mine].astype(object) @ others[yours].astype(object)) if mine.size else 0
    for each in stored:
        assert each.coordinates is not None
        total *= each.coordinates.shape[1]
    return total


def _keys(nest: Nest, number: int) -> IntArray:
    """Of a stored operand's elements, the place along the ranks that it shares with the other one, int64[elements]."""
    operand = nest.operands[number]
    assert operand.coordinates is not None
    other = next(each for each in nest.operands if each.coordinates is not None and each is not operand)
    key = np.zeros(operand.coordinates.shape[1], np.int64)
    for rank in sorted(set(operand.ranks) & set(other.ranks)):
        key = key * nest.extents[rank] + operand.coordinates[operand.ranks.index(rank)]
    return key


def _matched(nest: Nest, number: int) -> int:
    """Elements of one of at most two stored operands that meet one of the other."""
    stored = [place for place, each in enumerate(nest.operands) if each.coordinates is not None]
    if len(stored) == 1:
        coordinates = nest.operands[number].coordinates
        assert coordinates is not None
        return int(coordinates.shape[1])
    mine, other = _keys(nest, number), _keys(nest, next(place for place in stored if place != number))
    return int(np.isin(mine, other).sum())


def _different(nest: Nest, points: Dict[str, IntArray], count: int, ranks: tuple[str, ...]) -> int:
    """Places along some ranks that points have, with every place along ranks that the points do not have."""
    if not count:
        return 0
    key = np.zeros(count, np.int64)
    for rank in (rank for rank in ranks if rank in points):
        key = key * nest.extents[rank] + points[rank]
    return int(np.unique(key).size) * math.prod(nest.extents[rank] for rank in ranks if rank not in points)
