"""Number formats against roundings worked out here with fractions, over every code of the small ones."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hardware.types import TYPES
from accelsim.sim.formats import FORMATS, SATURATE, WRAP, round_to

# digits after the point, exponent bits, bias; whether the top exponent holds numbers (all but the last code, or all of them)
LAYOUTS = {
    "fp16": (10, 5, 15, "infinite"),
    "bf16": (7, 8, 127, "infinite"),
    "e5m2": (2, 5, 15, "infinite"),
    "e4m3": (3, 4, 7, "but one"),
    "mxfp6": (2, 3, 3, "all"),
    "mxfp4": (1, 2, 1, "all"),
}
SCALED = [name for name in FORMATS if name.startswith("mx")]


@cache
def numbers(name: str) -> list[Fraction]:
    """Every finite value of a format that is not negative, in the order of its codes."""
    digits, exponents, bias, top = LAYOUTS[name]
    found = []
    for code in range(1 << (digits + exponents)):
        exponent, rest = code >> digits, code & ((1 << digits) - 1)
        last = exponent == (1 << exponents) - 1
        if last and (top == "infinite" or (top == "but one" and rest == (1 << digits) - 1)):
            continue
        significand = Fraction(rest, 1 << digits) + (1 if exponent else 0)
        found.append(significand * Fraction(2) ** ((exponent or 1) - bias))
    return found


def nearest(value: Fraction, known: list[Fraction]) -> Fraction:
    """The nearest of the values, of two as near the one with an even code; beyond the last, the last."""
    size = abs(value)
    at = bisect_left(known, size)
    if at == len(known):
        return known[-1] * (1 if value > 0 else -1)
    if known[at] != size:
        below, above = size - known[at - 1], known[at] - size
        at = at - 1 if below < above or (below == above and (at - 1) % 2 == 0) else at
    return known[at] * (1 if value >= 0 else -1)


def rounded(values: list[float], name: str, overflow: str = SATURATE) -> list[float]:
    return list(map(float, round_to(np.array(values), TYPES[name], overflow=overflow)))


@pytest.mark.parametrize("name", ["fp16", "bf16", "e5m2", "e4m3"])
@pytest.mark.slow
def test_every_code_stays_and_what_lies_between_two_goes_to_the_nearer(name: str) -> None:
    known = numbers(name)
    exact = [float(value) for value in known]
    assert rounded(exact, name) == exact
    assert rounded([-value for value in exact], name) == [-value for value in exact]
    between = [(left + right) / 2 for left, right in itertools.pairwise(known)]
    for shift in (Fraction(0), Fraction(1, 2**20), Fraction(-1, 2**20)):  # the middle, just above it and just below it
        moved = [value * (1 + shift) for value in between]
        assert all(Fraction(float(value)) == value for value in moved)
        assert rounded([float(value) for value in moved], name) == [float(nearest(value, known)) for value in moved]


@pytest.mark.parametrize("name", ["bf16", "e5m2", "e4m3", "fp16"])
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_is_rounded_once(name: str, value: float) -> None:
    assert rounded([value], name) == [float(nearest(Fraction(value), numbers(name)))]


def test_a_value_just_above_a_middle_is_not_rounded_twice() -> None:
    # 1 + 2^-8 is the middle of two bf16; in float32 the last term vanishes and the middle would go down to 1
    assert rounded([1 + 2.0**-8 + 2.0**-40], "bf16") == [1 + 2.0**-7]


@pytest.mark.parametrize(("name", "largest"), [("fp32", 3.4028234663852886e38), ("fp16", 65504.0), ("e5m2", 57344.0), ("e4m3", 448.0)])
def test_beyond_the_largest_a_float_saturates_or_is_infinite(name: str, largest: float) -> None:
    assert rounded([2 * largest, -2 * largest, float("inf"), largest], name) == [largest, -largest, largest, largest]
    beyond = rounded([2 * largest, -2 * largest], name, WRAP)
    if name == "e4m3":
        assert all(np.isnan(beyond))
    else:
        assert beyond == [float("inf"), float("-inf")]
    assert np.isnan(rounded([float("nan")], name)[0])
    assert TYPES[name].lowest == -largest == -FORMATS[name].largest


@pytest.mark.parametrize(("name", "bits"), [("int8", 8), ("int16", 16), ("int32", 32)])
def test_integers_saturate_or_wrap_and_halves_go_to_even(name: str, bits: int) -> None:
    high = 2 ** (bits - 1) - 1
    assert rounded([high + 1, -high - 2, 0.5, 1.5, -2.5, float("nan")], name) == [high, -high - 1, 0, 2, -2, 0]
    assert rounded([high + 1, -high - 2, 3 * 2**bits + 5], name, WRAP) == [-high - 1, high, 5]
    whole = np.arange(-3 * 2**8, 3 * 2**8) + (high - 10)
    wrapped = [(int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for value in whole]
    assert list(round_to(whole, TYPES[name], overflow=WRAP)) == wrapped
    assert list(round_to(whole, TYPES[name])) == [max(-high - 1, min(int(value), high)) for value in whole]


def block_by_hand(values: list[Fraction], name: str) -> list[Fraction]:
    """One MX block: the scale's exponent is that of the largest value less that of the largest element (MX 1.0, section 6.3)."""
    largest = max(map(abs, values))
    if largest == 0:
        return values
    exponent = 0
    while Fraction(2) ** (exponent + 1) <= largest:
        exponent += 1
    while Fraction(2) ** exponent > largest:
        exponent -= 1
    scale = Fraction(2) ** max(-127, exponent - {"mxfp8": 8, "mxfp6": 4, "mxfp4": 2, "mxint8": 0}[name])
    if name == "mxint8":
        return [Fraction(max(-127, min(127, round(value / scale * 64))), 64) * scale for value in values]
    known = numbers("e4m3" if name == "mxfp8" else name)
    return [nearest(value / scale, known) * scale for value in values]


