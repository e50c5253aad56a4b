"""Kernels for conditions: visits of tiles that a condition leaves a point of, and the issues that these cost."""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.kernels_boxes import survives
from accelsim.model.kernels_enumeration import local_nest, slot_of, tile_at
from accelsim.model.kernels_positions import MAX_POSITIONS, ONE, SHARE, SUM, unmasked_points
from accelsim.model.plan import (
    BOX,
    DIM_DIVISOR,
    DIM_HIGH,
    DIM_LOW,
    DIM_MODULUS,
    DIM_OFFSET,
    DIM_TERMS,
    DIM_TERMS_END,
    GROUP_DIMS,
    GROUP_DIMS_END,
    GROUP_RANKS,
    LEAF_LANES,
    LEAF_LOOPS,
    LEAF_LOOPS_END,
    LEAF_MASK,
    LEAF_RANKS,
    LEAF_RANKS_END,
    LEAF_SERIAL,
    LOOP_RANK,
    LOOP_SHARE,
    LOOP_TILE,
    LOOP_TIME,
    MASK_RANKS,
    MULTICASTS,
    NAMED,
    RANK_EXTENT,
    RANK_KIND,
    REDUCES,
    STREAM_OUTPUT,
    TERM_FACTOR,
    TERM_RANK,
    BoolArray,
    Int,
    IntArray,
    Plan,
)


@njit()
def factorises(plan: Plan, leaf: Int, stream: Int, group: Int, child: Int) -> bool:
    """May the ranks under a condition be counted tile by tile, without listing copies?

    Yes if every dimension of the group is one rank, and every rank either has no spatial loop above `child` or all its tiles
    divide and its spatial loops stand inside its time loops.
    """
    start, first = plan.leaves[leaf, LEAF_LOOPS], plan.leaves[leaf, LEAF_RANKS]
    seen = 0
    for dim in range(plan.groups[group, GROUP_DIMS], plan.groups[group, GROUP_DIMS_END]):
        row = plan.dims[dim]
        if row[DIM_TERMS_END] - row[DIM_TERMS] != 1 or row[DIM_DIVISOR] != 1 or row[DIM_MODULUS] != 0:
            return False
        term = plan.terms[row[DIM_TERMS]]
        if seen >> term[TERM_RANK] & 1 or (plan.options[BOX] and abs(term[TERM_FACTOR]) != 1):
            return False
        seen |= np.int64(1) << term[TERM_RANK]
    for rank in range(plan.leaves[leaf, LEAF_RANKS_END] - first):
        if not plan.groups[group, GROUP_RANKS] >> rank & 1:
            continue
        if plan.ranks[first + rank, RANK_KIND] != NAMED:
            return False
        size, divides, spatial, ordered = plan.ranks[first + rank, RANK_EXTENT], True, False, True
        for loop in range(start, child):
            if plan.loops[loop, LOOP_RANK] != rank:
                continue
            tile = min(size, plan.loops[loop, LOOP_TILE])
            divides = divides and size % tile == 0
            size = tile
            if plan.loops[loop, LOOP_TIME]:
                ordered = ordered and not spatial
            else:
                spatial = True
        if spatial and not (divides and ordered):
            return False
    return True


