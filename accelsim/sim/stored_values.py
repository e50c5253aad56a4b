"""What a machine computes over stored elements, product by product in the order of the walk; the twin of `workload.interpreter`.

Elements that are not stored are zeros. Products and sums are rounded to the types of the cascade, as in `values`.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.types import NumberType
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import nests
from accelsim.sim.agreement import Agreement, compare
from accelsim.sim.arithmetic import Arithmetic, Noted, compute, stored_error, working
from accelsim.sim.formats import SATURATE, round_to
from accelsim.sim.values import Executed
from accelsim.sparse.kernels_points import points
from accelsim.sparse.nest import Nest, fibers_of, tables
from accelsim.workload.expression import Access
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.interpreter import run as refer

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray

MOST = 1 << 22
"""Products of an Einsum, and points that the reference goes through."""
Word = tuple[Any, Any]


def check_stored(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray], seed: int) -> Agreement:
    """Run a mapping on random values of the stored elements, and compare every output with the reference interpreter on all elements.

    `stored`: by input its elements, int64[dimensions, elements]. Values are integers where all types are.
    """
    cascade = evaluator.cascade
    for einsum in cascade.einsums:
        if (size := int(np.prod([cascade.extents[rank] for rank in einsum.ranks], dtype=object))) > MOST:
            what = f"{einsum.name} has {size:,} points, and values are compared with the reference at all of them"
            raise InputError(what, "check a smaller shape, as with --set shape.RANK=N", einsum.place)
    whole = all(tensor.final.kind == tensor.partial.kind == "integer" for tensor in cascade.tensors.values())
    inputs = random_inputs(cascade, np.random.default_rng(seed), np.int64 if whole else np.float64)
    for name, elements in stored.items():
        kept = np.zeros(inputs[name].shape, bool)
        kept[tuple(elements)] = True
        inputs[name] = np.where(kept, inputs[name], 0)
    reference = refer(cascade, inputs, np.int64 if whole else np.float64).values
    return compare(cascade, run_stored(evaluator, mapping, stored, inputs), reference)


def run_stored(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray], inputs: Dict[str, Any]) -> Executed:
    """Every output, with bounds of its errors. `inputs`: arrays with all elements, of which those that are not stored are never read."""
    cascade = evaluator.cascade
    words: dict[str, Word] = {}
    for name, values in inputs.items():
        values = np.asarray(values)
        words[name] = _kept(values, np.zeros(values.shape), cascade.tensors[name].final)
    for nest, _ in nests(evaluator, mapping, stored):
        words[nest.einsum.output.tensor] = _einsum(evaluator, nest, words)
    outputs = [name for name, tensor in cascade.tensors.items() if tensor.is_output]
    return Executed({name: words[name][0] for name in outputs}, {name: words[name][1] for name in outputs})


def _kept(values: Any, error: Any, number_type: NumberType) -> Word:
    """Complete values in their final type."""
    found = round_to(values, number_type, overflow=SATURATE)
    return found, np.where(found == values, error, error + stored_error(values, found, number_type))


def _einsum(evaluator: Evaluator, nest: Nest, words: Dict[str, Word]) -> Word:
    """The result of an Einsum and its errors; words that are never made are zeros."""
    cascade, einsum = evaluator.cascade, nest.einsum
    tensor = cascade.tensors[einsum.output.tensor]
    made, places = tables(nest, fibers_of(nest))
    at = points(made, places, MOST)
    if len(at) > MOST:
        what = f"{einsum.name} has more than {MOST:,} products, and the value of each is computed"
        raise InputError(what, "check a smaller shape, as with --set shape.RANK=N", einsum.place)
    column = {rank: at[:, number] for number, rank in enumerate(nest.extents)}
    ranks = {operand.tensor: operand.ranks for operand in nest.operands}
    arithmetic = working(tensor.partial, SATURATE)

    def read(access: Access) -> Noted:
        index = tuple(column[rank] for rank in ranks[access.tensor])
        return Noted(words[access.tensor][0][index], words[access.tensor][1][index])

    noted = compute(einsum.expression, column, read, arithmetic, True)
    terms = np.broadcast_to(arithmetic.rounded(np.asarray(noted.values)), len(at))
    errors = np.broadcast_to(np.asarray(noted.error, np.float64), len(at))
    shape = tuple(nest.extents[rank] for rank in nest.result)
    flat = np.ravel_multi_index(tuple(column[rank] for rank in nest.result), shape) if shape else np.zeros(len(at), np.int64)
    values, error = _summed(arithmetic, flat, terms, errors, int(np.prod(shape)))
    found, bound = _kept(values, error, tensor.final)
    return found.reshape(shape), bound.reshape(shape)


def _summed(arithmetic: Arithmetic, flat: IntArray, terms: Any, errors: Any, size: int) -> Word:
    """Sums of terms by word, one after the other, each rounded; an addition adds u |sum| + t to the errors of both sides."""
    values, error, unit, least = np.zeros(size, terms.dtype), np.zeros(size), *arithmetic.unit()
    order = np.argsort(flat, kind="stable")
    first = np.flatnonzero(np.diff(flat[order], prepend=-1))
    many = np.diff([*first, order.size])
    for number in range(int(many.max(initial=0))):
        first, many = first[many > number], many[many > number]
        here = order[first + number]
        word = flat[here]
        if not number:
            values[word], error[word] = terms[here], errors[here]
            continue
        exact = values[word] + terms[here]
        found = arithmetic.rounded(exact)
        error[word] += errors[here] + np.where(found == exact, 0.0, np.maximum(unit * np.abs(found) + least, np.abs(found - exact)))
        values[word] = found
    return values, error
