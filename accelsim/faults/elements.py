"""A grid array of which one element has faults of its gates, or some elements are dead, in closed form.

What an element without faults is given in each cycle follows from the operands: of a sum on its way down, the chain of products above.
The element alone is run, gate by gate, on that; all else is exact: what it passes on wrongly comes in by one factor of a product, so that
results change by the difference times the other factor, modulo 2^bits. A fault that reaches marks that travel with operands (valid, first,
last, ...) may change when things happen; it is told apart and has no closed form.
Source: docs/faults-gates.md, "Arrays".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.faults.gates import Circuit, GateFault
from accelsim.faults.operations import signed
from accelsim.sim.kernels_systolic import FoldTable

IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Trace: TypeAlias = dict[str, IntArray]


class Products(NamedTuple):
    """Of each fault, int64[faults, ...]: results in two's complement; and whether the fault reaches marks, so that they are not known."""

    results: IntArray
    marks: BoolArray


class _Grid(NamedTuple):
    """Where folds are in time: tables of the run, the size of the array, and the element."""

    table: FoldTable
    rows: int
    width: int
    row: int
    column: int

    @property
    def folds(self) -> range:
        """Numbers."""
        return range(len(self.table.row))

    @property
    def cycles(self) -> int:
        """Until everything has left."""
        t = self.table
        return int((t.start + t.steps).max()) + 3 * self.rows + self.width + 2

    def of(self, fold: int) -> tuple[int, int, int, int, int, int, int, int]:
        """A row of the table."""
        return tuple(int(column[fold]) for column in self.table)  # type: ignore[return-value]


def operand_stays(
    circuit: Circuit, faults: Sequence[GateFault], place: tuple[int, int], size: tuple[int, int], table: FoldTable, a: Any, w: Any
) -> Products:
    """Products of folds where an operand stays and the element at `place` is a circuit of hw/rtl/pe_ws.sv with each of the faults.

    a: [steps, rows of the product], w: [rows, columns], whole numbers that fit the element; results: [faults, steps, columns].
    """
    grid = _Grid(table, *size, *place)
    row, column, bits = *place, len(circuit.bits("p_o"))
    trace = _moving_sums(grid, a, w)
    out = _differences(circuit, faults, trace, ("p_o", "a_o", "v_o"), ("valid_o", "first_o"))
    z = np.zeros((len(faults), len(a), w.shape[1]), np.int64)
    for fold in grid.folds:
        at_row, rows, at_column, columns, at_step, steps, load, start = grid.of(fold)
        when, span = start + row + column + 1 + np.arange(steps), slice(at_step, at_step + steps)
        high, wide = slice(at_row, at_row + rows), slice(at_column, at_column + columns)
        z[:, span, wide] += a[span, high] @ w[high, wide]
        if column < columns:
            z[:, span, at_column + column] += out["p_o"][:, when]
            for below in range(row + 1, rows):
                late = out["v_o"][:, load + column + rows - below + row]
                z[:, span, at_column + column] += late[:, None] * a[span, at_row + below]
        for right in range(column + 1, columns):
            z[:, span, at_column + right] += out["a_o"][:, when] * _weight(grid, w, fold, row, right)
    return Products(_wrapped(z, bits), _reached(out, ("valid_o",), ("first_o",) * (column < grid.width - 1)))


