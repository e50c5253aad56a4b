"""Searches side by side: the best value of each over CPU seconds as a drawing, and what each ended with as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean
from accelsim.report.figures import in_cycles, joules, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

Curve = list[tuple[float, float]]
"""CPU seconds and the best value from then on, in order; the last one says when the search ended."""

_ENDINGS = ("png", "svg", "pdf")
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_INK, _FAINT, _PAPER = "#22262b", "#8b929b", "#ffffff"
# colours and dashes that stay apart for colour-blind readers, and where curves lie on each other
_LINES = (("#c46f12", "-"), ("#3a8544", "--"), ("#b4405c", "-."), ("#6f4fa3", ":"), ("#26808c", "-"), ("#94820f", "--"), ("#4a6785", "-."))
_WIDE = 8.0  # values that differ by more than this factor are drawn on a logarithmic scale


@dataclass(frozen=True, slots=True)
class Row:
    """What one search ended with; `value` None: it found nothing legal."""

    name: str
    value: float | None
    evaluated: int
    seconds: float


def figure(curves: dict[str, Curve], proved: tuple[float, float] | None, unit: str, path: str) -> None:
    """Draw curves as steps over CPU seconds on a logarithmic scale; the path's ending says how (.png, .svg, .pdf).

    `proved`: the value that the exact search found and its lower bound, drawn as lines; one line where they are equal. Where each
    curve ends is told as a multiple of that value, or of the best. `unit`: of the values.
    Refuses endings that matplotlib does not know, and a figure without points; raises OSError if the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    target = Path(path)
    kind = target.suffix.lstrip(".").lower() or "png"
    if kind not in _ENDINGS:
        raise InputError(f"{target}: cannot draw a '.{kind}' file", did_you_mean(kind, _ENDINGS))
    found = {name: curve for name, curve in curves.items() if curve}
    if not found:
        raise InputError(f"{target}: no search found anything to draw", "give the searches more time")
    with rc_context({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "accelsim"}):
        drawing = Figure(figsize=(9.0, 4.4), facecolor=_PAPER)
        axes = drawing.add_axes((0.09, 0.13, 0.6, 0.82))
        _scales(axes, found, proved, unit)
        end = axes.get_xlim()[1]
        ranked = sorted(found, key=lambda name: found[name][-1][1])
        best = proved[0] if proved is not None else found[ranked[0]][-1][1]
        for name in ranked:
            colour, dashes = _LINES[list(found).index(name) % len(_LINES)]
            seconds, values = zip(*found[name], strict=True)
            first = proved is None and name == ranked[0]
            label = f"{name}  {_shown(best, unit) if first else f'{values[-1] / best:.3f}x'}"
            axes.step(seconds, values, where="post", color=colour, linestyle=dashes, linewidth=1.7, label=label, zorder=3)
            axes.plot([seconds[-1], end], [values[-1]] * 2, color=colour, linewidth=0.6, alpha=0.5, zorder=2)
            axes.plot(seconds[:1], values[:1], "o", color=colour, markersize=3.5, zorder=4)
        if proved is not None:
            _proved(axes, proved, unit)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8, labelcolor=_INK, handlelength=2.4)
        drawing.savefig(target, format=kind, dpi=160, metadata=_METADATA.get(kind))


def _scales(axes: Axes, curves: dict[str, Curve], proved: tuple[float, float] | None, unit: str) -> None:
    """Axes that show every step, and the lines unless they lie far below."""
    seconds = [max(second, 1e-3) for curve in curves.values() for second, _ in curve]
    values = [value for curve in curves.values() for _, value in curve] + list(proved or ())
    low, high = min(values), max(values)
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.3, max(seconds) * 1.15)
    if low > 0 and high / low > _WIDE:
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
    else:
        axes.set_ylim(low - 0.06 * (high - low or high or 1.0), high + 0.06 * (high - low or high or 1.0))
    axes.set_xlabel("CPU seconds", fontsize=9, color=_INK)
    axes.set_ylabel(f"best found ({unit})", fontsize=9, color=_INK)
    axes.tick_params(labelsize=8, colors=_FAINT, labelcolor=_INK)
    axes.grid(True, which="major", color="#e6e9ed", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _proved(axes: Axes, proved: tuple[float, float], unit: str) -> None:
    value, bound = proved
    if value == bound:
        axes.axhline(value, color=_INK, linewidth=1.0, zorder=1, label=f"proved optimal  {_shown(value, unit)}")
        return
    axes.axhline(value, color=_INK, linewidth=1.0, zorder=1, label=f"exact search  {_shown(value, unit)}")
    axes.axhline(bound, color=_INK, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1, label=f"lower bound  {_shown(bound, unit)}")


def table(rows: Sequence[Row], unit: str) -> Table:
    """One line for each search, the best first: its value, how many times the best value that is, evaluations and CPU seconds."""
    from accelsim.report.terminal import table as columns

    known = [row.value for row in rows if row.value is not None]
    best = min(known, default=None)
    lines = columns("search", "value", "to the best", "evaluated", "CPU seconds")
    for row in sorted(rows, key=lambda row: (row.value is None, row.value or 0.0)):
        ratio = f"{row.value / best:.3f}x" if row.value is not None and best else "-"
        lines.add_row(row.name, _shown(row.value, unit), ratio, whole(row.evaluated), f"{row.seconds:.2f}")
    return lines


def _shown(value: float | None, unit: str) -> str:
    """A value in its unit: cycles to the nearest one, energies with a prefix, others with four digits."""
    if value is None:
        return "-"
    if unit == "cycles":
        return in_cycles(round(value))
    return joules(value) if unit == "pJ" else f"{value:.4g} {unit}"
