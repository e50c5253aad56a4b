"""Scans, state-space models and other recurrences against the recurrence run step by step, with counts and passes."""

from typing import Any

import numpy as np
import pytest

from accelsim.workload.build import cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes

Arrays = dict[str, Any]
KOGGE_STONE = """PA[0,t] = AB[t] ; PB[0,t] = BX[t]
PB[s+1,t] = PA[s,t] * PB[s,t-2**s] + PB[s,t]    where t >= 2**s
PA[s+1,t] = PA[s,t] * PA[s,t-2**s]              where t >= 2**s
PB[s+1,t] = PB[s,t]                             where t < 2**s
PA[s+1,t] = PA[s,t]                             where t < 2**s
H[t]      = PB[S,t]"""
BLELLOCH = """UA[0,t] = AB[t] ; UB[0,t] = BX[t]
UB[s+1,t] = UA[s,t] * UB[s,t-2**s] + UB[s,t]              where (t+1) % 2**(s+1) == 0
UA[s+1,t] = UA[s,t] * UA[s,t-2**s]                        where (t+1) % 2**(s+1) == 0
UB[s+1,t] = UB[s,t]                                       where (t+1) % 2**(s+1) != 0
UA[s+1,t] = UA[s,t]                                       where (t+1) % 2**(s+1) != 0
VA[0,t] = UA[S,t] where t < T-1 ; VB[0,t] = UB[S,t] where t < T-1
VA[0,t] = 1 where t == T-1 ; VB[0,t] = 0 where t == T-1
VB[z+1,t] = VA[z,t-2**(S-1-z)] * VB[z,t] + VB[z,t-2**(S-1-z)]  where (t+1) % 2**(S-z) == 0
VA[z+1,t] = VA[z,t-2**(S-1-z)] * VA[z,t]                  where (t+1) % 2**(S-z) == 0
VB[z+1,t] = VB[z,t+2**(S-1-z)]                            where (t+1) % 2**(S-z) == 2**(S-1-z)
VA[z+1,t] = VA[z,t+2**(S-1-z)]                            where (t+1) % 2**(S-z) == 2**(S-1-z)
VB[z+1,t] = VB[z,t]                                       where (t+1) % 2**(S-1-z) != 0
VA[z+1,t] = VA[z,t]                                       where (t+1) % 2**(S-1-z) != 0
H[t]      = AB[t] * VB[S,t] + BX[t]"""
CHUNKED = """LH[c,0] = 0 ; LG[c,0] = 1 ; SC[0] = 0
LH[c,q+1] = AB[c*Q+q] * LH[c,q] + BX[c*Q+q]
LG[c,q+1] = AB[c*Q+q] * LG[c,q]
SC[c+1]   = LG[c,Q] * SC[c] + LH[c,Q]
H[c,q]    = LG[c,q+1] * SC[c] + LH[c,q+1]"""


def scanned(a: Any, b: Any) -> Any:
    state, states = 0.0, []
    for x, y in zip(a, b, strict=True):
        state = x * state + y
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize(("text", "shape"), [(KOGGE_STONE, {"t": 16, "s": 4}), (BLELLOCH, {"t": 16, "s": 4, "z": 4}), (CHUNKED, {"t": 12})])
def test_parallel_scan_equals_the_sequential_one(text: str, shape: dict[str, int]) -> None:
    split = {"t": {"c": None, "q": 4}} if text is CHUNKED else None
    made = cascade("scan", text, shape, split=split)
    inputs = random_inputs(made, np.random.default_rng(1))
    done = run(made, inputs)
    assert np.allclose(done.values["H"].reshape(-1), scanned(inputs["AB"], inputs["BX"]), rtol=1e-9, atol=1e-12)


def test_kogge_stone_combines_t_log_t_less_t_minus_1_pairs() -> None:
    made = cascade("scan", KOGGE_STONE, {"t": 16, "s": 4})
    counts = run(made, random_inputs(made, np.random.default_rng(1))).counts
    assert counts["PB.1"].executed == counts["PA.1"].executed == 16 * 4 - 15
    assert counts["PB.2"].executed == 15


def test_blelloch_combines_twice_t_minus_1_pairs() -> None:
    made = cascade("scan", BLELLOCH, {"t": 16, "s": 4, "z": 4})
    counts = run(made, random_inputs(made, np.random.default_rng(1))).counts
    assert counts["UB.1"].executed + counts["VB.1"].executed == 2 * 15


