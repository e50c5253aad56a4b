"""Random products on arrays: tiles, when they enter, and what the simulator says of them."""

from __future__ import annotations

from random import Random

import numpy as np

from accelsim.sim.reference_systolic import Tile
from accelsim.sim.systolic import OPERAND, Folds, Grid, folds_of, times

MATRIX = np.ndarray


def tiles_of(shape: tuple[int, int, int], grid: Grid, stays: str) -> tuple[list[Tile], int]:
    """The tiles of a product [rows, columns, steps] on an array, and its cycles. What stays has rows and columns; results that stay are of
    the product's rows and columns, operands of its steps and columns.
    """
    rows, columns, steps = shape
    high, wide, long = (steps, columns, rows) if stays == OPERAND else (rows, columns, steps)
    folds: Folds = folds_of(high, wide, long, grid)
    when = times(grid, stays, folds)
    found, row, column = [], 0, 0
    for fold in range(len(folds.rows)):
        size = int(folds.rows[fold]), int(folds.columns[fold])
        found.append(Tile(row, size[0], column, size[1], 0, int(folds.steps[fold]), int(when.load[fold]), int(when.start[fold])))
        column += size[1]
        if column == wide:
            row, column = row + size[0], 0
    return found, when.cycles


def matrix(rng: Random, rows: int, columns: int, bits: int) -> MATRIX:
    """Words of some bits in two's complement: any, extremes, or many zeros."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = rng.choice(("any", "any", "extremes", "zeros"))

    def word() -> int:
        if kind == "extremes":
            return rng.choice((low, high, -1, 0, 1))
        return 0 if kind == "zeros" and rng.random() < 0.7 else rng.randint(low, high)

    return np.array([[word() for _ in range(columns)] for _ in range(rows)], object).reshape(rows, columns)


def wrapped(product: MATRIX, bits: int) -> MATRIX:
    """Sums modulo 2^bits, in two's complement."""
    half = 1 << (bits - 1)
    return (product + half) % (2 * half) - half
