"""exp: every input of narrow formats and many of wide ones, to the bit, with gaps and back-pressure."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb
import numpy as np

from accelsim.workload.fixed import Fixed, exp
from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, start, stimuli
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [
    {"XW": 16, "XF": 8, "OF": 15, "G": 5, "TW": 4}, {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1},
    {"XW": 12, "XF": 7, "OF": 24, "G": 5, "TW": 9},
    {"XW": 6, "XF": 0, "OF": 1, "G": 1, "TW": 2}, {"XW": 6, "XF": 6, "OF": 10, "G": 2, "TW": 3},
]  # fmt: skip
DEPTH = 6
NARROW = 8  # bits of inputs that are all tried
ALL = 200  # cases from which on those of wide ones are, too


def format_of(dut: Any) -> Fixed:
    """The formats of a module."""
    return Fixed(parameter(dut, "XW"), parameter(dut, "XF"), parameter(dut, "OF"), parameter(dut, "G"))


def inputs(rng: Random, form: Fixed) -> list[int]:
    """Inputs in random order: all, or those at both ends, on both sides of where k changes, and random ones of all sizes."""
    highest = -form.lowest - 1
    if form.bits <= NARROW or CASES >= ALL:
        found = list(range(form.lowest, highest + 1))
    else:
        steps = [-round(k * np.log(2) * 2**form.fraction) + off for k in range(1, form.out_fraction + 4) for off in (-1, 0, 1)]
        found = [form.lowest, form.lowest + 1, -1, 0, 1, highest, *(step for step in steps if step >= form.lowest)]
        found += [-rng.getrandbits(rng.randint(1, form.bits - 1)) for _ in range(20 * CASES)]
    rng.shuffle(found)
    return found


@cocotb.test()
async def words(dut: Any) -> None:
    """Every output in its cycle, held until it is taken; the tag stays with its word."""
    rng, form, tag_bits = stimuli(), format_of(dut), parameter(dut, "TW")
    corners = Corners()
    seen: set[int] = set()
    pool = inputs(rng, form)
    await start(dut)
    while pool:
        x = [pool.pop() for _ in range(min(len(pool), rng.randint(1, 40)))]
        tags = [rng.getrandbits(tag_bits) for _ in x]
        expected = exp(np.array(x), form).tolist()
        offered, ready, plan = times(rng, len(x), DEPTH)

        def put(word: int, tag: int) -> None:
            dut.x_i.value, dut.tag_i.value = word & ((1 << form.bits) - 1), tag

        def offer(place: int, x: Any = x, tags: Any = tags) -> None:
            put(x[place], tags[place])

        def noise() -> None:
            put(rng.getrandbits(form.bits), rng.getrandbits(tag_bits))

        def check(place: int, x: Any = x, tags: Any = tags, expected: Any = expected) -> None:
            assert int(dut.y_o.value) == expected[place], f"exp of {x[place]}"
            assert int(dut.tag_o.value) == tags[place]

        await stream(dut, offered, ready, plan, offer, check, lambda _: None, corners, noise)
        seen |= {*expected}
    corners.assert_met()
    assert form.one in seen and len(seen) > 1
    assert (0 in seen) == (exp(np.array([form.lowest]), form)[0] == 0)


@cocotb.test()
async def resets(dut: Any) -> None:
    """Nothing that was inside at a reset comes out."""
    rng, form = stimuli(), format_of(dut)
    await start(dut)
    for inside in range(1, DEPTH + 1):
        dut.valid_i.value = 1
        for _ in range(inside):
            dut.x_i.value = rng.getrandbits(form.bits)
            await next_cycle(dut)
        assert int(dut.ready_o.value) == (inside < DEPTH)
        dut.valid_i.value = 0
        await reset(dut)
        for _ in range(DEPTH):
            await settled(dut)
            assert not int(dut.valid_o.value) and int(dut.ready_o.value)
            assert not int(dut.y_o.value)
            await next_cycle(dut)
