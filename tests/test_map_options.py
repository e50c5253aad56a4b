"""Options of `accelsim map` that ask for more than one mapping, or keep what was found: --pareto, --compare, --store."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.hardware.architecture import Architecture, Operation, Unit
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.stored import search_key, stored_search
from accelsim.io.workload import load_workload
from accelsim.jobs.store import Store
from accelsim.mapper import best, search
from accelsim.mapper.baselines import BASELINES
from accelsim.mapper.best import Found, Request
from accelsim.mapper.comparison import compare
from accelsim.mapper.front import UNITS, Front, figures_named, front
from accelsim.mapper.model import search_model
from accelsim.mapper.objectives import objective_named
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import cascade as build
from accelsim.workload.cascade import Cascade, Model
from tests.mapper import brute
from tests.mapper.small import GIGA, matmul, memory, one_unit, price, softmax, two_units, unit

SMALL = ("matmul", "--arch", "simple", "--set", "shape.m=8", "--set", "shape.n=8", "--set", "shape.k=4")
NO_CAPACITY = """machine: bare
clock: 1 GHz
tree: {memory: DRAM, size: unlimited, bandwidth: 1 GB/s, energy: 1 pJ/bit, feeds: {unit: PE, executes: {mac: 1 pJ}}}
"""
MODEL = """workload: pair
layers:
  - name: first
    shape: {m: 4, n: 4, k: 4}
    einsums: ['Z[m,n] = A[m,k] * B[k,n]']
  - name: second
    shape: {m: 4, n: 4, k: 4}
    einsums: ['Z[m,n] = A[m,k] * B[k,n]']
"""


THREE = """workload: three
layers:
  - {name: product, shape: {m: 8, n: 12, k: 6}, einsums: ['Z[m,n] = A[m,k] * B[k,n]']}
  - {name: pair, shape: {m: 6, n: 4, k: 8, o: 5}, einsums: ['T[m,n] = A[m,k] * B[k,n]', 'Z[m,o] = T[m,n] * C[n,o]']}
  - {name: again, shape: {m: 8, n: 12, k: 6}, einsums: ['Z[m,n] = A[m,k] * B[k,n]']}
  - {name: slice, shape: {m: 9, n: 4, k: 7}, einsums: ['Z[m,n] = A[m,k] * B[k,n]']}
