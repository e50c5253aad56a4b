"""Dividing tiles of one Einsum: their numbers, their bits, what is left of them inside axes, and which of them a memory may hold.

A tile is int64[ranks], the places of its sizes in the plan's tables. Sets of tensors or ranks are integers, a bit each.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernel_cache import helper
from accelsim.mapper.leaf_plan import OPTION_EVERY_VISIT, PORT_SIZE, FloatArray, Int, IntArray, LeafPlan

MANY_TILES = 512
# as numbers of NumPy, since Numba compiles a function again for every literal that it is called with
NONE, ALL = np.int64(0), np.int64(-1)  # sets of tensors
NO, YES, NOBODY = np.int64(0), np.int64(1), np.int64(-1)


@helper()
def copy(to: FloatArray | IntArray, values: FloatArray | IntArray) -> None:
    """Copy numbers one by one: slices take Numba seconds to compile."""
    for at in range(to.shape[0]):
        to[at] = values[at]


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


@helper()
def spread(plan: LeafPlan, way: Int, tile: IntArray, inner: IntArray) -> bool:
    """The tile inside the axes when a tile is spread in some way; False if that does not divide it."""
    for rank in range(tile.shape[0]):
        inner[rank] = plan.quotients[rank, tile[rank], plan.ways[way, rank]]
        if inner[rank] < 0:
            return False
    return True


@helper()
def tile_bits(plan: LeafPlan, stream: Int, tile: IntArray, wide: Int) -> Int:
    """Bits (in pieces) of the tile of a tensor; of a result, `wide` while it is partial."""
    words: Int = plan.widths[stream, 0] if wide else plan.widths[stream, 1]
    for rank in range(plan.extents.shape[0]):
        if plan.indexed[stream, rank]:
            words *= plan.sizes[rank, tile[rank]]
    return words


@helper()
def bits_of(plan: LeafPlan, kept: Int, tile: IntArray, wide: Int) -> Int:
    """Bits of the tiles of these tensors together."""
    total: Int = 0
    for stream in range(plan.indexed.shape[0]):
        if (kept >> stream) & 1:
            total += tile_bits(plan, stream, tile, wide)
    return total


@helper()
def fits(plan: LeafPlan, memory: Int, kept: Int, tile: IntArray, wide: Int) -> bool:
    """Do the tiles of these tensors fit the memory?"""
    size = plan.ports[memory, PORT_SIZE]
    return bool(size < 0 or bits_of(plan, kept, tile, wide) <= size)


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
def grows_along(
    indexed: IntArray, sizes: IntArray, grown: IntArray, ok: IntArray, outer: IntArray, tile: IntArray, rank: Int, size: Int,
    pieces: IntArray,
) -> bool:  # fmt: skip
    """Could a tile whose tensors have so many bits be larger along a rank? ok: whether it may have a size."""
    larger = grown[rank, outer[rank], tile[rank]]
    if tile[rank] == outer[rank] or not ok[rank, larger]:
        return False
    return bool(size < 0 or resized(indexed, rank, sizes[rank, larger] // sizes[rank, tile[rank]], pieces) <= size)


@helper()
def growable(plan: LeafPlan, memory: Int, kept: Int, outer: IntArray, tile: IntArray, pieces: IntArray) -> Int:
    """The ranks along which the tile could be larger. pieces: room to work in.

    None where loops further in have to stand in some order, which a larger tile might not let them.
    """
    found: Int = 0
    if not plan.grows[memory]:
        return found
    take_up(plan, kept, tile, YES, pieces)
    for rank in range(tile.shape[0]):
        if grows_along(
            plan.indexed, plan.sizes, plan.grown, plan.tile_ok[memory], outer, tile, rank, plan.ports[memory, PORT_SIZE], pieces
        ):
            found |= 1 << rank
    return found


@helper()
def grows(
    indexed: IntArray, sizes: IntArray, grown: IntArray, ok: IntArray, outer: IntArray, tile: IntArray, size: Int, pieces: IntArray
) -> bool:
    """Could it be larger along some rank?"""
    for rank in range(tile.shape[0]):  # noqa: SIM110, Numba has no `any`
        if grows_along(indexed, sizes, grown, ok, outer, tile, rank, size, pieces):
            return True
    return False


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


@helper(inline=True)
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
        copy(tile, inside)
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
        for rank in range(ranks):
            at[rank] = 0
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
