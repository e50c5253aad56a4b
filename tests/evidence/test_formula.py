"""Formulas over results: precedence is Python's, mistakes are named with their column."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError, Place
from accelsim.evidence.evaluate import Evaluator
from accelsim.evidence.formula import Call, Formula, Number, Path, is_list, parse, paths
from accelsim.evidence.nouns import Case, Evidence, Run, Table

NOWHERE = Place("here", 1, 1)
DOCUMENT = {
    "latency": {"seconds": 2.0},
    "traffic": {"DRAM": {"read_bytes": 6, "write_bytes": 4}},
    "einsums": {"Z": {"operations": {"mac": 8}}, "RM.1": {"operations": {"max": 3}}},
    "layers": [{"workload": "first", "times": 2, "cycles": 10}, {"workload": "last-one", "times": 3, "cycles": 100}],
}
CASES = tuple(Case({"size": label}, {}, {"N": n}) for label, n in (("1K", 1), ("4K", 4), ("16K", 16)))
TABLE = Table("published", ("size",), {("1K",): {"seconds": 3}, ("4K",): {"seconds": 5}}, ("size", "seconds"))


def evaluator(**constants: str) -> Evaluator:
    """An evaluator whose run `x` has the document above, with its latency times the case's N."""
    made = {name: parse(text) for name, text in constants.items()}
    runs = {"x": Run("x", {}, {}, NOWHERE)}
    evidence = Evidence("e", "t", "s", "reproduction", "", ("size",), CASES, made, {"published": TABLE}, runs, (), "e.yaml")
    return Evaluator(evidence, lambda name, case, key: {**DOCUMENT, "latency": {"seconds": 2.0 * case.variables["N"]}})


def value(text: str, case: int = 0, **constants: str) -> int | float | str:
    return evaluator(**constants).value(parse(text), [CASES[case]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4 ** 2 / 8 - -1", 2 + 3 * 4**2 / 8 - -1),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("7 // 2 + 7 % 4", 6),
        ("max(1, N, 2) + min(4, 3)", 5),
        ("sqrt(16) + log2(8) + ceil(1.2) + floor(1.8) + abs(-2) + ln(exp(1)) + round(2.4)", 4 + 3 + 2 + 1 + 2 + 1 + 2),
        ("x.latency.seconds", 2.0),
        ("sum(x.traffic.DRAM.*)", 10),
        ("sum(x.traffic.*.*)", 10),
        ("sum(x.einsums.*.operations.mac)", 8),  # RM.1 has none, which counts 0
        ('x.einsums."RM.1".operations.max', 3),
        ("sum(x.layers.*.times * x.layers.*.cycles)", 320),
        ("x.layers.1.cycles", 100),
        ("x.layers.first.cycles", 10),
        ('x.layers."last-one".cycles', 100),
        ("count(x.layers.*.times)", 2),
        ("x[size=16K].latency.seconds / x.latency.seconds", 16.0),
        ("twice * 2", 4),
        ("published.seconds", 3),
        ("median(x.layers.*.times)", 2.5),
    ],
)
def test_value_of_a_formula(text: str, expected: float) -> None:
    assert value(text, twice="2 * N") == pytest.approx(expected, rel=1e-15)


def test_reduction_takes_cases_together_where_no_list_is_left() -> None:
    asked = evaluator()
    assert asked.value(parse("mean(x.latency.seconds)"), CASES) == pytest.approx((2 + 8 + 32) / 3)
    assert asked.value(parse("gmean(x.latency.seconds)"), CASES) == pytest.approx((2 * 8 * 32) ** (1 / 3))
    assert asked.value(parse("mean(sum(x.traffic.DRAM.*) * N)"), CASES) == pytest.approx(10 * 21 / 3)
    assert asked.value(parse("max(N / mean(N))"), CASES) == pytest.approx(16 / 7)


@given(
    st.recursive(
        st.integers(0, 9).map(str), lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    )
)
def test_arithmetic_is_that_of_python(text: str) -> None:
    assert value(text) == eval(text)


