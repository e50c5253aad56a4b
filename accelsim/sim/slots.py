"""What loops and copies of a mapping leave of a rank at a firing, and the boxes of a tensor that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import product

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Spatial
from accelsim.mapping.walk import Row
from accelsim.model.program import Carried
from accelsim.sim.paths import Path, rank_of
from accelsim.sim.tasks import Box, Entry, Level, Shares, Slot
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import IndexMap

Dims = tuple[tuple[IndexMap, int, int], ...]


def slots_of(cascade: Cascade, path: Path, loops: list[Row], until: int, spread: int | None = None) -> dict[str, Slot]:
    """Intervals of the ranks of an Einsum at the row `until`, with the turns of `loops`.

    Spatial loops from the row `spread` on are not cut: all their copies count (None: the first copy counts everywhere). Where copies then
    loop over a rank that they share out, each has an interval of its own; refused where these are of more than two sizes.
    """
    found = {rank: _slot(cascade.extents[rank], path, rank, loops, until, spread)[0] for rank in path.einsum.ranks}
    return found | {rank: Slot(cascade.extents[rank], ()) for rank in path.einsum.chosen}  # whatever values choose is there


def _slot(extent: int, path: Path, rank: str, loops: list[Row], until: int, spread: int | None) -> tuple[Slot, int]:
    """The interval of a rank, and what copies that take turns share out (0: there are none)."""
    at = {id(row): place for place, row in enumerate(loops)}
    outside, inside = list[Entry](), list[Entry]()  # loops around such copies, and in them
    window = path.window(rank, at, until)
    shared, size, whole, part = list[Row](), extent, 0, 0
    for place, row in enumerate(path.rows[:until]):
        node = row.node
        if not isinstance(node, (For, Spatial)) or rank_of(row) != rank:
            continue
        if window is not None and place < path.last_driver(rank):
            what = f"a loop over {rank} stands above one over a rank of its consumers, which is not simulated yet"
            raise IllegalMapping(what, f"put the loop over {rank} further in", node.place)
        if isinstance(node, Spatial) and not (spread is None or place < spread):
            shared += [row] if row.trips > 1 else []
            continue
        if isinstance(node, For) and id(row) not in at:
            continue
        if isinstance(node, For) and shared:
            if whole or window is not None or len(shared) > 1 or not _are_even(extent, path, rank, shared[0]):
                what = f"copies take turns over their own, uneven parts of {rank}, which is not simulated yet"
                mend = f"let the tiles of {rank} divide each other, or put the loop outside the copies"
                raise IllegalMapping(what, mend, node.place)
            copies = shared.pop().node
            assert isinstance(copies, Spatial)
            whole, part = size, copies.tile
        (inside if whole else outside).append((at[id(row)] if isinstance(node, For) else -1, node.tile))
        size = min(size, node.tile)
    if not whole:
        return Slot(extent, tuple(outside), window=window), 0
    full, rest = divmod(whole, part)
    last = None
    if rest:  # of the last copy: the same turns, with its share of the tiles around
        last = Slot(extent // whole * rest, (*((loop, tile // whole * rest) for loop, tile in outside), *inside))
    return Slot(extent, (*outside, (-1, part), *inside), ((full, part),), last), whole


def _are_even(extent: int, path: Path, rank: str, copies: Row) -> bool:
    """Whether what stands around copies divides a rank without a rest."""
    size = extent
    for row in path.rows[: path.rows.index(copies)]:
        if isinstance(row.node, (For, Spatial)) and rank_of(row) == rank:
            if size % row.node.tile:
                return False
            size = row.node.tile
    return True


def old_slices(slots: dict[str, Slot], carried: Carried | None) -> dict[str, Slot]:
    """Intervals of ranks; of that of a recurrence only the slices that are made before the turn."""
    if carried is None:
        return slots
    slot = slots[carried.rank]
    return slots | {carried.rank: replace(slot, entries=(*slot.entries, (-1, carried.back)))}


def first_of(cascade: Cascade, path: Path, rank: str, loops: list[Row], until: int) -> Slot:
    """The interval of a rank at the row `until` with the turns of `loops`, in the first turn and copy of all others."""
    at = {id(row): place for place, row in enumerate(loops)}
    rows = [row for row in path.rows[:until] if isinstance(row.node, (For, Spatial)) and rank_of(row) == rank]
    entries = tuple((at.get(id(row), -1), row.node.tile) for row in rows)  # type: ignore[union-attr]
    return Slot(cascade.extents[rank], entries, window=path.window(rank, at, until))


def again_of(cascade: Cascade, path: Path, loops: list[Row], until: int) -> tuple[Slot, ...]:
    """Intervals of the reduced ranks that say whether a firing is the first and the last on its tile: all turns of the first copy."""
    found = []
    for rank in path.einsum.reduced:
        slot, whole = _slot(cascade.extents[rank], path, rank, loops, until, 0)
        if whole:
            part = slot.spread[0][1]
            place = slot.entries.index((-1, part))
            outside = ((loop, tile // whole * part) for loop, tile in slot.entries[:place])
            slot = Slot(slot.extent // whole * part, (*outside, *slot.entries[place + 1 :]))
        found.append(slot)
    return tuple(found)


def levels_of(path: Path, dims: Dims, outer: int, inner: int, serves: Callable[[str], bool]) -> tuple[Level, ...]:
    """How copies between two rows share out ranks of dimensions of which they hold parts that overlap, or that slide into each other, since
    these are windows or consumers demand windows of their ranks. serves: whether an axis serves several copies at once.
    """
    copies = [row for row in path.rows[outer:inner] if isinstance(row.node, Spatial) and row.trips > 1]
    maps = [index for index, _, _ in dims]
    ranks = {rank for index in maps if not _is_straight(index, copies) or path.windows.keys() & set(index.ranks) for rank in index.ranks}
    found = []
    for row in copies:
        assert isinstance(row.node, Spatial)
        if rank_of(row) in ranks:
            found.append(Level(rank_of(row), row.node.tile, serves(row.node.axis)))
    meets = meeting(maps, {level.rank for level in found if level.serves})
    return tuple(level if level.rank in meets else replace(level, serves=False) for level in found)


def meeting(maps: Sequence[IndexMap], copied: AbstractSet[str]) -> set[str]:
    """Of ranks that copies share out, those of which coordinates do not tell the copies apart: several may want the same words.

    An index of one of them, whatever it is added to, tells its copies apart; from then on it is known.
    """
    unknown = set(copied) & {rank for index in maps for rank in index.ranks}
    while True:
        told = {rank for index in maps if index.divisor == 1 and not index.modulus for rank in _only(unknown & set(index.ranks))}
        if not told:
            return unknown
        unknown -= told


def _only(ranks: set[str]) -> set[str]:
    return ranks if len(ranks) == 1 else set()


def steps_of(path: Path, rank: str, loops: list[Row], spread: int, serves: Callable[[str], bool]) -> tuple[Level, ...]:
    """How copies from the row `spread` on and turns that do not fire go through the interval of a rank that `slots_of` leaves."""
    fired, found = {id(row) for row in loops}, []
    for place, row in enumerate(path.rows):
        node = row.node
        if not isinstance(node, (For, Spatial)) or rank_of(row) != rank or id(row) in fired:
            continue
        if isinstance(node, For) or place >= spread:
            found.append(Level(rank, node.tile, isinstance(node, Spatial) and serves(node.axis)))
    return tuple(found)


def _is_straight(index: IndexMap, copies: list[Row]) -> bool:
    """Whether copies hold coordinates of their own, side by side."""
    if len(index.terms) != 1 or index.modulus:
        return False
    parts = [index.terms[0][1] * row.node.tile for row in copies if rank_of(row) in index.ranks]  # type: ignore[union-attr]
    return index.divisor == 1 or not any(each % index.divisor for each in (index.offset, *parts))


def boxes_of(
    path: Path, dims: Dims, slots: dict[str, Slot], wanted: Shares = (), delta: bool = False, counted: frozenset[int] = frozenset(),
    levels: tuple[Level, ...] = (), met: frozenset[int] = frozenset(), afresh: int = -1,
) -> list[Box]:  # fmt: skip
    """The boxes of a tensor: one, and more where the last copy along a rank has less than the others.

    Refused where copies with intervals of their own are not simply side by side.
    """
    uneven = list[str]()
    for index, low, high in dims:
        for rank in index.ranks:
            slot = slots[rank]
            if slot.spread and (index != IndexMap(((rank, 1),)) or low > 0 or high < slot.extent):
                what = f"copies take turns over their own parts of {rank}, of which windows are read, which is not simulated yet"
                raise IllegalMapping(what, f"put the loop over {rank} outside the copies, or a keep between", path.leaf.place)
            uneven += [rank] if slot.last is not None else []
    found = []
    for choice in product((False, True), repeat=len(uneven)):
        last = {rank: slots[rank].last for rank, is_last in zip(uneven, choice, strict=True) if is_last}
        chosen = slots | {rank: slot for rank, slot in last.items() if slot is not None}
        each = {rank: replace(slot, last=None) for rank, slot in chosen.items()}
        found.append(Box(dims, each, wanted, delta, counted, any(choice), levels, met, afresh))
    return found
