"""When one label takes the place of another, and how much more energy is of use.

Labels of a level are compared by what any way outwards makes of them; those of level 1 are final, and are compared figure by figure or by
a weighted sum of energy, time and traffic. See docs/mapspace.md, "Dominance of labels".
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper
from accelsim.mapper.kernels_labels import SLACK, flags_of, keeper_of, open_at, open_of, pending_at, places_of
from accelsim.mapper.kernels_tiles import copy
from accelsim.mapper.leaf_plan import FloatArray, Int, IntArray, Labels, LeafPlan

CLOSE = 1e-12


@helper()
def begins(one: FloatArray, other: FloatArray, apart: float) -> bool:
    """Does a label lose nothing against another by what begins a sum: it has as much, or fewer words that return, whatever is further out?

    apart: see `leaf_plan.LeafPlan`.
    """
    last = one.shape[0] - 1
    if one[last] * SLACK >= other[last]:
        return True
    return apart > 0.0 and one[last - 1] - one[last] * apart <= (other[last - 1] - other[last] * apart) * SLACK


@helper()
def beats(
    words: IntArray, worth: FloatArray, growth: float, apart: float, one: FloatArray, opened: Int, other: FloatArray, other_open: Int,
    time: int,
) -> bool:  # fmt: skip
    """Does a label become nowhere worse than another with the same tile and keeper, whatever stands further out?

    What is open is divided by some number, the same for both, and comes no less often than each of its words once. What first touches save
    is multiplied by 1 to `growth`. So a label may pay more energy where it asks for fewer words, which are `worth` some each.
    """
    streams = worth.shape[0]
    if not begins(one, other, apart):
        return False
    for stream in range(streams):
        asked = one[pending_at(time, stream)]
        if asked > other[pending_at(time, stream)] * SLACK:
            return False
        if (other_open & ~opened) >> stream & 1 and asked > words[stream] * SLACK:
            return False
    begun = one[one.shape[0] - 1] * SLACK >= other[one.shape[0] - 1]
    for part in range(time + 1):
        saved = one[time + 1 + part] - other[time + 1 + part]
        more, size = one[part] - other[part] - min(saved, growth * saved), other[part]
        for stream in range(streams):
            own = open_at(time, stream)
            further = one[own + part] - other[own + part]
            if part == 0 and (begun or stream < streams - 1):
                further -= worth[stream] * max(0.0, other[own + time + 1] - one[own + time + 1])
            if (other_open >> stream) & 1:
                further = max(0.0, further)
            more += further
            size += other[own + part]
        if more > size * CLOSE:
            return False
    return True


@helper()
def net(plan: LeafPlan, level: Int, value: FloatArray) -> float:
    """Energy of a label, or of a bound of one, less what first touches save at most: what is asked for and open can only add to it."""
    return float(value[0] - plan.growth[level] * value[plan.times + 1])


@helper()
def ticks_of(plan: LeafPlan, row: FloatArray) -> float:
    """The time in all of a final label, or of a bound of one."""
    busy = row[1]
    for part in range(2, 1 + plan.traffic_at):
        busy = max(busy, row[part])
    return float(busy + row[1 + plan.latency_at])


@helper()
def worth_in_all(plan: LeafPlan, weights: FloatArray, row: FloatArray) -> float:
    """The weighted sum of energy, time and traffic of a final label, or of a bound; the last weight says whether to multiply by time."""
    ticks = ticks_of(plan, row)
    found = weights[0] * row[0] + weights[1] * ticks + weights[2] * row[1 + plan.traffic_at]
    return float(found * ticks if weights[3] > 0.0 else found)


@helper()
def room_for(plan: LeafPlan, weights: FloatArray, bound: FloatArray, most: float) -> float:
    """How much more energy than a bound may be spent until the sum is beyond the most that is of use; rather too much than too little."""
    if not weights[0] > 0.0 or most == np.inf:
        return np.inf
    ticks = ticks_of(plan, bound)
    if weights[3] > 0.0:
        most /= ticks
    return float((most * SLACK - weights[0] * bound[0] - weights[1] * ticks - weights[2] * bound[1 + plan.traffic_at]) / weights[0])


@helper()
def is_sum(weights: FloatArray) -> bool:
    """Whether final labels are compared by a sum."""
    return bool(weights[0] + weights[1] + weights[2] > 0.0)


@helper()
def is_less(one: float, other: float, energy: float, other_energy: float) -> bool:
    """Is a sum less than another, or as large with no more energy?"""
    return bool(one * SLACK < other or (one <= other * SLACK and energy <= other_energy * SLACK))


@helper()
def beats_finally(plan: LeafPlan, weights: FloatArray, one: FloatArray, other: FloatArray) -> bool:
    """Is a final label nowhere worse than another? With weights, in their sum (of equal ones, in energy) and in the bits held."""
    weighed = is_sum(weights)
    good = not weighed or is_less(worth_in_all(plan, weights, one), worth_in_all(plan, weights, other), one[0], other[0])
    for at in range(2 * plan.times + 2 if weighed else 0, one.shape[0]):
        good = good and one[at] <= other[at] * SLACK
    return bool(good)


@helper(inline=True)
def insert(
    plan: LeafPlan, labels: Labels, level: Int, count: Int, value: FloatArray, key: Int, pointer: IntArray, weights: FloatArray
) -> Int:  # fmt: skip
    """Add a label to a level's front unless one beats it; drop those that it beats. Returns how many there are, -1 if there is no room."""
    values, keys, pointers = labels.scratch[level], labels.scratch_keys[level], labels.scratch_pointers[level]
    for at in range(count):
        if surpasses(plan, level, values[at], keys[at], value, key, weights):
            return count
    kept = 0
    for at in range(count):
        if surpasses(plan, level, value, key, values[at], keys[at], weights):
            continue
        if kept != at:
            copy(values[kept], values[at])
            copy(pointers[kept], pointers[at])
            keys[kept] = keys[at]
        kept += 1
    if kept == values.shape[0]:
        return -1
    copy(values[kept], value)
    copy(pointers[kept], pointer)
    keys[kept] = key
    return kept + 1


@helper(inline=True)
def surpasses(
    plan: LeafPlan, level: Int, one: FloatArray, key: Int, other: FloatArray, other_key: Int, weights: FloatArray
) -> bool:  # fmt: skip
    """Can a label take the place of another of its level? Its result has to have the same keeper, and may be more ALONE and COMPLETE."""
    if level == 1:
        return beats_finally(plan, weights, one, other)
    if keeper_of(key) != keeper_of(other_key) or places_of(key) != places_of(other_key) or flags_of(other_key) & ~flags_of(key):
        return False
    return beats(
        plan.words, plan.worth[level], plan.growth[level], plan.apart[level], one, open_of(key), other, open_of(other_key), plan.times
    )
