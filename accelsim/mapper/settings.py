"""What trunks of a part mean for the Einsums below them: room, how often words come, what enters further in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.mapper.leaf import LeafSearch
from accelsim.mapper.leaf_bounds import BEYOND
from accelsim.mapper.leaf_plan import FloatArray, IntArray
from accelsim.mapper.options import Bounds
from accelsim.mapper.tiles import divisors

if TYPE_CHECKING:
    from accelsim.mapper.floors import Floors
    from accelsim.mapper.part import Part

Order = tuple[str, ...]
"""Ranks of a trunk's loops, the outermost first."""
_BLOCK = 50_000  # trunks that are looked at at once
_AHEAD = 32  # trunks whose settings are worked out at once


@dataclass(frozen=True, slots=True)
class Above:
    """Where an external tensor may be kept above the fuse of n trunks: on top of them (None), or directly below the loop over a rank.

    bits, visits: float64[places, n], pieces held (`BEYOND`: the trunk has no such loop) and how often the tensor's words come there.
    """

    below: tuple[str | None, ...]
    bits: FloatArray
    visits: FloatArray


@dataclass(frozen=True, slots=True)
class Setting:
    """Of n trunks: room, float64[n], pieces that memory 1 has for what is external. turned: of every external tensor float64[n], how often
    its words come at least if it is kept in the leaves; above: where it may be kept else.

    If the trunks are known: their iterations, float64[n]; for every way to run every Einsum the numbers of its tiles below them (int64[n]),
    the least ticks (`shortest`, float64[n]), and how many words of each tensor enter a memory inside memory 1 at least, if it keeps the
    tensor (`entering`, float64[n, tensors]).
    """

    room: FloatArray
    turned: list[FloatArray]
    above: list[Above]
    iterations: FloatArray | None = None
    numbers: list[list[IntArray]] | None = None
    shortest: list[list[FloatArray]] | None = None
    entering: list[list[FloatArray]] | None = None


@dataclass(frozen=True, slots=True)
class Trunks:
    """Trunks of a part under one schedule: for each its order of loops, by number, and its tiles (int64[n, shared ranks])."""

    orders: IntArray
    tiles: IntArray

    def __len__(self) -> int:
        return len(self.orders)

    def some(self, which: IntArray) -> Trunks:
        """Those at some places."""
        return Trunks(self.orders[which], self.tiles[which])

    @staticmethod
    def joined(parts: list[Trunks]) -> Trunks:
        """All of several."""
        return Trunks(np.concatenate([each.orders for each in parts]), np.concatenate([each.tiles for each in parts]))


@dataclass(frozen=True, slots=True)
class Trunk:
    """One trunk: its loops, ranks and the tiles that they leave, from outside in, and its setting, that of a row among others."""

    schedule: str
    loops: tuple[tuple[str, int], ...]
    setting: Setting
    row: int


@dataclass(frozen=True, slots=True)
class _Merits:
    """What an order of loops is good for, by ranks.

    places: of each external tensor where it may be kept above the fuse, by the loops around that place: those that cut it, and those
    that make it come again. shared: of each tensor that an Einsum touches, loops that turn directly above and do not change it.
    """

    places: list[list[tuple[set[str], set[str]]]]
    shared: list[set[str]]

    def cover(self, other: _Merits) -> bool:
        """Whether whatever the other is good for, this is too."""
        return all(mine >= theirs for mine, theirs in zip(self.shared, other.shared, strict=True)) and all(
            any(cut >= less and again <= more for cut, again in mine)
            for mine, theirs in zip(self.places, other.places, strict=True)
            for less, more in theirs
        )


