"""Points made to fit: tiles shrunk and keeps dropped at random until every memory holds what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from accelsim.mapper.baselines.points import Branch, Part, Point, Space, Stop
from accelsim.mapping.tree import For, Spatial

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

_TRIES = 60
_MOST_LISTED = 1 << 14  # tiles under a condition that counting one Einsum may look at, one by one


@lru_cache(maxsize=4096)
def sizes(size: int, even: bool = False) -> tuple[int, ...]:
    """Tiles to choose from, smallest first: divisors, and (unless `even`) halves of halves, rounded up."""
    found = {part for low in range(1, int(size**0.5) + 1) if size % low == 0 for part in (low, size // low)}
    half = size
    while half > 1 and not even:
        half = -(-half // 2)
        found.add(half)
    return tuple(sorted(found))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of several, each as likely."""
    return options[int(rng.integers(len(options)))]


@dataclass(frozen=True, slots=True)
class Use:
    """Bits that one tensor takes in one memory: in a block of a branch, or (branch -1) below so many loops of the trunk."""

    memory: str
    tensor: str
    bits: float
    branch: int
    at: int


class Fitting:
    """Makes the points of one space fit; `coupled` are the ranks under a condition."""

    def __init__(self, space: Space) -> None:
        self.space, self.scope = space, space.scope
        self.coupled = frozenset(rank for ranks in self.scope.coupled.values() for rank in ranks)

    def fitted(self, point: Point, rng: np.random.Generator) -> Point | None:
        """A point like this one that fits and can be counted soon; None if none is found."""
        passing = self.space.passing(point.parts)
        residents = [tensor for tensor in point.residents if tensor in passing]
        whole, users = self.scope.cascade.extents, frozenset(self.space.names)
        room = {memory: self.scope.capacity(memory) for memory in self.scope.architecture.memories}
        while residents:
            needed = sum(self.scope.words(tensor, whole, users, whole) * self.scope.bits[tensor] for tensor in residents)
            if needed <= room[self.space.home]:
                room[self.space.home] -= needed
                break
            residents.pop(int(rng.integers(len(residents))))
        parts = []
        for part in point.parts:
            fitting = self._part(part, tuple(residents), room, rng)
            if fitting is None:
                return None
            parts.append(fitting)
        return Point(tuple(parts), tuple(residents))

    def _part(self, part: Part, residents: tuple[str, ...], room: Dict[str, float], rng: np.random.Generator) -> Part | None:
        part = replace(part, keeps=tuple(keep for keep in part.keeps if keep[0] not in residents))
        for _ in range(_TRIES):
            over = self._overfull(part, residents, room)
            if over is not None:
                changed = self._relieved(part, residents, *over, rng)
            elif self.coupled and (slow := self._slow(part, residents)):
                changed = self._coarser(part, pick(rng, slow), rng)
            else:
                return part
            if changed is None:
                return None
            part = changed
        return None

    def _overfull(self, part: Part, residents: tuple[str, ...], room: Dict[str, float]) -> tuple[float, list[Use]] | None:
        """By what factor a memory is too full, and what is in it at its fullest moment."""
        uses = list(self.uses(part, residents))
        for memory in dict.fromkeys(use.memory for use in uses):
            mine = [use for use in uses if use.memory == memory]
            if part.schedule == "sequential":
                loads: dict[int, float] = {}
                for use in mine:
                    loads[use.branch] = loads.get(use.branch, 0.0) + (use.bits if use.branch >= 0 else 0.0)
                worst = max(loads, key=lambda branch: loads[branch])
                mine = [use for use in mine if use.branch in (-1, worst)]
            total = sum(use.bits for use in mine)
            if total > room[memory]:
                return total / max(room[memory], 1.0), mine
        return None

    def uses(self, part: Part, residents: Sequence[str] = ()) -> Iterator[Use]:
        """What a part keeps where, residents and the root left out."""
        scope, left, users = self.scope, self.space.left_in(part), frozenset(part.einsums)
        body, copies, home = left[-1], dict(part.copies), self.space.home
        if len(part.einsums) > 1:
            for tensor, depth in part.keeps:
                yield Use(home, tensor, scope.words(tensor, left[depth], users, body) * scope.bits[tensor], -1, depth)
            group = self.space.group(part.einsums)
            slices = len(part.trunk) - len(group.single)
            for tensor in group.carried:
                yield Use(home, tensor, scope.words(tensor, left[slices], users, body) * scope.bits[tensor], -1, slices)
            for tensor in group.internal:
                words = scope.words(tensor, body, users, body) * copies.get(tensor, 1)
                yield Use(home, tensor, words * scope.bits[tensor], -1, len(part.trunk))
        above = self.space.held_above(part, residents)
        for which, (name, branch) in enumerate(zip(part.einsums, part.branches, strict=True)):
            stops = list(self.space.stops(name, branch, body, above))
            for at, stop in enumerate(stops):
                for tensor in stop.keeps:
                    words = scope.words(tensor, stop.left, scope.alone[name], stop.left)
                    yield Use(stop.level.memory or "", tensor, words * self._width(name, tensor, stops, at), which, at)

    def _width(self, einsum: str, tensor: str, stops: Sequence[Stop], at: int) -> float:
        """Bits of a word in the memory of a level: of the final type if only complete results arrive there."""
        noun, types = self.scope.facts.einsums[einsum], self.scope.cascade.tensors[tensor]
        if tensor != noun.output.tensor:
            return float(types.final.bits)
        inner = next((below for below in range(at + 1, len(stops)) if tensor in stops[below].keeps), None)
        parts = {loop.rank for stop in stops[: len(stops) if inner is None else inner + 1] for loop in stop.time}
        for level, stop in enumerate(stops[: len(stops) if inner is None else inner + 1]):
            combining = [axis.name for axis in stop.level.axes if level > at and noun.reduce in axis.reduces]
            parts |= {loop.rank for loop in stop.spatial if loop.axis not in combining}
        if inner is None:
            parts |= {rank for rank, size in stops[-1].left.items() if size > 1}
        cut = {rank for rank, size in self.scope.cascade.extents.items() if size > stops[0].left[rank]}
        return float(types.partial.bits if (parts | cut) & set(noun.reduced) else types.final.bits)

    def _relieved(self, part: Part, residents: tuple[str, ...], excess: float, uses: list[Use], rng: np.random.Generator) -> Part | None:
        """A part that keeps less of one of the larger tensors in a memory that is too full by a factor."""
        largest = max(use.bits for use in uses)
        use = pick(rng, [use for use in uses if 4 * use.bits >= largest])
        if use.branch < 0:
            return self._trunk_relieved(part, excess, use, rng)
        name, branch = part.einsums[use.branch], part.branches[use.branch]
        left, above = self.space.left_in(part)[-1], self.space.held_above(part, residents)
        inside = list(self.space.stops(name, branch, left, above))[use.at].left
        indexing = self.scope.facts.indexing[use.tensor] - self.coupled
        options = [rank for rank in self.space.ranks[name] if rank in indexing and inside[rank] > 1]
        if options and rng.random() < 0.6:
            rank = pick(rng, options)
            return self._with_tile(part, use.branch, use.at, rank, _smaller(inside[rank], excess))
        block = branch.blocks[use.at]
        block = replace(block, keeps=tuple(tensor for tensor in block.keeps if tensor != use.tensor))
        return _with_branch(part, use.branch, replace(branch, blocks=(*branch.blocks[: use.at], block, *branch.blocks[use.at + 1 :])))

    def _trunk_relieved(self, part: Part, excess: float, use: Use, rng: np.random.Generator) -> Part | None:
        group, left = self.space.group(part.einsums), self.space.left_in(part)[use.at]
        internal, copies = use.tensor in (*group.internal, *group.carried), dict(part.copies)
        dropped = None if internal else replace(part, keeps=tuple(keep for keep in part.keeps if keep[0] != use.tensor))
        if dropped is not None and rng.random() < 0.4:
            return dropped
        if internal and copies.pop(use.tensor, 1) > 1:
            return replace(part, copies=tuple(copies.items()))
        indexing = self.scope.facts.indexing[use.tensor]
        options = [rank for rank in group.free if rank in indexing and left[rank] > 1]
        if not options:
            return dropped
        rank = pick(rng, options)
        loop = (rank, _smaller(left[rank], excess))
        for at, (other, _) in enumerate(part.trunk[: use.at]):
            if other == rank:
                return replace(part, trunk=(*part.trunk[:at], loop, *part.trunk[at + 1 :]))
        trunk = [other for other in part.trunk if other[0] != rank]
        place = min(use.at, len(trunk) - len(group.single))
        keeps = tuple((tensor, min(depth + (depth >= place), len(trunk) + 1)) for tensor, depth in part.keeps)
        return replace(part, trunk=(*trunk[:place], loop, *trunk[place:]), keeps=keeps)

    def _slow(self, part: Part, residents: tuple[str, ...]) -> list[int]:
        """Branches whose condition has too many tiles to be counted soon, or tiles that make counting list every copy."""
        found = []
        whole, left, above = self.scope.cascade.extents, self.space.left_in(part), self.space.held_above(part, residents)
        trunk = [For(rank, tile) for (rank, tile), size in zip(part.trunk, left, strict=False) if tile < size[rank]]
        for which, (name, branch) in enumerate(zip(part.einsums, part.branches, strict=True)):
            coupled = self.scope.coupled[name]
            loops: list[For | Spatial] = [loop for loop in trunk if loop.rank in coupled]
            for stop in self.space.stops(name, branch, left[-1], above) if coupled else ():
                loops += [loop for loop in stop.spatial if loop.rank in coupled]
                loops += [loop for loop in stop.time if loop.rank in coupled]
            sizes = {rank: whole[rank] for rank in coupled}
            steps, spread = 1, set[str]()
            for loop in loops:
                uneven = loop.rank in spread and (isinstance(loop, For) or bool(sizes[loop.rank] % loop.tile))
                if isinstance(loop, For):
                    steps *= -(-sizes[loop.rank] // loop.tile)
                else:
                    spread.add(loop.rank)
                sizes[loop.rank] = loop.tile
                if uneven or steps > _MOST_LISTED:
                    found.append(which)
                    break
        return found

    def _coarser(self, part: Part, which: int, rng: np.random.Generator) -> Part:
        """A part in which one Einsum, or the trunk, cuts a rank under a condition less often."""
        name, branch = part.einsums[which], part.branches[which]
        loops = [at for at, (rank, _) in enumerate(part.trunk) if rank in self.space.group(part.einsums).free and rank in self.coupled]
        if loops and rng.random() < 0.3:
            at = pick(rng, loops)
            rank, tile = part.trunk[at]
            return replace(part, trunk=(*part.trunk[:at], (rank, min(4 * tile, self.scope.cascade.extents[rank])), *part.trunk[at + 1 :]))
        at, rank = int(rng.integers(len(branch.blocks))), pick(rng, sorted(self.scope.coupled[name]))
        block = branch.blocks[at]
        if rng.random() < 0.5:
            block = replace(block, spread=tuple(use for use in block.spread if use[1] != rank))
            return _with_branch(part, which, replace(branch, blocks=(*branch.blocks[:at], block, *branch.blocks[at + 1 :])))
        return self._with_tile(part, which, at, rank, self.scope.cascade.extents[rank])

    def _with_tile(self, part: Part, which: int, at: int, rank: str, tile: int) -> Part:
        branch = part.branches[which]
        block, place = branch.blocks[at], self.space.ranks[part.einsums[which]].index(rank)
        block = replace(block, tiles=(*block.tiles[:place], tile, *block.tiles[place + 1 :]))
        return _with_branch(part, which, replace(branch, blocks=(*branch.blocks[:at], block, *branch.blocks[at + 1 :])))


def _with_branch(part: Part, which: int, branch: Branch) -> Part:
    return replace(part, branches=(*part.branches[:which], branch, *part.branches[which + 1 :]))


def _smaller(tile: int, excess: float) -> int:
    """The largest divisor of a tile that is smaller by a factor, or nearly so."""
    most = max(1, min(tile - 1, int(tile / excess)))
    divisor = max(part for part in sizes(tile, True) if part <= most)
    return divisor if 2 * divisor > most else most
