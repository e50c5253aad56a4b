"""Products on a grid array, ready for faults: which tiles enter when, every register's golden word, and where words leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.registers import BYTES, Registers, Widths
from accelsim.sim.systolic import OPERAND, RESULT, Folds, Grid, folds_of, times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_array import Collected, Streams, Wires
    from accelsim.faults.kernels_cone import Work

    IntArray = NDArray[np.int64]

Z, A, B = "Z", "A", "B"
_SPACING, _MOST_KEPT = 8, 1 << 24  # cycles from state to state that is kept, and words of all of them


@dataclass(frozen=True, slots=True)
class Tiles:
    """Folds in their order, int64[folds] each: where what stays begins and its extent, steps that turn, and when it loads and starts."""

    row: IntArray
    rows: IntArray
    column: IntArray
    columns: IntArray
    step: IntArray
    steps: IntArray
    load: IntArray
    start: IntArray


@dataclass(frozen=True, slots=True)
class Order:
    """Tiles of a product in the order in which they fire, int64[folds, 2] each: the first and how many, of rows and columns of what stays
    and of steps.
    """

    rows: IntArray
    columns: IntArray
    steps: IntArray


class GridRun:
    """The product of integers left [m, k] and right [k, n] on an array; `stays`: the result, or the operand `right`.

    Where the result stays, m is its rows and n its columns, and k turns in time; where `right` stays, k is its rows and n its columns, and
    m turns. Sums wrap at `widths.sum` bits, in the array and where parts of a sum that several tiles make are added. `cycles` are those of
    the array alone, which waits for no memory. InputError for words that do not fit their widths, and for other arrays.
    """

    def __init__(self, left: IntArray, right: IntArray, grid: Grid, stays: str, widths: Widths, order: Order) -> None:
        import numpy as np

        if not grid.shadow or grid.exit != "edge" or grid.folds != "own":
            what = "faults are known in arrays with shadow registers whose results leave through the edge"
            raise InputError(what, "in the machine write systolic: {shadow: true, exit: edge, folds: own}")
        for words, bits in ((left, widths.a), (right, widths.b)):
            if words.size and (words.min() < -(1 << bits - 1) or words.max() >= 1 << bits - 1):
                raise InputError(f"a word does not fit {bits} bits", "choose wider types, or other values")
        self.a, self.b = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
        self.grid, self.stays, self.widths, self.order = grid, stays, widths, order
        self.registers = Registers(grid.rows, grid.columns, stays, widths)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the product."""
        return self.a.shape[0], self.b.shape[1]

    @cached_property
    def product(self) -> IntArray:
        """int64[shape], sums wrapped."""
        import numpy as np

        exact = self.a.shape[1] << (self.widths.a + self.widths.b - 2) < 1 << 53  # of float64, which is much faster
        whole = np.rint(self.a.astype(float) @ self.b.astype(float)).astype(np.int64) if exact else self.a @ self.b
        left = 64 - self.widths.sum
        return (whole << left) >> left

    @cached_property
    def tiles(self) -> Tiles:
        """The folds."""
        rows, columns, steps = self.order.rows, self.order.columns, self.order.steps
        when = times(self.grid, self.stays, Folds(rows[:, 1], columns[:, 1], steps[:, 1]))
        return Tiles(rows[:, 0], rows[:, 1], columns[:, 0], columns[:, 1], steps[:, 0], steps[:, 1], when.load, when.start)

    @cached_property
    def cycles(self) -> int:
        """Until the last word has left."""
        rows, columns, steps = self.order.rows, self.order.columns, self.order.steps
        return times(self.grid, self.stays, Folds(rows[:, 1], columns[:, 1], steps[:, 1])).cycles

    @cached_property
    def wires(self) -> Wires:
        """For the kernels."""
        import numpy as np

        from accelsim.faults.kernels_array import Wires

        result, widths = self.stays == RESULT, self.widths
        at = np.array(self.registers.starts, np.int64)
        return Wires(self.grid.rows, self.grid.columns, result, widths.a, widths.b, widths.sum, at)

    @cached_property
    def streams(self) -> Streams:
        """What the edges bring; some cycles more than the run has, so that words that a fault delays can leave."""
        import numpy as np

        from accelsim.faults.kernels_array import Streams

        rows, columns = self.grid.rows, self.grid.columns
        cycles = self.cycles + 1 + rows + columns
        flags, a, b = np.zeros((cycles, 4), np.int64), np.zeros((cycles, rows), np.int64), np.zeros((cycles, columns), np.int64)
        used, some = np.zeros((cycles, rows), np.int64), np.zeros((cycles, columns), np.int64)
        for row, high, column, wide, step, steps, load, start in self._folds():
            down, across, along = slice(row, row + high), slice(column, column + wide), slice(step, step + steps)
            busy = slice(start, start + steps)
            flags[busy, 0] = 1
            flags[start, 1] = 1
            if self.stays == RESULT:
                flags[start + steps - 1, 2] = 1
                a[busy, :high], b[busy, :wide] = self.a[down, along].T, self.b[along, across]
                used[busy, :high], some[busy, :wide] = 1, 1
            else:
                a[busy, :high] = self.a[along, down]
                flags[load, 2] = 1
                b[load : load + high, :wide] = self.b[down, across][::-1]
                some[load : load + high, :wide] = 1
        return Streams(flags, used, some, a, b)

    def _folds(self) -> list[list[int]]:
        tiles = self.tiles
        columns = (tiles.row, tiles.rows, tiles.column, tiles.columns, tiles.step, tiles.steps, tiles.load, tiles.start)
        return [[int(each) for each in fold] for fold in zip(*columns, strict=True)]

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """Where the words that leave each column belong, flat places of the product in their order (-1: nowhere), and how many."""
        import numpy as np

        n = self.shape[1]
        parts: list[list[IntArray]] = [[] for _ in range(self.grid.columns)]
        for row, high, column, wide, step, steps, _, _ in self._folds():
            for at in range(wide):
                down = np.arange(row + high - 1, row - 1, -1) if self.stays == RESULT else np.arange(step, step + steps)
                parts[at].append(down * n + column + at)
            if self.stays == OPERAND:  # words of columns that a tile does not use leave too
                for at in range(wide, self.grid.columns):
                    parts[at].append(np.full(steps, -1))
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

        from accelsim.faults.kernels_array import Collected, golden

        places, count = self.places
        spacing = max(_SPACING, self.cycles * self.registers.size // _MOST_KEPT)
        kept = np.append(np.arange(0, self.cycles, spacing), self.cycles)
        words = np.zeros_like(places)
        states, gone = golden(self.wires, self.streams, places, words, kept)
        return Collected(places, words, count), kept, states, gone

    def work(self, outputs: IntArray) -> Work:
        """For the kernels of cones. outputs: int64[shape], what becomes of the product."""
        import numpy as np

        from accelsim.faults.kernels_cone import Work

        tiles, widths = self.tiles, self.widths

        def both(words: IntArray, kind: type[np.signedinteger[Any]]) -> tuple[IntArray, IntArray]:
            narrow = np.ascontiguousarray(words, kind)
            return narrow.ravel(), np.ascontiguousarray(narrow.T).ravel()

        operand = np.int8 if max(widths.a, widths.b) <= 8 else np.int32 if max(widths.a, widths.b) <= 32 else np.int64
        total = np.int32 if max(widths.sum, int(abs(outputs).max(initial=0)).bit_length() + 1) <= 32 else np.int64
        (a, a_down), (b, b_down) = both(self.a, operand), both(self.b, operand)
        (z, z_down), (out, out_down) = both(self.product, total), both(outputs, total)
        held = self._held().astype(operand).ravel() if self.stays == OPERAND else np.zeros(0, operand)
        period = max(1, int(tiles.start[-1] - tiles.start[0]) // max(1, tiles.start.size - 1)) if tiles.start.size else 1
        return Work(
            self.stays == RESULT, self.a.shape[0], self.a.shape[1], self.b.shape[1], self.grid.rows, self.grid.columns,
            widths.a, widths.b, widths.sum, a, a_down, b, z, z_down, b_down, held, out, out_down, period,
            tiles.row, tiles.rows, tiles.column, tiles.columns, tiles.step, tiles.steps, tiles.load, tiles.start,
        )  # fmt: skip

    def _held(self) -> IntArray:
        """The operand in each element in each fold; in rows that a fold does not use, what an earlier one left."""
        import numpy as np

        found = np.zeros((self.tiles.row.size, self.grid.rows, self.grid.columns), np.int64)
        for fold, (row, high, column, wide, *_) in enumerate(self._folds()):
            if fold:
                found[fold] = found[fold - 1]
            found[fold, :high, :wide] = self.b[row : row + high, column : column + wide]
        return found


def product_run(a: IntArray, b: IntArray, grid: Grid, stationary: str, widths: Widths = BYTES) -> GridRun:
    """Z = A B, A [m, k] and B [k, n], in whole tiles, columns turning inside rows; `stationary`: Z, A or B, which stays in the elements.

    Where A stays, the array makes Z' = B' A'.
    """
    import numpy as np

    left, right = (b.T, a.T) if stationary == A else (a, b)
    widths = Widths(widths.b, widths.a, widths.sum) if stationary == A else widths
    (m, k), n = left.shape, right.shape[1]
    high, wide, long = (m, n, k) if stationary == Z else (k, n, m)
    folds = folds_of(high, wide, long, grid)
    number, across = np.arange(folds.rows.size), max(1, -(-wide // grid.columns))
    rows = np.stack([number // across * grid.rows, folds.rows], axis=1)
    columns = np.stack([number % across * grid.columns, folds.columns], axis=1)
    steps = np.stack([np.zeros_like(number), folds.steps], axis=1)
    return GridRun(left, right, grid, RESULT if stationary == Z else OPERAND, widths, Order(rows, columns, steps))
