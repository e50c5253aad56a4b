"""The interpreter against a point-by-point execution, its counts, its refusals."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.evaluate import evaluate
from accelsim.workload.interpreter import BLOCK_POINTS, random_inputs, run

CHOOSING = {"P": TensorDeclaration(below=3), "Q": TensorDeclaration(below=2)}
PADDED = {"I": TensorDeclaration(("A",), 2.0)}
STATEMENTS: list[tuple[str, dict[str, Any]]] = [
    ("Z[a,b] = X[a,c] * Y[c,b]", {}),
    ("Z[b,a] = X[a,c] * Y[c,b] * 3", {}),
    ("Z[a] = X[a,c] * Y[c,b] * W[b,a]", {}),
    ("Z[a] = X[a,c] * Y[b]", {}),
    ("Z[] = X[a,b,c]", {}),
    ("Z[a,b] = X[a,c] * Y[c,b] where a <= b", {}),
    ("Z[a] = X[a,c] * Y[c,b] where a <= b + c", {}),
    ("Z[a,b] = X[b,a] + Y[a] where a != b", {}),
    ("Z[a] = max[b](X[a,b]) where a + b < 4", {}),
    ("Z[a] = min[b,c](X[a+b,c] - Y[2*b+1])", {}),
    ("Z[a] = mul[b](X[a//2,b%2])", {}),
    ("Z[b,a+1] = X[a,b] * 2", {}),
    ("Z[a*B+b] = X[a,b] - X[a,b]*b", {}),
    ("Z[a,b] = X[a,b] where M[a] > 0", {}),
    ("Z[a] = I[a+b-1] * F[b]", {"tensors": PADDED}),
    ("Z[a,b] = X[a,a] * Y[b]", {}),
    ("Z[a] = X[a,c] + 1", {}),
    ("Z[a,c] = X[3*b + P[a,b], c] * Y[a,b]", {"tensors": {"P": CHOOSING["P"]}}),
    ("Z[a] = max[b](X[P[a,b], Q[P[a,b]]] - b) where a <= b", {"tensors": CHOOSING}),
    ("Z[a] = 2", {}),
]


def by_points(made: Cascade, inputs: dict[str, Any]) -> tuple[dict[tuple[int, ...], int], int]:
    """The output of a one-statement cascade, element by element, and the points computed."""
    einsum = made.work[0]
    combine = {"add": lambda x, y: x + y, "max": max, "min": min, "mul": lambda x, y: x * y}[einsum.reduce]
    found: dict[tuple[int, ...], int] = {}
    count = 0
    for point in itertools.product(*(range(made.extents[rank]) for rank in einsum.ranks)):
        known: dict[str, Any] = {**made.sizes, **dict(zip(einsum.ranks, point, strict=True))}

        def read(access: Any, known: dict[str, Any] = known) -> Any:
            place = tuple(int(evaluate(index, known, read)) for index in access.indices)
            shape = made.tensors[access.tensor].shape
            inside = all(0 <= at < size for at, size in zip(place, shape, strict=True))
            return int(inputs[access.tensor][place]) if inside else int(made.tensors[access.tensor].fill or 0)

        if einsum.condition is not None and not evaluate(einsum.condition, known, read):
            continue
        count += 1
        place = tuple(int(evaluate(index, known)) for index in einsum.output.indices)
        value = int(evaluate(einsum.expression, known, read))
        found[place] = combine(found[place], value) if place in found else value
    return found, count


@pytest.mark.parametrize(("text", "more"), STATEMENTS, ids=[text for text, _ in STATEMENTS])
@settings(max_examples=12, deadline=None)
@given(a=st.integers(1, 5), b=st.integers(1, 4), c=st.integers(1, 4), seed=st.integers(0, 99))
def test_interpreter_equals_point_by_point_execution(text: str, more: dict[str, Any], a: int, b: int, c: int, seed: int) -> None:
    shape = {rank: size for rank, size in {"a": a, "b": b, "c": c}.items() if rank in text.replace("max", "")}
    made = cascade("w", text, shape, **more)
    inputs = random_inputs(made, np.random.default_rng(seed), np.int64)
    done = run(made, inputs, np.int64)
    expected, count = by_points(made, inputs)
    assert all(done.values["Z"][place] == value for place, value in expected.items())
    assert done.counts["Z"].executed == count
    assert done.counts["Z"].masked == int(np.prod([made.extents[rank] for rank in made.work[0].ranks])) - count


def test_a_statement_beyond_one_block_is_computed_in_pieces() -> None:
    made = cascade("w", "Z[a,b] = max[c](X[a,c] - Y[b,c])", {"a": 70, "b": 300, "c": 400})
    assert BLOCK_POINTS < 70 * 300 * 400
    inputs = random_inputs(made, np.random.default_rng(0))
    expected = np.array([(row - inputs["Y"]).max(axis=1) for row in inputs["X"]])
    done = run(made, inputs)
    assert np.array_equal(done.values["Z"], expected)
    assert done.counts["Z"].executed == 70 * 300 * 400


def test_minus_infinity_is_the_lowest_number_so_that_the_difference_of_two_is_nothing() -> None:
    made = cascade("w", "Z[m] = exp(A[m] - B[m])", {"m": 3})
    a, b = np.array([-np.inf, -np.inf, 1.0]), np.array([-np.inf, 5.0, -np.inf])
    found = run(made, {"A": a, "B": b}).values["Z"]
    assert found[0] == 1.0 and found[1] == 0.0 and found[2] > 1e300


def test_maximum_over_no_point_is_the_lowest_number() -> None:
    made = cascade("w", "Z[m] = max[n](A[m,n]) where n < m", {"m": 3, "n": 3})
    found = run(made, {"A": np.ones((3, 2))}).values["Z"]
    assert found.tolist() == [np.finfo(np.float64).min, 1.0, 1.0]


@pytest.mark.parametrize(("operator", "expected"), [("min", [2.0, 2.0, 0.0]), ("max", [2.0, 4.0, 6.0])])
def test_ranks_reduced_under_a_condition_start_from_infinity(operator: str, expected: list[float]) -> None:
    """Whole numbers hold none, and a minimum of them started from the lowest of all."""
    made = cascade("w", f"Z[m] = {operator}[n]((m + 1) * n) where n + m >= 2", {"m": 3, "n": 3})
    assert run(made, {}).values["Z"].tolist() == expected


def test_a_masked_element_reads_as_the_fill() -> None:
    text = "Z[m] = A[m] * 2 where m < 2 ; Y[m] = Z[m] + 1"
    made = cascade("w", text, {"m": 3}, tensors={"Z": TensorDeclaration(fill=7.0)})
    assert run(made, {"A": np.ones(2)}).values["Y"].tolist() == [3.0, 3.0, 8.0]


def test_a_condition_that_no_point_meets_leaves_the_fill() -> None:
    made = cascade("w", "Z[m] = A[m] * 2 where m >= 3", {"m": 3}, tensors={"Z": TensorDeclaration(fill=7.0), "A": TensorDeclaration((3,))})
    done = run(made, {"A": np.ones(3)})
    assert done.values["Z"].tolist() == [7.0, 7.0, 7.0] and done.counts["Z"].executed == 0


def test_density_of_an_input_is_kept() -> None:
    made = cascade("w", "Z[m] = A[m,n]", {"m": 100, "n": 100}, density={"A": 0.1})
    assert np.mean(random_inputs(made, np.random.default_rng(0))["A"] != 0) == pytest.approx(0.1, abs=0.01)


def test_numbers_of_a_small_float_type_stay_of_that_type() -> None:
    made = cascade("w", "Z[m] = A[m] * B[m] + 1", {"m": 4})
    inputs = random_inputs(made, np.random.default_rng(0), np.float32)
    assert run(made, inputs, np.float32).values["Z"].dtype == np.float32


MATMUL = cascade("w", "Z[m,n] = A[m,k] * B[k,n]", {"m": 2, "n": 3, "k": 4})
REFUSED = {
    "input 'B' of 'w' is missing; give an array of shape [4, 3]": {"A": np.ones((2, 4))},
    "input 'B' has shape [3, 4], 'w' reads [4, 3]; make them agree": {"A": np.ones((2, 4)), "B": np.ones((3, 4))},
    "'w' has no input 'C'; known: A, B": {"A": np.ones((2, 4)), "B": np.ones((4, 3)), "C": np.ones(1)},
}


@pytest.mark.parametrize("message", list(REFUSED))
def test_wrong_inputs_are_refused(message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(MATMUL, REFUSED[message])
    assert str(caught.value) == message


def test_reading_what_was_never_written_is_refused() -> None:
    made = cascade("w", "Z[m] = A[m] * 2 where m < 2 ; Y[m] = Z[m] + 1", {"m": 3})
    with pytest.raises(InputError) as caught:
        run(made, {"A": np.ones(2)})
    assert str(caught.value) == (
        "w:1:31: Y reads elements of Z that are outside it or were never written; add a condition, or declare tensors: {Z: {fill: 0}}"
    )


def test_a_run_that_needs_too_much_memory_is_refused() -> None:
    made = cascade("w", "Z[m,n] = A[m] * B[n]", {"m": 10**6, "n": 10**6})
    with pytest.raises(InputError, match=r"running 'w' needs 7450\.6 GiB for its tensors, more than 8\.0 GiB; shrink the shape"):
        run(made, {})
