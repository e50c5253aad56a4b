"""Intervals: worked numbers, and coverage added up exactly over all outcomes of a campaign."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from accelsim.errors import InputError
from accelsim.faults.intervals import (
    Interval,
    bound_without_failure,
    clopper_pearson,
    confidence_sequence,
    injections_without_failure,
    lower_bound,
    quantile,
    relative_sample_size,
    sample_size,
    upper_bound,
    wilson,
)

# Worked with t = 1.96, 2.5758 and 3.0902: margin, confidence, t, then injections for populations of 1e4, 1e5, 1e6 and 1e11.
PLANS = [
    (0.05, 0.95, 1.96, (370, 383, 385, 385)),
    (0.01, 0.95, 1.96, (4900, 8763, 9513, 9604)),
    (0.01, 0.99, 2.5758, (6239, 14228, 16317, 16587)),
    (0.01, 0.998, 3.0902, (7049, 19273, 23317, 23874)),
    (0.005, 0.95, 1.96, (7935, 27755, 36995, 38416)),
    (0.001, 0.95, 1.96, (9897, 90570, 489901, 960391)),
]
LOOKS = np.arange(100, 5001, 100)


def wald(failures: np.ndarray, injections: int | np.ndarray, confidence: float = 0.95) -> Interval:
    """The interval that is not offered, to see it fail."""
    share = failures / injections
    half = quantile(confidence) * np.sqrt(share * (1 - share) / injections)
    return Interval(share - half, share + half)


def coverage(method, share: float, injections: int, confidence: float = 0.95) -> float:  # type: ignore[no-untyped-def]
    """The chance that a campaign's interval holds the truth: a sum over all numbers of failures."""
    k = np.arange(injections + 1)
    low, high = method(k, injections, confidence)
    return float(stats.binom.pmf(k, injections, share)[(low <= share) & (share <= high)].sum())


def coverage_at_all_looks(method, share: float, looks: np.ndarray = LOOKS) -> float:  # type: ignore[no-untyped-def]
    """The chance that the intervals of all looks hold the truth, exactly: failures so far, of campaigns that were never wrong."""
    alive, before = np.ones(1), 0
    for n in looks:
        alive = np.convolve(alive, stats.binom.pmf(np.arange(n - before + 1), n - before, share))
        low, high = method(np.arange(n + 1), n)
        alive, before = np.where((low <= share) & (share <= high), alive, 0.0), n
    return float(alive.sum())


@pytest.mark.parametrize(("margin", "confidence", "t", "expected"), PLANS)
def test_sample_sizes_are_the_worked_ones(margin: float, confidence: float, t: float, expected: tuple[int, ...]) -> None:
    assert tuple(sample_size(margin, confidence, n, deviations=t) for n in (1e4, 1e5, 1e6, 1e11)) == expected
    exact = [sample_size(margin, confidence, n) for n in (1e4, 1e5, 1e6, 1e11)]
    assert np.allclose(exact, expected, rtol=2e-4, atol=1)


def test_population_that_is_smaller_than_the_plan_is_injected_whole() -> None:
    assert sample_size(0.001, population=1) == 1
    assert sample_size(0.0001, population=50) == 50


@pytest.mark.parametrize(("share", "expected"), [(0.1, 3458), (0.01, 38032), (0.001, 383776), (0.0001, 3841216)])
def test_relative_sample_sizes_are_the_worked_ones(share: float, expected: int) -> None:
    assert relative_sample_size(share, 0.1, deviations=1.96) == expected


