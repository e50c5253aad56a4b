"""Campaigns in the processor: from a file to a report, and what is wrong in a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.faults.processor_target import ProcessorTarget
from accelsim.io.campaign import load_campaign

GOOD = """\
campaign: mine
workload: mlp-fixed
arch: mini
in: processor
set: {shape.m: 3, shape.d: 4, shape.h: 3, shape.e: 2}
inputs: {seed: 1}
decision: e
faults: {in: [u_mover.u_outer, done_q]}
sample: {faults: 40}
"""


def refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a file."""
    (tmp_path / "bad.yaml").write_text(text)
    assert main(["inject", str(tmp_path / "bad.yaml"), "-q"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return re.sub(r"^.*bad\.yaml", "", error.strip())


BAD = [
    ("in: processor", "in: procesor", ":4:5: there are no faults in 'procesor'; did you mean 'processor'?"),
    ("decision: e", "stationary: W1", ":7:13: 'stationary' is about an array, and upsets are in a processor; leave it out"),
    ("decision: e", "outputs: sums", ":7:10: 'outputs' is about an array, and upsets are in a processor; leave it out"),
    ("{seed: 1}", "{draw: normal}", ":6:16: inputs of a processor are uniform in their ranges; leave 'draw' out, or write ranges"),
    (
        "arch: mini", "arch: simple",
        ":3:7: simple is no machine of hw/rtl/npu_top.sv: GlobalBuffer has to feed arrays, and each array one unit; take a machine like "
        "hw/arch/mini.yaml",
    ),
    ("{in: [u_mover", "{bits: 2, in: [u_mover", ":8:10: faults in a processor has no 'bits'; known: in"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_bad_file_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert old in GOOD
    assert refused(tmp_path, GOOD.replace(old, new), capsys) == said


@pytest.mark.slow
@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("done_q]", "don_q]", ":8:32: the processor has no registers 'don_q'; did you mean 'done_q'?"),
        (
            "sample:", "rates: terrestrial\nsample:",
            ":9:8: rates are known for registers of an array only, and upsets are in a processor; leave it out",
        ),
    ],
)  # fmt: skip
def test_what_only_the_rtl_knows_is_refused_too(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert refused(tmp_path, GOOD.replace(old, new), capsys) == said


@pytest.mark.slow
@pytest.mark.usefixtures("rtl_tools")
def test_file_becomes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    command = ["inject", str(tmp_path / "good.yaml"), "--json", str(tmp_path / "out.json"), "--workers", "1"]
    found: list[Any] = []
    for _ in range(2):
        assert main([*command, "-o", str(tmp_path / "it.sqlite")]) == 0
        found.append(json.loads((tmp_path / "out.json").read_text("utf-8")))
    assert found[0] == found[1], "the second run finds all in the file"
    assert {row["registers"] for row in found[0]["strata"]} == {"done_q", "at_q", "final_q", "index_q", "strides_q", "valid_q"}
    assert {row["block"] for row in found[0]["strata"]} == {"u_top", "u_mover.u_outer"}
    assert all(row["injected"] == 40 for row in found[0]["strata"])
    assert re.search(r"^u_mover.u_outer +index_q +64 +40 +[\d.]+%", capsys.readouterr().out, re.MULTILINE)
    target = load_campaign(tmp_path / "good.yaml").target
    assert isinstance(target, ProcessorTarget) and target.decides is not None
    worst = next((number, row["worst"]) for number, row in enumerate(found[0]["strata"]) if row["worst"]["difference"])
    effects = target.effects(worst[0], np.array([worst[1]["fault"]]))
    assert effects.worst[0] == worst[1]["difference"]


def test_file_is_checked_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert main(["check", str(tmp_path / "good.yaml")]) == 0
    assert "upsets in the registers and memories of mini while it runs mlp-fixed" in capsys.readouterr().out
