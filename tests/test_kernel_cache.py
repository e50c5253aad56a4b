"""Compiled kernels are kept in the user's cache directory; a cache that fails costs time, never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim import kernel_cache

KERNEL = """
from accelsim.kernel_cache import njit

@njit()
def double(x):
    return 2 * x

print(double(21), double._cache_hits.total() if hasattr(double._cache_hits, "total") else sum(double._cache_hits.values()))
"""

# What needs of Numba most: array memory, a dict of strings, whose hashes have a seed, and a product by BLAS.
DEMANDING = """
import sys
import numpy as np
from accelsim.kernel_cache import njit

@njit()
def memory(count):
    return [x + 0.5 for x in range(count)], np.exp(np.zeros(count))

@njit()
def letters(text):
    seen = {}
    for letter in text:
        seen[letter] = 1
    return len(seen)

@njit()
def product(a, b):
    return np.dot(a, b)[0, 0]

for call in (lambda: memory(2), lambda: letters("abca"), lambda: product(np.ones((2, 2)), np.ones((2, 2)))):
    print(call())
    print("scipy.linalg" in sys.modules, file=sys.stderr)
"""


def run(folder: Path, cache: str, source: str = KERNEL) -> str:
    """Compile and call kernels in a new process; what it printed."""
    return process(folder, cache, source).stdout


def process(folder: Path, cache: str, source: str) -> subprocess.CompletedProcess[str]:
    """A new process that compiles and calls kernels."""
    script = folder / "kernel.py"
    if not script.exists():
        script.write_text(source)
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": cache, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_second_run_takes_the_kernel_from_the_users_cache(tmp_path: Path) -> None:
    assert run(tmp_path, str(tmp_path / "cache")) == "42 0\n"
    assert run(tmp_path, str(tmp_path / "cache")) == "42 1\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["accelsim"]


def test_directory_that_cannot_be_made_is_no_error_and_nothing_is_left_elsewhere(tmp_path: Path) -> None:
    assert run(tmp_path, "/proc/nowhere") == "42 0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.py"]


@pytest.mark.slow
def test_damaged_cache_is_no_error(tmp_path: Path) -> None:
    run(tmp_path, str(tmp_path / "cache"))
    for path in (tmp_path / "cache").rglob("*.nb?"):
        path.write_bytes(b"not machine code")
    assert run(tmp_path, str(tmp_path / "cache")) == "42 0\n"


@pytest.mark.slow
def test_loading_imports_no_linear_algebra_and_compiling_afterwards_still_works(tmp_path: Path) -> None:
    cache, results = str(tmp_path / "cache"), "([0.5, 1.5], array([1., 1.]))\n3\n2.0\n"
    cold = process(tmp_path, cache, DEMANDING)
    assert (cold.stdout, cold.stderr) == (results, "True\nTrue\nTrue\n")
    warm = process(tmp_path, cache, DEMANDING)
    assert (warm.stdout, warm.stderr) == (results, "False\nFalse\nTrue\n")  # BLAS is SciPy's
    for path in (tmp_path / "cache").rglob("*letters*.nb?"):
        path.unlink()
    mixed = process(tmp_path, cache, DEMANDING)
    assert (mixed.stdout, mixed.stderr) == (results, "False\nTrue\nTrue\n")


# Numba's own way to load, which says that it is taken, and a Numba whose parts have other names.
OTHER_INSIDES = """
from numba.core import caching, runtime
(owner,) = [each for each in caching.FunctionCache.__mro__ if "_load_overload" in vars(each)]
load, start = owner._load_overload, runtime.rtsys

def load_overload(self, sig, context):
    print("own way", end=" ")
    start.initialize(context)
    return load(self, sig, context)

caching.FunctionCache.load_overload = load_overload
"""


@pytest.mark.parametrize("lacking", ["del owner._load_overload", "runtime.rtsys = None", "del runtime.rtsys"])
@pytest.mark.slow
def test_numba_with_other_insides_loads_in_its_own_way(tmp_path: Path, lacking: str) -> None:
    source, cache = f"{OTHER_INSIDES}{lacking}\n{KERNEL}", str(tmp_path / "cache")
    assert run(tmp_path, cache, source) == "own way 42 0\n"
    assert run(tmp_path, cache, source) == "own way 42 1\n"


def test_others_functions_are_compiled_as_before() -> None:
    import numba
    from numba import config

    seen: list[object] = []
    dispatcher = numba.njit(lambda x: x)
    context = dispatcher.targetctx
    dispatcher.compile = lambda signature: seen.extend([config.LOOP_VECTORIZE, context.get_executable])
    vectors, honest, ours = config.LOOP_VECTORIZE, context.get_executable, object()
    kernel_cache._as_ours(dispatcher, ours)(())  # type: ignore[arg-type]
    assert seen == [0, ours]
    assert (config.LOOP_VECTORIZE, context.get_executable) == (vectors, honest)


# Helpers that call each other and themselves, make arrays and raise, in two kernels that share them.
SHARED = """
import numpy as np
from accelsim.kernel_cache import helper, njit

