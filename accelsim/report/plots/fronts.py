"""Pareto fronts: two figures as axes, a third as colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, SymLogNorm
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from accelsim.errors import InputError
from accelsim.report.plots import style
from accelsim.report.plots.tables import column, kept, known

if TYPE_CHECKING:
    from accelsim.explore.exploration import Exploration
    from accelsim.mapper.front import Front

_LINE = style.VERMILION


def front(found: Front, *, ax: Axes | None = None) -> Axes:
    """Draw the points of a front: the first figure to the right, the second upwards, a third as colour.

    Two figures have a line between them: what lies above and to the right of it is beaten.
    """
    from accelsim.mapper.front import UNITS

    evaluator = found.points[0].evaluation.evaluator
    about = {"traffic": f"{evaluator.architecture.root.name} traffic", "capacity": f"held in {found.home}"}
    labels, columns = list[str](), list[list[float]]()
    for at, name in enumerate(found.figures):
        energy = UNITS[name] == "pJ"
        labels.append(f"{about.get(name, name)} ({'J' if energy else UNITS[name]})")
        columns.append([point.values[at] * (1e-12 if energy else 1.0) for point in found.points])
    title = f"{evaluator.cascade.name} on {evaluator.architecture.name}"
    return _points(columns, labels, title if found.complete else f"{title}, search not finished", columns[0], columns[1], ax)


def pareto(table: Any, x: str, y: str, *, colour: str | None = None, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw rows of a table by two of its columns, less being better in both, with the line of those that none beats; a third as colour.

    `table`: a dictionary of columns, an Arrow table or a data frame. Rows without a number in one of the columns are left out, and
    of a sweep's table those whose status is not `ok`.
    """
    names = [x, y, *([colour] if colour is not None else [])]
    rows = [[known(value) for value in row] for row in zip(*(column(table, name) for name in names), strict=True)]
    chosen = kept(table) or [True] * len(rows)
    whole = [[value for value in row if value is not None] for row, flag in zip(rows, chosen, strict=True) if flag and None not in row]
    if not whole:
        raise InputError("the table has no rows to draw", "give it some")
    columns = [list(each) for each in zip(*whole, strict=True)]
    across, up = undominated(columns[0], columns[1])
    return _points(columns, names, title, across, up, ax)


def sweep_front(found: Exploration, *, ax: Axes | None = None) -> Axes:
    """Draw the points of a sweep that have a mapping by the figures of its front: to the right, upwards, and a third as colour.

    Where the sweep has `each`, the colour is that of the front which a point belongs to, and each front has a line; points beaten are pale.
    """
    from accelsim.explore.exploration import group_of, value_of
    from accelsim.explore.points import OK

    figures = found.sweep.front[:3]
    if len(figures) < 2:
        raise InputError(f"{found.sweep.name} has a front in {figures[0]} alone", "a drawing needs two figures in its 'front'")
    names = [name.replace("energy_pj", "energy_j") if "energy_pj" in name else name for name in figures]
    table: dict[str, list[float]] = {name: [] for name in names}
    groups: dict[str, list[int]] = {}
    kept: list[bool] = []
    for (point, row), flag in zip(found.rows(), found.summary.on_front.tolist(), strict=True):
        if row.status == OK:
            kept.append(flag)
            group = ", ".join(f"{name} = {value}" for name, value in zip(found.sweep.each, group_of(found.sweep, point), strict=True))
            groups.setdefault(group, []).append(len(table[names[0]]))
            for name, figure in zip(names, figures, strict=True):
                table[name].append(float(value_of(found.sweep, point, row, figure)) * (1e-12 if name != figure else 1.0))
    if found.sweep.each:
        return _grouped(table, names[:2], groups, kept, found.sweep.name, ax)
    return pareto(table, names[0], names[1], colour=names[2] if len(names) > 2 else None, title=found.sweep.name, ax=ax)


