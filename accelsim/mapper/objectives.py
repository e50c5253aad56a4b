"""What a search minimises. Ties of the objective go to less energy, then to the smaller text of the printed nest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation

Key = tuple[float, float, str]


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure of an evaluation with its unit."""

    name: str
    unit: str
    value: Callable[[Evaluation], float]


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("latency", "cycles", lambda evaluation: evaluation.cycles),
        Objective("energy", "pJ", lambda evaluation: evaluation.energy_pj),
        Objective("edp", "pJ s", lambda evaluation: evaluation.edp_pj_s),
    )
}


def key(objective: Objective, evaluation: Evaluation) -> Key:
    """The order of mappings: objective, energy (to twelve digits, so that the order of sums does not matter), printed nest."""
    from accelsim.mapping.text import nest

    return _rounded(objective.value(evaluation)), _rounded(evaluation.energy_pj), nest(evaluation.mapping)


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")
