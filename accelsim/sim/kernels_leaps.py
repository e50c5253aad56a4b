"""Leaps of the event simulation: iterations of a common loop that go exactly as the ones before are counted instead of fired.

Times are sums and maxima of others. If the state at the beginning of an iteration is that at the beginning of an earlier one, all of it
later by the same time, and nothing in between went by something that does not move along, then what follows is what followed then.
Transfers that nothing of this waits for may move on by less: each task has a *rate*, which is no smaller than that of all it waits for,
and the same as that of what decided when it starts. Source: docs/simulator.md, "Leaps".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    ACROSS_END,
    ACTIVE,
    ADD,
    AGAINS,
    AGAINS_END,
    BOX,
    BUSY,
    COMMON,
    COPIES,
    DELTA,
    DIMS,
    DIMS_END,
    DIVISOR,
    DOWN,
    EXIT,
    FIRED,
    FOLD,
    HIGH,
    LAST_END,
    LATEST,
    LOOPS,
    LOOPS_END,
    LOW,
    MARKS,
    MODULUS,
    NEEDS,
    NEEDS_END,
    OFFSET,
    OPEN,
    PARTS,
    POINTS,
    POINTS_END,
    PREFIX,
    RESOURCE,
    RING,
    RING_SIZE,
    TARGET,
    TERMS,
    TERMS_END,
    TIMES,
    TRIPS,
    UNIT,
    USES,
    USES_END,
    WAITS,
    WAITS_END,
    FloatArray,
    IntArray,
    Machine,
)  # fmt: skip

OUTSTANDING = 8  # transfers that a port may be the inner end of at a time
FEWEST = 4  # iterations of a loop for which leaps are looked for
NEVER = -1.0e300
_NO_KEY = 1.0e300
_PAST = 8  # plans of a task that are remembered
LONGEST = 1 << 61  # ticks of a run, and of a leap
SAVED = 1 << 15  # ends of a task that are saved at most
_ITERATIONS = 4  # of a loop, for which a ring has room if they need not be saved


class State(NamedTuple):
    """What the simulation knows between two firings.

    digits: int64[loops]. tasks: int64[tasks, 4], firings, those that did something, ticks of work, and the latest end. keys:
    float64[tasks]. past: float64[tasks, 8], plans of the last firings. ring: int64, the last ends. free, spent, starts, served: of
    resources, when each is free, (busy ticks, last end, and of a systolic array when it takes operands and when it has emptied), starts
    of the last transfers, and how many there were. causes: int64[tasks, waits + resources + 2], ticks in which units stood still by task
    and cause (the last two: before their first work, and while an array loads or empties). known, marks: see `kernels_boxes.words`.
    bound: int64[waits], the last step in which each decided, or might as well have, when something starts. tiles: int64[uses], words of
    the last tile. asked, scratch: room for notes, int64[tasks] and int64[ring].
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
        np.zeros((levels, state.tiles.shape[0]), np.int64),
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
def leap(m: Machine, state: State, saved: Saved, clock: int, step: int, key: float) -> bool:
    """At the beginning of an iteration of the task `clock`, which is next: go on by as many iterations as go as the ones before.

    key: its plan. Returns whether the state was changed.
    """
    facts, fired = saved.facts, state.tasks[clock, FIRED]
    for level in range(facts.shape[0]):
        inside, trips = beyond(m, clock, level + 1), m.loops[m.tasks[clock, LOOPS] + level, TRIPS]
        if fired % inside != 0:
            continue
        at, outer = (fired // inside) % trips, fired // (inside * trips)
        if at == 0 or outer != facts[level, OUTER]:
            facts[level, VALID], facts[level, WINDOW], facts[level, OUTER] = 0, 1, outer
        if trips < FEWEST or at == 0:
            continue
        since = at - facts[level, ITERATION]
        if facts[level, VALID] == 1 and _alike(m, state, saved, level, clock):
            turns = _turns(m, state, saved, level, clock, key, since)
            if turns > 0:
                _go_on(m, state, saved, level, clock, turns, since)
                for each in range(level, facts.shape[0]):
                    facts[each, VALID], facts[each, WINDOW] = 0, 1
                return True
        if (facts[level, VALID] == 0 or since >= facts[level, WINDOW]) and _is_past_first(m, state, level):
            facts[level, WINDOW] = 1 if facts[level, VALID] == 0 else 2 * facts[level, WINDOW]
            facts[level, VALID], facts[level, ITERATION], facts[level, STEP] = 1, at, step
            _save(m, state, saved, level)
    return False


@helper()
def _is_past_first(m: Machine, state: State, level: int) -> bool:
    """Whether all tasks with a level's loop are past the first of its turns, each in its own turn of the loops around it."""
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] <= level:
            continue
        inside, trips = beyond(m, task, level + 1), m.loops[m.tasks[task, LOOPS] + level, TRIPS]
        if state.tasks[task, FIRED] // inside % trips == 0:
            return False
    return True


