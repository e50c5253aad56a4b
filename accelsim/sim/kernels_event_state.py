"""The state of the event simulation, and what is saved of it at the beginning of an iteration. See `kernels_leaps.py`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    ADD,
    FIRED,
    LATEST,
    LOOPS,
    LOOPS_END,
    OWN,
    OWN_END,
    PREFIX,
    RING,
    RING_SIZE,
    TERMS,
    TERMS_END,
    TIMES,
    TRIPS,
    FloatArray,
    IntArray,
    Machine,
)

OUTSTANDING = 8  # transfers that a port may be the inner end of at a time
FEWEST = 4  # iterations of a loop for which leaps are looked for
NEVER = -1.0e300
NO_KEY = 1.0e300
PAST = 8  # plans of a task that are remembered
LONGEST = 1 << 61  # ticks of a run, and of a leap
SAVED = 1 << 15  # ends of a task that are saved at most
_ITERATIONS = 4  # of a loop, for which a ring has room if they need not be saved


class State(NamedTuple):
    """What the simulation knows between two firings.

    digits: int64[loops]. tasks: int64[tasks, 5], firings, those that did something, ticks of work, the latest end, and what of that is due
    to uneven banks. keys:
    float64[tasks]. past: float64[tasks, 8], plans of the last firings. ring: int64, the last ends. free, spent, starts, served: of
    resources, when each is free, (busy ticks, last end, of a systolic array when it takes operands and when it has emptied, and busy ticks
    due to uneven banks), starts of the last transfers, and how many there were. causes: int64[tasks, waits + resources + 2], ticks in
    which units stood still by task and cause (the last two: before their first work, and while an array loads or empties); where there
    are banks, waits + resources more for what of those is due to them. known, marks: see `kernels_boxes.words`.
    bound: int64[waits], the last step in which each decided, or might as well have, when something starts. tiles: int64[uses, 3],
    words of the last tile, what is left over of shares so far, and ticks of the tile due to uneven banks. lost: int64[ring], of the last
    ends what is due to uneven banks; even: int64[resources], when each would be free without; piles: int64[6, banks], counts by bank;
    all of these empty where no memory has banks. over: int64[resources], of what a firing asks for what is due to them. asked, scratch:
    room for notes, int64[tasks] and int64[ring].
    """

    digits: IntArray
    tasks: IntArray
    keys: FloatArray
    past: FloatArray
    ring: IntArray
    free: IntArray
    spent: IntArray
    starts: IntArray
    served: IntArray
    causes: IntArray
    known: IntArray
    marks: IntArray
    bound: IntArray
    tiles: IntArray
    lost: IntArray
    even: IntArray
    over: IntArray
    piles: IntArray
    asked: IntArray
    scratch: IntArray


class Saved(NamedTuple):
    """A state for each level (common loop) at the beginning of one of its iterations.

    facts: int64[levels, 5]: whether there is one, its iteration, its step, after how many more iterations it is replaced, and the outer
    iteration. rings: int64[tasks], where in `ring` the last ends of each task begin. The rest as in `State`, with a first axis of levels.
    """

    facts: IntArray
    tasks: IntArray
    keys: FloatArray
    past: FloatArray
    ring: IntArray
    free: IntArray
    spent: IntArray
    starts: IntArray
    served: IntArray
    causes: IntArray
    known: IntArray
    tiles: IntArray
    lost: IntArray
    even: IntArray
    rings: IntArray


VALID, ITERATION, STEP, WINDOW, OUTER = range(5)


@helper(allocates=True)
def blank(m: Machine, state: State, levels: int) -> Saved:
    """Room for a state at each level."""
    facts = np.zeros((levels, 5), np.int64)
    facts[:, WINDOW] = 1
    rings, room = np.zeros(m.tasks.shape[0], np.int64), 0
    for task in range(m.tasks.shape[0]):
        rings[task] = room
        room += min(SAVED, m.tasks[task, RING_SIZE])
    return Saved(
        facts,
        np.zeros((levels, *state.tasks.shape), np.int64),
        np.zeros((levels, state.keys.shape[0])),
        np.zeros((levels, *state.past.shape)),
        np.zeros((levels, room), np.int64),
        np.zeros((levels, state.free.shape[0]), np.int64),
        np.zeros((levels, *state.spent.shape), np.int64),
        np.zeros((levels, *state.starts.shape), np.int64),
        np.zeros((levels, state.served.shape[0]), np.int64),
        np.zeros((levels, *state.causes.shape), np.int64),
        np.zeros((levels, *state.known.shape), np.int64),
        np.zeros((levels, *state.tiles.shape), np.int64),
        np.zeros((levels, room if m.banks else 0), np.int64),
        np.zeros((levels, state.even.shape[0]), np.int64),
        rings,
    )


@helper()
def beyond(m: Machine, task: int, loops: int) -> int:
    """Firings of a task in one turn of its first loops."""
    count = 1
    for loop in range(m.tasks[task, LOOPS] + loops, m.tasks[task, LOOPS_END]):
        count *= m.loops[loop, TRIPS]
    return count


@helper()
def number_of(m: Machine, digits: IntArray, task: int, wait: int) -> int:
    """The number of the firing for which a task's next one waits; below 0 there is none."""
    first, number = m.tasks[task, LOOPS], 0
    for loop in range(first, first + m.waits[wait, PREFIX]):
        number = number * m.loops[loop, TRIPS] + digits[loop]
    return int(number * m.waits[wait, TIMES] + m.waits[wait, ADD])


