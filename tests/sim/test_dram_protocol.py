"""Traces of the kernel obey every timing, on shipped tables and on any small DRAM; a timing one cycle longer is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from accelsim.hardware.dram import AddressMap, Dram, Policy, Timings
from accelsim.io.catalogue import DRAM, shipped
from accelsim.io.dram import load_dram
from accelsim.sim.serving import traced
from tests.sim.drams import Case, cases, small
from tests.sim.protocol import violations

TABLES = {name: load_dram(path) for name, path in shipped(DRAM).items()}
POLICIES = [
    Policy(page, schedule, refresh=refresh)
    for page in ("open", "closed")
    for schedule in ("in_order", "first_ready")
    for refresh in (True, False)
]


def faults(case: Case, dram: Dram | None = None) -> list[str]:
    """What is wrong with the trace of a case, by the timings of `dram` if they are others than those it ran with."""
    served, trace = traced(case.dram, case.order, case.policy, case.addresses, case.writes, case.arrivals)
    asked = list(zip(case.addresses, case.writes, case.arrivals, strict=True))
    return violations(dram or case.dram, case.order, case.policy, asked, served.done.tolist(), trace)


def mixed(dram: Dram, policy: Policy, count: int, seed: int = 0) -> Case:
    """Reads and writes, runs within rows and jumps, over two banks of each group and four rows, dense and with pauses."""
    rng = np.random.default_rng(seed)
    order = AddressMap(("row", "bank", "rank", "group", "column", "channel"))
    near = replace(dram, channels=1, rows=4, banks=min(2, dram.banks), columns=4 * dram.burst_length)
    jumps = rng.integers(0, near.bursts, count)
    kept = rng.random(count) < 0.4
    for each in range(1, count):
        if kept[each]:
            jumps[each] = (jumps[each - 1] + 1) % near.bursts
    addresses = [order.encode(order.decode(int(each), near), dram) for each in jumps]
    writes = (rng.random(count) < 0.5).tolist()
    arrivals = np.cumsum(np.where(rng.random(count) < 0.05, rng.integers(0, dram.timings.tREFI // 20, count), 0)).tolist()
    return Case(dram, order, policy, addresses, writes, arrivals)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.page}-{policy.schedule}-{policy.refresh}")
@pytest.mark.parametrize("name", sorted(TABLES))
def test_commands_of_shipped_drams_keep_every_distance(name: str, policy: Policy) -> None:
    assert faults(mixed(TABLES[name], policy, 600)) == []


@given(cases())
def test_commands_of_any_dram_keep_every_distance(case: Case) -> None:
    assert faults(case) == []


@pytest.mark.parametrize("timing", Timings.__dataclass_fields__)
def test_distance_one_cycle_longer_than_it_ran_with_is_noticed(timing: str) -> None:
    # tRC and tRFC bind where tRAS, tRP and what follows them are short
    dram = small(ranks=2, channels=1, tRC=30 if timing == "tRC" else 19, tFAW=25)
    stricter = replace(dram, timings=replace(dram.timings, **{timing: getattr(dram.timings, timing) + 1}))
    cases = [mixed(dram, policy, 400, seed) for policy in POLICIES for seed in range(2)]
    assert any(faults(case, stricter) for case in cases)
    assert not any(faults(case) for case in cases)


def test_trace_that_lacks_a_command_or_has_one_too_many_is_noticed() -> None:
    case = mixed(small(), Policy(), 60)
    served, trace = traced(case.dram, case.order, case.policy, case.addresses, case.writes, case.arrivals)
    asked = list(zip(case.addresses, case.writes, case.arrivals, strict=True))
    done = served.done.tolist()
    assert violations(case.dram, case.order, case.policy, asked, done, trace) == []
    for at in range(len(trace)):
        without = trace[:at] + trace[at + 1 :]
        assert violations(case.dram, case.order, case.policy, asked, done, without), trace[at]
        twice = [*trace[:at], trace[at], *trace[at:]]
        assert violations(case.dram, case.order, case.policy, asked, done, twice), trace[at]


def test_command_one_cycle_earlier_is_noticed() -> None:
    case = mixed(small(), Policy(), 200)
    served, trace = traced(case.dram, case.order, case.policy, case.addresses, case.writes, case.arrivals)
    asked = list(zip(case.addresses, case.writes, case.arrivals, strict=True))
    unnoticed = 0
    for at in range(1, len(trace)):
        sooner = trace[at]._replace(cycle=trace[at].cycle - 1)
        moved = [*trace[:at], sooner, *trace[at + 1 :]]
        unnoticed += not violations(case.dram, case.order, case.policy, asked, served.done.tolist(), moved)
    assert unnoticed == 0  # each is sent in the first cycle in which it may be, or is kept by the command before it
