"""A bench for any module with a clock and a reset: the same inputs again and again, each time with bits of one register flipped once."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly


def reached(dut: Any, scope: str, name: str) -> Any:
    """The register `name` in a scope as `g_col[0].u_pe`, '' for the module."""
    handle = dut
    for part in filter(None, scope.split(".")):
        found = re.fullmatch(r"(\w+)((?:\[\d+\])*)", part)
        assert found is not None
        handle = getattr(handle, found[1])
        for place in re.findall(r"\d+", found[2]):
            handle = handle[int(place)]
    return getattr(handle, name)


@cocotb.test()
async def upsets(dut: Any) -> None:
    """Rows of inputs and faults (scope, name, mask, cycle) from ACCELSIM_INPUTS, outputs before each edge to ACCELSIM_OUTPUTS."""
    asked = json.loads(Path(os.environ["ACCELSIM_INPUTS"]).read_text(encoding="utf-8"))
    outputs = [handle for handle in dut if handle._name.endswith("_o")]
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    found = []
    for scope, name, mask, when in asked["faults"]:
        dut.rst_i.value = 1
        for word in asked["rows"][0]:
            getattr(dut, word).value = 0
        for _ in range(2):
            await FallingEdge(dut.clk_i)
        dut.rst_i.value = 0
        said = []
        for cycle, row in enumerate(asked["rows"]):
            for word, value in row.items():
                getattr(dut, word).value = value
            await ReadOnly()
            said.append([int(each.value) for each in outputs])
            await FallingEdge(dut.clk_i)
            if cycle == when and mask:
                register = reached(dut, scope, name)
                register.value = int(register.value) ^ mask
        found.append(said)
    names = [handle._name for handle in outputs]
    Path(os.environ["ACCELSIM_OUTPUTS"]).write_text(json.dumps({"names": names, "runs": found}), encoding="utf-8")
