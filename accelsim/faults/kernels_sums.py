"""Sums of floating-point numbers taken up in the middle. The twin is `reference_mapped`, which replays the whole run."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.types import NumberType
from accelsim.kernel_cache import njit
from accelsim.sim.formats import FORMATS, SATURATE, WRAP, round_to

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_SINGLE = 24  # digits of float32


class Rounding(NamedTuple):
    """To a floating-point type: `digits` of the significand, exponent of the `least` subnormal, the `largest` number, and what values
    become that round beyond it (`beyond`, without sign) where they do not saturate.
    """

    digits: int
    least: int
    largest: float
    saturates: bool
    beyond: float

    @classmethod
    def of(cls, number_type: NumberType, overflow: str) -> Rounding:
        """As `sim.formats.round_to` rounds."""
        form = FORMATS[number_type.name]
        beyond = float(round_to(np.float64(np.inf), number_type, overflow=WRAP))
        return cls(form.digits, form.least, form.largest, overflow == SATURATE, beyond)


@njit(forceinline=True, _nrt=False)
def rounded(r: Rounding, value: float) -> float:
    """To nearest, ties to even."""
    if r.saturates and abs(value) > r.largest:
        return math.copysign(r.largest, value)
    if r.digits == _SINGLE:
        return float(np.float64(np.float32(value)))
    if value == 0.0 or not math.isfinite(value):
        return value if value == 0.0 or math.isnan(value) else math.copysign(r.beyond, value)
    _, exponent = math.frexp(value)
    last = max(exponent - r.digits, r.least)
    found = math.ldexp(float(np.rint(math.ldexp(value, -last))), last)
    return math.copysign(r.beyond, value) if abs(found) > r.largest else found


@njit(forceinline=True, _nrt=False)
def _is_same(left: float, right: float) -> bool:
    if left == right:
        return math.copysign(1.0, left) == math.copysign(1.0, right)
    return left != left and right != right


@njit()
def add_on(
    r: Rounding, before: FloatArray, golden: FloatArray, turns: IntArray,
    words: IntArray, starts: IntArray, sums: FloatArray, begins: IntArray, at: IntArray, parts: FloatArray,
) -> Any:  # fmt: skip
    """Sums of words taken up before a turn.

    before: float64[words, turns + 1], sums before each turn without a fault; golden: float64[words, turns, parts], what is added in each;
    turns: int64[words], how many. Of each sum its word, the turn, and what it is before it; of sum i parts[j] is added in turn at[j]
    instead, j from begins[i] up to begins[i + 1], turns rising. Returns float64[sums].
    """
    found = np.empty(words.size, np.float64)
    for each in range(words.size):
        word, total = words[each], sums[each]
        turn, next_, end = starts[each], begins[each], begins[each + 1]
        while turn < turns[word]:
            if next_ < end and at[next_] == turn:
                for part in range(parts.shape[1]):
                    total = rounded(r, total + parts[next_, part])
                next_ += 1
            elif _is_same(total, before[word, turn]):
                turn = at[next_] if next_ < end else turns[word]
                total = before[word, turn]
                continue
            else:
                for part in range(golden.shape[2]):
                    total = rounded(r, total + golden[word, turn, part])
            turn += 1
        found[each] = total
    return found
