"""Engine: addresses, words written and counts of every cycle, against loops in Python."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import cocotb

from accelsim.rtl.processor import COUNTS
from accelsim.rtl.steps import FIRST_OPERAND, OPS, Step
from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, signed, start, stimuli
from tests.rtl.bench_npu_lane import NAMES, kept_within, operation
from tests.rtl.bench_npu_scan import scanned

PARAMETERS = [
    {"W": 16, "BW": 6, "CW": 8, "LANES": 4, "LOOPS": 3, "STEPS": 8},
    {"W": 8, "BW": 5, "CW": 4, "LANES": 3, "LOOPS": 1, "STEPS": 4},
    {"W": 32, "BW": 7, "CW": 10, "LANES": 1, "LOOPS": 4, "STEPS": 16},
    {"W": 16, "BW": 6, "CW": 8, "LANES": 2, "LOOPS": 3, "STEPS": 4, "KIND": 1},
]
FIELDS = COUNTS + 9  # of an instruction, but for those of lanes and loops
SYNTHESISED = [{"W": 8, "BW": 8, "CW": 8, "LANES": 2, "LOOPS": 3, "STEPS": 8}]


@dataclass
class Run:
    """An instruction: its fields and, point by point, for each lane its addresses, of c that which the word b moves `apart` for each that
    it counts, and `first`.
    """

    waits: list[int]
    counts: bool
    fields: list[int]
    points: list[tuple[list[int], bool]]
    steps: list[Step]
    in_use: int
    apart: int

    def addresses(self, point: int, buffer: list[int], width: int) -> list[int]:
        """Of a, b, c and the result, lane by lane, at a point."""
        found = list(self.points[point][0])
        for lane in range(0, len(found), 4):
            found[lane + 2] = (found[lane + 2] + self.apart * (buffer[found[lane + 1]] & ((1 << width) - 1))) % len(buffer)
        return found


def some(rng: Random, sizes: dict[str, int], program: list[Step]) -> Run:
    """A random nest with a part of the microprogram."""
    loops, words = sizes["LOOPS"], 1 << sizes["BW"]
    trips = [rng.choice((1, 1, 2, 3)) for _ in range(loops)]
    bases, offsets = ([rng.randrange(words) for _ in range(4 * count)] for count in (1, sizes["LANES"]))
    strides = [[rng.randrange(words) for _ in range(loops)] for _ in range(4)]
    begins, counts, reduces = rng.random() < 0.7, rng.random() < 0.8, rng.getrandbits(loops)
    first = rng.randrange(len(program))
    steps = program[first : first + rng.randint(1, len(program) - first)]
    in_use, apart = rng.getrandbits(sizes["LANES"]), rng.choice((0, 1, rng.randrange(words)))
    waits = [rng.randint(0, 2) if rng.random() < 0.3 else 0 for _ in range(COUNTS)]
    points = []
    for index in product(*(range(count) for count in reversed(trips))):
        at = index[::-1]
        opens = begins and all(not turn for loop, turn in enumerate(at) if reduces >> loop & 1)
        inside = [sum(turn * stride for turn, stride in zip(at, each, strict=True)) for each in strides]
        lanes = [(bases[place % 4] + offset + inside[place % 4]) % words for place, offset in enumerate(offsets)]
        points.append((lanes, opens))
    flags = begins | counts << 1 | reduces << 8
    fields = [*waits, flags, first, len(steps), in_use, apart, *bases, *offsets, *trips, *(each for row in strides for each in row)]
    return Run(waits, counts, fields, points, steps, in_use, apart)


@cocotb.test()
async def runs(dut: Any) -> None:
    """Random instructions behind counts that rise at random; lanes compute on a buffer that all share."""
    rng, met = stimuli(), Counter[str]()
    sizes = {name: parameter(dut, name) for name in ("W", "BW", "CW", "LANES", "LOOPS", "STEPS", "KIND")}
    width, bits, lanes, scans = sizes["W"], sizes["BW"], sizes["LANES"], bool(sizes["KIND"])
    await start(dut)
    for _ in range(max(2, CASES // 4)):
        buffer = [signed(rng.getrandbits(width), width) for _ in range(1 << bits)]
        program = [_step(rng, width, scans) for _ in range(sizes["STEPS"])]
        queue = deque(some(rng, sizes, program) for _ in range(8))
        dut.rst_i.value = 1
        await next_cycle(dut)
        dut.rst_i.value = 0
        counts, kept = [0] * COUNTS, [[0] * 4 for _ in range(lanes)]
        now: Run | None = None
        point = step = held = 0
        for _ in range(6000):
            if not queue and now is None:
                break
            for each in range(COUNTS):
                counts[each] += rng.random() < 0.05 and counts[each] < (1 << sizes["CW"]) - 1
            head = queue[0] if queue else None
            able = head is not None and all(has >= wants for has, wants in zip(counts, head.waits, strict=True))
            current = now.steps[step] if now else program[0]
            step_ends = now is not None and held == current.cycles - 1
            point_ends = step_ends and now is not None and step == len(now.steps) - 1
            ends = point_ends and now is not None and point == len(now.points) - 1
            taken = able and (now is None or ends)
            dut.valid_i.value, dut.done_i.value = int(head is not None), pack(counts, sizes["CW"])
            dut.instruction_i.value = pack(
                head.fields if head else [rng.getrandbits(32) for _ in range(FIELDS + 4 * lanes + 5 * sizes["LOOPS"])], 32
            )
            dut.step_i.value = current.word()
            addresses = now.addresses(point, buffer, width) if now else []
            chosen, others = addresses[2::4], [at for place, at in enumerate(addresses) if place % 4 != 2]
            dut.word_i.value = pack([buffer[at] for at in others] or [rng.getrandbits(width)], width)
            dut.chosen_word_i.value = pack([buffer[at] for at in chosen] or [rng.getrandbits(width)], width)
            await settled(dut)
            assert int(dut.taken_o.value) == taken and int(dut.busy_o.value) == (now is not None)
            assert int(dut.finished_o.value) == (ends and now is not None and now.counts)
            assert int(dut.write_valid_o.value) == (now.in_use if point_ends and now else 0)
            met["waits"] += head is not None and not able and now is None
            met["behind another"] += taken and ends
            if now is not None:
                assert int(dut.step_o.value) == now.fields[COUNTS + 1] + step
                assert int(dut.address_o.value) == pack(others, bits) and int(dut.chosen_address_o.value) == pack(chosen, bits)
                met["chooses"] += now.apart > 1
                met["holds"] += not step_ends
                if step_ends:
                    found = [
                        _compute(current, addresses[4 * lane : 4 * lane + 4], buffer, kept[lane], now.points[point][1], width, scans)
                        for lane in range(lanes)
                    ]
                    for lane, value in enumerate(found):
                        kept[lane][current.to] = value
                        assert signed(int(dut.write_word_o.value) >> (lane * width), width) == value
                    if point_ends:
                        for lane, value in enumerate(found):
                            if now.in_use >> lane & 1:
                                buffer[addresses[4 * lane + 3]] = value
                                met["writes"] += 1
                        met["idle lanes"] += now.in_use != (1 << lanes) - 1
            held = 0 if now is None or step_ends else held + 1
            if ends:
                now = None
            if taken:
                now, point, step = queue.popleft(), 0, 0
            elif point_ends:
                point, step = point + 1, 0
            elif step_ends:
                step += 1
            await next_cycle(dut)
        assert not queue and now is None, "the program is not through"
    assert all(met[name] for name in ("waits", "behind another", "holds", "writes", "idle lanes", "chooses")), met


def _step(rng: Random, width: int, scans: bool) -> Step:
    """A random step of a lane that computes, or of one that scans."""
    cycles = rng.choice((1, 1, 2, 3))
    if scans:
        x, z, w = (FIRST_OPERAND + rng.randrange(3) for _ in range(3))
        return Step("mac", x, z, rng.randrange(4), rng.random() < 0.4, rng.choice((0, rng.randrange(width))), cycles, w)
    op = rng.choice([name for name in OPS if name != "qexp"])
    x, z, w = (rng.randrange(9) for _ in range(3))
    return Step(op, x, z, rng.randrange(4), rng.random() < 0.4, signed(rng.getrandbits(width), width), cycles, w)


def _compute(step: Step, addresses: list[int], buffer: list[int], kept: list[int], first: bool, width: int, scans: bool) -> int:
    """What a lane's step gives."""
    if scans:
        x, z, w = (buffer[addresses[source - FIRST_OPERAND]] for source in (step.x, step.z, step.w))
        return scanned(x, z, w, step.constant, width)
    constant = signed(step.constant, width)
    sources = [*kept, *(buffer[at] for at in addresses), constant]
    x, z = sources[step.x], sources[step.z]
    if step.folds and first:
        return kept_within(x * z, width) if step.op == "mac" else z
    return operation(OPS[step.op], x, z, sources[step.w], width)


assert len(NAMES) == len(OPS)
