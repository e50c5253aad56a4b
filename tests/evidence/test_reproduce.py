"""`accelsim reproduce`: rows are held to their tolerance, a row that drifts fails, equal commands run once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.commands import reproducing

FILE = """\
evidence: mine
title: "Products"
source: "arithmetic"
kind: reproduction
axes: {size: {8: {N: 8}, 16: {N: 16}}}
data: {published: figures.csv}
runs:
  x: {workload: matmul, arch: simple, mapping: flat.yaml, set: {shape.m: = N, shape.n: = N, shape.k: = N, type: "{default: bf16}"}}
  same: {workload: matmul, arch: simple, mapping: flat.yaml, set: {shape.m: = N, shape.n: = N, shape.k: = N, type: "{default: bf16}"}}
  bounds: {workload: matmul, set: {shape.m: = N, shape.n: = N, shape.k: = N}}
rows:
  - {name: multiply-adds, each: [size], value: sum(x.einsums.*.operations.mac), published: published.macs, tolerance: exact}
  - {name: mean ratio, value: mean(same.einsums.Z.operations.mac / N**3), published: 1, tolerance: 1e-9}
  - {name: words, each: [size], value: sum(bounds.bounds.tensors.*.words), published: 3 * N**2, tolerance: exact}
  - {name: passes, each: [size], value: bounds.passes.ranks.k.passes, published: 1, tolerance: exact, table: true}
  - {name: at least, value: min(x.latency.cycles), published: 8, expect: at least, kind: plausibility, unit: cycles, source: table 1}
  - {name: between, value: max(N), published: [10, 16], kind: plausibility}
  - {name: beside, value: sum(N), explanation: "what the sizes add up to"}
  - {name: elsewhere, value: sum(N), published: 25, not_reproduced: "the source has another size"}
  - {name: with data, shown_by: "accelsim count web.mtx"}
"""
MAPPING = """\
mapping: flat
tree:
  - keep MainMemory: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of evidence, its table and a mapping in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(FILE)
    (tmp_path / "flat.yaml").write_text(MAPPING)
    (tmp_path / "figures.csv").write_text("size,macs\n8,512\n16,4096\n")
    return tmp_path / "mine.yaml"


