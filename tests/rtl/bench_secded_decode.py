"""Decoder of an extended Hamming code, against a search of the nearest code word."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import cocotb
from cocotb.triggers import Timer

from tests.rtl.bench import CASES, parameter, stimuli
from tests.rtl.hamming import code_bits, decoded, encoded

PARAMETERS = [{"W": 1}, {"W": 4}, {"W": 8}, {"W": 11}, {"W": 64}]


@cocotb.test()
async def words(dut: Any) -> None:
    """Words with no, every single, many double (of short words all), and more wrong bits; and anything."""
    rng, width, met = stimuli(), parameter(dut, "W"), Counter[str]()
    bits = code_bits(width)
    flips = [0, *(1 << place for place in range(bits))]
    flips += rng.sample(pairs := [1 << one | 1 << other for one, other in combinations(range(bits), 2)], min(len(pairs), 200))
    flips += [sum(1 << place for place in rng.sample(range(bits), min(bits, rng.randint(3, 5)))) for _ in range(10 * CASES)]
    flips += [rng.getrandbits(bits) for _ in range(10 * CASES)]
    for flip in flips:
        word = rng.choice((0, (1 << width) - 1, rng.getrandbits(width), rng.getrandbits(width)))
        dut.code_i.value = received = encoded(word, width) ^ flip
        await Timer(1, "ns")
        found = int(dut.data_o.value), bool(int(dut.single_o.value)), bool(int(dut.double_o.value))
        assert found == decoded(received, width), f"{word:#x} with {flip:#x} inverted"
        if flip.bit_count() < 2:
            assert found == (word, flip != 0, False)
        if flip.bit_count() == 2:
            assert found[1:] == (False, True)
        met[("none", "single", "double", "more")[min(3, flip.bit_count())]] += 1
        met["odd and explained by no bit"] += flip.bit_count() % 2 == 1 and found[2]
    beyond = ("odd and explained by no bit",) if bits & (bits - 1) and width > 1 else ()
    assert all(met[each] for each in ("none", "single", "double", "more", *beyond)), met
