"""Random inputs for netlists with faults, and what the slow twin makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from accelsim.faults import reference_gates as reference
from accelsim.faults.gates import Circuit, GateFault
from accelsim.rtl.netlist import netlist
from accelsim.rtl.synthesis import synthesise
from tests.rtl.runner import RTL

UNITS: list[tuple[str, dict[str, int]]] = [
    ("pe_ws", {"AW": 3, "BW": 4, "CW": 8}), ("pe_os", {"AW": 4, "BW": 3, "CW": 9}), ("max_pe", {"W": 5, "TW": 1}),
    ("exp_pe", {"XW": 6, "XF": 2, "OF": 4, "G": 1, "TW": 1}), ("scan_unit", {"WIDTH": 3, "W": 4, "FORM": 0}), ("npu_scan", {"W": 4}),
]  # fmt: skip
CYCLES = 9


def circuit(module: str, parameters: dict[str, int]) -> tuple[Circuit, Any]:
    """A unit, and what yosys wrote of it."""
    made = synthesise(RTL, module, parameters)
    return Circuit(netlist(made)), made


def words(made: Any, rng: np.random.Generator, vectors: int, cycles: int = CYCLES) -> list[dict[str, Any]]:
    """Random words of all inputs but the clock, by cycle; a reset is rare, and so is waiting."""
    found = []
    for _ in range(cycles):
        now = {
            name: rng.integers(0, 1 << len(port["bits"]), vectors).astype(np.uint64)
            for name, port in made["ports"].items()
            if port["direction"] == "input" and name != "clk_i"
        }
        for name in now:
            if name == "rst_i" or name.endswith(("valid_i", "ready_i")):
                now[name] = (rng.random(vectors) < (0.03 if name == "rst_i" else 0.9)).astype(np.uint64)
        found.append(now)
    return found


def outputs(made: Any) -> list[str]:
    """Ports."""
    return [name for name, port in made["ports"].items() if port["direction"] == "output"]


def by_twin(made: Any, fault: GateFault | None, inputs: list[dict[str, Any]], vector: int, state: Mapping[str, int] = MappingProxyType({})
) -> list[dict[str, int]]:
    """Words of outputs in each cycle, of one vector; state: words of registers at first."""
    bits = [
        {bit: bool(int(now[name][vector]) >> place & 1) for name in now for place, bit in enumerate(made["ports"][name]["bits"])}
        for now in inputs
    ]
    broken = reference.Broken(fault.net, fault.kind, fault.cell, fault.pin) if fault else None
    held = {bit: bool(word >> place & 1) for name, word in state.items() for place, bit in enumerate(made["netnames"][name]["bits"])}
    shown = reference.run(made, bits, held, broken)
    constants = {"0": False, "1": True, "x": False}
    return [
        {name: sum((now | constants)[bit] << place for place, bit in enumerate(made["ports"][name]["bits"])) for name in outputs(made)}
        for now in shown[:-1]
    ]
