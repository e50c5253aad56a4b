"""Faults: what comes of upsets in each part of a machine, and energy, errors and what is left of a result over the voltage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from accelsim.errors import InputError
from accelsim.faults.outcomes import MASKED, NAMES
from accelsim.faults.voltage import EnergyLaw, ErrorLaw
from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.faults.campaign import Outcome

_QUIET = (*MASKED,)  # outcomes without an effect stay white


def vulnerability(outcome: Outcome, *, ax: Axes | None = None) -> Axes:
    """Draw, for every kind of register or memory of a campaign, which share of its upsets has an effect, by outcome, with its interval."""
    found = [each for each in outcome.found if each.tally.total]
    if not found:
        raise InputError(f"{outcome.campaign.name}: no fault was injected yet", "run the campaign further")
    ax = style.axes(ax, 7.6, 1.2 + 0.34 * len(found))
    kinds = [at for at in range(len(NAMES)) if at not in _QUIET and any(each.tally.counts[at] for each in found)]
    for row, each in enumerate(found):
        reached = 0.0
        for number, at in enumerate(kinds):
            share = each.share(lambda tally, at=at: tally.counts[at])  # type: ignore[misc]
            look: dict[str, Any] = {
                "color": style.colour(number),
                "hatch": style.hatch(number) or None,
                "edgecolor": style.PAPER,
                "linewidth": 0.3,
            }
            ax.barh(row, share, 0.68, left=reached, label=NAMES[at] if row == 0 else f"_{NAMES[at]}", **look)
            reached += share
        if not each.exhaustive and not math.isnan(each.avf.value):
            ax.plot([each.avf.low, each.avf.high], [row, row], color=style.INK, marker="|", markersize=6, linewidth=1.0, zorder=5)
    names = [f"{each.stratum.block} {each.stratum.name}".strip() for each in found]
    ax.set_yticks(range(len(found)), names)
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    confidence = 100 * outcome.campaign.sample.confidence
    some = "" if all(each.exhaustive for each in found) else f"; lines: {confidence:g} % intervals"
    style.dress(ax, outcome.campaign.name, f"share of upsets that has an effect{some}", grid="x")
    if kinds:
        style.legend(ax)
    return ax


def voltage(
    voltages: Sequence[float],
    *,
    quality: Mapping[str, Sequence[Sequence[float]]] | None = None,
    what: str = "accuracy",
    errors: ErrorLaw | None = None,
    energy: EnergyLaw | None = None,
) -> Axes:
    """Draw three curves over the voltage, in parts of the lowest safe one: stuck cells, energy of an access, and a share that is left.

    `quality`: by the name of a curve, for each voltage what several chips, seeds or draws gave; the line is their mean, the band goes from
    the worst to the best. Without it only the laws are drawn. The axes are the lowest ones; all are on one figure.
    """
    if len(voltages) < 2:
        raise InputError(f"{len(voltages)} voltages make no curve", "give two or more")
    for name, rows in (quality or {}).items():
        if len(rows) != len(voltages) or not all(len(row) for row in rows):
            raise InputError(f"'{name}' has results of {len(rows)} voltages, not of {len(voltages)}", "give one or more for each")
    order = sorted(range(len(voltages)), key=lambda at: voltages[at])
    at = [voltages[each] for each in order]
    many = 3 if quality else 2
    figure = Figure(figsize=(6.4, 0.6 + 1.75 * many), facecolor=style.PAPER, layout="constrained")
    rows = figure.subplots(many, sharex=True, subplot_kw={"axes_class": style.Plot})
    law, price = errors or ErrorLaw(), energy or EnergyLaw()
    stuck, cost = [law.at(each) for each in at], [price.at(each) for each in at]
    rows[0].plot(at, stuck, color=style.VERMILION, marker="o", markersize=4, linewidth=1.4, label="stuck cells")
    rows[0].set_yscale("log")
    rows[0].yaxis.set_minor_formatter(NullFormatter())
    rows[1].plot(at, cost, color=style.colour(0), marker="o", markersize=4, linewidth=1.4, label="energy")
    rows[1].set_ylim(0, None)
    style.dress(rows[0], y="stuck cells (share)")
    style.dress(rows[1], y="energy of an access")
    if quality:
        for number, (name, results) in enumerate(quality.items()):
            chosen = [results[each] for each in order]
            mean = [sum(row) / len(row) for row in chosen]
            ink = style.colour(number)
            rows[2].fill_between(at, [min(row) for row in chosen], [max(row) for row in chosen], color=ink, alpha=0.15, linewidth=0)
            rows[2].plot(at, mean, color=ink, linestyle=style.DASHES[number % 4], marker="o", markersize=4, linewidth=1.4, label=name)
        rows[2].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        style.dress(rows[2], y=what)
        style.legend(rows[2], loc="lower right")
    last: Axes = rows[-1]
    last.set_xlabel("voltage, in parts of the lowest safe one", fontsize=style.LABEL, color=style.INK, family=style.FAMILY)
    return last
