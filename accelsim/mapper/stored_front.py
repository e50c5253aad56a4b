"""The front over stored elements: of all that was counted, the mappings that no other beats in two or three figures.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping, InputError
from accelsim.jobs.interrupts import stopped_by_interrupts
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.front import Front, Point, undominated
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapper.stored import refuse_unsearched
from accelsim.mapper.stored_judge import Choice, Problem, problems, too_large
from accelsim.mapper.stored_nest import MOST_COUNTED, NestSearch
from accelsim.mapper.stored_space import sequential
from accelsim.mapper.stored_sums import least_sums, sums, together, unrounded
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapper.stored_judge import Counted, Judge
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade


def stored_front(
    cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], figures: Sequence[str], request: Request,
    tell: Callable[[str], None] = lambda _: None,
) -> Front:  # fmt: skip
    """The front of what searches for each figure counted over stored elements, int64[dimensions, elements], formats as they are stated.

    `complete`: where nests are few, all that floors do not rule out are counted too. `figures`: of latency, energy and traffic. Refuses
    capacity, and what `search_stored` does.
    """
    if "capacity" in figures:
        raise InputError("over stored elements a front has latency, energy and traffic", "leave capacity out")
    refuse_unsearched(cascade, machine, stored, request)
    return _Fronts(cascade, machine, stored, figures, request, tell).run()


class _Fronts:
    def __init__(
        self, cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], figures: Sequence[str], request: Request,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.cascade, self.machine, self.stored, self.figures, self.request, self.tell = cascade, machine, stored, figures, request, tell
        self.interrupted = False
        self.started = cpu_seconds()
        self.covered = self.evaluated = 0

    def run(self) -> Front:
        """The fronts of all Einsums, put together."""
        with stopped_by_interrupts(self._interrupt):
            parts = list(problems(self.cascade, self.machine, self.stored, self.request, True))
            fronts = {part.einsum: self._front(part, len(parts)) for part in parts}
        found, spaces = list[Point](), {name: judge.space for name, (judge, _, _) in fronts.items()}
        evaluator = Evaluator(self.cascade, self.machine, self.request.counting)
        for each in together([counted for _, counted, _ in fronts.values()], self.figures):
            branches = {name: space.branch(one.choice.design) for (name, space), one in zip(spaces.items(), each.of, strict=True)}
            whole = evaluate_stored(evaluator, sequential(self.cascade, self.machine, branches), self.stored)
            if not too_large(whole, self.machine):
                values = tuple(OBJECTIVES[figure].value(whole.evaluation) for figure in self.figures)
                found.append(Point(whole.evaluation.mapping, whole.evaluation, values))
        if not found:
            what = f"no mapping of {self.cascade.name} on {self.machine.name} was found: {self.machine.root.name} does not hold all tensors"
            raise IllegalMapping(what, "enlarge it")
        complete = all(whole for _, _, whole in fronts.values()) and self.machine.root.size_bits is None
        tiles = "that divide" if self.request.tiles == "dividing" else "of every size that is tried"
        space = f"nests with tiles {tiles}" + ", one Einsum at a time" * (len(parts) > 1)
        seconds = cpu_seconds() - self.started
        return Front(tuple(self.figures), undominated(found), None, complete, self.covered, self.evaluated, seconds, space)

    def _interrupt(self) -> None:
        self.interrupted = True

    def _front(self, part: Problem, many: int) -> tuple[Judge, list[Counted], bool]:
        """What is counted of one Einsum in searches for each figure, less what is beaten; and whether all nests that may matter were."""
        counted: list[Counted] = []
        limit, share = self.request.time_limit, 1 / len(self.figures)
        for figure in self.figures:
            objective = OBJECTIVES[figure] if part.rounded else unrounded(OBJECTIVES[figure])
            one = replace(part, request=replace(part.request, objective=objective))
            end = math.inf if limit is None else cpu_seconds() + limit * share / many
            search = NestSearch(one, [()], self.tell, end, lambda: self.interrupted, share)
            search.most_listed = 0  # all figures are listed at once, below
            search.run()
            counted += search.judge.all_counted
            self.covered, self.evaluated = self.covered + search.judge.covered, self.evaluated + search.judge.evaluated
        last = NestSearch(part, [()], self.tell, math.inf, lambda: self.interrupted)
        before = last.judge.evaluated
        front, complete = self._listed(last, [each.of[0] for each in least_sums(map(sums, counted), self.figures)])
        self.evaluated += last.judge.evaluated - before
        return last.judge, front, complete

    def _listed(self, search: NestSearch, front: list[Counted]) -> tuple[list[Counted], bool]:
        """The front with all nests that it does not beat, and True, where these are few and there is time; else as it is."""
        designs = search.designs() if self.request.time_limit is None else None
        if designs is None:
            return front, False
        self.tell(f"listing {len(designs)} mappings")
        known = [sums(each) for each in front]
        for design in designs:
            choice = Choice(design)
            floor = search.judge.floors(choice)
            if floor is None or any(each.no_more(floor, self.figures) for each in known):
                continue
            if search.judge.evaluated > MOST_COUNTED or self.interrupted:
                return front, False
            point = search.judge.counted(choice)
            if point is not None:
                known = least_sums([*known, sums(point)], self.figures)
        self.covered = max(self.covered, len(designs))
        return [each.of[0] for each in known], not search.judge.unwalked
