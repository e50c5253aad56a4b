"""Arrays with a faulty element: the closed form against the RTL of the array with gates as elements, and against dead ones by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.faults import elements
from accelsim.faults.gates import STUCK
from accelsim.sim import kernels_systolic
from accelsim.sim.kernels_systolic import FoldTable
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times
from tests.faults import icarus
from tests.faults.netlists import circuit
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
BITS = {"AW": 4, "BW": 4, "CW": 10}
SIZE = (3, 2)
PLACES = [(0, 0), (1, 0), (2, 1), (1, 1)]
FAULTS = share(1000, 60, 15)


def run(stays: str, seed: int) -> tuple[FoldTable, Any, Any]:
    """Folds of a product that does not divide into the array, and operands that fit its elements."""
    rng, grid = np.random.default_rng(seed), Grid(*SIZE)
    folds = folds_of(5, 3, 4, grid)
    when = times(grid, stays, folds)
    starts = [np.cumsum(np.r_[0, each[:-1]]) for each in (folds.rows, folds.columns)]
    row = np.array([0, 0, 3, 3], np.int64)
    column = np.array([0, 2, 0, 2], np.int64)
    assert len(folds.rows) == 4 and starts[0][1] == 3
    table = FoldTable(row, folds.rows, column, folds.columns, np.zeros(4, np.int64), folds.steps, when.load, when.start)
    shapes = ((4, 5), (5, 3)) if stays == OPERAND else ((5, 4), (4, 3))
    return table, rng.integers(-8, 8, shapes[0]), rng.integers(-8, 8, shapes[1])


def packed(words: Any, width: int) -> int:
    """Words side by side."""
    return sum((int(word) & ((1 << width) - 1)) << (place * width) for place, word in enumerate(words))


def inputs_of(stays: str, table: FoldTable, one: Any, other: Any) -> list[dict[str, int]]:
    """What the array is given, by cycle, 0 where nothing is under way; written from the headers of hw/rtl."""
    found: list[dict[str, int]] = []
    for cycle in range(int((table.start + table.steps).max()) + 2 * sum(SIZE) + 6):
        now: dict[str, int] = {}
        for at_row, rows, at_column, columns, _, steps, load, start in zip(*table, strict=True):
            step = cycle - start
            if 0 <= step < steps:
                now |= {"valid_i": 1, "first_i": int(step == 0), "last_i": int(step == steps - 1)}
                now |= {"rows_i": (1 << int(rows)) - 1, "cols_i": (1 << int(columns)) - 1}
                if stays == OPERAND:
                    now["a_i"] = packed(one[step, at_row : at_row + rows], BITS["AW"])
                else:
                    now["a_i"] = packed(one[at_row : at_row + rows, step], BITS["AW"])
                    now["b_i"] = packed(other[step, at_column : at_column + columns], BITS["BW"])
            if stays == OPERAND and 0 <= cycle - load < rows:
                row = at_row + rows - 1 - (cycle - load)
                now |= {"load_i": (1 << int(columns)) - 1, "load_first_i": int(cycle == load)}
                now["w_i"] = packed(other[row, at_column : at_column + columns], BITS["BW"])
        found.append(now)
    return found


def leaving(stays: str, table: FoldTable, said: list[int], shape: tuple[int, int]) -> Any:
    """Results that leave an array, in the cycles in which they do."""
    z, bits = np.zeros(shape, np.int64), BITS["CW"]
    for at_row, rows, at_column, columns, _, steps, _, start in zip(*table, strict=True):
        for column in range(columns):
            for place in range(steps if stays == OPERAND else rows):
                if stays == OPERAND:
                    cycle, at = start + place + SIZE[0] + column, (place, at_column + column)
                else:
                    cycle, at = start + steps + rows - 1 + column + SIZE[0] - 1 - place, (at_row + place, at_column + column)
                z[at] += said[cycle] >> (column * bits) & ((1 << bits) - 1)
    return (z + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("stays", [OPERAND, RESULT])
def test_closed_form_is_what_leaves_the_rtl_whose_elements_are_gates(stays: str, place: tuple[int, int], tmp_path: Path) -> None:
    """Icarus runs the array; one line of one element is forced. Faults that reach marks are few enough to matter little."""
    module = "pe_ws" if stays == OPERAND else "pe_os"
    found, made = circuit(module, BITS)
    faults = found.faults(STUCK)
    faults = [faults[at] for at in np.random.default_rng(sum(place)).choice(len(faults), FAULTS, replace=False)]
    table, one, other = run(stays, 3)
    form = elements.operand_stays if stays == OPERAND else elements.result_stays
    products = form(found, faults, place, SIZE, table, one, other)
    sources = [RTL / f"systolic_{module.removeprefix('pe_')}.sv", RTL / "delay_line.sv"]
    said = icarus.array(made, module, BITS, SIZE, place, faults, inputs_of(stays, table, one, other), sources, tmp_path)
    wrong, right = 0, one @ other
    for at, fault in enumerate(faults):
        if not products.marks[at]:
            assert (products.results[at] == leaving(stays, table, said[at], right.shape)).all(), fault
            wrong += bool((products.results[at] != (right + 512) % 1024 - 512).any())
    assert wrong > FAULTS / 10 and products.marks.mean() < 0.3


@pytest.mark.parametrize("stays", [OPERAND, RESULT])
def test_dead_elements_are_products_without_their_terms(stays: str) -> None:
    """By the simulator's array: a dead row of held operands is a row of zeros; a dead element of results leaves zeros."""
    table, one, other = run(stays, 4)
    z = one @ other
    row = elements.dead(z, stays, table, [(1, column) for column in range(SIZE[1])], one, other)
    column = elements.dead(z, stays, table, [(row, 0) for row in range(SIZE[0])], one, other)
    if stays == OPERAND:
        held, expected = other.copy(), np.zeros_like(z)
        held[[1, 4]] = 0
        kernels_systolic.operand_stays(SIZE[0], 100, table, one, held, expected, SIZE[1])
        assert (row == expected).all() and (column[:, [0, 2]] == 0).all() and (column[:, 1] == z[:, 1]).all()
    else:
        assert (row[[1, 4]] == 0).all() and (np.delete(row, [1, 4], axis=0) == np.delete(z, [1, 4], axis=0)).all()
        assert (column[:, [0, 2]] == 0).all() and (column[:, 1] == z[:, 1]).all()
    assert (elements.dead(z, stays, table, [], one, other) == z).all()
