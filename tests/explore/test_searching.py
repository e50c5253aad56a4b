"""Searches of sweeps: nearly the whole front for a share of the grid, more than as many random points find, the same from the same seed.

The figures of a point are formulas of this file, so that the whole grid takes no time and its front is exact; it and the
volumes beside it are worked out here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.explore.dimension import Axis, listed, spaced
from accelsim.explore.exploration import Exploration
from accelsim.explore.points import NO_MAPPING, OK, OUTSIDE, Point, Row
from accelsim.explore.rules import rule
from accelsim.explore.search import BAYESIAN, EVOLUTIONARY, Search
from accelsim.explore.sweep import Sweep
from accelsim.explore.sweeping import explore
from tests.share import share

SIDE = 24  # values of each of three axes: 13,824 points


@dataclass(frozen=True)
class NoCases:
    """Cases that are never made; a point's key is its values."""

    def case(self, point: Point) -> Any:
        raise AssertionError("rows are worked out here")

    def key(self, point: Point) -> bytes:
        return "|".join(point.values).encode()

    def problem(self, point: Point) -> str | None:
        return None

    def area_um2(self, point: Point) -> float | None:
        return float(point.values[0]) * 1e6

    def text(self, mapping: Any) -> str:
        raise AssertionError


def figures(values: tuple[str, ...]) -> tuple[float, float]:
    """Two figures that pull against each other: many copies are fast and cost energy, and the two others have a best place."""
    copies, buffer, tile = (float(text) for text in values[:3])
    off = (buffer - 9) ** 2 / 40 + (tile - 15) ** 2 / 60 + (2.0 if (int(buffer) + int(tile)) % 3 else 0.0) / 10
    return (1 + off) / copies, (1 + off) * (0.2 + copies / SIDE)


def row(point: Point) -> Row:
    if point.values[1] == "7":
        return Row(NO_MAPPING, "no tile fits")
    latency, energy = figures(point.values)
    return Row(OK, latency_s=latency, energy_pj=energy, area_um2=float(point.values[0]) * 1e6)


