"""Reduction trees, scan units and vector lanes against registers that are stepped cycle by cycle, and against plain recurrences."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.hardware.types import TYPES
from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.lanes import Instruction, LaneUnit, Operator, exponential, exponential_program
from accelsim.sim.pipelines import FORMS, ChunkedScan, ReductionTree, ScanUnit, passage

WHOLE, BF16, FP32 = Arithmetic(None), Arithmetic(TYPES["bf16"]), Arithmetic(TYPES["fp32"])
INT8 = Arithmetic(TYPES["int8"], "wrap")


def folded(values: list[int], operator: str) -> int:
    """A balanced tree by recursion, the odd one last."""
    if len(values) == 1:
        return values[0]
    pairs = [values[at : at + 2] for at in range(0, len(values), 2)]
    apply = {"add": sum, "max": max, "min": min, "mul": lambda pair: pair[0] * pair[1]}[operator]
    return folded([apply(pair) if len(pair) == 2 else pair[0] for pair in pairs], operator)


def recurrence(a: Any, b: Any, start: Any) -> list[Any]:
    found = []
    for one, two in zip(a, b, strict=True):
        start = one * start + two
        found.append(start)
    return found


class Stepped:
    """A chain of registers that is stepped: each stage computes from what the one before holds, as hardware does."""

    def __init__(self, stages: list[Any]) -> None:
        self.stages, self.held = stages, [None] * len(stages)  # of each: a function of a vector's value, and (vector, value)

    def step(self, offered: Any, takes: bool) -> tuple[bool, Any]:
        """One cycle: whether the offered vector was accepted, and what left."""
        moves = [False] * len(self.stages)
        behind = takes
        for at in reversed(range(len(self.stages))):  # a stage is free if it is empty or what is behind it moves
            moves[at] = self.held[at] is None or behind
            behind = moves[at]
        gone = self.held[-1] if takes else None
        for at in reversed(range(len(self.stages))):
            if moves[at]:
                come = offered if at == 0 else self.held[at - 1]
                self.held[at] = None if come is None else (come[0], self.stages[at](come[1]))
        return moves[0] and offered is not None, gone


pairs_of_numbers = st.tuples(st.integers(-2, 2), st.integers(-3, 3))
vectors = st.integers(1, 8).flatmap(
    lambda width: st.lists(st.lists(pairs_of_numbers, min_size=width, max_size=width), min_size=1, max_size=6)
)
rows = st.lists(st.lists(st.integers(-9, 9), min_size=7, max_size=7), min_size=1, max_size=5)


@settings(deadline=None)
@given(rows, st.sampled_from(["add", "max", "min", "mul"]), st.integers(2, 7))
def test_a_tree_reduces_in_the_order_of_its_levels(values: list[list[int]], operator: str, inputs: int) -> None:
    tree = ReductionTree(inputs, operator, WHOLE)
    given_ = np.array(values, np.int64)[:, :inputs]
    assert tree.reduce(given_).tolist() == [folded(each, operator) for each in given_.tolist()]
    assert len(tree.stages(given_)) == tree.depth
    assert tree.stages(given_)[-1].registers["node"].shape[1] == 1


def test_a_tree_rounds_once_per_node() -> None:
    """256 + 1 is 256 in bf16, and 1 + 1 is 2: the order of the tree shows."""
    assert ReductionTree(4, "add", BF16).reduce(np.array([[256.0, 1.0, 1.0, 1.0]])).tolist() == [258.0]
    assert ReductionTree(3, "add", BF16).reduce(np.array([[256.0, 1.0, 1.0]])).tolist() == [256.0]


@settings(deadline=None)
@given(vectors, st.sampled_from([form for form in FORMS if form != "serial"]), st.integers(-3, 3))
def test_every_form_of_a_scan_gives_the_recurrence(pairs: list[list[tuple[int, int]]], form: str, start: int) -> None:
    a, b = np.moveaxis(np.array(pairs, np.int64), -1, 0)
    unit = ScanUnit(form, a.shape[1], WHOLE)
    expected = recurrence(a.ravel().tolist(), b.ravel().tolist(), start)
    assert unit.stages(a, b, start)[-1].registers["h"].ravel().tolist() == expected
    short = a.size - (a.size > 1)
    assert unit.scan(a.ravel()[:short], b.ravel()[:short], start).tolist() == expected[:short]
    assert ScanUnit("serial", 1, WHOLE).scan(a.ravel(), b.ravel(), start).tolist() == expected


@settings(deadline=None)
@given(st.lists(pairs_of_numbers, min_size=1, max_size=30), st.integers(1, 4), st.integers(1, 5), st.integers(-3, 3))
def test_a_chunked_scan_gives_the_recurrence(pairs: list[tuple[int, int]], lanes: int, chunk: int, start: int) -> None:
    a, b = np.array(pairs, np.int64).T
    assert ChunkedScan(lanes, chunk, WHOLE).scan(a, b, start).tolist() == recurrence(a.tolist(), b.tolist(), start)


@pytest.mark.parametrize("form", ["kogge_stone", "brent_kung", "chunked"])
def test_scans_in_fp32_are_within_rounding_of_the_exact_recurrence(form: str) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 1.0, 256).astype(np.float32), rng.standard_normal(256).astype(np.float32)
    unit = ChunkedScan(8, 16, FP32) if form == "chunked" else ScanUnit(form, 16, FP32)
    exact = recurrence([Fraction(float(each)) for each in a], [Fraction(float(each)) for each in b], Fraction(0))
    sizes = recurrence([abs(Fraction(float(each))) for each in a], [abs(Fraction(float(each))) for each in b], Fraction(0))
    for found, right, size in zip(unit.scan(a, b), exact, sizes, strict=True):  # at most 2 log2(16) + 2 roundings of each term, twice
        assert abs(Fraction(float(found)) - right) <= size * 80 * Fraction(2) ** -24


def test_int8_wraps_in_every_stage() -> None:
    a, b = np.full((1, 4), 3, np.int64), np.full((1, 4), 100, np.int64)
    expected, h = [], 0
    for _ in range(4):
        h = (3 * h + 100 + 128) % 256 - 128
        expected.append(h)
    assert ScanUnit("kogge_stone", 4, INT8).stages(a, b)[-1].registers["h"].ravel().tolist() == expected


def test_operators_are_those_of_the_published_networks() -> None:
    """Of prefix networks over n = 2^k: Kogge-Stone n k - n + 1 combinations in k levels, Brent-Kung 2n - 2 - k in 2k - 1."""
    for k in range(1, 7):
        n = 1 << k
        for form, combinations, levels in (("kogge_stone", n * k - n + 1, k), ("brent_kung", 2 * n - 2 - k, 2 * k - 1)):
            unit = ScanUnit(form, n, WHOLE)
            assert unit.operators == (2 * combinations + n, combinations + n)
            assert unit.depth == levels + 1


@settings(deadline=None)
@given(
    vectors, st.sampled_from(["kogge_stone", "brent_kung"]), st.lists(st.booleans(), max_size=30),
    st.lists(st.integers(0, 4), min_size=6, max_size=6),
)  # fmt: skip
@pytest.mark.slow
def test_registers_hold_in_every_cycle_what_a_stepped_chain_holds(
    pairs: list[list[tuple[int, int]]], form: str, ready: list[bool], gaps: list[int]
) -> None:
    a, b = np.moveaxis(np.array(pairs, np.int64), -1, 0)
    unit = ScanUnit(form, a.shape[1], WHOLE)
    offered = np.cumsum(gaps[: len(a)])
    stages = unit.stages(a, b)
    shown = 80
    passed = passage(unit.depth, offered, ready, shown=shown)

    def combining(number: int) -> Any:
        pairs_of = unit._plan()[number]

        def combine(value: tuple[list[int], list[int]]) -> tuple[list[int], list[int]]:
            one, two = value
            made = {to: (one[to] * one[by], one[to] * two[by] + two[to]) for to, by in pairs_of}
            return [made[at][0] if at in made else each for at, each in enumerate(one)], [
                made[at][1] if at in made else each for at, each in enumerate(two)
            ]

        return combine

    carry = 0

    def complete(value: tuple[list[int], list[int]]) -> list[int]:
        nonlocal carry
        found = [one * carry + two for one, two in zip(*value, strict=True)]
        carry = found[-1]
        return found

    chain = Stepped([*(combining(number) for number in range(unit.depth - 1)), complete])
    waiting, left = 0, {}
    for cycle in range(shown):
        for at, held in enumerate(chain.held):
            vector = int(passed.held[cycle, at]) if cycle < passed.cycles else -1
            assert (held[0] if held else -1) == vector
            if held and at < unit.depth - 1:
                assert held[1] == (stages[at].registers["a"][vector].tolist(), stages[at].registers["b"][vector].tolist())
            elif held:
                assert held[1] == stages[at].registers["h"][vector].tolist()
        takes = cycle >= len(ready) or ready[cycle]
        come = (waiting, (a[waiting].tolist(), b[waiting].tolist())) if waiting < len(a) and offered[waiting] <= cycle else None
        accepted, gone = chain.step(come, takes)
        if accepted:
            assert passed.entered[waiting] == cycle
            waiting += 1
        if gone is not None:
            left[gone[0]] = cycle
    assert [left[vector] for vector in range(len(a))] == passed.left.tolist()


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 4))
def test_nothing_in_the_way_means_one_vector_each_interval(depth: int, count: int, interval: int) -> None:
    passed = passage(depth, [0] * count, interval=interval)
    assert passed.entered.tolist() == [interval * at for at in range(count)]
    assert (passed.left - passed.entered == depth).all()
    assert ScanUnit("kogge_stone", 4, WHOLE).cycles(4 * count) == passage(3, [0] * count).cycles
    assert passage(depth, [10**12]).left.tolist() == [10**12 + depth]  # nothing happens until then, and takes no time


def cycle_by_cycle(lanes: int, operators: dict[str, Operator], program: list[Instruction]) -> tuple[list[int], list[int]]:
    """Group by group: the first cycle in which a group may issue is looked for one by one."""
    there: list[list[int]] = []  # when the result of each group is there
    free, first = 0, []
    for step in program:
        operator, times = operators[step.operator], []
        groups, start = max(1, -(-step.elements // lanes)), free
        while any(there[need][at] > start + at * operator.interval for need in step.needs for at in range(groups)):
            start += 1
        times = [start + at * operator.interval for at in range(groups)]
        there.append([time + operator.latency for time in times])
        free = times[-1] + operator.interval
        first.append(start)
    return first, [each[-1] for each in there]


@settings(deadline=None)
@given(st.data())
def test_lanes_issue_as_a_search_cycle_by_cycle_says(data: st.DataObject) -> None:
    operators = {}
    for name in "abc":
        interval = data.draw(st.integers(1, 4))
        operators[name] = Operator(interval + data.draw(st.integers(0, 5)), interval)
    elements, program = data.draw(st.integers(1, 20)), []
    for number in range(data.draw(st.integers(1, 6))):
        needs = data.draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        program.append(Instruction(data.draw(st.sampled_from("abc")), elements, tuple(sorted(needs))))
    lanes = data.draw(st.integers(1, 6))
    found = LaneUnit(lanes, operators).run(program)
    assert ([*found.first], [*found.done]) == cycle_by_cycle(lanes, operators, program)


@pytest.mark.parametrize("degree", [3, 5, 6])
def test_exp_by_multiply_adds_is_as_good_as_its_polynomial(degree: int) -> None:
    from math import factorial, log

    x = np.linspace(-80.0, 80.0, 20001)
    error = np.abs(exponential(x, degree, Arithmetic(None)) / np.exp(x) - 1).max()
    left_out = (log(2) / 2) ** (degree + 1) / factorial(degree + 1) * 1.42
    assert left_out / 4 < error < left_out + 1e-12
    steps = exponential_program(8, degree)
    assert [step.operator for step in steps].count("mac") == degree + 1
    rounded = exponential(x, degree, FP32)
    near = np.abs(x) < 20
    assert np.abs(rounded[near] / np.exp(x[near]) - 1).max() < left_out + 80 * 2.0**-24


def test_exp_of_degree_five_is_nine_steps_of_which_six_are_multiply_adds() -> None:
    """As many multiply-adds as FuseMax (arXiv 2406.10491) counts for an exponential; every step of a number is an issue of one lane."""
    unit = LaneUnit(1, {name: Operator() for name in ("mul", "rint", "mac", "ldexp")})
    program = exponential_program(100, 5)
    assert [step.operator for step in program] == ["mul", "rint", *["mac"] * 6, "ldexp"]
    assert unit.run(program).done[-1] == 900


def test_a_chunked_scan_takes_its_phases_one_after_the_other() -> None:
    """Four lanes of eight steps: 8 cycles to scan, 4 for the carries and 8 to complete; the next block is scanned meanwhile."""
    unit = ChunkedScan(4, 8, WHOLE)
    assert (unit.cycles(0), unit.cycles(1), unit.cycles(32), unit.cycles(33)) == (0, 20, 20, 32)
    assert unit.operators == (13, 9) and ReductionTree(7, "add", WHOLE).operators == 6


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ReductionTree(1, "add", WHOLE), "reduces nothing"),
        (lambda: ReductionTree(4, "sub", WHOLE), "no tree reduces with 'sub'"),
        (lambda: ScanUnit("tree", 4, WHOLE), "no scan unit is called 'tree'"),
        (lambda: ScanUnit("serial", 4, WHOLE), "write 1 for serial"),
        (lambda: ChunkedScan(0, 4, WHOLE), "at least 1"),
        (lambda: Operator(1, 2), "interval <= latency"),
        (lambda: LaneUnit(1, {}).run([Instruction("exp", 1)]), "no operator 'exp'"),
        (lambda: LaneUnit(1, {"a": Operator()}).run([Instruction("a", 1, (0,))]), "does not come before"),
        (lambda: passage(2, [3, 1]), "before the one in front"),
        (lambda: passage(0, [1]), "a pipeline of 0 stages"),
        (lambda: passage(2, [1], shown=-1), "cannot be shown"),
        (lambda: ReductionTree(4, "add", WHOLE).reduce([[1, 2, 3, 4, 5]]), "for a tree of 4 inputs"),
        (lambda: ScanUnit("serial", 1, WHOLE).scan([1, 2], [1]), "give both one length"),
        (lambda: exponential([1.0], 200, WHOLE), "a polynomial of degree 200"),
        (lambda: LaneUnit(0, {}), "a vector unit of 0 lanes"),
        (lambda: LaneUnit(1, {"a": Operator()}).run([Instruction("a", 1), Instruction("a", 2, (0,))]), "make the two alike"),
    ],
)
def test_what_cannot_be_built_is_refused(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()