@pytest.mark.parametrize(
    ("k", "n", "score", "exact", "upper"),
    [
        (5, 1000, (0.00214, 0.01165), (0.00163, 0.01163), 1.05e-2),
        (50, 1000, (0.03813, 0.06531), (0.03734, 0.06539), 6.29e-2),
        (0, 1000, (0, 0.00383), (0, 0.00368), 2.99e-3),
        (3, 3000, (0.00034, 0.00294), (0.00021, 0.00292), 2.58e-3),
    ],
)
def test_intervals_are_the_worked_ones(k: int, n: int, score: tuple[float, float], exact: tuple[float, float], upper: float) -> None:
    assert np.allclose(wilson(k, n), score, atol=5.1e-6)
    assert np.allclose(clopper_pearson(k, n), exact, atol=5.1e-6)
    assert upper_bound(k, n) == pytest.approx(upper, rel=3e-3)


@pytest.mark.parametrize(
    ("k", "n", "expected"), [(5, 1000, (0.00063, 0.00937)), (50, 1000, (0.03649, 0.06351)), (3, 3000, (-0.00013, 0.00213))]
)
def test_wald_interval_that_fails_is_the_worked_one(k: int, n: int, expected: tuple[float, float]) -> None:
    assert np.allclose(wald(np.array(k), n), expected, atol=5.1e-6)


@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [(0.005, 1000, (0.871, 0.962, 0.980)), (0.01, 385, (0.892, 0.937, 0.962)), (0.05, 385, (0.938, 0.954, 0.966))],
)
def test_coverages_are_the_worked_ones(share: float, n: int, expected: tuple[float, ...]) -> None:
    found = [coverage(method, share, n) for method in (wald, wilson, clopper_pearson)]
    assert np.allclose(found, expected, atol=5.1e-4)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_exact_interval_and_bounds_cover_at_least_as_often_as_they_say(confidence: float) -> None:
    for n in (1, 2, 3, 5, 10, 30, 100, 385, 1000):
        k = np.arange(n + 1)
        intervals = (
            clopper_pearson(k, n, confidence),
            Interval(np.zeros(n + 1), upper_bound(k, n, confidence)),
            Interval(lower_bound(k, n, confidence), np.ones(n + 1)),
        )
        for share in (0, 1e-4, 1e-3, 0.004, 0.01, 0.03, 0.1, 0.25, 1 / 3, 0.5, 0.7, 0.95, 0.999, 1):
            chances = stats.binom.pmf(k, n, share)
            for low, high in intervals:
                assert chances[(low <= share) & (share <= high)].sum() >= confidence - 1e-12
    assert coverage(wald, 0.004, 100, confidence) < confidence - 0.3


def test_score_interval_covers_as_often_as_it_says_on_average_over_shares_only() -> None:
    shares = (np.arange(500) + 0.5) / 500
    found = np.array([coverage(wilson, share, 100) for share in shares])
    assert abs(found.mean() - 0.95) < 0.005
    assert found.min() < 0.94


def test_exact_bounds_are_where_the_binomial_tail_is_the_doubt() -> None:
    k, n = np.array([0, 1, 5, 49]), 50
    low, high = clopper_pearson(k, n, 0.9)
    assert np.allclose(stats.binom.cdf(k, n, high), 0.05)
    assert np.allclose(stats.binom.sf(k[1:] - 1, n, low[1:]), 0.05)
    assert low[0] == 0 and clopper_pearson(n, n)[1] == 1


@pytest.mark.parametrize(("n", "expected"), [(1000, 2.99e-3), (3000, 9.98e-4), (100_000, 3.00e-5)])
def test_bound_without_failure_is_the_worked_one(n: int, expected: float) -> None:
    assert bound_without_failure(n) == pytest.approx(expected, rel=2e-3)
    assert bound_without_failure(n) == pytest.approx(upper_bound(0, n), rel=1e-9)


@pytest.mark.parametrize(("share", "confidence", "expected"), [(0.01, 0.95, 299), (0.01, 0.99, 459), (0.5, 0.75, 2)])
def test_injections_without_failure_are_the_fewest(share: float, confidence: float, expected: int) -> None:
    assert injections_without_failure(share, confidence) == expected
    assert bound_without_failure(expected, confidence) <= share < bound_without_failure(expected - 1, confidence)


