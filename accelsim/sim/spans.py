"""What every unit and port is occupied with and when: each firing on all of them, for as long as it occupies each.

The kernel logs the servings of one port. They do not depend on which port that is, so it runs once more for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from accelsim.sim.kernels_event_state import OUTSTANDING
from accelsim.sim.tasks import COMPUTE, Task

Log = Sequence[Sequence[int]]
"""Servings of a port in their order: (task, number, when the firing may start, when the port is free again), in ticks."""

MOST_FIRINGS = 1 << 20  # of all tasks, beyond which ports are not logged


class Span(NamedTuple):
    """A resource is occupied by a firing of a task from one tick to another."""

    task: int
    number: int
    resource: str
    start: int
    end: int


def logs(tasks: Sequence[Task], ports: Sequence[str], fire: Callable[[str, Any, Any], int]) -> dict[str, Any]:
    """The servings of each port; none where there are too many firings.

    fire: runs all tasks with a port, the ticks of its servings (-1: as at its bandwidth) and room for its log, and returns how many it had.
    """
    import numpy as np

    if sum(task.firings for task in tasks) > MOST_FIRINGS:
        return {}
    found = {}
    for port in ports:
        most = sum(task.firings for task in tasks if any(use.resource == port for use in task.uses))
        log = np.zeros((most, 4), np.int64)
        found[port] = log[: fire(port, np.full(most, -1, np.int64), log)]
    return found


def spans(tasks: Sequence[Task], fired: Log, served: dict[str, Any]) -> Iterator[Span]:
    """All units and ports that firings occupy. fired: (task, number, start, end) of firings; served: the log of each port.

    A firing is on its unit from its start to its end, and on a port while that serves it. A transfer whose ports have no log is on the
    first of them from its start to its end.
    """
    known = {(number, firing) for number, firing, _, _ in fired}
    for number, firing, start, end in fired:
        task = tasks[number]
        if task.unit or task.uses[0].resource not in served:
            yield Span(number, firing, task.unit or task.uses[0].resource, start, end)
    for port, log in served.items():
        for span in _servings(tasks, port, log.tolist()):
            if span[:2] in known and span.end > span.start:
                yield span


def _servings(tasks: Sequence[Task], port: str, log: Log) -> Iterator[Span]:
    """When a port serves each firing: once it is free, and not before the firing starts, or at the inner end of a transfer, not before
    that of the last but so many that may be outstanding.
    """
    free = 0
    for place, (number, firing, start, end) in enumerate(log):
        task = tasks[number]
        since = start
        if task.kind != COMPUTE and port != task.uses[0].resource:
            since = log[place - OUTSTANDING][2] if place >= OUTSTANDING else 0
        yield Span(number, firing, port, max(free, since), end)
        free = end
