"""The verbs that run something, from Python: sweeps, simulations, faults and served models, each as its command has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io.sweep_table import read_row

SHAPE = {"shape.m": 16, "shape.n": 16, "shape.k": 16}
SETS = [word for path, size in SHAPE.items() for word in ("--set", f"{path}={size}")]
TINY: dict[str, str | int | float] = {f"shape.{rank}": size for rank, size in zip("dgrefsv", (64, 2, 2, 16, 16, 96, 80), strict=True)}
TINY["constants.BLOCKS"] = 2
SWEEP = """sweep: small
workload: matmul
arch: simple
set: {shape.n: 16, shape.k: 16}
vary:
  shape.m: [8, 16]
  arch.MainMemory.bandwidth: [10 GB/s, 40 GB/s]
"""
CAMPAIGN = """campaign: small
workload: matmul
arch: systolic128
stationary: B
set:
  shape.m: 4
  shape.n: 4
  shape.k: 4
  type.default: int8
  type.Z.partial: int32
  type.Z.final: int8
  arch.rows.size: 4
  arch.columns.size: 4
inputs: {draw: uniform, seed: 0}
faults: {in: [operands, sums]}
sample: {faults: 200}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(*words: str) -> Any:
    """The JSON of a command."""
    assert main([*words, "-q", "--json", "told.json"]) == 0
    return json.loads(Path("told.json").read_text())


def test_explore_gives_the_rows_of_the_command_and_of_map(folder: Path) -> None:
    (folder / "s.yaml").write_text(SWEEP)
    found = accelsim.explore("s.yaml", output="python.csv", store="kept.sqlite")
    rows = {point.values: row for point, row in found.rows()}
    on_front = {point.number for point, _ in found.front()}
    found.close()
    assert (found.new, found.known, found.interrupted) == (4, 0, False)
    assert main(["explore", "s.yaml", "-o", "command.csv", "-q"]) == 0
    assert (folder / "python.csv").read_bytes() == (folder / "command.csv").read_bytes()
    assert {at for at in range(4) if str(read_row("command.csv", at)["on_front"]).lower() == "true"} == on_front
    for (m, bandwidth), row in rows.items():
        settings = {"shape.n": 16, "shape.k": 16, "shape.m": m, "arch.MainMemory.bandwidth": bandwidth}
        mapped = accelsim.map("matmul", "simple", settings=settings)
        assert (row.cycles, row.energy_pj) == (mapped.evaluation.cycles, mapped.evaluation.energy_pj)  # type: ignore[union-attr]
    again = accelsim.explore(accelsim.load("s.yaml", "sweep"), store="kept.sqlite")
    assert (again.new, again.known) == (0, 4) and [row for _, row in again.rows()] == list(rows.values())
    again.close()


def test_explore_takes_settings_for_what_is_given_by_name_alone(folder: Path) -> None:
    (folder / "s.yaml").write_text(SWEEP)
    found = accelsim.explore("s.yaml", settings={"shape.m": 8})
    assert [point.values for point, _ in found.rows()] == [("10 GB/s",), ("40 GB/s",)]
    found.close()
    with pytest.raises(InputError) as caught:
        accelsim.explore(accelsim.load("s.yaml", "sweep"), settings={"shape.m": 8})
    assert str(caught.value) == "settings change what is given by name, and this sweep is given whole; give them to load"
    with pytest.raises(InputError, match=r"asks for 4 points \(2 x 2\), more than 3"):
        accelsim.explore("s.yaml", most=3)
    with pytest.raises(InputError, match=r"table\.txt"):
        accelsim.explore("s.yaml", output="table.txt")


