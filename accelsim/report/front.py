"""A Pareto front as a document, as a table on a terminal, and as a drawing of two figures with a third in colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, did_you_mean
from accelsim.report.figures import byte_size, in_cycles, joules, times, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType
    from rich.table import Table

    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.front import Front
    from accelsim.workload.cascade import Cascade

SCHEMA = "accelsim/front/1"
Document = dict[str, Any]
_ENDINGS = ("png", "svg", "pdf")
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_INK, _FAINT, _PAPER, _LINE = "#22262b", "#8b929b", "#ffffff", "#c46f12"
_WIDE = 8.0  # values that differ by more than this factor are drawn on a logarithmic scale


def front_document(cascade: Cascade, architecture: Architecture, front: Front) -> Document:
    """The front as JSON: for every point its figures by name, each in its unit, and its mapping as YAML text."""
    from accelsim.mapper.front import UNITS
    from accelsim.mapping.yaml_text import dump_mapping

    about = {"traffic": f"{architecture.root.name} traffic", "capacity": f"held in {front.home}"}
    return {
        "schema": SCHEMA,
        "workload": cascade.name,
        "architecture": architecture.name,
        "counting": front.points[0].evaluation.evaluator.counting.to_json(),
        "figures": [{"name": name, "unit": UNITS[name], "about": about.get(name, name)} for name in front.figures],
        "space": front.space,
        "complete": front.complete,
        "mappings_covered": front.covered,
        "evaluated": front.evaluated,
        "seconds": front.seconds,
        "points": [
            {"values": dict(zip(front.figures, point.values, strict=True)), "mapping": dump_mapping(point.mapping)}
            for point in front.points
        ],
    }


def front_blocks(document: Document) -> Iterator[RenderableType]:
    """What a person wants to know about a front: its points, how many times the least each figure is, and whether it is whole."""
    from rich.text import Text

    names = [figure["name"] for figure in document["figures"]]
    yield Text.assemble((document["workload"], "bold"), " on ", (document["architecture"], "bold"), f": {_listed(names)}")
    yield _points(document)
    many = len(document["points"])
    which = f"{many} mapping{'s' * (many != 1)}"
    over_elements = document["space"].startswith("nests")
    space = f"{document['space']} (docs/sparse.md)" if over_elements else "tiles that divide (docs/mapspace.md)"
    if document["complete"]:
        last = f"{which}; over {space} nothing beats {'one of them' if many > 1 else 'it'}."
    elif over_elements:
        last = f"{which} of those that were counted; others may beat {'them' if many > 1 else 'it'}."
    else:
        last = f"{which}; the search stopped before its end, so others may beat {'them' if many > 1 else 'it'}."
    counts = f"{whole(document['evaluated'])} mappings evaluated, {whole(document['mappings_covered'])} covered"
    lines = [f"{last} {counts} in {document['seconds']:.1f} s."]
    lines.append(f"Counting: {', '.join(f'{key}={value}' for key, value in document['counting'].items())}.")
    yield Text("\n").join([Text(lines[0]), Text(lines[1], "dim")])


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _points(document: Document) -> Table:
    from accelsim.report.terminal import table

    figures, points = document["figures"], document["points"]
    least = {figure["name"]: min(point["values"][figure["name"]] for point in points) for figure in figures}
    columns = [column for figure in figures for column in (figure["about"], "to the least")]
    rows = table("#", *columns, left=0)
    for number, point in enumerate(points, 1):
        cells = []
        for figure in figures:
            value, best = point["values"][figure["name"]], least[figure["name"]]
            cells += [_shown(value, figure["unit"]), times(value / best) if best else "-"]
        rows.add_row(str(number), *cells)
    return rows


def _shown(value: float, unit: str) -> str:
    if unit == "cycles":
        return in_cycles(value)
    return joules(value) if unit == "pJ" else byte_size(value)


def front_figure(document: Document, path: str) -> None:
    """Draw the points of a front: the first figure to the right, the second upwards, a third as colour; the path's ending says how.

    Two figures have a line between them: what lies above and to the right of it is beaten. Refuses endings that matplotlib does not know;
    raises OSError if the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    target = Path(path)
    kind = target.suffix.lstrip(".").lower() or "png"
    if kind not in _ENDINGS:
        raise InputError(f"{target}: cannot draw a '.{kind}' file", did_you_mean(kind, _ENDINGS))
    figures = document["figures"]
    values = [_drawn(document, figure) for figure in figures]
    with rc_context({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "accelsim"}):
        drawing = Figure(figsize=(7.2, 4.8), facecolor=_PAPER, layout="constrained")
        axes = drawing.add_subplot()
        _scale(axes, "x", values[0], figures[0])
        _scale(axes, "y", values[1], figures[1])
        if len(values) == 2:
            # steps to the edge: the corner of each point is what it beats
            right, top = axes.get_xlim()[1], axes.get_ylim()[1]
            across, up = [values[0][0], *values[0], right], [top, *values[1], values[1][-1]]
            axes.step(across, up, where="post", color=_LINE, linewidth=1.0, alpha=0.6, zorder=2)
            axes.plot(values[0], values[1], "o", color=_LINE, markersize=4.5, zorder=3)
        else:
            _coloured(drawing, axes, values, figures[2])
        title = f"{document['workload']} on {document['architecture']}"
        axes.set_title(title if document["complete"] else f"{title}, search not finished", fontsize=10, color=_INK, loc="left")
        drawing.savefig(target, format=kind, dpi=160, metadata=_METADATA.get(kind))


