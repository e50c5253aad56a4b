"""Exact Pareto fronts: which rows no other row beats in every figure; of equal rows all stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Figures = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_BLOCK = 1 << 22  # comparisons at a time


def on_front(figures: Figures) -> Flags:
    """bool[rows]: whether no other row is at most as large in every figure and smaller in one; figures: float64[rows, many].

    Smaller is better, and a row with a nan is not on the front. Up to two figures: O(n log n), in the order of the first. More: each row
    against the front of those before it, O(n f) for a front of f rows.
    """
    found = np.zeros(len(figures), dtype=bool)
    known = np.flatnonzero(~np.isnan(figures).any(axis=1))
    if not len(known) or not figures.shape[1]:
        found[known] = True
        return found
    different, same = np.unique(figures[known], axis=0, return_inverse=True)  # sorted by the first figure, then the next
    found[known] = _of_different(different)[same.reshape(-1)]
    return found


def _of_different(rows: Figures) -> Flags:
    """The same for rows that are all different and sorted."""
    if rows.shape[1] == 1:
        return np.asarray(np.arange(len(rows)) == 0)
    if rows.shape[1] == 2:
        found = np.ones(len(rows), dtype=bool)
        found[1:] = rows[1:, 1] < np.minimum.accumulate(rows[:, 1])[:-1]
        return found
    # A row is beaten only by rows before it: whatever beats it is no larger in any figure, and so comes first in this order.
    found = np.zeros(len(rows), dtype=bool)
    front = np.empty((0, rows.shape[1] - 1))
    block = max(1, min(len(rows), 1024))
    for start in range(0, len(rows), block):
        part = rows[start : start + block, 1:]
        left = np.flatnonzero(~_beaten(part, front))
        mine = part[left]
        inside = np.triu((mine[:, None, :] <= mine[None, :, :]).all(axis=2), 1).any(axis=0)
        kept = left[~inside]
        found[start + kept] = True
        front = np.concatenate((front, part[kept]))
        front = front[_of_any(front)]
    return found


def _of_any(front: Figures) -> Flags:
    """Which rows, of those passed, tell whether later ones are beaten: those that no other beats in the figures that are left."""
    if front.shape[1] == 1:
        return np.asarray(np.arange(len(front)) == (int(np.argmin(front[:, 0])) if len(front) else -1))
    return on_front(front) if front.shape[1] == 2 else np.ones(len(front), dtype=bool)


def _beaten(part: Figures, front: Figures) -> Flags:
    """bool[rows of part]: whether some row of the front is at most as large in every figure."""
    found = np.zeros(len(part), dtype=bool)
    step = max(1, _BLOCK // max(1, len(part) * part.shape[1]))
    for start in range(0, len(front), step):
        found |= (front[start : start + step, None, :] <= part[None, :, :]).all(axis=2).any(axis=0)
    return found