def reproduced(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and rows by name."""
    code = main(["reproduce", *arguments, "--json", "found.json", "-q", "--workers", "1"])
    document = json.loads(Path("found.json").read_text())
    assert document["schema"] == "accelsim/evidence/1"
    return code, {row["name"]: row for each in document["evidence"] for row in each["rows"]}


def test_rows_within_their_tolerance_hold(file: Path) -> None:
    code, rows = reproduced("mine.yaml")
    assert code == 0
    assert {name: row["status"] for name, row in rows.items()} == {
        "multiply-adds": "within",
        "mean ratio": "within",
        "words": "within",
        "passes": "within",
        "at least": "within",
        "between": "within",
        "beside": "beside",
        "elsewhere": "not reproduced",
        "with data": "not run",
    }
    assert [figure["value"] for figure in rows["multiply-adds"]["figures"]] == [8**3, 16**3]
    assert [figure["value"] for figure in rows["words"]["figures"]] == [3 * 8**2, 3 * 16**2]
    assert rows["elsewhere"]["figures"][0]["difference"] == pytest.approx(24 / 25 - 1)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("multiply-adds", "16,4096", "16,4095"),
        ("mean ratio", "published: 1, tolerance: 1e-9", "published: 1.0001, tolerance: 1e-5"),
        ("mean ratio", "published: 1, tolerance: 1e-9", "published: 0.9999, tolerance: '0.00009 absolute'"),
        ("at least", "published: 8", "published: 1000000"),
        ("between", "[10, 16]", "[10, 15.9]"),
        ("between", "[10, 16]", "[16.1, 20]"),
    ],
)
def test_row_that_drifts_fails(name: str, before: str, after: str, file: Path) -> None:
    for each in (file, file.with_name("figures.csv")):
        each.write_text(each.read_text().replace(before, after))
    code, rows = reproduced("mine.yaml")
    assert code == 1
    assert [row["name"] for row in rows.values() if row["status"] == "off"] == [name]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("published: 1, tolerance: 1e-9", "published: 1.0001, tolerance: 2e-4"),
        ("published: 1, tolerance: 1e-9", "published: 1.0001, tolerance: 0.02 %"),
        ("published: 1, tolerance: 1e-9", "published: 1.0001, tolerance: 0.0002 absolute"),
        ("[10, 16]", "[16.1, 20], tolerance: 1 %"),
    ],
)
def test_row_within_a_wider_tolerance_holds(before: str, after: str, file: Path) -> None:
    file.write_text(file.read_text().replace(before, after))
    assert reproduced("mine.yaml")[0] == 0


def test_equal_commands_run_once_and_unasked_ones_not_at_all(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def counted(command: tuple[str, ...], read: Any) -> Any:
        commands.append(command)
        return real(command, read)

    real = reproducing.document_of
    monkeypatch.setattr(reproducing, "document_of", counted)
    reproduced("mine.yaml")
    assert len(commands) == len(set(commands)) == 6  # of two sizes: an evaluation, bounds and passes
    file.write_text(FILE.replace("table: true}", "table: true}\nrows_end: x").partition("  - {name: words")[0])
    commands.clear()
    reproduced("mine.yaml")
    assert [command[0] for command in commands] == ["evaluate", "evaluate"]


def test_rows_of_one_kind_alone(file: Path) -> None:
    _, rows = reproduced("mine.yaml", "--kind", "plausibility")
    assert list(rows) == ["at least", "between"]


def test_page_has_a_line_for_each_row(file: Path) -> None:
    assert main(["reproduce", "mine.yaml", "-o", "page.md", "-q", "--workers", "1"]) == 0
    page = Path("page.md").read_text()
    for line in (
        "| [reproduction](#reproduction) | 7 | 7 | 4 | 0 | 1 | 1 | 1 |",
        "| [plausibility](#plausibility) | 2 | 2 | 2 | 0 | 0 | 0 | 0 |",
        "| multiply-adds | 2 figures | 2 of 2 agree | at most 0 | exact |  |",
        "| mean ratio | 1 | 1 | 0 | 1e-9 |  |",
        "| between | 10 to 16 | 16 | 0 |  |  |",
        "| beside |  | 24 |  |  | What the sizes add up to. |",
        "| elsewhere | 25 | 24 | -4.00 % |  | Not reproduced: the source has another size. |",
        "| with data |  |  |  |  | Not run here; shown by `accelsim count web.mtx`. |",
        "| passes | 8 | 16 |",
    ):
        assert line in page.splitlines()


def test_report_on_a_terminal_ends_with_how_many_hold(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "mine.yaml", "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("9 rows, 9 figures: 6 within their tolerance, 0 off, 1 not reproduced, 1 not run, 1 beside.\n")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("mapping: flat.yaml", "mapping: fiat.yaml", "there is no file 'fiat.yaml'"),
        (
            "published: published.macs",
            "published: published.mac",
            "mine.yaml:12:92: 'published.mac' asks for 'mac', which published has not; did you mean 'macs'?",
        ),
        ("bounds.bounds.tensors", "bounds.bound.tensors", "mine.yaml:10:11: run 'bounds' has no machine, and gives bounds and passes"),
    ],
)
def test_mistake_that_shows_when_it_runs(before: str, after: str, message: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE.replace(before, after))
    assert main(["reproduce", "mine.yaml", "-q", "--workers", "1"]) in (1, 2)
    found = capsys.readouterr().err
    assert message in found and found.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-of-the-kind"], "there is no file of evidence 'nothing-of-the-kind'; "),
        (["matmul"], "'matmul' is a workload, not a file of evidence; see `accelsim list evidence`"),
        (["mine.yaml", "--kind", "prof"], "there is no kind 'prof'; known: plausibility, reproduction, validation"),
        (["mine.yaml", "--workers", "0"], "--workers '0' is not a whole number from 1; write digits, as in --workers 2"),
        (["mine.yaml", "--set", "shape.m=3"], "--set workload.shape.m: this command reads no workload; leave the setting out"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_evidence_can_be_checked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "mine.yaml: the file of evidence mine is right\nProducts: 9 rows, 2 cases, 3 runs\n"


def test_rows_on_a_terminal_have_large_numbers_in_four_digits_and_the_unit_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "- {name: words, value: 3000000, published: 3000000, unit: words, tolerance: exact}"
    Path("large.yaml").write_text(f"evidence: large\ntitle: Large\nsource: made up\nkind: reproduction\nrows:\n  {words}\n")
    assert main(["reproduce", "large.yaml", "--workers", "1"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("words")]
    assert row.split() == ["words", "3.000e6", "words", "3.000e6", "0", "exact", "within"]
