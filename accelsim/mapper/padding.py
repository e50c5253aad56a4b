"""Sizes with few divisors, or none that fill an axis: a search on sizes a little larger finds tiles that serve the true ones as well.

A mapping of the larger problem is one of the true problem with the same tiles, the last of each loop smaller: it holds no more anywhere
and does no more.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapper.tiles import divisors
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.workload.build import resized
from accelsim.workload.cascade import Cascade

_MORE = 16  # a size may grow by one part in so many
_FEW = 0.5  # over the number of its divisors: what a size is worth less
_PRIMES = (2, 3, 5, 7, 11, 13)  # of a size whose divisors are close enough to each other


def padding(cascade: Cascade, architecture: Architecture) -> Cascade | None:
    """The cascade with sizes that can be cut well; None if all can be already, or if other sizes are not legal."""
    if cascade.declaration is None or cascade.splits:
        return None
    axes = sorted({axis.size for _, axis in architecture.axes.values() if axis.size > 1})
    sizes = {rank: rounder(size, axes) for rank, size in cascade.declaration.shape.items() if rank in cascade.extents}
    if all(size == cascade.extents[rank] for rank, size in sizes.items()):
        return None
    try:
        return resized(cascade, sizes)
    except InputError:  # sizes that a formula of the workload ties together
        return None


def rounder(size: int, axes: list[int]) -> int:
    """The size, or one a little larger, that can be cut best: it fills axes, adds little, and has many divisors."""
    smooth = _smooth(size, size + max(1, size // _MORE))

    def worth(number: int) -> float:
        parts = divisors(number)
        filled = [max(part for part in parts if part <= axis) / axis for axis in axes]
        return (sum(filled) / len(axes) if axes else 1.0) * size / number * (1 - _FEW / len(parts))

    return max(smooth, key=worth, default=size)


def _smooth(least: int, most: int) -> list[int]:
    """All numbers from the least to the most that have small primes only."""
    found = [1]
    for prime in _PRIMES:
        for number in list(found):
            while number * prime <= most:
                number *= prime
                found.append(number)
    return sorted(number for number in found if number >= least)


def cut(mapping: Mapping, cascade: Cascade) -> Mapping:
    """A mapping of larger sizes for a cascade's own: without loops that make a single trip."""
    return replace(mapping, nodes=_nodes(mapping.nodes, dict(cascade.extents)))


def _nodes(nodes: tuple[TreeNode, ...], left: dict[str, int]) -> tuple[TreeNode, ...]:
    found: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Fuse):
            found.append(replace(node, branches=tuple(_nodes(branch, dict(left)) for branch in node.branches)))
        elif isinstance(node, Leaf):
            found.append(replace(node, loops=tuple(loop for loop in node.loops if _turns(loop, left))))
        elif _turns(node, left):
            found.append(node)
    return tuple(found)


def _turns(loop: Loop, left: dict[str, int]) -> bool:
    """Whether a loop makes more than one trip, or is a keep; leaves what is left of its rank inside."""
    if isinstance(loop, Keep):
        return True
    assert isinstance(loop, (For, Spatial))
    trips, left[loop.rank] = loop.tile < left[loop.rank], min(loop.tile, left[loop.rank])
    return trips
