"""A mapping run event by event: how long it takes, and where the time of every unit and memory goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade

_MOST_REMEMBERED = 1 << 26  # ends of tasks in all


@dataclass(frozen=True, slots=True)
class Share:
    """Cycles of a unit or a port, which sum to the whole run: at work, standing still for each cause, and idle after its last work."""

    busy: Fraction
    waits: dict[str, Fraction]
    drain: Fraction


@dataclass(frozen=True, slots=True)
class Event:
    """A firing that took time: a task's name and kind, its number, and when it began and ended in cycles."""

    task: str
    kind: str
    resource: str
    number: int
    start: Fraction
    end: Fraction


@dataclass(frozen=True)
class Simulation:
    """What happened. `ticks`: until the last result is there. `units`, `ports`: where their time went. `events`: as many as were asked for.

    `firings`: how many of every task did something.
    """

    evaluation: Evaluation
    ticks: int
    units: dict[str, Share]
    ports: dict[str, Share]
    firings: dict[str, int]
    events: tuple[Event, ...]

    @property
    def cycles(self) -> int:
        """Cycles, rounded up."""
        return math.ceil(self.evaluation.evaluator.clock.cycles(self.ticks))

    @property
    def seconds(self) -> float:
        """Time at the machine's clock."""
        clock = self.evaluation.evaluator.clock
        return self.ticks / clock.per_cycle / float(self.evaluation.evaluator.architecture.clock_hz)


def simulate(
    cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting | None = None, events: int = 0
) -> Simulation:
    """Run a mapping; `events`: how many firings to keep. Raises IllegalMapping for one that is not legal, or not simulated yet."""
    import numpy as np

    from accelsim.sim import kernels_events as kernels
    from accelsim.sim.arrays import Arrays
    from accelsim.sim.lowering import lower
    from accelsim.sim.tasks import KINDS
    from accelsim.workload.build import sized

    evaluator = Evaluator(sized(cascade, mapping.sizes), architecture, counting)
    evaluation = evaluator.evaluate(mapping)
    tasks = lower(evaluator, mapping, evaluation.counts.lowered.latencies)
    arrays = Arrays(tasks, list(architecture.units))
    sizes = arrays.sizes()
    traced = np.zeros((events, 4), np.int64)
    while True:
        if sum(sizes) > _MOST_REMEMBERED:
            raise IllegalMapping("more firings wait for each other than can be remembered", "map it with larger tiles")
        machine = arrays.machine(sizes)
        how, which, total, spent, causes, active, seen = kernels.run(machine, np.zeros(sum(sizes), np.int64), traced)
        if how != kernels.TOO_SHORT:
            break
        sizes[which] *= 8
    if how == kernels.STUCK:
        target, why = arrays.waits[which]
        owner = next(task for task, row in zip(tasks, machine.tasks, strict=True) if row[kernels.WAITS] <= which < row[kernels.WAITS_END])
        raise IllegalMapping(f"{owner.name} waits for {target.name} ({why}), which is planned after it", "give the tensor more copies")
    clock = evaluator.clock

    def cycles(ticks: int) -> Fraction:
        return clock.cycles(int(ticks))

    units: dict[str, Share] = {}
    ports: dict[str, Share] = {}
    for number, name in enumerate(arrays.resources):
        if name in architecture.units:
            members = [at for at, task in enumerate(tasks) if task.unit == name]
            if not members:
                continue
            waits: dict[str, int] = {}
            for at in members:
                for cause in np.flatnonzero(causes[at]):
                    waits[_cause(arrays, int(cause))] = waits.get(_cause(arrays, int(cause)), 0) + int(causes[at, cause])
            left = int(total) - int(spent[number, kernels.LAST_END])
            units[name] = Share(cycles(spent[number, kernels.BUSY]), {key: cycles(value) for key, value in waits.items()}, cycles(left))
        else:
            left = int(total) - int(spent[number, kernels.LAST_END])
            idle = int(total) - left - int(spent[number, kernels.BUSY])
            ports[name] = Share(cycles(spent[number, kernels.BUSY]), {"idle": cycles(idle)}, cycles(left))
    kept = []
    for number, firing, start, end in traced[:seen]:
        task = tasks[number]
        kept.append(Event(task.name, KINDS[task.kind], task.unit or task.uses[0].resource, int(firing), cycles(start), cycles(end)))
    firings = {task.name: int(active[number]) for number, task in enumerate(tasks)}
    return Simulation(evaluation, int(total), units, ports, firings, tuple(kept))


def _cause(arrays: object, cause: int) -> str:
    """What a unit waited for, in a word or two."""
    from accelsim.sim.arrays import Arrays

    assert isinstance(arrays, Arrays)
    if cause < len(arrays.waits):
        task, why = arrays.waits[cause]
        if why == "memory":
            return f"memory: {task.name}"
        return f"{why}: {task.name}"
    at = cause - len(arrays.waits)
    return f"port: {arrays.resources[at]}" if at < len(arrays.resources) else "start"
