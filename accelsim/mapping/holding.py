"""Loops whose tiles hold at most so many stored elements of a tensor: known where elements are, taken out where sizes alone count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import replace

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Fuse, Leaf, Loop, Mapping, Spatial, TreeNode


def loops_by_elements(nodes: Iterable[TreeNode]) -> Iterator[For]:
    """Loops of a tree whose tiles hold so many elements."""
    for node in nodes:
        if isinstance(node, For) and node.of:
            yield node
        elif isinstance(node, Leaf):
            yield from loops_by_elements(node.loops)
        elif isinstance(node, Fuse):
            for branch in node.branches:
                yield from loops_by_elements(branch)


def refused_by_size(loop: For, who: str) -> IllegalMapping:
    """Why a loop is not known to `who`, which counts tiles by their sizes."""
    what = f"tiles of 'for {loop.rank}' hold {loop.tile} stored elements of {loop.of}, and {who}"
    return IllegalMapping(what, f"write a size, as in 'for {loop.rank}: 16'", loop.place)


def refuse_by_elements(mapping: Mapping) -> None:
    """IllegalMapping for a mapping with tiles that hold so many elements, where all elements count."""
    for loop in loops_by_elements(mapping.nodes):
        raise refused_by_size(loop, "here all elements count")


def by_size(mapping: Mapping, extents: Dict[str, int], largest: Dict[int, int] | None = None) -> Mapping:
    """The mapping with tiles of a size where they hold so many elements: the largest by `id` of the loop, or all that is left."""
    if not largest and next(loops_by_elements(mapping.nodes), None) is None:
        return mapping
    return replace(mapping, nodes=tuple(_by_size(mapping.nodes, dict(extents), largest or {})))


def _by_size(nodes: tuple[TreeNode, ...], left: dict[str, int], largest: Dict[int, int]) -> Iterator[TreeNode]:
    for node in nodes:
        if isinstance(node, Leaf):
            yield replace(node, loops=tuple(_loops(node.loops, left, largest)))
        elif isinstance(node, Fuse):
            yield replace(node, branches=tuple(tuple(_by_size(branch, dict(left), largest)) for branch in node.branches))
        else:
            yield from _loops((node,), left, largest)


def _loops(loops: tuple[Loop, ...], left: dict[str, int], largest: Dict[int, int]) -> Iterator[Loop]:
    for loop in loops:
        sized = loop
        if isinstance(loop, For) and loop.of:
            sized = For(loop.rank, largest.get(id(loop), left.get(loop.rank, 1)), loop.place)
        if isinstance(sized, (For, Spatial)) and sized.rank in left:
            left[sized.rank] = min(left[sized.rank], sized.tile)
            sized = replace(sized, tile=left[sized.rank]) if largest else sized  # the sizes of tiles inside hang on elements too
        yield sized
