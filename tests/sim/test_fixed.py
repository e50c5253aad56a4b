"""exp and online softmax in fixed point, beside numpy's float64."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.workload.fixed import (
    COEFFICIENTS,
    CONSTANT_BITS,
    LOG2_E,
    POLYNOMIAL_ERROR,
    Fixed,
    IntArray,
    exp,
    online_softmax,
    running_maximum,
)

FORMS = [
    Fixed(),
    Fixed(bits=16, fraction=12, out_fraction=8),
    Fixed(bits=16, fraction=11, out_fraction=18, guard=8),
    Fixed(bits=8, fraction=4, out_fraction=7, guard=3),
    Fixed(bits=16, fraction=0, out_fraction=15, guard=1),
    Fixed(bits=12, fraction=7, out_fraction=24, guard=5),
]
NARROW = [Fixed(), Fixed(bits=8, fraction=3, out_fraction=7, guard=3), Fixed(bits=10, fraction=5, out_fraction=12, sum_whole=5)]


def inputs(form: Fixed) -> IntArray:
    """Every number of the input format that is not above 0, in ascending order."""
    return np.arange(form.lowest, 1)


def test_constants_come_from_the_chebyshev_nodes() -> None:
    nodes = [Fraction(0.5 + np.cos((2 * i + 1) * np.pi / 6) / 2) for i in range(3)]
    known = [(1 - x / 2 - Fraction(2.0 ** -float(x))) / (x * (1 - x)) for x in nodes]
    slopes = [(known[i + 1] - known[i]) / (nodes[i + 1] - nodes[i]) for i in range(2)]
    q2 = (slopes[1] - slopes[0]) / (nodes[2] - nodes[0])
    q1 = slopes[0] - q2 * (nodes[0] + nodes[1])
    q0 = known[0] - slopes[0] * nodes[0] + q2 * nodes[0] * nodes[1]
    exact = (Fraction(1, 2) + q0, q0 - q1, q2 - q1, q2)
    assert tuple(round(c * 2**CONSTANT_BITS) for c in exact) == COEFFICIENTS
    assert round(np.log2(np.e) * 2**CONSTANT_BITS) == LOG2_E


def test_polynomial_is_within_its_error_and_meets_at_both_ends() -> None:
    c1, c2, c3, c4 = (c / 2**CONSTANT_BITS for c in COEFFICIENTS)
    f = np.linspace(0, 1, 100_001)
    found = 1 - f * (c1 - f * (c2 - f * (c3 - f * c4)))
    assert 0.9 * POLYNOMIAL_ERROR < abs(found - 2.0**-f).max() < POLYNOMIAL_ERROR
    assert found[0] == 1 and found[-1] == 0.5


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_exp_of_every_input_is_within_its_error(form: Fixed) -> None:
    x = inputs(form)
    off = abs(exp(x, form) - np.exp(x / 2.0**form.fraction) * form.one)
    assert off.max() <= form.error


def test_exp_of_the_usual_format_is_within_seven_tenths_of_its_last_place() -> None:
    x = inputs(Fixed())
    off = abs(exp(x, Fixed()) - np.exp(x / 256) * 2**15)
    assert 0.5 < off.max() < 0.7 < Fixed().error < 0.9


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_exp_never_falls_as_its_input_rises(form: Fixed) -> None:
    found = exp(inputs(form), form)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == form.one and found[0] >= 0


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_exp_takes_what_is_above_zero_as_zero(form: Fixed) -> None:
    assert (exp(np.array([1, -form.lowest - 1]), form) == form.one).all()


def test_running_maximum_by_hand() -> None:
    form = Fixed(bits=4)
    found = running_maximum(np.array([[-3, -5, 2, -8, 7, 7]]), form)
    assert found.maxima.tolist() == [[-3, -3, 2, 2, 7, 7]]
    assert found.drops.tolist() == [[-8, 0, -5, 0, -5, 0]]
    assert found.belows.tolist() == [[0, -2, 0, -8, 0, 0]]  # -8 - 2 saturates


def test_online_softmax_by_hand() -> None:
    half = -round(np.log(2) * 2**12)
    found = online_softmax(np.array([half, 0, half]), Fixed(bits=16, fraction=12, out_fraction=8))
    assert found.maxima.tolist() == [half, 0, 0]
    assert found.weights.tolist() == [256, 256, 128]
    assert found.factors.tolist() == [0, 128, 256]
    assert found.sums.tolist() == [256, 384, 512]


def test_sum_saturates_only_in_rows_of_as_many_scores() -> None:
    form = Fixed(bits=8, out_fraction=7, sum_whole=3)
    sums = online_softmax(np.zeros(10, np.int64), form).sums
    assert sums.tolist() == [128 * n for n in range(1, 8)] + [form.largest_sum] * 3


@st.composite
def rows(draw: st.DrawFn) -> tuple[Fixed, IntArray]:
    """A format and a row of scores that does not fill its sum; scores near each other, or from anywhere, or in ascending order."""
    form = draw(st.sampled_from(NARROW))
    count = draw(st.integers(1, 24))
    low = draw(st.sampled_from((form.lowest, -8, -200)))
    low = max(low, form.lowest)
    scores = draw(st.lists(st.integers(low, min(-form.lowest - 1, -low)), min_size=count, max_size=count))
    return form, np.array(sorted(scores) if draw(st.booleans()) else scores, np.int64)


@given(rows())
def test_online_softmax_is_within_its_error_of_softmax(case: tuple[Fixed, IntArray]) -> None:
    form, scores = case
    found = online_softmax(scores, form)
    assert (found.maxima == np.maximum.accumulate(scores)).all()
    exact = np.exp((scores - scores.max()) / 2.0**form.fraction)
    rises = np.diff(found.maxima) > 0
    after = np.array([rises[i:].sum() for i in range(len(scores))])
    gathered = found.weights * np.append(np.cumprod((found.factors / form.one)[:0:-1])[::-1], 1.0)
    off = (1 + after) * form.error
    assert (abs(gathered - exact * form.one) <= off + 1e-6).all()
    sum_off = len(scores) * (1 + rises.sum()) * form.error + rises.sum() / 2
    assert abs(found.sums[-1] - exact.sum() * form.one) <= sum_off + 1e-6
    probability = exact / exact.sum()
    assert (abs(gathered / found.sums[-1] - probability) * found.sums[-1] <= off + probability * sum_off + 1e-6).all()


@given(rows(), rows())
def test_rows_side_by_side_are_rows_one_by_one(first: tuple[Fixed, IntArray], second: tuple[Fixed, IntArray]) -> None:
    form, count = first[0], min(len(first[1]), len(second[1]))
    both = np.clip(np.stack([first[1][:count], second[1][:count]]), form.lowest, -form.lowest - 1)
    found = online_softmax(both, form)
    for row in range(2):
        alone = online_softmax(both[row], form)
        assert (found.sums[row] == alone.sums).all() and (found.weights[row] == alone.weights).all()
