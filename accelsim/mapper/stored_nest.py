"""Search over stored elements of one Einsum: the nest, and how its tensors are stored, that the exact counts find best.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.stored_formats import Formats, stated
from accelsim.mapper.stored_judge import Choice, Counted, Judge, Problem
from accelsim.mapper.stored_sample import may_sample, sample

if TYPE_CHECKING:
    from accelsim.mapper.stored_floor import Floor
    from accelsim.mapper.stored_space import NestDesign

MOST_LISTED = 30_000  # choices of a nest and of formats up to which all of them are looked at
MOST_COUNTED = 6000  # and of which so many are counted: those with floors below the best
_PASSED = 10  # times as many are gone through to find those that obey constraints
BUDGET = 3000  # evaluations of small nests, or their like in operations, that climbing spends
SAMPLED = 100_000  # operations beyond which nests are looked for on a sample
SAMPLE = 4000  # operations that a sample should have
_STARTS = 240  # that are counted at most, and of orders by fibers
_REFINED = 3  # starts that are counted whatever their floors
_FIRST = 0.6  # of the budget, for starts; the rest is for steps from the best
_TRIED = 8
_VAIN = 20
_FINALISTS = 16  # the best of so many outlines
_OUTLINES = 64
CLOSE = 1 + 1e-6
_STOPPED = "the search over stored elements was stopped"


@dataclass(frozen=True, slots=True)
class NestFound:
    """The best choice for an Einsum, and what is known of others: whether all that the space has were ruled out (`complete`), the least
    of all mappings, why there was no exact search, and the sample that nests were looked for on.
    """

    best: Counted
    complete: bool
    least: float
    no_exact: str
    sample: dict[str, Any]

    @property
    def bound(self) -> float:
        """What no nest of the space can go below."""
        return self.best.key[0] if self.complete else self.least

    @property
    def proved(self) -> bool:
        """Whether nothing better is possible."""
        return self.complete or (bool(self.least) and self.near)

    @property
    def near(self) -> bool:
        """Whether the best has the least of all mappings."""
        return self.best.key[0] <= self.least * CLOSE


class NestSearch:
    """The search for one Einsum. `formats`: those that may be chosen; `end`: CPU seconds at which it makes do with what was found;
    `stopped`: whether it has to at once; `share`: of the work that a search takes.
    """

    def __init__(
        self, problem: Problem, formats: list[Formats], tell: Callable[[str], None], end: float, stopped: Callable[[], bool],
        share: float = 1.0,
    ) -> None:  # fmt: skip
        self.problem, self.formats, self.tell, self.end, self.stopped = problem, formats, tell, end, stopped
        self.judge = Judge(problem)
        self.budget, self.most_listed, self.most_counted = int(BUDGET * share), int(MOST_LISTED * share), int(MOST_COUNTED * share)
        self.rng = random.Random(problem.request.seed)
        self.sample: dict[str, Any] = {}
        self.no_exact = ""
        self.anywhere: Floor | None = None
        self.least: float | None = None  # of all mappings

    def over(self) -> bool:
        """Whether to make do with what was found."""
        return self.stopped() or cpu_seconds() > self.end

    def run(self) -> NestFound:
        """The best that is found; raises what there is to say where nothing is."""
        nest = self.problem.bare(self.judge.space)
        self.anywhere = self.judge.anywhere(nest)
        self.least = least = self.anywhere.of(self.problem.objective, self.problem.rounded)
        operations = self.judge.need(nest).effectual
        best = self._by_sample(operations) if operations > SAMPLED and may_sample(self.problem) else None
        best = self._climbed(self.judge, None if best is None else [best])
        best, complete = self._listed(best, least)
        if best is None:
            raise self._nothing()
        return NestFound(best, complete, least, self.no_exact, self.sample)

    def _climbed(self, judge: Judge, begin: list[Counted] | None) -> Counted | None:
        """The best that is reached from some choices, or from many starts, by steps that each are better."""
        found, least = begin or self._started(judge), -math.inf if self.least is None else self.least
        best: Counted | None = None
        for point in found:
            reached = self._refined(judge, point)
            best = reached if best is None or reached.key < best.key else best
            if judge.spent > self.budget * _FIRST or self.over() or best.key[0] <= least * CLOSE:
                break
        vain = 0  # times that nothing new was counted
        while best is not None and vain < _VAIN and judge.spent <= self.budget and not self.over() and best.key[0] > least * CLOSE:
            before = judge.evaluated
            reached = self._refined(judge, self._kicked(judge, best))
            best = min(best, reached, key=lambda each: each.key)
            vain = vain + 1 if judge.evaluated == before else 0
        return best

    def _kicked(self, judge: Judge, point: Counted) -> Counted:
        """A choice a few random steps away."""
        for _ in range(self.rng.randint(2, 4)):
            neighbours = list(dict.fromkeys(self._around(judge, point.choice)))
            for choice in self.rng.sample(neighbours, min(_TRIED, len(neighbours))):
                if (other := judge.counted(choice)) is not None:
                    point = other
                    break
        return point

    def _started(self, judge: Judge) -> list[Counted]:
        """Starts with the lowest floors, counted, the best first."""
        formats = self._first_formats()
        designs = dict.fromkeys(tidy for each in judge.space.starts() if (tidy := judge.tidy(each)) is not None)
        ranked = heapq.nsmallest(_STARTS * 4, ((judge.floor(Choice(each, formats)), n, each) for n, each in enumerate(designs)))
        others = [each for _, _, each in ranked]
        self.rng.shuffle(others)
        fibers = [tidy for each in judge.space.by_fibers() if (tidy := judge.tidy(each)) is not None]
        self.rng.shuffle(fibers)
        chosen = list(dict.fromkeys((*fibers[:_STARTS], *others)))
        counted: list[Counted] = []
        for design in chosen:
            if (judge.spent > self.budget // 3 and counted) or len(counted) >= 2 * _STARTS or (self.over() and counted):
                break
            best = min((each.key[0] for each in counted), default=math.inf)
            if (point := judge.counted(Choice(design, formats), best if len(counted) >= _REFINED else math.inf)) is not None:
                counted.append(point)
                self._told(judge, min(counted, key=lambda each: each.key))
        if not counted:  # nothing is kept where all that starts keep is too large
            bare = [tidy for unit in judge.space.units if (tidy := judge.tidy(judge.space.bare(unit))) is not None]
            counted = [point for design in bare if (point := judge.counted(Choice(design, formats))) is not None]
        return sorted(counted, key=lambda each: each.key)

    def _first_formats(self) -> Formats:
        """Formats as the workload states them where they may be chosen."""
        names = dict(self.formats[0])
        wanted = tuple(stated(self.problem.cascade, names).items())
        return wanted if wanted in self.formats else self.formats[0]

    def _refined(self, judge: Judge, best: Counted) -> Counted:
        """Steps to neighbours, in random order, as long as one is better and the budget lasts."""
        stop = max(self.budget, judge.spent + self.budget // 10)
        moved = True
        while moved:
            moved = False
            neighbours = list(dict.fromkeys(self._around(judge, best.choice)))
            self.rng.shuffle(neighbours)
            for choice in neighbours:
                if judge.spent > stop or self.over():
                    return best
                point = judge.counted(choice, best.key[0] * CLOSE)
                if point is not None and point.key[:3] < best.key[:3]:
                    best, moved = point, True
                    self._told(judge, best)
                    break
        return best

    def _around(self, judge: Judge, choice: Choice) -> Iterator[Choice]:
        for design in judge.space.around(choice.design):
            tidy = judge.tidy(design)
            if tidy is not None and tidy != choice.design:
                yield replace(choice, design=tidy)
        for formats in self.formats:
            if sum(one != other for one, other in zip(formats, choice.formats, strict=False)) == 1:
                yield replace(choice, formats=formats)

    def _told(self, judge: Judge, best: Counted) -> None:
        objective = self.problem.objective
        self.tell(f"{judge.evaluated} mappings counted, best {objective.value(best.found.evaluation):.6g} {objective.unit}")

    def _listed(self, best: Counted | None, least: float) -> tuple[Counted | None, bool]:
        """The best of all choices and True, if they are few; else what is given and False."""
        if best is not None and best.key[0] <= least * CLOSE:
            return best, False
        designs = self.designs()
        if designs is None:
            self.no_exact = f"over stored elements more than {self.most_listed:,} nests and formats are not listed"
            return best, False
        self.tell(f"listing {len(designs) * len(self.formats)} mappings")
        ranked = list[tuple[float, int]]()
        for number, design in enumerate(designs):
            if self.over():
                self.no_exact = _STOPPED
                return best, False
            ranked.append((min(self.judge.floor(Choice(design, formats)) for formats in self.formats), number))
        ranked.sort()
        worth = sum(floor < (math.inf if best is None else best.key[0]) for floor, _ in ranked) * len(self.formats)
        if worth > self.most_counted:
            self.no_exact = f"over stored elements {worth:,} nests and formats may be better, more than are counted one by one"
            return best, False
        for floor, number in ranked:
            if (best is not None and floor >= best.key[0]) or math.isinf(floor):
                break
            for formats in self.formats:
                if self.over():
                    self.no_exact = _STOPPED
                    return best, False
                point = self.judge.counted(Choice(designs[number], formats), math.inf if best is None else best.key[0])
                if point is not None and (best is None or point.key < best.key):
                    best = point
                    self._told(self.judge, best)
        if self.judge.unwalked:
            self.no_exact = f"{self.judge.unwalked} nests take too long to count"
            return best, False
        self.judge.covered = len(designs) * len(self.formats)
        return best, True

    def designs(self) -> list[NestDesign] | None:
        """All nests that obey the constraints, None if with the formats they are more than are listed."""
        most = self.most_listed * (_PASSED if self.problem.request.constraints else 1)
        found: list[NestDesign] = []
        for number, design in enumerate(self.judge.space.every()):
            found += [design] if self.judge.rules.obeys(design) else []
            if len(found) * len(self.formats) > self.most_listed or number * len(self.formats) > most:
                return None
        return found

    def _by_sample(self, operations: int) -> Counted | None:
        """The best of what is found on a sample of all ranks, counted over all elements; None if none of it fits."""
        small = sample(self.problem, operations, SAMPLE)
        if small.is_empty:
            return None
        judge, least = Judge(small.problem), self.least
        self.least = None
        self._climbed(judge, None)
        self.least = least
        ranked = list[Counted]()
        for each in sorted(judge.all_counted, key=lambda each: each.key):
            if judge.space.outline(each.choice.design) not in [judge.space.outline(other.choice.design) for other in ranked[:_OUTLINES]]:
                ranked.append(each)
        best: Counted | None = None
        for number, each in enumerate(ranked):
            if (number >= _FINALISTS and (best is not None or self.judge.spent > self.budget)) or (self.over() and best is not None):
                break
            tidy = self.judge.tidy(each.choice.design)
            if tidy is None:
                continue
            point = self.judge.counted(replace(each.choice, design=tidy), math.inf if best is None else best.key[0])
            if point is not None and (best is None or point.key < best.key):
                best = point
        self.sample = small.to_json() | {"counted": judge.evaluated}
        return best

    def _nothing(self) -> AccelsimError:
        """Why nothing was found."""
        problem = self.problem
        of = problem.cascade.name if problem.rounded else f"{problem.einsum} of {problem.cascade.name}"
        what = f"no mapping of {of} on {problem.machine.name} was found"
        if problem.request.constraints:
            what += " that obeys all constraints"
        if self.judge.too_large:
            return IllegalMapping(f"{what}: {self.judge.too_large} holds less than the tiles that were tried", "enlarge it")
        mend = "leave a constraint out" if problem.request.constraints else "allow more time"
        return self.judge.refusal or IllegalMapping(what, mend)
