"""The one table of operators: identity, algebra, meaning and the primitives that cover each, in order of preference.

Primitives are what compute units execute: `mac mul add sub max min div exp subexp log sqrt ...`, a word of the table or one of
`mac` (a*b + c), `subexp` (exp(a - b)), `cmp` (a comparison), `move` (copies a value), `recip` (1 / a), `scan` (a whole step of a
linear recurrence, see `linear_step`; a unit that has it takes it for whatever the step consists of).
To add an operator: one row. Index arithmetic, conditions and parts without a tensor (`1 / sqrt(E)`) cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from accelsim.workload.expression import Access, Call, Expression, Number, accesses, outermost_accesses
from accelsim.workload.recurrence import linear_step

if TYPE_CHECKING:
    from accelsim.workload.cascade import Einsum

Cover = tuple[tuple[str, int], ...]
"""Primitives and how many of each execute an operator once."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A row: `meaning(np, *arguments)` computes it elementwise on numpy arrays (`np` is the module, so that nothing imports it here).

    `identity`: what a reduction over no points gives (None: not a reduction); `reduction`: the numpy ufunc whose `reduce` combines.
    Algebra, on which transformations rest (`workload.transform`): `inverse` undoes it, (a op b) inverse b = a; it distributes `over`
    these reductions, so that what is constant may be applied once, after them; a function `turns` one operator into another,
    f(a + b) = f(a) * f(b).
    """

    name: str
    arity: int
    meaning: Callable[..., Any]
    coverings: tuple[Cover, ...]
    identity: float | None = None
    reduction: str = ""
    associative: bool = False
    commutative: bool = False
    about: str = ""
    inverse: str = ""
    over: tuple[str, ...] = ()
    turns: tuple[str, str] | None = None


def _or(*alternatives: str) -> tuple[Cover, ...]:
    """Coverings from text: `_or('exp', '6 mac', 'mul add')`."""
    found = []
    for alternative in alternatives:
        words, cover, count = alternative.split(), [], 1
        for word in words:
            if word.isdigit():
                count = int(word)
            else:
                cover.append((word, count))
                count = 1
        found.append(tuple(cover))
    return tuple(found)


def _flag(np: Any, holds: Any, *operands: Any) -> Any:
    """Whether something holds as 1 or 0 in the type of what was asked about: a truth value is a number like any other."""
    kind = np.result_type(*operands)
    return np.asarray(holds).astype(np.int64 if kind.kind == "b" else kind)


def _ldexp(np: Any, mantissa: Any, exponent: Any) -> Any:
    return mantissa * np.exp2(np.clip(exponent, -2200.0, 1100.0))


def _sigmoid(np: Any, a: Any) -> Any:
    return np.where(a >= 0, 1.0, np.exp(-np.abs(a))) / (1.0 + np.exp(-np.abs(a)))


def _qexp(np: Any, a: Any) -> Any:
    from accelsim.workload.fixed import Fixed, exp

    return exp(np.asarray(a).astype(np.int64), Fixed())


def _gelu(np: Any, a: Any) -> Any:
    from scipy.special import erf

    return 0.5 * a * (1.0 + erf(a / 2.0**0.5))


def _erf(np: Any, a: Any) -> Any:
    from scipy.special import erf

    return erf(a)


_MUL = _or("mul", "mac")
_CMP = _or("cmp", "sub", "add")
# exp as six dependent mac: fifth-order Taylor, arXiv 2406.10491, section 5.
# Subtraction on an adder: one operand's sign is flipped on the way in.
_ROWS = (
    Operator("add", 2, lambda np, a, b: a + b, _or("add"), 0.0, "add", True, True, "", "sub", ("max", "min")),
    Operator("sub", 2, lambda np, a, b: a - b, _or("sub", "add")),
    Operator("mul", 2, lambda np, a, b: a * b, _MUL, 1.0, "multiply", True, True, "", "div", ("add",)),
    Operator("div", 2, lambda np, a, b: np.true_divide(a, b), _or("div", "recip mul", "recip mac")),
    Operator("floordiv", 2, lambda np, a, b: np.floor_divide(a, b), _or("floordiv", "div")),
    Operator("mod", 2, lambda np, a, b: np.mod(a, b), _or("mod", "div mac")),
    Operator("pow", 2, lambda np, a, b: np.power(a, b), _or("pow", "log mul exp"), about="a constant whole power is multiplications"),
    Operator("neg", 1, lambda np, a: -a, _or("neg", "sub", "add")),
    Operator("max", 2, lambda np, a, b: np.maximum(a, b), _or("max"), float("-inf"), "maximum", True, True, over=("min",)),
    Operator("min", 2, lambda np, a, b: np.minimum(a, b), _or("min"), float("inf"), "minimum", True, True, over=("max",)),
    Operator("lt", 2, lambda np, a, b: _flag(np, a < b, a, b), _CMP),
    Operator("le", 2, lambda np, a, b: _flag(np, a <= b, a, b), _CMP),
    Operator("gt", 2, lambda np, a, b: _flag(np, a > b, a, b), _CMP),
    Operator("ge", 2, lambda np, a, b: _flag(np, a >= b, a, b), _CMP),
    Operator("eq", 2, lambda np, a, b: _flag(np, a == b, a, b), _CMP),
    Operator("ne", 2, lambda np, a, b: _flag(np, a != b, a, b), _CMP),
    Operator("and", 2, lambda np, a, b: _flag(np, np.logical_and(a, b), a, b), _or("and", "mul", "mac"), 1.0, "logical_and", True, True),
    Operator("or", 2, lambda np, a, b: _flag(np, np.logical_or(a, b), a, b), _or("or", "max"), 0.0, "logical_or", True, True),
    Operator("not", 1, lambda np, a: _flag(np, np.logical_not(a), a), _or("not", "sub", "add")),
    Operator("exp", 1, lambda np, a: np.exp(a), _or("exp", "6 mac"), turns=("add", "mul")),
    Operator("qexp", 1, _qexp, _or("exp"), about="exp of a whole number of 256ths, at most 0, in 32768ths; to the bit of hw/rtl"),
    Operator("log", 1, lambda np, a: np.log(a), _or("log")),
    Operator("sqrt", 1, lambda np, a: np.sqrt(a), _or("sqrt")),
    Operator("abs", 1, lambda np, a: np.abs(a), _or("abs", "max")),
    Operator("rint", 1, lambda np, a: np.rint(a), _or("rint", "add"), about="nearest whole number, halves to even"),
    Operator("ldexp", 2, _ldexp, _or("ldexp", "add", "mul"), about="a * 2**b: an addition of exponents"),
    Operator("sigmoid", 1, _sigmoid, _or("sigmoid", "exp add div", "6 mac add div")),
    Operator("silu", 1, lambda np, a: a * _sigmoid(np, a), _or("silu", "sigmoid mul", "sigmoid mac", "exp add div", "6 mac add div")),
    Operator("softplus", 1, lambda np, a: np.logaddexp(a, 0.0), _or("softplus", "exp add log")),
    Operator("relu", 1, lambda np, a: np.maximum(a, 0), _or("relu", "max")),
    Operator("gelu", 1, _gelu, _or("gelu"), about="0.5 a (1 + erf(a / sqrt 2))"),
    Operator("erf", 1, _erf, _or("erf"), about="the error function"),
    Operator("tanh", 1, lambda np, a: np.tanh(a), _or("tanh")),
    Operator("step", 1, lambda np, a: np.where(np.asarray(a) > 0, 1, 0), _CMP, about="1 where a > 0, else 0"),
    Operator("take", 2, lambda np, a, b: np.where(np.asarray(a) != 0, b, 0), _or("take", "mul", "mac"), about="b where a is not zero"),
    Operator("re", 1, lambda np, a: np.real(a), _or(""), about="real part; a view"),
    Operator("cis", 1, lambda np, a: np.exp(1j * np.asarray(a)), _or("cis"), about="e**(i a)"),
    Operator("copy", 1, lambda np, a: +a, _or("move")),
)

OPERATORS: dict[str, Operator] = {row.name: row for row in _ROWS}

REDUCTIONS: tuple[str, ...] = tuple(row.name for row in _ROWS if row.reduction)

PRIMITIVES: frozenset[str] = frozenset(
    {"mac", "subexp", "select", "scan"} | {name for row in _ROWS for cover in row.coverings for name, _ in cover}
)


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
    if _scans(einsum, primitives):
        return {"scan": 1}
    counts: dict[str, int] = {}
    for need in coverings(einsum):
        chosen = _first(need, primitives)
        if chosen is None:
            return None
        for primitive, count in chosen:
            counts[primitive] = counts.get(primitive, 0) + count
    return counts


def steps_alone(einsum: Einsum, primitives: Collection[str]) -> bool:
    """Whether lanes that execute `primitives` take the steps of a recurrence one after the other; those of a scan unit do not."""
    return not _scans(einsum, primitives)


def missing_primitive(einsum: Einsum, primitives: Collection[str]) -> str | None:
    """The primitive that a unit lacks to execute an Einsum (of the preferred covering), None if it lacks nothing."""
    if _scans(einsum, primitives):
        return None
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


def _scans(einsum: Einsum, primitives: Collection[str]) -> bool:
    """Whether a unit takes an Einsum as steps of a scan."""
    return "scan" in primitives and linear_step(einsum) is not None


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
        needs.append(Need("a*b summed", (*_MAC, *_PRODUCT)))
        return tuple(needs)
    if reduce == "add" and _is(expression, "take"):
        assert isinstance(expression, Call)
        _operands(expression, needs)
        needs.append(
            Need("words taken and summed", (*_both(OPERATORS["take"].coverings[:1], OPERATORS["add"].coverings), *_MAC, *_PRODUCT))
        )
        return tuple(needs)
    _visit(expression, needs)
    if reduce:
        needs.append(Need(f"{reduce} over points", OPERATORS[reduce].coverings))
    return tuple(needs)


_SELECT: tuple[Cover, ...] = ((("select", 1),),)
_SUBEXP: tuple[Cover, ...] = ((("subexp", 1),),)


def _both(left: tuple[Cover, ...], right: tuple[Cover, ...]) -> tuple[Cover, ...]:
    return tuple((*first, *second) for first in left for second in right)


_MAC: tuple[Cover, ...] = ((("mac", 1),),)
_PRODUCT = _both(OPERATORS["mul"].coverings, OPERATORS["add"].coverings)
_TAKEN = _both(_or("take"), OPERATORS["add"].coverings)


def _is(expression: Expression, function: str) -> bool:
    return isinstance(expression, Call) and expression.function == function and bool(accesses(expression))


def _is_product(expression: Expression) -> bool:
    """Whether an expression is an operation a*b (a product of two parts known in advance is a number)."""
    return _is(expression, "mul")


def _operands(call: Call, needs: list[Need]) -> None:
    for argument in call.arguments:
        _visit(argument, needs)


def _visit(expression: Expression, needs: list[Need]) -> None:
    if isinstance(expression, Access):
        _choose(expression, needs)
        return
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
        needs.append(Need("a*b + c", (*_MAC, *_PRODUCT)))
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


def _choose(access: Access, needs: list[Need]) -> None:
    """What it takes that values in its indices choose what is read: a selection for each, once what chooses is selected itself."""
    for inner in outermost_accesses(access):
        _choose(inner, needs)
        needs.append(Need(f"{access.tensor} at values of {inner.tensor}", _SELECT))


def is_view(einsum: Einsum) -> bool:
    """Whether an Einsum only renames, splits or re-indexes one tensor: no operation, no data moved."""
    return isinstance(einsum.expression, Access) and not einsum.reduced and not einsum.chosen
