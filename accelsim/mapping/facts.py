"""What legality and occupancy need to know of a cascade, derived once per cascade and remembered."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from accelsim.mapping.extent import Interval, hull
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.expression import IndexMap

Maps = tuple[IndexMap | None, ...]
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which an Einsum touches a tensor: `maps` per dimension, `writes` for its output."""

    einsum: str
    maps: Maps
    writes: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A consumer's read of a producer's output, `distance` slices later along `rank` (0 and "" if not later)."""

    tensor: str
    producer: str
    consumer: str
    write: Maps
    read: Maps
    distance: int
    rank: str = ""


class Facts:
    """Static facts of one cascade; every property is worked out at most once."""

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade
        self.einsums: dict[str, Einsum] = {einsum.name: einsum for einsum in cascade.work}
        self.ranks: dict[str, frozenset[str]] = {name: frozenset(einsum.ranks) for name, einsum in self.einsums.items()}
        self.reduced: dict[str, frozenset[str]] = {name: frozenset(einsum.reduced) for name, einsum in self.einsums.items()}
        self.order = {name: place for place, name in enumerate(self.einsums)}
        self.relations: dict[tuple[int, str], str] = {}  # by identity of an edge of `edges`
        self.demands: dict[tuple[str, str, Interval, frozenset[str]], dict[str, Interval]] = {}

    @cached_property
    def uses(self) -> dict[str, tuple[Use, ...]]:
        """For every tensor, the different ways in which working Einsums touch it, in order; reads in a condition are left out."""
        found: dict[str, dict[Use, None]] = {}
        for name, einsum in self.einsums.items():
            for access in einsum.reads:
                found.setdefault(access.tensor, {})[Use(name, self.cascade.index_maps(access), False)] = None
            found.setdefault(einsum.output.tensor, {})[Use(name, self.cascade.index_maps(einsum.output), True)] = None
        return {tensor: tuple(uses) for tensor, uses in found.items()}

    @cached_property
    def touched(self) -> dict[str, tuple[str, ...]]:
        """For every Einsum, the tensors that it reads or writes."""
        found: dict[str, tuple[str, ...]] = {name: () for name in self.einsums}
        for tensor, uses in self.uses.items():
            for name in dict.fromkeys(use.einsum for use in uses):
                found[name] = (*found[name], tensor)
        return found

    @cached_property
    def mentions(self) -> dict[str, frozenset[str]]:
        """For every Einsum, the tensors that it touches or that its condition reads."""
        return {
            name: frozenset((*self.touched[name], *(access.tensor for access in einsum.condition_reads)))
            for name, einsum in self.einsums.items()
        }

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every read of a computed tensor (in a condition too), once for each of its producers, the Einsum itself included."""
        from accelsim.workload.dependence import dependences

        found: dict[Edge, None] = {}
        for dependence in dependences(self.cascade.einsums, self.cascade.sizes, self.cascade.extents):
            write = self.cascade.index_maps(self.einsums[dependence.producer].output)
            read = self.cascade.index_maps(dependence.access)
            rank, distance = max(dependence.steps, key=lambda step: step[1], default=("", 0))
            carrier = self.recurrence(self.cascade.tensors[dependence.tensor])
            found[Edge(dependence.tensor, dependence.producer, dependence.consumer, write, read, distance, carrier or rank)] = None
        return tuple(found)

    def recurrence(self, tensor: Tensor) -> str | None:
        """The rank along which an iterative tensor advances, None for others."""
        if tensor.iterative is None:
            return None
        for use in self.uses.get(tensor.name, ()):
            index = use.maps[tensor.iterative]
            if use.writes and index is not None and index.single_rank is not None:
                return index.single_rank
        return None

    @cached_property
    def indexing(self) -> dict[str, frozenset[str]]:
        """For every tensor, the ranks that index it in some access."""
        return {
            tensor: frozenset(rank for use in uses for index in use.maps if index is not None for rank in index.ranks)
            for tensor, uses in self.uses.items()
        }

    @cached_property
    def shared(self) -> dict[str, tuple[IndexMap | None, ...]]:
        """For every tensor and dimension, the index by which all of its uses touch it; None if they differ."""
        found: dict[str, tuple[IndexMap | None, ...]] = {}
        for tensor, uses in self.uses.items():
            columns = [set(column) for column in zip(*(use.maps for use in uses), strict=True)]
            found[tensor] = tuple(next(iter(column)) if len(column) == 1 else None for column in columns)
        return found

    @cached_property
    def plain(self) -> dict[str, tuple[str | None, ...]]:
        """For every tensor and dimension, the rank by which all of its uses touch it; None if they differ or it is not a bare rank."""
        return {
            tensor: tuple(index.single_rank if index is not None and index.offset == 0 else None for index in maps)
            for tensor, maps in self.shared.items()
        }

    @cached_property
    def passing(self) -> frozenset[str]:
        """Tensors that only pass between Einsums: no inputs, no outputs, nothing that lasts from slice to slice."""
        tensors = self.cascade.tensors.values()
        return frozenset(noun.name for noun in tensors if not (noun.is_input or noun.is_output or noun.iterative is not None))

    @cached_property
    def bits(self) -> dict[str, tuple[int | Fraction, int | Fraction]]:
        """Bits per word of every tensor, final and partial; whole numbers as int."""
        return {name: (_whole(tensor.final.bits), _whole(tensor.partial.bits)) for name, tensor in self.cascade.tensors.items()}

    @cached_property
    def renames(self) -> bool:
        """Whether some Einsum reads another's result at ranks that its producer does not have, so that loops may be derived."""
        return any(
            write is not None and write.single_rank is not None and read is not None and not self.ranks[edge.producer] >= set(read.ranks)
            for edge in self.edges
            for write, read in zip(edge.write, edge.read, strict=True)
        )

    @cached_property
    def cycles(self) -> tuple[frozenset[str], ...]:
        """The dependence cycles: sets of Einsums that depend on each other through an earlier slice."""
        reach: dict[str, set[str]] = {name: set() for name in self.einsums}
        for edge in self.edges:
            reach[edge.producer].add(edge.consumer)
        for middle in reach:
            for name in reach:
                if middle in reach[name]:
                    reach[name] |= reach[middle]
        groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in reach if name in reach[name]}
        return tuple(sorted(groups, key=lambda group: min(self.order[name] for name in group)))

    @cached_property
    def late(self) -> dict[str, frozenset[str]]:
        """For every Einsum, the ranks it does not have whose last slice it needs: it can only run when loops over them are done."""
        found: dict[str, frozenset[str]] = {name: frozenset() for name in self.einsums}
        for _ in range(len(self.einsums)):
            before = dict(found)
            for edge in self.edges:
                late = set(found[edge.producer])
                tensor = self.cascade.tensors[edge.tensor]
                rank = self.recurrence(tensor)
                if tensor.iterative is not None and rank is not None:
                    index = edge.read[tensor.iterative]
                    if index is not None and not index.terms and index.offset >= tensor.constant_slices:
                        late.add(rank)
                found[edge.consumer] |= late - self.ranks[edge.consumer]
            if found == before:
                break
        return found

    def demand(self, einsum: str, rank: str, interval: Interval, inside: frozenset[str]) -> dict[str, Interval]:
        """What an Einsum must produce while loops give `rank` an interval: an interval for every rank of it that this restricts.

        `inside`: the Einsums below the outermost fuse below the loop; they read its result at tiles that are whole but for `rank`.
        """
        key = (einsum, rank, interval, inside)
        if key not in self.demands:
            self.demands[key] = self._demand(einsum, rank, interval, inside, frozenset((einsum,)))
        return self.demands[key]

    def _demand(self, einsum: str, rank: str, interval: Interval, inside: frozenset[str], below: frozenset[str]) -> dict[str, Interval]:
        if rank in self.ranks[einsum]:
            return {rank: interval}
        wanted: dict[str, Interval] = {}
        restricted: set[str] = set()
        tensor = self.einsums[einsum].output.tensor
        write = self.cascade.index_maps(self.einsums[einsum].output)
        for use in self.uses[tensor]:
            if use.writes or use.einsum not in inside or use.einsum in below:
                continue
            left = self._demand(use.einsum, rank, interval, inside, below | {use.einsum})
            for new, old in zip(write, use.maps, strict=True):
                if new is None or old is None or new.single_rank is None:
                    continue
                low, high = hull(old, {name: left.get(name, (0, self.cascade.extents[name])) for name in old.ranks})
                target = new.single_rank
                low, high = max(0, low - new.offset), min(self.cascade.extents[target], high - new.offset)
                if any(name in left for name in old.ranks):
                    restricted.add(target)
                if low < high:
                    known = wanted.get(target, (low, high))
                    wanted[target] = (min(low, known[0]), max(high, known[1]))
        return {target: wanted.get(target, (0, 0)) for target in restricted}


def _whole(number: Fraction) -> int | Fraction:
    return number.numerator if number.denominator == 1 else number


_facts: dict[int, Facts] = {}


def facts(cascade: Cascade) -> Facts:
    """The facts of a cascade; those of the last few cascades are remembered (by identity: a cascade never changes)."""
    known = _facts.get(id(cascade))
    if known is not None and known.cascade is cascade:
        return known
    while len(_facts) >= _REMEMBERED:
        _facts.pop(next(iter(_facts)), None)
    made = _facts[id(cascade)] = Facts(cascade)
    return made
