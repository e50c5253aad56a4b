"""Where a price comes from: figures that stand in files, and what a price makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from accelsim.errors import Place


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure where it stands: a row of a technology table, or a price in a machine file.

    `table`, `component`, `action`: of a row; "" of a machine file. `size_bits`: the capacity that the row is for. `place`: None if it was
    made in Python. `between`: the two rows that it was interpolated between.
    """

    value: float
    low: float
    high: float
    source: str = ""
    kind: str = "assumed"
    table: str = ""
    component: str = ""
    action: str = ""
    size_bits: Fraction | None = None
    place: Place | None = None
    between: tuple[Figure, ...] = ()

    def doubt(self, apart: bool = False) -> tuple[str, ...]:
        """What moves between its low and its high at once: all sizes of a component's action in a table, or each size `apart`.

        A price in a machine file is a doubt of its own, the same one for all that read that file.
        """
        if self.component:
            return (self.table, self.component, self.action, *((str(self.size_bits),) if apart and self.size_bits is not None else ()))
        return ("", str(self.place))


@dataclass(frozen=True, slots=True)
class Part:
    """A term of a price: a factor that is not in doubt times the figures, of which there are one or two (power per area, and area)."""

    factor: float
    figures: tuple[Figure, ...]


Parts = tuple[Part, ...]


def scaled(parts: Parts, factor: float) -> Parts:
    """Parts of a price that is so many times as high."""
    return tuple(replace(part, factor=part.factor * factor) for part in parts)


def product(left: Parts, right: Parts) -> Parts:
    """Parts of a price that is the product of two; none if either is not known."""
    return tuple(Part(a.factor * b.factor, (*a.figures, *b.figures)) for a in left for b in right)
