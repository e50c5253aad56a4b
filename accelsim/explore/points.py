"""Points of a sweep, what is found for each, and the one function that evaluates a chunk of them.

`evaluate_points` is pure and, with `functools.partial(evaluate_points, cases)`, picklable: any executor may call it, anywhere and more than
once, with chunks of any size; a row depends on its point alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from accelsim.errors import IllegalMapping, InputError
from accelsim.explore.problems import Problems
from accelsim.hardware.architecture import Architecture
from accelsim.mapper.best import Request
from accelsim.mapper.model import search_model
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.model.layers import ModelEvaluation, evaluate_model
from accelsim.model.limits import ranked
from accelsim.workload.cascade import Cascade, Model

OK, NO_MAPPING, REFUSED, OUTSIDE, NOT_REACHED = STATUSES = "ok", "no mapping", "refused", "outside", "not reached"
C = TypeVar("C")
R = TypeVar("R")


class Point(NamedTuple):
    """One row of a sweep: its number from 0, and the text of every name that the sweep varies, in the order of the sweep's names."""

    number: int
    values: tuple[str, ...]


class Row(NamedTuple):
    """What is found at a point; figures are None where there is no mapping. Energies of a whole run; `mapping`: SHA-256 of its text.

    `status`: ok; no mapping (no legal one); refused (values that do not go together); outside (a rule of the sweep does not hold); not
    reached (the sweep was interrupted). `why` says more. `traffic_bytes`: read from and written to the outermost memory. `utilization`: of
    the busiest unit of a cascade. `bound`: the resource that decides the time (of a model, that of its longest layer). `lower_bound`: of
    the objective, below which no mapping goes; `gap`: how far above it the mapping may be.
    """

    status: str
    why: str = ""
    cycles: int | None = None
    latency_s: float | None = None
    energy_pj: float | None = None
    energy_pj_low: float | None = None
    energy_pj_high: float | None = None
    static_energy_pj: float | None = None
    area_um2: float | None = None
    power_w: float | None = None
    edp_pj_s: float | None = None
    traffic_bytes: float | None = None
    utilization: float | None = None
    bound: str | None = None
    objective: float | None = None
    lower_bound: float | None = None
    gap: float | None = None
    proved_optimal: bool | None = None
    mapping: str | None = None


FIGURES = Row._fields[2:]
PROBLEMS = Problems()  # what this process has searched


@dataclass(frozen=True, slots=True)
class Case:
    """The nouns of a point. `mappings`: those given, one for a cascade and one for each layer of a model; None: search for the best."""

    workload: Cascade | Model
    machine: Architecture
    request: Request
    mappings: tuple[Mapping, ...] | None = None


class Cases(Protocol):
    """Makes the nouns of points; picklable."""

    def case(self, point: Point) -> Case:
        """The nouns of a point; InputError or IllegalMapping where its values do not go together."""
        ...

    def key(self, point: Point) -> bytes:
        """What a row is kept under: equal for points whose rows are equal by construction."""
        ...

    def problem(self, point: Point) -> str | None:
        """Equal for points that one search answers; None where there is none, or where it answers nothing else."""
        ...

    def area_um2(self, point: Point) -> float | None:
        """The area of a point's machine, which needs no mapping; None where it states none."""
        ...

    def text(self, mapping: Mapping) -> str:
        """A mapping as the text that saving it would write."""
        ...

    def command(self, point: Point) -> str:
        """What to type to find a point's row again; '' where nothing on a command line does."""
        ...


class Evaluate(Protocol):
    """Finds the rows of some points, in order, as `evaluate_points` does; pure, and picklable with its cases."""

    def __call__(self, cases: Any, points: Sequence[Point], /) -> list[Row]: ...


class Spread(Protocol):
    """Has a function work on chunks somewhere: gives what it makes of each beside its place, as they are ready; takes chunks as needed."""

    def __call__(self, function: Callable[[C], R], chunks: Iterable[C], /) -> Iterator[tuple[int, R]]: ...


def here(function: Callable[[C], R], chunks: Iterable[C], /) -> Iterator[tuple[int, R]]:
    """In this process, one after the other."""
    return enumerate(map(function, chunks))


