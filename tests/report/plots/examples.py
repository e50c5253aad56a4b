"""Nouns to draw: shipped workloads, small, on shipped machines with shipped mappings, each made once."""

from __future__ import annotations

from functools import cache

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade

CASES = (
    ("attention", "spatial", "attention-interleaved"),
    ("attention", "npu", "attention-staged"),
    ("attention-naive", "simple", "attention-unfused"),
    ("softmax", "simple", "softmax-stored"),
    ("matmul", "spatial", "matmul-columns"),
    ("conv2d-pair", "simple", "conv2d-pair-patches"),
)


@cache
def cascade(name: str) -> Cascade:
    """A shipped workload of one cascade."""
    found = load_workload(resolve(name, WORKLOAD))
    assert isinstance(found, Cascade)
    return found


@cache
def evaluation(workload: str = "attention-naive", machine: str = "simple", mapping: str = "attention-unfused") -> Evaluation:
    """A shipped mapping, evaluated."""
    tree, sized = load_fitting(resolve(mapping, MAPPING), cascade(workload))
    return evaluate(sized, load_architecture(resolve(machine, MACHINE)), tree)


@cache
def simulation(workload: str = "softmax", machine: str = "simple", mapping: str = "softmax-stored", events: int = 2000) -> Simulation:
    """A shipped mapping, simulated."""
    tree, sized = load_fitting(resolve(mapping, MAPPING), cascade(workload))
    return simulate(sized, load_architecture(resolve(machine, MACHINE)), tree, events=events)
