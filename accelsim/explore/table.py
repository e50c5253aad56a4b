"""The table of a sweep: one row for each point, with what is varied, what was found, and the command that finds it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import accelsim
from accelsim.explore.exploration import Exploration
from accelsim.explore.points import FIGURES, Point
from accelsim.explore.quantity import PLAIN, Dimension, column, quantity
from accelsim.explore.rules import WORDS
from accelsim.explore.sweep import Sweep

if TYPE_CHECKING:
    import pyarrow

SCHEMA = "accelsim/exploration/1"
WHOLE, NUMBER, WORD, FLAG = "int64", "double", "string", "bool"
_LONGEST = 1 << 16  # rows of a batch
_INTEGERS = ("cycles",)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type, and for a parameter its place in a point and whether it is in base units."""

    name: str
    kind: str
    at: int = -1
    base: bool = False


def columns(sweep: Sweep) -> tuple[Column, ...]:
    """The columns of a sweep's table, in order.

    A parameter with a unit has two: its text, and a number of base units under a name that says which, as in `arch.L3.size_bits`.
    """
    found = [Column("row", WHOLE)]
    for at, name in enumerate(sweep.names):
        kind, dimension = _kind(sweep, at)
        found.append(Column(name, kind, at))
        if dimension:
            found.append(Column(f"{name}{column(dimension)}", NUMBER, at, True))
    found += [Column("status", WORD), Column("why", WORD)]
    for name in FIGURES:
        kind = WHOLE if name in _INTEGERS else FLAG if name == "proved_optimal" else WORD if name in WORDS else NUMBER
        found.append(Column(name, kind))
    return (*found, Column("on_front", FLAG), Column("command", WORD))


def _kind(sweep: Sweep, at: int) -> tuple[str, Dimension | None]:
    """The type of a parameter's column, and its unit if it has one."""
    if at < len(sweep.axes):
        axis = sweep.axes[at]
        dimension = axis.dimension
        if dimension is None or dimension:
            return WORD, dimension
        return WHOLE if axis.whole else NUMBER, PLAIN
    dependent = sweep.dependents[at - len(sweep.axes)]
    if dependent.formula in sweep.names:
        return _kind(sweep, sweep.names.index(dependent.formula))
    first = next(sweep.points())
    number = quantity(first.values[at])
    if number is None:
        return WORD, None
    return (WORD, number.dimension) if number.dimension else (NUMBER, PLAIN)


def records(exploration: Exploration) -> Iterator[tuple[Any, ...]]:
    """Every row of the table as plain values, in the order of `columns`; None where there is none."""
    sweep = exploration.sweep
    parameters = [each for each in columns(sweep) if each.at >= 0]
    flags = exploration.summary.on_front
    for (point, row), flag in zip(exploration.rows(), flags, strict=True):
        values = [_value(each, point) for each in parameters]
        yield (point.number, *values, *row, bool(flag), sweep.cases.command(point))


def _value(each: Column, point: Point) -> int | float | str:
    text = point.values[each.at]
    if each.kind == WORD:
        return text
    number = quantity(text)
    if number is None:
        return float("nan")
    return int(number.value) if each.kind == WHOLE else float(number.value)


def metadata(exploration: Exploration) -> dict[str, str]:
    """What a table says of itself: everything that its rows follow from."""
    sweep = exploration.sweep
    return {
        "schema": SCHEMA,
        "accelsim": accelsim.__version__,
        "sweep": sweep.name,
        "file": sweep.source,
        "names": json.dumps(sweep.names),
        "front": json.dumps(sweep.front),
        "each": json.dumps(sweep.each),
        "search": json.dumps(
            None if sweep.search is None else [sweep.search.how, sweep.search.points, sweep.search.population, sweep.search.seed]
        ),
        "sample": json.dumps([sweep.sample.how, sweep.sample.points, sweep.sample.seed]),
    }


def batches(exploration: Exploration) -> Iterator[pyarrow.RecordBatch]:
    """The table in batches of 65536 rows, for Arrow, pandas and Polars."""
    import pyarrow as arrow

    described = schema(exploration)
    rows: list[tuple[Any, ...]] = []

    def batch() -> pyarrow.RecordBatch:
        arrays = [arrow.array(values, type=field.type) for values, field in zip(zip(*rows, strict=True), described, strict=True)]
        return arrow.RecordBatch.from_arrays(arrays, schema=described)

    for record in records(exploration):
        rows.append(record)
        if len(rows) == _LONGEST:
            yield batch()
            rows = []
    if rows:
        yield batch()


def schema(exploration: Exploration) -> pyarrow.Schema:
    """The columns and what the table says of itself, as Arrow has them."""
    import pyarrow as arrow

    types = {WHOLE: arrow.int64(), NUMBER: arrow.float64(), WORD: arrow.string(), FLAG: arrow.bool_()}
    fields = [arrow.field(each.name, types[each.kind]) for each in columns(exploration.sweep)]
    return arrow.schema(fields, metadata={f"accelsim.{name}": text for name, text in metadata(exploration).items()})


def table(exploration: Exploration) -> pyarrow.Table:
    """The whole table in memory; `.to_pandas()` and `polars.from_arrow` take it on."""
    import pyarrow as arrow

    return arrow.Table.from_batches(list(batches(exploration)), schema=schema(exploration))


def all_rows(exploration: Exploration) -> list[dict[str, Any]]:
    """Every row of the table by the names of its columns."""
    names = [each.name for each in columns(exploration.sweep)]
    return [dict(zip(names, record, strict=True)) for record in records(exploration)]


def document(exploration: Exploration) -> dict[str, Any]:
    """What a sweep has found as JSON: how its rows are, and the front with all its columns."""
    sweep, summary = exploration.sweep, exploration.summary
    names = [each.name for each in columns(sweep)]
    chosen = {point.number for point, _ in exploration.front()}
    rows = {record[0]: dict(zip(names, record, strict=True)) for record in records(exploration) if record[0] in chosen}
    return {
        "schema": SCHEMA,
        "sweep": sweep.name,
        "accelsim": accelsim.__version__,
        "points": len(exploration.places),
        "status": summary.counts,
        "known_before": exploration.known,
        "interrupted": exploration.interrupted,
        "varied": list(sweep.names),
        "rules": [rule.text for rule in sweep.rules],
        "broken": summary.broken,
        "figures": list(sweep.front),
        "each": list(sweep.each),
        "front": [rows[point.number] for point, _ in exploration.front()],
    }
