"""The reference interpreter: executes any cascade with numpy, one statement at a time; its operation counts are the oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Cascade, Einsum, Model
from accelsim.workload.contraction import contract
from accelsim.workload.dependence import Step, dependences, order
from accelsim.workload.evaluate import LOWEST, evaluate
from accelsim.workload.expression import Access, Call, Expression, Number, names
from accelsim.workload.operators import OPERATORS
from accelsim.workload.store import Block, Store

BLOCK_POINTS = 2**22
MOST_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Points:
    """How often a statement's map expression was computed, and how many points its condition removed."""

    executed: int
    masked: int


@dataclass(frozen=True, slots=True)
class Run:
    """What a run computed: every tensor by name (iterative ones with all their slices) and the points of every Einsum by name."""

    values: Mapping[str, Any]
    counts: Mapping[str, Points]


def run(cascade: Cascade, inputs: Mapping[str, Any], dtype: Any = None, most_bytes: int = MOST_BYTES) -> Run:
    """Execute a cascade on arrays; `dtype` (default float64) is what computed tensors have at least.

    Refuses missing, unknown and misshapen inputs, reads of elements outside or never written (unless the tensor has a fill),
    and more than `most_bytes` of tensors.
    """
    import numpy as np

    kind = np.dtype(np.float64 if dtype is None else dtype)
    lowest = float(np.finfo(kind).min) if kind.kind == "f" else LOWEST if kind.kind == "c" else -(2.0**62)
    needed = sum(math.prod(tensor.shape) for tensor in cascade.tensors.values()) * kind.itemsize
    if needed > most_bytes:
        place = cascade.einsums[0].place
        what = f"running '{cascade.name}' needs {needed / 2**30:.1f} GiB for its tensors, more than {most_bytes / 2**30:.1f} GiB"
        raise InputError(what, "shrink the shape, as in --set shape.m=512", place)
    store = Store(cascade, _checked(cascade, inputs, kind, lowest), kind, lowest)
    counts = {einsum.name: [0, 0] for einsum in cascade.work}
    whole = {rank: (0, extent) for rank, extent in cascade.extents.items()}
    for einsum in cascade.einsums:
        if einsum.initial:
            _execute(cascade, store, einsum, whole)
    found = dependences(cascade.einsums, cascade.sizes, cascade.extents)
    _advance(cascade, store, order(cascade.einsums, found), whole, counts)
    return Run(store.finished(), {name: Points(executed, masked) for name, (executed, masked) in counts.items()})


def run_model(model: Model, inputs: Mapping[str, Any], dtype: Any = None) -> dict[str, Run]:
    """Execute the cascades of a model in order, once each; outputs bind to inputs of later ones by their names in the model.

    Runs by cascade name.
    """
    known = dict(inputs)
    runs: dict[str, Run] = {}
    for layer in model.layers:
        tensors = layer.cascade.tensors.items()
        wanted = {name: known[layer.called(name)] for name, tensor in tensors if tensor.is_input and layer.called(name) in known}
        done = run(layer.cascade, wanted, dtype)
        known |= {layer.called(name): done.values[name] for name, tensor in tensors if tensor.is_output}
        runs[layer.cascade.name] = done
    return runs


def random_inputs(cascade: Cascade, rng: Any, dtype: Any = None) -> dict[str, Any]:
    """Inputs to try a cascade on: normal values of deviation 1/2 (small integers for integer types), masks of 0 and 1, values that stand in
    indices as far as they go; densities kept.
    """
    import numpy as np

    kind = np.dtype(np.float64 if dtype is None else dtype)
    masks = {access.tensor for einsum in cascade.work for access in einsum.condition_reads}
    made: dict[str, Any] = {}
    for name, tensor in cascade.tensors.items():
        if not tensor.is_input:
            continue
        if tensor.below:
            made[name] = rng.integers(0, tensor.below, tensor.shape).astype(kind)
            continue
        if name in masks and tensor.density == 1.0:
            made[name] = rng.integers(0, 2, tensor.shape).astype(kind)
        elif kind.kind in "iu":
            made[name] = rng.integers(-4, 5, tensor.shape).astype(kind)
        else:
            made[name] = (0.5 * rng.standard_normal(tensor.shape)).astype(kind)
        if tensor.density < 1.0:
            made[name] = np.where(rng.random(tensor.shape) < tensor.density, np.where(made[name] == 0, 1, made[name]), 0).astype(kind)
    return made


