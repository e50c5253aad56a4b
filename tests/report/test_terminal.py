"""The report of an evaluation: what it says first, how wide it is, and that a pipe gets plain text."""

from __future__ import annotations

import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.cli import main
from accelsim.report.figures import bar, byte_size, in_cycles, in_unit, joules, si, tally, whole
from accelsim.report.terminal import report, show

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parent / "evaluation.json").read_text(encoding="utf-8"))


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(document: dict[str, Any], nest: str = "", stream: io.StringIO | None = None) -> str:
    """The report as text."""
    stream = stream or io.StringIO()
    show(report(document, nest), stream)
    return stream.getvalue()


def test_values_of_searches_are_in_units_that_people_read() -> None:
    """1.049e+06 B is 1 MiB: 2**20 bytes."""
    assert [in_unit(2**20, "B"), in_unit(1536.0, "B"), in_unit(12, "B")] == ["1.00 MiB", "1.50 KiB", "12 B"]
    assert [in_unit(2e9, "pJ"), in_unit(1234, "cycles"), in_unit(12345.678, "pJ s")] == ["2.00 mJ", "1,234 cycles", "1.235e+04 pJ s"]


@pytest.mark.parametrize("page", [False, True])
def test_traffic_of_searches_side_by_side_is_in_binary_units(page: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: all operands of a product of 64 by 64 by 32 in bf16 cross the outermost memory once, 16 KiB."""
    sizes = [word for size in ("m=64", "n=64", "k=32") for word in ("--set", f"shape.{size}")]
    search = ["map", "matmul", "--arch", "simple", *sizes, "--objective", "traffic", "--compare", "--time-limit", "0.05", "--workers", "1"]
    target = tmp_path / "page.html"
    assert main([*search, *(["-q", "--html", str(target)] if page else [])]) == 0
    said = target.read_text(encoding="utf-8") if page else capsys.readouterr().out
    assert ("16.0\u202fKiB" if page else "16.0 KiB") in said
    assert not re.search(r"e\+0\d\s?B\b", said)


def test_one_cycle_stands_alone() -> None:
    assert [in_cycles(count) for count in (0, 1, 1.5, 2000)] == ["0 cycles", "1 cycle", "1.50 cycles", "2,000 cycles"]


def test_what_limits_the_run_comes_first() -> None:
    lines = shown(SAMPLE | {"mapping": "by hand"}).splitlines()
    assert lines[:4] == [
        "attention on spatial, mapping 'by hand'",
        "",
        "Limited by PE1D, compute, 98.3 % of the time; next is PE2D, 76.1 %.",
        "1.29 times the lanes of PE1D would make PE2D the limit.",
    ]


def test_summary_shows_time_energy_and_traffic_with_their_bounds() -> None:
    lines = [" ".join(line.split()) for line in shown(SAMPLE).splitlines()]
    assert lines[5:11] == [
        "time 6,815,999 cycles 7.25 ms: fill 200, steady 6,815,744, drain 55",
        "1.31x the algebraic bound of 5,189,632 cycles",
        "energy 412 mJ prices 299 mJ to 551 mJ: dynamic 370 mJ, static 42.0 mJ",
        "traffic DRAM 24.0 MiB read 18.0 MiB, written 6.00 MiB; 1.00x the compulsory 24.0 MiB",
        "L3 331 MiB read 289 MiB, written 42.0 MiB",
        "area 61.50 mm2",
    ]


def test_every_einsum_and_component_has_a_row() -> None:
    rows = [line.split()[0] for line in shown(SAMPLE).splitlines() if line.strip()]
    for name in (*SAMPLE["einsums"], *SAMPLE["components"]):
        assert name in rows


def test_search_says_how_far_from_the_bound_it_may_be() -> None:
    text = " ".join(shown(SAMPLE).split())
    assert "Search for latency: 120,934 mappings evaluated, 123,456,789,012 covered in 2.3 s; " in text
    assert "; not proved optimal, at most 1.31x the best possible." in text


def test_covered_mappings_are_named_only_where_they_are_more_than_the_evaluated() -> None:
    search = SAMPLE["search"] | {"mappings_covered": SAMPLE["search"]["evaluated"]}
    text = " ".join(shown(SAMPLE | {"search": search}).split())
    assert "Search for latency: 120,934 mappings in 2.3 s; " in text


def test_given_mapping_has_no_search_line() -> None:
    assert "Search" not in shown(SAMPLE | {"search": None})


def test_pipe_gets_no_control_characters_and_no_trailing_blanks() -> None:
    text = shown(SAMPLE, "for m: 1\n  QK on PE2D")
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_terminal_gets_colour() -> None:
    assert "\x1b[" in shown(SAMPLE, stream=Screen())


@pytest.mark.parametrize(("columns", "bars"), [(100, True), (99, False), (80, False)])
def test_bars_are_left_out_where_the_terminal_is_narrow(columns: int, bars: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown(SAMPLE, stream=Screen())).splitlines()
    assert any("█" in line for line in lines) is bars
    start = next(at for at, line in enumerate(lines) if line.startswith("component"))
    rows = lines[start + 2 : start + 2 + len(SAMPLE["components"])]
    assert [row.split()[0] for row in rows] == list(SAMPLE["components"])  # no row wraps
    assert max(map(len, rows)) <= columns


def test_square_brackets_in_names_are_shown_as_they_are() -> None:
    assert "[red]x[/red]" in shown(SAMPLE | {"workload": "[red]x[/red]"})


@given(st.data())
def test_report_fits_100_columns(data: st.DataObject) -> None:
    document = copy.deepcopy(SAMPLE)
    name = st.text("abcdefgh_0123456789", min_size=1, max_size=40)
    big = st.integers(0, 2**63)
    for section in ("einsums", "components"):
        row = next(iter(document[section].values()))
        document[section] = {data.draw(name): row | {"busy_cycles": data.draw(big), "energy_pj": data.draw(big)} for _ in range(3)}
    document["latency"]["cycles"] = data.draw(big)
    assert all(len(line) <= 100 for line in shown(document, "x" * 300).splitlines())


def test_figures_have_three_digits_and_a_unit() -> None:
    # by hand: rounding carries into the next prefix
    assert [si(value, "s") for value in (0, 7.25e-3, 1, 999.9, 0.99996e3, 12345, 1e-13)] == [
        "0 s", "7.25 ms", "1.00 s", "1.00 ks", "1.00 ks", "12.3 ks", "0.10 ps",
    ]  # fmt: skip
    assert [byte_size(value) for value in (0, 1023, 1536, 2**20, 1.5 * 2**40)] == ["0 B", "1023 B", "1.50 KiB", "1.00 MiB", "1.50 TiB"]
    assert [tally(value) for value in (0, 24, 999, 1000, 12884901888)] == ["0", "24", "999", "1.00 k", "12.9 G"]
    assert (joules(1e12), joules(None), whole(1234567), whole(0.125)) == ("1.00 J", "-", "1,234,567", "0.12")


def test_bar_fills_in_eighths_of_a_cell() -> None:
    assert [bar(share, 2) for share in (0, 1 / 16, 0.5, 1, 7, None)] == ["  ", "▏ ", "█ ", "██", "██", "  "]
