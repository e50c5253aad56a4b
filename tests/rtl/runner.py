"""Builds a module of hw/rtl with Icarus and runs its bench inside the simulator."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "hw" / "rtl"
TOOLS = ("iverilog", "verilator", "g++", "yosys", "z3")
SCALE = ("1ns", "1ps")  # without it Icarus counts in seconds


def modules(folder: Path = RTL) -> list[str]:
    """All modules; each has a file of its own."""
    return sorted(file.stem for file in folder.glob("*.sv"))


def missing() -> list[str]:
    """Tools that have to be installed first."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def lint(module: str, parameters: Mapping[str, int], rtl: Path = RTL) -> str:
    """What Verilator says of a module: nothing, if all is well."""
    options = [f"-G{name}={value}" for name, value in parameters.items()]
    command = ["verilator", "--lint-only", "-Wall", *options, "--top-module", module, "-y", str(rtl), str(rtl / f"{module}.sv")]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr or ("" if done.returncode == 0 else "refused without a word")


def simulate(
    module: str, parameters: Mapping[str, int], seed: int, cases: int, builds: Path, rtl: Path = RTL, bench: str = "", **told: str
) -> tuple[int, int, str]:
    """Tests of the bench of a module (or of another) that ran, those that failed, and what the simulator said.

    builds: where compiled simulations are kept, by the text that they are made from. told: environment of the bench.
    """
    from cocotb_tools.runner import get_results, get_runner

    sources = sorted(rtl.glob("*.sv"))
    text = repr(sorted(parameters.items())).encode() + b"".join(file.read_bytes() for file in sources)
    folder = builds / f"{module}-{hashlib.sha256(text).hexdigest()[:16]}"
    results, log = folder / f"results-{os.getpid()}.xml", folder / f"run-{os.getpid()}.log"
    runner = get_runner("icarus")
    runner.build(
        sources=sources, hdl_toplevel=module, parameters=dict(parameters), build_dir=folder, timescale=SCALE, log_file=folder / "build.log"
    )  # fmt: skip
    rewritten = {"COCOTB_REWRITE_ASSERTION_FILES": "bench*.py"}  # and not all that is imported, which takes five seconds
    environment = {"ACCELSIM_SEED": str(seed), "ACCELSIM_CASES": str(cases), "COCOTB_LOG_LEVEL": "WARNING", "PYTHONPATH": str(ROOT)}
    with suppress(SystemExit):  # which is how it says, under pytest only, that a test failed
        runner.test(
            hdl_toplevel=module, test_module=f"tests.rtl.{bench or 'bench_' + module}", build_dir=folder, test_dir=folder,
            results_xml=str(results), extra_env=environment | rewritten | told, log_file=log,
        )  # fmt: skip
    ran, failed = get_results(results) if results.exists() else (0, 0)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "the simulator did not run"
    for file in (results, log):
        file.unlink(missing_ok=True)
    return ran, failed, said
