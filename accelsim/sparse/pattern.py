"""Where a matrix is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pattern:
    """The structure of a matrix in rows: `starts` int64[rows + 1] into `columns` int64[non-zeros], which rise in every row.

    Everything that is counted from one is structural: an element that is stored counts, whatever its value.
    """

    rows: int
    width: int
    starts: IntArray
    columns: IntArray

    @staticmethod
    def of(matrix: Any) -> Pattern:
        """That of a SciPy sparse matrix (stored elements, duplicates once) or of an array (elements that are not zero)."""
        from scipy import sparse

        if not sparse.issparse(matrix):
            matrix = np.atleast_2d(np.asarray(matrix))
            if matrix.ndim != 2:
                raise InputError(f"a pattern is one of a matrix, not of {matrix.ndim} dimensions", "flatten ranks into rows and columns")
            rows, columns = np.nonzero(matrix)
            return Pattern.at(rows, columns, matrix.shape)
        found = matrix.tocoo()
        return Pattern.at(found.row, found.col, found.shape)

    @staticmethod
    def at(rows: ArrayLike, columns: ArrayLike, shape: tuple[int, int]) -> Pattern:
        """Of coordinates in any order; one that comes twice counts once. Refuses coordinates outside the shape."""
        height, width = (int(size) for size in shape)
        row, column = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        for name, found, size in (("row", row, height), ("column", column, width)):
            outside = found[(found < 0) | (found >= size)]
            if outside.size:
                raise InputError(f"{name} {outside[0]} is outside a matrix of {height} x {width}", "count from 0, or give a larger shape")
        places = np.unique(row * width + column)
        starts = np.zeros(height + 1, np.int64)
        np.cumsum(np.bincount(places // max(1, width), minlength=height), out=starts[1:])
        return Pattern(height, width, starts, places % max(1, width))

    @property
    def nonzeros(self) -> int:
        """How many elements are stored."""
        return int(self.starts[-1])

    @property
    def density(self) -> float:
        """Share of elements that are stored; 0 of a matrix without elements."""
        return self.nonzeros / (self.rows * self.width) if self.rows and self.width else 0.0

    @cached_property
    def lengths(self) -> IntArray:
        """Non-zeros of every row, int64[rows]."""
        return np.diff(self.starts)

    @cached_property
    def row_of(self) -> IntArray:
        """The row of every non-zero, int64[non-zeros]."""
        return np.repeat(np.arange(self.rows), self.lengths)

    @cached_property
    def transposed(self) -> Pattern:
        """Columns as rows."""
        order = np.argsort(self.columns, kind="stable")
        starts = np.zeros(self.width + 1, np.int64)
        np.cumsum(np.bincount(self.columns, minlength=self.width), out=starts[1:])
        return Pattern(self.width, self.rows, starts, self.row_of[order])

    def expanded(self, height: int, width: int) -> Pattern:
        """Every non-zero as a full block of height x width."""
        inside = np.arange(height * width)
        rows = (self.row_of[:, None] * height + inside // width).ravel()
        return Pattern.at(rows, (self.columns[:, None] * width + inside % width).ravel(), (self.rows * height, self.width * width))

    def within(self, below: int, above: int) -> Pattern:
        """Only what lies between two diagonals, `below` <= column - row <= `above`; causal: from -rows to 0."""
        diagonal = self.columns - self.row_of
        kept = (diagonal >= below) & (diagonal <= above)
        return Pattern.at(self.row_of[kept], self.columns[kept], (self.rows, self.width))

    def tiles(self, height: int, width: int) -> tuple[Pattern, IntArray]:
        """Of a grid of tiles those that hold something, and how many non-zeros each of these has, int64[non-empty tiles]."""
        across = -(-self.width // width)
        places, counts = np.unique(self.row_of // height * across + self.columns // width, return_counts=True)
        return Pattern.at(places // max(1, across), places % max(1, across), (-(-self.rows // height), across)), counts.astype(np.int64)
