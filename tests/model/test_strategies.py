"""The random triples: every feature appears often, and the replay accepts each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil

import pytest
from hypothesis import given

from accelsim.hardware.architecture import Architecture, Array, Memory
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Spatial, TreeNode
from accelsim.model.reference_nest import build_nests
from tests.model.strategies import Triple, recurrent_triples, seeded_triples, triples
from tests.share import share


def nodes(tree: tuple[TreeNode, ...]) -> Iterator[TreeNode]:
    """Every node of a tree, the loops of its leaves included."""
    for node in tree:
        yield node
        if isinstance(node, Leaf):
            yield from node.loops
        if isinstance(node, Fuse):
            for branch in node.branches:
                yield from nodes(branch)


def features(triple: Triple) -> set[str]:
    """Names of what a triple contains."""
    cascade, machine, mapping, counting = triple
    found = {f"{name}={value}" for name, value in counting.to_json().items()}
    found |= {f"{len(machine.memories)} memories", "two units" if len(machine.units) > 1 else "one unit"}
    found |= {"lanes" for unit in machine.units.values() if unit.lanes > 1 and unit.name == "PE"}
    every = list(nodes(mapping.nodes))
    fuses = [node for node in every if isinstance(node, Fuse)]
    found |= {fuse.schedule for fuse in fuses}
    found |= {"nested fuse"} if len(fuses) > 1 else set()
    found |= {"chain of three"} if any(len(fuse.branches) > 2 for fuse in fuses) else set()
    for einsum in cascade.work:
        found |= {"condition"} if einsum.condition else set()
        found |= {f"reduces by {einsum.reduce}"} if einsum.reduced else set()
        reads = [read.tensor for read in einsum.reads]
        found |= {"two reads of a tensor"} if len(set(reads)) < len(reads) else set()
        for access in (*einsum.reads, einsum.output):
            for dimension, index in enumerate(cascade.index_maps(access)):
                assert index is not None
                sizes = {rank: cascade.extents[rank] for rank in index.ranks}
                top = (sum(factor * (sizes[rank] - 1) for rank, factor in index.terms) + index.offset) // index.divisor
                found |= {"//"} if index.divisor > 1 else set()
                found |= {"%"} if index.modulus else set()
                found |= {"window"} if len([size for size in sizes.values() if size > 1]) > 1 else set()
                found |= {"stride"} if any(abs(factor) > 1 for _, factor in index.terms) else set()
                outside = index.offset < 0 or (not index.modulus and top >= cascade.tensors[access.tensor].shape[dimension])
                found |= {"reads outside"} if outside else set()
                found |= {"iterative"} if cascade.tensors[access.tensor].iterative is not None else set()
                found |= {"last slice"} if cascade.tensors[access.tensor].iterative == dimension and not index.terms else set()
    for keep in (node for node in every if isinstance(node, Keep)):
        found |= {"fraction" for held in keep.held if held.fraction < 1} | {"in place" for held in keep.held if held.in_place}
    for path, leaf in mapping.paths():
        left = dict(cascade.extents)
        axes = Counter(node.axis for node in path if isinstance(node, Spatial))
        found |= {"axis used twice"} if any(number > 1 for number in axes.values()) else set()
        found |= {"arrays in arrays"} if len({machine.axes[axis][0].name for axis in axes}) > 1 else set()
        memories = {node.name for node in machine.paths[leaf.unit] if isinstance(node, Memory)}
        for tensor in {access.tensor for access in (*cascade.by_name[leaf.einsum].reads, cascade.by_name[leaf.einsum].output)}:
            kept = {node.memory for node in path if isinstance(node, Keep) and tensor in node.tensors}
            found |= {"bypass"} if kept and kept < memories else set()
        for node in path:
            if isinstance(node, (For, Spatial)):
                found |= {f"short last tile in {'time' if isinstance(node, For) else 'space'}"} if left[node.rank] % node.tile else set()
                if isinstance(node, Spatial) and left[node.rank] > node.tile:
                    axis = machine.axes[node.axis][1]
                    found |= {"multicast" if axis.multicast else "no multicast", "axis reduces" if axis.reduces else "axis does not reduce"}
                    found |= {"reduced rank in space"} if node.rank in cascade.by_name[leaf.einsum].reduced else set()
                left[node.rank] = node.tile
    for nest in build_nests(cascade, mapping).values():
        for (_, node), step in zip(nest.nodes, nest.steps, strict=False):
            if isinstance(node, (For, Spatial)) and (step is None or cascade.extents[step.rank] > step.size):
                found.add(step.how if step else "dropped")
    found |= {"slices come back" for path, leaf in mapping.paths() if slices_come_back(triple, path, leaf.einsum)}
    trunk = Counter(tensor for node in mapping.nodes if isinstance(node, Keep) for tensor in node.tensors)
    found |= {"passed below two keeps" for tensor in cascade.producers if trunk[tensor] > 1 and tensor in cascade.consumers}
    return found


def slices_come_back(triple: Triple, path: Sequence[TreeNode], einsum: str) -> bool:
    """Whether a recurrence is kept inside a loop over another of its ranks that turns inside that over its slices, and also outside."""
    cascade, output = triple[0], triple[0].by_name[einsum].output
    along, left, turning, kept = cascade.tensors[output.tensor].iterative, dict(cascade.extents), list[str](), 0
    maps = cascade.index_maps(output)
    for node in path:
        if isinstance(node, (For, Spatial)):
            turning += [node.rank] if isinstance(node, For) and node.tile < left[node.rank] else []
            left[node.rank] = min(left[node.rank], node.tile)
        elif isinstance(node, Keep) and output.tensor in node.tensors and along is not None:
            slices, own = maps[along].ranks, {rank for index in maps for rank in index.ranks}  # type: ignore[union-attr]
            places = [place for place, rank in enumerate(turning) if rank in slices]
            if kept and places and set(turning[places[0] :]) & (own - set(slices)):
                return True
            kept += 1
    return False


EXPECTED = {  # share of the triples that a feature should appear in, at least
    **dict.fromkeys(("no multicast", "pipelined", "axis reduces"), 0.1),
    **{f"{number} memories": 0.1 for number in (1, 2, 3, 4)},
    **dict.fromkeys(("drains=free", "returned_partials=every_member", "first_touch=child", "footprint=box", "refill=every_visit"), 0.15),
    **dict.fromkeys(("two units", "lanes", "multicast", "axis does not reduce", "bypass"), 0.15),
    **dict.fromkeys(("short last tile in time", "window", "sequential", "fraction"), 0.15),
    **dict.fromkeys(("short last tile in space", "condition", "iterative", "stride", "reads outside", "arrays in arrays"), 0.05),
    **dict.fromkeys(("staged", "chain of three", "retained", "axis used twice", "//", "reduces by max"), 0.05),
    **dict.fromkeys(("two reads of a tensor", "reduced rank in space", "dropped"), 0.05),
    **dict.fromkeys(("recomputed", "repeated", "%", "nested fuse", "last slice", "passed below two keeps"), 0.02),
    "in place": 0.003,
}


@pytest.mark.slow
def test_every_feature_appears_often() -> None:
    drawn = list(seeded_triples(7, share(1200, 600, 600)))
    shares = Counter(feature for triple in drawn for feature in features(triple))
    rare = {feature: shares[feature] for feature, least in EXPECTED.items() if shares[feature] < least * len(drawn)}
    assert not rare


def test_slices_of_recurrences_often_come_back() -> None:
    drawn = list(recurrent_triples(7, 300))
    assert sum("slices come back" in features(triple) for triple in drawn) > len(drawn) // 20


def copies_fit(machine: Architecture, triple: Triple) -> bool:
    """Whether no path uses more copies of an axis than there are."""
    cascade, _, mapping, _ = triple
    for path, _ in mapping.paths():
        left, used = dict(cascade.extents), Counter[str]()
        for node in path:
            if isinstance(node, Spatial):
                used[node.axis] = max(1, used[node.axis]) * ceil(left[node.rank] / node.tile)
            if isinstance(node, (For, Spatial)):
                if node.tile > left[node.rank]:
                    return False
                left[node.rank] = node.tile
        if any(number > machine.axes[axis][1].size for axis, number in used.items()):
            return False
    return True


@given(triples())
def test_triples_fit_their_machine_and_every_einsum_is_mapped_once(triple: Triple) -> None:
    cascade, machine, mapping, _ = triple
    assert copies_fit(machine, triple)
    assert sorted(leaf.einsum for _, leaf in mapping.paths()) == sorted(einsum.name for einsum in cascade.work)
    for path, leaf in mapping.paths():
        order = [node.name for node in machine.paths[leaf.unit] if isinstance(node, Memory)]
        arrays = [node.name for node in machine.paths[leaf.unit] if isinstance(node, (Memory, Array))]
        kept = [node.memory for node in path if isinstance(node, Keep)]
        assert kept == sorted(kept, key=order.index)
        place = 0
        for node in path:
            if isinstance(node, (Keep, Spatial)):
                here = arrays.index(node.memory if isinstance(node, Keep) else machine.axes[node.axis][0].name)
                assert here >= place
                place = here


def test_every_kind_of_problem_is_drawn() -> None:
    kinds = {"matmul", "convolution", "indexed", "masked", "split", "running", "attention", "chain", "windows"}
    assert {triple[0].name for triple in seeded_triples(1, 300)} == kinds
