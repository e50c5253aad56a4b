"""The grammar of extended Einsums: one statement of text to its output, expression, reduction and condition; errors at the column."""

from __future__ import annotations

import bisect
import io
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from accelsim.cache import kept
from accelsim.errors import InputError, Place, did_you_mean
from accelsim.workload.expression import Access, Call, Expression, Name, Number, walk
from accelsim.workload.operators import OPERATORS, REDUCTIONS

GRAMMAR = r"""
statement: access "=" expression ("where" expression)?
?expression: conjunction | expression "or" conjunction -> or_
?conjunction: negation | conjunction "and" negation -> and_
?negation: comparison | "not" negation -> not_
?comparison: sum (COMPARE sum)*
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: signed | product "*" signed -> mul | product "/" signed -> div | product "//" signed -> floordiv | product "%" signed -> mod
?signed: power | "-" signed -> neg | "+" signed
?power: atom | atom "**" signed -> pow
?atom: NUMBER -> number | NAME -> name | access | "(" expression ")"
     | NAME "(" list ")" -> call | NAME "[" list "]" "(" list ")" -> reduction
access: NAME "[" list "]" | NAME "[" "]"
list: expression ("," expression)*
COMPARE: "<=" | ">=" | "==" | "!=" | "<" | ">"
NUMBER: /(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/
NAME: /[A-Za-z_][A-Za-z_0-9]*/
%import common.WS
%ignore WS
"""
LONGEST_STATEMENT = 4000
DEEPEST = 60
_COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
_OPERATORS = {"add", "sub", "mul", "div", "floordiv", "mod", "neg", "pow"}
_SIGNS = {*_COMPARE.values(), *_OPERATORS, "and", "or", "not"} - {"pow"}
_NAMED = tuple(name for name in OPERATORS if name not in _SIGNS)


