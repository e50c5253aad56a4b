"""Fronts of rows against a comparison of all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapper.kernels_fronts import sift

FIGURES = st.integers(1, 4)


@given(st.data(), FIGURES)
def test_what_is_kept_is_what_no_other_row_with_its_key_beats(data: st.DataObject, figures: int) -> None:
    row = st.lists(st.integers(0, 4), min_size=figures, max_size=figures)
    rows = data.draw(st.lists(st.tuples(row, st.integers(0, 1)), min_size=1, max_size=12))
    table, keys = np.array([each for each, _ in rows], float), np.array([key for _, key in rows], np.int64)
    kept = sift(table, keys, np.argsort(table.sum(axis=1), kind="stable")).tolist()
    front = {
        (tuple(one), key) for one, key in rows
        if not any(other != one and other_key == key and all(a <= b for a, b in zip(other, one, strict=True)) for other, other_key in rows)
    }  # fmt: skip
    assert {(tuple(table[at].astype(int).tolist()), int(keys[at])) for at in kept} == front
    assert len(kept) == len(front)  # of equal rows, one
