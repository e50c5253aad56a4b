"""Lane of the scan unit: steps on random and on extreme words, against Python's whole numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb
from cocotb.triggers import Timer

from tests.rtl.bench import CASES, parameter, signed, stimuli
from tests.rtl.bench_npu_lane import kept_within

PARAMETERS = [{"W": 16}, {"W": 4}, {"W": 32}]
SYNTHESISED = [{"W": 16}, {"W": 8}]


def scanned(x: int, z: int, w: int, shift: int, width: int) -> int:
    """A step of the recurrence; shift: a word, as it stands in its bits."""
    return kept_within((kept_within(x * z, width) >> min(shift & ((1 << width) - 1), width)) + w, width)


@cocotb.test()
async def steps(dut: Any) -> None:
    """Every choice of operands, and every shift that leaves something."""
    rng, width, met = stimuli(), parameter(dut, "W"), Counter[str]()
    least, most = -(1 << (width - 1)), (1 << (width - 1)) - 1
    for _ in range(120 * CASES):
        words = [rng.choice((least, most, 0, -1, signed(rng.getrandbits(width), width), rng.randint(-8, 7))) for _ in range(3)]
        shift = rng.choice((0, 0, rng.randrange(width), rng.getrandbits(width)))
        x, z, w = (rng.randrange(3) for _ in range(3))
        for name, word in zip(("a_i", "b_i", "c_i", "shift_i"), (*words, shift), strict=True):
            getattr(dut, name).value = word & ((1 << width) - 1)
        dut.x_i.value, dut.z_i.value, dut.w_i.value = x, z, w
        await Timer(1, "ns")
        expected = scanned(words[x], words[z], words[w], shift, width)
        assert signed(int(dut.y_o.value), width) == expected, f"{words[x]} * {words[z]} >> {shift} + {words[w]}"
        product = words[x] * words[z]
        met["the product overflows"] += not least <= product <= most
        met["the sum overflows"] += expected in (least, most) and least <= product <= most
        met["rounds down"] += least <= product < 0 and 0 < shift < width and product % (1 << shift) > 0
        met[f"x {x}"] += 1
        met[f"z {z}"] += 1
        met[f"w {w}"] += 1
    assert len(met) == 12 and all(met.values()), met  # nothing else is counted
