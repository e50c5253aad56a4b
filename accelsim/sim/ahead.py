"""A mapping whose tiles are filled ahead: two places for each tensor that a memory below the root holds, where there is room for them.

And one with a single place for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import Fuse, Keep, Leaf, Mapping, TreeNode
from accelsim.workload.cascade import Cascade

_TWO = 2


def filled_ahead(cascade: Cascade, architecture: Architecture, mapping: Mapping) -> Mapping:
    """The same mapping with a second copy wherever it stays legal, outer keeps first."""
    sites = sum(len(keep.held) for keep in _keeps(mapping.nodes) if keep.memory != architecture.root.name)
    for site in range(sites):
        changed = _widened(mapping, architecture.root.name, site)
        if is_legal(cascade, architecture, changed):
            mapping = changed
    return mapping


def with_one_place(mapping: Mapping) -> Mapping:
    """The same mapping with one copy of each tile."""

    def alone(keep: Keep) -> Keep:
        return replace(keep, held=tuple(replace(each, copies=1) for each in keep.held))

    return replace(mapping, nodes=_changed(mapping.nodes, alone))


def _keeps(nodes: tuple[TreeNode, ...]) -> list[Keep]:
    found: list[Keep] = []
    for node in nodes:
        if isinstance(node, Keep):
            found.append(node)
        elif isinstance(node, Leaf):
            found += [loop for loop in node.loops if isinstance(loop, Keep)]
        elif isinstance(node, Fuse):
            found += [keep for branch in node.branches for keep in _keeps(branch)]
    return found


def _changed(nodes: tuple[TreeNode, ...], change: Callable[[Keep], Keep]) -> tuple[TreeNode, ...]:
    """Nodes with every keep changed, in their order."""
    made: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Keep):
            made.append(change(node))
        elif isinstance(node, Leaf):
            made.append(replace(node, loops=tuple(change(loop) if isinstance(loop, Keep) else loop for loop in node.loops)))
        elif isinstance(node, Fuse):
            made.append(replace(node, branches=tuple(_changed(branch, change) for branch in node.branches)))
        else:
            made.append(node)
    return tuple(made)


def _widened(mapping: Mapping, root: str, site: int) -> Mapping:
    """With a second copy of the tensor at a site, counted over what memories below the root hold."""
    places = count()

    def wider(keep: Keep) -> Keep:
        if keep.memory == root:
            return keep
        held = (replace(each, copies=max(_TWO, each.copies)) if next(places) == site else each for each in keep.held)
        return replace(keep, held=tuple(held))

    return replace(mapping, nodes=_changed(mapping.nodes, wider))
