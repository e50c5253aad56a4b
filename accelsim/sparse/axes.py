"""Sums over the turns of a loop nest of products that depend on tiles, with turns that are alike counted together.

Source: docs/sparse.md, "Statistics".
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse.sums import MOST, Factor, Loops, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]

_AT_ONCE = 1 << 12  # products up to which all are worked out and added up


@dataclass(frozen=True)
class Axis:
    """Turns of a rank's loops that are alike: how many, the first place and the end of every cut, and the turn of each loop over copies.

    Loops are named by their places among those of the rank. `apart`: cuts of which sets do not stand in one place; of these there are 0
    and the size.
    """

    many: Shares
    low: dict[Loops, IntArray]
    high: dict[Loops, IntArray]
    turns: dict[int, IntArray]
    apart: frozenset[Loops]


class RankLoops:
    """The loops over one rank, by their places among these from outside in: what they leave of so many elements with such tiles."""

    def __init__(self, extent: int, tiles: tuple[int, ...]) -> None:
        self.extent, self.tiles = extent, tiles
        self.turns, self.low, self.high = self._paths()
        self._axes: dict[tuple[Loops, tuple[Loops, ...], int, Loops], Axis] = {}
        self._sets: dict[Loops, tuple[IntArray, IntArray, IntArray, IntArray]] = {}
        self._ways: dict[tuple[Loops, Loops], tuple[int, int]] = {}

    def _paths(self) -> tuple[IntArray, IntArray, IntArray]:
        """Every way through all loops: the turns int64[loops, ways], and the place that each leads to, and its end."""
        low, high, turns = np.zeros(1, np.int64), np.array([self.extent]), np.zeros((0, 1), np.int64)
        for tile in self.tiles:
            trips = -(-(high - low) // tile)
            parent = np.repeat(np.arange(low.size), trips)
            number = np.arange(parent.size) - np.repeat(np.cumsum(trips) - trips, trips)
            low, end = low[parent] + number * tile, high[parent]
            high, turns = np.minimum(low + tile, end), np.vstack([turns[:, parent], number])
        return turns, low, high

    def sets(self, cut: Loops) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """What some loops leave: of every way the set that it is in, and of every set its first place, end and size."""
        if cut not in self._sets:
            labels = np.zeros(self.low.size, np.int64)
            for row in sorted(cut):
                labels = labels * (int(self.turns[row].max()) + 1) + self.turns[row]
            _, labels = np.unique(labels, return_inverse=True)
            labels = labels.reshape(-1)
            many = int(labels.max()) + 1
            size = np.bincount(labels, self.high - self.low, many).astype(np.int64)
            first, end = np.full(many, self.extent), np.zeros(many, np.int64)
            np.minimum.at(first, labels, self.low)
            np.maximum.at(end, labels, self.high)
            self._sets[cut] = labels, first, end, size
        return self._sets[cut]

    def axis(self, counted: Loops, cuts: tuple[Loops, ...], period: int, copies: Loops) -> Axis:
        """Turns of `counted` loops, alike if sizes, and places up to a period, are those of all cuts, and turns of copies."""
        asked = counted, cuts, period, copies
        if asked not in self._axes:
            self._axes[asked] = self._axis(*asked)
        return self._axes[asked]

    def _axis(self, counted: Loops, cuts: tuple[Loops, ...], period: int, copies: Loops) -> Axis:
        labels, *_ = self.sets(counted)
        first_way = np.unique(labels, return_index=True)[1]
        keys = [self.turns[loop][first_way] for loop in sorted(copies)]
        low, high, apart = {}, {}, set()
        for cut in cuts:
            first, end, size = self.united(counted, cut)
            scattered = bool((end - first != size).any())
            low[cut] = np.zeros_like(first) if scattered else first
            high[cut] = size if scattered else end
            apart |= {cut} if scattered else set()
            keys.append(high[cut] - low[cut])
            if period != 1 and not scattered:
                keys.append(low[cut] % period if period else low[cut])
        if keys:
            alike = np.zeros(first_way.size, np.int64)
            for key in keys:
                alike = np.unique(alike * (int(key.max()) + 1) + key, return_inverse=True)[1].reshape(-1)
            _, chosen, many = np.unique(alike, return_index=True, return_counts=True)
        else:
            chosen, many = np.zeros(1, np.int64), np.array([first_way.size])
        return Axis(
            many.astype(np.float64), {cut: each[chosen] for cut, each in low.items()}, {cut: each[chosen] for cut, each in high.items()},
            {loop: self.turns[loop][first_way][chosen] for loop in sorted(copies)}, frozenset(apart),
        )  # fmt: skip

    def united(self, counted: Loops, cut: Loops) -> tuple[IntArray, IntArray, IntArray]:
        """Of each turn of the counted loops what the loops of a cut leave there, at all their turns that are not counted.

        Returns the first place, the end and the size of each set.
        """
        (labels, *_), (inner, first, end, size) = self.sets(counted), self.sets(cut)
        of, part = np.divmod(np.unique(labels * first.size + inner), first.size)
        many = int(labels.max()) + 1
        low, high = np.full(many, self.extent), np.zeros(many, np.int64)
        np.minimum.at(low, of, first[part])
        np.maximum.at(high, of, end[part])
        return low, high, np.bincount(of, size[part], many).astype(np.int64)

    def ways(self, cut: Loops, finer: Loops) -> tuple[int, int]:
        """The least and the most sets of finer loops that a set is cut into."""
        if (cut, finer) not in self._ways:
            outer, *_ = self.sets(cut)
            inner, size, *_ = self.sets(cut | finer)
            many = np.bincount(np.unique(outer * size.size + inner) // size.size)[outer]
            self._ways[cut, finer] = int(many.min()), int(many.max())
        return self._ways[cut, finer]


@lru_cache(maxsize=256)
def rank_loops(extent: int, tiles: tuple[int, ...]) -> RankLoops:
    """The loops over a rank, kept for other nests that cut it so."""
    return RankLoops(extent, tiles)


class Axes:
    """The loops of a nest, rank by rank."""

    def __init__(self, nest: Nest) -> None:
        self.nest, self.turns = nest, nest.turns
        self.loops = {rank: tuple(n for n, turn in enumerate(nest.turns) if turn.rank == rank) for rank in nest.extents}
        self._inside: dict[tuple[str, Loops], Loops] = {}
        self._totals: dict[Sum, Shares] = {}
        for rank, extent in nest.extents.items():
            if extent > MOST:
                places = f"{rank} has {extent:,} places, more than the {MOST:,}"
                what = f"{nest.einsum.name}: {places} that loops are followed to without elements"
                raise InputError(what, f"make {rank} smaller", nest.einsum.place)
        self._rank_loops = {
            rank: rank_loops(extent, tuple(self.turns[loop].tile for loop in self.loops[rank])) for rank, extent in nest.extents.items()
        }

    def inside(self, rank: str, loops: Loops) -> Loops:
        """The places among a rank's loops of those that are given."""
        if (rank, loops) not in self._inside:
            self._inside[rank, loops] = frozenset(place for place, loop in enumerate(self.loops[rank]) if loop in loops)
        return self._inside[rank, loops]

    def several(self, rank: str, cut: Loops, finer: Loops) -> tuple[bool, bool]:
        """Whether finer loops cut what some loops leave of a rank into several sets everywhere, and nowhere."""
        least, most = self._rank_loops[rank].ways(self.inside(rank, cut), self.inside(rank, finer))
        return least > 1, most == 1

    def total(self, asked: Sum) -> Shares:
        """A sum by copy: float64[copies of the chosen loops]. Refuses sums over too many tiles that differ."""
        if asked not in self._totals:
            self._totals[asked] = self._total(asked.counted, asked.factors, asked.chosen, asked.met)
        return self._totals[asked]

    def _total(self, counted: Loops, factors: Sequence[Factor], chosen: Loops, met: int) -> Shares:
        """The same, worked out."""
        axes = {rank: self._axis(rank, counted, factors, chosen) for rank in self.loops}
        arrays = []
        for number, factor in enumerate(factors):
            shape = tuple(axes[rank].many.size for rank, _ in factor.cuts)
            if math.prod(shape) > MOST:
                what = f"{self.nest.einsum.name} has more than {MOST:,} tiles of {factor.what} that differ"
                raise InputError(what, "make the shape smaller, or state its density as a share", self.nest.einsum.place)
            values = factor.values(self.nest, *self._boxes(factor, axes))
            values = 1 - values if factor.rest else values
            arrays.append(np.broadcast_to(values, (*shape, values.shape[-1]) if number < met else shape))
        arrays += [axis.many for axis in axes.values()]
        if not met and all(axis.many.size == 1 for axis in axes.values()):
            return np.full(1, math.prod(array.item() for array in arrays))
        letters = dict(zip(axes, string.ascii_letters, strict=False))
        terms = ["".join(letters[rank] for rank, _ in factor.cuts) + "Z" * (number < met) for number, factor in enumerate(factors)]
        kept = [rank for rank, axis in axes.items() if axis.turns]
        # where products are few, the order to take them in would be longer to find than worth it
        few = not met and math.prod(axis.many.size for axis in axes.values()) <= _AT_ONCE
        summed = f"{','.join((*terms, *letters.values()))}->{''.join(letters[rank] for rank in kept)}"
        return self._by_copy(np.asarray(np.einsum(summed, *arrays, optimize=not few and "greedy")), kept, axes, sorted(chosen))

    def _axis(self, rank: str, counted: Loops, factors: Sequence[Factor], copies: Loops) -> Axis:
        """Turns of a rank's counted loops that are alike for some factors; refuses sets of places that do not stand together."""
        mine = [
            (factor, cuts, period)
            for factor in factors
            for (other, cuts), period in zip(factor.cuts, factor.periods, strict=True)
            if other == rank
        ]
        every = tuple(dict.fromkeys(self.inside(rank, cut) for _, cuts, _ in mine for cut in cuts))
        periods = [period for *_, period in mine]
        period = 0 if 0 in periods else math.lcm(*periods)
        found = self._rank_loops[rank].axis(self.inside(rank, counted), every, period, self.inside(rank, copies))
        for factor, cuts, _ in mine:
            if found.apart and not factor.sizes_alone and any(self.inside(rank, cut) in found.apart for cut in cuts):
                what = f"{self.nest.einsum.name}: loops over {rank} leave places of {factor.what} that do not stand together"
                mend = "put copies outside the loops in time, or state its density as a share"
                raise InputError(what, mend, self.nest.einsum.place)
        return found

    def _boxes(self, factor: Factor, axes: Dict[str, Axis]) -> list[tuple[list[IntArray], list[IntArray]]]:
        """Where the boxes of a factor begin and end, each rank along a dimension of its own."""
        found: list[tuple[list[IntArray], list[IntArray]]] = []
        many = len(factor.cuts)
        for place, (rank, cuts) in enumerate(factor.cuts):
            shape = (*[1] * place, -1, *[1] * (many - place - 1))
            for box, cut in enumerate(cuts):
                if place == 0:
                    found.append(([], []))
                inside = self.inside(rank, cut)
                found[box][0].append(axes[rank].low[inside].reshape(shape))
                found[box][1].append(axes[rank].high[inside].reshape(shape))
        return found

    def _by_copy(self, out: Shares, kept: list[str], axes: Dict[str, Axis], chosen: list[int]) -> Shares:
        """Sums over axes that lead to copies, as sums by copy."""
        if not chosen:
            return out.reshape(-1)
        index = np.zeros((1,) * out.ndim, np.int64)
        many = 1
        for loop in chosen:
            rank = self.turns[loop].rank
            shape = [1] * out.ndim
            shape[kept.index(rank)] = -1
            index = index * self.turns[loop].trips + axes[rank].turns[self.loops[rank].index(loop)].reshape(shape)
            many *= self.turns[loop].trips
        return np.bincount(np.broadcast_to(index, out.shape).ravel(), out.ravel(), many).astype(np.float64)
