"""Tasks as arrays, and what one firing touches: words of boxes, points of its work, and whether it does anything."""

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
def words(m: Machine, box: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> int:
    """Words of a box at a firing.

    known: int64[dims, 5], the interval of each dimension at the last firing that touched something, how often one has, and the interval at
    this one. marks: what copies with tiles of their own hold, see `_of_copies`.
    """
    if m.boxes[box, LEAVES] >= 0:
        return _leaving(m, box, digits, first, marks)
    if m.boxes[box, ROOM] >= 0:
        return _of_copies(m, box, digits, first, known, marks)
    total = m.boxes[box, ALIKE] * in_use(m, m.boxes[box, WANTED], m.boxes[box, WANTED_END], digits, first)
    shared = total
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        low, high, size, both = _side(m, dim, digits, first, known, marks)
        total *= size
        shared *= both
        known[dim, 3], known[dim, 4] = low, high
        if size == 0:
            break
    if m.boxes[box, DELTA] == 0 or (total == 0 and not _is_there(m, box, -1, digits, first)):
        return int(total)
    if total == 0:  # a tile, though all of it lies outside the tensor
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            known[dim, 3], known[dim, 4] = 0, 0
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        known[dim, 0], known[dim, 1] = known[dim, 3], known[dim, 4]
        known[dim, 2] += 1
    return int(total if is_afresh(m, box, digits) else total - shared)


@helper()
def _leaving(m: Machine, box: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """Words of a box whose task has this firing, without those that stay for the next firing at which a copy touches anything.

    At its place of `marks` is room for the turns of this firing, and for where the copy's coordinates begin and end in each dimension.
    """
    task, room, total = m.boxes[box, LEAVES], m.boxes[box, ROOM], 0
    loops, dims, end = m.tasks[task, LOOPS_END] - first, m.boxes[box, DIMS], m.boxes[box, DIMS_END]
    times = m.boxes[box, ALIKE] * in_use(m, m.boxes[box, WANTED], m.boxes[box, WANTED_END], digits, first)
    for loop in range(loops):
        marks[room + loop] = digits[first + loop]
    for copy in range(m.boxes[box, APARTS]):
        size = 1
        for dim in range(dims, end):
            place = room + loops + 2 * (dim - dims)
            marks[place], marks[place + 1] = _bounds(m, dim, copy, digits, first)
            size *= marks[place + 1] - marks[place]
        total += size - (_staying(m, box, copy, digits, first, marks) if size > 0 else 0)
        for loop in range(loops):
            digits[first + loop] = marks[room + loop]
    return int(total * times)


@helper()
def _staying(m: Machine, box: int, copy: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """Words that a copy touches again the next time that it touches any; leaves the turns of that firing in `digits`."""
    task = m.boxes[box, LEAVES]
    dims, end, loops = m.boxes[box, DIMS], m.boxes[box, DIMS_END], m.tasks[task, LOOPS_END] - first
    while _goes_on(m, digits, first, loops) and not is_afresh(m, box, digits):
        size, both = 1, 1
        for dim in range(dims, end):
            place, (low, high) = m.boxes[box, ROOM] + loops + 2 * (dim - dims), _bounds(m, dim, copy, digits, first)
            size *= high - low
            both *= max(0, min(high, marks[place + 1]) - max(low, marks[place]))
        if size > 0 and active(m, task, digits, first):
            return int(both)
    return 0


@helper()
def _goes_on(m: Machine, digits: IntArray, first: int, loops: int) -> bool:
    """Go on to the next turn; False: there is none."""
    for loop in range(loops - 1, -1, -1):
        digits[first + loop] += 1
        if digits[first + loop] < m.loops[first + loop, TRIPS]:
            return True
        digits[first + loop] = 0
    return False


@helper()
def _of_copies(m: Machine, box: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> int:
    """Words of a box of which copies hold tiles of their own, or which goes by indices that do not take every value; copy by copy.

    At its place of `marks` stands for each copy the last firing at which it had a tile (0: none), which it still holds, of
    each dimension where that begins and ends, and the first of those that are served with it. A dimension that does not take every value
    has a list in `marks` too: of each coordinate in each copy room to count it once, and the last firing that touched it.
    """
    dims, end, moves = m.boxes[box, DIMS], m.boxes[box, DIMS_END], m.boxes[box, DELTA] != 0
    total, shared, each, stamp, fired = 0, 0, 2 + 2 * (end - dims), known[dims, 2] + 1, False
    serves = m.boxes[box, SERVES] != 0
    if serves:
        _group(m, box, digits, first, marks)
    for dim in range(dims, end):
        known[dim, 3], known[dim, 4] = _bounds(m, dim, -1, digits, first)
    for copy in range(m.boxes[box, APARTS]):
        at = m.boxes[box, ROOM] + each * copy
        size, both = 1, 1 if marks[at] > 0 else 0
        for dim in range(dims, end):
            if m.dims[dim, MARKS] >= 0:
                some, held = _listed(m, dim, copy, digits, first, marks[at], stamp, marks)
            else:
                begin, until = _bounds(m, dim, copy, digits, first)
                place = at + 1 + 2 * (dim - dims)
                some, held = until - begin, max(0, min(until, marks[place + 1]) - max(begin, marks[place]))
            size *= some
            both *= held
        leads = not serves or marks[at + each - 1] == copy  # the others of a group are served with it
        if serves and leads:
            both = _held_by_all(m, box, copy, digits, first, marks)
        total += size if leads else 0
        shared += both if size > 0 and leads else 0
        is_there = moves and _is_there(m, box, copy, digits, first)
        fired = fired or is_there
        for dim in range(dims, end if is_there else dims):
            if m.dims[dim, MARKS] >= 0:
                _mark(m, dim, copy, digits, first, stamp, marks)
            place = at + 1 + 2 * (dim - dims)
            marks[place], marks[place + 1] = _bounds(m, dim, copy, digits, first)
            marks[at] = stamp
    for dim in range(dims, end if fired else dims):
        known[dim, 0], known[dim, 1], known[dim, 2] = known[dim, 3], known[dim, 4], stamp
    times = m.boxes[box, ALIKE] * in_use(m, m.boxes[box, WANTED], m.boxes[box, WANTED_END], digits, first)
    return int(times * (total - shared if moves and not is_afresh(m, box, digits) else total))


@helper()
def _is_there(m: Machine, box: int, copy: int, digits: IntArray, first: int) -> bool:
    """Whether a copy (-1: all of them) has a tile at a firing, and does not lie beyond the end of a rank."""
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
            start, end = own(m, term, copy, digits, first)
            if end <= start:
                return False
    return True


@helper()
def _group(m: Machine, box: int, digits: IntArray, first: int, marks: IntArray) -> None:
    """Note for each copy the first of those that are served with it, as they want the same."""
    each = 2 + 2 * (m.boxes[box, DIMS_END] - m.boxes[box, DIMS])
    leader = m.boxes[box, ROOM] + each - 1
    for copy in range(m.boxes[box, APARTS]):
        marks[leader + each * copy] = copy
        for other in range(copy):
            if marks[leader + each * other] == other and _wants_alike(m, box, copy, other, digits, first, marks):
                marks[leader + each * copy] = other
                break


@helper()
def _wants_alike(m: Machine, box: int, one: int, other: int, digits: IntArray, first: int, marks: IntArray) -> bool:
    """Whether two copies want the same words, and differ only along axes that serve several at once."""
    for point in range(m.boxes[box, LEVELS], m.boxes[box, LEVELS_END]):
        apart, many = m.points[point, 2], m.points[point, 3]
        if m.points[point, 4] == 0 and one // apart % many != other // apart % many:
            return False
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        if m.dims[dim, MARKS] < 0:
            if _bounds(m, dim, one, digits, first) != _bounds(m, dim, other, digits, first):
                return False
        elif not (_takes(m, dim, one, other, digits, first, marks) and _takes(m, dim, other, one, digits, first, marks)):
            return False
    return True


@helper()
def _takes(m: Machine, dim: int, one: int, other: int, digits: IntArray, first: int, marks: IntArray) -> bool:
    """Whether a copy takes every coordinate of a listed dimension that another one does."""
    at, found = m.dims[dim, MARKS] + 2 * m.dims[dim, HIGH] * one, True
    for point in range(points_of(m, dim, one, digits, first)):
        value = value_of(m, dim, one, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 1
    for point in range(points_of(m, dim, other, digits, first)):
        value = value_of(m, dim, other, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            found = found and marks[at + 2 * value] == 1
    for point in range(points_of(m, dim, one, digits, first)):
        value = value_of(m, dim, one, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0
    return found


@helper()
def _held_by_all(m: Machine, box: int, copy: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """Words that a copy wants and all that are served with it still hold."""
    dims, end = m.boxes[box, DIMS], m.boxes[box, DIMS_END]
    each, total = 2 + 2 * (end - dims), 1
    for dim in range(dims, end):
        begin, until = _bounds(m, dim, copy, digits, first)
        for other in range(copy, m.boxes[box, APARTS]):
            at = m.boxes[box, ROOM] + each * other
            if marks[at + each - 1] != copy:
                continue
            if marks[at] == 0:
                return 0
            place = at + 1 + 2 * (dim - dims)
            begin, until = max(begin, marks[place]), min(until, marks[place + 1])
        total *= max(0, until - begin) if m.dims[dim, MARKS] < 0 else _listed_by_all(m, box, dim, copy, digits, first, marks)
    return total


@helper()
def _listed_by_all(m: Machine, box: int, dim: int, copy: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """The same for the coordinates of one dimension that is listed."""
    each, plane = 2 + 2 * (m.boxes[box, DIMS_END] - m.boxes[box, DIMS]), 2 * m.dims[dim, HIGH]
    size, at, count = 0, m.dims[dim, MARKS] + plane * copy, points_of(m, dim, copy, digits, first)
    for point in range(count):
        value = value_of(m, dim, copy, digits, first, point)
        if not m.dims[dim, LOW] <= value < m.dims[dim, HIGH] or marks[at + 2 * value] == 1:
            continue
        marks[at + 2 * value], held = 1, 1
        for other in range(copy, m.boxes[box, APARTS]):
            last = m.boxes[box, ROOM] + each * other
            if marks[last + each - 1] == copy and marks[m.dims[dim, MARKS] + plane * other + 2 * value + 1] != marks[last]:
                held = 0
        size += held
    for point in range(count):
        value = value_of(m, dim, copy, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0
    return size


@helper(inline=True)
def _bounds(m: Machine, dim: int, copy: int, digits: IntArray, first: int) -> tuple[int, int]:
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
def _side(m: Machine, dim: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> tuple[int, int, int, int]:
    """Of one dimension: where its coordinates begin and end, how many are touched, and how many of these were before."""
    if m.dims[dim, MARKS] == COUNTED:
        return 0, 0, _counted(m, dim, digits, first), 0
    if m.dims[dim, MARKS] == MET:
        return 0, 0, _met(m, dim, digits, first, marks), 0
    low, high = _bounds(m, dim, -1, digits, first)
    both = max(0, min(high, known[dim, 1]) - max(low, known[dim, 0])) if known[dim, 2] > 0 else 0
    return low, high, high - low, both


@helper()
def _counted(m: Machine, dim: int, digits: IntArray, first: int) -> int:
    """Points of a tile whose coordinate lies inside the tensor."""
    terms, last = m.dims[dim, TERMS], m.dims[dim, TERMS_END] - 1
    low = high = m.dims[dim, OFFSET]
    points = 1  # of all ranks but the last
    for term in range(terms, last + 1):
        start, end = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        if end <= start:
            return 0
        factor = m.terms[term, 1]
        low, high = low + min(factor * start, factor * (end - 1)), high + max(factor * start, factor * (end - 1))
        points *= end - start if term < last else 1
    start, end = interval(m.slots, m.entries, m.terms[last, 0], digits, first)
    if low >= m.dims[dim, LOW] and high < m.dims[dim, HIGH]:
        return int(points * (end - start))
    factor, total = m.terms[last, 1], 0
    for point in range(points):
        value, rest = m.dims[dim, OFFSET], point
        for term in range(terms, last):
            begin, until = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
            value += m.terms[term, 1] * (begin + rest % (until - begin))
            rest //= until - begin
        least, most = m.dims[dim, LOW] - value, m.dims[dim, HIGH] - 1 - value  # of factor times the last rank
        if factor < 0:
            least, most = -most, -least
        size = abs(factor)
        total += max(0, min(end - 1, most // size) - max(start, -(-least // size)) + 1)
    return int(total)


@helper()
def _met(m: Machine, dim: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """Words that copies want, each that of one point at a time: those that are served at once and want the same are one.

    At its place of `marks` stand how often words were counted, how many were there at last, and of each term the interval for which; then
    for each moment and coordinate when it was counted last.
    """
    at, terms, end = m.dims[dim, MOMENTS], m.dims[dim, TERMS], m.dims[dim, TERMS_END]
    points, base, reach, same = 1, m.dims[dim, OFFSET], 1, True
    for term in range(terms, end):
        start, stop = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        if stop <= start:
            return 0
        place, far = at + 2 + 2 * (term - terms), m.terms[term, 1] * (stop - 1 - start)
        same = same and marks[place] == start and marks[place + 1] == stop
        marks[place], marks[place + 1] = start, stop
        points *= stop - start
        base, reach = base + m.terms[term, 1] * start + min(0, far), reach + abs(far)
    if same:
        return int(marks[at + 1])
    divisor, modulus = m.dims[dim, DIVISOR], m.dims[dim, MODULUS]
    marks[at] += 1
    size, room, reach = 0, at + 2 + 2 * (end - terms), modulus if modulus > 0 else (reach - 1) // divisor + 2
    for point in range(points):
        value, moment, rest = m.dims[dim, OFFSET], 0, point
        for term in range(terms, end):
            start, stop = marks[at + 2 + 2 * (term - terms)], marks[at + 3 + 2 * (term - terms)]
            inside = rest % (stop - start)
            rest //= stop - start
            value += m.terms[term, 1] * (start + inside)
            moment = _moment(m, term, inside, stop - start, moment)
        value = value // divisor % modulus if modulus > 0 else value // divisor
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            place = room + moment * reach + (value if modulus > 0 else value - base // divisor)
            size += marks[place] != marks[at]
            marks[place] = marks[at]
    marks[at + 1] = size
    return int(size)


@helper(inline=True)
def _moment(m: Machine, term: int, inside: int, size: int, moment: int) -> int:
    """The number of a moment, and of copies that are not served at once, going on with the place of a point in the interval of a rank."""
    for point in range(m.terms[term, 3], m.terms[term, 4]):
        tile = m.points[point, 1]
        if m.points[point, 4] == 0:
            moment = moment * m.points[point, 3] + inside // tile
        inside, size = inside % tile, min(size, tile)
    return moment * size + inside


@helper()
def _listed(m: Machine, dim: int, copy: int, digits: IntArray, first: int, last: int, stamp: int, marks: IntArray) -> tuple[int, int]:
    """How many coordinates of a dimension a copy touches, and how many of these at its last firing; marks to count by are taken away."""
    at, size, both = m.dims[dim, MARKS] + 2 * m.dims[dim, HIGH] * copy, 0, 0
    count = points_of(m, dim, copy, digits, first)
    for point in range(count):
        value = value_of(m, dim, copy, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH] and marks[at + 2 * value] != stamp:
            marks[at + 2 * value] = stamp
            size += 1
            both += last > 0 and marks[at + 2 * value + 1] == last
    for point in range(count):  # so that they can be counted again
        value = value_of(m, dim, copy, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0
    return size, both


@helper()
def _mark(m: Machine, dim: int, copy: int, digits: IntArray, first: int, stamp: int, marks: IntArray) -> None:
    """Note the coordinates of a dimension that a copy touches at this firing."""
    at = m.dims[dim, MARKS] + 2 * m.dims[dim, HIGH] * copy
    for point in range(points_of(m, dim, copy, digits, first)):
        value = value_of(m, dim, copy, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value + 1] = stamp


@helper(inline=True)
def own(m: Machine, term: int, copy: int, digits: IntArray, first: int) -> tuple[int, int]:
    """The interval of a term's rank in one copy (-1: in all of them); it may end before it begins."""
    start, end = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
    for point in range(m.terms[term, 3], m.terms[term, 4]) if copy >= 0 else range(0):
        start += copy // m.points[point, 2] % m.points[point, 3] * m.points[point, 1]
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
