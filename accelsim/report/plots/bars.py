"""Bars: evaluations side by side, and how far a figure moves with each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from accelsim.errors import InputError, did_you_mean
from accelsim.report.figures import si, times
from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation

FIGURES = {"latency": "cycles", "energy": "J", "traffic": "B", "edp": "J s"}


class Sensitivity(Protocol):
    """What a tornado shows: a figure at a point (`base`), and with each parameter (`names`) at its low and at its high end."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def low(self) -> Sequence[float]: ...
    @property
    def high(self) -> Sequence[float]: ...
    @property
    def base(self) -> float: ...


def compare(evaluations: Mapping[str, Evaluation], figure: str = "energy", *, ax: Axes | None = None) -> Axes:
    """Draw a figure of evaluations by name as bars, each with how many times the first one's it is.

    `figure`: `latency` in parts steady, fill and drain; `energy` in parts by component; `traffic` by memory that has a bandwidth, or of the
    outermost; `edp`.
    """
    if figure not in FIGURES:
        raise InputError(f"there is no figure '{figure}' to compare", did_you_mean(figure, FIGURES))
    if not evaluations:
        raise InputError("there is nothing to compare", "give it evaluations by name")
    stacks = {name: parts(each, figure) for name, each in evaluations.items()}
    kinds = list(dict.fromkeys(part for stack in stacks.values() for part in stack))
    ax = style.axes(ax, 7.2, 1.2 + 0.42 * len(stacks))
    first = sum(next(iter(stacks.values())).values())
    for row, stack in enumerate(stacks.values()):
        reached = 0.0
        for number, kind in enumerate(kinds):
            value = stack.get(kind, 0.0)
            look: dict[str, Any] = {"color": style.colour(number), "hatch": style.hatch(number) or None, "edgecolor": style.PAPER, "linewidth": 0.4}
            ax.barh(row, value, 0.68, left=reached, label=kind if row == 0 else f"_{kind}", **look)
            reached += value
        ratio = f"  {si(reached, FIGURES[figure] if FIGURES[figure] != 'cycles' else '')}"
        ratio += f"  {times(reached / first)}" if row and first else ""
        ax.text(reached, row, ratio, va="center", **style.text(fontsize=7))
    most = max(sum(stack.values()) for stack in stacks.values())
    ax.set_xlim(0, 1.25 * most or 1.0)
    ax.set_yticks(range(len(stacks)), list(stacks))
    ax.set_ylim(len(stacks) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(EngFormatter())
    style.dress(ax, "", f"{figure} ({FIGURES[figure]})", grid="x")
    if len(kinds) > 1:
        style.legend(ax)
    return ax


def parts(evaluation: Evaluation, figure: str) -> dict[str, float]:
    """A figure of FIGURES in parts that sum to it."""
    clock, timing, joule = evaluation.evaluator.clock, evaluation.timing, 1e-12
    if figure == "latency":
        ticks = {"fill": timing.fill, "steady": timing.steady, "drain": timing.drain}
        return {name: float(clock.cycles(each)) for name, each in ticks.items()}
    if figure == "energy":
        found = {name: energy * joule for name, energy in evaluation.by_component.items()}
        return found | {"static": evaluation.static.value * joule}
    if figure == "traffic":
        root = evaluation.evaluator.architecture.root.name
        read, written = evaluation.traffic_bits(root)
        return {f"{root} read": float(read / 8), f"{root} written": float(written / 8)}
    return {"": evaluation.edp_pj_s * joule}


def tornado(found: Sensitivity, *, figure: str = "", unit: str = "", most: int = 15, ax: Axes | None = None) -> Axes:
    """Draw how far a figure moves when each parameter alone goes to its low (blue) and to its high end (orange), the furthest on top.

    `most`: how many parameters are drawn; of the others the axis says how many there are.
    """
    order = sorted(range(len(found.names)), key=lambda at: -max(abs(found.low[at] - found.base), abs(found.high[at] - found.base)))
    shown = order[:most]
    if not shown:
        raise InputError("no parameter was moved", "give a range to at least one")
    ax = style.axes(ax, 7.2, 1.1 + 0.34 * len(shown))
    for row, at in enumerate(shown):
        for label, values, number in (("low end", found.low, 0), ("high end", found.high, 1)):
            step = values[at] - found.base
            ax.barh(row, step, 0.66, left=found.base, color=style.colour(number), label=label if row == 0 else f"_{label}")
    ax.axvline(found.base, color=style.INK, linewidth=1.0, label=f"base {si(found.base, unit)}")
    ends = [value for at in shown for value in (found.low[at], found.high[at])] + [found.base]
    room = 0.06 * (max(ends) - min(ends) or abs(found.base) or 1.0)
    ax.set_xlim(min(ends) - room, max(ends) + room)
    ax.set_yticks(range(len(shown)), [found.names[at] for at in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(EngFormatter())
    left_out = f"; {len(order) - len(shown)} parameters that move it less not drawn" if len(order) > len(shown) else ""
    named = f"{figure} ({unit})" if unit else figure
    style.dress(ax, "", f"{named}{left_out}", grid="x")
    style.legend(ax)
    return ax
