"""Trunks below which some Einsums of a part have a trunk of their own, or pass something on through the root.

What a part makes and reads itself is kept in memory 1 below its trunk, and takes room there. Where that room is short, two other ways
may be better: some consecutive Einsums (a *nest*) run below loops of their own, so that what only they touch is kept in smaller tiles; or
a tensor is not kept there, and goes out to the root and back. Either is a *variant* of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.mapper.below import Below
from accelsim.mapper.figures import SLACK, Aim, Cost
from accelsim.mapper.leaf import Coming, Front
from accelsim.mapper.leaf_bounds import UNLIMITED
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.options import Bounds, Option
from accelsim.mapper.pieces import Stretch
from accelsim.mapper.settings import Loops, Trunks, Waiting

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact
    from accelsim.mapper.part import Part

MOST_JOINT = 1000  # combinations of places that bounds tell apart at most
_MOST_PASSED = 2  # tensors of a part that pass through the root at most


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a nest: tiles that loops around leave, by rank; room in memory 1; by Einsum the times (float64[1 + times], no
    energy and no traffic) of filling what is kept further out and this Einsum is the first to touch; whether ways are good that only take
    less room than others."""

    tile: dict[str, int]
    room: float
    paid: dict[str, FloatArray]
    thrifty: bool


class Allowance:
    """The most energy and ticks that a nest may take; in place of `options.Cutoff`."""

    def __init__(self, aim: Aim, limit: tuple[float, float]) -> None:
        self.aim, self.limit, self.best = aim, limit, limit

    def note(self, cost: Cost) -> None:
        """A way to run the nest has been found; it rules out nothing by itself."""

    def copy(self) -> Allowance:
        """The same, which nothing changes."""
        return self

    def allowed(self, bounds: Cost) -> NDArray[np.bool_]:
        """Whether something with these lower bounds, whose figures are arrays, may be of use."""
        return np.asarray((bounds.energy <= self.limit[0] * SLACK) & (bounds.ticks <= self.limit[1] * SLACK))

    def allows(self, bound: Cost) -> bool:
        """The same of one bound."""
        return bool(self.allowed(bound))

    def headroom(self, bound: Cost) -> tuple[float, float]:
        """How much more energy than a bound, and how many more ticks, something of use may take."""
        return self.limit[0] * SLACK - bound.energy, self.limit[1] * SLACK - bound.ticks


