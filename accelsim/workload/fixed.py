"""exp and online softmax in fixed point, to the bit: what the modules of hw/rtl compute.

exp(x) of x <= 0 is 2**-(k + f) with whole k, 0 <= f < 1 and k + f = -x log2(e). 2**-f is a polynomial of degree 4 that is 1 at f = 0 and
1/2 at f = 1, so that it goes on without a step where k changes; a shift by k ends it. Constants have `CONSTANT_BITS` fraction bits here and
are rounded to `Fixed.inner` bits in use.

Polynomial: 2**-f = 1 - f/2 - f (1 - f) q(f), with q the parabola through its values at the three Chebyshev nodes of 0 to 1; expanded,
rounded to `CONSTANT_BITS` and kept as absolute values, since signs alternate. It is off by less than `POLYNOMIAL_ERROR`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]

CONSTANT_BITS = 30
LOG2_E = 1549082005
COEFFICIENTS = (744227394, 257296441, 57293836, 7353877)  # of f, f**2, f**3, f**4: 2**-f = 1 - c1 f + c2 f**2 - c3 f**3 + c4 f**4
POLYNOMIAL_ERROR = 6.1e-6


@dataclass(frozen=True, slots=True)
class Fixed:
    """Formats: scores are signed with `bits` bits, `fraction` of them behind the point; exps and sums have `out_fraction` behind it.

    guard: more fraction bits inside, at least 1. sum_whole: bits of a sum before the point, at least 1. Limits: out_fraction + guard < 30
    and out_fraction * 2 + sum_whole < 62.
    """

    bits: int = 16
    fraction: int = 8
    out_fraction: int = 15
    guard: int = 5
    sum_whole: int = 8

    @property
    def inner(self) -> int:
        """Fraction bits inside."""
        return self.out_fraction + self.guard

    @property
    def lowest(self) -> int:
        """The least score, as an integer."""
        return -(1 << (self.bits - 1))

    @property
    def one(self) -> int:
        """1.0 of the output, as an integer."""
        return 1 << self.out_fraction

    @property
    def largest_sum(self) -> int:
        """Where sums saturate; a row of fewer than 2**sum_whole scores does not reach it."""
        return (1 << (self.out_fraction + self.sum_whole)) - 1

    @property
    def error(self) -> float:
        """How far `exp` can be off, in units of the last place of the output.

        1/2 for the last rounding and, in units of the last place inside: 0.7 for k + f, which is cut off and comes from a rounded log2(e);
        2 for four rounded coefficients; 2 for four products that are cut off, whose errors alternate. The polynomial adds its own.
        """
        return 0.5 + 5 * 2.0**-self.guard + POLYNOMIAL_ERROR * 2.0**self.out_fraction

    def constant(self, value: int) -> int:
        """A constant of `CONSTANT_BITS` fraction bits, rounded to `inner` of them, half up."""
        return (value + (1 << (CONSTANT_BITS - 1 - self.inner))) >> (CONSTANT_BITS - self.inner)


@dataclass(frozen=True, slots=True)
class Maximum:
    """Running maxima, and how far the maximum before, and the score, lie below each: both at most 0, saturated at the lowest score."""

    maxima: IntArray
    drops: IntArray
    belows: IntArray


@dataclass(frozen=True, slots=True)
class Online:
    """For each score: its weight, the factor for what was gathered before it, the sum so far, and the maximum so far."""

    weights: IntArray
    factors: IntArray
    sums: IntArray
    maxima: IntArray


def exp(x: IntArray, form: Fixed) -> IntArray:
    """exp of fixed-point numbers, each taken as 0 if above.

    x: int64 in the input format; returns int64 from 0 to form.one, within form.error units of the last place. k + f and products are cut
    off, the last shift rounds half up. exp(0) is exactly 1.
    """
    inner = form.inner
    scaled = (-np.minimum(x, 0) * form.constant(LOG2_E)) >> form.fraction
    f = scaled & ((1 << inner) - 1)
    k = np.minimum(scaled >> inner, form.out_fraction + 2)  # of which nothing is left after the shift
    c1, c2, c3, c4 = (form.constant(coefficient) for coefficient in COEFFICIENTS)
    power = c3 - ((f * c4) >> inner)
    power = c2 - ((f * power) >> inner)
    power = c1 - ((f * power) >> inner)
    power = (1 << inner) - ((f * power) >> inner)
    found: IntArray = ((power >> (k + form.guard - 1)) + 1) >> 1
    return found


def running_maximum(scores: IntArray, form: Fixed) -> Maximum:
    """Running maxima of rows int64[..., scores]; before the first score of a row the maximum is as low as can be."""
    maxima = np.maximum.accumulate(scores, axis=-1)
    old = np.concatenate([maxima[..., :1], maxima[..., :-1]], axis=-1)
    drops = np.maximum(old - maxima, form.lowest)
    drops[..., :1] = form.lowest
    return Maximum(maxima, drops, np.maximum(scores - maxima, form.lowest))


def online_softmax(scores: IntArray, form: Fixed) -> Online:
    """One pass over rows int64[..., scores], which needs no maximum in advance.

    weight = exp(x - m), factor = exp(m_old - m), sum = sum_old * factor + weight, with m the maximum so far; the factor of a first score is
    0. One of weight and factor is 1, so that a score needs one exp. Sums: the product is rounded half up, the sum saturates.
    The probability of score i is its weight, times all factors after it, over the last sum. In units of the last place that numerator is
    within (1 + r_i) form.error of the real one, where r_i scores after i raise the maximum: each of these numbers is at most 1. The
    sum of n scores, r of which raise it, is within n (1 + r) form.error + r / 2, if it does not saturate. Both hold where the exp of the
    lowest score is 0.
    """
    found = running_maximum(scores, form)
    power = exp(found.belows + found.drops, form)  # of which one is 0
    weights = np.where(found.belows < 0, power, form.one)
    factors = np.where(found.belows < 0, form.one, power)
    factors[..., :1] = 0
    sums = np.empty_like(scores)
    total = np.zeros_like(scores[..., 0])
    for step in range(scores.shape[-1]):
        kept = (total * factors[..., step] + (form.one >> 1)) >> form.out_fraction
        total = np.minimum(kept + weights[..., step], form.largest_sum)
        sums[..., step] = total
    return Online(weights, factors, sums, found.maxima)
