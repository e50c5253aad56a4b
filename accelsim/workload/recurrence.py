"""Steps of linear recurrences: what a scan unit computes, one step an operation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.workload.expression import Access, Call, Expression, Number, inner_accesses

if TYPE_CHECKING:
    from accelsim.workload.cascade import Einsum


@dataclass(frozen=True, slots=True)
class LinearStep:
    """`h' = a * h + b`, or `h' = (a * h) // scale + b`: `state` is h, a slice of the Einsum's own output; a and b are other tensors."""

    factor: Access
    state: Access
    addend: Access
    scale: Expression | None = None


def linear_step(einsum: Einsum) -> LinearStep | None:
    """An Einsum as a step of a linear recurrence, None if it is none or computes more: parts of it are accesses, not expressions."""
    expression = einsum.expression
    if einsum.initial or einsum.reduced or einsum.condition is not None:
        return None
    for product, addend in _both_ways(expression, "add"):
        scale = None
        if isinstance(product, Call) and product.function == "floordiv" and isinstance(product.arguments[1], Number):
            product, scale = product.arguments
        for factor, state in _both_ways(product, "mul"):
            if not isinstance(factor, Access) or not isinstance(state, Access) or not isinstance(addend, Access):
                continue
            parts = factor, state, addend
            own = [each.tensor == einsum.output.tensor for each in parts]
            if own == [False, True, False] and not any(inner_accesses(each) for each in parts):
                return LinearStep(factor, state, addend, scale)
    return None


def _both_ways(expression: Expression, function: str) -> Iterator[tuple[Expression, Expression]]:
    """The two arguments of a function that may change places, in both orders; nothing if the expression is another."""
    if isinstance(expression, Call) and expression.function == function:
        left, right = expression.arguments
        yield left, right
        yield right, left
