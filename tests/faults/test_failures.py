"""Campaign files that name rates or allot their faults: what they say, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.faults.plan import NEYMAN
from accelsim.io.campaign import load_campaign
from tests.faults.test_campaign import SMALL

ENDS = ("value", "low", "high")
PRICED = SMALL.format(stays="Z") + "faults: {in: [operands, sums]}\nrates: terrestrial\nsample: {faults: 3000, by: neyman}\n"


def injected(tmp_path: Path, text: str, *arguments: str) -> dict[str, Any]:
    """What `accelsim inject` says of a file, as JSON."""
    (tmp_path / "small.yaml").write_text(text)
    target = tmp_path / "out.json"
    assert main(["inject", str(tmp_path / "small.yaml"), "--json", str(target), "--workers", "1", *arguments]) == 0
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def ends(found: dict[str, float]) -> list[float]:
    return [found[each] for each in ENDS]


def test_failures_are_rate_times_bits_times_avf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flip-flop has 600 FIT/MiB, between half and twice; FIT of all registers and hours to a failure by hand."""
    whole = injected(tmp_path, PRICED)
    found, bit = whole["failures"], 600 / 2**23
    sums = [0.0, 0.0, 0.0]
    for row, each in zip(whole["strata"], found["strata"], strict=True):
        shares = [row["silent"][at] + row["unrecovered"][at] for at in ENDS]
        assert ends(row["avf"]) == pytest.approx(shares)
        assert ends(each["raw_fit"]) == pytest.approx([bit * row["bits"], bit * row["bits"] / 2, bit * row["bits"] * 2])
        assert ends(each["fit"]) == pytest.approx([bit * row["bits"] * share for share in shares])
        value, low, high = ends(each["fit"])
        assert ends(each["fit_of_rates"]) == pytest.approx([value, low / 2, high * 2])
        sums = [a + b for a, b in zip(sums, (value, low, high), strict=True)]
    assert ends(found["fit"]) == pytest.approx(sums)
    assert ends(found["fit"]) == pytest.approx([found["raw_fit"]["value"] * share for share in ends(whole["avf"])])  # as bits and upsets
    assert ends(found["mttf_h"]) == pytest.approx([1e9 / sums[0], 1e9 / sums[2], 1e9 / sums[1]])
    assert ends(found["mttf_of_rates_h"]) == pytest.approx([1e9 / sums[0], 1e9 / sums[2] / 2, 1e9 / sums[1] * 2])
    value, low, high = ends(found["fit_likely"])
    assert sums[1] < low < value < high < sums[2]
    assert value == pytest.approx(sums[0])
    (block,) = found["blocks"].values()
    assert block["avf"] == pytest.approx(whole["avf"]) and block["fit_of_rates"] == pytest.approx(found["fit_of_rates"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"Mean time to a failure, if this runs all the time: {found['mttf_h']['value']:.3g} h" in text
    assert "Rates terrestrial: flop 7.15e-05 FIT/bit, between 3.58e-05 and 0.000143 (He, Balaprakash, Li" in text
    assert "Whether neutrons" not in text and "whether neutrons are included is not known." in text


def test_faults_are_as_many_in_all_as_the_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = injected(tmp_path, PRICED)
    assert whole["injected"] == 3000 == sum(row["injected"] + row["pilot"] for row in whole["strata"])
    text = " ".join(capsys.readouterr().out.split())
    assert "small: 3,000 of " in text
    assert "300 of them were pilots, which say how many to inject and count no further." in text
    assert {row["pilot"] for row in whole["strata"]} == {3000 // 60}


def test_campaign_without_rates_says_no_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = injected(tmp_path, PRICED.replace("rates: terrestrial\n", ""))
    assert whole["failures"] is None
    assert "FIT" not in capsys.readouterr().out


def test_what_was_injected_is_kept_when_rates_change_unless_they_say_what_is_injected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (
        "rates: mine\nrows:\n"
        "  - {cell: flop, fault: transient, value: 8 FIT/MB, low: 4 FIT/MB, high: 9 FIT/MB, kind: assumed, source: made up, doubt: all}\n"
    )
    (tmp_path / "mine.yaml").write_text(mine)
    each = PRICED.replace(", by: neyman", "")
    for text, kept in ((each, True), (PRICED, False)):
        target = str(tmp_path / f"{kept}.sqlite")
        first = injected(tmp_path, text, "-o", target)
        (tmp_path / "small.yaml").write_text(text.replace("terrestrial", "mine.yaml"))
        code = main(["inject", str(tmp_path / "small.yaml"), "--json", str(tmp_path / "out.json"), "--workers", "1", "-o", target])
        assert code == (0 if kept else 2)
        if kept:
            second = json.loads((tmp_path / "out.json").read_text())
            assert second["strata"] == first["strata"] and second["failures"]["raw_fit"] != first["failures"]["raw_fit"]
        else:
            assert "holds another campaign, or this one with other inputs" in capsys.readouterr().err


def test_file_says_by_whose_allotment(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(PRICED)
    sample = load_campaign(tmp_path / "small.yaml").sample
    assert (sample.faults, sample.by, sample.exhaustive) == (3000, NEYMAN, 0)


BAD = [
    ("rates: terrestrial", "rates: gpu_28nm", r":\d+:8: rates 'gpu_28nm' have no transient faults of cells called 'flop'; known: sram$"),
    ("rates: terrestrial", "rates: terestrial", r":\d+:8: there is no table of rates 'terestrial'; did you mean 'terrestrial'\?$"),
    ("sums]}", "sums], bits: 2}", r":\d+:8: rates are of single bits, and 2 flip here; leave out 'rates', or write 'bits: 1'$"),
    ("by: neyman", "by: neymann", r":\d+:28: faults cannot be allotted by 'neymann'; did you mean 'neyman'\?$"),
    ("by: neyman", "by: neyman, defence: 0.2", r": only faults that are drawn by importance have a defence; leave it out, or write 'by"),
    ("by: neyman", "by: importance, defence: 2", r": 'defence' must be between 0 and 1, not 2; write a share, as in 0.01$"),
    ("by: neyman", "by: neyman, half_width: 0.1", r": faults that are allotted to strata do not stop early; leave out"),
    ("faults: 3000", "faults: 7", r":\d+:9: 7 faults are too few for a pilot and more of 6 strata; write at least 12$"),
]


def test_rates_of_memories_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PRICED.replace("faults: {in: [operands, sums]}\n", "in: memories\n").replace("stationary: Z\n", "")
    (tmp_path / "bad.yaml").write_text(text.replace("arch: systolic128", "arch: simple").split("set:")[0] + "set: {shape.m: 4, shape.n: 4, "
                                       "shape.k: 4}\nin: memories\nrates: terrestrial\nsample: {faults: 300}\n")  # fmt: skip
    assert main(["inject", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert ": rates are known for registers of an array only, and upsets are in memories; leave it out" in error


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_bad_campaign_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert old in PRICED
    (tmp_path / "bad.yaml").write_text(PRICED.replace(old, new))
    assert main(["inject", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error.strip()), error
