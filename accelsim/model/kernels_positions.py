"""Kernels that list the tiles of one rank: for ranks that are clipped or derived, and for units of several lanes."""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.plan import (
    LEAF_LANES,
    LEAF_LOOPS,
    LEAF_LOOPS_END,
    LEAF_MASK,
    LEAF_RANKS,
    LEAF_RANKS_END,
    LEAF_SERIAL,
    LOOP_DERIVED,
    LOOP_RANK,
    LOOP_SHARE,
    LOOP_TILE,
    LOOP_TIME,
    MASK_RANKS,
    RANK_EXTENT,
    RANK_FACTOR,
    RANK_KIND,
    RANK_OFFSET,
    RANK_SOURCE,
    RANK_WIDTH,
    RECOMPUTED,
    REPEATED,
    RETAINED,
    Int,
    IntArray,
    Plan,
)

MAX_POSITIONS = 1 << 26  # tiles listed for one boundary before the kernel refuses
SUM, ONE, SHARE = 0, 1, 2  # what a spatial loop contributes: all its copies, its first, or its first where the axis shares


@njit()
def derive(lows: IntArray, highs: IntArray, row: IntArray) -> None:
    """Turn intervals of the consumer's rank into intervals of the producer's rank, in place (see RANK_* in `model.plan`)."""
    factor, offset, width, extent = row[RANK_FACTOR], row[RANK_OFFSET], row[RANK_WIDTH], row[RANK_EXTENT]
    for k in range(lows.shape[0]):
        if highs[k] <= lows[k]:
            lows[k], highs[k] = 0, 0
            continue
        left = max(0, factor * lows[k] + offset)
        right = min(extent, factor * (highs[k] - 1) + offset + width)
        if row[RANK_KIND] == RETAINED and lows[k] > 0:
            left = max(left, min(extent, factor * (lows[k] - 1) + offset + width))
        lows[k], highs[k] = left, max(left, right)


