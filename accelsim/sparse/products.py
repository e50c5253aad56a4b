"""What a product of two sparse matrices has to do, whatever the order: counted exactly. Source: docs/sparse.md, "Products"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse.pattern import Pattern

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray


@dataclass(frozen=True, eq=False)
class Products:
    """C[m,n] = sum over k of A[m,k] B[k,n], of which only products of two stored elements are made. Refuses sizes that differ along k."""

    a: Pattern
    b: Pattern

    def __post_init__(self) -> None:
        if self.a.width != self.b.rows:
            what = f"A is {self.a.rows} x {self.a.width} and B {self.b.rows} x {self.b.width}"
            raise InputError(what, "the columns of A and the rows of B must be as many")

    @property
    def multiplications(self) -> int:
        """Σ over k of the non-zeros of column k of A times those of row k of B; the same in every order."""
        return int(self.by_row.sum())

    @property
    def dense_multiplications(self) -> int:
        """Products of all elements."""
        return self.a.rows * self.a.width * self.b.width

    @property
    def additions(self) -> int:
        """Products less elements of C: the first product of an element is a copy."""
        return self.multiplications - self.c.nonzeros

    @cached_property
    def by_row(self) -> IntArray:
        """Products that make each row of C, int64[rows of A]."""
        return self._over_rows(self.b.lengths)

    @cached_property
    def fan_in(self) -> IntArray:
        """Rows of B that are not empty and make each row of C, int64[rows of A]: lists that a merger is given."""
        return self._over_rows((self.b.lengths > 0).astype(np.int64))

    @cached_property
    def c(self) -> Pattern:
        """The structure of C: a sum that comes to zero is stored all the same."""
        from scipy import sparse

        def ones(of: Pattern) -> Any:
            return sparse.csr_array((np.ones(of.nonzeros, np.int64), of.columns, of.starts), (of.rows, of.width))

        made = ones(self.a) @ ones(self.b)
        made.sort_indices()
        return Pattern(self.a.rows, self.b.width, made.indptr.astype(np.int64), made.indices.astype(np.int64))

    @cached_property
    def accesses(self) -> IntArray:
        """Rows of B that Gustavson's order asks for, empty ones left out: rows of A in order, k rising; int64[accesses]."""
        return self.a.columns[self.b.lengths[self.a.columns] > 0]

    @property
    def active(self) -> IntArray:
        """The k for which column k of A and row k of B both hold something: steps of an outer product."""
        return np.flatnonzero((self.a.transposed.lengths > 0) & (self.b.lengths > 0))

    def _over_rows(self, of: IntArray) -> IntArray:
        sums = np.zeros(self.a.nonzeros + 1, np.int64)
        np.cumsum(of[self.a.columns], out=sums[1:])
        return np.diff(sums[self.a.starts])


@dataclass(frozen=True, slots=True)
class TilePairs:
    """Triples of tiles (m, k, n) of which neither operand's is empty; elements of each that they load if every triple loads its own."""

    triples: int
    a_loaded: int
    b_loaded: int


def tile_pairs(products: Products, m: int, k: int, n: int) -> TilePairs:
    """Pairs of tiles of m x k and k x n that meet."""
    (a, a_counts), (b, b_counts) = products.a.tiles(m, k), products.b.tiles(k, n)
    partners, others = b.lengths[a.columns], a.transposed.lengths[b.row_of]
    return TilePairs(int(partners.sum()), int((a_counts * partners).sum()), int((b_counts * others).sum()))


@dataclass(frozen=True, slots=True)
class Merge:
    """Cycles of mergers over all rows of C, and the most passes that a row takes."""

    cycles: int
    passes: int


def merge(products: Products, radix: int) -> Merge:
    """Merging the rows of B that make each row of C, up to `radix` lists at a time; a group takes its lists and its elements in cycles.

    A single list is not merged. Elements of one coordinate stay apart: they are added when they come out. Refuses a radix below 2.
    """
    if radix < 2:
        raise InputError(f"a merger of radix {radix} merges nothing", "make it 2 or more")
    lists, elements, cycles, passes = products.fan_in, products.by_row, 0, 0
    while np.any(lists > 1):
        merging = lists > 1
        cycles += int((lists + elements)[merging].sum())
        lists, passes = -(-lists // radix), passes + 1
    return Merge(cycles, passes)


@dataclass(frozen=True, slots=True)
class Folds:
    """Non-zeros of a stationary operand taken some at a time, row after row: distinct columns and rows of each fold, int64[folds]."""

    columns: IntArray
    rows: IntArray


def folds(pattern: Pattern, room: int) -> Folds:
    """Folds of `room` non-zeros, as a machine holds them whose units each keep one."""
    fold = np.arange(pattern.nonzeros) // room
    count = -(-pattern.nonzeros // room)

    def distinct(places: IntArray, size: int) -> IntArray:
        return np.bincount(np.unique(fold * max(1, size) + places) // max(1, size), minlength=count).astype(np.int64)

    return Folds(distinct(pattern.columns, pattern.width), distinct(pattern.row_of, pattern.rows))


@dataclass(frozen=True, slots=True)
class Makespan:
    """Cycles of some units that make one product a cycle each: rows dealt out in turn, in blocks, to who is free first, and at best."""

    cyclic: int
    block: int
    dynamic: int
    ideal: int


def makespan(by_row: IntArray, units: int) -> Makespan:
    """How long rows of so many products take. Dynamic: in order, each to the unit that is free first, rows without products to none."""
    import heapq

    padded = np.zeros(-(-max(1, by_row.size) // units) * units, np.int64)
    padded[: by_row.size] = by_row
    free = [0] * units
    for row in by_row[by_row > 0].tolist():
        heapq.heapreplace(free, free[0] + row)
    cyclic, block = padded.reshape(-1, units).sum(axis=0), padded.reshape(units, -1).sum(axis=1)
    return Makespan(int(cyclic.max()), int(block.max()), max(free), -(-int(by_row.sum()) // units))