def test_confidence_sequence_is_the_worked_one_and_twice_as_wide() -> None:
    low, high = confidence_sequence(50, 5000)
    assert (low, high) == (pytest.approx(0.0055, abs=5e-5), pytest.approx(0.0165, abs=5e-5))
    assert np.allclose(wilson(50, 5000), (0.0076, 0.0132), atol=5e-5)


def test_confidence_sequence_ends_where_the_mixture_is_a_likelihood_times_twenty() -> None:
    k, n = 7, 90
    nodes, weights = np.polynomial.legendre.leggauss(200)
    angle = (nodes + 1) * np.pi / 4  # p = sin(angle)**2 makes the prior Beta(1/2, 1/2) even in angle
    mixture = float((weights * np.pi / 4 * np.sin(angle) ** (2 * k) * np.cos(angle) ** (2 * (n - k))).sum() / (np.pi / 2))
    for end in confidence_sequence(k, n):
        assert mixture / (end**k * (1 - end) ** (n - k)) == pytest.approx(20, rel=1e-9)


def test_nothing_injected_says_nothing() -> None:
    for method in (wilson, clopper_pearson, confidence_sequence):
        assert method(0, 0) == (0, 1)
    assert (bound_without_failure(0), upper_bound(0, 0), lower_bound(0, 0)) == (1, 1, 0)


def test_intervals_of_many_campaigns_are_those_of_each() -> None:
    k, n = np.array([[0, 3], [10, 20]]), np.array([20, 25])
    for method in (wilson, clopper_pearson, confidence_sequence):
        low, high = method(k, n)
        assert low.shape == high.shape == (2, 2)
        assert (low[1, 1], high[1, 1]) == method(20, 25)
        assert (low <= k / n).all() and (k / n <= high).all()


@pytest.mark.parametrize(
    ("method", "expected"), [(wald, 0.450), (wilson, 0.674), (confidence_sequence, 0.995)]
)
def test_coverage_at_fifty_looks_is_the_simulated_one(method, expected: float) -> None:  # type: ignore[no-untyped-def]
    assert coverage_at_all_looks(method, 0.01) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.5, 0.97])
def test_confidence_sequence_covers_at_all_looks_exactly_added_up(share: float) -> None:
    assert coverage_at_all_looks(confidence_sequence, share) >= 0.95
    assert coverage_at_all_looks(confidence_sequence, share, np.arange(1, 301)) >= 0.95


def test_confidence_sequence_covers_at_all_looks_of_seeded_campaigns() -> None:
    rng = np.random.default_rng(20)
    for share in (0.002, 0.01, 0.3):
        failures = np.cumsum(rng.binomial(100, share, size=(2000, LOOKS.size)), axis=1)
        low, high = confidence_sequence(failures, LOOKS)
        assert ((low <= share) & (share <= high)).all(axis=1).mean() >= 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(3, 2), "3 failures of 2 injections cannot be; write whole numbers, failures at most injections"),
        (lambda: clopper_pearson([1, -1], 2), "-1 failures of 2 injections cannot be; write whole numbers, failures at most injections"),
        (lambda: upper_bound(0.5, 2), "0.5 failures of 2 injections cannot be; write whole numbers, failures at most injections"),
        (lambda: wilson(0, 5, 95), "confidence 95 is not between 0 and 1; write it as in 0.95"),
        (lambda: sample_size(0), "margin 0 is not between 0 and 1; write it as in 0.05"),
        (lambda: sample_size(0.1, population=0), "a population of 0 holds no fault; write at least 1"),
        (lambda: relative_sample_size(1), "share 1 is not between 0 and 1; write it as in 0.05"),
        (lambda: confidence_sequence(0, 5, prior=0), "prior 0 of a confidence sequence is not positive; write 0.5"),
    ],
)
def test_what_cannot_be_is_said(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
