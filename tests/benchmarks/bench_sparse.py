"""Products of stored elements counted in a second: a power-law matrix times itself, or one from a file, by rows with a fiber cache.

    python tests/benchmarks/bench_sparse.py [MATRIX]
"""

from __future__ import annotations

import resource
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
from accelsim.model.stored import evaluate_stored
from accelsim.sparse.density import PowerLaw
from accelsim.sparse.pattern import Pattern
from accelsim.workload.cascade import Cascade


def main(arguments: list[str]) -> None:
    """Evaluate twice, the first time to compile, and say how long the second one took."""
    if arguments:
        pattern = Pattern.of(load_matrix(Path(arguments[0])))
    else:
        pattern = PowerLaw(levels=14, edges=200_000, chances=(0.57, 0.19, 0.19, 0.05)).draw(1)
    cascade = load_workload(resolve("spmspm", WORKLOAD), {f"shape.{rank}": str(pattern.rows) for rank in "mkn"})
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(resolve("gamma", MACHINE)))
    mapping = load_mapping(resolve("spmspm-gamma", MAPPING), cascade.extents)
    elements = np.stack([pattern.row_of, pattern.columns])
    for _ in range(2):
        begun = time.process_time()
        found = evaluate_stored(evaluator, mapping, {"A": elements, "B": elements})
        spent = time.process_time() - begun
    products = found.works["Z"].effectual
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = products / spent / 1e6
    print(f"{pattern.nonzeros:,} elements, {products:,} products: {spent:.2f} CPU s, {rate:.1f} M a second, {memory:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