def model_inputs(model: Model, rng: Any, dtype: Any = None) -> dict[str, Any]:
    """Random inputs of every layer that no earlier layer makes, by their names in the model."""
    made: dict[str, Any] = {}
    written: set[str] = set()
    for layer in model.layers:
        fresh = {layer.called(name): value for name, value in random_inputs(layer.cascade, rng, dtype).items()}
        made |= {name: value for name, value in fresh.items() if name not in written and name not in made}
        written |= {layer.called(name) for name, tensor in layer.cascade.tensors.items() if tensor.is_output}
    return made


def _checked(cascade: Cascade, inputs: Mapping[str, Any], kind: Any, lowest: float) -> dict[str, Any]:
    import numpy as np

    wanted = {name: tensor for name, tensor in cascade.tensors.items() if tensor.is_input}
    for name in inputs:
        if name not in wanted:
            raise InputError(f"'{cascade.name}' has no input '{name}'", did_you_mean(name, wanted))
    made = {}
    for name, tensor in wanted.items():
        if name not in inputs:
            raise InputError(f"input '{name}' of '{cascade.name}' is missing", f"give an array of shape {list(tensor.shape)}")
        array = np.asarray(inputs[name])
        if array.shape != tensor.shape:
            raise InputError(
                f"input '{name}' has shape {list(array.shape)}, '{cascade.name}' reads {list(tensor.shape)}", "make them agree"
            )
        array = array.astype(np.result_type(array.dtype, kind) if array.dtype.kind == "c" else kind, copy=False)
        made[name] = np.where(np.isneginf(array), lowest, array) if array.dtype.kind == "f" else array
    return made


def _advance(cascade: Cascade, store: Store, items: tuple[Any, ...], block: Block, counts: dict[str, list[int]]) -> None:
    for item in items:
        if isinstance(item, Step):
            for at in range(*block[item.rank]):
                _advance(cascade, store, item.body, {**block, item.rank: (at, at + 1)}, counts)
        else:
            executed, masked = _execute(cascade, store, item, block)
            counts[item.name][0] += executed
            counts[item.name][1] += masked


def _execute(cascade: Cascade, store: Store, einsum: Einsum, block: Block) -> tuple[int, int]:
    """One statement over a block of the iteration space; points executed and masked."""
    executed = masked = 0
    product = _factors(einsum) if einsum.reduced and einsum.reduce == "add" and not einsum.chosen else None
    for part in _blocks(einsum, {rank: block[rank] for rank in einsum.ranks}, product is not None):
        one, other = _compute(cascade, store, einsum, part, product)
        executed, masked = executed + one, masked + other
    store.close(einsum, block)
    return executed, masked


