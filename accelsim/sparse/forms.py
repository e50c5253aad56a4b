"""Forms of nests: all but the sizes of tiles, with which a nest is made of another. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Spatial
from accelsim.sparse.nest import MOST_HELD, Nest, Turn

if TYPE_CHECKING:
    from accelsim.mapping.tree import Loop


@dataclass(frozen=True, slots=True)
class Form:
    """What leaves with equal tiles have in common if `key` is the same, on one machine and for one cascade; of every loop of the nest the
    tile and how many turns it has; and how many tiles of a tensor a memory holds at once, where more than one.
    """

    key: Hashable
    sizes: tuple[tuple[int, int], ...]
    buffers: tuple[tuple[str, str, int], ...]

    def of(self, known: Nest) -> Nest | None:
        """The nest with these sizes, from any of the form; None if it holds more tiles than are followed."""
        turns = tuple(
            Turn(turn.rank, tile, trips, turn.axis, turn.node, turn.meets)
            for turn, (tile, trips) in zip(known.turns, self.sizes, strict=True)
        )
        copies = [1]
        for turn in turns:
            copies.append(copies[-1] * turn.trips if turn.axis else copies[-1])
        crossings = known.crossings
        if self.buffers:
            held = {(tensor, memory): many for tensor, memory, many in self.buffers}
            come = [math.prod(turn.trips for turn in turns[: each.above_child]) for each in crossings]
            crossings = tuple(
                replace(each, buffers=min(held.get((each.tensor, each.child), 1), most)) for each, most in zip(crossings, come, strict=True)
            )
            if any(each.buffers > MOST_HELD for each in crossings):
                return None
        return replace(known, turns=turns, copies=tuple(copies), crossings=crossings)


def form_of(path: tuple[Loop | Fuse, ...], leaf: Leaf, ranks: Collection[str], extents: Dict[str, int]) -> Form:
    """The form of a leaf whose Einsum has some ranks, without loops that end tiles by elements."""
    left = {rank: extents[rank] for rank in ranks}
    key: list[Hashable] = [leaf.einsum, leaf.unit]
    sizes, buffers, looped = list[tuple[int, int]](), list[tuple[str, str, int]](), set[str]()
    for node in path:
        if isinstance(node, Keep):
            key.append(node)
            buffers += [(held.tensor, node.memory, held.copies) for held in node.held if held.copies > 1]
        elif isinstance(node, Fuse):
            key.append(node.schedule)
        elif node.rank in left:
            trips = -(-left[node.rank] // node.tile)
            key.append((node.rank, node.axis if isinstance(node, Spatial) else "", trips > 1))
            sizes.append((node.tile, trips))
            left[node.rank] = min(left[node.rank], node.tile)
            looped.add(node.rank)
        else:
            key.append((node.rank, isinstance(node, For)))
    for rank in ranks:
        if left[rank] > 1 or rank not in looped:
            key.append((rank, left[rank] > 1))
            sizes.append((1, left[rank]))
    return Form(tuple(key), tuple(sizes), tuple(buffers))
