"""Encoder of an extended Hamming code, against the parities of its places."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import Timer

from tests.rtl.bench import CASES, parameter, stimuli
from tests.rtl.hamming import code_bits, encoded

PARAMETERS = [{"W": 1}, {"W": 4}, {"W": 8}, {"W": 57}, {"W": 64}]


@cocotb.test()
async def words(dut: Any) -> None:
    """All short words; of long ones none, one and all bits, and random ones."""
    rng, width = stimuli(), parameter(dut, "W")
    assert len(dut.code_o) == code_bits(width)
    if width <= 8:
        chosen = list(range(1 << width))
    else:
        chosen = [0, (1 << width) - 1, *(1 << bit for bit in range(width)), *(rng.getrandbits(width) for _ in range(40 * CASES))]
    for word in chosen:
        dut.data_i.value = word
        await Timer(1, "ns")
        assert int(dut.code_o.value) == encoded(word, width)
