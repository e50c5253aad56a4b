"""Searches side by side: the best value of each over CPU seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from accelsim.errors import InputError
from accelsim.report.compare import shown
from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.mapper.comparison import Comparison

Curve = Sequence[tuple[float, float]]
"""CPU seconds and the best value from then on, in order; the last one says when the search ended."""


def searches(found: Comparison, unit: str = "cycles", *, ax: Axes | None = None) -> Axes:
    """Draw what the mapper and the baselines found over time, and what the mapper proved. `unit`: of the objective."""
    record: dict[str, Any] = found.record
    proved: tuple[float, float] | None = None
    if record["lower_bound"]:
        proved = record["value"], record["value"] if record["proved_optimal"] else record["lower_bound"]
    return curves({each.name: each.curve for each in found.contenders}, proved, unit, ax=ax)


def curves(found: Mapping[str, Curve], proved: tuple[float, float] | None, unit: str, *, ax: Axes | None = None) -> Axes:
    """Draw curves as steps over CPU seconds on a logarithmic scale.

    `proved`: the value that the exact search found and its lower bound, drawn as lines; one line where they are equal. Where each
    curve ends is told as a multiple of that value, or of the best. `unit`: of the values. Refuses curves without any point.
    """
    known = {name: curve for name, curve in found.items() if curve}
    if not known:
        raise InputError("no search found anything to draw", "give the searches more time")
    ax = style.axes(ax, 9.0, 4.4)
    seconds = [max(second, 1e-3) for curve in known.values() for second, _ in curve]
    style.scale(ax, "y", [value for curve in known.values() for _, value in curve] + list(proved or ()))
    ax.set_xscale("log")
    ax.set_xlim(min(seconds) / 1.3, max(seconds) * 1.15)
    ranked = sorted(known, key=lambda name: known[name][-1][1])
    best = proved[0] if proved is not None else known[ranked[0]][-1][1]
    for name in ranked:
        number = list(known).index(name)
        look: dict[str, Any] = {"color": style.colour(number), "linestyle": style.DASHES[number % len(style.DASHES)]}
        times, values = zip(*known[name], strict=True)
        first = proved is None and name == ranked[0]
        label = f"{name}  {shown(best, unit) if first else f'{values[-1] / best:.3f}x'}"
        ax.step(times, values, where="post", linewidth=1.7, label=label, zorder=3, **look)
        ax.plot([times[-1], ax.get_xlim()[1]], [values[-1]] * 2, color=style.colour(number), linewidth=0.6, alpha=0.5, zorder=2)
        ax.plot(times[:1], values[:1], "o", color=style.colour(number), markersize=3.5, zorder=4)
    if proved is not None:
        value, bound = proved
        label = "proved optimal" if value == bound else "exact search"
        ax.axhline(value, color=style.INK, linewidth=1.0, zorder=1, label=f"{label}  {shown(value, unit)}")
        if value != bound:
            ax.axhline(bound, color=style.INK, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1, label=f"lower bound  {shown(bound, unit)}")
    style.dress(ax, "", "CPU seconds", f"best found ({unit})")
    style.legend(ax, handlelength=2.4)
    return ax
