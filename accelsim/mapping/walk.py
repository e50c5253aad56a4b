"""A loop tree walked once: where every node stands, which leaves are below it, and the tile that the loops above leave to it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from accelsim.mapping.facts import Facts
from accelsim.mapping.holding import refuse_by_elements
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode


@dataclass(slots=True, eq=False)
class Row:
    """A node in its place.

    `above`: rows from outside in. `first`, `last`: the leaves below are number `first` up to but not including `last`.
    `left`: size of the tile of every rank that the loops above leave, by name; `derived`: for Einsums that loops over other
    Einsums' ranks restrict, the sizes of their own ranks. `trips`: of a loop over a whole tile (1 for others).
    `branches`: of a fuse, the rows of each branch; of a leaf, its own loops. `kept`: the tensors of a keep.
    """

    node: TreeNode
    above: tuple[Row, ...]
    left: Dict[str, int]
    derived: Dict[str, Dict[str, int]]
    first: int
    last: int = 0
    trips: int = 1
    branches: tuple[tuple[Row, ...], ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(slots=True)
class Walk:
    """The rows of a mapping in order, and its leaves: for each, the rows above it with its own loops last."""

    facts: Facts
    rows: list[Row] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    paths: list[tuple[Row, ...]] = field(default_factory=list)
    top: tuple[Row, ...] = ()

    def place_of(self) -> dict[str, int]:
        """The number of the leaf of every Einsum."""
        return {leaf.einsum: number for number, leaf in enumerate(self.leaves)}

    def common(self, one: int, other: int) -> int:
        """How many rows stand above two leaves; the last of them is a fuse if the leaves differ."""
        count = 0
        for left, right in zip(self.paths[one], self.paths[other], strict=False):
            if left is not right:
                break
            count += 1
        return count

    def sizes(self, row: Row, einsum: str) -> Dict[str, int]:
        """The tile sizes that an Einsum sees at a row, by rank."""
        restricted = row.derived.get(einsum)
        if not restricted:
            return row.left
        return {**row.left, **{rank: min(size, row.left.get(rank, size)) for rank, size in restricted.items()}}


def walk(facts: Facts, mapping: Mapping) -> Walk:
    """The mapping in rows. Loops over unknown ranks have one trip; legality names them. Refuses tiles that hold so many elements."""
    refuse_by_elements(mapping)
    found = Walk(facts)
    names = list(_einsums(mapping.nodes))
    found.top = _rows(found, mapping.nodes, (), dict(facts.cascade.extents), {}, names)
    return found


def _einsums(nodes: tuple[TreeNode, ...]) -> Iterator[str]:
    end = nodes[-1] if nodes else None
    if isinstance(end, Leaf):
        yield end.einsum
    elif isinstance(end, Fuse):
        for branch in end.branches:
            yield from _einsums(branch)


def _rows(
    found: Walk,
    nodes: tuple[TreeNode, ...],
    above: tuple[Row, ...],
    left: Dict[str, int],
    derived: Dict[str, Dict[str, int]],
    below: list[str],
) -> tuple[Row, ...]:
    rows: list[Row] = []
    start = len(found.leaves)
    for place, node in enumerate(nodes):
        row = Row(node, above, left, derived, start)
        rows.append(row)
        found.rows.append(row)
        above = (*above, row)
        if isinstance(node, Keep):
            row.kept = tuple(tensor for held in node.held for tensor in (held.tensor, *held.in_place))
        elif isinstance(node, (For, Spatial)):
            left = _enter(row, node)
            if isinstance(node, For) and found.facts.renames and row.trips > 1 and isinstance(nodes[-1], Fuse):
                derived = derive(found.facts, node, row.left.get(node.rank, node.tile), derived, below)
        elif isinstance(node, Leaf):
            inner = _rows(found, node.loops, above[:-1], left, derived, [])
            row.branches = (inner,)
            found.leaves.append(node)
            found.paths.append((*above[:-1], *inner))
        elif isinstance(node, Fuse):
            branches = []
            taken = 0
            for branch in node.branches:
                names = list(_einsums(branch))
                branches.append(_rows(found, branch, above, left, derived, below[taken : taken + len(names)]))
                taken += len(names)
            row.branches = tuple(branches)
        if isinstance(node, (Leaf, Fuse)) and place + 1 < len(nodes):
            break
    end = len(found.leaves) if nodes and isinstance(nodes[-1], (Leaf, Fuse)) else start + 1
    for row in rows:
        row.last = end
    return tuple(rows)


def _enter(row: Row, node: For | Spatial) -> Dict[str, int]:
    size = row.left.get(node.rank)
    if size is None:
        return row.left
    row.trips = -(-size // node.tile) if node.tile > 0 else 1
    return {**row.left, node.rank: node.tile} if node.tile < size else row.left


def derive(facts: Facts, loop: For, size: int, derived: Dict[str, Dict[str, int]], below: list[str]) -> Dict[str, Dict[str, int]]:
    """Sizes of the ranks that a loop restricts through the reads of later Einsums: the most that an iteration demands."""
    inside = frozenset(below)
    changed = dict(derived)
    starts = {0, loop.tile, (size - 1) // loop.tile * loop.tile}
    for name in below:
        if name not in facts.ranks or loop.rank in facts.ranks[name]:
            continue
        most: dict[str, int] = {}
        for start in starts:
            for rank, (low, high) in facts.demand(name, loop.rank, (start, min(start + loop.tile, size)), inside).items():
                most[rank] = max(most.get(rank, 0), high - low)
        before = derived.get(name, {})
        changed[name] = {**before, **{rank: min(most[rank], before.get(rank, most[rank])) for rank in most}}
    return changed
