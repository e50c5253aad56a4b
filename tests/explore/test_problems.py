"""Points that are one problem find what a search of each by itself finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import IllegalMapping
from accelsim.explore.points import Case, Point, evaluate_points, row_of
from accelsim.explore.problems import Problems, shareable, timeless
from accelsim.explore.sweeping import explore
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import dump_mapping
from accelsim.io.source import parse
from accelsim.io.sweep import sweep
from accelsim.io.sweep_cases import FileCases
from accelsim.io.workload import finder, read_workload
from accelsim.mapper.best import Found, Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.workload.cascade import Cascade
from tests.share import share

LATENCY = Request(objective_named("latency"))
DIVIDING = Request(objective_named("latency"), tiles="dividing")
CASCADES = (
    "workload: product\nshape: {{m: {a}, n: {b}, k: {c}}}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n",
    "workload: chain\nshape: {{m: {a}, n: {b}, k: {c}}}\neinsums: ['G[m,n] = A[m,k] * B[k,n]', 'Z[m] = exp(G[m,n])']\n",
    "workload: scores\nshape: {{m: {a}, p: {b}, e: {c}}}\n"
    "einsums: ['QK[m,p] = Q[p,e] * K[m,e]', 'SN[m,p] = exp(QK[m,p])', 'SD[p] = SN[m,p]']\n",
    "workload: scan\nshape: {{m: {a}, n: {b}, k: {c}}}\n"
    "einsums: ['H[0,n,k] = 0', 'H[m+1,n,k] = A[n,k] * H[m,n,k] + X[m,n]', 'Y[m,n] = H[m+1,n,k] * C[m,k]']\n",
)


def cascade(text: str, **sizes: int) -> Cascade:
    """One of the small cascades."""
    document = text.format(**sizes)
    found = read_workload(parse(document, "small"), document, finder(resolve("matmul", WORKLOAD)))
    assert isinstance(found, Cascade)
    return found


def machine(name: str, **settings: str) -> Architecture:
    """A shipped machine with other figures; `__` stands for the dot."""
    return load_architecture(resolve(name, MACHINE), {key.replace("__", "."): value for key, value in settings.items()})


def any_cascade(rng: random.Random) -> Cascade:
    """A small cascade of random sizes."""
    return cascade(rng.choice(CASCADES), a=rng.choice([4, 8, 12]), b=rng.choice([4, 8]), c=rng.choice([2, 4, 6]))


def any_machine(rng: random.Random) -> Architecture:
    """A small machine, fast or slow outside, of few ratios and random clock and static power."""
    scale = rng.choice([1, 2, 3, 7])
    outside = rng.choice([16, 4000])
    size = f"{rng.choice([64, 1024])} B"
    return machine(
        "simple", clock=f"{scale * 100} MHz", MainMemory__bandwidth=f"{scale * outside} MB/s", GlobalBuffer__size=size,
        GlobalBuffer__bandwidth="8 B/cycle", MAC__lanes=str(rng.choice([1, 4])), GlobalBuffer__static_power=f"{rng.choice([1, 500])} mW",
        MainMemory__background_power=f"{rng.choice([1, 20])} W",
    )  # fmt: skip


def points(seed: int, many: int) -> list[tuple[Cascade, Architecture, Request]]:
    """Random points, of few cascades, so that there is something to share."""
    rng = random.Random(seed)
    cascades = [any_cascade(rng) for _ in range(2)]
    request = rng.choice([LATENCY, DIVIDING, replace(DIVIDING, gap=0.2), replace(LATENCY, schedules=("sequential",))])
    return [(rng.choice(cascades), any_machine(rng), request) for _ in range(many)]


def outcome(find: Callable[..., Found], workload: Cascade, at: Architecture, request: Request) -> tuple[object, ...]:
    """All that a search says but how long it took; its refusal, if it has none."""
    try:
        found = find(workload, at, request=request)
    except IllegalMapping as refusal:
        return (str(refusal),)
    record = {name: value for name, value in (found.evaluation.search or {}).items() if name != "seconds"}
    return found.mapping, row_of(found.evaluation, dump_mapping), record


@pytest.mark.parametrize("seed", range(share(60, 6, 2)))
def test_points_of_a_problem_are_answered_as_a_search_of_each_answers(seed: int) -> None:
    asked, problems = points(seed, 10), Problems()
    for point in asked:
        assert outcome(problems.find, *point) == outcome(search, *point)
    assert problems.searched <= len(asked)


def test_answers_do_not_follow_from_the_order_of_points() -> None:
    asked = points(7, share(24, 10, 6))
    forwards, backwards = Problems(), Problems()
    there = [outcome(forwards.find, *point) for point in asked]
    back = [outcome(backwards.find, *point) for point in asked[::-1]]
    assert there == back[::-1]
    assert forwards.searched == backwards.searched < len(asked)


def test_clock_and_bandwidths_in_step_are_one_problem() -> None:
    problems, workload = Problems(), cascade(CASCADES[0], a=8, b=8, c=4)
    for scale in (1, 2, 4):
        speeds = {"MainMemory__bandwidth": f"{scale * 10} MB/s", "GlobalBuffer__bandwidth": f"{scale} GB/s"}
        for watts in (1, 3):
            at = machine("simple", clock=f"{scale * 100} MHz", MainMemory__background_power=f"{watts} W", **speeds)
            problems.find(workload, at, request=LATENCY)
    assert problems.searched == 1


def test_what_hangs_on_seconds_is_searched_point_by_point() -> None:
    assert shareable(LATENCY) and shareable(DIVIDING) and shareable(replace(DIVIDING, gap=0.1))
    assert not shareable(Request(objective_named("energy")))
    assert not shareable(Request(objective_named("edp")))
    assert not shareable(Request(objective_named("latency, energy")))
    assert not shareable(Request(objective_named("latency + energy")))
    assert not shareable(replace(LATENCY, time_limit=1.0))
    assert timeless(machine("simple")) is not None


def test_rows_of_a_sweep_are_those_of_searches_by_themselves() -> None:
    text = """
