"""Kernels on boxes: the set of coordinates that a tile touches in a dimension, what two tiles share, what a condition leaves."""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.kernels_positions import MAX_POSITIONS
from accelsim.model.plan import (
    BOX,
    DIM_DIVISOR,
    DIM_HIGH,
    DIM_LOW,
    DIM_MODULUS,
    DIM_OFFSET,
    DIM_TERMS,
    DIM_TERMS_END,
    IMAGE,
    MASK_COUNT,
    MASK_DATA,
    MASK_KIND,
    MASK_RANKS,
    TERM_FACTOR,
    TERM_RANK,
    BoolArray,
    Int,
    IntArray,
    Plan,
)


@njit()
def slot(ranks: IntArray, rank: Int) -> Int:
    """Where a rank stands in a component, or -1."""
    for k in range(ranks.shape[0]):
        if ranks[k] == rank:
            return k
    return -1


@njit()
def interval(plan: Plan, dim: Int, ranks: IntArray, low: IntArray, high: IntArray, out: IntArray) -> bool:
    """Coordinates that a tile touches in a dimension as out[0] <= x < out[1]; False if they are not an interval."""
    row = plan.dims[dim]
    count = row[DIM_TERMS_END] - row[DIM_TERMS]
    smallest, largest = row[DIM_OFFSET], row[DIM_OFFSET]
    for term in range(row[DIM_TERMS], row[DIM_TERMS_END]):
        k = slot(ranks, plan.terms[term, TERM_RANK])
        factor = plan.terms[term, TERM_FACTOR]
        if factor > 0:
            smallest += factor * low[k]
            largest += factor * (high[k] - 1)
        else:
            smallest += factor * (high[k] - 1)
            largest += factor * low[k]
    whole = True
    reach: Int = 0
    used = 0
    for _ in range(count):
        # the next coefficient by size; gap-free as long as each is at most the reach so far plus one
        best, span, which = np.int64(1) << 62, 0, -1
        for term in range(count):
            if used >> term & 1:
                continue
            k = slot(ranks, plan.terms[row[DIM_TERMS] + term, TERM_RANK])
            factor = abs(plan.terms[row[DIM_TERMS] + term, TERM_FACTOR])
            if factor < best:
                best, span, which = factor, high[k] - 1 - low[k], term
        used |= 1 << which
        if span and best > reach + 1:
            whole = False
        reach += best * span
    if row[DIM_DIVISOR] > 1:
        smallest, largest = smallest // row[DIM_DIVISOR], largest // row[DIM_DIVISOR]
        # a floor closes gaps of less than the divisor, but which ones is left to the listing
    modulus = row[DIM_MODULUS]
    if modulus and whole:
        if largest - smallest + 1 >= modulus:
            smallest, largest = 0, modulus - 1
        elif smallest // modulus == largest // modulus:
            smallest, largest = smallest % modulus, largest % modulus
        else:
            whole = False
    if not whole and plan.options[BOX]:
        marks, base = listed(plan, dim, ranks, low, high, False)
        smallest, largest = np.int64(1) << 62, -(np.int64(1) << 62)
        for k in range(marks.shape[0]):
            if marks[k]:
                smallest, largest = min(smallest, base + k), max(largest, base + k)
        whole = True
    out[0], out[1] = max(smallest, row[DIM_LOW]), min(largest + 1, row[DIM_HIGH])
    out[1] = max(out[0], out[1])
    return whole


@njit()
def listed(plan: Plan, dim: Int, ranks: IntArray, low: IntArray, high: IntArray, clipped: Int) -> tuple[BoolArray, Int]:
    """Coordinates that a tile touches, marked one by one: bool array and the coordinate of its first entry."""
    row = plan.dims[dim]
    count = row[DIM_TERMS_END] - row[DIM_TERMS]
    size = 1
    smallest, largest = row[DIM_OFFSET], row[DIM_OFFSET]
    for term in range(row[DIM_TERMS], row[DIM_TERMS_END]):
        k = slot(ranks, plan.terms[term, TERM_RANK])
        factor = plan.terms[term, TERM_FACTOR]
        size *= high[k] - low[k]
        smallest += min(factor * low[k], factor * (high[k] - 1))
        largest += max(factor * low[k], factor * (high[k] - 1))
    smallest, largest = smallest // row[DIM_DIVISOR], largest // row[DIM_DIVISOR]
    if row[DIM_MODULUS]:
        smallest, largest = 0, row[DIM_MODULUS] - 1
    if clipped:
        smallest, largest = row[DIM_LOW], row[DIM_HIGH] - 1
    if float(size) > MAX_POSITIONS or largest - smallest > MAX_POSITIONS:
        raise OverflowError("too many tiles to list")
    marks = np.zeros(max(0, largest - smallest + 1), np.bool_)
    for point in range(size):
        rest, value = point, row[DIM_OFFSET]
        for term in range(count):
            k = slot(ranks, plan.terms[row[DIM_TERMS] + term, TERM_RANK])
            extent = high[k] - low[k]
            value += plan.terms[row[DIM_TERMS] + term, TERM_FACTOR] * (low[k] + rest % extent)
            rest //= extent
        value //= row[DIM_DIVISOR]
        if row[DIM_MODULUS]:
            value %= row[DIM_MODULUS]
        if smallest <= value <= largest:
            marks[value - smallest] = True
    return marks, smallest


@njit()
def coordinates(plan: Plan, dim: Int, ranks: IntArray, low: IntArray, high: IntArray) -> BoolArray:
    """Valid coordinates that a tile touches in a dimension, as marks over DIM_LOW <= x < DIM_HIGH."""
    bounds = np.zeros(2, np.int64)
    row = plan.dims[dim]
    if interval(plan, dim, ranks, low, high, bounds):
        marks = np.zeros(max(0, row[DIM_HIGH] - row[DIM_LOW]), np.bool_)
        for x in range(bounds[0], bounds[1]):
            marks[x - row[DIM_LOW]] = True
        return marks
    marks, _ = listed(plan, dim, ranks, low, high, True)
    return marks


