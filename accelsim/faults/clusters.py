"""Faults that are not independent: one on many inputs, or one map of weak cells on many images. The cluster is what was drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.faults.intervals import checked
from accelsim.faults.ranges import Range


def bootstrap(failures: ArrayLike, trials: ArrayLike, rng: np.random.Generator, confidence: float = 0.95, draws: int = 10_000) -> Range:
    """The share of trials that fail, between quantiles of what as many clusters, drawn again from these, have.

    failures, trials: whole numbers, [clusters]. Whole clusters are drawn, so that trials may depend on one another inside one. With
    few clusters (under about 20) it is too narrow. InputError for fewer than two, of which nothing can be said.
    """
    k, n = _clusters(failures, trials)
    picked = rng.integers(0, k.size, size=(draws, k.size))
    tail = (1 - checked(confidence)) / 2
    low, high = np.quantile(k[picked].sum(axis=1) / n[picked].sum(axis=1), (tail, 1 - tail))
    value = float(k.sum() / n.sum())
    return Range(value, min(value, float(low)), max(value, float(high)))


def design_effect(failures: ArrayLike, trials: ArrayLike) -> float:
    """How many times the variance of independent trials the share's variance is, by linearised clusters; 1 if there is no dependence.

    Source: Kish, Survey Sampling, 1965, deff of a ratio.
    """
    k, n = _clusters(failures, trials)
    share = k.sum() / n.sum()
    if not 0 < share < 1:
        return 1.0
    spread = k.size / (k.size - 1) * float(((k - share * n) ** 2).sum())
    return float(spread / (share * (1 - share) * n.sum()))


def _clusters(failures: ArrayLike, trials: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k, n = np.asarray(failures, np.float64), np.asarray(trials, np.float64)
    if k.ndim != 1 or k.shape != n.shape or k.size < 2:
        raise InputError("a share by clusters needs failures and trials of at least two clusters", "draw more clusters")
    if not ((k >= 0) & (k <= n) & (n > 0)).all():
        raise InputError("a cluster has more failures than trials, or no trial", "write whole numbers, failures at most trials")
    return k, n
