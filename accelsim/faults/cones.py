"""What an upset in a memory of a mapped cascade changes, in closed form: the points that read it, their words, and what follows from these.

The struck copy of a word is read by the points that use it from then on, and by all that use copies filled from it later. The words that
these points go into are worked out again in the order of the mapping, all others stay; what differs goes on to the Einsums that read it,
word by word in the order in which one is made out of the other, until nothing differs any more. Every value is the one that `sim.values`
computes with the flipped bit, not an estimate. Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.flows import Stays, depths, points_of, stays_of, whole_types
from accelsim.faults.lineage import Lineage
from accelsim.faults.partials import Partials, partials_of, slots_of
from accelsim.faults.spread import Spread
from accelsim.faults.stores import IntArray, Store
from accelsim.faults.terms import Terms
from accelsim.faults.wordbits import differs, flipped
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Address, Mapping
from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.formats import SATURATE, round_to
from accelsim.sim.values import execute
from accelsim.workload.cascade import Cascade

_Columns = dict[str, list[tuple[IntArray, IntArray, Any]]]  # by tensor: fault, word, value
UNREAD, STALE = "never read again", "replaced before it is read"


@dataclass(frozen=True, slots=True)
class Fault:
    """An upset: a bit of a word of a tensor, in one copy of a keep, during a step; `bits` of them from there up, if the word has so many.

    `keep`: address of the keep in the loop tree, () for the home of a computed tensor. `copy`: an index for every spatial loop above it, in
    order of axis, rank and place. `word`: flat. `partial`: the word is an incomplete sum, in its partial type.
    """

    memory: str
    tensor: str
    keep: Address
    copy: tuple[int, ...]
    word: int
    bit: int
    step: int
    partial: bool = False
    bits: int = 1


@dataclass(frozen=True)
class Effect:
    """What a fault changes: of every tensor that the cascade computes the words that differ and their values; outputs as they are at the
    end of the run, others as they were made last. `masked`: why nothing of an output differs, None if something does.
    """

    changed: dict[str, tuple[IntArray, Any]]
    masked: str | None


class Upsets(NamedTuple):
    """Many faults, int64 arrays of one length: store and row of the copy, flat word, bit, step, whether it strikes an incomplete sum; and
    how many adjacent bits each inverts.
    """

    store: IntArray
    row: IntArray
    word: IntArray
    bit: IntArray
    step: IntArray
    partial: IntArray
    bits: int = 1


@dataclass(frozen=True)
class Changes:
    """What many faults change. `words`: by tensor the fault, the word and the value of all that differ, in order of fault and word.

    `masked`: int64[faults], 0 if an output differs, else why none does: `reasons[masked]`. `seen`: by tensor the fault, the word and the
    value of struck copies that a point reads, in order of fault.
    """

    words: dict[str, tuple[IntArray, IntArray, Any]]
    masked: IntArray
    reasons: tuple[str | None, ...]
    seen: dict[str, tuple[IntArray, IntArray, Any]]

    @property
    def effect(self) -> Effect:
        """That of the only fault."""
        return Effect({name: (words, values) for name, (_, words, values) in self.words.items()}, self.reasons[self.masked[0]])


class Mapped:
    """A mapped cascade with its inputs, run once without a fault."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, mapping: Mapping, inputs: Dict[str, Any], overflow: str = SATURATE,
        checked: bool = False,
    ) -> None:  # fmt: skip
        """Refuses what `execute` and `Lineage` refuse, types whose words share a scale, and sums in parts whose order matters; `checked`:
        it does not ask whether the mapping is legal.
        """
        whole_types(cascade)
        self.cascade, self.architecture, self.mapping, self.overflow = cascade, architecture, mapping, overflow
        also = [name for name, tensor in cascade.tensors.items() if not tensor.is_input]
        computed = execute(cascade, architecture, mapping, inputs, overflow=overflow, also=also, checked=checked)
        self.golden = {name: np.ravel(value) for name, value in computed.items()}
        for name, tensor in cascade.tensors.items():
            if tensor.is_input:
                array = np.asarray(inputs[name])
                array = array.astype(np.int64 if array.dtype.kind in "iub" else np.float64)
                array = np.where(np.isneginf(array), Arithmetic(tensor.final).lowest, array) if array.dtype.kind == "f" else array
                self.golden[name] = np.ravel(round_to(array, tensor.final, overflow=overflow))
        lineage = Lineage(cascade, mapping)
        self.stores: list[Store] = lineage.stores
        self.steps, self.visits, self.branches = lineage.steps, lineage.visits, lineage.branches
        self.chain = lineage.chain
        self.stays: Stays = stays_of(lineage)
        self.slots = slots_of(lineage)
        self.points = [
            points_of(lineage, flow, self.stays, architecture, cascade, overflow) for flow in lineage.flows.values() if flow.made
        ]
        self.values = {name: self.golden[name] for name in cascade.tensors}
        for name in cascade.tensors:
            word = np.arange(lineage.values[name], dtype=np.int64)
            for each in self.points:
                if each.einsum.output.tensor == name:
                    word[each.numbers] = each.word
            self.values[name] = self.golden[name][word]
        self.depth = depths(self.points, lineage.values)
        self.latest = {name: self._latest(name) for name in also}

    def _latest(self, name: str) -> IntArray:
        """The number of the value of every word that was made last (-1: never), of copies that make it in one step the last."""
        found = np.full(self.golden[name].size, -1, dtype=np.int64)
        makers = [each for each in self.points if each.einsum.output.tensor == name]
        if makers:
            last = np.concatenate([each.last for each in makers])
            home = np.concatenate([each.rows[0] for each in makers])
            copies = self.chain[makers[0].number, name][0][1].copies
            place = np.array([sorted(copies).index(copy) for copy in copies], dtype=np.int64)
            order = np.lexsort((place[home], last))
            found[np.concatenate([each.word for each in makers])[order]] = np.concatenate([each.numbers for each in makers])[order]
        return found

    @cached_property
    def partials(self) -> Partials:
        """Where incomplete sums lie."""
        return partials_of(self.points, self.chain, self.slots)

    @cached_property
    def tables(self) -> list[Terms]:
        """What each Einsum of `points` computes without a fault."""
        return [Terms(each, self.cascade, self.overflow, self.values, self.depth) for each in self.points]

    @cached_property
    def readers(self) -> dict[str, list[tuple[int, int]]]:
        """What reads a tensor: Einsums by their place among `points`, and which of their reads."""
        found: dict[str, list[tuple[int, int]]] = {name: [] for name in self.cascade.tensors}
        for table, each in enumerate(self.points):
            for place, read in enumerate(each.reads):
                found[read.tensor].append((table, place))
        return found

    @cached_property
    def word(self) -> dict[str, IntArray]:
        """The word of every value of every tensor, by number."""
        found = {name: np.arange(len(values), dtype=np.int64) for name, values in self.values.items()}
        for each in self.points:
            found[each.einsum.output.tensor][each.numbers] = each.word
        return found

    @cached_property
    def _where(self) -> dict[tuple[str, Address, tuple[int, ...]], tuple[int, int]]:
        """Store and row by tensor, keep and copy."""
        return {(store.tensor, store.address, copy): (store.number, row) for store in self.stores for row, copy in enumerate(store.copies)}

    def inject(self, fault: Fault) -> Effect:
        """What an upset changes. Refuses places that the mapping does not have."""
        place = self.place(fault.tensor, fault.keep, fault.copy)
        if not 0 <= fault.word < self.stores[place[0]].words:
            raise InputError(f"{fault.tensor} has no word {fault.word}", f"take one of 0 to {self.stores[place[0]].words - 1}")
        columns = (*place, fault.word, fault.bit, fault.step, fault.partial)
        store, row, word, bit, step, partial = (np.array([each], dtype=np.int64) for each in columns)
        return self.changes(Upsets(store, row, word, bit, step, partial, fault.bits)).effect

    def place(self, tensor: str, keep: Address, copy: tuple[int, ...]) -> tuple[int, int]:
        """Store and row of a copy. Refuses those that the mapping does not have."""
        place = self._where.get((tensor, keep, copy))
        if place is None:
            known = {store.tensor for store in self.stores}
            mend = did_you_mean(tensor, known) if tensor not in known else "take a fault of `sites`"
            raise InputError(f"no copy {list(copy)} of a keep at {list(keep)} holds {tensor}", mend)
        return place

    def changes(self, upsets: Upsets) -> Changes:
        """What many upsets change, each alone."""
        spread = Spread(self.tables, self.readers, len(upsets.store))
        found: _Columns = {}
        seen: _Columns = {}
        reached = np.zeros(len(upsets.store), dtype=bool)
        for number in np.unique(upsets.store):
            mine = np.flatnonzero((upsets.store == number) & (upsets.partial == 0))
            if mine.size:
                reached[mine] = self._stored(self.stores[number], mine, upsets, spread, found, seen)
        sums = np.flatnonzero(upsets.partial)
        reached[sums] = self._partial(sums, upsets, spread)
        spread.run()
        return replace(self.ended(spread, found, reached, upsets.store, upsets.partial), seen=_sorted(seen))

    def ended(
        self, spread: Spread, found: _Columns, reached: Any, store: IntArray, partial: IntArray
    ) -> Changes:
        """What faults that have spread change, and `found` at home besides; `reached`: whether anything read what was struck."""
        for name, chunks in spread.changed.items():
            for fault, numbers, values in chunks:
                made = self.word[name][numbers]
                last = self.latest[name][made] == numbers
                found.setdefault(name, []).append((fault[last], made[last], values[last]))
        tensors = list(self.cascade.tensors)
        after = [each.einsum.name for each in self.points] + tensors
        reasons = (None, UNREAD, STALE, *(f"no difference after {name}" for name in after))
        struck = np.array([tensors.index(store.tensor) for store in self.stores], dtype=np.int64)[store]
        latest = np.where(spread.ended < 0, len(self.points) + struck, spread.ended)
        masked = np.where(reached, 3 + latest, 1 + partial)
        words = _sorted(found)
        for name, (fault, _, _) in words.items():
            if self.cascade.tensors[name].is_output:
                masked[fault] = 0
        return Changes(words, masked, reasons, {})

    def _stored(
        self, store: Store, mine: IntArray, upsets: Upsets, spread: Spread, found: _Columns, seen: _Columns
    ) -> Any:  # fmt: skip
        """Upsets of complete words in copies of one store, and whether anything reads them; outputs at home are in `found`, words
        that points read in `seen`.
        """
        tensor = self.cascade.tensors[store.tensor]
        stays = self.stays.places.find(upsets.store[mine], upsets.row[mine], upsets.word[mine], upsets.step[mine])
        reached, there = np.zeros(len(mine), dtype=bool), np.flatnonzero(stays >= 0)
        stays, faults = stays[there], mine[there]
        word, step = upsets.word[faults], upsets.step[faults]
        root = self.stays.root[stays]
        values = flipped(self.values[store.tensor][root], tensor.final, upsets.bit[faults], upsets.bits)
        inside, of = self._filled_after(stays, step)
        for table, place in self.readers[store.tensor]:
            terms = self.tables[table]
            slots, readers = terms.readers[place].of(stays)
            later = terms.step[slots] >= step[readers]
            slots, readers = slots[later], readers[later]
            others, filled = terms.readers[place].of(inside)
            slots, readers = np.append(slots, others), np.append(readers, of[filled])
            spread.ask(table, place, faults[readers], slots, values[readers])
            reached[there[readers]] = True
        read = reached[there]
        seen.setdefault(store.tensor, []).append((faults[read], word[read], values[read]))
        if tensor.is_output and not store.address:
            kept = self.latest[store.tensor][word] == root
            reached[there[kept]] = True
            kept &= differs(values, self.golden[store.tensor][word])
            found.setdefault(store.tensor, []).append((faults[kept], word[kept], values[kept]))
        return reached

    def _filled_after(self, stays: IntArray, steps: IntArray) -> tuple[IntArray, IntArray]:
        """All stays that hold what some stays held after some steps, and which of these each holds it of."""
        fresh, of = self.stays.inside.of(stays)
        later = self.stays.start[fresh] > steps[of]
        fresh, of = fresh[later], of[later]
        found, owners = [fresh], [of]
        while fresh.size:
            fresh, inner = self.stays.inside.of(fresh)
            of = of[inner]
            found.append(fresh)
            owners.append(of)
        return np.concatenate(found), np.concatenate(owners)

    def _partial(self, mine: IntArray, upsets: Upsets, spread: Spread) -> Any:
        """Upsets of incomplete sums, and whether there was one."""
        sums = self.partials
        where = sums.places.find(upsets.store[mine], upsets.row[mine], upsets.word[mine], upsets.step[mine])
        there = np.flatnonzero(where >= 0)
        for table, each in enumerate(self.points):
            some = there[sums.number[where[there]] == each.number]
            if some.size:
                made, faults = sums.made[where[some]], mine[some]
                values = self.tables[table].struck(made, sums.turn[where[some]], upsets.bit[faults], upsets.bits)
                spread.ended[faults] = table
                spread.note(table, faults, made, values)
        return where >= 0


def _sorted(found: _Columns) -> dict[str, tuple[IntArray, IntArray, Any]]:
    """In order of fault and word."""
    words = {}
    for name, chunks in found.items():
        fault, word, values = (np.concatenate([chunk[at] for chunk in chunks]) for at in range(3))
        if len(fault):
            order = np.lexsort((word, fault))
            words[name] = (fault[order], word[order], values[order])
    return words