def test_s4_recurrence_equals_its_convolution() -> None:
    recurrent = cascade(
        "recurrent",
        "X[0,n] = 0 ; AX[t,n] = AB[n,k] * X[t,k] ; X[t+1,n] = AX[t,n] + BB[n] * U[t]\nY[t] = C[n] * X[t+1,n]",
        {"t": 8, "n": 3, "k": 3},
    )
    text = "P[0,n] = BB[n] ; P[j+1,n] = AB[n,k] * P[j,k] ; KB[j] = C[n] * P[j,n] ; Y[t] = KB[j] * U[t-j] where j <= t"
    convolution = cascade("convolution", text, {"t": 8, "j": 8, "n": 3, "k": 3})
    inputs = random_inputs(recurrent, np.random.default_rng(2))
    left, right = run(recurrent, inputs), run(convolution, inputs)
    assert np.allclose(left.values["Y"], right.values["Y"], rtol=1e-9, atol=1e-12)
    assert right.counts["Y"].executed == 8 * 9 // 2


def test_discrete_transforms_convolve() -> None:
    text = """UF[k] = U2[t] * cis(-2*pi*k*t/N) ; KF[k] = K2[t] * cis(-2*pi*k*t/N) ; YF[k] = UF[k] * KF[k]
Y[t] = YF[k] * cis(2*pi*k*t/N) / N"""
    made = cascade("dft", text, {"t": 8, "k": 8}, constants={"N": 8, "pi": np.pi})
    u, k = np.zeros(8), np.zeros(8)
    u[:4], k[:4] = np.random.default_rng(3).standard_normal((2, 4))
    found = run(made, {"U2": u, "K2": k}).values["Y"]
    assert np.allclose(found[:7], np.convolve(u[:4], k[:4]), rtol=1e-9, atol=1e-12)
    result = passes(made, "t")
    assert result.count == 2
    assert [item.tensor for item in result.summaries] == ["YF"]


def test_monarch_transform_of_order_two_is_the_transform() -> None:
    text = """Z1[v,x] = X[N2*y+x] * cis(-2*pi*v*y/N1) ; Z2[v,x] = Z1[v,x] * cis(-2*pi*v*x/N)
Z3[v,z] = Z2[v,x] * cis(-2*pi*z*x/N2)"""
    made = cascade("monarch", text, {"y": 3, "v": 3, "x": 4, "z": 4}, constants={"N1": 3, "N2": 4, "N": 12, "pi": np.pi})
    inputs = random_inputs(made, np.random.default_rng(4))
    expected = np.fft.fft(inputs["X"])
    found = run(made, inputs).values["Z3"]
    assert np.allclose(found, [[expected[v + 3 * z] for z in range(4)] for v in range(3)], rtol=1e-9, atol=1e-12)


SSD = """CS[c,0,h] = 0 ; S[0,h,p,n] = 0
CS[c,q+1,h]  = CS[c,q,h] + AL[c*Q+q,h]
G[c,q,u]     = C[c*Q+q,n] * B[c*Q+u,n]                    where u <= q
MX[c,h,q,u]  = G[c,q,u] * exp(CS[c,q+1,h] - CS[c,u+1,h])  where u <= q
YD[c,q,h,p]  = MX[c,h,q,u] * X[c*Q+u,h,p]                 where u <= q
BD[c,u,h,n]  = exp(CS[c,Q,h] - CS[c,u+1,h]) * B[c*Q+u,n]
ST[c,h,p,n]  = BD[c,u,h,n] * X[c*Q+u,h,p]
S[c+1,h,p,n] = exp(CS[c,Q,h]) * S[c,h,p,n] + ST[c,h,p,n]
YO[c,q,h,p]  = C[c*Q+q,n] * S[c,h,p,n] * exp(CS[c,q+1,h])
Y[c,q,h,p]   = YD[c,q,h,p] + YO[c,q,h,p]"""


