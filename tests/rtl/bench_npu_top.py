"""The processor alone: a memory in Python answers, in order and after a time that changes from program to program."""

from __future__ import annotations

from collections import deque
from typing import Any

import cocotb

from accelsim.rtl.cosim import OUTER, tensor_words
from tests.rtl.bench import CASES, next_cycle, parameter, settled, signed, start, stimuli
from tests.rtl.host import SIZES, SMALL, idle, programmed
from tests.rtl.npu import STATEMENTS, case, machine

PARAMETERS = [SIZES | {"ROWS": 2, "COLUMNS": 1, "LANES": 3, "SCANS": 2, "FLIGHT": 6}]
SYNTHESISED = [{"W": 8, "AW": 8} | SMALL | {"FLIGHT": 4}]


@cocotb.test()
async def memories(dut: Any) -> None:
    """The same words and cycles with every time of the memory up to the requests that may be under way."""
    rng = stimuli()
    await start(dut)
    for number, kind in enumerate([*STATEMENTS] * max(1, CASES // 16)):
        latency = (1, parameter(dut, "FLIGHT"), rng.randint(1, parameter(dut, "FLIGHT")))[number % 3]
        target = machine(
            let__rows=2, let__columns=1, let__lanes=3, let__scans=2,
            DRAM__latency=f"{latency} cycles", DRAM__size="4096 B", Buffer__size="2048 B"
        )  # fmt: skip
        program, inputs, values = case(kind, rng, target)
        memory = [0] * 1024
        for (_, address), word in (await programmed(dut, program, inputs, OUTER)).items():
            memory[address] = word
        answers: deque[int | None] = deque([None] * latency)
        last = -1
        for cycle in range(program.cycles + 8):
            idle(dut, rng)
            answer = answers.popleft()
            dut.response_valid_i.value, dut.response_word_i.value = int(answer is not None), answer or 0
            await settled(dut)
            address = int(dut.request_address_o.value)
            asks, writes = int(dut.request_valid_o.value), int(dut.request_write_o.value)
            answers.append(memory[address] if asks and not writes else None)
            if asks and writes:
                memory[address] = int(dut.request_word_o.value)
            last = cycle if int(dut.done_o.value) else last
            assert int(dut.busy_o.value) == (cycle <= program.cycles)
            await next_cycle(dut)
        assert last == program.cycles
        for name, expected in values.items():
            place = program.places[name]
            found = [signed(word, 32) for word in memory[place : place + tensor_words(program, name)]]
            assert found == expected.reshape(-1).tolist(), name