def test_simulate_runs_what_map_finds_and_what_is_given(folder: Path) -> None:
    found = accelsim.map("matmul", "simple", settings=SHAPE)
    assert isinstance(found.mapping, accelsim.Mapping)  # type: ignore[union-attr]
    accelsim.save(found.mapping, "mapping.yaml")  # type: ignore[union-attr]
    by_itself = accelsim.simulate("matmul", "simple", settings=SHAPE)
    given = accelsim.simulate("matmul", "simple", "mapping.yaml", settings=SHAPE, events=3)
    known = told("simulate", "matmul", "--arch", "simple", "--mapping", "mapping.yaml", *SETS)
    assert by_itself.cycles == given.cycles == known["latency"]["cycles"]
    assert len(given.events) == 3 and by_itself.events == ()  # type: ignore[union-attr]
    ahead = accelsim.simulate("matmul", "simple", "mapping.yaml", settings=SHAPE, ahead=True)
    known = told("simulate", "matmul", "--arch", "simple", "--mapping", "mapping.yaml", "--ahead", *SETS)
    assert ahead.cycles == known["latency"]["cycles"]


def test_simulate_runs_the_layers_of_a_model_one_after_the_other(folder: Path) -> None:
    (folder / "two.yaml").write_text(
        "workload: two\nshape: {m: 8, k: 4, n: 6}\nlayers:\n"
        "  - {name: first, einsums: ['Y[m,n] = X[m,k] * W[k,n]']}\n  - {name: second, times: 2, einsums: ['Z[m,k] = Y[m,n] * V[n,k]']}\n"
    )
    whole = accelsim.simulate("two.yaml", "simple")
    model = accelsim.load("two.yaml", "workload")
    assert isinstance(model, accelsim.Model)
    each = [accelsim.simulate(layer.cascade, "simple").cycles for layer in model.layers]
    assert whole.cycles == each[0] + 2 * each[1]


def test_inject_counts_what_the_command_counts_and_goes_on_from_what_it_kept(folder: Path) -> None:
    (folder / "c.yaml").write_text(CAMPAIGN)
    found = accelsim.inject("c.yaml", output="faults.sqlite")
    known = told("inject", "c.yaml")
    from accelsim.report.campaign import document

    mine = json.loads(json.dumps(document(found)))
    assert mine == known and mine["injected"] == sum(row["injected"] for row in mine["strata"]) > 0
    again = json.loads(json.dumps(document(accelsim.inject(accelsim.load("c.yaml", "campaign"), output="faults.sqlite"))))
    assert again == mine
    with pytest.raises(InputError) as caught:
        accelsim.inject(accelsim.load("c.yaml", "campaign"), settings={"shape.m": 2})
    assert str(caught.value) == "settings change what is given by name, and this campaign is given whole; give them to load"


def test_map_serves_a_model_as_the_command_does(folder: Path) -> None:
    found = accelsim.map("gated-decoder", "simple", phase="decode", batch=2, context="8", time_limit=0.2, settings=TINY)
    sets = [word for path, value in TINY.items() for word in ("--set", f"{path}={value}")]
    served = ["--phase", "decode", "--batch", "2", "--context", "8", "--time-limit", "0.2", "--workers", "1"]
    known = told("map", "gated-decoder", "--arch", "simple", *served, *sets)
    assert found.evaluation.cycles == sum(each["times"] * each["evaluation"]["latency"]["cycles"] for each in known["layers"])
    assert [phase.name for phase in found.evaluation.model.phases] == ["decode"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"phase": "decod"}, "--phase decod: not a phase; did you mean 'decode'?"),
        ({"batch": 0}, "--batch '0' is not a whole number from 1; write digits, as in --batch 32"),
        ({"phase": "prefill", "tokens": 2}, "--tokens are made by steps of decoding, and --phase is prefill; leave one of the two out"),
    ],
)
def test_what_cannot_be_served_is_refused(options: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        accelsim.map("gated-decoder", "simple", settings=TINY, **options)
    assert str(caught.value) == says


def test_only_what_is_named_can_be_served() -> None:
    with pytest.raises(InputError) as caught:
        accelsim.map(accelsim.load("matmul", "workload"), "simple", batch=2)  # type: ignore[call-overload]
    assert str(caught.value) == "batch is of a model that is given by name, and matmul is given whole; give its name"
