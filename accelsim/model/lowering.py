"""Mapping to Plan: which loops apply to which leaf, and which keepers a tensor's words pass between."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model import plan as p
from accelsim.model.analysis import Dim, Facts, Stream, analyse, classify
from accelsim.model.derivation import Derived, derive
from accelsim.model.masks import Mask, mask
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import cover

MOST_POINTS = 2**62


@dataclass(frozen=True, slots=True)
class Chain:
    """The keepers of one stream from outside in, and the plan's rows of what crosses inwards of each (-1: nothing does).

    `keepers`: (memory, kept, tile): kept of every tile words stay there and the rest streams from further out; tile 0: all stay.
    """

    einsum: str
    tensor: str
    output: bool
    keepers: tuple[tuple[str, int, int], ...]
    rows: tuple[int, ...]
    stream: Stream
    nest: tuple[int, tuple[int, ...]]  # first loop of the leaf in the plan, and the loop after which each keeper stands


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan with its meaning: chains of keepers, leaves by Einsum, and the cycles from a visit's last issue to its complete reduction."""

    plan: p.Plan
    chains: list[Chain]
    leaves: dict[str, Leaf]
    latencies: dict[str, int]
    special: bool  # some loop is derived or repeated, so the ranks are not those of the cascade


@dataclass(frozen=True, slots=True)
class Keeper:
    """A keep of one tensor on the path to a leaf: `above` of its loops stand above it; every step of the first `afresh` empties it."""

    above: int
    keep: Keep
    held: Held
    afresh: int


