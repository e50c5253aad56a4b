"""A mapping run event by event: how long it takes, and where the time of every unit and every Einsum goes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping, parts
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.model.pricing import Range
from accelsim.workload.cascade import Cascade

if TYPE_CHECKING:
    from accelsim.sim.arrays import Arrays
    from accelsim.sim.offchip import OffChip

_MOST_REMEMBERED = 1 << 26  # ends of tasks in all
_MOST_COMPARED = 1 << 24  # of those, for which states of earlier iterations are kept, at all levels together
FILL, MEMORY, DEPENDENCE, ROOM, PORT, CONFLICT, ARRAY = "fill", "memory", "dependence", "room", "port", "conflict", "array"
CAUSES = (FILL, MEMORY, DEPENDENCE, ROOM, PORT, CONFLICT, ARRAY)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a unit stood still before or during the work of an Einsum.

    `cause`: `fill` (it had not begun), `memory` (a load), `dependence` (what another makes), `room` (a place for its result), `port`
    (its operands or results, at a busy port), `conflict` (what any of these last longer because words fall on few banks), or `array` (a
    systolic array loads or empties). `what`: the load, Einsum or port.
    """

    einsum: str
    cause: str
    what: str
    cycles: Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """Cycles of a unit: at work by Einsum, standing still, and idle after its last work. They sum to the whole run."""

    busy: dict[str, Fraction]
    waits: tuple[Wait, ...]
    drain: Fraction

    @property
    def total(self) -> Fraction:
        """All of them."""
        return sum(self.busy.values(), Fraction(0)) + sum((wait.cycles for wait in self.waits), Fraction(0)) + self.drain


@dataclass(frozen=True, slots=True)
class Event:
    """A firing that took time: a task's name, kind and resource, its number, and when it began and ended in cycles."""

    task: str
    kind: str
    resource: str
    number: int
    start: Fraction
    end: Fraction


@dataclass(frozen=True)
class Simulation:
    """What happened. `ticks`: until the last result is there. `ports`: cycles in which each is busy. `events`: as many as were asked for.
    `conflicts`: of ports of memories with banks, cycles in which they are busy only because the words of a transfer fall on few banks.

    `firings`: how many of every task did something. `evaluation`: what the model says of the same mapping. `held`: bits that one copy of
    each memory below the outermost holds, as (cycle, bits) steps, while the events that were asked for happen. `offchip`: what the DRAM
    did, if the outermost memory is one. `stored`: whether only elements that are stored count. `spans`: what those of `events` occupy, and
    when: units from start to end, ports while they serve them, so that the spans of a port add up to its cycles if all events were kept.
    Where a run has over a million firings, and beside a DRAM on ports other than its own, they are on their unit or first port alone.
    """

    evaluation: Evaluation
    ticks: int
    units: dict[str, Unit]
    ports: dict[str, Fraction]
    firings: dict[str, int]
    events: tuple[Event, ...]
    held: dict[str, tuple[tuple[Fraction, int], ...]] = field(default_factory=dict)
    offchip: OffChip | None = None
    conflicts: dict[str, Fraction] = field(default_factory=dict)
    stored: bool = False
    spans: tuple[Event, ...] = ()

    @property
    def cycles(self) -> int:
        """Cycles, rounded up."""
        return math.ceil(self.evaluation.evaluator.clock.cycles(self.ticks))

    @property
    def seconds(self) -> float:
        """Time at the machine's clock."""
        clock = self.evaluation.evaluator.clock
        return self.ticks / clock.per_cycle / float(self.evaluation.evaluator.architecture.clock_hz)

    @property
    def energy(self) -> Range:
        """Energy in picojoules: that of what is done, as the model counts it, and static power over the simulated time."""
        return self.evaluation.dynamic + self.evaluation.evaluator.prices.power.scaled(self.seconds * 1e12)

    def __repr__(self) -> str:
        from accelsim.sim.shown import line

        return f"<Simulation {line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.sim.shown import html

        return html(self)