@dataclass(frozen=True, slots=True)
class Statement:
    """The text of one statement and where it stands: `places[i]` is the line and column of character `starts[i]` and those after it."""

    text: str
    label: str = ""
    file: str = "statement"
    starts: tuple[int, ...] = (0,)
    places: tuple[tuple[int, int], ...] = ((1, 1),)
    lines: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def place(self, offset: int = 0) -> Place:
        """Where character `offset` of the text stands in the file."""
        at = max(bisect.bisect_right(self.starts, offset) - 1, 0)
        line, column = self.places[at]
        return Place(self.file, line, column + offset - self.starts[at])

    def error(self, offset: int, what: str, mend: str = "") -> InputError:
        """An InputError at a character of the text, with the line and a caret under it."""
        place = self.place(offset)
        line = self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else ""
        column = place.column
        if not line or column > len(line) + 1:
            line, column = " ".join(self.text.split("\n")), offset + 1
        start = max(0, column - 100)
        shown = line[start : start + 140].rstrip()
        return InputError(what, mend, place, f"  {shown}\n  {' ' * (column - 1 - start)}^")

    def error_at(self, word: str, what: str, mend: str = "") -> InputError:
        """An InputError at the first place where a whole word stands in the text."""
        import re

        found = re.search(rf"(?<![A-Za-z_0-9]){re.escape(word)}(?![A-Za-z_0-9])", self.text)
        return self.error(found.start() if found else 0, what, mend)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed statement; `reduced` is None where the reduction is implied (`reduce` is then `add`)."""

    output: Access
    expression: Expression
    reduce: str = "add"
    reduced: tuple[str, ...] | None = None
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class _Reduction:
    operator: str
    ranks: tuple[str, ...]
    body: Expression
    offset: int


def parse_statement(statement: Statement | str) -> Parsed:
    """One statement, parsed; an InputError at the column if it is not one."""
    source = Statement(statement) if isinstance(statement, str) else statement
    with suppress(InputError):
        return _known(source.text)
    return _parsed(source)  # which says where it is wrong


@lru_cache(maxsize=8192)
def _known(text: str) -> Parsed:
    """A statement by its text alone: layers of a model repeat the same ones."""
    return _parsed(Statement(text))


def _parsed(source: Statement) -> Parsed:
    output, right, condition = _tree(source, "statement")
    if condition is not None and (isinstance(condition, _Reduction) or _reductions(condition)):
        raise source.error(0, "a condition cannot hold a reduction", "compute it in a statement of its own")
    if isinstance(right, _Reduction):
        return Parsed(output, right.body, right.operator, right.ranks, condition)
    return Parsed(output, right, condition=condition)


def parse_expression(text: Statement | str) -> Expression:
    """One expression of numbers, names, accesses and operators, parsed."""
    source = Statement(text) if isinstance(text, str) else text
    tree = _tree(source, "expression")
    if isinstance(tree, _Reduction):
        raise source.error(tree.offset, "a reduction cannot stand here", "write it as a statement of its own")
    return tree  # type: ignore[no-any-return]


def split_statements(source: Statement) -> tuple[Statement, ...]:
    """The statements of a text that `;` separates, each with its place; a label belongs to the only one or to none."""
    found = []
    offset = 0
    for part in source.text.split(";"):
        if part.strip():
            start = offset + len(part) - len(part.lstrip())
            text = part.strip()
            first = max(bisect.bisect_right(source.starts, start) - 1, 0)
            line, column = source.places[first]
            starts = [0, *(at - start for at in source.starts[first + 1 :])]
            places = ((line, column + start - source.starts[first]), *source.places[first + 1 :])
            found.append(Statement(text, source.label, source.file, tuple(starts), places, source.lines))
        offset += len(part) + 1
    if source.label and len(found) > 1:
        raise source.error(0, f"label '{source.label}' stands before {len(found)} statements", "label them one by one")
    return tuple(found)


@lru_cache(maxsize=4)
def _parser(start: str) -> Any:
    """The parser of the grammar from a rule; its tables are kept between runs, for they take longer than a search of a small problem."""
    import lark

    def tables() -> bytes:
        stream = io.BytesIO()
        lark.Lark(GRAMMAR, parser="lalr", start=start, propagate_positions=True, maybe_placeholders=False).save(stream)
        return stream.getvalue()

    key = "\n".join((sys.version, lark.__version__, start, GRAMMAR))
    return lark.Lark.load(io.BytesIO(kept("grammar", key, tables)))


def _tree(source: Statement, start: str) -> Any:
    from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    if len(source.text) > LONGEST_STATEMENT:
        raise source.error(0, f"a statement longer than {LONGEST_STATEMENT} characters", "write several statements")
    try:
        tree = _parser(start).parse(source.text)
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        raise source.error(at, f"unexpected character '{source.text[at]}'", _EXAMPLE) from None
    except UnexpectedToken as error:
        if error.token.type == "$END" or error.pos_in_stream is None:
            raise source.error(len(source.text.rstrip()), "the statement ends too early", _expected(error)) from None
        at = error.pos_in_stream
        raise source.error(at, f"unexpected '{error.token}'", _expected(error)) from None
    except UnexpectedInput as error:
        raise source.error(error.pos_in_stream or 0, "not a statement", _EXAMPLE) from None
    return _build(tree, source, 0)


_EXAMPLE = "write it as in 'Z[m,n] = A[m,k] * B[k,n]'"
_SHOWN = {
    "EQUAL": "'='",
    "RSQB": "']'",
    "LSQB": "'['",
    "RPAR": "')'",
    "LPAR": "'('",
    "COMMA": "','",
    "NAME": "a name",
    "NUMBER": "a number",
}


def _expected(error: Any) -> str:
    wanted = [shown for token, shown in _SHOWN.items() if token in (error.accepts or error.expected)]
    if "a name" in wanted and "a number" in wanted:
        return "a tensor, a name or a number is expected here"
    if wanted == ["'('"]:
        return "an operator such as '*' or '+' is expected here"
    return f"{' or '.join(wanted)} is expected here" if wanted else _EXAMPLE


def _build(tree: Any, source: Statement, depth: int) -> Any:
    if depth > DEEPEST:
        raise source.error(0, f"an expression nested deeper than {DEEPEST}", "write several statements")
    kind, children = tree.data, tree.children
    if kind == "number":
        value = float(children[0])
        if value in (float("inf"),):
            raise source.error(tree.meta.start_pos, f"the number {children[0]} is beyond a double", "write a smaller number")
        return Number(value)
    if kind == "name":
        return Number(float("inf")) if children[0] == "inf" else Name(str(children[0]))
    if kind == "list":
        return tuple(_build(child, source, depth + 1) for child in children)
    if kind == "statement":
        return _statement(children, source, depth)
    if kind == "access":
        indices = _build(children[1], source, depth + 1) if len(children) > 1 else ()
        _refuse_reduction(indices, source)
        return Access(str(children[0]), indices)
    if kind == "reduction":
        return _reduction(children, source, tree.meta.start_pos, depth)
    if kind == "call":
        arguments = _build(children[1], source, depth + 1)
        _refuse_reduction(arguments, source)
        return _call(children[0], arguments, source)
    if kind == "comparison":
        return _comparison(children, source, depth)
    arguments = tuple(_build(child, source, depth + 1) for child in children)
    _refuse_reduction(arguments, source)
    function = str(kind).rstrip("_")
    if function == "neg" and isinstance(arguments[0], Number):
        return Number(-arguments[0].value)
    return Call(function, arguments) if kind != "signed" else arguments[0]


def _statement(children: list[Any], source: Statement, depth: int) -> Any:
    output, right = _build(children[0], source, depth + 1), _build(children[1], source, depth + 1)
    return output, right, _build(children[2], source, depth + 1) if len(children) > 2 else None


def _call(token: Any, arguments: tuple[Expression, ...], source: Statement) -> Expression:
    name, at = str(token), token.start_pos
    row = OPERATORS.get(name)
    if row is None:
        raise source.error(at, f"there is no function '{name}'", did_you_mean(name, _NAMED))
    if row.associative and len(arguments) > row.arity:
        folded = arguments[0]
        for argument in arguments[1:]:
            folded = Call(name, (folded, argument))
        return folded
    if len(arguments) != row.arity:
        given = f"{row.arity} argument{'s' if row.arity > 1 else ''}"
        mend = f"to reduce over ranks write {name}[m](...)" if row.reduction else ""
        raise source.error(at, f"'{name}' takes {given}, not {len(arguments)}", mend)
    return Call(name, arguments)


def _reduction(children: list[Any], source: Statement, start: int, depth: int) -> _Reduction:
    operator = str(children[0])
    if operator not in REDUCTIONS:
        raise source.error(start, f"'{operator}' is not a reduce operator", did_you_mean(operator, REDUCTIONS))
    ranks = _build(children[1], source, depth + 1)
    body = _build(children[2], source, depth + 1)
    if any(not isinstance(rank, Name) for rank in ranks):
        raise source.error(start, f"'{operator}[...]' names the ranks that it reduces", f"write {operator}[m,n](...)")
    if len(body) != 1:
        raise source.error(start, f"'{operator}[...]' reduces one expression, not {len(body)}")
    _refuse_reduction(body, source)
    return _Reduction(operator, tuple(rank.name for rank in ranks), body[0], start)


def _comparison(children: list[Any], source: Statement, depth: int) -> Expression:
    sides = [_build(child, source, depth + 1) for child in children[::2]]
    _refuse_reduction(tuple(sides), source)
    pairs = [Call(_COMPARE[str(sign)], (sides[at], sides[at + 1])) for at, sign in enumerate(children[1::2])]
    joined: Expression = pairs[0]
    for pair in pairs[1:]:
        joined = Call("and", (joined, pair))
    return joined


def _refuse_reduction(parts: tuple[Any, ...], source: Statement) -> None:
    for part in parts:
        if isinstance(part, _Reduction):
            raise source.error(part.offset, "a reduction stands alone on the right of '='", "compute it in a statement of its own")


def _reductions(expression: Any) -> bool:
    return any(isinstance(part, _Reduction) for part in walk(expression))
