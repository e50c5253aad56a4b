"""A mapping as a program for hw/rtl/npu_top.sv: the firings of the simulator, each as one instruction or a few, and what they wait for.

The processor's parameters are those of the machine: a memory, a buffer with ports for all lanes, an array over two axes and lanes over
one. Words have 32 bits and saturate. What an instruction waits for are counts of what is done: of loads, drains, and firings
of the array and of the lanes. Fields of instructions: see the headers of hw/rtl/npu_mover.sv and npu_engine.sv.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Array
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.nests import Nest, Range, nests, pieces, split_off, unrolled
from accelsim.rtl.processor import COUNT_BITS, LOOPS, NEST, WORD, Shape, refuse_large
from accelsim.rtl.steps import Step, steps_of
from accelsim.sim.arithmetic import plain
from accelsim.sim.holds import turned
from accelsim.sim.lowering import lower
from accelsim.sim.paths import Path, Paths
from accelsim.sim.reference_events import Firing, Outcome, interval, run
from accelsim.sim.slots import slots_of
from accelsim.sim.tasks import BARRIER, COMPUTE, LOAD, Task
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, IndexMap

LOADS, DRAINS, FIRST_UNIT = 0, 1, 2  # places among the counts
BEGINS, COUNTS, TO_BUFFER, REDUCES = 0, 1, 0, 8  # bits of flags
OPERANDS = 3


@dataclass(frozen=True, slots=True)
class Phase:
    """A firing on the processor: its task, when it may start, from when to when it is served and when it has ended, in cycles.

    `counts`: the place among the counts that it raises, and to what. `instructions`: which of its engine's.
    """

    task: str
    start: int
    served: int
    finish: int
    end: int
    counter: int
    number: int
    instructions: tuple[int, ...]


@dataclass
class Program:
    """Instructions of the mover, the array and the lanes; steps of the latter two; where tensors lie in the outer memory, in
    words; what words of the buffer are before the run."""

    shape: Shape
    cascade: Cascade
    engines: tuple[list[list[int]], list[list[int]], list[list[int]]] = field(default_factory=lambda: ([], [], []))
    steps: tuple[list[Step], list[Step]] = field(default_factory=lambda: ([], []))
    places: dict[str, int] = field(default_factory=dict)
    presets: dict[int, int] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    cycles: int = 0

    @property
    def words(self) -> int:
        """Words of all tensors."""
        return sum(math.prod(self.cascade.tensors[name].shape) for name in self.places)

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of hw/rtl/processor_system.sv with room for it."""
        return self.shape.parameters(self.words, max(map(len, self.engines)), max(1, *map(len, self.steps)))

    def to_json(self) -> dict[str, Any]:
        """All of it as data."""
        names = ("mover", *self.shape.units)
        return {
            "parameters": self.parameters,
            "tensors": {name: {"address": at, "shape": list(self.cascade.tensors[name].shape)} for name, at in self.places.items()},
            "programs": dict(zip(names, self.engines, strict=True)),
            "microprograms": {
                unit: [step.word() for step in steps] for unit, steps in zip(self.shape.units, self.steps, strict=True)
            },
            "buffer": {str(address): word for address, word in self.presets.items()},
            "cycles": self.cycles,
        }  # fmt: skip


def export(evaluator: Evaluator, mapping: Mapping) -> Program:
    """The program of a legal mapping. IllegalMapping where the processor cannot do what it asks for."""
    return _Export(evaluator, mapping).program


@dataclass(frozen=True, slots=True)
class _Tile:
    """Where tiles of a tensor lie in the buffer: the base of the first, words of one, strides of its dimensions, and how many there are."""

    base: int
    words: int
    strides: tuple[int, ...]
    copies: int


