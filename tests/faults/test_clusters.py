"""Clusters: trials of one cluster that agree count as one, in the bootstrap as by hand."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.clusters import bootstrap, design_effect
from accelsim.faults.intervals import wilson


def test_interval_covers_where_trials_of_a_cluster_depend_and_one_that_takes_them_apart_does_not() -> None:
    """40 maps of 50 images each; the share of a map is Beta(1, 9), so that the truth is 0.1."""
    rng, held, apart = np.random.default_rng(11), 0, 0
    for _ in range(300):
        failures = rng.binomial(50, rng.beta(1, 9, size=40))
        found = bootstrap(failures, np.full(40, 50), rng, draws=600)
        held += found.low <= 0.1 <= found.high
        low, high = wilson(failures.sum(), 2000)
        apart += bool(low <= 0.1 <= high)
    assert held / 300 >= 0.9
    assert apart / 300 < 0.75


def test_clusters_that_agree_with_themselves_are_worth_one_trial_each() -> None:
    failures, trials = np.array([10, 0] * 100), np.full(200, 10)
    assert design_effect(failures, trials) == pytest.approx(10 * 200 / 199)
    found = bootstrap(failures, trials, np.random.default_rng(2))
    assert (found.low, found.high) == pytest.approx([float(each) for each in wilson(100, 200)], abs=0.008)


def test_clusters_of_one_trial_have_no_design_effect() -> None:
    failures = np.random.default_rng(3).integers(0, 2, 500)
    assert design_effect(failures, np.ones(500)) == pytest.approx(500 / 499)


def test_clusters_of_other_sizes_weigh_by_their_trials() -> None:
    found = bootstrap([1, 9], [2, 98], np.random.default_rng(4))
    assert found.value == 0.1
    assert (found.low, found.high) == (pytest.approx(9 / 98), 0.5)


@pytest.mark.parametrize(
    ("failures", "trials", "message"),
    [
        ([3], [5], "a share by clusters needs failures and trials of at least two clusters; draw more clusters"),
        ([3, 6], [5, 5], "a cluster has more failures than trials, or no trial; write whole numbers, failures at most trials"),
    ],
)
def test_what_cannot_be_is_said(failures: list[int], trials: list[int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        bootstrap(failures, trials, np.random.default_rng(0))
    assert str(caught.value) == message
