"""Checksums along a cascade: against the formulas of attention written out, on values that a replay of the mapping reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.faults import cones
from accelsim.faults.cascade_checks import EXPONENTIAL, PRODUCT, QUOTIENT, CascadeChecks
from accelsim.faults.memory_target import MemoryTarget
from accelsim.faults.outcomes import CORRUPTED, DEAD, DETECTED, LOGICAL
from accelsim.faults.reference_mapped import Replay
from accelsim.io.campaign import load_campaign
from accelsim.io.catalogue import CAMPAIGN, WORKLOAD, resolve
from accelsim.io.workload import load_workload
from tests.share import share

CHECKED = resolve("attention-checked", CAMPAIGN)
U = 2.0**-8  # of bf16


def loaded(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryTarget, Replay]:
    """The campaign's target, and a replay of the same mapping with the same inputs."""
    given: list[Any] = []
    made = cones.Mapped.__init__

    def spied(self: Any, *arguments: Any) -> None:
        given.extend(arguments)
        made(self, *arguments)

    monkeypatch.setattr(cones.Mapped, "__init__", spied)
    target = load_campaign(CHECKED).target
    assert isinstance(target, MemoryTarget)
    return target, Replay(*given)


def units(off: Any, scale: Any) -> float:
    """The largest, in units of roundoff; no number counts as infinitely far."""
    with np.errstate(all="ignore"):
        found = np.where(off == 0, 0, np.abs(off) / (U * scale))
    return float(np.where(np.isnan(found), np.inf, found).max())


def by_hand(read: dict[str, Any], made: dict[str, Any]) -> float:
    """Attention of one head, queries p, keys m: what each of its sums is off."""
    r = {name: np.asarray(value, float)[0, 0] for name, value in read.items()}
    m = {name: np.asarray(value, float)[0, 0] for name, value in made.items()}
    with np.errstate(all="ignore"):
        return max(
            units(r["QK"].sum(0) - r["Q"] @ m["K"].sum(0), abs(r["Q"]) @ abs(m["K"]).sum(0)),
            units(r["QK"].sum(1) - r["K"] @ m["Q"].sum(0), abs(r["K"]) @ abs(m["Q"]).sum(0)),
            units(np.log(r["SN"]).sum(0) - m["QK"].sum(0), (abs(m["QK"]) + 1).sum(0)),
            units(r["A"].sum(0) - 1, np.ones(r["A"].shape[1])),
            units(r["AV"].sum(0) - m["V"].sum(1) @ r["A"], abs(m["V"]).sum(1) @ abs(r["A"])),
            units(r["AV"].sum(1) - r["V"].T @ m["A"].sum(1), abs(r["V"]).T @ abs(m["A"]).sum(1)),
        )


def replayed(replay: Replay, shapes: dict[str, tuple[int, ...]], fault: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Words as they were read, where one was read differently from how it was made that, and as they were made."""
    found = replay.run(fault)
    made: dict[str, Any] = {}
    for name, shape in shapes.items():
        made[name] = replay.inputs[name].copy() if name in replay.inputs else np.zeros(shape)
        for word, value in replay.made.get(name, {}).items():
            made[name][word] = value
    read = {name: each.copy() for name, each in made.items()}
    for (name, word), values in replay.taken.items():
        read[name][word] = next((value for value in values if value != made[name][word]), made[name][word])
    for word, value in found["AV"].items():
        read["AV"][word] = value
    return read, made


def test_what_is_detected_is_what_the_formulas_see_of_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    target, replay = loaded(monkeypatch)
    shapes = {name: tensor.shape for name, tensor in target.mapped.cascade.tensors.items()}
    assert by_hand(*replayed(replay, shapes, None)) < 4
    rng, seen = np.random.default_rng(3), dict.fromkeys((DETECTED, CORRUPTED, LOGICAL), 0)
    for number, stratum in enumerate(target.strata):
        some = rng.integers(0, stratum.population, share(400, 40, 12))
        outcomes = target.effects(number, some).outcome.tolist()
        mine, bit, step = target._decoded(number, some)
        for at, outcome in enumerate(outcomes):
            if outcome == DEAD:
                continue
            fault = target.intervals.at(int(mine[at]), int(bit[at]), int(step[at]))
            assert (by_hand(*replayed(replay, shapes, fault)) > 4) == (outcome == DETECTED), fault
            seen[outcome] += 1
    assert min(seen.values()) >= 3, seen


def test_checks_find_corruptions_that_would_be_silent_and_leave_the_rest_as_it_is() -> None:
    """Every upset, with and without checks: what is detected was silent or masked before, and nothing else changes."""
    with_, without = (load_campaign(resolve(name, CAMPAIGN)).target for name in ("attention-checked", "attention-memories"))
    silent = {True: 0, False: 0}
    for number, stratum in enumerate(with_.strata):
        classes = np.arange(0, stratum.classes)
        one, two = with_.of_classes(number, classes), without.of_classes(number, classes)
        assert one.weight is not None
        other = one.outcome != DETECTED
        assert (one.outcome[other] == two.outcome[other]).all() and (one.worst[other] == two.worst[other]).all()
        assert (two.outcome != DEAD)[~other].all() or stratum.name == "AV"
        for which, effects in ((True, one), (False, two)):
            silent[which] += int(one.weight[effects.outcome == CORRUPTED].sum())
        assert one.worst.max(initial=0) < 60_000  # 6 % of the largest output: what slips through is small
    assert silent[True] < silent[False] / 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("attention-naive", [(PRODUCT, "QK", "m"), (PRODUCT, "QK", "p"), (EXPONENTIAL, "SN", "m"), (QUOTIENT, "A", "m"),
                             (PRODUCT, "AV", "f"), (PRODUCT, "AV", "p")]),
        ("attention-3pass", [(PRODUCT, "QK", "m"), (PRODUCT, "QK", "p"), (EXPONENTIAL, "SN", "m"), (QUOTIENT, "A", "m"),
                             (PRODUCT, "AV", "f"), (PRODUCT, "AV", "p")]),
        ("matmul", [(PRODUCT, "Z", "m"), (PRODUCT, "Z", "n")]),
        ("softmax", [(EXPONENTIAL, "SN", "k"), (QUOTIENT, "Y", "k")]),
    ],
)  # fmt: skip
def test_checks_are_those_that_the_cascade_has(name: str, expected: list[tuple[str, str, str]]) -> None:
    found = CascadeChecks(load_workload(resolve(name, WORKLOAD), {}), 1.0).checks
    assert [(check.kind, check.einsum.name, check.rank) for check in found] == expected


def test_cascade_without_checks_is_refused() -> None:
    with pytest.raises(InputError, match=r"has neither products nor a softmax whose sums are known; name a workload with plain ranks"):
        CascadeChecks(load_workload(resolve("conv2d", WORKLOAD), {}), 1.0)


BAD = [
    ("threshold: 4", "threshold: 0.01", r":9:22: a threshold of 0\.01 raises an alarm without a fault; write more than the [\d.]+ units"),
    ("threshold: 4", "threshold: high", r":9:34: checksums name no threshold; write checksums: \{threshold: 8\}, in units of roundoff$"),
    ("{threshold: 4}", "{}", r":9:22: checksums name no threshold; write"),
    ("in: memories", "stationary: Z", r":9:10: protection is simulated in memories only; leave it out, or write 'in: memories'$"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_bad_campaign_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CHECKED.read_text()
    assert old in text
    (tmp_path / "bad.yaml").write_text(text.replace(old, new))
    assert main(["inject", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error.strip()), error