def _blocks(einsum: Einsum, block: Block, product: bool) -> Iterator[Block]:
    """The block cut along output ranks into pieces of a bounded number of points (products are not expanded, so not cut)."""
    points = math.prod(stop - start for start, stop in block.values())
    kept = [rank for rank in einsum.ranks if rank not in einsum.reduced and block[rank][1] - block[rank][0] > 1]
    if product or points <= BLOCK_POINTS or not kept:
        yield block
        return
    rank = max(kept, key=lambda name: block[name][1] - block[name][0])
    start, stop = block[rank]
    length = max(1, (stop - start) * BLOCK_POINTS // points)
    for at in range(start, stop, length):
        yield from _blocks(einsum, {**block, rank: (at, min(at + length, stop))}, product)


def _compute(cascade: Cascade, store: Store, einsum: Einsum, block: Block, product: tuple[list[Access], float] | None) -> tuple[int, int]:
    import numpy as np

    shape = tuple(block[rank][1] - block[rank][0] for rank in einsum.ranks)
    known = store.names(einsum.ranks, block)
    total = math.prod(shape)
    mask, existing = None, total
    if einsum.condition is not None:
        mask = np.asarray(_value(store, einsum, einsum.condition, known, block, None), dtype=bool)
        executed = _count(mask, shape)
        if einsum.existence is not None:
            existing = _count(np.asarray(evaluate(einsum.existence, known), dtype=bool), shape)
        if executed == 0 and not einsum.reduced:
            return 0, existing
    else:
        executed = total
    value = _contracted(cascade, store, einsum, block, product, mask) if product is not None else None
    if value is None:
        value = np.asarray(_value(store, einsum, einsum.expression, known, block, mask))
        if einsum.reduced:
            value = _reduced(einsum, value.astype(np.result_type(value.dtype, store.dtype)), mask, shape, store.lowest)
    kept = None if einsum.reduced else mask
    store.write(einsum, block, value, kept)
    return executed, existing - executed


def _count(mask: Any, shape: tuple[int, ...]) -> int:
    """True points of a mask that broadcasts to `shape`."""
    return int(mask.sum()) * math.prod(shape) // max(int(mask.size), 1)


def _value(store: Store, einsum: Einsum, expression: Expression, known: Mapping[str, Any], block: Block, mask: Any) -> Any:
    return evaluate(expression, known, lambda access: store.read(einsum, access, block, mask), store.lowest)


def _reduced(einsum: Einsum, value: Any, mask: Any, shape: tuple[int, ...], lowest: float) -> Any:
    import numpy as np

    row = OPERATORS[einsum.reduce]
    assert row.identity is not None
    identity = row.identity if math.isfinite(row.identity) else math.copysign(abs(lowest), row.identity)
    if mask is not None:
        value = np.where(mask, value, np.asarray(identity).astype(value.dtype))
    axes = tuple(at for at, rank in enumerate(einsum.ranks) if rank in einsum.reduced)
    return getattr(np, row.reduction).reduce(np.broadcast_to(value, shape), axis=axes)


def _factors(einsum: Einsum) -> tuple[list[Access], float] | None:
    """The accesses and the constant of a map expression that is a plain product, None if it is anything else."""
    factors: list[Access] = []
    scale = 1.0
    stack = [einsum.expression]
    while stack:
        part = stack.pop()
        if isinstance(part, Call) and part.function == "mul":
            stack.extend(reversed(part.arguments))
        elif isinstance(part, Access):
            factors.append(part)
        elif isinstance(part, Number) and math.isfinite(part.value):
            scale *= part.value
        else:
            return None
    covered = {word for access in factors for word in names(access)}
    return (factors, scale) if factors and set(einsum.ranks) <= covered else None


def _contracted(cascade: Cascade, store: Store, einsum: Einsum, block: Block, product: tuple[list[Access], float], mask: Any) -> Any:
    """A sum of products without expanding the iteration space; None where a mask or values that are not finite forbid it."""
    import numpy as np

    factors, scale = product
    output = tuple(rank for rank in einsum.ranks if rank not in einsum.reduced)
    needed = set() if mask is None else {rank for rank, size in zip(einsum.ranks, mask.shape, strict=True) if size > 1}
    operands = []
    for access in factors:
        ranks = tuple(rank for rank in einsum.ranks if rank in names(access))
        array = store.read(einsum, access, block, mask)
        if mask is not None and not np.all(np.isfinite(array)):
            return None
        held = [at for at, rank in enumerate(einsum.ranks) if rank in ranks]
        full = np.broadcast_to(array, [block[rank][1] - block[rank][0] if rank in ranks else 1 for rank in einsum.ranks])
        if needed and needed <= set(ranks):
            full, needed = np.where(mask, full, 0), set()
        operands.append((full.reshape([full.shape[at] for at in held]), ranks))
    value = contract(operands, output)
    if scale != 1.0:
        value = value * (int(scale) if scale.is_integer() and value.dtype.kind in "iu" else scale)
    if not needed:
        return value
    if needed & set(einsum.reduced):
        return None
    assert mask is not None
    kept = [at for at, rank in enumerate(einsum.ranks) if rank not in einsum.reduced]
    return np.where(mask.reshape([mask.shape[at] for at in kept]), value, 0)
