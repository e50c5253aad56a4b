"""Address generator, against loops in Python: every output in every cycle."""

from __future__ import annotations

from collections import Counter, deque
from itertools import product
from random import Random
from typing import Any, NamedTuple

import cocotb

from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, start, stimuli
from tests.rtl.handshakes import Offer, Pace

PARAMETERS = [
    {"LOOPS": 3, "AW": 16, "TW": 8}, {"LOOPS": 1, "AW": 4, "TW": 1}, {"LOOPS": 4, "AW": 8, "TW": 2}, {"LOOPS": 2, "AW": 40, "TW": 5},
]  # fmt: skip
MOST = 300  # addresses of a nest


class Nest(NamedTuple):
    """Loops from the innermost on."""

    base: int
    trips: list[int]
    strides: list[int]


def addresses(nest: Nest, width: int) -> list[tuple[int, int, int, int, int, int]]:
    """Address, marks of the first and the last, and bits of loops that begin, that end, and that are in their first trip."""
    found = []
    for outer_first in product(*(range(trips) for trips in reversed(nest.trips))):
        index = outer_first[::-1]
        address = nest.base + sum(at * stride for at, stride in zip(index, nest.strides, strict=True))
        begins = [not any(index[: loop + 1]) for loop in range(len(index))]
        ends = [all(at == trips - 1 for at, trips in zip(index[: loop + 1], nest.trips, strict=False)) for loop in range(len(index))]
        found.append(
            (address % (1 << width), int(begins[-1]), int(ends[-1]), pack(begins, 1), pack(ends, 1), pack((not at for at in index), 1))
        )
    return found


def noise(rng: Random, loops: int, width: int, trip_bits: int) -> Nest:
    """What the inputs are while no start is offered."""
    return Nest(rng.getrandbits(width), [rng.getrandbits(trip_bits) for _ in range(loops)], [rng.getrandbits(width) for _ in range(loops)])


def nests(rng: Random, count: int, loops: int, width: int, trip_bits: int) -> list[Nest]:
    """Random ones; trip counts are often 1, sometimes the most that there is, strides sometimes 0 or negative."""
    most = 1 << trip_bits
    found = [Nest(rng.getrandbits(width), [1] * loops, [rng.getrandbits(width) for _ in range(loops)]) for _ in range(2)]
    found.append(Nest(rng.getrandbits(width), [most] + [1] * (loops - 1), [rng.getrandbits(width) for _ in range(loops)]))
    found.append(Nest(rng.getrandbits(width), [1] * (loops - 1) + [most], [rng.getrandbits(width) for _ in range(loops)]))
    while len(found) < count:
        trips, size = [], 1
        for _ in range(loops):
            trips.append(rng.choice((1, 2, rng.randint(1, most), rng.randint(1, most))))
            trips[-1] = min(trips[-1], max(1, (MOST if len(found) % 8 == 0 else 40) // size))
            size *= trips[-1]
        rng.shuffle(trips)
        strides = [rng.choice((0, 1, (1 << width) - 1, rng.getrandbits(width), rng.getrandbits(width))) for _ in range(loops)]
        found.append(Nest(rng.getrandbits(width), trips, strides))
    rng.shuffle(found)
    return found


@cocotb.test()
async def loop_nests(dut: Any) -> None:
    """Random nests, offered at random times, some right behind one another; the inputs are noise once a start is taken."""
    rng, loops, width, trip_bits = stimuli(), parameter(dut, "LOOPS"), parameter(dut, "AW"), parameter(dut, "TW")
    waiting = deque(nests(rng, max(3 * CASES, 24), loops, width, trip_bits))
    left: deque[tuple[int, int, int, int, int, int]] = deque()
    starts, takes, offer, met = Pace(rng), Pace(rng), Offer(), Counter[str]()
    await start(dut)
    comes, ended = False, False
    while waiting or left:
        comes = bool(waiting) and (comes or starts())
        ready = takes()
        nest = waiting[0] if comes else noise(rng, loops, width, trip_bits)
        dut.start_valid_i.value, dut.ready_i.value, dut.base_i.value = comes, ready, nest.base
        dut.trips_i.value, dut.strides_i.value = pack(nest.trips, trip_bits), pack(nest.strides, width)
        await settled(dut)
        assert int(dut.valid_o.value) == bool(left)
        last = bool(left) and len(left) == 1
        free = not left or (ready and last)
        assert int(dut.start_ready_o.value) == free
        seen: tuple[int, ...] = ()
        if left:
            seen = tuple(int(each.value) for each in (dut.address_o, dut.first_o, dut.last_o, dut.begins_o, dut.ends_o, dut.first_trips_o))
            assert seen == left[0]
            assert bool(seen[2]) == last
        offer.look(bool(left), ready, *seen)
        met["starts refused"] += comes and not free
        met["starts from rest"] += comes and not left
        met["starts without a gap"] += comes and bool(left) and free
        met["one address"] += bool(left) and left[0][1:3] == (1, 1)
        met["ends in a rest"] += bool(left) and free and not comes
        met["address behind address"] += bool(left) and ready and ended
        ended = bool(left) and ready
        if ended:
            left.popleft()
        if comes and free:
            farthest = nest.base + sum((trips - 1) * stride for trips, stride in zip(nest.trips, nest.strides, strict=True))
            met["wraps"] += farthest >> width > 0
            left.extend(addresses(waiting.popleft(), width))
            comes = False
        await next_cycle(dut)
    assert len(met) == 7 and all(met.values()) and offer.stalled, met
