"""Formats that the search over stored elements may choose: the kind of every rank of inputs and of results.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from accelsim.workload.storage import KINDS, Storage

if TYPE_CHECKING:
    from accelsim.workload.cascade import Cascade

Kinds = tuple[str, ...]
Formats = tuple[tuple[str, Kinds], ...]
"""Tensors with the kind of each of their ranks; tensors that are not there are stored as the workload says."""


def every_format(cascade: Cascade, names: Iterable[str], fixed: Dict[str, Kinds] | None = None) -> Iterator[Formats]:
    """All kinds that may be chosen of all ranks of some tensors that have dimensions, but for those that are `fixed`."""
    given = fixed or {}
    listed = [name for name in names if cascade.tensors[name].shape]
    choices = [[given[name]] if name in given else list(_kinds(cascade, name)) for name in listed]
    for kinds in product(*choices):
        yield tuple(zip(listed, kinds, strict=True))


def _kinds(cascade: Cascade, name: str) -> Iterator[Kinds]:
    """Kinds of all ranks of a tensor that may be chosen."""
    return (kinds for kinds in product(KINDS, repeat=len(cascade.tensors[name].shape)) if _allowed(cascade, name, kinds))


def _allowed(cascade: Cascade, name: str, kinds: Kinds) -> bool:
    """Whether a tensor's ranks may be of these kinds.

    The last rank of a result says which places hold something: those that are left unwritten would cost nothing. What a result with a
    format is made of leaves elements out, so that which elements the result has does not hang on how its operands are stored.
    """
    if not cascade.tensors[name].is_input:
        return kinds[-1] != "uncompressed"
    return not (all_elements(kinds) and name in operands_of_stored(cascade))


def all_elements(kinds: Collection[str]) -> bool:
    """Whether a tensor whose ranks are of these kinds leaves nothing out."""
    return all(kind == "uncompressed" for kind in kinds)


def leaves_out(cascade: Cascade, name: str) -> bool:
    """Whether the workload gives a tensor a format that leaves elements out."""
    storage = cascade.tensors[name].storage
    return storage is not None and not storage.all_elements


def intermediates(cascade: Cascade) -> list[str]:
    """Results that other Einsums read and whose format leaves elements out, in the order in which they are made."""
    made = dict.fromkeys(einsum.output.tensor for einsum in cascade.work)
    return [name for name in made if leaves_out(cascade, name) and not cascade.tensors[name].is_output]


def operands_of_stored(cascade: Cascade) -> set[str]:
    """What Einsums read whose results hand on elements."""
    handed = set(intermediates(cascade))
    return {read.tensor for einsum in cascade.work if einsum.output.tensor in handed for read in einsum.reads}


def stated(cascade: Cascade, names: Iterable[str]) -> dict[str, Kinds]:
    """The kinds that the workload states for some tensors, compressed where it states none or they may not be chosen."""
    found = {}
    for name in names:
        tensor = cascade.tensors[name]
        known = tensor.storage is not None and _allowed(cascade, name, tensor.storage.kinds)
        found[name] = tensor.storage.kinds if tensor.storage is not None and known else ("compressed",) * len(tensor.shape)
    return found


def with_formats(cascade: Cascade, formats: Formats) -> Cascade:
    """The cascade with tensors stored so; widths of coordinates, pointers and lines stay."""
    tensors = dict(cascade.tensors)
    for name, kinds in formats:
        tensors[name] = replace(tensors[name], storage=replace(tensors[name].storage or Storage(kinds), kinds=kinds))
    return replace(cascade, tensors=tensors)
