"""CPU seconds of optimal mappings of a family of design points, attention on `spatial` by bandwidth and clock, with searches shared.

`python tests/benchmarks/bench_points.py LENGTH ARRAY BUFFER_MIB` prints points, searches, and CPU milliseconds a point, compiling left out
if kernels are compiled already.
"""

from __future__ import annotations

import sys
import time

from accelsim.explore.families import Families

from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.workload.cascade import Cascade

BANDWIDTHS, CLOCKS = (400, 800, 1600, 3200), (470, 940, 1880)


def main(length: str, array: str, buffer: str) -> None:
    """Print one line."""
    cascade = load_workload(resolve("attention-naive", WORKLOAD), {"shape.p": length, "shape.m": length})
    assert isinstance(cascade, Cascade)
    request, families, proved, began = Request(objective_named("latency"), tiles="dividing"), Families(), 0, time.process_time()
    for bandwidth in BANDWIDTHS:
        for clock in CLOCKS:
            settings = {"let.pe": array, "L3.size": f"{buffer} MiB", "DRAM.bandwidth": f"{bandwidth} GiB/s", "clock": f"{clock} MHz"}
            found = families.optimum(cascade, load_architecture(resolve("spatial", MACHINE), settings), request)
            proved += bool((found.evaluation.search or {})["proved_optimal"])
    points, spent = len(BANDWIDTHS) * len(CLOCKS), time.process_time() - began
    print(f"{points} points, {proved} proved, {families.searched} searches, {spent / points * 1000:.0f} CPU ms a point")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ("4096", "256", "16")))
