"""Where bits of a mapped cascade lie and for how long they matter: live intervals of every word in every copy of every memory.

From when a word comes until it is read first, from one read to the next, all upsets of a bit have one effect; from the last read until the
word goes they have none. An incomplete sum is one value from one turn to the next. So an interval and a bit are a *class*, its weight the
interval's length; the classes of a memory are all its upsets, and sums over them are exact. Steps are counted in loop order
(`lineage`); a clock that says when each step begins makes times of them. Source: docs/faults-mapped.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.cones import Fault, Mapped, Upsets
from accelsim.faults.stores import IntArray
from accelsim.faults.wordbits import width


@dataclass(frozen=True, slots=True)
class Site:
    """A keep of a tensor: `bits` of a word, complete or (`partial`) not, `copies` of the memory that ever hold any, and sums over the words
    that lie there of bits times steps: of all the time that they do (`bit_steps`), and of what can have an effect (`live_bit_steps`).
    """

    memory: str
    tensor: str
    keep: tuple[int, ...]
    partial: bool
    bits: int
    copies: int
    intervals: int
    bit_steps: int
    live_bit_steps: int


@dataclass(frozen=True)
class Intervals:
    """All intervals of a mapped cascade, arrays by number: store, row of the copy, word, first step and the one after the last, bits of the
    word, whether an upset can be read, whether it strikes an incomplete sum. `clock`: when each step begins and the last one ends;
    `together`: how many adjacent bits flip at once (all of a word that has fewer).
    """

    mapped: Mapped
    store: IntArray
    row: IntArray
    word: IntArray
    start: IntArray
    stop: IntArray
    bits: IntArray
    live: IntArray
    partial: IntArray
    clock: IntArray
    together: int = 1

    @cached_property
    def ways(self) -> IntArray:
        """In how many places of a word bits flip."""
        return np.maximum(1, self.bits - self.together + 1)

    @cached_property
    def length(self) -> IntArray:
        """Time of each interval."""
        found: IntArray = self.clock[self.stop] - self.clock[self.start]
        return found

    @cached_property
    def weight(self) -> IntArray:
        """Upsets of each interval: places of bits times time."""
        found: IntArray = self.ways * self.length
        return found

    @cached_property
    def _ends(self) -> IntArray:
        found: IntArray = np.cumsum(self.ways * (self.stop - self.start))
        return found

    @property
    def population(self) -> int:
        """Different upsets: places of bits times steps."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def fault(self, index: int) -> Fault:
        """Upset number `index` of the population; each is in it once."""
        if not 0 <= index < self.population:
            raise InputError(f"there is no upset {index}", f"take one of 0 to {self.population - 1}")
        at = int(np.searchsorted(self._ends, index, side="right"))
        ways = int(self.ways[at])
        left = index - int(self._ends[at]) + ways * int(self.stop[at] - self.start[at])
        return self.at(at, left % ways, int(self.start[at]) + left // ways)

    def sample(self, rng: np.random.Generator) -> Fault:
        """An upset, all bits and all times being alike."""
        edges = np.cumsum(self.weight)
        if not len(edges) or not edges[-1]:
            raise InputError("no word lies anywhere for any time", "give the cascade a shape")
        at = int(np.searchsorted(edges, rng.integers(int(edges[-1])), side="right"))
        when = int(self.clock[self.start[at]] + rng.integers(int(self.clock[self.stop[at]] - self.clock[self.start[at]])))
        return self.at(at, int(rng.integers(int(self.ways[at]))), int(np.searchsorted(self.clock, when, side="right")) - 1)

    def classes(self) -> Iterator[tuple[Fault, int]]:
        """One upset of every class, those without effect left out, and its weight: the length of the interval."""
        for at in np.nonzero(self.live)[0].tolist():
            length = int(self.length[at])
            for bit in range(int(self.ways[at])) if length else ():
                yield self.at(at, bit, int(self.start[at])), length

    def at(self, at: int, bit: int, step: int) -> Fault:
        """An upset of an interval."""
        store = self.mapped.stores[self.store[at]]
        copy = store.copies[self.row[at]]
        return Fault(store.memory, store.tensor, store.address, copy, int(self.word[at]), bit, step, bool(self.partial[at]), self.together)

    def upsets(self, at: IntArray, bit: IntArray) -> Upsets:
        """Upsets of intervals in their first steps."""
        return Upsets(self.store[at], self.row[at], self.word[at], bit, self.start[at], self.partial[at], self.together)

    def sites(self) -> tuple[Site, ...]:
        """What lies where, outermost keeps first."""
        found = []
        for number, store in enumerate(self.mapped.stores):
            for partial in (False, True):
                mine = (self.store == number) & (self.partial == partial)
                if mine.any():
                    weight, rows = self.bits[mine] * self.length[mine], len(np.unique(self.row[mine]))
                    live = int(weight[self.live[mine].astype(bool)].sum())
                    bits = int(self.bits[mine][0])
                    found.append(
                        Site(store.memory, store.tensor, store.address, partial, bits, rows, int(mine.sum()), int(weight.sum()), live)
                    )
        return tuple(found)


def intervals(mapped: Mapped, clock: IntArray | None = None, together: int = 1) -> Intervals:
    """The intervals of a mapped cascade. `clock`: int64[steps + 1], when each step begins and when the last ends; None: one unit a step.
    `together`: so many adjacent bits flip at once.
    """
    if clock is None:
        clock = np.arange(mapped.steps + 1, dtype=np.int64)
    if clock.shape != (mapped.steps + 1,) or np.any(np.diff(clock) < 0):
        raise InputError(f"a clock of {list(clock.shape)} values", f"give {mapped.steps + 1} that do not fall")
    stored, sums = _stored(mapped), _sums(mapped)
    store, row, word, start, stop, bits, live, partial = (np.concatenate([one, other]) for one, other in zip(stored, sums, strict=True))
    return Intervals(mapped, store, row, word, start, stop, bits, live, partial, clock, together)


def _stored(mapped: Mapped) -> tuple[IntArray, ...]:
    """Of complete words: between reads of their units and of copies further in."""
    stays = mapped.stays
    count = len(stays.store)
    owners, times = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    useful = np.zeros(count, dtype=bool)
    for each in mapped.points:
        for stay in each.stay:
            kept = stay >= 0
            owners.append(stay[kept])
            times.append(each.step[kept] + 1)
            useful[stay[kept]] = True
    for number, store in enumerate(mapped.stores):
        if not store.address and mapped.cascade.tensors[store.tensor].is_output:
            mine = np.nonzero(stays.store == number)[0]
            last = mine[mapped.latest[store.tensor][stays.word[mine]] == stays.root[mine]]
            owners.append(last)
            times.append(np.full(len(last), mapped.steps))
            useful[last] = True
    for inner in range(count - 1, -1, -1):  # a stay is filled from one of a lower number
        if useful[inner] and stays.parent[inner] >= 0:
            useful[stays.parent[inner]] = True
    filled = np.nonzero(useful & (stays.parent >= 0))[0]
    owners.append(stays.parent[filled])
    times.append(stays.start[filled])
    owners.append(np.arange(count))
    times.append(stays.stop)
    owner, time = np.concatenate(owners), np.concatenate(times)
    real = np.ones(len(owner), dtype=np.int64)
    real[len(owner) - count :] = 0
    order = np.lexsort((-real, time, owner))
    owner, time, real = owner[order], time[order], real[order]
    before = np.where(np.append(True, owner[1:] != owner[:-1]), stays.start[owner], np.append(0, time[:-1]))
    kept = time > before
    owner, time, before, real = owner[kept], time[kept], before[kept], real[kept]
    bits = np.array([width(mapped.cascade.tensors[store.tensor].final) for store in mapped.stores], dtype=np.int64)
    stores = stays.store[owner]
    return stores, stays.row[owner], stays.word[owner], before, time, bits[stores], real, np.zeros(len(owner), dtype=np.int64)


def _sums(mapped: Mapped) -> tuple[IntArray, ...]:
    """Of incomplete sums: between their turns, in the keep that has them."""
    sums = mapped.partials
    bits = np.array([width(mapped.cascade.tensors[store.tensor].partial) for store in mapped.stores], dtype=np.int64)
    ones = np.ones(len(sums.store), dtype=np.int64)
    return sums.store, sums.row, sums.word, sums.start, sums.stop, bits[sums.store], ones, ones
