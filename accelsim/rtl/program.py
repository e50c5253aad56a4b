"""A mapping as a program for hw/rtl/npu_top.sv: the firings of the simulator, each as one instruction or a few, and what they wait for.

The processor's parameters are those of the machine: a memory, a buffer with ports for all lanes, an array over two axes, lanes over
one, and a scan unit over one. Words have 32 bits and saturate. What an instruction waits for are counts of what is done: of loads,
drains, and firings of the array, of the lanes and of the scan unit.
Fields of instructions: see the headers of hw/rtl/npu_mover.sv and npu_engine.sv.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from accelsim.hardware.architecture import Array
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.layout import Layout, plain_maps, refuse
from accelsim.rtl.nests import Loop, Nest, Range, nests, pieces, unrolled
from accelsim.rtl.processor import COUNT_BITS, COUNTS, LOOPS, NEST, SCAN, Shape, refuse_large
from accelsim.rtl.steps import OPERANDS, Step, operands, refuse_unmade, scan_of, steps_of
from accelsim.sim.lowering import lower
from accelsim.sim.paths import Path, Paths
from accelsim.sim.reference_events import Firing, Outcome, interval, run
from accelsim.sim.slots import old_slices, slots_of
from accelsim.sim.tasks import BARRIER, COMPUTE, LOAD, Task
from accelsim.workload.cascade import Cascade

LOADS, DRAINS, FIRST_UNIT = 0, 1, 2  # places among the counts
FLAGS = COUNTS  # the place of flags among the fields
BEGINS, RAISES, TO_BUFFER, REDUCES = 0, 1, 0, 8  # bits of flags
_MOST_INSTRUCTIONS = 1 << 16  # of a program


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
    """Instructions of the mover and of every unit; steps of the units; where tensors lie in the outer memory, in
    words; what words of the buffer (`presets`) and of the outer memory (`initial`) are before the run."""

    shape: Shape
    cascade: Cascade
    engines: tuple[list[list[int]], ...]
    steps: tuple[list[Step], ...]
    places: dict[str, int] = field(default_factory=dict)
    presets: dict[int, int] = field(default_factory=dict)
    initial: dict[int, int] = field(default_factory=dict)
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
            "memory": {str(address): word for address, word in self.initial.items()},
            "cycles": self.cycles,
        }  # fmt: skip


def refuse_beyond(cascade: Cascade) -> None:
    """IllegalMapping or InputError for a cascade that no mapping brings onto the processor."""
    refuse_large(cascade)
    for einsum in cascade.work:
        refuse_unmade(cascade, einsum)
        for access in (*einsum.reads, einsum.output):
            plain_maps(cascade, einsum, access)


def export(evaluator: Evaluator, mapping: Mapping) -> Program:
    """The program of a mapping. IllegalMapping for one that is not legal, and where the processor cannot do what it asks for."""
    return _Export(evaluator, mapping).program


class _Export:
    """One mapping."""

    def __init__(self, evaluator: Evaluator, mapping: Mapping) -> None:
        self.evaluator, self.cascade = evaluator, evaluator.cascade
        self.shape = Shape.of(evaluator.architecture)
        refuse_beyond(self.cascade)
        check(self.cascade, evaluator.architecture, mapping)
        self.paths = Paths(evaluator, mapping)
        self.outcome = self._fastest(evaluator, mapping)
        self.per_cycle = evaluator.clock.per_cycle
        self.layout = Layout(evaluator, self.paths, self.shape, self.outcome.log)
        engines = tuple(list[list[int]]() for _ in ("mover", *self.shape.units))
        steps = tuple(list[Step]() for _ in self.shape.units)
        self.program = Program(self.shape, self.cascade, engines, steps, self.layout.places, self.layout.buffer, self.layout.outer)
        self._emit()

    def _fastest(self, evaluator: Evaluator, mapping: Mapping) -> Outcome:
        latencies = evaluator.evaluate(mapping, checked=True).counts.lowered.latencies
        return min((run(tasks, evaluator.clock.per_cycle) for tasks in lower(evaluator, mapping, latencies)), key=lambda done: done.ticks)

    def _emit(self) -> None:
        program, done = self.program, [0] * COUNTS
        reached: dict[int, list[tuple[int, ...]]] = {}  # by task: what counts are at least when a firing has ended
        first: dict[str, tuple[int, int]] = {}
        for firing in self.outcome.log:
            task = firing.task
            ends = reached.setdefault(id(task), [])
            before = ends[-1] if ends else (0,) * COUNTS
            if firing.is_idle:
                ends.append(before)
                continue
            waits = [reached[id(other)][number] for other, number in firing.after]
            needed = tuple(max(column) for column in zip(*waits, (0,) * COUNTS, strict=True))
            if task.kind == BARRIER:
                ends.append(tuple(map(max, before, needed)))
                continue
            counter, engine = self._engine(task)
            made = self._transfer(firing) if task.kind != COMPUTE else self._compute(firing, engine, first)
            queue = program.engines[engine]
            numbers = tuple(range(len(queue), len(queue) + len(made)))
            for number, instruction in enumerate(made):
                instruction[:COUNTS] = needed
                instruction[FLAGS] |= (number == len(made) - 1) << RAISES
                queue.append(instruction)
            done[counter] += 1
            mine = [0] * COUNTS
            mine[counter] = done[counter]
            ends.append(tuple(mine))
            program.phases.append(self._phase(firing, counter, done[counter], numbers))
        longest = max(map(len, program.engines))
        if longest > _MOST_INSTRUCTIONS:
            what = f"{longest:,} instructions of one engine are more than the {_MOST_INSTRUCTIONS:,} that a program has"
            raise refuse(what, "make the shape smaller")
        program.cycles = -(-self.outcome.ticks // self.per_cycle)
        if max(done) >= 1 << COUNT_BITS:
            raise refuse(f"{max(done):,} firings of one kind are more than it counts", "make the shape smaller")

    def _phase(self, firing: Firing, counter: int, number: int, instructions: tuple[int, ...]) -> Phase:
        served = firing.finish - max(firing.ticks.values(), default=firing.finish - firing.start)
        times = firing.start, served, firing.finish, firing.end
        if any(ticks % self.per_cycle for ticks in times):
            raise refuse(f"{firing.task.name} takes parts of cycles", "give latencies and operators of the machine whole cycles")
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
        path, tensor = self.paths.of(task.einsum), self.cascade.tensors[task.tensor]
        digits = firing.digits[: len(firing.digits) - len(task.split)]
        tile = self.layout.tile(path, task.tensor, digits)
        slots = old_slices(slots_of(self.cascade, path, path.loops[: len(digits)], self.layout.keep(path, task.tensor)), task.carried)
        lows, sizes = [], []
        for dimension, (index, most) in enumerate(zip(task.maps, tensor.shape, strict=True)):
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
            ranks = ", ".join(dict.fromkeys(rank for index in task.maps for rank in index.ranks if rank in path.einsum.ranks))
            mend = f"keep {task.tensor} outside of loops over {ranks} in a mapping of your own, --mapping FILE"
            raise refuse(f"{task.name} moves only some words of a box, as tiles overlap or have gaps", mend)
        outer = [math.prod(tensor.shape[dimension + 1 :]) for dimension in range(len(tensor.shape))]
        found = []
        for start, lengths in pieces(sizes, since, until):
            far, near = self.layout.places[task.tensor], tile.base
            for low, at, zero, far_by, near_by in zip(lows, start, tile.origin, outer, tile.strides, strict=True):
                far += (low + at) * far_by
                near += (low + at - zero) * near_by
            loops = [Loop(trips, strides) for trips, *strides in zip(lengths, outer, tile.strides, strict=True) if trips > 1]
            for shift, _, inner in unrolled(loops, NEST, 2):
                fields = self._loop_fields(task.name, inner, NEST, 2)
                found.append([*[0] * COUNTS, (task.kind == LOAD) << TO_BUFFER, far + shift[0], near + shift[1], *fields])
        return found

    def _compute(self, firing: Firing, engine: int, first: dict[str, tuple[int, int]]) -> list[list[int]]:
        """Instructions that run an Einsum on its tiles. first: where its microprogram lies, and how long it is."""
        path = self.paths.of(firing.task.einsum)
        cycles, rest = divmod(firing.task.issue_ticks, self.per_cycle)
        if rest:
            raise refuse(f"{path.name} takes parts of cycles", f"give operators of {firing.task.unit} whole cycles")
        if path.name not in first:
            made_by = scan_of if engine == 1 + SCAN else steps_of
            steps = made_by(self.cascade, path.einsum, cycles, firing.task.unit)
            known = self.program.steps[engine - 1]
            first[path.name] = len(known), len(steps)
            known.extend(steps)
        made = nests(path, firing.digits, {rank: Range(0, (((), self.cascade.extents[rank]),)) for rank in path.einsum.ranks})
        points = sum(math.prod(trips for _, trips, _ in nest.loops) for nest in made) * cycles
        if points * self.per_cycle != firing.finish - firing.start:
            planned = (firing.finish - firing.start) / self.per_cycle
            raise refuse(f"{path.name} takes {points} cycles where {planned:g} are planned", "please report this")
        return [each for nest in made for each in self._instructions(path, nest, firing, engine, first[path.name])]

    def _instructions(self, path: Path, nest: Nest, firing: Firing, engine: int, steps: tuple[int, int]) -> list[list[int]]:
        """A nest, as one instruction if it has no more loops than an engine."""
        bases, strides, apart = list[int](), list[dict[str, int]](), 0
        for access in (*operands(path.einsum), path.einsum.output):
            if access is None:
                bases.append(0)
                strides.append({})
                continue
            tile = self.layout.tile(path, access.tensor, firing.digits)
            base, by_rank = tile.base, dict[str, int]()
            for index, zero, stride in zip(plain_maps(self.cascade, path.einsum, access), tile.origin, tile.strides, strict=True):
                base += (index.offset - zero) * stride
                for rank, factor in index.terms:
                    if rank in path.einsum.chosen:
                        apart += factor * stride
                        continue
                    by_rank[rank] = by_rank.get(rank, 0) + factor * stride
                    base += factor * stride * nest.ranges[rank].low
            bases.append(base)
            strides.append(by_rank)
        unused = OPERANDS + 1 - len(bases)
        bases[-1:-1], strides[-1:-1] = [0] * unused, [dict[str, int]()] * unused
        loops = [
            Loop(trips, [by_rank.get(rank, 0) * step for by_rank in strides], rank) for rank, trips, step in nest.loops if trips > 1
        ]  # fmt: skip
        opens = all(nest.ranges[rank].low == 0 for rank in path.einsum.reduced)
        (in_use, offsets), found = self._lanes(nest, self._axes(engine), strides), []
        for shift, moved, inner in unrolled(loops, LOOPS, OPERANDS + 1):
            begins = opens and not moved & set(path.einsum.reduced)
            reduces = sum(1 << number for number, loop in enumerate(reversed(inner)) if loop.rank in path.einsum.reduced)
            fields = [begins << BEGINS | reduces << REDUCES, *steps, in_use, apart]
            fields += [base + by for base, by in zip(bases, shift, strict=True)]
            found.append([*[0] * COUNTS, *fields, *offsets, *self._loop_fields(path.name, inner, LOOPS, OPERANDS + 1)])
        return found

    def _loop_fields(self, name: str, loops: Sequence[Loop], most: int, streams: int) -> list[int]:
        """Trips, innermost first, then the strides of every stream; loops of one trip where there are fewer than there is room for."""
        long = max((loop.trips for loop in loops), default=1)
        if long >= 1 << COUNT_BITS:
            mend = f"map it with smaller tiles, as with the constraint 'tile: {{memory: {self.shape.buffer}, rank: RANK, at_most: 4096}}'"
            raise refuse(f"{name} has a loop of {long:,} turns, more than {(1 << COUNT_BITS) - 1:,}", mend)
        columns = [*reversed(loops), *([Loop(1, [0] * streams)] * (most - len(loops)))]
        return [loop.trips for loop in columns] + [loop.strides[stream] for stream in range(streams) for loop in columns]

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

    def _axes(self, engine: int) -> list[str]:
        """Axes of the array of an engine."""
        unit = self.shape.units[engine - 1]
        return [
            axis.name for node in self.evaluator.architecture.paths[unit] if isinstance(node, Array) for axis in node.axes
        ]  # fmt: skip
