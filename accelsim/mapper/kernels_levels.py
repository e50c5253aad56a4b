"""Completions of one Einsum from the inside out: what is the least that the levels below a tile can cost?

A *label* is one way to complete an Einsum below a memory, given the tile that stands there. Tiles divide, so words depend only on
tiles: a keep of a tensor at tile x is filled with |T| times the trips over its other ranks, less what loops that turn directly above it
share. A label therefore carries, beside what is settled, what the loops still to come can change:

    main   energy and time that are settled                     open   of each tensor, what further idle loops directly above divide
    credit energy and time that first touches save (they grow    pending words that the next keeper outwards will be asked for
           with the copies over reduced ranks above)

Labels that another one beats in every part are dropped. `reference.completions` lists every nest and asks the model. See docs/mapper.md.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.mapper.leaf_plan import (
    ALONE,
    COMPLETE,
    GAIN_COPIES,
    GAIN_LATENCY,
    GAIN_REDUCED,
    GAIN_SHARED,
    OPTION_CHARGED,
    OPTION_EVERY_VISIT,
    OPTION_ONE,
    PORT_MANY,
    PORT_READ,
    PORT_SIZE,
    PORT_WRITE,
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
)

SLACK = 1 + 1e-12
MANY_TILES = 512
FEW = 32  # candidates that are sorted by insertion
NO_ROOM, NO_CANDIDATES, NO_TIME = -1, -2, -3
# as numbers of NumPy, since Numba compiles a function again for every literal that it is called with
NONE, ALL = np.int64(0), np.int64(-1)  # sets of tensors
NO, YES, NOBODY = np.int64(0), np.int64(1), np.int64(-1)
NOWHERE = np.float64(0)  # a number of copies
ROOT, OUTERMOST = np.int64(0), np.int64(1)  # a memory; a level


@helper()
def tile_bits(plan: LeafPlan, stream: Int, tile: IntArray, wide: Int) -> Int:
    """Bits (in pieces) of the tile of a tensor; of a result, `wide` while it is partial."""
    words: Int = plan.widths[stream, 0] if wide else plan.widths[stream, 1]
    for rank in range(plan.extents.shape[0]):
        if plan.indexed[stream, rank]:
            words *= plan.sizes[rank, tile[rank]]
    return words


@helper()
def copy(to: FloatArray, values: FloatArray) -> None:
    """Copy numbers one by one: slices take Numba seconds to compile."""
    for at in range(to.shape[0]):
        to[at] = values[at]


@helper()
def copy_integers(to: IntArray, values: IntArray) -> None:
    """The same for integers."""
    for at in range(to.shape[0]):
        to[at] = values[at]


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


@helper()
def beats(one: FloatArray, other: FloatArray, time: Int) -> bool:
    """Is a label nowhere worse than another with the same key? Credits count the other way."""
    for at in range(time + 1):
        if one[at] > other[at] * SLACK:
            return False
        if one[time + 1 + at] * SLACK < other[time + 1 + at]:
            return False
    good = True
    for at in range(2 * time + 2, one.shape[0]):
        good = good and one[at] <= other[at] * SLACK
    return good


@helper()
def insert(
    values: FloatArray, keys: IntArray, pointers: IntArray, count: Int, value: FloatArray, key: Int, pointer: IntArray, time: Int
) -> Int:
    """Add a label to a front unless one beats it; drop those that it beats. Returns how many there are, -1 if there is no room."""
    for at in range(count):
        if keys[at] == key and beats(values[at], value, time):
            return count
    kept = 0
    for at in range(count):
        if keys[at] == key and beats(value, values[at], time):
            continue
        if kept != at:
            copy(values[kept], values[at])
            copy_integers(pointers[kept], pointers[at])
            keys[kept] = keys[at]
        kept += 1
    if kept == values.shape[0]:
        return -1
    copy(values[kept], value)
    copy_integers(pointers[kept], pointer)
    keys[kept] = key
    return kept + 1


@helper()
def spread(plan: LeafPlan, way: Int, tile: IntArray, inner: IntArray) -> bool:
    """The tile inside the axes when a tile is spread in some way; False if that does not divide it."""
    for rank in range(tile.shape[0]):
        inner[rank] = plan.quotients[rank, tile[rank], plan.ways[way, rank]]
        if inner[rank] < 0:
            return False
    return True


@helper()
def index_of(plan: LeafPlan, tile: IntArray) -> Int:
    """Number of a tile in the lattice of tiles."""
    found: Int = 0
    for rank in range(tile.shape[0]):
        found += tile[rank] * plan.strides[rank]
    return found


@helper()
def tile_of(plan: LeafPlan, number: Int, tile: IntArray) -> None:
    """The tile with a number in the lattice."""
    for rank in range(tile.shape[0]):
        tile[rank] = (number // plan.strides[rank]) % plan.size_count[rank]


@njit(error_model="numpy", _nrt=True)
def note_reach(plan: LeafPlan, reach: FloatArray) -> None:
    """The most copies that a tile can be spread over by the axes before a level and all further in; float64[levels + 2, tiles]."""
    ranks, units, tiles = plan.extents.shape[0], plan.ports.shape[0], reach.shape[1]
    tile, inner = np.zeros(ranks, np.int64), np.zeros(ranks, np.int64)
    for number in range(tiles):
        reach[units + 1, number] = 1.0
    for level in range(units, 0, -1):
        most = reach[level + 1, tiles - 1]
        for number in range(tiles):
            tile_of(plan, number, tile)
            best = 0.0
            for way in range(plan.way_first[level], plan.way_first[level + 1]):
                if plan.gains[way, GAIN_COPIES] * most <= best:
                    break
                if spread(plan, way, tile, inner):
                    best = max(best, plan.gains[way, GAIN_COPIES] * reach[level + 1, index_of(plan, inner)])
            reach[level, number] = best


@helper()
def at_least(plan: LeafPlan, copies: float, value: FloatArray) -> None:
    """A unit takes at least as long as all points take in so many copies of it."""
    value[1] = max(value[1], plan.points / plan.lanes * plan.issue / copies)


@helper()
def relax(plan: LeafPlan, value: FloatArray) -> None:
    """Take every port but the root's to be busy for `relaxed` ticks at least: less does not matter then, and few labels are kept."""
    if plan.relaxed > 0.0:
        for at in range(1, plan.times):
            root = at == plan.ports[ROOT, PORT_READ] or at == plan.ports[ROOT, PORT_WRITE]
            if at != plan.traffic_at and at != plan.latency_at and not root:
                value[1 + at] = max(value[1 + at], plan.relaxed)


