"""What one Einsum costs at least, worked out from a few searches of whole tiles: bounds below a memory, whatever the tile.

Energy is in picojoules, times in ticks by resource.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from accelsim.mapper import kernels_bounds as bounds
from accelsim.mapper.kernels_floors import note_reach, unread
from accelsim.mapper.kernels_labels import most_begun, pay_alone
from accelsim.mapper.leaf_plan import (
    GAIN_COPIES,
    GAIN_REDUCED,
    GAIN_SHARED,
    OPTION_CHARGED,
    OPTION_CHILD,
    OPTION_EVERY_VISIT,
    PORT_SIZE,
    FloatArray,
    IntArray,
    LeafPlan,
    label_width,
)

_MOST_INSIDE = 1 << 21  # figures of bounds for every tile, beyond which there are none where visits share tiles
SLOW = 20_000  # tiles times ways to spread, beyond which bounds are coarse at first
UNLIMITED = (float("inf"), float("inf"))  # energy, ticks
BEYOND = 1e120  # energy and ticks of what is of no use: no infinity, since objectives multiply


class LeafBounds(ABC):
    """Bounds of one plan; what they are worked out from is remembered. `_note_floors` searches for the floors that they need.

    `_floors`: float64[levels, sets of tensors + 1, label], for each level and set of tensors that the memory outside serves.
    `_costs`: by level and set, float64[labels, 1 + times] twice: what labels of the whole tile cost, and what first touches save.
    """

    def __init__(self, plan: LeafPlan, reach: FloatArray | None = None) -> None:
        self.plan = plan
        self.tiles = int(np.prod(plan.size_count))
        self.whole = self.tiles - 1
        if reach is None:
            reach = np.zeros((plan.ports.shape[0] + 2, self.tiles))
            note_reach(plan, reach)
        self._reach = reach
        # whether bounds that take no search are good enough at first: they are quick where working out the better ones is slow
        self.slow = self.tiles * len(plan.ways) > SLOW
        self._floors: FloatArray | None = None
        self._costs: dict[tuple[int, int], tuple[FloatArray, FloatArray]] = {}
        self._bypasses: dict[int, list[tuple[int, FloatArray, FloatArray]]] = {}
        self._sides: dict[int, bounds.Sides] = {}
        self._pairs: dict[tuple[bool, bool], tuple[bounds.Sides, bounds.Sides, int]] = {}
        self._served: dict[int, bounds.Serving] = {}
        self._filled: dict[int, FloatArray] = {}
        self._rooms: dict[tuple[int, int], float] = {}
        tables = (plan.ports.shape[0] + 2, 1 << plan.indexed.shape[0], self.tiles, 1 + plan.times)
        affordable = plan.prices.any() and int(np.prod(tables)) <= _MOST_INSIDE
        self.tells_tiles_apart = bool(plan.options[OPTION_EVERY_VISIT]) or affordable  # whether bounds inside know the tile
        self._insides = np.zeros(tables if self.tells_tiles_apart else (1, 1, 0, 1))

    @abstractmethod
    def _note_floors(self) -> None:
        """Work out `_floors` and `_costs`, and `_insides` where bounds inside know the tile."""

    def room_inside(self, stream: int, first: int = 2) -> float:
        """How many words of a tensor all copies of a memory can hold at most, of those from number `first` on."""
        if (stream, first) in self._rooms:
            return self._rooms[stream, first]
        plan = self.plan
        copies, most = 1.0, 0.0
        for memory in range(first, plan.ports.shape[0]):
            copies *= float(plan.gains[int(plan.way_first[memory]) : int(plan.way_first[memory + 1]), GAIN_COPIES].max())
            size = int(plan.ports[memory, PORT_SIZE])
            most = max(most, size / int(plan.widths[stream].min()) * copies if size >= 0 else float("inf"))
        self._rooms[stream, first] = most if plan.ports.shape[0] > 2 else float("inf")
        return self._rooms[stream, first]

    def shortest(self, number: IntArray | int) -> FloatArray:
        """The least ticks of the unit below tiles with these numbers, as the axes can spread them."""
        return np.asarray(self.plan.points / self.plan.lanes * self.plan.issue / self._reach[1, number])

    def least(
        self, bypassing: int, words: FloatArray, entering: FloatArray | None = None, most: tuple[float, float] = UNLIMITED
    ) -> tuple[FloatArray, FloatArray]:
        """Lower bounds of energy and times (float64[n, 1 + times]), and on the largest of the times (float64[n]), whatever the tile.

        bypassing: tensors that memory 1 may leave out; words: float64[n, tensors], how many of each come from the root at least.
        entering: alike, how many at least enter a memory inside memory 1, if it keeps the tensor. most: energy and ticks beyond which
        ways are of no use; `BEYOND` where all are.
        """
        plan, times = self.plan, self.plan.times
        many = len(words) if entering is None else max(len(words), len(entering))
        if plan.ports.shape[0] == 1:
            return np.zeros((many, 1 + times)), np.zeros(many)
        outer, within, how = self._bounding(entering is not None)
        best, busiest = np.full((many, 1 + times), BEYOND), np.full(many, BEYOND)
        bounds.least(
            outer, within, how, bypassing, words, words if entering is None else entering, np.array(most), plan.traffic_at, best, busiest
        )
        return best, busiest

    @property
    def crude(self) -> bool:
        """Whether bounds are crude so far: better ones take a search that has not been made."""
        return self.slow and self._floors is None

    def _bounding(self, entering: bool) -> tuple[bounds.Sides, bounds.Sides, int]:
        """What `least` is worked out from, if it is known or not what enters a memory inside memory 1."""
        plan = self.plan
        several = plan.way_first[2] - plan.way_first[1] > 1  # axes before memory 1: only the crudest bounds know them
        crude, deep = bool(several or self.crude), entering and plan.ports.shape[0] > 2
        if (crude, entering) not in self._pairs:
            outer, within, how = self._alone() if crude else self._side(1), self._nothing(), bounds.SERVED if entering else bounds.PLAIN
            if deep and not crude:
                within, how = self._side(2), bounds.WITHIN
            elif deep and not several:
                serving = self._serving(1)
                within = within._replace(serving=serving._replace(near=serving.saved))
            elif crude:
                outer, how = outer._replace(sets=outer.sets[:1], filling=within.filling), bounds.PLAIN
            self._pairs[crude, entering] = outer, within, how
        return self._pairs[crude, entering]

    def _nothing(self) -> bounds.Sides:
        """A memory that costs nothing and holds nothing."""
        streams, width = self.plan.indexed.shape[0], 1 + self.plan.times
        free, empty = np.zeros((streams, width)), np.zeros((0, width))
        serving = bounds.Serving(free, free, free, free, free)
        return bounds.Sides(np.zeros(0, np.int64), empty, np.zeros((0, streams)), free, serving, np.ones(width))

    def _alone(self) -> bounds.Sides:
        """Memory 1 with nothing inside but the operations."""
        plan, streams = self.plan, self.plan.indexed.shape[0]
        rows = np.zeros((1 << streams, 1 + plan.times))
        rows[:, 0], rows[:, 1], rows[:, 1 + plan.latency_at] = plan.energy, self.shortest(self.whole), plan.depth
        sets, pending = np.arange(1 << streams), np.zeros((1 << streams, streams))
        return bounds.Sides(sets, rows, pending, self._filling(1), self._serving(0), np.ones(1 + plan.times))

    def _side(self, memory: int) -> bounds.Sides:
        """What lies inside a memory, and what words cost there."""
        if memory not in self._sides:
            plan = self.plan
            ways = slice(int(plan.way_first[memory]), int(plan.way_first[memory + 1]))
            copies, shared = float(plan.gains[ways, GAIN_COPIES].max()), plan.gains[ways, GAIN_SHARED:].max(axis=0)
            reduced = float(plan.gains[ways, GAIN_REDUCED].max())
            serving, grown = self._serving(memory - 1), reduced if copies > 1 else 1.0
            serving = serving._replace(saved=serving.saved * grown, near=serving.near * grown, spared=serving.spared * grown)
            scale = np.ones(1 + plan.times)
            scale[1 : 1 + plan.traffic_at] /= copies
            patterns = self._patterns(memory + 1, reduced)  # none, if nothing inside is legal
            sets = np.array([bypassed for bypassed, _, _ in patterns], np.int64)
            rows = np.array([row for _, row, _ in patterns]).reshape(-1, 1 + plan.times)
            pending = np.array([each for _, _, each in patterns]).reshape(-1, plan.indexed.shape[0])
            self._sides[memory] = bounds.Sides(
                sets, rows, pending / shared, self._filling(memory), serving, scale,
            )  # fmt: skip
        return self._sides[memory]

    def _note_insides(self, level: int) -> None:
        """Bounds of the labels of every tile of a level: each visit brings all of a tensor's tile, unless a memory inside can hold it all
        and visits share it."""
        plan = self.plan
        places = np.arange(self.tiles)[:, None] // plan.strides % plan.size_count
        sizes = plan.sizes[np.arange(len(plan.extents)), places]
        trips = plan.trips[np.arange(len(plan.extents)), plan.size_count - 1, places]
        idle = np.stack([np.where(row, 1.0, trips).prod(axis=1) for row in plan.indexed], axis=1)
        if not plan.options[OPTION_EVERY_VISIT]:
            held = np.stack([np.where(row, sizes, 1).prod(axis=1) for row in plan.indexed], axis=1)
            room = np.array([self.room_inside(stream, level) for stream in range(len(plan.indexed))])
            idle = np.where(held <= room, 1.0, idle)
        entering = idle * plan.words.astype(float)
        everything = (1 << plan.indexed.shape[0]) - 1
        for served in range(everything + 1):
            if level == 2 or (served in plan.subsets[level - 1] and not plan.must[level - 1] & ~served):
                self._insides[level, served] = bounds.inside(self._side(level), everything & ~served, entering)

    def _patterns(self, level: int, reduced: float = 1.0) -> list[tuple[int, FloatArray, FloatArray]]:
        """For every set of tensors that the memory outside a level leaves out: bounds of energy and times, and of the words asked for.

        reduced: by how much axes between may multiply what first touches save.
        """
        if level not in self._bypasses:
            if self._floors is None:
                self._note_floors()
            assert self._floors is not None
            times, streams = self.plan.times, self.plan.indexed.shape[0]
            everything = (1 << streams) - 1
            found = self._bypasses[level] = []
            for bypassed in range(everything + 1):
                floor = self._floors[level, everything & ~bypassed]
                if np.isinf(floor[0]):
                    continue
                pending = np.array([
                    floor[2 * times + 2 + stream * (times + 2) + times + 1] if bypassed >> stream & 1 else 0.0 for stream in range(streams)
                ])  # fmt: skip
                row = floor[: 1 + times] - reduced * floor[times + 1 : 2 * times + 2]
                if (level, everything & ~bypassed) in self._costs:
                    main, saved = self._costs[level, everything & ~bypassed]
                    row = (main - reduced * saved).min(axis=0)
                elif not bypassed >> (streams - 1) & 1:  # less by what is not asked of the memory outside, as in `_derived`
                    main, saved = self._costs[level, everything]
                    full = self._floors[level, everything]
                    row = (main - reduced * saved).min(axis=0) - (full[: 1 + times] - floor[: 1 + times])
                    row[0] = max(row[0], floor[0] - reduced * floor[times + 1])
                if bypassed >> (streams - 1) & 1:
                    saved = np.zeros_like(row)
                    unread(self.plan, level - 1, 1.0, saved)
                    row = np.maximum(row - reduced * saved, 0.0)
                    row[0] = max(self.plan.energy, row[0])
                found.append((bypassed, row, pending))
        return self._bypasses[level]

    def _serving(self, memory: int) -> bounds.Serving:
        """What a memory pays for a word of each tensor asked of it, and how much less for first touches."""
        if memory not in self._served:
            plan, times = self.plan, self.plan.times
            streams = plan.indexed.shape[0]
            slopes, (without, saved) = np.zeros((streams, 1 + times)), np.zeros((2, streams, 1 + times))
            for stream in range(streams):
                for begun, credits in enumerate((without, saved)):
                    value = np.zeros(label_width(plan))
                    value[2 * times + 2 + stream * (times + 2) + times + 1], value[-1] = 1.0, begun
                    pay_alone(plan, memory, stream, value)
                    slopes[stream], credits[stream] = value[: 1 + times], value[times + 1 : 2 * times + 2]
            read = saved - without
            ways = slice(int(plan.way_first[memory + 1]), int(plan.way_first[memory + 2]))
            apart = float((plan.gains[ways, GAIN_REDUCED] / plan.gains[ways, -1]).max()) if plan.options[OPTION_CHILD] else 1.0
            near, far = float(plan.words[-1]) * apart, most_begun(plan, memory + 1)
            self._served[memory] = bounds.Serving(slopes, without + read * far, without + read * near, slopes - read, without)
        return self._served[memory]

    def _filling(self, memory: int) -> FloatArray:
        """What a memory pays at least for a word of each tensor that comes or goes and that it keeps: float64[tensors, 1 + times]."""
        if memory not in self._filled:
            plan = self.plan
            found = self._filled[memory] = np.zeros((plan.indexed.shape[0], 1 + plan.times))
            last = len(found) - 1
            read, write = plan.ports[memory, :2].tolist()
            for stream in range(last):
                bits = plan.widths[stream, 0]
                found[stream, 0] = bits * plan.prices[memory, 1]
                if write >= 0:
                    found[stream, 1 + write] = bits * plan.rates[memory, 1]
            if plan.options[OPTION_CHARGED]:
                bits = plan.widths[last, 1]
                found[last, 0] = bits * plan.prices[memory, 0]
                if read >= 0:
                    found[last, 1 + read] = bits * plan.rates[memory, 0]
        return self._filled[memory]
