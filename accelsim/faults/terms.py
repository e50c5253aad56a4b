"""One Einsum of a run without a fault, point by point in the order of its sums, and its words once some of its terms are others.

A sum is not added up again from its beginning: whole numbers that cannot reach the end of their type, or wrap, change by what their terms
change by, and others are taken up where the first term changes, until they are as they were. Sums that are no additions of floating-point
numbers, and whole numbers that may saturate, are made again from there on turn by turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from accelsim.faults.flows import Groups, Points, grouped
from accelsim.faults.kernels_sums import Rounding, add_on
from accelsim.faults.stores import IntArray
from accelsim.faults.wordbits import flipped
from accelsim.sim.arithmetic import Noted, compute, working
from accelsim.sim.formats import FORMATS, WRAP, round_to
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access

_BLOCK = 1 << 20  # terms of sums that are made again at once


class Terms:
    """The points of an Einsum in the order of word, turn and copy: a point's place there is its *slot*.

    `word`, `turn`, `copy`: of each slot, those of `Points.sums`. `depth`: of the word that a slot goes into. `values`: golden values of
    every tensor by number.
    """

    def __init__(self, points: Points, cascade: Cascade, overflow: str, values: dict[str, Any], depth: dict[str, IntArray]) -> None:
        self.points, self.cascade, self.overflow = points, cascade, overflow
        self.einsum, self.reads = points.einsum, points.reads
        self.output = cascade.tensors[points.einsum.output.tensor]
        self.arithmetic = working(self.output.partial, overflow)
        table = points.sums
        self.words, self.turns = table.shape[0], table.shape[1]
        copies = int(np.prod(table.shape[2:], dtype=np.int64))
        self.flat = np.flatnonzero(table.reshape(-1) >= 0)
        self.order = table.reshape(-1)[self.flat]
        self.word, inside = np.divmod(self.flat, max(1, self.turns * copies))
        self.turn, self.copy = np.divmod(inside, copies)
        self.size = len(self.order)
        self.depth = depth[self.output.name][points.numbers][self.word]
        self.step = points.step[self.order]
        self.at = {rank: points.at[rank][self.order] for rank in points.named}
        self.golden = values[self.output.name][points.numbers]
        self.given = [self._given(place, access, values) for place, access in enumerate(self.reads)]
        self.terms = self.computed(np.arange(self.size), self.given)

    def _given(self, place: int, access: Access, values: dict[str, Any]) -> Any:
        """What a read gets, by slot."""
        numbers = self.points.value[place][self.order]
        found, absent = values[access.tensor][numbers], numbers < 0
        if absent.any():
            fill = self.cascade.tensors[access.tensor].fill
            fill = 0 if fill is None else self.arithmetic.lowest if fill == float("-inf") else fill
            found = np.where(absent, int(fill) if float(fill).is_integer() and abs(fill) < 2**53 else fill, found)
        return found

    @cached_property
    def readers(self) -> list[Groups]:
        """For every read, slots by stay."""
        return [grouped(stay[self.order], int(stay.max(initial=-1)) + 1) for stay in self.points.stay]

    @cached_property
    def users(self) -> list[Groups]:
        """For every read, slots by number of the value."""
        return [grouped(value[self.order], int(value.max(initial=-1)) + 1) for value in self.points.value]

    def computed(self, slots: IntArray, given: list[Any]) -> Any:
        """The terms of some slots from what their reads get."""
        known = {**self.cascade.sizes, **{rank: at[slots] for rank, at in self.at.items()}}
        found = compute(
            self.einsum.expression, known, lambda access: Noted(given[self.reads.index(access)]), self.arithmetic, False
        )  # fmt: skip
        return np.broadcast_to(self.arithmetic.rounded(np.asarray(found.values)), len(slots))

    # Sums without a fault.

    @property
    def _identity(self) -> Any:
        return self.arithmetic.identity(self.einsum.reduce, self.terms.dtype.kind == "i")

    @cached_property
    def _full(self) -> Any:
        """Terms by word, turn and copy; the identity where there is none."""
        full = np.full(self.points.sums.shape, self._identity, dtype=self.terms.dtype)
        full.reshape(-1)[self.flat] = self.terms
        return full

    @cached_property
    def _parts(self) -> Any:
        """What the memory adds to a word in each of its turns: [words, turns, parts]."""
        return self._over(self._full)

    @cached_property
    def _before(self) -> Any:
        """Sums before each turn, and after all: [words, turns + 1]."""
        found = np.full((self.words, self.turns + 1), self._identity, dtype=self.terms.dtype)
        for turn in range(self.turns):
            now = found[:, turn]
            for part in range(self._parts.shape[2]):
                now = self.arithmetic.combine(self.einsum.reduce, now, self._parts[:, turn, part])
            found[:, turn + 1] = np.where(turn < self.points.turns, now, found[:, turn])
        return found

    def _over(self, full: Any) -> Any:
        """The copies of each turn added up along axes that reduce: (words, turns, parts that the memory adds up)."""
        reduce, ways = self.einsum.reduce, self.points.ways
        for place in range(len(ways) - 1, -1, -1):
            if ways[place] == "memory":
                continue
            parts = list(np.moveaxis(full, 2 + place, 0))
            while len(parts) > 1:
                if ways[place] == "forward":
                    parts = [self.arithmetic.combine(reduce, parts[0], parts[1]), *parts[2:]]
                else:
                    pairs = [self.arithmetic.combine(reduce, *parts[at : at + 2]) for at in range(0, len(parts) - 1, 2)]
                    parts = pairs + parts[len(parts) - len(parts) % 2 :]
            full = parts[0]
        return full.reshape(*full.shape[:2], -1)

    @cached_property
    def _is_whole(self) -> bool:
        """Whether words are sums of whole numbers."""
        return self.einsum.reduce == "add" and self.output.partial.kind == "integer"

    @cached_property
    def _most(self) -> IntArray:
        """Of each word how far any sum of some of its terms is from 0 at most."""
        found: IntArray = np.abs(self._full).reshape(self.words, -1).sum(axis=1)
        return found

    def _stays_within(self, words: IntArray, change: Any) -> Any:
        """Whether sums of whole numbers whose terms change by so much, and all their parts, are as if their type had no end."""
        return (self.overflow == WRAP) | (self._most[words] + change <= FORMATS[self.output.partial.name].largest)

    def _final(self, values: Any) -> Any:
        return round_to(values, self.output.final, overflow=self.overflow)

    @property
    def words_made(self) -> Any:
        """The words without a fault, by number of the word made: what `sim.values.execute` finds by walking the mapping."""
        return self._final(self._before[:, -1] if self.einsum.reduced else self.terms)

    # Sums of which terms are others.

    def changed(self, fault: IntArray, slots: IntArray, terms: Any) -> tuple[IntArray, IntArray, Any]:
        """Words, by fault, with some terms changed: fault, word made, value. Slots rise within faults, and these rise."""
        word = self.word[slots]
        first = np.flatnonzero(np.append(True, (fault[1:] != fault[:-1]) | (word[1:] != word[:-1])))
        owner, words = fault[first], word[first]
        if not self.einsum.reduced:
            return owner, words, self._final(terms)
        if not self._is_whole:
            return owner, words, self._final(self._again(words, first, slots, terms))
        change = terms - self.terms[slots]
        found = self.arithmetic.rounded(self._before[words, -1] + np.add.reduceat(change, first))
        beyond = ~self._stays_within(words, np.add.reduceat(np.abs(change), first))
        if beyond.any():
            lengths = np.diff(np.append(first, len(slots)))
            part = np.repeat(beyond, lengths)
            starts = np.cumsum(lengths[beyond]) - lengths[beyond]
            found[beyond] = self._again(words[beyond], starts, slots[part], terms[part])
        return owner, words, self._final(found)

    def struck(self, words: IntArray, turns: IntArray, bits: IntArray, together: int = 1) -> Any:
        """Values of words of whose sums a bit, or so many adjacent ones from it up, is inverted before a turn."""
        before = self._before[words, turns]
        start = flipped(before, self.output.partial, bits, together)
        if self._is_whole:
            within = self._stays_within(words, np.abs(start - before))
            found = self.arithmetic.rounded(self._before[words, -1] + start - before)
            if within.all():
                return self._final(found)
        nothing = np.zeros(0, dtype=np.int64)
        return self._final(self._sums(words, turns, start, nothing, nothing, self._parts[:0, 0]))

    def forced(self, words: IntArray, slots: IntArray, terms: Any, turns: dict[int, set[int]], change: Callable[[Any], Any]) -> Any:
        """Values of words with some terms changed, whose sums become others before each of some turns: `turns` of each word."""
        full = self._full.reshape(-1).astype(np.result_type(self._full, terms))
        full[self.flat[slots]] = terms
        parts = self._over(full.reshape(self._full.shape)[words])
        total, last = np.full(len(words), self._identity, dtype=parts.dtype), self.points.turns[words]
        for turn in range(self.turns):
            hit = np.array([turn in turns.get(int(word), ()) for word in words], dtype=bool)
            total[hit] = change(total[hit])
            now = total
            for part in range(parts.shape[2]):
                now = self.arithmetic.combine(self.einsum.reduce, now, parts[:, turn, part])
            total = np.where(turn < last, now, total)
        return self._final(total)

    def _again(self, words: IntArray, first: IntArray, slots: IntArray, terms: Any) -> Any:
        """Sums made again with some terms changed: those of words[i] from slots[first[i]] on."""
        pair = np.repeat(np.arange(len(words)), np.diff(np.append(first, len(slots))))
        turn = self.turn[slots]
        fresh = np.append(True, (pair[1:] != pair[:-1]) | (turn[1:] != turn[:-1]))
        begins = np.flatnonzero(fresh)
        pairs, turns = pair[begins], turn[begins]
        full = self._full[words[pairs], turns]
        full.reshape(len(pairs), -1)[np.cumsum(fresh) - 1, self.copy[slots]] = terms
        starts = turn[first]
        return self._sums(words, starts, self._before[words, starts], pairs, turns, self._over(full[:, None])[:, 0])

    def _sums(self, words: IntArray, starts: IntArray, sums: Any, pairs: IntArray, turns: IntArray, parts: Any) -> Any:
        """Sums from a turn on, with other parts in some turns: parts[j] is added to that of words[pairs[j]] in turns[j]."""
        if self.einsum.reduce == "add" and not self._is_whole:
            rounding, begins = Rounding.of(self.output.partial, self.overflow), np.searchsorted(pairs, np.arange(len(words) + 1))
            return add_on(
                rounding, self._before, self._parts, self.points.turns, words, starts, sums, begins, turns, np.ascontiguousarray(parts)
            )  # fmt: skip
        most = max(1, _BLOCK // max(1, self._parts[0].size))
        if len(words) > most:
            cuts = [(at, min(at + most, len(words))) for at in range(0, len(words), most)]
            inner = [np.searchsorted(pairs, cut) for cut in cuts]
            return np.concatenate(
                [
                    self._sums(words[low:high], starts[low:high], sums[low:high], pairs[a:b] - low, turns[a:b], parts[a:b])
                    for (low, high), (a, b) in zip(cuts, inner, strict=True)
                ]
            )
        added = self._parts[words]
        added[pairs, turns] = parts
        total, last = sums.copy(), self.points.turns[words]
        for turn in range(int(starts.min(initial=self.turns)), self.turns):
            now = total
            for part in range(added.shape[2]):
                now = self.arithmetic.combine(self.einsum.reduce, now, added[:, turn, part])
            total = np.where((turn >= starts) & (turn < last), now, total)
        return total
