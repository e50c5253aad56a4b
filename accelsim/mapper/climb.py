"""Search over the designs of one cascade under one set of shared loops: many starts in closed form, the best refined step by step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapper import effort
from accelsim.mapper.build import build
from accelsim.mapper.leaves import planned
from accelsim.mapper.moves import Move, Moves
from accelsim.mapper.objectives import Key, Objective, key
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, LeafDesign
from accelsim.mapper.spread import Spreader
from accelsim.mapper.trunks import Trunks, fusible, shared_ranks
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.model.schedule import DEPENDENCE
from accelsim.workload.cascade import Cascade
from accelsim.workload.dependence import dependences

_MOST_COPIES = 64
_EXACT = 8
_UNLOCKED = 6
_FAR = 1.1  # times the least cycles, beyond which more kinds of moves are tried


def without_conditions(cascade: Cascade) -> Cascade:
    """The cascade with every condition lifted that no recurrence needs: quick to count, never less work.

    A recurrence needs the condition by which it reads earlier slices alone, as in `L[q] = W[q,u] * Y[u] where u < q`.
    """
    lifted = tuple(replace(einsum, condition=None) for einsum in cascade.einsums)
    before = dependences(cascade.einsums, cascade.sizes, cascade.extents)
    after = dependences(lifted, cascade.sizes, cascade.extents)
    needed = {edge.consumer for edge in {*before} - {*after}}
    kept = tuple(einsum if einsum.name in needed else bare for einsum, bare in zip(cascade.einsums, lifted, strict=True))
    return replace(cascade, einsums=kept)


@dataclass(frozen=True, slots=True)
class Point:
    """A design with its mapping's evaluation and its place in the order of mappings."""

    design: Design
    evaluation: Evaluation
    key: Key