@helper()
def save(m: Machine, state: State, saved: Saved, level: int) -> None:
    for task in range(m.tasks.shape[0]):
        saved.keys[level, task] = state.keys[task]
        for place in range(state.tasks.shape[1]):
            saved.tasks[level, task, place] = state.tasks[task, place]
        for place in range(PAST):
            saved.past[level, task, place] = state.past[task, place]
        for cause in range(state.causes.shape[1]):
            saved.causes[level, task, cause] = state.causes[task, cause]
        if not is_remembered(m, task, level):
            ring, size, fired = m.tasks[task, RING], m.tasks[task, RING_SIZE], state.tasks[task, FIRED]
            kept = min(SAVED, size)
            for number in range(max(0, fired - kept), fired):
                saved.ring[level, saved.rings[task] + (number & (kept - 1))] = state.ring[ring + (number & (size - 1))]
                if m.banks > 0:
                    saved.lost[level, saved.rings[task] + (number & (kept - 1))] = state.lost[ring + (number & (size - 1))]
    for resource in range(state.free.shape[0]):
        saved.free[level, resource], saved.served[level, resource] = state.free[resource], state.served[resource]
        for place in range(state.spent.shape[1]):
            saved.spent[level, resource, place] = state.spent[resource, place]
        if m.banks > 0:
            saved.even[level, resource] = state.even[resource]
        for place in range(OUTSTANDING):
            saved.starts[level, resource, place] = state.starts[resource, place]
    for use in range(state.tiles.shape[0]):
        for place in range(state.tiles.shape[1]):
            saved.tiles[level, use, place] = state.tiles[use, place]
    for dim in range(state.known.shape[0]):
        for place in range(state.known.shape[1]):
            saved.known[level, dim, place] = state.known[dim, place]


@helper()
def is_remembered(m: Machine, task: int, level: int) -> bool:
    """Whether the ring of a task goes back so far that the ends of some iterations need not be saved."""
    return bool(m.tasks[task, RING_SIZE] >= _ITERATIONS * beyond(m, task, level + 1))


@helper()
def rate_of(state: State, saved: Saved, level: int, task: int) -> int:
    """How much later a task's ends are: not at all where it did nothing since."""
    return int(state.tasks[task, LATEST] - saved.tasks[level, task, LATEST])


@helper()
def tile_of(m: Machine, slot: int, level: int) -> int:
    """The tile of a common loop that cuts a slot; 0: it does not."""
    for entry in range(m.slots[slot, OWN], m.slots[slot, OWN_END]):
        if m.entries[entry, 0] == level:
            return int(m.entries[entry, 1])
    return 0


@helper()
def shift_of(m: Machine, dim: int, level: int) -> int:
    """How far a dimension moves with each turn of a common loop."""
    found = 0
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        found += m.terms[term, 1] * tile_of(m, m.terms[term, 0], level)
    return found
