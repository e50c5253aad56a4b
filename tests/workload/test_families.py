"""Families of models at small shapes against numpy, and totals of the models that use them against published sizes and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.io.catalogue import WORKLOAD, shipped
from accelsim.io.serving import load_served
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.interpreter import model_inputs, run_model
from accelsim.workload.serving import Asked, Served

Arrays = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "workloads"
TOLERANCE = 1e-9
DECODER = {"b": 2, "p": 3, "m": 7, "d": 8, "v": 9}
HEADS = {"h": 2, "e": 3, "f": 4}
EXPERTS = {"n": 6, "k": 2, "j": 5}


def rooted(x: Any, scale: Any, eps: float = 1e-5) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def normalised(x: Any, scale: Any, shift: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + shift


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def gelu(x: Any) -> Any:
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def softmax(scores: Any, causal: bool = False) -> Any:
    """Over the last axis, keys, of scores by query and key; the last query sees all keys."""
    p, m = scores.shape[-2:]
    seen = np.arange(m)[None, :] <= np.arange(p)[:, None] + m - p
    powers = np.exp(np.where(seen, scores, -np.inf)) if causal else np.exp(scores)
    return powers / powers.sum(-1, keepdims=True)


def after_attention(i: Arrays, mixed: Any) -> Any:
    """`mixed`: [b,h,p,f]."""
    return i["X"] + np.einsum("bhpf,hfd->bpd", mixed, i["WO"])


def routed(i: Arrays, middle: Any) -> Arrays:
    """Experts over what was gathered for them, and their sum for every token; pairs go round the experts that are chosen."""
    n = rooted(middle, i["GF"])
    wide = silu(np.einsum("xtd,xdj->xtj", i["NE"], i["WGE"])) * np.einsum("xtd,xdj->xtj", i["NE"], i["WUE"])
    experts = np.einsum("xtj,xjd->xtd", wide, i["WDE"])
    shares = softmax(i["LK"])
    out = middle + np.einsum("bpk,bpkd->bpd", shares, i["FK"])
    if "WGS" in i:
        out = out + (silu(n @ i["WGS"]) * (n @ i["WUS"])) @ i["WDS"]
    return {"FE": experts, "LR": n @ i["WR"], "Z": out, "L": rooted(out[:, -1], i["GL"]) @ i["WT"]}


def grouped(i: Arrays) -> Arrays:
    inner = rooted(i["X"], i["GN"])
    scores = np.einsum("bpd,dgre,bgme->bgrpm", inner, i["WQ"], i["K"])
    middle = i["X"] + np.einsum("bgrpm,bgmf,grfd->bpd", softmax(scores, causal=True), i["V"], i["WO"])
    return {"KN": np.einsum("bpd,dge->bgpe", inner, i["WK"]), **routed(i, middle)}


def plain(i: Arrays) -> Arrays:
    inner = normalised(i["X"], i["GN"], i["BN"])
    scores = np.einsum("bpd,dhe,bhme->bhpm", inner, i["WQ"], i["K"])
    middle = after_attention(i, np.einsum("bhpm,bhmf->bhpf", softmax(scores, causal=True), i["V"]))
    out = middle + gelu(normalised(middle, i["GF"], i["BF"]) @ i["W1"]) @ i["W2"]
    keys = np.einsum("bpd,dhe->bhpe", inner, i["WK"])
    return {"KN": keys, "Z": out, "L": normalised(out[:, -1], i["GL"], i["BL"]) @ i["WE"].T}


def latent(i: Arrays) -> Arrays:
    """Keys and values expanded, whichever way the family computes it."""
    inner = rooted(i["X"], i["GN"], 1e-6)
    query = rooted(inner @ i["WDQ"], i["GQ"], 1e-6)
    keys, values = np.einsum("bmc,hci->bhmi", i["CKV"], i["WUK"]), np.einsum("bmc,hcf->bhmf", i["CKV"], i["WUV"])
    scores = np.einsum("bpa,ahi,bhmi->bhpm", query, i["WUQ"], keys) + np.einsum("bpa,ahz,bmz->bhpm", query, i["WQR"], i["KR"])
    mixed = np.einsum("bhpm,bhmf->bhpf", softmax(scores, causal=True), values)
    return {"CN": rooted(inner @ i["WDKV"], i["GC"], 1e-6), "KR0": inner @ i["WKR"], "AV": mixed.swapaxes(2, 3)}


def factored(i: Arrays) -> Arrays:
    inner = rooted(i["X"], i["GN"])
    query = np.einsum("bpa,ahe->bhpe", rooted(inner @ i["WDQ"], i["GQ"]), i["WUQ"])
    mixed = np.einsum("bhpm,bmf->bhpf", softmax(np.einsum("bhpe,bme->bhpm", query, i["K"]), causal=True), i["V"])
    return {"KN": inner @ i["WK"], "VN": inner @ i["WV"], "AV": mixed.swapaxes(2, 3)}


def dual(i: Arrays) -> Arrays:
    """The recurrence token by token."""
    inner = rooted(i["U"], i["GN"])
    out: Arrays = {}
    for name, weight, taps, bias in (("X", "WX", "WCX", "BCX"), ("B", "WB", "WCB", "BCB"), ("C", "WN", "WCC", "BCC")):
        whole = np.tensordot(inner, i[weight], 1)
        padded = np.concatenate([np.zeros_like(whole[:, : len(i[taps]) - 1]), whole], 1)
        out[name] = silu(sum(padded[:, w : w + whole.shape[1]] * i[taps][w] for w in range(len(i[taps]))) + i[bias])
    step = np.log1p(np.exp(inner @ i["WDT"] + i["BDT"]))
    state, found = np.zeros((*out["X"].shape[:1], *out["X"].shape[2:], i["WB"].shape[1])), []
    for t in range(step.shape[1]):
        drive = np.einsum("bh,bhl,bn->bhln", step[:, t], out["X"][:, t], out["B"][:, t])
        state = np.exp(step[:, t] * i["A"])[:, :, None, None] * state + drive
        found.append(np.einsum("bhln,bn->bhl", state, out["C"][:, t]))
    b, t, h, heads = np.array(found).swapaxes(0, 1).shape
    q = i["YT"].shape[1] // 2
    gated = (i["YT"] + i["DP"][:, None] * out["X"]) * silu(np.tensordot(inner, i["WZ"], 1))
    flat = gated.reshape(b, t, -1)
    mixed = rooted(flat, i["GG"].reshape(-1)) @ i["WO"].reshape(h * heads, -1)
    return {"Y0": np.array(found).swapaxes(0, 1).reshape(b, 2, q, h, heads), "OUT": i["U"] + mixed}


def dual_step(i: Arrays) -> Arrays:
    inner = rooted(i["U"], i["GN"])[:, 0]
    x = silu(np.einsum("bwhl,whl->bhl", i["XW"], i["WCX"]) + i["BCX"])
    b, c = (silu(np.einsum("bwn,wn->bn", i[kept], i[taps]) + i[bias]) for kept, taps, bias in (("BW", "WCB", "BCB"), ("CW", "WCC", "BCC")))
    step = np.log1p(np.exp(inner @ i["WDT"] + i["BDT"]))
    state = np.exp(step * i["A"])[:, :, None, None] * i["S"] + np.einsum("bh,bhl,bn->bhln", step, x, b)
    y = (np.einsum("bhln,bn->bhl", state, c) + i["DP"][:, None] * x) * silu(np.tensordot(inner, i["WZ"], 1))
    mixed = rooted(y.reshape(len(y), -1), i["GG"].reshape(-1)) @ i["WO"].reshape(-1, i["WO"].shape[-1])
    return {"H": state, "OUT": i["U"] + mixed[:, None]}


def encoder_decoder(i: Arrays) -> Arrays:
    def attend(q: Any, k: Any, v: Any, bias: Any = 0, causal: bool = False) -> Any:
        return np.einsum("bhpm,bhmf->bhpf", softmax(np.einsum("bhpe,bhme->bhpm", q, k) + bias, causal), v)

    def head(x: Any, weight: str) -> Any:
        return np.einsum("bpd,dhe->bhpe", x, i[weight])

    def merge(x: Any, weight: str) -> Any:
        return np.einsum("bhpf,hfd->bpd", x, i[weight])

    x = rooted(i["X"], i["GN"], 1e-6)
    r = i["X"] + merge(attend(head(x, "WQ"), head(x, "WK"), head(x, "WV"), i["PB"].swapaxes(1, 2)), "WO")
    e = r + np.maximum(rooted(r, i["GF"], 1e-6) @ i["W1"], 0) @ i["W2"]
    en = rooted(e, i["GE"], 1e-6)
    u = rooted(i["U"], i["GU"], 1e-6)
    rs = i["U"] + merge(attend(head(u, "WQS"), head(u, "WKS"), head(u, "WVS"), i["PS"].swapaxes(1, 2), True), "WOS")
    rc = rs + merge(attend(head(rooted(rs, i["GC"], 1e-6), "WQC"), head(en, "WKC"), head(en, "WVC")), "WOC")
    zd = rc + np.maximum(rooted(rc, i["GD"], 1e-6) @ i["W3"], 0) @ i["W4"]
    return {"EN": en, "ZD": zd, "L": rooted(zd, i["GL"], 1e-6) @ i["WE"].T}


def relative(i: Arrays) -> Arrays:
    """Every query and key with the row of their distance."""
    q, k = np.einsum("bpd,dhe->bhpe", i["X"], i["WQ"]), np.einsum("bmd,dhe->bhme", i["XM"], i["WK"])
    distances = np.einsum("od,dhe->ohe", i["RP"], i["WR"])
    scores = np.einsum("bhpe,bhme->bhpm", q + i["UQ"][:, None], k)
    p, m = scores.shape[-2:]
    for at in range(p):
        for key in range(at + m - p + 1):
            scores[:, :, at, key] += np.einsum("bhe,he->bh", q[:, :, at] + i["VQ"], distances[at + m - p - key])
    values = np.einsum("bmd,dhf->bhmf", i["XM"], i["WV"])
    n = normalised(after_attention(i, np.einsum("bhpm,bhmf->bhpf", softmax(scores, causal=True), values)), i["GA"], i["BA"])
    return {"Z": normalised(n + np.maximum(n @ i["W1"], 0) @ i["W2"], i["GF"], i["BF"])}


LATENT = {**DECODER, "h": 2, "a": 5, "c": 4, "i": 3, "z": 2, "f": 3, "s": 6, **EXPERTS, "u": 4}
FAMILIES: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "grouped-expert-decoder": ({**DECODER, "g": 2, "r": 2, "e": 3, "f": 4, **EXPERTS}, grouped),
    "pre-norm-decoder": ({**DECODER, **HEADS, "s": 10}, plain),
    "latent-expert-decoder": (LATENT, latent),
    "latent-expert-decoder-step": (LATENT, latent),
    "factored-expert-decoder": ({**DECODER, **HEADS, "a": 5, "s": 6, **EXPERTS, "u": 4}, factored),
    "dual-scan": ({"b": 2, "t": 8, "d": 6, "h": 2, "l": 3, "n": 4, "v": 7, "q": 4, "u": 4}, dual),
    "dual-scan-step": ({"b": 3, "d": 6, "h": 2, "l": 3, "n": 4, "v": 7}, dual_step),
    "relu-encoder-decoder": ({"b": 2, "p": 6, "m": 6, "y": 4, "z": 4, "d": 8, **HEADS, "s": 10, "v": 9}, encoder_decoder),
    "relative-decoder": ({"b": 2, "p": 3, "m": 7, "o": 7, "d": 8, **HEADS, "s": 10}, relative),
}
ELSEWHERE = {"gated-decoder", "post-norm-encoder", "selective-scan", "selective-scan-step", "routed-feed-forward"}
"""Families whose layers another case of this file or test_shipped_workloads.py computes."""


def family(name: str, shape: dict[str, int]) -> Model:
    found = load_workload(FOLDER / "families" / f"{name}.yaml", {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(found, Model)
    return found


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_layers_of_a_family_equal_a_direct_computation(name: str) -> None:
    """Each layer once, from the inputs that no layer before it makes."""
    shape, reference = FAMILIES[name]
    model = family(name, shape)
    inputs = model_inputs(model, np.random.default_rng(5))
    values: Arrays = {}
    for done in run_model(model, inputs).values():
        values |= {tensor: value for tensor, value in done.values.items() if tensor not in inputs}
    for tensor, expected in reference(inputs).items():
        found = values[tensor]
        if tensor == "FE":  # the pairs that are left over exist on no expert
            there = np.add.outer(np.arange(found.shape[0]), np.arange(found.shape[1]) * found.shape[0]) < 2 * 3 * 2
            found, expected = found[there], expected[there]
        assert found.shape == expected.shape, tensor
        assert np.max(np.abs(found - expected)) <= TOLERANCE * max(1.0, float(np.max(np.abs(expected)))), tensor


def test_every_family_has_a_case() -> None:
    assert {path.stem for path in (FOLDER / "families").glob("*.yaml")} == set(FAMILIES) | ELSEWHERE


@pytest.mark.parametrize("path", sorted((FOLDER / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_says_what_it_is_and_where_its_sizes_come_from(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"workload: {path.stem}\nabout: ") and "\nsource: " in text and "\nuse: " in text


def served(name: str, asked: Asked | None = None) -> Served:
    return load_served(shipped(WORKLOAD)[name if name in shipped(WORKLOAD) else f"models/{name}"], {}, asked or Asked())


def attention_free(d: int, i: int, v: int, blocks: int, inside: int) -> int:
    """Embeddings, a norm after the last block, and per block a norm, a projection in and out, and what is `inside`."""
    return v * d + d + blocks * (d + i * d + inside)


def mamba(d: int, blocks: int) -> int:
    i, r = 2 * d, d // 16
    return attention_free(d, i, 50280, blocks, 2 * i * d + i * 4 + i + i * (r + 32) + r * i + i + 16 * i + i)


def mamba2(d: int, blocks: int) -> int:
    i, h = 2 * d, 2 * d // 64
    return attention_free(d, i, 50288, blocks, d * (2 * i + 256 + h) + 5 * (i + 256) + 3 * h + i)


def gpt3(d: int, blocks: int) -> int:
    return (50257 + 2048) * d + 2 * d + blocks * (12 * d * d + 13 * d)


def gated(d: int, blocks: int, queries: int, keys: int, s: int) -> int:
    return 2 * 128256 * d + d + blocks * (2 * d + 2 * d * (queries + keys) * 128 + 3 * d * s)


def t5(d: int, blocks: int) -> int:
    h = d // 64
    return 32128 * d + 2 * d + 2 * 32 * h + blocks * (12 * d * d + 5 * d + 2 * 2 * d * 4 * d)


def deepseek() -> int:
    d, h = 7168, 128
    heads = d * 1536 + 1536 + 1536 * h * (128 + 64) + d * (512 + 64) + 512 + 512 * h * (128 + 128) + h * 128 * d
    experts = 257 * 3 * d * 2048 + 256 * d
    return 2 * 129280 * d + d + 61 * (heads + 2 * d) + 58 * experts + 3 * 3 * d * 18432


def step3() -> int:
    d = 7168
    heads = d * 2048 + 2048 + 2048 * 64 * 256 + 2 * d * 256 + 64 * 256 * d
    return 2 * 128815 * d + d + 61 * (heads + 2 * d) + 56 * (49 * 3 * d * 5120 + 48 * d) + 5 * 3 * d * 18432


def qwen3() -> int:
    d = 4096
    return 2 * 151936 * d + d + 94 * (2 * d * 64 * 128 + 2 * d * 4 * 128 + 256 + 2 * d + 128 * 3 * d * 1536 + 128 * d)


def bert() -> int:
    d, s = 768, 3072
    return (30522 + 512 + 2) * d + 2 * d + 12 * (4 * d * d + 2 * d * s + 9 * d + s) + d * d + d


# Published totals: as the paper or the public configuration prints them; GPT-3: appendix D of arXiv 2005.14165, in millions.
TOTALS: dict[str, tuple[float, int]] = {
    "bert-base": (109.5e6, bert()),
    "gpt3-6.7b": (6660e6, gpt3(4096, 32)),
    "gpt3-175b": (174600e6, gpt3(12288, 96)),
    "llama3-8b": (8.03e9, gated(4096, 32, 32, 8, 14336)),
    "llama3-70b": (70.6e9, gated(8192, 80, 64, 8, 28672)),
    "qwen3-235b-a22b": (235e9, qwen3()),
    "deepseek-v3": (671e9, deepseek()),
    "step-3": (316e9, step3()),
    "mamba-130m": (129135360, mamba(768, 24)),
    "mamba-370m": (371.5e6, mamba(1024, 48)),
    "mamba-790m": (793.2e6, mamba(1536, 48)),
    "mamba-1.4b": (1372.2e6, mamba(2048, 48)),
    "mamba-2.8b": (2768.3e6, mamba(2560, 64)),
    "mamba2-130m": (128989632, mamba2(768, 24)),
    "mamba2-370m": (368.3e6, mamba2(1024, 48)),
    "mamba2-780m": (780.2e6, mamba2(1536, 48)),
    "mamba2-1.3b": (1343.9e6, mamba2(2048, 48)),
    "mamba2-2.7b": (2702.6e6, mamba2(2560, 64)),
    "t5-small": (60506624, t5(512, 6)),
    "t5-base": (222903552, t5(768, 12)),
    "t5-large": (737668096, t5(1024, 24)),
}


@pytest.mark.parametrize("name", sorted(TOTALS))
def test_parameters_of_a_model_are_those_of_its_sizes_and_within_two_thousandths_of_the_published_total(name: str) -> None:
    published, closed = TOTALS[name]
    found = served(name, Asked(context=512)).kept.parameters
    assert found == closed
    assert abs(found - published) <= 0.002 * published


@pytest.mark.parametrize(
    ("name", "cache", "state"),
    [
        ("llama3-8b", 32 * 2 * 8 * 128, 0),
        ("qwen3-235b-a22b", 94 * 2 * 4 * 128, 0),
        ("deepseek-v3", 61 * (512 + 64), 0),
        ("step-3", 61 * 2 * 256, 0),
        ("mamba-2.8b", 0, 64 * (81920 + 4 * 5120)),  # the scan's state, and the last four inputs of the convolution
        ("mamba2-2.7b", 0, 64 * (655360 + 4 * 5376)),
        ("bert-base", 0, 0),
    ],
)
def test_what_is_kept_for_a_token_and_for_a_sequence(name: str, cache: int, state: int) -> None:
    kept = served(name, Asked("both", 7, 512)).kept
    assert (sum(each.words for each in kept.cache), sum(each.words for each in kept.state)) == (cache, state)


@pytest.mark.parametrize(
    ("name", "kv", "flop", "ratio"),
    [("step-3", 1.02e9, 1.31e11, 128), ("deepseek-v3", 1.15e9, 5.89e11, 512), ("qwen3-235b-a22b", 3.15e9, 1.01e11, 32)],
)
def test_decode_attention_at_32_k_is_that_of_the_step_3_paper(name: str, kv: float, flop: float, ratio: int) -> None:
    """arXiv 2507.19427, bytes of 8-bit caches, operations of both products, and their ratio, to the digits printed.

    The paper takes latents and rotary keys, 576 words, into both products of MLA; the second one reads the 512 latents alone.
    """
    found = served(name, Asked("decode", 1, 32768))
    words = 32768 * sum(each.words for each in found.kept.cache)
    (layer,) = (layer for layer in found.model.layers if layer.cascade.name == "decode-attention")
    macs = layer.times * sum(counts.get("mac", 0) for counts in layer.cascade.bounds.operations.values())
    if name == "deepseek-v3":
        assert macs == 61 * 128 * 32768 * (576 + 512)
        macs += 61 * 128 * 32768 * (576 - 512)
    assert abs(words - kv) <= 0.005e9 and abs(2 * macs - flop) <= 0.005 * 10 ** len(str(int(flop)))
    assert 2 * macs / words == ratio


@pytest.mark.parametrize(("batch", "experts"), [(1, 8), (32, 112), (1024, 128)])
def test_a_step_reads_the_experts_that_its_tokens_choose(batch: int, experts: int) -> None:
    """128 (1 - (15/16)^tokens) of them: 8, 111.8 and 128; pairs of a token and an expert are as many as the tokens choose."""
    found = served("qwen3-235b-a22b", Asked("decode", batch, 1024))
    (layer,) = (layer for layer in found.model.layers if layer.cascade.name == "decode-experts")
    bounds = layer.cascade.bounds
    assert bounds.words["WGE"] == experts * 4096 * 1536
    assert bounds.points["F1"] == batch * 8 * 4096 * 1536
    assert layer.times == 94


def test_experts_of_a_batch_equal_the_mean_of_draws() -> None:
    """How many of 128 experts 32 tokens choose, each 8 different ones, drawn."""
    rng = np.random.default_rng(3)
    draws = [len({*np.concatenate([rng.choice(128, 8, replace=False) for _ in range(32)])}) for _ in range(300)]
    assert abs(np.mean(draws) - 112) < 1


def test_phases_take_batch_context_and_tokens() -> None:
    found = served("llama3-8b", Asked("both", 4, 1024, 8)).model
    assert [(phase.name, phase.steps, phase.tokens) for phase in found.phases] == [("prefill", 1, 4), ("decode", 8, 4)]
    sizes = {layer.cascade.name: layer.cascade.extents for layer in found.layers}
    assert (sizes["prefill-attention"]["p"], sizes["prefill-attention"]["m"], sizes["prefill-attention"]["b"]) == (1024, 1024, 4)
    assert [name for name in sizes if "attention-m" in name] == [f"decode-attention-m{m}" for m in (1026, 1028, 1030, 1032)]
    assert all(sizes[name]["p"] == 1 for name in sizes if name.startswith("decode-") and "p" in sizes[name])
    step = served("mamba-370m", Asked("decode", 4, None, 8)).model
    assert [phase.steps for phase in step.phases] == [8] and not isinstance(step, Cascade)


REFUSED = {
    "no 'tokens'": ("serving: {batch: b, context: p}", "'serving' does not say 'tokens'"),
    "no 'batch'": ("serving: {tokens: p}", "'serving' does not say 'batch'"),
    "rank": ("serving: {batch: b, tokens: q}", "no layer has rank 'q'; known: b, d, p"),
    "twice": (
        "serving: {batch: b, tokens: p, context: b}",
        "rank 'b' stands for two things; name one rank for the batch, others for tokens and the context",
    ),
    "weights alone": ("weights: {T: [d]}", "there are 'weights' and no 'serving'"),
    "shape": ("serving: {batch: b, tokens: p}\nweights: {T: {times: 2}}", "weight 'T' has no shape; write T: [v, d]"),
    "unknown": ("serving: {batch: b, tokens: p, ctx: p}", "'serving' has no 'ctx'; did you mean 'context'?"),
    "constant": ("constants: {d: 4}", "'d' cannot name a constant of a model; a name has capitals, and is no size of a rank"),
    "none": ("", "toy does not say how it is served; write serving: {batch: b, tokens: p, context: m} in it"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_is_wrong_with_serving_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    text, says = REFUSED[case]
    base = "workload: toy\nshape: {b: 1, p: 2, d: 3}\nlayers: [{name: a, einsums: ['Z[b,p] = X[b,p,d] * W[d]']}]\n"
    (tmp_path / "toy.yaml").write_text(base + text + "\n")
    with pytest.raises(InputError) as caught:
        load_served(tmp_path / "toy.yaml", {}, Asked())
    assert says in str(caught.value) and caught.value.place is not None


def test_a_model_that_is_another_one_with_sizes_of_its_own(tmp_path: Path) -> None:
    text = "workload: base\nshape: {d: 3, e: 4}\nconstants: {N: 2, TWICE: 2*N}\nlayers:\n"
    text += "  - {name: a, times: TWICE, einsums: ['Z[e] = X[d] * W[d,e]']}\n"
    text += "  - {name: b, times: N - 2, einsums: ['Y[e] = Z[e] * V[e]']}\n"
    (tmp_path / "base.yaml").write_text(text)
    (tmp_path / "own.yaml").write_text("workload: own\nuse: base\nshape: {d: 5}\nconstants: {N: 3}\n")
    found = load_workload(tmp_path / "own.yaml")
    assert isinstance(found, Model) and found.name == "own"
    assert [(layer.cascade.name, layer.times, layer.cascade.extents.get("d")) for layer in found.layers] == [("a", 6, 5), ("b", 1, None)]
    base = load_workload(tmp_path / "base.yaml")
    assert isinstance(base, Model) and [layer.cascade.name for layer in base.layers] == ["a"]  # b is there no time
    refused = {"shape: {z: 5}": "has no rank 'z'", "constants: {M: 3}": "'base' has no constant 'M'", "split: {}": "has no 'split'"}
    for line, says in refused.items():
        (tmp_path / "own.yaml").write_text(f"workload: own\nuse: base\n{line}\n")
        with pytest.raises(InputError, match=says):
            load_workload(tmp_path / "own.yaml")
    (tmp_path / "own.yaml").write_text("workload: own\nuse: own\n")
    with pytest.raises(InputError, match="does a workload use itself"):
        load_workload(tmp_path / "own.yaml")
