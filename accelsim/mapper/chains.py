"""Ways through the cuts of a cascade: labels that dynamic programming compares, and what the rest of a cascade costs around a part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.mapper.figures import NOTHING, Aim, Cost
from accelsim.mapper.leaf_plan import FloatArray, IntArray
from accelsim.mapper.options import Option, Solved
from accelsim.mapper.pieces import Stretch


@dataclass(frozen=True, slots=True)
class Label:
    """A way to run the Einsums up to a cut: its cost, and the part that came last, with its option; None: with a bound instead.

    aside: the bound is that of the part's variants.
    """

    cost: Cost
    before: Label | None = None
    step: Step | None = None
    option: Option | None = None
    aside: bool = False

    def chain(self) -> list[Label]:
        """The labels of all parts, the first first."""
        found: list[Label] = []
        at: Label | None = self
        while at is not None and at.step is not None:
            found.append(at)
            at = at.before
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Step:
    """A part between two cuts (see `Cuts`): its Einsums, the tensors that are resident during it and after it, and what is known of it."""

    first: int
    end: int
    stretch: Stretch
    resident: frozenset[str]
    after: frozenset[str]
    solved: Solved


class Surroundings:
    """What all Einsums before and after a part cost. cuts: all of them, each after those that lead to it; steps: parts between two;
    launch: ticks of each part, that of the part in the middle among what is around it.
    """

    def __init__(self, aim: Aim, cuts: list[int], steps: list[Step], launch: float = 0.0) -> None:
        self.launch = launch
        self.aim, self._place = aim, {cut: at for at, cut in enumerate(cuts)}
        self.count = count = len(cuts) - 1
        self._steps = steps = [step for step in steps if step.solved.floor() is not None]
        places = [(self._place[step.first], self._place[step.end]) for step in steps]
        self._cuts = np.array(places, np.int64).reshape(-1, 2)
        self._floors = np.array([_figures(step.solved.floor()) for step in steps]).reshape(-1, 4) + np.array([0.0, launch, 0.0, 0.0])
        forth = sorted(((*place, step) for place, step in zip(places, steps, strict=True)), key=lambda each: each[0])
        back = [(count - end, count - first, step) for first, end, step in sorted(forth, key=lambda each: -each[1])]
        self._before = self._least(self._cuts), self._known(forth)
        self._after = self._least(count - self._cuts[:, ::-1]), self._known(back)

    def of(self, parts: list[Solved]) -> list[list[tuple[Cost, Cost | None]]]:
        """For some parts, at each of its places: the least that all else can cost, and what it does cost at best as far as is known."""
        found: dict[int, dict[tuple[Cost, Cost | None], None]] = {id(part): {} for part in parts}
        for step in self._steps:
            first, end = self._place[step.first], self._place[step.end]
            places = found.get(id(step.solved))
            least, rest = self._before[0][first], self._after[0][self.count - end]
            if places is not None and np.isfinite(least[0]) and np.isfinite(rest[0]):
                known, others = self._before[1][first], self._after[1][self.count - end]
                both = known.after(others) if known is not None and others is not None and not step.resident else None
                energy, ticks, traffic, _ = (least + rest).tolist()
                around = Cost(energy, ticks, traffic, float(max(least[3], rest[3])))
                places[around.later(self.launch), None if both is None else both.later(self.launch)] = None
        return [list(found[id(part)]) for part in parts]

    def _least(self, cuts: IntArray) -> FloatArray:
        """The least of each figure of what lies before each cut."""
        found = np.full((self.count + 1, 4), np.inf)
        found[0] = 0.0
        for first in range(self.count):
            rows = np.flatnonzero(cuts[:, 0] == first)
            total = self._floors[rows] + found[first]
            total[:, 3] = np.maximum(self._floors[rows, 3], found[first, 3])
            np.minimum.at(found, cuts[rows, 1], total)
        return found

    def _known(self, steps: list[tuple[int, int, Step]]) -> list[Cost | None]:
        """The best that is known of what lies before each cut, without residents."""
        known: list[Cost | None] = [NOTHING, *([None] * self.count)]
        for first, end, step in steps:
            sofar = known[first]
            for option in step.solved.options if sofar is not None and not step.resident else ():
                total, other = option.cost.later(self.launch).after(sofar), known[end]  # type: ignore[arg-type]
                if other is None or self.aim.order(total) < self.aim.order(other):
                    known[end] = total
        return known


def _figures(cost: Cost | None) -> tuple[float, float, float, float]:
    assert cost is not None
    return cost.energy, cost.ticks, cost.traffic, cost.held
