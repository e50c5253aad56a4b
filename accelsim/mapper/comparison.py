"""The mapper and every baseline side by side: the same problem, the same CPU seconds for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.jobs.workers import Tell, side_by_side
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.baselines import BASELINES, run
from accelsim.mapper.best import Request, search
from accelsim.mapping.tree import Mapping
from accelsim.workload.cascade import Cascade

MAPPER = "mapper"


@dataclass(frozen=True, slots=True)
class Contender:
    """What one search found: its best mapping (None: nothing legal) and, over CPU seconds, the value of the best so far."""

    name: str
    mapping: Mapping | None
    curve: tuple[tuple[float, float], ...]
    evaluated: int
    seconds: float

    @property
    def value(self) -> float | None:
        """The objective of the best mapping, None if there is none."""
        return self.curve[-1][1] if self.curve else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mapper, then the baselines; `record`: how the mapper's search ended, as in the JSON of an evaluation."""

    contenders: tuple[Contender, ...]
    record: dict[str, object]

    @property
    def best(self) -> Contender:
        """The first of those with the best value."""
        return min(self.contenders, key=lambda each: float("inf") if each.value is None else each.value)


@dataclass(frozen=True, slots=True)
class _Run:
    """A contender, of the mapper with the record of its search; `interrupted` by the user."""

    contender: Contender
    interrupted: bool
    record: dict[str, Any]


def compare(
    cascade: Cascade,
    architecture: Architecture,
    request: Request,
    seconds: float,
    progress: Callable[[str], None] = lambda _: None,
    workers: int = 1,
) -> Comparison:
    """Let the mapper and every baseline search for so many CPU seconds each; the mapper's curve starts where it ends.

    `workers`: processes in which they run side by side; with one they run here, one after the other. An interrupt ends those that run, each
    with the best so far, and leaves no time to others. `program` is solved to its end, and so is the mapper's search where the exact one
    has no form. Refuses what `search` refuses.
    """
    jobs = [
        partial(_mapper, cascade, architecture, request, seconds),
        *(partial(_baseline, name, cascade, architecture, request, seconds) for name in BASELINES),
    ]
    with suppress(AccelsimError):  # load the model's kernels here, so that no process pays for it
        next(run("random", cascade, architecture, request.objective, request.counting, request.seed, 0.0), None)
    runs = side_by_side(jobs, workers, progress, "searches")
    return Comparison(tuple(each.contender for each in runs), runs[0].record)


def _mapper(cascade: Cascade, architecture: Architecture, request: Request, seconds: float, tell: Tell, hurry: bool) -> _Run:
    started = cpu_seconds()
    asked = replace(request, time_limit=0.0 if hurry else seconds)
    found = search(cascade, architecture, progress=lambda text: tell(f"{MAPPER}: {text}"), request=asked)
    spent, record = cpu_seconds() - started, found.evaluation.search or {}
    contender = Contender(MAPPER, found.mapping, ((spent, float(record["value"])),), int(record["evaluated"]), spent)
    return _Run(contender, found.interrupted, record)


def _baseline(name: str, cascade: Cascade, architecture: Architecture, request: Request, seconds: float, tell: Tell, hurry: bool) -> _Run:
    tell(f"{name}: searching")
    started = cpu_seconds()
    curve: list[tuple[float, float]] = []
    mapping: Mapping | None = None
    evaluated = 0
    interrupted = False
    try:
        for step in run(name, cascade, architecture, request.objective, request.counting, request.seed, 0.0 if hurry else seconds):
            curve.append((step.seconds, float(step.value)))
            mapping, evaluated = step.mapping, step.evaluated
    except IllegalMapping:  # nothing legal was found
        curve = []
    except KeyboardInterrupt:
        interrupted = True
    spent = curve[-1][0] if curve else cpu_seconds() - started
    return _Run(Contender(name, mapping, tuple(curve), evaluated, spent), interrupted, {})
