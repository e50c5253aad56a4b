"""A leaf of a mapping as a loop nest over stored elements, and the tables that its kernel walks. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.mapping.tree import For, Fuse, Keep, Spatial
from accelsim.sparse import kernels as k
from accelsim.sparse.cuts import MOST_TILES, Cut, Level, cut_of
from accelsim.sparse.fibers import Fibers
from accelsim.workload.expression import Access, Call, Expression

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapping.tree import Leaf, Loop
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade, Einsum

_MOST = 2**62
MOST_HELD = 4096  # tiles of a tensor that a memory holds at once
_PRODUCTS = ("mul", "take", "div", "neg")  # zero where their first operand is, and those of _BOTH where their second is
_BOTH = ("mul", "take")
MOST_PLACES = 1 << 24  # of words of tiles of results, which say in which run each was made last; other words are hashed
STEPS = {"two_finger": k.TWO_FINGER, "skip_ahead": k.SKIP_AHEAD, "leading": k.LEADER}  # the row of steps that a way of meeting takes
_MEETS = {"": 0, "two_finger": k.GONE_THROUGH, "skip_ahead": k.GONE_THROUGH, "leading": k.PROBED}


@dataclass(frozen=True, slots=True)
class Turn:
    """A loop of a nest: tiles of `tile` of a rank, at most `trips`; over copies along `axis`, or in time ("").

    `node`: the memory or unit that goes through it: the innermost that holds an operand with the rank. `meets`: how
    that finds the stored coordinates that it visits; "": it visits all. `cut`: where tiles end that hold so many elements, of which
    the largest has the size `tile`; None: all but the last are equal.
    """

    rank: str
    tile: int
    trips: int
    axis: str
    node: str
    meets: str
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A boundary of a tensor: keepers by memory ("": the unit), and how many loops stand above each.

    `buffers`: how many of the last tiles the child holds at once.
    """

    tensor: str
    parent: str
    child: str
    above_parent: int
    above_child: int
    buffers: int = 1


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an Einsum reads: its rank along each dimension, and its stored coordinates int64[dimensions, elements] (None: all)."""

    tensor: str
    ranks: tuple[str, ...]
    coordinates: IntArray | None


@dataclass(frozen=True)
class Nest:
    """A leaf with its loops outermost first, `leaf` of them its mapping's, the others over single points in the order of its ranks."""

    einsum: Einsum
    unit: str
    extents: Dict[str, int]
    turns: tuple[Turn, ...]
    leaf: int
    operands: tuple[Operand, ...]
    result: tuple[str, ...]
    crossings: tuple[Crossing, ...]
    shared: tuple[tuple[bool, ...], ...]  # by crossing and loop: whether copies of it are served together
    copies: tuple[int, ...]
    lanes: int
    radix: int
    logged: tuple[bool, ...]
    demanded: tuple[int, ...] = ()  # by crossing, that which brings its parent what it asks for first, -1: none
    whole: int = -1  # the crossing at which tiles of the result come and go with all words that they have so far, -1: none
    dealt: int = -1  # the loop of which turns go in order to the copy that is free first
    sort: str = ""  # how lists are sorted that are not merged
    queues: int = 0

    @property
    def orders(self) -> int:
        """How parts of a result are put in order, as the kernel has it; 0: they are not."""
        return k.MERGED if self.radix > 1 else {"": 0, "insertion": k.INSERTED, "queues": k.QUEUED}[self.sort]

    @property
    def meeting(self) -> list[int]:
        """Loops that find their turns among the coordinates of two stored operands."""
        stored = [each for each in self.operands if each.coordinates is not None]
        return [n for n, turn in enumerate(self.turns) if turn.meets and sum(turn.rank in each.ranks for each in stored) > 1]

    def node_copies(self, node: str) -> int:
        """Copies of a memory that the nest uses, or of the unit."""
        if node == self.unit:
            return self.copies[-1]
        return max((self.copies[each.above_child] for each in self.crossings if each.child == node), default=1)

    def left(self, above: int) -> dict[str, int]:
        """The largest tile of every rank inside the first loops."""
        found = dict(self.extents)
        for turn in self.turns[:above]:
            found[turn.rank] = min(found[turn.rank], turn.tile)
        return found

    @property
    def uneven(self) -> bool:
        """Whether some loop has tiles that hold so many elements."""
        return any(turn.cut is not None for turn in self.turns)

    def levels(self, operand: Operand) -> list[Level]:
        """The loops that cut an operand."""
        return self.levels_of(operand.tensor, operand.ranks)

    def levels_of(self, tensor: str, ranks: tuple[str, ...]) -> list[Level]:
        """The loops that cut a stored tensor. Refuses it where tiles end elsewhere for each tile of a rank that it does not have."""
        return _levels(self.turns, tensor, ranks, self.extents, self.einsum)

    def shape(self, ranks: tuple[str, ...]) -> tuple[int, ...]:
        """The extents of some ranks."""
        return tuple(self.extents[rank] for rank in ranks)


