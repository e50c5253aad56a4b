"""No code knows the name of a paper, a workload or a machine: variation is data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import accelsim
from accelsim.io.catalogue import KINDS, shipped

PACKAGE = Path(accelsim.__file__).parent
PUBLISHED = {"fusemax", "flashattention", "timeloop", "accelforge", "eyeriss", "mamba", "bert", "xlm", "attention", "tpu", "gemmini"}
# Shipped names that are words of the field, of numpy, of rich or of ONNX (an attribute of Selu), and mean that in code.
ORDINARY = {"cascade", "convolution", "convolutions", "gamma", "patches", "scans", "separable", "spatial", "simple", "flat", "matmul"}
ORDINARY |= {"softmax", "highlight"}


@cache
def names() -> set[str]:
    """Names that code must not know, in lower case, with '_' between words."""
    found = {name.rsplit("/", 1)[-1].replace("-", "_").lower() for kind in KINDS for name in shipped(kind)}
    return (found | PUBLISHED) - ORDINARY


def words(source: str) -> Iterator[str]:
    """Identifiers and one-word texts of a program; docstrings and sentences are for people and may name examples."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings and " " not in node.value:
            yield node.value
        for field in ("id", "name", "attr", "arg"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)


def known(source: str) -> set[str]:
    """Names of the catalogue and of publications that a program knows."""
    found = set[str]()
    for text in set(words(source)):
        plain = f"_{re.sub(r'[^a-z0-9]+', '_', text.lower())}_"
        found |= {name for name in names() if f"_{name}_" in plain}
    return found


def test_no_code_knows_what_it_runs() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): sorted(names)
        for path in PACKAGE.rglob("*.py")
        if (names := known(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_name_in_code_is_found_and_in_a_docstring_is_not() -> None:
    assert known('"""As in FuseMax."""\nx = 1') == set()
    assert known("if name == 'tpu-like': pass") >= {"tpu"}
    assert known("def attention_cycles(): pass") == {"attention"}
