"""Edges of loops and copies that the events are not made for, refused in words: some copies or turns have less to do than others."""

from __future__ import annotations

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Spatial
from accelsim.mapping.walk import Row
from accelsim.sim.paths import Path, memory_of, rank_of
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import IndexMap, names


def check_shares(cascade: Cascade, path: Path, row: Row, loops: list[Row], copied: bool, around: int, served: bool) -> None:
    """Refuse turns and copies over a rank of which not all copies have as many at all times, so that some lack what others have.

    loops: in whose turns a tile comes. copied: whether there are copies around the row that want each word for themselves; around: the
    part of one, if no turns come between (0: there are none). served: whether those of the row are served at once.
    """
    node, sizes = row.node, _sizes(cascade, path, rank_of(row), row)
    assert isinstance(node, (For, Spatial))
    what, mend = "", f"let the tiles of {node.rank} divide each other"
    if isinstance(node, For):
        what = f"copies take turns over their own, uneven parts of {node.rank}" if copied and len(sizes) > 1 else ""
    elif not served and any(each not in {id(other) for other in loops} for each, rank in path.drivers.items() if rank == node.rank):
        what = f"copies of {path.name} share out what its consumers demand of {node.rank}, each for all their turns"
        mend = f"leave {node.rank} to turns in time"
    elif around % node.tile:
        what = f"copies of copies share out uneven parts of {node.rank}"
    elif path.einsum.condition is not None and node.rank in names(path.einsum.condition):
        uneven = len({-(-size // node.tile) for size in sizes}) > 1
        what = f"copies share out uneven parts of {node.rank}, on which {path.name} has a condition" if uneven else ""
    if what:
        raise IllegalMapping(f"{what}, which is not simulated yet", mend, node.place)


def check_indices(cascade: Cascade, path: Path, tensor: str, maps: tuple[IndexMap | None, ...], place: int) -> None:
    """Refuse a keep inside the home of an intermediate that is read at other indices than it is made at: by the model, what is made
    leaves it then, and comes back.
    """
    made = [cascade.index_maps(einsum.output) for einsum in cascade.producers[tensor]]
    if cascade.tensors[tensor].iterative is None and maps not in made:
        memory = memory_of(path.rows[place])
        what = f"{memory} keeps {tensor} inside its home for {path.name}, which reads it at other indices than it is made at"
        raise IllegalMapping(f"{what}, which is not simulated yet", f"keep {tensor} in {memory} alone", path.rows[place].node.place)


def check_turns(cascade: Cascade, path: Path, tensor: str, slices: str, loops: list[Row], emptied: int) -> None:
    """Refuse edges at which loops inside that over slices turn once, so that a tile is still there though others come elsewhere."""
    for at, row in enumerate(loops):
        inside = {path.rank(other): other for other in loops[at + 1 :] if path.rank(other) != slices}
        if path.rank(row) != slices or at < emptied:
            continue
        if all(min(_sizes(cascade, path, rank, row)) <= _part(path, rank, row, last) for rank, last in inside.items()):
            what = f"an edge of {' and '.join(inside)} leaves {tensor} where its next slice reads it, which is not simulated yet"
            raise IllegalMapping(what, f"let the tiles of {' and '.join(inside)} divide each other", row.node.place)


def check_copies(cascade: Cascade, path: Path, tensor: str, ranks: set[str], place: int) -> None:
    """Refuse copies that have nothing to do at an edge, and still hold a tile when its next slice is read."""
    copied = set[str]()
    for row in path.rows[:place]:
        if isinstance(row.node, (For, Spatial)) and row.trips > 1 and rank_of(row) in ranks:
            rank, tile = rank_of(row), row.node.tile
            copied |= {rank} if isinstance(row.node, Spatial) else set()
            if rank in copied and any(-(-size // tile) < row.trips for size in _sizes(cascade, path, rank, row)):
                what = f"copies that an edge of {rank} leaves idle hold {tensor} for its next slice, which is not simulated yet"
                raise IllegalMapping(what, f"let the tiles of {rank} divide each other", row.node.place)


def _sizes(cascade: Cascade, path: Path, rank: str, until: Row) -> set[int]:
    """The sizes of tiles of a rank that the loops above a row leave."""
    sizes = {cascade.extents[rank]}
    for row in path.rows[: path.rows.index(until)]:
        if isinstance(row.node, (For, Spatial)) and rank_of(row) == rank:
            tile = row.node.tile
            sizes = {min(size, tile) for size in sizes} | {size % tile for size in sizes if size % tile}
    return sizes


def _part(path: Path, rank: str, since: Row, last: Row) -> int:
    """The largest tile of a rank of which the loops in time from one row to another make one turn."""
    rows = path.rows[path.rows.index(since) : path.rows.index(last) + 1]
    return min(row.node.tile for row in rows if isinstance(row.node, For) and rank_of(row) == rank)
