"""A grid array register by register with faults: one at a time in the whole array, or many side by side, which `kernels_sweep` does.

`replay` is the twin of `replay_all`: they share the words of a state and the edge of an array without a fault.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.faults.kernels_array import LATE, STUCK_AT_0, STUCK_AT_1, Collected, Streams, Wires, edge, leaves, struck
from accelsim.faults.kernels_sweep import replay_all
from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
__all__ = ["LATE", "STUCK_AT_0", "STUCK_AT_1", "replay", "replay_all"]


@njit()
def replay(
    w: Wires, streams: Streams, collected: Collected, kept: IntArray, states: IntArray, gone: IntArray,
    place: int, mask: int, bits: int, when: int, changed: IntArray, raw: IntArray,
) -> tuple[int, int, int]:  # fmt: skip
    """Run with bits of one register flipped after the edge of cycle `when`, from the last state kept before it until the states are equal;
    where that is STUCK_AT_0 or STUCK_AT_1, with bits that are so all the time.

    mask: which bits, of a register of `bits`; where these are LATE, it does not capture its new word at that edge.
    changed: int64[most, 2], places of the product and by how much words differ, in the order in which they leave.
    raw: int64[cycles, 2 * columns] to be told of every word and whether it is there, or int64[0, 0].
    Returns how many changed, words that never came, and words too many.
    """
    cycles, columns = streams.flags.shape[0], w.columns
    keep: Any = max(0, np.searchsorted(kept, when, side="right") - 1)
    s, taken = states[keep].copy(), gone[keep].copy()
    lanes, marks = np.zeros((5, w.rows + columns), np.int64), np.zeros((w.rows + 1, columns), np.int64)
    out = w.at[3] + (w.rows - 1) * columns
    found, over = 0, 0
    next_keep = keep + 1
    if when < 0:
        s[place] = struck(s[place], mask, bits, when)
    for cycle in range(kept[keep], cycles):
        if when >= 0 and cycle > when and next_keep < kept.size and kept[next_keep] == cycle:
            same = True
            for register in range(s.size):
                if s[register] != states[next_keep, register]:
                    same = False
                    break
            for column in range(columns):
                same = same and taken[column] == gone[next_keep, column]
            if same and raw.size == 0:
                return found, 0, over
        if next_keep < kept.size and kept[next_keep] == cycle:
            next_keep += 1
        for column in range(columns):
            there = leaves(w, s, column)
            if raw.size:
                raw[cycle, column] = s[out + column]
                raw[cycle, columns + column] = there
            if there:
                number = taken[column]
                if number >= collected.many[column]:
                    over += 1
                    continue
                word = s[out + column]
                if word != collected.words[column, number] and collected.places[column, number] >= 0:
                    changed[found, 0] = collected.places[column, number]
                    changed[found, 1] = word - collected.words[column, number]
                    found += 1
                taken[column] = number + 1
        before = s[place]
        edge(w, s, cycle, streams, lanes, marks)
        if cycle == when or when < 0:
            s[place] = before if bits == LATE else struck(s[place], mask, bits, when)
    missing = 0
    for column in range(columns):
        missing += collected.many[column] - taken[column]
    return found, missing, over
