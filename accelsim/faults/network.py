"""Networks: cascades one after the other in which outputs of one are inputs of later ones, run once in whole numbers and ready for faults.

A layer's Einsums are worked out in 64 bits. Sums wrap at their partial type, as in an array; what comes of them is scaled, or else clamped
to the final type. Source: docs/faults-network.md. The kernels that work changes out are `kernels_network`; what this module computes
is the run without a fault, by numpy from the expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, Place
from accelsim.faults.programs import program
from accelsim.faults.requantise import Requantise
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.evaluate import evaluate, index_values
from accelsim.workload.expression import Access

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_network import Wiring

    IntArray = NDArray[np.int64]

MOST_POINTS = 1 << 24
Source = tuple[str, str]  # a layer and a tensor of its cascade
Scale = Callable[["IntArray"], Requantise]


@dataclass(frozen=True)
class NetworkLayer:
    """A cascade of a network. `takes`: for inputs, the tensor of an earlier layer that each is; `values`: the other inputs, int64 of their
    shapes. `scales`: for results, what makes their scale of all their sums; others have one that follows from their types: sums that are
    wider than the result fit its bits, and all else is clamped. `place`: where it stands.
    """

    name: str
    cascade: Cascade
    takes: Mapping[str, Source] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Held:
    """A tensor of a network: whose it is first, its shape and type, where its cells begin, the layer that makes it (-1: an input)."""

    source: Source
    shape: tuple[int, ...]
    bits: int
    base: int
    maker: int

    @property
    def size(self) -> int:
        """Words."""
        return math.prod(self.shape)


@dataclass
class Step:
    """An Einsum, and int64[points]: the word, flat, that each goes into. `cells`: int64[points, reads], what each reads. `read`: the tensor
    of each read; those after them are numbers of each point.
    """

    layer: int
    out: int
    einsum: Einsum
    to: IntArray
    cells: IntArray
    read: list[int]
    bits: int
    codes: list[tuple[int, int]]


class Network:
    """Layers run without a fault. `held`: tensors by number; `number`: which one a layer calls by a name; `ends`: outputs that no layer
    takes; `steps`: Einsums in their order; `scales`: of results, by tensor.

    every: changes of any tensor can be followed, and not only of those that are made. InputError for what is not whole numbers, for values
    that choose what is read, for recurrences, and for more than 2^24 points.
    """

    def __init__(self, layers: Sequence[NetworkLayer], every: bool = False) -> None:
        import numpy as np

        self.layers, self.held, self.number, self.every = tuple(layers), list[Held](), dict[Source, int](), every
        self._values: list[IntArray] = []
        self._sums: dict[int, IntArray] = {}
        self.steps: list[Step] = []
        self._size, self._points = 0, 0
        self.scales: dict[int, Requantise] = {}
        for place, layer in enumerate(self.layers):
            self._layer(place, layer)
        self._taken = {self.number[layer.name, own] for layer in self.layers for own in layer.takes}
        made = [
            self.number[layer.name, name] for layer in self.layers for name, tensor in layer.cascade.tensors.items() if tensor.is_output
        ]
        self.ends = [each for each in made if each not in self._taken]
        self.golden = np.concatenate(self._values)

    def values(self, source: Source) -> IntArray:
        """A tensor without a fault, int64 of its shape."""
        held = self.held[self.number[source]]
        return self.golden[held.base : held.base + held.size].reshape(held.shape)

    def sums(self, number: int) -> IntArray:
        """What a tensor's words are before they are scaled, flat."""
        return self._sums[number]

    @cached_property
    def wiring(self) -> Wiring:
        """For the kernels."""
        from accelsim.faults.wiring import wired

        return wired(self)

    # The run without a fault.

    def _cells(self, values: IntArray) -> int:
        """Where new cells begin."""
        self._values.append(values.ravel())
        self._size += values.size
        if self._size >= 1 << 31:
            raise InputError(f"the network has more than {1 << 31:,} words", "make it smaller")
        return self._size - values.size

    def _hold(self, source: Source, tensor: Tensor, values: IntArray, maker: int) -> int:
        self.held.append(Held(source, tensor.shape, int(tensor.final.bits), self._cells(values), maker))
        self.number[source] = len(self.held) - 1
        return len(self.held) - 1

    def _layer(self, place: int, layer: NetworkLayer) -> None:
        import numpy as np

        cascade = layer.cascade
        for name, tensor in cascade.tensors.items():
            if not tensor.final.name.startswith("int") or not tensor.partial.name.startswith("int"):
                what = f"layer '{layer.name}' has words of {tensor.final.name} in {name}, and a network is of whole numbers"
                raise InputError(what, "give its tensors integer types, as in 'type: {default: int8}'", cascade.work[0].place)
            if not tensor.is_input:
                continue
            if name in layer.takes:
                number = self.number[layer.takes[name]]
                source = ".".join(layer.takes[name])
                if self.held[number].shape != tensor.shape:
                    what = f"layer '{layer.name}' reads {name}{list(tensor.shape)}, and {source} is {list(self.held[number].shape)}"
                    raise InputError(what, "make the shapes agree", layer.place)
                self.number[layer.name, name] = number
                self._refuse_wide(layer, tensor, number)
            else:
                self._hold((layer.name, name), tensor, np.asarray(layer.values[name], np.int64), -1)
        for einsum in cascade.einsums:
            self._einsum(place, layer, einsum)

    def _einsum(self, place: int, layer: NetworkLayer, einsum: Einsum) -> None:
        import numpy as np

        cascade, name = layer.cascade, einsum.output.tensor
        tensor = cascade.tensors[name]
        self._refuse(einsum, cascade)
        shape = [cascade.extents[rank] for rank in einsum.ranks]
        axes = np.ix_(*(np.arange(extent, dtype=np.int64) for extent in shape))
        known: dict[str, Any] = cascade.sizes | dict(zip(einsum.ranks, axes, strict=True))
        there = np.ones(shape, bool)
        if einsum.condition is not None:
            there &= np.asarray(evaluate(einsum.condition, known), bool)
        where = np.flatnonzero(there)
        code = program(einsum, cascade.sizes)
        to = _flat(einsum.output, tensor.shape, known, shape)[0][where]
        columns = [self._column(layer, access, known, shape)[where] for access in einsum.reads]
        for part in code.parts:
            numbers = np.broadcast_to(index_values(part, known), shape).ravel()[where]
            columns.append(self._cells(numbers) + np.arange(where.size))
        cells = np.stack(columns, axis=1) if columns else np.zeros((where.size, 0), np.int64)
        values = np.concatenate(self._values)
        reads = {access: values[cells[:, at]] for at, access in enumerate(einsum.reads)}
        points = _Points(known, shape, where)
        terms = np.broadcast_to(np.asarray(evaluate(einsum.expression, points, reads.__getitem__)), where.shape)
        sums, bits = _reduced(einsum, terms, to, tensor), 64
        if einsum.reduced and einsum.reduce in {"add", "mul"}:
            bits = int(tensor.partial.bits)
            sums = (sums << 64 - bits) >> 64 - bits
        scale = _scale(layer, tensor, sums)
        out = self._hold((layer.name, name), tensor, scale.outputs(sums), place)
        self._sums[out], self.scales[out] = sums, scale
        read = [self.number[layer.name, access.tensor] for access in einsum.reads]
        self.steps.append(Step(place, out, einsum, to, cells, read, bits, code.codes))

    def _refuse(self, einsum: Einsum, cascade: Cascade) -> None:
        name = einsum.output.tensor
        if einsum.initial or cascade.tensors[name].iterative is not None or len(cascade.producers[name]) > 1:
            raise InputError(f"{name} is made of itself, or by several Einsums", "give each Einsum its own result", einsum.place)
        if einsum.chosen or einsum.condition_reads:
            raise InputError(f"values decide what {einsum.name} reads", "use a condition and indices of ranks alone", einsum.place)
        self._points += math.prod(cascade.extents[rank] for rank in einsum.ranks)
        if self._points > MOST_POINTS:
            what = f"the network has more than {MOST_POINTS:,} points, which are followed one by one"
            raise InputError(what, "make it smaller", einsum.place)

    def _refuse_wide(self, layer: NetworkLayer, tensor: Tensor, number: int) -> None:
        """An InputError if a taken tensor has values that the type does not hold as which a layer reads it."""
        low, high = _range(self.held[number].bits)
        if number in self.scales:
            low, high = max(low, self.scales[number].low), min(high, self.scales[number].high)
        least, most = _range(int(tensor.final.bits))
        if low < least or high > most:
            source = ".".join(self.held[number].source)
            what = f"layer '{layer.name}' reads {tensor.name} as {tensor.final.name}, and {source} goes from {low} to {high}"
            raise InputError(what, "give one of them another type, or outputs other bounds", layer.place)

    def _column(self, layer: NetworkLayer, access: Access, known: Mapping[str, Any], shape: Sequence[int]) -> IntArray:
        """The cells that points read; outside of a tensor, one that holds its fill."""
        import numpy as np

        tensor, held = layer.cascade.tensors[access.tensor], self.held[self.number[layer.name, access.tensor]]
        flat, inside = _flat(access, tensor.shape, known, shape)
        if inside.all():
            return held.base + flat
        fill = 0 if tensor.fill is None else tensor.fill
        fill = _range(int(tensor.final.bits))[0] if fill == float("-inf") else int(fill)
        return np.where(inside, held.base + flat, self._cells(np.array([fill], np.int64)))


