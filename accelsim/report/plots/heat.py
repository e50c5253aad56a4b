"""Heat maps: a column of a table over two others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from accelsim.errors import InputError
from accelsim.report.figures import si
from accelsim.report.plots import style
from accelsim.report.plots.fronts import colour_bar, norm_of
from accelsim.report.plots.tables import column, known

_WRITTEN = 120  # cells, at most, that say their value
_DARK = 0.6  # of the colours: above, words on a cell are dark


def heat_map(table: Any, x: str, y: str, value: str, *, unit: str = "", title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a column of a table as colours over two others, whose different values are columns and rows, in order.

    `table`: a dictionary of columns, an Arrow table or a data frame. Each pair of them stands in at most one
    row of the table. Pairs that no row has, and rows without a number (None, nan), stay hatched.
    """
    import numpy as np

    columns, rows, values = (column(table, name) for name in (x, y, value))
    across, up = _ordered(columns), _ordered(rows)
    cells = np.full((len(up), len(across)), math.nan)
    seen: set[tuple[object, object]] = set()
    for right, high, found in zip(columns, rows, values, strict=True):
        if (right, high) in seen:
            what = f"several rows of the table have {x} {right} and {y} {high}"
            raise InputError(what, "choose the rows of one value of every other parameter")
        seen.add((right, high))
        number = known(found)
        cells[up.index(high), across.index(right)] = math.nan if number is None else number
    finite = cells[np.isfinite(cells)].tolist()
    if not finite:
        raise InputError(f"no row of the table has a number in column '{value}'", "draw another column")
    ax = style.axes(ax, min(14.0, 2.6 + 0.72 * len(across)), min(14.0, 1.5 + 0.42 * len(up)))
    norm = norm_of(finite)
    ax.set_facecolor(style.PAPER)
    drawn = ax.imshow(np.ma.masked_invalid(cells), cmap=style.SEQUENTIAL, norm=norm, aspect="auto", origin="lower")
    ax.set_xticks(range(len(across)), [_name(each) for each in across])
    ax.set_yticks(range(len(up)), [_name(each) for each in up])
    write = cells.size <= _WRITTEN
    for high, right in np.ndindex(*cells.shape):
        cell = float(cells[high, right])
        if not math.isfinite(cell):
            ax.add_patch(_missing(right, high))
        elif write:
            shade = float(norm(cell)) if norm.vmin != norm.vmax else 0.0
            words = style.text(color=style.INK if shade > _DARK else style.PAPER, fontsize=7)
            ax.text(right, high, si(cell, ""), ha="center", va="center", **words)
    style.dress(ax, title, x, y, grid="")
    for edge in ("left", "bottom"):
        ax.spines[edge].set_visible(False)
    ax.tick_params(length=0)
    colour_bar(ax, drawn, f"{value} ({unit})" if unit else value)
    return ax


def _ordered(values: Sequence[object]) -> list[object]:
    """Different values: numbers by size, others in the order in which they appear."""
    found = list(dict.fromkeys(values))
    if all(isinstance(each, int | float) for each in found):
        return sorted(found, key=lambda each: float(each))  # type: ignore[arg-type]
    return found


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _missing(column: int, row: int) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=style.PAPER, edgecolor=style.GRID, hatch="////", linewidth=0)
