"""What the tests of the RTL need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.runner import missing


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
