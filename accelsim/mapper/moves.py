"""Neighbours of a design: one tile, one order, one unit, one keep or one copy different."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from accelsim.mapper.keeps import needed_again
from accelsim.mapper.leaves import PlannedLeaf, left_after
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, LeafDesign, TrunkLoop
from accelsim.mapper.spread import Spreader
from accelsim.mapper.trunks import Shared, tile_sizes
from accelsim.mapping.tree import For, Spatial


@dataclass(frozen=True, slots=True)
class Move:
    """A neighbour and what it changes: an Einsum's leaf, where a tensor is kept, or (neither) the trunk."""

    design: Design
    einsum: str = ""
    tensor: str = ""


class Moves:
    """Neighbours in a fixed order; a search may reorder them."""

    def __init__(self, scope: Scope, spreader: Spreader, shared: Shared) -> None:
        self.scope, self.spreader, self.shared = scope, spreader, shared
        self.names = scope.groups()

    def around(self, design: Design, leaves: Sequence[PlannedLeaf], far: bool = False) -> Iterator[Move]:
        """Every neighbour of a design, whose planned leaves are given; `far`: those with other tiles of copies as well."""
        for changed in self._trunk(design):
            yield Move(changed)
        for scaled in self._scaled(design.trunk) if far else ():
            yield Move(replace(design, trunk=scaled))
        yield from self._recomputing(design)
        yield from self._leaves(design, leaves)
        yield from self._keeps(design)

    def _trunk(self, design: Design) -> Iterator[Design]:
        trunk = design.trunk
        for at in range(len(trunk) - 1):
            one, other = trunk[at], trunk[at + 1]
            if one.rank != other.rank and not (isinstance(one, Spatial) and isinstance(other, Spatial)):
                yield replace(design, trunk=(*trunk[:at], other, one, *trunk[at + 2 :]))
        for at, loop in enumerate(trunk):
            if not isinstance(loop, For):
                continue
            if loop.rank not in self.shared.single or any(inner.rank == loop.rank for inner in trunk[at + 1 :]):
                yield replace(design, trunk=(*trunk[:at], *trunk[at + 1 :]))
                for tile in self._other_tiles(trunk, at):
                    yield replace(design, trunk=(*trunk[:at], For(loop.rank, tile), *trunk[at + 1 :]))
        for rank in self.shared.free:
            left = left_after(self.scope, trunk)[rank]
            if left > 1 and sum(1 for loop in trunk if loop.rank == rank and isinstance(loop, For)) < 2:
                for parts in (2, 4, 8):
                    if left >= parts:
                        yield replace(design, trunk=(*trunk, For(rank, -(-left // parts))))

    def _scaled(self, trunk: tuple[TrunkLoop, ...]) -> Iterator[tuple[TrunkLoop, ...]]:
        """Copies with other tiles: loops of their rank around them scale along, so that as many copies stay busy."""
        for at, loop in enumerate(trunk):
            if isinstance(loop, Spatial):
                yield from self._copies_of(trunk, at)

    def _copies_of(self, trunk: tuple[TrunkLoop, ...], at: int) -> Iterator[tuple[TrunkLoop, ...]]:
        loop = trunk[at]
        whole = self.scope.cascade.extents[loop.rank]
        inner = max((after.tile for after in trunk[at + 1 :] if after.rank == loop.rank), default=1)
        for tile in _near(loop.tile, [size for size in tile_sizes(self.scope, loop.rank, whole) if inner <= size < whole]):
            left, found = whole, []
            for place, each in enumerate(trunk):
                if each.rank == loop.rank:
                    each = replace(each, tile=-(-each.tile * tile // loop.tile)) if place <= at else each
                    if each.tile >= left:
                        continue
                    left = each.tile
                found.append(each)
            if any(isinstance(each, Spatial) and each.rank == loop.rank for each in found):
                yield tuple(found)

    def _recomputing(self, design: Design) -> Iterator[Move]:
        """Each tensor that a loop of the trunk needs again made anew or kept above it, the other way round."""
        for tensor in needed_again(self.scope, self.names, design.trunk):
            yield Move(replace(design, recompute=design.recompute ^ {tensor}), tensor=tensor)

    def _other_tiles(self, trunk: tuple[TrunkLoop, ...], at: int) -> list[int]:
        """Tiles near a loop's own: the next sizes up and down, its double and its half."""
        loop = trunk[at]
        outer = min((before.tile for before in trunk[:at] if before.rank == loop.rank), default=self.scope.cascade.extents[loop.rank])
        inner = max((after.tile for after in trunk[at + 1 :] if after.rank == loop.rank), default=1)
        return _near(loop.tile, [size for size in tile_sizes(self.scope, loop.rank, outer) if inner <= size < outer])

    def _leaves(self, design: Design, leaves: Sequence[PlannedLeaf]) -> Iterator[Move]:
        own = dict(design.leaves)
        left = left_after(self.scope, design.trunk)
        for leaf in sorted(leaves, key=lambda leaf: -leaf.busy):
            now = own.get(leaf.einsum, LeafDesign(leaf.unit))
            for unit in self.scope.units_below(design.home, leaf.einsum):
                if unit != leaf.unit:
                    yield self._with_leaf(design, leaf.einsum, LeafDesign(unit))
            spreads = self.spreader.best(leaf.einsum, design.home, leaf.unit, left)
            for spread in range(min(6, len(spreads))):
                if spread != now.spread:
                    yield self._with_leaf(design, leaf.einsum, replace(now, spread=spread, unit=leaf.unit))
            time = [loop.rank for loop in leaf.loops if isinstance(loop, For)]
            for at in range(len(time) - 1):
                order = (*time[:at], time[at + 1], time[at], *time[at + 2 :])
                yield self._with_leaf(design, leaf.einsum, replace(now, order=order, unit=leaf.unit))
            if len(time) > 2:
                yield self._with_leaf(design, leaf.einsum, replace(now, order=(*time[1:], time[0]), unit=leaf.unit))
            inner = dict(now.inner)
            if self.scope.architecture.units[leaf.unit].lanes == 1:
                for rank in time:
                    tile = inner.get(rank, 1) * 2
                    yield self._with_leaf(design, leaf.einsum, replace(now, inner=_set(inner, rank, tile), unit=leaf.unit))
                for rank, tile in inner.items():
                    if tile > 1:
                        yield self._with_leaf(design, leaf.einsum, replace(now, inner=_set(inner, rank, tile // 2), unit=leaf.unit))

    @staticmethod
    def _with_leaf(design: Design, einsum: str, leaf: LeafDesign) -> Move:
        others = tuple(item for item in design.leaves if item[0] != einsum)
        return Move(replace(design, leaves=tuple(sorted((*others, (einsum, leaf)), key=lambda item: item[0]))), einsum)

    def _keeps(self, design: Design) -> Iterator[Move]:
        memories = [step.memory.name for step in self.scope.above(design.home) if step.memory is not None]
        inside = [memory for memory in self.scope.architecture.memories if memory != self.scope.root]
        for pair in sorted(design.bypass):
            yield Move(replace(design, bypass=design.bypass - {pair}), tensor=pair[0])
        tensors = dict.fromkeys(t for name in self.names for t in (*self.scope.reads[name], self.scope.writes[name]))
        for memory in (*memories, *(name for name in inside if name not in memories)):
            for tensor in tensors:
                if (tensor, memory) not in design.bypass:
                    yield Move(replace(design, bypass=design.bypass | {(tensor, memory)}), tensor=tensor)


def _near(tile: int, sizes: list[int]) -> list[int]:
    """The next sizes up and down, and the double, the half and so on if they lie between the least and the greatest."""
    below = [size for size in sizes if size < tile][-2:]
    above = [size for size in sizes if size > tile][:2]
    more = [size for size in (tile * 2, tile * 4, tile // 2, tile // 4) if sizes and sizes[0] <= size <= sizes[-1]]
    return list(dict.fromkeys((*above, *reversed(below), *more)))


def _set(inner: dict[str, int], rank: str, tile: int) -> tuple[tuple[str, int], ...]:
    changed = {**inner, rank: tile}
    return tuple(sorted((name, size) for name, size in changed.items() if size > 1))
