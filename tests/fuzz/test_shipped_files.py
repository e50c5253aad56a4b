"""Damaged copies of every shipped file: accelsim answers each with an exit code and one message, soon, never with a traceback.

Some 800 mutations in `make test`, one or two of each file in `make check`, 50,000 in `make evidence`; seeded, and files find themselves.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from accelsim.cli import main
from accelsim.io.catalogue import KINDS, MACHINE, MAPPING, WORKLOAD, Kind, about, resolve, shipped
from accelsim.io.source import load, plain
from tests.fuzz.mutations import mutate
from tests.share import share

FILES = [(kind, path) for kind in KINDS for path in shipped(kind).values()]
TOTAL = share(50_000, 700, 400)
SHARDS = share(4, 1, 1)
EACH = -(-TOTAL // (SHARDS * max(len(FILES), 1)))
CPU_SECONDS = 2.0
HANG_SECONDS = 60


class Hang(BaseException):
    """Raised by the alarm; nothing may catch it."""


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raise Hang if the body takes this much of the processor, or ten times as long by the clock: others may be at work, too."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Hang

    timers = {signal.ITIMER_PROF: (signal.SIGPROF, seconds), signal.ITIMER_REAL: (signal.SIGALRM, 10 * seconds)}
    before = {which: signal.signal(which, ring) for which, _ in timers.values()}
    for timer, (_, limit) in timers.items():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for which, handler in before.items():
            signal.signal(which, handler)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Compile the kernels first: that takes its time once for each user, and is not what is measured here."""
    for path in shipped(MAPPING).values():
        found = companions(path)
        if found is not None:
            answer(*found.evaluate(path), limit=0)
    # a key length that the inner tile does not divide: the larger kernel, which no shipped file needs
    answer("evaluate", "attention", "--arch", "spatial", "--mapping", "attention-interleaved", "--set", "shape.m=300", "-q", limit=0)


def answer(*arguments: str, limit: int = HANG_SECONDS) -> tuple[int, str, float]:
    """Exit code, standard error and processor seconds of a command run in this process; Hang after `limit` seconds, 0 for none."""
    out, err = io.StringIO(), io.StringIO()
    started = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alarm(limit):
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


@dataclass(frozen=True, slots=True)
class Companions:
    """A workload and a machine, by name, for which a shipped mapping is legal, and the shape for which it is."""

    workload: str
    machine: str
    shape: tuple[str, ...]

    def evaluate(self, mapping: Path, workload: Path | None = None, machine: Path | None = None) -> tuple[str, ...]:
        """The command that evaluates a mapping, with other files in their places where given."""
        work, arch = str(workload or self.workload), str(machine or self.machine)
        return ("evaluate", work, "--arch", arch, "--mapping", str(mapping), "-q", *self.settings)

    @property
    def settings(self) -> tuple[str, ...]:
        """The shape as settings of the command line."""
        return tuple(word for setting in self.shape for word in ("--set", setting))


@functools.cache
def companions(path: Path) -> Companions | None:
    """The workload and the machine that a shipped mapping names, in their own shape where it is legal, else in a smaller one."""
    named = re.match(r"(\S+) on (\S+): ", about(path))
    assert named, f"{path}: begin its about with 'WORKLOAD on MACHINE: '"
    for most in (None, 512):
        found = Companions(named[1], named[2], _smaller(named[1], most))
        if answer("check", str(path), "--workload", named[1], "--arch", named[2], "-q", *found.settings)[0] == 0:
            return found
    return None


def _smaller(workload: str, most: int | None) -> tuple[str, ...]:
    """Settings that cut every rank of a shipped workload to at most `most`."""
    shape = plain(load(resolve(workload, WORKLOAD))).get("shape", {})
    return tuple(f"shape.{rank}={most}" for rank, size in shape.items() if most is not None and size > most)


def commands(kind: Kind, path: Path, damaged: Path) -> list[tuple[str, ...]]:
    """The commands that read the damaged copy of a shipped file as far as possible."""
    if kind is not MAPPING:
        return [("check", str(damaged), "-q"), *_evaluations(kind, path, damaged)]
    found = companions(path)
    assert found is not None, f"{path} is legal for no shipped workload on any shipped machine"
    return [found.evaluate(damaged)]


def _evaluations(kind: Kind, path: Path, damaged: Path) -> list[tuple[str, ...]]:
    """An evaluation of a shipped mapping that uses the damaged file, where there is one."""
    mapping = users().get(path)
    found = mapping and companions(mapping)
    if mapping is None or found is None:
        return []
    return [found.evaluate(mapping, workload=damaged) if kind is WORKLOAD else found.evaluate(mapping, machine=damaged)]


@functools.cache
def users() -> dict[Path, Path]:
    """Of every workload and machine that a shipped mapping uses, the first such mapping."""
    first: dict[Path, Path] = {}
    for mapping in shipped(MAPPING).values():
        if found := companions(mapping):
            first.setdefault(resolve(found.workload, WORKLOAD), mapping)
            first.setdefault(resolve(found.machine, MACHINE), mapping)
    return first


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize(("kind", "path"), FILES, ids=[f"{kind.plural}-{path.stem}" for kind, path in FILES])
def test_damaged_file_is_answered_with_one_message(kind: Kind, path: Path, shard: int, tmp_path: Path) -> None:
    draw = random.Random(f"{path.stem}/{shard}")
    text = path.read_bytes()
    damaged = tmp_path / path.name
    for _ in range(EACH):
        content, what = mutate(text, draw)
        damaged.write_bytes(content)
        for command in commands(kind, path, damaged):
            assert_answered(command, damaged, what)
