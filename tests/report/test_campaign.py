"""The report of a campaign: no digit is lost on a narrow terminal, and what is not known yet is not shown as a number."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from accelsim.faults.campaign import Campaign, Outcome, outcome
from accelsim.faults.outcomes import NAMES, Effects, Tally
from accelsim.faults.plan import NEYMAN, Sample
from accelsim.faults.ranges import Range
from accelsim.faults.rates import TRANSIENT, Rate, Rates
from accelsim.faults.target import Stratum
from accelsim.report.campaign import blocks, document
from accelsim.report.terminal import show
from tests.faults.test_campaign import Coin


@dataclass(frozen=True)
class Long(Coin):
    """Faults of all outcomes, in strata with long names."""

    terms = ("words", "bits", "AVF of all bits")

    @property
    def noun(self) -> str:
        return "upsets"

    @property
    def strata(self) -> tuple[Stratum, ...]:
        many = self.population
        names = [(f"GlobalBuffer{place % 2}", f"Tensor{place} (incomplete)") for place in range(len(self.shares))]
        return tuple(Stratum(block, name, "words", 1 << 20, many, many, "flop") for block, name in names)

    def effects(self, stratum: int, numbers: Any) -> Effects:
        kinds = numbers * 2654435761 % (1 << 32) % len(NAMES)
        return Effects(kinds, kinds * 0, np.where(kinds == 4, 1 << 62, 0), kinds > 3)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def injected(sample: Sample, chunks: int | None = None, shares: tuple[float, ...] = (0.1, 0.2, 0.3), many: int = 1 << 40) -> Outcome:
    """Of a campaign after so many chunks (None: all)."""
    rates = Rates("made-up", (Rate("flop", TRANSIENT, Range(1e-4, 5e-5, 2e-4), "measured", "nowhere", "all of it."),))
    campaign, done = Campaign("long", Long(shares, many), sample, 3, "long", rates), dict[tuple[int, int], Tally]()
    while chunks is None or len(done) < chunks:
        plan = campaign.plan(done)
        chunk = next((each for each in plan.chunks() if each not in done), None)
        if chunk is None:
            break
        done[chunk] = campaign.work(chunk, plan)
    return outcome(campaign, done, True)


def shown(whole: dict[str, Any], columns: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The report on a terminal of so many columns, or in a pipe, without colours."""
    stream = io.StringIO() if columns is None else Terminal()
    monkeypatch.setenv("COLUMNS", str(columns))
    show(blocks(json.loads(json.dumps(whole, allow_nan=False))), stream)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


@pytest.mark.parametrize("columns", [80, 100, 120, None])
def test_no_digit_is_lost_on_a_narrow_terminal(columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = document(injected(Sample(faults=5000)))
    text = shown(whole, columns, monkeypatch)
    assert "…" not in text
    for row in whole["strata"]:
        avf = row["avf"]
        name = re.escape(row["registers"])
        assert re.search(rf"{name} .* {avf['value']:.4f}  {avf['low']:.4f} {avf['high']:.4f}", text)
    widest = max(len(line.rstrip()) for line in text.splitlines())
    assert widest > 120 if columns is None else widest <= columns
    assert ("Left out for want of room: largest" in text) == (columns is not None)
    assert ("largest" in text.split("Left out")[0]) == (columns is None)


@pytest.mark.parametrize("columns", [20, 30, 60])
def test_digits_that_have_no_room_go_on_in_the_next_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(document(injected(Sample(faults=5000))), columns, monkeypatch)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= columns


def test_what_nothing_is_known_of_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk of the first of two strata is done: of the other nothing is, and so nothing of the whole."""
    whole = document(injected(Sample(faults=5000), 1, (0.1, 0.2)))
    assert not whole["finished"]
    first, second = whole["strata"]
    assert first["avf"]["value"] == pytest.approx(5 / 10, abs=0.05)
    assert second["avf"] == {"value": None, "low": 0, "high": 1}
    assert whole["avf"]["value"] is None and whole["avf"]["low"] == first["avf"]["low"] / 2
    text = shown(whole, None, monkeypatch)
    assert re.search(r"Tensor1 \(incomplete\) .* - +not yet ", text)
    assert re.search(r"AVF of all bits: not yet known, between 0\.2\d+ and 0\.7\d+ at 95%\n", text)
    assert "Mean time to a failure, if this runs all the time: not yet known, between" in text
    assert "0.0000" not in text


def test_first_of_all_faults_are_no_sample_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are injected in their order, a part says only what is left."""
    whole = document(injected(Sample(faults=0, exhaustive=1 << 62), 1, (0.1,), 1 << 18))
    (row,) = whole["strata"]
    assert row["injected"] == 1 << 16 and row["avf"]["value"] is None
    assert row["silent"]["high"] - row["silent"]["low"] == pytest.approx(3 / 4)
    text = shown(whole, None, monkeypatch)
    assert f" -  {row['avf']['low']:.4f} {row['avf']['high']:.4f}" in text
    assert "posterior" not in text


def test_pilots_alone_say_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(document(injected(Sample(faults=5000, by=NEYMAN), 2)), None, monkeypatch)
    assert len(re.findall(r"- +not yet ", text)) == 3
    assert "AVF of all bits: not yet known, between 0.00000 and 1.00000 at 95%" in text
