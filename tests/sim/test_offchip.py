"""A DRAM behind a mapping: the words that cross, the bursts that hold them, and a run that agrees with the DRAM on every cycle."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import evaluate
from accelsim.sim import kernels_events as kernels
from accelsim.sim import reference_events as reference
from accelsim.sim.arrays import Arrays
from accelsim.sim.lowering import lower
from accelsim.sim.offchip import Traffic, settle
from accelsim.sim.serving import serve
from accelsim.sim.simulation import Simulation, simulate
from accelsim.sim.tasks import COMPUTE
from accelsim.workload.cascade import Cascade

MACHINE = """\
machine: board
clock: 1 GHz
tree:
  memory: Outside
  size: 1 GiB
  bandwidth: {bandwidth}
  energy: unpriced
  dram: {dram}
  feeds:
    memory: Inside
    size: 64 KiB
    bandwidth: unlimited
    energy: unpriced
    feeds: {{unit: Mac, executes: {{mac mul add: {{energy: unpriced}}}}}}
"""
PLAIN = "{table: ddr4_3200}"
PRODUCT = "workload: product\nshape: {m: %d, n: %d, k: %d}\ntype: int32\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
TREE = "mapping: tiles\ntree:\n  - keep Outside: [%s]\n%s  - keep Inside: [A, B, Z]\n  - {einsum: Z, unit: Mac}\n"


def run(
    folder: Path, shape: tuple[int, int, int], loops: str = "", dram: str = PLAIN, outside: str = "A, B, Z", bandwidth: str = "25 GB/s"
) -> Simulation:
    for name, text in (
        ("m", MACHINE.format(dram=dram, bandwidth=bandwidth)), ("w", PRODUCT % shape), ("t", TREE % (outside, loops)),
    ):  # fmt: skip
        (folder / f"{name}.yaml").write_text(text)
    cascade, machine, mapping = written(folder)
    return simulate(cascade, machine, mapping)


def written(folder: Path) -> tuple[Cascade, Architecture, Mapping]:
    cascade = load_workload(folder / "w.yaml")
    assert isinstance(cascade, Cascade)
    return cascade, load_architecture(folder / "m.yaml"), load_fitting(folder / "t.yaml", cascade)[0]


def test_one_tile_takes_what_its_bursts_take_then_the_work_then_what_leaves(tmp_path: Path) -> None:
    """By hand: A, B and Z lie in rows of their own, are asked for in cycle 0, and Z when the work is done."""
    found = run(tmp_path, (16, 16, 16))
    controlled = load_architecture(tmp_path / "m.yaml").root.dram
    assert controlled is not None and found.offchip is not None
    dram = controlled.table
    row, matrix = dram.row_bursts, 16 * 16 * 4 // dram.burst_bytes
    loads = [*range(matrix), *range(row, row + matrix)]
    there = serve(dram, controlled.address_map, controlled.policy, loads).done
    clock = Fraction(10**9) / dram.clock_hz  # of the machine's cycles in one of the DRAM
    worked = ceil(int(there.max()) * clock) + 16**3
    asked = [0] * (2 * matrix) + [ceil(worked / clock)] * matrix
    addresses = [*loads, *range(2 * row, 2 * row + matrix)]
    done = serve(dram, controlled.address_map, controlled.policy, addresses, [False] * (2 * matrix) + [True] * matrix, asked).done
    assert found.offchip.settled
    assert abs(found.cycles - ceil(int(done.max()) * clock)) <= 1  # the machine's ticks round once more


def test_a_layout_decides_how_many_bursts_a_tile_takes(tmp_path: Path) -> None:
    """Columns of B, 4 bytes each: one after the other in memory where the layout says so, else in a burst of their own."""
    loops = "  - for n: 16\n"
    rows = run(tmp_path, (16, 256, 64), loops)
    columns = run(tmp_path, (16, 256, 64), loops, outside="A, {B: {layout: [n, k]}}, Z")
    assert rows.offchip is not None and columns.offchip is not None
    assert rows.offchip.wanted_bytes == columns.offchip.wanted_bytes
    narrow = run(tmp_path, (16, 256, 64), "  - for n: 2\n")
    assert narrow.offchip is not None
    # 64 rows of 2 words are 64 bursts of 64 bytes for 512 bytes wanted of B, and 16 bursts for 128 of Z; as columns B fills its bursts
    assert narrow.offchip.fetched_bytes == (16 * 64 * 4) + 128 * 64 * 64 + 128 * 16 * 64
    wide = run(tmp_path, (16, 256, 64), "  - for n: 2\n", outside="A, {B: {layout: [n, k]}}, Z")
    assert wide.offchip is not None
    assert wide.offchip.fetched_bytes == (16 * 64 * 4) + 256 * 64 * 4 + 128 * 16 * 64
    assert wide.cycles < narrow.cycles


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.integers(1, 24)] * 3), st.permutations(["m", "n", "k"]), st.tuples(*[st.integers(1, 24)] * 3),
    st.sampled_from([PLAIN, "{table: ddr4_3200, page: closed}", "{table: ddr4_3200, schedule: in_order, refresh: false}",
                     "{table: hbm2_2000, channels: 4}"]),
)  # fmt: skip
def test_what_crosses_is_what_the_model_counts_and_the_run_agrees_with_the_dram(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], order: list[str], tiles: tuple[int, int, int], dram: str
) -> None:
    sizes = dict(zip("mnk", shape, strict=True))
    loops = "".join(f"  - for {rank}: {min(tile, sizes[rank])}\n" for rank, tile in zip(order, tiles, strict=True))
    folder = tmp_path_factory.mktemp("run")
    try:
        found = run(folder, shape, loops, dram)
    except IllegalMapping:
        return
    moved = evaluate(*written(folder))
    read, wrote = moved.traffic_bits("Outside")
    assert found.offchip is not None
    assert found.offchip.wanted_bytes == (read + wrote) / 8
    assert found.offchip.fetched_bytes >= found.offchip.wanted_bytes
    assert found.offchip.settled or found.offchip.unsettled_seconds <= 50e-9  # a turn of the bus, or a row
    dram_of = load_architecture(folder / "m.yaml").root.dram
    assert dram_of is not None
    assert found.seconds >= found.offchip.fetched_bytes / float(dram_of.table.peak_bytes_per_s)  # never faster than its data buses
    for unit in found.units.values():
        assert unit.total == found.evaluation.evaluator.clock.cycles(found.ticks)


def test_with_the_times_that_the_dram_gives_the_twin_takes_as_long(tmp_path: Path) -> None:
    for loops in ("  - for m: 5\n", "  - for n: 6\n  - for m: 5\n", "  - for k: 3\n  - for n: 7\n"):
        found = run(tmp_path, (12, 14, 9), loops)
        evaluator, (_, machine, mapping) = found.evaluation.evaluator, written(tmp_path)
        clock, dram = evaluator.clock, machine.root.dram
        assert dram is not None and found.offchip is not None and found.offchip.settled
        ticks = []
        for tasks in lower(evaluator, mapping, found.evaluation.counts.lowered.latencies):
            arrays = Arrays(tasks, list(machine.units), clock.per_cycle, "Outside")

            def fire(service: Any, log: Any, arrays: Arrays = arrays) -> int:
                sizes = arrays.sizes()
                return int(kernels.run(arrays.machine(sizes), np.zeros(sum(sizes), np.int64), log[:0], False, service, log)[7])

            service, log, _ = settle(evaluator.cascade, tasks, "Outside", dram, clock.per_cycle * machine.clock_hz, fire)
            twin = reference.run(tasks, clock.per_cycle, "Outside", service[: len(log)].tolist())
            assert twin.busy["Outside"] == service[: len(log)].sum()
            ticks.append(twin.ticks)
        assert min(ticks) == found.ticks


def test_bursts_are_those_of_every_word_one_by_one(tmp_path: Path) -> None:
    """Of a tile of a product: the set of addresses of its words, by hand."""
    found = run(tmp_path, (24, 40, 1), "  - for m: 7\n  - for n: 11\n")
    assert found.offchip is not None
    row = 8192  # bytes of a row of the one channel: A takes one, B one, then Z
    bursts = 0
    for m, n in product(range(0, 24, 7), range(0, 40, 11)):
        words = {(2 * row + 4 * (40 * i + j)) // 64 for i in range(m, min(24, m + 7)) for j in range(n, min(40, n + 11))}
        bursts += len(words)
    for m in range(0, 24, 7):  # A is loaded for every m, and B for every n and m
        bursts += len({4 * i // 64 for i in range(m, min(24, m + 7))})
        bursts += sum(len({4 * j // 64 for j in range(n, min(40, n + 11))}) for n in range(0, 40, 11))
    assert found.offchip.fetched_bytes == 64 * bursts


def test_a_faster_table_and_more_channels_make_no_run_longer(tmp_path: Path) -> None:
    cycles = [run(tmp_path, (64, 64, 64), "  - for m: 8\n", f"{{table: hbm2_2000, channels: {count}}}", bandwidth="16 GB/s").cycles
              for count in (1, 2, 4, 8)]  # fmt: skip
    assert cycles == sorted(cycles, reverse=True) and cycles[0] > cycles[-1]


@pytest.mark.parametrize(
    ("dram", "says"),
    {
        "{table: nothing}": "there is no DRAM 'nothing'",
        "{channels: 2}": "needs 'table'",
        "{table: ddr4_3200, map: row bank}": "leaves out",
        "{table: ddr4_3200, page: shut}": "no page is called 'shut'",
        "{table: ddr4_3200, window: 0}": "holds none",
        "{table: ddr4_3200, banks: 2}": "has no 'banks'",
        "{table: ddr4_3200, channels: 5000}": "5000 channels are beyond any machine",
        "{table: hbm2_2000, channels: 1}": "beyond that of its DRAM",
    }.items(),
)
def test_a_wrong_dram_is_refused_in_one_line(tmp_path: Path, dram: str, says: str) -> None:
    with pytest.raises(AccelsimError, match=says):
        run(tmp_path, (4, 4, 4), dram=dram)


def test_a_unit_that_works_straight_out_of_a_dram_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("mapping: straight\ntree:\n  - keep Outside: [A, B, Z]\n  - {einsum: Z, unit: Mac}\n")
    (tmp_path / "m.yaml").write_text(MACHINE.format(dram=PLAIN, bandwidth="25 GB/s"))
    (tmp_path / "w.yaml").write_text(PRODUCT % (4, 4, 4))
    with pytest.raises(IllegalMapping, match="straight out of Outside"):
        simulate(*written(tmp_path))


def test_results_that_stay_at_an_edge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IllegalMapping) as refused:
        run(tmp_path, (5, 2, 3), "  - for m: 4\n  - for k: 1\n  - for m: 2\n")
    assert str(refused.value).endswith(
        "tiles of Z stay at edges instead of leaving, which out of a DRAM is not simulated yet; "
        "let its tiles divide each other, or leave out 'dram'"
    )


def test_windows_of_copies_are_refused(tmp_path: Path) -> None:
    copies = "array: Copies\n    axes: {X: {size: 4}}\n    feeds:\n      "
    text = MACHINE.format(dram=PLAIN, bandwidth="25 GB/s").replace("memory: Inside", f"{copies}memory: Inside")
    head, tail = text.split("memory: Inside\n")
    (tmp_path / "m.yaml").write_text(f"{head}memory: Inside\n" + "".join(f"  {line}\n" for line in tail.splitlines()))
    (tmp_path / "w.yaml").write_text("workload: w\nshape: {p: 4, r: 3}\ntype: int32\neinsums: ['O[p] = I[p+r] * F[r]']\n")
    tree = "  - keep Outside: [I, F, O]\n  - spatial X p: 1\n  - keep Inside: [I, F, O]\n  - {einsum: O, unit: Mac}\n"
    (tmp_path / "t.yaml").write_text(f"mapping: copies\ntree:\n{tree}")
    with pytest.raises(IllegalMapping) as refused:
        simulate(*written(tmp_path))
    assert str(refused.value).endswith(
        "copies read windows of I, or some hold less of it at an edge, which out of a DRAM is not simulated yet; "
        "keep it in a memory between, or leave out 'dram'"
    )


def test_every_tensor_begins_a_row(tmp_path: Path) -> None:
    found = run(tmp_path, (3, 3, 3))
    evaluator, (_, machine, mapping) = found.evaluation.evaluator, written(tmp_path)
    (tasks, *_) = lower(evaluator, mapping, found.evaluation.counts.lowered.latencies)
    log = np.array([(number, 0, 0, 0) for number, task in enumerate(tasks) if task.kind != COMPUTE], np.int64)
    dram = machine.root.dram
    assert dram is not None
    row = dram.table.row_bursts
    assert Traffic(evaluator.cascade, tasks, "Outside", dram, log).addresses.tolist() == [0, row, 2 * row]
    assert found.offchip is not None and found.offchip.wanted_bytes == 3 * 9 * 4
