"""Every mapping of the map space (docs/mapspace.md) one by one, with tiles that divide or any: an exact answer for small problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, permutations, product
from math import prod

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.mapper.exact import LONGEST
from accelsim.mapper.leaf_plan import ways_to_spread
from accelsim.mapper.pieces import Stretch, Tensors
from accelsim.mapping.machine import machine
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.workload.cascade import Cascade

Sizes = dict[str, int]
Nodes = tuple[TreeNode, ...]
Loops = tuple[Loop, ...]
Level = tuple[tuple[Axis, ...], Memory | None]  # axes in order, and the memory they lead to (None: the unit)


class TooMany(Exception):
    """More mappings than were asked for, or no time left to go on."""


def listed(
    cascade: Cascade,
    architecture: Architecture,
    *,
    dividing: bool,
    schedules: tuple[str, ...],
    refill: str,
    keepable: Callable[[str, str], bool],
    most: int,
) -> Iterator[Mapping]:
    """Every candidate of the map space, each once; some are illegal. Those of which a block or a trunk alone overflows H are left out.

    `keepable`: whether a memory may keep a tensor. Raises TooMany, before the first, if they or the ways to run one part are more than `most`.
    With `refill` every_visit each keep of a block stands as far out as rule 7 lets it, which is where it costs least.
    """
    yield from _Listing(cascade, architecture, dividing, schedules, refill == "every_visit", keepable, most, lambda: False).mappings()


def smallest(
    evaluator: Evaluator,
    value: Callable[[Evaluation], float],
    *,
    dividing: bool,
    schedules: tuple[str, ...],
    keepable: Callable[[str, str], bool],
    most: int,
    over: Callable[[], bool],
) -> tuple[Mapping, float, int] | None:
    """The first mapping of least `value`, the value, and how many legal mappings were evaluated; None if none is legal.

    Raises TooMany if there are more than `most` candidates, or once `over` says that time is up.
    """
    raised = evaluator.counting.refill == "every_visit"
    listing = _Listing(evaluator.cascade, evaluator.architecture, dividing, schedules, raised, keepable, most, over)
    best: tuple[Mapping, float] | None = None
    evaluated = 0
    for mapping in listing.mappings():
        listing.go_on()
        try:
            found = value(evaluator.evaluate(mapping))
        except IllegalMapping:
            continue
        evaluated += 1
        if best is None or found < best[1]:
            best = mapping, found
    return None if best is None else (*best, evaluated)


class _Listing:
    """One listing; ways to run an Einsum below a tile, and parts, are worked out once."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, dividing: bool, schedules: tuple[str, ...], raised: bool,
        keepable: Callable[[str, str], bool], most: int, over: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.cascade, self.machine, self.dividing, self.schedules, self.raised = cascade, architecture, dividing, schedules, raised
        self.keepable, self.most, self.over = keepable, most, over
        self.tensors = Tensors(cascade)
        self.facts = self.tensors.facts
        feeds = architecture.root.feeds
        self.home = feeds[0] if len(feeds) == 1 and isinstance(feeds[0], Memory) else None
        slow = any(unit.pipeline_depth for unit in architecture.units.values())
        self.slow = slow or any(any(axis.reduction_latency.values()) for _, axis in architecture.axes.values())
        self.levels = {unit: _levels(architecture, unit) for unit in architecture.units}
        self._tails: dict[tuple[object, ...], list[Loops]] = {}
        self._parts: dict[tuple[int, int, frozenset[str]], list[Nodes]] = {}

    def go_on(self, so_far: int = 0) -> None:
        """Raises TooMany if this is more than asked for or time is up."""
        if so_far > self.most or self.over():
            raise TooMany(f"more than {self.most} mappings" if so_far > self.most else "no time left to list every mapping")

    def mappings(self) -> Iterator[Mapping]:
        """Every candidate."""
        plans, total = [], 0
        for cuts in _cuts(len(self.tensors.order)):
            stretches = [self.tensors.stretch(first, end) for first, end in cuts]
            if any(len(part.names) > 1 and (self.home is None or not part.sound) for part in stretches):
                continue
            inside = {tensor for part in stretches for tensor in part.internal} if self.home else set()
            for resident in self._residents(tensor for tensor in self.tensors.passing if tensor not in inside):
                parts = [self._part(*cut, part, resident) for cut, part in zip(cuts, stretches, strict=True)]
                total += prod(map(len, parts))
                self.go_on(total)
                plans.append((inside, resident, parts))
        everything = tuple(dict.fromkeys(tensor for name in self.tensors.order for tensor in self.tensors.touched[name]))
        name = f"{self.cascade.name} on {self.machine.name}"
        for inside, resident, parts in plans:
            top = _keep(self.machine.root.name, [tensor for tensor in everything if tensor not in inside and tensor not in resident])
            if self.home is not None:
                top = (*top, *_keep(self.home.name, [tensor for tensor in everything if tensor in resident]))
            for branches in product(*parts):
                yield Mapping(name, (*top, *branches[0]) if len(branches) == 1 else (*top, Fuse("sequential", branches)))

    def _residents(self, passing: Iterable[str]) -> Iterator[frozenset[str]]:
        """Every choice of tensors between parts that stay at H."""
        able = [] if self.home is None else [tensor for tensor in passing if self.keepable(self.home.name, tensor)]
        whole = {tensor: self._bits(tensor, self.tensors.order, self.cascade.extents) for tensor in able}
        for chosen in _subsets(able):
            if all(self._fits(whole[tensor], self.home) for tensor in chosen):
                yield frozenset(chosen)

    # --- parts ----------------------------------------------------------------------------------------------------------------------

    def _part(self, first: int, end: int, part: Stretch, resident: frozenset[str]) -> list[Nodes]:
        """Every way to run a part."""
        key = first, end, resident & set(part.external)
        if key in self._parts:
            return self._parts[key]
        found = self._parts[key] = []
        alone = len(part.names) == 1
        ranks = () if alone else part.shared
        for tile in product(*(self._tiles(self.cascade.extents[rank]) for rank in ranks)):
            inner = self.cascade.extents | dict(zip(ranks, tile, strict=True))
            for order in permutations(rank for rank in ranks if inner[rank] < self.cascade.extents[rank]):
                for schedule in ("sequential",) if alone else self.schedules:
                    for kept in self._trunk_keeps(part, order, inner, resident if not alone else frozenset(part.external)):
                        self._below(found, part, schedule, tuple(For(rank, inner[rank]) for rank in order), kept, inner, resident)
        return found

    def _trunk_keeps(self, part: Stretch, order: tuple[str, ...], inner: Sizes, resident: frozenset[str]) -> Iterator[dict[str, int]]:
        """How many loops stand above each external tensor that the trunk keeps."""
        options: list[list[tuple[str, int] | None]] = []
        for tensor in part.external:
            places: list[tuple[str, int] | None] = [None]
            if self.home is not None and tensor not in resident and self.keepable(self.home.name, tensor):
                for depth in range(len(order) + 1):
                    above = self.cascade.extents | {rank: inner[rank] for rank in order[:depth]}
                    if self._fits(self._bits(tensor, part.names, above), self.home):
                        places.append((tensor, depth))
            options.append(places)
        for chosen in product(*options):
            yield dict(place for place in chosen if place is not None)

    def _below(
        self, found: list[Nodes], part: Stretch, schedule: str, loops: tuple[For, ...], kept: dict[str, int], inner: Sizes,
        resident: frozenset[str],
    ) -> None:  # fmt: skip
        """Adds every way to run the Einsums of a part under one trunk."""
        copies = range(1, len(part.names) + self.slow + 1) if schedule == "pipelined" else (1,)
        words = {tensor: self._bits(tensor, part.names, inner) for tensor in part.internal}
        trunks: list[Nodes] = []
        for many in product(copies, repeat=len(part.internal)):
            need = [bits * times for bits, times in zip(words.values(), many, strict=True)]
            if self._fits(sum(need) if schedule == "pipelined" else max(need, default=0), self.home):
                trunks.append(self._trunk(loops, kept, dict(zip(part.internal, many, strict=True))))
        given = resident | set(kept) | set(part.internal)
        leaves = [self._leaves(name, inner, given) for name in part.names] if trunks else []
        self.go_on(len(found) + len(trunks) * prod(map(len, leaves)))
        for trunk in trunks:
            for chosen in product(*leaves):
                inside: TreeNode = chosen[0] if len(chosen) == 1 else Fuse(schedule, tuple((leaf,) for leaf in chosen))
                found.append((*trunk, inside))

    def _trunk(self, loops: tuple[For, ...], kept: dict[str, int], internal: dict[str, int]) -> Nodes:
        nodes: list[TreeNode] = []
        for depth in range(len(loops) + 1):
            nodes.extend(loops[depth - 1 : depth] if depth else ())
            held = [Held(tensor) for tensor, at in kept.items() if at == depth]
            if depth == len(loops):
                held.extend(Held(tensor, many) for tensor, many in internal.items())
            if held and self.home is not None:
                nodes.append(Keep(self.home.name, tuple(held)))
        return tuple(nodes)

    # --- Einsums --------------------------------------------------------------------------------------------------------------------

    def _leaves(self, name: str, sizes: Sizes, given: frozenset[str]) -> list[Leaf]:
        """Every way to run an Einsum on tiles of these sizes; `given`: what H holds already."""
        einsum = self.facts.einsums[name]
        able = [unit for unit in self.levels if machine(self.machine).lacks(einsum, unit) is None]
        mine, held = {rank: sizes[rank] for rank in einsum.ranks}, given & set(self.tensors.touched[name])
        return [Leaf(name, unit, tail) for unit in able for tail in self._blocks(name, unit, 0, mine, held)]

    def _blocks(self, name: str, unit: str, at: int, sizes: Sizes, given: frozenset[str]) -> list[Loops]:
        """Every row of blocks from one level inwards."""
        key = name, unit, at, tuple(sizes.values()), given
        if key in self._tails:
            return self._tails[key]
        axes, memory = self.levels[unit][at]
        found: list[Loops] = []
        for spread, left in self._spreads(name, axes, sizes):
            if memory is None:
                found.append(spread)
                continue
            tails = self._blocks(name, unit, at + 1, left, frozenset())
            found.extend((*spread, *tail) for tail in tails)
            mine = given if memory is self.home else frozenset()
            able = [tensor for tensor in self.tensors.touched[name] if tensor not in mine and self.keepable(memory.name, tensor)]
            for tile in product(*(self._tiles(size) for size in left.values())):
                inner = dict(zip(left, tile, strict=True))
                bits = {tensor: self._bits(tensor, (name,), inner) for tensor in able}
                sets = [held for held in _subsets(able) if held and self._fits(sum(bits[tensor] for tensor in held), memory)]
                tails = self._blocks(name, unit, at + 1, inner, frozenset()) if sets else []
                orders = list(permutations(rank for rank in left if inner[rank] < left[rank]))
                self.go_on(len(found) + len(sets) * len(tails) * len(orders))
                for order, held in product(orders, sets):
                    block = (*spread, *self._block(name, memory.name, [For(rank, inner[rank]) for rank in order], held))
                    found.extend((*block, *tail) for tail in tails)
        self._tails[key] = found
        return found

    def _block(self, name: str, memory: str, loops: list[For], held: tuple[str, ...]) -> Loops:
        """Loops in time with the keeps at their end, or each as far out as may be."""
        found: list[Loop] = []
        depths = {tensor: len(loops) for tensor in held}
        if self.raised:
            for tensor in held:
                ranks = {rank for use in self.facts.uses[tensor] if use.einsum == name for index in use.maps if index for rank in index.ranks}
                depths[tensor] = max((depth for depth, loop in enumerate(loops, 1) if loop.rank in ranks), default=0)
        for depth in range(len(loops) + 1):
            found.extend(loops[depth - 1 : depth] if depth else ())
            found.extend(_keep(memory, [tensor for tensor in held if depths[tensor] == depth]))
        return tuple(found)

    def _spreads(self, name: str, axes: Sequence[Axis], sizes: Sizes) -> Iterator[tuple[tuple[Spatial, ...], Sizes]]:
        """Every way to use some axes, with the tile that each copy is left with."""
        if not axes:
            yield (), sizes
            return
        whole = [self.cascade.extents[rank] for rank in sizes]
        trips = [tuple(sorted({-(-size // tile) for tile in self._tiles(size)})) for size in whole]
        several = any(sum(times > 1 for times in way) > 1 for way in ways_to_spread(trips, axes[0].size))
        for tile in product(*(self._tiles(size, axes[0].size) for size in sizes.values())):
            inner = dict(zip(sizes, tile, strict=True))
            turning = [rank for rank in sizes if inner[rank] < sizes[rank]]
            if len(turning) > 1 and not several or prod(-(-sizes[rank] // inner[rank]) for rank in turning) > axes[0].size:
                continue
            for loops, left in self._spreads(name, axes[1:], inner):
                yield (*(Spatial(axes[0].name, rank, inner[rank]) for rank in turning), *loops), left

    # --- sizes ----------------------------------------------------------------------------------------------------------------------

    def _tiles(self, size: int, trips: int | None = None) -> list[int]:
        """Tiles of a size, largest first, that take at most so many trips."""
        least = 1 if trips is None else -(-size // trips)
        return [tile for tile in range(size, least - 1, -1) if not self.dividing or size % tile == 0]

    def _bits(self, tensor: str, names: Iterable[str], sizes: Sizes) -> Fraction | int:
        """What a tile of a tensor takes at least."""
        uses = [use for use in self.facts.uses[tensor] if use.einsum in names]
        if self.cascade.tensors[tensor].iterative is not None or any(self.facts.einsums[use.einsum].condition for use in uses):
            return 0
        bare = [{index.single_rank for index in use.maps if index is not None and index.offset == 0} - {None} for use in uses]
        return min(self.facts.bits[tensor]) * max(prod(sizes[rank] for rank in ranks if rank is not None) for ranks in bare)

    def _fits(self, bits: Fraction | int, memory: Memory | None) -> bool:
        return memory is None or memory.size_bits is None or bits <= memory.size_bits


def _levels(architecture: Architecture, unit: str) -> tuple[Level, ...]:
    found: list[Level] = []
    axes: tuple[Axis, ...] = ()
    for node in architecture.paths[unit][1:]:
        if isinstance(node, Array):
            axes += node.axes
        else:
            found.append((axes, node if isinstance(node, Memory) else None))
            axes = ()
    return tuple(found)


def _cuts(count: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every cut of so many Einsums into parts, as (first, end)."""
    for size in range(count):
        for middle in combinations(range(1, count), size):
            ends = (0, *middle, count)
            parts = tuple(zip(ends, ends[1:], strict=False))
            if all(end - first <= LONGEST for first, end in parts):
                yield parts


def _subsets(items: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(items) + 1):
        yield from combinations(items, size)


def _keep(memory: str, tensors: Sequence[str]) -> tuple[Keep, ...]:
    return (Keep(memory, tuple(Held(tensor) for tensor in tensors)),) if tensors else ()