def _coloured(drawing: Any, axes: Axes, values: list[list[float]], figure: Document) -> None:
    from matplotlib.colors import LogNorm, Normalize, SymLogNorm
    from matplotlib.ticker import EngFormatter

    third = values[2]
    norm: Normalize = LogNorm(min(third), max(third)) if _wide(third) else Normalize(min(third), max(third))
    if _wide_from_zero(third):
        norm = SymLogNorm(_least(third), linscale=0.3, vmin=0.0, vmax=max(third))
    dots = axes.scatter(values[0], values[1], c=third, cmap="viridis", norm=norm, s=26, edgecolors=_INK, linewidths=0.3, zorder=3)
    bar = drawing.colorbar(dots, ax=axes)
    bar.set_label(_label(figure), fontsize=9, color=_INK)
    bar.ax.yaxis.set_major_formatter(EngFormatter())
    bar.ax.tick_params(which="both", labelsize=8, colors=_FAINT, labelcolor=_INK)
    bar.outline.set_visible(False)


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _least(values: Sequence[float]) -> float:
    """The least value above zero."""
    return min(value for value in values if value > 0)


def _wide_from_zero(values: Sequence[float]) -> bool:
    return min(values) == 0 < max(values) and max(values) / _least(values) > _WIDE


def _drawn(document: Document, figure: Document) -> list[float]:
    """A figure of every point, energies in joules."""
    scale = 1e-12 if figure["unit"] == "pJ" else 1.0
    return [scale * point["values"][figure["name"]] for point in document["points"]]


def _label(figure: Document) -> str:
    return f"{figure['about']} ({'J' if figure['unit'] == 'pJ' else figure['unit']})"


def _scale(axes: Axes, side: str, values: Sequence[float], figure: Document) -> None:
    """One axis with room around the points: logarithmic where they lie far apart, down to zero on a symmetric one."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    low, high = min(values), max(values)
    scale, limits, axis = (axes.set_xscale, axes.set_xlim, axes.xaxis) if side == "x" else (axes.set_yscale, axes.set_ylim, axes.yaxis)
    if _wide(values):
        scale("log")
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1000 else (1.0, 2.0, 5.0)))
        limits(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
    elif _wide_from_zero(values):
        least = _least(values)
        scale("symlog", linthresh=least, linscale=0.5)
        limits(-0.3 * least, high * (high / least) ** 0.05)
    else:
        room = 0.05 * (high - low or high or 1.0)
        limits(low - room, high + room)
    axis.set_major_formatter(EngFormatter())
    axis.set_minor_formatter(NullFormatter())
    (axes.set_xlabel if side == "x" else axes.set_ylabel)(_label(figure), fontsize=9, color=_INK)
    axes.tick_params(which="both", labelsize=8, colors=_FAINT, labelcolor=_INK)
    axes.grid(True, which="major", color="#e6e9ed", linewidth=0.7)
    axes.set_axisbelow(True)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    for edge in ("left", "bottom"):
        axes.spines[edge].set_color(_FAINT)
