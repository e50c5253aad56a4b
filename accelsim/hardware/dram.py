"""The nouns of a DRAM: its organisation and timings, how a controller serves it, and where an address lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import NamedTuple

from accelsim.errors import InputError, did_you_mean

PAGES = ("open", "closed")
SCHEDULES = ("in_order", "first_ready")
FIELDS = ("channel", "rank", "group", "bank", "row", "column")


@dataclass(frozen=True, slots=True)
class Timings:
    """Least distances between commands, in cycles of the command clock; all but tRTRS at least 1.

    tCL, tCWL: column command to first beat, of a read and a write. tRCD, tRCD_WR: activate to read, to write. tRP: precharge to activate.
    tRAS: activate to precharge. tRC: activate to activate of one bank. tRTP: read to precharge. tWR: last beat written to precharge.
    tCCD_S, tCCD_L, tCCD_L_WR: read to read and write to write of any two banks; reads of one bank group; writes of one bank group.
    tRRD_S, tRRD_L: activate to activate of a rank, of one bank group. tFAW: first to fifth activate of a rank.
    tWTR_S, tWTR_L: last beat written to read of the rank, of the same bank group. tRTW: read to write of the rank.
    tRTRS: cycles that the data bus rests between bursts of two ranks. tREFI: refresh to refresh. tRFC: refresh to activate.
    """

    tCL: int
    tCWL: int
    tRCD: int
    tRCD_WR: int
    tRP: int
    tRAS: int
    tRC: int
    tRTP: int
    tWR: int
    tCCD_S: int
    tCCD_L: int
    tCCD_L_WR: int
    tRRD_S: int
    tRRD_L: int
    tFAW: int
    tWTR_S: int
    tWTR_L: int
    tRTW: int
    tRTRS: int
    tREFI: int
    tRFC: int


@dataclass(frozen=True, slots=True)
class Dram:
    """A DRAM: `channels` independent channels of `ranks` ranks of `groups` bank groups of `banks` banks each.

    `columns`: words of `bus_bits` in a row. `burst_length`: beats of one access; a pin moves `beats_per_cycle` of them in a cycle of the
    command clock. Refuses sizes below 1, a burst that is no whole number of cycles or of parts of a row, a distance within a bank group
    below that of the rank, and refreshes so close that nothing else fits between them.
    """

    name: str
    clock_hz: Fraction
    beats_per_cycle: int
    channels: int
    ranks: int
    groups: int
    banks: int
    rows: int
    columns: int
    bus_bits: int
    burst_length: int
    timings: Timings

    def __post_init__(self) -> None:
        for name in ("beats_per_cycle", "channels", "ranks", "groups", "banks", "rows", "columns", "bus_bits", "burst_length"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", "write at least 1")
        times = self.timings
        for name in Timings.__dataclass_fields__:
            least = 0 if name == "tRTRS" else 1
            if getattr(times, name) < least:
                raise InputError(f"{name} is {getattr(times, name)}", f"write at least {least}")
        if self.burst_length % self.beats_per_cycle:
            raise InputError(
                f"a burst of {self.burst_length} beats at {self.beats_per_cycle} per cycle is no whole number of cycles",
                "change 'burst' or 'beats_per_cycle'",
            )
        if self.columns % self.burst_length:
            raise InputError(f"a row of {self.columns} columns is no whole number of bursts of {self.burst_length}", "change one of them")
        if self.burst_length * self.bus_bits % 8:
            raise InputError(f"a burst of {self.burst_length} x {self.bus_bits} bits is no whole number of bytes", "change one of them")
        for near, far in (("tCCD_L", "tCCD_S"), ("tCCD_L_WR", "tCCD_S"), ("tRRD_L", "tRRD_S"), ("tWTR_L", "tWTR_S")):
            if getattr(times, near) < getattr(times, far):
                raise InputError(f"{near} {getattr(times, near)} is below {far} {getattr(times, far)}", f"raise {near}")
        if times.tREFI < self.least_refresh_interval:
            raise InputError(
                f"tREFI of {times.tREFI} cycles leaves too little time between refreshes", f"write at least {self.least_refresh_interval}"
            )

    @property
    def burst_cycles(self) -> int:
        """Cycles of the command clock that one burst keeps the data bus busy."""
        return self.burst_length // self.beats_per_cycle

    @property
    def burst_bytes(self) -> int:
        """Bytes of one burst."""
        return self.burst_length * self.bus_bits // 8

    @property
    def row_bursts(self) -> int:
        """Bursts in a row of one bank."""
        return self.columns // self.burst_length

    @property
    def bursts(self) -> int:
        """Bursts in the whole DRAM."""
        return prod(self.count(field) for field in FIELDS)

    @property
    def peak_bytes_per_s(self) -> Fraction:
        """Bytes per second of all data buses when they never rest."""
        return self.clock_hz * self.beats_per_cycle * self.bus_bits * self.channels / 8

    @property
    def least_refresh_interval(self) -> int:
        """A tREFI with which a refresh, and one request of any kind after it, is done before the next refresh is due."""
        times, burst = self.timings, self.burst_cycles
        closing = max(times.tRAS, times.tRTP, times.tCWL + burst + times.tWR) + max(times.tRP, times.tRC)
        opening = times.tFAW + 4 * times.tRRD_L + max(times.tRCD, times.tRCD_WR)
        column = times.tCL + times.tCWL + 2 * burst + times.tWTR_L + times.tRTW + max(times.tCCD_L, times.tCCD_L_WR) + times.tRTRS
        return closing + times.tRFC + opening + column + 4 * self.ranks

    def count(self, field: str) -> int:
        """How many values a field of an address has; columns count in bursts."""
        sizes = {"channel": self.channels, "rank": self.ranks, "group": self.groups, "bank": self.banks, "row": self.rows}
        return self.row_bursts if field == "column" else sizes[field]


@dataclass(frozen=True, slots=True)
class Policy:
    """How each channel's controller serves its requests.

    page `open`: a row stays open until another row of its bank, or a refresh, needs it closed; `closed`: every access closes its row.
    schedule `in_order`: the commands of a request are sent once the request before it has its column command; `first_ready`: of the
    `window` oldest requests, column commands of open rows first, then activates and precharges, each the oldest first. The oldest request
    is overtaken at most `overtakes` times. `refresh`: whether rows are refreshed.
    """

    page: str = "open"
    schedule: str = "first_ready"
    window: int = 32
    overtakes: int = 128
    refresh: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (("page", self.page, PAGES), ("schedule", self.schedule, SCHEDULES)):
            if value not in known:
                raise InputError(f"no {name} is called '{value}'", did_you_mean(value, known))
        if self.window < 1:
            raise InputError(f"a window of {self.window} requests holds none", "write at least 1")
        if self.overtakes < 0:
            raise InputError(f"overtakes is {self.overtakes}", "write at least 0")

    @property
    def depth(self) -> int:
        """How many requests of a channel are looked at at once."""
        return 1 if self.schedule == "in_order" else self.window


class Where(NamedTuple):
    """Where a burst lies; `column` counts bursts of a row."""

    channel: int
    rank: int
    group: int
    bank: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class AddressMap:
    """Which digits of a burst's address are what: `order` holds fields, the outermost (of the largest stride) first."""

    order: tuple[str, ...]

    @staticmethod
    def of(text: str, dram: Dram) -> AddressMap:
        """A map from a text such as `row bank group column channel`.

        A field with one value may be left out. Refuses an unknown field, one that stands twice and one that is missing.
        """
        order = tuple(text.split())
        for field in order:
            if field not in FIELDS:
                raise InputError(f"an address has no '{field}'", did_you_mean(field, FIELDS))
            if order.count(field) > 1:
                raise InputError(f"'{field}' stands twice in the address map '{' '.join(order)}'", "write each field once")
        for field in FIELDS:
            if field not in order and dram.count(field) > 1:
                mend = f"{dram.name} has {dram.count(field)} of them"
                raise InputError(f"the address map '{' '.join(order)}' leaves out '{field}'", mend)
        return AddressMap(order)

    def decode(self, address: int, dram: Dram) -> Where:
        """Where the burst of an address lies."""
        found = dict.fromkeys(FIELDS, 0)
        for field in reversed(self.order):
            address, found[field] = divmod(address, dram.count(field))
        return Where(**found)

    def encode(self, where: Where, dram: Dram) -> int:
        """The address of a place."""
        address = 0
        for field in self.order:
            address = address * dram.count(field) + getattr(where, field)
        return address


@dataclass(frozen=True, slots=True)
class ControlledDram:
    """A DRAM with its controllers: what its addresses mean, and how each channel serves its requests."""

    table: Dram
    address_map: AddressMap
    policy: Policy
