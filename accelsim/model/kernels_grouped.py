"""The counting kernel for plans with windows over several ranks or with conditions: `kernels.count` and the sums of their groups."""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import njit
from accelsim.model.kernels import count_leaf, count_variant, wanted
from accelsim.model.kernels_enumeration import component_of_group
from accelsim.model.kernels_masked import component_of_masked_ranks, factorises, masked_issues
from accelsim.model.plan import (
    BOUND_ABOVE_CHILD,
    BOUND_ABOVE_PARENT,
    BOUND_COMPUTE,
    BOUND_STREAM,
    GROUP_MASKED,
    LEAF_LOOPS,
    LEAF_MASK,
    MAX_LOOPS,
    MOST_PREFIXES,
    STREAM_GROUPS,
    STREAM_GROUPS_END,
    STREAM_LEAF,
    STREAM_WEIGHT,
    Int,
    IntArray,
    Plan,
)


@njit()
def group_sums_of(plan: Plan, row: Int, variant: Int, sums: IntArray, touched: IntArray) -> None:
    """Sums of every group of a boundary's stream for one variant."""
    _, above, fan = wanted(plan, row, variant)
    bound = plan.boundaries[row]
    stream = bound[BOUND_STREAM]
    leaf = plan.streams[stream, STREAM_LEAF]
    start = plan.leaves[leaf, LEAF_LOOPS]
    parent, child = start + bound[BOUND_ABOVE_PARENT], start + bound[BOUND_ABOVE_CHILD]
    compute = bound[BOUND_COMPUTE]
    for group in range(sums.shape[0]):
        index = plan.streams[stream, STREAM_GROUPS] + group
        if plan.groups[index, GROUP_MASKED] and factorises(plan, leaf, stream, index, child):
            component_of_masked_ranks(plan, leaf, stream, index, parent, child, above, fan, compute, sums[group], touched[group])
        else:
            component_of_group(plan, leaf, stream, index, parent, child, above, fan, compute, sums[group], touched[group])


@njit()
def count_grouped(plan: Plan) -> tuple[IntArray, IntArray]:
    """`kernels.count` for any plan."""
    out = np.zeros((plan.boundaries.shape[0], 10), np.int64)
    work, state = np.empty((3, 2 * MAX_LOOPS + 2), np.int64), np.zeros((3, 64), np.int64)
    most = 1
    for stream in range(plan.streams.shape[0]):
        most = max(most, plan.streams[stream, STREAM_GROUPS_END] - plan.streams[stream, STREAM_GROUPS])
    sums, touched = np.zeros((most, 2, MOST_PREFIXES), np.int64), np.zeros((most, 3), np.int64)
    for row in range(plan.boundaries.shape[0]):
        stream = plan.boundaries[row, BOUND_STREAM]
        if plan.streams[stream, STREAM_WEIGHT] == 0:
            continue
        groups = plan.streams[stream, STREAM_GROUPS_END] - plan.streams[stream, STREAM_GROUPS]
        for variant in range(4):
            if wanted(plan, row, variant)[0]:
                group_sums_of(plan, row, variant, sums[:groups], touched[:groups])
                count_variant(plan, row, variant, out[row], sums[:groups], touched[:groups], work, state)
    leaves = np.zeros((plan.leaves.shape[0], 2), np.int64)
    for leaf in range(plan.leaves.shape[0]):
        if plan.leaves[leaf, LEAF_MASK] >= 0:
            masked_issues(plan, leaf, leaves[leaf])
        else:
            count_leaf(plan, leaf, leaves[leaf], work)
    return out, leaves
