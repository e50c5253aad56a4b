"""Expectations of nests: against the mean over all that a density may draw, against means of draws, and against what is dense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.model.stored import evaluate_stored
from accelsim.sparse import kernels as k
from accelsim.sparse.boxes import UniformBoxes
from accelsim.sparse.expected import Expected
from accelsim.sparse.nest import Nest, known, nest_of, walked
from tests.share import share
from tests.sparse.densities import KINDS, boxes_for, elements, every_of
from tests.sparse.nests import problem

STEPS = {"two_finger": k.TWO_FINGER, "skip_ahead": k.SKIP_AHEAD, "leading": k.LEADER}
Key = tuple[str, int]


def counted(nest: Nest) -> dict[Key, Any]:
    """What a walk counts, by copy."""
    w = walked(nest).counts
    found: dict[Key, Any] = {("visits", level): w.steps[k.VISITS, level] for level in range(len(nest.turns))}
    found |= {("steps", level): w.steps[STEPS[nest.turns[level].meets], level] for level in nest.meeting}
    found |= {("points", 0): w.points, ("effectual", 0): w.effectual, ("issues", 0): w.issues}
    for number in range(len(nest.crossings)):
        found["entering", number], found["grouped", number] = w.entering[number], w.grouped[number]
        if not operand(nest, number):
            found["known", number] = known(nest, w, number)
    return found


def operand(nest: Nest, number: int) -> bool:
    return nest.crossings[number].tensor in {each.tensor for each in nest.operands}


def expected(found: Expected, keys: Any) -> dict[Key, Any]:
    """What is expected of the same, without what is refused."""
    made: dict[Key, Any] = {}
    for what, number in keys:
        ask: Any = {
            "visits": lambda n: found.visits(n), "steps": lambda n: found.steps(n), "points": lambda n: found.points,
            "effectual": lambda n: found.effectual, "issues": lambda n: found.issues, "known": lambda n: found.different(n),
            "entering": lambda n: found.words(n) if operand(found.nest, n) else found.made(n),
            "grouped": lambda n: found.words(n, shared=True) if operand(found.nest, n) else found.made(n, shared=True),
        }[what]  # fmt: skip
        try:
            made[what, number] = ask(number)
        except AccelsimError as error:
            assert "closed form" in str(error) or "stand together" in str(error)
    return made


def cut(counts: Any, like: Any) -> Any:
    """Counts by as many copies; those beyond have none."""
    assert not counts[like.size :].any()
    return counts[: like.size]


@pytest.mark.parametrize("kind", ["uniform", "structured", "blocks"])
def test_expectations_are_means_over_all_that_may_be_drawn(kind: str) -> None:
    """Every equally likely draw of each operand, walked: the expectation to the last digit, copy by copy."""
    asked = answered = 0
    for seed in range(share(1000, 80, 15)):
        cascade, machine, mapping, stored = problem(seed)
        chances = np.random.default_rng(seed)
        ways, densities = {}, {}
        for tensor in sorted(stored):
            ways[tensor], densities[tensor] = every_of(kind, cascade.tensors[tensor].shape, chances, 25)
        if math.prod(len(each) for each in ways.values()) > 700:
            continue
        ((path, leaf),) = mapping.paths()
        nests = [nest_of(cascade, machine, path, leaf, dict(zip(ways, chosen, strict=True))) for chosen in product(*ways.values())]
        counts = [counted(nest) for nest in nests]
        found = expected(Expected(nests[0], densities), counts[0])
        asked, answered = asked + len(counts[0]), answered + len(found)
        for key, row in found.items():
            mean = np.mean([each[key] for each in counts], axis=0)
            assert row == pytest.approx(cut(mean, row), rel=1e-9, abs=1e-9), (seed, key)
    assert answered > 0.8 * asked


@pytest.mark.parametrize("kind", KINDS)
def test_means_of_draws_are_within_three_standard_errors(kind: str) -> None:
    """100 draws of every operand; three in a thousand means lie outside by chance.

    What is rare may show in none of 100 draws, or what is likely in all, so that their deviation says nothing: a mean that is off by more
    than five errors is taken again, of 4,000 other draws.
    """
    outside = all_of = 0
    for seed in range(share(200, 12, 4)):
        cascade, _, _, stored = problem(seed)
        chances = np.random.default_rng([seed, len(kind)])
        made = {tensor: boxes_for(kind, cascade.tensors[tensor].shape, chances) for tensor in sorted(stored)}
        if not made:
            continue
        nests = partial(drawn_nests, seed, made)
        counts = [counted(nest) for nest in nests(range(100))]
        found = expected(Expected(next(nests(range(1))), {name: each for name, (each, _) in made.items()}), counts[0])
        off = {key: errors(counts, key, row) for key, row in found.items()}
        doubted = [key for key, each in off.items() if each > 5]
        if doubted:
            again = [counted(nest) for nest in nests(range(100, 4_100))]
            for key in doubted:
                assert errors(again, key, found[key]) < 5, (seed, key)
        outside, all_of = outside + sum(each > 3 for each in off.values()), all_of + len(off)
    assert outside <= 1 + 0.01 * all_of


def drawn_nests(seed: int, made: dict[str, Any], draws: range) -> Iterator[Nest]:
    """The nest of a problem over elements that are drawn."""
    cascade, machine, mapping, _ = problem(seed)
    ((path, leaf),) = mapping.paths()
    for draw in draws:
        drawn = {name: elements(*each, 1000 * draw + 10 * seed + place) for place, (name, each) in enumerate(made.items())}
        yield nest_of(cascade, machine, path, leaf, drawn)


def errors(counts: list[dict[Key, Any]], key: Key, row: Any) -> float:
    """By how many standard errors of its mean a count is off. What happens in less than one of the draws may show in none: its share of
    the largest count is allowed for.
    """
    sums = np.array([each[key].sum() for each in counts], np.float64)
    rare = max(sums.max(), row.sum()) / len(sums)
    off = max(0.0, abs(sums.mean() - row.sum()) - rare - 1e-9)
    return off / error if (error := sums.std(ddof=1) / math.sqrt(len(sums))) else math.inf if off else 0.0


def test_without_elements_left_out_what_is_expected_is_that_of_the_dense_model() -> None:
    done = 0
    for seed in range(share(2000, 200, 30)):
        cascade, machine, mapping, stored = problem(seed, full=True, limited=True)
        evaluator = Evaluator(cascade, machine)
        full = {name: UniformBoxes(cascade.tensors[name].shape, each.shape[1]) for name, each in stored.items()}
        try:
            found = evaluate_expected(evaluator, mapping, full).evaluation
        except AccelsimError as error:
            assert "stay at the edge" in str(error) or "merges" in str(error)
            continue
        exact = evaluate_stored(evaluator, mapping, stored).evaluation
        assert {key: row for key, row in found.bits.items() if any(row)} == {key: row for key, row in exact.bits.items() if any(row)}, seed
        assert found.counts.operations == exact.counts.operations and found.dynamic.value == pytest.approx(exact.dynamic.value)
        assert {key: row for key, row in found.counts.words.items() if any(row)} == {
            key: row for key, row in exact.counts.words.items() if any(row)
        }
        back = any(row[1] for (_, tensor, memory), row in found.bits.items() if tensor == "Z" and memory == "Registers")
        if not back:
            assert found.cycles == exact.cycles, seed
        if not stored:
            assert found.dynamic.value == pytest.approx(evaluator.evaluate(mapping).dynamic.value)
        done += 1
    assert done > 0.8 * share(2000, 200, 30)
