"""Copies that are served at once: how they share out ranks, and where several of them want the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Spatial
from accelsim.mapping.walk import Row
from accelsim.sim.paths import Path, rank_of
from accelsim.sim.slots import Dims
from accelsim.sim.tasks import Level, Slot
from accelsim.workload.expression import IndexMap

Serves = Callable[[str], bool]
"""Whether an axis serves several copies at once."""


def levels_of(
    path: Path, dims: Dims, slots: Mapping[str, Slot], outer: int, inner: int, serves: Serves, again: bool
) -> tuple[Level, ...]:
    """How copies between two rows cut the ranks of dimensions of which they hold parts that overlap or slide into each other, since these
    are windows or consumers demand windows of their ranks; and, if tiles have their turn again, ranks of which some have less at an edge,
    where they still hold what they had.

    slots: of all copies together. Refused where copies take turns, and copies inside them have less at an edge.
    """
    copies = [row for row in path.rows[outer:inner] if isinstance(row.node, Spatial) and row.trips > 1]
    maps = [index for index, _, _ in dims]
    windows = [index for index in maps if not _is_straight(index, path.rows[:inner]) or path.windows.keys() & set(index.ranks)]
    ranks = {rank for index in windows for rank in index.ranks}
    uneven = {rank for index in maps for rank in index.ranks if (again or windows) and slots[rank].size is None}
    ranks |= {rank for rank in uneven if not slots[rank].spread}
    found = []
    for row in copies:
        assert isinstance(row.node, Spatial)
        if rank_of(row) in uneven - ranks and sum(rank_of(other) == rank_of(row) for other in copies) > 1:
            what = f"copies of copies take turns over uneven parts of {rank_of(row)}, which is not simulated yet"
            raise IllegalMapping(what, f"let the tiles of {rank_of(row)} divide each other", row.node.place)
        if rank_of(row) in ranks:
            found.append(Level(rank_of(row), row.node.tile, serves(row.node.axis)))
    extents = {rank: slots[rank].extent for index in maps for rank in index.ranks}
    tells = [index for index, low, high in dims if is_inside(index, low, high, extents)]  # at the edge of a tensor, tiles end alike
    meets = meeting(maps, {level.rank for level in found if level.serves}, tells)
    return tuple(level if level.rank in meets else replace(level, serves=False) for level in found)


def met_at(
    path: Path, dims: Dims, extents: Mapping[str, int], alone: AbstractSet[str], place: int, serves: Serves
) -> tuple[Dims, tuple[Level, ...]]:
    """Dimensions in which units below a row, each of which wants the word of a point at a time, may want the same word, and how copies and
    turns in time go through their ranks.

    alone: ranks at every point of which there is an access. Others are dimensions of one coordinate here, if some of their copies are
    served at once and some are not. Refused where several indices have a rank in common and are no sums, or reach outside.
    """
    axes: dict[str, list[bool]] = {}
    for row in path.rows[place:]:
        if isinstance(row.node, Spatial) and row.trips > 1:
            axes.setdefault(rank_of(row), []).append(serves(row.node.axis))
    met, rest = list[tuple[IndexMap, int, int]](), list(dims)
    maps = [index for index, _, _ in dims]
    meets = meeting(maps, {rank for rank, served in axes.items() if any(served)}, maps)
    while meets:
        ranks, own = {min(meets)}, list[tuple[IndexMap, int, int]]()
        for _ in dims:  # those that hang together through their ranks
            own = [each for each in rest if ranks & set(each[0].ranks)]
            ranks |= {rank for index, _, _ in own for rank in index.ranks}
        met.append(own[0] if len(own) == 1 else _flat(path, own, extents))
        rest, meets = [each for each in rest if each not in own], meets - ranks
    for rank, served in axes.items():
        if rank in path.einsum.ranks and rank not in alone and not all(served):
            met.append((IndexMap(((rank, 0),)), 0, 1))
    ranks = {rank for index, _, _ in met for rank in index.ranks}
    return tuple(met), tuple(chain.from_iterable(_cuts(path, rank, place, serves) for rank in sorted(ranks)))


def meeting(maps: Sequence[IndexMap], copied: AbstractSet[str], tells: Sequence[IndexMap]) -> set[str]:
    """Of ranks that copies share out, those of which coordinates do not tell the copies apart: several may want the same words.

    tells: maps of which an index of one such rank, whatever it is added to, tells its copies apart; from then on it is known.
    """
    unknown = set(copied) & {rank for index in maps for rank in index.ranks}
    while True:
        sums = (unknown & set(index.ranks) for index in tells if index.divisor == 1 and not index.modulus)
        told = set(chain.from_iterable(ranks for ranks in sums if len(ranks) == 1))
        if not told:
            return unknown
        unknown -= told


def _cuts(path: Path, rank: str, spread: int, serves: Serves) -> Iterable[Level]:
    """How copies from the row `spread` on and turns that do not fire go through the interval of a rank that firings leave."""
    fired = {id(row) for row in path.loops}
    for place, row in enumerate(path.rows):
        node = row.node
        if not isinstance(node, (For, Spatial)) or rank_of(row) != rank or id(row) in fired:
            continue
        if isinstance(node, For) or place >= spread:
            yield Level(rank, node.tile, isinstance(node, Spatial) and serves(node.axis))


def _flat(path: Path, dims: Sequence[tuple[IndexMap, int, int]], extents: Mapping[str, int]) -> tuple[IndexMap, int, int]:
    """Several dimensions as one in which each word has a coordinate."""
    factors, offset, size = Counter[str](), 0, 1
    for index, low, high in dims:
        if index.divisor != 1 or index.modulus or not is_inside(index, low, high, extents):
            what = f"copies of {path.name} share words at several indices with a rank in common that reach outside, or go by // or %"
            raise IllegalMapping(f"{what}, which is not simulated yet", "put a keep below the copies", path.leaf.place)
        for rank, factor in index.terms:
            factors[rank] += factor * size
        offset, size = offset + index.offset * size, size * high
    return IndexMap(tuple(sorted((rank, factor) for rank, factor in factors.items() if factor)), offset), 0, size


def tells_all(index: IndexMap, extents: Mapping[str, int]) -> bool:
    """Whether no two points of the ranks of an index have the same coordinate: each factor is beyond what smaller ones reach."""
    reach = 0
    for factor, rank in sorted((abs(factor), rank) for rank, factor in index.terms if extents[rank] > 1):
        if factor <= reach:
            return False
        reach += factor * (extents[rank] - 1)
    return index.divisor == 1 and not index.modulus


def is_inside(index: IndexMap, low: int, high: int, extents: Mapping[str, int]) -> bool:
    """Whether an index stays inside a tensor."""
    reach = [factor * (extents[rank] - 1) for rank, factor in index.terms]
    least, most = (index.offset + sum(fit(0, each) for each in reach) for fit in (min, max))
    first, end = (0, index.modulus) if index.modulus else (least // index.divisor, most // index.divisor + 1)
    return low <= first and end <= high


def _is_straight(index: IndexMap, rows: Sequence[Row]) -> bool:
    """Whether tiles below rows hold coordinates of their own, side by side."""
    if len(index.terms) != 1 or index.modulus:
        return False
    tiles = [row.node.tile for row in rows if isinstance(row.node, (For, Spatial)) and rank_of(row) in index.ranks]
    return index.divisor == 1 or not any(each % index.divisor for each in (index.offset, *(index.terms[0][1] * tile for tile in tiles)))
