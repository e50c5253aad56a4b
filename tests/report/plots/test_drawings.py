"""What is drawn is what the nouns say: values are read back from the artists and held against figures worked out another way."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

import accelsim
from accelsim import plots
from accelsim.errors import InputError
from accelsim.explore.sensitivity import Swing, Tornado, Turn
from accelsim.explore.sweeping import explore
from accelsim.model.evaluation import Evaluation
from accelsim.report.plots import style
from accelsim.report.plots.graphs import columns
from accelsim.report.plots.rooflines import bandwidths, marks, peaks
from accelsim.report.plots.waterfalls import energy_parts, modelled_steps, simulated_steps
from accelsim.sim.simulation import Simulation
from accelsim.workload.passes import all_passes, passes
from tests.explore.stub import stub_rows, stub_sweep
from tests.report.plots import examples

CASES = examples.CASES


def bars(ax: Axes) -> Iterator[tuple[str, int, float, float]]:
    """Every horizontal bar: its label, row, start and length."""
    for container in ax.containers:
        for bar in container:
            assert isinstance(bar, Rectangle)
            yield str(container.get_label()), round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()


def names(ax: Axes) -> list[str]:
    """The names of rows."""
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_no_mark_of_a_roofline_lies_above_its_roof(case: tuple[str, str, str]) -> None:
    evaluation = examples.evaluation(*case)
    limits, top = bandwidths(evaluation), sum(peaks(evaluation).values())
    found = list(marks(evaluation))
    assert found
    for mark in found:
        assert mark.rate <= top * (1 + 1e-9)
        assert mark.rate <= limits[mark.memory] * mark.intensity * (1 + 1e-9)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_roofline_draws_the_run_where_the_document_of_the_evaluation_has_it(case: tuple[str, str, str]) -> None:
    evaluation = examples.evaluation(*case)
    document = evaluation.to_json()
    everything = sum(sum(row["operations"].values()) for row in document["einsums"].values())
    ax = plots.roofline(evaluation)
    diamonds = [line for line in ax.get_lines() if line.get_marker() == "D"]
    roofs = {str(line.get_label()): line for line in ax.get_lines() if line.get_label() in document["traffic"]}
    assert roofs and len(diamonds) == sum(sum(document["traffic"][name].values()) > 0 for name in roofs)
    drawn = sorted((float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in diamonds)  # type: ignore[index]
    wanted = sorted(
        (everything / sum(document["traffic"][name].values()), everything / document["latency"]["seconds"])
        for name in roofs
        if sum(document["traffic"][name].values())
    )
    assert drawn == [pytest.approx(each) for each in wanted]
    for name, line in roofs.items():
        memory = evaluation.evaluator.architecture.memories[name]
        assert memory.read_bits_per_s is not None and memory.ports == "shared"
        for across, up in zip(line.get_xdata(), line.get_ydata(), strict=True):
            assert up / across == pytest.approx(float(memory.read_bits_per_s) / 8 * evaluation.evaluator.architecture.copies(name))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_parts_of_a_component_sum_to_its_energy(case: tuple[str, str, str]) -> None:
    evaluation = examples.evaluation(*case)
    found = {name: sum(parts.values()) for name, parts in energy_parts(evaluation).items()}
    assert {name: value for name, value in found.items() if value} == {
        name: pytest.approx(value) for name, value in evaluation.by_component.items() if value
    }


@pytest.mark.parametrize("by", ["component", "einsum"])
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_bars_of_an_energy_waterfall_follow_one_another_to_the_whole(case: tuple[str, str, str], by: str) -> None:
    evaluation = examples.evaluation(*case)
    ax = plots.energy_waterfall(evaluation, by=by)
    *steps, (_, row, start, whole) = bars(ax)
    reached = 0.0
    for _, _, left, length in steps:
        assert left == pytest.approx(reached, abs=1e-9 * whole)
        reached += length
    assert start == 0 and whole == pytest.approx(evaluation.energy_pj * 1e-12) and reached == pytest.approx(whole)
    assert names(ax)[row] == "energy"
    by_name = evaluation.by_component if by == "component" else evaluation.by_einsum
    drawn: dict[str, float] = {}
    for _, at, _, length in steps:
        drawn[names(ax)[at]] = drawn.get(names(ax)[at], 0.0) + length * 1e12
    assert {name: drawn.get(name, 0.0) for name in by_name} == {name: pytest.approx(value) for name, value in by_name.items()}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_steps_of_the_modelled_time_sum_to_the_latency_exactly_at_every_resource(case: tuple[str, str, str]) -> None:
    evaluation = examples.evaluation(*case)
    wanted = float(evaluation.evaluator.clock.cycles(evaluation.timing.latency))
    used = {load.unit for load in evaluation.loads.values()} | {port for load in evaluation.loads.values() for port in load.ports}
    for resource in used:
        head, *steps = modelled_steps(evaluation, resource)
        assert head.name == resource and sum(step.height for step in steps) == pytest.approx(wanted)
        busy = evaluation.to_json()["components"][resource]["busy_cycles"]
        if busy is not None:
            assert sum(step.height for step in steps if step.name in evaluation.loads) == pytest.approx(float(busy))


def test_steps_of_a_simulation_sum_to_its_cycles_and_name_what_was_waited_for() -> None:
    simulation = examples.simulation()
    head, *steps = simulated_steps(simulation)
    unit = simulation.units[head.name]
    assert sum(step.height for step in steps) == pytest.approx(float(unit.total))
    for cause in {wait.cause for wait in unit.waits if wait.cause != "fill"}:
        step = next(step for step in steps if step.name == f"waits: {cause}")
        assert step.height == pytest.approx(float(sum(wait.cycles for wait in unit.waits if wait.cause == cause)))
    ax = plots.latency_waterfall(simulation)
    assert list(bars(ax))[-1][3] == pytest.approx(float(unit.total))


def test_timeline_draws_the_first_events_where_they_were() -> None:
    simulation = examples.simulation()
    events = sorted(simulation.spans, key=lambda event: event.start)[:400]
    ax = plots.timeline(simulation)
    drawn = {}
    for collection in ax.collections:
        for path in collection.get_paths():
            box = path.get_extents()
            row = names(ax)[round((box.y0 + box.y1) / 2)]
            drawn.setdefault(row, []).append((box.x0, box.x1))
    for resource in {event.resource for event in events}:
        wanted = sorted((float(event.start), float(event.end)) for event in events if event.resource == resource)
        assert sorted(drawn[resource]) == [pytest.approx(each) for each in wanted]


def test_occupancy_draws_shares_of_the_size_at_the_right_time() -> None:
    simulation = examples.simulation()
    ax = plots.occupancy(simulation)
    assert len(ax.get_lines()) == len(simulation.held)
    for line, (memory, steps) in zip(ax.get_lines(), simulation.held.items(), strict=True):
        size = simulation.evaluation.evaluator.architecture.memories[memory].size_bits
        assert size is not None
        assert np.allclose(np.asarray(line.get_ydata(), float) * size, [bits for _, bits in steps])
        assert np.allclose(np.asarray(line.get_xdata(), float), [float(time) for time, _ in steps])


def test_run_draws_both_over_the_same_time() -> None:
    upper = plots.run(examples.simulation())
    first, second = style.whole(upper).axes
    assert first is upper and first.get_xlim() == second.get_xlim()


def test_line_of_a_front_joins_what_nothing_beats() -> None:
    rng = np.random.default_rng(5)
    table = {"a": rng.integers(0, 30, 60).tolist(), "b": rng.integers(0, 30, 60).tolist(), "c": rng.random(60).tolist()}
    points = list(zip(table["a"], table["b"], strict=True))
    best = {p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)}
    ax = plots.pareto(table, "a", "b", colour="c")
    (line,) = [line for line in ax.get_lines() if line.get_drawstyle().startswith("steps")]
    assert set(zip(line.get_xdata()[1:-1], line.get_ydata()[1:-1], strict=True)) == best  # type: ignore[index]
    dots = ax.collections[0]
    assert np.allclose(dots.get_offsets(), points) and np.allclose(np.asarray(dots.get_array()), table["c"])


def test_front_has_its_figures_as_axes_and_the_third_as_colour() -> None:
    from accelsim.mapper.front import Front, Point

    evaluation = examples.evaluation()
    values = [(100.0, 9e6, 1.0), (200.0, 5e6, 2.0), (200.0, 6e6, 0.5)]
    points = tuple(Point(evaluation.mapping, evaluation, each) for each in values)
    ax = plots.front(Front(("latency", "energy", "traffic"), points, None, True, 3, 3, 0.1))
    dots = ax.collections[0]
    assert np.allclose(dots.get_offsets(), [(latency, energy * 1e-12) for latency, energy, _ in values])
    assert np.allclose(np.asarray(dots.get_array()), [1.0, 2.0, 0.5])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latency (cycles)", "energy (J)")
    two = Front(
        ("latency", "energy"), tuple(Point(evaluation.mapping, evaluation, each[:2]) for each in values[:2]), None, False, 3, 3, 0.1
    )
    ax = plots.front(two)
    (line,) = ax.get_lines()
    assert np.allclose(line.get_xdata()[1:-1], [100, 200]) and "not finished" in ax.get_title(loc="left")  # type: ignore[index]


@pytest.mark.parametrize("name", ["attention-3pass", "attention-3pass-deferred", "attention-2pass", "attention", "softmax", "layernorm"])
def test_columns_of_a_graph_are_the_passes_that_tensors_cross(name: str) -> None:
    cascade = examples.cascade(name)
    for found in all_passes(cascade).values():
        column = columns(cascade, found)
        assert max(column.values()) == max(found.count, 1)
        for one, other, distance in cascade.graph.edges(data="distance"):
            assert distance or column[one] <= column[other]
        for crossing in (*found.crossing, *found.summaries):
            readers = [einsum.name for einsum in cascade.work if crossing.tensor in {access.tensor for access in einsum.reads}]
            assert crossing.read_in in {column[reader] for reader in readers}


def test_graph_has_a_box_for_every_einsum_in_its_pass_and_an_arrow_for_every_dependence() -> None:
    cascade = examples.cascade("attention-3pass")
    ax = plots.cascade_graph(cascade, "m")
    boxes = {text.get_gid().removeprefix("einsum "): text for text in ax.texts if (text.get_gid() or "").startswith("einsum ")}
    assert set(boxes) == {einsum.name for einsum in cascade.work}
    by_column: dict[int, list[float]] = {}
    for name, number in columns(cascade, passes(cascade, "m")).items():
        by_column.setdefault(number, []).append(boxes[name].get_position()[0])
    for earlier, later in itertools.pairwise(sorted(by_column)):
        assert max(by_column[earlier]) < min(by_column[later])
    arrows = {text.get_gid() for text in ax.texts if " to " in (text.get_gid() or "")}
    assert arrows == {f"{one} to {other}" for one, other in cascade.graph.edges}


def test_heat_map_has_each_value_in_its_cell_and_marks_what_is_missing() -> None:
    table = {"x": [4, 1, 4, 1, 2], "y": ["b", "b", "a", "a", "a"], "v": [1.0, 2.0, 3.0, math.nan, 500.0]}
    ax = plots.heat_map(table, "x", "y", "v")
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert np.array_equal(drawn, [[2.0, np.nan, 1.0], [np.nan, 500.0, 3.0]], equal_nan=True)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4"] and names(ax) == ["b", "a"]
    assert sorted((patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in ax.patches) == [(0, 1), (1, 0)]  # type: ignore[attr-defined]


def test_copies_of_an_array_are_cells_and_those_without_work_are_left_out() -> None:
    """A product of 7 x 3 on 4 x 4 copies: the mapping that is found gives rows 1 of n each, and columns 2, 2, 2 and 1 of m."""
    found = accelsim.map(accelsim.load("matmul", "workload", settings={"shape.m": 7, "shape.n": 3, "shape.k": 64}), "mini").evaluation
    assert isinstance(found, Evaluation)
    ax = plots.array_use(found)
    drawn = ax.images[0].get_array()
    full = 2 * 64 / (float(found.timing.latency) / found.evaluator.clock.per_cycle)
    assert np.array_equal(np.ma.getmaskarray(drawn), [[False] * 4] * 3 + [[True] * 4])
    assert np.allclose(drawn[:3], [[full, full, full, full / 2]] * 3)
    assert ax.get_title(loc="left").endswith("3 of 4 along row, 4 of 4 along column")
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("row", "column")
    run = accelsim.simulate(found.evaluator.cascade, "mini", found.mapping)
    assert isinstance(run, Simulation)
    slower = plots.array_use(run).images[0].get_array()
    assert np.allclose(slower * run.ticks, drawn * float(found.timing.latency))


def tornado_of(*swings: tuple[str, float, float]) -> Tornado:
    """A tornado around a figure of 1, by name and figure down and up."""
    made = tuple(Swing(name, "parameter", "1", Turn("0.5", (down, 0.0)), Turn("2", (up, 0.0))) for name, down, up in swings)
    return Tornado("made up", (), 2.0, ("latency_s", "area_um2"), (1.0, 0.0), made)


def test_tornado_orders_parameters_by_how_far_they_move_the_figure() -> None:
    found = tornado_of(("small", 0.9, 1.2), ("large", 3.0, 0.5), ("none", 1.0, 1.0), ("least", 1.0, 1.01), ("half", 2.5, math.nan))
    ax = plots.tornado(found, most=3)
    assert names(ax) == ["large = 1", "half = 1", "small = 1"]
    drawn = {(label.strip("_"), row): start + length for label, row, start, length in bars(ax)}
    assert drawn == {("down", 0): 3.0, ("up", 0): 0.5, ("down", 1): 2.5, ("down", 2): 0.9, ("up", 2): 1.2}
    assert "1 more move it less" in ax.get_xlabel() and [text.get_text().strip() for text in ax.texts] == ["up: no mapping"]


def test_sweep_draws_every_point_with_a_mapping_and_the_line_of_its_front(tmp_path: Path) -> None:
    sweep = stub_sweep(9, 8)
    found = explore(sweep, str(tmp_path / "points"), evaluate=stub_rows)
    try:
        ax = plots.sweep_front(found)
        rows = [row for _, row in found.rows() if row.status == "ok"]
        assert len(rows) < 72
        wanted = sorted((row.latency_s, row.energy_pj * 1e-12) for row in rows if row.latency_s and row.energy_pj)
        dots = ax.collections[0].get_offsets()
        assert np.allclose(sorted(map(tuple, dots)), wanted)
        (line,) = [line for line in ax.get_lines() if line.get_drawstyle().startswith("steps")]
        on_front = sorted({(row.latency_s, row.energy_pj * 1e-12) for _, row in found.front() if row.energy_pj})
        assert np.allclose(list(zip(line.get_xdata(), line.get_ydata(), strict=True))[1:-1], on_front)  # type: ignore[arg-type]
    finally:
        found.close()


def test_sweep_with_a_front_for_each_value_draws_each_in_its_colour_with_its_line(tmp_path: Path) -> None:
    """Points and lines of a group against the rows of its value, and what none of them beats, pair by pair."""
    found = explore(replace(stub_sweep(8, 6), each=("x1",)), str(tmp_path / "points"), evaluate=stub_rows)
    try:
        ax = plots.sweep_front(found)
        rows: dict[str, list[tuple[float, float]]] = {}
        for point, row in found.rows():
            if row.status == "ok" and row.latency_s and row.energy_pj:
                rows.setdefault(f"x1 = {point.values[1]}", []).append((row.latency_s, row.energy_pj * 1e-12))
    finally:
        found.close()
    lines = {str(line.get_label()): line for line in ax.get_lines() if line.get_drawstyle().startswith("steps")}
    legend = ax.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == list(lines) == list(rows)
    assert len({line.get_color() for line in lines.values()}) == len(rows) == 6
    for dots, (group, points) in zip(ax.collections, rows.items(), strict=True):
        assert np.allclose(dots.get_offsets(), points)
        kept = [one for one in points if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in points)]
        line = lines[group]
        assert np.allclose(list(zip(line.get_xdata(), line.get_ydata(), strict=True))[1:-1], sorted(set(kept)))  # type: ignore[arg-type]
        full = [tuple(face) == to_rgba(line.get_color()) for face in dots.get_facecolors()]  # type: ignore[attr-defined]
        assert full == [point in kept for point in points]
    assert any(len(line.get_xdata()) > 3 for line in lines.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
def test_tables_of_any_kind_are_drawn(kind: str) -> None:
    import pandas
    import polars
    import pyarrow

    plain = {"a": [3, 1, 2], "b": [1.0, 3.0, None]}
    table = {"arrow": pyarrow.table, "pandas": pandas.DataFrame, "polars": polars.DataFrame}[kind](plain)
    ax = plots.pareto(table, "a", "b")
    assert np.allclose(ax.collections[0].get_offsets(), [(3, 1), (1, 3)])
    with pytest.raises(InputError, match=r"the table has no column 'bb'"):
        plots.pareto(table, "a", "bb")
    assert plots.heat_map(table, "a", "a", "b").images[0].get_array().count() == 2


def test_points_of_a_sweep_that_break_its_rules_are_no_front() -> None:
    table = {"a": [3, 1, 2], "b": [1.0, 3.0, 0.5], "status": ["ok", "ok", "outside"], "why": ["", "", "a > 2"], "command": [""] * 3}
    ax = plots.pareto(table, "a", "b")
    assert np.allclose(ax.collections[0].get_offsets(), [(3, 1), (1, 3)])


@pytest.mark.parametrize("figure", ["latency", "energy", "traffic", "edp"])
def test_bars_that_compare_are_as_long_as_the_figure(figure: str) -> None:
    one, two = examples.evaluation(), examples.evaluation("softmax-recomputed", "simple", "softmax-recomputed")
    ax = plots.compare({"one": one, "two": two}, figure)
    lengths = [0.0, 0.0]
    for _, row, _, length in bars(ax):
        lengths[row] += length
    documents = [each.to_json() for each in (one, two)]
    wanted = {
        "latency": [
            float(Fraction(d["latency"]["steady_cycles"] + d["latency"]["fill_cycles"] + d["latency"]["drain_cycles"])) for d in documents
        ],
        "energy": [d["energy_pj"] * 1e-12 for d in documents],
        "traffic": [sum(d["traffic"]["MainMemory"].values()) for d in documents],
        "edp": [d["edp_pj_s"] * 1e-12 for d in documents],
    }
    assert lengths == [pytest.approx(each) for each in wanted[figure]]


def test_bars_of_a_campaign_are_the_shares_of_each_outcome() -> None:
    ax = plots.vulnerability(examples.outcome())
    assert names(ax) == ["array weights", "array counter"]
    drawn = {(label.strip("_"), row): length for label, row, _, length in bars(ax) if length}
    assert drawn == {("corrupted", 0): pytest.approx(0.25), ("hang", 1): pytest.approx(0.25)}
    assert ax.get_lines() == [] and "interval" not in ax.get_xlabel()


def test_bars_of_a_sample_have_their_intervals() -> None:
    outcome = examples.outcome(exhaustive=0)
    ax = plots.vulnerability(outcome)
    ends = [tuple(line.get_xdata()) for line in ax.get_lines()]
    assert ends == [(each.avf.low, each.avf.high) for each in outcome.found] and all(low < high for low, high in ends)
    assert "95 % intervals" in ax.get_xlabel()


def test_voltage_curves_are_the_laws_and_the_means_of_what_was_measured() -> None:
    from accelsim.faults.voltage import EnergyLaw, ErrorLaw

    ax = plots.voltage([1.0, 0.8], quality={"plain": [[0.9, 0.95], [0.2, 0.4, 0.6]]})
    above, middle, last = style.whole(ax).axes
    assert last is ax
    assert np.allclose(above.get_lines()[0].get_ydata(), [ErrorLaw().at(0.8), ErrorLaw().at(1.0)])
    assert np.allclose(middle.get_lines()[0].get_ydata(), [EnergyLaw().at(0.8), 1.0])
    assert np.allclose(last.get_lines()[0].get_ydata(), [0.4, 0.925])
    band = last.collections[0].get_paths()[0].vertices
    assert {round(float(y), 6) for _, y in band} == {0.2, 0.6, 0.9, 0.95}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.energy_waterfall(examples.evaluation(), by="einsums"), "energy is not drawn by 'einsums'; did you mean 'einsum'?"),
        (
            lambda: plots.latency_waterfall(examples.evaluation(), resource="MainMemry"),
            "no resource 'MainMemry' works here; did you mean 'MainMemory'?",
        ),
        (lambda: plots.pareto({"aa": [1]}, "aa", "ab"), "the table has no column 'ab'; known: aa"),
        (lambda: plots.pareto({"a": []}, "a", "a"), "the table has no rows to draw; give it some"),
        (
            lambda: plots.heat_map({"x": [1, 1], "y": [2, 2], "v": [3, 4]}, "x", "y", "v"),
            "several rows of the table have x 1 and y 2; choose the rows of one value of every other parameter",
        ),
        (
            lambda: plots.heat_map({"x": [1], "y": [2], "v": [None]}, "x", "y", "v"),
            "no row of the table has a number in column 'v'; draw another column",
        ),
        (lambda: plots.compare({}, "energy"), "there is nothing to compare; give it evaluations by name"),
        (
            lambda: plots.compare({"a": examples.evaluation()}, "energie"),
            "there is no figure 'energie' to compare; did you mean 'energy'?",
        ),
        (lambda: plots.voltage([1.0]), "1 voltages make no curve; give two or more"),
        (
            lambda: plots.voltage([1.0, 0.9], quality={"a": [[1.0]]}),
            "'a' has results of 1 voltages, not of 2; give one or more for each",
        ),
        (lambda: plots.tornado(tornado_of(("a", 1.0, 1.0))), "nothing changes latency_s; draw another figure"),
        (lambda: plots.tornado(tornado_of(), "area_um"), "the figure 'area_um' was not worked out; did you mean 'area_um2'?"),
        (lambda: plots.timeline(examples.simulation(events=0)), "the simulation kept no events to draw; simulate with events=1600"),
        (lambda: style.save(plots.roofline(examples.evaluation()), "roof.pgn"), "roof.pgn: cannot draw a '.pgn' file; did you mean 'png'?"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(draw: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        draw()  # type: ignore[operator]
    assert str(caught.value) == message


def test_drawing_leaves_the_settings_of_matplotlib_alone_and_takes_axes_that_are_given() -> None:
    from matplotlib.figure import Figure

    before = dict(matplotlib.rcParams)
    ax = Figure().add_subplot()
    assert plots.roofline(examples.evaluation(), ax=ax) is ax
    plots.as_svg(ax)
    assert dict(matplotlib.rcParams) == before


def test_short_name_is_there_without_an_import_and_loads_nothing_heavy_until_a_drawing_is_asked_for() -> None:
    shown = "print('matplotlib' in sys.modules)"
    code = f"import accelsim, sys; accelsim.plots; {shown}; accelsim.plots.roofline; {shown}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
    assert sorted(plots.__all__) == list(plots.__all__) == dir(plots)
    for name in plots.__all__:
        assert callable(getattr(plots, name))
    with pytest.raises(AttributeError, match="roofine"):
        _ = plots.roofine  # type: ignore[attr-defined]


def test_axes_show_themselves_in_notebooks_as_the_same_picture_every_time() -> None:
    pictures = [plots.roofline(examples.evaluation())._repr_svg_() for _ in range(2)]  # type: ignore[attr-defined]
    assert pictures[0] == pictures[1] and pictures[0].startswith("<svg") and "operations per byte" in pictures[0]
