"""The searches that the mapper is compared with: legal, repeatable, never better than what is possible, and shown side by side."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Memory
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper.baselines import BASELINES, Step, annealing, genetic, program, random_search, run
from accelsim.mapper.baselines.draws import Draws
from accelsim.mapper.baselines.points import Space
from accelsim.mapper.enumerate import Limits, enumerate_space
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapping.legality import is_legal
from accelsim.mapping.occupancy import occupancy
from accelsim.mapping.text import nest
from accelsim.mapping.tree import For, Fuse, Mapping, Spatial
from accelsim.model import Evaluator
from accelsim.model.options import Counting
from accelsim.report.compare import Row, table
from accelsim.report.plots.convergence import curves
from accelsim.report.plots.style import save
from accelsim.report.terminal import show
from accelsim.workload.build import cascade as build
from accelsim.workload.cascade import Cascade
from tests.mapper.small import grid, matmul, one_unit, price, running, softmax, two_units, unit

PROBLEMS = {
    "matmul on one": (matmul(), one_unit()),
    "matmul on grid": (matmul(16, 12, 10), grid()),
    "softmax on two": (softmax(), two_units(600)),
    "running on two": (running(), two_units()),
}
SEARCHES = {"random": random_search, "annealing": annealing, "genetic": genetic}


def steps(name: str, cascade: Cascade, architecture: Architecture, objective: str = "latency", seed: int = 0) -> list[Step]:
    """What a search finds in a fraction of a second."""
    return list(run(name, cascade, architecture, OBJECTIVES[objective], Counting(), seed, 0.3))


def proposed(name: str, cascade: Cascade, architecture: Architecture, seed: int, many: int) -> list[Mapping]:
    """The first mappings that a search proposes when each is answered with its energy."""
    draws = Draws(Space(cascade, architecture))
    evaluator = Evaluator(cascade, architecture)
    proposals = SEARCHES[name].proposals(draws, np.random.default_rng(seed))
    found = [draws.space.mapping(next(proposals))]
    while len(found) < many:
        found.append(draws.space.mapping(proposals.send(evaluator.evaluate(found[-1]).energy_pj)))
    return found


@pytest.mark.parametrize(("cascade", "machine"), PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("name", BASELINES)
def test_every_search_improves_over_legal_mappings_and_never_beats_the_bound(name: str, cascade: Cascade, machine: Architecture) -> None:
    found = steps(name, cascade, machine)
    evaluator = Evaluator(cascade, machine)
    for before, after in pairwise(found):
        assert before.seconds <= after.seconds and before.evaluated <= after.evaluated
        assert after.value < before.value or after is found[-1]
    for step in found:
        assert is_legal(cascade, machine, step.mapping)
        assert evaluator.evaluate(step.mapping).cycles == step.value >= evaluator.bounds()["min_cycles"]
    assert found[-1].value == found[-2].value and found[-1].mapping == found[-2].mapping


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SEARCHES)
def test_searches_without_end_reach_the_best_of_a_space_that_can_be_listed_and_nothing_beats_it(name: str, objective: str) -> None:
    cascade, machine = matmul(3, 2, 2), one_unit(words=12, rate=1)
    evaluator, value = Evaluator(cascade, machine), OBJECTIVES[objective].value
    least = min(value(evaluator.evaluate(mapping)) for mapping in enumerate_space(cascade, machine, Limits(dividing=False)))
    found = [step.value for step in run(name, cascade, machine, OBJECTIVES[objective], Counting(), 0, 0.6)]
    assert found[-1] == pytest.approx(least, rel=1e-12)
    assert steps("program", cascade, machine, objective)[-1].value >= least * (1 - 1e-12)


@pytest.mark.parametrize("name", SEARCHES)
def test_what_is_proposed_depends_on_the_seed_only(name: str) -> None:
    cascade, machine = softmax(), two_units(600)
    first = proposed(name, cascade, machine, 5, 150)
    assert first == proposed(name, cascade, machine, 5, 150)
    assert first != proposed(name, cascade, machine, 6, 150)


@pytest.mark.parametrize("name", BASELINES)
def test_a_seed_gives_the_same_values_after_the_same_number_of_evaluations(name: str) -> None:
    one, other = (steps(name, softmax(), two_units(600), seed=3) for _ in range(2))
    seen = min(one[-1].evaluated, other[-1].evaluated)
    curves = [[(step.evaluated, step.value) for step in found[:-1] if step.evaluated <= seen] for found in (one, other)]
    assert curves[0] == curves[1] and curves[0]


@pytest.mark.parametrize(("cascade", "machine"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_drawn_and_varied_is_legal(cascade: Cascade, machine: Architecture) -> None:
    draws, rng = Draws(Space(cascade, machine)), np.random.default_rng(1)
    for _ in range(40):
        point = draws.draw(rng)
        for _ in range(3):
            mapping = draws.space.mapping(point)
            assert is_legal(cascade, machine, mapping), nest(mapping)
            point = draws.vary(point, rng)


def test_variation_leaves_no_choice_of_a_small_space_out() -> None:
    # One unit under a buffer of one word: nothing, A, B or Z of a 1 x 1 x 1 product is kept there (as in test_enumerate).
    draws, rng = Draws(Space(matmul(1, 1, 1), one_unit(words=1))), np.random.default_rng(0)
    point = draws.draw(rng)
    found = set()
    for _ in range(200):
        point = draws.vary(point, rng)
        found.add(nest(draws.space.mapping(point)))
    assert len(found) == 4


def test_a_mapping_that_is_proposed_again_is_not_evaluated_again() -> None:
    assert steps("random", matmul(1, 1, 1), one_unit(words=1))[-1].evaluated == 4


def test_einsums_around_a_recurrence_are_one_part_and_what_they_pass_on_stays_at_home() -> None:
    space = Space(running(), two_units())
    draws, rng = Draws(space), np.random.default_rng(0)
    assert space.names == ("LM", "RM", "PR", "SP", "RD", "O") and space.cuts == (1, 2, 3, 5)  # SP and RD make each other
    group = space.group(("SP", "RD"))
    assert group.single == ("i",) and group.internal == ("SP",)
    fused = [part.einsums for part in draws.draw(rng).parts if "SP" in part.einsums]
    assert all("RD" in einsums for einsums in fused) and fused
    whole = space.group(space.names)
    assert whole.joined and set(whole.carried) == {"RM", "RD"}


def test_parts_fused_and_one_after_the_other_are_both_drawn() -> None:
    draws, rng = Draws(Space(softmax(), two_units())), np.random.default_rng(0)
    points = [draws.draw(rng) for _ in range(60)]
    assert {len(point.parts) for point in points} == {1, 2, 3, 4, 5}
    assert any(point.residents for point in points)
    fuses = [node for point in points for node in draws.space.mapping(point).nodes if isinstance(node, Fuse)]
    assert {fuse.schedule for fuse in fuses} == {"sequential", "pipelined"}


def test_conditions_are_counted_over_few_tiles_and_no_copies() -> None:
    # Tiles are listed one by one along loops in time, and for every copy where time cuts what copies share out (model, kernels_masked).
    text = "QK[m,p] = Q[p,e] * K[m,e] where m <= p; S[p] = QK[m,p] * W[m] where m <= p"
    cascade, machine = build("causal", text, {"m": 2048, "p": 2048, "e": 4}), grid(1 << 22, 1 << 20)
    draws, rng = Draws(Space(cascade, machine)), np.random.default_rng(0)
    point = draws.draw(rng)
    for number in range(150):
        mapping = draws.space.mapping(point)
        for path, _ in mapping.paths():
            steps, left, spread = 1, dict(cascade.extents), set()
            for loop in path:
                if isinstance(loop, For) and loop.rank in ("m", "p"):
                    steps *= -(-left[loop.rank] // loop.tile)
                    assert loop.rank not in spread, nest(mapping)
                if isinstance(loop, Spatial):
                    spread.add(loop.rank)
                if isinstance(loop, (For, Spatial)):
                    left[loop.rank] = loop.tile
            assert steps <= 1 << 14
        point = draws.vary(point, rng) if number % 3 else draws.draw(rng)


@pytest.mark.parametrize("words", [3, 30, 256])
@pytest.mark.parametrize("registers", [1, 4])
def test_the_solution_of_a_program_fits_as_it_is(words: int, registers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cascade, machine = matmul(16, 13, 11), grid(words, registers)
    draws = Draws(Space(cascade, machine))
    monkeypatch.setattr(draws.fitting, "fitted", lambda point, rng: point)
    for objective in (OBJECTIVES["latency"], OBJECTIVES["energy"]):
        mapping = draws.space.mapping(program.solved(draws, objective, np.random.default_rng(0)))
        assert is_legal(cascade, machine, mapping)
        held = occupancy(cascade, machine, mapping)
        assert all(held[name] <= (memory.size_bits or held[name]) for name, memory in machine.memories.items())


def test_a_program_spreads_a_product_over_all_copies() -> None:
    # 16 x 12 x 10 points on 4 x 3 units take 160 cycles; a root of 4 words a cycle moves the 472 words in 118.
    assert steps("program", matmul(16, 12, 10), grid(registers=16))[-1].value == 160


def test_a_program_keeps_the_array_of_a_shipped_machine_busy() -> None:
    # 1024^3 points on 4 x 128 x 128 elements: 16384 cycles. CoSA's objective is a proxy, so some more are allowed.
    cascade = load_workload(resolve("matmul", WORKLOAD), {})
    assert isinstance(cascade, Cascade)
    assert steps("program", cascade, load_architecture(resolve("tpu_like", MACHINE), {}))[-1].value <= 1.5 * 16384


def test_time_stands_still_while_the_caller_works() -> None:
    search = run("random", matmul(16, 12, 10), grid(), OBJECTIVES["latency"], Counting(), 0, 0.2)
    first = next(search)
    until = process_time() + 0.5
    while process_time() < until:
        pass
    assert next(search).seconds < first.seconds + 0.5


def test_an_unknown_search_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        steps("anealing", matmul(), one_unit())
    assert str(caught.value) == "there is no baseline 'anealing'; did you mean 'annealing'?"


@pytest.mark.parametrize("name", BASELINES)
def test_a_root_that_cannot_hold_the_inputs_is_named(name: str) -> None:
    root = Memory("Main", 16 * 20, read_pj=price(1.0), write_pj=price(1.0), feeds=(unit("U", "mac"),))
    machine = Architecture("tiny", root, one_unit().clock_hz)
    with pytest.raises(IllegalMapping) as caught:
        steps(name, matmul(8, 8, 8), machine)
    assert str(caught.value) == "no legal mapping of gemm on tiny was found: tile Z[8,8] needs 256 B, Main holds 40 B; shrink m or n"


CURVES = {"random": [(0.01, 900.0), (0.2, 400.0), (1.0, 400.0)], "program": [(0.3, 150.0), (0.3, 150.0)]}


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.slow
def test_curves_are_drawn_in_every_form_and_the_same_every_time(ending: str, tmp_path: Path) -> None:
    for proved in (None, (120.0, 100.0), (120.0, 120.0)):
        paths = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
        for path in paths:
            save(curves(CURVES, proved, "cycles"), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_drawing_names_searches_by_their_end_and_what_is_proved(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    save(curves(CURVES, (120.0, 100.0), "cycles"), path)
    text = path.read_text(encoding="utf-8")
    for words in (
        "program  1.250x",
        "random  3.333x",
        "exact search  120 cycles",
        "lower bound  100 cycles",
        "CPU seconds",
        "best found (cycles)",
    ):
        assert words in text
    save(curves(CURVES, (120.0, 120.0), "cycles"), path)
    assert "proved optimal  120 cycles" in path.read_text(encoding="utf-8")


def test_a_drawing_of_nothing_or_of_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        save(curves(CURVES, None, "cycles"), "curves.pgn")
    assert str(caught.value) == "curves.pgn: cannot draw a '.pgn' file; did you mean 'png'?"
    with pytest.raises(InputError) as caught:
        curves({"random": []}, None, "cycles")
    assert str(caught.value) == "no search found anything to draw; give the searches more time"


def test_a_table_compares_with_the_best_and_keeps_what_found_nothing() -> None:
    rows = [Row("random", 400.0, 1500, 1.0), Row("program", 150.0, 1, 0.3), Row("genetic", None, 12, 1.0)]
    stream = io.StringIO()
    show([table(rows, "cycles")], stream)
    assert [line.split() for line in stream.getvalue().splitlines() if "─" not in line] == [
        ["search", "value", "to", "the", "best", "evaluated", "CPU", "seconds"],
        ["program", "150", "cycles", "1.000x", "1", "0.30"],
        ["random", "400", "cycles", "2.667x", "1,500", "1.00"],
        ["genetic", "-", "-", "12", "1.00"],
    ]