class Hopeless:
    """Tiles below which nothing is of use though what is internal takes no room: nor is anything below finer ones then.

    What Einsums cost below loops, they cost at coarser tiles at most, where each external tensor is one Einsum's alone (see
    docs/mapspace.md, "Without the trunk"); elsewhere nothing follows.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.sure = all(len(users) == 1 for users in part.users)
        self._tiles = np.zeros((0, 0), np.int64)

    def covers(self, tile: IntArray) -> bool:
        """Whether a tile is finer than one of these; int64[ranks]."""
        return bool(len(self._tiles) and (self._tiles % tile == 0).all(axis=1).any())

    def look(self, waiting: Waiting, at: int) -> bool:
        """Whether nothing below a trunk that waits is of use; its tile is one of these then."""
        tile = waiting.trunks.tiles[at]
        if self.sure and self.covers(tile):
            return True
        probe = self.part.probe()
        done = Below(probe, waiting.trunk(at), roomy=True).explore(quickly=False)
        if not done or any(self.part.worth(option.cost) for option in probe.solved.options):
            return False
        if self.sure:
            self._tiles = np.vstack([self._tiles.reshape(-1, len(tile)), tile])
        return True


class Nest:
    """Consecutive Einsums as one: all good ways to run them below a tile, one after the other, below loops of their own."""

    tiles = 1
    crude = False

    def __init__(self, exact: Exact, names: tuple[str, ...], stretch: Stretch) -> None:
        self.exact, self.stretch = exact, stretch
        self.ways = [exact.ways[name] for name in names]
        ranks = dict.fromkeys(rank for ways in self.ways for rank in ways[0][1].ranks)
        self.names = Names(names[0], "", tuple(ranks), stretch.external, (), ())
        self.place = {tensor: at for at, tensor in enumerate(stretch.external)}
        self._rows: list[dict[str, int]] = []
        self._numbers: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
        self._known: dict[object, tuple[tuple[float, float], Front]] = {}
        self._options: list[Option] = []

    # --- as a LeafSearch ------------------------------------------------------------------------------------------------------------

    def numbers(self, names: Names, ranks: tuple[str, ...], tiles: IntArray, extents: Mapping[str, int]) -> IntArray:
        """Numbers of many tiles, as `LeafSearch.numbers`."""
        found = np.zeros(len(tiles), np.int64)
        for at, row in enumerate(map(tuple, tiles.tolist())):
            if (ranks, row) not in self._numbers:
                self._numbers[ranks, row] = len(self._rows)
                self._rows.append({**extents, **dict(zip(ranks, row, strict=True))})
            found[at] = self._numbers[ranks, row]
        return found

    def shortest(self, number: IntArray) -> FloatArray:
        """The least ticks of the units below tiles with these numbers."""
        total = np.zeros(len(number))
        for ways in self.ways:
            least = []
            for search, names in ways:
                tiles = np.array([[self._rows[at][rank] for rank in names.ranks] for at in number.tolist()], np.int64)
                least.append(search.shortest(search.numbers(names, names.ranks, tiles.reshape(len(number), len(names.ranks)), {})))
            total = total + np.min(least, axis=0)
        return total

    def entering(self, names: Names, coming: Coming) -> FloatArray:
        """How many words of each tensor of each Einsum enter a memory inside memory 1 at least."""
        return np.concatenate([np.min([search.entering(each, coming) for search, each in ways], axis=0) for ways in self.ways], axis=1)

    def least(
        self, bypassing: int, words: FloatArray, entering: FloatArray | None = None, most: tuple[float, float] = UNLIMITED
    ) -> tuple[FloatArray, FloatArray]:
        """Lower bounds of energy and times, and of the largest of these, as `LeafSearch.least`: times add up, and count as the unit's."""
        total, first, column = np.zeros((1, 1 + self.exact.times)), set[str](), 0
        traffic, latency = 1 + self.exact.traffic, 1 + self.exact.latency
        for ways in self.ways:
            tensors = ways[0][1].tensors
            mine = None if entering is None else np.ascontiguousarray(entering[:, column : column + len(tensors)])
            column += len(tensors)
            best, slowest = [], []
            for search, names in ways:
                own, leaving = np.zeros((len(words), len(tensors))), 0
                for k, tensor in enumerate(names.tensors):
                    at = self.place.get(tensor)
                    if at is not None and bypassing >> at & 1:
                        leaving |= 1 << k
                        own[:, k] = words[:, at] * (tensor not in first)
                rows, busiest = search.least(leaving, own, mine)
                best.append(rows)
                slowest.append(np.maximum(busiest, rows[:, 1:traffic].max(axis=1)) + rows[:, latency])
            least = np.min(best, axis=0)
            added = np.zeros_like(least)
            added[:, 0], added[:, traffic], added[:, 1] = least[:, 0], least[:, traffic], np.min(slowest, axis=0)
            total = total + added
            first.update(tensors)
        return total, total[:, 1]

    # --- its front ------------------------------------------------------------------------------------------------------------------

    def front(self, number: int, kept: frozenset[str], paid: dict[str, FloatArray], room: float, limit: tuple[float, float]) -> Front:
        """All good ways below a tile, as rows of a leaf's front whose time is the unit's; raises OutOfTime.

        kept: tensors that memory 1 holds already; paid: by tensor the times (float64[1 + times], ticks) of filling those that this nest is
        the first to touch; room: pieces that memory 1 has left; limit: the most picojoules and ticks that are of use.
        """
        from accelsim.mapper.part import Part

        key = number, kept, tuple(sorted((tensor, cost.tobytes()) for tensor, cost in paid.items())), room
        known = self._known.get(key)
        if known is None or known[0][0] < limit[0] or known[0][1] < limit[1]:
            by_einsum: dict[str, FloatArray] = {}
            for tensor, cost in paid.items():
                name = next(name for name in self.stretch.names if tensor in self.exact.tensors.touched[name])
                by_einsum[name] = by_einsum.get(name, np.zeros_like(cost)) + cost
            options: list[Option] = []
            for thrifty in (False, True):  # what takes less room may leave it to others; if nothing is of use, that is known sooner
                part = Part(self.exact, self.stretch, kept, 0.0, around=Around(self._rows[number], room, by_einsum, thrifty))
                options = part.solve(Allowance(part.aim, limit))
                if not options:
                    break
            rows, traffic = np.zeros((len(options), 3 + self.exact.times)), 1 + self.exact.traffic
            for row, option in zip(rows, options, strict=True):
                row[0], row[1], row[traffic] = option.cost.energy, option.cost.ticks, option.cost.traffic
                row[1 + self.exact.times] = option.cost.held
            pointers = len(self._options) + np.arange(len(options)).reshape(-1, 1)
            self._options.extend(options)
            known = self._known[key] = limit, Front(rows, pointers)
        return known[1]

    def option(self, pointer: IntArray) -> Option:
        """What a row of a front stands for."""
        return self._options[int(pointer[0])]


