"""Whether a cascade and a machine allow a mapping: every rule in words, one sentence for each breach."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from accelsim.errors import IllegalMapping, did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.dependence import Homes, broken_dependences
from accelsim.mapping.facts import Facts, facts
from accelsim.mapping.holding import by_size, loops_by_elements, refused_by_size
from accelsim.mapping.machine import Machine, machine
from accelsim.mapping.occupancy import misfits
from accelsim.mapping.steps import broken_overwriting, broken_recurrences, broken_stages
from accelsim.mapping.tree import For, Keep, Leaf, Mapping, Spatial
from accelsim.mapping.unknown import unknown_names
from accelsim.mapping.walk import Row, Walk, walk
from accelsim.workload.cascade import Cascade

Keepers = list[dict[str, list[int]]]
"""For every leaf, the positions on its path of the keeps that hold each of its tensors, outermost first."""


def check(cascade: Cascade, architecture: Architecture, mapping: Mapping, room: bool = True) -> None:
    """Raises the first breach as an IllegalMapping; returns if the mapping is legal. `room`: whether all elements of tiles have to fit."""
    for problem in _problems(cascade, architecture, mapping, room):
        raise problem


def problems(cascade: Cascade, architecture: Architecture, mapping: Mapping) -> list[IllegalMapping]:
    """Every breach of the first kind of rule that is broken (names, then paths, then homes and dependences, then capacity)."""
    return list(_problems(cascade, architecture, mapping))


def is_legal(cascade: Cascade, architecture: Architecture, mapping: Mapping) -> bool:
    """Whether a mapping breaks no rule."""
    return next(_problems(cascade, architecture, mapping), None) is None


def _problems(cascade: Cascade, architecture: Architecture, mapping: Mapping, room: bool = True) -> Iterator[IllegalMapping]:
    for part, size in mapping.sizes:
        if cascade.extents.get(part) != size:
            what = f"the mapping is for {part} = {size}, {cascade.name} has {cascade.extents.get(part, 'no such part')}"
            yield IllegalMapping(what, "give both the same size")
            return
    by_elements = next(loops_by_elements(mapping.nodes), None)
    if by_elements is not None and room:
        yield refused_by_size(by_elements, "here all elements count")
        return
    known = facts(cascade)
    walked = walk(known, mapping if by_elements is None else by_size(mapping, cascade.extents))
    target = machine(architecture)
    found = False
    for problem in unknown_names(walked, target):
        found = True
        yield problem
    if found:
        return
    keepers: Keepers = []
    for number in range(len(walked.leaves)):
        for problem in _path(walked, number, target, keepers):
            found = True
            yield problem
    for problem in _useless(walked):
        found = True
        yield problem
    if found:
        return
    homes = Homes(walked, keepers)
    for problem in chain(broken_dependences(homes), broken_recurrences(homes), broken_overwriting(homes), broken_stages(homes)):
        found = True
        yield problem
    if not found and room:
        yield from misfits(homes, architecture)


def _path(walked: Walk, number: int, target: Machine, keepers: Keepers) -> Iterator[IllegalMapping]:
    """What is wrong with the way from the root of the machine to the unit of one leaf."""
    known, leaf, path = walked.facts, walked.leaves[number], walked.paths[number]
    einsum = known.einsums[leaf.einsum]
    ranks, depths = known.ranks[leaf.einsum], target.depths[leaf.unit]
    missing = target.lacks(known.cascade, einsum, leaf.unit)
    if missing is not None:
        able = [name for name in target.depths if target.lacks(known.cascade, einsum, name) is None]
        mend = f"use {' or '.join(able)}" if able else "no unit of this machine can; give one the primitive"
        yield IllegalMapping(f"unit {leaf.unit} cannot execute {leaf.einsum}: it has {missing}", mend, leaf.place)
    kept: dict[str, list[int]] = {tensor: [] for tensor in known.touched[leaf.einsum]}
    keepers.append(kept)
    copies: dict[str, int] = {}
    deepest_keep: tuple[int, str] = (-1, "")
    deepest_axis: tuple[int, str] = (-1, "")
    own = len(path) - len(leaf.loops)
    for position, row in enumerate(path):
        node = row.node
        if isinstance(node, Keep):
            mine = [tensor for tensor in row.kept if tensor in kept]
            if not mine:
                continue
            depth = depths.get(node.memory)
            if depth is None:
                mend = did_you_mean(node.memory, _memories(target, leaf.unit))
                what = f"{node.memory} keeps {mine[0]} but does not feed {leaf.unit}, which runs {leaf.einsum}"
                yield IllegalMapping(what, mend, node.place)
                continue
            if depth < deepest_axis[0]:
                what = f"keep {node.memory} stands below spatial {deepest_axis[1]}, but {node.memory} is above that axis in the machine"
                yield IllegalMapping(what, f"move the keep above spatial {deepest_axis[1]}", node.place)
            deepest_keep = max(deepest_keep, (depth, node.memory))
            for tensor in mine:
                yield from _nested(tensor, node, depth, kept[tensor], path, depths)
                kept[tensor].append(position)
        elif isinstance(node, (For, Spatial)):
            if node.rank not in ranks:
                if position >= own:
                    what = f"{leaf.einsum} has no rank '{node.rank}' to loop over"
                    yield IllegalMapping(what, f"its ranks: {', '.join(einsum.ranks)}", node.place)
                continue
            if isinstance(node, For):
                continue
            depth = depths.get(node.axis)
            if depth is None:
                axes = [axis for axis in target.axis_sizes if axis in depths]
                mend = did_you_mean(node.axis, axes) if axes else f"no array stands above {leaf.unit}"
                yield IllegalMapping(f"axis {node.axis} does not lead to {leaf.unit}, which runs {leaf.einsum}", mend, node.place)
                continue
            if depth < deepest_keep[0]:
                what = f"spatial {node.axis} stands below keep {deepest_keep[1]}, but {deepest_keep[1]} is inside that axis in the machine"
                yield IllegalMapping(what, f"move the keep below spatial {node.axis}", node.place)
            deepest_axis = max(deepest_axis, (depth, node.axis))
            copies[node.axis] = copies.get(node.axis, 1) * row.trips
            if copies[node.axis] > target.axis_sizes[node.axis]:
                yield _too_many(node, row, copies[node.axis], target.axis_sizes[node.axis], leaf)
            axis = target.architecture.axes[node.axis][1]
            if row.trips > 1 and node.rank in einsum.reduced and not (axis.partials or einsum.reduce in axis.reduces):
                what = f"copies along {node.axis} each make a part of a sum over {node.rank}, which {node.axis} does not allow"
                yield IllegalMapping(what, f"spread a rank of {einsum.output.tensor}", node.place)
    yield from _kept(known, leaf, kept, path, target.root)
    yield from _passed_over(leaf, kept, path, target)


def _passed_over(leaf: Leaf, kept: dict[str, list[int]], path: tuple[Row, ...], target: Machine) -> Iterator[IllegalMapping]:
    """What a unit touches is kept below memories that are not direct."""
    for outer, inner in target.instead.items():
        if outer not in target.depths[leaf.unit]:
            continue
        for tensor, positions in kept.items():
            if positions and not any(path[position].node.memory == inner for position in positions):  # type: ignore[union-attr]
                yield IllegalMapping(f"{leaf.einsum} takes {tensor} straight from {outer}", f"keep {tensor} in {inner}", leaf.place)


def _memories(target: Machine, unit: str) -> list[str]:
    return [name for name in target.depths[unit] if name not in target.axis_sizes]


def _nested(
    tensor: str, node: Keep, depth: int, above: list[int], path: tuple[Row, ...], depths: dict[str, int]
) -> Iterator[IllegalMapping]:
    """A tensor's keepers must lie deeper and deeper in the machine."""
    for position in above:
        outer = path[position].node
        assert isinstance(outer, Keep)
        if outer.memory == node.memory:
            what = f"{node.memory} keeps {tensor} twice on the way to one Einsum"
            yield IllegalMapping(what, "remove one of the two keeps", node.place)
        elif depths.get(outer.memory, -1) > depth:
            what = f"keep {node.memory} of {tensor} stands below keep {outer.memory}, which is further in in the machine"
            yield IllegalMapping(what, "name the outer memory first", node.place)


