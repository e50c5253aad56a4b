"""The Plan: a mapping lowered to integer arrays, the only thing that the counting kernels see."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Int = int | np.int64  # a kernel's integer

# What the kernels' scratch arrays hold: loops and ranks of one leaf; `lowering` refuses more.
MAX_LOOPS, MAX_RANKS = 40, 30
MOST_PREFIXES = MAX_LOOPS + MAX_RANKS + 2  # at the compute boundary every rank has one loop more, over points

# Columns of Plan.loops, one row per loop that applies to a leaf, outermost first.
LOOP_RANK, LOOP_TILE, LOOP_TIME, LOOP_SHARE, LOOP_DERIVED = range(5)
MULTICASTS, REDUCES = 1, 2  # bits of LOOP_SHARE

# Columns of Plan.leaves. LEAF_SERIAL: ranks (bit set) whose points lanes take one after the other.
LEAF_LOOPS, LEAF_LOOPS_END, LEAF_RANKS, LEAF_RANKS_END, LEAF_LANES, LEAF_MASK, LEAF_SERIAL = range(7)

# Columns of Plan.ranks. A derived rank u is driven by loops over v: v in [v0, v1) demands [a*v0 + offset, a*(v1-1) + offset + width).
RANK_EXTENT, RANK_KIND, RANK_SOURCE, RANK_FACTOR, RANK_OFFSET, RANK_WIDTH = range(6)
NAMED, RETAINED, RECOMPUTED, REPEATED = range(4)

# Columns of Plan.streams. STREAM_ROLES: first row of the stream's roles.
STREAM_LEAF, STREAM_OUTPUT, STREAM_WEIGHT, STREAM_ROLES, STREAM_GROUPS, STREAM_GROUPS_END = range(6)

# Columns of Plan.roles, one row per stream and rank of its leaf; CLIPPED counts coordinates low <= x < high of the rank.
ROLE_KIND, ROLE_LOW, ROLE_HIGH = range(3)
ABSENT, PLAIN, CLIPPED, GROUPED, VERSION = range(5)

# Columns of Plan.groups: ranks that share a dimension or a condition. GROUP_RANKS is a bit set over the leaf's ranks.
GROUP_RANKS, GROUP_DIMS, GROUP_DIMS_END, GROUP_MASKED = range(4)

# Columns of Plan.dims: ((sum of terms) + offset) // divisor % modulus, counted where low <= coordinate < high.
DIM_TERMS, DIM_TERMS_END, DIM_OFFSET, DIM_DIVISOR, DIM_MODULUS, DIM_LOW, DIM_HIGH = range(7)

# Columns of Plan.terms: rank (position within the leaf) and coefficient.
TERM_RANK, TERM_FACTOR = range(2)

# Columns of Plan.boundaries: loops above the parent and above the child (counted from the leaf's first), compute or not, first copies
# wanted, and how many of the leaf's first loops start the child afresh. Of a recurrence that is made below the child: the rank of its
# slices (position within the leaf, -1: none), how many slices back are read, and whether the child has those of the last visit.
BOUND_STREAM, BOUND_ABOVE_PARENT, BOUND_ABOVE_CHILD, BOUND_COMPUTE, BOUND_FIRST, BOUND_AFRESH = range(6)
BOUND_ALONG, BOUND_SLICES, BOUND_HAS = range(6, 9)

# Columns of Plan.masks: first position in Plan.mask_data, ranks (bit set), kind; see `model.masks`.
MASK_DATA, MASK_RANKS, MASK_KIND, MASK_COUNT = range(4)
IMAGE, INEQUALITIES = range(2)

# Columns of the result of `kernels.count`, words per boundary.
ENTERING, GROUPED_WORDS, DISTINCT, UNKNOWN, ENTERING_FIRST, GROUPED_FIRST, DISTINCT_FIRST, UNKNOWN_FIRST, BEGUN, BEGUN_FIRST = range(10)


class Plan(NamedTuple):
    """Integer tables (int64) of one mapping; columns are named in this module."""

    loops: IntArray
    leaves: IntArray
    ranks: IntArray
    streams: IntArray
    roles: IntArray
    groups: IntArray
    dims: IntArray
    terms: IntArray
    boundaries: IntArray
    masks: IntArray
    mask_data: IntArray
    options: IntArray  # footprint is box, refill is every_visit


BOX, EVERY_VISIT = range(2)
