"""Results and a browser that all tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.html.browser import NAMES, Browser, installed
from tests.report.html.runs import results


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of small results, by kind."""
    return results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """What is missing fails, it does not skip."""
    if request.config.getoption("--no-browser"):
        pytest.skip("--no-browser")
    if installed() is None:
        pytest.fail(f"none of {', '.join(NAMES)} is installed; `make browser`, or run the tests with --no-browser")
    with Browser() as found:
        yield found
