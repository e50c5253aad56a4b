"""Memory of code words: random reads and writes, with no, one, two or any bits inverted in what is stored."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, start, stimuli
from tests.rtl.hamming import code_bits, decoded, encoded

PARAMETERS = [{"W": 8, "WORDS": 16}, {"W": 1, "WORDS": 1}, {"W": 4, "WORDS": 2}, {"W": 32, "WORDS": 5}]


@cocotb.test()
async def reads_and_writes(dut: Any) -> None:
    """A read gives the word before a write of the same cycle; flags only where something was read."""
    rng, width, words, met = stimuli(), parameter(dut, "W"), parameter(dut, "WORDS"), Counter[str]()
    bits = code_bits(width)
    await start(dut)
    stored: dict[int, int] = {}
    read, word = False, 0  # of the cycle before
    for cycle in range(words + 40 * CASES):
        first = cycle < words
        writes = first or rng.random() < 0.6
        address = cycle if first else rng.randrange(words)
        data, wrong = rng.getrandbits(width), rng.choice((0, 0, 1, 1, 2, 2, rng.randint(0, bits)))
        flip = sum(1 << place for place in rng.sample(range(bits), wrong))
        reads = not first and rng.random() < 0.7
        other = address if rng.random() < 0.3 else rng.randrange(words)
        dut.write_i.value, dut.write_address_i.value, dut.write_data_i.value, dut.flip_i.value = writes, address, data, flip
        dut.read_i.value, dut.read_address_i.value = reads, other
        await settled(dut)
        value, single, double = decoded(word, width)
        assert int(dut.read_valid_o.value) == read
        assert int(dut.read_data_o.value) == value
        assert int(dut.single_o.value) == (read and single)
        assert int(dut.double_o.value) == (read and double)
        met["single"] += read and single
        met["double"] += read and double
        met["right"] += read and not single and not double
        met["flags held back"] += not read and (single or double)
        met["read of what is written"] += reads and writes and address == other
        met["reads back to back"] += reads and read
        read, word = reads, stored[other] if reads else word
        if writes:
            stored[address] = encoded(data, width) ^ flip
        await next_cycle(dut)
    corners = "single", "double", "right", "flags held back", "read of what is written", "reads back to back"
    assert all(met[each] for each in corners), met
    await reset(dut)
    await settled(dut)
    assert not int(dut.read_valid_o.value) and not int(dut.read_data_o.value)
