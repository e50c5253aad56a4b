"""Sweeps of models as they are served: every row is what `accelsim map` says with the same phase, batch, context and tokens."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.explore.sweep import Sweep
from accelsim.explore.sweeping import explore
from accelsim.io.sweep import load_sweep
from accelsim.io.sweep_table import read_row

MODEL = """workload: tiny
shape: {b: 1, p: 4, m: 4, d: 8, e: 4}
serving: {batch: b, tokens: p, context: m}
layers:
  - {name: project, times: 3, einsums: ['Y[b,p,e] = X[b,p,d] * W[d,e]']}
  - {name: scores, times: 3, einsums: ['S[b,p,m] = Q[b,p,e] * K[b,m,e]']}
"""
HEAD = "sweep: s\nworkload: tiny.yaml\narch: simple\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(MODEL)
    return tmp_path


def loaded(folder: Path, text: str) -> Sweep:
    (folder / "s.yaml").write_text(HEAD + text)
    return load_sweep(Path("s.yaml"))


def test_every_row_of_a_served_model_is_what_its_command_says(folder: Path) -> None:
    (folder / "s.yaml").write_text(f'{HEAD}tokens: 2\nvary:\n  phase: [decode, both]\n  batch: [1, 2]\n  context: "= 8 * batch"\n')
    assert main(["explore", "s.yaml", "-o", "t.parquet", "--workers", "1", "-q"]) == 0
    seen = set()
    for number in range(4):
        row = read_row("t.parquet", number)
        words = shlex.split(row["command"])
        batch = int(row["batch"])
        assert words[:2] == ["accelsim", "map"] and f"--batch {batch} --context {8 * batch} --tokens 2" in row["command"]
        assert main([*words[1:], "--workers", "1", "--json", "one.json", "-q"]) == 0
        found = json.loads((folder / "one.json").read_text())
        assert (found["serving"]["batch"], found["serving"]["context"], found["serving"]["tokens"]) == (batch, 8 * batch, 2)
        assert [phase["name"] for phase in found["phases"]] == (["decode"] if row["phase"] == "decode" else ["prefill", "decode"])
        assert row["cycles"] == sum(each["times"] * each["evaluation"]["latency"]["cycles"] for each in found["layers"])
        assert row["energy_pj"] == pytest.approx(found["energy_pj"], rel=1e-12)
        seen.add(row["cycles"])
    assert len(seen) == 4


def test_options_of_serving_are_part_of_the_key_however_they_are_written(folder: Path) -> None:
    sweep = loaded(folder, "vary:\n  phase: [prefill, decode]\n  batch: [1, 2]\n  context: [512, 1024]\n")
    assert len({sweep.cases.key(point) for point in sweep.points()}) == 8
    written = loaded(folder, "phase: decode\nvary:\n  context: [1k]\n")
    plain = loaded(folder, "phase: decode\nvary:\n  context: [1024]\n")
    keys = [each.cases.key(next(each.points())) for each in (written, plain)]
    assert keys[0] == keys[1]


def test_searches_of_a_served_model_have_the_limit_that_the_command_has(folder: Path) -> None:
    limits = []
    for text in ("batch: 2\n", "batch: 2\ntime_limit: 7\n", ""):
        sweep = loaded(folder, text + "vary:\n  arch.clock: [1 GHz]\n")
        limits.append(sweep.cases.case(next(sweep.points())).request.time_limit)
    assert limits == [5.0, 7.0, None]


def test_model_that_does_not_fit_is_a_row_that_says_so(folder: Path) -> None:
    """Of 8 tokens, two sequences read 128 words and 32 weights and make 64, 448 B of two bytes each; one has 256 B."""
    text = "phase: prefill\ncontext: 8\nvary:\n  batch: [1, 2]\n  arch.MainMemory.size: [256 B, 1 MiB]\n"
    rows = [row for _, row in explore(loaded(folder, text)).rows()]
    assert [row.status for row in rows] == ["ok", "ok", "refused", "ok"]
    says = "MainMemory of simple holds 256 B, and prefill-project alone reads and makes 448 B; take a smaller batch or context"
    assert rows[2].why.startswith(says)
    with pytest.raises(InputError, match=r"s\.yaml:\d+:26: arch\.MainMemory\.size = 255 B: MainMemory of simple holds 255 B"):
        loaded(folder, text.replace("256 B", "255 B"))


def test_front_of_a_served_model_may_be_in_its_context(folder: Path) -> None:
    sweep = loaded(folder, "phase: decode\nfront: [latency_s, context]\nvary:\n  context: [8, 16]\n")
    assert sweep.front == ("latency_s", "context")
    with pytest.raises(InputError, match=r"front: 'phase' is no figure"):
        loaded(folder, "front: [phase]\nvary:\n  phase: [decode, prefill]\n")
