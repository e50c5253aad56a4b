"""Every mapping of the map space (docs/mapspace.md) one by one, with tiles that divide or any: an exact answer for small problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, combinations, permutations, product
from math import ceil, prod

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node, Unit
from accelsim.mapper.cuts import Cuts
from accelsim.mapper.leaf_plan import ways_to_spread
from accelsim.mapper.pieces import Stretch, Tensors
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import cover

Sizes = dict[str, int]
Loops = tuple[Loop, ...]
Branch = tuple[Loop | Leaf | Fuse, ...]


class TooMany(Exception):
    """More mappings than were asked for, or no time left to go on."""


def listed(
    cascade: Cascade, architecture: Architecture, *, dividing: bool, schedules: tuple[str, ...], refill: str, most: int
) -> Iterator[Mapping]:
    """Every candidate of the map space, but for some that overflow a memory; others are illegal too, and a few trees come twice.

    (One part in sequence without a trunk is the same tree as a part for each Einsum with residents.) Raises TooMany, before the first,
    if they, the ways to run one part or the tiles of one Einsum exceed `most`.
    With `refill` every_visit each keep of a block stands as far out as rule 7 lets it, which is where it costs least.
    """
    yield from _Listing(cascade, architecture, dividing, refill == "every_visit", schedules, most).mappings()


def smallest(
    evaluator: Evaluator, value: Callable[[Evaluation], float], *, dividing: bool, schedules: tuple[str, ...],
    most: int, over: Callable[[], bool],
) -> tuple[Mapping, float, int] | None:  # fmt: skip
    """The first mapping of least `value`, that value, and how many legal mappings were evaluated; None if none is legal.

    Raises TooMany if there are more than `most` candidates, or once `over` says that time is up.
    """
    raised = evaluator.counting.refill == "every_visit"
    listing = _Listing(evaluator.cascade, evaluator.architecture, dividing, raised, schedules, most, over)
    best: tuple[Mapping, float, int] | None = None
    evaluated = 0
    for mapping in listing.mappings():
        listing.go_on(0)
        with suppress(IllegalMapping):
            found = value(evaluator.evaluate(mapping))
            evaluated += 1
            best = (mapping, found, 0) if best is None or found < best[1] else best
    return best and (*best[:2], evaluated)


class _Listing:
    """One listing; the ways to run a part, and an Einsum below a tile, are worked out once."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, dividing: bool, raised: bool, schedules: tuple[str, ...],
        most: int, over: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.cascade, self.machine, self.dividing, self.raised, self.schedules = cascade, architecture, dividing, raised, schedules
        self.most, self.over, self.tensors, self.extents = most, over, Tensors(cascade), dict(cascade.extents)
        self.cuts = Cuts(self.tensors, free=True)
        self.facts, feeds = self.tensors.facts, architecture.root.feeds
        self.home = feeds[0] if len(feeds) == 1 and isinstance(feeds[0], Memory) else None
        self.steps = {name: [step for node in architecture.paths[name][1:] for step in _steps(node)] for name in architecture.units}
        units = architecture.units.items()
        self.able = {
            name: [at for at, unit in units if cover(each, unit.accepting(cascade.operand_types(each))) is not None]
            for name, each in self.facts.einsums.items()
        }
        self.below: dict[tuple[object, ...], list[Loops]] = {}
        self.parts: dict[tuple[Stretch, frozenset[str]], list[Branch]] = {}

    def go_on(self, so_far: int) -> None:
        """Raises TooMany if so many are too many or time is up."""
        if so_far > self.most or self.over():
            raise TooMany(f"more than {self.most} mappings" if so_far > self.most else "no time left to list every mapping")

    def mappings(self) -> Iterator[Mapping]:
        """Every candidate."""
        plans, total, order = [], 0, self.tensors.order
        for parts in self._cut(0):
            if not all(len(part.names) == 1 or (self.home and part.sound) for part in parts):
                continue
            inside = {tensor for part in parts for tensor in part.internal if self.home}
            passing = [tensor for tensor in self.tensors.passing if tensor not in inside]
            for resident in map(frozenset, self._kept(passing, order, self.extents, self.home)):
                ways = [self._part(part, resident & set(part.external)) for part in parts]
                total += prod(map(len, ways))
                self.go_on(total)
                plans.append((inside, resident, ways))
        everything = dict.fromkeys((tensor for name in order for tensor in self.tensors.touched[name]), 0)
        for inside, resident, ways in plans:
            top = _placed(self.machine.root, (), {tensor: 0 for tensor in everything if tensor not in inside | resident})
            top += _placed(self.home, (), {tensor: 0 for tensor in everything if tensor in resident})
            for branches in product(*ways):
                below = branches[0] if len(branches) == 1 else (Fuse("sequential", branches),)
                yield Mapping(f"{self.cascade.name} on {self.machine.name}", (*top, *below))

    def _cut(self, cut: int) -> Iterator[list[Stretch]]:
        """Every way to run the Einsums behind a cut in parts."""
        if cut == self.cuts.last:
            yield []
        for end, names in self.cuts.passages[cut]:
            for further in self._cut(end):
                yield [self.tensors.stretch(names), *further]

    def _part(self, part: Stretch, resident: frozenset[str]) -> list[Branch]:
        """Every way to run a part: trunks, and the external tensors (but the resident ones) that they keep."""
        if (part, resident) in self.parts:
            return self.parts[part, resident]
        found = self.parts[part, resident] = list[Branch]()
        alone = len(part.names) == 1
        free = [] if alone else [tensor for tensor in part.external if tensor not in resident]
        for tile in self._inner({rank: self.extents[rank] for rank in part.shared if not alone}):
            for order in permutations(rank for rank in tile if tile[rank] < self.extents[rank]):
                loops = tuple(For(rank, tile[rank]) for rank in order)
                above = [self.extents | {rank: tile[rank] for rank in order[:depth]} for depth in range(len(order) + 1)]
                for depths in product(range(-1, len(above)), repeat=len(free)):
                    kept = {each: at for each, at in zip(free, depths, strict=True) if at >= 0}
                    if all((each,) in self._kept([each], part.names, above[at], self.home) for each, at in kept.items()):
                        for schedule in ("sequential",) if alone else self.schedules:
                            self._run(found, part, schedule, loops, kept, resident)
        return found

    def _run(
        self, found: list[Branch], part: Stretch, schedule: str, loops: tuple[For, ...], kept: Sizes, resident: frozenset[str]
    ) -> None:
        """Adds every way to run a part's Einsums under one trunk, with every number of copies that may pay and fit."""
        sizes, given = self.extents | {loop.rank: loop.tile for loop in loops}, resident | set(kept) | set(part.internal)
        bits = [self._bits(tensor, part.names, sizes) for tensor in part.internal]
        trunks: dict[int, list[Loops]] = {}
        every: list[list[Leaf]] = []
        for name in part.names:
            mine, held = {rank: sizes[rank] for rank in self.facts.einsums[name].ranks}, given & set(self.tensors.touched[name])
            every.append([Leaf(name, unit, tail) for unit in self.able[name] for tail in self._blocks(name, unit, 0, mine, held)])
        for leaves in product(*every):
            most = self._most_copies(leaves) if schedule == "pipelined" else 1
            if most not in trunks:
                trunks[most] = []
                for many in product(range(1, most + 1), repeat=len(bits)):
                    need = [one * times for one, times in zip(bits, many, strict=True)]
                    if _fits(sum(need) if schedule == "pipelined" else max(need, default=0), self.home):
                        copies = dict(zip(part.internal, many, strict=True))
                        trunks[most].append(_placed(self.home, loops, kept | dict.fromkeys(copies, len(loops)), copies))
            inside = leaves[0] if len(leaves) == 1 else Fuse(schedule, tuple((leaf,) for leaf in leaves))
            found.extend((*trunk, inside) for trunk in trunks[most])
            self.go_on(len(found))

    def _most_copies(self, leaves: tuple[Leaf, ...]) -> int:
        """Copies beyond which more do not help: all Einsums and latencies of an iteration over the least pace, one issue of the slowest."""
        latency, issue = 0, Fraction(0)
        for leaf in leaves:
            einsum, unit = self.facts.einsums[leaf.einsum], self.machine.units[leaf.unit]
            axes = {loop.axis for loop in leaf.loops if isinstance(loop, Spatial)}
            latency += unit.pipeline_depth + sum(self.machine.axes[axis][1].reduction_latency.get(einsum.reduce, 0) for axis in axes)
            issues = (cover(einsum, unit.accepting(self.cascade.operand_types(einsum))) or {}).items()
            issue = max(issue, sum((times * unit.operations[name].cycles for name, times in issues), Fraction(0)))
        return len(leaves) + ceil(latency / (issue or 1))

    def _blocks(self, name: str, unit: str, at: int, sizes: Sizes, given: frozenset[str]) -> list[Loops]:
        """All that an Einsum has from a step of the way to its unit inwards, in every way; `given`: what H holds already."""
        key, step = (name, unit, at, tuple(sizes.values()), given), self.steps[unit][at]
        if key in self.below:
            return self.below[key]
        found = self.below[key] = [()] if isinstance(step, Unit) else []
        if isinstance(step, Axis):
            for spread, left in self._spreads(step, sizes):
                found.extend((*spread, *tail) for tail in self._blocks(name, unit, at + 1, left, given))
        elif isinstance(step, Memory):
            found.extend(self._blocks(name, unit, at + 1, sizes, frozenset()))
            able = [tensor for tensor in self.tensors.touched[name] if step is not self.home or tensor not in given]
            for inner in self._inner(sizes):
                orders = list(permutations(For(rank, inner[rank]) for rank in sizes if inner[rank] < sizes[rank]))
                for held, loops in product(self._kept(able, (name,), inner, step)[1:], orders):
                    block = _placed(step, loops, {tensor: self._depth(name, tensor, loops) for tensor in held})
                    found.extend((*block, *tail) for tail in self._blocks(name, unit, at + 1, inner, frozenset()))
                    self.go_on(len(found))
        return found

    def _depth(self, name: str, tensor: str, loops: tuple[For, ...]) -> int:
        """How many loops of a block stay above a keep."""
        maps = [index for use in self.facts.uses[tensor] if use.einsum == name for index in use.maps if index is not None]
        indexing = [depth for depth, loop in enumerate(loops, 1) if any(loop.rank in index.ranks for index in maps)]
        return max(indexing, default=0) if self.raised else len(loops)

    def _spreads(self, axis: Axis, sizes: Sizes) -> Iterator[tuple[tuple[Spatial, ...], Sizes]]:
        """Every way to use an axis or not, with the tile that each copy is left with."""
        trips = [tuple(sorted({-(-whole // tile) for tile in self._tiles(whole)})) for whole in (self.extents[rank] for rank in sizes)]
        several = any(sum(times > 1 for times in way) > 1 for way in ways_to_spread(trips, axis.size))
        for inner in self._inner(sizes):
            turning = [rank for rank in sizes if inner[rank] < sizes[rank]]
            if (several or len(turning) < 2) and prod(-(-sizes[rank] // inner[rank]) for rank in turning) <= axis.size:
                yield tuple(Spatial(axis.name, rank, inner[rank]) for rank in turning), inner

    def _tiles(self, size: int) -> list[int]:
        return [tile for tile in range(size, 0, -1) if not self.dividing or size % tile == 0]

    def _inner(self, sizes: Sizes) -> Iterator[Sizes]:
        tiles = [self._tiles(size) for size in sizes.values()]
        self.go_on(prod(map(len, tiles)))
        return (dict(zip(sizes, tile, strict=True)) for tile in product(*tiles))

    def _kept(self, tensors: Iterable[str], names: Iterable[str], sizes: Sizes, memory: Memory | None) -> list[tuple[str, ...]]:
        """Sets of tensors of which a memory may keep tiles at once, the empty one first."""
        bits = {each: self._bits(each, names, sizes) for each in tensors if memory is not None}
        sets = chain.from_iterable(combinations(bits, size) for size in range(len(bits) + 1))
        return [held for held in sets if _fits(sum(bits[tensor] for tensor in held), memory)]

    def _bits(self, tensor: str, names: Iterable[str], sizes: Sizes) -> Fraction | int:
        """What a tile of a tensor takes at least; values may choose one coordinate alone."""
        uses = [use for use in self.facts.uses[tensor] if use.einsum in names]
        if self.cascade.tensors[tensor].iterative is not None or any(self.facts.einsums[use.einsum].condition for use in uses):
            return 0
        bare = [{index.single_rank for index in use.maps if index is not None and index.offset == 0} for use in uses]
        return min(self.facts.bits[tensor]) * max(prod(sizes[rank] for rank in ranks if rank in sizes) for ranks in bare)


def _steps(node: Node) -> tuple[Axis | Memory | Unit, ...]:
    return node.axes if isinstance(node, Array) else (node,)


def _fits(bits: Fraction | int, memory: Memory | None) -> bool:
    return memory is None or memory.size_bits is None or bits <= memory.size_bits


def _placed(memory: Memory | None, loops: tuple[For, ...], depths: Sizes, copies: Sizes | None = None) -> Loops:
    """Loops with keeps below as many of them as `depths` says; none where there is no memory."""
    found: list[Loop] = []
    for depth in range(len(loops) + 1):
        found.extend(loops[depth - 1 : depth] if depth else ())
        held = tuple(Held(tensor, (copies or {}).get(tensor, 1)) for tensor, at in depths.items() if at == depth)
        found.extend((Keep(memory.name, held),) if held and memory is not None else ())
    return tuple(found)
