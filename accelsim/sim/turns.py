"""The loops of a mapping as one Einsum takes part in them: which coordinates every copy has at every turn.

`own`: a rank of the Einsum. `retained`, `recomputed`: a loop above a fuse over a rank that the Einsum lacks, which gives it what its
consumers read in a turn; what earlier turns made stays, or is made again. `repeated`: it runs again in every turn (or copy). `once`: the
loop is nothing to it; it runs in one turn, and in the first copy. Source: docs/mappings.md, "Loops above a fuse".
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import IllegalMapping, did_you_mean
from accelsim.mapping.tree import Address, For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode, addressed
from accelsim.sim.arithmetic import plain
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, Expression, accesses, own_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

OWN, RETAINED, RECOMPUTED, REPEATED, ONCE = "own", "retained", "recomputed", "repeated", "once"
Interval = tuple[int, int]


@dataclass(frozen=True)
class Span:
    """The coordinates of a rank that the tiles of all copies have, int64[coordinates] each.

    `at`: the coordinate. `place`: where it lies in its copy's tile. `copies`: for every spatial loop over the rank that has been
    passed, its level and the copy that has the coordinate.
    """

    at: IntArray
    place: IntArray
    copies: tuple[tuple[int, IntArray], ...] = ()

    def __len__(self) -> int:
        return len(self.at)

    @cached_property
    def length(self) -> int:
        """The size of the largest tile."""
        return int(self.place.max()) + 1 if len(self.at) else 0

    @cached_property
    def hull(self) -> Interval:
        """From the least coordinate up to but not including that after the greatest."""
        return (int(self.at.min()), int(self.at.max()) + 1) if len(self.at) else (0, 0)

    def turns(self, tile: int) -> int:
        """How many tiles the largest tile is cut into."""
        return -(-self.length // tile)

    def turn(self, tile: int, number: int) -> Span:
        """What all copies have at one turn of a loop in time."""
        if number == 0 and self.length <= tile:
            return self
        here = self.place // tile == number
        return Span(self.at[here], self.place[here] - number * tile, tuple((level, copy[here]) for level, copy in self.copies))

    def spread(self, level: int, tile: int) -> Span:
        """The tiles of the copies of a spatial loop."""
        return Span(self.at, self.place % tile, (*self.copies, (level, self.place // tile)))

    def folded(self, tile: int) -> Span:
        """All turns of a loop in time at once."""
        return self if self.length <= tile else Span(self.at, self.place % tile, self.copies)

    def chosen(self, which: Any) -> Span:
        """Some of the coordinates, in their places."""
        return Span(self.at[which], self.place[which], tuple((level, copy[which]) for level, copy in self.copies))

    def within(self, interval: Interval) -> Span:
        """What lies in an interval; a copy's tile then begins with the first coordinate that it has left."""
        import numpy as np

        here = (self.at >= interval[0]) & (self.at < interval[1])
        if here.all():
            return self
        kept = self.chosen(here)
        if not len(kept):
            return kept
        owner = np.zeros(len(kept), dtype=np.int64)
        for _, copy in kept.copies:
            owner = owner * (int(copy.max()) + 1) + copy
        _, group = np.unique(owner, return_inverse=True)
        first = np.full(int(group.max()) + 1, kept.length, dtype=np.int64)
        np.minimum.at(first, group, kept.place)
        return Span(kept.at, kept.place - first[group], kept.copies)


@dataclass(frozen=True, slots=True)
class Step:
    """A loop as an Einsum sees it: its level on the way to the leaf, and how the Einsum takes part."""

    level: int
    loop: For | Spatial
    how: str


@dataclass
class Branch:
    """One leaf with all that stands above it; `nodes[i]` is at level i and has an address in the tree.

    `steps`: the loops by level. `below`: for a loop above a fuse, the Einsums inside that fuse.
    """

    number: int
    einsum: Einsum
    leaf: Leaf
    nodes: list[tuple[Address, TreeNode]]
    own: int
    address: Address
    steps: dict[int, Step] = field(default_factory=dict)

    def keepers(self, tensor: str) -> list[int]:
        """Levels of the keeps that hold a tensor, outermost first."""
        return [
            level
            for level, (_, node) in enumerate(self.nodes)
            if isinstance(node, Keep) and any(tensor == held.tensor or tensor in held.in_place for held in node.held)
        ]

    def passes(self, address: Address) -> bool:
        """Whether the node at an address stands above this leaf."""
        return any(address == here for here, _ in self.nodes)

    def home(self, tensor: str) -> int:
        """The level of the outermost keep of a tensor."""
        found = self.keepers(tensor)
        if not found:
            raise IllegalMapping(f"no keep holds {tensor} of {self.einsum.name}", "keep it above this leaf", self.leaf.place)
        return found[0]


