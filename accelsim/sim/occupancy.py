"""What memories hold over time: every tile from the first firing that touches it to the end of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from accelsim.sim.tasks import Task

Steps = tuple[tuple[int, int], ...]
"""(time in ticks, bits held from then on), the first at 0."""


def held_over_time(tasks: Sequence[Task], fired: Sequence[Sequence[int]], all_fired: bool) -> dict[str, Steps]:
    """Bits that one copy of each memory below the outermost holds over time, as (tick, bits) steps.

    fired: (task, number, start, end) of the first firings that take time, or of all; where more follow, the last tile of each room is held
    to the last time that is known. The room of a tile is taken from the start of its load, or from when the first result of
    the firings that make it arrives, and free again when the last firing that reads, drains or adds to it has ended. An edge tile takes the
    room of a whole one, and all slices of an iterative tensor one room.
    """
    spans: dict[tuple[int, int], list[int]] = {}
    holds = {id(hold): hold for task in tasks for hold, _ in task.holds}
    for number, firing, begin, until in fired:
        task = tasks[number]
        for hold, makes in task.holds:
            late = task.latency if makes else 0
            tile = firing // task.beyond(hold.depth)
            span = spans.setdefault((id(hold), tile), [begin + late, until + late])
            span[0], span[1] = min(span[0], begin + late), max(span[1], until + late)
    known = max((end for _, _, _, end in fired), default=0)
    if not all_fired:
        newest = {key: tile for key, tile in sorted(spans)}
        for key, tile in newest.items():
            spans[key, tile][1] = max(known, spans[key, tile][1])
    changes: dict[str, dict[int, int]] = {hold.memory: {0: 0} for hold in holds.values()}
    for (key, _), (begin, until) in spans.items():
        hold = holds[key]
        change = changes[hold.memory]
        change[begin] = change.get(begin, 0) + hold.bits
        change[until] = change.get(until, 0) - hold.bits
    found = {}
    for memory, change in changes.items():
        times = sorted(change)
        found[memory] = tuple(zip(times, accumulate(change[time] for time in times), strict=True))
    return found
