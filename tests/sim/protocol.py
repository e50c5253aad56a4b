"""What a DRAM accepts: every pair of commands of a trace against the distance that its timings ask for, and what else must hold.

Written from the standards' view of a trace: nothing of the kernel or of its twin is used, and no schedule is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from accelsim.hardware.dram import AddressMap, Dram, Policy
from accelsim.sim.serving import Command


@dataclass(frozen=True, slots=True)
class Event:
    """What one bank is told and when; an access that closes its row is two events, a command to a rank one for each bank."""

    cycle: int
    kind: str  # ACT, PRE, RD, WR, REF
    rank: int
    group: int
    bank: int
    row: int = -1


def least(dram: Dram, first: Event, second: Event) -> int:
    """The fewest cycles from one event to a later one of the same channel, whatever lies between them; 0 if the pair is free."""
    t, beats = dram.timings, dram.burst_length // dram.beats_per_cycle
    if first.rank != second.rank:
        return 0
    group = first.group == second.group
    bank = group and first.bank == second.bank
    match first.kind, second.kind:
        case "ACT", "ACT":
            return max(t.tRRD_S, t.tRRD_L if group else 0, t.tRC if bank else 0)
        case "RD", "RD":
            return max(t.tCCD_S, t.tCCD_L if group else 0)
        case "WR", "WR":
            return max(t.tCCD_S, t.tCCD_L_WR if group else 0)
        case "RD", "WR":
            return t.tRTW
        case "WR", "RD":
            return t.tCWL + beats + max(t.tWTR_S, t.tWTR_L if group else 0)
    if not bank:
        return 0
    return {
        ("ACT", "RD"): t.tRCD,
        ("ACT", "WR"): t.tRCD_WR,
        ("ACT", "PRE"): t.tRAS,
        ("ACT", "REF"): t.tRC,
        ("PRE", "ACT"): t.tRP,
        ("PRE", "REF"): t.tRP,
        ("REF", "ACT"): t.tRFC,
        ("REF", "REF"): t.tRFC,
        ("RD", "PRE"): t.tRTP,
        ("WR", "PRE"): t.tCWL + beats + t.tWR,
    }.get((first.kind, second.kind), 0)


def events(dram: Dram, trace: Sequence[Command]) -> Iterator[Event]:
    """The events of one channel; a row that an access closes is closed as soon as tRAS, tRTP and tWR allow it."""
    t, beats = dram.timings, dram.burst_length // dram.beats_per_cycle
    opened: dict[tuple[int, int, int], int] = {}
    for command in trace:
        where = command.rank, command.group, command.bank
        kind = command.kind.removesuffix("A")
        if command.kind in ("PREA", "REF"):
            for group in range(dram.groups):
                for bank in range(dram.banks):
                    if kind == "REF" or (command.rank, group, bank) in opened:
                        opened.pop((command.rank, group, bank), None)
                        yield Event(command.cycle, kind, command.rank, group, bank)
            continue
        yield Event(command.cycle, kind, *where, command.row)
        if kind == "ACT":
            opened[where] = command.cycle
        elif kind == "PRE":
            opened.pop(where, None)
        elif command.kind.endswith("A"):
            ready = command.cycle + (t.tRTP if kind == "RD" else t.tCWL + beats + t.tWR)
            yield Event(max(ready, opened.pop(where, 0) + t.tRAS), "PRE", *where)


def violations(
    dram: Dram, order: AddressMap, policy: Policy, asked: Sequence[tuple[int, bool, int]], done: Sequence[int], trace: Sequence[Command]
) -> list[str]:
    """All that is wrong with a trace; `asked` are the requests as (address, write, arrival)."""
    found: list[str] = []
    for channel in range(dram.channels):
        commands = [command for command in trace if command.channel == channel]
        found += [f"channel {channel}: {fault}" for fault in _of_channel(dram, order, policy, asked, done, commands)]
    columns = [command.request for command in trace if command.kind[:2] in ("RD", "WR")]
    if sorted(columns) != list(range(len(asked))):
        found.append("not every request has one column command")
    return found


def _of_channel(
    dram: Dram, order: AddressMap, policy: Policy, asked: Sequence[tuple[int, bool, int]], done: Sequence[int], trace: Sequence[Command]
) -> Iterator[str]:
    cycles = [command.cycle for command in trace]
    if any(later <= earlier for earlier, later in pairwise(cycles)):
        yield "two commands in one cycle, or out of order"
    yield from _distances(dram, sorted(events(dram, trace), key=lambda event: event.cycle))
    yield from _rows(dram, trace)
    yield from _data(dram, asked, done, trace)
    yield from _refreshes(dram, policy, trace)
    for command in trace:
        if command.request < 0:
            continue
        address, write, arrival = asked[command.request]
        where = order.decode(address, dram)
        if (where.channel, where.rank, where.group, where.bank, where.row) != (*command[2:6], command.row):
            yield f"{command} is not where its request is"
        if command.cycle < arrival:
            yield f"{command} is sent before its request is there"
        if command.kind[:2] in ("RD", "WR") and (command.kind[:2] == "WR") != write:
            yield f"{command} goes the wrong way"


def _distances(dram: Dram, told: Sequence[Event]) -> Iterator[str]:
    t = dram.timings
    written = t.tCWL + dram.burst_cycles
    longest = max(t.tRC, t.tRFC, t.tRAS, t.tRP, t.tRCD, t.tRCD_WR, t.tRTP, t.tRTW, t.tRRD_L, t.tCCD_L, t.tCCD_L_WR, written + t.tWR)
    longest = max(longest, written + t.tWTR_L)
    for at, second in enumerate(told):
        for first in reversed(told[:at]):
            if second.cycle - first.cycle >= longest:
                break
            if second.cycle - first.cycle < least(dram, first, second):
                yield f"{second} is too soon after {first}"
    for rank in range(dram.ranks):
        activates = [event.cycle for event in told if event.kind == "ACT" and event.rank == rank]
        for first, fifth in zip(activates, activates[4:], strict=False):
            if fifth - first < t.tFAW:
                yield f"five activates of rank {rank} from {first} to {fifth}"


def _rows(dram: Dram, trace: Sequence[Command]) -> Iterator[str]:
    """What is told to a bank that is not open, or open with another row."""
    opened: dict[tuple[int, int, int], int] = {}
    for command in trace:
        where = command.rank, command.group, command.bank
        if command.kind == "ACT":
            if where in opened:
                yield f"{command} while a row is open"
            opened[where] = command.row
        elif command.kind == "PRE":
            if where not in opened:
                yield f"{command} while no row is open"
            opened.pop(where, None)
        elif command.kind == "PREA":
            opened = {bank: row for bank, row in opened.items() if bank[0] != command.rank}
        elif command.kind == "REF":
            if any(bank[0] == command.rank for bank in opened):
                yield f"{command} while a row is open"
        else:
            if opened.get(where) != command.row:
                yield f"{command} of a row that is not open"
            if command.kind.endswith("A"):
                opened.pop(where, None)


def _data(dram: Dram, asked: Sequence[tuple[int, bool, int]], done: Sequence[int], trace: Sequence[Command]) -> Iterator[str]:
    """Bursts that overlap, or that follow one of another rank too soon, or that end when nobody said."""
    free, rank = 0, None
    for command in trace:
        if command.kind[:2] not in ("RD", "WR"):
            continue
        begins = command.cycle + (dram.timings.tCWL if command.kind[:2] == "WR" else dram.timings.tCL)
        if begins < free + (dram.timings.tRTRS if rank not in (None, command.rank) else 0):
            yield f"{command} overlaps the burst before it"
        free, rank = begins + dram.burst_length // dram.beats_per_cycle, command.rank
        if done[command.request] != free:
            yield f"{command} ends in {free}, not in {done[command.request]}"


def _refreshes(dram: Dram, policy: Policy, trace: Sequence[Command]) -> Iterator[str]:
    """Refreshes that come before they are due, or so late that the next one is due; other commands to a rank that is due."""
    interval, last = dram.timings.tREFI, max((command.cycle for command in trace), default=0)
    for rank in range(dram.ranks):
        told = [command for command in trace if command.rank == rank]
        refreshes = [command.cycle for command in told if command.kind == "REF"]
        dues = [interval + rank * interval // dram.ranks + each * interval for each in range(len(refreshes) + 1)] if policy.refresh else []
        if len(refreshes) > len(dues):
            yield f"rank {rank} is refreshed though nothing asks for it"
        for due, refresh in zip(dues, refreshes, strict=False):
            if not due <= refresh < due + interval:
                yield f"rank {rank} is refreshed in {refresh}, due in {due}"
            if any(due <= command.cycle < refresh and command.kind != "PREA" for command in told):
                yield f"rank {rank} is due in {due} and hears something else"
        if dues and last >= dues[len(refreshes)] + interval:
            yield f"rank {rank} misses the refresh of {dues[len(refreshes)]}"
