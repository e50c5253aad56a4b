"""Counting the points of a box that satisfy affine conditions, and the range of an index by enumeration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from accelsim.errors import InputError
from accelsim.workload.expression import Access, Expression, names, walk
from accelsim.workload.ranges import Inequality, conjuncts

MOST_ENUMERATED = 2**22
MOST_COUNTED = 2**24


def count_points(box: Mapping[str, int], known: Sequence[Inequality]) -> int:
    """How many points of a box satisfy all inequalities; exact.

    The rank with the largest extent is counted as an interval, the other constrained ranks are enumerated; at most 2**24
    points of these, else an InputError.
    """
    import numpy as np

    if not known:
        return math.prod(box.values())
    constrained = [rank for rank in box if any(rank == name for part in known for name, _ in part.terms)]
    free = math.prod(extent for rank, extent in box.items() if rank not in constrained)
    if not constrained:
        return free if all(part.bound >= 0 for part in known) else 0
    check_magnitude(box, known)
    inner = max(constrained, key=lambda rank: box[rank])
    outer = [rank for rank in constrained if rank != inner]
    grid = math.prod(box[rank] for rank in outer)
    if grid > MOST_COUNTED:
        raise InputError("a condition ties together too many points to count", "split the statement or shrink the shape")
    values = {
        rank: np.arange(box[rank], dtype=np.int64).reshape([-1 if at == axis else 1 for at in range(len(outer))])
        for axis, rank in enumerate(outer)
    }
    low = np.zeros([box[rank] for rank in outer], dtype=np.int64)
    high = np.full_like(low, box[inner] - 1)
    for part in known:
        left = np.full_like(low, part.bound)
        coefficient = 0
        for rank, value in part.terms:
            if rank == inner:
                coefficient = value
            else:
                left = left - value * values[rank]
        if coefficient > 0:
            high = np.minimum(high, left // coefficient)
        elif coefficient < 0:
            low = np.maximum(low, -(left // -coefficient))
        else:
            high = np.where(left >= 0, high, -1)
    return int(np.maximum(high - low + 1, 0).sum()) * free


def check_magnitude(box: Mapping[str, int], known: Sequence[Inequality]) -> None:
    """An InputError if the terms of an inequality leave 64-bit integers somewhere in a box."""
    for part in known:
        if abs(part.bound) + sum(abs(value) * box.get(rank, 1) for rank, value in part.terms) >= 2**62:
            raise InputError("a condition or an index is beyond 64 bits", "shrink the shape or its constants")


def index_extremes(
    index: Expression, condition: Expression | None, sizes: Mapping[str, float], extents: Mapping[str, int]
) -> tuple[int, int] | None:
    """The least and greatest value of any index expression where a condition holds, by enumeration.

    None if the condition or the index reads a tensor, or beyond 2**22 points. (0, 0) if the condition never holds.
    """
    import numpy as np

    from accelsim.workload.evaluate import evaluate, index_values

    parts = conjuncts(condition)
    if any(isinstance(inner, Access) for part in (index, *parts) for inner in walk(part)):
        return None
    ranks = list(dict.fromkeys(word for part in (index, *parts) for word in names(part) if word in extents))
    if math.prod(extents[rank] for rank in ranks) > MOST_ENUMERATED:
        return None
    known: dict[str, object] = dict(sizes)
    for axis, rank in enumerate(ranks):
        known[rank] = np.arange(extents[rank], dtype=np.int64).reshape([-1 if at == axis else 1 for at in range(len(ranks))])
    keep = np.ones([extents[rank] for rank in ranks], dtype=bool)
    for part in parts:
        keep = keep & np.asarray(evaluate(part, known), dtype=bool)
    values = np.broadcast_to(index_values(index, known), keep.shape)[keep]
    return (int(values.min()), int(values.max())) if values.size else (0, 0)
