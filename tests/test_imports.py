"""Imports point one way, nothing heavy is imported before it is used, and only io opens files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import accelsim

PACKAGE = Path(accelsim.__file__).parent

# DESIGN's layout from the bottom up; parts on one line stand beside each other and do not import each other.
LAYERS = (
    ("errors", "units", "formula", "markup", "cache", "kernel_cache"),
    ("hardware.types",),
    ("workload", "hardware"),
    ("mapping",),
    ("sparse",),
    ("model",),
    ("jobs",),
    ("mapper", "sim"),
    ("rtl",),
    ("faults",),
    ("explore",),
    ("evidence",),
    ("report",),
    ("plots",),
    ("io",),
    ("verbs",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
FOUNDATION = set(LAYERS[0])
HEAVY = ("numba", "numpy", "lark", "networkx", "matplotlib", "rich", "scipy", "yaml")
# Modules outside io that may: three read their own package's data or sources, two keep files,
# one has others compile and keeps what they made, and one reads RTL for another to synthesise.
EXCEPTIONS = {
    "rtl/fast.py", "rtl/synthesis.py", "report/schema.py", "report/html/assets.py", "cache.py", "kernel_cache.py", "jobs/store.py",
}  # fmt: skip
OPENERS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir"}


def part_of(module: str) -> str | None:
    """The part of the layout that a module `accelsim.x.y` belongs to, None for the package itself."""
    inner = module.removeprefix("accelsim").lstrip(".")
    if not inner:
        return None
    return "hardware.types" if inner == "hardware.types" else inner.split(".")[0]


def height(part: str) -> int:
    """How high a part stands; a part that no line holds is an error."""
    for level, parts in enumerate(LAYERS):
        if part in parts:
            return level
    raise AssertionError(f"accelsim.{part} has no place in the layout; add it to LAYERS")


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules of accelsim that a syntax tree imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "accelsim")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            if node.module == "accelsim":
                yield from (f"accelsim.{alias.name}" for alias in node.names if not alias.name.startswith("_"))
            elif node.module and node.module.startswith("accelsim."):
                yield f"{node.module}.{node.names[0].name}" if node.module == "accelsim.hardware" else node.module


def backward(module: str, source: str) -> list[str]:
    """Imports of a module that point back or sideways, as sentences."""
    part = part_of(module)
    if part is None:
        return []
    found = []
    for target in imported(ast.parse(source)):
        other = part_of(target)
        if other is None or other == part or {part, other} == {"hardware", "hardware.types"}:
            continue
        if height(other) > height(part) or (height(other) == height(part) and part not in FOUNDATION):
            found.append(f"{module} imports {target}")
    return found


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("accelsim", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def test_no_import_points_back() -> None:
    found = [fault for name, path in modules().items() for fault in backward(name, path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("accelsim.workload.cascade", "import accelsim.mapping.tree"),
        ("accelsim.workload.cascade", "from accelsim.hardware.architecture import Memory"),
        ("accelsim.hardware.architecture", "def f():\n    from accelsim.workload.cascade import Cascade"),
        ("accelsim.errors", "from accelsim.io import source"),
        ("accelsim.model.evaluation", "if True:\n    from accelsim.report.figures import si"),
        ("accelsim.report.terminal", "from accelsim import io"),
    ],
)
def test_import_that_points_back_is_found(module: str, source: str) -> None:
    assert len(backward(module, source)) == 1


def test_workload_may_import_number_types_alone() -> None:
    assert backward("accelsim.workload.cascade", "from accelsim.hardware.types import TYPES") == []


def test_package_inits_import_nothing_heavy() -> None:
    names = [name for name, path in modules().items() if path.name == "__init__.py"]
    code = f"import sys\nfor name in {names!r}: __import__(name)\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_command_line_is_parsed_without_anything_heavy() -> None:
    code = f"import sys\nfrom accelsim.cli import main\nmain(['--help'])\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith("\n[]\n")


def test_only_io_opens_files() -> None:
    found = []
    for path in modules().values():
        relative = path.relative_to(PACKAGE).as_posix()
        if relative.startswith("io/") or relative in EXCEPTIONS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                if call == "open" or (isinstance(node.func, ast.Attribute) and node.func.attr in OPENERS and not call.startswith("os.")):
                    found.append(f"{relative}:{node.lineno}: {call}")
    assert found == []


def test_nothing_evaluates_text_as_code() -> None:
    found = []
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "compile", "__import__"}:
                found.append(f"{path.name}:{node.lineno}")
    assert found == []
