"""What a lane of the processor computes, in Python: the twin of hw/rtl/npu_lane.sv and hw/rtl/npu_scan.sv.

A step is 32 bits of constant and 27 of fields, see hw/rtl/npu_engine.sv; words come and go as they lie in registers, without a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Op(IntEnum):
    """Operations by their names and codes in hw/rtl/npu_lane.sv; of any other code the word is x as it is."""

    ADD = 0
    SUB = 1
    MUL = 2
    MAX = 3
    MIN = 4
    SHIFT = 5
    MAC = 7
    ABS = 8
    LESS = 9
    EXP = 10
    DIV = 11


def signed(word: int, bits: int) -> int:
    """A word as a number."""
    return word - (word >> bits - 1 << bits)


def lane(
    constant: int, fields: int, kept: Sequence[int], a: int, b: int, c: int, so_far: int, first: bool, bits: int
) -> int:  # fmt: skip
    """What a lane makes in a step. first: whether the step, if it folds, begins anew."""
    sources = [*kept, a, b, c, so_far, *[constant & (1 << bits) - 1] * 8]
    op, x, z, w = fields & 15, *(signed(sources[fields >> at & 15], bits) for at in (4, 8, 23))
    if fields >> 14 & 1 and first:
        return _word(x * z if op == Op.MAC else z, bits)
    return _word(_found(op, x, z, w, bits), bits)


def _found(op: int, x: int, z: int, w: int, bits: int) -> int:
    """The value of an operation, which saturates."""
    match op:
        case Op.ADD:
            return x + z
        case Op.SUB:
            return x - z
        case Op.MUL:
            return x * z
        case Op.MAX:
            return max(x, z)
        case Op.MIN:
            return min(x, z)
        case Op.SHIFT:
            return x >> min(z % (1 << bits), bits)
        case Op.MAC:
            return w + signed(_word(x * z, bits), bits)
        case Op.ABS:
            return abs(x)
        case Op.LESS:
            return int(x < z)
        case Op.EXP:
            return _exp(x)
        case Op.DIV:
            return x // z if z else 0
        case _:
            return x


def _exp(x: int) -> int:
    import numpy as np

    from accelsim.workload.fixed import Fixed, exp

    return int(exp(np.array([x], np.int64), Fixed())[0])


def scan_lane(constant: int, fields: int, a: int, b: int, c: int, bits: int) -> int:
    """What a lane of the scan unit makes: a product, shifted, and a sum."""
    x, z, w = (signed((a, b, c, c)[fields >> at & 3], bits) for at in (4, 8, 23))
    product = signed(_word(x * z, bits), bits)
    return _word((product >> min(constant % (1 << bits), bits)) + w, bits)


def _word(value: int, bits: int) -> int:
    """A number as a word, the nearest there is."""
    half = 1 << bits - 1
    return min(max(value, -half), half - 1) % (1 << bits)
