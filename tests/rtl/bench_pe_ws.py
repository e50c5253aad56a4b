"""Element in which an operand stays, against its registers written out in Python."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, settled, signed, start, stimuli

PARAMETERS = [{"AW": 8, "BW": 8, "CW": 32}, {"AW": 4, "BW": 6, "CW": 10}, {"AW": 16, "BW": 16, "CW": 16}]


@cocotb.test()
async def steps(dut: Any) -> None:
    """Every input random in every cycle, words often zero or extreme."""
    rng, widths = stimuli(), {"a_i": parameter(dut, "AW"), "v_i": parameter(dut, "BW"), "p_i": parameter(dut, "CW")}
    await start(dut)
    held = dict.fromkeys(("a", "valid", "first", "w", "v", "p"), 0)
    assert int(dut.w_q.value) == 0
    for _ in range(40 * CASES):
        now = {name: rng.getrandbits(widths.get(name, 1)) for name in ("a_i", "valid_i", "first_i", "load_i", "v_i", "p_i")}
        for name, width in widths.items():
            if rng.random() < 0.3:
                now[name] = rng.choice((0, 1 << (width - 1), (1 << width) - 1))
        for name, word in now.items():
            getattr(dut, name).value = word
        await settled(dut)
        for name in ("a", "valid", "first", "v", "p"):
            assert int(getattr(dut, f"{name}_o").value) == held[name], name
        if now["valid_i"]:
            held["w"] = held["v"] if now["first_i"] else held["w"]
            product = signed(now["a_i"], widths["a_i"]) * signed(held["w"], widths["v_i"])
            held["p"] = (now["p_i"] + product) % (1 << widths["p_i"])
        if now["load_i"]:
            held["v"] = now["v_i"]
        held["a"], held["valid"], held["first"] = now["a_i"], now["valid_i"], now["first_i"]
        await next_cycle(dut)
        assert int(dut.w_q.value) == held["w"]
