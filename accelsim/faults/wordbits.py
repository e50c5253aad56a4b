"""The bits of stored words: an upset inverts some of them, a stuck cell fixes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.types import NumberType
from accelsim.sim.formats import FORMATS

_RAW = {8: np.uint8, 16: np.uint16, 32: np.uint32}


def width(number_type: NumberType) -> int:
    """Bits of a word. Refuses types whose words share a scale: an upset of the scale is no upset of a word."""
    if FORMATS[number_type.name].exponent is not None:
        raise InputError(f"words of type {number_type.name} share the bits of their scale", "give the tensor a type without blocks")
    return int(number_type.bits)


def run_of(bit: Any, bits: int, number_type: NumberType) -> Any:
    """Masks of some adjacent bits of words, the least being `bit`; a word with fewer is taken whole."""
    wide, bit = width(number_type), np.asarray(bit, dtype=np.int64)
    many = min(bits, wide)
    beyond = bit[(bit < 0) | (bit > wide - many)]
    if beyond.size:
        raise InputError(f"a word of type {number_type.name} has no bit {beyond.flat[0] + many - 1}", f"take one of 0 to {wide - 1}")
    return np.int64((1 << many) - 1) << bit


def flipped(value: Any, number_type: NumberType, bit: Any, bits: int = 1) -> Any:
    """Words with some adjacent bits inverted, bit 0 being the least; int64 or float64, as words are kept. A NaN is any NaN."""
    return words_of(codes(value, number_type) ^ run_of(bit, bits, number_type), number_type)


def forced(values: Any, number_type: NumberType, mask: int, one: bool) -> Any:
    """Words of which the bits of a mask are all 1, or all 0."""
    held = codes(values, number_type)
    return words_of(held | mask if one else held & ~np.int64(mask), number_type)


def codes(values: Any, number_type: NumberType) -> Any:
    """The bits of words as numbers from 0: int64 of their shape."""
    bits = width(number_type)
    if number_type.kind == "integer":
        return np.asarray(values, np.int64) & ((1 << bits) - 1)
    kind = _kind(number_type)
    held = np.asarray(values, np.float64)
    held = np.where(np.isnan(held), np.nan, held)
    with np.errstate(all="ignore"):
        held = (held.astype(np.float32) if bits < 32 else held).astype(kind)
    return np.ascontiguousarray(held).view(_RAW[bits]).astype(np.int64).reshape(held.shape)


def words_of(held: Any, number_type: NumberType) -> Any:
    """And back."""
    bits = width(number_type)
    if number_type.kind == "integer":
        return np.asarray(held << (64 - bits) >> (64 - bits), np.int64)[()]
    with np.errstate(all="ignore"):
        raw = np.ascontiguousarray(np.asarray(held).astype(_RAW[bits]))
        return raw.view(_kind(number_type)).astype(np.float64).reshape(np.shape(held))[()]


def _kind(number_type: NumberType) -> Any:
    """The numpy type of a float's words."""
    element = FORMATS[number_type.name].element
    if element.startswith("float") and "_" not in element:
        return np.dtype(element)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, element))


def differs(left: Any, right: Any) -> Any:
    """Where words are not the same: by bits, but any NaN is as good as another."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype.kind == "i" and right.dtype.kind == "i":
        return left != right
    left, right = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    return ((left != right) & ~(np.isnan(left) & np.isnan(right))) | ((left == 0) & (right == 0) & (np.signbit(left) != np.signbit(right)))
