"""Completions of one Einsum from the inside out: what is the least that the levels below a tile can cost?

For every tile that is asked for, candidates are listed (`kernels_candidates`), and those that no bound rules out (`kernels_floors`) are
put around all labels of the tile inside (`kernels_labels`). Labels that another one beats in every part are dropped.
`tests/mapper/brute.py` lists every mapping and asks the model. See docs/mapspace.md.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.mapper.kernels_candidates import NO_CANDIDATES, enlist, enlist_outermost
from accelsim.mapper.kernels_dominance import CLOSE, insert, is_sum, net, room_for, worth_in_all
from accelsim.mapper.kernels_floors import hopeless, hopeless_inside, hopeless_way
from accelsim.mapper.kernels_labels import (
    NOWHERE,
    ROOT,
    SLACK,
    apply_axes,
    begun_at,
    conclude,
    flags_of,
    key_of,
    only_busiest,
    open_of,
    pending_at,
    relax,
    serve,
    settle,
    store,
    turn,
    whole,
)
from accelsim.mapper.kernels_orders import arrange_all, block
from accelsim.mapper.kernels_tiles import NO, NOBODY, NONE, YES, bits_of, growable, index_of, spread, tile_of
from accelsim.mapper.leaf_plan import (
    ALONE,
    COMPLETE,
    GAIN_COPIES,
    PTR_CHOICE,
    PTR_INNER,
    PTR_KEPT,
    PTR_ORDER,
    PTR_TILE,
    FloatArray,
    Int,
    IntArray,
    Labels,
    LeafPlan,
    Room,
)

NO_ROOM, NO_TIME = -1, -3
STATES, COUNT, AT_LEVEL = 7, 3, 6  # rows of what is remembered of a search: how many labels a level has, where it was
_EACH, _COMPARED = 16, 64  # comparisons that a label costs anyhow, and that take as long as listing a candidate


@njit(error_model="numpy", _nrt=False)
def complete(
    plan: LeafPlan, labels: Labels, start: Int, number: Int, given: Int, allowed: Int, above: FloatArray, roomy: Int, single: Int,
    uses: IntArray, weights: FloatArray, limit: FloatArray, floors: FloatArray, reach: FloatArray, insides: FloatArray, order_of: IntArray,
    bounds: FloatArray, ranking: IntArray, state: IntArray, outers: IntArray, within: FloatArray, desk: Room, patience: Int,
) -> Int:  # fmt: skip
    """All good ways to run an Einsum below a tile at a level, and below whatever tiles inside it that takes. Returns how many.

    Labels of level k are ways to complete the Einsum below memory k - 1; those of levels above 1 go to their pools. Those of level 1
    stay in its scratch and are final: energy, times (the busiest alone if `single`), and in place of what is open the bits that memory
    1 holds, and whether a result that it holds already gets partial sums. `given`: tensors that memory 1 holds already; `allowed`: those
    that it may keep; `above`: by how much idle loops further out divide what is open; `roomy`: only tiles that could not be larger.

    Depth first, without recursion (Numba does not cache it): every level has a list of candidates, best first, and waits while the
    labels of a tile inside are worked out. What a bound shows to be worse than a label that is known is left out; at level 1 in what
    `uses` (energy, times, traffic, bits) names, or in the sum with `weights` if there are any (`worth_in_all`), and what is beyond `limit`
    (energy, the busiest of the times, that sum). Above level 1, a number is
    that of a tile plus `tiles` times the set of tensors that the memory outside keeps and pays for, the root apart. floors:
    float64[levels, sets + 1, label], of every level for the whole tile, and in the last row whatever the set. reach: of `note_reach`.
    insides: float64[levels, sets, tiles, 1 + times], bounds of the labels of every tile, or none.
    order_of int64[levels, n, 4], bounds float64[levels, n, label], ranking int64[levels, n]: room for the lists. -1: no room for
    labels, -2: none for candidates, -3: more than `patience` candidates were listed: called again, it goes on where it was, which
    state int64[STATES, levels], outers int64[levels, ranks] and within float64[levels] remember; state[AT_LEVEL, 0] is 0 for a fresh start.
    `labels.used[0]` counts them. desk: to work in.
    Above level 1 candidates are listed for one way to spread after the other, and not for those that are hopeless.
    """
    ranks, units = plan.extents.shape[0], plan.ports.shape[0]
    tiles: Int = NO + 1
    for rank in range(ranks):
        tiles *= plan.size_count[rank]
    if start > 1 and labels.first[start, number] >= 0 and labels.within[start, number] == np.inf:
        return int(labels.counts[start, number])
    numbers, size, at, count, ways, cut = state[0], state[1], state[2], state[COUNT], state[4], state[5]
    tile, inside, steps, pieces, shared, chosen = desk.tile, desk.inside, desk.steps, desk.pieces, desk.shared, desk.chosen
    pointer, value, known, sequences, terms, room = desk.pointer, desk.value, desk.known, desk.sequences, desk.terms, desk.tiles
    summed = is_sum(weights) and not uses[3]
    arrange_all(plan, sequences)
    level = state[AT_LEVEL, 0]
    state[AT_LEVEL, 0] = NONE
    if level == NONE:
        level = start
        for each in range(units + 2):
            size[each], within[each], count[each] = NOBODY, np.inf, NONE
        within[1], numbers[level] = limit[2], number
    while True:
        served = numbers[level] // tiles
        outer = outers[level]
        if level == units:
            tile_of(plan, numbers[level], outer)
            found = unit_labels(plan, outer, labels, level, served, inside, pointer, above, value, weights)
            if level == 1:
                return found
            if not store(labels, level, numbers[level], found, np.inf):
                return NO_ROOM
            if level == start:
                return found
            level -= 1
            continue
        if size[level] < 0:
            tile_of(plan, numbers[level], outer)
            ways[level], size[level], at[level], count[level], cut[level] = plan.way_first[level], 0, 0, 0, NO
        while at[level] == size[level] and ways[level] < plan.way_first[level + 1]:
            upto = plan.way_first[level + 1] if level == 1 else ways[level] + 1
            if level == 1:
                at[level] = 0
                size[level] = enlist_outermost(
                    plan, outers[level], given, allowed, roomy, single, limit, floors[level + 1], reach, insides, weights,
                    order_of[level], bounds[level], ranking[level], room, pieces, known, value, terms, sequences, chosen, labels.used,
                )  # fmt: skip
            elif spread(plan, ways[level], outer, inside) and not hopeless_way(
                plan, labels, level, count[level], ways[level], served, floors[level + 1], reach[level + 1, index_of(plan, inside)], value,
                within[level], cut,
            ):  # fmt: skip
                at[level] = 0
                size[level] = enlist(
                    plan, level, outers[level], served, floors[level + 1], reach, insides, ways[level], order_of[level], bounds[level],
                    ranking[level], labels, count[level], within[level], cut, desk,
                )  # fmt: skip
            ways[level] = upto
            if size[level] < 0:
                return NO_CANDIDATES
            if at[level] == 0:
                patience -= size[level]
                labels.used[ROOT] += size[level]
                if patience < 0 and level < units - 1:
                    state[AT_LEVEL, 0] = level
                    return NO_TIME
        waits = False
        while at[level] < size[level]:
            row = ranking[level, at[level]]
            way, kept, inner_number, order = (
                order_of[level, row, 0], order_of[level, row, 1], order_of[level, row, 2], order_of[level, row, 3]
            )  # fmt: skip
            bound, has = bounds[level, row], kept | (given if level == 1 else NONE)
            if level == 1:
                slack = min(limit[0] - bound[0], room_for(plan, weights, bound, within[1]))
                if slack < 0.0 or hopeless(plan, labels.scratch[1], count[1], bound, uses, weights):
                    at[level] += 1
                    continue
            else:
                slack = within[level] - net(plan, level, bound)
                if slack < 0.0:
                    cut[level] = YES
                if slack < 0.0 or hopeless_inside(plan, labels, level, count[level], bound, kept, served, way):
                    at[level] += 1
                    continue
            wanted = inner_number + tiles * has
            enough = spent_inside(plan, level, has, inner_number, floors, insides)
            enough += slack + CLOSE * abs(enough + slack) if slack < np.inf else np.inf
            if labels.first[level + 1, wanted] >= 0 and labels.within[level + 1, wanted] < enough:  # once more, but not again and again
                enough = enough + slack if level == 1 else np.inf
            if labels.first[level + 1, wanted] < 0 or labels.within[level + 1, wanted] < enough:
                numbers[level + 1], size[level + 1], within[level + 1] = wanted, -1, enough
                waits = True
                break
            if labels.within[level + 1, wanted] < np.inf:  # what is left out there would have become labels here
                cut[level] = YES
            spread(plan, way, outer, inside)
            tile_of(plan, inner_number, tile)
            more = growable(plan, level, kept, inside, tile, pieces) if kept and (roomy or level > 1) else NONE
            turning = block(plan, level, inside, tile, order, sequences, steps, shared)
            pointer[PTR_TILE], pointer[PTR_KEPT], pointer[PTR_ORDER], pointer[PTR_CHOICE] = inner_number, kept, order, way
            count[level] = surround(
                plan, labels, level, tile, kept, given if level == 1 else NONE, more, turning, shared, way, above, single, weights,
                within[level], value, pointer, served, tiles, count[level], cut,
            )  # fmt: skip
            if count[level] < 0:
                return NO_ROOM
            for found in range(count[1] if level == 1 and summed else NONE):
                within[1] = min(within[1], worth_in_all(plan, weights, labels.scratch[1, found]))
            at[level] += 1
            # what comparing labels takes, in the time that a candidate takes to list
            patience -= labels.counts[level + 1, wanted] * (_EACH + count[level]) // _COMPARED
            if patience < 0 and level < units - 1:
                state[AT_LEVEL, 0] = level
                return NO_TIME
        if waits:
            level += 1
            continue
        if ways[level] < plan.way_first[level + 1]:
            continue
        if level == 1:
            if count[1] == 0:  # leave word of the least
                bounds[1, 0, bounds.shape[2] - 1] = np.inf if size[1] == 0 else worth_in_all(plan, weights, bounds[1, ranking[1, 0]])
            return int(count[1])
        if not store(labels, level, numbers[level], count[level], within[level] if cut[level] else np.inf):
            return NO_ROOM
        if level == start:
            return int(count[level])
        level -= 1


@helper()
def spent_inside(plan: LeafPlan, level: Int, kept: Int, number: Int, floors: FloatArray, insides: FloatArray) -> float:
    """What a bound of a level takes the labels of a tile inside to spend at least, less what first touches save."""
    floor = floors[level + 1, kept]
    spent = floor[0] - floor[plan.times + 1]
    return float(max(spent, insides[level + 1, kept, number, 0]) if insides.shape[2] else spent)


@helper()
def unit_labels(
    plan: LeafPlan, tile: IntArray, labels: Labels, level: Int, served: Int, inner: IntArray, pointer: IntArray, above: FloatArray,
    value: FloatArray, weights: FloatArray,
) -> Int:  # fmt: skip
    """Ways to compute a tile on the unit: spread over the axes before it. Leaves them in the level's scratch; returns how many."""
    time, streams, ranks = plan.times, plan.indexed.shape[0], plan.extents.shape[0]
    count: Int = NONE
    for way in range(plan.way_first[level], plan.way_first[level + 1]):
        if not spread(plan, way, tile, inner):
            continue
        for part in range(value.shape[0]):
            value[part] = 0.0
        points = 1
        for rank in range(ranks):
            points *= plan.sizes[rank, inner[rank]]
        value[0] = plan.energy
        value[1 + plan.latency_at] = plan.depth
        value[1] = plan.points / points * ((points + plan.lanes - 1) // plan.lanes) * plan.issue
        flags: Int = ALONE | COMPLETE
        for rank in range(ranks):
            if inner[rank] > 0 and not plan.indexed[streams - 1, rank]:
                flags &= ~COMPLETE
        for stream in range(streams):
            value[pending_at(time, stream)] = plan.points
        value[begun_at(time, streams)] = plan.words[streams - 1]
        flags = apply_axes(plan, way, value, flags)
        serve(plan, level - 1, served, NONE, flags, NOBODY, NOWHERE, value)
        relax(plan, value)
        pointer[PTR_INNER], pointer[PTR_TILE], pointer[PTR_KEPT], pointer[PTR_ORDER] = -1, -1, 0, 0
        pointer[PTR_CHOICE] = way
        key = key_of(plan, flags, NONE, NOBODY, served, NOWHERE)
        if level == 1:
            conclude(plan, NONE, above, NONE, NONE, flags, NOBODY, NOWHERE, value)
            key = NONE
        count = insert(plan, labels, level, count, value, key, pointer, weights)
        if count < 0:
            return -1
    return count


@helper()
def surround(
    plan: LeafPlan, labels: Labels, level: Int, tile: IntArray, kept: Int, given: Int, more: Int, turning: Int, shared: FloatArray,
    way: Int, above: FloatArray, single: Int, weights: FloatArray, within: float, value: FloatArray, pointer: IntArray, served: Int,
    tiles: Int, count: Int, cut: IntArray,
) -> Int:  # fmt: skip
    """Add to a level's scratch what the labels inside a tile become with its memory's keeps, loops in time and axes around them.

    served: tensors that the memory outside (not the root) keeps, and pays for. within: what is beyond it is left out, which `cut` notes: at
    level 1 the sum of all, above it energy.
    """
    time, last = plan.times, plan.indexed.shape[0] - 1
    inner_number = pointer[PTR_TILE] + (kept | given) * tiles
    first, found = labels.first[level + 1, inner_number], labels.counts[level + 1, inner_number]
    for inner in range(first, first + found):
        if more and not worth_small(plan, more, open_of(labels.keys[level + 1, inner])):
            continue
        open_set, flags, child, places = settle(plan, labels, level, inner, tile, kept, value)
        if flags < 0:
            continue
        partial = NO if whole(plan, flags_of(labels.keys[level + 1, inner]), tile) else YES
        open_set, flags = turn(plan, turning, shared, open_set, flags, value)
        flags = apply_axes(plan, way, value, flags)
        places *= np.int64(plan.gains[way, GAIN_COPIES])
        if level > 1:
            child = serve(plan, level - 1, served, open_set, flags, child, places, value)
        relax(plan, value)
        if level > 1 and net(plan, level, value) > within:
            cut[level] = YES
            continue
        key = key_of(plan, flags, open_set, child, served, places)
        if level == 1:
            held = bits_of(plan, kept, tile, partial)
            conclude(plan, given, above, held, open_set, flags, child, places, value)
            if single:
                only_busiest(plan, value)
            if (given >> last) & 1 and partial:
                value[2 * time + 3] = 1.0
            key = NONE
            if within < np.inf and worth_in_all(plan, weights, value) > within * SLACK:
                continue
        pointer[PTR_INNER] = inner
        count = insert(plan, labels, level, count, value, key, pointer, weights)
        if count < 0:
            return count
    return count


@helper()
def worth_small(plan: LeafPlan, more: Int, open_inside: Int) -> bool:
    """May a tile that could be larger along some ranks be worth it? Only if each of these ranks would end the sharing of a tile inside."""
    for rank in range(plan.extents.shape[0]):
        if not (more >> rank) & 1:
            continue
        held = False
        for stream in range(plan.indexed.shape[0]):
            held = held or bool((open_inside >> stream) & 1 and plan.indexed[stream, rank])
        if not held:
            return False
    return True
