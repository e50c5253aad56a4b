"""The climbing search: good mappings of cascades that the exact search has no form for, and those with tiles that do not divide."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapper.bound import least_cycles, least_transfer
from accelsim.mapper.build import build
from accelsim.mapper.climb import Climb, Point
from accelsim.mapper.enumerate import Limits, enumerate_space
from accelsim.mapper.objectives import Objective, key
from accelsim.mapper.parts import part
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design
from accelsim.mapper.spread import Spreader
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.floor import floor as algebraic
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade

_STARTS = 60
_REFINED = 2
_REFINED_FAR = 6  # for latency, while none has come close to the bound
_STEPS = 120
_CLOSE = 1.02  # one this close is not sought from further starts
_MOST_SPENT = 2200  # evaluations of parts (or their like in time) after which no further ones are searched
_SMALL = 128  # points of a single Einsum up to which all its mappings may be tried
_MOST_LISTED = 4000
_NEAR = 1.1  # a fused mapping this close to the bound from the start is not cut into parts


def floor(cascade: Cascade, architecture: Architecture) -> float:
    """Cycles that no mapping goes below, whatever its tiles."""
    launch = float(architecture.launch_s * architecture.clock_hz)
    return max(float(algebraic(cascade, architecture)["min_cycles"]), launch + least_cycles(Scope(cascade, architecture)) * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Consecutive Einsums with the best design found for them and its evaluation."""

    names: tuple[str, ...]
    design: Design
    point: Point
    soon: float
    """Cycles of the best that its first starts led to."""


