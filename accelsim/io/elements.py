"""Stored elements of inputs: from matrix files, or drawn where only a density is stated."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.io.matrix import load_matrix
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Boxes

    IntArray = NDArray[np.int64]

_MATRIX = 2
_MOST = 1 << 31


def elements_of(cascade: Cascade, texts: Sequence[str], seed: int, draw: bool = True) -> dict[str, IntArray]:
    """Coordinates of the stored elements of inputs, int64[dimensions, elements]: of `A=FILE`; of inputs with a format, drawn with a seed.

    A vector is the one row or the one column of its file. Refuses names of no input, tensors of more than two dimensions and other shapes.
    """
    found: dict[str, IntArray] = {}
    inputs = {name: tensor for name, tensor in cascade.tensors.items() if tensor.is_input}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not path:
            raise InputError(f"--data {text}: does not say which file holds what", "write --data A=matrix.mtx")
        if name not in inputs:
            raise InputError(f"--data {text}: {cascade.name} has no input '{name}'", did_you_mean(name, inputs))
        if name in found:
            raise InputError(f"--data {text}: {name} is given twice", "leave one out")
        found[name] = _loaded(name, cascade, path)
    for name, tensor in inputs.items():
        if tensor.storage is None or tensor.storage.all_elements or name in found or not draw:
            continue
        if tensor.spread is not None:
            from accelsim.sparse.stated import drawn

            found[name] = drawn(tensor, int(np.random.default_rng([seed, *name.encode()]).integers(1 << 62)))
            continue
        size = math.prod(tensor.shape)
        if size >= _MOST:
            raise InputError(f"{name} has {size:.3g} elements, too many to draw some of them", f"give its elements: --data {name}=FILE")
        chances = np.random.default_rng([seed, zlib.crc32(name.encode())])
        places = np.sort(chances.choice(size, round(tensor.density * size), replace=False))
        found[name] = np.stack(np.unravel_index(places, tensor.shape)).astype(np.int64)
    return found


def densities_of(cascade: Cascade, texts: Sequence[str]) -> dict[str, Boxes]:
    """What boxes of inputs hold: of `A=FILE` as they are there, of other inputs with a format by their density."""
    from accelsim.sparse.stated import boxes_of

    given = elements_of(cascade, texts, 0, draw=False)
    found: dict[str, Boxes] = {}
    for name, tensor in cascade.tensors.items():
        kept = tensor.storage is not None and not tensor.storage.all_elements
        if tensor.is_input and (name in given or kept) and (tensor.storage is None or kept):
            found[name] = boxes_of(tensor, given.get(name))
    return found


def origins(cascade: Cascade, texts: Sequence[str], seed: int, stored: Mapping[str, IntArray]) -> dict[str, dict[str, Any]]:
    """By input where its elements came from: the `file`, or the `density` at which they were drawn, its `model` and the `seed`.

    And how many there are, of how many.
    """
    files, found = dict(text.split("=", 1) for text in texts), {}
    for name, elements in stored.items():
        tensor = cascade.tensors[name]
        source: dict[str, Any] = {"file": files[name]} if name in files else {"density": tensor.density, "seed": seed}
        if name not in files and tensor.spread is not None:
            source["model"] = tensor.spread.model
        found[name] = source | {"stored": int(elements.shape[1]), "of": math.prod(tensor.shape)}
    return found


def _loaded(name: str, cascade: Cascade, path: str) -> IntArray:
    shape = cascade.tensors[name].shape
    if len(shape) > _MATRIX or not shape:
        what = f"--data {name}={path}: {name} has {len(shape)} dimensions, and a file holds a matrix"
        raise InputError(what, "give matrices and vectors")
    matrix = load_matrix(Path(path)).tocoo()
    rows, columns = matrix.row.astype(np.int64), matrix.col.astype(np.int64)
    if len(shape) == 1 and matrix.shape in ((shape[0], 1), (1, shape[0])):
        return np.asarray((rows if matrix.shape[1] == 1 else columns).reshape(1, -1))
    if matrix.shape != shape:
        sizes = " x ".join(map(str, shape))
        what = f"--data {name}={path}: the matrix is {matrix.shape[0]} x {matrix.shape[1]}, and {name} is {sizes}"
        raise InputError(what, _sized(name, cascade, matrix.shape if len(shape) == _MATRIX else (max(matrix.shape),)))
    return np.stack([rows, columns])


def _sized(name: str, cascade: Cascade, shape: tuple[int, ...]) -> str:
    """The options that give a tensor a shape, as far as single ranks index it, and none twice to two sizes."""
    access = next(each for einsum in cascade.einsums for each in einsum.reads if each.tensor == name)
    indices = zip(access.indices, shape, strict=True)
    sizes = dict.fromkeys((index.name, size) for index, size in indices if isinstance(index, Name))
    if len({rank for rank, _ in sizes}) < len(sizes):
        return f"give a square matrix, as both indices of {name} are one rank"
    wanted = [f"--set shape.{rank}={size}" for rank, size in sizes]
    return f"write {' '.join(wanted)}" if wanted else "set the sizes of its ranks"
