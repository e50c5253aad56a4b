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

    Returns the set of ranks that turn, -1 if the memory's loops cannot stand so that all that must be inside another are. The order puts
    innermost the ranks that the most favoured tensors lack, of those that may stand there.
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
        # the innermost rank that is left: the least by which of the favoured tensors it indexes
        best, least = -1, 1 << 30
        for rank in range(ranks):
            if not (left >> rank) & 1 or plan.inside[memory, rank] & left:
                continue
            code = 0
            for place in range(streams):
                code = 2 * code + plan.indexed[plan.orders[order, place], rank]
            if code < least:
                best, least = rank, code
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
def take_up(plan: LeafPlan, kept: Int, tile: IntArray, wide: Int, pieces: IntArray) -> Int:
    """Bits of the tiles of these tensors together, and of each of them (0: not kept)."""
    total: Int = 0
    for stream in range(pieces.shape[0]):
        pieces[stream] = tile_bits(plan, stream, tile, wide) if (kept >> stream) & 1 else 0
        total += pieces[stream]
    return total


@helper()
def resized(indexed: IntArray, rank: Int, times: Int, pieces: IntArray) -> Int:
    """Bits of tiles that have so many each, if they were some times larger along a rank."""
    total: Int = 0
    for stream in range(pieces.shape[0]):
        total += pieces[stream] * times if indexed[stream, rank] else pieces[stream]
    return total


@helper()
def fullest(
    indexed: IntArray, sizes: IntArray, trips: FloatArray, grown: IntArray, rank: Int, outer: Int, most: Int, size: Int, pieces: IntArray
) -> Int:
    """The first place from `most` down that a tile can have along a rank, and no larger multiple of it that divides `outer`; -1 if none.

    pieces: bits of the tensors of a tile that has one coordinate of the rank.
    """
    for at in range(most, -1, -1):
        fitting = trips[rank, outer, at] > 0.0 and (size < 0 or resized(indexed, rank, sizes[rank, at], pieces) <= size)
        larger = sizes[rank, grown[rank, outer, at]]
        if fitting and (at == outer or (size >= 0 and resized(indexed, rank, larger, pieces) > size)):
            return at
    return NOBODY


@helper()
def grows(
    indexed: IntArray, sizes: IntArray, grown: IntArray, ok: IntArray, outer: IntArray, tile: IntArray, size: Int, pieces: IntArray
) -> bool:
    """Could a tile whose tensors have so many bits be larger along some rank? ok: whether it may have a size."""
    for rank in range(tile.shape[0]):
        if tile[rank] != outer[rank] and ok[rank, grown[rank, outer[rank], tile[rank]]]:
            times = sizes[rank, grown[rank, outer[rank], tile[rank]]] // sizes[rank, tile[rank]]
            if size < 0 or resized(indexed, rank, times, pieces) <= size:
                return True
    return False


