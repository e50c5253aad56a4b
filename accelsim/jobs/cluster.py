"""Workers of a Dask cluster: one that runs somewhere, or one of this machine that lasts as long as it is needed.

Needs dask.distributed (`pip install 'accelsim[dask]'`), so it is imported only where a cluster is asked for. The function goes to every
worker once, also to those that come later, as a plugin that the scheduler keeps. A worker takes one chunk at a time, whatever its threads:
limits of CPU seconds count on a process of their own. Every worker must run the same accelsim as this process.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
import distributed

from accelsim.errors import AccelsimError, InputError
from accelsim.jobs.executors import RETRIES, ChunkEndsWorkers, Crew
from accelsim.jobs.processes import uninterrupted
from accelsim.jobs.store import content_key

CONNECT_S = 10.0
AGAIN_S = 0.5
C = TypeVar("C")
R = TypeVar("R")
_QUEUED = 2  # chunks for each worker: one that it works on and one that waits there
_LOOK_S = 5.0  # whether the scheduler is still there


class ClusterLost(AccelsimError):
    """The scheduler has gone; exit code 2."""


@dataclass(frozen=True, slots=True)
class Dask:
    """A scheduler's address, as in tcp://host:8786; None: `workers` processes of this machine."""

    address: str | None
    workers: int = 1

    @contextmanager
    def standing(self) -> Iterator[Dask]:
        if self.address is not None:
            yield self
            return
        with _cluster(self.workers) as address:
            yield Dask(address)

    @contextmanager
    def crew(self, function: Callable[[C], R]) -> Iterator[Crew[C, R]]:
        with self.standing() as standing, _client(str(standing.address)) as client:
            name = f"accelsim-{secrets.token_hex(8)}"
            _hand_out(client, Carrier(function, content_key()), name)
            try:
                yield _Crew(client, name)
            finally:
                with suppress(Exception):  # the scheduler may have gone
                    client.unregister_worker_plugin(name)


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    """The address of so many processes of this machine."""
    with dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}):
        with uninterrupted():  # a terminal sends Ctrl-C to all processes, and this one decides what stops
            cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        with cluster:
            yield str(cluster.scheduler_address)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of the scheduler; InputError if none answers."""
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except OSError:
        what = f"dask://{address.removeprefix('tcp://')}: no Dask scheduler answers there within {CONNECT_S:.0f} s"
        raise InputError(what, "start one with `dask scheduler`, or check the address") from None
    with client:
        yield client


class Carrier(distributed.WorkerPlugin):  # type: ignore[misc]
    """Takes a function to every worker. `version`: a `content_key` of all of accelsim's source text."""

    def __init__(self, function: Callable[[Any], Any], version: str) -> None:
        self.function, self.version = function, version

    def setup(self, worker: Any) -> None:
        self.turn = threading.Lock()

    def __call__(self, chunk: Any) -> Any:
        if content_key() != self.version:
            raise InputError("a worker of the cluster has another version of accelsim", "install the same on all of them")
        with self.turn:
            return self.function(chunk)


def _hand_out(client: Any, carrier: Carrier, name: str) -> None:
    """Give a function to the workers; again, where one of them ends meanwhile."""
    for left in reversed(range(RETRIES + 1)):
        try:
            client.register_plugin(carrier, name=name)
            return
        except OSError:  # of which a connection that breaks is one
            if not left:
                raise
            time.sleep(AGAIN_S)


def _work(name: str, chunk: Any) -> Any:
    """On a worker: what the function of a plugin makes of a chunk."""
    return distributed.get_worker().plugins[name](chunk)


class _Crew:
    """Chunks on their way, by their futures."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self.running: dict[Any, int] = {}
        self.ready: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @property
    def room(self) -> int:
        """A cluster may grow and shrink meanwhile; without any worker, chunks wait for the first."""
        return max(0, _QUEUED * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"])) - self.busy)

    @property
    def busy(self) -> int:
        return len(self.running)

    def give(self, tag: int, chunk: Any) -> None:
        future = self.client.submit(_work, self.name, chunk, pure=False, key=f"{self.name}-{tag}-{secrets.token_hex(4)}")
        self.running[future] = tag
        future.add_done_callback(self.ready.put)

    def take(self) -> tuple[int, Any]:
        while True:
            try:
                future = self.ready.get(timeout=_LOOK_S)
                break
            except queue.Empty:
                if self.client.status not in ("running", "connecting"):
                    raise self._lost() from None
        tag = self.running.pop(future)
        if future.cancelled():
            raise self._lost()
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            raise ChunkEndsWorkers("a Dask worker", RETRIES + 1)
        if error is not None:
            raise error
        return tag, future.result()

    def _lost(self) -> ClusterLost:
        mend = "start it again; what is done is kept where it has a file"
        return ClusterLost("the Dask scheduler has gone, or has cancelled the work", mend)
