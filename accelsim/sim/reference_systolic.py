"""Grid arrays element by element with marks that travel beside the operands; the twin of `kernels_systolic.py`.

Every element computes its next registers from those of its neighbours, then all change at once. Slow, written to be believed at sight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Word:
    """What travels: a value, and which step of which fold it belongs to (None: nothing)."""

    value: Any = 0
    fold: int | None = None
    step: int = 0


@dataclass(slots=True)
class Element:
    """Registers of one element."""

    a_q: Word
    b_q: Word
    c_q: Any = 0  # sum that stays
    d_q: Word | None = None  # result on its way out; `step` is its row
    w_q: Any = 0  # operand that stays
    v_q: Any = 0  # the next one
    p_q: Word | None = None  # sum on its way down


@dataclass(frozen=True, slots=True)
class Tile:
    """A fold: what part of a product it is, and when it starts and its operand begins to load."""

    row: int
    rows: int
    column: int
    columns: int
    step: int
    steps: int
    load: int
    start: int


Watch = Callable[[int, list[list[Element]]], None]
"""Told of every cycle and the registers after it."""


def _grid(rows: int, columns: int) -> list[list[Element]]:
    return [[Element(Word(), Word()) for _ in range(columns)] for _ in range(rows)]


def _entering(tiles: list[Tile], cycle: int, late: int) -> tuple[int, int] | None:
    """The fold and step of what enters a lane that lags `late` cycles; lanes serve one fold after another."""
    for number, tile in enumerate(tiles):
        step = cycle - late - tile.start
        if 0 <= step < tile.steps:
            return number, step
    return None


def result_stays(
    rows: int, columns: int, by_edge: bool, tiles: list[Tile], a: Any, b: Any, z: Any, watch: Watch = lambda cycle, grid: None
) -> int:
    """Adds the product of a [rows, steps] and b [steps, columns] to z; returns the cycles until the last result has left."""
    grid = _grid(rows, columns)
    waiting = {(number, column): 0 for number in range(len(tiles)) for column in range(tiles[number].columns)}  # results that are ready
    shifted: dict[tuple[int, int], int] = {}  # how often a column has shifted for a fold, once it has begun
    left = sum(tile.rows * tile.columns for tile in tiles)
    cycle = 0
    while left:
        before = [[(e.a_q, e.b_q, e.c_q, e.d_q) for e in line] for line in grid]
        arrived: list[tuple[int, int]] = []
        for i in range(rows):
            for j in range(columns):
                element = grid[i][j]
                # operands
                if j == 0:
                    found = _entering(tiles, cycle, i)
                    element.a_q = Word()
                    if found and i < tiles[found[0]].rows:
                        tile = tiles[found[0]]
                        element.a_q = Word(a[tile.row + i, tile.step + found[1]], *found)
                else:
                    element.a_q = before[i][j - 1][0]
                if i == 0:
                    found = _entering(tiles, cycle, j)
                    element.b_q = Word()
                    if found and j < tiles[found[0]].columns:
                        tile = tiles[found[0]]
                        element.b_q = Word(b[tile.step + found[1], tile.column + j], *found)
                else:
                    element.b_q = before[i - 1][j][1]
                # results on their way: a column shifts its rows from the k-th on, in its k-th shift
                element.d_q = before[i][j][3]
                for (_, column), times in shifted.items():
                    if column == j and times <= i and times < rows:
                        element.d_q = before[i - 1][j][3] if i > 0 else None
                # the operation
                number = element.a_q.fold
                if number is None or element.b_q.fold is None:
                    continue
                assert (number, element.a_q.step) == (element.b_q.fold, element.b_q.step), "operands meet"
                sum_so_far = 0 if element.a_q.step == 0 else before[i][j][2]
                element.c_q = sum_so_far + element.a_q.value * element.b_q.value
                if element.a_q.step == tiles[number].steps - 1:
                    if by_edge:
                        element.d_q = Word(element.c_q, number, i)
                        arrived.append((number, j))
                    else:
                        z[tiles[number].row + i, tiles[number].column + j] += element.c_q
                        left -= 1
        for key, times in list(shifted.items()):
            if times < rows:
                leaving = before[rows - 1][key[1]][3]
                if leaving is not None and leaving.fold == key[0]:
                    tile = tiles[key[0]]
                    z[tile.row + leaving.step, tile.column + key[1]] += leaving.value
                    left -= 1
                shifted[key] = times + 1
        for key in arrived:
            waiting[key] += 1
            if waiting[key] == tiles[key[0]].rows:
                shifted[key] = 0
        watch(cycle, grid)
        cycle += 1
        assert cycle < 10**6, "results got lost"
    return cycle


def operand_stays(
    rows: int, columns: int, tiles: list[Tile], a: Any, w: Any, z: Any, watch: Watch = lambda cycle, grid: None
) -> int:
    """Adds the product of a [steps, rows] and w [rows, columns] to z; returns the cycles until the last result has left."""
    grid = _grid(rows, columns)
    left = sum(tile.steps * tile.columns for tile in tiles)
    cycle = 0
    while left:
        before = [[(e.a_q, e.w_q, e.v_q, e.p_q) for e in line] for line in grid]
        for i in range(rows):
            for j in range(columns):
                element = grid[i][j]
                found = _entering(tiles, cycle, i + j)
                if j == 0:
                    element.a_q = Word()
                    if found:
                        tile = tiles[found[0]]
                        element.a_q = Word(a[tile.step + found[1], tile.row + i] if i < tile.rows else 0, *found)
                else:
                    element.a_q = before[i][j - 1][0]
                for tile in tiles:
                    times = cycle - tile.load - j  # of shifts of this column for this fold
                    if 0 <= times < tile.rows and j < tile.columns and i <= times:
                        above = w[tile.row + tile.rows - 1 - times, tile.column + j] if i == 0 else before[i - 1][j][2]
                        element.v_q = above
                if element.a_q.fold is not None and element.a_q.step == 0:
                    element.w_q = before[i][j][2]
                if element.a_q.fold is None:
                    element.p_q = None
                    continue
                above_sum = before[i - 1][j][3] if i > 0 else Word(0, element.a_q.fold, element.a_q.step)
                assert above_sum is not None and (above_sum.fold, above_sum.step) == (element.a_q.fold, element.a_q.step), "sums meet"
                element.p_q = Word(above_sum.value + element.a_q.value * element.w_q, element.a_q.fold, element.a_q.step)
                tile = tiles[element.a_q.fold]
                if i == rows - 1 and j < tile.columns:
                    z[tile.step + element.a_q.step, tile.column + j] += element.p_q.value
                    left -= 1
        watch(cycle, grid)
        cycle += 1
        assert cycle < 10**6, "results got lost"
    return cycle
