"""A product on a grid array, ready for faults: which tiles enter when, every register's golden word, and where words leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.registers import Registers, Widths
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_cone import Work
    from accelsim.faults.kernels_replay import Collected, Streams, Wires

    IntArray = NDArray[np.int64]

Z, A, B = "Z", "A", "B"


@dataclass(frozen=True, slots=True)
class Tiles:
    """The folds of a product in their order, int64[folds] each: where what stays begins and its extent, and when it loads and starts."""

    row: IntArray
    rows: IntArray
    column: IntArray
    columns: IntArray
    load: IntArray
    start: IntArray
    steps: int
    cycles: int


class GridRun:
    """The product Z = A B of integers, A [m, k] and B [k, n], on an array of `rows` x `columns` multiply-adders; `stationary`: what stays.

    Where B stays, rows are k, columns n, and m turns in time; where A stays it is the same for B' A'; where Z stays, k turns in time.
    Sums wrap at `widths.sum` bits, in the array and where parts of a sum that several tiles make are added. InputError for words that do
    not fit their widths.
    """

    def __init__(self, a: IntArray, b: IntArray, grid: Grid, stationary: str, widths: Widths = Widths()) -> None:
        import numpy as np

        if not grid.shadow or grid.exit != "edge" or grid.folds != "own":
            raise InputError("faults are known in arrays with shadow registers whose results leave through the edge", "choose such an array")
        self.stays = RESULT if stationary == Z else OPERAND
        self.transposed = stationary == A
        left, right = (b.T, a.T) if self.transposed else (a, b)
        self.widths = Widths(widths.b, widths.a, widths.sum) if self.transposed else widths
        for words, bits in ((left, self.widths.a), (right, self.widths.b)):
            if words.size and (words.min() < -(1 << bits - 1) or words.max() >= 1 << bits - 1):
                raise InputError(f"a word does not fit {bits} bits", "choose wider types, or other values")
        self.a, self.b = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
        self.grid, self.stationary = grid, stationary
        self.registers = Registers(grid.rows, grid.columns, self.stays, self.widths)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the product as the array makes it: that of Z, transposed where A stays."""
        return self.a.shape[0], self.b.shape[1]

    @cached_property
    def product(self) -> IntArray:
        """int64[shape], sums wrapped."""
        import numpy as np

        # float64 is exact while sums stay below 2^53, and much faster
        exact = self.a.shape[1] << (self.widths.a + self.widths.b - 2) < 1 << 53
        whole = np.rint(self.a.astype(float) @ self.b.astype(float)).astype(np.int64) if exact else self.a @ self.b
        left = 64 - self.widths.sum
        return (whole << left) >> left

    @cached_property
    def tiles(self) -> Tiles:
        """The folds."""
        import numpy as np

        m, k, n = self.a.shape[0], *self.b.shape
        high, wide, long = (m, n, k) if self.stays == RESULT else (k, n, m)
        folds = folds_of(high, wide, long, self.grid)
        when = times(self.grid, self.stays, folds)
        across = -(-wide // self.grid.columns)
        number = np.arange(folds.rows.size)
        row, column = number // max(1, across) * self.grid.rows, number % max(1, across) * self.grid.columns
        return Tiles(row, folds.rows, column, folds.columns, when.load, when.start, long, when.cycles)

    @property
    def cycles(self) -> int:
        """Until the last word has left."""
        return self.tiles.cycles

    @property
    def population(self) -> int:
        """Single-bit upsets: bits times cycles."""
        return self.registers.bits * self.cycles

    @cached_property
    def wires(self) -> Wires:
        """For the kernels."""
        import numpy as np

        from accelsim.faults.kernels_replay import Wires

        result, widths = self.stays == RESULT, self.widths
        at = np.array(self.registers.starts, np.int64)
        return Wires(self.grid.rows, self.grid.columns, result, widths.a, widths.b, widths.sum, at)

    @cached_property
    def streams(self) -> Streams:
        """What the edges bring; some cycles more than the run has, so that words that a fault delays can leave."""
        import numpy as np

        from accelsim.faults.kernels_replay import Streams

        tiles, rows, columns = self.tiles, self.grid.rows, self.grid.columns
        cycles = tiles.cycles + 1 + rows + columns
        flags, a, b = np.zeros((cycles, 4), np.int64), np.zeros((cycles, rows), np.int64), np.zeros((cycles, columns), np.int64)
        used, some = np.zeros((cycles, rows), np.int64), np.zeros((cycles, columns), np.int64)
        for fold in range(tiles.row.size):
            row = slice(tiles.row[fold], tiles.row[fold] + tiles.rows[fold])
            column = slice(tiles.column[fold], tiles.column[fold] + tiles.columns[fold])
            high, wide = int(tiles.rows[fold]), int(tiles.columns[fold])
            start = int(tiles.start[fold])
            busy = slice(start, start + tiles.steps)
            flags[busy, 0] = 1
            flags[start, 1] = 1
            if self.stays == RESULT:
                flags[start + tiles.steps - 1, 2] = 1
                a[busy, :high], b[busy, :wide] = self.a[row].T, self.b[:, column]
                used[busy, :high], some[busy, :wide] = 1, 1
            else:
                load = int(tiles.load[fold])
                a[busy, :high] = self.a[:, row]
                flags[load, 2] = 1
                b[load : load + high, :wide] = self.b[row, column][::-1]
                some[load : load + high, :wide] = 1
        return Streams(flags, used, some, a, b)

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """Where the words that leave each column belong, flat places of the product in their order (-1 behind the last), and how many."""
        import numpy as np

        tiles, (_, n) = self.tiles, self.shape
        parts: list[list[IntArray]] = [[] for _ in range(self.grid.columns)]
        for fold in range(tiles.row.size):
            for column in range(int(tiles.columns[fold])):
                at = int(tiles.column[fold]) + column
                if self.stays == RESULT:
                    high = np.arange(int(tiles.rows[fold]) - 1, -1, -1) + int(tiles.row[fold])
                    parts[column].append(high * n + at)
                else:
                    parts[column].append(np.arange(tiles.steps) * n + at)
            if self.stays == OPERAND:  # words of columns that a tile does not use leave too, and belong nowhere
                for column in range(int(tiles.columns[fold]), self.grid.columns):
                    parts[column].append(np.full(tiles.steps, -1))
        lines = [np.concatenate(each) if each else np.zeros(0, np.int64) for each in parts]
        count = np.array([each.size for each in lines], np.int64)
        found = np.full((self.grid.columns, max(1, int(count.max(initial=0)))), -1, np.int64)
        for line, target in zip(lines, found, strict=True):
            target[: line.size] = line
        return found, count

    @cached_property
    def golden(self) -> tuple[Collected, IntArray, IntArray, IntArray]:
        """Words that leave, and states kept: cycles, states and words gone before each."""
        import numpy as np

        from accelsim.faults.kernels_replay import Collected, golden

        places, count = self.places
        kept = np.unique(np.concatenate([np.zeros(1, np.int64), self.tiles.start, np.array([self.cycles], np.int64)]))
        words = np.zeros_like(places)
        states, gone = golden(self.wires, self.streams, places, words, kept)
        return Collected(places, words, count), kept, states, gone

    def work(self, outputs: IntArray) -> Work:
        """For the kernels of cones. outputs: int64[shape], what becomes of the product."""
        import numpy as np

        from accelsim.faults.kernels_cone import Work

        kind = np.int32 if self.widths.sum <= 32 else np.int64
        tiles, widths = self.tiles, self.widths

        def both(words: IntArray) -> tuple[IntArray, IntArray]:
            narrow = np.ascontiguousarray(words, kind)
            return narrow.ravel(), np.ascontiguousarray(narrow.T).ravel()

        (a, a_down), (b, b_down), (z, z_down), (out, out_down) = (both(each) for each in (self.a, self.b, self.product, outputs))
        held = self._held().astype(kind).ravel() if self.stays == OPERAND else np.zeros(0, kind)
        period = max(1, int(tiles.start[-1] - tiles.start[0]) // max(1, tiles.start.size - 1)) if tiles.start.size else 1
        return Work(
            self.stays == RESULT, *self.a.shape, self.b.shape[1], self.grid.rows, self.grid.columns, tiles.steps, widths.a, widths.b, widths.sum,
            a, a_down, b, z, z_down, b_down, held, out, out_down, period,
            tiles.row, tiles.rows, tiles.column, tiles.columns, tiles.load, tiles.start,
        )  # fmt: skip

    def _held(self) -> IntArray:
        """The operand in each element in each fold; in rows that a fold does not use, what an earlier one left."""
        import numpy as np

        tiles = self.tiles
        found = np.zeros((tiles.row.size, self.grid.rows, self.grid.columns), np.int64)
        for fold in range(tiles.row.size):
            if fold:
                found[fold] = found[fold - 1]
            high, wide, row, column = (int(each[fold]) for each in (tiles.rows, tiles.columns, tiles.row, tiles.column))
            found[fold, :high, :wide] = self.b[row : row + high, column : column + wide]
        return found

    def as_asked(self, place: int) -> tuple[int, int]:
        """The element of Z that a flat place of `product` is."""
        row, column = divmod(place, self.shape[1])
        return (column, row) if self.transposed else (row, column)
