"""Campaigns of faults of gates: against Icarus, which runs the array with netlists as elements, and a judgement in plain Python."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.faults.campaign import Campaign, run
from accelsim.faults.firings import Product
from accelsim.faults.gate_target import GateTarget, module_of
from accelsim.faults.gates import GateFault
from accelsim.faults.grid import product_run
from accelsim.faults.outcomes import CLAMPED, CORRUPTED, LOGICAL, ROUNDED, UNKNOWN
from accelsim.faults.plan import IMPORTANCE, Sample
from accelsim.faults.registers import Widths
from accelsim.faults.requantise import Requantise
from accelsim.io.campaign import load_campaign
from accelsim.sim.kernels_systolic import FoldTable
from accelsim.sim.systolic import OPERAND, RESULT, Grid
from tests.faults import icarus
from tests.faults.arrays import words
from tests.faults.netlists import circuit
from tests.faults.test_campaign import SMALL
from tests.faults.test_elements import BITS, SIZE, inputs_of, leaving
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
GROUP = 4  # outputs that a decision is about
QUANTISE = Requantise(3, 5, 1, -10, 11)


def target(stays: str, elements: list[tuple[int, int]], products: int = 1) -> tuple[GateTarget, Any]:
    rng, made = Random(6), []
    for number in range(products):
        sizes = (5, 3) if stays == OPERAND else (4, 5)
        a, b = words(rng, 4 + number, sizes[0], 4), words(rng, sizes[0], sizes[1] - (stays == RESULT), 4)
        product = product_run(a, b, Grid(*SIZE), "B" if stays == OPERAND else "Z", Widths(BITS["AW"], BITS["BW"], BITS["CW"]))
        made.append(Product(product, np.arange(product.product.size).reshape(product.shape)))
    module, parameters = module_of(made[0])
    assert parameters == BITS
    found, netlist = circuit(module, parameters)
    assert products > 1 or made[0].run.product.size % GROUP == 0
    return GateTarget("MAC", made, QUANTISE, found, elements, decides=np.arange(64) // GROUP), netlist


def judged(right: Any, wrong: Any) -> tuple[int, int, int, bool]:
    """Outcome, outputs that change, largest difference and whether a decision changes, output by output."""

    def output(value: int) -> int:
        return min(11, max(-10, (value * 3 + 16) // 32 + 1))

    golden, after = ([output(int(value)) for value in each.ravel()] for each in (right, wrong))
    moved = [abs(one - two) for one, two in zip(golden, after, strict=True)]
    differ = [at for at, (one, two) in enumerate(zip(right.ravel(), wrong.ravel(), strict=True)) if one != two]
    best = [[some[at : at + GROUP].index(max(some[at : at + GROUP])) for at in range(0, len(some), GROUP)] for some in (golden, after)]
    if any(moved):
        return CORRUPTED, sum(each > 0 for each in moved), max(moved), best[0] != best[1]
    held = all(golden[at] in (-10, 11) for at in differ)
    return (LOGICAL if not differ else CLAMPED if held else ROUNDED), 0, 0, False


@pytest.mark.parametrize("stays", [OPERAND, RESULT])
def test_outcomes_are_those_of_the_rtl_whose_elements_are_gates(stays: str, tmp_path: Path) -> None:
    elements = [(0, 0), (2, 1), (1, 1)]
    found, netlist = target(stays, elements)
    made = found.products[0].run
    module, _ = module_of(found.products[0])
    table = FoldTable(*(getattr(made.tiles, name) for name in FoldTable._fields))
    sources = [RTL / f"systolic_{module.removeprefix('pe_')}.sv", RTL / "delay_line.sv"]
    rng, seen, unknown = np.random.default_rng(1), set(), 0
    many = share(300, 30, 10)
    for element in range(len(elements)):
        for stratum in range(2):
            (each,) = {*found.groups(stratum)}
            numbers = np.unique(rng.integers(element * each, (element + 1) * each, many))
            effects = found.effects(stratum, numbers)
            sites = [found.site(stratum, number) for number in numbers.tolist()]
            assert {(site["row"], site["column"]) for site in sites} == {elements[element]}
            faults = [GateFault(site["net"], site["kind"], site["cell"], site["pin"]) for site in sites]
            given = inputs_of(stays, table, made.a, made.b)
            said = icarus.array(netlist, module, BITS, SIZE, elements[element], faults, given, sources, tmp_path)
            for at in range(len(faults)):
                outcome = int(effects.outcome[at])
                if outcome == UNKNOWN:
                    unknown += 1
                    continue
                wrong = leaving(stays, table, said[at], made.shape)
                mine = (outcome, int(effects.wrong[at]), int(effects.worst[at]), bool(effects.decided[at]))
                assert mine == judged(made.product, wrong), sites[at]
                seen.add(outcome)
    assert {LOGICAL, CORRUPTED} <= seen and unknown < 0.3 * 6 * many


def test_fault_in_two_products_is_as_grave_as_in_the_worse_one_and_classes_stand_for_their_lines() -> None:
    both, _ = target(OPERAND, [(1, 0), (0, 1)], 2)
    each = [GateTarget("MAC", [one], QUANTISE, both.circuit, both.elements, decides=both.sums.decides) for one in both.products]
    numbers = np.random.default_rng(2).integers(0, both.strata[0].population, 200)
    whole, parts = both.effects(0, numbers), [one.effects(0, numbers) for one in each]
    assert (whole.wrong == parts[0].wrong + parts[1].wrong).all() and (whole.worst == np.maximum(parts[0].worst, parts[1].worst)).all()
    assert (((parts[0].outcome == CORRUPTED) | (parts[1].outcome == CORRUPTED)) == (whole.outcome == CORRUPTED)).all()
    classes = both.of_classes(0, np.arange(both.strata[0].classes))
    assert classes.weight is not None and classes.fault is not None and classes.weight.sum() == both.strata[0].population
    lines = np.repeat(classes.outcome, classes.weight)
    assert (np.sort(classes.fault) == classes.fault).all() and (lines[numbers] == whole.outcome).all()


def test_sample_of_a_small_array_holds_what_all_of_its_faults_say() -> None:
    found, _ = target(OPERAND, [(1, 0), (0, 1)])
    every = run(Campaign("all", found, Sample(exhaustive=1 << 40), 0, "all"), None)
    assert all(each.exhaustive for each in every.found)
    for by in ("stratum", IMPORTANCE):
        some = run(Campaign("some", found, Sample(faults=1000, by=by), 4, f"some {by}"), None)
        for whole, part in zip(every.found, some.found, strict=True):
            assert not part.exhaustive and part.silent.low <= whole.silent.value <= part.silent.high


GATES = SMALL.format(stays="B") + "in: gates\n"


def test_file_says_which_elements_and_kinds(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(GATES)
    found = load_campaign(tmp_path / "small.yaml").target
    assert isinstance(found, GateTarget)
    assert [each.name for each in found.strata] == ["stuck", "slow"] and len(found.elements) == 12
    assert all(each.population == 12 * 2 * len(found.circuit.lines) for each in found.strata)
    (tmp_path / "small.yaml").write_text(GATES + "faults: {kind: slow, elements: [[0, 2], [3, 0]]}\n")
    found = load_campaign(tmp_path / "small.yaml").target
    assert isinstance(found, GateTarget)
    assert ([each.name for each in found.strata], found.elements) == (["slow"], [(0, 2), (3, 0)])


BAD = [
    ("faults: {kind: stuk}", "15:16: gates have no fault 'stuk'; did you mean 'stuck'?"),
    ("faults: {elements: [[0, 3]]}", "15:21: an array of 4 x 3 has no element [0, 3]; write [row, column], from 0 on"),
    (
        "faults: {elements: [[0, 2], [0, 2]]}",
        "15:20: elements with faults are none, or some twice; name each once, or leave 'elements' out for all",
    ),
    ("faults: {bits: 2}", "15:10: faults of gates has no 'bits'; known: elements, kind"),
    ("rates: terrestrial", "15:8: rates are known for registers of an array only, and faults of gates are in gates; leave it out"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_bad_campaign_is_refused_in_one_line(line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(GATES + line + "\n")
    assert main(["inject", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.strip().endswith(f"bad.yaml:{said}"), error
