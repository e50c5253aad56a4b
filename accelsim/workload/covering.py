"""Which primitives execute one point of an Einsum: combined forms first (a*b summed is a mac), then the operators one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from accelsim.workload.cascade import Einsum
from accelsim.workload.expression import Access, Call, Expression, Number, accesses
from accelsim.workload.operators import OPERATORS, Cover


@dataclass(frozen=True, slots=True)
class Need:
    """An operator that every point of an Einsum needs once, with its coverings in order of preference."""

    operator: str
    coverings: tuple[Cover, ...]


def coverings(einsum: Einsum) -> tuple[Need, ...]:
    """What one point of an Einsum needs, innermost operators first, the reduction's combine last.

    A statement that only renames or re-indexes a tensor is a view and needs nothing; so does an initial one.
    """
    return _coverings(einsum.expression, einsum.reduce if einsum.reduced else "", einsum.initial)


def cover(einsum: Einsum, primitives: Collection[str]) -> dict[str, int] | None:
    """Primitives per point when a unit executes `primitives`: of every need the first covering that the unit has; None if one has none."""
    counts: dict[str, int] = {}
    for need in coverings(einsum):
        chosen = _first(need, primitives)
        if chosen is None:
            return None
        for primitive, count in chosen:
            counts[primitive] = counts.get(primitive, 0) + count
    return counts


def missing_primitive(einsum: Einsum, primitives: Collection[str]) -> str | None:
    """The primitive that a unit lacks to execute an Einsum (of the preferred covering), None if it lacks nothing."""
    for need in coverings(einsum):
        if _first(need, primitives) is None:
            return next(name for name, _ in need.coverings[0] if name not in primitives)
    return None


def needed_primitives(einsum: Einsum) -> dict[str, int]:
    """Primitives per point with the preferred covering of every need."""
    counts: dict[str, int] = {}
    for need in coverings(einsum):
        for primitive, count in need.coverings[0]:
            counts[primitive] = counts.get(primitive, 0) + count
    return counts


def _first(need: Need, primitives: Collection[str]) -> Cover | None:
    return next((option for option in need.coverings if all(name in primitives for name, _ in option)), None)


@lru_cache(maxsize=4096)
def _coverings(expression: Expression, reduce: str, initial: bool) -> tuple[Need, ...]:
    if initial:
        return ()
    needs: list[Need] = []
    if reduce == "add" and _is(expression, "mul"):
        assert isinstance(expression, Call)
        _operands(expression, needs)
        needs.append(Need("a*b summed", (*_MAC, *_both(OPERATORS["mul"].coverings, OPERATORS["add"].coverings))))
        return tuple(needs)
    _visit(expression, needs)
    if reduce:
        needs.append(Need(f"{reduce} over points", OPERATORS[reduce].coverings))
    return tuple(needs)


_MAC: tuple[Cover, ...] = ((("mac", 1),),)
_SUBEXP: tuple[Cover, ...] = ((("subexp", 1),),)


def _both(left: tuple[Cover, ...], right: tuple[Cover, ...]) -> tuple[Cover, ...]:
    return tuple((*first, *second) for first in left for second in right)


def _is(expression: Expression, function: str) -> bool:
    return isinstance(expression, Call) and expression.function == function and bool(accesses(expression))


def _is_product(expression: Expression) -> bool:
    """Whether an expression is an operation a*b (a product of two parts known in advance is a number)."""
    return _is(expression, "mul")


def _operands(call: Call, needs: list[Need]) -> None:
    for argument in call.arguments:
        _visit(argument, needs)


def _visit(expression: Expression, needs: list[Need]) -> None:
    if not isinstance(expression, Call) or not accesses(expression):
        return
    function, arguments = expression.function, expression.arguments
    if function == "exp" and _is(arguments[0], "sub"):
        inner = arguments[0]
        assert isinstance(inner, Call)
        _operands(inner, needs)
        needs.append(Need("exp(a-b)", (*_SUBEXP, *_both(OPERATORS["sub"].coverings, OPERATORS["exp"].coverings))))
        return
    if function == "add" and any(_is_product(argument) for argument in arguments):
        product = next(argument for argument in arguments if _is_product(argument))
        other = arguments[1] if arguments[0] is product else arguments[0]
        assert isinstance(product, Call)
        _operands(product, needs)
        _visit(other, needs)
        needs.append(Need("a*b + c", (*_MAC, *_both(OPERATORS["mul"].coverings, OPERATORS["add"].coverings))))
        return
    if function == "pow" and isinstance(arguments[1], Number) and arguments[1].value.is_integer() and 1 <= arguments[1].value <= 64:
        _visit(arguments[0], needs)
        power = int(arguments[1].value)
        products = power.bit_length() - 1 + power.bit_count() - 1  # by squaring
        needs.extend([Need("mul", OPERATORS["mul"].coverings)] * products)
        return
    _operands(expression, needs)
    options = OPERATORS[function].coverings
    if options != ((),):
        needs.append(Need(function, options))


def is_view(einsum: Einsum) -> bool:
    """Whether an Einsum only renames, splits or re-indexes one tensor: no operation, no data moved."""
    return isinstance(einsum.expression, Access) and not einsum.reduced
