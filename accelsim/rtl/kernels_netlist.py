"""A netlist cycle by cycle, 64 runs at once, and how often its nets change."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import njit

IntArray: TypeAlias = npt.NDArray[np.int64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

MOST_PINS = 6  # inputs of a gate
ZERO, ONE = 0, 1  # the nets of the constants


@njit()
def _ones(word: Any) -> Any:
    """Ones of a word of 64 bits."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit()
def run(
    nets: int, tables: WordArray, sizes: IntArray, inputs: IntArray, outputs: IntArray, flops: IntArray, places: IntArray,
    given: WordArray, seen: IntArray, warm: int,
) -> tuple[IntArray, WordArray]:  # fmt: skip
    """Changes of each net from cycle `warm` on, int64[nets], and uint64[cycles, seen]."""
    now = np.zeros(nets, np.uint64)
    now[ONE] = ~np.uint64(0)
    after = np.zeros(len(flops), np.uint64)
    found = np.zeros((len(given), len(seen)), np.uint64)
    changes = np.zeros(nets, np.int64)
    fold = np.zeros(1 << MOST_PINS, np.uint64)
    for cycle in range(len(given)):
        counts = cycle >= warm
        for flop in range(len(flops)):
            net = flops[flop, 1]
            if counts:
                changes[net] += int(_ones(now[net] ^ after[flop]))
            now[net] = after[flop]
        for place in range(len(places)):
            net = places[place]
            if counts:
                changes[net] += int(_ones(now[net] ^ given[cycle, place]))
            now[net] = given[cycle, place]
        for gate in range(len(tables)):
            size = sizes[gate]
            rows = 1 << size
            for row in range(rows):
                fold[row] = np.uint64(0) - ((tables[gate] >> np.uint64(row)) & np.uint64(1))
            for pin in range(size):
                rows //= 2
                word = now[inputs[gate, pin]]
                for row in range(rows):
                    fold[row] = (fold[2 * row] & ~word) | (fold[2 * row + 1] & word)
            net = outputs[gate]
            if counts:
                changes[net] += int(_ones(now[net] ^ fold[0]))
            now[net] = fold[0]
        for flop in range(len(flops)):
            after[flop] = now[flops[flop, 0]]
        found[cycle] = now[seen]
    return changes, found
