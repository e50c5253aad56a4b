"""Intersections of sorted coordinates: matches against sets, cycles against runs of the merged coordinates."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from accelsim.errors import InputError
from accelsim.sim.intersection import Intersection, Match, skipping, two_finger


def fibers(rng: random.Random) -> tuple[list[int], list[int]]:
    """Two random fibers, empty, sparse or dense, side by side or one beyond the other."""
    extent = rng.choice((1, 4, 12, 60))
    a, b = (sorted(rng.sample(range(extent), rng.randint(0, extent))) for _ in range(2))
    beyond = rng.choice((0, 0, extent // 2, extent))
    return a, [each + beyond for each in b]


def cycles_by_runs(a: list[int], b: list[int], window: int) -> int:
    """A cycle for each match, a window of them for what one side alone has between two coordinates of the other, and one for the ends."""
    owners = ((each in a, each in b) for each in sorted({*a, *b}))
    runs = ((owner, len(list(run))) for owner, run in groupby(owners))
    return 1 + sum(length if owner == (True, True) else -(-length // window) for owner, length in runs)


def test_matches_are_those_of_sets_at_their_positions() -> None:
    rng = random.Random(1)
    for _ in range(500):
        a, b = fibers(rng)
        for found in (two_finger(a, b), *(skipping(a, b, window) for window in (1, 2, 3, 8, 100))):
            assert [each.coordinate for each in found.matches] == sorted(set(a) & set(b))
            assert all(a[each.a] == b[each.b] == each.coordinate for each in found.matches)


def test_two_finger_takes_a_cycle_for_every_coordinate_of_the_union_and_one_for_the_ends() -> None:
    rng = random.Random(2)
    for _ in range(500):
        a, b = fibers(rng)
        found, union = two_finger(a, b), sorted({*a, *b})
        assert found.cycles == len(union) + 1
        assert [each.cycle for each in found.matches] == [union.index(each.coordinate) for each in found.matches]


def test_skips_take_the_windows_of_every_run() -> None:
    rng = random.Random(3)
    for _ in range(500):
        a, b = fibers(rng)
        for window in (1, 2, 3, 8, 100):
            found = skipping(a, b, window)
            assert found.cycles == cycles_by_runs(a, b, window)
            for match in found.matches:  # what comes before a match takes as long without what comes after
                assert match.cycle == cycles_by_runs(a[: match.a], b[: match.b], window) - 1


def test_window_of_one_is_two_finger() -> None:
    rng = random.Random(4)
    for _ in range(200):
        a, b = fibers(rng)
        assert skipping(a, b, 1) == two_finger(a, b)


def test_cycles_by_hand() -> None:
    """a: 0 1 2 3 9, b: 3 4 5 9: three skipped, match, two skipped, match, ends."""
    a, b = [0, 1, 2, 3, 9], [3, 4, 5, 9]
    assert two_finger(a, b).cycles == 3 + 1 + 2 + 1 + 1
    assert skipping(a, b, 2).cycles == 2 + 1 + 1 + 1 + 1
    assert skipping(a, b, 4) == Intersection((Match(3, 3, 0, 1), Match(9, 4, 3, 3)), 5)
    assert two_finger([], []) == skipping([], [], 4) == Intersection((), 1)


def test_coordinates_that_do_not_rise_are_refused() -> None:
    message = r"^coordinate 3 follows 3 in a fiber; sort coordinates and name each once$"
    with pytest.raises(InputError, match=message):
        two_finger([1], [3, 3])
    with pytest.raises(InputError, match=message):
        skipping([3, 3], [], 2)


def test_empty_window_is_refused() -> None:
    with pytest.raises(InputError, match=r"^a window of 0 coordinates shows nothing; make it 1 or more$"):
        skipping([1], [2], 0)
