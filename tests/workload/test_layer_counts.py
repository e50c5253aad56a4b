"""Operations, compulsory words and least operations of shipped layers against closed forms worked out by hand.

Points are what the interpreter counts when it runs; words are of `bounds`, which runs nothing. Forms: one multiply-add for every output
and every filter element that it sees, inputs read once with their margin, outputs written once.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.io.catalogue import WORKLOAD, resolve
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs, run
from tests.workload.convolutions import convolution

SIZE = st.integers(1, 5)


def layer(name: str, **shape: int) -> Cascade:
    found = load_workload(resolve(name, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(found, Cascade)
    return found


def points(made: Cascade, seed: int = 3) -> dict[str, int]:
    """What a run executes, by Einsum."""
    done = run(made, random_inputs(made, np.random.default_rng(seed)))
    return {name: counted.executed for name, counted in done.counts.items()}


@settings(max_examples=20, deadline=None)
@given(b=SIZE, k=SIZE, c=SIZE, p=SIZE, q=SIZE, r=st.integers(2, 4), s=st.integers(2, 4))
def test_a_strided_convolution_counts_b_k_c_p_q_r_s_and_reads_each_pixel_that_a_window_covers(**z: int) -> None:
    made = layer("conv2d-strided", **z)
    macs = math.prod(z.values())
    assert points(made) == {"O": macs} and made.bounds.operations == {"O": {"mac": macs}}

    def covered(outputs: int, filter_size: int) -> int:
        return len({2 * at + tap - 1 for at in range(outputs) for tap in range(filter_size)} & set(range(2 * outputs)))

    image = z["b"] * z["c"] * covered(z["p"], z["r"]) * covered(z["q"], z["s"])
    filters, outputs = z["k"] * z["c"] * z["r"] * z["s"], z["b"] * z["k"] * z["p"] * z["q"]
    assert made.bounds.words == {"I": image, "F": filters, "O": outputs}


@settings(max_examples=15, deadline=None)
@given(b=SIZE, c=SIZE, p=SIZE, q=SIZE, r=SIZE, s=SIZE)
def test_a_depthwise_convolution_counts_no_product_of_channels(**z: int) -> None:
    made = layer("conv2d-depthwise", **z)
    macs = math.prod(z.values())
    assert points(made) == {"O": macs} and made.bounds.operations == {"O": {"mac": macs}}
    image = z["b"] * z["c"] * (z["p"] + z["r"] - 1) * (z["q"] + z["s"] - 1)
    assert made.bounds.words == {"I": image, "F": z["c"] * z["r"] * z["s"], "O": z["b"] * z["c"] * z["p"] * z["q"]}


@settings(max_examples=15, deadline=None)
@given(b=SIZE, c=SIZE, k=SIZE, p=SIZE, q=SIZE)
def test_a_pointwise_convolution_is_a_matrix_product(**z: int) -> None:
    made = layer("conv2d-pointwise", **z)
    rows = z["b"] * z["p"] * z["q"]
    assert points(made) == {"O": rows * z["k"] * z["c"]}
    assert made.bounds.words == {"I": rows * z["c"], "F": z["k"] * z["c"], "O": rows * z["k"]}


def test_a_separable_block_takes_1_over_k_and_1_over_9_of_a_full_convolution() -> None:
    """MobileNets, equation 5: 1/N + 1/D_K^2 of the operations, for N output channels and filters of D_K x D_K."""
    k, c, p = 128, 64, 14
    made = layer("separable-block", b=1, k=k, c=c, p=p, q=p)
    full = k * c * p * p * 9
    found = made.bounds.operations
    assert Fraction(found["D"]["mac"] + found["O"]["mac"], full) == Fraction(1, k) + Fraction(1, 9)


def test_an_inverted_residual_counts_the_formula_of_its_paper() -> None:
    """MobileNetV2, section 3.3: h w d' t (d' + k^2 + d'') for a block of stride 1."""
    h, w, d, t, k = 14, 12, 8, 6, 3
    made = layer("inverted-residual", b=1, c=d, k=d, e=t * d, p=h, q=w, r=k, s=k)
    macs = sum(made.bounds.operations[each]["mac"] for each in "XDO")
    extra = made.bounds.points["L"] + made.bounds.points["M"] + made.bounds.points["Y"]  # factors and offsets, a mac each
    scales = sum(made.bounds.operations[each]["mac"] for each in "LMY")
    assert macs == h * w * d * t * (d + k**2 + d)
    assert scales == extra == h * w * (2 * t * d + d)


def test_a_partial_convolution_of_a_quarter_takes_a_sixteenth() -> None:
    """FasterNet, section 3.2: with c_p = c/4 the convolution has 1/16 of the operations of a full one; the product after it is full."""
    b, c, k, p = 1, 16, 32, 6
    made = layer("conv2d-partial", b=b, c=c, k=k, a=c // 4, u=c // 4, p=p, q=p)
    counted = points(made)
    assert 16 * counted["T"] == b * c * c * p * p * 9
    assert counted["L"] + counted["H"] == b * k * c * p * p
    assert made.bounds.words["I"] == b * (c - c // 4) * p * p  # a bound: what the access that touches most touches


@pytest.mark.parametrize(("w", "n"), [(12, 3), (12, 12), (9, 1)])
def test_a_streaming_convolution_computes_n_of_w_columns_and_gives_what_computing_all_gives(w: int, n: int) -> None:
    rng, k, c, p, r = np.random.default_rng(w + n), 3, 2, 4, 3
    made = layer("conv2d-streaming", k=k, c=c, p=p, w=w, n=n, r=r, s=r)
    stream, filters = rng.standard_normal((c, p + r - 1, w + n + r - 1)), rng.standard_normal((k, c, r, r))
    before, anew = (convolution(image[None], filters)[0] for image in (stream[..., :-n], stream[..., n:]))
    done = run(made, {"I": stream[..., n:], "F": filters, "OLD": before})
    assert np.allclose(done.values["O"], anew, rtol=0, atol=1e-12)
    whole = k * c * p * w * r * r
    assert Fraction(done.counts["new"].executed, whole) == Fraction(n, w)


def bits_read(made: Cascade, name: str) -> Fraction:
    return made.bounds.words[name] * made.tensors[name].final.bits


def test_quantised_weights_are_read_at_the_width_of_their_type() -> None:
    """4.25 bits a value of MXFP4, 8.25 of MXFP8 (blocks of 32 share 8 bits); 4 bits and a scale and an offset for every 128 weights."""
    m, n, k = 64, 32, 128
    for name, width in (("matmul-mxfp4", Fraction(17, 4)), ("matmul-mxfp8", Fraction(33, 4)), ("matmul-int8", 8), ("matmul-int4", 4)):
        made = layer(name, m=m, n=n, k=k)
        assert bits_read(made, "B") == n * k * width, name
        assert next(iter(made.bounds.operations.values())) == {"mac": m * n * k}
    written = layer("matmul-scaled", m=m, n=n, g=k // 32, i=32)
    assert bits_read(written, "B") + bits_read(written, "SB") == n * k * Fraction(33, 4)
    assert written.bounds.operations == {"D": {"mac": m * n * k}, "Z": {"mul": m * n * k // 32, "mac": m * n * k // 32}}
    made = layer("matmul-w4a16", m=m, n=n, g=k // 16, i=16)
    assert sum(bits_read(made, each) for each in ("W", "O", "SC")) == n * k * 4 + n * k // 16 * (4 + 16)
    assert made.bounds.operations == {"B": {"sub": n * k, "mul": n * k}, "Z": {"mac": m * n * k}}


def test_two_scales_are_worth_as_much_as_scaled_elements() -> None:
    """The scaled product equals that of elements multiplied by their scales first: the same matrix, other operations."""
    made, rng = layer("matmul-scaled", m=5, n=6, g=3, i=4), np.random.default_rng(4)
    inputs = random_inputs(made, rng, np.int64) | {"SA": 2.0 ** rng.integers(-3, 4, (5, 3)), "SB": 2.0 ** rng.integers(-3, 4, (6, 3))}
    plain = layer("matmul-mxfp8", m=5, n=6, k=12)
    whole: dict[str, Any] = {each: (inputs[each] * inputs[f"S{each}"][..., None]).reshape(-1, 12) for each in "AB"}
    assert np.array_equal(run(made, inputs).values["Z"], run(plain, whole).values["Z"])


def test_a_gate_leaves_d_f_and_two_d_for_each_column_that_it_keeps() -> None:
    d, f, o = 6, 40, 6
    made = layer("ffn-cats", d=d, f=f, o=o)
    inputs = random_inputs(made, np.random.default_rng(8))
    done = run(made, inputs)
    kept = int((done.values["KP"] > 0).sum())
    assert 0 < kept < f
    counted = {name: each.executed for name, each in done.counts.items()}
    assert counted["G"] + counted["UP"] + counted["Y"] == d * f + 2 * d * kept
    assert counted["GU"] == kept
    found = layer("ffn-gathered", d=d, f=f, j=kept, o=o)
    places = np.flatnonzero(done.values["KP"])
    same = run(found, {**{each: inputs[each] for each in ("X", "WG", "WU", "WD")}, "P": places})
    assert np.allclose(same.values["Y"], done.values["Y"], rtol=0, atol=1e-12)
    assert sum(found.bounds.operations[each]["mac"] for each in ("G", "UP", "Y")) == d * f + 2 * d * kept


def test_experts_with_a_mask_count_the_pairs_that_it_opens_and_bounds_the_declared_share() -> None:
    t, x, d, f, o = 9, 8, 5, 7, 5
    made = layer("moe-ffn", t=t, x=x, d=d, f=f, o=o)
    inputs = random_inputs(made, np.random.default_rng(1))
    pairs = int((inputs["G"] > 0).sum())
    done = run(made, inputs)
    counted = {name: each.executed for name, each in done.counts.items()}
    assert counted == {"HE": pairs * d * f, "AE": pairs * f, "ZE": pairs * f * o, "Y": pairs * o}
    assert made.bounds.points["HE"] == t * x * d * f // 4


def test_leaky_neurons_multiply_only_where_they_leak() -> None:
    """Inputs by neurons accumulations, chosen and added, no product with a weight; a step of a neuron takes a fixed handful."""
    t, i, j = 6, 11, 4
    made = layer("snn-lif", t=t, i=i, j=j)
    assert points(made) == {"CU": t * i * j, "VP": t * j, "SO": t * j, "VM": t * j}
    assert made.bounds.operations["CU"] == {"take": t * i * j, "add": t * i * j}
    assert sum(each for each in made.bounds.operations["VP"].values()) == t * j


@pytest.mark.parametrize(("kept", "of"), [(2, 8)])
def test_a_structured_training_step_takes_two_n_over_m_plus_one_thirds(kept: int, of: int) -> None:
    """Forwards and backwards N/M of the products, the gradient of the weights all of them: (2 N/M + 1)/3 of a dense step, 0.5 for 2:8."""
    p, o, c = 10, 16, 24
    made = layer("training-structured", p=p, o=o, c=c, g=c // of, h=o // of, j=kept)
    dense = p * o * c
    macs = {name: each["mac"] for name, each in made.bounds.operations.items()}
    assert macs == {"Y": dense * kept // of, "DX": dense * kept // of, "DW": dense}
    assert Fraction(sum(macs.values()), 3 * dense) == (2 * Fraction(kept, of) + 1) / 3
