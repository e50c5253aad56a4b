"""The walk of one Einsum's loop nest over stored elements, turn by turn. Source: docs/sparse.md, "Nests"; the twin is `reference.count`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import helper, njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

# Columns of Tables.levels: the rank and how it is cut; whether turns are copies, how stored coordinates are met, whether the level cuts a
# rank of the result; which operands are met, the one that leads and the other (-1: none); if its steps keep a copy of the level that is
# dealt out busy, the first level that the same node goes through (-1: they do not), and which row of Walked.steps counts them; where its
# contexts begin in Tables.contexts if tiles hold so many elements (-1: they are equal), and of which operand.
RANK, TILE, TRIPS, SPACE, MEETS, RESULT, LEADS, FOLLOWS, NODE, COUNTED, ENDS, HOLDS = range(12)
GONE_THROUGH, PROBED = 1, 2  # of MEETS (0: every turn is visited): both operands go through theirs, or one is looked up for the other

# Columns of Tables.crossings: how many levels stand above the child and above the parent, which operand (-1: the result), whether the child
# is the unit, whether copies share, whether requests are logged; how many first levels are in time, of those above the child (of a
# result that a keep holds, those before any that leads to a tile again); whether words that ever reach a copy of the parent are told
# apart; of a result that a keep holds, how many words its tile has at most, and where the places of these begin in State.seen (-1: none);
# the crossing that brings the parent what this one asks for, when it does so first (-1: the parent has it); which row of Tables.rooms the
# child is (-1: none); pieces of a bit that a word takes (of a stored operand: all of it); how many tiles are held at once.
CHILD, PARENT, OPERAND, UNIT, SHARED, LOGGED, LEADING, TOLD, WIDTH, PLACES, DEMAND, ROOM, EACH, BUFFERS = range(14)
# Columns of Tables.rooms: pieces of a bit that a memory holds, and how many levels stand above its innermost keep.
SIZE, ABOVE = range(2)
# Columns of Walked.held: the most pieces that a copy of a memory holds at once, visits below its keeps, those in which it holds too much.
MOST, VISITED, BEYOND = range(3)

# Places of Tables.facts: operations side by side; levels above the unit's own; lists that are merged at a time; the innermost reduced level
# with levels of the result inside it; levels above the innermost keep of the result; whether it is merged; the level of which turns go to
# the copy that is free first (-1: none); whether all points of the innermost level are taken at once; ticks of an issue and of a cycle; of
# the crossing at which tiles of the result come and go whole, its number and how many levels stand above its child (-1: none), and how many
# tiles there are; whether some level has tiles that hold so many elements, so that tiles are named by where they stand.
LANES, LEAF, RADIX, LISTING, HOLDER, MERGES, DEALT, PLAIN, ISSUE, CYCLE, WHOLE, WHOLE_AT, TILES, UNEVEN = range(14)

# Rows of Walked.steps.
VISITS, TWO_FINGER, SKIP_AHEAD, LEADER, MATCHES = range(5)

# Rows of State.level: the turn, how many there are, which side advanced last, the places of the two fibers and their ends; above the level:
# the copy, the time, the tile of the result, and how many visits there were; where in Tables.ends its tiles are (-1: it is one tile).
TURN, MANY, SIDE, FIRST, FIRST_END, OTHER, OTHER_END, COPY, TIME, TILE_OF_RESULT, VISIT, TILES_AT = range(12)
# Rows of State.copy: of the lists of its tile the visit of the last one, how many, and their elements; from which tick on it is free.
LIST_VISIT, LISTS, LISTED, FREE = range(4)
# Rows of State.child: the tile that a copy was sent last, since when, how many words it made of it; the tile that came to it whole.
LAST, SINCE, FILLED, HELD = range(4)
# Rows of Walked.whole.
BROUGHT, NEW = range(2)
# Places of State.now: points of the unit's tile, the copy that has the turn that was dealt out last (-1: it is over), logged entries.
IN_LEAF, CHOSEN, LOGS = range(3)


class Tables(NamedTuple):
    """A nest as integers (int64); columns are named in this module.

    `part[level, operand]`: which level of the operand's own a level is, -1: none. `stored[operand]`: whether it is in fibers, and then
    `coordinates`, `starts` and `elements` hold its levels one after the other, from `at[operand, own level]` and `start_at`. `extents`: of
    ranks. `apart[crossing, level]`: whether copies of a level are served apart. `copies_at`: how many copies stand below so many levels.
    `begins[level, operand]`: the level at which the fiber begins that a level of the operand goes through, with others of its rank.
    `rooms[memories, 2]`: of those whose tiles are to fit together; `tiles`: pieces of a bit of the tile of each of `coordinates`.
    `contexts`: of tiles that hold so many elements, by node of the operand that counts them, which of `ends` are its tiles; these say
    where each begins in what is left. `codes[2, operands and the result, ranks]`: what a place along each rank counts for in the number
    that names a tile (0: not a rank of it), and how many sizes its tiles may have if these are to be told apart (0: they are not).
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
    copies_at: IntArray
    facts: IntArray
    begins: IntArray
    rooms: IntArray
    tiles: IntArray
    contexts: IntArray
    ends: IntArray
    codes: IntArray


