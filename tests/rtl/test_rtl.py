"""Every module of hw/rtl: its bench inside Icarus, lint by Verilator, synthesis by yosys."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import pytest

from tests.rtl.mutation import KILLED, SURVIVED, fates, mutants, sample
from tests.rtl.runner import RTL, lint, modules, simulate
from tests.rtl.survivors import SURVIVORS
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
CASES = share(200, 16, 6)
MUTANTS, SCORE = share(100_000, 14, 0), 0.9
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
        assert not lint(module, parameters)


@pytest.mark.parametrize("module", modules())
def test_module_synthesises_without_latches(module: str) -> None:
    sources = " ".join(str(file) for file in sorted(RTL.glob("*.sv")))
    no_latch = "select -assert-none t:$dlatch t:$adlatch"
    script = f"read_verilog -sv {sources}; hierarchy -check -top {module}; proc; check -assert; {no_latch}; synth"
    done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "$_DLATCH" not in done.stdout and "Latch inferred" not in done.stdout


def test_benches_kill_mutants() -> None:
    """Nine in ten at least; those that survive have a reason in `survivors.py`."""
    found = list(fates(sample(MUTANTS, 5)))
    survived = [mutant for mutant, outcome in found if outcome == SURVIVED]
    killed = sum(outcome == KILLED for _, outcome in found)
    print(f"{killed + len(survived)} mutants, {killed} killed")
    assert not [str(mutant) for mutant in survived if mutant.key not in SURVIVORS]
    assert killed >= SCORE * (killed + len(survived))


def test_every_reason_to_survive_is_that_of_a_mutant() -> None:
    assert set(SURVIVORS) <= {mutant.key for module in modules() for mutant in mutants(module)}
