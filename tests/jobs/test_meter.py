"""What is said about how far long work is, by a clock of the test's own."""

from __future__ import annotations

import pytest

from accelsim.jobs.meter import Meter, lasting, paced


def said(*moments: tuple[float, float], total: float = 1000) -> list[str]:
    """What a meter says when so much is done at such seconds."""
    clock = iter([second for second, _ in moments])
    meter = Meter("points", lambda: next(clock))
    return [meter(done, total) for _, done in moments]


def test_rate_and_time_to_go_follow_from_what_was_done_meanwhile() -> None:
    """100 points in 4 s are 25 a second, so the 700 that are left take 28 s; the 200 that were there at first count for nothing."""
    assert said((0, 200), (4, 300)) == ["200 of 1,000 points", "300 of 1,000 points, 25 a second, 28 s to go"]


def test_rate_is_that_of_the_last_minute() -> None:
    """10 points in the first 100 s, then 10 a second for 60 s."""
    assert said((0, 0), (100, 10), (130, 310), (160, 610), (170, 710))[-1] == "710 of 1,000 points, 10 a second, 29 s to go"


def test_nothing_is_said_of_a_rate_that_nobody_knows() -> None:
    assert said((0, 5), (0, 6), (3, 5)) == ["5 of 1,000 points", "6 of 1,000 points", "5 of 1,000 points"]


def test_more_than_all_is_no_time_to_go() -> None:
    assert said((0, 990), (1, 1010))[-1] == "1,010 of 1,000 points, 20 a second, 0 s to go"


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1234.6, "1,235 a second"), (2.34, "2.3 a second"), (0.5, "30 a minute"), (0.05, "3.0 a minute"), (0.001, "3.6 an hour")],
)
def test_rate_is_said_per_second_minute_or_hour(rate: float, text: str) -> None:
    assert paced(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_time_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
