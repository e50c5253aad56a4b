"""Counting kernels: words that cross every boundary of a Plan, in closed form wherever one exists.

How: a stream's box is a product over independent components (single ranks, and groups of ranks that share a dimension or a
condition). Words that enter a child = sum over all visits of the box, less, for every loop, what two consecutive visits
share; both sums are products over components. See docs/model.md, "Counting"; `reference.count` walks the nest instead.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.kernels_positions import ONE, SHARE, SUM, lane_issues, positions
from accelsim.model.plan import (
    ABSENT,
    BEGUN,
    BEGUN_FIRST,
    BOUND_ABOVE_CHILD,
    BOUND_ABOVE_PARENT,
    BOUND_AFRESH,
    BOUND_ALONG,
    BOUND_COMPUTE,
    BOUND_FIRST,
    BOUND_HAS,
    BOUND_SLICES,
    BOUND_STREAM,
    CLIPPED,
    DISTINCT,
    DISTINCT_FIRST,
    ENTERING,
    ENTERING_FIRST,
    EVERY_VISIT,
    GROUP_RANKS,
    GROUPED,
    GROUPED_FIRST,
    GROUPED_WORDS,
    LEAF_LANES,
    LEAF_LOOPS,
    LEAF_LOOPS_END,
    LEAF_RANKS,
    LEAF_RANKS_END,
    LOOP_RANK,
    LOOP_SHARE,
    LOOP_TILE,
    LOOP_TIME,
    MAX_LOOPS,
    MOST_PREFIXES,
    MULTICASTS,
    NAMED,
    PLAIN,
    RANK_EXTENT,
    RANK_KIND,
    REDUCES,
    REPEATED,
    ROLE_HIGH,
    ROLE_KIND,
    ROLE_LOW,
    STREAM_GROUPS,
    STREAM_LEAF,
    STREAM_OUTPUT,
    STREAM_ROLES,
    STREAM_WEIGHT,
    UNKNOWN,
    UNKNOWN_FIRST,
    Int,
    IntArray,
    Plan,
)


@njit()
def rank_sum(
    loops: IntArray, start: Int, parent: Int, child: Int, rank: Int, extent: Int, prefix: Int, above: Int, fan: Int, share: Int,
    exclusive: Int, sizes: Int, work: IntArray,
) -> Int:
    """Sum over the first `prefix` time loops of a rank and over copies, the inner time loops at their first step.

    `exclusive`: count only tiles that a copy holds through all inner steps, by size if `sizes`, else 1 each.
    Works on classes (size at the first inner step, largest size at the others, multiplicity): uneven tiles add a class per loop,
    and an inner copy keeps its tile if it is idle at the others. work: int64[3, MAX_LOOPS] scratch.
    """
    size, other, many = work[0], work[1], work[2]
    size[0], other[0], many[0] = extent, 0, 1
    classes = 1
    seen = 0
    for loop in range(start, child):
        if loops[loop, LOOP_RANK] != rank:
            continue
        tile = loops[loop, LOOP_TILE]
        expand = True
        if loops[loop, LOOP_TIME]:
            seen += 1
            if seen > prefix:
                expand = False
                if exclusive:
                    for k in range(classes):
                        if size[k] > tile:
                            other[k] = max(min(tile, size[k] - tile), min(tile, other[k]))
        elif loop < parent:
            expand = above == SUM
        elif fan == ONE or (fan == SHARE and not exclusive and loops[loop, LOOP_SHARE] & share):
            expand = False
        if not expand:
            for k in range(classes):
                size[k] = min(size[k], tile)
                other[k] = min(other[k], tile)
            continue
        full, kept, known = 0, 0, classes
        for k in range(known):
            whole, held, times = size[k], other[k], many[k]
            busy = held // tile  # copies that have other tiles at other steps
            if held - busy * tile:
                mine = min(tile, whole - busy * tile)
                if held - busy * tile < mine:  # written behind the classes still to be read
                    size[classes], other[classes], many[classes] = mine, held - busy * tile, times
                    classes += 1
                busy += 1
            left = max(0, whole - busy * tile)
            pieces = left // tile
            full += times * pieces
            if left - pieces * tile:
                size[kept], other[kept], many[kept] = left - pieces * tile, 0, times
                kept += 1
        for k in range(known, classes):
            size[kept], other[kept], many[kept] = size[k], other[k], many[k]
            kept += 1
        if full:
            size[kept], other[kept], many[kept] = tile, 0, full
            kept += 1
        classes = kept
    total = 0
    for k in range(classes):
        if other[k] == 0:
            total += many[k] * size[k] if sizes else many[k]
    return total


@njit()
def component_sum(
    plan: Plan, leaf: Int, stream: Int, rank: Int, parent: Int, child: Int, prefix: Int, above: Int, fan: Int, points: Int,
    work: IntArray,
) -> Int:
    """`rank_sum` for one rank of a stream, whatever its role; tiles of clipped or derived ranks are listed one by one."""
    start = plan.leaves[leaf, LEAF_LOOPS]
    row = plan.ranks[plan.leaves[leaf, LEAF_RANKS] + rank]
    role = plan.roles[plan.streams[stream, STREAM_ROLES] + rank]
    kind = role[ROLE_KIND]
    share = np.int64(REDUCES if plan.streams[stream, STREAM_OUTPUT] else MULTICASTS)
    exclusive = np.int64(kind != ABSENT)
    sizes = np.int64((points != 0 or kind in (PLAIN, CLIPPED)) and row[RANK_KIND] != REPEATED)
    if kind != CLIPPED and (row[RANK_KIND] == NAMED or row[RANK_KIND] == REPEATED):
        return rank_sum(plan.loops, start, parent, child, rank, row[RANK_EXTENT], prefix, above, fan, share, exclusive, sizes, work)
    low, high, every = role[ROLE_LOW], role[ROLE_HIGH], np.int64(1) << np.int64(62)
    return positions(plan.loops, start, parent, child, rank, row, prefix, above, fan, share, exclusive, sizes, low, high, every)


@njit()
def slices_sum(
    plan: Plan, leaf: Int, stream: Int, bound: IntArray, parent: Int, child: Int, prefix: Int, above: Int, fan: Int, exclusive: Int,
) -> Int:
    """`component_sum` for the rank of a recurrence's slices: of each tile those that earlier visits made."""
    start, rank = plan.leaves[leaf, LEAF_LOOPS], bound[BOUND_ALONG]
    row = plan.ranks[plan.leaves[leaf, LEAF_RANKS] + rank]
    role = plan.roles[plan.streams[stream, STREAM_ROLES] + rank]
    low, high, most, share, sizes = role[ROLE_LOW], role[ROLE_HIGH], bound[BOUND_SLICES], np.int64(MULTICASTS), np.int64(1)
    return positions(plan.loops, start, parent, child, rank, row, prefix, above, fan, share, exclusive, sizes, low, high, most)


