"""The exhaustive enumerator against counts and optima worked out by hand, and what it promises of every mapping."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Unit
from accelsim.mapping.legality import is_legal
from accelsim.mapping.text import nest, parse_nest
from accelsim.mapping.tree import Fuse, Held, Keep, Mapping, TreeNode
from accelsim.model.evaluation import Evaluator
from accelsim.workload.build import cascade
from tests.mapper import brute, small_problems
from tests.mapper.small import GIGA, memory, unit
from tests.mapper.small_problems import Problem, problem

COPY = cascade("copy", "Z[m] = exp(A[m])", {"m": 2})
PAIR = cascade("pair", "T[m] = exp(A[m]); Z[m] = exp(T[m])", {"m": 2})
OUTER = cascade("outer", "Z[m,n] = A[m] + B[n]", {"m": 2, "n": 2})


def two_memories(words: int = 64, *feeds: Memory | Array | Unit) -> Architecture:
    """Main, which moves a word per cycle for 10 pJ per bit, over an unlimited Buffer for 1 pJ per bit over a unit."""
    buffer = memory("Buffer", words, None, 1.0, *(feeds or (unit("U", "exp", "add", "mac"),)))
    return Architecture("two", memory("Main", None, 1, 10.0, buffer), Fraction(GIGA))


def spread(size: int = 2) -> Array:
    """A unit in some copies."""
    return Array("grid", (Axis("x", size),), feeds=(unit("U", "exp", "add", "mac"),))


def drawn(seed: int, many: int, most: int) -> list[Problem]:
    """Some random problems."""
    rng = np.random.default_rng(seed)
    return [problem(rng, most) for _ in range(many)]


def listed(each: Problem) -> list[Mapping]:
    """The map space of a problem."""
    refill = each.counting.refill
    return list(brute.mappings(each.cascade, each.architecture, dividing=each.dividing, schedules=each.schedules, refill=refill))


def test_one_rank_of_two_on_two_memories_has_seven_mappings() -> None:
    # The Buffer keeps nothing: one. It keeps A, Z or both: each below no loop or below 'for m by 1'.
    assert brute.count(COPY, two_memories(), dividing=False) == 1 + 3 * 2


def test_every_tile_size_is_a_choice_and_dividing_ones_are_fewer() -> None:
    four = cascade("copy", "Z[m] = exp(A[m])", {"m": 4})
    assert brute.count(four, two_memories(), dividing=True) == 1 + 3 * (1 + 2)
    assert brute.count(four, two_memories(), dividing=False) == 1 + 3 * (1 + 3)


def test_loops_of_a_block_stand_in_every_order() -> None:
    square = cascade("copy", "Z[m,n] = exp(A[m,n])", {"m": 2, "n": 2})
    assert brute.count(square, two_memories(), dividing=False) == 1 + 3 * (1 + 2 + 2)


def test_an_axis_is_used_for_one_loop_or_none() -> None:
    # What the Buffer's loop leaves of m is 2 or 1; only a tile of 2 can be spread.
    assert brute.count(COPY, two_memories(64, spread()), dividing=False) == 2 + 3 * (2 + 1)
    wide = cascade("copy", "Z[m] = exp(A[m])", {"m": 4})  # over 2 copies by 2 or 3, never by 1
    assert brute.count(wide, Architecture("flat", memory("Main", None, 1, 10.0, spread()), Fraction(GIGA)), dividing=False) == 3


def test_every_unit_that_executes_an_einsum_is_a_choice() -> None:
    units = unit("U", "exp"), unit("V", "exp", "add"), unit("W", "add")
    assert brute.count(COPY, two_memories(64, *units), dividing=False) == 2 * 7


def test_keeps_are_raised_only_where_visits_refill() -> None:
    # Five orders of loops (none, m, n, mn, nm) under seven sets of tensors. Raised: nothing without loops; under m, B has two places;
    # under n, A; under mn, A; under nm, B. With the two places of one tensor, 3 sets leave it out and 4 hold it.
    assert brute.count(OUTER, two_memories(), dividing=False) == 1 + 5 * 7
    assert brute.count(OUTER, two_memories(), dividing=False, refill="every_visit") == 1 + 7 + 4 * (3 + 4 * 2)


def test_two_einsums_apart_resident_and_fused() -> None:
    # An Einsum with f tensors that its block may keep has b = 1 + 2 (2^f - 1) ways at m = 2, and 2^f at m = 1.
    apart = 7 * 7
    resident = 3 * 3
    # No loop in the trunk: A is kept there (nothing left to keep: 1) or not (3), and Z alike. Sequential with neither is `resident`.
    whole = (1 + 3) * (1 + 3)
    # Under 'for m by 1' a tensor is kept above the loop, below it, or in its block or not at all (2).
    tiled = (1 + 1 + 2) * (1 + 1 + 2)
    assert brute.count(PAIR, two_memories(), dividing=True, schedules=("sequential",)) == apart + resident + (whole - 9) + tiled
    # Pipelined, T is kept once or twice.
    assert brute.count(PAIR, two_memories(), dividing=True, schedules=("pipelined",)) == apart + resident + 2 * (whole + tiled)
    both = apart + resident + (whole - 9) + tiled + 2 * (whole + tiled)
    assert brute.count(PAIR, two_memories(), dividing=True) == both


def test_without_a_home_below_the_root_einsums_run_apart() -> None:
    flat = Architecture("flat", memory("Main", None, 1, 10.0, spread()), Fraction(GIGA))
    assert brute.count(PAIR, flat, dividing=True) == 2 * 2


def test_counting_stops() -> None:
    large = cascade("gemm", "Z[m,n] = A[m,k] * B[k,n]", {"m": 64, "n": 64, "k": 64})
    assert brute.count(large, two_memories(10**6), dividing=False, stop=50) == 50


@pytest.mark.parametrize(
    "text",
    [
        """\
