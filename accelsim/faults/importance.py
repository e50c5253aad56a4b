"""Importance sampling of faults: draw those that may matter more often, and weigh them by how much more often they were drawn.

Of faults x with natural chances pi(x), of which a share p = sum of pi(x) y(x) fails, some are drawn with chances
q = (1 - eps) q1 + eps pi. Their weights pi / q are then at most 1 / eps, whatever q1 is: a wrong guess costs injections, never the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.faults.intervals import checked
from accelsim.faults.randomness import uniforms
from accelsim.faults.ranges import Range

if TYPE_CHECKING:
    Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Chances to draw each of some faults. `natural`, `guess`: float64[faults], as proportions; `defence`: eps, between 0 and 1."""

    natural: Numbers
    guess: Numbers
    defence: float = 0.1

    def __post_init__(self) -> None:
        for chances in (self.natural, self.guess):
            if chances.ndim != 1 or chances.size != self.natural.size or not (chances >= 0).all() or not 0 < chances.sum() < np.inf:
                raise InputError("chances of faults are negative, nothing in all, or not one for each fault", "write proportions")
        if not 0 < self.defence <= 1:
            raise InputError(f"a defence of {self.defence:g} does not bound weights", "write a share, as in 0.1")

    @cached_property
    def chances(self) -> Numbers:
        """q by fault."""
        return np.asarray((1 - self.defence) * self.guess / self.guess.sum() + self.defence * self.natural / self.natural.sum())

    @property
    def bound(self) -> float:
        """What no weight exceeds."""
        return 1 / self.defence

    @cached_property
    def _ends(self) -> Numbers:
        return np.cumsum(self.chances)

    def draw(self, seed: int, indices: ArrayLike) -> NDArray[np.int64]:
        """The faults that draws `indices` of a campaign are, int64[draws], each with its own random number."""
        some = uniforms(seed, indices, 1)[:, 0] * self._ends[-1]
        return np.asarray(np.minimum(np.searchsorted(self._ends, some, side="right"), self._last), np.int64)

    @cached_property
    def _last(self) -> int:
        return int(np.flatnonzero(self.chances)[-1])

    def weights(self, faults: ArrayLike) -> Numbers:
        """pi / q of faults."""
        which = np.asarray(faults, np.int64)
        return np.asarray(self.natural[which] / self.natural.sum() / self.chances[which])

    def variance(self, failing: ArrayLike, injections: int) -> float:
        """Variance of an estimate, if it were known which faults fail: bool[faults]."""
        pi, y = self.natural / self.natural.sum(), np.asarray(failing, np.float64)
        square = np.divide(pi * pi * y, self.chances, out=np.zeros_like(pi), where=self.chances > 0)
        return float((square.sum() - (pi * y).sum() ** 2) / injections)


@dataclass(frozen=True, slots=True)
class Weighted:
    """A share from weighted injections. `share`: between bounds; `effective`: how many unweighted injections the weights are worth, of
    which few mean that the guess was bad; `largest`: of the weights; `variance`: of the share, as the injections show it.
    """

    share: Range
    effective: float
    largest: float
    variance: float

    @property
    def worth(self) -> tuple[float, float]:
        """Failures and injections, no whole numbers, that would have this share and this variance without weights; where the injections
        show no variance, as many as the weights are worth. Source: Korn, Graubard, Survey Methodology 24, 1998, p. 193.
        """
        value = self.share.value
        many = value * (1 - value) / self.variance if self.variance and 0 < value < 1 else self.effective
        return value * many, many


def weighted(failing: ArrayLike, weights: ArrayLike, bound: float, confidence: float = 0.95) -> Weighted:
    """The share that fails: the mean of y pi / q. failing: bool[draws]; weights: float64[draws], none above `bound`.

    The bounds hold for any independent numbers in [0, bound] at least as often as `confidence` says: the empirical Bernstein inequality.
    Source: Maurer, Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009, arXiv:0907.3740, theorem 4.
    """
    y, w = np.asarray(failing, bool), np.asarray(weights, np.float64)
    if y.shape != w.shape or y.ndim != 1 or y.size < 2:
        raise InputError("weights and failures are not one for each of at least two injections", "give both for all")
    if not (w >= 0).all() or w.max() > bound * (1 + 1e-9):
        raise InputError(f"a weight of {w.max():g} is negative or above {bound:g}", "draw from a mixture with the natural chances")
    terms, n = w * y, y.size
    doubt = np.log(4 / (1 - checked(confidence)))
    mean = float(terms.mean())
    half = float(np.sqrt(2 * terms.var(ddof=1) * doubt / n) + 7 * bound * doubt / (3 * (n - 1)))
    share = Range(mean, max(0.0, mean - half), max(mean, min(1.0, mean + half)))
    return Weighted(share, effective_size(w), float(w.max()), float(terms.var(ddof=1)) / n)


def effective_size(weights: ArrayLike) -> float:
    """(sum of w)**2 / sum of w**2. Source: Kish, Survey Sampling, 1965."""
    w = np.asarray(weights, np.float64)
    square = float((w * w).sum())
    return float(w.sum()) ** 2 / square if square else 0.0
