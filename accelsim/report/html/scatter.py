"""Points and curves in a drawing with two axes, logarithmic where values lie far apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from accelsim.report.html.markup import Html, el
from accelsim.report.html.shown import tick

_WIDTH, _HEIGHT = 720, 360  # as all lengths here, in units of the drawing
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 26, 46
_LEADER, _LETTER, _LINE = 18.0, 8.0, 15.0  # from the axes to a name; a letter of it, which few exceed; from one name to the next
_LONGEST = 32  # letters of a name
_WIDE = 8.0  # values that differ by more than this factor are drawn on a logarithmic scale


class Axis(NamedTuple):
    """What an axis shows, and what its values are multiplied with."""

    title: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Series:
    """Points in their order with what each says; `steps`: a line that keeps its height up to the next point."""

    name: str
    points: Sequence[tuple[float, float]]
    tips: Sequence[str]
    dots: bool = False
    steps: bool = False


class _Scale(NamedTuple):
    place: Callable[[float], float]
    ticks: list[float]


def drawing(across: str, up: str, series: Sequence[Series]) -> Html:
    """All series in one drawing; of several, the name of each stands to the right of the axes, beside the end of its line or last dot."""
    xs, ys = ([point[side] for each in series for point in each.points] for side in (0, 1))
    named = series if len(series) > 1 else ()
    right = _WIDTH - _RIGHT - max((_LEADER + _LETTER * len(_short(each.name)) for each in named), default=0.0)
    x, y = _scale(xs, _LEFT, right), _scale(ys, _HEIGHT - _BOTTOM, _TOP)
    parts = [el("line", x1=x.place(at), x2=x.place(at), y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="grid") for at in x.ticks]
    parts += [el("line", x1=_LEFT, x2=right, y1=y.place(at), y2=y.place(at), class_="grid") for at in y.ticks]
    parts += [_label(x.place(at), _HEIGHT - _BOTTOM + 16, tick(at), "middle") for at in x.ticks]
    parts += [_label(_LEFT - 8, y.place(at) + 4, tick(at), "end") for at in y.ticks]
    parts += [_label((_LEFT + right) / 2, _HEIGHT - 8, across, "middle"), _label(_LEFT, _TOP - 12, up, "start")]
    placed = [[(x.place(a), y.place(b)) for a, b in each.points] for each in series]
    for number, (each, points) in enumerate(zip(series, placed, strict=True)):
        colour = f"c{number % 6}"
        if each.steps:
            parts.append(el("g", el("path", d=_steps(points, right), class_=f"roof {colour}", fill="none"), el("title", each.name)))
        if each.dots:
            for (a, b), tip in zip(points, each.tips, strict=True):
                parts.append(el("g", el("circle", cx=a, cy=b, r=5, class_=f"dot {colour}"), el("title", tip)))
    parts += _names(named, placed, right)
    return el(
        "div",
        el("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=f"{up} over {across}", class_="chart"),
        class_="figure",
    )


def _names(series: Sequence[Series], placed: Sequence[Sequence[tuple[float, float]]], right: float) -> list[Html]:
    """Names to the right of the axes, moved apart, each with a leader from the end of its line, or from the edge beside its last dot."""
    ends = [points[-1][1] for points in placed]
    parts = []
    for number, (each, end, height) in enumerate(zip(series, ends, _apart(ends), strict=False)):
        colour = f"c{number % 6}"
        parts.append(el("line", x1=right, y1=end, x2=right + _LEADER - 4, y2=height, class_=colour))
        name = el("text", _short(each.name), x=right + _LEADER, y=height + 4, text_anchor="start", class_=f"name {colour}")
        parts.append(el("g", name, el("title", each.name)))
    return parts


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights in their order, moved so that neighbours are a line of text apart and none is below the axes."""
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    found = list(heights)
    for above, at in pairwise(order):
        found[at] = max(found[at], found[above] + _LINE)
    below = _HEIGHT - _BOTTOM + _LINE
    for at in reversed(order):
        found[at] = below = min(found[at], below - _LINE)
    return found


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _steps(points: Sequence[tuple[float, float]], end: float) -> str:
    """A path to the right and then up or down to each point, and on to the edge."""
    begin = f"M{points[0][0]:.2f} {points[0][1]:.2f}"
    return begin + "".join(f"H{x:.2f}V{y:.2f}" for x, y in points[1:]) + f"H{end:.2f}"


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    """From values to places between two ends, with room at both, and where marks stand."""
    low, high = min(values), max(values)
    if low > 0 and high / low > _WIDE:
        first, last = math.log10(low), math.log10(high)
        first, last = first - 0.06 * (last - first), last + 0.06 * (last - first)
        powers = range(math.ceil(first), math.floor(last) + 1)
        stride = max(1, math.ceil(len(powers) / 7))
        ticks = [10.0**power for power in powers if power % stride == 0]
        return _Scale(lambda value: start + (math.log10(value) - first) / (last - first) * (end - start), ticks)
    room = 0.08 * (high - low or abs(high) or 1.0)
    bottom, top = low - room, high + room
    step = _round((top - bottom) / 5)
    ticks = [step * number for number in range(math.ceil(bottom / step), math.floor(top / step) + 1)]
    return _Scale(lambda value: start + (value - bottom) / (top - bottom) * (end - start), ticks)


def _round(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= step)


def _label(x: float, y: float, text: str, side: str) -> Html:
    return el("text", text, x=x, y=y, text_anchor=side, class_="tick")