@njit()
def words(
    plan: Plan, leaf: Int, stream: Int, bound: IntArray, parent: Int, child: Int, afresh: Int, above: Int, fan: Int, points: Int,
    group_sums: IntArray, work: IntArray, state: IntArray,
) -> Int:
    """Words over one boundary: all visits less what consecutive visits share.

    group_sums: int64[groups, 2, MOST_PREFIXES]: per group, sums at a prefix (row 0; the last entry is the sum over all visits)
    and over steps of its own loops (row 1). `points`: the compute boundary, where every point is a visit of its own.
    Loops before `afresh` share nothing: the child is empty at their next step.
    Of a recurrence that is made below the child, slices that a visit makes itself count for nothing, and those made
    before do not count if the last visit left them behind (`bound`: the row of the boundary).
    state: int64[3, 64] scratch: position of every component among its own time loops, and its sums.
    """
    first_loop = plan.leaves[leaf, LEAF_LOOPS]
    ranks = plan.leaves[leaf, LEAF_RANKS_END] - plan.leaves[leaf, LEAF_RANKS]
    roles = plan.streams[stream, STREAM_ROLES]
    groups = group_sums.shape[0]
    total = plan.streams[stream, STREAM_WEIGHT]
    every, none, along = np.int64(MAX_LOOPS), np.int64(0), bound[BOUND_ALONG]
    for rank in range(ranks):
        if rank == along:
            total *= slices_sum(plan, leaf, stream, bound, parent, child, every, above, fan, none)
        elif plan.roles[roles + rank, ROLE_KIND] != GROUPED and total:
            total *= component_sum(plan, leaf, stream, rank, parent, child, every, above, fan, points, work)
    for group in range(groups):
        total *= group_sums[group, 0, group_sums.shape[2] - 1]
    if points or total == 0 or plan.options[EVERY_VISIT]:
        return np.int64(total)
    depth, now = state[0], state[1]
    for rank in range(ranks):
        depth[rank] = 0
        if rank == along:
            now[rank] = slices_sum(plan, leaf, stream, bound, parent, child, none, above, fan, np.int64(1))
        elif plan.roles[roles + rank, ROLE_KIND] != GROUPED:
            now[rank] = component_sum(plan, leaf, stream, rank, parent, child, none, above, fan, none, work)
    for group in range(groups):
        depth[32 + group] = 0
    shared = 0
    for loop in range(first_loop, child):
        if not plan.loops[loop, LOOP_TIME]:
            continue
        rank = plan.loops[loop, LOOP_RANK]
        kind = plan.roles[roles + rank, ROLE_KIND]
        own = -1
        if kind == GROUPED:
            for group in range(groups):
                if plan.groups[plan.streams[stream, STREAM_GROUPS] + group, GROUP_RANKS] >> rank & 1:
                    own = group
            depth[32 + own] += 1
            part = group_sums[own, 1, depth[32 + own]]
        elif rank == along:
            before = slices_sum(plan, leaf, stream, bound, parent, child, depth[rank], above, fan, none)
            depth[rank] += 1
            after = slices_sum(plan, leaf, stream, bound, parent, child, depth[rank], above, fan, none)
            part = after - before if bound[BOUND_HAS] else 0
            now[rank] = slices_sum(plan, leaf, stream, bound, parent, child, depth[rank], above, fan, np.int64(1))
        else:
            depth[rank] += 1
            after = component_sum(plan, leaf, stream, rank, parent, child, depth[rank], above, fan, none, work)
            part = after - now[rank] if kind == ABSENT else 0
            now[rank] = after
        if part and loop >= afresh:
            for other in range(ranks):
                if other != rank and plan.roles[roles + other, ROLE_KIND] != GROUPED:
                    part *= now[other]
            for group in range(groups):
                if group != own:
                    part *= group_sums[group, 0, depth[32 + group]]
            shared += part
    return np.int64(total - plan.streams[stream, STREAM_WEIGHT] * shared)