def spread(function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[tuple[int, Any]]:
    """Chunks come back the other way round, as from workers."""
    yield from reversed([(at, [row(point) for point in chunk]) for at, chunk in enumerate(chunks)])


def axis(name: str) -> Axis:
    return listed(name, tuple(str(value) for value in range(1, SIDE + 1)), None)


def made(asked: Search | None = None, *rules: str) -> Sweep:
    axes = (axis("a"), axis("b"), axis("c"))
    return Sweep("made up", axes, (), NoCases(), tuple(rule(text, None) for text in rules), search=asked)


def pairs(points: Iterable[tuple[Point, Row]]) -> list[tuple[float, float]]:
    return [(each.latency_s, each.energy_pj) for _, each in points if each.status == OK and each.latency_s and each.energy_pj]


def front(found: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those with less energy than all that are as fast or faster."""
    least, kept = float("inf"), []
    for latency, energy in sorted({*found}):
        if energy < least:
            least = energy
            kept.append((latency, energy))
    return kept


def volume(found: Iterable[tuple[float, float]], corner: tuple[float, float]) -> float:
    """The area between a front and a corner that is worse than all of it."""
    area, height = 0.0, corner[1]
    for latency, energy in front(each for each in found if each[0] < corner[0] and each[1] < corner[1]):
        area += (corner[0] - latency) * (height - energy)
        height = energy
    return area


def every(copies: int = SIDE) -> list[tuple[float, float]]:
    """Of the whole grid with at most so many copies."""
    return pairs((point, row(point)) for point in made().points() if int(point.values[0]) <= copies)


def found_by(asked: Search, *rules: str) -> Exploration:
    return explore(made(asked, *rules), spread=spread)


def values_of(exploration: Exploration) -> list[tuple[str, ...]]:
    return [point.values for point in exploration.sweep.points()]


def test_evolution_finds_nearly_the_whole_front_and_more_than_random_points() -> None:
    """With 1,000 points of 13,824 (7 %), 80 % of the front; what it lacks of the front's volume is a fifth of what random points lack."""
    whole = every()
    corner = (0.5, 2.0)
    best = volume(whole, corner)
    exact = front(whole)
    for seed in range(share(10, 2, 1)):
        found = pairs(found_by(Search(EVOLUTIONARY, 1000, 50, seed)).rows())
        picks = np.random.default_rng(seed).choice(len(whole), 1000, replace=False)
        drawn = volume([whole[pick] for pick in picks], corner)
        hit = len({*exact} & {*found}) / len(exact)
        assert hit >= 0.8
        assert best - volume(found, corner) < (best - drawn) / 5


def test_bayes_finds_more_than_random_points() -> None:
    """With 80 points of 13,824, more than as many random points do on average."""
    whole = every()
    corner = (0.5, 2.0)
    for seed in range(share(10, 2, 1)):
        found = volume(pairs(found_by(Search(BAYESIAN, 80, 8, seed)).rows()), corner)
        draws = [np.random.default_rng(each).choice(len(whole), 80, replace=False) for each in range(20)]
        drawn = [volume([whole[pick] for pick in picks], corner) for picks in draws]
        assert found > np.mean(drawn)


@pytest.mark.parametrize("how", [EVOLUTIONARY, BAYESIAN])
def test_search_chooses_the_same_points_from_the_same_seed(how: str, tmp_path: Path) -> None:
    """However results come back; a search that goes on from its file works out nothing again, and a longer one only what is new."""
    asked, store = Search(how, 30, 10, 3), str(tmp_path / "points.sqlite")
    one = found_by(asked)
    values = values_of(one)
    assert len(values) == len({*values}) == 30 == one.new
    first = explore(made(asked), store, spread)
    first.close()
    again = explore(made(asked), store, lambda function, chunks: enumerate([row(point) for point in chunk] for chunk in chunks))
    assert values_of(first) == values_of(again) == values
    assert (first.new, again.new) == (30, 0)
    again.close()
    longer = explore(made(replace(asked, points=40)), store, spread)
    assert values_of(longer)[:30] == values and longer.new == 10
    assert values_of(found_by(replace(asked, seed=4))) != values


def test_search_keeps_to_rules_and_knows_points_without_a_mapping() -> None:
    """At most nine copies, by the area, and in other words by the time; what is found has the volume of a smaller grid, but for 3 %."""
    exact = every(9)
    for text in ("area_um2 <= 9 mm2", "a <= 9"):
        found = found_by(Search(EVOLUTIONARY, 600, 50, 1), text)
        rows = [*found.rows()]
        assert {each.status for _, each in rows} == {OK, NO_MAPPING, OUTSIDE}
        assert {each.status for point, each in rows if int(point.values[0]) > 9} == {OUTSIDE}
        assert {each.status for point, each in rows if int(point.values[0]) <= 9 and point.values[1] == "7"} == {NO_MAPPING}
        assert volume(pairs(rows), (0.5, 2.0)) > 0.97 * volume(exact, (0.5, 2.0))
        outside = sum(each.status == OUTSIDE for _, each in rows)
        assert outside < 0.4 * 600  # of all points 15 of 24 are


def test_search_of_a_small_grid_ends_with_the_points_it_was_asked_for() -> None:
    """Where the sampler keeps to points that it knows, others are drawn."""
    small = replace(made(), axes=(axis("a"), listed("b", ("3", "5"), None), listed("c", ("4",), None)))
    found = explore(replace(small, search=Search(EVOLUTIONARY, 47, 4, 0)), spread=spread)
    assert len({*values_of(found)}) == 47
    with pytest.raises(InputError, match=r"^a search of 48 points, and the whole grid has 48; leave 'search' out, or search for fewer$"):
        explore(replace(small, search=Search(EVOLUTIONARY, 48, 4, 0)), spread=spread)


def test_search_between_ends_that_have_hardly_any_values_between_ends_with_all_of_them() -> None:
    few = replace(made(), axes=(spaced("a", "1", "3", True, None, None, None, None), axis("b"), listed("c", ("4",), None)))
    found = explore(replace(few, search=Search(EVOLUTIONARY, 100, 10, 0)), spread=spread)
    assert sorted(values_of(found)) == sorted((a, b, "4") for a in ("1", "2", "3") for b in axis("b").values)


def test_interrupt_keeps_what_is_done() -> None:
    def pressed(function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[tuple[int, Any]]:
        nonlocal calls
        calls += 1
        for at, chunk in enumerate(chunks):
            if calls == 3 and at == 1:
                raise KeyboardInterrupt
            yield at, [row(point) for point in chunk]

    calls = 0
    found = explore(made(Search(EVOLUTIONARY, 100, 16, 0)), spread=pressed)
    assert found.interrupted and 16 < found.new < 48
    assert sum(each.status == "not reached" for _, each in found.rows()) == len(found.places) - found.new


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((BAYESIAN, 3000, 8), "a search of 3,000 points by bayesian; take at most 2,000"),
        ((EVOLUTIONARY, 30, 64), "a generation of 64 of 30 points; write a population from 2 up to the number of points"),
        ((EVOLUTIONARY, 30, 1), "a generation of 1 of 30 points; write a population from 2 up to the number of points"),
    ],
)
def test_bad_search_is_refused(asked: tuple[str, int, int], said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        Search(*asked)
