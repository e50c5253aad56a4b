"""Metrics of safety: worked scales, sums by hand, and bounds against every corner of what is not known."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.metrics import LEVELS, Part, avf, executions_to_failure, lfm, mttf_h, pmhf, raw_fit, spfm
from accelsim.faults.ranges import Range
from accelsim.faults.rates import PERMANENT, TRANSIENT
from accelsim.io.catalogue import RATES, shipped
from accelsim.io.rates import load_rates

E = Range.exact
NOT = "state it; it is not guessed"


def part(
    fit: float, safe: float, corrected: float = 0.0, detected: float = 0.0, fault: str = TRANSIENT, latent: float | None = None
) -> Part:
    """One without doubt."""
    return Part("p", fault, E(fit), E(safe), E(corrected), E(detected), None if latent is None else E(latent))


def near(found: Range, expected: float) -> bool:
    return (found.value, found.low, found.high) == pytest.approx((expected,) * 3)


def test_scale_of_raw_rates_is_the_worked_one() -> None:
    """48 KiB of SRAM are 7.68 FIT, 100 000 flip-flops 7.15 FIT, with Mbit = 2**20 bit."""
    rates = load_rates(shipped(RATES)["terrestrial"])
    assert raw_fit(rates, "sram", 48 * 8192).value == pytest.approx(7.68, abs=5e-3) == 20.49 * 48 * 8192 / 2**20
    assert raw_fit(rates, "flop", 100_000).value == pytest.approx(7.15, abs=5e-3)
    assert raw_fit(rates, "flop", 1).value == pytest.approx(7.153e-5, rel=1e-4)


def test_avf_of_a_block_weighs_its_bits() -> None:
    found = avf([("MAC", 300, Range(0.1, 0.05, 0.2)), ("MAC", 100, Range(0.5, 0.4, 0.6)), ("buffer", 8, E(0.25))])
    assert list(found) == ["MAC", "buffer"]
    assert (found["MAC"].value, found["MAC"].low, found["MAC"].high) == pytest.approx((0.2, 0.1375, 0.3))
    assert found["buffer"] == E(0.25)


def test_detected_fault_is_neither_safe_nor_silent() -> None:
    rates = part(100, safe=0.4, corrected=0.5, detected=0.3).rates
    assert {name: each.value for name, each in rates.items()} == pytest.approx({"silent": 12, "detected": 18, "corrected": 30})
    assert sum(each.value for each in rates.values()) == pytest.approx(60)


def test_metrics_worked_by_hand() -> None:
    parts = [
        part(10, safe=0.5, detected=0.9, fault=PERMANENT, latent=0.02),
        part(30, safe=0.0, corrected=0.99, fault=PERMANENT, latent=0.1),
        part(60, safe=0.5),
    ]
    assert near(spfm(parts, PERMANENT), 1 - (0.5 + 0.3) / 40)
    assert near(spfm(parts, TRANSIENT), 0.5)
    assert near(lfm(parts), 1 - (0.02 * 9.5 + 0.1 * 29.7) / (40 - 0.8))
    covered = 10 * 0.5 * 0.9 + 30 * 0.99
    assert near(pmhf(parts, E(2.0), 10_000), 0.5 + 0.3 + 30 + covered * 2 * 1e-9 * 10_000 / 2)


def test_time_to_failure_is_worked_by_hand() -> None:
    fit = Range(20.0, 10.0, 0.0 + 40.0)
    assert mttf_h(fit) == Range(5e7, 2.5e7, 1e8)
    assert mttf_h(fit, 1000) == Range(5e4, 2.5e4, 1e5)
    assert executions_to_failure(fit, 3.6).value == pytest.approx(5e10)
    never = mttf_h(Range(0.0, 0.0, 1.0))
    assert (never.value, never.low, never.high) == (inf, 1e9, inf) and never.to_json() == {"value": None, "low": 1e9, "high": None}


def test_executions_to_failure_are_one_over_avf_rate_bits_and_hours() -> None:
    bits, share, seconds, bit_fit = 5000, 0.03, 0.002, 7e-5
    found = executions_to_failure(E(bit_fit).times(bits).times(share), seconds).value
    assert found == pytest.approx(1 / (share * (bit_fit * 1e-9) * bits * (seconds / 3600)))


@st.composite
def doubtful(draw: st.DrawFn) -> Part:
    def between(low: float, high: float) -> Range:
        a, b, c = sorted(draw(st.lists(st.floats(low, high), min_size=3, max_size=3)))
        return Range(b, a, c)

    return Part("p", PERMANENT, between(0.1, 9), between(0, 1), between(0, 0.5), between(0, 0.5), between(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(doubtful(), min_size=1, max_size=3))
def test_bounds_are_those_of_all_corners_of_what_is_not_known(parts: list[Part]) -> None:
    """Each rate and share at its low or high: the residual share at the corners of its factors, as they are written in its formula."""
    corners = []
    for each in parts:
        assert each.fit and each.safe and each.corrected and each.detected and each.latent
        ends = [(x.low, x.high) for x in (each.fit, each.safe, each.corrected, each.detected, each.latent)]
        corners.append([(w, (1 - s) * (1 - c - d), latent) for w, s, c, d, latent in product(*ends)])
    single, hidden = [], []
    for chosen in product(*corners) if len(parts) < 3 else product(*(some[::3] for some in corners)):
        rate = sum(w for w, _, _ in chosen)
        single.append(1 - sum(w * r for w, r, _ in chosen) / rate)
        left = sum(w * (1 - r) for w, r, _ in chosen)
        if left > 1e-6:
            hidden.append(1 - sum(w * (1 - r) * x for w, r, x in chosen) / left)
    metric, second = spfm(parts, PERMANENT), lfm(parts)
    assert metric.low - 1e-9 <= min(single) and max(single) <= metric.high + 1e-9
    assert all(second.low - 1e-9 <= each <= second.high + 1e-9 for each in hidden)
    if len(parts) < 3:
        assert (metric.low, metric.high) == pytest.approx((min(single), max(single)))
    assert metric.low <= metric.value <= metric.high


def test_level_is_open_where_bounds_hold_its_target() -> None:
    level = LEVELS["D"]
    found = level.judge(Range(0.995, 0.991, 0.999), Range(0.8, 0.7, 0.85), Range(12, 9, 15))
    assert found == {"SPFM": "met", "LFM": "missed", "PMHF": "open"}
    assert level.judge(spfm=E(0.99)) == {"SPFM": "met"}
    assert level.judge(spfm=Range(0.995, 0.98, 0.999), lfm=Range(0.8, 0.7, 0.95)) == {"SPFM": "open", "LFM": "open"}
    assert level.judge(pmhf_fit=E(10.0)) == {"PMHF": "missed"}
    assert level.judge(pmhf_fit=E(0.3), part=0.02) == {"PMHF": "missed"}
    assert level.judge(pmhf_fit=E(0.1), part=0.02) == {"PMHF": "met"}


def test_levels_ask_for_the_quoted_shares_and_say_how_sure_they_are() -> None:
    assert {name: (each.spfm, each.lfm, each.pmhf_fit) for name, each in LEVELS.items()} == {
        "B": (0.90, 0.60, 100), "C": (0.97, 0.80, 100), "D": (0.99, 0.90, 10),
    }  # fmt: skip
    assert "secondary" in LEVELS["D"].source and "not checked" in LEVELS["B"].source


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spfm([part(1, 0.5)], PERMANENT), f"no part has a rate of permanent faults; {NOT}"),
        (lambda: lfm([part(1, 0.5)]), f"no part has a rate of permanent faults; {NOT}"),
        (lambda: lfm([part(1, 0.5, fault=PERMANENT)]), f"latent of p is not known; {NOT}"),
        (lambda: spfm([Part("q", TRANSIENT, E(1.0), E(0.5))], TRANSIENT), f"corrected of q is not known; {NOT}"),
        (lambda: spfm([Part("q", TRANSIENT, None, E(0.5))], TRANSIENT), f"fit of q is not known; {NOT}"),
        (lambda: spfm([Part("q", TRANSIENT, E(1.0), None, E(0.0), E(0.0))], TRANSIENT), f"safe of q is not known; {NOT}"),
        (lambda: pmhf([part(1, 0.5)], None, 1), f"the rate of latent faults of mechanisms is not known; {NOT}"),
        (lambda: pmhf([part(1, 0.5)], E(1.0), None), f"how many hours a life has is not known; {NOT}"),
        (lambda: pmhf([], E(1.0), 1.0), "no part is given; name the parts and their rates"),
        (lambda: executions_to_failure(E(1.0), None), "the seconds of an execution are not known; state the clock, or the time"),
        (lambda: part(1, 1.5), "a share of faults of p is not between 0 and 1, or its bounds are out of order; mend it"),
        (lambda: part(-1, 0.5), "the rate of p is negative, or its bounds are out of order; mend it"),
        (lambda: part(1, 0.5, fault="permanant"), "no fault is called 'permanant'; did you mean 'permanent'?"),
    ],
)
def test_metric_whose_input_is_missing_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