@pytest.mark.parametrize("name", SCALED)
@given(data=st.data())
def test_a_block_shares_one_power_of_two(name: str, data: Any) -> None:
    number = st.floats(-1e6, 1e6) | st.integers(-64, 64).map(lambda x: x / 8) | st.floats(-(2.0**-120), 2.0**-120)
    values = data.draw(st.lists(number, min_size=1, max_size=40))
    expected = [float(x) for at in (0, 32) if values[at:] for x in block_by_hand([Fraction(v) for v in values[at : at + 32]], name)]
    assert rounded(values, name) == expected


@pytest.mark.parametrize("name", SCALED)
def test_every_element_of_a_block_under_a_scale_of_one_stays(name: str) -> None:
    known = [Fraction(code, 64) for code in range(128)] if name == "mxint8" else numbers("e4m3" if name == "mxfp8" else name)
    top = known[-1]
    for value in known:
        block = [float(top), float(value), -float(value)]
        assert rounded(block, name) == block


def test_blocks_lie_along_the_axis_from_its_beginning() -> None:
    values = np.ones((40, 2))
    values[0] = 1024.0
    along = round_to(values, TYPES["mxfp4"], axis=0)
    assert along[0].tolist() == [1024.0] * 2 and not along[1:32].any() and (along[32:] == 1.0).all()


@pytest.mark.parametrize("name", SCALED)
def test_a_block_with_a_nan_or_an_infinity_is_all_nan(name: str) -> None:
    values = np.ones(64)
    values[3] = np.inf
    found = round_to(values, TYPES[name])
    assert np.isnan(found[:32]).all() and (found[32:] == 1.0).all()


@pytest.mark.parametrize("name", TYPES)
def test_whole_numbers_are_kept_as_far_as_a_type_says(name: str) -> None:
    last = min(TYPES[name].largest_whole, 1 << 16)
    numbers = np.arange(last + 1, dtype=np.float64)
    assert np.array_equal(round_to(numbers, TYPES[name]), numbers)
    if TYPES[name].kind == "float" and last < 1 << 16:
        assert round_to(np.array([2.0 * last + 1]), TYPES[name])[0] != 2 * last + 1
