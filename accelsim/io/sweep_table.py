"""Tables of sweeps as Parquet and CSV: written row by row in the order of the sweep, so that equal sweeps give equal bytes."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.explore.exploration import Exploration
from accelsim.explore.table import batches, columns, records, schema

ENDINGS = (".parquet", ".csv")


def refuse_ending(path: str) -> None:
    """An InputError for a file that is neither Parquet nor CSV by its name."""
    if not path.endswith(ENDINGS):
        raise InputError(f"{path}: not a kind of table", "end the name in .parquet or .csv")


def write_table(exploration: Exploration, path: str) -> None:
    """Write the table; the file appears whole, in place of what was there, or not at all."""
    with _whole(path) as unfinished:
        if path.endswith(".csv"):
            with open(unfinished, "w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(each.name for each in columns(exploration.sweep))
                writer.writerows([_word(value) for value in record] for record in records(exploration))
            return
        from pyarrow import parquet

        with parquet.ParquetWriter(unfinished, schema(exploration), compression="zstd") as out:
            for batch in batches(exploration):
                out.write_batch(batch)


def _word(value: Any) -> str:
    """A value in CSV: nothing for None, as many digits of a number as it takes to read it back the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@contextmanager
def _whole(path: str) -> Iterator[str]:
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror or error}", "free space there or name another file") from None
    finally:
        with suppress(OSError):
            os.unlink(unfinished)


def read_row(path: str, row: int) -> dict[str, Any]:
    """One row of a table that `write_table` wrote; InputError for another file, and for a row that it does not have."""
    if not path.endswith(ENDINGS):
        raise InputError(f"{path}: not a table", "name the .parquet or .csv file that `accelsim explore -o` wrote")
    try:
        found, many = _csv_row(path, row) if path.endswith(".csv") else _parquet_row(path, row)
    except FileNotFoundError:
        raise InputError(f"there is no file '{path}'", "name a table that `accelsim explore -o` wrote") from None
    except (OSError, ValueError, KeyError, csv.Error):
        raise InputError(f"{path}: cannot be read as a table", "name a table that `accelsim explore -o` wrote") from None
    if found is None:
        mend = f"name one from 0 to {many - 1}" if many else "name a table that `accelsim explore -o` wrote"
        raise InputError(f"{path} has {many:,} rows, and row {row} is none of them", mend)
    if "command" not in found or "row" not in found:
        raise InputError(f"{path} is not a table of a sweep", did_you_mean("command", found))
    return found


def _csv_row(path: str, row: int) -> tuple[dict[str, Any] | None, int]:
    with open(path, newline="", encoding="utf-8") as stream:
        many = 0
        for each in csv.DictReader(stream):
            if many == row:
                if None in each or None in each.values():
                    raise ValueError("a row has as many fields as there are columns")
                return {name: None if text == "" else text for name, text in each.items()}, row + 1
            many += 1
    return None, many


def _parquet_row(path: str, row: int) -> tuple[dict[str, Any] | None, int]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        before = 0
        for group in range(file.num_row_groups):
            many = file.metadata.row_group(group).num_rows
            if row < before + many:
                return dict(file.read_row_group(group).slice(row - before, 1).to_pylist()[0]), before + many
            before += many
    return None, before


def metadata_of(path: str) -> dict[str, str]:
    """What a Parquet table says of itself: schema, version, the text of the sweep, its seed."""
    from pyarrow import parquet

    found = parquet.read_schema(path).metadata or {}
    return {name.decode().removeprefix("accelsim."): text.decode() for name, text in found.items() if name.startswith(b"accelsim.")}


def shown(row: dict[str, Any]) -> str:
    """A row as JSON text."""
    return json.dumps(row, indent=1, ensure_ascii=False)
