"""What stands below one trunk: what is kept above the fuse, and a way to run every Einsum, joined one Einsum after another.

An external tensor that one Einsum alone touches concerns only that Einsum: where it is kept and how the Einsum runs make a *pick*. Picks
that others equal or beat are dropped, then sums of picks over more and more Einsums. Where tensors that several Einsums touch are kept is
chosen first, for all of them. So the work grows with the number of Einsums, not with the number of combinations.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.crowding import Kept
from accelsim.mapper.figures import NO_WEIGHTS, SLACK
from accelsim.mapper.leaf import Front, LeafSearch, OutOfTime
from accelsim.mapper.leaf_bounds import BEYOND, UNLIMITED
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.options import Bounds, Way
from accelsim.mapper.picks import Choice, Group, Least, Picks, Place, floors_of, undominated
from accelsim.mapper.settings import Trunk
from accelsim.mapper.sums import Sums

if TYPE_CHECKING:
    from accelsim.mapper.nests import Nest
    from accelsim.mapper.part import Part

_STEP = 0.01  # of the work that one look at the clock stands for: what one choice of shared keeps costs
_LOOK = 4  # hundred thousands of candidates that a quick look below one trunk may list


class Below:
    """All choices under one trunk."""

    def __init__(self, part: Part, trunk: Trunk, roomy: bool = False) -> None:
        """roomy: as if what is internal took no room."""
        self.part, self.exact, self.extents = part, part.exact, part.extents
        self.trunk, self.setting, self.row = trunk, trunk.setting, slice(trunk.row, trunk.row + 1)
        self.floors = part.floors(trunk.schedule, quick=True)
        self.side_by_side = trunk.schedule == "pipelined"
        self.loops, self.tile = tuple(rank for rank, _ in trunk.loops), dict(trunk.loops)
        assert self.setting.iterations is not None and self.setting.numbers is not None
        self.iterations = int(self.setting.iterations[trunk.row])
        self.numbers = [[int(each[trunk.row]) for each in ways] for ways in self.setting.numbers]
        self.places = [self._places(number) for number in range(len(part.placeable))]
        self.internal = {tensor: self.tile_words(tensor) * part.width(tensor) * (not roomy) for tensor in part.stretch.internal}
        self.live = self._live()
        waits = [b for _, b in {(a, b) for a, b, _ in self.floors.forward}]
        self.forked = len(set(waits)) < len(waits)  # some Einsum waits for two others
        self._alone: dict[int, list[Way]] = {}
        self.allowance = self.exact.limits.spent + _LOOK if part.looks else float("inf")

    # --- where tensors may be kept --------------------------------------------------------------------------------------------------

    def _places(self, number: int) -> list[Place]:
        """Where a tensor may be kept: in the leaves, on top of the trunk, or directly below a loop that indexes it."""
        part, above, row = self.part, self.setting.above[number], self.trunk.row
        tensor, whole = part.placeable[number], part.whole[number]
        found, places = [Place(-1, 0, self.floors.free)], list[tuple[int, int, int]]()
        for rank, bits, visits in zip(above.below, above.bits[:, row].tolist(), above.visits[:, row].tolist(), strict=True):
            depth = 0 if rank is None else 1 + self.loops.index(rank) if rank in self.loops else None
            if depth is None or bits > part.room:
                continue
            outer = self.trunk.loops[:depth]
            sizes = np.array([[size for _, size in outer]], np.int64)
            if self.exact.permits.may_be_held(tensor, part.stretch.names, tuple(rank for rank, _ in outer), sizes)[0]:
                places.append((depth, int(bits), int(visits)))
        # of no use is a place that holds as much as another where words come no more often
        fewest = float("inf")
        for depth, bits, visits in sorted(places, key=lambda place: (place[1], place[2], place[0])):
            if visits < fewest:
                fewest = visits
                found.append(Place(depth, bits, part.moved(tensor, whole * visits)))
        return found

    def tile_words(self, tensor: str) -> int:
        """Words of an internal tensor below the trunk."""
        shape, ranks = self.exact.cascade.tensors[tensor].shape, self.part.ranks_of[tensor]
        return prod(
            extent if rank is None else self.tile.get(rank, self.part.length(rank, extent))
            for rank, extent in zip(ranks, shape, strict=True)
        )

    def _live(self) -> list[int]:
        """Pieces that internal tensors hold while each Einsum runs."""
        blocks = self.part.blocks
        if self.side_by_side:
            return [sum(self.internal.values())] * len(blocks)
        spans = {tensor: self.part.users_of(tensor) for tensor in self.internal}
        return [sum(self.internal[tensor] for tensor, users in spans.items() if users[0] <= at <= users[-1]) for at in range(len(blocks))]

    def _choice(self, at: int, fixed: dict[int, Place], quickly: bool) -> Choice:
        """Where the tensors of an Einsum may be kept, if some are where they are; quickly: above the fuse, if they may be there."""
        part = self.part
        mine = self.floors.mine[at]
        options = [
            [fixed[number]] if number in fixed else [place for place in self.places[number] if place.depth >= 0] or self.places[number]
            if quickly else self.places[number] for number in mine
        ]  # fmt: skip
        found = [dict(zip(mine, each, strict=True)) for each in product(*options)]
        first = [[place for number, place in each.items() if part.users[number][0] == at] for each in found]
        return Choice(
            found,
            np.array([sum(1 << k for k, place in enumerate(each.values()) if place.depth < 0) for each in found], np.int64),
            np.array([float(sum(place.bits for place in each)) for each in first]),
            np.array([sum((place.cost for place in each), part.paid(at)) for each in first]) * part.counted(at),
        )

    def _least(self, at: int, choice: Choice, others: float, most: tuple[float, float]) -> list[Way]:
        """Lower bounds of an Einsum for every choice of places, on every unit. others: pieces that the rest holds at least."""
        mine = self.floors.mine[at]
        if at not in self._alone:
            sets = np.arange(1 << len(mine))
            visits: dict[int, FloatArray] = {
                number: self.setting.turned[number][self.row] * (sets >> k & 1) for k, number in enumerate(mine)
            }  # fmt: skip
            assert self.setting.shortest is not None and self.setting.entering is not None
            shortest, entering = ([each[self.row] for each in figures[at]] for figures in (self.setting.shortest, self.setting.entering))
            self._alone[at] = self.floors.widened(self.floors.alone(at, visits, shortest, entering, most))
        extra = self.floors.wide(choice.extra)
        found = [Way(way.unit, way.rows[choice.inside] + extra, way.busiest[choice.inside]) for way in self._alone[at]]
        room = self.part.room - self.live[at] - others - choice.bits
        for leaves in sorted(set(choice.inside.tolist())):
            alike = np.flatnonzero(choice.inside == leaves)
            above = frozenset(number for k, number in enumerate(mine) if not leaves >> k & 1)
            for at_way, way in enumerate(found):
                confined = self.floors.within(at, at_way, above, room[alike])
                if confined is not None:
                    way.rows[alike] = np.maximum(way.rows[alike], confined.rows + extra[alike])
                    way.busiest[alike] = np.maximum(way.busiest[alike], confined.busiest)
        return found

    # --- picks ----------------------------------------------------------------------------------------------------------------------

    def explore(self, quickly: bool) -> bool:
        """Offer the part all that is of use; quickly: only with all that is external kept above the fuse, where it may be.

        Says whether there was time for all of it.
        """
        part, done = self.part, True
        common = self.floors.common
        options = [[place for place in self.places[n] if place.depth >= 0 or not quickly] or self.places[n] for n in common]
        iterations = np.array(float(self.iterations))
        most, waiting = part.most(self.trunk.schedule), []
        for places in product(*options):
            if self.exact.limits.over:
                raise OutOfTime
            if sum(place.bits for place in places) > part.room:
                continue
            fixed = dict(zip(common, places, strict=True))
            choices = [self._choice(at, fixed, quickly) for at in range(len(self.floors.ways))]
            fewest = [float(choice.bits.min(initial=BEYOND)) for choice in choices]
            if sum(fewest) + max(self.live) > part.room:
                continue
            choices = [choice.fitting(part.room - self.live[at] - (sum(fewest) - fewest[at])) for at, choice in enumerate(choices)]
            least = [self._least(at, choice, sum(fewest) - fewest[at], most) for at, choice in enumerate(choices)]
            kept = [Kept([[way] for way in ways], choice.bits[:, None]) for ways, choice in zip(least, choices, strict=True)]
            crowded = self.floors.crowded(kept, np.array([part.room - min(self.live)]))
            bound = self.floors.together([floors_of(ways) for ways in least], iterations, crowded).cost(0, part.held)
            waiting.append((bound, choices, least))
        for bound, choices, least in sorted(waiting, key=lambda each: part.aim.value(each[0])):
            if not part.worth(bound):
                continue
            if self.exact.limits.over:
                return False
            self.exact.limits.spent += _STEP
            try:
                self._run(choices, least)
            except OutOfTime:
                done = False
        return done

    def _run(self, choices: list[Choice], least: list[list[Way]]) -> None:
        """Work out the picks of every Einsum, and join them."""
        self.groups: list[Group] = []
        self.choices = choices
        base = np.array([self._base(choice, ways) for choice, ways in zip(choices, least, strict=True)])
        floors, iterations = [floors_of(ways) for ways in least], np.array(float(self.iterations))
        every: dict[int, Picks] = {}
        for at in sorted(range(len(choices)), key=lambda at: (len(self.part.blocks[at]) > 1, at != self.part.hardest)):
            bounds = self.floors.together([*floors[:at], least[at], *floors[at + 1 :]], iterations)
            every[at] = self._picks(at, choices[at], bounds, base)
            if not len(every[at]):
                self.part.hardest = at
                return
            base[at] = every[at].figures.min(axis=0)
        Sums(self).join([every[at] for at in range(len(choices))], base)

    def _figures(self, unit: str, rows: FloatArray, bits: FloatArray, busiest: FloatArray | float = 0.0) -> FloatArray:
        """What adds up of rows float64[n, 1 + times] on a unit."""
        traffic, latency, times = 1 + self.exact.traffic, 1 + self.exact.latency, 1 + self.exact.times
        if not self.side_by_side:
            ticks = np.maximum(rows[:, 1:traffic].max(axis=1), busiest) + rows[:, latency]
            return np.stack([ticks, rows[:, 0], rows[:, traffic], bits], axis=1)
        units = self.part.units
        rows = rows if rows.shape[1] > times else self.floors.wide(rows)
        found = np.zeros((len(rows), len(units) + traffic + 1 + rows.shape[1] - times))
        found[:, units[unit]] = rows[:, 1]
        found[:, len(units) : len(units) + traffic - 2] = rows[:, 2:traffic]
        found[:, len(units) + traffic - 2 : -3] = rows[:, times:]
        found[:, -3], found[:, -2], found[:, -1] = rows[:, 0], rows[:, traffic], bits
        return found

    def bounds(self, figures: FloatArray) -> Bounds:
        """What figures float64[n, k] are as bounds."""
        return Bounds(figures[:, -3], figures[:, :-3].max(axis=1), figures[:, -2])

    def _base(self, choice: Choice, ways: list[Way]) -> FloatArray:
        """The least of every figure."""
        return np.asarray(np.min([self._figures(way.unit, way.rows, choice.bits, way.busiest).min(axis=0) for way in ways], axis=0))

    def _picks(self, at: int, choice: Choice, bounds: Bounds, base: FloatArray) -> Picks:
        """The picks of one Einsum that are of use. bounds: of the part for every choice; base: the least figures of every Einsum."""
        part, others = self.part, base.sum(axis=0) - base[at]
        rows = part.useful(bounds)
        rows = rows[choice.bits[rows] + others[-1] + self.live[at] <= part.room]
        found = [Picks(np.zeros((0, base.shape[1])), np.zeros(0), np.zeros(0), np.zeros((0, 1)), np.zeros((0, 1, 3), np.int64))]
        inside = choice.inside[rows]
        for leaves in sorted(set(inside.tolist()), key=lambda each: (each.bit_count(), each)):
            alike = rows[inside == leaves]
            limit = self._limit(at, bounds, alike, choice, others)
            for way in range(len(self.floors.ways[at])) if len(alike) else ():
                for one in part.told_apart(at, alike):
                    found.extend(self._grown(at, way, choice, one, limit, others))
        return self.sifted(Picks.joined(found))

    def _grown(self, at: int, way: int, choice: Choice, alike: IntArray, limit: tuple[float, float], others: FloatArray) -> list[Picks]:
        """The picks of one Einsum on one unit with the same tensors in the leaves: every row of the front with all choices."""
        part, times = self.part, self.exact.times
        search, names = self.floors.ways[at][way]
        if isinstance(search, LeafSearch):
            single = not self.side_by_side and not choice.extra[alike].any()
            front = self._front(search, names, self.numbers[at][way], choice.places[int(alike[0])], limit, single)
        else:
            front = self._front_of_nest(at, search, self.numbers[at][way], choice.places[int(alike[0])], limit, others)
        if not len(front.rows):
            return []
        which = self._matter(front) if self.side_by_side else np.arange(len(front.rows))
        self.groups.append(Group(search, names, self.numbers[at][way], front))
        table = (front.rows[which, None, : 1 + times] + choice.extra[None, alike]).reshape(-1, 1 + times)
        held = np.repeat(front.rows[which, 1 + times], len(alike))
        bits = np.tile(choice.bits[alike], len(which))
        path = np.stack([np.full(len(table), len(self.groups) - 1), np.repeat(which, len(alike)), np.tile(alike, len(which))], axis=1)
        if self.side_by_side:
            figures, peak = self._figures(names.unit, table, bits + held), np.full(len(table), float(self.live[at]))
        else:
            figures, peak = self._figures(names.unit, table, bits), held + self.live[at]
        own = (table[:, 1] + table[:, 1 + self.exact.latency] * self.iterations)[:, None]
        fits = figures[:, -1] + peak + others[-1] <= part.room
        found = Picks(figures, peak, figures[:, -1].copy(), own, path[:, None]).some(np.flatnonzero(fits))
        return [found.some(part.useful(self.bounds(found.figures + others)))]

    def _front(
        self, search: LeafSearch, names: Names, number: int, places: dict[int, Place], limit: tuple[float, float], single: bool
    ) -> Front:
        part = self.part
        here = {part.placeable[at] for at, place in places.items() if place.depth >= 0} | part.resident | set(self.internal)
        given = sum(1 << k for k, tensor in enumerate(names.tensors) if tensor in here)
        allowed = ((1 << len(names.tensors)) - 1) & ~given
        budget = -1 if self.exact.size == float("inf") else int(self.exact.size)
        share = self._shares(search, names) if self.side_by_side else None
        self.exact.limits.allowed = self.allowance
        try:
            weights = part.aim.weights if single else NO_WEIGHTS
            return search.front(number, given, allowed, budget, share, False, single, (*part.aim.uses[:3], True), limit, weights)
        finally:
            self.exact.limits.allowed = float("inf")

    def _front_of_nest(
        self, at: int, nest: Nest, number: int, places: dict[int, Place], limit: tuple[float, float], others: FloatArray
    ) -> Front:
        part = self.part
        above = {part.placeable[number]: place for number, place in places.items() if place.depth >= 0}
        kept = frozenset({*above, *part.resident, *self.internal}.intersection(nest.names.tensors))
        first = {tensor for tensor in above if part.users[part.numbers[tensor]][0] == at}
        paid = {tensor: np.where(part.counted(at), 0.0, above[tensor].cost) for tensor in sorted(first) if above[tensor].cost[1:].any()}
        room = part.room - self.live[at] - sum(place.bits for place in above.values())
        return nest.front(number, kept, paid, room, limit)

    def _shares(self, search: LeafSearch, names: Names) -> tuple[float, ...]:
        """By how much loops of the trunk that turn directly above the leaves divide what each tensor's tiles are filled with."""
        if self.part.evaluator.counting.refill != "delta":
            return (1.0,) * len(names.tensors)
        found = []
        for stream in range(len(names.tensors)):
            indexed = {rank for rank, has in zip(names.ranks, search.plan.indexed[stream], strict=True) if has}
            share = 1
            for rank in reversed(self.loops):
                if rank in indexed:
                    break
                share *= self.extents[rank] // self.tile[rank]
            found.append(float(share))
        return tuple(found)

    def _limit(self, at: int, bounds: Bounds, alike: IntArray, choice: Choice, others: FloatArray) -> tuple[float, float]:
        """The most energy and ticks that an Einsum may take below the keeps of some choices, if all others take their least."""
        part = self.part
        if part.cutoff is None or self.exact.limits.gap:
            return UNLIMITED
        bound = bounds.some(alike).least(part.held)
        more = part.headroom(bound)
        energy = bound.energy + more[0] - float(others[-3]) - float(choice.extra[alike, 0].min())
        ticks = bound.ticks + more[1] - (0.0 if self.side_by_side else float(others[0]))
        return energy * SLACK, ticks * SLACK

    def _matter(self, front: Front) -> IntArray:
        """The rows of a front that matter where Einsums run side by side; what keeps above the fuse cost makes no difference to that."""
        found = self.exact.matter.get((id(front), self.forked))
        if found is None:
            times, latency = self.exact.times, 1 + self.exact.latency
            bits = front.rows[:, 1 + times]
            figures = self._figures(next(iter(self.part.units)), front.rows[:, : 1 + times], bits)
            columns = self._compared(figures, np.zeros(len(bits)), front.rows[:, [1, latency]])
            found = self.exact.matter[id(front), self.forked] = front, undominated(*columns, figures, bits)
        return found[1]

    def sifted(self, picks: Picks, least: Least | None = None, late: FloatArray | None = None) -> Picks:
        """Picks that no other beats in what counts. late: of a pass, what counts of how long Einsums take, if it is not all of it."""
        figures, peak = picks.figures, picks.peak
        if least is not None:
            figures, peak = np.maximum(figures, least.figures), np.maximum(peak, least.peak)
        return picks.some(undominated(*self._compared(figures, peak, picks.own, late), picks.figures, picks.bits))

    def _compared(
        self, figures: FloatArray, peak: FloatArray, own: FloatArray, late: FloatArray | None = None
    ) -> tuple[FloatArray, IntArray]:
        """The columns in which picks are compared, and keys that must be equal.

        How long Einsums take in one pass must be equal where some Einsum waits for two others: it may do good that one is later. That is
        so only where copies depend on it; `late` says what counts where one copy of each result is enough whatever is picked.
        """
        energy, ticks, traffic, _ = self.part.aim.uses
        counts = [*range((figures.shape[1] - 3) * ticks), *[figures.shape[1] - 3] * energy, *[figures.shape[1] - 2] * traffic]
        columns, keys = [figures[:, counts], figures[:, -1:], peak[:, None]], np.zeros(len(peak), np.int64)
        if self.side_by_side and ticks and late is not None:
            columns.append(late)
        elif self.side_by_side and ticks and self.forked:
            keys = np.unique(own, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
        elif self.side_by_side and ticks:
            columns.append(own)
        return np.concatenate(columns, axis=1), keys
