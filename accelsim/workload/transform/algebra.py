"""Products, sums and what else one operator and its inverse join, taken apart and put together again by the table of operators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.workload.expression import Access, Call, Expression, Number
from accelsim.workload.operators import OPERATORS


@dataclass(frozen=True, slots=True)
class Joined:
    """What `operator` joins: `plain` parts, and `inverse` ones that its inverse joins (divisors, subtrahends)."""

    operator: str
    plain: tuple[Expression, ...]
    inverse: tuple[Expression, ...] = ()

    def expression(self) -> Expression:
        """The whole as an expression, divisors last; the identity where it has no parts."""
        row = OPERATORS[self.operator]
        plain = self.plain
        if not plain:
            assert row.identity is not None
            plain = (Number(row.identity),)
        made = plain[0]
        for part in plain[1:]:
            made = Call(self.operator, (made, part))
        for part in self.inverse:
            made = Call(row.inverse, (made, part))
        return made

    def parted(self, constant: Iterable[bool]) -> tuple[Joined, Joined]:
        """Those parts that are not marked, and those that are; marks for plain parts first."""
        marks = list(constant)
        cut = len(self.plain)
        plain = list(zip(self.plain, marks[:cut], strict=True))
        inverse = list(zip(self.inverse, marks[cut:], strict=True))
        left, right = (
            Joined(self.operator, tuple(e for e, m in plain if m is want), tuple(e for e, m in inverse if m is want))
            for want in (False, True)
        )
        return left, right

    @property
    def parts(self) -> tuple[Expression, ...]:
        """All parts, plain ones first."""
        return self.plain + self.inverse


def joined(expression: Expression, operator: str) -> Joined:
    """An expression as what an associative, commutative operator and its inverse join; one part if it is anything else."""
    inverse = OPERATORS[operator].inverse
    if isinstance(expression, Call) and expression.function in {operator, inverse} - {""}:
        left, right = (joined(argument, operator) for argument in expression.arguments)
        if expression.function == operator:
            return Joined(operator, left.plain + right.plain, left.inverse + right.inverse)
        return Joined(operator, left.plain + right.inverse, left.inverse + right.plain)
    return Joined(operator, (expression,))


def with_constants(kept: Expression, constant: Joined) -> Expression:
    """`kept op constants`, with inverses applied to what is kept: N / c, not N * (1 / c)."""
    return Joined(constant.operator, (kept, *constant.plain), constant.inverse).expression()


def passing(reduce: str) -> tuple[str, ...]:
    """The operators that distribute over a reduction."""
    return tuple(name for name, row in OPERATORS.items() if reduce in row.over)


@dataclass(frozen=True, slots=True)
class Difference:
    """`function(value inverse reference)`, where the function turns the inverted operator into another: exp(a - b)."""

    function: str
    value: Expression
    reference: Access

    @property
    def of(self) -> tuple[str, str]:
        """The operator inside, and the one that the function turns it into."""
        turns = OPERATORS[self.function].turns
        assert turns is not None
        return turns

    def to(self, reference: Expression) -> Expression:
        """The same from another reference: exp(a - c)."""
        return between(self.function, self.value, reference)


def between(function: str, value: Expression, reference: Expression) -> Expression:
    """`function(value inverse reference)`: exp(a - b)."""
    turns = OPERATORS[function].turns
    assert turns is not None
    return Call(function, (Call(OPERATORS[turns[0]].inverse, (value, reference)),))


def difference(expression: Expression) -> Difference | None:
    """An expression as a difference from an access, None if it is none."""
    if not isinstance(expression, Call) or OPERATORS[expression.function].turns is None:
        return None
    turns = OPERATORS[expression.function].turns
    inner = expression.arguments[0]
    assert turns is not None
    if isinstance(inner, Call) and inner.function == OPERATORS[turns[0]].inverse and isinstance(inner.arguments[1], Access):
        return Difference(expression.function, inner.arguments[0], inner.arguments[1])
    return None