@njit()
def dims_equal(plan: Plan, dims: Int, dims_end: Int, ranks: IntArray, low: IntArray, high: IntArray, one: Int, other: Int) -> bool:
    """Do two copies touch the same coordinates in every dimension of a component?"""
    a, b = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for dim in range(dims, dims_end):
        whole_a = interval(plan, dim, ranks, low[one], high[one], a)
        whole_b = interval(plan, dim, ranks, low[other], high[other], b)
        if whole_a and whole_b:
            if a[0] != b[0] or a[1] != b[1]:
                return False
            continue
        marks_a = coordinates(plan, dim, ranks, low[one], high[one])
        marks_b = coordinates(plan, dim, ranks, low[other], high[other])
        for k in range(marks_a.shape[0]):
            if marks_a[k] != marks_b[k]:
                return False
    return True


@njit()
def group_overlap(
    plan: Plan, dims: Int, dims_end: Int, ranks: IntArray, low: IntArray, high: IntArray, old_low: IntArray, old_high: IntArray,
    had: BoolArray, base: Int, one: Int, chain: IntArray,
) -> Int:
    """Words of a group's common box that every member held before; members are copy `one` and those chained to it (-1 ends)."""
    other = one
    while other >= 0:
        if not had[base + other]:
            return 0
        other = chain[other]
    total: Int = 1
    bounds = np.zeros(2, np.int64)
    for dim in range(dims, dims_end):
        whole = interval(plan, dim, ranks, low[base + one], high[base + one], bounds)
        left, right = bounds[0], bounds[1]
        other = one
        while whole and other >= 0:
            whole = interval(plan, dim, ranks, old_low[base + other], old_high[base + other], bounds)
            left, right = max(left, bounds[0]), min(right, bounds[1])
            other = chain[other]
        if whole:
            total *= max(0, right - left)
            continue
        common = coordinates(plan, dim, ranks, low[base + one], high[base + one])
        other = one
        while other >= 0:
            old = coordinates(plan, dim, ranks, old_low[base + other], old_high[base + other])
            for k in range(common.shape[0]):
                common[k] = common[k] and old[k]
            other = chain[other]
        count = 0
        for k in range(common.shape[0]):
            if common[k]:
                count += 1
        total *= count
    return total


@njit()
def survives(plan: Plan, mask: Int, ranks: IntArray, low: IntArray, high: IntArray) -> bool:
    """Does the condition leave a point of this box? `ranks`: those of the box, which include all of the condition's."""
    base = plan.masks[mask, MASK_DATA]
    condition_ranks = plan.masks[mask, MASK_RANKS]
    used = 0
    slots = np.empty(ranks.shape[0], np.int64)
    for k in range(ranks.shape[0]):
        if condition_ranks >> ranks[k] & 1:
            slots[used] = k
            used += 1
    if plan.masks[mask, MASK_KIND] == IMAGE:
        return bool(image_count(plan.mask_data, base, slots[:used], low, high) > 0)
    return inequality_survivor(plan.mask_data, base, plan.masks[mask, MASK_COUNT], slots[:used], low, high)


@njit()
def image_count(data: IntArray, base: Int, slots: IntArray, low: IntArray, high: IntArray) -> Int:
    """Points of a box that survive, from running sums: data[base:] holds the extents and then the sums over all lower corners."""
    used = slots.shape[0]
    total = 0
    for corner in range(1 << used):
        position, sign = 0, 1
        for k in range(used):
            if corner >> k & 1:
                position = position * (data[base + k] + 1) + low[slots[k]]
                sign = -sign
            else:
                position = position * (data[base + k] + 1) + high[slots[k]]
        total += sign * data[base + used + position]
    return total


@njit()
def inequality_survivor(data: IntArray, base: Int, count: Int, slots: IntArray, low: IntArray, high: IntArray) -> bool:
    """Is there a point of the box with sum(coefficient * x) <= bound in every row? Row: bound, then a coefficient per rank."""
    used = slots.shape[0]
    all_hold = True
    for row in range(count):
        at = base + row * (used + 1)
        least, most = 0, 0
        for k in range(used):
            factor = data[at + 1 + k]
            a, b = factor * low[slots[k]], factor * (high[slots[k]] - 1)
            least += min(a, b)
            most += max(a, b)
        if least > data[at]:
            return False
        all_hold = all_hold and most <= data[at]
    if all_hold or count == 1:
        return True
    # several conditions cut the box: list all ranks but the longest, and solve for that one
    longest = 0
    for k in range(used):
        if high[slots[k]] - low[slots[k]] > high[slots[longest]] - low[slots[longest]]:
            longest = k
    steps = 1
    for k in range(used):
        if k != longest:
            steps *= high[slots[k]] - low[slots[k]]
    for step in range(steps):
        left, right = low[slots[longest]], high[slots[longest]] - 1
        for row in range(count):
            at = base + row * (used + 1)
            rest, room = step, data[at]
            for k in range(used):
                if k == longest:
                    continue
                extent = high[slots[k]] - low[slots[k]]
                room -= data[at + 1 + k] * (low[slots[k]] + rest % extent)
                rest //= extent
            factor = data[at + 1 + longest]
            if factor > 0:
                right = min(right, room // factor)
            elif factor < 0:
                left = max(left, -(room // -factor))
            elif room < 0:
                right = left - 1
        if left <= right:
            return True
    return False
