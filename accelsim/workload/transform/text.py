"""Expressions and statements as the text that the grammar reads back."""

from __future__ import annotations

import math

from accelsim.workload.expression import Access, Call, Expression, Name, Number
from accelsim.workload.grammar import Parsed

_INFIX = {
    "or": ("or", 1), "and": ("and", 2), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4), "eq": ("==", 4), "ne": ("!=", 4),
    "add": ("+", 5), "sub": ("-", 5), "mul": ("*", 6), "div": ("/", 6), "floordiv": ("//", 6), "mod": ("%", 6), "pow": ("**", 8),
}  # fmt: skip
_CHAINED = {"or", "and", "add", "mul", "sub", "div", "floordiv", "mod"}  # a op b op c is (a op b) op c
_NOT, _SIGN, _ATOM = 3, 7, 9


def statement_text(line: Parsed) -> str:
    """A statement; a sum is implied, as in any Einsum."""
    body = expression_text(line.expression)
    if line.reduce != "add":
        body = f"{line.reduce}[{', '.join(line.reduced or ())}]({body})"
    condition = "" if line.condition is None else f" where {expression_text(line.condition)}"
    return f"{access_text(line.output)} = {body}{condition}"


def access_text(access: Access) -> str:
    """A tensor with its indices."""
    return f"{access.tensor}[{','.join(_tight(index) for index in access.indices)}]"


def expression_text(expression: Expression) -> str:
    """An expression, with the brackets that it needs and no others."""
    return _text(expression)[0]


def _tight(index: Expression) -> str:
    text = expression_text(index)
    return text if isinstance(index, Access) else text.replace(" ", "") if " and " not in text and " or " not in text else text


def _text(expression: Expression) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""
    if isinstance(expression, Number):
        return _number(expression.value)
    if isinstance(expression, Name):
        return expression.name, _ATOM
    if isinstance(expression, Access):
        return access_text(expression), _ATOM
    function, arguments = expression.function, expression.arguments
    if function in _INFIX:
        sign, level = _INFIX[function]
        left = _within(arguments[0], level if function in _CHAINED else level + 1)
        return f"{left} {sign} {_within(arguments[1], _SIGN if function == 'pow' else level + 1)}", level
    if function == "neg":
        return f"-{_within(arguments[0], _SIGN)}", _SIGN
    if function == "not":
        return f"not {_within(arguments[0], _NOT)}", _NOT
    return f"{function}({', '.join(expression_text(argument) for argument in arguments)})", _ATOM


def _within(expression: Expression, least: int) -> str:
    text, level = _text(expression)
    return text if level >= least else f"({text})"


def _number(value: float) -> tuple[str, int]:
    if math.isinf(value):
        return ("inf", _ATOM) if value > 0 else ("-inf", _SIGN)
    text = str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(float(value))
    return text, _SIGN if value < 0 else _ATOM


def call(function: str, *arguments: Expression) -> Call:
    """An operator applied to arguments."""
    return Call(function, arguments)
