"""When the steps of a mapped cascade end, in cycles: what the simulator says of the same mapping.

A firing of an Einsum is some steps of it, which take equal parts of its time. A step ends when its unit has done its work; what it waited
for before, such as a load, is part of it. Where Einsums overlap, a step that is done early ends with the ones that come before it in the
order of steps. Source: docs/faults-mapped.md; tests compare it with `sim.reference_events`.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.cones import Mapped
from accelsim.faults.executed import Visit
from accelsim.faults.stores import IntArray
from accelsim.mapping.tree import For
from accelsim.sim.paths import Path, Paths
from accelsim.sim.simulation import simulate
from accelsim.sim.tasks import COMPUTE, KINDS, LAST_TURN

_MOST_EVENTS = 1 << 20


def cycles(mapped: Mapped) -> IntArray:
    """When each step begins and the last one ends, in whole cycles: int64[steps + 1], the last being the whole run's, rounded up.

    Raises IllegalMapping for what is not simulated, InputError for more firings than are kept.
    """
    done = simulate(mapped.cascade, mapped.architecture, mapped.mapping, events=_MOST_EVENTS)
    if len(done.events) >= _MOST_EVENTS:
        raise InputError(f"{mapped.cascade.name} takes more than {_MOST_EVENTS:,} firings", "make it smaller, or count time in steps")
    fired = {(event.task, event.number): (event.start, event.end) for event in done.events if event.kind == KINDS[COMPUTE]}
    paths = Paths(done.evaluation.evaluator, mapped.mapping)
    inside: dict[tuple[str, int], list[Visit]] = {}
    for visit in mapped.visits:
        name = visit.branch.einsum.name
        inside.setdefault((name, _number(visit, paths.of(name))), []).append(visit)
    ends = [Fraction(0)] * mapped.steps
    for key, visits in inside.items():
        if key not in fired:  # it takes no time
            continue
        start, end = fired[key]
        total, gone = sum(visit.steps for visit in visits), 0
        for visit in visits:
            for step in range(visit.steps):
                gone += 1
                ends[visit.step + step] = start + (end - start) * gone / total
    found = np.zeros(mapped.steps + 1, dtype=np.int64)
    found[1:] = [math.floor(end) for end in ends]
    found[-1:] = done.cycles
    return np.maximum.accumulate(found)


def _number(visit: Visit, path: Path) -> int:
    """The firing that a visit is part of: loops that fire are digits, those over ranks of others in their first or last turn."""
    levels = [level for level, (_, node) in enumerate(visit.branch.nodes) if isinstance(node, For)]
    rows = [row for row in path.rows if isinstance(row.node, For)]
    level_of = {id(row): level for row, level in zip(rows, levels, strict=True)}
    number = 0
    for place, row in enumerate(path.loops):
        idle = row.trips - 1 if path.turns.get(place) == LAST_TURN else 0
        number = number * row.trips + visit.turns.get(level_of[id(row)], idle)
    return number
