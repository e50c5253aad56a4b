"""Intersection of two fibers of sorted coordinates, cycle by cycle: what `hw/rtl/intersect_*.sv` give when neither side nor the receiver
makes them wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from accelsim.errors import InputError


class Match(NamedTuple):
    """A coordinate of both fibers, its position in each, and the cycle, from 0, in which it was found."""

    coordinate: int
    a: int
    b: int
    cycle: int


class Intersection(NamedTuple):
    """All matches, and the cycles until both fibers were known to be over."""

    matches: tuple[Match, ...]
    cycles: int


def two_finger(a: Sequence[int], b: Sequence[int]) -> Intersection:
    """One comparison a cycle: the smaller side advances, both do on a match; one more cycle compares the ends.

    Where a fiber is over, the other one advances to its own end. Refuses coordinates that do not rise.
    """
    _must_rise(a, b)
    matches, i, j, cycle = [], 0, 0, 0
    while i < len(a) or j < len(b):
        a_advances = j == len(b) or (i < len(a) and a[i] <= b[j])
        b_advances = i == len(a) or (j < len(b) and b[j] <= a[i])
        if a_advances and b_advances:
            matches.append(Match(a[i], i, j, cycle))
        i, j, cycle = i + a_advances, j + b_advances, cycle + 1
    return Intersection(tuple(matches), cycle + 1)


def skipping(a: Sequence[int], b: Sequence[int], window: int) -> Intersection:
    """Windows of the next coordinates: the side with the smaller head drops all in its window below the other head, in one cycle.

    Equal heads are a match and drop one from each side; the head of a fiber that is over is above all coordinates; one more cycle
    compares the ends. A window of 1 is `two_finger`. Refuses coordinates that do not rise and windows below 1.
    """
    _must_rise(a, b)
    if window < 1:
        raise InputError(f"a window of {window} coordinates shows nothing", "make it 1 or more")
    matches, i, j, cycle = [], 0, 0, 0
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and a[i] == b[j]:
            matches.append(Match(a[i], i, j, cycle))
            i, j = i + 1, j + 1
        elif j == len(b) or (i < len(a) and a[i] < b[j]):
            i += sum(j == len(b) or each < b[j] for each in a[i : i + window])
        else:
            j += sum(i == len(a) or each < a[i] for each in b[j : j + window])
        cycle += 1
    return Intersection(tuple(matches), cycle + 1)


def _must_rise(*fibers: Sequence[int]) -> None:
    for fiber in fibers:
        for first, second in pairwise(fiber):
            if first >= second:
                raise InputError(f"coordinate {second} follows {first} in a fiber", "sort coordinates and name each once")
