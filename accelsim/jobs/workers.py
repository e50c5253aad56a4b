"""Jobs side by side, in processes of their own: the same results in the same order, whatever the number of processes.

A crew starts its workers once and hands out jobs in order; a worker that is done gets the next one.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from accelsim.errors import AccelsimError
from accelsim.jobs import processes
from accelsim.jobs.interrupts import handled, interrupt
from accelsim.jobs.meter import Meter
from accelsim.jobs.processes import Channel

_SAYS, _DONE, _FAILED = range(3)

Tell = Callable[[str], None]


class Outcome(Protocol):
    """What a job returns; `interrupted`: by the user, before its end."""

    @property
    def interrupted(self) -> bool: ...


T_co = TypeVar("T_co", bound=Outcome, covariant=True)
T = TypeVar("T", bound=Outcome)


class Job(Protocol[T_co]):
    """Some work that tells how it goes; `hurry`: the user has interrupted, so it should come back with what is found at once."""

    def __call__(self, tell: Tell, hurry: bool, /) -> T_co: ...


class WorkerEnded(AccelsimError):
    """A worker process ended before its job did; exit code 2."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(jobs: Sequence[Job[T]], workers: int, tell: Tell, noun: str = "jobs") -> list[T]:
    """The results of all jobs, in order, from at most so many processes; of one job, or with one worker, from this process.

    Raises what the first job in order that fails raises, and WorkerEnded at once if a process was killed. An interrupt (Ctrl-C) is felt by
    every job that runs (see `interrupts`), and those that start later hurry. No process outlives the call. Of several jobs, what they tell
    comes after how many of them are done, how fast that goes and how long it takes; `noun`: what they are called there.
    """
    far = _Far(len(jobs), tell, Meter(noun))
    crew = _Crew(jobs, far)
    if min(workers, len(jobs)) > 1 and processes.can_start():
        with handled(crew.interrupt):
            try:
                if crew.start(min(workers, len(jobs))):
                    return crew.run()
            finally:
                processes.end(crew.workers)
    results: list[T] = []
    for job in jobs:
        results.append(job(far, any(result.interrupted for result in results)))
        far.done += 1
    return results


class _Far:
    """Passes on what jobs tell, after how far all of them are."""

    def __init__(self, many: int, tell: Tell, meter: Meter) -> None:
        self.many, self.tell, self.meter, self.done = many, tell, meter, 0
        meter(0, many)

    def __call__(self, text: str) -> None:
        self.tell(f"{self.meter(self.done, self.many)}; {text}" if self.many > 1 else text)


class _Crew:
    """Workers, what each of them does, and what has come of it."""

    def __init__(self, jobs: Sequence[Job[Any]], far: _Far) -> None:
        self.jobs, self.far = jobs, far
        self.next = 0
        self.hurry = False
        self.workers: dict[Channel, BaseProcess] = {}
        self.running: dict[Channel, int] = {}
        self.results: dict[int, Any] = {}
        self.failures: dict[int, BaseException] = {}

    def start(self, many: int) -> bool:
        """Start so many workers, or as many as the system lets start; says whether there is one."""
        for _ in range(many):
            started = processes.start(_work, self.jobs)
            if started is None:
                break
            channel, process = started
            self.workers[channel] = process
            self._hand_out(channel)
        return bool(self.workers)

    def run(self) -> list[Any]:
        """All results; of failures, the first in order, which is what one process would meet."""
        while self.running and (not self.failures or min(self.running.values()) < min(self.failures)):
            for channel in wait([*self.running]):
                assert isinstance(channel, Channel)
                self._hear(channel)
        if self.failures:
            raise self.failures[min(self.failures)]
        return [self.results[at] for at in range(len(self.jobs))]

    def interrupt(self, *_: object) -> None:
        """Pass an interrupt on to the workers, whatever they do just now; it is the handler of interrupts here."""
        self.hurry = True
        for channel in [*self.running]:
            pid = self.workers[channel].pid
            assert pid is not None and processes.STOP is not None
            os.kill(pid, processes.STOP)

    def _hand_out(self, channel: Channel) -> None:
        """Give a worker the next job, if there is one and none has failed."""
        self.running.pop(channel, None)
        if self.next == len(self.jobs) or self.failures:
            return
        at, self.next = self.next, self.next + 1
        self.running[channel] = at
        try:
            channel.send((at, self.hurry))
        except OSError:  # it has ended, which is noticed when it is heard
            return

    def _hear(self, channel: Channel) -> None:
        at = self.running[channel]
        try:
            kind, what = pickle.loads(channel.recv_bytes())
        except (EOFError, OSError):
            self.running.pop(channel)
            raise self._ended(self.workers[channel]) from None
        if kind == _SAYS:
            self.far(what)
            return
        if kind == _DONE:
            self.far.done += 1
            self.results[at] = what
            self.hurry = self.hurry or what.interrupted
        elif isinstance(what, KeyboardInterrupt):
            raise what
        else:
            self.failures[at] = what
        self._hand_out(channel)

    def _ended(self, process: BaseProcess) -> WorkerEnded:
        what = f"a worker process ended with {processes.ending(process)} before it was done"
        return WorkerEnded(what, "try again, with --workers 1 if memory is short")


# --- in a worker --------------------------------------------------------------------------------------------------------------------------


def _work(jobs: Sequence[Job[Any]], channel: Channel) -> None:
    """Do one job after the other until the process is ended."""
    worker = _Worker(channel)
    processes.settle(worker.interrupted)
    while True:
        at, hurry = channel.recv()
        channel.send_bytes(worker.outcome(jobs[at], hurry))


class _Worker:
    """`due`: an interrupt that the job has not felt yet, since it may not cut a message in two."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.hurry = self.due = self.working = False

    def outcome(self, job: Job[Any], hurry: bool) -> bytes:
        """What comes of a job, as a message."""
        try:
            self.due, self.working = False, True
            try:
                result = job(self._tell, hurry or self.hurry)
            finally:
                self.working = False
            return pickle.dumps((_DONE, result))
        except BaseException as error:
            return processes.failure(_FAILED, error)

    def interrupted(self, *_: object) -> None:
        """The handler of interrupts."""
        self.hurry = self.due = True
        self._feel()

    def _feel(self) -> None:
        if self.due and self.working:
            self.due = False
            interrupt()

    def _tell(self, text: str) -> None:
        self.working = False
        self.channel.send_bytes(pickle.dumps((_SAYS, text)))
        self.working = True
        self._feel()
