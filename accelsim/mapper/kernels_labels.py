"""Labels: what a way to run an Einsum below a memory has cost, and what memories, loops and axes around it make of that.

A *label* is one way to complete an Einsum below a memory, given the tile that stands there. Tiles divide, so words depend only on
tiles: a keep of a tensor at tile x is filled with |T| times the trips over its other ranks, less what loops that turn directly above it
share. A label therefore carries, beside what is settled, what the loops still to come can change:

    main   energy and time that are settled                     open   of each tensor, what further idle loops directly above divide
    credit energy and time that first touches save (they grow    pending words that the next keeper outwards will be asked for
           with the copies over reduced ranks above)             begun  of the result's pending words, those that begin a sum

As float64[2 * (1 + times) + tensors * (2 + times) + 1]: main, credit, then for each tensor energy and times that are open, and words that
are pending, then words that begin a sum (the more the better, like credits). A key says, beside these, whether a result is ALONE and
COMPLETE, who keeps it, and which tensors are open.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.mapper.kernels_tiles import NO, NOBODY, NONE, YES, copy, fits
from accelsim.mapper.leaf_plan import (
    ALONE,
    COMPLETE,
    GAIN_COPIES,
    GAIN_LATENCY,
    GAIN_REDUCED,
    GAIN_SHARED,
    OPTION_CHARGED,
    OPTION_CHILD,
    OPTION_EVERY_VISIT,
    OPTION_ONE,
    PORT_MANY,
    PORT_READ,
    PORT_WRITE,
    FloatArray,
    Int,
    IntArray,
    Labels,
    LeafPlan,
)

SLACK = 1 + 1e-12
NOWHERE = np.int64(0)  # a number of copies
ROOT = np.int64(0)  # a memory


@helper()
def open_at(time: int, stream: Int) -> Int:
    """Where a label has what is open of a tensor."""
    return 2 * time + 2 + stream * (time + 2)


@helper()
def pending_at(time: int, stream: Int) -> Int:
    """Where a label has the words of a tensor that are pending."""
    return open_at(time, stream) + time + 1


@helper()
def begun_at(time: int, streams: int) -> int:
    """Where a label has how many of the result's pending words begin a sum, and read nothing."""
    return 2 * time + 2 + streams * (time + 2)


@helper()
def at_worst(label: FloatArray, part: Int, time: int, streams: int) -> float:
    """Energy or a time of a label if no loop to come shares anything."""
    worst = label[part]
    for stream in range(streams):
        worst += label[open_at(time, stream) + part]
    return float(worst)


@helper()
def key_of(plan: LeafPlan, flags: Int, open_set: Int, child: Int, served: Int, places: Int) -> Int:
    """What must be equal for labels to be compared: flags and the keeper of the result, which tensors are open, and `places`: copies of
    that keeper for each of the memory outside.

    Where partial results are no wider than complete ones, and where a result is served, the flags that no longer matter are set; places
    matter only where a keeper's port saves time by what is complete.
    """
    last = plan.indexed.shape[0] - 1
    if plan.widths[last, 0] == plan.widths[last, 1]:
        flags |= ALONE | COMPLETE
    elif (served >> last) & 1:
        flags |= ALONE
    if child < 0 or plan.widths[last, 0] == plan.widths[last, 1] or plan.ports[child, PORT_READ] < 0 or not plan.options[OPTION_CHARGED]:
        places = NONE
    return flags + 4 * (child + 1) + 256 * open_set + 65536 * places


@helper()
def flags_of(key: Int) -> Int:
    """Which of ALONE and COMPLETE the result is, in a key."""
    return key % 4


