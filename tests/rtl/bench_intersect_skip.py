"""Intersection that skips: values with windows that fill late and back-pressure, and the simulator's cycles without."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import cocotb

from accelsim.sim.intersection import skipping
from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, start, stimuli
from tests.rtl.fibers import Fiber, Word, matches, pair
from tests.rtl.pace import Pace

PARAMETERS = [
    {"S": 4, "CW": 6, "PW": 8},
    {"S": 1, "CW": 4, "PW": 4},
    {"S": 3, "CW": 16, "PW": 2},
    {"S": 8, "CW": 5, "PW": 1},
    {"S": 2, "CW": 1, "PW": 2},
]
CORNERS = (
    "match", "ends", "stalled", "skips while full", "back to back", "a is over first", "b is over first", "waits for a", "waits for b",
    "end known with the last", "end known later",
)  # fmt: skip


class Side:
    """A source of fibers: what it shows of the present one grows at its pace and leaves only when it is dropped."""

    def __init__(self, dut: Any, name: str, fibers: list[Fiber], rng: Random, gaps: bool) -> None:
        self.dut, self.name, self.rng, self.fibers = dut, name, rng, [list(fiber) for fiber in fibers]
        self.size, self.bits = parameter(dut, "S"), parameter(dut, "CW")
        self.pace, self.shown, self.ended = Pace(rng) if gaps else None, 0, False

    def offer(self) -> tuple[Fiber, bool]:
        """The window of this cycle and whether the end is known, set on the inputs; slots beyond the window mean nothing."""
        if self.fibers:
            most = min(self.size, len(self.fibers[0]))
            if self.pace is None:
                self.shown = most
            elif self.pace.now():
                self.shown = self.rng.choice((most, self.rng.randint(self.shown, most)))
            willing = self.pace is None or self.rng.random() < 0.5
            self.ended = self.ended or (self.shown == len(self.fibers[0]) and willing)
        window = self.fibers[0][: self.shown] if self.fibers else []
        noise = [self.rng.getrandbits(self.bits) for _ in range(self.size - len(window))]
        getattr(self.dut, f"{self.name}_coordinates_i").value = pack([*window, *noise], self.bits)
        getattr(self.dut, f"{self.name}_count_i").value = len(window)
        getattr(self.dut, f"{self.name}_end_i").value = self.ended
        return window, self.ended

    def drop(self) -> int:
        """How many the module drops."""
        return int(getattr(self.dut, f"{self.name}_drop_o").value)

    def advance(self, count: int, done: bool) -> None:
        """Some have been dropped, or the fiber is over."""
        del self.fibers[0][:count]
        self.shown -= count
        if done:
            assert not self.fibers.pop(0)
            self.ended = False


def given(dut: Any) -> Word:
    """The word at the output."""
    names = "coordinate", "a_position", "b_position"
    coordinate, a, b = (int(getattr(dut, f"z_{name}_o").value) for name in names)
    return coordinate, a, b, bool(int(dut.z_end_o.value))


@cocotb.test()
async def gaps_and_back_pressure(dut: Any) -> None:
    """What is dropped and the output in every cycle, and what comes out of all fibers."""
    rng, met = stimuli(), Counter[str]()
    size, bits, mask = parameter(dut, "S"), parameter(dut, "CW"), (1 << parameter(dut, "PW")) - 1
    pairs = [pair(rng, bits) for _ in range(20 + 3 * CASES)]
    expected = [word for a, b in pairs for word in matches(a, b, parameter(dut, "PW"))]
    await start(dut)
    sides = Side(dut, "a", [a for a, _ in pairs], rng, True), Side(dut, "b", [b for _, b in pairs], rng, True)
    takes, found = Pace(rng), list[Word]()
    at, word, held = [0, 0], None, None  # positions, and the output of this cycle and, if it was not taken, of the last
    above = 1 << bits  # all coordinates
    while len(found) < len(expected):
        ((a, a_over), (b, b_over)), ready = (side.offer() for side in sides), takes.now()
        dut.z_ready_i.value = ready
        await settled(dut)
        assert int(dut.z_valid_o.value) == (word is not None)
        if word is not None:
            assert given(dut) == word
            assert held is None or word == held, "a word changed before it was taken"
        room, drops, done, gives = word is None or ready, [0, 0], False, None
        if (a or a_over) and (b or b_over):
            heads = (a or [above])[0], (b or [above])[0]
            drops = [sum(each < heads[1] for each in a), sum(each < heads[0] for each in b)]
            equal = heads[0] == heads[1]
            if equal and room:
                done = heads[0] == above
                drops = [0, 0] if done else [1, 1]
                gives = (0 if done else heads[0], at[0] & mask, at[1] & mask, done)
                met["ends" if done else "match"] += 1
                met["back to back"] += word is not None
            met["stalled"] += equal and not room
            met["skips while full"] += not equal and not room
            met["a is over first"] += heads[0] == above != heads[1]
            met["b is over first"] += heads[1] == above != heads[0]
            met["whole window skipped"] += not equal and max(drops) == size
            met["part of a window skipped"] += not equal and 0 < max(drops) < max(len(a) * bool(drops[0]), len(b) * bool(drops[1]))
        met["waits for a"] += not (a or a_over) and bool(b or b_over)
        met["waits for b"] += not (b or b_over) and bool(a or a_over)
        for window, over in ((a, a_over), (b, b_over)):
            met["end known with the last"] += bool(window) and over
            met["end known later"] += not window and not over
        assert int(dut.done_o.value) == done
        for number, side in enumerate(sides):
            assert side.drop() == drops[number], f"{side.name} drops"
            at[number] = 0 if done else at[number] + drops[number]
            met["a position that wraps"] += at[number] > mask
            if side.fibers:
                side.advance(drops[number], done)
        if word is not None and ready:
            found.append(word)
        held = word if not ready else None
        word = gives or (word if not ready else None)
        await next_cycle(dut)
    assert found == expected
    corners = [*CORNERS, "whole window skipped"]
    corners += ["part of a window skipped"] if size > 1 and bits > 1 else []
    corners += ["a position that wraps"] if 2 * mask < min(1 << bits, 20) else []
    assert all(met[each] for each in corners), met


@cocotb.test()
async def cycles(dut: Any) -> None:
    """Fibers one after another, windows as full as they can be: every word one cycle after the simulator has it."""
    rng, size, bits, mask = stimuli(), parameter(dut, "S"), parameter(dut, "CW"), (1 << parameter(dut, "PW")) - 1
    pairs = [pair(rng, bits) for _ in range(20 + CASES)]
    due: dict[int, Word] = {}
    began = 0
    for a, b in pairs:
        through = skipping(a, b, size)
        due |= {began + each.cycle + 1: (each.coordinate, each.a & mask, each.b & mask, False) for each in through.matches}
        began += through.cycles
        due[began] = (0, len(a) & mask, len(b) & mask, True)
    await start(dut)
    sides = Side(dut, "a", [a for a, _ in pairs], rng, False), Side(dut, "b", [b for _, b in pairs], rng, False)
    dut.z_ready_i.value = 1
    for cycle in range(began + 2):
        for side in sides:
            side.offer()
        await settled(dut)
        assert (given(dut) if int(dut.z_valid_o.value) else None) == due.get(cycle), f"cycle {cycle}"
        done = bool(int(dut.done_o.value))
        for side in [side for side in sides if side.fibers]:
            side.advance(side.drop(), done)
        await next_cycle(dut)
    assert not any(side.fibers for side in sides)
