"""`--draw` of commands writes the drawing of what they found."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.cli import main

SWEEP = """
sweep: tiny
workload: matmul
arch: simple
set: {shape.m: 8, shape.n: 8, shape.k: 8}
vary:
  arch.MainMemory.bandwidth: [50 GB/s, 100 GB/s]
"""


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return str(path)


def test_explore_draws_the_front_of_a_sweep(sweep: str, tmp_path: Path) -> None:
    assert main(["explore", sweep, "-q", "--workers", "1", "--draw", str(tmp_path / "front.svg")]) == 0
    text = (tmp_path / "front.svg").read_text(encoding="utf-8")
    assert ">tiny<" in text and ">latency_s<" in text and ">energy_j<" in text


def test_explore_draws_the_tornado_of_a_point(sweep: str, tmp_path: Path) -> None:
    command = ["explore", sweep, "-q", "--workers", "1", "--sensitivity", "2", "--at", "1"]
    assert main([*command, "--draw", str(tmp_path / "tornado.svg")]) == 0
    text = (tmp_path / "tornado.svg").read_text(encoding="utf-8")
    assert ">tiny: down and up by 2, prices to their low and high<" in text and "arch.MainMemory.bandwidth = 100 GB/s" in text


def test_explore_says_in_one_line_what_it_cannot_draw(sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(sweep).write_text(SWEEP + "front: [latency_s]\n", encoding="utf-8")
    assert main(["explore", sweep, "-q", "--workers", "1", "--draw", str(tmp_path / "front.png")]) == 2
    assert capsys.readouterr().err == "tiny has a front in latency_s alone; a drawing needs two figures in its 'front'\n"