@njit()
def first_touches(
    plan: Plan, leaf: Int, stream: Int, parent: Int, child: Int, above: Int, fan_indexed: Int, fan_absent: Int, touched: IntArray,
    work: IntArray,
) -> Int:
    """Words of a result that are new where they arrive, each counted once per copy that tells them apart.

    `fan_indexed`, `fan_absent`: which copies of the fan-out count, for ranks that index the result and for those that do not.
    `touched`: int64[groups], the same for every group.
    """
    ranks = plan.leaves[leaf, LEAF_RANKS_END] - plan.leaves[leaf, LEAF_RANKS]
    roles = plan.streams[stream, STREAM_ROLES]
    total = plan.streams[stream, STREAM_WEIGHT]
    every, none = np.int64(MAX_LOOPS), np.int64(0)
    for rank in range(ranks):
        kind = plan.roles[roles + rank, ROLE_KIND]
        if kind == GROUPED:
            continue
        if kind == ABSENT:
            total *= component_sum(plan, leaf, stream, rank, parent, child, none, above, fan_absent, none, work)
        else:
            total *= component_sum(plan, leaf, stream, rank, parent, child, every, above, fan_indexed, none, work)
    for group in range(touched.shape[0]):
        total *= touched[group]
    return np.int64(total)


@njit()
def wanted(plan: Plan, row: Int, variant: Int) -> tuple[bool, Int, Int]:
    """Is a variant (entering, grouped, both of the first copy) counted; which copies count above the parent and in the fan-out."""
    first, compute = plan.boundaries[row, BOUND_FIRST] != 0, plan.boundaries[row, BOUND_COMPUTE] != 0
    counted = (variant < 2 or first) and not (compute and variant in (0, 2))
    return counted, np.int64(ONE if variant >= 2 else SUM), np.int64(SUM if variant == 0 else ONE if variant == 2 else SHARE)


