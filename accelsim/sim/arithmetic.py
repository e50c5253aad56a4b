"""What a unit computes: every operation of a map expression and of a reduction, rounded once to the type of partial results.

Beside each value may go a bound of its error: how far it can lie from what the same cascade gives in real arithmetic on the inputs as they
were given. u is half the distance of 1 to the next number of the type, t half its least number. An operation that the unit rounds adds
u |result| + t; before that, a + b has the sum of both errors, a b has |a| eb + |b| ea + ea eb, and so on (`_carried`); `doubt` has
sums. exp, log and the like are good to 4 u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.errors import InputError
from accelsim.hardware.types import TYPES, NumberType
from accelsim.sim.formats import BLOCK, FORMATS, SATURATE, round_to
from accelsim.workload.expression import Access, Call, Expression, Name, Number, accesses
from accelsim.workload.operators import OPERATORS

LARGEST = 1.7976931348623157e308
UNROUNDED = frozenset(
    {"max", "min", "abs", "relu", "neg", "copy", "re", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "step", "take"}
)
UNSURE = frozenset({"exp", "log", "sqrt", "sigmoid", "silu", "softplus", "gelu", "erf", "tanh", "pow", "ldexp", "cis"})
STEEPEST = {"sigmoid": 0.25, "silu": 1.1, "softplus": 1.0, "gelu": 1.13, "erf": 1.13, "tanh": 1.0}  # greatest slopes


@dataclass(frozen=True, slots=True)
class Noted:
    """Values with bounds of their errors (None: not asked for)."""

    values: Any
    error: Any = None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operations in one type; `None` is double precision, or whole numbers where all operands are whole."""

    number_type: NumberType | None
    overflow: str = SATURATE

    @property
    def lowest(self) -> float:
        """What -inf is: the lowest finite value."""
        return self.number_type.lowest if self.number_type else -LARGEST

    @property
    def exact(self) -> bool:
        """Whether sums of whole numbers have no error."""
        return self.number_type is None or self.number_type.kind == "integer"

    def unit(self) -> tuple[float, float]:
        """u and t."""
        if self.number_type is None:
            return 2.0**-53, 2.0**-1074
        form = FORMATS[self.number_type.name]
        return (0.0, 0.5) if self.number_type.kind == "integer" else (2.0**-form.digits, 2.0 ** (form.least - 1))

    def rounded(self, values: Any) -> Any:
        """Values in the type; in double precision only kept finite where they are sums of finite ones (`finite`)."""
        return values if self.number_type is None else round_to(values, self.number_type, overflow=self.overflow)

    def combine(self, reduce: str, left: Any, right: Any) -> Any:
        """One step of a reduction."""
        import numpy as np

        if reduce in {"max", "min"}:
            return OPERATORS[reduce].meaning(np, left, right)
        with np.errstate(all="ignore"):
            found = OPERATORS[reduce].meaning(np, left, right)
        return _finite(np, found, (left, right)) if self.number_type is None else self.rounded(found)

    def identity(self, reduce: str, whole: bool) -> Any:
        """What a reduction over no points gives."""
        value = OPERATORS[reduce].identity
        assert value is not None
        if value in (float("inf"), float("-inf")):
            if self.number_type is None:
                return (-(2**62) if value < 0 else 2**62) if whole else (-LARGEST if value < 0 else LARGEST)
            return self.number_type.lowest if value < 0 else -self.number_type.lowest - (self.number_type.kind == "integer")
        return int(value) if whole else value


def working(number_type: NumberType | None, overflow: str) -> Arithmetic:
    """The arithmetic of results with this partial type; sums of MX values are kept in fp32, as a block's scale is known only at its end."""
    if number_type is not None and FORMATS[number_type.name].exponent is not None:
        number_type = TYPES["fp32"]
    return Arithmetic(number_type, overflow)


def compute(
    expression: Expression, known: Mapping[str, Any], read: Callable[[Access], Noted], arithmetic: Arithmetic, bounds: bool
) -> Noted:
    """The value of a map expression over arrays that broadcast; parts without a tensor are numbers known in advance."""
    import numpy as np

    if isinstance(expression, Access):
        return read(expression)
    if not accesses(expression):
        return Noted(plain(expression, known, arithmetic.lowest), 0.0 if bounds else None)
    assert isinstance(expression, Call)
    parts = [compute(part, known, read, arithmetic, bounds) for part in expression.arguments]
    values = [part.values for part in parts]
    function = expression.function
    exact = _apply(np, function, values)
    if function in UNROUNDED:
        found = exact
    elif arithmetic.number_type is None:
        found = _finite(np, exact, values) if function in {"add", "sub", "mul"} else exact
    else:
        found = arithmetic.rounded(exact)
    return Noted(found, _error(np, function, exact, found, parts, arithmetic) if bounds else None)