@helper()
def apply_axes(plan: LeafPlan, way: Int, value: FloatArray, flags: Int) -> Int:
    """Take a label from inside the axes before a level to the outside. Returns its flags."""
    time, streams = plan.times, plan.indexed.shape[0]
    copies, reduced = plan.gains[way, GAIN_COPIES], plan.gains[way, GAIN_REDUCED]
    if copies == 1.0:
        return flags
    value[1 + plan.latency_at] += plan.gains[way, GAIN_LATENCY]
    value[time + 1] *= reduced
    fewer, alike = 1.0 / copies, reduced / copies
    for at in range(time):
        if at == plan.traffic_at or at == plan.latency_at:
            continue
        value[1 + at] *= fewer
        value[time + 2 + at] *= alike
        for stream in range(streams):
            value[2 * time + 2 + stream * (time + 2) + 1 + at] *= fewer
    for stream in range(streams):
        value[2 * time + 2 + stream * (time + 2) + time + 1] /= plan.gains[way, GAIN_SHARED + stream]
    left: Int = flags & plan.way_flags[way]
    return left


@helper()
def pay(plan: LeafPlan, memory: Int, stream: Int, child: Int, flags: Int, is_open: Int, places: float, value: FloatArray) -> None:
    """Charge a memory for the words that the keeper (or unit) inside it asks for.

    places: copies of the child for each of the memory (0: not known, and no time is taken off the child's port).
    """
    time, streams = plan.times, plan.indexed.shape[0]
    own = 2 * time + 2 + stream * (time + 2)
    words = value[own + time + 1]
    to = own if is_open else 0
    wide, narrow = plan.widths[stream, 0], plan.widths[stream, 1]
    read, write = plan.ports[memory, PORT_READ], plan.ports[memory, PORT_WRITE]
    if stream < streams - 1:
        value[to] += words * wide * plan.prices[memory, 0]
        if read >= 0:
            value[to + 1 + read] += words * wide * plan.rates[memory, 0]
        if memory == 0 and plan.traffic_at >= 0:
            value[to + 1 + plan.traffic_at] += words * wide
    else:
        distinct = plan.words[stream]
        value[to] += words * wide * (plan.prices[memory, 0] + plan.prices[memory, 2])
        value[time + 1] += distinct * (wide * plan.prices[memory, 0] + (wide - narrow) * plan.prices[memory, 2])
        if read >= 0:
            value[to + 1 + read] += words * wide * plan.rates[memory, 0]
            value[time + 2 + read] += distinct * wide * plan.rates[memory, 0]
        if write >= 0:
            value[to + 1 + write] += words * wide * plan.rates[memory, 1]
            value[time + 2 + write] += distinct * (wide - narrow) * plan.rates[memory, 1]
        if memory == 0 and plan.traffic_at >= 0:
            value[to + 1 + plan.traffic_at] += 2 * words * wide
            value[time + 2 + plan.traffic_at] += distinct * (2 * wide - narrow)
        if child >= 0:
            if plan.options[OPTION_ONE]:
                value[to] += words * wide * plan.prices[child, 1]
                value[time + 1] += distinct * wide * plan.prices[child, 1]
                port = plan.ports[child, PORT_WRITE]
                if port >= 0 and not plan.ports[child, PORT_MANY]:
                    value[to + 1 + port] += words * wide * plan.rates[child, 1]
                    value[time + 2 + port] += distinct * wide * plan.rates[child, 1]
            if flags & ALONE and plan.options[OPTION_CHARGED]:
                value[time + 1] += distinct * (wide - narrow) * plan.prices[child, 0]
                port = plan.ports[child, PORT_READ]
                if port >= 0 and places > 0:
                    value[time + 2 + port] += distinct * (wide - narrow) * plan.rates[child, 0] / places
    value[own + time + 1] = 0.0


@njit(error_model="numpy", _nrt=True)
def pay_alone(plan: LeafPlan, memory: Int, stream: Int, value: FloatArray) -> None:
    """Charge a memory for the words of one tensor that are asked of it."""
    pay(plan, memory, stream, NOBODY, NONE, NO, NOWHERE, value)


