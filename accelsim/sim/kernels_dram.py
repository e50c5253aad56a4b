"""The DRAM kernel: serves requests command by command and skips the cycles in which nothing can be sent.

How: every bank, bank group and rank remembers its last commands, so the earliest cycle of the next one is a maximum of a few sums. The
command that can be sent first is sent, refreshes before columns before rows, the oldest request first. `reference_dram.serve` looks at
every cycle instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import helper, njit

Int: TypeAlias = int
IntArray: TypeAlias = npt.NDArray[np.int64]

# Columns of the counters, and what a cycle of a channel is called: data, or why the data bus rested.
ACTIVATES, PRECHARGES, REFRESHES, HITS, MISSES, CONFLICTS, TURNS = 0, 1, 2, 3, 4, 5, 6
DATA, WAITING, REFRESHING, TURNING, COLUMNS, RATE, ROWS = 7, 8, 9, 10, 11, 12, 13
COUNTERS = 14
# Kinds of commands in a log.
ACT, PRE, PREA, READ, WRITE, READ_CLOSING, WRITE_CLOSING, REFRESH = 0, 1, 2, 3, 4, 5, 6, 7
LOG_COLUMNS = 5  # cycle, kind, channel, bank of the channel (of REFRESH and PREA: the first of the rank), request or -1
NEVER = -(2**61)
FAR = 2**61
SHUT = -1  # the open row of a closed bank


class Lowered(NamedTuple):
    """What the kernel knows of a DRAM and a policy: sizes, timings in cycles, and the address map innermost field first."""

    channels: Int
    ranks: Int
    groups: Int
    banks: Int
    burst: Int
    cl: Int
    cwl: Int
    rcd: Int
    rcd_wr: Int
    rp: Int
    ras: Int
    rc: Int
    rtp: Int
    wr: Int
    ccd_s: Int
    ccd_l: Int
    ccd_l_wr: Int
    rrd_s: Int
    rrd_l: Int
    faw: Int
    wtr_s: Int
    wtr_l: Int
    rtw: Int
    rtrs: Int
    refi: Int
    rfc: Int
    depth: Int
    overtakes: Int
    closes: Int
    refreshes: Int


class State(NamedTuple):
    """Last commands of one channel: int64, by bank, by group and by rank; NEVER where there was none."""

    open_row: IntArray  # [bank], SHUT where closed
    activated: IntArray  # [bank]
    limited: IntArray  # [bank] 1 if tRRD or tFAW held the activate back when its bank and its request were ready
    next_act: IntArray  # [bank] by what its bank did
    next_pre: IntArray  # [bank]
    waiting: IntArray  # [bank] requests in the window
    hits: IntArray  # [2 * bank + write] requests in the window for the open row
    seen: IntArray  # [3 * bank + 0 read hit, 1 write hit, 2 other] the last scan that met one
    group_act: IntArray  # [group]
    group_read: IntArray  # [group]
    group_write: IntArray  # [group]
    rank_act: IntArray  # [rank, 4] the last four, in turn
    rank_acts: IntArray  # [rank] how many
    rank_read: IntArray  # [rank]
    rank_write: IntArray  # [rank]
    open_banks: IntArray  # [rank]
    due: IntArray  # [rank] cycle of the next refresh
    refreshed: IntArray  # [rank] 1 if refreshed since the channel's last column command


@helper()
def _forget(state: State, low: Lowered) -> None:
    """A channel that nothing was sent to."""
    state.open_row[:] = SHUT
    for times in (state.activated, state.next_act, state.next_pre, state.group_act, state.group_read, state.group_write):
        times[:] = NEVER
    for times in (state.rank_read, state.rank_write):
        times[:] = NEVER
    state.rank_act[:] = NEVER
    for counts in (state.limited, state.waiting, state.hits, state.seen, state.rank_acts, state.open_banks, state.refreshed):
        counts[:] = 0
    for rank in range(low.ranks):
        state.due[rank] = low.refi + rank * low.refi // low.ranks if low.refreshes else FAR


@helper(inline=True)
def _act_limit(state: State, low: Lowered, rank: Int, group: Int) -> Int:
    """The first cycle in which tRRD and tFAW allow an activate."""
    count = state.rank_acts[rank]
    last = state.rank_act[rank, (count + 3) % 4]
    return int(max(last + low.rrd_s, state.group_act[group] + low.rrd_l, state.rank_act[rank, count % 4] + low.faw))


@helper(inline=True)
def _column_limit(state: State, low: Lowered, rank: Int, group: Int, bank: Int, write: Int, bus_free: Int, bus_rank: Int) -> Int:
    """The first cycle in which a column command of an open bank is allowed."""
    bus = bus_free + (low.rtrs if bus_rank >= 0 and bus_rank != rank else 0)
    if write:
        same = max(state.rank_write[rank] + low.ccd_s, state.group_write[group] + low.ccd_l_wr)
        return int(max(state.activated[bank] + low.rcd_wr, same, state.rank_read[rank] + low.rtw, bus - low.cwl))
    written = low.cwl + low.burst
    same = max(state.rank_read[rank] + low.ccd_s, state.group_read[group] + low.ccd_l)
    other = max(state.rank_write[rank] + written + low.wtr_s, state.group_write[group] + written + low.wtr_l)
    return int(max(state.activated[bank] + low.rcd, same, other, bus - low.cl))


@helper(inline=True)
def _column_floor(state: State, low: Lowered, bus_free: Int) -> Int:
    """A cycle before which no column command is allowed, whatever the bank."""
    floor = FAR
    for rank in range(low.ranks):
        read = max(state.rank_read[rank] + low.ccd_s, state.rank_write[rank] + low.cwl + low.burst + low.wtr_s, bus_free - low.cl)
        write = max(state.rank_write[rank] + low.ccd_s, state.rank_read[rank] + low.rtw, bus_free - low.cwl)
        floor = min(floor, read, write)
    return floor


@helper(inline=True)
def _cause(state: State, low: Lowered, rank: Int, group: Int, bank: Int, write: Int, bus_free: Int, bus_rank: Int) -> Int:
    """Why the data bus rested before a column command that is about to be sent."""
    if state.refreshed[rank]:
        return REFRESHING
    switch = bus_free + low.rtrs - (low.cwl if write else low.cl) if bus_rank >= 0 and bus_rank != rank else NEVER
    if write:
        rows = state.activated[bank] + low.rcd_wr
        columns = max(state.rank_write[rank] + low.ccd_s, state.group_write[group] + low.ccd_l_wr)
        turn = max(switch, state.rank_read[rank] + low.rtw)
    else:
        rows = state.activated[bank] + low.rcd
        columns = max(state.rank_read[rank] + low.ccd_s, state.group_read[group] + low.ccd_l)
        written = low.cwl + low.burst
        turn = max(switch, state.rank_write[rank] + written + low.wtr_s, state.group_write[group] + written + low.wtr_l)
    if turn >= columns and turn >= rows:
        return TURNING
    if columns >= rows:
        return COLUMNS
    return RATE if state.limited[bank] else ROWS


@helper(inline=True)
def _shut(state: State, low: Lowered, rank: Int, bank: Int, cycle: Int) -> None:
    """Close a bank; its precharge begins in `cycle`."""
    state.open_row[bank] = SHUT
    state.next_act[bank] = max(state.next_act[bank], cycle + low.rp)
    state.hits[2 * bank] = state.hits[2 * bank + 1] = 0
    state.open_banks[rank] -= 1


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
    _forget(state, low)
    of_rank = low.groups * low.banks  # banks of a rank
    incoming, queued = head, 0
    now, bus_free, bus_rank, direction = 0, 0, -1, -1
    passed, scan = 0, 0
    while head >= 0:
        while queued < low.depth and incoming >= 0 and arrivals[incoming] <= now:
            bank = bank_of[incoming]
            state.waiting[bank] += 1
            if state.open_row[bank] == row_of[incoming]:
                state.hits[2 * bank + writes[incoming]] += 1
            queued += 1
            incoming = after[incoming]
        horizon = FAR  # when a request arrives or a refresh falls due
        if queued < low.depth and incoming >= 0:
            horizon = arrivals[incoming]
        first_time, first_rank = FAR, -1  # of refreshing
        for rank in range(low.ranks):
            if state.due[rank] > now:
                horizon = min(horizon, state.due[rank])
                continue
            time = now
            for bank in range(rank * of_rank, (rank + 1) * of_rank):
                if state.open_banks[rank] == 0:
                    time = max(time, state.next_act[bank])
                elif state.open_row[bank] != SHUT:
                    time = max(time, state.next_pre[bank])
            if time < first_time:
                first_time, first_rank = time, rank

        starving = passed >= low.overtakes
        floor = max(now, _column_floor(state, low, bus_free))
        column_time, column, before_column, row_time, row_request = FAR, -1, -1, FAR, -1
        scan += 1
        met, request, before = 0, head, -1
        while met < queued:
            bank, write = bank_of[request], writes[request]
            rank = bank // of_rank
            kind = 3 * bank + (write if state.open_row[bank] == row_of[request] else 2)
            if state.seen[kind] != scan:
                state.seen[kind] = scan
                hits = state.hits[2 * bank] + state.hits[2 * bank + 1]
                met += state.waiting[bank] - hits if kind == 3 * bank + 2 else state.hits[2 * bank + write]
                if state.due[rank] > now:
                    group = bank // low.banks
                    if kind != 3 * bank + 2:
                        if column_time > floor:
                            time = max(now, _column_limit(state, low, rank, group, bank, write, bus_free, bus_rank))
                            if time < column_time:
                                column_time, column, before_column = time, request, before
                    elif row_time > now:
                        time = FAR
                        if state.open_row[bank] == SHUT:
                            time = max(now, state.next_act[bank], _act_limit(state, low, rank, group))
                        elif hits == 0 or starving:
                            time = max(now, state.next_pre[bank])
                        if time < row_time:
                            row_time, row_request = time, request
            if starving or column_time == now or (row_time == now and (floor > now or column_time <= floor)):
                break
            before = request
            request = after[request]

        time = min(first_time, column_time, row_time)
        if horizon <= time:
            now = horizon
            continue
        now = time + 1
        if first_time == time:
            start = first_rank * of_rank
            if state.open_banks[first_rank] > 0:
                counted[PRECHARGES] += state.open_banks[first_rank]
                for bank in range(start, start + of_rank):
                    if state.open_row[bank] != SHUT:
                        _shut(state, low, first_rank, bank, time)
                sent = _log(log, sent, time, PREA, channel, start, -1)
            else:
                counted[REFRESHES] += 1
                state.due[first_rank] += low.refi
                state.refreshed[first_rank] = 1
                for bank in range(start, start + of_rank):
                    state.next_act[bank] = time + low.rfc
                sent = _log(log, sent, time, REFRESH, channel, start, -1)
        elif column_time == time:
            bank, write = bank_of[column], writes[column]
            rank, group = bank // of_rank, bank // low.banks
            begins = time + (low.cwl if write else low.cl)
            rest = begins - bus_free
            if rest > 0:
                idle = min(rest, max(0, arrivals[head] + begins - time - bus_free))
                counted[WAITING] += idle
                if rest > idle:
                    counted[_cause(state, low, rank, group, bank, write, bus_free, bus_rank)] += rest - idle
            bus_free, bus_rank = begins + low.burst, rank
            done[column] = bus_free
            counted[DATA] += low.burst
            if direction >= 0 and direction != write:
                counted[TURNS] += 1
            direction = int(write)
            if begun[column] == 0:
                counted[HITS] += 1
            if write:
                state.rank_write[rank] = state.group_write[group] = time
                state.next_pre[bank] = max(state.next_pre[bank], bus_free + low.wr)
            else:
                state.rank_read[rank] = state.group_read[group] = time
                state.next_pre[bank] = max(state.next_pre[bank], time + low.rtp)
            state.waiting[bank] -= 1
            state.hits[2 * bank + write] -= 1
            for each in range(low.ranks):
                state.refreshed[each] = 0
            if low.closes:
                counted[PRECHARGES] += 1
                _shut(state, low, rank, bank, state.next_pre[bank])
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
            rank, group = bank // of_rank, bank // low.banks
            if state.open_row[bank] != SHUT:
                counted[PRECHARGES] += 1
                if begun[row_request] == 0:
                    counted[CONFLICTS] += 1
                _shut(state, low, rank, bank, time)
                sent = _log(log, sent, time, PRE, channel, bank, row_request)
            else:
                counted[ACTIVATES] += 1
                if begun[row_request] == 0:
                    counted[MISSES] += 1
                limit = _act_limit(state, low, rank, group)
                state.limited[bank] = 1 if limit > max(state.next_act[bank], arrivals[row_request]) else 0
                row = row_of[row_request]
                state.open_row[bank] = row
                state.open_banks[rank] += 1
                state.activated[bank] = time
                state.next_act[bank] = time + low.rc
                state.next_pre[bank] = time + low.ras
                state.group_act[group] = time
                state.rank_act[rank, state.rank_acts[rank] % 4] = time
                state.rank_acts[rank] += 1
                left, request = state.waiting[bank], head
                while left > 0:
                    if bank_of[request] == bank:
                        left -= 1
                        if row_of[request] == row:
                            state.hits[2 * bank + writes[request]] += 1
                    request = after[request]
                sent = _log(log, sent, time, ACT, channel, bank, row_request)
            begun[row_request] = 1
    return sent
