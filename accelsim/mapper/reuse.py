"""How much a keep inside a leaf draws from outside, in closed form: products of trips, whole tiles, no overlap of windows."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

from accelsim.mapper.scope import Scope
from accelsim.mapper.space import TrunkLoop
from accelsim.mapping.tree import Spatial


def drawn(scope: Scope, einsum: str, tensor: str, path: Sequence[TrunkLoop], sizes: Dict[str, int], end: int | None) -> float:
    """Bits that a keep of a tensor below the first `end` loops of a path (None: the unit itself) draws while the path runs once.

    `sizes`: the tile that the path starts from. Loops in time inside the last one that touches the tensor are reuse; copies that the
    axis serves together share.
    """
    noun, indexing, ranks = scope.facts.einsums[einsum], scope.facts.indexing[tensor], scope.facts.ranks[einsum]
    left = {rank: sizes[rank] for rank in noun.ranks}
    total, pending = 1, 1
    for loop in path[:end]:
        rank = loop.rank
        if rank not in ranks:
            continue
        size = left[rank]
        if loop.tile >= size:
            continue
        count = -(-size // loop.tile)
        left[rank] = loop.tile
        if isinstance(loop, Spatial):
            axis = scope.architecture.axes[loop.axis][1]
            shares = noun.reduce in axis.reduces if tensor == scope.writes[einsum] else axis.multicast
            if rank in indexing or not shares:
                total *= count
        elif rank in indexing or end is None:
            total, pending = total * pending * count, 1
        else:
            pending *= count
    if end is None:
        for size in left.values():
            pending *= size
        return float(total * pending * scope.bits[tensor])
    return float(total * scope.words(tensor, left, scope.alone[einsum], left) * scope.bits[tensor])


def innermost(scope: Scope, memory: str, loops: Sequence[TrunkLoop]) -> int:
    """The innermost position among a leaf's own loops at which a memory may keep: below its axes, above those inside it."""
    outer = scope.outer_axes[memory]
    low, high = 0, len(loops)
    for position, loop in enumerate(loops):
        if isinstance(loop, Spatial):
            if loop.axis in outer:
                low = position + 1
            else:
                high = min(high, position)
    return max(low, high)
