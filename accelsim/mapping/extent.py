"""How many coordinates an index touches while its ranks run over a tile."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from math import prod

from accelsim.workload.expression import IndexMap

Interval = tuple[int, int]  # from, up to but not including
_ENUMERATED = 4096


def hull(index: IndexMap, ranks: Mapping[str, Interval]) -> Interval:
    """The interval from the least to the greatest coordinate touched (up to but not including)."""
    low = high = index.offset
    for rank, coefficient in index.terms:
        first, end = ranks[rank]
        ends = (coefficient * first, coefficient * (end - 1))
        low += min(ends)
        high += max(ends)
    low, high = low // index.divisor, high // index.divisor
    if index.modulus and (high - low >= index.modulus or low % index.modulus > high % index.modulus):
        return 0, index.modulus
    return (low % index.modulus, high % index.modulus + 1) if index.modulus else (low, high + 1)


@lru_cache(maxsize=65536)
def touched(index: IndexMap, sizes: tuple[int, ...], extents: tuple[int, ...], length: int) -> int:
    """Coordinates within 0..length-1 that an index touches while rank i of its terms runs over a tile of `sizes[i]` of `extents[i]`.

    The most over the places where such a tile can stand (the first few and the last).
    """
    if not index.terms:
        return 1
    if index.divisor == 1 and not index.modulus:
        spread = _distinct(tuple(abs(coefficient) for _, coefficient in index.terms), sizes)
        first = hull(index, {rank: (0, size) for rank, size in zip(index.ranks, sizes, strict=True)})
        if spread is not None and first[0] >= 0 and first[1] <= length:
            return spread
    return max(_touched_at(index, base, sizes, extents, length) for base in _bases(sizes, extents))


def spanned(index: IndexMap, sizes: tuple[int, ...], extents: tuple[int, ...], length: int) -> int:
    """Coordinates within 0..length-1 from the least to the greatest that the same tile touches, those between them included."""
    most = 1
    for base in _bases(sizes, extents) if index.terms else ():
        ranges = zip(index.ranks, base, sizes, extents, strict=True)
        low, high = hull(index, {rank: (start, min(start + size, extent)) for rank, start, size, extent in ranges})
        most = max(most, min(high, length) - max(low, 0))
    return most


def _distinct(steps: tuple[int, ...], sizes: tuple[int, ...]) -> int | None:
    """Different sums of step * x, 0 <= x < size, in closed form; None if there is none."""
    step, count = 0, 1
    for coefficient, size in sorted(zip(steps, sizes, strict=True)):
        if size == 1:
            continue
        if count == 1:
            step, count = coefficient, size
        elif coefficient % step == 0 and coefficient <= step * count:
            count += coefficient // step * (size - 1)
        else:
            return _apart(steps, sizes)
    return count


def _apart(steps: tuple[int, ...], sizes: tuple[int, ...]) -> int | None:
    """Different sums when every step is larger than all that the smaller ones reach: no two are equal."""
    reach = 0
    for coefficient, size in sorted(zip(steps, sizes, strict=True)):
        if size > 1 and coefficient <= reach:
            return None
        reach += coefficient * (size - 1)
    return prod(sizes)


def _bases(sizes: tuple[int, ...], extents: tuple[int, ...]) -> list[tuple[int, ...]]:
    starts = []
    for size, extent in zip(sizes, extents, strict=True):
        last = (extent - 1) // size * size
        starts.append(sorted({0, min(size, last), min(2 * size, last), min(3 * size, last), last}))
    return list(product(*starts))[:256]


def _touched_at(index: IndexMap, base: tuple[int, ...], sizes: tuple[int, ...], extents: tuple[int, ...], length: int) -> int:
    tile = [(start, min(start + size, extent)) for start, size, extent in zip(base, sizes, extents, strict=True)]
    if prod(sizes) > _ENUMERATED:
        low, high = hull(index, dict(zip(index.ranks, tile, strict=True)))
        return max(0, min(high, length) - max(low, 0))
    found = set()
    for point in product(*(range(*interval) for interval in tile)):
        at = (sum(coefficient * x for (_, coefficient), x in zip(index.terms, point, strict=True)) + index.offset) // index.divisor
        found.add(at % index.modulus if index.modulus else at)
    return sum(0 <= at < length for at in found)
