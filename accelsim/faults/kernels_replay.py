"""A grid array register by register, with one bit that flips. The twin is the RTL: hw/rtl/systolic_os.sv and systolic_ws.sv.

A state is int64[registers], fields one after the other as in `registers`; `at` is where each begins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]


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


@njit()
def wrapped(word: int, bits: int) -> int:
    """A word of so many bits in two's complement."""
    left = 64 - bits
    return (word << left) >> left


@njit()
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


@njit()
def step_result(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray, tokens: IntArray) -> None:
    """One clock edge of an array in which results stay. lanes: int64[5, rows + columns], tokens: int64[rows + 1], for its own use."""
    rows, columns, at = w.rows, w.columns, w.at
    valid, first, last = streams.flags[cycle, 0], streams.flags[cycle, 1], streams.flags[cycle, 2]
    for row in range(rows):
        bottom = 1 if row == rows - 1 or streams.rows[cycle, row + 1] == 0 else 0
        lanes[0, row] = _push(s, at[4], row, streams.a[cycle, row])
        lanes[1, row] = _push(s, at[13], row, bottom)
        lanes[2, row] = _push(s, at[14], row, last)
        lanes[3, row] = _push(s, at[15], row, first)
        lanes[4, row] = _push(s, at[16], row, valid & streams.rows[cycle, row])
    for column in range(columns):
        lanes[0, rows + column] = _push(s, at[5], column, streams.b[cycle, column])
        lanes[1, rows + column] = _push(s, at[17], column, valid & streams.columns[cycle, column])
    for column in range(columns - 1, -1, -1):
        tokens[0] = s[at[12] + column]
        for row in range(1, rows):
            tokens[row] = tokens[row - 1] | s[at[12] + row * columns + column]
        done = 0
        for row in range(rows - 1, -1, -1):
            here = row * columns + column
            if column == 0:
                a, a_valid, a_first, a_last, a_bottom = lanes[0, row], lanes[4, row], lanes[3, row], lanes[2, row], lanes[1, row]
            else:
                a, a_valid, a_first = s[at[0] + here - 1], s[at[6] + here - 1], s[at[8] + here - 1]
                a_last, a_bottom = s[at[9] + here - 1], s[at[10] + here - 1]
            if row == 0:
                b, b_valid, d, d_valid = lanes[0, rows + column], lanes[1, rows + column], 0, 0
            else:
                above = here - columns
                b, b_valid, d, d_valid = s[at[1] + above], s[at[7] + above], s[at[3] + above], s[at[11] + above]
            works = a_valid & b_valid
            ends = works & a_last
            so_far = 0 if a_first else s[at[2] + here]
            total = wrapped(so_far + a * b, w.sum_bits)
            if works:
                s[at[2] + here] = total
            if ends:
                s[at[3] + here] = total
                s[at[11] + here] = 1
            elif tokens[row]:
                s[at[3] + here] = d
                s[at[11] + here] = d_valid
            done |= ends & a_bottom
            s[at[0] + here], s[at[6] + here], s[at[8] + here] = a, a_valid, a_first
            s[at[9] + here], s[at[10] + here] = a_last, a_bottom
            s[at[1] + here], s[at[7] + here] = b, b_valid
        for row in range(rows - 1, 0, -1):
            s[at[12] + row * columns + column] = s[at[12] + (row - 1) * columns + column]
        s[at[12] + column] = done


@njit()
def step_operand(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray, tokens: IntArray) -> None:
    """One clock edge of an array in which an operand stays."""
    rows, columns, at = w.rows, w.columns, w.at
    valid, first, load_first = streams.flags[cycle, 0], streams.flags[cycle, 1], streams.flags[cycle, 2]
    for row in range(rows):
        lanes[0, row] = _push(s, at[4], row, streams.a[cycle, row])
        lanes[1, row] = _push(s, at[9], row, first)
        lanes[2, row] = _push(s, at[10], row, valid)
    for column in range(columns):
        lanes[0, rows + column] = _push(s, at[5], column, streams.b[cycle, column])
        lanes[1, rows + column] = _push(s, at[11], column, load_first)
        lanes[2, rows + column] = _push(s, at[12], column, streams.columns[cycle, column])
    for column in range(columns - 1, -1, -1):
        load, fresh = lanes[2, rows + column], lanes[1, rows + column]
        for row in range(rows - 1, -1, -1):
            tokens[row] = load if row == 0 else load & (1 - fresh) & s[at[8] + (row - 1) * columns + column]
        for row in range(rows - 1, -1, -1):
            here = row * columns + column
            if column == 0:
                a, a_valid, a_first = lanes[0, row], lanes[2, row], lanes[1, row]
            else:
                a, a_valid, a_first = s[at[0] + here - 1], s[at[6] + here - 1], s[at[7] + here - 1]
            v = lanes[0, rows + column] if row == 0 else s[at[2] + here - columns]
            p = 0 if row == 0 else s[at[3] + here - columns]
            stays = s[at[2] + here] if a_first else s[at[1] + here]
            if a_valid:
                s[at[1] + here] = stays
                s[at[3] + here] = wrapped(p + a * stays, w.sum_bits)
            if tokens[row]:
                s[at[2] + here] = v
            s[at[0] + here], s[at[6] + here], s[at[7] + here] = a, a_valid, a_first
            if row < rows - 1:
                s[at[8] + here] = tokens[row]


