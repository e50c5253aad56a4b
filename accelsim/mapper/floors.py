"""Lower bounds on what the Einsums of a part cost below trunks, before any way to run one is worked out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property, reduce
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.crowding import Kept, is_crowded, least_sum
from accelsim.mapper.leaf import LeafSearch
from accelsim.mapper.leaf_bounds import BEYOND, UNLIMITED
from accelsim.mapper.leaf_plan import FloatArray, Names
from accelsim.mapper.mixing import best_weights, least_means
from accelsim.mapper.options import Bounds, Way
from accelsim.mapper.settings import Setting

if TYPE_CHECKING:
    from accelsim.mapper.nests import Nest
    from accelsim.mapper.part import Part

_MOST_KEEPS = 256  # ways to keep what an Einsum touches above the fuse, beyond which bounds do not tell them apart
_MOST_ASSIGNED = 4096  # ways to share Einsums out among units, beyond which bounds do not tell them apart
_FEWEST_TOGETHER = 4  # Einsums of a part below which bounds on sums over them cost more than they save


class Floors:
    """Lower bounds of one part under one schedule; `ways`: the ways to run every Einsum."""

    def __init__(self, part: Part, schedule: str, ways: list[list[tuple[LeafSearch | Nest, Names]]]) -> None:
        self.part, self.exact, self.schedule, self.ways = part, part.exact, schedule, ways
        self.many = len(ways) >= _FEWEST_TOGETHER
        self.free = np.zeros(1 + self.exact.times)
        self.mine = [[number for number, users in enumerate(part.users) if at in users] for at in range(len(ways))]
        self.common = [number for number, users in enumerate(part.users) if len(users) > 1]

    @cached_property
    def weights(self) -> FloatArray:
        """Weights of means of port times that tell most about these Einsums, float64[k, 1 + times]: see mixing."""
        exact, fronts, means = self.exact, list[FloatArray](), list[FloatArray]()
        if self.schedule != "pipelined" or not self.part.aim.uses[1] or not self.many:
            return exact.mixes[:0]
        for at, block in enumerate(self.part.blocks):
            ways = range(len(exact.ways[block[0]]))
            known = [self._below_none(at, way, frozenset()) for way in ways]
            if all(each is not None and len(each[1]) for each in known):
                fronts.append(np.concatenate([each[1] for each in known if each is not None]))
                means.append(reduce(np.minimum, [self._means(at, way) for way in ways]))
        return best_weights(fronts, means, exact.mixes)

    @cached_property
    def _mark(self) -> bytes:
        """What tells these weights from others."""
        return self.weights.tobytes()

    def _means(self, at: int, way: int) -> FloatArray:
        """The least means of an Einsum on a unit with all that is external in the leaf: float64[k]."""
        key, known = self._key(at, way, frozenset()), self._below_none(at, way, frozenset())
        if key not in self.exact.means:
            assert known is not None
            self.exact.means[key] = least_means(known[1], self.exact.mixes)
        return self.exact.means[key]

    def wide(self, rows: FloatArray) -> FloatArray:
        """Rows float64[n, 1 + times], and behind them their means: float64[n, 1 + times + k]."""
        return np.concatenate([rows, rows @ self.weights.T], axis=-1) if len(self.weights) else rows

    def widened(self, ways: list[Way]) -> list[Way]:
        """The same of ways."""
        return [Way(way.unit, self.wide(way.rows), way.busiest) for way in ways] if len(self.weights) else ways

    @cached_property
    def forward(self) -> tuple[tuple[str, str, str], ...]:
        """Which Einsum waits for which in every mapping, and the tensor for which it does."""
        return tuple(self.part.evaluator.program.edges(frozenset(self.part.stretch.names), lambda *_: 0)[0])

    def tells_apart(self, ranks: Collection[str]) -> bool:
        """Whether bounds tell apart all ways to keep tensors above the fuse of trunks with loops over these ranks."""
        part = self.part
        choices = [
            2 + len(set(ranks) & set(part.ranks_of[tensor])) if movable else 1
            for tensor, movable in zip(part.placeable, part.movable, strict=True)
        ]
        return self._few(choices)

    def _few(self, choices: list[int]) -> bool:
        return max(prod(choices[number] for number in {*each, *self.common}) for each in self.mine) <= _MOST_KEEPS

    def least(self, setting: Setting, most: tuple[float, float] = UNLIMITED) -> Bounds:
        """Lower bounds under many trunks: the least of all ways to keep above the fuse what several Einsums touch."""
        if not self._few([1 + len(above.below) for above in setting.above]):
            return self.roomless(setting, most)
        found, best, coming = [self._apart(at, setting, most) for at in range(len(self.mine))], list[Bounds](), self._coming(setting)
        for fixed in self._shared(setting):
            confined, kept = list[list[Way]](), list[Kept]()
            for at, ways in enumerate(found):
                owns = list(self._own(at, setting, fixed))
                every = [
                    [self._confined(at, way, each, setting, coming, fixed, own, most) for own in owns] for way, each in enumerate(ways)
                ]
                confined.append([reduce(Way.least, each) for each in every])
                if self.many:
                    bits = [_held(setting, {number: place for number, place in own.items() if number not in fixed}) for own in owns]
                    kept.append(Kept(every, np.array(bits)))
            best.append(self.together(confined, setting.iterations, self.crowded(kept, setting.room - _held(setting, fixed))))
        return reduce(Bounds.lesser, best)

    def crowded(self, kept: list[Kept], room: FloatArray) -> Bounds | None:
        """Lower bounds on what Einsums cost that share a room (float64[n]), of ticks those of the ports where they run side by side; None
        where they are few, or the room is no narrower for them together than for each alone.
        """
        if not self.many or not is_crowded(kept, room):
            return None
        traffic, latency = 1 + self.exact.traffic, 1 + self.exact.latency
        bits, (by_energy, by_ticks, by_traffic, _) = [each.bits for each in kept], self.part.aim.uses

        def least(figure: Callable[[Way], FloatArray]) -> FloatArray:
            return least_sum([each.values(figure) for each in kept], bits, room)

        ticks = free = np.zeros(len(room))
        if by_ticks and self.schedule == "pipelined":
            columns = *range(2, traffic), *range(1 + self.exact.times, kept[0].ways[0][0].rows.shape[1])
            ticks = reduce(np.maximum, (least(lambda way, column=column: way.rows[:, column]) for column in columns), free)  # type: ignore[misc]
        elif by_ticks:
            ticks = least(lambda way: np.maximum(way.busiest, np.maximum.reduce(way.rows[:, 1:traffic], axis=1)) + way.rows[:, latency])
        return Bounds(
            least(lambda way: way.rows[:, 0]) if by_energy else free, ticks, least(lambda way: way.rows[:, traffic]) if by_traffic else free
        )

    def jointly(self, setting: Setting, most: tuple[float, float], effort: int) -> Bounds | None:
        """Better bounds, where all that is kept above the fuse has to find room together, and what is of no use to the part is left out.

        effort: combinations of places beyond which that is not tried.
        """
        places = [1 + len(above.below) for above in setting.above]
        if prod(places) > effort:
            return None
        found, many, coming = [self._apart(at, setting, most) for at in range(len(self.mine))], len(setting.room), self._coming(setting)
        best = [Bounds(*(np.full(many, BEYOND) for _ in range(3)))]
        for fixed in self._shared(setting):
            choices = [
                [(own, [self._confined(at, way, each, setting, coming, fixed, own, most) for way, each in enumerate(ways)])
                 for own in self._own(at, setting, fixed)]
                for at, ways in enumerate(found)
            ]  # fmt: skip
            for picks in product(*choices):
                kept = reduce(lambda one, other: one | other, (own for own, _ in picks), fixed)
                fits = sum(setting.above[number].bits[place] for number, place in kept.items() if place >= 0) <= setting.room
                if not np.any(fits):
                    continue
                bounds = self.together([ways for _, ways in picks], setting.iterations).wide(many)
                good = np.zeros(many, bool)
                good[self.part.useful(bounds)] = True
                best.append(bounds.where(good & fits, BEYOND))
        return reduce(Bounds.lesser, best)

    def _shared(self, setting: Setting) -> Iterator[dict[int, int]]:
        """All ways to place what several Einsums touch: places above the fuse by number of tensor, -1 in the leaves."""
        for places in product(*(range(-1, len(setting.above[number].below)) for number in self.common)):
            yield dict(zip(self.common, places, strict=True))

    def _own(self, at: int, setting: Setting, fixed: dict[int, int]) -> Iterator[dict[int, int]]:
        """All ways to place what an Einsum touches, if some is placed."""
        mine = self.mine[at]
        for places in product(*([fixed[n]] if n in fixed else range(-1, len(setting.above[n].below)) for n in mine)):
            yield dict(zip(mine, places, strict=True))

    def _apart(self, at: int, setting: Setting, most: tuple[float, float]) -> list[dict[frozenset[int], Way]]:
        """Bounds of an Einsum on every unit, by the tensors that are in the leaves."""
        numbers = self.mine[at]
        outside = product(*((False, True) if setting.above[number].below else (False,) for number in numbers))
        sets = [frozenset(number for number, out in zip(numbers, each, strict=True) if not out) for each in outside]
        visits = {number: np.concatenate([setting.turned[number] * (number in leaves) for leaves in sets]) for number in numbers}
        shortest = None if setting.shortest is None else [np.tile(each, len(sets)) for each in setting.shortest[at]]
        entering = None if setting.entering is None else [np.tile(each, (len(sets), 1)) for each in setting.entering[at]]
        found = []
        for way in self.widened(self.alone(at, visits, shortest, entering, most)):
            rows, busiest = np.split(way.rows, len(sets)), np.split(way.busiest, len(sets))
            found.append({leaves: Way(way.unit, *each) for leaves, *each in zip(sets, rows, busiest, strict=True)})
        return found

    def roomless(self, setting: Setting, most: tuple[float, float] = UNLIMITED) -> Bounds:
        """The same, quicker: as if each external tensor were kept where its words come least often, by itself."""
        fewest = [
            reduce(np.minimum, np.where(above.bits <= setting.room, above.visits, BEYOND), inside)
            for above, inside in zip(setting.above, setting.turned, strict=True)
        ]
        ways = []
        for at, numbers in enumerate(self.mine):
            visits = {number: fewest[number] * (self.part.users[number][0] == at) for number in numbers}
            shortest = None if setting.shortest is None else setting.shortest[at]
            ways.append(self.widened(self.alone(at, visits, shortest, None if setting.entering is None else setting.entering[at], most)))
        return self.together(ways, setting.iterations)

    def crude(self) -> Bounds:
        """The same under any trunk: every word of an external tensor comes once at least."""
        part, known, ways = self.part, self.exact.alone, []
        for at, numbers in enumerate(self.mine):
            first = tuple((part.placeable[number], part.users[number][0] == at and part.least_turns(number)) for number in numbers)
            key = part.blocks[at], tuple((id(search), search.crude) for search, _ in self.ways[at]), first
            if key not in known:
                known[key] = self.alone(at, {number: np.array([float(pays)]) for number, (_, pays) in zip(numbers, first, strict=True)})
            ways.append(known[key])
        return self.together(ways)

    def _coming(self, setting: Setting) -> list[list[FloatArray]]:
        """What it costs to bring or send every external tensor, for all places above the fuse: float64[n, 1 + times + k]."""
        part = self.part
        return [
            [self.wide(once) + (visits - 1)[:, None] * self.wide(more) for visits in above.visits]
            for once, more, above in zip(part.brought, part.again, setting.above, strict=True)
        ]

    def _confined(
        self, at: int, way: int, apart: dict[frozenset[int], Way], setting: Setting, coming: list[list[FloatArray]], fixed: dict[int, int],
        own: dict[int, int], most: tuple[float, float],
    ) -> Way:  # fmt: skip
        """Bounds of an Einsum on a unit, if what it touches is placed (`own`), and what else several touch (`fixed`); see `_shared`."""
        part, above = self.part, setting.above
        here = [(number, place) for number, place in own.items() if place >= 0]
        others = [(number, place) for number, place in fixed.items() if place >= 0 and number not in own]
        outside = frozenset(number for number, _ in here)
        left = setting.room - sum(above[number].bits[place] for number, place in (*here, *others))
        bounds = apart[frozenset(own) - outside]
        within = self.within(at, way, outside, left)
        if within is not None:
            bounds = bounds.most(within)
        rows = bounds.rows
        for number, place in here:
            if part.users[number][0] == at:
                rows = rows + coming[number][place]
        good = (left >= 0) & (rows[:, 0] <= most[0]) & (bounds.busiest <= most[1])
        if good.all():
            return Way(bounds.unit, rows, bounds.busiest)
        return Way(bounds.unit, np.where(good[:, None], rows, BEYOND), np.where(good, bounds.busiest, BEYOND))

    def within(self, at: int, way: int, above: frozenset[int], room: FloatArray) -> Way | None:
        """What an Einsum on a unit costs at least below any trunk, if some external tensors are kept above the fuse and the leaf has some
        room (float64[n]); None: that takes too long to find out, or is not known.

        What an Einsum costs below loops in time it costs below none at most: its own outermost block may have them, unless constraints
        say otherwise.
        """
        known = self._below_none(at, way, above)
        if known is None:
            return None
        held, front = known
        key = *self._key(at, way, above), self._mark
        if key not in self.exact.within:
            rows = self.wide(front)
            rows = np.minimum.accumulate(np.concatenate([np.full((1, rows.shape[1]), BEYOND), rows]))
            busiest = np.concatenate([[BEYOND], front[:, 1 : 1 + self.exact.traffic].max(axis=1)])
            self.exact.within[key] = rows, np.minimum.accumulate(busiest)
        rows, busiest = self.exact.within[key]
        place = np.searchsorted(held, room, side="right")
        return Way(self.exact.ways[self.part.blocks[at][0]][way][1].unit, rows[place], busiest[place])

    def _key(self, at: int, way: int, above: frozenset[int]) -> tuple[int, int]:
        """An Einsum on a unit, and which of what it touches memory 1 holds above it."""
        part = self.part
        search, names = self.exact.ways[part.blocks[at][0]][way]
        here = {part.placeable[number] for number in above} | part.resident | set(part.stretch.internal)
        return id(search), sum(1 << k for k, tensor in enumerate(names.tensors) if tensor in here)

    def _below_none(self, at: int, way: int, above: frozenset[int]) -> tuple[FloatArray, FloatArray] | None:
        """What an Einsum costs below no trunk, if some external tensors are kept above the fuse: pieces that it holds, in order
        (float64[n]), and costs, float64[n, 1 + times]; None: that takes too long to find out, or is not known.
        """
        part, exact = self.part, self.exact
        if len(part.blocks[at]) > 1:
            return None
        search, names = exact.ways[part.blocks[at][0]][way]
        if search.slow or search.plan.ruled.any() or search.plan.inside.any():
            return None
        key = _, given = self._key(at, way, above)
        if key not in exact.below_none:
            budget = -1 if exact.size == float("inf") else int(exact.size)
            allowed = ((1 << len(names.tensors)) - 1) & ~given
            front = search.front(search.whole, given, allowed, budget, None, False, False, (*part.aim.uses[:3], True))
            order = np.argsort(front.rows[:, 1 + exact.times], kind="stable")
            exact.below_none[key] = front.rows[order, 1 + exact.times], front.rows[order, : 1 + exact.times]
        return exact.below_none[key]

    def alone(
        self, at: int, visits: dict[int, FloatArray], shortest: list[FloatArray] | None = None, entering: list[FloatArray] | None = None,
        most: tuple[float, float] = UNLIMITED,
    ) -> list[Way]:  # fmt: skip
        """Lower bounds on what one Einsum costs on every unit.

        visits: for every external tensor that it touches float64[n], how often its words come at least. shortest, entering: of a
        setting. most: energy and ticks beyond which it is of no use.
        """
        found, part = [], self.part
        many = max(map(len, (*visits.values(), *(entering or ()))), default=1)
        for way, (search, names) in enumerate(self.ways[at]):
            words, bypassing = np.zeros((many, len(names.tensors))), 0
            for k, tensor in enumerate(names.tensors):
                number = part.numbers.get(tensor)
                if number is not None:
                    words[:, k] = part.whole[number] * visits[number]
                    bypassing |= 1 << k
            rows, busiest = search.least(bypassing, words, None if entering is None else entering[way], most)
            if shortest is not None:
                rows[:, 1] = np.maximum(rows[:, 1], shortest[way])
            found.append(Way(names.unit, rows, busiest))
        return found

    def together(self, ways: list[list[Way]], iterations: FloatArray | None = None, crowded: Bounds | None = None) -> Bounds:
        """Lower bounds on what Einsums cost of which each costs at least what one of its ways does; n rows each, or one.

        iterations: of the trunk. crowded: see there.
        """
        traffic, latency = 1 + self.exact.traffic, 1 + self.exact.latency
        best = [reduce(np.minimum, [way.rows for way in mine]) for mine in ways]
        slowest = [
            reduce(np.minimum, [np.maximum(way.busiest, np.maximum.reduce(way.rows[:, 1:traffic], axis=1)) for way in mine])
            for mine in ways
        ]  # fmt: skip
        energy, moved = (reduce(np.add, [rows[:, figure] for rows in best]) for figure in (0, traffic))
        if crowded is not None:
            energy, moved = np.maximum(energy, crowded.energy), np.maximum(moved, crowded.traffic)
        if self.schedule == "pipelined":
            mixed = [reduce(np.add, [rows[:, column] for rows in best]) for column in range(1 + self.exact.times, best[0].shape[1])]
            ticks = reduce(np.maximum, [self._balanced(ways, best), *slowest, *mixed, *([] if crowded is None else [crowded.ticks])])
            if iterations is not None:  # the first pass takes as long as its Einsums one after another
                ticks = ticks + np.maximum(0.0, self._through(ways, iterations) - ticks) / iterations
        else:
            ticks = reduce(np.add, [slow + rows[:, latency] for slow, rows in zip(slowest, best, strict=True)])
            ticks = ticks if crowded is None else np.maximum(ticks, crowded.ticks)
        if not len(energy) == len(ticks) == len(moved):
            energy, ticks, moved = np.broadcast_arrays(energy, ticks, moved)
        return Bounds(energy, ticks, moved)

    def _through(self, ways: list[list[Way]], iterations: FloatArray) -> FloatArray:
        """The longest way through Einsums that wait for each other, in ticks of all iterations."""
        ends: dict[str, FloatArray] = {}
        for name, mine in zip(self.part.stretch.names, ways, strict=True):
            own = reduce(np.minimum, (way.rows[:, 1] + way.rows[:, 1 + self.exact.latency] * iterations for way in mine))
            ends[name] = reduce(np.maximum, [ends[a] for a, b, _ in self.forward if b == name and a in ends], np.zeros(1)) + own
        return np.asarray(reduce(np.maximum, ends.values()))

    def _balanced(self, ways: list[list[Way]], best: list[FloatArray]) -> FloatArray:
        """Ticks that no assignment of Einsums to units goes below."""
        units = sorted({way.unit for mine in ways for way in mine})
        ports = reduce(np.add, (rows[:, 2 : 1 + self.exact.traffic] for rows in best)).max(axis=1, initial=0.0)
        if prod(map(len, ways)) > _MOST_ASSIGNED:  # as if Einsums could be shared out among units
            return np.asarray(np.maximum(reduce(np.add, (rows[:, 1] for rows in best)) / len(units), ports))
        found = []
        for picks in product(*ways):
            loads = dict.fromkeys(units, np.zeros(1))
            for way in picks:
                loads[way.unit] = loads[way.unit] + way.rows[:, 1]
            found.append(reduce(np.maximum, loads.values()))
        return np.asarray(np.maximum(reduce(np.minimum, found), ports))


def _held(setting: Setting, places: dict[int, int]) -> FloatArray:
    """Pieces that tensors hold above the fuse at their places, float64[n]."""
    return sum((setting.above[number].bits[place] for number, place in places.items() if place >= 0), np.zeros(len(setting.room)))
