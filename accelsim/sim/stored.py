"""A mapping run over stored elements: every tile of its own size, every copy at its own pace. Source: docs/sparse.md, "Simulation"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import Fuse, Keep, Mapping, TreeNode
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored, nests
from accelsim.model.stored_traffic import FILLED, READ, UPDATED, Traffic, room_of
from accelsim.sim import kernels_stored as k
from accelsim.sim.simulation import FILL, MEMORY, PORT, ROOM, Event, Simulation, Unit, Wait
from accelsim.sparse import kernels_record as log
from accelsim.sparse.nest import STEPS, Nest, Walk, fibers_of, known_by, tables

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray

MOST = 1 << 23
"""Rows of a log: tiles that move, runs of results, and visits of the innermost keep, over all copies."""
_KINDS = {k.LOAD: "load", k.FETCH: "load", k.OPEN: "load", k.DRAIN: "drain", k.MERGE: "compute", k.COMPUTE: "compute"}


def simulate_stored(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray], events: int = 0) -> Simulation:
    """Run a mapping over the stored elements of some inputs, int64[dimensions, elements]; `events`: how many firings to keep.

    Einsums run one after the other. Refuses what `evaluate_stored` does, DRAM that has a table, and runs of too many firings.
    """
    machine = evaluator.architecture
    if machine.root.dram is not None:
        what = f"{machine.root.name} is a DRAM with a table, which is not simulated over stored elements"
        raise IllegalMapping(what, "give it a bandwidth instead")
    evaluation = evaluate_stored(evaluator, mapping, stored).evaluation
    ticks, units, ports, firings = 0, dict[str, Unit](), defaultdict[str, int](int), dict[str, int]()
    kept: list[Event] = []
    for nest, elements in nests(evaluator, mapping, stored):
        one = _Run(evaluator, nest, elements, evaluation.loads[nest.einsum.name].latency)
        for name, busy in one.ports().items():
            ports[name] += busy
        firings |= one.firings()
        kept += one.events(events - len(kept), ticks)
        units[nest.unit] = _after(units.get(nest.unit), one.unit(), evaluator.clock.cycles(ticks))
        ticks += one.ticks
    clock = evaluator.clock
    units = {name: replace(unit, drain=clock.cycles(ticks) - (unit.total - unit.drain)) for name, unit in units.items()}
    spent = {name: clock.cycles(each) for name, each in ports.items()}
    return Simulation(evaluation, ticks, units, spent, firings, tuple(kept), stored=True)


def ahead(mapping: Mapping, root: str) -> Mapping:
    """The mapping with room for two tiles at least of each tensor in every memory but the outermost: one comes while one is used."""

    def twice(nodes: tuple[TreeNode, ...]) -> tuple[TreeNode, ...]:
        found: list[TreeNode] = []
        for node in nodes:
            if isinstance(node, Keep) and node.memory != root:
                node = replace(node, held=tuple(replace(held, copies=max(2, held.copies)) for held in node.held))
            elif isinstance(node, Fuse):
                node = replace(node, branches=tuple(twice(branch) for branch in node.branches))
            found.append(node)
        return tuple(found)

    return replace(mapping, nodes=twice(mapping.nodes))


def _after(one: Unit | None, other: Unit, since: Fraction) -> Unit:
    """What a unit does in two Einsums, one after the other; `since`: cycles before the second."""
    if one is None:
        idle = (Wait(next(iter(other.busy)), FILL, "", since),) if since else ()
        return replace(other, waits=(*idle, *other.waits))
    gap = since - one.total + one.drain
    waits = (*one.waits, *((Wait(next(iter(other.busy)), FILL, "", gap),) if gap else ()), *other.waits)
    return Unit(one.busy | other.busy, waits, other.drain)


class _Ports(NamedTuple):
    """Resources: names, how many of each, and which is the first."""

    names: list[str]
    counts: list[int]

    def first(self, name: str, count: int) -> int:
        """The first resource of a name, of which there are so many copies at least."""
        if name not in self.names:
            self.names.append(name)
            self.counts.append(count)
        return sum(self.counts[: self.names.index(name)])

    def name(self, resource: int) -> tuple[str, int, int]:
        """The name of a resource, which copy it is, and of how many."""
        for name, count in zip(self.names, self.counts, strict=True):
            if resource < count:
                return name, resource, count
            resource -= count
        raise AssertionError("there are no more resources")


class _Run:
    """One Einsum: its log, its tasks, and when each of them begins and ends."""

    def __init__(self, evaluator: Evaluator, nest: Nest, elements: IntArray | None, latency: int) -> None:
        self.evaluator, self.nest, self.machine, self.clock = evaluator, nest, evaluator.architecture, evaluator.clock
        self.issue, self.cycle = evaluator.issue_ticks(nest.einsum.name, nest.unit), evaluator.clock.per_cycle
        fibers = fibers_of(nest)
        made, places = tables(nest, fibers, (self.issue, self.cycle), room_of(evaluator, nest, fibers))
        self.meets = nest.meeting
        rows = np.array([STEPS[nest.turns[level].meets] for level in self.meets], np.int64)
        knows = np.array([known_by(nest, number) for number in range(len(nest.crossings))], np.int64)
        counts, self.log = log.record(made, places, np.array(self.meets, np.int64), rows, knows, MOST)
        if self.log.shape[0] > MOST:
            what = f"{nest.einsum.name} moves more than {MOST:,} tiles, which are not remembered at once"
            raise IllegalMapping(what, "keep larger tiles, or simulate a smaller shape")
        self.traffic = Traffic(evaluator, nest, Walk(counts, fibers, made), elements)
        self.streams = [number for number, crossing in enumerate(nest.crossings) if not crossing.child]
        self.copies, self.resources, self.latency = nest.copies[-1], _Ports([], []), latency
        self.alone = defaultdict[str, int](int)  # ticks of ports, of the first copy, for pointers that no transfer goes with
        plan, asked = self._plan(), self._ticks()
        most = int(plan.crossings[:, k.PLACES].max(initial=1))
        self.tasks = k.build(plan, self.log, asked, self.copies, most)
        since = np.zeros(sum(self.resources.counts), np.int64)
        for name, ticks in self.alone.items():
            since[self.resources.first(name, 1)] = ticks
        self.when, self.span, self.late, self.busy, _ = k.run(self.tasks, since)
        assert self.span.min(initial=0) >= 0, "tasks wait for each other"
        computes = self.tasks.about[:, 0] == k.COMPUTE
        ends = (int(self.span[:, 1].max(initial=0)), int(self.span[computes, 1].max(initial=0)) + self.latency)
        self.ticks = max(*ends, *self.alone.values())

    def _port(self, memory: str, write: bool, copies: int) -> int:
        """The first resource of a memory's port, -1 if it has no limit."""
        port = self.clock.ports.get(memory)
        if port is None or not ((port.write if write else port.read) or port.shared):
            return -1
        name = memory if port.shared else f"{memory} {'write' if write else 'read'}"
        return self.resources.first(name, copies)

    def _plan(self) -> k.Plan:
        nest, machine, result = self.nest, self.machine, self.nest.einsum.output.tensor
        rows, ports = [], []
        used: dict[str, int] = {}
        for each in nest.crossings:
            for memory, above in ((each.parent, each.above_parent), (each.child, each.above_child)):
                used[memory] = max(used.get(memory, 1), nest.copies[above])
        for each in nest.crossings:
            mine = [number for number, other in enumerate(nest.crossings) if other.tensor == each.tensor]
            outer = next((number for number in mine if nest.crossings[number].child == each.parent), -1)
            inner = [number for number in mine if nest.crossings[number].child]
            rows.append((
                self.copies // nest.copies[each.above_child], self.copies // nest.copies[each.above_parent],
                min(each.buffers, len(self.log) + 1), outer,
                each.tensor == result, self._passed(nest.crossings.index(each)),
                bool(inner) and each is nest.crossings[inner[-1]], machine.memories[each.parent].latency_cycles * self.cycle,
            ))  # fmt: skip
            inside = (self._port(each.child, write, used[each.child]) if each.child else -1 for write in (False, True))
            ports.append((*(self._port(each.parent, write, used[each.parent]) for write in (False, True)), *inside))
        work = (
            self.resources.first(nest.unit, self.copies), self.resources.first(f"{nest.unit} merging", self.copies),
            self.latency, self.resources.first(f"{nest.unit} draining", self.copies),
        )  # fmt: skip
        met = []
        for level in self.meets:
            node, own = nest.turns[level].node, nest.copies[level]
            many = min(nest.node_copies(node), own)
            met.append((self.resources.first(f"{node} intersection", nest.node_copies(node)), self.copies // many, many))
        streams = [(number, nest.crossings[number].tensor == result) for number in self.streams]
        return k.Plan(
            np.array(rows, np.int64), np.array(ports, np.int64), np.array(work, np.int64), np.array(met, np.int64).reshape(-1, 3),
            np.array(streams, np.int64).reshape(-1, 2),
        )  # fmt: skip

    def _ticks(self) -> k.Ticks:
        """What every row of the log asks of ports and units: bits of a direction are spread over its transfers by their words."""
        rows, nest = self.log, self.nest
        count, meets, streams = rows.shape[0], len(self.meets), len(self.streams)
        out, into, back_out, back_into, fetched, work, later = np.zeros((7, count), np.int64)
        more = np.zeros((count, meets + streams + 1), np.int64)
        earlier = np.where(rows[:, log.KIND] == log.SENT, self._together(), self._earlier())
        found = k.Ticks(out, into, back_out, back_into, fetched, work, later, more, earlier, np.full(count, -1))
        kind, worked = rows[:, log.KIND], rows[:, log.KIND] == log.WORKED
        found.work[worked] = rows[worked, log.WORDS] * self.issue
        merged = kind == log.MERGED
        for ticks, row in ((found.work, log.WORDS), (found.later, log.BACK), (found.into, log.SERVED)):
            ticks[merged] = rows[merged, row] * self.cycle
        found.more[worked, :meets] = rows[worked, log.MORE : log.MORE + meets] * self.cycle
        for number, crossing in enumerate(nest.crossings):
            parent, child = crossing.parent, crossing.child
            at = np.flatnonzero((kind == (log.BEGUN if self._of_result(number) else log.SENT)) & (rows[:, log.CROSSING] == number))
            words, served, back = (rows[at, column] for column in (log.WORDS, log.SERVED, log.BACK))
            outer, inner = rows[at, log.PARENT], rows[at, log.CHILD]
            if not child:
                place = self.streams.index(number)
                at, moved = np.flatnonzero(worked), rows[worked, log.MORE + meets + place]
                outer = rows[at, log.CHILD] // (self.copies // nest.copies[crossing.above_parent])
                way = UPDATED if self._of_result(number) else READ
                found.more[at, meets + place] = self._spread(number, parent, way, moved, outer)
                if self._of_result(number):
                    found.more[at, -1] = self._spread(number, parent, READ, moved, outer)
            elif self._of_result(number):
                found.out[at] = self._spread(number, parent, UPDATED, served, outer)
                found.into[at] = self._spread(number, child, READ, words, inner)
                found.back_out[at] = self._spread(number, parent, READ, back, outer)
                found.back_into[at] = self._spread(number, child, FILLED, back, inner)
            elif self._passed(number):
                self._fetched(number, found)
            else:
                found.out[at] = self._spread(number, parent, READ, served, outer)
                found.into[at] = self._spread(number, child, FILLED, words, inner)
        return found

    def _fetched(self, number: int, found: k.Ticks) -> None:
        """What a memory that is asked for tiles by the next keep inside fetches: at the rows of those that it brings."""
        rows, crossing = self.log, self.nest.crossings[number]
        within = next(n for n, each in enumerate(self.nest.crossings) if each.tensor == crossing.tensor and each.parent == crossing.child)
        sent = (rows[:, log.KIND] == log.SENT) & (rows[:, log.CROSSING] == within)
        at = np.flatnonzero(sent & (rows[:, log.SERVED] > 0)) if number in self.traffic.brought else np.flatnonzero(sent)
        words = self.traffic.brought.get(number, rows[at, log.BACK])[: at.size]  # of a tensor that holds nothing, nothing is sent
        copies = rows[at, log.PARENT]
        ratio = self.nest.copies[crossing.above_child] // self.nest.copies[crossing.above_parent]
        found.fetched[at] = words > 0
        mine = np.flatnonzero(sent)
        order = mine[np.lexsort((mine, rows[mine, log.TILE], rows[mine, log.PARENT]))]
        found.brought[order] = _last(np.where(found.fetched[order] > 0, order, -1))
        found.back_out[at] = self._spread(number, crossing.parent, READ, words, copies // ratio)
        found.back_into[at] = self._spread(number, crossing.child, FILLED, words, copies)

    def _of_result(self, number: int) -> bool:
        return self.nest.crossings[number].tensor == self.nest.einsum.output.tensor

    def _passed(self, number: int) -> bool:
        """Whether what comes to the child is only what is asked for."""
        return number in self.traffic.brought or number in self.nest.demanded

    def _spread(self, number: int, memory: str, way: int, words: IntArray, copies: IntArray) -> IntArray:
        """Ticks of a port for each transfer: those of all bits of a direction, shared out by words, of each copy by itself."""
        port, pieces = self.clock.ports.get(memory), self.traffic.carried.get((number, memory, way), 0)
        each = 0 if port is None else (port.read or 0) if port.shared or way == READ else (port.write or 0)
        if not each or not pieces:
            return np.zeros(words.size, np.int64)
        total = int(words.sum())
        if not total:
            name = memory if port is not None and port.shared else f"{memory} {'read' if way == READ else 'write'}"
            self.alone[name] += pieces * each
            return np.zeros(words.size, np.int64)
        order = np.argsort(copies, kind="stable")
        first = np.flatnonzero(np.diff(copies[order], prepend=-1))
        mine = np.add.reduceat(words[order], first)
        share = np.array([-(-pieces * int(part) // total) for part in mine], np.int64)
        group = np.repeat(np.arange(first.size), np.diff([*first, order.size]))
        running = np.cumsum(words[order])
        done = running - (running[first] - words[order][first])[group]
        whole, rest = share // np.maximum(mine, 1), share % np.maximum(mine, 1)
        upto = whole[group] * done + rest[group] * done // np.maximum(mine, 1)[group]
        before = np.where(np.isin(np.arange(order.size), first), 0, np.concatenate(([0], upto[:-1])))
        found = np.zeros(words.size, np.int64)
        found[order] = (upto - before) * each
        return found

    def _earlier(self) -> IntArray:
        """Of every run on a tile of which something comes back, the last one before it."""
        rows = self.log
        found = np.full(rows.shape[0], -1)
        at = np.flatnonzero(rows[:, log.KIND] == log.BEGUN)
        order = at[np.lexsort((rows[at, log.TILE], rows[at, log.CROSSING]))]
        same = (np.diff(rows[order, log.TILE]) == 0) & (np.diff(rows[order, log.CROSSING]) == 0)
        later = order[1:][same]
        back = rows[later, log.BACK] > 0
        found[later[back]] = order[:-1][same][back]
        return found

    def _together(self) -> IntArray:
        """Of every tile that a copy is sent while another is, and before it, the row of that."""
        rows = self.log
        found = np.full(rows.shape[0], -1)
        at = np.flatnonzero(rows[:, log.KIND] == log.SENT)
        keys = rows[:, log.TILE], rows[:, log.TOGETHER], rows[:, log.CROSSING]
        order = at[np.lexsort((at, *(key[at] for key in keys)))]
        first = np.ones(order.size, np.bool_)
        first[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
        leads = _last(np.where(first, order, -1))
        found[order] = np.where((rows[order, log.SERVED] == 0) & ~first, leads, -1)
        return found

    def ports(self) -> dict[str, int]:
        """Ticks in which the busiest copy of every port, merger and node that intersects is busy."""
        found, first = dict[str, int](), 0
        for name, count in zip(self.resources.names, self.resources.counts, strict=True):
            busy = int(self.busy[first : first + count].max(initial=0))
            first += count
            if busy and name != self.nest.unit:
                found[name] = busy
        return found

    def name(self, kind: int, crossing: int) -> str:
        """What a task is called."""
        if kind == k.COMPUTE:
            return self.nest.einsum.name
        if kind == k.MERGE:
            return f"{self.nest.einsum.name} merged"
        each = self.nest.crossings[crossing]
        return f"{each.tensor} {'from' if kind == k.DRAIN else 'to'} {each.child}" + (" again" if kind == k.OPEN else "")

    def firings(self) -> dict[str, int]:
        """How many of every task did something."""
        about, found = self.tasks.about, dict[str, int]()
        asks = np.diff(self.tasks.asks) > 0
        for kind in _KINDS:
            for crossing in np.unique(about[about[:, 0] == kind, 1]).tolist():
                many = int((asks & (about[:, 0] == kind) & (about[:, 1] == crossing)).sum())
                if many:
                    found[self.name(kind, crossing)] = found.get(self.name(kind, crossing), 0) + many
        return found

    def events(self, wanted: int, since: int) -> Iterator[Event]:
        """The first firings that took time, later by `since` ticks."""
        if wanted <= 0:
            return
        about, span, numbers = self.tasks.about, self.span, defaultdict[str, int](int)
        took = np.flatnonzero((span[:, 1] > span[:, 0]) & (about[:, 0] != k.RELEASE))
        for task in took[np.argsort(span[took, 0], kind="stable")][:wanted].tolist():
            kind, name = int(about[task, 0]), self.name(int(about[task, 0]), int(about[task, 1]))
            where, copy, count = self._unit_of(task) if kind == k.COMPUTE else self.resources.name(int(self.late[task, 1]))
            begun, ended = (self.clock.cycles(since + int(ticks)) for ticks in span[task])
            yield Event(name, _KINDS[kind], f"{where} {copy}" if count > 1 else where, numbers[name], begun, ended)
            numbers[name] += 1

    def _unit_of(self, task: int) -> tuple[str, int, int]:
        return self.nest.unit, int(self.tasks.about[task, 2]), self.copies

    def unit(self) -> Unit:
        """Cycles of the unit, a mean over its copies."""
        about, name = self.tasks.about, self.nest.einsum.name
        mine = np.flatnonzero(about[:, 0] == k.COMPUTE)
        mine = mine[np.argsort(about[mine, 2], kind="stable")]
        copies, ready, ended = about[mine, 2], self.when[mine], self.span[mine, 1]
        work = np.zeros(mine.size, np.int64)
        asks, requests = self.tasks.asks, self.tasks.requests
        some = asks[mine + 1] > asks[mine]
        own = requests[np.minimum(asks[mine], max(0, len(requests) - 1))] if len(requests) else np.zeros((mine.size, 2), np.int64)
        first = self.resources.first(self.nest.unit, self.copies)
        work = np.where(some & (own[:, 0] == first + copies), own[:, 1], 0)
        begins = np.diff(copies, prepend=-1) != 0
        stood = ready - np.where(begins, 0, np.concatenate(([0], ended[:-1]))[: mine.size])
        waits: dict[tuple[str, str], int] = defaultdict(int)
        waits[FILL, ""] += int(stood[begins].sum())
        for place in np.flatnonzero(~begins & (stood > 0)).tolist():
            cause = int(self.late[mine[place], 0])
            kind, crossing = int(about[cause, 0]), int(about[cause, 1])
            room = kind == k.DRAIN or (kind == k.OPEN and not self.log[about[cause, 3], log.BACK])
            waits[ROOM if room else MEMORY, self.name(k.DRAIN if room else kind, crossing)] += int(stood[place])
        longer = ended - ready - work
        for place in np.flatnonzero(longer > 0).tolist():
            waits[PORT, self.resources.name(int(self.late[mine[place], 1]))[0]] += int(longer[place])
        mean = Fraction(1, self.copies * self.clock.per_cycle)
        last = np.zeros(self.copies, np.int64)
        np.maximum.at(last, copies, ended)
        found = tuple(Wait(name, cause, what, ticks * mean) for (cause, what), ticks in waits.items() if ticks)
        return Unit({name: int(work.sum()) * mean}, found, int((self.ticks - last).sum()) * mean)


def _last(rows: IntArray) -> IntArray:
    """Of every place the last row up to it, where some have one and others -1."""
    at = np.maximum.accumulate(np.where(rows >= 0, np.arange(rows.size), 0)) if rows.size else np.zeros(0, np.int64)
    return np.asarray(rows[at])
