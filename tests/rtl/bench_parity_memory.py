"""Memory of words with a parity bit: random reads and writes, with bits inverted in what is stored."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, start, stimuli

PARAMETERS = [{"W": 8, "WORDS": 16}, {"W": 1, "WORDS": 1}, {"W": 3, "WORDS": 2}, {"W": 32, "WORDS": 5}]


@cocotb.test()
async def reads_and_writes(dut: Any) -> None:
    """A read gives the word before a write of the same cycle; an odd number of wrong bits is flagged where something was read."""
    rng, width, words, met = stimuli(), parameter(dut, "W"), parameter(dut, "WORDS"), Counter[str]()
    await start(dut)
    stored: dict[int, tuple[int, int]] = {}  # bits of data as they stand, wrong bits
    read, word, wrong = False, 0, 0  # of the cycle before
    for cycle in range(words + 40 * CASES):
        first = cycle < words
        writes = first or rng.random() < 0.6
        address = cycle if first else rng.randrange(words)
        data, count = rng.getrandbits(width), rng.choice((0, 0, 1, 1, 2, rng.randint(0, width + 1)))
        flip = sum(1 << place for place in rng.sample(range(width + 1), count))
        reads = not first and rng.random() < 0.7
        other = address if rng.random() < 0.3 else rng.randrange(words)
        dut.write_i.value, dut.write_address_i.value, dut.write_data_i.value, dut.flip_i.value = writes, address, data, flip
        dut.read_i.value, dut.read_address_i.value = reads, other
        await settled(dut)
        assert int(dut.read_valid_o.value) == read
        assert int(dut.read_data_o.value) == word
        assert int(dut.error_o.value) == (read and wrong % 2 == 1)
        met["error"] += read and wrong % 2 == 1
        met["two wrong, not seen"] += read and wrong == 2
        met["right"] += read and not wrong
        met["flag held back"] += not read and wrong % 2 == 1
        met["read of what is written"] += reads and writes and address == other
        met["reads back to back"] += reads and read
        if reads:
            word, wrong = stored[other]
        read = reads
        if writes:
            stored[address] = (data ^ flip) & ((1 << width) - 1), count
        await next_cycle(dut)
    corners = "error", "two wrong, not seen", "right", "flag held back", "read of what is written", "reads back to back"
    assert all(met[each] for each in corners), met
    await reset(dut)
    await settled(dut)
    assert not int(dut.read_valid_o.value) and not int(dut.read_data_o.value)
