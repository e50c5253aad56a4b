"""Mover: every request, write and count in every cycle, against loops in Python."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import cocotb

from accelsim.rtl.processor import COUNTS
from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, start, stimuli

PARAMETERS = [
    {"W": 16, "AW": 8, "BW": 6, "CW": 8, "LOOPS": 2, "FLIGHT": 4}, {"W": 8, "AW": 6, "BW": 6, "CW": 6, "LOOPS": 1, "FLIGHT": 2},
    {"W": 32, "AW": 10, "BW": 7, "CW": 10, "LOOPS": 4, "FLIGHT": 8},
]  # fmt: skip


@dataclass
class Move:
    """An instruction: what it waits for, and the addresses on both sides, in order."""

    waits: list[int]
    loads: bool
    counts: bool
    fields: list[int]
    pairs: list[tuple[int, int]]


def move(rng: Random, loops: int, outer_bits: int, inner_bits: int, waits: list[int], loads: bool) -> Move:
    """A random nest of few words."""
    trips = [rng.choice((1, 1, 2, 3)) for _ in range(loops)]
    outer = [rng.getrandbits(outer_bits) for _ in range(loops)]
    inner = [rng.getrandbits(inner_bits) for _ in range(loops)]
    bases, counts = (rng.getrandbits(outer_bits), rng.getrandbits(inner_bits)), rng.random() < 0.8
    pairs = []
    for index in product(*(range(count) for count in reversed(trips))):
        at = index[::-1]
        pairs.append((
            (bases[0] + sum(i * s for i, s in zip(at, outer, strict=True))) % (1 << outer_bits),
            (bases[1] + sum(i * s for i, s in zip(at, inner, strict=True))) % (1 << inner_bits),
        ))  # fmt: skip
    return Move(waits, loads, counts, [*waits, loads | counts << 1, *bases, *trips, *outer, *inner], pairs)


@cocotb.test()
async def moves(dut: Any) -> None:
    """Random instructions behind counts that rise at random; the memory answers after a fixed time, at times as long as there is room."""
    rng, met = stimuli(), Counter[str]()
    width, outer_bits, inner_bits, count_bits, loops, flight = (
        parameter(dut, name) for name in ("W", "AW", "BW", "CW", "LOOPS", "FLIGHT")
    )  # fmt: skip
    await start(dut)
    for _ in range(max(2, CASES // 4)):
        latency = rng.choice((1, flight, rng.randint(1, flight)))
        outer = [rng.getrandbits(width) for _ in range(1 << outer_bits)]
        inner = [rng.getrandbits(width) for _ in range(1 << inner_bits)]
        program, other = deque[Move](), [0] * (COUNTS - 2)
        for _ in range(12):
            others = [rng.randint(0, 3) if rng.random() < 0.5 else 0 for _ in other]
            program.append(move(rng, loops, outer_bits, inner_bits, [0, 0, *others], rng.random() < 0.6))
        dut.rst_i.value = 1
        await next_cycle(dut)
        dut.rst_i.value = 0
        done, left, now = [0, 0], deque[tuple[int, int]](), None
        answers: deque[tuple[int, int] | None] = deque([None] * latency)
        tags = deque[tuple[int, bool]]()
        for _ in range(400):
            for each in range(len(other)):
                other[each] += rng.random() < 0.05 and other[each] < (1 << count_bits) - 1
            answer = answers.popleft()
            dut.response_valid_i.value, dut.response_word_i.value = int(answer is not None), answer[1] if answer else rng.getrandbits(width)
            head = program[0] if program else None
            steps = bool(left)
            loaded = answer is not None and tags[0][1]
            drained = steps and now is not None and not now.loads and len(left) == 1 and now.counts
            counts = [done[0] + loaded, done[1] + drained, *other]
            able = head is not None and all(has >= wants for has, wants in zip(counts, head.waits, strict=True))
            taken = able and len(left) <= 1
            dut.valid_i.value, dut.done_i.value = int(head is not None), pack(counts, count_bits)
            fields = head.fields if head else [rng.getrandbits(32) for _ in range(COUNTS + 3 + 3 * loops)]
            dut.instruction_i.value = pack(fields, 32)
            read = inner[left[0][1]] if left else rng.getrandbits(width)
            dut.read_word_i.value = read
            await settled(dut)
            assert int(dut.taken_o.value) == taken
            assert int(dut.busy_o.value) == (steps or bool(tags))
            assert (int(dut.loaded_o.value), int(dut.drained_o.value)) == (int(loaded), int(drained))
            assert int(dut.request_valid_o.value) == steps
            answers.append(None)
            if answer is not None:
                place, _ = tags.popleft()
                assert int(dut.write_valid_o.value) == 1 and int(dut.write_address_o.value) == place
                assert int(dut.write_word_o.value) == answer[1]
                inner[place] = answer[1]
            else:
                assert int(dut.write_valid_o.value) == 0
            if steps:
                assert now is not None
                far, near = left.popleft()
                assert int(dut.request_address_o.value) == far and int(dut.request_write_o.value) == (not now.loads)
                assert int(dut.read_address_o.value) == near
                if now.loads:
                    answers[-1] = far, outer[far]
                    tags.append((near, now.counts and not left))
                else:
                    assert int(dut.request_word_o.value) == read
                    outer[far] = read
            done = counts[:2]
            met["waits"] += head is not None and not able
            met["behind another"] += taken and steps
            met["loads"] += loaded
            met["drains"] += drained
            if taken:
                assert head is not None
                now, left = head, deque(head.pairs)
                program.popleft()
            await next_cycle(dut)
        assert not program and not left and not tags, "the program is not through"
    assert all(met[name] for name in ("waits", "behind another", "loads", "drains")), met
