"""What objectives are made of: energy, time, traffic and capacity of a (partial) mapping, and bounds on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from accelsim.model.evaluation import Evaluator


@dataclass(frozen=True, slots=True)
class Scale:
    """From what the search counts (dynamic picojoules, ticks, pieces of a bit) to what an objective asks for."""

    ticks_per_cycle: int
    clock_hz: float
    pieces: int
    static_pj_per_tick: float

    @classmethod
    def of(cls, evaluator: Evaluator) -> Scale:
        """The scale of one machine and cascade."""
        clock = evaluator.clock
        power, hertz = evaluator.prices.power.value, float(evaluator.architecture.clock_hz)
        return cls(clock.per_cycle, hertz, clock.pieces, power / clock.per_cycle / hertz * 1e12)

    def cycles(self, ticks: float) -> float:
        """Ticks as cycles."""
        return ticks / self.ticks_per_cycle

    def energy_pj(self, dynamic: float, ticks: float) -> float:
        """Dynamic and static energy."""
        return dynamic + self.static_pj_per_tick * ticks


class Cost(NamedTuple):
    """Dynamic picojoules, ticks, pieces of a bit moved at the root, and held by memory 1 at its fullest moment."""

    energy: float
    ticks: float
    traffic: float
    held: float

    def after(self, before: Cost) -> Cost:
        """What a part costs together with the parts before it."""
        return Cost(self.energy + before.energy, self.ticks + before.ticks, self.traffic + before.traffic, max(self.held, before.held))

    def later(self, ticks: float) -> Cost:
        """The same with more ticks."""
        return self._replace(ticks=self.ticks + ticks) if ticks else self

    def least(self, other: Cost | None) -> Cost:
        """The lesser of both in every figure."""
        if other is None:
            return self
        energy, ticks = min(self.energy, other.energy), min(self.ticks, other.ticks)
        return Cost(energy, ticks, min(self.traffic, other.traffic), min(self.held, other.held))


NOTHING = Cost(0.0, 0.0, 0.0, 0.0)
Value = Callable[[Cost], float]
SLACK = 1 + 1e-10
Weights = tuple[float, float, float, float]
NO_WEIGHTS: Weights = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Aim:
    """An objective as the search sees it: a value that no figure's growth lowers, and the figures that it looks at.

    `uses`: which of energy, ticks, traffic, held two partial mappings must be compared in. `then`: decides ties. `weights`: of a sum, what
    a unit of energy, ticks and traffic is worth: partial mappings that run one after the other are compared by their sums. Else none.
    `alone`: the same for whole mappings, and in the end 1 if the sum is multiplied by the ticks.
    """

    value: Value
    uses: tuple[bool, bool, bool, bool]
    then: Value | None = None
    weights: Weights = NO_WEIGHTS
    alone: Weights = NO_WEIGHTS

    def order(self, cost: Cost) -> tuple[float, float, float, float]:
        """The order of whole mappings."""
        value = float(f"{self.value(cost):.12g}")
        return value, 0.0 if self.then is None else self.then(cost), cost.energy, cost.ticks

    def beats(self, one: Cost, other: Cost) -> bool:
        """Is one nowhere worse than the other in what the objective looks at?"""
        energy, ticks, traffic, held = self.uses
        if self.weights != NO_WEIGHTS:
            return self.value(one) <= self.value(other) * SLACK and (not held or one.held <= other.held * SLACK)
        return (
            (not energy or one.energy <= other.energy * SLACK)
            and (not ticks or one.ticks <= other.ticks * SLACK)
            and (not traffic or one.traffic <= other.traffic * SLACK)
            and (not held or one.held <= other.held * SLACK)
        )


def aim(name: str, scale: Scale) -> Aim:
    """The aim of an objective by name."""
    return weighted(((name, 1.0),), scale)


def weighted(terms: tuple[tuple[str, float], ...], scale: Scale, then: tuple[tuple[str, float], ...] | None = None) -> Aim:
    """The aim of a weighted sum of figures; `then`: figures that decide among what is equal in these."""
    figures = [name for name, _ in (*terms, *(then or ()))]
    static = scale.static_pj_per_tick > 0
    energy = any(name in ("energy", "edp") for name in figures)
    ticks = any(name in ("latency", "edp") for name in figures) or (energy and static)
    seconds = 1 / scale.ticks_per_cycle / scale.clock_hz

    figure: dict[str, Value] = {
        "latency": lambda cost: scale.cycles(cost.ticks),
        "energy": lambda cost: scale.energy_pj(cost.energy, cost.ticks),
        "edp": lambda cost: scale.energy_pj(cost.energy, cost.ticks) * cost.ticks * seconds,
        "traffic": lambda cost: cost.traffic / scale.pieces / 8,
        "capacity": lambda cost: cost.held / scale.pieces,
    }
    if len(terms) == 1 and terms[0][1] == 1:
        value = figure[terms[0][0]]
    else:
        value = lambda cost: sum(weight * figure[name](cost) for name, weight in terms)  # noqa: E731
    ties: Value | None = None if then is None else lambda cost: sum(weight * figure[name](cost) for name, weight in then)
    uses = energy, ticks, "traffic" in figures, "capacity" in figures
    units = Cost(1.0, 0.0, 0.0, 0.0), Cost(0.0, 1.0, 0.0, 0.0), Cost(0.0, 0.0, 1.0, 0.0)
    weights = alone = NO_WEIGHTS
    if set(figures) <= {"latency", "energy", "traffic"} and then is None and (uses[0] or sum(uses) > 1):
        weights = alone = value(units[0]), value(units[1]), value(units[2]), 0.0
    elif figures == ["edp"]:
        alone = 1.0, scale.energy_pj(0.0, 1.0), 0.0, 1.0
    return Aim(value, uses, ties, weights, alone)
