"""What memories hold over time: every tile from the first firing that touches it to the end of the last one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from accelsim.sim.tasks import Task

Steps = tuple[tuple[int, int], ...]
"""(time in ticks, bits held from then on), the first at 0."""


def occupancy(tasks: Sequence[Task], fired: Iterable[tuple[int, int, int, int]]) -> dict[str, Steps]:
    """Bits that one copy of each memory below the outermost holds over time, as (tick, bits) steps.

    fired: (task, number, start, end) of firings. The room of a tile is taken from the start of its load, or from when the first result of
    the firings that make it arrives, and free again when the last firing that reads, drains or adds to it has ended. An edge tile takes the
    room of a whole one, and all slices of an iterative tensor one room. Firings that are not given touch nothing.
    """
    spans: dict[tuple[int, int], list[int]] = {}
    holds = {id(hold): hold for task in tasks for hold, _ in task.holds}
    for number, firing, start, end in fired:
        task = tasks[number]
        for hold, makes in task.holds:
            late = task.latency if makes else 0
            tile = firing // task.beyond(hold.depth)
            span = spans.setdefault((id(hold), tile), [start + late, end + late])
            span[0], span[1] = min(span[0], start + late), max(span[1], end + late)
    changes: dict[str, dict[int, int]] = {hold.memory: {0: 0} for hold in holds.values()}
    for (key, _), (start, end) in spans.items():
        hold = holds[key]
        change = changes[hold.memory]
        change[start] = change.get(start, 0) + hold.bits
        change[end] = change.get(end, 0) - hold.bits
    found = {}
    for memory, change in changes.items():
        times = sorted(change)
        found[memory] = tuple(zip(times, accumulate(change[time] for time in times), strict=True))
    return found
