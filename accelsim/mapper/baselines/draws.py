"""Points drawn at random, and points varied a little; both fit the memories of the machine."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Axis
from accelsim.mapper.baselines.fitting import Fitting, pick, sizes
from accelsim.mapper.baselines.points import Block, Branch, Part, Point, Space

if TYPE_CHECKING:
    import numpy as np

_TRIES = 40
_MOST_STEPS = 16  # of a loop over a rank under a condition, whose tiles are counted one by one


class Draws:
    """Random points of a space. What they return fits; the rules that remain are the evaluator's to check."""

    def __init__(self, space: Space) -> None:
        self.space, self.scope = space, space.scope
        self.fitting = Fitting(space)
        self.coupled = self.fitting.coupled

    def draw(self, rng: np.random.Generator) -> Point:
        """A point in which nothing depends on another; raises IllegalMapping if none is found that fits."""
        for attempt in range(_TRIES):
            chance = 1.0 if attempt > _TRIES // 2 else rng.random()
            found = self.fitting.fitted(self._drawn(rng, chance), rng)
            if found is not None:
                return found
        what = f"no mapping of {self.scope.cascade.name} on {self.scope.architecture.name} was drawn that fits"
        raise IllegalMapping(what, "enlarge the memory that is too small")

    def vary(self, point: Point, rng: np.random.Generator) -> Point:
        """A neighbour: mostly one choice different, sometimes a few."""
        for _ in range(_TRIES):
            found: Point | None = self._moved(point, rng)
            while rng.random() < 0.3:
                found = self._moved(found or point, rng)
            found = self.fitting.fitted(found or point, rng)
            if found is not None and found != point:
                return found
        return self.draw(rng)

    # what is drawn

    def _drawn(self, rng: np.random.Generator, chance: float) -> Point:
        """A point that may not fit; the cascade is cut in each place with a chance."""
        names, start = self.space.names, 0
        parts: list[Part] = []
        for end in (*self.space.cuts, len(names)):
            if end == len(names) or rng.random() < chance:
                parts += self._parts(names[start:end], rng)
                start = end
        passing = self.space.passing(parts)
        return Point(tuple(parts), tuple(tensor for tensor in passing if rng.random() < 0.3))

    def _parts(self, names: tuple[str, ...], rng: np.random.Generator) -> list[Part]:
        """One part of some Einsums, or as many as have to be."""
        if self.space.group(names).joined:
            return [self._part(names, rng)]
        start = self.space.names.index(names[0])
        inside = [at - start for at in self.space.cuts if start < at < start + len(names)]
        if not inside:
            raise IllegalMapping(f"{names[0]} to {names[-1]} depend on each other and cannot be fused", "write the mapping by hand")
        at = pick(rng, inside)
        return [*self._parts(names[:at], rng), *self._parts(names[at:], rng)]

    def _part(self, names: tuple[str, ...], rng: np.random.Generator) -> Part:
        part = self._trunk(Part(names, ()), rng)
        left = self.space.left_in(part)[-1]
        return replace(part, branches=tuple(self.branch(name, left, rng) for name in names))

    def _trunk(self, part: Part, rng: np.random.Generator) -> Part:
        """A part with other shared loops."""
        group = self.space.group(part.einsums)
        ranks = [rank for rank in group.free if rng.random() < 0.6]
        loops = [(ranks[at], self._tile(ranks[at], self.scope.cascade.extents[ranks[at]], rng)) for at in rng.permutation(len(ranks))]
        trunk = (*loops, *((rank, 1) for rank in group.single))
        keeps = tuple((tensor, int(rng.integers(len(trunk) + 1))) for tensor in group.external if rng.random() < 0.6)
        copies = tuple((tensor, 2) for tensor in group.internal if rng.random() < 0.5)
        schedule = "pipelined" if group.single or rng.random() < 0.7 else "sequential"
        return replace(part, trunk=trunk, keeps=keeps if self._homely else (), schedule=schedule, copies=copies)

    @property
    def _homely(self) -> bool:
        return self.space.home != self.scope.root

    def branch(self, einsum: str, left: Dict[str, int], rng: np.random.Generator, unit: str | None = None) -> Branch:
        """One Einsum on a unit, of which the trunk has left these sizes."""
        unit = unit or pick(rng, sorted(self.scope.able[einsum]))
        blocks = []
        inside = dict(left)
        for level in self.space.levels[unit]:
            spread = [use for axis in level.axes if (use := self._spread(einsum, axis, inside, rng)) is not None]
            for _, rank, copies in spread:
                inside[rank] = -(-inside[rank] // copies)
            tiles = {rank: self._tile(rank, inside[rank], rng) for rank in self.space.ranks[einsum]}
            kept = [tensor for tensor in self.space.tensors[einsum] if tensor in self.space.once and rng.random() < 0.7]
            if kept and level.memory is not None:
                inside |= tiles
            ranks = self.space.ranks[einsum]
            order = tuple(ranks[at] for at in rng.permutation(len(ranks)))
            keeps = tuple(kept) if level.memory is not None else ()
            blocks.append(Block(tuple(spread), order, tuple(tiles[rank] for rank in ranks), keeps))
        return Branch(unit, tuple(blocks))

    def _tile(self, rank: str, size: int, rng: np.random.Generator) -> int:
        least = -(-self.scope.cascade.extents[rank] // _MOST_STEPS) if rank in self.coupled else 1
        return pick(rng, [tile for tile in sizes(size, rank in self.coupled) if tile >= least] or [size])

    def _spread(self, einsum: str, axis: Axis, left: Dict[str, int], rng: np.random.Generator) -> tuple[str, str, int] | None:
        """A rank for an axis: as many copies as there are, or as divide it."""
        noun = self.scope.facts.einsums[einsum]
        usable = [
            rank
            for rank in noun.ranks
            if left[rank] > 1 and rank not in self.scope.carried[einsum] and (rank not in noun.reduced or noun.reduce in axis.reduces)
        ]
        if not usable or axis.size == 1 or rng.random() < 0.1:
            return None
        rank = pick(rng, usable)
        dividing = [copies for copies in sizes(left[rank], True) if copies <= axis.size]
        if rank in self.coupled or rng.random() < 0.2:
            return axis.name, rank, dividing[-1] if rng.random() < 0.7 else pick(rng, dividing)
        return axis.name, rank, min(left[rank], axis.size)

    # what is varied

    def _moved(self, point: Point, rng: np.random.Generator) -> Point | None:
        """One random move, which may not fit; None if it does not apply."""
        several = len(self.space.names) > 1
        if several and rng.random() < 0.15:
            return self._cut(point, rng)
        if several and point.parts and rng.random() < 0.1:
            tensor = pick(rng, self.space.passing(point.parts) or ("",))
            return replace(point, residents=_toggled(point.residents, tensor)) if tensor else None
        at = int(rng.integers(len(point.parts)))
        part = point.parts[at]
        moved = self._trunk_moved(part, rng) if len(part.einsums) > 1 and rng.random() < 0.4 else self._branch_moved(part, rng)
        return replace(point, parts=(*point.parts[:at], moved, *point.parts[at + 1 :])) if moved is not None else None

    def _cut(self, point: Point, rng: np.random.Generator) -> Point | None:
        """Two parts joined, or one cut; every Einsum keeps its branch."""
        if not self.space.cuts:
            return None
        branches = {name: branch for part in point.parts for name, branch in zip(part.einsums, part.branches, strict=True)}
        names, at = self.space.names, pick(rng, self.space.cuts)
        parts: list[Part] = []
        start = 0
        for part in point.parts:
            end = start + len(part.einsums)
            if start < at < end:
                for some in (names[start:at], names[at:end]):
                    parts.append(self._kin(part, some, branches, rng))
            elif end == at:
                following = point.parts[len(parts) + 1]
                both = (*part.einsums, *following.einsums)
                parts.append(self._kin(part if len(part.einsums) > 1 else following, both, branches, rng))
            elif start != at:
                parts.append(part)
            start = end
        joined = all(self.space.group(part.einsums).joined for part in parts)
        return replace(point, parts=tuple(parts)) if joined else None

    def _kin(self, part: Part, names: tuple[str, ...], branches: dict[str, Branch], rng: np.random.Generator) -> Part:
        """A part of other Einsums with what it can have of a part's shared loops, or with new ones."""
        group = self.space.group(names)
        own = tuple(branches[name] for name in names)
        if not group.joined or len(names) == 1:
            return Part(names, own)
        if len(part.einsums) == 1:
            return self._trunk(Part(names, own), rng)
        trunk = (*(loop for loop in part.trunk if loop[0] in group.free), *((rank, 1) for rank in group.single))
        keeps = tuple((tensor, min(depth, len(trunk))) for tensor, depth in part.keeps if tensor in group.external)
        copies = tuple((tensor, many) for tensor, many in part.copies if tensor in group.internal)
        return Part(names, own, trunk, keeps, "pipelined" if group.single else part.schedule, copies)

    def _trunk_moved(self, part: Part, rng: np.random.Generator) -> Part | None:
        group, trunk = self.space.group(part.einsums), part.trunk
        loops, kind = len(trunk) - len(group.single), int(rng.integers(8))
        if kind == 0:
            return self._trunk(part, rng)
        if kind == 1 and not group.single:
            return replace(part, schedule="sequential" if part.schedule == "pipelined" else "pipelined")
        if kind == 2 and group.internal:
            tensor, copies = pick(rng, group.internal), dict(part.copies)
            copies[tensor] = max(1, copies.get(tensor, 1) + pick(rng, (-1, 1, 2)))
            return replace(part, copies=tuple((name, many) for name, many in copies.items() if many > 1))
        if kind in (3, 4) and group.external and self._homely:
            tensor, depths = pick(rng, group.external), dict(part.keeps)
            if depths.pop(tensor, None) is None or rng.random() < 0.6:
                depths[tensor] = int(rng.integers(len(trunk) + 1))
            return replace(part, keeps=tuple(depths.items()))
        if kind == 5 and loops > 1:
            at = int(rng.integers(loops - 1))
            return replace(part, trunk=(*trunk[:at], trunk[at + 1], trunk[at], *trunk[at + 2 :]))
        absent = [rank for rank in group.free if rank not in dict(trunk)]
        if absent and (loops == 0 or rng.random() < 0.4):
            rank, at = pick(rng, absent), int(rng.integers(loops + 1))
            return replace(part, trunk=(*trunk[:at], (rank, self._tile(rank, self.scope.cascade.extents[rank], rng)), *trunk[at:]))
        if not loops:
            return None
        at = int(rng.integers(loops))
        rank, tile = trunk[at]
        if rng.random() < 0.2:
            keeps = tuple((tensor, min(depth, len(trunk) - 1)) for tensor, depth in part.keeps)
            return replace(part, trunk=(*trunk[:at], *trunk[at + 1 :]), keeps=keeps)
        return replace(part, trunk=(*trunk[:at], (rank, self._near(rank, tile, self.scope.cascade.extents[rank], rng)), *trunk[at + 1 :]))

    def _near(self, rank: str, tile: int, size: int, rng: np.random.Generator) -> int:
        """A tile one or two steps larger or smaller, or any other."""
        options = sizes(size, rank in self.coupled)
        if tile not in options or rng.random() < 0.25:
            return self._tile(rank, size, rng)
        at = options.index(tile) + pick(rng, (-2, -1, 1, 2))
        return options[min(max(at, 0), len(options) - 1)]

    def _branch_moved(self, part: Part, rng: np.random.Generator) -> Part | None:
        which = int(rng.integers(len(part.einsums)))
        einsum, branch = part.einsums[which], part.branches[which]
        left = self.space.left_in(part)[-1]
        units = sorted(self.scope.able[einsum])
        if rng.random() < (0.1 if len(units) > 1 else 0.02):
            moved: Branch | None = self.branch(einsum, left, rng, pick(rng, units))
        else:
            moved = self._block_moved(einsum, branch, left, rng)
        return replace(part, branches=(*part.branches[:which], moved, *part.branches[which + 1 :])) if moved is not None else None

    def _block_moved(self, einsum: str, branch: Branch, left: Dict[str, int], rng: np.random.Generator) -> Branch | None:
        if not branch.blocks:
            return None
        at = int(rng.integers(len(branch.blocks)))
        level, block, ranks = self.space.levels[branch.unit][at], branch.blocks[at], self.space.ranks[einsum]
        outer = dict(left)
        for before in branch.blocks[:at]:
            for _, rank, copies in before.spread:
                outer[rank] = -(-outer[rank] // copies)
            if before.keeps:
                outer |= {rank: min(outer[rank], tile) for rank, tile in zip(ranks, before.tiles, strict=True)}
        kinds = ["spread"] * min(2, len(level.axes)) + ["tile", "tile", "tile", "order", "keep"] * (level.memory is not None)
        kind = pick(rng, kinds)
        if kind == "spread":
            axis = pick(rng, level.axes)
            others = [use for use in block.spread if use[0] != axis.name]
            use = self._spread(einsum, axis, {rank: self._unspread(outer[rank], rank, others) for rank in ranks}, rng)
            spread = {name: (name, rank, copies) for name, rank, copies in (*others, *((use,) if use is not None else ()))}
            moved = replace(block, spread=tuple(spread[axis.name] for axis in level.axes if axis.name in spread))
        elif kind == "tile":
            place = int(rng.integers(len(ranks)))
            size = self._unspread(outer[ranks[place]], ranks[place], block.spread)
            tile = self._near(ranks[place], min(size, block.tiles[place]), size, rng)
            moved = replace(block, tiles=(*block.tiles[:place], tile, *block.tiles[place + 1 :]))
        elif kind == "order":
            order = list(block.order)
            order.insert(int(rng.integers(len(order))), order.pop(int(rng.integers(len(order)))))
            moved = replace(block, order=tuple(order))
        else:
            options = [tensor for tensor in self.space.tensors[einsum] if tensor in self.space.once]
            if not options:
                return None
            moved = replace(block, keeps=_toggled(block.keeps, pick(rng, options)))
        return replace(branch, blocks=(*branch.blocks[:at], moved, *branch.blocks[at + 1 :]))

    @staticmethod
    def _unspread(size: int, rank: str, spread: Sequence[tuple[str, str, int]]) -> int:
        for _, other, copies in spread:
            size = -(-size // copies) if other == rank else size
        return size


def _toggled(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name) if name in names else (*names, name)
