"""Whether a mapping of the map space obeys constraints on tiles and orders, read off its nest; it shares no code with accelsim.mapper.

The nest is that of `tests.mapper.brute`: an Einsum's own nodes stand below the last fuse, loops of a trunk above it. A block ends at its
memory's keep. Where keeps are raised, loops below the last keep of a memory may belong to its block or to the next: a rule is obeyed if
it is in one of these readings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.workload.cascade import Cascade, Einsum
from tests.mapper import brute

Sizes = dict[str, int]


@dataclass(frozen=True)
class Tile:
    """The tiles that a memory holds are from `least` to `most` along a rank."""

    memory: str
    rank: str
    least: int
    most: int
    einsums: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """Loops of a memory's block over these ranks stand in this order, the outermost first."""

    memory: str
    ranks: tuple[str, ...]
    einsums: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stationary:
    """A memory holds a tensor, and loops of its block that index it stand outside all others."""

    memory: str
    tensor: str
    einsums: tuple[str, ...] = ()


Rule = Tile | Order | Stationary


@dataclass(frozen=True)
class Block:
    """A memory's loops for an Einsum, the tensors that it keeps at their end, and the sizes that they leave."""

    memory: str
    loops: tuple[str, ...]
    tensors: tuple[str, ...]
    sizes: Sizes


def obeys(mapping: Mapping, cascade: Cascade, architecture: Architecture, rules: Sequence[Rule], raised: bool) -> bool:
    """Whether a mapping obeys all rules; `raised`: whether its keeps may stand above loops of their block."""
    home = brute.home(architecture).name
    for path, leaf in mapping.paths():
        einsum = cascade.by_name[leaf.einsum]
        mine = [rule for rule in rules if not rule.einsums or leaf.einsum in rule.einsums]
        cut = max((at for at, node in enumerate(path) if isinstance(node, Fuse)), default=-1)
        above, own = path[: max(cut, 0)], path[cut + 1 :]
        sizes = dict(cascade.extents)
        shared: list[Block] = []
        loops: tuple[str, ...] = ()
        for node in above:
            if isinstance(node, For):
                sizes[node.rank] = node.tile
                loops += (node.rank,)
            elif isinstance(node, Keep):
                shared.append(Block(node.memory, loops, node.tensors, dict(sizes)))
        own = tuple(node for node in own if not isinstance(node, Keep) or node.memory != architecture.root.name)
        readings = _readings(cascade, einsum, own, sizes, raised)
        if not any(_read(cascade, einsum, mine, home, shared, loops, blocks) for blocks in readings):
            return False
    return True


def _read(
    cascade: Cascade, einsum: Einsum, rules: Sequence[Rule], home: str, shared: list[Block], turned: tuple[str, ...], blocks: list[Block]
) -> bool:
    for rule in rules:
        nests = [block.loops for block in blocks if block.memory == rule.memory] + ([turned] if rule.memory == home else [])
        if isinstance(rule, Tile):
            held = [block.sizes for block in blocks if block.memory == rule.memory]
            for block in shared:
                if block.memory == rule.memory and any(rule.rank in indexing(cascade, einsum, tensor) for tensor in block.tensors):
                    held.append(block.sizes)
            if rule.rank in einsum.ranks and not all(rule.least <= sizes[rule.rank] <= rule.most for sizes in held):
                return False
        elif isinstance(rule, Order):
            for loops in nests:
                places = [rule.ranks.index(rank) for rank in loops if rank in rule.ranks]
                if places != sorted(places):
                    return False
        elif rule.tensor in [access.tensor for access in (*einsum.reads, einsum.output)]:
            ranks = indexing(cascade, einsum, rule.tensor)
            if not any(block.memory == rule.memory and rule.tensor in block.tensors for block in (*shared, *blocks)):
                return False
            for loops in nests:
                lacking = [rank not in ranks for rank in loops]
                if lacking != sorted(lacking):
                    return False
    return True


def indexing(cascade: Cascade, einsum: Einsum, tensor: str) -> set[str]:
    """Ranks that index a tensor in an Einsum; none if it does not touch it."""
    maps = [index for access in (*einsum.reads, einsum.output) if access.tensor == tensor for index in cascade.index_maps(access)]
    return {rank for index in maps if index is not None for rank in index.ranks}


def _readings(cascade: Cascade, einsum: Einsum, nodes: Sequence[TreeNode], sizes: Sizes, raised: bool) -> Iterator[list[Block]]:
    """The blocks of an Einsum, in every way to share loops out among them."""
    loops: list[For] = []
    left = dict(sizes)
    at = 0
    while at < len(nodes) and not isinstance(nodes[at], (Keep, Leaf)):
        node = nodes[at]
        assert isinstance(node, (For, Spatial))
        if isinstance(node, For):
            loops.append(node)
        elif loops:
            return  # they belong to the block before
        left[node.rank] = node.tile
        at += 1
    if at == len(nodes) or isinstance(nodes[at], Leaf):
        if not loops:
            yield []
        return
    first = nodes[at]
    assert isinstance(first, Keep)
    held: list[str] = []
    while at < len(nodes):
        node = nodes[at]
        if isinstance(node, Keep) and node.memory == first.memory:
            held += node.tensors
        elif isinstance(node, For) and raised and not any(node.rank in indexing(cascade, einsum, tensor) for tensor in held):
            loops.append(node)
        else:
            break
        if isinstance(node, For):
            left[node.rank] = node.tile
        at += 1
        # the block may end here if all that follows is of others
        if any(isinstance(later, Keep) and later.memory == first.memory for later in nodes[at:]):
            continue
        ranks = [loop.rank for loop in loops]
        if len(set(ranks)) < len(ranks):
            continue
        for rest in _readings(cascade, einsum, nodes[at:], left, raised):
            yield [Block(first.memory, tuple(ranks), tuple(held), dict(left)), *rest]
