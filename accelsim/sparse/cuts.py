"""Where loops cut a rank: into equal tiles, or so that each holds at most so many stored elements. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray

MOST_TILES = 1 << 22  # of loops outside, in each of which a loop that counts elements begins anew


@dataclass(frozen=True, eq=False, slots=True)
class Cut:
    """Tiles that hold at most so many elements of a tensor, in every tile of it that the loops outside leave: a context.

    `leader`: the tensor. `inside`: places in the nest of the loops outside that cut it. `keys[contexts]`: the turns of these loops as one
    number, rising, of contexts that hold something; any other context is one tile. `first[contexts + 1]`: where the tiles of each
    begin among `starts[tiles]`, which say where a tile begins, from where its context does. `around`: the size of the largest context.
    All int64.
    """

    leader: str
    inside: tuple[int, ...]
    keys: IntArray
    first: IntArray
    starts: IntArray
    around: int

    def turns(self, key: IntArray, offset: IntArray, size: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Of coordinates `offset` in contexts of a `size`: the turn that leads to each, where its tile begins, how large that is, and how
        many tiles its context has.
        """
        context = np.minimum(np.searchsorted(self.keys, key), self.keys.size - 1)
        known = self.keys[context] == key
        tiles = np.repeat(np.arange(self.keys.size), np.diff(self.first)) * self.around + self.starts
        at = np.searchsorted(tiles, context * self.around + offset, side="right") - 1
        last = at + 1 == self.first[context + 1]
        end = np.where(last, size, self.starts[np.minimum(at + 1, self.starts.size - 1)])
        turn, begin = np.where(known, at - self.first[context], 0), np.where(known, self.starts[at], 0)
        return turn, begin, np.where(known, end, size) - begin, np.where(known, np.diff(self.first)[context], 1)


@dataclass(frozen=True, slots=True)
class Level:
    """One loop over a rank of a tensor: which of its dimensions it cuts into tiles of what size, and how many there are at most.

    `cut`: how, if tiles are not equal (`tile`: the size of the largest); `context`: the levels of the tensor that tell its contexts apart.
    `around`: the most that is left of the dimension outside (0: not known).
    """

    dimension: int
    tile: int
    trips: int
    cut: Cut | None = None
    context: tuple[int, ...] = ()
    around: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Places:
    """Of a level and each element: the turn that leads to it, where its tile begins and its size, and how many turns its context has."""

    turn: IntArray
    begin: IntArray
    size: IntArray
    many: IntArray


