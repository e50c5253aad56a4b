"""Steps of units that find the coordinates that two fibers have in common. Source: docs/sparse.md, "Intersection"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.sparse.pattern import Pattern

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray
    from accelsim.sparse.products import Products


@dataclass(frozen=True, slots=True)
class Meetings:
    """Over pairs of fibers, in steps of one cycle each.

    `two_finger`: both advance on a match, else the smaller one, until either is over. `skip_ahead`: one for a match and one for every
    unbroken run of advances on one side, to the same end. `leading`, `following`: elements of the first and of the second fibers, the
    probes of a unit that one of them leads. `matches`: coordinates in both.
    """

    pairs: int
    two_finger: int
    skip_ahead: int
    leading: int
    following: int
    matches: int


def inner(products: Products, only_c: bool = False) -> Meetings:
    """Rows of A with columns of B: all pairs of which neither is empty, or only those with an element of C."""
    a, b = products.a, products.b.transposed
    if only_c:
        return meet(a, b, products.c)
    held = np.flatnonzero(b.lengths > 0)
    rows = np.flatnonzero(a.lengths > 0)
    starts = np.zeros(a.rows + 1, np.int64)
    np.cumsum(np.where(a.lengths > 0, held.size, 0), out=starts[1:])
    return meet(a, b, Pattern(a.rows, b.rows, starts, np.tile(held, rows.size)))


def by_rows(products: Products) -> Meetings:
    """Rows of A that hold something with the list of rows of B that do: Gustavson's order."""
    pairs = np.flatnonzero(products.a.lengths > 0)
    return meet(products.a, _held(products.b), Pattern.at(pairs, np.zeros_like(pairs), (products.a.rows, 1)))


def outer(products: Products) -> Meetings:
    """The list of columns of A that hold something with that of rows of B: one pair."""
    return meet(_held(products.a.transposed), _held(products.b), Pattern.at([0], [0], (1, 1)))


def _held(pattern: Pattern) -> Pattern:
    """The rows that hold something, as one fiber."""
    held = np.flatnonzero(pattern.lengths > 0)
    return Pattern.at(np.zeros_like(held), held, (1, pattern.rows))


def meet(a: Pattern, b: Pattern, pairs: Pattern) -> Meetings:
    """Rows of `a` with rows of `b`: row m of the first meets those that row m of `pairs` names."""
    steps = _meet(a.starts, a.columns, b.starts, b.columns, pairs.starts, pairs.columns)
    leading, following = int(a.lengths[pairs.row_of].sum()), int(b.lengths[pairs.columns].sum())
    return Meetings(pairs.nonzeros, int(steps[0]), int(steps[1]), leading, following, int(steps[2]))


@njit(error_model="numpy")
def _meet(
    a_starts: IntArray, a_columns: IntArray, b_starts: IntArray, b_columns: IntArray, pair_starts: IntArray, pair_columns: IntArray
) -> IntArray:
    """Two-finger steps, skip-ahead steps and matches, int64[3]."""
    found = np.zeros(3, np.int64)
    for row in range(pair_starts.size - 1):
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            other = pair_columns[pair]
            i, a_end, j, b_end = a_starts[row], a_starts[row + 1], b_starts[other], b_starts[other + 1]
            side = 0  # the one that advanced last: 1, 2, or 0 after a match
            while i < a_end and j < b_end:
                found[0] += 1
                if a_columns[i] == b_columns[j]:
                    i, j, side = i + 1, j + 1, 0
                    found[1] += 1
                    found[2] += 1
                elif a_columns[i] < b_columns[j]:
                    i += 1
                    found[1] += side != 1
                    side = 1
                else:
                    j += 1
                    found[1] += side != 2
                    side = 2
    return found
