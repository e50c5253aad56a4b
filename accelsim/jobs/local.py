"""Workers of this machine: processes that are started once for a function, and replaced if they die."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from accelsim.jobs import processes
from accelsim.jobs.executors import RETRIES, ChunkEndsWorkers, Crew, Executor, OneProcess
from accelsim.jobs.processes import Channel

C = TypeVar("C")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Workers:
    """So many processes; none of them outlives the crew. Where none can be started, and in a worker itself, this process does the work."""

    workers: int

    def standing(self) -> AbstractContextManager[Executor]:
        return nullcontext(self)

    @contextmanager
    def crew(self, function: Callable[[C], R]) -> Iterator[Crew[C, R]]:
        if not processes.can_start():
            with OneProcess().crew(function) as alone:
                yield alone
            return
        crew = _Crew(function)
        try:
            if all(crew.start() for _ in range(self.workers)) or crew.processes:
                yield crew
            else:
                with OneProcess().crew(function) as alone:
                    yield alone
        finally:
            processes.end(crew.processes)


class _Crew:
    """Processes by their channels, and what each of them does; `waiting`: chunks that nobody has begun, with how often they were tried."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.processes: dict[Channel, BaseProcess] = {}
        self.running: dict[Channel, tuple[int, Any, int]] = {}
        self.waiting: deque[tuple[int, Any, int]] = deque()

    @property
    def room(self) -> int:
        return max(0, len(self.processes) - self.busy)

    @property
    def busy(self) -> int:
        return len(self.running) + len(self.waiting)

    def start(self) -> bool:
        """Start one more process, if the system lets it."""
        started = processes.start(_work, self.function)
        if started is None:
            return False
        channel, process = started
        self.processes[channel] = process
        return True

    def give(self, tag: int, chunk: Any) -> None:
        self.waiting.append((tag, chunk, 0))
        self._hand_out()

    def take(self) -> tuple[int, Any]:
        while True:
            self._hand_out()
            for channel in wait([*self.running]):
                assert isinstance(channel, Channel)
                tag, chunk, tries = self.running.pop(channel)
                try:
                    done, what = pickle.loads(channel.recv_bytes())
                except (EOFError, OSError):
                    self._replace(channel, (tag, chunk, tries + 1))
                    break
                self._hand_out()
                if not done:
                    raise what
                return tag, what

    def _hand_out(self) -> None:
        """Give every idle process a chunk that waits."""
        for channel in [*self.processes]:
            if not self.waiting:
                return
            if channel in self.running:
                continue
            tag, chunk, tries = self.running[channel] = self.waiting.popleft()
            try:
                channel.send(chunk)
            except OSError:  # it has died; nobody knows yet what of
                del self.running[channel]
                self._replace(channel, (tag, chunk, tries))

    def _replace(self, channel: Channel, again: tuple[int, Any, int]) -> None:
        """Another process for one that has died; its chunk comes first."""
        process = self.processes.pop(channel)
        how = processes.ending(process)
        channel.close()
        self.waiting.appendleft(again)
        if again[2] > RETRIES or not (self.start() or self.processes):
            raise ChunkEndsWorkers(how, max(1, again[2]))


def _work(function: Callable[[Any], Any], channel: Channel) -> None:
    """Do one chunk after the other until the process is ended."""
    processes.settle()
    while True:
        chunk = channel.recv()
        try:
            message = pickle.dumps((True, function(chunk)))
        except BaseException as error:
            message = processes.failure(False, error)
        channel.send_bytes(message)
