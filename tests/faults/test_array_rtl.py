"""Upsets in the registers of the simulator and in those of the RTL: every word that leaves, in every cycle."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from accelsim.faults.grid import GridRun, product_run
from accelsim.faults.registers import CONTROL, Widths
from accelsim.faults.rtl import GridRtl, replayed
from accelsim.sim.systolic import Grid
from tests.faults.arrays import words
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
CASES = [(4, 4, "Z", Widths()), (4, 4, "B", Widths()), (3, 5, "Z", Widths(4, 8, 12)), (5, 2, "A", Widths(8, 5, 24))]


def drawn(run: GridRun, rng: Random, many: int) -> list[tuple[int, int, int]]:
    """Faults, half of them of flags; the first is none."""
    flags = [place for place, site in run.registers.sites() if site.field.role == CONTROL]
    found = [(0, 0, 0)]
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
    faults = drawn(run, rng, share(1500, 300, 50))
    expected = replayed(run, faults)
    rtl = GridRtl(run, RTL)
    wrong = [fault for fault, raw in zip(faults, expected, strict=True) if (rtl.raw(*fault) != raw).any()]
    assert wrong == []
    roles = [run.registers.site(place).field.role for place, _, _ in faults]
    told = [role for role, raw in zip(roles, expected, strict=True) if (raw != expected[0]).any()]
    assert told.count(CONTROL) > len(faults) // 10, "flags that corrupt are among them"
    assert len(told) - told.count(CONTROL) > len(faults) // 10


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


def test_bits_of_every_register_are_where_the_rtl_has_them() -> None:
    """A flip of every register after reset is seen in the RTL's register of that name, and in no other."""
    run = product_run(np.ones((3, 3), np.int64), np.ones((3, 3), np.int64), Grid(3, 3), "Z")
    seen = {run.registers.rtl(site, bit) for _, site in run.registers.sites() for bit in range(site.field.bits)}
    assert len(seen) == run.registers.bits