"""
BAD = ("0", "-1", "two", "", "1.5", "999999999999")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _figures(many: int) -> str:
    return f"a front needs two or three figures, not {many}; write some of latency, energy, traffic, capacity, as in latency,energy\n"


def _says_nothing(option: str) -> str:
    return f"--{option} says nothing about a front, which is exact in every figure of --pareto; leave --{option} out\n"


def request(**changes: Any) -> Request:
    return dataclasses.replace(Request(objective_named("latency")), **changes)


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that a search writes."""
    assert main(["map", *arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pareto", "latency"], _figures(1)),
        (["--pareto", "latency,energy,traffic,capacity"], _figures(4)),
        (["--pareto", "latency,enrgy"], "there is no figure 'enrgy' to draw a front in; did you mean 'energy'?\n"),
        (["--pareto", "latency,edp"], "there is no figure 'edp' to draw a front in; known: capacity, energy, latency, traffic\n"),
        (["--pareto", "energy, energy"], "the figure 'energy' is given twice; remove one of the two\n"),
        (["--pareto", "latency,energy", "--compare"], "--pareto and --compare do not go together; leave one of the two out\n"),
        (["--pareto", "latency,energy", "--store", "kept"], "--pareto and --store do not go together; leave one of the two out\n"),
        (["--compare", "--store", "kept"], "--compare and --store do not go together; leave one of the two out\n"),
        (["--pareto", "latency,energy", "--objective", "energy"], _says_nothing("objective")),
        (["--pareto", "latency,energy", "--gap", "0.1"], _says_nothing("gap")),
        (["--pareto", "latency,energy", "--tiles", "any"], "--pareto searches tiles that divide the tile around them; leave --tiles out\n"),
        (["--pareto", "latency,energy", "-o", "front"], "front: a front has several mappings; name a folder that exists\n"),
        (["--compare", "--draw", "front.txt"], "--draw front.txt: not a kind of picture; end the name in .png, .svg or .pdf\n"),
        (["--compare", "-o", "."], ".: is a folder; name a file\n"),
        (["--compare", "--time-limit", "soon"], "--time-limit soon: not a number from 0; write seconds, as in 10\n"),
        *((["--workers", text], f"--workers '{text}' is not a whole number from 1; write digits, as in --workers 2\n") for text in BAD),
        (["--store", "taken"], "taken: cannot keep results: File exists; choose a folder that can be written\n"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_in_one_line(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "taken").write_text("")
    assert main(["map", *SMALL, *arguments]) == 2
    assert capsys.readouterr() == ("", message)
    assert [path.name for path in here.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["attention-causal", "--arch", "npu", "--pareto", "latency,energy"],
            "the exact search has no form for attention-causal on npu: QK has a condition; "
            "a front needs one; ask for one objective instead\n",
        ),
        (
            ["w.yaml", "--arch", "bare.yaml", "--pareto", "latency,capacity"],
            "bare has no single memory below DRAM whose capacity could be a figure; leave capacity out\n",
        ),
        (
            ["pair.yaml", "--arch", "simple", "--pareto", "latency,energy"],
            "--pareto: pair is a model, and its layers are mapped one by one; name a workload of one cascade\n",
        ),
        (
            ["pair.yaml", "--arch", "simple", "--compare"],
            "--compare: pair is a model, and its layers are mapped one by one; name a workload of one cascade\n",
        ),
    ],
)
def test_problems_without_a_front_or_a_comparison_are_refused_in_one_line(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bare.yaml").write_text(NO_CAPACITY)
    (here / "pair.yaml").write_text(MODEL)
    (here / "w.yaml").write_text("workload: w\nshape: {m: 2, n: 2, k: 2}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n")
    assert main(["map", *arguments]) == 2
    assert capsys.readouterr() == ("", message)


# --- fronts ---------------------------------------------------------------------------------------------------------------------------

PAIR = build("pair", "T[m] = A[m,k] * B[k]; Z[m] = T[m] * C[m]", {"m": 2, "k": 2})
PRODUCT = matmul(2, 2, 4)


def two_speeds() -> Architecture:
    """Main over Buffer over a cheap mac and, beside it, a dear one of two lanes."""
    dear = Unit("Dear", {name: Operation(name, Fraction(1), price(9.0)) for name in ("mac", "mul")}, 2)
    buffer = memory("Buffer", 16, None, 1.0, unit("Cheap", "mac", "mul"), dear)
    return Architecture("speeds", memory("Main", None, 4, 10.0, buffer), Fraction(GIGA))


PROBLEMS: dict[str, tuple[Cascade, Architecture]] = {
    "product": (PRODUCT, one_unit(words=24, rate=1)),
    "pair": (PAIR, one_unit(words=20, rate=1)),
    "pair on two": (build("pair", "T[m] = A[m] * B[m]; Z[m] = T[m] * C[m]", {"m": 2}), two_speeds()),
}


def measured(evaluation: Evaluation) -> dict[str, float]:
    """Every figure of an evaluation, from its JSON where that has it."""
    document = evaluation.to_json()
    root, home = (evaluation.evaluator.architecture.root.name, brute.home(evaluation.evaluator.architecture).name)
    moved = document["traffic"][root]
    return {
        "latency": document["latency"]["cycles"],
        "energy": document["energy_pj"],
        "traffic": moved["read_bytes"] + moved["write_bytes"],
        "capacity": document["components"][home]["peak_occupancy_bits"] / 8,
    }


@cache
def listed(problem: str) -> list[dict[str, float]]:
    """The figures of every mapping of a problem's space."""
    cascade, machine = PROBLEMS[problem]
    evaluator = Evaluator(cascade, machine)
    return [measured(evaluator.evaluate(each, checked=True)) for each in brute.mappings(cascade, machine, dividing=True)]


def least(values: set[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """The undominated ones, by comparing each with each."""
    return {one for one in values if not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in values)}


@pytest.mark.parametrize(
    "figures", ["latency,energy", "energy,capacity", "latency,traffic", "latency,energy,capacity", "traffic,capacity,latency"]
)
@pytest.mark.parametrize("problem", ["product", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pair", "pair on two"))])
def test_front_equals_the_undominated_of_every_mapping_that_there_is(problem: str, figures: str) -> None:
    cascade, machine = PROBLEMS[problem]
    names = figures_named(figures)
    everything = {tuple(float(f"{values[name]:.12g}") for name in names) for values in listed(problem)}
    found = front(cascade, machine, names, request())
    assert found.complete
    assert [tuple(float(f"{value:.12g}") for value in point.values) for point in found.points] == sorted(least(everything))
    # on one unit a single mapping is the best in all that asks for no room
    assert len(found.points) > 1 or not ("capacity" in names or ("energy" in names and machine.name == "speeds"))


@pytest.mark.parametrize("counting", [Counting(), Counting(drains="free", refill="every_visit")])
def test_values_of_a_front_are_those_of_its_mappings_evaluated_again(counting: Counting) -> None:
    cascade, machine = softmax(m=2, p=2, e=2), two_units(60)
    found = front(cascade, machine, tuple(UNITS)[:3], request(counting=counting, schedules=("sequential",)))
    for point in found.points:
        values = measured(Evaluator(cascade, machine, counting).evaluate(point.mapping))
        assert point.values == tuple(pytest.approx(values[name], rel=1e-12) for name in found.figures)


def test_ends_of_a_front_are_the_best_of_each_figure() -> None:
    cascade, machine = matmul(8, 6, 4), one_unit(words=24, rate=1)
    found = front(cascade, machine, ("latency", "energy"), request())
    for figure, end in (("latency", found.points[0].values[0]), ("energy", found.points[-1].values[1])):
        alone = search(cascade, machine, request=request(objective=objective_named(figure), tiles="dividing")).evaluation.search
        assert alone is not None and alone["proved_optimal"] and alone["value"] == pytest.approx(end, rel=1e-12)


def test_front_without_time_says_that_it_is_not_whole() -> None:
    found = front(PAIR, one_unit(), ("latency", "energy"), request(time_limit=0.0))
    assert isinstance(found, Front) and not found.complete


def test_front_is_written_as_json_whose_mappings_have_its_values(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "fronts").mkdir()
    document = result(capsys, *SMALL, "--pareto", "energy,capacity", "-o", "fronts")
    assert (document["schema"], document["complete"], document["space"]) == ("accelsim/front/1", True, "dividing tiles")
    assert [figure["name"] for figure in document["figures"]] == ["energy", "capacity"]
    names = [f"matmul-{number}.yaml" for number in range(1, len(document["points"]) + 1)]
    assert sorted(path.name for path in (here / "fronts").iterdir()) == sorted(names) and len(names) > 1
    for name, point in zip(names, document["points"], strict=True):
        assert (here / "fronts" / name).read_text() == f"# found for m = 8, n = 8, k = 4\n{point['mapping']}"
        assert main(["evaluate", *SMALL, "--mapping", f"fronts/{name}", "--json", "-"]) == 0
        evaluation = json.loads(capsys.readouterr().out)
        assert evaluation["energy_pj"] == point["values"]["energy"]
        assert evaluation["components"]["GlobalBuffer"]["peak_occupancy_bits"] == 8 * point["values"]["capacity"]


@pytest.mark.parametrize("figures", ["latency,energy", "energy,capacity", "latency,energy,capacity"])
def test_front_is_a_table_and_a_drawing(figures: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", *SMALL, "--pareto", figures, "--draw", "front.svg"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("matmul on simple: ") and "over tiles that divide (docs/mapspace.md) nothing beats" in out
    assert max(map(len, out.splitlines())) <= 100
    drawing = (here / "front.svg").read_text()
    assert "matmul on simple" in drawing and ("held in GlobalBuffer (B)" in drawing) == ("capacity" in figures)


# --- comparisons ----------------------------------------------------------------------------------------------------------------------


def test_comparison_lists_the_mapper_and_every_baseline_for_the_same_seconds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--objective", "energy", "--compare", "--time-limit", "0.3"]
    document = result(capsys, *arguments, "--draw", "curves.svg", "-o", "best.yaml")
    assert (document["schema"], document["unit"], document["time_limit_s"]) == ("accelsim/compare/1", "pJ", 0.3)
    assert [each["name"] for each in document["searches"]] == ["mapper", *BASELINES]
    values = {each["name"]: each["value"] for each in document["searches"]}
    assert document["search"]["value"] == values["mapper"]
    for each in document["searches"]:
        assert each["curve"][-1] == [each["seconds"], each["value"]]
    drawing = (here / "curves.svg").read_text()
    assert all(name in drawing for name in BASELINES) and "CPU seconds" in drawing
    assert main(["evaluate", *SMALL, "--mapping", "best.yaml", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["energy_pj"] == min(values.values())


def test_comparison_is_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", *SMALL, "--compare", "--time-limit", "0.2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("matmul on simple: latency, 0.2 CPU seconds each\n")
    assert all(f"\n{name} " in out for name in ("mapper", *BASELINES))


# --- stores ---------------------------------------------------------------------------------------------------------------------------


def never(*_: Any, **__: Any) -> Found:
    raise AssertionError("searched again")


def without_seconds(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: without_seconds(value) for key, value in document.items() if key != "seconds" or "objective" not in document}
    return [without_seconds(each) for each in document] if isinstance(document, list) else document


@pytest.mark.parametrize("model", [False, True])
def test_second_search_is_taken_from_the_store_with_the_same_numbers(
    model: bool, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pair.yaml").write_text(MODEL)
    asked = [*(("pair.yaml", "--arch", "simple") if model else SMALL), "--store", "kept", "--counting", "drains=free"]
    first = result(capsys, *asked)
    monkeypatch.setattr("accelsim.io.stored.search", never)
    assert without_seconds(result(capsys, *asked)) == without_seconds(first)
    assert len(Store(here / "kept").entries()) == 1
    with pytest.raises(AssertionError, match="searched again"):
        stored_search(Store("kept"), matmul(), one_unit(), request())


def test_equal_layers_of_a_model_are_evaluated_with_the_counting_that_was_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pair.yaml").write_text(MODEL)
    document = result(capsys, "pair.yaml", "--arch", "simple", "--counting", "drains=free")
    assert [layer["evaluation"]["counting"]["drains"] for layer in document["layers"]] == ["free", "free"]


CHANGES: list[Callable[[Request], Request]] = [
    lambda asked: dataclasses.replace(asked, objective=objective_named("energy")),
    lambda asked: dataclasses.replace(asked, objective=objective_named("latency, energy")),
    lambda asked: dataclasses.replace(asked, seed=1),
    lambda asked: dataclasses.replace(asked, counting=Counting(drains="free")),
    lambda asked: dataclasses.replace(asked, schedules=("sequential",)),
    lambda asked: dataclasses.replace(asked, tiles="dividing"),
    lambda asked: dataclasses.replace(asked, gap=0.1),
    lambda asked: dataclasses.replace(asked, time_limit=5.0),
]


def test_every_part_of_a_request_that_matters_is_part_of_the_key() -> None:
    keys = {search_key(matmul(), one_unit(), change(request())) for change in CHANGES} | {search_key(matmul(), one_unit(), request())}
    keys |= {search_key(matmul(5), one_unit(), request()), search_key(matmul(), one_unit(65), request())}
    assert len(keys) == len(CHANGES) + 3
    limits = [search_key(matmul(), one_unit(), request(time_limit=seconds)) for seconds in (1.0, 2.0)]
    assert limits[0] == limits[1]


def test_search_that_a_limit_ended_is_kept_only_where_it_is_proved(here: Path) -> None:
    store = Store("kept")
    cascade, machine = softmax(), two_units(600)
    cut = stored_search(store, cascade, machine, request(time_limit=0.0)).evaluation.search
    assert cut is not None and not cut["proved_optimal"] and not store.entries()
    whole = stored_search(store, matmul(), one_unit(), request(time_limit=100.0)).evaluation.search
    assert whole is not None and whole["proved_optimal"] and len(store.entries()) == 1


def test_interrupted_search_is_not_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run, calls = Store("kept"), best.Exact.run, []

    def interrupted(self: best.Exact) -> Any:
        calls.append(self)
        signal.raise_signal(signal.SIGINT)
        return run(self)

    monkeypatch.setattr(best.Exact, "run", interrupted)
    assert stored_search(store, matmul(), one_unit(), request()).interrupted
    assert len(calls) == 1 and not store.entries()


# --- --workers --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of three different layers, where kernels need not be compiled."""
    (here / "three.yaml").write_text(THREE)
    monkeypatch.setattr("accelsim.kernel_cache.is_cold", lambda source: False)


def timeless(text: str) -> str:
    """A document without the seconds that searches took."""
    return re.sub(r'"seconds": [0-9.e-]+', '"seconds": T', text)


@pytest.mark.parametrize("more", [(), ("--objective", "edp"), ("--store", "kept"), ("--tiles", "dividing", "--gap", "0.1")])
@pytest.mark.slow
def test_model_is_mapped_the_same_by_any_number_of_workers(
    more: tuple[str, ...], here: Path, compiled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for many in "1", "2", "3", "8":
        (here / many).mkdir()
        options = [text if text != "kept" else f"kept{many}" for text in more]
        assert main(["map", "three.yaml", "--arch", "simple", "--workers", many, "-q", "-o", many, "--json", "found.json", *options]) == 0
        saved = {path.name: path.read_bytes() for path in (here / many).iterdir()}
        found.append((timeless((here / "found.json").read_text()), saved))
        assert len(saved) == 4
    assert found[1:] == found[:1] * 3
    assert capsys.readouterr() == ("", "")
    assert "--store" not in more or len(Store("kept3").entries()) == 3


def test_message_about_a_layer_is_the_same_from_any_number_of_workers(
    here: Path, compiled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second and the third layer fail: no unit has roots, nor division."""
    (here / "bare.yaml").write_text(NO_CAPACITY)
    wrong = THREE.replace("'Z[m,o] = T[m,n] * C[n,o]'", "'Z[m,n] = sqrt(T[m,n])'").replace(", o: 5", "").replace(", k: 7", "")
    (here / "three.yaml").write_text("A[m,n] / B[m,n]".join(wrong.rsplit("A[m,k] * B[k,n]", 1)))
    messages = []
    for many in "1", "2", "3":
        assert main(["map", "three.yaml", "--arch", "bare.yaml", "--workers", many]) == 1
        messages.append(capsys.readouterr())
    assert messages[1:] == messages[:1] * 2
    assert messages[0].err == "three.yaml:4:84: no unit of bare can execute Z: PE has no 'sqrt'; give a unit the primitive\n"


def test_workers_tell_how_far_they_are(here: Path) -> None:
    told: list[str] = []
    model = load_workload(_written(here / "three.yaml", THREE))
    assert isinstance(model, Model)
    search_model(model, load_architecture(resolve("simple", MACHINE)), progress=told.append, workers=3)
    layers = {text.rpartition("; ")[2].partition(":")[0] for text in told}
    assert layers == {"product, layer 1 of 4", "pair, layer 2 of 4", "slice, layer 4 of 4"}


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_one_process_searches_while_kernels_have_to_be_compiled(here: Path, compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.kernel_cache.is_cold", lambda source: True)
    monkeypatch.setattr("accelsim.jobs.workers._Crew.start", never)
    assert main(["map", "three.yaml", "--arch", "simple", "--workers", "3", "-q"]) == 0


def test_comparison_has_the_same_searches_in_any_number_of_workers(here: Path, compiled: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = [result(capsys, *SMALL, "--compare", "--time-limit", "0.1", "--workers", many) for many in ("1", "2", "9")]
    for document in found:
        assert [each["name"] for each in document["searches"]] == ["mapper", *BASELINES]
        assert document["searches"][0]["value"] == found[0]["searches"][0]["value"]
        assert document["search"]["proved_optimal"]
        assert all(each["seconds"] >= 0.1 for each in document["searches"] if each["name"] in ("random", "annealing", "genetic"))


def test_interrupted_comparison_shows_the_best_so_far(here: Path, compiled: None) -> None:
    """The mapper is done by then, the first baseline is ended, and the others get no time."""

    def tell(text: str) -> None:
        if text.endswith("random: searching"):
            threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()

    for many in 1, 2:
        found = compare(matmul(), one_unit(), request(), 60.0, tell, workers=many)
        assert [each.name for each in found.contenders] == ["mapper", *BASELINES]
        assert found.contenders[1].value is not None and found.contenders[1].seconds < 20.0


# --- --constraints ----------------------------------------------------------------------------------------------------------------------

RULES = """constraints:
  - bypass: {memory: GlobalBuffer, tensors: [Z]}
  - keep: {memory: GlobalBuffer, tensors: [A], einsums: [Z]}
  - run: {einsums: [Z], units: [MAC]}
"""


def _constrained(text: str, here: Path, *more: str) -> int:
    (here / "rules.yaml").write_text(text, encoding="utf-8")
    return main(["map", *SMALL, "--constraints", "rules.yaml", "--objective", "energy", *more])


def test_a_mapping_obeys_its_constraints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _constrained(RULES, here, "-q", "-o", "found.yaml", "--json", "found.json") == 0
    text = (here / "found.yaml").read_text(encoding="utf-8")
    kept = re.findall(r"keep GlobalBuffer: \[([^\]]*)\]", text)
    assert any("A" in each for each in kept) and not any("Z" in each for each in kept), text
    assert json.loads((here / "found.json").read_text(encoding="utf-8"))["search"]["proved_optimal"]
    capsys.readouterr()


def test_a_constraint_never_helps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _constrained(RULES, here, "-q", "--json", "bound.json") == 0
    assert main(["map", *SMALL, "--tiles", "dividing", "--objective", "energy", "-q", "--json", "free.json"]) == 0
    bound, free = (json.loads((here / name).read_text(encoding="utf-8"))["search"]["value"] for name in ("bound.json", "free.json"))
    assert free < bound
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("constraints:\n  - bypass: {memory: GlobalBufer, tensors: [Z]}\n", "2:22: there is no memory 'GlobalBufer'; did you mean 'Glo"),
        ("constraints:\n  - bypass: {memory: GlobalBuffer}\n", "2:13: bypass needs 'tensors'; add 'tensors:'"),
        ("constraints:\n  - bypas: {}\n", "2:5: a constraint has no 'bypas'; did you mean 'bypass'?"),
        ("constraints:\n  - together: [Z]\n", "2:15: together needs two Einsums at least; name more of them"),
        ("rules: []\n", "1:1: a file of constraints has no 'rules'"),
        *(
            (f"constraints:\n  - {rule}\n", says)
            for rule, says in (
                ("tile: {memory: GlobalBuffer, rank: m}", "2:11: a tile is one size, or has bounds; write 'is: 64', or 'at_most: 64', "),
                ("tile: {memory: GlobalBuffer, rank: m, is: 4, at_most: 4}", "2:11: a tile is one size, or has bounds; write 'is: 64', "),
                ("tile: {memory: GlobalBuffer, rank: q, is: 4}", "2:40: there is no rank 'q'; known: k, m, n\n"),
                ("tile: {memory: GlobalBuffer, rank: m, size: 4}", "2:43: tile has no 'size'; known: at_least, at_most, einsums, is, "),
                ("tile: {memory: GlobalBuffer, rank: m, is: 3}", "2:47: no tile of m is 3, since tiles divide 8; 2 and 4 do\n"),
                ("tile: {memory: GlobalBuffer, rank: m, is: 0}", "2:47: 'is' must be at least 1, not 0\n"),
                ("tile: {memory: GlobalBuffer, rank: m, at_least: 16}", "2:53: m has only 8; write at most 8\n"),
                ("tile: {memory: GlobalBuffer, rank: m, at_most: 7, at_least: 5}", "2:65: no tile of m is from 5 to 7, since "),
                ("tile: {memory: GlobalBuffer, rank: m, at_most: 2, at_least: 4}", "2:11: no tile is at least 4 and at most 2; swap the "),
                ("tile: {memory: MainMemory, rank: m, is: 4}", "2:20: MainMemory is the root, which holds whole tensors above all "),
                ("loops: {memory: GlobalBuffer, ranks: [m, l]}", "2:46: there is no rank 'l'; known: k, m, n\n"),
                ("loops: {memory: MainMemory, ranks: [m]}", "2:21: MainMemory is the root, which holds whole tensors above all "),
                ("schedule: {einsums: [Z], as: staged}", "2:34: there is no schedule 'staged'; known: pipelined, sequential\n"),
                ("schedule: {as: pipelined}", "2:15: schedule needs 'einsums'; add 'einsums:'\n"),
                ("order: {memory: GlobalBuffer, ranks: [m]}", "2:42: an order needs two ranks at least, each once; name them from the "),
                ("order: {memory: GlobalBuffer, ranks: [m, k, m]}", "2:42: an order needs two ranks at least, each once; name them "),
                ("order: {memory: GlobalBuffer}", "2:12: order needs 'ranks'; add 'ranks:'\n"),
                ("order: {memory: GlobalBuffer, ranks: [m, o]}", "2:46: there is no rank 'o'; known: k, m, n\n"),
                ("stationary: {memory: GlobalBuffer, tensor: W}", "2:48: there is no tensor 'W'; known: A, B, Z\n"),
                ("stationary: {memory: GlobalBuffer, tensors: [A]}", "2:40: stationary has no 'tensors'; did you mean 'tensor'?\n"),
            )
        ),
    ],
)
def test_a_wrong_constraint_is_refused_at_its_place(text: str, says: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _constrained(text, here) == 2
    assert capsys.readouterr().err.startswith(f"rules.yaml:{says}")


def test_a_mapping_with_holes_is_a_set_of_constraints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loops = "[for m: 2, for k: ?, for n: ?, keep GlobalBuffer: [A, ?]]"
    text = f"mapping: rows\ntree:\n  - keep MainMemory: [A, B, Z]\n  - {{einsum: Z, unit: ?, loops: {loops}}}\n"
    assert _constrained(text, here, "-q", "-o", "found.yaml") == 0
    found = (here / "found.yaml").read_text(encoding="utf-8")
    assert re.search(r"loops: \[for m: 2,.* keep GlobalBuffer: \[A", found), found
    assert _constrained(found, here, "-q", "-o", "again.yaml") == 0
    assert (here / "again.yaml").read_text(encoding="utf-8") == found
    assert _constrained(text.replace("[A, ?]", "[W, ?]"), here) == 2
    assert capsys.readouterr().err == "rules.yaml:4:64: there is no tensor 'W'; known: A, B, Z\n"


def test_the_rule_that_rules_everything_out_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = "constraints:\n  - keep: {memory: GlobalBuffer, tensors: [Z]}\n  - bypass: {memory: GlobalBuffer, tensors: [Z]}\n"
    assert _constrained(both, here) == 1
    message = capsys.readouterr().err
    assert "leave out 'keep GlobalBuffer, Z' (rules.yaml:2:11) or 'bypass GlobalBuffer, Z' (rules.yaml:3:13)" in message
