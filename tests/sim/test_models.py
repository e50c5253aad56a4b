"""Whole models and phases of inference, end to end at a reduced width: mapped, simulated, and computed with real values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.hardware.architecture import Architecture
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper.best import Request
from accelsim.mapper.model import search_model
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.tree import Mapping
from accelsim.sim.ahead import filled_ahead
from accelsim.sim.layers import ModelSimulation, simulate_model
from accelsim.workload.cascade import Cascade, Model
from tests.sim.test_events import off

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "bert-base": {"p": 24, "m": 24, "d": 48, "h": 3, "e": 16, "f": 16, "s": 80, "o": 48},
    "mamba-130m": {"t": 20, "d": 24, "i": 48, "n": 4, "r": 6, "v": 50},
    "mamba-130m-step": {"b": 3, "d": 24, "i": 48, "n": 4, "r": 6, "v": 50},
    "llama3-8b": {"p": 6, "m": 30, "d": 64, "g": 2, "r": 2, "e": 16, "f": 16, "s": 96, "v": 80},
}


def load(name: str, shape: dict[str, int]) -> Model:
    found = load_workload(ROOT / "workloads" / f"{name}.yaml", {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(found, Model)
    return found


@pytest.fixture(scope="module")
def machine() -> Architecture:
    return load_architecture(ROOT / "hw" / "arch" / "tpu_like.yaml")


def mapped(model: Model, machine: Architecture, tiles: str = "dividing") -> tuple[Mapping, ...]:
    """Good mappings, not the best: a search of two seconds a layer."""
    return search_model(model, machine, request=Request(objective_named("latency"), tiles=tiles, time_limit=2.0)).mappings


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_model_is_simulated_and_computes_what_the_interpreter_does(name: str, machine: Architecture) -> None:
    model = load(name, SMALL[name])
    mappings = mapped(model, machine, "any" if name == "llama3-8b" else "dividing")
    for ahead in (False, True):
        if ahead:
            mappings = tuple(filled_ahead(layer.cascade, machine, each) for layer, each in zip(model.layers, mappings, strict=True))
        found = simulate_model(model, machine, mappings, check=5)
        assert all(each.agrees for each in found.values) and len(found.values) == len(model.layers)
        assert found.cycles == sum(layer.times * each.cycles for layer, each in zip(model.layers, found.layers, strict=True))
        for done in found.layers:
            assert off(done) == {}
            assert done.ticks >= done.evaluation.timing.steady
            for unit in done.units.values():
                assert unit.total == done.evaluation.evaluator.clock.cycles(done.ticks)


def _alike(one: Cascade, other: Cascade) -> bool:
    return replace(one, name="", source="") == replace(other, name="", source="")


@pytest.mark.slow
def test_phases_add_up_to_what_their_steps_take(machine: Architecture, tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(
        "workload: chat\nphases:\n"
        "  - {name: prefill, use: llama3-8b, shape: {p: 6, m: 6, d: 64, g: 2, r: 2, e: 16, f: 16, s: 96, v: 80}}\n"
        "  - name: decode\n    use: llama3-8b\n    shape: {b: 2, p: 1, d: 64, g: 2, r: 2, e: 16, f: 16, s: 96, v: 80}\n"
        "    grows: {rank: m, from: 7, to: 12, every: 4}\n    tokens: b\n"
    )
    model = load_workload(tmp_path / "chat.yaml")
    assert isinstance(model, Model)
    mappings = mapped(model, machine)
    found = simulate_model(model, machine, mappings)
    one_by_one = 0.0
    for size in range(7, 13):  # the decode steps, each simulated by itself
        rounded = -(-size // 4) * 4
        step = load("llama3-8b", {"b": 2, "p": 1, "m": rounded, "d": 64, "g": 2, "r": 2, "e": 16, "f": 16, "s": 96, "v": 80})
        ways = [
            next(way for other, way in zip(model.layers, mappings, strict=True) if _alike(other.cascade, layer.cascade))
            for layer in step.layers
        ]
        one_by_one += simulate_model(step, machine, ways).seconds
    prefill, decode = found.inference()["phases"]
    assert decode["seconds"] == pytest.approx(one_by_one, rel=1e-12)
    assert (decode["steps"], decode["tokens"]) == (6, 12)
    assert prefill["seconds"] == found.inference()["inference"]["seconds_to_first_token"]
    assert prefill["seconds"] + decode["seconds"] == pytest.approx(found.seconds)
    assert decode["energy_pj_per_token"] == pytest.approx((found.energy.value - prefill["energy_pj"]) / 12)


@pytest.mark.slow
def test_layers_that_are_alike_are_simulated_once(machine: Architecture, tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(
        "workload: twice\nshape: {m: 8, n: 8, k: 8}\nlayers:\n  - {use: matmul, name: a}\n  - {use: matmul, name: b, times: 3}\n"
    )
    model = load_workload(tmp_path / "twice.yaml")
    assert isinstance(model, Model)
    said: list[str] = []
    found: ModelSimulation = simulate_model(model, machine, mapped(model, machine), tell=said.append)
    assert len(said) == 1 and found.layers[0] is found.layers[1]
    assert found.cycles == 4 * found.layers[0].cycles
