"""What a cascade is made of, and the whole text of every error of its meaning."""

from typing import Any

import pytest

from accelsim.errors import InputError
from accelsim.workload.build import cascade, resized
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration

MATMUL = "Z[m,n] = A[m,k] * B[k,n]"
SIZES = {"m": 4, "n": 5, "k": 6}
RUNNING = """LM[i,p] = max[j](X[i*J+j,p])
RM[0,p] = -inf
RM[i+1,p] = max(RM[i,p], LM[i,p])
Y[p] = RM[I,p]"""


def running(**more: Any) -> Cascade:
    return cascade("w", RUNNING, {"p": 3, "x": 10}, split={"x": {"i": None, "j": 4}}, **more)


def test_shapes_of_inputs_are_what_the_statements_read() -> None:
    made = cascade("w", "O[p,q] = I[2*p+r,q+3*s] * F[r,s]", {"p": 4, "q": 5, "r": 3, "s": 2})
    assert {name: tensor.shape for name, tensor in made.tensors.items()} == {"I": (9, 8), "F": (3, 2), "O": (4, 5)}


def test_a_split_rank_bounds_its_input_by_the_unsplit_size() -> None:
    made = running()
    assert made.tensors["X"].shape == (10, 3)
    assert made.extents == {"p": 3, "x": 10, "i": 3, "j": 4}


def test_iterative_tensor_has_one_slice_more_than_steps_and_a_constant_first() -> None:
    tensor = running().tensors["RM"]
    assert (tensor.shape, tensor.iterative, tensor.constant_slices) == ((4, 3), 0, 1)


def test_einsums_are_named_by_output_and_first_slices_apart() -> None:
    made = running()
    assert [einsum.name for einsum in made.einsums] == ["LM", "RM.init", "RM", "Y"]
    assert [einsum.name for einsum in made.work] == ["LM", "RM", "Y"]


def test_further_statements_for_a_tensor_are_numbered() -> None:
    made = cascade("w", "Z[m] = A[m] where m < 2 ; Z[m] = B[m] where m >= 2", {"m": 4})
    assert [einsum.name for einsum in made.einsums] == ["Z", "Z.1"]


def test_ranks_begin_with_those_of_the_output() -> None:
    einsum = cascade("w", MATMUL, SIZES).einsums[0]
    assert (einsum.ranks, einsum.reduced) == (("m", "n", "k"), ("k",))


def test_inputs_are_never_written_and_outputs_never_read() -> None:
    made = running()
    assert [name for name, tensor in made.tensors.items() if tensor.is_input] == ["X"]
    assert [name for name, tensor in made.tensors.items() if tensor.is_output] == ["Y"]


def test_a_declared_output_is_one_although_it_is_read() -> None:
    made = running(tensors={"RM": TensorDeclaration(output=True)})
    assert [name for name, tensor in made.tensors.items() if tensor.is_output] == ["RM", "Y"]


def test_only_statements_over_a_partial_tile_carry_its_condition() -> None:
    made = running()
    assert [einsum.name for einsum in made.work if einsum.existence is not None] == ["LM"]
    assert all(einsum.existence is None for einsum in resized(made, {"x": 12}).work)


def test_inner_part_left_open_is_one_and_the_outer_part_takes_the_rank() -> None:
    made = cascade("w", RUNNING, {"p": 3, "x": 10}, split={"x": {"i": None, "j": None}})
    assert (made.extents["i"], made.extents["j"], made.splits[0].free) == (10, 1, ("j",))
    assert resized(made, {"j": 5}).extents["i"] == 2


def test_resizing_an_unknown_rank_is_refused() -> None:
    with pytest.raises(InputError, match=r"workload 'w' has no rank 'pp'; did you mean 'p'\?"):
        resized(running(), {"pp": 3})


def test_constants_are_formulas_over_sizes_and_earlier_constants() -> None:
    made = cascade("w", "Z[h] = A[h//R2]", {"h": 8}, constants={"G": 2, "R": "H // G", "R2": "R * 1"})
    assert made.constants == {"G": 2, "R": 4, "R2": 4}
    assert made.tensors["A"].shape == (2,)


def test_partial_type_may_be_wider_than_the_final_one() -> None:
    made = cascade("w", MATMUL, SIZES, types={"default": "int8", "Z": {"partial": "int32", "final": "int8"}})
    assert (made.tensors["Z"].partial.bits, made.tensors["Z"].final.bits, made.tensors["A"].final.bits) == (32, 8, 8)


