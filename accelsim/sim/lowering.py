"""A mapping as tasks: which loops matter to each Einsum and to each way between keepers, what they move and what they wait for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from accelsim.errors import IllegalMapping
from accelsim.mapping.facts import facts as facts_of
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial
from accelsim.mapping.walk import Row, Walk, walk
from accelsim.model.evaluation import Evaluator
from accelsim.sim.pace import Edge, Facts, Pace, pace, stages_of
from accelsim.sim.tasks import AGAIN, BARRIER, COMPUTE, DRAIN, FIRST, FIRST_TURN, LAST, LAST_TURN, LOAD, Box, Slot, Task, Use, Wait
from accelsim.workload.cascade import Einsum
from accelsim.workload.expression import Access, IndexMap

READ, WRITE = "read", "write"
_MOST_PLANS = 10
_ROUNDING = 0.125  # ticks, less than any that count
_SOON = 0.25  # ticks after a firing, in which those that wait for it are planned at the earliest


@dataclass(slots=True)
class Path:
    """One leaf: the rows above it, its explicit loops (rows of time loops that fire), and in which turns of foreign loops it is idle."""

    name: str
    einsum: Einsum
    leaf: Leaf
    rows: tuple[Row, ...]
    loops: list[Row]
    turns: dict[int, int] = field(default_factory=dict)
    fuses: list[int] = field(default_factory=list)  # places of fuses among the rows

    def depth(self, place: int) -> int:
        """How many explicit loops stand above a row."""
        above = {id(row) for row in self.rows[:place]}
        return sum(1 for row in self.loops if id(row) in above)


class Lowering:
    """Makes the tasks of one mapping; `tasks` in the order of the loop tree."""

    def __init__(self, evaluator: Evaluator, mapping: Mapping, latencies: dict[str, int], least: dict[str, float]) -> None:
        self.least = least
        self.evaluator, self.cascade, self.machine = evaluator, evaluator.cascade, evaluator.architecture
        self.clock, self.widths = evaluator.clock, evaluator.widths
        self.latencies = latencies
        self.walked: Walk = walk(facts_of(self.cascade), mapping)
        self.edges = self._edges()
        self.paths = [self._path(number) for number in range(len(self.walked.leaves))]
        self.number = {path.name: number for number, path in enumerate(self.paths)}
        self.tasks: list[Task] = []
        self.computes: dict[str, Task] = {}
        self.loads: dict[tuple[int, str, object], Task] = {}
        self.drains: dict[tuple[int, str], Task] = {}
        self._make()

    # --- paths

    def _edges(self) -> list[Edge]:
        forward, carried = self.evaluator.program.edges(frozenset(einsum.name for einsum in self.cascade.work))
        found: list[Edge] = [(producer, consumer, tensor, "") for producer, consumer, tensor in forward]
        for producer, reader, rank in carried:
            found.append((producer, reader, self.cascade.by_name[producer].output.tensor, rank))
        return found

    def _path(self, number: int) -> Path:
        leaf, rows = self.walked.leaves[number], self.walked.paths[number]
        einsum = self.cascade.by_name[leaf.einsum]
        for row in rows:
            if row.derived.get(leaf.einsum):
                raise IllegalMapping(
                    f"{leaf.einsum} is made in windows that its consumers demand, which is not simulated yet",
                    "map it so that no loop over its consumers' ranks stands above it",
                    leaf.place,
                )
            if isinstance(row.node, Fuse) and row.node.recompute:
                raise IllegalMapping("tensors that are made again are not simulated yet", "keep them above the loops", row.node.place)
            for held in row.node.held if isinstance(row.node, Keep) else ():
                if held.fraction != 1:
                    what = f"a fraction of {held.tensor} is kept, which is not simulated yet"
                    raise IllegalMapping(what, "keep all of it", row.node.place)
        fuses = [place for place, row in enumerate(rows) if isinstance(row.node, Fuse)]
        path = Path(leaf.einsum, einsum, leaf, rows, [], {}, fuses)
        inner = self._innermost(path)
        for place, row in enumerate(rows):
            if isinstance(row.node, For) and row.trips > 1 and (place < inner or self._is_uneven(path, row)):
                if _rank(row) not in einsum.ranks:
                    path.turns[len(path.loops)] = self._turn(path, place, row)
                path.loops.append(row)
        return path

    def _innermost(self, path: Path) -> int:
        """The place after which loops only repeat the unit's work: that of the last fuse, or of the last keep that something waits for."""
        last = path.fuses[-1] if path.fuses else -1
        for place, row in enumerate(path.rows):
            if isinstance(row.node, Keep) and any(self._matters(path, place, tensor) for tensor in row.kept if self._touches(path, tensor)):
                last = max(last, place)
        return last

    def _touches(self, path: Path, tensor: str) -> bool:
        return tensor == path.einsum.output.tensor or any(read.tensor == tensor for read in path.einsum.reads)

    def _is_uneven(self, path: Path, row: Row) -> bool:
        """Whether a loop fires turn by turn: copies share out its tiles, tiles do not nest evenly, or a condition goes by its rank."""
        if _rank(row) not in path.einsum.ranks:
            return False
        if path.einsum.condition is not None:
            return True
        inside = path.rows[path.rows.index(row) + 1 :]
        if any(isinstance(other.node, Spatial) and _rank(other) == _rank(row) for other in inside):
            return True
        tiles = [other.node.tile for other in path.rows if isinstance(other.node, For) and _rank(other) == _rank(row)]
        return any(outer % inner for outer, inner in pairwise(tiles))

    def _turn(self, path: Path, place: int, row: Row) -> int:
        """Whether an Einsum without a loop's rank runs in its first or its last turn: after what it reads has been made in all turns."""
        inside = {self.walked.leaves[number].einsum for number in range(row.first, row.last)}
        waiting, seen = [path.name], set()
        while waiting:
            name = waiting.pop()
            for producer, consumer, _, _ in self.edges:
                if consumer == name and producer in inside and producer not in seen:
                    if _rank(row) in self.cascade.by_name[producer].ranks:
                        return LAST_TURN
                    seen.add(producer)
                    waiting.append(producer)
        return FIRST_TURN

    # --- keepers

    def keepers(self, path: Path, tensor: str) -> list[int]:
        """Places of the keeps of a tensor above a leaf, outermost first."""
        return [place for place, row in enumerate(path.rows) if isinstance(row.node, Keep) and tensor in row.kept]

    def _matters(self, path: Path, place: int, tensor: str) -> bool:
        """Whether words of a tensor take time on their way into the keep at a place, or out of it to the unit."""
        places = self.keepers(path, tensor)
        at = places.index(place)
        return at > 0 and any(_memory(path.rows[place]) in self.clock.ports for place in places[at - 1 : at + 1])

    def _held(self, row: Row, tensor: str) -> Held:
        assert isinstance(row.node, Keep)
        return next(held for held in row.node.held if tensor == held.tensor or tensor in held.in_place)

    # --- boxes

    def _slots(self, path: Path, loops: list[Row], until: int, spread: int | None = None, exact: bool = True) -> dict[str, Slot]:
        """Intervals of the ranks of an Einsum at the row `until`, with the turns of `loops`; spatial loops from the row `spread` on are not
        cut: all their copies count (None: the first copy counts everywhere). Where copies then loop over a rank that they share out, what
        they touch is no interval: refused if it has to be `exact`.
        """
        at = {id(row): place for place, row in enumerate(loops)}
        slots: dict[str, Slot] = {}
        for rank in path.einsum.ranks:
            entries, shared = [], False
            for place, row in enumerate(path.rows[:until]):
                if not isinstance(row.node, (For, Spatial)) or _rank(row) != rank:
                    continue
                if isinstance(row.node, Spatial) and (spread is None or place < spread):
                    entries.append((-1, row.node.tile))
                elif isinstance(row.node, Spatial):
                    shared = shared or row.trips > 1
                elif id(row) in at:
                    entries.append((at[id(row)], row.node.tile))
                    if shared and exact:
                        what = f"copies take turns over their own parts of {rank}, which is not simulated yet"
                        raise IllegalMapping(what, f"put the loop over {rank} outside the copies, or a keep between", row.node.place)
            slots[rank] = Slot(self.cascade.extents[rank], tuple(entries))
        return slots

    def _dims(self, tensor: str, maps: tuple[IndexMap | None, ...]) -> tuple[tuple[IndexMap, int, int], ...]:
        noun = self.cascade.tensors[tensor]
        found = []
        for place, index in enumerate(maps):
            assert index is not None, "the evaluator refuses other indices"
            if index.terms:
                low = noun.constant_slices if noun.iterative == place else 0
                found.append((index, low, noun.shape[place]))
        return tuple(found)

    def _factor(self, path: Path, ranks: set[str], outer: int, inner: int, reduce: str = "") -> int:
        """Times that each word between two rows is moved, as copies along axes that do not share it want it each for themselves."""
        factor = 1
        for row in path.rows[outer:inner]:
            if isinstance(row.node, Spatial) and _rank(row) in path.einsum.ranks and _rank(row) not in ranks:
                axis = self.machine.axes[row.node.axis][1]
                shares = reduce in axis.reduces if reduce else axis.multicast
                factor *= 1 if shares else row.trips
        return factor

    def _use(self, memory: str, way: str, bits: int, box: Box, rule: int = 0) -> Use | None:
        port = self.clock.ports.get(memory)
        if port is None:
            return None
        ticks = port.read if way == READ or port.shared else port.write
        if not ticks or not bits:
            return None
        return Use(memory if port.shared else f"{memory} {way}", ticks * bits, box, rule)

    # --- tasks

    def _make(self) -> None:
        for path in self.paths:
            self._compute(path)
        for path in self.paths:
            self._transfers(path)
        self._plan()
        self._order()
        self._room()
        self._barriers()

    def _compute(self, path: Path) -> None:
        name, leaf, einsum = path.name, path.leaf, path.einsum
        end = len(path.rows)
        slots = self._slots(path, path.loops, end)
        residual = {rank: self.cascade.extents[rank] for rank in einsum.ranks}
        for row in path.rows:
            if isinstance(row.node, (For, Spatial)) and _rank(row) in residual:
                residual[_rank(row)] = min(residual[_rank(row)], row.node.tile)
        task = Task(name, COMPUTE, name, loops=tuple(row.trips for row in path.loops), turns=dict(path.turns), unit=leaf.unit)
        task.points = tuple((slots[rank], residual[rank]) for rank in einsum.ranks)
        task.lanes = self.machine.units[leaf.unit].lanes
        task.issue_ticks = self.evaluator.issue_ticks(name, leaf.unit)
        task.latency = (self.machine.units[leaf.unit].pipeline_depth + self.latencies[name]) * self.clock.per_cycle
        everything = self._slots(path, path.loops, end, 0, exact=einsum.condition is not None)
        task.again = tuple(everything[rank] for rank in einsum.reduced)
        task.needs = self._conditions(path, everything)
        # reads of operands by the unit, and updates of the result
        different = {(read.tensor, self.cascade.index_maps(read)): read for read in reversed(einsum.reads)}
        for read in reversed(different.values()):
            self._operand(task, path, read)
        self._result(task, path)
        self.tasks.append(task)
        self.computes[name] = task

    def _conditions(self, path: Path, slots: dict[str, Slot]) -> tuple[tuple[tuple[tuple[Slot, int], ...], int], ...]:
        if path.einsum.condition is None:
            return ()
        from accelsim.workload.conditions import condition_inequalities

        rows = condition_inequalities(self.cascade, path.einsum)
        if rows is None:
            what = f"the condition of {path.name} is no conjunction of linear comparisons, which is not simulated yet"
            raise IllegalMapping(what, "write it as comparisons of ranks joined by 'and'", path.leaf.place)
        return tuple((tuple((slots[rank], factor) for rank, factor in terms.items()), bound) for terms, bound in rows)

    def _operand(self, task: Task, path: Path, read: Access) -> None:
        place = self.keepers(path, read.tensor)[-1]
        memory = _memory(path.rows[place])
        ranks = {rank for index in self.cascade.index_maps(read) if index for rank in index.ranks}
        task.uses += self._every_point(path, memory, READ, self.widths.read[path.name, read.tensor], ranks, place, "", read)

    def _result(self, task: Task, path: Path) -> None:
        tensor, maps = path.einsum.output.tensor, self.cascade.index_maps(path.einsum.output)
        place = self.keepers(path, tensor)[-1]
        memory = _memory(path.rows[place])
        ranks = {rank for index in maps if index for rank in index.ranks}
        partial, final = self.widths.partial[tensor], self.widths.final[tensor]
        reduce = path.einsum.reduce if path.einsum.reduced else ""
        task.uses += self._every_point(path, memory, WRITE, partial, ranks, place, reduce or "none")
        whole = Box(self._dims(tensor, maps), self._slots(path, path.loops, len(path.rows), place))
        if path.einsum.reduced:
            task.uses += self._every_point(path, memory, READ, partial, ranks, place, reduce)
            task.uses += [use for use in [self._use(memory, READ, -partial, whole, FIRST)] if use]
        if partial != final and self.cascade.tensors[tensor].iterative is None:
            task.uses += [use for use in [self._use(memory, WRITE, final - partial, whole, LAST if path.einsum.reduced else 0)] if use]

    def _every_point(
        self, path: Path, memory: str, way: str, bits: int, ranks: set[str], place: int, reduce: str, read: Access | None = None
    ) -> list[Use]:
        """One word for every point, shared by copies where the axes between a keep and the unit share it.

        `read`: points at which it is a constant slice or lies outside its tensor move nothing.
        """
        end = len(path.rows)
        inner, outer = self._slots(path, path.loops, end), self._slots(path, path.loops, end, place)
        slots = {rank: outer[rank] if rank in ranks else inner[rank] for rank in path.einsum.ranks}
        inside = {rank: (0, self.cascade.extents[rank]) for rank in path.einsum.ranks}
        for index, low, high in self._dims(read.tensor, self.cascade.index_maps(read)) if read else ():
            if index.single_rank is not None:
                inside[index.single_rank] = low - index.offset, high - index.offset
        dims = tuple((IndexMap(((rank, 1),)), *inside[rank]) for rank in path.einsum.ranks)
        use = self._use(memory, way, bits, Box(dims, slots, self._factor(path, ranks, place, end, reduce)))
        return [use] if use else []

    def _transfers(self, path: Path) -> None:
        """Loads and drains between the keepers of what an Einsum touches; the first Einsum below a keep pays for what enters it."""
        different = {(read.tensor, self.cascade.index_maps(read)): read for read in reversed(path.einsum.reads)}
        for read in reversed(different.values()):
            maps = self.cascade.index_maps(read)
            places = self.keepers(path, read.tensor)
            for outer, inner in pairwise(places):
                key = (id(path.rows[inner]), read.tensor, maps)
                if key in self.loads or self._made_inside(path, read.tensor, inner):
                    continue
                task = self._transfer(path, read.tensor, maps, outer, inner, LOAD)
                if task is not None:
                    self.loads[key] = task
        tensor = path.einsum.output.tensor
        maps = self.cascade.index_maps(path.einsum.output)
        places = self.keepers(path, tensor)
        for outer, inner in pairwise(places):
            if not self._leaves(path, tensor, inner):
                continue
            task = self._transfer(path, tensor, maps, outer, inner, DRAIN)
            if task is not None:
                self.drains[id(path.rows[inner]), tensor] = task
                back = self._transfer(path, tensor, maps, outer, inner, LOAD, returning=True)
                if back is not None:
                    self.loads[id(path.rows[inner]), tensor, "back"] = back

    def _made_inside(self, path: Path, tensor: str, place: int) -> bool:
        row = path.rows[place]
        makers = [einsum.name for einsum in self.cascade.producers.get(tensor, ()) if not einsum.initial]
        return any(row.first <= self.number[maker] < row.last for maker in makers if maker in self.number)

    def _leaves(self, path: Path, tensor: str, place: int) -> bool:
        row = path.rows[place]
        readers = [einsum.name for einsum in self.cascade.consumers.get(tensor, ())]
        outside = any(not row.first <= self.number[reader] < row.last for reader in readers if reader in self.number)
        return outside or self.cascade.tensors[tensor].is_output

    def _transfer(
        self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], outer: int, inner: int, kind: int, returning: bool = False
    ) -> Task | None:
        source, target = path.rows[outer].node, path.rows[inner].node
        assert isinstance(source, Keep) and isinstance(target, Keep)
        ranks = {rank for index in maps if index for rank in index.ranks}
        above = [row for row in path.rows[:inner] if isinstance(row.node, For) and row.trips > 1]
        kept = max((place for place, row in enumerate(above) if _rank(row) in ranks), default=-1) + 1
        sequential = [place for place in path.fuses if place < inner and path.rows[place].node.schedule == "sequential"]  # type: ignore[union-attr]
        if sequential:
            kept = max(kept, sum(1 for row in above if row in path.rows[: sequential[-1]]))
        loops = above[:kept]
        name = {LOAD: f"{tensor} to {target.memory}", DRAIN: f"{tensor} from {target.memory}"}[kind] + (" again" if returning else "")
        task = Task(name, kind, path.name, tensor, tuple(row.trips for row in loops))
        writes = tensor == path.einsum.output.tensor and (kind == DRAIN or returning)
        reduce = (path.einsum.reduce if path.einsum.reduced else "none") if writes else ""
        dims, delta = self._dims(tensor, maps), kind == LOAD and not returning
        far = Box(dims, self._slots(path, loops, inner, outer), self._factor(path, ranks, outer, inner, reduce), delta)
        near = Box(dims, self._slots(path, loops, inner), 1, delta)
        partial, final = self.widths.partial[tensor], self.widths.final[tensor]
        if kind == LOAD:
            bits = partial if returning else self.widths.read[path.name, tensor]
            rule = AGAIN if returning else 0
            uses = [self._use(source.memory, READ, bits, far, rule), self._use(target.memory, WRITE, bits, near, rule)]
        else:
            uses = [self._use(source.memory, WRITE, partial, far), self._use(target.memory, READ, partial, near)]
            if far.factor > 1:  # of copies that send parts of the same word, all but the first are added to what is there
                once = replace(far, factor=1)
                uses += [self._use(source.memory, READ, partial, far, FIRST), self._use(source.memory, READ, -partial, once, FIRST)]
            if final != partial and self.cascade.tensors[tensor].iterative is None:
                last = LAST if path.einsum.reduced else 0
                less = final - partial
                uses += [self._use(target.memory, READ, less, near, last), self._use(source.memory, WRITE, less, far, last)]
        task.uses = [use for use in uses if use]
        if not task.uses:
            return None
        if writes:
            everything = self._slots(path, loops, inner, 0, exact=False)
            task.again = tuple(everything[rank] for rank in path.einsum.reduced)
            if returning and not any(place >= 0 for slot in task.again for place, _ in slot.entries):
                return None  # nothing ever comes back
        task.turns = {place: turn for place, turn in path.turns.items() if place < len(loops)}
        task.needs = self._conditions(path, self._slots(path, loops, inner, 0, exact=path.einsum.condition is not None))
        task.copies = self._held(path.rows[inner], tensor).copies if kind == LOAD else 0
        self.tasks.append(task)
        return task

    # --- order

    def _plan(self) -> None:
        spans: dict[str, float] = {}
        share: dict[str, float] = {}
        own: dict[str, list[Row]] = {}
        for path in self.paths:
            task = self.computes[path.name]
            points = math.prod(_first_size(slot) for slot, _ in task.points)
            residual = math.prod(min(tile, _first_size(slot)) for slot, tile in task.points)
            spans[path.name] = float(-(-residual // task.lanes) * max(1, points // max(1, residual)) * task.issue_ticks)
            share[path.name] = 1.0 / math.prod(path.loops[place].trips for place in path.turns)
            inside = {id(row) for row in path.rows[path.fuses[-1] :]} if path.fuses else {id(row) for row in path.rows}
            above = {id(row) for row in self.walked.top} | {id(row) for fuse in path.fuses for b in path.rows[fuse].branches for row in b}
            own[path.name] = [row for row in path.loops if id(row) in inside and id(row) not in above]
        units = {path.name: path.leaf.unit for path in self.paths}
        latencies = {name: task.latency for name, task in self.computes.items()}
        self.pace: Pace = pace(self.walked.top, Facts(spans, units, latencies, own, share, self.edges, self._copies(), self.least))
        for path in self.paths:
            task = self.computes[path.name]
            task.offset = self.pace.offsets[path.name]
            task.strides = [self.pace.strides[id(row)] for row in path.loops]

    def _copies(self) -> dict[str, int]:
        """Copies of every intermediate whose home holds the tile of one iteration."""
        found: dict[str, int] = {}
        for producer, consumer, tensor, rank in self.edges:
            if rank or producer == consumer:
                continue
            one, other = self.paths[self.number[producer]], self.paths[self.number[consumer]]
            common = self.walked.common(self.number[producer], self.number[consumer])
            places = self.keepers(one, tensor)
            above = sum(1 for row in one.rows[:common] if isinstance(row.node, For) and row.trips > 1)
            home = sum(1 for row in one.rows[: places[0]] if isinstance(row.node, For) and row.trips > 1 and row in one.rows[:common])
            if home == above:
                rows = [one.rows[places[0]], other.rows[self.keepers(other, tensor)[0]]]
                found[tensor] = max(found.get(tensor, 0), *(self._held(row, tensor).copies for row in rows))
        return found

    def _order(self) -> None:
        """What waits for what: operands for their loads, loads for those further out, consumers for producers, drains for results."""
        for path in self.paths:
            compute = self.computes[path.name]
            for tensor in dict.fromkeys(read.tensor for read in path.einsum.reads):
                for read in path.einsum.reads:
                    if read.tensor == tensor:
                        self._inputs(path, compute, tensor, self.cascade.index_maps(read))
            self._outputs(path, compute)
        for producer, consumer, tensor, rank in self.edges:
            self._depends(producer, consumer, tensor, rank)

    def _chain(self, path: Path, tensor: str, maps: object) -> list[Task]:
        """Loads of an operand on its way to a leaf, outermost first."""
        rows = (path.rows[place] for place in self.keepers(path, tensor))
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
        if before is not None:
            self._after(compute, before, len(before.loops), "memory")

    def _after(self, task: Task, before: Task, prefix: int, why: str) -> None:
        """The firing of `before` that serves a firing of `task`, which has its loops and more."""
        prefix = min(prefix, len(task.loops))
        task.waits.append(Wait(before, prefix, before.beyond(prefix), 0, why))

    def _used(self, load: Task, user: Task) -> None:
        """A load waits until all users are done with the tile whose place it takes."""
        prefix = len(load.loops)
        inner = user.beyond(prefix)
        load.waits.append(Wait(user, prefix, inner, inner - 1 - load.copies * inner, "room"))
        first, last = user.offset, _last(user, prefix) + _ROUNDING
        if load.users:
            first, last = min(load.offset, first), max(load.offset + load.span, last)
        load.users += 1
        load.offset, load.span = first, last - first

    def _outputs(self, path: Path, compute: Task) -> None:
        tensor = path.einsum.output.tensor
        inner: Task = compute
        for place in reversed(self.keepers(path, tensor)):
            row = path.rows[place]
            drain = self.drains.get((id(row), tensor))
            if drain is None:
                continue
            prefix = len(drain.loops)
            beyond = inner.beyond(prefix)
            drain.waits.append(Wait(inner, prefix, beyond, beyond - 1, "dependence"))
            drain.strides = compute.strides[:prefix]
            drain.offset = _last(compute, prefix) + _ROUNDING
            copies = self._held(row, tensor).copies
            back = self.loads.get((id(row), tensor, "back"))
            if back is not None:
                back.strides, back.offset = list(drain.strides), compute.offset
                back.span = drain.offset - compute.offset
                back.waits.append(Wait(drain, prefix, 1, -copies, "room"))
                compute.waits.append(Wait(back, prefix, 1, 0, "memory"))
                self._after_last_drain(back, drain, path)
            compute.waits.append(Wait(drain, prefix, 1, -copies, "room", ahead=compute.latency))
            inner = drain

    def _after_last_drain(self, back: Task, drain: Task, path: Path) -> None:
        """What comes back was sent out before: in the turn before of the innermost loop that the tensor does not go by."""
        ranks = {rank for index in self.cascade.index_maps(path.einsum.output) if index for rank in index.ranks}
        loops = [row for row in path.loops][: len(drain.loops)]
        beyond = 1
        for place in range(len(loops) - 1, -1, -1):
            if _rank(loops[place]) not in ranks and _rank(loops[place]) in path.einsum.ranks:
                back.waits.append(Wait(drain, len(drain.loops), 1, -beyond, "dependence", place))
                return
            beyond *= loops[place].trips

    def _depends(self, producer: str, consumer: str, tensor: str, rank: str) -> None:
        one, other = self.paths[self.number[producer]], self.paths[self.number[consumer]]
        if producer == consumer:
            self._recurs(one, rank)
            return
        common = self.walked.common(self.number[producer], self.number[consumer])
        depth = one.depth(common)
        ready = self._ready(one, other, tensor)
        for task in self._readers(other, tensor):
            prefix = min(depth, len(task.loops))
            deep = ready.beyond(depth)
            times = deep * math.prod(ready.loops[prefix:depth])
            if not rank:
                task.waits.append(Wait(ready, prefix, times, deep - 1, "dependence"))
                task.ready = max(task.ready, _last(ready, depth) + _SOON)
                continue
            place = next((at for at in range(depth - 1, -1, -1) if _rank(one.loops[at]) == rank), None)
            if place is None:
                continue
            distance = math.prod(row.trips for row in one.loops[place + 1 : depth])
            task.ready = max(task.ready, _last(ready, depth) - ready.strides[place] + _SOON)
            guard = place if place < len(task.loops) else -1
            task.waits.append(Wait(ready, prefix, times, (deep - 1) - distance * deep, "dependence", guard))

    def _recurs(self, path: Path, rank: str) -> None:
        place = next((at for at in range(len(path.loops) - 1, -1, -1) if _rank(path.loops[at]) == rank), None)
        if place is not None:
            compute = self.computes[path.name]
            distance = math.prod(row.trips for row in path.loops[place + 1 :])
            compute.waits.append(Wait(compute, len(compute.loops), 1, -distance, "dependence", place))

    def _ready(self, one: Path, other: Path, tensor: str) -> Task:
        """The task after which a consumer finds what a producer made: its drain into the innermost keep that both are below."""
        shared = {id(row) for row in other.rows}
        ready = self.computes[one.name]
        for place in reversed(self.keepers(one, tensor)):
            if id(one.rows[place]) in shared:
                break
            ready = self.drains.get((id(one.rows[place]), tensor), ready)
        return ready

    def _readers(self, other: Path, tensor: str) -> list[Task]:
        """The tasks of a consumer that read what a producer made: its outermost loads, or the Einsum itself."""
        found: list[Task] = []
        for read in other.einsum.reads:
            if read.tensor == tensor:
                chain = self._chain(other, tensor, self.cascade.index_maps(read))
                found.append(chain[0] if chain else self.computes[other.name])
        if any(read.tensor == tensor for read in other.einsum.condition_reads) and not found:
            found.append(self.computes[other.name])
        return list({id(task): task for task in found}.values())

    def _room(self) -> None:
        """A producer waits until the readers of the tile whose place it takes are done."""
        copies = self._copies()
        for producer, consumer, tensor, rank in self.edges:
            if rank or producer == consumer or tensor not in copies:
                continue
            common = self.walked.common(self.number[producer], self.number[consumer])
            depth = self.paths[self.number[producer]].depth(common)
            if depth == 0:
                continue  # there is one iteration only
            writer, reader = self.computes[producer], self.computes[consumer]
            deep = reader.beyond(depth)
            writer.waits.append(Wait(reader, depth, deep, deep - 1 - copies[tensor] * deep, "room", ahead=writer.latency))

    def hasty(self) -> dict[str, float]:
        """Longer periods for fuses whose plan would load a tile before the one whose place it takes is done with, by leaves."""
        found: dict[str, float] = {}
        for load in self.loads.values():
            if not load.loops or not load.copies:
                continue
            stride, path = load.strides[len(load.loops) - 1], self.paths[self.number[load.einsum]]
            if load.copies * stride > load.span:
                continue
            above = path.rows.index(path.loops[len(load.loops) - 1])
            fuse = next((path.rows[place] for place in path.fuses if place > above), None)
            if fuse is None:
                continue
            key = "+".join(self.walked.leaves[number].einsum for number in range(fuse.first, fuse.last))
            period = self.pace.periods[key]
            turns = round(stride / period)
            apart = load.span - (turns - 1) * period
            found[key] = max(found.get(key, 0.0), 1.01 * apart / ((load.copies - 1) * turns + 1))
        return found

    # --- barriers

    def _barriers(self) -> None:
        """One after another: branches of a sequential fuse, stages of a staged one."""
        for row in self.walked.rows:
            if not isinstance(row.node, Fuse) or row.node.schedule == "pipelined":
                continue
            names = [self.walked.leaves[number].einsum for number in range(row.first, row.last)]
            if row.node.schedule == "sequential":
                self._separate(row, [(self._branch(branch), ()) for branch in row.branches])
            else:
                self._separate(row, stages_of(row.node, self.edges, names))

    def _branch(self, branch: tuple[Row, ...]) -> tuple[str, ...]:
        return tuple(self.walked.leaves[number].einsum for number in range(branch[0].first, branch[0].last))

    def _separate(self, fuse: Row, groups: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
        some = self.paths[fuse.first]
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
            self.tasks.append(barrier)
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
                id(row) for name in names for place, row in enumerate(self.paths[self.number[name]].rows)
                if place > self.paths[self.number[name]].rows.index(fuse)
            }  # fmt: skip
            found += [task for (row, *_), task in self.loads.items() if row in inside]
            found += [task for (row, _), task in self.drains.items() if row in inside]
        return found


def _last(task: Task, prefix: int) -> float:
    """When the last firing of a task is planned in the first turn of its first loops."""
    return task.offset + sum((trips - 1) * stride for trips, stride in zip(task.loops[prefix:], task.strides[prefix:], strict=True))


def _rank(row: Row) -> str:
    """The rank of a loop."""
    assert isinstance(row.node, (For, Spatial))
    return row.node.rank


def _memory(row: Row) -> str:
    """The memory of a keep."""
    assert isinstance(row.node, Keep)
    return row.node.memory


def _first_size(slot: Slot) -> int:
    size = slot.extent
    for _, tile in slot.entries:
        size = min(size, tile)
    return size


def lower(evaluator: Evaluator, mapping: Mapping, latencies: dict[str, int]) -> list[Task]:
    """The tasks of a legal mapping; refuses what is not simulated yet, in words."""
    least: dict[str, float] = {}
    for _ in range(_MOST_PLANS):
        made = Lowering(evaluator, mapping, latencies, least)
        longer = made.hasty()
        if all(least.get(key, 0.0) >= period for key, period in longer.items()):
            break
        least |= {key: max(period, least.get(key, 0.0)) for key, period in longer.items()}
    return made.tasks
