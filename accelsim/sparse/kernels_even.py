"""Sums over turns that are alike, of one nest, over flat tables: see `even.Table`. Source: docs/sparse.md, "Statistics".

Their twin is `Axes.total`, which goes over turns that differ, one sum after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.kernel_cache import helper, njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    Shares = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Int = int | np.int64

# how a factor follows from the sizes of its boxes
VOLUME, MEAN, PLACES, TOGETHER, EMPTY, ALONE_MEAN, ALONE_SOME, MATCHED, BEYOND, GIVEN, ALONG = range(11)
# of what chances are listed that a box is empty: by its places, by places of a block of a row, by places of a row, by blocks it touches
ANYWHERE, IN_BLOCKS_OF_ROWS, IN_ROWS, IN_BLOCKS = range(4)
# of a turn along a fiber, as in `meeting`
HERE, ON, LATER, BOTH, AFTER_BOTH = range(5)
# columns of `Tables.factors`: the rule, where its pieces begin, dimensions, of which chances a list begins where and is how long,
# the side of a block, a loop or a row of `given`, and a dimension
RULE, BEGIN, DIMENSIONS, LISTED, START, LENGTH, SIDE, LOOP, PLACE = range(9)
CHANCE, PAIRED = 9, 10  # along a fiber: which chance of a turn, and whether of pairs of turns
ROOM, FIXED, EACH, SOME = 9, 10, 11, 12  # beyond a room of so many bits: those of a place and of an element, and the least elements
COLUMNS = 13
RANK, LAST, STANDS = range(3)  # columns of `pieces`
FIRST, END, MET, ALIKE = range(4)  # columns of `sums`


class Tables(NamedTuple):
    """Sums as integers. `rank_of`: of loops. `pieces`: rank, the last loop that leaves it (-1: none), whether its places stand together;
    `cut`: by which loops. `of_factor`: pieces of factors, box by box. `of_sum`: factors of sums, twice their place, one more for the
    rest. `counted`, `chosen`: loops of sums. `borders`: sums, and pieces in them that may not stand across borders of so many places.
    `hangs`: ranks of which sums want every loop to be even. `depths`: by rank, how many of its loops there are down to the last
    counted. `told`: loops whose turns take bits to tell apart. `numbers`: of densities, or of points at a time. `blanks`: chances that
    so many places are empty.
    """

    rank_of: IntArray  # [loops]
    extents: IntArray  # [ranks]
    pieces: IntArray  # [pieces, 3]
    cut: Flags  # [pieces, loops]
    factors: IntArray  # [factors, COLUMNS]
    told: Flags  # [factors, loops]
    numbers: Shares  # [factors, 2]
    of_factor: IntArray
    sums: IntArray  # [sums, 4]
    of_sum: IntArray
    counted: Flags  # [sums, loops]
    chosen: Flags  # [sums, loops]
    borders: IntArray  # [borders, 3]
    hangs: Flags  # [sums, ranks]
    depths: IntArray  # [sums, ranks]
    chances: Shares
    blanks: Shares


@helper(allocates=True)
def _ways(t: Tables, sizes: IntArray, most: Int, uneven: Flags) -> tuple[Shares, IntArray, IntArray]:
    """All ways through the loops of all ranks: at each through its whole tiles, and through the one that is left.

    sizes: int64[loops, 2], tiles and turns. Returns turns that are alike float64[ways, loops], what each leaves int64[ways, loops], and
    by rank how many of its loops go the way before, -1: none did. No ways if there are more than `most`. Notes `uneven` ranks.
    """
    loops, ranks = sizes.shape[0], t.extents.size
    several = False
    trips, left, known = np.empty((1, loops)), np.empty((1, loops), np.int64), np.full((1, ranks), -1)
    for rank in range(ranks):
        here = t.extents[rank]
        uneven[rank] = False
        for loop in range(loops):
            if t.rank_of[loop] == rank:
                tile = sizes[loop, 0]
                whole, rest = here // tile, here % tile
                if whole and rest:
                    uneven[rank] = several = True
                trips[0, loop] = max(1, whole)
                here = left[0, loop] = tile if whole else rest
    if not several:
        return trips, left, known
    before, left_before = np.empty((most, loops)), np.empty((most, loops), np.int64)
    trips, left, known = np.empty((most, loops)), np.empty((most, loops), np.int64), np.full((most, ranks), -1)
    now, parent = np.empty(most, np.int64), np.empty(most, np.int64)
    many = 1
    for rank in range(ranks):
        now[:many] = t.extents[rank]
        parent[:many] = np.arange(many)
        known_before = known[:many].copy()
        for loop in range(loops):
            if t.rank_of[loop] != rank:
                continue
            tile, made = sizes[loop, 0], 0
            before[:many], left_before[:many] = trips[:many], left[:many]
            now_before, parent_before = now[:many].copy(), parent[:many].copy()
            for way in range(many):
                whole, rest = now_before[way] // tile, now_before[way] % tile
                for part in range(2):
                    turns, size = (whole, tile) if part == 0 else (np.int64(1), rest)
                    if not turns or not size:
                        continue
                    if made == most:
                        return trips[:0], left[:0], known[:0]
                    trips[made], left[made] = before[way], left_before[way]
                    trips[made, loop], left[made, loop] = turns, size
                    now[made], parent[made] = size, parent_before[way]
                    made += 1
            many = made
        for way in range(many):
            known[way] = known_before[parent[way]]
            if way and parent[way] == parent[way - 1]:
                place = 0
                for loop in range(loops):
                    if t.rank_of[loop] == rank:
                        if left[way, loop] != left[way - 1, loop]:
                            break
                        place += 1
                known[way, rank] = place
            else:
                known[way, rank] = -1
    return trips[:many], left[:many], known[:many]


@helper(inline=True)
def _size(t: Tables, sizes: IntArray, left: IntArray, way: Int, piece: Int) -> Int:
    """Places of a piece, of one way; of one that does not stand together, if its rank is cut evenly."""
    rank, last = t.pieces[piece, RANK], t.pieces[piece, LAST]
    if t.pieces[piece, STANDS] and way >= 0:
        return np.int64(t.extents[rank] if last < 0 else left[way, last])
    turns = 1
    for loop in range(sizes.shape[0]):
        if t.cut[piece, loop]:
            turns *= sizes[loop, 1]
    return np.int64(max(1, t.extents[rank] // turns))


@helper(inline=True)
def _listed(t: Tables, number: Int, places: float) -> float:
    """The chance of a list for so many places, the last one for more."""
    return float(t.chances[t.factors[number, START] + min(np.int64(places), t.factors[number, LENGTH] - 1)])


@helper(inline=True)
def _empty(t: Tables, number: Int, low: IntArray, high: IntArray) -> float:
    """The chance that a box of a factor holds nothing."""
    kind, side, last = t.factors[number, LISTED], t.factors[number, SIDE], t.factors[number, DIMENSIONS] - 1
    places = 1.0
    if kind == IN_BLOCKS:
        for each in range(last + 1):
            places *= -(-high[each] // side) - low[each] // side if high[each] > low[each] else 0
        return _listed(t, number, places)
    for each in range(last + 1 if kind == ANYWHERE else last):
        places *= high[each] - low[each]
    if kind == ANYWHERE:
        return _listed(t, number, places)
    if kind == IN_ROWS:
        return float(_listed(t, number, high[last] - low[last]) ** places)
    first = min(high[last], -(-low[last] // side) * side) - low[last]
    rest = high[last] - low[last] - first
    row = 0.0 if rest >= side else _listed(t, number, first) * _listed(t, number, rest % side)
    return float(row**places)


@helper(inline=True)
def _boxed(t: Tables, boxes: IntArray, number: Int, box: Int, high: IntArray) -> float:
    """Sizes of a box of a factor, and its places."""
    many, places = t.factors[number, DIMENSIONS], 1.0
    for each in range(many):
        high[each] = boxes[t.of_factor[t.factors[number, BEGIN] + box * many + each]]
        places *= high[each]
    return places


@helper()
def _drawn(t: Tables, number: Int, drawn: float, least: float, blank: bool) -> float:
    """Over the chances that so many of all places, drawn without order, are full: of at least `least`, or weighed by `blanks`.

    The chances are hypergeometric: each is a fraction of the next, from the likeliest on both ways.
    """
    places, full, start = t.numbers[number, 0], t.numbers[number, 1], t.factors[number, START]
    fewest, most = max(0.0, drawn - (places - full)), min(drawn, full)
    middle = min(most, max(fewest, np.floor((drawn + 1) * (full + 1) / (places + 2))))
    every = found = 0.0
    for way in range(2):
        count, chance = (middle, 1.0) if way == 0 else (middle, 0.0)
        if way == 1 and middle > fewest:
            chance = middle * (places - full - drawn + middle) / ((full - middle + 1) * (drawn - middle + 1))
            count = middle - 1
        while chance > 1e-300:
            every += chance
            if blank:
                found += chance * t.blanks[start + np.int64(count)]
            elif count >= least:
                found += chance
            if way == 0:
                if count == most:
                    break
                chance *= (full - count) * (drawn - count) / ((count + 1) * (places - full - drawn + count + 1))
                count += 1
            else:
                if count == fewest:
                    break
                chance *= count * (places - full - drawn + count) / ((full - count + 1) * (drawn - count + 1))
                count -= 1
    return found / every


@helper()
def _beyond(t: Tables, sizes: IntArray, number: Int, places: float, length: Int) -> float:
    """The chance that a tile takes more than its room, with a fiber of some length; of one that holds something, or of any."""
    each, turns, told = t.factors[number, EACH], 1, False
    for loop in range(sizes.shape[0]):
        if t.told[number, loop]:
            turns, told = turns * sizes[loop, 1], True
    if told:
        each, turns = each + 1, (turns - 1) >> 1
        while turns:
            each, turns = each + 1, turns >> 1
    room = t.factors[number, ROOM] + (-length // sizes[t.factors[number, LOOP], 0]) * t.factors[number, FIXED]
    least = float(t.factors[number, SOME])
    if room >= 0:
        least = max(least, float(room // each + 1) if each else places + 1)
    return _drawn(t, number, places, least, False) if least <= places else 0.0


@helper()
def _value(t: Tables, sizes: IntArray, boxes: IntArray, given: Shares, number: Int, low: IntArray, high: IntArray) -> float:
    """A factor of one turn. boxes: sizes of pieces; given: by factor whose rule is so."""
    rule, loop = t.factors[number, RULE], t.factors[number, LOOP]
    if rule == GIVEN:
        return float(given[loop])
    places = _boxed(t, boxes, number, 0, high)
    if rule == MATCHED:
        return 1.0 - _drawn(t, number, places, 0, True)
    if rule == BEYOND:
        return _beyond(t, sizes, number, places, high[t.factors[number, PLACE]])
    if rule == EMPTY:
        return _empty(t, number, low, high)
    if rule == MEAN:
        return float(places * t.numbers[number, 0])
    if rule == PLACES:
        return float(np.ceil(places / sizes[loop, 0]))
    if rule == TOGETHER:
        return float(np.ceil(places / t.numbers[number, 0]))
    if rule in (ALONE_MEAN, ALONE_SOME):
        mine = _boxed(t, boxes, number, 1, high)
        rest = _boxed(t, boxes, number, 2, high) - mine
        alone = _listed(t, number, rest)
        if rule == ALONE_SOME:
            return alone - _listed(t, number, rest + places)
        return float(alone * t.numbers[number, 0] * places / max(1.0, t.numbers[number, 1] - rest))
    return places


@helper(inline=True)
def _nothing(t: Tables, sizes: IntArray, number: Int, start: Int, end: Int, low: IntArray, high: IntArray) -> float:
    """The chance that turns of a loop from one to another, both inside, hold nothing of a box, whose sizes are in `high`."""
    place, tile = t.factors[number, PLACE], sizes[t.factors[number, LOOP], 0]
    size = high[place]
    low[place] = min(start * tile, size)
    high[place] = max(low[place], min((end + 1) * tile, size))
    found = _empty(t, number, low, high)
    low[place], high[place] = 0, size
    return found


@helper()
def _along(t: Tables, sizes: IntArray, number: Int, turn: Int, last: Int, low: IntArray, high: IntArray) -> float:
    """A chance of a turn, as in `meeting`."""
    chance = t.factors[number, CHANCE]
    later = turn if chance == HERE else last
    first = 1.0 if chance != LATER else _nothing(t, sizes, number, turn, turn, low, high)
    return first - _nothing(t, sizes, number, turn, later, low, high)


@helper(allocates=True)
def _in_pairs(t: Tables, sizes: IntArray, one: Int, other: Int, low: IntArray, highs: IntArray) -> float:
    """Over all pairs of turns of a loop, the sum of the product of a chance of one fiber and one of another, as in `meeting`."""
    turns, total = sizes[t.factors[one, LOOP], 1], 0.0
    nothing = np.empty((2, 2, turns + 1))  # of each fiber, from a turn or from the next one, to before a turn
    for first in range(-1, turns - 1):
        for fiber in range(2):
            nothing[fiber, 0] = nothing[fiber, 1]
            for end in range(first + 1, turns + 1):
                number = one if fiber == 0 else other
                nothing[fiber, 1, end] = _nothing(t, sizes, number, first + 1, end - 1, low, highs[fiber])
        for turn in range(first + 1, turns if first >= 0 else 0):
            product = 1.0
            for fiber in range(2):
                here, after = nothing[fiber]
                if t.factors[one if fiber == 0 else other, CHANCE] == BOTH:
                    product *= after[turn] - here[turn] - after[turn + 1] + here[turn + 1]
                else:
                    product *= here[turn + 1] - here[turns]
            total += product
    return total


@helper(allocates=True)
def _meeting(t: Tables, sizes: IntArray, boxes: IntArray, one: Int, other: Int, low: IntArray, highs: IntArray) -> float:
    """Over all turns of a loop, or all pairs, the sum of the product of a chance of one fiber and one of another."""
    _boxed(t, boxes, one, 0, highs[0])
    _boxed(t, boxes, other, 0, highs[1])
    if t.factors[one, PAIRED]:
        return _in_pairs(t, sizes, one, other, low, highs)
    turns, total = sizes[t.factors[one, LOOP], 1], 0.0
    for turn in range(turns):
        total += _along(t, sizes, one, turn, turns - 1, low, highs[0]) * _along(t, sizes, other, turn, turns - 1, low, highs[1])
    return total


@helper()
def _is_even(t: Tables, sizes: IntArray, left: IntArray, number: Int, few: bool, uneven: Flags, most: Int) -> bool:
    """Whether a sum is one of products of one turn."""
    if not few or not t.sums[number, ALIKE]:
        return False
    for rank in range(uneven.size):
        if uneven[rank] and t.hangs[number, rank]:
            return False
    if t.sums[number, MET]:
        factor = t.of_sum[t.sums[number, FIRST]] // 2
        turns = sizes[t.factors[factor, LOOP], 1]
        if (turns * turns if t.factors[factor, PAIRED] else turns) > most:
            return False
    for row in range(t.borders.shape[0]):
        if t.borders[row, 0] == number:
            size, period = _size(t, sizes, left, -1, t.borders[row, 1]), t.borders[row, 2]
            if size % period != 0 and period % size != 0:
                return False
    return True


@njit(error_model="numpy")
def totals(t: Tables, sizes: IntArray, given: Shares, most_ways: Int, most: Int) -> tuple[Shares, IntArray, Flags, Flags, bool, IntArray]:
    """Sums, over how many copies each is, which are known, which ranks are cut unevenly, whether all are known, and sizes of pieces.

    sizes: int64[loops, 2], tiles and turns of loops. given: float64[ways, factors whose rule is GIVEN], which follow from the sizes of
    pieces, int64[ways, pieces]; of no ways: these sizes alone are wanted. Sums over more than `most_ways` ways, or that pair more than
    `most` turns, are not known.
    """
    many, loops, ranks = t.sums.shape[0], sizes.shape[0], t.extents.size
    found, copies, known, uneven = np.zeros(many), np.ones(many, np.int64), np.zeros(many, np.bool_), np.empty(ranks, np.bool_)
    trips, left, before = _ways(t, sizes, most_ways, uneven)
    every = True
    for number in range(many):
        known[number] = _is_even(t, sizes, left, number, trips.shape[0] > 0, uneven, most)
        every = every and known[number]
        for loop in range(loops):
            if t.chosen[number, loop]:
                copies[number] *= sizes[loop, 1]
    values, boxes = np.empty(t.factors.shape[0]), np.empty((trips.shape[0], t.pieces.shape[0]), np.int64)
    for way in range(trips.shape[0]):
        for piece in range(boxes.shape[1]):
            boxes[way, piece] = _size(t, sizes, left, way, piece)
    dimensions = 1
    for number in range(values.size):
        dimensions = max(dimensions, t.factors[number, DIMENSIONS])
    low, high = np.zeros(dimensions, np.int64), np.empty((2, dimensions), np.int64)
    for way in range(min(trips.shape[0], given.shape[0])):
        cut = boxes[way]
        for number in range(values.size):
            values[number] = 1.0
            if t.factors[number, RULE] != ALONG:
                values[number] = _value(t, sizes, cut, given[way], number, low, high[0])
        for number in range(many):
            once = known[number]
            for rank in range(ranks):
                once = once and before[way, rank] < t.depths[number, rank]
            if not once:
                continue
            turns, product, first = 1.0, 1.0, t.sums[number, FIRST]
            for loop in range(loops):
                if t.counted[number, loop]:
                    turns *= trips[way, loop]
            for place in range(first + t.sums[number, MET], t.sums[number, END]):
                value = values[t.of_sum[place] // 2]
                product *= 1.0 - value if t.of_sum[place] % 2 else value
            if t.sums[number, MET]:
                product *= _meeting(t, sizes, cut, t.of_sum[first] // 2, t.of_sum[first + 1] // 2, low, high)
            found[number] += turns * product
    return found, copies, known, uneven, every, boxes
