"""Every mapping of the map space of docs/mapspace.md, one by one; it shares no code with accelsim.mapper, whose claims it checks.

Numbers in comments are the items of that page. Meant for cascades of one to three Einsums without conditions and recurrences, each
tensor made by one Einsum, and for machines whose root feeds all units through the home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain, combinations, islice, permutations, product
from math import ceil, inf, prod
from typing import TypeVar

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.operators import cover, missing_primitive

SCHEDULES = ("sequential", "pipelined")

Item = TypeVar("Item")
Nodes = tuple[TreeNode, ...]
Sizes = dict[str, int]  # rank -> size of the tile around
Bits = dict[str, Fraction]  # tensor that the home holds -> its bits, at the least
Part = tuple[Einsum, ...]
Level = tuple[Memory | None, tuple[Axis, ...]]
"""A block of an Einsum: its memory (None: the unit) and the axes between the one before and it."""


def mappings(
    cascade: Cascade, architecture: Architecture, *, dividing: bool, schedules: Sequence[str] = SCHEDULES, refill: str = "delta"
) -> Iterator[Mapping]:
    """Every mapping of the space, each once."""
    for mapping in candidates(cascade, architecture, dividing=dividing, schedules=schedules, refill=refill):
        if is_legal(cascade, architecture, mapping):
            yield mapping


def candidates(
    cascade: Cascade, architecture: Architecture, *, dividing: bool, schedules: Sequence[str] = SCHEDULES, refill: str = "delta"
) -> Iterator[Mapping]:
    """Every mapping that items 1 to 9 describe, legal or not; of those that overflow a memory, some are left out."""
    return _Space(cascade, architecture, dividing, tuple(schedules), refill != "delta").candidates()


def count(
    cascade: Cascade,
    architecture: Architecture,
    *,
    dividing: bool,
    schedules: Sequence[str] = SCHEDULES,
    refill: str = "delta",
    stop: int | None = None,
) -> int:
    """How many mappings the space has; counting ends at `stop`."""
    found = mappings(cascade, architecture, dividing=dividing, schedules=schedules, refill=refill)
    return sum(1 for _ in islice(found, stop))


def best(
    cascade: Cascade,
    architecture: Architecture,
    objective: str,
    *,
    dividing: bool,
    schedules: Sequence[str] = SCHEDULES,
    counting: Counting | None = None,
) -> tuple[float, Mapping]:
    """The least `latency` (cycles, not rounded up), `energy` (pJ) or `edp` (pJ s) of the space, and the first mapping that has it."""
    evaluator = Evaluator(cascade, architecture, counting)
    least: tuple[float, Mapping] | None = None
    refill = evaluator.counting.refill
    for mapping in mappings(cascade, architecture, dividing=dividing, schedules=schedules, refill=refill):
        found = value(evaluator.evaluate(mapping, checked=True), objective)
        if least is None or found < least[0]:
            least = found, mapping
    assert least is not None, "a mapping that keeps everything in the root only is always legal"
    return least


def value(evaluation: Evaluation, objective: str) -> float:
    """What an objective makes of an evaluation."""
    if objective == "latency":
        timing = evaluation.timing
        return float(evaluation.evaluator.clock.cycles(timing.steady + timing.fill + timing.drain))
    return {"energy": evaluation.energy_pj, "edp": evaluation.edp_pj_s}[objective]


def home(architecture: Architecture) -> Memory:
    """The first memory below the root if no axis stands between them, else the root."""
    feeds = architecture.root.feeds
    assert len(feeds) == 1 or not any(isinstance(node, Memory) for node in feeds), "a unit that the home does not feed"
    return feeds[0] if isinstance(feeds[0], Memory) else architecture.root


@dataclass(frozen=True, eq=False)
class _Space:
    """A map space. `raising`: whether keeps may stand above loops that do not index their tensors (7)."""

    cascade: Cascade
    architecture: Architecture
    dividing: bool
    schedules: tuple[str, ...]
    raising: bool

    def candidates(self) -> Iterator[Mapping]:
        root, at = self.architecture.root, home(self.architecture)
        sizes, tensors, room = dict(self.cascade.extents), self.cascade.tensors.values(), _room(at)
        for parts in chain.from_iterable(map(_cuts, self._orders())):
            if at is root and any(len(part) > 1 for part in parts):
                continue  # the root keeps everything above the parts: nothing is left to share inside one
            passing = self._passing(parts)
            for residents in _subsets(passing if at is not root else ()):  # (2)
                held = {tensor: self._least_bits(self.cascade.producers[tensor][0], [tensor], sizes) for tensor in residents}
                if any(bits > room for bits in held.values()):
                    continue
                rooted = [noun.name for noun in tensors if noun.is_input or noun.is_output]
                for branches in _every([partial(self._part, part, sizes, held) for part in parts]):
                    below = branches[0] if len(parts) == 1 else (Fuse("sequential", branches),)
                    if len(parts) == 1 and self._is_cut(parts[0], below):
                        continue
                    elsewhere = {*rooted, *residents, *_kept_in_trunks(below).difference(self._passing(parts))}
                    passed = [noun.name for noun in tensors if noun.name not in elsewhere]
                    yield Mapping("brute", (*_keep(root, (*rooted, *passed)), *_keep(at, residents), *below))

    def _orders(self) -> Iterator[Part]:
        """Every order of the Einsums in which each comes after those that make what it reads (1)."""
        for order in permutations(self.cascade.work):
            made: set[str] = {noun.name for noun in self.cascade.tensors.values() if noun.is_input}
            for einsum in order:
                if not made.issuperset(access.tensor for access in einsum.reads):
                    break
                made.add(einsum.output.tensor)
            else:
                yield order

    def _is_cut(self, part: Part, nodes: Nodes) -> bool:
        """Whether a part of all Einsums, as a tree, is parts of one Einsum between which everything is resident."""
        *trunk, last = nodes
        empty = tuple(trunk) == _keep(home(self.architecture), self._internal(part))
        return empty and isinstance(last, Fuse) and last.schedule == "sequential"

    def _passing(self, parts: tuple[Part, ...]) -> tuple[str, ...]:
        """Tensors made in one part and read in another that are not outputs of the cascade: these are at the root anyway."""
        found: list[str] = []
        for part in parts:
            for einsum in part:
                tensor = einsum.output.tensor
                outside = any(reader not in part for reader in self.cascade.consumers.get(tensor, ()))
                if outside and not self.cascade.tensors[tensor].is_output:
                    found.append(tensor)
        return tuple(found)

    # Parts

    def _part(self, part: Part, sizes: Sizes, residents: Bits) -> Iterator[Nodes]:
        touching = {tensor: einsum for einsum in part for tensor in _tensors(einsum)}
        residents = {tensor: bits for tensor, bits in residents.items() if tensor in touching}
        if len(part) == 1:
            yield from self._branch(part[0], sizes, residents)
            return
        internal = self._internal(part)
        external = tuple(tensor for tensor in touching if tensor not in internal and tensor not in residents)
        if any(einsum.output.tensor not in internal and self._reads(part, einsum.output.tensor) for einsum in part):  # (3)
            return
        for loops, left in self._loops(self._trunk_ranks(part, internal), sizes):  # (4)
            around = [sizes]  # tiles above the first loop, above the second, … and inside the last
            for loop in loops:
                around.append(around[-1] | {loop.rank: loop.tile})
            # each external tensor: how many loops of the trunk stand above its keep, None if the trunk does not keep it
            for places in product((*range(len(loops) + 1), None), repeat=len(external)):
                kept = {tensor: place for tensor, place in zip(external, places, strict=True) if place is not None}
                kept |= dict.fromkeys(internal, len(loops))
                held = {tensor: self._least_bits(touching[tensor], [tensor], around[place]) for tensor, place in kept.items()} | residents
                yield from self._fused(part, left, self._trunk(loops, kept), held, internal)
                if loops and len(part) > 2 and "sequential" in self.schedules:
                    yield from self._varied(part, left, loops, kept, held, internal)

    def _varied(
        self, part: Part, left: Sizes, loops: tuple[For, ...], kept: dict[str, int], held: Bits, internal: tuple[str, ...]
    ) -> Iterator[Nodes]:
        """Below a trunk with loops: some Einsums with a trunk of their own, or tensors that pass through the root (10)."""

        def without(tensors: Iterable[str]) -> tuple[Nodes, Bits]:
            gone = set(tensors)
            trunk = self._trunk(loops, {tensor: place for tensor, place in kept.items() if tensor not in gone})
            return trunk, {tensor: bits for tensor, bits in held.items() if tensor not in gone}

        for passed in chain(combinations(internal, 1), combinations(internal, 2)):
            trunk, rest = without(passed)
            yield from self._sequential(part, left, trunk, rest, [(einsum,) for einsum in part])
        for first, end in combinations(range(len(part) + 1), 2):
            nest, inside = part[first:end], self._internal(part[first:end])
            mixed = any(einsum.output.tensor not in inside and self._reads(nest, einsum.output.tensor) for einsum in nest)
            if 1 < len(nest) < len(part) and inside and not mixed:
                trunk, rest = without(inside)
                blocks = [*((einsum,) for einsum in part[:first]), nest, *((einsum,) for einsum in part[end:])]
                yield from self._sequential(part, left, trunk, rest, blocks)

    def _sequential(self, part: Part, left: Sizes, trunk: Nodes, held: Bits, blocks: Sequence[Part]) -> Iterator[Nodes]:
        """Einsums of a part, some of them in a nest, one after the other."""
        nouns, makers = self.cascade.tensors, []
        staying = {tensor for tensor in held if nouns[tensor].is_input or nouns[tensor].is_output}
        for block in blocks:
            touched = {tensor for einsum in block for tensor in _tensors(einsum)}
            mine = {tensor: bits for tensor, bits in held.items() if tensor in staying or tensor in touched}
            makers.append(partial(self._branch, block[0], left, mine) if len(block) == 1 else partial(self._nest, block, left, mine))
        for branches in _every(makers):
            yield (*trunk, Fuse("sequential", branches))

    def _nest(self, nest: Part, sizes: Sizes, held: Bits) -> Iterator[Nodes]:
        """Einsums with a trunk of their own, tiles of `sizes` around it; the home holds `held` already."""
        touching = {tensor: einsum for einsum in nest for tensor in _tensors(einsum)}
        internal = self._internal(nest)
        external = tuple(tensor for tensor in touching if tensor not in internal and tensor not in held)
        for loops, left in self._loops(self._trunk_ranks(nest, internal), sizes):
            around = [sizes]
            for loop in loops:
                around.append(around[-1] | {loop.rank: loop.tile})
            for places in product((*range(len(loops) + 1), None), repeat=len(external)):
                kept = {tensor: place for tensor, place in zip(external, places, strict=True) if place is not None}
                kept |= dict.fromkeys(internal, len(loops))
                mine = {tensor: self._least_bits(touching[tensor], [tensor], around[place]) for tensor, place in kept.items()} | held
                yield from self._sequential(nest, left, self._trunk(loops, kept), mine, [(einsum,) for einsum in nest])

    def _trunk(self, loops: tuple[For, ...], kept: dict[str, int]) -> Nodes:
        """Loops of a trunk with the keeps of the home; `kept` says how many loops stand above the keep of a tensor."""
        nodes: Nodes = ()
        for place in range(len(loops) + 1):
            nodes += _keep(home(self.architecture), [tensor for tensor, above in kept.items() if above == place])
            nodes += loops[place : place + 1]
        return nodes

    def _fused(self, part: Part, left: Sizes, trunk: Nodes, held: Bits, internal: tuple[str, ...]) -> Iterator[Nodes]:
        """Einsums of a part under its trunk, below which tiles are `left`; the home holds `held`."""
        nouns = self.cascade.tensors
        room = _room(home(self.architecture))
        staying = {tensor for tensor in held if nouns[tensor].is_input or nouns[tensor].is_output}  # also while nothing touches them
        makers = []
        for einsum in part:
            mine = {tensor: bits for tensor, bits in held.items() if tensor in staying or tensor in _tensors(einsum)}
            makers.append(partial(self._branch, einsum, left, mine))
        for branches in _every(makers):
            for schedule in self.schedules:
                if schedule == "sequential":
                    yield (*trunk, Fuse(schedule, branches))
                elif sum(held.values()) + sum(self._home_bits(branch, left) for branch in branches) <= room:  # all at once
                    for copies in product(range(1, self._most_copies(branches) + 1), repeat=len(internal)):  # (9)
                        many = dict(zip(internal, copies, strict=True))
                        yield (*(_copied(node, many) for node in trunk), Fuse(schedule, branches))

    def _home_bits(self, branch: Nodes, sizes: Sizes) -> Fraction:
        """Bits that the home holds for the block of an Einsum, at the least."""
        leaf, left, total = branch[-1], dict(sizes), Fraction(0)
        assert isinstance(leaf, Leaf)
        for node in branch:
            if isinstance(node, (For, Spatial)):
                left[node.rank] = node.tile
            elif isinstance(node, Keep) and node.memory == home(self.architecture).name:
                total += self._least_bits(self.cascade.by_name[leaf.einsum], node.tensors, left)
        return total

    def _reads(self, part: Part, tensor: str) -> bool:
        """Does an Einsum of the part read a tensor?"""
        return any(access.tensor == tensor for einsum in part for access in einsum.reads)

    def _internal(self, part: Part) -> tuple[str, ...]:
        """Tensors that the part makes and only the part reads (3)."""
        made = [einsum.output.tensor for einsum in part]
        hidden = [tensor for tensor in made if not self.cascade.tensors[tensor].is_output]
        return tuple(tensor for tensor in hidden if all(reader in part for reader in self.cascade.consumers[tensor]))

    def _trunk_ranks(self, part: Part, internal: tuple[str, ...]) -> list[str]:
        """Ranks that every Einsum of the part has and that index every internal tensor, wherever the part touches it (4).

        Where nothing is internal and some tensors are touched by two Einsums, those that index such a tensor.
        """
        ranks = [rank for rank in part[0].ranks if all(rank in einsum.ranks for einsum in part)]
        if not internal:
            users = {tensor: [einsum for einsum in part if tensor in _tensors(einsum)] for einsum in part for tensor in _tensors(einsum)}
            common = [[self._indexing[einsum.name, tensor] for einsum in each] for tensor, each in users.items() if len(each) > 1]
            if common:
                return [rank for rank in ranks if any(all(rank in indexing for indexing in each) for each in common)]
        touching = [(einsum, tensor) for einsum in part for tensor in internal if tensor in _tensors(einsum)]
        return [rank for rank in ranks if all(rank in self._indexing[einsum.name, tensor] for einsum, tensor in touching)]

    def _most_copies(self, branches: tuple[Nodes, ...]) -> int:
        """Copies of an internal tensor that are enough for any part: with so many, waiting for a copy never sets the pace.

        With c copies the pace is at least span / c, where the span of N iterations, from a tensor's producer to its last reader, is at
        most the sum over the part's Einsums of busy + N * latency (docs/model.md, "pipelined"). The pace is at least each Einsum's busy
        time, which is at least N issues of it: N <= pace / issue. So span <= pace * sum(1 + latency / issue).
        """
        latencies, issues = Fraction(0), []
        for branch in branches:
            leaf = branch[-1]
            assert isinstance(leaf, Leaf)
            einsum, unit = self.cascade.by_name[leaf.einsum], self.architecture.units[leaf.unit]
            spread = [node.axis for node in branch if isinstance(node, Spatial) and node.rank in einsum.reduced]
            axes = [self.architecture.axes[name][1] for name in spread]
            latencies += unit.pipeline_depth + sum(axis.reduction_latency.get(einsum.reduce, 0) for axis in axes)
            needed = cover(einsum, unit.operations)
            assert needed is not None
            issues.append(sum((times * unit.operations[name].cycles for name, times in needed.items()), Fraction(0)))
        return len(branches) + ceil(latencies / max(issues))

    # Einsums

    def _branch(self, einsum: Einsum, sizes: Sizes, held: Bits) -> Iterator[Nodes]:
        """An Einsum below the trunk, tiles of `sizes` around it; the home holds `held` already."""
        found: dict[Nodes, None] = {}
        for name, unit in self.architecture.units.items():  # (8)
            if missing_primitive(einsum, unit.operations) is None:
                for blocks in self._blocks(einsum, self._levels(name), sizes, held):
                    branch = (*blocks, Leaf(einsum.name, name))
                    if self.raising:  # a loop below a raised keep may belong to the next block as well: the same branch twice
                        if branch in found:
                            continue
                        found[branch] = None
                    yield branch

    def _levels(self, unit: str) -> list[Level]:
        """The memories below the root on the way to a unit, and the unit, each with the axes between the one before and it."""
        levels: list[Level] = []
        axes: tuple[Axis, ...] = ()
        for node in self.architecture.paths[unit][1:]:
            if isinstance(node, Array):
                axes += node.axes
            else:
                levels.append((node if isinstance(node, Memory) else None, axes))
                axes = ()
        return levels

    def _blocks(self, einsum: Einsum, levels: list[Level], sizes: Sizes, held: Bits) -> Iterator[Nodes]:
        """The blocks of an Einsum, outermost first (5)."""
        if not levels:
            yield ()
            return
        (memory, axes), *further = levels
        there = held if memory is home(self.architecture) else {}
        room = _room(memory) - sum(there.values())
        free = tuple(tensor for tensor in _tensors(einsum) if tensor not in there)
        for spatial, each in self._spread(einsum.ranks, axes, sizes):
            for kept in _subsets(free if memory is not None else ()):
                for loops, left in self._loops(einsum.ranks, each) if kept else [((), each)]:
                    if self._least_bits(einsum, kept, left) > room:
                        continue
                    for inner in self._blocks(einsum, further, left, held):
                        for timed in self._keeps(einsum, memory, loops, kept):
                            yield (*spatial, *timed, *inner)

    def _spread(self, ranks: Sequence[str], axes: tuple[Axis, ...], sizes: Sizes) -> Iterator[tuple[tuple[Spatial, ...], Sizes]]:
        """At most one loop for each axis, in their order, and the tiles that they leave."""
        if not axes:
            yield (), sizes
            return
        yield from self._spread(ranks, axes[1:], sizes)
        for rank in ranks:
            for tile in self._tiles(sizes[rank]):
                if ceil(sizes[rank] / tile) <= axes[0].size:
                    for further, left in self._spread(ranks, axes[1:], sizes | {rank: tile}):
                        yield (Spatial(axes[0].name, rank, tile), *further), left

    def _loops(self, ranks: Sequence[str], sizes: Sizes) -> Iterator[tuple[tuple[For, ...], Sizes]]:
        """Loops in time in any order, each rank at most once, and the tiles that they leave."""
        yield (), sizes
        for rank in ranks:
            for tile in self._tiles(sizes[rank]):
                for further, left in self._loops([other for other in ranks if other != rank], sizes | {rank: tile}):
                    yield (For(rank, tile), *further), left

    def _tiles(self, size: int) -> list[int]:
        """Tiles of a loop of at least two trips (6)."""
        return [tile for tile in range(1, size) if not self.dividing or size % tile == 0]

    def _keeps(self, einsum: Einsum, memory: Memory | None, loops: tuple[For, ...], kept: tuple[str, ...]) -> Iterator[Nodes]:
        """A block's loops in time with its keeps at their end, or raised (7)."""
        if memory is None or not kept:
            yield loops
            return
        ends = len(loops)
        least = [ends] * len(kept)  # how many loops stand above each keep at the least: down to the innermost that indexes its tensor
        if self.raising:
            indexing = [self._indexing[einsum.name, tensor] for tensor in kept]
            least = [max((at for at, loop in enumerate(loops, 1) if loop.rank in ranks), default=0) for ranks in indexing]
        for places in product(*(range(first, ends + 1) for first in least)):
            nodes: Nodes = ()
            for place in range(ends + 1):
                nodes += _keep(memory, (tensor for tensor, stands in zip(kept, places, strict=True) if stands == place))
                nodes += loops[place : place + 1]
            yield nodes

    # Tensors

    @cached_property
    def _indexing(self) -> dict[tuple[str, str], frozenset[str]]:
        """For every Einsum and tensor that it touches, the ranks that index the tensor there."""
        found: dict[tuple[str, str], frozenset[str]] = {}
        for einsum in self.cascade.work:
            for access in (*einsum.reads, einsum.output):
                key = einsum.name, access.tensor
                maps = [index for index in self.cascade.index_maps(access) if index is not None]
                found[key] = found.get(key, frozenset()) | {rank for index in maps for rank in index.ranks}
        return found

    @cached_property
    def _bare(self) -> dict[tuple[str, str], tuple[Fraction, dict[str, int]]]:
        """For every Einsum and tensor of it, bits of a word in the narrower type, and ranks that index a dimension, with its length."""
        found: dict[tuple[str, str], tuple[Fraction, dict[str, int]]] = {}
        for einsum in self.cascade.work:
            for access in (*einsum.reads, einsum.output):
                noun = self.cascade.tensors[access.tensor]
                maps = zip(self.cascade.index_maps(access), noun.shape, strict=True)
                bare = {index.single_rank: length for index, length in maps if index is not None and index.offset == 0}
                lengths = {rank: length for rank, length in bare.items() if rank is not None}
                found[einsum.name, access.tensor] = min(Fraction(noun.final.bits), Fraction(noun.partial.bits)), lengths
        return found

    def _least_bits(self, einsum: Einsum, tensors: Iterable[str], sizes: Sizes) -> Fraction:
        """Bits that the tiles of some of its tensors have at the least while an Einsum runs; is_legal knows the rest."""
        total = Fraction(0)
        for tensor in tensors:
            bits, lengths = self._bare[einsum.name, tensor]
            total += bits * prod(min(sizes[rank], length) for rank, length in lengths.items())
        return total


