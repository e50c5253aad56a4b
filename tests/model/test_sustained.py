"""Shares of peaks that are sustained, and launches of parts: by hand, in the model and in the simulation, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.hardware.describe import describe
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import parse_mapping
from accelsim.mapping.tree import parts
from accelsim.model import Evaluator
from accelsim.model.floor import floor
from accelsim.sim.simulation import simulate
from accelsim.workload.build import cascade

MACHINE = """
machine: small
source: made up
clock: 1 GHz
let: {share: 1}
launch: 0 ns
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 8 B/cycle
  sustained: share
  energy: 1 pJ/bit
  feeds:
    memory: Buffer
    size: 1 KiB
    bandwidth: unlimited
    energy: 1 pJ/bit
    feeds:
      unit: U
      lanes: 2
      sustained: share
      executes: {mac: {cycles: 3, energy: 1 pJ}, max: 1 pJ}
"""
TWO = """
mapping: two
tree:
  - keep DRAM: [A, T, Z]
  - fuse sequential:
      - [keep Buffer: [A, T], {einsum: T, unit: U}]
      - [keep Buffer: [T, Z], {einsum: Z, unit: U}]
"""
ONE = """
mapping: one
tree:
  - keep DRAM: [A, Z]
  - for m: 4
  - keep Buffer: [A, T, Z]
  - fuse sequential:
      - {einsum: T, unit: U}
      - {einsum: Z, unit: U}
"""
PAIR = cascade("pair", "T[m] = max[k](A[m,k])\nZ[m] = T[m] * T[m]", {"m": 8, "k": 4}, types={"default": "int8"})


def _machine(tmp_path: Path, **settings: str) -> Architecture:
    (tmp_path / "small.yaml").write_text(MACHINE, encoding="utf-8")
    return load_architecture(tmp_path / "small.yaml", {key.replace("_", "."): text for key, text in settings.items()})


def test_half_of_the_peak_takes_twice_as_long(tmp_path: Path) -> None:
    mapping = parse_mapping(TWO, {})
    whole, half = (Evaluator(PAIR, _machine(tmp_path, let_share=share)).evaluate(mapping) for share in ("1", "1/2"))
    assert half.steady_cycles == 2 * whole.steady_cycles > 0
    assert half.loads["T"].busy * whole.evaluator.clock.per_cycle == 2 * whole.loads["T"].busy * half.evaluator.clock.per_cycle


def test_every_part_has_a_launch_and_a_fused_one_has_one(tmp_path: Path) -> None:
    for text, many in ((TWO, 2), (ONE, 1)):
        mapping = parse_mapping(text, {})
        assert parts(mapping) == many
        without, late = (_machine(tmp_path, launch=launch) for launch in ("0 ns", "2.5 ns"))
        before, after = (Evaluator(PAIR, machine).evaluate(mapping) for machine in (without, late))
        clock = after.evaluator.clock
        assert clock.cycles(after.timing.latency) == before.evaluator.clock.cycles(before.timing.latency) + Fraction(5, 2) * many
        assert after.steady_cycles == before.steady_cycles and after.cycles >= floor(PAIR, after.evaluator.architecture)["min_cycles"]
        simulated = [simulate(PAIR, machine, mapping, events=4) for machine in (without, late)]
        ends = [done.evaluation.evaluator.clock.cycles(done.ticks) for done in simulated]
        assert ends[1] - ends[0] == Fraction(5, 2) * many == simulated[1].events[0].start - simulated[0].events[0].start
        assert all(unit.total == ends[1] for unit in simulated[1].units.values())


def test_a_machine_shows_its_peaks_and_what_is_sustained(tmp_path: Path) -> None:
    shown = describe(_machine(tmp_path, let_share="3/4", launch="5 us"))
    assert shown.splitlines()[0] == "small, 1 GHz, 5 us before each part"
    assert "DRAM: unlimited, 8 GB/s of which 0.75 sustained, 1 pJ per bit" in shown
    assert "U: 2 lanes, mac (3 cycles), max of which 0.75 sustained" in shown


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("share: 1", "share: 1.5",
         "f.yaml:11:14: sustained is 1.5, not a share of a peak; write a number above 0, at most 1, as in 0.9"),
        ("share: 1", "share: 0",
         "f.yaml:11:14: sustained is 0, not a share of a peak; write a number above 0, at most 1, as in 0.9"),
        ("bandwidth: unlimited", "bandwidth: unlimited\n    sustained: 0.5",
         "f.yaml:17:16: Buffer sustains a share of a bandwidth that has no limit; give it a bandwidth"),
        ("launch: 0 ns", "launch: 5", "f.yaml:6:9: launch '5' has no unit; write a number and a unit, as in '20 ns'"),
        ("launch: 0 ns", "launch: 5 nm", "f.yaml:6:9: launch '5 nm' has an unknown unit 'nm'; write a number and a unit, as in '20 ns'"),
    ],
)  # fmt: skip
def test_what_is_no_share_and_no_time_is_refused(old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_text(MACHINE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_architecture(Path("f.yaml"))
    assert str(refused.value) == message
