"""The file of a campaign: what is damaged, full or locked is told in one line, and nothing is lost by it."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.campaign import Campaign, run
from accelsim.faults.outcomes import Tally
from accelsim.faults.plan import Sample
from accelsim.faults.results import Results
from tests.faults.test_campaign import Coin

NONE = "chunk 0 of stratum 0 holds no counts of outcomes"
DAMAGE = {
    "columns": ("ALTER TABLE chunks DROP COLUMN tally", "its table 'chunks' does not have the columns stratum, chunk, tally"),
    "no chunks": ("DROP TABLE chunks", "its table 'chunks' does not have the columns stratum, chunk, tally"),
    "no claims": ("DROP TABLE claims", "its table 'claims' does not have the columns stratum, chunk, host, process, since"),
    "campaign": ("ALTER TABLE campaign RENAME COLUMN value TO v", "its table 'campaign' does not have the columns key, value"),
    "no JSON": ("UPDATE chunks SET tally = '{'", NONE),
    "a list": ("UPDATE chunks SET tally = '[]'", NONE),
    "deep": (f"UPDATE chunks SET tally = '{'[' * 100_000}'", NONE),
    "text": ("UPDATE chunks SET tally = replace(tally, 'dead\": ', 'dead\": \"a\" , \"x\": ')", NONE),
    "negative": ("UPDATE chunks SET tally = replace(tally, 'dead\": ', 'dead\": -')", NONE),
    "huge": ("UPDATE chunks SET tally = replace(tally, 'dead\": ', 'dead\": 1')", "chunk 0 of stratum 0 holds "),
    "infinite": ("UPDATE chunks SET tally = replace(tally, 'dead\": ', 'dead\": 1e999, \"x\": ')", NONE),
    "chunk": ("UPDATE chunks SET chunk = 'x'", "a chunk of it is called (0, 'x')"),
    "another": ("UPDATE chunks SET chunk = 77", "it holds chunk 77 of stratum 0, which this campaign does not have"),
    "no stratum": ("UPDATE chunks SET stratum = 77", "it holds chunk 0 of stratum 77, which this campaign does not have"),
    "no text": ("UPDATE chunks SET tally = CAST(x'7bff7d' AS TEXT)", NONE),
    "claims": ("INSERT INTO claims VALUES (0, 0, 'a', 'b', 'c')", "its table 'claims' holds no claims of processes"),
    "null": ("INSERT INTO claims VALUES (0, 0, NULL, -1, 1)", "its table 'claims' holds no claims of processes"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_file_is_refused_in_one_line_and_stays_as_it_is(case: str, tmp_path: Path) -> None:
    change, said = DAMAGE[case]
    campaign, target = Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), tmp_path / "r.sqlite"
    run(campaign, target)
    with sqlite3.connect(target) as connection:
        connection.execute(change)
    connection.close()
    before = target.read_bytes()
    with pytest.raises(InputError) as refused:
        run(campaign, target)
    assert str(refused.value).startswith(f"{target}: is damaged: {said}")
    assert str(refused.value).endswith("; name another file, or delete this one and run the campaign again")
    assert target.read_bytes() == before


def test_claim_of_a_time_to_come_holds_nobody_up(tmp_path: Path) -> None:
    campaign, target = Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), tmp_path / "r.sqlite"
    results = Results(target, "coin", hashlib.sha256(b"coin").hexdigest())
    with sqlite3.connect(target) as connection:
        connection.execute("INSERT INTO claims VALUES (0, 0, 'elsewhere', 1, ?)", (time.time() + 1e6,))
    connection.close()
    results.close()
    assert run(campaign, target).finished


def test_what_the_disk_refuses_is_said_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "r.sqlite"
    results = Results(target, "x", "x")
    mend = "free space there, or name another file"
    results._connection.execute("PRAGMA max_page_count = 1")  # as if the disk were full
    tally = Tally.of(Coin((0.5,)).effects(0, np.arange(10)), np.arange(10))
    with pytest.raises(InputError, match=f"cannot keep results there: database or disk is full; {mend}$"):
        for number in range(10_000):
            results.put((0, number), tally)
    assert (0, 0) in Results(target, "x", "x").chunks()  # what was kept before is there


def test_file_that_another_holds_locked_is_refused_in_one_line(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.sqlite", "x", "x")
    other = sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results._connection.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(InputError, match=r"r\.sqlite: cannot keep results there: database is locked; end what else works on it$"):
        results.claim([(0, 0)])
    other.execute("ROLLBACK")
    assert results.claim([(0, 0)]) == (0, 0)


def test_file_that_another_holds_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """As where several processes open it at once: SQLite itself does not wait where a file is about to be written ahead."""
    Results(tmp_path / "r.sqlite", "x", "x").close()
    other = sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    leaves = threading.Timer(0.3, other.execute, ("ROLLBACK",))
    leaves.start()
    results = Results(tmp_path / "r.sqlite", "x", "x")
    assert results.claim([(0, 0)]) == (0, 0)
    leaves.join()


def test_file_that_another_keeps_is_refused_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Results(tmp_path / "r.sqlite", "x", "x").close()
    other = sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("accelsim.faults.results.WAIT_S", 0.1)
    with pytest.raises(InputError, match=r"r\.sqlite: cannot keep results there: database is locked; end what else works on it$"):
        Results(tmp_path / "r.sqlite", "x", "x")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"CREATE TABLE chunks (stratum", b"CREATE TABLE chunks \xe8stratum", "is damaged: its tables cannot be read"),
        (b"CREATE TABLE chunks (stratum", b"CREATE TABLE chunks )stratum", "cannot keep results there: malformed database schema (chunks)"),
        (b"SQLite format 3", b"SQLite format 4", "cannot keep results there: file is not a database; name another file"),
    ],
)
def test_bytes_that_are_damaged_are_told_in_one_line(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    campaign, target = Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), tmp_path / "r.sqlite"
    run(campaign, target)
    assert old in target.read_bytes()
    target.write_bytes(target.read_bytes().replace(old, new))
    before = target.read_bytes()
    with pytest.raises(InputError) as refused:
        run(campaign, target)
    assert str(refused.value).startswith(f"{target}: {said}")
    assert target.read_bytes() == before
