"""Executors: where equal work on many chunks is done; what comes of it does not depend on where, in which order or how often.

An executor opens a crew for one function. A crew is given chunks and hands back what the function makes of each, in the order in which
they are ready. A chunk whose worker dies is given to another one. `one process` works as it is asked, `local.Workers` has processes of this
machine, `cluster.Dask` has those of a Dask cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from accelsim.errors import AccelsimError, InputError, did_you_mean

RETRIES = 3  # of a chunk whose worker died
KINDS = ("local", "dask")
_FORMS = "write local, dask://HOST:PORT or dask://local?workers=4"
C = TypeVar("C")
R = TypeVar("R")
C_in = TypeVar("C_in", contravariant=True)
R_out = TypeVar("R_out", covariant=True)


class ChunkEndsWorkers(AccelsimError):
    """A chunk whose worker died each time that it was tried; exit code 2."""

    def __init__(self, how: str, tries: int) -> None:
        mend = "what is done is kept where it has a file; try again, with fewer workers if memory is short"
        super().__init__(f"{tries} workers ended one after the other ({how}), each on the same piece of work", mend)


class Crew(Protocol[C_in, R_out]):
    """Whoever works on the chunks of one function."""

    @property
    def room(self) -> int:
        """How many more chunks it takes before somebody would have to wait; 0 or more."""
        ...

    @property
    def busy(self) -> int:
        """How many chunks were given and have not been taken back."""
        ...

    def give(self, tag: int, chunk: C_in) -> None:
        """Have a chunk worked on. `tag` is handed back with its result."""
        ...

    def take(self) -> tuple[int, R_out]:
        """The next result, with its tag; waits for it. Raises what the function raises, and ChunkEndsWorkers."""
        ...


class Executor(Protocol):
    """Where work is done."""

    @property
    def workers(self) -> int:
        """How many work side by side, as far as it is known beforehand."""
        ...

    def standing(self) -> AbstractContextManager[Executor]:
        """The same for several functions one after the other: what takes long to start is started once."""
        ...

    def crew(self, function: Callable[[C], R]) -> AbstractContextManager[Crew[C, R]]:
        """Workers for one function, which may be asked again for a chunk that it has done. Nobody works any more once it is left."""
        ...


def map_unordered(executor: Executor, function: Callable[[C], R], chunks: Iterable[C]) -> Iterator[tuple[int, R]]:
    """What a function makes of every chunk, with the chunk's place, in the order in which they are ready; chunks are taken as needed."""
    left = iter(enumerate(chunks))
    with executor.crew(function) as crew:
        while True:
            for _ in range(crew.room):
                if (one := next(left, None)) is None:
                    break
                crew.give(*one)
            if not crew.busy:
                return
            yield crew.take()


@dataclass(frozen=True, slots=True)
class OneProcess:
    """This process, one chunk at a time."""

    workers: int = 1

    def standing(self) -> AbstractContextManager[Executor]:
        return nullcontext(self)

    @contextmanager
    def crew(self, function: Callable[[C], R]) -> Iterator[Crew[C, R]]:
        yield _Alone(function)


@dataclass(slots=True)
class _Alone:
    function: Callable[[Any], Any]
    given: list[tuple[int, Any]] = field(default_factory=list)

    @property
    def room(self) -> int:
        return 1 - len(self.given)

    @property
    def busy(self) -> int:
        return len(self.given)

    def give(self, tag: int, chunk: Any) -> None:
        self.given.append((tag, chunk))

    def take(self) -> tuple[int, Any]:
        tag, chunk = self.given.pop(0)
        return tag, self.function(chunk)


def executor_of(text: str | None, workers: int | None, usual: int = 1) -> Executor:
    """The executor that `--executor` and `--workers` mean; `usual`: how many workers where neither says so. InputError for other text."""
    from accelsim.jobs.local import Workers

    if text is None or text == "local":
        many = workers or usual
        return Workers(many) if many > 1 else OneProcess()
    scheme, separator, _ = text.partition("://")
    if scheme != "dask":
        raise InputError(f"--executor {text}: there is no executor '{scheme}'", did_you_mean(scheme, KINDS))
    try:
        from accelsim.jobs.cluster import Dask
    except ImportError:
        raise InputError(f"--executor {text}: dask.distributed is not installed", "pip install 'accelsim[dask]'") from None
    try:
        parts = urlsplit(text)
        host, port, query = parts.hostname, parts.port, dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        host = port = None
        query = {}
    if host == "local" and port is None and not parts.path:
        asked = query.pop("workers", None)
        if query:
            name = next(iter(query))
            raise InputError(f"--executor {text}: a local cluster has no '{name}'", did_you_mean(name, ["workers"]))
        if asked is not None and workers is not None:
            raise InputError(f"--executor {text}: --workers says how many, too", "leave one of them out")
        if asked is not None and not (asked.isascii() and asked.isdigit() and 0 < int(asked) < 1025):
            raise InputError(f"--executor {text}: workers '{asked}' is not a whole number from 1 to 1024", "write digits, as in workers=4")
        return Dask(None, int(asked) if asked else workers or usual)
    if not separator or host is None or port is None or query or parts.path:
        raise InputError(f"--executor {text}: names no scheduler", _FORMS)
    if workers is not None:
        raise InputError(f"--workers {workers}: the cluster at {host}:{port} has its own workers", "leave --workers out")
    return Dask(f"tcp://{host}:{port}")
