"""Program memory: instructions written in any order leave in theirs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, start, stimuli

PARAMETERS = [{"FIELDS": 4, "ENTRIES": 16}, {"FIELDS": 3, "ENTRIES": 2}, {"FIELDS": 1, "ENTRIES": 5}]


@cocotb.test()
async def programs(dut: Any) -> None:
    """Random programs of every length, taken at random times."""
    rng, fields, entries, met = stimuli(), parameter(dut, "FIELDS"), parameter(dut, "ENTRIES"), Counter[str]()
    await start(dut)
    for case in range(max(4, CASES // 2)):
        dut.rst_i.value = 1
        await next_cycle(dut)
        dut.rst_i.value = 0
        count = (0, entries, rng.randint(0, entries))[min(case, 2)]
        words = [rng.getrandbits(32) for _ in range(fields * entries)]
        for at in rng.sample(range(len(words)), len(words)):
            dut.write_valid_i.value, dut.write_address_i.value, dut.write_word_i.value = 1, at, words[at]
            await next_cycle(dut)
        dut.write_valid_i.value, dut.count_i.value = 0, count
        taken = 0
        for _ in range(3 * entries + 4):
            takes = taken < count and rng.random() < 0.6
            dut.taken_i.value, dut.write_address_i.value, dut.write_word_i.value = (
                int(takes),
                rng.randrange(len(words)),
                rng.getrandbits(32),
            )
            await settled(dut)
            assert int(dut.valid_o.value) == (taken < count)
            if taken < count:
                assert int(dut.instruction_o.value) == pack(words[taken * fields : (taken + 1) * fields], 32)
            taken += takes
            met["taken"] += takes
            met["waited"] += taken < count and not takes
            met["through"] += taken == count
            await next_cycle(dut)
        dut.taken_i.value = 0
    assert all(met[name] for name in ("taken", "waited", "through")), met
