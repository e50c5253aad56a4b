"""Statements as text: the grammar reads back what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.io.catalogue import WORKLOAD, shipped
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Call, Expression, Name, Number
from accelsim.workload.grammar import Parsed, parse_statement
from accelsim.workload.transform.text import expression_text, statement_text

NAMES = st.sampled_from(["m", "k", "M"]).map(Name)
NUMBERS = st.one_of(st.integers(-3, 9).map(float), st.sampled_from([0.5, 1e-5, 1e300, float("-inf")])).map(Number)
BINARY = ["add", "sub", "mul", "div", "floordiv", "mod", "pow", "max", "lt", "ge", "eq", "and", "or", "ldexp"]


def calls(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Operators over smaller expressions; a minus before a number is the number's."""
    two = st.builds(lambda function, a, b: Call(function, (a, b)), st.sampled_from(BINARY), inner, inner)
    one = st.builds(lambda function, a: Call(function, (a,)), st.sampled_from(["exp", "not", "sqrt"]), inner)
    signed = inner.filter(lambda part: not isinstance(part, Number)).map(lambda part: Call("neg", (part,)))
    reads = st.lists(NAMES, max_size=2).map(lambda indices: Access("A", tuple(indices)))
    return st.one_of(two, one, signed, reads)


@given(st.recursive(st.one_of(NAMES, NUMBERS), calls, max_leaves=12))
def test_any_expression_is_read_back(expression: Expression) -> None:
    line = Parsed(Access("Z", (Name("m"),)), expression)
    assert parse_statement(statement_text(line)) == line


def test_every_shipped_statement_is_read_back() -> None:
    for path in shipped(WORKLOAD).values():
        found = load_workload(path)
        for cascade in [found] if isinstance(found, Cascade) else [layer.cascade for layer in found.layers]:
            assert cascade.declaration is not None
            for statement in cascade.declaration.statements:
                line = parse_statement(statement)
                assert parse_statement(statement_text(line)) in (line, Parsed(line.output, line.expression, condition=line.condition))


@pytest.mark.parametrize(
    "text", ["a * (b + c)", "(a + b) * c", "a - (b - c)", "a - b - c", "a / (b * c)", "-(a + b)", "(-a) ** 2", "2 ** -a"]
)
def test_brackets_stand_where_they_are_needed_and_nowhere_else(text: str) -> None:
    line = parse_statement(f"Z[m] = {text.replace('a', 'A[m]').replace('b', 'B[m]').replace('c', 'C[m]')}")
    assert expression_text(line.expression) == text.replace("a", "A[m]").replace("b", "B[m]").replace("c", "C[m]")