def _too_many(node: Spatial, row: Row, copies: int, size: int, leaf: Leaf) -> IllegalMapping:
    others = copies // row.trips
    least = -(-row.left[node.rank] // max(1, size // others)) if others <= size else None
    mend = f"make the tile of {node.rank} at least {least}" if least is not None else f"use axis {node.axis} for fewer loops"
    return IllegalMapping(f"{leaf.einsum} takes {copies} copies along {node.axis}, which has {size}", mend, node.place)


def _kept(known: Facts, leaf: Leaf, kept: dict[str, list[int]], path: tuple[Row, ...], root: str) -> Iterator[IllegalMapping]:
    """Every tensor of a leaf has a keeper; inputs and outputs of the cascade come from and go to the outermost memory."""
    for tensor, positions in kept.items():
        noun = known.cascade.tensors[tensor]
        if not positions:
            where = f"keep {root}" if noun.is_input or noun.is_output else "a memory above its producer and consumers"
            yield IllegalMapping(f"nothing above {leaf.einsum} keeps {tensor}", f"add {tensor} to {where}", leaf.place)
            continue
        home = path[positions[0]].node
        assert isinstance(home, Keep)
        if (noun.is_input or noun.is_output) and home.memory != root:
            kind = "an input" if noun.is_input else "an output"
            what = f"{tensor} is {kind} of the cascade, but its outermost keep above {leaf.einsum} is {home.memory}"
            yield IllegalMapping(what, f"keep {tensor} in {root} above it", home.place)
        for held in home.held:
            if held.fraction.denominator != 1 and (tensor == held.tensor or tensor in held.in_place):
                what = f"{home.memory} keeps {held.fraction} of {tensor}, and no keep outside it holds the rest"
                yield IllegalMapping(what, f"keep {tensor} in a memory further out, or keep all of it", home.place)


def _useless(walked: Walk) -> Iterator[IllegalMapping]:
    """Loops and keeps that no Einsum below them has anything to do with."""
    known, names = walked.facts, [leaf.einsum for leaf in walked.leaves]
    for row in walked.rows:
        node = row.node
        below = names if row.last - row.first == len(names) else names[row.first : row.last]
        if isinstance(node, Keep):
            for tensor in row.kept:
                if not any(tensor in known.mentions[name] for name in below):
                    yield IllegalMapping(f"{node.memory} keeps {tensor}, which no Einsum below touches", "remove it", node.place)
        elif isinstance(node, (For, Spatial)) and not any(node.rank in known.ranks[name] for name in below):
            ranks = sorted({rank for name in below for rank in known.ranks[name]})
            if not _is_own(walked, row):
                yield IllegalMapping(f"no Einsum below loops over '{node.rank}'", f"ranks below: {', '.join(ranks)}", node.place)


def _is_own(walked: Walk, row: Row) -> bool:
    """Whether a row is one of a leaf's own loops."""
    return row.last == row.first + 1 and len(row.above) >= len(walked.paths[row.first]) - len(walked.leaves[row.first].loops)
