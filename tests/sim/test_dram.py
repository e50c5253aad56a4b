"""The nouns of a DRAM, and what is asked of it: maps, byte ranges, policies, refusals, and what holds for every run."""

from __future__ import annotations

import time
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.hardware.dram import FIELDS, AddressMap, Dram, Policy, Where
from accelsim.sim.serving import Counters, bursts_of, serve, stream, traced
from tests.sim.drams import Case, cases, drams, small

WITHIN_ROW = AddressMap(FIELDS)


@given(drams(), st.permutations(FIELDS), st.integers(0, 10**6))
def test_address_is_where_it_is_decoded_to(dram: Dram, order: list[str], number: int) -> None:
    found, address = AddressMap(tuple(order)), number % dram.bursts
    where = found.decode(address, dram)
    assert found.encode(where, dram) == address
    assert all(0 <= value < dram.count(field) for field, value in zip(FIELDS, where, strict=True))


def test_map_reads_its_innermost_field_from_the_lowest_digits() -> None:
    dram = small(channels=2)  # 2 channels, 1 rank, 2 groups, 2 banks, 8 rows, 4 bursts to a row
    order = AddressMap.of("row bank group column channel", dram)
    # 205 = ((((6 * 2 + 0) * 2 + 1) * 4) + 2) * 2 + 1
    assert order.decode(205, dram) == Where(channel=1, rank=0, group=1, bank=0, row=6, column=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row bank group column chanel", "an address has no 'chanel'; did you mean 'channel'?"),
        ("row bank group column", "the address map 'row bank group column' leaves out 'channel'; small has 2 of them"),
        (
            "row bank row group column channel",
            "'row' stands twice in the address map 'row bank row group column channel'; write each field once",
        ),
    ],
)
def test_wrong_map_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        AddressMap.of(text, small(channels=2))
    assert str(error.value) == message


