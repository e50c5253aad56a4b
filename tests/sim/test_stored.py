"""Runs over stored elements: kernels against their twin, and what holds of every run."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Memory, Operation, Sparsity, Unit
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored, nests
from accelsim.sim import kernels_stored as kernels
from accelsim.sim import reference_stored as reference
from accelsim.sim import stored as module
from accelsim.sim.stored import ahead, simulate_stored
from accelsim.workload.build import cascade
from accelsim.workload.storage import Storage
from tests.share import share
from tests.sim.storednests import Problem, case

CASES = share(4000, 160, 40)
REFUSALS = (
    "more than two tensors", "which is stored too, has no", "fetches", "hands out tiles", "come and go whole", "is cut twice",
    "copies along", "only one stored operand", "is a cache, of which",
)  # fmt: skip
KINDS = {
    kernels.LOAD: "load", kernels.FETCH: "fetch", kernels.RELEASE: "release", kernels.OPEN: "open", kernels.DRAIN: "drain",
    kernels.MERGE: "merge", kernels.COMPUTE: "compute",
}  # fmt: skip


def parts(made: Problem) -> tuple[Evaluator, Any, list[Any]]:
    """An evaluator, what the model says, and the run of every Einsum."""
    workload, machine, mapping, stored = made
    evaluator = Evaluator(workload, machine)
    evaluation = evaluate_stored(evaluator, mapping, stored).evaluation
    each = nests(evaluator, mapping, stored)
    runs = [module._Run(evaluator, nest, kept, evaluation.loads[nest.einsum.name].latency) for nest, kept in each]
    return evaluator, evaluation, runs


@cache
def ran(seed: int) -> tuple[Evaluator, Any, Any, Any] | None:
    """A nest's evaluator, what the model says, its run and its twin's; None if the nest is refused."""
    made = case(seed)
    try:
        evaluator, evaluation, (run,) = parts(made)
    except AccelsimError as error:
        assert any(each in str(error) for each in REFUSALS), error
        return None
    return evaluator, evaluation, run, reference.run(evaluator, made[2], made[3])["Z"]


def by_name(run: Any) -> list[tuple[str, int]]:
    """Busy ticks of every port, unit and node that intersects, whichever copy it is."""
    names = [name for name, count in zip(run.resources.names, run.resources.counts, strict=True) for _ in range(count)]
    return sorted((name, ticks) for name, ticks in zip(names, run.busy.tolist(), strict=True) if ticks)


def test_kernels_and_twin_end_every_task_at_the_same_tick_and_keep_resources_as_busy() -> None:
    differing, seen, compared = {}, set[str](), 0
    for seed in range(CASES):
        found = ran(seed)
        if found is None:
            continue
        _, _, run, twin = found
        tasks = list(zip((KINDS[kind] for kind in run.tasks.about[:, 0].tolist()), run.span[:, 1].tolist(), strict=True))
        mine = run.ticks, tasks, by_name(run)
        theirs = twin.ticks, [(task.kind, task.end) for task in twin.tasks], sorted((name, n) for (name, _), n in twin.busy.items() if n)
        compared += 1
        seen |= {kind for kind, _ in tasks} | ({"together"} if run._together().max(initial=-1) >= 0 else set())
        seen |= {"alone"} if run.alone else set()
        if mine != theirs:
            differing[seed] = mine, theirs
    assert not differing
    assert compared > 0.8 * CASES
    assert seen >= {*KINDS.values(), "together", "alone"}


def test_a_run_is_not_faster_than_the_busiest_of_what_the_model_counts() -> None:
    """Units, mergers and intersections of any copy, and ports of which the model knows what each copy moves: of one."""
    for seed in range(CASES):
        if (found := ran(seed)) is not None:
            evaluator, evaluation, run, _ = found
            load, machine = evaluation.loads["Z"], evaluator.architecture
            alone = {name for name, memory in machine.memories.items() if copies_of(run, name) == 1}
            ports = [ticks for name, row in load.ports.items() for ticks in row if name in alone or name not in machine.memories]
            assert run.ticks >= max([load.busy, *ports]), seed


def copies_of(run: Any, memory: str) -> int:
    """Copies of a memory that a run has."""
    sides = [pair for each in run.nest.crossings for pair in ((each.parent, each.above_parent), (each.child, each.above_child))]
    return max((run.nest.copies[above] for name, above in sides if name == memory), default=1)


def test_ports_are_busy_with_the_bits_that_the_model_counts() -> None:
    """Exactly where there is one copy; of several each rounds its share of a direction of a tensor up."""
    compared = 0
    for seed in range(CASES):
        if (found := ran(seed)) is None:
            continue
        evaluator, evaluation, run, _ = found
        busy = dict[str, int]()
        for name, ticks in by_name(run):
            busy[name] = busy.get(name, 0) + ticks
        for memory, port in evaluator.clock.ports.items():
            moved = [row for (_, _, where), row in evaluation.bits.items() if where == memory]
            read, written = sum(row[0] for row in moved), sum(row[1] + row[2] for row in moved)
            expected = port.ticks(read, written)
            several = copies_of(run, memory) - 1
            beyond = several * 4 * len(run.nest.crossings) * max(port.read or 0, port.write or 0)
            names = (memory,) if port.shared else (f"{memory} read", f"{memory} write")
            for name, ticks in zip(names, expected, strict=False):
                assert ticks <= busy.get(name, 0) <= ticks + beyond, (seed, name)
                compared += ticks > 0
    assert compared > CASES


def test_rows_of_a_unit_sum_to_the_run() -> None:
    for seed in range(0, CASES, 4):
        if ran(seed) is not None:
            workload, machine, mapping, stored = case(seed)
            found = simulate_stored(Evaluator(workload, machine), mapping, stored)
            assert found.stored
            assert found.units["U"].total == found.evaluation.evaluator.clock.cycles(found.ticks), seed
            assert all(wait.cycles > 0 for wait in found.units["U"].waits)


def bare(node: Any, depth: int) -> Any:
    """A node without limits of ports, merging and intersection; units that take so many cycles longer."""
    if isinstance(node, Unit):
        return replace(node, pipeline_depth=depth, sparse=Sparsity())
    inside = tuple(bare(each, depth) for each in node.feeds)
    if isinstance(node, Array):
        return replace(node, feeds=inside)
    sparse = replace(node.sparse, intersect="")
    return replace(node, read_bits_per_s=None, write_bits_per_s=None, latency_cycles=0, sparse=sparse, feeds=inside)


@pytest.mark.parametrize("depth", [0, 5])
def test_what_nothing_holds_up_takes_the_operations_of_the_busiest_copy_and_the_latency(depth: int) -> None:
    """Of nests in which no sum comes back; with a latency there is room for all results that are on their way."""
    compared = 0
    for seed in range(CASES):
        if seed % 4 not in (1, 2) or ran(seed) is None:
            continue
        workload, machine, mapping, stored = case(seed)
        nodes = tuple(roomy(node) for node in mapping.nodes)
        machine = replace(machine, root=bare(machine.root, depth))
        try:
            _, evaluation, (run,) = parts((workload, machine, Mapping("roomy", nodes), stored))
        except AccelsimError as error:
            assert any(each in str(error) for each in REFUSALS), error
            continue
        load = evaluation.loads["Z"]
        if not (run.log[run.log[:, 0] == module.log.BEGUN, module.log.BACK] > 0).any():
            assert run.ticks == load.busy + load.latency, seed
            compared += load.busy > 0
    assert compared > CASES // 6


def roomy(node: Any) -> Any:
    """A keep with room for all tiles that ever come."""
    return replace(node, held=tuple(replace(each, copies=10**12) for each in node.held)) if isinstance(node, Keep) else node


def by_points(copies: int, extents: dict[str, int], stored: Any) -> Problem:
    """One copy that is sent an element of A and a row of B at a time through the one port of its parent, a byte a cycle, with results that
    leave by the same port.
    """
    unit = Unit("U", {"mac": Operation("mac")})
    registers = Memory("Registers", feeds=(unit,))
    rate = Fraction(8 * 10**9)
    home = Memory("DRAM", None, rate, rate, sparse=Sparsity(intersect="leading"), feeds=(registers,))
    machine = Architecture("serial", home, Fraction(10**9))
    kept = Keep("Registers", tuple(Held(tensor, copies) for tensor in "ABZ"))
    nodes = Keep("DRAM", tuple(map(Held, "ABZ"))), For("m", 1), For("k", 1), kept, Leaf("Z", "U")
    storage = {"A": Storage(("compressed", "compressed"), 8, 8)}
    types = {"default": "int8"}
    workload = cascade("serial", ["Z[m,n] = A[m,k] * B[k,n]"], extents, types=types, storage=storage)
    return workload, machine, Mapping("points", nodes), {"A": stored}


def test_loads_work_and_results_take_turns_where_one_of_each_fits() -> None:
    """Nothing overlaps: the run is as long as all that crosses the port, and n operations for each element of A, one after the other."""
    for seed in range(20):
        rng, chances = random.Random(seed), np.random.default_rng(seed)
        extents = {rank: rng.randint(1, 6) for rank in "mkn"}
        stored = np.array(np.nonzero(chances.random((extents["m"], extents["k"])) < 0.6), np.int64)
        evaluator, evaluation, (run,) = parts(by_points(1, extents, stored))
        n = extents["n"]
        port = evaluator.clock.cycles(evaluation.loads["Z"].ports["DRAM"][0])
        assert evaluator.clock.cycles(run.ticks) == port + stored.shape[1] * n


def test_a_tile_that_comes_ahead_crosses_the_port_beside_the_work() -> None:
    """Two elements of one row, four operations each, by hand: 7 bytes come for each, of which 4 are a row of B, and 4 leave."""
    stored = np.array([[0, 0], [0, 1]])
    _, _, (one,) = parts(by_points(1, {"m": 1, "k": 2, "n": 4}, stored))
    workload, machine, mapping, elements = by_points(1, {"m": 1, "k": 2, "n": 4}, stored)
    _, _, (two,) = parts((workload, machine, ahead(mapping, "DRAM"), elements))
    assert ahead(mapping, "DRAM") == by_points(2, {"m": 1, "k": 2, "n": 4}, stored)[2]
    # port: 3 + 4, 3 + 4 at once; work from 7 to 11 and from 14 to 18; Z from 18 to 22
    assert [run.clock.cycles(run.ticks) for run in (one, two)] == [7 + 4 + 7 + 4 + 4, 22]


def test_tiles_that_come_ahead_leave_no_wait_but_for_the_slowest_in_a_long_run() -> None:
    """In by-points runs room for two of all never makes it later, and is never faster than port or unit."""
    for seed in range(20):
        chances = np.random.default_rng(seed)
        stored = np.array(np.nonzero(chances.random((5, 6)) < 0.6), np.int64)
        extents = {"m": 5, "k": 6, "n": 1 + seed % 6}
        _, evaluation, (one,) = parts(by_points(1, extents, stored))
        _, _, (two,) = parts(by_points(2, extents, stored))
        assert max(evaluation.loads["Z"].busy, evaluation.loads["Z"].ports["DRAM"][0]) <= two.ticks < one.ticks


def test_einsums_run_one_after_the_other() -> None:
    """Two that share a unit: the run is the sum of both, and the rows of the unit are those of the whole run."""
    extents, held = {"m": 3, "k": 4, "n": 3}, lambda names: tuple(map(Held, names))
    storage = {"A": Storage(("compressed", "compressed"), 8, 8)}
    workload = cascade("two", ["T[m,n] = A[m,k] * B[k,n]", "Z[m] = T[m,n] * C[n]"], extents, storage=storage)
    _, machine, _, _ = by_points(1, extents, np.zeros((2, 0), np.int64))
    one = For("m", 1), Keep("Registers", held("AT")), Leaf("T", "U")
    other = For("m", 1), Keep("Registers", held("TZ")), Leaf("Z", "U")
    mapping = Mapping("two", (Keep("DRAM", held("ABCTZ")), Fuse("sequential", (one, other))))
    stored = {"A": np.array([[0, 0, 2], [1, 3, 0]])}
    evaluator, _, runs = parts((workload, machine, mapping, stored))
    found = simulate_stored(evaluator, mapping, stored)
    assert len(runs) == 2 and all(run.ticks > 0 for run in runs)
    assert found.ticks == sum(run.ticks for run in runs) == sum(twin.ticks for twin in reference.run(evaluator, mapping, stored).values())
    assert found.units["U"].total == evaluator.clock.cycles(found.ticks)


def test_runs_of_too_many_tiles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(IllegalMapping, match=r"^Z moves more than 3 tiles, which are not remembered at once"):
        parts(by_points(1, {"m": 2, "k": 4, "n": 2}, np.array([[0, 0, 1], [1, 3, 0]])))
