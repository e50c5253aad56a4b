"""Bounds of affine indices over boxes cut by affine conditions, in plain integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.workload.expression import Access, Call, Expression, IndexMap, index_map, walk

Terms = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Inequality:
    """`sum of coefficient * rank <= bound`."""

    terms: Terms
    bound: int


def conjuncts(condition: Expression | None) -> tuple[Expression, ...]:
    """The parts that `and` joins."""
    if condition is None:
        return ()
    if isinstance(condition, Call) and condition.function == "and":
        return tuple(part for argument in condition.arguments for part in conjuncts(argument))
    return (condition,)


def inequalities(part: Expression, sizes: Mapping[str, float]) -> tuple[Inequality, ...] | None:
    """A comparison as affine inequalities that mean the same, or None if it is not affine (or reads a tensor)."""
    if not isinstance(part, Call) or part.function not in {"lt", "le", "gt", "ge", "eq"}:
        return None
    if any(isinstance(inner, Access) for inner in walk(part)):
        return None
    left, right = (index_map(side, sizes) for side in part.arguments)
    if left is None or right is None or any(side.divisor != 1 or side.modulus for side in (left, right)):
        return None
    low = _difference(left, right)
    high = _difference(right, left)
    if part.function == "le":
        return (Inequality(low.terms, -low.offset),)
    if part.function == "lt":
        return (Inequality(low.terms, -low.offset - 1),)
    if part.function == "ge":
        return (Inequality(high.terms, -high.offset),)
    if part.function == "gt":
        return (Inequality(high.terms, -high.offset - 1),)
    return Inequality(low.terms, -low.offset), Inequality(high.terms, -high.offset)


def known_inequalities(condition: Expression | None, sizes: Mapping[str, float]) -> tuple[Inequality, ...]:
    """The affine inequalities that a condition implies; parts that are not affine are left out."""
    return tuple(found for part in conjuncts(condition) for found in inequalities(part, sizes) or ())


def lowest(terms: Terms, offset: int, extents: Mapping[str, int], known: Sequence[Inequality] = ()) -> int:
    """A lower bound of `sum of terms + offset` over `0 <= rank < extent` where the inequalities hold; exact without them.

    Every inequality is used alone, scaled so that it cancels one of the terms.
    """
    best = _box_lowest(terms, extents)
    for inequality in known:
        coefficients = dict(inequality.terms)
        for rank, coefficient in terms:
            other = coefficients.get(rank, 0)
            if other * coefficient >= 0 or coefficient % other:
                continue
            factor = -coefficient // other
            rest = _sum(terms, tuple((name, factor * value) for name, value in inequality.terms))
            best = max(best, _box_lowest(rest, extents) - factor * inequality.bound)
    return best + offset


def index_range(index: IndexMap, extents: Mapping[str, int], known: Sequence[Inequality] = ()) -> tuple[int, int]:
    """The least and the greatest value (bounds of them under inequalities) that an index takes."""
    low = lowest(index.terms, index.offset, extents, known)
    high = -lowest(tuple((rank, -coefficient) for rank, coefficient in index.terms), -index.offset, extents, known)
    low, high = low // index.divisor, high // index.divisor
    if index.modulus and (low // index.modulus != high // index.modulus):
        return 0, index.modulus - 1
    return (low % index.modulus, high % index.modulus) if index.modulus else (low, high)


def least_step(write: IndexMap, read: IndexMap, extents: Mapping[str, int], known: Sequence[Inequality] = ()) -> int | None:
    """A lower bound of `write - read`, None if either is not affine."""
    if write.divisor != 1 or write.modulus or read.divisor != 1 or read.modulus:
        return None
    gap = _difference(write, read)
    return lowest(gap.terms, gap.offset, extents, known)


def _box_lowest(terms: Terms, extents: Mapping[str, int]) -> int:
    return sum(coefficient * (extents[rank] - 1) for rank, coefficient in terms if coefficient < 0)


def _sum(left: Terms, right: Terms) -> Terms:
    total = dict(left)
    for rank, coefficient in right:
        total[rank] = total.get(rank, 0) + coefficient
    return tuple(sorted((rank, coefficient) for rank, coefficient in total.items() if coefficient))


def _difference(left: IndexMap, right: IndexMap) -> IndexMap:
    return IndexMap(_sum(left.terms, tuple((rank, -value) for rank, value in right.terms)), left.offset - right.offset)
