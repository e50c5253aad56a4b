"""Loops in time of one memory, a block: in which orders they are worth a look, and by how much each order divides every tensor's words.

An order favours some tensors before others: innermost stand the loops that the most favoured tensors lack (docs/mapspace.md). A
sequence is int64[ranks], all ranks from inside out, whether they turn or not; steps are float64[ranks], 1 where a rank does not turn.
"""

from __future__ import annotations

from accelsim.kernel_cache import helper
from accelsim.mapper.kernels_tiles import ALL, NO, NOBODY, NONE, YES, copy
from accelsim.mapper.leaf_plan import FloatArray, Int, IntArray, LeafPlan


@helper()
def ordered(plan: LeafPlan, memory: Int) -> Int:
    """Must some loop of a memory's block stand inside another, or nowhere?"""
    found: Int = NONE
    for rank in range(plan.extents.shape[0]):
        found |= plan.inside[memory, rank]
    return YES if found else NO


@helper()
def matters(orders: IntArray, order: Int, kept: Int) -> bool:
    """Is an order of loops worth a look where visits share only tiles of this memory? Only the order of what it keeps counts then."""
    before = NOBODY
    for place in range(orders.shape[1]):
        stream = orders[order, place]
        if not (kept >> stream) & 1:
            if stream < before:
                return False
            before = stream
        elif before >= 0:
            return False
    return True


@helper()
def list_orders(orders: IntArray, every_visit: Int, held_to: Int, kept: Int, chosen: IntArray) -> Int:
    """The orders that are worth a look where a memory keeps these tensors. Returns how many.

    held_to: see `ordered`; every order is worth a look then.
    """
    count: Int = NONE
    for order in range(orders.shape[0]):
        if not every_visit or held_to or matters(orders, order, kept):
            chosen[count] = order
            count += 1
    return count


@helper()
def arrange_all(plan: LeafPlan, sequences: IntArray) -> None:
    """The sequence of every order; the last row is left free for `line_up`."""
    for order in range(plan.orders.shape[0]):
        arrange(plan, order, sequences[order])


@helper()
def arrange(plan: LeafPlan, order: Int, sequence: IntArray) -> None:
    """The ranks of a block from inside out, in an order: first those that the most favoured tensors lack."""
    for rank in range(plan.extents.shape[0]):
        place = rank
        while place > 0 and favour(plan, order, sequence[place - 1]) > favour(plan, order, rank):
            sequence[place] = sequence[place - 1]
            place -= 1
        sequence[place] = rank


@helper()
def favour(plan: LeafPlan, order: Int, rank: Int) -> Int:
    """The less, the further inside a rank turns: which of the favoured tensors it indexes, the most favoured first."""
    code: Int = NONE
    for place in range(plan.orders.shape[1]):
        code = 2 * code + plan.indexed[plan.orders[order, place], rank]
    return code


@helper()
def step(plan: LeafPlan, outer: IntArray, inner: IntArray, steps: FloatArray) -> Int:
    """Steps of the loops from a tile to a smaller one. Returns the set of ranks that turn."""
    turning: Int = NONE
    for rank in range(outer.shape[0]):
        steps[rank] = plan.trips[rank, outer[rank], inner[rank]]
        if outer[rank] != inner[rank]:
            turning |= 1 << rank
    return turning


@helper()
def line_up(nested: IntArray, held_to: Int, sequences: IntArray, place: Int, steps: FloatArray) -> Int:
    """The row of a sequence of ranks; if some loops have to stand inside others, that of another (the last), which puts first what may be.

    -1 if the loops cannot stand so that all that must be inside another are.
    """
    if not held_to:
        return place
    ranks = sequences.shape[1]
    last: Int = sequences.shape[0] - 1
    left: Int = NONE
    for rank in range(ranks):
        if steps[rank] != 1.0:
            left |= 1 << rank
    done: Int = NONE
    for here in range(ranks):
        best: Int = NOBODY
        for at in range(ranks):
            rank = sequences[place, at]
            if not (done >> rank) & 1 and not ((left >> rank) & 1 and nested[rank] & left):
                best = rank
                break
        if best < 0:
            return NOBODY
        sequences[last, here] = best
        done |= 1 << best
        left &= ~(1 << best)
    return last


@helper()
def share_out(indexed: IntArray, concerned: Int, sequence: IntArray, steps: FloatArray, shared: FloatArray) -> Int:
    """By how much loops of so many steps, in a sequence from inside out, divide the words of the tensors concerned.

    Returns the tensors that have a rank that turns.
    """
    streams = shared.shape[0]
    closed: Int = NONE
    for stream in range(streams):
        shared[stream] = 1.0
    for place in range(sequence.shape[0]):
        rank = sequence[place]
        if steps[rank] == 1.0:
            continue
        for stream in range(streams):
            if indexed[stream, rank]:
                closed |= 1 << stream
            elif ((concerned & ~closed) >> stream) & 1:
                shared[stream] *= steps[rank]
    return closed


@helper()
def block(
    plan: LeafPlan, memory: Int, outer: IntArray, inner: IntArray, order: Int, sequences: IntArray, steps: FloatArray, shared: FloatArray
) -> Int:
    """Loops of a memory from a tile to a smaller one, in an order that they can stand in: by how much each tensor's words are divided.

    Returns the set of ranks that turn. sequences: of all orders; steps: room to work in.
    """
    turning = step(plan, outer, inner, steps)
    line = line_up(plan.inside[memory], ordered(plan, memory), sequences, order, steps)
    share_out(plan.indexed, ALL, sequences[line], steps, shared)
    return turning


@helper()
def same_as_before(known: FloatArray, count: Int, shared: FloatArray) -> bool:
    """Has an order of loops been seen that divides every tensor's words alike? If not, it is noted at `count`."""
    for before in range(count):
        equal = True
        for at in range(shared.shape[0]):
            equal = equal and known[before, at] == shared[at]
        if equal:
            return True
    copy(known[count], shared)
    return False
