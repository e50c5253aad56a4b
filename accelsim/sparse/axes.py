"""Sums over the turns of a loop nest of products that depend on tiles, with turns that are alike counted together.

Source: docs/sparse.md, "Statistics".
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.nest import Nest, Turn
    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]

MOST = 1 << 24
_AT_ONCE = 1 << 12  # products up to which all are worked out and added up
Loops = frozenset[int]


@dataclass(frozen=True)
class Factor:
    """A number for every tile that some loops cut: `values` of one box or several, which nest; a box is what loops leave of every rank.

    `cuts`: by rank the loops of each box. `periods`: by rank after how many places values are alike again (1: only sizes matter; 0: never).
    `sizes_alone`: whether boxes may be sets of places that do not stand together, given as 0 and their size.
    """

    cuts: Dict[str, tuple[Loops, ...]]
    values: Callable[..., Shares]
    periods: Dict[str, int]
    sizes_alone: bool
    what: str = ""


@dataclass(frozen=True)
class Axis:
    """Turns of a rank's loops that are alike: how many, the first place and the end of every cut, and the turn of each loop over copies.

    `apart`: cuts of which sets do not stand in one place; of these there are 0 and the size.
    """

    many: Shares
    low: dict[Loops, IntArray]
    high: dict[Loops, IntArray]
    turns: dict[int, IntArray]
    apart: frozenset[Loops]


class Axes:
    """The loops of a nest, rank by rank."""

    def __init__(self, nest: Nest) -> None:
        self.nest, self.turns = nest, nest.turns
        self.loops = {rank: tuple(n for n, turn in enumerate(nest.turns) if turn.rank == rank) for rank in nest.extents}
        self._paths: dict[str, tuple[IntArray, IntArray, IntArray]] = {}
        self._axes: dict[tuple[str, Loops, tuple[Loops, ...], int, Loops], Axis] = {}
        self._sets: dict[tuple[str, Loops], tuple[IntArray, IntArray, IntArray, IntArray]] = {}

    def paths(self, rank: str) -> tuple[IntArray, IntArray, IntArray]:
        """Every way through all loops of a rank: the turns int64[loops, ways], and the place that each leads to, and its end."""
        if rank not in self._paths:
            low, high, turns = np.zeros(1, np.int64), np.array([self.nest.extents[rank]]), np.zeros((0, 1), np.int64)
            for loop in self.loops[rank]:
                turn: Turn = self.turns[loop]
                trips = -(-(high - low) // turn.tile)
                parent = np.repeat(np.arange(low.size), trips)
                number = np.arange(parent.size) - np.repeat(np.cumsum(trips) - trips, trips)
                low, end = low[parent] + number * turn.tile, high[parent]
                high, turns = np.minimum(low + turn.tile, end), np.vstack([turns[:, parent], number])
            self._paths[rank] = turns, low, high
        return self._paths[rank]

    def sets(self, rank: str, cut: Loops) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """What some loops leave of a rank: of every way the set that it is in, and of every set its first place, end and size."""
        if (rank, cut) not in self._sets:
            turns, low, high = self.paths(rank)
            rows = [place for place, loop in enumerate(self.loops[rank]) if loop in cut]
            labels = np.zeros(low.size, np.int64)
            for row in rows:
                labels = labels * (int(turns[row].max()) + 1) + turns[row]
            _, labels = np.unique(labels, return_inverse=True)
            labels = labels.reshape(-1)
            many = int(labels.max()) + 1
            size = np.bincount(labels, high - low, many).astype(np.int64)
            first, end = np.full(many, self.nest.extents[rank]), np.zeros(many, np.int64)
            np.minimum.at(first, labels, low)
            np.maximum.at(end, labels, high)
            self._sets[rank, cut] = labels, first, end, size
        return self._sets[rank, cut]

    def axis(self, rank: str, counted: Loops, cuts: Sequence[Loops], period: int, copies: Loops) -> Axis:
        """Turns of `counted` loops, alike if sizes, and places up to a period, are those of all cuts, and turns of copies."""
        asked = rank, counted, tuple(cuts), period, copies & frozenset(self.loops[rank])
        if asked not in self._axes:
            self._axes[asked] = self._axis(*asked)
        return self._axes[asked]

    def _axis(self, rank: str, counted: Loops, cuts: Sequence[Loops], period: int, copies: Loops) -> Axis:
        turns, _, _ = self.paths(rank)
        mine = [loop for loop in self.loops[rank] if loop in copies]
        labels, *_ = self.sets(rank, counted)
        first_way = np.unique(labels, return_index=True)[1]
        keys = [turns[self.loops[rank].index(loop)][first_way] for loop in mine]
        low, high, apart = {}, {}, set()
        for cut in cuts:
            first, end, size = self.united(rank, counted, cut)
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
            {loop: turns[self.loops[rank].index(loop)][first_way][chosen] for loop in mine}, frozenset(apart),
        )  # fmt: skip

    def united(self, rank: str, counted: Loops, cut: Loops) -> tuple[IntArray, IntArray, IntArray]:
        """Of each turn of the counted loops what the loops of a cut leave of a rank there, at all their turns that are not counted.

        Returns the first place, the end and the size of each set.
        """
        (labels, *_), (inner, first, end, size) = self.sets(rank, counted), self.sets(rank, cut)
        of, part = np.divmod(np.unique(labels * first.size + inner), first.size)
        many = int(labels.max()) + 1
        low, high = np.full(many, self.nest.extents[rank]), np.zeros(many, np.int64)
        np.minimum.at(low, of, first[part])
        np.maximum.at(high, of, end[part])
        return low, high, np.bincount(of, size[part], many).astype(np.int64)

    def ways(self, rank: str, cut: Loops, finer: Loops) -> tuple[IntArray, IntArray]:
        """Of every way the number of sets of finer loops that its set is cut into, and the label of its set."""
        outer, *_ = self.sets(rank, cut)
        inner, size, *_ = self.sets(rank, cut | finer)
        pairs = np.unique(outer * size.size + inner) // size.size
        return np.bincount(pairs)[outer], outer

    def total(self, counted: Loops, factors: Sequence[Factor], copies: Loops = frozenset(), met: int = 0) -> Shares:
        """The sum over all turns of the counted loops of the product of factors, by copy: float64[copies of the given loops over copies].

        A loop that a factor is cut by and that is not counted unites what it cuts. The values of the first `met` factors have one more
        axis, the same for all of them, which is summed over too. Refuses sums over too many tiles that differ.
        """
        chosen = frozenset(loop for loop in copies if self.turns[loop].axis)
        axes: dict[str, Axis] = {}
        for rank, loops in self.loops.items():
            cuts = list(dict.fromkeys(cut for factor in factors for cut in factor.cuts.get(rank, ())))
            periods = [factor.periods.get(rank, 1) for factor in factors if rank in factor.cuts]
            period = 0 if 0 in periods else math.lcm(*periods)
            axes[rank] = self.axis(rank, counted & frozenset(loops), cuts, period, chosen)
            for factor in factors:
                if not factor.sizes_alone and axes[rank].apart & set(factor.cuts.get(rank, ())):
                    what = f"{self.nest.einsum.name}: loops over {rank} leave places of {factor.what} that do not stand together"
                    mend = "put copies outside the loops in time, or state its density as a share"
                    raise InputError(what, mend, self.nest.einsum.place)
        letters = dict(zip(axes, string.ascii_letters, strict=False))
        terms, arrays = [], []
        for number, factor in enumerate(factors):
            ranks = list(factor.cuts)
            if math.prod(axes[rank].many.size for rank in ranks) > MOST:
                what = f"{self.nest.einsum.name} has more than {MOST:,} tiles of {factor.what} that differ"
                raise InputError(what, "make the shape smaller, or state its density as a share", self.nest.einsum.place)
            given = []
            for box in range(len(factor.cuts[ranks[0]]) if ranks else 0):
                low, high = [], []
                for place, rank in enumerate(ranks):
                    shape = [1] * len(ranks)
                    shape[place] = -1
                    low.append(axes[rank].low[factor.cuts[rank][box]].reshape(shape))
                    high.append(axes[rank].high[factor.cuts[rank][box]].reshape(shape))
                given.append((low, high))
            values, shape = factor.values(*given), [axes[rank].many.size for rank in ranks]
            arrays.append(np.broadcast_to(values, (*shape, values.shape[-1]) if number < met else tuple(shape)))
            terms.append("".join(letters[rank] for rank in ranks) + "Z" * (number < met))
        for rank, axis in axes.items():
            arrays.append(axis.many)
            terms.append(letters[rank])
        kept = [rank for rank, axis in axes.items() if axis.turns]
        few = math.prod(axis.many.size for axis in axes.values()) <= _AT_ONCE  # an order of products would take longer to find than to save
        out = np.asarray(np.einsum(f"{','.join(terms)}->{''.join(letters[rank] for rank in kept)}", *arrays, optimize=not few and "greedy"))
        return self._by_copy(out, kept, axes, sorted(chosen))

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
            index = index * self.turns[loop].trips + axes[rank].turns[loop].reshape(shape)
            many *= self.turns[loop].trips
        return np.bincount(np.broadcast_to(index, out.shape).ravel(), out.ravel(), many).astype(np.float64)
