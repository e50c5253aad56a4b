"""Faults of an array side by side, of which only registers that differ are kept, against the whole array run with each of them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from accelsim.faults.grid import GridRun
from accelsim.faults.kernels_array import STUCK_AT_0, STUCK_AT_1
from accelsim.faults.kernels_replay import replay
from tests.faults import arrays
from tests.share import share


def alone(run: GridRun, fault: list[int]) -> tuple[dict[int, int], int, int]:
    """What the whole array says of a fault: by how much places change, words missing and too many."""
    collected, kept, states, gone = run.golden
    changed = np.zeros((max(1, int(collected.many.sum())), 2), np.int64)
    place, mask, bits, when = fault
    raw = np.zeros((0, 0), np.int64)
    some, missing, over = replay(run.wires, run.streams, collected, kept, states, gone, place, mask, bits, when, changed, raw)
    sums: dict[int, int] = {}
    for at, by in changed[:some].tolist():
        sums[at] = sums.get(at, 0) + by
    half = 1 << run.widths.sum - 1
    wrapped = {at: (by + half) % (2 * half) - half for at, by in sums.items()}
    return {at: by for at, by in wrapped.items() if by}, missing, over


def faults(run: GridRun, rng: Random, many: int) -> list[list[int]]:
    """Some of any register: upsets of one bit or two, and stuck bits."""
    sites, found = list(run.registers.sites()), []
    for _ in range(many):
        place, site = rng.choice(sites)
        mask = rng.choice((1, 1, 3 if site.field.bits > 1 else 1)) << rng.randrange(site.field.bits)
        when = rng.choice((STUCK_AT_0, STUCK_AT_1, *(rng.randrange(run.cycles) for _ in range(4))))
        found.append([place, mask & (1 << site.field.bits) - 1, site.field.bits, when])
    return found


@pytest.mark.parametrize("seed", range(share(120, 24, 6)))
def test_faults_side_by_side_do_what_each_does_to_the_whole_array(seed: int) -> None:
    rng = Random(seed)
    run = arrays.tiled_run(rng, 5)
    asked = faults(run, rng, 250)
    starts, words, said = arrays.replay(run, np.array(asked, np.int64))
    for number, (fault, some) in enumerate(zip(asked, arrays.changed(starts, words), strict=True)):
        wanted, missing, over = alone(run, fault)
        assert (dict(some), *said[number].tolist()) == (wanted, missing, over), (fault, run.registers.site(fault[0]))
    assert words.size and said.any()
