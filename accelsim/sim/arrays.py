"""Tasks as the arrays of the event kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from accelsim.errors import IllegalMapping
from accelsim.sim.kernels_boxes import ALL, COUNTED, MET, REST, WHOLE, Machine
from accelsim.sim.systolic import OPERAND
from accelsim.sim.tasks import COMPUTE, DRAIN, LOAD, Box, Slot, Task, Use
from accelsim.workload.expression import IndexMap

_WIDTHS = {
    "tasks": 28, "loops": 2, "uses": 13, "waits": 8, "boxes": 14, "dims": 12, "terms": 5, "slots": 9, "entries": 2, "needs": 3, "points": 5,
    "agains": 1, "folds": 11, "bends": 5, "repeats": 2,
}  # fmt: skip
_MOST_MARKS = 1 << 26  # int64 each: 512 MiB
_SPARE = 64  # ends of a task that are remembered beyond those that some wait names


class Arrays:
    """The machine of some tasks, with what its numbers mean: `resources` by number, `waits` as (task, why).

    `timed`: the port whose servings take as long as the kernel is told, if one does.
    """

    def __init__(self, tasks: Sequence[Task], units: Sequence[str], per_cycle: int, timed: str = "") -> None:
        self.tasks, self.per_cycle, self.timed = list(tasks), per_cycle, timed
        self.resources = list(dict.fromkeys([*units, *(use.resource for task in tasks for use in task.uses)]))
        self.waits: list[tuple[Task, str]] = []
        self._number = {id(task): number for number, task in enumerate(self.tasks)}
        self._slots: dict[Slot, int] = {}
        self._tables: dict[str, list[Any]] = {name: [] for name in _WIDTHS}
        self._strides: list[float] = []
        self._marks = 0  # room for two marks on each coordinate of the dimensions that are listed, in each copy with its own window

    def machine(self, sizes: Sequence[int]) -> Machine:
        """Everything as arrays; `sizes`: ends to remember of each task."""
        for table in self._tables.values():
            table.clear()
        self._slots, self._strides, self.waits, self._marks = {}, [], [], 0
        ring = 0
        for task, size in zip(self.tasks, sizes, strict=True):
            self._task(task, ring, size)
            ring += size
        made = {name: np.array(self._tables[name], np.int64).reshape(-1, width) for name, width in _WIDTHS.items()}
        plans = np.array([(task.offset, task.span, task.ready - task.offset, task.grain) for task in self.tasks], np.float64)
        timed = self.resources.index(self.timed) if self.timed in self.resources else -1
        strides = np.array(self._strides, np.float64)
        resources, banks = len(self.resources), max((use.laid.banks for task in self.tasks for use in task.uses if use.laid), default=0)
        return Machine(plans=plans, strides=strides, resources=resources, marks=self._marks, timed=timed, banks=banks, **made)

    def sizes(self) -> list[int]:
        """Ends to remember at least: as far back as some wait looks, in firings of what it waits for."""
        least = {id(task): _SPARE for task in self.tasks}
        for task in self.tasks:
            for wait in task.waits:
                least[id(wait.task)] = max(least[id(wait.task)], 2 * (wait.times - 1 - wait.add) + _SPARE)
        return [1 << (min(least[id(task)], max(1, task.firings)) - 1).bit_length() for task in self.tasks]

    def _task(self, task: Task, ring: int, size: int) -> None:
        t = self._tables
        loops = len(t["loops"])
        t["loops"] += [(trips, task.turns.get(place, 0)) for place, trips in enumerate(task.loops)]
        self._strides += task.strides if task.loops else []
        assert len(task.strides) >= len(task.loops), f"{task.name} has a plan"
        uses = len(t["uses"])
        for group in _together(task.uses):
            for use in group:
                port = self.resources.index(use.resource)
                row = port, use.ticks, self._box(use, task, loops), use.rule, *use.share, int(use.rest)
                t["uses"].append(
                    (*row, use.laid.banks if use.laid else 1, use is group[0], use is group[-1], *self._repeats(use), _base(use))
                )
        waits = len(t["waits"])
        for wait in task.waits:
            flags = int(wait.ahead), int(wait.stays), wait.less
            t["waits"].append((self._number[id(wait.task)], wait.prefix, wait.times, wait.add, wait.guard, *flags))
            self.waits.append((wait.task, wait.why))
        agains = len(t["agains"])
        t["agains"] += [(self._slot(slot),) for slot in task.again]
        needs = len(t["needs"])
        for terms, bound in task.needs:
            first = len(t["terms"])
            t["terms"] += [(self._slot(slot), factor, 0, 0, 0) for slot, factor in terms]
            t["needs"].append((first, len(t["terms"]), bound))
        points = len(t["points"])
        t["points"] += [(self._slot(slot), tile, 1, 1, 0) for slot, tile in task.points]
        unit = self.resources.index(task.unit) if task.kind == COMPUTE else -1
        t["tasks"].append((
            task.kind, loops, len(t["loops"]), uses, len(t["uses"]), waits, len(t["waits"]), agains, len(t["agains"]),
            needs, len(t["needs"]), points, len(t["points"]), unit, task.lanes, task.issue_ticks, task.latency, task.copies,
            ring, size, self._tie(task), task.firings, task.within, task.common, task.parts, self._fold(task),
            loops + len(task.loops) - len(task.split), task.split[1] if len(task.split) > 1 else 1,
        ))  # fmt: skip

    def _fold(self, task: Task) -> int:
        """The number of what it does on a systolic array; -1: it runs on none."""
        fold, t = task.fold, self._tables
        if fold is None:
            return -1
        sides = []
        for side in (fold.down, fold.across):
            sides += [len(t["points"]), len(t["points"]) + len(side)]
            t["points"] += [(self._slot(slot), tile, 1, 1, 0) for slot, tile in side]
        grid = fold.grid
        flags = fold.stays == OPERAND, grid.shadow, grid.exit == "edge", grid.folds == "full"
        t["folds"].append((*map(int, flags), grid.rows, grid.columns, *sides, self.per_cycle))
        return len(t["folds"]) - 1

    def _tie(self, task: Task) -> int:
        """Whose turn it is among tasks planned for the same moment: prefetches, work, what leaves (inner keeps first), what replaces it."""
        place = self._number[id(task)]
        if task.kind == COMPUTE:
            return place
        if task.kind == LOAD:
            return (-10_000 if task.copies > 1 and task.within < 0 else 30_000) + place
        return 30_000 - 1 - place if task.kind == DRAIN else 40_000 + place

    def _slot(self, slot: Slot) -> int:
        if slot not in self._slots:
            entries = self._tables["entries"]
            first, window, demand = len(entries), slot.window, (WHOLE, 0, 0, 0, 0)
            if window is not None:
                entries += window.entries
                demand = REST if window.retained else ALL, window.extent, window.factor, window.offset, window.width
            own = len(entries)
            entries += slot.entries
            self._slots[slot] = len(self._tables["slots"])
            self._tables["slots"].append((slot.extent, first, own, len(entries), *demand))
        return self._slots[slot]

    def _repeats(self, use: Use) -> tuple[int, int]:
        """Rows of copies that lie apart in a memory of banks: how many there are, and how many words apart."""
        t = self._tables
        first = len(t["repeats"])
        for place, (index, _, _) in enumerate(use.box.dims if use.laid else ()):
            for rank in index.ranks:
                t["repeats"] += [(count, apart * _steps(use, place)[0]) for count, apart in use.box.slots[rank].spread]
        return first, len(t["repeats"])

    def _box(self, use: Use, task: Task, loops: int) -> int:
        t, box = self._tables, use.box
        levels = len(t["points"])
        cuts, moments, copies = self._levels(box)
        ends, serves, copies = len(t["points"]), any(level.serves for level in box.levels), 1 if box.met else copies
        first, rows, listed = len(t["dims"]), list[Any](), False
        for place, (index, low, high) in enumerate(box.dims):
            terms, steps, bends = len(t["terms"]), _steps(use, place), len(t["bends"])
            for (rank, factor), step in zip(index.terms, steps, strict=False):
                t["terms"].append((self._slot(box.slots[rank]), factor, step, *cuts.get(rank, (0, 0))))
            t["bends"] += _bends(use, place)
            met = 0
            if place in box.met:
                times = math.prod(moments.get(rank, box.slots[rank].most) for rank in index.ranks)
                met = self._reserve(2 + 2 * len(index.terms) + times * _reach(box, index))  # see `kernels_words._met`
            marks = MET if place in box.met else COUNTED if place in box.counted else -1
            marks = self._reserve(2 * high * copies) if marks == -1 and not _is_plain(index) else marks
            listed |= marks >= 0
            bounds = index.offset, index.divisor, index.modulus, low, high
            rows.append((terms, len(t["terms"]), *bounds, marks, steps[0] if steps else 0, bends, len(t["bends"]), met))
        t["dims"] += rows
        rowed = (box.levels and not box.met) or listed  # a row of each copy, and a table of them where some are served at once
        room = self._reserve((3 + 2 * len(rows) + 2 * serves) * copies) if rowed else -1
        assert not (listed and (box.met or box.counted)), "points are counted by ranks"
        room = self._reserve(len(task.loops) + 2 * len(rows)) if box.leaving else room
        wanted = len(t["points"])
        t["points"] += [(self._slot(slot), part, 1, 1, 0) for slot, part in box.wanted]
        fresh = (-1, -1) if box.afresh < 0 else (loops + box.afresh, len(t["loops"]))
        sizes, leaves = (box.copies, int(box.delta), wanted, len(t["points"])), self._number[id(task)] if box.leaving else -1
        t["boxes"].append((first, len(t["dims"]), *sizes, *fresh, copies, room, levels, ends, int(serves), leaves))
        return len(t["boxes"]) - 1

    def _levels(self, box: Box) -> tuple[dict[str, tuple[int, int]], dict[str, int], int]:
        """The points by which each rank is cut, how many moments and copies that are not served at once it goes through, and all copies."""
        points, cuts, moments, copies = self._tables["points"], dict[str, tuple[int, int]](), dict[str, int](), 1
        for rank, own in groupby(sorted(box.levels, key=lambda level: level.rank), key=lambda level: level.rank):
            first, size, times = len(points), box.slots[rank].most, 1
            for level in own:
                many, size = -(-size // level.tile), min(size, level.tile)
                points.append((self._slot(box.slots[rank]), level.tile, copies, many, int(level.serves)))
                copies *= many
                times *= 1 if level.serves else many
            cuts[rank], moments[rank] = (first, len(points)), times * size
        return cuts, moments, copies

    def _reserve(self, room: int) -> int:
        """Where room for marks begins."""
        first, self._marks = self._marks, self._marks + room
        if self._marks > _MOST_MARKS:
            what = f"{self._marks // 2:,} coordinates would have to be listed one by one, more than {_MOST_MARKS // 2:,}"
            mend = "read the tensor without a stride, in tiles that divide each other, or keep it in fewer copies"
            raise IllegalMapping(what, mend)
        return first


def _together(uses: Sequence[Use]) -> list[list[Use]]:
    """Uses that move words of one tensor at one port, whose banks serve them together; every other one by itself."""
    found: dict[object, list[Use]] = {}
    for place, use in enumerate(uses):
        found.setdefault(place if use.laid is None else (use.resource, use.laid), []).append(use)
    return list(found.values())


def _base(use: Use) -> int:
    """Words that constants of indices add to every address: in a group, uses by point and by word have to agree on addresses."""
    known = zip(use.laid.maps, use.laid.strides, strict=True) if use.laid is not None else ()
    return sum(of.offset * stride for of, stride in known if not of.terms or (use.by_point and not _bends_at(of)))


def _steps(use: Use, place: int) -> tuple[int, ...]:
    """Words from one coordinate of a dimension of a box to the next; of one whose points count, from one value of each rank to the next."""
    index, laid = use.box.dims[place][0], use.laid
    if laid is None:
        return (0,) * max(1, len(index.terms))
    if not use.by_point:
        strides = [stride for stride, of in zip(laid.strides, laid.maps, strict=True) if of.terms] or [0]  # constants are no dimensions
        return (strides[place],) * max(1, len(index.terms))
    straight = [(dict(of.terms), stride) for of, stride in zip(laid.maps, laid.strides, strict=True) if not _bends_at(of)]
    return tuple(sum(terms.get(rank, 0) * stride for terms, stride in straight) for rank in index.ranks)


def _bends(use: Use, place: int) -> list[tuple[int, int, int, int, int]]:
    """Of a dimension of points: (factor, offset, divisor, modulus, words) of dimensions of the tensor that go by // or % of its rank."""
    if use.laid is None or not use.by_point:
        return []
    ranks, found = use.box.dims[place][0].ranks, []
    for of, stride in zip(use.laid.maps, use.laid.strides, strict=True):
        if _bends_at(of) and of.ranks and set(of.ranks) <= set(ranks):
            found.append((of.terms[0][1], of.offset, of.divisor, of.modulus, stride))
    return found


def _bends_at(index: IndexMap) -> bool:
    """Whether an index is no sum of its ranks."""
    return index.divisor != 1 or index.modulus != 0


def _reach(box: Box, index: IndexMap) -> int:
    """How many coordinates of a dimension may be touched at a firing, from the least to the greatest."""
    reach = sum(abs(factor) * (box.slots[rank].most - 1) for rank, factor in index.terms)
    return index.modulus or reach // index.divisor + 2


def _is_plain(index: IndexMap) -> bool:
    """Whether an index takes every value between its least and its greatest on any tile."""
    return index.divisor == 1 and index.modulus == 0 and all(factor == 1 for _, factor in index.terms)
