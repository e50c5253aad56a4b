"""Numeric value of an expression over numpy arrays that broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accelsim.errors import InputError
from accelsim.workload.expression import Access, Call, Expression, Name, Number
from accelsim.workload.operators import OPERATORS

LOWEST = -1.7976931348623157e308
"""What `-inf` behaves as in double precision: the lowest finite value, so that the difference of two is 0."""


def evaluate(expression: Expression, names: Mapping[str, Any], read: Callable[[Access], Any] | None = None, lowest: float = LOWEST) -> Any:
    """The value of an expression; `names` gives ranks (arrays), sizes and constants, `read` the value of an access.

    `-inf` is `lowest`. An InputError if numpy cannot compute it (a negative power of an integer).
    """
    import numpy as np

    if isinstance(expression, Number):
        value = expression.value
        if value in (float("inf"), float("-inf")):
            return lowest if value < 0 else -lowest
        return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
    if isinstance(expression, Name):
        value = names[expression.name]
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(expression, Access):
        assert read is not None, "an expression without tensors was expected"
        return read(expression)
    assert isinstance(expression, Call)
    arguments = [evaluate(argument, names, read, lowest) for argument in expression.arguments]
    try:
        with np.errstate(all="ignore"):
            value = OPERATORS[expression.function].meaning(np, *arguments)
            if expression.function in {"add", "sub", "mul"} and not isinstance(value, int):
                value = _finite(np, value, arguments, lowest)
            return value
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"'{expression.function}' cannot be computed: {error}", "keep integers whole and powers not negative") from None


def _finite(np: Any, value: Any, arguments: list[Any], lowest: float) -> Any:
    """Keep sums of the lowest value at the lowest value: finite operands give a finite result."""
    if np.asarray(value).dtype.kind != "f":
        return value
    if np.isfinite(np.sum(value)):
        return value
    overflowed = np.isinf(value)
    for argument in arguments:
        overflowed = overflowed & np.isfinite(argument)
    return np.where(overflowed, np.copysign(-lowest, value), value) if np.any(overflowed) else value


def index_values(index: Expression, names: Mapping[str, Any], read: Callable[[Access], Any] | None = None) -> Any:
    """The value of an index expression as whole numbers; an InputError if it is not whole. `read` gives the value of an access in it."""
    import numpy as np

    value = np.asarray(evaluate(index, names, read))
    if value.dtype.kind in "iu":
        return value
    if value.dtype.kind == "f" and np.all(value == np.floor(value)) and np.all(np.abs(value) < 2**53):
        return value.astype(np.int64)
    raise InputError("an index is not a whole number", "use // for division")
