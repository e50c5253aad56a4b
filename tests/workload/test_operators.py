"""The operator table and which primitives execute a statement."""

import re

import numpy as np
import pytest

from accelsim.workload.build import cascade
from accelsim.workload.cascade import Einsum
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.interpreter import run
from accelsim.workload.operators import OPERATORS, PRIMITIVES, cover, is_view, missing_primitive, needed_primitives

EVERYTHING = PRIMITIVES
SYSTOLIC = {"mac", "max", "add", "div"}


def einsum(text: str) -> Einsum:
    ranks = {"m": 4, "n": 5, "k": 6, "i": 3}
    used = {rank: size for rank, size in ranks.items() if re.search(rf"\b({rank}|{rank.upper()})\b", text)}
    chosen = {"C": TensorDeclaration(below=4)} if "[C[" in text else {}
    return cascade("w", text, used, types={"default": "int32"}, tensors=chosen).work[-1]


CASES = [
    ("Z[m,n] = A[m,k] * B[k,n]", {"mac": 1}, {"mac": 1}),
    ("Z[m,n] = A[m,k] * B[C[m,k],n]", {"select": 1, "mac": 1}, None),
    ("Z[m] = A[C[m]]", {"select": 1}, None),
    ("Z[m] = A[C[C[m]]]", {"select": 2}, None),
    ("Z[m] = A[C[m], C[C[m]]]", {"select": 3}, None),
    ("Z[m,n] = A[m,k] * B[k,n] * C[k]", {"mul": 1, "mac": 1}, {"mac": 2}),
    ("Z[m] = A[m,k]", {"add": 1}, {"add": 1}),
    ("Z[m] = max[k](A[m,k])", {"max": 1}, {"max": 1}),
    ("Z[m] = mul[k](A[m,k])", {"mul": 1}, {"mac": 1}),
    ("Z[m] = min[k](A[m,k] * B[k])", {"mul": 1, "min": 1}, None),
    ("Z[m] = exp(A[m] - B[m])", {"subexp": 1}, {"add": 1, "mac": 6}),
    ("Z[m] = exp(A[m,k] - B[m])", {"subexp": 1, "add": 1}, {"add": 2, "mac": 6}),
    ("Z[m] = exp(A[m])", {"exp": 1}, {"mac": 6}),
    ("Z[m] = A[m] - B[m]", {"sub": 1}, {"add": 1}),
    ("Z[m] = A[m] * B[m]", {"mul": 1}, {"mac": 1}),
    ("Z[m] = A[m] * B[m] + C[m]", {"mac": 1}, {"mac": 1}),
    ("Z[m] = C[m] + 2 * B[m]", {"mac": 1}, {"mac": 1}),
    ("Z[m] = A[m] / B[m]", {"div": 1}, {"div": 1}),
    ("Z[m] = A[m] ** 2", {"mul": 1}, {"mac": 1}),
    ("Z[m] = A[m] ** 5", {"mul": 3}, {"mac": 3}),
    ("Z[m] = A[m] / sqrt(M)", {"div": 1}, {"div": 1}),
    ("Z[m] = sqrt(A[m])", {"sqrt": 1}, None),
    ("Z[m] = silu(A[m])", {"silu": 1}, {"mac": 6, "add": 1, "div": 1}),
    ("Z[m] = copy(A[m])", {"move": 1}, None),
    ("Z[m,i] = A[i,m]", {}, {}),
    ("Z[m] = re(A[m])", {}, {}),
]


STEPS = {
    "A[m] * H[m] + B[m]": True,
    "B[m] + H[m] * A[m]": True,
    "(A[m] * H[m]) // 8 + B[m]": True,
    "A[m] * H[m] + H[m]": False,
    "A[m] * B[m] + H[m]": False,
    "H[m] * H[m] + B[m]": False,
    "A[m] * H[m] - B[m]": False,
    "A[m] * H[m]": False,
    "max(A[m] * H[m], B[m])": False,
    "A[m] * H[m] * C[m] + B[m]": False,
    "(A[m] * H[m]) // C[m] + B[m]": False,
    "2 * H[m] + B[m]": False,
}


@pytest.mark.parametrize("text", STEPS)
def test_steps_of_linear_recurrences_are_scanned_where_a_unit_can(text: str) -> None:
    made = cascade("w", ["H[0] = 1", f"H[m+1] = {text}"], {"m": 4}).work[-1]
    parts = cover(made, PRIMITIVES - {"scan"})
    assert cover(made, PRIMITIVES) == ({"scan": 1} if STEPS[text] else parts)
    assert needed_primitives(made) == parts  # whatever the machine
    assert missing_primitive(made, {"scan"}) == (None if STEPS[text] else next(iter(parts or {})))


