"""Shipped cascades at small sizes, and what several tests ask of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes

FOLDER = Path(__file__).resolve().parents[2] / "workloads"


def shipped(name: str, shape: dict[str, int] | None = None, constants: dict[str, float] | None = None) -> Cascade:
    """A shipped cascade with other sizes."""
    settings = {f"shape.{rank}": str(size) for rank, size in (shape or {}).items()}
    settings |= {f"constants.{name}": str(value) for name, value in (constants or {}).items()}
    made = load_workload(FOLDER / f"{name}.yaml", settings)
    assert isinstance(made, Cascade)
    return made


def executed(made: Cascade) -> dict[str, int]:
    """Points of every Einsum, as the interpreter computes them."""
    return {name: points.executed for name, points in run(made, random_inputs(made, np.random.default_rng(1))).counts.items()}


def crossing(made: Cascade, rank: str) -> tuple[int, set[str], set[str]]:
    """Passes over a rank, the tensors that cross from one to a later one, the inputs that are read again."""
    found = passes(made, rank)
    return found.count, {item.tensor for item in found.crossing}, set(found.reread)
