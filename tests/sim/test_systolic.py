"""Arrays register by register: kernel, twin and closed form agree, and with what others computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hardware.architecture import EXITS
from accelsim.sim import kernels_systolic as kernels
from accelsim.sim import reference_systolic as reference
from accelsim.sim.kernels_systolic import FoldTable
from accelsim.sim.systolic import OPERAND, RESULT, Folds, Grid, Times, folds_of, parts, times, utilization, words

CASES = json.loads((Path(__file__).parent / "cases" / "scalesim.json").read_text())["cases"]
SERIAL = {"shadow": False, "exit": "element", "folds": "full"}


@st.composite
def runs(draw: st.DrawFn) -> tuple[Grid, str, Folds, dict[str, Any]]:
    """An array, what stays in it, and folds of any sizes with where they lie in a small product."""
    array = Grid(draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.booleans()), draw(st.sampled_from(EXITS)))
    count = draw(st.integers(1, 5))
    sizes = [draw(st.lists(st.integers(1, most), min_size=count, max_size=count)) for most in (array.rows, array.columns, 7)]
    at = [np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))) for _ in range(3)]
    stays = draw(st.sampled_from((RESULT, OPERAND)))
    return array, stays, Folds(*(np.array(each) for each in sizes)), dict(zip(("row", "column", "step"), at, strict=True))


def operands(stays: str, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Two operands and room for the result, for folds of at most 8 rows and columns and 10 steps."""
    rows, columns, steps = 8, 8, 10
    shapes = ((rows, steps), (steps, columns), (rows, columns)) if stays == RESULT else ((steps, rows), (rows, columns), (steps, columns))
    return rng.integers(-9, 10, shapes[0]), rng.integers(-9, 10, shapes[1]), np.zeros(shapes[2], np.int64)


def expected(stays: str, folds: Folds, at: dict[str, Any], a: Any, b: Any, z: Any) -> Any:
    """The sum of the products of all folds, by numpy."""
    wanted = z.copy()
    for fold in range(folds.rows.size):
        rows, columns, steps = (
            slice(at[name][fold], at[name][fold] + size[fold]) for name, size in zip(("row", "column", "step"), folds, strict=True)
        )
        if stays == RESULT:
            wanted[rows, columns] += a[rows, steps] @ b[steps, columns]
        else:
            wanted[steps, columns] += a[steps, rows] @ b[rows, columns]
    return wanted


def kernel(array: Grid, stays: str, folds: Folds, at: dict[str, Any], when: Times, a: Any, b: Any, z: Any) -> int:
    """Cycles by the kernel, which is given ten more than it should need."""
    table = FoldTable(at["row"], folds.rows, at["column"], folds.columns, at["step"], folds.steps, when.load, when.start)
    cycles = when.cycles + 10
    if stays == RESULT:
        return int(kernels.result_stays(array.rows, cycles, array.exit == "edge", table, a, b, z, array.columns))
    return int(kernels.operand_stays(array.rows, cycles, table, a, b, z, array.columns))


def twin(array: Grid, stays: str, folds: Folds, at: dict[str, Any], when: Times, a: Any, b: Any, z: Any) -> int:
    """Cycles by the twin."""
    rows = zip(at["row"], folds.rows, at["column"], folds.columns, at["step"], folds.steps, when.load, when.start, strict=True)
    tiles = [reference.Tile(*map(int, row)) for row in rows]
    if stays == RESULT:
        return reference.result_stays(array.rows, array.columns, array.exit == "edge", tiles, a, b, z)
    return reference.operand_stays(array.rows, array.columns, tiles, a, b, z)


@given(runs(), st.integers(0, 2**32))
@pytest.mark.slow
def test_kernel_twin_and_closed_form_agree_on_values_and_cycles(run: Any, seed: int) -> None:
    array, stays, folds, at = run
    when = times(array, stays, folds)
    a, b, z = operands(stays, np.random.default_rng(seed))
    one, other = z.copy(), z.copy()
    wanted = expected(stays, folds, at, a, b, z)
    assert kernel(array, stays, folds, at, when, a, b, one) == when.cycles
    assert twin(array, stays, folds, at, when, a, b, other) == when.cycles
    assert (one == wanted).all() and (other == wanted).all()


@given(runs(), st.data())
def test_no_fold_can_start_a_cycle_earlier_where_registers_are_what_it_waits_for(run: Any, data: st.DataObject) -> None:
    """Values come out wrong: an operand that is not there, or results that run into each other."""
    array, stays, folds, at = run
    array = Grid(array.rows, array.columns)
    when = times(array, stays, folds)
    waits = [fold for fold in range(1, folds.rows.size) if when.start[fold] - when.start[fold - 1] > folds.steps[fold - 1]]
    if not waits:
        return
    fold = data.draw(st.sampled_from(waits))
    start = when.start.copy()
    start[fold:] -= 1
    a, b, z = operands(stays, np.random.default_rng(3))
    a, b = np.where(a == 0, 10, a), np.where(b == 0, 10, b)
    a, b = a + 100 * np.arange(a.size).reshape(a.shape), b + 100 * np.arange(b.size).reshape(b.shape)
    wanted = expected(stays, folds, at, a, b, z)
    kernel(array, stays, folds, at, when._replace(start=start), a, b, z)
    assert (z != wanted).any()


