"""A program on the RTL of the processor, with one upset and without: from a state kept shortly before until the state is the old one again.

Registers and memories are those of the elaborated RTL, by the names that Verilator gives them: all that end in `_q`, as registers of
hw/rtl do, below the instance of hw/rtl/npu_top.sv. The outer memory, outside of it, is no place for upsets, and part of the
state. A memory has the words that are written before the run or during it; what nothing writes, nothing may read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.rtl.cosim import MODULE, counts, load, tensor_words
from accelsim.rtl.fast import FAST, Instance, Library, Register
from accelsim.rtl.processor import COUNTS
from accelsim.rtl.program import Program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_PROCESSOR, _REGISTERS = "u_top", "*.*_q"
_MEMORY = ("", "words_q")  # the outer one
WATCH = 2  # a run that takes so many times the cycles hangs
_KEPT, _APART = 64, 16  # states that are kept, at least so many cycles apart
_INDEX = re.compile(r"\[\d+\]")
_INSTANCE = "u_"


@dataclass(frozen=True, slots=True)
class Site:
    """A register of the processor, or a memory: its number among all registers, scope, name, bits of a word, and `held`, int64[words],
    those of its words that hold anything.
    """

    number: int
    scope: str
    name: str
    width: int
    held: IntArray

    @property
    def bits(self) -> int:
        """Of all words."""
        return self.width * len(self.held)

    @property
    def instance(self) -> str:
        """Instances down to it, without the numbers of copies."""
        parts = (_INDEX.sub("", part) for part in self.scope.split("."))
        return ".".join(part for part in parts if part.startswith(_INSTANCE) and part != _PROCESSOR) or _PROCESSOR


@dataclass(frozen=True, slots=True)
class Upset:
    """A bit of a word of a register that flips after the clock edge of a cycle."""

    number: int
    word: int
    bit: int
    cycle: int


@dataclass(frozen=True)
class Ended:
    """How a run ended. `cycles`: the first in which the processor is idle, -1 if there was none in time; `counts`: loads, drains and
    firings that are done; `memory`: int64[words], the outer memory; `again`: the state became that of the run without an upset.
    """

    cycles: int
    counts: tuple[int, ...]
    memory: IntArray
    again: bool = False

    def same(self, other: Ended) -> bool:
        """Whether the same words are there, and the same was done in as many cycles."""
        return (self.cycles, self.counts) == (other.cycles, other.counts) and bool((self.memory == other.memory).all())


@dataclass(frozen=True)
class _Golden:
    """The run without an upset: how it ended, what was done in each cycle, and the state before some cycles, register by register."""

    ended: Ended
    done: IntArray
    kept: dict[int, list[Any]]
    held: list[IntArray]


class ProcessorRtl:
    """A program with its inputs on the RTL. InputError where Verilator is missing, or the run does not end in time."""

    def __init__(self, program: Program, inputs: dict[str, Any], rtl: Path, effort: str = FAST) -> None:
        self.program, self.inputs = program, inputs
        self.library = Library(rtl, MODULE, program.parameters, [_REGISTERS], effort)
        self.instance: Instance = self.library.start()
        self.registers: tuple[Register, ...] = self.instance.registers()
        self._flat = [each.held.reshape(-1) for each in self.registers]
        self._memory = next(each.held for each in self.registers if (each.scope, each.name) == _MEMORY)
        self._counts = counts(program)
        self.golden = self._without()

    @property
    def cycles(self) -> int:
        """Of the run without an upset, until the processor is idle."""
        return self.golden.ended.cycles

    def sites(self) -> tuple[Site, ...]:
        """Where upsets can be."""
        return tuple(
            Site(number, each.scope, each.name, each.width, held)
            for number, (each, held) in enumerate(zip(self.registers, self.golden.held, strict=True))
            if each.scope.split(".")[0] == _PROCESSOR and len(held)
        )

    def run(self, upset: Upset) -> Ended:
        """What comes of an upset."""
        golden, at = self.golden, max(cycle for cycle in self.golden.kept if cycle <= upset.cycle + 1)
        self._restore(golden.kept[at])
        done = golden.done[:at].sum(axis=0)
        if at <= upset.cycle:
            _, found = self._on(upset.cycle + 1 - at)
            at, done = upset.cycle + 1, done + found.sum(axis=0)
        self.flip(upset)
        limit, differs = WATCH * self.cycles, upset.number
        marks = [cycle for cycle in golden.kept if cycle > at]
        while at < limit:
            until = marks.pop(0) if marks else min(limit, at + _APART)
            busy, found = self._on(until - at)
            idle = (~busy).nonzero()[0]
            if len(idle):
                done = done + found[: idle[0] + 1].sum(axis=0)
                return Ended(at + int(idle[0]), tuple(map(int, done)), self._words())
            at, done = until, done + found.sum(axis=0)
            if at in golden.kept:
                differs = self._difference(golden.kept[at], differs)
                if differs < 0:
                    return Ended(self.cycles, golden.ended.counts, golden.ended.memory, True)
        return Ended(-1, tuple(map(int, done)), self._words())

    def flip(self, upset: Upset) -> None:
        """Flip its bit now."""
        self.registers[upset.number].held[upset.word, upset.bit // 8] ^= 1 << upset.bit % 8

    def _without(self) -> _Golden:
        """Twice, with all words of memories 0 and 1 before: what is the same afterwards was written."""
        import numpy as np

        self._begin(0)
        done: list[tuple[Any, IntArray]] = []
        kept, at = {0: self._state([])}, 0
        limit, apart = WATCH * self.program.cycles + _APART, max(_APART, -(-self.program.cycles // _KEPT))
        while not done or done[-1][0].all():
            if at > limit:
                raise InputError(f"the RTL is not through after {limit} cycles", "please report this")
            done.append(self._on(apart))
            at += apart
            kept[at] = self._state(kept[at - apart])
        busy, counted = (np.concatenate(part) for part in zip(*done, strict=True))
        cycles = int((~busy).argmax())
        first, memory = [each.copy() for each in self._flat], self._words()
        self._begin(-1)
        _, found = self._on(len(busy))
        if (found != counted).any() or (self._words() != memory)[self._outputs()].any():
            raise InputError("the RTL reads words that nothing has written", "please report this")
        held = []
        for register, before in zip(self.registers, first, strict=True):
            same = (register.held == before.reshape(register.held.shape)).all(axis=1)
            held.append(np.flatnonzero(same) if register.words > 1 else np.zeros(1, np.int64))
        ended = Ended(cycles, tuple(map(int, counted.sum(axis=0))), memory)
        return _Golden(ended, counted, {at: each for at, each in kept.items() if at < cycles}, held)

    def _outputs(self) -> list[int]:
        """Words of outputs in the outer memory."""
        program = self.program
        outputs = [name for name in program.places if program.cascade.tensors[name].is_output]
        return [program.places[name] + at for name in outputs for at in range(tensor_words(program, name))]

    def _begin(self, fill: int) -> None:
        """Fill all registers, reset, and load the program."""
        for each in self.registers:
            each.held.view("uint8")[:] = 0
            if fill:
                whole = (1 << each.width) - 1
                each.held[:] = list(whole.to_bytes(each.held.shape[1], "little"))
        load(self.instance, self.program, self.inputs)

    def _on(self, cycles: int) -> tuple[Any, IntArray]:
        """Some cycles further: whether the processor is busy in each, and int64[cycles, counts], what it has done."""
        import numpy as np

        found = self.instance.run({"run_i": np.ones(cycles, np.uint64), "count_i": self._counts})
        done = (found["done_o"][:, None] >> np.arange(COUNTS, dtype=np.uint64) & np.uint64(1)).astype(np.int64)
        return found["busy_o"].astype(bool), done

    def _state(self, before: list[Any]) -> list[Any]:
        """All registers; one that has not changed since is kept once."""
        import numpy as np

        last = before or [None] * len(self._flat)
        return [old if old is not None and np.array_equal(old, now) else now.copy() for old, now in zip(last, self._flat, strict=True)]

    def _restore(self, state: list[Any]) -> None:
        for now, then in zip(self._flat, state, strict=True):
            now[:] = then

    def _difference(self, state: list[Any], first: int) -> int:
        """A register in which the state is another, -1 if there is none; one is looked at first."""
        import numpy as np

        numbers: tuple[int, ...] = (first, *range(len(state)))
        for number in numbers:
            if not np.array_equal(self._flat[number], state[number]):
                return number
        return -1

    def _words(self) -> IntArray:
        import numpy as np

        found: IntArray = self._memory.reshape(-1).view(np.int32).astype(np.int64)
        return found
