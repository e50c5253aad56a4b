"""Overhead of a sweep per point beyond the evaluation itself, and its peak memory: python tests/benchmarks/bench_sweep.py [POINTS].

Two measurements. First a grid of POINTS (default 1,000,000) whose rows are a formula, written as Parquet: all of its time is overhead.
Then real points with a given mapping: the time of the sweep less that of evaluating the same cases by themselves. Of the second the nouns
are part of the evaluation: a point that sets what no other point sets has to be read and built.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from accelsim.explore.points import evaluate_points, row_of
from accelsim.explore.sweeping import explore
from accelsim.io.sweep import load_sweep
from accelsim.io.sweep_table import write_table
from accelsim.model.evaluation import evaluate
from tests.explore.stub import stub_rows, stub_sweep

REAL = """sweep: real
workload: matmul
arch: spatial
mapping: matmul-columns
vary:
  shape.m: {range: [256, 2560], step: 256}
  arch.L3.size: {range: [16 MiB, 25 MiB], step: 1 MiB}
  arch.clock: [500 MHz, 700 MHz, 940 MHz, 1 GHz, 1.2 GHz]
"""


def main(points: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        table = str(Path(folder) / "t.parquet")
        side = max(1, round((points / 4) ** 0.5))
        sweep = stub_sweep(side, side, 4)
        started, cpu = time.monotonic(), time.process_time()
        found = explore(sweep, f"{table}.points", evaluate=stub_rows)
        explored = time.process_time() - cpu
        write_table(found, table)
        found.close()
        spent, cpu = time.monotonic() - started, time.process_time() - cpu
        many = len(found.places)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        sizes = [os.path.getsize(path) / 2**20 for path in (table, f"{table}.points")]
        each = f"{cpu / many * 1e3:.3f} CPU ms a point ({explored / many * 1e3:.3f} exploring)"
        print(f"{many:,} points of a formula: {each}, {spent:.0f} s,")
        print(f"  peak {peak:.2f} GiB, table {sizes[0]:.0f} MiB, kept rows {sizes[1]:.0f} MiB")
        cpu = time.process_time()
        again = explore(sweep, f"{table}.points", evaluate=stub_rows)
        again.close()
        print(f"  the same again, all known: {(time.process_time() - cpu) / many * 1e3:.3f} CPU ms a point, {again.new} new")

        (Path(folder) / "real.yaml").write_text(REAL)
        sweep = load_sweep(Path(folder) / "real.yaml")
        points_ = list(sweep.points())
        evaluate_points(sweep.cases, points_[:1])  # compiles kernels
        cpu = time.process_time()
        cases = [sweep.cases.case(point) for point in points_]
        made = time.process_time() - cpu
        cpu = time.process_time()
        for case in cases:
            assert case.mappings is not None
            row_of(evaluate(case.workload, case.machine, case.mappings[0], case.request.counting), sweep.cases.text)  # type: ignore[arg-type]
        alone = time.process_time() - cpu
        sweep = load_sweep(Path(folder) / "real.yaml")
        cpu = time.process_time()
        explore(sweep, str(Path(folder) / "real.points")).close()
        whole = time.process_time() - cpu
        many = len(points_)
        print(f"{many} points of a given mapping: {whole / many * 1e3:.2f} CPU ms a point, of which evaluating {alone / many * 1e3:.2f}")
        print(f"  and making nouns {made / many * 1e3:.2f}: overhead {(whole - alone - made) / many * 1e3:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
