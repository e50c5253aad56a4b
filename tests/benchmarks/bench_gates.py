"""Faults of gates and operand vectors per CPU second, each fault on each vector.

Run: python tests/benchmarks/bench_gates.py
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from accelsim.faults.gates import STUCK
from accelsim.faults.operations import OPERATIONS, SCAN_STEP, Unit, coverage

RTL = Path(__file__).parents[2] / "hw" / "rtl"
UNITS = {
    "pe_ws": {"AW": 8, "BW": 8, "CW": 32}, "pe_os": {"AW": 8, "BW": 8, "CW": 32}, "max_pe": {"W": 16, "TW": 1},
    "exp_pe": {"XW": 16, "XF": 8, "OF": 15, "G": 5, "TW": 4}, "scan_unit": {"WIDTH": 4, "W": 16, "FORM": 0}, "npu_scan": {"W": 16},
}  # fmt: skip
VECTORS = 1024


def main() -> None:
    """Print a line for each unit."""
    rng = np.random.default_rng(0)
    for module, parameters in UNITS.items():
        unit = Unit.of(RTL, module, parameters, None if module in OPERATIONS else SCAN_STEP)
        given = {name: rng.integers(-(1 << 62), 1 << 62, VECTORS) for name in unit.operation.operands}
        faults = unit.circuit.faults(STUCK)
        unit.results(faults[:1], given)  # compiled
        begun = time.process_time()
        found = unit.errors(faults, given)
        seconds = time.process_time() - begun
        print(
            f"{module}: {len(unit.circuit.net.tables)} gates, {sum(fault.count for fault in faults)} faults in {len(faults)} classes,"
            f" {coverage(faults, found.detected):.1%} seen in the result, wrong on {found.share.mean():.1%} of vectors on average,"
            f" {len(faults) * VECTORS / seconds / 1e6:.1f} M faults x vectors per CPU second"
        )


if __name__ == "__main__":
    main()
