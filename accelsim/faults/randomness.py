"""Random numbers by counter: fault `index` of campaign `seed` has its own stream, whoever draws it, in whatever order.

A stream is Philox4x64-10 with the key (seed, index) and the counter 1, 2, 3, …: the words of `numpy.random.Philox`, for many keys at once.
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError

Words: TypeAlias = NDArray[np.uint64]

ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_STEPS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))  # what the key grows by in each round
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def words(seed: int, indices: ArrayLike, count: int) -> Words:
    """The first `count` random words of the streams of many faults.

    Returns uint64[faults, count]. Refuses a seed or an index outside 0 … 2**64 - 1.
    """
    first, second = np.uint64(checked_seed(seed)), _indices(indices)
    if count < 0:
        raise InputError(f"{count} random words cannot be drawn", "draw at least 0")
    blocks = -(-count // 4)
    counters = np.broadcast_to(np.arange(1, blocks + 1, dtype=np.uint64), (second.size, blocks))
    drawn = _philox(counters, first, np.broadcast_to(second[:, None], counters.shape))
    return np.stack(drawn, axis=-1).reshape(second.size, 4 * blocks)[:, :count]


def uniforms(seed: int, indices: ArrayLike, count: int) -> NDArray[np.float64]:
    """The first `count` numbers in [0, 1) of many streams, multiples of 2**-53: float64[faults, count]."""
    return np.asarray((words(seed, indices, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def below(seed: int, indices: ArrayLike, bounds: ArrayLike) -> NDArray[np.int64]:
    """One whole number in [0, bound) for each fault and bound: int64[faults, bounds].

    The upper word of 64-bit word times bound: no number is likelier than another by more than bound / 2**64 of its chance.
    Refuses bounds outside 1 … 2**62.
    """
    limits = np.atleast_1d(np.asarray(bounds))
    if limits.ndim != 1 or limits.dtype.kind not in "iu" or (limits < 1).any() or (limits > 2**62).any():
        raise InputError("bounds of random numbers must be whole numbers from 1 to 2**62", "write how many there are to choose from")
    upper, _ = _product(words(seed, indices, limits.size), limits.astype(np.uint64))
    return upper.astype(np.int64)


def within(seed: int, indices: ArrayLike, bounds: ArrayLike) -> NDArray[np.int64]:
    """One whole number in [0, bound) for each fault, which has a bound of its own, from 1 to 2**62: int64[faults].

    As `below`, but of the second word of each stream, so that the first is left for what the bound depends on.
    """
    upper, _ = _product(words(seed, indices, 2)[:, 1], np.asarray(bounds).astype(np.uint64))
    return upper.astype(np.int64)


def generator(seed: int, index: int) -> np.random.Generator:
    """A NumPy generator at the start of one fault's stream, for draws of another kind."""
    key = np.array([checked_seed(seed), _indices(index)[0]], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def checked_seed(seed: int) -> int:
    """The seed, if a key can hold it."""
    if not 0 <= seed < 2**64:
        raise InputError(f"seed {seed} does not fit 64 bits", "write a whole number from 0 to 2**64 - 1")
    return seed


def _indices(indices: ArrayLike) -> Words:
    found = np.atleast_1d(np.asarray(indices))
    if found.size and (found.dtype.kind not in "iu" or found.ndim != 1 or (found.dtype.kind == "i" and found.min() < 0)):
        raise InputError("indices of faults must be a list of whole numbers of at least 0", "count faults from 0")
    return found.astype(np.uint64)


def _philox(counters: Words, first: np.uint64, second: Words) -> tuple[Words, Words, Words, Words]:
    """The four words of each counter, whose upper 192 bits are 0, under each key."""
    zeros = np.zeros_like(counters)
    a, b, c, d = counters, zeros, zeros, zeros
    low, high = np.full_like(counters, first), second
    with np.errstate(over="ignore"):
        for _ in range(ROUNDS):
            upper, lower = _product(a, _MULTIPLIERS[0])
            above, beneath = _product(c, _MULTIPLIERS[1])
            a, b, c, d = above ^ b ^ low, beneath, upper ^ d ^ high, lower
            low, high = low + _STEPS[0], high + _STEPS[1]
    return a, b, c, d


def _product(one: Words, other: Words | np.uint64) -> tuple[Words, Words]:
    """The upper and the lower word of a product of 64-bit words, by halves."""
    with np.errstate(over="ignore"):
        one_low, one_high = one & _LOW, one >> _HALF
        other_low, other_high = other & _LOW, other >> _HALF
        cross = one_high * other_low + (one_low * other_low >> _HALF)
        other_cross = one_low * other_high + (cross & _LOW)
        return np.asarray(one_high * other_high + (cross >> _HALF) + (other_cross >> _HALF)), np.asarray(one * other)
