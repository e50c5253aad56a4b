"""Further forms of attention, softmax and normalisation: values, operation counts and passes."""

from typing import Any

import numpy as np
import pytest

from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes

Arrays = dict[str, Any]
SHAPE = {"p": 6, "m": 8, "e": 4, "f": 5}
SPLIT = {"m": {"m1": None, "m0": 2}}
DEFERRED = """QK[m,p] = Q[p,e] * K[m,e] ; GM[p] = max[m](QK[m,p]) ; SN[m,p] = exp(QK[m,p] - GM[p])
SD[p] = SN[m,p] ; SNV[f,p] = SN[m,p] * V[m,f] ; AV[f,p] = SNV[f,p] / SD[p]"""
LOCAL = """QK[m1,m0,p]  = Q[p,e] * K[m1*M0+m0,e]
LM[m1,p]     = max[m0](QK[m1,m0,p])
GM[p]        = max[m1](LM[m1,p])
SLN[m1,m0,p] = exp(QK[m1,m0,p] - LM[m1,p])
SLD[m1,p]    = SLN[m1,m0,p]
PLM[m1,p]    = exp(LM[m1,p] - GM[p])
SD[p]        = SLD[m1,p] * PLM[m1,p]
SN[m1,m0,p]  = SLN[m1,m0,p] * PLM[m1,p]
A[m1,m0,p]   = SN[m1,m0,p] / SD[p]
AV[f,p]      = A[m1,m0,p] * V[m1*M0+m0,f]"""
ONE_PASS = """QK[m1,m0,p]   = Q[p,e] * K[m1*M0+m0,e] WHERE
LM[m1,p]      = max[m0](QK[m1,m0,p]) WHERE
RM[0,p] = -inf ; RD[0,p] = 0 ; RNV[0,f,p] = 0
RM[m1+1,p]    = max(RM[m1,p], LM[m1,p])
SLN[m1,m0,p]  = exp(QK[m1,m0,p] - RM[m1+1,p]) WHERE
SLD[m1,p]     = SLN[m1,m0,p] WHERE
SLNV[m1,f,p]  = SLN[m1,m0,p] * V[m1*M0+m0,f] WHERE
PRM[m1,p]     = exp(RM[m1,p] - RM[m1+1,p])
SPD[m1,p]     = RD[m1,p] * PRM[m1,p]
RD[m1+1,p]    = SLD[m1,p] + SPD[m1,p]
SPNV[m1,f,p]  = RNV[m1,f,p] * PRM[m1,p]
RNV[m1+1,f,p] = SLNV[m1,f,p] + SPNV[m1,f,p]
AV[f,p]       = RNV[M1,f,p] / RD[M1,p]"""
WINDOW = "where m1*M0+m0 <= p + (M-P) and m1*M0+m0 > p + (M-P) - W"
BLOCKS = """QK[m,p]  = Q[p,e] * K[m,e]      where BM[p//BP, m//BK] > 0
GM[p]    = max[m](QK[m,p])               where BM[p//BP, m//BK] > 0
SN[m,p]  = exp(QK[m,p] - GM[p])          where BM[p//BP, m//BK] > 0
SD[p]    = SN[m,p]                       where BM[p//BP, m//BK] > 0
SNV[f,p] = SN[m,p] * V[m,f]              where BM[p//BP, m//BK] > 0
AV[f,p]  = SNV[f,p] / SD[p]"""


