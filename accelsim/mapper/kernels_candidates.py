"""Candidates: what may stand directly below a tile (keeps, tile inside, order of loops), each with a bound, the best first."""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper
from accelsim.mapper.kernels_dominance import is_sum, worth_in_all
from accelsim.mapper.kernels_floors import OUTERMOST, is_in_vain, lay_out, of_use, promise, weigh
from accelsim.mapper.kernels_labels import (
    ROOT,
    only_busiest,
    pending_at,
)
from accelsim.mapper.kernels_orders import line_up, list_orders, ordered, same_as_before, share_out, step
from accelsim.mapper.kernels_tiles import ALL, NO, NOBODY, NONE, YES, advance, bits_of, copy, index_of, only_largest, shares_nothing, spread
from accelsim.mapper.leaf_plan import OPTION_EVERY_VISIT, FloatArray, Int, IntArray, Labels, LeafPlan, Room

NO_CANDIDATES = -2
FEW = 32  # candidates that are sorted by insertion
MANY = 64  # tiles that take longer to list than to see that none of them is of use


@helper()
def enlist(
    plan: LeafPlan, level: Int, outer: IntArray, served: Int, floors: FloatArray, reach: FloatArray, insides: FloatArray, way: Int,
    order_of: IntArray, bounds: FloatArray, ranking: IntArray, labels: Labels, count_known: Int, within: float, cut: IntArray, desk: Room,
) -> Int:  # fmt: skip
    """List what may stand below a tile at a level above 1 (keeps, tile inside, order), with bounds, best first. -2 if there is no room.

    way: to spread. Keeps with many tiles of which every label is beyond an energy (noted in `cut`), or worse than one of those known, are
    left out, unless looking for such keeps was in vain too often.
    """
    tile, inside, at, shared = desk.tiles[0], desk.tiles[1], desk.tiles[2], desk.shared
    pieces, known, value, steps, sequences, chosen = desk.pieces, desk.known, desk.value, desk.steps, desk.sequences, desk.chosen
    least, held_to, nested = only_largest(plan, level), ordered(plan, level), plan.inside[level]
    count: Int = NONE
    if not spread(plan, way, outer, inside):
        return count
    tiles: Int = 1  # at most
    for rank in range(inside.shape[0]):
        tiles *= inside[rank] + 1
    for row in range(plan.subset_count[level]):
        kept = plan.subsets[level, row]
        if plan.must[level] & ~kept or floors[kept, 0] == np.inf:
            continue
        if kept and tiles >= MANY:
            desk.turns[level] -= 1
            if desk.turns[level] < 0 and is_in_vain(
                plan, labels, level, count_known, inside, kept, served, way, floors[kept], reach, within, cut, desk
            ):
                continue
        several = list_orders(plan.orders, plan.options[OPTION_EVERY_VISIT], held_to, kept, chosen)
        if not (kept & (kept - 1) or not least or plan.ruled[level] or held_to or not shares_nothing(plan, level)):
            several = min(several, YES)  # the loops are over the one tensor's own ranks: no order shares anything
        at[0] = NOBODY
        while advance(plan, inside, at, tile, kept, level, least, least, pieces):
            orders = NONE
            number = index_of(plan, tile)
            turning = step(plan, inside, tile, steps)
            for place in range(several):
                order = chosen[place]
                line = line_up(nested, held_to, sequences, order, steps)
                if line < 0:
                    break
                share_out(plan.indexed, ALL, sequences[line], steps, shared)
                if same_as_before(known, orders, shared):
                    continue
                orders += 1
                if count == order_of.shape[0]:
                    return NO_CANDIDATES
                promise(plan, level, tile, number, kept, served, turning, shared, way, floors[kept], reach, insides, value)
                copy(bounds[count], value)
                order_of[count, 0], order_of[count, 1], order_of[count, 2], order_of[count, 3] = way, kept, number, order
                count += 1
    rank_candidates(plan, level, bounds, count, value, ranking)
    return count


