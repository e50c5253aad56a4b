"""All good ways to run one Einsum below a given tile, and the loops and keeps that each of them stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from accelsim.mapper.figures import NO_WEIGHTS, Weights
from accelsim.mapper.kernels_candidates import NO_CANDIDATES
from accelsim.mapper.kernels_floors import note_floor
from accelsim.mapper.kernels_labels import most_begun
from accelsim.mapper.kernels_levels import AT_LEVEL, COUNT, NO_TIME, STATES, complete
from accelsim.mapper.kernels_tiles import MANY_TILES
from accelsim.mapper.leaf_bounds import BEYOND, UNLIMITED, LeafBounds
from accelsim.mapper.leaf_plan import (
    GAIN_SHARED,
    OPTION_EVERY_VISIT,
    PORT_SIZE,
    PTR_CHOICE,
    PTR_INNER,
    PTR_KEPT,
    PTR_ORDER,
    PTR_TILE,
    FloatArray,
    IntArray,
    Labels,
    LeafPlan,
    Names,
    Room,
    label_width,
)
from accelsim.mapping.tree import For, Held, Keep, Loop, Spatial

_POOL, _SCRATCH, _CANDIDATES = 1 << 12, 1 << 10, 1 << 12
_MOST = 1 << 22
_DEEP = 2  # memories beyond which a search is first tried with sums that it has to stay below
_MORE = (0.01, 0.03, 0.09, 0.27)  # how much more than its least bound a search is tried with
_WORK_STEP = 100_000  # candidates, the unit of work
_PATIENCE = 200_000  # candidates between looks at the clock
EVERYTHING = (True, True, True, True)  # energy, times, traffic, bits held


Coming = Callable[[tuple[str, ...]], tuple[FloatArray, FloatArray, FloatArray]]
"""For ranks that index a tensor: how often it comes below trunks, and more; see `settings.Loops`."""


@dataclass(frozen=True, slots=True)
class Front:
    """Ways to complete an Einsum: rows float64[n, 3 + times], and pointers.

    A row is picojoules, ticks by resource, pieces held in memory 1, and 1 where a result that memory 1 holds already gets partial sums.
    """

    rows: FloatArray
    pointers: IntArray


class OutOfTime(Exception):
    """The search was told to stop. front: what was found until then, if it is of an Einsum."""

    def __init__(self, front: Front | None = None) -> None:
        super().__init__()
        self.front = front


class LeafSearch(LeafBounds):
    """One plan with the labels worked out so far. Fronts are remembered. `over`: takes work off what is left, in hundred thousands of
    candidates, and says whether none is."""

    def __init__(
        self, plan: LeafPlan, names: Names, over: Callable[[float], bool] = lambda work: False, reach: FloatArray | None = None
    ) -> None:
        super().__init__(plan, reach)
        self.over, self.names = over, names
        self._most = {"pool": _POOL, "scratch": _SCRATCH, "candidates": _CANDIDATES}
        self._known: dict[object, tuple[tuple[float, float], Front]] = {}
        self._relaxed: dict[float, LeafSearch] = {}
        self.least_worth = float("inf")  # the least bound of the last search that found nothing
        self._lists()
        levels = plan.ports.shape[0] + 2
        self._state, self._outers = np.zeros((STATES, levels), np.int64), np.zeros((levels, len(plan.extents)), np.int64)
        self._within, self._room = np.zeros(levels), Room.of(plan)

    @cached_property
    def labels(self) -> Labels:
        """What is known of all tiles; many a plan is only bounded and never needs it."""
        return self._empty()

    def _empty(self) -> Labels:
        plan = self.plan
        levels, streams = plan.ports.shape[0] + 1, plan.indexed.shape[0]
        width = label_width(plan)
        pool, scratch = self._most["pool"], self._most["scratch"]
        return Labels(
            np.empty((levels, pool, width)), np.empty((levels, pool), np.int64), np.empty((levels, pool, 5), np.int64),
            np.zeros(levels, np.int64), np.full((levels, self.tiles << streams), -1, np.int64),
            np.zeros((levels, self.tiles << streams), np.int64), np.zeros((levels, self.tiles << streams)),
            np.empty((levels, scratch, width)), np.empty((levels, scratch), np.int64), np.empty((levels, scratch, 5), np.int64),
        )  # fmt: skip

    def number(self, tile: tuple[int, ...]) -> int:
        """The number of a tile in the lattice."""
        found = 0
        for rank, size in enumerate(tile):
            found += int(np.searchsorted(self.plan.sizes[rank, : self.plan.size_count[rank]], size)) * int(self.plan.strides[rank])
        return found

    def numbers(self, names: Names, ranks: tuple[str, ...], tiles: IntArray, extents: Mapping[str, int]) -> IntArray:
        """The numbers of many tiles: int64[n, ranks], those of other ranks are `extents`; names: of the Einsum."""
        plan, found = self.plan, np.zeros(len(tiles), np.int64)
        for rank, name in enumerate(names.ranks):
            sizes = plan.sizes[rank, : int(plan.size_count[rank])]
            found += np.searchsorted(sizes, tiles[:, ranks.index(name)] if name in ranks else extents[name]) * int(plan.strides[rank])
        return found

    def entering(self, names: Names, coming: Coming) -> FloatArray:
        """How many words of each tensor enter a memory inside memory 1 at least: its tile in every iteration that does not share it."""
        found = []
        for stream, row in enumerate(self.plan.indexed.tolist()):
            again, idle, tiles = coming(tuple(rank for rank, has in zip(names.ranks, row, strict=True) if has))
            whole = float(self.plan.words[stream])
            # what is shared with the last iteration, memory 2 held meanwhile
            found.append(whole * again * (1 + (idle - 1) * np.maximum(0.0, 1 - self.room_inside(stream) * tiles / whole)))
        return np.stack(found, axis=1)

    def front(
        self, number: int, given: int, allowed: int, budget: int, above: tuple[float, ...] | None = None, roomy: bool = True,
        single: bool = False, uses: tuple[bool, bool, bool, bool] = EVERYTHING, limit: tuple[float, float] = UNLIMITED,
        weights: Weights = NO_WEIGHTS,
    ) -> Front:  # fmt: skip
        """The front of an Einsum below a tile; see `kernels_levels.complete`. budget: pieces that memory 1 has left (-1: unlimited)."""
        key = (number, given, allowed, above or (), roomy, single, budget, uses, weights)
        known = self._known.get(key)
        if known is None or known[0][0] < limit[0] or known[0][1] < limit[1]:
            known = self._known[key] = limit, self._front(number, given, allowed, budget, above, roomy, single, uses, limit, weights)
        return known[1]

    def relaxed(self, share: float) -> LeafSearch:
        """The same Einsum where ports that are busy for less than a share of the unit's least time cost nothing: quick, and not exact."""
        if share not in self._relaxed:
            plan = self.plan._replace(relaxed=float(self.shortest(self.whole)) * share)
            self._relaxed[share] = LeafSearch(plan, self.names, self.over, self._reach)
        return self._relaxed[share]

    def beside(self, ports: IntArray) -> LeafSearch:
        """The same Einsum with other sizes of its memories."""
        return LeafSearch(self.plan._replace(ports=ports), self.names, self.over, self._reach)

    def _front(
        self, number: int, given: int, allowed: int, budget: int, above: tuple[float, ...] | None, roomy: bool, single: bool,
        uses: tuple[bool, bool, bool, bool], limit: tuple[float, float], weights: Weights,
    ) -> Front:  # fmt: skip
        plan = self.plan
        streams, units = plan.indexed.shape[0], plan.ports.shape[0]
        if units > 1 and budget != plan.ports[1, PORT_SIZE]:
            ports = plan.ports.copy()
            ports[1, PORT_SIZE] = budget
            plan = plan._replace(ports=ports)
        outside = np.ones(streams) if above is None else np.array(above)
        if self._floors is None:
            self._note_floors()
        count = 0
        try:
            for worth in self._limits(plan, number, given, allowed, outside, roomy, single, uses, limit, weights):
                count = self._complete(plan, 1, number, given, allowed, outside, roomy, single, uses, limit, weights, worth)
                if count:
                    break
        except OutOfTime:
            if not self._state[COUNT, 1]:  # something, if it is not far
                self._state[AT_LEVEL, 0] = 0
                self._call(plan, 1, number, given, allowed, outside, roomy, single, uses, limit, weights, float("inf"))
            raise OutOfTime(self._rows(int(self._state[COUNT, 1]))) from None
        return self._rows(count)

    def _rows(self, count: int) -> Front:
        """The first final labels."""
        times, values = self.plan.times, self.labels.scratch[1, :count]
        rows = np.concatenate([values[:, : times + 1], values[:, 2 * times + 2 : 2 * times + 4]], axis=1)
        return Front(rows, self.labels.scratch_pointers[1, :count].copy())

    def _limits(
        self, plan: LeafPlan, number: int, given: int, allowed: int, above: FloatArray, roomy: bool, single: bool,
        uses: tuple[bool, bool, bool, bool], limit: tuple[float, float], weights: Weights,
    ) -> Iterator[float]:  # fmt: skip
        """Sums that a search is tried with, each of which rules out what is worth more: a little above the least bound at first.

        Not where what is worth more may be of use all the same, since it takes less room.
        """
        if weights[0] > 0.0 and not uses[3] and plan.ports.shape[0] > _DEEP:
            self._complete(plan, 1, number, given, allowed, above, roomy, single, uses, limit, weights, 0.0)
            for more in _MORE if self.least_worth < BEYOND else ():
                yield self.least_worth * (1 + more)
        yield float("inf")

    def _note_floors(self) -> None:
        """Bounds of every level; all of them or, if that is stopped, none."""
        try:
            self._work_out_floors()
        except BaseException:
            self._floors, self._costs = None, {}
            raise

    def _work_out_floors(self) -> None:
        """Bounds where the memory outside serves every tensor are worked out, where it does not they are derived from these."""
        plan = self.plan
        if plan.inside.any():  # whole tiles bound others only where their loops may stand in any order
            growing = np.ones_like(plan.grows) if self.tiles <= MANY_TILES or plan.options[OPTION_EVERY_VISIT] else plan.grows
            free = plan._replace(inside=np.zeros_like(plan.inside), grows=growing)
            other = LeafSearch(free, self.names, self.over, self._reach)
            other._note_floors()
            self._floors, self._costs, self._insides = other._floors, other._costs, other._insides
            return
        streams, units = plan.indexed.shape[0], plan.ports.shape[0]
        everything = (1 << streams) - 1
        self._floors = np.zeros((units + 2, (1 << streams) + 1, label_width(plan)))
        for level in range(units, 1, -1):
            number = self.whole + everything * self.tiles
            self._complete(plan, level, number, 0, -1, np.ones(streams), True, False, EVERYTHING)
            self._note_floor(level, everything)
            for served in range(everything):
                if level >= units - 1:
                    number = self.whole + served * self.tiles
                    self._complete(plan, level, number, 0, -1, np.ones(streams), True, False, EVERYTHING)
                    self._note_floor(level, served)
                else:
                    self._floors[level, served] = self._derived(level, served, self._floors[level, everything])
            credits = slice(plan.times + 1, 2 * plan.times + 2)
            self._floors[level, -1] = self._floors[level, :-1].min(axis=0)
            legal = np.isfinite(self._floors[level, :-1, 0])
            for part in (credits, slice(-1, None)):  # of these, the more the better
                self._floors[level, -1, part] = self._floors[level, :-1][legal][:, part].max(axis=0, initial=0.0)
            if level < units and self.tells_tiles_apart:
                self._note_insides(level)

    def _note_floor(self, level: int, served: int) -> None:
        """Bounds from the labels of the whole tile; and what these cost, with what first touches save."""
        assert self._floors is not None
        times, number = self.plan.times, self.whole + served * self.tiles
        note_floor(self.plan, self.labels, level, number, self._floors[level, served])
        first = int(self.labels.first[level, number])
        rows = self.labels.values[level, first : first + int(self.labels.counts[level, number])]
        main = rows[:, : times + 1].copy()
        for own in range(2 * times + 2, rows.shape[1] - 1, times + 2):
            main += rows[:, own : own + times + 1]
        self._costs[level, served] = main, rows[:, times + 1 : 2 * times + 2].copy()

    def _derived(self, level: int, served: int, full: FloatArray) -> FloatArray:
        """A bound where the memory outside serves only some tensors and a memory further out, no cheaper, the others.

        What these ask for is at least each word once; what is left when the memory outside is not paid for it bounds the rest.
        """
        plan, times = self.plan, self.plan.times
        memory, last = level - 1, plan.indexed.shape[0] - 1
        found = full.copy()
        if np.isinf(full[0]):
            return found
        missing = [stream for stream in range(last + 1) if not served >> stream & 1]
        dearer = all(plan.prices[outer, side] >= plan.prices[memory, side] for outer in range(memory) for side in (0, 2))
        alone = last not in missing or not np.any(plan.axis_step <= memory)
        if last in missing:  # what first touches save counts with what each label costs
            main, saved = self._costs[level, (1 << last + 1) - 1]
            found[: times + 1] = (main - saved).min(axis=0)
            found[times + 1 : 2 * times + 2] = 0.0
        for resource in set(plan.ports[memory, :2].tolist()) - {-1}:
            found[1 + resource] = 0.0
        for stream in missing:
            words = plan.words[stream]
            if stream < last:  # copies along axes further out may share a word that the root is asked for once
                shared = prod(float(plan.gains[way : plan.way_first[at + 1], GAIN_SHARED + stream].max(initial=1.0))
                              for at, way in enumerate(plan.way_first[: memory + 1].tolist()))  # fmt: skip
                found[0] -= shared * words * plan.widths[stream, 0] * plan.prices[memory, 0]
            else:
                found[0] -= words * plan.widths[stream, 1] * plan.prices[memory, 2]
            found[2 * times + 2 + stream * (times + 2) + times + 1] = words
        if last in missing:
            found[-1] = most_begun(plan, level)
        if not (dearer and alone):
            found[0] = plan.energy
        found[0] = max(found[0], plan.energy)
        return found

    def _complete(
        self, plan: LeafPlan, level: int, number: int, given: int, allowed: int, above: FloatArray, roomy: bool, single: bool,
        uses: tuple[bool, bool, bool, bool], limit: tuple[float, float] = UNLIMITED, weights: Weights = NO_WEIGHTS,
        worth: float = float("inf"),
    ) -> int:  # fmt: skip
        self._state[AT_LEVEL, 0] = 0
        while True:
            count = self._call(plan, level, number, given, allowed, above, roomy, single, uses, limit, weights, worth)
            if level == 1 and not count:
                self.least_worth = float(self._bounds[1, 0, -1])
            over = self.over(int(self.labels.used[0]) / _WORK_STEP)
            self.labels.used[0] = 0
            if count >= 0:
                return int(count)
            if count == NO_TIME:
                if over:
                    raise OutOfTime
            elif count == NO_CANDIDATES:
                self._most["candidates"] *= 4
                self._lists()
            else:
                self._grow()

    def _call(
        self, plan: LeafPlan, level: int, number: int, given: int, allowed: int, above: FloatArray, roomy: bool, single: bool,
        uses: tuple[bool, bool, bool, bool], limit: tuple[float, float], weights: Weights, worth: float,
    ) -> int:  # fmt: skip
        """The kernel, from where it left off."""
        assert self._floors is not None
        return int(complete(
            plan, self.labels, level, number, given, allowed, above, int(roomy), int(single), np.array(uses, np.int64),
            np.array(weights), np.array((*limit, worth)), self._floors, self._reach, self._insides, self._candidates, self._bounds,
            self._ranking, self._state, self._outers, self._within, self._room, _PATIENCE,
        ))  # fmt: skip

    def _lists(self) -> None:
        most, levels = self._most["candidates"], self.plan.ports.shape[0] + 2
        self._candidates = np.empty((levels, most, 4), np.int64)
        self._bounds = np.empty((levels, most, label_width(self.plan)))
        self._ranking = np.empty((levels, most), np.int64)

    def _grow(self) -> None:
        """Make room for more labels; those that are known stay where they are."""
        if self._most["pool"] >= _MOST:
            raise MemoryError
        old, pool = self.labels, self._most["pool"]
        self._most |= {"pool": 4 * pool, "scratch": 2 * self._most["scratch"]}
        new = self._empty()
        new.values[:, :pool], new.keys[:, :pool], new.pointers[:, :pool] = old.values, old.keys, old.pointers
        new.used[:], new.counts[:], new.within[:] = old.used, old.counts, old.within
        new.first[:] = np.maximum(old.first, -1)  # what was wanted is not known
        self.labels = new

    def loops(self, number: int, pointer: IntArray, names: Names) -> tuple[Loop, ...]:
        """The loops and keeps, from outside in, of one row of a front, in the names of an Einsum that has this plan."""
        nodes: list[Loop] = []
        outer = self._tile(number)
        level, levels = 1, self.plan.ports.shape[0]
        while True:
            inner = self._spread(int(pointer[PTR_CHOICE]), outer, nodes, names)
            if level == levels:
                return tuple(nodes)
            tile = self._tile(int(pointer[PTR_TILE]))
            self._block(level, inner, tile, int(pointer[PTR_ORDER]), int(pointer[PTR_KEPT]), nodes, names)
            outer = tile
            level += 1
            pointer = self.labels.pointers[level, int(pointer[PTR_INNER])]

    def _tile(self, number: int) -> list[int]:
        plan = self.plan
        return [int(plan.sizes[rank, number // int(plan.strides[rank]) % int(plan.size_count[rank])]) for rank in range(len(plan.extents))]

    def _spread(self, choice: int, tile: list[int], nodes: list[Loop], names: Names) -> list[int]:
        plan, inner = self.plan, list(tile)
        for axis in range(len(plan.axis_step)):
            for rank, times in enumerate(plan.way_axes[choice, axis].tolist()):
                if times > 1:
                    inner[rank] //= times
                    nodes.append(Spatial(names.axes[axis], names.ranks[rank], inner[rank]))
        return inner

    def _block(self, level: int, outer: list[int], inner: list[int], order: int, kept: int, nodes: list[Loop], names: Names) -> None:
        plan = self.plan
        favoured = plan.orders[order].tolist()
        left = [rank for rank in range(len(outer)) if outer[rank] != inner[rank]]
        left.sort(key=lambda rank: ([int(plan.indexed[stream, rank]) for stream in favoured], rank))
        turning: list[int] = []  # innermost first: ranks that the most favoured tensors lack, of those that may be
        while left:
            turning.append(next(rank for rank in left if not any(plan.inside[level, rank] >> other & 1 for other in left)))
            left.remove(turning[-1])
        streams = [stream for stream in range(plan.indexed.shape[0]) if kept >> stream & 1]
        raised = bool(plan.options[OPTION_EVERY_VISIT])
        inside: list[Loop] = []
        waiting = list(streams)
        for rank in turning:
            closed = [stream for stream in waiting if plan.indexed[stream, rank]] if raised else []
            if closed:
                inside.insert(0, Keep(names.memories[level], tuple(Held(names.tensors[stream]) for stream in closed)))
                waiting = [stream for stream in waiting if stream not in closed]
            inside.insert(0, For(names.ranks[rank], inner[rank]))
        if waiting:
            keep = Keep(names.memories[level], tuple(Held(names.tensors[stream]) for stream in waiting))
            if raised:
                inside.insert(0, keep)
            else:
                inside.append(keep)
        nodes.extend(inside)
