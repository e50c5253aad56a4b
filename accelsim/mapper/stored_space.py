"""Nests of one Einsum for the search over stored elements: loops, copies, and where among the loops every tensor is kept.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import TYPE_CHECKING

from accelsim.mapper.scope import Scope
from accelsim.mapping.tree import For, Held, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.model.stored_traffic import value_bits

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture, Axis
    from accelsim.workload.cascade import Cascade

Sizes = dict[str, int]
ALL_TILES = 8  # up to so many elements, tiles of every size


@dataclass(frozen=True, slots=True)
class Station:
    """A memory on the way to a unit ("": none) and the axes right above it."""

    axes: tuple[Axis, ...]
    memory: str


@dataclass(frozen=True, slots=True)
class Block:
    """What a nest has at a station: copies, then loops in time; `kept`: tensors, each below so many of these loops."""

    spread: tuple[Spatial, ...] = ()
    loops: tuple[For, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()

    @property
    def tiles(self) -> Sizes:
        """What it leaves of the ranks that it cuts, at most: tiles that hold so many elements may be of any size."""
        return {copies.rank: copies.tile for copies in self.spread} | {loop.rank: loop.tile for loop in self.loops if not loop.of}

    @property
    def depth(self) -> int:
        """Loops above its last keep."""
        return max((depth for _, depth in self.kept), default=0)


@dataclass(frozen=True, slots=True)
class NestDesign:
    """A nest: a unit, a block for each station on the way to it, and ranks of loops over single points inside, in order.

    Ranks that `points` leaves out are gone through by the unit.
    """

    unit: str
    blocks: tuple[Block, ...]
    points: tuple[str, ...] = ()


class StoredSpace:
    """Nests of the only Einsum of a cascade. `dividing`: only tiles that divide the tile around them. `elements`: how many each operand
    stores that does not have all; steps may lead to tiles that hold so many of these, unless tiles are to divide.
    """

    def __init__(self, cascade: Cascade, machine: Architecture, dividing: bool = False, elements: Dict[str, int] | None = None) -> None:
        scope = Scope(cascade, machine)
        (self.einsum,) = cascade.work
        self.cascade, self.machine, self.dividing = cascade, machine, dividing
        self.elements = {} if dividing else dict(elements or {})
        self.ranks, self.extents = self.einsum.ranks, {rank: cascade.extents[rank] for rank in self.einsum.ranks}
        self.tensors = tuple(dict.fromkeys((*scope.reads[self.einsum.name], scope.writes[self.einsum.name])))
        accesses = {access.tensor: access for access in (*self.einsum.reads, self.einsum.output)}
        self.indices = {
            tensor: {str(index.single_rank) for index in cascade.index_maps(access) if index is not None}
            for tensor, access in accesses.items()
        }
        self.units = tuple(sorted(scope.able[self.einsum.name]))
        self.stations = {unit: _stations(scope, unit) for unit in self.units}

    def mapping(self, design: NestDesign) -> Mapping:
        """The mapping of a tidy design, named after its cascade and machine."""
        left = dict(self.extents)
        nodes: list[Loop] = [Keep(self.machine.root.name, tuple(Held(tensor) for tensor in self.tensors))]
        for station, block in zip(self.stations[design.unit], design.blocks, strict=True):
            nodes.extend(block.spread)
            for depth in range(len(block.loops) + 1):
                nodes.extend(block.loops[depth - 1 : depth] if depth else ())
                held = tuple(Held(tensor) for tensor, at in block.kept if at == depth)
                nodes.extend((Keep(station.memory, held),) if held else ())
            left |= block.tiles
        nodes.extend(For(rank, 1) for rank in design.points if left[rank] > 1)
        return Mapping(f"{self.cascade.name} on {self.machine.name}", (*nodes, Leaf(self.einsum.name, design.unit)))

    def tidy(self, design: NestDesign) -> NestDesign | None:
        """A design without loops that cut nothing or stand below all keeps in vain; None if an axis has too few copies."""
        left, blocks = dict(self.extents), []
        stations = self.stations[design.unit]
        for number, (station, block) in enumerate(zip(stations, design.blocks, strict=True)):
            spread = []
            for copies in block.spread:
                axis = next(axis for axis in station.axes if axis.name == copies.axis)
                if copies.tile < left[copies.rank]:
                    if -(-left[copies.rank] // copies.tile) > axis.size:
                        return None
                    spread.append(copies)
                    left[copies.rank] = copies.tile
            loops, places = list[For](), [0]
            most = len(block.loops) if self._may_end_with_loops(stations, number) else block.depth
            for loop in block.loops[:most]:
                if loop.of:
                    loops += [loop] if left[loop.rank] > 1 and loop.tile < self.elements.get(loop.of, 0) else []
                elif loop.tile < left[loop.rank]:
                    loops.append(loop)
                    left[loop.rank] = loop.tile
                places.append(len(loops))
            blocks.append(Block(tuple(spread), tuple(loops), tuple((tensor, places[depth]) for tensor, depth in block.kept)))
        return NestDesign(design.unit, tuple(blocks), tuple(rank for rank in design.points if left[rank] > 1))

    def every(self) -> Iterator[NestDesign]:
        """All tidy designs with equal tiles, each once."""
        for unit in self.units:
            for blocks, left in self._blocks(self.stations[unit], 0, self.extents):
                turning = [rank for rank in self.ranks if left[rank] > 1]
                for many in range(len(turning) + 1):
                    for points in permutations(turning, many):
                        yield NestDesign(unit, blocks, points)

    def tiles(self, size: int) -> list[int]:
        """Tiles smaller than what is there, the largest first."""
        if self.dividing or size > ALL_TILES:
            found = {tile for tile in range(1, size) if size % tile == 0}
            found |= set() if self.dividing else {1 << bit for bit in range((size - 1).bit_length())}
            return sorted(found, reverse=True)
        return list(range(size - 1, 0, -1))

    def copies(self, size: int, axis: Axis) -> list[int]:
        """Tiles that an axis can spread, the one that fills it among them."""
        full = set() if self.dividing else {-(-size // axis.size)}
        return [tile for tile in sorted({*self.tiles(size), *full}) if tile < size and -(-size // tile) <= axis.size]

    @staticmethod
    def _may_end_with_loops(stations: Sequence[Station], number: int) -> bool:
        """Whether loops may stand below the last keep of a block: where axes follow."""
        return number + 1 < len(stations) and bool(stations[number + 1].axes)

    def _blocks(
        self, stations: Sequence[Station], number: int, left: Sizes, loose: bool = False
    ) -> Iterator[tuple[tuple[Block, ...], Sizes]]:
        """Blocks from a station inwards, and what they leave. `loose`: loops stand right above, which are there for its copies."""
        if number == len(stations):
            yield (), left
            return
        station, free = stations[number], self._may_end_with_loops(stations, number)
        for spread, outer in self._spreads(station.axes, left):
            if loose and not spread:
                continue
            for loops, inner in self._times(outer) if free or station.memory else [((), outer)]:
                for kept in self._keeps(station, len(loops)):
                    block = Block(spread, loops, kept)
                    if free or block.depth == len(loops):
                        for tail, rest in self._blocks(stations, number + 1, inner, block.depth < len(loops)):
                            yield (block, *tail), rest

    def _times(self, left: Sizes) -> Iterator[tuple[tuple[For, ...], Sizes]]:
        """Loops in time over any ranks in any order, and what they leave."""
        for tiles in product(*((left[rank], *self.tiles(left[rank])) for rank in self.ranks)):
            inner = dict(zip(self.ranks, tiles, strict=True))
            for order in permutations(rank for rank in self.ranks if inner[rank] < left[rank]):
                yield tuple(For(rank, inner[rank]) for rank in order), inner

    def _spreads(self, axes: Sequence[Axis], left: Sizes) -> Iterator[tuple[tuple[Spatial, ...], Sizes]]:
        """A rank or none for every axis, and what is left."""
        if not axes:
            yield (), left
            return
        yield from self._spreads(axes[1:], left)
        for rank in self.ranks:
            for tile in self.copies(left[rank], axes[0]):
                for spread, inner in self._spreads(axes[1:], left | {rank: tile}):
                    yield (Spatial(axes[0].name, rank, tile), *spread), inner

    def _keeps(self, station: Station, loops: int) -> Iterator[tuple[tuple[str, int], ...]]:
        """Every tensor below any number of loops, or not kept."""
        if not station.memory:
            yield ()
            return
        for depths in product(range(-1, loops + 1), repeat=len(self.tensors)):
            yield tuple((tensor, depth) for tensor, depth in zip(self.tensors, depths, strict=True) if depth >= 0)

    def by_fibers(self) -> Iterator[NestDesign]:
        """Every order of single elements, with each tensor in the innermost memory right below the first loop that cuts it.

        Copies take turns at single elements of a rank; a cache on the way holds one operand, other memories all or nothing.
        """
        for unit in self.units:
            stations = self.stations[unit]
            for order in permutations(self.ranks):
                for ranks in product((*self.ranks, ""), repeat=sum(len(station.axes) for station in stations)):
                    for cached in self._cached(stations):
                        for whole in (False, True):
                            yield self._by_fibers(unit, order, list(ranks), cached, whole)

    def _by_fibers(self, unit: str, order: tuple[str, ...], spread: list[str], cached: str, whole: bool) -> NestDesign:
        stations, blocks = self.stations[unit], list[Block]()
        left, cut = dict(self.extents), set[str]()
        last = max((number for number, station in enumerate(stations) if station.memory), default=-1)
        for number, station in enumerate(stations):
            copies = []
            for axis in station.axes:
                rank = spread.pop()
                if rank and rank not in cut:
                    copies.append(Spatial(axis.name, rank, 1))
                    cut.add(rank)
            above: tuple[For, ...] = ()
            if self._may_end_with_loops(stations, number):
                taken = list(zip(reversed(spread), stations[number + 1].axes, strict=False))
                above = tuple(For(rank, min(left[rank], axis.size)) for rank, axis in taken if rank and rank not in cut)
            loops, kept = above, tuple[tuple[str, int], ...]()
            if number == last:
                inner = [rank for rank in order if rank not in cut]
                loops = (*above, *(For(rank, 1) for rank in inner))
                firsts = {tensor: self._first(tensor, cut, inner) for tensor in self.tensors}
                kept = tuple((tensor, depth if depth == 0 else depth + len(above)) for tensor, depth in firsts.items())
            elif station.memory and self.machine.memories[station.memory].sparse.replacement:
                kept = ((cached, 0),) if cached else ()
            elif station.memory and whole:
                kept = tuple((tensor, 0) for tensor in self.tensors)
            blocks.append(Block(tuple(copies), loops, kept))
        return NestDesign(unit, tuple(blocks), order)

    def _first(self, tensor: str, cut: set[str], order: Sequence[str]) -> int:
        """How many loops in an order stand down to the first that cuts a tensor, none if it is cut already."""
        mine = self.indices[tensor]
        if mine & cut:
            return 0
        return next((depth for depth, rank in enumerate(order, 1) if rank in mine), 0)

    def starts(self) -> Iterator[NestDesign]:
        """Designs to begin with: every order of the ranks, spread in every way that fills axes, tiles of several sizes, and all kept."""
        for unit in self.units:
            stations = self.stations[unit]
            for order in permutations(self.ranks):
                for shrink in (1, 2, 4, 16, 64):
                    for ranks in product((*self.ranks, ""), repeat=sum(len(station.axes) for station in stations)):
                        for cached in self._cached(stations):
                            yield self._start(unit, order, shrink, list(ranks), cached)

    def _cached(self, stations: Sequence[Station]) -> tuple[str, ...]:
        """Tensors of which a cache on the way may be one ("": none)."""
        caches = any(station.memory and self.machine.memories[station.memory].sparse.replacement for station in stations)
        return (*self.tensors[:-1], "") if caches else ("",)

    def _start(self, unit: str, order: tuple[str, ...], shrink: int, spread: list[str], cached: str) -> NestDesign:
        left, blocks = dict(self.extents), []
        stations = self.stations[unit]
        for number, station in enumerate(stations):
            copies = []
            for axis in station.axes:
                rank = spread.pop()
                tiles = self.copies(left[rank], axis) if rank else []
                if tiles:
                    copies.append(Spatial(axis.name, rank, tiles[0]))
                    left[rank] = tiles[0]
            loops = []
            if station.memory or self._may_end_with_loops(stations, number):
                for rank in order:
                    tile = next((tile for tile in self.tiles(left[rank]) if tile * shrink <= left[rank]), left[rank])
                    loops.append(For(rank, tile))
                    left[rank] = tile
            cache = bool(station.memory) and bool(self.machine.memories[station.memory].sparse.replacement)
            kept: tuple[tuple[str, int], ...] = tuple((tensor, len(loops)) for tensor in self.tensors) if station.memory else ()
            if cache:
                kept = ((cached, 0),) if cached else ()
            blocks.append(Block(tuple(copies), tuple(loops), kept))
        return NestDesign(unit, tuple(blocks), order)

    @staticmethod
    def outline(design: NestDesign) -> tuple[object, ...]:
        """What a design has in common with those that differ in sizes of tiles alone."""
        ranks = tuple(
            (tuple(copies.rank for copies in block.spread), tuple((loop.rank, loop.of) for loop in block.loops), block.kept)
            for block in design.blocks
        )
        return design.unit, ranks, design.points

    def around(self, design: NestDesign) -> Iterator[NestDesign]:
        """Neighbours of a tidy design, which may have to be tidied: one loop, one tile, one axis, one keep or the points different."""
        left = dict(self.extents)
        stations = self.stations[design.unit]
        for number, (station, block) in enumerate(zip(stations, design.blocks, strict=True)):
            for changed in self._changed(station, block, left, self._may_end_with_loops(stations, number)):
                yield replace(design, blocks=(*design.blocks[:number], changed, *design.blocks[number + 1 :]))
            left |= block.tiles
        turning = [rank for rank in self.ranks if left[rank] > 1]
        for many in range(len(turning) + 1):
            for points in permutations(turning, many):
                if points != design.points:
                    yield replace(design, points=points)

    def by_elements(self, rank: str, loop: For | None, memory: str) -> list[For]:
        """Loops over a rank whose tiles hold so many elements, in place of one that is there or of none: as many as fit into the memory
        below with 1, 2 or 4 tiles at a time, as many as the tiles of `loop` hold on average, or somewhat more or fewer than they hold.
        """
        found = []
        for tensor, elements in self.elements.items():
            if rank not in self.indices[tensor]:
                continue
            size = self.machine.memories[memory].size_bits if memory else None
            noun = self.cascade.tensors[tensor]
            each = value_bits(noun) + max(1, (noun.shape[-1] - 1).bit_length())
            many = [size // each // share for share in (1, 2, 4)] if size is not None else [elements // 2, elements // 8]
            if loop is not None and not loop.of:
                many.append(elements * loop.tile // self.extents[rank])
            if loop is not None and loop.of == tensor:
                many = [loop.tile * part // 8 for part in (4, 6, 7, 9, 12, 16)]
            found += [For(rank, number, of=tensor) for number in dict.fromkeys(many) if 0 < number < elements]
        return [each for each in found if each != loop]

    def _changed(self, station: Station, block: Block, left: Sizes, free: bool) -> Iterator[Block]:
        for axis in station.axes:
            others = tuple(copies for copies in block.spread if copies.axis != axis.name)
            yield replace(block, spread=others)
            for rank in self.ranks:
                for tile in self.copies(left[rank], axis)[:2]:
                    yield replace(block, spread=(*others, Spatial(axis.name, rank, tile)))
        inner = left | {copies.rank: copies.tile for copies in block.spread}
        loops = block.loops
        for at, loop in enumerate(loops):
            shorter = tuple((tensor, depth - (depth > at)) for tensor, depth in block.kept)
            yield replace(block, loops=(*loops[:at], *loops[at + 1 :]), kept=shorter)
            if at + 1 < len(loops):
                yield replace(block, loops=(*loops[:at], loops[at + 1], loop, *loops[at + 2 :]))
            for other in self.by_elements(loop.rank, loop, station.memory):
                yield replace(block, loops=(*loops[:at], other, *loops[at + 1 :]))
            tiles = self.tiles(inner[loop.rank])
            if loop.of:
                for tile in dict.fromkeys((*tiles[:1], *tiles[len(tiles) // 2 :][:1], *tiles[-1:])):
                    yield replace(block, loops=(*loops[:at], For(loop.rank, tile), *loops[at + 1 :]))
                continue
            below = [tile for tile in tiles if tile < loop.tile][:2]
            above = [tile for tile in tiles if tile > loop.tile][-2:]
            for tile in (*above, *below):
                yield replace(block, loops=(*loops[:at], replace(loop, tile=tile), *loops[at + 1 :]))
        if station.memory or free:
            present = {loop.rank for loop in loops}
            for rank in (rank for rank in self.ranks if rank not in present):
                tiles = self.tiles(inner[rank])
                equal = [For(rank, tile) for tile in dict.fromkeys((*tiles[:1], *tiles[len(tiles) // 2 :][:1], *tiles[-1:]))]
                for loop in (*equal, *self.by_elements(rank, None, station.memory)):
                    for at in range(len(loops) + 1):
                        for deeper in (0, 1) if block.kept else (0,):
                            longer = tuple((tensor, depth + (depth >= at + 1 - deeper)) for tensor, depth in block.kept)
                            yield replace(block, loops=(*loops[:at], loop, *loops[at:]), kept=longer)
        if station.memory:
            now = dict(block.kept)
            for tensor in self.tensors:
                for depth in range(-1, len(loops) + 1):
                    if depth != now.get(tensor, -1):
                        changed = {**now, tensor: depth}
                        kept = tuple((each, changed[each]) for each in self.tensors if changed.get(each, -1) >= 0)
                        yield replace(block, kept=kept)


def _stations(scope: Scope, unit: str) -> tuple[Station, ...]:
    found: list[Station] = []
    axes: list[Axis] = []
    for step in scope.steps[unit]:
        if step.axis is not None:
            axes.append(step.axis)
            continue
        assert step.memory is not None
        found += [Station((), "")] if axes and not found else []
        found.append(Station(tuple(axes), step.memory.name))
        axes = []
    if axes:
        found += [] if found else [Station((), "")]
        found.append(Station(tuple(axes), ""))
    return tuple(found)
