"""The report of a model: its layers, each as often as it is used, add up."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.io.catalogue import WORKLOAD, resolve
from accelsim.io.workload import load_workload
from accelsim.report.model import model_blocks, model_document
from accelsim.report.terminal import show
from accelsim.workload.cascade import Layer, Model

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parent / "evaluation.json").read_text(encoding="utf-8"))


def sample_model(*times: int) -> Model:
    """A model of one cascade used several times over."""
    cascade = load_workload(resolve("matmul", WORKLOAD))
    assert not isinstance(cascade, Model)
    return Model("stack", tuple(Layer(cascade, each) for each in times))


def test_layers_count_as_often_as_they_are_used() -> None:
    document = model_document(sample_model(2, 3), [SAMPLE, SAMPLE])
    # by hand: five times the sample
    assert document["cycles"] == 5 * 6815999
    assert document["seconds"] == pytest.approx(5 * 0.007251063)
    assert document["energy_pj"] == 5 * 412345678901.0


def test_whole_model_comes_before_its_layers() -> None:
    out = io.StringIO()
    show(model_blocks(model_document(sample_model(2, 3), [SAMPLE, SAMPLE]), ["for m: 1", "for n: 1"]), out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "stack on spatial: 34,079,995 cycles, 36.3 ms, 2.06 J (1.49 J to 2.76 J)."
    assert [" ".join(line.split()) for line in lines[4:6]] == [
        "attention PE1D 2 6,815,999 40.0 % 412 mJ",
        "attention PE1D 3 6,815,999 60.0 % 412 mJ",
    ]
    assert lines.index("for m: 1") < lines.index("for n: 1")


@pytest.mark.parametrize("option", [["-o", "best.yaml"], ["--draw", "best.png"]])
def test_one_mapping_of_a_model_cannot_be_saved(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["map", "transformer-layer", "--arch", "spatial", *option]) == 2
    what = " ".join(option)
    assert capsys.readouterr().err == f"{what}: 'transformer-layer' is a model of several cascades; map one of them by itself\n"
