"""The mapper and every baseline side by side: the same problem, the same CPU seconds for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
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


def compare(
    cascade: Cascade, architecture: Architecture, request: Request, seconds: float, progress: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Let the mapper and every baseline search for so many CPU seconds; the mapper's curve starts where it ends.

    `program` is solved to its end, and so is the mapper's search where the exact one has no form. Refuses what `search` refuses.
    """
    started = time.process_time()
    found = search(cascade, architecture, progress=lambda text: progress(f"{MAPPER}: {text}"), request=replace(request, time_limit=seconds))
    spent, record = time.process_time() - started, found.evaluation.search or {}
    contenders = [Contender(MAPPER, found.mapping, ((spent, float(record["value"])),), int(record["evaluated"]), spent)]
    for name in BASELINES:
        progress(f"{name}: searching")
        contenders.append(_baseline(name, cascade, architecture, request, seconds))
    return Comparison(tuple(contenders), record)


def _baseline(name: str, cascade: Cascade, architecture: Architecture, request: Request, seconds: float) -> Contender:
    started = time.process_time()
    curve: list[tuple[float, float]] = []
    mapping: Mapping | None = None
    evaluated = 0
    try:
        for step in run(name, cascade, architecture, request.objective, request.counting, request.seed, seconds):
            curve.append((step.seconds, float(step.value)))
            mapping, evaluated = step.mapping, step.evaluated
    except IllegalMapping:  # nothing legal was found
        return Contender(name, None, (), 0, time.process_time() - started)
    return Contender(name, mapping, tuple(curve), evaluated, curve[-1][0])
