"""Single-point mutants of the RTL: does the bench of a module notice?

python -m tests.rtl.mutation [MODULE ...]    every mutant of some modules, or of all; prints those that survive

A mutant changes one token of an assignment, a condition or a connection. Those that Icarus refuses are no mutants. `SURVIVORS` are those
that no bench can kill, with the reason.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random

from tests.rtl.runner import RTL, lint, modules, simulate
from tests.rtl.survivors import SURVIVORS

CASES = 6
KILLED, SURVIVED, REFUSED = "killed", "survived", "refused"
SWAPS = (
    (r"&&", "||"), (r"\|\|", "&&"), (r"==", "!="), (r"!=", "=="), (r"(?<![&\w'])&(?!&)", "|"), (r"(?<=[\w)\]] )\|(?!\|)", "&"),
    (r"\^", "&"), (r"(?<!\+)\+(?![+:])", "-"), (r"(?<!-)-(?![-:])", "+"), (r"\*(?!\*)", "+"), (r"<<", ">>"), (r"(?<!>)>>(?!>)", "<<"),
    (r"(?<=\w )<(?= )", ">="), (r"(?<=\w )>(?= )", "<="), (r">=", "<"), (r"!(?=[\w(])", ""), (r"~(?=[\w(])", ""),
    (r"1'b0", "1'b1"), (r"1'b1", "1'b0"), (r"'0", "'1"), (r"\bif \(", "if (!"),
)  # fmt: skip
STUCK = re.compile(r"^(\s*(?:if \(.*\) |else )?)([\w\[\]]+) <= (?!'0|1'b0)[^;]*;")
DECLARED = re.compile(r"^\s*(?:input|output|parameter|localparam|genvar|module|`|for |logic [^=]*;)|\bfor \(")


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


def fate(mutant: Mutant, work: Path) -> str:
    """What becomes of a mutant: killed by the bench of its module or by lint, or not, or refused by Icarus."""
    rtl = work / "rtl"
    shutil.copytree(RTL, rtl, dirs_exist_ok=True)
    lines = (RTL / f"{mutant.module}.sv").read_text(encoding="utf-8").splitlines()
    lines[mutant.number - 1] = mutant.new
    (rtl / f"{mutant.module}.sv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    configurations = import_module(f"tests.rtl.bench_{mutant.module}").PARAMETERS
    for parameters in configurations:
        try:
            ran, failed, _ = simulate(mutant.module, parameters, 2, CASES, work / "builds", rtl)
        except Exception:  # of the build
            return REFUSED
        if failed or not ran:
            return KILLED
    return KILLED if any(lint(mutant.module, parameters, rtl) for parameters in configurations) else SURVIVED


def sample(count: int, seed: int) -> list[Mutant]:
    """Some mutants, from every module."""
    every = [list(mutants(module)) for module in modules()]
    rng = Random(seed)
    share = max(1, count // len(every))
    return [each for all_of in every for each in rng.sample(all_of, min(share, len(all_of)))]


def main(names: list[str]) -> None:
    """All mutants of some modules."""
    told = {KILLED: 0, SURVIVED: 0, REFUSED: 0}
    for module in names or modules():
        for mutant in mutants(module):
            with tempfile.TemporaryDirectory() as work:
                found = fate(mutant, Path(work))
            told[found] += 1
            if found == SURVIVED:
                print(f"survived: {mutant}  [{SURVIVORS.get(mutant.key, 'no reason')}]", flush=True)
    killed, survived = told[KILLED], told[SURVIVED]
    print(f"{killed + survived} mutants, {killed} killed ({killed / max(1, killed + survived):.1%}); {told[REFUSED]} refused by Icarus")


if __name__ == "__main__":
    main(sys.argv[1:])
