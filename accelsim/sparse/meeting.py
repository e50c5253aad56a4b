"""Steps in which two fibers are expected to meet, from the chances of their stretches. Source: docs/sparse.md, "Statistics".

A step is an event of each fiber; expectations are sums of products of a chance of the first fiber and one of the second, over turns,
or over pairs of turns of which the first comes before the second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse import kernels_even as k
from accelsim.sparse.sums import MOST, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Bounds, Boxes
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

    Shares = NDArray[np.float64]
    Empty = Callable[[IntArray, IntArray], Shares]  # chances that turns from one to another, both inside, hold nothing
    Chance = Callable[[Empty, IntArray, IntArray, int], Shares]


def here(empty: Empty, first: IntArray, turn: IntArray, last: int) -> Shares:
    """That a turn holds something."""
    return 1 - empty(turn, turn)


def on(empty: Empty, first: IntArray, turn: IntArray, last: int) -> Shares:
    """That a turn or one after it does."""
    return 1 - empty(turn, np.full_like(turn, last))


def later(empty: Empty, first: IntArray, turn: IntArray, last: int) -> Shares:
    """That a turn does not, and one after it does."""
    return empty(turn, turn) - empty(turn, np.full_like(turn, last))


def both(empty: Empty, first: IntArray, turn: IntArray, last: int) -> Shares:
    """That two turns hold something, and none between."""
    return empty(first + 1, turn - 1) - empty(first, turn - 1) - empty(first + 1, turn) + empty(first, turn)


def after_both(empty: Empty, first: IntArray, turn: IntArray, last: int) -> Shares:
    """That nothing from one turn to another does, and one after them does."""
    return empty(first, turn) - empty(first, np.full_like(turn, last))


_CODES: dict[Chance, int] = {here: k.HERE, on: k.ON, later: k.LATER, both: k.BOTH, after_both: k.AFTER_BOTH}
# Chances of the first and of the second fiber, whether of pairs of turns, and the sign.
TWO_FINGERS = ((here, on, False, 1), (on, here, False, 1), (here, here, False, -1))
# Every match, and every advance on one side but those that follow an advance on the same side.
SKIP_AHEAD = (
    (here, here, False, 1), (here, later, False, 1), (later, here, False, 1), (both, after_both, True, -1), (after_both, both, True, -1),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A chance of one fiber for every turn of a loop over one dimension of boxes, or pair of turns, along a last axis."""

    chance: Chance
    place: int
    level: int
    paired: bool

    def rule(self, boxes: Boxes) -> Rule | None:
        """The same, compiled; None where chances are not listed."""
        if boxes.listed is None:
            return None
        columns = (k.LOOP, self.level), (k.PLACE, self.place), (k.CHANCE, _CODES[self.chance]), (k.PAIRED, int(self.paired))
        return Rule(k.ALONG, columns, listed=boxes.listed)

    def __call__(self, nest: Nest, boxes: Boxes, box: tuple[Bounds, Bounds]) -> Shares:
        turn, place = nest.turns[self.level], self.place
        trips, tile = turn.trips, turn.tile
        if trips ** (1 + self.paired) > MOST:
            what = f"{nest.einsum.name}: {trips} turns of {turn.rank} are too many to pair"
            raise InputError(what, "make the shape smaller, or meet by two_finger", nest.einsum.place)
        low, high = ([np.asarray(each)[..., None] for each in side] for side in box)
        start, end = low[place], high[place]

        def empty(first: IntArray, last: IntArray) -> Shares:
            mine = np.minimum(start + first * tile, end)
            ends = np.maximum(mine, np.minimum(start + (last + 1) * tile, end))
            return boxes.empty([*low[:place], mine, *low[place + 1 :]], [*high[:place], ends, *high[place + 1 :]])

        first, number = np.triu_indices(trips, 1) if self.paired else (np.arange(trips), np.arange(trips))
        return self.chance(empty, first, number, trips - 1)
