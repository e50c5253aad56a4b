"""Array in which an operand stays: products of all remainders of tiles, values, cycles and registers."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb
import numpy as np

from accelsim.sim.reference_systolic import Element, operand_stays
from accelsim.sim.systolic import OPERAND, Grid
from tests.rtl.arrays import matrix, tiles_of, wrapped
from tests.rtl.bench import CASES, next_cycle, pack, parameter, reset, settled, signed, start, stimuli, unpack

PARAMETERS = [
    {"ROWS": 4, "COLS": 4, "AW": 8, "BW": 8, "CW": 32},
    {"ROWS": 1, "COLS": 1, "AW": 8, "BW": 8, "CW": 20},
    {"ROWS": 3, "COLS": 5, "AW": 4, "BW": 8, "CW": 12},
    {"ROWS": 6, "COLS": 2, "AW": 16, "BW": 4, "CW": 24},
]


@cocotb.test()
async def products(dut: Any) -> None:
    """Random products; every sum in its cycle, and in every third case every register in every cycle."""
    rng = stimuli()
    grid = Grid(parameter(dut, "ROWS"), parameter(dut, "COLS"))
    widths = parameter(dut, "AW"), parameter(dut, "BW"), parameter(dut, "CW")
    await start(dut)
    for case in range(CASES):
        await product(dut, rng, grid, widths, case % 3 == 0)
        await reset(dut)


async def product(dut: Any, rng: Random, grid: Grid, widths: tuple[int, int, int], looks: bool) -> None:
    """One product."""
    shape = rng.randint(1, 9), rng.randint(1, 2 * grid.columns + 1), rng.randint(1, 2 * grid.rows + 1)
    tiles, cycles = tiles_of(shape, grid, OPERAND)
    a, w = matrix(rng, shape[0], shape[2], widths[0]), matrix(rng, shape[2], shape[1], widths[1])
    expected, found = np.zeros(shape[:2], object), np.zeros(shape[:2], object)
    seen: list[dict[tuple[int, int], Element]] = []
    places = [(i, j) for i in range(grid.rows) for j in range(grid.columns)]

    def watch(cycle: int, now: list[list[Element]]) -> None:
        if looks:
            seen.append(
                {(i, j): Element(now[i][j].a_q, now[i][j].b_q, 0, None, now[i][j].w_q, now[i][j].v_q, now[i][j].p_q) for i, j in places}
            )

    assert operand_stays(grid.rows, grid.columns, tiles, a, w, expected, watch) == cycles
    assert (wrapped(expected, widths[2]) == wrapped(a @ w, widths[2])).all()
    out = {column: [(tile, step) for tile in tiles for step in range(tile.steps)] for column in range(grid.columns)}
    left = sum(tile.steps * tile.columns for tile in tiles)
    cycle = 0
    while left:  # the cycle after that which puts a sum into the last register
        assert cycle <= cycles, f"{left} sums are late: {shape}"
        now = next((tile for tile in tiles if tile.start <= cycle < tile.start + tile.steps), None)
        dut.valid_i.value = now is not None
        if now:
            step = cycle - now.start
            dut.first_i.value = step == 0
            dut.a_i.value = pack(a[now.step + step, now.row : now.row + now.rows], widths[0])
        coming = next((tile for tile in tiles if tile.load <= cycle < tile.load + tile.rows), None)
        dut.load_i.value = (1 << coming.columns) - 1 if coming else 0
        if coming:
            times = cycle - coming.load
            dut.load_first_i.value = times == 0
            row = coming.row + coming.rows - 1 - times
            dut.w_i.value = pack(w[row, coming.column : coming.column + coming.columns], widths[1])
        await settled(dut)
        valid, words = int(dut.z_valid_o.value), unpack(int(dut.z_o.value), widths[2], grid.columns)
        for column in range(grid.columns):
            if valid >> column & 1:
                tile, step = out[column].pop(0)
                if column < tile.columns:
                    found[tile.step + step, tile.column + column] += words[column]
                    left -= 1
        if looks and cycle and cycle <= len(seen):
            for (i, j), element in seen[cycle - 1].items():
                wrong = differences(element, dut.g_col[j].g_row[i].u_pe, widths)
                assert not wrong, f"{shape}, cycle {cycle}, element {i, j}: {wrong}"
        await next_cycle(dut)
        cycle += 1
    assert cycle - 1 == cycles, f"{cycle - 1} cycles, {cycles} in the simulator: {shape}"
    assert (wrapped(found, widths[2]) == wrapped(expected, widths[2])).all(), f"values: {shape}"


def differences(element: Element, pe: Any, widths: tuple[int, int, int]) -> list[str]:
    """Registers that are not what the simulator's are."""
    found = []
    is_there = element.a_q.fold is not None
    if bool(int(pe.valid_q.value)) != is_there or (element.p_q is not None) != is_there:
        found.append("valid_q")
    if is_there:
        words = (("a_q", element.a_q.value, widths[0]), ("p_q", element.p_q.value if element.p_q else 0, widths[2]))
        found += [name for name, word, width in words if signed(int(getattr(pe, name).value), width) != signed(int(word), width)]
    for name, word in (("w_q", element.w_q), ("v_q", element.v_q)):
        if signed(int(getattr(pe, name).value), widths[1]) != signed(int(word), widths[1]):
            found.append(name)
    return found
