"""Chances of what boxes of a tensor hold, before there are elements. Source: docs/sparse.md, "Statistics".

A box is `low` and `high` per dimension, integers that broadcast against each other; `high` is outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse import density as d
from accelsim.sparse.chances import hypergeometric
from accelsim.sparse.kernels_even import ANYWHERE, IN_BLOCKS, IN_BLOCKS_OF_ROWS, IN_ROWS
from accelsim.sparse.pattern import Pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]
    Bounds = Sequence[IntArray]

MOST_CELLS = 1 << 24
MOST_LISTED = 1 << 22


@dataclass(frozen=True, eq=False, slots=True)
class Listed:
    """Chances float64 that boxes hold nothing, one after the other: `kind` as in `kernels_even` says by what; the side of a block."""

    kind: int
    chances: Shares
    side: int = 1


class Boxes(Protocol):
    """A density of a tensor, asked for boxes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        ...

    @property
    def exchangeable(self) -> bool:
        """Whether all places are alike, so that only the size of a set of them matters."""
        ...

    @property
    def listed(self) -> Listed | None:
        """Chances that boxes hold nothing, where they can be listed."""
        ...

    @property
    def share(self) -> float:
        """Elements that a place is expected to hold, of all places together."""
        ...

    def period(self, dimension: int) -> int:
        """After how many places along a dimension boxes are alike again: 1, all are; 0, none. Places between two borders are alike, too:
        in each stretch of so many that begins at a multiple, a box may stand anywhere.
        """
        ...

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        """Chances that boxes hold nothing."""
        ...

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        """Elements that boxes are expected to hold."""
        ...

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        """Chances that one box holds 0, 1, … elements."""
        ...

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        """Chances that 0, 1, …, `places` places along some dimensions, at one coordinate of the others, hold nothing; None: it depends on
        which places.
        """
        ...


def volume(low: Bounds, high: Bounds) -> Shares:
    """Places in boxes."""
    found: Shares = np.array(1.0)
    for first, end in zip(low, high, strict=True):
        found = found * (end - first)
    return found


@dataclass(frozen=True)
class UniformBoxes:
    """`count` elements, all places alike."""

    shape: tuple[int, ...]
    count: int
    exchangeable: bool = True

    @cached_property
    def listed(self) -> Listed | None:
        return Listed(ANYWHERE, self._none) if math.prod(self.shape) <= MOST_LISTED else None

    @property
    def share(self) -> float:
        return self.count / math.prod(self.shape)

    def period(self, dimension: int) -> int:
        return 1

    @cached_property
    def _none(self) -> Shares:
        """Chances that 0, 1, … places hold nothing, one place after the other, down to 0."""
        whole = math.prod(self.shape)
        steps = np.log1p(-self.count / (whole - np.arange(max(0, whole - self.count), dtype=np.float64)))
        return np.concatenate([np.ones(1), np.exp(np.cumsum(steps)), np.zeros(1)])

    def empty_set(self, places: Shares) -> Shares:
        """Chances that sets of so many places hold nothing."""
        if math.prod(self.shape) <= MOST_LISTED:
            return np.asarray(self._none[np.minimum(places, self._none.size - 1).astype(np.int64)])
        from scipy.special import gammaln

        whole = float(math.prod(self.shape))
        left = whole - places
        fits = left >= self.count
        some = np.where(fits, left, whole)
        log = gammaln(some + 1) - gammaln(some - self.count + 1) - gammaln(whole + 1) + gammaln(whole - self.count + 1)
        return np.asarray(np.where(places == 0, 1.0, np.where(fits, np.exp(np.minimum(log, 0.0)), 0.0)))

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        return self.empty_set(volume(low, high))

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        return self.empty_set(np.arange(places + 1.0))

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(volume(low, high) * self.share)

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        size = math.prod(end - first for first, end in zip(low, high, strict=True))
        return hypergeometric(math.prod(self.shape), self.count, size)


