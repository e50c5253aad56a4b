"""A bench for any module: drives recorded inputs and records outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import ArrayObject, HierarchyArrayObject, HierarchyObject, PackedObject
from cocotb.triggers import FallingEdge, ReadOnly, Timer


def clear(handle: Any) -> None:
    """Zeros in all memories, as the library begins."""
    for each in handle:
        if isinstance(each, ArrayObject):
            for place in each:
                if isinstance(place, PackedObject):
                    place.value = 0
        elif isinstance(each, HierarchyObject | HierarchyArrayObject):
            clear(each)


@cocotb.test()
async def replay(dut: Any) -> None:
    """Inputs of every cycle from ACCELSIM_INPUTS, outputs before its clock edge to ACCELSIM_OUTPUTS; unknown ones are null."""
    rows = json.loads(Path(os.environ["ACCELSIM_INPUTS"]).read_text(encoding="utf-8"))
    outputs = [handle for handle in dut if handle._name.endswith("_o")]
    found = []
    if os.environ.get("ACCELSIM_CLEAR"):
        clear(dut)
    clock = getattr(dut, "clk_i", None)
    if clock is not None:
        Clock(clock, 10, unit="ns").start(start_high=False)
    for row in rows:
        for name, word in row.items():
            getattr(dut, name).value = word
        await ReadOnly()
        found.append({each._name: int(each.value) if each.value.is_resolvable else None for each in outputs})
        await (Timer(10, unit="ns") if clock is None else FallingEdge(clock))
    Path(os.environ["ACCELSIM_OUTPUTS"]).write_text(json.dumps(found), encoding="utf-8")
