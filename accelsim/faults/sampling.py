"""Campaigns with fewer injections: strata, how many faults of each, and what they say of the whole.

A stratum h has a weight w_h (of FIT: what its bits would fail with if every upset mattered), a share p_h of its upsets that fail, and n_h
injections of which k_h fail. The figure is sum of w_h p_h. Arrays have one number for each stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, fsum, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from accelsim.errors import InputError
from accelsim.faults.intervals import Interval, checked, clopper_pearson
from accelsim.faults.ranges import Range

if TYPE_CHECKING:
    Numbers = NDArray[np.float64]

_HALVINGS = 200  # of a multiplier: to the last bit of a double
_MOST_EXACT = 1 << 30  # faults of a population, up to which logarithms of factorials are good to 1e-5


def shrunk(failures: int, injections: int) -> float:
    """The share that a pilot suggests, moved towards 1/2 as by one failure and one success more: never 0 and never 1."""
    return (failures + 1) / (injections + 2)


def neyman(weights: Sequence[float], shares: Sequence[float], total: int, least: Sequence[int], most: Sequence[int]) -> tuple[int, ...]:
    """Injections by stratum with which sum of w_h p_h varies least: in proportion to w_h sqrt(p_h (1 - p_h)), between least and most.

    `shares`: as far as they are known, each between 0 and 1 and neither. Source: Neyman, J. R. Stat. Soc. 97, 1934, doi:10.2307/2342192.
    """
    wrong = [share for share in shares if not 0 < share < 1]
    if wrong:
        raise InputError(f"a share of {wrong[0]:g} would get no injection", "shrink it towards 1/2")
    return allotted([weight * sqrt(share * (1 - share)) for weight, share in zip(weights, shares, strict=True)], total, least, most)


def allotted(scores: Sequence[float], total: int, least: Sequence[int], most: Sequence[int]) -> tuple[int, ...]:
    """Whole numbers that add up to `total`, in proportion to scores but for those that would be below least or above most.

    More than all of `most` is not given out; scores of 0 get their least. InputError if `total` is less than all of `least`.
    """
    if total < sum(least):
        raise InputError(f"{total} injections are too few for {len(least)} strata", f"write at least {sum(least)}")
    if any(score < 0 for score in scores) or any(low > high for low, high in zip(least, most, strict=True)):
        raise InputError("scores of strata are negative, or a stratum's least is more than its most", "mend them")
    total = min(total, sum(most))
    sides = list(zip(scores, least, most, strict=True))

    def wished(multiplier: float) -> list[float]:
        return [min(max(multiplier * score, low), high) for score, low, high in sides]

    low, high = 0.0, max((most / score for score, _, most in sides if score > 0), default=0.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fsum(wished(middle)) <= total else (low, middle)
    found = wished(low)
    whole = [floor(each) for each in found]
    order = sorted(range(len(whole)), key=lambda at: (whole[at] - found[at], at))  # the largest remainder first
    while sum(whole) < total:
        for at in order:
            if whole[at] < most[at] and sum(whole) < total:
                whole[at] += 1
    return tuple(whole)


def variance(weights: ArrayLike, shares: ArrayLike, counts: ArrayLike, populations: ArrayLike = np.inf) -> float:
    """Variance of the estimate of sum w_h p_h; `populations`: of strata that are drawn from without putting back."""
    w, p, n = (np.asarray(each, np.float64) for each in (weights, shares, counts))
    size = np.broadcast_to(np.asarray(populations, np.float64), p.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(np.isinf(size), 1.0, np.where(size <= 1, 0.0, (size - n) / (size - 1)))
        return float(np.sum(np.where(n > 0, w * w * p * (1 - p) / n * left, np.inf * (w > 0))))


def simple_variance(weights: ArrayLike, shares: ArrayLike, total: float) -> float:
    """And of as many injections that are drawn from all strata alike, by their weights."""
    w, p = np.asarray(weights, np.float64), np.asarray(shares, np.float64)
    mean = float(np.sum(w * p) / np.sum(w))
    return float(np.sum(w)) ** 2 * mean * (1 - mean) / total


def stratified(
    weights: Sequence[float], failures: Sequence[int], injections: Sequence[int], confidence: float = 0.95,
    populations: Sequence[int] | None = None,
) -> Range:  # fmt: skip
    """sum of w_h p_h, between bounds that hold at least as often as `confidence` says, whatever the shares are.

    The exact intervals of all sampled strata hold at once (Bonferroni). With `populations` faults were drawn without putting back:
    strata that were injected whole have no doubt, and take none of the others' confidence.
    """
    sizes: Sequence[int | None] = populations if populations is not None else [None] * len(weights)
    sampled = sum(size is None or many < size for size, many in zip(sizes, injections, strict=True))
    each = 1 - (1 - checked(confidence)) / max(1, sampled)
    parts = []
    for weight, failed, many, size in zip(weights, failures, injections, sizes, strict=True):
        low, high = clopper_pearson(failed, many, each) if size is None else finite(failed, many, size, each)
        parts.append(Range(failed / many if many else 0.0, float(low), float(high)).times(weight))
    return Range.total(parts)


def posterior(
    weights: Sequence[float], failures: Sequence[float], injections: Sequence[float], rng: np.random.Generator, confidence: float = 0.95,
    draws: int = 100_000,
) -> Range:  # fmt: skip
    """sum of w_h p_h, between quantiles of its posterior: Beta(k + 1/2, n - k + 1/2) for each share, drawn so many times.

    Narrower than `stratified`, and near its confidence on average over shares only.
    """
    k, n = np.asarray(failures, np.float64), np.asarray(injections, np.float64)
    w = np.asarray(weights, np.float64)
    shares = rng.beta(k + 0.5, n - k + 0.5, size=(draws, w.size))
    tail = (1 - checked(confidence)) / 2
    low, high = np.quantile(shares @ w, (tail, 1 - tail))
    value = float(np.sum(w * np.divide(k, n, out=np.zeros_like(k), where=n > 0)))
    return Range(value, min(value, float(low)), max(value, float(high)))


def finite(failures: int, injections: int, population: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a share of a finite population, drawn from without putting back; of all of it, the share itself.

    Ends are whole numbers of faults: the fewest and the most of the population that could fail. For populations of more than 2**30 it is
    the Clopper-Pearson interval, from which it no longer differs by more than logarithms of factorials are rounded by.
    """
    if not 0 <= failures <= injections <= population or population < 1:
        what = f"{failures} failures of {injections} injections of {population} faults cannot be"
        raise InputError(what, "write whole numbers, failures at most injections, and those at most faults")
    if injections == population:
        return Interval(np.asarray(failures / population), np.asarray(failures / population))
    if population > _MOST_EXACT:
        return clopper_pearson(failures, injections, confidence)
    tail = (1 - checked(confidence)) / 2
    passed = injections - failures
    high = population - _fewest(passed, injections, population, tail)
    return Interval(np.asarray(_fewest(failures, injections, population, tail) / population), np.asarray(high / population))


def _fewest(count: int, injections: int, population: int, tail: float) -> int:
    """The fewest of a population of which at least `count` are in a sample more often than `tail`."""
    if count == 0:
        return 0
    low, high = count - 1, population  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _at_least(count, middle, injections, population) > tail else (middle, high)
    return high


def _at_least(count: int, marked: int, injections: int, population: int) -> float:
    """The chance that a sample without putting back holds at least `count` of those marked."""
    some = np.arange(max(count, injections - (population - marked)), min(marked, injections) + 1, dtype=np.float64)
    log = _choose(marked, some) + _choose(population - marked, injections - some) - _choose(population, np.float64(injections))
    return float(np.exp(log).sum())


def _choose(n: int, k: Numbers | np.float64) -> Numbers:
    return np.asarray(special.gammaln(n + 1.0) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
