"""Scans, state spaces and other recurrences: operation counts by their closed forms, passes, and that forms agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.workload.build import cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes
from tests.share import share
from tests.workload.catalogued import crossing, executed, shipped

FEW = settings(max_examples=share(200, 8, 3))
LANE = {"i": 1, "n": 1}


def kogge_stone(steps: int) -> tuple[int, int]:
    """Pairs that are combined, and the longest chain of them, by going through the network."""
    depth, combined, reach = [0] * steps, 0, 1
    while reach < steps:
        combined += steps - reach
        depth = [max(depth[t], depth[t - reach]) + 1 if t >= reach else depth[t] for t in range(steps)]
        reach *= 2
    return combined, max(depth)


def blelloch(steps: int) -> tuple[int, int]:
    """The same of both sweeps, without the step that makes the result inclusive."""
    depth, combined, reach = [0] * steps, 0, 1
    while reach < steps:
        for right in range(2 * reach - 1, steps, 2 * reach):
            depth[right] = max(depth[right], depth[right - reach]) + 1
            combined += 1
        reach *= 2
    while reach > 1:
        reach //= 2
        for right in range(2 * reach - 1, steps, 2 * reach):
            left = right - reach
            depth[left], depth[right] = depth[right], max(depth[left], depth[right]) + 1
            combined += 1
    return combined, max(depth)


def chunked(steps: int, size: int) -> tuple[int, int]:
    """The same of a scan in chunks that starts from first elements, not from what changes nothing, and computes no element twice."""
    many = steps // size
    inside, across = many * (size - 1), many - 1
    fixed = (many - 1) * (size - 1)  # the last of a chunk is the next carry
    return inside + across + fixed, (size - 1) + across + 1


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_parallel_scans_combine_as_many_pairs_in_as_many_steps_as_their_networks(levels: int) -> None:
    """T log2 T - (T-1) in log2 T; 2(T-1) in 2 log2 T, and T more combinations for an inclusive result."""
    steps = 2**levels
    assert kogge_stone(steps) == (steps * levels - (steps - 1), levels)
    made = shipped("scan-kogge-stone", {"t": steps, **LANE})
    done = executed(made)
    assert (done["PB.1"], done["PA.1"], made.extents["s"]) == (*[kogge_stone(steps)[0]] * 2, kogge_stone(steps)[1])
    assert blelloch(steps) == (2 * (steps - 1), 2 * levels)
    made = shipped("scan-blelloch", {"t": steps, **LANE})
    done = executed(made)
    assert (done["UB.1"] + done["VB.2"], done["UA.1"] + done["VA.2"], done["H"]) == (*[blelloch(steps)[0]] * 2, steps)
    assert made.extents["s"] + made.extents["z"] == blelloch(steps)[1]


@pytest.mark.parametrize(("steps", "size"), [(8, 2), (16, 4), (32, 4), (64, 16)])
def test_chunked_scan_combines_fewer_than_two_pairs_for_every_step(steps: int, size: int) -> None:
    """2T - T/Q - Q. The cascade starts every chunk, and the carry, from what changes nothing, and fixes up all of the T places."""
    many = steps // size
    assert chunked(steps, size)[0] == 2 * steps - many - size
    done = executed(shipped("scan-chunked", {"t": steps, "q": size, **LANE}))
    nothing = many + 1 + size + (many - 1)  # first of every chunk, first carry, first chunk, carries once more
    assert done["LH"] + done["SC"] + done["H"] - nothing == chunked(steps, size)[0]
    assert done["LG"] == steps


@pytest.mark.parametrize("steps", [1, 3, 7, 13])
def test_kogge_stone_goes_through_any_number_of_steps(steps: int) -> None:
    made = shipped("scan-kogge-stone", {"t": steps, **LANE})
    assert made.extents["s"] == max(1, int(np.ceil(np.log2(steps))))
    assert executed(made)["PB.1"] == kogge_stone(steps)[0]


@FEW
@given(levels=st.integers(1, 4), n=st.integers(1, 3), seed=st.integers(0, 99))
def test_all_scans_agree(levels: int, n: int, seed: int) -> None:
    shape = {"t": 2**levels, "i": 2, "n": n}
    made = shipped("scan-sequential", shape)
    inputs = random_inputs(made, np.random.default_rng(seed))
    expected = run(made, inputs).values["Y"]
    for form in ("kogge-stone", "blelloch", "chunked"):
        found = run(shipped(f"scan-{form}", {**shape, "q": 2} if form == "chunked" else shape), inputs).values["Y"]
        assert np.allclose(found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-12), form


@FEW
@given(t=st.integers(1, 9), n=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_state_space_is_the_same_as_recurrence_convolution_and_product_of_transforms(t: int, n: int, seed: int) -> None:
    shape = {"t": t, "i": 2, "n": n}
    recurrent, convolution = shipped("s4-recurrent", shape), shipped("s4-convolution", shape)
    inputs = random_inputs(recurrent, np.random.default_rng(seed))
    expected, direct = run(recurrent, inputs).values["Y"], run(convolution, inputs)
    assert np.allclose(direct.values["Y"], expected, rtol=1e-9, atol=1e-12)
    transformed = run(shipped("s4-dft", {"t": t, "i": 2}), {"U": inputs["U"], "KB": direct.values["KB"]}).values["Y"]
    assert np.allclose(transformed, expected, rtol=1e-9, atol=1e-12)
    assert direct.counts["Y"].executed == convolution.bounds.points["Y"] == 2 * t * (t + 1) // 2
    assert direct.counts["KB"].executed == 2 * t * n


@FEW
@given(half=st.integers(1, 3), x=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_long_convolution_by_monarch_transforms_is_a_convolution(half: int, x: int, seed: int) -> None:
    """The kernel's transform is numpy's, at place v + N1*z; the result is compared with the sum of products."""
    v, rng = 2 * half, np.random.default_rng(seed)
    length = half * x
    u, kernel = rng.standard_normal((2, length))
    spectrum = np.fft.fft(kernel, v * x).reshape(x, v).T
    made = shipped("monarch-convolution", {"b": 1, "i": 1, "v": v, "x": x})
    found = run(made, {"U": u.reshape(1, 1, -1), "KF": np.stack([spectrum.real, spectrum.imag], -1)[None]}).values["C"]
    assert np.allclose(found.reshape(-1), np.convolve(u, kernel)[:length], rtol=1e-9, atol=1e-9)


def test_products_of_monarch_forms() -> None:
    """p N^(1+1/p) complex products (four real ones each), p = 2, and N for the twiddle; 2 n^1.5 for a matrix, as many words."""
    n1, n2, n = 64, 64, 4096
    points = shipped("monarch-dft", {"b": 1}).bounds.points
    assert points["Z1"] + points["Z3"] == 4 * n * (n1 + n2) == 4 * 2 * n**1.5
    assert points["Z2"] == 4 * n
    made = shipped("monarch-matvec", {"t": 1})
    width = 1024
    assert made.bounds.points["Y1"] + made.bounds.points["Y2"] == 2 * width**1.5
    assert made.bounds.words["RB"] + made.bounds.words["LB"] == 2 * width**1.5
    points = shipped("monarch-convolution", {"b": 1, "i": 1}).bounds.points  # real in, real out: half of a first and of a last stage
    n1, n2, n = 128, 64, 8192
    assert sum(points[name] for name in ("Z1", "Z2", "Z3", "I1", "I2", "C")) == 2 * (n * n1 + 4 * n + 4 * n * n2)


@FEW
@given(c=st.integers(1, 4), q=st.integers(1, 4), h=st.integers(1, 2), p=st.integers(1, 3), n=st.integers(1, 3), seed=st.integers(0, 99))
def test_duality_in_chunks_is_its_quadratic_form_with_the_operations_of_its_closed_form(
    c: int, q: int, h: int, p: int, n: int, seed: int
) -> None:
    """Per step (Q+1)/2 (N + HP) inside a chunk, 2HPN for the states, HPN/Q for the carry."""
    t = c * q
    made, whole = (
        shipped("ssd-chunked", {"t": t, "q": q, "h": h, "p": p, "n": n}),
        shipped("ssd-quadratic", {"t": t, "h": h, "p": p, "n": n}),
    )
    inputs = random_inputs(made, np.random.default_rng(seed))
    done = run(made, inputs)
    assert np.allclose(done.values["Y"].reshape(t, h, p), run(whole, inputs).values["Y"], rtol=1e-9, atol=1e-12)
    counts = {name: points.executed for name, points in done.counts.items()}
    assert counts == made.bounds.points
    assert 2 * (counts["G"] + counts["YD"]) == t * (q + 1) * (n + h * p)
    assert counts["ST"] + counts["YS"] == 2 * t * h * p * n
    assert counts["S"] == c * h * p * n
    assert sum(made.bounds.words.values()) == t * (2 * h * p + h + 2 * n)


def test_worked_numbers_of_duality() -> None:
    """2.7B model, 2048 steps, chunks of 256: G 6.71e7, YD 2.68e9 on whole tiles, ST and YO 1.34e9, carry 5.24e6; state 655,360 words."""
    made = shipped("ssd-chunked")
    points, whole = made.bounds.points, 2 * 256 / 257
    assert [points["G"] * whole, points["YD"] * whole] == pytest.approx([6.71e7, 2.68e9], rel=2e-3)
    assert [points["ST"], points["YS"], points["S"]] == pytest.approx([1.34e9, 1.34e9, 5.24e6], rel=2e-3)
    assert np.prod(made.tensors["S"].shape[1:]) == 655_360


@FEW
@given(c=st.integers(1, 3), q=st.integers(1, 4), k=st.integers(1, 3), v=st.integers(1, 3))
def test_operations_of_linear_attention_in_chunks(c: int, q: int, k: int, v: int) -> None:
    """Per token and head. GLA: (Q+1)/2 (dk+dv) + 2 dk dv. Delta rule: products of keys and queries with keys Q dk, outputs (Q+1)/2 dv,
    triangles (Q-1)/2 (dk+dv), states 3 dk dv.
    """
    t, shape = c * q, {"h": 1, "t": c * q, "q": q, "k": k, "v": v}
    done = executed(shipped("gla-chunked", shape))
    assert 2 * (done["P"] + done["OI"]) == t * (q + 1) * (k + v)
    assert done["KV"] + done["OO"] == 2 * t * k * v
    done = executed(shipped("deltanet-chunked", shape))
    assert done["KG"] + done["P"] == t * q * k
    assert 2 * done["O2"] == t * (q + 1) * v
    assert 2 * (done["WL"] + done["UL"]) == t * (q - 1) * (k + v)
    assert done["WS"] + done["DS"] + done["O1"] == 3 * t * k * v


@FEW
@given(a=st.integers(1, 3), j=st.integers(1, 3), seed=st.integers(0, 99))
def test_micro_steps_are_the_delta_rule_on_a_longer_sequence(a: int, j: int, seed: int) -> None:
    """Whose queries are zero but after the last micro-step of a token. All but queries and outputs is done j times."""
    shape = {"h": 1, "k": 3, "v": 2}
    product, rule = (
        shipped("deltaproduct-chunked", {**shape, "t": 2 * a, "a": a, "j": j}),
        shipped("deltanet-chunked", {**shape, "t": 2 * a * j, "q": a * j}),
    )
    inputs = random_inputs(product, np.random.default_rng(seed))
    queries = np.zeros((1, 2 * a * j, 3))
    queries[:, j - 1 :: j] = inputs["QQ"]
    longer = run(rule, {**inputs, "QQ": queries})
    found = run(product, inputs)
    assert np.allclose(found.values["O"].reshape(2 * a, 2), longer.values["O"].reshape(-1, 2)[j - 1 :: j], rtol=1e-9, atol=1e-12)
    assert {name: found.counts[name] for name in ("KG", "WL", "UL", "WS", "DS")} == {
        name: longer.counts[name] for name in ("KG", "WL", "UL", "WS", "DS")
    }
    assert found.counts["O1"].executed * j == longer.counts["O1"].executed


def test_worked_numbers_of_a_selective_scan() -> None:
    """Mamba-2.8B at 2048 steps: 31,609,856 words, and 1,006,632,960 more where factors, summands and states are written and read again."""
    made = shipped("scan-sequential")
    t, i, n = 2048, 5120, 16
    assert sum(made.bounds.words.values()) == 31_609_856 == t * (3 * i + 2 * n) + i * n + i
    assert 2 * sum(made.bounds.points[name] for name in ("AB", "BX", "H")) == 1_006_632_960
    assert np.prod(made.tensors["H"].shape[1:]) == 81_920
    assert made.bounds.operations["AB"] == {"mul": t * i * n, "exp": t * i * n}
    assert made.bounds.operations["BX"] == {"mul": 2 * t * i * n}
    assert made.bounds.operations["H"] == {"mac": t * i * n} == made.bounds.operations["Y0"]


def test_worked_shares_of_a_mamba_block() -> None:
    """Mamba-2.8B: of the products in_proj 63.3 %, out_proj 31.7 %, x_proj 2.4 %, dt_proj 2.0 %, scan 0.59 %."""
    points = shipped("mamba1-block").bounds.points
    parts = [("X0", "Z"), ("O",), ("DT0", "B", "C"), ("DT1",), ("BX", "H", "Y0"), ("X1",)]
    products = [sum(points[name] for name in part) for part in parts]
    assert [100 * part / sum(products) for part in products[:5]] == pytest.approx([63.3, 31.7, 2.4, 2.0, 0.59], abs=0.05)
    d, i, n, r, w = 2560, 5120, 16, 160, 4
    assert sum(products) == 2048 * (2 * d * i + i * w + i * (r + 2 * n) + r * i + 3 * i * n + i * d)


LINEAR = {"h": 1, "t": 8, "q": 2, "k": 3, "v": 2}
PASSES: list[tuple[str, dict[str, int], str, int, set[str], set[str]]] = [
    ("scan-sequential", {"t": 8, "i": 2, "n": 2}, "t", 1, set(), set()),
    ("scan-chunked", {"t": 8, "i": 2, "n": 2, "q": 2}, "t", 1, set(), set()),
    ("ssd-chunked", {"t": 8, "q": 2, "h": 1, "p": 2, "n": 2}, "t", 1, set(), set()),
    ("ssd-quadratic", {"t": 4, "h": 1, "p": 2, "n": 2}, "t", 1, set(), set()),
    ("gla-chunked", LINEAR, "t", 1, set(), set()),
    ("deltanet-chunked", LINEAR, "t", 1, set(), set()),
    ("deltaproduct-chunked", {"h": 1, "t": 8, "a": 2, "k": 3, "v": 2}, "t", 1, set(), set()),
    ("s4-recurrent", {"t": 8, "i": 1, "n": 2}, "t", 1, set(), set()),
    ("s4-dft", {"t": 8, "i": 1}, "t", 2, set(), set()),
    ("mamba1-block", {"t": 7, "d": 4, "n": 3}, "t", 1, set(), set()),
    ("mamba1-block", {"t": 7, "d": 4, "n": 3}, "d", 3, set(), {"U"}),
    ("mamba2-block", {"t": 8, "q": 4, "d": 4, "h": 2, "p": 2, "n": 2}, "t", 1, set(), set()),
    ("mamba2-block", {"t": 8, "q": 4, "d": 4, "h": 2, "p": 2, "n": 2}, "d", 3, set(), {"U"}),
]


@pytest.mark.parametrize(("name", "shape", "rank", "count", "crosses", "again"), PASSES, ids=[f"{case[0]}-{case[2]}" for case in PASSES])
def test_passes_of_recurrences(name: str, shape: dict[str, int], rank: str, count: int, crosses: set[str], again: set[str]) -> None:
    """Only a state goes from step to step or chunk to chunk; transforms wait for the whole sequence; a block's input comes back for its
    normalisation and its residual.
    """
    assert crossing(shipped(name, shape), rank) == (count, crosses, again)


def test_product_of_transforms_crosses_as_a_summary() -> None:
    found = passes(shipped("s4-dft", {"t": 4, "i": 1}), "t")
    assert [item.tensor for item in found.summaries] == ["YF"]


def test_what_reads_all_earlier_slices_is_not_iterative() -> None:
    made = shipped("deltanet-chunked", LINEAR)
    assert (made.tensors["W"].iterative, made.tensors["S"].iterative) == (None, 1)


def test_reads_of_a_fill_are_operations() -> None:
    assert executed(shipped("mamba1-block", {"t": 7, "d": 3, "n": 3}))["X1"] == 7 * 6 * 4


def test_complex_numbers_convolve() -> None:
    """`cis` by itself; a shipped cascade writes a complex number as two, which units of hardware compute."""
    text = """UF[k] = U2[t] * cis(-2*pi*k*t/N) ; KF[k] = K2[t] * cis(-2*pi*k*t/N) ; YF[k] = UF[k] * KF[k]
Y[t] = YF[k] * cis(2*pi*k*t/N) / N"""
    made = cascade("dft", text, {"t": 8, "k": 8}, constants={"N": 8, "pi": np.pi})
    u, k = np.zeros(8), np.zeros(8)
    u[:4], k[:4] = np.random.default_rng(3).standard_normal((2, 4))
    assert np.allclose(run(made, {"U2": u, "K2": k}).values["Y"][:7], np.convolve(u[:4], k[:4]), rtol=1e-9, atol=1e-12)
