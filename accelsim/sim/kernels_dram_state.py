"""What the DRAM kernel remembers of a channel, and the first cycle in which its timings allow a command."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import helper

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

    rank_of: IntArray  # [bank]
    group_of: IntArray  # [bank] groups of all ranks count through
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
def forget(state: State, low: Lowered) -> None:
    """A channel that nothing was sent to."""
    for bank in range(low.ranks * low.groups * low.banks):
        state.group_of[bank] = bank // low.banks
        state.rank_of[bank] = bank // (low.groups * low.banks)
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
def act_limit(state: State, low: Lowered, rank: Int, group: Int) -> Int:
    """The first cycle in which tRRD and tFAW allow an activate."""
    count = state.rank_acts[rank]
    last = state.rank_act[rank, (count + 3) & 3]
    return int(max(last + low.rrd_s, state.group_act[group] + low.rrd_l, state.rank_act[rank, count & 3] + low.faw))


@helper(inline=True)
def column_limit(state: State, low: Lowered, rank: Int, group: Int, bank: Int, write: Int, bus_free: Int, bus_rank: Int) -> Int:
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
def column_floor(state: State, low: Lowered, bus_free: Int) -> Int:
    """A cycle before which no column command is allowed, whatever the bank."""
    floor = FAR
    for rank in range(low.ranks):
        read = max(state.rank_read[rank] + low.ccd_s, state.rank_write[rank] + low.cwl + low.burst + low.wtr_s, bus_free - low.cl)
        write = max(state.rank_write[rank] + low.ccd_s, state.rank_read[rank] + low.rtw, bus_free - low.cwl)
        floor = min(floor, read, write)
    return floor


@helper(inline=True)
def cause(state: State, low: Lowered, rank: Int, group: Int, bank: Int, write: Int, bus_free: Int, bus_rank: Int) -> Int:
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
def shut(state: State, low: Lowered, rank: Int, bank: Int, cycle: Int) -> None:
    """Close a bank; its precharge begins in `cycle`."""
    state.open_row[bank] = SHUT
    state.next_act[bank] = max(state.next_act[bank], cycle + low.rp)
    state.hits[2 * bank] = state.hits[2 * bank + 1] = 0
    state.open_banks[rank] -= 1


@helper(inline=True)
def open_bank(state: State, low: Lowered, rank: Int, group: Int, bank: Int, row: Int, cycle: Int) -> None:
    """Open a row; what waits for it is not counted yet."""
    state.open_row[bank] = row
    state.open_banks[rank] += 1
    state.activated[bank] = state.group_act[group] = cycle
    state.next_act[bank] = cycle + low.rc
    state.next_pre[bank] = cycle + low.ras
    state.rank_act[rank, state.rank_acts[rank] & 3] = cycle
    state.rank_acts[rank] += 1


@helper(inline=True)
def due_next(state: State, low: Lowered, now: Int) -> tuple[Int, Int, Int]:
    """The first cycle of a command of a refresh that is due and the rank that it is for (FAR and -1 if none is), and the next due cycle."""
    first, chosen, due = FAR, -1, FAR
    banks = low.groups * low.banks
    for rank in range(low.ranks):
        if state.due[rank] > now:
            due = min(due, state.due[rank])
            continue
        time = now
        for bank in range(rank * banks, (rank + 1) * banks):
            if state.open_banks[rank] == 0:
                time = max(time, state.next_act[bank])
            elif state.open_row[bank] != SHUT:
                time = max(time, state.next_pre[bank])
        if time < first:
            first, chosen = time, rank
    return first, chosen, due


@helper()
def skip_refreshes(state: State, low: Lowered, until: Int) -> Int:
    """Refresh an idle channel as often as whole intervals fit before `until`; returns the refreshes of each rank, 0 if it is not idle."""
    last = 0
    for rank in range(low.ranks):
        if state.open_banks[rank] > 0:
            return 0
        last = max(last, state.due[rank])
    for bank in range(low.ranks * low.groups * low.banks):
        if state.next_act[bank] > state.due[state.rank_of[bank]]:
            return 0
    times = (until - last) // low.refi
    if times < 1:
        return 0
    for rank in range(low.ranks):
        state.due[rank] += times * low.refi
        state.refreshed[rank] = 1
    return times  # the last of them is an interval before `until`, so no bank remembers it
