"""The mapper: the best mapping of a cascade on a machine for an objective, with a certificate; the same for the same input and seed.

The exact search answers where it has a form for the cascade; small problems are listed with every tile; padding, and steps on the best
mapping, add tiles that do not divide; the climbing search does so too, and answers for recurrences, windows and conditions. The best of
what they find is returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.jobs.interrupts import stopped_by_interrupts
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.climbing import Climbing
from accelsim.mapper.constraints import Constraints
from accelsim.mapper.diagnosis import Diagnosis
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.objectives import Objective, key, objective_named
from accelsim.mapper.options import Limits, Result
from accelsim.mapper.padding import cut, padding
from accelsim.mapper.retiling import Retiling
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade

SCHEDULES = ("sequential", "pipelined")
_WORK = 100  # hundred thousands of candidates that the exact search may list where no time limit is given
_WORK_FOR_TIME = 80  # the same where energy is not part of the objective, and candidates are quicker to work out
_SHARE = 0.5  # of a time limit, after which an exact search waits until the climbing one is done
_PADDED = 0.75  # of a time limit, after which one on sizes that are easier to cut ends
_NEAR = 1.02  # of the least cycles of all mappings, within which tiles that do not divide are not looked for
_CLOSE = 1 + 1e-6  # of the bound, within which a mapping counts as the best
_THRIFTY = 8  # Einsums up to which less energy is looked for among mappings of a large problem that take no longer
_SMALL = 256  # points of each Einsum of a problem whose mappings are listed, with every tile
_FEW = 3  # and how many Einsums it has
_LISTED = 2500  # mappings beyond which it is not small after all


@dataclass(frozen=True, slots=True)
class Found:
    """The best mapping and its evaluation, whose `search` records how it was found. `interrupted`: by the user, before its end."""

    mapping: Mapping
    evaluation: Evaluation
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a search.

    `schedules`: those allowed inside parts. `tiles`: `dividing`, or `any` (the default). `time_limit`: CPU seconds, None for a fixed amount
    of work. `gap`: a relative distance from the lower bound that is good enough. `constraints`: what is ruled out.
    """

    objective: Objective
    seed: int = 0
    counting: Counting = field(default_factory=Counting)
    schedules: tuple[str, ...] = SCHEDULES
    tiles: str = "any"
    time_limit: float | None = None
    gap: float = 0.0
    constraints: Constraints = field(default_factory=Constraints)


def search(
    cascade: Cascade,
    architecture: Architecture,
    objective: str = "latency",
    seed: int = 0,
    counting: Counting | None = None,
    progress: Callable[[str], None] | None = None,
    request: Request | None = None,
) -> Found:
    """The best mapping found; refuses an unknown objective, and raises IllegalMapping where no mapping is legal.

    Where the cascade leaves sizes of parts of splits open, the mapping says which are best, and the evaluation's cascade has them.

    `request` says more than the arguments before it, and replaces them.
    """
    request = request or Request(objective_named(objective), seed, counting or Counting())
    if any(split.free for split in cascade.splits):
        from accelsim.mapper.splits import search_splits

        return search_splits(cascade, architecture, request, progress or _silent)
    return search_sized(cascade, architecture, request, progress or _silent)


def search_sized(cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None]) -> Found:
    """The same for a cascade all of whose sizes are known."""
    return _Search(cascade, architecture, request, tell).run()


def _silent(_: str) -> None:
    return