def test_tree_of_a_formula() -> None:
    made = parse("sum(a.b.*) / c[x=1K, y=2].d")
    assert made.tree == Call("/", (Call("sum", (Path("a", ("b", "*")),)), Path("c", ("d",), (("x", "1K"), ("y", "2")))))
    assert [str(path) for path in paths(made.tree)] == ["a.b.*", "c[x=1K, y=2].d"]
    assert is_list(parse("a.*.b + 1").tree) and not is_list(parse("max(a.*)").tree) and is_list(parse("max(a.*, 1)").tree)
    assert parse("1e-6").tree == Number(1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "formula '1 +' ends too early; write a number, a name or a parenthesis"),
        ("", "formula '' is empty; write a number, a name or a parenthesis"),
        ("a $ b", "formula 'a $ b' has a '$'; write numbers, names, paths, + - * / // % **, functions and parentheses"),
        ("(1", "formula '(1' lacks a ')'; check the parentheses"),
        ("1 2", "formula '1 2' has a stray '2' at column 3; join two numbers with an operator, as in '2 * pe'"),
        ("meen(a.b)", "formula 'meen(a.b)' calls an unknown 'meen'; did you mean 'mean'?"),
        ("mean(1, 2)", "formula 'mean(1, 2)' gives mean 2 numbers; mean takes one"),
        ("a.", "formula 'a.' ends too early; write a number, a name or a parenthesis"),
        ("a[b]", "formula 'a[b]' has ']' where '=' should stand; write '='"),
        ("* 2", "formula '* 2' has a '*' at column 1 where a number or a name should stand"),
        ("(" * 50 + "1" + ")" * 50, "formula '" + "(" * 50 + "1" + ")" * 50 + "' is nested deeper than 40; name its parts under 'let'"),
        ("1+" * 1500 + "1", "formula '" + "1+" * 20 + "…' is longer than 2000 characters; name its parts under 'let'"),
    ],
)
def test_formula_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.latency.second", "'x.latency.second' asks for 'second', which x.latency has not; did you mean 'seconds'?"),
        ("x.latency", "'x.latency' names x.latency, which is no single value; name a value inside it, or take all of them with .*"),
        ("x", "'x' names the run 'x' and no value of it; write what you want, as in x.latency.seconds"),
        ("x.traffic.DRAM.*", "'x.traffic.DRAM.*' has several values for one case; take them together, as in sum(…)"),
        ("x.latency.seconds.*", "'x.latency.seconds.*' has several values for one case; take them together, as in sum(…)"),
        (
            "sum(x.latency.seconds.*)",
            "'sum(x.latency.seconds.*)' takes all values of x.latency.seconds, which is one value; leave the .* out",
        ),
        ("1 / (N - 1)", "'1 / (N - 1)' divides by zero in case '1K'"),
        ("log2(0)", "'log2(0)' has no value in case '1K': math domain error"),
        ("10.0 ** 400", "'10.0 ** 400' has no value in case '1K': (34, 'Numerical result out of range')"),
        ("9**9**9**9", "'9**9**9**9' has no value in case '1K': the power is too large"),
        ("10**300 * 10**300", "'10**300 * 10**300' is no finite number in case '1K'"),
        ("x.layers.0.workload * 9", "'x.layers.0.workload * 9' takes * of the text 'first'; name a number"),
        ("M", "'M' names an unknown 'M'; known: N, published, x"),
        ("y.a", "'y.a' names an unknown 'y'; known: published, x"),
        ("x[siz=1K].latency.seconds", "'x[siz=1K].latency.seconds' names an unknown axis 'siz'; did you mean 'size'?"),
        ("x[size=2K].latency.seconds", "'x[size=2K].latency.seconds' names a case that is not there, '2K'; check the labels of its axes"),
        ("sum(x.layers.*.times * x.traffic.DRAM.*)", None),
        ("sum(x.layers.*.times * x.einsums.Z.operations.*)", "lists of"),
    ],
)
def test_formula_without_a_value(text: str, message: str | None) -> None:
    if message is None:
        assert value(text) == 2 * 6 + 3 * 4
        return
    with pytest.raises(InputError) as error:
        value(text)
    assert message in str(error.value) if message == "lists of" else str(error.value) == message


def test_value_that_differs_between_cases_has_to_be_taken_together() -> None:
    with pytest.raises(InputError) as error:
        evaluator().value(parse("N"), CASES)
    assert str(error.value) == "'N' differs between cases, as 1 and 4; write 'each' or mean(…)"


def test_row_of_a_table_that_is_not_there() -> None:
    with pytest.raises(InputError) as error:
        value("published.seconds", case=2)
    assert str(error.value) == "'published.seconds' asks for a row of published that is not there, of case '16K'; write where: published"


def test_text_is_no_figure() -> None:
    asked = evaluator()
    case = Case({"size": "1K"}, {}, {"word": "long"})
    assert asked.value(parse("word"), [case]) == "long"
    with pytest.raises(InputError):
        asked.number(parse("word"), [case])
    assert math.isfinite(asked.number(Formula("1", Number(1)), [case]))


def test_constant_is_worked_out_once_for_a_case_however_often_it_is_named() -> None:
    doubled = {f"C{number}": f"C{number - 1} + C{number - 1}" for number in range(1, 41)}
    asked = evaluator(C0="N", **doubled)
    assert [asked.value(parse("C40"), [case]) for case in CASES] == [2**40, 4 * 2**40, 16 * 2**40]


def test_cases_whose_labels_read_alike_are_different() -> None:
    assert Case({"a": "x, y", "b": "z"}, {}, {}).key != Case({"a": "x", "b": "y, z"}, {}, {}).key