def simulate(
    cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting | None = None, events: int = 0
) -> Simulation:
    """Run a mapping; `events`: how many firings to keep. Raises IllegalMapping for one that is not legal, or not simulated yet."""
    from accelsim.sim.lowering import lower
    from accelsim.workload.build import sized

    evaluator = Evaluator(sized(cascade, mapping.sizes), architecture, counting)
    evaluation = evaluator.evaluate(mapping)
    found, refusal = list[Simulation](), None
    for tasks in lower(evaluator, mapping, evaluation.counts.lowered.latencies):
        try:
            found.append(_run(evaluation, tasks, events))
        except IllegalMapping as error:
            refusal = refusal or error
    if not found:
        raise refusal or AssertionError("a mapping has a plan")
    return _launched(min(found, key=lambda done: done.ticks), parts(mapping))


def _launched(done: Simulation, times: int) -> Simulation:
    """The same behind the launches of so many parts. Parts follow one another, so that all of these can stand at the start."""
    clock, ticks = done.evaluation.evaluator.clock, times * done.evaluation.evaluator.launch_ticks
    if not ticks:
        return done
    late = clock.cycles(ticks)
    units = {
        name: replace(unit, waits=(Wait(next(iter(unit.busy)), FILL, "launch", late), *unit.waits)) for name, unit in done.units.items()
    }
    events = tuple(replace(event, start=event.start + late, end=event.end + late) for event in done.events)
    spans = tuple(replace(event, start=event.start + late, end=event.end + late) for event in done.spans)
    held = {memory: tuple((cycle + late, bits) for cycle, bits in steps) for memory, steps in done.held.items()}
    return replace(done, ticks=done.ticks + ticks, units=units, events=events, held=held, spans=spans)


class _Fired(NamedTuple):
    """What the kernel leaves: ticks until the last end, `spent`, `causes` and `tasks` of its last state, traced firings, servings."""

    ticks: int
    spent: Any
    causes: Any
    tasks: Any
    traced: Any
    servings: int


def _run(evaluation: Evaluation, tasks: list[Any], events: int) -> Simulation:
    """Run tasks with the outermost memory at its bandwidth, or as the DRAM that it is."""
    from accelsim.sim.arrays import Arrays

    machine, clock = evaluation.evaluator.architecture, evaluation.evaluator.clock
    root, dram = machine.root.name, machine.root.dram
    arrays = Arrays(tasks, list(machine.units), clock.per_cycle, root if dram else "")
    if dram is None:
        from accelsim.sim.spans import logs

        def one(port: str, service: Any, log: Any) -> int:
            return _fire(evaluation, Arrays(tasks, list(machine.units), clock.per_cycle, port), 0, service, log).servings

        ports = [name for name in arrays.resources if name not in machine.units]
        done = _fire(evaluation, arrays, events)
        return _found(evaluation, arrays, done, events, logs(tasks, ports, one) if events else {})
    from accelsim.sim.offchip import settle

    def fire(service: Any, log: Any) -> int:
        return _fire(evaluation, arrays, 0, service, log).servings

    service, log, did = settle(evaluation.evaluator.cascade, tasks, root, dram, clock.per_cycle * machine.clock_hz, fire)
    done = _fire(evaluation, arrays, events, service, log)
    return replace(_found(evaluation, arrays, done, events, {root: log[: done.servings]}), offchip=did)


def _fire(evaluation: Evaluation, arrays: Arrays, events: int, service: Any = None, log: Any = None) -> _Fired:
    """Let the kernel fire all tasks; `service`, `log`: of the servings of a DRAM, if there is one."""
    import numpy as np

    from accelsim.sim import kernels_boxes as columns
    from accelsim.sim import kernels_events as kernels
    from accelsim.sim.kernels_event_state import LONGEST, SAVED

    service = np.zeros(0, np.int64) if service is None else service
    log = np.zeros((0, 4), np.int64) if log is None else log
    tasks, sizes, traced = arrays.tasks, arrays.sizes(), np.zeros((events, 4), np.int64)
    while True:
        if sum(sizes) > _MOST_REMEMBERED:
            raise IllegalMapping("more firings wait for each other than can be remembered", "map it with larger tiles")
        machine = arrays.machine(sizes)
        leaps = not arrays.timed and sum(min(size, SAVED) for size in sizes) * max(task.common for task in tasks) <= _MOST_COMPARED
        ring = np.zeros(sum(sizes), np.int64)
        how, which, total, spent, causes, fired, seen, servings, _ = kernels.run(machine, ring, traced, leaps, service, log)
        if how != kernels.TOO_SHORT:
            break
        sizes[which] *= 8
    if how == kernels.TOO_LONG:
        limit = LONGEST / evaluation.evaluator.clock.per_cycle / float(evaluation.evaluator.architecture.clock_hz)
        what = f"the run takes longer than {limit:.3g} s, which is all that can be counted"
        raise IllegalMapping(what, "simulate a smaller shape, as with --set shape.RANK=N")
    if how == kernels.STUCK:
        target, why = arrays.waits[which]
        owner = next(task for task, row in zip(tasks, machine.tasks, strict=True) if row[columns.WAITS] <= which < row[columns.WAITS_END])
        raise IllegalMapping(f"{owner.name} waits for {target.name} ({why}), which is planned after it", "give the tensor more copies")
    return _Fired(int(total), spent, causes, fired, traced[:seen], int(servings))


