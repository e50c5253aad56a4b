"""Kernels for what has no closed form: tiles listed one by one, windows over several ranks, and conditions.

A component is a set of ranks that a stream's box couples. Its sums are the same as those of a single rank (see `kernels.words`):
over prefixes of its time loops, of what the first and the last visit inside a prefix share, and over steps of its loops.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.kernels_boxes import coordinates, dims_equal, group_overlap, interval, survives
from accelsim.model.kernels_positions import MAX_POSITIONS, ONE, SHARE, SUM, derive
from accelsim.model.plan import (
    DIM_HIGH,
    DIM_LOW,
    DIM_TERMS,
    GROUP_DIMS,
    GROUP_DIMS_END,
    GROUP_MASKED,
    GROUP_RANKS,
    LEAF_LOOPS,
    LEAF_MASK,
    LEAF_RANKS,
    LEAF_RANKS_END,
    LOOP_DERIVED,
    LOOP_RANK,
    LOOP_SHARE,
    LOOP_TILE,
    LOOP_TIME,
    MULTICASTS,
    RANK_EXTENT,
    RANK_KIND,
    RANK_SOURCE,
    RECOMPUTED,
    REDUCES,
    RETAINED,
    STREAM_OUTPUT,
    TERM_RANK,
    BoolArray,
    Int,
    IntArray,
    Plan,
)


@njit()
def local_nest(plan: Plan, leaf: Int, ranks_mask: Int, child: Int, points: Int) -> tuple[IntArray, IntArray]:
    """The loops of some ranks above `child` (and, for `points`, one step of 1 per rank inside): int64[loops, 6].

    Columns: slot of the rank in the component, tile, time, original loop (-1 for points), derived, trips of the largest tile.
    Also the ranks by slot.
    """
    start = plan.leaves[leaf, LEAF_LOOPS]
    first = plan.leaves[leaf, LEAF_RANKS]
    count = plan.leaves[leaf, LEAF_RANKS_END] - first
    slots = np.full(count, -1, np.int64)
    ranks = np.empty(count, np.int64)
    used = 0
    for rank in range(count):
        if ranks_mask >> rank & 1:
            slots[rank] = used
            ranks[used] = rank
            used += 1
    nest = np.empty((child - start + used, 6), np.int64)
    size = np.empty(used, np.int64)
    mapped = np.ones(used, np.bool_)
    for slot in range(used):
        row = plan.ranks[first + ranks[slot]]
        mapped[slot] = not (row[RANK_KIND] == RETAINED or row[RANK_KIND] == RECOMPUTED)
        size[slot] = row[RANK_EXTENT] if mapped[slot] else row[RANK_SOURCE]
    at = 0
    for loop in range(start, child):
        slot = slots[plan.loops[loop, LOOP_RANK]]
        if slot < 0:
            continue
        if not mapped[slot] and not plan.loops[loop, LOOP_DERIVED]:
            mapped[slot] = True
            size[slot] = plan.ranks[first + ranks[slot], RANK_EXTENT]
        tile = plan.loops[loop, LOOP_TILE]
        nest[at, 0], nest[at, 1], nest[at, 2] = slot, tile, plan.loops[loop, LOOP_TIME]
        nest[at, 3], nest[at, 4] = loop, plan.loops[loop, LOOP_DERIVED]
        nest[at, 5] = (size[slot] + tile - 1) // tile
        size[slot] = min(size[slot], tile)
        at += 1
    if points:
        for slot in range(used):
            if not mapped[slot]:
                size[slot] = plan.ranks[first + ranks[slot], RANK_EXTENT]
            nest[at, 0], nest[at, 1], nest[at, 2], nest[at, 3], nest[at, 4], nest[at, 5] = slot, 1, 1, -1, 0, size[slot]
            at += 1
    return nest[:at], ranks[:used]


@njit()
def tile_at(
    plan: Plan, first_rank: Int, nest: IntArray, ranks: IntArray, index: IntArray, low: IntArray, high: IntArray, stop: Int,
) -> bool:
    """Intervals of every rank at loop indices `index`, through the first `stop` loops; False if one is empty."""
    used = ranks.shape[0]
    for slot in range(used):
        row = plan.ranks[first_rank + ranks[slot]]
        derived = row[RANK_KIND] == RETAINED or row[RANK_KIND] == RECOMPUTED
        low[slot] = 0
        high[slot] = row[RANK_SOURCE] if derived else row[RANK_EXTENT]
        for k in range(stop):
            if nest[k, 0] != slot:
                continue
            if derived and not nest[k, 4]:
                derive(low[slot : slot + 1], high[slot : slot + 1], row)
                derived = False
            low[slot] += index[k] * nest[k, 1]
            high[slot] = min(high[slot], low[slot] + nest[k, 1])
            if high[slot] <= low[slot]:
                return False
        if derived:
            derive(low[slot : slot + 1], high[slot : slot + 1], row)
        if high[slot] <= low[slot]:
            return False
    return True


@njit()
def visited(plan: Plan, leaf: Int, nest: IntArray, real: Int, ranks: IntArray, index: IntArray, low: IntArray, high: IntArray) -> bool:
    """Does any copy have a point at these time indices that survives the condition? `real`: loops before those over points."""
    first = plan.leaves[leaf, LEAF_RANKS]
    mask = plan.leaves[leaf, LEAF_MASK]
    copies = 1
    for k in range(real):
        if not nest[k, 2]:
            copies *= nest[k, 5]
    probe = index.copy()
    for copy in range(copies):
        rest = copy
        for k in range(real - 1, -1, -1):
            if not nest[k, 2]:
                probe[k] = rest % nest[k, 5]
                rest //= nest[k, 5]
        if tile_at(plan, first, nest, ranks, probe, low, high, real) and survives(plan, mask, ranks, low, high):
            return True
    return False


@njit()
def least(marks: BoolArray) -> Int:
    """The place of the first mark, 0 if there is none."""
    for place in range(marks.shape[0]):
        if marks[place]:
            return place
    return 0


@njit()
def measure(
    plan: Plan, dims: Int, dims_end: Int, ranks: IntArray, low: IntArray, high: IntArray, alive: BoolArray, old_low: IntArray,
    old_high: IntArray, had: BoolArray, outer: Int, inner: Int,
) -> Int:
    """Words that boxes share with those before, summed over copies; copies are [outer, inner], and equal ones within one outer are one.

    For groups of equal boxes the share is what every member held before.
    """
    total: Int = 0
    leader, chain = np.empty(inner, np.int64), np.empty(inner, np.int64)
    # copies whose boxes begin alike in the first dimension are chained, so that only these are compared
    span = plan.dims[dims, DIM_HIGH] + 1 if dims_end > dims else 1
    head, following = np.full(span, -1), np.empty(inner, np.int64)
    begin, bounds = np.zeros(inner, np.int64), np.zeros(2, np.int64)
    for block in range(outer):
        base = block * inner
        for one in range(inner):
            copy = base + one
            leader[one] = -1
            if not alive[copy]:
                continue
            if dims_end > dims:
                if not interval(plan, dims, ranks, low[copy], high[copy], bounds):
                    bounds[0] = plan.dims[dims, DIM_LOW] + least(coordinates(plan, dims, ranks, low[copy], high[copy]))
                begin[one] = min(max(bounds[0], 0), span - 1)
            leader[one] = one
            other = head[begin[one]]
            while other >= 0:
                if dims_equal(plan, dims, dims_end, ranks, low, high, copy, base + other):
                    leader[one] = other
                    chain[one] = chain[other]
                    chain[other] = one
                    break
                other = following[other]
            if leader[one] == one:
                chain[one] = -1
                following[one] = head[begin[one]]
                head[begin[one]] = one
        for one in range(inner):
            if leader[one] == one:
                head[begin[one]] = -1
                total += group_overlap(plan, dims, dims_end, ranks, low, high, old_low, old_high, had, base, one, chain)
    return total


@njit()
def component_of_group(
    plan: Plan, leaf: Int, stream: Int, group: Int, parent: Int, child: Int, above: Int, fan: Int, points: Int, sums: IntArray,
    touched: IntArray,
) -> None:
    """Sums of a component by walking all its time steps and copies. Fills sums[0, prefix], sums[1, loop] and touched[distinct,
    unknown, begun]."""
    first = plan.leaves[leaf, LEAF_RANKS]
    dims, dims_end = plan.groups[group, GROUP_DIMS], plan.groups[group, GROUP_DIMS_END]
    masked = plan.groups[group, GROUP_MASKED] != 0
    share = REDUCES if plan.streams[stream, STREAM_OUTPUT] else MULTICASTS
    nest, ranks = local_nest(plan, leaf, plan.groups[group, GROUP_RANKS], child, points)
    total_loops, used = nest.shape[0], ranks.shape[0]
    real = total_loops - used if points else total_loops
    # Copies are ordered [not shared, shared]; a loop of which only the first copy counts has radix 1.
    radix = np.ones(total_loops, np.int64)
    shares = np.zeros(total_loops, np.bool_)
    outer, inner, parents, times, steps = 1, 1, 1, 0, 1
    for k in range(total_loops):
        if nest[k, 2]:
            times += 1
            steps *= nest[k, 5]
            continue
        loop = nest[k, 3]
        if (loop < parent and above == SUM) or (loop >= parent and fan != ONE):
            radix[k] = nest[k, 5]
        shares[k] = loop >= parent and fan == SHARE and plan.loops[loop, LOOP_SHARE] & share != 0
        if shares[k]:
            inner *= radix[k]
        else:
            outer *= radix[k]
        if loop < parent:
            parents *= radix[k]
    copies = outer * inner
    if float(steps) * copies > MAX_POSITIONS:
        raise OverflowError("too many tiles to list")
    sums[:] = 0
    touched[:] = 0
    output = plan.streams[stream, STREAM_OUTPUT] != 0
    cells = 1
    if output:
        for dim in range(dims, dims_end):
            cells *= plan.dims[dim, DIM_HIGH]
        if float(cells) * max(parents, outer) > MAX_POSITIONS:
            raise OverflowError("too many tiles to list")
    known = np.zeros((parents if output else 1, cells if output else 1), np.bool_)
    begun = np.zeros((outer if output else 1, cells if output else 1), np.bool_)
    low, high = np.zeros((copies, used), np.int64), np.zeros((copies, used), np.int64)
    alive, had = np.zeros(copies, np.bool_), np.zeros(copies, np.bool_)
    old_low, old_high = np.zeros((copies, used), np.int64), np.zeros((copies, used), np.int64)
    first_low, first_high = np.zeros((times + 1, copies, used), np.int64), np.zeros((times + 1, copies, used), np.int64)
    first_alive = np.zeros((times + 1, copies), np.bool_)
    index = np.zeros(total_loops, np.int64)
    before = np.zeros(total_loops, np.int64)
    parent_of = np.zeros(copies, np.int64)
    time_loops = np.empty(times, np.int64)
    at = 0
    for k in range(total_loops):
        if nest[k, 2]:
            time_loops[at] = k
            at += 1
    probe_low, probe_high = np.zeros(used, np.int64), np.zeros(used, np.int64)
    started = False
    while True:
        # every copy's tile at these time indices
        any_alive = False
        for copy in range(copies):
            rest, rest_outer, home = copy % inner, copy // inner, 0
            for k in range(total_loops - 1, -1, -1):
                if nest[k, 2]:
                    continue
                if shares[k]:
                    index[k] = rest % radix[k]
                    rest //= radix[k]
                else:
                    index[k] = rest_outer % radix[k]
                    rest_outer //= radix[k]
            for k in range(total_loops):
                if not nest[k, 2] and nest[k, 3] < parent:
                    home = home * radix[k] + index[k]
            parent_of[copy] = home
            alive[copy] = tile_at(plan, first, nest, ranks, index, low[copy], high[copy], total_loops)
            any_alive = any_alive or alive[copy]
        if any_alive and (not masked or visited(plan, leaf, nest, real, ranks, index, probe_low, probe_high)):
            level = 0
            if started:
                while index[time_loops[level]] == before[time_loops[level]]:
                    level += 1
                for prefix in range(level + 1, times + 1):
                    begin, end = first_low[prefix], first_high[prefix]
                    sums[0, prefix] += measure(
                        plan, dims, dims_end, ranks, begin, end, first_alive[prefix], old_low, old_high, had, outer, inner
                    )
                if not points:
                    sums[1, level + 1] += measure(plan, dims, dims_end, ranks, low, high, alive, old_low, old_high, had, outer, inner)
            for prefix in range(level + 1 if started else 0, times + 1):
                first_low[prefix], first_high[prefix], first_alive[prefix] = low, high, alive
            if output:
                touch(
                    plan, dims, dims_end, ranks, low, high, alive, old_low, old_high, had, points, parent_of, inner, known, begun, touched
                )
            started = True
            before[:] = index
            for copy in range(copies):
                if alive[copy]:
                    old_low[copy], old_high[copy], had[copy] = low[copy], high[copy], True
        at = times - 1
        while at >= 0:
            k = time_loops[at]
            index[k] += 1
            if index[k] < nest[k, 5]:
                break
            index[k] = 0
            at -= 1
        if at < 0:
            break
    if started:
        for prefix in range(times + 1):
            begin, end = first_low[prefix], first_high[prefix]
            sums[0, prefix] += measure(plan, dims, dims_end, ranks, begin, end, first_alive[prefix], old_low, old_high, had, outer, inner)
    sums[0, sums.shape[1] - 1] = sums[0, times]


@njit()
def touch(
    plan: Plan, dims: Int, dims_end: Int, ranks: IntArray, low: IntArray, high: IntArray, alive: BoolArray, old_low: IntArray,
    old_high: IntArray, had: BoolArray, points: Int, parent_of: IntArray, inner: Int, known: BoolArray, begun: BoolArray, touched: IntArray,
) -> None:
    """Mark what the copies of a result hold now; touched: words new to a parent copy, to each child copy, and from each of its groups.

    inner: child copies in a group.
    """
    count = dims_end - dims
    widest = 1
    for dim in range(dims, dims_end):
        widest = max(widest, plan.dims[dim, DIM_HIGH])
    cells, held = np.zeros((count + 1, widest), np.int64), np.zeros((count + 1, widest), np.bool_)
    sizes = np.zeros(count + 1, np.int64)
    for round_ in range(2):
        for copy in range(low.shape[0]):
            if not alive[copy]:
                continue
            size = 1
            for dim in range(count):
                now = coordinates(plan, dims + dim, ranks, low[copy], high[copy])
                again = had[copy] and not points
                old = coordinates(plan, dims + dim, ranks, old_low[copy], old_high[copy]) if again else now
                sizes[dim] = 0
                for k in range(now.shape[0]):
                    if now[k]:
                        cells[dim, sizes[dim]] = k + plan.dims[dims + dim, DIM_LOW]
                        held[dim, sizes[dim]] = again and old[k]
                        sizes[dim] += 1
                size *= sizes[dim]
            for cell in range(size):
                rest, position, stride, old_too = cell, 0, 1, had[copy] and not points
                for dim in range(count - 1, -1, -1):
                    which = rest % sizes[dim]
                    rest //= sizes[dim]
                    position += cells[dim, which] * stride
                    stride *= plan.dims[dims + dim, DIM_HIGH]
                    old_too = old_too and held[dim, which]
                if round_ == 0 and not begun[copy // inner, position]:
                    begun[copy // inner, position] = True
                    touched[2] += 1
                if round_ == 0:
                    if not old_too and not known[parent_of[copy], position]:
                        touched[1] += 1
                elif not known[parent_of[copy], position]:
                    known[parent_of[copy], position] = True
                    touched[0] += 1


@njit()
def slot_of(plan: Plan, dim: Int, ranks: IntArray) -> Int:
    """The component's slot of the rank that a single-rank dimension is indexed by."""
    rank = plan.terms[plan.dims[dim, DIM_TERMS], TERM_RANK]
    for slot in range(ranks.shape[0]):
        if ranks[slot] == rank:
            return slot
    return 0
