"""The search within one part: trunks, what is kept above the fuse, and ways to run every Einsum below it, by their bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.figures import NOTHING, SLACK, Cost
from accelsim.mapper.leaf import UNLIMITED, Front, LeafSearch, OutOfTime
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.options import Chosen, Cutoff, Option, Recipe, Solved
from accelsim.mapper.pieces import Stretch
from accelsim.mapper.tiles import divisors

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact

_STEP = 0.01  # of the work that one look at the clock stands for: what one choice of shared loops and keeps costs
_QUICK = 40  # trunks that are tried with all that is external kept above the fuse
_FEW = 2  # trunks that are tried with every choice of keeps before bounds are made better
_MOST_CHOICES = 20_000  # combinations of ways to run the Einsums of a pipelined part that are tried one by one


@dataclass(frozen=True, slots=True)
class _Place:
    """A keep of an external tensor above a fuse (depth -1: in the leaves): pieces held, and what it costs by resource (energy first)."""

    depth: int
    bits: int
    cost: FloatArray


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Lower bounds of many ways to run a part: float64[n] each."""

    energy: FloatArray
    ticks: FloatArray
    traffic: FloatArray

    def cost(self, at: int, held: float) -> Cost:
        """One of them."""
        return Cost(float(self.energy[at]), float(self.ticks[at]), float(self.traffic[at]), held)

    def some(self, which: IntArray) -> _Bounds:
        """Those at some places."""
        return _Bounds(self.energy[which], self.ticks[which], self.traffic[which])

    def least(self, held: float) -> Cost:
        """The least of every figure."""
        return Cost(float(self.energy.min()), float(self.ticks.min()), float(self.traffic.min()), held)

    @staticmethod
    def joined(parts: list[_Bounds]) -> _Bounds:
        """All of several."""
        every = [(part.energy, part.ticks, part.traffic) for part in parts] or [(np.zeros(0),) * 3]
        return _Bounds(*map(np.concatenate, zip(*every, strict=True)))


@dataclass(frozen=True, slots=True)
class _Way:
    """Ways to run one Einsum of a part on one unit: rows as in `Front`, with what is kept for it above the fuse."""

    search: LeafSearch
    names: Names
    number: int
    front: Front
    rows: FloatArray
    held: FloatArray


