"""The bits of a stored word: an upset inverts one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.types import NumberType
from accelsim.sim.formats import FORMATS


def width(number_type: NumberType) -> int:
    """Bits of a word. Refuses types whose words share a scale: an upset of the scale is no upset of a word."""
    if FORMATS[number_type.name].exponent is not None:
        raise InputError(f"words of type {number_type.name} share the bits of their scale", "give the tensor a type without blocks")
    return int(number_type.bits)


def flipped(value: Any, number_type: NumberType, bit: int) -> Any:
    """A word with one bit inverted, bit 0 being the least; int64 or float64, as words are kept. A NaN is any NaN."""
    bits = width(number_type)
    if not 0 <= bit < bits:
        raise InputError(f"a word of type {number_type.name} has no bit {bit}", f"take one of 0 to {bits - 1}")
    if number_type.kind == "integer":
        code = (int(value) & ((1 << bits) - 1)) ^ (1 << bit)
        return np.int64(code - (1 << bits) if code >> (bits - 1) else code)
    element = FORMATS[number_type.name].element
    if not element.startswith("float") or "_" in element:
        import ml_dtypes

        kind = np.dtype(getattr(ml_dtypes, element))
    else:
        kind = np.dtype(element)
    held = np.asarray([np.nan if np.isnan(value) else value], dtype=np.float64)
    with np.errstate(all="ignore"):
        held = (held.astype(np.float32) if bits < 32 else held).astype(kind)
        raw = held.view({8: np.uint8, 16: np.uint16, 32: np.uint32}[bits])
        raw ^= raw.dtype.type(1 << bit)
        return np.float64(held.astype(np.float64)[0])


def differs(left: Any, right: Any) -> Any:
    """Where words are not the same: by bits, but any NaN is as good as another."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype.kind == "i" and right.dtype.kind == "i":
        return left != right
    left, right = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    return ((left != right) & ~(np.isnan(left) & np.isnan(right))) | ((left == 0) & (right == 0) & (np.signbit(left) != np.signbit(right)))
