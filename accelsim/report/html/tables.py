"""Tables of a page: what they show, and the value that each cell is sorted by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from accelsim.report.html.markup import Html, el, join
from accelsim.report.html.shown import NONE, bar

_LONG = 14  # rows from which on a table can be searched


class Cell(NamedTuple):
    """What a cell shows, and what it is sorted by (a number, or its text where that is None); `share`: its bar, of 1."""

    text: str
    value: float | None = None
    share: float | None = None
    kind: str = ""


class Column(NamedTuple):
    """A column: its heading, whether it holds numbers, and what it means."""

    title: str
    number: bool = True
    about: str = ""


def figure(value: float | None, show: Callable[[float | None], str], most: float | None = None, kind: str = "") -> Cell:
    """A number as it is shown, with a bar if `most`, the length of a full one, is given."""
    return Cell(show(value), value, value / most if value is not None and most else None if most is None else 0.0, kind)


def words(text: str, kind: str = "") -> Cell:
    """A cell of text."""
    return Cell(text, None, None, kind)


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], total: Sequence[Cell] = ()) -> Html:
    """A table that can be sorted by each column; its first column names the rows. `total` stays below all rows."""
    lines = [_row(columns, row) for row in rows]
    if not lines:
        return el("p", f"{caption}: none.", class_="quiet")
    head = el("tr", *(_heading(column) for column in columns))
    foot = el("tfoot", _row(columns, total)) if total else None
    body = el("table", el("caption", caption), el("thead", head), el("tbody", *lines), foot, data_sortable=True)
    searched = el("input", type="search", placeholder="find a row", aria_label=f"find a row of: {caption}", class_="find", hidden=True)
    box = el("div", body, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return join([searched if len(lines) >= _LONG else None, box])


def _heading(column: Column) -> Html:
    return el("th", column.title, scope="col", class_="number" if column.number else None, title=column.about or None)


def _row(columns: Sequence[Column], cells: Sequence[Cell]) -> Html:
    return el("tr", *(_cell(column, cell, place) for place, (column, cell) in enumerate(zip(columns, cells, strict=True))))


def _cell(column: Column, cell: Cell, place: int) -> Html:
    shown = [bar(cell.share, cell.kind), el("span", cell.text, class_="by-bar")] if cell.share is not None else [cell.text]
    styles = " ".join(filter(None, ["number" if column.number else "", cell.kind, "none" if cell.text == NONE else ""]))
    exact = None if cell.value is None else repr(cell.value)
    if place == 0:
        return el("th", *shown, scope="row", class_=styles or None)
    return el("td", *shown, class_=styles or None, data_v=exact)
