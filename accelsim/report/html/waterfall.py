"""Energy as a waterfall: what each component adds, then static energy, up to the whole."""

from __future__ import annotations

from typing import Any

from accelsim.report.html.markup import Html, el, join
from accelsim.report.html.page import note
from accelsim.report.html.shown import joules, percent


def waterfall(document: dict[str, Any]) -> Html:
    """Bars one after the other, the largest first; the range of the prices below the whole."""
    whole, static = document["energy_pj"], document["static_energy_pj"]
    parts = [(name, row["energy_pj"]) for name, row in document["components"].items() if row["energy_pj"]]
    parts = [*sorted(parts, key=lambda each: -each[1]), *([("static", static)] if static else [])]
    high = max(document["energy_pj_high"], whole, sum(energy for _, energy in parts)) or 1.0
    rows, start = [], 0.0
    for name, energy in parts:
        share = energy / whole if whole else None
        rows.append(_bar(name, start, energy, high, "static" if name == "static" else "energy", f"{joules(energy)}  {percent(share)}"))
        start += energy
    rest = whole - start
    if abs(rest) > 1e-6 * whole:  # what no component of the document accounts for
        rows.append(_bar("other", start, rest, high, "static", joules(rest)))
    low, top = document["energy_pj_low"], document["energy_pj_high"]
    rows.append(_bar("all", 0.0, whole, high, "whole", joules(whole), (low, top) if low < top else None))
    span = (
        note(f"The line across the last bar: between the low and the high prices, {joules(low)} to {joules(top)}.") if low < top else None
    )
    return join([el("ul", *rows, class_="falls"), span])


def _bar(name: str, start: float, length: float, most: float, kind: str, says: str, span: tuple[float, float] | None = None) -> Html:
    place = f"left:{100 * min(start, start + length) / most:.3f}%;width:{100 * abs(length) / most:.3f}%"
    reach = None
    if span is not None:
        reach = el("i", style=f"left:{100 * span[0] / most:.3f}%;width:{100 * (span[1] - span[0]) / most:.3f}%")
    track = el("span", el("span", class_=kind, style=place), reach, class_="track", aria_hidden="true")
    return el("li", el("span", name, class_="name"), track, el("span", says, class_="says"))
