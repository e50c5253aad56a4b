"""Densities of small tensors for tests: of every kind, with all that they may draw, or a draw."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import numpy as np

from accelsim.sparse.boxes import Boxes, CellBoxes, boxes
from accelsim.sparse.density import Banded, Blocks, Density, Fibers, PowerLaw, Structured, Uniform

KINDS = ("uniform", "structured", "fibers", "blocks", "banded", "power_law", "actual")


def density(kind: str, shape: tuple[int, ...], chances: np.random.Generator) -> Density:
    """One of a kind for a tensor of a shape; uniform if the kind does not suit it."""
    rows, width = math.prod(shape[:-1]), shape[-1]
    if kind == "structured":
        of = int(chances.choice([each for each in range(1, width + 1) if width % each == 0]))
        return Structured(rows, width, int(chances.integers(1, of + 1)), of)
    if kind == "fibers":
        shares = chances.random(width + 1) * (chances.random(width + 1) < 0.6)
        shares[int(chances.integers(width + 1))] += 1
        return Fibers(rows, width, tuple((shares / shares.sum()).tolist()))
    if kind == "banded" and len(shape) == 2:
        below = int(chances.integers(-rows, 1))
        return Banded(rows, width, below, below + int(chances.integers(0, 3)))
    if kind == "blocks" and len(shape) == 2:
        side = int(chances.choice([each for each in (1, 2, 3) if rows % each == 0 and width % each == 0]))
        return Blocks(rows, width, side, int(chances.integers(0, rows * width // side**2 + 1)))
    if kind == "power_law" and len(shape) == 2 and rows == width and rows & (rows - 1) == 0:
        return PowerLaw(rows.bit_length() - 1, float(chances.uniform(0.2, 2 * rows)))
    return Uniform(rows, width, int(chances.integers(0, rows * width + 1)))


def boxes_for(kind: str, shape: tuple[int, ...], chances: np.random.Generator) -> tuple[Boxes, Density | None]:
    """Boxes of a kind, and what draws elements for them: nothing where elements are actual."""
    if kind == "actual":
        return CellBoxes((chances.random(shape) < chances.choice([0.2, 0.6])).astype(np.float64)), None
    made = density(kind, shape, chances)
    return boxes(made, shape), made


def elements(found: Boxes, made: Density | None, seed: int) -> Any:
    """Elements of one draw, int64[dimensions, elements]."""
    if made is None:
        assert isinstance(found, CellBoxes)
        return np.array(np.nonzero(found.chances), np.int64).reshape(len(found.shape), -1)
    pattern = made.draw(seed)
    flat = np.sort(pattern.row_of * found.shape[-1] + pattern.columns)
    return np.array(np.unravel_index(flat, found.shape), np.int64).reshape(len(found.shape), -1)


def every(shape: tuple[int, ...], count: int) -> list[Any]:
    """All ways of so many elements in a tensor, int64[dimensions, elements] each."""
    ways = combinations(range(math.prod(shape)), count)
    return [np.array(np.unravel_index(np.array(way, np.int64), shape), np.int64).reshape(len(shape), -1) for way in ways]


def every_of(kind: str, shape: tuple[int, ...], chances: np.random.Generator, most: int) -> tuple[list[Any], Boxes]:
    """All equally likely draws of a density that has at most so many, and its boxes."""
    size, width = math.prod(shape), shape[-1]
    if kind == "structured":
        of = int(chances.choice([each for each in range(1, width + 1) if width % each == 0]))
        kept = int(chances.choice([each for each in range(1, of + 1) if math.comb(of, each) ** (size // of) <= most]))
        blocks = product(*(combinations(range(block * of, (block + 1) * of), kept) for block in range(size // of)))
        return [_placed(sum(way, ()), shape) for way in blocks], boxes(Structured(size // width, width, kept, of), shape)
    if kind == "blocks" and len(shape) == 2 and shape[0] % 2 == shape[1] % 2 == 0:
        across, count = width // 2, size // 4
        full = int(chances.choice([each for each in range(count + 1) if math.comb(count, each) <= most]))
        corners = [tuple((2 * (b // across) + i) * width + 2 * (b % across) + j for i in (0, 1) for j in (0, 1)) for b in range(count)]
        return [_placed(sum(way, ()), shape) for way in combinations(corners, full)], boxes(Blocks(shape[0], width, 2, full), shape)
    count = int(chances.choice([each for each in range(size + 1) if math.comb(size, each) <= most]))
    return every(shape, count), boxes(Uniform(size // width, width, count), shape)


def _placed(flat: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    return np.array(np.unravel_index(np.sort(np.array(flat, np.int64)), shape), np.int64).reshape(len(shape), -1)