mapping brute
keep Main: A, C, Z
for m by 2
  keep Buffer: T (copies 2)
  fuse pipelined
    spatial x m by 1
      T on U
    for n by 1
      keep Buffer: Z, C
      spatial x m by 1
        Z on U
""",
        """\
mapping brute
keep Main: A, C, Z
keep Buffer: T
fuse sequential
  for m by 3
    keep Buffer: A
    spatial x m by 2
      T on U
  Z on U
""",
        """\
mapping brute
keep Main: A, C, T, Z
fuse sequential
  spatial x m by 2
    T on U
  for n by 1
    for m by 1
      keep Buffer: Z, T
      Z on U
""",
    ],
)
def test_mappings_written_by_hand_are_found(text: str) -> None:
    made = cascade("small", "T[m] = exp(A[m]); Z[m,n] = T[m] * C[n]", {"m": 4, "n": 2})

    def same(mapping: Mapping) -> str:
        """The nest, with tensors of a keep in the order of the alphabet."""
        lines = nest(mapping).splitlines()
        return "\n".join(f"{line.split(':')[0]}: {sorted(line.split(': ')[1].split(', '))}" if ": " in line else line for line in lines)

    wanted = parse_nest(text)
    machine = two_memories(16, spread())
    assert is_legal(made, machine, wanted)
    found = brute.candidates(made, machine, dividing=False)
    assert any(same(mapping) == same(wanted) for mapping in found)


@pytest.mark.slow
def test_mappings_are_legal_and_no_two_are_alike() -> None:
    for each in drawn(1, 8, 500):
        found = listed(each)
        assert found
        assert all(is_legal(each.cascade, each.architecture, mapping) for mapping in found)
        assert len({nest(mapping) for mapping in found}) == len(found)


def test_a_loop_below_a_raised_keep_is_in_one_block_only() -> None:
    # 'for m, keep Buffer, for n, keep Reg' is read as a keep raised above n, and as n in the block of Reg.
    machine = two_memories(64, memory("Reg", 64, None, 0.1, unit("U", "add")))
    found = list(brute.mappings(OUTER, machine, dividing=True, refill="every_visit"))
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_what_is_left_out_for_its_size_is_illegal(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = drawn(4, 8, 250)
    before = [listed(each) for each in problems]
    monkeypatch.setattr(brute, "_room", lambda memory: float("inf"))
    after = [listed(each) for each in problems]
    assert before == after


def test_more_copies_than_are_tried_shorten_nothing() -> None:
    slow = replace(unit("U", "exp"), pipeline_depth=3)
    machine = two_memories(10**6, slow, replace(unit("V", "exp"), pipeline_depth=1, lanes=2))
    evaluator = Evaluator(PAIR, machine)
    seen = 0
    for mapping in brute.mappings(PAIR, machine, dividing=True, schedules=("pipelined",)):
        # Of both Einsums on U, 2 + (3 + 3) / 1 copies are tried.
        if any(held.copies == 8 for node in mapping.nodes if isinstance(node, Keep) for held in node.held):
            more = replace(mapping, nodes=tuple(_with_copies(node, 50) for node in mapping.nodes))
            assert brute.value(evaluator.evaluate(more), "latency") == brute.value(evaluator.evaluate(mapping), "latency")
            seen += 1
    assert seen


def _with_copies(node: TreeNode, copies: int) -> TreeNode:
    if not isinstance(node, Keep):
        return node
    return Keep(node.memory, tuple(Held(held.tensor, copies) if held.copies > 1 else held for held in node.held))


def test_best_of_one_einsum_is_what_its_words_cost() -> None:
    # Two words in and two out at a word per cycle. Past the Buffer: 4 words of 16 bits at 10 pJ per bit, and 2 operations.
    assert brute.best(COPY, two_memories(), "latency", dividing=True)[0] == 4
    least, mapping = brute.best(COPY, two_memories(), "energy", dividing=True)
    assert least == pytest.approx(4 * 16 * 10 + 2)
    assert "Buffer" not in nest(mapping)
    assert brute.best(COPY, two_memories(), "edp", dividing=True)[0] == pytest.approx(642 * 4e-9)


def test_best_of_two_einsums_keeps_what_passes_in_the_buffer() -> None:
    # Two words in and two out of Main; T is written to the Buffer and read from it; 4 operations.
    least, _ = brute.best(PAIR, two_memories(), "energy", dividing=True)
    assert least == pytest.approx(4 * 16 * 10 + 4 * 16 * 1 + 4)
    # A Buffer of one word holds T only inside a loop over m.
    least, mapping = brute.best(PAIR, two_memories(1), "energy", dividing=True)
    assert least == pytest.approx(4 * 16 * 10 + 4 * 16 * 1 + 4)
    assert isinstance(mapping.nodes[-1], Fuse) and "for m by 1\n  keep Buffer: T" in nest(mapping)


@pytest.mark.slow
def test_problems_are_small_and_follow_from_the_state_of_the_generator() -> None:
    problems = drawn(7, 12, 300)
    assert problems == drawn(7, 12, 300)
    assert len({each.cascade.einsums[0].text for each in problems}) > 3
    assert {len(each.cascade.work) for each in problems} == {1, 2, 3}
    assert all(len(listed(each)) <= 300 for each in problems)


def test_the_enumerator_and_its_problems_use_nothing_of_the_mapper() -> None:
    for module in (brute, small_problems):
        assert module.__file__ is not None
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not any(name.startswith("accelsim.mapper") for name in names)
