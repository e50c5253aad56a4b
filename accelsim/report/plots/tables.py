"""Columns of tables, whatever holds them: a dictionary of columns, an Arrow table, a data frame of pandas or Polars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.errors import InputError, did_you_mean


def column(table: Any, name: str) -> list[Any]:
    """The values of a column; an InputError names the nearest one if there is none."""
    names = _names(table)
    if name not in names:
        raise InputError(f"the table has no column '{name}'", did_you_mean(name, names))
    found = table[name]
    listed = getattr(found, "to_pylist", None) or getattr(found, "to_list", None)
    return list(listed() if listed is not None else found)


def kept(table: Any) -> list[bool] | None:
    """Which rows of a sweep's table are of points that have a mapping and hold its rules; None for another table."""
    if not {"status", "why", "command"} <= {*_names(table)}:
        return None
    from accelsim.explore.points import OK

    return [status == OK for status in column(table, "status")]


def _names(table: Any) -> list[str]:
    return list(table) if isinstance(table, Mapping) else list(getattr(table, "column_names", None) or table.columns)


def known(value: Any) -> float | None:
    """A number, None for none: a missing one, nan, and what is no number."""
    if value is None or isinstance(value, str) or value != value:
        return None
    return float(value)
