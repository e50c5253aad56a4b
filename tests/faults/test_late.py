"""Registers that are late once: the compiled replay is the plain one, for every register and cycle, and the campaign adds it up."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.firings import Product
from accelsim.faults.grid import product_run
from accelsim.faults.outcomes import CORRUPTED, HANG, PROTOCOL
from accelsim.faults.requantise import Requantise
from accelsim.faults.rtl import replayed
from accelsim.sim.systolic import Grid
from tests.faults.arrays import tiled_run, words
from tests.faults.plain_array import raw


@pytest.mark.parametrize("stationary", "ZBA")
def test_every_register_that_is_late_does_what_it_does_in_plain_python(stationary: str) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 4, 3, 8), words(rng, 3, 5, 8), Grid(2, 3), stationary)
    faults = [(place, None, cycle) for place in range(run.registers.size) for cycle in range(run.cycles)]
    golden, told = raw(run, None), 0
    assert np.array_equal(replayed(run, [(0, 0, 0)])[0], golden)
    for (place, _, cycle), found in zip(faults, replayed(run, faults), strict=True):
        assert np.array_equal(found, raw(run, (place, cycle))), (run.registers.site(place), cycle)
        told += bool((found != golden).any())
    assert len(faults) // 10 < told < len(faults)


def test_late_registers_of_any_tiles_do_what_they_do_in_plain_python() -> None:
    rng = Random(7)
    told = 0
    for _ in range(40):
        run = tiled_run(rng, 3)
        faults = [(rng.randrange(run.registers.size), None, rng.randrange(run.cycles)) for _ in range(20)]
        golden = raw(run, None)
        for (place, _, cycle), found in zip(faults, replayed(run, faults), strict=True):
            assert np.array_equal(found, raw(run, (place, cycle))), (run.registers.site(place), cycle)
            told += bool((found != golden).any())
    assert told > 40


@pytest.mark.parametrize("stationary", "ZB")
def test_campaign_says_of_every_late_capture_whether_the_words_that_leave_are_others(stationary: str) -> None:
    """Outputs are sums: corrupted, or hung, if and only if what leaves a column is another list of words."""
    rng = Random(stationary)
    made = Product(product_run(words(rng, 4, 3, 8), words(rng, 3, 3, 8), Grid(2, 3), stationary), np.arange(12).reshape(4, 3))
    target = ArrayTarget("MAC", [made], Requantise.none(32), late=True)
    run = made.run
    places, _ = run.places

    def product(said: np.ndarray) -> tuple[list[int], bool]:
        """The product as it is collected from the words that leave, and whether there are too few or too many."""
        columns, z, whole = run.grid.columns, np.zeros(12, np.int64), True
        for column in range(columns):
            left = said[said[:, columns + column] == 1, column].tolist()
            wanted = [place for place in places[column].tolist()]
            many = int(run.places[1][column])
            whole = whole and len(left) == many
            for place, word in zip(wanted[:many], left, strict=False):
                if place >= 0:
                    z[place] += word
        return z.tolist(), whole

    right, _ = product(raw(run, None))
    seen = set()
    for number, stratum in enumerate(target.strata):
        assert stratum.population == stratum.bits // target.fields[number].bits * run.cycles
        effects = target.effects(number, np.arange(stratum.population))
        start = run.registers.starts[run.registers.fields.index(target.fields[number])]
        for fault in range(0, stratum.population, 3):
            site = target.site(number, fault)
            assert (site["kind"], site["bits"]) == ("late", list(range(target.fields[number].bits)))
            z, whole = product(raw(run, (start + fault // run.cycles, fault % run.cycles)))
            outcome = int(effects.outcome[fault])
            assert (outcome in {HANG, PROTOCOL}) == (not whole)
            if whole:
                assert (outcome == CORRUPTED) == (z != right)
            seen.add(outcome)
    assert {CORRUPTED, HANG} <= seen
