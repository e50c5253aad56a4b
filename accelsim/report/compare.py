"""Searches side by side: what each ended with, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.report.figures import in_unit, whole

if TYPE_CHECKING:
    from rich.table import Table

@dataclass(frozen=True, slots=True)
class Row:
    """What one search ended with; `value` None: it found nothing legal."""

    name: str
    value: float | None
    evaluated: int
    seconds: float


def table(rows: Sequence[Row], unit: str) -> Table:
    """One line for each search, the best first: its value, how many times the best value that is, evaluations and CPU seconds."""
    from accelsim.report.terminal import table as columns

    known = [row.value for row in rows if row.value is not None]
    best = min(known, default=None)
    lines = columns("search", "value", "to the best", "evaluated", "CPU seconds")
    for row in sorted(rows, key=lambda row: (row.value is None, row.value or 0.0)):
        ratio = f"{row.value / best:.3f}x" if row.value is not None and best else "-"
        lines.add_row(row.name, shown(row.value, unit), ratio, whole(row.evaluated), f"{row.seconds:.2f}")
    return lines


def shown(value: float | None, unit: str) -> str:
    """A value in its unit, cycles to the nearest one; '-' for None."""
    return "-" if value is None else in_unit(round(value) if unit == "cycles" else value, unit)
