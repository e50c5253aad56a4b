"""`accelsim derive` and `accelsim map --explore-cascades` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.passes import passes
from accelsim.workload.transform.structure import structure
from tests.explore.test_cascades import LANES

SCAN = """workload: steps
shape: {t: 8}
type: {default: bf16, H: fp32}
einsums:
  - H[0]   = 0
  - H[t+1] = A[t] * H[t] + B[t]
  - Y[t]   = C[t] * H[t+1]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lanes.yaml").write_text(LANES, encoding="utf-8")
    (tmp_path / "steps.yaml").write_text(SCAN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_derived_workload_is_saved_and_loads_as_what_was_derived(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["derive", "attention-3pass", "--steps", "defer AV; stream m m1 m0 256", "-o", "one.yaml", "--name", "one", "--json", "-"])
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    made = load_workload(Path("one.yaml"))
    assert isinstance(made, Cascade) and made.name == "one"
    assert passes(made, "m").count == document["after"]["passes"]["m"] == 1 < document["before"]["passes"]["m"]
    assert document["elementary_steps"][1] == "split m m1 m0 256" and "split h" in document["applicable"]
    assert document["cascade"] == Path("one.yaml").read_text(encoding="utf-8")


def test_types_go_on_from_what_a_tensor_was_derived_from(folder: Path) -> None:
    assert main(["derive", "steps.yaml", "--steps", "chunk H", "-o", "chunks.yaml", "-q"]) == 0
    made = load_workload(Path("chunks.yaml"))
    assert isinstance(made, Cascade)
    assert {name for name, tensor in made.tensors.items() if tensor.final.name == "fp32"} == {"H", "LH", "GH", "SH"}


def test_best_cascade_and_its_mapping_are_saved_and_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "steps.yaml", "--arch", "lanes.yaml", "--explore-cascades", "-o", "best.yaml", "--json", "found.json"]) == 0
    shown = capsys.readouterr().out
    assert "as given" in shown and "chunk H" in shown
    document = json.loads(Path("found.json").read_text(encoding="utf-8"))
    best = document["cascades"][document["best"]]
    assert document["gain"] == document["cascades"][0]["result"]["value"] / best["result"]["value"]
    assert document["evaluation"]["schema"] == "accelsim/evaluation/1"
    assert main(["evaluate", "best.cascade.yaml", "--arch", "lanes.yaml", "--mapping", "best.yaml", "--json", "again.json", "-q"]) == 0
    again = json.loads(Path("again.json").read_text(encoding="utf-8"))
    assert again["latency"]["cycles"] == best["result"]["cycles"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["derive", "steps.yaml", "--steps", "chonk H"], "there is no step 'chonk'; did you mean 'chunk'?"),
        (["derive", "steps.yaml", "--steps", "chunk"], "step 'chunk' has 0 arguments; write chunk TENSOR [OUTER INNER [SIZE]]"),
        (["derive", "steps.yaml", "--steps", "chunk G"], "steps: no statement 'G'; known: H, H.init, Y"),
        (
            ["derive", "steps.yaml", "--steps", "chunk Y"],
            "steps.yaml:7:5: steps: 'Y' is no recurrence of a constant first slice and one step; name one such",
        ),
        (
            ["derive", "steps.yaml", "--steps", "split t"],
            "steps.yaml:6:5: steps: H is not written along 't' by that rank alone; split another rank",
        ),
        (
            ["derive", "steps.yaml", "--steps", "chunk H t1 t0 x"],
            "size 'x' is not a whole number from 1; write digits, or ~ to leave it open",
        ),
        (["derive", "steps.yaml", "--steps", "defer Y"], "steps.yaml:7:5: steps: Y reduces nothing; name a statement with a reduction"),
        (["derive", "bert-base"], "bert-base is a model of several layers; derive the workload of one of them"),
        (
            ["map", "steps.yaml", "--arch", "lanes.yaml", "--explore-cascades", "--compare"],
            "--explore-cascades and --compare do not go together; leave one of the two out",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == message


def test_file_of_a_cascade_loads_as_the_same_cascade() -> None:
    """Every shipped cascade, written and read again."""
    from dataclasses import replace

    from accelsim.io.catalogue import WORKLOAD, shipped
    from accelsim.io.source import parse
    from accelsim.io.workload import finder, read_workload
    from accelsim.io.workload_text import dump_workload

    for path in shipped(WORKLOAD).values():
        found = load_workload(path)
        for made in [found] if isinstance(found, Cascade) else [layer.cascade for layer in found.layers]:
            text = dump_workload(made)
            again = read_workload(parse(text, "again"), text, finder(Path("again")))
            assert isinstance(again, Cascade)
            assert structure(again) == structure(made)
            assert replace(again, einsums=()) == replace(made, einsums=())
            assert [each.name for each in again.einsums] == [each.name for each in made.einsums]