@helper()
def keep(plan: LeafPlan, memory: Int, stream: Int, tile: IntArray, value: FloatArray) -> None:
    """Keep a tensor in a memory at a tile: what fills and drains it, still open to loops that share, and what it will ask for."""
    time, streams = plan.times, plan.indexed.shape[0]
    own = 2 * time + 2 + stream * (time + 2)
    words = float(plan.words[stream])
    for rank in range(tile.shape[0]):
        if not plan.indexed[stream, rank]:
            words *= plan.trips[rank, plan.size_count[rank] - 1, tile[rank]]
    wide = plan.widths[stream, 0]
    read, write = plan.ports[memory, PORT_READ], plan.ports[memory, PORT_WRITE]
    value[own + time + 1] = words
    if stream < streams - 1:
        value[own] += words * wide * plan.prices[memory, 1]
        if write >= 0:
            value[own + 1 + write] += words * wide * plan.rates[memory, 1]
        return
    if plan.options[OPTION_CHARGED]:
        value[own] += words * wide * plan.prices[memory, 0]
        if read >= 0:
            value[own + 1 + read] += words * wide * plan.rates[memory, 0]
    every = not plan.options[OPTION_ONE]
    if every:
        value[own] += words * wide * plan.prices[memory, 1]
        value[time + 1] += plan.words[stream] * wide * plan.prices[memory, 1]
    if write >= 0 and (every or plan.ports[memory, PORT_MANY]):
        value[own + 1 + write] += words * wide * plan.rates[memory, 1]
        value[time + 2 + write] += plan.words[stream] * wide * plan.rates[memory, 1]


@helper()
def block(plan: LeafPlan, memory: Int, outer: IntArray, inner: IntArray, order: Int, shared: FloatArray) -> Int:
    """Loops in time of a memory from a tile to a smaller one, in an order: by how much each tensor's words are divided.

    Returns the set of ranks that turn, -1 if the memory's loops cannot stand so that all that must be inside another are. From the
    innermost outwards stands the first of the order that may.
    """
    ranks, streams = outer.shape[0], plan.indexed.shape[0]
    turning: Int = 0
    for rank in range(ranks):
        if outer[rank] != inner[rank]:
            turning |= 1 << rank
    for stream in range(streams):
        shared[stream] = 1.0
    left: Int = turning
    closed: Int = 0
    while left:
        best = -1
        for place in range(ranks):
            rank = plan.orders[order, place]
            if (left >> rank) & 1 and not plan.inside[memory, rank] & left:
                best = rank
                break
        if best < 0:
            return NOBODY
        left &= ~(1 << best)
        for stream in range(streams):
            if plan.indexed[stream, best]:
                closed |= 1 << stream
            elif not (closed >> stream) & 1:
                shared[stream] *= plan.trips[best, outer[best], inner[best]]
    return turning


@helper()
def close(plan: LeafPlan, stream: Int, value: FloatArray) -> None:
    """No loop to come can share a tensor's tile any more: what was open is settled."""
    time = plan.times
    own = 2 * time + 2 + stream * (time + 2)
    for at in range(time + 1):
        value[at] += value[own + at]
        value[own + at] = 0.0


@helper()
def turn(plan: LeafPlan, turning: Int, shared: FloatArray, open_set: Int, flags: Int, value: FloatArray) -> tuple[Int, Int]:
    """Put a block's loops around a label. Returns which tensors are still open, and the flags."""
    time, streams = plan.times, plan.indexed.shape[0]
    for stream in range(streams):
        if not (open_set >> stream) & 1:
            continue
        own = 2 * time + 2 + stream * (time + 2)
        if shared[stream] != 1.0:
            for at in range(time + 2):
                value[own + at] /= shared[stream]
        walked = bool(plan.options[OPTION_EVERY_VISIT])
        for rank in range(plan.extents.shape[0]):
            walked = walked or bool((turning >> rank) & 1 and plan.indexed[stream, rank])
        if walked:
            close(plan, stream, value)
            open_set &= ~(1 << stream)
    for rank in range(plan.extents.shape[0]):
        if (turning >> rank) & 1 and not plan.indexed[streams - 1, rank]:
            flags &= ~COMPLETE
    return open_set, flags


@helper()
def serve(plan: LeafPlan, memory: Int, served: Int, open_set: Int, flags: Int, child: Int, places: float, value: FloatArray) -> Int:
    """Let a memory serve some tensors. Returns the keeper of the result, which is nobody's concern once it is served."""
    last = plan.indexed.shape[0] - 1
    for stream in range(last + 1):
        if (served >> stream) & 1:
            pay(plan, memory, stream, child, flags, (open_set >> stream) & 1, places, value)
    return NOBODY if (served >> last) & 1 else child


@helper()
def unit_labels(
    plan: LeafPlan, tile: IntArray, labels: Labels, level: Int, served: Int, inner: IntArray, pointer: IntArray, value: FloatArray
) -> Int:
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
            value[2 * time + 2 + stream * (time + 2) + time + 1] = plan.points
        flags = apply_axes(plan, way, value, flags)
        serve(plan, level - 1, served, NONE, flags, NOBODY, NOWHERE, value)
        relax(plan, value)
        pointer[PTR_INNER], pointer[PTR_TILE], pointer[PTR_KEPT], pointer[PTR_ORDER] = -1, -1, 0, 0
        pointer[PTR_CHOICE] = way
        count = insert(
            labels.scratch[level],
            labels.scratch_keys[level],
            labels.scratch_pointers[level],
            count,
            value,
            key_of(plan, flags, NONE, NOBODY, served),
            pointer,
            time,
        )
        if count < 0:
            return -1
    return count


