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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelsim.errors import InputError
from accelsim.faults.outcomes import Tally

SCHEMA = "accelsim/campaign/1"
LEASE_S = 300.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS campaign (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS chunks (stratum INTEGER, chunk INTEGER, tally TEXT NOT NULL, PRIMARY KEY (stratum, chunk))",
    "CREATE TABLE IF NOT EXISTS claims (stratum INTEGER, chunk INTEGER, host TEXT, process INTEGER, since REAL, PRIMARY KEY (stratum, chunk))",
)
Chunk = tuple[int, int]  # stratum and number


class Results:
    """The file of a campaign, which `description` tells from others. InputError for a file of another campaign, or of none."""

    def __init__(self, path: Path, description: str, digest: str) -> None:
        self.path, self._seen, self._done = path, 0, dict[Chunk, Tally]()
        try:
            self._connection = sqlite3.connect(path, timeout=60.0, isolation_level=None)
            names = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if names - {"campaign", "chunks", "claims"} or (names and "campaign" not in names):
                raise InputError(f"{path}: is a database of something else", "name another file")
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
            with self._written():
                for table in _TABLES:
                    self._connection.execute(table)
                said = {"schema": SCHEMA, "digest": digest, "campaign": description}
                for key, value in said.items():
                    self._connection.execute("INSERT OR IGNORE INTO campaign VALUES (?, ?)", (key, value))
            known = dict(self._connection.execute("SELECT key, value FROM campaign").fetchall())
        except sqlite3.Error as error:
            raise InputError(f"{path}: cannot keep results there: {error}", "name another file") from None
        if known.get("schema") != SCHEMA or known.get("digest") != digest:
            raise InputError(f"{path}: holds another campaign, or this one with other inputs", "name another file")

    @contextmanager
    def _written(self) -> Iterator[None]:
        """A transaction that no other writes beside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def claim(self, wanted: Iterable[Chunk]) -> Chunk | None:
        """The first of some chunks that is neither done nor claimed, now claimed by this process; None if there is none."""
        host, process, now = socket.gethostname(), os.getpid(), time.time()
        with self._written():
            done = self.chunks()
            rows = self._connection.execute("SELECT stratum, chunk, host, process, since FROM claims").fetchall()
            held = {(stratum, chunk) for stratum, chunk, where, who, since in rows if _holds(where, who, since, host, now)}
            for each in wanted:
                if each not in done and each not in held:
                    self._connection.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", (*each, host, process, now))
                    return each
        return None

    def put(self, chunk: Chunk, tally: Tally) -> None:
        """Keep what came of a chunk, unless it is there."""
        with self._written():
            self._connection.execute("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", (*chunk, json.dumps(tally.to_json())))
            self._connection.execute("DELETE FROM claims WHERE stratum = ? AND chunk = ?", chunk)

    def chunks(self) -> dict[Chunk, Tally]:
        """All that are done."""
        rows = self._connection.execute("SELECT rowid, stratum, chunk, tally FROM chunks WHERE rowid > ? ORDER BY rowid", (self._seen,))
        for row, stratum, chunk, tally in rows.fetchall():
            self._seen, self._done[stratum, chunk] = row, Tally.from_json(json.loads(tally))
        return self._done

    def close(self) -> None:
        """Leave one file: what is written ahead goes into it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:  # another process still works with it
            pass
        self._connection.close()


def _holds(host: str, process: int, since: float, here: str, now: float) -> bool:
    """Whether a claim is still good."""
    if now - since > LEASE_S:
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