def branches(cascade: Cascade, mapping: Mapping) -> list[Branch]:
    """Every leaf of a mapping in order, its loops seen as its Einsum sees them. Every working Einsum has exactly one leaf."""
    found: list[Branch] = []
    for nodes, address, leaf in addressed(mapping.nodes):
        einsum = cascade.by_name.get(leaf.einsum)
        if einsum is None or einsum.initial or any(leaf.einsum == other.einsum.name for other in found):
            mend = did_you_mean(leaf.einsum, [work.name for work in cascade.work])
            raise IllegalMapping(f"no Einsum '{leaf.einsum}' to run", mend, leaf.place)
        found.append(Branch(len(found), einsum, leaf, list(nodes), len(nodes) - len(leaf.loops), address))
    for einsum in cascade.work:
        if not any(branch.einsum is einsum for branch in found):
            raise IllegalMapping(f"nothing runs {einsum.name}", f"give it a leaf: {{einsum: {einsum.name}, unit: …}}")
    demands = Demands(cascade, found)
    for branch in found:
        for level, (_, node) in enumerate(branch.nodes):
            if isinstance(node, (For, Spatial)):
                branch.steps[level] = Step(level, node, _how(cascade, branch, level, node, demands))
    return found


def _how(cascade: Cascade, branch: Branch, level: int, loop: For | Spatial, demands: Demands) -> str:
    if loop.rank in branch.einsum.ranks:
        return OWN
    tensor = branch.einsum.output.tensor
    home_above = branch.home(tensor) < level
    fuses = [node for _, node in branch.nodes[level:] if isinstance(node, Fuse)]
    if fuses and isinstance(loop, For) and demands.of(branch, level, loop.rank, (0, cascade.extents[loop.rank])):
        return RETAINED if home_above else RECOMPUTED
    return REPEATED if not home_above and any(tensor in fuse.recompute for fuse in fuses) else ONCE


class Demands:
    """What Einsums must make for what their consumers below a loop read, followed backwards and remembered."""

    def __init__(self, cascade: Cascade, found: list[Branch]) -> None:
        self.cascade = cascade
        self.branches = found
        self.known: dict[tuple[int, int, str, Interval], dict[str, Interval]] = {}

    def of(self, branch: Branch, level: int, rank: str, interval: Interval) -> dict[str, Interval]:
        """For every rank of an Einsum that a turn of a loop restricts, the interval that is read; the loop has `rank` at `interval`."""
        key = (branch.number, level, rank, interval)
        if key not in self.known:
            address = branch.nodes[level][0]
            inside = [other for other in self.branches if other.passes(address)]
            self.known[key] = self._read(branch, rank, interval, inside, ())
        return self.known[key]

    def _read(self, branch: Branch, rank: str, interval: Interval, inside: list[Branch], seen: tuple[int, ...]) -> dict[str, Interval]:
        import numpy as np

        if rank in branch.einsum.ranks:
            return {rank: interval}
        output = branch.einsum.output
        touched: dict[int, list[IntArray]] = {}
        restricted: set[int] = set()
        for reader in inside:
            if reader is branch or reader.number in seen:
                continue
            reads = [read for read in (*reader.einsum.reads, *reader.einsum.condition_reads) if read.tensor == output.tensor]
            left = self._read(reader, rank, interval, inside, (*seen, branch.number)) if reads else {}
            for read in reads:
                for dimension, index in enumerate(read.indices):
                    ranks = ranks_of(self.cascade, index)
                    at = {name: np.arange(*left.get(name, (0, self.cascade.extents[name]))) for name in ranks}
                    touched.setdefault(dimension, []).append(touched_at(self.cascade, index, at))
                    if any(name in left for name in ranks):
                        restricted.add(dimension)
        found: dict[str, Interval] = {}
        for dimension in sorted(restricted):
            made = self.cascade.index_maps(output)[dimension]
            if made is None or made.single_rank is None:
                continue
            places = np.concatenate(touched[dimension]) - made.offset
            low, high = (max(0, int(places.min())), int(places.max()) + 1) if places.size else (0, 0)
            found[made.single_rank] = (low, max(low, min(self.cascade.extents[made.single_rank], high)))
        return found


def ranks_of(cascade: Cascade, index: Expression) -> list[str]:
    """The ranks of an index, without those that only choose what is read."""
    return [name for name in own_names(Access("", (index,))) if name in cascade.extents]


def touched_at(cascade: Cascade, index: Expression, at: Dict[str, IntArray]) -> IntArray:
    """Coordinates that an index takes where each of its ranks takes those of `at`; values in it may be any that their tensor allows."""
    import numpy as np

    inner = accesses(index)
    every = np.ix_(*at.values(), *(np.arange(cascade.tensors[access.tensor].below) for access in inner))
    known = {**cascade.sizes, **dict(zip(at, every, strict=False))}
    chosen = dict(zip(inner, every[len(at) :], strict=True))
    return np.ravel(np.asarray(plain(index, known, read=chosen.__getitem__)))


def accesses_of(einsum: Einsum) -> tuple[Access, ...]:
    """All that an Einsum touches: what it reads, in its condition too, and what it writes."""
    return (*einsum.reads, *einsum.condition_reads, einsum.output)
