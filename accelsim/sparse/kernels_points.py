"""The walk of a nest over stored elements once more: the points that are worked on, in their order. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.sparse import kernels as k

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


def points(t: k.Tables, places: int, most: int) -> IntArray:
    """Coordinates of every point at which all operands are stored, in the order of the walk, int64[points, ranks].

    `places`: as of `kernels.walk`. There are `most` rows and one more where there are too many points.
    """
    s, w = k.blank(t, places)
    return _points(t, s, w, most)


@njit(error_model="numpy")
def _points(t: k.Tables, s: k.State, w: k.Walked, most: int) -> IntArray:
    depth, ranks, used, d, down = t.levels.shape[0], t.extents.size, 0, 0, True
    found, pool = np.zeros((1024, ranks), np.int64), [np.zeros((1, 4), np.int64)]
    while d >= 0 and used <= most:
        if down and d < depth:
            k._open(t, s, w, d)
            down = False
            continue
        if down:
            stored = True
            for o in range(t.part.shape[1]):
                stored = stored and s.node[d, o] >= 0
            if stored:
                if used == found.shape[0]:
                    longer = np.zeros((2 * used, ranks), np.int64)
                    longer[:used] = found
                    found = longer
                if t.facts[k.UNEVEN]:
                    for rank in range(ranks):
                        found[used, rank] = s.start[depth, rank]
                for level in range(0 if t.facts[k.UNEVEN] else depth):
                    found[used, t.levels[level, k.RANK]] += s.level[k.TURN, level] * t.levels[level, k.TILE]
                used += 1
        elif k._turn(t, s, w, d):
            d, down = k._enter(t, s, w, pool, d), True
            continue
        d, down = d - 1, False
    return found[:used]
