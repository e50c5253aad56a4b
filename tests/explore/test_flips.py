"""Rankings under prices in doubt: against all corners of all rows, tried one by one."""

from __future__ import annotations

import random
from itertools import product
from math import isclose

import pytest

from accelsim.explore.flips import ranking
from accelsim.explore.provenance import Line
from accelsim.hardware.origin import Figure, Part
from accelsim.model.pricing import Range
from tests.share import share


def figure(component: str, value: float, low: float, high: float, size: int | None = None) -> Figure:
    return Figure(value, low, high, "a test", "assumed", "table", component, "read", size)  # type: ignore[arg-type]


def line(count: float, *figures: Figure, factor: float = 1.0) -> Line:
    price = Range(1.0, 1.0, 1.0)  # not what a ranking looks at
    return Line("X", "read", "", "", count, "bit", price, (Part(factor, figures),))


def brute(first: list[Line], second: list[Line], apart: bool) -> tuple[float, float]:
    """The least and the most of second less first, over every choice of low or high for every doubt."""
    doubts = sorted({each.doubt(apart) for side in (first, second) for item in side for part in item.parts for each in part.figures})
    found = []
    for corner in product(("low", "high"), repeat=len(doubts)):
        chosen = dict(zip(doubts, corner, strict=True))
        totals = []
        for side in (first, second):
            total = 0.0
            for item in side:
                for part in item.parts:
                    amount = float(item.count) * part.factor
                    for each in part.figures:
                        amount *= getattr(each, chosen[each.doubt(apart)])
                    total += amount
            totals.append(total)
        found.append(totals[1] - totals[0])
    return min(found), max(found)


def random_side(rng: random.Random, figures: list[Figure]) -> list[Line]:
    return [
        line(rng.choice([0.0, rng.uniform(0, 9)]), *rng.sample(figures, rng.choice([1, 1, 2])), factor=rng.uniform(0.1, 2))
        for _ in range(rng.randint(1, 6))
    ]


@pytest.mark.parametrize("apart", [False, True])
def test_the_ends_of_a_ranking_are_those_of_all_corners(apart: bool) -> None:
    flipped = 0
    for seed in range(share(2000, 150, 30)):
        rng = random.Random(seed)
        figures = []
        for number in range(rng.randint(1, 6)):
            value = rng.uniform(0, 5)
            low, high = (value, value) if rng.random() < 0.2 else (value * rng.uniform(0.2, 1), value * rng.uniform(1, 3))
            figures.append(figure(f"c{number // 2}", value, low, high, number if rng.random() < 0.5 else None))
        figures.append(figure("other", 1.0, 0.5, 2.0))
        first, second = random_side(rng, figures), random_side(rng, figures)
        found = ranking(first, second, apart=apart)
        low, high = brute(first, second, apart)
        assert found.exact
        assert isclose(found.difference.low, min(low, found.difference.value), rel_tol=1e-9, abs_tol=1e-9)
        assert isclose(found.difference.high, max(high, found.difference.value), rel_tol=1e-9, abs_tol=1e-9)
        flipped += found.flips
    assert flipped


def test_a_row_that_prices_both_sides_cannot_turn_the_ranking() -> None:
    shared = figure("dram", 10.0, 1.0, 100.0)
    found = ranking([line(5, shared)], [line(6, shared)])
    assert (found.difference.low, found.difference.value, found.difference.high) == (1.0, 10.0, 100.0)
    assert not found.flips  # although the ranges of the two, 5 to 500 and 6 to 600, overlap


def test_two_rows_turn_the_ranking_and_the_wider_one_comes_first() -> None:
    found = ranking([line(5, figure("dram", 10.0, 8.0, 12.0))], [line(6, figure("sram", 9.0, 1.0, 20.0))])
    assert found.flips
    assert (found.difference.low, found.difference.value, found.difference.high) == (6 - 60, 54 - 50, 120 - 40)
    assert [(each.doubt[1], each.at_low, each.at_high) for each in found.swings] == [("sram", 6 - 50, 120 - 50), ("dram", 54 - 40, 54 - 60)]


def test_sizes_of_a_component_move_together_unless_they_are_apart() -> None:
    small, large = figure("sram", 1.0, 0.5, 2.0, 1024), figure("sram", 2.0, 1.0, 4.0, 4096)
    first, second = [line(10, small)], [line(6, large)]
    assert not ranking(first, second).flips  # 5 against 6, or 20 against 24
    assert ranking(first, second, apart=True).flips  # 20 against 6


def test_delay_weighs_energy() -> None:
    shared = figure("dram", 1.0, 0.5, 2.0)
    found = ranking([line(3, shared)], [line(2, shared)], weights=(1.0, 2.0))
    assert found.difference.value == 1.0
    assert not found.flips


def test_more_products_than_can_be_tried_are_bounded_from_outside() -> None:
    scales = [figure(f"power{number}", 1.0, 0.5, 2.0) for number in range(12)]
    area = figure("area", 1.0, 0.9, 1.1)
    first, second = [line(1, scale, area) for scale in scales[:6]], [line(1, scale, area) for scale in scales[6:]]
    found = ranking(first, second)
    assert not found.exact
    low, high = brute(first, second, False)
    assert found.difference.low <= low + 1e-9
    assert found.difference.high >= high - 1e-9
