"""Lane of an engine: every operation on random and on extreme words, against Python's whole numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb
import numpy as np

from accelsim.workload.fixed import Fixed, exp
from tests.rtl.bench import CASES, next_cycle, parameter, settled, signed, start, stimuli

PARAMETERS = [{"W": 16}, {"W": 4}, {"W": 32}, {"W": 22}]
SYNTHESISED = [{"W": 16}, {"W": 8}]
NAMES = ("add", "sub", "mul", "max", "min", "shift", "copy", "mac", "abs", "less", "exp", "div")
EXP_BITS = 22  # a word has room for it from there on


def kept_within(value: int, width: int) -> int:
    """The nearest word."""
    return max(-(1 << (width - 1)), min((1 << (width - 1)) - 1, value))


def operation(op: int, x: int, z: int, w: int, width: int) -> int:
    """What an operation gives."""
    if op == NAMES.index("exp"):
        return int(exp(np.array([x]), Fixed())[0]) if width >= EXP_BITS else x
    if op == NAMES.index("shift"):
        return x >> min(z & ((1 << width) - 1), width)
    product = kept_within(x * z, width)
    found = (x + z, x - z, product, max(x, z), min(x, z), 0, x, w + product, abs(x), int(x < z), 0, x // z if z else 0)
    return kept_within(found[op], width)


@cocotb.test()
async def operations(dut: Any) -> None:
    """Random steps, the temporaries among their sources."""
    rng, width, met = stimuli(), parameter(dut, "W"), Counter[str]()
    await start(dut)
    kept = [0] * 4
    extreme = (0, 1, -1, (1 << (width - 1)) - 1, -(1 << (width - 1)))
    for _ in range(80 * CASES):
        words = [rng.choice((rng.choice(extreme), signed(rng.getrandbits(width), width), rng.randint(-8, 7))) for _ in range(5)]
        op, x, z, w, to = rng.randrange(12), rng.randrange(9), rng.randrange(9), rng.randrange(9), rng.randrange(4)
        keeps, folds, first = rng.random() < 0.7, rng.random() < 0.3, rng.random() < 0.5
        for name, value in zip(("a_i", "b_i", "c_i", "so_far_i", "constant_i"), words, strict=True):
            getattr(dut, name).value = value & ((1 << width) - 1)
        for name, value in (
            ("op_i", op),
            ("x_i", x),
            ("z_i", z),
            ("w_i", w),
            ("to_i", to),
            ("keeps_i", keeps),
            ("folds_i", folds),
            ("first_i", first),
        ):
            getattr(dut, name).value = int(value)
        await settled(dut)
        sources = [*kept, *words]
        expected = operation(op, sources[x], sources[z], sources[w], width)
        if folds and first:
            expected = kept_within(sources[x] * sources[z], width) if op == NAMES.index("mac") else sources[z]
        assert signed(int(dut.y_o.value), width) == expected, f"{NAMES[op]} of {sources[x]}, {sources[z]}, {sources[w]}"
        met[NAMES[op]] += 1
        met["largest"] += expected == extreme[3]
        met["least"] += expected == extreme[4]
        if keeps:
            kept[to] = expected
        await next_cycle(dut)
    assert all(met[name] for name in (*NAMES, "largest", "least")), met
