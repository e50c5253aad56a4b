"""Chunked scan: values, cycles and registers of the simulator's, with gaps and back-pressure."""

from __future__ import annotations

from typing import Any, NamedTuple

import cocotb
import numpy as np

from accelsim.hardware.types import TYPES
from accelsim.sim.arithmetic import working
from accelsim.sim.pipelines import ChunkedScan, Passage
from tests.rtl.arrays import matrix
from tests.rtl.bench import CASES, next_cycle, pack, parameter, reset, signed, start, stimuli, unpack
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [
    {"LANES": 4, "CHUNK": 3, "W": 16}, {"LANES": 1, "CHUNK": 1, "W": 8}, {"LANES": 2, "CHUNK": 5, "W": 32},
    {"LANES": 3, "CHUNK": 1, "W": 8},
    {"LANES": 1, "CHUNK": 4, "W": 16},
]  # fmt: skip


class Plan(NamedTuple):
    """Cycles in which each step enters, is put into `h` and leaves, and in which the last carry of each block is made."""

    entered: list[int]
    made: list[int]
    left: list[int]
    carried: list[int]


def planned(lanes: int, chunk: int, offered: list[int], ready: list[bool]) -> Plan:
    """What waits for what: a carry for the whole block and for the completion of the one before, a step for the words it goes into."""
    plan = Plan([], [], [], [])
    for block in range(len(offered) // chunk):
        steps = range(block * chunk, (block + 1) * chunk)
        for step in steps:
            waits = [offered[step]]
            if step:
                waits.append(plan.entered[step - 1] + 1)
            if block:
                waits += [plan.carried[-1] + 1, plan.made[step - chunk]]
            plan.entered.append(max(waits))
        plan.carried.append(max(plan.entered[-1], plan.made[-1] if block else 0) + lanes)
        for step in steps:
            plan.made.append(max(plan.carried[-1] + 1, plan.left[-1] if step else 0, plan.made[-1] + 1 if step else 0))
            cycle = plan.made[-1] + 1
            while cycle < len(ready) and not ready[cycle]:
                cycle += 1
            plan.left.append(cycle)
    return plan


class Registers:
    """What registers have to hold, and how often each kind was looked at."""

    def __init__(self, dut: Any, unit: ChunkedScan, width: int) -> None:
        self.dut, self.unit, self.width = dut, unit, width
        self.seen = dict.fromkeys(("lh", "carry", "next", "h", "none"), 0)

    def look(self, cycle: int, plan: Plan, held: dict[str, Any], begin: int) -> None:
        """At the beginning of a cycle."""
        chunk, lanes = self.unit.chunk, self.unit.lanes
        for lane in range(lanes):
            words = {name: unpack(int(getattr(self.dut.g_lane[lane], f"{name}_q").value), self.width, chunk) for name in ("lh", "lg")}
            for place in range(chunk):
                inside = [block for block, at in enumerate(plan.entered[place::chunk]) if at < cycle]
                for name in words if inside else ():
                    assert words[name][place] == held[name][inside[-1], lane, place], f"{name} of lane {lane}, step {place}, cycle {cycle}"
                    self.seen["lh"] += 1
        carries, handed = unpack(int(self.dut.carry_q.value), self.width, lanes), begin
        for block, at in enumerate(plan.carried):
            for lane in range(lanes):
                if at - lanes + 1 + lane >= cycle:
                    break
                following = (block, lane + 1) if lane + 1 < lanes else (block + 1, 0)
                handed = int(held["carry"][following]) if following[0] < len(plan.carried) else int(held["h"][-1, -1, -1])
                if block + 1 == len(plan.carried) or plan.carried[block + 1] - lanes + 1 + lane >= cycle:
                    assert carries[lane] == held["carry"][block, lane], f"carry of lane {lane}, cycle {cycle}"
                    self.seen["carry"] += 1
        assert signed(int(self.dut.next_q.value), self.width) == handed, f"carry that is handed on, cycle {cycle}"
        self.seen["next"] += 1
        there = [step for step, at in enumerate(plan.made) if at < cycle <= plan.left[step]]
        assert int(self.dut.valid_q.value) == len(there), f"h of {there}, cycle {cycle}"
        self.seen["h" if there else "none"] += 1


def blocks_of(unit: ChunkedScan, held: Any) -> Any:
    """[blocks, lanes, chunk] as rows of lanes, in the order in which they pass."""
    return held.transpose(0, 2, 1).reshape(-1, unit.lanes)


@cocotb.test()
async def blocks(dut: Any) -> None:
    """Random blocks behind one another, from a random h; the first cases without gaps, and in every third all registers in every cycle."""
    rng, width = stimuli(), parameter(dut, "W")
    unit = ChunkedScan(parameter(dut, "LANES"), parameter(dut, "CHUNK"), working(TYPES[f"int{width}"], "wrap"))
    corners, registers, full = Corners(), Registers(dut, unit, width), 0
    await start(dut)
    for case in range(max(CASES, 12)):
        many = rng.randint(1, 5)
        shape = many, unit.lanes, unit.chunk
        a, b = (matrix(rng, many * unit.lanes, unit.chunk, width).astype(np.int64).reshape(shape) for _ in "ab")
        begin = signed(rng.getrandbits(width), width) if rng.random() < 0.5 else 0
        if begin:
            dut.load_i.value, dut.start_i.value = 1, pack([begin], width)
            await next_cycle(dut)
            dut.load_i.value = 0
        dut.start_i.value = rng.getrandbits(width)
        held = unit.registers(a, b, begin)
        assert (held["h"].ravel() == unit.scan(a.ravel(), b.ravel(), begin)).all()
        steps = many * unit.chunk
        offered, ready, _ = times(rng, steps, 2 * unit.chunk + unit.lanes)
        if case < 2:
            offered, ready = [0] * steps, []
        plan = planned(unit.lanes, unit.chunk, offered, ready)
        if case < 2:
            assert plan.made[-1] + 1 == unit.cycles(many * unit.lanes * unit.chunk), "cycles without gaps are not the simulator's"
        passes = Passage(np.array(plan.entered), np.array(plan.left), np.empty((0, 0), np.int64))
        rows = {"a": blocks_of(unit, a), "b": blocks_of(unit, b), "h": blocks_of(unit, held["h"])}
        full += sum(after == at for at, after in zip(plan.made, plan.entered[unit.chunk :], strict=False))

        def offer(step: int, rows: Any = rows) -> None:
            dut.a_i.value, dut.b_i.value = pack(rows["a"][step], width), pack(rows["b"][step], width)

        def check(step: int, rows: Any = rows) -> None:
            assert unpack(int(dut.h_o.value), width, unit.lanes) == rows["h"][step].tolist()

        def look(cycle: int, plan: Plan = plan, held: Any = held, begin: int = begin, looks: bool = case % 3 == 0) -> None:
            if looks:
                registers.look(cycle, plan, held, begin)

        def idle() -> None:
            dut.a_i.value, dut.b_i.value = (rng.getrandbits(unit.lanes * width) for _ in "ab")

        await stream(dut, offered, ready, passes, offer, check, look, corners, idle)
        await reset(dut)
    if unit.chunk > 1:
        corners.assert_met()
    assert corners.refused and corners.stalled and full and all(registers.seen.values()), (corners, full, registers.seen)
