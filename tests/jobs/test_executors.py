"""Executors: the same results from one process, from processes that die, and from a cluster one of whose workers dies.

Expected values are what the functions, all defined here, say by themselves; the reference is a plain loop.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accelsim.errors import InputError, Place
from accelsim.jobs.cluster import Dask
from accelsim.jobs.executors import RETRIES, ChunkEndsWorkers, Executor, OneProcess, executor_of, map_unordered
from accelsim.jobs.local import Workers

LOCAL = [OneProcess(), Workers(1), Workers(3)]


@dataclass(frozen=True)
class Square:
    """Squares, after a while; the first process that gets to `fatal` is killed, `deaths` times in all, which a folder counts."""

    folder: Path
    fatal: int = -1
    deaths: int = 0
    seconds: float = 0.0

    def __call__(self, number: int) -> int:
        time.sleep(self.seconds)
        if number == self.fatal:
            for death in range(self.deaths):
                try:
                    (self.folder / f"{death}").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"done-{number}-{os.getpid()}").touch()
        return number * number


def squares(executor: Executor, square: Square, many: int) -> dict[int, int]:
    found = [*map_unordered(executor, square, iter(range(many)))]
    assert len(found) == many
    return dict(found)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("executor", LOCAL, ids=str)
@pytest.mark.parametrize("many", [0, 1, 20])
def test_every_chunk_comes_back_once_with_its_place(executor: Executor, many: int, tmp_path: Path) -> None:
    assert squares(executor, Square(tmp_path), many) == {number: number * number for number in range(many)}


def test_chunks_are_taken_as_they_are_needed() -> None:
    """Of endless ones, no more than results plus those that are on their way."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    for executor, ahead in ((OneProcess(), 1), (Workers(2), 2)):
        taken = 0
        found = map_unordered(executor, abs, endless())
        for _ in range(5):
            next(found)
        assert taken <= 5 + ahead
        found.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("deaths", [1, RETRIES])
def test_chunk_whose_worker_dies_is_worked_on_by_another(deaths: int, tmp_path: Path) -> None:
    assert squares(Workers(2), Square(tmp_path, 3, deaths), 8) == {number: number * number for number in range(8)}
    assert {path.name for path in tmp_path.iterdir() if path.name.isdigit()} == {str(death) for death in range(deaths)}


def test_chunk_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ChunkEndsWorkers) as raised:
        squares(Workers(2), Square(tmp_path, 3, RETRIES + 1), 8)
    said = f"{RETRIES + 1} workers ended one after the other (signal 9), each on the same piece of work; "
    assert str(raised.value) == said + "what is done is kept where it has a file; try again, with fewer workers if memory is short"


def test_idle_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with Workers(2).crew(Square(tmp_path)) as crew:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        for number in range(4):
            crew.give(number, number)
        assert dict(crew.take() for _ in range(4)) == {0: 0, 1: 1, 2: 4, 3: 9}


def fail(number: int) -> int:
    if number == 2:
        raise InputError("what", "mend", Place("w.yaml", 3, 4), "line")
    return number


@pytest.mark.parametrize("executor", LOCAL, ids=str)
def test_error_of_a_function_is_raised_as_it_was(executor: Executor) -> None:
    with pytest.raises(InputError) as raised:
        dict(map_unordered(executor, fail, range(4)))
    assert str(raised.value) == "w.yaml:3:4: what; mend\nline"


def test_function_need_not_be_picklable_where_processes_are_forked() -> None:
    assert dict(map_unordered(Workers(2), lambda number: number + 1, range(3))) == {0: 1, 1: 2, 2: 3}


BAD = [
    ("dusk://x:1", "--executor dusk://x:1: there is no executor 'dusk'; did you mean 'dask'?"),
    ("dask://foo", "--executor dask://foo: names no scheduler; write local, dask://HOST:PORT or dask://local?workers=4"),
    ("dask:foo:1", "--executor dask:foo:1: there is no executor 'dask:foo:1'; did you mean 'dask'?"),
    ("dask://h:1x", "--executor dask://h:1x: names no scheduler; write local, dask://HOST:PORT or dask://local?workers=4"),
    ("dask://local?worker=3", "--executor dask://local?worker=3: a local cluster has no 'worker'; did you mean 'workers'?"),
    (
        "dask://local?workers=0",
        "--executor dask://local?workers=0: workers '0' is not a whole number from 1 to 1024; write digits, as in workers=4",
    ),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[text for text, _ in BAD])
def test_bad_executor_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        executor_of(text, None)


def test_workers_of_a_cluster_are_not_chosen_twice() -> None:
    for text, said in (
        ("dask://h:1", "--workers 2: the cluster at h:1 has its own workers; leave --workers out"),
        ("dask://local?workers=4", "--executor dask://local?workers=4: --workers says how many, too; leave one of them out"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
            executor_of(text, 2)


def test_text_names_executors() -> None:
    assert executor_of(None, None) == OneProcess() == executor_of("local", 1, 8)
    assert executor_of(None, None, 4) == Workers(4) == executor_of("local", 4)
    assert executor_of("dask://local?workers=4", None) == Dask(None, 4) == executor_of("dask://local", 4)
    assert executor_of("dask://node7:8786", None, 4) == Dask("tcp://node7:8786")


def test_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.jobs.cluster.CONNECT_S", 0.5)
    said = "dask://127.0.0.1:1: no Dask scheduler answers there within 0 s; start one with `dask scheduler`, or check the address"
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"), Dask("tcp://127.0.0.1:1").crew(abs):
        pass