@njit()
def positions(
    loops: IntArray, start: Int, parent: Int, child: Int, rank: Int, row: IntArray, prefix: Int, above: Int, fan: Int, share: Int,
    exclusive: Int, sizes: Int, low: Int, high: Int, most: Int,
) -> Int:
    """`kernels.rank_sum` with every tile listed, of which the first `most` places count: for clipped and derived ranks, and slices."""
    derived = row[RANK_KIND] == RETAINED or row[RANK_KIND] == RECOMPUTED
    lows, highs, others = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
    highs[0] = row[RANK_SOURCE] if derived else row[RANK_EXTENT]
    seen = 0
    for loop in range(start, child):
        if loops[loop, LOOP_RANK] != rank:
            continue
        if derived and not loops[loop, LOOP_DERIVED]:
            derive_listed(lows, highs, others, row)
            derived = False
        tile = loops[loop, LOOP_TILE]
        expand = True
        if loops[loop, LOOP_TIME]:
            seen += 1
            if seen > prefix:
                expand = False
                if exclusive:
                    for k in range(lows.shape[0]):
                        if highs[k] - lows[k] > tile:
                            others[k] = max(min(tile, highs[k] - lows[k] - tile), min(tile, others[k]))
        elif loop < parent:
            expand = above == SUM
        elif fan == ONE or (fan == SHARE and not exclusive and loops[loop, LOOP_SHARE] & share):
            expand = False
        if not expand:
            for k in range(lows.shape[0]):
                highs[k] = min(highs[k], lows[k] + tile)
                others[k] = min(others[k], tile)
            continue
        pieces = 0
        for k in range(lows.shape[0]):
            pieces += max(0, (highs[k] - lows[k] + tile - 1) // tile)
        if pieces > MAX_POSITIONS:
            raise OverflowError("too many tiles to list")
        new_lows, new_highs, new_others = np.empty(pieces, np.int64), np.empty(pieces, np.int64), np.empty(pieces, np.int64)
        at = 0
        for k in range(lows.shape[0]):
            low_edge = lows[k]
            while low_edge < highs[k]:
                new_lows[at], new_highs[at] = low_edge, min(low_edge + tile, highs[k])
                new_others[at] = max(0, min(tile, others[k] - (low_edge - lows[k])))
                low_edge += tile
                at += 1
        lows, highs, others = new_lows, new_highs, new_others
    if derived:
        derive_listed(lows, highs, others, row)
    total = 0
    for k in range(lows.shape[0]):
        if highs[k] > lows[k] and others[k] == 0:
            total += max(0, min(highs[k], high, lows[k] + most) - max(lows[k], low)) if sizes else 1
    return total


@njit()
def derive_listed(lows: IntArray, highs: IntArray, others: IntArray, row: IntArray) -> None:
    """`derive`, with the size that the tile has at other steps."""
    derive(lows, highs, row)
    for k in range(others.shape[0]):
        if others[k]:
            reach = row[RANK_FACTOR] * (others[k] - 1) + max(row[RANK_FACTOR], row[RANK_WIDTH])
            others[k] = min(row[RANK_EXTENT], reach)


@njit()
def unmasked_points(plan: Plan, leaf: Int) -> tuple[IntArray, IntArray, Int]:
    """Over ranks that no condition couples: points of the first copy's tiles, how often each size occurs, and points of all copies.

    Of ranks whose points are taken one after the other each step is a tile of its own.
    """
    start, end = plan.leaves[leaf, LEAF_LOOPS], plan.leaves[leaf, LEAF_LOOPS_END]
    first = plan.leaves[leaf, LEAF_RANKS]
    count = plan.leaves[leaf, LEAF_RANKS_END] - first
    mask, serial = plan.leaves[leaf, LEAF_MASK], plan.leaves[leaf, LEAF_SERIAL]
    coupled = plan.masks[mask, MASK_RANKS] if mask >= 0 else 0
    values, many = np.ones(1, np.int64), np.ones(1, np.int64)
    whole: Int = 1
    top = np.int64(1) << np.int64(62)
    for rank in range(count):
        if coupled >> rank & 1:
            continue
        row = plan.ranks[first + rank]
        repeated = row[RANK_KIND] == REPEATED
        every, none = np.int64(64), np.int64(SUM)
        whole *= positions(plan.loops, start, end, end, rank, row, every, none, none, none, none, np.int64(not repeated), -top, top, top)
        sizes, times = first_copy_sizes(plan.loops, start, end, rank, row)
        if serial >> rank & 1 and not repeated:
            times *= sizes
            sizes = np.ones(sizes.shape[0], np.int64)
        new_values = np.empty(values.shape[0] * sizes.shape[0], np.int64)
        new_many = np.empty(values.shape[0] * sizes.shape[0], np.int64)
        at = 0
        for i in range(values.shape[0]):
            for k in range(sizes.shape[0]):
                new_values[at], new_many[at] = values[i] * (1 if repeated else sizes[k]), many[i] * times[k]
                at += 1
        values, many = new_values, new_many
    return values, many, whole


@njit()
def lane_issues(plan: Plan, leaf: Int, out: IntArray) -> None:
    """Issues of the first copy on a unit of several lanes, and points of all copies, without a condition."""
    lanes = plan.leaves[leaf, LEAF_LANES]
    values, many, whole = unmasked_points(plan, leaf)
    for i in range(values.shape[0]):
        out[0] += many[i] * ((values[i] + lanes - 1) // lanes)
    out[1] = whole


@njit()
def first_copy_sizes(loops: IntArray, start: Int, end: Int, rank: Int, row: IntArray) -> tuple[IntArray, IntArray]:
    """Sizes of the first copy's tiles of a rank over all time steps, with how often each occurs."""
    if row[RANK_KIND] == RETAINED or row[RANK_KIND] == RECOMPUTED:
        lows, highs = np.zeros(1, np.int64), np.full(1, row[RANK_SOURCE])
    else:
        lows, highs = np.zeros(1, np.int64), np.full(1, row[RANK_EXTENT])
    many = np.ones(1, np.int64)
    derived = row[RANK_KIND] == RETAINED or row[RANK_KIND] == RECOMPUTED
    for loop in range(start, end):
        if loops[loop, LOOP_RANK] != rank:
            continue
        if derived and not loops[loop, LOOP_DERIVED]:
            derive(lows, highs, row)
            derived = False
        tile = loops[loop, LOOP_TILE]
        if not loops[loop, LOOP_TIME]:
            for k in range(lows.shape[0]):
                highs[k] = min(highs[k], lows[k] + tile)
            continue
        if derived:
            pieces = 0
            for k in range(lows.shape[0]):
                pieces += max(0, (highs[k] - lows[k] + tile - 1) // tile)
            new_lows, new_highs = np.empty(pieces, np.int64), np.empty(pieces, np.int64)
            at = 0
            for k in range(lows.shape[0]):
                left = lows[k]
                while left < highs[k]:
                    new_lows[at], new_highs[at] = left, min(left + tile, highs[k])
                    left += tile
                    at += 1
            lows, highs, many = new_lows, new_highs, np.ones(pieces, np.int64)
            continue
        room = 2 * lows.shape[0]
        new_lows, new_highs, new_many = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
        at = 0
        for k in range(lows.shape[0]):
            size = highs[k] - lows[k]
            if size >= tile:
                new_highs[at], new_many[at] = tile, many[k] * (size // tile)
                at += 1
            if size % tile and size > 0:
                new_highs[at], new_many[at] = size % tile, many[k]
                at += 1
        lows, highs, many = new_lows[:at], new_highs[:at], new_many[:at]
    if derived:
        derive(lows, highs, row)
    return highs - lows, many
