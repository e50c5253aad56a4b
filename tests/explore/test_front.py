"""Pareto fronts against the definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.explore.front import on_front


def by_definition(rows: np.ndarray) -> list[bool]:
    """Whether no other row is at most as large everywhere and smaller somewhere; rows with a nan are beaten, and beat none."""

    def beats(one: np.ndarray, other: np.ndarray) -> bool:
        return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))

    return [not np.isnan(row).any() and not any(beats(other, row) for other in rows) for row in rows]


FIGURES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.5, float("nan"), float("inf")])
TABLES = st.integers(1, 4).flatmap(lambda many: st.lists(st.lists(FIGURES, min_size=many, max_size=many), min_size=1, max_size=24))


@given(TABLES)
def test_front_is_what_no_other_row_beats(rows: list[list[float]]) -> None:
    assert on_front(np.array(rows)).tolist() == by_definition(np.array(rows))


@pytest.mark.parametrize("many", [2, 3, 4])
def test_front_of_many_rows_with_ties_is_what_no_other_row_beats(many: int) -> None:
    rng = np.random.default_rng(many)
    rows = rng.integers(0, 40, size=(2500, many)).astype(float)  # more than the rows that are compared at a time
    beaten = np.zeros(len(rows), dtype=bool)
    for row in rows:
        beaten |= (row <= rows).all(axis=1) & (row < rows).any(axis=1)
    assert on_front(rows).tolist() == (~beaten).tolist()
    assert 0 < (~beaten).sum() < len(rows)


def test_front_of_one_figure_is_every_row_with_the_least() -> None:
    assert on_front(np.array([[3.0], [1.0], [2.0], [1.0]])).tolist() == [False, True, False, True]


def test_no_rows_have_no_front() -> None:
    assert on_front(np.empty((0, 3))).tolist() == []
