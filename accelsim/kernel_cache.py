"""Where compiled kernels are kept between runs, and the `njit` that every `kernels.py` uses."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from accelsim.cache import folder

F = TypeVar("F", bound=Callable[..., Any])
_compiling = [0.0]  # CPU seconds so far
_IMPORT = re.compile(r"^(?:from|import) (accelsim[\w.]*)(?: import ([\w, ]+))?", re.MULTILINE)
before_compiling: list[Callable[[], None]] = []
"""Called before a kernel is compiled, which is when it was not kept."""


@cache
def directory(source: str) -> Path:
    """Where the kernels of a file are kept in the user's cache directory; it need not exist or be writable.

    One folder per text of the file, of all files of accelsim that it imports, and theirs: a kernel that calls one of another file, or
    is compiled otherwise, is stale.
    """
    digest = hashlib.sha256(sys.version.encode())
    for text in _texts(source):
        digest.update(text)
    return folder() / "kernels" / f"{Path(source).stem}-{digest.hexdigest()[:16]}"


def is_cold(source: str) -> bool:
    """Whether no kernel of a file of this package is kept."""
    try:
        return not any(_where(str(Path(__file__).parent / source)).rglob("*.nbc"))
    except OSError:
        return True


def _where(source: str) -> Path:
    return Path(os.environ.get("NUMBA_CACHE_DIR") or directory(source))


def _texts(source: str) -> list[bytes]:
    """A file, this one, and those of accelsim that they import when they are loaded, in a fixed order."""
    root, found, waiting = Path(__file__).parent.parent, dict[Path, bytes](), [Path(source), Path(__file__)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        if file not in _read:
            _read[file] = file.read_bytes()
        found[file] = _read[file]
        for module, names in _IMPORT.findall(found[file].decode()):
            path = root / module.replace(".", "/")
            inside = (path / f"{name.split()[0]}.py" for name in names.split(",") if name.strip())
            waiting += [each for each in (path.with_suffix(".py"), path / "__init__.py", *inside) if each.is_file()]
    return [found[file] for file in sorted(found)]


_read: dict[Path, bytes] = {}


def cpu_seconds() -> float:
    """CPU seconds of this process, less those that it took to compile and load kernels: the clock of searches."""
    return time.process_time() - _compiling[0]


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit` whose machine code is cached in the user's cache directory; a cache that fails costs time, never an error."""
    import numba

    def compiled(function: F) -> F:
        dispatcher = numba.njit(**options)(function)
        dispatcher._cache = _cache(function)
        dispatcher.compile = _as_ours(dispatcher, dispatcher.targetctx.get_executable)
        return cast(F, dispatcher)

    return compiled


def helper(allocates: bool = False, inline: bool = False) -> Callable[[F], F]:
    """`njit` for what only kernels call: no way in from Python, no machine code but in those kernels, nothing kept by itself, and unless it
    `allocates` arrays, no counting of references to them.

    Counting is what a call costs that passes a plan of thirty arrays: half a microsecond. inline: make no call at all, where even that
    of a few arrays tells.
    """
    import numba

    def compiled(function: F) -> F:
        dispatcher = numba.njit(
            error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=allocates, forceinline=inline
        )(function)  # fmt: skip
        dispatcher.compile = _as_ours(dispatcher, _left_to_callers(dispatcher.targetctx.get_executable))
        return cast(F, dispatcher)

    return compiled


def _as_ours(dispatcher: Any, executable: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with `executable` to make machine code of what LLVM is given, and without vectorized loops.

    Ours run over a few ranks, tensors or ports, where vectors cost more than they save. Numba has both settings for a whole process
    only; others' functions keep theirs.
    """
    from numba import config

    honest, context = dispatcher.compile, dispatcher.targetctx

    def compiled(signature: Any) -> Any:
        before = config.LOOP_VECTORIZE, context.get_executable
        config.LOOP_VECTORIZE, context.get_executable = 0, executable
        started, known = time.process_time(), _compiling[0]
        try:
            return honest(signature)
        finally:
            config.LOOP_VECTORIZE, context.get_executable = before
            _compiling[0] = known + time.process_time() - started

    return compiled


def _left_to_callers(honest: Callable[..., Any]) -> Callable[..., Any]:
    """Make no machine code: a caller has what it calls in its own module, which is optimized and made as one.

    Numba optimizes and makes every function by itself as well, and so all that it calls once more: a third of the time to compile.
    """

    def executable(library: Any, fndesc: Any, env: Any) -> Any:
        try:
            from numba._dynfunc import make_function

            finish_globals = library._finalize_dynamic_globals
            library._optimize_final_module, library._finalize_final_module  # noqa: B018
        except (AttributeError, ImportError):  # a Numba with other insides
            return honest(library, fndesc, env)

        def finish() -> None:
            finish_globals()
            library._finalized = True

        library._optimize_final_module = lambda: None
        library._finalize_final_module = finish
        library.finalize()
        return make_function(fndesc.lookup_module(), fndesc.qualname.split(".")[-1], "", 0, env, (library,))

    return executable


def _cache(function: Callable[..., Any]) -> Any:
    """A Numba cache that treats every failure to read or write as a miss."""
    from numba import config
    from numba.core.caching import FunctionCache, NullCache

    class Tolerant(FunctionCache):  # type: ignore[misc]
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            found = None
            with suppress(Exception):  # a damaged or vanished file: compile again
                alone = getattr(self, "_load_overload", None)
                load = alone if alone and _is_ready_to_load(target_context) else super().load_overload
                found = load(sig, target_context)
            for tell in before_compiling if found is None else ():
                tell()
            return found

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                super().save_overload(sig, data)
            except Exception:  # read-only, full or shared: go without
                return

    class Nothing(NullCache):  # type: ignore[misc]
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            for tell in before_compiling:
                tell()

    # Where the directory cannot be written Numba would fall back on the source's own folder, which is not ours.
    before = config.CACHE_DIR
    try:
        where = _where(function.__code__.co_filename)
        os.makedirs(where, exist_ok=True)
        config.CACHE_DIR = str(where)
        return Tolerant(function) if os.access(where, os.W_OK) else Nothing()
    except (OSError, RuntimeError):
        return Nothing()
    finally:
        config.CACHE_DIR = before


def _is_ready_to_load(target_context: Any) -> bool:
    """Whether Numba has what machine code needs before it is loaded, and no more: the symbols of its run time and of its hashes.

    Numba's own `load_overload` first refreshes the context, which imports whatever Numba can compile, SciPy's linear algebra too, and
    takes longer than loading. Before it compiles anything Numba refreshes the context again.
    """
    try:
        import numba.cpython.hashing  # noqa: F401
        from numba.core.runtime import rtsys

        rtsys.initialize(target_context)
    except (AttributeError, ImportError):  # a Numba with other insides
        return False
    return True
