"""Rows that are done, in one SQLite file: each under the key of what it was made from, once, whoever is killed or works beside.

SQLite's log is written ahead, so that a process that is killed loses what it has not yet handed over, and nothing else; of two that hand
over the same point the first one stays, and both have worked out the same. The file may be shared by sweeps, and deleted at any time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from accelsim.errors import InputError
from accelsim.explore.points import Row

SCHEMA = "accelsim/points/1"
_WAIT_S = 60.0  # for others that hold the file
_WHOLE, _WORDS, _FLAGS = ("cycles",), ("status", "why", "bound", "mapping"), ("proved_optimal",)
_KINDS = {name: "INTEGER" if name in (*_WHOLE, *_FLAGS) else "TEXT" if name in _WORDS else "REAL" for name in Row._fields}
_COLUMNS = ", ".join(f"{name} {kind}" for name, kind in _KINDS.items())
_PUT = f"INSERT OR IGNORE INTO points (key, {', '.join(Row._fields)}) VALUES (?{', ?' * len(Row._fields)})"
_GET = f"SELECT {', '.join(Row._fields)} FROM points WHERE at = ?"
_MENDS = {sqlite3.SQLITE_FULL: "free space there, or name another file", sqlite3.SQLITE_BUSY: "end what else works on it"}


class Finished:
    """The rows of a file, '' for one that is gone at the end. InputError for a file of something else, and where it cannot be written."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        with self._told():
            self._connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables - {"points", "about"}:
            raise InputError(f"{self.path}: is a database of something else", "name another file")
        if "points" in tables:
            found = [row[1] for row in self._connection.execute("PRAGMA table_info(points)")]
            if found != ["at", "key", *Row._fields]:
                raise InputError(f"{self.path}: keeps rows of another version of accelsim", "name another file, or delete it")
        self._write_ahead()
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("PRAGMA cache_size=-65536")  # KiB
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS points (at INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, {_COLUMNS})")
        self._connection.execute("CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self._connection.execute("INSERT OR IGNORE INTO about VALUES ('schema', ?)", (SCHEMA,))

    def _write_ahead(self) -> None:
        """Let others read while one writes; SQLite does not wait by itself for one that opens the file at this moment."""
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def places(self, keys: Sequence[bytes]) -> list[int]:
        """Where the rows of some keys are, from 1; 0 for those that are not there."""
        found = []
        with self._told():
            for key in keys:
                row = self._connection.execute("SELECT at FROM points WHERE key = ?", (key,)).fetchone()
                found.append(row[0] if row is not None else 0)
        return found

    def put(self, rows: Mapping[bytes, Row]) -> list[int]:
        """Keep rows, all or none, unless they are there; says where each is."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(_PUT, ((key, *row) for key, row in rows.items()))
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
        return self.places(list(rows))

    def row(self, at: int) -> Row:
        """The row at a place."""
        with self._told():
            found = self._connection.execute(_GET, (at,)).fetchone()
        row = Row._make(found)
        return row if row.proved_optimal is None else row._replace(proved_optimal=bool(row.proved_optimal))

    def columns(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Place and some fields of every row."""
        assert set(names) <= set(Row._fields)
        with self._told():
            yield from self._connection.execute(f"SELECT at, {', '.join(names)} FROM points")

    def __len__(self) -> int:
        with self._told():
            (many,) = self._connection.execute("SELECT count(*) FROM points").fetchone()
        return int(many)

    def close(self) -> None:
        """Leave one file: what is written ahead goes into it, unless another process still works with it."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite refuses (a full disk, a locked file, pages that are no database) is an InputError."""
        try:
            yield
        except sqlite3.Error as error:
            mend = _MENDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "name another file, or delete this one")
            raise InputError(f"{self.path or 'rows'}: cannot keep rows there: {error}", mend) from None
