"""Number formats: an array rounded to what a type can hold, to nearest with ties to even, once.

| type | rounds to | beyond the largest: `saturate` | `wrap` |
|---|---|---|---|
| `int4 int8 int16 int32` | whole numbers | the largest | modulo 2^bits |
| `fp32 fp16 bf16 e5m2` | as IEEE 754 | the largest finite | infinity |
| `e4m3` | OCP 8-bit floating point 1.0 | the largest finite | NaN: it has no infinity |
| `mxfp8 mxfp6 mxfp4 mxint8` | OCP Microscaling 1.0: blocks of 32 share a scale 2^X | the largest of the block's scale, always | |

NaN stays NaN, and is 0 in integers. The elements of MX blocks are e4m3, e3m2, e2m1 and 8-bit integers times 2^-6; X is the exponent of
the block's largest value less that of the largest element, from -127 to 127. A block that holds a NaN or an infinity is all NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accelsim.hardware.types import NumberType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

SATURATE, WRAP = "saturate", "wrap"
OVERFLOWS = (SATURATE, WRAP)
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Format:
    """A format in figures: `digits` of the significand with its leading one, the exponent of the `least` subnormal (a power of two),
    and the `largest` finite value. `element`: the type of numpy or ml_dtypes that an element has, '' for whole numbers. `exponent`: of
    the largest element of an MX block, None outside MX.
    """

    digits: int
    least: int
    largest: float
    element: str = ""
    exponent: int | None = None


FORMATS: dict[str, Format] = {
    "int4": Format(4, 0, 7.0),
    "int8": Format(8, 0, 127.0),
    "int16": Format(16, 0, 32767.0),
    "int32": Format(32, 0, 2.0**31 - 1),
    "fp32": Format(24, -149, (2.0 - 2.0**-23) * 2.0**127, "float32"),
    "fp16": Format(11, -24, 65504.0, "float16"),
    "bf16": Format(8, -133, (2.0 - 2.0**-7) * 2.0**127, "bfloat16"),
    "e4m3": Format(4, -9, 448.0, "float8_e4m3fn"),
    "e5m2": Format(3, -16, 57344.0, "float8_e5m2"),
    "mxfp8": Format(4, -9, 448.0, "float8_e4m3fn", 8),
    "mxfp6": Format(3, -4, 28.0, "float6_e3m2fn", 4),
    "mxfp4": Format(2, -1, 6.0, "float4_e2m1fn", 2),
    "mxint8": Format(7, -6, 127 / 64, "", 0),
}


def round_to(values: Any, number_type: NumberType, axis: int = -1, overflow: str = SATURATE) -> Any:
    """An array rounded to a type: int64 for integer types, float64 for the others. MX blocks lie along `axis`, from its beginning."""
    import numpy as np

    form = FORMATS[number_type.name]
    array = np.asarray(values)
    if number_type.kind == "integer":
        return _whole(array, int(number_type.bits), overflow)
    array = array.astype(np.float64, copy=False)
    if form.exponent is not None:
        return _blocks(array, form, axis)
    return _floating(array, form, overflow)


def _whole(array: Any, bits: int, overflow: str) -> Any:
    import numpy as np

    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    if array.dtype.kind == "f":
        array = np.nan_to_num(np.rint(array), nan=0.0, posinf=float(high), neginf=float(low))
        array = np.fmod(array, 2.0**bits) if overflow == WRAP else np.clip(array, low, high)  # fmod is exact
    array = array.astype(np.int64)
    if overflow == WRAP:
        return ((array - low) & ((1 << bits) - 1)) + low
    return np.clip(array, low, high)


def _floating(array: FloatArray, form: Format, overflow: str) -> Any:
    import numpy as np

    size = np.abs(array)
    with np.errstate(over="ignore", invalid="ignore"):
        if form.element in {"float32", "float16"}:
            found = array.astype(form.element).astype(np.float64)
        else:
            found = _shortened(array, form.digits)
            rare = ~(size <= form.largest) | ((size < 2.0 ** (form.least + form.digits - 1)) & (size > 0))
            if rare.any():
                found = np.asarray(found)
                found[rare] = _cast(array[rare], form.element)
        if overflow == SATURATE and not np.max(size, initial=0.0) <= form.largest:
            found = np.where(size > form.largest, np.copysign(form.largest, array), found)
    return found


def _shortened(array: FloatArray, digits: int) -> Any:
    """Significands of doubles rounded to so many digits, by adding just under half of what is cut off, and the last bit that stays."""
    import numpy as np

    cut = 53 - digits
    bits = np.ascontiguousarray(array).view(np.int64)
    odd = (bits >> cut) & 1
    odd += bits
    odd += (1 << (cut - 1)) - 1
    odd &= ~((1 << cut) - 1)
    return odd.view(np.float64).reshape(array.shape)


def _cast(array: FloatArray, element: str) -> Any:
    """Through a type of ml_dtypes and back, by way of float32, which is rounded to odd for it."""
    import ml_dtypes
    import numpy as np

    return _to_odd(array).astype(getattr(ml_dtypes, element)).astype(np.float64)


def _to_odd(array: FloatArray) -> Any:
    """To float32 such that rounding again gives what rounding once gives: an inexact value goes to its neighbour with an odd last bit.

    Source: S. Boldo and G. Melquiond, Emulation of FMA and correctly rounded sums, IEEE Trans. Computers 57(4), 2008.
    """
    import numpy as np

    nearest = np.ascontiguousarray(array).astype(np.float32)
    bits = nearest.view(np.int32)
    back = nearest.astype(np.float64)
    even = (back != array) & np.isfinite(back) & ((bits & 1) == 0)
    step = np.where(np.abs(back) < np.abs(array), 1, -1)
    step = np.where((back == 0) & even, 1, step)
    moved = np.where(even, bits + step, bits).astype(np.int32).view(np.float32)
    return np.copysign(np.abs(moved), nearest).reshape(array.shape)


def _blocks(array: FloatArray, form: Format, axis: int) -> Any:
    import numpy as np

    assert form.exponent is not None
    if array.size == 0 or array.ndim == 0:
        return _blocks(array.reshape(1), form, 0).reshape(()) if array.size else array
    turned = np.moveaxis(array, axis, -1)
    length = turned.shape[-1]
    padded = np.zeros((*turned.shape[:-1], -(-length // BLOCK) * BLOCK))
    padded[..., :length] = turned
    blocks = padded.reshape(*turned.shape[:-1], -1, BLOCK)
    top = np.max(np.abs(blocks), axis=-1, keepdims=True)
    whole = np.isfinite(top)
    _, exponent = np.frexp(np.where(whole & (top > 0), top, 1.0))
    scale = np.ldexp(1.0, np.clip(exponent - 1 - form.exponent, -127, 127))
    with np.errstate(invalid="ignore"):
        scaled = np.where(whole, blocks / scale, 0.0)
        found = _floating(scaled, form, SATURATE) if form.element else np.clip(np.rint(scaled * 64), -127, 127) / 64
        found = np.where(whole, found * scale, np.nan)
    return np.moveaxis(found.reshape(padded.shape)[..., :length], -1, axis)
