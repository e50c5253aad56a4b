"""Every notebook runs from its first cell to its last: what its text says is asserted in its cells."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
DEVELOPMENT = {"sklearn"}
"""What notebooks import that accelsim does not need; it is among the packages of `dev`."""


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, format 4."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    found: list[dict[str, Any]] = document["cells"]
    return found


def imported(path: Path) -> set[str]:
    """The packages that a notebook imports."""
    nodes = [node for cell in cells(path) if cell["cell_type"] == "code" for node in ast.walk(ast.parse("".join(cell["source"])))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def execute(path: Path) -> dict[str, Any]:
    """Run the code cells in order in one namespace, as a kernel does; what they leave in it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(cells(path)):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), namespace)
    finally:
        plt.close("all")
    return namespace


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_runs_and_what_it_asserts_holds(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in imported(path) & DEVELOPMENT:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    execute(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_no_output_asserts_something_and_draws_something(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    text = "\n".join("".join(cell["source"]) for cell in code)
    assert "assert " in text and "plt.show()" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_list_of_notebooks_names_it(path: Path) -> None:
    assert f"]({path.name})" in (path.parent / "README.md").read_text(encoding="utf-8")


def test_notebooks_are_found() -> None:
    assert "faults-attention-scan" in [path.stem for path in NOTEBOOKS]


def test_cell_that_fails_fails_the_notebook_and_a_later_cell_sees_an_earlier_one(tmp_path: Path) -> None:
    def notebook(*sources: str) -> Path:
        made = [{"cell_type": "code", "source": [source]} for source in sources]
        (tmp_path / "made.ipynb").write_text(json.dumps({"nbformat": 4, "cells": made}))
        return tmp_path / "made.ipynb"

    assert execute(notebook("a = 2", "b = a + 1"))["b"] == 3
    with pytest.raises(AssertionError):
        execute(notebook("a = 2", "assert a == 3"))
