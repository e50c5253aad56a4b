"""Tasks: a mapping as sequences of firings, each of which occupies resources once others have ended. What the event kernel runs.

A task is an Einsum on its unit, or a tensor's way between two keepers. It fires once for every point of the time loops that matter to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accelsim.workload.expression import IndexMap

if TYPE_CHECKING:
    from accelsim.model.program import Carried
    from accelsim.sim.folds import Fold

COMPUTE, LOAD, DRAIN, BARRIER = range(4)
KINDS = ("compute", "load", "drain", "barrier")
ALWAYS, FIRST, AGAIN, LAST = range(4)
FIRST_TURN, LAST_TURN = 1, 2
NEVER = -1.0e300

Entry = tuple[int, int]
"""A loop on the way to a tile of a rank: which of the task's loops (-1: over copies, of which the first counts), and its tile."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a turn of loops over a consumer's rank demands: for its interval [a, b) that of the producer's rank from factor * a + offset to
    before factor * (b - 1) + offset + width.

    `extent`, `entries`: of the consumer's rank. `retained`: what earlier turns made stays, and only the rest is made.
    """

    extent: int
    entries: tuple[Entry, ...]
    retained: bool
    factor: int
    offset: int
    width: int

    def demanded(self, low: int, high: int, extent: int) -> tuple[int, int]:
        """The interval of the producer's rank, of an extent, for one of the consumer's that is not empty."""
        first = max(0, self.factor * low + self.offset)
        if self.retained and low > 0:
            first = max(first, min(extent, self.factor * (low - 1) + self.offset + self.width))
        return first, max(first, min(extent, self.factor * (high - 1) + self.offset + self.width))


@dataclass(frozen=True, slots=True)
class Slot:
    """The interval of a rank at a firing: its extent and the loops that cut it.

    `window`: what loops over a consumer's rank leave of it, which the others then cut. `spread`: of copies that take turns over their own
    parts, how many there are and how far apart; the interval is that of the first. `last`: as many as the last copy has, counted from 0,
    if it has less than the others.
    """

    extent: int
    entries: tuple[Entry, ...]
    spread: tuple[tuple[int, int], ...] = ()
    last: Slot | None = None
    window: Window | None = None

    @property
    def copies(self) -> int:
        """How many intervals there are, all alike."""
        return math.prod(count for count, _ in self.spread)

    @property
    def most(self) -> int:
        """The size of an interval at most."""
        return min([self.extent, *(tile for _, tile in self.entries)])

    @property
    def size(self) -> int | None:
        """The size of an interval, if it is the same at every firing."""
        size = self.extent
        for loop, tile in self.entries:
            if loop >= 0 and size % tile:
                return None
            size = min(size, tile)
        return size if self.window is None else None


Need = tuple[tuple[tuple[Slot, int], ...], int]
"""A condition of a firing: slots of which none may be empty and the least sum of whose ranks, with factors, is a bound at most."""

Shares = tuple[tuple[Slot, int], ...]
"""Intervals that copies share out, and the part of each copy."""


@dataclass(frozen=True, slots=True)
class Level:
    """A cut of a rank inside its slot, into parts for copies or for turns in time. `serves`: copies that differ in such levels alone and
    want the same words at the same time are served at once.
    """

    rank: str
    tile: int
    serves: bool


@dataclass(frozen=True, slots=True)
class Box:
    """What a firing touches: an index map and bounds (low, high) for each dimension over slots.

    `wanted`: of copies that want every word each for themselves, the interval that they share out and the part of one.
    `counted`: dimensions of which points count, not the coordinates that they have. `met`: those of which each copy wants the word of one
    point at a time, and copies that `levels` serve at once may want the same. `is_last_copy`: it is that of a last copy, which has
    less than the others, and counted from 0 instead of where it lies.

    `delta`: only what the firing before did not leave behind. `levels`: how copies share out ranks, outermost first by rank: without `met`
    each copy is brought its own window, though another has some of it too. `afresh`: at the first
    firing in each turn of so many of the task's first loops nothing is there (-1: something may always be). `leaving`: only what a copy
    does not touch at its next firing too, since it stays. `slots`: by rank.
    """

    dims: tuple[tuple[IndexMap, int, int], ...]
    slots: dict[str, Slot]
    wanted: Shares = ()
    delta: bool = False
    counted: frozenset[int] = frozenset()
    is_last_copy: bool = False
    levels: tuple[Level, ...] = ()
    met: frozenset[int] = frozenset()
    afresh: int = -1
    leaving: bool = False

    def is_afresh(self, digits: Sequence[int]) -> bool:
        """Whether nothing is there at a firing, whatever was touched before."""
        return self.afresh >= 0 and not any(digits[self.afresh :])

    @property
    def copies(self) -> int:
        """How many boxes there are side by side, all alike."""
        return math.prod(self.slots[rank].copies for index, _, _ in self.dims for rank in index.ranks)


@dataclass(frozen=True, slots=True)
class Laid:
    """How a tile of a tensor lies in a memory of several banks: word after word, as an array of the size of the reserved tile.

    `maps`: the coordinates of a word by ranks, of which tile `shape` is reserved; `order`: dimensions from the outermost. A word's address
    is that of its coordinates in an array of this shape, so that words stay where they are when the tile moves on; its bank is the
    address modulo `banks`.
    """

    tensor: str
    banks: int
    maps: tuple[IndexMap, ...]
    shape: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """Words from one coordinate to the next, by dimension."""
        found, stride = [0] * len(self.shape), 1
        for place in reversed(self.order):
            found[place], stride = stride, stride * self.shape[place]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Use:
    """Ticks of a resource for each word of a box. `rule`: at every firing, or at the first, the later or the last on the same tile.

    `bits`: of each word, at most; below 0: these less. `writes`: into the memory. `share`: (n, of): of every `of` words n are meant,
    counted over all firings; `rest`: the others instead. `laid`: how the words lie in banks, if there are several. `by_point`: whether the
    box is one of points, by rank, each of which moves its word; else one of words, by dimension of the tensor.
    """

    resource: str
    ticks: int
    box: Box
    rule: int = ALWAYS
    bits: int = 0
    writes: bool = False
    share: tuple[int, int] = (1, 1)
    rest: bool = False
    laid: Laid | None = None
    by_point: bool = False


@dataclass(slots=True, eq=False)
class Hold:
    """Room for a tile in one copy of a memory: of a new tile in every turn of the first `depth` loops of all that touch it."""

    memory: str
    bits: int
    depth: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A firing starts no earlier than one of another task has ended.

    Its number is (number of mine among my first `prefix` loops) * `times` + `add`; below 0 there is none. `guard`: a loop of mine in
    whose first turn there is none either (-1: no such loop). `why`: what the time is counted as. `ahead`: it may start
    earlier by as long as its own results take to arrive. `stays`: it is for the operand that stays in a systolic array. `less`: ticks by
    which the other has ended with what is waited for before its results have arrived.
    """

    task: Task
    prefix: int
    times: int
    add: int
    why: str
    guard: int = -1
    ahead: bool = False
    stays: bool = False
    less: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """A sequence of firings. `loops`: trips of each, outermost first; `turns`: those in which it does nothing but in the first or last.

    `strides`, `offset`: when a firing is planned, in ticks. `copies`: tiles that a load may hold; `span`: planned ticks from the first
    to the last firing that uses one. `uses`: by resource; `issue`: for a compute, the slots and residual tiles of its points.
    """

    name: str
    kind: int
    einsum: str
    tensor: str = ""
    loops: tuple[int, ...] = ()
    strides: list[float] = field(default_factory=list)
    offset: float = 0.0
    turns: dict[int, int] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    again: tuple[Slot, ...] = ()
    needs: tuple[Need, ...] = ()
    latency: int = 0
    unit: str = ""
    lanes: int = 1
    issue_ticks: int = 0
    points: tuple[tuple[Slot, int], ...] = ()
    copies: int = 0
    span: float = 0.0
    users: int = 0  # Einsums that use what a load brings
    ready: float = NEVER  # when what a load takes is planned to be there, in ticks of its first firing
    within: int = -1  # loops of the load it takes from, where that has one place only
    common: int = 0  # how many of its first loops are those of all tasks
    fold: Fold | None = None  # of a compute: what it does on a systolic array
    carried: Carried | None = None  # of a load that brings earlier slices of a recurrence back to where it is made: how it reaches back
    maps: tuple[IndexMap, ...] = ()  # of a load or drain: how it indexes its tensor
    layout: tuple[str, ...] = ()  # of these: the layout of the tensor in the outer memory, where the mapping says it
    holds: list[tuple[Hold, bool]] = field(default_factory=list)  # room that it touches below the outermost memory, and whether for results
    split: tuple[int, ...] = ()  # of a load: its last loops, in each turn of which it brings a part of the tile
    grain: float = 1.0  # all plans are multiples of it

    @property
    def firings(self) -> int:
        """How often it fires, turns in which it does nothing included."""
        count = 1
        for trips in self.loops:
            count *= trips
        return count

    @property
    def parts(self) -> int:
        """In how many parts it brings a tile."""
        return math.prod(self.split)

    def beyond(self, prefix: int) -> int:
        """Firings for one turn of its first `prefix` loops."""
        count = 1
        for trips in self.loops[prefix:]:
            count *= trips
        return count

    def number(self, digits: Sequence[int]) -> int:
        """The number of a firing."""
        found = 0
        for trips, digit in zip(self.loops, digits, strict=True):
            found = found * trips + digit
        return found


