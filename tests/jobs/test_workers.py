"""Jobs side by side: results in order whatever the number of processes, and nothing is left behind, whatever ends them.

Expected values are what the jobs, all defined here, say by themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.errors import IllegalMapping, InputError, Place
from accelsim.jobs import processes
from accelsim.jobs.interrupts import interrupt, stopped_by_interrupts
from accelsim.jobs.workers import Tell, WorkerEnded, cores, side_by_side

PACKAGE = Path(accelsim.__file__).parent


@dataclass(frozen=True)
class Answer:
    value: Any
    interrupted: bool = False


def square(number: int, seconds: float, tell: Tell, hurry: bool) -> Answer:
    tell(f"squaring {number}")
    time.sleep(0.0 if hurry else seconds)
    return Answer((number * number, hurry))


def where(tell: Tell, hurry: bool) -> Answer:
    time.sleep(0.2)
    return Answer(os.getpid())


def fail(error: BaseException, seconds: float, tell: Tell, hurry: bool) -> Answer:
    time.sleep(seconds)
    raise error


def die(number: int, tell: Tell, hurry: bool) -> Answer:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return Answer(None)


def wait_for_interrupt(seconds: float, tell: Tell, hurry: bool) -> Answer:
    """Says whether it was stopped: in good order."""
    stopped: list[int] = []
    with stopped_by_interrupts(lambda: stopped.append(1)):
        tell("waiting")
        end = time.monotonic() + (0.0 if hurry else seconds)
        while not stopped and time.monotonic() < end:
            time.sleep(0.01)
    return Answer((bool(stopped), hurry), bool(stopped))


def silent(_: str) -> None:
    return


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert multiprocessing.active_children() == []
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("many", [1, 2, 3, 9])
def test_results_come_in_the_order_of_the_jobs(many: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "METHOD", method)
    told: list[str] = []
    jobs = [partial(square, number, 0.05 * (4 - number)) for number in range(4)]  # the first takes the longest
    found = side_by_side(jobs, many, told.append)
    assert [answer.value for answer in found] == [(0, False), (1, False), (4, False), (9, False)]
    assert sorted(text.partition("; ")[2] for text in told) == [f"squaring {number}" for number in range(4)]
    assert all(re.match(r"[0-3] of 4 jobs(, [\d.,]+ a \w+, \d+ s to go)?; ", text) for text in told)
    assert told[0].startswith("0 of 4 jobs; ") and (many > 1 or told[3].startswith("3 of 4 jobs, "))


@pytest.mark.parametrize(("jobs", "many"), [(1, 8), (3, 1)])
def test_nothing_is_started_for_one_job_or_one_worker(jobs: int, many: int) -> None:
    assert {answer.value for answer in side_by_side([where] * jobs, many, silent)} == {os.getpid()}


def test_jobs_run_in_so_many_processes() -> None:
    found = {answer.value for answer in side_by_side([where] * 6, 2, silent)}
    assert len(found) == 2 and os.getpid() not in found


def test_jobs_run_here_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)
    assert [answer.value for answer in side_by_side([where] * 2, 2, silent)] == [os.getpid()] * 2


@pytest.mark.parametrize(
    "error", [InputError("what", "mend", Place("w.yaml", 3, 4), "line"), IllegalMapping("no room"), MemoryError(), ZeroDivisionError("x")]
)
def test_error_of_a_job_is_raised_as_it_was(error: Exception) -> None:
    for many in (1, 2):
        with pytest.raises(type(error)) as raised:
            side_by_side([partial(square, 1, 0.0), partial(fail, error, 0.0)], many, silent)
        assert str(raised.value) == str(error)
        assert vars(error).items() <= vars(raised.value).items()


def test_first_error_in_order_is_raised_and_not_the_first_in_time() -> None:
    jobs = [partial(square, 1, 0.0), partial(fail, InputError("slow"), 0.4), partial(fail, InputError("quick"), 0.0), where]
    for many in (1, 2, 3):
        with pytest.raises(InputError, match="slow"):
            side_by_side(jobs, many, silent)


def test_jobs_after_a_failed_one_are_not_waited_for() -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="quick"):
        side_by_side([partial(fail, InputError("quick"), 0.0), partial(square, 2, 60.0)], 2, silent)
    assert time.monotonic() - started < 20


class Odd(Exception):
    """One that cannot be sent."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_error_that_cannot_be_sent_is_told_in_words() -> None:
    with pytest.raises(RuntimeError, match=r"^Odd: 1 and 2$"):
        side_by_side([partial(fail, Odd(1, 2), 0.0), where], 2, silent)


def test_killed_worker_is_an_error_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(WorkerEnded) as raised:
        side_by_side([partial(square, 2, 60.0), partial(die, signal.SIGKILL)], 2, silent)
    assert str(raised.value) == "a worker process ended with signal 9 before it was done; try again, with --workers 1 if memory is short"
    assert raised.value.exit_code == 2
    assert time.monotonic() - started < 20


def test_interrupt_stops_all_workers_in_good_order_and_later_jobs_hurry() -> None:
    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            signal.raise_signal(signal.SIGINT)

    told: list[str] = []
    found = side_by_side([partial(wait_for_interrupt, 60.0)] * 3, 2, tell)
    assert [answer.value for answer in found] == [(True, False), (True, False), (False, True)]


def test_interrupt_that_a_job_does_not_expect_ends_all() -> None:
    def tell(text: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        side_by_side([partial(square, 1, 60.0), partial(wait_for_interrupt, 60.0)], 2, tell)


def test_jobs_after_an_interrupted_one_hurry_in_one_process_too() -> None:
    def tell(text: str) -> None:
        told.append(text)

    def pressed(tell: Tell, hurry: bool) -> Answer:
        with stopped_by_interrupts(lambda: None):
            signal.raise_signal(signal.SIGINT)
        return Answer(None, True)

    told: list[str] = []
    assert side_by_side([pressed, partial(square, 3, 60.0)], 1, tell)[1] == Answer((9, True))


def test_second_interrupt_is_not_stopped_in_good_order() -> None:
    stopped: list[int] = []
    with pytest.raises(KeyboardInterrupt), stopped_by_interrupts(lambda: stopped.append(1)):
        interrupt()
        assert stopped == [1]
        interrupt()


LEFT = """
import multiprocessing, sys, time
from functools import partial
from tests.jobs.test_workers import square
from accelsim.jobs.workers import side_by_side
side_by_side([partial(square, 1, 60.0)] * 3, 3, lambda text: print(len(multiprocessing.active_children()), flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(number: int) -> None:
    parent = subprocess.Popen([sys.executable, "-c", LEFT], stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)
    assert parent.stdout is not None
    assert [parent.stdout.readline() for _ in range(3)] == ["3\n"] * 3
    os.kill(parent.pid, number)
    parent.communicate(timeout=20)  # until nobody holds its output any more
    assert parent.returncode == -number


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_no_kernel_runs_threads_which_a_fork_would_lose() -> None:
    threaded = re.compile(r"parallel\s*=\s*True|\bprange\b|set_num_threads")
    assert [path.name for path in PACKAGE.rglob("*.py") if threaded.search(path.read_text(encoding="utf-8"))] == []
