"""Floors: the least that what stands below a tile can become, and when that shows it to be worse than a label that is known.

Above level 1 a bound is a label that no other can beat (`promise`). At level 1, where most candidates are, it is a sum of terms, most of
which depend on the tensors kept and the way to spread only: `weigh` makes these, `lay_out` adds what depends on the tile and `amount`
what depends on the order of loops.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.mapper.kernels_dominance import beats, is_less, is_sum, net, worth_in_all
from accelsim.mapper.kernels_labels import (
    NOWHERE,
    ROOT,
    SLACK,
    apply_axes,
    at_worst,
    begun_at,
    close,
    flags_of,
    keep,
    keeper_of,
    most_begun,
    open_at,
    open_of,
    pay,
    pending_at,
    places_of,
    relax,
    serve,
    walks,
)
from accelsim.mapper.kernels_orders import line_up, share_out, step
from accelsim.mapper.kernels_tiles import NO, NOBODY, NONE, YES, copy, index_of, spread, tile_of
from accelsim.mapper.leaf_plan import (
    ALONE,
    COMPLETE,
    GAIN_COPIES,
    OPTION_CHARGED,
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
    Room,
)

OUTERMOST = np.int64(1)  # a level, and its memory
JUST_ALONE = np.int64(ALONE)  # flags
GAIN, MOST_CREDIT = 4, 64  # looks in vain that one which was not is worth, and how many may come together
PAUSE = 16  # keeps that are not looked at after too many looks in vain


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


@njit(error_model="numpy", _nrt=False)
def note_floor(plan: LeafPlan, labels: Labels, level: Int, number: Int, floor: FloatArray) -> None:
    """The least of every part of the labels of the whole tile at their worst (of credits, the most): nothing is shared further out."""
    time, streams = plan.times, plan.indexed.shape[0]
    for part in range(floor.shape[0]):
        floor[part] = np.inf if labels.counts[level, number] == 0 else 0.0
    for at in range(labels.first[level, number], labels.first[level, number] + labels.counts[level, number]):
        row = labels.values[level, at]
        first = at == labels.first[level, number]
        for part in range(time + 1):
            worst = at_worst(row, part, time, streams)
            floor[part] = worst if first else min(floor[part], worst)
            floor[time + 1 + part] = max(floor[time + 1 + part], row[time + 1 + part])
        for stream in range(streams):
            pending = pending_at(time, stream)
            floor[pending] = row[pending] if first else min(floor[pending], row[pending])
        begun = begun_at(time, streams)
        floor[begun] = row[begun] if first else max(floor[begun], row[begun])


@helper()
def ticks_at_least(plan: LeafPlan, copies: float) -> float:
    """A unit takes at least as long as all points take in so many copies of it."""
    return float(plan.points / plan.lanes * plan.issue / copies)


@helper()
def ask_once(plan: LeafPlan, value: FloatArray) -> None:
    """Every word of a tensor is asked for once at least."""
    for stream in range(plan.indexed.shape[0]):
        pending = pending_at(plan.times, stream)
        value[pending] = max(value[pending], plan.words[stream])


@njit(error_model="numpy", _nrt=False)
def unread(plan: LeafPlan, memory: Int, copies: float, value: FloatArray) -> None:
    """Add to energy and times what is saved at most where the result is kept further in than a memory, and complete: its words are
    narrower then. copies: of any such keeper for each of the memory at least.
    """
    last = plan.indexed.shape[0] - 1
    saved = float(plan.words[last] * (plan.widths[last, 0] - plan.widths[last, 1]))
    if saved == 0.0 or not plan.options[OPTION_CHARGED]:
        return
    most = 0.0
    for inner in range(memory + 1, plan.ports.shape[0]):
        most = max(most, plan.prices[inner, 0])
        port = plan.ports[inner, PORT_READ]
        if port >= 0:
            value[1 + port] += saved * plan.rates[inner, 0] / copies
    value[0] += saved * most


@helper()
def promise_whole(
    plan: LeafPlan, level: Int, inside: IntArray, kept: Int, served: Int, way: Int, floor: FloatArray, reach: FloatArray, value: FloatArray
) -> None:
    """The least that a label can become by `promise`, whatever tile inside the axes its memory keeps: as if it kept all that is there."""
    copy(value, floor)
    value[1] = max(value[1], ticks_at_least(plan, reach[level + 1, index_of(plan, inside)]))
    for stream in range(plan.indexed.shape[0]):
        if (kept >> stream) & 1:
            keep(plan, level, stream, inside, value)
            if not plan.options[OPTION_EVERY_VISIT]:
                share(plan, stream, brought_once(plan, stream, value), value)
            close(plan, stream, value)
    put_outside(plan, level, kept, served, way, value)


@helper()
def is_in_vain(
    plan: LeafPlan, labels: Labels, level: Int, count: Int, inside: IntArray, kept: Int, served: Int, way: Int, floor: FloatArray,
    reach: FloatArray, within: float, cut: IntArray, desk: Room,
) -> bool:  # fmt: skip
    """Is every label with these tensors kept worse than one that is known, or beyond an energy (noted in `cut`)?

    desk: `turns` until this is looked at again, more than none after it was looked at without success too often.
    """
    value = desk.value
    promise_whole(plan, level, inside, kept, served, way, floor, reach, value)
    is_beyond = net(plan, level, value) > within
    if is_beyond or hopeless_inside(plan, labels, level, count, value, kept, served, way):
        cut[level] = cut[level] or is_beyond
        desk.credit[level] = min(desk.credit[level] + GAIN, MOST_CREDIT)
        return True
    desk.credit[level] = max(desk.credit[level] - 1, NONE)
    desk.turns[level] = NONE if desk.credit[level] else PAUSE
    return False


@helper(inline=True)
def promise(
    plan: LeafPlan, level: Int, tile: IntArray, number: Int, kept: Int, served: Int, turning: Int, shared: FloatArray, way: Int,
    floor: FloatArray, reach: FloatArray, insides: FloatArray, value: FloatArray,
) -> None:  # fmt: skip
    """The least that a label above level 1 can become whose memory keeps these tensors at a tile, whatever stands inside and outside.

    floor: the least of every label inside (of credits, the most). number: of the tile. What further loops may share counts as brought
    once. reach, insides: see `kernels_levels.complete`; insides are what is left of costs after what first touches save.
    """
    time = plan.times
    copy(value, floor)
    value[1] = max(value[1], ticks_at_least(plan, reach[level + 1, number]))
    if insides.shape[2]:
        for part in range(1 + time):
            value[part] = max(value[part], insides[level + 1, kept, number, part] + value[time + 1 + part])
    for stream in range(plan.indexed.shape[0]):
        if (kept >> stream) & 1:
            keep(plan, level, stream, tile, value)
            share(plan, stream, shared[stream] if walks(plan, turning, stream) else brought_once(plan, stream, value), value)
            close(plan, stream, value)
    put_outside(plan, level, kept, served, way, value)


@helper(inline=True)
def brought_once(plan: LeafPlan, stream: Int, value: FloatArray) -> float:
    """How many loops would have to share a tensor's tile for its words to come once."""
    return float(max(1.0, value[pending_at(plan.times, stream)] / plan.words[stream]))


