"""Einsums whose consumers demand windows: what a turn makes, and that it is made again only where the mapping says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import search
from accelsim.sim import reference_events as reference
from accelsim.sim.ahead import filled_ahead
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade
from tests.sim.test_counts import run
from tests.sim.test_events import off

WORDS = "2 GB/s"  # one word of 16 bits in a cycle
PAIR = "shape: {v: 8, r: 3, t: 10}\neinsums: ['T[t] = A[t] * A[t]', 'Y[v] = T[v+r] * U[r]']"
ABOVE = """\
  - keep Out: [A, U, Y]
  - keep In: [T, U]
  - for v: 2
  - keep In: [A, Y]
  - fuse pipelined:
    - [{einsum: T, unit: Mac}]
    - [{einsum: Y, unit: Mac}]"""
BELOW = """\
  - keep Out: [A, U, Y]
  - keep In: [U]
  - for v: 2
  - keep In: [T, A, Y]
  - fuse pipelined:
    - [{einsum: T, unit: Mac}]
    - [{einsum: Y, unit: Mac}]
    - {recompute: [T]}"""


def made(done: Simulation) -> int:
    """Cycles of T, one for every word that is made."""
    return int(done.units["Mac"].busy["T"])


def test_what_earlier_turns_made_is_not_made_again(tmp_path: Path) -> None:
    """Four turns demand words 0 to 3, 2 to 5, 4 to 7 and 6 to 9: 4 + 2 + 2 + 2 new ones, and as many of A cross the port, with U and Y."""
    done = run(tmp_path, PAIR, ABOVE, WORDS)
    assert made(done) == 4 + 3 * 2
    assert done.ports["Out"] == 10 + 3 + 8


def test_what_is_kept_inside_the_loop_is_made_again(tmp_path: Path) -> None:
    """All four words in each of four turns; what the operand's tile still holds of the turn before is not brought again."""
    done = run(tmp_path, PAIR, BELOW, WORDS)
    assert made(done) == 4 * 4
    assert done.ports["Out"] == 10 + 3 + 8


def test_windows_follow_each_other_back_through_several_einsums(tmp_path: Path) -> None:
    """Y at v reads T at 2v to 2v + 2, which reads S one word further: two turns of three demand 7 words of T and 8 of S each, 13 and 14 in
    all.
    """
    chain = "shape: {v: 6, r: 3, t: 13, s: 2, w: 14}\neinsums: ['S[w] = A[w] * A[w]', 'T[t] = S[t+s] * B[s]', 'Y[v] = T[2*v+r] * U[r]']"
    tree = """\
  - keep Out: [A, B, U, Y]
  - keep In: [S, T]
  - for v: 3
  - keep In: [A, B, U, Y]
  - fuse pipelined:
    - [{einsum: S, unit: Mac}]
    - [{einsum: T, unit: Mac}]
    - [{einsum: Y, unit: Mac}]"""
    assert dict(run(tmp_path, chain, tree).units["Mac"].busy) == {"S": 14, "T": 2 * 13, "Y": 18}
    inside = tree.replace("  - keep In: [S, T]\n", "").replace("[A, B, U, Y]\n  - fuse", "[A, B, U, Y, S, T]\n  - fuse")
    again = f"{inside}\n    - {{recompute: [S, T]}}"
    assert dict(run(tmp_path, chain, again).units["Mac"].busy) == {"S": 2 * 8, "T": 2 * 2 * 7, "Y": 18}


def test_an_einsum_that_a_loop_is_nothing_to_runs_again_where_it_is_kept_inside(tmp_path: Path) -> None:
    """Scores of four words are made in each of three turns over rows that read them all."""
    work = "shape: {m: 6, k: 4}\neinsums: ['S[k] = A[k] * A[k]', 'Z[m] = S[k] * B[m,k]']"
    tree = """\
  - keep Out: [A, B, Z]
  - keep In: [A]
  - for m: 2
  - keep In: [S, B, Z]
  - fuse pipelined:
    - [{einsum: S, unit: Mac}]
    - [{einsum: Z, unit: Mac}]
    - {recompute: [S]}"""
    assert dict(run(tmp_path, work, tree).units["Mac"].busy) == {"S": 3 * 4, "Z": 24}


@pytest.mark.parametrize("ahead", [False, True], ids=["as mapped", "filled ahead"])
@pytest.mark.parametrize("machine", ["simple", "npu"])
@pytest.mark.slow
def test_a_pair_of_convolutions_runs_as_the_model_counts_and_as_its_twin_does(machine: str, ahead: bool) -> None:
    settings = {f"shape.{rank}": str(size) for rank, size in {"c": 4, "k": 4, "o": 4, "p": 10, "q": 10, "x": 8, "y": 8}.items()}
    noun, architecture = load_workload(resolve("conv2d-pair", WORKLOAD), settings), load_architecture(resolve(machine, MACHINE))
    assert isinstance(noun, Cascade)
    mapping = search(noun, architecture).mapping
    mapping = filled_ahead(noun, architecture, mapping) if ahead else mapping
    done = simulate(noun, architecture, mapping)
    assert off(done) == {}
    evaluator = done.evaluation.evaluator
    plans = lower(evaluator, mapping, done.evaluation.counts.lowered.latencies)
    assert done.ticks == min(reference.run(tasks, evaluator.clock.per_cycle).ticks for tasks in plans)


def test_einsums_that_take_no_time_run_too(tmp_path: Path) -> None:
    """Copies cost the unit nothing; what they move crosses the port all the same: 8 words in and 8 out, one a cycle."""
    work = "shape: {m: 8}\neinsums: ['T[m] = A[m]', 'Z[m] = T[m]']"
    tree = """\
  - keep Out: [A, Z]
  - for m: 2
  - keep In: [A, T, Z]
  - fuse pipelined:
    - [{einsum: T, unit: Mac}]
    - [{einsum: Z, unit: Mac}]"""
    done = run(tmp_path, work, tree, WORDS)
    assert done.ports["Out"] == 16
    assert done.cycles == 16
