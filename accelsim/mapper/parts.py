"""Consecutive Einsums of a cascade as a cascade of their own: what crosses its edges becomes input or output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim.workload.cascade import Cascade, Tensor


def part(cascade: Cascade, names: Sequence[str]) -> Cascade:
    """The cascade of some consecutive working Einsums (the same cascade for all of them)."""
    chosen = set(names)
    if len(chosen) == len(cascade.work):
        return cascade
    work = [einsum for einsum in cascade.work if einsum.name in chosen]
    written = {einsum.output.tensor for einsum in work}
    einsums = tuple(
        einsum for einsum in cascade.einsums if einsum.name in chosen or (einsum.initial and einsum.output.tensor in written)
    )
    touched = dict.fromkeys(access.tensor for einsum in work for access in (*einsum.reads, *einsum.condition_reads, einsum.output))
    tensors = {}
    for name in touched:
        tensor = cascade.tensors[name]
        makers = cascade.producers.get(name, ())
        users = cascade.consumers.get(name, ())
        tensors[name] = replace(
            tensor,
            is_input=tensor.is_input or not any(maker.name in chosen for maker in makers),
            passing=tensor.passing or (name in written and _passes(cascade, tensor, chosen)),
            is_output=tensor.is_output or (name in written and any(user.name not in chosen for user in users)),
        )
    return replace(cascade, name=f"{cascade.name}[{names[0]}..{names[-1]}]", einsums=einsums, tensors=tensors, declaration=None)


def _passes(cascade: Cascade, tensor: Tensor, inside: set[str]) -> bool:
    """Whether Einsums that are not inside read slices of an iterative tensor as they are made."""
    if tensor.iterative is None:
        return False
    reads = (access for user in cascade.consumers.get(tensor.name, ()) if user.name not in inside for access in user.reads)
    maps = (cascade.index_maps(access)[tensor.iterative] for access in reads if access.tensor == tensor.name)
    return any(index is None or index.terms for index in maps)
