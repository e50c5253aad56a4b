"""Conditions as linear inequalities count what listed conditions count, and what the replay counts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from accelsim.errors import AccelsimError
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model import masks, plan, reference
from accelsim.model.options import CHOICES, Counting
from accelsim.model.program import Program
from tests.model import problems, strategies
from tests.model.kernel_side import kernel_count
from tests.model.problems import Choices
from tests.model.published import cascade
from tests.model.test_kernels import compared

TRIPLES = 500


def masked_triples(seed: int, number: int) -> Iterator[strategies.Triple]:
    """Random mappings of masked cascades, whatever the counting options."""
    rng = random.Random(seed)
    for _ in range(number):
        c = Choices(rng.randrange)
        made = problems.masked(c)
        machine = strategies.architecture(c)
        counting = Counting(**{option: values[1] if c.chance(30) else values[0] for option, values in CHOICES.items()})
        yield made.cascade, machine, strategies.mapping(c, made, machine), counting


def counts(triple: strategies.Triple) -> dict[str, Any] | None:
    try:
        return compared(kernel_count(*triple))
    except AccelsimError:
        return None


def kinds(triple: strategies.Triple) -> set[int]:
    cascade, machine, _, counting = triple
    return {found.kind for found in Program(cascade, machine, counting).masks.values()}


@pytest.mark.slow
def test_inequalities_count_what_lists_and_the_replay_count(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = 0
    for triple in masked_triples(2026, TRIPLES):
        listed = counts(triple)
        assert kinds(triple) == {plan.IMAGE}
        with monkeypatch.context() as patch:
            patch.setattr(masks, "PREFER_LISTED", 0)
            linear += plan.INEQUALITIES in kinds(triple)
            solved = counts(triple)
        assert solved == listed
        if listed is not None:
            assert listed == compared(reference.count(*triple))
    assert linear > 300  # conditions with // and % are always listed


def test_inequality_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    triples = list(masked_triples(7, 40))
    listed = [counts(triple) for triple in triples]
    honest = masks.mask

    def broken(*arguments: Any) -> Any:
        found = honest(*arguments)
        if found is not None and found.kind == plan.INEQUALITIES:
            found.data[0] += 1  # one more point is let through
        return found

    monkeypatch.setattr(masks, "PREFER_LISTED", 0)
    monkeypatch.setattr("accelsim.model.program.mask", broken)
    assert [counts(triple) for triple in triples] != listed


def test_survivors_of_a_linear_condition_are_solved_for_without_listing() -> None:
    for where, survivors in (
        ("m <= p", 5000 * 5001 // 2),
        ("m < p", 5000 * 4999 // 2),
        ("m <= p and p - m < 3", 3 * 5000 - 3),
        ("2*m <= p + 1", sum((p + 1) // 2 + 1 for p in range(5000))),
        ("m + p >= 9999", 0),
    ):
        made = cascade("large", [f"S[m,p] = A[m,p] where {where}"], {"m": 5000, "p": 5000})
        machine = strategies.architecture(Choices(lambda count: 0))
        mapping = Mapping("by hand", (Keep("L0", (Held("A"), Held("S"))), For("m", 100), For("p", 100), Leaf("S", "PE")))
        assert Program(made, machine, Counting()).masks["S"].kind == plan.INEQUALITIES
        assert kernel_count(made, machine, mapping, Counting())["einsums"]["S"]["operations"] == survivors
