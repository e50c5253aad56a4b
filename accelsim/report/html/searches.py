"""Fronts, and searches side by side, as sections of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.figures import in_unit
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.scatter import Axis, Series, drawing
from accelsim.report.html.shown import percent, signs, times, whole
from accelsim.report.html.tables import Cell, Column, figure, table, words

Document = dict[str, Any]
_NAMES = {"pJ": "J"}  # of units on axes, where they are others


def front_tiles(document: Document) -> Iterator[Html]:
    """The headline figures of a front: how many points, and the least of each figure."""
    yield tile("points", whole(len(document["points"])), ["complete" if document["complete"] else "the search stopped before its end"])
    for each in document["figures"]:
        values = [point["values"][each["name"]] for point in document["points"] if each["name"] in point["values"]]
        if values:
            yield tile(f"least {each['about']}", shown(min(values), each["unit"]), [f"most {shown(max(values), each['unit'])}"])


def front_sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """The drawing and the table of a front, and its mappings."""
    figures, points = document["figures"], document["points"]
    axes = [Axis(f"{each['about']} ({_NAMES.get(each['unit'], each['unit'])})", 1e-12 if each["unit"] == "pJ" else 1.0) for each in figures]
    places = [tuple(point["values"].get(each["name"], 0.0) for each in figures) for point in points]
    if len(figures) >= 2 and points:
        tips = [
            f"{number}: " + ", ".join(shown(value, each["unit"]) for value, each in zip(place, figures, strict=True))
            for number, place in enumerate(places, 1)
        ]
        series = Series(
            "front", [(place[0] * axes[0].scale, place[1] * axes[1].scale) for place in places], tips, dots=True, steps=len(figures) == 2
        )
        says = note(
            "Each dot is a mapping that no other beats.",
            " What lies above and to the right of the line is beaten." if len(figures) == 2 else "",
        )
        yield Section(f"{prefix}front", "Front", join([drawing(axes[0].title, axes[1].title, [series]), says]))
    least = {each["name"]: min((place[at] for place in places), default=0.0) for at, each in enumerate(figures)}
    rows = []
    for number, place in enumerate(places, 1):
        cells = [Cell(str(number), float(number))]
        for value, each in zip(place, figures, strict=True):
            best = least[each["name"]]
            cells += [Cell(shown(value, each["unit"]), value), figure(value / best if best else None, times)]
        rows.append(cells)
    columns = [Column("#", False), *(column for each in figures for column in (Column(each["about"]), Column("to the least")))]
    yield Section(f"{prefix}points", "Points", table("Mappings that no other beats", columns, rows))
    folded = [
        el("details", el("summary", f"mapping {number}"), el("pre", point["mapping"], class_="scroll", tabindex=0), class_="layer")
        for number, point in enumerate(points, 1)
    ]
    yield Section(f"{prefix}mappings", "Mappings", join(folded))
    covered = document["mappings_covered"]
    lines = [
        f"{_mappings(document['evaluated'])} evaluated, {whole(covered)} covered, in {document['seconds']:.1f} s.",
        f"Over {document['space']}.",
        f"Counting: {', '.join(f'{key}={value}' for key, value in document['counting'].items())}.",
    ]
    yield Section(f"{prefix}notes", "How it was found", el("ul", *(el("li", line) for line in lines)))


def shown(value: float, unit: str) -> str:
    """A figure of a search in its unit."""
    return signs(in_unit(value, unit))


def comparison_tiles(document: Document) -> Iterator[Html]:
    """The best value, and what is proved of it."""
    known = [each for each in document["searches"] if each["value"] is not None]
    if known:
        best = min(known, key=lambda each: each["value"])
        yield tile(f"best {document['objective']}", shown(best["value"], document["unit"]), [f"by {best['name']}"])
    record = document["search"]
    bound = record["lower_bound"]
    proof = (
        "proved optimal"
        if record["proved_optimal"]
        else f"at most {record['value'] / bound:.3f}× the best possible"
        if bound
        else "nothing proved"
    )
    yield tile("the mapper", shown(record["value"], document["unit"]), [proof])
    yield tile("time of each", f"{document['time_limit_s']:g}\u202fs", ["CPU seconds at most"])


def comparison_sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """The curves of the searches, and what each ended with."""
    unit = document["unit"]
    scale = 1e-12 if unit == "pJ" else 1.0
    every = [
        Series(
            each["name"],
            [(max(step[0], 1e-3), step[1] * scale) for step in each["curve"] if len(step) == 2],
            [f"{each['name']}: {shown(step[1], unit)}" for step in each["curve"] if len(step) == 2],
            steps=True,
        )
        for each in document["searches"]
        if any(len(step) == 2 for step in each["curve"])
    ]
    if every:
        says = note("The best value of each search over its CPU seconds; further down is better.")
        yield Section(
            f"{prefix}curves",
            "Over time",
            join([drawing("CPU seconds", f"{document['objective']} ({_NAMES.get(unit, unit)})", every), says]),
        )
    known = [each["value"] for each in document["searches"] if each["value"] is not None]
    best = min(known, default=0.0)
    rows = [
        [
            words(each["name"]),
            Cell("–" if each["value"] is None else shown(each["value"], unit), each["value"]),
            figure(each["value"] / best if each["value"] is not None and best else None, times),
            figure(each["evaluated"], whole),
            figure(each["seconds"], lambda value: "–" if value is None else f"{value:.2f}"),
        ]
        for each in sorted(document["searches"], key=lambda each: (each["value"] is None, each["value"] or 0.0))
    ]
    columns = [Column("search", False), Column(document["objective"]), Column("to the best"), Column("evaluated"), Column("CPU seconds")]
    yield Section(f"{prefix}searches", "Searches", table("What each search ended with", columns, rows))


def _mappings(count: int) -> str:
    return "1 mapping" if count == 1 else f"{whole(count)} mappings"


def share(value: float | None) -> str:
    """A share of faults in percent, with two digits where it is small."""
    return percent(value) if value is None or value >= 0.1 or not value else f"{100 * value:.2g}\u202f%"
