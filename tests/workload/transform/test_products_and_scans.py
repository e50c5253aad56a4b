"""Sums multiplied out, products reassociated and recurrences scanned in parallel: values, and operations as closed forms say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes
from accelsim.workload.transform.steps import derive, parse
from accelsim.workload.transform.structure import structure
from tests.share import share
from tests.workload.transform.same import difference

NORM = "SM[b] = X[b,d] ; C[b,d] = X[b,d] - SM[b] / D ; VR[b] = C[b,d] * C[b,d] ; Y[b,d] = C[b,d] / sqrt(VR[b] / D + EPS)"
SUMS = """SM[b] = X[b,d] ; SQ[b] = X[b,d] * X[b,d] ; VR[b] = SQ[b] - SM[b] * SM[b] / D
Y[b,d] = (X[b,d] - SM[b] / D) / sqrt(VR[b] / D + EPS)"""
LATENT = """KN[h,m,n] = CKV[m,c] * WUK[h,c,n] ; VV[h,m,v] = CKV[m,c] * WUV[h,c,v] ; SA[h,p,m] = QN[h,p,n] * KN[h,m,n]
GM[h,p] = max[m](SA[h,p,m]) ; SN[h,p,m] = exp(SA[h,p,m] - GM[h,p]) ; SD[h,p] = SN[h,p,m] ; ON[h,p,v] = SN[h,p,m] * VV[h,m,v]
O[h,p,v] = ON[h,p,v] / SD[h,p]"""
ABSORBED = """QC[h,p,c] = QN[h,p,n] * WUK[h,c,n] ; SA[h,p,m] = QC[h,p,c] * CKV[m,c]
GM[h,p] = max[m](SA[h,p,m]) ; SN[h,p,m] = exp(SA[h,p,m] - GM[h,p]) ; SD[h,p] = SN[h,p,m] ; OC[h,p,c] = SN[h,p,m] * CKV[m,c]
ON[h,p,v] = OC[h,p,c] * WUV[h,c,v] ; O[h,p,v] = ON[h,p,v] / SD[h,p]"""
STEP = "H[0,i] = {start} ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i] ; Y[t,i] = H[t+1,i] - H[t,i] ; Z[i] = H[T,i] * 2"


def checked(start: Cascade, steps: str) -> Cascade:
    """The derived cascade, whose values on random inputs are those of the original."""
    made = derive(start, parse(steps))
    assert difference(start, made, random_inputs(start, np.random.default_rng(3))) < 1e-9
    return made


def points(made: Cascade) -> dict[str, int]:
    return {name: each.executed for name, each in run(made, random_inputs(made, np.random.default_rng(0))).counts.items()}


def test_variance_becomes_sums_and_squares() -> None:
    start = cascade("norm", NORM, {"b": 3, "d": 5}, constants={"EPS": 1e-5})
    made = checked(start, "inline C; expand VR")
    assert structure(made) == structure(cascade("form", SUMS.replace("\n", ";"), {"b": 3, "d": 5}, constants={"EPS": 1e-5}))
    assert (passes(start, "d").count, passes(made, "d").count) == (3, 2)


def test_normalisation_is_deferred_past_a_matrix() -> None:
    size = {"b": 3, "d": 5, "o": 4}
    layer = cascade("layer", NORM + " ; Z[b,o] = Y[b,d] * W[d,o]", size, constants={"EPS": 1e-5})
    made = checked(layer, "inline C; expand VR; inline Y; expand Z")
    assert passes(made, "d").count == 1
    root = "SQ[b] = X[b,d] * X[b,d] ; Y[b,d] = X[b,d] / sqrt(SQ[b] / D + EPS) ; Z[b,o] = Y[b,d] * W[d,o]"
    made = checked(cascade("root", root, size, constants={"EPS": 1e-5}), "defer Z")
    assert passes(made, "d").count == 1


@settings(max_examples=share(300, 15, 8))
@given(*(st.integers(1, 5) for _ in "pmef"))
def test_product_of_three_is_reassociated(p: int, m: int, e: int, f: int) -> None:
    """(Q K) V costs p m (e + f) multiply-adds, Q (K V) costs e f (m + p)."""
    start = cascade("three", "S[p,m] = Q[p,e] * K[m,e] ; O[p,f] = S[p,m] * V[m,f]", {"p": p, "m": m, "e": e, "f": f})
    made = checked(start, "reassociate S O")
    assert sum(points(start).values()) == p * m * (e + f)
    assert sum(points(made).values()) == e * f * (m + p)


def test_reassociation_with_a_mask_keeps_it() -> None:
    start = cascade(
        "three", "S[p,m] = Q[p,e] * K[m,e] where m <= p ; O[p,f] = S[p,m] * V[m,f] where m <= p", {"p": 4, "m": 4, "e": 2, "f": 3}
    )
    checked(start, "merge S O")
    checked(start, "reassociate S O")


def test_latent_form_is_absorbed() -> None:
    size = {"h": 2, "m": 4, "n": 3, "c": 2, "p": 3, "v": 5}
    made = checked(cascade("latent", LATENT.replace("\n", ";"), size), "reassociate KN SA; reassociate VV ON")
    assert structure(made) == structure(cascade("absorbed", ABSORBED.replace("\n", ";"), size))


@pytest.mark.parametrize("start", ["0", "2.5"])
@pytest.mark.parametrize("steps", [2, 3, 7, 8, 16])
def test_kogge_stone_joins_as_many_pairs_as_the_closed_form(steps: int, start: str) -> None:
    """T rounds(T) - (2**rounds(T) - 1) pairs, each of two products and a sum; facts: T log2 T - (T - 1) for a power of two."""
    made = checked(cascade("scan", STEP.format(start=start), {"t": steps, "i": 2}), "scan H")
    rounds = (steps - 1).bit_length()
    found = points(made)
    assert found["PAH.1"] == found["PBH.1"] == 2 * (steps * rounds - (2**rounds - 1))


@pytest.mark.parametrize("steps", [2, 4, 16])
def test_blelloch_joins_as_many_pairs_as_the_closed_form(steps: int) -> None:
    made = checked(cascade("scan", STEP.format(start="1"), {"t": steps, "i": 2}), "scan H blelloch")
    found = points(made)
    assert found["UBH.1"] + found["VBH.1"] == 2 * 2 * (steps - 1)
    assert found["H"] == 2 * steps


def test_parallel_scan_of_whole_numbers_is_exact() -> None:
    start = cascade("scan", STEP.format(start="3"), {"t": 8, "i": 2})
    inputs = random_inputs(start, np.random.default_rng(0), np.int64)
    for manner in ("kogge-stone", "blelloch"):
        assert difference(start, derive(start, parse(f"scan H {manner}")), inputs, np.int64) == 0.0


PRODUCT = "Z[m] = A[m,t] * B[t]"
REFUSALS = (
    (
        "S[] = X[m] ; E[m] = exp(X[m] - C[m]) ; Z[m] = E[m] + 1", "rebase E S",
        "1:14: case: S is one number, along which nothing runs", "name another reference",
    ),
    (STEP.format(start="0"), "scan H blelloch", "1:14: case: 'H' takes 6 steps, no power of two", "pad 't', or scan by kogge-stone"),
    (STEP.format(start="0"), "scan H carry", "case: there is no scan 'carry'", "write kogge-stone or blelloch"),
    (
        "H[0] = 0 ; H[t+1] = exp(H[t]) ; Y[] = H[T] + 1", "chunk H",
        "1:12: case: 'H' is not linear in its last slice", "a step is T[t+1] = A[t] * T[t] + B[t]",
    ),
    (PRODUCT, "expand Z", "1:1: case: Z is a sum of one product", "inline what it reads first, or name another"),
    (PRODUCT, "levels Z t", "1:1: case: Z has no two levels: it reduces t", "leave a rank for each level"),
    (PRODUCT, "run Z m", "1:1: case: Z reduces t, and would run along 'm'", "cut it into levels, so that it reduces m alone"),
    (
        PRODUCT, "accumulate Z t",
        "1:1: case: Z is no sum of values that are measured from the last slice of a running value along 't'", "rebase them first",
    ),
    (PRODUCT, "rebase Z A", "1:1: case: Z is no difference", "a difference is exp(a sub B[...])"),
    (PRODUCT, "inline Z", "1:1: case: Z is not a function of one point", "inline a tensor whose statement reduces nothing"),
    (PRODUCT, "share", "case: no two tensors are computed alike", ""),
    (
        PRODUCT, "stream t", "case: no reduction over 't' is one from which summed values are measured",
        "stream a rank as in GM = max[m](QK[m]); SN[m] = exp(QK[m] - GM); SD = SN[m]",
    ),
    (PRODUCT, "merge Z Z", "1:1: case: Z is no single factor of Z", "name a product that reads it"),
    (PRODUCT, "name Z A[m,t] Q", "1:1: case: the statement has no such part to name", "write a part of its right-hand side"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "steps", "what", "mend"), REFUSALS, ids=lambda each: str(each)[:24])
def test_step_that_does_not_apply_says_why(text: str, steps: str, what: str, mend: str) -> None:
    ranks = {rank: 6 for rank in "tim" if f"{rank}," in text or f"{rank}]" in text or f"{rank}+" in text}
    with pytest.raises(InputError) as error:
        derive(cascade("case", text, ranks), parse(steps))
    whole = f"{what}; {mend}" if mend else what
    assert str(error.value) == (whole if what.startswith("case") else f"case:{whole}")


@pytest.mark.parametrize("tile", [1, 3, 4, 6])
def test_what_is_constant_along_a_split_rank_counts_as_often_as_the_rank_is_long(tile: int) -> None:
    """Tiles of 4 do not divide 6: the last is short, and M0 * M1 is 8."""
    start = cascade("sum", "Z[p] = (A[m] + 2) * C[p]", {"m": 6, "p": 2})
    checked(start, f"split m m1 m0 {tile}; expand Z")


def test_what_is_constant_along_a_tile_alone_is_not_counted_where_the_last_is_short() -> None:
    text = "Z[p] = add[m1,m0]((A[m1*M0+m0] + B[m1]) * C[p])"
    with pytest.raises(InputError) as error:
        derive(cascade("sum", text, {"m": 6, "p": 2}, split={"m": {"m1": None, "m0": 4}}), parse("expand Z"))
    assert str(error.value) == "sum:1:1: sum: Z has a term without 'm0', of which the last tile may be short; expand it before 'm' is split"
    checked(cascade("sum", text, {"m": 6, "p": 2}, split={"m": {"m1": None, "m0": 3}}), "expand Z")


def test_alike_tensors_are_shared() -> None:
    start = cascade("two", "A[m] = exp(X[m]) ; B[m] = exp(X[m]) ; Z[m] = A[m] * B[m]", {"m": 4})
    made = checked(start, "share")
    assert structure(made) == structure(cascade("one", "A[m] = exp(X[m]) ; Z[m] = A[m] * A[m]", {"m": 4}))


def test_structure_ignores_names_and_order_and_nothing_else() -> None:
    one = cascade("one", "A[m] = exp(X[m]) ; B[m] = X[m] * 2 ; Z[m] = A[m] + B[m]", {"m": 4})
    same = cascade("same", "Q[m] = X[m] * 2 ; R[m] = exp(X[m]) ; Z[m] = R[m] + Q[m]", {"m": 4})
    assert structure(one) == structure(same)
    for text in ("A[m] = exp(X[m]) ; B[m] = X[m] * 3 ; Z[m] = A[m] + B[m]", "A[m] = exp(X[m]) ; B[m] = A[m] * 2 ; Z[m] = A[m] + B[m]"):
        assert structure(cascade("other", text, {"m": 4})) != structure(one)
    assert structure(cascade("one", "A[m] = exp(X[m]) ; B[m] = X[m] * 2 ; Z[m] = A[m] + B[m]", {"m": 5})) != structure(one)
