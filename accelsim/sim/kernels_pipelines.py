"""Chains of registers cycle by cycle: what each holds, when a vector enters and when it leaves. See `pipelines.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
EMPTY = -1


@njit(error_model="numpy")
def flow(depth: int, interval: int, offered: IntArray, ready: BoolArray, entered: IntArray, left: IntArray, held: IntArray) -> int:
    """Send vectors through `depth` registers and return the cycles until the last has left.

    offered: the first cycle of each at the entrance, never falling. ready: whether what is behind takes a result in a cycle; after the last
    entry always. interval: cycles from one entrance to the next at least. entered, left: filled with the cycle of each. held: int64[cycles,
    depth], filled with the vector in each register at the beginning of a cycle (EMPTY), as far as it goes.
    """
    stages = np.full(depth, EMPTY, np.int64)
    waiting, gone, cycle, last = 0, 0, 0, -interval
    while gone < offered.shape[0]:
        if cycle < held.shape[0]:
            held[cycle, :] = stages
        takes = cycle >= ready.shape[0] or ready[cycle]
        if stages[depth - 1] != EMPTY and takes:
            left[stages[depth - 1]] = cycle
            stages[depth - 1] = EMPTY
            gone += 1
        for stage in range(depth - 1, 0, -1):
            if stages[stage] == EMPTY:
                stages[stage], stages[stage - 1] = stages[stage - 1], EMPTY
        if stages[0] == EMPTY and waiting < offered.shape[0] and offered[waiting] <= cycle and cycle >= last + interval:
            stages[0] = waiting
            entered[waiting] = last = cycle
            waiting += 1
        cycle += 1
        if waiting == gone and waiting < offered.shape[0] and cycle >= held.shape[0]:  # nothing is inside: on to the next one
            cycle = max(cycle, offered[waiting])
    return cycle