@njit()
def count_variant(
    plan: Plan, row: Int, variant: Int, out: IntArray, group_sums: IntArray, touched: IntArray, work: IntArray, state: IntArray,
) -> None:
    """Fill the columns of one variant; group_sums and touched hold the sums of the stream's groups for it."""
    _, above, fan = wanted(plan, row, variant)
    bound = plan.boundaries[row]
    stream = bound[BOUND_STREAM]
    leaf = plan.streams[stream, STREAM_LEAF]
    start = plan.leaves[leaf, LEAF_LOOPS]
    parent, child, afresh = start + bound[BOUND_ABOVE_PARENT], start + bound[BOUND_ABOVE_CHILD], start + bound[BOUND_AFRESH]
    compute = bound[BOUND_COMPUTE]
    column = ENTERING if variant == 0 else GROUPED_WORDS if variant == 1 else ENTERING_FIRST if variant == 2 else GROUPED_FIRST
    out[column] = words(plan, leaf, stream, bound, parent, child, afresh, above, fan, compute, group_sums, work, state)
    if not plan.streams[stream, STREAM_OUTPUT]:
        return
    entering = variant in (0, 2)
    column = UNKNOWN if variant == 0 else UNKNOWN_FIRST if variant == 2 else DISTINCT if variant == 1 else DISTINCT_FIRST
    indexed, absent = np.int64(fan if entering else SUM), np.int64(fan if entering else ONE)
    out[column] = first_touches(plan, leaf, stream, parent, child, above, indexed, absent, touched[:, np.int64(entering)], work)
    if not entering:
        column = BEGUN if variant == 1 else BEGUN_FIRST
        out[column] = first_touches(plan, leaf, stream, parent, child, above, indexed, fan, touched[:, 2], work)


@njit()
def count_leaf(plan: Plan, leaf: Int, out: IntArray, work: IntArray) -> None:
    """Issues of the first copy and points of all copies of a leaf without a condition."""
    start, end = plan.leaves[leaf, LEAF_LOOPS], plan.leaves[leaf, LEAF_LOOPS_END]
    first_rank, ranks = plan.leaves[leaf, LEAF_RANKS], plan.leaves[leaf, LEAF_RANKS_END] - plan.leaves[leaf, LEAF_RANKS]
    if plan.leaves[leaf, LEAF_LANES] > 1:
        lane_issues(plan, leaf, out)
        return
    out[0], out[1] = 1, 1
    top = np.int64(1) << np.int64(62)
    every, none, one = np.int64(MAX_LOOPS), np.int64(0), np.int64(1)
    for rank in range(ranks):
        row = plan.ranks[first_rank + rank]
        if row[RANK_KIND] == NAMED:
            out[0] *= rank_sum(plan.loops, start, end, end, rank, row[RANK_EXTENT], every, one, one, none, none, one, work)
            out[1] *= row[RANK_EXTENT]
        else:
            sizes = np.int64(row[RANK_KIND] != REPEATED)
            for first in range(2):  # the first copy, and all
                copies = np.int64(SUM if first else ONE)
                out[first] *= positions(plan.loops, start, end, end, rank, row, every, copies, copies, none, none, sizes, -top, top, top)


@njit()
def count(plan: Plan) -> tuple[IntArray, IntArray]:
    """Words over every boundary, and issues and visited points of every leaf, of a plan without groups and conditions.

    Returns int64[boundaries, 10] (columns ENTERING … BEGUN_FIRST of `model.plan`) and int64[leaves, 2]
    (issues of the first copy; points of all visited tiles over all copies).
    """
    out = np.zeros((plan.boundaries.shape[0], 10), np.int64)
    work, state = np.empty((3, 2 * MAX_LOOPS + 2), np.int64), np.zeros((3, 64), np.int64)
    no_sums, no_touched = np.zeros((0, 2, MOST_PREFIXES), np.int64), np.zeros((0, 3), np.int64)
    for row in range(plan.boundaries.shape[0]):
        if plan.streams[plan.boundaries[row, BOUND_STREAM], STREAM_WEIGHT] == 0:
            continue
        for variant in range(4):
            if wanted(plan, row, variant)[0]:
                count_variant(plan, row, variant, out[row], no_sums, no_touched, work, state)
    leaves = np.zeros((plan.leaves.shape[0], 2), np.int64)
    for leaf in range(plan.leaves.shape[0]):
        count_leaf(plan, leaf, leaves[leaf], work)
    return out, leaves


def count_plan(plan: Plan) -> tuple[IntArray, IntArray]:
    """Count any plan: the larger kernel, slow to compile, only where windows or conditions need it."""
    if len(plan.groups) or len(plan.masks):
        from accelsim.model.kernels_grouped import count_grouped

        words_by_boundary, by_leaf = count_grouped(plan)
    else:
        words_by_boundary, by_leaf = count(plan)
    return words_by_boundary, by_leaf
