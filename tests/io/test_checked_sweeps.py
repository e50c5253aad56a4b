"""`accelsim check` of sweep files: what a right one says, and one line about a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io.catalogue import SWEEP, shipped

GOOD = """sweep: small
workload: matmul
arch: simple
vary:
  shape.m: [32, 48]
  shape.n: "= shape.m"
  arch.GlobalBuffer.size: {log: [1 KiB, 16 KiB], points: 3}
keep:
  - power_w <= 5 W
"""
SAYS = [
    "6 points",
    "shape.m: 2 values, 32 to 48",
    "arch.GlobalBuffer.size: 3 values, 1 KiB to 16 KiB",
    "shape.n = shape.m",
    "keep power_w <= 5 W",
    "the front is of latency_s, energy_pj",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_right_sweep_says_how_many_points_of_what(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "s.yaml").write_text(GOOD)
    assert main(["check", "s.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == ["s.yaml: the sweep small is right", *SAYS]
    assert main(["check", "s.yaml", "--json", "-", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["says"].splitlines() == SAYS


def test_sweep_with_a_search_says_how_many_points_are_chosen(folder: Path) -> None:
    (folder / "s.yaml").write_text(GOOD.replace("points: 3", "points: 30") + "search: {evolutionary: 24, population: 8}\n")
    assert accelsim.check("s.yaml").says.splitlines()[0] == "24 points, chosen by evolutionary search"


def test_settings_are_in_place_of_what_varies(folder: Path) -> None:
    (folder / "s.yaml").write_text(GOOD)
    settings = {"shape.m": 64, "shape.n": 32}
    said = accelsim.check("s.yaml", settings=settings).says.splitlines()
    assert said == ["3 points", SAYS[2], *SAYS[4:]]
    assert accelsim.load("s.yaml", "sweep", settings=settings).asked == 3
    assert len(list(accelsim.load("s.yaml", "sweep").points())) == 6


@pytest.mark.parametrize(
    ("wrong", "right", "says"),
    [
        ("workload: matmull", "workload: matmul", "s.yaml:2:11: there is no workload 'matmull'; did you mean 'matmul'?"),
        ("kep:", "keep:", "s.yaml:8:1: a sweep has no 'kep'; did you mean 'keep'?"),
        ("shape.q:", "shape.m:", "s.yaml:6:12: shape.n: the formula 'shape.m' names an unknown 'shape.m'; did you mean 'shape.q'?"),
        ("{log: [16 KiB, 1 KiB], points: 3}", "{log: [1 KiB, 16 KiB], points: 3}",
         "s.yaml:7:27: arch.GlobalBuffer.size: from 16 KiB to 1 KiB is an empty range; write [1 KiB, 16 KiB]"),
        ("power_w <= 5 KiB", "power_w <= 5 W",
         "s.yaml:9:5: 'power_w <= 5 KiB' compares a number of W with a number of bit; give both sides the same unit"),
        ("arch: simpel", "arch: simple", "s.yaml:3:7: there is no machine 'simpel'; did you mean 'simple'?"),
    ],
)  # fmt: skip
def test_wrong_sweep_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], wrong: str, right: str, says: str
) -> None:  # fmt: skip
    assert GOOD.count(right) == 1
    (folder / "s.yaml").write_text(GOOD.replace(right, wrong))
    assert main(["check", "s.yaml"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", says + "\n")
    with pytest.raises(InputError) as caught:
        accelsim.check("s.yaml")
    assert str(caught.value) == says


@pytest.mark.parametrize("name", sorted(shipped(SWEEP)))
def test_shipped_sweep_is_right(name: str) -> None:
    checked = accelsim.check(shipped(SWEEP)[name])
    assert (checked.kind, checked.name) == ("sweep", name)
