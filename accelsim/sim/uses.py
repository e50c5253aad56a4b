"""Tasks and what they use: the work of each Einsum on its unit, and words on their way between keepers on the ports that they cross."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Keep, Spatial
from accelsim.mapping.walk import Row
from accelsim.sim.folds import Fold, array_of, grid_of, held_place, stays_of
from accelsim.sim.paths import Path, Paths, memory_of, rank_of
from accelsim.sim.tasks import AGAIN, COMPUTE, DRAIN, FIRST, LAST, LOAD, Box, Slot, Task, Use
from accelsim.workload.expression import Access, IndexMap

READ, WRITE = "read", "write"


class Uses:
    """The tasks of a mapping, `all` in the order of the loop tree, without their plan and what they wait for.

    `computes`: by Einsum. `loads`: by keep (identity of its row), tensor and index maps; for what comes back of a result, by "back" instead
    of these. `drains`: by keep and tensor. `latencies`: cycles of reductions, by Einsum.
    """

    def __init__(self, paths: Paths, latencies: dict[str, int]) -> None:
        self.paths, self.latencies, self.cascade = paths, latencies, paths.cascade
        self.evaluator, self.machine = paths.evaluator, paths.evaluator.architecture
        self.clock, self.widths = self.evaluator.clock, self.evaluator.widths
        self.all: list[Task] = []
        self.computes: dict[str, Task] = {}
        self.loads: dict[tuple[int, str, object], Task] = {}
        self.drains: dict[tuple[int, str], Task] = {}
        for path in paths.all:
            self._compute(path)
        for path in paths.all:
            self._transfers(path)

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
                if not isinstance(row.node, (For, Spatial)) or rank_of(row) != rank:
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
            if isinstance(row.node, Spatial) and rank_of(row) in path.einsum.ranks and rank_of(row) not in ranks:
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
        together = port.shared or self.machine.memories[memory].dram is not None
        return Use(memory if together else f"{memory} {way}", ticks * bits, box, rule, bits, way == WRITE)

    def _compute(self, path: Path) -> None:
        name, leaf, einsum = path.name, path.leaf, path.einsum
        end = len(path.rows)
        slots = self._slots(path, path.loops, end)
        residual = {rank: self.cascade.extents[rank] for rank in einsum.ranks}
        for row in path.rows:
            if isinstance(row.node, (For, Spatial)) and rank_of(row) in residual:
                residual[rank_of(row)] = min(residual[rank_of(row)], row.node.tile)
        task = Task(name, COMPUTE, name, loops=tuple(row.trips for row in path.loops), turns=dict(path.turns), unit=leaf.unit)
        task.points = tuple((slots[rank], residual[rank]) for rank in einsum.ranks)
        task.lanes = self.machine.units[leaf.unit].lanes
        task.issue_ticks = self.evaluator.issue_ticks(name, leaf.unit)
        task.latency = (self.machine.units[leaf.unit].pipeline_depth + self.latencies[name]) * self.clock.per_cycle
        task.fold = self._fold(path, slots)
        everything = self._slots(path, path.loops, end, 0, exact=einsum.condition is not None)
        task.again = tuple(everything[rank] for rank in einsum.reduced)
        task.needs = self._conditions(path, everything)
        # reads of operands by the unit, and updates of the result
        different = {(read.tensor, self.cascade.index_maps(read)): read for read in reversed(einsum.reads)}
        for read in reversed(different.values()):
            self._operand(task, path, read)
        self._result(task, path)
        self.all.append(task)
        self.computes[name] = task

    def _fold(self, path: Path, slots: dict[str, Slot]) -> Fold | None:
        """How a systolic array works on the tiles of an Einsum, if it runs on one."""
        array = array_of(self.machine, path.leaf.unit)
        if array is None:
            return None
        stays, held = stays_of(self.machine, path), held_place(self.machine, path)
        for row in path.loops:
            if path.rows.index(row) > held:
                what = f"tiles inside systolic array {array.name} are uneven over {rank_of(row)}, which is not simulated yet"
                raise IllegalMapping(what, "let tiles inside divide those outside, without conditions", row.node.place)
        sides = []
        for axis in array.axes:
            used = []
            for place, row in enumerate(path.rows):
                if isinstance(row.node, Spatial) and row.node.axis == axis.name and rank_of(row) in slots:
                    outer = self._slots(path, path.loops, place)[rank_of(row)]
                    used.append((outer, row.node.tile))
            sides.append(tuple(used))
        return Fold(grid_of(array), stays, *sides)

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
        place = self.paths.keepers(path, read.tensor)[-1]
        memory = memory_of(path.rows[place])
        ranks = {rank for index in self.cascade.index_maps(read) if index for rank in index.ranks}
        task.uses += self._every_point(path, memory, READ, self.widths.read[path.name, read.tensor], ranks, place, "", read)

    def _result(self, task: Task, path: Path) -> None:
        tensor, maps = path.einsum.output.tensor, self.cascade.index_maps(path.einsum.output)
        place = self.paths.keepers(path, tensor)[-1]
        memory = memory_of(path.rows[place])
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
            places = self.paths.keepers(path, read.tensor)
            for outer, inner in pairwise(places):
                key = (id(path.rows[inner]), read.tensor, maps)
                if key in self.loads or self._made_inside(path, read.tensor, inner):
                    continue
                task = self._transfer(path, read.tensor, maps, outer, inner, LOAD)
                if task is not None:
                    self.loads[key] = task
        tensor = path.einsum.output.tensor
        maps = self.cascade.index_maps(path.einsum.output)
        places = self.paths.keepers(path, tensor)
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
        return any(row.first <= self.paths.number[maker] < row.last for maker in makers if maker in self.paths.number)

    def _leaves(self, path: Path, tensor: str, place: int) -> bool:
        row = path.rows[place]
        readers = [einsum.name for einsum in self.cascade.consumers.get(tensor, ())]
        outside = any(not row.first <= self.paths.number[reader] < row.last for reader in readers if reader in self.paths.number)
        return outside or self.cascade.tensors[tensor].is_output

    def _transfer(
        self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], outer: int, inner: int, kind: int, returning: bool = False
    ) -> Task | None:
        source, target = path.rows[outer].node, path.rows[inner].node
        assert isinstance(source, Keep) and isinstance(target, Keep)
        ranks = {rank for index in maps if index for rank in index.ranks}
        above = [row for row in path.rows[:inner] if isinstance(row.node, For) and row.trips > 1]
        kept = max((place for place, row in enumerate(above) if rank_of(row) in ranks), default=-1) + 1
        sequential = [place for place in path.fuses if place < inner and path.rows[place].node.schedule == "sequential"]  # type: ignore[union-attr]
        if sequential:
            kept = max(kept, sum(1 for row in above if row in path.rows[: sequential[-1]]))
        loops = above[:kept]
        name = {LOAD: f"{tensor} to {target.memory}", DRAIN: f"{tensor} from {target.memory}"}[kind] + (" again" if returning else "")
        task = Task(name, kind, path.name, tensor, tuple(row.trips for row in loops), maps=tuple(index for index in maps if index))
        task.order = self.paths.held(path.rows[outer], tensor).layout
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
        task.copies = self.paths.held(path.rows[inner], tensor).copies if kind == LOAD else 0
        self.all.append(task)
        return task