@helper()
def growable(plan: LeafPlan, memory: Int, kept: Int, outer: IntArray, tile: IntArray, pieces: IntArray) -> Int:
    """The ranks along which the tile could be larger. pieces: room to work in.

    None where loops further in have to stand in some order, which a larger tile might not let them.
    """
    size = plan.ports[memory, PORT_SIZE]
    found: Int = 0
    if not plan.grows[memory]:
        return found
    take_up(plan, kept, tile, YES, pieces)
    for rank in range(tile.shape[0]):
        if tile[rank] != outer[rank] and plan.tile_ok[memory, rank, plan.grown[rank, outer[rank], tile[rank]]]:
            times = plan.sizes[rank, plan.grown[rank, outer[rank], tile[rank]]] // plan.sizes[rank, tile[rank]]
            if size < 0 or resized(plan.indexed, rank, times, pieces) <= size:
                found |= 1 << rank
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
def advance(
    plan: LeafPlan, inside: IntArray, at: IntArray, tile: IntArray, kept: Int, memory: Int, largest_only: Int, uncut: Int, pieces: IntArray
) -> bool:
    """The next tile that divides the one inside the axes and fits; False after the last (at[0] < 0 asks for the first).

    A memory that keeps nothing cuts nothing. largest_only: only tiles that could not be larger along any rank and still fit.
    uncut: none that are cut along a rank that no kept tensor has, unless some of its sizes are ruled out. pieces: room to work in.
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
            free = (indexed >> rank) & 1 and not (ruled >> rank) & 1
            if free and (longest < 0 or plan.size_count[rank] > plan.size_count[longest]):
                longest = rank
    size = plan.ports[memory, PORT_SIZE]
    fresh = at[0] < 0
    if fresh:
        at[0] = 0
    goes_on = not fresh and longest >= 0 and at[longest] > 0  # with the same coordinates along all other ranks
    place = ranks if fresh else 0
    while True:
        while place < ranks and not goes_on:
            fixed = place == longest or (uncut and not (indexed >> place) & 1)
            at[place] += 1
            if not fixed and at[place] <= inside[place]:
                break
            at[place] = 0
            place += 1
            if place == ranks:
                return False
        good = True
        for rank in range(ranks):
            if uncut and not (indexed >> rank) & 1:
                tile[rank] = inside[rank]
            elif rank == longest:
                tile[rank] = 0
            else:
                tile[rank] = at[rank]
                good = good and plan.trips[rank, inside[rank], at[rank]] > 0.0 and plan.tile_ok[memory, rank, at[rank]] > 0
        fitting = good and (size < 0 or take_up(plan, kept, tile, NO, pieces) <= size)
        if fitting and not largest_only:
            return True
        if fitting and longest >= 0:
            most = at[longest] - 1 if goes_on else inside[longest]
            here = fullest(plan.indexed, plan.sizes, plan.trips, plan.grown, longest, inside[longest], most, size, pieces)
            after = fullest(plan.indexed, plan.sizes, plan.trips, plan.grown, longest, inside[longest], here - 1, size, pieces)
            at[longest], goes_on, tile[longest] = after + 1, after >= 0, here
            for stream in range(pieces.shape[0]):
                if plan.indexed[stream, longest]:
                    pieces[stream] *= plan.sizes[longest, here]
        elif fitting:
            take_up(plan, kept, tile, YES, pieces)
        if fitting and not grows(plan.indexed, plan.sizes, plan.grown, plan.tile_ok[memory], inside, tile, size, pieces):
            return True
        place = 0
        if good and not fitting:  # it does not fit, so neither does any with more along the first rank that is not at its least
            while place < ranks - 1 and at[place] == 0:
                place += 1
            for smaller in range(place + 1):
                at[smaller] = inside[smaller]
            place = 0


@helper()
def shares_nothing(plan: LeafPlan, level: Int) -> Int:
    """Can nothing inside a memory go on being shared by loops further out?"""
    return YES if plan.options[OPTION_EVERY_VISIT] or level + 1 == plan.ports.shape[0] else NO


@helper()
def only_largest(plan: LeafPlan, level: Int) -> Int:
    """May a memory's tiles that could be larger be left out? Yes if nothing inside can go on being shared by loops further out.

    An order that loops further in must have may make a larger tile lose more. Where there are many tiles they are left out all the
    same, which docs/mapspace.md says.
    """
    tiles: Int = YES
    for rank in range(plan.size_count.shape[0]):
        tiles *= plan.size_count[rank]
    return YES if plan.grows[level] and (shares_nothing(plan, level) or tiles > MANY_TILES) else NO


@helper()
def ordered(plan: LeafPlan, level: Int) -> Int:
    """Must some loop of a memory's block stand inside another, or nowhere?"""
    found: Int = NONE
    for rank in range(plan.extents.shape[0]):
        found |= plan.inside[level, rank]
    return YES if found else NO


