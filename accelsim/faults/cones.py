"""What an upset in a memory of a mapped cascade changes, in closed form: the points that read it, their words, and what follows from these.

The struck copy of a word is read by the points that use it from then on, and by all that use copies filled from it later. The words that
these points go into are worked out again in the order of the mapping, all others stay; what differs goes on to the Einsums that read it,
word by word in the order in which one is made out of the other, until nothing differs any more. Every value is the one that `sim.values`
computes with the flipped bit, not an estimate. Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.flows import Points, Stays, depths, of_any, points_of, stays_of, whole_types
from accelsim.faults.lineage import Lineage
from accelsim.faults.stores import IntArray, Store
from accelsim.faults.wordbits import differs, flipped
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Address, Mapping
from accelsim.sim.arithmetic import Arithmetic, Noted, compute, working
from accelsim.sim.formats import SATURATE, WRAP, round_to
from accelsim.sim.values import execute
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access

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


@dataclass
class Spread:
    """A fault on its way: changed values by tensor and number, and reads that get a struck copy, by Einsum and read. `change`: what
    a struck word is instead; `sums`: by Einsum and number of the word that it makes, after how many turns sums are struck.
    """

    struck: dict[tuple[int, int], IntArray] = field(default_factory=dict)
    sums: dict[int, dict[int, set[int]]] = field(default_factory=dict)
    change: Callable[[Any], Any] = lambda value: value
    changed: dict[str, dict[int, Any]] = field(default_factory=dict)
    pending: dict[int, dict[int, list[IntArray]]] = field(default_factory=dict)
    ended: str = ""


class Mapped:
    """A mapped cascade with its inputs, run once without a fault."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, mapping: Mapping, inputs: Dict[str, Any], overflow: str = SATURATE
    ) -> None:
        """Refuses what `execute` and `Lineage` refuse, types whose words share a scale, and sums in parts whose order matters."""
        whole_types(cascade)
        self.cascade, self.architecture, self.mapping, self.overflow = cascade, architecture, mapping, overflow
        also = [name for name, tensor in cascade.tensors.items() if not tensor.is_input]
        computed = execute(cascade, architecture, mapping, inputs, overflow=overflow, also=also)
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
        self.slots = _slots(lineage)
        self.points = [
            points_of(lineage, flow, self.stays, architecture, cascade, overflow) for flow in lineage.flows.values() if flow.made
        ]
        self.by_number = {each.number: each for each in self.points}
        self.readers: dict[str, list[tuple[Points, int]]] = {name: [] for name in cascade.tensors}
        for each in self.points:
            for place, read in enumerate(each.reads):
                self.readers[read.tensor].append((each, place))
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
    def _where(self) -> dict[tuple[str, Address, tuple[int, ...]], tuple[int, int]]:
        """Store and row by tensor, keep and copy."""
        return {(store.tensor, store.address, copy): (store.number, row) for store in self.stores for row, copy in enumerate(store.copies)}

    @cached_property
    def _by_place(self) -> tuple[IntArray, IntArray]:
        """Stays in order of store, row, word and start; and a key for the first three."""
        key = self._key(self.stays.store, self.stays.row, self.stays.word)
        order = np.lexsort((self.stays.start, key))
        return order, key[order]

    def _key(self, store: Any, row: Any, word: Any) -> Any:
        rows = max((len(each.copies) for each in self.stores), default=1)
        words = max(each.words for each in self.stores)
        return (np.asarray(store) * rows + row) * words + word

    def inject(self, fault: Fault) -> Effect:
        """What an upset changes. Refuses places that the mapping does not have."""
        place = self.place(fault.tensor, fault.keep, fault.copy)
        return self._partial(fault, *place) if fault.partial else self._stored(fault, *place)

    def place(self, tensor: str, keep: Address, copy: tuple[int, ...]) -> tuple[int, int]:
        """Store and row of a copy. Refuses those that the mapping does not have."""
        place = self._where.get((tensor, keep, copy))
        if place is None:
            known = {store.tensor for store in self.stores}
            mend = did_you_mean(tensor, known) if tensor not in known else "take a fault of `sites`"
            raise InputError(f"no copy {list(copy)} of a keep at {list(keep)} holds {tensor}", mend)
        return place

    def stay_at(self, store: int, row: int, word: int, step: int) -> int:
        """The stay of a word in a copy during a step, -1 if it is not there."""
        order, keys = self._by_place
        key = int(self._key(store, row, word))
        for at in range(int(np.searchsorted(keys, key)), int(np.searchsorted(keys, key, side="right"))):
            if self.stays.start[order[at]] <= step < self.stays.stop[order[at]]:
                return int(order[at])
        return -1

    def _stored(self, fault: Fault, store: int, row: int) -> Effect:
        stay = self.stay_at(store, row, fault.word, fault.step)
        if stay < 0:
            return Effect({}, UNREAD)
        tensor, root = self.cascade.tensors[fault.tensor], int(self.stays.root[stay])
        value = flipped(self.values[fault.tensor][root], tensor.final, fault.bit, fault.bits)
        spread = Spread(change=lambda _: value, ended=fault.tensor)
        inside = self._filled_after(stay, fault.step)
        for each, read in self.readers[fault.tensor]:
            direct = of_any(each.readers[read], np.array([stay]))
            hit = np.concatenate([direct[each.step[direct] >= fault.step], of_any(each.readers[read], inside)])
            if hit.size:
                spread.struck[each.number, read] = np.unique(hit)
                self.ask(spread, each, each.made[hit])
        output = tensor.is_output and not self.stores[store].address and self.latest[fault.tensor][fault.word] == root
        if not spread.pending and not output:
            return Effect({}, UNREAD)
        self.run(spread)
        changed = self.changes(spread)
        if output:
            words, values = changed.get(fault.tensor, (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=self.golden[fault.tensor].dtype)))
            if differs(value, self.golden[fault.tensor][fault.word]):
                changed[fault.tensor] = (np.append(words, fault.word), np.append(values, value))
        return self.effect(changed, spread)

    def _filled_after(self, stay: int, step: int) -> IntArray:
        """All stays that hold what a stay held after a step."""
        inside = self.stays.inside
        fresh = inside.of(np.array([stay]))
        fresh = fresh[self.stays.start[fresh] > step]
        found = [fresh]
        while fresh.size:
            fresh = inside.of(fresh)
            found.append(fresh)
        return np.concatenate(found)

    def holder(self, each: Points, made: int, step: int) -> int:
        """The store where a word that is being made lies during a step: the innermost whose tile has it."""
        chain = self.chain[each.number, each.einsum.output.tensor]
        for (_, store), row in zip(reversed(chain[1:]), reversed([int(row[made]) for row in each.rows[1:]]), strict=True):
            for start, stop in self.slots.get((store.number, row, int(each.word[made])), ()):
                if start <= step < stop:
                    return store.number
        return chain[0][1].number

    def _partial(self, fault: Fault, store: int, row: int) -> Effect:
        for each in self.points:
            if each.einsum.output.tensor != fault.tensor or not each.movable:
                continue
            for made in np.nonzero((each.word == fault.word) & (each.last >= fault.step))[0]:
                turns = int(np.searchsorted(each.steps[made], fault.step))
                if not turns or self.holder(each, int(made), fault.step) != store:
                    continue
                if each.rows[self.level(each, store)][made] != row:
                    continue
                spread = Spread(change=lambda value: flipped(value, self.cascade.tensors[fault.tensor].partial, fault.bit, fault.bits))
                spread.sums[each.number] = {int(made): {turns}}
                self.ask(spread, each, np.array([made]))
                self.run(spread)
                return self.effect(self.changes(spread), spread)
        return Effect({}, STALE)

    def level(self, each: Points, store: int) -> int:
        """At which place among the stores of a result one is."""
        chain = self.chain[each.number, each.einsum.output.tensor]
        return next(place for place, (_, found) in enumerate(chain) if found.number == store)

    # From words to words.

    def ask(self, spread: Spread, each: Points, made: IntArray) -> None:
        """Words have to be worked out again."""
        depth = self.depth[each.einsum.output.tensor][each.numbers[made]]
        low, high = int(depth.min()), int(depth.max())
        for level in range(low, high + 1):
            part = made if low == high else made[depth == level]
            if part.size:
                spread.pending.setdefault(level, {}).setdefault(each.number, []).append(part)

    def run(self, spread: Spread) -> None:
        while spread.pending:
            level = min(spread.pending)
            for number, parts in spread.pending.pop(level).items():
                each = self.by_number[number]
                made = np.unique(np.concatenate(parts))
                self._note(spread, each, made, self._sum(each, made, spread))

    def _note(self, spread: Spread, each: Points, made: IntArray, values: Any) -> None:
        """New values of words: what differs goes on to those that read it."""
        name = each.einsum.output.tensor
        where = differs(values, self.values[name][each.numbers[made]])
        spread.ended = each.einsum.name
        if not where.any():
            return
        numbers = each.numbers[made[where]]
        spread.changed.setdefault(name, {}).update(zip(numbers.tolist(), values[where], strict=True))
        for other, place in self.readers[name]:
            users = of_any(other.users[place], numbers)
            if users.size:
                self.ask(spread, other, other.made[users])

    def _read(self, spread: Spread, each: Points, access: Access, points: IntArray, lowest: float) -> Any:
        """What points read, with what has changed."""
        place = each.reads.index(access)
        numbers = each.value[place][points]
        values = self.values[access.tensor][numbers]
        changed = spread.changed.get(access.tensor)
        if changed:
            keys = np.fromiter(sorted(changed), dtype=np.int64)
            new = np.array([changed[int(key)] for key in keys])
            at = np.minimum(np.searchsorted(keys, numbers), len(keys) - 1)
            values = np.where(keys[at] == numbers, new[at], values)
        struck = spread.struck.get((each.number, place))
        if struck is not None:
            at = np.minimum(np.searchsorted(struck, points), len(struck) - 1)
            values = np.where(struck[at] == points, spread.change(values), values)
        absent = numbers < 0
        if absent.any():
            fill = self.cascade.tensors[access.tensor].fill
            fill = 0 if fill is None else lowest if fill == float("-inf") else fill
            values = np.where(absent, int(fill) if float(fill).is_integer() and abs(fill) < 2**53 else fill, values)
        return values

    def _sum(self, each: Points, made: IntArray, spread: Spread) -> Any:
        """Words worked out again in the order of the mapping."""
        einsum, tensor = each.einsum, self.cascade.tensors[each.einsum.output.tensor]
        arithmetic = working(tensor.partial, self.overflow)
        table = each.sums[made]
        there = table >= 0
        points = table[there]
        known = {**self.cascade.sizes, **{rank: each.at[rank][points] for rank in each.named}}
        found = compute(
            einsum.expression, known, lambda access: Noted(self._read(spread, each, access, points, arithmetic.lowest)), arithmetic, False
        )
        terms = np.broadcast_to(arithmetic.rounded(np.asarray(found.values)), len(points))
        whole = terms.dtype.kind == "i"
        if not einsum.reduced:
            return self._final(terms, tensor)
        full = np.full(table.shape, arithmetic.identity(einsum.reduce, whole), dtype=terms.dtype)
        full[there] = terms
        full = self._over(each, full, arithmetic)
        struck = spread.sums.get(each.number, {})
        if not struck and whole and einsum.reduce == "add" and self.overflow == WRAP:
            return self._final(arithmetic.rounded(full.sum(axis=(1, 2))), tensor)
        total = np.full(len(made), arithmetic.identity(einsum.reduce, whole), dtype=terms.dtype)
        turns = each.turns[made]
        for turn in range(int(turns.max(initial=0)) + 1):
            hit = np.array([turn in struck.get(int(number), ()) for number in made], dtype=bool) if struck else np.zeros(0, bool)
            if hit.any():
                total[hit] = spread.change(total[hit])
            if turn == full.shape[1]:
                break
            now = total
            for group in range(full.shape[2]):
                now = arithmetic.combine(einsum.reduce, now, full[:, turn, group])
            total = np.where(turn < turns, now, total)
        return self._final(total, tensor)

    def _over(self, each: Points, full: Any, arithmetic: Arithmetic) -> Any:
        """The copies of each turn added up along axes that reduce: (words, turns, groups that the memory adds up)."""
        for place in range(len(each.ways) - 1, -1, -1):
            way = each.ways[place]
            if way == "memory":
                continue
            parts = list(np.moveaxis(full, 2 + place, 0))
            while len(parts) > 1:
                if way == "forward":
                    parts = [arithmetic.combine(each.einsum.reduce, parts[0], parts[1]), *parts[2:]]
                else:
                    pairs = [arithmetic.combine(each.einsum.reduce, *parts[at : at + 2]) for at in range(0, len(parts) - 1, 2)]
                    parts = pairs + parts[len(parts) - len(parts) % 2 :]
            full = parts[0]
        return full.reshape(*full.shape[:2], -1)

    def _final(self, values: Any, tensor: Any) -> Any:
        return round_to(values, tensor.final, overflow=self.overflow)

    def changes(self, spread: Spread) -> dict[str, tuple[IntArray, Any]]:
        """Words whose last value differs."""
        found = {}
        for name, changed in spread.changed.items():
            numbers = np.fromiter(sorted(changed), dtype=np.int64)
            words = self._words(name)[numbers]
            last = self.latest[name][words] == numbers
            if last.any():
                found[name] = (words[last], np.array([changed[int(number)] for number in numbers[last]]))
        return found

    def _words(self, name: str) -> IntArray:
        word = np.arange(len(self.values[name]), dtype=np.int64)
        for each in self.points:
            if each.einsum.output.tensor == name:
                word[each.numbers] = each.word
        return word

    def effect(self, changed: dict[str, tuple[IntArray, Any]], spread: Spread) -> Effect:
        ordered = {}
        for name, (words, values) in changed.items():
            order = np.argsort(words)
            ordered[name] = (words[order], values[order])
        reaches = any(self.cascade.tensors[name].is_output for name in ordered)
        return Effect(ordered, None if reaches else f"no difference after {spread.ended}")


def _slots(lineage: Lineage) -> dict[tuple[int, int, int], list[tuple[int, int]]]:
    """When tiles of results had a word, by store, row and word."""
    found: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for store, row, words, since, until in lineage.stays.slots:
        for word, start in zip(words.tolist(), since.tolist(), strict=True):
            found.setdefault((store, row, word), []).append((start, until))
    return found
