"""A mapping as tasks that the event kernel runs."""

from __future__ import annotations

import math
from dataclasses import replace

from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim.ahead import with_one_place
from accelsim.sim.paths import Paths
from accelsim.sim.tasks import COMPUTE, LOAD, NEVER, Task, Wait, words
from accelsim.sim.uses import Uses
from accelsim.sim.waits import Waits

_MOST_PLANS = 10
_FINEST, _BITS = -10, 45  # powers of two: the unit of plans in ticks at least, and the longest plan in units
_PART = 4  # cycles of a port that a part of a load takes
_MOST_PARTS, _FINEST_PARTS = 1024, 64  # turns of the loop inside, and parts in each
_AHEAD = 2  # copies with which a tile is loaded while another is in use


def lower(evaluator: Evaluator, mapping: Mapping, latencies: dict[str, int]) -> list[list[Task]]:
    """The tasks of a legal mapping, once for each plan worth trying; refuses what is not simulated yet, in words.

    `latencies`: cycles of reductions, by Einsum. What is planned for tiles with one place each is tried too, so that more places than one
    never make a run longer.
    """
    paths, single = Paths(evaluator, mapping), with_one_place(mapping)
    plans = [paths] if single == mapping else [paths, Paths(evaluator, single)]
    return [_planned(paths, plan, latencies, even) for plan in plans for even in ((False, True) if paths.overlap else (False,))]


def _planned(paths: Paths, plan: Paths, latencies: dict[str, int], even: bool) -> list[Task]:
    """Tasks of a mapping with the plan of one that is the same but for its copies."""
    made = _drawn_up(paths, latencies, even)
    if plan is not paths:
        for task, other in zip(made.all, _drawn_up(plan, latencies, even).all, strict=True):
            task.strides, task.offset, task.span, task.ready = other.strides, other.offset, other.span, other.ready
            task.copies, task.within = other.copies, other.within
    common = paths.common()
    for task in made.all:
        task.common = min(len(task.loops), common)
    _split(paths, made.all)
    _exact(made.all)
    return made.all


def _drawn_up(paths: Paths, latencies: dict[str, int], even: bool) -> Uses:
    """Tasks with one plan. A plan that is too hasty is made again with longer periods."""
    least = dict[str, float]()
    for _ in range(_MOST_PLANS):
        made = Uses(paths, latencies)
        longer = Waits(made, least, even).hasty()
        if all(least.get(key, 0.0) >= period for key, period in longer.items()):
            break
        least |= {key: max(period, least.get(key, 0.0)) for key, period in longer.items()}
    return made


def _split(paths: Paths, tasks: list[Task]) -> None:
    """Let tiles that are loaded ahead come in parts, so that a long load does not keep its port from others until it is through.

    Not through ports at which units stream: their operands come in one piece too.
    """
    streamed = {use.resource for task in tasks if task.kind == COMPUTE for use in task.uses}
    for task in tasks:
        task.split = _parts(paths, task, streamed)
    for task in tasks:
        task.waits = [_for_last(wait) for wait in task.waits]
    for task in tasks:
        if task.split:
            task.common += task.common == len(task.loops) and paths.common() > task.common
            task.strides = [*task.strides[: len(task.loops)], *(0.0 for _ in task.split)]
            task.loops += task.split


def _parts(paths: Paths, task: Task, streamed: set[str]) -> tuple[int, ...]:
    """Parts of a load: some for each turn of the next loop inside, so that these turns go alike."""
    if task.kind != LOAD or task.copies < _AHEAD or task.again or any(use.resource in streamed for use in task.uses):
        return ()
    inside = paths.of(task.einsum).loops[len(task.loops) :]
    turns = inside[0].trips if inside else 1
    cycles = max((words(use.box) * use.ticks for use in task.uses), default=0) // paths.evaluator.clock.per_cycle
    if turns == 1 or turns > _MOST_PARTS or cycles < 2 * _PART:
        return ()
    each = min(_FINEST_PARTS, max(1, cycles // (turns * _PART)))
    return (turns,) if each == 1 else (turns, 1 << (each.bit_length() - 1))  # a power of two keeps plans exact


def _for_last(wait: Wait) -> Wait:
    """A wait for a firing as one for its last part."""
    parts = wait.task.parts
    return wait if parts == 1 else replace(wait, times=wait.times * parts, add=wait.add * parts + parts - 1)


def _exact(tasks: list[Task]) -> None:
    """Round plans so that all sums of them are exact: then every iteration of a loop is planned as the one before it."""
    spans = [sum(trips * stride for trips, stride in zip(task.loops, task.strides, strict=False)) for task in tasks]
    longest = max(span + sum(map(abs, _plan(task))) for span, task in zip(spans, tasks, strict=True))
    unit = 2.0 ** max(_FINEST, math.ceil(math.log2(max(longest, 1.0))) - _BITS)
    for task in tasks:
        offset, span, lead = (round(ticks / unit) * unit for ticks in _plan(task))
        task.strides = [round(stride / unit) * unit for stride in task.strides]
        task.offset, task.span, task.grain = offset, span, unit
        if task.ready > NEVER:
            task.ready = offset + lead


def _plan(task: Task) -> tuple[float, float, float]:
    """When a task is planned first, how long what it brings is used, and from then to when that is there."""
    return task.offset, task.span, task.ready - task.offset if task.ready > NEVER else 0.0
