"""Many faults of a grid array side by side. The array runs once without a fault; of each fault only the registers that differ are kept.

A register that differs reaches few elements at the next edge: only these are worked out again, from what they then read. A fault is over
when nothing differs and each column has given as many words as without it. The twin is `kernels_replay.replay`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.faults.kernels_array import LATE, Collected, Streams, Wires, edge, leaves, struck, wrapped
from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
NOWHERE = -1


class Reach(NamedTuple):
    """By register: the elements that its word reaches at an edge (`elements[starts[i]:starts[i + 1]]`), the register to which it moves
    (`follows`), and the column whose way out it is part of (`column`); -1: none. Elements are row times columns plus column.
    """

    starts: IntArray
    elements: IntArray
    follows: IntArray
    column: IntArray


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
    """Registers that differ and what is in them, and scratch: `many`[0], how many; `seen` elements; what to work out; by column how many
    more sums end.
    """

    registers: IntArray
    words: IntArray
    many: IntArray
    seen: IntArray
    elements: IntArray
    more: IntArray


@njit()
def reach_of(w: Wires) -> Reach:
    """Of an array."""
    rows, columns, size = w.rows, w.columns, w.at[-1]
    starts, follows, column = np.zeros(size + 1, np.int64), np.full(size, NOWHERE), np.full(size, NOWHERE)
    elements, many = np.zeros(size * 2 + rows * columns * (rows + 2) * 2, np.int64), 0
    fields = w.at.size - 1
    for field in range(fields):
        for register in range(w.at[field], w.at[field + 1]):
            place = register - w.at[field]
            row, col = place // columns, place % columns
            if w.result:
                chain = 1 if field == 4 or 13 <= field <= 16 else 2 if field == 5 or field == 17 else 0
            else:
                chain = 1 if field == 4 or field == 9 or field == 10 else 2 if field == 5 else 3 if field == 11 or field == 12 else 0
            right, down, here, below = False, False, False, False
            if chain:
                lane = 1
                while place >= lane:
                    place -= lane
                    lane += 1
                if place < lane - 1:
                    follows[register] = register + 1
                elif chain == 1:
                    elements[many] = lane * columns
                    many += 1
                else:
                    for to in range(rows if chain == 3 else 1):
                        elements[many] = to * columns + lane
                        many += 1
            elif w.result:
                right = field == 0 or field == 6 or 8 <= field <= 10
                down = field == 1 or field == 7 or field == 3 or field == 11
                here = field == 2 or field == 3 or field == 11 or field == 12
                below = field == 12
                if below or ((field == 3 or field == 11) and row == rows - 1):
                    column[register] = col
                if below and row < rows - 1:
                    follows[register] = register + columns
            else:
                right = field == 0 or field == 6 or field == 7
                here = field == 1 or field == 2 or field == 3
                down = field == 2 or field == 3 or field == 8
                if row == rows - 1 and (field == 3 or field == 6):
                    column[register] = col
            element = row * columns + col
            if right and col < columns - 1:
                elements[many] = element + 1
                many += 1
            if here:
                elements[many] = element
                many += 1
            for to in range(row + 1, rows if below else min(rows, row + 2) if down else 0):
                elements[many] = to * columns + col
                many += 1
            starts[register + 1] = many
    return Reach(starts, elements[:many].copy(), follows, column)


@njit(forceinline=True, _nrt=False)
def _put(pool: Pool, after: IntArray, register: int, word: Any) -> None:
    """A register after the edge, if it differs."""
    if after[register] != word:
        many = pool.many[0]
        pool.registers[many], pool.words[many] = register, word
        pool.many[0] = many + 1


@njit(forceinline=True, _nrt=False)
def _lane(s: IntArray, start: int, lane: int, word: Any) -> Any:
    """What leaves a chain of `lane` registers at an edge that brings a word."""
    return word if lane == 0 else s[start + lane * (lane + 1) // 2 - 1]


@njit(_nrt=False)
def _result_element(w: Wires, streams: Streams, now: Now, pool: Pool, here: int, tokens: bool) -> None:
    """An element of an array in which results stay, worked out again; `tokens`: some differ."""
    at, s, after, columns, cycle = w.at, now.mine, now.after, w.columns, now.cycle
    row, column = here // columns, here % columns
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
    total, d, d_valid, ends = s[at[2] + here], s[at[3] + here], s[at[11] + here], 0
    if a_valid & b_valid:
        total = wrapped((0 if a_first else total) + a * b, w.sum_bits)
    if a_valid & b_valid & a_last:
        d, d_valid, ends = total, 1, a_bottom
    else:
        mark = now.marks[row, column]
        if tokens:
            mark = 0
            for to in range(row + 1):
                mark |= s[at[12] + to * columns + column]
        if mark:
            d, d_valid = (0, 0) if row == 0 else (s[at[3] + above], s[at[11] + above])
    pool.more[column] += ends - now.ends[here]
    _put(pool, after, at[0] + here, a)
    _put(pool, after, at[1] + here, b)
    _put(pool, after, at[2] + here, total)
    _put(pool, after, at[3] + here, d)
    _put(pool, after, at[6] + here, a_valid)
    _put(pool, after, at[7] + here, b_valid)
    _put(pool, after, at[8] + here, a_first)
    _put(pool, after, at[9] + here, a_last)
    _put(pool, after, at[10] + here, a_bottom)
    _put(pool, after, at[11] + here, d_valid)


@njit(_nrt=False)
def _operand_element(w: Wires, streams: Streams, now: Now, pool: Pool, here: int) -> None:
    """An element of an array in which an operand stays, worked out again."""
    at, s, after, columns, cycle = w.at, now.mine, now.after, w.columns, now.cycle
    row, column = here // columns, here % columns
    above = here - columns
    if column == 0:
        a = _lane(s, at[4], row, streams.a[cycle, row])
        a_first, a_valid = _lane(s, at[9], row, streams.flags[cycle, 1]), _lane(s, at[10], row, streams.flags[cycle, 0])
    else:
        a, a_valid, a_first = s[at[0] + here - 1], s[at[6] + here - 1], s[at[7] + here - 1]
    load = _lane(s, at[12], column, streams.columns[cycle, column])
    if row:
        load &= (1 - _lane(s, at[11], column, streams.flags[cycle, 2])) & s[at[8] + above]
    held, total, waits = s[at[1] + here], s[at[3] + here], s[at[2] + here]
    if a_valid:
        if a_first:
            held = waits
        total = wrapped((0 if row == 0 else s[at[3] + above]) + a * held, w.sum_bits)
    if load:
        waits = _lane(s, at[5], column, streams.b[cycle, column]) if row == 0 else s[at[2] + above]
    _put(pool, after, at[0] + here, a)
    _put(pool, after, at[1] + here, held)
    _put(pool, after, at[2] + here, waits)
    _put(pool, after, at[3] + here, total)
    _put(pool, after, at[6] + here, a_valid)
    _put(pool, after, at[7] + here, a_first)
    if row < w.rows - 1:
        _put(pool, after, at[8] + here, load)


@njit(_nrt=False)
def _edge_of(w: Wires, streams: Streams, reach: Reach, now: Now, pool: Pool, registers: IntArray, stamp: int) -> None:
    """One clock edge of a fault whose words `now.mine` has; `registers` of them differ. What differs after the edge goes to the pool."""
    some, tokens = 0, False
    for each in range(registers.size):
        register = registers[each]
        if reach.follows[register] >= 0:
            _put(pool, now.after, reach.follows[register], now.mine[register])
        tokens |= w.result and w.at[12] <= register < w.at[13]
        for at in range(reach.starts[register], reach.starts[register + 1]):
            element = reach.elements[at]
            if pool.seen[element] != stamp:
                pool.seen[element] = stamp
                pool.elements[some] = element
                some += 1
    if not w.result:
        for each in range(some):
            _operand_element(w, streams, now, pool, pool.elements[each])
        return
    for each in range(some):
        _result_element(w, streams, now, pool, pool.elements[each], tokens)
    for each in range(some):
        column = pool.elements[each] % w.columns
        if pool.more[column]:
            _put(pool, now.after, w.at[12] + column, 1 if now.ended[column] + pool.more[column] > 0 else 0)
            pool.more[column] = 0


@njit(_nrt=False)
def _ends(w: Wires, s: IntArray, streams: Streams, cycle: int, ends: IntArray, ended: IntArray) -> None:
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


@njit()
def _grown(words: IntArray, size: int) -> IntArray:
    """The same words with room for so many."""
    if words.size >= size:
        return words
    found = np.empty(max(size, 2 * words.size), np.int64)
    found[: words.size] = words
    return found


@njit(_nrt=False)
def _held(pool: Pool, fault: Any, golden: int) -> None:
    """A stuck register of a fault after an edge, which without a fault holds `golden`."""
    many, place = pool.many[0], fault[0]
    at = 0
    while at < many and pool.registers[at] != place:
        at += 1
    word = struck(pool.words[at] if at < many else golden, fault[1], fault[2], fault[3])
    if word != golden:
        pool.registers[at], pool.words[at] = place, word
        pool.many[0] = max(many, at + 1)
    elif at < many:
        pool.registers[at], pool.words[at] = pool.registers[many - 1], pool.words[many - 1]
        pool.many[0] = many - 1


@njit()
def _run(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray, faults: IntArray
) -> tuple[IntArray, IntArray]:
    """Words that change, int64[changed, 3]: fault, place of the product and by how much, in the order in which they leave; and of each
    fault words missing and too many.
    """
    cycles, columns, size, reach = streams.flags.shape[0], w.columns, w.at[-1], reach_of(w)
    said, order = np.zeros((faults.shape[0], 2), np.int64), np.argsort(faults[:, 3], kind="mergesort")
    ahead, odd = np.zeros((faults.shape[0], columns), np.int32), np.zeros(faults.shape[0], np.int64)
    changed, many = np.empty((1024, 3), np.int64), 0
    s, after, taken, there = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    lanes, marks = np.zeros((5, w.rows + columns), np.int64), np.zeros((w.rows + 1, columns), np.int64)
    ends, ended, asked = np.zeros(w.rows * columns, np.int64), np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    pool = Pool(
        np.zeros(size + 1, np.int64), np.zeros(size + 1, np.int64), np.zeros(1, np.int64), np.zeros(w.rows * columns, np.int64),
        np.zeros(w.rows * columns, np.int64), np.zeros(columns, np.int64),
    )  # fmt: skip
    active, starts, some = np.empty(64, np.int64), np.zeros(65, np.int64), 0
    registers, words = np.empty(1024, np.int64), np.empty(1024, np.int64)
    next_registers, next_words = np.empty(1024, np.int64), np.empty(1024, np.int64)
    out, come, stamp, cycle = w.at[3] + (w.rows - 1) * columns, 0, 0, -1
    while come < order.size or some:
        if some == 0:  # nothing differs until the next fault comes
            keep = max(0, np.searchsorted(kept, faults[order[come], 3], side="right") - 1)
            if kept[keep] > cycle:
                cycle = kept[keep]
                s[:], taken[:] = states[keep], gone[keep]
            while come < order.size and faults[order[come], 3] < 0:
                fault = order[come]
                active, starts = _grown(active, some + 1), _grown(starts, some + 2)
                registers, words = _grown(registers, some + 1), _grown(words, some + 1)
                place = faults[fault, 0]
                word, size_now = struck(s[place], faults[fault, 1], faults[fault, 2], faults[fault, 3]), starts[some]
                if word != s[place]:
                    registers[size_now], words[size_now] = place, word
                    size_now += 1
                active[some], starts[some + 1] = fault, size_now
                some, come = some + 1, come + 1
        if cycle >= cycles:
            break
        after[:] = s
        if w.result:
            _ends(w, s, streams, cycle, ends, ended)
        edge(w, after, cycle, streams, lanes, marks)
        for column in range(columns):
            there[column] = leaves(w, s, column)
        now = Now(cycle, s, after, ends, ended, marks)
        left, filled, begin = 0, 0, starts[0]
        for each in range(some):
            fault, end = active[each], starts[each + 1]
            ways = odd[fault] > 0
            for at in range(begin, end):
                register = registers[at]
                column = reach.column[register]
                if column >= 0:
                    asked[column], ways = 1, True
                words[at], s[register] = s[register], words[at]
            for column in range(columns if ways else 0):
                if not asked[column] and ahead[fault, column] == 0:
                    continue
                asked[column] = 0
                by = -there[column]
                if leaves(w, s, column):
                    number = taken[column] + ahead[fault, column]
                    if number >= collected.many[column]:
                        said[fault, 1] += 1
                    else:
                        word = s[out + column]
                        if word != collected.words[column, number] and collected.places[column, number] >= 0:
                            if many == changed.shape[0]:
                                changed = np.concatenate((changed, np.empty_like(changed)))
                            changed[many, 0], changed[many, 1] = fault, collected.places[column, number]
                            changed[many, 2] = word - collected.words[column, number]
                            many += 1
                        by += 1
                if by:
                    odd[fault] -= ahead[fault, column] != 0
                    ahead[fault, column] += by
                    odd[fault] += ahead[fault, column] != 0
            stamp, pool.many[0] = stamp + 1, 0
            _edge_of(w, streams, reach, now, pool, registers[begin:end], stamp)
            for at in range(begin, end):
                s[registers[at]] = words[at]
            begin = end
            if faults[fault, 3] < 0:
                _held(pool, faults[fault], after[faults[fault, 0]])
            if pool.many[0] == 0 and odd[fault] == 0 and faults[fault, 3] >= 0:
                continue
            next_registers, next_words = _grown(next_registers, filled + pool.many[0]), _grown(next_words, filled + pool.many[0])
            next_registers[filled : filled + pool.many[0]] = pool.registers[: pool.many[0]]
            next_words[filled : filled + pool.many[0]] = pool.words[: pool.many[0]]
            filled += pool.many[0]
            active[left], starts[left + 1] = fault, filled
            left += 1
        starts[0] = 0
        while come < order.size and faults[order[come], 3] == cycle:
            fault = order[come]
            active, starts = _grown(active, left + 1), _grown(starts, left + 2)
            next_registers, next_words = _grown(next_registers, filled + 1), _grown(next_words, filled + 1)
            next_registers[filled] = faults[fault, 0]
            place = faults[fault, 0]
            late = faults[fault, 2] == LATE
            next_words[filled] = s[place] if late else struck(after[place], faults[fault, 1], faults[fault, 2], cycle)
            filled += 1
            active[left], starts[left + 1] = fault, filled
            left, come = left + 1, come + 1
        some = left
        registers, next_registers, words, next_words = next_registers, registers, next_words, words
        for column in range(columns):
            taken[column] += there[column]
        s, after = after, s
        cycle += 1
    for each in range(some):
        for column in range(columns):
            said[active[each], 0] += collected.many[column] - taken[column] - ahead[active[each], column]
    return changed[:many], said


@njit()
def replay_all(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray, faults: IntArray, product: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Replay many faults: int64[faults, 4], place, mask, bits of the register or LATE, and cycle or how it is stuck.

    product: int64, the whole product, flat. Returns where the words that changed of each fault begin (int64[faults + 1]), the words
    (int64[changed, 2]: place and by how much, modulo sums of `sum_bits`), and words missing and too many (int64[faults, 2]).
    """
    changed, said = _run(w, streams, collected, kept, states, gone, faults)
    ends = np.zeros(faults.shape[0] + 1, np.int64)
    for each in range(changed.shape[0]):
        ends[changed[each, 0] + 1] += 1
    ends = np.cumsum(ends)
    order, at = np.empty(changed.shape[0], np.int64), ends.copy()
    for each in range(changed.shape[0]):
        fault = changed[each, 0]
        order[at[fault]] = each
        at[fault] += 1
    starts, found = np.zeros(faults.shape[0] + 1, np.int64), np.zeros((changed.shape[0], 2), np.int64)
    sums, count = np.zeros(product.size, np.int64), 0
    for fault in range(faults.shape[0]):
        for each in range(ends[fault], ends[fault + 1]):
            sums[changed[order[each], 1]] += changed[order[each], 2]
        for each in range(ends[fault], ends[fault + 1]):  # words of several tiles may go to one place
            where = changed[order[each], 1]
            by = wrapped(sums[where], w.sum_bits)
            if by:
                found[count, 0], found[count, 1] = where, by
                count += 1
            sums[where] = 0
        starts[fault + 1] = count
    return starts, found[:count].copy(), said
