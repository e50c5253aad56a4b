"""The exact search against every mapping listed one by one, what must never worsen an optimum, its certificate, and its repeatability."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.hardware.architecture import Architecture, Array, Axis
from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.mapper import exact as module
from accelsim.mapper.constraints import Constraints, KeepRule
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.leaf import OutOfTime
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.options import Limits, Result
from accelsim.mapper.part import Part
from accelsim.mapping.legality import is_legal
from accelsim.mapping.text import nest, parse_nest
from accelsim.model import Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper import brute
from tests.mapper.small import GIGA, memory, unit
from tests.mapper.small_problems import Problem, problem
from tests.share import share

QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"
PROBLEMS = share(1000, 80, 40)
BLOCK = 10  # problems of one test
CLOSE = 1e-9
OBJECTIVES = ("latency", "energy", "edp")


def exactly(each: Problem, limits: Limits | None = None) -> Result:
    """What the exact search answers to a problem, with tiles that divide; raises Unsupported."""
    return optimum(each.cascade, each.architecture, each.objective, each.schedules, each.counting, limits=limits)


def optimum(
    made: Cascade, machine: Architecture, objective: str, schedules: tuple[str, ...] = brute.SCHEDULES, counting: Any = None,
    constraints: Constraints | None = None, limits: Limits | None = None,
) -> Result:  # fmt: skip
    """What the exact search answers; that nothing is legal cannot be, since the root is unlimited."""
    evaluator = Evaluator(made, machine, counting)
    found = Exact(evaluator, aim(objective, Scale.of(evaluator)), schedules, constraints, limits).run()
    assert found is not None
    return found


def listed(each: Problem) -> float:
    """The least value of all mappings with tiles that divide, one by one."""
    return brute.best(each.cascade, each.architecture, each.objective, dividing=True, schedules=each.schedules, counting=each.counting)[0]


def same_space(each: Problem) -> bool:
    """Whether the listing leaves out what docs/mapspace.md leaves out: it shares out no inner memory, and knows no room of partial types.

    Elsewhere the answer of the search is legal, at least as good as it says, and not better than the least.
    """
    wide = any(tensor.partial != tensor.final for tensor in each.cascade.tensors.values())
    several = len(each.cascade.work) > 1
    deep = len(each.architecture.memories) > 2
    return not (several and wide) and not (several and deep and "pipelined" in each.schedules)


def differences(each: Problem, least: float) -> list[str] | None:
    """What is wrong with the answer to a problem whose optimum is `least`; None if it is refused."""
    try:
        found = exactly(each)
    except Unsupported:
        return None
    evaluator = Evaluator(each.cascade, each.architecture, each.counting)
    wrong = []
    for name, value in (("value", found.value), ("bound", found.bound)):
        if value < least * (1 - CLOSE) or (same_space(each) and value > least * (1 + CLOSE)):
            wrong.append(f"{name} {value!r}, least {least!r}")
    if not is_legal(each.cascade, each.architecture, found.mapping):
        return [*wrong, "the mapping is illegal"]
    evaluated = brute.value(evaluator.evaluate(found.mapping), each.objective)
    if evaluated > found.value * (1 + CLOSE) or (same_space(each) and evaluated < found.value * (1 - CLOSE)):
        wrong.append(f"value {found.value!r}, evaluated {evaluated!r}")
    if parse_nest(nest(found.mapping, each.cascade)) != found.mapping or parse_mapping(dump_mapping(found.mapping), {}) != found.mapping:
        wrong.append("the mapping is not what its text says")
    return wrong


@lru_cache
def drawn(block: int) -> tuple[Problem, ...]:
    """One block of random problems; the same in every size of testing."""
    rng = np.random.default_rng((20_26, block))
    return tuple(problem(rng, 600) for _ in range(BLOCK))


@lru_cache
def solved(block: int) -> tuple[tuple[Problem, float], ...]:
    """Problems of a block that the exact search has a form for, with their optima from the listing."""
    return tuple((each, listed(each)) for each in drawn(block) if supported(each))


def supported(each: Problem) -> bool:
    """Whether the exact search has a form for a problem."""
    evaluator = Evaluator(each.cascade, each.architecture, each.counting)
    try:
        Exact(evaluator, aim(each.objective, Scale.of(evaluator)), each.schedules)
    except Unsupported:
        return False
    return True


# --- against the listing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(PROBLEMS // BLOCK))
def test_the_optimum_is_the_least_of_all_mappings_listed_one_by_one(block: int) -> None:
    for at, (each, least) in enumerate(solved(block)):
        found = differences(each, least)
        assert found == [], f"problem {at} of block {block}: {each}\n" + "\n".join(found or ())


def test_a_tile_that_is_smaller_than_another_but_no_part_of_it_is_not_lost() -> None:
    # 2 or 3 of 6 rows fit, not all; only 2 can be spread over the two copies of an axis
    types = {"default": "bf16", "A": "int8"}
    product = cascade("rows", "Z[m,n] = A[m,k] * B[k,n]", {"m": 6, "n": 1, "k": 3}, types=types)
    array = Array("grid", (Axis("x", 2, False, ("add",)), Axis("y", 2, True, ("add",))), feeds=(unit("U", "mac", "mul", "add", lanes=2),))
    machine = Architecture("rows", memory("Main", None, 1, 10.0, memory("Buffer", 3, None, 3.0, array, ports="separate")), Fraction(GIGA))
    each = Problem(product, machine, Counting(footprint="box", refill="every_visit"), "energy", True, brute.SCHEDULES)
    assert differences(each, listed(each)) == []


def test_at_most_one_small_problem_in_five_is_refused() -> None:
    problems = [each for block in range(PROBLEMS // BLOCK) for each in drawn(block)]
    assert sum(not supported(each) for each in problems) <= len(problems) / 5


def _dearer_buffer(plan: Any) -> Any:
    prices = plan.prices.copy()
    prices[-1] *= 2
    return plan._replace(prices=prices)


def _slower_root(plan: Any) -> Any:
    rates = plan.rates.copy()
    rates[0] *= 2
    return plan._replace(rates=rates)


def _wider(plan: Any) -> Any:
    return plan._replace(widths=2 * plan.widths)


@pytest.mark.parametrize("broken", [_dearer_buffer, _slower_root, _wider])
def test_a_wrong_price_rate_width_or_a_lost_order_is_noticed(broken: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [each for block in range(PROBLEMS // BLOCK)[:8] for each in solved(block)]
    honest = module.lower

    def lower(*given: Any) -> Any:
        plan, names = honest(*given)
        return broken(plan), names

    monkeypatch.setattr(module, "lower", lower)
    assert any(differences(each, least) for each, least in problems)


# --- more can never be worse ------------------------------------------------------------------------------------------------------------

CASCADES = {
    "product": cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 6, "n": 4, "k": 4}),
    "pair": cascade("pair", "T[m,n] = A[m,k] * B[k,n]; Z[m,l] = T[m,n] * C[n,l]", {"m": 4, "n": 4, "k": 2, "l": 4}),
    "three": cascade("three", "T[m,k] = exp(A[m,k]); S[m] = T[m,k] * B[k]; Z[m,k] = T[m,k] + S[m]", {"m": 6, "k": 4}),
}


def machine(words: int | None = 12, rate: int = 1, size: int = 2, registers: int | None = 2) -> Architecture:
    """Main over Buffer over a row of registers and units, whose prices do not change with their sizes."""
    register = memory("Reg", registers, None, 0.1, unit("U", "mac", "mul", "add", "exp"))
    row = Array("row", (Axis("x", size, True, ("add",)),), feeds=(register,))
    return Architecture("small", memory("Main", None, rate, 10.0, memory("Buffer", words, 4, 1.0, row)), Fraction(GIGA))


def bypassing(*places: tuple[str, str]) -> Constraints:
    """Tensors are not kept in these places."""
    return Constraints(keeps=tuple(KeepRule(memory=held, tensors=(tensor,), must=False) for held, tensor in places))


def never_worse(values: list[float]) -> bool:
    return all(after <= before * (1 + CLOSE) for before, after in pairwise(values))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("made", CASCADES.values(), ids=CASCADES)
def test_a_larger_buffer_or_register_is_never_worse(made: Cascade, objective: str) -> None:
    values = [optimum(made, machine(words=words), objective).value for words in (2, 3, 5, 8, 12, 24, 64, None)]
    assert never_worse(values) and values[-1] < values[0]
    assert never_worse([optimum(made, machine(registers=registers), objective).value for registers in (1, 2, 3, 6, None)])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("made", CASCADES.values(), ids=CASCADES)
def test_more_bandwidth_is_never_worse(made: Cascade, objective: str) -> None:
    for schedules in (brute.SCHEDULES, ("pipelined",)):
        assert never_worse([optimum(made, machine(rate=rate), objective, schedules).value for rate in (1, 2, 3, 8)])


@pytest.mark.parametrize("made", CASCADES.values(), ids=CASCADES)
def test_more_units_take_no_more_steady_cycles(made: Cascade) -> None:
    steady = []
    for size in (1, 2, 3, 4, 8):
        wide = machine(size=size)
        timing = Evaluator(made, wide).evaluate(optimum(made, wide, "latency", ("sequential",)).mapping).timing
        assert timing.fill == timing.drain == 0  # one after the other on units without depth: all cycles are steady
        steady.append(float(timing.steady))
    assert never_worse(steady)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("words", [3, 12, 64])
@pytest.mark.parametrize("made", [CASCADES["pair"], CASCADES["three"]], ids=["pair", "three"])
def test_another_schedule_is_never_worse(made: Cascade, words: int, objective: str) -> None:
    either = optimum(made, machine(words), objective).value
    each = [optimum(made, machine(words), objective, (schedule,)).value for schedule in brute.SCHEDULES]
    assert either <= min(each) * (1 + CLOSE)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("made", CASCADES.values(), ids=CASCADES)
def test_more_keeps_are_never_worse(made: Cascade, objective: str) -> None:
    places = [(held, tensor) for tensor in made.tensors for held in ("Buffer", "Reg")]
    allowed = [bypassing(*places[many:]) for many in range(len(places) + 1)]
    values = [optimum(made, machine(), objective, constraints=constraints).value for constraints in (*allowed, None)]
    assert never_worse(values) and values[-1] < values[0]


def test_a_tile_is_tried_though_a_larger_one_fits_that_is_no_multiple_of_it() -> None:
    # three of six coordinates fit the Buffer, but only two of them can be spread over the row
    made = cascade("outer", "Z[m,n] = A[m] * B[n]", {"m": 6, "n": 3})
    row = Array("row", (Axis("x", 2, True, ("add",)),), feeds=(unit("U", "mac", "mul"),))
    spread = Architecture("spread", memory("Main", None, 2, 10.0, memory("Buffer", 3, None, 1.0, row)), Fraction(GIGA))
    for objective in OBJECTIVES:
        assert optimum(made, spread, objective).value == pytest.approx(brute.best(made, spread, objective, dividing=True)[0], rel=1e-9)


# --- the certificate --------------------------------------------------------------------------------------------------------------------


def test_the_bound_is_below_the_optimum_and_the_value_above_whatever_the_limits() -> None:
    problems = [each for block in range(3) for each in solved(block) if same_space(each[0])]
    stopped = Limits()
    stopped.stop()
    unproved = 0
    for each, least in problems:
        for limits in (Limits(work=0), Limits(work=0.05), stopped, Limits(gap=0.5), Limits(gap=0.02)):
            found = exactly(each, limits)
            assert found.bound <= least * (1 + CLOSE)
            assert least <= found.value * (1 + CLOSE)
            assert found.bound <= found.value
            unproved += found.bound < found.value * (1 - CLOSE)
    assert unproved


@pytest.mark.parametrize("gap", [0.02, 0.5])
def test_what_is_within_the_gap_is_within_the_gap_of_its_bound(gap: float) -> None:
    for each, _ in (each for block in range(3) for each in solved(block)):
        found = exactly(each, Limits(gap=gap))
        assert found.value <= found.bound * (1 + gap) * (1 + CLOSE)


# --- repeatability ----------------------------------------------------------------------------------------------------------------------


def texts(blocks: int = 1) -> str:
    """The mappings found for some problems, as YAML."""
    return "".join(dump_mapping(exactly(each).mapping) for block in range(blocks) for each in drawn(block) if supported(each))


@pytest.mark.slow
def test_two_searches_give_the_same_mapping_whatever_the_hash_seed() -> None:
    found = {texts(), texts()}
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
        program = "from tests.mapper.test_exact import texts; print(texts(), end='')"
        found.add(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True).stdout)
    assert len(found) == 1 and "keep" in found.pop()


# --- no time ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 4])
def test_a_part_without_time_for_its_first_bounds_is_searched_all_the_same(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever part the clock stops while it notes its first bounds, none is then taken for one that has no mappings."""
    honest, left = Part._note_crude, [0]

    def note(part: Part, confined: bool) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OutOfTime
        honest(part, confined)

    monkeypatch.setattr(Part, "_note_crude", note)
    for each, least in (each for block in range(4) for each in solved(block) if same_space(each[0]) and len(each[0].cascade.work) > 1):
        left[0] = failing
        found = exactly(each)
        assert found.bound <= least * (1 + CLOSE)
        assert abs(found.value - least) <= CLOSE * least
