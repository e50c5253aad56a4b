"""Nouns to draw: shipped workloads, small, on shipped machines with shipped mappings, each made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from accelsim.faults.campaign import Campaign, Outcome
from accelsim.faults.campaign import outcome as added_up
from accelsim.faults.outcomes import CORRUPTED, DEAD, HANG, Effects
from accelsim.faults.plan import Sample
from accelsim.faults.target import Stratum
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade

CASES = (
    ("softmax", "simple", "softmax-stored"),
    ("softmax-recomputed", "simple", "softmax-recomputed"),
    ("attention", "spatial", "attention-interleaved"),
    ("attention-3pass", "unfused", "attention-unfused"),
)


@cache
def cascade(name: str) -> Cascade:
    """A shipped workload of one cascade."""
    found = load_workload(resolve(name, WORKLOAD))
    assert isinstance(found, Cascade)
    return found


@cache
def evaluation(workload: str = "softmax", machine: str = "simple", mapping: str = "softmax-stored") -> Evaluation:
    """A shipped mapping, evaluated."""
    tree, sized = load_fitting(resolve(mapping, MAPPING), cascade(workload))
    return evaluate(sized, load_architecture(resolve(machine, MACHINE)), tree)


@cache
def simulation(workload: str = "softmax", machine: str = "simple", mapping: str = "softmax-stored", events: int = 2000) -> Simulation:
    """A shipped mapping, simulated."""
    tree, sized = load_fitting(resolve(mapping, MAPPING), cascade(workload))
    return simulate(sized, load_architecture(resolve(machine, MACHINE)), tree, events=events)


@dataclass(frozen=True)
class MadeUp:
    """Two kinds of registers, of which every fourth upset corrupts an output, or hangs the machine."""

    strata: tuple[Stratum, ...] = (Stratum("array", "weights", "operand", 2, 20, 20), Stratum("array", "counter", "control", 2, 20, 20))
    terms: tuple[str, str, str] = ("registers", "bits", "AVF")
    noun: str = "upsets"
    chunk: int = 20

    def effects(self, stratum: int, numbers: Any) -> Effects:
        """Every fourth one."""
        bad = numbers % 4 == 0
        nothing = np.zeros(len(numbers), np.int64)
        return Effects(np.where(bad, HANG if stratum else CORRUPTED, DEAD), nothing, bad.astype(np.int64), bad & False)

    of_classes = effects

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """Nowhere."""
        return {}

    def key_parts(self) -> tuple[object, ...]:
        """None."""
        return ()

    def unrated(self) -> tuple[str, str] | None:
        """It may have rates."""
        return None


@cache
def outcome(exhaustive: int = 100, faults: int = 8) -> Outcome:
    """Its campaign; with `exhaustive` below 20, of so many faults of each kind."""
    campaign = Campaign("made up", MadeUp(), Sample(faults=faults, exhaustive=exhaustive), 0, "made up")
    return added_up(campaign, {chunk: campaign.work(chunk, campaign.first) for chunk in campaign.first.chunks()}, True)
