"""Queue, against a Python deque: every output in every cycle."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, start, stimuli
from tests.rtl.handshakes import Offer

PARAMETERS = [{"W": 8, "DEPTH": 4}, {"W": 1, "DEPTH": 1}, {"W": 16, "DEPTH": 7}, {"W": 33, "DEPTH": 2}, {"W": 5, "DEPTH": 16}]
STRETCH = 20
ODDS = ((1.0, 0.0), (0.0, 1.0), (1.0, 0.1), (1.0, 1.0), (0.6, 0.5), (0.3, 0.9))  # that a word comes, that one may leave


async def cycle(dut: Any, inside: deque[int], offer: Offer, valid: bool, ready: bool, word: int) -> tuple[bool, bool]:
    """One cycle: whether a word entered, and whether one left."""
    depth = parameter(dut, "DEPTH")
    dut.valid_i.value, dut.ready_i.value, dut.word_i.value = valid, ready, word
    await settled(dut)
    assert int(dut.count_o.value) == len(inside)
    assert int(dut.valid_o.value) == bool(inside)
    assert int(dut.ready_o.value) == (len(inside) < depth or ready)
    if inside:
        assert int(dut.word_o.value) == inside[0]
    offer.look(bool(inside), ready, *list(inside)[:1])
    enters, leaves = valid and int(dut.ready_o.value) == 1, bool(inside) and ready
    if leaves:
        inside.popleft()
    if enters:
        inside.append(word)
    await next_cycle(dut)
    return enters, leaves


@cocotb.test()
async def words(dut: Any) -> None:
    """Random words, in stretches in which the queue fills, empties, or keeps what it has."""
    rng, width, depth = stimuli(), parameter(dut, "W"), parameter(dut, "DEPTH")
    inside: deque[int] = deque()
    offer, met = Offer(), Counter[str]()
    await start(dut)
    waits, word = False, 0
    for at in range(40 * CASES):
        comes, goes = ODDS[at // STRETCH % len(ODDS)]
        if not waits:
            waits, word = rng.random() < comes, rng.getrandbits(width)
        ready, before = rng.random() < goes, len(inside)
        enters, leaves = await cycle(dut, inside, offer, waits, ready, word)
        met["refused"] += waits and not enters
        met["through full"] += before == depth and enters and leaves
        met["both"] += enters and leaves
        met["empty"] += before == 0 and ready
        met["full"] += before == depth
        met["into empty"] += before == 0 and enters
        met["out"] += leaves
        waits = waits and not enters
    wanted = ("refused", "through full", "both", "empty", "full", "into empty")
    assert all(met[each] for each in wanted) and offer.stalled and met["out"] > 2 * depth, met


@cocotb.test()
async def reset_empties(dut: Any) -> None:
    """A reset at any fill leaves nothing behind, and the words after it come out in order."""
    rng, width, depth = stimuli(), parameter(dut, "W"), parameter(dut, "DEPTH")
    await start(dut)
    for fill in {1, depth // 2 + 1, depth}:
        inside: deque[int] = deque()
        for ready in (False, True):
            for _ in range(fill):
                await cycle(dut, inside, Offer(), True, ready, rng.getrandbits(width))
        assert len(inside) == fill
        await reset(dut)
        inside.clear()
        for at in range(3 * depth):
            await cycle(dut, inside, Offer(), at < 2 * depth, at >= depth, rng.getrandbits(width))
        assert not inside
