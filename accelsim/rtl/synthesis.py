"""Modules of RTL as flat netlists of simple gates and flip-flops, by yosys.

A netlist is made once for each text of the RTL, its parameters and the release of yosys, and kept in the user's cache directory.
Memories stay whole. Enables and resets of flip-flops are gates.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from accelsim.cache import kept
from accelsim.errors import InputError, did_you_mean
from accelsim.rtl.netlist import FLOP, SIMPLE

Module: TypeAlias = dict[str, Any]

MEMORY = "$mem_v2"
COARSE = (
    "chparam {parameters} {top}; hierarchy -check -top {top}; proc; {apart}flatten; opt_expr; opt_clean;"
    " check -assert; opt -nodffe -nosdff; fsm; opt; wreduce; peepopt; opt_clean; alumacc; share; opt; {memory};"
    " opt_clean; opt -fast -full; opt -undriven -fine; techmap; dfflegalize -cell $_DFF_P_ x; opt_expr; opt_merge; opt_clean; "
)
SCRIPT = "read_verilog -sv {sources}; " + COARSE + "abc {effort}-g cmos; opt_clean -purge; check -assert; write_json "
WHOLE = "memory -nordff -nomap"  # memories are cells


@cache
def version() -> str:
    """Of yosys. InputError if it is missing."""
    if shutil.which("yosys") is None:
        raise InputError("yosys is not installed", "on Debian: apt-get install yosys")
    return subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()


def sources(module: str, rtl: Path) -> list[str]:
    """Files of a module and of all below it. Others are not read: what yosys makes hangs on the names that it has given before."""
    known = sorted(file.stem for file in rtl.glob("*.sv"))
    if module not in known:
        raise InputError(f"there is no module {module} in {rtl}", did_you_mean(module, known))
    found, left = set[str](), [module]
    while left:
        now = left.pop()
        found.add(now)
        words = set(re.findall(r"\w+", re.sub(r"//.*", "", (rtl / f"{now}.sv").read_text(encoding="utf-8"))))
        left += [name for name in known if name in words and name not in found]
    return [f"{name}.sv" for name in sorted(found)]


def synthesise(rtl: Path, module: str, parameters: Mapping[str, int], apart: Sequence[str] = (), effort: str = "") -> Module:
    """The flat module of `write_json`. InputError if yosys is missing or refuses, and for latches and whatever else is no gate.

    rtl: the folder of the sources, a module in each. apart: modules whose copies stay cells; effort: `-fast `, without a search for gates
    that compute the same.
    """
    files = sources(module, rtl)
    script = SCRIPT.format(
        sources=" ".join(files), top=module, memory=WHOLE, apart="".join(f"blackbox *{each}*; " for each in apart), effort=effort,
        parameters=" ".join(f"-set {name} {value}" for name, value in parameters.items()),
    )  # fmt: skip
    told = f"{module} {dict(parameters)}"
    key = repr((version(), script, [(rtl / file).read_text(encoding="utf-8") for file in files]))
    written = json.loads(kept("netlist", key, lambda: _made(script, rtl, told)))["modules"].values()
    (found,) = (each for each in written if "top" in each["attributes"])
    for cell in found["cells"].values():
        cell["type"] = next((each for each in apart if each in cell["type"]), cell["type"])  # the name says its parameters too
    kinds = {cell["type"] for cell in found["cells"].values()} - {*apart, *SIMPLE, FLOP, MEMORY}
    if kinds:
        raise InputError(f"{told} is not made of gates and flip-flops: {', '.join(sorted(kinds))}", "describe it without them")
    flat: Module = found
    return flat


def _made(script: str, rtl: Path, told: str) -> bytes:
    """What yosys writes."""
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "out.json"
        done = subprocess.run(["yosys", "-q", "-p", f"{script}{out}"], capture_output=True, text=True, cwd=rtl)
        if done.returncode:
            said = [line for line in (done.stderr or done.stdout).strip().splitlines() if "ERROR" in line] or ["it says nothing"]
            raise InputError(f"yosys refuses {told}: {said[0].replace('ERROR: ', '')}", "see hw/rtl")
        return out.read_bytes()
