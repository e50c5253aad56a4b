"""Tables of published figures: CSV files with a row of names, whose cells are numbers or words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from accelsim.errors import InputError, Place
from accelsim.evidence.nouns import Table, Value
from accelsim.io.source import read_text


def load_rows(path: Path) -> list[dict[str, Value]]:
    """The rows of a CSV file as dicts; lines that begin with '#' are remarks. InputError with the line of what is wrong."""
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip() and not line.startswith("#")]
    found: list[dict[str, Value]] = []
    names: list[str] = []
    for number, line in lines:
        cells = next(csv.reader([line]))
        if not names:
            names = [cell.strip() for cell in cells]
            if len(set(names)) < len(names) or not all(names):
                raise InputError("columns need names that differ", "name each column in the first line", Place(str(path), number, 1))
            continue
        if len(cells) != len(names):
            what = f"{len(cells)} cells in a table of {len(names)} columns"
            raise InputError(what, "write one cell for each column", Place(str(path), number, 1))
        found.append(dict(zip(names, map(_cell, cells), strict=True)))
    if not found:
        raise InputError(f"{path}: the table has no rows", "write a line of names and lines of figures")
    return found


def load_table(name: str, path: Path, axes: Mapping[str, str]) -> Table:
    """A table keyed by the columns that stand for axes (`axes`: axis by column)."""
    rows = load_rows(path)
    columns = tuple(rows[0])
    keys = [column for column in columns if column in axes]
    found: dict[tuple[str, ...], Mapping[str, Value]] = {}
    for row in rows:
        key = tuple(str(row[column]) for column in keys)
        if key in found:
            raise InputError(f"{path}: two rows are of {', '.join(key) or 'the same case'}", "remove one of the two")
        found[key] = {column: row[column] for column in columns if column not in keys}
    return Table(name, tuple(axes[column] for column in keys), found, columns)


def _cell(text: str) -> Value:
    """A cell as a number where it is one."""
    text = text.strip()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
