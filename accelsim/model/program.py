"""A cascade on a machine before any mapping: facts of Einsums, masks, coverings and the tables that all plans share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, network_name
from accelsim.model import plan as p
from accelsim.model.analysis import Stream, analyse
from accelsim.model.masks import Mask, mask
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import IndexMap
from accelsim.workload.operators import cover, steps_alone

MOST_POINTS = 2**62


@dataclass(frozen=True, slots=True)
class Carried:
    """How an Einsum reads slices of a recurrence that earlier turns made: along which rank, how many slices back, and whether the last
    slice that was made is the next that is read, word for word (`follows`)."""

    rank: str
    back: int
    follows: bool


class Program:
    """Everything about a cascade on a machine that does not depend on the mapping.

    Built once, used for many mappings: it is what makes evaluations fast; see `lowering.lower`.
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
        self.networks = frozenset(architecture.networks)
        self.many = {
            name: architecture.copies(name) > 1
            and (memory.read_bits_per_s is not None or memory.write_bits_per_s is not None or self._is_above_network(name))
            for name, memory in architecture.memories.items()
        }
        self._links: dict[tuple[str, str], tuple[tuple[str, frozenset[str]], ...]] = {}
        self._covers: dict[tuple[str, str], dict[str, Fraction] | None] = {}
        self._edges: dict[frozenset[str], list[tuple[str, str, str, str, int]]] = {}
        self._waiting: dict[str, frozenset[str]] | None = None
        self._static()

    def _is_above_network(self, memory: str) -> bool:
        """Whether words on their way out of a memory may cross a network: one copy of it then has networks of its own."""
        above = self.architecture.memories[memory]
        return any(above in self.architecture.paths[array.name] for array, _ in self.architecture.networks.values())

    def kind(self, port: str) -> str:
        """What sort of resource a port is of: `memory`, `network`, or `sparse` of what meets coordinates or merges."""
        if port in self.architecture.memories:
            return "memory"
        return "network" if port in self.networks else "sparse"

    def links(self, memory: str, inner: str) -> tuple[tuple[str, frozenset[str]], ...]:
        """Networks that words cross between a memory and a node further in, outermost first, each with the axes of arrays outside it."""
        if (memory, inner) not in self._links:
            path, found, outside = self.architecture.paths[inner], [], list[str]()
            start = path.index(self.architecture.memories[memory])
            for array in (node for node in path[start:] if isinstance(node, Array)):
                if array.network is not None:
                    found.append((network_name(array.name), frozenset(outside)))
                outside += [axis.name for axis in array.axes]
            self._links[memory, inner] = tuple(found)
        return self._links[memory, inner]

    def edges(
        self, names: frozenset[str], slices: Callable[[str, str, str], int]
    ) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
        """Dependences among some Einsums: (producer, consumer, tensor) within an iteration, (producer, reader, rank) of earlier ones.

        slices: how many along a rank the loops above a producer and a reader leave to an iteration; a reader that goes back by fewer
        needs some of the same iteration.
        """
        forward, carried = [], []
        for producer, reader, tensor, rank, distance in self._known_edges(names):
            if distance == 0 or (producer != reader and slices(producer, reader, rank) > distance):
                forward.append((producer, reader, tensor))
            else:
                carried.append((producer, reader, rank))
        return forward, carried

    def _known_edges(self, names: frozenset[str]) -> list[tuple[str, str, str, str, int]]:
        """Producer, reader, tensor, rank of its slices and the least distance in slices, 0 within one."""
        if names not in self._edges:
            from accelsim.workload.dependence import distances

            found = self._edges[names] = []
            for (producer, reader), (tensor, distance) in distances(self.cascade).items():
                if producer not in names or reader not in names:
                    continue
                iterative = self.cascade.tensors[tensor].iterative
                written = self.cascade.index_maps(self.cascade.by_name[producer].output)
                index = written[iterative] if iterative is not None else None
                rank = index.single_rank if index is not None else None
                if distance == 0 or rank is not None:
                    found.append((producer, reader, tensor, rank or "", distance))
        return self._edges[names]

    def carried(self, tensor: str, maps: tuple[IndexMap | None, ...]) -> Carried | None:
        """How a read reaches back into slices that its recurrence made before; None for all others."""
        at, written = self.cascade.tensors[tensor].iterative, self.written_maps.get(tensor, ())
        if at is None or len(written) != 1:
            return None
        (_, made), read = written[0], maps[at]
        new = made[at]
        if new is None or read is None or new.single_rank is None or read.single_rank != new.single_rank or read.offset >= new.offset:
            return None
        alike = all(one == other for place, (one, other) in enumerate(zip(made, maps, strict=True)) if place != at)
        return Carried(new.single_rank, new.offset - read.offset, alike and new.offset - read.offset == 1)

    def is_last(self, tensor: str, maps: tuple[IndexMap | None, ...]) -> bool:
        """Whether a read is of one slice of a recurrence, once that is made."""
        noun = self.cascade.tensors[tensor]
        index = maps[noun.iterative] if noun.iterative is not None else None
        return index is not None and not index.terms and index.offset >= noun.constant_slices

    def steps_of(self, einsum: str, unit: str) -> frozenset[str]:
        """Ranks of an Einsum whose points the lanes of a unit take one after the other: those of its recurrence, unless it scans."""
        machine, noun = self.architecture.units[unit], self.cascade.by_name[einsum]
        if machine.lanes == 1 or not steps_alone(noun, machine.accepting(self.cascade.operand_types(noun))):
            return frozenset()
        return self._serial()[einsum]

    def serial(self, einsum: str, unit: str) -> int:
        """The same as a bit set of positions within the leaf."""
        return sum(1 << self.positions[einsum][rank] for rank in self.steps_of(einsum, unit))

    def _serial(self) -> dict[str, frozenset[str]]:
        if self._waiting is None:
            from accelsim.workload.dependence import serial_ranks

            self._waiting = serial_ranks(self.cascade)
        return self._waiting

    def cover(self, einsum: str, unit: str) -> dict[str, Fraction]:
        """Primitives that a unit issues for one point of an Einsum."""
        key = (einsum, unit)
        if key not in self._covers:
            noun = self.cascade.by_name[einsum]
            found = cover(noun, self.architecture.units[unit].accepting(self.cascade.operand_types(noun)))
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
        self.at_unit: dict[int, int] = {}  # of streams of which values choose, those that stand for them at the unit
        for leaf, (name, facts) in enumerate(self.facts.items()):
            self.first_rank[name] = len(self.ranks)
            self.first_stream[name] = len(self.streams)
            self.ranks.extend((extent, p.NAMED, 0, 0, 0, 0) for extent in facts.extents)
            self.streams.extend(facts.streams)
            self.leaf_of_stream.extend([leaf] * len(facts.streams))
        for leaf, (name, facts) in enumerate(self.facts.items()):
            for place, stream in facts.at_unit.items():
                self.at_unit[self.first_stream[name] + place] = len(self.streams)
                self.streams.append(stream)
                self.leaf_of_stream.append(leaf)
        self.static = stream_tables(self.streams, self.leaf_of_stream)
        self.rank_array = np.array(self.ranks, np.int64).reshape(-1, 6)
        for name, facts in self.facts.items():
            if len(facts.ranks) > p.MAX_RANKS:
                what = f"{name} has {len(facts.ranks)} ranks, more than {p.MAX_RANKS}"
                raise InputError(what, "split it into several Einsums", facts.einsum.place)
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
        self.touched = {name: frozenset(stream.tensor for stream in facts.streams) for name, facts in self.facts.items()}
        self.positions = {name: {rank: k for k, rank in enumerate(facts.ranks)} for name, facts in self.facts.items()}


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