@dataclass(frozen=True)
class StructuredBoxes:
    """`kept` of every `of` places of the last dimension; blocks are independent."""

    shape: tuple[int, ...]
    kept: int
    of: int
    exchangeable: bool = False

    @cached_property
    def listed(self) -> Listed | None:
        return Listed(IN_BLOCKS_OF_ROWS, self._one, self.of)

    @property
    def share(self) -> float:
        return self.kept / self.of

    def period(self, dimension: int) -> int:
        return self.of if dimension == len(self.shape) - 1 else 1

    def _parts(self, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Places in the first block of an interval, whole blocks after it, and places in the last block."""
        low, high = np.broadcast_arrays(low, high)
        first = np.minimum(high, -(-low // self.of) * self.of) - low
        rest = high - low - first
        return first, rest // self.of, rest % self.of

    @cached_property
    def _one(self) -> Shares:
        """Chances that 0, 1, … places of a block hold nothing."""
        return np.array([hypergeometric(self.of, self.kept, size)[0] for size in range(self.of + 1)])

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        first, blocks, last = self._parts(low[-1], high[-1])
        row = self._one[first] * self._one[last] * np.where(blocks > 0, 0.0, 1.0)
        return np.asarray(row ** volume(low[:-1], high[:-1]))

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        """Places of different rows are independent."""
        return None if len(self.shape) - 1 in dimensions else np.asarray((1 - self.share) ** np.arange(places + 1.0))

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(volume(low, high) * self.share)

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        first, blocks, last = (int(each) for each in self._parts(np.asarray(low[-1]), np.asarray(high[-1])))
        row = np.convolve(hypergeometric(self.of, self.kept, first), hypergeometric(self.of, self.kept, last))
        row = np.concatenate([np.zeros(blocks * self.kept), row])
        rows = _power(row, math.prod(end - start for start, end in zip(low[:-1], high[:-1], strict=True)))
        size = math.prod(end - start for start, end in zip(low, high, strict=True))
        return np.pad(rows, (0, max(0, size + 1 - rows.size)))[: size + 1]


@dataclass(frozen=True)
class FiberBoxes:
    """Rows whose lengths come from a histogram, independently; `histogram` as of `density.Fibers`."""

    shape: tuple[int, ...]
    histogram: tuple[float, ...]
    exchangeable: bool = False

    @cached_property
    def listed(self) -> Listed | None:
        return Listed(IN_ROWS, self._one)

    @cached_property
    def share(self) -> float:
        return sum(length * share for length, share in enumerate(self.histogram)) / self.shape[-1]

    def period(self, dimension: int) -> int:
        return 1

    @cached_property
    def _one(self) -> Shares:
        """Chances that 0, 1, … places of a row hold nothing."""
        width = self.shape[-1]
        one = np.zeros(width + 1)
        for length, share in enumerate(self.histogram):
            one += share * UniformBoxes((width,), length).empty_set(np.arange(width + 1.0))
        return one

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(self._one[high[-1] - low[-1]] ** volume(low[:-1], high[:-1]))

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        """Places of one row are alike, and those of different rows independent."""
        last, some = len(self.shape) - 1, np.arange(places + 1.0)
        if last not in dimensions:
            return np.asarray((1 - self.share) ** some)
        if dimensions != {last}:
            return None
        return np.asarray(
            sum(share * UniformBoxes((self.shape[-1],), length).empty_set(some) for length, share in enumerate(self.histogram))
        )

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(volume(low, high) * self.share)

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        width = high[-1] - low[-1]
        row = np.zeros(width + 1)
        for length, share in enumerate(self.histogram):
            row += share * hypergeometric(self.shape[-1], length, width)
        return _power(row, math.prod(end - start for start, end in zip(low[:-1], high[:-1], strict=True)))


@dataclass(frozen=True)
class BlockBoxes:
    """Blocks of side x side places of a matrix, `full` of them full and the others empty."""

    shape: tuple[int, ...]
    side: int
    full: int
    exchangeable: bool = False

    @property
    def _blocks(self) -> UniformBoxes:
        return UniformBoxes((math.prod(self.shape) // self.side**2,), self.full)

    @cached_property
    def listed(self) -> Listed | None:
        found = self._blocks.listed
        return None if found is None else Listed(IN_BLOCKS, found.chances, self.side)

    @property
    def share(self) -> float:
        return self.full * self.side**2 / math.prod(self.shape)

    def period(self, dimension: int) -> int:
        return self.side

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        """By how many blocks a box touches."""
        touched: Shares = np.ones(1)
        for first, end in zip(low, high, strict=True):
            touched = touched * np.where(end > first, -(-end // self.side) - first // self.side, 0)
        return self._blocks.empty_set(touched)

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        return None

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(volume(low, high) * self.share)

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        from accelsim.sparse.chances import without_replacement

        parts = [
            [min(end, (cut + 1) * self.side) - max(first, cut * self.side) for cut in range(first // self.side, -(-end // self.side))]
            for first, end in zip(low, high, strict=True)
        ]
        sizes = [a * b for a in parts[0] for b in parts[1]]
        return without_replacement(sizes, math.prod(self.shape) // self.side**2, self.full, sum(sizes))


class CellBoxes:
    """Places that hold something each by its own chance, independently; where all chances are 0 or 1, elements that are there.

    `chances`: float64 of the tensor's shape.
    """

    def __init__(self, chances: Shares) -> None:
        if chances.size > MOST_CELLS:
            raise InputError(f"a tensor of {chances.size:,} places is too large to keep a chance for each", "make the shape smaller")
        self.shape, self.chances, self.exchangeable = chances.shape, chances, False
        sure = chances >= 1
        self._mean, self._sure = _summed(chances), _summed(sure)
        self._log = _summed(np.log1p(-np.where(sure, 0.0, chances)))
        self.listed: Listed | None = None
        self.share = float(chances.mean()) if chances.size else 0.0

    def period(self, dimension: int) -> int:
        return 0

    def empty(self, low: Bounds, high: Bounds) -> Shares:
        return np.asarray(np.where(_inside(self._sure, low, high) > 0.5, 0.0, np.exp(np.minimum(0.0, _inside(self._log, low, high)))))

    def blank(self, dimensions: frozenset[int], places: int) -> Shares | None:
        return None

    def mean(self, low: Bounds, high: Bounds) -> Shares:
        return _inside(self._mean, low, high)

    def occupancy(self, low: Sequence[int], high: Sequence[int]) -> Shares:
        inside = self.chances[tuple(slice(first, end) for first, end in zip(low, high, strict=True))].ravel()
        sure = int((inside >= 1).sum())
        found = np.zeros(inside.size + 1)
        found[sure] = 1.0
        for chance in inside[(inside > 0) & (inside < 1)]:
            found[1:] = found[1:] * (1 - chance) + found[:-1] * chance
            found[0] *= 1 - chance
        return found


def boxes(density: d.Density, shape: tuple[int, ...]) -> Boxes:
    """A density of a matrix as one of a tensor of a shape, whose last dimension is the matrix's width."""
    if isinstance(density, d.Uniform):
        return UniformBoxes(shape, density.count)
    if isinstance(density, d.Structured):
        return StructuredBoxes(shape, density.kept, density.of)
    if isinstance(density, d.Fibers):
        return FiberBoxes(shape, density.histogram)
    if isinstance(density, d.Blocks):
        return BlockBoxes(shape, density.side, density.full)
    if density.rows * density.width > MOST_CELLS:
        what = f"a tensor of {density.rows * density.width:,} places is too large to keep a chance for each"
        raise InputError(what, "make the shape smaller, or state another density")
    if isinstance(density, d.PowerLaw):
        quadrants = np.array(density.chances).reshape(2, 2)
        mass = np.ones((1, 1))
        for _ in range(density.levels):
            mass = np.kron(mass, quadrants)
        return CellBoxes(-np.expm1(-density.edges * mass).reshape(shape))
    return actual(density.draw(0), shape)


def actual(pattern: Pattern, shape: tuple[int, ...]) -> CellBoxes:
    """Elements that are there, of a matrix."""
    held = np.zeros((pattern.rows, pattern.width))
    held[pattern.row_of, pattern.columns] = 1
    return CellBoxes(held.reshape(shape))


def _power(row: Shares, times: int) -> Shares:
    """Chances of the sum of so many independent counts of one kind."""
    found, square = np.ones(1), row
    while times:
        if times & 1:
            found = np.convolve(found, square)
        square, times = np.convolve(square, square) if times > 1 else square, times >> 1
    return found


def _summed(cells: NDArray[np.generic]) -> Shares:
    """Sums over all places before each corner, one larger in every dimension."""
    found = np.pad(cells.astype(np.float64), [(1, 0)] * cells.ndim)
    for axis in range(cells.ndim):
        found = np.cumsum(found, axis=axis)
    return np.asarray(found)


def _inside(summed: Shares, low: Bounds, high: Bounds) -> Shares:
    """Sums over boxes: corners with signs."""
    found: Shares = np.zeros(1)
    for corner in range(1 << len(low)):
        ends = [bool(corner >> axis & 1) for axis in range(len(low))]
        at = tuple(high[axis] if end else low[axis] for axis, end in enumerate(ends))
        found = found + (-1.0) ** (len(low) - sum(ends)) * summed[at]
    return found
