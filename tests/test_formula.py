"""The evaluator against Python's own exact arithmetic on random expression trees; everything else is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.formula import LONGEST_TEXT, Value, evaluate, whole

NAMES: dict[str, Value] = {"pe": 256, "P": 4096, "half": Fraction(1, 2)}


class Undefined(Exception):
    """Python would divide by zero here."""


def _join(left: tuple[str, Fraction | None], sign: str, right: tuple[str, Fraction | None]) -> tuple[str, Fraction | None]:
    text = f"({left[0]} {sign} {right[0]})"
    a, b = left[1], right[1]
    if a is None or b is None or (sign in ("/", "//", "%") and b == 0):
        return text, None
    result = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / b,
        "//": lambda: Fraction(a // b),
        "%": lambda: a % b,
    }
    return text, result[sign]()


LEAVES = st.one_of(
    st.integers(0, 10**6).map(lambda number: (str(number), Fraction(number))),
    st.decimals(0, 1000, places=3).map(lambda number: (str(number), Fraction(number))),
    st.sampled_from(sorted(NAMES)).map(lambda name: (name, Fraction(NAMES[name]))),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(lambda part: _join(*part)),
        inner.map(lambda part: (f"-{part[0]}", None if part[1] is None else -part[1])),
        inner.map(lambda part: (f"ceil({part[0]})", None if part[1] is None else Fraction(math.ceil(part[1])))),
        st.tuples(inner, inner).map(lambda part: (f"min({part[0][0]}, {part[1][0]})", _both(min, part[0][1], part[1][1]))),
        st.tuples(inner, inner).map(lambda part: (f"max({part[0][0]},{part[1][0]})", _both(max, part[0][1], part[1][1]))),
        st.tuples(inner, st.integers(0, 4)).map(
            lambda part: (f"({part[0][0]})**{part[1]}", None if part[0][1] is None else part[0][1] ** part[1])
        ),
    ),
    max_leaves=8,
)


def _both(choose: object, left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or right is None else choose(left, right)  # type: ignore[operator]


@given(TREES)
def test_a_formula_equals_exact_arithmetic(tree: tuple[str, Fraction | None]) -> None:
    text, expected = tree
    assume(len(text) <= LONGEST_TEXT)
    if expected is None:
        with pytest.raises(InputError):
            evaluate(text, NAMES)
        return
    assume(expected.numerator.bit_length() < 200)
    found = evaluate(text, NAMES)
    assert found == expected
    assert isinstance(found, int) == (expected.denominator == 1)


# Values by hand; precedence and rounding as in Python.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("-2 ** 2", -4),
        ("2 ** -1", Fraction(1, 2)),
        ("2 ** 3 ** 2", 512),
        ("7 // 2 * 3 % 4", 1),
        ("-7 // 2", -4),
        ("8 - 4 - 2", 2),
        ("P / pe / 32", Fraction(1, 2)),
        ("1.5e3", 1500),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("log2(pe)", 8),
        ("log2(1/4)", -2),
        ("ceil(7 / 2)", 4),
        ("max(1, pe, 3)", 256),
        ("1 ** 999999999", 1),
        ("--3", 3),
    ],
)
def test_precedence_and_rounding_are_those_of_python(text: str, value: Value) -> None:
    assert evaluate(text, NAMES) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pe * colz", "formula 'pe * colz' names an unknown 'colz'; known: P, half, pe"),
        ("haf + 1", "formula 'haf + 1' names an unknown 'haf'; did you mean 'half'?"),
        ("seil(2)", "formula 'seil(2)' calls an unknown 'seil'; did you mean 'ceil'?"),
        ("", "formula '' is empty; write a number, a name or a parenthesis"),
        ("2 +", "formula '2 +' ends too early; write a number, a name or a parenthesis"),
        ("(2", "formula '(2' lacks a ')'; check the parentheses"),
        ("2 pe", "formula '2 pe' has a stray 'pe' at column 3; join two numbers with an operator, as in '2 * pe'"),
        ("* 2", "formula '* 2' has a '*' at column 1 where a number or a name should stand"),
        ("1 / (2 - 2)", "formula '1 / (2 - 2)' divides by zero; check the sizes that it names"),
        ("2 ** half", "formula '2 ** half' has a fractional power; powers are whole numbers"),
        ("9 ** 9 ** 9", "formula '9 ** 9 ** 9' is larger than 2048 bits; write smaller numbers"),
        ("log2(0)", "formula 'log2(0)' takes log2 of a number that is not positive; check the sizes that it names"),
        ("ceil(1, 2)", "formula 'ceil(1, 2)' gives ceil 2 numbers; ceil takes one"),
        (
            "a.b",
            "formula 'a.b' has a '.'; write numbers, names, + - * / // % **, min, max, ceil, log2 and parentheses",
        ),
        ("(" * 50 + "1", f"formula '{'(' * 50}1' is nested deeper than 40; name its parts under 'let'"),
        ("1+" * 300, f"formula '{'1+' * 20}…' is longer than 400 characters; name its parts under 'let'"),
    ],
)
def test_everything_else_is_refused_with_a_mend(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(text, NAMES)
    assert str(caught.value) == message


@given(st.text(alphabet="0123456789+-*/%(),. peminxlogcP_[]'\"=:é\n", max_size=60))
def test_any_text_gives_a_number_or_an_input_error(text: str) -> None:
    try:
        assert isinstance(evaluate(text, NAMES), (int, Fraction))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_whole_number_is_asked_for_in_words() -> None:
    assert whole("pe / 2", "tile", NAMES) == 128
    with pytest.raises(InputError) as fraction:
        whole("pe / 3", "tile", NAMES)
    assert str(fraction.value) == "tile must be a whole number, and 'pe / 3' is 85.3333; use // or ceil()"
    with pytest.raises(InputError) as small:
        whole("pe - 256", "tile", NAMES, least=1)
    assert str(small.value) == "tile must be at least 1, and 'pe - 256' is 0"