class Climb:
    """One group's search; counts what it evaluates."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, objective: Objective, counting: Counting, tell: Callable[[str], None],
        over: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.scope = Scope(cascade, architecture)
        self.spreader = Spreader(self.scope)
        self.evaluator = Evaluator(cascade, architecture, counting)
        self.screen = Evaluator(without_conditions(cascade), architecture, counting) if self.scope.share else self.evaluator
        self.objective, self.tell, self.over = objective, tell, over
        self.names = self.scope.groups()
        self.evaluated = 0
        self.spent = 0
        self.seen: dict[Design, Point | None] = {}
        self.refusal: IllegalMapping | InputError | None = None

    def mapping(self, design: Design) -> Mapping:
        """The mapping of a design, named after its cascade and machine."""
        name = f"{self.scope.cascade.name} on {self.scope.architecture.name}"
        return build(self.scope, self.spreader, [(self.names, design)], name)

    def point(self, design: Design) -> Point | None:
        """A design evaluated, or None if it is not legal or takes too long to count; every design is evaluated once."""
        if design not in self.seen:
            tiles = self._listed(design)
            self.spent += effort.evaluations(tiles) if tiles <= effort.MOST_TILES else 1
            self.seen[design] = self._evaluated(design, self.evaluator) if tiles <= effort.MOST_TILES else None
        return self.seen[design]

    def _evaluated(self, design: Design, evaluator: Evaluator) -> Point | None:
        self.evaluated += 1
        try:
            evaluation = evaluator.evaluate(self.mapping(design))
        except (IllegalMapping, InputError) as refusal:
            self.refusal = self.refusal or refusal
            return None
        return Point(design, evaluation, key(self.objective, evaluation))

    def _listed(self, design: Design) -> int:
        """Tiles that counting the design's mapping looks at one by one."""
        leaves = planned(self.scope, self.spreader, self.names, design) if self.scope.share else []
        return effort.tiles(self.scope, [(leaf.einsum, (*design.trunk, *leaf.loops)) for leaf in leaves])

    def starts(self, budget: int) -> list[Point]:
        """First designs, best first: those that the closed form finds slow are not evaluated."""
        shared = shared_ranks(self.scope)
        if not fusible(self.scope, shared):
            return []
        trunks = Trunks(self.scope, self.spreader, shared)
        candidates: dict[Design, tuple[float, int]] = {}
        for home in self.scope.homes():
            for design in trunks.first(home):
                if design not in candidates:
                    candidates[design] = (float(f"{trunks.pace(home, design.trunk):.6g}"), len(candidates))
        ranked = sorted(candidates, key=lambda design: candidates[design])
        screened: list[Point] = []
        for design in ranked[:budget]:
            if screened and self.over():
                break
            if (point := self._screened(design)) is not None:
                screened.append(point)
        if not screened and self.scope.share:
            coarse = [self._coarse(design) for design in ranked[:budget]]
            screened = [point for design in coarse if (point := self._screened(design)) is not None]
        screened.sort(key=lambda point: point.key)
        if self.screen is self.evaluator:
            screened.sort(key=lambda point: (_promise(point), point.key))
            return sorted([*map(self._unlock, screened[:_UNLOCKED]), *screened[_UNLOCKED:]], key=lambda point: point.key)
        exact: list[Point] = []
        for point in screened[:_EXACT]:
            found = self.point(point.design) if self.spent < budget or not exact else None
            if found is not None:
                exact.append(found)
        return sorted(exact, key=lambda point: point.key)

    def _screened(self, design: Design) -> Point | None:
        """A design evaluated quickly: conditions left out."""
        if self.screen is self.evaluator:
            return self.point(design)
        return self._evaluated(design, self.screen) if self._listed(design) <= effort.MOST_TILES else None

    def _coarse(self, design: Design) -> Design:
        """A design in which no leaf steps through ranks under its condition, so that few tiles have to be looked at."""
        leaves = []
        for leaf in planned(self.scope, self.spreader, self.names, design):
            coupled = self.scope.coupled[leaf.einsum]
            if coupled:
                inner = tuple((rank, self.scope.cascade.extents[rank]) for rank in sorted(coupled))
                leaves.append((leaf.einsum, LeafDesign(leaf.unit, inner=inner)))
        return replace(design, leaves=tuple(leaves))

    def refine(self, start: Point, budget: int, rng: random.Random, least: float) -> Point:
        """Descend from a point: the first neighbour that is better is taken, until none is or the budget of evaluations is spent.

        `least`: cycles that no mapping goes below; far from it, copies may take more or less each, and at equal cycles less energy counts.
        """
        moves = Moves(self.scope, self.spreader, shared_ranks(self.scope))
        best, stop = start, self.spent + budget
        while self.spent < stop:
            best = self._unlock(best)
            leaves = planned(self.scope, self.spreader, self.names, best.design)
            worth = self._worth(best.evaluation)
            far = self.objective.timely and best.evaluation.cycles > _FAR * least
            neighbours = {move.design: move for move in moves.around(best.design, leaves, far) if move.design not in self.seen}
            ranked = sorted(neighbours.values(), key=lambda move: -worth(move) * (0.5 + rng.random()))
            for design in [move.design for move in ranked]:
                if self.spent >= stop or self.over():
                    return best
                point = self.point(design)
                if point is not None and point.key[: 2 + far] < best.key[: 2 + far]:
                    best = point
                    self.tell(f"{self.evaluated} mappings, best {self.objective.value(best.evaluation):.6g} {self.objective.unit}")
                    break
            else:
                return best
        return best

    def _worth(self, evaluation: Evaluation) -> Callable[[Move], float]:
        """How much of what decides the objective a move may change: the share of its Einsum or its tensor."""
        einsums: dict[str, float] = dict.fromkeys(self.names, 0.0)
        tensors: dict[str, float] = {}
        limits = evaluation.timing.limits
        (what, kind), _ = max(limits.items(), key=lambda item: (item[1], item[0]))
        if self.objective.name == "latency" and kind == "compute":
            for name, load in evaluation.loads.items():
                einsums[name] = float(load.busy) if load.unit == what else 0.0
        elif self.objective.name == "latency" and kind == "memory":
            for (name, tensor, memory), row in evaluation.bits.items():
                if memory == what:
                    einsums[name] += float(sum(row))
                    tensors[tensor] = tensors.get(tensor, 0.0) + float(sum(row))
        else:
            for (_, tensor, _), row in evaluation.bits.items():
                tensors[tensor] = tensors.get(tensor, 0.0) + float(sum(row))
            einsums.update(evaluation.by_einsum)
        whole = max(1.0, sum(einsums.values()))
        moved = max(1.0, sum(tensors.values()))

        def worth(move: Move) -> float:
            if move.einsum:
                return 0.02 + einsums[move.einsum] / whole
            return 0.02 + 0.5 * tensors.get(move.tensor, 0.0) / moved if move.tensor else 0.3

        return worth

    def _unlock(self, point: Point) -> Point:
        """While too few copies of intermediates set the pace, keep more of them, or keep them out of inner memories."""
        depth = self.scope.depth
        for _ in range(4):
            limits = point.evaluation.timing.limits
            (_, kind), ticks = max(limits.items(), key=lambda item: (item[1], item[0]))
            if kind != DEPENDENCE:
                return point
            enough = max((value for (_, other), value in limits.items() if other != DEPENDENCE), default=ticks)
            copies, scarce = dict(point.design.copies), set()
            for (what, other), value in limits.items():
                words = what.split(" of ")
                if other == DEPENDENCE and value > enough and len(words) == 2 and words[0].split(" ")[0].isdigit():
                    held = int(words[0].split(" ")[0])
                    copies[words[1]] = min(_MOST_COPIES, max(held + 1, -(-value * held // max(1, enough))))
                    scarce.add(words[1])
            inside = {(tensor, memory) for tensor in scarce for memory in depth if depth[memory] > depth[point.design.home]}
            more = replace(point.design, copies=tuple(sorted(copies.items())))
            fewer = replace(point.design, bypass=point.design.bypass | inside)
            tried = [found for design in (more, fewer) if scarce and (found := self.point(design)) is not None]
            better = min(tried, key=lambda found: found.key, default=None)
            if better is None or better.key[:2] >= point.key[:2]:
                return point
            point = better
        return point


def _promise(point: Point) -> int | Fraction:
    """Ticks that a point would take if nothing waited for anything."""
    return max((ticks for (_, kind), ticks in point.evaluation.timing.limits.items() if kind != DEPENDENCE), default=0)
