"""Intersection by one comparison a cycle: values with gaps and back-pressure, and the simulator's cycles without."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import cocotb

from accelsim.sim.intersection import two_finger
from tests.rtl.bench import CASES, next_cycle, parameter, settled, start, stimuli
from tests.rtl.fibers import Fiber, Word, matches, pair
from tests.rtl.pace import Pace

PARAMETERS = [{"CW": 4, "PW": 4}, {"CW": 1, "PW": 1}, {"CW": 16, "PW": 8}, {"CW": 6, "PW": 2}]
CORNERS = (
    "match", "ends", "stalled", "advances while full", "back to back", "a is over first", "b is over first", "waits for a", "waits for b",
)  # fmt: skip


class Side:
    """A source of fibers, each with its end mark; a word that is offered stays until it is taken."""

    def __init__(self, dut: Any, name: str, fibers: list[Fiber], rng: Random, gaps: bool) -> None:
        self.dut, self.name, self.rng = dut, name, rng
        self.words = [word for fiber in fibers for word in (*((each, False) for each in fiber), (0, True))]
        self.pace, self.bits, self.valid = Pace(rng) if gaps else None, parameter(dut, "CW"), False

    def offer(self) -> tuple[int, bool] | None:
        """The word of this cycle, set on the inputs; the coordinate of an end mark, and what is not valid, mean nothing."""
        held = self.valid
        self.valid = bool(self.words) and (self.valid or self.pace is None or self.pace.now())
        coordinate, ends = self.words[0] if self.valid else (0, self.rng.random() < 0.5)
        getattr(self.dut, f"{self.name}_valid_i").value = self.valid
        getattr(self.dut, f"{self.name}_end_i").value = ends
        if not held:
            self.noise = self.rng.getrandbits(self.bits)
        getattr(self.dut, f"{self.name}_coordinate_i").value = coordinate if self.valid and not ends else self.noise
        return self.words[0] if self.valid else None

    def ready(self) -> bool:
        """Whether the module takes what is offered."""
        return bool(int(getattr(self.dut, f"{self.name}_ready_o").value))

    def advance(self) -> None:
        """The word has been taken."""
        self.words.pop(0)
        self.valid = False


def given(dut: Any) -> Word:
    """The word at the output."""
    names = "coordinate", "a_position", "b_position"
    coordinate, a, b = (int(getattr(dut, f"z_{name}_o").value) for name in names)
    return coordinate, a, b, bool(int(dut.z_end_o.value))


@cocotb.test()
async def gaps_and_back_pressure(dut: Any) -> None:
    """Both readies and the output in every cycle, and what comes out of all fibers."""
    rng, met = stimuli(), Counter[str]()
    bits, mask = parameter(dut, "CW"), (1 << parameter(dut, "PW")) - 1
    pairs: list[tuple[Fiber, Fiber]] = []
    while sum(len(a) + len(b) + 2 for a, b in pairs) < 400 + 60 * CASES:  # words, since fibers of few bits are short
        pairs.append(pair(rng, bits))
    expected = [word for a, b in pairs for word in matches(a, b, parameter(dut, "PW"))]
    await start(dut)
    sides = Side(dut, "a", [a for a, _ in pairs], rng, True), Side(dut, "b", [b for _, b in pairs], rng, True)
    takes, found = Pace(rng), list[Word]()
    at, word, held = [0, 0], None, None  # positions, and the output of this cycle and, if it was not taken, of the last
    while len(found) < len(expected):
        offered, ready = [side.offer() for side in sides], takes.now()
        dut.z_ready_i.value = ready
        await settled(dut)
        assert int(dut.z_valid_o.value) == (word is not None)
        if word is not None:
            assert given(dut) == word
            assert held is None or word == held, "a word changed before it was taken"
        room, moves, gives = word is None or ready, [False, False], None
        if offered[0] is not None and offered[1] is not None:
            # an end mark is above all coordinates
            first, second = ((each[1], each[0]) for each in offered if each is not None)
            moves = [first < second or (first == second and room), second < first or (first == second and room)]
            met["stalled"] += first == second and not room
            met["advances while full"] += first != second and not room
            met["a is over first"] += first[0] and not second[0]
            met["b is over first"] += second[0] and not first[0]
            if all(moves):
                gives = (first[1], at[0] & mask, at[1] & mask, first[0])
                met["ends" if first[0] else "match"] += 1
                met["back to back"] += word is not None
        met["waits for a"] += offered[0] is None and offered[1] is not None
        met["waits for b"] += offered[1] is None and offered[0] is not None
        for number, side in enumerate(sides):
            assert side.ready() == moves[number], f"{side.name} ready"
            if moves[number]:
                at[number] = 0 if side.words[0][1] else at[number] + 1
                met["a position that wraps"] += at[number] > mask
                side.advance()
        if word is not None and ready:
            found.append(word)
        held = word if not ready else None
        word = gives or (word if not ready else None)
        await next_cycle(dut)
    assert found == expected
    corners = (*CORNERS, *(("a position that wraps",) if 2 * mask < min(1 << bits, 20) else ()))
    assert all(met[each] for each in corners), met


@cocotb.test()
async def cycles(dut: Any) -> None:
    """Fibers one after another, never a wait: every word one cycle after the simulator has it."""
    rng, bits, mask = stimuli(), parameter(dut, "CW"), (1 << parameter(dut, "PW")) - 1
    pairs = [pair(rng, bits) for _ in range(20 + CASES)]
    due: dict[int, Word] = {}
    began = 0
    for a, b in pairs:
        through = two_finger(a, b)
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
        for side in [side for side in sides if side.valid and side.ready()]:
            side.advance()
        await next_cycle(dut)
    assert not any(side.words for side in sides)
