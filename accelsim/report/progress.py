"""Progress of long work on standard error: one line with a running clock on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 10.0  # a line in a pipe
Progress = Callable[[str], None]


@contextmanager
def progress(wanted: bool = True) -> Iterator[Progress]:
    """A function that shows a message beside a running clock on a terminal.

    Once a kernel has to be compiled, the message says so until the next one. Where standard error is no terminal, a message becomes a line
    with the seconds since the start if none was written for ten seconds; a stream that a program has put in its place gets none.
    """
    if not wanted or not sys.stderr.isatty():
        yield _lines() if wanted and sys.stderr is sys.__stderr__ else _nothing
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    from accelsim.kernel_cache import before_compiling

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        said = "starting"

        def tell(message: str) -> None:
            nonlocal said
            said = message
            bar.update(task, description=message)

        def compiling() -> None:
            bar.update(task, description=f"compiling kernels, once: {said}")

        before_compiling.append(compiling)
        try:
            yield tell
        finally:
            before_compiling.remove(compiling)


def _lines() -> Progress:
    started = last = time.monotonic()

    def tell(message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            print(f"{now - started:.0f} s: {message}", file=sys.stderr, flush=True)

    return tell


def _nothing(_: str) -> None:
    return
