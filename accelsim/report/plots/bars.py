"""Bars: evaluations side by side, and how far a figure moves with each parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from accelsim.errors import InputError, did_you_mean
from accelsim.report.exploring import shown_figure
from accelsim.report.figures import si, times
from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.explore.sensitivity import Tornado
    from accelsim.model.evaluation import Evaluation

FIGURES = {"latency": "cycles", "energy": "J", "traffic": "B", "edp": "J s"}


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
    kinds = list(dict.fromkeys(part for stack in stacks.values() for part, value in stack.items() if value))
    ax = style.axes(ax, 7.2, 1.2 + 0.42 * len(stacks))
    first = sum(next(iter(stacks.values())).values())
    for row, stack in enumerate(stacks.values()):
        reached = 0.0
        for number, kind in enumerate(kinds):
            value = stack.get(kind, 0.0)
            look: dict[str, Any] = {
                "color": style.colour(number),
                "hatch": style.hatch(number) or None,
                "edgecolor": style.PAPER,
                "linewidth": 0.4,
            }
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


def tornado(found: Tornado, figure: str = "", *, most: int = 15, ax: Axes | None = None) -> Axes:
    """Draw how far a figure of a point moves when each parameter alone goes down (blue) and up (orange), the furthest on top.

    `figure`: one of those that were worked out, "" the first. `most`: how many parameters are drawn; the axis says how many others move it.
    A side without a mapping has no bar, and says so.
    """
    figure = figure or found.figures[0]
    if figure not in found.figures:
        raise InputError(f"the figure '{figure}' was not worked out", did_you_mean(figure, found.figures))
    at, changes = found.figures.index(figure), found.changes(figure)
    if not changes:
        raise InputError(f"nothing changes {figure}", "draw another figure")
    ax = style.axes(ax, 7.6, 1.1 + 0.34 * min(most, len(changes)))
    base = found.base[at]
    ends = [base]
    for row, (swing, *_) in enumerate(changes[:most]):
        without = []
        for number, (label, turn) in enumerate((("down", swing.down), ("up", swing.up))):
            end = turn.figures[at]
            if math.isnan(end):
                without.append(label)
                continue
            ends.append(end)
            ax.barh(row, end - base, 0.66, left=base, color=style.colour(number), label=label if row == 0 else f"_{label}")
        if without:
            ax.text(base, row, f" {' and '.join(without)}: no mapping", va="center", **style.text(fontsize=7))
    ax.axvline(base, color=style.INK, linewidth=1.0, label=f"at the point: {shown_figure(figure, base)}")
    room = 0.06 * (max(ends) - min(ends) or abs(base) or 1.0)
    ax.set_xlim(min(ends) - room, max(ends) + room)
    shown = [swing for swing, *_ in changes[:most]]
    ax.set_yticks(range(len(shown)), [f"{swing.name} = {swing.text}" for swing in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(EngFormatter())
    left_out = f"; {len(changes) - len(shown)} more move it less" if len(changes) > len(shown) else ""
    how = f"down and up by {found.factor:g}, prices to their low and high"
    style.dress(ax, f"{found.sweep}: {how}", f"{figure}{left_out}", grid="x")
    style.legend(ax)
    return ax
