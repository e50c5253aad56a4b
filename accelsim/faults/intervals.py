"""Intervals for a share of faults, and how many injections make one narrow enough.

`failures` of `injections` are arrays of one shape, or broadcast to one. Fixed-sample intervals (Wilson, Clopper-Pearson) hold for a number
of injections chosen beforehand; `confidence_sequence` holds at every look, so that one may stop when it is narrow. The normal
interval around the share itself (Wald) is not offered: with 5 failures of 1000 it covers the truth in 87 % of campaigns, not 95 %.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from accelsim.errors import InputError

Shares: TypeAlias = NDArray[np.float64]
_HALVINGS = 100  # of an interval of doubles: to its end


class Interval(NamedTuple):
    """Where the shares lie: float64 arrays of one shape, each low <= high, both in [0, 1]."""

    low: Shares
    high: Shares


def quantile(confidence: float) -> float:
    """How many standard deviations to each side hold this share of a normal distribution."""
    return float(special.ndtri(0.5 + checked(confidence) / 2))


def sample_size(margin: float, confidence: float = 0.95, population: float = np.inf, share: float = 0.5, deviations: float = 0) -> int:
    """Injections after which a share is known to within an absolute margin, of a population of fault sites times cycles.

    `deviations`: a rounded quantile, such as 1.96, in place of the exact one. It is a plan only, by the normal approximation: intervals
    come from what was observed. Source: Leveugle, Calvez, Maistri, Vanhauwaert, "Statistical fault injection: quantified error and
    confidence", DATE 2009.
    """
    _between(margin, "margin")
    _between(share, "share")
    if not population >= 1:
        raise InputError(f"a population of {population:g} holds no fault", "write at least 1")
    without_end = (deviations or quantile(confidence)) ** 2 * share * (1 - share) / margin**2
    return _up(without_end / (1 - 1 / population + without_end / population))


def relative_sample_size(share: float, error: float = 0.1, confidence: float = 0.95, deviations: float = 0) -> int:
    """Injections after which a share of about `share` is known to within a part `error` of itself."""
    _between(error, "error")
    _between(share, "share")
    return _up((deviations or quantile(confidence)) ** 2 * (1 - share) / (error**2 * share))


def wilson(failures: ArrayLike, injections: ArrayLike, confidence: float = 0.95) -> Interval:
    """The score interval: near the nominal coverage on average over shares, for plots.

    Source: Wilson, J. Am. Stat. Assoc. 22, 1927, doi:10.1080/01621459.1927.10502953.
    """
    k, n = _counts(failures, injections)
    t = quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, spread = k / n, t * t / n
        centre = (share + spread / 2) / (1 + spread)
        half = t * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low = np.where((k == 0) | (n == 0), 0.0, np.maximum(centre - half, 0))
    return Interval(low, np.where((k == n) | (n == 0), 1.0, np.minimum(centre + half, 1)))


def clopper_pearson(failures: ArrayLike, injections: ArrayLike, confidence: float = 0.95) -> Interval:
    """The exact interval: covers the truth at least as often as it says, whatever it is.

    Source: Clopper, Pearson, Biometrika 26, 1934, doi:10.1093/biomet/26.4.404.
    """
    tail = (1 - checked(confidence)) / 2
    return Interval(lower_bound(failures, injections, 1 - tail), upper_bound(failures, injections, 1 - tail))


def upper_bound(failures: ArrayLike, injections: ArrayLike, confidence: float = 0.95) -> Shares:
    """What the share exceeds in at most 1 - confidence of campaigns (Clopper-Pearson, one side): for claims of safety."""
    k, n = _counts(failures, injections)
    return np.where(k == n, 1.0, special.betaincinv(k + 1, np.maximum(n - k, 1), checked(confidence)))


def lower_bound(failures: ArrayLike, injections: ArrayLike, confidence: float = 0.95) -> Shares:
    """What the share falls below in at most 1 - confidence of campaigns (Clopper-Pearson, one side)."""
    k, n = _counts(failures, injections)
    return np.where(k == 0, 0.0, special.betaincinv(np.maximum(k, 1), n - k + 1, 1 - checked(confidence)))


def bound_without_failure(injections: ArrayLike, confidence: float = 0.95) -> Shares:
    """What the share does not exceed when no injection failed: 1 - alpha**(1/n), about 3/n at 95 %."""
    _, n = _counts(0, injections)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.log(1 - checked(confidence)) / n))


def injections_without_failure(share: float, confidence: float = 0.95) -> int:
    """The fewest injections that, if none fails, show that the share is at most `share`."""
    _between(share, "share")
    needed = _up(np.log(1 - checked(confidence)) / np.log1p(-share))
    return needed + int(bound_without_failure(needed, confidence) > share)


def confidence_sequence(failures: ArrayLike, injections: ArrayLike, confidence: float = 0.95, prior: float = 0.5) -> Interval:
    """An interval that holds at all looks at once: in 1 - confidence of campaigns at most does it ever miss the truth.

    The shares p with B(a+k, a+n-k) / B(a, a) <= p**k (1-p)**(n-k) / alpha, B the Beta function and a = `prior`: the mixture of likelihoods
    against the likelihood is a martingale under p (Ville's inequality). About twice as wide as a fixed-sample interval.
    Source: Robbins, Ann. Math. Stat. 41, 1970, doi:10.1214/aoms/1177696786.
    """
    k, n = _counts(failures, injections)
    if not 0 < prior < np.inf:
        raise InputError(f"prior {prior:g} of a confidence sequence is not positive", "write 0.5")
    least = special.betaln(prior + k, prior + n - k) - special.betaln(prior, prior) + np.log(1 - checked(confidence))
    peak = np.where(n == 0, 0.5, k / np.maximum(n, 1))
    low = np.where(k == 0, 0.0, _crossing(np.zeros_like(peak), peak, k, n, least))
    return Interval(low, np.where(k == n, 1.0, _crossing(np.ones_like(peak), peak, k, n, least)))


def _crossing(outside: Shares, inside: Shares, k: Shares, n: Shares, least: Shares) -> Shares:
    """The share next to the edge on its outer side, by halving: beyond it the log-likelihood is below `least`."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        held = special.xlogy(k, middle) + special.xlog1py(n - k, -middle) >= least
        inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
    return outside


def checked(confidence: float) -> float:
    """The confidence, if it is one."""
    return _between(confidence, "confidence")


def _between(value: float, what: str) -> float:
    if not 0 < value < 1:
        raise InputError(f"{what} {value:g} is not between 0 and 1", f"write it as in {0.95 if what == 'confidence' else 0.05}")
    return value


def _counts(failures: ArrayLike, injections: ArrayLike) -> tuple[Shares, Shares]:
    k, n = np.broadcast_arrays(np.asarray(failures, np.float64), np.asarray(injections, np.float64))
    wrong = ~((k >= 0) & (k <= n) & (k == np.floor(k)) & (n == np.floor(n)) & (n < 2.0**53))
    if wrong.any():
        what = f"{k[wrong][0]:g} failures of {n[wrong][0]:g} injections cannot be"
        raise InputError(what, "write whole numbers, failures at most injections")
    return k, n


def _up(number: float) -> int:
    """Rounded up, but for what doubles lose."""
    return int(np.ceil(number * (1 - 1e-12)))