def plain(expression: Expression, known: Mapping[str, Any], lowest: float = -LARGEST, read: Callable[[Access], Any] | None = None) -> Any:
    """The value of an expression without rounding: an index, a condition, a part known in advance."""
    import numpy as np

    if isinstance(expression, Number):
        value = expression.value
        if value in (float("inf"), float("-inf")):
            return lowest if value < 0 else -lowest
        return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
    if isinstance(expression, Name):
        value = known[expression.name]
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(expression, Access):
        assert read is not None, "an expression without tensors was expected"
        return read(expression)
    assert isinstance(expression, Call)
    return _apply(np, expression.function, [plain(part, known, lowest, read) for part in expression.arguments])


def _apply(np: Any, function: str, values: list[Any]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return OPERATORS[function].meaning(np, *values)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"'{function}' cannot be computed: {error}", "keep integers whole and powers not negative") from None


def _finite(np: Any, found: Any, operands: Any) -> Any:
    """-inf is the lowest finite double: what finite operands give stays finite."""
    if np.asarray(found).dtype.kind != "f" or not np.any(np.isinf(found)):
        return found
    beyond = np.isinf(found)
    for operand in operands:
        beyond = beyond & np.isfinite(operand)
    return np.where(beyond, np.copysign(LARGEST, found), found)


def stored_error(values: Any, stored: Any, number_type: NumberType) -> Any:
    """A bound of what rounding values to a type changes: u |value| + t; beyond the largest, what is lost.

    In an MX block t is that of the block's scale, and both double for values between the largest element and the next power of two.
    """
    import numpy as np

    form = FORMATS[number_type.name]
    size = np.abs(np.asarray(values, dtype=np.float64))
    if number_type.kind == "integer":
        own: Any = 0.0 if np.asarray(values).dtype.kind in "iu" else 0.5
    elif form.exponent is None:
        own = 2.0**-form.digits * size + 2.0 ** (form.least - 1)
    else:
        top = np.zeros_like(size)
        for start in range(0, size.shape[-1], BLOCK):
            part = (..., slice(start, start + BLOCK))
            top[part] = size[part].max(axis=-1, keepdims=True)
        return 2.0 ** (1 - form.digits) * size + 2.0**form.least * np.maximum(top * 2.0**-form.exponent, 2.0**-127)
    with np.errstate(invalid="ignore"):
        lost = np.abs(np.asarray(values, dtype=np.float64) - stored)
    return np.where(size > form.largest, np.where(np.isnan(lost), np.inf, lost), own)


def _error(np: Any, function: str, exact: Any, found: Any, parts: list[Noted], arithmetic: Arithmetic) -> Any:
    """The bound of an operation's result `found`, which before it was rounded was `exact`."""
    whole = all(np.asarray(each).dtype.kind in "iub" for each in (found, *(part.values for part in parts)))
    if whole and not any(np.any(part.error) for part in parts):
        return 0.0
    with np.errstate(all="ignore"):
        carried = _carried(np, function, exact, [part.values for part in parts], [part.error for part in parts])
        if function in UNROUNDED:
            return carried
        relative, least = arithmetic.unit()
        relative *= 4 if function in UNSURE else 1
        own = relative * np.abs(exact) + least
        if arithmetic.number_type is not None:
            own = np.where(np.abs(exact) > FORMATS[arithmetic.number_type.name].largest, np.abs(exact - found), own)
        bound = carried + own
        return np.where(np.isnan(bound), np.inf, bound)


def _carried(np: Any, function: str, found: Any, values: list[Any], errors: list[Any]) -> Any:
    """How far errors of the operands move an operation's result."""
    sizes = [np.abs(np.asarray(value, dtype=np.float64)) for value in values]
    if function in {"add", "sub"}:
        return errors[0] + errors[1]
    if function == "mul":
        return sizes[0] * errors[1] + sizes[1] * errors[0] + errors[0] * errors[1]
    if function == "div":
        below = sizes[1] - errors[1]
        return np.where(below > 0, (errors[0] + np.abs(found) * errors[1]) / np.where(below > 0, below, 1.0), np.inf)
    if function in {"max", "min"}:
        return np.maximum(*errors)
    if function in {"abs", "relu", "neg", "copy", "re"}:
        return errors[0]
    if function == "exp":
        small = np.minimum(errors[0], 1.0)
        return np.where(errors[0] <= 1.0, np.abs(found) * np.expm1(small), np.exp(values[0] + errors[0]))
    if function == "sqrt":
        return np.where(
            values[0] > errors[0], errors[0] / np.sqrt(np.maximum(values[0] - errors[0], 1e-300)), np.sqrt(sizes[0] + errors[0])
        )
    if function == "log":
        below = values[0] - errors[0]
        return np.where(below > 0, errors[0] / np.where(below > 0, below, 1.0), np.inf)
    if function in STEEPEST:
        return STEEPEST[function] * errors[0]
    if function in {"lt", "le", "gt", "ge", "eq", "ne"}:
        return np.where(np.abs(values[0] - values[1]) <= errors[0] + errors[1], np.where(errors[0] + errors[1] > 0, 1.0, 0.0), 0.0)
    if function == "rint":
        return np.where(errors[0] > 0, errors[0] + 1.0, 0.0)
    if function == "take":
        return np.where(errors[0] > 0, np.inf, errors[1])
    return np.where(np.maximum.reduce([np.broadcast_to(error, np.shape(found)) for error in errors]) > 0, np.inf, 0.0)