@helper()
def half(x):
    if x < 0:
        raise ValueError("below zero")
    return x // 2

@helper()
def steps(x):
    return 0 if x == 0 else 1 + steps(half(x))

@helper(allocates=True)
def row(x):
    made = np.zeros(3)
    made[:] = steps(x)
    return made

@njit()
def first(x):
    return row(x).sum() + half(x)

@njit()
def second(x):
    return steps(x) + first(x)

print(first(9), second(9))
try:
    first(-1)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_kernels_share_helpers_that_have_no_machine_code_and_are_not_kept(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert run(tmp_path, cache, SHARED) == run(tmp_path, cache, SHARED) == "16.0 20.0\nbelow zero\n"
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache").rglob("*.nbi")}
    assert kept == {"kernel.first", "kernel.second"}


@pytest.mark.slow
def test_helpers_are_compiled_by_a_numba_with_other_insides(tmp_path: Path) -> None:
    other = (
        "from numba.core.codegen import CPUCodeLibrary\n"
        "scan = CPUCodeLibrary.__dict__['_finalize_dynamic_globals']\n"
        "del CPUCodeLibrary._finalize_dynamic_globals\n"
        "finish = CPUCodeLibrary._finalize_final_module\n"
        "def otherwise(self):\n"
        "    vars(self)['_finalize_dynamic_globals'] = lambda: scan(self)\n"
        "    finish(self)\n"
        "CPUCodeLibrary._finalize_final_module = otherwise\n"
    )
    assert run(tmp_path, str(tmp_path / "cache"), other + SHARED) == "16.0 20.0\nbelow zero\n"


def test_the_clock_of_searches_stands_still_while_kernels_are_compiled(tmp_path: Path) -> None:
    source = (
        "import time\n"
        "from accelsim.kernel_cache import cpu_seconds, njit\n"
        "@njit()\ndef more(x):\n    return x + 1\n"
        "before = time.process_time(), cpu_seconds()\nmore(1)\n"
        "print(time.process_time() - before[0], cpu_seconds() - before[1])\n"
    )
    said = process(tmp_path, str(tmp_path / "cache"), source).stdout
    whole, counted = map(float, said.split())
    assert counted < 0.5 * whole, said


@pytest.mark.slow
def test_a_kernel_is_stale_when_its_file_changes(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert [run(tmp_path, cache), run(tmp_path, cache)] == ["42 0\n", "42 1\n"]
    (tmp_path / "kernel.py").write_text(KERNEL.replace("2 * x", "3 * x"))
    assert run(tmp_path, cache) == "63 0\n"


def test_the_folder_of_a_file_goes_by_what_it_imports_when_it_is_loaded() -> None:
    root = Path(kernel_cache.__file__).parent
    texts = kernel_cache._texts(str(root / "sim" / "kernels_leaps.py"))
    for name in ("kernels_leaps", "kernels_likeness", "kernels_event_state", "kernels_boxes"):
        assert (root / "sim" / f"{name}.py").read_bytes() in texts
    assert (root / "kernel_cache.py").read_bytes() in texts
    assert (root / "mapper" / "kernels.py").read_bytes() not in texts


def test_a_file_is_cold_until_a_kernel_of_it_has_been_compiled(tmp_path: Path) -> None:
    source = """
from accelsim.kernel_cache import is_cold
import numpy as np
print(is_cold("mapper/kernels_fronts.py"))
from accelsim.mapper.kernels_fronts import sift
sift(np.zeros((1, 1)), np.zeros(1, np.int64), np.zeros(1, np.int64))
print(is_cold("mapper/kernels_fronts.py"))
"""
    assert run(tmp_path, str(tmp_path / "cache"), source) == "True\nFalse\n"
