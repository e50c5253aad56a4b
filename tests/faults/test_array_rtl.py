"""Upsets in the registers of the simulator and in those of the RTL: every word that leaves, in every cycle."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.faults.grid import GridRun, product_run
from accelsim.faults.kernels_replay import STUCK_AT_0, STUCK_AT_1
from accelsim.faults.registers import CONTROL, Widths
from accelsim.faults.rtl import GridRtl, driven, module_of, parameters, replayed
from accelsim.sim.systolic import Grid
from tests.faults.arrays import replay, words
from tests.rtl.runner import RTL, simulate
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
CASES = [(4, 4, "Z", Widths()), (4, 4, "B", Widths()), (3, 5, "Z", Widths(4, 8, 12)), (5, 2, "A", Widths(8, 5, 24))]


def drawn(run: GridRun, rng: Random, many: int) -> list[tuple[int, int, int]]:
    """Faults: first none, then a fifth in flags that corrupt by what the simulator says, then any, as many in flags as in words."""
    flags = [place for place, site in run.registers.sites() if site.field.role == CONTROL]
    some = [(rng.choice(flags), 1, rng.randrange(run.cycles)) for _ in range(20 * many)]
    starts, _, said = replay(run, np.array([(place, mask, 1, when) for place, mask, when in some]))
    known = [fault for fault, end, start, lost in zip(some, starts[1:], starts, said, strict=False) if end > start or lost.any()]
    found = [(0, 0, 0), *known[: many // 5]]
    while len(found) < many:
        place = rng.choice(flags) if rng.random() < 0.5 else rng.randrange(run.registers.size)
        mask = 1 << rng.randrange(run.registers.site(place).field.bits)
        found.append((place, mask, rng.randrange(run.cycles)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}x{case[1]}{case[2]}")
def test_upset_does_in_rtl_what_it_does_in_the_simulator(case: tuple[int, int, str, Widths]) -> None:
    rows, columns, stationary, widths = case
    rng = Random(rows)
    run = product_run(words(rng, 6, 5, widths.a), words(rng, 5, 7, widths.b), Grid(rows, columns), stationary, widths)
    faults = drawn(run, rng, share(1500, 400, 50))
    expected = replayed(run, faults)
    rtl = GridRtl(run, RTL)
    wrong = [fault for fault, raw in zip(faults, expected, strict=True) if (rtl.raw(*fault) != raw).any()]
    assert wrong == []
    told = [(raw != expected[0]).any() for raw in expected]
    assert all(told[1 : len(faults) // 5]), "flags that are known to corrupt do"
    roles = [run.registers.site(place).field.role for place, _, _ in faults]
    assert sum(each and role != CONTROL for each, role in zip(told, roles, strict=True)) > len(faults) // 20


@pytest.mark.slow
@pytest.mark.parametrize("stationary", "ZB")
def test_stuck_bit_does_in_rtl_what_it_does_in_the_simulator(stationary: str) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 6, 5, 8), words(rng, 5, 7, 8), Grid(3, 4), stationary)
    places = [rng.randrange(run.registers.size) for _ in range(share(300, 80, 10))]
    faults = [(place, 1 << rng.randrange(run.registers.site(place).field.bits), rng.choice((STUCK_AT_0, STUCK_AT_1))) for place in places]
    rtl, golden = GridRtl(run, RTL), replayed(run, [(0, 0, 0)])[0]
    expected = replayed(run, faults)
    assert [fault for fault, raw in zip(faults, expected, strict=True) if (rtl.raw(*fault) != raw).any()] == []
    assert sum(bool((raw != golden).any()) for raw in expected) > len(faults) // 3


@pytest.mark.slow
@pytest.mark.parametrize("stationary", "ZB")
def test_late_register_does_in_rtl_what_it_does_in_the_simulator(stationary: str) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 6, 5, 8), words(rng, 5, 7, 8), Grid(3, 4), stationary)
    faults = [(rng.randrange(run.registers.size), None, rng.randrange(run.cycles)) for _ in range(share(1500, 300, 50))]
    rtl, golden = GridRtl(run, RTL), replayed(run, [(0, 0, 0)])[0]
    expected = replayed(run, faults)
    assert [fault for fault, raw in zip(faults, expected, strict=True) if (rtl.raw(*fault) != raw).any()] == []
    assert sum(bool((raw != golden).any()) for raw in expected) > len(faults) // 10


@pytest.mark.slow
def test_comparison_sees_a_fault_in_another_cycle() -> None:
    """The check is checked: the RTL is told of each fault one cycle late."""
    rng = Random(5)
    run = product_run(words(rng, 6, 5, 8), words(rng, 5, 7, 8), Grid(4, 4), "B")
    faults = drawn(run, rng, 60)
    rtl = GridRtl(run, RTL)
    expected = zip(faults, replayed(run, faults), strict=True)
    wrong = sum(bool((rtl.raw(place, mask, when + 1) != raw).any()) for (place, mask, when), raw in expected)
    assert wrong > 5


@pytest.mark.slow
@pytest.mark.parametrize("stationary", "ZB")
def test_upset_does_the_same_through_cocotb(stationary: str, builds: Path, tmp_path: Path) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 4, 3, 8), words(rng, 3, 5, 8), Grid(3, 4), stationary)
    faults = drawn(run, rng, share(200, 100, 10))
    sites = [(run.registers.site(place), mask) for place, mask, _ in faults]
    asked = []
    for (site, mask), (_, _, when) in zip(sites, faults, strict=True):
        scope, name, _, low = run.registers.rtl(site, 0)
        asked.append([scope, name, mask << low, when])
    inputs = driven(run)
    columns = {name: numbers(each) for name, each in inputs.items()}
    rows = [{name: column[cycle] for name, column in columns.items()} for cycle in range(len(run.streams.flags))]
    (tmp_path / "inputs").write_text(json.dumps({"rows": rows, "faults": asked}), encoding="utf-8")
    files = {"ACCELSIM_INPUTS": str(tmp_path / "inputs"), "ACCELSIM_OUTPUTS": str(tmp_path / "outputs")}
    ran, failed, said = simulate(module_of(run), parameters(run), 0, 0, builds, bench="upsets", **files)
    assert ran and not failed, said[-2000:]
    found = json.loads((tmp_path / "outputs").read_text(encoding="utf-8"))
    bits, many = run.widths.sum, run.grid.columns
    told = 0
    for expected, outputs in zip(replayed(run, faults), found["runs"], strict=True):
        for cycle, row in enumerate(outputs):
            said_now = dict(zip(found["names"], row, strict=True))
            now = [said_now["z_o"] >> bits * column & (1 << bits) - 1 for column in range(many)]
            now += [said_now["z_valid_o"] >> column & 1 for column in range(many)]
            wanted = [int(each) & (1 << bits) - 1 for each in expected[cycle, :many]] + expected[cycle, many:].tolist()
            assert now == wanted
        told += found["runs"][0] != outputs
    assert told > len(faults) // 5


def numbers(words: Any) -> list[int]:
    """Inputs as `Instance.run` takes them, as numbers."""
    return [int(each) if np.ndim(each) == 0 else sum(int(part) << 32 * place for place, part in enumerate(each)) for each in words]


def test_bits_of_every_register_are_where_the_rtl_has_them() -> None:
    """A flip of every register after reset is seen in the RTL's register of that name, and in no other."""
    run = product_run(np.ones((3, 3), np.int64), np.ones((3, 3), np.int64), Grid(3, 3), "Z")
    seen = {run.registers.rtl(site, bit) for _, site in run.registers.sites() for bit in range(site.field.bits)}
    assert len(seen) == run.registers.bits