def evaluate_points(cases: Cases, points: Sequence[Point]) -> list[Row]:
    """What is found at every point, in order. An interrupt (Ctrl-C) is a KeyboardInterrupt: no row is of a search that was cut short."""
    return [_row(cases, point) for point in points]


def _row(cases: Cases, point: Point) -> Row:
    try:
        case = cases.case(point)
        evaluation = evaluated(case)
    except IllegalMapping as error:
        return Row(NO_MAPPING, one_sentence(error))
    except InputError as error:
        return Row(REFUSED, one_sentence(error))
    return row_of(evaluation, cases.text)


def one_sentence(error: InputError | IllegalMapping) -> str:
    """What is wrong, without the place in a file, which depends on where the file lies."""
    return " ".join(f"{error.what}; {error.mend}".rstrip("; ").split())


def evaluated(case: Case) -> Evaluation | ModelEvaluation:
    """The evaluation of a case: of its own mapping, or of the best one that the mapper finds."""
    workload, machine, request = case.workload, case.machine, case.request
    if isinstance(workload, Model):
        if case.mappings is not None:
            return evaluate_model(workload, machine, case.mappings, request.counting)
        return search_model(workload, machine, request=request, find=PROBLEMS.find).evaluation
    if case.mappings is not None:
        return evaluate(workload, machine, case.mappings[0], request.counting)
    return PROBLEMS.find(workload, machine, request=request).evaluation


def row_of(evaluation: Evaluation | ModelEvaluation, text: Callable[[Mapping], str]) -> Row:
    """An evaluation as a row of a table."""
    layers = evaluation.evaluations if isinstance(evaluation, ModelEvaluation) else (evaluation,)
    times = [layer.times for layer in evaluation.model.layers] if isinstance(evaluation, ModelEvaluation) else [1]
    first = layers[0].evaluator
    energy, seconds = evaluation.energy, evaluation.seconds
    moved = sum(evaluation.traffic_bits(first.architecture.root.name))
    digest = hashlib.sha256("\n".join(text(each.mapping) for each in layers).encode()).hexdigest()
    spent = [count * float(each.timing.latency) for count, each in zip(times, layers, strict=True)]
    longest = layers[spent.index(max(spent))]
    return Row(
        OK,
        "",
        evaluation.cycles,
        seconds,
        energy.value,
        energy.low,
        energy.high,
        evaluation.static.value,
        first.prices.area_um2,
        energy.value * 1e-12 / seconds if seconds else None,
        energy.value * seconds,
        float(moved / 8),
        max(_utilization(each) for each in layers) if len(layers) == 1 else None,
        ranked(longest)[0][0][0],
        *_searched([each.search for each in layers], times),
        digest,
    )


def _utilization(evaluation: Evaluation) -> float:
    """Of the unit that is busiest, over all its copies and lanes."""
    evaluator, latency = evaluation.evaluator, evaluation.timing.latency
    if not latency:
        return 0.0
    useful: dict[str, float] = {}
    for name, load in evaluation.loads.items():
        work = evaluation.counts.operations[name] * evaluator.issue_ticks(name, load.unit)
        useful[load.unit] = useful.get(load.unit, 0) + work
    units = evaluator.architecture.units
    return max(float(work / (evaluator.architecture.copies(unit) * units[unit].lanes * latency)) for unit, work in useful.items())


def _searched(
    records: Sequence[dict[str, Any] | None], times: Sequence[int]
) -> tuple[float | None, float | None, float | None, bool | None]:
    """Objective, lower bound, gap and proof of all layers together; None for a mapping that was given."""
    if any(record is None for record in records):
        return None, None, None, None
    known = [record for record in records if record is not None]
    if len(known) == 1:
        only = known[0]
        return only["value"], only["lower_bound"], only["gap"], only["proved_optimal"]
    bounds = [record["lower_bound"] for record in known]
    value = float(sum(count * record["value"] for count, record in zip(times, known, strict=True)))
    bound = None if None in bounds else float(sum(count * each for count, each in zip(times, bounds, strict=True)))
    return value, bound, value / bound - 1 if bound else None, all(record["proved_optimal"] for record in known)
