"""Damaged copies of every shipped file: accelsim answers each with an exit code and one message, soon, never with a traceback.

5,000 mutations in `make test`, 600 in `make check`, 50,000 in `make evidence`; seeded, and the shipped files find themselves.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from accelsim.cli import main
from accelsim.io.catalogue import KINDS, MAPPING, Kind, shipped
from tests.fuzz.mutations import mutate

FILES = [(kind, path) for kind in KINDS for path in shipped(kind).values()]
TOTAL = 50_000 if os.environ.get("ACCELSIM_EVIDENCE") else 600 if os.environ.get("HYPOTHESIS_PROFILE") == "quick" else 5_000
SHARDS = 4
EACH = -(-TOTAL // (SHARDS * max(len(FILES), 1)))
CPU_SECONDS = 2.0
HANG_SECONDS = 60


class Hang(BaseException):
    """Raised by the alarm; nothing may catch it."""


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raise Hang if the body takes this long."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(*arguments: str) -> tuple[int, str, float]:
    """Exit code, standard error and processor seconds of a command run in this process."""
    out, err = io.StringIO(), io.StringIO()
    started = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alarm(HANG_SECONDS):
        code = main(arguments)
    return code, err.getvalue(), time.process_time() - started


def assert_answered(arguments: tuple[str, ...], path: Path, what: str) -> None:
    """Fail with the damaged text unless the command ends with 0, or with 1 or 2 and a message, in time."""
    code, message, seconds = answer(*arguments)
    shown = f"{' '.join(arguments)} after {what}\n{message}\n{path.read_bytes()!r}"
    assert code in {0, 1, 2}, shown
    assert (message == "") == (code == 0), shown
    assert "Traceback" not in message, shown
    assert seconds < CPU_SECONDS, f"{seconds:.1f} s: {shown}"


def commands(kind: Kind, path: Path) -> tuple[str, ...]:
    """The command that reads a damaged file as far as possible."""
    if kind is MAPPING:
        workload, machine = companions(path)
        return ("check", str(path), "--workload", workload, "--arch", machine, "-q")
    return ("check", str(path), "-q")


def companions(path: Path) -> tuple[str, str]:
    """A workload and a machine for which a shipped mapping is legal."""
    raise NotImplementedError


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize(("kind", "path"), FILES, ids=[f"{kind.plural}-{path.stem}" for kind, path in FILES])
def test_damaged_file_is_answered_with_one_message(kind: Kind, path: Path, shard: int, tmp_path: Path) -> None:
    draw = random.Random(f"{path.stem}/{shard}")
    text = path.read_bytes()
    damaged = tmp_path / path.name
    for _ in range(EACH):
        content, what = mutate(text, draw)
        damaged.write_bytes(content)
        assert_answered(commands(kind, damaged), damaged, what)
