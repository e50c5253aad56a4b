"""Constraints: what is ruled out is not in the mapping, every rule alone changes the answer, and none makes it better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.hardware.architecture import Architecture, Memory, Unit
from accelsim.mapper.constraints import AxisRule, Constraints, KeepRule, OrderRule, PartRule, StationaryRule, TileRule
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.options import Result
from accelsim.mapping.text import nest
from accelsim.model import Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper import brute, obeys
from tests.mapper.small import GIGA, memory, unit
from tests.mapper.small_problems import Problem, problem
from tests.mapper.test_exact import CASCADES, QUICK, machine, same_space, supported

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
    rules = Constraints(keeps=(rule,))
    assert not rules.may_keep("Buffer", "A", "S", above=False) and rules.may_keep("Buffer", "A", "R", above=True)
    assert best(Constraints(keeps=(rule,)), made).value >= best(FREE, made).value


# --- tiles, orders and the operand that stays -----------------------------------------------------------------------------------------

Drawn = obeys.Tile | obeys.Order | obeys.Stationary


def drawn_rules(rng: np.random.Generator, each: Problem) -> list[Drawn]:
    """One to three rules about a problem."""
    memories = [name for name in each.architecture.memories if name != each.architecture.root.name]
    ranks, tensors, einsums = list(each.cascade.extents), list(each.cascade.tensors), [einsum.name for einsum in each.cascade.work]
    found: list[Drawn] = []
    for kind in rng.choice(("tile", "tile", "order", "stationary"), int(rng.integers(1, 4))):
        memory = str(rng.choice(memories))
        about = () if rng.random() < 0.6 else (str(rng.choice(einsums)),)
        if kind == "tile":
            rank = str(rng.choice(ranks))
            least, most = sorted(rng.integers(1, each.cascade.extents[rank] + 1, 2).tolist())
            least, most = [(most, most), (1, most), (least, each.cascade.extents[rank])][int(rng.integers(3))]
            found.append(obeys.Tile(memory, rank, least, most, about))
        elif kind == "order":
            found.append(obeys.Order(memory, tuple(rng.permutation(ranks).tolist()[: int(rng.integers(2, 4))]), about))
        else:
            found.append(obeys.Stationary(memory, str(rng.choice(tensors)), about))
    return found


def constraints_of(rules: list[Drawn]) -> Constraints:
    tiles = tuple(TileRule(rule.einsums, rule.memory, rule.rank, rule.least, rule.most) for rule in rules if isinstance(rule, obeys.Tile))
    orders = tuple(OrderRule(rule.einsums, rule.memory, rule.ranks) for rule in rules if isinstance(rule, obeys.Order))
    staying = tuple(StationaryRule(rule.einsums, rule.memory, rule.tensor) for rule in rules if isinstance(rule, obeys.Stationary))
    return Constraints(tiles=tiles, orders=orders, stationary=staying)


@pytest.fixture(scope="module")
def binding() -> Iterator[list[bool]]:
    """Whether rules made the optimum worse, for all that were tried: many did."""
    found: list[bool] = []
    yield found
    assert sum(found) >= len(found) / 10


@settings(max_examples=20 if QUICK else 60)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_the_optimum_is_the_least_of_all_mappings_that_obey(binding: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    each = replace(problem(rng, 400), dividing=True)
    assume(len(each.architecture.memories) > 1 and same_space(each) and supported(each))
    evaluator, raised = Evaluator(each.cascade, each.architecture, each.counting), each.counting.refill != "delta"
    free = searched(evaluator, each.objective, FREE, each.schedules)
    listed = [
        (brute.value(evaluator.evaluate(mapping, checked=True), each.objective), mapping)
        for mapping in brute.mappings(
            each.cascade, each.architecture, dividing=True, schedules=each.schedules, refill=each.counting.refill
        )
    ]  # fmt: skip
    for _ in range(8):
        rules = drawn_rules(rng, each)
        left = [value for value, mapping in listed if obeys.obeys(mapping, each.cascade, each.architecture, rules, raised)]
        found = searched(evaluator, each.objective, constraints_of(rules), each.schedules)
        assert (found is None) == (not left), rules
        if found is not None:
            assert found.value == pytest.approx(min(left), rel=1e-9), rules
            assert obeys.obeys(found.mapping, each.cascade, each.architecture, rules, raised), rules
        binding.append(not left or (free is not None and min(left) > free.value * (1 + 1e-9)))


def test_a_result_that_only_the_innermost_memory_keeps_is_drained_in_its_final_type() -> None:
    each = replace(problem(np.random.default_rng(2006), 400), dividing=True)  # Z[n,m] = exp(A[m,n]), partial words twice as wide
    evaluator, rules = Evaluator(each.cascade, each.architecture, each.counting), Constraints(stationary=(StationaryRule((), "Reg", "Z"),))
    found = searched(evaluator, "energy", rules, each.schedules)
    listed = brute.mappings(each.cascade, each.architecture, dividing=True, schedules=each.schedules, refill=each.counting.refill)
    left = [m for m in listed if obeys.obeys(m, each.cascade, each.architecture, [obeys.Stationary("Reg", "Z")], False)]
    assert found is not None
    assert found.value == pytest.approx(min(brute.value(evaluator.evaluate(m, checked=True), "energy") for m in left), rel=1e-9)


def searched(evaluator: Evaluator, objective: str, constraints: Constraints, schedules: tuple[str, ...] = brute.SCHEDULES) -> Result | None:
    try:
        return Exact(evaluator, aim(objective, Scale.of(evaluator)), schedules, constraints).run()
    except Unsupported:
        return None


def stacked(*words: int) -> Architecture:
    """Memories of so many words over each other, and a unit below them."""
    node: Memory | Unit = unit("U", "mac", "mul", "add", "exp")
    for at, many in reversed(list(enumerate(words, 1))):
        node = memory(f"L{at}", many, None, 1 / at**2, node)
    return Architecture("stacked", memory("Main", None, 1, 10.0, node), Fraction(GIGA))


OUTER, VECTOR, SCALED = "Z[m,n] = A[m,k] * B[n]", "Z[m] = A[m,k] * B[k]", "T[m,n] = exp(A[m,n]); Z[m,n] = T[m,n] * B[n]"


@pytest.mark.parametrize(
    ("text", "sizes", "words", "order", "refill"),
    [
        # an order further in: a larger tile outside it may share less
        (OUTER, {"m": 2, "n": 2, "k": 4}, (3, 4), "kmn", "every_visit"),
        (OUTER, {"m": 3, "n": 2, "k": 2}, (8, 2), "mnk", "every_visit"),
        (VECTOR, {"m": 4, "k": 3}, (3, 3), "km", "every_visit"),
        # loops of a trunk
        (SCALED, {"m": 4, "n": 2}, (2,), "mn", "delta"),
        (SCALED, {"m": 4, "n": 2}, (2,), "nm", "delta"),
    ],
)
@pytest.mark.slow
def test_an_order_of_the_innermost_memory_or_of_a_trunk_is_searched_to_the_end(
    text: str, sizes: dict[str, int], words: tuple[int, ...], order: str, refill: str
) -> None:
    made, deep = cascade("deep", text, sizes), stacked(*words)
    evaluator = Evaluator(made, deep, Counting.from_text({"refill": refill}))
    rule = obeys.Order(f"L{len(words)}", tuple(order))
    found = searched(evaluator, "energy", constraints_of([rule]))
    listed = brute.mappings(made, deep, dividing=True, refill=refill)
    left = [each for each in listed if obeys.obeys(each, made, deep, [rule], refill != "delta")]
    assert found is not None
    assert found.value == pytest.approx(min(brute.value(evaluator.evaluate(each, checked=True), "energy") for each in left), rel=1e-9)


MATMUL = CASCADES["product"]


@pytest.mark.parametrize(("least", "most"), [(2, 2), (1, 2), (3, None)])
@pytest.mark.parametrize("made", CASCADES.values(), ids=CASCADES)
def test_tiles_are_as_large_as_they_must_be(made: Cascade, least: int, most: int | None) -> None:
    evaluator = Evaluator(made, machine(24))
    found = searched(evaluator, "energy", Constraints(tiles=(TileRule(memory="Buffer", rank="k", least=least, most=most),)))
    assert found is not None
    largest = most or made.extents["k"]
    assert obeys.obeys(found.mapping, made, evaluator.architecture, [obeys.Tile("Buffer", "k", least, largest)], False)
    assert found.value >= best(FREE, made).value * (1 - 1e-9)


@pytest.mark.parametrize("order", list(permutations("mnk")))
def test_loops_stand_in_the_order_that_they_must(order: tuple[str, ...]) -> None:
    evaluator = Evaluator(MATMUL, machine(6))
    rules = Constraints(orders=(OrderRule(memory="Buffer", ranks=order),), keeps=(KeepRule(memory="Buffer", tensors=("A", "B", "Z")),))
    found = searched(evaluator, "energy", rules)
    assert found is not None and obeys.obeys(found.mapping, MATMUL, evaluator.architecture, [obeys.Order("Buffer", order)], False)
    assert found.value >= best(FREE, MATMUL, 6).value * (1 - 1e-9)


@pytest.mark.parametrize(("tensor", "words"), [("A", 24), ("B", 16)])
def test_the_operand_that_stays_is_brought_once(tensor: str, words: int) -> None:
    evaluator = Evaluator(MATMUL, machine(6))
    found = searched(evaluator, "energy", Constraints(stationary=(StationaryRule(memory="Buffer", tensor=tensor),)))
    assert found is not None
    assert obeys.obeys(found.mapping, MATMUL, evaluator.architecture, [obeys.Stationary("Buffer", tensor)], False)
    assert evaluator.evaluate(found.mapping).bits["Z", tensor, "Main"][0] == 16 * words * evaluator.clock.pieces


def test_a_unit_that_lies_elsewhere_cannot_obey_a_keep() -> None:
    made = cascade("copy", "Z[m] = exp(A[m])", {"m": 4})
    buffer = memory("Buffer", 24, 4, 1.0, unit("U", "exp"), memory("Reg", 4, None, 0.1, unit("V", "exp")))
    aside = Architecture("aside", memory("Main", None, 1, 10.0, buffer), Fraction(GIGA))
    free, bound = (searched(Evaluator(made, aside), "energy", each) for each in (
        FREE, Constraints(keeps=(KeepRule(memory="Reg", tensors=("A",)),))
    ))  # fmt: skip
    assert free is not None and "on U" in nest(free.mapping)
    assert bound is not None and "on V" in nest(bound.mapping) and "keep Reg: A" in nest(bound.mapping)