@given(runs())
def test_parts_are_never_negative_and_sum_to_the_cycles(run: Any) -> None:
    array, stays, folds, _ = run
    found = parts(array, stays, folds)
    assert min(found.load, found.stream, found.room, found.fill, found.drain) >= 0
    assert found.cycles == times(array, stays, folds).cycles


shape = st.tuples(*(st.integers(1, 40) for _ in range(3)))
grid = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(shape, grid, st.sampled_from((RESULT, OPERAND)), st.sampled_from(EXITS))
def test_shadow_registers_never_cost_cycles_and_save_some_between_folds(size: Any, grid: Any, stays: str, way_out: str) -> None:
    fast, slow = Grid(*grid, exit=way_out), Grid(*grid, shadow=False, exit=way_out)
    folds = folds_of(*size, fast)
    with_shadow, without = times(fast, stays, folds).cycles, times(slow, stays, folds).cycles
    assert with_shadow <= without
    if folds.rows.size == 1:
        assert with_shadow == without


@given(shape, grid, st.sampled_from((RESULT, OPERAND)), st.booleans(), st.sampled_from(EXITS), st.sampled_from(("own", "full")))
def test_no_array_beats_its_multipliers_and_full_folds_are_no_faster(
    size: Any, grid: Any, stays: str, shadow: bool, way_out: str, folds_as: str
) -> None:
    array = Grid(*grid, shadow=shadow, exit=way_out, folds=folds_as)
    folds = folds_of(*size, array)
    cycles = times(array, stays, folds).cycles
    assert cycles * grid[0] * grid[1] >= size[0] * size[1] * size[2]
    assert cycles >= times(Grid(*grid, shadow=shadow, exit=way_out), stays, folds).cycles
    used = utilization(array, stays, folds)
    assert used.overall <= 1 and used.overall == pytest.approx(used.spatial * used.temporal)


@given(shape, grid, st.sampled_from((RESULT, OPERAND)), st.booleans(), st.integers(0, 2))
def test_more_work_never_takes_fewer_cycles(size: Any, grid: Any, stays: str, shadow: bool, which: int) -> None:
    array = Grid(*grid, shadow=shadow)
    larger = [extent + (at == which) for at, extent in enumerate(size)]
    assert times(array, stays, folds_of(*larger, array)).cycles >= times(array, stays, folds_of(*size, array)).cycles


@given(shape, grid)
def test_a_result_that_leaves_where_it_is_made_takes_as_long_on_the_transposed_array(size: Any, grid: Any) -> None:
    one, other = Grid(*grid, exit="element"), Grid(*grid[::-1], exit="element")
    folds = folds_of(*size, one)
    assert times(one, RESULT, folds).cycles == times(other, RESULT, Folds(folds.columns, folds.rows, folds.steps)).cycles


@given(st.integers(1, 30), st.integers(1, 5))
def test_an_array_of_one_element_takes_a_cycle_for_each_step(steps: int, folds: int) -> None:
    one = Grid(1, 1, shadow=False, exit="element")
    assert times(one, RESULT, folds_of(folds, 1, steps, one)).cycles == folds * steps
    assert times(one, OPERAND, folds_of(folds, 1, steps, one)).cycles == folds * (steps + 1)


@pytest.mark.parametrize(("size", "cycles"), [(64, (1760, 1070, 1504, 1070)), (128, (11136, 8238, 10112, 8238))])
def test_products_on_an_array_of_16_x_16_take_the_cycles_that_were_worked_out_by_hand(size: int, cycles: tuple[int, ...]) -> None:
    """ws serial and double-buffered, os without drain and serial, os overlapped; expected from full tiles of 16 steps apart."""
    kinds = (
        (OPERAND, Grid(16, 16, shadow=False)), (OPERAND, Grid(16, 16)),
        (RESULT, Grid(16, 16, shadow=False, exit="element")), (RESULT, Grid(16, 16)),
    )  # fmt: skip
    assert tuple(times(array, stays, folds_of(size, size, size, array)).cycles for stays, array in kinds) == cycles


def shown(case: dict[str, Any]) -> str:
    return "{kind}-{M}x{N}x{K}-{array_rows}x{array_cols}-{dataflow}".format(**case)


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_scale_sims_cycles_and_words_come_out_of_an_array_like_its(case: dict[str, Any]) -> None:
    """It prints the index of the last cycle, and adds rows + columns per fold to what an output-stationary array writes."""
    m, n, k = case["M"], case["N"], case["K"]
    array = Grid(case["array_rows"], case["array_cols"], **SERIAL)  # type: ignore[arg-type]
    stays = RESULT if case["dataflow"] == "os" else OPERAND
    folds = folds_of(*{"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[case["dataflow"]], array)
    cycles = times(array, stays, folds).cycles
    moved = words(stays, folds)
    surplus = folds.rows.size * (array.rows + array.columns) if stays == RESULT else 0
    left, right = (moved.rows, moved.columns) if case["dataflow"] != "is" else (moved.columns, moved.rows)
    assert cycles - 1 == case["total_cycles"]
    assert (left, right, moved.results + surplus) == (case["sram_ifmap_reads"], case["sram_filter_reads"], case["sram_ofmap_writes"])
    assert 100 * utilization(array, stays, folds).spatial == pytest.approx(case["mapping_efficiency_pct"], rel=1e-12)
    assert 100 * m * n * k / ((cycles - 1) * array.rows * array.columns) == pytest.approx(case["overall_util_pct"], rel=1e-12)
