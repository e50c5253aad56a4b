"""Tasks as arrays, and what one firing works on: intervals, coordinates, points of its work, and whether it does anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import helper

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

COMPUTE, LOAD, DRAIN, BARRIER = range(4)
ALWAYS, FIRST, AGAIN, LAST = range(4)

# columns of `tasks`
KIND, LOOPS, LOOPS_END, USES, USES_END, WAITS, WAITS_END, AGAINS, AGAINS_END = range(9)
NEEDS, NEEDS_END, POINTS, POINTS_END, UNIT, LANES, ISSUE, LATENCY, COPIES, RING, RING_SIZE, TIE, COUNT = range(9, 22)
WITHIN, COMMON, PARTS, FOLD, SPLIT, FINE = range(22, 28)
# columns of `waits`, `uses`, `boxes`, `dims`, `loops`
TARGET, PREFIX, TIMES, ADD, GUARD, AHEAD, STAYS, LESS = range(8)
RESOURCE, TICKS, BOX, RULE, SHARE, WHOLES, REMAINS, BANKS, BEGINS, ENDS, REPEATS, REPEATS_END, BASE = range(13)
DIMS, DIMS_END, ALIKE, DELTA, WANTED, WANTED_END, FRESH, FRESH_END, APARTS, ROOM, LEVELS, LEVELS_END, SERVES, LEAVES = range(14)
TERMS, TERMS_END, OFFSET, DIVISOR, MODULUS, LOW, HIGH, MARKS, STEP, BENDS, BENDS_END, MOMENTS = range(12)
COUNTED, MET = -2, -3  # in place of marks: points of the dimension count, not coordinates; words that copies want at a time, see `_met`
TRIPS, TURNS = range(2)
CUT, CUT_END = 3, 4  # of `terms`
APART, MANY, AT_ONCE = 2, 3, 4  # of `points`
# columns of `slots`
EXTENT, CUTS, OWN, OWN_END, DEMAND, SOURCE, FACTOR, SHIFT, WIDTH = range(9)
WHOLE, ALL, REST = range(3)  # values of DEMAND: no window, all that it demands, or what earlier turns did not make
# columns of `folds`
OPERAND, SHADOW, EDGE, FULL, ROWS, COLUMNS, DOWN, DOWN_END, ACROSS, ACROSS_END, CYCLE = range(11)
# columns of a state's `tasks` and `spent`
FIRED, ACTIVE, WORKED, LATEST, LOST = range(5)
BUSY, LAST_END, OPEN, EXIT, UNEVEN = range(5)


class Machine(NamedTuple):
    """Tasks as arrays; see `arrays.py`, which makes them.

    strides float64[loops]; plans float64[tasks, 4]: offset, span, from the use of what it brings back to when that is there, and of what
    all are multiples. All others are rows of int64: of what the columns above name, or slots: (extent, first entry of a window, first of
    its own, end, kind of window, extent of the consumer's rank, factor, offset, width); entries: (loop or -1, tile); terms: (slot,
    coefficient, words from one value to the next in a memory of banks, the first point by which copies share it out, end); needs: (first
    term, end, bound); points: (slot, residual tile, and of what copies share out copies from one part to the next, parts at most, and
    whether copies that differ in them alone and want the same are served at once); agains: (slot); folds: what an array does with a tile;
    bends: (coefficient, offset, divisor, modulus, words) of an index by // or %; repeats: (copies, words from one to the next). banks: how
    many a memory has at most; 0: none has several.
    timed: the resource whose servings take as long as `run` is told, -1: none does.
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
    folds: IntArray
    bends: IntArray
    repeats: IntArray
    resources: int
    marks: int
    timed: int
    banks: int


@helper(inline=True)
def interval(slots: IntArray, entries: IntArray, slot: int, digits: IntArray, first: int) -> tuple[int, int]:
    low, size = 0, slots[slot, EXTENT]
    if slots[slot, DEMAND] != WHOLE:
        low, size = _window(slots, entries, slot, digits, first)
    for at in range(slots[slot, OWN], slots[slot, OWN_END]):
        tile = entries[at, 1]
        before = digits[first + entries[at, 0]] * tile if entries[at, 0] >= 0 else 0
        low += before
        size = min(size - before, tile)
    return low, low + size


