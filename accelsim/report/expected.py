"""An evaluation from densities on a terminal: the usual report of what is expected, and what is skipped, met and does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size
from accelsim.report.stored import met
from accelsim.report.terminal import report, table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
NOTE = "Expected counts, of densities: no expected time is below that of expected counts, and none of elements that are there is known."


def expected_report(evaluation: Document, nest: str = "") -> Iterator[RenderableType]:
    """The report of an evaluation, with its tables of expectations before the mapping."""
    blocks = list(report(evaluation, nest))
    after = len(blocks) - (2 if nest else 1)
    yield from blocks[:after]
    yield from _tables(evaluation["expected"])
    yield NOTE
    yield from blocks[after:]


def figure(number: float) -> str:
    """An expectation, as whole as it is."""
    return f"{number:,.0f}" if number >= 1000 or number == int(number) else f"{number:.4g}"


def _tables(expected: Document) -> Iterator[RenderableType]:
    rows = table("operations expected", "dense", "skipped", "idle", "effectual", "busiest copy")
    for name, work in expected.items():
        rows.add_row(name, *(figure(work[key]) for key in ("dense", "skipped", "idle", "effectual", "busiest")))
    yield rows
    yield from met(expected, figure)
    rows = table("memory", "a tile that comes", "does not fit", "visits", left=1)
    for work in expected.values():
        for tile in work["tiles"]:
            if tile["chance"] is None:
                chance, beyond = "chance not known", ""
            elif tile["chance"]:
                chance, beyond = f"chance {tile['chance']:.3g}", f"{figure(tile['beyond'])} of {figure(tile['visits'])}"
            else:
                chance, beyond = "never", ""
            size = f"{byte_size(tile['mean_bits'] / 8)} on average" if tile["visits"] else ""
            rows.add_row(f"{tile['memory']}, {tile['tensor']}", size, chance, beyond)
    if rows.row_count:
        yield rows
