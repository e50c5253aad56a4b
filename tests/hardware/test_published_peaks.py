"""Peaks of shipped machines are the published ones: operations per second and bandwidth in the bound of the model, sizes of memories.

A product that is large in all ranks takes the machine's peak of operations, one with a single row its bandwidth. The bound
(`model.floor`) is reached from the cascade and the machine alone; constants that were fitted are set to what leaves peaks as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from accelsim.hardware.describe import describe
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.model.floor import floor
from accelsim.workload.cascade import Cascade

KIB, MIB = 1024, 1024**2


@dataclass(frozen=True)
class Published:
    """`operations`: per second by type, a multiply-add being two; `bandwidth`: bytes per second; `sizes`: of all copies of memories."""

    source: str
    operations: dict[str, float]
    bandwidth: float
    sizes: dict[str, float] = field(default_factory=dict)


PUBLISHED = {
    "a100": Published(
        "data sheet: 312, 624, 19.5 T; 40 GB, 1555 GB/s. Architecture paper: L2 40,960 KB, registers 27,648 KB",
        {"fp16": 312e12, "bf16": 312e12, "int8": 624e12, "fp32": 19.5e12}, 1555e9, {"HBM": 40e9, "L2": 40960 * KIB, "REG": 27648 * KIB},
    ),
    "a100_80gb": Published("data sheet of the 80 GB SXM card", {"fp16": 312e12, "int8": 624e12}, 2039e9, {"HBM": 80e9}),
    "h100": Published(
        "data sheet of the SXM card, half of the figures with sparsity; architecture paper: L2 50 MB, registers 33,792 KB",
        {"bf16": 989.4e12, "e4m3": 1978.9e12, "int8": 1978.9e12}, 3.35e12, {"HBM": 80e9, "L2": 50e6, "REG": 33792 * KIB},
    ),
    "h200": Published("data sheet, half of the figures with sparsity", {"bf16": 989.4e12, "e4m3": 1978.9e12}, 4.8e12, {"HBM": 141e9}),
    "jetson_orin": Published(
        "technical brief: 5.3 TFLOP/s, 170 TOPS with 2:4, 204.8 GB/s, L2 4 MB", {"int8": 85e12, "fp32": 5.3e12}, 204.8e9, {"L2": 4 * MIB}
    ),
    "tpu_v1_like": Published(
        "ISCA 2017, table 2 and section 2", {"int8": 92e12}, 34e9, {"Unified": 24 * MIB, "Accumulators": 4 * MIB, "DRAM": 8 * 1024 * MIB}
    ),
    "tpu_like": Published("TPU v4i: 138 TFLOP/s, 614 GB/s, 128 MiB", {"bf16": 138e12}, 614e9, {"GlobalBuffer": 128 * MIB}),
    "simba_like": Published(
        "VLSI 2019: 127.8 TOPS for 36 chips; MICRO 2019: 64 KiB and 16 x 43 KiB a chip",
        {"int8": 127.8e12}, 100e9, {"Global": 36 * 64 * KIB, "Local": 36 * 16 * 43 * KIB},
    ),
    "nvdla_like": Published(
        "2048 multiply-adds of 8 bits, at 1 GHz; 512 KiB", {"int8": 2 * 2048e9, "fp16": 2 * 1024e9}, 32e9, {"CBUF": 512 * KIB}
    ),
    "eyeriss_like": Published("ISSCC 2016: 168 elements at 200 MHz, 33.6 GMAC/s; 108 KB", {"bf16": 2 * 33.6e9}, 1.6e9, {"GLB": 108 * KIB}),
    "spatial": Published(
        "arXiv 2406.10491: 256 x 256 at 940 MHz, 400 GiB/s, 16 MiB", {"bf16": 2 * 65536 * 940e6}, 400 * 1024**3, {"L3": 16 * MIB}
    ),
    "ethos_u55_like_256": Published("256 multiply-adds a cycle at 500 MHz", {"int8": 2 * 256 * 500e6}, 8e9),
}  # fmt: skip


def _product(type: str, **shape: int) -> Cascade:
    sums = "int32" if type.startswith("int") else "fp32"
    given = {f"shape.{rank}": str(size) for rank, size in shape.items()} | {"type.default": type, "type.Z": sums}
    workload = load_workload(resolve("matmul", WORKLOAD), given)
    assert isinstance(workload, Cascade)
    return workload


@pytest.mark.parametrize("name", PUBLISHED)
def test_peaks_are_the_published_ones(name: str) -> None:
    published = PUBLISHED[name]
    calibrated = load_architecture(resolve(name, MACHINE)).launch_s > 0
    machine = load_architecture(resolve(name, MACHINE), {"let.compute": "1", "let.streaming": "1", "launch": "0 us"} if calibrated else {})
    hertz = float(machine.clock_hz)
    for type, operations in published.operations.items():
        side = 1 << 14
        cycles = floor(_product(type, m=side, n=side, k=side), machine)["min_cycles"]
        assert 2 * side**3 / cycles * hertz == pytest.approx(operations, rel=0.02), (type, describe(machine))
    type = next(iter(published.operations))
    found = floor(_product(type, m=1, n=1 << 14, k=1 << 14), machine)
    assert found["compulsory_bytes"] / found["min_cycles"] * hertz == pytest.approx(published.bandwidth, rel=1e-4)
    for memory, size in published.sizes.items():
        bits = machine.memories[memory].size_bits
        assert bits is not None and bits / 8 * machine.copies(memory) == size, memory


def test_a_peak_that_is_off_is_seen() -> None:
    machine = load_architecture(resolve("a100", MACHINE), {"SM.size": "100", "let.compute": "1", "let.streaming": "1", "launch": "0 us"})
    cycles = floor(_product("fp16", m=4096, n=4096, k=4096), machine)["min_cycles"]
    assert 2 * 4096**3 / cycles * float(machine.clock_hz) != pytest.approx(312e12, rel=0.02)
