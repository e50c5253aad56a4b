"""Sums over turns of products of what tiles hold, before there are sizes. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Listed

    Shares = NDArray[np.float64]

MOST = 1 << 24
Loops = frozenset[int]


Sizes = tuple[tuple[int, int], ...]
"""Of every loop of a nest its tile and how many turns it has."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How `kernels_even` works a factor out: one of its rules, with the columns and numbers that it has there, and lists of chances.

    `told`: loops whose turns take bits to tell apart. `listed`: that boxes are empty, `blank`: that so many places are.
    """

    code: int
    columns: tuple[tuple[int, int], ...] = ()
    numbers: tuple[float, float] = (0.0, 0.0)
    told: tuple[int, ...] = ()
    listed: Listed | None = None
    blank: Shares | None = None


@dataclass(frozen=True)
class Factor:
    """A number for every tile that some loops cut: `values(nest, *boxes)` of one box or several, which nest; a box is what loops leave
    of every rank.

    `kind`: what tells `values` from those of others: of one kind they are the same function of the nest and of boxes, element by element.
    `cuts`: by rank the loops of each box. `periods`: by rank after how many places values are alike again (1: only sizes matter; 0: never).
    `sizes_alone`: whether boxes may be sets of places that do not stand together, given as 0 and their size. `rest`: the number is what
    `values` leave of 1. `rule`: how compiled sums work them out; `one`: else, one of them, from the sizes of loops and of its box.
    """

    kind: Hashable
    cuts: tuple[tuple[str, tuple[Loops, ...]], ...]
    values: Callable[..., Shares] = field(compare=False)
    periods: tuple[int, ...] = field(compare=False)
    sizes_alone: bool = field(compare=False)
    what: str = field(compare=False, default="")
    rest: bool = False
    rule: Rule | None = field(compare=False, default=None)
    one: Callable[[Sizes, tuple[int, ...]], float] | None = field(compare=False, default=None)


@dataclass(frozen=True)
class Sum:
    """Over all turns of the counted loops the product of factors, by copy of the `chosen` loops over copies.

    A loop that a factor is cut by and that is not counted unites what it cuts. The values of the first `met` factors have one more
    axis, the same for all of them, which is summed over too.
    """

    counted: Loops
    factors: tuple[Factor, ...]
    chosen: Loops
    met: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """Sums of a list by their places in it, each with a sign, by as many copies."""

    parts: tuple[tuple[int, int], ...]

    def __add__(self, other: Signed) -> Signed:
        return Signed(self.parts + other.parts)

    def __sub__(self, other: Signed) -> Signed:
        return Signed(self.parts + tuple((-sign, place) for sign, place in other.parts))


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of something over all copies; `copies` that have the same each, or by copy float64[copies] where they differ."""

    total: float
    copies: int
    differ: Shares | None = None

    @staticmethod
    def of(by_copy: Shares) -> Amount:
        """What copies have."""
        return Amount(float(by_copy.sum()), by_copy.size, by_copy)

    @property
    def by_copy(self) -> Shares:
        """What each copy has, float64[copies]."""
        return self.differ if self.differ is not None else np.full(self.copies, self.total / self.copies)

    @property
    def most(self) -> float:
        """What the copy with most has."""
        return self.total / self.copies if self.differ is None else float(self.differ.max())

    def plus(self, sign: int, other: Amount) -> Amount:
        """With as many times the other, copy by copy."""
        if self.differ is None and other.differ is None:
            return Amount(self.total + sign * other.total, self.copies)
        return Amount.of(self.by_copy + sign * other.by_copy)
