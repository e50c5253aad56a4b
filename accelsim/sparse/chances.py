"""Chances of counts: float64 arrays of the chances of 0, 1, …, which sum to 1. Source: docs/sparse.md, "Densities"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]


@lru_cache(maxsize=256)
def hypergeometric(places: int, full: int, drawn: int) -> Shares:
    """Chances that of `drawn` places 0, 1, … are full, of `places` of which `full` are: float64[drawn + 1]."""
    found, least, most = np.zeros(drawn + 1), max(0, drawn - (places - full)), min(drawn, full)
    count = np.arange(least, most, dtype=np.float64)  # from one count to the next
    logs = np.log((full - count) * (drawn - count)) - np.log((count + 1) * (places - full - drawn + count + 1))
    logs = np.concatenate([np.zeros(1), np.cumsum(logs)])
    found[least : most + 1] = np.exp(logs - logs.max())
    found /= found.sum()
    found.flags.writeable = False
    return found


def choices(of: int, some: int) -> float:
    """The logarithm of how many ways there are to choose."""
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def crossing(diagonal: IntArray, height: int, width: int) -> IntArray:
    """Elements of a tile on diagonals column - row of its own, int64."""
    return np.asarray(np.maximum(0, np.minimum(height, width - diagonal) - np.maximum(0, -diagonal)))


def pieces(extent: int, tile: int, side: int) -> Mapping[tuple[int, ...], int]:
    """How whole tiles cut blocks along one rank: sizes of the pieces, and how many tiles have them."""
    found: dict[tuple[int, ...], int] = {}
    for start in range(0, extent - tile + 1, tile):
        cuts = range(start // side, -(-(start + tile) // side))
        sizes = tuple(min(start + tile, (cut + 1) * side) - max(start, cut * side) for cut in cuts)
        found[sizes] = found.get(sizes, 0) + 1
    return found


def without_replacement(sizes: list[int], blocks: int, full: int, most: int) -> Shares:
    """Chances of the sum of sizes that are full: one after the other, each by what is left of the full blocks among the blocks left."""
    held = np.zeros((len(sizes) + 1, most + 1))  # by how many are full so far, and their sum
    held[0, 0] = 1
    for seen, size in enumerate(sizes):
        chance = np.clip((full - np.arange(len(sizes) + 1)) / (blocks - seen), 0, 1)[:, None]
        taken = held * chance
        held -= taken
        held[1:, size:] += taken[:-1, : most + 1 - size]
    return np.asarray(held.sum(axis=0))


def convolved(parts: Iterable[Shares]) -> Shares:
    """Chances of a sum of independent counts."""
    found = np.ones(1)
    for part in parts:
        found = np.convolve(found, part)
    return found


def binomial(count: int, chance: float) -> Shares:
    """Chances of 0, 1, …, count."""
    if chance <= 0 or chance >= 1:
        return np.asarray(np.eye(count + 1)[count if chance >= 1 else 0])
    logs = [choices(count, each) + each * math.log(chance) + (count - each) * math.log1p(-chance) for each in range(count + 1)]
    return np.asarray(np.exp(np.array(logs)))


def quadrants(levels: int, chances: tuple[float, float, float, float]) -> Iterator[tuple[int, float]]:
    """Cells of a grid of 2^levels x 2^levels that are alike: how many, and the chance that an edge falls into one of them."""
    for a in range(levels + 1):
        for b in range(levels + 1 - a):
            for c in range(levels + 1 - a - b):
                taken = a, b, c, levels - a - b - c
                cells = math.factorial(levels) // math.prod(math.factorial(each) for each in taken)
                yield cells, math.prod(chance**each for chance, each in zip(chances, taken, strict=True))