def nest_of(
    cascade: Cascade, machine: Architecture, path: tuple[Loop | Fuse, ...], leaf: Leaf, stored: Dict[str, IntArray], merged: bool = True
) -> Nest:
    """The nest of a leaf. `stored`: coordinates of tensors of which only some elements are kept, int64[dimensions, elements].
    `merged`: whether the result is a list of coordinates, whose parts a unit that can merges.

    Refuses what is not counted over stored elements: fuses that share loops, indices of more than a rank, conditions, recurrences,
    statements that are not zero where a stored operand is.
    """
    einsum = cascade.by_name[leaf.einsum]
    ranks = einsum.ranks
    _check(cascade, einsum, path, stored, machine.root.name)
    extents = {rank: cascade.extents[rank] for rank in ranks}
    left = dict(extents)
    order = list(machine.memories)
    turns: list[Turn] = []
    copies = [1]
    keepers: dict[str, list[tuple[str, int]]] = {}
    buffers = {(held.tensor, node.memory): held.copies for node in path if isinstance(node, Keep) for held in node.held}
    reads = {access.tensor: _plain(cascade, einsum, access) for access in einsum.reads}
    for each in path:
        if isinstance(each, Fuse):
            continue
        if isinstance(each, Keep):
            for tensor in each.tensors:
                keepers.setdefault(tensor, []).append((each.memory, len(turns)))
            continue
        if each.rank not in left:
            continue
        tile, trips, cut = each.tile, -(-left[each.rank] // each.tile), None
        if isinstance(each, For) and each.of:
            cut, tile, trips = _cut(einsum, each, turns, reads, stored, extents)
        axis = each.axis if isinstance(each, Spatial) else ""
        holders = (keepers[tensor][-1] for tensor, indices in reads.items() if each.rank in indices and tensor in keepers)
        node = max(holders, key=lambda holder: order.index(holder[0]), default=(machine.root.name, 0))[0]
        turns.append(Turn(each.rank, tile, trips, axis, node, machine.sparsity(node).intersect, cut))
        copies.append(copies[-1] * (trips if axis else 1))
        left[each.rank] = min(left[each.rank], tile)
    inside = len(turns)
    for rank in ranks:
        if left[rank] > 1 or all(turn.rank != rank for turn in turns):
            turns.append(Turn(rank, 1, left[rank], "", leaf.unit, machine.sparsity(leaf.unit).intersect))
            copies.append(copies[-1])
    operands = [Operand(tensor, indices, stored.get(tensor)) for tensor, indices in reads.items()]
    crossings: list[Crossing] = []
    for tensor in [*(operand.tensor for operand in operands), einsum.output.tensor]:
        chain = keepers.get(tensor, [])
        if not chain:
            raise InputError(f"{einsum.name}: no memory above keeps {tensor}", f"add {tensor} to a keep", leaf.place)
        for (parent, above), (child, below) in zip(chain, [*chain[1:], ("", len(turns))], strict=True):
            places = min(buffers.get((tensor, child), 1), math.prod(turn.trips for turn in turns[:below]))  # no more tiles come
            if places > MOST_HELD:
                what = f"{child} keeps {places:,} tiles of {tensor} at once, more than are followed over stored elements"
                raise InputError(what, f"keep up to {MOST_HELD:,} copies", leaf.place)
            crossings.append(Crossing(tensor, parent, child, above, below, places))
    result = _plain(cascade, einsum, einsum.output)
    shared = tuple(_shared(machine, einsum, turns, crossing, {o.tensor: o.ranks for o in operands}) for crossing in crossings)
    unit = machine.units[leaf.unit]
    _check_caches(machine, einsum, crossings, {operand.tensor for operand in operands if operand.coordinates is not None})
    logged = tuple(_logged(machine, crossings, number) for number in range(len(crossings)))
    for operand in operands:
        if operand.coordinates is not None:
            _levels(turns, operand.tensor, operand.ranks, extents, einsum)
    return Nest(
        einsum, leaf.unit, extents, tuple(turns), inside, tuple(operands), result,
        tuple(crossings), shared, tuple(copies), unit.lanes, unit.sparse.merge_radix * merged, logged,
        _demanded(machine, einsum, crossings, shared, {operand.tensor for operand in operands if operand.coordinates is not None}),
        _whole(cascade, einsum, turns, crossings),
        _dealt(machine, einsum, turns, operands, crossings, result),
        unit.sparse.sort * merged, unit.sparse.queues,
    )  # fmt: skip


def _cut(
    einsum: Einsum, loop: For, turns: list[Turn], reads: Dict[str, tuple[str, ...]], stored: Dict[str, IntArray], extents: Dict[str, int]
) -> tuple[Cut, int, int]:
    """Where a loop ends its tiles, the size of the largest, and how many there are at most. Refuses what does not say where."""
    what = f"tiles of 'for {loop.rank}' hold {loop.tile} stored elements of {loop.of}"
    able = [name for name, ranks in reads.items() if loop.rank in ranks and name in stored]
    if loop.of not in able:
        why = "has it without that rank" if loop.of in reads and loop.rank not in reads[loop.of] else "has all of it"
        why = why if loop.of in reads else "does not read it"
        mend = f"name {' or '.join(able)}, or write a size" if able else f"write a size, as in 'for {loop.rank}: 16'"
        raise InputError(f"{what}, and {einsum.name} {why}", mend, loop.place)
    ranks = reads[loop.of]
    inside = [place for place, turn in enumerate(turns) if turn.rank in ranks]
    shape = tuple(extents[rank] for rank in ranks)
    found = cut_of(
        loop.of, inside, _levels(turns, loop.of, ranks, extents, einsum), shape, stored[loop.of], ranks.index(loop.rank), loop.tile
    )
    if found is None:
        raise InputError(f"{what}, in each of more than {MOST_TILES:,} tiles of the loops outside", "move it out", loop.place)
    return found


def _levels(turns: Sequence[Turn], tensor: str, ranks: tuple[str, ...], extents: Dict[str, int], einsum: Einsum) -> list[Level]:
    """The loops that cut a stored tensor; see `Nest.levels_of`."""
    own, left, found = [place for place, turn in enumerate(turns) if turn.rank in ranks], dict(extents), list[Level]()
    for place in own:
        turn, context = turns[place], tuple[int, ...]()
        if turn.cut is not None:
            outer = [each for each in turn.cut.inside if turns[each].trips > 1]
            if missing := [turns[each].rank for each in outer if each not in own]:
                what = f"{einsum.name}: tiles along {turn.rank} hold so many elements of {turn.cut.leader} for each tile along {missing[0]}"
                mend = f"put 'for {missing[0]}' inside 'for {turn.rank}', or write sizes"
                raise InputError(f"{what}, and {tensor}, which is stored too, has no {missing[0]}", mend, einsum.place)
            context = tuple(own.index(each) for each in outer)
        found.append(Level(ranks.index(turn.rank), turn.tile, turn.trips, turn.cut, context, left[turn.rank]))
        left[turn.rank] = min(left[turn.rank], turn.tile)
    return found


def _check(cascade: Cascade, einsum: Einsum, path: tuple[Loop | Fuse, ...], stored: Dict[str, IntArray], root: str) -> None:
    mend = "evaluate it without --data and 'format'"
    for node in path:
        shares = isinstance(node, Fuse) and any(isinstance(loop, (For, Spatial)) for loop in path[: path.index(node)])
        if isinstance(node, Fuse) and (shares or node.schedule != "sequential"):
            what = f"{einsum.name} stands below a fuse that shares loops, which is not counted over stored elements"
            raise InputError(what, mend, node.place)
        if isinstance(node, Fuse) and any(isinstance(each, Keep) and each.memory != root for each in path[: path.index(node)]):
            what = f"{einsum.name} stands below a fuse that shares a keep, which is not counted over stored elements"
            raise InputError(what, "keep tensors inside the branches", node.place)
    for node in path:
        if isinstance(node, Keep):
            _check_keep(einsum, node)
    if einsum.condition is not None:
        raise InputError(f"{einsum.name} has a condition, which is not counted over stored elements", mend, einsum.place)
    if cascade.tensors[einsum.output.tensor].iterative is not None:
        raise InputError(f"{einsum.name} is a recurrence, which is not counted over stored elements", mend, einsum.place)
    for read in einsum.reads:
        if any(other.tensor == read.tensor and other != read for other in einsum.reads):
            what = f"{einsum.name} reads {read.tensor} in two ways, which is not counted over stored elements"
            raise InputError(what, mend, einsum.place)
    kept = set(stored) & {read.tensor for read in einsum.reads}
    factors = _factors(einsum.expression)
    for tensor in sorted(kept - factors) or (sorted(kept) if einsum.reduced and einsum.reduce != "add" else []):
        what = f"{einsum.name} is not zero wherever {tensor} is: elements of {tensor} that are not stored are work too"
        raise InputError(what, "multiply by it, and add up", einsum.place)


def _check_keep(einsum: Einsum, keep: Keep) -> None:
    """Refuse what keeps say of tiles that stored elements do not follow."""
    mine = {einsum.output.tensor, *(read.tensor for read in einsum.reads)}
    for held in keep.held:
        if mine.isdisjoint((held.tensor, *held.in_place)):
            continue
        if held.fraction != 1:
            what = f"{keep.memory} keeps {held.fraction} of {held.tensor}, and parts of tiles are not counted over stored elements"
            raise InputError(what, f"keep {held.tensor} whole", keep.place)
        if held.in_place:
            shared = " and ".join((held.tensor, *held.in_place))
            what = f"{keep.memory} keeps {shared} in one place, which is not counted over stored elements"
            raise InputError(what, "keep each in a place of its own", keep.place)


def _factors(expression: Expression) -> set[str]:
    """Tensors by which an expression is multiplied, and by nothing else made of them."""
    if isinstance(expression, Access):
        return {expression.tensor}
    if not isinstance(expression, Call) or expression.function not in _PRODUCTS:
        return set()
    return _factors(expression.arguments[0]) | (_factors(expression.arguments[1]) if expression.function in _BOTH else set())


def _plain(cascade: Cascade, einsum: Einsum, access: Access) -> tuple[str, ...]:
    """The rank along every dimension of an access; refuses any other index."""
    found = []
    for index in cascade.index_maps(access):
        if index is None or index.single_rank not in einsum.ranks or index.offset:
            what = f"{einsum.name}: an index of {access.tensor} is not a rank alone, which is not counted over stored elements"
            raise InputError(what, "index it by single ranks", einsum.place)
        found.append(str(index.single_rank))
    if len(set(found)) != len(found):
        raise InputError(f"{einsum.name}: {access.tensor} is indexed by a rank twice", "index it by different ranks", einsum.place)
    return tuple(found)


def _shared(
    machine: Architecture, einsum: Einsum, turns: list[Turn], crossing: Crossing, ranks: Dict[str, tuple[str, ...]]
) -> tuple[bool, ...]:
    """Of every loop whether the copies that it makes between parent and child are served together."""
    found = []
    for level, turn in enumerate(turns):
        between = bool(turn.axis) and crossing.above_parent <= level < crossing.above_child
        if not between:
            found.append(False)
            continue
        axis = machine.axes[turn.axis][1]
        of_result = crossing.tensor not in ranks
        found.append((einsum.reduce in axis.reduces) if of_result else axis.multicast)
    return tuple(found)


def _dealt(
    machine: Architecture, einsum: Einsum, turns: list[Turn], operands: list[Operand], crossings: list[Crossing], result: tuple[str, ...]
) -> int:
    """The loop of which turns go in order to the copy that is free first, -1 if there is none.

    Refuses sums and other copies about it, and what copies would be sent together: they are not at the same turn at once.
    """
    spread = [level for level, turn in enumerate(turns) if turn.axis and turn.trips > 1]
    level = next((level for level in spread if machine.axes[turns[level].axis][1].assign == "dynamic"), -1)
    if level < 0:
        return level
    axis = machine.axes[turns[level].axis][1]
    what = f"{einsum.name} is spread along {axis.name}, which hands out tiles to the copy that is free first"
    if len(spread) > 1 or any(turn.rank not in result and turn.trips > 1 for turn in turns[: level + 1]):
        raise InputError(what, "spread one rank of the result along it and no other, with sums inside", einsum.place)
    for each in operands:
        sent = any(c.tensor == each.tensor and c.above_parent <= level < c.above_child for c in crossings)
        if axis.multicast and sent and turns[level].rank not in each.ranks:
            what += f", and copies that are not at one turn at once cannot be sent {each.tensor} together"
            raise InputError(what, f"write multicast: false, or keep a part of {each.tensor} for each", einsum.place)
    return level


def _check_caches(machine: Architecture, einsum: Einsum, crossings: list[Crossing], stored: set[str]) -> None:
    """Refuse caches of which the requests are not told apart: of what has all its elements or is a result, and one behind another."""
    caches = {name for name, memory in machine.memories.items() if memory.sparse.replacement}
    for each in crossings:
        if each.child in caches and each.tensor not in stored:
            what = f"{each.child} is a cache that keeps {each.tensor}, and only stored operands of {einsum.name} are counted in caches"
            raise InputError(what, f"keep {each.tensor} elsewhere, or leave 'replacement' out", einsum.place)
        if each.child in caches and each.parent in caches:
            what = f"{each.child} and {each.parent} are caches one behind the other, and both keep {each.tensor}"
            raise InputError(what, f"keep {each.tensor} in one of them", einsum.place)


def _demanded(
    machine: Architecture, einsum: Einsum, crossings: list[Crossing], shared: tuple[tuple[bool, ...], ...], stored: set[str]
) -> tuple[int, ...]:
    """By crossing, that which brings its parent what it asks for, -1 if the parent has it. Refuses what does not come tile by tile."""
    found = [-1] * len(crossings)
    for number, each in enumerate(crossings):
        if not each.child or each.tensor not in stored or not machine.memories[each.child].sparse.fetch:
            continue
        inner = next(place for place, other in enumerate(crossings) if other.tensor == each.tensor and other.parent == each.child)
        if not crossings[inner].child or any(shared[number]) or machine.memories[each.child].sparse.replacement:
            what = f"{each.child} fetches {each.tensor} on demand, and is no cache, serves a memory and shares with no other copy"
            raise InputError(what, f"keep {each.tensor} once more further in, or leave 'fetch' out", einsum.place)
        found[inner] = number
    return tuple(found)


def _whole(cascade: Cascade, einsum: Einsum, turns: list[Turn], crossings: list[Crossing]) -> int:
    """The crossing at which tiles of the result come and go whole, -1 if they do not.

    Refuses what does not say which copy a tile comes to, and tiles that are too many to be told apart.
    """
    name = einsum.output.tensor
    storage, ranks = cascade.tensors[name].storage, set(_plain(cascade, einsum, einsum.output))
    if storage is None or not storage.whole_tiles:
        return -1
    number = next(number for number, each in enumerate(crossings) if each.tensor == name)
    above = turns[: crossings[number].above_child]
    what = f"tiles of {name} come and go whole"
    if any(turn.cut is not None and turn.rank in ranks for turn in turns):
        raise InputError(f"{what}, and a loop ends them after so many stored elements", "write sizes in the mapping", einsum.place)
    if not crossings[number].child or crossings[number].above_parent:
        mend = f"keep {name} above all loops and once further in"
        raise InputError(f"{what}, and no memory inside its home keeps one", mend, einsum.place)
    if any(turn.axis and turn.trips > 1 and turn.rank not in ranks for turn in above):
        what += ", and copies that add up parts of one keep it"
        raise InputError(what, f"keep {name} above the spatial loops over what is summed", einsum.place)
    if _tiles_of(turns, above, ranks, cascade.extents) > MOST_PLACES:
        raise InputError(f"{what}, and there are more than {MOST_PLACES:,} of them", "make them larger", einsum.place)
    return number


def _tiles_of(turns: Sequence[Turn], above: Sequence[Turn], ranks: Collection[str | None], extents: Dict[str, int]) -> int:
    """Numbers of the tiles of a result below some loops: where loops cut by elements, a tile is named by where it stands."""
    if any(turn.cut is not None for turn in turns):
        return math.prod(size for rank, size in extents.items() if rank in ranks)
    return math.prod(turn.trips for turn in above if turn.rank in ranks)


def _logged(machine: Architecture, crossings: list[Crossing], number: int) -> bool:
    """Whether what a crossing's child asks for is a request to a cache."""
    crossing = crossings[number]
    return bool(machine.memories[crossing.parent].sparse.replacement)


class Room(NamedTuple):
    """What tiles take and memories hold, in pieces of a bit, where it is asked whether all that a memory keeps fits at the same time.

    `tiles`: of stored operands by own loop and node; `words`: of a word of other operands and results, and of a stored operand the whole;
    `memories`: the room of each.
    """

    tiles: dict[str, list[IntArray]]
    words: dict[str, int]
    memories: dict[str, int]


NO_ROOM = Room({}, {}, {})


def tables(nest: Nest, fibers: Dict[str, Fibers], ticks: tuple[int, int] = (1, 1), room: Room = NO_ROOM) -> tuple[k.Tables, int]:
    """The nest as integers, and how many places words of results have. Refuses what would pass 64 bits.

    `ticks`: of an issue and of a cycle.
    """
    turns, operands = nest.turns, nest.operands
    if math.prod(turn.trips for turn in turns) * max(nest.copies) * (len(turns) + 1) >= _MOST:
        raise InputError(f"{nest.einsum.name} has more points than 64-bit counters hold", "make the shape smaller", nest.einsum.place)
    part = np.full((len(turns), len(operands)), -1, np.int64)
    for number, operand in enumerate(operands):
        mine = [level for level, turn in enumerate(turns) if turn.rank in operand.ranks]
        part[mine, number] = np.arange(len(mine))
    stored = [operand.coordinates is not None for operand in operands]
    levels, ranks = [], list(nest.extents)
    for level, turn in enumerate(turns):
        met = [n for n in range(len(operands)) if turn.meets and stored[n] and part[level, n] >= 0]
        if len(met) > 2:
            raise InputError(f"{nest.einsum.name} intersects more than two tensors over {turn.rank}", "split it into several Einsums")
        levels.append((
            ranks.index(turn.rank), turn.tile, turn.trips, bool(turn.axis), _MEETS[turn.meets], turn.rank in nest.result,
            *met, *[-1] * (2 - len(met)), *_keeps_busy(nest, level), *_cut_by(nest, level),
        ))  # fmt: skip
    at, start_at = np.zeros((len(operands), len(turns) + 2), np.int64), np.zeros((len(operands), len(turns) + 1), np.int64)
    flat: dict[str, list[IntArray]] = {"coordinates": [], "starts": [], "elements": [], "tiles": []}
    used = begun = 0
    for number, operand in enumerate(operands):
        tree = fibers.get(operand.tensor)
        for level in range(len(tree.coordinates) if tree is not None else 0):
            assert tree is not None
            at[number, level], start_at[number, level] = used, begun
            for name in ("coordinates", "starts", "elements"):
                flat[name].append(getattr(tree, name)[level])
            flat["tiles"] += [room.tiles[operand.tensor][level]] if room.tiles else []
            used, begun = used + tree.coordinates[level].size, begun + tree.starts[level].size
            at[number, level + 1 :] = used
    whole = {name: np.concatenate(parts) if parts else np.zeros(1, np.int64) for name, parts in flat.items()}
    crossings, places = _crossings(nest, room)
    kept = [max(c.above_child for c in nest.crossings if c.child == memory) for memory in room.memories]
    apart = [[bool(turn.axis) and not shares for turn, shares in zip(turns, row, strict=True)] for row in nest.shared]
    made = k.Tables(
        np.array(levels, np.int64).reshape(-1, 12), crossings, part, np.array(stored, np.int64), whole["coordinates"], whole["starts"],
        whole["elements"], at, start_at, np.array(list(nest.extents.values()), np.int64),
        np.array(apart, np.int64).reshape(-1, len(turns)), np.array(nest.copies, np.int64),
        _facts(nest, levels, crossings, ticks), _begins(nest),
        np.array([*zip(room.memories.values(), kept, strict=True)], np.int64).reshape(-1, 2), whole["tiles"],
        *_ends(nest), _codes(nest),
    )  # fmt: skip
    return made, places


def _cut_by(nest: Nest, level: int) -> tuple[int, int]:
    """Where the contexts of a level begin in the tables of where tiles end, -1 if its tiles are equal, and the operand that says so."""
    cuts = [turn.cut for turn in nest.turns]
    cut = cuts[level]
    if cut is None:
        return -1, -1
    leader = next(number for number, operand in enumerate(nest.operands) if operand.tensor == cut.leader)
    return sum(other.first.size for other in cuts[:level] if other is not None), leader


def _ends(nest: Nest) -> tuple[IntArray, IntArray]:
    """Of all loops whose tiles hold so many elements in turn: where the tiles of each context begin, and where each tile does."""
    first, starts, used = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for turn in nest.turns:
        if turn.cut is not None:
            first.append(turn.cut.first + used)
            starts.append(turn.cut.starts)
            used += turn.cut.starts.size
    return np.concatenate(first), np.concatenate(starts)


def _codes(nest: Nest) -> IntArray:
    """What makes one number of a tile, int64[2, operands and the result, ranks]: see `kernels`. Refuses what would pass 64 bits."""
    ranks = list(nest.extents)
    found = np.zeros((2, len(nest.operands) + 1, len(ranks)), np.int64)
    if not nest.uneven:
        return found
    cut = {turn.rank for turn in nest.turns if turn.cut is not None}
    for row, mine in enumerate([*(operand.ranks for operand in nest.operands), nest.result]):
        words = sizes = 1
        for rank in reversed(ranks):
            if rank in mine:
                found[0, row, ranks.index(rank)] = words
                words *= nest.extents[rank]
            if rank in mine and rank in cut:
                found[1, row, ranks.index(rank)] = nest.extents[rank] + 1
                sizes *= nest.extents[rank] + 1
        if words * sizes >= _MOST:
            what = f"{nest.einsum.name} has more tiles that hold so many elements than 64-bit numbers tell apart"
            raise InputError(what, "make the shape smaller, or write sizes in the mapping", nest.einsum.place)
    return found


def _keeps_busy(nest: Nest, level: int) -> tuple[int, int]:
    """The first loop that the same node of a copy goes through, -1 if a loop is gone through outside, and the row that counts its steps."""
    meeting, turn = nest.meeting, nest.turns[level]
    if not 0 <= nest.dealt < level or level not in meeting or nest.node_copies(turn.node) == 1:
        return -1, 0
    first = next(other for other in meeting if other > nest.dealt and nest.turns[other].node == turn.node)
    return first, STEPS[turn.meets]


def _begins(nest: Nest) -> IntArray:
    """Of every loop and operand the loop at which the fiber begins, int64[loops, operands]: loops over one rank follow one another."""
    found = np.zeros((len(nest.turns), len(nest.operands)), np.int64)
    for number, operand in enumerate(nest.operands):
        own = [level for level, turn in enumerate(nest.turns) if turn.rank in operand.ranks]
        for before, level in zip([-1, *own], own, strict=False):
            follows = before >= 0 and nest.turns[before].rank == nest.turns[level].rank
            found[level, number] = found[before, number] if follows else level
    return found


def _crossings(nest: Nest, room: Room) -> tuple[IntArray, int]:
    """Rows of crossings, and the places that words of results have in all."""
    turns, rows, places = nest.turns, [], 0
    names = [operand.tensor for operand in nest.operands]
    spread = next((level for level, turn in enumerate(turns) if turn.axis), len(turns))
    for number, crossing in enumerate(nest.crossings):
        which = names.index(crossing.tensor) if crossing.tensor in names else -1
        leading, width, begins = min(spread, crossing.above_child), 1, -1
        if which < 0 and crossing.child:
            again = next((level for level in range(len(turns)) if _again(nest, level + 1)), len(turns))
            leading = min(leading, again)
            width = math.prod(turn.trips for turn in turns[crossing.above_child :] if turn.rank in nest.result)
            if nest.uneven:
                width = math.prod(nest.extents[rank] for rank in nest.result)
            if places + width * nest.copies[crossing.above_child] <= MOST_PLACES:
                begins, places = places, places + width * nest.copies[crossing.above_child]
        rows.append((
            crossing.above_child, crossing.above_parent, which, crossing.child == "", any(nest.shared[number]), nest.logged[number],
            leading, which < 0 and told(nest, crossing), width, begins, nest.demanded[number],
            list(room.memories).index(crossing.child) if crossing.child in room.memories else -1, room.words.get(crossing.tensor, 0),
            min(crossing.buffers, 1 + math.prod(turn.trips for turn in turns[: crossing.above_child])),  # no more ever come
        ))  # fmt: skip
    return np.array(rows, np.int64).reshape(-1, 14), places


def _facts(nest: Nest, levels: list[tuple[int, ...]], crossings: IntArray, ticks: tuple[int, int]) -> IntArray:
    """What holds for the whole nest, int64[14]: see `kernels`. Refuses merging over several turns that are dealt out."""
    turns = nest.turns
    inner = [level for level, turn in enumerate(turns) if turn.rank in nest.result and turn.trips > 1]
    reduced = [level for level, turn in enumerate(turns) if turn.rank not in nest.result and turn.trips > 1]
    listing = max((level for level in reduced if inner and level < inner[-1]), default=-1)
    holder = max(crossing.above_parent for crossing in nest.crossings if crossing.child == "" and _of_result(nest, crossing))
    merges = nest.orders and listing >= holder
    if merges and holder <= nest.dealt:
        what = f"parts of {nest.einsum.output.tensor} that turns along {turns[nest.dealt].axis} make are merged outside its copies"
        mend = f"keep {nest.einsum.output.tensor} inside, or write assign: static"
        raise InputError(what, mend, nest.einsum.place)
    plain = bool(turns) and levels[-1][k.FOLLOWS] < 0 and not turns[-1].axis
    for row in crossings:
        plain = plain and not (row[k.SHARED] and (row[k.UNIT] or row[k.OPERAND] < 0)) and not (row[k.UNIT] and row[k.LOGGED])
        plain = plain and bool(row[k.UNIT] or row[k.CHILD] < len(turns))
    for number, operand in enumerate(nest.operands):
        if turns and operand.coordinates is not None and turns[-1].rank in operand.ranks and levels[-1][k.LEADS] != number:
            plain = False
    at = nest.crossings[nest.whole].above_child if nest.whole >= 0 else -1
    tiles = _tiles_of(turns, turns[: max(0, at)], set(nest.result), nest.extents)
    order = [nest.radix or nest.queues, listing, holder, nest.orders * merges]
    return np.array([nest.lanes, nest.leaf, *order, nest.dealt, plain, *ticks, nest.whole, at, tiles, nest.uneven], np.int64)


def _of_result(nest: Nest, crossing: Crossing) -> bool:
    return crossing.tensor not in {operand.tensor for operand in nest.operands}


def told(nest: Nest, crossing: Crossing) -> bool:
    """Whether different words that reach the parent of a result have to be told apart: if not, every word comes in one run only."""
    if nest.whole >= 0 and crossing == nest.crossings[nest.whole]:
        return True
    alone = crossing.above_parent > 0 and not _again(nest, crossing.above_parent)
    return not alone and (crossing.child == "" or _again(nest, crossing.above_child))


def known(nest: Nest, counts: k.Walked, number: int) -> IntArray:
    """Different words of a result that every copy of a crossing's parent is sent, int64[copies]."""
    if told(nest, nest.crossings[number]):
        return np.asarray(counts.known[number])
    outside = known_by(nest, number)
    return np.asarray(counts.grouped[number] if outside < 0 else counts.entering[outside])


def known_by(nest: Nest, number: int) -> int:
    """Of a result, the crossing that its parent's words leave by, where each that leaves came to the parent once as a new one; -1: none."""
    crossing = nest.crossings[number]
    if not _of_result(nest, crossing) or crossing.above_parent == 0 or told(nest, crossing) or _again(nest, crossing.above_parent):
        return -1
    return next(n for n, each in enumerate(nest.crossings) if each.tensor == crossing.tensor and each.child == crossing.parent)


def _again(nest: Nest, above: int) -> bool:
    """Whether some of the first loops lead to a tile of the result again."""
    return any(turn.trips > 1 and turn.rank not in nest.result for turn in nest.turns[:above])


class Walk(NamedTuple):
    """What a nest does, the fibers of its stored operands by tensor, and the tables that were walked."""

    counts: k.Walked
    fibers: dict[str, Fibers]
    tables: k.Tables


def fibers_of(nest: Nest) -> dict[str, Fibers]:
    """The stored operands of a nest as its loops cut them."""
    return {
        each.tensor: Fibers.of(each.coordinates, nest.levels(each), nest.shape(each.ranks))
        for each in nest.operands
        if each.coordinates is not None
    }


def walked(nest: Nest, ticks: tuple[int, int] = (1, 1), fibers: dict[str, Fibers] | None = None, room: Room = NO_ROOM) -> Walk:
    """Walk a nest. `ticks`: of an issue and of a cycle, by which a copy is free first; `fibers`: of the nest, where they are known."""
    fibers = fibers_of(nest) if fibers is None else fibers
    made, places = tables(nest, fibers, ticks, room)
    return Walk(k.walk(made, places), fibers, made)
