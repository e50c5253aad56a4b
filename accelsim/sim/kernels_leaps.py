"""Leaps of the event simulation: iterations of a common loop that go exactly as the ones before are counted instead of fired.

Times are sums and maxima of others. If the state at the beginning of an iteration is that at the beginning of an earlier one, all of it
later by the same time, and nothing in between went by something that does not move along, then what follows is what followed then.
Transfers that nothing of this waits for may move on by less: each task has a *rate*, which is no smaller than that of all it waits for,
and the same as that of what decided when it starts. Source: docs/simulator.md, "Leaps".
"""

from __future__ import annotations

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    APARTS,
    BOX,
    BUSY,
    COMMON,
    DELTA,
    DIMS,
    DIMS_END,
    EXIT,
    FIRED,
    HIGH,
    LAST_END,
    LEAVES,
    LOOPS,
    MARKS,
    OPEN,
    PARTS,
    RING,
    RING_SIZE,
    ROOM,
    TRIPS,
    UNEVEN,
    USES,
    USES_END,
    IntArray,
    Machine,
    row_of,
)
from accelsim.sim.kernels_event_state import (
    FEWEST,
    ITERATION,
    LONGEST,
    NEVER,
    NO_KEY,
    OUTER,
    OUTSTANDING,
    PAST,
    STEP,
    VALID,
    WINDOW,
    Saved,
    State,
    beyond,
    rate_of,
    save,
    shift_of,
)
from accelsim.sim.kernels_likeness import (
    alike,
    is_regular,
)


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
        if facts[level, VALID] == 1 and alike(m, state, saved, level, clock):
            turns = _turns(m, state, saved, level, clock, key, since)
            if turns > 0:
                _go_on(m, state, saved, level, clock, turns, since)
                for each in range(level, facts.shape[0]):
                    facts[each, VALID], facts[each, WINDOW] = 0, 1
                return True
        if (facts[level, VALID] == 0 or since >= facts[level, WINDOW]) and _is_past_first(m, state, level):
            facts[level, WINDOW] = 1 if facts[level, VALID] == 0 else 2 * facts[level, WINDOW]
            facts[level, VALID], facts[level, ITERATION], facts[level, STEP] = 1, at, step
            save(m, state, saved, level)
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
def _turns(m: Machine, state: State, saved: Saved, level: int, clock: int, key: float, period: int) -> int:
    """How many iterations go as the ones before, in whole periods: none of the last one, and nothing planned that is not in the loop."""
    many, stride = 1 << 60, m.strides[m.tasks[clock, LOOPS] + level]
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level:
            many = min(many, m.loops[m.tasks[task, LOOPS] + level, TRIPS] - 2 - _begun(m, state, task, level) - _turns_ahead(m, task))
    if stride <= 0.0:
        return 0
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] <= level and state.keys[task] < NO_KEY:
            many = min(many, int((state.keys[task] - key) / stride) - 1)
    rate = max(1, rate_of(state, saved, level, clock))
    many = min(many // period, LONGEST // rate) * period
    if many <= 0:
        return 0
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level:
            last = _begun(m, state, task, level) + many + _turns_ahead(m, task)
            if not is_regular(m, state, task, level, last):
                return 0
    return int(many)


@helper()
def _turns_ahead(m: Machine, task: int) -> int:
    """Turns of a loop that a firing looks ahead: 1 where results stay until the next one, else 0."""
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        if m.boxes[m.uses[use, BOX], LEAVES] >= 0:
            return 1
    return 0


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
            _ends_on(m, state, task, each, times, rate_of(state, saved, level, task), state.ring)
            if m.banks > 0:
                _ends_on(m, state, task, each, times, 0, state.lost)
            _plans_on(m, state, task, each, times, stride)
            _tiles_on(m, state, saved, level, task, times, turns)
            for place in range(state.tasks.shape[1]):
                state.tasks[task, place] += times * (state.tasks[task, place] - saved.tasks[level, task, place])
            state.digits[m.tasks[task, LOOPS] + level] += turns
    for resource in range(state.free.shape[0]):
        busy = state.spent[resource, BUSY] - saved.spent[level, resource, BUSY]
        later = state.free[resource] - saved.free[level, resource]
        if busy == 0 and later == 0:  # a unit on which nothing takes time is free later, though it was never busy
            continue
        state.free[resource] += times * later
        state.spent[resource, BUSY] += times * busy
        state.spent[resource, UNEVEN] += times * (state.spent[resource, UNEVEN] - saved.spent[level, resource, UNEVEN])
        if m.banks > 0:
            state.even[resource] += times * later
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
def _ends_on(m: Machine, state: State, task: int, each: int, times: int, moved: int, ends: IntArray) -> None:
    """Ends of firings after the last one, or what of them is due to banks: those of a period (`each` firings) before, later."""
    ring, size, fired = m.tasks[task, RING], m.tasks[task, RING_SIZE], state.tasks[task, FIRED]
    for place in range(size):
        state.scratch[place] = ends[ring + place]
    for number in range(max(fired, fired + times * each - size), fired + times * each):
        periods = (number - fired) // each + 1
        ends[ring + (number & (size - 1))] = state.scratch[(number - periods * each) & (size - 1)] + periods * moved


@helper()
def _plans_on(m: Machine, state: State, task: int, each: int, times: int, stride: float) -> None:
    """The same for plans, which are known for the next firing too."""
    first, each = state.tasks[task, FIRED] // m.tasks[task, PARTS] + 1, each // m.tasks[task, PARTS]
    plans = (state.past[task, 0], state.past[task, 1], state.past[task, 2], state.past[task, 3],
             state.past[task, 4], state.past[task, 5], state.past[task, 6], state.past[task, 7])  # fmt: skip
    for number in range(max(first, first + times * each - PAST), first + times * each):
        periods = (number - first) // each + 1
        plan = plans[(number - periods * each) & (PAST - 1)]
        state.past[task, number & (PAST - 1)] = plan + periods * (stride / times) if plan > NEVER else plan
    state.keys[task] += stride


@helper()
def _tiles_on(m: Machine, state: State, saved: Saved, level: int, task: int, times: int, turns: int) -> None:
    """What the last firing left behind, moved along."""
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box = m.uses[use, BOX]
        if m.boxes[box, DELTA] == 0 or m.boxes[box, DIMS] == m.boxes[box, DIMS_END]:
            continue
        since = saved.known[level, m.boxes[box, DIMS], 2]
        later = times * (state.known[m.boxes[box, DIMS], 2] - since)
        if m.boxes[box, ROOM] >= 0:
            _copies_on(m, state, box, level, turns, since, later)
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            for side in (0, 1, 3, 4):
                state.known[dim, side] += turns * shift_of(m, dim, level)
            state.known[dim, 2] += later


@helper()
def _copies_on(m: Machine, state: State, box: int, level: int, turns: int, since: int, later: int) -> None:
    """The same for copies with tiles of their own; one that had no tile in the last period still holds what it held."""
    dims, end, marks = m.boxes[box, DIMS], m.boxes[box, DIMS_END], state.marks
    for copy in range(m.boxes[box, APARTS]):
        at = m.boxes[box, ROOM] + row_of(m, box) * copy
        last = marks[at]
        if last <= since:
            continue
        marks[at] = last + later
        for dim in range(dims, end):
            shift, place = turns * shift_of(m, dim, level), at + 1 + 2 * (dim - dims)
            marks[place] += shift
            marks[place + 1] += shift
            high, plane = m.dims[dim, HIGH], m.dims[dim, MARKS] + 2 * m.dims[dim, HIGH] * copy
            for step in range(high if m.dims[dim, MARKS] >= 0 else 0):
                value = high - 1 - step if shift >= 0 else step  # the furthest first, so that none is overwritten before it has moved
                if marks[plane + 2 * value + 1] == last and 0 <= value + shift < high:
                    marks[plane + 2 * (value + shift) + 1] = last + later
