"""How the tiles of a sparse tensor are stored, rank by rank, and the bits that each takes. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.pattern import IntArray

KINDS = ("uncompressed", "compressed", "bitmask")
NAMED = {
    "dense": ("uncompressed", "uncompressed"),
    "csr": ("uncompressed", "compressed"),
    "dcsr": ("compressed", "compressed"),
    "bitmask": ("uncompressed", "bitmask"),
}


@dataclass(frozen=True, slots=True)
class Storage:
    """The kind of every dimension, one of KINDS; bits of a coordinate (0: as many as tell the coordinates of a fiber apart) and of a pointer.

    `line_bits`: the coordinates of a fiber and its payloads each begin on a line of their own; 1: they do not.
    """

    kinds: tuple[str, ...]
    coordinate_bits: int = 0
    pointer_bits: int = 32
    line_bits: int = 1

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(f"no rank is stored '{kind}'", did_you_mean(kind, KINDS))

    @property
    def all_elements(self) -> bool:
        """Whether nothing is left out."""
        return all(kind == "uncompressed" for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bits of what is stored, by level and node: float64 arrays would lose bits, so int64.

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


def sizes(storage: Storage, fibers: Fibers, levels: Sequence[Level], value_bits: int) -> Sizes:
    """Bits of every fiber of a tensor that some loops cut, and of every tile."""
    coordinates, payloads = [], []
    for number, (level, starts) in enumerate(zip(levels, fibers.starts, strict=True)):
        kind, children = storage.kinds[level.dimension], np.diff(starts)
        payload = value_bits if number == len(levels) - 1 else storage.pointer_bits
        width = storage.coordinate_bits or max(1, (level.trips - 1).bit_length())
        every = np.full_like(children, level.trips)
        where = {"uncompressed": 0 * children, "compressed": children * width, "bitmask": every}[kind]
        held = (every if kind == "uncompressed" else children) * payload
        coordinates.append(-(-where // storage.line_bits) * storage.line_bits)
        payloads.append(-(-held // storage.line_bits) * storage.line_bits)
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