def result_stays(
    circuit: Circuit, faults: Sequence[GateFault], place: tuple[int, int], size: tuple[int, int], table: FoldTable, a: Any, b: Any
) -> Products:
    """Products of folds whose results stay and leave by the edge, where an element is a circuit of hw/rtl/pe_os.sv with each of the faults.

    a: [rows of the product, steps], b: [steps, columns], whole numbers that fit the element; results: [faults, rows, columns].
    """
    grid = _Grid(table, *size, *place)
    row, column, bits = *place, len(circuit.bits("d_o"))
    right, down, always = ("a_valid_o", "first_o", "last_o", "bottom_o"), ("b_valid_o",), ("d_valid_o", "done_o")
    out = _differences(circuit, faults, _staying_sums(grid, a, b), ("a_o", "b_o", "d_o"), (*right, *down, *always))
    z = np.zeros((len(faults), len(a), b.shape[1]), np.int64)
    for fold in grid.folds:
        at_row, rows, at_column, columns, at_step, steps, _, start = grid.of(fold)
        when, span = start + row + column + 1 + np.arange(steps), slice(at_step, at_step + steps)
        z[:, at_row : at_row + rows, at_column : at_column + columns] += (
            a[at_row : at_row + rows, span] @ b[span, at_column : at_column + columns]
        )
        if row < rows:
            z[:, at_row + row, at_column + column + 1 : at_column + columns] += (
                out["a_o"][:, when] @ b[span, at_column + column + 1 : at_column + columns]
            )
        if column < columns:
            z[:, at_row + row + 1 : at_row + rows, at_column + column] += out["b_o"][:, when] @ a[at_row + row + 1 : at_row + rows, span].T
            for above in range(min(row + 1, rows)):
                z[:, at_row + above, at_column + column] += out["d_o"][:, _begins(grid, fold) + row - above]
    seen = (right * (column < grid.width - 1), down * (row < grid.rows - 1), always)
    return Products(_wrapped(z, bits), _reached(out, *seen))


def dead(results: Any, stays: str, table: FoldTable, places: Iterable[tuple[int, int]], one: Any, other: Any) -> Any:
    """Results where elements contribute nothing: a dead element, or all of a dead row or column.

    stays: `operand` with a [steps, rows] and w [rows, columns], or `result` with a [rows, steps] and b [steps, columns].
    """
    found = results.copy()
    for fold in range(len(table.row)):
        at_row, rows, at_column, columns, at_step, steps, _, _ = (int(each[fold]) for each in table)
        span = slice(at_step, at_step + steps)
        for row, column in {*places}:
            if row < rows and column < columns:
                if stays == "operand":
                    found[span, at_column + column] -= one[span, at_row + row] * other[at_row + row, at_column + column]
                else:
                    found[at_row + row, at_column + column] -= one[at_row + row, span] @ other[span, at_column + column]
    return found


def _differences(
    circuit: Circuit, faults: Sequence[GateFault], trace: Trace, words: tuple[str, ...], marks: tuple[str, ...]
) -> dict[str, IntArray]:
    """What each output lacks, int64[faults, cycles], wrong less right; of marks 1 where they differ."""
    cycles = len(next(iter(trace.values())))
    looks = [(cycle, name) for name in (*words, *marks) for cycle in range(cycles)]
    inputs = [{name: int(column[cycle]) for name, column in trace.items()} for cycle in range(cycles)]
    good, bad = circuit.run(faults, inputs, {}, looks, 1)
    found = {}
    for place, name in enumerate((*words, *marks)):
        width = len(circuit.bits(name))
        right = np.stack(good[place * cycles : (place + 1) * cycles], axis=-1)
        differs = np.stack(bad[place * cycles : (place + 1) * cycles], axis=-1)[:, 0]
        found[name] = differs.astype(np.int64) if name in marks else signed(right ^ differs, width) - signed(right, width)
    return found


def _reached(out: dict[str, IntArray], *names: tuple[str, ...]) -> BoolArray:
    found = [out[name].any(axis=1) for some in names for name in some]
    return np.asarray(np.array(found).any(axis=0), np.bool_)


def _wrapped(z: IntArray, bits: int) -> IntArray:
    return signed(z.view(np.uint64), bits)


def _held(grid: _Grid, w: Any, row: int, column: int, when: IntArray) -> IntArray:
    """The operand that comes next, in an element before the edges of some cycles; 0 if none has come."""
    found = np.zeros(len(when), np.int64)
    for fold in grid.folds:
        at_row, rows, at_column, columns, _, _, load, _ = grid.of(fold)
        if row < rows and column < columns:
            times = np.minimum(when - 1 - load - column, rows - 1)
            found = np.where(times >= row, w[at_row + np.clip(rows - 1 - times + row, 0, rows - 1), at_column + column], found)
    return found


def _weight(grid: _Grid, w: Any, fold: int, row: int, column: int) -> int:
    """The operand of a fold in an element; of one that the fold does not use, what was left there."""
    return int(_held(grid, w, row, column, np.array([grid.table.start[fold] + row + column]))[0])


