"""What a search minimises. Ties of the objective go to less energy, then to the smaller text of the printed nest.

Of latency alone they go to less dynamic energy: static energy is the same for equal cycles, and no order hangs on seconds.

An objective is a figure (`latency`, `energy`, `edp`, `traffic`, `capacity`), a weighted sum (`energy + 0.5*latency`, each in its unit), or
several in order of importance (`latency, energy`: the second decides among those that are equal in the first).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.mapper.figures import Aim, Scale
    from accelsim.model.evaluation import Evaluation

Key = tuple[float, float, float, str]


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure of an evaluation with its unit. `terms`: figures and weights of the first, and of the second where ties go to one."""

    name: str
    unit: str
    value: Callable[[Evaluation], float]
    terms: tuple[tuple[str, float], ...] = ()
    then: Objective | None = None

    def aim(self, scale: Scale) -> Aim | None:
        """How the exact search sees it."""
        from accelsim.mapper.figures import weighted

        return weighted(
            self.terms or ((self.name, 1.0),), scale, None if self.then is None else self.then.terms or ((self.then.name, 1.0),)
        )

    @property
    def timely(self) -> bool:
        """Whether whole cycles are what counts first."""
        return (self.terms or ((self.name, 1.0),)) == (("latency", 1.0),)

    @property
    def timeless(self) -> bool:
        """Whether it counts cycles alone, and so does not hang on how long one lasts."""
        return self.timely and self.then is None

    def floor(self, cycles: float, traffic: float) -> float:
        """What a value cannot go below, given such floors of latency and off-chip traffic; energy has none."""
        figures = {"latency": math.ceil(cycles * (1 - 1e-12)), "traffic": traffic}
        return sum(weight * figures.get(figure, 0.0) for figure, weight in self.terms or ((self.name, 1.0),))

    def rounded(self, value: float) -> float:
        """A value as evaluations report it: whole cycles."""
        return float(math.ceil(value * (1 - 1e-12))) if self.timely else value


def _capacity(evaluation: Evaluation) -> float:
    """Bits at the fullest moment of the memories below the root, one copy of each."""
    root = evaluation.evaluator.architecture.root.name
    return float(max((bits for memory, bits in evaluation.occupancy().items() if memory != root), default=0))


def _traffic(evaluation: Evaluation) -> float:
    return float(sum(evaluation.traffic_bits(evaluation.evaluator.architecture.root.name))) / 8


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("latency", "cycles", lambda evaluation: evaluation.cycles),
        Objective("energy", "pJ", lambda evaluation: evaluation.energy_pj),
        Objective("edp", "pJ s", lambda evaluation: evaluation.edp_pj_s),
        Objective("traffic", "B", _traffic),
    )
}


def objective_named(text: str) -> Objective:
    """The objective that a text asks for; refuses unknown figures and weights that are not positive numbers."""
    names = [part.strip() for part in text.split(",")]
    first = _sum(names[0])
    if len(names) == 1:
        return first
    if len(names) > 2:
        raise InputError(
            f"the objective '{text}' has {len(names)} figures in order", "name two: the second decides among ties of the first"
        )
    then = _sum(names[1])
    return Objective(f"{first.name}, {then.name}", first.unit, first.value, first.terms or ((first.name, 1.0),), then)


def _sum(text: str) -> Objective:
    if text in OBJECTIVES:
        return OBJECTIVES[text]
    terms: list[tuple[str, float]] = []
    for part in text.split("+"):
        match = re.fullmatch(r"\s*(?:([0-9.eE-]+)\s*\*)?\s*([a-z]+)\s*", part)
        if match is None or match[2] not in OBJECTIVES:
            name = match[2] if match else part.strip()
            raise InputError(f"there is no objective '{name}'", did_you_mean(name, OBJECTIVES))
        try:
            weight = float(match[1] or 1)
        except ValueError:
            weight = 0.0
        if not 0 < weight < float("inf"):
            raise InputError(f"the weight '{match[1]}' of {match[2]} is not a positive number", "write it as in 0.5*latency")
        terms.append((match[2], weight))
    name = " + ".join(figure if weight == 1 else f"{weight:g}*{figure}" for figure, weight in terms)

    def value(evaluation: Evaluation) -> float:
        return sum(weight * OBJECTIVES[figure].value(evaluation) for figure, weight in terms)

    return Objective(name, "mixed units", value, tuple(terms))


def key(objective: Objective, evaluation: Evaluation) -> Key:
    """The order of mappings: objective, what decides ties, energy (to twelve digits, so that the order of sums does not matter), nest."""
    from accelsim.mapping.text import nest

    second = 0.0 if objective.then is None else _rounded(objective.then.value(evaluation))
    energy = evaluation.dynamic.value if objective.timeless else evaluation.energy_pj
    return _rounded(objective.value(evaluation)), second, _rounded(energy), nest(evaluation.mapping)


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")
