"""The event simulation: tasks fire in their planned order, each as soon as what it waits for has ended and its resources are free.

Times are ticks. The order does not depend on how fast memories are, so that a faster one never makes anything later.
Source: docs/simulator.md, "Events".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import helper, njit

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

COMPUTE, LOAD, DRAIN, BARRIER = range(4)
ALWAYS, FIRST, AGAIN, LAST = range(4)
DONE, TOO_SHORT, STUCK = range(3)
NEVER = -1.0e300
OUTSTANDING = 8  # transfers that a port may be the inner end of at a time

# columns of `tasks`
KIND, LOOPS, LOOPS_END, USES, USES_END, WAITS, WAITS_END, AGAINS, AGAINS_END = range(9)
NEEDS, NEEDS_END, POINTS, POINTS_END, UNIT, LANES, ISSUE, LATENCY, COPIES, RING, RING_SIZE, TIE, COUNT, WITHIN = range(9, 23)
# columns of `waits`, `uses`, `boxes`, `dims`, `loops`
TARGET, PREFIX, TIMES, ADD, GUARD, AHEAD = range(6)
RESOURCE, TICKS, BOX, RULE = range(4)
DIMS, DIMS_END, FACTOR, DELTA = range(4)
TERMS, TERMS_END, OFFSET, DIVISOR, MODULUS, LOW, HIGH, MARKS = range(8)
TRIPS, TURNS = range(2)
# columns of `spent`
BUSY, LAST_END = range(2)


class Machine(NamedTuple):
    """Tasks as arrays; see `arrays.py`, which makes them.

    strides float64[loops]; plans float64[tasks, 3]: offset, span, and from the use of what it brings back to when that is there. All
    others are rows of int64: of what the columns above name, or slots: (extent, first entry, end); entries: (loop or -1, tile);
    terms: (slot, coefficient); needs: (first term, end, bound); points: (slot, residual tile); agains: (slot).
    """

    tasks: IntArray
    plans: FloatArray
    loops: IntArray
    strides: FloatArray
    uses: IntArray
    waits: IntArray
    boxes: IntArray
    dims: IntArray
    terms: IntArray
    slots: IntArray
    entries: IntArray
    needs: IntArray
    points: IntArray
    agains: IntArray
    resources: int
    marks: int


@helper(inline=True)
def _interval(slots: IntArray, entries: IntArray, slot: int, digits: IntArray, first: int) -> tuple[int, int]:
    low, size = 0, slots[slot, 0]
    for at in range(slots[slot, 1], slots[slot, 2]):
        tile = entries[at, 1]
        before = digits[first + entries[at, 0]] * tile if entries[at, 0] >= 0 else 0
        low += before
        size = min(size - before, tile)
    return low, low + size


@helper(inline=True)
def _words(m: Machine, box: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> int:
    """Words of a box at a firing.

    known: int64[dims, 5], the interval of each dimension at the last firing that touched something, how often one has, and the interval at
    this one. marks: of every coordinate of the dimensions that are not plain, the last such firing that touched it.
    """
    total, shared = m.boxes[box, FACTOR], m.boxes[box, FACTOR]
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        low, high, size, both = _side(m, dim, digits, first, known, marks)
        if size == 0:
            return 0
        total *= size
        shared *= both
        known[dim, 3], known[dim, 4] = low, high
    if m.boxes[box, DELTA] == 0:
        return int(total)
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        known[dim, 0], known[dim, 1] = known[dim, 3], known[dim, 4]
        known[dim, 2] += 1
        if m.dims[dim, MARKS] >= 0:
            _mark(m, dim, digits, first, known[dim, 2], marks)
    return int(total - shared)


@helper(inline=True)
def _side(m: Machine, dim: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> tuple[int, int, int, int]:
    """Of one dimension: the coordinates from the least to the greatest, how many are touched, and how many of these were before."""
    if m.dims[dim, MARKS] >= 0:
        return _listed(m, dim, digits, first, known, marks)
    low = high = m.dims[dim, OFFSET]
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        start, end = _interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        if end <= start:
            return 0, 0, 0, 0
        low, high = low + start, high + end - 1  # of a plain dimension the coefficient is 1
    low, high = max(low, m.dims[dim, LOW]), min(high + 1, m.dims[dim, HIGH])
    if high <= low:
        return 0, 0, 0, 0
    both = max(0, min(high, known[dim, 1]) - max(low, known[dim, 0])) if known[dim, 2] > 0 else 0
    return low, high, high - low, both


@helper()
def _listed(m: Machine, dim: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> tuple[int, int, int, int]:
    """The same for a dimension that is not plain, coordinate by coordinate; leaves a mark of -1 - (firings so far) on each."""
    stamp, size, both, at = -1 - known[dim, 2], 0, 0, m.dims[dim, MARKS]
    count = _points(m, dim, digits, first)
    for point in range(count):
        value = _value(m, dim, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH] and marks[at + 2 * value] != stamp:
            marks[at + 2 * value] = stamp
            size += 1
            both += known[dim, 2] > 0 and marks[at + 2 * value + 1] == known[dim, 2]
    for point in range(count):  # so that they can be counted again
        value = _value(m, dim, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0
    return 0, 0, size, both


@helper()
def _mark(m: Machine, dim: int, digits: IntArray, first: int, stamp: int, marks: IntArray) -> None:
    count = _points(m, dim, digits, first)
    for point in range(count):
        value = _value(m, dim, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[m.dims[dim, MARKS] + 2 * value + 1] = stamp


@helper(inline=True)
def _points(m: Machine, dim: int, digits: IntArray, first: int) -> int:
    """How many points of a tile a dimension goes by."""
    count = 1
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        start, end = _interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        count *= max(0, end - start)
    return count


@helper(inline=True)
def _value(m: Machine, dim: int, digits: IntArray, first: int, point: int) -> int:
    """The coordinate that the point with a number has."""
    value = m.dims[dim, OFFSET]
    for term in range(m.dims[dim, TERMS_END] - 1, m.dims[dim, TERMS] - 1, -1):
        start, end = _interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        value += m.terms[term, 1] * (start + point % (end - start))
        point //= end - start
    value //= m.dims[dim, DIVISOR]
    return int(value % m.dims[dim, MODULUS]) if m.dims[dim, MODULUS] > 0 else int(value)


@helper(inline=True)
def _active(m: Machine, task: int, digits: IntArray, first: int) -> bool:
    for loop in range(m.tasks[task, LOOPS], m.tasks[task, LOOPS_END]):
        turns, digit = m.loops[loop, TURNS], digits[loop]
        if (turns == 1 and digit > 0) or (turns == 2 and digit < m.loops[loop, TRIPS] - 1):
            return False
    for point in range(m.tasks[task, POINTS], m.tasks[task, POINTS_END]):
        low, high = _interval(m.slots, m.entries, m.points[point, 0], digits, first)
        if high <= low:
            return False
    for need in range(m.tasks[task, NEEDS], m.tasks[task, NEEDS_END]):
        least = 0
        for term in range(m.needs[need, 0], m.needs[need, 1]):
            low, high = _interval(m.slots, m.entries, m.terms[term, 0], digits, first)
            if high <= low:
                return False
            factor = m.terms[term, 1]
            least += min(factor * low, factor * (high - 1))
        if least > m.needs[need, 2]:
            return False
    return True


@helper(inline=True)
def _issues(m: Machine, task: int, digits: IntArray, first: int) -> int:
    """Issues of a firing: points shared out over lanes, residual tile by residual tile."""
    begin, end = m.tasks[task, POINTS], m.tasks[task, POINTS_END]
    lanes = m.tasks[task, LANES]
    if lanes == 1:
        total = 1
        for point in range(begin, end):
            low, high = _interval(m.slots, m.entries, m.points[point, 0], digits, first)
            total *= high - low
        return total
    total = 0
    for choice in range(1 << (end - begin)):  # of each rank, whole residual tiles or the rest
        many, points = 1, 1
        for point in range(begin, end):
            low, high = _interval(m.slots, m.entries, m.points[point, 0], digits, first)
            tile = m.points[point, 1]
            if choice >> (point - begin) & 1:
                points *= (high - low) % tile
            else:
                many *= (high - low) // tile
                points *= min(tile, high - low)
                if high - low < tile:
                    many = 0
            if points == 0 or many == 0:
                break
        total += many * (-(-points // lanes)) if points and many else 0
    return total


@helper(inline=True)
def _turn(m: Machine, task: int, digits: IntArray) -> bool:
    """To the next firing; whether there is one."""
    for loop in range(m.tasks[task, LOOPS_END] - 1, m.tasks[task, LOOPS] - 1, -1):
        digits[loop] += 1
        if digits[loop] < m.loops[loop, TRIPS]:
            return True
        digits[loop] = 0
    return False


@helper(inline=True)
def _plan(m: Machine, task: int, digits: IntArray) -> float:
    key = m.plans[task, 0]
    for loop in range(m.tasks[task, LOOPS], m.tasks[task, LOOPS_END]):
        key += digits[loop] * m.strides[loop]
    return float(key)


@njit(error_model="numpy")
def run(m: Machine, ring: IntArray, traced: IntArray) -> Any:
    """Fire every task to its end.

    ring: int64[sum of ring sizes], room for the last ends of every task. traced: int64[most, 4], filled with (task, number, start, end) of
    the first firings that take time. Returns: how it went (DONE; TOO_SHORT: a ring was; STUCK: a task waits for a firing that is planned
    after its own), the task or the wait, ticks until the last end, busy ticks and last end by resource int64[resources, 2], ticks in which
    units stood still by task and cause int64[tasks, waits + resources + 1] (the last: before their first work), ticks of work by task,
    firings that did something by task, and how many were traced.
    """
    count = m.tasks.shape[0]
    digits = np.zeros(m.loops.shape[0], np.int64)
    fired, active, worked = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    keys, latest = np.empty(count, np.float64), np.zeros(count, np.int64)
    past = np.full((count, 8), NEVER)
    free, spent = np.zeros(m.resources, np.int64), np.zeros((m.resources, 2), np.int64)
    causes = np.zeros((count, m.waits.shape[0] + m.resources + 1), np.int64)
    known = np.zeros((max(1, m.dims.shape[0]), 5), np.int64)
    marks = np.zeros(m.marks, np.int64)
    asked = np.zeros(m.resources, np.int64)
    starts, served = np.zeros((m.resources, OUTSTANDING), np.int64), np.zeros(m.resources, np.int64)
    for task in range(count):
        keys[task] = _first_key(m, task, digits, past)
    total, seen, idle = 0, 0, 0  # idle: tasks in a row whose turn had not come
    while True:
        task, least = -1, 1.0e301
        for each in range(count):
            if keys[each] < least or (keys[each] == least and task >= 0 and m.tasks[each, TIE] < m.tasks[task, TIE]):
                task, least = each, keys[each]
        if task < 0 or least >= 1.0e300:
            break
        row = m.tasks[task]
        first = row[LOOPS]
        if _active(m, task, digits, first):
            start, cause = np.int64(0), m.waits.shape[0] + m.resources
            for wait in range(row[WAITS], row[WAITS_END]):
                if m.waits[wait, GUARD] >= 0 and digits[first + m.waits[wait, GUARD]] == 0:
                    continue
                number = 0
                for loop in range(first, first + m.waits[wait, PREFIX]):
                    number = number * m.loops[loop, TRIPS] + digits[loop]
                number = number * m.waits[wait, TIMES] + m.waits[wait, ADD]
                target = m.waits[wait, TARGET]
                if number < 0:
                    continue
                number = min(number, m.tasks[target, COUNT] - 1)
                if number >= fired[target]:  # planned too early: its turn comes after that of what it waits for
                    if keys[target] >= 1.0e300 or idle > count:
                        return STUCK, wait, total, spent, causes, worked, active, seen
                    keys[task] = np.nextafter(keys[target], 1.0e301)
                    idle += 1
                    break
                size = m.tasks[target, RING_SIZE]
                if number < fired[target] - size:
                    return TOO_SHORT, target, total, spent, causes, worked, active, seen
                end = ring[m.tasks[target, RING] + (number & (size - 1))] - m.waits[wait, AHEAD]
                if end > start:
                    start, cause = end, wait
            else:
                idle = 0
            if idle > 0:
                continue
            opens, closes = _seconds(m, task, digits, first)
            for use in range(row[USES], row[USES_END]):
                rule = m.uses[use, RULE]
                words = _words(m, m.uses[use, BOX], digits, first, known, marks)
                if (rule == FIRST and not opens) or (rule == AGAIN and opens) or (rule == LAST and not closes):
                    continue
                asked[m.uses[use, RESOURCE]] += words * m.uses[use, TICKS]
            moves = row[KIND] == COMPUTE or row[KIND] == BARRIER
            unit = row[UNIT]
            if unit >= 0:
                asked[unit] = _issues(m, task, digits, first) * row[ISSUE]
                if free[unit] > start:
                    start, cause = free[unit], m.waits.shape[0] + unit
            finish, late = start, -1
            for resource in range(m.resources):
                if asked[resource] == 0 or resource == unit:
                    continue
                moves = True
                held = start  # ports serve requests in their order
                if row[KIND] != COMPUTE and resource != m.uses[row[USES], RESOURCE]:
                    # but the inner end of a slow transfer leaves others room, as long as it does not hold too many
                    held = starts[resource, served[resource] & (OUTSTANDING - 1)]
                free[resource] = max(free[resource], held) + asked[resource]
                starts[resource, served[resource] & (OUTSTANDING - 1)] = start
                served[resource] += 1
                spent[resource, BUSY] += asked[resource]
                finish = max(finish, start + asked[resource])
                if free[resource] > finish:
                    finish, late = free[resource], resource
                spent[resource, LAST_END] = max(spent[resource, LAST_END], finish)
            if moves:
                if unit >= 0:  # how long the unit stood still, and for what
                    finish = max(finish, start + asked[unit])
                    begun = spent[unit, BUSY] > 0
                    causes[task, cause if begun else m.waits.shape[0] + m.resources] += start - free[unit]
                    if finish > start + asked[unit]:
                        causes[task, m.waits.shape[0] + (late if late >= 0 else m.resources)] += finish - start - asked[unit]
                    free[unit] = finish
                    spent[unit, BUSY] += asked[unit]
                    worked[task] += asked[unit]
                    spent[unit, LAST_END] = finish
                active[task] += 1
                latest[task] = max(latest[task], finish + row[LATENCY])
                total = max(total, latest[task])
                if seen < traced.shape[0] and finish > start:
                    served_from = start if unit >= 0 else max(start, finish - asked.max())  # a transfer may have waited for its port
                    traced[seen, 0], traced[seen, 1], traced[seen, 2], traced[seen, 3] = task, fired[task], served_from, finish
                    seen += 1
            asked[:] = 0
        ring[row[RING] + (fired[task] & (row[RING_SIZE] - 1))] = latest[task]
        fired[task] += 1
        if _turn(m, task, digits):
            keys[task] = _next_key(m, task, digits, past, fired[task])
        else:
            keys[task] = 1.0e300
    return DONE, 0, total, spent, causes, worked, active, seen


@helper(inline=True)
def _seconds(m: Machine, task: int, digits: IntArray, first: int) -> tuple[bool, bool]:
    """Whether a firing is the first on its tile of the result, and whether it is the last."""
    begun, ended = True, True
    for at in range(m.tasks[task, AGAINS], m.tasks[task, AGAINS_END]):
        slot = m.agains[at, 0]
        low, high = _interval(m.slots, m.entries, slot, digits, first)
        begun, ended = begun and low == 0, ended and high >= m.slots[slot, 0]
    return begun, ended


@helper(inline=True)
def _first_key(m: Machine, task: int, digits: IntArray, past: FloatArray) -> float:
    own = _plan(m, task, digits)
    if m.tasks[task, COPIES] == 0:
        return own
    past[task, 0] = own
    return float(own + m.plans[task, 2])


@helper(inline=True)
def _next_key(m: Machine, task: int, digits: IntArray, past: FloatArray, number: int) -> float:
    """When a firing is planned: a load once the tile before it is in use and the one whose place it takes is not."""
    copies = m.tasks[task, COPIES]
    own = _plan(m, task, digits)
    if copies == 0:
        return own
    if copies > 1 and m.tasks[task, WITHIN] >= 0:  # it comes out of a keep that has one place: not before that is filled again
        fresh = True
        for loop in range(m.tasks[task, LOOPS] + m.tasks[task, WITHIN], m.tasks[task, LOOPS_END]):
            fresh = fresh and digits[loop] == 0
        copies = 1 if fresh else copies
    key = past[task, (number - 1) & 7] if copies > 1 else NEVER
    held = min(copies, 8)
    if number >= held:
        key = max(key, past[task, (number - held) & 7] + m.plans[task, 1])
    past[task, number & 7] = own
    return float(max(key, own + m.plans[task, 2]))
