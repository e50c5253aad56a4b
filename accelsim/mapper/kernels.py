"""The batch kernel: words, time, energy and fit of many tilings of one Einsum that share their loops and keeps.

Closed form. Of a rank's loops three sums are needed up to a position: how many pieces its loops make (`pieces`), with the loops in
time beyond a depth at their first step; what those pieces measure in all; and what of it the loops beyond that depth do not cut
(`uncut`). Uneven tiles add a class of pieces per loop. Words that enter a child are the pieces' product over ranks, less what two
consecutive visits share: a step of a loop that does not index the tensor shares whatever the loops inside it do not cut.
`reference.evaluate_batch` evaluates one mapping at a time with the ordinary model. See docs/mapper.md.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.mapper.batch_plan import (
    FITS,
    KEEP_POSITION,
    LEGAL,
    LOOP_MULTICASTS,
    LOOP_RANK,
    LOOP_REDUCES,
    LOOP_TIME,
    OPTION_CHARGED,
    OPTION_CHILD,
    OPTION_EVERY_VISIT,
    OPTION_ONE,
    PORT_READ,
    PORT_SHARED,
    PORT_WRITE,
    ROW_CHILD,
    ROW_PAIR,
    ROW_PARENT,
    ROW_STREAM,
    STEADY,
    BatchPlan,
    FloatArray,
    Int,
    IntArray,
)
from accelsim.mapper.kernels_fit import fitting

DEPTHS = 17
EXPANDED, FIRST = range(2)  # a spatial loop makes pieces of its own, or only the first copy counts
INPUT, RESULT, ABOVE = range(3)  # which of the two, between a parent and its child: by what the axis shares, or none


@njit(error_model="numpy")
def rank_tables(
    loops: IntArray, tiles: IntArray, order: IntArray, above: Int, extent: Int, mode: int, pieces: IntArray, uncut: IntArray,
    size: IntArray, many: IntArray,
) -> int:  # fmt: skip
    """Sums of one rank over its first `above` loops (`order`: their positions), by how many loops in time have turned.

    pieces[depth]: pieces when the loops in time beyond a depth stay at their first step; uncut[depth]: what the pieces that those
    loops do not cut measure in all. Returns how many classes of pieces there are at the end, left in size and many.
    """
    size[0], many[0] = extent, 1
    classes, depth = 1, 0
    for at in range(-1, above):
        if at >= 0:
            loop = order[at]
            tile, time = tiles[loop], loops[loop, LOOP_TIME]
            if not time and mode == FIRST:
                for k in range(classes):
                    size[k] = min(size[k], tile)
                continue
            full, kept = 0, 0
            for k in range(classes):
                if size[k] < tile:
                    size[kept], many[kept] = size[k], many[k]
                    kept += 1
                elif size[k] == tile:
                    full += many[k]
                else:
                    times = size[k] // tile
                    rest = size[k] - times * tile
                    full += many[k] * times
                    if rest:
                        size[kept], many[kept] = rest, many[k]
                        kept += 1
            if full:
                size[kept], many[kept] = tile, full
                kept += 1
            classes = kept
            if not time:
                continue
            depth += 1
        total, whole = 0, 0
        for k in range(classes):
            # The loops inside at their first step: `times` pieces of size `main`, and a shorter one beside them if `side`.
            # `later`: what the tile measures at most at the other steps; copies that are idle then hold on to their piece.
            main, side, times, later, spread = size[k], 0, 1, 0, False
            held_main, held_side = 1, 0
            for inner in range(at + 1, above):
                loop = order[inner]
                tile = tiles[loop]
                if not loops[loop, LOOP_TIME]:
                    if mode == FIRST:
                        main = min(main, tile)
                        continue
                    busy = (later + tile - 1) // tile if later else 0
                    times = main // tile if main >= tile else 0
                    side = main - times * tile
                    held_main, held_side = max(0, times - busy), 1 if side > 0 and busy <= times else 0
                    main, spread = tile, True
                elif spread:
                    held_main, held_side = held_main if main <= tile else 0, held_side if side <= tile else 0
                    main, side = min(main, tile), min(side, tile)
                elif main > tile:
                    main, later = tile, max(min(tile, main - tile), min(tile, later))
                else:
                    later = min(later, tile)
            if spread:
                total += many[k] * (times + (1 if side else 0))
                whole += many[k] * (held_main * main + held_side * side)
            else:
                total += many[k]
                whole += many[k] * main if later == 0 else 0
        pieces[depth], uncut[depth] = total, whole
    return classes


@njit(error_model="numpy")
def time_tables(
    tiles: IntArray, order: IntArray, above: IntArray, ends: int, rank: int, extent: Int, pieces: IntArray, uncut: IntArray,
    size: IntArray, many: IntArray,
) -> int:  # fmt: skip
    """`rank_tables` for all ends at once where no loop of the rank is spatial; tiles only shrink, so the last one cuts most.

    pieces, uncut: int64[ends, ranks, depths]. Returns how many classes there are at the end.
    """
    size[0], many[0] = extent, 1
    classes, deepest = 1, above[ends - 1, rank]
    for end in range(ends - 1):
        deepest = max(deepest, above[end, rank])
    for depth in range(deepest + 1):
        if depth:
            tile = tiles[order[rank, depth - 1]]
            full, kept = 0, 0
            for k in range(classes):
                whole, count = size[k], many[k]
                if whole > tile:
                    times = whole // tile
                    full += count * times
                    whole -= times * tile
                    if whole == 0:
                        continue
                elif whole == tile:
                    full += count
                    continue
                size[kept], many[kept] = whole, count
                kept += 1
            if full:
                size[kept], many[kept] = tile, full
                kept += 1
            classes = kept
        total = 0
        for k in range(classes):
            total += many[k]
        for end in range(ends):
            last = above[end, rank]
            if depth > last:
                continue
            pieces[end, rank, depth] = total
            whole = extent
            if depth < last:
                tile, whole = tiles[order[rank, last - 1]], 0
                for k in range(classes):
                    if size[k] <= tile:
                        whole += many[k] * size[k]
            uncut[end, rank, depth] = whole
    return classes


@njit(error_model="numpy")
def crossing(
    plan: BatchPlan, stream: Int, end: Int, depths: IntArray, depth: IntArray, take: IntArray, pieces: IntArray, uncut: IntArray
) -> Int:
    """Words that cross a boundary: every visit's box, less what consecutive visits share.

    depths: int64[ends, ranks], loops in time above an end; `take`: int64[ranks], which sums of `pieces`[mode, end, rank, depth].
    """
    ranks, last = plan.extents.shape[0], plan.ends[end]
    total: Int = 1
    for rank in range(ranks):
        total *= plan.extents[rank] if plan.indexed[stream, rank] else pieces[take[rank], end, rank, depths[end, rank]]
        depth[rank] = 0
    if plan.options[OPTION_EVERY_VISIT]:
        return total
    for loop in range(last):
        if not plan.loops[loop, LOOP_TIME]:
            continue
        turning = plan.loops[loop, LOOP_RANK]
        at = depth[turning] + 1
        depth[turning] = at
        if plan.indexed[stream, turning]:
            continue
        part = pieces[take[turning], end, turning, at] - pieces[take[turning], end, turning, at - 1]
        for rank in range(ranks):
            if part == 0:
                break
            if plan.indexed[stream, rank]:
                part *= uncut[EXPANDED, end, rank, depth[rank]]
            elif rank != turning:
                part *= pieces[take[rank], end, rank, depth[rank]]
        total -= part
    return total


@njit(error_model="numpy")
def lane_issues(lanes: Int, classes: IntArray, sizes: IntArray, counts: IntArray) -> Int:
    """Issues of the first copy when points run side by side on lanes: every combination of its ranks' pieces."""
    ranks = classes.shape[0]
    combinations = 1
    for rank in range(ranks):
        combinations *= classes[rank]
    total: Int = 0
    for combination in range(combinations):
        rest: Int = combination
        points, times = 1, 1
        for rank in range(ranks):
            at = rest % classes[rank]
            rest //= classes[rank]
            points *= sizes[rank, at]
            times *= counts[rank, at]
        total += times * ((points + lanes - 1) // lanes)
    return total


@njit(error_model="numpy")
def evaluate_batch(plan: BatchPlan, candidates: IntArray, times: IntArray, energy: FloatArray, traffic: IntArray) -> None:
    """Evaluate tilings: candidates int64[n, loops] -> times int64[n, 3] (steady ticks, fits, legal), energy float64[n] (dynamic, of
    memories, pJ) and traffic int64[n, memories, 2] (pieces of bits read and written)."""
    ranks, memories, streams = plan.extents.shape[0], plan.ports.shape[0], plan.indexed.shape[0]
    ends, pairs, loops = plan.ends.shape[0], plan.pairs.shape[0], plan.loops.shape[0]
    pieces = np.zeros((2, ends, ranks, DEPTHS), np.int64)
    uncut = np.zeros((2, ends, ranks, DEPTHS), np.int64)
    classes = np.ones(ranks, np.int64)
    sizes, counts = np.zeros((ranks, 20), np.int64), np.zeros((ranks, 20), np.int64)
    depth, left = np.zeros(ranks, np.int64), np.zeros(ranks, np.int64)
    held, copies = np.zeros(memories, np.int64), np.ones(plan.axis_sizes.shape[0], np.int64)
    plain, lanes = np.zeros(ranks, np.int64), plan.fixed[1]
    size, many = np.zeros(20, np.int64), np.zeros(20, np.int64)
    # the loops of every rank, how many stand above every end, and whether one of these is spatial
    order, above = np.zeros((ranks, loops + 1), np.int64), np.zeros((ends, ranks), np.int64)
    depths, spread = np.zeros((ends, ranks), np.int64), np.zeros((ends, ranks), np.bool_)
    for rank in range(ranks):
        at = 0
        for loop in range(loops):
            if plan.loops[loop, LOOP_RANK] == rank:
                order[rank, at] = loop
                at += 1
                for end in range(ends):
                    if loop < plan.ends[end]:
                        above[end, rank] += 1
                        depths[end, rank] += plan.loops[loop, LOOP_TIME]
                        spread[end, rank] |= not plan.loops[loop, LOOP_TIME]
    any_spread = np.zeros(ranks, np.bool_)
    for rank in range(ranks):
        for end in range(ends):
            any_spread[rank] |= spread[end, rank]
    by_position = np.argsort(plan.ends)
    # which sums a boundary takes for the ranks that do not index a tensor
    modes = np.zeros((pairs, 3, ranks), np.int64)
    for pair in range(pairs):
        for loop in range(plan.pairs[pair, 0], plan.ends[plan.pairs[pair, 1]]):
            if not plan.loops[loop, LOOP_TIME]:
                rank = plan.loops[loop, LOOP_RANK]
                modes[pair, INPUT, rank] = FIRST if plan.loops[loop, LOOP_MULTICASTS] else EXPANDED
                modes[pair, RESULT, rank] = FIRST if plan.loops[loop, LOOP_REDUCES] else EXPANDED
                modes[pair, ABOVE, rank] = FIRST
    innermost = np.full((plan.keeps.shape[0], ranks), -1, np.int64)
    for row in range(plan.keeps.shape[0]):
        for loop in range(plan.keeps[row, KEEP_POSITION]):
            innermost[row, plan.loops[loop, LOOP_RANK]] = loop
    for number in range(candidates.shape[0]):
        tiles = candidates[number]
        fits = fitting(plan, tiles, innermost, left, held, copies)
        times[number, LEGAL], times[number, FITS] = fits > 0, fits == 2
        times[number, STEADY], energy[number] = 0, 0.0
        for memory in range(memories):
            traffic[number, memory, 0], traffic[number, memory, 1] = 0, 0
        if fits == 0:
            continue
        issues: Int = 1
        for rank in range(ranks):
            found = 0
            if not any_spread[rank]:
                found = time_tables(tiles, order, above, ends, rank, plan.extents[rank], pieces[EXPANDED], uncut[EXPANDED], size, many)
            for turn in range(ends if any_spread[rank] else 0):
                end = by_position[turn]
                for mode in range(2 if spread[end, rank] else 1):
                    found = rank_tables(
                        plan.loops, tiles, order[rank], above[end, rank], plan.extents[rank], mode, pieces[mode, end, rank],
                        uncut[mode, end, rank], size, many,
                    )  # fmt: skip
            # the innermost end came last, and of its modes the first copy
            points = 0
            for k in range(found):
                points += size[k] * many[k]
            left[rank] = points
            issues *= points
            if lanes > 1:
                classes[rank] = found
                for k in range(found):
                    sizes[rank, k], counts[rank, k] = size[k], many[k]
        if lanes > 1:
            issues = lane_issues(lanes, classes, sizes, counts)
        cost = 0.0
        for row in range(plan.rows.shape[0]):
            stream, pair = plan.rows[row, ROW_STREAM], plan.rows[row, ROW_PAIR]
            parent, child = plan.rows[row, ROW_PARENT], plan.rows[row, ROW_CHILD]
            end, output = plan.pairs[pair, 1], stream == streams - 1
            kind = RESULT if output else INPUT
            entering: Int = 0
            grouped: Int = 1
            if child < 0:
                for rank in range(ranks):
                    if plan.indexed[stream, rank] or modes[pair, kind, rank] == EXPANDED:
                        grouped *= plan.extents[rank]
                    else:
                        grouped *= left[rank]
            else:
                entering = crossing(plan, stream, end, depths, depth, plain, pieces, uncut)
                grouped = entering
                for rank in range(ranks):
                    if modes[pair, kind, rank] == FIRST and not plan.indexed[stream, rank]:
                        grouped = crossing(plan, stream, end, depths, depth, modes[pair, kind], pieces, uncut)
                        break
            wide, narrow = plan.widths[stream, 0], plan.widths[stream, 1]
            if not output:
                traffic[number, parent, 0] += grouped * wide
                cost += grouped * wide * plan.prices[parent, 0]
                if child >= 0:
                    traffic[number, child, 1] += entering * wide
                    cost += entering * wide * plan.prices[child, 1]
                continue
            distinct, unknown, begun = 1, 1, 1
            for rank in range(ranks):
                if plan.indexed[stream, rank]:
                    distinct *= plan.extents[rank]
                    unknown *= plan.extents[rank]
                    begun *= plan.extents[rank]
                else:
                    distinct *= pieces[modes[pair, ABOVE, rank], end, rank, 0]
                    unknown *= pieces[EXPANDED, end, rank, 0]
                    begun *= pieces[modes[pair, kind, rank], end, rank, 0]
            returned = grouped - (begun if plan.options[OPTION_CHILD] else distinct)
            updates = grouped * wide - distinct * (wide - narrow)
            traffic[number, parent, 0] += returned * wide
            traffic[number, parent, 1] += updates
            cost += returned * wide * plan.prices[parent, 0] + updates * plan.prices[parent, 2]
            if child >= 0:
                filled = returned if plan.options[OPTION_ONE] else entering - unknown
                traffic[number, child, 1] += filled * wide
                cost += filled * wide * plan.prices[child, 1]
                if plan.options[OPTION_CHARGED]:
                    complete = min(unknown, entering) if distinct == unknown else 0
                    drained = entering * wide - complete * (wide - narrow)
                    traffic[number, child, 0] += drained
                    cost += drained * plan.prices[child, 0]
        energy[number] = cost
        steady = issues * plan.fixed[0]
        for memory in range(memories):
            read = traffic[number, memory, 0] * plan.ports[memory, PORT_READ]
            written = traffic[number, memory, 1] * plan.ports[memory, PORT_WRITE]
            steady = max(steady, read + written if plan.ports[memory, PORT_SHARED] else max(read, written))
        times[number, STEADY] = steady