@helper()
def enlist_outermost(
    plan: LeafPlan, outer: IntArray, given: Int, allowed: Int, roomy: Int, single: Int, limit: FloatArray, floors: FloatArray,
    reach: FloatArray, insides: FloatArray, weights: FloatArray, order_of: IntArray, bounds: FloatArray, ranking: IntArray,
    tiles: IntArray, pieces: IntArray, known: FloatArray, value: FloatArray, terms: FloatArray, sequences: IntArray, chosen: IntArray,
    work: IntArray,
) -> Int:  # fmt: skip
    """The same at level 1, for all ways to spread, without what is beyond the limit. work[0]: counts some of what was looked at.

    Bounds are float64[1 + times]; in place of what is open, the bits that memory 1 holds. terms float64[tensors + 5, 1 + times]: more room.
    """
    time, ranks, level = plan.times, plan.extents.shape[0], OUTERMOST
    tile, inside, at, shared = tiles[0], tiles[1], tiles[2], known[plan.orders.shape[0]]
    always = ALL if plan.options[OPTION_EVERY_VISIT] else NONE
    least = only_largest(plan, level) if roomy else NO
    uncut = shares_nothing(plan, level) if plan.grows[level] else NO
    held_to, nested = ordered(plan, level), plan.inside[level]
    count: Int = NONE
    looked: Int = NONE
    for way in range(plan.way_first[level], plan.way_first[level + 1]):
        if not spread(plan, way, outer, inside):
            continue
        for row in range(plan.subset_count[level]):
            kept = plan.subsets[level, row]
            floor = floors[kept | given]
            if kept & ~allowed or plan.must[level] & ~(kept | given) or floor[0] == np.inf:
                continue
            for rank in range(ranks):
                tile[rank] = plan.size_count[rank] - 1
            weigh(plan, kept, given, way, floor, tile, terms, value)
            concerned = kept if always else ALL
            several = list_orders(plan.orders, plan.options[OPTION_EVERY_VISIT], held_to, kept, chosen)
            at[0] = NOBODY
            while advance(plan, inside, at, tile, kept, level, least, least or uncut, pieces):
                number = index_of(plan, tile)
                lay_out(plan, kept, given, tile, number, inside, floor, reach, insides, terms)
                bits = bits_of(plan, kept, tile, NO)
                orders, good = NONE, False
                for place in range(several):
                    order = chosen[place]
                    looked += 1
                    if count == order_of.shape[0]:
                        return NO_CANDIDATES
                    bound = bounds[count]
                    use = of_use(
                        plan.indexed, plan.words, nested, held_to, concerned, always, kept, sequences, order, terms, shared, time,
                        plan.traffic_at, limit, bound,
                    )  # fmt: skip
                    if use < 0:
                        break
                    if not use:
                        continue
                    good = True
                    if several > 1 and same_as_before(known, orders, shared):
                        continue
                    orders += 1
                    if single:
                        only_busiest(plan, bound)
                    bound[2 * time + 2] = bits
                    order_of[count, 0], order_of[count, 1], order_of[count, 2], order_of[count, 3] = way, kept, number, order
                    count += 1
                if good or not kept or least:
                    continue
                # no larger tile costs more, and its loops can stand wherever those of this one can: as long as even the largest along
                # the first ranks is beyond the limit, these are all left out
                for rank in range(ranks):
                    tile[rank] = inside[rank]
                    lay_out(plan, kept, given, tile, index_of(plan, tile), inside, floor, reach, insides, terms)
                    for place in range(several):
                        order = chosen[place]
                        looked += 1
                        use = of_use(
                            plan.indexed, plan.words, nested, held_to, concerned, always, kept, sequences, order, terms, shared, time,
                            plan.traffic_at, limit, bounds[count],
                        )  # fmt: skip
                        if use < 0:
                            break
                        good = good or bool(use)
                    if good:
                        break
                    at[rank] = inside[rank]
    work[ROOT] += looked // 16
    if is_sum(weights):
        rank_by_worth(plan, weights, bounds, count, ranking)
    else:
        rank_candidates(plan, level, bounds, count, value, ranking)
    return count


@helper(allocates=True)
def rank_candidates(plan: LeafPlan, level: Int, bounds: FloatArray, count: Int, least: FloatArray, ranking: IntArray) -> None:
    """Put candidates into the order of the sum of their figures, each over the least that any of them has."""
    time = plan.times
    for part in range(1 + time):
        least[part] = bounds[0, part] if count else 0.0
        for row in range(1, count):
            least[part] = min(least[part], bounds[row, part])
    score = np.zeros(count)
    for row in range(count):
        for part in range(1 + time):
            if least[part] > 0.0:
                score[row] += bounds[row, part] / least[part]
        if level > 1:
            for stream in range(plan.indexed.shape[0]):
                score[row] += bounds[row, pending_at(time, stream)] / plan.words[stream]
    sort(score, ranking, np.zeros(count if count > FEW else 0, np.int64))


@helper(allocates=True)
def rank_by_worth(plan: LeafPlan, weights: FloatArray, bounds: FloatArray, count: Int, ranking: IntArray) -> None:
    """Put candidates of level 1 into the order of their sums."""
    score = np.zeros(count)
    for row in range(count):
        score[row] = worth_in_all(plan, weights, bounds[row])
    sort(score, ranking, np.zeros(count if count > FEW else 0, np.int64))


@helper()
def sort(score: FloatArray, ranking: IntArray, room: IntArray) -> None:
    """The places of scores from the least on, equal ones as they come: runs by insertion, then merged. NumPy's takes seconds to compile."""
    count = score.shape[0]
    for begin in range(0, count, FEW):
        for row in range(begin, min(begin + FEW, count)):
            place = row
            while place > begin and score[ranking[place - 1]] > score[row]:
                ranking[place] = ranking[place - 1]
                place -= 1
            ranking[place] = row
    width = FEW
    while width < count:
        for begin in range(0, count, 2 * width):
            middle, end = min(begin + width, count), min(begin + 2 * width, count)
            left, right = begin, middle
            for place in range(begin, end):
                if left < middle and (right == end or not score[ranking[right]] < score[ranking[left]]):
                    room[place] = ranking[left]
                    left += 1
                else:
                    room[place] = ranking[right]
                    right += 1
        for place in range(count):
            ranking[place] = room[place]
        width *= 2