@helper(inline=True)
def share(plan: LeafPlan, stream: Int, loops: float, value: FloatArray) -> None:
    """Divide what is open and pending of a tensor."""
    own = open_at(plan.times, stream)
    for part in range(plan.times + 2):
        value[own + part] /= loops


@helper(inline=True)
def put_outside(plan: LeafPlan, level: Int, kept: Int, served: Int, way: Int, value: FloatArray) -> None:
    """Take a bound outside the axes before its memory, where the next memory serves some tensors."""
    last = plan.indexed.shape[0] - 1
    apply_axes(plan, way, value, NONE)
    ask_once(plan, value)
    copies = plan.gains[way, GAIN_COPIES]
    serve(plan, level - 1, served, NONE, JUST_ALONE, level if (kept >> last) & 1 else NOBODY, np.int64(copies), value)
    if ((served & ~kept) >> last) & 1:
        unread(plan, level, copies, value[plan.times + 1 :])
    relax(plan, value)


@helper()
def hopeless_way(
    plan: LeafPlan, labels: Labels, level: Int, count: Int, way: Int, served: Int, floors: FloatArray, copies: float, value: FloatArray,
    within: float, cut: IntArray,
) -> bool:  # fmt: skip
    """Is every label with a way to spread worse than one that is known, whatever its memory keeps, or beyond an energy (noted in `cut`)?"""
    last = plan.indexed.shape[0] - 1
    copy(value, floors[floors.shape[0] - 1])
    value[1] = max(value[1], ticks_at_least(plan, copies))
    apply_axes(plan, way, value, NONE)
    ask_once(plan, value)
    for stream in range(last):
        if (served >> stream) & 1:
            value[pending_at(plan.times, stream)] = 0.0
    result = YES << last
    if served & result:
        pay(plan, level - 1, last, NOBODY, NONE, NO, NOWHERE, value)
        unread(plan, level - 1, plan.gains[way, GAIN_COPIES], value[plan.times + 1 :])
        once(plan, level, value)
    relax(plan, value)
    if net(plan, level, value) > within:
        cut[level] = YES
        return True
    return hopeless_inside(plan, labels, level, count, value, NONE, served, way) and (
        bool(served & result) or hopeless_inside(plan, labels, level, count, value, result, served, way)
    )


