"""Updates of a systolic array's elements per CPU second, register by register, and the same of a scan unit's stages.

Run: python tests/benchmarks/bench_arrays.py
"""

from __future__ import annotations

import time

import numpy as np

from accelsim.hardware.types import TYPES
from accelsim.sim import kernels_systolic as kernels
from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.kernels_systolic import FoldTable
from accelsim.sim.pipelines import ScanUnit
from accelsim.sim.systolic import OPERAND, RESULT, Folds, Grid, times

SIZE, STEPS, TILES = 128, 1024, 4


def run(stays: str, type: type, tiles: int) -> tuple[int, float]:
    """Cycles of an array on some full tiles with values, and CPU seconds."""
    array = Grid(SIZE, SIZE)
    at = np.zeros(tiles, np.int64)
    full = np.full(tiles, SIZE, np.int64)
    folds = Folds(full, full, np.full(tiles, STEPS, np.int64))
    when = times(array, stays, folds)
    table = FoldTable(at, folds.rows, at, folds.columns, at, folds.steps, when.load, when.start)
    rng = np.random.default_rng(0)
    shapes = ((SIZE, STEPS), (STEPS, SIZE), (SIZE, SIZE)) if stays == RESULT else ((STEPS, SIZE), (SIZE, SIZE), (STEPS, SIZE))
    a, b = (rng.integers(-9, 10, shape).astype(type) for shape in shapes[:2])
    z = np.zeros(shapes[2], type)
    begun = time.process_time()
    if stays == RESULT:
        cycles = kernels.result_stays(SIZE, when.cycles, True, table, a, b, z, SIZE)
    else:
        cycles = kernels.operand_stays(SIZE, when.cycles, table, a, b, z, SIZE)
    return int(cycles), time.process_time() - begun


def main() -> None:
    """Print a line for each kind of array and number, and for a scan unit."""
    for stays in (RESULT, OPERAND):
        for type in (np.int32, np.float32):
            run(stays, type, 1)  # compiled
            cycles, seconds = run(stays, type, TILES)
            rate = cycles * SIZE * SIZE / seconds / 1e6
            print(f"{stays} stays, {type.__name__}, {SIZE} x {SIZE}, {cycles} cycles: {rate:.0f} M element updates per CPU second")
    unit, steps = ScanUnit("kogge_stone", 64, Arithmetic(TYPES["fp32"])), 1 << 18
    rng = np.random.default_rng(0)
    a, b = rng.random(steps), rng.standard_normal(steps)
    begun = time.process_time()
    unit.scan(a, b)
    print(f"scan, 64 wide, fp32: {steps * unit.depth / (time.process_time() - begun) / 1e6:.0f} M register updates per CPU second")


if __name__ == "__main__":
    main()
