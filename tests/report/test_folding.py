"""Tables that fold: names break at dots and underscores, nothing is lost, and no line is wider than the terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from accelsim.report.folding import Heading, folding_table, shared

NAMES = ("row", "arch.DRAM.bandwidth", "arch.GlobalBuffer.read_bandwidth", "energy_pj", "limited by")


def shown(width: int, names: tuple[str, ...], *rows: tuple[str, ...]) -> list[str]:
    """The lines of a table on a terminal of some width."""
    stream = io.StringIO()
    table = folding_table(names, names[1:])
    for row in rows:
        table.add_row(*row)
    Console(file=stream, width=width, highlight=False, markup=False).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("arch.DRAM.bandwidth", 19, ["arch.DRAM.bandwidth"]),
        ("arch.DRAM.bandwidth", 18, ["arch.DRAM.", "bandwidth"]),
        ("arch.DRAM.bandwidth", 9, ["arch.", "DRAM.", "bandwidth"]),
        ("read_bandwidth", 10, ["read_", "bandwidth"]),
        ("limited by", 9, ["limited", "by"]),
        ("99% interval", 8, ["99%", "interval"]),
        ("_x..y", 3, ["_", "x..", "y"]),
        ("", 3, [""]),
    ],
)
def test_names_break_after_dots_and_underscores_and_between_words(name: str, width: int, lines: list[str]) -> None:
    assert Heading(name).lines(width) == lines


def test_headings_stay_whole_where_there_is_room_and_break_at_their_parts_where_there_is_none() -> None:
    row = ("12", "100 GiB/s", "1000 GiB/s", "10.2 mJ", "PE2D")
    assert shown(100, NAMES, row)[0].split("  ") == ["row", *NAMES[1:]]
    lines = shown(3 + 9 + 13 + 7 + 7 + 4 * 2, NAMES, row)  # just what parts of names need
    words = sorted(word for line in lines[:-1] for word in line.split())
    parts = ["row", "arch.", "DRAM.", "bandwidth", "arch.", "GlobalBuffer.", "read_", "bandwidth", "energy_", "pj", "limited", "by"]
    assert words == sorted(parts)
    assert lines[-1].split() == " ".join(row).split()


@given(st.lists(st.text(alphabet="ab._ ", max_size=24), min_size=1, max_size=6), st.integers(24, 90))
def test_no_letter_is_lost_and_no_line_is_too_wide(names: list[str], width: int) -> None:
    lines = shown(width, tuple(names), tuple("xyz" * 5 for _ in names))
    assert max(map(len, lines), default=0) <= width
    for letter in "ab._":
        assert sum(line.count(letter) for line in lines) == sum(name.count(letter) for name in names)
    assert sum(line.count(letter) for line in lines for letter in "xyz") == 15 * len(names)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=6), st.integers(1, 120))
def test_room_is_shared_without_going_below_what_a_column_needs(columns: list[tuple[int, int]], room: int) -> None:
    least = [low for low, _ in columns]
    most = [low + more for low, more in columns]
    found = shared(most, least, room)
    if sum(least) > room:
        assert found == []
    else:
        assert sum(width or 0 for width in found) == min(room, sum(most))
        assert all(low <= (width or 0) <= high for low, width, high in zip(least, found, most, strict=True))
