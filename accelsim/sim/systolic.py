"""Grid arrays: when each tile of a product enters and leaves a grid of multiply-adders, in closed form.

A fold is one tile on the array: `rows` x `columns` elements work through `steps` pairs of operands. Element (i, j) takes step t in cycle
start + t + i + j. What stays in the elements is the result, or one operand while the sums move down. Source: docs/simulator.md, "Arrays".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

RESULT, OPERAND = "result", "operand"


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of multiply-adders whose operands move right and down by one element per cycle.

    `shadow`: every element has a second register, so that the next operands load, or the last results leave, behind the work; without it
    folds follow one another. `exit`: where results that stay in elements leave: through the bottom `edge`, shifted down, or each
    `element` by a way of its own. `folds`: those that use a part of the array take the time of their `own` size, or of the `full` one.
    """

    rows: int
    columns: int
    shadow: bool = True
    exit: str = "edge"
    folds: str = "own"


class Folds(NamedTuple):
    """Tiles on an array in their order, int64[folds] each: rows and columns that they use, and steps."""

    rows: IntArray
    columns: IntArray
    steps: IntArray


class Times(NamedTuple):
    """When folds happen, int64[folds] each: the cycle in which their operand begins to load (that of their start if none does), in which
    their first step enters, and that after the one in which their last result has left.
    """

    load: IntArray
    start: IntArray
    end: IntArray

    @property
    def cycles(self) -> int:
        """Cycles until everything has left."""
        return int(self.end.max()) if self.end.size else 0


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the cycles of a run of folds went; they sum to `cycles`.

    `load`: the first element waits for an operand. `stream`: it works. `room`: it waits until results before have left. `fill`: the
    work spreads over the array. `drain`: results are on their way out.
    """

    load: int
    stream: int
    room: int
    fill: int
    drain: int

    @property
    def cycles(self) -> int:
        """All of them."""
        return self.load + self.stream + self.room + self.fill + self.drain


def folds_of(rows: int, columns: int, steps: int, array: Grid) -> Folds:
    """The folds of a product with so many points along the array's rows, columns and in time; columns turn inside rows."""
    import numpy as np

    high, wide = _pieces(rows, array.rows), _pieces(columns, array.columns)
    return Folds(np.repeat(high, wide.size), np.tile(wide, high.size), np.full(high.size * wide.size, steps, np.int64))


def _pieces(extent: int, size: int) -> IntArray:
    import numpy as np

    whole, rest = divmod(extent, size)
    return np.array([size] * whole + [rest] * (rest > 0), np.int64)


def _sizes(array: Grid, folds: Folds) -> tuple[IntArray, IntArray, IntArray]:
    """Rows, columns and steps of folds as far as time is concerned."""
    import numpy as np

    if array.folds == "own":
        return folds.rows, folds.columns, folds.steps
    return np.full_like(folds.rows, array.rows), np.full_like(folds.columns, array.columns), folds.steps


def times(array: Grid, stays: str, folds: Folds) -> Times:
    """When the folds happen where `stays` is what the elements hold: `result` or `operand`.

    Alone, a fold lasts steps + rows + columns - 2 cycles until its last multiply-add. Sums that move down pass the rows below; results that
    leave through the edge take as many cycles more as the array has rows. With a shadow register a fold starts once the last one has
    entered and its operand is there (operand), or its own results find the rows free of the last one's (result).
    """
    import numpy as np

    rows, columns, steps = _sizes(array, folds)
    fill, drain = rows + columns - 2, _drains(array, stays, rows)
    loads = rows if stays == OPERAND else np.zeros_like(rows)
    if rows.size == 0:
        return Times(rows, rows, rows)
    if not array.shadow:
        end = (loads + steps + fill + drain).cumsum()
        start = end - (steps + fill + drain)
        return Times(start - loads, start, end)
    if stays == OPERAND:
        between = np.maximum(steps[:-1], rows[1:])
    elif array.exit == "edge":
        between = np.maximum(steps[:-1], steps[:-1] + rows[:-1] - steps[1:])
    else:
        between = steps[:-1]
    start = loads[0] + np.concatenate([np.zeros(1, np.int64), np.cumsum(between)])
    load = np.concatenate([np.zeros(1, np.int64), start[:-1]]) if stays == OPERAND else start
    return Times(load, start, start + steps + fill + drain)


def _drains(array: Grid, stays: str, rows: IntArray) -> IntArray:
    """Cycles from the last multiply-add of a fold until its last result has left."""
    import numpy as np

    if stays == OPERAND:
        return array.rows - rows
    return np.full_like(rows, array.rows if array.exit == "edge" else 0)


def parts(array: Grid, stays: str, folds: Folds) -> Parts:
    """Where the cycles go: those of the folds up to the one that ends last, whose own way out hides what comes after it."""
    found = times(array, stays, folds)
    if not found.end.size:
        return Parts(0, 0, 0, 0, 0)
    last = int(found.end.argmax())
    rows, columns, steps = (each[: last + 1] for each in _sizes(array, folds))
    fill, drain = rows + columns - 2, _drains(array, stays, rows)
    stream = int(steps.sum())
    if not array.shadow:
        return Parts(int(rows.sum()) if stays == OPERAND else 0, stream, 0, int(fill.sum()), int(drain.sum()))
    waits = int(found.start[last]) - int(steps[:-1].sum())
    load, room = (waits, 0) if stays == OPERAND else (0, waits)
    return Parts(load, stream, room, int(fill[-1]), int(drain[-1]))


@dataclass(frozen=True, slots=True)
class Utilization:
    """Shares of 0 to 1. `spatial`: of the elements that folds use. `temporal`: of the cycles in which steps enter. `overall`: of all
    elements in all cycles, those that multiply.
    """

    spatial: float
    temporal: float
    overall: float


def utilization(array: Grid, stays: str, folds: Folds) -> Utilization:
    """How well folds use an array."""
    cycles, used = times(array, stays, folds).cycles, folds.rows * folds.columns
    size, count = array.rows * array.columns, folds.rows.size
    if not cycles:
        return Utilization(0.0, 0.0, 0.0)
    work = int((used * folds.steps).sum())
    return Utilization(float(used.sum()) / (size * count), int(folds.steps.sum()) / cycles, work / (cycles * size))


class Words(NamedTuple):
    """Words that cross the edge of an array: operands in along its rows and its columns, and results out.

    Where an operand stays, `columns` is what loads.
    """

    rows: int
    columns: int
    results: int


def words(stays: str, folds: Folds) -> Words:
    """What crosses the edge of an array for some folds."""
    tall, wide, full = (int(each.sum()) for each in (folds.rows * folds.steps, folds.columns * folds.steps, folds.rows * folds.columns))
    return Words(tall, full, wide) if stays == OPERAND else Words(tall, wide, full)
