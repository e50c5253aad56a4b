"""Fronts over stored elements: against the front of all nests that plain loops list."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Memory
from accelsim.mapper import stored_nest as nests
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapper.stored_front import stored_front
from accelsim.mapping.tree import Fuse, Held, Keep, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.workload.build import cascade as built
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import Storage
from tests.mapper.test_stored import LAYER, SMALL, asked, elements, fits, machine, run
from tests.mapper.test_stored_cascade import branches, pair


def front_of(made: Cascade, target: Architecture, stored: dict[str, Any], figures: tuple[str, ...], *listed: list[list[Any]]) -> set[Any]:
    """Values of all combinations of branches that fit, each counted as a whole, that no other is as good as in every figure."""
    evaluator, values = Evaluator(made, target), set()
    everything = Keep("Main", tuple(Held(name) for name in made.tensors))
    for chosen in product(*listed):
        inside = chosen[0] if len(chosen) == 1 else [Fuse("sequential", tuple(map(tuple, chosen)))]
        try:
            found = evaluate_stored(evaluator, Mapping("plain", (everything, *inside)), stored)
        except AccelsimError:
            continue
        if fits(found):
            values.add(tuple(OBJECTIVES[figure].value(found.evaluation) for figure in figures))
    beaten = {one for one in values for other in values if other != one and all(b <= a for a, b in zip(one, other, strict=True))}
    return values - beaten


def slow_buffer(target: Architecture) -> Architecture:
    """A buffer that takes less energy and more time than the memory above it."""
    (buffer,) = target.root.feeds
    assert isinstance(buffer, Memory)
    rate = Fraction(3 * 10**9)
    return replace(target, root=replace(target.root, feeds=(replace(buffer, read_bits_per_s=rate, write_bits_per_s=rate),)))


@pytest.mark.slow
@pytest.mark.parametrize("figures", [("latency", "energy"), ("energy", "latency", "traffic")])
def test_front_of_an_einsum_is_that_of_all_nests(figures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    types = {"default": "int8", "Z": {"partial": "int32", "final": "int32"}}
    made = built("vector", ["Z[m] = A[m,k] * B[k]"], {"m": 3, "k": 5}, types=types)
    csr = {"A": Storage(("uncompressed", "compressed"), 3, 5), "B": Storage(("compressed",), 3, 5)}
    made = replace(made, tensors=made.tensors | {name: replace(made.tensors[name], storage=each) for name, each in csr.items()})
    stored = {"A": elements(1, (3, 5), 0.5), "B": np.array([[0, 2, 3]])}
    target = slow_buffer(machine(70, rate=12))
    found = stored_front(made, target, stored, figures, asked())
    wanted = front_of(made, target, stored, figures, list(branches("Z", "mk", "ABZ")))
    assert found.complete and len(wanted) > 1
    assert sorted(point.values for point in found.points) == [pytest.approx(each, rel=1e-9) for each in sorted(wanted)]


@pytest.mark.slow
def test_front_of_two_einsums_is_that_of_all_pairs_of_nests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    made, target = pair("T[m] = A[m] * 2", "Z[m] = T[k] * C[k,m]", {"m": 3, "k": 3}, "ATC"), slow_buffer(machine(60, 12))
    stored = {"A": np.array([[0, 1, 2]]), "C": elements(4, (3, 3), 0.7)}
    found = stored_front(made, target, stored, ("latency", "energy"), asked())
    listed = [list(branches("T", "m", "AT")), list(branches("Z", "mk", "TCZ"))]
    wanted = front_of(made, target, stored, ("latency", "energy"), *listed)
    assert found.complete and len(wanted) > 1
    assert sorted(point.values for point in found.points) == [pytest.approx(each, rel=1e-9) for each in sorted(wanted)]


def test_front_that_is_not_listed_is_said_to_be_of_what_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nests, "BUDGET", 150)
    monkeypatch.setattr(nests, "MOST_LISTED", 10)
    Path("layer.yaml").write_text(LAYER)
    Path("small.yaml").write_text(SMALL.replace("SIZE", "24 B"))
    code, text = run(capsys, "map", "layer.yaml", "--arch", "small.yaml", "--pareto", "energy,latency", "-o", ".", "--json", "front.json")
    assert code == 0 and "of those that were counted; others may beat" in " ".join(text.split()), text
    document = json.loads(Path("front.json").read_text())
    assert not document["complete"] and document["space"] == "nests with tiles of every size that is tried"
    for number, point in enumerate(document["points"], 1):
        given = ("--arch", "small.yaml", "--mapping", f"layer-{number}.yaml", "--json", "one.json")
        code, text = run(capsys, "evaluate", "layer.yaml", *given)
        again = json.loads(Path("one.json").read_text())
        assert code == 0 and (again["energy_pj"], again["latency"]["cycles"]) == (point["values"]["energy"], point["values"]["latency"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pareto", "energy,capacity"), "over stored elements a front has latency, energy and traffic; leave capacity out"),
        (("--pareto", "energy,latency", "--formats"), "--pareto and --formats do not go together; leave one of the two out"),
        (("--pareto", "energy,latency", "--objective", "edp"), "--objective says nothing about a front; leave --objective out"),
    ],
)
def test_fronts_that_are_not_drawn_are_refused_in_a_line(
    options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("layer.yaml").write_text(LAYER)
    Path("small.yaml").write_text(SMALL.replace("SIZE", "24 B"))
    code, text = run(capsys, "map", "layer.yaml", "--arch", "small.yaml", *options)
    assert code == 2 and message in text and len(text.strip().splitlines()) == 1, text
