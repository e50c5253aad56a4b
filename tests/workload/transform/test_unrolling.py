"""Ranks written out: the same values, indices with a normal form, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.io.catalogue import WORKLOAD, resolve
from accelsim.io.workload import load_workload
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.transform.steps import derive, parse
from accelsim.workload.transform.unrolling import unroll, unrollable
from tests.workload.transform.same import difference

DOUBLING = ["P[0,t] = A[t]", "P[s+1,t] = P[s,t] + P[s,t-2**s] where t >= 2**s", "P[s+1,t] = P[s,t] where t < 2**s", "Y[t] = P[S,t]"]


def shipped(name: str, steps: int) -> Cascade:
    found = load_workload(resolve(name, WORKLOAD), {"shape.t": str(steps), "shape.i": "3", "shape.n": "2"})
    assert isinstance(found, Cascade)
    return found


def test_prefix_sum_by_doubling_is_what_one_writes_by_hand() -> None:
    made = unroll(cascade("sums", DOUBLING, {"t": 4, "s": 2}), "s")
    assert [einsum.text for einsum in made.work] == [
        "P0[t] = A[t]",
        "P1[t] = P0[t] + P0[t-1] where t >= 1",
        "P1[t] = P0[t] where t < 1",
        "P2[t] = P1[t] + P1[t-2] where t >= 2",
        "P2[t] = P1[t] where t < 2",
        "Y[t] = P2[t]",
    ]
    values = run(made, {"A": np.array([1.0, 2.0, 3.0, 4.0])}).values["Y"]
    assert list(values) == [1, 3, 6, 10]


@pytest.mark.parametrize(
    ("name", "steps", "lengths"), [("scan-kogge-stone", "unroll s", range(2, 18)), ("scan-blelloch", "unroll s; unroll z", (2, 4, 8, 16))]
)
def test_parallel_scans_written_out_are_the_sequential_one(name: str, steps: str, lengths: range) -> None:
    for length in lengths:
        whole, sequential = shipped(name, length), shipped("scan-sequential", length)
        made = derive(whole, parse(steps))
        assert all(form is not None for einsum in made.work for access in einsum.reads for form in made.index_maps(access))
        inputs = random_inputs(whole, np.random.default_rng(length))
        assert difference(whole, made, inputs) < 1e-12
        assert set(inputs) == {name for name, tensor in sequential.tensors.items() if tensor.is_input}
        assert difference(sequential, made, inputs) < 1e-9


def test_work_of_rounds_written_out_is_that_of_the_network() -> None:
    """Kogge and Stone's prefix of T places adds T log2 T - T + 1 times."""
    for rounds in range(1, 6):
        steps = 2**rounds
        made = unroll(cascade("sums", DOUBLING, {"t": steps, "s": rounds}), "s")
        done = run(made, random_inputs(made, np.random.default_rng(0)))
        added = [einsum.name for einsum in made.work if " + " in einsum.text]
        assert sum(done.counts[name].executed for name in added) == steps * rounds - steps + 1


def test_ranks_in_such_indices_and_of_recurrences_are_offered() -> None:
    assert list(unrollable(cascade("sums", DOUBLING, {"t": 4, "s": 2}))) == [("s",)]
    line = ["H[0] = 0", "H[t+1] = A[t] * H[t] + B[t]", "Y[] = H[T]"]
    assert list(unrollable(cascade("line", line, {"t": 64}))) == [("t",)]
    assert list(unrollable(cascade("line", line, {"t": 65}))) == []


@pytest.mark.parametrize(
    ("statements", "shape", "rank", "message"),
    [
        (["Z[n] = A[n,k]"], {"n": 2, "k": 3}, "k", "w:1:1: w: Z reduces over 'k'; write another out"),
        (["Z[n] = A[n]"], {"n": 2}, "n", "w:1:1: w: 'Z' is an output along 'n'; write another out"),
        (["Z[n] = A[n]"], {"n": 2}, "m", "w: no statement uses rank 'm'; known: n"),
        (["B[n] = A[n]", "Z[] = B[n]"], {"n": 65}, "n", "w: 'n' has 65 coordinates; write out a rank of at most 64"),
        (
            ["B[n,m] = A[n,m]", "Z[k] = B[k//M,k%M]"],
            {"n": 2, "m": 2, "k": 4},
            "n",
            "w:2:1: w: B is read along 'n' at other ranks; write another out",
        ),
    ],
)
def test_what_cannot_be_written_out_is_refused(statements: list[str], shape: dict[str, int], rank: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        unroll(cascade("w", statements, shape), rank)
    assert str(error.value) == message


def test_slices_that_nothing_writes_are_refused() -> None:
    made = cascade("w", ["H[0] = 0", "H[t+1] = H[t] + H[t-1]", "Z[] = H[T]"], {"t": 3}, tensors={"H": TensorDeclaration(fill=0.0)})
    with pytest.raises(InputError) as error:
        unroll(made, "t")
    assert str(error.value) == "w: H is read at -1, where no statement writes it; add a condition that leaves it out"
