"""The DRAM kernel against the controller that looks at every cycle: same cycles, same counters, same commands."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given

from accelsim.sim import reference_dram, serving
from tests.sim.drams import Case, cases


def both(case: Case) -> tuple[tuple[list[int], dict[str, int], list[tuple[object, ...]]], ...]:
    """Completion cycles, counters and commands of the kernel and of its twin."""
    asked = (case.dram, case.order, case.policy, case.addresses, case.writes, case.arrivals)
    served, trace = serving.traced(*asked)
    replay = reference_dram.serve(*asked)
    untraced = serving.serve(*asked)  # skips idle refreshes
    assert (untraced.done.tolist(), untraced.counters) == (served.done.tolist(), served.counters)
    counters = asdict(served.counters)
    kernel = (served.done.tolist(), counters, [(*each[:6], each.request) for each in trace])
    return kernel, (replay.done, {name: replay.counters[name] for name in counters}, replay.trace)


@given(cases())
def test_kernel_serves_as_a_controller_that_looks_at_every_cycle(case: Case) -> None:
    kernel, twin = both(case)
    assert kernel[2] == twin[2]
    assert kernel[0] == twin[0]
    assert kernel[1] == twin[1]