def test_byte_ranges_become_the_bursts_that_touch_them() -> None:
    dram = small()  # bursts of 8 B
    found = bursts_of(dram, [(0, 8), (15, 2), (24, 0), (32, 17)])
    assert found.addresses.tolist() == [0, 1, 2, 4, 5, 6]
    assert (found.wanted_bytes, found.fetched_bytes) == (27, 48)
    assert bursts_of(dram, []).fetched_bytes == 0
    assert serve(dram, WITHIN_ROW, Policy(), found.addresses).fetched_bytes == 48


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: bursts_of(small(), [(1020, 8)]), "bytes 1020 to 1028 are not all in small; it holds 1024 bytes"),
        (
            lambda: serve(small(), WITHIN_ROW, Policy(), [0, 128]),
            "request 1 is for burst 128, small has 128; addresses count bursts, not bytes",
        ),
        (lambda: serve(small(), WITHIN_ROW, Policy(), [-1]), "request 0 is for burst -1, small has 128; addresses count bursts, not bytes"),
        (
            lambda: serve(small(), WITHIN_ROW, Policy(), [0, 1, 2], False, [0, 5, 4]),
            "request 2 arrives before the one in front of it; sort the requests by arrival",
        ),
        (
            lambda: serve(small(), WITHIN_ROW, Policy(), [0], False, 2**60),
            "a request arrives in cycle 1152921504606846976; let all arrive by cycle 1125899906842624",
        ),
        (lambda: serve(small(), WITHIN_ROW, Policy(), [0.5]), "addresses are float64; give whole numbers"),
        (
            lambda: serve(small(), WITHIN_ROW, Policy(), [0, 1], [True, False, True]),
            "writes have the shape (3,), there are 2 requests; give one for each, or one for all",
        ),
        (lambda: Policy(page="opne"), "no page is called 'opne'; did you mean 'open'?"),
        (lambda: Policy(schedule="fifo"), "no schedule is called 'fifo'; known: first_ready, in_order"),
        (lambda: Policy(window=0), "a window of 0 requests holds none; write at least 1"),
        (lambda: Policy(overtakes=-1), "overtakes is -1; write at least 0"),
        (lambda: small(rows=0), "rows is 0; write at least 1"),
        (lambda: small(tRCD=0), "tRCD is 0; write at least 1"),
        (lambda: small(tRRD_L=2), "tRRD_L 2 is below tRRD_S 3; raise tRRD_L"),
        (lambda: small(tREFI=127), "tREFI of 127 cycles leaves too little time between refreshes; write at least 128"),
        (
            lambda: small(beats_per_cycle=3),
            "a burst of 4 beats at 3 per cycle is no whole number of cycles; change 'burst' or 'beats_per_cycle'",
        ),
        (lambda: small(columns=18), "a row of 18 columns is no whole number of bursts of 4; change one of them"),
        (lambda: small(bus_bits=1), "a burst of 4 x 1 bits is no whole number of bytes; change one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(asked: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        asked()  # type: ignore[operator]
    assert str(error.value) == message


@given(cases())
def test_every_cycle_has_one_cause(case: Case) -> None:
    served = serve(case.dram, case.order, case.policy, case.addresses, case.writes, case.arrivals)
    channels = [case.order.decode(address, case.dram).channel for address in case.addresses]
    ends = [max((int(done) for done, at in zip(served.done, channels, strict=True) if at == channel), default=0) for channel in range(2)]
    counted = served.counters
    assert counted.channel_cycles == sum(ends)
    assert counted.hits + counted.misses + counted.conflicts == len(case.addresses)
    assert all(getattr(counted, field.name) >= 0 for field in fields(Counters))


@given(cases())
def test_in_order_is_a_window_of_one(case: Case) -> None:
    asked = case.addresses, case.writes, case.arrivals
    one = serve(case.dram, case.order, Policy(case.policy.page, "first_ready", 1), *asked)
    assert one.done.tolist() == serve(case.dram, case.order, Policy(case.policy.page, "in_order"), *asked).done.tolist()


@given(cases())
def test_in_order_serves_in_order(case: Case) -> None:
    _, trace = traced(case.dram, case.order, replace(case.policy, schedule="in_order"), case.addresses, case.writes, case.arrivals)
    for channel in range(case.dram.channels):
        columns = [each.request for each in trace if each.channel == channel and each.kind[:2] in ("RD", "WR")]
        assert columns == sorted(columns)


@pytest.mark.parametrize("overtakes", [0, 1, 7])
def test_oldest_request_is_overtaken_as_often_as_allowed_and_no_more(overtakes: int) -> None:
    # one request for another row of the bank, then hits that all could go first
    order, hits = AddressMap(("channel", "rank", "group", "bank", "row", "column")), 20
    addresses = [0, 4, *[each % 4 for each in range(hits)]]
    served = serve(small(), order, Policy(window=32, overtakes=overtakes, refresh=False), addresses)
    place = np.argsort(np.argsort(served.done)).tolist()
    assert place[0] == 0
    assert place[1] == 1 + overtakes


def test_first_ready_serves_open_rows_first() -> None:
    order = AddressMap(("channel", "rank", "group", "bank", "row", "column"))
    addresses = [0, 4, 1]  # row 0, row 1, row 0 of one bank
    served = serve(small(), order, Policy(refresh=False), addresses)
    assert served.done[2] < served.done[1]
    assert (served.counters.hits, served.counters.activates) == (1, 2)
    in_order = serve(small(), order, Policy(schedule="in_order", refresh=False), addresses)
    assert in_order.counters.activates == 3


@pytest.mark.parametrize("write", [False, True])
def test_data_bus_rests_between_bursts_of_two_ranks(write: bool) -> None:
    dram, late = small(ranks=2), 100
    t, other = dram.timings, dram.bursts // 2
    served = serve(dram, WITHIN_ROW, Policy(schedule="in_order", refresh=False), [0, other, 1, other + 1], write, [0, 0, late, late])
    first = late + (t.tCWL if write else t.tCL) + dram.burst_cycles
    assert served.done[2:].tolist() == [first, first + t.tRTRS + dram.burst_cycles]
    assert served.counters.turn_cycles >= t.tRTRS


def test_of_two_causes_that_end_together_the_turn_is_named() -> None:
    # read in 6 (tRCD), write in 7 (tRTW), data until 11; the next read in 12 by tCCD_L after the first, and by tWTR after the write
    dram = small(tCL=1, tCWL=2, tRTW=1, tWTR_S=1, tWTR_L=1, tCCD_L=6)
    served = serve(dram, WITHIN_ROW, Policy(schedule="in_order", refresh=False), [0, 1, 2], [False, True, False])
    assert served.done.tolist() == [9, 11, 15]
    assert (served.counters.turn_cycles, served.counters.column_cycles) == (2, 0)


def test_ranks_are_refreshed_in_turn() -> None:
    dram = small(ranks=2)
    _, trace = traced(dram, WITHIN_ROW, Policy("closed"), [0, 1], False, [0, 1300])
    half = dram.timings.tREFI // 2
    found = [(command.cycle, command.rank) for command in trace if command.kind == "REF"]
    assert found == [(2 * half, 0), (3 * half, 1), (4 * half, 0), (5 * half, 1), (6 * half, 0)]


def test_nothing_asked_takes_no_time() -> None:
    served = serve(small(), WITHIN_ROW, Policy(), [])
    assert (served.cycles, served.seconds, served.utilization, served.counters.channel_cycles) == (0, 0, 0, 0)


def test_idle_years_cost_nothing() -> None:
    late = 2**50
    serve(small(), WITHIN_ROW, Policy(), [0])
    started = time.process_time()
    served = serve(small(), WITHIN_ROW, Policy("closed"), [0, 1], False, [0, late])
    assert time.process_time() - started < 1
    assert served.counters.refreshes == late // 400


def test_stream_is_its_requests() -> None:
    one = stream(small(), WITHIN_ROW, Policy(), 3, 20, write=True)
    assert one.done.tolist() == serve(small(), WITHIN_ROW, Policy(), list(range(3, 23)), True).done.tolist()
    assert one.seconds == one.cycles / 10**9
    assert one.utilization == one.fetched_bytes / (8 / 2 * one.cycles)  # a burst of 8 B takes two cycles
