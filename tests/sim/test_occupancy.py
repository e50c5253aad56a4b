"""What memories hold over time: never more than the mapping reserves, nothing in the end, and every word that comes in goes or stays."""

from __future__ import annotations

import math
import random
from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import simulate
from accelsim.sim.tasks import LOAD, Box, Task
from accelsim.workload.cascade import Cascade
from tests.model.strategies import seeded_triples
from tests.share import share
from tests.sim.test_events import slow_machine

TRIPLES = share(1000, 150, 75)


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
    steps = {int(cycle): bits // 32 for cycle, bits in done.held["In"]}
    # A comes until 8, B until 12; 16 products until 28, when A is done with; Z leaves until 36, A comes until 44; products until 60
    assert steps == {0: 8, 8: 8 + 4, 12: 8 + 4 + 8, 28: 4 + 8, 36: 4 + 8, 44: 4 + 8 + 8, 60: 8, 68: 0}


def test_a_tile_that_goes_in_no_time_to_where_it_is_used_stays_as_long_as_it_is(tmp_path: Path) -> None:
    """B goes from a buffer without limits to the registers in no time, so no transfer says that it is held there."""
    machine = MACHINE.replace(
        "    feeds: {unit: Mac",
        "    feeds:\n      memory: Reg\n      size: 64 B\n      bandwidth: unlimited\n      energy: unpriced\n      feeds: {unit: Mac",
    )
    tree = TREE.replace("  - {einsum", "  - for m: 1\n  - keep Reg: [B, Z]\n  - {einsum")
    for name, text in (("w", WORK), ("m", machine), ("t", tree)):
        (tmp_path / f"{name}.yaml").write_text(text)
    work = load_workload(tmp_path / "w.yaml")
    assert isinstance(work, Cascade)
    done = simulate(work, load_architecture(tmp_path / "m.yaml"), load_fitting(tmp_path / "t.yaml", work)[0], events=100)
    last = max(event.end for event in done.events if event.kind == "compute")
    assert all(bits >= 4 * 32 for cycle, bits in done.held["In"] if 12 <= cycle < last)


def test_no_memory_ever_holds_more_than_the_mapping_reserves_and_in_the_end_nothing() -> None:
    rng, ran, full = random.Random(41), 0, 0
    for noun, machine, mapping, _ in seeded_triples(43, TRIPLES):
        machine = slow_machine(machine, rng)
        try:
            done = simulate(noun, machine, mapping, events=50_000)
        except AccelsimError:
            continue
        reserved = done.evaluation.occupancy()
        for memory, steps in done.held.items():
            ran += 1
            peak = max(bits for _, bits in steps)
            assert peak <= reserved[memory], memory
            assert all(bits >= 0 for _, bits in steps) and steps[-1][1] == 0
            assert [time for time, _ in steps] == sorted(time for time, _ in steps)
            assert steps[-1][0] <= done.evaluation.evaluator.clock.cycles(done.ticks)
            full += peak == reserved[memory]
    assert ran > TRIPLES // 3 and full > ran // 2  # most memories are full at some time: the bound is not idle


def test_words_that_a_buffer_takes_in_are_those_that_it_loses_later_and_those_that_stay() -> None:
    """By the port's own count where only loads write: each word of a tile that the one before did not leave, listed one by one."""
    rng, ran = random.Random(47), 0
    for noun, machine, mapping, _ in seeded_triples(53, TRIPLES):
        machine = slow_machine(machine, rng)
        try:
            done = simulate(noun, machine, mapping)
        except AccelsimError:
            continue
        evaluator = done.evaluation.evaluator
        (tasks, *_) = lower(evaluator, mapping, done.evaluation.counts.lowered.latencies)
        uses = [(task, use) for task in tasks for use in task.uses]
        for port in done.ports:
            mine = [(task, use) for task, use in uses if use.resource == port]
            if all(task.kind == LOAD and use.box.delta and use.share == (1, 1) for task, use in mine):
                ran += 1
                lost = stays = 0
                for task, use in mine:
                    one, other = _left(task, use.box)
                    copies = math.prod(-(-len(reference.interval(slot, [0] * len(task.loops))) // part) for slot, part in use.box.wanted)
                    lost, stays = lost + one * copies * use.ticks, stays + other * copies * use.ticks
                assert done.ports[port] == evaluator.clock.cycles(lost + stays), port
    assert ran > TRIPLES // 20


def _left(task: Task, box: Box) -> tuple[int, int]:
    """How often a word of the tiles of a load goes when the next one comes, and how many are there in the end."""
    inside: set[tuple[int, ...]] = set()
    lost = 0
    for digits in _turns(task.loops[: len(task.loops) - len(task.split)]):
        tile = reference._touched(box, digits) if reference._does_something(task, digits) else set()
        if tile:
            lost, inside = lost + len(inside if box.is_afresh(digits) else inside - tile), tile
    return lost, len(inside)


def _turns(loops: tuple[int, ...]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for trips in loops:
        found = [[*digits, turn] for digits in found for turn in range(trips)]
    return found
