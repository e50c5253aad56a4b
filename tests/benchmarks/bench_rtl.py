"""Cycles per CPU second of the RTL by path, beside the simulator on the same work: an array of 16 x 16, and the processor.

Run: python -m tests.benchmarks.bench_rtl
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import search
from accelsim.model.evaluation import Evaluator
from accelsim.rtl import cosim
from accelsim.rtl.fast import FAST, QUICK, Library
from accelsim.rtl.program import export
from accelsim.sim import kernels_systolic as kernels
from accelsim.sim.kernels_systolic import FoldTable
from accelsim.sim.simulation import simulate
from accelsim.sim.systolic import RESULT, Folds, Grid, times
from tests.rtl.runner import RTL
from tests.rtl.runner import simulate as icarus

SIZE, STEPS = 16, 20_000
PARAMETERS = {"ROWS": SIZE, "COLS": SIZE, "AW": 8, "BW": 8, "CW": 32}
ICARUS_CYCLES = 600
SHAPE = {"shape.p": "24", "shape.m": "32", "shape.e": "8", "shape.f": "4"}


def spent(run: Callable[[], object]) -> float:
    """CPU seconds of a call and of the processes that it starts."""

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    begun = now()
    run()
    return now() - begun


def array() -> None:
    """A line for each path."""
    at, full = np.zeros(1, np.int64), np.full(1, SIZE, np.int64)
    folds = Folds(full, full, np.full(1, STEPS, np.int64))
    when = times(Grid(SIZE, SIZE), RESULT, folds)
    table = FoldTable(at, folds.rows, at, folds.columns, at, folds.steps, when.load, when.start)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 10, (SIZE, STEPS)).astype(np.int32), rng.integers(-9, 10, (STEPS, SIZE)).astype(np.int32)
    z = np.zeros((SIZE, SIZE), np.int32)

    def numba() -> None:
        kernels.result_stays(SIZE, when.cycles, True, table, a, b, z, SIZE)

    numba()
    print(f"array {SIZE} x {SIZE}, Numba: {when.cycles / spent(numba):,.0f} cycles per CPU second")
    library = Library(RTL, "systolic_os", PARAMETERS, effort=FAST)
    random = Random(0)
    inputs = {
        name: np.array([random.getrandbits(port.width) for _ in range(STEPS)], np.uint64)
        if port.width <= 64
        else rng.integers(0, 1 << 32, (STEPS, port.words)).astype(np.uint32)
        for name, port in library.inputs.items()
    }
    inputs["rst_i"] = (np.arange(STEPS) < 2).astype(np.uint64)
    instance = library.start()
    print(f"array {SIZE} x {SIZE}, Verilator: {STEPS / spent(lambda: instance.run(inputs)):,.0f}")
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            {name: random.getrandbits(port.width) if name != "rst_i" else int(cycle < 2) for name, port in library.inputs.items()}
            for cycle in range(ICARUS_CYCLES)
        ]

        def once(count: int) -> None:
            (Path(folder) / "inputs").write_text(json.dumps(rows[:count]), encoding="utf-8")
            files = {"ACCELSIM_INPUTS": f"{folder}/inputs", "ACCELSIM_OUTPUTS": f"{folder}/outputs"}
            icarus("systolic_os", PARAMETERS, 0, 0, Path(folder) / "builds", bench="replay", **files)

        once(2)
        start = spent(lambda: once(2))
        print(f"array {SIZE} x {SIZE}, Icarus with cocotb: {ICARUS_CYCLES / max(1e-9, spent(lambda: once(ICARUS_CYCLES)) - start):,.0f}")


def processor() -> None:
    """The same of attention on the processor."""
    cascade, machine = load_workload(resolve("attention-fixed", WORKLOAD), SHAPE), load_architecture(resolve("mini", MACHINE), {})
    mapping = search(cascade, machine).mapping
    program, inputs = export(Evaluator(cascade, machine), mapping), cosim.random_words(cascade, 0)
    simulate(cascade, machine, mapping)
    print(f"processor, {program.cycles:,} cycles, event kernel: {program.cycles / spent(lambda: simulate(cascade, machine, mapping)):,.0f}")
    for name, effort in (("quick to compile", QUICK), ("optimised", FAST)):
        cosim.run(program, inputs, RTL, effort)
        seconds = spent(lambda effort=effort: cosim.run(program, inputs, RTL, effort))
        print(f"processor, Verilator, {name}: {program.cycles / seconds:,.0f}, loading and reading back included")


if __name__ == "__main__":
    array()
    processor()
