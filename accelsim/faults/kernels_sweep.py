"""Many faults of a grid array side by side. The array runs once without a fault; of each fault only the registers that differ are kept.

A fault is over when nothing differs and each column has given as many words as without it. The twin is `kernels_replay.replay`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.faults.kernels_array import LATE, Collected, Streams, Wires, edge, leaves, struck, wrapped
from accelsim.faults.kernels_elements import Now, Pool, Reach, edge_of, ends_of, reach_of
from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]


@njit()
def _grown(words: IntArray, size: int) -> IntArray:
    """The same words with room for so many."""
    if words.size >= size:
        return words
    found = np.empty(max(size, 2 * words.size), np.int64)
    found[: words.size] = words
    return found


@njit(forceinline=True, _nrt=False)
def _held(pool: Pool, many: int, faults: IntArray, fault: int, golden: int) -> int:
    """A stuck register of a fault after an edge, which without a fault holds `golden`; returns how many differ."""
    at, place = 0, faults[fault, 0]
    while at < many and pool.registers[at] != place:
        at += 1
    word = struck(pool.words[at] if at < many else golden, faults[fault, 1], faults[fault, 2], faults[fault, 3])
    if word != golden:
        pool.registers[at], pool.words[at] = place, word
        return max(many, at + 1)
    if at < many:
        pool.registers[at], pool.words[at] = pool.registers[many - 1], pool.words[many - 1]
        return many - 1
    return many


class Differing(NamedTuple):
    """Faults that are not over: numbers, where the registers of each that differ begin (and end), these registers, and their words."""

    faults: IntArray
    starts: IntArray
    registers: IntArray
    words: IntArray


class Ways(NamedTuple):
    """Of words that leave: by column how many have left, whether one leaves at this edge, and whether it is asked about (scratch); by fault
    and column how many more have left; by fault in how many columns it is not as many; by fault words missing and too many.
    """

    taken: IntArray
    there: IntArray
    asked: IntArray
    ahead: IntArray
    odd: IntArray
    said: IntArray


@njit(forceinline=True, _nrt=False)
def _leave(w: Wires, s: IntArray, ways: Ways, collected: Collected, fault: int, changed: IntArray, many: int) -> int:
    """What leaves the columns of a fault that are asked about; returns how many words have changed by now."""
    out = w.at[3] + (w.rows - 1) * w.columns
    for column in range(w.columns):
        before = ways.ahead[fault, column]
        if not ways.asked[column] and before == 0:
            continue
        ways.asked[column] = 0
        now = before - ways.there[column]
        if leaves(w, s, column):
            number = ways.taken[column] + before
            if number >= collected.many[column]:
                ways.said[fault, 1] += 1
            else:
                word = s[out + column]
                if word != collected.words[column, number] and collected.places[column, number] >= 0:
                    changed[many, 0], changed[many, 1] = fault, collected.places[column, number]
                    changed[many, 2] = word - collected.words[column, number]
                    many += 1
                now += 1
        ways.ahead[fault, column] = now
        ways.odd[fault] += (now != 0) - (before != 0)
    return many


@njit(_nrt=False)
def _edges(
    w: Wires, streams: Streams, collected: Collected, reach: Reach, faults: IntArray, now: Now, pool: Pool, ways: Ways,
    before: Differing, after: Differing, changed: IntArray, at: IntArray,
) -> None:  # fmt: skip
    """One clock edge of all faults, as far as there is room. at: int64[5], how many of `before` are done, how many are `after` it, how
    many words have changed, a number for `Pool.seen`, and how many `before` has.
    """
    s = now.mine
    while at[0] < at[4]:
        done, left, many = at[0], at[1], at[2]
        filled = after.starts[left]
        if changed.shape[0] - many < w.columns or after.registers.size - filled < s.size + 1:
            return
        fault, begin, end = before.faults[done], before.starts[done], before.starts[done + 1]
        some = ways.odd[fault] > 0
        for each in range(begin, end):
            register = before.registers[each]
            column = reach.column[register]
            if column >= 0:
                ways.asked[column], some = 1, True
            word = before.words[each]
            before.words[each], s[register] = s[register], word
        if some:
            at[2] = _leave(w, s, ways, collected, fault, changed, many)
        differ = 0
        if end > begin:
            at[3] += 1
            differ = edge_of(w, streams, reach, now, pool, before.registers, begin, end, at[3])
            for each in range(begin, end):
                s[before.registers[each]] = before.words[each]
        if faults[fault, 3] < 0:
            differ = _held(pool, differ, faults, fault, now.after[faults[fault, 0]])
        at[0] = done + 1
        if differ == 0 and ways.odd[fault] == 0 and faults[fault, 3] >= 0:
            continue
        for each in range(differ):
            after.registers[filled + each], after.words[filled + each] = pool.registers[each], pool.words[each]
        after.faults[left], after.starts[left + 1] = fault, filled + differ
        at[1] = left + 1


@njit()
def _room(differing: Differing, faults: int, registers: int) -> Differing:
    """The same with room for so many faults and registers."""
    return Differing(
        _grown(differing.faults, faults), _grown(differing.starts, faults + 1),
        _grown(differing.registers, registers), _grown(differing.words, registers),
    )  # fmt: skip


@njit()
def _begun(differing: Differing, many: int, fault: int, given: IntArray, golden: IntArray, before: IntArray) -> Differing:
    """A fault more, whose register differs now (a stuck or a late one may not). `before`: the array before the edge."""
    filled = differing.starts[many]
    found = _room(differing, many + 1, filled + 1)
    place = given[0]
    word = before[place] if given[2] == LATE else struck(golden[place], given[1], given[2], given[3])
    if word != golden[place]:
        found.registers[filled], found.words[filled] = place, word
        filled += 1
    found.faults[many], found.starts[many + 1] = fault, filled
    return found


@njit()
def _run(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray, faults: IntArray
) -> tuple[IntArray, IntArray]:
    """Words that change, int64[changed, 3]: fault, place of the product and by how much, in the order in which they leave; and of each
    fault words missing and too many.
    """
    cycles, columns, size, reach = streams.flags.shape[0], w.columns, w.at[-1], reach_of(w)
    many, elements = faults.shape[0], w.rows * columns
    order = np.argsort(faults[:, 3], kind="mergesort")
    changed = np.empty((1024 + columns, 3), np.int64)
    s, after = np.zeros(size, np.int64), np.zeros(size, np.int64)
    lanes, marks = np.zeros((5, w.rows + columns), np.int64), np.zeros((w.rows + 1, columns), np.int64)
    ends, ended = np.zeros(elements, np.int64), np.zeros(columns, np.int64)
    ways = Ways(
        np.zeros(columns, np.int64), np.zeros(columns, np.int64), np.zeros(columns, np.int64), np.zeros((many, columns), np.int64),
        np.zeros(many, np.int64), np.zeros((many, 2), np.int64),
    )  # fmt: skip
    pool = Pool(
        np.zeros(size + 1, np.int64), np.zeros(size + 1, np.int64), np.zeros(elements, np.int64),
        np.zeros(elements, np.int64), np.zeros(elements, np.int64), np.zeros(columns, np.int64),
    )  # fmt: skip
    nothing = Differing(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    mine, others = _room(nothing, 64, 1024), _room(nothing, 64, 1024)
    at, some, come, cycle = np.zeros(5, np.int64), 0, 0, -1
    while come < many or some:
        if some == 0:  # nothing differs until the next fault comes
            keep = max(0, np.searchsorted(kept, faults[order[come], 3], side="right") - 1)
            if kept[keep] > cycle:
                cycle = kept[keep]
                s[:], ways.taken[:] = states[keep], gone[keep]
            while come < many and faults[order[come], 3] < 0:
                mine = _begun(mine, some, order[come], faults[order[come]], s, s)
                some, come = some + 1, come + 1
        if cycle >= cycles:
            break
        after[:] = s
        if w.result:
            ends_of(w, s, streams, cycle, ends, ended)
        edge(w, after, cycle, streams, lanes, marks)
        for column in range(columns):
            ways.there[column] = leaves(w, s, column)
        others.starts[0] = 0
        others = _room(others, some, size + 1)
        at[0], at[1], at[4] = 0, 0, some
        now = Now(cycle, s, after, ends, ended, marks)
        while at[0] < some:
            _edges(w, streams, collected, reach, faults, now, pool, ways, mine, others, changed, at)
            if changed.shape[0] - at[2] < columns:
                changed = np.concatenate((changed, np.empty_like(changed)))
            others = _room(others, some, others.starts[at[1]] + size + 1)
        some = at[1]
        while come < many and faults[order[come], 3] == cycle:
            others = _begun(others, some, order[come], faults[order[come]], after, s)
            some, come = some + 1, come + 1
        mine, others = others, mine
        for column in range(columns):
            ways.taken[column] += ways.there[column]
        s, after = after, s
        cycle += 1
    for each in range(some):
        for column in range(columns):
            ways.said[mine.faults[each], 0] += collected.many[column] - ways.taken[column] - ways.ahead[mine.faults[each], column]
    return changed[: at[2]], ways.said


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