@njit()
def component_of_masked_ranks(
    plan: Plan, leaf: Int, stream: Int, group: Int, parent: Int, child: Int, above: Int, fan: Int, points: Int, sums: IntArray,
    touched: IntArray,
) -> None:
    """`component_of_group` where `factorises` holds: tiles of one rank are the same or disjoint, so only time steps are walked."""
    first = plan.leaves[leaf, LEAF_RANKS]
    mask = plan.leaves[leaf, LEAF_MASK]
    share = REDUCES if plan.streams[stream, STREAM_OUTPUT] else MULTICASTS
    nest, ranks = local_nest(plan, leaf, plan.groups[group, GROUP_RANKS], child, np.int64(0))
    used, total_loops = ranks.shape[0], nest.shape[0]
    clip_low, clip_high = np.full(used, -(np.int64(1) << 62)), np.full(used, np.int64(1) << 62)
    indexed = np.zeros(used, np.bool_)
    for dim in range(plan.groups[group, GROUP_DIMS], plan.groups[group, GROUP_DIMS_END]):
        row, term = plan.dims[dim], plan.terms[plan.dims[dim, DIM_TERMS]]
        slot = slot_of(plan, dim, ranks)
        indexed[slot] = True
        factor = term[TERM_FACTOR]
        if factor > 0:
            clip_low[slot] = -((row[DIM_OFFSET] - row[DIM_LOW]) // factor)
            clip_high[slot] = -((row[DIM_OFFSET] - row[DIM_HIGH]) // factor)
        else:
            clip_low[slot] = (row[DIM_OFFSET] - row[DIM_HIGH]) // -factor + 1
            clip_high[slot] = (row[DIM_OFFSET] - row[DIM_LOW]) // -factor + 1
    # copies that hold their own tile (many), and those that tell parents apart (apart); all tiles divide where there are any
    many, apart = np.ones(used, np.int64), np.ones(used, np.int64)
    times = 0
    for k in range(total_loops):
        if nest[k, 2]:
            times += 1
            continue
        slot, loop = nest[k, 0], nest[k, 3]
        shared = fan == SHARE and not indexed[slot] and plan.loops[loop, LOOP_SHARE] & share != 0
        counted = above == SUM if loop < parent else fan != ONE and not shared
        if counted:
            many[slot] *= nest[k, 5]
        if loop < parent and above == SUM:
            apart[slot] *= nest[k, 5]
    time_nest = np.empty((times, 6), np.int64)
    at = 0
    for k in range(total_loops):
        if nest[k, 2]:
            time_nest[at] = nest[k]
            at += 1
    # a spatial loop shrinks a copy's tile below the region of all copies
    shrink = np.ones(used, np.int64)
    for k in range(total_loops):
        if not nest[k, 2]:
            shrink[nest[k, 0]] *= nest[k, 5]
    steps = 1.0
    for k in range(times):
        steps *= time_nest[k, 5]
    if steps > MAX_POSITIONS:
        raise OverflowError("too many tiles to list")
    sums[:] = 0
    touched[:] = 0
    ids = np.ones(used, np.int64)
    for k in range(times):
        ids[time_nest[k, 0]] *= time_nest[k, 5]
    cells = 1
    for slot in range(used):
        if indexed[slot]:
            cells *= ids[slot]
    output = plan.streams[stream, STREAM_OUTPUT] != 0
    seen = np.zeros(cells if output else 1, np.bool_)
    index, before = np.zeros(times, np.int64), np.zeros(times, np.int64)
    low, high = np.zeros(used, np.int64), np.zeros(used, np.int64)
    now, old = np.zeros(used, np.int64), np.zeros(used, np.int64)
    size = np.zeros(used, np.int64)
    first_id, first_size = np.zeros((times + 1, used), np.int64), np.zeros((times + 1, used), np.int64)
    started = False
    while True:
        if tile_at(plan, first, time_nest, ranks, index, low, high, times) and survives(plan, mask, ranks, low, high):
            for slot in range(used):
                now[slot] = 0
                if indexed[slot]:
                    length = max(0, min(high[slot], clip_high[slot]) - max(low[slot], clip_low[slot]))
                    if many[slot] != shrink[slot]:  # only some copies: the first of them
                        length = 0
                        piece = (high[slot] - low[slot]) // shrink[slot]
                        for copy in range(many[slot]):
                            left = low[slot] + copy * piece
                            length += max(0, min(left + piece, clip_high[slot]) - max(left, clip_low[slot]))
                    size[slot] = length
                elif points:
                    size[slot] = many[slot] * ((high[slot] - low[slot]) // shrink[slot])
                else:
                    size[slot] = many[slot]
            for k in range(times):
                slot = time_nest[k, 0]
                now[slot] = now[slot] * time_nest[k, 5] + index[k]
            level = 0
            if started:
                while index[level] == before[level]:
                    level += 1
                for prefix in range(level + 1, times + 1):
                    sums[0, prefix] += common(indexed, first_id[prefix], first_size[prefix], old)
                sums[1, level + 1] += common(indexed, now, size, old)
            for prefix in range(level + 1 if started else 0, times + 1):
                first_id[prefix], first_size[prefix] = now, size
            if output:
                cell, plain, parents, children, together = 0, 1, 1, 1, 1
                for slot in range(used):
                    if indexed[slot]:
                        cell = cell * ids[slot] + now[slot]
                        plain *= size[slot]
                    else:
                        parents *= apart[slot]
                        children *= size[slot] if not points else 1
                        together *= many[slot]
                if not seen[cell]:
                    seen[cell] = True
                    touched[0] += plain * parents
                    touched[1] += plain * children
                    touched[2] += plain * together
            started = True
            before[:] = index
            old[:] = now
        at = times - 1
        while at >= 0:
            index[at] += 1
            if index[at] < time_nest[at, 5]:
                break
            index[at] = 0
            at -= 1
        if at < 0:
            break
    if started:
        for prefix in range(times + 1):
            sums[0, prefix] += common(indexed, first_id[prefix], first_size[prefix], old)
    sums[0, sums.shape[1] - 1] = sums[0, times]


@njit()
def common(indexed: BoolArray, tile: IntArray, size: IntArray, old: IntArray) -> Int:
    """Words that a visit shares with an earlier one: per rank the tile if it is the same one, nothing if it is another."""
    total = 1
    for slot in range(indexed.shape[0]):
        if indexed[slot] and tile[slot] != old[slot]:
            return 0
        total *= size[slot]
    return total


@njit()
def masked_issues(plan: Plan, leaf: Int, out: IntArray) -> None:
    """Issues of the first copy and points of all copies over visited tiles, under a condition."""
    end = plan.leaves[leaf, LEAF_LOOPS_END]
    first = plan.leaves[leaf, LEAF_RANKS]
    lanes, mask, serial = plan.leaves[leaf, LEAF_LANES], plan.leaves[leaf, LEAF_MASK], plan.leaves[leaf, LEAF_SERIAL]
    coupled = plan.masks[mask, MASK_RANKS]
    values, many, whole = unmasked_points(plan, leaf)
    nest, ranks = local_nest(plan, leaf, coupled, end, np.int64(0))
    used, total_loops = ranks.shape[0], nest.shape[0]
    index = np.zeros(total_loops, np.int64)
    low, high = np.zeros(used, np.int64), np.zeros(used, np.int64)
    # where spatial loops stand inside a rank's time loops, all copies together cover one interval of it: no need to list them
    together = np.ones(used, np.bool_)
    spatial = np.zeros(used, np.bool_)
    copies, steps = 1, 1.0
    for k in range(total_loops):
        if nest[k, 2]:
            steps *= nest[k, 5]
            together[nest[k, 0]] = together[nest[k, 0]] and not spatial[nest[k, 0]]
        else:
            spatial[nest[k, 0]] = True
    inner = np.zeros(total_loops, np.bool_)  # spatial loops that are not listed
    for k in range(total_loops):
        inner[k] = not nest[k, 2] and together[nest[k, 0]]
        if not nest[k, 2] and not inner[k]:
            copies *= nest[k, 5]
    if steps * copies > MAX_POSITIONS:
        raise OverflowError("too many tiles to list")
    outer_nest = nest.copy()
    for k in range(total_loops):
        if inner[k]:
            outer_nest[k, 1] = np.int64(1) << np.int64(40)  # leaves the interval of all copies
    while True:
        points, first_points, first_steps, seen = 0, 0, 1, False
        for copy in range(copies):
            rest = copy
            for k in range(total_loops - 1, -1, -1):
                if not nest[k, 2] and not inner[k]:
                    index[k] = rest % nest[k, 5]
                    rest //= nest[k, 5]
            if not tile_at(plan, first, outer_nest, ranks, index, low, high, total_loops):
                continue
            size = 1
            for slot in range(used):
                size *= high[slot] - low[slot]
            points += size
            seen = seen or survives(plan, mask, ranks, low, high)
            if copy == 0 and tile_at(plan, first, nest, ranks, index, low, high, total_loops):
                first_points, first_steps = 1, 1
                for slot in range(used):
                    if serial >> ranks[slot] & 1:
                        first_steps *= high[slot] - low[slot]
                    else:
                        first_points *= high[slot] - low[slot]
        if seen:
            out[1] += points * whole
            for i in range(values.shape[0]):
                out[0] += many[i] * first_steps * ((values[i] * first_points + lanes - 1) // lanes)
        at = total_loops - 1
        while at >= 0:
            if nest[at, 2]:
                index[at] += 1
                if index[at] < nest[at, 5]:
                    break
                index[at] = 0
            at -= 1
        if at < 0:
            break
