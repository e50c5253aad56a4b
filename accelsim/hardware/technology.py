"""Technology tables: what an action of a component costs, with its doubt and its source; sizes between two rows are interpolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.hardware.architecture import Quantity
from accelsim.hardware.origin import Figure, Part, product, scaled
from accelsim.units import show_size

ACTIONS = ("operation", "read", "write", "update", "interface", "area", "static", "clock", "background")
KINDS = ("published", "measured", "tool", "derived", "assumed")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: an action of a component.

    `per`: dimension of the figure in base units (`energy` per access or operation, `energy/size` per bit moved, `power`, `power/area`,
    `power/size`, `power/gates` per gate equivalent, `area`, `area/size`, `area/gates`). `size_bits`: capacity that the figure is for, None
    if it does not depend on one.
    """

    component: str
    action: str
    quantity: Quantity
    per: str
    size_bits: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Technology:
    """A named table of rows for one process node."""

    name: str
    rows: tuple[Row, ...]
    node: str = ""
    about: str = ""

    @property
    def components(self) -> tuple[str, ...]:
        """Component names, in order of appearance."""
        return tuple(dict.fromkeys(row.component for row in self.rows))

    def actions(self, component: str) -> tuple[str, ...]:
        """What is priced of a component; an InputError with the nearest name if the table has no such component."""
        found = tuple(dict.fromkeys(row.action for row in self.rows if row.component == component))
        if not found:
            raise InputError(f"technology '{self.name}' has no component '{component}'", did_you_mean(component, self.components))
        return found

    def price(self, component: str, action: str, size_bits: int | None = None, place: Place | None = None) -> Row:
        """The row of an action, at a capacity where the table lists several: straight lines in the logarithms of both between them.

        Refuses unknown components and actions, and a capacity outside the table.
        Source of the interpolation: Accelergy's CACTI figures follow a power of capacity (exponent 0.48 from 64 KiB to 4 MiB).
        """
        try:
            known = self.actions(component)
        except InputError as error:
            raise InputError(error.what, error.mend, place) from None
        if action not in known:
            mend = f"it has {', '.join(known)}; write a figure with a unit, or 'unpriced'"
            raise InputError(f"technology '{self.name}' has no {action} for '{component}'", mend, place)
        rows = [row for row in self.rows if row.component == component and row.action == action]
        if rows[0].size_bits is None:
            return rows[0]
        return self._at_size(rows, size_bits, place)

    def _at_size(self, rows: list[Row], size_bits: int | None, place: Place | None) -> Row:
        component = rows[0].component
        curve = sorted((row.size_bits or Fraction(1), row) for row in rows)
        first, last = curve[0][0], curve[-1][0]
        if size_bits is None:
            raise InputError(f"'{component}' is priced by size, and this memory is unlimited", "state its size, or write a figure", place)
        if not first <= size_bits <= last:
            small = "use a register row, or " if size_bits < first else ""
            raise InputError(
                f"technology '{self.name}' prices '{component}' from {show_size(first)} to {show_size(last)}, not {show_size(size_bits)}",
                f"{small}write a figure with a unit, or 'unpriced'",
                place,
            )
        above = next(index for index, (size, _) in enumerate(curve) if size >= size_bits)
        size, row = curve[above]
        if size == size_bits:
            return row
        below_size, below = curve[above - 1]
        share = math.log(size_bits / below_size) / math.log(size / below_size)
        quantity = Quantity(
            _between(below.quantity.value, row.quantity.value, share),
            _between(below.quantity.low, row.quantity.low, share),
            _between(below.quantity.high, row.quantity.high, share),
            f"between {show_size(below_size)} ({below.quantity.source}) and {show_size(size)} ({row.quantity.source})",
            "derived",
        )
        ends = tuple(part.figures[0] for end in (below, row) for part in end.quantity.parts)
        return Row(component, row.action, _interpolated(quantity, row, Fraction(size_bits), ends), row.per, Fraction(size_bits))


def _interpolated(quantity: Quantity, row: Row, size_bits: Fraction, ends: tuple[Figure, ...]) -> Quantity:
    """A figure between two rows, with the rows where they are known."""
    if not ends:
        return quantity
    table, place = ends[-1].table, ends[-1].place
    row_of = table, row.component, row.action
    figure = Figure(quantity.value, quantity.low, quantity.high, quantity.source, quantity.kind, *row_of, size_bits, place, ends)
    return replace(quantity, parts=(Part(1.0, (figure,)),))


def combined(tables: Sequence[Technology]) -> Technology:
    """Several tables as one: a component is that of the first which has it."""
    rows: list[Row] = []
    for table in tables:
        known = {row.component for row in rows}
        rows += [row for row in table.rows if row.component not in known]
    return Technology(", ".join(table.name for table in tables), tuple(rows), tables[0].node, tables[0].about)


def _between(low: float, high: float, share: float) -> float:
    if low <= 0 or high <= 0:
        return low + (high - low) * share
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * share)


def times(quantity: Quantity, factor: float) -> Quantity:
    """A figure per bit, per square micrometre or per copy, for `factor` of them."""
    value, low, high = (figure * factor for figure in (quantity.value, quantity.low, quantity.high))
    return Quantity(value, low, high, quantity.source, quantity.kind, scaled(quantity.parts, factor))


def per_area(quantity: Quantity, area_um2: Quantity) -> Quantity:
    """A figure per square micrometre for an area that is itself in doubt."""
    value, low, high = quantity.value * area_um2.value, quantity.low * area_um2.low, quantity.high * area_um2.high
    return Quantity(value, low, high, quantity.source, quantity.kind, product(quantity.parts, area_um2.parts))


def total(quantities: list[Quantity]) -> Quantity:
    """The sum of figures, with their sources; its kind is that of the weakest."""
    return Quantity(
        sum(quantity.value for quantity in quantities),
        sum(quantity.low for quantity in quantities),
        sum(quantity.high for quantity in quantities),
        "; ".join(dict.fromkeys(quantity.source for quantity in quantities)),
        max((quantity.kind for quantity in quantities), key=KINDS.index),
        tuple(part for quantity in quantities for part in quantity.parts),
    )