class _Search:
    def __init__(self, cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None]) -> None:
        self.cascade, self.architecture, self.request, self.tell = cascade, architecture, request, tell
        self.climbing = Climbing(cascade, architecture, request.objective, request.seed, request.counting, tell)
        self.evaluator: Evaluator = self.climbing.evaluator
        self.retiling = Retiling(self.climbing.scope, request.objective)
        self.best: Evaluation | None = None
        self.tried, self.covered = 0, 0  # mappings, by other than the exact search and climbing
        self.interrupted = False
        self.uneven = False  # whether sizes are hard to cut
        self.no_exact = ""  # why there is no exact search, if a network or values that choose are the reason

    def run(self) -> Found:
        started = cpu_seconds()
        end = float("inf") if self.request.time_limit is None else started + self.request.time_limit
        exact, result = self._exact(started)
        short: IllegalMapping | None = None
        if result is not None and not self._took(result.mapping):  # the root is too small for what the space keeps there
            result = None
            rooted, short = Diagnosis(self.cascade, self.architecture, self.request).of_the_root()
            if rooted is not None:
                self._took(rooted)
        listed = self._listed()
        self._take(listed)
        refusal: IllegalMapping | InputError | None = None
        if listed is None:
            self._take(self._padded(started, self.best) if result is not None else None)
            self._retile(end)
            before = self.best
            if self._climbs(exact, result, before):
                refusal = self._climb(end)
                if self.best is not before:
                    self._retile(end)
                time_left = cpu_seconds() < end < float("inf") and not self.interrupted
                if exact is not None and result is not None and time_left and exact.limits.over:
                    result = self._again(exact, end)  # with what time is left
                    self._took(result.mapping)
        if self.best is None and self.request.constraints:
            raise short or Diagnosis(self.cascade, self.architecture, self.request).of_constraints()
        if self.best is None:
            what = f"no mapping of {self.cascade.name} on {self.architecture.name} was found"
            short = short or Diagnosis(self.cascade, self.architecture, self.request).of_inputs_and_outputs()
            raise short or refusal or IllegalMapping(what, "allow more")
        return Found(self.best.mapping, self.best.with_search(self._record(self.best, listed, result, started)), self.interrupted)

    def _record(self, best: Evaluation, listed: Evaluation | None, result: Result | None, started: float) -> dict[str, object]:
        """How the best was found, and what is certain of it."""
        value = self.request.objective.value(best)
        bound, space, dividing = (value, "any tiles", None) if listed is not None else self._bound(result, best)
        others = self.climbing.evaluated + self.retiling.evaluated
        return {
            "objective": self.request.objective.name,
            "value": value,
            "lower_bound": bound,
            "gap": None if not bound else max(0.0, value / bound - 1),
            "proved_optimal": bound is not None and value <= bound * _CLOSE,
            "space": space,
            "mappings_covered": others + self.covered + (0 if result is None else result.covered),
            "evaluated": others + self.tried + (0 if result is None else result.evaluated),
            "seconds": cpu_seconds() - started,
            **({"dividing_lower_bound": dividing} if dividing is not None else {}),
            **({"no_exact_search": self.no_exact} if self.no_exact else {}),
        }

    def _take(self, found: Evaluation | None) -> None:
        """Keep the better of what was found before and this."""
        objective = self.request.objective
        if found is not None and (self.best is None or key(objective, found) < key(objective, self.best)):
            self.best = found

    def _took(self, mapping: Mapping) -> bool:
        """Whether a mapping is legal; it is kept if it is the best."""
        try:
            self._take(self.evaluator.evaluate(mapping))
        except IllegalMapping:
            return False
        return True

    def _climb(self, end: float) -> IllegalMapping | InputError | None:
        """The climbing search until a time; why it found nothing, if it did not."""
        self.climbing.over = lambda: self.interrupted or cpu_seconds() > end
        try:
            with stopped_by_interrupts(self._interrupt):
                self._take(self.climbing.run())
        except (IllegalMapping, InputError) as error:
            return error
        return None

    def _retile(self, end: float) -> None:
        """The best found so far with tiles that do not divide, one loop at a time."""
        if self.best is None or not self._any_tiles or self.interrupted or self._is_near(self.best) or cpu_seconds() > end:
            return
        self.tell("tiles that do not divide")
        self.retiling.over = lambda: self.interrupted or cpu_seconds() > end
        with stopped_by_interrupts(self._interrupt):
            self._take(self.retiling.run(self.best))

    def _again(self, exact: Exact, end: float) -> Result:
        """What an exact search that was stopped finds when it goes on until a time."""
        exact.limits.extend(end)
        with stopped_by_interrupts(self._stopping(exact.limits)):
            result = exact.run()
        assert result is not None
        return result

    def _interrupt(self) -> None:
        self.interrupted = True

    def _stopping(self, limits: Limits) -> Callable[[], None]:
        def stop() -> None:
            self._interrupt()
            limits.stop()

        return stop

    def _exact(self, started: float) -> tuple[Exact | None, Result | None]:
        """The exact search, None where it has no form for the problem, and what it found; with all the time there is only if nothing
        else may use the rest.
        """
        request = self.request
        aim = request.objective.aim(Scale.of(self.evaluator))
        if aim is None:
            if request.constraints:
                what = f"the exact search has no form for {request.objective.name}"
                raise InputError(what, "constraints need one; ask for another objective")
            return None, None
        limits = self._limits(started, aim.uses[0], _SHARE if self._any_tiles else 1.0)
        with stopped_by_interrupts(self._stopping(limits)):
            try:
                floor = self.climbing.floor() if request.objective.name == "latency" else 0.0
                exact = Exact(self.evaluator, aim, request.schedules, request.constraints, limits, self.tell, floor=floor)
            except Unsupported as why:
                self.no_exact = str(why) if self.evaluator.program.networks or self.evaluator.program.at_unit else ""
                if request.constraints:  # they need the exact search
                    try:
                        Exact(self.evaluator, aim, request.schedules)
                    except Unsupported as reason:
                        what = f"the exact search has no form for {self.cascade.name} on {self.architecture.name}: {reason}"
                        raise InputError(what, "constraints need one; leave them out") from None
                return None, None
            return exact, exact.run()

    def _limits(self, started: float, energy: bool, share: float) -> Limits:
        """When an exact search has to stop: after so much of the time limit, or after a fixed amount of work."""
        request = self.request
        if request.time_limit is None:
            return Limits(work=_WORK if energy else _WORK_FOR_TIME, gap=request.gap)
        return Limits(deadline=started + request.time_limit * share, gap=request.gap)

    @property
    def _any_tiles(self) -> bool:
        """Whether tiles that do not divide may be looked at."""
        return self.request.tiles != "dividing" and self.request.schedules == SCHEDULES and not self.request.constraints

    def _is_near(self, best: Evaluation | None) -> bool:
        """Whether hardly any time is left to be saved, where time is what counts."""
        return best is not None and self.request.objective.timely and best.cycles <= math.ceil(self.climbing.floor()) * _NEAR

    def _padded(self, started: float, best: Evaluation | None) -> Evaluation | None:
        """What the best mapping of sizes that are a little larger becomes, where these can be cut better."""
        request = self.request
        larger = padding(self.cascade, self.architecture) if self._any_tiles and not self.interrupted and not self._is_near(best) else None
        if larger is None:
            return None
        self.uneven = True
        evaluator = Evaluator(larger, self.architecture, request.counting)
        aim = request.objective.aim(Scale.of(evaluator))
        assert aim is not None
        limits = self._limits(started, aim.uses[0], _PADDED)
        self.tell("sizes that are easier to cut")
        with stopped_by_interrupts(self._stopping(limits)):
            try:
                result = Exact(evaluator, aim, request.schedules, limits=limits, tell=self.tell).run()
            except Unsupported:
                return None
        if result is None:
            return None
        self.tried, self.covered = self.tried + result.evaluated, self.covered + result.covered
        mapping = replace(cut(result.mapping, self.cascade), name=f"{self.cascade.name} on {self.architecture.name}")
        try:
            return self.evaluator.evaluate(mapping)
        except (IllegalMapping, InputError):  # tiles that do not divide can be illegal where others are not
            return None

    def _listed(self) -> Evaluation | None:
        """The best of all mappings of a small problem with tiles of every size; None where it is not small, or was not asked for."""
        work = self.cascade.work
        points = max(math.prod(self.cascade.extents[rank] for rank in einsum.ranks) for einsum in work)
        plain = all(einsum.condition is None for einsum in work) and not any(t.iterative is not None for t in self.cascade.tensors.values())
        ruled = self.request.constraints or Constraints.of_machine(self.cascade, self.architecture)
        if ruled or self.request.tiles != "any" or points > _SMALL or len(work) > _FEW or not plain:
            return None
        from accelsim.mapper.listing import TooMany, smallest

        request = self.request
        try:
            found = smallest(
                self.evaluator, request.objective.value, dividing=False, schedules=request.schedules, most=_LISTED, over=lambda: False,
            )  # fmt: skip
        except (TooMany, InputError):
            return None
        if found is None:
            return None
        self.tried = self.covered = found[2]
        return self.evaluator.evaluate(replace(found[0], name=f"{self.cascade.name} on {self.architecture.name}"))

    def _climbs(self, exact: Exact | None, result: Result | None, best: Evaluation | None) -> bool:
        """Whether the climbing search may still find something better (with tiles that do not divide, or at all)."""
        if self.request.constraints:
            return False
        if best is None or result is None:
            return True
        if self.interrupted or not self._any_tiles:
            return False
        over = self.uneven or (exact is not None and exact.limits.over)
        thrift = exact is not None and exact.large and len(self.cascade.work) <= _THRIFTY
        return over if not self.request.objective.timely else thrift or not self._is_near(best)

    def _bound(self, result: Result | None, best: Evaluation) -> tuple[float | None, str, float | None]:
        """A lower bound on the objective, and over what: the space with tiles that divide, or all mappings; then that over the former
        where the best is below it."""
        objective = self.request.objective
        everywhere = objective.floor(self.climbing.floor(), float(bounds(self.cascade).compulsory_bytes)) or None
        if result is None:
            return everywhere, "all mappings", None
        bound = objective.rounded(result.bound)
        if objective.value(best) < bound / _CLOSE:
            return everywhere, "all mappings", bound
        if everywhere is not None and everywhere >= bound / _CLOSE:
            return everywhere, "all mappings", None
        return min(bound, objective.value(best)), "dividing tiles", None
