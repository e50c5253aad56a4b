"""What memories hold over time: never more than the mapping reserves, nothing in the end, and every word that comes in goes or stays."""

from __future__ import annotations

import os
import random
from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import simulate
from accelsim.sim.tasks import LOAD
from accelsim.workload.cascade import Cascade
from tests.model.strategies import seeded_triples
from tests.sim.test_events import slow_machine

TRIPLES = int(os.environ.get("ACCELSIM_EVENT_TRIPLES", "150"))


WORK = "workload: p\nshape: {m: 8, n: 2, k: 2}\ntype: int32\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
MACHINE = """\
machine: m
clock: 1 GHz
tree:
  memory: Out
  size: unlimited
  bandwidth: 4 GB/s
  energy: unpriced
  feeds:
    memory: In
    size: 1 KiB
    bandwidth: unlimited
    energy: unpriced
    feeds: {unit: Mac, executes: {mac mul add: {energy: unpriced}}}
"""
TREE = """\
mapping: t
tree:
  - keep Out: [A, B, Z]
  - keep In: [B]
  - for m: 4
  - keep In: [A, Z]
  - {einsum: Z, unit: Mac}
"""


def test_steps_of_a_product_by_hand(tmp_path: Path) -> None:
    """Two tiles of four rows, one place for each; a word of 32 bits crosses in a cycle. B takes 4 words, a tile of A 8, one of Z 8."""
    for name, text in (("w", WORK), ("m", MACHINE), ("t", TREE)):
        (tmp_path / f"{name}.yaml").write_text(text)
    work = load_workload(tmp_path / "w.yaml")
    assert isinstance(work, Cascade)
    done = simulate(work, load_architecture(tmp_path / "m.yaml"), load_fitting(tmp_path / "t.yaml", work)[0], events=100)
    steps = {int(cycle): bits // 32 for cycle, bits in done.occupancy["In"]}
    # A comes until 8, B until 12; 16 products until 28, when A is done with; Z leaves until 36, A comes until 44; products until 60
    assert steps == {0: 8, 8: 8 + 4, 12: 8 + 4 + 8, 28: 4 + 8, 36: 4 + 8, 44: 4 + 8 + 8, 60: 8, 68: 0}


def test_no_memory_ever_holds_more_than_the_mapping_reserves_and_in_the_end_nothing() -> None:
    rng, ran, full = random.Random(41), 0, 0
    for noun, machine, mapping, _ in seeded_triples(43, TRIPLES):
        machine = slow_machine(machine, rng)
        try:
            done = simulate(noun, machine, mapping, events=50_000)
        except AccelsimError:
            continue
        reserved = done.evaluation.occupancy()
        for memory, steps in done.occupancy.items():
            ran += 1
            peak = max(bits for _, bits in steps)
            assert peak <= reserved[memory], memory
            assert all(bits >= 0 for _, bits in steps) and steps[-1][1] == 0
            assert [time for time, _ in steps] == sorted(time for time, _ in steps)
            assert steps[-1][0] <= done.evaluation.evaluator.clock.cycles(done.ticks)
            full += peak == reserved[memory]
    assert ran > TRIPLES // 3 and full > ran // 2  # most memories are full at some time: the bound is not idle


def test_every_word_that_comes_into_a_buffer_leaves_it_or_stays() -> None:
    """Word by word: what loads bring, by the port's own count, is what tiles after it push out and what the last one leaves."""
    rng, ran = random.Random(47), 0
    for noun, machine, mapping, _ in seeded_triples(53, TRIPLES):
        machine = slow_machine(machine, rng)
        try:
            done = simulate(noun, machine, mapping)
        except AccelsimError:
            continue
        evaluator = done.evaluation.evaluator
        for tasks in lower(evaluator, mapping, done.evaluation.counts.lowered.latencies)[:1]:
            counted = reference.run(tasks, evaluator.clock.per_cycle).busy
            brought: dict[str, int] = dict.fromkeys(counted, 0)
            for task in tasks:
                for use in task.uses:
                    if task.kind != LOAD or not use.box.delta:
                        continue
                    inside: set[tuple[int, ...]] = set()
                    entered = left = 0
                    for digits in _turns(task.loops[: len(task.loops) - len(task.split)]):
                        if reference._does_something(task, digits):
                            tile = reference._touched(use.box, digits)
                            entered, left = entered + len(tile - inside), left + len(inside - tile) if tile else left
                            inside = tile or inside
                    assert entered == left + len(inside)
                    copies = 1
                    for slot, part in use.box.wanted:
                        copies *= -(-len(reference._range(slot, [0] * len(task.loops))) // part)
                    brought[use.resource] = brought.get(use.resource, 0) + entered * copies * use.ticks
                    ran += 1
            for port, ticks in brought.items():
                assert ticks <= counted.get(port, 0)
    assert ran > TRIPLES // 3


def _turns(loops: tuple[int, ...]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for trips in loops:
        found = [[*digits, turn] for digits in found for turn in range(trips)]
    return found
