"""Compiled kernels are kept in the user's cache directory; a cache that fails costs time, never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from accelsim import kernel_cache

KERNEL = """
from accelsim.kernel_cache import njit

@njit()
def double(x):
    return 2 * x

print(double(21), double._cache_hits.total() if hasattr(double._cache_hits, "total") else sum(double._cache_hits.values()))
"""


def run(folder: Path, cache: str) -> str:
    """Compile and call a kernel in a new process; what it printed."""
    script = folder / "kernel.py"
    if not script.exists():
        script.write_text(KERNEL)
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": cache, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True).stdout


def test_second_run_takes_the_kernel_from_the_users_cache(tmp_path: Path) -> None:
    assert run(tmp_path, str(tmp_path / "cache")) == "42 0\n"
    assert run(tmp_path, str(tmp_path / "cache")) == "42 1\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["accelsim"]


def test_directory_that_cannot_be_made_is_no_error_and_nothing_is_left_elsewhere(tmp_path: Path) -> None:
    assert run(tmp_path, "/proc/nowhere") == "42 0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.py"]


def test_damaged_cache_is_no_error(tmp_path: Path) -> None:
    run(tmp_path, str(tmp_path / "cache"))
    for path in (tmp_path / "cache").rglob("*.nb?"):
        path.write_bytes(b"not machine code")
    assert run(tmp_path, str(tmp_path / "cache")) == "42 0\n"


def test_others_functions_are_compiled_as_before() -> None:
    from numba import config

    seen: list[int] = []

    def compile(signature: object) -> None:
        seen.append(config.LOOP_VECTORIZE)

    before = config.LOOP_VECTORIZE
    kernel_cache._without_vectors(compile)(())
    assert seen == [0]
    assert before == config.LOOP_VECTORIZE
