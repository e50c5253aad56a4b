"""Figures of Einsums that run one after the other, put together: times, energies and traffic add up. Source: docs/sparse.md, "Mapper"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapper.stored_floor import Floor

if TYPE_CHECKING:
    from accelsim.mapper.objectives import Objective
    from accelsim.mapper.stored_judge import Counted
    from accelsim.model.evaluation import Evaluation


FIGURES = ("latency", "energy", "traffic")


@dataclass(frozen=True, slots=True)
class Sums:
    """Cycles (not rounded), picojoules and bytes that pass the outermost memory; seconds of a cycle; and what has them, by Einsum."""

    cycles: Fraction
    energy_pj: float
    traffic: float
    cycle: float
    of: tuple[Counted, ...] = ()

    def figures(self, names: Sequence[str] = FIGURES) -> tuple[float, ...]:
        """To compare by."""
        found = {"latency": float(self.cycles), "energy": self.energy_pj, "traffic": self.traffic}
        return tuple(found[name] for name in names)

    def no_more(self, floor: Floor, names: Sequence[str]) -> bool:
        """Whether these are no more than what others cannot go below, in every figure."""
        least = {"latency": float(floor.cycles), "energy": floor.energy_pj, "traffic": floor.traffic}
        return all(mine <= least[name] for mine, name in zip(self.figures(names), names, strict=True))

    def plus(self, other: Sums) -> Sums:
        """One after the other."""
        return Sums(
            self.cycles + other.cycles, self.energy_pj + other.energy_pj, self.traffic + other.traffic, self.cycle, self.of + other.of
        )

    def value(self, objective: Objective) -> float:
        """Of an objective."""
        seconds = float(self.cycles) * self.cycle
        figures = {"latency": float(self.cycles), "energy": self.energy_pj, "traffic": self.traffic, "edp": self.energy_pj * seconds}
        return sum(weight * figures[figure] for figure, weight in objective.terms or ((objective.name, 1.0),))


def is_sum(objective: Objective) -> bool:
    """Whether an objective of Einsums one after the other is the sum of those of each."""
    mine = objective.terms or ((objective.name, 1.0),)
    return all(figure != "edp" for figure, _ in mine) and (objective.then is None or is_sum(objective.then))


def unrounded(objective: Objective) -> Objective:
    """An objective in which a part of a cycle is no whole one."""
    terms = objective.terms or ((objective.name, 1.0),)

    def value(evaluation: Evaluation) -> float:
        return sum(weight * _figure(figure, evaluation) for figure, weight in terms)

    return replace(objective, value=value, then=None if objective.then is None else unrounded(objective.then))


def _figure(figure: str, evaluation: Evaluation) -> float:
    exact = evaluation.evaluator.clock.cycles(evaluation.timing.latency)
    return float(exact) if figure == "latency" else OBJECTIVES[figure].value(evaluation)


def sums(counted: Counted) -> Sums:
    """Of what was counted of one Einsum."""
    evaluation = counted.found.evaluation
    clock, machine = evaluation.evaluator.clock, evaluation.evaluator.architecture
    traffic = OBJECTIVES["traffic"].value(evaluation)
    cycle = 1 / float(machine.clock_hz)
    return Sums(Fraction(clock.cycles(evaluation.timing.latency)), evaluation.energy_pj, traffic, cycle, (counted,))


def least_sums(found: Iterable[Sums], names: Sequence[str] = FIGURES) -> list[Sums]:
    """Those that no other is as good as in every figure."""
    kept: list[Sums] = []
    for each in sorted(found, key=lambda one: (one.figures(names), one.figures())):
        mine = each.figures(names)
        if not any(all(a <= b for a, b in zip(other.figures(names), mine, strict=True)) for other in kept):
            kept.append(each)
    return kept


def together(counted: Iterable[Sequence[Counted]], names: Sequence[str] = FIGURES) -> list[Sums]:
    """The ways to take one of each that no other is as good as in every figure."""
    found: list[Sums] = []
    for number, each in enumerate(counted):
        mine = least_sums((sums(one) for one in each), names)
        found = mine if number == 0 else least_sums((before.plus(one) for before in found for one in mine), names)
    return found


def best_together(objective: Objective, counted: Dict[str, Sequence[Counted]]) -> dict[str, Counted]:
    """One of what was counted of every Einsum, so that an objective that is no sum is least."""
    best = min(together(counted.values()), key=lambda each: (each.value(objective), each.figures()))
    return dict(zip(counted, best.of, strict=True))


def summed_floor(floors: Sequence[Floor]) -> Floor:
    """What Einsums one after the other cannot go below."""
    return Floor(
        sum((each.cycles for each in floors), Fraction(0)), sum(each.energy_pj for each in floors),
        sum(each.traffic for each in floors), sum(each.seconds for each in floors),
    )  # fmt: skip
