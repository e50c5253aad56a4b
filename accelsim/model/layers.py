"""Evaluation of a model: its layers one after the other, each with its own mapping, as often as it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.document import number
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.model.options import Counting
from accelsim.model.phases import inference
from accelsim.model.pricing import NOTHING, Range
from accelsim.workload.cascade import Layer, Model

SCHEMA = "accelsim/model-evaluation/1"


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """What the layers of a model cost in all; `evaluations`: one for each layer, in order, for a single use of it.

    A layer starts when the one before has ended, and reads its inputs from the outermost memory.
    """

    model: Model
    evaluations: tuple[Evaluation, ...]

    @property
    def architecture(self) -> Architecture:
        """The machine that all layers run on."""
        return self.evaluations[0].evaluator.architecture

    @property
    def cycles(self) -> int:
        """Cycles with fill and drain of every layer."""
        return sum(times * each.cycles for times, each in self._used())

    @property
    def steady_cycles(self) -> Fraction:
        """Cycles of the steady states: what published tables compare."""
        return sum((times * each.steady_cycles for times, each in self._used()), Fraction(0))

    @property
    def seconds(self) -> float:
        """Latency with fill and drain of every layer."""
        return sum(times * each.seconds for times, each in self._used())

    @property
    def energy(self) -> Range:
        """Dynamic and static energy in picojoules; the lows add up to the low, since all layers share one table of prices."""
        return self._total(lambda each: each.energy)

    @property
    def static(self) -> Range:
        """Energy of static, clock and background power in picojoules."""
        return self._total(lambda each: each.static)

    def traffic_bits(self, memory: str) -> tuple[Fraction, Fraction]:
        """Bits read from and written to all copies of a memory."""
        rows = [(times, *each.traffic_bits(memory)) for times, each in self._used()]
        read = sum((times * read for times, read, _ in rows), Fraction(0))
        return read, sum((times * written for times, _, written in rows), Fraction(0))

    def to_json(self) -> dict[str, Any]:
        """The evaluation as the contract `accelsim/model-evaluation/1` says; `bounds` are sums over layers that share nothing."""
        documents = [each.to_json() for each in self.evaluations]
        layers = [
            {"name": layer.cascade.name, "times": layer.times, "evaluation": each}
            for layer, each in zip(self.model.layers, documents, strict=True)
        ]
        energy, seconds = self.energy, self.seconds

        def bound(name: str) -> Any:
            return sum(layer.times * each["bounds"][name] for layer, each in zip(self.model.layers, documents, strict=True))

        return {
            "schema": SCHEMA,
            "model": self.model.name,
            "architecture": documents[0]["architecture"],
            "technology": documents[0]["technology"],
            "counting": documents[0]["counting"],
            "latency": {"cycles": self.cycles, "seconds": seconds, "steady_cycles": number(self.steady_cycles)},
            "energy_pj": energy.value,
            "energy_pj_low": energy.low,
            "energy_pj_high": energy.high,
            "static_energy_pj": self.static.value,
            "unpriced": list(dict.fromkeys(name for each in documents for name in each["unpriced"])),
            **{key: documents[0][key] for key in ("area_um2", "area_um2_low", "area_um2_high", "without_area") if key in documents[0]},
            "edp_pj_s": energy.value * seconds,
            "traffic": {memory: self._traffic_bytes(memory) for memory in self.architecture.memories},
            "bounds": {"compulsory_bytes": bound("compulsory_bytes"), "min_cycles": bound("min_cycles")},
            **self.inference([(each.get("limits") or {}).get("resource", "nothing") for each in documents]),
            "layers": layers,
        }

    def inference(self, limits: Sequence[str] = ()) -> dict[str, Any]:
        """What the phases take, if the model has phases: see `accelsim.model.phases`; `limits`: what limits each layer."""
        used = self._used()
        seconds, energy = [times * each.seconds for times, each in used], [times * each.energy.value for times, each in used]
        return inference(self.model, seconds, energy, limits)

    def __repr__(self) -> str:
        from accelsim.model.shown import model_line

        return f"<ModelEvaluation {model_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.model.shown import model_html

        return model_html(self)

    def _used(self) -> list[tuple[int, Evaluation]]:
        return [(layer.times, each) for layer, each in zip(self.model.layers, self.evaluations, strict=True)]

    def _total(self, part: Callable[[Evaluation], Range]) -> Range:
        total = NOTHING
        for times, each in self._used():
            total = total + part(each).scaled(times)
        return total

    def _traffic_bytes(self, memory: str) -> dict[str, int | float]:
        read, written = self.traffic_bits(memory)
        return {"read_bytes": number(read / 8), "write_bytes": number(written / 8)}


def evaluate_model(
    model: Model, architecture: Architecture, mappings: Sequence[Mapping], counting: Counting | None = None
) -> ModelEvaluation:
    """Evaluate one mapping per layer, in order; an illegal one is refused with the name of its layer."""
    pairs = zip(model.layers, mappings, strict=True)
    return ModelEvaluation(model, tuple(_evaluated(layer, architecture, mapping, counting) for layer, mapping in pairs))


def _evaluated(layer: Layer, architecture: Architecture, mapping: Mapping, counting: Counting | None) -> Evaluation:
    try:
        return evaluate(layer.cascade, architecture, mapping, counting)
    except AccelsimError as error:
        raise type(error)(f"layer '{layer.cascade.name}': {error.what}", error.mend, error.place, error.excerpt) from None
