"""Shares of a part: what keeps above a fuse cost, and the trunks (loops that all Einsums of a part share) in order of promise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from math import prod

import numpy as np

from accelsim.mapper.leaf_plan import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Trunks:
    """All trunks over some ranks.

    tiles: int64[n, ranks], what each leaves of every rank. loops: of each, positions of the ranks that turn, outermost first.
    """

    ranks: tuple[str, ...]
    extents: tuple[int, ...]
    tiles: IntArray
    loops: tuple[tuple[int, ...], ...]


def trunks(ranks: tuple[str, ...], extents: tuple[int, ...], sizes: list[tuple[int, ...]]) -> Trunks:
    """Every tile of every rank with every order of the loops that it takes."""
    rows: list[tuple[int, ...]] = []
    loops: list[tuple[int, ...]] = []
    for tile in product(*sizes):
        turning = [at for at, size in enumerate(tile) if size < extents[at]]
        for order in permutations(turning):
            rows.append(tile)
            loops.append(order)
    return Trunks(ranks, extents, np.array(rows, np.int64).reshape(len(rows), len(ranks)), tuple(loops))


@dataclass(frozen=True, slots=True)
class Place:
    """A keep of a tensor below the first `depth` loops of a trunk: pieces of its tile, and how often its words come."""

    depth: int
    tile_words: int
    visits: int


def places(loops: tuple[int, ...], tile: tuple[int, ...], extents: tuple[int, ...], indexed: tuple[bool, ...], rest: int) -> list[Place]:
    """Where a trunk may keep a tensor: on top, or directly below a loop that indexes it. rest: its words over ranks that the trunk lacks."""
    found: list[Place] = []
    for depth in range(len(loops) + 1):
        if depth and not indexed[loops[depth - 1]]:
            continue
        above = set(loops[:depth])
        words = rest * prod(tile[at] if at in above else extents[at] for at in range(len(tile)) if indexed[at])
        visits = prod(extents[at] // tile[at] for at in above if not indexed[at])
        found.append(Place(depth, words, visits))
    return found


def least_visits(trunk: Trunks, indexed: tuple[bool, ...]) -> FloatArray:
    """How often, at the least, words of a tensor come that is kept below all loops of each trunk."""
    trips = np.array(trunk.extents, np.int64) // trunk.tiles
    other = [at for at, has in enumerate(indexed) if not has]
    return np.asarray(np.prod(trips[:, other], axis=1, dtype=np.float64))
