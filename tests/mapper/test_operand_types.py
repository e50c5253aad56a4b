"""Operations that accept some types only: Einsums over others go to another unit, or nowhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Memory, Operation, Unit
from accelsim.mapper import search
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade

NARROW = Unit("NARROW", {"mac": Operation("mac", types=("bf16", "int8")), "add": Operation("add")}, lanes=8)
WIDE = Unit("WIDE", {"mul": Operation("mul"), "add": Operation("add")})
BOTH = Architecture("both", Memory("DRAM", feeds=(NARROW, WIDE)), Fraction(10**9))
ONE = Architecture("one", Memory("DRAM", feeds=(NARROW,)), Fraction(10**9))


def product(a: str, b: str) -> Cascade:
    return cascade("w", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "n": 4, "k": 4}, types={"default": "fp32", "A": a, "B": b})


def on(unit: str) -> Mapping:
    return Mapping("flat", (Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", unit)))


@pytest.mark.parametrize(
    ("a", "b", "unit"), [("bf16", "bf16", "NARROW"), ("bf16", "int8", "NARROW"), ("bf16", "fp32", "WIDE"), ("fp32", "fp32", "WIDE")]
)
def test_an_einsum_goes_to_the_unit_that_accepts_its_operands(a: str, b: str, unit: str) -> None:
    """The narrow unit has eight lanes and takes a step where the wide one takes two, so it is taken wherever it may be."""
    found = search(product(a, b), BOTH)
    assert {leaf.unit for _, leaf in found.mapping.paths()} == {unit}
    assert found.evaluation.cycles == (64 // 8 if unit == "NARROW" else 64 * 2)


def test_an_einsum_of_another_type_is_refused_with_its_types() -> None:
    mixed = product("bf16", "fp32")
    with pytest.raises(IllegalMapping, match=r"^unit NARROW cannot execute Z: it has no 'mac' for bf16 and fp32; use WIDE$"):
        check(mixed, BOTH, on("NARROW"))
    with pytest.raises(
        IllegalMapping, match=r"no unit of one can execute Z: NARROW has no 'mac' for bf16 and fp32; give a unit the primitive$"
    ):
        search(mixed, ONE)
    assert Evaluator(product("bf16", "bf16"), ONE).evaluate(on("NARROW")).cycles == 8


def test_operations_without_types_accept_all() -> None:
    plain = replace(ONE, root=replace(ONE.root, feeds=(replace(NARROW, operations={"mac": Operation("mac")}),)))
    assert Evaluator(product("bf16", "fp32"), plain).evaluate(on("NARROW")).cycles == 8
