"""One look for every drawing: colours, dashes, hatches, axes and how they are saved.

Colours stay apart for colour-blind readers, and each differs in lightness from the one before; where they repeat, hatches and dashes go on.
Source of the colours: Okabe and Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from accelsim.errors import InputError, did_you_mean

INK, FAINT, PAPER, GRID = "#22262b", "#6d757e", "#ffffff", "#e6e9ed"
BLUE, ORANGE, GREEN, SKY, VERMILION, PINK, GREY = "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#cc79a7", "#5c5c5c"
COLOURS = (BLUE, ORANGE, GREEN, SKY, VERMILION, PINK, GREY)
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "////", "....", "xxxx")
SEQUENTIAL = "viridis"  # of values: even steps to the eye, also without red and green
FAMILY = "DejaVu Sans"  # ships with matplotlib, so that a drawing is the same on every machine
TITLE, LABEL, TICK = 10.0, 9.0, 8.0  # points
WIDE = 8.0  # values that differ by more than this factor are drawn on a logarithmic scale
ENDINGS = ("png", "svg", "pdf")
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_DOTS, _MOST_DOTS = 160, 12_000  # dots per inch, and along a side, which viewers still open
_SAVED: Any = {"svg.fonttype": "none", "svg.hashsalt": "accelsim"}


class Plot(Axes):
    """Axes on a figure of their own, which show themselves at the end of a notebook's cell."""

    def _repr_svg_(self) -> str:
        return as_svg(self)


def colour(number: int) -> str:
    """The colour of the so-manieth thing."""
    return COLOURS[number % len(COLOURS)]


def dash(number: int) -> str:
    """The dashes of the so-manieth line: others once all colours were used."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def hatch(number: int) -> str:
    """The hatch of the so-manieth face: another once all colours were used."""
    return HATCHES[number // len(COLOURS) % len(HATCHES)]


def tint(of: str, share: float = 0.18) -> str:
    """A colour on paper: so much of it, the rest white."""
    return _mixed(of, 1.0, 1 - share)


def shade(of: str, share: float = 0.35) -> str:
    """A colour as dark as words have to be: so much black, the rest the colour."""
    return _mixed(of, 0.0, share)


def _mixed(of: str, grey: float, share: float) -> str:
    red, green, blue = ((1 - share) * part + share * grey for part in to_rgb(of))
    return to_hex((red, green, blue))


def axes(ax: Axes | None, width: float = 7.2, height: float = 4.4) -> Axes:
    """The axes to draw on: those that are given, or new ones on a figure of so many inches."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), facecolor=PAPER, layout="constrained").add_subplot(axes_class=Plot)


def dress(ax: Axes, title: str = "", x: str = "", y: str = "", grid: Literal["both", "x", "y", ""] = "both") -> None:
    """Give axes their title, labels, grid and colours."""
    if title:
        ax.set_title(title, fontsize=TITLE, color=INK, loc="left", family=FAMILY)
    if x:
        ax.set_xlabel(x, fontsize=LABEL, color=INK, family=FAMILY)
    if y:
        ax.set_ylabel(y, fontsize=LABEL, color=INK, family=FAMILY)
    ax.set_facecolor(PAPER)
    ax.tick_params(which="both", labelsize=TICK, colors=FAINT, labelcolor=INK, labelfontfamily=FAMILY)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(True, which="major", axis=grid, color=GRID, linewidth=0.7)
    for edge in ("top", "right"):
        ax.spines[edge].set_visible(False)
    for edge in ("left", "bottom"):
        ax.spines[edge].set_color(FAINT)


def text(**more: Any) -> dict[str, Any]:
    """How words inside a drawing look."""
    return {"fontsize": TICK, "color": INK, "family": FAMILY} | more


def legend(ax: Axes, **where: Any) -> None:
    """The legend, without a frame; beside the axes if no place is given."""
    from matplotlib.font_manager import FontProperties

    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)} if "loc" not in where else {}
    look: dict[str, Any] = {"frameon": False, "labelcolor": INK, "prop": FontProperties(family=FAMILY, size=TICK)} | place | where
    ax.legend(**look)


def wide(values: Sequence[float]) -> bool:
    """Whether values are so far apart that only logarithms show them all."""
    return min(values) > 0 and max(values) / min(values) > WIDE


def wide_from_zero(values: Sequence[float]) -> bool:
    """The same of values of which some are zero."""
    return min(values) == 0 < max(values) and max(values) / least(values) > WIDE


def least(values: Sequence[float]) -> float:
    """The least value above zero."""
    return min(value for value in values if value > 0)


def scale(ax: Axes, side: Literal["x", "y"], values: Sequence[float]) -> None:
    """One axis with room around points: logarithmic where they lie far apart, down to zero on a symmetric one."""
    low, high = min(values), max(values)
    how, limits, axis = (ax.set_xscale, ax.set_xlim, ax.xaxis) if side == "x" else (ax.set_yscale, ax.set_ylim, ax.yaxis)
    if wide(values):
        how("log")
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1000 else (1.0, 2.0, 5.0)))
        limits(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
    elif wide_from_zero(values):
        how("symlog", linthresh=least(values), linscale=0.5)
        limits(-0.3 * least(values), high * (high / least(values)) ** 0.05)
    else:
        room = 0.05 * (high - low or abs(high) or 1.0)
        limits(low - room, high + room)
    axis.set_major_formatter(EngFormatter())
    axis.set_minor_formatter(NullFormatter())


def save(drawn: Axes | Figure, path: Path | str) -> None:
    """Write a drawing; the ending says how (.png, .svg, .pdf). The same drawing gives the same bytes.

    Refuses endings that matplotlib does not know; raises OSError if the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lstrip(".").lower() or "png"
    if kind not in ENDINGS:
        raise InputError(f"{target}: cannot draw a '.{kind}' file", did_you_mean(kind, ENDINGS))
    figure = whole(drawn)
    dots = min(_DOTS, int(_MOST_DOTS / max(figure.get_size_inches())))
    with matplotlib.rc_context(_SAVED):
        figure.savefig(target, format=kind, dpi=dots, metadata=_METADATA.get(kind))


def as_svg(drawn: Axes | Figure) -> str:
    """A drawing as the text of an SVG, from its `<svg` on."""
    out = io.StringIO()
    with matplotlib.rc_context(_SAVED):
        whole(drawn).savefig(out, format="svg", metadata=_METADATA["svg"])
    found = out.getvalue()
    return found[found.index("<svg") :]


def whole(drawn: Axes | Figure) -> Figure:
    """The figure that axes are on."""
    figure: Figure | SubFigure | None = drawn if isinstance(drawn, Figure) else drawn.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    assert figure is not None
    return figure
