"""Points of the space that the baselines search, and the mappings that they stand for.

The space is that of docs/mapspace.md with tiles of any size, without raised keeps inside blocks. Einsums around a recurrence are one part.
What it passes on is kept at home above the loops over its slices if only this part touches it, else at the root, and never further inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from accelsim.hardware.architecture import Architecture, Axis, Memory
from accelsim.mapper.parts import part as part_of
from accelsim.mapper.scope import Scope
from accelsim.mapper.trunks import fusible, shared_ranks
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Level:
    """Axes in order, and the memory that they lead to (None: the unit)."""

    axes: tuple[Axis, ...]
    memory: str | None


@dataclass(frozen=True, slots=True)
class Block:
    """What one Einsum does on the way to one level.

    `spread`: (axis, rank, copies), outermost first. `order`: ranks of the loops in time, outermost first. `tiles`: what these leave of
    every rank of the Einsum, in its order; one that is not smaller than what is left makes no loop. `keeps`: tensors in the memory.
    """

    spread: tuple[tuple[str, str, int], ...]
    order: tuple[str, ...]
    tiles: tuple[int, ...]
    keeps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One Einsum: its unit, and a block for each level on the way to it."""

    unit: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive Einsums under one set of shared loops.

    `trunk`: (rank, tile), outermost first. `keeps`: (tensor, loops above it) for what the home keeps in the trunk. `copies`: of
    tensors that pass inside the part, where more than one.
    """

    einsums: tuple[str, ...]
    branches: tuple[Branch, ...]
    trunk: tuple[tuple[str, int], ...] = ()
    keeps: tuple[tuple[str, int], ...] = ()
    schedule: str = "pipelined"
    copies: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Parts that run one after the other; `residents` pass between them at the home, everything else at the root."""

    parts: tuple[Part, ...]
    residents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """What may be shared by some consecutive Einsums.

    `joined`: whether they may stand under one fuse. `free`: ranks of the trunk with any tile; `single`: ranks that it must walk one
    slice at a time. `internal`: tensors that only pass between them; `carried`: the same from slice to slice, which the home keeps
    above the loops over slices; `external`: others that the home may keep.
    """

    joined: bool
    free: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    external: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """One level of a branch as loops: `left` are the tiles inside them, which the memory keeps of its `keeps`."""

    level: Level
    spatial: tuple[Spatial, ...]
    time: tuple[For, ...]
    left: Dict[str, int]
    keeps: tuple[str, ...]


