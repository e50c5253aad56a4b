"""Points made to fit: tiles shrunk and keeps dropped until every memory holds what it keeps, and conditions can be counted soon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from accelsim.mapper.baselines.points import Part, Point, Space

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

_TRIES = 40


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
class _Use:
    """Bits that one tensor takes in one memory: in a block of a branch, or (branch -1) below so many loops of the trunk."""

    memory: str
    tensor: str
    bits: float
    branch: int
    at: int


class Fitting:

    def fitted(self, point: Point, rng: np.random.Generator) -> Point | None:
        """The point with tiles shrunk and keeps dropped at random until every memory holds what it keeps; None if that fails."""
        passing = self.space.passing(point.parts)
        residents = [tensor for tensor in point.residents if tensor in passing]
        whole = self.scope.cascade.extents
        room = {memory: self.scope.capacity(memory) for memory in self.scope.architecture.memories}
        free = room[self.space.home]
        while residents:
            bits = [self.scope.words(t, whole, frozenset(self.space.names), whole) * self.scope.bits[t] for t in residents]
            if sum(bits) <= free:
                room[self.space.home] = free - sum(bits)
                break
            residents.pop(int(rng.integers(len(residents))))
        parts = []
        for part in point.parts:
            fitting = self._fitted(part, tuple(residents), room, rng)
            if fitting is None:
                return None
            parts.append(fitting)
        return Point(tuple(parts), tuple(residents))

    def _fitted(self, part: Part, residents: tuple[str, ...], room: Dict[str, float], rng: np.random.Generator) -> Part | None:
        part = replace(part, keeps=tuple(keep for keep in part.keeps if keep[0] not in residents))
        for _ in range(_TRIES):
            uses = list(self._uses(part, residents))
            totals: dict[str, dict[int, float]] = {}
            for use in uses:
                per = totals.setdefault(use.memory, {-1: 0.0})
                per[use.branch] = per.get(use.branch, 0.0) + use.bits
            over: tuple[str, float, list[_Use]] | None = None
            for memory, per in totals.items():
                worst = max(per, key=lambda branch: (branch >= 0, per[branch], -branch))
                together = part.schedule == "pipelined"
                total = sum(per.values()) if together or worst < 0 else per[-1] + per[worst]
                if total > room[memory]:
                    blamed = [use for use in uses if use.memory == memory and (together or use.branch in (-1, worst))]
                    over = memory, total / max(room[memory], 1.0), blamed
                    break
            if over is None:
                return part
            relieved = self._relieved(part, over[1], over[2], rng)
            if relieved is None:
                return None
            part = relieved
        return None

    def _uses(self, part: Part, residents: tuple[str, ...]) -> Iterator[_Use]:
        scope, left, users = self.scope, self.space.left_in(part), frozenset(part.einsums)
        body, copies, home = left[-1], dict(part.copies), self.space.home
        if len(part.einsums) > 1:
            for tensor, depth in part.keeps:
                yield _Use(home, tensor, scope.words(tensor, left[depth], users, body) * scope.bits[tensor], -1, depth)
            for tensor in self.space.group(part.einsums).internal:
                words = scope.words(tensor, body, users, body) * copies.get(tensor, 1)
                yield _Use(home, tensor, words * scope.bits[tensor], -1, len(part.trunk))
        above = self.space.held_above(part, residents)
        for which, (name, branch) in enumerate(zip(part.einsums, part.branches, strict=True)):
            for at, stop in enumerate(self.space.stops(name, branch, body, above)):
                for tensor in stop.keeps:
                    words = scope.words(tensor, stop.left, scope.alone[name], stop.left)
                    yield _Use(stop.level.memory or "", tensor, words * scope.bits[tensor], which, at)

    def _relieved(self, part: Part, excess: float, uses: list[_Use], rng: np.random.Generator) -> Part | None:
        """A part that keeps less of one of the larger tensors in a memory that is too full by a factor."""
        largest = max(use.bits for use in uses)
        use = pick(rng, [use for use in uses if 4 * use.bits >= largest])
        indexing = self.scope.facts.indexing[use.tensor]
        if use.branch < 0:
            return self._trunk_relieved(part, excess, use, indexing, rng)
        name, branch = part.einsums[use.branch], part.branches[use.branch]
        block, ranks = branch.blocks[use.at], self.space.ranks[name]
        stop = list(self.space.stops(name, branch, self.space.left_in(part)[-1], frozenset()))[use.at]
        options = [rank for rank in ranks if rank in indexing and stop.left[rank] > 1 and rank not in self.coupled]
        if options and rng.random() < 0.6:
            rank = pick(rng, options)
            tiles = dict(zip(ranks, block.tiles, strict=True)) | {rank: _smaller(stop.left[rank], excess)}
            block = replace(block, tiles=tuple(tiles[name] for name in ranks))
        else:
            block = replace(block, keeps=tuple(tensor for tensor in block.keeps if tensor != use.tensor))
        branch = replace(branch, blocks=(*branch.blocks[: use.at], block, *branch.blocks[use.at + 1 :]))
        return replace(part, branches=(*part.branches[: use.branch], branch, *part.branches[use.branch + 1 :]))

    def _trunk_relieved(
        self, part: Part, excess: float, use: _Use, indexing: frozenset[str], rng: np.random.Generator
    ) -> Part | None:
        group, left = self.space.group(part.einsums), self.space.left_in(part)
        internal = use.tensor in group.internal
        if not internal and rng.random() < 0.4:
            return replace(part, keeps=tuple(keep for keep in part.keeps if keep[0] != use.tensor))
        copies = dict(part.copies)
        if internal and copies.pop(use.tensor, 1) > 1:
            return replace(part, copies=tuple(copies.items()))
        options = [rank for rank in group.free if rank in indexing and left[use.at][rank] > 1]
        if not options:
            return None if internal else replace(part, keeps=tuple(keep for keep in part.keeps if keep[0] != use.tensor))
        rank = pick(rng, options)
        loop = (rank, _smaller(left[use.at][rank], excess))
        above = [at for at, (other, _) in enumerate(part.trunk) if other == rank]
        if above and above[0] < use.at:
            return replace(part, trunk=(*part.trunk[: above[0]], loop, *part.trunk[above[0] + 1 :]))
        trunk = [other for other in part.trunk if other[0] != rank]
        place = min(use.at, len(trunk) - len(group.single))
        keeps = tuple((tensor, min(depth + (depth >= place), len(trunk) + 1)) for tensor, depth in part.keeps)
        return replace(part, trunk=(*trunk[:place], loop, *trunk[place:]), keeps=keeps)


def _smaller(tile: int, excess: float) -> int:
    """The largest divisor of a tile that is smaller by a factor, or nearly so."""
    most = max(1, min(tile - 1, int(tile / excess)))
    divisor = max(part for part in sizes(tile, True) if part <= most)
    return divisor if 2 * divisor > most else most
