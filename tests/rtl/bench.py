"""What benches share; runs inside the simulator."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from typing import Any

from cocotb.clock import Clock
from cocotb.handle import HierarchyArrayObject, HierarchyObject, LogicArrayObject, LogicObject, PackedObject
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

CASES = int(os.environ.get("ACCELSIM_CASES", "20"))


def stimuli() -> random.Random:
    """Random numbers from the seed of the run."""
    return random.Random(int(os.environ.get("ACCELSIM_SEED", "0")))


def parameter(dut: Any, name: str) -> int:
    """A parameter of the module."""
    return int(getattr(dut, name).value)


def pack(words: Iterable[int], width: int) -> int:
    """Words side by side, the first in the low bits."""
    found = 0
    for place, word in enumerate(words):
        found |= (int(word) & ((1 << width) - 1)) << (place * width)
    return found


def signed(word: int, width: int) -> int:
    """A word in two's complement."""
    word &= (1 << width) - 1
    return word - (1 << width) if word >> (width - 1) else word


def unpack(found: int, width: int, count: int) -> list[int]:
    """The words of `pack`, in two's complement."""
    return [signed(found >> (place * width), width) for place in range(count)]


async def start(dut: Any) -> None:
    """A clock, all inputs at 0, and a reset; ends after a falling edge, where inputs may change."""
    for handle in dut:
        if handle._name.endswith("_i"):
            handle.value = 0
    Clock(dut.clk_i, 10, unit="ns").start()
    await reset(dut)
    await ReadOnly()
    for register in registers(dut):
        assert int(register.value) == 0, f"{register._path} after a reset"
    await next_cycle(dut)


def registers(handle: Any) -> Iterator[Any]:
    """All registers below a module; words of memories, which have no reset, are none."""
    for each in handle:
        if isinstance(each, LogicArrayObject | LogicObject | PackedObject):
            if each._name.endswith("_q"):
                yield each
        elif isinstance(each, HierarchyObject | HierarchyArrayObject):
            yield from registers(each)


async def reset(dut: Any) -> None:
    """Two cycles of reset."""
    dut.rst_i.value = 1
    for _ in range(2):
        await FallingEdge(dut.clk_i)
    dut.rst_i.value = 0


async def settled(dut: Any) -> None:
    """Until outputs follow the inputs of this cycle; inputs may not change before the next falling edge."""
    await ReadOnly()


async def next_cycle(dut: Any) -> None:
    """To where the inputs of the next cycle may change."""
    await RisingEdge(dut.clk_i)
    await FallingEdge(dut.clk_i)
