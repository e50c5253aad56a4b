"""Online softmax: rows behind one another, to the bit, with gaps and back-pressure."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import cocotb
import numpy as np

from accelsim.workload.fixed import Fixed, Online, online_softmax
from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, signed, start, stimuli
from tests.rtl.bench_max_pe import row
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [
    {"XW": 16, "XF": 8, "OF": 15, "G": 5, "SI": 8}, {"XW": 8, "XF": 3, "OF": 7, "G": 3, "SI": 1},
    {"XW": 10, "XF": 5, "OF": 12, "G": 2, "SI": 3},
    {"XW": 5, "XF": 4, "OF": 3, "G": 1, "SI": 2}, {"XW": 12, "XF": 7, "OF": 22, "G": 7, "SI": 16},
]  # fmt: skip
DEPTH = 8
LONGEST = 14


def scores_of(rng: Random, form: Fixed) -> list[int]:
    """A row; some of scores a unit or two apart, so that neither weights nor factors vanish."""
    if rng.random() < 0.5:
        return row(rng, form, LONGEST)
    highest = -form.lowest - 1
    apart = min(highest, 2 << form.fraction)
    top = rng.randint(form.lowest + apart, highest)
    return [top - rng.randint(0, apart) for _ in range(rng.randint(1, LONGEST))]


def note(met: Counter[str], scores: list[int], known: Online, form: Fixed) -> None:
    """What a row meets."""
    inner = (known.factors > 0) & (known.factors < form.one)
    met["single"] += len(scores) == 1
    met["scales"] += int((inner[1:] & (known.weights[1:] == form.one)).sum())
    met["adds"] += int(((known.weights > 0) & (known.weights < form.one)).sum())
    met["equal"] += int(((known.weights == form.one) & (known.factors == form.one)).sum())
    met["saturated"] += int((known.sums == form.largest_sum).sum())
    met["far"] += max(scores) - min(scores) > -form.lowest


@cocotb.test()
async def rows(dut: Any) -> None:
    """Every output in its cycle, held until it is taken."""
    rng = stimuli()
    form = Fixed(*(parameter(dut, name) for name in ("XW", "XF", "OF", "G", "SI")))
    corners, met = Corners(), Counter[str]()
    await start(dut)
    for case in range(2 * max(CASES, 12)):
        x: list[int] = []
        results: list[tuple[int, ...]] = []
        for _ in range(rng.randint(1, 4)):
            scores = scores_of(rng, form)
            known = online_softmax(np.array(scores), form)
            note(met, scores, known, form)
            x += scores
            places = range(len(scores))
            columns = (known.weights, known.factors, known.sums, known.maxima)
            results += [(place == 0, place == places[-1], *(int(column[place]) for column in columns)) for place in places]
        offered, ready, plan = times(rng, len(x), DEPTH)

        def put(score: int, first: int, last: int) -> None:
            dut.x_i.value, dut.first_i.value, dut.last_i.value = score & ((1 << form.bits) - 1), first, last

        def offer(place: int, x: Any = x, results: Any = results) -> None:
            put(x[place], *results[place][:2])

        def noise() -> None:
            put(rng.getrandbits(form.bits), rng.getrandbits(1), rng.getrandbits(1))

        def check(place: int, results: Any = results) -> None:
            first, last, weight, factor, total, highest = results[place]
            assert int(dut.first_o.value) == first and int(dut.last_o.value) == last
            assert int(dut.weight_o.value) == weight
            assert int(dut.factor_o.value) == factor
            assert int(dut.sum_o.value) == total
            assert signed(int(dut.max_o.value), form.bits) == highest

        await stream(dut, offered, ready, plan, offer, check, lambda _: None, corners, noise)
        if case % 4 == 3:
            await reset(dut)
    corners.assert_met()
    can_saturate = 1 << form.sum_whole <= LONGEST
    wanted = ("single", "scales", "adds", "equal", "far", *(["saturated"] if can_saturate else []))
    assert all(met[corner] for corner in wanted), met


@cocotb.test()
async def resets(dut: Any) -> None:
    """Nothing that was inside at a reset comes out; DEPTH scores fit while none leaves."""
    rng = stimuli()
    await start(dut)
    for inside in range(1, DEPTH + 1):
        dut.valid_i.value, dut.first_i.value = 1, 1
        for _ in range(inside):
            dut.x_i.value = rng.getrandbits(parameter(dut, "XW"))
            await next_cycle(dut)
        assert int(dut.ready_o.value) == (inside < DEPTH)
        dut.valid_i.value = 0
        await reset(dut)
        for _ in range(DEPTH):
            await settled(dut)
            assert not int(dut.valid_o.value) and int(dut.ready_o.value) and not int(dut.sum_o.value)
            await next_cycle(dut)
