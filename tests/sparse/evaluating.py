"""What tests of evaluations over stored elements share: evaluating a pair on a shipped machine, running a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products
from accelsim.workload.cascade import Cascade

AGAIN = """
mapping: again
tree:
  - keep DRAM: [A, B, Z]
  - for k: 8
  - for m: 8
  - for n: 8
  - keep KEEPER: [Z]
  - for k: 1
  - {einsum: Z, unit: MAC}
"""


def evaluated(folder: Path, machine: str, mapping: str, pair: Products) -> StoredEvaluation:
    sizes = {"shape.m": pair.a.rows, "shape.k": pair.a.width, "shape.n": pair.b.width}
    cascade = load_workload(folder / "product.yaml", {name: str(size) for name, size in sizes.items()})
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(folder / f"{machine}.yaml"))
    stored = {"A": elements(pair.a), "B": elements(pair.b)}
    return evaluate_stored(evaluator, load_mapping(folder / f"{mapping}.yaml", cascade.extents), stored)


def elements(pattern: Pattern) -> Any:
    return np.stack([pattern.row_of, pattern.columns])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(each) for each in arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


def moved(folder: Path, machine: str, mapping: str, a: Any, b: Any) -> Any:
    """Bits that an evaluation reads, fills and updates, by tensor and memory; of elements as pairs of coordinates."""
    cascade = load_workload(folder / "product.yaml")
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(folder / f"{machine}.yaml"))
    stored = {"A": np.array(a, np.int64).T, "B": np.array(b, np.int64).T}
    found = evaluate_stored(evaluator, load_mapping(folder / f"{mapping}.yaml", cascade.extents), stored).evaluation
    return {key[1:]: tuple(each // evaluator.clock.pieces for each in row) for key, row in found.bits.items()}


def matrix(pattern: Pattern) -> Any:
    found = np.zeros((-(-pattern.rows // 16) * 16, -(-pattern.width // 16) * 16), np.int64)
    found[pattern.row_of, pattern.columns] = 1
    return found
