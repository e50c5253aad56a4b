"""A mapping as tasks that the event kernel runs."""

from __future__ import annotations

import math

from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim.paths import Paths
from accelsim.sim.tasks import NEVER, Task
from accelsim.sim.uses import Uses
from accelsim.sim.waits import Waits

_MOST_PLANS = 10
_FINEST, _BITS = -10, 51  # powers of two: the unit of plans in ticks at least, and the longest plan in units


def lower(evaluator: Evaluator, mapping: Mapping, latencies: dict[str, int]) -> list[list[Task]]:
    """The tasks of a legal mapping, once for each plan worth trying; refuses what is not simulated yet, in words.

    `latencies`: cycles of reductions, by Einsum.
    """
    paths = Paths(evaluator, mapping)
    return [_planned(paths, latencies, even) for even in ((False, True) if paths.overlap else (False,))]


def _planned(paths: Paths, latencies: dict[str, int], even: bool) -> list[Task]:
    """Tasks with one plan. A plan that is too hasty is made again with longer periods."""
    least = dict[str, float]()
    for _ in range(_MOST_PLANS):
        made = Uses(paths, latencies)
        longer = Waits(made, least, even).hasty()
        if all(least.get(key, 0.0) >= period for key, period in longer.items()):
            break
        least |= {key: max(period, least.get(key, 0.0)) for key, period in longer.items()}
    common = paths.common()
    for task in made.all:
        task.common = min(len(task.loops), common)
    _exact(made.all)
    return made.all


def _exact(tasks: list[Task]) -> None:
    """Round plans so that all sums of them are exact: then every iteration of a loop is planned as the one before it."""
    spans = [sum(trips * stride for trips, stride in zip(task.loops, task.strides, strict=False)) for task in tasks]
    longest = max(span + sum(map(abs, _plan(task))) for span, task in zip(spans, tasks, strict=True))
    unit = 2.0 ** max(_FINEST, math.ceil(math.log2(max(longest, 1.0))) - _BITS)
    for task in tasks:
        offset, span, lead = (round(ticks / unit) * unit for ticks in _plan(task))
        task.strides = [round(stride / unit) * unit for stride in task.strides]
        task.offset, task.span = offset, span
        if task.ready > NEVER:
            task.ready = offset + lead


def _plan(task: Task) -> tuple[float, float, float]:
    """When a task is planned first, how long what it brings is used, and from then to when that is there."""
    return task.offset, task.span, task.ready - task.offset if task.ready > NEVER else 0.0
