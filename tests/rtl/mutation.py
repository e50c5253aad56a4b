"""Single-point mutants of the RTL: does the bench of a module notice?

python -m tests.rtl.mutation [--jobs N] [--share N] [MODULE ...]    every mutant of some modules, or of all, or a random share of N of each

A mutant changes one token of an assignment, a condition or a connection. Those that Icarus refuses are no mutants. `SURVIVORS` are those
that no bench can kill, with the reason. Those that survive and the score of each module are printed; what runs is told on stderr.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType

from tests.rtl.runner import RTL, lint, modules, simulate
from tests.rtl.survivors import SURVIVORS

CASES = 6
SEED = 2
LIMIT = 300  # s for the bench of one configuration: a mutant may never come to rest
MEMORY = 4 << 30  # bytes for a process: a width that turns negative is a vector of gigabits
KILLED, SURVIVED, EXPLAINED, REFUSED = "killed", "survived", "survived with a reason", "refused"
SWAPS = (
    (r"&&", "||"), (r"\|\|", "&&"), (r"==", "!="), (r"!=", "=="), (r"(?<![&\w'])&(?!&)", "|"), (r"(?<=[\w)\]] )\|(?!\|)", "&"),
    (r"\^", "&"), (r"(?<!\+)\+(?![+:])", "-"), (r"(?<!-)-(?![-:])", "+"), (r"\*(?!\*)", "+"), (r"<<", ">>"), (r"(?<!>)>>(?!>)", "<<"),
    (r"(?<=\w )<(?= )", ">="), (r"(?<=\w )>(?= )", "<="), (r">=", "<"), (r"!(?=[\w(])", ""), (r"~(?=[\w(])", ""),
    (r"1'b0", "1'b1"), (r"1'b1", "1'b0"), (r"'0", "'1"), (r"\bif \(", "if (!"),
)  # fmt: skip
STUCK = re.compile(r"^(\s*(?:if \(.*\) |else )?)([\w\[\]]+) <= (?!'0|1'b0)[^;]*;")
DECLARED = re.compile(r"^\s*(?:assign unused|input|output|parameter|localparam|genvar|module|`|for |logic [^=]*;)|\bfor \(")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A line of a module, counted from 1, with something else in it."""

    module: str
    number: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.module}.sv: {self.old.strip()} => {self.new.strip()}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others wherever its line stands."""
        return self.module, self.old.strip(), self.new.strip()


def mutants(module: str) -> Iterator[Mutant]:
    """All of a module."""
    for number, line in enumerate((RTL / f"{module}.sv").read_text(encoding="utf-8").splitlines(), 1):
        code = line.split("//")[0]
        if DECLARED.search(code):
            continue
        for pattern, other in SWAPS:
            for found in re.finditer(pattern, code):
                yield Mutant(module, number, line, code[: found.start()] + other + code[found.end() :])
        if stuck := STUCK.search(code):
            yield Mutant(module, number, line, f"{stuck[1]}{stuck[2]} <= {stuck[2]};")


class Restless(BaseException):
    """A simulation that does not end."""


def _restless(number: int, frame: FrameType | None) -> None:
    raise Restless


@cache
def passes(module: str, parameters: tuple[tuple[str, int], ...]) -> bool:
    """Whether the bench of a module is content with the module as it is, and so fails for what a mutant does."""
    with tempfile.TemporaryDirectory() as work:
        ran, failed, _ = simulate(module, dict(parameters), SEED, CASES, Path(work))
    return bool(ran and not failed)


def fate(mutant: Mutant, work: Path) -> str:
    """What becomes of a mutant: killed by the bench of its module or by lint, or not, or refused by Icarus."""
    rtl = work / "rtl"
    shutil.copytree(RTL, rtl, dirs_exist_ok=True)
    lines = (RTL / f"{mutant.module}.sv").read_text(encoding="utf-8").splitlines()
    lines[mutant.number - 1] = mutant.new
    (rtl / f"{mutant.module}.sv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    configurations = import_module(f"tests.rtl.bench_{mutant.module}").PARAMETERS
    signal.signal(signal.SIGALRM, _restless)
    for parameters in configurations:
        signal.alarm(LIMIT)
        try:
            ran, failed, _ = simulate(mutant.module, parameters, SEED, CASES, work / "builds", rtl)
        except Restless:
            return KILLED
        except Exception:  # of the build
            return REFUSED
        finally:
            signal.alarm(0)
        if failed or not ran:
            assert passes(mutant.module, tuple(parameters.items())), f"the bench of {mutant.module} fails without a mutant at {parameters}"
            return KILLED
    return KILLED if any(lint(mutant.module, parameters, rtl) for parameters in configurations) else SURVIVED


def sample(count: int, seed: int) -> list[Mutant]:
    """Some mutants, from every module."""
    every = [list(mutants(module)) for module in modules()]
    rng = Random(seed)
    share = max(1, count // len(every))
    return [each for all_of in every for each in rng.sample(all_of, min(share, len(all_of)))]


def _tried(mutant: Mutant) -> tuple[Mutant, str]:
    with tempfile.TemporaryDirectory() as work:
        return mutant, fate(mutant, Path(work))


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def fates(chosen: Sequence[Mutant], jobs: int = 1) -> Iterator[tuple[Mutant, str]]:
    """Mutants and what becomes of them, in processes of bounded memory."""
    with get_context("spawn").Pool(jobs, _bounded) as pool:
        yield from pool.imap_unordered(_tried, chosen)


def table(told: Counter[tuple[str, str]]) -> Iterator[str]:
    """Counts of each module and of all: survivors are split by whether they have a reason, and count against the score either way."""
    columns = (KILLED, EXPLAINED, SURVIVED, REFUSED)
    names = sorted({module for module, _ in told})
    yield f"{'module':24}{'killed':>9}{'with a reason':>16}{'without':>9}{'refused':>9}{'score':>9}"
    for name, inside in [*((name, {name}) for name in names), ("all", set(names))]:
        killed, explained, survived, refused = (sum(told[module, column] for module in inside) for column in columns)
        score = killed / max(1, killed + explained + survived)
        yield f"{name:24}{killed:9}{explained:16}{survived:9}{refused:9}{score:9.1%}"


def main(arguments: list[str]) -> None:
    """What becomes of mutants of some modules."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("module", nargs="*", help="modules of hw/rtl, by default all")
    asked.add_argument("--jobs", type=int, default=1, help="how many at a time")
    asked.add_argument("--share", type=int, default=0, help="how many of each module, by default all")
    asked.add_argument("--seed", type=int, default=5, help="of the share")
    found = asked.parse_args(arguments)
    rng, chosen = Random(found.seed), []
    for module in found.module or modules():
        every = list(mutants(module))
        chosen += rng.sample(every, found.share) if 0 < found.share < len(every) else every
    told: Counter[tuple[str, str]] = Counter()
    for number, (mutant, outcome) in enumerate(fates(chosen, found.jobs), 1):
        reason = SURVIVORS.get(mutant.key)
        told[mutant.module, EXPLAINED if outcome == SURVIVED and reason else outcome] += 1
        print(f"{number} of {len(chosen)}: {outcome}  {mutant}", file=sys.stderr, flush=True)
        if outcome == SURVIVED:
            print(f"survived: {mutant}  [{reason or 'no reason'}]", flush=True)
        elif reason:
            print(f"{outcome} although it has a reason to survive: {mutant}", flush=True)
    print("\n".join(table(told)))


if __name__ == "__main__":
    main(sys.argv[1:])
