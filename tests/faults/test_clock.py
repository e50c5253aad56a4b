"""When steps end, in cycles: by hand, and against the twin of the event simulator with the twin of the walk."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from accelsim.errors import AccelsimError
from accelsim.faults.clock import cycles
from accelsim.faults.cones import Mapped
from accelsim.faults.reference_mapped import Replay
from accelsim.faults.residency import intervals
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.tasks import COMPUTE, LAST_TURN
from accelsim.workload.build import cascade
from tests.faults.mapped import Case, case
from tests.model.strategies import recurrent_triples, seeded_triples
from tests.share import share
from tests.sim.test_events import scanner

SQUARES = cascade("squares", "Z[t,i] = A[t,i] * A[t,i]", {"t": 3, "i": 2}, types={"default": "int32"})


def squares() -> Mapped:
    """Rows of two words: a word a cycle is loaded, two products take two cycles, and all results leave at the end, a word a cycle."""
    nodes = (Keep("Main", (Held("A"), Held("Z"))), Keep("Buffer", (Held("Z"),)), For("t", 1), Keep("Buffer", (Held("A"),)), Leaf("Z", "U"))
    return Mapped(SQUARES, scanner(), Mapping("rows", nodes), {"A": np.arange(6).reshape(3, 2)})


def test_steps_end_with_their_work_and_what_it_waits_for_before() -> None:
    assert cycles(squares()).tolist() == [0, 3, 4, 7, 8, 11, 12 + 6]


def test_what_runs_in_the_last_turn_of_a_loop_ends_after_it() -> None:
    """Rows of two factors are loaded and multiplied in, then the products are squared and leave, a word a cycle."""
    made = cascade(
        "powers", ["R[0,i] = 3", "R[t+1,i] = A[t,i] * R[t,i]", "Z[i] = R[T,i] * R[T,i]"], {"t": 3, "i": 2}, types={"default": "int32"}
    )
    inner = (Fuse("sequential", ((Leaf("R", "U"),), (Leaf("Z", "U"),))),)
    outer = (Keep("Main", (Held("A"), Held("Z"))), Keep("Buffer", (Held("R"), Held("Z"))))
    nodes = (*outer, For("t", 1), Keep("Buffer", (Held("A"),)), *inner)
    mapped = Mapped(made, scanner(), Mapping("powers", nodes), {"A": np.arange(6).reshape(3, 2)})
    assert cycles(mapped).tolist() == [0, 3, 4, 7, 8, 11, 12, 13, 14 + 2]


def test_live_time_of_words_is_counted_in_cycles() -> None:
    mapped = squares()
    every = intervals(mapped, cycles(mapped))
    length = {}
    for at in range(len(every.store)):
        fault = every.at(at, 0, int(every.start[at]))
        length[fault.memory, fault.tensor, fault.word, bool(every.live[at])] = int(every.length[at])
    # a row of A lies in the buffer until the next one comes; a word of it matters until its product is made
    assert [length["Buffer", "A", word, True] for word in range(6)] == [3, 4, 3, 4, 3, 10]
    assert [length["Buffer", "A", word, False] for word in (0, 2)] == [1, 1]
    # in the outer memory, until it is loaded
    assert [length["Main", "A", word, True] for word in range(2, 6)] == [4, 4, 8, 8]
    # a product is made at the end of its step and matters to the end
    assert [length["Main", "Z", word, True] for word in range(5)] == [18 - end for end in (3, 4, 7, 8, 11)]


class Visits(Replay):
    """A replay that notes every innermost tile: Einsum, turns by level, and steps."""

    def begin(self, fault: Any) -> None:
        super().begin(fault)
        self.seen: list[tuple[str, dict[int, int], int, int]] = []

    def visit(self, state: Any) -> None:
        before = self.step
        super().visit(state)
        self.seen.append((state.nest.einsum.name, dict(state.turns), before, self.step))


def twin(found: Case) -> list[int]:
    """The clock from the twins of simulator and walk, step by step."""
    mapped, replay = found.mapped, found.replay
    evaluator = Evaluator(found.cascade, mapped.architecture)
    per_cycle = evaluator.clock.per_cycle
    evaluation = evaluator.evaluate(mapped.mapping)
    plans = lower(evaluator, mapped.mapping, evaluation.counts.lowered.latencies)
    done = min((reference.run(tasks, per_cycle) for tasks in plans), key=lambda each: each.ticks)
    walk = Visits(replay.cascade, replay.architecture, replay.mapping, replay.inputs, replay.overflow)
    walk.run()
    steps_of: dict[tuple[str, int], list[int]] = {}
    for name, turns, first, after in walk.seen:
        task = next(firing.task for firing in done.log if firing.task.kind == COMPUTE and firing.task.einsum == name)
        nest = walk.nests[name]
        places = firing_levels(found, name, [level for level, (_, node) in enumerate(nest.nodes) if isinstance(node, For)])
        number = 0
        for digit, (level, count) in enumerate(zip(places, task.loops, strict=True)):
            number = number * count + turns.get(level, count - 1 if task.turns.get(digit) == LAST_TURN else 0)
        steps_of.setdefault((name, number), []).extend(range(first, after))
    ends = [Fraction(0)] * walk.step
    for firing in done.log:
        steps = steps_of.get((firing.task.einsum, firing.number), ()) if firing.task.kind == COMPUTE else ()
        for place, step in enumerate(steps, start=1):
            ends[step] = Fraction(firing.start * (len(steps) - place) + firing.finish * place, len(steps) * per_cycle)
    clock, latest = [0], 0
    for end in ends:
        latest = max(latest, math.floor(end))
        clock.append(latest)
    return [*clock[:-1], math.ceil(Fraction(done.ticks, per_cycle))]


def firing_levels(found: Case, name: str, levels: list[int]) -> list[int]:
    """Which of the loops in time fire, by the paths of the simulator."""
    from accelsim.sim.paths import Paths

    paths = Paths(Evaluator(found.cascade, found.mapped.architecture), found.mapped.mapping)
    path = paths.of(name)
    rows = [row for row in path.rows if isinstance(row.node, For)]
    return [levels[next(at for at, row in enumerate(rows) if row is fires)] for fires in path.loops]


def test_clock_is_that_of_the_twins() -> None:
    compared, several, waited = 0, 0, 0
    triples = itertools.chain(recurrent_triples(43, share(300, 90, 40)), seeded_triples(42, share(400, 60, 20)))
    for seed, drawn in enumerate(triples):
        try:
            found = case(drawn, seed)
            if not isinstance(found, Case) or not found.mapped.steps:
                continue
            clock = cycles(found.mapped)
        except AccelsimError:  # not legal, or not simulated
            continue
        assert clock.tolist() == twin(found), [einsum.text for einsum in found.cascade.work]
        compared += 1
        several += len(found.cascade.work) > 1
        waited += bool(np.any(np.diff(clock[:-1]) > 1))
    assert compared > share(250, 50, 15) and several > 2 and waited > 0
