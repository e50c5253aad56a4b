"""Touched coordinates against Python sets."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapping.extent import hull, touched
from accelsim.workload.expression import IndexMap


@st.composite
def _indices(draw: st.DrawFn) -> tuple[IndexMap, list[int], list[int]]:
    count = draw(st.integers(1, 3))
    coefficients = draw(st.lists(st.integers(-5, 6).filter(bool), min_size=count, max_size=count))
    terms = tuple((f"r{place}", coefficient) for place, coefficient in enumerate(coefficients))
    divisor, modulus = draw(st.sampled_from([(1, 0), (1, 0), (1, 0), (3, 0), (1, 4), (2, 3)]))
    sizes = draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    trips = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    return IndexMap(terms, draw(st.integers(-4, 4)), divisor, modulus), sizes, trips


def _coordinates(index: IndexMap, tile: list[range]) -> set[int]:
    found = set()
    for point in product(*tile):
        at = (sum(c * x for (_, c), x in zip(index.terms, point, strict=True)) + index.offset) // index.divisor
        found.add(at % index.modulus if index.modulus else at)
    return found


@given(_indices(), st.integers(1, 60))
def test_touched_is_the_most_coordinates_over_the_places_of_a_tile(drawn: tuple[IndexMap, list[int], list[int]], length: int) -> None:
    index, sizes, trips = drawn
    extents = tuple(size * trip for size, trip in zip(sizes, trips, strict=True))
    tiles = product(*([range(t * size, t * size + size) for t in range(trip)] for size, trip in zip(sizes, trips, strict=True)))
    most = max(len({at for at in _coordinates(index, list(tile)) if 0 <= at < length}) for tile in tiles)
    assert touched(index, tuple(sizes), extents, length) == most


@given(_indices())
def test_hull_holds_every_coordinate_and_no_smaller_interval_does(drawn: tuple[IndexMap, list[int], list[int]]) -> None:
    index, sizes, _ = drawn
    found = _coordinates(index, [range(size) for size in sizes])
    low, high = hull(index, {rank: (0, size) for rank, size in zip(index.ranks, sizes, strict=True)})
    assert low <= min(found) and max(found) < high
    if not index.modulus:
        assert (low, high) == (min(found), max(found) + 1)


def test_large_tiles_are_counted_in_closed_form() -> None:
    window = IndexMap((("p", 1), ("r", 1)), -1)
    split = IndexMap((("m0", 1), ("m1", 1 << 20)))
    assert touched(window, (1 << 30, 3), (1 << 32, 3), 1 << 32) == (1 << 30) + 2
    assert touched(split, (1000, 4), (1 << 20, 8), 1 << 23) == 4000
