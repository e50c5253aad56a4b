"""What is shipped, in five: what every command takes; what is about stored elements, in folders `sparse`, which is evaluated only;
machines of bytes without exponentials with their layers, in folders `int8`; GPUs with mappings of their libraries, in folders `gpu`,
which are alike, so that not every test is run on each of them; and mappings of single layers that were measured, in the folder `layers`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from accelsim.io.catalogue import Kind, shipped
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade, Model

FOLDER = "sparse/"
BYTES = "int8/"
GPUS = "gpu/"
LAYERS = "layers/"


def dense(kind: Kind) -> dict[str, Path]:
    """Files by name that every command takes."""
    return {name: path for name, path in shipped(kind).items() if not name.startswith((FOLDER, BYTES, GPUS, LAYERS))}


def sparse(kind: Kind) -> dict[str, Path]:
    """Files about stored elements by name, without the folder."""
    return {name.removeprefix(FOLDER): path for name, path in shipped(kind).items() if name.startswith(FOLDER)}


def of_bytes(kind: Kind) -> dict[str, Path]:
    """Files about machines of bytes by name, without the folder."""
    return {name.removeprefix(BYTES): path for name, path in shipped(kind).items() if name.startswith(BYTES)}


def gpus(kind: Kind) -> dict[str, Path]:
    """Files about GPUs by name, without the folder."""
    return {name.removeprefix(GPUS): path for name, path in shipped(kind).items() if name.startswith(GPUS)}


@cache
def workload(path: Path) -> Cascade | Model:
    """A workload that is shipped, in its own shape; each is read once by all tests of a process."""
    return load_workload(path, {})
