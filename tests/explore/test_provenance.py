"""Joules down to their rows: lines add up to the energy that pricing finds, and rows say what stands in the files."""

from __future__ import annotations

from math import isclose, prod
from pathlib import Path

import pytest
import yaml

from accelsim.explore.provenance import Line, lines
from accelsim.hardware.origin import Figure
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.workload.cascade import Cascade
from tests.explore.test_reasons import runs
from tests.share import share

PAIRS = (
    ("attention-3pass", "flat", "attention-flat"),
    ("attention", "spatial", "attention-interleaved"),
    ("scan-sequential", "simple", "scan-by-channel"),
    ("softmax-two-pass-recomputed", "simple", "softmax-two-pass"),
)


def shipped(workload: str, machine: str, mapping: str) -> Evaluation:
    cascade = load_workload(resolve(workload, WORKLOAD))
    assert isinstance(cascade, Cascade)
    found, cascade = load_fitting(resolve(mapping, MAPPING), cascade)
    return evaluate(cascade, load_architecture(resolve(machine, MACHINE)), found)


def test_lines_add_up_to_the_energy_of_random_runs() -> None:
    for found in runs(11, share(400, 60, 12)):
        check_sums(found, lines(found))


def check_sums(found: Evaluation, energy: tuple[Line, ...]) -> None:
    for end in ("value", "low", "high"):
        total = sum(getattr(line.energy, end) for line in energy)
        assert isclose(total, getattr(found.energy, end), rel_tol=1e-9, abs_tol=1e-9)
    by_component: dict[str, float] = {}
    by_einsum: dict[str, float] = {}
    for line in energy:
        if line.einsum:
            by_component[line.component] = by_component.get(line.component, 0.0) + line.energy.value
            by_einsum[line.einsum] = by_einsum.get(line.einsum, 0.0) + line.energy.value
    for mine, theirs in ((by_component, found.by_component), (by_einsum, found.by_einsum)):
        for name in mine.keys() | theirs.keys():
            assert isclose(mine.get(name, 0.0), theirs.get(name, 0.0), rel_tol=1e-9, abs_tol=1e-9), name


@pytest.mark.parametrize(("workload", "machine", "mapping"), PAIRS)
def test_prices_of_shipped_machines_are_the_products_of_the_figures_that_they_name(workload: str, machine: str, mapping: str) -> None:
    found = shipped(workload, machine, mapping)
    energy = lines(found)
    check_sums(found, energy)
    for line in energy:
        for end in ("value", "low", "high"):
            made = sum(part.factor * prod(getattr(figure, end) for figure in part.figures) for part in line.parts)
            assert isclose(made, getattr(line.price, end), rel_tol=1e-9), (line.component, line.action, end)


@pytest.mark.parametrize(("workload", "machine", "mapping"), PAIRS)
def test_every_figure_stands_in_its_file_where_it_says(workload: str, machine: str, mapping: str) -> None:
    for figure in {each for line in lines(shipped(workload, machine, mapping)) for part in line.parts for each in part.figures}:
        for each in figure.between or (figure,):
            check_place(each)


def check_place(figure: Figure) -> None:
    """The line of the file, read as YAML without accelsim, has the component, the action, the kind and the source, or its short name."""
    assert figure.place is not None
    path = Path(figure.place.file)
    row = path.read_text(encoding="utf-8").splitlines()[figure.place.line - 1]
    if not figure.component:
        assert row[figure.place.column - 1 :].strip()
        return
    found = yaml.safe_load(row.strip().removeprefix("- "))
    assert (found["component"], found["action"], found["kind"]) == (figure.component, figure.action, figure.kind)
    sources = yaml.safe_load(path.read_text(encoding="utf-8")).get("sources", {})
    assert sources.get(found["source"], found["source"]) == figure.source


def test_a_price_between_two_sizes_names_both_rows() -> None:
    machine = load_architecture(resolve("npu", MACHINE), {"SRAM.size": "768 KiB"})
    price = machine.memories["SRAM"].read_pj
    assert price is not None
    (part,) = price.parts
    (figure,) = part.figures
    assert [float(each.size_bits or 0) / 8 / 1024 for each in figure.between] == [64, 1024]
    assert figure.between[0].value < figure.value < figure.between[1].value


def test_a_price_of_a_setting_says_so() -> None:
    machine = load_architecture(resolve("npu", MACHINE), {"PE.executes.mac": "0.9 pJ"})
    price = machine.units["PE"].operations["mac"].energy_pj
    assert price is not None
    assert str(price.parts[0].figures[0].place) == "--set arch.PE.executes.mac"