class Loops:
    """The trunks of a part under one schedule, and their settings."""

    def __init__(self, floors: Floors) -> None:
        self.floors, self.part = floors, floors.part
        part = self.part
        self.ranks = part.stretch.shared
        self.pipelined = floors.schedule == "pipelined"
        # consecutive iterations may share what a memory holds: loops innermost in a pipelined trunk move nothing then
        self.sharing = self.pipelined and part.evaluator.counting.refill == "delta"
        self.extents = np.array([part.extents[rank] for rank in self.ranks], np.int64)
        # of trunks with equal bounds the smallest tiles come first: Einsums below them have fewer ways to run
        sets = [ranks for count in range(len(self.ranks), -1, -1) for ranks in combinations(self.ranks, count)]
        self.orders = [order for ranks in sets for order in self._worth(ranks)]
        count = len(self.ranks)
        self._around = np.zeros((len(self.orders), count, count), bool)  # by order and two ranks: is the second's loop around the first's
        for at, order in enumerate(self.orders):
            places = [self.ranks.index(rank) for rank in order]
            for depth, place in enumerate(places):
                self._around[at, place, places[: depth + 1]] = True

    def _worth(self, ranks: Order) -> list[Order]:
        """The orders of loops over some ranks of which none is as good as another whatever the tiles."""
        part, found = self.part, list[tuple[Order, _Merits]]()
        for order in permutations(ranks):
            if not part.exact.permits.may_turn(part.stretch.names, order):
                continue
            merits = self._merits(order)
            if part.exact.constraints.tiles:  # places are not all there
                found.append((order, merits))
            elif not any(other.cover(merits) for _, other in found):
                found = [(each, other) for each, other in found if not merits.cover(other)] + [(order, merits)]
        return [order for order, _ in found]

    def _merits(self, order: Order) -> _Merits:
        part, places, shared = self.part, list[list[tuple[set[str], set[str]]]](), list[set[str]]()
        for tensor, movable in zip(part.placeable, part.movable, strict=True):
            indexed = part.ranks_of[tensor]
            depths = [depth for depth in range(len(order) + 1) if movable and (not depth or order[depth - 1] in indexed)]
            outer = [set(order[:depth]) for depth in depths]
            places.append([(ranks.intersection(indexed), ranks.difference(indexed)) for ranks in outer])
        for search, names in (ways[0] for ways in self.floors.ways) if self.sharing else ():
            for row in search.plan.indexed if isinstance(search, LeafSearch) else ():
                indexed = tuple(rank for rank, has in zip(names.ranks, row, strict=True) if has)
                inner = [depth for depth, rank in enumerate(order) if rank in indexed]
                shared.append(set(order[1 + inner[-1] :] if inner else order))
        return _Merits(places, shared)

    def all(self, roomy: bool = False) -> list[Trunks]:
        """Trunks that leave room for what is internal, in blocks: where there are many ways to keep tensors, one for each set of ranks.

        roomy: as if what is internal took none.
        """
        part, ranks = self.part, self.ranks
        sizes = list(product(*(divisors(part.extents[rank]) for rank in ranks)))
        tiles = np.array(sizes, np.int64).reshape(len(sizes), len(ranks))
        names, exact = part.stretch.names, part.exact
        good = exact.permits.may_leave(names, ranks, tiles) & (roomy or self.fit(tiles))
        for tensor in part.stretch.internal:
            good &= exact.permits.may_be_held(tensor, names, ranks, tiles)
        tiles = tiles[good]
        turning = (tiles < self.extents) @ (1 << np.arange(len(ranks)))
        found: dict[int, list[Trunks]] = {}
        for at, order in enumerate(self.orders):
            pattern = sum(1 << ranks.index(rank) for rank in order)
            rows = tiles[turning == pattern]
            found.setdefault(pattern, []).append(Trunks(np.full(len(rows), at), rows))
        together = [found.values()] if self.floors.tells_apart(ranks) else [[each] for each in found.values()]
        return [block for sets in together for block in self._blocks([trunks for each in sets for trunks in each])]

    def _blocks(self, parts: list[Trunks]) -> list[Trunks]:
        """Trunks in blocks that are not too large."""
        every = Trunks.joined(parts)
        return [every.some(np.arange(first, min(first + _BLOCK, len(every)))) for first in range(0, len(every), _BLOCK)]

    def fit(self, tiles: IntArray) -> NDArray[np.bool_]:
        """Whether there is room for what is internal below loops that leave these tiles."""
        return np.asarray(self._internal(tiles) <= self.part.room)

    def _internal(self, tiles: IntArray) -> FloatArray:
        """Pieces that internal tensors hold below loops that leave these tiles, at least."""
        found = np.zeros(len(tiles))
        for tensor in self.part.stretch.internal:
            bits = self._words(tensor, tiles) * self.part.width(tensor)
            found = found + bits if self.pipelined else np.maximum(found, bits)
        return found

    def _words(self, tensor: str, tiles: IntArray) -> FloatArray:
        """Words of a tensor's tile below each trunk."""
        words = np.ones(len(tiles))
        for rank, extent in zip(self.part.ranks_of[tensor], self.part.exact.cascade.tensors[tensor].shape, strict=True):
            words = words * (tiles[:, self.ranks.index(rank)] if rank in self.ranks else self.part.length(rank, extent))
        return words

    def setting(self, trunks: Trunks, roomy: bool = False) -> Setting:
        """What trunks mean for the Einsums below them; roomy: as if what is internal took no room."""
        part, ways = self.part, self.floors.ways
        trips = self.extents // trunks.tiles
        around = self._around[trunks.orders]
        coming = cache(lambda ranks: self._coming(ranks, trips, around))
        turned = [
            coming(part.ranks_of[tensor])[0] if alike else np.ones(len(trunks))
            for tensor, alike in zip(part.placeable, part.alike, strict=True)
        ]  # fmt: skip
        numbers = [[search.numbers(names, self.ranks, trunks.tiles, part.extents) for search, names in mine] for mine in ways]
        return Setting(
            part.room - (0.0 if roomy else 1.0) * self._internal(trunks.tiles),
            turned,
            [self._above(at, trips, around) for at in range(len(part.placeable))],
            trips.prod(axis=1).astype(float),
            numbers,
            [[search.shortest(at) for (search, _), at in zip(*each, strict=True)] for each in zip(ways, numbers, strict=True)],
            [[search.entering(names, coming) for search, names in mine] for mine in ways],
        )

    def _indexing(self, ranks: tuple[str | None, ...]) -> tuple[bool, ...]:
        """Which of the shared ranks are among some."""
        return tuple(rank in ranks for rank in self.ranks)

    def _coming(self, ranks: tuple[str | None, ...], trips: IntArray, around: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of a tensor that these ranks index: how often it comes because of loops over others, how many of their iterations share its tile,
        and how many tiles it is cut into."""
        own = np.array(self._indexing(ranks), bool)
        counted = np.broadcast_to(~own, trips.shape)
        if self.sharing:
            counted = counted & around[:, own].any(axis=1)
        again, idle, tiles = (np.where(which, trips, 1.0).prod(axis=1) for which in (counted, ~own & ~counted, own))
        return again * self.part.turns(ranks), idle, tiles

    def _above(self, at: int, trips: IntArray, around: IntArray) -> Above:
        part = self.part
        if not part.movable[at]:
            return Above((), np.zeros((0, len(trips))), np.zeros((0, len(trips))))
        indexed = np.array(self._indexing(part.ranks_of[part.placeable[at]]), bool)
        whole, often = part.held_words(at) * part.width(part.placeable[at]), part.turns(part.ranks_of[part.placeable[at]])
        below: list[str | None] = [None]
        bits, visits = [np.full(len(trips), whole)], [np.full(len(trips), often)]
        for place in np.flatnonzero(indexed).tolist():
            turns = around[:, place, place]
            if turns.any():
                below.append(self.ranks[place])
                bits.append(np.where(turns, whole / np.where(around[:, place] & indexed, trips, 1.0).prod(axis=1), BEYOND))
                visits.append(np.where(around[:, place] & ~indexed, trips, 1.0).prod(axis=1) * often)
        return Above(tuple(below), np.stack(bits), np.stack(visits))


class Waiting:
    """Trunks of a part that wait to be explored, the most promising first, with lower bounds."""

    def __init__(self) -> None:
        self.bounds = Bounds.joined([])
        self._loops: list[Loops] = []
        self._which = np.zeros(0, np.int64)  # of the loops
        self._trunks: Trunks | None = None
        self._ahead: tuple[int, IntArray, Setting] | None = None  # the settings of some

    def __len__(self) -> int:
        return len(self._which)

    def add(self, loops: Loops, trunks: Trunks, bounds: Bounds) -> None:
        """Let more wait."""
        if loops not in self._loops:
            self._loops.append(loops)
        self.bounds = Bounds.joined([self.bounds, bounds.wide(len(trunks))])
        self._which = np.append(self._which, np.full(len(trunks), self._loops.index(loops)))
        self._trunks = trunks if self._trunks is None else Trunks.joined([self._trunks, trunks])

    def keep(self, which: IntArray) -> None:
        """Go on with some, in this order."""
        self.bounds, self._which, self._ahead = self.bounds.some(which), self._which[which], None
        self._trunks = None if self._trunks is None else self._trunks.some(which)

    def settings(self) -> Iterator[tuple[Loops, IntArray, Setting]]:
        """Those that wait with their settings, in blocks."""
        for which, loops in enumerate(self._loops):
            every = np.flatnonzero(self._which == which)
            for first in range(0, len(every), _BLOCK):
                rows = every[first : first + _BLOCK]
                assert self._trunks is not None
                yield loops, rows, loops.setting(self._trunks.some(rows))

    def better(self, which: IntArray, bounds: Bounds) -> None:
        """Note other bounds of some."""
        for figures, others in zip(self.bounds.figures(), bounds.figures(), strict=True):
            figures[which] = np.maximum(figures[which], others)

    @property
    def trunks(self) -> Trunks:
        """Those that wait."""
        assert self._trunks is not None
        return self._trunks

    def part(self, at: int) -> Part:
        """The part, or variant of it, of one that waits."""
        return self._loops[int(self._which[at])].part

    def trunk(self, at: int) -> Trunk:
        """One that waits. Settings are worked out for several at once."""
        assert self._trunks is not None
        which = int(self._which[at])
        loops = self._loops[which]
        if self._ahead is None or self._ahead[0] != which or at not in self._ahead[1]:
            rows = at + np.flatnonzero(self._which[at : at + _AHEAD] == which)
            self._ahead = which, rows, loops.setting(self._trunks.some(rows))
        _, rows, setting = self._ahead
        order = loops.orders[int(self._trunks.orders[at])]
        tile = dict(zip(loops.ranks, self._trunks.tiles[at].tolist(), strict=True))
        return Trunk(loops.floors.schedule, tuple((rank, tile[rank]) for rank in order), setting, int(np.searchsorted(rows, at)))
