"""Words that a firing moves: of tiles less what is there or stays, of copies that are served at once, and of units point by point."""

from __future__ import annotations

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    ALIKE,
    APART,
    APARTS,
    AT_ONCE,
    COUNTED,
    CUT,
    CUT_END,
    DELTA,
    DIMS,
    DIMS_END,
    DIVISOR,
    HIGH,
    LEAVES,
    LEVELS,
    LEVELS_END,
    LOOPS_END,
    LOW,
    MANY,
    MARKS,
    MET,
    MODULUS,
    MOMENTS,
    OFFSET,
    ROOM,
    SERVES,
    TERMS,
    TERMS_END,
    TRIPS,
    WANTED,
    WANTED_END,
    IntArray,
    Machine,
    active,
    bounds,
    in_use,
    interval,
    is_afresh,
    opens_and_closes,
    own,
    points_of,
    row_of,
    value_of,
)


@helper(inline=True)
def words(m: Machine, box: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> int:
    """Words of a box at a firing.

    known: int64[dims, 5], the interval of each dimension at the last firing that had a tile, how often one has, and the interval at
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


@helper(inline=True)
def _side(m: Machine, dim: int, digits: IntArray, first: int, known: IntArray, marks: IntArray) -> tuple[int, int, int, int]:
    """Of one dimension: where its coordinates begin and end, how many are touched, and how many of these were before."""
    if m.dims[dim, MARKS] == COUNTED:
        return 0, 0, _counted(m, dim, digits, first), 0
    if m.dims[dim, MARKS] == MET:
        return 0, 0, _met(m, dim, digits, first, marks), 0
    low, high = bounds(m, dim, -1, digits, first)
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
    if points_of(m, dim, -1, digits, first) == 0:
        return 0
    for term in range(terms, end):
        start, stop = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
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
    for point in range(m.terms[term, CUT], m.terms[term, CUT_END]):
        tile = m.points[point, 1]
        if m.points[point, AT_ONCE] == 0:
            moment = moment * m.points[point, MANY] + inside // tile
        inside, size = inside % tile, min(size, tile)
    return moment * size + inside


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
            marks[place], marks[place + 1] = bounds(m, dim, copy, digits, first)
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
    while _advance(m, digits, first, loops) and not is_afresh(m, box, digits):
        size, both = 1, 1
        for dim in range(dims, end):
            place, (low, high) = m.boxes[box, ROOM] + loops + 2 * (dim - dims), bounds(m, dim, copy, digits, first)
            size *= high - low
            both *= max(0, min(high, marks[place + 1]) - max(low, marks[place]))
        if size > 0 and active(m, task, digits, first):
            return 0 if opens_and_closes(m, task, digits, first)[0] else int(both)  # sums that begin are others
    return 0


@helper()
def _advance(m: Machine, digits: IntArray, first: int, loops: int) -> bool:
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

    At its place of `marks` stands a row for each copy: the last firing at which it had a tile (0: none), which it still holds, of each
    dimension where that begins and ends, the first of those that are served with it, and the next of these (-1: none). A dimension that
    does not take every value has a list in `marks` too: of each coordinate in each copy room to count it once, and the last firing that
    touched it.
    """
    dims, end, moves = m.boxes[box, DIMS], m.boxes[box, DIMS_END], m.boxes[box, DELTA] != 0
    total, shared, row, stamp, fired = 0, 0, row_of(m, box), known[dims, 2] + 1, False
    serves = m.boxes[box, SERVES] != 0
    if serves:
        _group(m, box, digits, first, marks)
    for dim in range(dims, end):
        known[dim, 3], known[dim, 4] = bounds(m, dim, -1, digits, first)
    for copy in range(m.boxes[box, APARTS]):
        at = m.boxes[box, ROOM] + row * copy
        if not serves or marks[at + row - 2] == copy:  # the others of a group are served with it
            size, both = _of_copy(m, box, copy, digits, first, stamp, marks)
            both = _held_by_all(m, box, copy, digits, first, marks) if serves else both
            total, shared = total + size, shared + both
    for copy in range(m.boxes[box, APARTS] if moves else 0):
        if _is_there(m, box, copy, digits, first):
            _leave_behind(m, box, copy, digits, first, stamp, marks)
            fired = True
    for dim in range(dims, end if fired else dims):
        known[dim, 0], known[dim, 1], known[dim, 2] = known[dim, 3], known[dim, 4], stamp
    times = m.boxes[box, ALIKE] * in_use(m, m.boxes[box, WANTED], m.boxes[box, WANTED_END], digits, first)
    return int(times * (total - shared if moves and not is_afresh(m, box, digits) else total))


@helper()
def _of_copy(m: Machine, box: int, copy: int, digits: IntArray, first: int, stamp: int, marks: IntArray) -> tuple[int, int]:
    """How many words a copy wants, and how many of these it still holds."""
    dims, at = m.boxes[box, DIMS], m.boxes[box, ROOM] + row_of(m, box) * copy
    size, both = 1, 1 if marks[at] > 0 else 0
    for dim in range(dims, m.boxes[box, DIMS_END]):
        if m.dims[dim, MARKS] >= 0:
            some, held = _listed(m, dim, copy, digits, first, marks[at], stamp, marks)
        else:
            begin, until = bounds(m, dim, copy, digits, first)
            place = at + 1 + 2 * (dim - dims)
            some, held = until - begin, max(0, min(until, marks[place + 1]) - max(begin, marks[place]))
        size *= some
        both *= held
    return size, both


@helper()
def _leave_behind(m: Machine, box: int, copy: int, digits: IntArray, first: int, stamp: int, marks: IntArray) -> None:
    """Note what a copy holds from this firing on."""
    dims, at = m.boxes[box, DIMS], m.boxes[box, ROOM] + row_of(m, box) * copy
    for dim in range(dims, m.boxes[box, DIMS_END]):
        if m.dims[dim, MARKS] >= 0:
            _mark(m, dim, copy, digits, first, stamp, marks)
        place = at + 1 + 2 * (dim - dims)
        marks[place], marks[place + 1] = bounds(m, dim, copy, digits, first)
    marks[at] = stamp


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
    """Note for each copy the first of those that are served with it, as they want the same, and the next one.

    Firsts are in a table by where their tiles begin, so that only those that begin alike are compared. It stands after the rows of copies:
    for each number the last of them, and for each of them the one before.
    """
    row, copies = row_of(m, box), m.boxes[box, APARTS]
    leader, table = m.boxes[box, ROOM] + row - 2, m.boxes[box, ROOM] + row * copies
    for number in range(copies):
        marks[table + number] = -1
    for copy in range(copies):
        marks[leader + row * copy], marks[leader + row * copy + 1] = copy, -1
        head = table + _beginning(m, box, copy, digits, first) % copies
        other = marks[head]
        while other >= 0 and not _wants_alike(m, box, copy, other, digits, first, marks):
            other = marks[table + copies + other]
        if other >= 0:
            marks[leader + row * copy] = other
            marks[leader + row * copy + 1] = marks[leader + row * other + 1]
            marks[leader + row * other + 1] = copy
        else:
            marks[table + copies + copy] = marks[head]
            marks[head] = copy


@helper()
def _beginning(m: Machine, box: int, copy: int, digits: IntArray, first: int) -> int:
    """A number that copies have in common which want the same."""
    number = 0
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        begin = bounds(m, dim, copy, digits, first)[0]
        if m.dims[dim, MARKS] >= 0:
            begin = m.dims[dim, HIGH]
            for point in range(points_of(m, dim, copy, digits, first)):
                value = value_of(m, dim, copy, digits, first, point)
                begin = min(begin, value) if value >= m.dims[dim, LOW] else begin
        number = 31 * number + begin
    return number


@helper()
def _wants_alike(m: Machine, box: int, one: int, other: int, digits: IntArray, first: int, marks: IntArray) -> bool:
    """Whether two copies want the same words, and differ only along axes that serve several at once."""
    for point in range(m.boxes[box, LEVELS], m.boxes[box, LEVELS_END]):
        apart, many = m.points[point, APART], m.points[point, MANY]
        if m.points[point, AT_ONCE] == 0 and one // apart % many != other // apart % many:
            return False
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        if m.dims[dim, MARKS] < 0:
            if bounds(m, dim, one, digits, first) != bounds(m, dim, other, digits, first):
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
    dims, end, row, total = m.boxes[box, DIMS], m.boxes[box, DIMS_END], row_of(m, box), 1
    for dim in range(dims, end):
        begin, until = bounds(m, dim, copy, digits, first)
        other = copy
        while other >= 0:
            at = m.boxes[box, ROOM] + row * other
            if marks[at] == 0:
                return 0
            place = at + 1 + 2 * (dim - dims)
            begin, until = max(begin, marks[place]), min(until, marks[place + 1])
            other = marks[at + row - 1]
        total *= max(0, until - begin) if m.dims[dim, MARKS] < 0 else _listed_by_all(m, box, dim, copy, digits, first, marks)
    return total


@helper()
def _listed_by_all(m: Machine, box: int, dim: int, copy: int, digits: IntArray, first: int, marks: IntArray) -> int:
    """The same for the coordinates of one dimension that is listed."""
    row, plane = row_of(m, box), 2 * m.dims[dim, HIGH]
    size, at, count = 0, m.dims[dim, MARKS] + plane * copy, points_of(m, dim, copy, digits, first)
    for point in range(count):
        value = value_of(m, dim, copy, digits, first, point)
        if not m.dims[dim, LOW] <= value < m.dims[dim, HIGH] or marks[at + 2 * value] == 1:
            continue
        marks[at + 2 * value], held, other = 1, 1, copy
        while other >= 0:
            last = m.boxes[box, ROOM] + row * other
            held = held if marks[m.dims[dim, MARKS] + plane * other + 2 * value + 1] == marks[last] else 0
            other = marks[last + row - 1]
        size += held
    for point in range(count):
        value = value_of(m, dim, copy, digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0
    return size


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
