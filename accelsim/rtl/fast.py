"""RTL through Verilator as a shared library: many cycles in one call, and pointers to registers.

A library is compiled once for each text of the RTL, its parameters and the compilers, and kept in the user's cache directory.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.cache import folder
from accelsim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint32]

CLOCK = "clk_i"
FAST, QUICK = "-O3 -march=native", "-O0"  # to run, to compile
_PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);")
_NEEDED = ("verilator", "g++", "make")
_HARNESS = """
#include <cstdint>
#include "V{top}.h"
#include "verilated.h"
#include "verilated_syms.h"

struct Sim {{ VerilatedContext context; V{top}* model; }};
double sc_time_stamp() {{ return 0; }}

extern "C" {{
void* make() {{
  Sim* sim = new Sim;
  sim->model = new V{top}(&sim->context, "TOP");
  sim->model->{clock} = 0;
  sim->model->eval();
  return sim;
}}
void drop(void* it) {{ Sim* sim = (Sim*)it; delete sim->model; delete sim; }}
void run(void* it, const uint32_t* in, uint32_t* out, int64_t cycles) {{
  V{top}* top = ((Sim*)it)->model;
  for (int64_t cycle = 0; cycle < cycles; ++cycle) {{
{inputs}
    top->{clock} = 0;
    top->eval();
{outputs}
    top->{clock} = 1;
    top->eval();
    in += {words_in};
    out += {words_out};
  }}
}}
void* site(void* it, const char* scope, const char* name) {{
  const VerilatedScope* found = ((Sim*)it)->context.scopeFind(scope);
  VerilatedVar* var = found ? found->varFind(name) : nullptr;
  return var ? var->datap() : nullptr;
}}
}}
"""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module; `at`: its first 32-bit word among those of all inputs, or of all outputs."""

    name: str
    width: int
    at: int

    @property
    def words(self) -> int:
        """How many 32-bit words it takes."""
        return -(-self.width // 32)


class Library:
    """A module with some parameters, compiled. `inputs` (but the clock) and `outputs` by name.

    InputError if Verilator or a C++ compiler is missing, or Verilator refuses the module.
    """

    def __init__(self, rtl: Path, module: str, parameters: Mapping[str, int], registers: Sequence[str] = (), effort: str = FAST) -> None:
        """rtl: the folder of the sources, a module in each. registers: `module.name` of those that `register` may reach. effort: options of
        the C++ compiler.
        """
        file = _compiled(rtl, module, tuple(sorted(parameters.items())), tuple(registers), effort)
        ports = _ports(file.with_suffix(".h").read_text(encoding="utf-8"))
        self.module = module
        self.inputs, self.outputs = ports
        self._library = ctypes.CDLL(str(file))
        for name, result in (("make", ctypes.c_void_p), ("site", ctypes.c_void_p), ("run", None), ("drop", None)):
            getattr(self._library, name).restype = result

    def start(self) -> Instance:
        """A fresh instance, all registers as at power-on."""
        return Instance(self)


class Instance:
    """One module on its way through time."""

    def __init__(self, library: Library) -> None:
        self.library, self._calls = library, library._library
        self._handle = ctypes.c_void_p(self._calls.make())

    def __del__(self) -> None:
        self._calls.drop(self._handle)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs of every cycle, sampled before its clock edge. Inputs and outputs are uint64[cycles] up to 64 bits wide, else
        uint32[cycles, words], the low word first; a number is held for all cycles, and what is not named is 0.
        """
        import numpy as np

        ports = self.library.inputs
        cycles = max((len(each) for each in inputs.values() if np.ndim(each)), default=1)
        words = np.zeros((cycles, _total(ports)), np.uint32)
        for name, values in inputs.items():
            if name not in ports:
                raise InputError(f"{self.library.module} has no input {name}", f"it has {', '.join(ports)}")
            _put(words, ports[name], values)
        found = np.zeros((cycles, _total(self.library.outputs)), np.uint32)
        self._calls.run(self._handle, ctypes.c_void_p(words.ctypes.data), ctypes.c_void_p(found.ctypes.data), ctypes.c_int64(cycles))
        return {name: _take(found, port) for name, port in self.library.outputs.items()}

    def register(self, scope: str, name: str, width: int) -> Any:
        """A register as uint8[bytes] that may be read and written between runs. scope: as `u_array.g_row[0].u_pe`, '' for the module."""
        import numpy as np

        where = ".".join(part for part in ("TOP", self.library.module, scope) if part)
        for path in (where, where.replace("[", "__BRA__").replace("]", "__KET__")):
            at = self._calls.site(self._handle, path.encode(), name.encode())
            if at:
                bytes_ = 1 if width <= 8 else 2 if width <= 16 else 4 * -(-width // 32)
                return np.ctypeslib.as_array(ctypes.cast(at, ctypes.POINTER(ctypes.c_uint8)), (bytes_,))
        raise InputError(f"{where} has no register {name}", "name it when the library is made")


def _total(ports: Mapping[str, Port]) -> int:
    return sum(port.words for port in ports.values())


def _put(words: Words, port: Port, values: Any) -> None:
    import numpy as np

    if port.width > 64:
        words[:, port.at : port.at + port.words] = values
        return
    wide = np.broadcast_to(np.asarray(values).astype(np.uint64), len(words))
    for part in range(port.words):
        words[:, port.at + part] = (wide >> np.uint64(32 * part)) & np.uint64(0xFFFFFFFF)


def _take(words: Words, port: Port) -> Any:
    import numpy as np

    if port.width > 64:
        return words[:, port.at : port.at + port.words].copy()
    found = words[:, port.at].astype(np.uint64)
    return found | words[:, port.at + 1].astype(np.uint64) << np.uint64(32) if port.words == 2 else found


def _ports(header: str) -> tuple[dict[str, Port], dict[str, Port]]:
    found: dict[str, dict[str, Port]] = {"IN": {}, "OUT": {}}
    for way, name, high, low in _PORT.findall(header):
        if name != CLOCK:
            at = _total(found[way])
            found[way][name] = Port(name, int(high) - int(low) + 1, at)
    return found["IN"], found["OUT"]


@cache
def _tools() -> str:
    """What tells the compilers from others. InputError if one is missing."""
    for tool in _NEEDED:
        if shutil.which(tool) is None:
            raise InputError(f"{tool} is not installed", "on Debian: apt-get install verilator g++ make")
    said = (subprocess.run([tool, "--version"], capture_output=True, text=True).stdout for tool in _NEEDED[:2])
    return "".join(said)


def _compiled(rtl: Path, module: str, parameters: tuple[tuple[str, int], ...], registers: tuple[str, ...], effort: str) -> Path:
    """The shared library, with the header of the module beside it."""
    sources = sorted(rtl.glob("*.sv"))
    if module not in {file.stem for file in sources}:
        raise InputError(f"there is no module {module} in {rtl}", f"it has {', '.join(file.stem for file in sources)}")
    key = hashlib.sha256(repr((module, parameters, registers, effort, _HARNESS, _tools())).encode())
    for file in sources:
        key.update(file.read_bytes())
    target = folder() / "rtl" / f"{module}-{key.hexdigest()[:16]}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            built = _build(module, parameters, registers, effort, rtl, Path(work))
            for file, at in ((built.parent / f"V{module}.h", target.with_suffix(".h")), (built, target)):
                os.replace(file, at)
    return target


def _build(module: str, parameters: tuple[tuple[str, int], ...], registers: tuple[str, ...], effort: str, rtl: Path, work: Path) -> Path:
    public = [f'public_flat_rw -module "{each.split(".")[0]}" -var "{each.split(".")[1]}"' for each in registers]
    (work / "public.vlt").write_text("\n".join(["`verilator_config", *public]) + "\n", encoding="utf-8")
    options = [f"-G{name}={value}" for name, value in parameters]
    command = ["verilator", "--cc", "--prefix", f"V{module}", "--top-module", module, "-O3", "--x-assign", "fast", "--x-initial", "fast"]
    command += ["-CFLAGS", f"-fPIC {effort}", "--Mdir", str(work / "made"), *options, "-y", str(rtl)]
    _call([*command, str(work / "public.vlt"), str(rtl / f"{module}.sv")], f"verilator refuses {module}")
    made = work / "made"
    inputs, outputs = _ports((made / f"V{module}.h").read_text(encoding="utf-8"))
    text = _HARNESS.format(
        top=module, clock=CLOCK, words_in=_total(inputs), words_out=_total(outputs),
        inputs="\n".join(_line(port, True) for port in inputs.values()), outputs="\n".join(_line(port, False) for port in outputs.values()),
    )  # fmt: skip
    (made / "harness.cpp").write_text(text, encoding="utf-8")
    objects = [f"V{module}__ALL.a", "verilated.o", "verilated_threads.o"]
    command = ["make", "-C", str(made), "OPT_FAST=", "OPT_SLOW=", "OPT_GLOBAL=", "-f", f"V{module}.mk", *objects]
    _call(command, f"the C++ of {module} does not compile")
    include = re.search(r"^VERILATOR_ROOT = (.*)$", (made / f"V{module}.mk").read_text(encoding="utf-8"), re.MULTILINE)
    assert include
    parts = [*map(str, made.glob("verilated*.o")), str(made / f"V{module}__ALL.a")]
    command = ["g++", *effort.split(), "-fPIC", "-shared", "-I", str(made), "-I", f"{include[1]}/include", "-o", str(made / "it.so")]
    _call([*command, str(made / "harness.cpp"), *parts, "-lpthread"], f"the library of {module} does not link")
    return made / "it.so"


def _line(port: Port, goes_in: bool) -> str:
    """C++ that moves a port's words."""
    word = "in" if goes_in else "out"
    if port.width > 64:
        pairs = [(f"top->{port.name}[{part}]", f"{word}[{port.at + part}]") for part in range(port.words)]
    elif port.width > 32 and goes_in:
        return f"    top->{port.name} = (uint64_t)in[{port.at}] | (uint64_t)in[{port.at + 1}] << 32;"
    elif port.width > 32:
        return f"    out[{port.at}] = (uint32_t)top->{port.name}; out[{port.at + 1}] = (uint32_t)(top->{port.name} >> 32);"
    else:
        pairs = [(f"top->{port.name}", f"{word}[{port.at}]")]
    return " ".join(f"{left} = {right};" if goes_in else f"    {right} = {left};" for left, right in pairs)


def _call(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InputError(f"{what}: {said[0] if said else 'it says nothing'}", "see hw/rtl")