@helper()
def _save(m: Machine, state: State, saved: Saved, level: int) -> None:
    for task in range(m.tasks.shape[0]):
        saved.keys[level, task] = state.keys[task]
        for place in range(state.tasks.shape[1]):
            saved.tasks[level, task, place] = state.tasks[task, place]
        for place in range(_PAST):
            saved.past[level, task, place] = state.past[task, place]
        for cause in range(state.causes.shape[1]):
            saved.causes[level, task, cause] = state.causes[task, cause]
        if not _is_remembered(m, task, level):
            ring, size, fired = m.tasks[task, RING], m.tasks[task, RING_SIZE], state.tasks[task, FIRED]
            kept = min(SAVED, size)
            for number in range(max(0, fired - kept), fired):
                saved.ring[level, saved.rings[task] + (number & (kept - 1))] = state.ring[ring + (number & (size - 1))]
    for resource in range(state.free.shape[0]):
        saved.free[level, resource], saved.served[level, resource] = state.free[resource], state.served[resource]
        for place in range(state.spent.shape[1]):
            saved.spent[level, resource, place] = state.spent[resource, place]
        for place in range(OUTSTANDING):
            saved.starts[level, resource, place] = state.starts[resource, place]
    for use in range(state.tiles.shape[0]):
        saved.tiles[level, use] = state.tiles[use]
    for dim in range(state.known.shape[0]):
        for place in range(state.known.shape[1]):
            saved.known[level, dim, place] = state.known[dim, place]


@helper()
def _is_remembered(m: Machine, task: int, level: int) -> bool:
    """Whether the ring of a task goes back so far that the ends of some iterations need not be saved."""
    return bool(m.tasks[task, RING_SIZE] >= _ITERATIONS * beyond(m, task, level + 1))


@helper()
def _alike(m: Machine, state: State, saved: Saved, level: int, clock: int) -> bool:
    """Whether the state is the saved one, so many iterations later."""
    turns = (state.tasks[clock, FIRED] - saved.tasks[level, clock, FIRED]) // beyond(m, clock, level + 1)
    stride = turns * m.strides[m.tasks[clock, LOOPS] + level]
    for task in range(m.tasks.shape[0]):
        fired = state.tasks[task, FIRED] - saved.tasks[level, task, FIRED]
        if m.tasks[task, COMMON] <= level:
            if fired != 0:
                return False
            continue
        inside, around = beyond(m, task, level + 1), beyond(m, task, level)
        if fired != turns * inside or state.keys[task] - saved.keys[level, task] != stride:
            return False
        if state.tasks[task, FIRED] // around != saved.tasks[level, task, FIRED] // around:
            return False
    _ask(m, state, level)
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level and not _moves_alike(m, state, saved, level, task, turns, stride):
            return False
    for resource in range(state.free.shape[0]):
        if state.spent[resource, BUSY] > saved.spent[level, resource, BUSY] and not _serves_alike(state, saved, level, resource):
            return False
    return True


@helper()
def _serves_alike(state: State, saved: Saved, level: int, resource: int) -> bool:
    """Whether a resource is as it was, later; starts of transfers that it has caught up with may lag."""
    rate = state.free[resource] - saved.free[level, resource]
    for place in (LAST_END, OPEN, EXIT):
        if state.spent[resource, place] - saved.spent[level, resource, place] != (rate if state.spent[resource, place] else 0):
            return False
    if state.served[resource] == saved.served[level, resource]:
        return True
    for back in range(OUTSTANDING):
        now, before = (state.served[resource] + back) & (OUTSTANDING - 1), (saved.served[level, resource] + back) & (OUTSTANDING - 1)
        moved = state.starts[resource, now] - saved.starts[level, resource, before]
        if moved != rate and (moved > rate or state.starts[resource, now] > state.free[resource]):
            return False
    return True