def test_chunked_duality_equals_the_recurrence_in_one_pass() -> None:
    made = cascade("ssd", SSD, {"t": 12, "u": 4, "h": 2, "p": 3, "n": 5}, split={"t": {"c": None, "q": 4}})
    i = random_inputs(made, np.random.default_rng(5))
    state, expected = np.zeros((2, 3, 5)), []
    for t in range(12):
        state = np.exp(i["AL"][t])[:, None, None] * state + i["X"][t][:, :, None] * i["B"][t]
        expected.append(state @ i["C"][t])
    done = run(made, i)
    assert np.allclose(done.values["Y"].reshape(12, 2, 3), expected, rtol=1e-9, atol=1e-12)
    assert done.counts["G"].executed == 3 * 10 * 5
    assert passes(made, "t").count == 1


DELTANET = """S[0,v,k] = 0
KG[c,q,u]  = KK[c*Q+q,k] * KK[c*Q+u,k]                    where u < q
TL[c,q,u]  = BE[c*Q+q] * KG[c,q,u]                        where u < q
WL[c,q,k]  = TL[c,q,u] * W[c,u,k]                         where u < q
W[c,q,k] = BE[c*Q+q] * KK[c*Q+q,k] - WL[c,q,k]
UL[c,q,v]  = TL[c,q,u] * U[c,u,v]                         where u < q
U[c,q,v] = BE[c*Q+q] * VV[c*Q+q,v] - UL[c,q,v]
P[c,q,u]   = QQ[c*Q+q,k] * KK[c*Q+u,k]                    where u <= q
WS[c,q,v] = W[c,q,k] * S[c,v,k] ; DD[c,q,v] = U[c,q,v] - WS[c,q,v]
DS[c,v,k] = DD[c,q,v] * KK[c*Q+q,k] ; S[c+1,v,k] = S[c,v,k] + DS[c,v,k]
O1[c,q,v] = S[c,v,k] * QQ[c*Q+q,k]
O2[c,q,v]  = P[c,q,u] * DD[c,u,v]                         where u <= q
O[c,q,v] = O1[c,q,v] + O2[c,q,v]"""


def test_delta_rule_with_a_triangular_recurrence_equals_its_step_by_step_form() -> None:
    made = cascade("delta", DELTANET, {"t": 12, "u": 4, "v": 3, "k": 5}, split={"t": {"c": None, "q": 4}})
    i = random_inputs(made, np.random.default_rng(6))
    state, expected = np.zeros((3, 5)), []
    for t in range(12):
        key = i["KK"][t]
        state = state - i["BE"][t] * np.outer(state @ key, key) + i["BE"][t] * np.outer(i["VV"][t], key)
        expected.append(state @ i["QQ"][t])
    assert np.allclose(run(made, i).values["O"].reshape(12, 3), expected, rtol=1e-9, atol=1e-12)
    assert passes(made, "t").count == 1
    assert made.tensors["W"].iterative is None
    assert made.tensors["S"].iterative == 0


GLA = """BG[c,0,k] = 0 ; S[0,k,v] = 0 ; BG[c,q+1,k] = BG[c,q,k] + LA[c*Q+q,k]
QT[c,q,k] = QQ[c*Q+q,k] * exp(BG[c,q+1,k]) ; KT[c,u,k] = KK[c*Q+u,k] * exp(-BG[c,u+1,k])
KD[c,u,k] = KK[c*Q+u,k] * exp(BG[c,Q,k] - BG[c,u+1,k])
P[c,q,u]    = QT[c,q,k] * KT[c,u,k]                       where u <= q
OI[c,q,v]   = P[c,q,u] * VV[c*Q+u,v]                      where u <= q
KV[c,k,v] = KD[c,u,k] * VV[c*Q+u,v] ; S[c+1,k,v] = exp(BG[c,Q,k]) * S[c,k,v] + KV[c,k,v]
OO[c,q,v] = QT[c,q,k] * S[c,k,v] ; O[c,q,v] = OI[c,q,v] + OO[c,q,v]"""


def test_gated_linear_attention_in_chunks_equals_its_recurrence() -> None:
    made = cascade("gla", GLA, {"t": 12, "u": 4, "v": 3, "k": 5}, split={"t": {"c": None, "q": 4}})
    i = random_inputs(made, np.random.default_rng(7))
    state, expected = np.zeros((5, 3)), []
    for t in range(12):
        state = np.exp(i["LA"][t])[:, None] * state + np.outer(i["KK"][t], i["VV"][t])
        expected.append(i["QQ"][t] @ state)
    assert np.allclose(run(made, i).values["O"].reshape(12, 3), expected, rtol=1e-9, atol=1e-12)
    assert passes(made, "t").count == 1


