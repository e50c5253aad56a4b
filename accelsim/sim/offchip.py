"""What a DRAM makes of a run: the bursts of every transfer, and when the last of each has crossed the bus.

The event simulation asks its outermost port for transfers in an order that does not depend on how fast the port is. So the bursts are known
beforehand, and only when they are asked for is not: the run and the DRAM are simulated in turn until neither changes the other.
Source: docs/dram.md, "Behind a mapping".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.errors import IllegalMapping
from accelsim.hardware.dram import ControlledDram
from accelsim.sim.places import Side, digits_of, interval, placed, sides_of, size_of
from accelsim.sim.serving import LAST_ARRIVAL, Counters, serve
from accelsim.sim.tasks import AGAIN, COMPUTE, FIRST, FIRST_TURN, LAST, LAST_TURN, Task, Use
from accelsim.workload.cascade import Cascade

IntArray = npt.NDArray[np.int64]
Fire = Callable[[IntArray, IntArray], int]
MOST_SERVINGS, MOST_BURSTS = 1 << 22, 1 << 25
_FREE_ROUNDS, _FREE_BURSTS = 12, 1 << 24  # rounds in which a serving may become shorter again, at least, and bursts in these rounds
_MORE_ROUNDS = 52  # in which it may not
_SMALL = "simulate a smaller shape, as with --set shape.RANK=N, or leave out 'dram'"


@dataclass(frozen=True, slots=True)
class OffChip:
    """What the DRAM did. `wanted_bytes`: of the words that were moved; `fetched_bytes`: of the bursts.

    `rounds`: how often run and DRAM were simulated; `settled`: whether both agree on when every transfer ends, and if not, by how many
    seconds one ends later in the run at most.
    """

    counters: Counters
    wanted_bytes: int
    fetched_bytes: int
    rounds: int
    settled: bool
    unsettled_seconds: float


def settle(
    cascade: Cascade, tasks: Sequence[Task], memory: str, dram: ControlledDram, ticks_per_second: Fraction, fire: Fire
) -> tuple[IntArray, IntArray, OffChip]:
    """Run tasks and the DRAM in turn until neither changes the other: what the last run was given, and what the DRAM did.

    fire: runs the tasks with `service`, ticks of each serving of the memory in order (-1: at its bandwidth), fills `log` with rows of
    (task, number, start, end), and returns how many servings there were. Raises IllegalMapping for more transfers or bursts than are
    simulated, tensors that the DRAM has no room for, units that work straight out of it, and copies with uneven parts.
    """
    servings = sum(task.firings for task in tasks if any(use.resource == memory for use in task.uses))
    if servings > MOST_SERVINGS:
        raise IllegalMapping(f"more than {MOST_SERVINGS} transfers from and to {memory}, which is all that is simulated", _SMALL)
    service, log = np.full(servings, -1, np.int64), np.zeros((servings, 4), np.int64)
    log = log[: fire(service, log)]
    traffic, before = Traffic(cascade, tasks, memory, dram, log), np.zeros(0, np.int64)
    # a serving depends on those before it, so every round puts the next one right at least, if later requests overtake none
    free = max(_FREE_ROUNDS, min(len(log) + 1, _FREE_BURSTS // max(1, len(traffic.addresses))))
    for rounds in range(1, free + _MORE_ROUNDS + 1):
        starts = log[:, 2].copy()
        done, counters = traffic.serve(starts, ticks_per_second)
        if rounds == free + _MORE_ROUNDS or np.array_equal(before, starts):
            break
        before, previous = starts, np.concatenate([np.zeros(1, np.int64), done[:-1]])
        least = service[: len(done)] if rounds > free else 0
        service[: len(done)] = np.maximum(least, done - np.maximum(starts, previous))
        fire(service, log)
    difference = int(np.abs(log[:, 3] - done).max(initial=0)) / ticks_per_second
    fetched = len(traffic.addresses) * dram.table.burst_bytes
    return service, log, OffChip(counters, -(-traffic.wanted_bits // 8), fetched, rounds, not difference, float(difference))


@dataclass(frozen=True, slots=True)
class _Region:
    """Where a tensor lies: its first bit, bits of an element, and elements from one coordinate to the next in each dimension."""

    base_bits: int
    bits: int
    strides: tuple[int, ...]


class _Tile(NamedTuple):
    """The bursts of a tile, its words, and the bits of each that are (written or not, bits) moved."""

    addresses: IntArray
    words: int
    ways: list[tuple[bool, int]]


class Traffic:
    """The bursts of all servings of the outermost memory, in order. `log`: rows of (task, number, start, end) as the kernel leaves them."""

    def __init__(self, cascade: Cascade, tasks: Sequence[Task], memory: str, controlled: ControlledDram, log: IntArray) -> None:
        self.controlled, self.tasks, self.memory = controlled, tasks, memory
        self.regions = _regions(cascade, tasks, memory, controlled)
        self._left: dict[int, tuple[Side, ...]] = {}  # by task: what its last firing touched
        self._next = [0] * len(tasks)
        self._tile: dict[int, _Tile] = {}
        self.wanted_bits = 0
        addresses, writes, counts = [], [], np.zeros(len(log), np.int64)
        total = 0
        for at, (number, firing) in enumerate(log[:, :2].tolist()):
            for write, found in self._serving(number, firing):
                addresses.append(found)
                writes.append(np.full(len(found), write))
                counts[at] += len(found)
            total += int(counts[at])
            if total > MOST_BURSTS:
                raise IllegalMapping(f"the DRAM moves more than {MOST_BURSTS} bursts, which is all that is simulated", _SMALL)
        self.addresses = np.concatenate(addresses) if addresses else np.zeros(0, np.int64)
        self.writes = np.concatenate(writes) if writes else np.zeros(0, bool)
        self.counts = counts

    def serve(self, starts: IntArray, ticks_per_second: Fraction) -> tuple[IntArray, Counters]:
        """When each serving has ended, int64[servings] ticks, if it is asked for at `starts`, the same. They end in the order of asking."""
        known = self.controlled
        rate = known.table.clock_hz / ticks_per_second  # cycles of the DRAM in a tick
        begun = np.maximum.accumulate(_scaled(starts, rate))
        if len(begun) and begun[-1] > LAST_ARRIVAL:
            raise IllegalMapping("the run takes more cycles of the DRAM than can be counted", _SMALL)
        served = serve(known.table, known.address_map, known.policy, self.addresses, self.writes, np.repeat(begun, self.counts))
        last = np.cumsum(self.counts)
        done = begun.copy()
        for at in range(len(done)):
            if self.counts[at]:
                done[at] = served.done[last[at] - self.counts[at] : last[at]].max()
        return np.maximum(_scaled(np.maximum.accumulate(done), 1 / rate), starts), served.counters

    def _serving(self, number: int, firing: int) -> Iterator[tuple[bool, IntArray]]:
        """The bursts of a firing of a task, reads first: whether they are writes, and their addresses."""
        task = self.tasks[number]
        part = firing % task.parts
        if part == 0:
            while self._next[number] < firing:  # those that moved nothing: something may have left all the same
                self._touch(task, number, self._next[number])
                self._next[number] += task.parts
            self._tile[number] = self._touch(task, number, firing)
            self._next[number] += task.parts
        found, words, ways = self._tile[number]
        for write, bits in ways:
            share = found[len(found) * part // task.parts : len(found) * (part + 1) // task.parts]
            self.wanted_bits += (words * (part + 1) // task.parts - words * part // task.parts) * bits
            times = max(1, round(bits / self.regions[task.tensor].bits))
            yield write, np.tile(share, times) if times > 1 else share

    def _touch(self, task: Task, number: int, firing: int) -> _Tile:
        """The bursts of a whole tile, its words, and how many bits of each are read and written."""
        digits = digits_of(task.loops, firing)
        nothing = _Tile(np.zeros(0, np.int64), 0, [])
        if not _is_active(task, digits):
            return nothing
        uses = [use for use in task.uses if use.resource == self.memory]
        box, region = uses[0].box, self.regions[task.tensor]
        sides = sides_of(task.maps, box, digits)
        if any(size_of(side) == 0 for side in sides):
            return nothing
        before = None if box.is_afresh(digits) else self._left.get(number)
        self._left[number] = sides
        pieces = [sides] if not box.delta or before is None else list(_minus(sides, before))
        words = sum(math.prod(map(size_of, piece)) for piece in pieces)
        found = [_bursts(piece, region, self.controlled.table.burst_bytes * 8) for piece in pieces]
        addresses = found[0] if len(found) == 1 else np.unique(np.concatenate([*found, np.zeros(0, np.int64)]))
        return _Tile(addresses, words, [(write, bits) for write in (False, True) if (bits := _moved_bits(task, uses, write, digits)) > 0])


def _regions(cascade: Cascade, tasks: Sequence[Task], memory: str, controlled: ControlledDram) -> dict[str, _Region]:
    """Tensors one after the other, each from the beginning of a row in all channels, the last index innermost unless a layout says else."""
    dram, found, base = controlled.table, dict[str, _Region](), 0
    row = dram.row_bursts * dram.burst_bytes * 8 * dram.channels
    for task in tasks:
        uses = [use for use in task.uses if use.resource == memory]
        if not uses:
            continue
        if task.kind == COMPUTE:
            what = f"{task.name} works straight out of {memory}, which as a DRAM is not simulated yet"
            raise IllegalMapping(what, "keep its operands and its result in a memory between")
        if any(use.share != (1, 1) for use in uses):
            what = f"a fraction of {task.tensor} streams past its keep, which out of a DRAM is not simulated yet"
            raise IllegalMapping(what, "keep all of it, or leave out 'dram'")
        if any(use.box.levels for use in uses):
            what = f"copies read windows of {task.tensor}, or some hold less of it at an edge, which out of a DRAM is not simulated yet"
            raise IllegalMapping(what, "keep it in a memory between, or leave out 'dram'")
        if any(use.box.leaving or (use.box.delta and use.rule == AGAIN) for use in uses):
            what = f"tiles of {task.tensor} stay at edges instead of leaving, which out of a DRAM is not simulated yet"
            raise IllegalMapping(what, "let its tiles divide each other, or leave out 'dram'")
        if any(use.box.is_last_copy for use in uses):
            what = f"copies take turns over their own, uneven parts of {task.tensor}, which out of a DRAM is not simulated yet"
            raise IllegalMapping(what, "let its tiles divide each other, or leave out 'dram'")
        if task.tensor in found:
            continue
        shape = cascade.tensors[task.tensor].shape
        widths = [_width(each, memory) for each in tasks if each.tensor == task.tensor]
        strides, stride = [0] * len(shape), 1
        for place in reversed(placed(task.maps, task.layout)):
            strides[place], stride = stride, stride * shape[place]
        found[task.tensor] = _Region(base, max(widths), tuple(strides))
        base += -(-stride * max(widths) // row) * row
    capacity = dram.bursts * dram.burst_bytes
    if base > capacity * 8:
        raise IllegalMapping(f"the tensors take {base // 8} bytes, {dram.name} has {capacity}", "give the machine more 'channels'")
    return found


def _width(task: Task, memory: str) -> int:
    """Bits of the widest words that a task moves: of partial results, where these leave before they are complete."""
    uses = [use for use in task.uses if use.resource == memory]
    if any(loop >= 0 for slot in task.again for loop, _ in slot.entries):
        return max((use.bits for use in uses), default=0)
    return max((sum(use.bits for use in uses if use.writes == way and use.rule != AGAIN) for way in (False, True)), default=0)


def _moved_bits(task: Task, uses: list[Use], write: bool, digits: list[int]) -> int:
    """Bits of each word of a tile that cross in one direction: several words' where copies want them each for themselves."""
    opens, closes = _opens_and_closes(task, digits)
    total = 0
    for use in uses:
        counts = {FIRST: opens, AGAIN: not opens, LAST: closes}.get(use.rule, True)
        shares = [(*interval(slot, digits), part) for slot, part in use.box.wanted]
        copies = math.prod(-(-(high - low) // part) for low, high, part in shares)
        total += use.bits * copies if use.writes == write and counts else 0
    return total


def _opens_and_closes(task: Task, digits: list[int]) -> tuple[bool, bool]:
    """Whether a firing is the first on its tile of a result that does something, and whether it is the last."""
    if not task.needs:
        spans = [(interval(slot, digits), slot.extent) for slot in task.again]
        return all(low == 0 for (low, _), _ in spans), all(high == extent for (_, high), extent in spans)
    sums = sorted({loop for slot in task.again for loop, _ in slot.entries if loop >= 0}, reverse=True)
    now, many = 0, 1
    for loop in sums:
        now, many = now + digits[loop] * many, many * task.loops[loop]

    def works(number: int) -> bool:
        at = list(digits)
        for loop in sums:
            number, at[loop] = divmod(number, task.loops[loop])
        return _is_active(task, at)

    return not any(map(works, range(now - 1, -1, -1))), not any(map(works, range(now + 1, many)))


def _is_active(task: Task, digits: list[int]) -> bool:
    for place, turn in task.turns.items():
        if (turn == FIRST_TURN and digits[place] > 0) or (turn == LAST_TURN and digits[place] < task.loops[place] - 1):
            return False
    if any(low >= high for low, high in (interval(slot, digits) for slot, _ in task.points)):
        return False
    for terms, bound in task.needs:
        spans = [(interval(slot, digits), factor) for slot, factor in terms]
        if any(low >= high for (low, high), _ in spans) or sum(min(f * low, f * (high - 1)) for (low, high), f in spans) > bound:
            return False
    return True


def _listed(side: Side) -> IntArray:
    return np.arange(*side, dtype=np.int64) if isinstance(side, tuple) else side


def _minus(sides: tuple[Side, ...], before: tuple[Side, ...]) -> Iterator[tuple[Side, ...]]:
    """A box without what another holds: boxes that do not overlap."""
    shared: list[Side] = []
    for place, (side, other) in enumerate(zip(sides, before, strict=True)):
        both, rest = _parted(side, other)
        yield from ((*shared, only, *sides[place + 1 :]) for only in rest)
        if size_of(both) == 0:
            return
        shared.append(both)


def _parted(side: Side, other: Side) -> tuple[Side, list[Side]]:
    """What two sides share, and what only the first one has."""
    if isinstance(side, tuple) and isinstance(other, tuple):
        low, high = max(side[0], other[0]), min(side[1], other[1])
        if low >= high:
            return (0, 0), [side]
        return (low, high), [span for span in ((side[0], low), (high, side[1])) if span[0] < span[1]]
    one, two = _listed(side), _listed(other)
    rest = np.setdiff1d(one, two)
    return np.intersect1d(one, two), [rest] if len(rest) else []


def _bursts(sides: tuple[Side, ...], region: _Region, burst_bits: int) -> IntArray:
    """Addresses of the bursts that cover a box, each once, in ascending order."""
    inner = min(range(len(sides)), key=lambda place: region.strides[place]) if sides else -1
    starts = np.zeros(1, np.int64)
    for place in sorted(range(len(sides)), key=lambda place: -region.strides[place]):
        if place != inner or not isinstance(sides[place], tuple):
            starts = (starts[:, None] + _listed(sides[place]) * region.strides[place]).ravel()
        else:
            starts = starts + sides[place][0]
    length = size_of(sides[inner]) if sides and isinstance(sides[inner], tuple) else 1
    first = (region.base_bits + starts * region.bits) // burst_bits
    last = (region.base_bits + (starts + length) * region.bits - 1) // burst_bits
    first[1:] = np.maximum(first[1:], last[:-1] + 1)  # a burst that holds the end of one row and the beginning of the next
    counts = np.maximum(0, last - first + 1)
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def _scaled(values: IntArray, rate: Fraction) -> IntArray:
    """Values times a rate, rounded up, exactly."""
    top, bottom = rate.numerator, rate.denominator
    if len(values) and int(values.max()) * top >= 1 << 62:
        return np.array([-(-int(value) * top // bottom) for value in values], np.int64)
    return -(-values * top // bottom)
