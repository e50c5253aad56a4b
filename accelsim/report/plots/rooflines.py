"""Roofline: what a machine could do at most at a number of operations per byte, and what a mapping does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter

from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation

_ROOM = 2.5  # how many times beyond the outermost marks the axes go
_BELOW = 30.0  # how far below the roof the axes begin at least


@dataclass(frozen=True, slots=True)
class Mark:
    """Operations per byte that cross a memory's ports, and per second: of one Einsum while it works, or of the whole run (name "")."""

    einsum: str
    memory: str
    intensity: float
    rate: float


def bandwidths(evaluation: Evaluation) -> dict[str, float]:
    """Bytes per second of all copies of each memory and network that has a limit, both directions where each has a port of its own."""
    machine, found = evaluation.evaluator.architecture, {}
    links = {name: (memory.ports, memory.read_bits_per_s, memory.write_bits_per_s) for name, memory in machine.memories.items()}
    links |= {name: (net.ports, net.down_bits_per_s, net.up_bits_per_s) for name, (_, net) in machine.networks.items()}
    owners = {name: array.name for name, (array, _) in machine.networks.items()}
    for name, (ports, out, back) in links.items():
        rate = out if ports == "shared" else None if out is None or back is None else out + back
        if rate is not None:
            found[name] = float(rate * machine.copies(owners.get(name, name))) / 8
    return found


def peaks(evaluation: Evaluation) -> dict[str, float]:
    """Operations per second of all copies of each unit that works, if all were the one of its operations here that takes least."""
    machine, program, found = evaluation.evaluator.architecture, evaluation.evaluator.program, dict[str, float]()
    for name, load in evaluation.loads.items():
        unit = machine.units[load.unit]
        cycles = min((unit.operations[each].cycles for each in program.cover(name, load.unit)), default=Fraction(0))
        if cycles:
            rate = float(machine.copies(load.unit) * unit.lanes * machine.clock_hz / cycles)
            found[load.unit] = max(rate, found.get(load.unit, 0.0))
    return found


def operations(evaluation: Evaluation) -> dict[str, int]:
    """Operations of each Einsum, those of its unit: a multiply-add is one."""
    cover = evaluation.evaluator.program.cover
    points = evaluation.counts.operations
    return {name: sum(int(points[name] * times) for times in cover(name, load.unit).values()) for name, load in evaluation.loads.items()}


def moved(evaluation: Evaluation, einsum: str, link: str) -> float:
    """Bytes that an Einsum moves through all ports of a memory or network."""
    pieces = 8 * evaluation.evaluator.clock.pieces
    rows = (*evaluation.bits.items(), *evaluation.crossed.items())
    return float(sum(Fraction(sum(row), pieces) for key, row in rows if (key[0], key[2]) == (einsum, link)))


def marks(evaluation: Evaluation) -> Iterator[Mark]:
    """The whole run at every memory that it moves bytes through, then each Einsum at the memory that would bind it first."""
    limits, work = bandwidths(evaluation), operations(evaluation)
    everything = sum(work.values())
    for link in limits:
        crossed = sum(moved(evaluation, name, link) for name in work)
        if crossed and everything and evaluation.seconds:
            yield Mark("", link, everything / crossed, everything / evaluation.seconds)
    clock = evaluation.evaluator.clock
    hertz = float(evaluation.evaluator.architecture.clock_hz)
    for name, load in evaluation.loads.items():
        ports = {link: max(ticks) for link, ticks in load.ports.items() if link in limits and moved(evaluation, name, link)}
        ticks = max(load.busy, *ports.values(), 0)
        if ports and ticks and work[name]:
            link = max(ports, key=lambda link: ports[link])
            yield Mark(name, link, work[name] / moved(evaluation, name, link), work[name] * hertz / float(clock.cycles(ticks)))


def roofline(evaluation: Evaluation, *, einsums: bool = True, ax: Axes | None = None) -> Axes:
    """Draw the roofs of a machine, one for each memory and network with a bandwidth, and one for each unit; diamonds are the whole run.

    Operations are those of the units, a multiply-add one. Bytes are those that cross a memory's ports, so that the run has one mark for
    each memory, all at its operations per second. `einsums`: each Einsum too, alone at its own speed, at the memory that binds it first.
    No mark lies above the roof of its memory, nor above that of all units together.
    """
    ax = style.axes(ax, 7.6, 4.8)
    limits, tops, found = bandwidths(evaluation), peaks(evaluation), list(marks(evaluation))
    colours = {link: style.colour(number) for number, link in enumerate(limits)}
    top = sum(tops.values()) or max((mark.rate for mark in found), default=1.0)
    spots = [mark.intensity for mark in found] + [top / rate for rate in limits.values()] or [1.0]
    left, right = min(spots) / _ROOM, max(spots) * _ROOM
    low = min([mark.rate for mark in found] + [top / _BELOW]) / _ROOM
    for number, (link, rate) in enumerate(limits.items()):
        ridge = min(max(top / rate, left), right)
        ends = [max(left, low / rate / _ROOM), ridge]
        ax.plot(ends, [rate * end for end in ends], color=colours[link], linestyle=style.dash(number), linewidth=1.6, zorder=2, label=link)
    for number, (unit, rate) in enumerate(sorted(tops.items(), key=lambda item: -item[1])):
        ax.axhline(rate, color=style.INK, linewidth=1.1, linestyle=style.DASHES[1 + number % 3], zorder=1, label=f"{unit} at most")
    if len(tops) > 1:
        ax.axhline(top, color=style.INK, linewidth=1.3, zorder=1, label="all units")
    run = [mark for mark in found if not mark.einsum]
    if run:
        ax.plot([mark.intensity for mark in run], [run[0].rate] * len(run), color=style.FAINT, linewidth=0.8, zorder=3)
    for mark in found:
        if einsums or not mark.einsum:
            shape, size = ("o", 4.5) if mark.einsum else ("D", 7.0)
            face = style.tint(colours[mark.memory], 0.55) if mark.einsum else colours[mark.memory]
            ax.plot(
                [mark.intensity], [mark.rate], shape, color=face, markeredgecolor=style.INK, markeredgewidth=0.6, markersize=size, zorder=4
            )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(left, right)
    ax.set_ylim(low, top * _ROOM)
    if einsums:
        _names(ax, [mark for mark in found if mark.einsum])
    names = evaluation.evaluator.cascade.name, evaluation.evaluator.architecture.name
    style.dress(ax, f"{names[0]} on {names[1]}", "operations per byte", "operations per second")
    ax.yaxis.set_major_formatter(EngFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    style.legend(ax)
    return ax


def _names(ax: Axes, found: list[Mark]) -> None:
    """Write names beside marks, those of marks in one place together."""
    places: dict[tuple[int, int], list[Mark]] = {}
    for mark in sorted(found, key=lambda mark: (-mark.rate, mark.intensity)):
        place = round(6 * math.log10(mark.intensity)), round(9 * math.log10(mark.rate))
        places.setdefault(place, []).append(mark)
    for together in places.values():
        label = ", ".join(mark.einsum for mark in together)
        at = together[0].intensity, together[0].rate
        ax.annotate(label, at, (6, -4), textcoords="offset points", va="top", **style.text(fontsize=7), zorder=5)
