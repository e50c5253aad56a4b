"""Sizes of random testing: `quick` for `make check`, `ci` for `make test`, `evidence` for `make evidence`; all repeatable."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.rtl.runner import missing

_SLOW_MACHINES = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
for _name, _examples in (("quick", 25), ("ci", 40), ("evidence", 2000)):
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=_SLOW_MACHINES
    )
_wanted = "evidence" if os.environ.get("ACCELSIM_EVIDENCE") else "ci"
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", _wanted))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; some tests interrupt themselves
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption("--no-browser", action="store_true", help="leave out the tests that need a headless Chromium")
    parser.addoption("--no-rtl", action="store_true", help="leave out the tests that need iverilog, verilator, yosys and z3")


@pytest.fixture
def rtl_tools(request: pytest.FixtureRequest) -> None:
    """What is missing fails, it does not skip."""
    if request.config.getoption("--no-rtl"):
        pytest.skip("--no-rtl")
    if absent := missing():
        pytest.fail(f"not installed: {', '.join(absent)}; apt-get install {' '.join(absent)}, or run the tests with --no-rtl")


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where simulations are compiled."""
    return tmp_path_factory.mktemp("rtl")
