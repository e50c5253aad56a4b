"""Protection step by step: what a reader would do, and an upper bound on the area of the best selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.selection import Limits, Problem, Selection, meets, summed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def greedy(found: Problem, limits: Limits) -> Selection:
    """From the least area on, the change that mends most of what is above limits for its area, until all are met; then what is not needed
    is taken back. The better of that and of each technique in every block, so that it is never above those. InputError if none is within
    limits, which does not say that nothing is.
    """
    within = [picks for picks in (_walk(found, limits), *_uniform(found)) if picks is not None and meets(found, picks, limits)]
    if not within:
        raise InputError("step by step, no choices within the limits are found", "select exactly, or relax a limit")
    return min((summed(found, picks) for picks in within), key=lambda each: each.area)


def _uniform(found: Problem) -> list[list[int]]:
    """Each choice in every block, nothing where a block does not have it."""
    names = dict.fromkeys(each.name for each in found.flat)
    places = [{each.name: at for at, each in enumerate(options)} for options in found.options]
    return [[place.get(name, 0) for place in places] for name in names]


def _walk(found: Problem, limits: Limits) -> list[int] | None:
    import numpy as np

    area, rows = found.column("area"), found.rows(limits)
    first = np.array(found.starts[:-1])
    weights = np.array([row.weights for row in rows]).reshape(len(rows), area.size)
    most = np.array([row.most for row in rows])
    scale = np.maximum(np.abs(most), np.abs(weights).max(axis=1, initial=0.0))
    scale[scale == 0] = 1.0
    block = np.repeat(np.arange(first.size), np.diff(found.starts))
    at = np.array([start + int(area[start:end].argmin()) for start, end in zip(first, found.starts[1:], strict=True)], int)

    def above(sums: Numbers) -> Numbers:
        left: Numbers = np.maximum(0, (sums - most[:, None]) / scale[:, None] - 1e-9).sum(axis=0)
        return left

    sums = weights[:, at].sum(axis=1)
    while (now := float(above(sums[:, None])[0])) > 0:
        mends = now - above(sums[:, None] + weights - weights[:, at[block]])
        more = area - area[at[block]]
        worth = np.where(mends > 1e-12, mends / np.maximum(more, 1e-12 * (1 + np.abs(area))), -np.inf)
        best = int(worth.argmax())
        if worth[best] == -np.inf:
            return None
        at[block[best]] = best
        sums = weights[:, at].sum(axis=1)
    for best in np.argsort(area, kind="stable"):
        other = at.copy()
        other[block[best]] = best
        if area[best] < area[at[block[best]]] and float(above(weights[:, other].sum(axis=1)[:, None])[0]) <= 0:
            at = other
    return [int(place - start) for place, start in zip(at, first, strict=True)]
