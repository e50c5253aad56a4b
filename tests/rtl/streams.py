"""Vectors on their way through a pipeline with a handshake: offered at random times, taken at random times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from accelsim.sim.pipelines import Passage, passage
from tests.rtl.bench import next_cycle, settled

IDLE = 12  # cycles in which what is behind may refuse, for each vector


@dataclass(slots=True)
class Corners:
    """What was met: cycles in which a vector waited at the entrance, and at the exit, and pairs that came or left one behind the other."""

    refused: int = 0
    stalled: int = 0
    close: int = 0

    def assert_met(self) -> None:
        """All of them were."""
        assert self.refused and self.stalled and self.close, self


def times(rng: Random, vectors: int, depth: int) -> tuple[list[int], list[bool], Passage]:
    """When vectors are offered and what is behind is ready, both dense or sparse; and what the simulator makes of it."""
    gap, refuses = rng.choice((0, 0, 1, 4)), rng.choice((0.0, 0.2, 0.6, 0.9))
    offered, at = [], rng.randint(0, 2)
    for _ in range(vectors):
        offered.append(at)
        at += rng.randint(0, gap) if gap else 0
    ready = [rng.random() >= refuses for _ in range(IDLE * vectors + depth)]
    return offered, ready, passage(depth, offered, ready, 1, len(ready) + at + depth + vectors)


async def stream(
    dut: Any, offered: list[int], ready: list[bool], plan: Passage, offer: Callable[[int], None], check: Callable[[int], None],
    look: Callable[[int], None], corners: Corners, idle: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Offer vectors from their cycle on until they are taken; every entrance and exit has to be in the cycle that is planned.

    offer: puts a vector on the inputs; check: looks at the outputs for one; look: at the registers, in every cycle;
    idle: what the inputs are while none is offered.
    """
    entered = left = cycle = 0
    while left < len(offered):
        assert cycle < plan.cycles, "vectors got lost"
        offers = entered < len(offered) and offered[entered] <= cycle
        dut.valid_i.value = offers
        dut.ready_i.value = takes = cycle >= len(ready) or ready[cycle]
        if offers:
            offer(entered)
        else:
            idle()
        await settled(dut)
        look(cycle)
        if int(dut.valid_o.value):
            check(left)
            corners.stalled += not takes
            if takes:
                assert plan.left[left] == cycle, f"vector {left} leaves in cycle {cycle}, not {plan.left[left]}"
                corners.close += left > 0 and plan.left[left] == plan.left[left - 1] + 1
                left += 1
        if offers and int(dut.ready_o.value):
            assert plan.entered[entered] == cycle, f"vector {entered} enters in cycle {cycle}, not {plan.entered[entered]}"
            entered += 1
        elif offers:
            corners.refused += 1
        await next_cycle(dut)
        cycle += 1
    dut.valid_i.value = 0
    assert cycle == plan.cycles
