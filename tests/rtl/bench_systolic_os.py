"""Array in which results stay: products of all remainders of tiles, values, cycles and registers."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb
import numpy as np

from accelsim.sim.reference_systolic import Element, result_stays
from accelsim.sim.systolic import RESULT, Grid
from tests.rtl.arrays import matrix, tiles_of, wrapped
from tests.rtl.bench import CASES, next_cycle, pack, parameter, reset, settled, signed, start, stimuli, unpack

PARAMETERS = [
    {"ROWS": 4, "COLS": 4, "AW": 8, "BW": 8, "CW": 32},
    {"ROWS": 1, "COLS": 1, "AW": 8, "BW": 8, "CW": 20},
    {"ROWS": 3, "COLS": 5, "AW": 4, "BW": 8, "CW": 12},
    {"ROWS": 6, "COLS": 2, "AW": 16, "BW": 4, "CW": 24},
]


def elements_of(dut: Any, rows: int, columns: int) -> dict[tuple[int, int], Any]:
    """The elements."""
    return {(i, j): dut.g_col[j].g_row[i].u_pe for i in range(rows) for j in range(columns)}


def differences(element: Element, pe: Any, widths: tuple[int, int, int]) -> list[str]:
    """Registers that are not what the simulator's are."""
    found = []
    moving = (("a_q", element.a_q, pe.a_valid_q), ("b_q", element.b_q, pe.b_valid_q), ("d_q", element.d_q, pe.d_valid_q))
    for (name, word, valid), width in zip(moving, widths, strict=True):
        is_there = word is not None and word.fold is not None
        if bool(int(valid.value)) != is_there:
            found.append(f"{name} valid")
        elif is_there and signed(int(getattr(pe, name).value), width) != signed(int(word.value), width):
            found.append(name)
    if not int(pe.d_valid_q.value) and int(pe.d_q.value):
        found.append("d_q of nothing")
    if signed(int(pe.c_q.value), widths[2]) != signed(int(element.c_q), widths[2]):
        found.append("c_q")
    return found


@cocotb.test()
async def products(dut: Any) -> None:
    """Random products; every result in its cycle, and in every third case every register in every cycle."""
    rng = stimuli()
    rows, columns = parameter(dut, "ROWS"), parameter(dut, "COLS")
    widths = parameter(dut, "AW"), parameter(dut, "BW"), parameter(dut, "CW")
    await start(dut)
    for case in range(CASES):
        await product(dut, rng, Grid(rows, columns), widths, case % 3 == 0)
        await reset(dut)


async def product(dut: Any, rng: Random, grid: Grid, widths: tuple[int, int, int], looks: bool) -> None:
    """One product."""
    shape = rng.randint(1, 2 * grid.rows + 1), rng.randint(1, 2 * grid.columns + 1), rng.randint(1, 9)
    tiles, cycles = tiles_of(shape, grid, RESULT)
    a, b = matrix(rng, shape[0], shape[2], widths[0]), matrix(rng, shape[2], shape[1], widths[1])
    expected, found = np.zeros(shape[:2], object), np.zeros(shape[:2], object)
    seen: list[dict[tuple[int, int], Element]] = []
    elements = elements_of(dut, grid.rows, grid.columns) if looks else {}

    def watch(cycle: int, grid_now: list[list[Element]]) -> None:
        if looks:
            seen.append({
                (i, j): Element(e.a_q, e.b_q, e.c_q, e.d_q) for i, line in enumerate(grid_now) for j, e in enumerate(line)
            })  # fmt: skip

    assert result_stays(grid.rows, grid.columns, True, tiles, a, b, expected, watch) == cycles
    assert (wrapped(expected, widths[2]) == wrapped(a @ b, widths[2])).all()
    out = {
        column: [(tile, tile.rows - 1 - k) for tile in tiles if column < tile.columns for k in range(tile.rows)]
        for column in range(grid.columns)
    }
    left = sum(map(len, out.values()))
    cycle = 0
    while left:
        assert cycle < cycles, f"{left} results are late: {shape}"
        now = next((tile for tile in tiles if tile.start <= cycle < tile.start + tile.steps), None)
        dut.valid_i.value = now is not None
        if now:
            step = cycle - now.start
            dut.first_i.value, dut.last_i.value = step == 0, step == now.steps - 1
            dut.rows_i.value, dut.cols_i.value = (1 << now.rows) - 1, (1 << now.columns) - 1
            dut.a_i.value = pack(a[now.row : now.row + now.rows, now.step + step], widths[0])
            dut.b_i.value = pack(b[now.step + step, now.column : now.column + now.columns], widths[1])
        await settled(dut)
        valid, words = int(dut.z_valid_o.value), unpack(int(dut.z_o.value), widths[2], grid.columns)
        for column in range(grid.columns):
            if valid >> column & 1:
                tile, row = out[column].pop(0)
                found[tile.row + row, tile.column + column] = words[column]
                left -= 1
        if looks and cycle:
            for place, element in seen[cycle - 1].items():
                wrong = differences(element, elements[place], widths)
                assert not wrong, f"{shape}, cycle {cycle}, element {place}: {wrong}"
        await next_cycle(dut)
        cycle += 1
    assert cycle == cycles, f"{cycle} cycles, {cycles} in the simulator: {shape}"
    assert (found == wrapped(expected, widths[2])).all(), f"values: {shape}"
