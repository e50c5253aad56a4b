"""Fibers: a sparse tensor as a tree of coordinates in the order in which a loop nest meets them. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelsim.sparse.pattern import IntArray


@dataclass(frozen=True, slots=True)
class Level:
    """One loop over a rank of a tensor: which of its dimensions it cuts into tiles of what size, and how many there are at most."""

    dimension: int
    tile: int
    trips: int


@dataclass(frozen=True, eq=False, slots=True)
class Fibers:
    """Stored elements by the loops that cut them, outermost first.

    `coordinates[l]`: int64[nodes of level l], the turn of loop l that leads to each node; nodes of one parent stand together, rising.
    `starts[l]`: int64[nodes of level l - 1, or 1, + 1], where the children of each begin. `elements[l]`: stored elements below each node.
    """

    coordinates: tuple[IntArray, ...]
    starts: tuple[IntArray, ...]
    elements: tuple[IntArray, ...]
    count: int

    @staticmethod
    def of(coordinates: IntArray, levels: Sequence[Level]) -> Fibers:
        """Of stored elements int64[dimensions, elements], each once, and loops that leave one element of every dimension."""
        left, turns = list(coordinates), []
        for level in levels:
            turn, left[level.dimension] = np.divmod(left[level.dimension], level.tile)
            turns.append(turn)
        count = coordinates.shape[1]
        key = np.zeros(count, np.int64)
        for level, turn in zip(levels, turns, strict=True):
            key = key * level.trips + turn
        key = np.sort(key)
        made: list[IntArray] = []
        starts: list[IntArray] = []
        elements: list[IntArray] = []
        beyond = 1
        for level in levels:
            beyond *= level.trips
        parents = np.zeros(count, np.int64)
        nodes_above = 1
        for level in levels:
            beyond //= level.trips
            prefix = key // beyond
            new = np.ones(count, np.bool_)
            new[1:] = prefix[1:] != prefix[:-1]
            first = np.flatnonzero(new)
            made.append(prefix[first] % level.trips)
            begun = np.zeros(nodes_above + 1, np.int64)
            np.cumsum(np.bincount(parents[first], minlength=nodes_above), out=begun[1:])
            starts.append(begun)
            elements.append(np.diff(np.append(first, count)))
            parents, nodes_above = np.cumsum(new) - 1, first.size
        return Fibers(tuple(made), tuple(starts), tuple(elements), count)
