"""All sums of a list at once, where turns are alike but for those at the end of a rank: sums of few products.

Source: docs/sparse.md, "Statistics".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.sparse.axes import Axes
from accelsim.sparse.sums import Amount, Factor, Loops, Signed, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MOST_WAYS = 256  # through the loops of all ranks, up to which they are gone one by one
_FIRST = np.zeros(1, np.int64)  # where a piece may be taken to begin
_Key = tuple[Hashable, tuple[tuple[int, ...], ...]]  # a factor's kind, and by rank and box the piece that it has


@dataclass(frozen=True, eq=False, slots=True)
class _Family:
    """Factors that are one function of boxes: their places among all factors, and of each box and dimension the pieces that these have."""

    values: Callable[..., Shares]
    places: IntArray
    pieces: tuple[tuple[IntArray, ...], ...]

    def of(self, nest: Nest, sizes: IntArray) -> Shares:
        """Their values, by the sizes of pieces."""
        return self.values(nest, *(([_FIRST] * len(box), [sizes[piece] for piece in box]) for box in self.pieces))


class Table:
    """A list of sums of nests that differ in the sizes of tiles alone, with the same loops of more than one turn.

    A piece is what some loops leave of a rank. Loops that cut a rank evenly leave pieces of one size, and a sum is the product of how many
    turns its counted loops have and of its factors for one turn. Where they do not, there are a few ways through the loops over the rank,
    whole tiles and what is left of one at each, and a sum is a sum of products. Those that take more are left to `Axes`: where places
    matter, or pieces do not stand together although they have to, or stand across the borders of what a factor's period makes alike; and
    of a rank that is cut unevenly, where copies are, pieces do not stand together, or places matter up to a period.
    """

    def __init__(self, sums: Iterable[Sum], nest: Nest) -> None:
        self.sums, self._ranks = tuple(sums), tuple(nest.extents)
        self._loops = {rank: [n for n, turn in enumerate(nest.turns) if turn.rank == rank] for rank in self._ranks}
        self._big = frozenset(n for n, turn in enumerate(nest.turns) if turn.trips > 1)
        self._pieces: dict[tuple[str, Loops], int] = {}
        factors: dict[_Key, tuple[int, Factor]] = {}
        of_sum: list[list[int]] = []
        borders: list[tuple[int, int, int]] = []  # sum, piece, period
        alike = [all(self._is_alike(factor, each.counted) for factor in each.factors) for each in self.sums]
        for number, each in enumerate(self.sums):
            of_sum.append([])
            for factor in each.factors if alike[number] else ():
                pieces = self._of(factor, each.counted)
                place, _ = factors.setdefault((factor.kind, pieces), (len(factors), factor))
                of_sum[number].append(2 * place + factor.rest)
                for mine, period in zip(pieces, factor.periods, strict=True):
                    borders += [(number, piece, period) for piece in mine if period > 1]
        self._alike, self._borders = np.array(alike, bool), np.array(borders, np.int64).reshape(-1, 3).T
        many = len(nest.turns)
        self._counted = _rows([each.counted for each in self.sums], many)
        self._chosen = _rows([each.chosen for each in self.sums], many)
        self._cut = _rows([cut for _, cut in self._pieces], many)
        self._extents = np.array([nest.extents[rank] for rank, _ in self._pieces], np.int64)
        self._last = np.array([max(cut, default=-1) for _, cut in self._pieces], np.int64)
        self._stand = np.array([self._stands(*piece) for piece in self._pieces], bool)
        self._hangs = np.array([[self._hangs_on(each, rank) for rank in self._ranks] for each in self.sums]).reshape(-1, len(self._ranks))
        self._depth = np.array([[self._depth_of(each, rank) for rank in self._ranks] for each in self.sums]).reshape(-1, len(self._ranks))
        self._none = 2 * len(factors)
        self._factors = np.full((len(self.sums), max(map(len, of_sum), default=0)), self._none)
        for number, row in enumerate(of_sum):
            self._factors[number, : len(row)] = row
        self._met = [(number, row[0], row[1]) for number, (row, each) in enumerate(zip(of_sum, self.sums, strict=True)) if each.met and row]
        met = {place for _, *row in self._met for place in row}
        self._along = {2 * each[0]: _family([(key, *each)]) for key, each in factors.items() if 2 * each[0] in met}
        self._families = [
            _family([(key, *each) for key, each in factors.items() if key[0] == kind])
            for kind in dict.fromkeys(key[0] for key, each in factors.items() if 2 * each[0] not in met)
        ]

    def _is_alike(self, factor: Factor, counted: Loops) -> bool:
        """Whether a factor may be the same at all turns: nothing hangs on single places, and pieces stand together if they have to."""
        return 0 not in factor.periods and (
            factor.sizes_alone or all(self._stands(rank, cut & counted) for rank, cuts in factor.cuts for cut in cuts)
        )

    def _of(self, factor: Factor, counted: Loops) -> tuple[tuple[int, ...], ...]:
        """Pieces of every rank of a factor, one for each box: a loop that is not counted unites what it cuts."""
        cut = counted & self._big

        def piece(rank: str, loops: Loops) -> int:
            return self._pieces.setdefault((rank, loops & cut), len(self._pieces))

        return tuple(tuple(piece(rank, loops) for loops in boxes) for rank, boxes in factor.cuts)

    def _stands(self, rank: str, cut: Loops) -> bool:
        """Whether places that some loops leave of a rank stand together: no loop of several turns between or outside them is missing."""
        kept = [loop in cut for loop in self._loops[rank] if loop in self._big]
        return kept == sorted(kept, reverse=True)

    def _depth_of(self, asked: Sum, rank: str) -> int:
        """How many loops over a rank there are down to the last that is counted."""
        return max((place + 1 for place, loop in enumerate(self._loops[rank]) if loop in asked.counted & self._big), default=0)

    def _hangs_on(self, asked: Sum, rank: str) -> bool:
        """Whether a sum hangs on more than the ways through the loops over a rank that is cut unevenly."""
        loops = self._big.intersection(self._loops[rank])
        mine = [each for factor in asked.factors for each in zip(factor.cuts, factor.periods, strict=True) if each[0][0] == rank]
        cuts = [asked.counted, *(cut & asked.counted for (_, cuts), _ in mine for cut in cuts)]
        return bool(asked.chosen & loops) or any(period != 1 for _, period in mine) or not all(self._stands(rank, cut) for cut in cuts)

    def of(self, nest: Nest) -> Amounts:
        """The sums of one of the nests."""
        ways = [_ways(nest.extents[rank], tuple([nest.turns[loop].tile for loop in self._loops[rank]])) for rank in self._ranks]
        uneven = frozenset([rank for rank, each in zip(self._ranks, ways, strict=True) if len(each) > 1])
        trips = np.array([turn.trips for turn in nest.turns], np.float64)
        sizes = np.maximum(1, self._extents // _product(self._cut, trips).astype(np.int64))
        copies, even = _product(self._chosen, trips).tolist(), self._alike
        if self._borders.size:
            number, piece, period = self._borders
            even = even.copy()
            even[number[(sizes[piece] % period != 0) & (period % sizes[piece] != 0)]] = False
        if uneven:
            few = math.prod(map(len, ways)) <= MOST_WAYS
            even = even & few & ~(self._hangs @ [rank in uneven for rank in self._ranks])
        if not even.any():
            return Amounts(self.sums, nest, uneven, [None] * len(self.sums), copies)
        once: Flags | None = None
        if uneven:  # a last axis for ways
            trips, sizes, once = self._apart(ways, sizes)
        values = np.ones((self._none + 1, *trips.shape[1:]))  # of every factor, what is left of 1, and of none
        for family in self._families:
            values[family.places] = family.of(nest, sizes)
        values[1:-1:2] -= values[:-1:2]
        totals = _product(self._counted, trips) * values[self._factors].prod(axis=1)
        along = {place: family.of(nest, sizes).reshape(*trips.shape[1:], -1) for place, family in self._along.items()}
        for each, one, other in self._met:
            totals[each] *= (along[one] * along[other]).sum(axis=-1)
        totals = totals if once is None else (totals * once).sum(axis=1)
        known = [total if kept else None for total, kept in zip(totals.tolist(), even.tolist(), strict=True)]
        return Amounts(self.sums, nest, uneven, known, copies)

    def _apart(self, ways: list[tuple[_Way, ...]], sizes: IntArray) -> tuple[Shares, IntArray, Flags]:
        """Of all ways through the loops of all ranks: turns float64[loops, ways], sizes of pieces int64[pieces, ways], and whether it is
        the first in which the counted loops of a sum go this way, bool[sums, ways]. `sizes`: of pieces if ranks are cut evenly.
        """
        chosen, loops = list(product(*ways)), self._counted.shape[1]
        trips, left = np.ones((loops, len(chosen))), np.zeros((loops + 1, len(chosen)), np.int64)
        for number, way in enumerate(chosen):
            for rank, mine in zip(self._ranks, way, strict=True):
                trips[self._loops[rank], number], left[self._loops[rank], number] = mine.trips, mine.left
        sizes = np.where(self._stand[:, None], np.where(self._last[:, None] < 0, self._extents[:, None], left[self._last]), sizes[:, None])
        known = np.array([[mine.known for mine in way] for way in chosen])
        return trips, sizes, np.asarray((known < self._depth[:, None, :]).all(axis=2))


class Amounts:
    """What the sums of a list come to for a nest: those that are even are known, others are worked out when they are asked for.

    `uneven`: ranks that some loop does not cut evenly.
    """

    def __init__(self, sums: Sequence[Sum], nest: Nest, uneven: frozenset[str], totals: list[float | None], copies: list[float]) -> None:
        self._sums, self._nest, self._totals, self._copies, self.uneven = sums, nest, totals, copies, uneven
        self._axes: Axes | None = None

    @property
    def axes(self) -> Axes:
        """The loops of the nest, rank by rank."""
        if self._axes is None:
            self._axes = Axes(self._nest)
        return self._axes

    def is_even(self, place: int) -> bool:
        """Whether a sum of the list is a product."""
        return self._totals[place] is not None

    def sum(self, place: int) -> Amount:
        """A sum of the list."""
        total = self._totals[place]
        return Amount(total, int(self._copies[place])) if total is not None else Amount.of(self.axes.total(self._sums[place]))

    def of(self, asked: Signed) -> Amount:
        """What signed sums come to."""
        (sign, place), *others = asked.parts
        assert sign > 0
        found = self.sum(place)
        for sign, place in others:
            found = found.plus(sign, self.sum(place))
        return found

    def total(self, asked: Signed) -> float:
        """The same of all copies together."""
        found = 0.0
        for sign, place in asked.parts:
            total = self._totals[place]
            found += sign * (total if total is not None else float(self.axes.total(self._sums[place]).sum()))
        return found


def _rows(loops: Sequence[Loops], many: int) -> Flags:
    """Sets of loops as flags bool[sets, loops]."""
    found = np.zeros((len(loops), many), bool)
    for row, each in enumerate(loops):
        found[row, sorted(each)] = True
    return found


def _product(rows: Flags, trips: Shares) -> Shares:
    """Turns of all loops of each row together, float64[rows], or float64[rows, ways]."""
    return np.asarray(np.where(rows if trips.ndim == 1 else rows[:, :, None], trips, 1.0).prod(axis=1))


def _family(members: Sequence[tuple[_Key, int, Factor]]) -> _Family:
    """Factors of one kind."""
    pieces = [key[1] for key, *_ in members]
    ranks, boxes = len(pieces[0]), len(pieces[0][0]) if pieces[0] else 0
    by_box = tuple(tuple(np.array([each[rank][box] for each in pieces]) for rank in range(ranks)) for box in range(boxes))
    return _Family(members[0][2].values, np.array([2 * place for _, place, _ in members]), by_box)


class _Way(NamedTuple):
    """A way through the loops over a rank: turns that are alike, and what each leaves; how many loops go the way before, -1: none did."""

    trips: tuple[int, ...]
    left: tuple[int, ...]
    known: int


@lru_cache(maxsize=1024)
def _ways(extent: int, tiles: tuple[int, ...]) -> tuple[_Way, ...]:
    """All ways: at every loop through its whole tiles, and through the one that is left; one if all are whole."""
    paths: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), (extent,))]
    for tile in tiles:
        parts = [(*divmod(left[-1], tile), trips, left) for trips, left in paths]
        paths = [
            ((*trips, many), (*left, size))
            for whole, rest, trips, left in parts
            for many, size in ((whole, tile), (1, rest))
            if many and size
        ]
    found: list[_Way] = []
    for trips, (_, *left) in paths:
        known = -1
        if found:
            known = next(place for place, (one, other) in enumerate(zip(left, found[-1].left, strict=True)) if one != other)
        found.append(_Way(trips, tuple(left), known))
    return tuple(found)
