"""`accelsim simulate` on the command line: report, JSON, trace, timeline, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accelsim.cli import main

TILES = """\
mapping: tiles
tree:
  - keep MainMemory: [A, B, Z]
  - for m: 16
  - keep GlobalBuffer: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""
SHAPE = ["--set", "shape.m=64", "--set", "shape.n=32", "--set", "shape.k=32"]


@pytest.fixture
def tiles(tmp_path: Path) -> str:
    path = tmp_path / "tiles.yaml"
    path.write_text(TILES)
    return str(path)


def test_the_report_says_how_long_it_takes_and_what_the_unit_waits_for(tiles: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE]) == 0
    said = capsys.readouterr().out
    assert "more than the model's" in said and "for a load: A to GlobalBuffer" in said


def test_the_json_accounts_for_every_cycle_of_the_unit(tiles: str, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert main(["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE, "-q", "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    unit = found["units"]["MAC"]
    spent = sum(unit["busy_cycles"].values()) + sum(wait["cycles"] for wait in unit["waits"]) + unit["drain_cycles"]
    assert found["schema"] == "accelsim/simulation/1"
    assert spent == pytest.approx(found["latency"]["cycles"], abs=1)


def test_the_trace_holds_every_firing_and_none_ends_before_it_begins(tiles: str, tmp_path: Path) -> None:
    target = tmp_path / "trace.json"
    assert main(["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE, "-q", "--trace", str(target)]) == 0
    found = json.loads(target.read_text())["traceEvents"]
    tracks = {event["tid"]: event["args"]["name"] for event in found if event["name"] == "thread_name"}
    events = [event for event in found if event["ph"] == "X"]
    for track in ("MAC", "GlobalBuffer"):  # the unit, and the port that it reads its operands from
        firings = [event["args"]["firing"] for event in events if event["name"] == "Z" and tracks[event["tid"]] == track]
        assert sorted(firings) == [0, 1, 2, 3]
    assert all(event["dur"] > 0 for event in events)


def test_the_timeline_is_drawn(tiles: str, tmp_path: Path) -> None:
    target = tmp_path / "line.png"
    assert main(["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE, "-q", "--draw", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_tiles_that_are_filled_ahead_save_time(tiles: str, tmp_path: Path) -> None:
    cycles = []
    for options in ([], ["--ahead"]):
        target = tmp_path / "out.json"
        assert main(["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE, "-q", "--json", str(target), *options]) == 0
        cycles.append(json.loads(target.read_text())["latency"]["cycles"])
    assert cycles[1] < cycles[0]


def test_values_are_compared_with_the_interpreter(tiles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.json"
    command = ["simulate", "matmul", "--arch", "simple", "--mapping", tiles, *SHAPE, "--check", "--seed", "3"]
    assert main([*command, "--json", str(target)]) == 0
    found = json.loads(target.read_text())["values"]
    assert (found["agrees"], found["words"], found["unbounded"], found["seed"]) == (True, 64 * 32, 0, 3)
    assert 0 < found["worst"]["error"] <= found["worst"]["bound"]
    assert main(command) == 0
    assert "largest error" in capsys.readouterr().out


def test_sums_that_leave_their_type_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "sum.yaml"
    work.write_text("workload: sum\nshape: {m: 3, k: 400}\ntype: {default: int8}\neinsums:\n  - Z[m] = A[m,k] * B[k]\n")
    mapping = tmp_path / "whole.yaml"
    mapping.write_text("mapping: whole\ntree:\n  - keep MainMemory: [A, B, Z]\n  - {einsum: Z, unit: MAC}\n")
    assert main(["simulate", str(work), "--arch", "simple", "--mapping", str(mapping), "--check", "--seed", "1"]) == 1
    assert "integers differ: Z[" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["matmul", "--arch", "simple", "--set", "mapping.let.x=3"], "--set mapping.let.x"),
        (["matmul"], "simulate needs a machine; add --arch"),
        (["matmul", "--arch", "simple", "--mapping", "attention-flat", "--seed", "x"], "--seed 'x' is not a whole number"),
        (["matmul", "--arch", "simple", "--mapping", "nothing"], "there is no mapping 'nothing'"),
        (["transformer-layer", "--arch", "simple", "--mapping", "x"], "transformer-layer is a model, and each of its layers has its own"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("workload", ["matmul", "mamba-130m-step"])
def test_without_a_mapping_it_runs_what_the_mapper_finds(workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [] if workload != "matmul" else ["--set", "shape.m=64", "--set", "shape.n=64", "--set", "shape.k=64"]
    output = tmp_path if workload != "matmul" else tmp_path / "found.yaml"
    assert main(["map", workload, "--arch", "simple", *small, "-o", str(output), "-q"]) == 0
    documents = []
    for mapping in ([], ["--mapping", str(output)]):
        assert main(["simulate", workload, "--arch", "simple", *small, *mapping, "--json", "-", "-q"]) == 0
        documents.append(capsys.readouterr().out)
    assert documents[0] == documents[1] != ""


MODEL = """\
workload: twice
shape: {m: 32, n: 16, k: 16}
phases:
  - {name: first, use: matmul}
  - {name: rest, use: matmul, steps: 7, tokens: m}
"""


def test_phases_are_simulated_with_a_mapping_each(tiles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, target = tmp_path / "twice.yaml", tmp_path / "out.json"
    work.write_text(MODEL)
    mapping = ["--mapping", f"first-matmul={tiles}", "--mapping", f"rest-matmul={tiles}"]
    command = ["simulate", str(work), "--arch", "simple", *mapping]
    assert main([*command, "--json", str(target), "-q", "--check"]) == 0
    found = json.loads(target.read_text())
    assert found["schema"] == "accelsim/model-simulation/1"
    one = found["layers"][0]["simulation"]["latency"]["cycles"]
    assert found["latency"]["cycles"] == 8 * one and [layer["times"] for layer in found["layers"]] == [1, 7]
    assert found["inference"]["tokens"] == 1 + 7 * 32
    assert found["inference"]["seconds_to_first_token"] * 8 == pytest.approx(found["latency"]["seconds"])
    assert all(layer["simulation"]["values"]["agrees"] for layer in found["layers"])
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "225 tokens, the first after" in said and "rest-matmul" in said
    assert main([*command, "--trace", str(target)]) == 2
    assert "each of its layers has its own trace; add --layer NAME" in capsys.readouterr().err
    assert main([*command, "--layer", "rest-matmul", "--trace", str(target)]) == 0
    assert "what the unit" not in capsys.readouterr().err and json.loads(target.read_text())["traceEvents"]
    assert main([*command, "--layer", "rest"]) == 2
    assert "has no such layer" in capsys.readouterr().err
    assert main(["run", str(work)]) == 2
    assert "has phases of inference, which are not run" in capsys.readouterr().err
