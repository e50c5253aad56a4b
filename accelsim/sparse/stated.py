"""Densities as workloads state them, of tensors of a shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse.boxes import MOST_CELLS, Boxes, CellBoxes, UniformBoxes, boxes
from accelsim.sparse.density import Banded, Blocks, Density, Fibers, PowerLaw, Structured, Uniform

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Tensor


def density_of(tensor: Tensor) -> Density:
    """The density of a tensor as one of the matrix of its last dimension and all others."""
    width = tensor.shape[-1] if tensor.shape else 1
    rows, stated = math.prod(tensor.shape[:-1]), tensor.spread
    if stated is None:
        return Uniform(rows, width, round(tensor.density * math.prod(tensor.shape)))
    if stated.model == "structured":
        return Structured(rows, width, stated.kept, stated.of)
    if stated.model == "banded":
        return Banded(rows, width, stated.below, stated.above)
    if stated.model == "blocks":
        return Blocks(rows, width, stated.side, round(stated.share * stated.blocks(tensor.shape)))
    if stated.model == "fibers":
        histogram = np.zeros(max(length for length, _ in stated.lengths) + 1)
        for length, share in stated.lengths:
            histogram[length] += share
        return Fibers(rows, width, tuple(histogram.tolist()))
    return PowerLaw(stated.levels(tensor.shape), stated.edges, stated.chances)


def boxes_of(tensor: Tensor, elements: IntArray | None = None) -> Boxes:
    """What boxes of a tensor hold: of elements int64[dimensions, elements] that are there, or by its density."""
    if elements is None:
        if tensor.spread is None:
            return UniformBoxes(tensor.shape, round(tensor.density * math.prod(tensor.shape)))
        return boxes(density_of(tensor), tensor.shape)
    if math.prod(tensor.shape) > MOST_CELLS:
        what = f"{tensor.name} has {math.prod(tensor.shape):,} places, too many to keep which are stored"
        raise InputError(what, "make the shape smaller, or leave --data out")
    held = np.zeros(tensor.shape)
    held[tuple(elements)] = 1
    return CellBoxes(held)


def drawn(tensor: Tensor, seed: int) -> IntArray:
    """Elements of a tensor of its density, int64[dimensions, elements]."""
    pattern = density_of(tensor).draw(seed)
    flat = pattern.row_of * (tensor.shape[-1] if tensor.shape else 1) + pattern.columns
    return np.stack(np.unravel_index(np.sort(flat), tensor.shape)).astype(np.int64)
