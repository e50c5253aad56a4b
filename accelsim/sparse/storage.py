"""How the tiles of a sparse tensor are stored, rank by rank, and the bits that each takes. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.storage import Storage


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bits of what is stored, by level and node, int64.

    `coordinates[l]`, `payloads[l]`: of the fiber below each node of level l - 1 (of level 0: the only one), what says where its children
    are, and what they hold: pointers, or values on the last level. `below[l]`: of all fibers below each node of level l.
    """

    coordinates: tuple[IntArray, ...]
    payloads: tuple[IntArray, ...]
    below: tuple[IntArray, ...]

    @property
    def whole(self) -> int:
        """Of the whole tensor."""
        return int(self.coordinates[0].sum() + self.payloads[0].sum() + self.below[0].sum()) if self.below else 0


def sizes(storage: Storage, fibers: Fibers, levels: Sequence[Level], shape: Sequence[int], value_bits: int) -> Sizes:
    """Bits of every fiber of a tensor that some loops cut, and of every tile.

    Loops that follow one another over one dimension go through one stored fiber; where others come between, tiles are stored apart.
    Without pointers, places below which nothing is stored have a mask all the same: nothing else says that they are empty.
    """
    coordinates, payloads = [], []
    left = {dimension: np.array([size]) for dimension, size in enumerate(shape)}  # sizes of what each node leaves of every dimension
    for number, (level, starts) in enumerate(zip(levels, fibers.starts, strict=True)):
        kind, children = storage.kinds[level.dimension], np.diff(starts)
        here = left[level.dimension]
        # a fiber that several loops go through: its empty places count with the first of them, what it holds with the last
        begins = number == 0 or levels[number - 1].dimension != level.dimension
        ends = number + 1 == len(levels) or levels[number + 1].dimension != level.dimension
        payload = value_bits if last(levels, number) else storage.pointer_bits
        width = storage.coordinate_bits or width_of(levels, number)
        where, held = children * width * (kind == "compressed") * ends, children * payload * (kind != "uncompressed") * ends
        if kind != "compressed":
            places = _places(fibers, levels, number, here)
            where, held = where + places * (kind == "bitmask") * begins, held + places * payload * (kind == "uncompressed") * begins
            if begins and masked(storage, levels, number):
                under = following(levels, number)
                mask = _places(fibers, levels, under, left[levels[under].dimension])
                held = held + (places - _reached(fibers, number, under)) * mask
        coordinates.append(_lines(where, storage))
        payloads.append(_lines(held, storage))
        left = {dimension: np.repeat(size, children) for dimension, size in left.items()}
        left[level.dimension] = fibers.sizes[number]
    below: list[IntArray] = [np.zeros(0, np.int64)] * len(levels)
    for number in range(len(levels) - 1, -1, -1):
        nodes = fibers.coordinates[number].size
        if number == len(levels) - 1:
            below[number] = np.zeros(nodes, np.int64)
            continue
        fiber = coordinates[number + 1] + payloads[number + 1]
        starts = fibers.starts[number + 1]
        inside = np.zeros(below[number + 1].size + 1, np.int64)
        np.cumsum(below[number + 1], out=inside[1:])
        below[number] = fiber + inside[starts[1:]] - inside[starts[:-1]]
    return Sizes(tuple(coordinates), tuple(payloads), tuple(below))


def masked(storage: Storage, levels: Sequence[Level], number: int) -> bool:
    """Whether every place of an uncompressed fiber has a mask and no pointer: those below which nothing is stored too."""
    if storage.kinds[levels[number].dimension] != "uncompressed" or storage.pointer_bits or last(levels, number):
        return False
    return storage.kinds[levels[following(levels, number)].dimension] == "bitmask"


def following(levels: Sequence[Level], number: int) -> int:
    """The first level after it over another dimension; the number of levels if there is none."""
    return next((place for place in range(number, len(levels)) if levels[place].dimension != levels[number].dimension), len(levels))


def _reached(fibers: Fibers, number: int, inside: int) -> IntArray:
    """Places of each fiber of a level that hold something, of all loops over its dimension together, int64."""
    ends: IntArray = fibers.starts[number]
    for each in range(number + 1, inside):
        ends = np.asarray(fibers.starts[each][ends])
    return np.asarray(np.diff(ends), np.int64)


def coordinate_bits(storage: Storage, levels: Sequence[Level]) -> dict[int, int]:
    """Of every compressed dimension that some loops cut, the bits that tell the coordinates of its longest fiber apart."""
    found: dict[int, int] = {}
    for number, level in enumerate(levels):
        if storage.kinds[level.dimension] == "compressed":
            found[level.dimension] = max(found.get(level.dimension, 0), width_of(levels, number))
    return found


def least(levels: Sequence[Level], number: int) -> int:
    """The tile that the loops of a fiber leave in the end."""
    return levels[following(levels, number) - 1].tile


def _places(fibers: Fibers, levels: Sequence[Level], number: int, size: IntArray) -> IntArray:
    """Places of fibers that begin at a level and go over a size each, int64.

    Refuses those that several loops go through, one of which has tiles that hold so many elements, and that end in tiles.
    """
    end = following(levels, number)
    if all(level.cut is None for level in levels[number:end]) or least(levels, number) == 1:
        return np.asarray(-(-size // least(levels, number)))
    if end - number > 1 or fibers.turns[number].size != size.size:
        what = "a rank with a place for every coordinate is cut twice, once so that tiles hold so many elements"
        raise InputError(what, "store it compressed, or loop over single elements right inside")
    return fibers.turns[number]


def last(levels: Sequence[Level], number: int) -> bool:
    """Whether no loop over another dimension comes after: the fiber holds values."""
    return all(level.dimension == levels[number].dimension for level in levels[number:])


def width_of(levels: Sequence[Level], number: int) -> int:
    """Bits that tell the coordinates of a fiber apart, of loops that follow one another over one dimension together."""
    mine = fiber(levels, number)
    if levels[number].tile == 1 and any(levels[place].cut is not None for place in mine):
        return apart(levels[mine[0]].around)
    return apart(math.prod(levels[place].trips for place in mine))


def fiber(levels: Sequence[Level], number: int) -> range:
    """The loops that follow one another over one dimension, down to some level."""
    begin = number
    while begin and levels[begin - 1].dimension == levels[number].dimension:
        begin -= 1
    return range(begin, number + 1)


def apart(places: int) -> int:
    """Bits that tell so many places apart, at least one."""
    return max(1, (places - 1).bit_length())


def _lines(bits: IntArray, storage: Storage) -> IntArray:
    return -(-bits // storage.line_bits) * storage.line_bits
