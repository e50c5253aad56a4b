"""What objectives are made of: energy, time, traffic and capacity of a (partial) mapping, and bounds on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accelsim.model.evaluation import Evaluator


@dataclass(frozen=True, slots=True)
class Scale:
    """From what the search counts (dynamic picojoules, ticks, pieces of a bit) to what an objective asks for."""

    power_w: float
    ticks_per_cycle: int
    clock_hz: float
    pieces: int

    @classmethod
    def of(cls, evaluator: Evaluator) -> Scale:
        """The scale of one machine and cascade."""
        clock = evaluator.clock
        return cls(evaluator.prices.power.value, clock.per_cycle, float(evaluator.architecture.clock_hz), clock.pieces)

    def cycles(self, ticks: float) -> float:
        """Ticks as cycles."""
        return ticks / self.ticks_per_cycle

    def energy_pj(self, dynamic: float, ticks: float) -> float:
        """Dynamic and static energy."""
        return dynamic + self.power_w * ticks / self.ticks_per_cycle / self.clock_hz * 1e12


@dataclass(frozen=True, slots=True)
class Cost:
    """Dynamic picojoules, ticks, pieces of a bit moved at the root, and held by memory 1 at its fullest moment."""

    energy: float
    ticks: float
    traffic: float
    held: float

    def after(self, before: Cost) -> Cost:
        """What a part costs together with the parts before it."""
        return Cost(self.energy + before.energy, self.ticks + before.ticks, self.traffic + before.traffic, max(self.held, before.held))


NOTHING = Cost(0.0, 0.0, 0.0, 0.0)
Value = Callable[[Cost], float]
SLACK = 1 + 1e-10


@dataclass(frozen=True, slots=True)
class Aim:
    """An objective as the search sees it: a value that no figure's growth lowers, and the figures that it looks at.

    `uses`: which of energy, ticks, traffic, held two partial mappings must be compared in.
    """

    value: Value
    uses: tuple[bool, bool, bool, bool]

    def beats(self, one: Cost, other: Cost) -> bool:
        """Is one nowhere worse than the other in what the objective looks at?"""
        energy, ticks, traffic, held = self.uses
        return (
            (not energy or one.energy <= other.energy * SLACK)
            and (not ticks or one.ticks <= other.ticks * SLACK)
            and (not traffic or one.traffic <= other.traffic * SLACK)
            and (not held or one.held <= other.held * SLACK)
        )


def aim(name: str, scale: Scale) -> Aim:
    """The aim of an objective by name."""
    static = scale.power_w > 0
    if name == "latency":
        return Aim(lambda cost: scale.cycles(cost.ticks), (False, True, False, False))
    if name == "energy":
        # energy = dynamic + power x time: one figure, additive
        return Aim(lambda cost: scale.energy_pj(cost.energy, cost.ticks), (True, static, False, False))
    if name == "edp":
        seconds = 1 / scale.ticks_per_cycle / scale.clock_hz
        return Aim(lambda cost: scale.energy_pj(cost.energy, cost.ticks) * cost.ticks * seconds, (True, True, False, False))
    if name == "traffic":
        return Aim(lambda cost: cost.traffic / scale.pieces / 8, (False, False, True, False))
    if name == "capacity":
        return Aim(lambda cost: cost.held / scale.pieces, (False, False, False, True))
    raise KeyError(name)