sweep: s
workload: matmul
arch: simple
objective: latency
set: {shape.m: 8, shape.n: 8, shape.k: 4, arch.GlobalBuffer.bandwidth: 32 B/cycle}
vary:
  arch.MAC.lanes: [1, 2]
  arch.clock: [100 MHz, 200 MHz, 400 MHz]
  arch.MainMemory.bandwidth: [1 GB/s, 2 GB/s, 4 GB/s]
  arch.MainMemory.background_power: [1 W, 2 W]
"""
    made = sweep(parse(text, "s"), text, Path())
    chunks: list[list[Point]] = []

    def spread(function: Callable[[Any], Any], given: Iterable[Any], /) -> Iterator[tuple[int, Any]]:
        for at, chunk in enumerate(given):
            chunks.append(chunk)
            yield at, function(chunk)

    found = explore(made, spread=spread)
    rows = dict(found.rows())
    assert len(rows) == 36
    for point, row in rows.items():
        case: Case = made.cases.case(point)
        assert isinstance(case.workload, Cascade)
        assert row == row_of(search(case.workload, case.machine, request=case.request).evaluation, made.cases.text)
    # five ratios of clock and bandwidth, twice, for two kinds of unit: each in one chunk
    problems = [{made.cases.problem(point) for point in chunk} for chunk in chunks]
    assert sum(len(each) for each in problems) == len(set().union(*problems)) == 10
    assert sorted(point.number for chunk in chunks for point in chunk) == list(range(36))


def test_points_of_given_mappings_and_of_other_objectives_are_no_problems() -> None:
    point = Point(0, ("1 GB/s",))
    fixed = {"workload": "matmul", "arch": "simple"}
    names = ("arch.MainMemory.bandwidth",)
    assert FileCases(names, fixed).problem(point) is not None
    assert FileCases(names, fixed | {"objective": "energy"}).problem(point) is None
    assert FileCases(names, fixed | {"time_limit": "1"}).problem(point) is None
    assert FileCases(names, fixed | {"mapping": "matmul-columns", "arch": "spatial"}).problem(Point(0, ("1 GB/s",))) is None
    assert FileCases(names, fixed | {"shape.nothing": "3"}).problem(point) is None
    (row,) = evaluate_points(FileCases(names, fixed | {"shape.nothing": "3"}), [point])
    assert row.status == "refused"
