"""Names and sizes of a mapping that its cascade or its machine does not know."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.errors import IllegalMapping, did_you_mean
from accelsim.mapping.machine import Machine
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Spatial
from accelsim.mapping.walk import Row, Walk


def unknown_names(walked: Walk, target: Machine) -> Iterator[IllegalMapping]:
    """One problem for every name that means nothing, every tile that is too large, every Einsum missing or mapped twice."""
    if _is_open(walked.top):
        yield IllegalMapping("a branch of the tree ends without an Einsum", "end every list of nodes in one leaf or fuse")
        return
    mapped: set[str] = set()
    for row in walked.rows:
        node = row.node
        if isinstance(node, Keep):
            yield from _keep(node, walked, target)
        elif isinstance(node, (For, Spatial)):
            yield from _loop(node, row, target)
        elif isinstance(node, Leaf):
            yield from _leaf(node, walked, target)
            if node.einsum in mapped:
                yield IllegalMapping(f"{node.einsum} is mapped twice", "remove one of the two", node.place)
            mapped.add(node.einsum)
        else:
            yield from _fuse(node, walked)
    for name in walked.facts.einsums:
        if name not in mapped:
            yield IllegalMapping(f"{name} is not mapped", f"write {{einsum: {name}, unit: …}} where it should run")


def _is_open(rows: tuple[Row, ...]) -> bool:
    """Whether a list of nodes, or a branch in it, does not end in a leaf or a fuse."""
    if not rows or not isinstance(rows[-1].node, (Leaf, Fuse)):
        return True
    end = rows[-1]
    return isinstance(end.node, Fuse) and (not end.branches or any(_is_open(branch) for branch in end.branches))


def _keep(node: Keep, walked: Walk, target: Machine) -> Iterator[IllegalMapping]:
    memories, tensors = target.architecture.memories, walked.facts.cascade.tensors
    if node.memory not in memories:
        yield IllegalMapping(f"no memory '{node.memory}' in {target.architecture.name}", did_you_mean(node.memory, memories), node.place)
    seen: set[str] = set()
    for held in node.held:
        for tensor in (held.tensor, *held.in_place):
            if tensor not in tensors:
                yield IllegalMapping(f"no tensor '{tensor}' in {walked.facts.cascade.name}", did_you_mean(tensor, tensors), node.place)
            elif tensor in seen:
                yield IllegalMapping(f"{node.memory} keeps {tensor} twice", "remove one of the two", node.place)
            seen.add(tensor)
        if held.layout and held.tensor in tensors:
            ranks = walked.facts.indexing.get(held.tensor, frozenset())
            for rank in held.layout:
                if rank not in ranks:
                    yield IllegalMapping(f"layout of {held.tensor}: no rank '{rank}' indexes it", did_you_mean(rank, ranks), node.place)


def _loop(node: For | Spatial, row: Row, target: Machine) -> Iterator[IllegalMapping]:
    if isinstance(node, Spatial) and node.axis not in target.axis_sizes:
        yield IllegalMapping(f"no axis '{node.axis}' in {target.architecture.name}", did_you_mean(node.axis, target.axis_sizes), node.place)
    size = row.left.get(node.rank)
    if size is None:
        ranks = filter(str.isidentifier, row.left)  # without what values choose
        yield IllegalMapping(f"no rank '{node.rank}' in the cascade", did_you_mean(node.rank, ranks), node.place)
    elif node.tile < 1:
        yield IllegalMapping(f"tile {node.tile} of {node.rank} is not a size", "write a whole number above 0", node.place)
    elif node.tile > size:
        what = f"tile {node.tile} of {node.rank} is larger than the {size} that is left of it"
        yield IllegalMapping(what, f"write at most {size}", node.place)


def _leaf(node: Leaf, walked: Walk, target: Machine) -> Iterator[IllegalMapping]:
    einsums = walked.facts.einsums
    if node.einsum not in einsums:
        if node.einsum in walked.facts.cascade.by_name:
            yield IllegalMapping(f"{node.einsum} only sets a first slice, it needs no unit", "remove it from the mapping", node.place)
        else:
            what = f"no Einsum '{node.einsum}' in {walked.facts.cascade.name}"
            yield IllegalMapping(what, did_you_mean(node.einsum, einsums), node.place)
    if node.unit not in target.depths:
        yield IllegalMapping(f"no unit '{node.unit}' in {target.architecture.name}", did_you_mean(node.unit, target.depths), node.place)


def _fuse(node: Fuse, walked: Walk) -> Iterator[IllegalMapping]:
    for tensor in node.recompute:
        if not any(use.writes for use in walked.facts.uses.get(tensor, ())):
            computed = [name for name, uses in walked.facts.uses.items() if any(use.writes for use in uses)]
            yield IllegalMapping(f"recompute: no Einsum computes '{tensor}'", did_you_mean(tensor, computed), node.place)
    staged = [name for stage in node.stages for name in (*stage.einsums, *stage.previous)]
    if not staged:
        return
    below = _einsums_below(node)
    for name in staged:
        if name not in below:
            yield IllegalMapping(f"stages: no Einsum '{name}' in this fuse", did_you_mean(name, below), node.place)
    for name in below:
        if staged.count(name) != 1:
            how = "in no stage" if name not in staged else "in two stages"
            yield IllegalMapping(f"stages: {name} is {how}", "name every Einsum of the fuse once", node.place)


def _einsums_below(node: Fuse) -> list[str]:
    found = []
    for branch in node.branches:
        end = branch[-1]
        if isinstance(end, Leaf):
            found.append(end.einsum)
        elif isinstance(end, Fuse):
            found.extend(_einsums_below(end))
    return found
