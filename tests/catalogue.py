"""What is shipped, in two: what every command takes, and what is about stored elements, in folders `sparse`, which is evaluated only."""

from __future__ import annotations

from pathlib import Path

from accelsim.io.catalogue import Kind, shipped

FOLDER = "sparse/"


def dense(kind: Kind) -> dict[str, Path]:
    """Files by name that every command takes."""
    return {name: path for name, path in shipped(kind).items() if not name.startswith(FOLDER)}


def sparse(kind: Kind) -> dict[str, Path]:
    """Files about stored elements by name, without the folder."""
    return {name.removeprefix(FOLDER): path for name, path in shipped(kind).items() if name.startswith(FOLDER)}
