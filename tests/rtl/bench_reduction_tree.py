"""Reduction tree: values, cycles and registers of the simulator's, with gaps and back-pressure."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from accelsim.hardware.types import TYPES
from accelsim.sim.arithmetic import working
from accelsim.sim.pipelines import EMPTY, ReductionTree
from tests.rtl.arrays import matrix
from tests.rtl.bench import CASES, pack, parameter, reset, signed, start, stimuli, unpack
from tests.rtl.streams import Corners, stream, times

PARAMETERS = [
    {"INPUTS": 8, "W": 16, "OP": 0}, {"INPUTS": 2, "W": 8, "OP": 1}, {"INPUTS": 7, "W": 32, "OP": 2}, {"INPUTS": 5, "W": 16, "OP": 3},
    {"INPUTS": 3, "W": 8, "OP": 1},
]  # fmt: skip
OPERATORS = ("add", "max", "min", "mul")


@cocotb.test()
async def vectors(dut: Any) -> None:
    """Random vectors; in every third case the registers of every level in every cycle."""
    rng, inputs, width = stimuli(), parameter(dut, "INPUTS"), parameter(dut, "W")
    tree = ReductionTree(inputs, OPERATORS[parameter(dut, "OP")], working(TYPES[f"int{width}"], "wrap"))
    corners = Corners()
    await start(dut)
    for case in range(max(CASES, 12)):
        many = rng.randint(1, 12)
        sent = matrix(rng, many, inputs, width).astype(np.int64)
        stages = tree.stages(sent)
        offered, ready, plan = times(rng, many, tree.depth)

        def offer(vector: int, sent: Any = sent) -> None:
            dut.word_i.value = pack(sent[vector], width)

        def check(vector: int, stages: Any = stages) -> None:
            assert signed(int(dut.word_o.value), width) == stages[-1].registers["node"][vector, 0]

        def look(cycle: int, stages: Any = stages, plan: Any = plan, looks: bool = case % 3 == 0) -> None:
            for level in range(tree.depth if looks else 0):
                vector = plan.held[cycle, level]
                assert bool(int(dut.g_level[level].valid_q.value)) == (vector != EMPTY)
                if vector != EMPTY:
                    nodes = stages[level].registers["node"][vector].tolist()
                    assert unpack(int(dut.g_level[level].node_q.value), width, len(nodes)) == nodes

        await stream(dut, offered, ready, plan, offer, check, look, corners)
        await reset(dut)
    corners.assert_met()
