"""Numbers of a mapped cascade that is replayed, one at a time: a map expression at a point, a step of a sum, a bit of a word inverted.

Source: docs/faults-mapped.md. `reference_mapped` replays with them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from collections.abc import Mapping as Dict
from typing import Any

import numpy as np

from accelsim.hardware.types import NumberType
from accelsim.sim.arithmetic import UNROUNDED
from accelsim.sim.formats import round_to
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, Call, Expression, Name, Number, accesses
from accelsim.workload.operators import OPERATORS


class Operators:
    """What units of a machine compute for a cascade; `overflow` as in `sim.formats`."""

    def __init__(self, cascade: Cascade, overflow: str) -> None:
        self.cascade, self.overflow = cascade, overflow

    def value(self, expression: Expression, known: dict[str, Any], read: Any, number_type: NumberType) -> Any:
        """A map expression at one point, every operation rounded."""
        if isinstance(expression, Access):
            return read(expression)
        if not accesses(expression):
            return self.number(expression, known, number_type.lowest)
        assert isinstance(expression, Call)
        parts = [self.value(part, known, read, number_type) for part in expression.arguments]
        with np.errstate(all="ignore"):
            found = OPERATORS[expression.function].meaning(np, *parts)
        return found if expression.function in UNROUNDED else self.rounded(found, number_type)

    def number(self, expression: Expression, known: Dict[str, Any], lowest: float) -> Any:
        """A part without a tensor."""
        if isinstance(expression, Number):
            if expression.value in (float("inf"), float("-inf")):
                return lowest if expression.value < 0 else -lowest
            return int(expression.value) if float(expression.value).is_integer() and abs(expression.value) < 2**53 else expression.value
        if isinstance(expression, Name):
            found = known[expression.name]
            return int(found) if isinstance(found, float) and found.is_integer() else found
        assert isinstance(expression, Call)
        with np.errstate(all="ignore"):
            return OPERATORS[expression.function].meaning(np, *(self.number(part, known, lowest) for part in expression.arguments))

    def rounded(self, number: Any, number_type: NumberType) -> Any:
        """A number, or an array, in a type."""
        return round_to(np.asarray(number), number_type, overflow=self.overflow)[()]

    def identity(self, einsum: Einsum, whole: bool) -> Any:
        """What a sum is before its first term; `whole`: an integer where sums are."""
        partial = self.cascade.tensors[einsum.output.tensor].partial
        integer = partial.kind == "integer"
        found = {"add": 0, "mul": 1, "max": partial.lowest, "min": -partial.lowest - integer, "and": 1, "or": 0}[einsum.reduce]
        return np.int64(found) if integer and whole else np.float64(found)

    def combine(self, einsum: Einsum, left: Any, right: Any) -> Any:
        """One step of a sum."""
        with np.errstate(all="ignore"):
            found = OPERATORS[einsum.reduce].meaning(np, left, right)
        if einsum.reduce in {"max", "min"}:
            return found
        return self.rounded(found, self.cascade.tensors[einsum.output.tensor].partial)


def invert(held: Any, number_type: NumberType, bit: int, bits: int = 1) -> Any:
    """A word with so many bits inverted from one up; one that has fewer is inverted whole."""
    every = range(min(bits, int(number_type.bits)))
    return changed(held, number_type, lambda raw: raw ^ sum(1 << (bit + each) for each in every))


def changed(held: Any, number_type: NumberType, change: Callable[[int], int]) -> Any:
    """A word with its bits changed as a number from 0; a NaN has the bits of a quiet one without a sign."""
    bits = int(number_type.bits)
    if number_type.kind == "integer":
        raw = change(int(held) % 2**bits)
        return np.int64(raw - 2**bits if raw >= 2 ** (bits - 1) else raw)
    held = np.nan if held != held else held
    if number_type.name == "fp32":
        with np.errstate(all="ignore"):
            raw = change(struct.unpack("<I", np.float32(held).tobytes())[0])
        return np.float64(struct.unpack("<f", struct.pack("<I", raw))[0])
    if number_type.name == "fp16":
        raw = change(struct.unpack("<H", np.float16(held).tobytes())[0])
        return np.float64(struct.unpack("<e", struct.pack("<H", raw))[0])
    if number_type.name == "bf16":
        raw = change(struct.unpack("<I", np.float32(held).tobytes())[0] >> 16)
        return np.float64(struct.unpack("<f", struct.pack("<I", raw << 16))[0])
    digits, bias = {"e4m3": (3, 7), "e5m2": (2, 15)}[number_type.name]
    table = [_small(code, digits, bias) for code in range(256)]
    codes = [code for code in range(256) if _same(table[code], held)]
    return table[change(QUIET[number_type.name] if held != held else codes[0])]


QUIET = {"e4m3": 127, "e5m2": 126}  # NaN: all ones, and exponent of ones with the first bit of the significand


def _small(code: int, digits: int, bias: int) -> Any:
    """The value of a code of 8-bit floating point: sign, exponent, `digits` of the significand (OCP 8-bit floating point 1.0)."""
    sign, exponent, part = -1.0 if code >> 7 else 1.0, (code & 127) >> digits, code & ((1 << digits) - 1)
    if digits == 2 and exponent == 31:
        return np.float64(np.nan if part else sign * np.inf)
    if digits == 3 and code & 127 == 127:
        return np.float64(np.nan)
    size = part * 2.0 ** (1 - bias - digits) if exponent == 0 else (1 + part * 2.0**-digits) * 2.0 ** (exponent - bias)
    return np.float64(sign * size)


def _same(left: Any, right: Any) -> bool:
    return bool((np.isnan(left) and np.isnan(right)) or (left == right and np.signbit(left) == np.signbit(right)))
