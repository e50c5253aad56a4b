"""A mapping as a program for hw/rtl/npu_top.sv: the firings of the simulator, each as one instruction or a few, and what they wait for.

The processor's parameters are those of the machine: a memory, a buffer with ports for all lanes, an array over two axes and lanes over
one. Words have 32 bits and saturate. What an instruction waits for are counts of what is done: of loads, drains, and firings
of the array and of the lanes. Fields of instructions: see the headers of hw/rtl/npu_mover.sv and npu_engine.sv.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from typing import Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, Memory, Unit
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import For, Mapping, Spatial
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.steps import Step, steps_of
from accelsim.sim.arithmetic import plain
from accelsim.sim.holds import turned
from accelsim.sim.lowering import lower
from accelsim.sim.paths import Path, Paths, rank_of
from accelsim.sim.reference_events import Firing, Outcome, interval, run
from accelsim.sim.slots import slots_of
from accelsim.sim.tasks import BARRIER, COMPUTE, LOAD, Task
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, IndexMap

WORD = 32
LOADS, DRAINS, FIRST_UNIT = 0, 1, 2  # places among the counts
BEGINS, COUNTS, TO_BUFFER, REDUCES = 0, 1, 0, 8  # bits of flags
OPERANDS = 3
COUNT_BITS = 16
_MOST_LANES, _MOST_POINTS = 32, 1 << 20
_WORDS, _ENTRIES, _STEPS = 1 << 16, 1024, 64  # room of programs and microprograms, so that few processors have to be compiled
NEST, LOOPS = 4, 6  # loops of a tile that is moved, and of an engine


@dataclass(frozen=True, slots=True)
class Shape:
    """What the processor is made of. `buffer`, `outer`: memories; `units`: the array's and the lanes'; sizes in words, `latency` in
    cycles.
    """

    outer: str
    buffer: str
    units: tuple[str, str]
    rows: int
    columns: int
    lanes: int
    outer_words: int
    buffer_words: int
    latency: int

    @classmethod
    def of(cls, machine: Architecture) -> Shape:
        """That of a machine; InputError where it is none of hw/rtl/npu_top.sv."""

        def refuse(what: str) -> InputError:
            return InputError(f"{machine.name} is no machine of hw/rtl/npu_top.sv: {what}", "take a machine like hw/arch/mini.yaml")

        root = machine.root
        buffers = [node for node in root.feeds if isinstance(node, Memory)]
        if len(root.feeds) != 1 or not buffers:
            raise refuse(f"{root.name} has to feed one memory")
        buffer = buffers[0]
        arrays = sorted((node for node in buffer.feeds if isinstance(node, Array)), key=lambda node: -len(node.axes))
        if len(buffer.feeds) != len(arrays) or [len(node.axes) for node in arrays] != [2, 1]:
            raise refuse(f"{buffer.name} has to feed an array of two axes and one of one axis")
        units = [unit for node in arrays for unit in node.feeds if isinstance(unit, Unit)]
        if len(units) != len(arrays) or any(len(node.feeds) != 1 for node in arrays):
            raise refuse("each array has to feed one unit")
        for unit in units:
            if unit.lanes != 1 or unit.pipeline_depth:
                raise refuse(f"{unit.name} has to have one lane and no pipeline")
        if root.direct or any(axis.partials or axis.reduces for node in arrays for axis in node.axes):
            raise refuse(f"{root.name} has to say 'direct: false', all axes 'partials: false' and none that it reduces")
        if buffer.read_bits_per_s is not None or buffer.write_bits_per_s is not None or buffer.latency_cycles:
            raise refuse(f"{buffer.name} has to have an unlimited bandwidth and no latency")
        if root.latency_cycles < 1:
            raise refuse(f"{root.name} has to have a latency of a cycle or more")
        sizes = [0 if memory.size_bits is None else memory.size_bits // WORD for memory in (root, buffer)]
        if not all(sizes) or any(size & (size - 1) for size in sizes):
            raise refuse("its memories have to have a power of two of words")
        (rows, columns), (lanes,) = ([axis.size for axis in node.axes] for node in arrays)
        if max(rows * columns, lanes) > _MOST_LANES:
            raise refuse(f"an array has more than {_MOST_LANES} copies")
        names = units[0].name, units[1].name
        return cls(root.name, buffer.name, names, rows, columns, lanes, sizes[0], sizes[1], root.latency_cycles)

    def parameters(self, words: int, entries: int, steps: int) -> dict[str, int]:
        """Parameters of hw/rtl/processor_system.sv, with room for so many words in the outer memory, instructions
        and steps."""
        return {
            "W": WORD, "AW": _room(words, _WORDS).bit_length() - 1, "BW": self.buffer_words.bit_length() - 1, "CW": COUNT_BITS,
            "ROWS": self.rows, "COLUMNS": self.columns, "LANES": self.lanes, "LOOPS": LOOPS, "NEST": NEST, "LATENCY": self.latency,
            "STEPS": _room(steps, _STEPS), "ENTRIES": _room(entries, _ENTRIES),
        }  # fmt: skip


def with_words(cascade: Cascade) -> Cascade:
    """The same cascade with every word in the processor's type."""
    word = TYPES["int32"]
    tensors = {name: replace(tensor, final=word, partial=word) for name, tensor in cascade.tensors.items()}
    return replace(cascade, tensors=tensors)


