"""Proofs of hw/formal with yosys and z3.

A file proves what its module asserts; its first comments say `steps: N` (with `induction` if that holds too, or `unrolled` if the solver
is to get every wire as an unknown with an equation, which helps where choices nest deeply) and `seeded bug: FILE.sv: old => new`, a change
of hw/rtl that has to be refuted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rtl.runner import RTL

FORMAL = RTL.parent / "formal"
PASSED, FAILED = "PASSED", "FAILED"


@dataclass(frozen=True, slots=True)
class Bug:
    """A change of a file of hw/rtl."""

    file: str
    old: str
    new: str

    def seeded(self, folder: Path) -> Path:
        """A copy of hw/rtl with the bug, in a folder."""
        shutil.copytree(RTL, folder, dirs_exist_ok=True)
        text = (folder / self.file).read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.old!r} is in {self.file} {text.count(self.old)} times, it has to be there once"
        (folder / self.file).write_text(text.replace(self.old, self.new), encoding="utf-8")
        return folder


@dataclass(frozen=True, slots=True)
class Proof:
    """A file of hw/formal."""

    name: str
    steps: int
    induction: bool
    unrolled: bool
    bugs: tuple[Bug, ...]

    @classmethod
    def read(cls, file: Path) -> Proof:
        """What the comments of a file say."""
        text = file.read_text(encoding="utf-8")
        steps = re.search(r"^// steps: (\d+)( induction)?( unrolled)?$", text, re.MULTILINE)
        assert steps, f"{file.name} does not say how many steps"
        bugs = re.findall(r"^// seeded bug: (\S+\.sv): (.+?) => (.*)$", text, re.MULTILINE)
        return cls(file.stem, int(steps[1]), bool(steps[2]), bool(steps[3]), tuple(Bug(*each) for each in bugs))

    def outcome(self, rtl: Path, work: Path, induction: bool = False) -> str:
        """What the solver says of the assertions with this RTL: PASSED or FAILED."""
        sources = " ".join(str(file) for file in sorted(rtl.glob("*.sv")))
        script = (
            f"read_verilog -sv -formal {sources} {FORMAL / self.name}.sv; prep -top {self.name}; async2sync; dffunmap; write_smt2 -wires"
        )
        smt = work / "proof.smt2"
        done = subprocess.run(["yosys", "-q", "-p", f"{script} {smt}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "yosys-smt2-assert" in smt.read_text(encoding="utf-8"), f"no assertion of {self.name} reached the solver"
        options = [*(["-i"] if induction else []), *(["--unroll"] if self.unrolled else [])]
        command = ["yosys-smtbmc", "-s", "z3", "-t", str(self.steps), *options, str(smt)]
        done = subprocess.run(command, capture_output=True, text=True)
        said = re.findall(r"Status: (PASSED|FAILED)", done.stdout)
        assert said, f"the solver said nothing: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        return str(said[-1])


def proofs() -> list[Proof]:
    """All of them."""
    return [Proof.read(file) for file in sorted(FORMAL.glob("*.sv"))]
