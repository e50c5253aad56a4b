"""Where compiled kernels are kept between runs, and the `njit` that every `kernels.py` uses."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from accelsim.cache import folder

F = TypeVar("F", bound=Callable[..., Any])
_compiling = [0.0]  # CPU seconds so far


def directory() -> Path:
    """The user's cache directory for this version of the kernels; it need not exist or be writable.

    One folder per text of all kernels and of this file: a kernel that calls one of another file, or is compiled otherwise, is stale.
    """
    digest = hashlib.sha256(sys.version.encode())
    for source in sorted(Path(__file__).parent.rglob("kernel*.py")):
        digest.update(source.read_bytes())
    return folder() / f"kernels-{digest.hexdigest()[:16]}"


def cpu_seconds() -> float:
    """CPU seconds of this process, less those that it took to compile and load kernels: the clock of searches."""
    return time.process_time() - _compiling[0]


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit` whose machine code is cached in the user's cache directory; a cache that fails costs time, never an error."""
    import numba

    def compiled(function: F) -> F:
        dispatcher = numba.njit(**options)(function)
        dispatcher._cache = _cache(function)
        dispatcher.compile = _without_vectors(dispatcher.compile)
        return cast(F, dispatcher)

    return compiled


def helper(allocates: bool = False, inline: bool = False) -> Callable[[F], F]:
    """`njit` for what only kernels call: no way in from Python, and unless it `allocates` arrays, no counting of references to them.

    Counting is what a call costs that passes a plan of thirty arrays: half a microsecond. inline: make no call at all, where even that
    of a few arrays tells.
    """
    return njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=allocates, forceinline=inline)


def _without_vectors(honest: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without vectorized loops: ours run over a few ranks, tensors or ports, where vectors cost more than they save.

    Numba has this setting for a whole process only; others' functions keep theirs.
    """
    from numba import config

    def compiled(signature: Any) -> Any:
        before, config.LOOP_VECTORIZE = config.LOOP_VECTORIZE, 0
        started, known = time.process_time(), _compiling[0]
        try:
            return honest(signature)
        finally:
            config.LOOP_VECTORIZE = before
            _compiling[0] = known + time.process_time() - started

    return compiled


def _cache(function: Callable[..., Any]) -> Any:
    """A Numba cache that treats every failure to read or write as a miss."""
    from numba.core.caching import FunctionCache, NullCache

    class Tolerant(FunctionCache):  # type: ignore[misc]
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                alone = getattr(self, "_load_overload", None)
                load = alone if alone and _is_ready_to_load(target_context) else super().load_overload
                return load(sig, target_context)
            except Exception:  # a damaged or vanished file: compile again
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                super().save_overload(sig, data)
            except Exception:  # read-only, full or shared: go without
                return

    # Where the directory cannot be written Numba would fall back on the source's own folder, which is not ours.
    where = os.environ["NUMBA_CACHE_DIR"]
    try:
        os.makedirs(where, exist_ok=True)
        return Tolerant(function) if os.access(where, os.W_OK) else NullCache()
    except (OSError, RuntimeError):
        return NullCache()


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


def _point_numba_at_the_cache() -> None:
    """Let Numba write nowhere but in the user's cache directory, unless the user says otherwise."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    os.environ["NUMBA_CACHE_DIR"] = str(directory())
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


_point_numba_at_the_cache()
