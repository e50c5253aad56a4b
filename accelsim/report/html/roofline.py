"""The roofline of a run: how fast it goes beside what its units, and each memory at its intensity, would allow.

All of it follows from an evaluation: a memory that is busy for a share b of the time would let the same work be done 1/b times as fast,
and its bandwidth is what crosses it over the time that it is busy; units likewise, by how much of them is used. Bandwidths are of all
copies together, and of the direction that is busy longest where a memory reads and writes side by side.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from accelsim.report.html.markup import Html, el, join
from accelsim.report.html.page import note
from accelsim.report.html.shown import NONE, per_second, percent, tick
from accelsim.report.html.tables import Column, figure, table, words

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 18, 44


class Roof(NamedTuple):
    """What one memory allows: `intensity` in operations per byte, `bandwidth` in bytes per second, `roof` in operations per second."""

    name: str
    intensity: float
    bandwidth: float
    roof: float


class Roofs(NamedTuple):
    """A run in operations per second, what the busiest unit would allow, and the roofs of its memories."""

    rate: float
    units: tuple[tuple[str, float], ...]
    memories: tuple[Roof, ...]


def roofs(document: dict[str, Any]) -> Roofs | None:
    """The roofs of an evaluation; None where it does nothing or takes no time."""
    latency = document["latency"]
    time, cycles = latency["seconds"], latency["fill_cycles"] + latency["steady_cycles"] + latency["drain_cycles"]
    work = sum(sum(row["operations"].values()) for row in document["einsums"].values())
    if not time or not work or not cycles:
        return None
    rate, memories, units = work / time, [], []
    used = {row["unit"] for row in document["einsums"].values()}
    for name, row in document["components"].items():
        crossed = sum(document["traffic"].get(name, {}).values())
        if name in used and row["utilization"]:
            units.append((name, rate / row["utilization"]))
        elif crossed and row["busy_cycles"]:
            share = row["busy_cycles"] / cycles
            memories.append(Roof(name, work / crossed, crossed / (share * time), rate / share))
    return Roofs(rate, tuple(units), tuple(memories))


def roofline(document: dict[str, Any]) -> Html:
    """The drawing, and the same as a table."""
    found = roofs(document)
    if found is None or not (found.units or found.memories):
        return note("Nothing here has a limit that a roofline could show.")
    rows = [
        [
            words(name),
            words("unit"),
            figure(None, _number),
            figure(None, _number),
            figure(roof, _rate),
            figure(found.rate / roof, percent, 1.0),
        ]
        for name, roof in found.units
    ]
    rows += [
        [
            words(each.name),
            words("memory"),
            figure(each.intensity, _number),
            figure(each.bandwidth, lambda value: per_second(value, "B")),
            figure(each.roof, _rate),
            figure(found.rate / each.roof, percent, 1.0),
        ]
        for each in found.memories
    ]
    columns = [
        Column("resource", False),
        Column("kind", False),
        Column("operations per byte"),
        Column("bandwidth", about="of all copies"),
        Column("allows"),
        Column("reached", about="the rate of the run over what the resource allows"),
    ]
    says = note(
        "Of this run's operations: a dot for each memory, at the operations per byte that cross it; above it the roof that its bandwidth",
        " sets, and lines across for what each unit would allow at its best with this share of the work.",
    )
    return join([_drawing(found), says, table("What each resource would allow", columns, rows)])


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _rate(value: float | None) -> str:
    return per_second(value, "op")


def _drawing(found: Roofs) -> Html:
    intensities = [each.intensity for each in found.memories] or [1.0]
    heights = [found.rate, *(roof for _, roof in found.units), *([] if found.units else [each.roof for each in found.memories])]
    top = min((roof for _, roof in found.units), default=max((each.roof for each in found.memories), default=found.rate))
    ridges = [top / each.bandwidth for each in found.memories]
    left, right = _decades(min([*intensities, *ridges]) / 3, max([*intensities, *ridges]) * 3)
    low, high = _decades(found.rate / 8, max(heights) * 2)

    def across(value: float) -> float:
        return _LEFT + (math.log10(value) - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _HEIGHT - _BOTTOM - (math.log10(value) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts: list[Html] = []
    for power in range(left, right + 1):
        x = across(10.0**power)
        parts += [
            el("line", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="grid"),
            _label(x, _HEIGHT - _BOTTOM + 16, tick(10.0**power), "middle"),
        ]
    for power in range(low, high + 1):
        y = up(10.0**power)
        parts += [el("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"), _label(_LEFT - 6, y + 4, tick(10.0**power), "end")]
    parts.append(_label((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "operations per byte", "middle"))
    parts.append(_label(_LEFT, _TOP - 6, "operations per second", "start"))
    for number, each in enumerate(found.memories):
        # from where the line enters the drawing to where it meets the lowest roof of the units
        begin = max(10.0**left, 10.0**low / each.bandwidth)
        end = min(10.0**right, min(top, 10.0**high) / each.bandwidth)
        if begin < end:
            tip = el("title", f"{each.name}: {per_second(each.bandwidth, 'B')}")
            ends = {"x1": across(begin), "y1": up(begin * each.bandwidth), "x2": across(end), "y2": up(end * each.bandwidth)}
            parts.append(el("g", el("line", class_=f"roof c{number % 6}", **ends), tip))
    for name, roof in found.units:
        tip = el("title", f"{name} allows {_rate(roof)}")
        parts.append(el("g", el("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=up(roof), y2=up(roof), class_="unit"), tip))
    parts += _names(found, across, up, top)
    for number, each in enumerate(found.memories):
        tip = el("title", f"{each.name}: {each.intensity:.4g} operations per byte, {_rate(found.rate)} of {_rate(each.roof)}")
        parts.append(el("g", el("circle", cx=across(each.intensity), cy=up(found.rate), r=6, class_=f"dot c{number % 6}"), tip))
    says = f"roofline: the run reaches {_rate(found.rate)}"
    return el("div", el("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=says, class_="chart"), class_="figure")


def _names(found: Roofs, across: Any, up: Any, top: float) -> list[Html]:
    """Names beside their lines and dots, moved apart where they would lie on each other."""
    placed: list[tuple[float, float]] = []
    parts = []
    for name, roof in found.units:
        x, y = _WIDTH - _RIGHT - 4.0, up(roof) - 6
        while any(abs(x - other) < 60 and abs(y - height) < 13 for other, height in placed):
            x -= 64
        placed.append((x, y))
        parts.append(el("text", name, x=x, y=y, text_anchor="end", class_="name"))
    for number, each in enumerate(found.memories):
        x, y = across(each.intensity), up(found.rate) + 22
        while any(abs(x - other) < 84 and abs(y - height) < 13 for other, height in placed):
            y += 14
        placed.append((x, y))
        parts.append(el("text", each.name, x=x, y=y, text_anchor="middle", class_=f"name c{number % 6}"))
    return parts


def _decades(low: float, high: float) -> tuple[int, int]:
    """Whole powers of ten around a range."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return first, max(last, first + 1)


def _label(x: float, y: float, text: str, side: str) -> Html:
    return el("text", text, x=x, y=y, text_anchor=side, class_="tick")
