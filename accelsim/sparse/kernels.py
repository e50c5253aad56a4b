"""The walk of one Einsum's loop nest over stored elements, turn by turn. Source: docs/sparse.md, "Nests"; the twin is `reference.walk`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

# Columns of Tables.levels: the rank and how it is cut; whether turns are copies, whether only stored coordinates are visited, whether the
# level cuts a rank of the result or one that is reduced.
RANK, TILE, TRIPS, SPACE, MEETS, RESULT = range(6)
STEPS_COUNTED, PROBES = 1, 2  # of MEETS: both operands are gone through, or one is looked up for each coordinate of the other
# Columns of Tables.crossings: how many levels stand above the child and above the parent, which operand (-1: the result), whether the child
# is the unit, whether copies share, whether requests are logged; how many first levels are in time, of those above the child (of a
# result that a keep holds, those before any that leads to a tile again); whether the words that ever reach a copy of the parent are told apart.
CHILD, PARENT, OPERAND, UNIT, SHARED, LOGGED, LEADING, TOLD = range(8)
# Rows of Steps: by level.
VISITS, TWO_FINGER, SKIP_AHEAD, LEADER, MATCHES = range(5)

_MOST_PLACES = 1 << 24


class Tables(NamedTuple):
    """A nest as integers (int64); columns are named in this module.

    `part[level, operand]`: which level of the operand's own a level is, -1: none. `stored[operand]`: whether it is in fibers, and then
    `coordinates`, `starts` and `elements` hold its levels one after the other, from `at[operand, own level]` and `start_at`. `extents`: of
    ranks. `apart[crossing, level]`: whether copies of a level are served apart. `lanes`: operations of a unit side by side; `leaf`: levels
    above the unit's own.
    """

    levels: IntArray
    crossings: IntArray
    part: IntArray
    stored: IntArray
    coordinates: IntArray
    starts: IntArray
    elements: IntArray
    at: IntArray
    start_at: IntArray
    extents: IntArray
    apart: IntArray
    copies_at: IntArray  # [levels + 1]: how many copies stand below so many levels
    lanes: int
    leaf: int
    radix: int


class Walked(NamedTuple):
    """What the walk counts, int64.

    `steps[5, levels, copies]`. `entering`, `grouped` [crossings, copies]: words that copies of the child are sent or send, and that copies of the
    parent send or are sent. `known`: of a result, different words that copies of the parent are sent, where they are told apart. `loads`, `served` [crossings, nodes of the operand by level]: how often each node's tile comes to a child, and leaves the
    parent. `opened[nodes]`: how often the fiber below each place in `starts` is gone through. `points`, `effectual`, `issues`, `merging`
    [copies]. `shares`: effectual points of every visit of the outermost level over copies. `log`: nodes that the logged crossing asks
    for, in order.
    """

    steps: IntArray
    entering: IntArray
    grouped: IntArray
    known: IntArray
    loads: IntArray
    served: IntArray
    opened: IntArray
    points: IntArray
    effectual: IntArray
    issues: IntArray
    merging: IntArray
    shares: IntArray
    log: IntArray


@njit(error_model="numpy")
def _claim(keys: IntArray, state: IntArray, one: int, other: int) -> IntArray:
    """Note a pair in a table of open addressing; state: [generation, used, whether it was new]. Returns the table, which may have grown."""
    if 2 * (state[1] + 1) > keys.shape[0]:
        old, generation = keys, state[0]
        keys = np.zeros((2 * old.shape[0], 3), np.int64)
        state[0], state[1] = 1, 0
        for row in range(old.shape[0]):
            if old[row, 2] == generation:
                keys = _claim(keys, state, old[row, 0], old[row, 1])
    mask = keys.shape[0] - 1
    mixed = one * np.int64(-7046029254386353131) + other * np.int64(-4417276706812531889)
    place = (mixed ^ (mixed >> 29)) & mask
    while keys[place, 2] == state[0]:
        if keys[place, 0] == one and keys[place, 1] == other:
            state[2] = 0
            return keys
        place = (place + 1) & mask
    keys[place, 0], keys[place, 1], keys[place, 2] = one, other, state[0]
    state[1] += 1
    state[2] = 1
    return keys


@njit(error_model="numpy")
def _found(coordinates: IntArray, base: int, low: int, high: int, wanted: int) -> int:
    """The first of the places low, …, high - 1 with no smaller coordinate than is wanted: ever longer steps, then halves."""
    reach = 1
    while low + reach < high and coordinates[base + low + reach] < wanted:
        low += reach
        reach *= 2
    high = min(high, low + reach)
    while low < high:
        middle = (low + high) // 2
        if coordinates[base + middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(error_model="numpy")
def _pushed(log: IntArray, used: int, value: int) -> IntArray:
    """The log with one value more, which may have grown."""
    if used == log.size:
        longer = np.zeros(2 * log.size, np.int64)
        longer[:used] = log
        log = longer
    log[used] = value
    return log


@njit(error_model="numpy")
def _merged(lists: int, elements: int, radix: int) -> int:
    """Cycles of a merger of a radix over some lists; one list alone costs nothing."""
    cycles = 0
    while lists > 1:
        cycles += lists + elements
        lists = -(-lists // radix)
    return cycles


@njit(error_model="numpy")
def walk(t: Tables) -> Walked:
    """All counts of a nest, by walking it."""
    depth, operands, crossings = t.levels.shape[0], t.part.shape[1], t.crossings.shape[0]
    copies = t.copies_at[depth]
    steps = np.zeros((5, depth, copies), np.int64)
    entering, grouped = np.zeros((crossings, copies), np.int64), np.zeros((crossings, copies), np.int64)
    known = np.zeros((crossings, copies), np.int64)
    most = t.coordinates.size + 1
    loads, served = np.zeros((crossings, most), np.int64), np.zeros((crossings, most), np.int64)
    opened = np.zeros(t.starts.size + 1, np.int64)
    points, effectual, issues, merging = (np.zeros(copies, np.int64), np.zeros(copies, np.int64),
                                          np.zeros(copies, np.int64), np.zeros(copies, np.int64))  # fmt: skip
    shares, log, logged = np.zeros(64, np.int64), np.zeros(64, np.int64), 0

    # of a result: where each copy has a place for every word of its tile, which says in which run it was made last (-1: told apart by hashing)
    width_of, seen_at, room = np.ones(crossings, np.int64), np.full(crossings, -1, np.int64), 0
    for c in range(crossings):
        if t.crossings[c, OPERAND] < 0 and not t.crossings[c, UNIT]:
            for d in range(t.crossings[c, CHILD], depth):
                if t.levels[d, RESULT]:
                    width_of[c] = min(_MOST_PLACES + 1, width_of[c] * t.levels[d, TRIPS])
            places = width_of[c] * t.copies_at[t.crossings[c, CHILD]]
            if room + places <= _MOST_PLACES:
                seen_at[c] = room
                room += places
    seen = np.full(room, -1, np.int64)
    # by level: the turn, its fibers' places and ends, the last advance; what is above each level
    turn, trips, side = np.zeros(depth, np.int64), np.zeros(depth, np.int64), np.zeros(depth, np.int64)
    first, end = np.zeros(depth, np.int64), np.zeros(depth, np.int64)
    other, other_end = np.zeros(depth, np.int64), np.zeros(depth, np.int64)
    one_of, two_of = np.full(depth, -1, np.int64), np.full(depth, -1, np.int64)
    node = np.zeros((depth + 1, operands), np.int64)
    size = np.zeros((depth + 1, t.extents.size), np.int64)
    size[0] = t.extents
    copy, time, result = np.zeros(depth + 1, np.int64), np.zeros(depth + 1, np.int64), np.zeros(depth + 1, np.int64)
    visit = np.zeros(depth + 1, np.int64)
    last, since = np.full((crossings, copies), -2, np.int64), np.zeros((crossings, copies), np.int64)
    tables = [np.zeros((1024, 3), np.int64) for _ in range(3 * crossings)]
    states = np.zeros((3 * crossings, 3), np.int64)
    states[:, 0] = 1
    begun = np.full(2 * crossings, -1, np.int64)
    for d in range(depth):
        for o in range(operands):
            if t.levels[d, MEETS] and t.stored[o] and t.part[d, o] >= 0:
                if one_of[d] < 0:
                    one_of[d] = o
                else:
                    two_of[d] = o
    # merging: the innermost reduced level in time with a level of the result inside it, and the innermost keep of the result above that
    listing, widest = -1, False
    for d in range(depth - 1, -1, -1):
        if t.levels[d, RESULT]:
            widest = widest or t.levels[d, TRIPS] > 1
        elif widest and listing < 0 and t.levels[d, TRIPS] > 1:
            listing = d
    holder = 0  # how many levels stand above the innermost keep of the result
    for c in range(crossings):
        if t.crossings[c, OPERAND] < 0 and t.crossings[c, UNIT]:
            holder = t.crossings[c, PARENT]
    merges = t.radix > 1 and listing >= holder
    list_run, list_last, lists, listed = (np.full(copies, -1, np.int64), np.full(copies, -1, np.int64),
                                          np.zeros(copies, np.int64), np.zeros(copies, np.int64))  # fmt: skip
    spatial = -1
    for d in range(depth - 1, -1, -1):
        if t.levels[d, SPACE]:
            spatial = d
    visits_apart, work_apart = 0, 0
    in_leaf = 0
    # whether all points of the innermost level are taken at once: nothing there is met, shared or looked for
    plain = depth > 0 and two_of[depth - 1] < 0 and not t.levels[depth - 1, SPACE]
    for c in range(crossings):
        unit, of_result = t.crossings[c, UNIT], t.crossings[c, OPERAND] < 0
        plain = plain and not (t.crossings[c, SHARED] and (unit or of_result)) and not (unit and t.crossings[c, LOGGED])
        plain = plain and (unit or t.crossings[c, CHILD] < depth)
    for o in range(operands):
        if depth > 0 and t.stored[o] and t.part[depth - 1, o] >= 0 and one_of[depth - 1] != o:
            plain = False

    d, entered = 0, True
    while True:
        if entered:  # at the top of level d, or at a point
            here = copy[d]
            for c in range(crossings):
                if t.crossings[c, CHILD] != d:
                    continue
                o, parent = t.crossings[c, OPERAND], t.crossings[c, PARENT]
                if o < 0 and last[c, here] != result[d]:  # another tile of the result
                    last[c, here], since[c, here] = result[d], time[d]
                if o >= 0:
                    tile = node[d, o]
                    if tile < 0 or (not t.crossings[c, UNIT] and last[c, here] == tile):
                        if tile < 0 and not t.crossings[c, UNIT]:
                            last[c, here] = -1
                        continue
                    last[c, here] = tile
                    words = 1
                    own = -1
                    for level in range(d - 1, -1, -1):
                        if t.part[level, o] >= 0:
                            own = t.part[level, o]
                            break
                    if t.stored[o]:
                        words = t.elements[t.at[o, own] + tile] if own >= 0 else t.elements[t.at[o, 0] : t.at[o, 1]].sum()
                    else:
                        for rank in range(t.extents.size):
                            for level in range(depth):
                                if t.part[level, o] >= 0 and t.levels[level, RANK] == rank:
                                    words *= size[d, rank]
                                    break
                    place = t.at[o, own] + tile if t.stored[o] and own >= 0 else most - 1
                    entering[c, here] += words
                    loads[c, place] += not t.crossings[c, UNIT]
                    fresh = True
                    if t.crossings[c, SHARED]:
                        lead = time[min(t.crossings[c, LEADING], d)]
                        if begun[c] != lead:
                            begun[c] = lead
                            states[c, 0] += 1
                            states[c, 1] = 0
                        group = 0
                        for level in range(d):
                            if t.apart[c, level]:
                                group = group * t.levels[level, TRIPS] + turn[level]
                        tables[c] = _claim(tables[c], states[c], time[d] * copies + group, tile)
                        fresh = states[c, 2] == 1
                    if fresh:
                        grouped[c, copy[parent]] += words
                        served[c, place] += not t.crossings[c, UNIT]
                        if t.crossings[c, LOGGED]:
                            log = _pushed(log, logged, place)
                            logged += 1
            if d == t.leaf:
                in_leaf = 0
            if spatial >= 0 and d == spatial + 1:
                visits_apart, work_apart = visits_apart + 1, 0
            if d == depth:  # a point
                points[here] += 1
                in_leaf += 1
                full = True
                for o in range(operands):
                    if node[d, o] < 0:
                        full = False
                if full:
                    effectual[here] += 1
                    work_apart += 1
                    if merges:
                        if list_run[here] != result[holder]:
                            merging[here] += _merged(lists[here], listed[here], t.radix)
                            list_run[here], lists[here], listed[here], list_last[here] = result[holder], 0, 0, -1
                        if list_last[here] != visit[listing + 1]:
                            list_last[here] = visit[listing + 1]
                            lists[here] += 1
                        listed[here] += 1
                    for c in range(crossings):
                        if t.crossings[c, OPERAND] >= 0:
                            continue
                        child, parent = t.crossings[c, CHILD], t.crossings[c, PARENT]
                        when = time[d] if t.crossings[c, UNIT] else since[c, copy[child]]
                        leading = min(t.crossings[c, LEADING], child)
                        lead = time[leading] if t.crossings[c, UNIT] else result[leading]
                        if not t.crossings[c, UNIT]:  # words of a run, once for every copy
                            if begun[c] != lead:
                                begun[c] = lead
                                states[c, 0] += 1
                                states[c, 1] = 0
                            if seen_at[c] >= 0:
                                spot = seen_at[c] + copy[child] * width_of[c] + result[d] % width_of[c]
                                if seen[spot] == when:
                                    continue
                                seen[spot] = when
                            else:
                                tables[c] = _claim(tables[c], states[c], when * copies + copy[child], result[d])
                                if states[c, 2] == 0:
                                    continue
                        entering[c, copy[child]] += 1
                        fresh = True
                        if t.crossings[c, SHARED]:
                            g = crossings + c
                            if begun[g] != lead:
                                begun[g] = lead
                                states[g, 0] += 1
                                states[g, 1] = 0
                            group = 0
                            for level in range(child):
                                if t.apart[c, level]:
                                    group = group * t.levels[level, TRIPS] + turn[level]
                            tables[g] = _claim(tables[g], states[g], when * copies + group, result[d])
                            fresh = states[g, 2] == 1
                        if fresh:
                            grouped[c, copy[parent]] += 1
                            if t.crossings[c, TOLD]:
                                g = 2 * crossings + c
                                tables[g] = _claim(tables[g], states[g], copy[parent], result[d])
                                known[c, copy[parent]] += states[g, 2]
                if d == t.leaf:
                    issues[here] += -(-in_leaf // t.lanes)
                entered = False
                d -= 1
                if d < 0:
                    break
                continue
            # open level d
            rank = t.levels[d, RANK]
            trips[d] = -(-size[d, rank] // t.levels[d, TILE])
            turn[d], side[d] = -1, 0
            for o in range(operands):
                if t.stored[o] and t.part[d, o] >= 0 and node[d, o] >= 0:
                    begin = t.start_at[o, t.part[d, o]] + node[d, o]
                    opened[begin] += 1
            a, b = one_of[d], two_of[d]
            if a >= 0:
                j = t.part[d, a]
                first[d] = end[d] = 0
                if node[d, a] >= 0:
                    first[d], end[d] = t.starts[t.start_at[a, j] + node[d, a]], t.starts[t.start_at[a, j] + node[d, a] + 1]
                steps[LEADER, d, copy[d]] += end[d] - first[d]
            if b >= 0:
                j = t.part[d, b]
                other[d] = other_end[d] = 0
                if node[d, b] >= 0:
                    other[d], other_end[d] = t.starts[t.start_at[b, j] + node[d, b]], t.starts[t.start_at[b, j] + node[d, b] + 1]
            entered = False
            continue
        # the next turn of level d
        a, b = one_of[d], two_of[d]
        found = False
        if plain and d == depth - 1:
            many = trips[d] if a < 0 else end[d] - first[d]
            steps[VISITS, d, copy[d]] += many
            visit[depth] += many
            here = copy[d]
            points[here] += many
            if t.leaf == depth:
                issues[here] += many
            else:
                in_leaf += many
            full = many > 0
            for o in range(operands):
                full = full and (node[d, o] >= 0 or o == a)
            for c in range(crossings):
                o = t.crossings[c, OPERAND]
                if o >= 0 and t.crossings[c, UNIT] and (node[d, o] >= 0 or o == a):
                    entering[c, here] += many
                    grouped[c, copy[t.crossings[c, PARENT]]] += many
            if full:
                effectual[here] += many
                work_apart += many
                if merges:
                    if list_run[here] != result[holder]:
                        merging[here] += _merged(lists[here], listed[here], t.radix)
                        list_run[here], lists[here], listed[here], list_last[here] = result[holder], 0, 0, -1
                    if list_last[here] != visit[listing + 1]:
                        list_last[here] = visit[listing + 1]
                        lists[here] += 1
                    listed[here] += many
                for c in range(crossings):
                    if t.crossings[c, OPERAND] >= 0:
                        continue
                    child, parent = t.crossings[c, CHILD], t.crossings[c, PARENT]
                    if t.crossings[c, UNIT]:
                        entering[c, here] += many
                        grouped[c, copy[parent]] += many
                    else:
                        lead = result[min(t.crossings[c, LEADING], child)]
                        if begun[c] != lead:
                            begun[c] = lead
                            states[c, 0] += 1
                            states[c, 1] = 0
                    if t.crossings[c, UNIT] and not t.crossings[c, TOLD]:
                        continue
                    base, width = result[d], t.levels[d, TRIPS] if t.levels[d, RESULT] else 0
                    place = t.at[a, t.part[d, a]] + first[d] if a >= 0 else 0
                    for number in range(many if width else 1):
                        word = base
                        if width:
                            word = base * width + (t.coordinates[place + number] if a >= 0 else number)
                        if not t.crossings[c, UNIT]:
                            if seen_at[c] >= 0:
                                spot = seen_at[c] + copy[child] * width_of[c] + word % width_of[c]
                                if seen[spot] == since[c, copy[child]]:
                                    continue
                                seen[spot] = since[c, copy[child]]
                            else:
                                tables[c] = _claim(tables[c], states[c], since[c, copy[child]] * copies + copy[child], word)
                                if states[c, 2] == 0:
                                    continue
                            entering[c, copy[child]] += 1
                            grouped[c, copy[parent]] += 1
                        if t.crossings[c, TOLD]:
                            g = 2 * crossings + c
                            tables[g] = _claim(tables[g], states[g], copy[parent], word)
                            known[c, copy[parent]] += states[g, 2]
            if d == t.leaf:
                issues[here] += -(-in_leaf // t.lanes)
            if d == 0:
                break
            d -= 1
            continue
        if a < 0:
            turn[d] += 1
            found = turn[d] < trips[d]
        elif b < 0:
            if turn[d] >= 0:
                first[d] += 1
            found = first[d] < end[d]
            if found:
                turn[d] = t.coordinates[t.at[a, t.part[d, a]] + first[d]]
        else:
            if turn[d] >= 0:
                first[d] += 1
                other[d] += t.levels[d, MEETS] != PROBES
            one_at, two_at = t.at[a, t.part[d, a]], t.at[b, t.part[d, b]]
            while t.levels[d, MEETS] == PROBES and first[d] < end[d]:
                left = t.coordinates[one_at + first[d]]
                other[d] = _found(t.coordinates, two_at, other[d], other_end[d], left)
                if other[d] < other_end[d] and t.coordinates[two_at + other[d]] == left:
                    steps[MATCHES, d, copy[d]] += 1
                    turn[d], found = left, True
                    break
                first[d] += 1
            while t.levels[d, MEETS] != PROBES and first[d] < end[d] and other[d] < other_end[d]:
                left, right = t.coordinates[one_at + first[d]], t.coordinates[two_at + other[d]]
                steps[TWO_FINGER, d, copy[d]] += 1
                if left == right:
                    steps[SKIP_AHEAD, d, copy[d]] += 1
                    steps[MATCHES, d, copy[d]] += 1
                    side[d], turn[d], found = 0, left, True
                    break
                if left < right:
                    steps[SKIP_AHEAD, d, copy[d]] += side[d] != 1
                    side[d] = 1
                    first[d] += 1
                else:
                    steps[SKIP_AHEAD, d, copy[d]] += side[d] != 2
                    side[d] = 2
                    other[d] += 1
        if not found:  # level d is done
            if d == t.leaf:
                issues[copy[d]] += -(-in_leaf // t.lanes)
            if d == 0:
                break
            d -= 1
            continue
        if spatial >= 0 and d == spatial and visits_apart > 0:
            shares = _pushed(shares, visits_apart - 1, work_apart)
        steps[VISITS, d, copy[d]] += 1
        inner, rank = d + 1, t.levels[d, RANK]
        for r in range(t.extents.size):
            size[inner, r] = size[d, r]
        size[inner, rank] = min(t.levels[d, TILE], size[d, rank] - turn[d] * t.levels[d, TILE])
        many = t.levels[d, TRIPS]
        copy[inner] = copy[d] * many + turn[d] if t.levels[d, SPACE] else copy[d]
        time[inner] = time[d] if t.levels[d, SPACE] else time[d] * many + turn[d]
        result[inner] = result[d] * many + turn[d] if t.levels[d, RESULT] else result[d]
        visit[inner] += 1
        for o in range(operands):
            j = t.part[d, o]
            if j < 0 or node[d, o] < 0:
                node[inner, o] = node[d, o]
            elif not t.stored[o]:
                node[inner, o] = node[d, o] * many + turn[d]
            elif o == a:
                node[inner, o] = first[d]
            elif o == b:
                node[inner, o] = other[d]
            else:  # every turn is visited: is there anything?
                low, below = t.starts[t.start_at[o, j] + node[d, o]], t.starts[t.start_at[o, j] + node[d, o] + 1]
                low = _found(t.coordinates, t.at[o, j], low, below, turn[d])
                node[inner, o] = low if low < below and t.coordinates[t.at[o, j] + low] == turn[d] else -1
        d, entered = inner, True
    if spatial >= 0 and visits_apart > 0:
        shares = _pushed(shares, visits_apart - 1, work_apart)
    for c in range(copies):
        merging[c] += _merged(lists[c], listed[c], t.radix) if merges else 0
    return Walked(
        steps, entering, grouped, known, loads, served, opened, points, effectual, issues, merging, shares[:visits_apart], log[:logged]
    )