class Space:
    """The points of one cascade on one machine.

    Raises IllegalMapping if no unit of the machine executes some Einsum.
    """

    def __init__(self, cascade: Cascade, architecture: Architecture) -> None:
        self.scope = Scope(cascade, architecture)
        self.names = self.scope.groups()
        (*others, first) = architecture.root.feeds
        self.home = first.name if isinstance(first, Memory) and not others else architecture.root.name
        self.levels = {unit: self._levels(unit) for unit in architecture.units}
        self.ranks = {name: self.scope.facts.einsums[name].ranks for name in self.names}
        self.tensors = {name: tuple(dict.fromkeys((*self.scope.reads[name], self.scope.writes[name]))) for name in self.names}
        self.once = frozenset(name for name, tensor in cascade.tensors.items() if tensor.iterative is None)
        places = {name: place for place, name in enumerate(self.names)}
        spans = [(min(places[name] for name in cycle), max(places[name] for name in cycle)) for cycle in self.scope.facts.cycles]
        self.cuts = tuple(at for at in range(1, len(self.names)) if not any(low < at <= high for low, high in spans))
        self._groups: dict[tuple[str, ...], Group] = {}

    def _levels(self, unit: str) -> tuple[Level, ...]:
        found: list[Level] = []
        axes: list[Axis] = []
        for step in self.scope.steps[unit]:
            if step.axis is not None:
                axes.append(step.axis)
            elif step.memory is not None:
                found.append(Level(tuple(axes), step.memory.name))
                axes = []
        return (*found, Level(tuple(axes), None)) if axes else tuple(found)

    def group(self, names: tuple[str, ...]) -> Group:
        """What consecutive Einsums may share."""
        if names not in self._groups:
            self._groups[names] = self._group(names) if len(names) > 1 else Group(True)
        return self._groups[names]

    def _group(self, names: tuple[str, ...]) -> Group:
        facts, cascade = self.scope.facts, part_of(self.scope.cascade, names)
        scope = Scope(cascade, self.scope.architecture)
        shared = shared_ranks(scope)
        if not fusible(scope, shared):
            return Group(False)
        touched = tuple(dict.fromkeys(tensor for name in names for tensor in self.tensors[name]))
        passed = [tensor for tensor in touched if not cascade.tensors[tensor].is_input and cascade.consumers.get(tensor)]
        inside = [tensor for tensor in passed if not cascade.tensors[tensor].is_output]
        internal = tuple(tensor for tensor in inside if tensor in self.once and facts.indexing[tensor].issuperset(shared.single))
        carried = tuple(tensor for tensor in inside if tensor not in self.once) if shared.single else ()
        singles = tuple(For(rank, 1) for rank in shared.single)
        if not _allowed(scope, (), carried, singles, internal):
            internal, carried = (), ()
        indexing = [facts.indexing[tensor] for tensor in passed if tensor in self.once or tensor in carried]
        free = tuple(
            rank
            for rank in shared.free
            if all(rank in facts.ranks[name] for name in names)
            and all(rank in ranks for ranks in indexing)
            and _allowed(scope, (For(rank, -(-scope.cascade.extents[rank] // 2)),), carried, singles, internal)
        )
        external = tuple(tensor for tensor in touched if tensor in self.once and tensor not in passed)
        return Group(True, free, shared.single, internal, carried, external)

    def passing(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Tensors that pass from one part to another and need not end at the root: those that may be resident."""
        cascade, place = self.scope.cascade, {name: at for at, part in enumerate(parts) for name in part.einsums}
        found = []
        for tensor, makers in cascade.producers.items():
            users = cascade.consumers.get(tensor, ())
            apart = len({place[einsum.name] for einsum in (*makers, *users)}) > 1
            if apart and users and tensor in self.once and not cascade.tensors[tensor].is_output:
                found.append(tensor)
        return tuple(found) if self.home != self.scope.root else ()

    def left_in(self, part: Part) -> list[dict[str, int]]:
        """Tile sizes of every rank around each loop of a trunk, and inside the last."""
        found = [dict(self.scope.cascade.extents)]
        for rank, tile in part.trunk:
            found.append({**found[-1], rank: min(tile, found[-1][rank])})
        return found

    def held_above(self, part: Part, residents: Sequence[str]) -> frozenset[str]:
        """What the home holds above the branches of a part."""
        group = self.group(part.einsums)
        return frozenset((*residents, *group.internal, *group.carried, *(tensor for tensor, _ in part.keeps)))

    def stops(self, einsum: str, branch: Branch, left: Dict[str, int], above: frozenset[str]) -> Iterator[Stop]:
        """The levels of a branch, outermost first. A memory that keeps nothing has no loops in time."""
        for level, block in zip(self.levels[branch.unit], branch.blocks, strict=True):
            inside = dict(left)
            spatial = []
            for axis, rank, copies in block.spread:
                tile = -(-inside[rank] // copies)
                if tile < inside[rank]:
                    inside[rank] = tile
                    spatial.append(Spatial(axis, rank, tile))
            held = above if level.memory == self.home else ()
            keeps = tuple(tensor for tensor in block.keeps if tensor not in held)
            time = []
            if keeps:
                tiles = dict(zip(self.ranks[einsum], block.tiles, strict=True))
                for rank in block.order:
                    if tiles[rank] < inside[rank]:
                        inside[rank] = tiles[rank]
                        time.append(For(rank, tiles[rank]))
            yield Stop(level, tuple(spatial), tuple(time), inside, keeps)
            left = inside

    def mapping(self, point: Point) -> Mapping:
        """The mapping of a point, named after its cascade and machine."""
        groups = [self.group(part.einsums) for part in point.parts]
        hidden = {*point.residents, *(tensor for group in groups for tensor in (*group.internal, *group.carried))}
        touched = dict.fromkeys(tensor for name in self.names for tensor in self.tensors[name])
        top: list[TreeNode] = [Keep(self.scope.root, tuple(Held(tensor) for tensor in touched if tensor not in hidden))]
        if point.residents:
            top.append(Keep(self.home, tuple(Held(tensor) for tensor in point.residents)))
        branches = [self._nodes(part, point.residents) for part in point.parts]
        name = f"{self.scope.cascade.name} on {self.scope.architecture.name}"
        if len(branches) == 1:
            return Mapping(name, (*top, *branches[0]))
        return Mapping(name, (*top, Fuse("sequential", tuple(branches))))

    def _nodes(self, part: Part, residents: Sequence[str]) -> tuple[TreeNode, ...]:
        group, left, copies = self.group(part.einsums), self.left_in(part), dict(part.copies)
        nodes: list[TreeNode] = []
        for depth in range(len(part.trunk) + 1):
            held = [Held(tensor) for tensor, above in part.keeps if above == depth]
            if depth == len(part.trunk) - len(group.single):
                held += map(Held, group.carried)
            if depth == len(part.trunk):
                held += [Held(tensor, copies.get(tensor, 1)) for tensor in group.internal]
            nodes += [Keep(self.home, tuple(held))] if held else []
            if depth < len(part.trunk):
                rank, tile = part.trunk[depth]
                nodes += [For(rank, tile)] if tile < left[depth][rank] else []
        above = self.held_above(part, residents)
        leaves = []
        for name, branch in zip(part.einsums, part.branches, strict=True):
            loops: list[Loop] = []
            for stop in self.stops(name, branch, left[-1], above):
                loops += [*stop.spatial, *stop.time]
                if stop.keeps and stop.level.memory is not None:
                    loops.append(Keep(stop.level.memory, tuple(Held(tensor) for tensor in stop.keeps)))
            leaves.append(Leaf(name, branch.unit, tuple(loops)))
        if len(leaves) == 1:
            return (*nodes, leaves[0])
        return (*nodes, Fuse(part.schedule, tuple((leaf,) for leaf in leaves)))


def _allowed(scope: Scope, loops: tuple[For, ...], carried: tuple[str, ...], singles: tuple[For, ...], internal: tuple[str, ...]) -> bool:
    """Whether loops may stand above a pipelined fuse of a whole cascade, with some tensors kept between them and inside them."""
    names = scope.groups()
    tensors = dict.fromkeys(tensor for name in names for tensor in (*scope.reads[name], scope.writes[name]))
    outside = tuple(tensor for tensor in tensors if tensor not in internal and tensor not in carried)
    keeps = [(Keep(scope.root, tuple(map(Held, held))),) if held else () for held in (outside, carried, internal)]
    leaves = tuple((Leaf(name, next(iter(scope.able[name]))),) for name in names)
    nodes: tuple[TreeNode, ...] = (*keeps[0], *loops, *keeps[1], *singles, *keeps[2], Fuse("pipelined", leaves))
    return is_legal(scope.cascade, scope.roomy, Mapping("probe", nodes))
