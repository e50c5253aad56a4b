"""Points that share searches find what a search of each by itself finds."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from accelsim.errors import IllegalMapping
from accelsim.explore.families import Families, SharedCases, _with_bandwidth, optima, shareable, shared_points, timeless
from accelsim.explore.points import Point, evaluate_points
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.source import parse
from accelsim.io.sweep_cases import FileCases
from accelsim.io.workload import finder, read_workload
from accelsim.mapper.best import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.model.evaluation import Evaluator
from accelsim.workload.cascade import Cascade
from tests.share import share

DIVIDING = Request(objective_named("latency"), tiles="dividing")
CASCADES = (
    "workload: product\nshape: {{m: {a}, n: {b}, k: {c}}}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n",
    "workload: chain\nshape: {{m: {a}, n: {b}, k: {c}}}\neinsums: ['G[m,n] = A[m,k] * B[k,n]', 'Z[m] = exp(G[m,n])']\n",
    "workload: scores\nshape: {{m: {a}, p: {b}, e: {c}}}\n"
    "einsums: ['QK[m,p] = Q[p,e] * K[m,e]', 'SN[m,p] = exp(QK[m,p])', 'SD[p] = SN[m,p]']\n",
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
    """A small machine, fast or slow outside, of random clock."""
    clock = f"{rng.choice([250, 500, 1000])} MHz"
    outside = f"{rng.choice([1, 3, 4, 16, 64, 250, 1000, 4000])} MB/s"
    size, inside = f"{rng.choice([64, 128, 1024])} B", f"{rng.choice([4, 64])} B/cycle"
    lanes = str(rng.choice([1, 4]))
    return machine(
        "simple", clock=clock, MainMemory__bandwidth=outside, GlobalBuffer__size=size, GlobalBuffer__bandwidth=inside, MAC__lanes=lanes
    )


def points(seed: int, many: int) -> list[tuple[Cascade, Architecture, Request]]:
    """Random points, of few cascades, so that there is something to share."""
    rng = random.Random(seed)
    cascades = [any_cascade(rng) for _ in range(2)]
    return [(rng.choice(cascades), any_machine(rng), DIVIDING) for _ in range(many)]


@pytest.mark.parametrize("seed", range(share(40, 4, 1)))
def test_shared_optima_equal_searches_of_each_point(seed: int) -> None:
    asked = points(seed, 8)
    for (workload, at, request), found in zip(asked, optima(asked), strict=True):
        try:
            alone = search(workload, at, request=request)
        except IllegalMapping as refusal:
            assert str(found) == str(refusal)
            continue
        assert not isinstance(found, Exception)
        ours, fresh = found.evaluation.search, alone.evaluation.search
        assert ours is not None and fresh is not None
        assert ours["value"] == found.evaluation.cycles == fresh["value"]
        assert ours["proved_optimal"] >= fresh["proved_optimal"]
        # what is reported is what the mapping costs on this machine, which a second look at it says
        assert Evaluator(workload, at).evaluate(found.mapping).energy_pj == found.evaluation.energy_pj


def test_results_do_not_follow_from_the_order_or_the_chunks_of_points() -> None:
    asked = points(7, share(16, 6, 4))
    together = optima(asked)
    backwards = optima(asked[::-1])[::-1]
    alone = [optima([point])[0] for point in asked]
    for one, other, third in zip(together, backwards, alone, strict=True):
        if isinstance(one, Exception):
            assert str(one) == str(other) == str(third)
            continue
        assert not isinstance(other, Exception) and not isinstance(third, Exception)
        assert one.mapping == other.mapping == third.mapping
        assert one.evaluation.energy_pj == other.evaluation.energy_pj == third.evaluation.energy_pj
        rows = [{key: value for key, value in (found.evaluation.search or {}).items() if key != "seconds"} for found in (one, other, third)]
        assert rows[0] == rows[1] == rows[2]


def test_points_of_one_family_are_searched_twice_at_most() -> None:
    families, workload = Families(), cascade(CASCADES[1], a=8, b=8, c=4)
    inside = {"GlobalBuffer__bandwidth": "64 B/cycle", "MAC__lanes": "1"}
    for clock in (250, 500, 1000):
        for outside in (64, 128, 256):
            families.optimum(workload, machine("simple", clock=f"{clock} MHz", MainMemory__bandwidth=f"{outside} GB/s", **inside), DIVIDING)
    assert families.searched <= 2


def test_clock_and_bandwidth_in_step_are_one_problem() -> None:
    families, workload = Families(), cascade(CASCADES[0], a=8, b=8, c=4)
    for scale in (1, 2, 4):
        speeds = {"MainMemory__bandwidth": f"{scale * 10} MB/s", "GlobalBuffer__bandwidth": f"{scale} GB/s"}
        at = machine("simple", clock=f"{scale * 100} MHz", **speeds)
        families.optimum(workload, at, DIVIDING)
    assert families.searched <= 3


@pytest.mark.parametrize("seed", range(share(200, 20, 5)))
def test_no_mapping_takes_longer_where_the_outermost_memory_is_faster(seed: int) -> None:
    rng = random.Random(seed)
    workload, at = any_cascade(rng), timeless(any_machine(rng))
    assert at is not None
    try:
        mapping = search(workload, at, request=Request(objective_named("latency"), tiles="dividing", seed=seed)).mapping
    except IllegalMapping:
        return
    speeds = [Fraction(2) ** power for power in range(-6, 12, 3)]
    cycles = [Evaluator(workload, _with_bandwidth(at, speed)).evaluate(mapping).timing.latency for speed in speeds]
    clocks = [Evaluator(workload, _with_bandwidth(at, speed)).clock.per_cycle for speed in speeds]
    times = [Fraction(ticks) / clock for ticks, clock in zip(cycles, clocks, strict=True)]
    assert times == sorted(times, reverse=True)
    assert times[-1] >= Evaluator(workload, _with_bandwidth(at, None)).evaluate(mapping).steady_cycles


def test_only_latency_over_dividing_tiles_is_shared() -> None:
    workload = cascade(CASCADES[0], a=8, b=8, c=4)
    assert shareable(workload, DIVIDING)
    assert not shareable(workload, Request(objective_named("latency")))
    assert not shareable(workload, Request(objective_named("energy"), tiles="dividing"))
    assert not shareable(workload, Request(objective_named("latency, energy"), tiles="dividing"))
    assert not shareable(workload, Request(objective_named("latency"), tiles="dividing", time_limit=1.0))
    assert not shareable(workload, Request(objective_named("latency"), tiles="dividing", gap=0.1))


def test_rows_of_shared_points_have_the_cycles_of_rows_by_themselves() -> None:
    fixed = {"workload": "matmul", "arch": "simple", "tiles": "dividing", "arch.MAC.lanes": "1"}
    fixed |= {"shape.m": "8", "shape.n": "8", "shape.k": "4"}
    cases = FileCases(("arch.MainMemory.bandwidth",), fixed)
    asked = [Point(at, (f"{speed} GB/s",)) for at, speed in enumerate((1, 16, 256, 512))]
    for ours, alone in zip(shared_points(SharedCases(cases), asked), evaluate_points(cases, asked), strict=True):
        assert (ours.status, ours.cycles, ours.objective) == ("ok", alone.cycles, alone.objective)
        assert ours.proved_optimal and alone.proved_optimal
    assert SharedCases(cases).key(asked[0]) != cases.key(asked[0])
