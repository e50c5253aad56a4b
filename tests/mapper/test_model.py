"""Models from the command line: totals are sums over layers, equal layers are searched once, files and JSON keep their contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import accelsim.mapper.model as mapper
from accelsim.cli import main
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper.model import search_model
from accelsim.report.schema import evaluation_schema, faults, model_schema
from accelsim.workload.cascade import Model

CLOCK_HZ = 940e6
# The six products of an encoder layer (BERT, batch 64, 1K tokens), one by one. Published: FuseMax (MICRO 2024, arXiv 2406.10491),
# end2end-flat.csv of its public artifact; seconds and bytes off chip.
LINEAR = {"queries": (768, 768), "keys": (768, 768), "values": (768, 768), "output": (768, 768), "up": (768, 3072), "down": (3072, 768)}
PUBLISHED_SECONDS = 0.0075296680851063835
PUBLISHED_BYTES = 1826095104
PAIR = """\
workload: pair
shape: {k: 4}
layers:
  - {name: first, times: 2, shape: {m: 2, n: 3}, einsums: ['Z[m,n] = A[m,k] * B[k,n]']}
  - {name: second, times: 3, shape: {m: 5, n: 1}, einsums: ['Z[m,n] = A[m,k] * B[k,n]']}
"""
WHOLE = """\
mapping: all of it on chip
tree:
  - keep MainMemory: [A, B, Z]
  - keep GlobalBuffer: [A, B, Z]
  - {einsum: Z, unit: MAC, loops: [for m: 1, for n: 1, for k: 1]}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a model of two layers and a mapping that suits both."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pair.yaml").write_text(PAIR)
    (tmp_path / "whole.yaml").write_text(WHOLE)
    return tmp_path


