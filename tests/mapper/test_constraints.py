"""Constraints: what is ruled out is not in the mapping, every rule alone changes the answer, and none makes it better."""

from __future__ import annotations

import pytest

from accelsim.mapper.constraints import AxisRule, Constraints, KeepRule, PartRule
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.options import Result
from accelsim.mapping.text import nest
from accelsim.model import Evaluator
from accelsim.workload.build import cascade
from tests.mapper.test_exact import CASCADES, machine

PAIR = CASCADES["pair"]
FREE = Constraints()


def best(constraints: Constraints, made: object = PAIR, words: int = 24) -> Result:
    evaluator = Evaluator(made, machine(words))  # type: ignore[arg-type]
    found = Exact(evaluator, aim("energy", Scale.of(evaluator)), constraints=constraints).run()
    assert found is not None
    return found


def test_einsums_that_are_kept_apart_share_no_part_and_those_together_do() -> None:
    parts = (PartRule(("T", "Z"), together=False),), (PartRule(("T", "Z")),)
    apart, together = (best(Constraints(parts=each), words=12) for each in parts)  # T as a whole does not fit
    kept = [[line.partition(":")[2] for line in nest(each.mapping).splitlines() if "keep Main" in line] for each in (apart, together)]
    assert any("T" in line for line in kept[0]) and not any("T" in line for line in kept[1])
    assert together.value == best(FREE, words=12).value < apart.value


def test_an_axis_spreads_only_what_it_may() -> None:
    found = best(Constraints(axes=(AxisRule(axis="x", ranks=("l",)),)))
    assert all(" l " in line for line in nest(found.mapping).splitlines() if "spatial" in line)
    assert "spatial" not in nest(best(Constraints(axes=(AxisRule(axis="x"),))).mapping)


@pytest.mark.parametrize("tensor", ["A", "C", "Z"])
@pytest.mark.parametrize("must", [True, False])
def test_what_must_be_kept_is_and_what_must_not_is_not(tensor: str, must: bool) -> None:
    found = best(Constraints(keeps=(KeepRule(memory="Buffer", tensors=(tensor,), must=must),)))
    held = [line.partition(":")[2] for line in nest(found.mapping).splitlines() if "keep Buffer" in line]
    assert any(tensor in line.replace(" ", "").split(",") for line in held) == must
    assert found.value >= best(FREE).value * (1 - 1e-9)


def test_a_rule_for_one_einsum_says_nothing_of_another() -> None:
    made = cascade("twice", "S[m] = A[m,k] * B[k]; R[m] = A[m,k] * C[k]", {"m": 4, "k": 4})
    rule = KeepRule(("S",), "Buffer", ("A",), must=False)
    assert not Constraints(keeps=(rule,)).may_keep("Buffer", "A", "S") and Constraints(keeps=(rule,)).may_keep("Buffer", "A", "R")
    assert best(Constraints(keeps=(rule,)), made).value >= best(FREE, made).value
