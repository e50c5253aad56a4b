"""Checksums of products: every upset of small arrays, against the product with the words that it changes, and what they cannot see."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.checksums import CORRECTED, FOUND, MISCORRECTED, MISSED, UNCHANGED, Checksums
from accelsim.faults.grid import GridRun, product_run
from accelsim.faults.kernels_cone import changes
from accelsim.faults.registers import CONTROL
from accelsim.sim.systolic import Grid
from tests.faults.arrays import replay, tiled_run, upsets, words

Array = np.ndarray


def judged(checks: Checksums, a: Array, b: Array, product: Array, changed: list[tuple[int, int]], bits: int) -> int:
    """What is said of one fault, from the wrong product: sums are taken, and a word put right, as hardware does."""
    if not changed:
        return UNCHANGED
    wrong = product.copy()
    for place, by in changed:
        wrong.flat[place] += by
    left = 64 - bits
    wrong = (wrong << left) >> left
    rows, columns = checks.syndromes(wrong, a, b)
    if not (checks.rows and rows.any()) and not (checks.columns and columns.any()):
        return MISSED
    if checks.rows and checks.columns and (rows != 0).sum() == (columns != 0).sum() == 1 and rows.sum() == columns.sum():
        mended = wrong.copy()
        mended[np.flatnonzero(rows)[0], np.flatnonzero(columns)[0]] -= rows.sum()
        return CORRECTED if (((mended << left) >> left) == product).all() else MISCORRECTED
    return FOUND


def upset_changes(run: GridRun, control: bool) -> tuple[Array, Array]:
    """Words that every upset changes; of flags: by the registers, without those after which too few or too many words come."""
    if not control:
        return changes(run.work(run.product), upsets(run)[0])
    places = [run.registers.site(int(place)).field.role == CONTROL for place in upsets(run, True)[1][:, 0]]
    return replay(run, upsets(run, True)[1][np.array(places)])[:2]


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("stationary", "ZAB")
def test_verdict_on_every_upset_is_that_of_sums_of_the_wrong_product(stationary: str, control: bool) -> None:
    rng = Random(stationary)
    run = product_run(words(rng, 4, 3, 8), words(rng, 3, 5, 8), Grid(2, 3), stationary)
    starts, changed = upset_changes(run, control)
    for checks in (Checksums(), Checksums(rows=False), Checksums(columns=False), Checksums(bits=5)):
        found = checks.verdicts(starts, changed, run.shape)
        for fault in range(0, found.size, 7):
            each = [(int(place), int(by)) for place, by in changed[starts[fault] : starts[fault + 1]]]
            assert found[fault] == judged(checks, run.a, run.b, run.product, each, run.widths.sum)


@pytest.mark.parametrize("seed", range(6))
def test_both_checksums_find_every_upset_of_a_word_and_correct_those_that_change_one(seed: int) -> None:
    """A cone is a line: its words are in different rows, or in different columns, whose sums then all change."""
    run = tiled_run(Random(seed), 3)
    starts, changed = upset_changes(run, False)
    found = Checksums(run.widths.sum).verdicts(starts, changed, run.shape)
    many = np.diff(starts)
    assert (many > 0).any()
    assert ((found == UNCHANGED) == (many == 0)).all()
    assert ((found == CORRECTED) == (many == 1)).all()
    assert ((found == FOUND) == (many > 1)).all()


@pytest.mark.parametrize("stationary", "ZAB")
def test_no_upset_of_any_register_of_a_small_array_is_missed_or_put_right_wrongly(stationary: str) -> None:
    """All 152 796 upsets of arrays of 4 x 4 that make a product of 8 x 8 x 8, flags included."""
    rng = Random(1)
    run = product_run(words(rng, 8, 8, 8), words(rng, 8, 8, 8), Grid(4, 4), stationary)
    many = 0
    for control in (False, True):
        starts, changed = upset_changes(run, control)
        found = Checksums().verdicts(starts, changed, run.shape)
        assert not np.isin(found, (MISSED, MISCORRECTED)).any() and (found == CORRECTED).any()
        many += found.size
    assert many == {"Z": 63_756, "A": 44_520, "B": 44_520}[stationary]


def held(a: Array, b: Array) -> GridRun:
    return product_run(a, b, Grid(b.shape[0], b.shape[1]), "B")


def weight_upset(run: GridRun, bit: int, cycle: int) -> tuple[Array, Array]:
    """Of the operand that stays in the first element."""
    return changes(run.work(run.product), np.array([[run.registers.field("w_q"), 0, 0, 1 << bit, cycle]], np.int64))


def test_held_operand_whose_partners_sum_to_nothing_is_missed_by_sums_of_columns_and_found_by_those_of_rows() -> None:
    a = np.array([[3, 1], [-5, 2], [5, 4]], np.int64)  # what meets it after the first row, -5 and 5, sums to 0
    run = held(a, np.array([[7, 1], [2, 9]], np.int64))
    starts, changed = max((weight_upset(run, 4, cycle) for cycle in range(run.cycles)), key=lambda each: len(each[1]))
    assert changed[:, 1].tolist() == [-5 * 16, 5 * 16]  # bit 4 of 7 is 0
    assert Checksums(rows=False).verdicts(starts, changed, run.shape).tolist() == [MISSED]
    assert Checksums(columns=False).verdicts(starts, changed, run.shape).tolist() == [FOUND]
    assert Checksums().verdicts(starts, changed, run.shape).tolist() == [FOUND]


def test_upset_of_a_held_operand_is_missed_by_sums_of_columns_only_where_its_partners_sum_to_nothing() -> None:
    rng = Random(5)
    run = held(words(rng, 9, 3, 2), words(rng, 3, 3, 8))
    code = run.registers.field("w_q")
    faults = np.array([(code, row, column, 1 << bit, cycle) for row in range(3) for column in range(3) for bit in range(8)
                       for cycle in range(run.cycles)], np.int64)  # fmt: skip
    starts, changed = changes(run.work(run.product), faults)
    found = Checksums(rows=False).verdicts(starts, changed, run.shape)
    missed = 0
    for fault, (_, row, column, _, cycle) in enumerate(faults.tolist()):
        rows = sorted({int(place) // run.shape[1] for place, _ in changed[starts[fault] : starts[fault + 1]]})
        if rows:
            after = run.a[rows[0] :, row]  # those that meet it later than the upset
            assert (found[fault] == MISSED) == (after.sum() == 0), (row, column, cycle)
            missed += after.sum() == 0
    assert missed > 0


def test_change_by_a_multiple_of_the_modulus_is_missed() -> None:
    starts, changed = np.array([0, 1, 2]), np.array([[0, 1 << 20], [0, 1 << 19]])
    assert Checksums(20).verdicts(starts, changed, (2, 2)).tolist() == [MISSED, MISCORRECTED]
    assert Checksums(21).verdicts(starts, changed, (2, 2)).tolist() == [MISCORRECTED, CORRECTED]
    assert Checksums(32).verdicts(starts, changed, (2, 2)).tolist() == [CORRECTED, CORRECTED]


def test_operand_that_is_wrong_before_sums_are_taken_is_never_seen() -> None:
    rng = Random(3)
    a, b = words(rng, 3, 4, 8), words(rng, 4, 2, 8)
    flipped = a.copy()
    flipped[1, 2] ^= 64
    rows, columns = Checksums().syndromes(flipped @ b, flipped, b)
    assert not rows.any() and not columns.any() and (flipped @ b != a @ b).any()


def test_rectangle_of_changes_that_cancel_is_put_right_at_the_wrong_place_only() -> None:
    by = [(0, 5 + 2), (1, -2), (2, -2), (3, 2)]  # of a product of 2 x 2: sums of rows 5, 0 and of columns 5, 0
    starts, changed = np.array([0, 4]), np.array(by)
    assert Checksums().verdicts(starts, changed, (2, 2)).tolist() == [MISCORRECTED]
    changed[0, 1] = 2
    assert Checksums().verdicts(starts, changed, (2, 2)).tolist() == [MISSED]


@given(st.integers(0, 10**6), st.sampled_from((4, 13, 32, 64)))
def test_product_without_a_fault_has_no_syndrome(seed: int, bits: int) -> None:
    rng = Random(seed)
    a, b = (words(rng, rows, columns, 8) for rows, columns in ((rng.randint(1, 5), 3), (3, rng.randint(1, 5))))
    rows, columns = Checksums(bits).syndromes(a @ b, a, b)
    assert not rows.any() and not columns.any()


@pytest.mark.parametrize("wrong", [{"bits": 0}, {"bits": 65}, {"rows": False, "columns": False}])
def test_checksums_that_check_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError) as error:
        Checksums(**wrong)  # type: ignore[arg-type]
    assert str(error.value) == "no checksums; check rows, columns or both, in 1 to 64 bits"
