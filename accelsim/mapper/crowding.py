"""The least sum of one choice of each of several lists that has room, from below: what is kept above a fuse shares one memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import numpy as np

from accelsim.mapper.leaf_bounds import BEYOND
from accelsim.mapper.leaf_plan import FloatArray
from accelsim.mapper.options import Way

_ROUNDING = 1e-13  # of what is added up, by which a bound is lowered


class Kept(NamedTuple):
    """What an Einsum costs at least with each of c choices of what it keeps above a fuse, below n trunks.

    ways: by unit, lists of rows that are float64[c * n, …] one after another. bits: float64[c, n], pieces held.
    """

    ways: list[list[Way]]
    bits: FloatArray

    def values(self, figure: Callable[[Way], FloatArray]) -> FloatArray:
        """A figure, float64[c, n], on the unit where it is least."""
        count = self.bits.shape[1]
        each = [[np.broadcast_to(figure(way), max(count, len(way.rows))) for way in ways] for ways in self.ways]
        return reduce(np.minimum, map(np.concatenate, each)).reshape(self.bits.shape)


def is_crowded(kept: list[Kept], room: FloatArray) -> bool:
    """Whether there may be less room below some trunk than all Einsums could use."""
    return len(kept) > 1 and bool(np.any(sum(each.bits.max(axis=0) for each in kept) > room))


def least_sum(values: list[FloatArray], bits: list[FloatArray], room: FloatArray) -> FloatArray:
    """A lower bound, float64[n], on the sum of one value of each list whose bits fit into a room together.

    values, bits: of each list float64[c, n]. room: float64[n]. For any price of a bit, the sum of the least of values and prices, less the
    price of the room, is one: the Lagrangian dual of a multiple-choice knapsack (H. Kellerer, U. Pferschy, D. Pisinger, Knapsack Problems,
    chapter 11). The best price is looked for among what a bit saves.
    """
    value, held = np.concatenate(values), np.concatenate(bits)
    starts = np.cumsum([0, *map(len, values[:-1])])
    spread = np.repeat(np.arange(len(values)), [len(each) for each in values])
    fewest = np.minimum.reduceat(held, starts, axis=0)
    lightest = np.minimum.reduceat(np.where(held <= fewest[spread], value, BEYOND), starts, axis=0)
    best = np.minimum.reduceat(value, starts, axis=0).sum(axis=0)
    room = np.minimum(room, np.maximum.reduceat(held, starts, axis=0).sum(axis=0))
    more, saved = held - fewest[spread], lightest[spread] - value
    good = (more > 0) & (saved > 0) & (lightest[spread] < BEYOND)
    prices = np.sort(np.where(good, saved, 0.0) / np.where(good, more, 1.0), axis=0)
    low, high, columns = np.zeros(len(room), np.int64), np.full(len(room), len(prices) - 1), np.arange(len(room))
    while np.any(low <= high):
        middle = (low + high) // 2
        price = prices[middle, columns]
        priced = value + price * held
        least = np.minimum.reduceat(priced, starts, axis=0)
        total, rent = least.sum(axis=0), price * room
        best = np.maximum(best, total - rent - _ROUNDING * (total + rent))
        used = np.minimum.reduceat(np.where(priced <= least[spread], held, BEYOND), starts, axis=0).sum(axis=0)
        going = low <= high
        low, high = np.where(going & (used > room), middle + 1, low), np.where(going & (used <= room), middle - 1, high)
    return np.where(fewest.sum(axis=0) > room, BEYOND, best)