@helper()
def matters(plan: LeafPlan, held_to: Int, order: Int, kept: Int) -> bool:
    """Is an order of loops worth a look? Where visits share only tiles of this memory, only the order of what it keeps counts.

    held_to: see `ordered`; every order is worth a look then.
    """
    if not plan.options[OPTION_EVERY_VISIT] or held_to:
        return True
    before, seen = NOBODY, NONE
    for place in range(plan.orders.shape[1]):
        stream = plan.orders[order, place]
        seen |= 1 << stream
        if not (kept >> stream) & 1:
            if stream < before:
                return False
            before = stream
        elif before >= 0:
            return False
    return True


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
    plan: LeafPlan, level: Int, tile: IntArray, kept: Int, served: Int, turning: Int, shared: FloatArray, way: Int,
    floor: FloatArray, copies: float, inside: FloatArray, value: FloatArray,
) -> None:  # fmt: skip
    """The least that a label above level 1 can become whose memory keeps these tensors at a tile, whatever stands inside and outside.

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
    ask_once(plan, value)
    serve(plan, level - 1, served, NONE, ALONE, level if (kept >> last) & 1 else NOBODY, plan.gains[way, GAIN_COPIES], value)
    if ((served & ~kept) >> last) & 1:
        value[time + 1] += unread(plan, level)
    relax(plan, value)


@njit(error_model="numpy", _nrt=True)
def unread(plan: LeafPlan, memory: Int) -> float:
    """Energy that is saved at most where the result is kept further in than a memory, and complete: its words are narrower then."""
    last = plan.indexed.shape[0] - 1
    most = 0.0
    if plan.options[OPTION_CHARGED]:
        for inner in range(memory + 1, plan.ports.shape[0]):
            most = max(most, plan.prices[inner, 0])
    return float(plan.words[last] * (plan.widths[last, 0] - plan.widths[last, 1]) * most)


@helper()
def weigh(
    plan: LeafPlan, kept: Int, given: Int, way: Int, floor: FloatArray, whole_tile: IntArray, terms: FloatArray, value: FloatArray
) -> None:
    """What a label of level 1 costs at least, as terms, where memory 1 keeps these tensors.

    terms: float64[tensors + 2, 1 + times], filled with what a word costs that is brought of each kept tensor, with what does not depend on
    the tile, and with what the costs inside are multiplied by. whole_tile: the largest of all. See `promise` for the rest.
    """
    time, streams = plan.times, plan.indexed.shape[0]
    last = streams - 1
    fixed, scale = terms[streams], terms[streams + 1]
    keeper = OUTERMOST if (kept >> last) & 1 else NOBODY
    for part in range(value.shape[0]):
        value[part] = 0.0
    for part in range(time + 1):
        value[part] = 1.0
        value[time + 1 + part] = floor[time + 1 + part]
    value[1 + plan.latency_at] = 0.0
    apply_axes(plan, way, value, NONE)
    for part in range(time + 1):
        scale[part], fixed[part] = value[part], -value[time + 1 + part]
    scale[1 + plan.latency_at] = 1.0
    fixed[1 + plan.latency_at] += value[1 + plan.latency_at]
    for stream in range(streams):
        own = 2 * time + 2 + stream * (time + 2)
        for part in range(value.shape[0]):
            value[part] = 0.0
        if (kept >> stream) & 1:
            keep(plan, OUTERMOST, stream, whole_tile, value)
            close(plan, stream, value)
        else:
            value[own + time + 1] = floor[own + time + 1]
        apply_axes(plan, way, value, NONE)
        value[1 + plan.latency_at] = 0.0
        if not (given >> stream) & 1:
            if not (kept >> stream) & 1:
                value[own + time + 1] = max(value[own + time + 1], plan.words[stream])
            pay(plan, ROOT, stream, keeper, ALONE, NO, plan.gains[way, GAIN_COPIES], value)
            if stream == last and keeper == NOBODY:
                value[time + 1] += unread(plan, OUTERMOST)
        for part in range(time + 1):
            fixed[part] -= value[time + 1 + part]
            if (kept >> stream) & 1:
                terms[stream, part] = value[part] / plan.words[stream]
            else:
                fixed[part] += value[part]


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
    plan: LeafPlan, level: Int, outer: IntArray, served: Int, floors: FloatArray, reach: FloatArray, insides: FloatArray, way: Int,
    order_of: IntArray, bounds: FloatArray, ranking: IntArray, tiles: IntArray, pieces: IntArray, known: FloatArray, value: FloatArray,
) -> Int:  # fmt: skip
    """List what may stand below a tile at a level above 1 (keeps, tile inside, order), with bounds, best first. -2 if there is no room.

    way: to spread. tiles int64[3, ranks], pieces int64[tensors], known float64[orders + 1, tensors], value float64[label]: room to work in.
    """
    ranks = plan.extents.shape[0]
    tile, inside, at, shared = tiles[0], tiles[1], tiles[2], known[plan.orders.shape[0]]
    least, held_to = only_largest(plan, level), ordered(plan, level)
    count: Int = NONE
    if not spread(plan, way, outer, inside):
        return count
    for row in range(plan.subset_count[level]):
        kept = plan.subsets[level, row]
        if plan.must[level] & ~kept or floors[kept, 0] == np.inf:
            continue
        several = kept & (kept - 1) or not least or plan.ruled[level] or held_to or not shares_nothing(plan, level)
        at[0] = -1
        for rank in range(1, ranks):
            at[rank] = 0
        while advance(plan, inside, at, tile, kept, level, least, least, pieces):
            orders = NONE
            inner_number = index_of(plan, tile)
            copies = reach[level + 1, inner_number]
            for order in range(plan.orders.shape[0]):
                if not matters(plan, held_to, order, kept):
                    continue
                turning = block(plan, level, inside, tile, order, shared)
                if turning < 0:
                    break
                if same_as_before(known, orders, shared):
                    continue
                orders += 1
                if count == order_of.shape[0]:
                    return NO_CANDIDATES
                promise(plan, level, tile, kept, served, turning, shared, way, floors[kept], copies,
                        insides[level + 1, kept, inner_number] if insides.shape[2] else insides[0, 0, 0:0, 0], value)
                copy(bounds[count], value)
                order_of[count, 0], order_of[count, 1] = way, kept
                order_of[count, 2], order_of[count, 3] = inner_number, order
                count += 1
                if not several:  # the loops are over the one tensor's own ranks: no order shares anything
                    break
    rank_candidates(plan, level, bounds, count, value, ranking)
    return count


@helper()
def enlist_outermost(
    plan: LeafPlan, outer: IntArray, given: Int, allowed: Int, roomy: Int, single: Int, limit: FloatArray, floors: FloatArray,
    reach: FloatArray, insides: FloatArray, order_of: IntArray, bounds: FloatArray, ranking: IntArray, tiles: IntArray,
    pieces: IntArray, known: FloatArray, value: FloatArray, terms: FloatArray, sequences: IntArray, chosen: IntArray, work: IntArray,
) -> Int:  # fmt: skip
    """The same at level 1, for all ways to spread, without what is beyond the limit. work[0]: counts some of what was looked at.

    Bounds are float64[1 + times]; in place of what is open, the bits that memory 1 holds. terms float64[tensors + 5, 1 + times],
    sequences int64[orders + 1, ranks] and chosen int64[orders]: more room.
    """
    time, streams, ranks, level = plan.times, plan.indexed.shape[0], plan.extents.shape[0], OUTERMOST
    tile, inside, at, shared = tiles[0], tiles[1], tiles[2], known[plan.orders.shape[0]]
    always = ALL if plan.options[OPTION_EVERY_VISIT] else NONE
    steps = terms[streams + 3]
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
            several = NONE
            for order in range(plan.orders.shape[0]):
                if matters(plan, held_to, order, kept):
                    arrange(plan, order, sequences[several])
                    chosen[several] = order
                    several += 1
            at[0] = -1
            for rank in range(1, ranks):
                at[rank] = 0
            while advance(plan, inside, at, tile, kept, level, least, least or uncut, pieces):
                number = index_of(plan, tile)
                lay_out(plan, kept, tile, inside, floor, reach[level + 1, number],
                        insides[level + 1, kept | given, number] if insides.shape[2] else insides[0, 0, 0:0, 0], terms)
                bits: Int = NONE
                for stream in range(streams):
                    if (kept >> stream) & 1:
                        bits += tile_bits(plan, stream, tile, NO)
                orders, good = NONE, False
                for place in range(several):
                    looked += 1
                    if count == order_of.shape[0]:
                        return NO_CANDIDATES
                    bound = bounds[count]
                    line = line_up(nested, held_to, sequences, place, steps)
                    if line < 0:
                        break
                    walked = share_out(plan.indexed, concerned, sequences[line], steps, shared) | always
                    if not amount(terms, plan.words, kept, walked, shared, time, limit[0], bound):
                        continue
                    if single:
                        only_busiest(plan, bound)
                    if beyond(plan, bound, limit):
                        continue
                    good = True
                    if several > 1 and same_as_before(known, orders, shared):
                        continue
                    orders += 1
                    bound[2 * time + 2] = bits
                    order_of[count, 0], order_of[count, 1], order_of[count, 2], order_of[count, 3] = way, kept, number, chosen[place]
                    count += 1
                if good or not kept or least:
                    continue
                # no larger tile costs more, and its loops can stand wherever those of this one can: as long as even the largest along
                # the first ranks is beyond the limit, these are all left out
                for rank in range(ranks):
                    tile[rank] = inside[rank]
                    number = index_of(plan, tile)
                    lay_out(plan, kept, tile, inside, floor, reach[level + 1, number],
                            insides[level + 1, kept | given, number] if insides.shape[2] else insides[0, 0, 0:0, 0], terms)
                    for place in range(several):
                        looked += 1
                        bound = bounds[count]
                        line = line_up(nested, held_to, sequences, place, steps)
                        if line < 0:
                            break
                        walked = share_out(plan.indexed, concerned, sequences[line], steps, shared) | always
                        good = good or (
                            amount(terms, plan.words, kept, walked, shared, time, limit[0], bound) and not beyond(plan, bound, limit)
                        )
                    if good:
                        break
                    at[rank] = inside[rank]
    work[ROOT] += looked // 16
    rank_candidates(plan, level, bounds, count, value, ranking)
    return count


@helper()
def lay_out(
    plan: LeafPlan, kept: Int, tile: IntArray, inside: IntArray, floor: FloatArray, copies: float, within: FloatArray, terms: FloatArray
) -> None:
    """Add to the terms of `weigh` what depends on the tile: how often words come, steps of the loops, and what is spent inside at least.

    copies: the most that axes inside can spread the tile over. within: bounds of what lies inside, or none.
    """
    streams, ranks = plan.indexed.shape[0], tile.shape[0]
    fixed, scale, words, steps, start = terms[streams], terms[streams + 1], terms[streams + 2], terms[streams + 3], terms[streams + 4]
    for stream in range(streams):
        if (kept >> stream) & 1:
            words[stream] = plan.words[stream]
            for rank in range(ranks):
                if not plan.indexed[stream, rank]:
                    words[stream] *= plan.trips[rank, plan.size_count[rank] - 1, tile[rank]]
    for rank in range(ranks):
        steps[rank] = plan.trips[rank, inside[rank], tile[rank]]
    for part in range(plan.times + 1):
        spent = floor[part]
        if part == 1:
            spent = max(spent, plan.points / plan.lanes * plan.issue / copies)
        if within.shape[0]:
            spent = max(spent, within[part] + floor[plan.times + 1 + part])
        start[part] = spent * scale[part] + fixed[part]


@helper()
def amount(
    terms: FloatArray, whole: IntArray, kept: Int, walked: Int, shared: FloatArray, time: Int, most: float, bound: FloatArray
) -> bool:
    """Add up terms where loops divide words by what they share; False as soon as that is more energy than is of use.

    walked: tensors whose tiles come in every visit; the others may be shared by loops further out, and come once at least.
    """
    streams = shared.shape[0]
    words, start = terms[streams + 2], terms[streams + 4]
    bound[0] = start[0]
    for stream in range(streams):
        if (kept >> stream) & 1:
            bound[0] += (words[stream] / shared[stream] if (walked >> stream) & 1 else whole[stream]) * terms[stream, 0]
    if bound[0] > most:
        return False
    for part in range(1, time + 1):
        bound[part] = start[part]
    for stream in range(streams):
        if (kept >> stream) & 1:
            brought = words[stream] / shared[stream] if (walked >> stream) & 1 else float(whole[stream])
            for part in range(1, time + 1):
                bound[part] += brought * terms[stream, part]
    return True


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
    terms, sequences = np.zeros((streams + 5, max(plan.times + 1, ranks, streams))), np.zeros((plan.orders.shape[0] + 1, ranks), np.int64)
    chosen, pieces = np.zeros(plan.orders.shape[0], np.int64), np.zeros(streams, np.int64)
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
            upto = plan.way_first[level + 1] if level == 1 else ways[level] + 1
            if level == 1:
                at[level] = 0
                size[level] = enlist_outermost(
                    plan, outers[level], given, allowed, roomy, single, limit, floors[level + 1], reach, insides, order_of[level],
                    bounds[level], ranking[level], room, pieces, known, value, terms, sequences, chosen, labels.used,
                )  # fmt: skip
            elif spread(plan, ways[level], outer, inside) and not hopeless_way(
                plan, labels, level, count[level], ways[level], served, floors[level + 1], reach[level + 1, index_of(plan, inside)], value
            ):  # fmt: skip
                at[level] = 0
                size[level] = enlist(
                    plan, level, outers[level], served, floors[level + 1], reach, insides, ways[level], order_of[level], bounds[level],
                    ranking[level], room, pieces, known, value,
                )  # fmt: skip
            ways[level] = upto
            if size[level] < 0:
                return NO_CANDIDATES
            if at[level] == 0:
                patience -= size[level]
                labels.used[ROOT] += size[level]
                if patience < 0 and level < units - 1:
                    return NO_TIME
        waits = False
        while at[level] < size[level]:
            row = ranking[level, at[level]]
            way, kept, inner_number, order = (
                order_of[level, row, 0], order_of[level, row, 1], order_of[level, row, 2], order_of[level, row, 3]
            )  # fmt: skip
            if level == 1:
                if hopeless(plan, labels.scratch[1], count[1], bounds[1, row], uses):
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
            more = growable(plan, level, kept, inside, tile, pieces) if kept and (roomy or level > 1) else NONE
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
