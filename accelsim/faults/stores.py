"""Copies of words in memories while a mapping is walked: which words each copy of a keep holds, from when to when, brought from where.

A *store* is what one keep holds of one tensor, in all copies of the memory; of a computed tensor all keeps that are its home are one store.
A *residency* is a stay of a word in a copy: filled at a step from a residency further out, gone at another. Copies are rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.tree import Address

IntArray = NDArray[np.int64]
Key = tuple[str, str, int]
"""A spatial loop on the way to a leaf: its axis, its rank, and how many such are outside of it."""
NONE = -1


@dataclass(eq=False)
class Store:
    """What a keep holds of a tensor. `keys`: the spatial loops above, in order of name, with a `weight` each; a copy has a number, the sum
    of index times weight, and a row in `held` (residency of each word, -1: none) and `since` (from when its tile of results has a word).
    `address`: of the keep, () for the home of a computed tensor. `spans`: along each dimension of the tensor, how many coordinates the
    widest tile reaches over (of a home of a computed tensor all).
    """

    tensor: str
    memory: str
    address: Address
    keys: tuple[Key, ...]
    sizes: tuple[int, ...]
    words: int
    parent: Store | None
    root: bool
    number: int = 0
    children: list[Store] = field(default_factory=list)
    rows: dict[int, int] = field(default_factory=dict)
    copies: list[tuple[int, ...]] = field(default_factory=list)
    parent_rows: list[int] = field(default_factory=list)
    held: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    since: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    spans: tuple[int, ...] = ()

    @property
    def weights(self) -> dict[Key, int]:
        """What an index along each loop counts in the number of a copy."""
        found, weight = {}, 1
        for key, size in zip(self.keys, self.sizes, strict=True):
            found[key] = weight
            weight *= size
        return found

    def row(self, number: int) -> int:
        """The row of a copy."""
        if number not in self.rows:
            digits, rest = [], number
            for size in self.sizes:
                digits.append(rest % size)
                rest //= size
            self.rows[number] = len(self.copies)
            self.copies.append(tuple(digits))
            above = NONE
            if self.parent is not None:
                weights, index = self.parent.weights, dict(zip(self.keys, digits, strict=True))
                above = self.parent.row(sum(weight * index.get(key, 0) for key, weight in weights.items()))
            self.parent_rows.append(above)
            empty = np.full((1, self.words), NONE, dtype=np.int64)
            self.held = np.concatenate([self.held.reshape(-1, self.words), empty])
            self.since = np.concatenate([self.since.reshape(-1, self.words), empty])
        return self.rows[number]

    def rows_of(self, numbers: Any) -> IntArray:
        """The rows of many copies."""
        unique, inverse = np.unique(np.asarray(numbers, dtype=np.int64), return_inverse=True)
        rows = np.array([self.row(int(number)) for number in unique], dtype=np.int64)
        return rows[inverse.reshape(np.shape(numbers))]


@dataclass
class Residencies:
    """All stays so far, by number: chunks of (store, row, word, root, filled, parent, written), and when they ended.

    `root`: of the words of a home the value that they hold, by its number among those of the tensor; -1 further in. `written`: 1 where a
    word did not come from further out.
    """

    count: int = 0
    chunks: list[tuple[IntArray, ...]] = field(default_factory=list)
    ends: list[tuple[IntArray, int | IntArray]] = field(default_factory=list)
    slots: list[tuple[int, int, IntArray, IntArray, int]] = field(default_factory=list)

    def begin(self, store: Store, rows: Any, words: IntArray, roots: Any, times: Any, parents: Any, written: int = 0) -> IntArray:
        """Words come; those that were there before are gone. Returns the numbers of the stays."""
        size = len(words)
        rows = np.broadcast_to(np.asarray(rows, dtype=np.int64), size)
        times = np.broadcast_to(np.asarray(times, dtype=np.int64), size)
        before = store.held[rows, words]
        old = before >= 0
        if old.any():
            self.ends.append((before[old], times[old]))
        numbers = np.arange(self.count, self.count + size, dtype=np.int64)
        columns = (np.full(size, store.number), rows, words, roots, times, parents, written)
        self.chunks.append(tuple(np.broadcast_to(np.asarray(column, dtype=np.int64), size).copy() for column in columns))
        self.count += size
        store.held[rows, words] = numbers
        return numbers

    def arrive(self, store: Store, row: int, box: IntArray, now: int) -> None:
        """A copy gets its next tile: what it does not touch goes, what is there further out comes."""
        held = store.held[row]
        gone = held >= 0
        gone[box] = False
        if gone.any():
            self.ends.append((held[gone].copy(), now))
            held[gone] = NONE
        want = box[held[box] < 0]
        if not want.size:
            return
        if store.parent is None:
            self.begin(store, row, want, want, now, NONE)
            return
        above = store.parent.held[store.parent_rows[row], want]
        there = above >= 0
        if there.any():
            self.begin(store, row, want[there], NONE, now, above[there])

    def fetch(self, store: Store, rows: IntArray, words: IntArray, times: IntArray) -> IntArray:
        """The stays of words that are read; what is not there comes from further out at the time of its first read. -1: it is nowhere."""
        found = store.held[rows, words]
        lacking = found < 0
        if not lacking.any() or (store.parent is None and not store.root):
            return found
        order = np.lexsort((times[lacking], words[lacking], rows[lacking]))
        row, word, time = rows[lacking][order], words[lacking][order], times[lacking][order]
        first = np.ones(len(row), dtype=bool)
        first[1:] = (row[1:] != row[:-1]) | (word[1:] != word[:-1])
        row, word, time = row[first], word[first], time[first]
        if store.parent is None:
            self.begin(store, row, word, word, time, NONE)
        else:
            above = self.fetch(store.parent, np.asarray(store.parent_rows, dtype=np.int64)[row], word, time)
            there = above >= 0
            if there.any():
                self.begin(store, row[there], word[there], NONE, time[there], above[there])
        return store.held[rows, words]

    def hold(self, store: Store, row: int, box: IntArray, now: int) -> None:
        """A copy gets its next tile of results."""
        since = store.since[row]
        gone = since >= 0
        gone[box] = False
        self.release(store, row, np.nonzero(gone)[0], now)
        fresh = box[since[box] < 0]
        since[fresh] = now

    def release(self, store: Store, row: int, words: IntArray, now: int) -> None:
        """Results leave a copy, and those further in before them."""
        if not words.size:
            return
        for child in store.children:
            for inner, above in enumerate(child.parent_rows):
                if above == row:
                    self.release(child, inner, words, now)
        since = store.since[row]
        held = words[since[words] >= 0]
        if held.size:
            self.slots.append((store.number, row, held, since[held].copy(), now))
            since[held] = NONE
