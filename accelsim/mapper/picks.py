"""Picks: ways to run one Einsum below a trunk with a place for everything that it touches, and sums of them over several Einsums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper import kernels_fronts as kernels
from accelsim.mapper.leaf import Front, LeafSearch
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.options import Way

if TYPE_CHECKING:
    from accelsim.mapper.nests import Nest


@dataclass(frozen=True, slots=True)
class Place:
    """A keep of an external tensor above a fuse (depth -1: in the leaves): pieces held, and what it costs by resource (energy first)."""

    depth: int
    bits: int
    cost: FloatArray


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the tensors of one Einsum may be kept: places by number of tensor, those in the leaves (a set of these), pieces, and cost.

    The pieces and costs of tensors that other Einsums touch too are those of the first of them.
    """

    places: list[dict[int, Place]]
    inside: IntArray
    bits: FloatArray
    extra: FloatArray

    def fitting(self, room: float) -> Choice:
        """Those that hold no more."""
        which = np.flatnonzero(self.bits <= room)
        return Choice([self.places[at] for at in which], self.inside[which], self.bits[which], self.extra[which])


@dataclass(frozen=True, slots=True)
class Group:
    """What picks have in common that come from one front."""

    search: LeafSearch | Nest
    names: Names
    number: int
    front: Front


@dataclass(frozen=True, slots=True)
class Picks:
    """Picks of one Einsum, or sums of them.

    figures: float64[n, k], what adds up: ticks (or how long each unit and port is busy), energy, traffic and pieces held. peak: float64[n],
    pieces that only one Einsum at a time holds. bits: float64[n], pieces held, which may be rounded in the figures. own: float64[n,
    Einsums], how long each takes in one pass, where they run side by side. path: int64[n, Einsums, 3], the group, the row of its front,
    and the places.
    """

    figures: FloatArray
    peak: FloatArray
    bits: FloatArray
    own: FloatArray
    path: IntArray

    def __len__(self) -> int:
        return len(self.peak)

    def some(self, which: IntArray) -> Picks:
        """Those at some places."""
        return Picks(self.figures[which], self.peak[which], self.bits[which], self.own[which], self.path[which])

    def rounded(self, quantum: float) -> Picks:
        """With pieces held rounded down, unless the quantum is 0."""
        if not quantum:
            return self
        figures = self.figures.copy()
        figures[:, -1] = np.floor(figures[:, -1] / quantum) * quantum
        return replace(self, figures=figures)

    @staticmethod
    def joined(parts: list[Picks]) -> Picks:
        """All of several."""
        return Picks(*(np.concatenate([getattr(each, name) for each in parts]) for name in ("figures", "peak", "bits", "own", "path")))


@dataclass(frozen=True, slots=True)
class Least:
    """Below what the figures of a pick, and its peak, do not matter: what is to come makes up for them in any case."""

    figures: FloatArray
    peak: float


@dataclass(frozen=True, slots=True)
class Passing:
    """What counts of the time that Einsums take in one pass where each result has one copy: only when the last one ends, if that is after
    the pace.

    longest: what each Einsum takes at most. edges: which Einsum waits for which, by number.
    """

    pace: float
    longest: list[float]
    edges: list[tuple[int, int]]

    def alone(self, at: int, own: FloatArray) -> FloatArray:
        """Of picks of one Einsum, float64[n, 1]."""
        return np.maximum(own, self.pace - (sum(self.longest) - self.longest[at]))

    def ends(self, own: FloatArray) -> FloatArray:
        """Of sums of the first Einsums (float64[n, Einsums]): float64[n, ends], when those end for which others wait that are to come, or
        none does."""
        ends: list[FloatArray] = []
        for at in range(own.shape[1]):
            start = reduce(np.maximum, [ends[one] for one, other in self.edges if other == at], np.zeros(len(own)))
            ends.append(start + own[:, at])
        following = [[other for one, other in self.edges if one == at] for at in range(len(ends))]
        last = [end for end, others in zip(ends, following, strict=True) if not others or max(others) >= len(ends)]
        return np.maximum(np.stack(last, axis=1), self.pace - sum(self.longest[len(ends) :]))


def undominated(table: FloatArray, keys: IntArray, figures: FloatArray, bits: FloatArray) -> IntArray:
    """The places of rows that no other with the same key beats; of those that are equal, one with little energy, time and room."""
    total = (table / np.maximum(table.max(axis=0, initial=0.0), 1e-300)).sum(axis=1)
    return kernels.sift(table, keys, np.lexsort((bits, figures[:, :-3].sum(axis=1), figures[:, -3], total)))


def floors_of(ways: list[Way]) -> list[Way]:
    """The least of every figure of every way."""
    return [Way(way.unit, way.rows.min(axis=0, keepdims=True), way.busiest.min(keepdims=True)) for way in ways]
