"""Searches in the manner of the literature, behind one interface, to compare the mapper with. None of them is used by `accelsim map`.

All search the space of docs/mapspace.md (without raised keeps inside blocks) and judge by the same model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping, InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.objectives import Objective
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting
    from accelsim.workload.cascade import Cascade

BASELINES: dict[str, str] = {
    "random": "every mapping drawn afresh",
    "annealing": "simulated annealing over neighbouring mappings, as in SALSA (Jung et al., AICAS 2023)",
    "genetic": "a genetic algorithm over tiles, orders and spreads by level, as in GAMMA (Kao and Krishna, ICCAD 2020)",
    "program": "one mixed-integer program per Einsum in the logarithms of its tiles, as in CoSA (Huang et al., ISCA 2021)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """The best mapping after some CPU seconds and so many evaluations, with its value of the objective."""

    seconds: float
    evaluated: int
    value: float
    mapping: Mapping


def run(
    name: str,
    cascade: Cascade,
    architecture: Architecture,
    objective: Objective,
    counting: Counting,
    seed: int,
    seconds: float,
    constraints: None = None,
) -> Iterator[Step]:
    """A Step whenever the best improves, and a last one at the end: when so many CPU seconds are spent, or nothing is left to try.

    Time starts with the first step that is asked for and stands still between two. What is found after a number of evaluations
    depends on the seed only. `program` is solved to its end whatever the seconds.
    Raises InputError for an unknown name, IllegalMapping where nothing legal was found.
    """
    if name not in BASELINES:
        raise InputError(f"there is no baseline '{name}'", did_you_mean(name, BASELINES))
    import numpy as np

    from accelsim.kernel_cache import cpu_seconds
    from accelsim.mapper.baselines import annealing, genetic, program, random_search
    from accelsim.mapper.baselines.draws import Draws
    from accelsim.mapper.baselines.points import Space
    from accelsim.model.evaluation import Evaluator

    started = cpu_seconds()
    evaluator = Evaluator(cascade, architecture, counting)
    draws, rng = Draws(Space(cascade, architecture)), np.random.default_rng(seed)
    if name == "program":
        proposals = program.proposals(draws, objective, rng)
    else:
        proposals = {"random": random_search, "annealing": annealing, "genetic": genetic}[name].proposals(draws, rng)
    known: dict[Mapping, float] = {}
    best: Step | None = None
    refusal: IllegalMapping | InputError | None = None
    point = next(proposals)
    while True:
        mapping = draws.space.mapping(point)
        if mapping not in known:
            try:
                known[mapping] = objective.value(evaluator.evaluate(mapping))
            except (IllegalMapping, InputError) as error:
                refusal, known[mapping] = refusal or error, float("inf")
        value, spent = known[mapping], cpu_seconds() - started
        if value < (best.value if best is not None else float("inf")):
            best = Step(spent, len(known), value, mapping)
            yield best
            started = cpu_seconds() - spent
        if spent >= seconds:
            break
        try:
            point = proposals.send(value)
        except StopIteration:
            break
        except IllegalMapping:  # nothing else that fits was drawn
            if best is None:
                raise
            break
    if best is None:
        what = f"no legal mapping of {cascade.name} on {architecture.name} was found"
        raise IllegalMapping(f"{what}: {refusal.what}" if refusal is not None else what, refusal.mend if refusal is not None else "")
    yield Step(cpu_seconds() - started, len(known), best.value, best.mapping)
