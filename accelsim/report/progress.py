"""Progress of long work: one line on a terminal's standard error, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]


@contextmanager
def progress(wanted: bool = True) -> Iterator[Progress]:
    """A function that shows a message beside a running clock; it does nothing unless standard error is a terminal.

    While this computer has no compiled kernels, the first message says that they are compiled.
    """
    if not wanted or not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        cold = ["compiling kernels, once: "] if no_kernels() else []
        task = bar.add_task(cold[0].rstrip(": ") if cold else "starting", total=None)
        yield lambda message: bar.update(task, description=(cold.pop() if cold else "") + message)


def no_kernels() -> bool:
    """Whether this computer has no compiled kernels yet."""
    from accelsim.kernel_cache import directory

    try:
        return next(directory().rglob("*.nbc"), None) is None
    except OSError:
        return True


def _nothing(_: str) -> None:
    return
