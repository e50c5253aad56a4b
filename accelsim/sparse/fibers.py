"""Fibers: a sparse tensor as a tree of coordinates in the order in which a loop nest meets them. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.sparse.cuts import Level, places

__all__ = ["Fibers", "Level"]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelsim.sparse.pattern import IntArray


@dataclass(frozen=True, eq=False, slots=True)
class Fibers:
    """Stored elements by the loops that cut them, outermost first.

    `coordinates[l]`: int64[nodes of level l], the turn of loop l that leads to each node; nodes of one parent stand together, rising.
    `starts[l]`: int64[nodes of level l - 1, or 1, + 1], where the children of each begin. `elements[l]`: stored elements below each node.
    `begins[l]`, `sizes[l]`: int64[nodes of level l], where the tile of each begins in that of its parent, and its size, along the level's
    dimension. `turns[l]`: int64[nodes of level l - 1, or 1], how many turns the loop has in each (1 in a tree without elements).
    """

    coordinates: tuple[IntArray, ...]
    starts: tuple[IntArray, ...]
    elements: tuple[IntArray, ...]
    begins: tuple[IntArray, ...]
    sizes: tuple[IntArray, ...]
    turns: tuple[IntArray, ...]
    count: int

    @staticmethod
    def of(coordinates: IntArray, levels: Sequence[Level], shape: Sequence[int]) -> Fibers:
        """Of stored elements int64[dimensions, elements] of a tensor, each once, and loops that leave one element of every dimension."""
        found, _, _ = places(coordinates, levels, shape)
        count = coordinates.shape[1]
        key = np.zeros(count, np.int64)
        for level, place in zip(levels, found, strict=True):
            key = key * level.trips + place.turn
        order = np.argsort(key, kind="stable")
        key = key[order]
        made: list[IntArray] = []
        starts: list[IntArray] = []
        elements: list[IntArray] = []
        begins: list[IntArray] = []
        sizes: list[IntArray] = []
        turns: list[IntArray] = []
        beyond = 1
        for level in levels:
            beyond *= level.trips
        parents = np.zeros(count, np.int64)
        nodes_above, firsts = 1, np.zeros(min(1, count), np.int64)
        for level, place in zip(levels, found, strict=True):
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
            begins.append(place.begin[order[first]])
            sizes.append(place.size[order[first]])
            turns.append(place.many[order[firsts]] if count else np.ones(nodes_above, np.int64))
            parents, nodes_above, firsts = np.cumsum(new) - 1, first.size, first
        return Fibers(tuple(made), tuple(starts), tuple(elements), tuple(begins), tuple(sizes), tuple(turns), count)
