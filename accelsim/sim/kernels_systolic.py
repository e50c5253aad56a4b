"""Grid arrays cycle by cycle: every register of every element, with values. The twin is `reference_systolic.py`.

Registers of an element: `a_q`, `b_q` (operands on their way right and down), `c_q` (a sum that stays), `d_q` (a result on its way out);
or `a_q`, `w_q` (the operand that stays), `v_q` (the next one), `p_q` (the sum on its way down).
Source: docs/simulator.md, "Arrays".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]


class FoldTable(NamedTuple):
    """Folds of a product, int64[folds] each: where their rows, columns and steps begin in it, how many they have, and when they load and
    start. Starts rise.
    """

    row: IntArray
    rows: IntArray
    column: IntArray
    columns: IntArray
    step: IntArray
    steps: IntArray
    load: IntArray
    start: IntArray


@njit(error_model="numpy")
def result_stays(rows: int, cycles: int, leaves_by_edge: bool, table: FoldTable, a: Any, b: Any, z: Any, width: int) -> int:
    """Run folds on `rows` x `width` elements for a number of cycles; adds results to z where they leave. Returns the cycles until then.

    a: [rows of the product, steps], b: [steps, columns], z: [rows, columns], of one dtype, in which products and sums are done.
    """
    a_q, b_q = np.zeros((rows, width), a.dtype), np.zeros((rows, width), a.dtype)
    c_q, d_q = np.zeros((rows, width), a.dtype), np.zeros((rows, width), a.dtype)
    entering = np.zeros(width, a.dtype)
    first, last, done, count = 0, 0, 0, table.start.shape[0]  # folds that may still be on the array: first <= fold < last
    for cycle in range(cycles):
        while last < count and table.start[last] <= cycle:
            last += 1
        while first < last and cycle > table.start[first] + table.steps[first] + 2 * rows + width:
            first += 1
        for row in range(rows - 1, -1, -1):
            if leaves_by_edge:
                for fold in range(first, last):  # shift results down: a column begins when its last one is there
                    begin = table.start[fold] + table.steps[fold] + table.rows[fold] - 1
                    since = cycle - begin
                    low, high = max(0, since - row), min(table.columns[fold] - 1, since)
                    if row == rows - 1:
                        for column in range(max(0, since - rows + 1), high + 1):
                            leaving = rows - 1 - (since - column)
                            if leaving < table.rows[fold]:
                                z[table.row[fold] + leaving, table.column[fold] + column] += d_q[row, column]
                                done = cycle + 1
                    if row > 0:
                        for column in range(low, high + 1):
                            d_q[row, column] = d_q[row - 1, column]
            entering[0] = 0
            for fold in range(first, last):
                step = cycle - table.start[fold] - row
                if row < table.rows[fold] and 0 <= step < table.steps[fold]:
                    entering[0] = a[table.row[fold] + row, table.step[fold] + step]
                if 0 <= step < table.columns[fold]:
                    c_q[row, step] = 0  # its first step is here
            for column in range(1, width):
                entering[column] = a_q[row, column - 1]
            if row > 0:
                for column in range(width):
                    b_q[row, column] = b_q[row - 1, column]
            else:
                for column in range(width):
                    b_q[0, column] = 0
                for fold in range(first, last):
                    newest = cycle - table.start[fold]
                    for column in range(max(0, newest - table.steps[fold] + 1), min(table.columns[fold], newest + 1)):
                        b_q[0, column] = b[table.step[fold] + newest - column, table.column[fold] + column]
            for column in range(width):
                a_q[row, column] = entering[column]
                c_q[row, column] += entering[column] * b_q[row, column]
            for fold in range(first, last):
                column = cycle - table.start[fold] - row - table.steps[fold] + 1
                if row < table.rows[fold] and 0 <= column < table.columns[fold]:  # its last step was here
                    if leaves_by_edge:
                        d_q[row, column] = c_q[row, column]
                    else:
                        z[table.row[fold] + row, table.column[fold] + column] += c_q[row, column]
                        done = cycle + 1
    return done


@njit(error_model="numpy")
def operand_stays(rows: int, cycles: int, table: FoldTable, a: Any, w: Any, z: Any, width: int) -> int:
    """Run folds on `rows` x `width` elements for a number of cycles; adds results to z where they leave. Returns the cycles until then.

    a: [steps, rows of the product], w: [rows, columns], z: [steps, columns], of one dtype, in which products and sums are done.
    """
    a_q, p_q = np.zeros((rows, width), a.dtype), np.zeros((rows, width), a.dtype)
    w_q, v_q = np.zeros((rows, width), a.dtype), np.zeros((rows, width), a.dtype)
    entering = np.zeros(width, a.dtype)
    first, last, done, count = 0, 0, 0, table.start.shape[0]
    for cycle in range(cycles):
        while last < count and table.load[last] <= cycle:
            last += 1
        while first < last and cycle > table.start[first] + table.steps[first] + rows + width:
            first += 1
        for row in range(rows - 1, -1, -1):
            for fold in range(first, last):  # the next operand takes over as the first step arrives
                column = cycle - table.start[fold] - row
                if 0 <= column < table.columns[fold]:
                    w_q[row, column] = v_q[row, column]
            for fold in range(first, last):  # operands shift in, the bottom row's first
                since = cycle - table.load[fold]
                low, high = max(0, since - table.rows[fold] + 1), min(table.columns[fold] - 1, since - row)
                if row > 0:
                    for column in range(low, high + 1):
                        v_q[row, column] = v_q[row - 1, column]
                else:
                    for column in range(low, high + 1):
                        at = table.rows[fold] - 1 - (since - column)
                        v_q[0, column] = w[table.row[fold] + at, table.column[fold] + column]
            entering[0] = 0
            for fold in range(first, last):
                step = cycle - table.start[fold] - row
                if row < table.rows[fold] and 0 <= step < table.steps[fold]:
                    entering[0] = a[table.step[fold] + step, table.row[fold] + row]
            for column in range(1, width):
                entering[column] = a_q[row, column - 1]
            if row > 0:
                for column in range(width):
                    a_q[row, column] = entering[column]
                    p_q[row, column] = p_q[row - 1, column] + entering[column] * w_q[row, column]
            else:
                for column in range(width):
                    a_q[row, column] = entering[column]
                    p_q[row, column] = entering[column] * w_q[row, column]
        for fold in range(first, last):
            newest = cycle - table.start[fold] - rows + 1
            for column in range(max(0, newest - table.steps[fold] + 1), min(table.columns[fold], newest + 1)):
                z[table.step[fold] + newest - column, table.column[fold] + column] += p_q[rows - 1, column]
                done = cycle + 1
    return done