@helper()
def _window(slots: IntArray, entries: IntArray, slot: int, digits: IntArray, first: int) -> tuple[int, int]:
    """Where what a turn of loops over a consumer's rank demands begins, and its size."""
    low, size = 0, slots[slot, SOURCE]
    for at in range(slots[slot, CUTS], slots[slot, OWN]):
        before = digits[first + entries[at, 0]] * entries[at, 1] if entries[at, 0] >= 0 else 0
        low += before
        size = min(size - before, entries[at, 1])
    return demanded(slots, slot, low, size)


@helper()
def demanded(slots: IntArray, slot: int, low: int, size: int) -> tuple[int, int]:
    """What an interval of a consumer's rank demands of a slot: where that begins, and its size."""
    factor, offset, extent = slots[slot, FACTOR], slots[slot, SHIFT], slots[slot, EXTENT]
    if size <= 0:
        return 0, 0
    begin, end = max(0, factor * low + offset), min(extent, factor * (low + size - 1) + offset + slots[slot, WIDTH])
    if slots[slot, DEMAND] == REST and low > 0:
        begin = max(begin, min(extent, factor * (low - 1) + offset + slots[slot, WIDTH]))
    return begin, max(0, end - begin)


@helper(inline=True)
def in_use(m: Machine, begin: int, end: int, digits: IntArray, first: int) -> int:
    """How many copies along an axis have a part of a firing."""
    count = 1
    for point in range(begin, end):
        low, high = interval(m.slots, m.entries, m.points[point, 0], digits, first)
        count *= -(-(high - low) // m.points[point, 1])
    return count


@helper(inline=True)
def bounds(m: Machine, dim: int, copy: int, digits: IntArray, first: int) -> tuple[int, int]:
    """Where the coordinates of a copy (-1: of all) begin and end along a dimension that takes every value; (0, 0) along others."""
    if m.dims[dim, MARKS] != -1:
        return 0, 0
    low = high = m.dims[dim, OFFSET]
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        start, end = own(m, term, copy, digits, first)
        if end <= start:
            return 0, 0
        low, high = low + start, high + end - 1
    low, high = max(low, m.dims[dim, LOW]), min(high + 1, m.dims[dim, HIGH])
    return (low, high) if low < high else (0, 0)


@helper(inline=True)
def is_afresh(m: Machine, box: int, digits: IntArray) -> bool:
    """Whether nothing of a box is there: a sequential fuse above it begins anew."""
    if m.boxes[box, FRESH] < 0:
        return False
    for loop in range(m.boxes[box, FRESH], m.boxes[box, FRESH_END]):  # noqa: SIM110
        if digits[loop] > 0:
            return False
    return True


@helper(inline=True)
def row_of(m: Machine, box: int) -> int:
    """The size of the row in `marks` of a copy that holds a tile of its own, see `kernels_words`."""
    return int(3 + 2 * (m.boxes[box, DIMS_END] - m.boxes[box, DIMS]))


@helper(inline=True)
def own(m: Machine, term: int, copy: int, digits: IntArray, first: int) -> tuple[int, int]:
    """The interval of a term's rank in one copy (-1: in all of them); it may end before it begins."""
    start, end = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
    for point in range(m.terms[term, CUT], m.terms[term, CUT_END]) if copy >= 0 else range(0):
        start += copy // m.points[point, APART] % m.points[point, MANY] * m.points[point, 1]
        end = min(start + m.points[point, 1], end)
    return start, end


@helper(inline=True)
def points_of(m: Machine, dim: int, copy: int, digits: IntArray, first: int) -> int:
    """How many points of a copy's tile a dimension goes by."""
    count = 1
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        start, end = own(m, term, copy, digits, first)
        count *= max(0, end - start)
    return count


@helper(inline=True)
def value_of(m: Machine, dim: int, copy: int, digits: IntArray, first: int, point: int) -> int:
    """The coordinate that the point with a number has in a copy's tile."""
    value = m.dims[dim, OFFSET]
    for term in range(m.dims[dim, TERMS_END] - 1, m.dims[dim, TERMS] - 1, -1):
        start, end = own(m, term, copy, digits, first)
        value += m.terms[term, 1] * (start + point % (end - start))
        point //= end - start
    value //= m.dims[dim, DIVISOR]
    return int(value % m.dims[dim, MODULUS]) if m.dims[dim, MODULUS] > 0 else int(value)


@helper(inline=True)
def active(m: Machine, task: int, digits: IntArray, first: int) -> bool:
    for loop in range(m.tasks[task, LOOPS], m.tasks[task, LOOPS_END]):
        turns, digit = m.loops[loop, TURNS], digits[loop]
        if (turns == 1 and digit > 0) or (turns == 2 and digit < m.loops[loop, TRIPS] - 1):
            return False
    for point in range(m.tasks[task, POINTS], m.tasks[task, POINTS_END]):
        low, high = interval(m.slots, m.entries, m.points[point, 0], digits, first)
        if high <= low:
            return False
    for need in range(m.tasks[task, NEEDS], m.tasks[task, NEEDS_END]):
        least = 0
        for term in range(m.needs[need, 0], m.needs[need, 1]):
            low, high = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
            if high <= low:
                return False
            factor = m.terms[term, 1]
            least += min(factor * low, factor * (high - 1))
        if least > m.needs[need, 2]:
            return False
    return True


@helper(inline=True)
def issues(m: Machine, task: int, digits: IntArray, first: int) -> int:
    """Issues of a firing: points shared out over lanes, residual tile by residual tile."""
    begin, end = m.tasks[task, POINTS], m.tasks[task, POINTS_END]
    lanes = m.tasks[task, LANES]
    if lanes == 1:
        total = 1
        for point in range(begin, end):
            low, high = interval(m.slots, m.entries, m.points[point, 0], digits, first)
            total *= high - low
        return total
    total = 0
    for choice in range(1 << (end - begin)):  # of each rank, whole residual tiles or the rest
        many, points = 1, 1
        for point in range(begin, end):
            low, high = interval(m.slots, m.entries, m.points[point, 0], digits, first)
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
def opens_and_closes(m: Machine, task: int, digits: IntArray, first: int) -> tuple[bool, bool]:
    """Whether a firing is the first on its tile of the result that does something, and whether it is the last."""
    begun, ended = True, True
    if m.tasks[task, NEEDS] < m.tasks[task, NEEDS_END]:  # some do nothing
        number, many = _turn_of_sum(m, task, digits)
        for other in range(number - 1, -1, -1):
            _set_turn_of_sum(m, task, digits, other)
            if active(m, task, digits, first):
                begun = False
                break
        for other in range(number + 1, many):
            _set_turn_of_sum(m, task, digits, other)
            if active(m, task, digits, first):
                ended = False
                break
        _set_turn_of_sum(m, task, digits, number)
        return begun, ended
    for at in range(m.tasks[task, AGAINS], m.tasks[task, AGAINS_END]):
        slot = m.agains[at, 0]
        low, high = interval(m.slots, m.entries, slot, digits, first)
        begun, ended = begun and low == 0, ended and high >= m.slots[slot, EXTENT]
    return begun, ended


@helper()
def _turn_of_sum(m: Machine, task: int, digits: IntArray) -> tuple[int, int]:
    """Which turn it is of the loops over reduced ranks together, and how many there are."""
    found, many = 0, 1
    for loop in range(m.tasks[task, LOOPS_END] - 1, m.tasks[task, LOOPS] - 1, -1):
        if _adds_up(m, task, loop - m.tasks[task, LOOPS]):
            found += digits[loop] * many
            many *= m.loops[loop, TRIPS]
    return found, many


@helper()
def _set_turn_of_sum(m: Machine, task: int, digits: IntArray, number: int) -> None:
    """Put these loops in one of their turns."""
    for loop in range(m.tasks[task, LOOPS_END] - 1, m.tasks[task, LOOPS] - 1, -1):
        if _adds_up(m, task, loop - m.tasks[task, LOOPS]):
            digits[loop] = number % m.loops[loop, TRIPS]
            number //= m.loops[loop, TRIPS]


@helper()
def _adds_up(m: Machine, task: int, loop: int) -> bool:
    """Whether a loop goes over a reduced rank."""
    for at in range(m.tasks[task, AGAINS], m.tasks[task, AGAINS_END]):
        slot = m.agains[at, 0]
        for entry in range(m.slots[slot, OWN], m.slots[slot, OWN_END]):
            if m.entries[entry, 0] == loop:
                return True
    return False
