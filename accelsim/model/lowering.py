"""Mapping to Plan: which loops apply to which leaf, and which keepers a tensor's words pass between."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model import plan as p
from accelsim.model.analysis import Facts, Group, Stream, classify
from accelsim.model.chain import AS_AT_KEEPER, NOTHING_CROSSES, Chain, Keeper, Lowered, tile_words
from accelsim.model.derivation import Derived, derive
from accelsim.model.program import Carried, Program, stream_tables
from accelsim.workload.expression import IndexMap

Turning = tuple[tuple[str, ...], int]
"""Ranks of the time loops above a keep that turn more than once, outermost first, and how many of these empty it in every turn."""


def lower(program: Program, mapping: Mapping) -> Lowered:
    """The plan of a legal mapping and what its rows mean."""
    return Lowering(program, mapping).run()


class Lowering:
    """One walk over a loop tree."""

    def __init__(self, program: Program, mapping: Mapping) -> None:
        self.program = program
        self.mapping = mapping
        self.loops: list[tuple[int, int, int, int, int]] = []
        self.leaf_rows: dict[str, tuple[int, int, int, int, int, int, int]] = {}
        self.boundaries: list[tuple[int, ...]] = []
        self.chains: list[Chain] = []
        self.leaves: dict[str, Leaf] = {}
        self.latencies: dict[str, int] = {}
        self.axes: dict[str, list[str]] = {}  # of every loop of an Einsum in the plan, the axis that it is spread over ("": in time)
        self.paid: set[tuple[object, ...]] = set()
        self.below: dict[int, frozenset[str]] = {}
        self.turning: dict[int, Turning] = {}
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
            np.array(self.boundaries, np.int64).reshape(-1, 9),
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
        spread: dict[int, str] = {}
        keepers: dict[str, list[Keeper]] = {}
        afresh = 0
        touched = program.touched[name]
        self._note_turning((*above, *leaf.loops), name, trunk, fuses)
        emptied = [position for position, fuse in fuses if fuse.schedule == "sequential"]
        foreign = any(isinstance(node, For) and node.rank not in positions for node in above[:trunk])
        special = self._special_loops(leaf, above[:trunk], fuses) if foreign else {}
        for number, node in enumerate((*above, *leaf.loops)):
            if number in emptied:
                afresh = len(self.loops) - start
            if isinstance(node, Keep):
                for held in node.held:
                    memory = program.architecture.memories[node.memory]
                    if held.layout and memory.dram is None and memory.banks == 1:
                        what = f"{held.tensor}: a layout in {node.memory} makes no difference"
                        mend = "remove 'layout', or say of what DRAM the memory is made, or of how many 'banks'"
                        raise IllegalMapping(what, mend, node.place)
                    for tensor in (held.tensor, *held.in_place) if held.in_place else (held.tensor,):
                        if tensor not in touched:
                            continue
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
                spread[len(self.loops) - 1 - start] = node.axis
            else:
                self.loops.append((rank, node.tile, 1, 0, 0))
            identity.append(id(node))
        if len(self.loops) - start > p.MAX_LOOPS:
            what = f"{name} stands below {len(self.loops) - start} loops, more than {p.MAX_LOOPS}"
            raise IllegalMapping(what, "drop loops of one trip", leaf.place)
        if special:
            facts = self._with_special(name, facts, special)
        first_rank = program.first_rank[name]
        if self.ranks is not None:
            first_rank = self.leaf_ranks[name]
            count = len(facts.ranks) + sum(1 for found in special.values() if found is None)
        else:
            count = len(facts.ranks)
        unit = program.architecture.units[leaf.unit]
        mask, serial = program.mask_of.get(name, -1), program.serial(name, leaf.unit)
        self.leaf_rows[name] = (start, len(self.loops), first_rank, first_rank + count, unit.lanes, mask, serial)
        self.leaves[name] = leaf
        if program.networks:
            self.axes[name] = [spread.get(number, "") for number in range(len(self.loops) - start)]
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
        if facts.at_unit:
            what = f"{name} chooses what it reads, and loops over ranks of others decide which part of it is made, which is not counted"
            raise InputError(what, "put it outside of the loops of its consumers", facts.einsum.place)
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
            carried = None if stream.output else self._carried(stream.tensor, stream.maps, child.keep, facts)
            if crosses and id(child.keep) in self.below:
                key = (id(child.keep), stream.tensor, stream.maps, facts.einsum.condition, tuple(identity[: child.above]), stream.output)
                crosses = key not in self.paid
                self.paid.add(key)
            rows.append(self._row(index, parent, child, max(home, child.afresh), start, carried) if crosses else -1)
        rows.append(self._row(self.program.at_unit.get(index, index), keepers[-1], None, 0, start))
        held = []
        for keeper in keepers:
            tile = kept = 0
            if keeper.held.fraction != 1:
                tile = self._tile_words(stream, start, start + keeper.above, facts)
                kept = int(tile * keeper.held.fraction)
                tile = max(1, tile)  # of an empty tile nothing stays
            held.append((keeper.keep.memory, kept, tile))
        nest = (start, tuple(start + keeper.above for keeper in keepers))
        links = self._links(name, stream, keepers, rows) if self.program.networks else ()
        self.chains.append(Chain(name, stream.tensor, stream.output, tuple(held), tuple(rows), stream, nest, links))

    def _links(self, name: str, stream: Stream, keepers: list[Keeper], rows: list[int]) -> tuple[tuple[tuple[str, int], ...], ...]:
        """The networks between every keeper and the next one inwards; adds rows of those that stand inside another array to the plan."""
        found = []
        for parent, child, row in zip(keepers, [*keepers[1:], None], rows, strict=True):
            inner = self.leaves[name].unit if child is None else child.keep.memory
            links = []
            for network, outside in self.program.links(parent.keep.memory, inner):
                own = AS_AT_KEEPER
                if outside:
                    own = NOTHING_CROSSES if row < 0 else self._link_row(network, name, row, outside)
                    if child is not None and child.held.fraction != 1:
                        what = f"{child.keep.memory} holds a fraction of {stream.tensor}, of which the rest crosses {network}"
                        mend = "hold it whole, or remove the network, which stands inside another array"
                        raise IllegalMapping(what, mend, child.keep.place)
                links.append((network, own))
            found.append(tuple(links))
        return tuple(found)

    def _link_row(self, network: str, name: str, row: int, outside: frozenset[str]) -> int:
        """Add the boundary at a network inside other arrays: as that at the keeper, with all copies of those arrays apart."""
        bound = list(self.boundaries[row])
        first = bound[p.BOUND_ABOVE_PARENT]
        axes = self.axes[name][first : bound[p.BOUND_ABOVE_CHILD]]
        above = first + max((at + 1 for at, axis in enumerate(axes) if axis in outside), default=0)
        if any(axis not in outside for axis in axes[: above - first] if axis):
            what = f"{name} is spread over copies below the {network} and then over copies above it"
            raise IllegalMapping(what, "put the loops over the outer array's axes first", self.leaves[name].place)
        bound[p.BOUND_ABOVE_PARENT], bound[p.BOUND_FIRST] = above, 1
        self.boundaries.append(tuple(bound))
        return len(self.boundaries) - 1

    def _inside(self, stream: Stream, keep: Keep) -> bool:
        """Does nothing of this stream cross into a keep, because the words are made and used inside?"""
        below = self.below[id(keep)]
        tensor = self.program.cascade.tensors[stream.tensor]
        written = self.program.written_maps.get(stream.tensor)
        if tensor.is_input or written is None:
            return False
        if stream.output:
            reads = self.program.read_maps.get(stream.tensor, ())
            if tensor.is_output or len(written) != 1 or not all(consumer in below for consumer, _ in reads):
                return False
            return not any(self._comes_back(consumer, stream.tensor, maps, keep) for consumer, maps in reads)
        if not all(producer in below for producer, _ in written):
            return False
        return any(maps == stream.maps for _, maps in written) or self.program.is_last(stream.tensor, stream.maps)

    def _note_turning(self, nodes: tuple[For | Spatial | Keep, ...], name: str, trunk: int, fuses: tuple[tuple[int, Fuse], ...]) -> None:
        """Note the loops above every keep on the way to a leaf."""
        left, turning, emptied = dict(self.program.cascade.extents), list[str](), 0
        sequential = {position for position, fuse in fuses if fuse.schedule == "sequential"}
        for number, node in enumerate(nodes):
            emptied = len(turning) if number in sequential else emptied
            if isinstance(node, Keep):
                self.turning[id(node)] = tuple(turning), emptied
                self.below.setdefault(id(node), frozenset((name,)))
                continue
            if isinstance(node, For) and node.tile < left[node.rank]:
                turning.append(node.rank)
            left[node.rank] = min(left[node.rank], node.tile)

    def _carried(self, tensor: str, maps: tuple[IndexMap | None, ...], keep: Keep, facts: Facts) -> Carried | None:
        """How a read reaches back into slices that are made below a keep; None where it is counted as any other."""
        found = self.program.carried(tensor, maps)
        if found is None or not all(producer in self.below[id(keep)] for producer, _ in self.program.written_maps[tensor]):
            return None
        return None if facts.ranks.index(found.rank) in facts.coupled else found

    def _comes_back(self, einsum: str, tensor: str, maps: tuple[IndexMap | None, ...], keep: Keep) -> bool:
        """Whether words of a result that is made below a keep are ever brought back into it from outside."""
        if maps == self.program.written_maps[tensor][0][1] or self.program.is_last(tensor, maps):
            return False
        facts = self.program.facts[einsum]
        carried = self._carried(tensor, maps, keep, facts)
        ranks, emptied = self.turning[id(keep)]
        if carried is None or carried.rank not in ranks:
            return carried is None
        if not carried.follows:
            return self.program.cascade.extents[carried.rank] > carried.back
        if self.program.counting.refill == "every_visit" or ranks.index(carried.rank) < emptied:
            return True
        own = {rank for index in maps if index is not None for rank in index.ranks} - {carried.rank}
        after = ranks[ranks.index(carried.rank) + 1 :]
        again = [place for place, rank in enumerate(after) if rank == carried.rank]
        return any(rank in own or (rank in facts.ranks and any(at > place for at in again)) for place, rank in enumerate(after))

    def _row(self, stream: int, parent: Keeper, child: Keeper | None, afresh: int, start: int, carried: Carried | None = None) -> int:
        """Add a boundary to the plan; returns its row."""
        many = self.program.many
        inner = len(self.loops) - start if child is None else child.above
        wanted = many[parent.keep.memory] or (child is not None and many[child.keep.memory])
        along, slices, has = -1, 0, 0
        if carried is not None:
            along = self.program.positions[self.program.order[self.program.leaf_of_stream[stream]]][carried.rank]
            slices, has = carried.back, int(carried.follows)
        self.boundaries.append((stream, parent.above, inner, int(child is None), int(wanted), afresh, along, slices, has))
        return len(self.boundaries) - 1

    def _tile_words(self, stream: Stream, start: int, end: int, facts: Facts) -> int:
        ranks = self.ranks[self.leaf_ranks[facts.einsum.name] :] if self.ranks is not None else ()
        return tile_words(stream, self.loops[start:end], facts, self.program.counting.footprint == "box", ranks)


def _group_overlapping(stream: Stream, overlapping: set[int]) -> Stream:
    """Ranks whose tiles overlap (recomputed) are listed by the group kernel."""
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
