"""Pairs of fibers of sorted coordinates, and the words that their intersection gives."""

from __future__ import annotations

from random import Random

Fiber = list[int]
Word = tuple[int, int, int, bool]
"""Coordinate, position in a, position in b, whether it is an end mark."""


def pair(rng: Random, bits: int) -> tuple[Fiber, Fiber]:
    """Two fibers: any, one or both empty, equal, apart, or long runs of one side."""
    extent = min(1 << bits, rng.choice((2, 8, 16, 1 << bits)))
    kind = rng.choice(("any", "any", "empty", "equal", "apart", "runs", "runs"))
    a, b = (sorted(rng.sample(range(extent), rng.randint(0, min(extent, 20)))) for _ in range(2))
    if kind == "empty":
        a, b = rng.choice(((a, []), ([], b), ([], [])))
    elif kind == "equal":
        b = list(a)
    elif kind == "apart":
        b = [each for each in b if each not in a]
    elif kind == "runs":
        sides: tuple[Fiber, Fiber] = ([], [])
        side = 0
        for each in sorted(rng.sample(range(extent), rng.randint(0, min(extent, 20)))):
            kind = rng.choice(("stays", "stays", "stays", "stays", "other", "both"))
            side ^= kind == "other"
            sides[side].append(each)
            if kind == "both":
                sides[1 - side].append(each)
        a, b = sides
    return a, b


def matches(a: Fiber, b: Fiber, bits: int) -> list[Word]:
    """All matches and the end mark, positions of some bits."""
    mask = (1 << bits) - 1
    found = [(each, a.index(each) & mask, b.index(each) & mask, False) for each in a if each in b]
    return [*found, (0, len(a) & mask, len(b) & mask, True)]
