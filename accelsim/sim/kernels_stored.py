"""The log of a walk over stored elements as tasks that wait for each other, and their run. Source: docs/sparse.md, "Simulation"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.sparse.kernels_record import BACK, BEGUN, CHILD, CROSSING, EMPTIED, KIND, MERGED, PARENT, SENT, SERVED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    ShortArray = NDArray[np.int32]

# Kinds of tasks: a tile comes to a copy, into its parent first; it is used no longer; room for a tile of the result, with what comes back
# of it; that leaves; lists are merged; a copy of the unit works.
LOAD, FETCH, RELEASE, OPEN, DRAIN, MERGE, COMPUTE = range(7)
# Columns of Plan.crossings: how many of the finest copies one of the child and of the parent stands for; tiles held at once; the crossing
# into the parent, of operands and results (-1: none); whether it is that of a result; whether the child is a cache or fetches on demand;
# whether it is the innermost of its tensor; the wait of what comes from its parent.
SPAN, PARENT_SPAN, PLACES, OUTER, RESULT, PASSED, INNERMOST, LATENCY = range(8)
# Columns of what crossings ask for, of Plan.ports: the first resource of the parent that reads and that writes, and of the child.
READS, WRITES, READ_INSIDE, WRITTEN_INSIDE = range(4)


class Plan(NamedTuple):
    """What does not change from firing to firing (int64).

    `crossings[crossings, 8]`, `ports[crossings, 4]` (-1: no limit): see this module. `work`: the first resource of the unit and of
    merging, ticks of its latency, the first resource of draining. `met[meets, 3]`: first resource, how many of the finest copies one of
    its copies stands for, how many resources. `streams[streams, 2]`: crossing of the unit, whether it is that of the result.
    """

    crossings: IntArray
    ports: IntArray
    work: IntArray
    met: IntArray
    streams: IntArray


class Ticks(NamedTuple):
    """What rows of the log ask for, in ticks (int64[rows], but `more`).

    `out`, `into`: of the parent's port and the child's, for what is sent or leaves. `back_out`, `back_into`: the same for what comes
    back, or is brought to the parent first (`fetched`: whether anything is). `work`: of issues and of merging, `later`: of that, passes
    after the first (`into`: of emptying queues). `more[rows, meets + streams + 1]`: of steps, of words to or from the unit, and of
    words that come back to it.
    `earlier`: of what is begun, the row of the last run on the same tile; of what is sent, the row of the first that is sent together with
    it; `brought`: of what is sent, the row at which its parent was brought it; -1: none.
    """

    out: IntArray
    into: IntArray
    back_out: IntArray
    back_into: IntArray
    fetched: IntArray
    work: IntArray
    later: IntArray
    more: IntArray
    earlier: IntArray
    brought: IntArray


class Tasks(NamedTuple):
    """Tasks in the order of the walk: `about[tasks, 4]`, kind, crossing, finest copy, row; `wait` and `tail`, ticks before and after.

    `asks[tasks + 1]`: where the requests of each begin in `requests[., 2]`, resource and ticks. `edges[., 3]`: a task, one that waits for
    it, and whether that waits only until it may begin.
    """

    about: IntArray
    wait: IntArray
    tail: IntArray
    asks: IntArray
    requests: IntArray
    edges: ShortArray


class Building(NamedTuple):
    """Where building stands: counts (tasks, requests, edges), and by crossing and copy what there is now."""

    used: IntArray
    loads: IntArray
    using: IntArray
    releases: IntArray
    opens: IntArray
    drains: IntArray
    latest: IntArray
    first: IntArray
    of_row: IntArray
    fetches: IntArray


@helper()
def _task(a: Tasks, b: Building, kind: int, crossing: int, copy: int, row: int) -> int:
    """A new task; its requests follow."""
    task = b.used[0]
    a.about[task, 0], a.about[task, 1], a.about[task, 2], a.about[task, 3] = kind, crossing, copy, row
    a.asks[task], a.asks[task + 1] = b.used[1], b.used[1]
    b.used[0] += 1
    return int(task)


@helper()
def _ask(a: Tasks, b: Building, resource: int, ticks: int) -> None:
    """A request of the newest task."""
    if resource >= 0 and ticks > 0:
        a.requests[b.used[1], 0], a.requests[b.used[1], 1] = resource, ticks
        b.used[1] += 1
        a.asks[b.used[0]] = b.used[1]


@helper()
def _edge(a: Tasks, b: Building, before: int, after: int, begins: bool = False) -> None:
    if before >= 0 and after >= 0:
        a.edges[b.used[2], 0], a.edges[b.used[2], 1], a.edges[b.used[2], 2] = before, after, begins
        b.used[2] += 1


@njit(error_model="numpy")
def build(p: Plan, log: IntArray, ticks: Ticks, copies: int, places: int) -> Tasks:
    """Tasks of a log. copies: of the unit; places: tiles that a copy holds at most."""
    rows, crossings = log.shape[0], p.crossings.shape[0]
    most = 3 * rows + 1
    asked = 2 * most + rows * (1 + p.met.shape[0] + p.streams.shape[0] + 1)
    a = Tasks(
        np.zeros((most, 4), np.int64), np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most + 1, np.int64),
        np.zeros((asked, 2), np.int64), np.zeros((rows * (11 + 2 * crossings), 3), np.int32),
    )  # fmt: skip
    b = Building(
        np.zeros(3, np.int64), np.full((crossings, copies), -1), np.full((crossings, copies), -1),
        np.full((crossings, copies, places), -1), np.full((crossings, copies), -1), np.full((crossings, copies, places), -1),
        np.full(copies, -1), np.full(copies, -1), np.full(rows, -1), np.full(rows, -1),
    )  # fmt: skip
    for row in range(rows):
        kind = log[row, KIND]
        if kind == SENT:
            _sent(p, a, b, log, ticks, row)
        elif kind == EMPTIED:
            b.loads[log[row, CROSSING], log[row, CHILD]] = b.using[log[row, CROSSING], log[row, CHILD]] = -1
        elif kind == BEGUN:
            _begun(p, a, b, log, ticks, row)
        elif kind == MERGED:
            _merged(p, a, b, log, ticks, row)
        else:
            _worked(p, a, b, log, ticks, row)
    tasks = b.used[0]
    return Tasks(a.about[:tasks], a.wait[:tasks], a.tail[:tasks], a.asks[: tasks + 1], a.requests[: b.used[1]], a.edges[: b.used[2]])


@helper()
def _shift(held: IntArray, newest: int) -> None:
    """One more of the last tiles of a copy, the newest first."""
    for place in range(held.size - 1, 0, -1):
        held[place] = held[place - 1]
    held[0] = newest


@helper()
def _sent(p: Plan, a: Tasks, b: Building, log: IntArray, ticks: Ticks, row: int) -> None:
    """A tile comes to a copy, once one that it holds is used no longer and its parent has it."""
    c, here, parent = log[row, CROSSING], log[row, CHILD], log[row, PARENT]
    outer, free = p.crossings[c, OUTER], b.releases[c, here, p.crossings[c, PLACES] - 1]
    if ticks.fetched[row]:
        fetch = _task(a, b, FETCH, outer, here * p.crossings[c, SPAN], row)
        a.tail[fetch] = p.crossings[outer, LATENCY]
        _ask(a, b, _at(p, outer, READS, parent * p.crossings[c, PARENT_SPAN] // p.crossings[outer, PARENT_SPAN]), ticks.back_out[row])
        _ask(a, b, _at(p, outer, WRITTEN_INSIDE, parent), ticks.back_into[row])
        _edge(a, b, free, fetch)
        _edge(a, b, b.loads[outer, parent], fetch)
        before = p.crossings[outer, OUTER]
        if before >= 0:
            _edge(a, b, fetch, b.using[before, parent * p.crossings[c, PARENT_SPAN] // p.crossings[outer, PARENT_SPAN]])
        b.fetches[row] = fetch
    load = _task(a, b, LOAD, c, here * p.crossings[c, SPAN], row)
    a.tail[load] = p.crossings[c, LATENCY] if log[row, SERVED] > 0 and not p.crossings[c, PASSED] else 0
    _ask(a, b, _at(p, c, READS, parent), ticks.out[row])
    _ask(a, b, _at(p, c, WRITTEN_INSIDE, here), ticks.into[row])
    release = _task(a, b, RELEASE, c, here * p.crossings[c, SPAN], row)
    _edge(a, b, free, load)
    _edge(a, b, load, release)
    _edge(a, b, b.releases[c, here, 0], release)
    if outer >= 0:
        _edge(a, b, b.loads[outer, parent], load)
        _edge(a, b, load, b.using[outer, parent])
    if ticks.brought[row] >= 0:
        _edge(a, b, b.fetches[ticks.brought[row]], load)
    if ticks.earlier[row] >= 0:  # another copy is sent it too, and first
        _edge(a, b, b.of_row[ticks.earlier[row]], load)
    b.loads[c, here] = b.of_row[row] = load
    b.using[c, here] = release
    _shift(b.releases[c, here], release)


@helper()
def _at(p: Plan, c: int, port: int, copy: int) -> int:
    """A port of a copy of a crossing's parent or child, -1 if it has no limit."""
    first = p.ports[c, port]
    return int(first + copy) if first >= 0 else -1


