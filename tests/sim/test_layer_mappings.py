"""Mappings of single operators and layers that were measured: they compute what their cascades say, at small sizes; and GPUs are mapped."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.legality import is_legal
from accelsim.sim.agreement import compare
from accelsim.sim.values import EXACT, run
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.interpreter import run as interpret
from tests.catalogue import gpus

CASES = [
    ("matmul", "a100", "gpu/matmul", {"m": 20, "n": 13, "k": 7}, {"TM": 4, "TN": 2, "TK": 3, "GM": 3, "GN": 2}),
    ("softmax", "h200", "gpu/softmax", {"b": 11, "k": 6}, {"SMS": 3, "ROWS": 2}),
    ("cnn/conv2d-alexnet", "eyeriss_like", "layers/rows-stay",
     {"b": 2, "k": 6, "c": 3, "p": 16, "q": 4, "r": 3, "s": 3, "stride": 2}, {"SP": 2, "SK": 2, "TK": 2, "TC": 2}),
    ("feed-forward", "tpu_torus", "chips/weights-stay-1d", {"t": 8, "d": 8, "s": 32}, {"TX": 2, "TY": 2, "TILE": 8, "PE": 4}),
    ("feed-forward", "tpu_torus", "chips/weights-stay-2d", {"t": 8, "d": 16, "s": 32}, {"TX": 2, "TY": 2, "TILE": 8, "PE": 4}),
    ("int8/mlp", "tpu_v1_like", "layers/weights-stay", {"b": 2, "i": 257, "j": 3, "k": 4, "l": 5, "m": 2, "n": 3}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "machine", "file", "shape", "sizes"), CASES, ids=[case[2] for case in CASES])
def test_layer_mappings_compute_what_their_cascades_say(
    name: str, machine: str, file: str, shape: dict[str, int], sizes: dict[str, int]
) -> None:
    made = load_workload(resolve(name, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(made, Cascade)
    target = load_architecture(resolve(machine, MACHINE))
    mapping = load_fitting(resolve(file, MAPPING), made, {f"let.{name}": str(size) for name, size in sizes.items()})[0]
    assert is_legal(made, target, mapping)
    inputs = random_inputs(made, np.random.default_rng(0))
    agreement = compare(made, run(made, target, mapping, inputs, EXACT), dict(interpret(made, inputs).values))
    assert agreement.agrees, agreement


GPUS = list(gpus(MACHINE))


@pytest.mark.parametrize(("name", "machine"), [("matmul", GPUS[0]), ("softmax", GPUS[0]), *(("attention", machine) for machine in GPUS)])
def test_gpus_are_mapped(name: str, machine: str) -> None:
    small = {"matmul": {"m": 64, "n": 64, "k": 64}, "softmax": {"b": 64, "k": 64}, "attention": {"h": 1, "p": 64, "m": 64, "m0": 16}}
    made = load_workload(resolve(name, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in small[name].items()})
    assert isinstance(made, Cascade)
    target = load_architecture(resolve(machine, MACHINE))
    found = search(made, target, request=Request(objective_named("latency"), time_limit=1.0))
    record = found.evaluation.search
    assert is_legal(made, target, found.mapping)
    assert record is not None and record["lower_bound"] <= record["value"] and found.evaluation.seconds > float(target.launch_s)
