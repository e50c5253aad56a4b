"""When tasks are planned, and what each firing waits for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accelsim.mapping.tree import Fuse
from accelsim.mapping.walk import Row
from accelsim.model.program import Carried
from accelsim.sim.folds import held_place, planned
from accelsim.sim.pace import Facts, Pace, pace, stages_of
from accelsim.sim.paths import Path, rank_of
from accelsim.sim.systolic import OPERAND
from accelsim.sim.tasks import BARRIER, FIRST_TURN, Task, Wait, first_size
from accelsim.sim.uses import Uses

_ROUNDING = 0.125  # ticks, less than any that count
_SOON = 0.25  # ticks after a firing, in which those that wait for it are planned at the earliest


class Waits:
    """Plans the tasks of a mapping and lets them wait for each other; barriers join them.

    `least`: periods of fuses, see `hasty`. `even`: which plan, see `pace`.
    """

    def __init__(self, made: Uses, least: dict[str, float], even: bool) -> None:
        self.made, self.paths, self.cascade, self.least, self.even = made, made.paths, made.cascade, least, even
        self.computes, self.loads, self.drains = made.computes, made.loads, made.drains
        self.pace: Pace = self._plan()
        self._order()
        self._room()
        self._barriers()

    def _plan(self) -> Pace:
        spans: dict[str, float] = {}
        share: dict[str, float] = {}
        latencies: dict[str, int] = {}
        own: dict[str, list[Row]] = {}
        for path in self.paths.all:
            task = self.computes[path.name]
            points = math.prod(first_size(slot) for slot, _ in task.points)
            residual = math.prod(min(tile, first_size(slot)) for slot, tile in task.points)
            spans[path.name] = float(-(-residual // task.lanes) * max(1, points // max(1, residual)) * task.issue_ticks)
            latencies[path.name] = task.latency
            if task.fold is not None:
                between, late = planned(task.fold, spans[path.name], self.made.clock.per_cycle)
                spans[path.name], latencies[path.name] = between, task.latency + late
            share[path.name] = 1.0 / math.prod(path.loops[place].trips for place in path.turns)
            shared = {id(row) for row in self.paths.walked.top}
            shared |= {id(row) for place in path.fuses for branch in path.rows[place].branches for row in branch}
            own[path.name] = [row for row in path.loops if id(row) not in shared]  # the loops of the leaf itself
        units = {path.name: path.leaf.unit for path in self.paths.all}
        copies = self.paths.copies()
        facts = Facts(spans, units, latencies, own, share, self.paths.edges, copies, self.least, self.even)
        found = pace(self.paths.walked.top, facts)
        for path in self.paths.all:
            task = self.computes[path.name]
            task.offset = found.offsets[path.name]
            task.strides = [found.strides[id(row)] for row in path.loops]
        return found

    def _order(self) -> None:
        """What waits for what: operands for their loads, loads for those further out, consumers for producers, drains for results."""
        for path in self.paths.all:
            compute = self.computes[path.name]
            for tensor in dict.fromkeys(read.tensor for read in path.einsum.reads):
                for read in path.einsum.reads:
                    if read.tensor == tensor:
                        self._inputs(path, compute, tensor, self.cascade.index_maps(read))
            self._outputs(path, compute)
        for producer, consumer, tensor, rank in self.paths.edges:
            self._depends(producer, consumer, tensor, rank)
        for (row, tensor, _), load in self.loads.items():
            drain = self.drains.get((row, tensor))
            if load.carried is not None and drain is not None:
                self._comes_back(load, drain, load.carried)

    def _comes_back(self, load: Task, drain: Task, carried: Carried) -> None:
        """Earlier slices are brought back once they have left, to a place from which the tile before has left."""
        path, depth = self.paths.of(load.einsum), min(len(load.loops), len(drain.loops))
        turns = [place for place, row in enumerate(path.loops[: len(load.loops)]) if path.rank(row) == carried.rank]
        for place in turns:
            if carried.follows and place == turns[-1]:  # of the same tile in the turn before
                beyond, distance = drain.beyond(depth), math.prod(load.loops[place + 1 :])
                load.waits.append(Wait(drain, depth, beyond, beyond - 1 - distance * beyond, "dependence", place))
                load.ready = max(load.ready, _last(drain, depth) - drain.strides[place] + _SOON)
            else:  # all that left in turns before
                load.waits.append(Wait(drain, place + 1, drain.beyond(place + 1), -1, "dependence", place))
                load.ready = max(load.ready, _last(drain, place + 1) - drain.strides[place] + _SOON)
        beyond = drain.beyond(depth)
        load.waits.append(Wait(drain, depth, beyond, beyond - 1 - load.copies * beyond, "room"))
        load.span = max(load.span, _last(drain, depth) + _ROUNDING - load.offset)

    def _chain(self, path: Path, tensor: str, maps: object) -> list[Task]:
        """Loads of an operand on its way to a leaf, outermost first."""
        rows = (path.rows[place] for place in self.paths.keepers(path, tensor))
        return [self.loads[id(row), tensor, maps] for row in rows if (id(row), tensor, maps) in self.loads]

    def _inputs(self, path: Path, compute: Task, tensor: str, maps: object) -> None:
        before: Task | None = None
        for load in self._chain(path, tensor, maps):
            if not load.strides and load.loops:
                load.strides = compute.strides[: len(load.loops)]
            if before is not None and not any(wait.task is before for wait in load.waits):
                self._after(load, before, len(before.loops), "memory")
                load.within = len(before.loops) if before.copies == 1 or before.within >= 0 else -1
            self._used(load, compute)
            before = load
        for place in self.paths.keepers(path, tensor):
            for (row, other, reads), load in self.loads.items():  # of the same tile, read otherwise
                if (row, other) == (id(path.rows[place]), tensor) and reads not in (maps, "back"):
                    self._used(load, compute)
        if before is not None:
            self._after(compute, before, len(before.loops), "memory", self._stays(path, tensor))

    def _stays(self, path: Path, tensor: str) -> bool:
        """Whether a tensor is the operand that stays in the elements of a systolic array."""
        fold = self.computes[path.name].fold
        return fold is not None and fold.stays == OPERAND and tensor in path.rows[held_place(self.made.machine, path)].kept

    def _after(self, task: Task, before: Task, prefix: int, why: str, stays: bool = False) -> None:
        """The firing of `before` that serves a firing of `task`, which has its loops and more."""
        prefix = min(prefix, len(task.loops))
        task.waits.append(Wait(before, prefix, before.beyond(prefix), 0, why, stays=stays))

    def _used(self, load: Task, user: Task) -> None:
        """A load waits until all users are done with the tile whose place it takes."""
        prefix = len(load.loops)
        inner = user.beyond(prefix)
        load.waits.append(Wait(user, prefix, inner, inner - 1 - load.copies * inner, "room", less=_unread(user)))
        first, last = user.offset, _last(user, prefix) + _ROUNDING
        if load.users:
            first, last = min(load.offset, first), max(load.offset + load.span, last)
        load.users += 1
        load.offset, load.span = first, last - first

    def _outputs(self, path: Path, compute: Task) -> None:
        tensor = path.einsum.output.tensor
        inner: Task = compute
        deeper: Task | None = None  # what comes back into the keep inside
        for place in reversed(self.paths.keepers(path, tensor)):
            row = path.rows[place]
            drain = self.drains.get((id(row), tensor))
            if drain is None:
                continue
            prefix = len(drain.loops)
            beyond = inner.beyond(prefix)
            drain.waits.append(Wait(inner, prefix, beyond, beyond - 1, "dependence"))
            drain.strides = compute.strides[:prefix]
            drain.offset = _last(compute, prefix) + _ROUNDING
            copies = self.paths.held(row, tensor).copies
            back = self.loads.get((id(row), tensor, "back"))
            if back is not None:
                back.strides, back.offset = list(drain.strides), compute.offset
                back.span = drain.offset - compute.offset
                back.waits.append(Wait(drain, prefix, 1, -copies, "room"))
                compute.waits.append(Wait(back, prefix, 1, 0, "memory"))
                self._after_last_drain(back, drain, path)
                if deeper is not None:
                    self._after(deeper, back, len(back.loops), "memory")
                deeper = back
            compute.waits.append(Wait(drain, prefix, 1, -copies, "room", ahead=True))
            inner = drain

    def _after_last_drain(self, back: Task, drain: Task, path: Path) -> None:
        """What comes back was sent out before: in the turn before of the innermost loop that the tensor does not go by."""
        ranks = {rank for index in self.cascade.index_maps(path.einsum.output) if index for rank in index.ranks}
        loops = [row for row in path.loops][: len(drain.loops)]
        beyond = 1
        for place in range(len(loops) - 1, -1, -1):
            if path.rank(loops[place]) not in ranks and path.rank(loops[place]) in path.einsum.ranks:
                back.waits.append(Wait(drain, len(drain.loops), 1, -beyond, "dependence", place))
                return
            beyond *= loops[place].trips

    def _depends(self, producer: str, consumer: str, tensor: str, rank: str) -> None:
        one, other = self.paths.of(producer), self.paths.of(consumer)
        if producer == consumer:
            self._recurs(one, rank)
            return
        common = self.paths.walked.common(self.paths.number[producer], self.paths.number[consumer])
        depth = one.depth(common)
        ready = self._ready(one, other, tensor)
        for task in self._readers(other, tensor):
            prefix = min(depth, len(task.loops))
            deep = ready.beyond(depth)
            times = deep * math.prod(ready.loops[prefix:depth])
            if not rank:
                stays = task.fold is not None and self._stays(other, tensor)
                task.waits.append(Wait(ready, prefix, times, deep - 1, "dependence", stays=stays))
                task.ready = max(task.ready, _last(ready, depth) + _SOON)
                continue
            place = next((at for at in range(depth - 1, -1, -1) if rank_of(one.loops[at]) == rank), None)
            if place is None:
                continue
            distance = math.prod(row.trips for row in one.loops[place + 1 : depth])
            task.ready = max(task.ready, _last(ready, depth) - ready.strides[place] + _SOON)
            guard = place if place < len(task.loops) else -1
            task.waits.append(Wait(ready, prefix, times, (deep - 1) - distance * deep, "dependence", guard))

    def _recurs(self, path: Path, rank: str) -> None:
        place = next((at for at in range(len(path.loops) - 1, -1, -1) if rank_of(path.loops[at]) == rank), None)
        if place is not None:
            compute = self.computes[path.name]
            distance = math.prod(row.trips for row in path.loops[place + 1 :])
            compute.waits.append(Wait(compute, len(compute.loops), 1, -distance, "dependence", place))

    def _ready(self, one: Path, other: Path, tensor: str) -> Task:
        """The task after which a consumer finds what a producer made: its drain into the innermost keep that both are below."""
        shared = {id(row) for row in other.rows}
        ready = self.computes[one.name]
        for place in reversed(self.paths.keepers(one, tensor)):
            if id(one.rows[place]) in shared:
                break
            ready = self.drains.get((id(one.rows[place]), tensor), ready)
        return ready

    def _readers(self, other: Path, tensor: str) -> list[Task]:
        """The tasks of a consumer that read what a producer made: its outermost loads, or the Einsum itself."""
        found: list[Task] = []
        for read in other.einsum.reads:
            if read.tensor == tensor:
                chain = [load for load in self._chain(other, tensor, self.cascade.index_maps(read)) if load.carried is None]
                found.append(chain[0] if chain else self.computes[other.name])
        if any(read.tensor == tensor for read in other.einsum.condition_reads) and not found:
            found.append(self.computes[other.name])
        return list({id(task): task for task in found}.values())

    def _room(self) -> None:
        """A producer waits until the readers of the tile whose place it takes are done."""
        for producer, consumer, tensor, rank in self.paths.edges:
            if rank or producer == consumer:
                continue
            one, other = self.paths.of(producer), self.paths.of(consumer)
            depth = one.depth(self.paths.walked.common(self.paths.number[producer], self.paths.number[consumer]))
            copies, above = self.paths.place(producer, consumer, tensor)
            if above == 0:
                continue  # there is one tile only
            writer, reader = self.computes[producer], self.computes[consumer]
            later = self._later(one, other, tensor, range(above, depth))
            prefix = above if later is None else depth
            deep, inside = reader.beyond(prefix), math.prod(writer.loops[above:prefix])
            number = deep - 1 + ((later or 0) - copies * inside) * deep
            writer.waits.append(Wait(reader, prefix, deep, number, "room", ahead=True, less=_unread(reader)))

    def _later(self, one: Path, other: Path, tensor: str, inside: range) -> int | None:
        """How many turns later than a part of a tile is made it is read last; None where parts are not read as they are made.

        inside: loops of both below the keep.
        """
        later, apart = 0, 1
        for place in reversed(inside):
            row, trips = one.loops[place], one.loops[place].trips
            if one.turns.get(place) == FIRST_TURN:
                later += (trips - 1) * apart
            elif place not in one.turns and (place in other.turns or not self._together(one, other, tensor, row)):
                return None
            apart *= trips
        return later

    def _together(self, one: Path, other: Path, tensor: str, row: Row) -> bool:
        """Whether a turn of a loop makes and reads the same part of a tensor."""
        rank = one.rank(row)
        ranks = [
            tuple(index is not None and index.ranks == (rank,) for index in self.cascade.index_maps(access))
            for access in (one.einsum.output, *other.einsum.reads) if access.tensor == tensor
        ]  # fmt: skip
        return rank == other.rank(row) and any(ranks[0]) and all(each == ranks[0] for each in ranks)

    def hasty(self) -> dict[str, float]:
        """Longer periods for fuses whose plan would load a tile before the one whose place it takes is done with, by leaves."""
        found: dict[str, float] = {}
        for load in self.loads.values():
            if not load.loops or not load.copies:
                continue
            stride, path = load.strides[len(load.loops) - 1], self.paths.of(load.einsum)
            if load.copies * stride > load.span:
                continue
            above = path.rows.index(path.loops[len(load.loops) - 1])
            fuse = next((path.rows[place] for place in path.fuses if place > above), None)
            if fuse is None:
                continue
            key = "+".join(self.paths.walked.leaves[number].einsum for number in range(fuse.first, fuse.last))
            period = self.pace.periods[key]
            if not period:  # nothing in it takes any time
                continue
            turns = round(stride / period)
            apart = load.span - (turns - 1) * period
            found[key] = max(found.get(key, 0.0), 1.01 * apart / ((load.copies - 1) * turns + 1))
        return found

    def _barriers(self) -> None:
        """One after another: branches of a sequential fuse, stages of a staged one."""
        for row in self.paths.walked.rows:
            if not isinstance(row.node, Fuse) or row.node.schedule == "pipelined":
                continue
            names = [self.paths.walked.leaves[number].einsum for number in range(row.first, row.last)]
            if row.node.schedule == "sequential":
                self._separate(row, [(self._branch(branch), ()) for branch in row.branches])
            else:
                self._separate(row, stages_of(row.node, self.paths.edges, names))

    def _branch(self, branch: tuple[Row, ...]) -> tuple[str, ...]:
        return tuple(self.paths.walked.leaves[number].einsum for number in range(branch[0].first, branch[0].last))

    def _separate(self, fuse: Row, groups: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
        some = self.paths.all[fuse.first]
        depth = some.depth(some.rows.index(fuse))
        loops = tuple(row.trips for row in some.loops[:depth])
        whole = isinstance(fuse.node, Fuse) and fuse.node.schedule == "sequential"
        before: Task | None = None
        barriers = []
        for number, (now, late) in enumerate(groups):
            barrier = Task(f"end of {' + '.join((*now, *(name + '@prev' for name in late)))}", BARRIER, "", loops=loops)
            barrier.strides = list(self.computes[some.name].strides[:depth])
            members = self._members(fuse, now, whole), self._members(fuse, late, whole)
            end = 0.0
            if before is not None:  # where none of its members has anything to do
                barrier.waits.append(Wait(before, depth, 1, 0, "dependence"))
                end = before.offset
            for shift, tasks in enumerate(members):
                for task in tasks:
                    deep = task.beyond(depth)
                    barrier.waits.append(Wait(task, depth, deep, deep - 1 - shift * deep, "dependence"))
                    end = max(end, _last(task, depth) + _ROUNDING)
                    if before is not None and number:
                        task.waits.append(Wait(before, depth, 1, shift, "dependence"))
                        task.ready = max(task.ready, before.offset + _SOON)
            barrier.offset = end
            barriers.append((barrier, members))
            self.made.all.append(barrier)
            before = barrier
        if depth and before is not None:  # the first group of an iteration after the last of the one before
            for shift, tasks in enumerate(barriers[0][1]):
                for task in tasks:
                    task.waits.append(Wait(before, depth, 1, shift - 1, "dependence"))
                    task.ready = max(task.ready, before.offset - before.strides[depth - 1] + _SOON)

    def _members(self, fuse: Row, names: tuple[str, ...], whole: bool) -> list[Task]:
        """Tasks of some branches: their Einsums and, where transfers are staged too, what their own keeps load and drain."""
        found = [self.computes[name] for name in names]
        if whole:
            inside = {
                id(row) for name in names for place, row in enumerate(self.paths.of(name).rows)
                if place > self.paths.of(name).rows.index(fuse)
            }  # fmt: skip
            found += [task for (row, *_), task in self.loads.items() if row in inside]
            found += [task for (row, _), task in self.drains.items() if row in inside]
        return found


def _unread(task: Task) -> int:
    """How long before its results have arrived an Einsum has read its operands; an array passes them on meanwhile."""
    return task.latency if task.fold is None else 0


def _last(task: Task, prefix: int) -> float:
    """When the last firing of a task is planned in the first turn of its first loops."""
    return task.offset + sum((trips - 1) * stride for trips, stride in zip(task.loops[prefix:], task.strides[prefix:], strict=True))