class Part:
    """The search within one part."""

    def __init__(self, exact: Exact, stretch: Stretch, resident: frozenset[str], held: float) -> None:
        self.exact, self.stretch, self.resident, self.held = exact, stretch, resident, held
        self.aim, self.evaluator = exact.aim, exact.evaluator
        self.extents = exact.cascade.extents
        self.room = exact.size - held
        self.ways = [exact.ways[name] for name in stretch.names]
        self.solved = Solved(part=self)
        self.rivals: list[Cost] = []
        self.cutoff: Cutoff | None = None
        self.listed = False
        self.exactly = not exact.timely  # or quickly first

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
            self.solved.rest = [self._cost_of(self._least("sequential", self._once()), 0)]
            return
        self.ranks_of = {tensor: self._ranks_of(tensor) for tensor in (*self.placeable, *self.stretch.internal)}
        if not self._schedules():
            return
        crude = [self._cost_of(self._least(schedule, self._once()), 0) for schedule in self._schedules()]
        self.solved.rest = [each.least(crude[0]) for each in crude[-1:]]

    def _schedules(self) -> list[str]:
        able = [schedule for schedule in self.exact.schedules if self.exact.constraints.may_overlap(self.stretch.names, schedule)]
        found = [schedule for schedule in able if schedule == "sequential" or "sequential" not in able or self._overlaps()]
        return found[::-1] if self.exact.timely else found

    def _list(self) -> None:
        """Bounds of every trunk."""
        self.groups: list[tuple[str, tuple[str, ...], tuple[str, ...], IntArray]] = []  # schedule, loops, ranks and their tiles
        found: list[_Bounds] = []
        for schedule in self._schedules():
            self._trunks(schedule, found)
        self.bounds = _Bounds.joined(found)
        places = [(group, row) for group, (*_, tiles) in enumerate(self.groups) for row in range(len(tiles))]
        self.trunks = np.array(places, np.int64).reshape(-1, 2)
        self._sift(np.argsort(self._values(self.bounds), kind="stable"))
        self.listed = True

    def _values(self, bounds: _Bounds) -> FloatArray:
        """What bounds are worth alone."""
        return np.asarray(self.aim.value(Cost(bounds.energy, bounds.ticks, bounds.traffic, self.held)), np.float64)  # type: ignore[arg-type]

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
        self.solved.rest = []
        if len(self.ways) > 1 and not self.listed:
            self._list()
            self._note_rest()
            if any(not self.aim.beats(bounds[0], rest) or not self.aim.beats(rest, bounds[0]) for rest in self.solved.rest):
                return  # it may not be promising any more
            self.solved.rest = []
        if len(self.ways) == 1:
            self._single(bounds)
        else:
            self._several()
        if self.exactly or not self.solved.rest:
            self.solved.part = None
        self.exactly = True

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
            if not self.exactly:
                search = search.relaxed()
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
                self._offer(Option(cost, "sequential", (), (), (), (Chosen(search, names, search.whole, pointer),)))
            self.solved.covered += search.tiles
            self.solved.evaluated += len(front.rows)
        if not self.exactly and not any(self.aim.beats(option.cost, bounds[0]) for option in self.solved.options):
            self.solved.rest = bounds

    def _cost(self, row: FloatArray, held: float) -> Cost:
        ticks = float(np.max(row[1 : 1 + self.exact.traffic])) + float(row[1 + self.exact.latency])
        return Cost(float(row[0]), ticks, float(row[1 + self.exact.traffic]), held + self.held)

    def _offer(self, option: Option) -> None:
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
        self._sift(self._useful(self.bounds))
        for row in range(min(_QUICK, len(self.trunks))):  # something good first: it shortens what follows
            if self._worth(self.bounds.cost(row, self.held)) and not self.exact.limits.over:
                self._explore_trunk(row, quickly=True)
        while at < len(self.trunks):
            if not self._worth(self.bounds.cost(at, self.held)):
                at += 1
                continue
            if self.exact.limits.over or (not self.exactly and tried >= _FEW):
                left.extend(range(at, len(self.trunks)))
                break
            tried += 1
            self._explore_trunk(at)
            if not self.exactly:
                left.append(at)
            at += 1
        self._sift(np.array(left, np.int64))
        self._sift(self._useful(self.bounds))
        self._note_rest()

    def _explore_trunk(self, at: int, quickly: bool = False) -> None:
        """Explore one trunk; quickly, only with all that is external kept above the fuse."""
        group, row = self.trunks[at]
        schedule, loops, ranks, tiles = self.groups[group]
        self.ways = self._searches(schedule)
        self._expand(schedule, loops, dict(zip(ranks, tiles[row].tolist(), strict=True)), quickly)

    def _useful(self, bounds: _Bounds) -> IntArray:
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
        return found if self.exactly else [[(search.relaxed(), each) for search, each in ways] for ways in found]

    def _overlaps(self) -> bool:
        """Whether pipelining could pay: where time counts, or where iterations share what leaves keep."""
        return self.aim.uses[1] or self.evaluator.counting.refill == "delta"

    def _ranks_of(self, tensor: str) -> tuple[str | None, ...]:
        """The ranks by which the part's Einsums index a tensor."""
        return tuple(self._rank(tensor, dimension) for dimension in range(len(self.exact.cascade.tensors[tensor].shape)))

    def _trunks(self, schedule: str, found: list[_Bounds]) -> None:
        """Every trunk with a lower bound."""
        ranks = self.stretch.shared
        extents = np.array([self.extents[rank] for rank in ranks], np.int64)
        sizes = list(product(*(divisors(self.extents[rank]) for rank in ranks)))
        tiles = np.array(sizes, np.int64).reshape(len(sizes), len(ranks))
        internal = np.zeros(len(tiles))
        for tensor in self.stretch.internal:
            bits = self._tile_bits(tensor, ranks, tiles) * self._width(tensor)
            internal = internal + bits if schedule == "pipelined" else np.maximum(internal, bits)
        good = (internal <= self.room) & self.exact.may_leave(self.stretch.names, ranks, tiles)
        for tensor in self.stretch.internal:
            good &= self.exact.may_be_held(tensor, self.stretch.names, ranks, tiles)
        tiles, internal = tiles[good], internal[good]
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, turning in enumerate((tiles < extents).tolist()):
            groups.setdefault(tuple(at for at, turns in enumerate(turning) if turns), []).append(row)
        self.ways = self.exact.sharing(self.stretch.names) if schedule == "pipelined" else [self.exact.ways[n] for n in self.stretch.names]
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
                visits = [self._fewest(at, ranks, extents, part, trips, free, order, schedule) for at in range(len(self.placeable))]
                bounds = self._least(
                    schedule, [np.where(users == users[0], each, 0.0) for users, each in self._by_user(visits)], None, len(rows),
                    shortest, iterations, self._entering(schedule, [ranks[k] for k in order], dict(zip(ranks, trips.T, strict=True))),
                )  # fmt: skip
                found.append(_Bounds(*bounds))
                self.groups.append((schedule, tuple(ranks[k] for k in order), ranks, part))
                self.solved.covered += len(rows) * prod(search.tiles for ways in self.ways for search, _ in ways[:1])

    def _entering(self, schedule: str, loops: list[str], trips: dict[str, IntArray]) -> list[list[FloatArray]]:
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

    def _fewest(
        self, at: int, ranks: tuple[str, ...], extents: IntArray, part: IntArray, trips: IntArray, free: FloatArray, order: tuple[int, ...],
        schedule: str,
    ) -> FloatArray:  # fmt: skip
        """How often at least the words of an external tensor come, for each tile: kept in the trunk where it fits, or in the leaves."""
        tensor = self.placeable[at]
        if not self.alike[at]:
            return np.ones(len(part))
        indexed = [rank in self.ranks_of[tensor] for rank in ranks]
        turning = list(order)
        if schedule == "pipelined" and self.evaluator.counting.refill == "delta":
            while turning and not indexed[turning[-1]]:
                turning.pop()
        visits = np.prod(np.where([[k in turning and not indexed[k] for k in range(len(ranks))]], trips, 1), axis=1).astype(float)
        words = np.full(len(part), float(self.whole[at]))
        above = np.ones(len(part))
        width = self._width(tensor)
        for depth in range(len(order) + 1):
            if depth:
                turned = order[depth - 1]
                if indexed[turned]:
                    words = words / trips[:, turned]
                else:
                    above = above * trips[:, turned]
                    continue
            visits = np.where(words * width <= free, np.minimum(visits, above), visits)
        return np.asarray(visits)

    def _once(self) -> list[FloatArray]:
        """The least words that external tensors ask of the root, for the first Einsum that touches each."""
        visits = [np.ones(1) for _ in self.placeable]
        return [np.where(users == users[0], each, 0.0) for users, each in self._by_user(visits)]

    def _by_user(self, visits: list[FloatArray]) -> list[tuple[IntArray, FloatArray]]:
        """For every external tensor, its users (int64[users, 1]) and how often its words come (float64[1, n])."""
        return [(np.array(users, np.int64)[:, None], each[None, :]) for users, each in zip(self.users, visits, strict=True)]

    def _cost_of(self, bounds: tuple[FloatArray, FloatArray, FloatArray], at: int) -> Cost:
        energy, ticks, traffic = bounds
        return Cost(float(energy[at]), float(ticks[at]), float(traffic[at]), self.held)

    def _worth(self, bound: Cost) -> bool:
        """Could something with this lower bound be of use? Bounds that only the gap rules out are remembered."""
        known = [*(option.cost for option in self.solved.options), *self.rivals]
        if any(self.aim.beats(cost, bound) for cost in known):
            return False
        if self.cutoff is not None and not self.cutoff.allows(bound):
            if self.exact.limits.gap:
                self.solved.rest.append(bound)
            return False
        near = max(self.exact.limits.gap, 0.0 if self.exactly else self.exact.tolerance)
        gap = (1 + near) ** (0.5 if self.aim.uses[0] and self.aim.uses[1] else 1)  # a product of two takes it twice
        if gap > 1:
            larger = Cost(bound.energy * gap, bound.ticks * gap, bound.traffic * gap, bound.held)
            if any(self.aim.beats(cost, larger) for cost in known):
                self.solved.rest.append(bound)
                return False
        return True

    def _least(
        self, schedule: str, visits: list[FloatArray], extra: FloatArray | None = None, many: int = 1,
        shortest: list[list[FloatArray]] | None = None, iterations: FloatArray | None = None,
        entering: list[list[FloatArray]] | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
        """Lower bounds (energy, ticks, traffic; float64[n] each) on what the Einsums cost.

        visits: for every external tensor float64[users, n], how often its words come at least for each Einsum that touches it.
        extra: float64[Einsums, n, 1 + times], what comes on top. shortest: for every way to run every Einsum, the least ticks of its unit.
        iterations: of the trunk. entering: for every way to run every Einsum, words that enter a memory inside memory 1.
        """
        many = many if extra is None else extra.shape[1]
        energy, ticks, traffic = np.zeros(many), np.zeros(many), np.zeros(many)
        rows, slowest = [], []
        self.alone: list[tuple[FloatArray, FloatArray]] = []  # of each Einsum
        for at, ways in enumerate(self.ways):
            options = []
            for way, (search, names) in enumerate(ways):
                words, bypassing = np.zeros((many, len(names.tensors))), 0
                for k, tensor in enumerate(names.tensors):
                    if tensor in self.placeable:
                        number = self.placeable.index(tensor)
                        words[:, k] = self.whole[number] * visits[number][self.users[number].index(at)]
                        bypassing |= 1 << k
                row, busiest = search.least(bypassing, words, None if entering is None else entering[at][way])
                if shortest is not None:
                    row[:, 1] = np.maximum(row[:, 1], shortest[at][way])
                options.append((names.unit, row, busiest))
            more = np.zeros((many, 1 + self.exact.times)) if extra is None else extra[at]
            rows.append([(unit, row + more) for unit, row, _ in options])
            best = np.min([row for _, row in rows[-1]], axis=0)
            energy += best[:, 0]
            traffic += best[:, 1 + self.exact.traffic]
            own = [np.maximum(busiest, (row + more)[:, 1 : 1 + self.exact.traffic].max(axis=1)) for _, row, busiest in options]
            slowest.append(np.min(own, axis=0))
            ticks += slowest[-1] + best[:, 1 + self.exact.latency]
            self.alone.append((best[:, 0], slowest[-1] + best[:, 1 + self.exact.latency]))
        if schedule == "pipelined":
            ticks = np.max([self._balanced(rows), *slowest], axis=0)
            if iterations is not None:  # the first pass takes as long as its Einsums one after another
                ticks = ticks + np.maximum(0.0, self._through(rows, iterations) - ticks) / iterations
        return energy, ticks, traffic

    def _through(self, rows: list[list[tuple[str, FloatArray]]], iterations: FloatArray) -> FloatArray:
        """The longest way through Einsums that wait for each other, in ticks of all iterations."""
        forward, _ = self.evaluator.program.edges(frozenset(self.stretch.names))
        ends: dict[str, FloatArray] = {}
        for name, options in zip(self.stretch.names, rows, strict=True):
            own = np.min([row[:, 1] + row[:, 1 + self.exact.latency] * iterations for _, row in options], axis=0)
            ends[name] = own + np.max([ends[a] for a, b, _ in forward if b == name and a in ends] or [np.zeros_like(own)], axis=0)
        return np.asarray(np.max(list(ends.values()), axis=0))

    def _balanced(self, rows: list[list[tuple[str, FloatArray]]]) -> FloatArray:
        """Ticks that no assignment of Einsums to units goes below."""
        units = sorted({unit for options in rows for unit, _ in options})
        ports = np.sum([np.min([row for _, row in options], axis=0) for options in rows], axis=0)[:, 2 : 1 + self.exact.traffic]
        best = np.full(len(ports), np.inf)
        for picks in product(*(range(len(options)) for options in rows)):
            loads = {unit: np.zeros(len(ports)) for unit in units}
            for pick, options in zip(picks, rows, strict=True):
                loads[options[pick][0]] = loads[options[pick][0]] + options[pick][1][:, 1]
            best = np.minimum(best, np.max(list(loads.values()), axis=0))
        return np.asarray(np.maximum(best, ports.max(axis=1, initial=0.0)))

    def _tile_words(self, tensor: str, tile: dict[str, int]) -> int:
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

    def _moved(self, tensor: str, words: int) -> FloatArray:
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

    def _places(self, tensor: str, loops: tuple[str, ...], tile: dict[str, int]) -> list[_Place]:
        """Where a tensor may be kept: in the leaves, on top of the trunk, or directly below a loop that indexes it."""
        found = [_Place(-1, 0, np.zeros(1 + self.exact.times))]
        if not self.exact.may_stay(tensor, self.stretch.names) or not self.exact.tensors.alike(tensor, self.stretch.names):
            return found
        ranks = self.ranks_of[tensor]
        whole = self.exact.tensors.words(tensor)
        for depth in range(len(loops) + 1):
            if depth and loops[depth - 1] not in ranks:
                continue
            above = {rank: tile[rank] for rank in loops[:depth]}
            words = self._tile_words(tensor, above)
            visits = prod(self.extents[rank] // size for rank, size in above.items() if rank not in ranks)
            bits = words * self._width(tensor)
            sizes = np.array([list(above.values())], np.int64).reshape(1, -1)
            if bits <= self.room and self.exact.may_be_held(tensor, self.stretch.names, tuple(above), sizes)[0]:
                found.append(_Place(depth, bits, self._moved(tensor, whole * visits)))
        return found

    def _width(self, tensor: str) -> int:
        """Pieces of a word that is kept above a fuse: of a result, in its partial type, which it has while it is made."""
        widths = self.evaluator.widths
        return widths.final[tensor] if tensor not in self.exact.tensors.makers else widths.partial[tensor]

    def _expand(self, schedule: str, loops: tuple[str, ...], tile: dict[str, int], quickly: bool) -> None:
        """Every choice of keeps above the fuse for one trunk; quickly, only of all that may be kept there."""
        options = [self._places(tensor, loops, tile) for tensor in self.placeable]
        first_user = [
            next(at for at, name in enumerate(self.stretch.names) if tensor in self.exact.tensors.touched[name])
            for tensor in self.placeable
        ]
        turned = [self._visits(at, loops, tile, schedule) for at in range(len(self.placeable))]
        combos = [places for places in product(*options) if sum(place.bits for place in places) <= self.room]
        if quickly:
            combos = [
                places for places in combos if all(at.depth >= 0 or len(each) == 1 for at, each in zip(places, options, strict=True))
            ]
        if not combos:
            return
        extra = np.zeros((len(self.ways), len(combos), 1 + self.exact.times))
        beside = np.zeros_like(extra)
        visits = [np.zeros((len(users), len(combos))) for users in self.users]
        for row, places in enumerate(combos):
            for at, place in enumerate(places):
                if place.depth < 0:
                    visits[at][:, row] = turned[at]
                else:
                    extra[first_user[at], row] += place.cost
                    beside[first_user[at], row] += place.cost
        trips = {rank: np.array([self.extents[rank] // size]) for rank, size in tile.items()}
        shortest = [[search.shortest(self._number(search, names, tile)) for search, names in ways] for ways in self.ways]
        iterations = np.array(float(prod(int(each[0]) for each in trips.values())))
        bounds = _Bounds(*self._least(schedule, visits, beside, 1, shortest, iterations, self._entering(schedule, list(loops), trips)))
        useful = self._useful(bounds)
        inside = np.array([sum(place.depth < 0 for place in combos[row]) for row in useful])  # these take longer to work out
        for row in useful[np.argsort(self._values(bounds.some(useful)) * (1 + 0.02 * inside), kind="stable")]:
            bound, places = bounds.cost(row, self.held), combos[row]
            if not self._worth(bound):
                continue
            if self.exact.limits.over:
                self.solved.rest.append(bound)
                continue
            self.solved.evaluated += 1
            self.exact.limits.spent += _STEP
            try:
                limits = [self._limit(schedule, bound, float(energy[row]), float(ticks[row])) for energy, ticks in self.alone]
                self._choose(schedule, loops, tile, places, sum(place.bits for place in places), extra[:, row], limits)
            except OutOfTime:
                self.solved.rest.append(bound)

    def _number(self, search: LeafSearch, names: Names, tile: dict[str, int]) -> int:
        """The number of an Einsum's tile below a trunk."""
        return search.number(tuple(tile.get(rank, self.extents[rank]) for rank in names.ranks))

    def _limit(self, schedule: str, bound: Cost, energy: float, ticks: float) -> tuple[float, float]:
        """The most energy and ticks that one Einsum of a part may take, which takes so much at least, if all others take their least."""
        if self.cutoff is None or self.exact.limits.gap or all(len(names.memories) < 3 for ways in self.ways for _, names in ways):
            return UNLIMITED
        most = []
        for figure, base in (("energy", energy), ("ticks", ticks)):
            least = getattr(bound, figure)
            low, high = 0.0, 1e6 * max(least, 1.0)
            for _ in range(4):  # the largest that is still allowed, closer and closer
                more = low + (high - low) * np.linspace(0.0, 1.0, 100) ** 3
                good = self.cutoff.allowed(replace(bound, **{figure: least + more}))
                last = int(np.flatnonzero(good)[-1]) if good.any() else 0
                low, high = float(more[last]), float(more[min(last + 1, len(more) - 1)])
            most.append(((bound.ticks if figure == "ticks" and schedule == "pipelined" else base) + high) * SLACK)
        return most[0], most[1]

    def _visits(self, at: int, loops: tuple[str, ...], tile: dict[str, int], schedule: str) -> int:
        """How often at least the words of a tensor come that is kept in the leaves: in every iteration that another rank's loop makes.

        Consecutive iterations may share what a memory holds, so with `refill=delta` loops innermost in a pipelined trunk are left out.
        """
        if not self.alike[at]:
            return 1
        ranks = self.ranks_of[self.placeable[at]]
        turning = list(loops)
        if schedule == "pipelined" and self.evaluator.counting.refill == "delta":
            while turning and turning[-1] not in ranks:
                turning.pop()
        return prod(self.extents[rank] // tile[rank] for rank in turning if rank not in ranks)

    def _choose(
        self, schedule: str, loops: tuple[str, ...], tile: dict[str, int], places: tuple[_Place, ...], bits: int, extra: FloatArray,
        limits: list[tuple[float, float]],
    ) -> None:  # fmt: skip
        """The ways to run every Einsum under one trunk with its keeps, and their combinations.

        extra: float64[Einsums, 1 + times], what the keeps cost; limits: the most energy and ticks that each Einsum may take, both counted.
        """
        above = {tensor for tensor, place in zip(self.placeable, places, strict=True) if place.depth >= 0}
        given_tensors = above | self.resident | set(self.stretch.internal)
        every: list[list[_Way]] = []
        for at, ways in enumerate(self.ways):
            found = []
            for search, names in ways:
                number = self._number(search, names, tile)
                given = sum(1 << k for k, tensor in enumerate(names.tensors) if tensor in given_tensors)
                allowed = ((1 << len(names.tensors)) - 1) & ~given
                share = self._shares(search, names, loops, tile) if schedule == "pipelined" else None
                budget = -1 if self.exact.size == float("inf") else int(self.exact.size)
                single = schedule == "sequential" and not any(extra[at])
                limit = limits[at][0] - float(extra[at][0]), limits[at][1]
                front = search.front(number, given, allowed, budget, share, False, single, (*self.aim.uses[:3], True), limit)
                if not len(front.rows):
                    continue
                rows = front.rows.copy()
                rows[:, : 1 + self.exact.times] += extra[at]
                held = rows[:, 1 + self.exact.times]
                found.append(_Way(search, names, number, front, rows, held))
            if not found:
                return
            every.append(found)
        kept: dict[int, list[str]] = {}
        for tensor, place in zip(self.placeable, places, strict=True):
            if place.depth >= 0:
                kept.setdefault(place.depth, []).append(tensor)
        kept.setdefault(len(loops), []).extend(self.stretch.internal)
        recipe = (tuple((rank, tile[rank]) for rank in loops), tuple(sorted((depth, tuple(names)) for depth, names in kept.items())))
        if schedule == "sequential":
            self._in_sequence(every, tile, bits, recipe)
        else:
            self._overlapped(every, loops, tile, bits, recipe)

    def _shares(self, search: LeafSearch, names: Names, loops: tuple[str, ...], tile: dict[str, int]) -> tuple[float, ...]:
        """By how much loops of the trunk that turn directly above the leaves divide what each tensor's tiles are filled with."""
        if self.evaluator.counting.refill != "delta":
            return (1.0,) * len(names.tensors)
        found = []
        for stream in range(len(names.tensors)):
            indexed = {rank for rank, has in zip(names.ranks, search.plan.indexed[stream], strict=True) if has}
            share = 1
            for rank in reversed(loops):
                if rank in indexed:
                    break
                share *= self.extents[rank] // tile[rank]
            found.append(float(share))
        return tuple(found)

    def _live(self, tile: dict[str, int]) -> list[int]:
        """Pieces that internal tensors hold while each Einsum runs."""
        spans = {}
        for tensor in self.stretch.internal:
            users = [at for at, name in enumerate(self.stretch.names) if tensor in self.exact.tensors.touched[name]]
            spans[tensor] = (min(users), max(users))
        bits = {tensor: self._tile_words(tensor, tile) * self._width(tensor) for tensor in spans}
        return [sum(bits[tensor] for tensor, (a, b) in spans.items() if a <= at <= b) for at in range(len(self.ways))]

    def _in_sequence(self, every: list[list[_Way]], tile: dict[str, int], bits: int, recipe: Recipe) -> None:
        fronts: list[list[tuple[Cost, Chosen]]] = []
        live = self._live(tile)
        for at, ways in enumerate(every):
            front: list[tuple[Cost, Chosen]] = []
            for way in ways:
                ticks = way.rows[:, 1 : 1 + self.exact.traffic].max(axis=1) + way.rows[:, 1 + self.exact.latency]
                for row in range(len(ticks)):
                    held = float(way.held[row]) + live[at] + bits
                    if held > self.room:
                        continue
                    cost = Cost(float(way.rows[row, 0]), float(ticks[row]), float(way.rows[row, 1 + self.exact.traffic]), held + self.held)
                    if any(self._better(known, cost) for known, _ in front):
                        continue
                    front = [each for each in front if not self._better(cost, each[0])]
                    front.append((cost, Chosen(way.search, way.names, way.number, way.front.pointers[row])))
            if not front:
                return
            fronts.append(front)
        sums: list[tuple[Cost, tuple[Chosen, ...]]] = [(NOTHING, ())]
        for front in fronts:
            grown: list[tuple[Cost, tuple[Chosen, ...]]] = []
            for before, chosen in sums:
                for cost, mine in front:
                    total = cost.after(before)
                    if any(self._better(known, total) for known, _ in grown):
                        continue
                    grown = [each for each in grown if not self._better(total, each[0])]
                    grown.append((total, (*chosen, mine)))
            sums = grown
        for cost, leaves in sums:
            self._offer(Option(cost, "sequential", recipe[0], recipe[1], (), leaves))

    # --- pipelined ------------------------------------------------------------------------------------------------------------------

    def _overlapped(self, every: list[list[_Way]], loops: tuple[str, ...], tile: dict[str, int], bits: int, recipe: Recipe) -> None:
        iterations = prod(self.extents[rank] // tile[rank] for rank in loops)
        units = sorted({way.names.unit for ways in every for way in ways})
        choices: list[list[tuple[_Way, int, FloatArray]]] = []
        for ways in every:
            mine: list[tuple[_Way, int, FloatArray]] = []
            for way in ways:
                for row in self._undominated(way):
                    vector = np.zeros(len(units) + self.exact.traffic)
                    vector[units.index(way.names.unit)] = way.rows[row, 1]
                    vector[len(units) + 1 :] = way.rows[row, 2 : 1 + self.exact.traffic]
                    mine.append((way, row, vector))
            mine.sort(key=lambda each: (float(each[2].max()), float(each[0].rows[each[1], 0])))
            choices.append(mine)
        least = [np.min([vector for _, _, vector in mine], axis=0) for mine in choices]
        after = [np.sum(least[at:], axis=0) if at < len(least) else np.zeros_like(least[0]) for at in range(len(least) + 1)]
        thrift = [min(float(way.rows[row, 0]) for way, row, _ in mine) for mine in choices]
        saving = [sum(thrift[at:]) for at in range(len(thrift) + 1)]
        tried = 0

        def descend(at: int, picked: list[tuple[_Way, int]], vector: FloatArray, energy: float, traffic: float, held: float) -> None:
            nonlocal tried
            if held > self.room:
                return
            bound = Cost(energy + saving[at], float((vector + after[at]).max()), traffic, self.held)
            if not self._worth(bound):
                return
            if tried > _MOST_CHOICES or self.exact.limits.over:
                self.solved.rest.append(bound)
                return
            if at == len(choices):
                tried += 1
                self._pipeline(picked, vector, energy, traffic, held, loops, tile, iterations, recipe)
                return
            for way, row, mine in choices[at]:
                more = way.rows[row]
                descend(
                    at + 1, [*picked, (way, row)], vector + mine, energy + float(more[0]), traffic + float(more[1 + self.exact.traffic]),
                    held + float(way.held[row]),
                )  # fmt: skip

        internal = sum(self._tile_words(tensor, tile) * self._width(tensor) for tensor in self.stretch.internal)
        descend(0, [], np.zeros_like(least[0]), 0.0, 0.0, float(bits + internal))

    def _undominated(self, way: _Way) -> Iterator[int]:
        """Rows that no other beats in what counts in a pipelined part."""
        uses = self.aim.uses
        columns = [*range(1, 1 + self.exact.traffic), 1 + self.exact.latency]
        columns += [0] * uses[0] + [1 + self.exact.traffic] * uses[2]
        table = np.concatenate([way.rows[:, columns], way.held[:, None]], axis=1)
        order = np.lexsort((way.rows[:, 0], table.sum(axis=1)))
        kept: list[int] = []
        for row in order:
            if not any(np.all(table[known] <= table[row] * SLACK) for known in kept):
                kept.append(int(row))
        yield from kept

    def _pipeline(
        self, picked: list[tuple[_Way, int]], vector: FloatArray, energy: float, traffic: float, held: float, loops: tuple[str, ...],
        tile: dict[str, int], iterations: int, recipe: Recipe,
    ) -> None:  # fmt: skip
        """One combination: its pace, and as many copies of what passes between Einsums as are needed to keep it."""
        names = self.stretch.names
        busy = {name: float(way.rows[row, 1]) for name, (way, row) in zip(names, picked, strict=True)}
        late = {name: float(way.rows[row, 1 + self.exact.latency]) for name, (way, row) in zip(names, picked, strict=True)}
        forward, _ = self.evaluator.program.edges(frozenset(names))
        start: dict[str, float] = {}
        end: dict[str, float] = {}
        for name in names:
            start[name] = max((end[a] for a, b, _ in forward if b == name and a in end), default=0.0)
            end[name] = start[name] + busy[name] + late[name] * iterations
        pace = float(vector.max())
        spans = {}
        for tensor in self.stretch.internal:
            producer = next(name for name in names if self.exact.cascade.by_name[name].output.tensor == tensor)
            readers = [b for a, b, t in forward if t == tensor and a == producer]
            spans[tensor] = max(end[reader] for reader in readers) - start[producer]
        last = max(end.values())
        for copies in self._copies(spans, pace, held, tile):
            steady = max([pace, *(spans[tensor] / many for tensor, many in copies.items())])
            ticks = steady + max(0.0, last - steady) / iterations
            total = held + sum((many - 1) * self._copy_bits(tensor, tile) for tensor, many in copies.items())
            cost = Cost(energy, ticks, traffic, total + self.held)
            leaves = tuple(Chosen(way.search, way.names, way.number, way.front.pointers[row]) for way, row in picked)
            self._offer(Option(cost, "pipelined", recipe[0], recipe[1], tuple(sorted((t, c) for t, c in copies.items() if c > 1)), leaves))

    def _copy_bits(self, tensor: str, tile: dict[str, int]) -> int:
        return self._tile_words(tensor, tile) * self.evaluator.widths.partial[tensor]

    def _copies(self, spans: dict[str, float], pace: float, held: float, tile: dict[str, int]) -> Iterable[dict[str, int]]:
        """Numbers of copies worth trying: for every pace that a number of copies sets, the fewest that keep it; those that fit."""
        paces = {pace} | {
            span / many for span in spans.values() for many in range(1, 1 + int(np.ceil(span / max(pace, 1.0)))) if span / many > pace
        }
        for each in sorted(paces):
            copies = {tensor: max(1, int(np.ceil(span / each * (1 - 1e-12)))) for tensor, span in spans.items()}
            total = held + sum((many - 1) * self._copy_bits(tensor, tile) for tensor, many in copies.items())
            if total <= self.room:
                yield copies
                if not (self.aim.uses[3]):
                    return