@helper()
def _rate(state: State, saved: Saved, level: int, task: int) -> int:
    """How much later a task's ends are: not at all where it did nothing since."""
    return int(state.tasks[task, LATEST] - saved.tasks[level, task, LATEST])


@helper()
def _ask(m: Machine, state: State, level: int) -> None:
    """Note the earliest firing of every task that iterations of a level may still ask for, where it moves along with them."""
    for task in range(m.tasks.shape[0]):
        state.asked[task] = state.tasks[task, FIRED]
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level:
            for wait in range(m.tasks[task, WAITS], m.tasks[task, WAITS_END]):
                if m.waits[wait, PREFIX] > level:
                    target = m.waits[wait, TARGET]
                    state.asked[target] = min(state.asked[target], max(0, number_of(m, state.digits, task, wait)))


@helper()
def number_of(m: Machine, digits: IntArray, task: int, wait: int) -> int:
    """The number of the firing for which a task's next one waits; below 0 there is none."""
    first, number = m.tasks[task, LOOPS], 0
    for loop in range(first, first + m.waits[wait, PREFIX]):
        number = number * m.loops[loop, TRIPS] + digits[loop]
    return int(number * m.waits[wait, TIMES] + m.waits[wait, ADD])


@helper()
def _moves_alike(m: Machine, state: State, saved: Saved, level: int, task: int, turns: int, stride: float) -> bool:
    """Whether the ends of the last iterations and those that a task may still be asked for, its plans and what it left behind are the
    saved ones, later; and whether what decided when it starts moves along.
    """
    fired, before = state.tasks[task, FIRED], saved.tasks[level, task, FIRED]
    ring, size = m.tasks[task, RING], m.tasks[task, RING_SIZE]
    rate, unit = _rate(state, saved, level, task), m.tasks[task, UNIT]
    works = state.tasks[task, ACTIVE] > saved.tasks[level, task, ACTIVE]
    if unit >= 0 and works and rate != state.free[unit] - saved.free[level, unit]:
        return False
    remembered, kept = _is_remembered(m, task, level), min(SAVED, size)
    far = min(before, fired - state.asked[task])
    if far + (fired - before if remembered else 0) > (size if remembered else kept):
        return False
    for back in range(1, 1 + max(far, min(before, fired - before, size - (fired - before) if remembered else kept))):
        then = state.ring[ring + ((before - back) & (size - 1))]
        if not remembered:
            then = saved.ring[level, saved.rings[task] + ((before - back) & (kept - 1))]
        if state.ring[ring + ((fired - back) & (size - 1))] - then != rate:
            return False
    parts = m.tasks[task, PARTS]
    for back in range(1 + min(m.tasks[task, COPIES], _PAST - 1)):
        now, then = (fired // parts - back) & (_PAST - 1), (before // parts - back) & (_PAST - 1)
        plan, earlier = state.past[task, now], saved.past[level, task, then]
        if plan != earlier and plan - earlier != stride:
            return False
    for wait in range(m.tasks[task, WAITS], m.tasks[task, WAITS_END]):
        target, inside = m.waits[wait, TARGET], m.waits[wait, PREFIX] > level
        if inside and number_of(m, state.digits, task, wait) < 0:
            return False
        moves = inside and m.tasks[target, COMMON] > level
        other = _rate(state, saved, level, target) if moves else 0
        if works and (other > rate or (other != rate and state.bound[wait] >= saved.facts[level, STEP])):
            return False
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box, port = m.uses[use, BOX], m.uses[use, RESOURCE]
        if works and state.free[port] - saved.free[level, port] > rate:
            return False
        if parts > 1 and state.tiles[use] != saved.tiles[level, use]:
            return False
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            if m.boxes[box, DELTA] == 0 or m.dims[dim, MARKS] >= 0:
                continue
            for side in range(2):
                if state.known[dim, side] - saved.known[level, dim, side] != turns * _shift(m, dim, level):
                    return False
    return True


@helper()
def _tile(m: Machine, slot: int, level: int) -> int:
    """The tile of a common loop that cuts a slot; 0: it does not."""
    for entry in range(m.slots[slot, 1], m.slots[slot, 2]):
        if m.entries[entry, 0] == level:
            return int(m.entries[entry, 1])
    return 0


@helper()
def _shift(m: Machine, dim: int, level: int) -> int:
    """How far a dimension moves with each turn of a common loop."""
    found = 0
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        found += m.terms[term, 1] * _tile(m, m.terms[term, 0], level)
    return found


@helper()
def _cut(m: Machine, slot: int, digits: IntArray, first: int, level: int, digit: int) -> tuple[int, int]:
    """The interval of a slot in some turn of a common loop, all turns of loops inside it together: where it begins, and its size."""
    low, size = 0, m.slots[slot, 0]
    for at in range(m.slots[slot, 1], m.slots[slot, 2]):
        loop, tile = m.entries[at, 0], m.entries[at, 1]
        if loop > level:
            continue
        before = (digit if loop == level else digits[first + loop]) * tile if loop >= 0 else 0
        low += before
        size = min(size - before, tile)
    return low, size


@helper()
def _is_whole(m: Machine, slot: int, digits: IntArray, first: int, level: int, last: int) -> bool:
    """Whether a slot is as large in a turn of a common loop as in the first ones."""
    return _tile(m, slot, level) == 0 or _cut(m, slot, digits, first, level, last)[1] == _cut(m, slot, digits, first, level, 1)[1]


@helper()
def _is_regular(m: Machine, state: State, task: int, level: int, last: int) -> bool:
    """Whether all turns of a common loop, from the second to some last one, do the same with other coordinates."""
    first = m.tasks[task, LOOPS]
    for need in range(m.tasks[task, NEEDS], m.tasks[task, NEEDS_END]):
        for term in range(m.needs[need, 0], m.needs[need, 1]):
            if _tile(m, m.terms[term, 0], level) > 0:
                return False
    for point in range(m.tasks[task, POINTS], m.tasks[task, POINTS_END]):
        if not _is_whole(m, m.points[point, 0], state.digits, first, level, last):
            return False
    fold = m.tasks[task, FOLD]
    for point in range(m.folds[fold, DOWN], m.folds[fold, ACROSS_END]) if fold >= 0 else range(0):
        if not _is_whole(m, m.points[point, 0], state.digits, first, level, last):
            return False
    for again in range(m.tasks[task, AGAINS], m.tasks[task, AGAINS_END]):
        if not _is_whole(m, m.agains[again, 0], state.digits, first, level, last):
            return False
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box = m.uses[use, BOX]
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            if not _is_inside(m, state, dim, first, level, last):
                return False
    return True


@helper()
def _is_inside(m: Machine, state: State, dim: int, first: int, level: int, last: int) -> bool:
    """Whether a dimension keeps its size and stays inside its tensor in those turns."""
    moves = False
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        slot = m.terms[term, 0]
        moves = moves or _tile(m, slot, level) > 0
        if not _is_whole(m, slot, state.digits, first, level, last):
            return False
    if not moves:
        return True
    if m.dims[dim, DIVISOR] != 1 or m.dims[dim, MODULUS] != 0:
        return False
    for digit in (1, last):
        low = high = m.dims[dim, OFFSET]
        for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
            start, size = _cut(m, m.terms[term, 0], state.digits, first, level, digit)
            factor = m.terms[term, 1]
            low += min(factor * start, factor * (start + size - 1))
            high += max(factor * start, factor * (start + size - 1))
        if low < m.dims[dim, LOW] or high >= m.dims[dim, HIGH]:
            return False
    return True


@helper()
def _turns(m: Machine, state: State, saved: Saved, level: int, clock: int, key: float, period: int) -> int:
    """How many iterations go as the ones before, in whole periods: none of the last one, and nothing planned that is not in the loop."""
    many, stride = 1 << 60, m.strides[m.tasks[clock, LOOPS] + level]
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level:
            many = min(many, m.loops[m.tasks[task, LOOPS] + level, TRIPS] - 2 - _begun(m, state, task, level))
    if stride <= 0.0:
        return 0
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] <= level and state.keys[task] < _NO_KEY:
            many = min(many, int((state.keys[task] - key) / stride) - 1)
    rate = max(1, _rate(state, saved, level, clock))
    many = min(many // period, LONGEST // rate) * period
    if many <= 0:
        return 0
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level and not _is_regular(m, state, task, level, _begun(m, state, task, level) + many):
            return 0
    return int(many)


@helper()
def _begun(m: Machine, state: State, task: int, level: int) -> int:
    """The last turn of a common loop in which a task has fired."""
    trips = m.loops[m.tasks[task, LOOPS] + level, TRIPS]
    return int((state.tasks[task, FIRED] - 1) // beyond(m, task, level + 1) % trips)


@helper()
def _go_on(m: Machine, state: State, saved: Saved, level: int, clock: int, turns: int, period: int) -> None:
    """The state so many iterations later, of which each period takes as long as the last one."""
    times, stride = turns // period, turns * m.strides[m.tasks[clock, LOOPS] + level]
    for task in range(m.tasks.shape[0]):
        for cause in range(state.causes.shape[1]):
            state.causes[task, cause] += times * (state.causes[task, cause] - saved.causes[level, task, cause])
        if m.tasks[task, COMMON] > level:
            each = period * beyond(m, task, level + 1)
            _ends_on(m, state, task, each, times, _rate(state, saved, level, task))
            _plans_on(m, state, task, each, times, stride)
            _tiles_on(m, state, saved, level, task, times, turns)
            for place in range(state.tasks.shape[1]):
                state.tasks[task, place] += times * (state.tasks[task, place] - saved.tasks[level, task, place])
            state.digits[m.tasks[task, LOOPS] + level] += turns
    for resource in range(state.free.shape[0]):
        busy = state.spent[resource, BUSY] - saved.spent[level, resource, BUSY]
        if busy == 0:
            continue
        later = state.free[resource] - saved.free[level, resource]
        state.free[resource] += times * later
        state.spent[resource, BUSY] += times * busy
        for place in (LAST_END, OPEN, EXIT):
            state.spent[resource, place] += times * later if state.spent[resource, place] else 0
        served, more = state.served[resource], times * (state.served[resource] - saved.served[level, resource])
        if more == 0:
            continue
        for place in range(OUTSTANDING):
            at, before = (served + place) & (OUTSTANDING - 1), (saved.served[level, resource] + place) & (OUTSTANDING - 1)
            state.scratch[place] = state.starts[resource, at] + times * (state.starts[resource, at] - saved.starts[level, resource, before])
        for place in range(OUTSTANDING):
            state.starts[resource, (served + more + place) & (OUTSTANDING - 1)] = state.scratch[place]
        state.served[resource] = served + more


@helper()
def _ends_on(m: Machine, state: State, task: int, each: int, times: int, moved: int) -> None:
    """Ends of firings after the last one: those of a period (`each` firings) before, later."""
    ring, size, fired = m.tasks[task, RING], m.tasks[task, RING_SIZE], state.tasks[task, FIRED]
    for place in range(size):
        state.scratch[place] = state.ring[ring + place]
    for number in range(max(fired, fired + times * each - size), fired + times * each):
        periods = (number - fired) // each + 1
        state.ring[ring + (number & (size - 1))] = state.scratch[(number - periods * each) & (size - 1)] + periods * moved


@helper()
def _plans_on(m: Machine, state: State, task: int, each: int, times: int, stride: float) -> None:
    """The same for plans, which are known for the next firing too."""
    first, each = state.tasks[task, FIRED] // m.tasks[task, PARTS] + 1, each // m.tasks[task, PARTS]
    plans = (state.past[task, 0], state.past[task, 1], state.past[task, 2], state.past[task, 3],
             state.past[task, 4], state.past[task, 5], state.past[task, 6], state.past[task, 7])  # fmt: skip
    for number in range(max(first, first + times * each - _PAST), first + times * each):
        periods = (number - first) // each + 1
        plan = plans[(number - periods * each) & (_PAST - 1)]
        state.past[task, number & (_PAST - 1)] = plan + periods * (stride / times) if plan > NEVER else plan
    state.keys[task] += stride


@helper()
def _tiles_on(m: Machine, state: State, saved: Saved, level: int, task: int, times: int, turns: int) -> None:
    """What the last firing left behind, moved along."""
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box = m.uses[use, BOX]
        if m.boxes[box, DELTA] == 0:
            continue
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            count, shift = state.known[dim, 2], turns * _shift(m, dim, level)
            for side in (0, 1, 3, 4):
                state.known[dim, side] += shift
            state.known[dim, 2] = count + times * (count - saved.known[level, dim, 2])
            if m.dims[dim, MARKS] >= 0:
                _marks_on(m, state, dim, count, shift)


@helper()
def _marks_on(m: Machine, state: State, dim: int, count: int, shift: int) -> None:
    """Marks of the last firing, moved along; the furthest first, so that none is moved twice."""
    first, high = m.dims[dim, MARKS], m.dims[dim, HIGH]
    for step in range(high):
        value = high - 1 - step if shift >= 0 else step
        if state.marks[first + 2 * value + 1] == count and 0 <= value + shift < high:
            state.marks[first + 2 * (value + shift) + 1] = state.known[dim, 2]
