"""Serving requests to a DRAM: bursts in, the cycle of each one's last beat out, and where the cycles went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.errors import InputError
from accelsim.hardware.dram import FIELDS, AddressMap, Dram, Policy, Timings
from accelsim.sim import kernels_dram, kernels_dram_state

IntArray = npt.NDArray[np.int64]
KINDS = ("ACT", "PRE", "PREA", "RD", "WR", "RDA", "WRA", "REF")
MOST_REQUESTS = 2**31 - 1
LAST_ARRIVAL = 2**50


class Command(NamedTuple):
    """A command of a trace. `kind`: one of KINDS, of which RDA and WRA also close their row, and PREA and REF mean all banks of the rank.

    `request`: whom it serves, -1 for PREA and REF. `row` and `column` are those of the request, -1 for PREA and REF.
    """

    cycle: int
    kind: str
    channel: int
    rank: int
    group: int
    bank: int
    row: int
    column: int
    request: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What the commands were, and what each cycle of each channel up to its last beat was spent on.

    A request is a `hit` if its first command is a column command, a `miss` if it is an activate, a `conflict` if it is a precharge.
    `precharges`: banks closed, also by a refresh or with the access. `turns`: column commands of another direction than the one before.
    Cycles in which the data bus carried beats: `data_cycles`. Cycles in which it rested, by what held the next burst back: `waiting` (no
    request had been there for the latency of a column command), `refresh`, `turn` (read after write, write after read, another rank),
    `column` (tCCD), `activate` (tRRD, tFAW), `row` (opening and closing).
    """

    activates: int
    precharges: int
    refreshes: int
    hits: int
    misses: int
    conflicts: int
    turns: int
    data_cycles: int
    waiting_cycles: int
    refresh_cycles: int
    turn_cycles: int
    column_cycles: int
    activate_cycles: int
    row_cycles: int

    @property
    def channel_cycles(self) -> int:
        """All cycles, of all channels."""
        return (
            self.data_cycles + self.waiting_cycles + self.refresh_cycles + self.turn_cycles
            + self.column_cycles + self.activate_cycles + self.row_cycles
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Requests that were served. `done`: int64[n], the cycle by which the last beat of each has crossed the bus, counted from cycle 0."""

    dram: Dram
    done: IntArray
    counters: Counters

    @property
    def cycles(self) -> int:
        """Cycles of the command clock until the last beat of all."""
        return int(self.done.max(initial=0))

    @property
    def seconds(self) -> float:
        """Time until the last beat of all."""
        return float(self.cycles / self.dram.clock_hz)

    @property
    def fetched_bytes(self) -> int:
        """Bytes that crossed the data buses."""
        return len(self.done) * self.dram.burst_bytes

    @property
    def utilization(self) -> float:
        """Bytes that crossed over those that could have."""
        return self.fetched_bytes / float(self.dram.peak_bytes_per_s * self.cycles / self.dram.clock_hz) if self.cycles else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Bursts:
    """Bursts that cover byte ranges. `addresses`: int64[n]. `wanted_bytes`: of the ranges; `fetched_bytes`: of the bursts."""

    addresses: IntArray
    wanted_bytes: int
    fetched_bytes: int


def serve(
    dram: Dram, order: AddressMap, policy: Policy, addresses: npt.ArrayLike, writes: npt.ArrayLike = False, arrivals: npt.ArrayLike = 0
) -> Served:
    """Serve requests in program order.

    addresses: int[n], of bursts. writes: bool[n] or one for all. arrivals: int[n] cycles or one for all, never falling.
    Refuses an address outside the DRAM and arrivals that go back. `reference_dram.serve` does the same cycle by cycle.
    """
    return _run(dram, order, policy, addresses, writes, arrivals, 0)[0]


def traced(
    dram: Dram, order: AddressMap, policy: Policy, addresses: npt.ArrayLike, writes: npt.ArrayLike = False, arrivals: npt.ArrayLike = 0
) -> tuple[Served, list[Command]]:
    """As `serve`, with every command, channel by channel in the order of their cycles."""
    room = 4 * np.size(addresses) + 1024
    served, log, sent = _run(dram, order, policy, addresses, writes, arrivals, room)
    if sent > room:
        served, log, sent = _run(dram, order, policy, addresses, writes, arrivals, sent)
    return served, list(_commands(dram, order, np.atleast_1d(np.asarray(addresses)), log[:sent]))


def stream(dram: Dram, order: AddressMap, policy: Policy, start: int, bursts: int, write: bool = False) -> Served:
    """Serve `bursts` consecutive bursts from address `start`, all there at cycle 0."""
    return serve(dram, order, policy, np.arange(start, start + bursts, dtype=np.int64), write)


def bursts_of(dram: Dram, ranges: Iterable[tuple[int, int]]) -> Bursts:
    """The bursts that cover byte ranges (address, bytes), range by range; a burst that two ranges share is fetched for each of them."""
    size, wanted, found = dram.burst_bytes, 0, [np.zeros(0, np.int64)]
    for address, count in ranges:
        if address < 0 or count < 0 or address + count > dram.bursts * size:
            raise InputError(f"bytes {address} to {address + count} are not all in {dram.name}", f"it holds {dram.bursts * size} bytes")
        wanted += count
        if count:
            found.append(np.arange(address // size, -(-(address + count) // size), dtype=np.int64))
    addresses = np.concatenate(found)
    return Bursts(addresses, wanted, len(addresses) * size)


def _run(
    dram: Dram, order: AddressMap, policy: Policy, addresses: npt.ArrayLike, writes: npt.ArrayLike, arrivals: npt.ArrayLike, room: int
) -> tuple[Served, IntArray, int]:
    count = np.size(addresses)
    asked, times = _column("addresses", addresses, count), _column("arrivals", arrivals, count)
    directions = _column("writes", writes, count).astype(np.int8)
    _check(dram, asked, times)
    fields = np.array([(FIELDS.index(field), dram.count(field)) for field in reversed(order.order)], np.int64).reshape(-1, 2)
    bank_of, row_of, after = (np.empty(count, np.int32) for _ in range(3))
    begun, done, log = np.empty(count, np.uint8), np.empty(count, np.int64), np.empty((room, kernels_dram_state.LOG_COLUMNS), np.int64)
    counted, sent = kernels_dram.serve(
        _lowered(dram, policy), fields, _state(dram), times, asked, directions, bank_of, row_of, after, begun, done, log
    )
    return Served(dram, done, Counters(*counted.sum(axis=0).tolist())), log, int(sent)


def _column(what: str, values: npt.ArrayLike, count: int) -> IntArray:
    """int64[count] of an array, or of one value for all; always of the layout that the kernel is compiled for."""
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "iub":
        raise InputError(f"{what} are {found.dtype}", "give whole numbers")
    if found.ndim > 1 or found.size not in (1, count):
        raise InputError(f"{what} have the shape {found.shape}, there are {count} requests", "give one for each, or one for all")
    return np.require(np.broadcast_to(found.astype(np.int64, copy=False), count), requirements=["C", "W"])


def _check(dram: Dram, addresses: IntArray, arrivals: IntArray) -> None:
    if len(addresses) > MOST_REQUESTS:
        raise InputError(f"{len(addresses)} requests are too many at once", "serve fewer")
    if dram.rows > MOST_REQUESTS or dram.ranks * dram.groups * dram.banks > MOST_REQUESTS:
        raise InputError(f"{dram.name} has more rows or banks than can be told apart", "write a smaller organisation")
    outside = np.flatnonzero((addresses < 0) | (addresses >= min(dram.bursts, 2**63 - 1)))
    if len(outside):
        at = int(outside[0])
        raise InputError(f"request {at} is for burst {addresses[at]}, {dram.name} has {dram.bursts}", "addresses count bursts, not bytes")
    back = np.flatnonzero(np.diff(arrivals, prepend=0) < 0)
    if len(back):
        raise InputError(f"request {back[0]} arrives before the one in front of it", "sort the requests by arrival")
    if len(arrivals) and arrivals[-1] > LAST_ARRIVAL:
        raise InputError(f"a request arrives in cycle {arrivals[-1]}", f"let all arrive by cycle {LAST_ARRIVAL}")


def _lowered(dram: Dram, policy: Policy) -> kernels_dram_state.Lowered:
    times = [getattr(dram.timings, name) for name in Timings.__dataclass_fields__]
    closes, refreshes = int(policy.page == "closed"), int(policy.refresh)
    sizes = (dram.channels, dram.ranks, dram.groups, dram.banks, dram.burst_cycles)
    return kernels_dram_state.Lowered._make((*sizes, *times, policy.depth, policy.overtakes, closes, refreshes))


def _state(dram: Dram) -> kernels_dram_state.State:
    groups = dram.ranks * dram.groups
    banks = groups * dram.banks
    by_bank, by_group, by_rank = ((banks,), (groups,), (dram.ranks,))
    shapes = [*[by_bank] * 8, (2 * banks,), (3 * banks,), *[by_group] * 3, (dram.ranks, 4), *[by_rank] * 6]
    return kernels_dram_state.State(*(np.zeros(shape, np.int64) for shape in shapes))


def _commands(dram: Dram, order: AddressMap, addresses: IntArray, log: IntArray) -> Iterator[Command]:
    for cycle, kind, channel, bank, request in log.tolist():
        rank, within = divmod(bank, dram.groups * dram.banks)
        row, column = -1, -1
        if request >= 0:
            where = order.decode(int(addresses[request]), dram)
            row, column = where.row, where.column
        yield Command(cycle, KINDS[kind], channel, rank, within // dram.banks, within % dram.banks, row, column, request)
