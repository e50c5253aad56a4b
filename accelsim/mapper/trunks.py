"""First trunks of a group: which ranks may be shared, and tilings that keep the units busy or fill the memories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accelsim.hardware.architecture import Axis
from accelsim.mapper.keeps import Placer, needed_again
from accelsim.mapper.leaves import assigned
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, TrunkLoop
from accelsim.mapper.spread import Spreader
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode

_SLACK = 1.0005
_PATCHES = 3  # that fit, for each home


@dataclass(frozen=True, slots=True)
class Shared:
    """Ranks that loops above all Einsums may name: `free` with any tile, `single` only (and necessarily) one slice at a time."""

    free: tuple[str, ...]
    single: tuple[str, ...]


def shared_ranks(scope: Scope) -> Shared:
    """What the rules of legality allow above a fuse of the whole cascade, found by asking them."""
    names = scope.groups()
    ranks = [rank for rank, size in scope.cascade.extents.items() if size > 1 and any(rank in scope.facts.ranks[name] for name in names)]
    if len(names) == 1:
        return Shared(tuple(ranks), ())
    if scope.facts.cycles:  # what a recurrence passes on is whole: every Einsum around it must have the rank
        ranks = [rank for rank in ranks if all(rank in scope.facts.ranks[name] or rank in scope.facts.late[name] for name in names)]
    single: list[str] = []
    free: list[str] = []
    needed = not _allowed(scope, ())
    for rank in ranks:
        size = scope.cascade.extents[rank]
        if not needed and _allowed(scope, (For(rank, -(-size // 2)),)):
            free.append(rank)
        elif needed and _allowed(scope, (For(rank, 1),)):
            single.append(rank)
    if needed:
        before = tuple(For(rank, 1) for rank in single)
        if not single:
            return Shared((), ())
        extents = scope.cascade.extents
        free = [rank for rank in ranks if rank not in single and _allowed(scope, (For(rank, -(-extents[rank] // 2)), *before))]
    return Shared(tuple(free), tuple(single))


def fusible(scope: Scope, shared: Shared) -> bool:
    """Whether the Einsums may stand under one fuse at all."""
    return len(scope.groups()) == 1 or _allowed(scope, tuple(For(rank, 1) for rank in shared.single))


def _allowed(scope: Scope, loops: tuple[TrunkLoop, ...]) -> bool:
    names = scope.groups()
    tensors = dict.fromkeys(t for name in names for t in (*scope.reads[name], scope.writes[name]))
    root = Keep(scope.root, tuple(Held(tensor) for tensor in tensors))
    leaves = tuple((Leaf(name, next(iter(scope.able[name]))),) for name in names)
    inner = [memory.feeds[0].name for memory in scope.architecture.memories.values() if not memory.direct]
    nodes: tuple[TreeNode, ...] = (root, *(Keep(name, root.held) for name in inner), *loops, Fuse("pipelined", leaves))
    return is_legal(scope.cascade, scope.roomy, Mapping("probe", nodes))


def tile_sizes(scope: Scope, rank: str, most: int) -> list[int]:
    """Tiles worth trying for a rank of which `most` is left: powers of two, multiples of axes, and equal parts; largest last."""
    sizes = {1, most}
    step = 1
    while step < most:
        sizes.add(step)
        step *= 2
    for size in {axis.size for _, axis in scope.architecture.axes.values()}:
        sizes.update(size * times for times in (1, 2, 3, 4, 6, 8) if size * times <= most)
    sizes.update(-(-most // parts) for parts in (2, 3, 4, 5, 6, 8))
    return sorted(sizes)


class Trunks:
    """Makes first designs for one group on one home memory."""

    def __init__(self, scope: Scope, spreader: Spreader, shared: Shared) -> None:
        self.scope, self.spreader, self.shared = scope, spreader, shared
        self.names = scope.groups()

    def first(self, home: str) -> Iterator[Design]:
        """Designs to start from, most promising first."""
        for axes in self._axis_choices(home):
            yield from self._with_axes(home, axes)
        yield from self._patches(home)

    def pace(self, home: str, trunk: Sequence[TrunkLoop]) -> float:
        """Busy cycles of the busiest unit over the run, in closed form."""
        loads: dict[str, float] = {}
        for unit, busy in assigned(self.scope, self.spreader, self.names, Design(home, tuple(trunk))):
            loads[unit] = loads.get(unit, 0.0) + busy
        return max(loads.values())

    def _patches(self, home: str) -> Iterator[Design]:
        """Trunks that cut results into patches, and what lies before them into patches with their margins, which are made anew: halved
        where that makes most room for least work and traffic, until everything fits, and twice more.
        """
        if len(self.names) < 2 or not self.scope.facts.renames:
            return
        extents, room, fitting = self.scope.cascade.extents, self.scope.capacity(home), 0
        design = Design(home)
        while fitting < _PATCHES:
            options: list[tuple[float, float, Design]] = []
            for rank in self.shared.free:
                tiles = {loop.rank: loop.tile for loop in design.trunk}
                size = tiles.get(rank, extents[rank])
                if size > 1:
                    loops = tuple(For(name, tile) for name, tile in (tiles | {rank: -(-size // 2)}).items())
                    again = frozenset(needed_again(self.scope, self.names, loops))
                    further = Design(home, loops, recompute=again)
                    bits, brought = Placer(self.scope, self.names, further, ()).estimate()
                    options.append((bits * brought * self.pace(home, loops), bits, further))
            if not options:
                return
            _, bits, design = min(options, key=lambda option: option[:2])
            if bits <= room and design.recompute:
                fitting += 1
                yield design
            elif bits <= room:
                return

    def _axis_choices(self, home: str) -> Iterator[tuple[tuple[Axis, str], ...]]:
        """Ranks for the axes above the home: every shared rank of all Einsums that is not reduced, longest first; or none."""
        axes = [step.axis for step in self.scope.above(home) if step.axis is not None and step.axis.size > 1]
        common = [
            rank
            for rank in self.shared.free
            if all(
                rank in self.scope.facts.ranks[name]
                and rank not in self.scope.carried[name]
                and (rank not in self.scope.facts.reduced[name])
                for name in self.names
            )
        ]
        common.sort(key=lambda rank: -self.scope.cascade.extents[rank])
        if not axes:
            yield ()
            return
        for first in common[:3]:
            chosen = [(axes[0], first)]
            for axis in axes[1:]:
                chosen.append((axis, next((rank for rank in common if rank != first), first)))
            yield tuple(chosen)
        yield ()

    def _with_axes(self, home: str, axes: tuple[tuple[Axis, str], ...]) -> Iterator[Design]:
        extents = self.scope.cascade.extents
        spatial, left = self._spatial(axes, dict(extents))
        free = [rank for rank in self.shared.free if left[rank] > 1]
        single = [rank for rank in self.shared.single if left[rank] > 1]
        singles: list[TrunkLoop] = [For(rank, 1) for rank in single]
        small = self._smallest(home, spatial, free, singles, left)
        large = self._largest(home, spatial, free, singles, left, small)
        tilings = [small] if len(self.names) > 1 else []
        if large != small or not tilings:
            tilings.append(large)
        for tiles in tilings:
            loops: list[TrunkLoop] = [For(rank, tiles[rank]) for rank in free if tiles[rank] < left[rank]]
            yield self._design(home, [*loops, *singles], axes)
            if not singles:
                for at in range(len(loops)):
                    yield self._design(home, [*loops[:at], *loops[at + 1 :], loops[at]], axes)
                continue
            for inner in loops:
                others = [loop for loop in loops if loop is not inner]
                yield self._design(home, [*others, *singles, inner], axes)
                block = inner.tile * 2
                while block < left[inner.rank]:
                    yield self._design(home, [*others, For(inner.rank, block), *singles, inner], axes)
                    block *= 2

    def _design(self, home: str, loops: list[TrunkLoop], axes: tuple[tuple[Axis, str], ...]) -> Design:
        """The time loops with the axes above the home outermost of what they cut: tiles are per copy, so block sizes come first."""
        if not axes:
            return Design(home, tuple(loops))
        copies = {axis.name: min(axis.size, self.scope.cascade.extents[rank]) for axis, rank in axes}
        trunk: list[TrunkLoop] = []
        inner = {rank: min((loop.tile for loop in loops if loop.rank == rank), default=0) for _, rank in axes}
        for loop in loops:
            factor = 1
            for axis, rank in axes:
                factor *= copies[axis.name] if rank == loop.rank else 1
            tile = loop.tile * factor
            if tile < self.scope.cascade.extents[loop.rank]:
                trunk.append(For(loop.rank, tile))
        for axis, rank in axes:
            size = min((loop.tile for loop in trunk if loop.rank == rank), default=self.scope.cascade.extents[rank])
            tile = -(-size // copies[axis.name])
            trunk.append(Spatial(axis.name, rank, max(inner[rank], tile) if inner[rank] else tile))
        return Design(home, tuple(trunk))

    def _spatial(self, axes: tuple[tuple[Axis, str], ...], left: dict[str, int]) -> tuple[list[TrunkLoop], dict[str, int]]:
        spatial: list[TrunkLoop] = []
        for axis, rank in axes:
            left[rank] = -(-left[rank] // axis.size)
            spatial.append(Spatial(axis.name, rank, left[rank]))
        return spatial, left

    def _smallest(
        self, home: str, spatial: list[TrunkLoop], free: list[str], singles: list[TrunkLoop], left: dict[str, int]
    ) -> dict[str, int]:
        """The smallest tiles at which no unit loses more than a trifle to unfilled copies."""
        tiles = {rank: left[rank] for rank in free}
        best = self.pace(home, [*spatial, *singles])
        for rank in sorted(free, key=lambda name: left[name]):
            for size in tile_sizes(self.scope, rank, left[rank]):
                trial = {**tiles, rank: size}
                pace = self.pace(home, [*spatial, *(For(name, tile) for name, tile in trial.items()), *singles])
                if pace <= best * _SLACK:
                    best, tiles = min(best, pace), trial
                    break
        return tiles

    def _largest(
        self,
        home: str,
        spatial: list[TrunkLoop],
        free: list[str],
        singles: list[TrunkLoop],
        left: dict[str, int],
        small: dict[str, int],
    ) -> dict[str, int]:
        """Whole ranks, halved along the largest tile of the largest tensor until everything that the group touches fits the home."""
        scope, users = self.scope, frozenset(self.names)
        tensors = dict.fromkeys(t for name in self.names for t in (*scope.reads[name], scope.writes[name]))
        tiles = {rank: left[rank] for rank in free}
        room = scope.capacity(home)
        while True:
            sizes = {**left, **tiles, **{loop.rank: 1 for loop in singles}}
            bits = {tensor: scope.words(tensor, sizes, users, sizes) * scope.bits[tensor] for tensor in tensors}
            if sum(bits.values()) <= room:
                return tiles
            best: tuple[float, str] | None = None
            for rank in free:
                if tiles[rank] <= 1:
                    continue
                touched = sum(bits[tensor] for tensor in tensors if rank in scope.facts.indexing[tensor])
                shy = 0.01 if tiles[rank] <= small[rank] else 1.0
                offer = (touched * shy * (tiles[rank] / max(1, small[rank])) ** 0.5, rank)
                if touched and (best is None or offer > best):
                    best = offer
            if best is None:
                return tiles
            tiles[best[1]] = -(-tiles[best[1]] // 2)
