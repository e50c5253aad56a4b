"""The plain mapping of one Einsum on a grid array with one tensor in its elements, for campaigns that name no mapping."""

from __future__ import annotations

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.architecture import Architecture, Array, Memory
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import names


def stationed(cascade: Cascade, machine: Architecture, tensor: str) -> Mapping:
    """The tensor stays; ranks that rows and columns share out fill the array, the last ones first, and all else turns in time.

    InputError for a cascade of several Einsums, a machine without a grid array, and a tensor that the Einsum does not have.
    """
    if len(cascade.work) != 1:
        what = f"{cascade.name} has {len(cascade.work)} Einsums, and which runs where has to be said"
        raise InputError(what, "write mapping: FILE instead, with one of them on the array")
    (einsum,) = cascade.work
    tensors = [einsum.output.tensor, *(read.tensor for read in einsum.reads)]
    if tensor not in tensors:
        raise InputError(f"{einsum.name} has no tensor '{tensor}' to stay in the array", did_you_mean(tensor, tensors))
    for unit in machine.units:
        path = machine.paths[unit]
        above = [node for node in path if isinstance(node, Array)]
        if above and above[-1].systolic is not None and len(above[-1].axes) == 2:
            break
    else:
        raise InputError(f"{machine.name} has no systolic array", "name a machine like systolic128")
    array = above[-1]
    inside = [node.name for node in path[path.index(array) :] if isinstance(node, Memory)]
    outside = [node.name for node in path[: path.index(array)] if isinstance(node, Memory)]
    result = [rank for rank in einsum.ranks if rank not in einsum.reduced]
    indexed = [set(names(read)) for read in einsum.reads]
    mine = [rank for rank in result if len(indexed) == 2 and rank not in indexed[1]]
    other = [rank for rank in result if len(indexed) == 2 and rank not in indexed[0]]
    if tensor == einsum.output.tensor:
        rows, columns = mine, other
    else:
        rows, columns = list(einsum.reduced), other if tensor == einsum.reads[1].tensor else mine
    down, across = array.axes
    high, wide = _shared(cascade, rows, down.size), _shared(cascade, columns, across.size)
    shared = {**high, **wide}
    steps = [rank for rank in einsum.ranks if rank not in {*rows, *columns}]
    batch = [rank for rank in result if rank not in {*rows, *columns} and all(rank in each for each in indexed)]
    loops: list[TreeNode] = [For(rank, 1) for rank in batch]
    loops += [For(rank, shared.get(rank, 1)) for rank in (*rows, *columns)]
    loops += [Spatial(down.name, rank, 1) for rank in high] + [Spatial(across.name, rank, 1) for rank in wide]
    loops += [Keep(inside[0], (Held(tensor),))] if inside else []
    loops += [For(rank, 1) for rank in steps if rank not in batch]
    every = tuple(Held(each) for each in dict.fromkeys(tensors))
    leaf = Leaf(einsum.name, unit, tuple(loops))  # type: ignore[arg-type]
    return Mapping(f"{tensor} stays", (*(Keep(memory, every) for memory in outside), leaf))


def _shared(cascade: Cascade, ranks: list[str], size: int) -> dict[str, int]:
    """How much of ranks an axis shares out: the last one first, and one before it where all of those after it fit."""
    found: dict[str, int] = {}
    for rank in reversed(ranks):
        extent = cascade.extents[rank]
        part = min(extent, size)
        if part > 1:
            found[rank] = part
        size //= part
        if part < extent or size < 2:
            break
    return dict(reversed(found.items()))
