"""Cones of upsets in closed form against the registers, which are run."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults import kernels_cone as cone
from accelsim.faults.grid import GridRun, product_run
from accelsim.faults.registers import CONTROL, Widths
from accelsim.faults.requantise import Requantise
from accelsim.sim.systolic import Grid
from tests.faults.arrays import changed, replay, tiled_run, upsets, words
from tests.share import share

SIZES = [(2, 2), (2, 3), (3, 2), (3, 4), (4, 3), (4, 4), (1, 4)]
SHAPES = [(6, 5, 7), (5, 1, 4), (2, 9, 6), (1, 1, 1)]
EVERY = list(product(SIZES, "ZBA", SHAPES))


def mismatches(run: GridRun) -> tuple[int, int]:
    """Upsets whose cone is not what the registers do, and upsets that change something."""
    asked, replayed = upsets(run)
    found = list(changed(*cone.changes(run.work(run.product), asked)))
    starts, said_words, said = replay(run, replayed)
    expected = list(changed(starts, said_words))
    assert not said.any(), "an upset of a word makes none come or go"
    wrong = sum(one != other for one, other in zip(found, expected, strict=True))
    return wrong, sum(map(bool, expected))


@pytest.mark.parametrize("case", Random(1).sample(EVERY, min(len(EVERY), share(len(EVERY), 30, 6))))
def test_cone_of_every_bit_of_every_register_in_every_cycle_is_what_the_registers_do(
    case: tuple[tuple[int, int], str, tuple[int, int, int]],
) -> None:
    (rows, columns), stationary, (m, k, n) = case
    rng = Random(repr(case))
    run = product_run(words(rng, m, k, 8), words(rng, k, n, 8), Grid(rows, columns), stationary)
    wrong, some = mismatches(run)
    assert (wrong, some > 0) == (0, True)


@pytest.mark.parametrize("seed", range(share(200, 25, 4)))
def test_cone_is_what_the_registers_do_whatever_tiles_come_in_whatever_order(seed: int) -> None:
    assert mismatches(tiled_run(Random(seed), 4))[0] == 0


def test_product_is_the_sum_of_what_leaves_the_columns() -> None:
    for seed in range(20):
        run = tiled_run(Random(seed), 4)
        collected = run.golden[0]
        total = np.zeros(run.product.size, object)
        for column, many in enumerate(collected.many):
            for place, word in zip(collected.places[column, :many], collected.words[column, :many], strict=True):
                if place >= 0:
                    total[place] += int(word)
        half = 1 << run.widths.sum - 1
        assert [(int(each) + half) % (2 * half) - half for each in total] == run.product.ravel().tolist()


@pytest.mark.parametrize("stationary", "ZBA")
def test_outcome_counts_what_requantised_outputs_say(stationary: str) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 7, 9, 8), words(rng, 9, 6, 8), Grid(4, 3), stationary)
    quantise = Requantise(3, 9, 5, -100, 90)
    golden = quantise.outputs(run.product)
    asked, _ = upsets(run)
    found = np.zeros((len(asked), 3), np.int64)
    cone.outcomes(run.work(golden), quantise.kernel(), asked, found)
    seen = set()
    for fault, each in zip(found.tolist(), changed(*cone.changes(run.work(golden), asked)), strict=True):
        sums = run.product.ravel().copy()
        for place, by in each:
            sums[place] = (int(sums[place]) + by + (1 << 31)) % (1 << 32) - (1 << 31)
        moved = abs(quantise.outputs(sums) - golden.ravel())
        assert fault[1:] == [int((moved > 0).sum()), int(moved.max())]
        clamped = all(golden.ravel()[place] in (-100, 90) for place, _ in each)
        masked = (cone.CLAMPED,) if each and clamped else (cone.ROUNDED,) if each else (cone.DEAD, cone.LOGICAL)
        assert fault[0] in ((cone.CORRUPTED,) if moved.any() else masked)
        seen.add(fault[0])
    assert seen == {cone.DEAD, cone.LOGICAL, cone.ROUNDED, cone.CLAMPED, cone.CORRUPTED}


def test_masked_shares_of_random_operands_are_those_that_numpy_gave() -> None:
    """Partial sums 33 %, streaming operands 36 %, held operands 4.6 %: an array of 16 x 16, 256 x 256 x 256, to int8 (docs/faults.md)."""
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-128, 128, (256, 256)) for _ in range(2))
    run = product_run(a, b, Grid(16, 16), "B")
    quantise = Requantise.fitted(run.product)
    work = run.work(quantise.outputs(run.product))
    for name, wanted in (("p_q", 0.33), ("a_q", 0.36), ("w_q", 0.046)):
        field = run.registers.fields[run.registers.field(name)]
        code = np.full(100_000, run.registers.field(name))
        where = [rng.integers(0, 16, code.size), rng.integers(0, 16, code.size), 1 << rng.integers(0, field.bits, code.size)]
        faults = np.stack([code, *where, rng.integers(0, run.cycles, code.size)], axis=1)
        found = np.zeros((code.size, 3), np.int64)
        cone.outcomes(work, quantise.kernel(), faults, found)
        assert abs((found[:, 0] != cone.CORRUPTED).mean() - wanted) < 0.015, name


def test_last_column_of_a_streaming_operand_drives_nothing() -> None:
    run = product_run(*(np.ones((4, 4), np.int64) for _ in range(2)), Grid(4, 4), "Z")
    work = run.work(run.product)
    for row in range(4):
        for cycle in range(run.cycles):
            assert cone.cone(work, cone.FIRST, row, 3, cycle, 1)[0] == 0


def test_a_flipped_flag_can_corrupt_and_can_hang() -> None:
    run = product_run(*(np.ones((4, 4), np.int64) for _ in range(2)), Grid(3, 3), "B")
    _, faults = upsets(run, control=True)
    starts, _, said = replay(run, faults)
    flags = np.array([run.registers.site(int(place)).field.role == CONTROL for place in faults[:, 0]])
    assert (np.diff(starts)[flags] > 0).any()
    assert (said[flags, 0] > 0).any()
    assert (said[flags, 1] > 0).any()


def test_word_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"^a word does not fit 8 bits; choose wider types, or other values$"):
        product_run(np.full((2, 2), 128), np.zeros((2, 2), np.int64), Grid(2, 2), "Z")
    with pytest.raises(InputError, match="faults are known in arrays with shadow registers whose results leave through the edge"):
        product_run(np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64), Grid(2, 2, shadow=False), "Z", Widths())


def test_scale_that_fits_brings_the_largest_sum_to_the_largest_output_of_any_width() -> None:
    for bits in (2, 8, 16, 32):
        for largest in (1, 7, 300, 1 << 20, 1_400_000_000, 1_622_271_744, (1 << 31) - 1, 3 << 38):
            sums = np.array([largest, 0])
            top = (1 << bits - 1) - 1
            assert abs(int(Requantise.fitted(sums, bits).outputs(sums)[0]) - top) <= max(1, top >> 20)
