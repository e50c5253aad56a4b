"""Interrupts (Ctrl-C) that let work end in good order, instead of cutting it off wherever it is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_stops: list[Callable[[], None]] = []


def interrupt() -> None:
    """Stop what runs inside `stopped_by_interrupts`; raise KeyboardInterrupt where nothing does, or has been stopped already."""
    if not _stops:
        raise KeyboardInterrupt
    _stops.pop()()


@contextmanager
def stopped_by_interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, the first interrupt calls `stop`, and the next one raises KeyboardInterrupt."""
    _stops.append(stop)
    try:
        with handled(lambda *_: interrupt()):
            yield
    finally:
        if stop in _stops:
            _stops.remove(stop)


@contextmanager
def handled(handler: Callable[..., None]) -> Iterator[None]:
    """Inside, interrupts go to a handler, where they would raise KeyboardInterrupt otherwise."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
