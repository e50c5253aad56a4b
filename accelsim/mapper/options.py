"""What the exact search passes around: ways to run an Einsum or a part, what is known of a part, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.figures import SLACK, Aim, Cost
from accelsim.mapper.leaf import LeafSearch
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapping.tree import Mapping

if TYPE_CHECKING:
    from accelsim.mapper.part import Part


@dataclass(frozen=True, slots=True)
class Chosen:
    """One Einsum's way: on which unit, below which tile, and which row of its front."""

    search: LeafSearch
    names: Names
    number: int
    pointer: IntArray


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a part: trunk loops (rank, tile), keeps above the fuse by how many loops stand above, copies, and its Einsums.

    Several consecutive Einsums may have a trunk of their own, inside this one.
    """

    cost: Cost
    schedule: str
    loops: tuple[tuple[str, int], ...]
    keeps: tuple[tuple[int, tuple[str, ...]], ...]
    copies: tuple[tuple[str, int], ...]
    leaves: tuple[Chosen | Option, ...]

    @property
    def kept(self) -> set[str]:
        """Tensors that are kept above a fuse, this one or one inside it."""
        own = {tensor for _, tensors in self.keeps for tensor in tensors}
        return own.union(*(leaf.kept for leaf in self.leaves if isinstance(leaf, Option)))

    @property
    def parts(self) -> int:
        """How many parts the mapping has for it (see `accelsim.mapping.tree.parts`): one for each Einsum if no loop stands above them."""
        if self.loops or self.schedule != "sequential":
            return 1
        return sum(leaf.parts if isinstance(leaf, Option) else 1 for leaf in self.leaves)

    def chosen(self) -> list[Chosen]:
        """The Einsums, wherever they stand."""
        return [each for leaf in self.leaves for each in ([leaf] if isinstance(leaf, Chosen) else leaf.chosen())]


@dataclass(slots=True)
class Solved:
    """The good options of a part, lower bounds of what was not explored, and how many combinations were covered and worked out.

    aside: bounds of the variants of the part, which are explored when the rest of the cascade is; counted: whether they are in the space.
    """

    options: list[Option] = field(default_factory=list)
    rest: list[Cost] = field(default_factory=list)
    aside: list[Cost] = field(default_factory=list)
    counted: bool = True
    covered: int = 0
    evaluated: int = 0
    part: Part | None = None

    _floor: tuple[list[Option], list[Cost], list[Cost], Cost | None] | None = None

    def floor(self) -> Cost | None:
        """The least of every figure of all that is known; None: there is no way to run the part. Not to be asked while it is explored."""
        known = self._floor
        if known is None or known[0] is not self.options or known[1] is not self.rest or known[2] is not self.aside:
            costs = [*(option.cost for option in self.options), *self.rest, *(self.aside if self.counted else ())]
            figures = (min(getattr(cost, figure) for cost in costs) for figure in ("energy", "ticks", "traffic", "held"))
            self._floor = known = self.options, self.rest, self.aside, Cost(*figures) if costs else None
        return known[3]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of many ways to run a part: float64[n] each."""

    energy: FloatArray
    ticks: FloatArray
    traffic: FloatArray

    def cost(self, at: int, held: float) -> Cost:
        """One of them."""
        return Cost(float(self.energy[at]), float(self.ticks[at]), float(self.traffic[at]), held)

    def some(self, which: IntArray) -> Bounds:
        """Those at some places."""
        return Bounds(self.energy[which], self.ticks[which], self.traffic[which])

    def lesser(self, other: Bounds) -> Bounds:
        """The lesser of both."""
        pairs = (self.energy, other.energy), (self.ticks, other.ticks), (self.traffic, other.traffic)
        return Bounds(*(np.minimum(one, another) for one, another in pairs))

    def where(self, good: NDArray[np.bool_], other: float) -> Bounds:
        """These at some places, another figure at all others."""
        return Bounds(*(np.where(good, each, other) for each in (self.energy, self.ticks, self.traffic)))

    def figures(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Energy, ticks and traffic."""
        return self.energy, self.ticks, self.traffic

    def wide(self, many: int) -> Bounds:
        """As many, if one stands for all."""
        return Bounds(*(np.broadcast_to(each, many) for each in (self.energy, self.ticks, self.traffic)))

    def least(self, held: float) -> Cost:
        """The least of every figure."""
        return Cost(float(self.energy.min()), float(self.ticks.min()), float(self.traffic.min()), held)

    @staticmethod
    def joined(parts: list[Bounds]) -> Bounds:
        """All of several."""
        every = [(part.energy, part.ticks, part.traffic) for part in parts] or [(np.zeros(0),) * 3]
        return Bounds(*map(np.concatenate, zip(*every, strict=True)))


@dataclass(frozen=True, slots=True)
class Way:
    """What running an Einsum on a unit costs at least: energy and times (float64[n, 1 + times]), and the largest of the times."""

    unit: str
    rows: FloatArray
    busiest: FloatArray

    def least(self, other: Way) -> Way:
        """The lesser of both."""
        return Way(self.unit, np.minimum(self.rows, other.rows), np.minimum(self.busiest, other.busiest))

    def most(self, other: Way) -> Way:
        """The larger of both."""
        return Way(self.unit, np.maximum(self.rows, other.rows), np.maximum(self.busiest, other.busiest))


@dataclass(frozen=True, slots=True)
class Result:
    """The best mapping, the lower bound on the objective over the space, and how much of the space that took."""

    mapping: Mapping
    value: float
    bound: float
    covered: int
    evaluated: int


@dataclass(slots=True)
class Limits:
    """When to stop: `deadline` on the clock `cpu_seconds`, `work` in steps of a fixed size, `gap` that is good enough."""

    deadline: float = float("inf")
    work: float = float("inf")
    gap: float = 0.0
    spent: float = 0.0
    allowed: float = float("inf")  # of `spent`, after which what is being worked out is put off
    _noted: float = field(default_factory=cpu_seconds)

    @property
    def over(self) -> bool:
        """Whether time or work is up."""
        return self.spent > self.work or (self.deadline < float("inf") and cpu_seconds() > self.deadline)

    def stop(self) -> None:
        """Let everything end that can."""
        self.work = -1.0

    def extend(self, deadline: float) -> None:
        """Go on until another time."""
        self.deadline, self._noted = deadline, cpu_seconds()

    def spend(self, work: float) -> bool:
        """Account for some steps; says whether to leave off, also where what comes next, twice as much, would not end in time."""
        self.spent += work
        if self.deadline < float("inf"):
            now = cpu_seconds()
            step, self._noted = now - self._noted, now
            if now + 2 * step > self.deadline:
                return True
        return self.over or self.spent > self.allowed


class Cutoff:
    """What is known of whole mappings while one part is explored: a part is of no use where nothing around it makes up for its cost.

    around: for each place of the part, the least that all else can cost, and what it costs at best so far. best: of whole mappings.
    """

    def __init__(self, aim: Aim, around: list[tuple[Cost, Cost | None]], best: float | None, gap: float) -> None:
        self.aim, self.around, self.gap = aim, around, gap
        self.best = float("inf") if best is None else best
        self.ties = 1.0 if aim.then is None else SLACK**3  # what is as good as the best may be better by what decides ties

    def copy(self) -> Cutoff:
        """The same as it is now."""
        return Cutoff(self.aim, self.around, self.best, self.gap)

    def note(self, cost: Cost) -> None:
        """A way to run the part has been found."""
        self.best = min([self.best, *(self.aim.value(cost.after(known)) for _, known in self.around if known is not None)])

    def allowed(self, bounds: Cost) -> NDArray[np.bool_]:
        """The same of many bounds, whose figures are arrays; what only the gap rules out is allowed."""
        found = [np.asarray(self.aim.value(bounds.after(least))) * SLACK < self.best * self.ties for least, _ in self.around]
        return found[0] if len(found) == 1 else np.asarray(np.any(found, axis=0))

    def allows(self, bound: Cost) -> bool:
        """Whether something with this lower bound may be part of a mapping that is better than the best."""
        return any(self.aim.value(bound.after(least)) * (1 + self.gap) * SLACK < self.best * self.ties for least, _ in self.around)

    def headroom(self, bound: Cost) -> tuple[float, float]:
        """How much more energy than a bound, and how many more ticks, something of use may take; rather too much than too little."""
        return self._further(bound, 1.0, 0.0), self._further(bound, 0.0, 1.0)

    def _further(self, bound: Cost, energy: float, ticks: float) -> float:
        """How often more energy and ticks can be added until nothing is of use any more."""

        def value(times: float) -> float:
            cost = Cost(bound.energy + times * energy, bound.ticks + times * ticks, bound.traffic, bound.held)
            return min(self.aim.value(cost.after(least)) for least, _ in self.around)

        if not self.around or self.best == float("inf"):
            return float("inf")
        best = self.best * self.ties
        start, unit = value(0.0), max(bound.energy * energy, bound.ticks * ticks, 1.0)
        slope = (value(unit) - start) / unit
        if slope <= 0.0:
            return float("inf")
        found = max(0.0, best - start) / slope
        for _ in range(100):  # the objective may grow faster further on, and slower before
            if value(found) * SLACK >= best:
                return found
            found += 0.25 * found + 1e-9 * unit
        return float("inf")
