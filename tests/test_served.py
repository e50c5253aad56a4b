"""Models as they are served: `accelsim map --phase`, and what `params` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from accelsim.cli import main
from accelsim.report.schema import model_schema

TINY = ["--set", "shape.d=64", "--set", "shape.g=2", "--set", "shape.r=2", "--set", "shape.e=16", "--set", "shape.f=16"]
TINY += ["--set", "shape.s=96", "--set", "shape.v=80", "--set", "constants.BLOCKS=3"]
QUICK = ["--workers", "1", "--time-limit", "0.1"]
PARAMETERS = 2 * 80 * 64 + 64 + 3 * (2 * 64 + 2 * 64 * 6 * 16 + 3 * 64 * 96)


def served(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["map", "gated-decoder", *TINY, *arguments, *QUICK, "--json", "-", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, model_schema())
    return document


def test_a_served_model_says_when_tokens_come_and_what_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Sums by hand of what the layers of each phase take, each as often as it is used."""
    found = served(capsys, "--arch", "simple", "--phase", "both", "--batch", "2", "--context", "16", "--tokens", "4")
    phases = {phase["name"]: phase for phase in found["phases"]}
    spent = {name: 0.0 for name in phases}
    for layer in found["layers"]:
        spent[layer["name"].partition("-")[0]] += layer["times"] * layer["evaluation"]["latency"]["seconds"]
    assert found["inference"]["seconds_to_first_token"] == pytest.approx(spent["prefill"])
    assert phases["decode"]["seconds_per_step"] == pytest.approx(spent["decode"] / 4)
    assert phases["decode"]["tokens_per_s"] == pytest.approx(2 * 4 / spent["decode"])
    assert found["inference"]["average_power_w"] == pytest.approx(found["energy_pj"] * 1e-12 / sum(spent.values()))
    assert sum(phases["decode"]["limited_by"].values()) == pytest.approx(1)
    cache = 3 * 2 * 2 * 16 * 2
    assert {key: found["serving"][key] for key in ("batch", "context", "tokens", "parameters", "cache_bytes_per_token", "cache_bytes")} == {
        "batch": 2, "context": 16, "tokens": 4, "parameters": PARAMETERS, "cache_bytes_per_token": cache, "cache_bytes": 2 * 20 * cache,
    }  # fmt: skip
    assert found["serving"]["resident_bytes"] == 2 * PARAMETERS + 2 * 20 * cache
    assert {layer["evaluation"]["workload"] for layer in found["layers"]} >= {"decode-attention-m17", "decode-attention-m20"}
    (tmp_path / "saved.json").write_text(json.dumps(found))
    assert main(["report", str(tmp_path / "saved.json")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "time to first token" in printed and "inference 10 tokens, the first after" in printed
    assert printed.endswith("; the report of it all stands above them.")


@pytest.mark.parametrize(("less", "fits"), [(0, True), (1, False)])
def test_what_does_not_fit_the_outermost_memory_is_said(capsys: pytest.CaptureFixture[str], less: int, fits: bool) -> None:
    size = 2 * PARAMETERS + 8 * 3 * 2 * 2 * 16 * 2 - less
    small = ["--arch", "simple", "--phase", "decode", "--context", "8", "--set", f"arch.MainMemory.size={size} B"]
    assert served(capsys, *small)["serving"]["fits"] is fits
    assert main(["map", "gated-decoder", *TINY, *small, *QUICK]) == 0
    printed = capsys.readouterr().out
    assert ("Does not fit: 1 B more than MainMemory has" in printed) is not fits
    assert "the first after" not in printed  # one phase has its line of serving alone


REFUSED = [
    (("llama3-8b", "--phase", "decod"), "--phase decod: not a phase; did you mean 'decode'?"),
    (("llama3-8b", "--context", "8x"), "--context '8x' is not a number of tokens from 1 to 16777216; write --context 512, or --context 8k"),
    (("llama3-8b", "--batch", "0"), "--batch '0' is not a whole number from 1; write digits, as in --batch 32"),
    (("llama3-8b", "--phase", "prefill", "--tokens", "4"), "--tokens are made by steps of decoding, and --phase is prefill"),
    (("bert-base", "--phase", "decode"), "bert-base makes no tokens one after the other; ask for --phase prefill"),
    (
        ("cnn/resnet18", "--batch", "2"),
        "resnet18 is not served by tokens; state the batch by --set shape.b=2",
    ),
    (("matmul", "--batch", "2"), "matmul does not say how it is served; write serving: {batch: b, tokens: p, context: m} in it"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str) -> None:
    assert main(["map", *arguments, "--arch", "simple"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_params_lists_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "gated-decoder", *TINY, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == sum(row["words"] for row in found["weights"]["tensors"]) == PARAMETERS
    assert found["cache_per_token"]["words"] == 3 * 2 * 2 * 16 and found["state_per_sequence"]["tensors"] == []
    assert main(["params", "selective-scan"]) == 0
    assert "words a sequence" in capsys.readouterr().out
