"""Progress of long work: one line on a terminal's standard error, nothing in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]


@contextmanager
def progress(wanted: bool = True) -> Iterator[Progress]:
    """A function that shows a message with the seconds so far; it does nothing unless standard error is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console

    started = time.monotonic()
    with Console(stderr=True).status("starting") as status:
        yield lambda message: status.update(f"{message} · {time.monotonic() - started:.0f} s")


def _nothing(_: str) -> None:
    return