@njit()
def leaves(w: Wires, s: IntArray, column: int) -> bool:
    """Whether a word leaves a column before the next edge."""
    last = (w.rows - 1) * w.columns + column
    if not w.result:
        return bool(s[w.at[6] + last])
    token = 0
    for row in range(w.rows):
        token |= s[w.at[12] + row * w.columns + column]
    return bool(token & s[w.at[11] + last])


@njit()
def _edge(w: Wires, s: IntArray, cycle: int, streams: Streams, lanes: IntArray, tokens: IntArray) -> None:
    if w.result:
        step_result(w, s, cycle, streams, lanes, tokens)
    else:
        step_operand(w, s, cycle, streams, lanes, tokens)


@njit()
def golden(w: Wires, streams: Streams, places: IntArray, words: IntArray, kept: IntArray) -> tuple[IntArray, IntArray]:
    """Run without a fault, and put what leaves into `words`. kept: rising cycles; returns the states and words gone before each."""
    cycles = streams.flags.shape[0]
    s = np.zeros(w.at[-1], np.int64)
    lanes, tokens = np.zeros((5, w.rows + w.columns), np.int64), np.zeros(w.rows + 1, np.int64)
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
        _edge(w, s, cycle, streams, lanes, tokens)
    return states, gone


@njit()
def replay(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray,
    place: int, mask: int, bits: int, when: int, changed: IntArray, raw: IntArray,
) -> tuple[int, int, int]:  # fmt: skip
    """Run with bits of one register flipped after the edge of cycle `when`, from the last state kept before it until the states are equal.

    mask: bits that flip, of a register of `bits`. changed: int64[most, 2], places of the product and by how much words differ, in the
    order in which they leave. raw: int64[cycles, 2 * columns] to be told of every word and whether it is there, or int64[0, 0].
    Returns how many changed, words that never came, and words too many.
    """
    cycles, columns = streams.flags.shape[0], w.columns
    keep = np.searchsorted(kept, when, side="right") - 1
    s, taken = states[keep].copy(), gone[keep].copy()
    lanes, tokens = np.zeros((5, w.rows + columns), np.int64), np.zeros(w.rows + 1, np.int64)
    out = w.at[3] + (w.rows - 1) * columns
    found, over = 0, 0
    next_keep = keep + 1
    for cycle in range(kept[keep], cycles):
        if cycle > when and next_keep < kept.size and kept[next_keep] == cycle:
            same = True
            for register in range(s.size):
                if s[register] != states[next_keep, register]:
                    same = False
                    break
            for column in range(columns):
                same = same and taken[column] == gone[next_keep, column]
            if same and raw.size == 0:
                return found, 0, over
        if next_keep < kept.size and kept[next_keep] == cycle:
            next_keep += 1
        for column in range(columns):
            there = leaves(w, s, column)
            if raw.size:
                raw[cycle, column] = s[out + column]
                raw[cycle, columns + column] = there
            if there:
                number = taken[column]
                if number >= collected.many[column]:
                    over += 1
                    continue
                word = s[out + column]
                if word != collected.words[column, number] and collected.places[column, number] >= 0:
                    changed[found, 0] = collected.places[column, number]
                    changed[found, 1] = word - collected.words[column, number]
                    found += 1
                taken[column] = number + 1
        _edge(w, s, cycle, streams, lanes, tokens)
        if cycle == when:
            word = s[place] ^ mask
            s[place] = wrapped(word, bits) if bits > 1 else word & 1
    missing = 0
    for column in range(columns):
        missing += collected.many[column] - taken[column]
    return found, missing, over


@njit()
def replay_all(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray, faults: IntArray, product: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Replay many faults: int64[faults, 4], place, mask, bits of the register and cycle.

    product: int64, the whole product, flat. Returns where the words that changed of each fault begin (int64[faults + 1]), the words
    (int64[changed, 2]: place and by how much, modulo sums of `sum_bits`), and words missing and too many (int64[faults, 2]).
    """
    most = 0
    for column in range(w.columns):
        most += collected.many[column]
    changed, raw = np.zeros((most, 2), np.int64), np.zeros((0, 0), np.int64)
    starts, said = np.zeros(faults.shape[0] + 1, np.int64), np.zeros((faults.shape[0], 2), np.int64)
    found = np.zeros((1024, 2), np.int64)
    sums, count = np.zeros(product.size, np.int64), 0
    for fault in range(faults.shape[0]):
        some, said[fault, 0], said[fault, 1] = replay(
            w, streams, collected, kept, states, gone, faults[fault, 0], faults[fault, 1], faults[fault, 2], faults[fault, 3], changed, raw
        )
        while found.shape[0] < count + some:
            found = np.concatenate((found, np.zeros_like(found)))
        for each in range(some):
            sums[changed[each, 0]] += changed[each, 1]
        for each in range(some):  # words of several tiles may go to one place
            where = changed[each, 0]
            by = wrapped(sums[where], w.sum_bits)
            if by:
                found[count, 0], found[count, 1] = where, by
                count += 1
            sums[where] = 0
        starts[fault + 1] = count
    return starts, found[:count].copy(), said
