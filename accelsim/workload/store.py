"""The arrays of a run: reads and writes of blocks at any index expression, with what has been written remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.evaluate import index_values
from accelsim.workload.expression import Access

Block = dict[str, tuple[int, int]]
"""For every rank the first and one past the last value."""


class Store:
    """Arrays by tensor name; lives for one run.

    Values come and go in the frame of a statement: one axis per rank, of length 1 where the rank does not matter.
    """

    def __init__(self, cascade: Cascade, inputs: Mapping[str, Any], dtype: Any, lowest: float) -> None:
        self.cascade = cascade
        self.arrays: dict[str, Any] = dict(inputs)
        self.written: dict[str, Any] = dict.fromkeys(inputs)  # None: all of it
        self.dtype = dtype
        self.lowest = lowest
        self.writers = {name: len(found) for name, found in cascade.producers.items()}

    def names(self, ranks: tuple[str, ...], block: Block) -> dict[str, Any]:
        """Ranks as arrays along their axes, sizes and constants as numbers."""
        import numpy as np

        known: dict[str, Any] = dict(self.cascade.sizes)
        for axis, rank in enumerate(ranks):
            known[rank] = np.arange(*block[rank], dtype=np.int64).reshape([-1 if at == axis else 1 for at in range(len(ranks))])
        return known

    def read(self, einsum: Einsum, access: Access, block: Block, mask: Any) -> Any:
        """The elements that a statement reads over a block; those outside or unwritten are the fill.

        An InputError where `mask` (None: everywhere) needs an element that is outside or unwritten and there is no fill.
        """
        import numpy as np

        name = access.tensor
        tensor = self.cascade.tensors[name]
        if name not in self.arrays:
            self._allocate(name, self.dtype)
        array, written = self.arrays[name], self.written[name]
        fast = self._slices(einsum, access, block)
        if fast is not None:
            index, axes = fast
            value = _framed(array[index], axes, len(einsum.ranks))
            if written is None:
                return value
            present = _framed(written[index], axes, len(einsum.ranks))
        else:
            known = self.names(einsum.ranks, block)
            places, present = [], np.True_
            for part, size in zip(access.indices, tensor.shape, strict=True):
                at = index_values(part, known, lambda inner: self._choosing(einsum, inner, block, mask))
                if at.size and (at.min() < 0 or at.max() >= size):
                    present = present & (at >= 0) & (at < size)
                    at = np.clip(at, 0, size - 1)
                places.append(at)
            value = array[tuple(places)]
            if written is not None:
                present = present & written[tuple(places)]
        if np.all(present):
            return value
        if tensor.fill is not None:
            fill = self.lowest if tensor.fill == float("-inf") else tensor.fill
            return np.where(present, value, np.asarray(fill).astype(value.dtype))
        if mask is None or np.any(~present & mask):
            what = f"{einsum.name} reads elements of {name} that are outside it or were never written"
            raise InputError(what, f"add a condition, or declare tensors: {{{name}: {{fill: 0}}}}", einsum.place)
        return np.where(present, value, np.zeros((), value.dtype))

    def _choosing(self, einsum: Einsum, access: Access, block: Block, mask: Any) -> Any:
        """Values of a tensor that stand in an index; those at points that do not count are 0."""
        return chosen_values(self.read(einsum, access, block, mask), self.cascade.tensors[access.tensor], einsum, mask)

    def write(self, einsum: Einsum, block: Block, value: Any, mask: Any) -> None:
        """Write a block's values (over the ranks that are not reduced) where `mask` holds; None is everywhere."""
        import numpy as np

        name = einsum.output.tensor
        dtype = np.result_type(value.dtype, self.dtype)
        if name not in self.arrays:
            self._allocate(name, dtype)
        elif np.result_type(self.arrays[name].dtype, dtype) != self.arrays[name].dtype:
            self.arrays[name] = self.arrays[name].astype(np.result_type(self.arrays[name].dtype, dtype))
        ranks = tuple(rank for rank in einsum.ranks if rank not in einsum.reduced)
        if name in self.written and self.written[name] is None:
            self.written[name] = np.ones(self.cascade.tensors[name].shape, dtype=bool)
        whole = self._covers(einsum, block)
        if whole:
            self.written[name] = None
        elif self.written.get(name) is None:
            self.written[name] = np.zeros(self.cascade.tensors[name].shape, dtype=bool)
        shape = tuple(block[rank][1] - block[rank][0] for rank in ranks)
        value = np.broadcast_to(value, shape)
        fast = self._slices(einsum, einsum.output, block, ranks)
        if fast is not None:
            index, axes = fast
            view = self.arrays[name][(*index, ...)]
            turned = value.transpose(axes)
            if mask is None:
                view[...] = turned
                if not whole:
                    self.written[name][index] = True
            else:
                where = np.broadcast_to(mask, shape).transpose(axes)
                np.copyto(view, turned, where=where, casting="unsafe")
                self.written[name][index] |= where
            return
        known = self.names(ranks, block)
        places = np.broadcast_arrays(*(index_values(part, known) for part in einsum.output.indices), np.empty(shape, bool))[:-1]
        where = np.broadcast_to(np.True_ if mask is None else mask, shape)
        for place, size in zip(places, self.cascade.tensors[name].shape, strict=True):
            where = where & (place >= 0) & (place < size)  # the checks of `tensors` leave only masked points outside
        target = tuple(place[where] for place in places)
        self.arrays[name][target] = value[where]
        self.written[name][target] = True

    def close(self, einsum: Einsum, block: Block) -> None:
        """A statement is done with a block: forget what is written of a tensor once all of it is."""
        name = einsum.output.tensor
        if name not in self.arrays:  # a condition that no point meets
            self._allocate(name, self.dtype)
        flags = self.written.get(name)
        if flags is not None and flags.size <= 2**16 and flags.all():
            self.written[name] = None

    def finished(self) -> dict[str, Any]:
        """Every tensor; elements that were never written hold the fill, or 0."""
        import numpy as np

        made = {}
        for name, array in self.arrays.items():
            fill, written = self.cascade.tensors[name].fill, self.written[name]
            if written is not None and fill is not None:
                array = np.where(written, array, np.asarray(self.lowest if fill == float("-inf") else fill).astype(array.dtype))
            made[name] = array
        return made

    def _allocate(self, name: str, dtype: Any) -> None:
        import numpy as np

        self.arrays[name] = np.zeros(self.cascade.tensors[name].shape, dtype)
        self.written[name] = np.zeros(self.cascade.tensors[name].shape, dtype=bool)

    def _covers(self, einsum: Einsum, block: Block) -> bool:
        """Whether a statement writes its whole tensor in this block, unconditionally."""
        if einsum.condition is not None and not einsum.reduced:
            return False
        fast = self._slices(einsum, einsum.output, block)
        shape = self.cascade.tensors[einsum.output.tensor].shape
        return fast is not None and all(
            isinstance(part, slice) and part.start == 0 and part.stop == size for part, size in zip(fast[0], shape, strict=True)
        )

    def _slices(
        self, einsum: Einsum, access: Access, block: Block, ranks: tuple[str, ...] | None = None
    ) -> tuple[tuple[Any, ...], list[int]] | None:
        """Basic slices and the frame axis of every sliced dimension, where indices are different ranks plus offsets, inside; else None."""
        frame = einsum.ranks if ranks is None else ranks
        index: list[Any] = []
        axes: list[int] = []
        shape = self.cascade.tensors[access.tensor].shape
        for form, size in zip(self.cascade.index_maps(access), shape, strict=True):
            if form is None:
                return None
            if not form.terms and form.divisor == 1 and not form.modulus:
                if not 0 <= form.offset < size:
                    return None
                index.append(form.offset)
                continue
            rank = form.single_rank
            if rank is None or rank not in frame or frame.index(rank) in axes:
                return None
            start, stop = block[rank][0] + form.offset, block[rank][1] + form.offset
            if start < 0 or stop > size:
                return None
            index.append(slice(start, stop))
            axes.append(frame.index(rank))
        return tuple(index), axes


def chosen_values(values: Any, tensor: Tensor, einsum: Einsum, mask: Any) -> Any:
    """Values of a tensor as coordinates; an InputError where one that counts is none below what the tensor declares."""
    import numpy as np

    values = np.asarray(values)
    outside = ~((values >= 0) & (values < tensor.below) & (values == np.floor(values)))
    counts = outside if mask is None else outside & mask
    if np.any(counts):
        wrong = float(np.broadcast_to(values, counts.shape)[counts][0])
        what = f"a value of {tensor.name} is {wrong:g}, and chooses among {tensor.below}"
        raise InputError(what, f"give it whole numbers from 0 to {tensor.below - 1}", einsum.place)
    return np.where(outside, 0, values).astype(np.int64)


def _framed(array: Any, axes: list[int], dimensions: int) -> Any:
    """Axes of an array moved to their places in a frame of `dimensions` axes; the others get length 1."""
    order = sorted(range(len(axes)), key=axes.__getitem__)
    turned = array.transpose(order)
    shape = [1] * dimensions
    for at, axis in enumerate(sorted(axes)):
        shape[axis] = turned.shape[at]
    return turned.reshape(shape)
