"""Real evaluations keep the contract, and their parts add up."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from accelsim.cli import main
from accelsim.io.catalogue import MAPPING, shipped
from accelsim.report.schema import evaluation_schema
from tests.fuzz.test_shipped_files import companions


@pytest.fixture(params=list(shipped(MAPPING)))
def document(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON of a shipped mapping for a workload and a machine that it is legal for."""
    path = shipped(MAPPING)[request.param]
    found = companions(path)
    assert found is not None, f"{path} is legal for no shipped workload on any shipped machine"
    assert main([*found.evaluate(path), "--json", "-"]) == 0
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


def test_evaluation_keeps_the_contract(document: dict[str, Any]) -> None:
    jsonschema.validate(document, evaluation_schema())


def test_energy_of_components_and_of_einsums_adds_up(document: dict[str, Any]) -> None:
    dynamic = document["energy_pj"] - document["static_energy_pj"]
    for section in ("components", "einsums"):
        assert sum(row["energy_pj"] for row in document[section].values()) == pytest.approx(dynamic, rel=1e-9)


def test_nothing_is_below_its_bound(document: dict[str, Any]) -> None:
    outermost = next(iter(document["traffic"].values()))
    assert outermost["read_bytes"] + outermost["write_bytes"] >= document["bounds"]["compulsory_bytes"]
    assert document["latency"]["cycles"] >= document["bounds"]["min_cycles"]
    rounding = 1 + 1e-12  # sums of the same prices in another order
    assert document["energy_pj_low"] <= document["energy_pj"] * rounding and document["energy_pj"] <= document["energy_pj_high"] * rounding


def test_latency_is_fill_steady_and_drain_rounded_up(document: dict[str, Any]) -> None:
    latency = document["latency"]
    parts = latency["fill_cycles"] + latency["steady_cycles"] + latency["drain_cycles"]
    assert parts - 1e-6 <= latency["cycles"] < parts + 1
