"""Search over equivalent cascades: what is reached, what is left out, and that it finds the chunk of a scan that a closed form predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.explore.cascades import LEFT_OUT, MAPPED, NOT_REACHED, Candidates, explore
from accelsim.explore.equivalents import equivalents
from accelsim.hardware.architecture import Architecture
from accelsim.io.hardware import load_architecture
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.passes import passes
from accelsim.workload.transform.steps import derive, parse
from accelsim.workload.transform.structure import structure
from tests.share import share

LANES = """
machine: lanes
source: "made up: lanes that do everything, a step of a scan included"
clock: 1 GHz
let: {lanes: 16}
tree:
  memory: Buffer
  size: unlimited
  bandwidth: unlimited
  energy: unpriced
  feeds:
    array: vector
    axes: {lane: {size: lanes, multicast: true}}
    feeds:
      unit: LANE
      executes: {scan mac mul add sub exp max div: unpriced}
"""
SOFTMAX = "GM[p] = max[m](X[m,p]) ; SN[m,p] = exp(X[m,p] - GM[p]) ; SD[p] = SN[m,p] ; A[m,p] = SN[m,p] / SD[p] ; Y[f,p] = A[m,p] * V[m,f]"


def lanes(folder: Path, count: int) -> Architecture:
    path = folder / "lanes.yaml"
    path.write_text(LANES, encoding="utf-8")
    return load_architecture(path, {"let.lanes": str(count)})


def scan(steps: int, channels: int = 1) -> Cascade:
    text = "H[0,i] = 0 ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i] ; Y[t,i] = C[t,i] * H[t+1,i]"
    return cascade("scan", text, {"t": steps, "i": channels})


def found(made: Cascade, machine: Architecture, objective: str = "latency", limit: float | None = None, deepest: int = 4) -> Candidates:
    return explore(made, machine, Request(objective_named(objective), time_limit=limit), lambda _: None, deepest=deepest)


def chunked_cycles(steps: int, channels: int, chunk: int, count: int) -> int:
    """Two scans inside the chunks, side by side on the lanes; a carry from chunk to chunk; the fix-up and the product with C."""
    chunks = steps // chunk
    return 2 * chunk * -(-chunks * channels // count) + chunks * -(-channels // count) + 2 * -(-steps * channels // count)


USUAL = [(16, 1, 16), (24, 1, 8), (36, 1, 4), (24, 2, 8), (36, 3, 12), (16, 16, 16)]
MORE = [(32, 1, 64), (64, 1, 64), (96, 1, 16), (128, 1, 32), (60, 1, 1), (16, 4, 16), (64, 2, 32)] if share(1, 0, 0) else []


def divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


@pytest.mark.parametrize(("steps", "channels", "count"), USUAL + MORE)
def test_best_chunk_of_a_scan_is_the_one_that_the_closed_form_predicts(steps: int, channels: int, count: int, tmp_path: Path) -> None:
    """Every chunk that divides is tried in the closed form; the search knows nothing of it. One scan after the other: T + T/lanes."""
    result = found(scan(steps, channels), lanes(tmp_path, count))
    least = min(chunked_cycles(steps, channels, size, count) for size in divisors(steps))
    sequential = steps * -(-channels // count) + -(-steps * channels // count)
    best = result.best.found
    assert best is not None
    assert best.evaluation.cycles == min(least, sequential)
    if least < sequential:
        assert str(result.best.equivalent.steps[0]) == "chunk H"
        assert chunked_cycles(steps, channels, dict(best.mapping.sizes)["t0"], count) == least
    else:
        assert result.best is result.original


@pytest.mark.parametrize(("steps", "channels"), [(64, 1)] + ([(64, 2)] if share(1, 0, 0) else []))
def test_best_chunk_of_the_selective_scan_on_a_shipped_machine_is_near_the_root_of_its_length(steps: int, channels: int) -> None:
    """On `npu` states advance on the array and decays on the lanes, side by side: what the chunk decides is Q + T/Q, least at 8 of 64."""
    from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
    from accelsim.io.workload import load_workload

    start = load_workload(resolve("scan-sequential", WORKLOAD), {"shape.t": str(steps), "shape.i": str(channels), "shape.n": "1"})
    assert isinstance(start, Cascade)
    result = found(start, load_architecture(resolve("npu", MACHINE)))
    first, best = result.original.found, result.best.found
    assert first is not None and best is not None and first.evaluation.cycles > best.evaluation.cycles
    least = min(size + steps // size for size in divisors(steps))
    chosen = dict(best.mapping.sizes)["t0"]
    assert chosen + steps // chosen == least


def test_scan_unit_that_takes_many_steps_at_once_is_used() -> None:
    """64 steps of 16 channels are 4 issues for each of 2 channels on 8 scan units of `ssm_npu`; its lanes would take 64."""
    from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
    from accelsim.io.workload import load_workload
    from accelsim.mapper.best import search

    start = load_workload(resolve("scan-sequential", WORKLOAD), {"shape.t": "64", "shape.i": "16", "shape.n": "1"})
    assert isinstance(start, Cascade)
    evaluation = search(start, load_architecture(resolve("ssm_npu", MACHINE))).evaluation
    load = evaluation.loads["H"]
    assert load.unit == "SCAN" and evaluation.evaluator.clock.cycles(load.busy) == 4 * 2


def test_closed_form_counts_each_chunk_as_the_model_does(tmp_path: Path) -> None:
    from accelsim.mapper.best import search

    for chunk in (1, 2, 4, 8, 16):
        made = derive(scan(16), parse(f"chunk H t1 t0 {chunk}"))
        assert search(made, lanes(tmp_path, 16)).evaluation.cycles == chunked_cycles(16, 1, chunk, 16)


def test_one_pass_form_is_reached_and_each_structure_once() -> None:
    start = cascade("rows", SOFTMAX, {"p": 4, "m": 8, "f": 2})
    made, complete = equivalents(start)
    assert complete
    keys = [structure(each.cascade) for each in made]
    assert len(set(keys)) == len(keys)
    by_name = {each.name: each.cascade for each in made}
    assert passes(by_name["as given"], "m").count == 3
    assert passes(by_name["defer Y; stream m"], "m").count == 1
    assert "stream m; defer Y" in by_name or structure(derive(start, parse("stream m; defer Y"))) in keys
    assert len(equivalents(start, most=3)[0]) == 3 and not equivalents(start, most=3)[1]


def test_cascade_that_cannot_win_is_left_out_and_nothing_better_is(tmp_path: Path) -> None:
    """Every equivalent is mapped by itself too: none of those left out is better than what was found."""
    from accelsim.mapper.best import search

    start = cascade("rows", SOFTMAX, {"p": 4, "m": 8, "f": 2})
    machine = lanes(tmp_path, 4)
    result = found(start, machine, deepest=2)
    assert result.best.found is not None
    best = result.best.found.evaluation.cycles
    outcomes = {each.outcome for each in result.candidates}
    assert LEFT_OUT in outcomes and outcomes <= {MAPPED, LEFT_OUT}
    for each in result.candidates:
        if each.outcome == LEFT_OUT:
            assert search(each.equivalent.cascade, machine).evaluation.cycles >= best


def test_time_limit_is_kept_and_the_original_is_mapped(tmp_path: Path) -> None:
    result = found(cascade("rows", SOFTMAX, {"p": 4, "m": 8, "f": 2}), lanes(tmp_path, 4), limit=0.0)
    assert result.original.outcome == MAPPED
    assert {each.outcome for each in result.candidates[1:]} <= {NOT_REACHED}


@pytest.mark.slow
@pytest.mark.skipif(not share(1, 0, 0), reason="part of the evidence: 16 s of searching")
def test_one_pass_over_keys_wins_where_scores_do_not_fit_on_the_chip() -> None:
    """A small `spatial` whose buffer holds few scores; docs/transform.md shows the table."""
    from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
    from accelsim.io.workload import load_workload

    sizes = {"shape.h": "1", "shape.p": "32", "shape.m": "512", "shape.e": "16", "shape.f": "16"}
    start = load_workload(resolve("attention-3pass", WORKLOAD), sizes)
    machine = load_architecture(resolve("spatial", MACHINE), {"let.pe": "16", "L3.size": "4 KiB", "DRAM.bandwidth": "12 GiB/s"})
    assert isinstance(start, Cascade)
    result = found(start, machine, limit=16.0)
    first, best = result.original.found, result.best
    assert first is not None and best.found is not None
    assert (passes(start, "m").count, passes(best.equivalent.cascade, "m").count) == (3, 1)
    assert best.found.evaluation.cycles < first.evaluation.cycles / 2