@helper()
def key_of(plan: LeafPlan, flags: Int, open_set: Int, child: Int, served: Int) -> Int:
    """What must be equal for labels to be compared: flags and the keeper of the result, and which tensors are open.

    Where partial results are no wider than complete ones, and where a result is served, the flags that no longer matter are set.
    """
    last = plan.indexed.shape[0] - 1
    if plan.widths[last, 0] == plan.widths[last, 1]:
        flags |= ALONE | COMPLETE
    elif (served >> last) & 1:
        flags |= ALONE
    return flags + 4 * (child + 1) + 256 * open_set


@helper()
def fits(plan: LeafPlan, memory: Int, kept: Int, tile: IntArray, wide: Int) -> bool:
    """Do the tiles of these tensors fit the memory?"""
    size = plan.ports[memory, PORT_SIZE]
    if size < 0:
        return True
    total: Int = 0
    streams = plan.indexed.shape[0]
    for stream in range(streams):
        if (kept >> stream) & 1:
            total += tile_bits(plan, stream, tile, wide)
    return bool(total <= size)


@helper()
def growable(plan: LeafPlan, memory: Int, kept: Int, outer: IntArray, tile: IntArray) -> Int:
    """The ranks along which the tile could be larger."""
    found: Int = 0
    for rank in range(tile.shape[0]):
        before = tile[rank]
        if before == outer[rank]:
            continue
        tile[rank] = plan.grown[rank, outer[rank], before]
        if plan.tile_ok[memory, rank, tile[rank]] and fits(plan, memory, kept, tile, YES):
            found |= 1 << rank
        tile[rank] = before
    return found