def _moving_sums(grid: _Grid, a: Any, w: Any) -> Trace:
    """What an element is given in each cycle where an operand stays."""
    row, column, when = grid.row, grid.column, np.arange(grid.cycles)
    trace = {name: np.zeros(grid.cycles, np.int64) for name in ("a_i", "valid_i", "first_i", "load_i", "v_i", "p_i")}
    for fold in grid.folds:
        at_row, rows, at_column, columns, at_step, steps, load, start = grid.of(fold)
        begin, span = start + row + column, slice(at_step, at_step + steps)
        works = slice(begin, begin + steps)
        trace["valid_i"][works], trace["first_i"][begin] = 1, 1
        trace["a_i"][works] = a[span, at_row + row] if row < rows else 0
        for above in range(min(row, rows)):
            trace["p_i"][works] += a[span, at_row + above] * _weight(grid, w, fold, above, column)
        if column < columns and row < rows:
            trace["load_i"][load + column + row : load + column + rows] = 1
        if column < columns and row == 0:
            trace["v_i"][load + column : load + column + rows] = w[at_row : at_row + rows, at_column + column][::-1]
    if row:
        trace["v_i"] = _held(grid, w, row - 1, column, when)
        last = np.maximum.accumulate(np.where(trace["valid_i"] == 1, when, -1))
        trace["p_i"] = np.where(last >= 0, trace["p_i"][last], 0)
    return trace


def _begins(grid: _Grid, fold: int) -> int:
    """The cycle in which a column begins to shift results of a fold down."""
    _, rows, _, _, _, steps, _, start = grid.of(fold)
    return start + steps + rows - 1 + grid.column


def _staying_sums(grid: _Grid, a: Any, b: Any) -> Trace:
    """What an element is given in each cycle where results stay."""
    row, column = grid.row, grid.column
    names = ("a_i", "a_valid_i", "first_i", "last_i", "bottom_i", "b_i", "b_valid_i", "shift_i", "d_i", "d_valid_i")
    trace = {name: np.zeros(grid.cycles, np.int64) for name in names}
    trace["bottom_i"][:] = 1
    for fold in grid.folds:
        at_row, rows, at_column, columns, at_step, steps, _, start = grid.of(fold)
        begin, span = start + row + column, slice(at_step, at_step + steps)
        works = slice(begin, begin + steps)
        trace["a_valid_i"][works], trace["b_valid_i"][works] = row < rows, column < columns
        trace["first_i"][begin], trace["last_i"][begin + steps - 1] = 1, 1
        trace["bottom_i"][works] = row == grid.rows - 1 or row + 1 >= rows
        trace["a_i"][works] = a[at_row + row, span] if row < rows else 0
        trace["b_i"][works] = b[span, at_column + column] if column < columns else 0
        if column < columns:
            shifts = _begins(grid, fold)
            trace["shift_i"][shifts : shifts + row + 1] = 1
    if row:
        trace["d_i"], trace["d_valid_i"] = _above(grid, a, b)
    return trace


def _above(grid: _Grid, a: Any, b: Any) -> tuple[IntArray, IntArray]:
    """The result that the element above has, before the edge of each cycle, and whether there is one."""
    column = grid.column
    folds = [(*grid.of(fold), _begins(grid, fold)) for fold in grid.folds if column < grid.of(fold)[3]]
    held = [(0, 0)] * grid.row
    seen = []
    for cycle in range(grid.cycles):
        seen.append(held[-1])
        after = list(held)
        for row in range(grid.row):
            for at_row, rows, at_column, _, at_step, steps, _, start, begins in folds:
                if row < rows and cycle == start + steps - 1 + row + column:
                    span = slice(at_step, at_step + steps)
                    after[row] = (int(a[at_row + row, span] @ b[span, at_column + column]), 1)
                    break
                if begins <= cycle <= begins + row:
                    after[row] = held[row - 1] if row else (0, 0)
        held = after
    found = np.array(seen, np.int64)
    return found[:, 0].copy(), found[:, 1].copy()
