"""Chain of registers: words come out again after its depth."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, settled, start, stimuli

PARAMETERS = [{"W": 8, "DEPTH": 0}, {"W": 3, "DEPTH": 1}, {"W": 16, "DEPTH": 7}]


@cocotb.test()
async def words(dut: Any) -> None:
    """Random words, after zeros from the reset."""
    rng, depth, width = stimuli(), parameter(dut, "DEPTH"), parameter(dut, "W")
    await start(dut)
    sent = [0] * depth
    for _ in range(10 * CASES):
        sent.append(rng.getrandbits(width))
        dut.word_i.value = sent[-1]
        await settled(dut)
        assert int(dut.word_o.value) == sent[-1 - depth]
        await next_cycle(dut)
