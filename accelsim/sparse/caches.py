"""Fiber caches: which rows of the operand that is read again are still there. Source: docs/sparse.md, "Fiber caches"."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.kernel_cache import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.pattern import IntArray

    BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reuse:
    """Accesses that found their row, those that did not, and elements that these fetched."""

    hits: int
    misses: int
    fetched: int


def least_recent(accesses: IntArray, lengths: IntArray, rows: int) -> Reuse:
    """A cache of so many whole rows, of which the least recently used leaves. accesses: row numbers; lengths: elements of every row."""
    return _reuse(_least_recent(accesses, np.ones_like(lengths), _room(rows)), accesses, lengths)


def least_recent_elements(accesses: IntArray, lengths: IntArray, elements: int) -> Reuse:
    """A cache of so many elements: least recently used rows leave until the new one has room; one that is larger passes by."""
    return _reuse(_least_recent(accesses, lengths, _room(elements)), accesses, lengths)


def missed_elements(accesses: IntArray, lengths: IntArray, elements: int) -> BoolArray:
    """Whether each access to such a cache misses, bool[accesses]."""
    return _least_recent(accesses, lengths, _room(elements))


def optimal(accesses: IntArray, lengths: IntArray, rows: int) -> Reuse:
    """The fewest misses that any policy can have with so many whole rows (Belady), where a row may pass by.

    The row whose next use is furthest leaves, of those that are not used again the one with the greatest number; not if that of the new
    row is as far.
    """
    return _reuse(_optimal(accesses, lengths.size, _room(rows)), accesses, lengths)


def fewest(accesses: IntArray, sizes: IntArray, room: int) -> IntArray:
    """What each access fetches where the whole is the least that any cache of the room can fetch, int64[accesses].

    accesses: numbers of tiles; sizes: of every tile, in units of which the cache holds any (as bits). Such a cache knows what will be asked
    for, keeps any part of a tile, and lets what it does not keep pass by: its units are all of one size, for which it is exact that what is
    asked for again latest leaves first (Belady). A cache of whole tiles fetches as much or more, whatever it does: this is a bound.
    """
    return _fewest(accesses, sizes, _room(room))


def _room(size: int) -> int:
    if size < 0:
        raise InputError(f"a cache has no {size} places", "give it 0 or more")
    return size


def _reuse(missed: BoolArray, accesses: IntArray, lengths: IntArray) -> Reuse:
    misses = int(missed.sum())
    return Reuse(accesses.size - misses, misses, int(lengths[accesses][missed].sum()))


@njit(error_model="numpy")
def _least_recent(accesses: IntArray, weights: IntArray, room: int) -> BoolArray:
    """Whether each access misses, bool[accesses]. Rows that are held form a ring from the most recent to the least, `end` between them."""
    end = weights.size
    after, before, held = np.full(end + 1, end), np.full(end + 1, end), np.zeros(end + 1, np.bool_)
    missed, used = np.zeros(accesses.size, np.bool_), 0
    for at in range(accesses.size):
        row = accesses[at]
        missed[at] = not held[row]
        if held[row]:
            after[before[row]], before[after[row]] = after[row], before[row]
        elif weights[row] > room:
            continue
        else:
            used += weights[row]
            held[row] = True
        while used > room:
            least = before[end]
            used -= weights[least]
            held[least] = False
            before[end] = before[least]
            after[before[least]] = end
        after[row], before[row] = after[end], end
        before[after[end]] = row
        after[end] = row
    return missed


@njit(error_model="numpy")
def _optimal(accesses: IntArray, rows: int, room: int) -> BoolArray:
    """Whether each access misses, bool[accesses]."""
    never = accesses.size
    following, latest = np.full(never, never), np.full(rows, never)
    for at in range(never - 1, -1, -1):
        following[at] = latest[accesses[at]]
        latest[accesses[at]] = at
    missed, next_use, used = np.zeros(never, np.bool_), np.full(rows, -1), 0  # next_use: -1 of rows that are not held
    heap = [(0, 0) for _ in range(0)]
    for at in range(never):
        row, then = accesses[at], following[at]
        missed[at] = next_use[row] < 0
        if missed[at]:
            if used == room:
                while heap and next_use[-heap[0][1]] != -heap[0][0]:  # of a use that has been
                    heapq.heappop(heap)
                if not heap or -heap[0][0] <= then:
                    continue
                next_use[-heapq.heappop(heap)[1]] = -1
            else:
                used += 1
        next_use[row] = then
        heapq.heappush(heap, (-then, -row))
    return missed


@njit(error_model="numpy")
def _fewest(accesses: IntArray, sizes: IntArray, room: int) -> IntArray:
    """What each access fetches, int64[accesses]. A heap has the tiles of which something is held, that with the furthest use first."""
    never = accesses.size
    following, latest = np.full(never, never), np.full(sizes.size, never)
    for at in range(never - 1, -1, -1):
        following[at] = latest[accesses[at]]
        latest[accesses[at]] = at
    fetched, held, used = np.zeros(never, np.int64), np.zeros(sizes.size, np.int64), 0
    heap = [(0, 0) for _ in range(0)]
    for at in range(never):
        tile, then = accesses[at], following[at]
        fetched[at] = sizes[tile] - held[tile]
        used -= held[tile]
        held[tile] = 0
        if then < never:
            held[tile] = sizes[tile]
            used += sizes[tile]
            heapq.heappush(heap, (-then, tile))
        while used > room:
            tile = heap[0][1]
            less = min(held[tile], used - room)
            held[tile] -= less
            used -= less
            if held[tile] == 0:
                heapq.heappop(heap)
    return fetched