S = {"m": 4}
ERRORS: list[tuple[str, dict[str, int], dict[str, Any], str]] = [
    ("", SIZES, {}, "workload 'w' has no einsums; write einsums: ['Z[m,n] = A[m,k] * B[k,n]']"),
    ("Z[m,n] = A[m,j] * B[j,n]", SIZES, {}, "w:1:14: rank 'j' has no size; write its size under shape: {j: ...}"),
    (f"{MATMUL} / KK", SIZES, {}, "w:1:28: size or constant 'KK' has no value; did you mean 'K'?"),
    (f"{MATMUL} * W", SIZES, {}, "w:1:28: size or constant 'W' has no value; write it under constants, or index it as a tensor: W[...]"),
    ("Z[m] = A[m] ; Y[m] = Z", S, {}, "w:1:22: tensor 'Z' stands without indices; write Z[...], or Z[] for a single value"),
    (
        "Z[m,n] = max[k](A[m,n])",
        SIZES,
        {},
        "w:1:14: max[k] reduces a rank that the statement does not index; index a tensor by k, or drop the reduction",
    ),
    ("Z[m,n] = max[n](A[m,n])", SIZES, {}, "w:1:5: max[n] reduces a rank that Z keeps; drop it from one side"),
    ("Z[m] = max[k](A[m,n,k])", SIZES, {}, "w:1:19: rank 'n' is neither in Z nor in max[...]; name it in one of them"),
    (f"{MATMUL} ; Y[m] = Z[m]", SIZES, {}, "w:1:28: Y gives 'Z' 1 indices, Z gives it 2; index a tensor in the same way everywhere"),
    (
        "X[m] = Y[m] * A[m] ; Y[m] = X[m]",
        S,
        {},
        "w:1:1: X -> Y -> X is a cycle that no rank carries; "
        "write the next slice (T[i+1,...]) from earlier ones (T[i,...]) along one rank",
    ),
    ("Y[m] = X[m] ; X[m] = A[m]", S, {}, "w:1:1: Y reads X, which X writes further down; move X before Y"),
    (
        "Z[m] = A[m] ; Z[m] = B[m]",
        S,
        {},
        "w:1:15: Z is written twice at the same place; use two names, or conditions that exclude each other",
    ),
    ("Z[m] = A[m-1]", S, {}, "w:1:1: Z reads 'A' at index -1 of dimension 0; declare it: tensors: {A: {shape: [...], fill: 0}}"),
    ("Z[m-1] = A[m]", S, {}, "w:1:1: Z writes 'Z' at index -1 of dimension 0; shift the index"),
    (
        "Z[m] = A[m] ; Y[m] = Z[m+1]",
        S,
        {},
        "w:1:15: Y reads 'Z' at index 4 of dimension 0, which has 4 elements; "
        "shrink a rank, add a condition, or declare tensors: {Z: {fill: 0}}",
    ),
    (
        "Z[m] = A[m] where n > 2",
        {"m": 4, "n": 5},
        {},
        "w:1:19: the condition names rank 'n', which the statement does not index; index a tensor by it",
    ),
    ("Z[A[m]] = B[m]", S, {}, "w:1:3: an output index cannot read a tensor; write to a rank"),
    (MATMUL, {**SIZES, "q": 3}, {}, "w:1:1: no statement uses rank 'q'; known: k, m, n"),
    (MATMUL, SIZES, {"constants": {"R": 3}}, "w:1:1: no statement uses constant 'R'; remove it"),
    (MATMUL, SIZES, {"constants": {"M": 3}}, "w:1:1: constant 'M' is already a rank or the size of one; choose another name"),
    (MATMUL, SIZES, {"types": {"C": "fp32"}}, "w:1:1: no statement names tensor 'C'; known: A, B, Z"),
    (MATMUL, SIZES, {"types": {"Z": "fp33"}}, "there is no number type 'fp33'; did you mean 'fp32'?"),
    (
        MATMUL,
        SIZES,
        {"tensors": {"Z": TensorDeclaration(shape=(4, 4))}},
        "w:1:1: 'Z' is written up to [4, 5], beyond its declared shape [4, 4]; enlarge the shape",
    ),
    (
        MATMUL,
        SIZES,
        {"tensors": {"A": TensorDeclaration(shape=(4,))}},
        "w:1:1: tensor 'A' is declared with 1 dimensions and indexed with 2; make them agree",
    ),
    (
        MATMUL,
        SIZES,
        {"tensors": {"A": TensorDeclaration(fill=0)}},
        "w:1:1: input 'A' has a fill but no shape; declare both: {shape: [c, 14], fill: 0}",
    ),
    (
        MATMUL,
        SIZES,
        {"tensors": {"A": TensorDeclaration(output=True)}},
        "w:1:1: 'A' is declared an output, but nothing writes it; known: Z",
    ),
    ("Z[a,b] = A[a*B+b]", S, {"split": {"m": {"a": 3, "b": 3}}}, "w:1:1: the parts of 'm' (a 3 * b 3) do not cut its 4 elements; "
     "write a: ~ (2 tiles of 3)"),
    ("Z[a,b] = A[a*B+b]", S, {"split": {"m": {"a": None}}}, "w:1:1: the split of 'm' has fewer than two parts; write m: {m1: ~, m0: 256}"),
    ("Z[a,b] = A[a*B+b]", {}, {"split": {"m": {"a": None, "b": 3}}}, "w:1:1: rank 'm' has no size; write shape: {m: 4096}"),
    (
        "Z[m] = A[m]",
        S,
        {"split": {"m": {"a": None, "b": 3}}},
        "w:1:1: no statement uses the parts of 'm'; write a and b in the statements",
    ),
    (
        "H[c,0] = 0 ; H[c,q+1] = H[c,q] + X[c*Q+q] ; Y[c] = H[c,Q]",
        {"t": 10},
        {"split": {"t": {"c": None, "q": 4}}},
        "w:1:14: H steps along 'q', and the last tile of 't' (10) is partial; choose a size of q that divides 10",
    ),
    (
        "Z[h] = A[h//R]",
        {"h": 2, "g": 3},
        {"constants": {"R": "H // G"}},
        "w:1:13: an index of 'A' divides by 0; give its ranks sizes for which that is 1 or more",
    ),
    (
        "Z[m] = A[m]",
        {"M": 4},
        {},
        "w:1:1: 'M' cannot name a rank; a rank is a lower-case word such as m or m0; its size is the same word in upper case",
    ),
    ("Z[m] = A[m]", {"m": 0}, {}, "w:1:1: the size of rank 'm' is 0; a size is at least 1"),
    (
        "VP[t] = VM[t] + A[t] ; VM[0] = 0 ; VM[t+1] = VP[t]",
        {"t": 3},
        {},
        "w:1:36: every tensor is read again, so nothing is an output; declare one: tensors: {Y: {output: true}}",
    ),
    (
        "Z[m] = X[I[m]]",
        {"m": 4},
        {},
        "w:1:10: 'I' stands in an index of 'X'; say how far its values go: tensors: {I: {below: 4}}",
    ),
    (
        "Z[m] = X[I[m]]",
        {"m": 4},
        {"tensors": {"I": TensorDeclaration(below=4), "X": TensorDeclaration(("Q",))}},
        "w:1:1: formula 'Q' names an unknown 'Q'; known: M, m",
    ),
    ("Z[m] = X[m] where W[I[m]] > 0", {"m": 4}, {}, "w:1:19: an index of 'W' in a condition reads a tensor; index it by ranks"),
    (
        "Z[m] = X[I[m]]",
        {"m": 4},
        {"tensors": {"I": TensorDeclaration(below=1000)}},
        "w:1:1: values of 'I' go up to 999, and bf16 has all whole numbers up to 256; write another type: type: {I: int32}",
    ),
    (
        "H[0] = 1 ; H[t+1] = H[t] + X[t] ; Y[t] = H[I[t]]",
        {"t": 4},
        {"tensors": {"I": TensorDeclaration(below=4)}},
        "w:1:35: Y reads slices of the recurrence 'H' that values of a tensor choose; name them by ranks",
    ),
    ("Z[m,n] = A[m,n]", {"m": 2**40, "n": 2**40}, {}, "w:1:1: tensor 'A' has more than 2**62 elements; shrink the shape"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shape", "more", "message"), ERRORS, ids=range(len(ERRORS)))
def test_error_says_where_what_and_how_to_mend(text: str, shape: dict[str, int], more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        cascade("w", text, shape, **more)
    assert str(caught.value).splitlines()[0] == message
