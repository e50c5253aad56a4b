"""Masks, inequalities and counts of conditions against enumeration; ranges of indices; distinct values."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.workload.bounds import distinct_values
from accelsim.workload.build import cascade
from accelsim.workload.conditions import condition_inequalities, condition_mask, existing_points, surviving_points
from accelsim.workload.expression import IndexMap
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.points import count_points
from accelsim.workload.ranges import Inequality, index_range

RANKS = ("a", "b", "c")
TERMS = st.lists(st.tuples(st.sampled_from(RANKS), st.sampled_from([-3, -2, -1, 1, 2, 3])), max_size=3, unique_by=lambda term: term[0])
KNOWN = st.lists(st.builds(lambda terms, bound: Inequality(tuple(sorted(terms)), bound), TERMS, st.integers(-6, 9)), max_size=3)
BOX = st.fixed_dictionaries({rank: st.integers(1, 6) for rank in RANKS})


def points(box: dict[str, int], known: list[Inequality]) -> list[dict[str, int]]:
    found = [dict(zip(box, values, strict=True)) for values in itertools.product(*(range(extent) for extent in box.values()))]
    return [point for point in found if all(sum(value * point[rank] for rank, value in part.terms) <= part.bound for part in known)]


@given(BOX, KNOWN)
def test_count_of_points_is_that_of_enumeration(box: dict[str, int], known: list[Inequality]) -> None:
    assert count_points(box, known) == len(points(box, known))


@given(BOX, KNOWN, TERMS, st.integers(-4, 4), st.integers(1, 3), st.integers(0, 4))
def test_range_of_an_index_holds_every_value(
    box: dict[str, int], known: list[Inequality], terms: Any, offset: int, divisor: int, modulus: int
) -> None:
    form = IndexMap(tuple(sorted(terms)), offset, divisor, modulus)
    low, high = index_range(form, box, known)
    values = [(sum(value * point[rank] for rank, value in form.terms) + offset) // divisor for point in points(box, known)]
    values = [value % modulus for value in values] if modulus else values
    assert all(low <= value <= high for value in values)
    if not known and not modulus:
        assert (low, high) == (min(values), max(values))


@given(BOX, TERMS, st.integers(-4, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 20))
def test_number_of_distinct_values_is_that_of_enumeration(
    box: dict[str, int], terms: Any, offset: int, divisor: int, modulus: int, size: int
) -> None:
    form = IndexMap(tuple(sorted(terms)), offset, divisor, modulus)
    values = {(sum(value * point[rank] for rank, value in form.terms) + offset) // divisor for point in points(box, [])}
    if modulus:
        values, size = {value % modulus for value in values}, modulus
    assert distinct_values(form, box, size) == sum(0 <= value < size for value in values)


CONDITIONS = {
    "where m <= n": [({"m": 1, "n": -1}, 0)],
    "where m < n + 2": [({"m": 1, "n": -1}, 1)],
    "where 1 <= m and m > n - 2": [({"m": -1}, -1), ({"m": -1, "n": 1}, 1)],
    "where m == n": [({"m": 1, "n": -1}, 0), ({"m": -1, "n": 1}, 0)],
    "where m <= n + (M-N)": [({"m": 1, "n": -1}, -1)],
    "": [],
    "where m <= n or n < 2": None,
    "where m // 2 <= n": None,
    "where (m + n) % 2 == 0": None,
    "where not m > n": None,
    "where m != n": None,
}


@pytest.mark.parametrize("text", list(CONDITIONS))
def test_condition_as_inequalities_as_mask_and_as_count_agree(text: str) -> None:
    made = cascade("w", f"Z[m,n] = A[m] * B[n] {text}", {"m": 4, "n": 5})
    einsum = made.work[0]
    assert condition_inequalities(made, einsum) == CONDITIONS[text]
    mask = condition_mask(made, einsum)
    assert mask.shape == (4, 5)
    counted = run(made, random_inputs(made, np.random.default_rng(0))).counts["Z"]
    assert surviving_points(made, einsum) == int(mask.sum()) == counted.executed == 20 - counted.masked


def test_missing_points_of_a_partial_tile_are_neither_computed_nor_masked() -> None:
    made = cascade("w", "Z[c,q] = A[c*Q+q] * 2 where c*Q+q != 3", {"t": 10}, split={"t": {"c": None, "q": 4}})
    assert surviving_points(made, made.work[0]) == 9
    assert existing_points(made, made.work[0]) == 10
    counted = run(made, random_inputs(made, np.random.default_rng(0))).counts["Z"]
    assert (counted.executed, counted.masked) == (9, 1)


def test_mask_of_a_large_rank_that_does_not_matter_takes_no_memory() -> None:
    made = cascade("w", "Z[m,n,k] = A[m,n,k] * 2 where m <= n", {"m": 4, "n": 5, "k": 10**9})
    assert condition_mask(made, made.work[0]).shape == (4, 5, 10**9)
    assert surviving_points(made, made.work[0]) == 14 * 10**9


def test_condition_on_data_has_no_mask() -> None:
    made = cascade("w", "Z[m] = A[m] * 2 where B[m] > 0", {"m": 4})
    with pytest.raises(InputError, match=r"w:1:1: the condition of Z reads B, so only its data can tell"):
        condition_mask(made, made.work[0])
    assert surviving_points(made, made.work[0]) is None


def test_condition_beyond_64_bits_is_refused() -> None:
    with pytest.raises(InputError, match="a condition or an index is beyond 64 bits; shrink the shape or its constants"):
        count_points({"a": 2**40, "b": 3}, [Inequality((("a", 2**40), ("b", 1)), 5)])
