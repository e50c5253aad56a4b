"""A grid array register by register, edge by edge. The twin is the RTL: hw/rtl/systolic_os.sv and systolic_ws.sv.

A state is int64[registers], fields one after the other as in `registers`; `at` is where each begins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
STUCK_AT_0, STUCK_AT_1 = -1, -2  # in place of a cycle
LATE = 0  # in place of bits: the register keeps what it held before the edge


class Streams(NamedTuple):
    """What the edges of an array bring in each cycle; int64.

    flags: [cycles, 4]. Result stays: valid, first, last, and unused. Operand stays: valid, first, load_first, and unused.
    rows: [cycles, rows], which rows a tile uses, 0 or 1 (result stays). columns: [cycles, columns], which columns it uses, or which load.
    a: [cycles, rows]. b: [cycles, columns].
    """

    flags: IntArray
    rows: IntArray
    columns: IntArray
    a: IntArray
    b: IntArray


class Wires(NamedTuple):
    """An array: rows, columns, whether the result stays, bits of a, b and sums, and where fields begin (int64[fields + 1])."""

    rows: int
    columns: int
    result: bool
    a_bits: int
    b_bits: int
    sum_bits: int
    at: IntArray


class Collected(NamedTuple):
    """What leaves a column and where it belongs: int64[columns, most], places of the product (flat) in their order, -1 behind the last;
    `words`: those that are right; `many`: int64[columns], how many leave.
    """

    places: IntArray
    words: IntArray
    many: IntArray


@njit(forceinline=True, _nrt=False)
def wrapped(word: int, bits: int) -> int:
    """A word of so many bits in two's complement."""
    left = 64 - bits
    return (word << left) >> left


@njit(forceinline=True, _nrt=False)
def _push(s: IntArray, start: int, lane: int, word: Any) -> Any:
    """Push a word into a chain of `lane` registers; returns what leaves it."""
    if lane == 0:
        return word
    first = start + lane * (lane - 1) // 2
    out = s[first + lane - 1]
    for age in range(lane - 1, 0, -1):
        s[first + age] = s[first + age - 1]
    s[first] = word
    return out


@njit(_nrt=False)
def step_result(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray, marks: IntArray) -> None:
    """One clock edge of an array in which results stay. lanes: int64[5, rows + columns], marks: int64[rows + 1, columns], for its own use.

    Elements are taken from the last to the first, so that those before still hold what they had.
    """
    rows, columns = w.rows, w.columns
    a_q, b_q, c_q, d_q, skew_a, skew_b, a_valid_q = w.at[0], w.at[1], w.at[2], w.at[3], w.at[4], w.at[5], w.at[6]
    b_valid_q, first_q, last_q, bottom_q, d_valid_q, token_q = w.at[7], w.at[8], w.at[9], w.at[10], w.at[11], w.at[12]
    valid, first, last = streams.flags[cycle, 0], streams.flags[cycle, 1], streams.flags[cycle, 2]
    for row in range(rows):
        bottom = 1 if row == rows - 1 or streams.rows[cycle, row + 1] == 0 else 0
        lanes[0, row] = _push(s, skew_a, row, streams.a[cycle, row])
        lanes[1, row] = _push(s, w.at[13], row, bottom)
        lanes[2, row] = _push(s, w.at[14], row, last)
        lanes[3, row] = _push(s, w.at[15], row, first)
        lanes[4, row] = _push(s, w.at[16], row, valid & streams.rows[cycle, row])
    for column in range(columns):
        lanes[0, rows + column] = _push(s, skew_b, column, streams.b[cycle, column])
        lanes[1, rows + column] = _push(s, w.at[17], column, valid & streams.columns[cycle, column])
        marks[0, column] = s[token_q + column]
        marks[rows, column] = 0  # whether the column's last sum ends
    for row in range(1, rows):
        for column in range(columns):
            marks[row, column] = marks[row - 1, column] | s[token_q + row * columns + column]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            here = row * columns + column
            if column == 0:
                a, a_valid, a_first, a_last, a_bottom = lanes[0, row], lanes[4, row], lanes[3, row], lanes[2, row], lanes[1, row]
            else:
                a, a_valid, a_first = s[a_q + here - 1], s[a_valid_q + here - 1], s[first_q + here - 1]
                a_last, a_bottom = s[last_q + here - 1], s[bottom_q + here - 1]
            above = here - columns
            b, b_valid = (lanes[0, rows + column], lanes[1, rows + column]) if row == 0 else (s[b_q + above], s[b_valid_q + above])
            if a_valid & b_valid:
                total = wrapped((0 if a_first else s[c_q + here]) + a * b, w.sum_bits)
                s[c_q + here] = total
            if a_valid & b_valid & a_last:
                s[d_q + here], s[d_valid_q + here] = s[c_q + here], 1
                marks[rows, column] |= a_bottom
            elif marks[row, column]:
                s[d_q + here], s[d_valid_q + here] = (0, 0) if row == 0 else (s[d_q + above], s[d_valid_q + above])
            s[a_q + here], s[a_valid_q + here], s[first_q + here] = a, a_valid, a_first
            s[last_q + here], s[bottom_q + here] = a_last, a_bottom
            s[b_q + here], s[b_valid_q + here] = b, b_valid
    for row in range(rows - 1, 0, -1):
        for column in range(columns):
            s[token_q + row * columns + column] = s[token_q + (row - 1) * columns + column]
    for column in range(columns):
        s[token_q + column] = marks[rows, column]


