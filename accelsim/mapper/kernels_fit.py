"""Kernels that say whether a tiling is legal and whether its tiles fit. See `mapper.kernels`."""

from __future__ import annotations

from accelsim.kernel_cache import njit
from accelsim.mapper.batch_plan import (
    KEEP_INNER,
    KEEP_MEMORY,
    KEEP_POSITION,
    KEEP_STREAM,
    LOOP_AXIS,
    LOOP_RANK,
    LOOP_REDUCES,
    LOOP_TIME,
    PORT_SIZE,
    BatchPlan,
    IntArray,
)


@njit(error_model="numpy")
def fitting(plan: BatchPlan, tiles: IntArray, innermost: IntArray, left: IntArray, held: IntArray, copies: IntArray) -> int:
    """0 if a tile or a number of copies is not legal, 1 if some memory is too small, 2 if everything fits.

    innermost: int64[keeps, ranks], the last loop over a rank above a keep, -1 if there is none.
    """
    ranks = plan.extents.shape[0]
    for axis in range(copies.shape[0]):
        copies[axis] = 1
    for rank in range(ranks):
        left[rank] = plan.extents[rank]
    for loop in range(plan.loops.shape[0]):
        rank = plan.loops[loop, LOOP_RANK]
        if tiles[loop] < 1 or tiles[loop] > left[rank]:
            return 0
        if not plan.loops[loop, LOOP_TIME]:
            axis = plan.loops[loop, LOOP_AXIS]
            copies[axis] *= (left[rank] + tiles[loop] - 1) // tiles[loop]
            if copies[axis] > plan.axis_sizes[axis]:
                return 0
        left[rank] = tiles[loop]
    for memory in range(held.shape[0]):
        held[memory] = 0
    for row in range(plan.keeps.shape[0]):
        stream, words = plan.keeps[row, KEEP_STREAM], 1
        for rank in range(ranks):
            if plan.indexed[stream, rank]:
                loop = innermost[row, rank]
                words *= plan.extents[rank] if loop < 0 else tiles[loop]
        width = plan.widths[stream, 1]
        if stream == plan.indexed.shape[0] - 1 and plan.widths[stream, 0] != width and partial(plan, tiles, row):
            width = plan.widths[stream, 0]
        held[plan.keeps[row, KEEP_MEMORY]] += words * width
    for memory in range(held.shape[0]):
        if plan.ports[memory, PORT_SIZE] >= 0 and held[memory] > plan.ports[memory, PORT_SIZE]:
            return 1
    return 2


@njit(error_model="numpy")
def partial(plan: BatchPlan, tiles: IntArray, row: int) -> bool:
    """Does a keep of the result ever receive a sum that is not complete?"""
    position, inner = plan.keeps[row, KEEP_POSITION], plan.keeps[row, KEEP_INNER]
    end = plan.loops.shape[0] if inner < 0 else inner
    for rank in range(plan.extents.shape[0]):
        if not plan.reduced[rank]:
            continue
        left = plan.extents[rank]
        for loop in range(plan.loops.shape[0]):
            if plan.loops[loop, LOOP_RANK] != rank:
                continue
            cut = tiles[loop] < left
            left = tiles[loop]
            combined = not plan.loops[loop, LOOP_TIME] and loop >= position and plan.loops[loop, LOOP_REDUCES]
            if cut and loop < end and not combined:
                return True
        if inner < 0 and left > 1:
            return True
    return False
