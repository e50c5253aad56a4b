"""CPU seconds of a sweep whose points share searches: `python tests/benchmarks/bench_points.py SWEEP [NAME=VALUE …]`.

Prints points, problems, CPU milliseconds of a search and of each further point of its problem, compiling left out if kernels are compiled.
"""

from __future__ import annotations

import sys
import time

from accelsim.explore.points import evaluate_points
from accelsim.io.sweep import load_sweep


def main(name: str, settings: list[str]) -> None:
    """Print one line."""
    sweep = load_sweep(name, settings)
    groups: dict[str | None, list[int]] = {}
    points = list(sweep.points())
    for at, point in enumerate(points):
        groups.setdefault(sweep.cases.problem(point), []).append(at)
    spent, first = 0.0, 0.0
    for group in groups.values():
        began = time.process_time()
        evaluate_points(sweep.cases, [points[group[0]]])
        first += time.process_time() - began
        evaluate_points(sweep.cases, [points[at] for at in group[1:]])
        spent += time.process_time() - began
    search, further = first / len(groups), (spent - first) / max(1, len(points) - len(groups))
    print(f"{len(points):,} points, {len(groups):,} problems, {spent / len(points) * 1e3:.0f} ms a point")
    print(f"{search * 1e3:.0f} ms a search, {further * 1e3:.1f} ms a further point")


if __name__ == "__main__":
    main(*(sys.argv[1:2] or ["matmul-small"]), sys.argv[2:])
