"""What density models expect of tiles, against matrices drawn from them, and against each other where they say the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.sparse.chances import hypergeometric
from accelsim.sparse.density import Actual, Banded, Blocks, Density, Fibers, PowerLaw, Structured, Uniform

DRAWS = 100
MODELS: list[tuple[Density, list[tuple[int, int]]]] = [
    (Uniform(24, 40, 130), [(4, 8), (1, 40), (24, 1), (5, 7)]),
    (Structured(12, 32, 2, 4), [(1, 4), (3, 8), (2, 6), (1, 3)]),
    (Blocks(24, 24, 4, 9), [(4, 4), (8, 8), (3, 5), (1, 24)]),
    (Fibers(30, 20, (0.3, 0.3, 0.2, 0.0, 0.2)), [(1, 5), (5, 20), (6, 3)]),
    (PowerLaw(6, 200.0), [(1, 1), (4, 4), (16, 16)]),
]


@pytest.mark.parametrize(("model", "tiles"), MODELS, ids=lambda each: type(each).__name__ if not isinstance(each, list) else "")
def test_expectations_are_means_of_draws(model: Density, tiles: list[tuple[int, int]]) -> None:
    """Every share of tiles with some number of non-zeros, the mean and the total lie within standard errors of those of draws.

    Three standard errors hold for one figure; of the many shares each may miss by chance, so that those get more.
    """
    drawn = [model.draw(seed) for seed in range(DRAWS)]
    totals = np.array([each.nonzeros for each in drawn], np.float64)
    assert abs(totals.mean() - model.nonzeros) <= 3 * totals.std() / math.sqrt(DRAWS) + 1e-9
    for height, width in tiles:
        expected = model.occupancy(height, width)
        assert math.isclose(float(expected.shares.sum()), 1, rel_tol=1e-9)
        shares = np.array([Actual(each).occupancy(height, width).shares for each in drawn])
        counts = np.arange(height * width + 1)
        means = shares @ counts
        assert abs(means.mean() - expected.mean) <= 3 * means.std() / math.sqrt(DRAWS) + 1e-9
        squares = shares @ counts**2
        assert abs(squares.mean() - expected.variance - expected.mean**2) <= 4 * squares.std() / math.sqrt(DRAWS) + 1e-9
        errors = shares.std(axis=0) / math.sqrt(DRAWS)
        seen = shares.mean(axis=0) > 20 / (DRAWS * (model.rows // height) * (model.width // width))
        assert np.all(np.abs(shares.mean(axis=0) - expected.shares)[seen] <= 4.5 * errors[seen] + 1e-9)


@pytest.mark.parametrize(
    "model",
    [Banded(20, 20, -2, 1), Banded(15, 24, 0, 6), Banded(24, 15, -30, 40), Banded(12, 12, 3, 5)],
    ids=str,
)
@pytest.mark.parametrize("tile", [(1, 1), (4, 4), (5, 3), (2, 11)])
def test_a_band_is_known_without_drawing_it(model: Banded, tile: tuple[int, int]) -> None:
    whole = np.array([[model.below <= column - row <= model.above for column in range(model.width)] for row in range(model.rows)])
    pattern = model.draw(0)
    assert [pattern.columns[a:b].tolist() for a, b in zip(pattern.starts, pattern.starts[1:], strict=False)] == [
        np.flatnonzero(row).tolist() for row in whole
    ]
    assert model.nonzeros == whole.sum()
    assert np.allclose(model.occupancy(*tile).shares, Actual(pattern).occupancy(*tile).shares, atol=1e-12)


def test_hypergeometric_chances_are_ratios_of_choices() -> None:
    for places, full, drawn in ((10, 3, 4), (8, 8, 3), (8, 0, 3), (50, 20, 50), (7, 5, 6)):
        whole = math.comb(places, drawn)
        ratios = [Fraction(math.comb(full, each) * math.comb(places - full, drawn - each), whole) for each in range(drawn + 1)]
        assert np.allclose(hypergeometric(places, full, drawn), [float(each) for each in ratios], rtol=1e-10)


def test_models_that_say_the_same_agree() -> None:
    """Blocks of one element are uniform; N:N is full; rows that all have one length, one row high, are uniform rows."""
    assert np.allclose(Blocks(8, 12, 1, 30).occupancy(2, 3).shares, Uniform(8, 12, 30).occupancy(2, 3).shares)
    assert Structured(4, 8, 4, 4).occupancy(2, 3).shares[6] == pytest.approx(1)
    assert np.allclose(Fibers(8, 12, (0, 0, 0, 1)).occupancy(1, 5).shares, hypergeometric(12, 3, 5))
    assert Structured(4, 8, 1, 8).occupancy(1, 8).shares[1] == pytest.approx(1)


def test_a_mean_misleads_where_few_rows_hold_much() -> None:
    """Of as many non-zeros, tiles of a power law overflow room that tiles of a uniform matrix never fill."""
    skewed = PowerLaw(8, 4000.0)
    even = Uniform(256, 256, round(skewed.nonzeros))
    a, b = skewed.occupancy(16, 16), even.occupancy(16, 16)
    assert a.mean == pytest.approx(b.mean, rel=1e-3)
    assert a.variance > 10 * b.variance
    assert a.beyond(60) > 0.01 > 1e-9 > b.beyond(60)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Uniform(2, 2, 5), "5 non-zeros do not fit a matrix of 2 x 2; give a share of at most 1"),
        (lambda: Structured(2, 6, 2, 4), "rows of 6 do not consist of blocks of 4; make them a multiple of 4"),
        (lambda: Structured(2, 8, 5, 4), "5 of 4 is no structure"),
        (lambda: Banded(4, 4, 2, 1), "a band from 2 to 1 is empty"),
        (lambda: Blocks(4, 6, 4, 1), "a matrix of 4 x 6 does not consist of blocks of 4 x 4"),
        (lambda: Blocks(4, 4, 4, 2), "a matrix of 4 x 4 has no 2 blocks; give fewer"),
        (lambda: Fibers(4, 4, (0.5, 0.4)), "the shares of a histogram sum to 0.9; make them sum to 1"),
        (lambda: Fibers(4, 1, (0.5, 0.0, 0.5)), "rows of 1 do not hold 2 non-zeros"),
        (lambda: PowerLaw(3, 9.0, (0.5, 0.5, 0.5, 0.5)), "chances of quadrants sum to 2"),
        (lambda: PowerLaw(3, 9.0).occupancy(3, 3), "tiles of 3 x 3 do not divide quadrants"),
    ],
)
def test_what_cannot_be_is_refused(wrong: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        wrong()
    assert str(error.value).startswith(said)
