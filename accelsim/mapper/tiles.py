"""Sizes of tiles worth trying."""

from __future__ import annotations


def divisors(size: int) -> tuple[int, ...]:
    """All divisors of a size, in order."""
    small = [step for step in range(1, int(size**0.5) + 1) if size % step == 0]
    return tuple(sorted({*small, *(size // step for step in small)}))
