"""Heat maps: a column of a table over two others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from accelsim.errors import InputError, did_you_mean
from accelsim.report.figures import si
from accelsim.report.plots import style
from accelsim.report.plots.fronts import colour_bar, norm_of

_WRITTEN = 120  # cells, at most, that say their value
_DARK = 0.6  # of the colours: above, words on a cell are dark


def heat_map(
    table: Mapping[str, Sequence[object]], x: str, y: str, value: str, *, unit: str = "", title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw a column of a table as colours over two others, whose different values are columns and rows, in order.

    Each pair of them stands in at most one row of the table. Pairs that no row has, and rows without a number (None, nan), stay hatched.
    """
    import numpy as np

    for name in (x, y, value):
        if name not in table:
            raise InputError(f"the table has no column '{name}'", did_you_mean(name, table))
    across, up = (_ordered(table[name]) for name in (x, y))
    cells = np.full((len(up), len(across)), math.nan)
    seen: set[tuple[object, object]] = set()
    for column, row, found in zip(table[x], table[y], table[value], strict=True):
        if (column, row) in seen:
            what = f"several rows of the table have {x} {column} and {y} {row}"
            raise InputError(what, "choose the rows of one value of every other parameter")
        seen.add((column, row))
        if found is not None:
            cells[up.index(row), across.index(column)] = float(found)  # type: ignore[arg-type]
    known = cells[np.isfinite(cells)].tolist()
    if not known:
        raise InputError(f"no row of the table has a number in column '{value}'", "draw another column")
    ax = style.axes(ax, min(14.0, 2.6 + 0.72 * len(across)), min(14.0, 1.5 + 0.42 * len(up)))
    norm = norm_of(known)
    ax.set_facecolor(style.PAPER)
    drawn = ax.imshow(np.ma.masked_invalid(cells), cmap=style.SEQUENTIAL, norm=norm, aspect="auto", origin="lower")
    ax.set_xticks(range(len(across)), [_name(each) for each in across])
    ax.set_yticks(range(len(up)), [_name(each) for each in up])
    write = cells.size <= _WRITTEN
    for row, column in np.ndindex(*cells.shape):
        found = float(cells[row, column])
        if not math.isfinite(found):
            ax.add_patch(_missing(column, row))
        elif write:
            shade = float(norm(found)) if norm.vmin != norm.vmax else 0.0
            words = style.text(color=style.INK if shade > _DARK else style.PAPER, fontsize=7)
            ax.text(column, row, si(found, ""), ha="center", va="center", **words)
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
