"""How the tile of one Einsum is spread over the axes on the way to a unit, and how many steps in time that leaves."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from itertools import product
from math import prod

from accelsim.hardware.architecture import Axis
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import LeafDesign, TrunkLoop
from accelsim.mapping.tree import Spatial


@dataclass(frozen=True, slots=True)
class Spread:
    """Spatial loops of a leaf, outermost first, as (axis, rank, copies); `steps` in time that remain per tile; `moved`: traffic score."""

    copies: tuple[tuple[str, str, int], ...]
    steps: int
    moved: float

    def over(self, rank: str) -> int:
        """Copies that share a rank, over all axes."""
        return prod(count for _, other, count in self.copies if other == rank)

    def loops(self, inner: Dict[str, int]) -> tuple[Spatial, ...]:
        """The spatial loops when every element holds a tile of `inner` (1 where absent)."""
        found: list[Spatial] = []
        left = {rank: self.over(rank) * inner.get(rank, 1) for _, rank, _ in self.copies}
        for axis, rank, count in self.copies:
            left[rank] //= count
            found.append(Spatial(axis, rank, left[rank]))
        return tuple(found)


class Spreader:
    """Best spreads by (Einsum, memory, unit, sizes), remembered.

    Ranks under a condition are spread over equal parts only, and rather than other ranks: what counting a mapping takes depends on it.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.loops: dict[tuple[str, str, LeafDesign, tuple[int, ...]], tuple[TrunkLoop, ...]] = {}  # see `leaves.own_loops`
        self._known: dict[tuple[str, str, str, tuple[int, ...]], tuple[Spread, ...]] = {}

    def best(self, einsum: str, memory: str, unit: str, sizes: Dict[str, int]) -> tuple[Spread, ...]:
        """Spreads of a tile of these sizes over the axes between a memory and a unit: fewest steps first, then least traffic."""
        ranks = self.scope.facts.einsums[einsum].ranks
        key = (einsum, memory, unit, tuple(sizes[rank] for rank in ranks))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._search(einsum, memory, unit, dict(zip(ranks, key[3], strict=True)))
        return found

    def _search(self, einsum: str, memory: str, unit: str, sizes: dict[str, int]) -> tuple[Spread, ...]:
        below = self.scope.below(memory, unit)
        assert below is not None
        axes = [step.axis for step in below if step.axis is not None and step.axis.size > 1]
        lanes = self.scope.architecture.units[unit].lanes
        coupled, alone = self.scope.coupled[einsum], self.scope.one_by_one(einsum, unit)
        scored: list[tuple[int, int, tuple[tuple[str, str, int], ...]]] = []
        options = [list(self._options(einsum, axis, sizes)) for axis in axes]
        for chosen in product(*options):
            over: dict[str, int] = {}
            copies = []
            for axis, spread in zip(axes, chosen, strict=True):
                for rank, count in spread:
                    left = -(-sizes[rank] // over.get(rank, 1))
                    count = _dividing(left, count) if rank in coupled else min(count, left)
                    if count > 1:
                        over[rank] = over.get(rank, 1) * count
                        copies.append((axis.name, rank, count))
            if lanes == 1:
                steps = prod(-(-size // over.get(rank, 1)) for rank, size in sizes.items())
            else:
                whole = {rank: -(-size // over.get(rank, 1)) for rank, size in sizes.items()}
                turns = prod(whole[rank] for rank in whole if rank in alone)
                steps = turns * -(-prod(whole.values()) // turns // lanes)
            listed = prod(-(-sizes[rank] // over.get(rank, 1)) for rank in coupled)
            scored.append((steps, listed, tuple(copies)))
        scored.sort(key=lambda row: row[:2])
        fewest = scored[0][0]
        kept = [row for row in scored if row[0] <= 4 * fewest][:64]
        found = {Spread(copies, steps, self._moved(einsum, copies, steps)): listed for steps, listed, copies in kept}
        ranked = sorted(found, key=lambda spread: (spread.steps, found[spread], spread.moved, spread.copies))
        return tuple(ranked[:12])

    def _options(self, einsum: str, axis: Axis, sizes: dict[str, int]) -> Iterator[tuple[tuple[str, int], ...]]:
        """Ways to use one axis: nothing, one rank, or a short rank and another beside it."""
        noun = self.scope.facts.einsums[einsum]
        barred = self.scope.carried[einsum]
        usable = [
            rank
            for rank in noun.ranks
            if sizes[rank] > 1 and rank not in barred and (rank not in noun.reduced or noun.reduce in axis.reduces)
        ]
        yield ()
        longest = max((sizes[rank] for rank in usable), default=1)
        for rank in usable:
            yield ((rank, min(sizes[rank], axis.size)),)
        if longest >= axis.size:
            return
        for rank in usable:
            room = axis.size // sizes[rank]
            for other in usable if room > 1 else ():
                if other != rank:
                    yield ((rank, sizes[rank]), (other, min(room, sizes[other])))

    def _moved(self, einsum: str, copies: tuple[tuple[str, str, int], ...], steps: int) -> float:
        """Words that leave the memory per tile if nothing is reused in time: copies that hear the same word share it."""
        scope, noun = self.scope, self.scope.facts.einsums[einsum]
        total = 0.0
        for tensor in (*scope.reads[einsum], scope.writes[einsum]):
            share = 1
            for axis, rank, count in copies:
                _, spec = scope.architecture.axes[axis]
                shared = noun.reduce in spec.reduces if tensor == scope.writes[einsum] else spec.multicast
                if rank in scope.facts.indexing[tensor] or not shared:
                    share *= count
            total += share * scope.bits[tensor]
        return total * steps


def _dividing(size: int, most: int) -> int:
    """The most equal parts of a size, at most so many."""
    return next(parts for parts in range(min(size, most), 0, -1) if size % parts == 0)
