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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.cache import folder
from accelsim.errors import InputError
from accelsim.rtl.harness import CLOCK, Port, harness, ports, total

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint32]

FAST, QUICK = "-O3 -march=native", "-O0"  # to run, to compile
_NEEDED = ("verilator", "g++", "make")
_TRACING = ["--trace-fst", "--timescale-override", "1ns/1ns"]


@dataclass(frozen=True, slots=True)
class Register:
    """A register of an instance, or a memory of several words: the scope below the module that it is in ('': the module itself), its name,
    bits of a word, and `held`, uint8[words, bytes of one], which may be read and written between runs.
    """

    scope: str
    name: str
    width: int
    held: Any

    @property
    def words(self) -> int:
        """How many it has, one after the other."""
        return len(self.held)


class Library:
    """A module with some parameters, compiled. `inputs` (but the clock) and `outputs` by name.

    InputError if Verilator or a C++ compiler is missing, Verilator refuses the module, or the cache directory cannot be written.
    """

    def __init__(
        self, rtl: Path, module: str, parameters: Mapping[str, int], registers: Sequence[str] = (), effort: str = FAST, waves: bool = False
    ) -> None:  # fmt: skip
        """rtl: the folder of the sources, a module in each. registers: `module.name` of those that may be reached, with `*` for any
        letters. effort: options of the C++ compiler. waves: whether instances can `record`, which makes them slower.
        """
        file = _compiled(rtl, module, tuple(sorted(parameters.items())), tuple(registers), effort, waves)
        self.module, self.waves = module, waves
        try:
            self.inputs, self.outputs = ports(file.with_suffix(".h").read_text(encoding="utf-8"))
            self._library = ctypes.CDLL(str(file))
        except OSError as error:
            raise InputError(f"{file}: cannot be loaded: {error.strerror or error}", "remove it, and it is compiled anew") from None
        for name in ("make", "site"):
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.registers.restype = ctypes.c_char_p
        for name in ("run", "drop", *(("record", "stop") if waves else ())):
            getattr(self._library, name).restype = None

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

        known = self.library.inputs
        cycles = max((len(each) for each in inputs.values() if np.ndim(each)), default=1)
        words = np.zeros((cycles, total(known)), np.uint32)
        for name, values in inputs.items():
            if name not in known:
                raise InputError(f"{self.library.module} has no input {name}", f"it has {', '.join(known)}")
            _put(words, known[name], values)
        found = np.zeros((cycles, total(self.library.outputs)), np.uint32)
        self._calls.run(self._handle, ctypes.c_void_p(words.ctypes.data), ctypes.c_void_p(found.ctypes.data), ctypes.c_int64(cycles))
        return {name: _take(found, port) for name, port in self.library.outputs.items()}

    @contextmanager
    def recorded(self, file: Path) -> Iterator[None]:
        """Inside, every signal of up to 256 bits goes to a file in the FST form, on disk when it is left. Memories are left out.

        InputError where the file cannot be written. A cycle takes `harness.PERIOD` ns.
        """
        assert self.library.waves
        try:
            file.write_bytes(b"")
        except OSError as error:
            raise InputError(f"{file}: cannot write: {error.strerror or error}", "check the path") from None
        self._calls.record(self._handle, os.fsencode(file))
        try:
            yield
        finally:
            self._calls.stop(self._handle)

    def registers(self) -> tuple[Register, ...]:
        """All that may be reached, in the order of their names."""
        top, found = f"TOP.{self.library.module}", []
        for line in self._calls.registers(self._handle).decode().splitlines():
            path, name, width, words = line.split()
            scope = path.removeprefix(top).removeprefix(".")
            size = _bytes(int(width))
            held = self.register(scope, name, 8 * size * int(words)).reshape(-1)[: size * int(words)]
            found.append(Register(scope, name, int(width), held.reshape(int(words), size)))
        return tuple(sorted(found, key=lambda each: (_natural(each.scope), each.name)))

    def register(self, scope: str, name: str, width: int) -> Any:
        """A register as uint8[bytes] that may be read and written between runs. scope: as `u_array.g_row[0].u_pe`, '' for the module."""
        import numpy as np

        where = ".".join(part for part in ("TOP", self.library.module, scope) if part)
        for path in (where, where.replace("[", "__BRA__").replace("]", "__KET__")):
            at = self._calls.site(self._handle, path.encode(), name.encode())
            if at:
                return np.ctypeslib.as_array(ctypes.cast(at, ctypes.POINTER(ctypes.c_uint8)), (_bytes(width),))
        raise InputError(f"{where} has no register {name}", "name it when the library is made")


