"""Raw rates: how often a bit of a kind of cell is struck, before anything is masked. 1 FIT is a failure in 10**9 hours."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.ranges import Range

TRANSIENT, PERMANENT = "transient", "permanent"


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one bit of a `cell` (flop, sram, …), in FIT. `fault`: transient or permanent; `kind`: of figure; `doubt`: what to know of it."""

    cell: str
    fault: str
    fit: Range
    kind: str
    source: str
    doubt: str


@dataclass(frozen=True, slots=True)
class Rates:
    """A named table of them."""

    name: str
    rows: tuple[Rate, ...]
    about: str = ""

    def of(self, cell: str, fault: str = TRANSIENT) -> Rate:
        """The rate of a cell; refused where the table has none."""
        found = next((row for row in self.rows if (row.cell, row.fault) == (cell, fault)), None)
        if found is None:
            known = [row.cell for row in self.rows if row.fault == fault]
            raise InputError(f"rates '{self.name}' have no {fault} faults of cells called '{cell}'", did_you_mean(cell, known))
        return found
