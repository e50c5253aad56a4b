"""Gamma on C = A A run tile by tile: what the model says, what a simulation takes, and how much of it is left where tiles come ahead.

    python tests/benchmarks/sparse_runs.py DIRECTORY

The directory holds SNAP's wiki-Vote and p2p-Gnutella31 as `.npz` of CSR matrices. Takes two minutes and 2 GB.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.matrix import load_matrix
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.sim.stored import ahead, simulate_stored
from accelsim.sparse.pattern import Pattern
from accelsim.workload.cascade import Cascade


def main(arguments: list[str]) -> None:
    """Print a row for every matrix, way of handing out rows, and room."""
    print(f"{'':16}{'rows':>10}{'room':>8}{'model, us':>12}{'run, us':>12}{'seconds':>10}")
    for name in ("wiki-Vote", "p2p-Gnutella31"):
        pattern = Pattern.of(load_matrix(Path(arguments[0]) / f"{name}.npz"))
        cascade = load_workload(resolve("spmspm", WORKLOAD), {f"shape.{rank}": str(pattern.rows) for rank in "mkn"})
        assert isinstance(cascade, Cascade)
        elements = np.stack([pattern.row_of, pattern.columns])
        for assign in ("static", "dynamic"):
            machine = load_architecture(resolve("gamma", MACHINE), {"pe.assign": assign})
            mapping = load_mapping(resolve("spmspm-gamma", MAPPING), cascade.extents, {})
            for room, tree in (("stated", mapping), ("ahead", ahead(mapping, machine.root.name))):
                since = time.perf_counter()
                found = simulate_stored(Evaluator(cascade, machine), tree, {"A": elements, "B": elements})
                took = time.perf_counter() - since
                row = found.evaluation.cycles / machine.clock_hz * 10**6, found.cycles / machine.clock_hz * 10**6, took
                print(f"{name:16}{assign:>10}{room:>8}{float(row[0]):12.1f}{float(row[1]):12.1f}{row[2]:10.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