class _Export:
    """One mapping."""

    def __init__(self, evaluator: Evaluator, mapping: Mapping) -> None:
        self.evaluator, self.cascade = evaluator, evaluator.cascade
        self.shape = Shape.of(evaluator.architecture)
        refuse_large(self.cascade)
        self.paths = Paths(evaluator, mapping)
        self.program = Program(self.shape, self.cascade)
        self.outcome = self._fastest(evaluator, mapping)
        self.per_cycle = evaluator.clock.per_cycle
        self._lay_out()
        self.tiles: dict[tuple[int, str], _Tile] = {}
        self.spans: dict[tuple[int, str], list[int]] = {}
        self._measure()
        self._place()
        self._emit()

    def _fastest(self, evaluator: Evaluator, mapping: Mapping) -> Outcome:
        latencies = evaluator.evaluate(mapping).counts.lowered.latencies
        return min((run(tasks, evaluator.clock.per_cycle) for tasks in lower(evaluator, mapping, latencies)), key=lambda done: done.ticks)

    def _refuse(self, what: str, mend: str = "map it otherwise") -> IllegalMapping:
        return IllegalMapping(f"{what}, which hw/rtl/npu_top.sv cannot do", mend)

    # --- where things lie -----------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Tensors in the outer memory, row by row."""
        at = 0
        for name, tensor in self.cascade.tensors.items():
            widths = {self.evaluator.widths.final[name], self.evaluator.widths.partial[name]}
            if widths != {WORD}:
                raise self._refuse(
                    f"{name} has words of {', '.join(map(str, sorted(widths)))} bits", f"its words have {WORD}: declare it int32"
                )
            self.program.places[name] = at
            at += math.prod(tensor.shape)
        if at > self.shape.outer_words:
            raise self._refuse(f"all tensors have {at:,} words, {self.shape.outer} {self.shape.outer_words:,}", "make the shape smaller")

    def _keep(self, path: Path, tensor: str) -> int:
        """The place of the buffer's keep of a tensor above an Einsum."""
        places = self.paths.keepers(path, tensor)
        row = path.rows[places[-1]]
        if row.node.memory != self.shape.buffer:  # type: ignore[union-attr]
            raise self._refuse(f"{path.name} takes {tensor} from {self.shape.outer}", f"keep it in {self.shape.buffer}")
        return places[-1]

    def _maps(self, path: Path, tensor: str) -> tuple[IndexMap, ...]:
        """How an Einsum indexes a tensor."""
        access = next((read for read in path.einsum.reads if read.tensor == tensor), path.einsum.output)
        return self._plain(path, access)

    def _plain(self, path: Path, access: Access) -> tuple[IndexMap, ...]:
        found = []
        for index in self.cascade.index_maps(access):
            if index is None or index.divisor != 1 or index.modulus:
                raise self._refuse(f"{path.name} indexes {access.tensor} by more than sums of ranks", "index it by sums of ranks")
            found.append(index)
        return tuple(found)

    def _low_at(self, path: Path, tensor: str, digits: Sequence[int], place: int) -> tuple[int, ...]:
        """The first coordinates of the tile that a keep has of a tensor."""
        iterative = self.cascade.tensors[tensor].iterative
        slots = slots_of(self.cascade, path, path.loops[: len(digits)], place)
        found = []
        for dimension, index in enumerate(self._maps(path, tensor)):
            low = index.offset + sum(factor * interval(slots[rank], list(digits)).start for rank, factor in index.terms)
            found.append(0 if dimension == iterative else low)
        return tuple(found)

    def _number(self, path: Path, tensor: str, digits: Sequence[int], place: int) -> int:
        """The number of the tile that a keep has of a tensor."""
        iterative = self.cascade.tensors[tensor].iterative
        maps = self._maps(path, tensor)
        own = {rank for dimension, index in enumerate(maps) for rank in index.ranks if dimension != iterative}
        count = turned(path, own, place, tensor == path.einsum.output.tensor)
        number = 0
        for digit, row in zip(digits[:count], path.loops[:count], strict=False):
            if iterative is None or path.rank(row) not in maps[iterative].ranks:
                number = number * row.trips + digit
        return number

    def _measure(self) -> None:
        """How large the tiles of every keep are."""
        for firing in self.outcome.log:
            if firing.is_idle or firing.task.kind == BARRIER:
                continue
            path = self.paths.of(firing.task.einsum)
            if path.windows:
                raise self._refuse(f"{path.name} works on windows that loops of its consumers demand")
            if firing.task.kind == COMPUTE:
                for tensor in {*(read.tensor for read in path.einsum.reads), path.einsum.output.tensor}:
                    self._note(path, tensor, firing.digits)

    def _refuse_leaving(self, path: Path, tensor: str, place: int) -> None:
        """Earlier slices of a recurrence have to be where they were made: the simulator brings none back."""
        iterative = self.cascade.tensors[tensor].iterative
        if iterative is None or self.paths.keepers(path, tensor)[0] == place:
            return
        maps = self._maps(path, tensor)
        own = {rank for dimension, index in enumerate(maps) for rank in index.ranks if dimension != iterative}
        above = [path.rank(row) for row in path.loops if path.rows.index(row) < place]
        turns = [at for at, rank in enumerate(above) if rank in maps[iterative].ranks]
        if turns and any(rank in own for rank in above[turns[0] + 1 :]):
            raise self._refuse(f"earlier slices of {tensor} leave {self.shape.buffer} before {path.name} reads them")

    def _note(self, path: Path, tensor: str, digits: Sequence[int]) -> None:
        place = self._keep(path, tensor)
        self._refuse_leaving(path, tensor, place)
        slots = slots_of(self.cascade, path, path.loops, place)
        shape, iterative = self.cascade.tensors[tensor].shape, self.cascade.tensors[tensor].iterative
        sizes = self.spans.setdefault((id(path.rows[place]), tensor), [0] * len(shape))
        for access in (*path.einsum.reads, path.einsum.output):
            if access.tensor != tensor:
                continue
            for dimension, index in enumerate(self._plain(path, access)):
                reach = sum(factor * (len(interval(slots[rank], list(digits))) - 1) for rank, factor in index.terms) + 1
                sizes[dimension] = max(sizes[dimension], shape[dimension] if dimension == iterative else reach)

    def _place(self) -> None:
        """Tiles in the buffer, one behind the other."""
        at = 0
        rows = {id(row): row for path in self.paths.all for row in path.rows}
        for (row, tensor), sizes in self.spans.items():
            strides = tuple(math.prod(sizes[dimension + 1 :]) for dimension in range(len(sizes)))
            copies = self.paths.held(rows[row], tensor).copies
            self._preset(tensor, at, sizes, copies)
            self.tiles[row, tensor] = _Tile(at, math.prod(sizes), strides, copies)
            at += copies * math.prod(sizes)
        if at > self.shape.buffer_words:
            what = f"tiles side by side take {at:,} words, {self.shape.buffer} has {self.shape.buffer_words:,}"
            raise self._refuse(what, "map it with smaller tiles")

    def _preset(self, tensor: str, base: int, sizes: Sequence[int], copies: int) -> None:
        """Constant slices of a recurrence are there from the beginning: nothing is ever written where they are."""
        dimension, slices = self.cascade.tensors[tensor].iterative, self.cascade.tensors[tensor].constant_slices
        if dimension is None or not slices:
            return
        initial = [each for each in self.cascade.einsums if each.initial and each.output.tensor == tensor]
        for place in product(range(copies), *(range(slices if at == dimension else size) for at, size in enumerate(sizes))):
            copy, *at = place
            address = base
            for size, part in zip((copies, *sizes), (copy, *at), strict=True):
                address = base + (address - base) * size + part
            values = {self._constant(each, at[dimension]) for each in initial} - {None}
            self.program.presets[address] = next(value for value in values if value is not None)

    def _constant(self, einsum: Einsum, at: int) -> int | None:
        """What a statement sets a slice to, None if it is about others."""
        index = self.cascade.index_maps(einsum.output)[self.cascade.tensors[einsum.output.tensor].iterative or 0]
        if index is None or (not index.terms and index.offset != at):
            return None
        return max(-(2**31), int(plain(einsum.expression, self.cascade.sizes, -(2.0**31))))

    # --- instructions ---------------------------------------------------------------------------------------------------------------

    def _emit(self) -> None:
        program, done = self.program, [0] * 4
        reached: dict[int, list[tuple[int, ...]]] = {}  # by task: what counts are at least when a firing has ended
        first: dict[str, tuple[int, int]] = {}
        for firing in self.outcome.log:
            task = firing.task
            ends = reached.setdefault(id(task), [])
            before = ends[-1] if ends else (0,) * 4
            if firing.is_idle:
                ends.append(before)
                continue
            waits = [reached[id(other)][number] for other, number in firing.after]
            needed = tuple(max(column) for column in zip(*waits, (0,) * 4, strict=True))
            if task.kind == BARRIER:
                ends.append(tuple(map(max, before, needed)))
                continue
            counter, engine = self._engine(task)
            made = self._transfer(firing) if task.kind != COMPUTE else self._compute(firing, engine, first)
            queue = program.engines[engine]
            numbers = tuple(range(len(queue), len(queue) + len(made)))
            for number, instruction in enumerate(made):
                instruction[:4] = needed
                instruction[4] |= (number == len(made) - 1) << COUNTS
                queue.append(instruction)
            done[counter] += 1
            mine = [0] * 4
            mine[counter] = done[counter]
            ends.append(tuple(mine))
            program.phases.append(self._phase(firing, counter, done[counter], numbers))
        program.cycles = -(-self.outcome.ticks // self.per_cycle)
        if max(done) >= 1 << COUNT_BITS:
            raise self._refuse(f"{max(done):,} firings of one kind are more than it counts", "make the shape smaller")

    def _phase(self, firing: Firing, counter: int, number: int, instructions: tuple[int, ...]) -> Phase:
        served = firing.finish - max(firing.ticks.values(), default=firing.finish - firing.start)
        times = firing.start, served, firing.finish, firing.end
        if any(ticks % self.per_cycle for ticks in times):
            raise self._refuse(f"{firing.task.name} takes parts of cycles")
        start, served, finish, end = (ticks // self.per_cycle for ticks in times)
        return Phase(firing.task.name, start, served, finish, end, counter, number, instructions)

    def _engine(self, task: Task) -> tuple[int, int]:
        """The place among the counts, and the engine."""
        if task.kind == COMPUTE:
            unit = self.shape.units.index(task.unit)
            return FIRST_UNIT + unit, 1 + unit
        return (LOADS if task.kind == LOAD else DRAINS), 0

    def _transfer(self, firing: Firing) -> list[list[int]]:
        """Instructions that move a tile, or a part of it."""
        task = firing.task
        path = self.paths.of(task.einsum)
        place = self._keep(path, task.tensor)
        tile = self.tiles[id(path.rows[place]), task.tensor]
        digits = firing.digits[: len(firing.digits) - len(task.split)]
        slots = slots_of(self.cascade, path, path.loops[: len(digits)], place)
        shape = self.cascade.tensors[task.tensor].shape
        lows, sizes = [], []
        tensor = self.cascade.tensors[task.tensor]
        for dimension, (index, most) in enumerate(zip(task.maps, shape, strict=True)):
            least = tensor.constant_slices if tensor.iterative == dimension and index.terms else 0
            ranges = [(interval(slots[rank], list(digits)), factor) for rank, factor in index.terms]
            low = index.offset + sum(factor * (part.start if factor > 0 else part.stop - 1) for part, factor in ranges)
            high = index.offset + sum(factor * (part.stop - 1 if factor > 0 else part.start) for part, factor in ranges) + 1
            lows.append(max(least, low))
            sizes.append(max(0, min(most, high) - max(least, low)))
        words, ticks = math.prod(sizes), firing.ticks[self.shape.outer]
        each, rest = divmod(words, task.parts)
        since = firing.part * each + (rest if firing.part else 0)
        until = since + each + (rest if not firing.part else 0)
        if (until - since) * self.per_cycle != ticks:
            raise self._refuse(f"{task.name} moves a part of a tile")
        origin = self._low_at(path, task.tensor, digits, place)
        base = tile.base + self._number(path, task.tensor, digits, place) % tile.copies * tile.words
        outer = [math.prod(shape[dimension + 1 :]) for dimension in range(len(shape))]
        found = []
        for start, lengths in pieces(sizes, since, until):
            far = self.program.places[task.tensor] + sum((low + at) * stride for low, at, stride in zip(lows, start, outer, strict=True))
            near = base + sum(
                (low + at - zero) * stride for low, at, zero, stride in zip(lows, start, origin, tile.strides, strict=True)
            )  # fmt: skip
            loops = [each for each in zip(lengths, outer, tile.strides, strict=True) if each[0] > 1]
            for far_by, near_by, inner in split_off(loops, NEST):
                columns = [*reversed(inner), *([(1, 0, 0)] * (NEST - len(inner)))]
                fields = [value for column in zip(*columns, strict=True) for value in column]
                found.append([0, 0, 0, 0, (task.kind == LOAD) << TO_BUFFER, far + far_by, near + near_by, *fields])
        return found

    def _compute(self, firing: Firing, engine: int, first: dict[str, tuple[int, int]]) -> list[list[int]]:
        """Instructions that run an Einsum on its tiles."""
        path = self.paths.of(firing.task.einsum)
        cycles, rest = divmod(firing.task.issue_ticks, self.per_cycle)
        if rest or not cycles:
            raise self._refuse(f"{path.name} takes parts of cycles, or none")
        made = nests(path, firing.digits, {rank: Range(0, (((), self.cascade.extents[rank]),)) for rank in path.einsum.ranks})
        found = []
        for nest in made:
            if path.name not in first:
                steps = steps_of(self.cascade, path.einsum, cycles)
                known = self.program.steps[engine - 1]
                first[path.name] = len(known), len(steps)
                known.extend(steps)
            found += self._instructions(path, nest, firing, engine, first[path.name])
        points = sum(math.prod(trips for _, trips, _ in nest.loops) for nest in made) * cycles
        if points * self.per_cycle != firing.finish - firing.start:
            raise self._refuse(f"{path.name} takes {points} cycles where {(firing.finish - firing.start) / self.per_cycle} are planned")
        return found

    def _instructions(self, path: Path, nest: Nest, firing: Firing, engine: int, steps: tuple[int, int]) -> list[list[int]]:
        """A nest, as one instruction if it has no more loops than an engine."""
        order = self._axes(engine)
        streams = []
        for access in (*self._operands(path), path.einsum.output):
            place = self._keep(path, access.tensor)
            tile = self.tiles[id(path.rows[place]), access.tensor]
            origin = self._low_at(path, access.tensor, firing.digits, place)
            base = tile.base + self._number(path, access.tensor, firing.digits, place) % tile.copies * tile.words
            strides: dict[str, int] = {}
            for index, zero, stride in zip(self._plain(path, access), origin, tile.strides, strict=True):
                base += (index.offset - zero) * stride
                for rank, factor in index.terms:
                    strides[rank] = strides.get(rank, 0) + factor * stride
                    base += factor * stride * nest.ranges[rank].low
            streams.append((base, strides))
        if len(streams) > OPERANDS + 1:
            raise self._refuse(f"{path.name} has more than {OPERANDS} operands", "split it into several Einsums")
        streams[-1:-1] = [(0, dict[str, int]())] * (OPERANDS + 1 - len(streams))
        ranks = [(rank, trips, step) for rank, trips, step in nest.loops if trips > 1]
        loops = [(trips, *(strides.get(rank, 0) * step for _, strides in streams), rank) for rank, trips, step in ranks]
        opens = all(nest.ranges[rank].low == 0 for rank in path.einsum.reduced)
        (in_use, offsets), found = self._lanes(nest, order, [strides for _, strides in streams]), []
        for around, inner in unrolled(loops, LOOPS):
            shift = [sum(turn * loop[1 + stream] for turn, loop in around) for stream in range(len(streams))]
            begins = opens and not any(turn for turn, loop in around if loop[-1] in path.einsum.reduced)
            columns = [*reversed(inner), *([(1, 0, 0, 0, 0, "")] * (LOOPS - len(inner)))]
            reduces = sum(1 << number for number, loop in enumerate(columns) if loop[-1] in path.einsum.reduced)
            fields = [begins << BEGINS | reduces << REDUCES, *steps, in_use]
            fields += [base + by for (base, _), by in zip(streams, shift, strict=True)]
            fields += offsets
            fields += [loop[0] for loop in columns]
            fields += [int(loop[1 + stream]) for stream in range(len(streams)) for loop in columns]
            found.append([0, 0, 0, 0, *fields])
        return found

    def _lanes(self, nest: Nest, order: Sequence[str], strides: Sequence[dict[str, int]]) -> tuple[int, list[int]]:
        """The lanes (bits) that have something to do, and for each lane how far on it is in every stream.

        Of several ranks along one axis, places of the later ones lie side by side.
        """
        sizes = [self.evaluator.architecture.axes[axis][1].size for axis in order]
        in_use, offsets = 0, [0] * (len(strides) * math.prod(sizes))
        ranges = nest.ranges
        counts = {
            (rank, axis): 1 + max(dict(place)[axis] for place, _ in each.sizes) for rank, each in ranges.items() for axis, _ in each.apart
        }
        for places in product(*(each.sizes for each in ranges.values())):
            at = dict.fromkeys(order, 0)
            for rank, (place, _) in zip(ranges, places, strict=True):
                for axis, lane in place:
                    at[axis] = at[axis] * counts[rank, axis] + lane
            number = 0
            for axis, size in zip(order, sizes, strict=True):
                number = number * size + at[axis]
            in_use |= all(size for _, size in places) << number
            for stream, each in enumerate(strides):
                offsets[number * len(strides) + stream] = sum(
                    each.get(rank, 0) * dict(ranges[rank].apart)[axis] * lane
                    for rank, (place, _) in zip(ranges, places, strict=True) for axis, lane in place
                )  # fmt: skip
        return in_use, offsets

    def _operands(self, path: Path) -> list[Access]:
        """Different reads of an Einsum, in their order."""
        return list(dict.fromkeys(path.einsum.reads))

    def _axes(self, engine: int) -> list[str]:
        """Axes of the array of an engine."""
        unit = self.shape.units[engine - 1]
        return [
            axis.name for node in self.evaluator.architecture.paths[unit] if isinstance(node, Array) for axis in node.axes
        ]  # fmt: skip
