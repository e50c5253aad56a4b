"""Memory below its lowest safe voltage: cells that are stuck, at places of the chip, the same at every read.

A cell is stuck at voltages below its own limit, so that what fails at a voltage fails at all lower ones. Voltages are in parts of the
lowest one without errors. The map is that of a chip: `seed` is the chip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.faults.randomness import checked_seed
from accelsim.faults.randomness import words as random_words

IntArray = NDArray[np.int64]
Shares = NDArray[np.float64]

_CELLS, _ROWS, _COLUMNS = range(3)  # of the streams of a chip
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """The share of stuck cells by voltage: `share` at `voltage`, and so many decades less for each unit of voltage more.

    The defaults are a line through 1 % at 0.83 and at most 1 of 32768 cells at 1: coarse, an assumption. Source: 14 nm array of 512 x 64
    bits, Chandramoorthy et al., HPCA 2019, as quoted in arXiv 2306.16869.
    """

    voltage: float = 0.83
    share: float = 0.01
    decades: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.voltage > 0 or not self.decades > 0 or math.isinf(self.voltage + self.decades):
            what = f"no law has a share of {self.share:g} at voltage {self.voltage:g} and {self.decades:g} decades"
            raise InputError(what, "write a share up to 1, and voltage and decades above 0")

    def at(self, voltage: float) -> float:
        """The share of stuck cells at a voltage."""
        return float(min(1.0, 10 ** min(0.0, math.log10(self.share) - self.decades * (voltage - self.voltage))))

    def voltage_at(self, share: float) -> float:
        """The voltage at which a share of cells is stuck."""
        return self.voltage - math.log10(share / self.share) / self.decades


@dataclass(frozen=True, slots=True)
class EnergyLaw:
    """Energy of an access in parts of that at the lowest safe voltage: a power of the voltage."""

    exponent: float = 2.0

    @classmethod
    def through(cls, voltage: float, ratio: float) -> EnergyLaw:
        """The one that has a ratio at a voltage, as in `through(0.83, 0.694)`, which published savings give (docs/faults-protection.md)."""
        if not 0 < voltage < 1 or not 0 < ratio < 1:
            raise InputError(f"a ratio of {ratio:g} at voltage {voltage:g} fixes no power", "write both between 0 and 1")
        return cls(math.log(ratio) / math.log(voltage))

    def at(self, voltage: float) -> float:
        """The ratio at a voltage."""
        return float(voltage**self.exponent)


def saving(ratio: float, reads: float, extra_reads: float = 0.0) -> float:
    """Energy saved by reads at a ratio of the safe voltage's energy, in parts of that, if they need `extra_reads` at the safe one."""
    if not reads > 0:
        raise InputError(f"{reads:g} reads take no energy that could be saved", "write how many reads there are")
    return 1 - ratio - extra_reads / reads