def places(coordinates: IntArray, levels: Sequence[Level], shape: Sequence[int]) -> tuple[list[Places], list[IntArray], list[IntArray]]:
    """Of elements int64[dimensions, elements] their places at every level; then, by dimension, where each stands in the tile that is left
    at last, and the size of that.
    """
    offset = list(coordinates)
    size = [np.full(coordinates.shape[1], extent) for extent in shape]
    found: list[Places] = []
    for level in levels:
        at, around = offset[level.dimension], size[level.dimension]
        if level.cut is None:
            turn = at // level.tile
            begin = turn * level.tile
            inner, many = np.minimum(level.tile, around - begin), -(-around // level.tile)
        else:
            key = np.zeros(at.size, np.int64)
            for outer in level.context:
                key = key * levels[outer].trips + found[outer].turn
            turn, begin, inner, many = level.cut.turns(key, at, around)
        found.append(Places(turn, begin, inner, many))
        offset[level.dimension], size[level.dimension] = at - begin, inner
    return found, offset, size


def cut_of(
    leader: str, inside: Sequence[int], levels: Sequence[Level], shape: Sequence[int], coordinates: IntArray, dimension: int, most: int
) -> tuple[Cut, int, int] | None:
    """How a loop cuts a dimension below some levels of its leader, the size of its largest tile, and how many tiles there are at most.

    `inside`: the places in the nest of these levels. None where the levels have more than MOST_TILES tiles.
    """
    spaces = _contexts(levels, shape, dimension)
    if spaces is None:
        return None
    keys, sizes = spaces
    found, offset, _ = places(coordinates, levels, shape)
    key = np.zeros(coordinates.shape[1], np.int64)
    for level, place in zip(levels, found, strict=True):
        key = key * level.trips + place.turn
    around = int(sizes.max())
    held, counts = np.unique(key * around + offset[dimension], return_counts=True)
    context, at = np.divmod(held, around)
    there, begins = np.unique(context, return_index=True)
    size_of = sizes[np.searchsorted(keys, there)]
    first, starts = _starts(at, counts, [*begins.tolist(), at.size], size_of.tolist(), most)
    if not there.size:  # nothing is held: one context for the loop to look at
        there, first, starts = keys[:1], [0, 1], [0]
        size_of = sizes[:1]
    cut = Cut(leader, tuple(inside), there, np.array(first, np.int64), np.array(starts, np.int64), around)
    ends = np.append(cut.starts[1:], 0)
    ends[cut.first[1:] - 1] = size_of
    empty = sizes[~np.isin(keys, there)]
    return cut, max(int((ends - cut.starts).max()), int(empty.max(initial=1))), int(np.diff(cut.first).max())


def _starts(at: IntArray, counts: IntArray, begins: list[int], sizes: list[int], most: int) -> tuple[list[int], list[int]]:
    """Where tiles begin, context after context, from coordinates that hold something and how much; and where each context starts."""
    summed = np.concatenate([[0], np.cumsum(counts)])
    after = (np.searchsorted(summed, summed[:-1] + most, side="right") - 1).tolist()  # the first coordinate that a tile has no room for
    where, first, starts = at.tolist(), [0], list[int]()
    for context, size in enumerate(sizes):
        place, end, begin = begins[context], begins[context + 1], 0
        while begin < size:
            starts.append(begin)
            if place == end:
                break
            if after[place] > place:
                place = min(after[place], end)
                begin = where[place] if place < end else size
            elif where[place] > begin:  # nothing up to a coordinate that holds more
                begin = where[place]
            else:
                place, begin = place + 1, begin + 1
        first.append(len(starts))
    return first, starts


def _contexts(levels: Sequence[Level], shape: Sequence[int], dimension: int) -> tuple[IntArray, IntArray] | None:
    """The turns of levels that lead to each tile, as one number, rising, and its size along a dimension; None if there are too many."""
    turns: list[IntArray] = []
    sizes = [np.array([extent]) for extent in shape]
    for level in levels:
        size = sizes[level.dimension]
        if level.cut is None:
            many = -(-size // level.tile)
        else:
            key = np.zeros(size.size, np.int64)
            for outer in level.context:
                key = key * levels[outer].trips + turns[outer]
            _, _, _, many = level.cut.turns(key, np.zeros_like(size), size)
        if int(many.sum()) > MOST_TILES:
            return None
        turn = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        turns = [np.repeat(each, many) for each in turns]
        sizes = [np.repeat(each, many) for each in sizes]
        size = sizes[level.dimension]
        turns.append(turn)
        sizes[level.dimension] = (
            np.minimum(level.tile, size - turn * level.tile) if level.cut is None else _nth(level.cut, np.repeat(key, many), turn, size)
        )
    key = np.zeros(sizes[0].size, np.int64)
    for level, turn in zip(levels, turns, strict=True):
        key = key * level.trips + turn
    return key, sizes[dimension]


def _nth(cut: Cut, key: IntArray, turn: IntArray, size: IntArray) -> IntArray:
    """Sizes of the tiles of some turns in contexts of a size."""
    context = np.minimum(np.searchsorted(cut.keys, key), cut.keys.size - 1)
    known = cut.keys[context] == key
    at = np.where(known, cut.first[context] + turn, 0)
    last = at + 1 == cut.first[context + 1]
    end = np.where(last | ~known, size, cut.starts[np.minimum(at + 1, cut.starts.size - 1)])
    return np.asarray(end - np.where(known, cut.starts[at], 0))
