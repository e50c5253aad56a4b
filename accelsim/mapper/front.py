"""The Pareto front of a cascade on a machine: the mappings with dividing tiles that no other beats in two or three figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from accelsim.errors import IllegalMapping, InputError, did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.jobs.interrupts import stopped_by_interrupts
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.best import Request, search
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import NO_WEIGHTS, Scale, weighted
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.options import Limits
from accelsim.mapping.text import nest
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.workload.cascade import Cascade

UNITS = {"latency": "cycles", "energy": "pJ", "traffic": "B", "capacity": "B"}
_SHARE = 0.6  # of a time limit that the front has; the rest is for its figures alone if it is not complete then
_WORK = 100  # hundred thousands of candidates that may be listed where no time limit is given


@dataclass(frozen=True, slots=True)
class Point:
    """A mapping of the front with its evaluation; `values`: the figures asked for, in order."""

    mapping: Mapping
    evaluation: Evaluation
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Front:
    """Mappings of which none is at least as good as another in every figure, by the first figure, then the second.

    `figures`: names, keys of UNITS. `home`: the memory whose `capacity` is meant. `complete`: the space was searched to its end, so that no
    mapping in it beats one of these. `covered`, `evaluated`: as in the record of a search.
    """

    figures: tuple[str, ...]
    points: tuple[Point, ...]
    home: str | None
    complete: bool
    covered: int
    evaluated: int
    seconds: float
    space: str = "dividing tiles"

    def __repr__(self) -> str:
        from accelsim.mapper.shown import line

        return f"<Front {line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.mapper.shown import html

        return html(self)


def figures_named(text: str) -> tuple[str, ...]:
    """The figures that a text such as `latency,energy` lists; refuses unknown ones, repeated ones, and any number but two or three."""
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in UNITS:
            raise InputError(f"there is no figure '{name}' to draw a front in", did_you_mean(name, UNITS))
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InputError(f"the figure '{name}' is given twice", "remove one of the two")
    if len(names) not in (2, 3):
        raise InputError(f"a front needs two or three figures, not {len(names)}", f"write some of {', '.join(UNITS)}, as in latency,energy")
    return names


def front(
    cascade: Cascade,
    architecture: Architecture,
    figures: Sequence[str],
    request: Request,
    progress: Callable[[str], None] = lambda _: None,
) -> Front:
    """The exact front over the map space (docs/mapspace.md) with dividing tiles; what was found so far where time or work is up.

    `figures`: keys of UNITS. Of the request, counting, schedules, time limit and `constraints` matter. `capacity` is what the one memory
    below the root holds at its fullest moment. Raises InputError where the exact search has no form for the problem, or where
    `capacity` has no such memory, and IllegalMapping where nothing is legal or was found in time.
    """
    started = cpu_seconds()
    evaluator = Evaluator(cascade, architecture, request.counting)
    aim = replace(weighted(tuple((name, 1.0) for name in figures), Scale.of(evaluator)), weights=NO_WEIGHTS, alone=NO_WEIGHTS)
    limited = request.time_limit is not None
    limits = Limits(deadline=started + _SHARE * (request.time_limit or 0.0)) if limited else Limits(work=_WORK)
    with stopped_by_interrupts(limits.stop):
        try:
            exact = Exact(evaluator, aim, request.schedules, request.constraints, limits, progress)
        except Unsupported as reason:
            what = f"the exact search has no form for {cascade.name} on {architecture.name}: {reason}"
            raise InputError(what, "a front needs one; ask for one objective instead") from None
        if "capacity" in figures and exact.home is None:
            what = f"{architecture.name} has no single memory below {architecture.root.name} whose capacity could be a figure"
            raise InputError(what, "leave capacity out")
        mappings, complete = exact.front()
    if not mappings:
        mend = "enlarge the memory that is too small" if complete else "give it more time"
        raise IllegalMapping(f"no mapping of {cascade.name} on {architecture.name} was found", mend)
    points = [_point(evaluator.evaluate(mapping), figures, exact.home) for mapping in mappings]
    if not complete and limits.work >= 0:  # at least the least of each figure
        names = [name for name in figures if name != "capacity"]
        for at, name in enumerate(names):
            left = None if request.time_limit is None else (started + request.time_limit - cpu_seconds()) / (len(names) - at)
            one = replace(request, objective=objective_named(name), time_limit=None if left is None else max(left, 0.0))
            points.append(_point(search(cascade, architecture, request=one, progress=progress).evaluation, figures, exact.home))
    covered, evaluated = sum(part.covered for part in exact.solved.values()), sum(part.evaluated for part in exact.solved.values())
    return Front(tuple(figures), undominated(points), exact.home, complete, covered, evaluated, cpu_seconds() - started)


def undominated(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points that no other is as good as in every figure (to twelve digits), in order; of equals, the smaller text of the nest."""
    kept: list[tuple[float, ...]] = []
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (_rounded(point), nest(point.mapping))):
        values = _rounded(point)
        if not any(all(a <= b for a, b in zip(known, values, strict=True)) for known in kept):
            kept.append(values)
            found.append(point)
    return tuple(found)


def _rounded(point: Point) -> tuple[float, ...]:
    return tuple(float(f"{value:.12g}") for value in point.values)


def _point(evaluation: Evaluation, figures: Sequence[str], home: str | None) -> Point:
    return Point(evaluation.mapping, evaluation, tuple(_value(evaluation, name, home) for name in figures))


def _value(evaluation: Evaluation, figure: str, home: str | None) -> float:
    """A figure of an evaluation in its unit."""
    if figure == "latency":
        return evaluation.cycles
    if figure == "energy":
        return evaluation.energy_pj
    if figure == "traffic":
        return float(sum(evaluation.traffic_bits(evaluation.evaluator.architecture.root.name))) / 8
    assert figure == "capacity" and home is not None
    return evaluation.occupancy().get(home, 0) / 8
