"""All sums of a list at once, where turns are alike but for those at the end of a rank: sums of few products.

Source: docs/sparse.md, "Statistics".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from accelsim.sparse import kernels_even as k
from accelsim.sparse.axes import Axes
from accelsim.sparse.sums import MOST, Amount, Factor, Loops, Rule, Signed, Sizes, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Listed
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MOST_WAYS = 256  # through the loops of all ranks, up to which they are gone one by one
_Pieces = tuple[tuple[int, ...], ...]  # by rank and box the piece that a factor has


class Table:
    """A list of sums of nests that differ in the sizes of tiles alone, with the same loops of more than one turn.

    A piece is what some loops leave of a rank. Loops that cut a rank evenly leave pieces of one size, and a sum is the product of how many
    turns its counted loops have and of its factors for one turn. Where they do not, there are a few ways through the loops over the rank,
    whole tiles and what is left of one at each, and a sum is a sum of products. Those that take more are left to `Axes`: where places
    matter, or pieces do not stand together although they have to, or stand across the borders of what a factor's period makes alike; and
    of a rank that is cut unevenly, where copies are, pieces do not stand together, or places matter up to a period.
    """

    def __init__(self, sums: Iterable[Sum], nest: Nest) -> None:
        self.sums, self._ranks, self.extents = tuple(sums), tuple(nest.extents), nest.extents
        self.loops = {rank: [n for n, turn in enumerate(nest.turns) if turn.rank == rank] for rank in self._ranks}
        self._big = frozenset(n for n, turn in enumerate(nest.turns) if turn.trips > 1)
        self._pieces: dict[tuple[str, Loops], int] = {}
        self._given: list[tuple[Factor, _Pieces]] = []
        factors: dict[tuple[Hashable, _Pieces], tuple[int, Factor]] = {}
        rows, of_sum, borders = list[tuple[int, ...]](), list[int](), list[tuple[int, int, int]]()
        for number, each in enumerate(self.sums):
            ruled = all(factor.rule is not None for factor in each.factors[: each.met])
            alike, first = ruled and all(self._is_alike(factor, each.counted) for factor in each.factors), len(of_sum)
            for factor in each.factors if alike else ():
                pieces = self._of(factor, each.counted)
                place, _ = factors.setdefault((factor.kind, pieces), (len(factors), factor))
                of_sum.append(2 * place + factor.rest)
                for mine, period in zip(pieces, factor.periods, strict=True):
                    borders += [(number, piece, period) for piece in mine if period > 1]
            rows.append((first, len(of_sum), each.met, alike))
        self._tables = self._tabled(nest, rows, of_sum, borders, factors)

    def _tabled(
        self, nest: Nest, rows: list[tuple[int, ...]], of_sum: list[int], borders: list[tuple[int, int, int]],
        factors: dict[tuple[Hashable, _Pieces], tuple[int, Factor]],
    ) -> k.Tables:  # fmt: skip
        """What the kernel takes."""
        many, place = len(nest.turns), {rank: number for number, rank in enumerate(self._ranks)}
        rules = [each.rule or Rule(k.GIVEN) for _, each in factors.values()]
        chances, starts = _joined(tuple(dict.fromkeys(rule.listed for rule in rules if rule.listed is not None)))
        made, of_factor, blanks = np.zeros((len(rules), k.COLUMNS), np.int64), list[int](), [np.zeros(0)]
        for row, (_, pieces), (_, factor), rule in zip(made, factors, factors.values(), rules, strict=True):
            row[[k.RULE, k.BEGIN, k.DIMENSIONS]] = rule.code, len(of_factor), len(pieces)
            of_factor += [mine[box] for box in range(len(pieces[0]) if pieces else 0) for mine in pieces]
            if rule.listed is not None:
                row[[k.LISTED, k.SIDE]] = rule.listed.kind, rule.listed.side
                row[[k.START, k.LENGTH]] = starts[rule.listed], rule.listed.chances.size
            if rule.blank is not None:
                row[[k.START, k.LENGTH]] = sum(each.size for each in blanks), rule.blank.size
                blanks.append(rule.blank)
            for column, value in rule.columns:
                row[column] = value
            if factor.rule is None:
                row[k.LOOP] = len(self._given)
                self._given.append((factor, pieces))
        pieces_of = [(place[rank], max(cut, default=-1), self._stands(rank, cut)) for rank, cut in self._pieces]
        return k.Tables(
            _table([place[turn.rank] for turn in nest.turns]), _table([nest.extents[rank] for rank in self._ranks]), _table(pieces_of, 3),
            flags([cut for _, cut in self._pieces], many), made, flags([rule.told for rule in rules], many),
            np.array([rule.numbers for rule in rules], np.float64).reshape(-1, 2), _table(of_factor), _table(rows, 4), _table(of_sum),
            flags([each.counted for each in self.sums], many),
            flags([each.chosen for each in self.sums], many), _table(borders, 3),
            np.array([[self._hangs_on(each, rank) for rank in self._ranks] for each in self.sums], np.bool_).reshape(-1, len(self._ranks)),
            _table([[self._depth_of(each, rank) for rank in self._ranks] for each in self.sums], len(self._ranks)), chances,
            np.concatenate(blanks),
        )  # fmt: skip

    def _is_alike(self, factor: Factor, counted: Loops) -> bool:
        """Whether a factor may be the same at all turns: nothing hangs on single places, and pieces stand together if they have to."""
        return 0 not in factor.periods and (
            factor.sizes_alone or all(self._stands(rank, cut & counted) for rank, cuts in factor.cuts for cut in cuts)
        )

    def _of(self, factor: Factor, counted: Loops) -> _Pieces:
        """Pieces of every rank of a factor, one for each box: a loop that is not counted unites what it cuts."""
        cut = counted & self._big

        def piece(rank: str, loops: Loops) -> int:
            return self._pieces.setdefault((rank, loops & cut), len(self._pieces))

        return tuple(tuple(piece(rank, loops) for loops in boxes) for rank, boxes in factor.cuts)

    def _stands(self, rank: str, cut: Loops) -> bool:
        """Whether places that some loops leave of a rank stand together: no loop of several turns between or outside them is missing."""
        kept = [loop in cut for loop in self.loops[rank] if loop in self._big]
        return kept == sorted(kept, reverse=True)

    def _depth_of(self, asked: Sum, rank: str) -> int:
        """How many loops over a rank there are down to the last that is counted."""
        return max((place + 1 for place, loop in enumerate(self.loops[rank]) if loop in asked.counted & self._big), default=0)

    def _hangs_on(self, asked: Sum, rank: str) -> bool:
        """Whether a sum hangs on more than the ways through the loops over a rank that is cut unevenly."""
        loops = self._big.intersection(self.loops[rank])
        mine = [each for factor in asked.factors for each in zip(factor.cuts, factor.periods, strict=True) if each[0][0] == rank]
        cuts = [asked.counted, *(cut & asked.counted for (_, cuts), _ in mine for cut in cuts)]
        return bool(asked.chosen & loops) or any(period != 1 for _, period in mine) or not all(self._stands(rank, cut) for cut in cuts)

    def of(self, nest: Nest) -> Amounts:
        """The sums of one of the nests."""
        return self.at(tuple([(turn.tile, turn.trips) for turn in nest.turns]), lambda: nest)

    def at(self, sizes: Sizes, nest: Callable[[], Nest]) -> Amounts:
        """The sums of the nest with some sizes of loops; it is made where they do not tell all."""
        array = np.array(sizes, np.int64).reshape(-1, 2)
        given = _NONE_GIVEN
        if self._given:  # what no compiled rule tells
            boxes: list[list[int]] = k.totals(self._tables, array, _NO_WAYS, MOST_WAYS, MOST)[-1].tolist()
            rows = [[_one(factor, pieces, way, sizes, nest) for factor, pieces in self._given] for way in boxes]
            given = np.array(rows, np.float64).reshape(-1, len(self._given))
        return Amounts(self, array, k.totals(self._tables, array, given, MOST_WAYS, MOST), nest)


_NONE_GIVEN, _NO_WAYS = np.zeros((MOST_WAYS, 0)), np.zeros((0, 0))


def _one(factor: Factor, pieces: _Pieces, sizes_of: list[int], sizes: Sizes, nest: Callable[[], Nest]) -> float:
    """A factor of one turn, by the sizes of pieces."""
    if factor.one is not None:
        return factor.one(sizes, tuple([sizes_of[mine[0]] for mine in pieces]))
    low = [np.zeros(1, np.int64)] * len(pieces)
    boxes = [(low, [np.array([sizes_of[mine[box]]]) for mine in pieces]) for box in range(len(pieces[0]) if pieces else 0)]
    return float(factor.values(nest(), *boxes).reshape(-1)[0])


class Amounts:
    """What the sums of a list come to for a nest: those that are even are known, others are worked out when they are asked for.

    `sizes`: int64[loops, 2], tiles and turns. `uneven`: ranks that some loop does not cut evenly. `known`: whether all are even.
    `totals`, `copies`: of even sums, float64[sums] and int64[sums].
    """

    def __init__(
        self, table: Table, sizes: IntArray, found: tuple[Shares, IntArray, Flags, Flags, bool, IntArray], nest: Callable[[], Nest]
    ) -> None:
        self.sizes, self._table, self._sums, self._nest = sizes, table, table.sums, nest
        self.totals, self.copies, self._even, self._uneven, self.known, _ = found

    @cached_property
    def uneven(self) -> frozenset[str]:
        """Ranks that some loop does not cut evenly."""
        return frozenset([rank for rank, cut in zip(self._table.extents, self._uneven.tolist(), strict=True) if cut])

    def several(self, rank: str, cut: Loops, finer: Loops) -> tuple[bool, bool]:
        """Whether finer loops cut what some loops leave of a rank into several sets everywhere, and nowhere."""
        loops = self._table.loops[rank]
        if finer and any(loop in cut for loop in loops if loop > min(finer)):
            return self.axes.several(rank, cut, finer)
        return cut_into_several(self._table.extents[rank], [(int(self.sizes[loop, 0]), loop in cut, loop in finer) for loop in loops])

    @cached_property
    def axes(self) -> Axes:
        """The loops of the nest, rank by rank."""
        return Axes(self._nest())

    def is_even(self, place: int) -> bool:
        """Whether a sum of the list is a product."""
        return bool(self._even[place])

    def sum(self, place: int) -> Amount:
        """A sum of the list."""
        if self._even[place]:
            return Amount(float(self.totals[place]), int(self.copies[place]))
        return Amount.of(self.axes.total(self._sums[place]))

    def total_of(self, place: int) -> float:
        """A sum of the list, of all copies together."""
        return float(self.totals[place] if self._even[place] else self.axes.total(self._sums[place]).sum())

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
        return sum(sign * self.total_of(place) for sign, place in asked.parts)


def cut_into_several(extent: int, loops: Iterable[tuple[int, bool, bool]]) -> tuple[bool, bool]:
    """Whether loops over a rank cut what others leave of it into several sets everywhere, and nowhere.

    `loops`: from outside in the tile of each, whether it leaves something, and whether it cuts that; none that leaves is inside one that
    cuts. A loop that does neither unites its turns, all of which lie in the first as far as inner loops tell.
    """
    left = {(extent, False)}  # sizes, and whether these are cut
    for tile, leaves, cuts in loops:
        if leaves:
            left = {(min(size, tile), False) for size, _ in left} | {(size % tile, False) for size, _ in left if size % tile}
        else:
            left = {(min(size, tile), cut or (cuts and size > tile)) for size, cut in left}
    return all(cut for _, cut in left), not any(cut for _, cut in left)


@lru_cache(maxsize=16)
def _joined(lists: tuple[Listed, ...]) -> tuple[Shares, dict[Listed, int]]:
    """Lists of chances one after the other, and where each begins."""
    starts = np.cumsum([0, *(each.chances.size for each in lists)]).tolist()
    return np.concatenate([np.zeros(0), *(each.chances for each in lists)]), dict(zip(lists, starts, strict=False))


def _table(rows: Sequence[Sequence[int]] | Sequence[int], columns: int = 0) -> IntArray:
    """Rows of integers int64[rows, columns], or integers int64[rows]."""
    found = np.array(rows, np.int64)
    return found.reshape(-1, columns) if columns else found


def flags(loops: Sequence[Iterable[int]], many: int) -> Flags:
    """Sets of loops as flags bool[sets, loops]."""
    found = np.zeros((len(loops), many), bool)
    for row, each in enumerate(loops):
        found[row, sorted(each)] = True
    return found