@helper()
def keeper_of(key: Int) -> Int:
    """The memory that keeps the result, in a key; -1 if none does or it is served already."""
    return (key // 4) % 64 - 1


@helper()
def open_of(key: Int) -> Int:
    """The set of tensors that are open, in a key."""
    return key // 256 % 256


@helper()
def places_of(key: Int) -> Int:
    """Copies of the keeper of the result for each of the memory outside, in a key; 0 if they do not matter."""
    return key // 65536


@helper()
def store(labels: Labels, level: Int, number: Int, count: Int, within: float) -> bool:
    """Move a level's scratch to its pool. False if there is no room. within: see `Labels`."""
    first = labels.used[level]
    if count < 0 or first + count > labels.values.shape[1]:
        return False
    for at in range(count):
        copy(labels.values[level, first + at], labels.scratch[level, at])
        copy(labels.pointers[level, first + at], labels.scratch_pointers[level, at])
        labels.keys[level, first + at] = labels.scratch_keys[level, at]
    labels.used[level] = first + count
    labels.first[level, number], labels.counts[level, number], labels.within[level, number] = first, count, within
    return True


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
    for at in range(plan.traffic_at):
        value[1 + at] *= fewer
        value[time + 2 + at] *= alike
        for stream in range(streams):
            value[open_at(time, stream) + 1 + at] *= fewer
    for stream in range(streams):
        value[pending_at(time, stream)] /= plan.gains[way, GAIN_SHARED + stream]
    if plan.options[OPTION_CHILD]:
        value[begun_at(time, streams)] *= reduced / plan.gains[way, GAIN_SHARED + streams - 1]
    left: Int = flags & plan.way_flags[way]
    return left


@njit(error_model="numpy", _nrt=False)
def most_begun(plan: LeafPlan, level: Int) -> float:
    """How many words of the result begin a sum at most, of those that a label of a level has pending."""
    last = plan.indexed.shape[0] - 1
    found = float(plan.words[last])
    for inner in range(level, plan.ports.shape[0] + 1 if plan.options[OPTION_CHILD] else level):
        most = 1.0
        for way in range(plan.way_first[inner], plan.way_first[inner + 1]):
            most = max(most, plan.gains[way, GAIN_REDUCED] / plan.gains[way, GAIN_SHARED + last])
        found *= most
    return found


@helper()
def relax(plan: LeafPlan, value: FloatArray) -> None:
    """Take every port but the root's to be busy for `relaxed` ticks at least: less does not matter then, and few labels are kept."""
    if plan.relaxed > 0.0:
        for at in range(1, plan.traffic_at):
            if at != plan.ports[ROOT, PORT_READ] and at != plan.ports[ROOT, PORT_WRITE]:
                value[1 + at] = max(value[1 + at], plan.relaxed)


@helper()
def keep(plan: LeafPlan, memory: Int, stream: Int, tile: IntArray, value: FloatArray) -> None:
    """Keep a tensor in a memory at a tile: what fills and drains it, still open to loops that share, and what it will ask for."""
    time, streams = plan.times, plan.indexed.shape[0]
    own = open_at(time, stream)
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
    value[begun_at(time, streams)] = plan.words[stream]
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
def pay(plan: LeafPlan, memory: Int, stream: Int, child: Int, flags: Int, is_open: Int, places: Int, value: FloatArray) -> None:
    """Charge a memory for the words that the keeper (or unit) inside it asks for.

    places: copies of the child for each of the memory (0: no time is taken off the child's port).
    """
    time, streams = plan.times, plan.indexed.shape[0]
    own = open_at(time, stream)
    words = value[own + time + 1]
    to = own if is_open else 0
    wide, narrow = plan.widths[stream, 0], plan.widths[stream, 1]
    read, write = plan.ports[memory, PORT_READ], plan.ports[memory, PORT_WRITE]
    if stream < streams - 1:
        value[to] += words * wide * plan.prices[memory, 0]
        if read >= 0:
            value[to + 1 + read] += words * wide * plan.rates[memory, 0]
        if memory == ROOT:
            value[to + 1 + plan.traffic_at] += words * wide
    else:
        distinct, begun = plan.words[stream], value[begun_at(time, streams)]
        value[begun_at(time, streams)] = 0.0
        value[to] += words * wide * (plan.prices[memory, 0] + plan.prices[memory, 2])
        value[time + 1] += begun * wide * plan.prices[memory, 0] + distinct * (wide - narrow) * plan.prices[memory, 2]
        if read >= 0:
            value[to + 1 + read] += words * wide * plan.rates[memory, 0]
            value[time + 2 + read] += begun * wide * plan.rates[memory, 0]
        if write >= 0:
            value[to + 1 + write] += words * wide * plan.rates[memory, 1]
            value[time + 2 + write] += distinct * (wide - narrow) * plan.rates[memory, 1]
        if memory == ROOT:
            value[to + 1 + plan.traffic_at] += 2 * words * wide
            value[time + 2 + plan.traffic_at] += begun * wide + distinct * (wide - narrow)
        if child >= 0:
            if plan.options[OPTION_ONE]:
                value[to] += words * wide * plan.prices[child, 1]
                value[time + 1] += begun * wide * plan.prices[child, 1]
                port = plan.ports[child, PORT_WRITE]
                if port >= 0 and not plan.ports[child, PORT_MANY]:
                    value[to + 1 + port] += words * wide * plan.rates[child, 1]
                    value[time + 2 + port] += begun * wide * plan.rates[child, 1]
            if flags & ALONE and plan.options[OPTION_CHARGED]:
                value[time + 1] += distinct * (wide - narrow) * plan.prices[child, 0]
                port = plan.ports[child, PORT_READ]
                if port >= 0 and places > 0:
                    value[time + 2 + port] += distinct * (wide - narrow) * plan.rates[child, 0] / places
    value[own + time + 1] = 0.0


@njit(error_model="numpy", _nrt=False)
def pay_alone(plan: LeafPlan, memory: Int, stream: Int, value: FloatArray) -> None:
    """Charge a memory for the words of one tensor that are asked of it."""
    pay(plan, memory, stream, NOBODY, NONE, NO, NOWHERE, value)


@helper()
def serve(plan: LeafPlan, memory: Int, served: Int, open_set: Int, flags: Int, child: Int, places: Int, value: FloatArray) -> Int:
    """Let a memory serve some tensors. Returns the keeper of the result, which is nobody's concern once it is served."""
    last = plan.indexed.shape[0] - 1
    for stream in range(last + 1):
        if (served >> stream) & 1:
            pay(plan, memory, stream, child, flags, (open_set >> stream) & 1, places, value)
    return NOBODY if (served >> last) & 1 else child


@helper()
def close(plan: LeafPlan, stream: Int, value: FloatArray) -> None:
    """No loop to come can share a tensor's tile any more: what was open is settled."""
    time = plan.times
    own = open_at(time, stream)
    for at in range(time + 1):
        value[at] += value[own + at]
        value[own + at] = 0.0


@helper()
def walks(plan: LeafPlan, turning: Int, stream: Int) -> bool:
    """Do loops of a block over these ranks bring other tiles of a tensor, so that none further out can share one?"""
    found = bool(plan.options[OPTION_EVERY_VISIT])
    for rank in range(plan.extents.shape[0]):
        found = found or bool((turning >> rank) & 1 and plan.indexed[stream, rank])
    return found


@helper()
def turn(plan: LeafPlan, turning: Int, shared: FloatArray, open_set: Int, flags: Int, value: FloatArray) -> tuple[Int, Int]:
    """Put a block's loops around a label. Returns which tensors are still open, and the flags."""
    time, streams = plan.times, plan.indexed.shape[0]
    for stream in range(streams):
        if not (open_set >> stream) & 1:
            continue
        own = open_at(time, stream)
        if shared[stream] != 1.0:
            for at in range(time + 2):
                value[own + at] /= shared[stream]
        if walks(plan, turning, stream):
            close(plan, stream, value)
            open_set &= ~(1 << stream)
    for rank in range(plan.extents.shape[0]):
        if (turning >> rank) & 1 and not plan.indexed[streams - 1, rank]:
            flags &= ~COMPLETE
    return open_set, flags


@helper()
def whole(plan: LeafPlan, flags: Int, tile: IntArray) -> bool:
    """Does a keep of the result at a tile only ever receive complete words? flags: of the label inside."""
    last = plan.indexed.shape[0] - 1
    complete_words = bool(flags & COMPLETE)
    for rank in range(tile.shape[0]):
        complete_words = complete_words and (plan.indexed[last, rank] == 1 or tile[rank] == plan.size_count[rank] - 1)
    return complete_words


@helper()
def settle(
    plan: LeafPlan, labels: Labels, level: Int, inner: Int, tile: IntArray, kept: Int, value: FloatArray
) -> tuple[Int, Int, Int, Int]:
    """A label of the level inside, with a memory's keeps put around it: open tensors, flags, the keeper of the result, and its places.

    The flags are -1 if the tiles do not fit.
    """
    streams = plan.indexed.shape[0]
    last = streams - 1
    memory = level
    copy(value, labels.values[level + 1, inner])
    key = labels.keys[level + 1, inner]
    flags, child, open_set, places = flags_of(key), keeper_of(key), open_of(key), places_of(key)
    wider = (kept >> last) & 1 and plan.widths[last, 0] != plan.widths[last, 1]
    if wider and not whole(plan, flags, tile) and not fits(plan, memory, kept, tile, YES):
        return open_set, -1, child, places
    for stream in range(streams):
        if (kept >> stream) & 1:
            keep(plan, memory, stream, tile, value)
            open_set |= 1 << stream
            if stream == last:
                child, flags, places = memory, flags | ALONE | COMPLETE, YES
    return open_set, flags, child, places


@helper()
def conclude(
    plan: LeafPlan, given: Int, above: FloatArray, held: Int, open_set: Int, flags: Int, child: Int, places: Int, value: FloatArray
) -> None:
    """Make a label of level 1 final: what is open is shared with idle loops further out, and the root serves what is pending."""
    time, streams = plan.times, plan.indexed.shape[0]
    for stream in range(streams):
        if (open_set >> stream) & 1:
            own = open_at(time, stream)
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
def only_busiest(plan: LeafPlan, value: FloatArray) -> None:
    """Of a final label's times, leave the largest."""
    for part in range(2, 1 + plan.traffic_at):
        value[1] = max(value[1], value[part])
        value[part] = 0.0
