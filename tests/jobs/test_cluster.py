"""A Dask cluster of four workers of this machine, one of which is killed while they work: the same results as from one process.

What is compared was worked out in this process; that a worker was killed, and that workers of the cluster did the work, is held too.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import InputError
from accelsim.explore.search import EVOLUTIONARY, Search
from accelsim.explore.sweep import Sweep
from accelsim.explore.sweeping import explore
from accelsim.faults.campaign import Campaign, run
from accelsim.faults.plan import NEYMAN, Sample
from accelsim.io.sweep_table import write_table
from accelsim.jobs.cluster import Dask
from accelsim.jobs.executors import RETRIES, ChunkEndsWorkers, Executor, map_unordered
from accelsim.jobs.local import Workers
from tests.explore.stub import stub_rows, stub_sweep
from tests.jobs.coins import SlowCoin

WORKERS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Dask]:
    with Dask(None, WORKERS).standing() as standing:
        yield standing


def victim(cluster: Dask) -> int:
    """The process of a worker, once all of them are there."""
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS)
        return min(client.run(os.getpid).values())


@dataclass
class Killer:
    """Hears progress, and kills a worker, which must be alive, as soon as so much was told."""

    victim: int
    after: int
    heard: int = 0

    def __call__(self, text: str) -> None:
        self.heard += 1
        if self.heard == self.after:
            os.kill(self.victim, signal.SIGKILL)


def test_campaign_on_a_cluster_is_that_of_one_process_when_a_worker_is_killed(cluster: Dask, tmp_path: Path) -> None:
    """By Neyman, so that most chunks are planned by what the first ones find."""

    def campaign(seconds: float) -> Campaign:
        return Campaign("coin", SlowCoin((0.1, 0.5), seconds), Sample(faults=30_000, by=NEYMAN), 3, "coin")

    here = run(campaign(0.0), tmp_path / "here.sqlite")
    killer = Killer(victim(cluster), 8)
    there = run(campaign(0.05), tmp_path / "there.sqlite", tell=killer, executor=cluster)
    assert [each.tally for each in there.found] == [each.tally for each in here.found]
    assert there.finished and killer.heard > 8


def searched(slow: float) -> Sweep:
    from dataclasses import replace

    return replace(stub_sweep(20, 20, 5, slow=slow), search=Search(EVOLUTIONARY, 120, 20, 1))


@pytest.mark.parametrize("made", [partial(stub_sweep, 20, 20), searched], ids=["grid", "search"])
def test_sweep_on_a_cluster_writes_the_table_of_one_process_when_a_worker_is_killed(
    cluster: Dask, tmp_path: Path, made: Callable[..., Sweep]
) -> None:
    def table(name: str, sweep: Sweep, executor: Executor | None, tell: Any = None) -> bytes:
        more = {} if executor is None else {"spread": partial(map_unordered, executor)}
        found = explore(sweep, str(tmp_path / f"{name}.points"), tell=tell, evaluate=stub_rows, **more)
        write_table(found, str(tmp_path / f"{name}.csv"))
        found.close()
        return (tmp_path / f"{name}.csv").read_bytes()

    here = table("here", made(slow=0.0), None)
    killer = Killer(victim(cluster), 4)
    assert table("there", made(slow=0.004), cluster, killer) == here
    assert killer.heard > 4
    assert table("workers", made(slow=0.0), Workers(3)) == here


def always(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_chunk_that_kills_every_worker_of_a_cluster_is_given_up(cluster: Dask) -> None:
    with pytest.raises(
        ChunkEndsWorkers, match=rf"^{RETRIES + 1} workers ended one after the other \(a Dask worker\), each on the same piece "
    ):
        dict(map_unordered(cluster, always, range(4)))


def fail(number: int) -> int:
    raise InputError(f"{number} is wrong", "write another")


def test_error_of_a_function_comes_back_from_a_cluster(cluster: Dask) -> None:
    with pytest.raises(InputError, match=r"^0 is wrong; write another$"):
        dict(map_unordered(cluster, fail, range(1)))


def test_worker_with_another_version_of_accelsim_is_refused(cluster: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.jobs.cluster.content_key", lambda: "another")
    with pytest.raises(InputError, match=r"^a worker of the cluster has another version of accelsim; install the same on all of them$"):
        dict(map_unordered(cluster, abs, range(1)))
