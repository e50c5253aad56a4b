"""Where in its tensor a firing works: the coordinates of a box, dimension by dimension."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from accelsim.sim.tasks import Box, Entry, Slot
from accelsim.workload.expression import IndexMap

IntArray = npt.NDArray[np.int64]
Span = tuple[int, int]
Side = Span | IntArray
"""Coordinates of one dimension: from the first to before the last, or a sorted list."""


def digits_of(loops: tuple[int, ...], firing: int) -> list[int]:
    """The turn of each loop, outermost first, at the firing with a number."""
    found = []
    for trips in reversed(loops):
        firing, digit = divmod(firing, trips)
        found.append(digit)
    return found[::-1]


def interval(slot: Slot, digits: list[int]) -> Span:
    """The interval of a rank at a firing, in the first copy."""
    low, high = 0, slot.extent
    if slot.window is not None:
        start, end = _cut(0, slot.window.extent, slot.window.entries, digits)
        low, high = slot.window.demanded(start, end, slot.extent) if start < end else (0, 0)
    return _cut(low, high, slot.entries, digits)


def _cut(low: int, high: int, entries: tuple[Entry, ...], digits: list[int]) -> Span:
    for loop, tile in entries:
        low += digits[loop] * tile if loop >= 0 else 0
        high = min(high, low + tile)
    return low, max(low, high)


def sides_of(maps: tuple[IndexMap, ...], box: Box, digits: list[int]) -> tuple[Side, ...]:
    """The coordinates that a firing touches, for each dimension of a tensor that `maps` index; one where the index is a constant."""
    dims, found = iter(box.dims), list[Side]()
    for index in maps:
        found.append(_side(*next(dims), box, digits) if index.terms else (index.offset, index.offset + 1))
    return tuple(found)


def _side(index: IndexMap, least: int, most: int, box: Box, digits: list[int]) -> Side:
    spans = [(interval(box.slots[rank], digits), factor) for rank, factor in index.terms]
    copies = [apart for rank, _ in index.terms for apart in box.slots[rank].spread]
    if copies:  # of a single rank, each with an interval of its own
        found = np.arange(*spans[0][0], dtype=np.int64)
        for count, apart in copies:
            found = (np.arange(count)[:, None] * apart + found).ravel()
        return np.sort(found)
    if index.divisor == 1 and not index.modulus and all(factor == 1 for _, factor in spans):
        low = index.offset + sum(low for (low, _), _ in spans)
        high = index.offset + 1 + sum(high - 1 for (_, high), _ in spans)
        empty = any(low >= high for (low, high), _ in spans)
        return (0, 0) if empty else (max(low, least), max(max(low, least), min(high, most)))
    values = {
        index.offset + sum(factor * value for (_, factor), value in zip(spans, point, strict=True))
        for point in product(*(range(*span) for span, _ in spans))
    }
    values = {value // index.divisor for value in values}
    values = {value % index.modulus for value in values} if index.modulus else values
    return np.array(sorted(value for value in values if least <= value < most), np.int64)


def placed(maps: tuple[IndexMap, ...], layout: tuple[str, ...]) -> tuple[int, ...]:
    """Dimensions of a tensor from the outermost in memory: those that a layout leaves out first, then as it names them."""

    def rank(place: int) -> int:
        return min((layout.index(name) for name in maps[place].ranks if name in layout), default=-1)

    return tuple(sorted(range(len(maps)), key=rank))


def size_of(side: Side) -> int:
    """How many coordinates there are."""
    return max(0, side[1] - side[0]) if isinstance(side, tuple) else len(side)