class Program:
    """Everything about a cascade on a machine that does not depend on the mapping; lowers mappings to plans.

    Built once, used for many mappings: it is what makes evaluations fast.
    """

    def __init__(self, cascade: Cascade, architecture: Architecture, counting: Counting) -> None:
        self.cascade = cascade
        self.architecture = architecture
        self.counting = counting
        box = counting.footprint == "box"
        self.facts = {einsum.name: analyse(cascade, einsum, box) for einsum in cascade.work}
        self.masks: dict[str, Mask] = {}
        for name, facts in self.facts.items():
            found = mask(cascade, facts)
            if found is not None:
                self.masks[name] = found
        self.read_maps = {
            tensor: [
                (einsum.name, cascade.index_maps(access)) for einsum in consumers for access in einsum.reads if access.tensor == tensor
            ]
            for tensor, consumers in cascade.consumers.items()
        }
        self.written_maps = {
            tensor: [(einsum.name, cascade.index_maps(einsum.output)) for einsum in producers]
            for tensor, producers in cascade.producers.items()
        }
        self.read_as_written = {
            tensor: all(maps == self.written_maps[tensor][-1][1] for _, maps in reads) and len(self.written_maps[tensor]) == 1
            for tensor, reads in self.read_maps.items()
            if tensor in self.written_maps
        }
        self.shares = {
            name: (p.MULTICASTS if axis.multicast else 0, frozenset(axis.reduces)) for name, (_, axis) in architecture.axes.items()
        }
        self.many = {
            name: architecture.copies(name) > 1 and (memory.read_bits_per_s is not None or memory.write_bits_per_s is not None)
            for name, memory in architecture.memories.items()
        }
        self._covers: dict[tuple[str, str], dict[str, Fraction] | None] = {}
        self._edges: dict[frozenset[str], tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]] = {}
        self._static()

    def edges(self, names: frozenset[str]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
        """Dependences among some Einsums: (producer, consumer, tensor) within an iteration, (producer, reader, rank) of earlier slices."""
        if names not in self._edges:
            from accelsim.workload.dependence import distances

            forward, carried = [], []
            for (producer, reader), (tensor, distance) in distances(self.cascade).items():
                if producer not in names or reader not in names:
                    continue
                if distance == 0:
                    forward.append((producer, reader, tensor))
                    continue
                iterative = self.cascade.tensors[tensor].iterative
                written = self.cascade.index_maps(self.cascade.by_name[producer].output)
                rank = written[iterative].single_rank if iterative is not None and written[iterative] is not None else None  # type: ignore[union-attr]
                if rank is not None:
                    carried.append((producer, reader, rank))
            self._edges[names] = (forward, carried)
        return self._edges[names]

    def cover(self, einsum: str, unit: str) -> dict[str, Fraction]:
        """Primitives that a unit issues for one point of an Einsum."""
        key = (einsum, unit)
        if key not in self._covers:
            found = cover(self.cascade.by_name[einsum], self.architecture.units[unit].operations)
            self._covers[key] = None if found is None else {name: Fraction(count) for name, count in found.items()}
        primitives = self._covers[key]
        if primitives is None:
            raise IllegalMapping(f"{unit} cannot execute {einsum}", "map it to another unit")
        return primitives

    def _static(self) -> None:
        """Tables that are the same for every mapping without derived loops."""
        self.order = list(self.facts)
        self.first_rank: dict[str, int] = {}
        self.first_stream: dict[str, int] = {}
        self.ranks: list[tuple[int, int, int, int, int, int]] = []
        self.streams: list[Stream] = []
        self.leaf_of_stream: list[int] = []
        for leaf, (name, facts) in enumerate(self.facts.items()):
            self.first_rank[name] = len(self.ranks)
            self.first_stream[name] = len(self.streams)
            self.ranks.extend((extent, p.NAMED, 0, 0, 0, 0) for extent in facts.extents)
            self.streams.extend(facts.streams)
            self.leaf_of_stream.extend([leaf] * len(facts.streams))
        self.static = stream_tables(self.streams, self.leaf_of_stream)
        self.rank_array = np.array(self.ranks, np.int64).reshape(-1, 6)
        for name, facts in self.facts.items():
            if math.prod(facts.extents) >= MOST_POINTS:
                what = f"{name} has {math.prod(facts.extents):.3g} points, more than 64-bit counters hold"
                raise InputError(what, "make the shape smaller", facts.einsum.place)
        self.mask_of = {name: index for index, name in enumerate(self.masks)}
        rows, data, at = [], [], 0
        for found in self.masks.values():
            rows.append((at, sum(1 << rank for rank in found.ranks), found.kind, found.count))
            data.append(found.data)
            at += len(found.data)
        self.mask_rows = np.array(rows, np.int64).reshape(-1, 4)
        self.mask_data = np.concatenate(data) if data else np.zeros(1, np.int64)
        self.options = np.array([self.counting.footprint == "box", self.counting.refill == "every_visit"], np.int64)
        self.positions = {name: {rank: k for k, rank in enumerate(facts.ranks)} for name, facts in self.facts.items()}

    def lower(self, mapping: Mapping) -> Lowered:
        """The plan of a legal mapping and what its rows mean."""
        return Lowering(self, mapping).run()


def stream_tables(streams: list[Stream], leaf_of_stream: list[int]) -> tuple[p.IntArray, p.IntArray, p.IntArray, p.IntArray, p.IntArray]:
    """Streams, roles, groups, dims and terms as the plan's arrays."""
    rows: list[tuple[int, ...]] = []
    roles: list[tuple[int, int, int]] = []
    groups: list[tuple[int, int, int, int]] = []
    dims: list[tuple[int, ...]] = []
    terms: list[tuple[int, int]] = []
    for stream, leaf in zip(streams, leaf_of_stream, strict=True):
        first_group = len(groups)
        for group in stream.groups:
            first_dim = len(dims)
            for dim in group.dims:
                first_term = len(terms)
                terms.extend(dim.terms)
                dims.append((first_term, len(terms), dim.offset, dim.divisor, dim.modulus, dim.low, dim.high))
            groups.append((sum(1 << rank for rank in group.ranks), first_dim, len(dims), int(group.masked)))
        rows.append((leaf, int(stream.output), stream.weight, len(roles), first_group, len(groups)))
        roles.extend(stream.roles)
    return (
        np.array(rows, np.int64).reshape(-1, 6),
        np.array(roles, np.int64).reshape(-1, 3),
        np.array(groups, np.int64).reshape(-1, 4),
        np.array(dims, np.int64).reshape(-1, 7),
        np.array(terms, np.int64).reshape(-1, 2),
    )


class Lowering:
    """One walk over a loop tree."""

    def __init__(self, program: Program, mapping: Mapping) -> None:
        self.program = program
        self.mapping = mapping
        self.loops: list[tuple[int, int, int, int, int]] = []
        self.leaf_rows: dict[str, tuple[int, int, int, int, int, int]] = {}
        self.boundaries: list[tuple[int, int, int, int, int, int]] = []
        self.chains: list[Chain] = []
        self.leaves: dict[str, Leaf] = {}
        self.latencies: dict[str, int] = {}
        self.paid: set[tuple[object, ...]] = set()
        self.below: dict[int, frozenset[str]] = {}
        self.ranks: list[tuple[int, int, int, int, int, int]] | None = None
        self.streams: list[Stream] | None = None
        self.bound = 1.0

    def run(self) -> Lowered:
        """Walk, then freeze the tables."""
        program = self.program
        self._gather(self.mapping.nodes)
        self._walk(self.mapping.nodes, (), ())
        leaf_array = np.array([self.leaf_rows[name] for name in program.order], np.int64)
        ranks = program.rank_array if self.ranks is None else np.array(self.ranks, np.int64).reshape(-1, 6)
        static = program.static if self.streams is None else stream_tables(self.streams, program.leaf_of_stream)
        if self.ranks is not None:
            leaf_array = leaf_array.copy()
        plan = p.Plan(
            np.array(self.loops, np.int64).reshape(-1, 5),
            leaf_array,
            ranks,
            *static,
            np.array(self.boundaries, np.int64).reshape(-1, 6),
            program.mask_rows,
            program.mask_data,
            program.options,
        )
        return Lowered(plan, self.chains, self.leaves, self.latencies, self.ranks is not None)

    def _gather(self, nodes: tuple[TreeNode, ...]) -> frozenset[str]:
        """Einsums below every node of the trunk, by the node's identity."""
        last = nodes[-1]
        if isinstance(last, Leaf):
            found = frozenset((last.einsum,))
        else:
            assert isinstance(last, Fuse)
            found = frozenset().union(*(self._gather(branch) for branch in last.branches))
            self.below[id(last)] = found
        for node in nodes[:-1]:
            self.below[id(node)] = found
        return found

    def _walk(self, nodes: tuple[TreeNode, ...], above: tuple[For | Spatial | Keep, ...], fuses: tuple[tuple[int, Fuse], ...]) -> None:
        for node in nodes:
            if isinstance(node, Leaf):
                self._leaf(node, above, fuses)
            elif isinstance(node, Fuse):
                inside = (*fuses, (len(above), node))
                for branch in node.branches:
                    self._walk(branch, above, inside)
            else:
                above = (*above, node)

    def _leaf(self, leaf: Leaf, above: tuple[For | Spatial | Keep, ...], fuses: tuple[tuple[int, Fuse], ...]) -> None:
        program = self.program
        name = leaf.einsum
        facts = program.facts[name]
        positions = program.positions[name]
        output = facts.einsum.output.tensor
        reduce = facts.einsum.reduce
        trunk = fuses[-1][0] if fuses else 0
        start = len(self.loops)
        identity: list[int] = []
        axes: list[str] = []
        keepers: dict[str, list[Keeper]] = {}
        afresh = 0
        emptied = [position for position, fuse in fuses if fuse.schedule == "sequential"]
        foreign = any(isinstance(node, For) and node.rank not in positions for node in above[:trunk])
        special = self._special_loops(leaf, above[:trunk], fuses) if foreign else {}
        for number, node in enumerate((*above, *leaf.loops)):
            if number in emptied:
                afresh = len(self.loops) - start
            if isinstance(node, Keep):
                for held in node.held:
                    for tensor in (held.tensor, *held.in_place):
                        keepers.setdefault(tensor, []).append(Keeper(len(self.loops) - start, node, held, afresh))
                continue
            rank = positions.get(node.rank)
            if rank is None:
                found = special.get(node.rank)
                if node.rank in special and (found is not None or output not in keepers):
                    row = positions[found.rank] if found is not None else len(positions) + self._repeated(special).index(node.rank)
                    self.loops.append((row, node.tile, 1, 0, int(found is not None)))
                    identity.append(id(leaf))  # a derived loop is each Einsum's own
                continue
            if isinstance(node, Spatial):
                multicasts, reduces = program.shares[node.axis]
                if node.rank in facts.einsum.reduced and node.axis not in axes:
                    axes.append(node.axis)
                share = multicasts | (p.REDUCES if reduce in reduces else 0)
                self.loops.append((rank, node.tile, 0, share, 0))
            else:
                self.loops.append((rank, node.tile, 1, 0, 0))
            identity.append(id(node))
        if special:
            facts = self._with_special(name, facts, special)
        first_rank = program.first_rank[name]
        if self.ranks is not None:
            first_rank = self.leaf_ranks[name]
            count = len(facts.ranks) + sum(1 for found in special.values() if found is None)
        else:
            count = len(facts.ranks)
        unit = program.architecture.units[leaf.unit]
        self.leaf_rows[name] = (start, len(self.loops), first_rank, first_rank + count, unit.lanes, program.mask_of.get(name, -1))
        self.leaves[name] = leaf
        self.latencies[name] = sum(program.architecture.axes[axis][1].reduction_latency.get(reduce, 0) for axis in axes)
        for offset, stream in enumerate(facts.streams):
            self._boundaries(name, stream, program.first_stream[name] + offset, keepers.get(stream.tensor), start, identity, facts)

    # Derived and repeated loops are rare: tables are copied only when one occurs.

    def _special_loops(
        self, leaf: Leaf, above: tuple[For | Spatial | Keep, ...], fuses: tuple[tuple[int, Fuse], ...]
    ) -> dict[str, Derived | None]:
        """Ranks of trunk loops that the Einsum lacks but follows: derived through its consumers, or repeated (None), repeated ones last."""
        program = self.program
        name = leaf.einsum
        positions = program.positions[name]
        output = program.facts[name].einsum.output.tensor
        kept = False
        drivers: dict[str, list[tuple[str, bool, Derived]]] = {}
        repeated: dict[str, None] = {}
        for number, node in enumerate(above):
            if isinstance(node, Keep):
                kept = kept or output in node.tensors or any(output in held.in_place for held in node.held)
                continue
            if not isinstance(node, For) or node.rank in positions:
                continue
            turns = node.tile < program.cascade.extents[node.rank]
            found = derive(program.cascade, name, node.rank, self.below[id(node)])
            recompute = any(output in fuse.recompute for position, fuse in fuses if position > number)
            if not kept and not recompute and (found is not None or turns):
                raise IllegalMapping(
                    f"{output} is kept below 'for {node.rank}: {node.tile}', a loop that its Einsum does not have",
                    f"keep {output} above the loop, or say 'recompute: [{output}]' in the fuse",
                    node.place,
                )
            if found is not None:
                known = [entry for entry in drivers.setdefault(found.rank, []) if entry[0] == node.rank]
                if not known:
                    kind = p.RETAINED if kept else p.RECOMPUTED
                    drivers[found.rank].append((node.rank, turns, replace(found, kind=kind)))
                elif (known[0][2].kind == p.RETAINED) != kept:
                    mend = f"keep it above or below both loops over {node.rank}"
                    raise InputError(f"{output} is kept between two loops over {node.rank}", mend, node.place)
                elif turns:
                    drivers[found.rank] = [(r, t or r == node.rank, d) for r, t, d in drivers[found.rank]]
            elif not kept and turns:
                repeated[node.rank] = None
        special: dict[str, Derived | None] = {}
        for rank, found_drivers in drivers.items():
            turning = [entry for entry in found_drivers if entry[1]]
            if len(turning) > 1:
                raise InputError(
                    f"{name}: loops over {turning[0][0]} and {turning[1][0]} both decide which part of {rank} it makes",
                    "move one of them into the consumer's branch",
                )
            chosen = (turning or found_drivers)[0]
            special[chosen[0]] = chosen[2]
        return special | dict.fromkeys(repeated)

    @staticmethod
    def _repeated(special: dict[str, Derived | None]) -> list[str]:
        return [rank for rank, found in special.items() if found is None]

    def _with_special(
        self,
        name: str,
        facts: Facts,
        special: dict[str, Derived | None],
    ) -> Facts:
        """Copies of the tables in which this leaf has derived ranks and one more rank per repeated loop."""
        program = self.program
        if self.ranks is None:
            self.ranks = list(program.ranks)
            self.streams = list(program.streams)
            self.leaf_ranks = dict(program.first_rank)
        assert self.streams is not None
        own = [(extent, p.NAMED, 0, 0, 0, 0) for extent in facts.extents]
        listed: set[int] = set()
        overlapping: set[int] = set()
        for rank_name, found in special.items():
            if found is None:
                own.append((program.cascade.extents[rank_name], p.REPEATED, 0, 0, 0, 0))
                continue
            rank = program.positions[name][found.rank]
            if rank in facts.coupled:
                what = f"{name}: a condition on a rank that a loop over '{rank_name}' derives is not supported"
                raise InputError(what, "loop over it in the leaf", facts.einsum.place)
            own[rank] = (facts.extents[rank], found.kind, program.cascade.extents[rank_name], found.factor, found.offset, found.width)
            (listed if found.kind == p.RETAINED else overlapping).add(rank)
        self.leaf_ranks[name] = len(self.ranks)
        self.ranks.extend(own)
        extra = sum(1 for found in special.values() if found is None)
        box = self.program.counting.footprint == "box"
        streams = []
        for stream in facts.streams:
            again = classify(
                stream.tensor, stream.maps, stream.output, stream.dims, facts.extents, facts.coupled, box, frozenset(listed | overlapping)
            )
            if not stream.output and overlapping:
                again = _group_overlapping(again, overlapping)
            role = (p.VERSION if stream.output else p.ABSENT, -(1 << 62), 1 << 62)
            streams.append(replace(again, roles=again.roles + (role,) * extra))
        first = program.first_stream[name]
        self.streams[first : first + len(streams)] = streams
        # roles of every stream are laid out again by stream_tables
        return replace(facts, streams=tuple(streams))

    def _boundaries(
        self,
        name: str,
        stream: Stream,
        index: int,
        keepers: list[Keeper] | None,
        start: int,
        identity: list[int],
        facts: Facts,
    ) -> None:
        if not keepers:
            raise IllegalMapping(f"{name}: no memory above keeps {stream.tensor}", f"add {stream.tensor} to a keep")
        if keepers[0].held.fraction != 1:
            raise IllegalMapping(
                f"{stream.tensor}: {keepers[0].keep.memory} holds a fraction of it and no memory further out the rest",
                f"keep {stream.tensor} further out as well",
                keepers[0].keep.place,
            )
        home = keepers[0].above if stream.output else 0
        rows = []
        for parent, child in pairwise(keepers):
            crosses = not self._inside(stream, child.keep)
            if crosses and id(child.keep) in self.below:
                key = (id(child.keep), stream.tensor, stream.maps, facts.einsum.condition, tuple(identity[: child.above]), stream.output)
                crosses = key not in self.paid
                self.paid.add(key)
            rows.append(self._row(index, parent, child, max(home, child.afresh), start) if crosses else -1)
        rows.append(self._row(index, keepers[-1], None, 0, start))
        held = []
        for keeper in keepers:
            tile = kept = 0
            if keeper.held.fraction != 1:
                tile = self._tile_words(stream, start, start + keeper.above, facts)
                kept = int(tile * keeper.held.fraction)
                tile = max(1, tile)  # of an empty tile nothing stays
            held.append((keeper.keep.memory, kept, tile))
        nest = (start, tuple(start + keeper.above for keeper in keepers))
        self.chains.append(Chain(name, stream.tensor, stream.output, tuple(held), tuple(rows), stream, nest))

    def _inside(self, stream: Stream, keep: Keep) -> bool:
        """Does nothing of this stream cross into a keep, because the words are made and used inside?"""
        below = self.below.get(id(keep))
        if below is None:
            return False
        tensor = self.program.cascade.tensors[stream.tensor]
        written = self.program.written_maps.get(stream.tensor)
        if tensor.is_input or written is None:
            return False
        if stream.output:
            if tensor.is_output or not self.program.read_as_written.get(stream.tensor, False):
                return False
            return all(consumer in below for consumer, _ in self.program.read_maps.get(stream.tensor, ()))
        return all(producer in below for producer, _ in written) and any(maps == stream.maps for _, maps in written)

    def _row(self, stream: int, parent: Keeper, child: Keeper | None, afresh: int, start: int) -> int:
        """Add a boundary to the plan; returns its row."""
        many = self.program.many
        inner = len(self.loops) - start if child is None else child.above
        wanted = many[parent.keep.memory] or (child is not None and many[child.keep.memory])
        self.boundaries.append((stream, parent.above, inner, int(child is None), int(wanted), afresh))
        return len(self.boundaries) - 1

    def _tile_words(self, stream: Stream, start: int, end: int, facts: Facts) -> int:
        ranks = self.ranks[self.leaf_ranks[facts.einsum.name] :] if self.ranks is not None else ()
        return tile_words(stream, self.loops[start:end], facts, self.program.counting.footprint == "box", ranks)


def tile_words(stream: Stream, loops: Iterable[Sequence[int]], facts: Facts, box: bool, ranks: Sequence[Sequence[int]] = ()) -> int:
    """Words of the first tile inside some loops (rows of Plan.loops); `ranks`: rows of Plan.ranks where loops are derived."""
    tiles = [(0, extent) for extent in facts.extents]
    driven = {
        rank: row[p.RANK_SOURCE] for rank, row in enumerate(ranks[: len(tiles)]) if row[p.RANK_KIND] in (p.RETAINED, p.RECOMPUTED)
    }
    for rank, tile, _, _, derived in loops:
        if derived:
            driven[rank] = min(tile, driven[rank])
    for rank, size in driven.items():
        extent, _, _, factor, offset, width = ranks[rank]
        tiles[rank] = (max(0, offset), max(0, offset, min(extent, factor * (size - 1) + offset + width)))
    for rank, tile, _, _, derived in loops:
        if not derived and rank < len(tiles):
            low, high = tiles[rank]
            tiles[rank] = (low, min(high, low + tile))
    if any(high <= low for low, high in tiles):
        return 0
    return stream.weight * math.prod(_touched(dim, tiles, box) for dim in stream.dims)


def _touched(dim: Dim, tiles: list[tuple[int, int]], box: bool) -> int:
    """Coordinates of one dimension that a tile touches, or that lie between them."""
    smallest = dim.offset + sum(min(factor * tiles[rank][0], factor * (tiles[rank][1] - 1)) for rank, factor in dim.terms)
    largest = dim.offset + sum(max(factor * tiles[rank][0], factor * (tiles[rank][1] - 1)) for rank, factor in dim.terms)
    whole, reach = dim.modulus == 0, 0
    for factor, extent in sorted((abs(factor), tiles[rank][1] - tiles[rank][0]) for rank, factor in dim.terms):
        whole = whole and (extent == 1 or factor <= reach + 1)
        reach += factor * (extent - 1)
    hull = max(0, min(largest // dim.divisor + 1, dim.high) - max(smallest // dim.divisor, dim.low))
    if whole or (box and dim.modulus == 0):
        return hull
    values = {dim.offset}
    for rank, factor in dim.terms:
        low, high = tiles[rank]
        if len(values) * (high - low) > 1 << 22:
            return hull
        values = {value + factor * step for value in values for step in range(low, high)}
    values = {value // dim.divisor for value in values}
    if dim.modulus:
        values = {value % dim.modulus for value in values}
    if box:
        values = set(range(min(values), max(values) + 1))
    return sum(1 for value in values if dim.low <= value < dim.high)


def _group_overlapping(stream: Stream, overlapping: set[int]) -> Stream:
    """Ranks whose tiles overlap (recomputed) are listed by the group kernel."""
    from accelsim.model.analysis import Group

    roles, groups = list(stream.roles), list(stream.groups)
    for rank in overlapping:
        if roles[rank][0] in (p.GROUPED, p.ABSENT):
            continue
        dims = tuple(dim for dim in stream.dims if any(rank == other for other, _ in dim.terms))
        ranks = frozenset(other for dim in dims for other, _ in dim.terms)
        groups.append(Group(ranks, dims, False))
        for other in ranks:
            roles[other] = (p.GROUPED, 0, 0)
    return replace(stream, roles=tuple(roles), groups=tuple(groups))
