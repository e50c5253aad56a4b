"""Number types and their widths; block scales are included, so a width may be a fraction of a bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class NumberType:
    """A number format. `bits` per value with block scales included (MX: 4.25); `lowest` is the most negative finite value."""

    name: str
    bits: Fraction
    kind: str
    lowest: float


def largest_whole(number_type: NumberType) -> int:
    """A whole number up to which a type has all of them: for floats 2^digits, with the digits of the largest finite value."""
    if number_type.kind == "integer":
        return int(-number_type.lowest) - 1
    odd, _ = Fraction(-number_type.lowest).limit_denominator(1).as_integer_ratio()
    while odd % 2 == 0:
        odd //= 2
    return odd + 1


def _type(name: str, bits: Fraction | int, kind: str, lowest: float) -> NumberType:
    return NumberType(name, Fraction(bits), kind, lowest)


# Widths and ranges: IEEE 754-2019; bfloat16; OCP 8-bit floating point 1.0; OCP Microscaling (MX) 1.0, blocks of 32 with an 8-bit scale.
TYPES: dict[str, NumberType] = {
    number_type.name: number_type
    for number_type in (
        _type("int8", 8, "integer", -128.0),
        _type("int16", 16, "integer", -32768.0),
        _type("int32", 32, "integer", -(2.0**31)),
        _type("fp32", 32, "float", -3.4028234663852886e38),
        _type("fp16", 16, "float", -65504.0),
        _type("bf16", 16, "float", -3.3895313892515355e38),
        _type("e4m3", 8, "float", -448.0),
        _type("e5m2", 8, "float", -57344.0),
        _type("mxfp8", Fraction(33, 4), "float", -448.0),
        _type("mxfp6", Fraction(25, 4), "float", -28.0),
        _type("mxfp4", Fraction(17, 4), "float", -6.0),
        _type("mxint8", Fraction(33, 4), "float", -2.0),
    )
}