def _grouped(
    table: dict[str, list[float]], names: Sequence[str], groups: dict[str, list[int]], on_front: Sequence[bool], title: str, ax: Axes | None
) -> Axes:
    """The points of each group in its colour, pale unless on its front, and the line of those that none of it beats in both figures."""
    if not groups:
        raise InputError(f"{title} has no points to draw", "see its rows for why none has a mapping")
    x, y = (table[name] for name in names)
    ax = style.axes(ax, 7.2, 4.8)
    style.scale(ax, "x", x)
    style.scale(ax, "y", y)
    for number, (group, places) in enumerate(groups.items()):
        colour = style.colour(number)
        right, high = [x[at] for at in places], [y[at] for at in places]
        across, up = undominated(right, high)
        steps = _steps(ax, across, up)
        ax.step(*steps, where="post", color=colour, linestyle=style.dash(number), linewidth=1.2, zorder=2, label=group)
        faces = [colour if on_front[at] else style.tint(colour, 0.35) for at in places]
        ax.scatter(right, high, c=faces, s=22, zorder=3)
    style.dress(ax, title, names[0], names[1])
    style.legend(ax)
    return ax


def _steps(ax: Axes, across: Sequence[float], up: Sequence[float]) -> tuple[list[float], list[float]]:
    """The line of a front from edge to edge: the corner of each point is what it beats."""
    right, top = ax.get_xlim()[1], ax.get_ylim()[1]
    return [across[0], *across, right], [top, *up, up[-1]]


def undominated(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points that no other beats, less being better, from left to right."""
    across, up = list[float](), list[float]()
    for at, height in sorted(zip(x, y, strict=True)):
        if not up or height < up[-1]:
            across.append(at)
            up.append(height)
    return across, up


def _points(
    columns: Sequence[Sequence[float]], labels: Sequence[str], title: str, across: Sequence[float], up: Sequence[float], ax: Axes | None
) -> Axes:
    ax = style.axes(ax, 7.2, 4.8)
    style.scale(ax, "x", columns[0])
    style.scale(ax, "y", columns[1])
    if len(columns) == 2 or len(across) < len(columns[0]):
        ax.step(*_steps(ax, across, up), where="post", color=_LINE, linewidth=1.0, alpha=0.7, zorder=2)
    if len(columns) == 2:
        on = set(zip(across, up, strict=True))
        faces = [_LINE if point in on else style.FAINT for point in zip(columns[0], columns[1], strict=True)]
        ax.scatter(columns[0], columns[1], c=faces, s=22, zorder=3)
    else:
        _coloured(ax, columns, labels[2])
    style.dress(ax, title, labels[0], labels[1])
    return ax


def _coloured(ax: Axes, columns: Sequence[Sequence[float]], label: str) -> None:
    third = columns[2]
    dots = ax.scatter(
        columns[0], columns[1], c=third, cmap=style.SEQUENTIAL, norm=norm_of(third), s=26, edgecolors=style.INK, linewidths=0.3, zorder=3
    )
    colour_bar(ax, dots, label)


def norm_of(values: Sequence[float]) -> Normalize:
    """How values become colours: by their logarithms if they are far apart."""
    if style.wide(values):
        return LogNorm(min(values), max(values))
    if style.wide_from_zero(values):
        return SymLogNorm(style.least(values), linscale=0.3, vmin=0.0, vmax=max(values))
    return Normalize(min(values), max(values))


def colour_bar(ax: Axes, drawn: object, label: str) -> None:
    """What the colours mean, beside the axes."""
    bar = style.whole(ax).colorbar(drawn, ax=ax)  # type: ignore[arg-type]
    bar.set_label(label, fontsize=style.LABEL, color=style.INK, family=style.FAMILY)
    if isinstance(bar.norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(EngFormatter())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(which="both", labelsize=style.TICK, colors=style.FAINT, labelcolor=style.INK)
    bar.outline.set_visible(False)
