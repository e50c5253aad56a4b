"""Points and words as loop nests that the engines of hw/rtl/npu_top.sv go through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from accelsim.mapping.tree import For, Spatial
from accelsim.sim.paths import Path, rank_of

Place = tuple[tuple[str, int], ...]
"""A lane, or several: their places along some axes."""


@dataclass(frozen=True, slots=True)
class Range:
    """What an engine goes through of a rank: from `low` on, as many coordinates as `sizes` says of each lane along axes over which the rank
    is spread, `apart` from lane to lane. The first lane has most.
    """

    low: int
    sizes: tuple[tuple[Place, int], ...]
    apart: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """Of the first lane."""
        return self.sizes[0][1]

    def at(self, turn: int, tile: int) -> Range:
        """What it is in a turn of a loop over tiles."""
        return Range(
            self.low + turn * tile, tuple((place, min(tile, max(0, size - turn * tile))) for place, size in self.sizes), self.apart
        )  # fmt: skip

    def spread(self, axis: str, tile: int) -> Range:
        """What it is where tiles go side by side."""
        sizes = [
            ((*place, (axis, lane)), min(tile, max(0, size - lane * tile)))
            for place, size in self.sizes for lane in range(-(-self.size // tile))
        ]  # fmt: skip
        return Range(self.low, tuple(sizes), (*self.apart, (axis, tile)))


@dataclass(frozen=True, slots=True)
class Nest:
    """Points in the order in which an engine comes to them: loops (rank, trips, step), the outermost first, from `ranges`' low ends."""

    loops: tuple[tuple[str, int, int], ...]
    ranges: dict[str, Range]

    def moved(self, rank: str, by: int) -> Nest:
        """The same further on."""
        return replace(self, ranges=self.ranges | {rank: replace(self.ranges[rank], low=self.ranges[rank].low + by)})


def nests(path: Path, digits: Sequence[int], ranges: dict[str, Range], at: int = 0) -> list[Nest]:
    """All points of a firing below a row, as nests in their order. digits: turns of loops that fire."""
    if at == len(path.rows):
        return _points(list(path.einsum.ranks), ranges)
    row = path.rows[at]
    if not isinstance(row.node, (For, Spatial)) or rank_of(row) not in ranges:
        return nests(path, digits, ranges, at + 1)
    rank, tile = rank_of(row), row.node.tile
    now = ranges[rank]
    if isinstance(row.node, Spatial):
        if now.size > tile:
            now = now.spread(row.node.axis, tile)
        return nests(path, digits, ranges | {rank: now}, at + 1)
    place = next((number for number, loop in enumerate(path.loops) if loop is row), None)
    if place is not None:
        return nests(path, digits, ranges | {rank: now.at(digits[place], tile)}, at + 1)
    return _looped(ranges[rank], rank, tile, lambda inner: nests(path, digits, ranges | {rank: inner}, at + 1))


def _looped(now: Range, rank: str, tile: int, below: Callable[[Range], list[Nest]]) -> list[Nest]:
    """A loop over tiles of a rank: turns that are alike as one loop."""
    found: list[Nest] = []
    turns = [(turn, now.at(turn, tile)) for turn in range(-(-now.size // tile))]
    for _, group in groupby(turns, key=lambda each: each[1].sizes):
        alike = list(group)
        inner = below(alike[0][1])
        if len(alike) == 1:
            found += inner
        elif len(inner) == 1:
            found.append(replace(inner[0], loops=((rank, len(alike), tile), *inner[0].loops)))
        else:
            found += [nest.moved(rank, number * tile) for number in range(len(alike)) for nest in inner]
    return found


def _points(ranks: list[str], ranges: dict[str, Range]) -> list[Nest]:
    """The points of a residual tile, one after the other."""
    if not ranks:
        return [Nest((), ranges)]
    rank, *others = ranks
    return _looped(ranges[rank], rank, 1, lambda inner: _points(others, ranges | {rank: inner}))


def pieces(sizes: Sequence[int], since: int, until: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The words from `since` to before `until` of a box, counted row by row, as boxes: first coordinates and sizes."""
    if not sizes:
        return [((), ())] if until > since else []
    inside = math.prod(sizes[1:])
    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    while since < until:
        row, within = divmod(since, inside)
        if within == 0 and until - since >= inside:
            rows = (until - since) // inside
            found.append(((row, *(0 for _ in sizes[1:])), (rows, *sizes[1:])))
            since += rows * inside
            continue
        stop = min(until, (row + 1) * inside)
        found += [((row, *start), (1, *lengths)) for start, lengths in pieces(sizes[1:], within, within + stop - since)]
        since = stop
    return found


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of an instruction: its turns, how far on each makes every stream, and the rank that it is over."""

    trips: int
    strides: Sequence[int]
    rank: str = ""


def unrolled(loops: Sequence[Loop], most: int, streams: int) -> list[tuple[tuple[int, ...], frozenset[str], Sequence[Loop]]]:
    """Turns of the outermost loops that are too many: how far on streams are, which ranks are past their first turn, and the loops left."""
    if len(loops) <= most:
        return [((0,) * streams, frozenset(), loops)]
    outermost, found = loops[0], []
    for turn in range(outermost.trips):
        for shift, moved, inner in unrolled(loops[1:], most, streams):
            there = tuple(by + turn * stride for by, stride in zip(shift, outermost.strides, strict=True))
            found.append((there, moved | {outermost.rank} if turn else moved, inner))
    return found
