"""Which faults a campaign injects: by stratum, or allotted after a pilot, whoever works on it and whatever stops it."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelsim.errors import InputError
from accelsim.faults.campaign import Campaign, outcome, run
from accelsim.faults.outcomes import CORRUPTED, NAMES, Tally
from accelsim.faults.plan import NEYMAN, Plan, Sample
from accelsim.faults.ranges import Range
from accelsim.faults.rates import Rate, Rates
from accelsim.faults.target import Stratum
from tests.faults.test_campaign import Coin

CHUNK = 1 << 16
RARE_AND_COMMON = (0.02, 0.5, 0.02, 0.9)


def stratum(population: int, cell: str = "") -> Stratum:
    return Stratum("block", "name", "operands", 1, population, population, cell)


def tally(failures: int, injections: int) -> Tally:
    counts = [injections - failures, *[0] * (len(NAMES) - 1)]
    counts[CORRUPTED] = failures
    return Tally(tuple(counts))


def worked(campaign: Campaign, stop: int = 1 << 60) -> dict[tuple[int, int], Tally]:
    """At most so many chunks of a campaign, one after the other, without a file and without workers."""
    done: dict[tuple[int, int], Tally] = {}
    while len(done) < stop:
        plan = campaign.plan(done)
        left = [chunk for chunk in plan.chunks() if chunk not in done]
        if not left:
            break
        done[left[-1]] = campaign.work(left[-1], plan)
    return done


def coins(seed: int, faults: int, shares: tuple[float, ...] = RARE_AND_COMMON, population: int = 1 << 40, by: str = NEYMAN) -> Campaign:
    return Campaign("coins", Coin(shares, population), Sample(faults=faults, by=by), seed, f"coins {seed} {faults}")


def test_faults_are_as_many_in_all_as_the_sample_says_and_as_neyman_shares_them_out() -> None:
    campaign = coins(1, 1_000_000)
    found = run(campaign, None)
    assert found.finished
    pilot = 1_000_000 // 40
    assert [each.pilot for each in found.found] == [pilot] * 4
    assert sum(each.tally.total + each.pilot for each in found.found) == 1_000_000
    scores = [sqrt(share * (1 - share)) for share in RARE_AND_COMMON]
    for each, score in zip(found.found, scores, strict=True):
        assert each.tally.total == pytest.approx(900_000 * score / sum(scores), rel=0.03)


def test_allotted_faults_do_not_depend_on_how_many_work_on_them_nor_on_the_order(tmp_path: Path) -> None:
    one, three = (run(coins(3, 400_000), tmp_path / f"{many}.sqlite", many) for many in (1, 3))
    assert [each.tally for each in one.found] == [each.tally for each in three.found]
    assert outcome(coins(3, 400_000), worked(coins(3, 400_000)), True).found == one.found
    assert [each.tally.total for each in run(coins(4, 400_000), None).found] != [each.tally.total for each in one.found]


def test_campaign_stopped_after_any_chunk_goes_on_to_the_same_end() -> None:
    whole = worked(coins(5, 600_000))
    for stop in range(len(whole)):
        some = worked(coins(5, 600_000), stop)
        part = outcome(coins(5, 600_000), some, True)
        assert not part.finished
        assert all(each == whole[chunk] for chunk, each in some.items())
        if stop < 4:
            assert all(each.tally.total == 0 and (each.avf.low, each.avf.high) == (0, 1) for each in part.found)
    assert outcome(coins(5, 600_000), whole, True).finished


def test_small_campaign_that_is_allotted_varies_less_than_one_by_stratum() -> None:
    """Over 300 campaigns: the truth is the mean share of four like strata; a tenth goes to pilots. Variances worked out by hand."""
    truth, faults = sum(RARE_AND_COMMON) / 4, 4000
    scores = [sqrt(share * (1 - share)) / 4 for share in RARE_AND_COMMON]
    best, even = sum(scores) ** 2 / (0.9 * faults), sum(score**2 for score in scores) / (faults / 4)
    values, widths = {}, {}
    for by, number in ((NEYMAN, faults), ("stratum", faults // 4)):
        runs = [outcome(each, worked(each), True) for each in (coins(seed, number, by=by) for seed in range(300))]
        sure, likely = [each.avf() for each in runs], [each.likely([0.25] * 4) for each in runs[:100]]
        values[by] = np.array([each.value for each in sure])
        widths[by] = np.mean([each.high - each.low for each in likely])
        assert np.mean([each.low <= truth <= each.high for each in sure]) >= 0.95
        assert np.mean([each.low <= truth <= each.high for each in likely]) >= 0.88  # 0.95 less three standard errors of 100
        assert values[by].mean() == pytest.approx(truth, abs=4 * sqrt(even / 300))
    assert values[NEYMAN].var() == pytest.approx(best, rel=0.3)  # three standard errors of a variance of 300
    assert values["stratum"].var() == pytest.approx(even, rel=0.3)
    assert values[NEYMAN].var() < values["stratum"].var()
    assert widths[NEYMAN] / widths["stratum"] == pytest.approx(sqrt(best / even), rel=0.03)


def test_pilot_says_how_many_and_is_not_counted() -> None:
    """The counted faults are other draws: their shares do not depend on what the pilot saw."""
    campaign = coins(2, 100_000, (0.3, 0.3))
    plan = campaign.plan(worked(campaign, 2))
    pilot = set(campaign.numbers((0, 0), plan).tolist())
    later = set(np.concatenate([campaign.numbers((0, chunk), plan) for chunk in plan.counted(0)]).tolist())
    assert len(pilot) == 5000 and not pilot & later
    lucky = campaign.first
    few, many = (lucky.after(campaign.target.strata, campaign.sample, (1.0, 1.0), {(0, 0): tally(k, 5000), (1, 0): tally(2500, 5000)})
                 for k in (0, 2500))  # fmt: skip
    assert few.wanted[0] < many.wanted[0] == many.wanted[1]
    assert few.wanted[0] > 0


def test_stratum_of_which_as_many_are_wanted_as_it_has_is_injected_whole() -> None:
    strata = (stratum(3000), stratum(1 << 40), stratum(50))
    sample = Sample(faults=30_000, by=NEYMAN)
    first = Plan.first(strata, sample, CHUNK)
    assert (first.pilot, first.wanted, first.whole) == ((1000, 1000, 0), (0, 0, 50), (False, False, True))
    plan = first.after(strata, sample, (3000.0, 3000.0, 50.0), {(0, 0): tally(500, 1000), (1, 0): tally(500, 1000)})
    assert plan.wanted == (3000, 30_000 - 3000 - 50 - 2000, 50) and plan.whole == (True, False, True)
    assert plan.numbers(0, (0, 1), 3000).tolist() == list(range(3000))


def test_faults_of_chunks_are_the_wanted_ones_each_once() -> None:
    campaign = Campaign("coin", Coin((0.5, 0.1)), Sample(faults=3 * CHUNK + 7), 3, "coin")
    assert campaign.first.chunks() == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]
    drawn = np.concatenate([campaign.numbers((1, chunk)) for chunk in range(4)])
    assert drawn.size == np.unique(drawn).size == 3 * CHUNK + 7
    whole = Campaign("coin", Coin((0.5,), CHUNK + 5), Sample(faults=1, exhaustive=1 << 30), 3, "coin")
    assert np.concatenate([whole.numbers(chunk) for chunk in whole.first.chunks()]).tolist() == list(range(CHUNK + 5))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.floats(0, 1)), min_size=1, max_size=8),
    st.integers(16, 10**6), st.sampled_from([0, 100, 10**6]),
)  # fmt: skip
def test_no_allotment_injects_more_than_the_sample_or_than_there_is(
    sides: list[tuple[int, float]], faults: int, exhaustive: int
) -> None:
    strata, sample = tuple(stratum(size) for size, _ in sides), Sample(faults, exhaustive, by=NEYMAN)
    first = Plan.first(strata, sample, CHUNK)
    pilots = {(at, 0): tally(round(sides[at][1] * many), many) for at, many in enumerate(first.pilot) if many}
    plan = first.after(strata, sample, tuple(float(size) for size, _ in sides), pilots)
    assert not plan.open
    assert all(1 <= want <= size for want, (size, _) in zip(plan.wanted, sides, strict=True))
    assert all(whole == (want == size) for whole, want, (size, _) in zip(plan.whole, plan.wanted, sides, strict=True))
    sampled = [at for at, (size, _) in enumerate(sides) if size > exhaustive]
    spent = sum(plan.wanted[at] + plan.pilot[at] for at in sampled)
    assert spent <= faults
    if not all(plan.whole):
        assert spent == faults
    for at, (size, _) in enumerate(sides):
        if plan.wanted[at] < 5000:
            held = [plan.numbers(1, (at, chunk), size) for chunk in plan.counted(at)]
            assert sum(len(each) for each in held) == plan.wanted[at]


def test_strata_weigh_by_their_rates() -> None:
    """A cell that is struck four times as often, with as many upsets and as large a share, gets four times the faults."""

    class Two(Coin):
        @property
        def strata(self) -> tuple[Stratum, ...]:
            return stratum(1 << 40, "often"), stratum(1 << 40, "seldom")

    rows = tuple(Rate(cell, "transient", Range.exact(fit), "assumed", "made up", "all") for cell, fit in (("often", 4.0), ("seldom", 1.0)))
    campaign = Campaign("two", Two((0.5, 0.5)), Sample(faults=100_000, by=NEYMAN), 1, "two", Rates("made up", rows))
    often, seldom = (each.tally.total for each in run(campaign, None).found)
    assert often / seldom == pytest.approx(4, rel=0.01)


def test_likely_sum_has_no_doubt_where_all_was_injected_and_that_of_the_rest_alone() -> None:
    found = run(Campaign("coins", Coin((0.3, 0.1), 3000), Sample(faults=3000), 1, "coins"), None)
    assert found.likely([0.5, 0.5]) == found.avf()
    part = outcome(coins(1, 5000, (0.3,), by="stratum"), worked(coins(1, 5000, (0.3,), by="stratum")), True)
    count = part.found[0].tally.some((CORRUPTED,))
    low, high = stats.beta.ppf((0.025, 0.975), count + 0.5, 5000 - count + 0.5)
    likely = part.likely([2.0])
    assert (likely.low, likely.high) == pytest.approx((2 * low, 2 * high), rel=0.01)


def test_whole_stratum_is_asked_for_by_classes_and_a_pilot_by_faults() -> None:
    """Classes of 1000 faults each: a stratum of 6 000 classes is whole where as many are asked for, though it has 6 million faults."""

    class Classes(Coin):
        @property
        def strata(self) -> tuple[Stratum, ...]:
            return Stratum("block", "name", "words", 1, 6_000_000, 6000), stratum(6_000_000)

        def of_classes(self, stratum: int, numbers: Any) -> Any:
            assert stratum == 0 and numbers.max() < 6000
            return replace(self.effects(stratum, numbers), fault=numbers * 1000, weight=np.full(len(numbers), 1000))

    campaign = Campaign("classes", Classes((0.5, 0.5)), Sample(faults=100_000, by=NEYMAN), 1, "classes")
    assert campaign.numbers((0, 0)).max() > 6000
    found = run(campaign, None).found
    assert [each.exhaustive for each in found] == [True, False]
    assert found[0].tally.total == 6_000_000 and found[0].avf.low == found[0].avf.high
    assert found[1].tally.total == 100_000 - 2 * 5000 - 6000


def test_too_few_faults_for_a_pilot_are_refused() -> None:
    with pytest.raises(InputError, match=r"^5 faults are too few for a pilot and more of 3 strata; write at least 6$"):
        Plan.first((stratum(99),) * 3, Sample(faults=5, by=NEYMAN), CHUNK)
    done: Any = {(at, 0): tally(0, 1) for at in range(3)}
    strata, sample = (stratum(99),) * 3, Sample(faults=6, by=NEYMAN)
    plan = Plan.first(strata, sample, CHUNK).after(strata, sample, (1.0,) * 3, done)
    assert plan.pilot == plan.wanted == (1, 1, 1)
