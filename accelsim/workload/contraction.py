"""Sums of products of arrays with named ranks, on numpy's matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def contract(operands: Sequence[tuple[Any, tuple[str, ...]]], output: tuple[str, ...]) -> Any:
    """The product of arrays summed over the ranks that `output` lacks.

    Every operand is (array, ranks of its axes); every rank of `output` is in some operand. Returns an array over `output`.
    """
    import numpy as np

    ranks = list(dict.fromkeys(rank for _, names in operands for rank in names))
    if len(operands) == 1:
        array, names = _summed(operands[0], set(output))
        return array.transpose([names.index(rank) for rank in output])
    if len(operands) == 2:
        return _product(_summed(operands[0], {*output, *operands[1][1]}), _summed(operands[1], {*output, *operands[0][1]}), output)
    number = {rank: at for at, rank in enumerate(ranks)}
    arguments = [part for array, names in operands for part in (array, [number[rank] for rank in names])]
    return np.einsum(*arguments, [number[rank] for rank in output], optimize="greedy")


def _summed(operand: tuple[Any, tuple[str, ...]], keep: set[str]) -> tuple[Any, tuple[str, ...]]:
    array, names = operand
    axes = tuple(at for at, rank in enumerate(names) if rank not in keep)
    return (array.sum(axis=axes) if axes else array), tuple(rank for rank in names if rank in keep)


def _product(left: tuple[Any, tuple[str, ...]], right: tuple[Any, tuple[str, ...]], output: tuple[str, ...]) -> Any:
    import numpy as np

    (a, a_names), (b, b_names) = left, right
    extents = dict(zip(b_names, b.shape, strict=True)) | dict(zip(a_names, a.shape, strict=True))
    batch = [rank for rank in output if rank in a_names and rank in b_names]
    inner = [rank for rank in a_names if rank in b_names and rank not in output]
    rows = [rank for rank in output if rank not in b_names]
    columns = [rank for rank in output if rank not in a_names]

    def arranged(array: Any, names: tuple[str, ...], groups: list[list[str]]) -> Any:
        ordered = array.transpose([names.index(rank) for group in groups for rank in group])
        lead = [extents[rank] for rank in groups[0]]
        return ordered.reshape([*lead, *(int(np.prod([extents[rank] for rank in group])) for group in groups[1:])])

    found = np.matmul(arranged(a, a_names, [batch, rows, inner]), arranged(b, b_names, [batch, inner, columns]))
    made = [*batch, *rows, *columns]
    return found.reshape([extents[rank] for rank in made]).transpose([made.index(rank) for rank in output])
