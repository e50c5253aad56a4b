"""Every module of hw/rtl: its bench inside Icarus, lint by Verilator, synthesis by yosys."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import pytest

from tests.rtl.runner import RTL, modules, simulate
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
CASES = share(200, 40, 6)
CONFIGURATIONS = [
    pytest.param(module, parameters, id=f"{module}-{'-'.join(map(str, parameters.values()))}")
    for module in modules()
    for parameters in importlib.import_module(f"tests.rtl.bench_{module}").PARAMETERS
]  # a module without a bench is an error


@pytest.mark.parametrize(("module", "parameters"), CONFIGURATIONS)
def test_module_does_what_the_simulator_does(module: str, parameters: dict[str, int], builds: Path) -> None:
    ran, failed, said = simulate(module, parameters, 1, CASES, builds)
    assert ran and not failed, said[-2000:]


@pytest.mark.parametrize("module", modules())
def test_module_lints_in_silence(module: str) -> None:
    for parameters in importlib.import_module(f"tests.rtl.bench_{module}").PARAMETERS:
        options = [f"-G{name}={value}" for name, value in parameters.items()]
        command = ["verilator", "--lint-only", "-Wall", *options, "--top-module", module, "-y", str(RTL), str(RTL / f"{module}.sv")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("module", modules())
def test_module_synthesises_without_latches(module: str) -> None:
    sources = " ".join(str(file) for file in sorted(RTL.glob("*.sv")))
    no_latch = "select -assert-none t:$dlatch t:$adlatch"
    script = f"read_verilog -sv {sources}; hierarchy -check -top {module}; proc; check -assert; {no_latch}; synth"
    done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "$_DLATCH" not in done.stdout and "Latch inferred" not in done.stdout
