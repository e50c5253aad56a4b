"""The processor with its memory: programs that the mapper's mappings become, every word and every firing's cycles."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb

from accelsim.rtl.cosim import tensor_words
from accelsim.rtl.processor import COUNTS
from accelsim.rtl.program import FIRST_UNIT
from tests.rtl.bench import CASES, next_cycle, parameter, settled, signed, start, stimuli
from tests.rtl.host import SIZES, SMALL, idle, programmed
from tests.rtl.npu import STATEMENTS, Case, case, machine

PARAMETERS = [
    SIZES | {"ROWS": 2, "COLUMNS": 2, "LANES": 2, "SCANS": 3, "LATENCY": 4},
    SIZES | {"ROWS": 1, "COLUMNS": 3, "LANES": 1, "SCANS": 1, "LATENCY": 1},
]  # fmt: skip
SYNTHESISED = [{"W": 8, "AW": 4} | SMALL | {"LATENCY": 4}]
SLACK = 8


def drawn(dut: Any, rng: Random) -> list[Case]:
    """A case of every kind, as many as there are to be, for a machine of the module's parameters."""
    sizes = {name: parameter(dut, name) for name in ("AW", "BW", "ROWS", "COLUMNS", "LANES", "SCANS", "LATENCY")}
    target = machine(
        let__rows=sizes["ROWS"], let__columns=sizes["COLUMNS"], let__lanes=sizes["LANES"], let__scans=sizes["SCANS"],
        DRAM__latency=f"{sizes['LATENCY']} cycles", DRAM__size=f"{4 << sizes['AW']} B", Buffer__size=f"{4 << sizes['BW']} B",
    )  # fmt: skip
    return [case(kind, rng, target) for kind in STATEMENTS for _ in range(max(1, CASES // 8))]


@cocotb.test()
async def programs(dut: Any) -> None:
    """Runs what was exported and looks at all outputs."""
    rng = stimuli()
    await start(dut)
    for program, inputs, values in drawn(dut, rng):
        await programmed(dut, program, inputs)
        taken: list[list[int]] = [[] for _ in program.engines]
        done: list[list[int]] = [[] for _ in range(COUNTS)]
        for cycle in range(program.cycles + SLACK):
            idle(dut, rng)
            await settled(dut)
            for found, marks in ((taken, int(dut.taken_o.value)), (done, int(dut.done_o.value))):
                for place, each in enumerate(found):
                    each += [cycle] if marks >> place & 1 else []
            assert int(dut.busy_o.value) == (cycle <= program.cycles)
            await next_cycle(dut)
        assert max(each[-1] for each in done if each) == program.cycles
        for phase in program.phases:
            assert done[phase.counter][phase.number - 1] == phase.end, phase
            engine, wanted = (phase.counter - 1, phase.start) if phase.counter >= FIRST_UNIT else (0, phase.served)
            assert taken[engine][phase.instructions[0]] == wanted, phase
        dut.run_i.value = 0
        for name, expected in values.items():
            for at in range(tensor_words(program, name)):
                dut.host_address_i.value = program.places[name] + at
                await settled(dut)
                assert signed(int(dut.host_word_o.value), 32) == int(expected.reshape(-1)[at]), f"{name} at {at}"
                await next_cycle(dut)
