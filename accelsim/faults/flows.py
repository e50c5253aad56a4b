"""A walked mapping as tables: the points of each Einsum with what they read, the words that it makes in the order of their sums, stays.

Words of a tensor have numbers: first those of the tensor itself (inputs and constants are read by them), then one for each time that the
mapping makes a word. A *sum* is a table (words, turns, copies along each spatial loop over a reduced rank) of points, -1: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.executed import Flow
from accelsim.faults.lineage import Lineage
from accelsim.faults.stores import NONE, IntArray
from accelsim.hardware.architecture import Architecture
from accelsim.sim.formats import FORMATS, WRAP
from accelsim.sim.sums import crossings
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, own_names


def ranges(starts: IntArray, stops: IntArray) -> IntArray:
    """The numbers from each start up to its stop, one after the other."""
    lengths = stops - starts
    total = int(lengths.sum())
    if not total:
        return np.zeros(0, dtype=np.int64)
    ends = np.cumsum(lengths)
    found: IntArray = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return found


@dataclass(frozen=True)
class Groups:
    """Members by owner: those of owner i are `order[starts[i]:starts[i + 1]]`."""

    order: IntArray
    starts: IntArray

    def of(self, owners: IntArray) -> tuple[IntArray, IntArray]:
        """The members of some owners, owner by owner, and which of these owners each is of; owners beyond the last have none."""
        last = len(self.starts) - 1
        starts, stops = self.starts[np.minimum(owners, last)], self.starts[np.minimum(owners + 1, last)]
        return self.order[ranges(starts, stops)], np.repeat(np.arange(len(owners)), stops - starts)


def grouped(owners: IntArray, count: int) -> Groups:
    """Members 0, 1, … by their owners (-1: none), in order."""
    order = np.argsort(owners, kind="stable")
    return Groups(order, np.searchsorted(owners[order], np.arange(count + 1)))


@dataclass(frozen=True)
class Places:
    """What lies where, when: numbers in order of place (a number made of store, row and word) and start; `stop` by number."""

    order: IntArray
    place: IntArray
    start: IntArray
    stop: IntArray
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, store: IntArray, row: IntArray, word: IntArray, start: IntArray, stop: IntArray) -> Places:
        """Of what comes at `start` and is gone at `stop`; at one place nothing lies while another does."""
        lasting = np.flatnonzero(stop > start)
        sizes = tuple(int(each.max(initial=0)) + 1 for each in (store, row, word))
        place = np.ravel_multi_index((store[lasting], row[lasting], word[lasting]), sizes)
        order = np.lexsort((start[lasting], place))
        return cls(lasting[order], place[order], start[lasting][order], stop, sizes)

    def find(self, store: IntArray, row: IntArray, word: IntArray, step: IntArray) -> IntArray:
        """The numbers of what lies in some copies during some steps, -1: nothing."""
        if not len(self.order):
            return np.full(len(store), NONE, dtype=np.int64)
        inside = (store < self.sizes[0]) & (row < self.sizes[1]) & (word < self.sizes[2])
        place = np.ravel_multi_index((store, row, word), self.sizes, mode="clip")
        span = 1 + max(int(self.start.max()), int(step.max(initial=0)))
        at = np.searchsorted(self.place * span + self.start, place * span + step, side="right") - 1
        found = self.order[np.maximum(at, 0)]
        there = inside & (at >= 0) & (self.place[np.maximum(at, 0)] == place) & (step < self.stop[found])
        return np.where(there, found, NONE)


@dataclass(frozen=True)
class Stays:
    """Every stay of a word in a copy, arrays by number: store, row, word, number of the value held, steps from and to, stay further out,
    and whether the word was made there or came from outside of all memories, instead of from that stay.
    """

    store: IntArray
    row: IntArray
    word: IntArray
    root: IntArray
    start: IntArray
    stop: IntArray
    parent: IntArray
    written: IntArray

    @cached_property
    def inside(self) -> Groups:
        """Stays that were filled from each stay."""
        return grouped(self.parent, len(self.parent))

    @cached_property
    def places(self) -> Places:
        """Where they are when."""
        return Places.of(self.store, self.row, self.word, self.start, self.stop)


def stays_of(lineage: Lineage) -> Stays:
    """The stays of a walk. One that nothing ends lasts as long as the run."""
    found = lineage.stays
    columns = [np.concatenate([chunk[at] for chunk in found.chunks]) if found.chunks else np.zeros(0, dtype=np.int64) for at in range(7)]
    store, row, word, root, start, parent, written = columns
    stop = np.full(found.count, lineage.steps, dtype=np.int64)
    for numbers, time in found.ends:
        stop[numbers] = time
    root = root.copy()
    unknown = np.nonzero(root < 0)[0]
    while unknown.size:
        root[unknown] = root[parent[unknown]]
        unknown = unknown[root[unknown] < 0]
    return Stays(store, row, word, root, start, np.maximum(stop, start), parent, np.where(parent < 0, 1, written))


@dataclass(frozen=True)
class Points:
    """What an Einsum does, by point in order of execution, and by word that it makes.

    `stay[a]`, `value[a]`: the stay that read a of a point uses (-1: none), and the number of the value that it gets (-1: the fill).
    `numbers`, `word`, `rows`, `last`: of words made, the number of the value, the word, the rows of its stores (outermost first), the step
    of its last point. `sums`: (words, turns, copies…) of points. `steps`: of each word the step of each turn, `turns` how many. `movable`:
    sums lie in one place at a time, so that a partial result may be struck.
    """

    einsum: Einsum
    number: int
    at: dict[str, IntArray]
    step: IntArray
    made: IntArray
    stay: list[IntArray]
    value: list[IntArray]
    numbers: IntArray
    word: IntArray
    rows: list[IntArray]
    last: IntArray
    sums: IntArray
    steps: IntArray
    turns: IntArray
    ways: tuple[str, ...]
    movable: bool

    @cached_property
    def reads(self) -> tuple[Access, ...]:
        """What a point reads."""
        return self.einsum.reads

    @cached_property
    def named(self) -> tuple[str, ...]:
        """Ranks whose coordinates are part of the value of a point."""
        return tuple(name for name in own_names(Access("", (self.einsum.expression,))) if name in self.at)


def points_of(lineage: Lineage, flow: Flow, stays: Stays, architecture: Architecture, cascade: Cascade, overflow: str) -> Points:
    """The tables of one Einsum. Refuses sums that several copies keep parts of, in types where their order matters."""
    einsum = flow.branch.einsum
    ranks, reads, levels = einsum.ranks, einsum.reads, flow.levels
    width = len(ranks) + 2 + len(levels) + 2 * len(reads)
    columns = [np.concatenate([chunk[at] for chunk in flow.chunks]) if flow.chunks else np.zeros(0, dtype=np.int64) for at in range(width)]
    step, made = columns[len(ranks)], columns[len(ranks) + 1]
    digits = columns[len(ranks) + 2 : len(ranks) + 2 + len(levels)]
    touched = columns[len(ranks) + 2 + len(levels) :]
    stay = touched[0::2]
    value = list(touched[1::2])
    for place, each in enumerate(stay):
        value[place] = np.where(each >= 0, stays.root[each], value[place]) if len(stays.root) else value[place]
    *outer, unit = crossings(flow.branch, architecture)
    parted = any(level in levels for crossing in outer for level in crossing.loops)
    partial = cascade.tensors[einsum.output.tensor].partial
    free = partial.kind == "integer" and (overflow == WRAP or einsum.reduce in {"max", "min"})
    if parted and not free:
        what = f"copies keep parts of the sums of {einsum.name}, and the order of its {partial.name} sums matters"
        raise InputError(what, "take a mapping that keeps the result above the spatial loops over reduced ranks", flow.branch.leaf.place)
    known = dict(zip(unit.loops, unit.ways, strict=True))
    ways = tuple("memory" if parted else known[level] for level in levels)
    numbers, word, *rows = (np.concatenate([chunk[at] for chunk in flow.made]) for at in range(len(flow.made[0])))
    order = np.argsort(numbers)
    numbers, word, rows = numbers[order], word[order], [row[order] for row in rows]
    last = np.full(len(numbers), lineage.steps, dtype=np.int64)
    for done, times in flow.done:
        last[np.searchsorted(numbers, done)] = times
    local = np.searchsorted(numbers, made)
    sums, steps, turns = _sums(local, step, digits, len(numbers))
    at = dict(zip(ranks, columns, strict=False))
    return Points(einsum, flow.branch.number, at, step, local, stay, value, numbers, word, rows, last, sums, steps, turns, ways, not parted)


def _sums(made: IntArray, step: IntArray, digits: list[IntArray], count: int) -> tuple[IntArray, IntArray, IntArray]:
    """The points of every word by turn and copy, the step of every turn (beyond the last: the greatest number), and how many turns."""
    order = np.lexsort((step, made))
    word, time = made[order], step[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (word[1:] != word[:-1]) | (time[1:] != time[:-1])
    turn_of = np.cumsum(fresh) - 1
    turns = np.bincount(word[fresh], minlength=count).astype(np.int64)
    first = np.cumsum(turns) - turns
    turn = turn_of - first[word]
    most = int(turns.max(initial=0))
    sizes = [int(digit.max(initial=0)) + 1 for digit in digits]
    sums = np.full([count, most, *sizes], NONE, dtype=np.int64)
    sums[(word, turn, *(digit[order] for digit in digits))] = order
    steps = np.full([count, most], np.iinfo(np.int64).max, dtype=np.int64)
    steps[word, turn] = time
    return sums, steps, turns


def whole_types(cascade: Cascade) -> None:
    """InputError for types whose words share a scale."""
    for tensor in cascade.tensors.values():
        for number_type in (tensor.final, tensor.partial):
            if FORMATS[number_type.name].exponent is not None:
                what = f"{tensor.name} is {number_type.name}, whose words share the bits of their scale"
                raise InputError(what, "give it a type without blocks")


def depths(points: list[Points], sizes: dict[str, int]) -> dict[str, Any]:
    """For every value of every tensor, how many words are made one out of the other up to it: int64 by number."""
    depth = {name: np.zeros(size, dtype=np.int64) for name, size in sizes.items()}
    changed = True
    while changed:
        changed = False
        for each in points:
            if not len(each.made):
                continue
            most = np.zeros(len(each.numbers), dtype=np.int64)
            for read, value in zip(each.reads, each.value, strict=True):
                known = np.where(value >= 0, depth[read.tensor][value], 0)
                np.maximum.at(most, each.made, known)
            mine = depth[each.einsum.output.tensor]
            if np.any(mine[each.numbers] != most + 1):
                mine[each.numbers] = most + 1
                changed = True
    return depth