def _found(evaluation: Evaluation, arrays: Arrays, done: _Fired, events: int, served: dict[str, Any]) -> Simulation:
    """What happened, by the names of units, ports, Einsums and tasks. events: how many firings are kept at most; served: logs of ports."""
    import numpy as np

    from accelsim.sim import kernels_boxes as columns
    from accelsim.sim.occupancy import held_over_time
    from accelsim.sim.spans import spans
    from accelsim.sim.tasks import KINDS

    machine_units, clock, tasks = evaluation.evaluator.architecture.units, evaluation.evaluator.clock, arrays.tasks
    units: dict[str, Unit] = {}
    for number, name in enumerate(arrays.resources):
        members = [at for at, task in enumerate(tasks) if task.unit == name]
        if members:
            busy = {tasks[at].name: clock.cycles(int(done.tasks[at, columns.WORKED])) for at in members}
            waits = [
                Wait(tasks[at].name, *_cause(arrays, int(cause)), clock.cycles(int(done.causes[at, cause])))
                for at in members
                for cause in np.flatnonzero(done.causes[at])
            ]
            units[name] = Unit(busy, tuple(waits), clock.cycles(done.ticks - int(done.spent[number, columns.LAST_END])))
    spent = {name: int(done.spent[number, columns.BUSY]) for number, name in enumerate(arrays.resources)}
    ports = {name: clock.cycles(ticks) for name, ticks in spent.items() if name not in machine_units}
    banked = {use.resource for task in tasks for use in task.uses if use.laid is not None}
    conflicts = {
        name: clock.cycles(int(done.spent[number, columns.UNEVEN])) for number, name in enumerate(arrays.resources) if name in banked
    }
    kept = []
    for number, firing, start, end in done.traced:
        task, begun, ended = tasks[number], clock.cycles(int(start)), clock.cycles(int(end))
        kept.append(Event(task.name, KINDS[task.kind], task.unit or task.uses[0].resource, int(firing), begun, ended))
    occupied = []
    for number, firing, resource, start, end in sorted(spans(tasks, done.traced.tolist(), served), key=lambda each: each.start):
        task = tasks[number]
        occupied.append(Event(task.name, KINDS[task.kind], resource, firing, clock.cycles(start), clock.cycles(end)))
    firings = {task.name: int(done.tasks[number, columns.ACTIVE]) for number, task in enumerate(tasks)}
    steps = held_over_time(tasks, done.traced.tolist(), len(done.traced) < events) if len(done.traced) else {}
    held = {memory: tuple((clock.cycles(tick), bits) for tick, bits in each) for memory, each in steps.items()}
    return Simulation(evaluation, done.ticks, units, ports, firings, tuple(kept), held, conflicts=conflicts, spans=tuple(occupied))


def _cause(arrays: Arrays, cause: int) -> tuple[str, str]:
    """What a unit waited for: the cause and its name."""
    if cause < len(arrays.waits):
        task, why = arrays.waits[cause]
        return why, task.name
    at, banks = cause - len(arrays.waits), len(arrays.waits) + len(arrays.resources) + 2
    if cause >= banks:
        return CONFLICT, _cause(arrays, cause - banks)[1]
    return (PORT, arrays.resources[at]) if at < len(arrays.resources) else (ARRAY if at > len(arrays.resources) else FILL, "")
