"""A campaign's results in one SQLite file: chunks of faults, each once, whoever is killed or works beside.

A chunk belongs to whoever claimed it; a claim of a process that is gone, or that is older than a lease, is free again. What a chunk
holds follows from the campaign alone, so that a chunk that two have worked on is the same, and the first one stays.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from accelsim.errors import InputError
from accelsim.faults.outcomes import Tally

SCHEMA = "accelsim/campaign-results/1"
LEASE_S = 300.0
WAIT_S = 60.0  # for others that hold the file
_TABLES = {
    "campaign": "key TEXT PRIMARY KEY, value TEXT NOT NULL",
    "chunks": "stratum INTEGER, chunk INTEGER, tally TEXT NOT NULL, PRIMARY KEY (stratum, chunk)",
    "claims": "stratum INTEGER, chunk INTEGER, host TEXT, process INTEGER, since REAL, PRIMARY KEY (stratum, chunk)",
}
_MENDS = {sqlite3.SQLITE_FULL: "free space there, or name another file", sqlite3.SQLITE_BUSY: "end what else works on it"}
Chunk = tuple[int, int]  # stratum and number
Foreign = Callable[[Mapping[Chunk, Tally]], str | None]


class Results:
    """The file of a campaign, which `description` tells from others; `foreign` says what of its chunks is not the campaign's, if any is.

    InputError for a file of another campaign or of none and for a damaged one, which stay as they are, and wherever the file cannot be
    read or written.
    """

    def __init__(self, path: Path, description: str, digest: str, foreign: Foreign = lambda _: None) -> None:
        self.path, self._seen, self._done = path, 0, dict[Chunk, Tally]()
        with self._told():
            self._connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
            self._connection.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            with self._told():
                self._refuse_other(digest, foreign)
                self._write_ahead()
                with self._written():
                    for table, columns in _TABLES.items():
                        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
                    said = {"schema": SCHEMA, "digest": digest, "campaign": description}
                    for key, value in said.items():
                        self._connection.execute("INSERT OR IGNORE INTO campaign VALUES (?, ?)", (key, value))
                self._refuse_other(digest, foreign)  # what another process may have made of an empty file meanwhile
        except BaseException:
            self._connection.close()
            raise

    def _write_ahead(self) -> None:
        """Let others read while one writes. Here SQLite does not wait by itself for one that opens or closes the file at this moment."""
        until = time.monotonic() + WAIT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(0.01)
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def _refuse_other(self, digest: str, foreign: Foreign) -> None:
        """An InputError for all but an empty file and one of this campaign whose every row can be read."""
        found = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        if not found:
            return
        if found - _TABLES.keys() or "campaign" not in found:
            raise InputError(f"{self.path}: is a database of something else", "name another file")
        for table, columns in _TABLES.items():
            wanted = [column.split()[0] for column in columns.split(", PRIMARY KEY (")[0].split(", ")]
            if [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")] != wanted:
                raise self._damaged(f"its table '{table}' does not have the columns {', '.join(wanted)}")
        known = dict(self._connection.execute("SELECT key, value FROM campaign").fetchall())
        if known.get("schema") != SCHEMA or known.get("digest") != digest:
            what = f"{self.path}: holds another campaign, or this one with other inputs"
            raise InputError(what, "name another file")
        if wrong := foreign(self.chunks()):
            raise self._damaged(wrong)
        self._claims()

    def _damaged(self, what: str) -> InputError:
        """An InputError that says what is wrong with the file."""
        return InputError(f"{self.path}: is damaged: {what}", "name another file, or delete this one and run the campaign again")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite refuses (a full disk, a file that is locked or read-only, pages that are no database) is an InputError."""
        try:
            yield
        except UnicodeError:  # of a message of SQLite about a damaged table
            raise self._damaged("its tables cannot be read") from None
        except sqlite3.Error as error:
            mend = _MENDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "name another file")  # its upper bits say more
            raise InputError(f"{self.path}: cannot keep results there: {error}", mend) from None

    @contextmanager
    def _written(self) -> Iterator[None]:
        """A transaction that no other writes beside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled it back
                self._connection.execute("ROLLBACK")
            raise

    def claim(self, wanted: Iterable[Chunk]) -> Chunk | None:
        """The first of some chunks that is neither done nor claimed, now claimed by this process; None if there is none."""
        host, process, now = socket.gethostname(), os.getpid(), time.time()
        with self._told(), self._written():
            done = self.chunks()
            held = {chunk for chunk, where, who, since in self._claims() if _holds(where, who, since, host, now)}
            for each in wanted:
                if each not in done and each not in held:
                    self._connection.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", (*each, host, process, now))
                    return each
        return None

    def put(self, chunk: Chunk, tally: Tally) -> None:
        """Keep what came of a chunk, unless it is there."""
        with self._told(), self._written():
            self._connection.execute("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", (*chunk, json.dumps(tally.to_json())))
            self._connection.execute("DELETE FROM claims WHERE stratum = ? AND chunk = ?", chunk)

    def release(self) -> None:
        """Let others have what this process has claimed and not done."""
        with self._told(), self._written():
            self._connection.execute("DELETE FROM claims WHERE host = ? AND process = ?", (socket.gethostname(), os.getpid()))

    def chunks(self) -> dict[Chunk, Tally]:
        """All that are done."""
        query = "SELECT rowid, stratum, chunk, tally FROM chunks WHERE rowid > ? ORDER BY rowid"
        with self._told():
            rows = self._connection.execute(query, (self._seen,)).fetchall()
        for row, stratum, chunk, text in rows:
            if not (_whole(stratum) and _whole(chunk)):
                raise self._damaged(f"a chunk of it is called {str((stratum, chunk))[:60]}")
            try:
                tally = Tally.from_json(json.loads(text))
            except (ValueError, TypeError, RecursionError):
                raise self._damaged(f"chunk {chunk} of stratum {stratum} holds no counts of outcomes") from None
            self._seen, self._done[stratum, chunk] = row, tally
        return self._done

    def _claims(self) -> list[tuple[Chunk, str, int, float]]:
        """Of every claim its chunk, the host and the process that made it, and when, in seconds of the clock."""
        rows = self._connection.execute("SELECT stratum, chunk, host, process, since FROM claims").fetchall()
        for stratum, chunk, host, process, since in rows:
            if not (_whole(stratum) and _whole(chunk) and isinstance(host, str) and _whole(process) and isinstance(since, int | float)):
                raise self._damaged("its table 'claims' holds no claims of processes")
        return [((stratum, chunk), host, process, since) for stratum, chunk, host, process, since in rows]

    def close(self) -> None:
        """Leave one file: what is written ahead goes into it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:  # another process still works with it
            pass
        self._connection.close()


def _holds(host: str, process: int, since: float, here: str, now: float) -> bool:
    """Whether a claim is still good; one of a time to come, which would never end, is not."""
    if not abs(now - since) <= LEASE_S:
        return False
    if host != here:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _whole(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 31
