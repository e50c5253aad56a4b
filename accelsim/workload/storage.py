"""How a tensor is stored, rank by rank: which coordinates are left out and what says so. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean

KINDS = ("uncompressed", "compressed", "bitmask")
NAMED = {
    "dense": ("uncompressed", "uncompressed"),
    "csr": ("uncompressed", "compressed"),
    "dcsr": ("compressed", "compressed"),
    "bitmask": ("uncompressed", "bitmask"),
}


@dataclass(frozen=True, slots=True)
class Storage:
    """The kind of every dimension, one of KINDS; bits of a coordinate (0: as many as tell those of a fiber apart), of a pointer (0: none).

    `line_bits`: the coordinates of a fiber and its payloads each begin on a line of their own; 1: they do not. `value_bits`: that a
    value takes, 0: as many as its type has. `whole_tiles`: of a result, that its tiles come back and leave with all words that they have,
    as lists of coordinates do that cannot grow in place.
    """

    kinds: tuple[str, ...]
    coordinate_bits: int = 0
    pointer_bits: int = 32
    line_bits: int = 1
    value_bits: int = 0
    whole_tiles: bool = False

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(f"no rank is stored '{kind}'", did_you_mean(kind, KINDS))

    @property
    def in_lines(self) -> bool:
        """Whether something is left out, and fibers begin on lines."""
        return self.line_bits > 1 and not self.all_elements

    @property
    def all_elements(self) -> bool:
        """Whether nothing is left out."""
        return all(kind == "uncompressed" for kind in self.kinds)
