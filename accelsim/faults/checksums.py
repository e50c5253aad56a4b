"""Row and column checksums of a product: which changes of its words they find, and which they put right.

The sum of each row of A B is A times the sum of B's columns, and the sum of each of its columns is the sum of A's rows times B; what they
differ by is the syndrome. Sums are modulo 2^bits. Syndromes in one row and one column alone point to a word, which is put right.
They see neither operands that were wrong before the sums were taken, nor what is done to the product afterwards, nor changes that are 0 in
all sums. Source: Huang, Abraham, IEEE Trans. Computers C-33, 1984, doi:10.1109/TC.1984.1676475.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError

IntArray = NDArray[np.int64]

UNCHANGED, MISSED, FOUND, CORRECTED, MISCORRECTED = range(5)
VERDICTS = ("unchanged", "missed", "found", "corrected", "miscorrected")


@dataclass(frozen=True, slots=True)
class Checksums:
    """Of rows, of columns, or of both; `bits`: at most those of the sums in the array."""

    bits: int = 32
    rows: bool = True
    columns: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64 or not (self.rows or self.columns):
            raise InputError("no checksums", "check rows, columns or both, in 1 to 64 bits")

    def expected(self, a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
        """Sums of rows and of columns of the product of a, int64[m, k], and b, int64[k, n], from these alone: int64[m], int64[n]."""
        return self._wrapped(a @ b.sum(axis=1)), self._wrapped(a.sum(axis=0) @ b)

    def syndromes(self, product: IntArray, a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
        """What sums of a product differ by from those expected: int64[m], int64[n]."""
        rows, columns = self.expected(a, b)
        return self._wrapped(product.sum(axis=1) - rows), self._wrapped(product.sum(axis=0) - columns)

    def _wrapped(self, words: IntArray) -> IntArray:
        left = 64 - self.bits
        return np.asarray((words.astype(np.int64) << left) >> left, np.int64)

    def verdicts(self, starts: IntArray, words: IntArray, shape: tuple[int, int]) -> IntArray:
        """What they say of many faults. starts: int64[faults + 1] and words: int64[changed, 2], place in the product and by how much, as
        `kernels_cone.changes` gives them; shape: of the product. Returns int64[faults] of VERDICTS.
        """
        faults = starts.size - 1
        many = np.diff(starts)
        fault, place, by = np.repeat(np.arange(faults), many), words[:, 0], words[:, 1]
        row, row_of, row_sum = self._lines(fault, place // shape[1], by, shape[0], faults)
        column, column_of, _ = self._lines(fault, place % shape[1], by, shape[1], faults)
        seen = np.zeros(faults, bool)
        seen |= (row > 0) if self.rows else False
        seen |= (column > 0) if self.columns else False
        found = np.where(many == 0, UNCHANGED, np.where(seen, FOUND, MISSED))
        if self.rows and self.columns:
            located = (row == 1) & (column == 1)  # of the same syndrome: that of the sum of all words
            single = located & (many == 1)
            first = np.minimum(starts[:-1], max(0, len(words) - 1))
            if len(words):
                single &= (words[first, 0] == row_of * shape[1] + column_of) & (by[first] == row_sum)
            found = np.where(located, np.where(single, CORRECTED, MISCORRECTED), found)
        return np.asarray(found, np.int64)

    def _lines(self, fault: IntArray, line: IntArray, by: IntArray, size: int, faults: int) -> tuple[IntArray, IntArray, IntArray]:
        """Of each fault: lines whose sums it changes, and one of these with its syndrome."""
        keys, place = np.unique(fault * size + line, return_inverse=True)
        sums = np.zeros(keys.size, np.int64)
        np.add.at(sums, place, by)
        sums = self._wrapped(sums)
        keys, sums = keys[sums != 0], sums[sums != 0]
        which, value = np.zeros(faults, np.int64), np.zeros(faults, np.int64)
        which[keys // size], value[keys // size] = keys % size, sums
        return np.bincount(keys // size, minlength=faults), which, value
