"""What loops and copies of a mapping leave of a rank at a firing, and the boxes of a tensor that follow from it."""

from __future__ import annotations

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


def boxes_of(
    path: Path, dims: Dims, slots: dict[str, Slot], wanted: Shares = (), delta: bool = False, counted: frozenset[int] = frozenset(),
    levels: tuple[Level, ...] = (), met: frozenset[int] = frozenset(), afresh: int = -1, leaving: bool = False,
) -> list[Box]:  # fmt: skip
    """The boxes of a tensor: one, and more where the last copy along a rank has less than the others.

    Refused where copies with intervals of their own are not simply side by side.
    """
    uneven = list[str]()
    for index, low, high in dims:
        for rank in index.ranks:
            slot = slots[rank]
            if slot.spread and (index != IndexMap(((rank, 1),)) or low > 0 or high < slot.extent):
                what = f"copies take turns over their own parts of {rank}, words of which others share, which is not simulated yet"
                raise IllegalMapping(what, f"put the loop over {rank} outside the copies, or a keep between", path.leaf.place)
            uneven += [rank] if slot.last is not None else []
    found = []
    for choice in product((False, True), repeat=len(uneven)):
        last = {rank: slots[rank].last for rank, is_last in zip(uneven, choice, strict=True) if is_last}
        chosen = slots | {rank: slot for rank, slot in last.items() if slot is not None}
        each = {rank: replace(slot, last=None) for rank, slot in chosen.items()}
        found.append(Box(dims, each, wanted, delta, counted, any(choice), levels, met, afresh, leaving))
    return found
