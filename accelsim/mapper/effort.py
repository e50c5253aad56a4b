"""How long counting a mapping takes: under a condition, tiles that are not all alike are looked at one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accelsim.mapper.leaves import trips
from accelsim.mapper.scope import Scope
from accelsim.mapping.tree import For, Fuse, Keep, Loop

MOST_TILES = 1 << 20  # of a mapping that is counted
_TILES_PER_EVALUATION = 512  # counting so many tiles takes about as long as an evaluation
_UNEVEN = 64  # listing copies as well takes so much longer per tile


def tiles(scope: Scope, paths: Iterable[tuple[str, Sequence[Loop | Fuse]]]) -> int:
    """Tiles of conditioned Einsums that counting looks at one by one: steps in time, and copies that time cuts further.

    `paths`: each Einsum with all nodes above it, from outside in.
    """
    if not scope.share:
        return 0
    total = 0
    for einsum, nodes in paths:
        coupled = scope.coupled[einsum]
        if not coupled:
            continue
        time, copies = 1, 1
        left, spread, ragged, late = dict(scope.cascade.extents), set(), set(), False
        for loop in nodes:
            if isinstance(loop, (Keep, Fuse)):
                continue
            size = left[loop.rank]
            left[loop.rank] = min(size, loop.tile)
            if loop.rank not in coupled:
                continue
            if size % left[loop.rank]:
                ragged.add(loop.rank)
            if isinstance(loop, For):
                time *= trips(size, loop.tile)
                late = late or loop.rank in spread
            else:
                copies *= trips(size, loop.tile)
                spread.add(loop.rank)
        total += _UNEVEN * time * copies if late or ragged & spread else time
    return total


def evaluations(listed: int) -> int:
    """Evaluations of mappings without conditions that take as long as one for which so many tiles are looked at."""
    return 1 + listed // _TILES_PER_EVALUATION
