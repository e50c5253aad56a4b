"""Cycles of shipped DRAMs worked out by hand: each expected value is a sum of the table's timings, and equality is asserted."""

from __future__ import annotations

import pytest

from accelsim.hardware.dram import AddressMap, Dram, Policy, Where
from accelsim.io.catalogue import DRAM, shipped
from accelsim.io.dram import load_dram
from accelsim.sim.serving import serve, stream, traced

TABLES = {name: load_dram(path) for name, path in shipped(DRAM).items()}
WITHIN_ROW = AddressMap(("channel", "rank", "group", "bank", "row", "column"))  # a row, then the next row of the same bank
IN_ORDER = Policy(schedule="in_order", refresh=False)
FIRST_READY = Policy(refresh=False)
pytestmark = pytest.mark.parametrize("dram", TABLES.values(), ids=TABLES)


def burst(dram: Dram, group: int = 0, bank: int = 0, row: int = 0, column: int = 0) -> int:
    """The address of a burst of channel 0, rank 0."""
    return WITHIN_ROW.encode(Where(0, 0, group, bank, row, column), dram)


@pytest.mark.parametrize("policy", [IN_ORDER, FIRST_READY])
@pytest.mark.slow
def test_stream_within_a_row(dram: Dram, policy: Policy) -> None:
    t, count = dram.timings, 16
    served = stream(dram, WITHIN_ROW, policy, 0, count)
    assert served.done.tolist() == [t.tRCD + t.tCL + each * t.tCCD_L + dram.burst_cycles for each in range(count)]
    counted = served.counters
    assert (counted.activates, counted.misses, counted.hits, counted.conflicts) == (1, 1, count - 1, 0)
    assert (counted.waiting_cycles, counted.row_cycles) == (t.tCL, t.tRCD)
    assert counted.column_cycles == (count - 1) * (t.tCCD_L - dram.burst_cycles)


def test_writes_within_a_row(dram: Dram) -> None:
    t, count = dram.timings, 16
    served = stream(dram, WITHIN_ROW, IN_ORDER, 0, count, write=True)
    assert served.done.tolist() == [t.tRCD_WR + t.tCWL + each * t.tCCD_L_WR + dram.burst_cycles for each in range(count)]


@pytest.mark.parametrize("policy", [IN_ORDER, FIRST_READY])
def test_stream_that_crosses_into_the_next_row_of_its_bank(dram: Dram, policy: Policy) -> None:
    t = dram.timings
    served = stream(dram, WITHIN_ROW, policy, 0, dram.row_bursts + 1)
    last_read = t.tRCD + (dram.row_bursts - 1) * t.tCCD_L
    assert served.done[-1] == last_read + t.tRTP + t.tRP + t.tRCD + t.tCL + dram.burst_cycles
    assert (served.counters.conflicts, served.counters.activates, served.counters.precharges) == (1, 2, 1)


def test_written_row_is_closed_after_its_write_recovery(dram: Dram) -> None:
    t = dram.timings
    served = serve(dram, WITHIN_ROW, IN_ORDER, [burst(dram), burst(dram, row=1)], True)
    recovered = t.tRCD_WR + t.tCWL + dram.burst_cycles + t.tWR
    assert served.done[1] == recovered + t.tRP + t.tRCD_WR + t.tCWL + dram.burst_cycles


@pytest.mark.parametrize("page", ["open", "closed"])
def test_reads_of_other_rows_of_one_bank_come_once_a_row_cycle(dram: Dram, page: str) -> None:
    t, count = dram.timings, 6
    served = serve(dram, WITHIN_ROW, Policy(page, "in_order", refresh=False), [burst(dram, row=each) for each in range(count)])
    row_cycle = max(t.tRC, max(t.tRAS, t.tRCD + t.tRTP) + t.tRP)
    assert served.done.tolist() == [each * row_cycle + t.tRCD + t.tCL + dram.burst_cycles for each in range(count)]
    assert served.counters.conflicts == (count - 1 if page == "open" else 0)
    assert t.tCL + served.counters.data_cycles + served.counters.row_cycles == served.cycles


