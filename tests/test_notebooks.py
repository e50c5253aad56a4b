"""Every notebook runs from its first cell to its last: what its text says is asserted in its cells.

Figures and printed lines are kept in the files. `make notebooks`, or ACCELSIM_EVIDENCE=1, runs every notebook in a clean kernel and
compares what it prints with what is kept; `ACCELSIM_EVIDENCE=1 ACCELSIM_REWRITE=1 pytest tests/test_notebooks.py -k NAME` makes both
again. `make test` runs the shortest one, and what CI runs is both targets. `ACCELSIM_FULL=1` takes full sizes.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
DEVELOPMENT = {"distributed", "pandas", "sklearn"}
"""What notebooks import that accelsim does not need; it is among the packages of `dev`."""
ALL = bool(os.environ.get("ACCELSIM_EVIDENCE"))
SECONDS = re.compile(r"\b\d+(\.\d+)? s\b")


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


def executed(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a kernel of its own that runs it in a folder; what differs from run to run is left out."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # no warning of a debugger among the outputs
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=where, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # times of execution
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def printed(document: Any) -> list[str]:
    """What the code cells of a notebook print, cell by cell, without the seconds that something took."""
    found = []
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            streams = [output["text"] for output in cell["outputs"] if output["output_type"] == "stream"]
            found.append(SECONDS.sub("T s", "".join(text if isinstance(text, str) else "".join(text) for text in streams)))
    return found


def chosen() -> list[Path]:
    """The notebooks that run in a kernel of their own: all, or the shortest alone in `make test`."""
    return NOTEBOOKS if ALL else [path for path in NOTEBOOKS if path.stem == "first-steps"]


@pytest.mark.slow
@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem)
def test_notebook_runs_in_a_clean_kernel_and_prints_what_is_kept_in_it(path: Path, tmp_path: Path) -> None:
    for package in ("nbclient", "ipykernel", *(imported(path) & DEVELOPMENT)):
        pytest.importorskip(package)
    import nbformat

    made = executed(path, tmp_path)
    if os.environ.get("ACCELSIM_REWRITE"):
        nbformat.write(made, path)
    assert printed(made) == printed(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_its_figures_asserts_something_and_names_no_place_of_a_machine(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    text = "\n".join("".join(cell["source"]) for cell in code)
    assert "assert " in text and "plt.show()" in text
    for cell in code:
        figures = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert len(figures) == "".join(cell["source"]).count("plt.show()")
        assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in cell["outputs"])
    whole = path.read_text(encoding="utf-8")
    assert len(whole) < 500_000
    assert not re.search(r"/(home|root|tmp|work|Users|usr)/", whole)


def test_printed_lines_are_compared_without_seconds() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": ["found in 2.5 s\n", "4 cycles"]}
    document = {"cells": [{"cell_type": "markdown", "source": ""}, {"cell_type": "code", "outputs": [stream]}]}
    assert printed(document) == ["found in T s\n4 cycles"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_list_of_notebooks_names_it(path: Path) -> None:
    assert f"]({path.name})" in (path.parent / "README.md").read_text(encoding="utf-8")


def test_notebooks_are_found() -> None:
    assert "faults-attention-scan" in [path.stem for path in NOTEBOOKS]


@pytest.mark.slow
def test_cell_that_fails_fails_the_notebook_and_a_later_cell_sees_an_earlier_one(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")

    def notebook(*sources: str) -> Path:
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        nbformat.write(made, tmp_path / "made.ipynb")
        return tmp_path / "made.ipynb"

    assert printed(executed(notebook("a = 2", "print(a + 1)"), tmp_path)) == ["", "3\n"]
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        executed(notebook("a = 2", "assert a == 3"), tmp_path)
