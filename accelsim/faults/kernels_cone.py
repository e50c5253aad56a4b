"""The cone of an upset in a grid array, in closed form: which words of a product change, and by how much.

Every cone is a line: words z0, z0 + 1, … of the product (or of its transpose) change by d times c0, c0 + 1, … of an operand (or of its
transpose), or one word changes by d. Source: docs/faults.md, "Grid arrays". The twin is `kernels_replay`, which runs the registers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
FIRST, SECOND, HELD, THIRD, SKEW_ACROSS, SKEW_DOWN = range(6)  # fields of `registers` with operands and sums
ONE, OF_A_DOWN, OF_B, OF_HELD = range(4)  # whose words a line's are multiplied by
DEAD, LOGICAL, ROUNDED, CLAMPED, CORRUPTED = range(5)  # outcomes


class Work(NamedTuple):
    """A product and its folds. a: [m, k], b: [k, n], z: [m, n], with their transposes, flat, of one dtype; held:
    [folds, rows, columns], flat, the operand that each element multiplies by, also those that a tile does not use (operand stays).
    out: [m, n], the outputs, with their transpose. period: cycles between folds, about. The rest is int64[folds], as in `grid.Tiles`.
    """

    result: bool
    m: int
    k: int
    n: int
    rows: int
    columns: int
    a_bits: int
    b_bits: int
    sum_bits: int
    a: Any
    a_down: Any
    b: Any
    z: Any
    z_down: Any
    b_down: Any
    held: Any
    out: Any
    out_down: Any
    period: int
    row: IntArray
    high_rows: IntArray
    column: IntArray
    wide_columns: IntArray
    first: IntArray
    steps: IntArray
    load: IntArray
    start: IntArray


class Quantise(NamedTuple):
    """An output is the word times `multiplier`, shifted right by `shift` with rounding half up, plus `zero`, clamped to low and high."""

    multiplier: int
    shift: int
    zero: int
    low: int
    high: int


@njit(forceinline=True, _nrt=False)
def quantised(quantise: Quantise, word: Any) -> Any:
    """The output of a word."""
    scaled = word * quantise.multiplier
    if quantise.shift > 0:
        scaled = (scaled + (1 << (quantise.shift - 1))) >> quantise.shift
    return min(max(scaled + quantise.zero, quantise.low), quantise.high)


@njit(forceinline=True, _nrt=False)
def flipped(word: int, mask: int, bits: int) -> int:
    """By how much a word of so many bits changes when some flip."""
    left = 64 - bits
    return (((word ^ mask) << left) >> left) - word


@njit(forceinline=True, _nrt=False)
def _fold(starts: IntArray, period: int, when: int) -> Any:
    """The last fold that starts by a cycle; -1 if none has. They are nearly `period` apart."""
    last = starts.shape[0] - 1
    if last < 0 or when < starts[0]:
        return -1
    found = min(last, (when - starts[0]) // period)
    while starts[found] > when:
        found -= 1
    while found < last and starts[found + 1] <= when:
        found += 1
    return found


@njit(forceinline=True, _nrt=False)
def _dot(a: Any, first: int, b: Any, other: int, size: int, bits: int) -> Any:
    """A sum of products of two rows, wrapped at some bits."""
    one, two = a[first : first + size], b[other : other + size]
    if bits == 32:
        narrow = np.int32(0)
        for each in range(size):
            narrow = np.int32(narrow + np.int32(one[each] * two[each]))
        return np.int64(narrow)
    total, left = np.int64(0), 64 - bits
    for each in range(size):
        total += np.int64(one[each]) * np.int64(two[each])
    return (total << left) >> left


Line = tuple[int, int, int, int, bool, int]


@njit(forceinline=True, _nrt=False)
def _upper(w: Work, field: int, row: int, column: int, when: int, mask: int) -> Line:
    """The cone where the result stays: length, by how much, whose words it is multiplied by and the first of them, whether it goes down,
    and the first word of the product.
    """
    m, k, n = w.m, w.k, w.n
    nothing = (0, 0, 0, 0, False, 0)
    if field in (FIRST, SKEW_ACROSS):
        age = when - row - column if field == FIRST else when - column  # of a chain, `column` is the age
        fold = _fold(w.start, w.period, age)
        if fold < 0:
            return nothing
        step, after = age - w.start[fold], column + 1 if field == FIRST else 0
        if step >= w.steps[fold] or row >= w.high_rows[fold] or after >= w.wide_columns[fold]:
            return nothing
        step += w.first[fold]
        at, to = w.row[fold] + row, w.column[fold] + after
        return w.wide_columns[fold] - after, flipped(w.a[at * k + step], mask, w.a_bits), OF_B, step * n + to, False, at * n + to
    if field in (SECOND, SKEW_DOWN):
        age = when - row - column if field == SECOND else when - row
        fold = _fold(w.start, w.period, age)
        if fold < 0:
            return nothing
        step, after = age - w.start[fold], row + 1 if field == SECOND else 0
        if step >= w.steps[fold] or column >= w.wide_columns[fold] or after >= w.high_rows[fold]:
            return nothing
        step += w.first[fold]
        at, to = w.row[fold] + after, w.column[fold] + column
        return w.high_rows[fold] - after, flipped(w.b[step * n + to], mask, w.b_bits), OF_A_DOWN, step * m + at, True, to * m + at
    if field == HELD:  # the sum that stays
        fold = _fold(w.start, w.period, when - row - column)
        if fold < 0:
            return nothing
        step = when - row - column - w.start[fold]
        if step >= w.steps[fold] - 1 or row >= w.high_rows[fold] or column >= w.wide_columns[fold]:
            return nothing
        at, to = w.row[fold] + row, w.column[fold] + column
        prefix = _dot(w.a, at * k + w.first[fold], w.b_down, to * k + w.first[fold], step + 1, w.sum_bits)
        return 1, flipped(prefix, mask, w.sum_bits), ONE, 0, False, at * n + to
    fold = _fold(w.start, w.period, when - column)  # a result on its way out
    while fold >= 0:
        since = when - w.start[fold] - (w.steps[fold] - 1 + column)
        if since > w.high_rows[fold] + w.rows - 2:
            return nothing
        shifts = max(0, since - (w.high_rows[fold] - 1))
        of = row - shifts
        if column < w.wide_columns[fold] and 0 <= of < w.high_rows[fold] and since >= of:
            at, to, first = w.row[fold] + of, w.column[fold] + column, w.first[fold]
            total: Any = np.int64(w.z[at * n + to])
            if w.steps[fold] < k:
                total = _dot(w.a, at * k + first, w.b_down, to * k + first, w.steps[fold], w.sum_bits)
            return 1, flipped(total, mask, w.sum_bits), ONE, 0, False, at * n + to
        fold -= 1
    return nothing


@njit(forceinline=True, _nrt=False)
def _lower(w: Work, field: int, row: int, column: int, when: int, mask: int) -> Line:
    """The cone where an operand stays."""
    m, k, n = w.m, w.k, w.n
    nothing = (0, 0, 0, 0, False, 0)
    if field in (FIRST, SKEW_ACROSS):
        age = when - row - column if field == FIRST else when - column
        fold = _fold(w.start, w.period, age)
        if fold < 0:
            return nothing
        step, after = age - w.start[fold], column + 1 if field == FIRST else 0
        if step >= w.steps[fold] or after >= w.wide_columns[fold]:
            return nothing
        step += w.first[fold]
        word = w.a[step * k + w.row[fold] + row] if row < w.high_rows[fold] else 0
        first = (fold * w.rows + row) * w.columns + after
        to = w.column[fold] + after
        return w.wide_columns[fold] - after, flipped(word, mask, w.a_bits), OF_HELD, first, False, step * n + to
    if field == SECOND:  # the operand that stays
        fold = _fold(w.start, w.period, when - row - column)
        if fold < 0:
            return nothing
        after = when - row - column - w.start[fold] + 1
        if after >= w.steps[fold] or row >= w.high_rows[fold] or column >= w.wide_columns[fold]:
            return nothing
        at, to, first = w.row[fold] + row, w.column[fold] + column, w.first[fold] + after
        return w.steps[fold] - after, flipped(w.b[at * n + to], mask, w.b_bits), OF_A_DOWN, at * m + first, True, to * m + first
    if field in (HELD, SKEW_DOWN):  # the next one
        age = when - column if field == HELD else when - row
        fold = _fold(w.load, w.period, age)
        if field == HELD:
            while fold >= 0 and row > age - w.load[fold]:  # it has not come so far: what was there before may still be waited for
                fold -= 1
        if fold < 0:
            return nothing
        since = age - w.load[fold]
        if field == HELD:
            if row >= w.high_rows[fold]:
                return nothing
            of = row + max(0, w.high_rows[fold] - 1 - since)
        else:
            if since >= w.high_rows[fold]:
                return nothing
            of = w.high_rows[fold] - 1 - since
        if of >= w.high_rows[fold] or column >= w.wide_columns[fold]:
            return nothing
        if field == HELD and when >= w.start[fold] + of + column:
            return nothing
        at, to, first = w.row[fold] + of, w.column[fold] + column, w.first[fold]
        return w.steps[fold], flipped(w.b[at * n + to], mask, w.b_bits), OF_A_DOWN, at * m + first, True, to * m + first
    fold = _fold(w.start, w.period, when - row - column)  # a sum on its way down
    if fold < 0:
        return nothing
    step = when - row - column - w.start[fold]
    if step >= w.steps[fold] or column >= w.wide_columns[fold]:
        return nothing
    step += w.first[fold]
    to = w.column[fold] + column
    from_row = w.row[fold]
    prefix = _dot(w.a, step * k + from_row, w.b_down, to * k + from_row, min(row + 1, w.high_rows[fold]), w.sum_bits)
    return 1, flipped(prefix, mask, w.sum_bits), ONE, 0, False, step * n + to


@njit(forceinline=True, _nrt=False)
def cone(w: Work, field: int, row: int, column: int, when: int, mask: int) -> Line:
    """The line of an upset of some bits of a register after the edge of a cycle."""
    if w.result:
        return _upper(w, field, row, column, when, mask)
    return _lower(w, field, row, column, when, mask)


@njit()
def _words(w: Work, of: int) -> Any:
    if of == OF_A_DOWN:
        return w.a_down
    return w.b if of == OF_B else w.held


@njit()
def changes(w: Work, faults: IntArray) -> tuple[IntArray, IntArray]:
    """Words of the product that faults change: int64[faults, 5]: field, row, column, mask, cycle.

    Returns where those of each fault begin (int64[faults + 1]), and the words, int64[changed, 2]: place, and by how much modulo the sums.
    """
    m, n = w.m, w.n
    starts, found, count = np.zeros(faults.shape[0] + 1, np.int64), np.zeros((1024, 2), np.int64), 0
    left = 64 - w.sum_bits
    for fault in range(faults.shape[0]):
        size, by, of, first, down, place = cone(w, faults[fault, 0], faults[fault, 1], faults[fault, 2], faults[fault, 4], faults[fault, 3])
        while found.shape[0] < count + size:
            found = np.concatenate((found, np.zeros_like(found)))
        words = _words(w, of)
        for each in range(size):
            delta = by if of == ONE else by * np.int64(words[first + each])
            delta = (delta << left) >> left
            if delta:
                at = place + each
                found[count, 0] = at % m * n + at // m if down else at
                found[count, 1] = delta
                count += 1
        starts[fault + 1] = count
    return starts, found[:count].copy()


@njit(forceinline=True, _nrt=False)
def _line(q: Quantise, by: int, words: Any, first: int, size: int, z: Any, out: Any, place: int, bits: int) -> tuple[int, int]:
    """Outputs of a line that change, and the largest difference of one."""
    wrong, worst = 0, 0
    some, sums, outputs = words[first : first + size], z[place : place + size], out[place : place + size]
    left, half = 64 - bits, (1 << q.shift) >> 1
    for each in range(size):
        after = ((np.int64(sums[each]) + by * np.int64(some[each])) << left) >> left
        output: Any = min(max(((after * q.multiplier + half) >> q.shift) + q.zero, q.low), q.high)
        difference = abs(output - np.int64(outputs[each]))
        wrong += difference != 0
        worst = max(worst, difference)
    return wrong, worst


@njit(_nrt=False)
def _masked(q: Quantise, by: int, words: Any, first: int, size: int, out: Any, place: int, bits: int) -> int:
    """Why no output of a line changes: no word does, all words that do are clamped, or rounding."""
    moved, clamped, left = 0, 0, 64 - bits
    for each in range(size):
        if (by * np.int64(words[first + each])) << left:
            moved += 1
            clamped += out[place + each] == q.low or out[place + each] == q.high
    if moved == 0:
        return LOGICAL
    return CLAMPED if clamped == moved else ROUNDED


@njit(forceinline=True, _nrt=False)
def _along(q: Quantise, by: int, words: Any, first: int, size: int, z: Any, out: Any, place: int, bits: int) -> tuple[int, int, int]:
    """The outcome of a line, outputs that change, and the largest difference of one."""
    wrong, worst = _line(q, by, words, first, size, z, out, place, bits)
    return (CORRUPTED if wrong else _masked(q, by, words, first, size, out, place, bits)), wrong, worst


@njit(forceinline=True, _nrt=False)
def outcome(w: Work, q: Quantise, field: int, row: int, column: int, when: int, mask: int) -> tuple[int, int, int]:
    """What an upset does: its outcome, outputs that change, and the largest difference of one."""
    size, by, of, first, _, place = cone(w, field, row, column, when, mask)
    if size == 0:
        return DEAD, 0, 0
    if of == ONE:
        left = 64 - w.sum_bits
        word = np.int64(w.z[place])
        after = ((word + by) << left) >> left
        before, output = quantised(q, word), quantised(q, after)
        if output != before:
            return CORRUPTED, 1, abs(output - before)
        if after == word:
            return LOGICAL, 0, 0
        return (CLAMPED if before == q.low or before == q.high else ROUNDED), 0, 0
    if of == OF_A_DOWN:
        return _along(q, by, w.a_down, first, size, w.z_down, w.out_down, place, w.sum_bits)
    if of == OF_B:
        return _along(q, by, w.b, first, size, w.z, w.out, place, w.sum_bits)
    return _along(q, by, w.held, first, size, w.z, w.out, place, w.sum_bits)


@njit(_nrt=False)
def outcomes(w: Work, q: Quantise, faults: IntArray, found: IntArray) -> None:
    """`outcome` of many, of int64[faults, 5] as in `changes`, into int64[faults, 3]."""
    for fault in range(faults.shape[0]):
        field, row, column, mask, when = faults[fault, 0], faults[fault, 1], faults[fault, 2], faults[fault, 3], faults[fault, 4]
        found[fault, 0], found[fault, 1], found[fault, 2] = outcome(w, q, field, row, column, when, mask)
