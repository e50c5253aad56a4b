"""Progress: a running clock on a terminal, a line now and then in a pipe, and a word about compiling where there are no kernels yet."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.report.progress import progress

REPOSITORY = Path(__file__).parents[2]
WORK = "import time\nfrom accelsim.report.progress import progress\nwith progress() as tell:\n    tell('working')\n    time.sleep(1.3)\n"
KERNEL = """
from accelsim.kernel_cache import njit
from accelsim.report.progress import progress

@njit()
def double(x):
    return 2 * x

with progress() as tell:
    tell('working')
    double(21)
"""


def on_a_terminal(code: str, cache: Path) -> str:
    """What a script writes to a terminal as its standard error."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "XDG_CACHE_HOME": str(cache), "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment):
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 65536):
                written += data
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return written.decode()


def test_clock_runs_while_the_work_says_nothing(tmp_path: Path) -> None:
    text = on_a_terminal(WORK, tmp_path)
    assert "working" in text
    assert "0:00:00" in text
    assert "0:00:01" in text
    assert "compiling" not in text


@pytest.mark.slow
def test_first_run_says_that_kernels_are_compiled_and_the_second_does_not(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KERNEL)
    code = f"import runpy; runpy.run_path({str(script)!r})"
    assert "compiling kernels, once: working" in on_a_terminal(code, tmp_path)
    again = on_a_terminal(code, tmp_path)
    assert "working" in again
    assert "compiling" not in again


def test_stream_in_place_of_standard_error_gets_no_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.report.progress.EVERY_S", 0.0)
    with progress() as tell:
        tell("working")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("wanted", "lines"), [(True, ["12 s: step 3", "24 s: step 6"]), (False, [])])
def test_pipe_gets_a_line_now_and_then_unless_it_is_not_wanted(wanted: bool, lines: list[str]) -> None:
    """A clock of the test's own: every step takes four seconds, and a line waits for ten."""
    code = f"""
import time
from accelsim.report.progress import progress
now = iter(range(0, 100, 4))
time.monotonic = lambda: next(now)
with progress({wanted}) as tell:
    for step in range(1, 8):
        tell(f'step {{step}}')
"""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == ""
    assert ran.stderr.splitlines() == lines