def words(box: Box) -> int:
    """Words of a box at the first firing, where none are there yet."""
    count = box.copies * math.prod(-(-first_size(slot) // part) for slot, part in box.wanted)
    for place, (index, low, high) in enumerate(box.dims):
        if place in box.counted:
            count *= math.prod(first_size(box.slots[rank]) for rank in index.ranks)
            continue
        sizes = sorted(((factor, first_size(box.slots[rank])) for rank, factor in index.terms), key=lambda term: abs(term[0]))
        if not index.modulus and _has_no_gaps(sizes):
            first = index.offset + sum(min(0, factor * (size - 1)) for factor, size in sizes)
            last = index.offset + sum(max(0, factor * (size - 1)) for factor, size in sizes)
            count *= max(0, min(last // index.divisor + 1, high) - max(first // index.divisor, low))
            continue
        found = {index.offset}
        for factor, size in sizes:
            found = {value + factor * place for value in found for place in range(size)}
        values = {value // index.divisor % index.modulus if index.modulus else value // index.divisor for value in found}
        count *= sum(1 for value in values if low <= value < high)
    return count


def _has_no_gaps(sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether a sum takes every value from its least to its greatest; sizes: (factor, values) of its ranks, by the size of the factor."""
    reach = 0
    for factor, size in sizes:
        if size > 1 and abs(factor) > reach + 1:
            return False
        reach += abs(factor) * (size - 1)
    return True


def first_size(slot: Slot) -> int:
    """The size of a slot at the first firing."""
    size = slot.extent
    if slot.window is not None:
        low, high = slot.window.demanded(0, min([slot.window.extent, *(tile for _, tile in slot.window.entries)]), size)
        size = high - low
    return min([size, *(tile for _, tile in slot.entries)])
