"""Scan unit: values, cycles and registers of the simulator's, with gaps and back-pressure."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from accelsim.hardware.types import TYPES
from accelsim.sim.arithmetic import working
from accelsim.sim.pipelines import EMPTY, ScanUnit
from tests.rtl.arrays import matrix
from tests.rtl.bench import CASES, next_cycle, pack, parameter, reset, signed, start, stimuli, unpack
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [
    {"WIDTH": 8, "W": 16, "FORM": 0}, {"WIDTH": 1, "W": 16, "FORM": 0}, {"WIDTH": 8, "W": 32, "FORM": 1}, {"WIDTH": 5, "W": 8, "FORM": 0},
    {"WIDTH": 11, "W": 8, "FORM": 1}, {"WIDTH": 2, "W": 16, "FORM": 1},
]  # fmt: skip
FORMS = ("kogge_stone", "brent_kung")


@cocotb.test()
async def vectors(dut: Any) -> None:
    """Random vectors behind one another, from a random h; in every third case all registers in every cycle."""
    rng, many_wide, width = stimuli(), parameter(dut, "WIDTH"), parameter(dut, "W")
    form = FORMS[parameter(dut, "FORM")] if many_wide > 1 else "serial"
    unit = ScanUnit(form, many_wide, working(TYPES[f"int{width}"], "wrap"))
    corners = Corners()
    await start(dut)
    for case in range(max(CASES, 12)):
        many = rng.randint(1, 12)
        a, b = (matrix(rng, many, many_wide, width).astype(np.int64) for _ in "ab")
        begin = signed(rng.getrandbits(width), width) if rng.random() < 0.5 else 0
        if begin:
            dut.load_i.value, dut.start_i.value = 1, pack([begin], width)
            await next_cycle(dut)
            dut.load_i.value = 0
            dut.start_i.value = rng.getrandbits(width)
        stages = unit.stages(a, b, begin)
        offered, ready, plan = times(rng, many, unit.depth)

        def offer(vector: int, a: Any = a, b: Any = b) -> None:
            dut.a_i.value, dut.b_i.value = pack(a[vector], width), pack(b[vector], width)

        def check(vector: int, stages: Any = stages) -> None:
            assert unpack(int(dut.h_o.value), width, many_wide) == stages[-1].registers["h"][vector].tolist()
            assert signed(int(dut.carry_o.value), width) == stages[-1].registers["carry"][vector]

        def look(cycle: int, stages: Any = stages, plan: Any = plan, looks: bool = case % 3 == 0) -> None:
            for level in range(unit.depth - 1 if looks else 0):
                vector, stage = plan.held[cycle, level], dut.g_stage[level]
                assert bool(int(stage.valid_q.value)) == (vector != EMPTY)
                for name in "ab" if vector != EMPTY else "":
                    words = unpack(int(getattr(stage, f"{name}_q").value), width, many_wide)
                    assert words == stages[level].registers[name][vector].tolist()

        await stream(dut, offered, ready, plan, offer, check, look, corners)
        await reset(dut)
    corners.assert_met()