@helper()
def once(plan: LeafPlan, memory: Int, value: FloatArray) -> None:
    """Add to a label's credits what first touches of the result save at most in a memory or further in."""
    last = plan.indexed.shape[0] - 1
    if not plan.options[OPTION_ONE]:
        return
    saved, most = most_begun(plan, memory) * plan.widths[last, 0], 0.0
    for inner in range(memory, plan.ports.shape[0]):
        most = max(most, plan.prices[inner, 1])
        port = plan.ports[inner, PORT_WRITE]
        if port >= 0 and not plan.ports[inner, PORT_MANY]:
            value[plan.times + 2 + port] += saved * plan.rates[inner, 1]
    value[plan.times + 1] += saved * most


@helper()
def hopeless_inside(
    plan: LeafPlan, labels: Labels, level: Int, count: Int, bound: FloatArray, kept: Int, served: Int, way: Int
) -> bool:
    """Does some label of a level, at its worst, beat the least that another can become, spread in some way?"""
    last = plan.indexed.shape[0] - 1
    for at in range(count):
        row, key = labels.scratch[level, at], labels.scratch_keys[level, at]
        if keeper_of(key) != (level if (kept >> last) & 1 and not (served >> last) & 1 else -1) or (
            plan.widths[last, 0] != plan.widths[last, 1]
            and (flags_of(key) != ALONE | COMPLETE or places_of(key) > plan.gains[way, GAIN_COPIES])
        ):
            continue
        if beats(
            plan.words, plan.worth[level], plan.growth[level], plan.apart[level], row, open_of(key), bound, NONE, plan.times
        ):  # fmt: skip
            return True
    return False


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
        pending = pending_at(time, stream)
        for part in range(value.shape[0]):
            value[part] = 0.0
        if (kept >> stream) & 1:
            keep(plan, OUTERMOST, stream, whole_tile, value)
            close(plan, stream, value)
        else:
            value[pending] = floor[pending]
            if stream == last:
                value[begun_at(time, streams)] = floor[begun_at(time, streams)]
        apply_axes(plan, way, value, NONE)
        value[1 + plan.latency_at] = 0.0
        if not (given >> stream) & 1:
            if not (kept >> stream) & 1:
                value[pending] = max(value[pending], plan.words[stream])
            pay(plan, ROOT, stream, keeper, JUST_ALONE, NO, np.int64(plan.gains[way, GAIN_COPIES]), value)
            if stream == last and keeper == NOBODY:
                unread(plan, OUTERMOST, plan.gains[way, GAIN_COPIES], value[time + 1 :])
        for part in range(time + 1):
            fixed[part] -= value[time + 1 + part]
            if (kept >> stream) & 1:
                terms[stream, part] = value[part] / plan.words[stream]
            else:
                fixed[part] += value[part]


