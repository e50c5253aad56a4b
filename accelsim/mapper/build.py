"""From designs to a Mapping."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.mapper.keeps import Placer, interleaved, needed_again, nodes
from accelsim.mapper.leaves import planned
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design
from accelsim.mapper.spread import Spreader
from accelsim.mapping.tree import Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, TreeNode


def build(scope: Scope, spreader: Spreader, groups: Sequence[tuple[Sequence[str], Design]], name: str) -> Mapping:
    """The mapping of groups of consecutive Einsums, run one after the other; what passes between them is kept at the root."""
    branches: list[tuple[TreeNode, ...]] = []
    inside: set[str] = set()
    for names, design in groups:
        leaves = planned(scope, spreader, names, design)
        placer = Placer(scope, names, design, leaves)
        placed = placer.place()
        trunk = nodes(scope, design, placed)
        inside |= {tensor for tensor in placer.tensors if placer.internal(tensor) and any(held == tensor for _, held in placed.trunk)}
        around = {(node.memory, held.tensor) for node in trunk if isinstance(node, Keep) for held in node.held}
        finished = [
            Leaf(leaf.einsum, leaf.unit, _through(scope, leaf.einsum, around, interleaved(scope, design, leaf, keeps)))
            for leaf, keeps in zip(leaves, placed.leaves, strict=True)
        ]
        if len(finished) == 1:
            branches.append((*trunk, finished[0]))
        else:
            again = tuple(sorted(design.recompute.intersection(needed_again(scope, names, design.trunk))))
            branches.append((*trunk, Fuse(design.schedule, tuple((leaf,) for leaf in finished), recompute=again)))
    touched = dict.fromkeys(t for names, _ in groups for name in names for t in (*scope.reads[name], scope.writes[name]))
    root = Keep(scope.root, tuple(Held(tensor) for tensor in touched if tensor not in inside))
    top: tuple[TreeNode, ...] = (root,) if root.held else ()
    if len(branches) == 1:
        return Mapping(name, (*top, *branches[0]))
    return Mapping(name, (*top, Fuse("sequential", tuple(branches))))


def _through(scope: Scope, einsum: str, around: set[tuple[str, str]], loops: tuple[Loop, ...]) -> tuple[Loop, ...]:
    """Loops of a leaf with keeps of what it would take from a memory that is not direct: inside all its loops in time, where there is room.

    around: what memories hold above the leaf.
    """
    for memory in scope.architecture.memories.values():
        if memory.direct:
            continue
        inner = memory.feeds[0].name
        here = {held.tensor for node in loops if isinstance(node, Keep) and node.memory == inner for held in node.held}
        missing = [
            tensor for tensor in dict.fromkeys((*scope.reads[einsum], scope.writes[einsum]))
            if tensor not in here and (inner, tensor) not in around
        ]  # fmt: skip
        if missing:
            at = next((place for place, node in enumerate(loops) if isinstance(node, Spatial)), len(loops))
            loops = (*loops[:at], Keep(inner, tuple(map(Held, missing))), *loops[at:])
    return loops
