"""What a timeline draws: each firing on all that it occupies, so that slices of a port add up to the cycles in which it is busy."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.report.simulation import trace
from accelsim.sim import spans as module
from accelsim.sim.kernels_event_state import OUTSTANDING
from accelsim.sim.simulation import Simulation, simulate
from accelsim.sim.spans import Span, spans
from accelsim.sim.tasks import COMPUTE, LOAD, Box, Task, Use
from accelsim.workload.cascade import Cascade
from tests.sim.test_offchip import run, written

EVENTS = 100_000
CASES = (
    ("matmul", "spatial", "matmul-columns", {"m": 512, "n": 512, "k": 256}),
    ("attention", "spatial", "attention-interleaved", {"b": 1, "h": 1, "m": 1024, "p": 1024}),
    ("attention-3pass", "flat", "attention-flat", {"b": 1, "h": 1, "m": 512, "p": 512}),
    ("attention-3pass", "unfused", "attention-unfused", {"b": 1, "h": 1, "m": 512, "p": 512}),
    ("softmax", "simple", "softmax-stored", {"b": 64, "k": 256}),
    ("softmax-two-pass-recomputed", "simple", "softmax-two-pass", {"b": 64, "k": 256}),
    ("scan-chunked", "simple", "scan-by-chunk", {"i": 4}),
)


def simulated(workload: str, machine: str, mapping: str, sizes: dict[str, int]) -> Simulation:
    """A shipped mapping of a shipped workload with other sizes, with all of its events."""
    cascade = load_workload(resolve(workload, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in sizes.items()})
    assert isinstance(cascade, Cascade)
    found, cascade = load_fitting(resolve(mapping, MAPPING), cascade)
    return simulate(cascade, load_architecture(resolve(machine, MACHINE)), found, events=EVENTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[2])
def test_slices_of_a_port_add_up_to_its_busy_time_and_do_not_overlap(case: tuple[str, str, str, dict[str, int]]) -> None:
    done = simulated(*case)
    assert 0 < len(done.events) < EVENTS
    by_resource: dict[str, list[tuple[Fraction, Fraction]]] = {}
    for each in done.spans:
        by_resource.setdefault(each.resource, []).append((each.start, each.end))
    assert set(by_resource) == {name for name, busy in done.ports.items() if busy} | set(done.units)
    for name, busy in done.ports.items():
        assert sum((end - start for start, end in by_resource.get(name, [])), Fraction(0)) == busy
    for slices in by_resource.values():
        ordered = sorted(slices)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
        assert ordered[0][0] >= 0 and ordered[-1][1] <= Fraction(done.ticks, done.evaluation.evaluator.clock.per_cycle)
    kept = {(event.task, event.number) for event in done.events}
    assert {(each.task, each.number) for each in done.spans} == kept
    drawn = [event for event in trace(done)["traceEvents"] if event["ph"] == "X"]
    assert len(drawn) == len(done.spans)


def test_run_of_too_many_firings_has_each_on_its_unit_or_first_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FIRINGS", 3)
    done = simulated(*CASES[4])
    assert sorted(map(repr, done.spans)) == sorted(map(repr, done.events))


def test_slices_of_a_dram_add_up_to_the_time_in_which_it_serves(tmp_path: Path) -> None:
    run(tmp_path, (16, 16, 16), "  - for m: 8\n")
    done = simulate(*written(tmp_path), events=EVENTS)
    assert done.offchip is not None and done.ports["Outside"]
    slices = sorted((each.start, each.end) for each in done.spans if each.resource == "Outside")
    assert sum((end - start for start, end in slices), Fraction(0)) == done.ports["Outside"]
    assert all(end <= begin for (_, end), (begin, _) in pairwise(slices))


def test_a_compute_is_on_its_ports_from_its_start_and_the_inner_end_of_a_load_once_its_port_is_free() -> None:
    """By hand: a load takes 10 ticks of Outer, and 3 of Inner, at once since it is free; the compute reads Inner for 4 from 10."""
    box = Box((), {})
    load = Task("load A", LOAD, "Z", uses=[Use("Outer", 1, box), Use("Inner", 1, box)])
    work = Task("Z", COMPUTE, "Z", uses=[Use("Inner", 1, box)], unit="PE")
    logged = {"Outer": Rows([[0, 0, 0, 10], [0, 1, 2, 20]]), "Inner": Rows([[0, 0, 0, 3], [0, 1, 2, 6], [1, 0, 10, 14]])}
    fired = [[0, 0, 0, 10], [0, 1, 10, 20], [1, 0, 10, 16]]
    assert set(spans([load, work], fired, logged)) == {
        Span(0, 0, "Outer", 0, 10), Span(0, 1, "Outer", 10, 20), Span(0, 0, "Inner", 0, 3), Span(0, 1, "Inner", 3, 6),
        Span(1, 0, "Inner", 10, 14), Span(1, 0, "PE", 10, 16),
    }  # fmt: skip


def test_inner_end_of_a_load_waits_for_the_one_that_must_have_started_before() -> None:
    box = Box((), {})
    load = Task("load A", LOAD, "Z", uses=[Use("Outer", 1, box), Use("Inner", 1, box)])
    rows = [[0, number, 100 * number, 100 * max(0, number - OUTSTANDING) + 1 + number] for number in range(OUTSTANDING + 2)]
    last = list(spans([load], [[0, OUTSTANDING + 1, 0, 1]], {"Outer": Rows([]), "Inner": Rows(rows)}))
    assert last == [Span(0, OUTSTANDING + 1, "Inner", 100, 100 + 2 + OUTSTANDING)]


class Rows(list[list[int]]):
    """A log as the kernel leaves it."""

    def tolist(self) -> list[list[int]]:
        return list(self)
