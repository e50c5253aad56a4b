"""Known forms are derived from others by steps: the very cascades that are shipped, or that publications write down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.io.catalogue import WORKLOAD, resolve
from accelsim.io.workload import load_workload
from accelsim.workload.bounds import bounds
from accelsim.workload.build import cascade, resized, sized
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import all_passes
from accelsim.workload.transform.steps import derive, parse
from accelsim.workload.transform.structure import structure
from tests.share import share
from tests.workload.transform.same import difference

ONE_PASS = "defer AV; stream m m1 m0 256"
NAMED = "; name RSD RSD[b,h,m1,p]*CRGM[b,h,m1,p]; name RNAV RNAV[b,h,m1,f,p]*CRGM[b,h,m1,p]"
TWO_LEVELS = """QK[m1,m0,p]  = Q[p,e] * K[m1*M0+m0,e]
LM[m1,p]     = max[m0](QK[m1,m0,p])
GM[p]        = max[m1](LM[m1,p])
SLN[m1,m0,p] = exp(QK[m1,m0,p] - LM[m1,p])
SLD[m1,p]    = SLN[m1,m0,p]
PLM[m1,p]    = exp(LM[m1,p] - GM[p])
SD[p]        = SLD[m1,p] * PLM[m1,p]
SN[m1,m0,p]  = SLN[m1,m0,p] * PLM[m1,p]
A[m1,m0,p]   = SN[m1,m0,p] / SD[p]
AV[f,p]      = A[m1,m0,p] * V[m1*M0+m0,f]"""
ONLINE = """RM[0] = -inf ; RD[0] = 0 ; RM[k+1] = max(RM[k], X[k]) ; C[k] = exp(RM[k] - RM[k+1])
RD[k+1] = RD[k] * C[k] + exp(X[k] - RM[k+1]) ; Y[k] = exp(X[k] - RM[K]) / RD[K]"""


def shipped(name: str, **shape: int) -> Cascade:
    found = load_workload(resolve(name, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(found, Cascade)
    return found


def derived(made: Cascade, steps: str) -> Cascade:
    return derive(made, parse(steps))


def counts(made: Cascade) -> dict[str, int]:
    """Points of every Einsum, counted by running it."""
    return {name: each.executed for name, each in run(made, random_inputs(made, np.random.default_rng(0))).counts.items()}


@pytest.mark.parametrize(
    ("start", "steps", "form"),
    [
        ("attention-3pass", ONE_PASS + NAMED, "attention"),
        ("attention-3pass", "stream m m1 m0 256; inline SN A; inline LSN", "attention-2pass"),
        ("scan-sequential", "chunk H c q 64", "scan-chunked"),
        ("attention-linear-left", "reassociate S O", "attention-linear-right"),
    ],
)
def test_shipped_form_is_derived_from_another(start: str, steps: str, form: str) -> None:
    assert structure(derived(shipped(start), steps)) == structure(shipped(form))
    assert structure(shipped(start)) != structure(shipped(form))


def test_two_pass_form_with_local_maxima_is_derived() -> None:
    start = cascade("start", "; ".join(
        ["QK[m,p] = Q[p,e] * K[m,e]", "GM[p] = max[m](QK[m,p])", "SN[m,p] = exp(QK[m,p] - GM[p])", "SD[p] = SN[m,p]",
         "A[m,p] = SN[m,p] / SD[p]", "AV[f,p] = A[m,p] * V[m,f]"]), {"p": 3, "m": 8, "e": 2, "f": 2})  # fmt: skip
    made = derived(start, "local m m1 m0 4")
    assert structure(made) == structure(cascade("form", TWO_LEVELS, {"p": 3, "m": 8, "e": 2, "f": 2}, split={"m": {"m1": None, "m0": 4}}))
    assert all_passes(made)["m"].count == 2


def test_online_softmax_is_derived_without_a_split() -> None:
    start = cascade("start", "GM[] = max[k](X[k]) ; SN[k] = exp(X[k] - GM[]) ; SD[] = SN[k] ; Y[k] = SN[k] / SD[]", {"k": 7})
    made = derived(start, "run GM k; rebase SN RGM SD; accumulate SD k; inline SN; inline LSN")
    assert structure(made) == structure(cascade("form", ONLINE, {"k": 7}))
    assert (all_passes(start)["k"].count, all_passes(made)["k"].count) == (3, 2)


@settings(max_examples=share(500, 25, 8))
@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 10), st.integers(1, 3), st.integers(1, 3), st.integers(1, 10), st.integers(0, 99)
)
def test_one_pass_form_computes_the_same_in_points_that_are_known(h: int, p: int, m: int, e: int, f: int, m0: int, seed: int) -> None:
    """Points: the closed forms of FuseMax's cascade; m0 need not divide m."""
    start = shipped("attention-3pass", h=h, p=p, m=m, e=e, f=f)
    m0 = min(m, m0)
    made = sized(derived(start, "defer AV; stream m"), [("m0", m0)])
    inputs = random_inputs(start, np.random.default_rng(seed))
    assert difference(start, made, inputs) < 1e-9
    m1 = -(-m // m0)
    each = {"QK": m * p * e, "LGM": m * p, "RGM": m1 * p, "LSN": m * p, "LSD": m * p, "CRGM": m1 * p, "RSD": m1 * p}
    each |= {"LNAV": m * p * f, "RNAV": m1 * p * f, "AV": p * f}
    assert counts(made) == {name: h * points for name, points in each.items()}


def test_derived_one_pass_form_has_the_bounds_of_the_shipped_one() -> None:
    size = {"b": 1, "h": 2, "p": 64, "m": 512, "e": 16, "f": 16}
    made, form = derived(shipped("attention-3pass", **size), ONE_PASS + NAMED), shipped("attention", **size)
    assert {rank: each.count for rank, each in all_passes(made).items()} == {rank: each.count for rank, each in all_passes(form).items()}
    assert all_passes(made)["m"].count == 1
    one, other = bounds(made), bounds(form)
    assert sorted(one.points.values()) == sorted(other.points.values())
    assert (one.words, one.total_operations) == (other.words, other.total_operations)


def test_division_moves_from_every_weight_to_every_result() -> None:
    start = shipped("attention-3pass", h=2, p=5, m=7, e=3, f=4)
    made = derived(start, "defer AV")
    divisions = [each.bounds.operations for each in (start, made)]
    assert [sum(row.get("div", 0) for row in rows.values()) for rows in divisions] == [2 * 5 * 7, 2 * 5 * 4]
    assert [all_passes(each)["m"].count for each in (start, made)] == [3, 2]


@settings(max_examples=share(500, 25, 8))
@given(st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_chunks_compute_the_same_in_points_that_are_known(q: int, i: int, n: int, seed: int) -> None:
    start = shipped("scan-sequential", t=12, i=i, n=n)
    made = resized(derived(start, "chunk H c q"), {"q": q})
    assert difference(start, made, random_inputs(start, np.random.default_rng(seed))) < 1e-9
    found, lanes = counts(made), i * n
    assert (found["LH"], found["GH"], found["SH"], found["H"]) == (12 * lanes, 12 * lanes, 12 // q * lanes, 12 * lanes)


def test_chunks_of_whole_numbers_are_exact() -> None:
    start = cascade(
        "scan", "H[0,i] = 3 ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i] ; Y[t,i] = H[t+1,i] - H[t,i] ; Z[i] = H[T,i]", {"t": 6, "i": 2}
    )
    made = resized(derived(start, "chunk H"), {"t0": 3})
    inputs = random_inputs(start, np.random.default_rng(1), np.int64)
    assert difference(start, made, inputs, np.int64) == 0.0


def test_other_semirings_run_in_chunks_too() -> None:
    """Longest paths: a maximum of sums, which addition distributes over."""
    start = cascade("paths", "H[0,i] = 0 ; H[t+1,i] = max(H[t,i] + A[t,i], B[t,i]) ; Y[t,i] = H[t+1,i] * 2", {"t": 8, "i": 2})
    made = resized(derived(start, "chunk H"), {"t0": 4})
    assert difference(start, made, random_inputs(start, np.random.default_rng(1))) < 1e-12


def test_wrong_correction_is_noticed() -> None:
    """The check is checked: the derived form with the factors around a step exchanged."""
    start = shipped("attention-3pass", h=1, p=2, m=6, e=2, f=2)
    made = sized(derived(start, "defer AV; stream m"), [("m0", 2)])
    assert made.declaration is not None
    texts = [statement.text for statement in made.declaration.statements]
    at = next(at for at, text in enumerate(texts) if text.startswith("CRGM"))
    texts[at] = "CRGM[b,h,m1,p] = exp(RGM[b,h,m1+1,p] - RGM[b,h,m1+1,p])"
    broken = cascade("broken", texts, {rank: made.extents[rank] for rank in "bhpmef"}, split={"m": {"m1": None, "m0": 2}})
    inputs: dict[str, Any] = {name: 4 * array for name, array in random_inputs(start, np.random.default_rng(0)).items()}
    assert difference(start, made, inputs) < 1e-9 < 1e-3 < difference(start, broken, inputs)
