"""Tasks and what they use: the work of each Einsum on its unit, and words on their way between keepers on the ports that they cross."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from accelsim.errors import IllegalMapping
from accelsim.mapping.footprint import laid_shape
from accelsim.mapping.tree import For, Keep, Spatial
from accelsim.mapping.walk import Row
from accelsim.model.program import Carried
from accelsim.sim.edges import check_copies, check_indices, check_shares, check_turns
from accelsim.sim.folds import Fold, array_of, grid_of, held_place, stays_of
from accelsim.sim.holds import Holds, above, emptied, turned
from accelsim.sim.paths import Path, Paths, memory_of, rank_of
from accelsim.sim.places import placed
from accelsim.sim.sharing import is_inside, levels_of, met_at, tells_all
from accelsim.sim.slots import Dims, again_of, boxes_of, first_of, old_slices, slots_of
from accelsim.sim.tasks import AGAIN, COMPUTE, DRAIN, FIRST, LAST, LOAD, Box, Laid, Need, Shares, Slot, Task, Use, words
from accelsim.workload.expression import Access, IndexMap, inner_accesses, names

READ, WRITE = "read", "write"
_WAYS = {READ: "down", WRITE: "up"}  # of what a memory reads and is written, on its way through a network


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
        self._holds = Holds(paths)
        for path in paths.all:
            self._compute(path)
        for path in paths.all:
            self._transfers(path)

    def _dims(self, tensor: str, maps: tuple[IndexMap | None, ...]) -> Dims:
        noun = self.cascade.tensors[tensor]
        found = []
        for place, index in enumerate(maps):
            assert index is not None, "the evaluator refuses other indices"
            if index.terms:
                low = noun.constant_slices if noun.iterative == place else 0
                found.append((index, low, noun.shape[place]))
        return tuple(found) or ((IndexMap(()), 0, 1),)  # of a scalar, the one word

    def _wanted(self, path: Path, loops: list[Row], ranks: set[str], outer: int, inner: int, reduce: str = "") -> Shares:
        """Copies between two rows that want each word for themselves, along axes that do not share it."""
        found, groups = dict[tuple[str, int], tuple[Slot, int]](), Counter[str]()  # of copies side by side, with no turns between
        for place in range(outer, inner):
            row, node = path.rows[place], path.rows[place].node
            if not isinstance(node, (For, Spatial)) or node.rank not in set(path.einsum.ranks) - ranks or row.trips == 1:
                continue
            group = node.rank, groups[node.rank]
            copied, around = any(rank == node.rank for rank, _ in found), found[group][1] if group in found else 0
            served = isinstance(node, Spatial) and self._serves(node.axis, reduce)
            check_shares(self.cascade, path, row, loops, copied, around, served)
            if isinstance(node, For):
                groups[node.rank] += 1
            elif not served:
                slot, _ = found.get(group, (first_of(self.cascade, path, node.rank, loops, place), 0))
                found[group] = slot, node.tile
        return tuple(found.values())

    def _serves(self, axis: str, reduce: str) -> bool:
        """Whether an axis serves several copies at once: as it multicasts, or for results (reduce: their operator) reduces."""
        found = self.machine.axes[axis][1]
        return reduce in found.reduces if reduce else found.multicast

    def _serving(self, reduce: str) -> Callable[[str], bool]:
        return lambda axis: self._serves(axis, reduce)

    def _laid(self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int) -> Laid | None:
        """How the tile in the keep at a place lies in the banks of its memory; None: there is only one."""
        row = path.rows[place]
        banks = self.machine.memories[memory_of(row)].banks
        if banks == 1:
            return None
        known = tuple(index for index in maps if index is not None)
        rows = [row]
        if place == self.paths.keepers(path, tensor)[0]:  # branches hand an intermediate on in its home
            homes = [other.rows[self.paths.keepers(other, tensor)[0]] for other in self.paths.all if self.paths.keepers(other, tensor)]
            rows += [home for home in homes if memory_of(home) == memory_of(row)]
        shapes = [laid_shape(self.paths.homes, each, tensor) for each in dict.fromkeys(rows)]
        shape = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
        return Laid(tensor, banks, known, shape, placed(known, self.paths.held(row, tensor).layout))

    def _use(
        self, memory: str, way: str, bits: int, boxes: list[Box], rule: int = 0, laid: Laid | None = None, by_point: bool = False
    ) -> list[Use]:
        port = self.clock.ports.get(memory)
        if port is None:
            return []
        ticks = port.read if way == READ or port.shared else port.write
        if not ticks or not bits:
            return []
        is_network = memory in self.machine.networks
        name, writes = memory if port.shared else f"{memory} {_WAYS[way] if is_network else way}", way == WRITE
        laid = None if is_network else laid  # a link has no banks
        return [Use(name, ticks * bits, box, rule, bits, writes, laid=laid, by_point=by_point) for box in boxes]

    def _compute(self, path: Path) -> None:
        name, leaf, einsum = path.name, path.leaf, path.einsum
        end = len(path.rows)
        slots = slots_of(self.cascade, path, path.loops, end)
        residual = {rank: self.cascade.extents[rank] for rank in einsum.ranks}
        for row in path.rows:
            if isinstance(row.node, (For, Spatial)) and rank_of(row) in residual:
                residual[rank_of(row)] = min(residual[rank_of(row)], row.node.tile)
        task = Task(name, COMPUTE, name, loops=tuple(row.trips for row in path.loops), turns=dict(path.turns), unit=leaf.unit)
        alone = self.evaluator.program.steps_of(name, leaf.unit)
        task.points = tuple((slots[rank], 1 if rank in alone else residual[rank]) for rank in einsum.ranks)
        task.lanes = self.machine.units[leaf.unit].lanes
        task.issue_ticks = self.evaluator.issue_ticks(name, leaf.unit)
        task.latency = (self.machine.units[leaf.unit].pipeline_depth + self.latencies[name]) * self.clock.per_cycle
        task.fold = self._fold(path, slots)
        task.again = again_of(self.cascade, path, path.loops, end)
        task.needs = self._conditions(path, path.loops, end)
        # reads of operands by the unit, and updates of the result
        different = {(read.tensor, self.cascade.index_maps(read)): read for read in reversed(einsum.reads)}
        for read in reversed(different.values()):
            self._operand(task, path, read)
        self._result(task, path)
        self._add(task, path)
        self.computes[name] = task

    def _add(self, task: Task, path: Path) -> None:
        """Note a task; refuses what banks are not simulated for."""
        banked = [use for use in task.uses if use.laid is not None]
        for use in banked:
            assert use.laid is not None
            tensor = use.laid.tensor
            if use.share != (1, 1):
                raise _with_banks(f"a fraction of {tensor} is kept", path)
            if use.box.levels:
                raise _with_banks(f"copies share windows of {tensor}, or some hold less of it at an edge", path)
            if use.box.leaving:
                raise _with_banks(f"tiles of {tensor} stay at edges", path)
            if use.box.is_last_copy:
                raise _with_banks(f"copies take turns over their own, uneven parts of {tensor}", path)
            windows = {rank for place in use.box.counted for rank in use.box.dims[place][0].ranks} if use.by_point else set()
            for index in use.laid.maps if use.by_point else ():
                if (index.divisor != 1 or index.modulus) and (len(index.terms) > 1 or windows & set(index.ranks)):
                    raise _with_banks(f"{path.name} takes {tensor} at a // or % of several ranks straight", path)
        self.all.append(task)

    def _fold(self, path: Path, slots: dict[str, Slot]) -> Fold | None:
        """How a systolic array works on the tiles of an Einsum, if it runs on one."""
        array = array_of(self.machine, path.leaf.unit)
        if array is None:
            return None
        if path.einsum.chosen:
            what = f"systolic array {array.name} hands words on from element to element, and {path.name} chooses among them"
            raise IllegalMapping(what, "run it on another unit", path.leaf.place)
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
                    outer = slots_of(self.cascade, path, path.loops, place)[rank_of(row)]
                    used.append((outer, row.node.tile))
            sides.append(tuple(used))
        return Fold(grid_of(array), stays, *sides)

    def _conditions(self, path: Path, loops: list[Row], until: int) -> tuple[Need, ...]:
        """Those of the Einsum, and that turns of loops that repeat it have something to do: of uneven tiles the last ones may be empty."""
        repeated = dict.fromkeys(rank_of(row) for row in loops if id(row) in path.again)
        slots = {rank: first_of(self.cascade, path, rank, loops, until) for rank in repeated}
        full = [(((slot, 0),), 0) for slot in slots.values() if len(slot.entries) > 1 and slot.size is None]
        return (*full, *self._inequalities(path, loops, until))

    def _inequalities(self, path: Path, loops: list[Row], until: int) -> tuple[Need, ...]:
        if path.einsum.condition is None:
            return ()
        slots = slots_of(self.cascade, path, loops, until, 0)
        if any(slot.spread for slot in slots.values()):
            what = f"copies take turns over their own parts of a rank of {path.name}, which has a condition, which is not simulated yet"
            raise IllegalMapping(what, "put the loop over the rank outside the copies", path.leaf.place)
        from accelsim.workload.conditions import condition_inequalities

        rows = condition_inequalities(self.cascade, path.einsum)
        if rows is None:
            what = f"the condition of {path.name} is no conjunction of linear comparisons, which is not simulated yet"
            raise IllegalMapping(what, "write it as comparisons of ranks joined by 'and'", path.leaf.place)
        return tuple((tuple((slots[rank], factor) for rank, factor in terms.items()), bound) for terms, bound in rows)

    def _operand(self, task: Task, path: Path, read: Access) -> None:
        place = self.paths.keepers(path, read.tensor)[-1]
        maps, bits = self.cascade.index_maps(read), self.widths.read[path.name, read.tensor]
        ranks = {rank for index in maps if index for rank in index.ranks}
        self._holds.reach(task, path, read.tensor, ranks, place, path.loops)

        laid = self._laid(path, read.tensor, maps, place)
        if laid is not None and inner_accesses(read):
            raise _with_banks(f"values choose what is read of {read.tensor}", path)
        named = ranks | (set(names(read)) & set(path.einsum.ranks))  # copies for which others choose read words of their own

        def reads(memory: str, at: int) -> list[Use]:
            return self._every_point(path, memory, READ, bits, named, at, "", read, laid)

        ports, crossed = self._shared(path, read.tensor, maps, place, len(path.rows), reads)
        task.uses += ports + crossed

    def _result(self, task: Task, path: Path) -> None:
        tensor, maps = path.einsum.output.tensor, self.cascade.index_maps(path.einsum.output)
        for index in maps:
            if index is not None and not tells_all(index, self.cascade.extents):
                what = f"{path.name} adds to {tensor} at a sum, // or % of ranks, which is not simulated yet"
                raise IllegalMapping(what, "give the result a rank of its own, and read at differences of ranks", path.leaf.place)
        place = self.paths.keepers(path, tensor)[-1]
        ranks = {rank for index in maps if index for rank in index.ranks}
        self._holds.reach(task, path, tensor, ranks, place, path.loops)
        partial, final = self.widths.partial[tensor], self.widths.final[tensor]
        reduce = path.einsum.reduce if path.einsum.reduced else ""
        laid = self._laid(path, tensor, maps, place)

        def updates(memory: str, at: int) -> list[Use]:
            whole = boxes_of(path, self._dims(tensor, maps), slots_of(self.cascade, path, path.loops, len(path.rows), at))
            found = self._every_point(path, memory, WRITE, partial, ranks, at, reduce or "none", laid=laid)
            if path.einsum.reduced:
                found += self._every_point(path, memory, READ, partial, ranks, at, reduce, laid=laid)
                found += self._use(memory, READ, -partial, whole, FIRST, laid)
            completes = partial != final and self.cascade.tensors[tensor].iterative is None and not self._sums_up(path, place, at)
            if completes:
                found += self._use(memory, WRITE, final - partial, whole, LAST if path.einsum.reduced else 0, laid)
            return found

        ports, crossed = self._shared(path, tensor, maps, place, len(path.rows), updates)
        task.uses += ports + crossed

    def _sums_up(self, path: Path, outer: int, inner: int) -> bool:
        """Whether copies between two rows hold parts of the same words of a result."""
        copies = (row for row in path.rows[outer:inner] if isinstance(row.node, Spatial) and row.trips > 1)
        return any(rank_of(row) in path.einsum.reduced for row in copies)

    def _share(self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int) -> tuple[int, int]:
        """How many words of how many of a tile stay in a keep."""
        held = self.paths.held(path.rows[place], tensor)
        if held.fraction == 1:
            return 1, 1
        (box,) = boxes_of(path, self._dims(tensor, maps), slots_of(self.cascade, path, above(path, place), place))
        tile = words(box)
        return int(tile * held.fraction), max(1, tile)

    def _nested(self, path: Path, tensor: str, outer: int, inner: int) -> IllegalMapping:
        around, inside = (memory_of(path.rows[place]) for place in (outer, inner))
        what = f"fractions of {tensor} are kept in {around} and inside it in {inside}, which is not simulated yet"
        return IllegalMapping(what, "keep all of it in one of the two", path.rows[inner].node.place)

    def _crossed(self, path: Path, place: int, inner: int, made: Callable[[str, int], list[Use]]) -> list[Use]:
        """Accesses of the keep at a place from a row further in, at the networks on the way: made of each from where its copies are one."""
        return [use for network, at in self.paths.links(path, place, inner) for use in made(network, at)]

    def _shared(
        self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int, inner: int, made: Callable[[str, int], list[Use]]
    ) -> tuple[list[Use], list[Use]]:
        """Accesses of the keep at a place from a row further in, at ports and at networks: of words that it has no room for, those of the
        next one outwards.

        made: the uses that they are of a memory or of a network, which stands after so many rows: copies spread before it have their own.
        """
        share, memory = self._share(path, tensor, maps, place), memory_of(path.rows[place])
        crossed = self._crossed(path, place, inner, made)
        if share == (1, 1):
            return made(memory, place), crossed
        places = self.paths.keepers(path, tensor)
        outer = places[places.index(place) - 1]
        if any(self.machine.memories[memory_of(path.rows[at])].banks > 1 for at in (outer, place)):
            raise _with_banks(f"a fraction of {tensor} is kept", path)
        copies = any(isinstance(row.node, Spatial) and row.trips > 1 for row in path.rows[outer:place])
        if copies:
            what = f"a fraction of {tensor} is kept in copies of {memory}, which is not simulated yet"
            raise IllegalMapping(what, "keep all of it", path.rows[place].node.place)
        if self._share(path, tensor, maps, outer) != (1, 1):
            raise self._nested(path, tensor, outer, place)
        mine, rest = made(memory, place), made(memory_of(path.rows[outer]), place)
        further = self._crossed(path, outer, place, lambda network, _: made(network, place))
        ports = [replace(use, share=share) for use in mine] + [replace(use, share=share, rest=True) for use in rest]
        return ports, crossed + [replace(use, share=share, rest=True) for use in further]

    def _every_point(
        self, path: Path, memory: str, way: str, bits: int, ranks: set[str], place: int, reduce: str, read: Access | None = None,
        laid: Laid | None = None,
    ) -> list[Use]:  # fmt: skip
        """One word for every point, shared by copies where the axes between a keep and the unit share it.

        `read`: points at which it is a constant slice or lies outside its tensor move nothing. `laid`: how the tile lies in banks.
        """
        end, extents = len(path.rows), self.cascade.extents
        inner, outer = slots_of(self.cascade, path, path.loops, end), slots_of(self.cascade, path, path.loops, end, place)
        alone = {rank for rank in path.einsum.ranks if rank in ranks or self._no_copy_shares(path, rank, place, reduce)}
        slots = {rank: outer[rank] if rank in alone else inner[rank] for rank in path.einsum.ranks}
        inside = {rank: (0, extents[rank]) for rank in path.einsum.ranks}
        windows: list[tuple[IndexMap, int, int]] = []  # indices of several ranks that reach outside the tensor
        words = self._dims(read.tensor, self.cascade.index_maps(read)) if read else ()
        words = tuple(each for each in words if not set(each[0].ranks) & set(path.einsum.chosen))  # whatever values choose is there
        own = () if read and inner_accesses(read) else words  # copies for which others choose read words of their own
        met, levels = met_at(path, own, extents, alone, place, self._serving(reduce))
        joint = {rank for index, _, _ in met for rank in index.ranks}
        slots |= {rank: outer[rank] for rank in joint}
        for index, low, high in words:
            if joint & set(index.ranks):
                continue
            if index.single_rank is not None:
                first, last = inside[index.single_rank]
                inside[index.single_rank] = max(first, low - index.offset), min(last, high - index.offset)
            elif not is_inside(index, low, high, extents):
                windows.append((index, low, high))
        within = {rank: min(extents[rank], max(1, last)) for rank, (_, last) in inside.items()}  # other indices may keep one inside
        windows = [each for each in windows if not is_inside(*each, within)]
        counts = Counter(rank for index, _, _ in windows for rank in index.ranks)
        limited = any(times > 1 or inside[rank] != (0, extents[rank]) for rank, times in counts.items())
        if read and (limited or any(index.divisor != 1 or index.modulus for index, _, _ in windows)):
            what = f"{path.name} reads outside {read.tensor} at a // or %, or at several indices with a rank in common"
            raise IllegalMapping(f"{what}, which straight out of {memory} is not simulated yet", "put a keep below", path.leaf.place)
        joint |= counts.keys()
        dims = (*met, *windows, *((IndexMap(((rank, 1),)), *inside[rank]) for rank in path.einsum.ranks if rank not in joint))
        counted = frozenset(range(len(met), len(met) + len(windows)))
        boxes = boxes_of(path, dims, slots, counted=counted, levels=levels, met=frozenset(range(len(met))))
        return self._use(memory, way, bits, boxes, laid=laid, by_point=True)

    def _no_copy_shares(self, path: Path, rank: str, place: int, reduce: str) -> bool:
        """Whether copies share a rank out below a keep, along axes of which none serves several at once."""
        nodes = [row.node for row in path.rows[place:] if isinstance(row.node, Spatial) and row.trips > 1 and rank_of(row) == rank]
        axes = [node.axis for node in nodes if isinstance(node, Spatial)]
        return bool(axes) and not any(self._serves(axis, reduce) for axis in axes)

    def _transfers(self, path: Path) -> None:
        """Loads and drains between the keepers of what an Einsum touches; the first Einsum below a keep pays for what enters it."""
        different = {(read.tensor, self.cascade.index_maps(read)): read for read in reversed(path.einsum.reads)}
        for read in reversed(different.values()):
            maps = self.cascade.index_maps(read)
            places = self.paths.keepers(path, read.tensor)
            for outer, inner in pairwise(places):
                key = (id(path.rows[inner]), read.tensor, maps)
                inside = self._made_inside(path, read.tensor, inner)
                if inside:
                    check_indices(self.cascade, path, read.tensor, maps, inner)
                carried = self._reaches_back(path, read.tensor, maps, inner) if inside else None
                if key in self.loads or (inside and carried is None):
                    continue
                task = self._transfer(path, read.tensor, maps, outer, inner, LOAD, carried=carried)
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
        return outside or self.cascade.tensors[tensor].is_output or any(self._returns(reader, tensor, row) for reader in readers)

    def _returns(self, reader: str, tensor: str, row: Row) -> bool:
        """Whether an Einsum below a keep reads slices that were made there, and have left it since."""
        path = self.paths.of(reader)
        place = path.rows.index(row)
        for read in path.einsum.reads:
            if read.tensor == tensor:
                carried = self._reaches_back(path, tensor, self.cascade.index_maps(read), place)
                loops = self._turns(path, tensor, self.cascade.index_maps(read), place, carried) if carried is not None else []
                if carried is not None and carried.rank in map(path.rank, loops) and self.cascade.extents[carried.rank] > carried.back:
                    return True
        return False

    def _reaches_back(self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int) -> Carried | None:
        """How a read reaches back into slices that are made below a keep and may come into it again."""
        carried, noun = self.evaluator.program.carried(tensor, maps), self.cascade.tensors[tensor]
        if carried is None or (path.einsum.condition is not None and carried.rank in names(path.einsum.condition)):
            return None
        loops = self._turns(path, tensor, maps, place, carried)
        turn = carried.rank in map(path.rank, loops)
        if turn and carried.follows:
            own = {rank for dimension, index in enumerate(maps) if index and dimension != noun.iterative for rank in index.ranks}
            check_turns(self.cascade, path, tensor, carried.rank, loops, max(0, emptied(path, place)))
            check_copies(self.cascade, path, tensor, own, place)
        return carried if turn or noun.constant_slices < carried.back else None

    def _turns(
        self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int, carried: Carried | None, result: bool = False
    ) -> list[Row]:
        """The loops above a keep in every turn of which a tensor may cross into it: not those of which only slices follow each other."""
        slices = self.cascade.tensors[tensor].iterative if carried is not None and carried.follows else None
        ranks = {rank for dimension, index in enumerate(maps) if index and dimension != slices for rank in index.ranks}
        return above(path, place)[: turned(path, ranks, place, result)]

    def _stays(self, path: Path, tensor: str, ranks: set[str], loops: list[Row], outer: int, inner: int) -> bool:
        """Whether tiles of a result that comes back may stay where they are instead: at an edge of fewer turns or copies, and where a
        condition leaves nothing to do in between. Refused where copies have less than others, or send parts of their own.
        """
        slots = slots_of(self.cascade, path, loops, inner, outer)
        last = next((rank for rank in ranks if slots[rank].last is not None), "")
        edges = any(slots[rank].size is None and not slots[rank].spread for rank in ranks) or path.einsum.condition is not None
        if self.cascade.tensors[tensor].iterative is not None or not (last or edges):
            return False
        if last or self._wanted(path, loops, ranks, outer, inner, path.einsum.reduce):
            copies = f"copies with less of {last} than others" if last else "copies that send parts of their own"
            what = f"tiles of {tensor} may stay at edges in {copies}, and come back, which is not simulated yet"
            raise IllegalMapping(what, "let its tiles divide each other", path.rows[inner].node.place)
        return True

    def _transfer(
        self, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], outer: int, inner: int, kind: int, returning: bool = False,
        carried: Carried | None = None,
    ) -> Task | None:  # fmt: skip
        source, target = path.rows[outer].node, path.rows[inner].node
        assert isinstance(source, Keep) and isinstance(target, Keep)
        ranks = {rank for index in maps if index for rank in index.ranks}
        loops = self._turns(path, tensor, maps, inner, carried, tensor == path.einsum.output.tensor)
        name = {LOAD: f"{tensor} to {target.memory}", DRAIN: f"{tensor} from {target.memory}"}[kind] + (" again" if returning else "")
        task = Task(name, kind, path.name, tensor, tuple(row.trips for row in loops), maps=tuple(index for index in maps if index))
        task.carried = carried
        task.layout = self.paths.held(path.rows[outer], tensor).layout
        writes = tensor == path.einsum.output.tensor and (kind == DRAIN or returning)
        reduce = (path.einsum.reduce if path.einsum.reduced else "none") if writes else ""
        task.again = again_of(self.cascade, path, loops, inner) if writes else ()
        returns = any(place >= 0 for slot in task.again for place, _ in slot.entries)
        if returning and not returns:
            return None  # nothing ever comes back
        stays = returns and self._stays(path, tensor, ranks, loops, outer, inner)
        dims, delta, leaving = self._dims(tensor, maps), kind == LOAD and (stays or not returning), kind == DRAIN and stays
        if stays:  # counted by ranks: a result has one rank in each dimension, at whatever stride
            dims = tuple((IndexMap(((rank, 1),)), 0, self.cascade.extents[rank]) for rank in sorted(ranks))
        again = any(path.rank(row) not in ranks for row in loops)  # tiles have their turn again
        afresh = emptied(path, inner) if delta or leaving else -1
        own = old_slices(slots_of(self.cascade, path, loops, inner), carried)
        near = boxes_of(path, dims, own, delta=delta, afresh=afresh, leaving=leaving)
        task.latency = self.machine.memories[source.memory].latency_cycles * self.clock.per_cycle if kind == LOAD else 0
        partial, final = self.widths.partial[tensor], self.widths.final[tensor]
        bits = partial if returning or kind == DRAIN else self.widths.read[path.name, tensor]
        parts = self._sums_up(path, outer, inner)
        completes = kind == DRAIN and final != partial and self.cascade.tensors[tensor].iterative is None
        rule, last = AGAIN if returning else 0, LAST if path.einsum.reduced else 0

        there, here = (self._laid(path, tensor, maps, place) for place in (outer, inner))

        def outside(memory: str, at: int) -> list[Use]:
            wanted = self._wanted(path, loops, ranks, at, inner, reduce)
            slots = old_slices(slots_of(self.cascade, path, loops, inner, at), carried)
            levels = levels_of(path, dims, slots, at, inner, self._serving(reduce), again) if delta or leaving else ()
            far = boxes_of(path, dims, slots, wanted, delta, levels=levels, afresh=afresh, leaving=leaving)
            if kind == LOAD:
                return self._use(memory, READ, bits, far, rule, there)
            found, once = self._use(memory, WRITE, bits, far, laid=there), [replace(box, wanted=()) for box in far]
            if wanted:  # of copies that send parts of the same word, all but the first are added to what is there
                found += self._use(memory, READ, bits, far, FIRST, there) + self._use(memory, READ, -bits, once, FIRST, there)
            done = completes and not self._sums_up(path, outer, at)
            return found + (self._use(memory, WRITE, final - bits, once if parts else far, last, there) if done else [])

        inside = self._use(target.memory, WRITE if kind == LOAD else READ, bits, near, rule, here)
        inside += self._use(target.memory, READ, final - bits, near, last, here) if completes and not parts else []
        ports, crossed = self._shared(path, tensor, maps, outer, inner, outside)
        task.uses = ports + inside + crossed  # that it is the ports that hold transfers in order depends on no network
        share = self._share(path, tensor, maps, inner)
        if share != (1, 1):
            if any(use.share != (1, 1) for use in task.uses):
                raise self._nested(path, tensor, outer, inner)
            task.uses = [replace(use, share=share) for use in task.uses]
        if not task.uses:
            return None
        slots = slots_of(self.cascade, path, loops, inner)  # in turns that there are not, since tiles nest unevenly, nothing moves
        task.points = tuple((slots[rank], 1) for rank in dict.fromkeys(map(path.rank, loops)) if rank in slots)
        self._holds.touch(task, path, tensor, ranks, inner, loops)
        self._holds.reach(task, path, tensor, ranks, outer, loops)
        task.turns = {place: turn for place, turn in path.turns.items() if place < len(loops)}
        task.needs = self._conditions(path, loops, inner)
        task.copies = self.paths.held(path.rows[inner], tensor).copies if kind == LOAD else 0
        self._add(task, path)
        return task


def _with_banks(what: str, path: Path) -> IllegalMapping:
    return IllegalMapping(f"{what}, which with banks is not simulated yet", "map it otherwise, or leave out 'banks'", path.leaf.place)
