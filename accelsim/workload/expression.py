"""Expressions of extended Einsums: immutable trees of numbers, names, tensor accesses and calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; -inf is `Number(float('-inf'))`."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A rank variable (lower case), a rank size (the rank's name in upper case) or a named constant."""

    name: str


@dataclass(frozen=True, slots=True)
class Access:
    """A tensor read or written at index expressions."""

    tensor: str
    indices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or named function of `operators.OPERATORS` applied to arguments (`a*b` is `mul`, `a//b` is `floordiv`)."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Union[Number, Name, Access, Call]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class IndexMap:
    """An index in normal form: `((sum of coefficient * rank) + offset) // divisor % modulus`; modulus 0 means none.

    Terms are sorted by rank, have non-zero coefficients and name each rank once.
    """

    terms: tuple[tuple[str, int], ...]
    offset: int = 0
    divisor: int = 1
    modulus: int = 0

    @property
    def ranks(self) -> tuple[str, ...]:
        """Rank variables that the index depends on."""
        return tuple(rank for rank, _ in self.terms)

    @property
    def single_rank(self) -> str | None:
        """The rank when the index is `rank + offset`, else None."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and self.divisor == 1 and self.modulus == 0:
            return self.terms[0][0]
        return None


def chosen_rank(access: Access) -> str:
    """What stands for the value of an access that is an index: as a rank, of as many coordinates as the tensor has values, that no loop
    names. No name in a statement is like it, and other indices have another.
    """
    return f"{access.tensor}[{', '.join(_written(index) for index in access.indices)}]"


def chooser(rank: str) -> str:
    """The tensor of a `chosen_rank`."""
    return rank.partition("[")[0]


def _written(expression: Expression) -> str:
    """An expression in one line, different for different ones."""
    if isinstance(expression, Number):
        return repr(expression.value)
    if isinstance(expression, Name):
        return expression.name
    if isinstance(expression, Access):
        return chosen_rank(expression)
    return f"{expression.function}({', '.join(_written(argument) for argument in expression.arguments)})"


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outermost first."""
    yield expression
    if isinstance(expression, Call):
        for argument in expression.arguments:
            yield from walk(argument)
    elif isinstance(expression, Access):
        for index in expression.indices:
            yield from walk(index)


def accesses(expression: Expression) -> tuple[Access, ...]:
    """The different tensor accesses in an expression, in order of appearance."""
    return tuple(dict.fromkeys(part for part in walk(expression) if isinstance(part, Access)))


def names(expression: Expression) -> tuple[str, ...]:
    """The different names (rank variables, sizes, constants) in an expression, in order of appearance."""
    return tuple(dict.fromkeys(part.name for part in walk(expression) if isinstance(part, Name)))


def inner_accesses(access: Access) -> tuple[Access, ...]:
    """The different accesses inside the indices of an access, whose values choose what it reads."""
    return accesses(Access("", access.indices))[1:]


def outermost_accesses(access: Access) -> tuple[Access, ...]:
    """Those of `inner_accesses` that stand in an index of the access itself."""
    return tuple(dict.fromkeys(part for index in access.indices for part in _to_accesses(index) if isinstance(part, Access)))


def own_names(access: Access) -> tuple[str, ...]:
    """The different names in the indices of an access that do not stand inside an access there."""
    return tuple(dict.fromkeys(part.name for index in access.indices for part in _to_accesses(index) if isinstance(part, Name)))


def _to_accesses(expression: Expression) -> Iterator[Expression]:
    """As `walk`, without what is inside accesses."""
    yield expression
    for argument in expression.arguments if isinstance(expression, Call) else ():
        yield from _to_accesses(argument)


def index_map(expression: Expression, sizes: Mapping[str, float]) -> IndexMap | None:
    """The normal form of an integer index expression, or None if it has none.

    `sizes` gives rank sizes and constants by name; every other name is a rank variable, and an access one of its own (`chosen_rank`).
    """
    if isinstance(expression, Access):
        return IndexMap(((chosen_rank(expression), 1),))
    if isinstance(expression, Number):
        return IndexMap((), int(expression.value)) if float(expression.value).is_integer() else None
    if isinstance(expression, Name):
        if expression.name in sizes:
            value = sizes[expression.name]
            return IndexMap((), int(value)) if float(value).is_integer() else None
        return IndexMap(((expression.name, 1),))
    if not isinstance(expression, Call):
        return None
    parts = [index_map(argument, sizes) for argument in expression.arguments]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    return _combine(expression.function, known)


def _combine(function: str, parts: list[IndexMap]) -> IndexMap | None:
    if function == "neg":
        return _scaled(parts[0], -1)
    if len(parts) != 2:
        return None
    left, right = parts
    constant = not right.terms and right.divisor == 1 and right.modulus == 0
    if function == "add":
        return _added(left, right)
    if function == "sub":
        negated = _scaled(right, -1)
        return None if negated is None else _added(left, negated)
    if function == "mul":
        if constant:
            return _scaled(left, right.offset)
        return _scaled(right, left.offset) if not left.terms and left.divisor == 1 and left.modulus == 0 else None
    if function == "floordiv" and constant and right.offset > 0 and left.modulus == 0:
        if not left.terms and left.divisor == 1:
            return IndexMap((), left.offset // right.offset)
        return IndexMap(left.terms, left.offset, left.divisor * right.offset)
    if function == "mod" and constant and right.offset > 0 and left.modulus == 0:
        if not left.terms and left.divisor == 1:
            return IndexMap((), left.offset % right.offset)
        return IndexMap(left.terms, left.offset, left.divisor, right.offset)
    if function == "pow" and constant and not left.terms and right.offset >= 0:
        return IndexMap((), left.offset**right.offset) if right.offset < 63 else None
    return None


def _scaled(index: IndexMap, factor: int) -> IndexMap | None:
    if factor == 1:
        return index
    if index.divisor != 1 or index.modulus:
        return None
    if factor == 0:
        return IndexMap((), 0)
    return IndexMap(tuple((rank, coefficient * factor) for rank, coefficient in index.terms), index.offset * factor)


def _added(left: IndexMap, right: IndexMap) -> IndexMap | None:
    if left.divisor != 1 or left.modulus or right.divisor != 1 or right.modulus:
        return None
    total = dict(left.terms)
    for rank, coefficient in right.terms:
        total[rank] = total.get(rank, 0) + coefficient
    terms = tuple(sorted((rank, coefficient) for rank, coefficient in total.items() if coefficient))
    return IndexMap(terms, left.offset + right.offset)
