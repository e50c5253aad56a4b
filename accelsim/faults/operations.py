"""What an arithmetic unit with a fault makes of its operands: an operation is what goes in by cycle and where the result comes out.

An operation begins with registers of 0 where it states no others. A slow line shows what the operation before left on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.gates import Circuit, GateFault
from accelsim.rtl.netlist import netlist
from accelsim.rtl.synthesis import synthesise

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
WordArray: TypeAlias = npt.NDArray[np.uint64]
Given: TypeAlias = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Operation:
    """Inputs by cycle, names of operands or numbers; registers at first; cycle and name of the result; the cycle that takes the operands,
    which comes twice, first with those of the operation before, where lines are slow.
    """

    cycles: tuple[Given, ...]
    result: tuple[int, str]
    state: Mapping[str, str] = field(default_factory=dict)
    takes: int = 0

    @property
    def operands(self) -> tuple[str, ...]:
        """Their names."""
        given = [each for now in (*self.cycles, dict(self.state)) for each in now.values()]
        return tuple(dict.fromkeys(each for each in given if isinstance(each, str)))


def _scan(parameters: Mapping[str, int]) -> Operation:
    width, form = parameters["WIDTH"], parameters["FORM"]
    up = (width - 1).bit_length() if form == 0 else width.bit_length() - 1
    depth = up + (0 if form == 0 else (width // 3).bit_length())
    waits: Given = {"ready_i": 1}
    takes: Given = {"a_i": "a", "b_i": "b", "valid_i": 1, "ready_i": 1}
    return Operation(({"load_i": 1, "start_i": "h"}, takes, *([waits] * depth)), (depth + 2, "h_o"), takes=1)


OPERATIONS: dict[str, Callable[[Mapping[str, int]], Operation]] = {
    "pe_ws": lambda _: Operation(({"a_i": "a", "p_i": "p", "valid_i": 1},), (1, "p_o"), {"w_q": "w", "v_o": "w"}),
    "pe_os": lambda _: Operation(({"a_i": "a", "b_i": "b", "a_valid_i": 1, "b_valid_i": 1},), (1, "c_q"), {"c_q": "c"}),
    "exp_pe": lambda _: Operation(({"x_i": "x", "valid_i": 1, "ready_i": 1}, *([{"ready_i": 1}] * 5)), (6, "y_o")),
    "max_pe": lambda _: Operation(({"x_i": "x", "valid_i": 1, "ready_i": 1},), (1, "max_o"), {"max_o": "m"}),
    "scan_unit": _scan,
}
"""By module: a * w + p; c + a * b; exp(x); max(m, x); a scan of fields from h on."""
SCAN_STEP = Operation(({"a_i": "a", "b_i": "b", "c_i": "h", "x_i": 0, "z_i": 2, "w_i": 1, "shift_i": "shift"},), (0, "y_o"))
"""Of the processor's scan lane: ((a * h) >> shift) + b."""


class Errors(NamedTuple):
    """Of each fault over all vectors: how often the result is wrong; how many results have so many wrong bits, int64[faults, width + 1];
    the mean and the largest distance from the right result, as signed numbers, of wrong results (0 where none is).
    """

    share: FloatArray
    bits: IntArray
    mean: FloatArray
    most: FloatArray

    @property
    def detected(self) -> npt.NDArray[np.bool_]:
        """Faults that some vector shows."""
        return self.share > 0


@dataclass(frozen=True)
class Unit:
    """A circuit and its operation."""

    circuit: Circuit
    operation: Operation

    @classmethod
    def of(cls, rtl: Path, module: str, parameters: Mapping[str, int], operation: Operation | None = None) -> Unit:
        """A module of a folder of RTL and its operation, that of `OPERATIONS` if none is given. InputError if it has none there, or yosys
        is missing.
        """
        if operation is None and module not in OPERATIONS:
            raise InputError(f"module {module} has no operation to look at", did_you_mean(module, OPERATIONS))
        return cls(Circuit(netlist(synthesise(rtl, module, parameters))), operation or OPERATIONS[module](parameters))

    @property
    def width(self) -> int:
        """Bits of the result."""
        return len(self.circuit.bits(self.operation.result[1]))

    def results(
        self, faults: Sequence[GateFault], operands: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> tuple[WordArray, WordArray]:
        """Right results, uint64[vectors], and wrong ones, uint64[faults, vectors].

        operands: whole numbers by name, negative ones in two's complement; before: those of the operation before, if there is one.
        """
        words, earlier = self._words(operands), self._words(before) if before is not None else None
        vectors = max(len(word) for word in words.values())
        takes, (cycle, name) = self.operation.takes, self.operation.result
        cycles = [_bound(now, words) for now in self.operation.cycles]
        state = dict(self.operation.state)
        if earlier is not None:
            cycles.insert(takes, _bound(self.operation.cycles[takes], earlier))
            cycle += 1
        (right,), (differs,) = self.circuit.run(faults, cycles, _bound(state, words), [(cycle, name)], vectors)
        return right, right ^ differs

    def _words(self, operands: Mapping[str, Any]) -> dict[str, WordArray]:
        asked = self.operation.operands
        if {*operands} != {*asked}:
            raise InputError(f"operands are {', '.join(operands)}", f"give {', '.join(asked)}")
        wide = np.broadcast_arrays(*(np.asarray(operands[name]) for name in asked))
        words = (np.ascontiguousarray(word).reshape(-1).astype(np.int64).view(np.uint64) for word in wide)
        return dict(zip(asked, words, strict=True))

    def faulty(self, fault: GateFault) -> Callable[..., WordArray]:
        """A function of operands, by name, that returns what the unit with a stuck line returns, as words."""
        return lambda **operands: self.results([fault], operands)[1][0]

    def errors(self, faults: Sequence[GateFault], operands: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Errors:
        """How wrong results are."""
        right, wrong = self.results(faults, operands, before)
        flipped = _ones(right ^ wrong)
        bits = np.stack([(flipped == count).sum(axis=1) for count in range(self.width + 1)], axis=1).astype(np.int64)
        far = np.abs(signed(wrong, self.width).astype(np.float64) - signed(right, self.width).astype(np.float64))
        count = (flipped > 0).sum(axis=1)
        return Errors(count / right.size, bits, far.sum(axis=1) / np.maximum(count, 1), far.max(axis=1, initial=0.0))


def coverage(faults: Sequence[GateFault], detected: npt.NDArray[np.bool_]) -> float:
    """Share of the faults that classes stand for which some vector shows."""
    counts = np.array([fault.count for fault in faults], np.int64)
    return float(counts[detected].sum() / counts.sum())


def signed(words: WordArray, width: int) -> IntArray:
    """Words of so many bits in two's complement."""
    away = np.int64(64 - width)
    found: IntArray = np.right_shift(np.left_shift(words.view(np.int64), away), away)
    return found


def _ones(words: WordArray) -> IntArray:
    found: IntArray = np.unpackbits(np.ascontiguousarray(words)[..., None].view(np.uint8), axis=-1).sum(axis=-1).astype(np.int64)
    return found


def _bound(given: Given, words: Mapping[str, WordArray]) -> dict[str, Any]:
    return {name: words[each] if isinstance(each, str) else each for name, each in given.items()}
