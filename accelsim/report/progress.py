"""Progress of long work: one line on a terminal's standard error, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]


@contextmanager
def progress(wanted: bool = True) -> Iterator[Progress]:
    """A function that shows a message beside a running clock; it does nothing unless standard error is a terminal.

    Once a kernel has to be compiled, the message says so until the next one.
    """
    if not wanted or not sys.stderr.isatty():
        yield _nothing
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


def _nothing(_: str) -> None:
    return
