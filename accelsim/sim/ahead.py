"""A mapping whose tiles are filled ahead: two places for each tensor that a memory below the root holds, where there is room for them.

And one with a single place for each.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import Fuse, Held, Keep, Leaf, Mapping, TreeNode
from accelsim.workload.cascade import Cascade

_TWO = 2


def filled_ahead(cascade: Cascade, architecture: Architecture, mapping: Mapping) -> Mapping:
    """The same mapping with a second copy wherever it stays legal, outer keeps first."""
    sites = sum(len(keep.held) for keep in _keeps(mapping.nodes) if keep.memory != architecture.root.name)
    for site in range(sites):
        changed = replace(mapping, nodes=_changed(mapping.nodes, architecture.root.name, [site]))
        if is_legal(cascade, architecture, changed):
            mapping = changed
    return mapping


def with_one_place(mapping: Mapping) -> Mapping:
    """The same mapping with one copy of each tile."""
    return replace(mapping, nodes=_single(mapping.nodes))


def _single(nodes: tuple[TreeNode, ...]) -> tuple[TreeNode, ...]:
    made: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Keep):
            made.append(_alone(node))
        elif isinstance(node, Leaf):
            made.append(replace(node, loops=tuple(_alone(loop) if isinstance(loop, Keep) else loop for loop in node.loops)))
        elif isinstance(node, Fuse):
            made.append(replace(node, branches=tuple(_single(branch) for branch in node.branches)))
        else:
            made.append(node)
    return tuple(made)


def _alone(keep: Keep) -> Keep:
    return replace(keep, held=tuple(replace(each, copies=1) for each in keep.held))


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


def _changed(nodes: tuple[TreeNode, ...], root: str, left: list[int]) -> tuple[TreeNode, ...]:
    """Nodes with a second copy for the tensor at a site; `left`: how many held tensors come before it."""
    made: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Keep):
            made.append(_wider(node, root, left))
        elif isinstance(node, Leaf):
            made.append(replace(node, loops=tuple(_wider(loop, root, left) if isinstance(loop, Keep) else loop for loop in node.loops)))
        elif isinstance(node, Fuse):
            made.append(replace(node, branches=tuple(_changed(branch, root, left) for branch in node.branches)))
        else:
            made.append(node)
    return tuple(made)


def _wider(keep: Keep, root: str, left: list[int]) -> Keep:
    if keep.memory == root:
        return keep
    held: list[Held] = []
    for each in keep.held:
        held.append(replace(each, copies=max(_TWO, each.copies)) if left[0] == 0 else each)
        left[0] -= 1
    return replace(keep, held=tuple(held))