def linear() -> str:
    """The six products as a workload: rows b p, features in d, features out o."""
    einsum = "O[b,p,o] = I[b,p,d] * W[d,o]"
    layers = [f"  - {{name: {name}, shape: {{d: {d}, o: {o}}}, einsums: ['{einsum}']}}" for name, (d, o) in LINEAR.items()]
    return "\n".join(["workload: linear", "shape: {b: 64, p: 1024}", "layers:", *layers])


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON that a command writes."""
    assert main([*arguments, "--json", "-"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def model_of(path: Path) -> Model:
    """The model in a file."""
    found = load_workload(path)
    assert isinstance(found, Model)
    return found


def test_mapper_reaches_the_published_latency_of_six_linear_layers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "linear.yaml").write_text(linear())
    document = evaluated(capsys, "map", "linear.yaml", "--arch", "unfused")
    seconds = document["latency"]["steady_cycles"] / CLOCK_HZ
    assert seconds <= PUBLISHED_SECONDS * (1 + 1e-12)
    assert seconds == pytest.approx(PUBLISHED_SECONDS, rel=1e-9)  # every multiplier is busy in every cycle: nothing is faster
    # by hand: rows x (in + out) activations and in x out weights of 2 bytes, read or written once
    rows = 64 * 1024
    assert document["bounds"]["compulsory_bytes"] == PUBLISHED_BYTES == sum(2 * (rows * (d + o) + d * o) for d, o in LINEAR.values())
    assert sum(document["traffic"]["DRAM"].values()) >= PUBLISHED_BYTES


def test_published_mapping_of_six_linear_layers_moves_every_word_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # rows of the activation on columns, output features on rows, reduction in time
    (here / "linear.yaml").write_text(linear())
    leaf = "{einsum: O, unit: PE2D, loops: [spatial col p: 1, spatial row o: 1, keep REG2D: [O], for d: 1, keep REG2D: [I, W]]}"
    tree = ["keep DRAM: [I, W, O]", "keep L3: [W]", "for b: 1", "for p: 256", "keep L3: [I, O]", "for o: 256", leaf]
    (here / "alone.yaml").write_text("\n".join(["mapping: alone", "tree:", *(f"  - {node}" for node in tree)]))
    named = [argument for name in LINEAR for argument in ("--mapping", f"{name}=alone.yaml")]
    document = evaluated(capsys, "evaluate", "linear.yaml", "--arch", "unfused", *named)
    assert document["latency"]["steady_cycles"] / CLOCK_HZ == pytest.approx(PUBLISHED_SECONDS, rel=1e-12)
    assert sum(document["traffic"]["DRAM"].values()) == PUBLISHED_BYTES


def test_layers_count_as_often_as_they_are_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--mapping", "first=whole.yaml", "--mapping", "second=whole.yaml")
    document = evaluated(capsys, "evaluate", "pair.yaml", "--arch", "simple", *both)
    # by hand: 2 x (2*4 + 4*3) + 3 x (5*4 + 4*1) words in, 2 x 2*3 + 3 x 5*1 words out, 2 bytes each; one multiply-add per cycle
    assert document["traffic"]["MainMemory"] == {"read_bytes": 2 * (2 * 20 + 3 * 24), "write_bytes": 2 * (2 * 6 + 3 * 5)}
    assert document["latency"]["steady_cycles"] == 2 * 24 + 3 * 20
    layers = [(layer["times"], layer["evaluation"]) for layer in document["layers"]]
    assert document["latency"]["cycles"] == sum(times * each["latency"]["cycles"] for times, each in layers)
    assert document["latency"]["seconds"] == pytest.approx(document["latency"]["cycles"] / 1e9)
    for figure in ("energy_pj", "energy_pj_low", "energy_pj_high", "static_energy_pj"):
        assert document[figure] == pytest.approx(sum(times * each[figure] for times, each in layers), rel=1e-12)
    assert document["edp_pj_s"] == pytest.approx(document["energy_pj"] * document["latency"]["seconds"], rel=1e-12)


def test_equal_layers_are_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = "einsums: ['Z[m,n] = A[m,k] * B[k,n]']"
    shapes = {"a": 8, "b": 8, "c": 4}
    layers = [f"  - {{name: {name}, shape: {{k: {k}}}, {matmul}}}" for name, k in shapes.items()]
    (tmp_path / "stack.yaml").write_text("\n".join(["workload: stack", "shape: {m: 8, n: 8}", "layers:", *layers]))
    searched: list[str] = []
    told: list[str] = []

    def counted(cascade: Any, *rest: Any, **options: Any) -> Any:
        searched.append(cascade.name)
        return found(cascade, *rest, **options)

    found = mapper.search
    monkeypatch.setattr(mapper, "search", counted)
    machine = load_architecture(resolve("simple", MACHINE))
    result = search_model(model_of(tmp_path / "stack.yaml"), machine, progress=told.append)
    assert searched == ["a", "c"]
    assert [mapping.name for mapping in result.mappings] == ["a on simple", "b on simple", "c on simple"]
    first, second, _ = result.evaluation.evaluations
    assert (first.cycles, first.energy_pj) == (second.cycles, second.energy_pj)
    assert second.search is not None and second.search["evaluated"] == 0
    assert told and all(message.partition("; ")[2].startswith(("a, layer 1 of 3: ", "c, layer 3 of 3: ")) for message in told)


def test_model_is_the_sum_of_its_cascades_mapped_one_by_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = evaluated(capsys, "map", "pair.yaml", "--arch", "simple")
    alone = []
    for layer, (m, n) in (("first", (2, 3)), ("second", (5, 1))):
        text = f"workload: {layer}\nshape: {{m: {m}, n: {n}, k: 4}}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
        (here / "alone.yaml").write_text(text)
        alone.append(evaluated(capsys, "map", "alone.yaml", "--arch", "simple"))
    for found, single in zip(document["layers"], alone, strict=True):
        for each in (found["evaluation"], single):
            each["search"]["seconds"] = 0
        assert found["evaluation"] == single
    assert document["latency"]["cycles"] == 2 * alone[0]["latency"]["cycles"] + 3 * alone[1]["latency"]["cycles"]


def test_saved_mappings_of_a_model_evaluate_to_what_was_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "best").mkdir()
    found = evaluated(capsys, "map", "pair.yaml", "--arch", "simple", "-o", "best")
    assert sorted(path.name for path in (here / "best").iterdir()) == ["first.yaml", "second.yaml"]
    again = evaluated(capsys, "evaluate", "pair.yaml", "--arch", "simple", "--mapping", "best")
    for layer in found["layers"]:
        layer["evaluation"]["search"] = None
    assert again == found


def test_saved_mapping_of_a_layer_is_checked_against_that_layer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "best").mkdir()
    assert main(["map", "pair.yaml", "--arch", "simple", "-q", "-o", "best"]) == 0
    against = ["--workload", "pair.yaml", "--arch", "simple"]
    assert main(["check", "best/second.yaml", *against]) == 0
    assert "legal for second on simple" in capsys.readouterr().out
    (here / "best" / "second.yaml").rename(here / "renamed.yaml")
    assert main(["check", "renamed.yaml", *against]) == 0
    assert "legal for second on simple" in capsys.readouterr().out
    assert main(["check", "whole.yaml", *against]) == 2
    expected = "whole.yaml: does not say which layer of pair it is for; name the file after one of first, second\n"
    assert capsys.readouterr().err == expected


def test_model_evaluation_keeps_the_contract_and_reads_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "pair.yaml", "--arch", "simple", "--json", "saved.json"]) == 0
    fresh = capsys.readouterr().out
    document = json.loads((here / "saved.json").read_text())
    jsonschema.validate(document, model_schema())
    assert list(faults(document, model_schema())) == []
    assert main(["report", "saved.json"]) == 0
    saved = capsys.readouterr().out.splitlines()
    assert set(saved) <= set(fresh.splitlines())
    for broken in ({"layers": [{"name": "first", "times": 1, "evaluation": {}}]}, {"latency": {}}, {"traffic": None}):
        assert not jsonschema.Draft202012Validator(model_schema()).is_valid(document | broken)
        assert list(faults(document | broken, model_schema()))
    (here / "saved.json").write_text(json.dumps(document | {"layers": [{"name": "first", "times": 0, "evaluation": {}}]}))
    assert main(["report", "saved.json"]) == 2
    expected = "saved.json: not an evaluation: layers[0].times must be at least 1; save one with --json FILE\n"
    assert capsys.readouterr().err == expected


def test_reference_in_the_schema_file_is_the_schema_of_an_evaluation() -> None:
    from urllib.parse import urljoin

    import accelsim.report

    raw = json.loads((Path(accelsim.report.__file__).parent / "model-evaluation.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(raw)
    reference = raw["properties"]["layers"]["items"]["properties"]["evaluation"]["$ref"]
    assert urljoin(raw["$id"], reference) == evaluation_schema()["$id"]


def test_rank_that_one_layer_has_is_analysed_there(capsys: pytest.CaptureFixture[str]) -> None:
    document = evaluated(capsys, "passes", "transformer-layer", "--rank", "s")
    assert [(layer["workload"], layer["ranks"]["s"]["passes"]) for layer in document["layers"]] == [("feed-forward", 1)]


def test_setting_changes_the_mapping_of_one_layer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "tiled.yaml").write_text(WHOLE.replace("tree:", "let: {T: 1}\ntree:").replace("keep GlobalBuffer: [A, B, Z]", "for n: T"))
    command = ["evaluate", "pair.yaml", "--arch", "simple", "--mapping", "first=tiled.yaml", "--mapping", "second=whole.yaml"]
    assert main([*command, "-q", "--set", "mapping.first.let.T=3"]) == 0
    assert main([*command, "-q", "--set", "mapping.first.let.U=3"]) == 2
    assert capsys.readouterr().err == "--set mapping.let.U: the mapping has no 'let.U' to set; did you mean 'let.T'?\n"


EVALUATE = ["evaluate", "pair.yaml", "--arch", "simple"]
FIRST = ["--mapping", "first=whole.yaml"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (EVALUATE, 2, "layer 'first' of pair has no mapping; write --mapping first=FILE, or --mapping FOLDER where 'first.yaml' is"),
        (
            [*EVALUATE, *FIRST],
            2,
            "layer 'second' of pair has no mapping; write --mapping second=FILE, or --mapping FOLDER where 'second.yaml' is",
        ),
        (
            [*EVALUATE, "--mapping", "whole.yaml"],
            2,
            "--mapping whole.yaml: pair is a model, and each of its layers has its own mapping;"
            " write --mapping LAYER=whole.yaml for first, second",
        ),
        ([*EVALUATE, "--mapping", "frist=whole.yaml"], 2, "--mapping frist=whole.yaml: pair has no layer 'frist'; did you mean 'first'?"),
        ([*EVALUATE, *FIRST, *FIRST], 2, "--mapping first=whole.yaml: layer 'first' has a mapping already; remove one of the two"),
        (
            [*EVALUATE, "--mapping", "."],
            2,
            "layer 'first' of pair has no mapping; write --mapping first=FILE, or --mapping FOLDER where 'first.yaml' is",
        ),
        (
            [*EVALUATE, *FIRST, "--mapping", "second=whole.yaml", "--set", "mapping.let.T=3"],
            2,
            "--set mapping.let.T: pair has no layer 'let'; write mapping.LAYER.let.NAME for one of first, second",
        ),
        (
            [*EVALUATE, *FIRST, "--mapping", "second=wrong.yaml"],
            1,
            "wrong.yaml:3:5: layer 'second': A is an input of the cascade, but its outermost keep above Z is GlobalBuffer;"
            " keep A in MainMemory above it",
        ),
        (
            ["evaluate", "matmul", "--arch", "simple", "--mapping", "a", "--mapping", "b"],
            2,
            "--mapping is given 2 times, and matmul is one cascade; give one mapping",
        ),
        (
            ["map", "pair.yaml", "--arch", "simple", "-o", "best.yaml"],
            2,
            "best.yaml: pair is a model of 2 layers, each with its own mapping; name a folder that exists",
        ),
        (["map", "matmul", "--arch", "simple", "-o", "."], 2, ".: is a folder; name a file"),
        (
            ["map", "pair.yaml", "--arch", "simple", "--draw", "best.png"],
            2,
            "--draw best.png: pair is a model, and each of its layers has its own mapping; leave --draw out",
        ),
        (["map", "twins.yaml", "--arch", "simple", "-o", "."], 2, "twins has different layers called 'matmul'; give each its own 'name:'"),
        (["map", "slash.yaml", "--arch", "simple", "-o", "."], 2, "layer 'a/b' cannot name a file; give it a plain name with 'name:'"),
    ],
)
def test_what_a_model_cannot_do_is_refused_in_one_line(
    arguments: list[str], code: int, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "wrong.yaml").write_text(WHOLE.replace("  - keep MainMemory: [A, B, Z]\n", ""))
    (here / "twins.yaml").write_text("workload: twins\nlayers: [{use: matmul}, {use: matmul, shape: {k: 2}}]\n")
    (here / "slash.yaml").write_text("workload: slash\nlayers: [{use: matmul, name: a/b}]\n")
    before = sorted(here.iterdir())
    assert main(arguments) == code
    assert capsys.readouterr().err == message + "\n"
    assert sorted(here.iterdir()) == before
