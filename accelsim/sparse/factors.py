"""Numbers that tiles of stored operands have, and the rules by which compiled sums work them out. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse import kernels_even as k
from accelsim.sparse.boxes import Boxes, UniformBoxes, volume
from accelsim.sparse.sums import MOST, Rule, Sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Bounds
    from accelsim.sparse.nest import Nest
    from accelsim.workload.cascade import Einsum

    Shares = NDArray[np.float64]
    Box = tuple[Bounds, Bounds]

_KEPT = 1 << 12  # chances of a kind that are kept for other nests


def nothing(_: Nest, boxes: Boxes, box: Box) -> Shares:
    """Chances that boxes hold nothing."""
    return boxes.empty(*box)


def mean(_: Nest, boxes: Boxes, box: Box) -> Shares:
    """Elements that boxes are expected to hold."""
    return boxes.mean(*box)


def volumes(_: Nest, *boxes: Box) -> Shares:
    """Places of a box; of a tensor without ranks, which has none, one."""
    return volume(*boxes[0]) if boxes else np.ones(())


def alone(boxes: UniformBoxes, kind: str) -> tuple[Callable[..., Shares], Rule | None]:
    """Of boxes inside others inside a third: elements ("mean"), or the chance of some, and the second alone holds what the third does."""
    whole = float(np.prod(boxes.shape))

    def values(_: Nest, box: Box, mine: Box, outer: Box) -> Shares:
        rest, size = volume(*outer) - volume(*mine), volume(*box)
        only = boxes.empty_set(rest)
        if kind == "mean":
            return np.asarray(only * boxes.count * size / np.maximum(1.0, whole - rest))
        return np.asarray(only - boxes.empty_set(rest + size))

    rule = Rule(k.ALONE_MEAN if kind == "mean" else k.ALONE_SOME, (), (float(boxes.count), whole), listed=boxes.listed)
    return values, rule if boxes.listed is not None else None


def matched(
    einsum: Einsum, tensor: str, boxes: Boxes, blank: Shares
) -> tuple[Callable[[Nest, Boxes, Box], Shares], Rule | None, Callable[[Sizes, tuple[int, ...]], float]]:
    """Chances that a fiber of a tensor and one of another, of which `blank` says when places are empty, have one in common."""
    many = len(boxes.shape)

    @lru_cache(maxsize=_KEPT)
    def missed(row: tuple[int, ...]) -> float:
        chances = boxes.occupancy(row[:many], row[many:])
        return float(chances @ blank[: chances.size])

    def values(_nest: Nest, _boxes: Boxes, box: Box) -> Shares:
        rows = np.broadcast(*box[0], *box[1])
        if rows.size * math.prod(int(each.max()) for each in box[1]) > MOST:
            what = f"{einsum.name}: {einsum.name} has too many fibers of {tensor} that differ, which has no closed form"
            raise InputError(what, "state its density as a share", einsum.place)
        return 1 - np.array([missed(tuple(map(int, row))) for row in rows]).reshape(rows.shape)

    rule = None
    if isinstance(boxes, UniformBoxes):
        rule = Rule(k.MATCHED, (), (float(math.prod(boxes.shape)), float(boxes.count)), blank=blank)
    return values, rule, lambda _, sizes: 1 - missed((*(0,) * many, *sizes))