@dataclass(frozen=True, slots=True)
class Placement:
    """Where words are in a memory of banks of rows x columns bits: along a row, then in the next bank, then in the next row.

    `repeats`: so many rows' worth of words, one after the other, are in the same row, as where a map is tiled over weights; 1 is a memory.
    Words beyond the last row are in the first again.
    """

    banks: int
    rows: int
    columns: int
    word: int = 8
    repeats: int = 1

    def __post_init__(self) -> None:
        if min(self.banks, self.rows, self.columns, self.word, self.repeats) < 1 or self.columns % self.word or self.word > 63:
            sizes = f"{self.banks} banks of {self.rows} rows of {self.columns} bits"
            what = f"no memory has {sizes} with words of {self.word}, repeated {self.repeats} times"
            raise InputError(what, "write numbers of at least 1, and rows of whole words of at most 63 bits")

    @property
    def bits(self) -> int:
        """Cells in all."""
        return self.banks * self.rows * self.columns

    def cells(self, numbers: IntArray) -> IntArray:
        """The first cell of each word, by its number; cells count columns inside rows inside banks."""
        many = self.columns // self.word
        line, at = numbers // (many * self.repeats), numbers % many
        line, bank = line // self.banks, line % self.banks
        return np.asarray((bank * self.rows + line % self.rows) * self.columns + at * self.word, np.int64)


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip's map. `stuck_at_one`: share of stuck cells that read 1; `by_row`, `by_column`: shares of the spread of cells' limits (of a
    normal deviate) that cells of a row, or of a column, have in common, 0: independent. Whatever they are, the share of stuck cells is the
    same on average over chips.
    """

    seed: int
    placement: Placement
    stuck_at_one: float = 0.5
    by_row: float = 0.0
    by_column: float = 0.0

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        if not 0 <= self.stuck_at_one <= 1 or min(self.by_row, self.by_column) < 0 or self.by_row + self.by_column > 1:
            what = f"shares {self.stuck_at_one:g}, {self.by_row:g} and {self.by_column:g} of a map cannot be"
            raise InputError(what, "write shares from 0 to 1, by row and by column together at most 1")

    def limits(self, cells: IntArray) -> tuple[Shares, NDArray[np.bool_]]:
        """Of some cells: the share of cells that are stuck before it is, in [0, 1), and whether it is stuck at 1."""
        found, ones = np.empty(cells.size), np.empty(cells.size, bool)
        for start in range(0, cells.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            found[part], ones[part] = self._limits(cells[part])
        return found, ones

    def _limits(self, cells: IntArray) -> tuple[Shares, NDArray[np.bool_]]:
        drawn = self._word(_CELLS, cells)
        alone = (drawn >> np.uint64(24)).astype(float) * 2.0**-40
        ones = (drawn & np.uint64(0xFFFFFF)).astype(float) * 2.0**-24 < self.stuck_at_one
        if not self.by_row and not self.by_column:
            return alone, ones
        from scipy.special import ndtr, ndtri

        columns = self.placement.columns
        row, column = cells // columns, cells // columns // self.placement.rows * columns + cells % columns
        mine = [(1 - self.by_row - self.by_column, alone)]
        for share, stream, line in ((self.by_row, _ROWS, row), (self.by_column, _COLUMNS, column)):
            mine.append((share, (self._word(stream, line) >> np.uint64(24)).astype(float) * 2.0**-40))
        return np.asarray(ndtr(sum(math.sqrt(share) * ndtri(each + 2.0**-41) for share, each in mine if share))), ones

    def _word(self, stream: int, numbers: IntArray) -> NDArray[np.uint64]:
        """One random word for each number: four of them are in each stream of the generator."""
        groups, place = np.unique(numbers // 4, return_inverse=True)
        return np.asarray(random_words(self.seed, 3 * groups + stream, 4)[place, numbers % 4])

    def masks(self, numbers: IntArray, share: float) -> tuple[IntArray, IntArray]:
        """Bits of words that are stuck at 0, and at 1, where a share of all cells is stuck: int64[words] each."""
        if not 0 <= share <= 1:
            raise InputError(f"a share of {share:g} stuck cells cannot be", "write it from 0 to 1")
        word = self.placement.word
        first, place = np.unique(self.placement.cells(np.asarray(numbers, np.int64)), return_inverse=True)
        limit, ones = self.limits((first[:, None] + np.arange(word)).ravel())
        weight = np.int64(1) << np.arange(word)
        stuck = (limit < share).reshape(-1, word)
        high = ones.reshape(-1, word)
        return ((stuck & ~high) @ weight)[place], ((stuck & high) @ weight)[place]

    def read(self, words: IntArray, share: float) -> IntArray:
        """What words of the memory read as, in their order; signed, of the placement's bits. Reading them again changes nothing."""
        flat = np.asarray(words, np.int64).ravel()
        bits = self.placement.word
        if flat.size and (flat.min() < -(1 << bits - 1) or flat.max() >= 1 << bits - 1):
            raise InputError(f"a word does not fit {bits} bits", "choose wider words, or other values")
        zeros, ones = self.masks(np.arange(flat.size), share)
        left = 64 - bits
        return np.asarray(((((flat & ~zeros) | ones) << left) >> left).reshape(np.shape(words)), np.int64)
