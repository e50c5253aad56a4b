"""Sums to outputs: a multiplier and a shift with rounding, a zero point and a clamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_cone import Quantise

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Requantise:
    """An output is a sum times `multiplier`, shifted right by `shift` with rounding half up, plus `zero`, clamped to low and high.

    With the multiplier 1, no shift and no clamp in the way, outputs are the sums themselves.
    """

    multiplier: int = 1
    shift: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127

    def __post_init__(self) -> None:
        if not 0 < self.multiplier < 1 << 31 or not 0 <= self.shift < 63 or self.low > self.high:
            what = f"no requantisation has multiplier {self.multiplier}, shift {self.shift} and outputs from {self.low} to {self.high}"
            raise InputError(what, "multipliers are 1 to 2^31 - 1, shifts 0 to 62")

    @classmethod
    def none(cls, bits: int) -> Requantise:
        """That of sums that are outputs."""
        return cls(low=-(1 << bits - 1), high=(1 << bits - 1) - 1)

    @classmethod
    def fitted(cls, sums: IntArray, bits: int = 8) -> Requantise:
        """One that brings sums to the range of so many bits, as a layer's scale does: their largest magnitude to the largest output.

        Where there is room the shift is that magnitude's bits or more, so that rounding the multiplier moves outputs by 0.5 at most.
        """
        largest = max(1, int(abs(sums).max(initial=1)))
        most, wanted = (1 << bits - 1) - 1, max(24, largest.bit_length())
        shift = next(each for each in range(wanted, -1, -1) if most << each < min(largest << 30, 1 << 62) or each == 0)
        multiplier = max(1, round(most * (1 << shift) / largest))
        return cls(multiplier, shift, 0, -(1 << bits - 1), (1 << bits - 1) - 1)

    def outputs(self, sums: IntArray) -> IntArray:
        """int64 of any shape. A product with the multiplier beyond 2^62, which no sum of 32 bits has, counts as that much."""
        import numpy as np

        half, most = (1 << self.shift) >> 1, (1 << 62) // self.multiplier
        scaled = (np.clip(sums.astype(np.int64), -most, most) * self.multiplier + half) >> self.shift
        return np.asarray(np.clip(scaled + self.zero, self.low, self.high), np.int64)

    def kernel(self) -> Quantise:
        """For the kernels."""
        from accelsim.faults.kernels_cone import Quantise

        return Quantise(self.multiplier, self.shift, self.zero, self.low, self.high)