@helper()
def _begun(p: Plan, a: Tasks, b: Building, log: IntArray, ticks: Ticks, row: int) -> None:
    """A copy begins a tile of the result, once another has left; what comes back of it was sent before."""
    c, here, parent = log[row, CROSSING], log[row, CHILD], log[row, PARENT]
    outer, places = p.crossings[c, OUTER], p.crossings[c, PLACES]
    opened = _task(a, b, OPEN, c, here * p.crossings[c, SPAN], row)
    a.tail[opened] = p.crossings[c, LATENCY] if log[row, BACK] > 0 else 0
    _ask(a, b, _at(p, c, READS, parent), ticks.back_out[row])
    _ask(a, b, _at(p, c, WRITTEN_INSIDE, here), ticks.back_into[row])
    drain = _task(a, b, DRAIN, c, here * p.crossings[c, SPAN], row)
    a.wait[drain] = p.work[2] if p.crossings[c, INNERMOST] else 0
    _ask(a, b, _at(p, c, READ_INSIDE, here), ticks.into[row])
    _ask(a, b, _at(p, c, WRITES, parent), ticks.out[row])
    _edge(a, b, b.drains[c, here, places - 1], opened)
    _edge(a, b, opened, drain)
    if ticks.earlier[row] >= 0:
        _edge(a, b, b.of_row[ticks.earlier[row]], opened)
    if outer >= 0:
        _edge(a, b, b.opens[outer, parent], opened)
        _edge(a, b, drain, b.drains[outer, parent, 0])
    b.opens[c, here], b.of_row[row] = opened, drain
    _shift(b.drains[c, here], drain)