@njit(_nrt=False)
def step_operand(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray) -> None:
    """One clock edge of an array in which an operand stays."""
    rows, columns = w.rows, w.columns
    a_q, w_q, v_q, p_q, skew_a, skew_w, valid_q = w.at[0], w.at[1], w.at[2], w.at[3], w.at[4], w.at[5], w.at[6]
    first_q, reached_q, skew_first, skew_valid, skew_fresh, skew_load = w.at[7], w.at[8], w.at[9], w.at[10], w.at[11], w.at[12]
    valid, first, load_first = streams.flags[cycle, 0], streams.flags[cycle, 1], streams.flags[cycle, 2]
    for row in range(rows):
        lanes[0, row] = _push(s, skew_a, row, streams.a[cycle, row])
        lanes[1, row] = _push(s, skew_first, row, first)
        lanes[2, row] = _push(s, skew_valid, row, valid)
    for column in range(columns):
        lanes[0, rows + column] = _push(s, skew_w, column, streams.b[cycle, column])
        lanes[1, rows + column] = _push(s, skew_fresh, column, load_first)
        lanes[2, rows + column] = _push(s, skew_load, column, streams.columns[cycle, column])
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            here = row * columns + column
            above = here - columns
            if column == 0:
                a, a_valid, a_first = lanes[0, row], lanes[2, row], lanes[1, row]
            else:
                a, a_valid, a_first = s[a_q + here - 1], s[valid_q + here - 1], s[first_q + here - 1]
            load = lanes[2, rows + column]
            if row:
                load &= (1 - lanes[1, rows + column]) & s[reached_q + above]
            if a_valid:
                stays = s[v_q + here] if a_first else s[w_q + here]
                s[w_q + here] = stays
                s[p_q + here] = wrapped((0 if row == 0 else s[p_q + above]) + a * stays, w.sum_bits)
            if load:
                s[v_q + here] = lanes[0, rows + column] if row == 0 else s[v_q + above]
            s[a_q + here], s[valid_q + here], s[first_q + here] = a, a_valid, a_first
            if row < rows - 1:
                s[reached_q + here] = load


@njit(forceinline=True, _nrt=False)
def leaves(w: Wires, s: IntArray, column: int) -> bool:
    """Whether a word leaves a column before the next edge."""
    last = (w.rows - 1) * w.columns + column
    if not w.result:
        return bool(s[w.at[6] + last])
    token = 0
    for row in range(w.rows):
        token |= s[w.at[12] + row * w.columns + column]
    return bool(token & s[w.at[11] + last])


@njit(_nrt=False)
def edge(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray, marks: IntArray) -> None:
    """One clock edge of an array; lanes and marks as in `step_result`."""
    if w.result:
        step_result(w, s, cycle, streams, lanes, marks)
    else:
        step_operand(w, s, cycle, streams, lanes)


@njit()
def golden(w: Wires, streams: Streams, places: IntArray, words: IntArray, kept: IntArray) -> tuple[IntArray, IntArray]:
    """Run without a fault, and put what leaves into `words`. kept: rising cycles; returns the states and words gone before each."""
    cycles = streams.flags.shape[0]
    s = np.zeros(w.at[-1], np.int64)
    lanes, marks = np.zeros((5, w.rows + w.columns), np.int64), np.zeros((w.rows + 1, w.columns), np.int64)
    states, gone = np.zeros((kept.size, s.size), np.int64), np.zeros((kept.size, w.columns), np.int64)
    taken, keep = np.zeros(w.columns, np.int64), 0
    out = w.at[3] + (w.rows - 1) * w.columns
    for cycle in range(cycles):
        while keep < kept.size and kept[keep] == cycle:
            states[keep], gone[keep] = s, taken
            keep += 1
        for column in range(w.columns):
            if leaves(w, s, column):
                words[column, taken[column]] = s[out + column]
                taken[column] += 1
        edge(w, s, cycle, streams, lanes, marks)
    return states, gone


@njit(forceinline=True, _nrt=False)
def struck(word: int, mask: int, bits: int, when: int) -> int:
    """A word of a register of so many bits as a fault leaves it."""
    after = word ^ mask
    if when == STUCK_AT_0:
        after = word & ~mask
    elif when == STUCK_AT_1:
        after = word | mask
    return wrapped(after, bits) if bits > 1 else after & 1