@helper()
def lay_out(
    plan: LeafPlan, kept: Int, given: Int, tile: IntArray, number: Int, inside: IntArray, floor: FloatArray, reach: FloatArray,
    insides: FloatArray, terms: FloatArray,
) -> None:  # fmt: skip
    """Add to the terms of `weigh` what depends on the tile: how often words come, steps of the loops, and what is spent inside at least.

    See `promise`.
    """
    streams, ranks = plan.indexed.shape[0], tile.shape[0]
    fixed, scale, words, steps, start = terms[streams], terms[streams + 1], terms[streams + 2], terms[streams + 3], terms[streams + 4]
    for stream in range(streams):
        if (kept >> stream) & 1:
            words[stream] = plan.words[stream]
            for rank in range(ranks):
                if not plan.indexed[stream, rank]:
                    words[stream] *= plan.trips[rank, plan.size_count[rank] - 1, tile[rank]]
    step(plan, inside, tile, steps)
    for part in range(plan.times + 1):
        spent = floor[part]
        if part == 1:
            spent = max(spent, ticks_at_least(plan, reach[OUTERMOST + 1, number]))
        if insides.shape[2]:
            spent = max(spent, insides[OUTERMOST + 1, kept | given, number, part] + floor[plan.times + 1 + part])
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
def beyond(row: FloatArray, busy: int, limit: FloatArray) -> bool:
    """Does a final label cost more energy, or the longest of its first `busy` times last longer, than what may be of use?"""
    found = row[0] > limit[0]
    for part in range(1, 1 + busy):
        found = found or row[part] > limit[1]
    return bool(found)


@helper(inline=True)
def of_use(
    indexed: IntArray, whole: IntArray, nested: IntArray, held_to: Int, concerned: Int, always: Int, kept: Int, sequences: IntArray,
    place: Int, terms: FloatArray, shared: FloatArray, time: int, busy: int, limit: FloatArray, bound: FloatArray,
) -> Int:  # fmt: skip
    """Is what a label of level 1 costs at least, whose loops stand in the order of a sequence, within the limit? Leaves it in `bound`.

    -1 if the loops cannot stand so that all that must be inside another are.
    """
    steps = terms[shared.shape[0] + 3]
    line = line_up(nested, held_to, sequences, place, steps)
    if line < 0:
        return NOBODY
    walked = share_out(indexed, concerned, sequences[line], steps, shared) | always
    within = amount(terms, whole, kept, walked, shared, time, limit[0], bound)
    return YES if within and not beyond(bound, busy, limit) else NO


@helper()
def hopeless(plan: LeafPlan, rows: FloatArray, count: Int, bound: FloatArray, uses: IntArray, weights: FloatArray) -> bool:
    """Does some final label beat a lower bound in all that counts (with weights, in their sum), or equal it there with no more energy?"""
    time, weighed = plan.times, is_sum(weights)
    least = worth_in_all(plan, weights, bound)
    for at in range(count):
        row = rows[at]
        if uses[3] and row[2 * time + 2] > bound[2 * time + 2]:
            continue
        if weighed:
            if is_less(worth_in_all(plan, weights, row), least, row[0], bound[0]):
                return True
            continue
        worse, better = False, False
        for part in range(1 + time):
            used = uses[0] if part == 0 else uses[2] if part - 1 == plan.traffic_at else uses[1]
            if not used:
                continue
            worse = worse or row[part] > bound[part] * SLACK
            better = better or row[part] * SLACK < bound[part]
        if not worse and (better or row[0] <= bound[0] * SLACK):
            return True
    return False
