"""A figure that is known to lie between two others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite


@dataclass(frozen=True, slots=True)
class Range:
    """low <= value <= high, none of them negative; `high` may be infinite, and `value` nan: not known yet."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Range:
        """Without doubt."""
        return cls(value, value, value)

    @classmethod
    def total(cls, parts: Iterable[Range]) -> Range:
        """Their sum, if all are where they are said to be."""
        found = list(parts)
        return cls(sum(each.value for each in found), sum(each.low for each in found), sum(each.high for each in found))

    def times(self, other: Range | float) -> Range:
        """The product with what does not depend on this."""
        if not isinstance(other, Range):
            return Range(self.value * other, self.low * other, self.high * other)
        return Range(self.value * other.value, self.low * other.low, self.high * other.high)

    def under(self, number: float) -> Range:
        """A positive number divided by it; infinite where it is 0."""
        return Range(_part(number, self.value), _part(number, self.high), _part(number, self.low))

    def rest(self) -> Range:
        """1 less a share."""
        return Range(1 - self.value, 1 - self.high, 1 - self.low)

    def to_json(self) -> dict[str, float | None]:
        """As plain data; what is infinite or not known is None."""
        return {name: each if isfinite(each) else None for name, each in (("value", self.value), ("low", self.low), ("high", self.high))}


def _part(number: float, by: float) -> float:
    return number / by if by else inf
