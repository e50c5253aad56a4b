"""Simulation of a model: its layers one after the other, each with its own mapping, as often as it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.options import Counting
from accelsim.model.phases import inference
from accelsim.model.pricing import NOTHING, Range
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from accelsim.sim.agreement import Agreement


@dataclass(frozen=True)
class ModelSimulation:
    """What the layers of a model take in all; `layers`: a simulation for each, in order, of a single use.

    A layer starts when the one before has ended, and reads its inputs from the outermost memory.
    """

    model: Model
    layers: tuple[Simulation, ...]
    values: tuple[Agreement, ...] = ()

    @property
    def cycles(self) -> int:
        """Cycles of all layers."""
        return sum(times * each.cycles for times, each in self.used())

    @property
    def seconds(self) -> float:
        """Time at the machine's clock."""
        return sum(times * each.seconds for times, each in self.used())

    @property
    def energy(self) -> Range:
        """Energy in picojoules: that of what is done, as the model counts it, and static power over the simulated time."""
        total = NOTHING
        for times, each in self.used():
            total = total + each.energy.scaled(times)
        return total

    def inference(self) -> dict[str, Any]:
        """What the phases take, if the model has phases: see `accelsim.model.phases`."""
        used = self.used()
        return inference(self.model, [times * each.seconds for times, each in used], [times * each.energy.value for times, each in used])

    def used(self) -> list[tuple[int, Simulation]]:
        """How often each layer is used, and its simulation."""
        return [(layer.times, each) for layer, each in zip(self.model.layers, self.layers, strict=True)]


def simulate_model(
    model: Model,
    architecture: Architecture,
    mappings: Sequence[Mapping],
    counting: Counting | None = None,
    tell: Callable[[str], None] | None = None,
    check: int | None = None,
) -> ModelSimulation:
    """Simulate one mapping per layer, in order; layers that are alike are simulated once.

    `tell` hears which layer is next; `check`: a seed with which values are computed too. What `simulate` refuses is refused with
    the name of its layer.
    """
    known: list[tuple[Cascade, Mapping, Simulation, Agreement | None]] = []
    layers, values = [], []
    for number, (layer, mapping) in enumerate(zip(model.layers, mappings, strict=True), 1):
        work, way = replace(layer.cascade, name="", source=""), replace(mapping, name="")
        same = next((each for each in known if each[0] == work and each[1] == way), None)
        if same is None:
            if tell is not None:
                tell(f"{layer.cascade.name}, layer {number} of {len(model.layers)}: simulating")
            same = (work, way, *_layer(layer.cascade, architecture, mapping, counting, check))
            known.append(same)
        layers.append(same[2])
        values += [same[3]] if same[3] is not None else []
    return ModelSimulation(model, tuple(layers), tuple(values))


def _layer(
    cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting | None, check: int | None
) -> tuple[Simulation, Agreement | None]:
    try:
        found = simulate(cascade, architecture, mapping, counting)
        if check is None:
            return found, None
        from accelsim.sim import agreement

        return found, agreement.check(found.evaluation.evaluator.cascade, architecture, mapping, check)
    except AccelsimError as error:
        raise type(error)(f"layer '{cascade.name}': {error.what}", error.mend, error.place, error.excerpt) from None
