"""The loop nest of one Einsum as the replay walks it: literal tiles of literal copies, one iteration at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

from accelsim.errors import IllegalMapping, InputError, did_you_mean
from accelsim.mapping.tree import Address, For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode, addressed
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, Expression, IndexMap, Name, Number, accesses, inner_accesses, names, own_names

MAX_POINTS = 4_000_000

Interval = tuple[int, int]  # from, up to but not including
Tile = dict[str, Interval]
Copy = tuple[int, ...]  # an index for every spatial loop passed
Time = tuple[int, ...]  # an index for every time loop passed
Word = tuple[int, ...]
Box = frozenset[Word]
Visit = tuple[int, Time, dict[Copy, Tile]]
Stream = tuple[str, tuple[IndexMap | None, ...]]
NOTHING: Box = frozenset()

MEANINGS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg, "floordiv": operator.floordiv, "mod": operator.mod,
    "pow": operator.pow, "div": Fraction, "min": min, "max": max, "abs": abs,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
    "and": lambda left, right: bool(left) and bool(right), "or": lambda left, right: bool(left) or bool(right), "not": operator.not_,
}  # fmt: skip


def value(expression: Expression, names_known: dict[Any, Any]) -> Any:
    """The value of an index expression or a condition where every name, and every access in an index, has a value."""
    if isinstance(expression, Number):
        return int(expression.value) if float(expression.value).is_integer() else expression.value
    if isinstance(expression, Name):
        return names_known[expression.name]
    if expression in names_known:
        return names_known[expression]
    if isinstance(expression, Access):
        raise InputError(f"a condition reads {expression.tensor}", "words of data-dependent conditions cannot be counted without the data")
    if expression.function not in MEANINGS:
        raise InputError(f"'{expression.function}' cannot stand in an index or a condition", did_you_mean(expression.function, MEANINGS))
    return MEANINGS[expression.function](*(value(argument, names_known) for argument in expression.arguments))


@dataclass(slots=True)
class Footprint:
    """The words of a tensor that an access touches, tile by tile. Where values choose, all words that they may choose; `at_point`: the one
    word of a point, whichever it is, named by the values that choose it.
    """

    cascade: Cascade
    access: Access
    as_box: bool
    at_point: bool = False
    ranks: tuple[str, ...] = ()
    known: dict[object, Box] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ranks = _ranks(self.cascade, *self.access.indices)
        self.at_point = self.at_point and bool(inner_accesses(self.access))

    def box(self, tile: Tile) -> Box:
        """The product over the dimensions of the coordinates touched, without those outside and those that are constants."""
        key = tuple(tile[rank] for rank in self.ranks)
        if self.at_point:
            plain = [place for place, index in enumerate(self.access.indices) if not accesses(index)]
            there = all(self.coordinates(place, tile) for place in plain)
            return frozenset((tuple(low for low, _ in key),)) if there else frozenset()
        if key not in self.known:
            self.known[key] = frozenset(product(*(self.coordinates(place, tile) for place in range(len(self.access.indices)))))
        return self.known[key]

    def coordinates(self, dimension: int, tile: Tile) -> list[int]:
        """The valid coordinates touched along one dimension."""
        tensor = self.cascade.tensors[self.access.tensor]
        touched = _touched(self.cascade, self.access.indices[dimension], tile)
        if self.as_box and touched:
            touched = set(range(min(touched), max(touched) + 1))
        constants = tensor.constant_slices if tensor.iterative == dimension else 0
        return sorted(place for place in touched if constants <= place < tensor.shape[dimension])


def _ranks(cascade: Cascade, *expressions: Expression) -> tuple[str, ...]:
    return tuple(name for name in names(Access("", expressions)) if name in cascade.extents)


def _touched(cascade: Cascade, index: Expression, tile: Tile) -> set[int]:
    """The coordinates that an index takes over a tile, valid or not; values in it may be any that their tensor allows."""
    inner = accesses(index)
    ranks = [name for name in own_names(Access("", (index,))) if name in cascade.extents]
    every = [range(*tile[rank]) for rank in ranks] + [range(cascade.tensors[access.tensor].below) for access in inner]
    return {
        int(value(index, {**cascade.sizes, **dict(zip([*ranks, *inner], point, strict=True))})) for point in product(*every)
    }  # fmt: skip


def streams(cascade: Cascade, einsum: Einsum) -> list[Access]:
    """The reads of an Einsum, those with equal index maps once."""
    different = {(read.tensor, cascade.index_maps(read)): read for read in reversed(einsum.reads)}
    return list(reversed(different.values()))


@dataclass(slots=True)
class Step:
    """A loop as one Einsum sees it.

    `how`: `own` (a rank of the Einsum), `retained` or `recomputed` (it restricts ranks of the Einsum to what `demand` says its
    consumers read), `repeated` (the Einsum runs again in every iteration).
    """

    rank: str
    size: int
    axis: str | None
    how: str
    demand: Callable[[Interval], Tile] | None = None

    def pieces(self, tile: Tile) -> list[Tile]:
        """The tiles of the iterations (or copies) of this loop over one tile, in order; some may be empty."""
        low, high = tile[self.rank]
        parts = [{**tile, self.rank: (start, min(start + self.size, high))} for start in range(low, high, self.size)]
        produced: dict[str, int] = {}  # up to where the iterations before have produced
        for part in parts if self.demand else []:
            assert self.demand is not None
            for rank, (wanted, end) in self.demand(part[self.rank]).items():
                start = max(wanted, produced.get(rank, 0)) if self.how == "retained" else wanted
                produced[rank] = max(end, produced.get(rank, 0))
                part[rank] = (max(part[rank][0], start), min(part[rank][1], end))
        return parts


@dataclass(slots=True)
class Nest:
    """One leaf and what stands above it: `steps[i]` is the loop that node i is to this Einsum, None for a keep and a dropped loop.

    After the nodes (from `residual` on) come loops of tile 1 over every rank: the points of the residual tile.
    """

    cascade: Cascade
    einsum: Einsum
    leaf: Leaf
    nodes: list[tuple[Address, TreeNode]]
    steps: list[Step | None] = field(default_factory=list)
    residual: int = 0
    known: dict[tuple[int, ...], bool] = field(default_factory=dict)

    def keepers(self, tensor: str) -> list[int]:
        """Levels of the keep nodes that hold the tensor, outermost first; a tensor in the space of another is held too."""
        return [level for level, (_, node) in enumerate(self.nodes) if isinstance(node, Keep) and share_held(node, tensor) is not None]

    def spatial(self, level: int) -> list[Step]:
        """The spatial loops above a level: a copy has one index for each."""
        return [step for step in self.steps[:level] if step and step.axis]

    def times(self, level: int) -> list[tuple[int, Step]]:
        """The time loops above a level, each with its own level: a time has one index for each."""
        return [(place, step) for place, step in enumerate(self.steps[:level]) if step and not step.axis]

    def depth(self, level: int) -> int:
        """How many spatial loops stand above a level."""
        return len(self.spatial(level))

    def whole(self) -> Tile:
        """The tile before any loop: every rank whole, but no more than what all iterations of a loop together demand."""
        tile = {rank: (0, extent) for rank, extent in self.cascade.extents.items()}
        for step in self.steps:
            for rank, (start, end) in step.demand(tile[step.rank]).items() if step and step.demand else ():
                tile[rank] = (max(tile[rank][0], start), min(tile[rank][1], end))
        return tile

    def size(self, tile: Tile) -> int:
        """How many points a tile has, masked ones included."""
        size = 1
        for rank in self.einsum.ranks:
            size *= max(0, tile[rank][1] - tile[rank][0])
        return size

    def points(self, tile: Tile) -> Iterator[tuple[int, ...]]:
        """Every point of a tile."""
        return product(*(range(*tile[rank]) for rank in self.einsum.ranks))

    def satisfied(self, point: tuple[int, ...]) -> bool:
        """Whether the condition holds at a point."""
        if self.einsum.condition is None:
            return True
        if point not in self.known:
            here = {**self.cascade.sizes, **dict(zip(self.einsum.ranks, point, strict=True))}
            self.known[point] = bool(value(self.einsum.condition, here))
        return self.known[point]

    def visited(self, tiles: dict[Copy, Tile]) -> bool:
        """Whether any copy has a point to compute."""
        return any(self.satisfied(point) for tile in tiles.values() for point in self.points(tile))

    def visits(self) -> Iterator[Visit]:
        """Every arrival at every level in order of time: (level, time, the tiles of all copies that have one)."""
        whole: dict[Copy, Tile] = {(): self.whole()}
        if self.visited(whole):
            yield from self.visits_from(0, (), whole)

    def visits_from(self, level: int, time: Time, tiles: dict[Copy, Tile]) -> Iterator[Visit]:
        """The arrivals at a level and below it, once its loops above stand at a time."""
        yield level, time, tiles
        if level == len(self.steps):
            return
        step = self.steps[level]
        if step is None:
            yield from self.visits_from(level + 1, time, tiles)
            return
        pieces = {copy: step.pieces(tile) for copy, tile in tiles.items()}
        if step.axis:
            spread = {(*copy, place): part for copy, parts in pieces.items() for place, part in enumerate(parts) if self.size(part)}
            yield from self.visits_from(level + 1, time, spread)
            return
        for turn in range(max(map(len, pieces.values()))):
            inside = {copy: parts[turn] for copy, parts in pieces.items() if turn < len(parts) and self.size(parts[turn])}
            if inside and (level >= self.residual or self.visited(inside)):
                yield from self.visits_from(level + 1, (*time, turn), inside)

    def first_tile(self, level: int) -> Tile:
        """The tile that copy 0 has at a level in the first iteration of every loop."""
        tile = self.whole()
        for step in self.steps[:level]:
            tile = next(iter(step.pieces(tile)), tile) if step else tile
        return tile


def share_held(keep: Keep, tensor: str) -> Fraction | None:
    """The share of its tile that a keep holds of a tensor, None if it holds none."""
    return next((held.fraction for held in keep.held if tensor == held.tensor or tensor in held.in_place), None)


def build_nests(cascade: Cascade, mapping: Mapping) -> dict[str, Nest]:
    nests: dict[str, Nest] = {}
    for nodes, _, leaf in addressed(mapping.nodes):
        einsum = cascade.by_name.get(leaf.einsum)
        if einsum is None or einsum.initial:
            known = [work.name for work in cascade.work]
            raise IllegalMapping(f"no Einsum '{leaf.einsum}' to map", did_you_mean(leaf.einsum, known), leaf.place)
        nests[einsum.name] = Nest(cascade, einsum, leaf, list(nodes))
    for nest in nests.values():
        einsum = nest.einsum
        for access in (*einsum.reads, einsum.output):
            if any(index is None for index in cascade.index_maps(access)):
                raise InputError(f"an index of {access.tensor} in {einsum.name} is not affine with // and %", "rewrite it", einsum.place)
            if not nest.keepers(access.tensor):
                raise IllegalMapping(f"no keep holds {access.tensor} of {einsum.name}", "keep it above this leaf", nest.leaf.place)
        if nest.size(nest.whole()) > MAX_POINTS:
            raise InputError(f"{einsum.name} has more than {MAX_POINTS} points", "replay a smaller shape", einsum.place)
    for nest in nests.values():
        nest.steps = [_step(nest, level, nests) for level in range(len(nest.nodes))]
        nest.residual = len(nest.steps)
        nest.steps += [Step(rank, 1, None, "own") for rank in nest.einsum.ranks]
        for step in nest.steps:
            if step and step.demand and set(step.demand((0, step.size))) & set(names(nest.einsum.condition or Number(0))):
                what = f"a loop over {step.rank} restricts ranks of the condition of {nest.einsum.name}"
                raise InputError(what, "move the loop below the fuse", nest.leaf.place)
        if any(nest.size(nest.first_tile(level)) == 0 for level in range(nest.residual + 1)):
            raise InputError(f"the first iteration asks nothing of {nest.einsum.name}", "take larger tiles above the fuse", nest.leaf.place)
    return nests


def _step(nest: Nest, level: int, nests: dict[str, Nest]) -> Step | None:
    """What the node at a level is to the Einsum of a nest."""
    _, node = nest.nodes[level]
    if not isinstance(node, (For, Spatial)):
        return None
    axis = node.axis if isinstance(node, Spatial) else None
    if node.rank in nest.einsum.ranks:
        return Step(node.rank, node.tile, axis, "own")
    tensor = nest.einsum.output.tensor
    home_above = nest.keepers(tensor)[0] < level
    fuses = [(address, fuse) for address, fuse in nest.nodes[level:] if isinstance(fuse, Fuse)]
    if fuses and axis is None:
        inside = [other for other in nests.values() if any(address == fuses[0][0] for address, _ in other.nodes)]
        restricted = _demand(nest, node.rank, (0, nest.cascade.extents[node.rank]), inside, ())
        if restricted:
            if home_above and len(restricted) > 1:
                raise IllegalMapping(f"for {node.rank} restricts {', '.join(restricted)} of {nest.einsum.name}", "recompute it", node.place)
            how = "retained" if home_above else "recomputed"
            return Step(node.rank, node.tile, None, how, lambda interval: _demand(nest, node.rank, interval, inside, ()))
    if not home_above and any(tensor in fuse.recompute for _, fuse in fuses):
        return Step(node.rank, node.tile, axis, "repeated")
    return None


def _demand(nest: Nest, rank: str, interval: Interval, inside: list[Nest], below: tuple[str, ...]) -> Tile:
    """What the Einsum must produce while the loops give `rank` an interval: an interval for every rank that this restricts.

    Its consumers in the fuse read it at tiles that are whole except for what the interval leaves them.
    """
    if rank in nest.einsum.ranks:
        return {rank: interval}
    cascade, output = nest.cascade, nest.einsum.output
    everything = {name: (0, extent) for name, extent in cascade.extents.items()}
    reads: list[tuple[Access, Tile, Tile]] = []
    for consumer in inside:
        if consumer.einsum.name != nest.einsum.name and consumer.einsum.name not in below:
            left = _demand(consumer, rank, interval, inside, (*below, nest.einsum.name))
            reads += [(read, left, {**everything, **left}) for read in consumer.einsum.reads if read.tensor == output.tensor]
    restricted: Tile = {}
    for dimension, index in enumerate(cascade.index_maps(output)):
        if index is None or index.single_rank is None:
            continue
        if any(name in left for read, left, _ in reads for name in own_names(Access("", (read.indices[dimension],)))):
            touched = {place - index.offset for read, _, tile in reads for place in _touched(cascade, read.indices[dimension], tile)}
            start, end = (max(0, min(touched)), max(touched) + 1) if touched else (0, 0)
            restricted[index.single_rank] = (start, max(start, min(cascade.extents[index.single_rank], end)))
    return restricted
