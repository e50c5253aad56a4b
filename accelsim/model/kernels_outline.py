"""Amounts of an outline from sums over turns, over flat tables: see `outline.Outline`. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    Shares = NDArray[np.float64]
    Flags = NDArray[np.bool_]


class Asked(NamedTuple):
    """What is made of sums, as integers. `many`: amounts, and weighed amounts. `parts`: amount, sign, sum, by amount. `weighed`: its
    number, fixed bits of one, an amount; `told`: loops whose turns take further bits to tell apart. `counts`: loops whose turns are
    multiplied. `tiles`: ranks, and `above`: loops, of largest tiles.
    """

    many: IntArray  # [2]
    parts: IntArray  # [parts, 3]
    weighed: IntArray  # [terms, 3]
    told: Flags  # [terms, loops]
    counts: Flags  # [counts, loops]
    tiles: Flags  # [tiles, ranks]
    above: Flags  # [tiles, loops]
    rank_of: IntArray  # [loops]
    extents: IntArray  # [ranks]


@njit(error_model="numpy")
def figures(t: Asked, sizes: IntArray, totals: Shares, copies: IntArray) -> Shares:
    """Amounts, their copies, weighed amounts, counts and places of tiles, one after the other.

    sizes: int64[loops, 2], tiles and turns of loops; totals, copies: of sums.
    """
    many, weighed, counts, tiles, loops = t.many[0], t.many[1], t.counts.shape[0], t.tiles.shape[0], sizes.shape[0]
    out = np.zeros(2 * many + weighed + counts + tiles)
    for row in range(t.parts.shape[0] - 1, -1, -1):
        out[many + t.parts[row, 0]] = copies[t.parts[row, 2]]
    for row in range(t.parts.shape[0]):
        out[t.parts[row, 0]] += t.parts[row, 1] * totals[t.parts[row, 2]]
    for row in range(t.weighed.shape[0]):
        bits, turns, told = t.weighed[row, 1], 1, False
        for loop in range(loops):
            if t.told[row, loop]:
                turns, told = turns * sizes[loop, 1], True
        if told:
            bits, turns = bits + 1, (turns - 1) >> 1
            while turns:
                bits, turns = bits + 1, turns >> 1
        out[2 * many + t.weighed[row, 0]] += bits * out[t.weighed[row, 2]]
    for row in range(counts):
        turns = 1
        for loop in range(loops):
            turns *= sizes[loop, 1] if t.counts[row, loop] else 1
        out[2 * many + weighed + row] = turns
    for row in range(tiles):
        places = 1
        for rank in range(t.extents.size):
            if t.tiles[row, rank]:
                size = t.extents[rank]
                for loop in range(loops):
                    if t.above[row, loop] and t.rank_of[loop] == rank:
                        size = min(size, sizes[loop, 0])
                places *= size
        out[2 * many + weighed + counts + row] = places
    return out
