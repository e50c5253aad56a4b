"""A bench for any module: drives recorded inputs and records outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly


@cocotb.test()
async def replay(dut: Any) -> None:
    """Inputs of every cycle from ACCELSIM_INPUTS, outputs before its clock edge to ACCELSIM_OUTPUTS; unknown ones are null."""
    rows = json.loads(Path(os.environ["ACCELSIM_INPUTS"]).read_text(encoding="utf-8"))
    outputs = [handle for handle in dut if handle._name.endswith("_o")]
    found = []
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    for row in rows:
        for name, word in row.items():
            getattr(dut, name).value = word
        await ReadOnly()
        found.append({each._name: int(each.value) if each.value.is_resolvable else None for each in outputs})
        await FallingEdge(dut.clk_i)
    Path(os.environ["ACCELSIM_OUTPUTS"]).write_text(json.dumps(found), encoding="utf-8")
