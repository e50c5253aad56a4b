"""`accelsim explore`, killed at random moments with its workers and run again, writes the bytes of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.share import share

SWEEP = """
sweep: killed
workload: matmul
arch: simple
tiles: dividing
set: {shape.m: 24, shape.n: 24, shape.k: 24}
vary:
  arch.GlobalBuffer.size: [256 B, 512 B, 1 KiB]
  arch.MainMemory.bandwidth: {range: [1 GB/s, 15 GB/s], step: 200 MB/s}
  arch.clock: [100 MHz, 200 MHz, 300 MHz]
each: [arch.clock]
"""
POINTS = 3 * 71 * 3


def command(sweep: Path, table: Path) -> list[str]:
    """The command line under test."""
    return [sys.executable, "-m", "accelsim", "explore", str(sweep), "-o", str(table), "--workers", "2", "--quiet"]


def rows(store: Path) -> tuple[int, int]:
    """Rows that are kept, and how many of them differ."""
    if not store.exists():
        return 0, 0
    connection = sqlite3.connect(store)
    try:
        many, different = connection.execute("SELECT count(*), count(DISTINCT key) FROM points").fetchone()
    except sqlite3.OperationalError:  # killed before the table was there
        return 0, 0
    finally:
        connection.close()
    return many, different


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv"][: share(2, 1, 1)])
def test_command_that_is_killed_again_and_again_writes_the_same_bytes(tmp_path: Path, ending: str) -> None:
    sweep = tmp_path / "killed.yaml"
    sweep.write_text(SWEEP, encoding="utf-8")
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    subprocess.run(command(sweep, whole), check=True, stdout=subprocess.DEVNULL)
    rng, store, kept = random.Random(ending), Path(f"{cut}.points"), [0]
    for _ in range(share(10, 2, 1)):
        before = rows(store)[0]
        until = min(POINTS - 1, before + rng.randrange(1, POINTS // 40))
        process = subprocess.Popen(command(sweep, cut), stdout=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and rows(store)[0] < until:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.1))
        assert process.poll() is None, "it was done before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        many, different = rows(store)
        assert many == different
        kept.append(many)
        assert not cut.exists()
    assert kept == sorted(kept) and 0 < kept[-1] < POINTS
    subprocess.run(command(sweep, cut), check=True, stdout=subprocess.DEVNULL)
    assert rows(store) == (POINTS, POINTS)
    assert cut.read_bytes() == whole.read_bytes()
