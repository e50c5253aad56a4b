"""How many non-zeros a tile of a matrix holds, before there is a matrix. Source: docs/sparse.md, "Densities"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse.chances import binomial, convolved, crossing, hypergeometric, pieces, quadrants, without_replacement
from accelsim.sparse.pattern import Pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Shares of tiles by the non-zeros that they hold: float64[most + 1], which sum to 1."""

    shares: Shares

    @property
    def mean(self) -> float:
        """Non-zeros that a tile is expected to hold."""
        return float(np.arange(self.shares.size) @ self.shares)

    @property
    def variance(self) -> float:
        """Of the non-zeros of a tile."""
        counts = np.arange(self.shares.size)
        return float(counts**2 @ self.shares) - self.mean**2

    @property
    def empty(self) -> float:
        """Share of tiles that hold nothing."""
        return float(self.shares[0])

    def beyond(self, room: int) -> float:
        """Probability that a tile does not fit where `room` elements do."""
        return float(self.shares[room + 1 :].sum())


class Density(Protocol):
    """A matrix as far as it is known: its size, what it holds, what a tile of it holds, and an example of it."""

    @property
    def rows(self) -> int:
        """Of the matrix."""
        ...

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        ...

    @property
    def nonzeros(self) -> float:
        """Non-zeros that the matrix is expected to hold."""
        ...

    def occupancy(self, height: int, width: int) -> Occupancy:
        """Over all whole tiles of a grid of height x width."""
        ...

    def draw(self, seed: int) -> Pattern:
        """A matrix of this kind."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """So many non-zeros, all places alike. Tiles of one matrix share them: hypergeometric, not independent."""

    rows: int
    width: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.rows * self.width:
            raise InputError(f"{self.count} non-zeros do not fit a matrix of {self.rows} x {self.width}", "give a share of at most 1")

    @property
    def nonzeros(self) -> float:
        return float(self.count)

    def occupancy(self, height: int, width: int) -> Occupancy:
        return Occupancy(hypergeometric(self.rows * self.width, self.count, height * width))

    def draw(self, seed: int) -> Pattern:
        places = np.random.default_rng(seed).choice(self.rows * self.width, self.count, replace=False)
        return Pattern.at(places // max(1, self.width), places % max(1, self.width), (self.rows, self.width))


@dataclass(frozen=True, slots=True)
class Structured:
    """N:M along rows: exactly `kept` of every `of` elements. Refuses rows that no blocks fill."""

    rows: int
    width: int
    kept: int
    of: int

    def __post_init__(self) -> None:
        if not 0 < self.kept <= self.of:
            raise InputError(f"{self.kept} of {self.of} is no structure", "keep at least 1 and at most all of a block")
        if self.width % self.of:
            raise InputError(f"rows of {self.width} do not consist of blocks of {self.of}", f"make them a multiple of {self.of}")

    @property
    def nonzeros(self) -> float:
        return float(self.rows * self.width // self.of * self.kept)

    def occupancy(self, height: int, width: int) -> Occupancy:
        """A tile of whole blocks holds what they do; parts of a block are hypergeometric, and of different blocks independent."""
        total = np.zeros(height * width + 1)
        starts = range(0, max(1, self.width - width + 1), width)
        for start in starts:
            inside = (
                min(start + width, (block + 1) * self.of) - max(start, block * self.of)
                for block in range(start // self.of, -(-(start + width) // self.of))
            )
            row = convolved(hypergeometric(self.of, self.kept, each) for each in inside)
            total += convolved([row] * height)
        return Occupancy(total / len(starts))

    def draw(self, seed: int) -> Pattern:
        chances = np.random.default_rng(seed)
        blocks = self.rows * self.width // self.of
        places = np.argsort(chances.random((blocks, self.of)), axis=1)[:, : self.kept] + np.arange(blocks)[:, None] * self.of
        return Pattern.at(places.ravel() // self.width, places.ravel() % self.width, (self.rows, self.width))


@dataclass(frozen=True, slots=True)
class Banded:
    """All elements between two diagonals, `below` <= column - row <= `above`, and no others."""

    rows: int
    width: int
    below: int
    above: int

    def __post_init__(self) -> None:
        if self.below > self.above:
            raise InputError(f"a band from {self.below} to {self.above} is empty", "give the lower diagonal first")

    @property
    def nonzeros(self) -> float:
        return float(self._held(np.zeros(1, np.int64), np.zeros(1, np.int64), self.rows, self.width)[0])

    def occupancy(self, height: int, width: int) -> Occupancy:
        """Counted from where each tile lies, diagonal by diagonal: no matrix is made."""
        down, across = np.arange(self.rows // height) * height, np.arange(self.width // width) * width
        held = self._held(np.repeat(down, across.size), np.tile(across, down.size), height, width)
        return Occupancy(np.bincount(held, minlength=height * width + 1) / max(1, held.size))

    def _held(self, top: IntArray, left: IntArray, height: int, width: int) -> IntArray:
        """Elements of the band in tiles of which the first row and column are given, int64[tiles]."""
        shift, found = top - left, np.zeros(top.size, np.int64)
        for diagonal in range(self.below, self.above + 1) if self.above - self.below <= height + width else ():
            found += crossing(diagonal + shift, height, width)
        if self.above - self.below > height + width:
            for own in range(-height + 1, width):
                found += np.where((own - shift >= self.below) & (own - shift <= self.above), crossing(np.array([own]), height, width), 0)
        return found

    def draw(self, seed: int) -> Pattern:
        """The only one, whatever the seed."""
        first = np.clip(np.arange(self.rows) + self.below, 0, self.width)
        last = np.clip(np.arange(self.rows) + self.above + 1, 0, self.width)
        starts = np.concatenate([[0], np.cumsum(last - first)])
        columns = np.arange(starts[-1]) - np.repeat(starts[:-1] - first, last - first)
        return Pattern(self.rows, self.width, starts.astype(np.int64), columns.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of side x side elements of which so many are full, all places alike; the others are empty. Refuses sizes that none fill."""

    rows: int
    width: int
    side: int
    full: int

    def __post_init__(self) -> None:
        if self.rows % self.side or self.width % self.side:
            what = f"a matrix of {self.rows} x {self.width} does not consist of blocks of {self.side} x {self.side}"
            raise InputError(what, f"make both a multiple of {self.side}")
        if not 0 <= self.full <= self.rows * self.width // self.side**2:
            raise InputError(f"a matrix of {self.rows} x {self.width} has no {self.full} blocks", "give fewer")

    @property
    def nonzeros(self) -> float:
        return float(self.full * self.side**2)

    def occupancy(self, height: int, width: int) -> Occupancy:
        """By the pieces of blocks that a tile cuts: their sizes come with chances of blocks that are full, drawn without replacement."""
        total = np.zeros(height * width + 1)
        across, down = pieces(self.width, width, self.side), pieces(self.rows, height, self.side)
        blocks = self.rows * self.width // self.side**2
        count = sum(down.values()) * sum(across.values())
        for rows, many in down.items():
            for columns, more in across.items():
                sizes = sorted(a * b for a in rows for b in columns)
                total += many * more / count * without_replacement(sizes, blocks, self.full, height * width)
        return Occupancy(total)

    def draw(self, seed: int) -> Pattern:
        coarse = Uniform(self.rows // self.side, self.width // self.side, self.full).draw(seed)
        inside = np.arange(self.side**2)
        rows = (coarse.row_of[:, None] * self.side + inside // self.side).ravel()
        return Pattern.at(rows, (coarse.columns[:, None] * self.side + inside % self.side).ravel(), (self.rows, self.width))


@dataclass(frozen=True, slots=True)
class Fibers:
    """Rows whose numbers of non-zeros come independently from a histogram, with all places in a row alike.

    `histogram`: share of rows by non-zeros, from 0. Refuses one that does not sum to 1 or has rows that are too long.
    """

    rows: int
    width: int
    histogram: tuple[float, ...]

    def __post_init__(self) -> None:
        if not math.isclose(sum(self.histogram), 1, rel_tol=1e-9) or min(self.histogram) < 0:
            raise InputError(f"the shares of a histogram sum to {sum(self.histogram):g}", "make them sum to 1")
        if len(self.histogram) > self.width + 1:
            raise InputError(f"rows of {self.width} do not hold {len(self.histogram) - 1} non-zeros", "shorten the histogram")

    @property
    def nonzeros(self) -> float:
        return self.rows * sum(count * share for count, share in enumerate(self.histogram))

    def occupancy(self, height: int, width: int) -> Occupancy:
        """A row of a tile is a mixture over lengths; rows are independent."""
        row = np.zeros(width + 1)
        for length, share in enumerate(self.histogram):
            row += share * hypergeometric(self.width, length, width)
        return Occupancy(convolved([row] * height))

    def draw(self, seed: int) -> Pattern:
        chances = np.random.default_rng(seed)
        lengths = chances.choice(len(self.histogram), self.rows, p=self.histogram)
        columns = [np.sort(chances.choice(self.width, length, replace=False)) for length in lengths]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Pattern(self.rows, self.width, starts, np.concatenate([*columns, np.zeros(0, np.int64)]).astype(np.int64))


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """R-MAT: edges fall into quadrants of quadrants with the same four chances each time, so that a few rows and columns hold much.

    2^levels rows and columns; as many edges as a Poisson number with mean `edges` says, so that cells are independent; edges that fall into
    one cell are one non-zero. `chances`: upper left, upper right, lower left, lower right. Source: D. Chakrabarti, Y. Zhan, C. Faloutsos,
    R-MAT: A Recursive Model for Graph Mining, SDM 2004, whose chances for many real graphs are near (0.45, 0.15, 0.15, 0.25).
    """

    levels: int
    edges: float
    chances: tuple[float, float, float, float] = (0.45, 0.15, 0.15, 0.25)

    def __post_init__(self) -> None:
        if not math.isclose(sum(self.chances), 1, rel_tol=1e-9) or min(self.chances) < 0:
            raise InputError(f"chances of quadrants sum to {sum(self.chances):g}", "make them sum to 1")

    @property
    def rows(self) -> int:
        return int(2**self.levels)

    @property
    def width(self) -> int:
        return int(2**self.levels)

    @property
    def nonzeros(self) -> float:
        return sum(cells * -math.expm1(-self.edges * chance) for cells, chance in quadrants(self.levels, self.chances))

    def occupancy(self, height: int, width: int) -> Occupancy:
        """Square tiles of a power of two: every cell is there by its own chance. Refuses other tiles."""
        inside = height.bit_length() - 1
        if height != width or height != 1 << inside or inside > self.levels:
            raise InputError(f"tiles of {height} x {width} do not divide quadrants", "make them square, of a power of two")
        total = np.zeros(height * width + 1)
        cells = list(quadrants(inside, self.chances))
        for tiles, chance in quadrants(self.levels - inside, self.chances):
            parts = (binomial(many, -math.expm1(-self.edges * chance * each)) for many, each in cells)
            total += tiles / 4 ** (self.levels - inside) * convolved(parts)
        return Occupancy(total)

    def draw(self, seed: int) -> Pattern:
        chances = np.random.default_rng(seed)
        picks = chances.choice(4, (chances.poisson(self.edges), self.levels), p=self.chances)
        weights = 1 << np.arange(self.levels)
        return Pattern.at((picks // 2) @ weights, (picks % 2) @ weights, (self.rows, self.width))


@dataclass(frozen=True, slots=True)
class Actual:
    """A matrix that is there."""

    pattern: Pattern

    @property
    def rows(self) -> int:
        return self.pattern.rows

    @property
    def width(self) -> int:
        return self.pattern.width

    @property
    def nonzeros(self) -> float:
        return float(self.pattern.nonzeros)

    def occupancy(self, height: int, width: int) -> Occupancy:
        """Counted; tiles at the edge that are not whole count for none."""
        tiles, counts = self.pattern.tiles(height, width)
        down, across = self.rows // height, self.width // width
        whole = counts[(tiles.row_of < down) & (tiles.columns < across)]
        held = np.bincount(whole, minlength=height * width + 1).astype(np.float64)
        held[0] = down * across - whole.size
        return Occupancy(held / max(1, down * across))

    def draw(self, seed: int) -> Pattern:
        """It is what it is, whatever the seed."""
        return self.pattern
