"""Element in which a sum stays, against its registers written out in Python."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, settled, signed, start, stimuli

PARAMETERS = [{"AW": 8, "BW": 8, "CW": 32}, {"AW": 4, "BW": 6, "CW": 10}, {"AW": 16, "BW": 16, "CW": 16}]
INPUTS = ("a_i", "a_valid_i", "first_i", "last_i", "bottom_i", "b_i", "b_valid_i", "shift_i", "d_i", "d_valid_i")


@cocotb.test()
async def steps(dut: Any) -> None:
    """Every input random in every cycle, words often zero or extreme."""
    rng, widths = stimuli(), {"a_i": parameter(dut, "AW"), "b_i": parameter(dut, "BW"), "d_i": parameter(dut, "CW")}
    wide = widths["d_i"]
    await start(dut)
    held = dict.fromkeys(("a", "a_valid", "first", "last", "bottom", "b", "b_valid", "c", "d", "d_valid"), 0)
    assert int(dut.c_q.value) == 0
    for _ in range(40 * CASES):
        now = {name: rng.getrandbits(widths.get(name, 1)) for name in INPUTS}
        for name, width in widths.items():
            if rng.random() < 0.3:
                now[name] = rng.choice((0, 1 << (width - 1), (1 << width) - 1))
        for name, word in now.items():
            getattr(dut, name).value = word
        ends = now["a_valid_i"] & now["b_valid_i"] & now["last_i"]
        await settled(dut)
        for name in ("a", "a_valid", "first", "last", "bottom", "b", "b_valid", "d", "d_valid"):
            assert int(getattr(dut, f"{name}_o").value) == held[name], name
        assert int(dut.done_o.value) == ends & now["bottom_i"]
        product = signed(now["a_i"], widths["a_i"]) * signed(now["b_i"], widths["b_i"])
        total = ((0 if now["first_i"] else held["c"]) + product) % (1 << wide)
        if ends:
            held["d"], held["d_valid"] = total, 1
        elif now["shift_i"]:
            held["d"], held["d_valid"] = now["d_i"], now["d_valid_i"]
        if now["a_valid_i"] & now["b_valid_i"]:
            held["c"] = total
        for name in ("a", "a_valid", "first", "last", "bottom", "b", "b_valid"):
            held[name] = now[f"{name}_i"]
        await next_cycle(dut)
        assert int(dut.c_q.value) == held["c"]