@helper()
def _merged(p: Plan, a: Tasks, b: Building, log: IntArray, ticks: Ticks, row: int) -> None:
    """Lists are merged while they come, from the first work on; later passes begin, and queues are emptied, when the last of them is
    there; then the tile leaves.
    """
    unit = log[row, CHILD]
    first = _task(a, b, MERGE, -1, unit, row)
    _ask(a, b, p.work[1] + unit, ticks.work[row] - ticks.later[row])
    last = _task(a, b, MERGE, -1, unit, row)
    _ask(a, b, p.work[1] + unit, ticks.later[row])
    _ask(a, b, p.work[3] + unit, ticks.into[row])
    _edge(a, b, b.first[unit], first, True)
    _edge(a, b, first, last)
    _edge(a, b, b.latest[unit], last)
    b.first[unit] = -1
    for c in range(p.crossings.shape[0]):
        if p.crossings[c, INNERMOST] and p.crossings[c, RESULT]:
            _edge(a, b, last, b.drains[c, unit // p.crossings[c, SPAN], 0])


@helper()
def _worked(p: Plan, a: Tasks, b: Building, log: IntArray, ticks: Ticks, row: int) -> None:
    """A copy of the unit works on the tiles that are there, after what it did before."""
    unit = log[row, CHILD]
    work = _task(a, b, COMPUTE, -1, unit, row)
    _ask(a, b, p.work[0] + unit, ticks.work[row])
    meets, streams = p.met.shape[0], p.streams.shape[0]
    for place in range(meets):
        _ask(a, b, p.met[place, 0] + unit // p.met[place, 1], ticks.more[row, place])
    for place in range(streams):
        c = p.streams[place, 0]
        at = unit // p.crossings[c, PARENT_SPAN]
        _ask(a, b, _at(p, c, WRITES if p.streams[place, 1] else READS, at), ticks.more[row, meets + place])
        if p.streams[place, 1]:
            _ask(a, b, _at(p, c, READS, at), ticks.more[row, meets + streams])
    _edge(a, b, b.latest[unit], work)
    b.latest[unit] = work
    if b.first[unit] < 0:
        b.first[unit] = work
    for c in range(p.crossings.shape[0]):
        if not p.crossings[c, INNERMOST]:
            continue
        here = unit // p.crossings[c, SPAN]
        if p.crossings[c, RESULT]:
            _edge(a, b, b.opens[c, here], work)
            _edge(a, b, work, b.drains[c, here, 0])
        else:
            _edge(a, b, b.loads[c, here], work)
            _edge(a, b, work, b.using[c, here])


@njit(error_model="numpy")
def run(a: Tasks, since: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Let tasks fire when all that they wait for has ended; resources serve one at a time, in the order in which tasks may begin.
    since: from when on each of them is free.

    Returns by task when it may begin, when it begins and ends, which task it waited for last (-1: none) and which resource ended last (-1:
    none); and busy ticks by resource. All begin is -1 where tasks wait for each other.
    """
    tasks = a.wait.shape[0]
    many, begins = np.zeros(tasks, np.int64), np.zeros(tasks + 1, np.int64)
    for edge in range(a.edges.shape[0]):
        many[a.edges[edge, 1]] += 1
        begins[a.edges[edge, 0] + 1] += 1
    for task in range(tasks):
        begins[task + 1] += begins[task]
    after, place = np.zeros((a.edges.shape[0], 2), np.int32), begins[:-1].copy()
    for edge in range(a.edges.shape[0]):
        after[place[a.edges[edge, 0]]] = a.edges[edge, 1:]
        place[a.edges[edge, 0]] += 1
    when, late = np.zeros(tasks, np.int64), np.full((tasks, 2), -1)
    span = np.full((tasks, 2), -1)
    free, busy = since.copy(), since.copy()
    heap, used = np.zeros((tasks, 2), np.int64), 0
    for task in range(tasks):
        if many[task] == 0:
            when[task] = a.wait[task]
            used = _push(heap, used, when[task], task)
    while used > 0:
        ready, task = heap[0, 0], heap[0, 1]
        used = _pop(heap, used)
        begun, ended = ready, ready
        for request in range(a.asks[task], a.asks[task + 1]):
            resource, ticks = a.requests[request, 0], a.requests[request, 1]
            first = max(ready, free[resource])
            free[resource] = first + ticks
            busy[resource] += ticks
            if free[resource] > ended:
                begun, ended, late[task, 1] = first, free[resource], resource
        ended += a.tail[task]
        span[task, 0], span[task, 1] = begun, ended
        for at in range(begins[task], begins[task + 1]):
            other, passed = after[at, 0], ready if after[at, 1] else ended
            many[other] -= 1
            if passed + a.wait[other] >= when[other]:
                when[other], late[other, 0] = passed + a.wait[other], task
            if many[other] == 0:
                used = _push(heap, used, when[other], other)
    return when, span, late, busy, free


@helper()
def _push(heap: IntArray, used: int, ready: int, task: int) -> int:
    """One more entry of a heap by time, then number."""
    at = used
    while at > 0:
        above = (at - 1) // 2
        if heap[above, 0] < ready or (heap[above, 0] == ready and heap[above, 1] < task):
            break
        heap[at, 0], heap[at, 1] = heap[above, 0], heap[above, 1]
        at = above
    heap[at, 0], heap[at, 1] = ready, task
    return int(used + 1)


@helper()
def _pop(heap: IntArray, used: int) -> int:
    """The first entry of a heap leaves."""
    used -= 1
    ready, task, at = heap[used, 0], heap[used, 1], 0
    while True:
        below = 2 * at + 1
        if below >= used:
            break
        other = below + 1
        if other < used and (heap[other, 0] < heap[below, 0] or (heap[other, 0] == heap[below, 0] and heap[other, 1] < heap[below, 1])):
            below = other
        if ready < heap[below, 0] or (ready == heap[below, 0] and task < heap[below, 1]):
            break
        heap[at, 0], heap[at, 1] = heap[below, 0], heap[below, 1]
        at = below
    heap[at, 0], heap[at, 1] = ready, task
    return int(used)
