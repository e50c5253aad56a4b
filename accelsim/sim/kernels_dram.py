"""The DRAM kernel: serves requests command by command and skips the cycles in which nothing can be sent.

How: every bank, bank group and rank remembers its last commands, so the earliest cycle of the next one is a maximum of a few sums. The
command that can be sent first is sent, refreshes before columns before rows, the oldest request first. `reference_dram.serve` looks at
every cycle instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.sim.kernels_dram_state import (
    ACT,
    ACTIVATES,
    CONFLICTS,
    COUNTERS,
    DATA,
    FAR,
    HITS,
    MISSES,
    PRE,
    PREA,
    PRECHARGES,
    READ,
    REFRESH,
    REFRESHES,
    SHUT,
    TURNS,
    WAITING,
    Int,
    IntArray,
    Lowered,
    State,
    act_limit,
    cause,
    column_floor,
    column_limit,
    due_next,
    forget,
    open_bank,
    shut,
    skip_refreshes,
)


@helper(inline=True)
def _log(log: IntArray, at: Int, cycle: Int, kind: Int, channel: Int, bank: Int, request: Int) -> Int:
    """Write a command down if there is room; returns how many there were."""
    if at < log.shape[0]:
        log[at, 0], log[at, 1], log[at, 2], log[at, 3], log[at, 4] = cycle, kind, channel, bank, request
    return at + 1


@njit()
def serve(
    low: Lowered, fields: IntArray, state: State, arrivals: IntArray, addresses: IntArray, writes: Any, bank_of: Any, row_of: Any,
    after: Any, begun: Any, done: IntArray, log: IntArray,
) -> tuple[IntArray, Int]:
    """Serve all requests; returns the counters int64[channels, COUNTERS], and how many commands were sent.

    arrivals: int64[n] cycles, never falling. addresses: int64[n] of bursts. writes: int8[n]. fields: int64[k, 2], innermost first: which
    of channel, rank, group, bank, row, column (0 to 5), and how many values it has. done: int64[n], written: the cycle by which the last
    beat has crossed the bus. bank_of, row_of, after: int32[n] and begun: uint8[n], scratch. log: int64[any, LOG_COLUMNS], written as far
    as it reaches. Of each request the first command says what it was: a column command a hit, an activate a miss, a precharge a conflict.
    """
    counters = np.zeros((low.channels, COUNTERS), np.int64)
    first = np.full(low.channels, -1, np.int64)
    last = np.full(low.channels, -1, np.int64)
    parts = np.zeros(6, np.int64)
    for request in range(addresses.shape[0]):
        rest = addresses[request]
        for at in range(fields.shape[0]):
            count = fields[at, 1]
            above = rest // count
            parts[fields[at, 0]] = rest - above * count
            rest = above
        channel = parts[0]
        bank_of[request] = (parts[1] * low.groups + parts[2]) * low.banks + parts[3]
        row_of[request] = parts[4]
        after[request] = -1
        begun[request] = 0
        if last[channel] >= 0:
            after[last[channel]] = request
        else:
            first[channel] = request
        last[channel] = request
    sent = 0
    for channel in range(low.channels):
        if first[channel] >= 0:
            sent = _channel(
                low, state, channel, first[channel], arrivals, writes, bank_of, row_of, after, begun, done, log, sent, counters[channel]
            )
    return counters, sent


@helper()
def _channel(
    low: Lowered, state: State, channel: Int, head: Int, arrivals: IntArray, writes: Any, bank_of: Any, row_of: Any, after: Any,
    begun: Any, done: IntArray, log: IntArray, sent: Int, counted: IntArray,
) -> Int:
    """Serve the requests of one channel, a list from `head` along `after`; returns how many commands were sent so far."""
    forget(state, low)
    incoming, queued, passed, scan = head, 0, 0, 0
    now, bus_free, bus_rank, direction = 0, 0, -1, -1
    while head >= 0:
        while queued < low.depth and incoming >= 0 and arrivals[incoming] <= now:
            bank = bank_of[incoming]
            state.waiting[bank] += 1
            if state.open_row[bank] == row_of[incoming]:
                state.hits[2 * bank + writes[incoming]] += 1
            queued += 1
            incoming = after[incoming]
        refresh_time, refresh_rank, horizon = due_next(state, low, now)
        if queued < low.depth and incoming >= 0:
            horizon = min(horizon, arrivals[incoming])
            if queued == 0 and log.shape[0] == 0 and refresh_rank < 0 and low.refreshes:
                times = skip_refreshes(state, low, arrivals[incoming])
                if times > 0:
                    counted[REFRESHES] += times * low.ranks
                    continue

        scan += 1
        starving = passed >= low.overtakes
        heard = min(queued, 1) if starving else queued
        column_time, column, before_column, row_time, row_request = _candidates(
            low, state, head, heard, starving, now, bus_free, bus_rank, scan, writes, bank_of, row_of, after
        )
        time = min(refresh_time, column_time, row_time)
        if horizon <= time:
            now = horizon
            continue
        now = time + 1
        if refresh_time == time:
            sent = _refresh(low, state, channel, refresh_rank, time, log, sent, counted)
        elif column_time == time:
            bank, write = bank_of[column], writes[column]
            rank, group = state.rank_of[bank], state.group_of[bank]
            begins = time + (low.cwl if write else low.cl)
            rest = begins - bus_free
            if rest > 0:
                idle = min(rest, max(0, arrivals[head] + begins - time - bus_free))
                counted[WAITING] += idle
                if rest > idle:
                    counted[cause(state, low, rank, group, bank, write, bus_free, bus_rank)] += rest - idle
            bus_free, bus_rank = begins + low.burst, rank
            done[column] = bus_free
            counted[DATA] += low.burst
            if direction >= 0 and direction != write:
                counted[TURNS] += 1
            direction = int(write)
            if begun[column] == 0:
                counted[HITS] += 1
            _access(low, state, rank, group, bank, write, time, bus_free)
            if low.closes:
                counted[PRECHARGES] += 1
                shut(state, low, rank, bank, state.next_pre[bank])
            sent = _log(log, sent, time, READ + write + 2 * low.closes, channel, bank, column)
            queued -= 1
            if column == head:
                head = after[column]
                passed = 0
            else:
                after[before_column] = after[column]
                passed += 1
        else:
            bank = bank_of[row_request]
            rank, group = state.rank_of[bank], state.group_of[bank]
            if state.open_row[bank] != SHUT:
                counted[PRECHARGES] += 1
                if begun[row_request] == 0:
                    counted[CONFLICTS] += 1
                shut(state, low, rank, bank, time)
                sent = _log(log, sent, time, PRE, channel, bank, row_request)
            else:
                counted[ACTIVATES] += 1
                if begun[row_request] == 0:
                    counted[MISSES] += 1
                limit = act_limit(state, low, rank, group)
                state.limited[bank] = 1 if limit > max(state.next_act[bank], arrivals[row_request]) else 0
                open_bank(state, low, rank, group, bank, row_of[row_request], time)
                _count_hits(state, bank, head, writes, bank_of, row_of, after)
                sent = _log(log, sent, time, ACT, channel, bank, row_request)
            begun[row_request] = 1
    return sent


@helper(inline=True)
def _candidates(
    low: Lowered, state: State, head: Int, queued: Int, starving: Any, now: Int, bus_free: Int, bus_rank: Int, scan: Int, writes: Any,
    bank_of: Any, row_of: Any, after: Any,
) -> tuple[Int, Int, Int, Int, Int]:
    """The column command and the row command of the first `queued` requests that can be sent first, the oldest request first.

    Returns the cycle and the request of the column command and the request before it in the list, and the cycle and the request of the
    row command; FAR and -1 where there is none. Requests for one bank are alike if they hit its open row in one direction, or if they do
    not hit it: the first of each speaks for all, and the scan ends when all have spoken or what is found cannot be beaten.
    """
    floor = max(now, column_floor(state, low, bus_free))
    column_time, column, before_column, row_time, row_request = FAR, -1, -1, FAR, -1
    met, request, before = 0, head, -1
    while met < queued:
        bank, write = bank_of[request], writes[request]
        rank = state.rank_of[bank]
        hit = state.open_row[bank] == row_of[request]
        kind = 3 * bank + (write if hit else 2)
        if state.seen[kind] != scan:
            state.seen[kind] = scan
            hits = state.hits[2 * bank] + state.hits[2 * bank + 1]
            met += state.hits[2 * bank + write] if hit else state.waiting[bank] - hits
            if state.due[rank] > now:
                group = state.group_of[bank]
                if hit:
                    if column_time > floor:
                        time = max(now, column_limit(state, low, rank, group, bank, write, bus_free, bus_rank))
                        if time < column_time:
                            column_time, column, before_column = time, request, before
                elif row_time > now:
                    time = FAR
                    if state.open_row[bank] == SHUT:
                        time = max(now, state.next_act[bank], act_limit(state, low, rank, group))
                    elif hits == 0 or starving:
                        time = max(now, state.next_pre[bank])
                    if time < row_time:
                        row_time, row_request = time, request
        if column_time == now or (row_time == now and (floor > now or column_time <= floor)):
            break
        before = request
        request = after[request]
    return column_time, column, before_column, row_time, row_request


@helper(inline=True)
def _refresh(low: Lowered, state: State, channel: Int, rank: Int, time: Int, log: IntArray, sent: Int, counted: IntArray) -> Int:
    """Close all banks of a rank, or refresh it if none is open; returns how many commands were sent."""
    banks = low.groups * low.banks
    start = rank * banks
    if state.open_banks[rank] > 0:
        counted[PRECHARGES] += state.open_banks[rank]
        for bank in range(start, start + banks):
            if state.open_row[bank] != SHUT:
                shut(state, low, rank, bank, time)
        return _log(log, sent, time, PREA, channel, start, -1)
    counted[REFRESHES] += 1
    state.due[rank] += low.refi
    state.refreshed[rank] = 1
    for bank in range(start, start + banks):
        state.next_act[bank] = time + low.rfc
    return _log(log, sent, time, REFRESH, channel, start, -1)


@helper(inline=True)
def _access(low: Lowered, state: State, rank: Int, group: Int, bank: Int, write: Int, time: Int, finished: Int) -> None:
    """Remember a column command whose last beat crosses the bus by `finished`."""
    if write:
        state.rank_write[rank] = state.group_write[group] = time
        state.next_pre[bank] = max(state.next_pre[bank], finished + low.wr)
    else:
        state.rank_read[rank] = state.group_read[group] = time
        state.next_pre[bank] = max(state.next_pre[bank], time + low.rtp)
    state.waiting[bank] -= 1
    state.hits[2 * bank + write] -= 1
    for each in range(low.ranks):
        state.refreshed[each] = 0


@helper(inline=True)
def _count_hits(state: State, bank: Int, head: Int, writes: Any, bank_of: Any, row_of: Any, after: Any) -> None:
    """Count the requests in the window that wait for the row that was just opened."""
    left, request = state.waiting[bank], head
    while left > 0:
        if bank_of[request] == bank:
            left -= 1
            if row_of[request] == state.open_row[bank]:
                state.hits[2 * bank + writes[request]] += 1
        request = after[request]