class Variants:
    """The variants of a part: bounds of all of them at first, then of each, then what they cost."""

    def __init__(self, part: Part, bound: Cost) -> None:
        self.part, self.bound = part, bound
        self._listed: tuple[Loops, Trunks, Bounds] | None = None

    def go_on(self) -> Cost | None:
        """Better bounds, or all that is of use, offered to the part. Returns a bound of what is left; None: nothing is."""
        return self._list() if self._listed is None else self._explore()

    def _list(self) -> Cost | None:
        """Trunks under which some variant may be of use: what the part makes and reads takes no room."""
        part = self.part
        floors = part.floors("sequential")
        loops, found, least = Loops(floors), list[Trunks](), list[Bounds]()
        for trunks in loops.all(roomy=True):
            turning = np.array([len(loops.orders[order]) > 0 for order in trunks.orders.tolist()], bool)
            trunks = trunks.some(np.flatnonzero(turning))
            if not len(trunks):
                continue
            bounds = floors.least(loops.setting(trunks, roomy=True), part.most("sequential")).wide(len(trunks))
            useful = part.useful(bounds)
            if len(useful):
                better = floors.jointly(loops.setting(trunks.some(useful), roomy=True), part.most("sequential"), MOST_JOINT)
                bounds = bounds.some(useful) if better is None else better
                left = part.useful(bounds)
                found.append(trunks.some(useful[left]))
                least.append(bounds.some(left))
        if not any(map(len, found)):
            return None
        self._listed = loops, Trunks.joined(found), Bounds.joined(least)
        return self._listed[2].least(part.held)

    def _explore(self) -> Cost | None:
        """Every variant below every trunk, the most promising first. Returns a bound of what there was no time for."""
        part, waiting, places = self.part, Waiting(), list[IntArray]()
        assert self._listed is not None
        listed, trunks, least = self._listed
        for variant in self._variants():
            variant.follow(part)
            loops = Loops(variant.floors("sequential"))
            rows = np.flatnonzero(loops.fit(trunks.tiles))
            rows = rows[part.useful(least.some(rows))]
            if len(rows):
                good, bounds = self._bounds(variant, loops, trunks.some(rows))
                waiting.add(loops, trunks.some(rows[good]), bounds)
                places.append(rows[good])
        below = np.concatenate([*places, np.zeros(0, np.int64)])
        order = np.lexsort((below, -np.log(trunks.tiles[below]).sum(axis=1), part.values(waiting.bounds)))
        waiting.keep(order)
        every = Waiting()
        every.add(listed, trunks, least)
        hopeless, known = Hopeless(part), dict[int, bool]()
        for at, place in enumerate(below[order].tolist()):
            if not part.worth(waiting.bounds.cost(at, part.held)):
                continue
            if part.exact.ended:
                part.put_off = True
                return waiting.bounds.some(np.arange(at, len(waiting))).least(part.held)
            if place not in known:
                known[place] = hopeless.look(every, place)
            if known[place]:
                continue
            variant = waiting.part(at)
            variant.follow(part)
            if not Below(variant, waiting.trunk(at)).explore(quickly=False):
                part.put_off = True
                return waiting.bounds.some(np.arange(at, len(waiting))).least(part.held)
        return None

    @staticmethod
    def _bounds(variant: Part, loops: Loops, trunks: Trunks) -> tuple[IntArray, Bounds]:
        """The places of trunks below which a variant may be of use, and bounds there."""
        floors, most = loops.floors, variant.most("sequential")
        bounds = floors.least(loops.setting(trunks), most).wide(len(trunks))
        good = variant.useful(bounds)
        better = floors.jointly(loops.setting(trunks.some(good)), most, MOST_JOINT) if len(good) else None
        if better is None:
            return good, bounds.some(good)
        left = variant.useful(better)
        return good[left], better.some(left)

    def _variants(self) -> Iterator[Part]:
        """All variants: a nest of some Einsums, or tensors that pass through the root."""
        part, exact = self.part, self.part.exact
        names, stretch = part.stretch.names, part.stretch
        for start, end in combinations(range(len(names) + 1), 2) if exact.nests else ():
            inner = exact.stretch_of(names[start:end])
            inside = [tensor for tensor in stretch.internal if tensor in inner.internal]
            if end - start < 2 or end - start == len(names) or not inside or not inner.sound:
                continue
            outer = replace(stretch, internal=tuple(tensor for tensor in stretch.internal if tensor not in inside))
            blocks = (*((name,) for name in names[:start]), names[start:end], *((name,) for name in names[end:]))
            yield part.variant(outer, blocks, {names[start:end]: Nest(exact, names[start:end], inner)})
        for count in range(1, _MOST_PASSED + 1):
            for passed in combinations(stretch.internal, count):
                if all(exact.permits.may_pass(tensor, True) for tensor in passed):
                    inside = [tensor for tensor in stretch.internal if tensor not in passed]
                    outer = replace(stretch, internal=tuple(inside), external=(*stretch.external, *passed))
                    yield part.variant(outer, part.blocks, {}, frozenset(passed))