def reference(i: Arrays, visible: Any = True) -> Any:
    scores = np.where(visible, i["Q"] @ i["K"].T, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (i["V"].T @ weights.T) / weights.sum(-1)


def crossing(made: Cascade, rank: str) -> tuple[int, set[str], set[str]]:
    found = passes(made, rank)
    return found.count, {item.tensor for item in found.crossing}, set(found.reread)


@pytest.mark.parametrize(
    ("text", "split", "expected"),
    [(DEFERRED, None, (2, {"QK"}, set())), (LOCAL, SPLIT, (2, {"SLN"}, set())), (ONE_PASS.replace("WHERE", ""), SPLIT, (1, set(), set()))],
)
def test_attention_form_has_its_value_and_its_passes(text: str, split: Any, expected: Any) -> None:
    made = cascade("form", text, SHAPE, split=split)
    inputs = random_inputs(made, np.random.default_rng(1))
    assert np.allclose(run(made, inputs).values["AV"], reference(inputs), rtol=1e-9, atol=1e-12)
    assert crossing(made, "m") == expected


@pytest.mark.parametrize("window", [1, 2, 3, 8])
def test_sliding_window_masks_whole_tiles_without_a_bad_number(window: int) -> None:
    made = cascade("window", ONE_PASS.replace("WHERE", WINDOW), SHAPE, split=SPLIT, constants={"W": window})
    inputs = random_inputs(made, np.random.default_rng(2))
    p, m = np.arange(6)[:, None], np.arange(8)[None, :]
    visible = (m <= p + 2) & (m > p + 2 - window)
    done = run(made, inputs)
    assert np.allclose(done.values["AV"], reference(inputs, visible), rtol=1e-9, atol=1e-12)
    pairs = sum(min(q + 2 + 1, window) for q in range(6))  # row q sees min(q + M - P + 1, W) keys
    assert done.counts["SLN"].executed == pairs
    assert done.counts["QK"].executed == pairs * 4
    assert done.counts["SLN"].masked == 48 - pairs
    assert passes(made, "m").count == 1


def test_block_mask_decides_from_data() -> None:
    made = cascade("blocks", BLOCKS, SHAPE, constants={"BP": 2, "BK": 4})
    assert made.tensors["BM"].shape == (3, 2)
    inputs = random_inputs(made, np.random.default_rng(3)) | {"BM": np.array([[1, 0], [0, 1], [1, 1]])}
    visible = np.kron(inputs["BM"], np.ones((2, 4))) > 0
    done = run(made, inputs)
    assert np.allclose(done.values["AV"], reference(inputs, visible), rtol=1e-9, atol=1e-12)
    assert done.counts["SN"].executed == int(visible.sum())


def test_operation_counts_of_one_pass_attention_are_the_products_of_its_ranks() -> None:
    made = cascade("form", ONE_PASS.replace("WHERE", ""), SHAPE, split=SPLIT)
    counts = {name: points.executed for name, points in run(made, random_inputs(made, np.random.default_rng(0))).counts.items()}
    m, p, e, f, m1 = 8, 6, 4, 5, 4
    expected = {"QK": m * p * e, "SLNV": m * p * f, "SPNV": m1 * p * f, "RNV": m1 * p * f, "AV": p * f}
    expected |= dict.fromkeys(("LM", "SLN", "SLD"), m * p) | dict.fromkeys(("RM", "PRM", "SPD", "RD"), m1 * p)
    assert counts == expected


ONLINE = """RM[0] = -inf ; RD[0] = 0 ; RM[k+1] = max(RM[k], X[k])
RD[k+1] = RD[k] * exp(RM[k] - RM[k+1]) + exp(X[k] - RM[k+1]) ; Y[k] = exp(X[k] - RM[K]) / RD[K]"""
TWO_PASS = """N[k]    = rint(X[k] * LOG2E)
MT[k]   = exp(X[k] - N[k] / LOG2E)
ES[0] = -inf ; MS[0] = 0
ES[k+1] = max(ES[k], N[k])
MS[k+1] = ldexp(MT[k], N[k] - ES[k+1]) + ldexp(MS[k], ES[k] - ES[k+1])
Y[k]    = ldexp(MT[k] / MS[K], N[k] - ES[K])"""


@pytest.mark.parametrize(
    ("text", "constants", "expected"),
    [(ONLINE, {}, (2, set(), {"X"})), (TWO_PASS, {"LOG2E": 1.4426950408889634}, (2, {"N", "MT"}, set()))],
)
def test_softmax_form_has_its_value_and_its_passes(text: str, constants: Any, expected: Any) -> None:
    made = cascade("softmax", text, {"k": 9}, constants=constants)
    x = 30 * np.random.default_rng(4).standard_normal(9)
    weights = np.exp(x - x.max())
    assert np.allclose(run(made, {"X": x}).values["Y"], weights / weights.sum(), rtol=1e-9, atol=0)
    assert crossing(made, "k") == expected


WELFORD = """MU[b,0] = 0 ; M2[b,0] = 0
MU[b,d+1] = MU[b,d] + (X[b,d] - MU[b,d]) / (d+1)
M2[b,d+1] = M2[b,d] + (X[b,d] - MU[b,d]) * (X[b,d] - MU[b,d+1])
Y[b,d]    = (X[b,d] - MU[b,D]) / sqrt(M2[b,D] / D + EPS)"""
SUMSQ = """SM[b]  = X[b,d] ; SQ[b] = X[b,d] * X[b,d]
Y[b,d] = (X[b,d] - SM[b] / D) / sqrt(SQ[b] / D - (SM[b] / D)**2 + EPS)"""
LINEAR = """SM[b] = X[b,d] ; SQ[b] = X[b,d] * X[b,d] ; Z[b,o] = X[b,d] * W[d,o]
CW[o] = W[d,o] ; Y[b,o] = (Z[b,o] - SM[b] / D * CW[o]) / sqrt(SQ[b] / D - (SM[b] / D)**2 + EPS)"""
RMS = "SQ[b] = X[b,d] * X[b,d] ; Y[b,d] = X[b,d] / sqrt(SQ[b] / D + EPS)"
RMS_LINEAR = "SQ[b] = X[b,d] * X[b,d] ; Z[b,o] = X[b,d] * W[d,o] ; Y[b,o] = Z[b,o] / sqrt(SQ[b] / D + EPS)"


@pytest.mark.parametrize(
    ("text", "centred", "linear", "expected"),
    [
        (WELFORD, True, False, (2, set(), {"X"})),
        (SUMSQ, True, False, (2, set(), {"X"})),
        (LINEAR, True, True, (1, set(), set())),
        (RMS, False, False, (2, set(), {"X"})),
        (RMS_LINEAR, False, True, (1, set(), set())),
    ],
)
def test_norm_has_its_value_and_its_passes(text: str, centred: bool, linear: bool, expected: Any) -> None:
    made = cascade("norm", text, {"b": 3, "d": 7} | ({"o": 4} if linear else {}), constants={"EPS": 1e-5})
    inputs = random_inputs(made, np.random.default_rng(5))
    x = inputs["X"] - (inputs["X"].mean(-1, keepdims=True) if centred else 0)
    y = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    assert np.allclose(run(made, inputs).values["Y"], y @ inputs["W"] if linear else y, rtol=1e-9, atol=1e-12)
    assert crossing(made, "d") == expected


@pytest.mark.parametrize(
    ("text", "count", "reread"),
    [
        ("SM[b] = X[b,d] ; C[b,d] = X[b,d] - SM[b] / D ; VR[b] = C[b,d] * C[b,d]", 2, ("X",)),
        ("\n".join(WELFORD.splitlines()[:3]), 1, ()),
        ("SM[b] = X[b,d] ; SQ[b] = X[b,d] * X[b,d]", 1, ()),
    ],
)
def test_variance_needs_two_passes_only_in_its_naive_form(text: str, count: int, reread: tuple[str, ...]) -> None:
    found = passes(cascade("variance", text, {"b": 2, "d": 5}), "d")
    assert (found.count, found.reread) == (count, reread)


def test_a_mask_does_not_change_the_passes_of_attention() -> None:
    plain = cascade("form", ONE_PASS.replace("WHERE", ""), SHAPE, split=SPLIT)
    causal = cascade("causal", ONE_PASS.replace("WHERE", "where m1*M0+m0 <= p + (M-P)"), SHAPE, split=SPLIT)
    assert passes(plain, "m").count == passes(causal, "m").count == 1