def test_activates_of_other_banks_come_as_tRRD_and_tFAW_allow(dram: Dram) -> None:
    t, count = dram.timings, 8
    places = [burst(dram, each % dram.groups, each // dram.groups) for each in range(count)]
    served, trace = traced(dram, WITHIN_ROW, FIRST_READY, places)
    activates: list[int] = []
    for each in range(count):
        cycle = max(activates[-1] + t.tRRD_S if each else 0, activates[-4] + t.tFAW if each >= 4 else 0)
        while cycle in [before + t.tRCD for before in activates]:
            cycle += 1  # the command bus carries the read of an earlier one
        activates.append(cycle)
    assert [command.cycle for command in trace if command.kind == "ACT"] == activates
    assert served.done.tolist() == [cycle + t.tRCD + t.tCL + dram.burst_cycles for cycle in activates]
    assert served.counters.activate_cycles == activates[-1] - (count - 1) * dram.burst_cycles


def test_activates_of_two_banks_of_one_group_come_tRRD_L_apart(dram: Dram) -> None:
    t = dram.timings
    served, trace = traced(dram, WITHIN_ROW, FIRST_READY, [burst(dram), burst(dram, bank=1)])
    assert [command.cycle for command in trace if command.kind == "ACT"] == [0, t.tRRD_L]
    assert served.done[1] == max(t.tRRD_L, t.tCCD_L) + t.tRCD + t.tCL + dram.burst_cycles


def test_five_activates_take_tFAW_and_not_a_cycle_more(dram: Dram) -> None:
    t = dram.timings
    window = max(t.tFAW, 4 * t.tRRD_S)
    # the fifth comes when the window is over, if the reads of the first four are not there to be sent
    places = [burst(dram, each % dram.groups, each // dram.groups) for each in range(5)]
    _, trace = traced(dram, WITHIN_ROW, FIRST_READY, places)
    fifth = [command.cycle for command in trace if command.kind == "ACT"][4]
    assert fifth == window + (window in [t.tRCD + each * t.tRRD_S for each in range(4)])


def test_stream_over_open_rows_of_all_groups_comes_every_tCCD_S(dram: Dram) -> None:
    t, count, late = dram.timings, 24, 2000
    opening = [burst(dram, group) for group in range(dram.groups)]
    after = [burst(dram, each % dram.groups, 0, 0, 1 + each // dram.groups) for each in range(count)]
    arrivals = [0] * dram.groups + [late] * count
    served = serve(dram, WITHIN_ROW, IN_ORDER, opening + after, False, arrivals)
    assert served.done[dram.groups :].tolist() == [late + t.tCL + each * t.tCCD_S + dram.burst_cycles for each in range(count)]
    assert served.counters.hits == count


def test_read_then_write(dram: Dram) -> None:
    t = dram.timings
    served = serve(dram, WITHIN_ROW, IN_ORDER, [0, 1], [False, True])
    assert served.done.tolist() == [t.tRCD + t.tCL + dram.burst_cycles, t.tRCD + t.tRTW + t.tCWL + dram.burst_cycles]
    assert (served.counters.turns, served.counters.turn_cycles) == (1, t.tRTW + t.tCWL - t.tCL - dram.burst_cycles)


def test_write_then_read_of_one_group(dram: Dram) -> None:
    t = dram.timings
    served = serve(dram, WITHIN_ROW, IN_ORDER, [0, 1], [True, False])
    written = t.tRCD_WR + t.tCWL + dram.burst_cycles
    assert served.done.tolist() == [written, written + t.tWTR_L + t.tCL + dram.burst_cycles]
    assert (served.counters.turns, served.counters.turn_cycles) == (1, t.tWTR_L + t.tCL)


def test_write_then_read_of_another_group(dram: Dram) -> None:
    t, late = dram.timings, 2000
    other = dram.groups - 1
    places = [burst(dram), burst(dram, other), burst(dram, 0, column=1), burst(dram, other, column=1)]
    served = serve(dram, WITHIN_ROW, IN_ORDER, places, [False, False, True, False], [0, 0, late, late])
    assert served.done[3] == late + t.tCWL + dram.burst_cycles + t.tWTR_S + t.tCL + dram.burst_cycles


@pytest.mark.parametrize("policy", [Policy(), Policy(schedule="in_order")])
def test_read_that_arrives_with_a_refresh_waits_for_it_and_one_a_cycle_earlier_does_not(dram: Dram, policy: Policy) -> None:
    t = dram.timings
    before = serve(dram, WITHIN_ROW, policy, [0, 1], False, [0, t.tREFI - 1])
    assert before.done[1] == t.tREFI - 1 + t.tCL + dram.burst_cycles
    assert (before.counters.refreshes, before.counters.waiting_cycles) == (0, t.tCL + t.tREFI - 1 - t.tRCD - dram.burst_cycles)
    during = serve(dram, WITHIN_ROW, policy, [0, 1], False, [0, t.tREFI])
    assert during.done[1] == t.tREFI + t.tRP + t.tRFC + t.tRCD + t.tCL + dram.burst_cycles
    assert (during.counters.refreshes, during.counters.refresh_cycles) == (1, t.tRP + t.tRFC + t.tRCD)


def test_refresh_of_closed_banks_begins_when_it_is_due(dram: Dram) -> None:
    t = dram.timings
    served = serve(dram, WITHIN_ROW, Policy("closed"), [0, 1], False, [0, t.tREFI])
    assert served.done[1] == t.tREFI + t.tRFC + t.tRCD + t.tCL + dram.burst_cycles
    idle = serve(dram, WITHIN_ROW, Policy("closed"), [0], False, [10 * t.tREFI + t.tRFC])
    assert idle.done[0] == 10 * t.tREFI + t.tRFC + t.tRCD + t.tCL + dram.burst_cycles
    assert idle.counters.refreshes == 10


def test_channels_serve_side_by_side(dram: Dram) -> None:
    order = AddressMap(("rank", "group", "bank", "row", "column", "channel"))
    one = stream(dram, order, FIRST_READY, 0, dram.channels * 8)
    assert one.cycles == stream(dram, WITHIN_ROW, FIRST_READY, 0, 8).cycles
    assert one.counters.channel_cycles == dram.channels * one.cycles


def test_long_stream_reaches_the_peak_less_refreshes(dram: Dram) -> None:
    order = AddressMap(("row", "bank", "rank", "column", "group", "channel"))
    free = stream(dram, order, FIRST_READY, 0, 20_000)
    assert 0.95 < free.utilization <= 1
    refreshed = stream(dram, order, Policy(), 0, 50_000 * dram.channels)
    share = dram.timings.tRFC / dram.timings.tREFI
    assert 1 - 1.6 * share - 0.05 < refreshed.utilization < 1 - share