def _cuts(einsums: tuple[Einsum, ...]) -> Iterator[tuple[Part, ...]]:
    """Every way to cut Einsums into consecutive parts (1)."""
    if not einsums:
        yield ()
    for length in range(1, len(einsums) + 1):
        for further in _cuts(einsums[length:]):
            yield (einsums[:length], *further)


def _subsets(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    return chain.from_iterable(combinations(items, length) for length in range(len(items) + 1))


def _every(makers: Sequence[Callable[[], Iterator[Item]]]) -> Iterator[tuple[Item, ...]]:
    """One item of each, in every way; nothing is made before it is asked for."""
    if not makers:
        yield ()
        return
    tails: list[tuple[Item, ...]] = []
    for number, first in enumerate(makers[0]()):
        for tail in tails if number else _every(makers[1:]):
            if not number:
                tails.append(tail)
            yield (first, *tail)


def _tensors(einsum: Einsum) -> tuple[str, ...]:
    """Tensors that an Einsum reads and writes."""
    return tuple(dict.fromkeys(access.tensor for access in (*einsum.reads, einsum.output)))


def _keep(memory: Memory, tensors: Iterator[str] | Sequence[str]) -> Nodes:
    """A keep, or nothing if there is nothing to keep."""
    held = tuple(Held(tensor) for tensor in tensors)
    return (Keep(memory.name, held),) if held else ()


def _kept_in_trunks(nodes: Nodes) -> set[str]:
    """Tensors that are kept outside Einsums."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Keep):
            found.update(node.tensors)
        for branch in node.branches if isinstance(node, Fuse) else ():
            if any(isinstance(each, Fuse) for each in branch):
                found |= _kept_in_trunks(branch)
    return found


def _copied(node: TreeNode, many: dict[str, int]) -> TreeNode:
    """A node of a trunk with the copies of the internal tensors."""
    if not isinstance(node, Keep):
        return node
    return Keep(node.memory, tuple(replace(held, copies=many.get(held.tensor, 1)) for held in node.held))


def _room(memory: Memory | None) -> float:
    """Bits that a memory holds; a unit keeps nothing and has room for it."""
    return inf if memory is None or memory.size_bits is None else memory.size_bits
