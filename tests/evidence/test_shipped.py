"""The shipped evidence: the committed page is what a run gives, and choices that files state follow from the rules that they name.

A seeded share of the rows, and all of them where ACCELSIM_EVIDENCE asks for everything.
"""

from __future__ import annotations

import csv
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.commands.parser import parsed
from accelsim.commands.reproducing import command_of, reproduced
from accelsim.evidence.nouns import Evidence
from accelsim.evidence.scoring import asked
from accelsim.io.catalogue import EVIDENCE, shipped
from accelsim.io.evidence import load_evidence
from accelsim.report.evidence import evidence_page, page_line
from accelsim.units import size_bits

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "evidence.md"
README = REPOSITORY / "README.md"
RUNS = 10  # of a file at most, in a share
FAST = ("evaluate", "bounds", "passes")


def silent(_: str) -> None:
    """No progress."""


def share(evidence: Evidence) -> Evidence:
    """Some rows of a file that need few runs, none of them a search or a simulation."""
    rows = list(evidence.rows)
    random.Random(evidence.name).shuffle(rows)
    taken, commands = [], set[tuple[str, ...]]()
    for row in rows:
        needs = {command_of(evidence, evidence.runs[name], case, key) for name, case, key in asked(replace(evidence, rows=(row,)))}
        if len(commands | needs) <= RUNS and all(command[0] in FAST for command in needs):
            taken.append(row)
            commands |= needs
    return replace(evidence, rows=tuple(row for row in evidence.rows if row in taken))


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped(EVIDENCE))
def test_rows_hold_and_the_page_says_what_a_run_gives(name: str) -> None:
    evidence = share(load_evidence(shipped(EVIDENCE)[name]))
    document = reproduced([evidence], parsed, 1, silent)
    lines = set(PAGE.read_text(encoding="utf-8").splitlines())
    rows = [row for each in document["evidence"] for row in each["rows"]]
    assert [row["name"] for row in rows if row["status"] == "off"] == []
    assert [line for row in rows if (line := page_line(row)) not in lines] == []


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("ACCELSIM_EVIDENCE"), reason="minutes; with ACCELSIM_EVIDENCE=1")
def test_whole_page_is_what_a_run_gives() -> None:
    document = reproduced([load_evidence(path) for path in shipped(EVIDENCE).values()], parsed, 2, silent)
    assert evidence_page(document) == PAGE.read_text(encoding="utf-8")


def test_every_row_of_every_file_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path in shipped(EVIDENCE).values():
        evidence = load_evidence(path)
        assert f"### {evidence.title}\n" in text
        assert [row.name for row in evidence.rows if f"\n| {row.name}" not in text] == []


def cells(line: str) -> list[str]:
    """The cells of a row of a table in Markdown."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_readme_quotes_rows_of_the_page() -> None:
    """Each behind a column that says whose they are, and without the last one, the explanation."""
    part = README.read_text(encoding="utf-8").partition("<!-- evidence -->")[2].partition("<!-- /evidence -->")[0]
    head, _, *quoted = [cells(line)[1:] for line in part.splitlines() if line.startswith("|")]
    page = [cells(line)[:-1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert head == ["row", "published", "accelsim", "difference", "tolerance"] and head in page
    assert quoted and [row for row in quoted if row not in page] == []


# --- what a file of evidence chooses by a rule --------------------------------------------------------------------------------------------


def largest_tiles(queries: int, e: int, side: int, buffer_bytes: int, column: int) -> int:
    """The largest divisor of the number of query tiles with which all that waits fits beside a tile of keys and one of values, by trying.

    Of a query: its column of the operand (e words), its results (e), a maximum and a sum, and `column` words of scores.
    """
    tiles = queries // side
    words = {each: 2 * side * e + each * side * (2 * e + 2 + column) for each in range(1, tiles + 1) if tiles % each == 0}
    fits = [each for each, held in words.items() if 2 * held <= buffer_bytes]
    return max(fits)


def setting(command: tuple[str, ...], path: str) -> str:
    return next(word.partition("=")[2] for word in command if word.startswith(f"{path}="))


def test_query_tiles_of_the_interleaved_mappings_are_the_most_that_fit() -> None:
    evidence = load_evidence(shipped(EVIDENCE)["fusemax"])
    for case in evidence.cases:
        p, e = int(case.variables["P"]), int(case.variables["E"])
        for run, column in (("binding", 0), ("arch", 0), ("cascade", 512)):
            chosen = setting(command_of(evidence, evidence.runs[run], case, "latency"), "mapping.let.P1")
            assert int(chosen) == largest_tiles(p, e, 256, 16 * 2**20, column)


HEADS, LENGTH, WIDTH = 64 * 12, 2**18, 64  # of the sweep


def memory_seconds(side: int, buffer_bytes: int) -> float:
    """Queries and results once, keys and values once for every block of query tiles, over 400 GiB/s."""
    blocks = LENGTH // (side * largest_tiles(LENGTH, WIDTH, side, buffer_bytes, 0))
    return HEADS * LENGTH * WIDTH * 2 * (2 + 2 * blocks) / (400 * 2**30)


def test_buffer_of_the_sweep_doubles_until_memory_is_no_slower_than_the_array() -> None:
    evidence = load_evidence(shipped(EVIDENCE)["fusemax-sweep"])
    for case in evidence.cases:
        side = int(case.variables["PE"])
        array = HEADS * LENGTH**2 * (2 * WIDTH + 2 + 7) / side**2 / 940e6  # QK and SLNV, LM and SLD, and seven issues of SLN
        size = side * 64 * 16
        while memory_seconds(side, size) > array:
            size *= 2
        command = command_of(evidence, evidence.runs["binding"], case, "latency")
        assert size == 2 * int(case.variables["words"]) == size_bits(setting(command, "arch.L3.size")) // 8
        assert int(setting(command, "mapping.let.P1")) == largest_tiles(LENGTH, WIDTH, side, size, 0)


def test_kernels_chosen_for_measured_rows_are_the_fastest_of_the_library() -> None:
    from tests.published import silicon

    with (shipped(EVIDENCE)["gpus"].parent / "gpus" / "measured.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    for card in {row["card"] for row in table}:
        rows = silicon.rows(card)
        fitted, _ = silicon.halves(rows)
        mine = [row for row in table if row["card"] == card]
        assert [row["half"] for row in mine] == ["fitted" if row in fitted else "scored" for row in rows]
        assert [float(row["seconds"]) for row in mine] == [row.seconds for row in rows]
    evidence = load_evidence(shipped(EVIDENCE)["gpus"])
    for case in evidence.cases[:: 1 if os.environ.get("ACCELSIM_EVIDENCE") else 29]:
        card, operator = str(case.variables["card"]), str(case.variables["operator"])
        rows = [row for row in silicon.rows(card) if row.operator == operator and row.seconds == case.variables["seconds"]]
        one = replace(evidence, cases=(case,), rows=tuple(row for row in evidence.rows if row.where.get("operator") == (operator,))[:1])
        one = replace(one, rows=tuple(replace(row, where={}) for row in one.rows))
        (figure,) = reproduced([one], parsed, 1, silent)["evidence"][0]["rows"][0]["figures"]
        assert any(figure["value"] == pytest.approx(silicon.seconds(card, row, silicon.stated(card)), rel=1e-6) for row in rows)
