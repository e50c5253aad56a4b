"""The search within one part: trunks, what is kept above the fuse, and ways to run every Einsum below it, by their bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import permutations, product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.below import Below
from accelsim.mapper.figures import SLACK, Cost
from accelsim.mapper.leaf import BEYOND, UNLIMITED, LeafSearch, OutOfTime
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.options import Bounds, Chosen, Cutoff, Option, Solved, Way
from accelsim.mapper.pieces import Stretch
from accelsim.mapper.tiles import divisors

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact

_QUICK = 40  # trunks that are tried with all that is external kept above the fuse
_MOST_KEEPS = 256  # ways to keep what an Einsum touches above the fuse, beyond which bounds do not tell them apart
_LOOKS = 1 / 2, 1 / 16  # shares of a unit's time for which ports do not matter in a quick look; the second on large problems
_MOST_ASSIGNED = 4096  # ways to share Einsums out among units, beyond which bounds do not tell them apart
_FEW = 2  # trunks that are tried with every choice of keeps before bounds are made better

Depths = list[tuple[FloatArray, FloatArray]]
"""Where a tensor may be kept above a fuse under many trunks: pieces held and how often its words come there, float64[n] each."""


class Part:
    """The search within one part."""

    def __init__(self, exact: Exact, stretch: Stretch, resident: frozenset[str], held: float) -> None:
        self.exact, self.stretch, self.resident, self.held = exact, stretch, resident, held
        self.aim, self.evaluator = exact.aim, exact.evaluator
        self.extents = exact.cascade.extents
        self.room = exact.size - held
        self.ways = [exact.ways[name] for name in stretch.names]
        self.units = {unit: at for at, unit in enumerate(sorted({names.unit for ways in self.ways for _, names in ways}))}
        self.solved = Solved(part=self)
        self.rivals: list[Cost] = []
        self.cutoff: Cutoff | None = None
        self.looked = False
        self.hardest = 0  # the Einsum that ruled out the last trunk: it is tried first
        self.bounding: list[Callable[[], None]] = []  # ways to better bounds that are to come
        self._most: tuple[object, tuple[float, float]] = None, UNLIMITED
        self.looks = [*(_LOOKS if exact.large else _LOOKS[:1])] if exact.timely else []  # quick ones that are to come

    def begin(self) -> None:
        """Note lower bounds."""
        try:
            self._begin()
        except OutOfTime:
            self.solved.rest = [Cost(sum(min(search.plan.energy for search, _ in ways) for ways in self.ways), 0.0, 0.0, self.held)]

    def _begin(self) -> None:
        self.placeable = [tensor for tensor in self.stretch.external if tensor not in self.resident]
        self.users = [
            [at for at, name in enumerate(self.stretch.names) if tensor in self.exact.tensors.touched[name]] for tensor in self.placeable
        ]
        self.alike = [self.exact.tensors.alike(tensor, self.stretch.names) for tensor in self.placeable]
        self.whole = [self.exact.tensors.words(tensor) for tensor in self.placeable]
        if len(self.ways) == 1:
            once = [np.ones(1)] * len(self.placeable)
            self.solved.rest = [self._roomless("sequential", np.ones(1), once, [[] for _ in once]).cost(0, self.held)]
            return
        self.ranks_of = {tensor: self._ranks_of(tensor) for tensor in (*self.placeable, *self.stretch.internal)}
        if not self._schedules():
            return
        self.movable = [
            self.exact.may_stay(tensor, self.stretch.names) and alike for tensor, alike in zip(self.placeable, self.alike, strict=True)
        ]
        self.brought = [self.moved(tensor, words) for tensor, words in zip(self.placeable, self.whole, strict=True)]
        twice = [self.moved(tensor, 2 * words) for tensor, words in zip(self.placeable, self.whole, strict=True)]
        self.again = [more - once for more, once in zip(twice, self.brought, strict=True)]
        self._note_crude(self._roomless)
        self.bounding = [lambda: self._note_crude(self._least), self._list]

    def _note_crude(self, least: Callable[..., Bounds]) -> None:
        """Note a lower bound under any trunk."""
        crude = [self._crude(schedule, least) for schedule in self._schedules()]
        self.solved.rest = [each.least(crude[0]) for each in crude[-1:]]

    def _crude(self, schedule: str, least: Callable[..., Bounds]) -> Cost:
        """A lower bound under any trunk: every word of an external tensor comes once at least, and a word of it is held if any is."""
        once: list[Depths] = [
            [(np.array([float(self.width(tensor))]), np.ones(1))] if movable else []
            for tensor, movable in zip(self.placeable, self.movable, strict=True)
        ]
        return least(schedule, np.array([self.room]), [np.ones(1)] * len(once), once).cost(0, self.held)

    def _schedules(self) -> list[str]:
        able = [schedule for schedule in self.exact.schedules if self.exact.constraints.may_overlap(self.stretch.names, schedule)]
        found = [schedule for schedule in able if schedule == "sequential" or "sequential" not in able or self._overlaps()]
        return found[::-1] if self.exact.timely else found

    def _list(self) -> None:
        """Bounds of every trunk."""
        self.groups: list[tuple[str, tuple[str, ...], tuple[str, ...], IntArray]] = []  # schedule, loops, ranks and their tiles
        found: list[Bounds] = []
        for schedule in self._schedules():
            self._trunks(schedule, found)
        self.bounds = Bounds.joined(found)
        places = [(group, row) for group, (*_, tiles) in enumerate(self.groups) for row in range(len(tiles))]
        self.trunks = np.array(places, np.int64).reshape(-1, 2)
        self._sift(np.argsort(self.values(self.bounds), kind="stable"))
        self._note_rest()

    def values(self, bounds: Bounds) -> FloatArray:
        """What bounds are worth alone."""
        found = np.asarray(self.aim.value(Cost(bounds.energy, bounds.ticks, bounds.traffic, self.held)), np.float64)  # type: ignore[arg-type]
        return np.broadcast_to(found, len(bounds.energy))  # one, if none of these counts

    def _sift(self, which: IntArray) -> None:
        """Go on with some of what waits."""
        self.bounds, self.trunks = self.bounds.some(which), self.trunks[which]

    def _note_rest(self) -> None:
        """A bound of all that waits."""
        if len(self.trunks):
            self.solved.rest.append(self.bounds.least(self.held))

    def go_on(self, rivals: list[Cost], cutoff: Cutoff | None) -> None:
        """Explore what was not; quickly at first, if that may be enough. `rivals`: other ways to run these Einsums."""
        self.rivals, self.cutoff, bounds = rivals, cutoff, self.solved.rest
        if self.exact.limits.over and len(self.ways) > 1:
            return
        try:
            self._go_on(bounds)
        except OutOfTime:
            self.solved.rest = bounds
        except BaseException:  # as when a user interrupts: what is not known has its bound all the same
            self.solved.rest = bounds
            raise

    def _go_on(self, bounds: list[Cost]) -> None:
        self.solved.rest = []
        while self.bounding:
            self.bounding[0]()
            del self.bounding[0]
            if any(not self.aim.beats(bounds[0], rest) or not self.aim.beats(rest, bounds[0]) for rest in self.solved.rest):
                return  # it may not be promising any more
            self.solved.rest = []
        if len(self.ways) == 1:
            self._single(bounds)
        else:
            self._several()
        if not self.looks or not self.solved.rest:
            self.solved.part = None
        self.looks, self.looked = self.looks[1:], True

    def _single(self, bounds: list[Cost]) -> None:
        """A part of one Einsum: no trunk."""
        for search, names in self.ways[0]:
            streams = len(names.tensors)
            given = sum(1 << at for at, tensor in enumerate(names.tensors) if tensor in self.resident)
            allowed = ((1 << streams) - 1) & ~given
            if self.exact.home is None:
                budget = int(search.plan.ports[1, 2]) if search.plan.ports.shape[0] > 1 else -1
            else:
                budget = -1 if self.room == float("inf") else int(self.room)
            if self.looks:
                search = search.relaxed(self.looks[0])
            try:
                front = search.front(search.whole, given, allowed, budget, None, not self.aim.uses[3], True, self.aim.uses)
            except OutOfTime:
                self.solved.rest = bounds
                continue
            for row, pointer in zip(front.rows, front.pointers, strict=True):
                held = row[1 + self.exact.times]
                if held > self.room:
                    continue
                cost = self._cost(row, held)
                self.offer(Option(cost, "sequential", (), (), (), (Chosen(search, names, search.whole, pointer),)))
            self.solved.covered += search.tiles
            self.solved.evaluated += len(front.rows)
        if self.looks and not any(self.aim.beats(option.cost, bound) for option in self.solved.options for bound in bounds):
            self.solved.rest = bounds

    def _cost(self, row: FloatArray, held: float) -> Cost:
        ticks = float(np.max(row[1 : 1 + self.exact.traffic])) + float(row[1 + self.exact.latency])
        return Cost(float(row[0]), ticks, float(row[1 + self.exact.traffic]), held + self.held)

    def offer(self, option: Option) -> None:
        """Add a way to run the part unless a known one beats it."""
        if any(self._better(known.cost, option.cost) for known in self.solved.options):
            return
        self.solved.options = [known for known in self.solved.options if not self._better(option.cost, known.cost)]
        self.solved.options.append(option)
        if self.cutoff is not None:
            self.cutoff.note(option.cost)

    def _better(self, one: Cost, other: Cost) -> bool:
        """Dominance; figures that the objective does not look at break ties."""
        if not self.aim.beats(one, other):
            return False
        if not self.aim.beats(other, one):
            return True
        return (one.energy, one.ticks, one.traffic, one.held) <= (other.energy, other.ticks, other.traffic, other.held)

    # --- several Einsums ------------------------------------------------------------------------------------------------------------

    def _several(self) -> None:
        """A part of several Einsums: trunks in the order of their bounds; quickly, only the first that promise most."""
        left: list[int] = []
        tried, at = 0, 0
        self._sift(self.useful(self.bounds))
        for row in range(min(_QUICK, len(self.trunks))):  # something good first: it shortens what follows
            if self.worth(self.bounds.cost(row, self.held)) and not self.exact.limits.over:
                self._explore_trunk(row, quickly=True)
        while at < len(self.trunks):
            if not self.worth(self.bounds.cost(at, self.held)):
                at += 1
                continue
            if self.exact.limits.over or (self.looks and tried >= _FEW):
                left.extend(range(at, len(self.trunks)))
                break
            tried += 1
            self._explore_trunk(at)
            if self.looks:
                left.append(at)
            at += 1
        self._sift(np.array(left, np.int64))
        self._sift(self.useful(self.bounds))
        self._note_rest()

    def _explore_trunk(self, at: int, quickly: bool = False) -> None:
        """Explore one trunk; quickly, only with all that is external kept above the fuse."""
        group, row = self.trunks[at]
        schedule, loops, ranks, tiles = self.groups[group]
        self.ways = self._searches(schedule)
        Below(self, schedule, loops, dict(zip(ranks, tiles[row].tolist(), strict=True))).explore(quickly)

    def useful(self, bounds: Bounds) -> IntArray:
        """The places of bounds that something known does not rule out; what only the gap rules out stays."""
        good = np.ones(len(bounds.energy), bool)
        for cost in (*(option.cost for option in self.solved.options), *self.rivals):
            energy, ticks, traffic, held = self.aim.uses
            beaten = np.full(len(good), not held or cost.held <= self.held * SLACK)
            if energy:
                beaten &= cost.energy <= bounds.energy * SLACK
            if ticks:
                beaten &= cost.ticks <= bounds.ticks * SLACK
            if traffic:
                beaten &= cost.traffic <= bounds.traffic * SLACK
            good &= ~beaten
        if self.cutoff is not None:
            good &= self.cutoff.allowed(Cost(bounds.energy, bounds.ticks, bounds.traffic, self.held))  # type: ignore[arg-type]
        return np.flatnonzero(good)

    def _searches(self, schedule: str) -> list[list[tuple[LeafSearch, Names]]]:
        """The ways to run every Einsum under a schedule."""
        names = self.stretch.names
        found = self.exact.sharing(names) if schedule == "pipelined" else [self.exact.ways[name] for name in names]
        return [[(search.relaxed(self.looks[0]), each) for search, each in ways] for ways in found] if self.looks else found

    def _overlaps(self) -> bool:
        """Whether pipelining could pay: where time counts, or where iterations share what leaves keep."""
        return self.aim.uses[1] or self.evaluator.counting.refill == "delta"

    def _ranks_of(self, tensor: str) -> tuple[str | None, ...]:
        """The ranks by which the part's Einsums index a tensor."""
        return tuple(self._rank(tensor, dimension) for dimension in range(len(self.exact.cascade.tensors[tensor].shape)))

    def _trunks(self, schedule: str, found: list[Bounds]) -> None:
        """Every trunk with a lower bound."""
        ranks = self.stretch.shared
        extents = np.array([self.extents[rank] for rank in ranks], np.int64)
        sizes = list(product(*(divisors(self.extents[rank]) for rank in ranks)))
        tiles = np.array(sizes, np.int64).reshape(len(sizes), len(ranks))
        internal = np.zeros(len(tiles))
        for tensor in self.stretch.internal:
            bits = self._tile_bits(tensor, ranks, tiles) * self.width(tensor)
            internal = internal + bits if schedule == "pipelined" else np.maximum(internal, bits)
        good = (internal <= self.room) & self.exact.may_leave(self.stretch.names, ranks, tiles)
        for tensor in self.stretch.internal:
            good &= self.exact.may_be_held(tensor, self.stretch.names, ranks, tiles)
        tiles, internal = tiles[good], internal[good]
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, turning in enumerate((tiles < extents).tolist()):
            groups.setdefault(tuple(at for at, turns in enumerate(turning) if turns), []).append(row)
        self.ways = self.exact.sharing(self.stretch.names) if schedule == "pipelined" else [self.exact.ways[n] for n in self.stretch.names]
        most = self.most(schedule)
        for turning, rows in groups.items():
            part, free = tiles[rows], self.room - internal[rows]
            trips = extents // part
            shortest = [
                [search.shortest(self._numbers(search, names, ranks, part)) for search, names in ways] for ways in self.ways
            ]
            iterations = trips.prod(axis=1).astype(float)
            for order in permutations(turning):
                if not self.exact.may_turn(self.stretch.names, tuple(ranks[k] for k in order)):
                    continue
                depths = [self._depths(at, ranks, trips, order) for at in range(len(self.placeable))]
                turned = [self._turned(at, ranks, trips, order, schedule) for at in range(len(self.placeable))]
                entering = self.entering(schedule, [ranks[k] for k in order], dict(zip(ranks, trips.T, strict=True)))
                bounds = self._least(schedule, free, turned, depths, shortest, iterations, entering, most)
                found.append(bounds.wide(len(rows)))
                self.groups.append((schedule, tuple(ranks[k] for k in order), ranks, part))
                self.solved.covered += len(rows) * prod(search.tiles for ways in self.ways for search, _ in ways[:1])

    def entering(self, schedule: str, loops: list[str], trips: dict[str, IntArray]) -> list[list[FloatArray]]:
        """How many words of each tensor enter a memory inside memory 1 at least: its tile in every iteration that does not share it.

        trips: int64[n] of each rank. Returns float64[n, tensors] for every way to run every Einsum.
        """
        many = len(next(iter(trips.values()))) if trips else 1
        sharing = schedule == "pipelined" and self.evaluator.counting.refill == "delta"
        found = []
        for ways in self.ways:
            mine = []
            for search, names in ways:
                words = np.empty((many, len(names.tensors)))
                for stream, row in enumerate(search.plan.indexed.tolist()):
                    indexed = {rank for rank, has in zip(names.ranks, row, strict=True) if has}
                    turning, idle = list(loops), np.ones(many)
                    while sharing and turning and turning[-1] not in indexed:
                        idle = idle * trips[turning.pop()]
                    tile, whole = np.full(many, float(search.plan.words[stream])), float(search.plan.words[stream])
                    again = np.ones(many)
                    for rank in loops:
                        if rank in indexed:
                            tile = tile / trips[rank]
                        elif rank in turning:
                            again = again * trips[rank]
                    # what is shared with the last iteration, memory 2 held meanwhile
                    words[:, stream] = whole * again * (1 + (idle - 1) * np.maximum(0.0, 1 - search.room_inside(stream) / tile))
                mine.append(words)
            found.append(mine)
        return found

    def _numbers(self, search: LeafSearch, names: Names, ranks: tuple[str, ...], tiles: IntArray) -> IntArray:
        """The numbers of an Einsum's tiles below trunks with these tiles."""
        plan, found = search.plan, np.zeros(len(tiles), np.int64)
        for rank, name in enumerate(names.ranks):
            count = int(plan.size_count[rank])
            place = np.searchsorted(plan.sizes[rank, :count], tiles[:, ranks.index(name)]) if name in ranks else count - 1
            found += place * int(plan.strides[rank])
        return found

    def _tile_bits(self, tensor: str, ranks: tuple[str, ...], tiles: IntArray) -> FloatArray:
        """Words of a tensor's tile below each trunk."""
        words = np.ones(len(tiles))
        for rank, extent in zip(self.ranks_of[tensor], self.exact.cascade.tensors[tensor].shape, strict=True):
            words = words * (tiles[:, ranks.index(rank)] if rank in ranks else extent)
        return words

    def _depths(self, at: int, ranks: tuple[str, ...], trips: IntArray, order: tuple[int, ...]) -> Depths:
        """What an external tensor holds above the fuse, and how often its words come there, on top of the trunk and below each loop."""
        if not self.movable[at]:
            return []
        indexed = [rank in self.ranks_of[self.placeable[at]] for rank in ranks]
        bits, visits = np.full(len(trips), float(self.whole[at] * self.width(self.placeable[at]))), np.ones(len(trips))
        found = [(bits, visits)]
        for turned in order:
            if indexed[turned]:
                bits = bits / trips[:, turned]
                found.append((bits, visits))
            else:
                visits = visits * trips[:, turned]
        return found

    def _turned(self, at: int, ranks: tuple[str, ...], trips: IntArray, order: tuple[int, ...], schedule: str) -> FloatArray:
        """How often at least the words of an external tensor come that is kept in the leaves; see `Below`."""
        if not self.alike[at]:
            return np.ones(len(trips))
        indexed = [rank in self.ranks_of[self.placeable[at]] for rank in ranks]
        turning = list(order)
        if schedule == "pipelined" and self.evaluator.counting.refill == "delta":
            while turning and not indexed[turning[-1]]:
                turning.pop()
        return np.asarray(np.prod(np.where([[k in turning and not indexed[k] for k in range(len(ranks))]], trips, 1), axis=1), np.float64)

    def worth(self, bound: Cost) -> bool:
        """Could something with this lower bound be of use? Bounds that only the gap rules out are remembered."""
        known = [*(option.cost for option in self.solved.options), *self.rivals]
        if any(self.aim.beats(cost, bound) for cost in known):
            return False
        if self.cutoff is not None and not self.cutoff.allows(bound):
            if self.exact.limits.gap:
                self.solved.rest.append(bound)
            return False
        near = max(self.exact.limits.gap, self.exact.tolerance)
        gap = (1 + near) ** (0.5 if self.aim.uses[0] and self.aim.uses[1] else 1)  # a product of two takes it twice
        if gap > 1:
            larger = Cost(bound.energy * gap, bound.ticks * gap, bound.traffic * gap, bound.held)
            if any(self.aim.beats(cost, larger) for cost in known):
                self.solved.rest.append(bound)
                return False
        return True

    def _least(
        self, schedule: str, room: FloatArray, turned: list[FloatArray], depths: list[Depths],
        shortest: list[list[FloatArray]] | None = None, iterations: FloatArray | None = None,
        entering: list[list[FloatArray]] | None = None, most: tuple[float, float] = UNLIMITED,
    ) -> Bounds:  # fmt: skip
        """Lower bounds on what the Einsums cost under many trunks: the least of all ways to keep above the fuse what several Einsums touch.

        room: float64[n], pieces that memory 1 has for what is external. turned: of every external tensor float64[n], how often its words
        come at least if it is kept in the leaves; depths: how it may be kept above the fuse. The rest as in `alone`, by Einsum.
        """
        shared = [number for number, users in enumerate(self.users) if len(users) > 1]
        mine = [[number for number, users in enumerate(self.users) if at in users] for at in range(len(self.ways))]
        choices = [1 + len(each) for each in depths]
        most_choices = max(prod(choices[number] for number in {*each, *shared}) for each in mine)
        if most_choices > _MOST_KEEPS:
            return self._roomless(schedule, room, turned, depths, shortest, iterations, entering, most)
        found = []
        for at, numbers in enumerate(mine):
            outside = product(*((False, True) if depths[number] else (False,) for number in numbers))
            sets = [frozenset(number for number, out in zip(numbers, each, strict=True) if not out) for each in outside]
            visits = {number: np.concatenate([turned[number] * (number in leaves) for leaves in sets]) for number in numbers}
            ways = self.alone(
                at, visits, None if shortest is None else [np.tile(each, len(sets)) for each in shortest[at]],
                None if entering is None else [np.tile(each, (len(sets), 1)) for each in entering[at]], most,
            )  # fmt: skip
            found.append([
                {
                    leaves: Way(way.unit, rows, busiest)
                    for leaves, rows, busiest in zip(sets, np.split(way.rows, len(sets)), np.split(way.busiest, len(sets)), strict=True)
                }
                for way in ways
            ])  # fmt: skip
        best: Bounds | None = None
        for kept in product(*([None, *depths[number]] for number in shared)):
            fixed = dict(zip(shared, kept, strict=True))
            confined = [
                [self._confined(at, way, each, mine[at], room, fixed, depths, most) for way, each in enumerate(ways)]
                for at, ways in enumerate(found)
            ]
            bounds = self.together(schedule, confined, iterations)
            best = bounds if best is None else best.lesser(bounds)
        assert best is not None
        return best

    def _roomless(
        self, schedule: str, room: FloatArray, turned: list[FloatArray], depths: list[Depths],
        shortest: list[list[FloatArray]] | None = None, iterations: FloatArray | None = None,
        entering: list[list[FloatArray]] | None = None, most: tuple[float, float] = UNLIMITED,
    ) -> Bounds:  # fmt: skip
        """The same, quicker: as if each external tensor were kept where its words come least often, by itself."""
        fewest = [
            reduce(np.minimum, (np.where(bits <= room, visits, BEYOND) for bits, visits in each), inside)
            for each, inside in zip(depths, turned, strict=True)
        ]
        ways = []
        for at in range(len(self.ways)):
            visits = {number: fewest[number] * (users[0] == at) for number, users in enumerate(self.users) if at in users}
            fastest, more = None if shortest is None else shortest[at], None if entering is None else entering[at]
            ways.append(self.alone(at, visits, fastest, more, most))
        return self.together(schedule, ways, iterations)

    def _confined(
        self, at: int, way: int, alone: dict[frozenset[int], Way], mine: list[int], room: FloatArray,
        fixed: dict[int, tuple[FloatArray, FloatArray] | None], depths: list[Depths], most: tuple[float, float],
    ) -> Way:  # fmt: skip
        """Bounds of an Einsum on a unit, the least of all ways to keep what it alone touches, if other tensors are kept in some way.

        alone: its bounds by the tensors that are in the leaves.
        """
        room = room - sum(kept[0] for number, kept in fixed.items() if kept is not None and number not in mine)
        best: Way | None = None
        for places in product(*([fixed[number]] if number in fixed else [None, *depths[number]] for number in mine)):
            here = [(number, *each) for number, each in zip(mine, places, strict=True) if each is not None]
            above = frozenset(number for number, *_ in here)
            left = room - sum(bits for _, bits, _ in here)
            bounds = alone[frozenset(mine) - above]
            within = self.within(at, way, above, left)
            if within is not None:
                bounds = bounds.most(within)
            paid = [(number, visits) for number, _, visits in here if self.users[number][0] == at]
            rows = bounds.rows + sum(self.brought[number] + (visits - 1)[:, None] * self.again[number] for number, visits in paid)
            good = (left >= 0) & (rows[:, 0] <= most[0]) & (bounds.busiest <= most[1])
            bounds = Way(bounds.unit, np.where(good[:, None], rows, BEYOND), np.where(good, bounds.busiest, BEYOND))
            best = bounds if best is None else best.least(bounds)
        assert best is not None
        return best

    def within(self, at: int, way: int, above: frozenset[int], room: FloatArray) -> Way | None:
        """What an Einsum on a unit costs at least below any trunk, if some external tensors are kept above the fuse and the leaf has some
        room (float64[n]); None: that takes too long to find out, or is not known.

        What an Einsum costs below loops in time it costs below none at most: its own outermost block may have them, unless constraints
        say otherwise.
        """
        search, names = self.exact.ways[self.stretch.names[at]][way]
        if search.slow or search.plan.ruled.any() or search.plan.inside.any():
            return None
        here = {self.placeable[number] for number in above} | self.resident | set(self.stretch.internal)
        given = sum(1 << k for k, tensor in enumerate(names.tensors) if tensor in here)
        known = self.exact.within.get((id(search), given))
        if known is None:
            budget = -1 if self.exact.size == float("inf") else int(self.exact.size)
            allowed = ((1 << len(names.tensors)) - 1) & ~given
            front = search.front(search.whole, given, allowed, budget, None, False, False, (*self.aim.uses[:3], True))
            times = self.exact.times
            order = np.argsort(front.rows[:, 1 + times], kind="stable")
            rows = np.concatenate([np.full((1, 1 + times), BEYOND), front.rows[order, : 1 + times]])
            busiest = rows[:, 1 : 1 + self.exact.traffic].max(axis=1)
            known = front.rows[order, 1 + times], np.minimum.accumulate(rows), np.minimum.accumulate(busiest)
            self.exact.within[id(search), given] = known
        held, rows, busiest = known
        place = np.searchsorted(held, room, side="right")
        return Way(names.unit, rows[place], busiest[place])

    def alone(
        self, at: int, visits: dict[int, FloatArray], shortest: list[FloatArray] | None = None, entering: list[FloatArray] | None = None,
        most: tuple[float, float] = UNLIMITED,
    ) -> list[Way]:  # fmt: skip
        """Lower bounds on what one Einsum costs on every unit.

        visits: for every external tensor that it touches float64[n], how often its words come at least. shortest: for every unit, the least
        ticks that it takes. entering: for every unit, words that enter a memory inside memory 1. most: energy and ticks beyond which
        it is of no use.
        """
        found = []
        many = max(map(len, (*visits.values(), *(entering or ()))), default=1)
        for way, (search, names) in enumerate(self.ways[at]):
            words, bypassing = np.zeros((many, len(names.tensors))), 0
            for k, tensor in enumerate(names.tensors):
                if tensor in self.placeable:
                    number = self.placeable.index(tensor)
                    words[:, k] = self.whole[number] * visits[number]
                    bypassing |= 1 << k
            rows, busiest = search.least(bypassing, words, None if entering is None else entering[way], most)
            if shortest is not None:
                rows[:, 1] = np.maximum(rows[:, 1], shortest[way])
            found.append(Way(names.unit, rows, busiest))
        return found

    def together(self, schedule: str, ways: list[list[Way]], iterations: FloatArray | None = None) -> Bounds:
        """Lower bounds on what Einsums cost of which each costs at least what one of its ways does; n rows each, or one.

        iterations: of the trunk.
        """
        energy, traffic, ticks = np.zeros(1), np.zeros(1), np.zeros(1)
        slowest = []
        for mine in ways:
            best = reduce(np.minimum, (way.rows for way in mine))
            energy, traffic = energy + best[:, 0], traffic + best[:, 1 + self.exact.traffic]
            own = [np.maximum(way.busiest, way.rows[:, 1 : 1 + self.exact.traffic].max(axis=1)) for way in mine]
            slowest.append(reduce(np.minimum, own))
            ticks = ticks + slowest[-1] + best[:, 1 + self.exact.latency]
        if schedule == "pipelined":
            ticks = reduce(np.maximum, [self._balanced(ways), *slowest])
            if iterations is not None:  # the first pass takes as long as its Einsums one after another
                ticks = ticks + np.maximum(0.0, self._through(ways, iterations) - ticks) / iterations
        return Bounds(*np.broadcast_arrays(energy, ticks, traffic))

    def _through(self, ways: list[list[Way]], iterations: FloatArray) -> FloatArray:
        """The longest way through Einsums that wait for each other, in ticks of all iterations."""
        forward, _ = self.evaluator.program.edges(frozenset(self.stretch.names))
        ends: dict[str, FloatArray] = {}
        for name, mine in zip(self.stretch.names, ways, strict=True):
            own = reduce(np.minimum, (way.rows[:, 1] + way.rows[:, 1 + self.exact.latency] * iterations for way in mine))
            ends[name] = reduce(np.maximum, [ends[a] for a, b, _ in forward if b == name and a in ends], np.zeros(1)) + own
        return np.asarray(reduce(np.maximum, ends.values()))

    def _balanced(self, ways: list[list[Way]]) -> FloatArray:
        """Ticks that no assignment of Einsums to units goes below."""
        units = sorted({way.unit for mine in ways for way in mine})
        ports = [reduce(np.minimum, (way.rows for way in mine))[:, 2 : 1 + self.exact.traffic] for mine in ways]
        if prod(map(len, ways)) > _MOST_ASSIGNED:  # as if Einsums could be shared out among units
            fastest = [reduce(np.minimum, (way.rows[:, 1] for way in mine)) for mine in ways]
            return np.asarray(np.maximum(reduce(np.add, fastest) / len(units), reduce(np.add, ports).max(axis=1, initial=0.0)))
        found = []
        for picks in product(*ways):
            loads = dict.fromkeys(units, np.zeros(1))
            for way in picks:
                loads[way.unit] = loads[way.unit] + way.rows[:, 1]
            found.append(reduce(np.maximum, loads.values()))
        return np.asarray(np.maximum(reduce(np.minimum, found), reduce(np.add, ports).max(axis=1, initial=0.0)))

    def tile_words(self, tensor: str, tile: dict[str, int]) -> int:
        """Words of a tensor below loops that leave these sizes of ranks."""
        words = 1
        for dimension, extent in enumerate(self.exact.cascade.tensors[tensor].shape):
            rank = self.ranks_of[tensor][dimension]
            words *= extent if rank is None else tile.get(rank, extent)
        return words

    def _rank(self, tensor: str, dimension: int) -> str | None:
        """The rank by which this part's Einsums index a dimension, None if they differ."""
        inside = set(self.stretch.names)
        found = {
            use.maps[dimension].single_rank if use.maps[dimension] is not None else None  # type: ignore[union-attr]
            for use in self.exact.tensors.facts.uses[tensor]
            if use.einsum in inside
        }
        return found.pop() if len(found) == 1 else None

    def moved(self, tensor: str, words: int) -> FloatArray:
        """Energy and times of bringing words of a tensor from the root to memory 1, or of sending them out (distinct words once each)."""
        exact, evaluator = self.exact, self.evaluator
        cost = np.zeros(1 + exact.times)
        root, home = exact.machine.root.name, exact.home
        assert home is not None
        tables = (evaluator.prices.read, evaluator.prices.write, evaluator.prices.update)
        prices = {name: [0.0 if (price := table[name]) is None else price.value for table in tables] for name in (root, home)}
        widths = evaluator.widths

        def move(memory: str, side: str, pieces: float, price: float) -> None:
            cost[0] += pieces * price
            port = evaluator.clock.ports.get(memory)
            if port is not None:
                rate = port.read if side == "read" or port.shared else port.write
                if rate is not None:
                    cost[1 + exact.numbers[memory, "read" if side == "read" or port.shared else "write"]] += pieces * rate
            if memory == root:
                cost[1 + exact.traffic] += pieces

        if tensor not in self.stretch.exported:
            width = max(widths.read[name, tensor] for name in self.stretch.names if (name, tensor) in widths.read)
            move(root, "read", words * width, prices[root][0])
            move(home, "write", words * width, prices[home][1])
            return cost
        wide, narrow = widths.partial[tensor], widths.final[tensor]
        distinct = exact.tensors.words(tensor)
        complete = distinct * (wide - narrow)
        move(root, "write", words * wide - complete, prices[root][2])
        move(root, "read", (words - distinct) * wide, prices[root][0])
        move(home, "write", (words - distinct) * wide, prices[home][1])
        if evaluator.counting.drains == "charged":
            move(home, "read", words * wide - complete, prices[home][0])
        return cost

    def width(self, tensor: str) -> int:
        """Pieces of a word that is kept above a fuse: of a result, in its partial type, which it has while it is made."""
        widths = self.evaluator.widths
        return widths.final[tensor] if tensor not in self.exact.tensors.makers else widths.partial[tensor]

    def number(self, search: LeafSearch, names: Names, tile: dict[str, int]) -> int:
        """The number of an Einsum's tile below a trunk."""
        return search.number(tuple(tile.get(rank, self.extents[rank]) for rank in names.ranks))

    def headroom(self, bound: Cost) -> tuple[float, float]:
        """How much more energy than a bound, or how many more ticks, a way to run this part may take to be of use."""
        if self.cutoff is None:
            return UNLIMITED
        return self.cutoff.headroom(bound)

    def most(self, schedule: str) -> tuple[float, float]:
        """The most energy and ticks that one Einsum of this part may take, if the others may take none."""
        if self.exact.limits.gap:
            return UNLIMITED
        known = [*(option.cost for option in self.solved.options), *self.rivals]
        key = schedule, len(self.looks), None if self.cutoff is None else self.cutoff.best, tuple(known)
        if key != self._most[0]:
            self._most = key, self._affordable(schedule, known)
        return self._most[1]

    def _affordable(self, schedule: str, known: list[Cost]) -> tuple[float, float]:
        least = self._crude(schedule, self._least)
        more = self.headroom(least)
        energy, ticks = (least.energy + more[0]) * SLACK, (least.ticks + more[1]) * SLACK
        if self.aim.uses == (True, False, False, False):
            energy = min([energy, *(cost.energy * SLACK for cost in known)])
        if self.aim.uses == (False, True, False, False):
            ticks = min([ticks, *(cost.ticks * SLACK for cost in known)])
        return energy, ticks
