"""Sums of products in normal form: coefficients of monomials, whose atoms are whatever is no sum, difference, product or quotient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from accelsim.workload.expression import Call, Expression, Number
from accelsim.workload.transform.text import call

Monomial = tuple[tuple[Expression, int], ...]
"""Atoms with their exponents, none of which is 0, in order of their text."""

Polynomial = Mapping[Monomial, Fraction]
MOST_TERMS = 64
_LARGEST_POWER = 4


def polynomial(expression: Expression) -> Polynomial:
    """An expression as a polynomial; a sum that divides is an atom."""
    if isinstance(expression, Number) and expression.value == expression.value and abs(expression.value) < 1e15:
        value = Fraction(expression.value)
        return {(): value} if value else {}
    if isinstance(expression, Call):
        parts = expression.arguments
        if expression.function in ("add", "sub"):
            sign = 1 if expression.function == "add" else -1
            return added([(polynomial(parts[0]), 1), (polynomial(parts[1]), sign)])
        if expression.function == "neg":
            return added([(polynomial(parts[0]), -1)])
        if expression.function == "mul":
            return times(polynomial(parts[0]), polynomial(parts[1]))
        if expression.function == "div":
            divisor = polynomial(parts[1])
            if len(divisor) == 1:
                ((monomial, coefficient),) = divisor.items()
                return times(polynomial(parts[0]), {tuple((atom, -power) for atom, power in monomial): 1 / coefficient})
            return times(polynomial(parts[0]), {((parts[1], -1),): Fraction(1)})
        if expression.function == "pow" and isinstance(parts[1], Number) and parts[1].value in range(1, _LARGEST_POWER + 1):
            made = polynomial(parts[0])
            for _ in range(int(parts[1].value) - 1):
                made = times(made, polynomial(parts[0]))
            return made
    return {((expression, 1),): Fraction(1)}


def added(parts: Iterable[tuple[Polynomial, int]]) -> Polynomial:
    """The sum of polynomials, each with a sign."""
    total: dict[Monomial, Fraction] = {}
    for each, sign in parts:
        for monomial, coefficient in each.items():
            total[monomial] = total.get(monomial, Fraction(0)) + sign * coefficient
    return {monomial: coefficient for monomial, coefficient in total.items() if coefficient}


def times(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product of two polynomials."""
    return added(({_joined(one, other): a * b}, 1) for one, a in left.items() for other, b in right.items())


def _joined(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return monomial_of(powers)


def monomial_of(powers: Mapping[Expression, int]) -> Monomial:
    """Atoms with exponents in order, those with exponent 0 left out."""
    return tuple(sorted(((atom, power) for atom, power in powers.items() if power), key=lambda pair: repr(pair[0])))


def expression_of(found: Polynomial) -> Expression:
    """A polynomial as an expression: terms without divisors first, subtracted ones last."""
    terms = sorted(found.items(), key=lambda term: (term[1] < 0, min((power for _, power in term[0]), default=0) < 0))
    made: Expression | None = None
    for monomial, coefficient in terms:
        term = _term(monomial, abs(coefficient) if made is not None else coefficient)
        made = term if made is None else call("sub" if coefficient < 0 else "add", made, term)
    return made if made is not None else Number(0.0)


def _term(monomial: Monomial, coefficient: Fraction) -> Expression:
    factors = [atom for atom, power in monomial for _ in range(power)]
    divisors = [atom for atom, power in monomial for _ in range(-power)]
    sign = -1 if coefficient < 0 else 1
    number = abs(coefficient)
    made: Expression | None = None
    if number != 1 or not factors:
        made = Number(float(number))
    for factor in factors:
        made = factor if made is None else call("mul", made, factor)
    assert made is not None
    if sign < 0:
        made = Number(-made.value) if isinstance(made, Number) else call("neg", made)
    for divisor in divisors:
        made = call("div", made, divisor)
    return made
