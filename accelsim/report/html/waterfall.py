"""Time and energy as pictures: how long each component is busy, and what each adds to the energy."""

from __future__ import annotations

from typing import Any

from accelsim.report.figures import in_cycles
from accelsim.report.html.markup import Html, el, join
from accelsim.report.html.page import note
from accelsim.report.html.shown import joules, percent, whole


def waterfall(document: dict[str, Any]) -> Html:
    """Bars one after the other, the largest first; the range of the prices below the whole."""
    total, static = document["energy_pj"], document["static_energy_pj"]
    parts = [(name, row["energy_pj"]) for name, row in document["components"].items() if row["energy_pj"]]
    parts = [*sorted(parts, key=lambda each: -each[1]), *([("static", static)] if static else [])]
    high = max(document["energy_pj_high"], total, sum(energy for _, energy in parts)) or 1.0
    rows, start = [], 0.0
    for name, energy in parts:
        share = energy / total if total else None
        rows.append(_bar(name, start, energy, high, "static" if name == "static" else "energy", f"{joules(energy)}  {percent(share)}"))
        start += energy
    rest = total - start
    if abs(rest) > 1e-6 * total:  # what no component of the document accounts for
        rows.append(_bar("other", start, rest, high, "static", joules(rest)))
    low, top = document["energy_pj_low"], document["energy_pj_high"]
    rows.append(_bar("all", 0.0, total, high, "whole", joules(total), (low, top) if low < top else None))
    span = (
        note(f"The line across the last bar: between the low and the high prices, {joules(low)} to {joules(top)}.") if low < top else None
    )
    return join([el("ul", *rows, class_="falls"), span])


def needed(document: dict[str, Any]) -> Html:
    """How long each component is busy, the longest first, units by Einsum; the whole below, and the bound."""
    latency = document["latency"]
    most = latency["cycles"] or 1
    rows = []
    for name, row in sorted(document["components"].items(), key=lambda each: -(each[1]["busy_cycles"] or 0)):
        busy = row["busy_cycles"]
        if not busy:
            continue
        parts = [(einsum, each["busy_cycles"]) for einsum, each in document["einsums"].items() if each["unit"] == name]
        rows.append(_stack(name, parts or [("", busy)], most, f"{whole(busy)}  {percent(busy / most)}"))
    phases = [(name, latency[f"{name}_cycles"]) for name in ("fill", "steady", "drain")]
    rows.append(_stack("all", phases, most, in_cycles(latency["cycles"]), "whole"))
    says = note("Cycles that each component is busy, units by Einsum; of all: fill, steady and drain.")
    return join([el("ul", *rows, class_="falls"), says])


def _stack(name: str, parts: list[tuple[str, float]], most: float, says: str, kind: str = "") -> Html:
    start, spans = 0.0, []
    for number, (part, length) in enumerate(parts):
        place = f"left:{100 * start / most:.3f}%;width:{100 * length / most:.3f}%"
        tip = f"{part or name}: {whole(length)} cycles"
        spans.append(el("span", class_=kind or f"part p{number % 2}", style=place, title=tip) if length else None)
        start += length
    return el("li", el("span", name, class_="name"), el("span", *spans, class_="track"), el("span", says, class_="says"))


def _bar(name: str, start: float, length: float, most: float, kind: str, says: str, span: tuple[float, float] | None = None) -> Html:
    place = f"left:{100 * min(start, start + length) / most:.3f}%;width:{100 * abs(length) / most:.3f}%"
    reach = None
    if span is not None:
        reach = el("i", style=f"left:{100 * span[0] / most:.3f}%;width:{100 * (span[1] - span[0]) / most:.3f}%")
    track = el("span", el("span", class_=kind, style=place), reach, class_="track", aria_hidden="true")
    return el("li", el("span", name, class_="name"), track, el("span", says, class_="says"))
