"""Numbers with units: read, reckoned with and written so that they are read back as the same."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.explore.quantity import SIZE, Quantity, column, quantity, read, reckon, unit_of, written


@pytest.mark.parametrize(
    ("text", "value", "ending"),
    [
        ("64", 64, ""),
        ("0.25", Fraction(1, 4), ""),
        ("64 KiB", 64 * 8192, "_bits"),
        ("2 MB", 16 * 10**6, "_bits"),
        ("1.5 GHz", 1500000000, "_hz"),
        ("400 GiB/s", 400 * 2**33, "_bits_per_s"),
        ("64 B/cycle", 512, "_bits_per_cycle"),
        ("20 mm2", 20 * 10**6, "_um2"),
        ("32 words", 32, "_words"),
        ("4 us", Fraction(4, 10**6), "_s"),
    ],
)
def test_number_with_a_unit_is_read_in_base_units(text: str, value: int, ending: str) -> None:
    found = quantity(text)
    assert found is not None
    assert (found.value, column(found.dimension)) == (value, ending)


@pytest.mark.parametrize("text", ["fp16", "unlimited", "64 furlongs", "", "KiB", "1 2", "spatial"])
def test_other_text_is_no_number(text: str) -> None:
    assert quantity(text) is None


@given(st.integers(1, 10**9), st.sampled_from(["", " KiB", " B", " bits", " GHz", " GB/s", " pJ", " words", " B/cycle", " mm2"]))
def test_written_number_is_read_back_as_the_same(number: int, unit: str) -> None:
    found = quantity(f"{number}{unit}")
    assert found is not None
    assert quantity(written(found, unit_of(f"{number}{unit}"))) == found


NAMES = {"a.size": Quantity(Fraction(64 * 8192), SIZE), "pe": Quantity(Fraction(16)), "a.pe": Quantity(Fraction(3))}


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("a.size / 4", "16 KiB"),
        ("a.size * a.pe", "192 KiB"),
        ("a.size / KiB", "64"),
        ("pe * 2 KiB", "32 KiB"),
        ("max(a.size, 1 MiB)", "1 MiB"),
        ("ceil(log2(pe)) + 2**3 - pe % 5", "11"),
        ("-(pe - 20)", "4"),
        ("a.size // 20 KiB", "3"),
        ("pe / 3", "16/3"),
    ],
)
def test_formula_keeps_units(formula: str, text: str) -> None:
    assert written(reckon(formula, NAMES)) == text


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("a.size + pe", "formula 'a.size + pe' adds a number of bit and a plain number; give both the same unit"),
        ("a.sise * 2", "formula 'a.sise * 2' names an unknown 'a.sise'; did you mean 'a.size'?"),
        ("log2(a.size)", "formula 'log2(a.size)' takes log2 of a number of bit; divide by a unit first, as in arch.L3.size / KiB"),
        ("pe / 0", "formula 'pe / 0' divides by zero; check the values that it names"),
        ("pe % 0", "formula 'pe % 0' divides by zero; check the values that it names"),
        ("a.size ** 2", "formula 'a.size ** 2' raises a number with a unit; multiply it instead"),
    ],
)
def test_formula_that_makes_no_sense_says_why(formula: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        reckon(formula, NAMES)
    assert str(caught.value) == message


def test_names_that_a_formula_reads_are_neither_units_nor_functions() -> None:
    assert read("max(arch.L3.size, 2 KiB) * pe / 1e3 + arch.let.pe") == ("arch.L3.size", "pe", "arch.let.pe")


def test_figure_that_is_called_as_a_unit_is_read_unless_it_follows_a_number() -> None:
    assert read("cycles / pe", ["cycles"]) == ("cycles", "pe")
    assert read("12 cycles + 3e2cycles", ["cycles"]) == ()
    assert read("cycles / pe") == ("pe",)
