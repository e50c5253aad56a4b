"""Number types and their widths; block scales are included, so a width may be a fraction of a bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class NumberType:
    """A number format. `bits` per value with block scales included (MX: 4.25); `lowest` is the most negative finite value; `digits` of the
    significand with its leading one, of integers without the sign.
    """

    name: str
    bits: Fraction
    kind: str
    lowest: float
    digits: int

    @property
    def largest_whole(self) -> int:
        """The whole number up to which a type has all of them."""
        return (1 << self.digits) - (self.kind == "integer")


def _type(name: str, bits: Fraction | int, kind: str, lowest: float, digits: int) -> NumberType:
    return NumberType(name, Fraction(bits), kind, lowest, digits)


# Widths and ranges: IEEE 754-2019; bfloat16; OCP 8-bit floating point 1.0; OCP Microscaling (MX) 1.0, blocks of 32 with an 8-bit scale.
TYPES: dict[str, NumberType] = {
    number_type.name: number_type
    for number_type in (
        _type("int4", 4, "integer", -8.0, 3),
        _type("int8", 8, "integer", -128.0, 7),
        _type("int16", 16, "integer", -32768.0, 15),
        _type("int32", 32, "integer", -(2.0**31), 31),
        _type("fp32", 32, "float", -3.4028234663852886e38, 24),
        _type("fp16", 16, "float", -65504.0, 11),
        _type("bf16", 16, "float", -3.3895313892515355e38, 8),
        _type("e4m3", 8, "float", -448.0, 4),
        _type("e5m2", 8, "float", -57344.0, 3),
        _type("mxfp8", Fraction(33, 4), "float", -448.0, 4),
        _type("mxfp6", Fraction(25, 4), "float", -28.0, 3),
        _type("mxfp4", Fraction(17, 4), "float", -6.0, 2),
        _type("mxint8", Fraction(33, 4), "float", -2.0, 7),
    )
}
