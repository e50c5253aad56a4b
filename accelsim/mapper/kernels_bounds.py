"""Lower bounds of what one Einsum costs, for many tiles or trunks at once, by how many words of each tensor have to come.

A memory either keeps a tensor or leaves it out. What lies inside a memory has a bound for every set of tensors that the memory leaves
out; tensors that it keeps are brought into it, and what is asked of it is asked of the memory outside where it leaves a tensor out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.mapper.leaf_plan import FloatArray, Int, IntArray

PLAIN, SERVED, WITHIN = range(3)  # how what lies inside memory 1 is bounded: see `least`


class Serving(NamedTuple):
    """What a memory pays for a word of each tensor that is asked of it, float64[tensors, 1 + times] each.

    saved: how much less for first touches; near: alike, if the next memory inside keeps the tensor. bare, spared: both again, if no sum of
    the result returned: it pays the larger of the two.
    """

    words: FloatArray
    saved: FloatArray
    near: FloatArray
    bare: FloatArray
    spared: FloatArray


class Sides(NamedTuple):
    """Bounds of what lies inside a memory, by the sets of tensors that it leaves out; and what words cost there.

    sets: int64[n], tensors left out; rows: float64[n, 1 + times], energy and times; pending: float64[n, tensors], how often words of
    tensors left out are asked for at least. filling: float64[tensors, 1 + times], what a word costs that comes into the memory; serving:
    of the memory outside; scale: float64[1 + times], what axes outside the memory multiply what lies inside by.
    """

    sets: IntArray
    rows: FloatArray
    pending: FloatArray
    filling: FloatArray
    serving: Serving
    scale: FloatArray


@helper()
def served(serving: Serving, stream: Int, part: Int, asked: float, near: bool, saves: bool) -> float:
    """What a memory pays at least for words that are asked of it, by the next memory inside or another; saves: less for first touches."""
    if not saves:
        return float(asked * serving.words[stream, part])
    paid = asked * serving.words[stream, part] - (serving.near[stream, part] if near else serving.saved[stream, part])
    return float(max(paid, asked * serving.bare[stream, part] - serving.spared[stream, part]))


@helper()
def inside_one(sides: Sides, left_out: Int, entering: FloatArray, row: FloatArray, best: FloatArray) -> None:
    """The least of every figure, for one row of `inside`; row: room to work in."""
    streams, width = sides.filling.shape
    for part in range(width):
        best[part] = np.inf
    for at in range(sides.sets.shape[0]):
        for part in range(width):
            row[part] = sides.rows[at, part]
        for stream in range(streams):
            if not (sides.sets[at] >> stream) & 1:
                for part in range(width):
                    row[part] += entering[stream] * sides.filling[stream, part]
        for part in range(width):
            row[part] *= sides.scale[part]
        for stream in range(streams):
            if not (left_out >> stream) & 1:
                asked = max(entering[stream], sides.pending[at, stream])
                for part in range(width):
                    row[part] += served(sides.serving, stream, part, asked, not (sides.sets[at] >> stream) & 1, True)
        for part in range(width):
            best[part] = min(best[part], row[part])


@njit(error_model="numpy")
def inside(sides: Sides, left_out: Int, entering: FloatArray) -> FloatArray:
    """Bounds of what lies inside a memory and the next one, float64[n, 1 + times], where the outer one leaves some tensors out.

    sides: of the inner one; entering: float64[n, tensors], words that come into it of what it keeps.
    """
    found, row = np.empty((entering.shape[0], sides.scale.shape[0])), np.empty(sides.scale.shape[0])
    for at in range(entering.shape[0]):
        inside_one(sides, left_out, entering[at], row, found[at])
    return found


@njit(error_model="numpy")
def least(
    outer: Sides, inner: Sides, how: Int, bypassing: Int, words: FloatArray, entering: FloatArray, most: FloatArray, busy: Int,
    best: FloatArray, busiest: FloatArray,
) -> None:  # fmt: skip
    """Lower bounds of energy and times, and of the longest of the first `busy` times, over all sets that memory 1 may leave out.

    outer: of memory 1; inner: of memory 2. bypassing: what memory 1 may leave out. words: float64[n, tensors], asked of the root at least.
    entering: alike, what comes into memory 2 of what it keeps; `how` what lies inside memory 1 is bounded: PLAIN, only by its rows;
    SERVED, by these and what memory 1 serves of that, as `inner.serving` says; WITHIN, by `inside`. Either of the two may have one row for
    all. most: energy and ticks beyond which a way is of no use. best float64[n, 1 + times] and busiest float64[n] are lowered.
    """
    streams, width = outer.filling.shape
    within, row, room = np.empty(width), np.empty(width), np.empty(width)
    for at in range(best.shape[0]):
        asked_of_root, coming = words[at % words.shape[0]], entering[at % entering.shape[0]]
        for place in range(outer.sets.shape[0]):
            left_out = outer.sets[place]
            if left_out & ~bypassing:
                continue
            for part in range(width):
                row[part] = outer.rows[place, part]
            if how == WITHIN:
                inside_one(inner, left_out, coming, room, within)
                for part in range(width):
                    row[part] = max(row[part], within[part])
            for stream in range(streams):
                held = not (left_out >> stream) & 1
                asked = max(asked_of_root[stream], outer.pending[place, stream])
                if how != PLAIN and not held:
                    asked = max(asked, coming[stream])
                saves = asked_of_root[stream] > 0.0 or (left_out != 0 and outer.pending[place, stream] > 0.0)
                for part in range(width):
                    row[part] += served(outer.serving, stream, part, asked, held, saves)
                    if held:
                        row[part] += asked_of_root[stream] * outer.filling[stream, part]
                        if how == SERVED:
                            row[part] += served(inner.serving, stream, part, coming[stream], False, True)
            longest = 0.0
            for part in range(1, 1 + busy):
                longest = max(longest, row[part])
            if row[0] > most[0] or longest > most[1]:
                continue
            for part in range(width):
                best[at, part] = min(best[at, part], row[part])
            busiest[at] = min(busiest[at], longest)