def test_spiking_layer_keeps_its_state_through_other_statements() -> None:
    text = """CU[t,j] = SI[t,i] * W[i,j] ; VM[0,j] = 0 ; VP[t,j] = LEAK * VM[t,j] + CU[t,j]
SO[t,j] = step(VP[t,j] - TH) ; VM[t+1,j] = VP[t,j] - TH * SO[t,j]"""
    made = cascade(
        "lif", text, {"t": 9, "i": 4, "j": 3}, constants={"LEAK": 0.9, "TH": 0.5}, tensors={"SO": TensorDeclaration(output=True)}
    )
    rng = np.random.default_rng(8)
    i = {"SI": rng.integers(0, 2, (9, 4)), "W": rng.standard_normal((4, 3))}
    potential, spikes = np.zeros(3), []
    for t in range(9):
        potential = 0.9 * potential + i["SI"][t] @ i["W"]
        spikes.append((potential > 0.5).astype(float))
        potential = potential - 0.5 * spikes[-1]
    assert np.array_equal(run(made, i).values["SO"], spikes)


MAMBA = """SQ[t] = U[t,d] * U[t,d] ; NX[t,d] = U[t,d] / sqrt(SQ[t] / D + EPS) * GN[d]
X0[t,i] = NX[t,d] * WX[d,i] ; Z[t,i] = NX[t,d] * WZ[d,i] ; X1[t,i] = X0[t-W+1+w,i] * WC[i,w]
X[t,i] = silu(X1[t,i] + BC[i]) ; DT0[t,r] = X[t,i] * WDT[i,r] ; B[t,n] = X[t,i] * WB[i,n]
C[t,n] = X[t,i] * WN[i,n] ; DT1[t,i] = DT0[t,r] * WDP[r,i] ; DL[t,i] = softplus(DT1[t,i] + BDT[i])
AB[t,i,n] = exp(DL[t,i] * A[i,n]) ; BX[t,i,n] = DL[t,i] * B[t,n] * X[t,i] ; H[0,i,n] = 0
H[t+1,i,n] = AB[t,i,n] * H[t,i,n] + BX[t,i,n] ; Y0[t,i] = C[t,n] * H[t+1,i,n]
Y1[t,i] = Y0[t,i] + DP[i] * X[t,i] ; Y2[t,i] = Y1[t,i] * silu(Z[t,i]) ; O[t,d] = Y2[t,i] * WO[i,d]
OUT[t,d] = U[t,d] + O[t,d]"""


def test_state_space_block_has_a_causal_window_and_its_passes() -> None:
    shape = {"t": 7, "d": 4, "i": 6, "n": 3, "r": 2, "w": 4}
    made = cascade("block", MAMBA, shape, constants={"EPS": 1e-5}, tensors={"X0": TensorDeclaration(fill=0.0)})
    i = random_inputs(made, np.random.default_rng(9))
    normal = i["U"] / np.sqrt((i["U"] ** 2).mean(-1, keepdims=True) + 1e-5) * i["GN"]
    padded = np.vstack([np.zeros((3, 6)), normal @ i["WX"]])
    x1 = np.array([sum(padded[t + w] * i["WC"][:, w] for w in range(4)) for t in range(7)]) + i["BC"]
    x = x1 / (1 + np.exp(-x1))
    delta = np.log1p(np.exp(x @ i["WDT"] @ i["WDP"] + i["BDT"]))
    state, y = np.zeros((6, 3)), []
    for t in range(7):
        state = np.exp(delta[t][:, None] * i["A"]) * state + (delta[t] * x[t])[:, None] * (x[t] @ i["WB"])
        y.append(state @ (x[t] @ i["WN"]) + i["DP"] * x[t])
    gate = normal @ i["WZ"]
    out = i["U"] + (np.array(y) * gate / (1 + np.exp(-gate))) @ i["WO"]
    done = run(made, i)
    assert np.allclose(done.values["OUT"], out, rtol=1e-9, atol=1e-12)
    assert done.counts["X1"].executed == 7 * 6 * 4  # reads of the fill are operations
    assert passes(made, "t").count == 1
    over_d = passes(made, "d")
    assert (over_d.count, over_d.reread) == (3, ("U",))


def test_chunked_scan_over_time_is_one_pass() -> None:
    assert passes(cascade("scan", CHUNKED, {"t": 12}, split={"t": {"c": None, "q": 4}}), "t").count == 1
