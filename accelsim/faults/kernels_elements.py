"""One clock edge of a grid array in which few registers differ from those without a fault: what differs after it.

A register reaches few elements at an edge; only these are worked out again, and of them only what depends on what they read otherwise. The
twin is `kernels_array.edge`, which works out all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.faults.kernels_array import Streams, Wires, wrapped
from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
NOWHERE = -1
LEFT, ABOVE, SUM, WAY, HELD, WAITS, LOAD = 1, 2, 4, 8, 16, 32, 64
"""What an element reads otherwise: operand and flags from the left; from above, b and its flag, or a sum; its own sum; words on their way
out and tokens; the operand it holds; the next one; what it loads and whether.
"""


class Reach(NamedTuple):
    """By register: the elements that its word reaches at an edge and as what (`elements[starts[i]:starts[i + 1]]`, `reads`), the register
    to which it moves (`follows`), and the column whose way out it is part of (`column`); -1: none. Elements are row times columns plus
    column: `row_of` and `column_of` them.
    """

    starts: IntArray
    elements: IntArray
    reads: IntArray
    follows: IntArray
    column: IntArray
    row_of: IntArray
    column_of: IntArray


class Now(NamedTuple):
    """An edge: what is in registers before (`mine`: with the fault; the array without it otherwise) and after without a fault, sums that
    end in each element and how many in each column, and marks as in `step_result`.
    """

    cycle: int
    mine: IntArray
    after: IntArray
    ends: IntArray
    ended: IntArray
    marks: IntArray


class Pool(NamedTuple):
    """Registers of a fault that differ and what is in them, and scratch: `seen` elements, what to work out, and what each of
    all elements then reads otherwise (`reads`); by column how many more sums end.
    """

    registers: IntArray
    words: IntArray
    seen: IntArray
    elements: IntArray
    reads: IntArray
    more: IntArray


@njit()
def reach_of(w: Wires) -> Reach:
    """Of an array."""
    rows, columns, size = w.rows, w.columns, w.at[-1]
    starts, follows, column = np.zeros(size + 1, np.int64), np.full(size, NOWHERE), np.full(size, NOWHERE)
    elements, many = np.zeros(size * 2 + rows * columns * (rows + 2) * 2, np.int64), 0
    reads = np.zeros_like(elements)
    for field in range(w.at.size - 1):
        if w.result:
            chain = 1 if field == 4 or 13 <= field <= 16 else 2 if field == 5 or field == 17 else 0
            right = LEFT if field == 0 or field == 6 or 8 <= field <= 10 else 0
            down = ABOVE if field == 1 or field == 7 else WAY if field == 3 or field == 11 else 0
            here = SUM if field == 2 else WAY if field == 3 or field == 11 or field == 12 else 0
            edge_reads, tokens, leaving = LEFT if chain == 1 else ABOVE, field == 12, field == 3 or field == 11
        else:
            chain = 1 if field == 4 or field == 9 or field == 10 else 2 if field == 5 else 3 if field == 11 or field == 12 else 0
            right = LEFT if field == 0 or field == 6 or field == 7 else 0
            down = ABOVE if field == 3 else LOAD if field == 2 or field == 8 else 0
            here = SUM if field == 3 else HELD if field == 1 else WAITS if field == 2 else 0
            edge_reads, tokens, leaving = LEFT if chain == 1 else LOAD, False, field == 3 or field == 6
        for register in range(w.at[field], w.at[field + 1]):
            place = register - w.at[field]
            first, last, step, read = 0, 0, columns, edge_reads  # elements below each other
            if chain:
                lane = 1
                while place >= lane:
                    place -= lane
                    lane += 1
                if place < lane - 1:
                    follows[register] = register + 1
                elif chain == 1:
                    first, last = lane * columns, lane * columns + 1
                else:
                    first, last = lane, columns * rows if chain == 3 else columns
            else:
                row, col = place // columns, place % columns
                if tokens or (leaving and row == rows - 1):
                    column[register] = col
                if tokens and row < rows - 1:
                    follows[register] = register + columns
                if right and col < columns - 1:
                    elements[many], reads[many] = place + 1, right
                    many += 1
                if here:
                    elements[many], reads[many] = place, here
                    many += 1
                read = WAY if tokens else down
                first, last = place + columns, rows * columns if tokens else min(rows * columns, place + columns + 1) if down else 0
            for element in range(first, last, step):
                elements[many], reads[many] = element, read
                many += 1
            starts[register + 1] = many
    every = np.arange(rows * columns)
    return Reach(
        starts.astype(np.int32), elements[:many].astype(np.int32), reads[:many].astype(np.int32), follows.astype(np.int32),
        column.astype(np.int32), (every // columns).astype(np.int32), (every % columns).astype(np.int32),
    )  # fmt: skip


@njit(forceinline=True, _nrt=False)
def _put(pool: Pool, after: IntArray, many: Any, register: int, word: Any) -> Any:
    """A register after the edge, if it differs; returns how many do by now."""
    pool.registers[many], pool.words[many] = register, word
    return many + (after[register] != word)


@njit(forceinline=True, _nrt=False)
def _lane(s: IntArray, start: int, lane: int, word: Any) -> Any:
    """What leaves a chain of `lane` registers at an edge that brings a word."""
    return word if lane == 0 else s[start + lane * (lane + 1) // 2 - 1]


@njit(forceinline=True, _nrt=False)
def _result_element(w: Wires, streams: Streams, reach: Reach, now: Now, pool: Pool, here: int, tokens: bool, many: Any) -> Any:
    """An element of an array in which results stay, worked out again; `tokens`: some differ."""
    at, s, after, columns, cycle = w.at, now.mine, now.after, w.columns, now.cycle
    row, column = reach.row_of[here], reach.column_of[here]
    above = here - columns
    if column == 0:
        bottom = 1 if row == w.rows - 1 or streams.rows[cycle, row + 1] == 0 else 0
        a = _lane(s, at[4], row, streams.a[cycle, row])
        a_bottom, a_last = _lane(s, at[13], row, bottom), _lane(s, at[14], row, streams.flags[cycle, 2])
        a_first = _lane(s, at[15], row, streams.flags[cycle, 1])
        a_valid = _lane(s, at[16], row, streams.flags[cycle, 0] & streams.rows[cycle, row])
    else:
        left = here - 1
        a, a_valid, a_first, a_last, a_bottom = s[at[0] + left], s[at[6] + left], s[at[8] + left], s[at[9] + left], s[at[10] + left]
    if row == 0:
        b = _lane(s, at[5], column, streams.b[cycle, column])
        b_valid = _lane(s, at[17], column, streams.flags[cycle, 0] & streams.columns[cycle, column])
    else:
        b, b_valid = s[at[1] + above], s[at[7] + above]
    reads = pool.reads[here]
    taken = a_valid & b_valid
    total = s[at[2] + here]
    if taken:
        total = wrapped((0 if a_first else total) + a * b, w.sum_bits)
    if reads & LEFT:
        many = _put(pool, after, many, at[0] + here, a)
        many = _put(pool, after, many, at[6] + here, a_valid)
        many = _put(pool, after, many, at[8] + here, a_first)
        many = _put(pool, after, many, at[9] + here, a_last)
        many = _put(pool, after, many, at[10] + here, a_bottom)
    if reads & ABOVE:
        many = _put(pool, after, many, at[1] + here, b)
        many = _put(pool, after, many, at[7] + here, b_valid)
    if reads & (LEFT | ABOVE | SUM):
        many = _put(pool, after, many, at[2] + here, total)
    if taken & a_last:
        many = _put(pool, after, many, at[3] + here, total)
        many = _put(pool, after, many, at[11] + here, 1)
        pool.more[column] += a_bottom - now.ends[here]
    elif reads & (LEFT | ABOVE | WAY):
        d, d_valid, mark = s[at[3] + here], s[at[11] + here], now.marks[row, column]
        if tokens:
            mark = 0
            for to in range(row + 1):
                mark |= s[at[12] + to * columns + column]
        if mark:
            d, d_valid = (0, 0) if row == 0 else (s[at[3] + above], s[at[11] + above])
        many = _put(pool, after, many, at[3] + here, d)
        many = _put(pool, after, many, at[11] + here, d_valid)
        pool.more[column] -= now.ends[here]
    return many


@njit(forceinline=True, _nrt=False)
def _operand_element(w: Wires, streams: Streams, reach: Reach, now: Now, pool: Pool, here: int, many: Any) -> Any:
    """An element of an array in which an operand stays, worked out again."""
    at, s, after, columns, cycle = w.at, now.mine, now.after, w.columns, now.cycle
    row, column = reach.row_of[here], reach.column_of[here]
    above = here - columns
    if column == 0:
        a = _lane(s, at[4], row, streams.a[cycle, row])
        a_first, a_valid = _lane(s, at[9], row, streams.flags[cycle, 1]), _lane(s, at[10], row, streams.flags[cycle, 0])
    else:
        a, a_valid, a_first = s[at[0] + here - 1], s[at[6] + here - 1], s[at[7] + here - 1]
    reads, held, waits = pool.reads[here], s[at[1] + here], s[at[2] + here]
    if a_valid & a_first:
        held = waits
    if reads & LEFT:
        many = _put(pool, after, many, at[0] + here, a)
        many = _put(pool, after, many, at[6] + here, a_valid)
        many = _put(pool, after, many, at[7] + here, a_first)
    if reads & (LEFT | HELD | WAITS):
        many = _put(pool, after, many, at[1] + here, held)
    if reads & ~LOAD:
        total = s[at[3] + here]
        if a_valid:
            total = wrapped((0 if row == 0 else s[at[3] + above]) + a * held, w.sum_bits)
        many = _put(pool, after, many, at[3] + here, total)
    if reads & (WAITS | LOAD):
        load = _lane(s, at[12], column, streams.columns[cycle, column])
        if row:
            load &= (1 - _lane(s, at[11], column, streams.flags[cycle, 2])) & s[at[8] + above]
        if load:
            waits = _lane(s, at[5], column, streams.b[cycle, column]) if row == 0 else s[at[2] + above]
        many = _put(pool, after, many, at[2] + here, waits)
        if row < w.rows - 1:
            many = _put(pool, after, many, at[8] + here, load)
    return many


@njit(forceinline=True, _nrt=False)
def edge_of(w: Wires, streams: Streams, reach: Reach, now: Now, pool: Pool, registers: IntArray, begin: int, end: int, stamp: int) -> Any:
    """One clock edge of a fault whose words `now.mine` has; some `registers` of them differ. What differs after it goes to the pool;
    returns how many.
    """
    some, many, tokens = 0, 0, False
    for each in range(begin, end):
        register = registers[each]
        if reach.follows[register] >= 0:
            many = _put(pool, now.after, many, reach.follows[register], now.mine[register])
        tokens |= w.result and w.at[12] <= register < w.at[13]
        for at in range(reach.starts[register], reach.starts[register + 1]):
            element = reach.elements[at]
            if pool.seen[element] == stamp:
                pool.reads[element] |= reach.reads[at]
            else:
                pool.seen[element], pool.reads[element] = stamp, reach.reads[at]
                pool.elements[some] = element
                some += 1
    if not w.result:
        for each in range(some):
            many = _operand_element(w, streams, reach, now, pool, pool.elements[each], many)
        return many
    for each in range(some):
        many = _result_element(w, streams, reach, now, pool, pool.elements[each], tokens, many)
    for each in range(some):
        column = reach.column_of[pool.elements[each]]
        if pool.more[column]:
            many = _put(pool, now.after, many, w.at[12] + column, 1 if now.ended[column] + pool.more[column] > 0 else 0)
            pool.more[column] = 0
    return many


@njit(_nrt=False)
def ends_of(w: Wires, s: IntArray, streams: Streams, cycle: int, ends: IntArray, ended: IntArray) -> None:
    """Sums that end at an edge with a token to send, by element and by column."""
    at, columns = w.at, w.columns
    ended[:] = 0
    for row in range(w.rows):
        for column in range(columns):
            here = row * columns + column
            if column == 0:
                bottom = 1 if row == w.rows - 1 or streams.rows[cycle, row + 1] == 0 else 0
                valid = _lane(s, at[16], row, streams.flags[cycle, 0] & streams.rows[cycle, row])
                send = _lane(s, at[14], row, streams.flags[cycle, 2]) & _lane(s, at[13], row, bottom)
            else:
                valid, send = s[at[6] + here - 1], s[at[9] + here - 1] & s[at[10] + here - 1]
            if row == 0:
                valid &= _lane(s, at[17], column, streams.flags[cycle, 0] & streams.columns[cycle, column])
            else:
                valid &= s[at[7] + here - columns]
            ends[here] = valid & send
            ended[column] += ends[here]