@helper()
def settle(plan: LeafPlan, labels: Labels, level: Int, inner: Int, tile: IntArray, kept: Int, value: FloatArray) -> tuple[Int, Int, Int]:
    """A label of the level inside, with a memory's keeps put around it: open tensors, flags, and the keeper of the result.

    The flags are -1 if the tiles do not fit.
    """
    streams = plan.indexed.shape[0]
    last = streams - 1
    memory = level
    copy(value, labels.values[level + 1, inner])
    key = labels.keys[level + 1, inner]
    flags, child, open_set = key % 4, (key // 4) % 64 - 1, key // 256
    wider = (kept >> last) & 1 and plan.widths[last, 0] != plan.widths[last, 1]
    if wider and not whole(plan, flags, tile) and not fits(plan, memory, kept, tile, YES):
        return open_set, -1, child
    for stream in range(streams):
        if (kept >> stream) & 1:
            keep(plan, memory, stream, tile, value)
            open_set |= 1 << stream
            if stream == last:
                child, flags = memory, flags | ALONE | COMPLETE
    return open_set, flags, child


@helper()
def conclude(
    plan: LeafPlan, given: Int, above: FloatArray, held: Int, open_set: Int, flags: Int, child: Int, places: float, value: FloatArray
) -> None:
    """Make a label of level 1 final: what is open is shared with idle loops further out, and the root serves what is pending."""
    time, streams = plan.times, plan.indexed.shape[0]
    for stream in range(streams):
        if (open_set >> stream) & 1:
            own = 2 * time + 2 + stream * (time + 2)
            for part in range(time + 2):
                value[own + part] /= above[stream]
            close(plan, stream, value)
        if not (given >> stream) & 1:
            pay(plan, ROOT, stream, child, flags, NO, places, value)
    for part in range(time + 1):
        value[part] -= value[time + 1 + part]
        value[time + 1 + part] = 0.0
    for part in range(2 * time + 2, value.shape[0]):
        value[part] = 0.0
    value[2 * time + 2] = held


@helper()
def largest(plan: LeafPlan, memory: Int, kept: Int, inside: IntArray, tile: IntArray, rank: Int) -> bool:
    """Make a tile as large along a rank as divides and fits; False if not even one coordinate does."""
    for at in range(inside[rank], -1, -1):
        if plan.trips[rank, inside[rank], at] > 0.0:
            tile[rank] = at
            if fits(plan, memory, kept, tile, NO):
                return True
    return False


@helper()
def advance(plan: LeafPlan, inside: IntArray, at: IntArray, tile: IntArray, kept: Int, memory: Int, largest_only: Int) -> bool:
    """The next tile that divides the one inside the axes and fits; False after the last (at[0] < 0 asks for the first).

    A memory that keeps nothing cuts nothing. largest_only: only tiles that could not be larger along some rank that they index, or of
    which some sizes are ruled out.
    """
    ranks = tile.shape[0]
    if kept == 0:
        if at[0] >= 0:
            return False
        at[0] = 0
        copy_integers(tile, inside)
        return True
    indexed: Int = NONE
    for stream in range(plan.indexed.shape[0]):
        if (kept >> stream) & 1:
            for rank in range(ranks):
                indexed |= plan.indexed[stream, rank] << rank
    ruled = plan.ruled[memory]
    indexed |= ruled
    last = plan.indexed.shape[0] - 1
    longest: Int = NOBODY
    if largest_only and not ((kept >> last) & 1 and plan.widths[last, 0] != plan.widths[last, 1]):
        for rank in range(ranks):
            alone = (indexed >> rank) & 1 and not (ruled >> rank) & 1 and plan.chained[rank]  # one size is the largest that fits
            if alone and (longest < 0 or plan.size_count[rank] > plan.size_count[longest]):
                longest = rank
    fresh = at[0] < 0
    if fresh:
        at[0] = 0
    place = ranks if fresh else 0
    while True:
        while place < ranks:
            fixed = largest_only and (place == longest or not (indexed >> place) & 1)
            at[place] += 1
            if not fixed and at[place] <= inside[place]:
                break
            at[place] = 0
            place += 1
            if place == ranks:
                return False
        good = True
        for rank in range(ranks):
            if largest_only and not (indexed >> rank) & 1:
                tile[rank] = inside[rank]
            elif rank == longest:
                tile[rank] = 0
            else:
                tile[rank] = at[rank]
                good = good and plan.trips[rank, inside[rank], at[rank]] > 0.0 and plan.tile_ok[memory, rank, at[rank]] > 0
        if good and fits(plan, memory, kept, tile, NO):
            if longest < 0 or largest(plan, memory, kept, inside, tile, longest):
                return True
            good = False
        place = 0
        if good:  # it does not fit, so neither does any with more along the first rank that is not at its least
            while place < ranks - 1 and at[place] == 0:
                place += 1
            for smaller in range(place + 1):
                at[smaller] = inside[smaller]
            place = 0


@helper()
def only_largest(plan: LeafPlan, level: Int) -> Int:
    """May a memory's tiles that could be larger be left out? Yes if nothing inside can go on being shared by loops further out.

    An order that loops further in must have may make a larger tile lose more. Where there are many tiles they are left out all the
    same, which docs/mapspace.md says.
    """
    tiles: Int = YES
    for rank in range(plan.size_count.shape[0]):
        tiles *= plan.size_count[rank]
    return YES if tiles > MANY_TILES or (plan.grows[level] and settled_inside(plan, level)) else NO


@helper()
def settled_inside(plan: LeafPlan, level: Int) -> bool:
    """Is nothing that lies inside a memory shared by its loops?"""
    return bool(plan.options[OPTION_EVERY_VISIT]) or level + 1 == plan.ports.shape[0]


@helper()
def surround(
    plan: LeafPlan, labels: Labels, level: Int, tile: IntArray, kept: Int, given: Int, more: Int, turning: Int, shared: FloatArray,
    way: Int, above: FloatArray, single: Int, value: FloatArray, pointer: IntArray, served: Int, tiles: Int,
    count: Int,
) -> Int:  # fmt: skip
    """Add to a level's scratch what the labels inside a tile become with its memory's keeps, loops in time and axes around them.

    served: tensors that the memory outside (not the root) keeps, and pays for.
    """
    time, streams, last = plan.times, plan.indexed.shape[0], plan.indexed.shape[0] - 1
    inner_number = pointer[PTR_TILE] + (kept | given) * tiles
    first, found = labels.first[level + 1, inner_number], labels.counts[level + 1, inner_number]
    for inner in range(first, first + found):
        if more and not worth_small(plan, more, labels.keys[level + 1, inner] // 256):
            continue
        open_set, flags, child = settle(plan, labels, level, inner, tile, kept, value)
        if flags < 0:
            continue
        held: Int = NONE
        partial = NO if whole(plan, labels.keys[level + 1, inner] % 4, tile) else YES
        if level == 1:
            for stream in range(streams):
                if (kept >> stream) & 1:
                    held += tile_bits(plan, stream, tile, partial if stream == last else NO)
        open_set, flags = turn(plan, turning, shared, open_set, flags, value)
        flags = apply_axes(plan, way, value, flags)
        if level > 1:
            child = serve(
                plan, level - 1, served, open_set, flags, child, plan.gains[way, GAIN_COPIES] if child == level else NOWHERE, value
            )
        relax(plan, value)
        key = key_of(plan, flags, open_set, child, served)
        if level == 1:
            conclude(plan, given, above, held, open_set, flags, child, plan.gains[way, GAIN_COPIES] if child == level else NOWHERE, value)
            if single:
                only_busiest(plan, value)
            if (given >> last) & 1 and partial:
                value[2 * time + 3] = 1.0
            key = NONE
        pointer[PTR_INNER] = inner
        count = insert(labels.scratch[level], labels.scratch_keys[level], labels.scratch_pointers[level], count, value, key, pointer, time)
        if count < 0:
            return count
    return count


@helper()
def only_busiest(plan: LeafPlan, value: FloatArray) -> None:
    """Of a final label's times, leave the largest."""
    for part in range(2, 1 + plan.times):
        if part - 1 != plan.traffic_at and part - 1 != plan.latency_at:
            value[1] = max(value[1], value[part])
            value[part] = 0.0


@helper()
def promise(
    plan: LeafPlan, level: Int, tile: IntArray, kept: Int, given: Int, served: Int, turning: Int, shared: FloatArray, way: Int,
    floor: FloatArray, copies: float, inside: FloatArray, value: FloatArray,
) -> None:  # fmt: skip
    """The least that a label can become whose memory keeps these tensors at a tile, whatever stands inside it and further out.

    floor: the least of every label inside (of credits, the most); copies: the most that axes inside can spread the tile over. What
    further loops may share counts as brought once. inside: float64[1 + times], what is left of the labels' costs at least after what
    first touches save, by their tile (or empty).
    """
    time, streams = plan.times, plan.indexed.shape[0]
    last = streams - 1
    copy(value, floor)
    at_least(plan, copies, value)
    for part in range(inside.shape[0]):
        value[part] = max(value[part], inside[part] + value[time + 1 + part])
    for stream in range(streams):
        if (kept >> stream) & 1:
            keep(plan, level, stream, tile, value)
            own = 2 * time + 2 + stream * (time + 2)
            walked = bool(plan.options[OPTION_EVERY_VISIT])
            for rank in range(tile.shape[0]):
                walked = walked or bool((turning >> rank) & 1 and plan.indexed[stream, rank])
            share = shared[stream]
            if not walked:
                # no fewer than its words, once
                share = max(1.0, value[own + time + 1] / plan.words[stream])
            for part in range(time + 2):
                value[own + part] /= share
            close(plan, stream, value)
    apply_axes(plan, way, value, NONE)
    if level > 1:
        ask_once(plan, value)
        serve(plan, level - 1, served, NONE, ALONE, level if (kept >> last) & 1 else NOBODY, plan.gains[way, GAIN_COPIES], value)
        relax(plan, value)
        return
    for stream in range(streams):
        if not (given >> stream) & 1:
            if not (kept >> stream) & 1:
                own = 2 * time + 2 + stream * (time + 2)
                value[own + time + 1] = max(value[own + time + 1], plan.words[stream])
            pay(plan, ROOT, stream, OUTERMOST if (kept >> last) & 1 else NOBODY, ALONE, NO, plan.gains[way, GAIN_COPIES], value)
    for part in range(time + 1):
        value[part] -= value[time + 1 + part]
        value[time + 1 + part] = 0.0


@helper()
def ask_once(plan: LeafPlan, value: FloatArray) -> None:
    """Every word of a tensor is asked for once at least."""
    for stream in range(plan.indexed.shape[0]):
        pending = 2 * plan.times + 2 + stream * (plan.times + 2) + plan.times + 1
        value[pending] = max(value[pending], plan.words[stream])


@helper()
def hopeless_way(
    plan: LeafPlan, labels: Labels, level: Int, count: Int, way: Int, served: Int, floors: FloatArray, copies: float, value: FloatArray
) -> bool:
    """Is every label with a way to spread worse than one that is known, whatever its memory keeps?"""
    last = plan.indexed.shape[0] - 1
    copy(value, floors[floors.shape[0] - 1])
    at_least(plan, copies, value)
    apply_axes(plan, way, value, NONE)
    ask_once(plan, value)
    for stream in range(last + 1):
        if (served >> stream) & 1:
            value[2 * plan.times + 2 + stream * (plan.times + 2) + plan.times + 1] = 0.0
    relax(plan, value)
    result = YES << last
    return hopeless_inside(plan, labels, level, count, value, NONE, served) and (
        bool(served & result) or hopeless_inside(plan, labels, level, count, value, result, served)
    )


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
                score[row] += bounds[row, 2 * time + 2 + stream * (time + 2) + time + 1] / plan.words[stream]
    if count > FEW:
        best = np.argsort(score, kind="mergesort")
        for row in range(count):
            ranking[row] = best[row]
        return
    for row in range(count):
        place = row
        while place > 0 and score[ranking[place - 1]] > score[row]:
            ranking[place] = ranking[place - 1]
            place -= 1
        ranking[place] = row


@helper()
def enlist(
    plan: LeafPlan, level: Int, outer: IntArray, given: Int, allowed: Int, served: Int, roomy: Int, single: Int, floors: FloatArray,
    reach: FloatArray, insides: FloatArray, way_from: Int, way_to: Int, order_of: IntArray, bounds: FloatArray, ranking: IntArray,
    tiles: IntArray, known: FloatArray, value: FloatArray,
) -> Int:  # fmt: skip
    """List what may stand below a tile at a level (spread, keeps, tile inside, order), with bounds, best first. -2 if there is no room.

    tiles int64[3, ranks], known float64[orders + 1, tensors] and value float64[label]: room to work in.
    """
    time, streams, ranks = plan.times, plan.indexed.shape[0], plan.extents.shape[0]
    tile, inside, at, shared = tiles[0], tiles[1], tiles[2], known[plan.orders.shape[0]]
    least = only_largest(plan, level) if roomy else NO
    count: Int = NONE
    ordered = NO
    for rank in range(ranks):
        ordered |= plan.inside[level, rank]
    for way in range(way_from, way_to):
        if not spread(plan, way, outer, inside):
            continue
        for row in range(plan.subset_count[level]):
            kept = plan.subsets[level, row]
            if kept & ~allowed or plan.must[level] & ~(kept | given) or floors[kept | given, 0] == np.inf:
                continue
            several = kept & (kept - 1) or not least or plan.ruled[level] or ordered or not settled_inside(plan, level)
            at[0] = -1
            for rank in range(1, ranks):
                at[rank] = 0
            while advance(plan, inside, at, tile, kept, level, least):
                if least and kept and growable(plan, level, kept, inside, tile):
                    continue
                orders = NONE
                inner_number = index_of(plan, tile)
                copies = reach[level + 1, inner_number]
                for order in range(plan.orders.shape[0]):
                    turning = block(plan, level, inside, tile, order, shared)
                    if turning < 0:
                        break
                    if same_as_before(known, orders, shared):
                        continue
                    orders += 1
                    if count == order_of.shape[0]:
                        return NO_CANDIDATES
                    promise(plan, level, tile, kept, given, served, turning, shared, way, floors[kept | given], copies,
                            insides[level + 1, kept | given, inner_number] if insides.shape[2] else insides[0, 0, 0:0, 0], value)
                    if single:
                        only_busiest(plan, value)
                    if level == 1:
                        value[2 * time + 2] = 0.0
                        for stream in range(streams):
                            if (kept >> stream) & 1:
                                value[2 * time + 2] += tile_bits(plan, stream, tile, NO)
                    copy(bounds[count], value)
                    order_of[count, 0], order_of[count, 1] = way, kept
                    order_of[count, 2], order_of[count, 3] = inner_number, order
                    count += 1
                    if not several:  # the loops are over the one tensor's own ranks: no order shares anything
                        break
    rank_candidates(plan, level, bounds, count, value, ranking)
    return count


@helper()
def hopeless_inside(plan: LeafPlan, labels: Labels, level: Int, count: Int, bound: FloatArray, kept: Int, served: Int) -> bool:
    """Does some label of a level, at its worst, beat the least that another can become?"""
    time, streams = plan.times, plan.indexed.shape[0]
    last = streams - 1
    for at in range(count):
        row, key = labels.scratch[level, at], labels.scratch_keys[level, at]
        child = (key // 4) % 64 - 1
        if child != (level if (kept >> last) & 1 and not (served >> last) & 1 else -1) or (
            plan.widths[last, 0] != plan.widths[last, 1] and key % 4 != ALONE | COMPLETE
        ):
            continue
        good = True
        for part in range(time + 1):
            worst = row[part]
            for stream in range(streams):
                worst += row[2 * time + 2 + stream * (time + 2) + part]
            if worst > bound[part] * SLACK or row[time + 1 + part] * SLACK < bound[time + 1 + part]:
                good = False
                break
        if good:
            for stream in range(streams):
                pending = 2 * time + 2 + stream * (time + 2) + time + 1
                good = good and row[pending] <= bound[pending] * SLACK
            if good:
                return True
    return False


@njit(error_model="numpy", _nrt=True)
def note_floor(plan: LeafPlan, labels: Labels, level: Int, number: Int, floor: FloatArray) -> None:
    """The least of every part of the labels of the whole tile at their worst (of credits, the most): nothing is shared further out."""
    time, streams = plan.times, plan.indexed.shape[0]
    for part in range(floor.shape[0]):
        floor[part] = np.inf if labels.counts[level, number] == 0 else 0.0
    for at in range(labels.first[level, number], labels.first[level, number] + labels.counts[level, number]):
        row = labels.values[level, at]
        first = at == labels.first[level, number]
        for part in range(time + 1):
            worst = row[part]
            for stream in range(streams):
                worst += row[2 * time + 2 + stream * (time + 2) + part]
            floor[part] = worst if first else min(floor[part], worst)
            floor[time + 1 + part] = max(floor[time + 1 + part], row[time + 1 + part])
        for stream in range(streams):
            pending = 2 * time + 2 + stream * (time + 2) + time + 1
            floor[pending] = row[pending] if first else min(floor[pending], row[pending])


@njit(error_model="numpy", _nrt=True)
def complete(
    plan: LeafPlan, labels: Labels, start: Int, number: Int, given: Int, allowed: Int, above: FloatArray, roomy: Int, single: Int,
    uses: IntArray, limit: FloatArray, floors: FloatArray, reach: FloatArray, insides: FloatArray, order_of: IntArray,
    bounds: FloatArray, ranking: IntArray, patience: Int,
) -> Int:  # fmt: skip
    """All good ways to run an Einsum below a tile at a level, and below whatever tiles inside it that takes. Returns how many.

    Labels of level k are ways to complete the Einsum below memory k - 1; those of levels above 1 go to their pools. Those of level 1
    stay in its scratch and are final: energy, times (the busiest alone if `single`), and in place of what is open the bits that memory
    1 holds, and whether a result that it holds already gets partial sums. `given`: tensors that memory 1 holds already; `allowed`: those
    that it may keep; `above`: by how much idle loops further out divide what is open; `roomy`: only tiles that could not be larger.

    Depth first, without recursion (Numba does not cache it): every level has a list of candidates, best first, and waits while the
    labels of a tile inside are worked out. What a bound shows to be worse than a label that is known is left out; at level 1 in what
    `uses` (energy, times, traffic, bits) names, and what is beyond `limit` (energy, the busiest of the times). Above level 1, a number is
    that of a tile plus `tiles` times the set of tensors that the memory outside keeps and pays for, the root apart. floors:
    float64[levels, sets + 1, label], of every level for the whole tile, and in the last row whatever the set. reach: of `note_reach`.
    insides: float64[levels, sets, tiles, 1 + times], bounds of the labels of every tile, or none.
    order_of int64[levels, n, 4], bounds float64[levels, n, label], ranking int64[levels, n]: room for the lists. -1: no room for
    labels, -2: none for candidates, -3: more than `patience` candidates were listed (what was worked out stays known).
    `labels.used[0]` counts them.
    Above level 1 candidates are listed for one way to spread after the other, and not for those that are hopeless.
    """
    streams, ranks, units = plan.indexed.shape[0], plan.extents.shape[0], plan.ports.shape[0]
    tiles: Int = NO + 1
    for rank in range(ranks):
        tiles *= plan.size_count[rank]
    if start > 1 and labels.first[start, number] >= 0:
        return int(labels.counts[start, number])
    numbers, size, at, count, ways = (
        np.zeros(units + 2, np.int64), np.full(units + 2, -1, np.int64), np.zeros(units + 2, np.int64), np.zeros(units + 2, np.int64),
        np.zeros(units + 2, np.int64),
    )  # fmt: skip
    outers, tile, inside = np.zeros((units + 2, ranks), np.int64), np.zeros(ranks, np.int64), np.zeros(ranks, np.int64)
    shared, room, known = np.zeros(streams), np.zeros((3, ranks), np.int64), np.zeros((plan.orders.shape[0] + 1, streams))
    value, pointer = np.zeros(labels.values.shape[2]), np.zeros(5, np.int64)
    level = start
    numbers[level] = number
    while True:
        served = numbers[level] // tiles
        outer = outers[level]
        if level == units:
            tile_of(plan, numbers[level], outer)
            found = unit_labels(plan, outer, labels, level, served, inside, pointer, value)
            if level == 1:
                for row in range(found):
                    conclude(plan, NONE, above, NONE, NONE, labels.scratch_keys[1, row] % 4, NOBODY, NOWHERE, labels.scratch[1, row])
                return found
            if not store(labels, level, numbers[level], found):
                return NO_ROOM
            if level == start:
                return found
            level -= 1
            continue
        if size[level] < 0:
            tile_of(plan, numbers[level], outer)
            ways[level], size[level], at[level], count[level] = plan.way_first[level], 0, 0, 0
        while at[level] == size[level] and ways[level] < plan.way_first[level + 1]:
            here = given if level == 1 else NONE
            upto = plan.way_first[level + 1] if level == 1 else ways[level] + 1
            if level == 1 or (spread(plan, ways[level], outer, inside) and not hopeless_way(
                plan, labels, level, count[level], ways[level], served, floors[level + 1], reach[level + 1, index_of(plan, inside)], value
            )):  # fmt: skip
                at[level] = 0
                size[level] = enlist(
                    plan, level, outers[level], here, allowed if level == 1 else ALL, served, roomy if level == 1 else YES,
                    single if level == 1 else NO, floors[level + 1], reach, insides, ways[level], upto, order_of[level], bounds[level],
                    ranking[level], room, known, value,
                )  # fmt: skip
                if size[level] < 0:
                    return NO_CANDIDATES
                patience -= size[level]
                labels.used[ROOT] += size[level]
                if patience < 0 and level < units - 1:
                    return NO_TIME
            ways[level] = upto
        waits = False
        while at[level] < size[level]:
            row = ranking[level, at[level]]
            way, kept, inner_number, order = (
                order_of[level, row, 0], order_of[level, row, 1], order_of[level, row, 2], order_of[level, row, 3]
            )  # fmt: skip
            if level == 1:
                if beyond(plan, bounds[1, row], limit) or hopeless(plan, labels.scratch[1], count[1], bounds[1, row], uses):
                    at[level] += 1
                    continue
            elif hopeless_inside(plan, labels, level, count[level], bounds[level, row], kept, served):
                at[level] += 1
                continue
            wanted = inner_number + tiles * (kept | (given if level == 1 else NONE))
            if labels.first[level + 1, wanted] < 0:
                numbers[level + 1], size[level + 1] = wanted, -1
                waits = True
                break
            spread(plan, way, outer, inside)
            tile_of(plan, inner_number, tile)
            more = growable(plan, level, kept, inside, tile) if kept and (roomy or level > 1) and plan.grows[level] else NONE
            turning = block(plan, level, inside, tile, order, shared)
            pointer[PTR_TILE], pointer[PTR_KEPT], pointer[PTR_ORDER], pointer[PTR_CHOICE] = inner_number, kept, order, way
            count[level] = surround(
                plan, labels, level, tile, kept, given if level == 1 else NONE, more, turning, shared, way, above, single, value,
                pointer, served, tiles, count[level],
            )  # fmt: skip
            if count[level] < 0:
                return NO_ROOM
            at[level] += 1
        if waits:
            level += 1
            continue
        if ways[level] < plan.way_first[level + 1]:
            continue
        if level == 1:
            return int(count[1])
        if not store(labels, level, numbers[level], count[level]):
            return NO_ROOM
        if level == start:
            return int(count[level])
        level -= 1


@helper()
def beyond(plan: LeafPlan, row: FloatArray, limit: FloatArray) -> bool:
    """Does a final label cost more energy, or the busiest of its times last longer, than what may be of use?"""
    found = row[0] > limit[0]
    for part in range(1, 1 + plan.times):
        if part - 1 != plan.traffic_at and part - 1 != plan.latency_at:
            found = found or row[part] > limit[1]
    return bool(found)


@helper()
def hopeless(plan: LeafPlan, rows: FloatArray, count: Int, bound: FloatArray, uses: IntArray) -> bool:
    """Does some final label beat a lower bound in all that counts, or equal it there with no more energy?"""
    time = plan.times
    for at in range(count):
        row = rows[at]
        if uses[3] and row[2 * time + 2] > bound[2 * time + 2]:
            continue
        worse, better = False, False
        for part in range(1 + time):
            matters = uses[0] if part == 0 else uses[2] if part - 1 == plan.traffic_at else uses[1]
            if not matters:
                continue
            worse = worse or row[part] > bound[part] * SLACK
            better = better or row[part] * SLACK < bound[part]
        if not worse and (better or row[0] <= bound[0] * SLACK):
            return True
    return False


@helper()
def whole(plan: LeafPlan, flags: Int, tile: IntArray) -> bool:
    """Does a keep of the result at a tile only ever receive complete words? flags: of the label inside."""
    last = plan.indexed.shape[0] - 1
    complete_words = bool(flags & COMPLETE)
    for rank in range(tile.shape[0]):
        complete_words = complete_words and (plan.indexed[last, rank] == 1 or tile[rank] == plan.size_count[rank] - 1)
    return complete_words


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


@helper()
def store(labels: Labels, level: Int, number: Int, count: Int) -> bool:
    """Move a level's scratch to its pool. False if there is no room."""
    first = labels.used[level]
    if count < 0 or first + count > labels.values.shape[1]:
        return False
    for at in range(count):
        copy(labels.values[level, first + at], labels.scratch[level, at])
        copy_integers(labels.pointers[level, first + at], labels.scratch_pointers[level, at])
        labels.keys[level, first + at] = labels.scratch_keys[level, at]
    labels.used[level] = first + count
    labels.first[level, number], labels.counts[level, number] = first, count
    return True
