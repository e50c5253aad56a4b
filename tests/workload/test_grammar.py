"""Statements as trees, and the whole text of every syntax error."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.workload.evaluate import evaluate
from accelsim.workload.expression import Access, Call, Name, Number, index_map
from accelsim.workload.grammar import Statement, _parser, parse_expression, parse_statement, split_statements

A, B = Access("A", (Name("m"), Name("k"))), Access("B", (Name("k"), Name("n")))


def test_product_is_a_tree_with_an_implied_sum() -> None:
    found = parse_statement("Z[m,n] = A[m,k] * B[k,n]")
    assert found.output == Access("Z", (Name("m"), Name("n")))
    assert found.expression == Call("mul", (A, B))
    assert (found.reduce, found.reduced, found.condition) == ("add", None, None)


def test_named_reduction_keeps_its_ranks() -> None:
    found = parse_statement("Z[p] = max[m, n](A[m,n,p])")
    assert (found.reduce, found.reduced) == ("max", ("m", "n"))


def test_minus_infinity_is_a_number() -> None:
    assert parse_statement("RM[0,p] = -inf").expression == Number(float("-inf"))


def test_power_binds_tighter_than_the_sign_and_to_the_right() -> None:
    assert parse_expression("-a ** b ** c") == Call("neg", (Call("pow", (Name("a"), Call("pow", (Name("b"), Name("c"))))),))


def test_chained_comparison_is_a_conjunction() -> None:
    assert parse_expression("0 <= t < 5") == Call("and", (Call("le", (Number(0), Name("t"))), Call("lt", (Name("t"), Number(5)))))


def test_associative_function_takes_any_number_of_arguments() -> None:
    assert parse_expression("max(a, b, c)") == Call("max", (Call("max", (Name("a"), Name("b"))), Name("c")))


def test_words_that_begin_like_keywords_are_names() -> None:
    assert parse_expression("order * android") == Call("mul", (Name("order"), Name("android")))


EXPRESSIONS = st.recursive(
    st.integers(0, 20).map(str) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.builds("({}){}({})".format, inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner)
        | st.builds("-({})".format, inner)
        | st.builds("{}{}{}".format, st.integers(1, 9), st.sampled_from(["+", "-", "*"]), st.integers(1, 9))
    ),
    max_leaves=12,
)


@given(EXPRESSIONS, st.integers(-9, 9), st.integers(-9, 9))
def test_value_of_an_expression_is_that_of_python(text: str, a: int, b: int) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, {"a": a, "b": b})
    except ZeroDivisionError:
        return
    assert evaluate(parse_expression(text), {"a": a, "b": b}) == expected


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.sampled_from("abc")), max_size=5), st.integers(-9, 9), st.integers(1, 4), st.integers(0, 5)
)
def test_normal_form_of_an_index_has_its_value(terms: list[tuple[int, str]], offset: int, divisor: int, modulus: int) -> None:
    text = (
        "(" + "".join(f"({factor})*{rank}+" for factor, rank in terms) + f"({offset})) // {divisor}" + (f" % {modulus}" if modulus else "")
    )
    form = index_map(parse_expression(text), {})
    assert form is not None
    values = {"a": 3, "b": 7, "c": 2}
    found = (sum(factor * values[rank] for rank, factor in form.terms) + form.offset) // form.divisor
    expected = sum(factor * values[rank] for factor, rank in terms) + offset
    expected = int(Fraction(expected, divisor).__floor__())
    assert (found % form.modulus if form.modulus else found) == (expected % modulus if modulus else expected)


NUMBER = "; write it as in 'Z[m,n] = A[m,k] * B[k,n]'"
ERRORS = {
    "Z[m,n] = A[m,k * B[k,n]": "1:24: the statement ends too early; ']' or ',' is expected here",
    "Z[m] = mx[m](A[m])": "1:8: 'mx' is not a reduce operator; did you mean 'max'?",
    "Z[m] = exq(A[m])": "1:8: there is no function 'exq'; did you mean 'exp'?",
    "Z[m] = 1 + max[m](A[m])": "1:12: a reduction stands alone on the right of '='; compute it in a statement of its own",
    "Z[m] = max[m+1](A[m])": "1:8: 'max[...]' names the ranks that it reduces; write max[m,n](...)",
    "Z[m] = max[m](A[m], 2)": "1:8: 'max[...]' reduces one expression, not 2",
    "Z[m] A[m]": "1:6: unexpected 'A'; '=' is expected here",
    "Z[m] = A[m] $ 2": f"1:13: unexpected character '$'{NUMBER}",
    "Z[m] = A[m] B[m]": "1:13: unexpected 'B'; an operator such as '*' or '+' is expected here",
    "Z[m] = max(A[m])": "1:8: 'max' takes 2 arguments, not 1; to reduce over ranks write max[m](...)",
    "Z[m] = exp(A[m], 2)": "1:8: 'exp' takes 1 argument, not 2",
    "Z[m] =": "1:7: the statement ends too early; a tensor, a name or a number is expected here",
    "Z[m] = 1e999": "1:8: the number 1e999 is beyond a double; write a smaller number",
    "Z[m] = " + "(" * 70 + "A[m]" + ")" * 70 + " *": "1:154: the statement ends too early; a tensor, a name or a number is expected here",
    "Z[m] = A[m]" + " + A[m]" * 70: "1:1: an expression nested deeper than 60; write several statements",
    "Z[m] = A[m]" + " " * 5000 + ")": "1:1: a statement longer than 4000 characters; write several statements",
}


@pytest.mark.parametrize("text", list(ERRORS))
def test_syntax_error_names_the_column_and_the_mend(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_statement(Statement(text, file="f"))
    assert str(caught.value).splitlines()[0] == f"f:{ERRORS[text]}"


def test_syntax_error_shows_the_line_with_a_caret_under_the_column() -> None:
    with pytest.raises(InputError) as caught:
        parse_statement("Z[m] = exq(A[m])")
    assert str(caught.value).splitlines()[1:] == ["  Z[m] = exq(A[m])", "         ^"]


def test_statements_that_a_semicolon_separates_keep_their_columns() -> None:
    parts = split_statements(Statement("Z[m] = A[m] ;  Y[m] = Z[m] ; ", file="f"))
    assert [(part.text, str(part.place())) for part in parts] == [("Z[m] = A[m]", "f:1:1"), ("Y[m] = Z[m]", "f:1:16")]


def test_a_label_cannot_stand_before_two_statements() -> None:
    with pytest.raises(InputError, match="label 'L' stands before 2 statements; label them one by one"):
        split_statements(Statement("Z[m] = A[m] ; Y[m] = Z[m]", "L"))


@given(st.text(alphabet="ZAm01[](),;=+-*/% whereand<>!_.", max_size=40))
def test_any_text_is_a_statement_or_an_input_error(text: str) -> None:
    try:
        parse_statement(text)
    except InputError as error:
        assert error.place is not None


def test_kept_tables_parse_the_same_and_damaged_ones_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def parsed() -> tuple[object, str]:
        """A statement and an error from a parser that is new to this process."""
        _parser.cache_clear()
        with pytest.raises(InputError) as refused:
            parse_statement("Z[m,n] = A[m,k] B")
        return parse_statement("Z[m,n] = A[m,k] * B[k,n]"), str(refused.value)

    made = parsed()
    (file,) = tmp_path.rglob("grammar-*")
    tables = file.read_bytes()
    assert (parsed(), file.read_bytes()) == (made, tables)
    file.write_bytes(b"no tables")
    assert parsed() == made
    assert len(file.read_bytes()) > 1000
    _parser.cache_clear()
