"""Copies in rows, against loops in Python: every output in every cycle, with memories that take and answer at random times."""

from __future__ import annotations

from collections import Counter, deque
from random import Random
from typing import Any, NamedTuple

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, settled, start, stimuli
from tests.rtl.handshakes import Offer, Pace

PARAMETERS = [
    {"W": 32, "AW": 16, "CW": 8, "FLIGHT": 4}, {"W": 1, "AW": 5, "CW": 3, "FLIGHT": 1}, {"W": 16, "AW": 12, "CW": 6, "FLIGHT": 7},
    {"W": 40, "AW": 33, "CW": 4, "FLIGHT": 2},
]  # fmt: skip
ALWAYS = (1.0,)


class Side(NamedTuple):
    """Where a side of a copy has its words."""

    base: int
    rows: int
    words: int
    stride: int

    def addresses(self, width: int) -> list[int]:
        """Of all words, in order."""
        return [(self.base + row * self.stride + word) % (1 << width) for row in range(self.rows) for word in range(self.words)]


class Copy(NamedTuple):
    """A copy, and how fast its memories are: cycles from a request to its response, drawn from a range, and whether anything ever waits."""

    source: Side
    target: Side
    latencies: tuple[int, int]
    dense: bool


def shape(rng: Random, size: int, most: int) -> tuple[int, int]:
    """Rows and words of a row that make up a size."""
    return rng.choice([(size // words, words) for words in range(1, most + 1) if size % words == 0 and size // words <= most])


def copies(rng: Random, count: int, width: int, count_bits: int) -> list[Copy]:
    """Random ones; both sides have the same words, seldom the same rows."""
    most, found = 1 << count_bits, []
    for case in range(count):
        size = 1 if case % 6 == 0 else rng.randint(1, min(most, 8)) * rng.randint(1, min(most, 6))
        sides = [Side(rng.getrandbits(width), *shape(rng, size, most), rng.choice((1, rng.getrandbits(width)))) for _ in range(2)]
        if case == 1:
            sides = [Side(5, most, 1, 3), Side(9, 1, most, 0)]
        latency = rng.choice(((1, 1), (2, 2), (1, 3), (6, 6), (1, 12)))
        found.append(Copy(sides[0], sides[1], latency, case % 4 == 1))
    return found


def load(dut: Any, copy: Copy, mask: int) -> None:
    """A copy on the inputs."""
    for name, side in (("source", copy.source), ("target", copy.target)):
        getattr(dut, f"{name}_i").value = side.base
        getattr(dut, f"{name}_rows_i").value = side.rows & mask
        getattr(dut, f"{name}_words_i").value = side.words & mask
        getattr(dut, f"{name}_stride_i").value = side.stride


@cocotb.test()
async def copied(dut: Any) -> None:
    """Random copies, with starts while one is under way, which do nothing, and starts in the cycle of `done`."""
    rng = stimuli()
    bits, width, count_bits, most = (parameter(dut, name) for name in ("W", "AW", "CW", "FLIGHT"))
    mask, met = (1 << count_bits) - 1, Counter[str]()
    asks, writes = Offer(), Offer()
    reads: deque[int] = deque()  # addresses to come
    flight: deque[tuple[int, int]] = deque()  # when a response can come, and its word
    targets: deque[int] = deque()
    waiting = deque(copies(rng, max(2 * CASES, 18), width, count_bits))
    other = copies(rng, 8, width, count_bits)
    copy, began, done, cycle, wrote_at = waiting[0], 0, False, 0, -2
    paces = [Pace(rng) for _ in range(4)]
    await start(dut)
    while waiting or targets or done:
        busy = bool(targets)
        starts = rng.random() < 0.3 if busy else bool(waiting) and (paces[0]() or waiting[0].dense)
        load(dut, waiting[0] if starts and not busy else rng.choice(other), mask)
        dut.start_i.value = starts
        takes, puts = (copy.dense or pace() for pace in paces[1:3])
        dut.request_ready_i.value, dut.write_ready_i.value = takes, puts
        answers = bool(flight) and flight[0][0] <= cycle
        word = flight[0][1] if answers else rng.getrandbits(bits)
        stray = not busy and rng.random() < 0.3  # that nobody asked for
        dut.response_valid_i.value, dut.response_word_i.value = answers or stray, word
        await settled(dut)
        assert (int(dut.busy_o.value), int(dut.done_o.value)) == (busy, done)
        request = bool(reads) and len(flight) < most
        assert int(dut.request_valid_o.value) == request
        assert not request or int(dut.request_address_o.value) == reads[0]
        assert int(dut.response_ready_o.value) == (busy and puts)
        assert int(dut.write_valid_o.value) == (busy and answers)
        if answers:
            assert (int(dut.write_address_o.value), int(dut.write_word_o.value)) == (targets[0], word)
        asks.look(request, takes, *list(reads)[:1])
        writes.look(answers, puts, word, *list(targets)[:1])
        met["flight is full"] += bool(reads) and len(flight) == most
        met["nothing in flight"] += bool(reads) and not flight
        met["response waits"] += answers and not puts
        met["write behind write"] += answers and puts and wrote_at == cycle - 1
        met["request and response"] += request and takes and answers and puts
        met["start while busy"] += busy and starts
        met["start with done"] += done and starts
        met["stray response"] += stray
        met["one word"] += not busy and starts and waiting[0].source.rows * waiting[0].source.words == 1
        was_done, done = done, False
        if answers and puts:
            flight.popleft()
            targets.popleft()
            wrote_at, done = cycle, not targets
        if request and takes:
            reads.popleft()
            flight.append((cycle + rng.randint(*copy.latencies), rng.getrandbits(bits)))
        if was_done and copy.dense and copy.latencies[0] == copy.latencies[1] < most:
            met["at full rate"] += 1
            size = copy.source.rows * copy.source.words
            assert cycle == began + 1 + size + copy.latencies[0], "a word a cycle"
        if starts and not busy:
            copy, began = waiting.popleft(), cycle
            reads.extend(copy.source.addresses(width))
            targets.extend(copy.target.addresses(width))
            met["other rows"] += copy.source.words != copy.target.words
            met["wraps"] += copy.source.base + (copy.source.rows - 1) * copy.source.stride + copy.source.words > 1 << width
        await next_cycle(dut)
        cycle += 1
    wanted = {
        "flight is full",
        "nothing in flight",
        "response waits",
        "start while busy",
        "start with done",
        "one word",
        "other rows",
        "wraps",
    }
    wanted |= {"write behind write", "request and response", "at full rate"} if most > 1 else set()
    assert all(met[each] for each in wanted) and asks.stalled and writes.stalled, met
