"""The host of the processor, for its benches; runs inside the simulator."""

from __future__ import annotations

from random import Random
from typing import Any

from accelsim.rtl.cosim import host_writes
from accelsim.rtl.program import Program
from tests.rtl.bench import next_cycle, parameter

SIZES = {"W": 32, "AW": 10, "BW": 9, "CW": 10, "LOOPS": 6, "NEST": 4, "STEPS": 16, "ENTRIES": 256}
SMALL = {"W": 8, "BW": 3, "CW": 8, "ROWS": 1, "COLUMNS": 2, "LANES": 1, "SCANS": 1, "LOOPS": 2, "NEST": 2, "STEPS": 2, "ENTRIES": 2}


def idle(dut: Any, rng: Random) -> None:
    """Lines of the host that say nothing while host_valid is low."""
    dut.host_space_i.value, dut.host_address_i.value, dut.host_word_i.value = rng.getrandbits(4), rng.getrandbits(32), rng.getrandbits(32)


async def programmed(dut: Any, program: Program, inputs: dict[str, Any], *elsewhere: int) -> dict[tuple[int, int], int]:
    """Reset, write what a program needs, and let it run. Returns words of spaces that are `elsewhere`, by space and address."""
    width, kept = parameter(dut, "ENTRIES").bit_length(), {}
    assert max(map(len, program.engines)) <= parameter(dut, "ENTRIES")
    assert max(map(len, program.steps)) <= parameter(dut, "STEPS")
    dut.rst_i.value, dut.run_i.value = 1, 0
    await next_cycle(dut)
    dut.rst_i.value = 0
    for space, addresses, words in host_writes(program, inputs):
        for address, word in zip(addresses.tolist(), words.tolist(), strict=True):
            if space in elsewhere:
                kept[space, address] = word
                continue
            dut.host_valid_i.value, dut.host_space_i.value, dut.host_address_i.value, dut.host_word_i.value = 1, space, address, word
            await next_cycle(dut)
    dut.host_valid_i.value, dut.run_i.value = 0, 1
    dut.count_i.value = sum(len(engine) << (place * width) for place, engine in enumerate(program.engines))
    return kept
