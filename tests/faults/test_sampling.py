"""Strata: worked variances, exact allocation by enumeration, and intervals that cover, added up exactly or over seeded campaigns."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelsim.errors import InputError
from accelsim.faults.intervals import clopper_pearson
from accelsim.faults.sampling import allotted, finite, neyman, posterior, shrunk, simple_variance, stratified, variance

# Worked by hand: four strata, n * Var of the estimate with simple, proportional and Neyman's numbers of injections.
WEIGHTS, SHARES = (0.6, 0.25, 0.1, 0.05), (0.002, 0.02, 0.2, 0.6)
SIMPLE, PROPORTIONAL, NEYMAN = 0.05304, 0.03410, 0.01595
MANY = 10_000_000
NONE, ALL = (1, 1, 1, 1), (MANY,) * 4


def test_worked_variances_and_gains_are_found() -> None:
    by_weight = allotted(WEIGHTS, MANY, NONE, ALL)
    best = neyman(WEIGHTS, SHARES, MANY, NONE, ALL)
    found = [MANY * each for each in (
        simple_variance(WEIGHTS, SHARES, MANY), variance(WEIGHTS, SHARES, by_weight), variance(WEIGHTS, SHARES, best),
    )]  # fmt: skip
    assert found == pytest.approx([SIMPLE, PROPORTIONAL, NEYMAN], abs=5.1e-6)
    assert found[0] / found[1] == pytest.approx(1.56, abs=5e-3)
    assert found[0] / found[2] == pytest.approx(3.33, abs=5e-3)


def test_worked_gain_is_seen_in_simulated_campaigns() -> None:
    """Variance over 20 000 campaigns of 400 injections each: its own error is 1 % (sqrt(2 / campaigns)), the tolerance five of them."""
    rng, total = np.random.default_rng(5), 400
    counts = np.array(neyman(WEIGHTS, SHARES, total, NONE, ALL))
    best = (np.array(WEIGHTS) * rng.binomial(counts, SHARES, size=(20_000, 4)) / counts).sum(axis=1)
    simple = rng.binomial(total, sum(w * p for w, p in zip(WEIGHTS, SHARES, strict=True)), size=20_000) / total
    assert simple.var() * total == pytest.approx(SIMPLE, rel=0.05)
    assert best.var() * total == pytest.approx(NEYMAN, rel=0.05)
    assert best.mean() == pytest.approx(0.0562, abs=5 * np.sqrt(NEYMAN / total / 20_000))


def test_no_other_numbers_of_few_injections_vary_less() -> None:
    """All ways to share 24 injections over three strata; rounding costs at most what one injection more or less does."""
    weights, shares, total = (0.5, 0.3, 0.2), (0.05, 0.4, 0.5), 24
    every = [(a, b, total - a - b) for a, b in product(range(1, total - 1), repeat=2) if a + b < total]
    found = neyman(weights, shares, total, (1, 1, 1), (total,) * 3)
    best = min(every, key=lambda counts: variance(weights, shares, counts))
    assert max(abs(a - b) for a, b in zip(found, best, strict=True)) <= 1
    assert variance(weights, shares, found) <= variance(weights, shares, best) * 1.01


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 50), st.integers(0, 10**6)), min_size=1, max_size=12), st.integers(0, 10**7)
)
def test_allotted_numbers_add_up_and_stay_between_their_least_and_most(sides: list[tuple[float, int, int]], more: int) -> None:
    scores, least = [side[0] for side in sides], [side[1] for side in sides]
    most = [low + side[2] for low, side in zip(least, sides, strict=True)]
    total = sum(least) + more
    found = allotted(scores, total, least, most)
    assert all(low <= each <= high for low, each, high in zip(least, found, most, strict=True))
    assert sum(found) == min(total, sum(most))


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.integers(2, 40))
def test_proportions_that_are_whole_are_kept(scores: list[int], times: int) -> None:
    assert allotted(scores, times * sum(scores), [0] * len(scores), [10**9] * len(scores)) == tuple(times * each for each in scores)


@given(st.integers(0, 500), st.integers(0, 500))
def test_stratum_in_which_no_pilot_failed_is_still_injected(failures: int, successes: int) -> None:
    share = shrunk(failures, failures + successes)
    seen = failures / (failures + successes) if failures + successes else 0.5
    assert 0 < share < 1 and min(seen, 0.5) - 1e-12 <= share <= max(seen, 0.5) + 1e-12
    assert min(neyman((0.5, 0.5), (share, 0.5), 10_000, (0, 0), (10**9, 10**9))) > 0


def test_stratum_of_known_share_is_refused() -> None:
    with pytest.raises(InputError, match=r"^a share of 0 would get no injection; shrink it towards 1/2$"):
        neyman((1, 1), (0.0, 0.5), 10, (0, 0), (10, 10))
    with pytest.raises(InputError, match=r"^3 injections are too few for 2 strata; write at least 4$"):
        allotted((1, 1), 3, (2, 2), (9, 9))


def test_guaranteed_interval_of_a_sum_covers_exactly_added_up() -> None:
    """The chance that it holds the truth, over all outcomes of two strata of 12 and 9 injections."""
    weights, counts = (2.0, 1.0), (12, 9)
    bounds = {ks: stratified(weights, ks, counts, 0.9) for ks in product(range(13), range(10))}
    for shares in product((0.0, 0.03, 0.2, 0.5, 0.85), repeat=2):
        truth = 2 * shares[0] + shares[1]
        chance = sum(
            stats.binom.pmf(ks[0], 12, shares[0]) * stats.binom.pmf(ks[1], 9, shares[1])
            for ks, found in bounds.items() if found.low - 1e-12 <= truth <= found.high + 1e-12
        )  # fmt: skip
        assert chance >= 0.9


def test_one_stratum_is_an_exact_interval() -> None:
    assert (stratified([3.0], [5], [1000]).low, stratified([3.0], [5], [1000]).high) == pytest.approx([3 * 0.00163, 3 * 0.01163], abs=2e-5)


def test_intervals_of_two_strata_share_the_doubt() -> None:
    found = stratified((1.0, 2.0), (5, 9), (1000, 300), 0.9)
    expected = [float(a) + 2 * float(b) for a, b in zip(clopper_pearson(5, 1000, 0.95), clopper_pearson(9, 300, 0.95), strict=True)]
    assert [found.low, found.high] == pytest.approx(expected)


def test_stratum_that_was_injected_whole_takes_no_confidence() -> None:
    found = stratified((1.0, 1.0), (5, 7), (1000, 20), populations=(10**12, 20))
    alone = [float(each) for each in clopper_pearson(5, 1000)]
    assert (found.low, found.high) == pytest.approx([alone[0] + 7 / 20, alone[1] + 7 / 20])


def test_posterior_is_narrower_and_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    counts, truth, held, narrower = (500, 600, 700, 400), 0.0562, 0, 0
    for _ in range(400):
        failures = [int(rng.binomial(n, p)) for n, p in zip(counts, SHARES, strict=True)]
        found, sure = posterior(WEIGHTS, failures, counts, rng, draws=4000), stratified(WEIGHTS, failures, counts)
        held += found.low <= truth <= found.high
        narrower += found.high - found.low < sure.high - sure.low
    assert narrower == 400
    assert 0.92 <= held / 400 <= 0.98  # 0.95, three standard errors of 400 campaigns


def test_posterior_of_one_stratum_is_its_beta_distribution() -> None:
    found = posterior([2.0], [3], [40], np.random.default_rng(1), 0.9, draws=200_000)
    assert (found.low, found.high) == pytest.approx([2 * each for each in stats.beta.ppf((0.05, 0.95), 3.5, 37.5)], rel=0.02)


def test_interval_of_a_finite_population_covers_exactly_added_up() -> None:
    for population, injections in ((7, 3), (30, 12), (50, 49)):
        ends = [finite(k, injections, population, 0.9) for k in range(injections + 1)]
        for failing in range(population + 1):
            chances = stats.hypergeom.pmf(np.arange(injections + 1), population, failing, injections)
            held = [low <= failing / population <= high for low, high in ends]
            assert chances[held].sum() >= 0.9 - 1e-9


def test_interval_of_a_finite_population_ends_where_its_tails_are_the_doubt() -> None:
    low, high = finite(4, 60, 500, 0.9)
    fewest, most = round(float(low) * 500), round(float(high) * 500)
    assert stats.hypergeom.sf(3, 500, fewest, 60) > 0.05 >= stats.hypergeom.sf(3, 500, fewest - 1, 60)
    assert stats.hypergeom.cdf(4, 500, most, 60) > 0.05 >= stats.hypergeom.cdf(4, 500, most + 1, 60)


def test_finite_population_is_narrower_the_more_of_it_is_injected_and_known_at_its_end() -> None:
    widths = [float(high - low) for low, high in (finite(n // 10, n, 1000) for n in (10, 100, 500, 900, 1000))]
    assert widths == sorted(widths, reverse=True) and widths[-1] == 0
    assert np.allclose(finite(5, 1000, 10**9), clopper_pearson(5, 1000), rtol=1e-3, atol=0)
    assert variance((1.0,), (0.3,), (50,), (50,)) == 0
    assert variance((1.0,), (0.3,), (25,), (50,)) == pytest.approx(0.21 / 25 * 25 / 49)


@settings(max_examples=30)
@given(st.integers(1, 40), st.data())
def test_finite_interval_holds_what_was_seen(population: int, data: st.DataObject) -> None:
    injections = data.draw(st.integers(0, population))
    failures = data.draw(st.integers(0, injections))
    low, high = finite(failures, injections, population)
    assert failures <= round(float(low) * population) <= round(float(high) * population) <= population - (injections - failures)


def test_more_injections_than_faults_are_refused() -> None:
    with pytest.raises(InputError, match=r"^1 failures of 6 injections of 5 faults cannot be; write whole numbers, failures at most"):
        finite(1, 6, 5)
