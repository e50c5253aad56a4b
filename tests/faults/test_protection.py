"""Costs that follow from structure, against codes that are searched for and cells that were synthesised; what is left of failures."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.intervals import upper_bound
from accelsim.faults.outcomes import Tally
from accelsim.faults.protection import (
    FLOPS,
    LOGIC,
    MEMORY,
    NOTHING,
    PARITY,
    SECDED,
    Block,
    Observed,
    Part,
    check_bits,
    choice,
    choices,
    codec_gates,
    cost,
    extra_products,
)  # fmt: skip
from accelsim.io.catalogue import root
from tests.faults.protected import DUPLICATION, TECHNIQUES, blocks, technique
from tests.rtl.hamming import code_bits

EXACT = (Observed(100, 50, 1000, exhaustive=True),)  # 10 % silent, 5 % tell


def memory(word: int, fit: float = 8.0) -> Part:
    return Part(MEMORY, 1024, fit, 512.0, 64.0, EXACT, word)


def shares(block: Block) -> list[list[tuple[float, float]]]:
    return [[each.upper(0.95) for each in part.observed] for part in block.parts]


@pytest.mark.parametrize("word", range(1, 200))
def test_code_has_as_few_bits_as_a_search_finds(word: int) -> None:
    assert check_bits(word) == code_bits(word) - word


def test_parity_takes_a_bit_for_each_word_and_correction_the_published_shares() -> None:
    taken = [round(100 * check_bits(word) / word, 1) for word in (64, 32, 16, 8)]
    assert taken == [12.5, 21.9, 37.5, 62.5]  # (72,64), (39,32), (22,16), (13,8)
    for at, name in enumerate((PARITY, SECDED)):
        block = Block("m", (memory(32),))
        spent = cost(technique(name, (MEMORY,), 1, 0, 0, structure=name), block, block.parts[0])
        extra = (1, 7)[at] / 32
        assert (spent.area, spent.energy, spent.fit) == (512 * extra, 64 * extra, 8 * extra)


def test_parity_of_flops_takes_a_tree_of_gates_for_each_word_and_of_a_memory_one_that_is_not_counted() -> None:
    """100 flops of 4.5 in words of 32: 4 words, 63 gates of 0.4 flops each."""
    coded = replace(technique(PARITY, (FLOPS, MEMORY), 1, 0, 0, structure=PARITY), gate=0.4)
    flops, stored = (Part(kind, 100, 1.0, 450.0, 10.0, EXACT) for kind in (FLOPS, MEMORY))
    block = Block("both", (flops, stored))
    assert cost(coded, block, flops).area == pytest.approx(450 / 32 + 4 * 63 * 0.4 * 4.5)
    assert cost(coded, block, stored).area == pytest.approx(450 / 32)


def test_gates_of_codecs_are_above_what_synthesis_makes_and_below_thrice_that() -> None:
    rows = yaml.safe_load((root() / "hw" / "cells_45nm.yaml").read_text(encoding="utf-8"))["rows"]
    cells = {row["block"]: row["cells"] for row in rows if row["parameters"].get("W") == 64}
    made = {PARITY: 2 * cells["parity"], SECDED: cells["secded_encode"] + cells["secded_decode"]}
    for structure, many in made.items():
        assert many <= codec_gates(structure, 64) <= 3 * many


def test_gate_in_flops_is_that_of_the_cell_library() -> None:
    rows = yaml.safe_load((root() / "hw" / "cells_45nm.yaml").read_text(encoding="utf-8"))["rows"]
    parity = next(row for row in rows if row["block"] == "parity")
    register = next(row for row in rows if row["block"] == "register")
    said = yaml.safe_load((root() / "hw" / "protection" / "published.yaml").read_text(encoding="utf-8"))["gate_in_flops"]
    assert said == round((parity["area_um2"] / parity["cells"]) / (register["area_um2"] / register["flops"]), 3)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9))
def test_checksums_add_a_row_and_a_column_of_products(rows: int, columns: int, depth: int) -> None:
    added = (rows + columns) * depth  # columns of the sum of rows times B, and A times the sum of columns
    assert extra_products(rows, columns) == pytest.approx(added / (rows * columns * depth))


def test_failures_left_by_each_kind_of_technique_are_as_worked_out_by_hand() -> None:
    """8 FIT, 10 % silent, 5 % tell. Parity finds all and corrects none; its own bit fails as often as others do, and tells."""
    block = Block("m", (memory(8),))
    none, parity, secded, half = (
        choice(block, used, shares(block))
        for used in ((), TECHNIQUES[:1], TECHNIQUES[1:2], (technique("half", (MEMORY,), 0.5, 0.5, 0.1),))
    )
    assert (none.silent[0], none.detected[0]) == pytest.approx((0.8, 0.4))
    assert (parity.silent[0], parity.detected[0]) == pytest.approx((0.0, 0.8 + 0.4 + 1.0 * 0.15))
    assert (secded.silent[0], secded.detected[0]) == pytest.approx((0.0, 0.0))
    assert (half.silent[0], half.detected[0]) == pytest.approx((0.4, 0.8 * 0.25 + 0.4 * 0.75))
    assert (parity.added, parity.latent) == pytest.approx((1.0, 0.1))


@given(st.integers(0, 10**6))
def test_no_technique_leaves_more_silent_failures_than_nothing_and_combinations_cover_each_part_once(seed: int) -> None:
    for block in blocks(Random(seed), 3):
        found = choices(block, TECHNIQUES, shares(block))
        assert found[0].name == NOTHING and len({each.name for each in found}) == len(found)
        for each in found:
            assert (each.silent <= found[0].silent + 1e-12).all()
            assert DUPLICATION.name not in each.name.split(" + ") or each.name == DUPLICATION.name
        kinds = {part.kind for part in block.parts}
        expected = {frozenset(), frozenset({"duplication"})}
        flops, bits = [x for x in ("light", "hard") if FLOPS in kinds], [x for x in ("parity", "secded") if MEMORY in kinds]
        expected |= {frozenset({x}) for x in flops + bits} | {frozenset({x, y}) for x in flops for y in bits}
        assert {frozenset(each.name.split(" + ")) - {NOTHING} for each in found} == expected


def test_checksums_are_no_choice_where_no_product_is_made() -> None:
    checksums = technique("sums", (FLOPS, LOGIC), 0.9, 0.0, 0.01, structure="checksums")
    part = Part(FLOPS, 100, 1.0, 450.0, 10.0, EXACT)
    other = replace(technique("other", (FLOPS,), 0.9, 0.0, 0.01), of_products=True)
    assert [each.name for each in choices(Block("a", (part,)), [checksums, other], [[(0.1, 0.0)]])] == [NOTHING]
    (_, found) = choices(Block("a", (part,), product=(4, 8, 3)), [checksums], [[(0.1, 0.0)]])
    assert (found.area, found.energy) == pytest.approx((4.5, 10 * (4 + 8) / 32))


def test_worst_figures_are_no_better_in_anything() -> None:
    doubtful = TECHNIQUES[2]
    wide = type(doubtful.detected)(0.75, 0.5, 0.9), type(doubtful.area)(0.2, 0.1, 0.4)
    mine = [replace(doubtful, detected=wide[0], area=wide[1])]
    block = Block("a", (Part(FLOPS, 100, 1.0, 450.0, 10.0, EXACT),))
    (_, usual), (_, worst) = (choices(block, mine, shares(block), worst) for worst in (False, True))
    assert (worst.silent[0], worst.area) == pytest.approx((0.05, 180.0))
    assert (usual.silent[0], usual.area) == pytest.approx((0.025, 90.0))


def test_shares_are_upper_bounds_where_sampled_and_exact_where_all_were_tried() -> None:
    assert Observed(5, 1, 1000).upper(0.95) == pytest.approx((1.05e-2, float(upper_bound(1, 1000))), rel=2e-3)
    assert EXACT[0].upper(0.95) == EXACT[0].draw(np.random.default_rng(0)) == (0.1, 0.05)
    drawn = np.array([Observed(100, 50, 1000).draw(np.random.default_rng(seed)) for seed in range(400)])
    assert drawn.mean(axis=0) == pytest.approx((0.1, 0.05), abs=0.002)
    assert drawn[:, 0].std() == pytest.approx((0.1 * 0.9 / 1000) ** 0.5, rel=0.15)


def test_observed_part_has_what_its_campaign_found() -> None:
    """Dead, logical, rounded, clamped; corrupted; hang, protocol; absorbed; unknown; detected."""
    assert Observed.of(Tally((1, 2, 3, 4, 50, 6, 7, 8, 9, 10)), True) == Observed(50 + 9, 6 + 7 + 10, 100, True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Observed(3, 8, 10),
         "3 silent and 8 detected of 10 faults cannot be; write whole numbers, together at most the injections, which are at least 1"),
        (lambda: Part("flop", 1, 1.0, 1.0, 1.0, EXACT), "no part is called 'flop'; known: flops, memory, logic"),
        (lambda: Part(FLOPS, 1, -1.0, 1.0, 1.0, EXACT),
         "a part of 1 bits, -1 FIT, area 1, energy 1 cannot be; write numbers of at least 0, and words of at least 1 bit"),
    ],
)  # fmt: skip
def test_part_that_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message
