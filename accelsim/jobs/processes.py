"""Processes that work for this one, each at the other end of a channel: how they are started, what they set up, and how they end.

They are forked on Linux, so that they have everything imported; no kernel runs threads. Elsewhere they are spawned, and what they are given
must be picklable.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

METHOD = "fork" if sys.platform == "linux" else "spawn"
STOP = getattr(signal, "SIGUSR1", None)  # a process's Ctrl-C; without it (on Windows) all work is done in this process

Channel = Connection


def can_start() -> bool:
    """Whether this process may start others: one that was started for some work may not."""
    return STOP is not None and not multiprocessing.current_process().daemon


def start(work: Callable[..., None], *given: object) -> tuple[Channel, BaseProcess] | None:
    """A process that does `work(*given, channel)`, beside our end of the channel; None where the system starts no more."""
    context: Any = multiprocessing.get_context(METHOD)
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*given, theirs), daemon=True)
    with uninterrupted():  # until it is ready for them
        try:
            process.start()
        except OSError:
            ours.close()
            return None
        finally:
            theirs.close()  # or its end would not be noticed
    return ours, process


def end(processes: Mapping[Channel, BaseProcess]) -> None:
    """Leave none of them behind; what they still do is of no use."""
    for process in processes.values():
        process.kill()
    for channel, process in processes.items():
        process.join()
        channel.close()


def ending(process: BaseProcess) -> str:
    """How a process has ended, as in 'signal 9' or 'exit code 1'."""
    process.join()
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Without interrupts, in this thread and in a process that starts meanwhile."""
    if STOP is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, STOP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle(interrupted: Callable[..., None] | None = None) -> None:
    """In a process that was started: give up the terminal, end with the parent, and hear of interrupts by `interrupted` alone."""
    sys.stdout = sys.stderr = None  # a thread of the parent may have locked these
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the parent decides what stops
    heard = {int(signal.SIGINT)}
    if interrupted is not None:
        assert STOP is not None
        signal.signal(STOP, interrupted)
        heard.add(int(STOP))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def failure(kind: int, error: BaseException) -> bytes:
    """An error with its trace as a message of a kind; one that cannot be sent is told in words."""
    error.add_note(f"In a worker process:\n{''.join(traceback.format_exception(error))}")
    try:
        message = pickle.dumps((kind, error))
        pickle.loads(message)
    except Exception:
        return pickle.dumps((kind, RuntimeError(f"{type(error).__name__}: {error}")))
    return message
