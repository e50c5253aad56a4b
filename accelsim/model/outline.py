"""What an Einsum's evaluation from densities asks for, whatever the sizes of its tiles. Source: docs/sparse.md, "Statistics".

Amounts are named by what they are made of, `Signed` sums; what they come to for one mapping is the work of `expected_traffic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.sparse.even import Amounts, Table
from accelsim.sparse.nest import Nest, Operand
from accelsim.sparse.storage import apart
from accelsim.sparse.sums import Loops, Signed

if TYPE_CHECKING:
    from numpy.typing import NDArray


    Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of one of something: so many, and as many more as tell the turns of some loops apart (none: no more)."""

    fixed: int
    loops: tuple[int, ...] = ()

    def of(self, nest: Nest) -> int:
        """In a nest."""
        return self.fixed + apart(prod(nest.turns[loop].trips for loop in self.loops)) if self.loops else self.fixed


Weighed = tuple[tuple[Bits, Signed], ...]  # amounts, with bits of one of each


@dataclass(frozen=True, slots=True)
class Fitting:
    """How tiles fit: how many come, and which of them do not fit: all or none, if `tile_bits` are too many, or so many as `late` says.

    Neither known: nothing is.
    """

    visits: Signed
    tile_bits: int | None
    late: Signed | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Of a crossing of an operand of which some elements are stored: words that leave the parent and come to the child, what else is read,
    and what comes to a child that is a memory.
    """

    number: int
    operand: Operand
    grouped: Signed
    entering: Signed
    read: Weighed
    filled: Weighed
    fitting: Fitting | None


@dataclass(frozen=True, slots=True)
class Dense:
    """Of a crossing of an operand that has all its elements."""

    number: int
    operand: Operand
    grouped: Signed
    entering: Signed
    visits: Signed | None


@dataclass(frozen=True, slots=True)
class Result:
    """Of a crossing of the result: words that its child sends, that come to the parent, and that are different there."""

    number: int
    grouped: Signed
    entering: Signed
    different: Signed


@dataclass(frozen=True)
class Outline:
    """What is asked of nests that differ in the sizes of tiles alone, as far as `fits` says.

    `meetings`: loops that find their turns among coordinates of two operands, with steps and visits. `whole`: bits of stored operands, and
    elements that meet some. `places`: of operands that have masks and no pointers, places and those that hold something: there may be
    no others.
    """

    table: Table
    lacking: tuple[tuple[int, bool], ...]
    staying: tuple[tuple[tuple[str, Loops, Loops], tuple[bool, bool]], ...]
    points: Signed
    effectual: Signed
    issues: Signed
    meetings: tuple[tuple[int, Signed, Signed], ...]
    whole: tuple[tuple[Operand, Weighed, Signed], ...]
    places: tuple[tuple[Operand, Signed, Signed], ...]
    rows: tuple[Stored | Dense | Result, ...]

    def fits(self, amounts: Amounts) -> bool:
        """Whether it is that of the nest with these amounts: where ranks are cut evenly it does not hang on sizes what tiles stay."""
        if any((amounts.sum(place).total > 0) != above for place, above in self.lacking):
            return False
        return all(amounts.axes.several(*asked) == found for asked, found in self.staying if asked[0] in amounts.uneven)