class Walked(NamedTuple):
    """What the walk counts, int64.

    `steps[5, levels, copies]`. `entering`, `grouped` [crossings, copies]: words that copies of the child are sent or send, and that
    copies of the parent send or are sent. `known`: of a result, different words that copies of the parent are sent, where they are told
    apart. `loads`, `served` [crossings, nodes of operands, and 1]: how often the tile of each comes to a child, and leaves the parent (the
    last: the whole tensor). `opened`: how often the fiber at each place of `starts` is gone through. `points`, `effectual`, `issues`,
    `merging` [copies]. `fullest[crossings]`: the most words of a result that a copy of the child makes of one tile. `log`: nodes that the
    logged crossing asks for. `held[memories, 3]`: of the rooms. `looked[levels, operands]`: places of fibers that are
    looked up, in vain or not, where they are not gone through.
    `asked`: as `served`, of tiles that are first asked for, and `asked_words[crossings, copies]` their words by copy of the parent.
    `whole[2, copies]`: of the crossing at which tiles come whole, words that come back to each copy of the child, and that it adds to them.
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
    fullest: IntArray
    log: IntArray
    asked: IntArray
    asked_words: IntArray
    whole: IntArray
    held: IntArray
    looked: IntArray


class State(NamedTuple):
    """Where the walk is, int64. `node[level, operand]`, `size[level, rank]`, `start[level, rank]`: what the levels above leave. `begun`,
    `generation`: of what is told apart by hashing, since when, and which entries count. `seen`: in which run each word of a tile was made
    last. `tiles`: words so far of every tile that comes whole. `room[crossing, copy, buffers]`: pieces of a bit of the last
    tiles of each copy, that of now first.
    """

    level: IntArray
    node: IntArray
    size: IntArray
    start: IntArray
    copy: IntArray
    child: IntArray
    begun: IntArray
    generation: IntArray
    seen: IntArray
    now: IntArray
    tiles: IntArray
    room: IntArray


def walk(t: Tables, places: int) -> Walked:
    """All counts of a nest, by walking it. places: of State.seen."""
    s, w = blank(t, places)
    log = _walk(t, s, w, 0)
    return w._replace(log=log[: s.now[LOGS]])


def blank(t: Tables, places: int) -> tuple[State, Walked]:
    """The state before a walk, and nothing counted."""
    depth, operands, crossings, copies = t.levels.shape[0], t.part.shape[1], t.crossings.shape[0], int(t.copies_at[-1])

    def zeros(*shape: int) -> IntArray:
        return np.zeros(shape, np.int64)

    nodes = t.coordinates.size + 1
    w = Walked(
        zeros(5, depth, copies), zeros(crossings, copies), zeros(crossings, copies), zeros(crossings, copies), zeros(crossings, nodes),
        zeros(crossings, nodes), zeros(t.starts.size + 1), zeros(copies), zeros(copies), zeros(copies), zeros(copies), zeros(crossings),
        zeros(64), zeros(crossings, nodes), zeros(crossings, copies), zeros(2, copies), zeros(t.rooms.shape[0], 3), zeros(depth, operands),
    )  # fmt: skip
    s = State(
        zeros(12, depth + 1), zeros(depth + 1, operands), zeros(depth + 1, t.extents.size), zeros(depth + 1, t.extents.size),
        zeros(4, copies),
        zeros(4, crossings, copies), zeros(4 * crossings) - 1, zeros(4 * crossings) + 1, zeros(places) - 1, zeros(3), zeros(t.facts[TILES]),
        zeros(crossings, copies if t.rooms.shape[0] else 1, int(t.crossings[:, BUFFERS].max(initial=1))),
    )  # fmt: skip
    s.size[0] = t.extents
    s.copy[LIST_VISIT] = -1
    s.child[LAST] = s.child[HELD] = -2
    s.now[CHOSEN] = -1
    return s, w


@njit(error_model="numpy")
def _walk(t: Tables, s: State, w: Walked, d: int) -> IntArray:
    """Walk from the top of level d, 0; returns the log, longer than it is filled."""
    depth, leaf = t.levels.shape[0], t.facts[LEAF]
    pool, logs = [np.zeros((1024, 4), np.int64)], [w.log]
    down = True
    while d >= 0:
        if down:  # at the top of level d, or at a point
            _arrive(t, s, w, pool, logs, d)
            if d == leaf:
                s.now[IN_LEAF] = 0
            if d < depth:
                _open(t, s, w, d)
                down = False
                continue
            _point(t, s, w, pool, d)
            s.now[IN_LEAF] += 1
        elif t.facts[PLAIN] and d == depth - 1:
            _points_together(t, s, w, pool, d)
        elif _turn(t, s, w, d):
            if d == t.facts[DEALT]:
                _finish(t, s, w)
            d, down = _enter(t, s, w, d), True
            continue
        if d == t.facts[DEALT]:
            _finish(t, s, w)
        if d == leaf:
            w.issues[s.level[COPY, d]] += -(-s.now[IN_LEAF] // t.facts[LANES])
        for memory in range(t.rooms.shape[0]):
            if t.rooms[memory, ABOVE] == d:
                _hold(t, s, w, memory)
        d, down = d - 1, False
    _merge(t, s, w, 0, int(t.copies_at[depth]))
    return logs[0]


@helper(allocates=True)
def _arrive(t: Tables, s: State, w: Walked, pool: list[IntArray], logs: list[IntArray], d: int) -> None:
    """What a visit below d levels brings to the children that stand there; a copy that has its tile already is sent nothing."""
    here, copies = s.level[COPY, d], t.copies_at[t.levels.shape[0]]
    if d == t.levels.shape[0]:
        _bring(t, s, w, d)
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, CHILD] != d:
            continue
        o, unit = t.crossings[c, OPERAND], t.crossings[c, UNIT]
        tile = s.level[TILE_OF_RESULT, d] if o < 0 else s.node[d, o]
        if o < 0:
            if s.child[LAST, c, here] != tile:
                if c != t.facts[WHOLE]:
                    _leave(t, s, w, c, here)
                if t.crossings[c, ROOM] >= 0 and c != t.facts[WHOLE]:  # which come at a turn
                    _replace(s, c, here, 0)
                s.child[LAST, c, here], s.child[SINCE, c, here], s.child[FILLED, c, here] = tile, s.level[TIME, d], 0
            continue
        if unit == 0 and s.child[LAST, c, here] == tile:
            continue
        s.child[LAST, c, here], s.child[SINCE, c, here] = tile, s.level[TIME, d]
        if tile < 0:
            if t.crossings[c, ROOM] >= 0:
                _replace(s, c, here, 0)
            continue
        place, words = _tile(t, s, o, d)
        if t.crossings[c, ROOM] >= 0:
            whole = place == t.coordinates.size
            _replace(s, c, here, t.tiles[place] if not whole else t.crossings[c, EACH] * (1 if t.stored[o] else words))
        w.entering[c, here] += words
        w.loads[c, place] += 1 - unit
        if t.crossings[c, SHARED]:
            _since(s, c, s.level[TIME, min(t.crossings[c, LEADING], d)])
            if not _claim(s, pool, c, s.level[TIME, d] * copies + _group(t, s, c, d), tile):
                continue
        parent, bringing = s.level[COPY, t.crossings[c, PARENT]], t.crossings[c, DEMAND]
        w.grouped[c, parent] += words
        w.served[c, place] += 1 - unit
        if bringing >= 0 and _claim(s, pool, 3 * t.crossings.shape[0] + c, s.child[SINCE, bringing, parent] * copies + parent, tile):
            w.asked[c, place] += 1
            w.asked_words[c, parent] += words
        if t.crossings[c, LOGGED]:
            logs[0] = _pushed(logs[0], s.now[LOGS], place)
            s.now[LOGS] += 1


@helper()
def _bring(t: Tables, s: State, w: Walked, d: int) -> None:
    """A turn below d levels: if a tile of the result comes whole there, it comes with the words that it has so far."""
    if d != t.facts[WHOLE_AT]:
        return
    c, here, tile = t.facts[WHOLE], s.level[COPY, d], s.level[TILE_OF_RESULT, d]
    if s.child[HELD, c, here] != tile:
        _leave(t, s, w, c, here)
        if t.crossings[c, ROOM] >= 0:
            _replace(s, c, here, 0)
        s.child[HELD, c, here] = tile
        w.whole[BROUGHT, here] += s.tiles[tile]


@helper()
def _leave(t: Tables, s: State, w: Walked, c: int, here: int) -> None:
    """A copy has another tile of the result: what was made of its last one is merged."""
    if t.facts[MERGES] and t.crossings[c, CHILD] == t.facts[HOLDER]:
        span = t.copies_at[t.levels.shape[0]] // t.copies_at[t.facts[HOLDER]]
        _merge(t, s, w, here * span, (here + 1) * span)


@helper()
def _merge(t: Tables, s: State, w: Walked, first: int, last: int) -> None:
    """Copies of the unit from the first to before the last merge the lists that they have."""
    for unit in range(first, last):
        w.merging[unit] += _merged(s.copy[LISTS, unit], s.copy[LISTED, unit], t.facts[RADIX])
        s.copy[LIST_VISIT, unit], s.copy[LISTS, unit], s.copy[LISTED, unit] = -1, 0, 0


@helper()
def _replace(s: State, c: int, here: int, pieces: int) -> None:
    """A copy has a tile of its own now: those before it move on, and the one that is longest there leaves."""
    for buffer in range(s.room.shape[2] - 1, 0, -1):
        s.room[c, here, buffer] = s.room[c, here, buffer - 1]
    s.room[c, here, 0] = pieces


@helper()
def _hold(t: Tables, s: State, w: Walked, memory: int) -> None:
    """A visit below the keeps of a memory is over: what its copy holds."""
    held = 0
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, ROOM] != memory:
            continue
        here = s.level[COPY, t.crossings[c, CHILD]]
        if c == t.facts[WHOLE]:
            tile = s.child[HELD, c, here]
            s.room[c, here, 0] = s.tiles[tile] * t.crossings[c, EACH] if tile >= 0 else 0
        elif t.crossings[c, OPERAND] < 0:
            s.room[c, here, 0] = s.child[FILLED, c, here] * t.crossings[c, EACH]
        for buffer in range(t.crossings[c, BUFFERS]):
            held += s.room[c, here, buffer]
    w.held[memory, MOST] = max(w.held[memory, MOST], held)
    w.held[memory, VISITED] += 1
    w.held[memory, BEYOND] += held > t.rooms[memory, SIZE]


@helper()
def _tile(t: Tables, s: State, o: int, d: int) -> tuple[int, int]:
    """Where an operand's tile below d levels is noted, and its words."""
    whole, own, words = t.coordinates.size, -1, 1
    for level in range(d):
        own = max(own, t.part[level, o])
    if not t.stored[o]:
        for level in range(t.levels.shape[0]):
            first = t.part[level, o] >= 0
            for before in range(level):
                first = first and t.levels[before, RANK] != t.levels[level, RANK]
            if first:
                words *= s.size[d, t.levels[level, RANK]]
        return whole, words
    if own >= 0:
        return t.at[o, own] + s.node[d, o], t.elements[t.at[o, own] + s.node[d, o]]
    words = 0
    for place in range(t.at[o, 0], t.at[o, 1]):
        words += t.elements[place]
    return whole, words


