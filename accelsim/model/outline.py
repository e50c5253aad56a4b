"""What an Einsum's evaluation from densities asks for, whatever the sizes of its tiles. Source: docs/sparse.md, "Statistics".

Amounts are named by what they are made of, `Signed` sums, and then by their numbers; what they come to for one mapping is `Figures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.model import kernels_outline as k
from accelsim.sparse.even import Amounts, Table
from accelsim.sparse.nest import Operand
from accelsim.sparse.storage import apart
from accelsim.sparse.sums import Loops, Signed, Sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shares = NDArray[np.float64]

Key = tuple[str, str, str]
"""Einsum, tensor and memory."""


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of one of something: so many, and as many more as tell the turns of some loops apart (none: no more)."""

    fixed: int
    loops: tuple[int, ...] = ()

    def of(self, sizes: Sizes) -> int:
        """By the sizes of loops."""
        return self.fixed + apart(prod(sizes[loop][1] for loop in self.loops)) if self.loops else self.fixed


Weighed = tuple[tuple[Bits, Signed], ...]  # amounts, with bits of one of each


@dataclass(frozen=True, slots=True)
class Fitting:
    """How tiles fit: how many come, and which of them do not fit: all or none, if `tile_bits` are too many, or so many as `late` says.

    Neither known: nothing is.
    """

    visits: int
    tile_bits: int | None
    late: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Of a crossing of an operand of which some elements are stored: words that leave the parent and come to the child, what else is read,
    and what comes to a child that is a memory. `parent`, `child`: places among the outline's memories (child -1: the unit).
    """

    tensor: str
    memory: str
    size_bits: int | None
    parent: int
    child: int
    grouped: int
    entering: int
    read: int
    filled: int
    fitting: Fitting | None


@dataclass(frozen=True, slots=True)
class Dense:
    """Of a crossing of an operand that has all its elements. `width`: pieces of bits of a word; `tile`: places of the largest; `whole`: of
    an input its bits, and those that are needed.
    """

    tensor: str
    memory: str
    size_bits: int | None
    parent: int
    child: int
    grouped: int
    entering: int
    width: int
    visits: int | None
    tile: int
    whole: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Result:
    """Of a crossing of the result: words that its child sends, that come to the parent, that are different there, and that come again.

    `partial`, `final`: pieces of bits of a word; `extra`: bits that go with each, `once`: at its home. `home`: bits of a word of an output
    there, with what goes with it and without, None elsewhere.
    """

    tensor: str
    memory: str
    size_bits: int | None
    parent: int
    child: int
    grouped: int
    entering: int
    different: int
    again: int
    partial: int
    final: int
    extra: int
    once: int
    home: tuple[float, float] | None
    tile: int
    tile_bits: int


@dataclass(frozen=True, slots=True)
class Met:
    """A loop that finds its turns among coordinates of two operands: steps and visits. `copies`: numbers of copies of its node."""

    rank: str
    node: str
    by: str
    steps: int
    visits: int
    copies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A stored operand: its bits, elements that meet some, bits of a value; bits of a coordinate that are stated (0: none are), and numbers
    of what they have to tell apart.
    """

    operand: Operand
    bits: int
    needed: int
    value: int
    stated: int
    apart: tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """What is asked of nests that differ in the sizes of tiles alone, as far as `fits` says.

    `dense`: operations if all elements were stored. `memories`: what words and bits are counted by, in order. `places`: of operands that
    have masks and no pointers, places and those that hold something: there may be no others. `signed`: amounts by number; `ends`: where
    those, their copies, weighed amounts and counts end in `kernels_outline.figures`.
    """

    einsum: str
    unit: str
    dense: int
    table: Table
    asked: k.Asked
    ends: tuple[int, int, int, int]
    lacking: tuple[tuple[int, bool], ...]
    staying: tuple[tuple[tuple[str, Loops, Loops], tuple[bool, bool]], ...]
    signed: tuple[Signed, ...]
    points: int
    effectual: int
    issues: int
    meetings: tuple[Met, ...]
    whole: tuple[Whole, ...]
    places: tuple[tuple[Operand, int, int], ...]
    rows: tuple[Stored | Dense | Result, ...]
    memories: tuple[Key, ...]

    def fits(self, amounts: Amounts) -> bool:
        """Whether it is that of the nest with these amounts: where ranks are cut evenly it does not hang on sizes what tiles stay."""
        if any((amounts.total_of(place) > 0) != above for place, above in self.lacking):
            return False
        return not self.staying or all(amounts.several(*asked) == found for asked, found in self.staying if asked[0] in amounts.uneven)

    def figures(self, amounts: Amounts) -> Figures:
        """What all comes to."""
        totals = amounts.totals
        differ: dict[int, Shares] = {}
        if not amounts.known:
            found = [amounts.sum(place) for place in range(len(amounts.totals))]
            totals = np.array([each.total for each in found], np.float64)
            for number, each in enumerate(self.signed):
                mine = [found[place] for _, place in each.parts]
                if any(part.differ is not None for part in mine) and len({part.copies for part in mine}) == 1:
                    differ[number] = amounts.of(each).by_copy
        row = k.figures(self.asked, amounts.sizes, totals, amounts.copies).tolist()
        one, two, three, four = self.ends
        return Figures(row[:one], row[one:two], row[two:three], row[three:four], row[four:], differ)


@dataclass(frozen=True, slots=True)
class Figures:
    """What an outline comes to, by number: amounts, over how many copies each is, weighed amounts, turns that are counted and places of
    tiles. `differ`: by copy float64[copies] of amounts that are not the same for all.
    """

    totals: list[float]
    copies: list[float]
    weighed: list[float]
    counts: list[float]
    tiles: list[float]
    differ: dict[int, Shares]

    def by_copy(self, number: int) -> Shares:
        """An amount of each copy, float64[copies]."""
        copies = int(self.copies[number])
        return self.differ[number] if number in self.differ else np.full(copies, self.totals[number] / copies)

    def most(self, number: int) -> float:
        """An amount of the copy with most."""
        return float(self.differ[number].max()) if number in self.differ else self.totals[number] / self.copies[number]
