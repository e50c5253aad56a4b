"""Tornados: every turn is what the machine gives when it is set by hand, and prices move energy by what is counted."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.explore.prices import prices, repriced
from accelsim.explore.sensitivity import PRICE, Tornado, sensitivity, turned
from accelsim.hardware.architecture import Quantity
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.machine_parameters import machine_parameters, parameters_of
from accelsim.io.mapping import load_fitting
from accelsim.io.sweep import load_sweep
from accelsim.io.sweep_cases import FileCases
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.workload.cascade import Cascade

SWEEP = """\
sweep: given
workload: matmul
arch: spatial
mapping: matmul-columns
set: {shape.m: 64, shape.n: 32, shape.k: 16, mapping.let.T: 16, mapping.let.N1: 32}
vary:
  arch.let.pe: [16, 32]
  arch.L3.size: [64 KiB, 1 MiB]
"""


def tornado(tmp_path: Path, row: int = 0, factor: float = 2.0) -> Tornado:
    (tmp_path / "given.yaml").write_text(SWEEP)
    sweep = load_sweep(tmp_path / "given.yaml")
    assert isinstance(sweep.cases, FileCases)
    point = [*sweep.points()][row]
    return sensitivity(sweep, point, parameters_of(sweep.cases, point), factor)


def by_hand(**settings: str) -> Evaluation:
    """The point with its machine set so, evaluated without a sweep."""
    cascade = load_workload(resolve("matmul", WORKLOAD), {"shape.m": "64", "shape.n": "32", "shape.k": "16"})
    assert isinstance(cascade, Cascade)
    machine = load_architecture(resolve("spatial", MACHINE), {"let.pe": "16", "L3.size": "64 KiB"} | settings)
    mapping, cascade = load_fitting(resolve("matmul-columns", MAPPING), cascade, {"let.T": "16", "let.N1": "32"})
    return evaluate(cascade, machine, mapping)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Tornado:
    return tornado(tmp_path_factory.mktemp("tornado"))


def test_parameters_are_those_of_the_file_as_the_sweep_sets_them(found: Tornado) -> None:
    """The numbers of hw/arch/spatial.yaml that are no prices; two of them vary in the sweep."""
    file = {
        "arch.clock": "940 MHz", "arch.let.pe": "256", "arch.DRAM.bandwidth": "400 GiB/s", "arch.L3.size": "16 MiB",
        "arch.REG1D.size": "32 words", "arch.REG2D.size": "16 words",
    }  # fmt: skip
    assert machine_parameters("spatial") == file
    assert {each.name: each.text for each in found.swings if each.kind != PRICE} == file | {"arch.let.pe": "16", "arch.L3.size": "64 KiB"}


@pytest.mark.parametrize(
    ("name", "down", "up"),
    [("arch.clock", "470 MHz", "1880 MHz"), ("arch.DRAM.bandwidth", "200 GiB/s", "800 GiB/s"), ("arch.L3.size", "32 KiB", "128 KiB")],
)
def test_turn_of_a_parameter_is_the_machine_set_by_hand(found: Tornado, name: str, down: str, up: str) -> None:
    (swing,) = [each for each in found.swings if each.name == name]
    assert (swing.down.text, swing.up.text) == (down, up)
    for turn in (swing.down, swing.up):
        made = by_hand(**{name.removeprefix("arch."): turn.text})
        area = made.evaluator.prices.area_um2
        assert turn.figures == (made.seconds, made.energy.value, area)
    base = by_hand()
    assert found.base == (base.seconds, base.energy.value, base.evaluator.prices.area_um2)


def test_turn_of_a_price_moves_energy_by_what_is_counted(found: Tornado) -> None:
    """8 bytes of DRAM each read; its energy goes from 249.6 pJ to 448 pJ, the high of its row."""
    traffic = by_hand().traffic_bits("DRAM")[0]
    (swing,) = [each for each in found.swings if each.name == "DRAM.read_pj"]
    assert swing.down.figures == found.base
    more = swing.up.figures[1] - found.base[1]
    assert more == pytest.approx(float(traffic) / 64 * (448.0 - 249.6), rel=1e-9)
    assert swing.up.figures[0] == found.base[0]


def test_swings_of_a_figure_come_with_the_largest_first(found: Tornado) -> None:
    changes = found.changes("latency_s")
    widths = [max(abs(each) for each in one[1:] if not math.isnan(each)) if not all(map(math.isnan, one[1:])) else 0.0 for one in changes]
    assert widths == sorted(widths, reverse=True) and widths[0] > 0
    assert not any(swing.kind == PRICE for swing, *_ in changes)
    assert {swing.name for swing, *_ in found.changes("area_um2")} >= {"arch.let.pe", "L3.area_um2"}


def test_figure_that_the_machine_does_not_state_has_no_swings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = "sweep: small\nworkload: matmul\narch: simple\nset: {shape.m: 8, shape.n: 8, shape.k: 8}\nvary:\n  arch.clock: [1 GHz, 2 GHz]\n"
    (tmp_path / "small.yaml").write_text(small)
    assert main(["explore", str(tmp_path / "small.yaml"), "--sensitivity", "2", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "area_um2: not stated by the machine" in said and "no mapping" not in said


def test_turn_that_has_no_mapping_says_why(found: Tornado) -> None:
    """16 rows of a tile do not fit on 8."""
    (swing,) = [each for each in found.swings if each.name == "arch.let.pe"]
    assert swing.down.text == "8" and all(map(math.isnan, swing.down.figures)) and swing.down.why


@pytest.mark.parametrize(
    ("text", "factor", "down", "up"),
    [
        ("1", 2.0, "", "2"), ("3", 2.0, "2", "6"), ("0.5", 2.0, "0.25", "1"), ("64 KiB", 2.0, "32 KiB", "128 KiB"), ("1 B", 2.0, "", "2 B"),
        ("3 words", 2.0, "2 words", "6 words"), ("100", 1.1, "91", "110"), ("940 MHz", 4.0, "235 MHz", "3760 MHz"),
    ],
)  # fmt: skip
def test_parameter_goes_down_and_up_by_a_factor_and_whole_numbers_stay_whole(text: str, factor: float, down: str, up: str) -> None:
    assert (turned(text, factor, False), turned(text, factor, True)) == (down, up)


def test_one_price_changes_and_the_others_stay() -> None:
    machine = load_architecture(resolve("spatial", MACHINE))
    before = prices(machine)
    for name in before:
        after = prices(repriced(machine, name, Quantity(7.0, 7.0, 7.0)))
        assert after == before | {name: Quantity(7.0, 7.0, 7.0)}
    assert repriced(machine, "no such", Quantity(7.0, 7.0, 7.0)) == machine


def test_factor_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^a factor of 1, by which values are both multiplied and divided; write one above 1, as in 2$"):
        tornado(tmp_path, factor=1.0)


BAD = [
    (["--sensitivity", "two"], "--sensitivity two: not a number; write a factor, as in 2"),
    (["--at", "1"], "--at names the row that --sensitivity looks at; add '--sensitivity 2', or write --show for the row of a table"),
    (["--sensitivity", "2", "--at", "x"], "--at 'x' is not a row; write its number, from 0"),
    (["--sensitivity", "2", "--at", "4"], "--at 4: given has rows 0 to 3; write one of them"),
    (
        ["--sensitivity", "2", "-o", "x.csv"],
        "--sensitivity keeps no rows, and --output says where; leave --output out; --json writes what is found",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_tornado_is_refused(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "given.yaml").write_text(SWEEP)
    assert main(["explore", str(tmp_path / "given.yaml"), *arguments]) == 2
    assert re.fullmatch(re.escape(said), capsys.readouterr().err.strip())


def test_report_shows_what_changes_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "given.yaml").write_text(SWEEP)
    assert main(["explore", str(tmp_path / "given.yaml"), "--sensitivity", "2", "--at", "1", "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "given: around arch.let.pe = 16, arch.L3.size = 1 MiB" in text
    assert re.search(r"DRAM\.read_pj +249\.6 +249\.6 +\+0\.0% +448 +\+\d", text)
    assert "Without a mapping: arch.let.pe = 8" in text
