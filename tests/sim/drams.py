"""Drams, policies and requests for tests, small and random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import strategies as st

from accelsim.hardware.dram import FIELDS, AddressMap, Dram, Policy, Timings


@dataclass(frozen=True, slots=True)
class Case:
    """A DRAM and what is asked of it."""

    dram: Dram
    order: AddressMap
    policy: Policy
    addresses: list[int]
    writes: list[bool]
    arrivals: list[int]


def small(**changes: int) -> Dram:
    """Two bank groups of two banks, four bursts to a row, and timings that are told apart; `changes` of sizes and timings."""
    times = Timings(5, 3, 6, 4, 7, 11, 19, 4, 5, 2, 3, 4, 3, 4, 15, 2, 3, 6, 2, 400, 30)
    names = {name: value for name, value in changes.items() if name in Timings.__dataclass_fields__}
    sizes = {name: value for name, value in changes.items() if name not in names}
    dram = Dram("small", Fraction(10**9), 2, 1, 1, 2, 2, 8, 16, 16, 4, replace(times, **names))
    return replace(dram, **sizes)


@st.composite
def drams(draw: st.DrawFn) -> Dram:
    """Any small DRAM."""

    def cycles(least: int = 1, most: int = 12) -> int:
        return draw(st.integers(least, most))

    ccd, rrd, wtr = cycles(1, 5), cycles(1, 8), cycles(1, 6)
    times = Timings(
        cycles(), cycles(), cycles(), cycles(), cycles(), cycles(1, 30), cycles(1, 40), cycles(1, 8), cycles(1, 8),
        ccd, ccd + cycles(0, 3), ccd + cycles(0, 3), rrd, rrd + cycles(0, 3), cycles(1, 40), wtr, wtr + cycles(0, 4),
        cycles(), cycles(0, 4), 10**6, cycles(1, 40),
    )  # fmt: skip
    sizes = [cycles(1, most) for most in (2, 3, 3, 3, 3)]
    beats = cycles(1, 3)
    burst = beats * cycles(1, 3)
    dram = Dram("any", Fraction(10**9), beats, *sizes, burst * cycles(1, 4), 8, burst, times)
    return replace(dram, timings=replace(times, tREFI=dram.least_refresh_interval + draw(st.sampled_from((0, 1, 17, 300)))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any small DRAM with a map, a policy and up to thirty requests, in bursts and scattered."""
    dram = draw(drams())
    order = AddressMap(tuple(draw(st.permutations(FIELDS))))
    policy = Policy(
        draw(st.sampled_from(("open", "open", "closed"))),
        draw(st.sampled_from(("first_ready", "first_ready", "in_order"))),
        draw(st.integers(1, 9)),
        draw(st.sampled_from((0, 1, 2, 5, 128))),
        draw(st.booleans()),
    )
    count = draw(st.integers(1, 30))
    place = st.integers(0, dram.bursts - 1)
    if draw(st.booleans()):
        first, step = draw(place), draw(st.sampled_from((1, 1, dram.row_bursts, 5)))
        addresses = [(first + step * each) % dram.bursts for each in range(count)]
    else:
        addresses = draw(st.lists(place, min_size=count, max_size=count))
    writes = draw(st.lists(st.booleans(), min_size=count, max_size=count)) if draw(st.booleans()) else [draw(st.booleans())] * count
    gaps = draw(st.lists(st.sampled_from((0, 0, 0, 1, 3, 40, 700)), min_size=count, max_size=count))
    arrivals = [sum(gaps[: each + 1]) for each in range(count)]
    return Case(dram, order, policy, addresses, writes, arrivals)
