"""Text units against factors written out by hand, and against themselves on a round trip."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError, Place
from accelsim.units import UNITS, measure, plain_number, show_frequency, show_rate, show_scaled, show_size, size_bits

# Base units per unit, by hand: SI prefixes are powers of 1000, binary ones of 1024, a byte is 8 bits.
BY_HAND = {
    ("1 B", "size"): 8,
    ("1 KiB", "size"): 8192,
    ("16 MiB", "size"): 134217728,
    ("1 KB", "size"): 8000,
    ("3 bits", "size"): 3,
    ("2 Gbit", "size"): 2_000_000_000,
    ("940 MHz", "frequency"): 940_000_000,
    ("17.2 pJ", "energy"): Fraction(172, 10),
    ("1 nJ", "energy"): 1000,
    ("5 fJ", "energy"): Fraction(5, 1000),
    ("3 mW", "power"): Fraction(3, 1000),
    ("2 mm2", "area"): 2_000_000,
    ("20 ns", "time"): Fraction(20, 10**9),
    ("400 GiB/s", "size/time"): 400 * 2**30 * 8,
    ("64 B/cycle", "size/cycles"): 512,
    ("3.9 pJ/bit", "energy/size"): Fraction(39, 10),
    ("8 pJ/B", "energy/size"): 1,
    ("30 mW/mm2", "power/area"): Fraction(3, 10**8),
    ("1 W/GB", "power/size"): Fraction(1, 8 * 10**9),
}


@pytest.mark.parametrize(("text", "dimension"), BY_HAND)
def test_text_is_worth_what_its_prefix_and_unit_say(text: str, dimension: str) -> None:
    amount = measure(text, "figure", dimension)
    assert (amount.value, amount.dimension) == (BY_HAND[text, dimension], dimension)


@given(st.integers(1, 2**50))
def test_a_size_shown_is_the_size_read(bits: int) -> None:
    assert size_bits(show_size(bits)) == bits


@pytest.mark.parametrize("text", ["64 KiB", "1.5 MiB", "80 GB", "50 MB", "3 bits"])
def test_a_size_is_shown_in_the_unit_that_leaves_a_short_number(text: str) -> None:
    assert show_size(size_bits(text)) == text


@given(st.integers(1, 2**20), st.sampled_from([symbol for symbol, (dimension, _) in UNITS.items() if dimension == "size"]))
def test_every_unit_of_size_reads_in_proportion(number: int, symbol: str) -> None:
    assert size_bits(f"{number} {symbol}") == number * size_bits(f"1 {symbol}")


@given(st.integers(1, 999_999), st.sampled_from(["Hz", "kHz", "MHz"]))
def test_a_frequency_shown_is_the_frequency_read(number: int, symbol: str) -> None:
    hertz = measure(f"{number} {symbol}", "clock", "frequency").value
    shown = measure(show_frequency(hertz), "clock", "frequency").value
    assert abs(shown - hertz) <= hertz / 1000


@given(st.fractions(Fraction(1, 10**6), 10**6))
def test_decimal_text_is_read_exactly(number: Fraction) -> None:
    assert plain_number(f"{number.numerator}/{number.denominator}") == number


def test_rates_are_shown_in_the_unit_that_leaves_a_short_number() -> None:
    assert show_rate(Fraction(400 * 2**30 * 8)) == "400 GiB/s"
    assert show_rate(Fraction(614 * 10**9 * 8)) == "614 GB/s"
    assert show_rate(None) == "unlimited"
    assert show_scaled(12_345_678.0) == "12.35 M"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("512", "size '512' has no unit; write a number and a unit, as in '64 KiB'"),
        ("", "size '' has no unit; write a number and a unit, as in '64 KiB'"),
        ("big KiB", "size 'big KiB' has no number; write a number and a unit, as in '64 KiB'"),
        ("512 Gb", "size '512 Gb' has an unknown unit 'Gb'; did you mean 'Gbit'?"),
        ("512 KiBB", "size '512 KiBB' has an unknown unit 'KiBB'; did you mean 'KiB'?"),
        ("512 MHz", "size '512 MHz' is a frequency, not a size; write it as in '64 KiB'"),
        ("512 GiB/s", "size '512 GiB/s' is a bandwidth, not a size; write it as in '64 KiB'"),
        ("-3 B", "size '-3 B' is negative; write it as in '64 KiB'"),
        ("0 B", "size '0 B' is nothing; write it as in '64 KiB'"),
        ("1/3 B", "size '1/3 B' is not a whole number of bits; round it"),
        ("1e30 B", "size '1e30 B' is beyond 64 bits; write it as in '64 KiB'"),
        ("9e99 B", "size '9e99 B' is beyond any machine; write it as in '64 KiB'"),
    ],
)
def test_a_wrong_size_says_what_is_wrong_and_how_to_mend_it(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        size_bits(text)
    assert str(caught.value) == message


def test_an_error_names_its_place() -> None:
    with pytest.raises(InputError) as caught:
        size_bits("512", "size", Place("hw/arch/tpu_like.yaml", 6, 9))
    assert str(caught.value) == "hw/arch/tpu_like.yaml:6:9: size '512' has no unit; write a number and a unit, as in '64 KiB'"


@given(st.text(max_size=40))
def test_any_text_is_a_size_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert size_bits(text) >= 1
