"""Importance sampling: means added up over all faults, the guarantee of the weights, and coverage of seeded campaigns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.importance import Mixture, effective_size, weighted

FAULTS = 1000
FAILING = np.arange(FAULTS) >= 990  # 1 % of faults, of the highest numbers
NATURAL = np.ones(FAULTS)
GOOD = np.where(np.arange(FAULTS) >= 980, 1.0, 0.0)  # a guess that holds them all, and as many that do not fail
BAD = np.where(np.arange(FAULTS) < 500, 1.0, 0.0)  # and one that holds none


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.001, 1), st.booleans()), min_size=2, max_size=30),
    st.floats(0.01, 1),
)
def test_weighted_mean_is_the_share_and_no_weight_exceeds_its_bound(faults: list[tuple[float, float, bool]], defence: float) -> None:
    natural, guess = np.array([each[0] for each in faults]), np.array([each[1] for each in faults])
    failing = np.array([each[2] for each in faults])
    mixture = Mixture(natural, guess, defence)
    weights = mixture.weights(np.arange(len(faults)))
    assert mixture.chances.sum() == pytest.approx(1)
    assert weights.max() <= mixture.bound * (1 + 1e-9)
    assert (mixture.chances * weights * failing).sum() == pytest.approx((natural * failing).sum() / natural.sum())
    assert (mixture.chances * weights).sum() == pytest.approx(1)


def test_draws_have_their_chances_and_are_the_same_alone() -> None:
    mixture = Mixture(NATURAL, GOOD, 0.2)
    drawn = mixture.draw(3, np.arange(50_000))
    assert (drawn >= 980).mean() == pytest.approx(0.8 + 0.2 * 0.02, abs=4 * np.sqrt(0.16 / 50_000))
    assert mixture.draw(3, [777])[0] == drawn[777]
    assert (mixture.draw(4, np.arange(100)) != drawn[:100]).any()


def test_fault_without_a_chance_is_never_drawn() -> None:
    none = np.array([0.0, 1.0, 0.0, 2.0, 0.0])
    assert set(Mixture(none, none, 0.5).draw(1, np.arange(2000)).tolist()) == {1, 3}


@pytest.mark.parametrize(("guess", "defence"), [(GOOD, 0.1), (BAD, 0.1), (GOOD, 0.5)])
def test_variance_is_that_of_simulated_campaigns(guess: np.ndarray, defence: float) -> None:
    mixture, n, campaigns = Mixture(NATURAL, guess, defence), 200, 4000
    drawn = mixture.draw(9, np.arange(n * campaigns))
    means = (mixture.weights(drawn) * FAILING[drawn]).reshape(campaigns, n).mean(axis=1)
    assert means.mean() == pytest.approx(0.01, abs=5 * np.sqrt(mixture.variance(FAILING, n) / campaigns))
    assert means.var() == pytest.approx(mixture.variance(FAILING, n), rel=0.15)


def test_good_guess_saves_injections_and_a_bad_one_costs_at_most_its_defence() -> None:
    plain = 0.01 * 0.99 / 100
    assert Mixture(NATURAL, NATURAL, 0.1).variance(FAILING, 100) == pytest.approx(plain)
    assert plain / Mixture(NATURAL, GOOD, 0.1).variance(FAILING, 100) > 30
    assert Mixture(NATURAL, BAD, 0.1).variance(FAILING, 100) == pytest.approx((0.01 * 10 - 0.01**2) / 100)  # all weights 10


@pytest.mark.parametrize("guess", [GOOD, BAD])
def test_bounds_hold_in_seeded_campaigns(guess: np.ndarray) -> None:
    mixture, held = Mixture(NATURAL, guess, 0.2), 0
    for campaign in range(300):
        drawn = mixture.draw(campaign, np.arange(400))
        found = weighted(FAILING[drawn], mixture.weights(drawn), mixture.bound, 0.9)
        held += found.share.low <= 0.01 <= found.share.high
        assert found.largest <= 5 and 1 <= found.effective <= 400
    assert held / 300 >= 0.9


def test_bounds_are_those_of_the_inequality_worked_by_hand() -> None:
    """Four injections, weights 1 and bound 1: mean 1/4, variance 1/4, ln(4 / 0.2) = 2.9957."""
    found = weighted([True, False, False, False], np.ones(4), 1.0, 0.8)
    assert found.share.value == 0.25 and found.share.low == 0 and found.share.high == 1
    many = weighted(np.arange(40_000) % 4 == 0, np.ones(40_000), 1.0, 0.8)
    half = np.sqrt(2 * 0.1875 * 40_000 / 39_999 * 2.995732 / 40_000) + 7 * 2.995732 / (3 * 39_999)
    assert (many.share.low, many.share.high) == pytest.approx((0.25 - half, 0.25 + half), rel=1e-6)


def test_weights_that_differ_are_worth_fewer_injections() -> None:
    assert effective_size([1, 1, 1, 1]) == 4
    assert effective_size([1, 0, 0, 0]) == 1
    assert effective_size([3, 1]) == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Mixture(NATURAL, GOOD, 0), "a defence of 0 does not bound weights; write a share, as in 0.1"),
        (lambda: Mixture(NATURAL, -GOOD), "chances of faults are negative, nothing in all, or not one for each fault; write proportions"),
        (lambda: weighted([True], [1.0], 1), "weights and failures are not one for each of at least two injections; give both for all"),
        (lambda: weighted([True, False], [3, 1], 2), "a weight of 3 is negative or above 2; draw from a mixture with the natural chances"),
    ],
)
def test_what_cannot_be_is_said(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