class Climbing:
    def __init__(
        self,
        cascade: Cascade,
        architecture: Architecture,
        objective: Objective,
        seed: int,
        counting: Counting,
        tell: Callable[[str], None],
    ) -> None:
        self.cascade, self.architecture, self.objective = cascade, architecture, objective
        self.over: Callable[[], bool] = lambda: False  # whether to make do with what was found
        self.seed, self.counting, self.tell = seed, counting, tell
        self.evaluated = 0
        self.spent = 0
        self.refusal: Exception | None = None
        self.scope = Scope(cascade, architecture)
        self.evaluator = Evaluator(cascade, architecture, counting)
        self._least: float | None = None

    def floor(self) -> float:
        """Cycles that no mapping goes below, whatever its tiles."""
        if self._least is None:
            self._least = floor(self.cascade, self.architecture)
        return self._least

    def run(self) -> Evaluation:
        """The best mapping found; raises IllegalMapping where none is legal."""
        names = self.scope.groups()
        self.tell(f"fusing {len(names)} Einsums" if len(names) > 1 else "mapping one Einsum")
        whole = self._solve(names, _STARTS, _STEPS, _REFINED_FAR if self.objective.timely and len(names) > 1 else _REFINED)
        candidates = [] if whole is None else [[whole]]
        far = whole is None or bool(whole.design.recompute) or whole.soon > _NEAR * self.floor()
        if len(names) > 1 and far and (whole is None or not self.over()):
            latency = self.objective.name == "latency"
            candidates.append(self._cut(names, whole.soon if whole is not None and latency else float("inf"), whole is None))
        best: Evaluation | None = None
        for pieces in candidates:
            evaluation = self._composed(pieces)
            if evaluation is not None and (best is None or key(self.objective, evaluation) < key(self.objective, best)):
                best = evaluation
        for evaluation in self._exhaustive():
            if best is None or key(self.objective, evaluation) < key(self.objective, best):
                best = evaluation
        if best is None:
            raise self._none_legal()
        return best

    def _solve(self, names: Sequence[str], starts: int, steps: int, many: int = _REFINED) -> _Piece | None:
        """The best design of some consecutive Einsums under one set of shared loops; `many`: starts that are refined at most."""
        cascade = part(self.cascade, names)
        least = self._floor(names)
        floors = (least_cycles(Scope(cascade, self.architecture)), least) if len(names) > 1 else (0.0, 0.0)
        climb = Climb(cascade, self.architecture, self.objective, self.counting, self.tell, self.over)
        rng = random.Random(f"{self.seed} {' '.join(names)}")
        found = climb.starts(starts)
        refined: list[Point] = []
        for at, point in enumerate(found[:many]):
            floor = floors[at >= _REFINED]  # of work alone, so that the second start is not given up because of transfers
            if self.objective.timely and any(each.evaluation.cycles <= _CLOSE * floor for each in refined):
                break
            refined.append(climb.refine(point, steps, rng, least))
        self.evaluated += climb.evaluated
        self.spent += climb.spent
        self.refusal = self.refusal or climb.refusal
        if not refined:
            return None
        best = min(refined, key=lambda point: point.key)
        return _Piece(tuple(names), best.design, best, min(point.evaluation.cycles for point in refined[:_REFINED]))

    def _cut(self, names: tuple[str, ...], limit: float, needed: bool) -> list[_Piece]:
        """The best way found to run consecutive parts one after the other, never cut within a recurrence.

        Every Einsum alone comes first (or what a recurrence holds together), then the parts that have most to gain for each of these
        that they join, while there is work left to spend. `limit`: latency that is no gain; `needed`: whether no mapping is known yet.
        """
        edges = self._edges_of_parts(names)
        count, enough = len(edges) - 1, self.spent + _MOST_SPENT
        if count < 2:
            return []  # a recurrence holds all together
        parts = {(start, end): names[edges[start] : edges[end]] for start in range(count) for end in range(start + 1, count + 1)}
        del parts[0, count]
        timed = self.objective.name == "latency"
        least = {span: self._floor(part) if timed else 0.0 for span, part in parts.items()}  # what they take, once searched
        found: dict[tuple[int, int], _Piece] = {}

        def gain(span: tuple[int, int]) -> float:
            pieces = _plan(found, *span)
            most = self._value(pieces) - least[span]
            return (most if timed or pieces is None else most * self._crossing(pieces)) / (span[1] - span[0])

        def search(span: tuple[int, int]) -> None:
            if _through(least, *span, count) < min(limit, self._value(_plan(found, 0, count))):
                piece = self._solve(parts[span], 12, 24)
                least[span] = float("inf") if piece is None else piece.point.key[0] if timed else 0.0
                if piece is not None:
                    found[span] = piece
                self.tell(f"part {parts[span][0]} to {parts[span][-1]}, {self.evaluated} mappings")

        for start in range(count):
            if needed or not self.over():
                search((start, start + 1))
        wider = sorted((span for span in parts if span[1] - span[0] > 1), key=lambda span: (span[1] - span[0], span))
        gains = {span: gain(span) for span in wider}
        while gains and self.spent <= enough and not self.over():
            span = max(gains, key=gains.__getitem__)
            if gains.pop(span) <= 0:
                break
            search(span)
            if span in found:
                gains |= {each: gain(each) for each in gains if each[0] <= span[0] and span[1] <= each[1]}
        return [self._better(piece) for piece in _plan(found, 0, count) or []]

    def _crossing(self, pieces: Sequence[_Piece]) -> float:
        """The share of what parts move at the root that is of tensors which several of them touch, and might be kept inside."""
        moved: dict[str, list[int]] = {}
        for piece in pieces:
            own: dict[str, int] = {}
            for (_, tensor, memory), row in piece.point.evaluation.bits.items():
                if memory == self.scope.root:
                    own[tensor] = own.get(tensor, 0) + sum(row)
            for tensor, bits in own.items():
                moved.setdefault(tensor, []).append(bits)
        return sum(sum(each) for each in moved.values() if len(each) > 1) / max(1, sum(map(sum, moved.values())))

    @staticmethod
    def _value(pieces: list[_Piece] | None) -> float:
        """What parts that run one after the other take; unlimited if there are none."""
        return float("inf") if pieces is None else sum(piece.point.key[0] for piece in pieces)

    def _edges_of_parts(self, names: tuple[str, ...]) -> list[int]:
        """Where parts may begin and end: what depends on itself through an earlier slice is in one."""
        places = [[names.index(name) for name in cycle] for cycle in self.scope.facts.cycles]
        return [cut for cut in range(len(names) + 1) if not any(min(each) < cut <= max(each) for each in places)]

    def _better(self, piece: _Piece) -> _Piece:
        """A part of the final cut searched with the budget of a whole cascade."""
        if self.over() or (self.objective.timely and piece.point.evaluation.cycles <= _CLOSE * self._floor(piece.names)):
            return piece
        again = self._solve(piece.names, _STARTS, _STEPS)
        return again if again is not None and again.point.key < piece.point.key else piece

    def _floor(self, names: Sequence[str]) -> float:
        """Cycles that consecutive Einsums run as a part cannot go below."""
        cascade = part(self.cascade, names)
        return max(least_cycles(Scope(cascade, self.architecture)), least_transfer(cascade, self.architecture))

    def _composed(self, pieces: list[_Piece]) -> Evaluation | None:
        if not pieces:
            return None
        groups = [(piece.names, piece.design) for piece in pieces]
        name = f"{self.cascade.name} on {self.architecture.name}"
        self.evaluated += 1
        try:
            return self.evaluator.evaluate(build(self.scope, Spreader(self.scope), groups, name))
        except (IllegalMapping, InputError) as refusal:
            self.refusal = self.refusal or refusal
            return None

    def _exhaustive(self) -> Iterator[Evaluation]:
        """Every mapping of a single small Einsum; nothing for larger ones."""
        points = math.prod(self.cascade.extents[rank] for rank in self.cascade.work[0].ranks)
        if len(self.cascade.work) > 1 or points > _SMALL or self.scope.share:
            return
        limits = Limits(dividing=False, most=_MOST_LISTED)
        try:
            mappings = list(enumerate_space(self.cascade, self.architecture, limits))
        except InputError:  # more mappings than are worth listing
            return
        for mapping in mappings:
            self.evaluated += 1
            try:
                yield self.evaluator.evaluate(replace(mapping, name=f"{self.cascade.name} on {self.architecture.name}"), checked=True)
            except (IllegalMapping, InputError) as refusal:
                self.refusal = self.refusal or refusal

    def _none_legal(self) -> Exception:
        if isinstance(self.refusal, InputError):
            return self.refusal
        what = f"no legal mapping of {self.cascade.name} on {self.architecture.name} was found"
        if isinstance(self.refusal, IllegalMapping):
            return IllegalMapping(f"{what}: {self.refusal.what}", self.refusal.mend)
        return IllegalMapping(what, "enlarge the memory that is too small")


def _through(least: dict[tuple[int, int], float], start: int, end: int, count: int) -> float:
    """The least that all parts take together if one of them is that between two edges, and each takes its least."""

    def between(first: int, last: int) -> float:
        best = [0.0]
        for edge in range(first + 1, last + 1):
            best.append(min(best[before - first] + least.get((before, edge), float("inf")) for before in range(first, edge)))
        return best[-1]

    return between(0, start) + least[start, end] + between(end, count)


def _plan(found: dict[tuple[int, int], _Piece], start: int, end: int) -> list[_Piece] | None:
    """The parts from one edge to another with the least sums of values, then of energy; None if there are none."""
    best: list[tuple[tuple[float, ...], list[_Piece]] | None] = [((0.0, 0.0, 0.0), [])]
    for edge in range(start + 1, end + 1):
        ways = []
        for before in range(start, edge):
            known, piece = best[before - start], found.get((before, edge))
            if known is not None and piece is not None:
                sums = tuple(one + more for one, more in zip(known[0], piece.point.key[:3], strict=True))
                ways.append((sums, [*known[1], piece]))
        best.append(min(ways, key=lambda way: way[0], default=None))
    last = best[-1]
    return None if last is None else last[1]
