"""Nouns show themselves in notebooks and on a prompt: IPython's own formatter asks them, everything is escaped, and it stays short."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from IPython.core.formatters import DisplayFormatter

from accelsim import markup
from accelsim.explore.sensitivity import Swing, Tornado, Turn
from accelsim.explore.sweeping import explore
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapper.front import Front, Point
from accelsim.model.layers import ModelEvaluation
from accelsim.workload.cascade import Layer, Model
from tests.explore.stub import stub_rows, stub_sweep
from tests.report.plots import examples


class Cells(HTMLParser):
    """The words of each cell, and every tag that is opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag in {"td", "th", "pre"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open[-1] in {"td", "th", "pre"}:
            self.cells[-1] += data


def model() -> Model:
    return Model("two of it", (Layer(examples.cascade("softmax"), times=2),))


def tornado() -> Tornado:
    swing = Swing("x", "parameter", "1", Turn("0.5", (2.0,)), Turn("2", (math.nan,), "too large"))
    return Tornado("made up", (("x", "1"),), 2.0, ("latency_s",), (1.0,), (swing,))


def front() -> Front:
    evaluation = examples.evaluation()
    return Front(("latency", "energy"), (Point(evaluation.mapping, evaluation, (1.0, 2.0)),), None, True, 1, 1, 0.1)


NOUNS: dict[str, tuple[Callable[[], object], str]] = {
    "Cascade": (lambda: examples.cascade("softmax"), "softmax: 4 Einsums from X to Y"),
    "Model": (model, "two of it: a model of 1 layer, 2 with repetitions"),
    "Architecture": (lambda: load_architecture(resolve("simple", MACHINE)), "simple"),
    "Mapping": (lambda: examples.evaluation().mapping, "exponentials through memory"),
    "Evaluation": (examples.evaluation, "softmax on simple: 209,716 cycles"),
    "ModelEvaluation": (lambda: ModelEvaluation(model(), (examples.evaluation(),)), "two of it on simple: 419,432 cycles"),
    "Simulation": (examples.simulation, "cycles simulated, 209,716 modelled"),
    "Campaign": (lambda: examples.outcome().campaign, "made up: 40 upsets"),
    "Tornado": (tornado, "made up: 1 parameters and prices moved around x = 1"),
    "Front": (front, "softmax on simple: 1 mapping by latency and energy; nothing over dividing tiles beats one"),
    "Outcome": (examples.outcome, "made up: 40 injected; 25.00% of all upsets matter"),
}


@pytest.mark.parametrize("name", NOUNS)
def test_noun_shows_itself_in_a_notebook(name: str) -> None:
    make, words = NOUNS[name]
    noun = make()
    found, _ = DisplayFormatter().format(noun)
    html = Cells()
    html.feed(found["text/html"])
    assert html.open == [] and words in html.text and len(html.cells) > 0
    assert repr(noun).startswith(f"<{name} ") and len(repr(noun)) < 400 and "\n" not in repr(noun)


def test_cells_of_an_evaluation_are_those_of_its_document() -> None:
    evaluation = examples.evaluation()
    html = Cells()
    html.feed(evaluation._repr_html_())
    for name, row in evaluation.to_json()["components"].items():
        at = html.cells.index(name)
        assert html.cells[at + 1] == ("-" if row["busy_cycles"] is None else f"{row['busy_cycles']:,.0f}")


def test_sweep_shows_the_points_of_its_front(tmp_path: Path) -> None:
    found = explore(stub_sweep(9, 8), str(tmp_path / "points"), evaluate=stub_rows)
    try:
        html = Cells()
        html.feed(found._repr_html_())
        assert html.open == [] and repr(found).startswith("<Exploration stub: 72 points: ")
        at = html.cells.index("limited by") + 1
        width = 1 + len(found.sweep.names) + len(found.sweep.front) + 1
        assert html.cells[at::width] == [str(point.number) for point, _ in found.front()]
    finally:
        found.close()


def test_names_are_escaped() -> None:
    evil = dataclasses.replace(examples.cascade("softmax"), name="<script>alert(1)</script>")
    assert "<script>" not in evil._repr_html_() and "&lt;script&gt;" in evil._repr_html_()
    assert "<b>" not in markup.table("a", ["<b>"], [["<b>"]], foot="<b>") + markup.lines("<b>: <b>", "<b>")


def test_long_table_says_what_it_leaves_out() -> None:
    html = Cells()
    html.feed(markup.table("many: rows", ["a"], [[at] for at in range(1234)]))
    assert len(html.cells) == 1 + markup.MOST and "1,034 more rows are not shown" in html.text


def test_showing_a_machine_or_a_mapping_loads_neither_matplotlib_nor_numba() -> None:
    code = (
        "import sys\nfrom accelsim.hardware.architecture import Architecture, Memory\nfrom accelsim.mapping.tree import Leaf, Mapping\n"
        "from fractions import Fraction\nArchitecture('a', Memory('M'), Fraction(1))._repr_html_()\n"
        "Mapping('m', (Leaf('A', 'U'),))._repr_html_()\n"
        "print([name for name in ('matplotlib', 'numba', 'IPython', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
