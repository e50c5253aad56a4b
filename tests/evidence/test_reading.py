"""Files of evidence: what they say comes out as nouns, and every mistake is named with its place and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.evidence.scoring import asked
from accelsim.io.evidence import load_evidence
from accelsim.io.tables import load_rows

RIGHT = """\
evidence: mine
title: "Mine"
source: "nobody"
kind: reproduction
let: {twice: 2 * N}
axes:
  size:
    1K: {shape.m: 1024, N: 1024}
    4K: {shape.m: 4096, N: 4096}
  side: {left: {}, right: {}}
data:
  published: figures.csv
runs:
  x: {workload: matmul, arch: simple, set: {shape.n: = twice}}
  y: {workload: matmul}
rows:
  - {name: one, each: [size], where: {side: left}, value: x.latency.cycles, published: published.cycles, tolerance: 1 %}
"""
FIGURES = "size,cycles,unit\n1K,3,s\n4K,5.5,s\n"


def written(folder: Path, text: str = RIGHT, figures: str = FIGURES) -> Path:
    (folder / "figures.csv").write_text(figures, encoding="utf-8")
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_axes_make_cases_and_rows_ask_for_runs(tmp_path: Path) -> None:
    found = load_evidence(written(tmp_path))
    assert [str(case) for case in found.cases] == ["1K, left", "1K, right", "4K, left", "4K, right"]
    assert found.cases[2].settings == {"shape.m": "4096"} and found.cases[2].variables == {"N": 4096}
    assert [(name, str(case), key) for name, case, key in asked(found)] == [("x", "1K, left", "latency"), ("x", "4K, left", "latency")]
    assert [[str(case) for case in group] for group in found.groups(found.rows[0])] == [["1K, left"], ["4K, left"]]
    assert found.tables["published"].row(found.cases[2]) == {"cycles": 5.5, "unit": "s"}


def test_axis_from_a_table_has_a_label_for_each_row(tmp_path: Path) -> None:
    text = RIGHT.replace("  side: {left: {}, right: {}}", "  side: {table: figures.csv, label: unit}").replace("side: left", "cycles: 3")
    text = text.replace("data:\n  published: figures.csv\n", "").replace("published: published.cycles", "published: cycles")
    found = load_evidence(written(tmp_path, text, "# remark\nunit,cycles\na,3\nb,4\n"))
    assert [str(case) for case in found.cases_of(found.rows[0])] == ["1K, a", "4K, a"]
    numbered = text.replace("{table: figures.csv, label: unit}", "{table: figures.csv}")
    assert [str(case) for case in load_evidence(written(tmp_path, numbered, "unit,cycles\na,3\nb,4\n")).cases][:2] == ["1K, 1", "1K, 2"]


ROW = "  - {name: one, each: [size], where: {side: left}, value: x.latency.cycles, published: published.cycles, tolerance: 1 %}"
TABLE = "  published: figures.csv"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('title: "Mine"\n', "", "1:1: there is no 'title'; write 'title: …'"),
        ("kind: reproduction", "kind: reproducton", "4:7: the kind cannot be 'reproducton'; did you mean 'reproduction'?"),
        ("axes:", "axis:", "6:1: a file of evidence has no 'axis'; did you mean 'axes'?"),
        ("{twice: 2 * N}", "{twice: 2 *}", "5:14: formula '2 *' ends too early; write a number, a name or a parenthesis"),
        ("{twice: 2 * N}", "{mean: 2}", "5:7: 'mean' cannot be a name of 'let'; write letters, digits and _, and no function's name"),
        (
            "{twice: 2 * N}",
            "{twice: half * 4, half: twice / 4}",
            "5:14: 'half * 4' is made of itself, twice → half → twice; name numbers, paths and other constants",
        ),
        ("{twice: 2 * N}", "{twice: M}", "14:52: 'twice' asks; "),
        ("{left: {}, right: {}}", "{}", "10:9: the axis has no labels; write {1K: {shape.p: 1024}, …}"),
        ("N: 4096", "N-1: 4096", "9:25: 'N-1' is neither a setting nor a name; write shape.p: 1024, or P: 1024"),
        (
            TABLE,
            "  published: figure.csv",
            "12:14: there is no file 'figure.csv' beside this one; name a CSV file in the same folder or below it",
        ),
        (
            TABLE,
            "  published: ../figures.csv",
            "12:14: there is no file '../figures.csv' beside this one; name a CSV file in the same folder or below it",
        ),
        (TABLE, "  published: {file: figures.csv, axes: {unit: siz}}", "12:47: an axis cannot be 'siz'; did you mean 'size'?"),
        ("{workload: matmul}", "{arch: simple}", "15:6: run 'y' has no workload; write {workload: NAME, arch: NAME, mapping: NAME}"),
        ("{workload: matmul}", "{workload: matmul, time: 3}", "15:25: a run has no 'time'; did you mean 'tiles'?"),
        ("{name: one, ", "{", "17:5: a row has no name; write name: …"),
        ("tolerance: 1 %}", "tolerance: 1 mm}", "17:117: '1 mm' is no tolerance; write 1e-6, 0.5 %, '0.05 absolute' or exact"),
        (", tolerance: 1 %}", "}", "17:5: a row has no tolerance; write tolerance: 1e-6, or 0.5 %, or '0.05 absolute'"),
        ("each: [size]", "each: [sise]", "17:23: no axis or variable is called 'sise'; did you mean 'size'?"),
        ("{side: left}", "{side: lift}", "17:45: the axis side has no 'lift'; did you mean 'left'?"),
        ("{side: left}", "{M: 3}", "17:5: no axis or variable is called 'M'; known: N, side, size"),
        ("{side: left}", "{N: 3}", "17:5: no case is left for 'one'; check its 'where'"),
        ("where: {side: left}", "where: publishd", "17:38: a table cannot be 'publishd'; did you mean 'published'?"),
        ("value: x.latency", "value: z.latency", "17:59: 'z.latency.cycles' names an unknown 'z'; known: N, published, twice, x, y"),
        ("value: x.latency.cycles, ", "", "17:5: a row has no value; write value: FORMULA, or not_reproduced: WHY, or shown_by: COMMAND"),
        (
            "published: published.cycles, tolerance: 1 %",
            "tolerance: 1 %",
            "17:5: a row has nothing published; write published: NUMBER, or say what it is for under 'explanation'",
        ),
        ("tolerance: 1 %}", "expect: at least}", "17:114: 'at least' agrees with much, which is no reproduction; write kind: plausibility"),
        ("tolerance: 1 %}", "tolerance: 1 %, expect: nothing}", "17:117: a row that expects nothing is not judged; leave 'tolerance' out"),
        ("tolerance: 1 %}", "expect: nothing}", "17:5: a row expects nothing; say why under 'explanation'"),
        ("published: published.cycles", "published: [1, 2, 3]", "17:88: a range has a lowest and a highest figure; write [LOW, HIGH]"),
        (ROW, f"{ROW}\n{ROW}", "18:5: two rows are called 'one'; give each its own name"),
        ("each: [size], ", "table: true, ", "17:24: the row has one figure; write 'each', or leave 'table' out"),
    ],
)
def test_mistake_is_named_with_its_place(before: str, after: str, message: str, tmp_path: Path) -> None:
    assert before in RIGHT
    file = written(tmp_path, RIGHT.replace(before, after))
    if message.endswith("asks; "):  # settings are worked out when they are asked for
        from accelsim.commands.reproducing import command_of

        found = load_evidence(file)
        with pytest.raises(InputError) as error:
            command_of(found, found.runs["x"], found.cases[0], "latency")
        assert "'M' names an unknown 'M'" in str(error.value)
        return
    with pytest.raises(InputError) as error:
        load_evidence(file)
    assert str(error.value) == f"{file}:{message}"


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ("size,cycles\n", ": the table has no rows; write a line of names and lines of figures"),
        ("size,cycles\n1K,3\n1K,4\n", ": two rows are of 1K; remove one of the two"),
        ("size,cycles\n1K,3,4\n", ":2:1: 3 cells in a table of 2 columns; write one cell for each column"),
        ("size,size\n1K,3\n", ":1:1: columns need names that differ; name each column in the first line"),
    ],
)
def test_table_that_cannot_be_read(figures: str, message: str, tmp_path: Path) -> None:
    file = written(tmp_path, figures=figures)
    with pytest.raises(InputError) as error:
        load_evidence(file)
    assert str(error.value) == f"{tmp_path / 'figures.csv'}{message}"


def test_cells_are_numbers_where_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('n,x,word,empty\n3,1e-6,"a, b",\n')
    assert load_rows(tmp_path / "a.csv") == [{"n": 3, "x": 1e-6, "word": "a, b", "empty": ""}]
