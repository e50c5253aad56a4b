"""Maps of stuck cells: published shares, spreads and savings, nesting in voltage, and what is the same whatever the map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.voltage import Chip, EnergyLaw, ErrorLaw, Placement, saving

TILED = Placement(1, 8192, 128, 8, 16)  # 16 weights of a row serve 256 in turn, as in the published fault model
PLAIN = Placement(4, 8192, 128)
MAPS = st.builds(
    Chip,
    st.integers(0, 2**63),
    st.builds(Placement, st.integers(1, 3), st.integers(1, 9), st.sampled_from((16, 40)), st.just(8), st.integers(1, 4)),
    st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 0.5),
)  # fmt: skip


def weights(many: int, seed: int = 0) -> np.ndarray:
    return np.clip(np.rint(np.random.default_rng(seed).normal(0, 30, many)), -127, 127).astype(np.int64)


def flipped(chip: Chip, words: np.ndarray, share: float) -> float:
    """The share of bits that read wrong."""
    wrong = (chip.read(words, share) ^ words) & 255
    return float(np.bitwise_count(wrong.astype(np.uint8)).sum() / (8 * words.size))


@pytest.mark.parametrize("chip", [Chip(1, TILED), Chip(2, PLAIN), Chip(3, PLAIN, by_row=0.1), Chip(4, PLAIN, by_column=0.02)])
def test_map_of_one_percent_flips_half_a_percent_of_the_bits_of_a_million_weights(chip: Chip) -> None:
    """Published code, run: .0050 of 2.36 million weights; a stuck cell agrees with the stored bit half the time."""
    assert flipped(chip, weights(1_050_000), 0.01) == pytest.approx(0.0050, abs=0.0005)


def test_flips_of_a_small_layer_spread_as_published_with_rows_that_repeat_and_as_a_binomial_without() -> None:
    """1728 weights on 7 rows, 50 maps: standard deviations of .0016 and .0006."""
    small = weights(1728)
    tiled, plain = ([flipped(Chip(seed, where), small, 0.01) for seed in range(50)] for where in (TILED, PLAIN))
    assert np.std(tiled) == pytest.approx(0.0016, abs=0.0005)
    assert np.std(plain) == pytest.approx((0.005 * 0.995 / (8 * 1728)) ** 0.5, rel=0.35)
    assert np.unique(TILED.cells(np.arange(1728)) // 128).size == 7


@given(MAPS, st.floats(0, 1), st.floats(0, 1))
def test_what_is_stuck_at_a_voltage_is_stuck_the_same_at_all_lower_ones(chip: Chip, one: float, other: float) -> None:
    law, numbers = ErrorLaw(0.5, 0.3, 2.0), np.arange(50)
    high, low = (chip.masks(numbers, law.at(voltage)) for voltage in (max(one, other), min(one, other)))
    for fewer, more in zip(high, low, strict=True):
        assert ((fewer & ~more) == 0).all()
    assert not (low[0] & low[1]).any()


@given(MAPS, st.floats(0, 1), st.integers(0, 99))
def test_reading_what_was_read_changes_nothing(chip: Chip, share: float, seed: int) -> None:
    words = weights(60, seed)
    read = chip.read(words, share)
    assert (chip.read(read, share) == read).all()
    assert read.min() >= -128 and read.max() <= 127


@given(MAPS, st.integers(0, 99))
def test_memory_with_every_cell_stuck_reads_the_same_whatever_is_stored_and_one_without_reads_that(chip: Chip, seed: int) -> None:
    words = weights(60, seed)
    assert (chip.read(words, 1.0) == chip.read(0 * words, 1.0)).all()
    assert (chip.read(words, 0.0) == words).all()


@given(MAPS)
def test_cell_is_stuck_alone_as_among_others(chip: Chip) -> None:
    numbers = np.arange(40)
    whole, some = chip.masks(numbers, 0.4), chip.masks(numbers[::-3], 0.4)
    assert all((one[::-3] == other).all() for one, other in zip(whole, some, strict=True))


def test_polarity_is_as_stated() -> None:
    zeros, ones = Chip(1, PLAIN, 0.2).masks(np.arange(100_000), 0.1)
    many = [int(np.bitwise_count(each.astype(np.uint8)).sum()) for each in (zeros, ones)]
    assert sum(many) / 800_000 == pytest.approx(0.1, abs=0.002) and many[1] / sum(many) == pytest.approx(0.2, abs=0.01)
    assert Chip(1, PLAIN, 0.0).masks(np.arange(1000), 0.5)[1].any() == np.False_


def by_line(chip: Chip) -> tuple[float, float]:
    """Variances of the numbers of stuck cells in rows and in columns, in those of independent cells."""
    words = chip.placement.bits // 8
    zeros, ones = chip.masks(np.arange(words), 0.05)
    stuck = ((zeros | ones)[:, None] >> np.arange(8) & 1).reshape(chip.placement.rows, chip.placement.columns)
    scale = [0.05 * 0.95 * stuck.shape[axis] for axis in (1, 0)]
    return float(stuck.sum(axis=1).var() / scale[0]), float(stuck.sum(axis=0).var() / scale[1])


def test_cells_cluster_in_rows_and_columns_only_where_that_is_asked() -> None:
    where = Placement(1, 256, 256)
    assert by_line(Chip(7, where)) == pytest.approx((1, 1), abs=0.35)
    rows, columns = by_line(Chip(7, where, by_row=0.3)), by_line(Chip(7, where, by_column=0.3))
    assert rows[0] > 10 and rows[1] < 1.5 and columns[1] > 10 and columns[0] < 1.5


def test_rows_columns_and_cells_of_a_number_have_limits_of_their_own() -> None:
    where, numbers = Placement(1, 64, 64), np.arange(64)
    cells = Chip(7, where).limits(numbers)[0]
    rows = Chip(7, where, by_row=1.0).limits(numbers * 64)[0]
    columns = Chip(7, where, by_column=1.0).limits(numbers)[0]
    for one, other in ((cells, rows), (cells, columns), (rows, columns)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.4
    assert np.array_equal(rows, Chip(7, where, by_row=1.0).limits(numbers * 64 + 5)[0])
    assert np.array_equal(columns, Chip(7, where, by_column=1.0).limits(numbers + 640)[0])


def test_word_is_placed_along_rows_then_banks_then_rows_again() -> None:
    where = Placement(2, 3, 16)
    cells = [divmod(int(cell), 16) for cell in where.cells(np.arange(14))]
    assert [line for line, _ in cells] == [0, 0, 3, 3, 1, 1, 4, 4, 2, 2, 5, 5, 0, 0]  # rows 0 to 2 in the first bank, 3 to 5 in the other
    assert [column for _, column in cells] == [0, 8] * 7


def test_energy_at_the_voltage_of_one_percent_is_as_measured() -> None:
    assert EnergyLaw().at(0.83) == pytest.approx(0.694, abs=0.007)
    assert EnergyLaw.through(0.83, 0.694).at(0.83) == pytest.approx(0.694)
    assert EnergyLaw.through(0.83, 0.694).at(1.0) == 1.0


def test_law_is_one_percent_at_its_voltage_and_nearly_nothing_at_the_safe_one() -> None:
    law = ErrorLaw()
    assert law.at(0.83) == pytest.approx(0.01) and law.at(1.0) <= 1 / 32768 and law.at(0.0) == 1.0
    assert law.at(law.voltage_at(1.2129e-2)) == pytest.approx(1.2129e-2)


def test_published_savings_follow_from_published_reads() -> None:
    """arXiv 2306.16869: reads of weights, and savings in percent with one generator, whose reads the first row gives."""
    published = {"a": (2_755_968, 19.0), "b": (6_182_144, 25.4), "c": (1_334_656, 6.6), "d": (2_366_848, 17.1), "e": (3_104_128, 20.3)}
    ratio = EnergyLaw.through(0.83, 0.694).at(0.83)
    extra = (1 - ratio - published["a"][1] / 100) * published["a"][0]
    assert 319_000 < extra < 325_000
    assert 100 * saving(ratio, published["c"][0], extra) == pytest.approx(6.6, abs=0.3)
    for reads, percent in published.values():
        assert 100 * saving(ratio, reads, extra) == pytest.approx(percent, abs=0.3)


def test_generator_that_reads_more_than_is_saved_costs() -> None:
    assert saving(0.694, 100, 50) == pytest.approx(-0.194)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ErrorLaw(share=0), "no law has a share of 0 at voltage 0.83 and 15 decades; "
                                    "write a share up to 1, and voltage and decades above 0"),
        (lambda: EnergyLaw.through(1, 0.7), "a ratio of 0.7 at voltage 1 fixes no power; write both between 0 and 1"),
        (lambda: saving(0.7, 0), "0 reads take no energy that could be saved; write how many reads there are"),
        (lambda: Placement(1, 8, 12), "no memory has 1 banks of 8 rows of 12 bits with words of 8, repeated 1 times; "
                                      "write numbers of at least 1, and rows of whole words of at most 63 bits"),
        (lambda: Chip(0, PLAIN, by_row=0.8, by_column=0.3),
         "shares 0.5, 0.8 and 0.3 of a map cannot be; write shares from 0 to 1, by row and by column together at most 1"),
        (lambda: Chip(-1, PLAIN), "seed -1 does not fit 64 bits; write a whole number from 0 to 2**64 - 1"),
        (lambda: Chip(0, PLAIN).read(np.array([200]), 0.1), "a word does not fit 8 bits; choose wider words, or other values"),
        (lambda: Chip(0, PLAIN).masks(np.array([2]), 2), "a share of 2 stuck cells cannot be; write it from 0 to 1"),
    ],
)  # fmt: skip
def test_map_that_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message
