"""Running maximum: rows of random numbers, with gaps and back-pressure."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import cocotb
import numpy as np

from accelsim.workload.fixed import Fixed, running_maximum
from tests.rtl.bench import CASES, parameter, signed, start, stimuli
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [{"W": 16, "TW": 1}, {"W": 2, "TW": 3}, {"W": 5, "TW": 8}, {"W": 9, "TW": 2}]
DEPTH = 1


def row(rng: Random, form: Fixed, longest: int) -> list[int]:
    """Numbers of a row: random from anywhere, or from the ends and the middle, or near each other, or in ascending order."""
    count, highest = rng.choice((1, 2, rng.randint(1, longest))), -form.lowest - 1
    kind = rng.randrange(4)
    if kind == 1:
        return [rng.choice((form.lowest, form.lowest + 1, -1, 0, 1, highest)) for _ in range(count)]
    reach = max(1, highest >> rng.randint(0, form.bits - 1)) if kind else highest
    middle = rng.randint(form.lowest, highest) if kind else 0
    found = [max(form.lowest, min(highest, middle + rng.randint(-reach - 1, reach))) for _ in range(count)]
    return sorted(found) if kind == 3 else found


@cocotb.test()
async def rows(dut: Any) -> None:
    """Every output in its cycle, held until it is taken."""
    rng, bits, tag_bits = stimuli(), parameter(dut, "W"), parameter(dut, "TW")
    form, corners, met = Fixed(bits=bits), Corners(), Counter[str]()
    await start(dut)
    for _ in range(2 * max(CASES, 12)):
        x: list[int] = []
        results: list[tuple[int, ...]] = []
        for _ in range(rng.randint(1, 4)):
            numbers = row(rng, form, 12)
            known = running_maximum(np.array(numbers), form)
            x += numbers
            tags = [rng.getrandbits(tag_bits) for _ in numbers]
            first = [1] + [0] * (len(numbers) - 1)
            results += zip(first, known.maxima.tolist(), known.drops.tolist(), known.belows.tolist(), tags, strict=True)
            met["rises"] += int((known.drops[1:] < 0).sum())
            met["falls"] += int((known.belows < 0).sum())
            met["equal"] += int(((known.belows == 0) & (known.drops == 0)).sum())
            exact = np.diff(known.maxima), known.maxima - np.array(numbers)
            met["rises far"] += int((exact[0] > -form.lowest).sum())
            met["falls far"] += int((exact[1] > -form.lowest).sum())
        offered, ready, plan = times(rng, len(x), DEPTH)

        def put(number: int, first: int, tag: int) -> None:
            dut.x_i.value, dut.first_i.value, dut.tag_i.value = number & ((1 << bits) - 1), first, tag

        def offer(place: int, x: Any = x, results: Any = results) -> None:
            put(x[place], results[place][0], results[place][4])

        def noise() -> None:
            put(rng.getrandbits(bits), rng.getrandbits(1), rng.getrandbits(tag_bits))

        def check(place: int, results: Any = results) -> None:
            first, highest, drop, below, tag = results[place]
            assert int(dut.first_o.value) == first and int(dut.tag_o.value) == tag
            assert signed(int(dut.max_o.value), bits) == highest
            assert signed(int(dut.drop_o.value), bits) == drop
            assert signed(int(dut.below_o.value), bits) == below

        await stream(dut, offered, ready, plan, offer, check, lambda _: None, corners, noise)
    corners.assert_met()
    assert all(met[corner] for corner in ("rises", "falls", "equal", "rises far", "falls far")), met