class _Points(dict[str, Any]):
    """Names at points: ranks one number for each, made when they are asked for."""

    def __init__(self, known: Mapping[str, Any], shape: Sequence[int], where: IntArray) -> None:
        self._known, self._shape, self._where = known, shape, where

    def __missing__(self, name: str) -> Any:
        import numpy as np

        value = self._known[name]
        return np.broadcast_to(value, self._shape).ravel()[self._where] if isinstance(value, np.ndarray) else value


def _flat(access: Access, size: tuple[int, ...], known: Mapping[str, Any], shape: Sequence[int]) -> tuple[IntArray, Any]:
    """Words of a tensor, flat, that an access names at every point (0 outside), and whether they are inside."""
    import numpy as np

    found, inside = np.zeros(shape, np.int64), np.ones(shape, bool)
    for index, extent in zip(access.indices, size, strict=True):
        at = index_values(index, known)
        inside &= (at >= 0) & (at < extent)
        found *= extent
        found += at
    return np.where(inside, found, 0).ravel(), inside.ravel()


def _reduced(einsum: Einsum, terms: Any, to: IntArray, tensor: Tensor) -> IntArray:
    """Words of all that their points have, flat; those that a condition leaves none are the tensor's fill, or 0."""
    import numpy as np

    from accelsim.workload.operators import OPERATORS

    size = math.prod(tensor.shape)
    found = np.full(size, 0 if tensor.fill is None or not math.isfinite(tensor.fill) else int(tensor.fill), np.int64)
    many = np.bincount(to, minlength=size)
    if to.size:
        ufunc = getattr(np, OPERATORS[einsum.reduce].reduction)
        found[many > 0] = ufunc.reduceat(terms[np.argsort(to, kind="stable")].astype(np.int64), (np.cumsum(many) - many)[many > 0])
    return found


def _range(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


def _scale(layer: NetworkLayer, tensor: Tensor, sums: IntArray) -> Requantise:
    """What makes values of a result's sums."""
    least, most = _range(int(tensor.final.bits))
    if tensor.name in layer.scales:
        found = layer.scales[tensor.name](sums)
        if found.low < least or found.high > most:
            what = f"outputs from {found.low} to {found.high} are wider than {tensor.name}, {tensor.final.name}"
            raise InputError(what, "give it another type, or outputs other bounds", layer.place)
        return found
    if tensor.partial.bits > tensor.final.bits:
        return Requantise.fitted(sums, int(tensor.final.bits))
    return Requantise.none(int(tensor.final.bits))
