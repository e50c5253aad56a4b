"""What becomes of sums that changed: outputs, and decisions on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.faults.kernels_array import wrapped
from accelsim.faults.kernels_cone import CLAMPED, CORRUPTED, DEAD, ROUNDED, Quantise, quantised
from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
HANG, PROTOCOL = 5, 6


class Groups(NamedTuple):
    """Groups of places of a product whose largest output is a decision: int64[places], the group of each; where members of each begin and
    they themselves, in rising order. Empty: there are none.
    """

    of_place: IntArray
    starts: IntArray
    members: IntArray

    @classmethod
    def of(cls, groups: IntArray | None) -> Groups:
        """From the group of each place, any numbers."""
        if groups is None:
            return cls(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64))
        _, number = np.unique(groups, return_inverse=True)
        number = number.astype(np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(number))]).astype(np.int64)
        return cls(number, starts, np.argsort(number, kind="stable").astype(np.int64))


@njit()
def _largest(groups: Groups, group: int, outputs: Any) -> int:
    """The place of a group's largest output; of equal ones, the first."""
    best = groups.members[groups.starts[group]]
    for at in range(groups.starts[group], groups.starts[group + 1]):
        if outputs[groups.members[at]] > outputs[best]:
            best = groups.members[at]
    return int(best)


@njit()
def judge(
    q: Quantise, bits: int, z: Any, out: Any, groups: Groups, starts: IntArray, words: IntArray, said: IntArray, outcomes: bool,
    found: IntArray,
) -> None:  # fmt: skip
    """Judge faults by the words that they change, as `kernels_cone.changes` returns them, and words missing and too many.

    found: int64[faults, 4], outcome, outputs that change, largest difference, decisions that change; the first three only where `outcomes`.
    Sums have so many bits.
    """
    outputs = out.astype(np.int64)
    for fault in range(starts.shape[0] - 1):
        wrong, clamped = 0, 0
        worst: Any = 0
        for at in range(starts[fault], starts[fault + 1]):
            place = words[at, 0]
            before, after = np.int64(out[place]), quantised(q, wrapped(np.int64(z[place]) + words[at, 1], bits))
            wrong += before != after
            worst = max(worst, abs(after - before))
            clamped += before == q.low or before == q.high
            outputs[place] = after
        if groups.of_place.shape[0]:
            decided = 0
            for at in range(starts[fault], starts[fault + 1]):
                if decided == 0 and outputs[words[at, 0]] != out[words[at, 0]]:
                    group = groups.of_place[words[at, 0]]
                    decided = int(_largest(groups, group, outputs) != _largest(groups, group, out))
            found[fault, 3] = decided
        for at in range(starts[fault], starts[fault + 1]):
            outputs[words[at, 0]] = out[words[at, 0]]
        if not outcomes:
            continue
        found[fault, 1], found[fault, 2] = wrong, worst
        some = starts[fault + 1] - starts[fault]
        if said[fault, 0]:
            found[fault, 0] = HANG
        elif said[fault, 1]:
            found[fault, 0] = PROTOCOL
        elif wrong:
            found[fault, 0] = CORRUPTED
        elif some:
            found[fault, 0] = CLAMPED if clamped == some else ROUNDED
        else:
            found[fault, 0] = DEAD
