"""What constraints say of nests over stored elements, and how a nest is changed so that it obeys them. Source: docs/sparse.md, "Mapper"."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.mapping.tree import For

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.constraints import Constraints, Rule
    from accelsim.mapper.stored_space import Block, NestDesign, Sizes, StoredSpace

Pairs = Collection[tuple[str, str]]


def refuse_unknown(constraints: Constraints, machine: Architecture) -> None:
    """InputError for a rule about what the search over stored elements does not choose."""
    root = machine.root.name
    unknown: list[Rule] = [*constraints.parts, *constraints.schedules, *constraints.sequences]
    if unknown:
        mend = "leave it out: Einsums run one after the other, as the workload has them"
        raise InputError(f"{unknown[0].said} is not known to the search over stored elements", mend)
    holes = [rule for rule in constraints.rules() if getattr(rule, "above", None) is not None or any(getattr(rule, "copies", []))]
    if holes:
        mend = "write a list of rules: keep, bypass, tile, order, loops, stationary, spread, run"
        raise InputError("a mapping with holes is not known to the search over stored elements", mend)
    for keep in constraints.keeps:
        if keep.memory == root and not keep.must:
            raise InputError(f"{keep.said}: over stored elements {root} keeps every tensor", "leave it out")


class Rules:
    """Constraints on the nests of a space."""

    def __init__(self, constraints: Constraints, space: StoredSpace) -> None:
        self.constraints, self.space, self.einsum = constraints, space, space.einsum.name
        self.root = space.machine.root.name

    def obeys(self, design: NestDesign) -> bool:
        """Whether a tidy design obeys all rules."""
        if not self.constraints:
            return True
        left = dict(self.space.extents)
        if not self._may_run(design.unit):
            return False
        for station, block in zip(self.space.stations[design.unit], design.blocks, strict=True):
            if not self._may_spread(block, left) or (station.memory and not self._block_obeys(station.memory, block, left)):
                return False
            left |= block.tiles
        return True

    def mended(self, design: NestDesign) -> NestDesign | None:
        """A tidy design that obeys all rules, the given one if it does; None if none is found that is near."""
        if self.obeys(design):
            return design
        if not self._may_run(design.unit):
            return None
        left, blocks = dict(self.space.extents), []
        for station, block in zip(self.space.stations[design.unit], design.blocks, strict=True):
            spread = tuple(each for each in block.spread if self._may_spread(replace(block, spread=(each,)), left))
            changed = replace(block, spread=spread)
            if station.memory:
                changed = self._mended(station.memory, changed, left | {each.rank: each.tile for each in spread})
            blocks.append(changed)
            left |= changed.tiles
        tidied = self.space.tidy(replace(design, blocks=tuple(blocks)))
        return tidied if tidied is not None and self.obeys(tidied) else None

    def _may_run(self, unit: str) -> bool:
        memories = [self.root, *(station.memory for station in self.space.stations[unit] if station.memory)]
        return self.constraints.may_run(self.einsum, unit, self.space.tensors, memories)

    def _may_spread(self, block: Block, left: Sizes) -> bool:
        return all(
            self.constraints.may_spread(each.axis, each.rank, -(-left[each.rank] // each.tile), self.einsum) for each in block.spread
        )

    def _block_obeys(self, memory: str, block: Block, left: Sizes) -> bool:
        """Whether a memory's block obeys. A memory that keeps nothing has none."""
        held = [tensor for tensor, _ in block.kept]
        if not all(self.constraints.may_keep(memory, tensor, self.einsum, False) for tensor in held):
            return False
        if not all(tensor in held for tensor in self.space.tensors if self.constraints.must_keep(memory, tensor, self.einsum)):
            return False
        if not held:
            return True
        places = {loop.rank: place for place, loop in enumerate(block.loops)}
        for outer, inner in self._pairs(memory):
            if inner in places and outer in places and places[inner] <= places[outer]:
                return False
        left = left | {each.rank: each.tile for each in block.spread}
        return all(
            self.constraints.may_end(memory, rank, self._size(block, depth, rank, left), self.einsum)
            for tensor, depth in block.kept
            for rank in self.space.indices[tensor]
        )

    def _pairs(self, memory: str) -> Pairs:
        return self.constraints.nested(memory, self.einsum, self.space.indices, self.space.ranks, False)

    @staticmethod
    def _size(block: Block, depth: int, rank: str, left: Sizes) -> int:
        """Of the tile below so many loops of a block."""
        return next((loop.tile for loop in block.loops[:depth] if loop.rank == rank), left[rank])

    def _mended(self, memory: str, block: Block, left: Sizes) -> Block:
        """A block with the keeps, loops and tiles that the rules ask for, as far as that is possible."""
        kept = {tensor: depth for tensor, depth in block.kept if self.constraints.may_keep(memory, tensor, self.einsum, False)}
        for tensor in self.space.tensors:
            if self.constraints.must_keep(memory, tensor, self.einsum):
                kept.setdefault(tensor, len(block.loops))
        if not kept:
            return replace(block, kept=())
        pairs = self._pairs(memory)
        loops = {loop.rank: loop.tile for loop in block.loops if (loop.rank, loop.rank) not in pairs}
        ruled = [rule.rank for rule in self.constraints.tiles if rule.memory == memory and rule.about(self.einsum)]
        ruled = [rank for rank in dict.fromkeys(ruled) if rank in left and any(rank in self.space.indices[tensor] for tensor in kept)]
        for rank in ruled:
            now = loops.get(rank, left[rank])
            sizes = [left[rank], *self.space.tiles(left[rank])]
            sizes = [size for size in sizes if self.constraints.may_end(memory, rank, size, self.einsum)]
            if sizes and now not in sizes:
                loops = {rank: 0} | loops | {rank: min(sizes, key=lambda size: abs(size - now))}
        order = _ordered(loops, pairs)
        places = {rank: place for place, rank in enumerate(order)}
        for tensor, depth in kept.items():
            inside = [places[rank] + 1 for rank in ruled if rank in places and rank in self.space.indices[tensor]]
            kept[tensor] = max([min(depth, len(order)), *inside])
        found = tuple((tensor, kept[tensor]) for tensor in self.space.tensors if tensor in kept)
        return replace(block, loops=tuple(For(rank, loops[rank]) for rank in order), kept=found)


def _ordered(ranks: Iterable[str], pairs: Pairs) -> list[str]:
    """Ranks in an order that has the first of each pair outside the second, near the given one; as given where there is none."""
    left, found = list(ranks), list[str]()
    while left:
        barred = {inner for outer, inner in pairs if outer in left and outer != inner}
        first = next((rank for rank in left if rank not in barred), left[0])
        found.append(first)
        left.remove(first)
    return found
