"""Forms of attention, softmax and normalisation: operation counts by their closed forms, passes, masks, and that forms agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.workload.build import cascade
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.passes import passes
from tests.share import share
from tests.workload.attention_cases import HEADS, LATENT, rows
from tests.workload.catalogued import crossing, executed, shipped

FEW = settings(max_examples=share(200, 8, 3))
SPLIT = {**HEADS, "m0": 4}

# cascade, sizes, rank, passes, what crosses, what is read again. FuseMax (arXiv 2406.10491), its taxonomy, and the same algorithm by hand.
PASSES = [
    ("attention-naive", HEADS, "m", 2, {"SN"}, set()),
    ("attention-naive-deferred", HEADS, "m", 1, set(), set()),
    ("attention-3pass", HEADS, "m", 3, {"QK", "SN"}, set()),
    ("attention-3pass-deferred", HEADS, "m", 2, {"QK"}, set()),
    ("attention-2pass-local", SPLIT, "m", 2, {"SLN"}, set()),
    ("attention-2pass", SPLIT, "m", 2, {"QK"}, set()),
    ("attention", SPLIT, "m", 1, set(), set()),
    ("attention-causal", SPLIT, "m", 1, set(), set()),
    ("attention-window", SPLIT, "m", 1, set(), set()),
    ("softmax", {"b": 2, "k": 5}, "k", 3, {"SN"}, {"X"}),
    ("softmax-two-pass", {"b": 2, "k": 5}, "k", 2, {"N", "MT"}, set()),
    ("softmax-online", {"b": 2, "k": 5}, "k", 2, set(), {"X"}),
    ("layernorm", {"b": 2, "d": 5}, "d", 3, {"C"}, {"X"}),
    ("layernorm-welford", {"b": 2, "d": 5}, "d", 2, set(), {"X"}),
    ("layernorm-sumsq", {"b": 2, "d": 5}, "d", 2, set(), {"X"}),
    ("layernorm-linear-deferred", {"b": 2, "d": 5, "o": 3}, "d", 1, set(), set()),
    ("rmsnorm", {"b": 2, "d": 5}, "d", 2, set(), {"X"}),
    ("rmsnorm-linear-deferred", {"b": 2, "d": 5, "o": 3}, "d", 1, set(), set()),
]


@pytest.mark.parametrize(("name", "shape", "rank", "count", "crosses", "again"), PASSES, ids=[case[0] for case in PASSES])
def test_passes_are_those_of_the_taxonomy(
    name: str, shape: dict[str, int], rank: str, count: int, crosses: set[str], again: set[str]
) -> None:
    assert crossing(shipped(name, shape), rank) == (count, crosses, again)


VARIANCES = [
    ("SM[b] = X[b,d] ; C[b,d] = X[b,d] - SM[b] / D ; VR[b] = C[b,d] * C[b,d]", 2, ("X",)),
    ("MU[b,0] = 0 ; M2[b,0] = 0 ; MU[b,d+1] = MU[b,d] + (X[b,d] - MU[b,d]) / (d+1) ; "
     "M2[b,d+1] = M2[b,d] + (X[b,d] - MU[b,d]) * (X[b,d] - MU[b,d+1])", 1, ()),
    ("SM[b] = X[b,d] ; SQ[b] = X[b,d] * X[b,d]", 1, ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "count", "reread"), VARIANCES)
def test_variance_needs_two_passes_only_in_its_naive_form(text: str, count: int, reread: tuple[str, ...]) -> None:
    found = passes(cascade("variance", text, {"b": 2, "d": 5}), "d")
    assert (found.count, found.reread) == (count, reread)


@FEW
@given(p=st.integers(1, 6), m=st.integers(1, 9), m0=st.integers(1, 4), e=st.integers(1, 3), f=st.integers(1, 3))
def test_points_of_one_pass_attention_are_the_products_of_its_ranks(p: int, m: int, m0: int, e: int, f: int) -> None:
    """Points per head; the last of M1 tiles may be partial."""
    made = shipped("attention", {"b": 1, "h": 1, "p": p, "m": m, "m0": m0, "e": e, "f": f})
    m1 = -(-m // min(m0, m)) if m0 < m else 1
    expected = {"QK": m * p * e, "SLNV": m * p * f, "SPNV": m1 * p * f, "RNV": m1 * p * f, "AV": p * f}
    expected |= dict.fromkeys(("LM", "SLN", "SLD"), m * p) | dict.fromkeys(("RM", "PRM", "SPD", "RD"), m1 * p)
    assert executed(made) == made.bounds.points == expected


@FEW
@given(p=st.integers(1, 6), more=st.integers(0, 5), w=st.integers(1, 12), m0=st.integers(1, 4))
def test_pairs_of_masked_attention_are_those_of_the_closed_forms(p: int, more: int, w: int, m0: int) -> None:
    """Causal M P - P(P-1)/2 for M >= P; a window the sum over queries of min(q+M-P+1, W)."""
    m = p + more
    shape = {"b": 1, "h": 2, "p": p, "m": m, "m0": min(m0, m), "e": 2, "f": 3}
    causal, window = shipped("attention-causal", shape), shipped("attention-window", shape, {"W": w})
    pairs = {"attention-causal": m * p - p * (p - 1) // 2, "attention-window": sum(min(q + more + 1, w) for q in range(p))}
    for made in (causal, window):
        done, many = executed(made), pairs[made.name]
        assert done == made.bounds.points
        assert (done["QK"], done["LM"], done["SLN"], done["SLD"], done["SLNV"]) == (4 * many, 2 * many, 2 * many, 2 * many, 6 * many)


@pytest.mark.parametrize(("name", "divisions"), [("attention-3pass", "A"), ("attention-3pass-deferred", "AV")])
def test_deferred_division_divides_once_for_every_output(name: str, divisions: str) -> None:
    made = shipped(name, HEADS)
    b, h, p, m, _, f = HEADS.values()
    assert made.bounds.operations[divisions] == {"div": b * h * p * (m if divisions == "A" else f)}
    done = executed(made)
    assert done["QK"] + done.get("SNV", done["AV"]) == b * h * p * m * (5 + f)
    assert done["GM"] == done["SN"] == done["SD"] == b * h * p * m


@pytest.mark.parametrize("window", [1, 2, 3, 12])
def test_window_that_hides_whole_tiles_gives_no_bad_number(window: int) -> None:
    made = shipped("attention-window", {**HEADS, "m0": 2}, {"W": window})
    inputs = random_inputs(made, np.random.default_rng(2))
    at, key = np.arange(7)[:, None] + 5, np.arange(12)[None, :]
    expected = rows(inputs["Q"][1, 2], inputs["K"][1, 2], inputs["V"][1, 2], (key <= at) & (key > at - window)).T
    assert np.allclose(run(made, inputs).values["AV"][1, 2], expected, rtol=1e-9, atol=1e-12)


FORMS = ("naive", "naive-deferred", "3pass", "3pass-deferred", "2pass-local", "2pass")


@FEW
@given(p=st.integers(1, 4), m=st.integers(1, 7), e=st.integers(1, 3), f=st.integers(1, 3), seed=st.integers(0, 99))
def test_all_forms_of_attention_agree(p: int, m: int, e: int, f: int, seed: int) -> None:
    shape = {"b": 1, "h": 2, "p": p, "m": m, "e": e, "f": f}
    made = shipped("attention", {**shape, "m0": min(m, 3)})
    inputs = random_inputs(made, np.random.default_rng(seed))
    expected = run(made, inputs).values["AV"]
    for form in FORMS:
        found = run(shipped(f"attention-{form}", {**shape, "m0": min(m, 3)} if form.startswith("2") else shape), inputs).values["AV"]
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12), form


def test_block_mask_decides_which_points_are_computed() -> None:
    made = shipped("attention-block-sparse", {"h": 1, "p": 6, "m": 8, "e": 4, "f": 5}, {"BP": 2, "BK": 4})
    assert made.tensors["BM"].shape == (1, 3, 2)
    inputs = random_inputs(made, np.random.default_rng(3)) | {"BM": np.array([[[1, 0], [0, 1], [1, 1]]])}
    done = run(made, inputs).counts
    assert (done["QK"].executed, done["SN"].executed, done["SN"].masked) == (4 * 32, 32, 48 - 32)


def test_bounds_of_a_mask_are_its_share() -> None:
    """A tenth of the blocks; see SeerAttention, 90 % sparse."""
    points = shipped("attention-block-sparse").bounds.points
    assert points["QK"] * 10 == pytest.approx(32 * 4096 * 4096 * 128, rel=1e-9)


def test_one_token_more_is_the_last_row_of_a_causal_prefill() -> None:
    shape = {"b": 2, "h": 3, "p": 9, "m": 9, "e": 4, "f": 5}
    prefill = shipped("attention-causal", {**shape, "m0": 4})
    decode = shipped("attention-decode", {"b": 2, "h": 3, "g": 3, "m": 9, "e": 4, "f": 5})
    i = random_inputs(prefill, np.random.default_rng(4))
    cut = {"KC": i["K"][:, :, :-1], "KN": i["K"][:, :, -1], "VC": i["V"][:, :, :-1], "VN": i["V"][:, :, -1], "Q": i["Q"][:, :, -1]}
    assert np.allclose(run(decode, cut).values["AV"], run(prefill, i).values["AV"][..., -1], rtol=1e-9, atol=1e-12)


def test_expanded_and_absorbed_latent_attention_agree() -> None:
    naive, absorbed = shipped("mla-naive", LATENT), shipped("mla-absorbed", LATENT)
    inputs = random_inputs(naive, np.random.default_rng(5))
    assert np.allclose(run(naive, inputs).values["Y"], run(absorbed, inputs).values["Y"], rtol=1e-9, atol=1e-12)


def test_products_of_latent_attention_are_those_of_its_widths() -> None:
    """Per head, key and query n+r+v and the expansion c(n+v) per head and key; absorbed 2c+r, and c(n+v) per head and query."""
    h, p, m, _, _, c, n, r, v = LATENT.values()
    done = executed(shipped("mla-naive", LATENT))
    assert done["SA"] + done["SB"] + done["ON"] == h * m * p * (n + r + v)
    assert done["KN"] + done["VV"] == h * m * c * (n + v)
    done = executed(shipped("mla-absorbed", LATENT))
    assert done["SA"] + done["SB"] + done["OC"] == h * m * p * (2 * c + r)
    assert done["QC"] + done["ON"] == h * p * c * (n + v)


def test_spiking_attention_of_either_order_is_equal_and_cheaper_where_the_sequence_is_long() -> None:
    shape = {"t": 2, "h": 2, "p": 7, "e": 3, "f": 3}
    left, right = shipped("attention-linear-left", shape), shipped("attention-linear-right", shape)
    inputs = random_inputs(left, np.random.default_rng(6), np.int64)
    assert np.array_equal(run(left, inputs, np.int64).values["O"], run(right, inputs, np.int64).values["O"])
    t, h, p, e, f = shape.values()
    assert sum(executed(left).values()) == t * h * p * p * (e + f)
    assert sum(executed(right).values()) == t * h * 2 * p * e * f


# Step-3 (arXiv 2507.19427): FLOP per cached element of a decode step, 2 H (qk + av) / words.
DECODE = [
    ("attention-decode", {"h": 32, "g": 32}, ("QK", "SNV"), 2, 2 * 32 * 256 / (2 * 32 * 128)),
    ("attention-decode", {"h": 64, "g": 8}, ("QK", "SNV"), 16, 2 * 64 * 256 / (2 * 8 * 128)),
    ("mla-decode", {}, ("SA", "SB", "OC"), 483.6, 2 * 128 * (2 * 512 + 64) / 576),
    ("mfa", {"p": 1, "m": 4096}, ("QK", "NV"), 128, 2 * 64 * 512 / 512),
]


@pytest.mark.parametrize(("name", "shape", "products", "published", "exact"), DECODE)
def test_published_intensity_of_decoding(
    name: str, shape: dict[str, int], products: tuple[str, ...], published: float, exact: float
) -> None:
    made = shipped(name, {**shape, "b": 1} if "decode" in name else shape)
    macs = sum(made.bounds.points[product] for product in products)
    cached = {"attention-decode": ("K", "V"), "mla-decode": ("C", "KR"), "mfa": ("K", "V")}[name]
    words = sum(np.prod(made.tensors[tensor].shape) for tensor in cached)
    assert 2 * macs / words == pytest.approx(exact, rel=1e-12) == pytest.approx(published, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["attention-naive", "attention-3pass", "attention-3pass-deferred", "attention-2pass", "attention-2pass-local"]
)
def test_compulsory_traffic_of_attention_does_not_hang_on_its_form(name: str) -> None:
    """B H (P(E+F) + M(E+F)) words: BERT at 1K, batch 64, 402 653 184 bytes and 512 products per word."""
    made = shipped(name, {"b": 64, "p": 1024, "m": 1024})
    assert made.bounds.compulsory_bytes == 402_653_184
    products = made.bounds.points["QK"] + made.bounds.points.get("SNV", made.bounds.points["AV"])
    assert products / (made.bounds.compulsory_bytes / 2) == 512


@FEW
@given(h=st.integers(1, 3), g=st.integers(1, 3), m=st.integers(1, 9), e=st.integers(1, 4), f=st.integers(1, 4))
def test_compulsory_traffic_of_grouped_heads_is_that_of_their_keys_and_values(h: int, g: int, m: int, e: int, f: int) -> None:
    made = shipped("attention-gqa", {"h": h * g, "g": g, "p": 3, "m": m, "e": e, "f": f})
    assert made.bounds.words == {"Q": h * g * 3 * e, "K": g * m * e, "V": g * m * f, "AV": h * g * 3 * f}


def test_products_of_whole_layers_are_those_of_their_matrices_and_scores() -> None:
    """Per token D(H+G)E + D G F + H F D + 3 D S for Llama, and H(E+F) per visible pair; four and two products of BERT and GPT."""
    p, d, h, g, e, f, s = 5, 8, 4, 2, 6, 3, 10
    pairs = p * (p + 1) // 2
    done = executed(shipped("llama-layer", {"p": p, "d": d, "h": h, "g": g, "e": e, "f": f, "s": s}))
    weights = sum(done[name] for name in ("Q0", "K0", "V", "Y0", "F1", "F3", "Z0"))
    assert weights == p * (d * (h + g) * e + d * g * f + h * f * d + 3 * d * s)
    assert done["QK"] + done["NV"] == pairs * h * (e + f)
    for name, seen in (("bert-layer", p * p), ("gpt-layer", pairs)):
        done = executed(shipped(name, {"p": p, "d": d, "h": h, "e": e, "f": f, "s": s}))
        assert sum(done[part] for part in ("Q", "K", "V", "Y0", "F1", "Z0")) == p * (2 * d * h * e + 2 * d * h * f + 2 * d * s)
        assert done["QK"] + done["AV"] == seen * h * (e + f)


@FEW
@given(b=st.integers(1, 3), k=st.integers(1, 9))
def test_points_of_softmax_are_those_of_its_passes(b: int, k: int) -> None:
    """N each of maxima, exponentials, sums and quotients; the online form has two exponentials in its first pass and one in its second."""
    shape = {"b": b, "k": k}
    assert set(executed(shipped("softmax", shape)).values()) == {b * k}
    operations = shipped("softmax-online", shape).bounds.operations
    assert operations["RD"]["subexp"] == 2 * b * k and operations["Y"] == {"subexp": b * k, "div": b * k}
    operations = shipped("softmax-two-pass", shape).bounds.operations
    assert operations["MS"]["ldexp"] == 2 * b * k and sum(each.get("subexp", 0) for each in operations.values()) == b * k
