"""Coordinates too narrow to tell the elements of a fiber apart, refused. Source: docs/sparse.md, "Nests", formats."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.sparse.storage import coordinate_bits

if TYPE_CHECKING:
    from accelsim.sparse.nest import Nest, Operand
    from accelsim.workload.cascade import Cascade, Tensor


def refuse_narrow_operand(cascade: Cascade, nest: Nest, operand: Operand) -> None:
    """Refuse a stored operand whose coordinates are stated with too few bits for what the loops cut."""
    tensor = cascade.tensors[operand.tensor]
    if tensor.storage is not None and tensor.storage.coordinate_bits:
        _refuse(cascade, tensor, operand.ranks, coordinate_bits(tensor.storage, nest.levels(operand)))


def refuse_narrow_result(cascade: Cascade, nest: Nest) -> None:
    """Refuse a result whose coordinates, which go with its words, are stated with too few bits."""
    tensor = cascade.tensors[nest.einsum.output.tensor]
    if tensor.storage is not None:
        kinds = enumerate(zip(tensor.storage.kinds, tensor.shape, strict=True))
        needed = {place: max(1, (size - 1).bit_length()) for place, (kind, size) in kinds if kind == "compressed"}
        _refuse(cascade, tensor, nest.result, needed)


def _refuse(cascade: Cascade, tensor: Tensor, ranks: tuple[str, ...], needed: Dict[int, int]) -> None:
    """`needed`: bits by dimension."""
    stated = tensor.storage.coordinate_bits if tensor.storage is not None else 0
    for dimension, bits in needed.items():
        if 0 < stated < bits:
            what = f"a coordinate of {tensor.name} has {stated} bits, and those along {ranks[dimension]} take {bits}"
            place = cascade.declaration.place("format", tensor.name) if cascade.declaration is not None else None
            raise InputError(what, f"write coordinate: {max(needed.values())} bit", place)
