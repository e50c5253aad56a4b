"""Figures as a page shows them: those of the terminal, with the signs that a terminal may lack."""

from __future__ import annotations

from accelsim.report import figures
from accelsim.report.html.markup import Html, el

NONE = "–"
THIN = "\u202f"  # the space between a number and its unit


def joules(picojoules: float | None) -> str:
    """Picojoules as J, mJ, µJ, …"""
    return signs(figures.joules(picojoules))


def seconds(value: float | None) -> str:
    """Seconds as s, ms, µs, …"""
    return signs(figures.si(value, "s"))


def per_second(value: float | None, unit: str) -> str:
    """A rate with an SI prefix."""
    return signs(figures.si(value, f"{unit}/s"))


def data(count: float | None) -> str:
    """Bytes with a binary prefix."""
    return signs(figures.byte_size(count))


def whole(count: float | None) -> str:
    """A count with separators of thousands."""
    return signs(figures.whole(count))


def percent(share: float | None) -> str:
    """A share of 1 in percent."""
    return signs(figures.percent(share))


def square(area_um2: float | None) -> str:
    """An area in square millimetres, or in square micrometres if it is small."""
    return NONE if area_um2 is None else figures.square(area_um2).replace("um2", "µm²").replace("mm2", "mm²")


def times(ratio: float | None) -> str:
    """How many times as much; small ratios with three digits."""
    if ratio is None:
        return NONE
    return f"{ratio:.3g}×" if ratio < 0.995 else figures.times(ratio).replace("x", "×")


def operations(counts: dict[str, int]) -> str:
    """Operations by what they do."""
    return ", ".join(f"{figures.tally(count)} {name}" for name, count in counts.items()) or NONE


def bar(share: float | None, kind: str = "") -> Html:
    """A share of 1 as a bar; what is beyond 1 is cut."""
    width = 100 * min(max(share or 0.0, 0.0), 1.0)
    return el("span", el("span", style=f"width:{width:.2f}%", class_=kind or None), class_="bar", aria_hidden="true")


def tick(value: float) -> str:
    """A number beside an axis, with an SI prefix and no more digits than it takes."""
    number, _, prefix = figures.si(value, "").partition(" ")
    short = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{short}{THIN}{prefix.replace('u', 'µ')}" if prefix else short


def signs(text: str) -> str:
    """A figure of the terminal with the signs of a page."""
    if text == "-":
        return NONE
    number, space, unit = text.partition(" ")
    return f"{number}{THIN}{unit.replace('u', 'µ', 1) if unit[:1] == 'u' else unit}" if space else text