def refuse_large(cascade: Cascade) -> None:
    """InputError for a cascade of too many points, which are listed one by one."""
    points = sum(math.prod(cascade.extents[rank] for rank in einsum.ranks) for einsum in cascade.work)
    if points > _MOST_POINTS:
        raise InputError(
            f"{cascade.name} has {points:,} points, more than the {_MOST_POINTS:,} that are run",
            "make it smaller, as in --set shape.RANK=8",
        )


def _room(count: int, least: int) -> int:
    """A power of two with room for so many."""
    return max(least, 1 << (count - 1).bit_length())


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


Place = tuple[tuple[str, int], ...]
"""A lane, or several: their places along some axes."""


@dataclass(frozen=True, slots=True)
class _Range:
    """What an engine goes through of a rank: from `low` on, as many coordinates as `sizes` says of each lane along axes over which the rank
    is spread, `apart` from lane to lane. The first lane has most.
    """

    low: int
    sizes: tuple[tuple[Place, int], ...]
    apart: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """Of the first lane."""
        return self.sizes[0][1]

    def at(self, turn: int, tile: int) -> _Range:
        """What it is in a turn of a loop over tiles."""
        return _Range(
            self.low + turn * tile, tuple((place, min(tile, max(0, size - turn * tile))) for place, size in self.sizes), self.apart
        )  # fmt: skip

    def spread(self, axis: str, tile: int) -> _Range:
        """What it is where tiles go side by side."""
        sizes = [
            ((*place, (axis, lane)), min(tile, max(0, size - lane * tile)))
            for place, size in self.sizes for lane in range(-(-self.size // tile))
        ]  # fmt: skip
        return _Range(self.low, tuple(sizes), (*self.apart, (axis, tile)))


@dataclass(frozen=True, slots=True)
class _Nest:
    """Points in the order in which an engine comes to them: loops (rank, trips, step), the outermost first, from `ranges`' low ends."""

    loops: tuple[tuple[str, int, int], ...]
    ranges: dict[str, _Range]

    def moved(self, rank: str, by: int) -> _Nest:
        """The same further on."""
        return replace(self, ranges=self.ranges | {rank: replace(self.ranges[rank], low=self.ranges[rank].low + by)})


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
            for far_by, near_by, inner in _split_off(loops, NEST):
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
        nests = self._nests(path, 0, {rank: _Range(0, (((), self.cascade.extents[rank]),)) for rank in path.einsum.ranks}, firing.digits)
        found = []
        for nest in nests:
            if path.name not in first:
                steps = steps_of(self.cascade, path.einsum, cycles)
                known = self.program.steps[engine - 1]
                first[path.name] = len(known), len(steps)
                known.extend(steps)
            found += self._instructions(path, nest, firing, engine, first[path.name])
        points = sum(math.prod(trips for _, trips, _ in nest.loops) for nest in nests) * cycles
        if points * self.per_cycle != firing.finish - firing.start:
            raise self._refuse(f"{path.name} takes {points} cycles where {(firing.finish - firing.start) / self.per_cycle} are planned")
        return found

    def _nests(self, path: Path, at: int, ranges: dict[str, _Range], digits: Sequence[int]) -> list[_Nest]:
        """All points of a firing below a row, as nests in their order."""
        if at == len(path.rows):
            return self._points(list(path.einsum.ranks), ranges)
        row = path.rows[at]
        if not isinstance(row.node, (For, Spatial)) or rank_of(row) not in ranges:
            return self._nests(path, at + 1, ranges, digits)
        rank, tile = rank_of(row), row.node.tile
        now = ranges[rank]
        if isinstance(row.node, Spatial):
            if now.size > tile:
                now = now.spread(row.node.axis, tile)
            return self._nests(path, at + 1, ranges | {rank: now}, digits)
        place = next((number for number, loop in enumerate(path.loops) if loop is row), None)
        if place is not None:
            return self._nests(path, at + 1, ranges | {rank: now.at(digits[place], tile)}, digits)
        return self._looped(ranges[rank], rank, tile, lambda inner: self._nests(path, at + 1, ranges | {rank: inner}, digits))

    def _looped(self, now: _Range, rank: str, tile: int, below: Callable[[_Range], list[_Nest]]) -> list[_Nest]:
        """A loop over tiles of a rank: turns that are alike as one loop."""
        found: list[_Nest] = []
        turns = [(turn, now.at(turn, tile)) for turn in range(-(-now.size // tile))]
        for _, group in groupby(turns, key=lambda each: each[1].sizes):
            alike = list(group)
            inner = below(alike[0][1])
            if len(alike) == 1:
                found += inner
            elif len(inner) == 1:
                found.append(replace(inner[0], loops=((rank, len(alike), tile), *inner[0].loops)))
            else:
                found += [nest.moved(rank, number * tile) for number in range(len(alike)) for nest in inner]
        return found

    def _points(self, ranks: list[str], ranges: dict[str, _Range]) -> list[_Nest]:
        """The points of a residual tile, one after the other."""
        if not ranks:
            return [_Nest((), ranges)]
        rank, *others = ranks
        return self._looped(ranges[rank], rank, 1, lambda inner: self._points(others, ranges | {rank: inner}))

    def _instructions(self, path: Path, nest: _Nest, firing: Firing, engine: int, steps: tuple[int, int]) -> list[list[int]]:
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
        for around, inner in _unrolled(loops, LOOPS):
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

    def _lanes(self, nest: _Nest, order: Sequence[str], strides: Sequence[dict[str, int]]) -> tuple[int, list[int]]:
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


def pieces(sizes: Sequence[int], since: int, until: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The words from `since` to before `until` of a box, counted row by row, as boxes: first coordinates and sizes."""
    if not sizes:
        return [((), ())] if until > since else []
    inside = math.prod(sizes[1:])
    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    while since < until:
        row, within = divmod(since, inside)
        if within == 0 and until - since >= inside:
            rows = (until - since) // inside
            found.append(((row, *(0 for _ in sizes[1:])), (rows, *sizes[1:])))
            since += rows * inside
            continue
        stop = min(until, (row + 1) * inside)
        found += [((row, *start), (1, *lengths)) for start, lengths in pieces(sizes[1:], within, within + stop - since)]
        since = stop
    return found


def _unrolled(loops: Sequence[Any], most: int) -> list[tuple[list[tuple[int, Any]], Sequence[Any]]]:
    """Turns of the outermost loops that are too many, with the loops left."""
    if len(loops) <= most:
        return [([], loops)]
    found = []
    for turn in range(loops[0][0]):
        found += [([(turn, loops[0]), *around], inner) for around, inner in _unrolled(loops[1:], most)]
    return found


def _split_off(loops: Sequence[tuple[int, int, int]], most: int) -> list[tuple[int, int, Sequence[tuple[int, int, int]]]]:
    """The same for two sides: how far on each is."""
    return [
        (sum(turn * loop[1] for turn, loop in around), sum(turn * loop[2] for turn, loop in around), inner)
        for around, inner in _unrolled(loops, most)
    ]
