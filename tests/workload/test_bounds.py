"""Compulsory traffic and least operations by hand and against enumeration."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.io.workload import load_workload
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.interpreter import random_inputs, run

FOLDER = Path(__file__).resolve().parents[2] / "workloads"


def touched(made: Cascade) -> dict[str, int]:
    """Elements of every input that some surviving point of some statement reads, by asking for each point."""
    found: dict[str, set[tuple[int, ...]]] = {name: set() for name, tensor in made.tensors.items() if tensor.is_input}
    from accelsim.workload.conditions import condition_mask
    from accelsim.workload.evaluate import evaluate

    for einsum in made.work:
        for point in np.argwhere(condition_mask(made, einsum)):
            known: dict[str, Any] = dict(made.sizes) | {rank: int(value) for rank, value in zip(einsum.ranks, point, strict=True)}
            for access in einsum.reads:
                if access.tensor in found:
                    place = tuple(int(evaluate(index, known)) for index in access.indices)
                    shape = made.tensors[access.tensor].shape
                    if all(0 <= at < size for at, size in zip(place, shape, strict=True)):
                        found[access.tensor].add(place)
    return {name: len(places) for name, places in found.items()}


def test_product_reads_its_operands_and_writes_its_result_once() -> None:
    made = cascade("w", "Z[m,n] = A[m,k] * B[k,n]", {"m": 4, "n": 5, "k": 6}, types={"default": "int8", "Z": "int32"})
    assert made.bounds.words == {"A": 24, "B": 30, "Z": 20}
    assert made.bounds.compulsory_bytes == 24 + 30 + 4 * 20
    assert made.bounds.operations == {"Z": {"mac": 120}}
    assert made.bounds.intensity == pytest.approx(120 / 134)


def test_block_scaled_words_are_fractions_of_a_byte() -> None:
    made = cascade("w", "Z[m] = A[m,k]", {"m": 4, "k": 6}, types={"default": "mxfp4"})
    assert made.bounds.compulsory_bytes * 8 == 28 * 4.25


def test_published_compulsory_traffic_of_attention() -> None:
    """BERT at 1K, batch 64, 12 heads of 64, 2-byte words: 402 653 184 bytes, 512 mac per word."""
    settings = {"shape.b": "64", "shape.p": "1024", "shape.m": "1024"}
    made = load_workload(FOLDER / "attention.yaml", settings)
    assert isinstance(made, Cascade)
    bounds = made.bounds
    assert bounds.compulsory_bytes == 402_653_184
    macs = bounds.operations["QK"]["mac"] + bounds.operations["SLNV"]["mac"]
    assert macs / (bounds.compulsory_bytes / 2) == 512


def test_published_compulsory_traffic_of_a_selective_scan() -> None:
    """Mamba-2.8B scan at 2048 steps: 31 609 856 words."""
    made = load_workload(FOLDER / "scan-sequential.yaml")
    assert isinstance(made, Cascade)
    assert sum(made.bounds.words.values()) == 31_609_856


CASES: list[tuple[str, dict[str, int], dict[str, Any]]] = [
    ("Z[p] = I[2*p] * F[p]", {"p": 5}, {}),
    ("Z[p,r] = I[3*p+r] * F[r]", {"p": 5, "r": 2}, {}),
    ("Z[m] = A[m,m] * B[m]", {"m": 5}, {}),
    ("Z[h] = A[h//2,h%3] * 1", {"h": 12}, {}),
    ("Z[h] = A[h//2,h//2] * 1", {"h": 12}, {}),
    ("Z[m,n] = A[m+n,m+n,n%2] * 1", {"m": 4, "n": 3}, {}),
    ("Z[m,p] = A[m] * B[p] where m <= p", {"m": 7, "p": 4}, {}),
    ("Z[m,p] = A[m] * B[p] where m > p + 2", {"m": 7, "p": 6}, {}),
    ("Z[m,p] = A[m] * B[p] where m <= p and m > p - 2", {"m": 9, "p": 5}, {}),
    ("Z[p] = I[p+r] * F[r]", {"p": 5, "r": 3}, {"tensors": {"I": TensorDeclaration((5,), 0.0)}}),
    ("Z[m] = A[m] * 2 ; Y[m] = A[2*m] * 2 + Z[m]", {"m": 4}, {}),
    ("Z[a,b] = A[a*B+b] * 2", {"m": 10}, {"split": {"m": {"a": None, "b": 4}}}),
    ("Z[a,b,p] = A[a*B+b] * C[p] where a*B+b <= p", {"m": 10, "p": 7}, {"split": {"m": {"a": None, "b": 4}}}),
]


@pytest.mark.parametrize(("text", "shape", "more"), CASES, ids=[text for text, _, _ in CASES])
def test_words_of_inputs_are_never_above_what_is_read(text: str, shape: dict[str, int], more: dict[str, Any]) -> None:
    made = cascade("w", text, shape, **more)
    expected = touched(made)
    found = {name: made.bounds.words[name] for name in expected}
    assert all(found[name] <= expected[name] for name in expected)
    if "2*m" not in text:  # several accesses to one input: the largest of them is the bound
        assert found == expected


CHOSEN = [
    ("Z[m] = A[m,4*m+I[m]]", {"m": 5}, 5),  # a dimension besides the windows
    ("Z[m] = A[m//2,m//2,I[m]]", {"m": 6}, 3),
    ("Z[g,h] = A[4*g+6*h+I[g,h]]", {"g": 2, "h": 2}, 1),  # windows 4 to 7 and 6 to 9 overlap
    ("Z[g,h] = A[8*g+4*h+I[g,h]]", {"g": 2, "h": 2}, 4),
    ("Z[g,h] = A[h,2*g+I[g]]", {"g": 3, "h": 2}, 2),
]


@pytest.mark.parametrize(("text", "shape", "least"), CHOSEN)
def test_words_that_values_choose_are_at_least_those_of_the_best_choice(text: str, shape: dict[str, int], least: int) -> None:
    """By executing random choices."""
    made = cascade("w", text, shape, tensors={"I": TensorDeclaration(below=4)})
    maps = [(access, made.index_maps(access)) for access in made.einsums[0].reads if access.tensor == "A"]
    assert made.bounds.words["A"] == least
    rng, fewest = np.random.default_rng(3), 10**9
    for _ in range(2_000):
        chosen = random_inputs(made, rng)["I"]
        places = set()
        for point in np.ndindex(*(made.extents[rank] for rank in made.einsums[0].ranks)):
            at = dict(zip(made.einsums[0].ranks, point, strict=True))
            value = int(chosen[tuple(at[rank] for rank in ("m", "g", "h") if rank in at)[: chosen.ndim]])
            places.add(
                tuple(
                    (sum(factor * at.get(rank, value) for rank, factor in index.terms) + index.offset) // index.divisor
                    for _, indices in maps
                    for index in indices
                    if index is not None
                )
            )
        fewest = min(fewest, len(places))
    assert fewest >= least


def test_values_may_choose_nothing_but_what_lies_outside() -> None:
    tensors = {"I": TensorDeclaration(below=4), "A": TensorDeclaration((3,), 0.0)}
    assert cascade("w", "Z[m] = A[I[m]-1]", {"m": 3}, tensors=tensors).bounds.words["A"] == 0


def test_indices_that_differ_choose_apart() -> None:
    made = cascade("w", "Z[m,n] = A[I[m]+4*I[n]]", {"m": 3, "n": 3}, tensors={"I": TensorDeclaration(below=4)})
    assert made.tensors["A"].shape == (16,)
    with pytest.raises(InputError, match="index -3"):
        cascade("w", "Z[m,n] = A[I[m]-I[n]]", {"m": 3, "n": 3}, tensors={"I": TensorDeclaration(below=4)})


def test_points_are_those_that_the_interpreter_computes() -> None:
    made = cascade("w", "Z[m,p] = A[m] * B[p] where m <= p ; Y[p] = max[m](Z[m,p]) where m <= p", {"m": 7, "p": 9})
    counts = run(made, random_inputs(made, np.random.default_rng(0))).counts
    assert made.bounds.points == {name: points.executed for name, points in counts.items()}


def test_constant_first_slice_of_an_output_is_not_traffic() -> None:
    made = cascade("w", "H[0] = 0 ; H[t+1] = H[t] + X[t]", {"t": 6})
    assert made.bounds.words == {"X": 6, "H": 6}


def test_mask_of_declared_density_thins_operations() -> None:
    made = cascade("w", "Z[m,n] = A[m] * C[n] where B[m,n] > 0", {"m": 10, "n": 10}, density={"B": 0.25})
    assert made.bounds.operations == {"Z": {"mul": 25}}