@pytest.mark.parametrize(("text", "preferred", "systolic"), CASES, ids=[text for text, _, _ in CASES])
def test_first_covering_that_the_unit_has_is_used(text: str, preferred: dict[str, int], systolic: dict[str, int] | None) -> None:
    made = einsum(text)
    assert cover(made, EVERYTHING) == needed_primitives(made) == preferred
    assert cover(made, SYSTOLIC) == systolic


def test_multiplier_and_adder_do_what_a_mac_does() -> None:
    assert cover(einsum("Z[m,n] = A[m,k] * B[k,n]"), {"mul", "add"}) == {"mul": 1, "add": 1}


def test_missing_primitive_is_the_preferred_one() -> None:
    made = einsum("Z[m] = sqrt(A[m] * B[m])")
    assert cover(made, {"mul"}) is None
    assert missing_primitive(made, {"mul"}) == "sqrt"
    assert missing_primitive(made, {"mac", "sqrt"}) is None


def test_a_renaming_is_a_view_and_a_reduction_is_not() -> None:
    assert is_view(einsum("Z[m,i] = A[i,m]"))
    assert not is_view(einsum("Z[m] = A[m,k]"))


def test_first_slice_of_a_recurrence_needs_nothing() -> None:
    made = cascade("w", "H[0] = 0 ; H[t+1] = H[t] + X[t]", {"t": 3})
    assert cover(made.by_name["H.init"], set()) == {}


@pytest.mark.parametrize("name", [name for name, row in OPERATORS.items() if row.identity is not None])
def test_identity_changes_nothing(name: str) -> None:
    row = OPERATORS[name]
    values = np.array([0.0, 1.0]) if name in {"and", "or"} else np.array([-2.5, 0.0, 3.0])
    assert np.array_equal(row.meaning(np, values, row.identity), values)


@pytest.mark.parametrize("name", list(OPERATORS))
def test_every_operator_has_a_covering_of_words(name: str) -> None:
    assert OPERATORS[name].coverings
    assert all(primitive.isidentifier() and count >= 1 for cover in OPERATORS[name].coverings for primitive, count in cover)


def test_algebra_of_the_table_is_that_of_the_numbers() -> None:
    a, b, c = np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0])
    for row in OPERATORS.values():
        if row.arity != 2 or not (row.associative or row.commutative):
            continue
        left = row.meaning(np, row.meaning(np, a, b), c)
        assert np.array_equal(left, row.meaning(np, a, row.meaning(np, b, c))), row.name
        assert np.array_equal(row.meaning(np, a, b), row.meaning(np, b, a)), row.name


def test_activations_have_their_textbook_values() -> None:
    x = np.array([-800.0, -1.5, 0.0, 2.0, 800.0])
    assert np.allclose(OPERATORS["sigmoid"].meaning(np, x), [0, 1 / (1 + np.exp(1.5)), 0.5, 1 / (1 + np.exp(-2)), 1])
    assert np.allclose(OPERATORS["softplus"].meaning(np, x), [0, np.log1p(np.exp(-1.5)), np.log(2), np.log1p(np.exp(2)), 800])
    assert np.allclose(OPERATORS["gelu"].meaning(np, np.array([1.0])), [0.8413447460685429])  # the normal distribution at one deviation
    assert np.array_equal(OPERATORS["ldexp"].meaning(np, np.array([3.0, 1.0]), np.array([-1.0, -1e308])), [1.5, 0.0])


FLAGS = {
    "(A[m] > B[m]) + (B[m] < 1)": lambda a, b: int(a > b) + int(b < 1),
    "(A[m] > B[m]) - (B[m] <= 1)": lambda a, b: int(a > b) - int(b <= 1),
    "-(A[m] == B[m]) * 1000": lambda a, b: -1000 * int(a == b),
    "(not (A[m] != 0)) + (A[m] >= 0 and B[m] >= 0)": lambda a, b: int(a == 0) + int(a >= 0 and b >= 0),
}


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("text", FLAGS)
def test_what_holds_or_not_is_a_number_like_any_other(text: str, kind: type) -> None:
    pairs = [(a, b) for a in (-1, 0, 1, 2) for b in (-1, 0, 1, 2)]
    a, b = (np.array(each, kind) for each in zip(*pairs, strict=True))
    work = cascade("flags", f"Z[m] = {text}", {"m": len(pairs)})
    found = run(work, {name: value for name, value in (("A", a), ("B", b)) if name in work.tensors}, kind).values["Z"]
    assert found.tolist() == [FLAGS[text](*pair) for pair in pairs]
