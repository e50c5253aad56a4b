"""What a plan's rows mean: the keepers that a stream's words pass between, and the tiles that they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from accelsim.mapping.tree import Held, Keep, Leaf
from accelsim.model import plan as p
from accelsim.model.analysis import Dim, Facts, Stream

AS_AT_KEEPER, NOTHING_CROSSES = -1, -2  # instead of a row of the plan, of a network


@dataclass(frozen=True, slots=True)
class Chain:
    """The keepers of one stream from outside in, and the plan's rows of what crosses inwards of each (-1: nothing does).

    `keepers`: (memory, kept, tile): kept of every tile words stay there and the rest streams from further out; tile 0: all stay.
    `links`: of every keeper, the networks that words cross between it and the next one inwards, and for those inside another array the
    plan's row of what crosses (or AS_AT_KEEPER, NOTHING_CROSSES); empty where the machine has no networks.
    """

    einsum: str
    tensor: str
    output: bool
    keepers: tuple[tuple[str, int, int], ...]
    rows: tuple[int, ...]
    stream: Stream
    nest: tuple[int, tuple[int, ...]]  # first loop of the leaf in the plan, and the loop after which each keeper stands
    links: tuple[tuple[tuple[str, int], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan with its meaning: chains of keepers, leaves by Einsum, and the cycles from a visit's last issue to its complete reduction."""

    plan: p.Plan
    chains: list[Chain]
    leaves: dict[str, Leaf]
    latencies: dict[str, int]
    special: bool  # some loop is derived or repeated, so the ranks are not those of the cascade


@dataclass(frozen=True)
class LaterLowered:
    """`Lowered` of a mapping that is known to have a plan, which is made when it is asked for."""

    leaves: dict[str, Leaf]
    latencies: dict[str, int]
    make: Callable[[], Lowered]

    @cached_property
    def whole(self) -> Lowered:
        """All of it."""
        return self.make()

    @property
    def plan(self) -> p.Plan:
        """The plan."""
        return self.whole.plan

    @property
    def chains(self) -> list[Chain]:
        """Chains of keepers."""
        return self.whole.chains


@dataclass(frozen=True, slots=True)
class Keeper:
    """A keep of one tensor on the path to a leaf: `above` of its loops stand above it; every step of the first `afresh` empties it."""

    above: int
    keep: Keep
    held: Held
    afresh: int


def tile_words(stream: Stream, loops: Iterable[Sequence[int]], facts: Facts, box: bool, ranks: Sequence[Sequence[int]] = ()) -> int:
    """Words of the first tile inside some loops (rows of Plan.loops); `ranks`: rows of Plan.ranks where loops are derived."""
    tiles = [(0, extent) for extent in facts.extents]
    driven = {
        rank: row[p.RANK_SOURCE] for rank, row in enumerate(ranks[: len(tiles)]) if row[p.RANK_KIND] in (p.RETAINED, p.RECOMPUTED)
    }
    for rank, tile, _, _, derived in loops:
        if derived:
            driven[rank] = min(tile, driven[rank])
    for rank, size in driven.items():
        extent, _, _, factor, offset, width = ranks[rank]
        tiles[rank] = (max(0, offset), max(0, offset, min(extent, factor * (size - 1) + offset + width)))
    for rank, tile, _, _, derived in loops:
        if not derived and rank < len(tiles):
            low, high = tiles[rank]
            tiles[rank] = (low, min(high, low + tile))
    if any(high <= low for low, high in tiles):
        return 0
    return stream.weight * math.prod(_touched(dim, tiles, box) for dim in stream.dims)


def _touched(dim: Dim, tiles: list[tuple[int, int]], box: bool) -> int:
    """Coordinates of one dimension that a tile touches, or that lie between them."""
    smallest = dim.offset + sum(min(factor * tiles[rank][0], factor * (tiles[rank][1] - 1)) for rank, factor in dim.terms)
    largest = dim.offset + sum(max(factor * tiles[rank][0], factor * (tiles[rank][1] - 1)) for rank, factor in dim.terms)
    whole, reach = dim.modulus == 0, 0
    for factor, extent in sorted((abs(factor), tiles[rank][1] - tiles[rank][0]) for rank, factor in dim.terms):
        whole = whole and (extent == 1 or factor <= reach + 1)
        reach += factor * (extent - 1)
    hull = max(0, min(largest // dim.divisor + 1, dim.high) - max(smallest // dim.divisor, dim.low))
    if whole or (box and dim.modulus == 0):
        return hull
    values = {dim.offset}
    for rank, factor in dim.terms:
        low, high = tiles[rank]
        if len(values) * (high - low) > 1 << 22:
            return hull
        values = {value + factor * step for value in values for step in range(low, high)}
    values = {value // dim.divisor for value in values}
    if dim.modulus:
        values = {value % dim.modulus for value in values}
    if box:
        values = set(range(min(values), max(values) + 1))
    return sum(1 for value in values if dim.low <= value < dim.high)
