"""A sweep as sections of a page: what became of its points, its fronts as a drawing, and its rows as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from accelsim.report.exploring import shown_figure
from accelsim.report.figures import listed
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.scatter import Axis, Series, drawing
from accelsim.report.html.shown import NONE, signs, whole
from accelsim.report.html.tables import Cell, Column, table, words

Document = dict[str, Any]
MOST_ROWS = 3000  # of a table, beyond which it shows the front alone
_DRAWN = 12  # fronts that one drawing tells apart
_FIGURES = ("cycles", "latency_s", "energy_pj", "area_um2", "power_w", "edp_pj_s", "traffic_bytes", "utilization", "gap")
_UNITS = {"latency_s": "s", "energy_pj": "J", "energy_pj_low": "J", "energy_pj_high": "J", "static_energy_pj": "J", "area_um2": "mm²",
          "power_w": "W", "edp_pj_s": "J s", "traffic_bytes": "B"}  # fmt: skip
_SCALES = {"J": 1e-12, "J s": 1e-12, "mm²": 1e-6}


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures: points by status, how many are on the front, and the least of each of its figures."""
    ranked = sorted(document["status"].items(), key=lambda item: (-item[1], item[0]))
    more = [f"{whole(many)} {name}" for name, many in ranked]
    yield tile("points", whole(document["points"]), [*more, *(["interrupted"] if document["interrupted"] else [])])
    groups = fronts(document)
    yield tile("on the front", whole(len(document["front"])), [f"{len(groups)} fronts"] if len(groups) > 1 else [])
    for name in document["figures"]:
        ranked_rows = sorted((value, place) for place, row in enumerate(document["front"]) if (value := number(row, name)) is not None)
        if ranked_rows:
            least, most = (_any(name, document["front"][place].get(name)) for _, place in (ranked_rows[0], ranked_rows[-1]))
            yield tile(f"least {name}", least, [f"most {most} on the front"], repr(ranked_rows[0][0]))


def sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """The drawing of the fronts, and the table of all rows, or of the front where they are too many."""
    drawn = _drawing(document)
    if drawn is not None:
        yield Section(f"{prefix}front", "Front", drawn)
    if document.get("rows"):
        yield Section(f"{prefix}rows", "Points", _table(document, document["rows"], "All points of the sweep"))
    else:
        yield Section(f"{prefix}rows", "Points", _table(document, document["front"], "Points that no other beats"))
    lines = [f"{whole(document['known_before'])} points were known before."] if document["known_before"] else []
    lines += [f"Kept: {rule}." for rule in document["rules"]]
    lines += [f"Each {listed(document['each'])} has a front of its own."] if document["each"] else []
    if document["figures"]:
        lines.append(f"On a front is what no other beats in {listed(document['figures'])}; less is better.")
    if not document.get("rows"):
        lines.append("The table that `accelsim explore -o` writes has all points.")
    yield Section(f"{prefix}notes", "How it was found", el("ul", *(el("li", line) for line in lines)))


def fronts(document: Document) -> dict[str, list[Document]]:
    """The rows of each front by the values that they share, "" where there is one front."""
    found: dict[str, list[Document]] = {}
    for row in document["front"]:
        found.setdefault(", ".join(f"{name} = {row.get(name)}" for name in document["each"]), []).append(row)
    return found


def number(row: Document, name: str) -> float | None:
    """A figure of a row, or a parameter in base units, which the column after it has; None where it is none."""
    value, names = row.get(name), list(row)
    if isinstance(value, str):
        following = names[names.index(name) + 1 :][:1]
        value = row[following[0]] if following and following[0].startswith(f"{name}_") else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _drawing(document: Document) -> Html | None:
    figures = document["figures"]
    if len(figures) < 2:
        return None
    axes = [_axis(name) for name in figures[:2]]
    every = fronts(document)
    series = []
    for name, rows in list(every.items())[:_DRAWN]:
        placed = [(x * axes[0].scale, y * axes[1].scale, row) for row in rows if (x := number(row, figures[0])) is not None
                  and (y := number(row, figures[1])) is not None]  # fmt: skip
        placed.sort(key=lambda each: (each[0], -each[1]))
        if placed:
            tips = [_tip(document, row) for _, _, row in placed]
            series.append(Series(name or "front", [(x, y) for x, y, _ in placed], tips, dots=True, steps=len(figures) == 2))
    if not series:
        return None
    says = "Each dot is a point that no other beats" + (" of those with the same " + listed(document["each"]) if document["each"] else "")
    third = f" A third figure, {figures[2]}, is in the table." if len(figures) > 2 else ""
    beaten = third or " What lies above and to the right of its line is beaten."
    left = f" {len(every) - _DRAWN} more fronts are not drawn." if len(every) > _DRAWN else ""
    return join([drawing(axes[0].title, axes[1].title, series), note(f"{says}.{beaten}{left}")])


def _axis(name: str) -> Axis:
    unit = _UNITS.get(name)
    said = next((name.removesuffix(end) for end in ("_um2", "_pj_s", "_pj", "_s", "_w", "_bytes") if unit and name.endswith(end)), name)
    return Axis(f"{said.replace('_pj', '')} ({unit})" if unit else said, _SCALES.get(unit or "", 1.0))


def _tip(document: Document, row: Document) -> str:
    """What a dot says: its row, what was varied, and its figures."""
    varied = [f"{name} {row.get(name)}" for name in document["varied"]]
    figures = [f"{name} {_any(name, row.get(name))}" for name in document["figures"]]
    return f"row {row['row']}: {', '.join([*varied, *figures])}"


def _table(document: Document, rows: list[Document], caption: str) -> Html:
    whole_table = "rows" in document
    figures = list(dict.fromkeys([*(name for name in document["figures"] if name not in document["varied"]), *_FIGURES]))
    figures = [name for name in figures if any(row.get(name) is not None for row in rows)]
    others = any(row["status"] != "ok" for row in rows)
    columns = [Column("row"), *([Column("front", False)] if whole_table else []),
               *(Column(name, _numeric(rows, name)) for name in document["varied"]),
               *([Column("status", False)] if others else []), *map(Column, figures), Column("bound by", False),
               Column("command", False)]  # fmt: skip
    lines = []
    for row in rows:
        cells = [Cell(str(row["row"]), float(row["row"]))]
        cells += [words("yes" if row.get("on_front") is True else NONE)] if whole_table else []
        cells += [Cell(str(row.get(name)), number(row, name)) for name in document["varied"]]
        cells += [words(": ".join(filter(None, (row["status"], str(row.get("why") or "")))))] if others else []
        cells += [Cell(_any(name, row.get(name)), number(row, name)) for name in figures]
        lines.append([*cells, words(str(row.get("bound") or NONE)), words(row["command"], "short")])
    return table(caption, columns, lines)


def _numeric(rows: list[Document], name: str) -> bool:
    return all(number(row, name) is not None for row in rows)


def _shown(name: str, value: float) -> str:
    return signs(shown_figure(name, int(value) if name == "cycles" else value))


def _any(name: str, value: Any) -> str:
    """A figure of a row as people read it, whatever it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _shown(name, value)
    return NONE if value is None else str(value)
