"""The walk of a nest over stored elements once more, as a log of what is sent, made and worked on. Source: docs/sparse.md, "Simulation"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.sparse import kernels as k

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

# Kinds of rows: a copy is sent a tile of an operand; one that holds nothing comes in place of it; a copy begins a tile of the result; a
# copy of the unit puts lists in order; it works.
SENT, EMPTIED, BEGUN, MERGED, WORKED = range(5)
# Columns of a row: its kind; the crossing, the copies of its child and of its parent; the tile, as its number. Of what is
# sent: words that come to the child, of these what its parent is to bring first, those that leave the parent, and a number that
# is the same where copies are served together. Of what is begun: words that leave the child in the end, those that came back to it before,
# and those that reach the parent. Of putting lists in order: cycles, of these the passes after the first, and those in which queues are
# emptied; of work: issues.
# Behind them, of work: steps of every loop that meets coordinates, and words that every crossing of the unit moves at its parent.
KIND, CROSSING, CHILD, PARENT, TILE, WORDS, BACK, SERVED, TOGETHER, MORE = range(10)

_LAST, _ENTERING, _GROUPED, _ASKED = range(4)  # rows of Notes.before


class Notes(NamedTuple):
    """What is in the log already, int64.

    `begun[crossings, copies]`: the row of the run of each copy, -1: none. `entering`, `grouped`, `known` [crossings, copies], `issues`,
    `merging`, `draining`, `held`, `brought`, `added` [copies]: as in `kernels.Walked`, as far as they are noted. `listed[copies]`: lists
    and elements that each copy has to put in order. `steps[meets, copies]`, `streams[streams, copies]`. `before[4, crossings]`: what there
    was before tiles arrive. `meets`, `rows`: loops that meet coordinates and which row of steps counts; `streams`: crossings of the unit.
    `knows`: of each crossing that which tells what its parent has not had yet, -1: none; `newer[crossings, copies]`: words of that one.
    `used[1]`: rows of the log.
    """

    begun: IntArray
    entering: IntArray
    grouped: IntArray
    known: IntArray
    issues: IntArray
    merging: IntArray
    draining: IntArray
    listed: IntArray
    held: IntArray
    brought: IntArray
    added: IntArray
    steps: IntArray
    moved: IntArray
    before: IntArray
    meets: IntArray
    rows: IntArray
    streams: IntArray
    knows: IntArray
    newer: IntArray
    used: IntArray


def record(t: k.Tables, places: int, meets: IntArray, rows: IntArray, knows: IntArray, most: int) -> tuple[k.Walked, IntArray]:
    """What a walk counts, and its log, int64[rows, columns]: None of it if there are more than `most` rows.

    `places`: as of `kernels.walk`. `meets`: loops whose steps take time, `rows`: which row of `Walked.steps` counts them.
    `knows`: as of `Notes`.
    """
    s, w = k.blank(t, places)
    crossings, copies = t.crossings.shape[0], int(t.copies_at[-1])
    streams = np.flatnonzero(t.crossings[:, k.UNIT]).astype(np.int64)

    def zeros(*shape: int) -> IntArray:
        return np.zeros(shape, np.int64)

    n = Notes(
        zeros(crossings, copies) - 1, zeros(crossings, copies), zeros(crossings, copies), zeros(crossings, copies), zeros(copies),
        zeros(copies), zeros(copies), zeros(copies), zeros(copies) - 2, zeros(copies), zeros(copies), zeros(meets.size, copies),
        zeros(streams.size, copies), zeros(4, crossings), meets, rows, streams, knows, zeros(crossings, copies), zeros(1),
    )  # fmt: skip
    deep = int(t.crossings[t.crossings[:, k.UNIT] == 0, k.CHILD].max(initial=0))
    log, requests = _record(t, s, w, n, deep, most)
    return w._replace(log=requests[: s.now[k.LOGS]]), log[: n.used[0]]


@njit(error_model="numpy")
def _record(t: k.Tables, s: k.State, w: k.Walked, n: Notes, deep: int, most: int) -> tuple[IntArray, IntArray]:
    """Walk, and note what happens; work is noted at the end of every visit below `deep` levels. Stops when there are too many rows."""
    depth, leaf = t.levels.shape[0], t.facts[k.LEAF]
    pool, logs = [np.zeros((1024, 4), np.int64)], [w.log]
    for _ in range(t.copies_at[depth] if t.facts[k.MERGES] > k.MERGED else 0):
        pool.append(np.zeros((16, 2), np.int64))
    book = [np.zeros((1024, MORE + n.meets.size + n.streams.size), np.int64)]
    d, down = 0, True
    while d >= 0 and n.used[0] <= most:
        if down:
            _before(t, s, w, n, d)
            k._arrive(t, s, w, pool, logs, d)
            _arrived(t, s, w, n, book, d)
            if d == leaf:
                s.now[k.IN_LEAF] = 0
            if d < depth:
                k._open(t, s, w, d)
                down = False
                continue
            k._point(t, s, w, pool, d)
            _made(t, s, w, n, book, s.level[k.COPY, d])
            s.now[k.IN_LEAF] += 1
        elif t.facts[k.PLAIN] and d == depth - 1:
            k._points_together(t, s, w, pool, d)
            _came(t, s, w, n, book, d)
            _made(t, s, w, n, book, s.level[k.COPY, d])
        elif k._turn(t, s, w, d):
            if d == t.facts[k.DEALT]:
                _finish(t, s, w, n, book, pool)
            inner = k._enter(t, s, w, pool, d)
            _came(t, s, w, n, book, d)
            d, down = inner, True
            continue
        if d == t.facts[k.DEALT]:
            _finish(t, s, w, n, book, pool)
        if d == leaf:
            w.issues[s.level[k.COPY, d]] += -(-s.now[k.IN_LEAF] // t.facts[k.LANES])
        for memory in range(t.rooms.shape[0]):
            if t.rooms[memory, k.ABOVE] == d:
                k._hold(t, s, w, memory)
        if d == deep:
            span = t.copies_at[depth] // t.copies_at[d]
            _worked(t, w, n, book, s.level[k.COPY, d] * span, (s.level[k.COPY, d] + 1) * span)
        d, down = d - 1, False
    k._merge(t, s, w, pool, 0, n.issues.size)
    _merge(t, w, n, book, 0, n.issues.size)
    _worked(t, w, n, book, 0, n.issues.size)
    return book[0], logs[0]


@helper(allocates=True)
def _row(n: Notes, book: list[IntArray], kind: int, crossing: int, child: int, parent: int) -> int:
    """A new row of the log; returns its number."""
    row = n.used[0]
    if row == book[0].shape[0]:
        longer = np.zeros((2 * row, book[0].shape[1]), np.int64)
        longer[:row] = book[0]
        book[0] = longer
    log = book[0]
    log[row, KIND], log[row, CROSSING], log[row, CHILD], log[row, PARENT] = kind, crossing, child, parent
    n.used[0] += 1
    return int(row)


@helper()
def _before(t: k.Tables, s: k.State, w: k.Walked, n: Notes, d: int) -> None:
    """Note what the children that stand below d levels have."""
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, k.CHILD] == d and not t.crossings[c, k.UNIT]:
            here, parent = s.level[k.COPY, d], s.level[k.COPY, t.crossings[c, k.PARENT]]
            n.before[_LAST, c], n.before[_ENTERING, c] = s.child[k.LAST, c, here], w.entering[c, here]
            n.before[_GROUPED, c], n.before[_ASKED, c] = w.grouped[c, parent], w.asked_words[c, parent]


@helper(allocates=True)
def _arrived(t: k.Tables, s: k.State, w: k.Walked, n: Notes, book: list[IntArray], d: int) -> None:
    """Note the tiles that have come to children below d levels, and the runs that begin there."""
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, k.CHILD] != d or t.crossings[c, k.UNIT] or c == t.facts[k.WHOLE]:
            continue
        here, parent = s.level[k.COPY, d], s.level[k.COPY, t.crossings[c, k.PARENT]]
        tile = s.child[k.LAST, c, here]
        if tile == n.before[_LAST, c]:
            continue
        if t.crossings[c, k.OPERAND] < 0:
            _begin(t, s, w, n, book, c, here, parent, tile)
        elif w.entering[c, here] > n.before[_ENTERING, c]:
            row = _row(n, book, SENT, c, here, parent)
            log = book[0]
            log[row, TILE], log[row, WORDS] = tile, w.entering[c, here] - n.before[_ENTERING, c]
            log[row, BACK] = w.asked_words[c, parent] - n.before[_ASKED, c]
            log[row, SERVED] = w.grouped[c, parent] - n.before[_GROUPED, c]
            log[row, TOGETHER] = s.level[k.TIME, d] * t.copies_at[t.levels.shape[0]] + k._group(t, s, c, d)
        else:
            _row(n, book, EMPTIED, c, here, parent)
    _came(t, s, w, n, book, d)


@helper(allocates=True)
def _begin(t: k.Tables, s: k.State, w: k.Walked, n: Notes, book: list[IntArray], c: int, here: int, parent: int, tile: int) -> int:
    """A copy begins a tile of the result: what was made of the last one is merged. Returns the row."""
    if t.crossings[c, k.CHILD] == t.facts[k.HOLDER]:
        span = t.copies_at[t.levels.shape[0]] // t.copies_at[t.crossings[c, k.CHILD]]
        _merge(t, w, n, book, here * span, (here + 1) * span)
    row = _row(n, book, BEGUN, c, here, parent)
    book[0][row, TILE], n.begun[c, here] = tile, row
    return row


@helper(allocates=True)
def _came(t: k.Tables, s: k.State, w: k.Walked, n: Notes, book: list[IntArray], d: int) -> None:
    """A turn below d levels: if a tile of the result has come whole, a run begins with the words that it has."""
    if d != t.facts[k.WHOLE_AT]:
        return
    c, here = t.facts[k.WHOLE], s.level[k.COPY, d]
    if s.child[k.HELD, c, here] != n.held[here]:
        n.held[here] = s.child[k.HELD, c, here]
        row = _begin(t, s, w, n, book, c, here, s.level[k.COPY, t.crossings[c, k.PARENT]], n.held[here])
        words = w.whole[k.BROUGHT, here] - n.brought[here]
        n.brought[here] += words
        book[0][row, WORDS] = book[0][row, BACK] = book[0][row, SERVED] = words


@helper(allocates=True)
def _made(t: k.Tables, s: k.State, w: k.Walked, n: Notes, book: list[IntArray], unit: int) -> None:
    """Words of the result have been made: they belong to the runs of the copies that made them."""
    n.listed[unit] = s.copy[k.LISTS, unit] + s.copy[k.LISTED, unit]
    log = book[0]
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, k.OPERAND] >= 0 or t.crossings[c, k.UNIT]:
            continue
        mine, parent = s.level[k.COPY, t.crossings[c, k.CHILD]], s.level[k.COPY, t.crossings[c, k.PARENT]]
        row = n.begun[c, mine]
        if c == t.facts[k.WHOLE]:
            new = w.whole[k.NEW, mine] - n.added[mine]
            n.added[mine] += new
            if new > 0:
                log[row, WORDS] += new
                log[row, SERVED] += new
            continue
        words, served = w.entering[c, mine] - n.entering[c, mine], w.grouped[c, parent] - n.grouped[c, parent]
        new = served
        if t.crossings[c, k.TOLD]:
            new = w.known[c, parent] - n.known[c, parent]
            n.known[c, parent] += new
        elif n.knows[c] >= 0:
            new = w.entering[n.knows[c], parent] - n.newer[c, parent]
            n.newer[c, parent] += new
        n.entering[c, mine] += words
        n.grouped[c, parent] += served
        if words > 0:
            log[row, WORDS] += words
            log[row, SERVED] += served
            log[row, BACK] += served - new


@helper(allocates=True)
def _merge(t: k.Tables, w: k.Walked, n: Notes, book: list[IntArray], first: int, last: int) -> None:
    """Note what copies of the unit from the first to before the last have put in order; the first pass of a merger takes a cycle for all
    that was listed.
    """
    for unit in range(first, last):
        if w.merging[unit] + w.draining[unit] != n.merging[unit] + n.draining[unit]:
            row = _row(n, book, MERGED, -1, unit, -1)
            book[0][row, WORDS] = w.merging[unit] - n.merging[unit]
            book[0][row, BACK] = book[0][row, WORDS] - n.listed[unit] if t.facts[k.MERGES] == k.MERGED else 0
            book[0][row, SERVED] = w.draining[unit] - n.draining[unit]
            n.merging[unit], n.draining[unit] = w.merging[unit], w.draining[unit]


@helper(allocates=True)
def _finish(t: k.Tables, s: k.State, w: k.Walked, n: Notes, book: list[IntArray], pool: list[IntArray]) -> None:
    """The turn that was dealt out last is over."""
    here = s.now[k.CHOSEN]
    k._finish(t, s, w, pool)
    if here >= 0:
        _merge(t, w, n, book, here, here + 1)


@helper(allocates=True)
def _worked(t: k.Tables, w: k.Walked, n: Notes, book: list[IntArray], first: int, last: int) -> None:
    """Note what copies of the unit from the first to before the last have done since, steps and words at the parents included."""
    copies = t.copies_at[t.levels.shape[0]]
    for unit in range(first, last):
        did = w.issues[unit] != n.issues[unit]
        for place in range(n.meets.size):
            at = unit // (copies // t.copies_at[n.meets[place]])
            did = did or w.steps[n.rows[place], n.meets[place], at] != n.steps[place, at]
        for place in range(n.streams.size):
            at = unit // (copies // t.copies_at[t.crossings[n.streams[place], k.PARENT]])
            did = did or w.grouped[n.streams[place], at] != n.moved[place, at]
        if not did:
            continue
        row = _row(n, book, WORKED, -1, unit, -1)
        log = book[0]
        log[row, WORDS], n.issues[unit] = w.issues[unit] - n.issues[unit], w.issues[unit]
        for place in range(n.meets.size):
            at = unit // (copies // t.copies_at[n.meets[place]])
            steps = w.steps[n.rows[place], n.meets[place], at]
            log[row, MORE + place], n.steps[place, at] = steps - n.steps[place, at], steps
        for place in range(n.streams.size):
            at = unit // (copies // t.copies_at[t.crossings[n.streams[place], k.PARENT]])
            words = w.grouped[n.streams[place], at]
            log[row, MORE + n.meets.size + place], n.moved[place, at] = words - n.moved[place, at], words
