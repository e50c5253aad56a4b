"""The bits of stored words: an upset inverts one of them."""

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


def flipped(value: Any, number_type: NumberType, bit: Any) -> Any:
    """Words with one bit inverted, bit 0 being the least; int64 or float64, as words are kept. A NaN is any NaN."""
    bits, bit = width(number_type), np.asarray(bit, dtype=np.int64)
    beyond = bit[(bit < 0) | (bit >= bits)]
    if beyond.size:
        raise InputError(f"a word of type {number_type.name} has no bit {beyond.flat[0]}", f"take one of 0 to {bits - 1}")
    if number_type.kind == "integer":
        code = (np.asarray(value).astype(np.int64) & ((1 << bits) - 1)) ^ (np.int64(1) << bit)
        return np.where(code >> (bits - 1), code - (1 << bits), code)[()]
    element = FORMATS[number_type.name].element
    if not element.startswith("float") or "_" in element:
        import ml_dtypes

        kind = np.dtype(getattr(ml_dtypes, element))
    else:
        kind = np.dtype(element)
    held = np.where(np.isnan(value), np.nan, np.asarray(value, dtype=np.float64))
    with np.errstate(all="ignore"):
        stored = np.ascontiguousarray((held.astype(np.float32) if bits < 32 else held).astype(kind))
        raw = stored.view({8: np.uint8, 16: np.uint16, 32: np.uint32}[bits])
        struck = np.ascontiguousarray(raw ^ (np.int64(1) << bit).astype(raw.dtype))
        return struck.view(kind).astype(np.float64).reshape(np.broadcast_shapes(held.shape, bit.shape))[()]


def differs(left: Any, right: Any) -> Any:
    """Where words are not the same: by bits, but any NaN is as good as another."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype.kind == "i" and right.dtype.kind == "i":
        return left != right
    left, right = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    return ((left != right) & ~(np.isnan(left) & np.isnan(right))) | ((left == 0) & (right == 0) & (np.signbit(left) != np.signbit(right)))