@helper()
def _open(t: Tables, s: State, w: Walked, d: int) -> None:
    """Begin level d: its fibers, and how many turns it has."""
    s.level[MANY, d] = -(-s.size[d, t.levels[d, RANK]] // t.levels[d, TILE])
    if t.levels[d, ENDS] >= 0:
        s.level[MANY, d], s.level[TILES_AT, d], node = 1, -1, s.node[d, t.levels[d, HOLDS]]
        if node >= 0:
            context = t.levels[d, ENDS] + node
            s.level[TILES_AT, d], s.level[MANY, d] = t.contexts[context], t.contexts[context + 1] - t.contexts[context]
    s.level[TURN, d], s.level[SIDE, d] = -1, 0
    for o in range(t.part.shape[1]):
        j = t.part[d, o]
        if not t.stored[o] or j < 0:
            continue
        low = high = 0
        if s.node[d, o] >= 0:
            begin = t.start_at[o, j] + s.node[d, o]
            w.opened[begin] += 1
            low, high = t.starts[begin], t.starts[begin + 1]
        if o == t.levels[d, LEADS]:
            s.level[FIRST, d], s.level[FIRST_END, d] = low, high
            w.steps[LEADER, d, s.level[COPY, d]] += high - low
        elif o == t.levels[d, FOLLOWS]:
            s.level[OTHER, d], s.level[OTHER_END, d] = low, high
        if o != t.levels[d, LEADS] and s.node[t.begins[d, o], o] >= 0:
            if o != t.levels[d, FOLLOWS]:
                w.looked[d, o] += s.level[MANY, d]
            elif t.levels[d, MEETS] == PROBED:
                w.looked[d, o] += s.level[FIRST_END, d] - s.level[FIRST, d]


@helper()
def _turn(t: Tables, s: State, w: Walked, d: int) -> bool:
    """Go on to the next turn of level d; whether there is one."""
    a, b, here, begun = t.levels[d, LEADS], t.levels[d, FOLLOWS], s.level[COPY, d], s.level[TURN, d] >= 0
    if a < 0:
        s.level[TURN, d] += 1
        return bool(s.level[TURN, d] < s.level[MANY, d])
    one = t.at[a, t.part[d, a]]
    i, end = s.level[FIRST, d] + begun, s.level[FIRST_END, d]
    found = i < end
    if b >= 0:
        two = t.at[b, t.part[d, b]]
        j, other_end, probed = s.level[OTHER, d], s.level[OTHER_END, d], t.levels[d, MEETS] == PROBED
        j += begun and not probed
        found = False
        while i < end and (probed or j < other_end):
            left = t.coordinates[one + i]
            if probed:
                j = _found(t.coordinates, two, j, other_end, left)
                if j < other_end and t.coordinates[two + j] == left:
                    w.steps[MATCHES, d, here] += 1
                    found = True
                    break
                i += 1
                continue
            right = t.coordinates[two + j]
            side = 0 if left == right else 1 if left < right else 2
            w.steps[TWO_FINGER, d, here] += 1
            w.steps[SKIP_AHEAD, d, here] += side == 0 or side != s.level[SIDE, d]
            s.level[SIDE, d] = side
            if side == 0:
                w.steps[MATCHES, d, here] += 1
                found = True
                break
            i += side == 1
            j += side == 2
        s.level[OTHER, d] = j
    s.level[FIRST, d] = i
    if found:
        s.level[TURN, d] = t.coordinates[one + i]
    return bool(found)


@helper()
def _enter(t: Tables, s: State, w: Walked, d: int) -> int:
    """Go inside the turn of level d; returns the level below."""
    inner, turn, many, copy = d + 1, s.level[TURN, d], t.levels[d, TRIPS], s.level[COPY, d]
    w.steps[VISITS, d, s.level[COPY, d]] += 1
    _bring(t, s, w, d)
    for each in range(s.size.shape[1]):
        s.size[inner, each] = s.size[d, each]
    _cut(t, s, d)
    if d == t.facts[DEALT]:
        s.now[CHOSEN] = 0
        for each in range(s.copy.shape[1]):
            if s.copy[FREE, each] < s.copy[FREE, s.now[CHOSEN]]:
                s.now[CHOSEN] = each
        s.level[COPY, inner] = s.now[CHOSEN]
    else:
        s.level[COPY, inner] = copy * many + turn if t.levels[d, SPACE] else copy
    apart = t.levels[d, SPACE] and d != t.facts[DEALT]  # turns that are dealt out come one after the other
    s.level[TIME, inner] = s.level[TIME, d] if apart else s.level[TIME, d] * many + turn
    tile = s.level[TILE_OF_RESULT, d]
    s.level[TILE_OF_RESULT, inner] = tile * many + turn if t.levels[d, RESULT] else tile
    if t.facts[UNEVEN] and (t.levels[d, RESULT] or inner == t.levels.shape[0]):
        s.level[TILE_OF_RESULT, inner] = _named(t, s, t.part.shape[1], inner)
    s.level[VISIT, inner] += 1
    for o in range(t.part.shape[1]):
        j, above = t.part[d, o], s.node[d, o]
        if j < 0 or above < 0:
            s.node[inner, o] = above
        elif not t.stored[o]:
            s.node[inner, o] = _named(t, s, o, inner) if t.facts[UNEVEN] else above * many + turn
        elif o == t.levels[d, LEADS]:
            s.node[inner, o] = s.level[FIRST, d]
        elif o == t.levels[d, FOLLOWS]:
            s.node[inner, o] = s.level[OTHER, d]
        else:  # every turn is visited: is there anything?
            low, end = t.starts[t.start_at[o, j] + above], t.starts[t.start_at[o, j] + above + 1]
            low = _found(t.coordinates, t.at[o, j], low, end, turn)
            s.node[inner, o] = low if low < end and t.coordinates[t.at[o, j] + low] == turn else -1
    return inner


@helper()
def _cut(t: Tables, s: State, d: int) -> None:
    """What the turn of level d leaves of its rank."""
    inner, rank, turn, around = d + 1, t.levels[d, RANK], s.level[TURN, d], s.size[d, t.levels[d, RANK]]
    begin = turn * t.levels[d, TILE]
    end = min(begin + t.levels[d, TILE], around)
    if t.levels[d, ENDS] >= 0:
        begin, end, at = 0, around, s.level[TILES_AT, d]
        if at >= 0:
            begin = t.ends[at + turn]
            end = t.ends[at + turn + 1] if turn + 1 < s.level[MANY, d] else around
    s.size[inner, rank] = end - begin
    if t.facts[UNEVEN]:
        for each in range(s.start.shape[1]):
            s.start[inner, each] = s.start[d, each]
        s.start[inner, rank] += begin


@helper()
def _named(t: Tables, s: State, o: int, d: int) -> int:
    """One number for a tensor's tile below d levels, or its word below all, by where it stands and the sizes that tiles differ in."""
    name = 0
    for rank in range(t.extents.size):
        name += s.start[d, rank] * t.codes[0, o, rank]
    if d < t.levels.shape[0]:
        for rank in range(t.extents.size):
            if t.codes[1, o, rank] > 0:
                name = name * t.codes[1, o, rank] + s.size[d, rank]
    return name


@helper(allocates=True)
def _point(t: Tables, s: State, w: Walked, pool: list[IntArray], d: int) -> None:
    """One point: an operation, and if all its operands are stored a word of the result."""
    here = s.level[COPY, d]
    w.points[here] += 1
    for o in range(t.part.shape[1]):
        if s.node[d, o] < 0:
            return
    w.effectual[here] += 1
    _list(t, s, here, 1)
    for c in range(t.crossings.shape[0]):
        if t.crossings[c, OPERAND] < 0:
            _made(t, s, w, pool, c, d, s.level[TILE_OF_RESULT, d])


@helper(allocates=True)
def _made(t: Tables, s: State, w: Walked, pool: list[IntArray], c: int, d: int, word: int) -> None:
    """A word of the result is made once more below d levels: whether it crosses from a child, and to its parent."""
    child, unit, crossings = t.crossings[c, CHILD], t.crossings[c, UNIT], t.crossings.shape[0]
    copies, mine, parent = t.copies_at[t.levels.shape[0]], s.level[COPY, child], s.level[COPY, t.crossings[c, PARENT]]
    leading = min(t.crossings[c, LEADING], child)
    when, lead = s.level[TIME, d], s.level[TIME, leading]
    if not unit:  # words of a run, once for every copy
        when, lead = s.child[SINCE, c, mine], s.level[TILE_OF_RESULT, leading]
        if t.crossings[c, PLACES] >= 0:
            place = t.crossings[c, PLACES] + mine * t.crossings[c, WIDTH] + word % t.crossings[c, WIDTH]
            if s.seen[place] == when:
                return
            s.seen[place] = when
        else:
            _since(s, c, lead)
            if not _claim(s, pool, c, when * copies + mine, word):
                return
        s.child[FILLED, c, mine] += 1
        w.fullest[c] = max(w.fullest[c], s.child[FILLED, c, mine])
    w.entering[c, mine] += 1
    if t.crossings[c, SHARED]:
        _since(s, crossings + c, lead)
        if not _claim(s, pool, crossings + c, when * copies + _group(t, s, c, child), word):
            return
    w.grouped[c, parent] += 1
    if not t.crossings[c, TOLD]:
        return
    new = _claim(s, pool, 2 * crossings + c, parent, word)
    w.known[c, parent] += new
    if c == t.facts[WHOLE]:
        tile = s.level[TILE_OF_RESULT, child]
        s.tiles[tile] += new
        w.whole[NEW, mine] += new
        w.fullest[c] = max(w.fullest[c], s.tiles[tile])


@helper(allocates=True)
def _points_together(t: Tables, s: State, w: Walked, pool: list[IntArray], d: int) -> None:
    """All points of the innermost level at once, where every operand that it has goes through its fiber or has all elements."""
    a, here = t.levels[d, LEADS], s.level[COPY, d]
    many = s.level[MANY, d] if a < 0 else s.level[FIRST_END, d] - s.level[FIRST, d]
    w.steps[VISITS, d, here] += many
    s.level[VISIT, d + 1] += many
    w.points[here] += many
    if many > 0:
        _bring(t, s, w, d)
    s.now[IN_LEAF] += many
    if d + 1 == t.facts[LEAF]:
        w.issues[here] += many
    full = many > 0
    for o in range(t.part.shape[1]):
        full = full and (s.node[d, o] >= 0 or o == a)
    for c in range(t.crossings.shape[0]):
        o = t.crossings[c, OPERAND]
        if t.crossings[c, UNIT] and (full if o < 0 else s.node[d, o] >= 0 or o == a):
            w.entering[c, here] += many
            w.grouped[c, s.level[COPY, t.crossings[c, PARENT]]] += many
    if not full:
        return
    w.effectual[here] += many
    _list(t, s, here, many)
    base, step = s.level[TILE_OF_RESULT, d], t.levels[d, RESULT]
    if t.facts[UNEVEN]:
        base = 0
        for rank in range(t.extents.size):
            base += s.start[d, rank] * t.codes[0, t.part.shape[1], rank]
        step = t.codes[0, t.part.shape[1], t.levels[d, RANK]]
    elif step:
        base *= t.levels[d, TRIPS]
    place = t.at[a, t.part[d, a]] + s.level[FIRST, d] if a >= 0 else 0
    crossings = t.crossings.shape[0]
    for c in range(crossings):
        unit, told = t.crossings[c, UNIT], t.crossings[c, TOLD]
        if t.crossings[c, OPERAND] >= 0 or (unit and not told):
            continue
        parent = s.level[COPY, t.crossings[c, PARENT]]
        if not unit and not told and t.crossings[c, PLACES] >= 0:
            mine = s.level[COPY, t.crossings[c, CHILD]]
            begin = place if a >= 0 else -1
            new = _first_made(s.seen, t.crossings, c, mine, s.child[SINCE, c, mine], base, step, t.coordinates, begin, many)
            w.entering[c, mine] += new
            w.grouped[c, parent] += new
            s.child[FILLED, c, mine] += new
            w.fullest[c] = max(w.fullest[c], s.child[FILLED, c, mine])
            continue
        for number in range(many if step else 1):
            word = base + step * (t.coordinates[place + number] if a >= 0 else number)
            if unit:
                w.known[c, parent] += _claim(s, pool, 2 * crossings + c, parent, word)
            else:
                _made(t, s, w, pool, c, d, word)


@helper()
def _first_made(
    seen: IntArray, crossings: IntArray, c: int, mine: int, when: int, base: int, step: int, coordinates: IntArray, place: int, many: int
) -> int:
    """Of words of one fiber of the result, or the one word where the level is none of its, how many the run makes for the first time."""
    begin, period, new = crossings[c, PLACES] + mine * crossings[c, WIDTH], crossings[c, WIDTH], 0
    for number in range(many if step else 1):
        word = base + step * (coordinates[place + number] if place >= 0 else number)
        spot = begin + word % period
        new += seen[spot] != when
        seen[spot] = when
    return new


@helper()
def _list(t: Tables, s: State, here: int, elements: int) -> None:
    """Note elements of the lists that are to be merged."""
    if not t.facts[MERGES]:
        return
    visit = s.level[VISIT, t.facts[LISTING] + 1]
    if s.copy[LIST_VISIT, here] != visit:
        s.copy[LIST_VISIT, here] = visit
        s.copy[LISTS, here] += 1
    s.copy[LISTED, here] += elements


@helper()
def _finish(t: Tables, s: State, w: Walked) -> None:
    """The turn that was dealt out last is over: what it made is merged, and its copy is free when the slowest of what it has is done."""
    here = s.now[CHOSEN]
    if here < 0:
        return
    _merge(t, s, w, here, here + 1)
    busy = max(w.issues[here] * t.facts[ISSUE], w.merging[here] * t.facts[CYCLE])
    for node in range(t.levels.shape[0]):
        steps = 0
        for level in range(t.levels.shape[0]):
            if t.levels[level, NODE] == node:
                steps += w.steps[t.levels[level, COUNTED], level, here]
        busy = max(busy, steps * t.facts[CYCLE])
    s.copy[FREE, here], s.now[CHOSEN] = busy, -1


@helper()
def _merged(lists: int, elements: int, radix: int) -> int:
    """Cycles of a merger of a radix over some lists; one list alone costs nothing."""
    cycles = 0
    while lists > 1:
        cycles += lists + elements
        lists = -(-lists // radix)
    return cycles


@helper()
def _group(t: Tables, s: State, c: int, d: int) -> int:
    """Which copies that are served together those of now belong to."""
    group = 0
    for level in range(d):
        if t.apart[c, level]:
            group = group * t.levels[level, TRIPS] + s.level[TURN, level]
    return group


@helper()
def _since(s: State, kind: int, lead: int) -> None:
    """Forget what was told apart of a kind, unless the levels that lead to it are where they were."""
    if s.begun[kind] != lead:
        s.begun[kind] = lead
        s.generation[kind] += 1


@helper(allocates=True)
def _claim(s: State, pool: list[IntArray], kind: int, one: int, other: int) -> bool:
    """Whether a pair of a kind is new; it is noted. Rows of the pool: one, other, kind, generation (0: free)."""
    table = pool[0]
    if 2 * (table[0, 3] + 1) > table.shape[0]:  # row 0 counts the others that are taken
        kept = 0
        for row in range(1, table.shape[0]):
            kept += table[row, 3] > 0 and table[row, 3] == s.generation[table[row, 2]]
        size = table.shape[0]
        while 4 * kept > size:
            size *= 2
        pool[0] = np.zeros((size, 4), np.int64)
        for row in range(1, table.shape[0]):
            if table[row, 3] > 0 and table[row, 3] == s.generation[table[row, 2]]:
                place = _place(pool[0], table[row, 2], table[row, 0], table[row, 1], table[row, 3])
                pool[0][place] = table[row]
        pool[0][0, 3] = kept
        table = pool[0]
    place = _place(table, kind, one, other, s.generation[kind])
    if table[place, 3] > 0:
        return False
    table[place, 0], table[place, 1], table[place, 2], table[place, 3] = one, other, kind, s.generation[kind]
    table[0, 3] += 1
    return True


@helper()
def _place(table: IntArray, kind: int, one: int, other: int, generation: int) -> int:
    """The row of an entry, or the free one where it belongs."""
    mask = table.shape[0] - 1
    mixed = one * np.int64(-7046029254386353131) + other * np.int64(-4417276706812531889) + kind * np.int64(-3335678366873096957)
    place = (mixed ^ (mixed >> 29)) & mask
    while place == 0 or (
        table[place, 3] > 0
        and not (table[place, 0] == one and table[place, 1] == other and table[place, 2] == kind and table[place, 3] == generation)
    ):
        place = (place + 1) & mask
    return int(place)


@helper()
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


@helper(allocates=True)
def _pushed(log: IntArray, used: int, value: int) -> IntArray:
    """A log with a value behind those that it has."""
    if used == log.size:
        longer = np.zeros(2 * log.size, np.int64)
        longer[:used] = log
        log = longer
    log[used] = value
    return log