def _bytes(width: int) -> int:
    """Bytes of a register, as Verilator lays it out."""
    return 1 if width <= 8 else 2 if width <= 16 else 4 * -(-width // 32)


def _natural(scope: str) -> tuple[tuple[str, int], ...]:
    """What sorts the numbers of instances as numbers."""
    return tuple((text, int(number or 0)) for text, number in re.findall(r"([^\[]+)(?:\[(\d+)\])?", scope))


def _put(words: Words, port: Port, values: Any) -> None:
    import numpy as np

    if port.width > 64:
        parts = [values >> 32 * part & 0xFFFFFFFF for part in range(port.words)] if isinstance(values, int) else values
        words[:, port.at : port.at + port.words] = parts
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


@cache
def _tools() -> str:
    """What tells the compilers from others. InputError if one is missing."""
    for tool in _NEEDED:
        if shutil.which(tool) is None:
            raise InputError(f"{tool} is not installed", "on Debian: apt-get install verilator g++ make")
    said = (subprocess.run([tool, "--version"], capture_output=True, text=True).stdout for tool in _NEEDED[:2])
    return "".join(said)


def _need_zlib() -> None:
    """What writes waves packs them. InputError if it is missing."""
    command = ["g++", "-fsyntax-only", "-x", "c++", "-"]
    if subprocess.run(command, input="#include <zlib.h>\n", capture_output=True, text=True).returncode:
        raise InputError("zlib.h, which waves need, is not installed", "on Debian: apt-get install zlib1g-dev")


def sources_digest(rtl: Path) -> str:
    """SHA-256, in hexadecimal digits, of the text of all modules in a folder."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(rtl.glob("*.sv")))).hexdigest()


def _compiled(
    rtl: Path, module: str, parameters: tuple[tuple[str, int], ...], registers: tuple[str, ...], effort: str, waves: bool
) -> Path:  # fmt: skip
    """The shared library, with the header of the module beside it."""
    sources = sorted(rtl.glob("*.sv"))
    if module not in {file.stem for file in sources}:
        raise InputError(f"there is no module {module} in {rtl}", f"it has {', '.join(file.stem for file in sources)}")
    key = hashlib.sha256(repr((module, parameters, registers, effort, harness(module, {}, {}, waves), _tools())).encode())
    for file in sources:
        key.update(file.read_bytes())
    target = folder() / "rtl" / f"{module}-{key.hexdigest()[:16]}.so"
    if target.exists():
        return target
    if waves:
        _need_zlib()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            built = _build(module, parameters, registers, effort, waves, rtl, Path(work))
            for file, at in ((built.parent / f"V{module}.h", target.with_suffix(".h")), (built, target)):
                os.replace(file, at)
    except OSError as error:
        what = f"{target.parent}: cannot keep compiled RTL there: {error.strerror or error}"
        raise InputError(what, "name a folder that can be written in XDG_CACHE_HOME") from None
    return target


def _build(
    module: str, parameters: tuple[tuple[str, int], ...], registers: tuple[str, ...], effort: str, waves: bool, rtl: Path, work: Path
) -> Path:  # fmt: skip
    public = [f'public_flat_rw -module "{each.split(".")[0]}" -var "{each.split(".")[1]}"' for each in registers]
    (work / "public.vlt").write_text("\n".join(["`verilator_config", *public]) + "\n", encoding="utf-8")
    options = [f"-G{name}={value}" for name, value in parameters] + _TRACING * waves
    command = ["verilator", "--cc", "--prefix", f"V{module}", "--top-module", module, "-O3", "--x-assign", "fast", "--x-initial", "fast"]
    command += ["-CFLAGS", f"-fPIC {effort}", "--Mdir", str(work / "made"), *options, "-y", str(rtl)]
    _call([*command, str(work / "public.vlt"), str(rtl / f"{module}.sv")], f"verilator refuses {module}")
    made = work / "made"
    header = (made / f"V{module}.h").read_text(encoding="utf-8")
    text = harness(module, *ports(header), waves, f"(&{CLOCK}," in header)
    (made / "harness.cpp").write_text(text, encoding="utf-8")
    objects = [f"V{module}__ALL.a", "verilated.o", "verilated_threads.o", *(["verilated_fst_c.o"] * waves)]
    command = ["make", "-C", str(made), "OPT_FAST=", "OPT_SLOW=", "OPT_GLOBAL=", "-f", f"V{module}.mk", *objects]
    _call(command, f"the C++ of {module} does not compile")
    include = re.search(r"^VERILATOR_ROOT = (.*)$", (made / f"V{module}.mk").read_text(encoding="utf-8"), re.MULTILINE)
    assert include
    parts = [*map(str, made.glob("verilated*.o")), str(made / f"V{module}__ALL.a")]
    command = ["g++", *effort.split(), "-fPIC", "-shared", "-I", str(made), "-I", f"{include[1]}/include"]
    command += ["-I", f"{include[1]}/include/vltstd", "-o", str(made / "it.so")]
    command += [str(made / "harness.cpp"), *parts, "-lpthread", *(["-lz"] * waves)]
    _call(command, f"the library of {module} does not link")
    return made / "it.so"


def _call(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InputError(f"{what}: {said[0] if said else 'it says nothing'}", "see hw/rtl")
