"""Every shipped workload against a direct numpy computation at a small shape."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.workload.published_cases as published
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.fixed import Fixed, exp
from accelsim.workload.interpreter import model_inputs, random_inputs, run, run_model
from accelsim.workload.operators import needed_primitives
from tests.workload import attention_cases, convolutions, products, state_space_cases, test_image_models

Arrays = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "workloads"
TOLERANCE = 1e-9


def attention(i: Arrays, visible: Any = None) -> Arrays:
    scores = np.einsum("bhpe,bhme->bhpm", i["Q"], i["K"])
    if visible is not None:
        scores = np.where(visible(*scores.shape[2:]), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return {"AV": np.einsum("bhpm,bhmf->bhfp", weights, i["V"])}


def causal(i: Arrays) -> Arrays:
    return attention(i, lambda p, m: np.arange(m)[None, :] <= np.arange(p)[:, None] + m - p)


def grouped(i: Arrays) -> Arrays:
    repeat = i["Q"].shape[0] // i["K"].shape[0]
    keys, values = (np.repeat(i[name], repeat, axis=0)[None] for name in ("K", "V"))
    return {"AV": attention({"Q": i["Q"][None], "K": keys, "V": values})["AV"][0]}


def structured(i: Arrays) -> Arrays:
    rows, groups, _ = i["V"].shape
    weights = np.zeros((rows, groups, 4))
    np.add.at(weights, (*np.indices(i["I"].shape)[:2], i["I"].astype(int)), i["V"])
    return {"Z": weights.reshape(rows, -1) @ i["B"]}


def softmax(i: Arrays) -> Arrays:
    powers = np.exp(i["X"])
    return {"Y": powers / powers.sum(-1, keepdims=True)}


def layernorm(i: Arrays) -> Arrays:
    return {"Y": (i["X"] - i["X"].mean(-1, keepdims=True)) / np.sqrt(i["X"].var(-1, keepdims=True) + 1e-5)}


def convolution(image: Any, weights: Any) -> Any:
    rows, columns = weights.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(image, (rows, columns), axis=(1, 2))
    return np.einsum("cpqrs,kcrs->kpq", windows, weights)


def scan(i: Arrays) -> Any:
    steps, inner = i["X"].shape
    state, outputs = np.zeros((inner, i["B"].shape[1])), []
    for t in range(steps):
        drive = i["DL"][t][:, None] * i["B"][t][None, :] * i["X"][t][:, None]
        state = np.exp(i["DL"][t][:, None] * i["A"]) * state + drive
        outputs.append(state @ i["C"][t] + i["DP"] * i["X"][t])
    return np.array(outputs)


def chunked(i: Arrays) -> Arrays:
    return {"Y": scan(i).reshape(-1, 4, i["X"].shape[1])}


def pair(i: Arrays) -> Arrays:
    return {"O": convolution(np.maximum(convolution(i["I"], i["F"]), 0), i["G"])}


def decoder(i: Arrays) -> Arrays:
    query, key, value = (np.einsum("bpd,dhe->bhpe", i["X"], i[name]) for name in ("WQ", "WK", "WV"))
    middle = i["X"] + np.einsum("bhfp,hfd->bpd", attention({"Q": query, "K": key, "V": value})["AV"], i["WO"])
    wide = middle @ i["W1"]
    return {"Z": middle + (0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))) @ i["W2"]}


def normalised(x: Any, scale: Any, shift: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12) * scale + shift


def root_normalised(x: Any, scale: Any) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def encoder(i: Arrays) -> Arrays:
    """One encoder layer between embedding and pooler."""
    x = normalised(i["TE"] + i["PE"] + i["SE"], i["GE"], i["BE"])
    query, key, value = (np.einsum("bpd,dhe->bhpe", x, i[name]) for name in ("WQ", "WK", "WV"))
    middle = normalised(x + np.einsum("bhfp,hfd->bpd", attention({"Q": query, "K": key, "V": value})["AV"], i["WO"]), i["GA"], i["BA"])
    wide = middle @ i["W1"]
    z = normalised(middle + (0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))) @ i["W2"], i["GF"], i["BF"])
    return {"Z": z, "P": np.tanh(z[:, 0] @ i["WP"])}


def block(i: Arrays) -> Arrays:
    """One Mamba block over all tokens, and the logits."""
    inner = root_normalised(i["U"], i["GN"])
    x0, gate = inner @ i["WX"], inner @ i["WZ"]
    taps = i["WC"].shape[1]
    padded = np.pad(x0, ((0, 0), (taps - 1, 0), (0, 0)))
    x = silu(sum(padded[:, w : w + x0.shape[1]] * i["WC"][:, w] for w in range(taps)) + i["BC"])
    step = np.log1p(np.exp((x @ i["WDT"]) @ i["WDP"] + i["BDT"]))
    known = {"DL": step, "B": x @ i["WB"], "C": x @ i["WN"], "X": x}
    each = [scan({name: value[b] for name, value in known.items()} | {"A": i["A"], "DP": i["DP"]}) for b in range(len(x))]
    out = i["U"] + (np.array(each) * silu(gate)) @ i["WO"]
    return {"OUT": out, "L": root_normalised(out[:, -1], i["GL"]) @ i["WE"].T}


def further(i: Arrays) -> Arrays:
    """The same for one more token, out of the state and the last inputs of the convolution."""
    inner = root_normalised(i["U"], i["GN"])
    gate = (inner @ i["WZ"])[:, 0]
    x = silu(np.einsum("bwi,iw->bi", i["XC"], i["WC"]) + i["BC"])
    step = np.log1p(np.exp((x @ i["WDT"]) @ i["WDP"] + i["BDT"]))
    state = np.exp(step[..., None] * i["A"]) * i["S"] + (step * x)[..., None] * (x @ i["WB"])[:, None, :]
    y = np.einsum("bin,bn->bi", state, x @ i["WN"]) + i["DP"] * x
    out = i["U"] + ((y * silu(gate)) @ i["WO"])[:, None]
    return {"H": state, "OUT": out, "L": root_normalised(out[:, -1], i["GL"]) @ i["WE"].T}


def grouped_decoder(i: Arrays) -> Arrays:
    """One decoder block whose keys and values come out of a cache, and the logits."""
    inner = root_normalised(i["X"], i["GN"])
    query = np.einsum("bpd,dgre->bgrpe", inner, i["WQ"])
    scores = np.einsum("bgrpe,bgme->bgrpm", query, i["K"])
    p, m = scores.shape[-2:]
    weights = np.exp(np.where(np.arange(m)[None, :] <= np.arange(p)[:, None] + m - p, scores, -np.inf))
    weights /= weights.sum(-1, keepdims=True)
    middle = i["X"] + np.einsum("bgrpm,bgmf,grfd->bpd", weights, i["V"], i["WO"])
    wide = root_normalised(middle, i["GF"])
    z = middle + (silu(wide @ i["WG"]) * (wide @ i["WU"])) @ i["WD"]
    keys, values = np.einsum("bpd,dge->bgpe", inner, i["WK"]), np.einsum("bpd,dgf->bgpf", inner, i["WV"])
    return {"KN": keys, "VN": values, "Z": z, "L": root_normalised(z[:, -1], i["GL"]) @ i["WT"]}


def block_attention(i: Arrays) -> Arrays:
    """Every block of queries by itself, over the keys of the two blocks whose mean fits its own best."""
    heads, blocks, rows, _ = i["Q"].shape
    found = np.zeros((heads, blocks, rows, i["V"].shape[3]))
    for h, p in np.ndindex(heads, blocks):
        best = np.argsort(i["K"][h].mean(1) @ i["Q"][h, p].mean(0))[-2:]
        scores = i["Q"][h, p] @ np.concatenate(i["K"][h, best]).T
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        found[h, p] = weights / weights.sum(-1, keepdims=True) @ np.concatenate(i["V"][h, best])
    return {"AV": found}


def experts(i: Arrays) -> Arrays:
    """Token by token, through the two experts with the largest scores."""
    found = np.zeros_like(i["X"])
    for t, x in enumerate(i["X"]):
        scores = x @ i["WR"]
        best = np.argsort(scores)[-2:]
        shares = np.exp(scores[best]) / np.exp(scores[best]).sum()
        found[t] = sum(share * (silu(x @ i["W1"][n]) * (x @ i["W3"][n]) @ i["W2"][n]) for share, n in zip(shares, best, strict=True))
    return {"Y": found}


def spiking(i: Arrays) -> Arrays:
    potential, spikes = np.zeros(i["W"].shape[1]), []
    for row in i["S"]:
        potential = potential + i["W"][row != 0].sum(0)
        spikes.append(potential > 1)
        potential = potential - spikes[-1]
    assert 0 < np.mean(spikes) < 1
    return {"SO": np.array(spikes, float)}


def power(x: Any) -> Any:
    """exp of 256ths in 32768ths, as the modules of hw/rtl compute it: tests/rtl compares those with math.exp."""
    return exp(x, Fixed())


def whole_attention(i: Arrays) -> Arrays:
    """Row by row, with the whole row's sums scaled anew at every key."""
    (p, f), av = (i["Q"].shape[0], i["V"].shape[1]), []
    scores = (i["Q"] @ i["K"].T) // 32
    for row in scores:
        most, denominator, numerator = row[0], 0, np.zeros(f, np.int64)
        for key, score in enumerate(row):
            largest = max(most, score)
            before = int(power(most - largest)) // 128 if key else 0
            weight = int(power(score - largest)) // 128
            denominator, numerator = denominator * before // 256 + weight, numerator * before // 256 + weight * i["V"][key]
            most = largest
        av.append(numerator // denominator)
    return {"AV": np.array(av).reshape(p, f).T}


def whole_perceptron(i: Arrays) -> Arrays:
    hidden = np.clip((i["X"] @ i["W1"]) >> 6, 0, 127)
    return {"Y": np.clip((hidden @ i["W2"]) >> 5, -128, 127)}


def whole_scan(i: Arrays) -> Arrays:
    state, outputs = np.zeros(i["A"].shape, np.int64), []
    for t, step in enumerate(i["DL"]):
        state = (power(step[:, None] * i["A"]) * state >> 15) + step[:, None] * i["B"][t] * i["X"][t][:, None]
        outputs.append(state @ i["C"][t] + i["DP"] * i["X"][t])
    return {"Y": np.array(outputs)}


HEADS = {"b": 2, "h": 3, "p": 7, "m": 12, "e": 5, "f": 6}
CASES: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "attention": ({**HEADS, "m0": 4}, attention),
    "attention-causal": ({**HEADS, "m0": 4}, causal),
    "attention-naive": (HEADS, attention),
    "attention-3pass": (HEADS, attention),
    "attention-2pass": ({**HEADS, "m0": 4}, attention),
    "attention-gqa": ({"h": 6, "g": 2, "p": 7, "m": 9, "e": 5, "f": 4}, grouped),
    "attention-blocks": ({"h": 2, "p1": 4, "p0": 3, "m1": 6, "u": 6, "m0": 5, "j": 2, "e": 4, "f": 3}, block_attention),
    "experts": ({"t": 9, "d": 6, "n": 5, "u": 5, "j": 2, "f": 7}, experts),
    "spiking": ({"t": 12, "i": 15, "j": 9}, spiking),
    "matmul": ({"m": 5, "n": 6, "k": 7}, lambda i: {"Z": i["A"] @ i["B"]}),
    "matmul-structured": ({"m": 5, "n": 6, "g": 3}, structured),
    "conv2d": ({"k": 3, "c": 2, "p": 5, "q": 6, "r": 3, "s": 2}, lambda i: {"O": convolution(i["I"], i["F"])}),
    "conv2d-pair": ({"c": 2, "k": 3, "o": 2, "p": 7, "q": 8, "x": 5, "y": 6, "r": 3, "s": 3}, pair),
    "gpt3-layer": ({"b": 2, "p": 5, "m": 5, "d": 8, "h": 3, "e": 4, "f": 4, "s": 10}, decoder),
    "feed-forward": ({"t": 5, "d": 4, "s": 6}, lambda i: {"Y": np.maximum(i["X"] @ i["W1"], 0) @ i["W2"]}),
    "softmax": ({"b": 3, "k": 11}, softmax),
    "layernorm": ({"b": 3, "d": 11}, layernorm),
    "scan-sequential": ({"t": 12, "i": 3, "n": 4}, lambda i: {"Y": scan(i)}),
    "scan-chunked": ({"t": 12, "i": 3, "n": 4, "q": 4}, chunked),
}
CASES |= attention_cases.CASES | state_space_cases.CASES | convolutions.CASES | products.CASES


WHOLE: dict[str, tuple[dict[str, int], dict[str, tuple[int, int]], Callable[[Arrays], Arrays]]] = {
    "attention-fixed": ({"p": 5, "m": 12, "e": 4, "f": 3}, {"Q": (-90, 90), "K": (-90, 90), "V": (-500, 500)}, whole_attention),
    "mlp-fixed": ({"m": 5, "d": 9, "h": 8, "e": 4}, {"X": (-40, 40), "W1": (-40, 40), "W2": (-20, 20)}, whole_perceptron),
    "scan-fixed": (
        {"t": 9, "i": 3, "n": 4},
        {"DL": (0, 40), "A": (-40, 0), "B": (-9, 9), "X": (-99, 99), "C": (-9, 9), "DP": (-9, 9)},
        whole_scan,
    ),
}


def rescaled(sums: Any) -> Any:
    """Bytes of the sums' upper digits."""
    return np.clip(np.floor_divide(sums, 256), -128, 127)


def around(image: Any) -> Any:
    return np.pad(image, ((0, 0), (1, 1), (1, 1)))


def depthwise(image: Any, weights: Any) -> Any:
    return np.stack([convolution(image[c : c + 1], weights[c][None, None])[0] for c in range(len(image))])


def residual(i: Arrays) -> Arrays:
    return {"Z": np.clip(rescaled(convolution(around(i["I"]), i["W"])) + i["I"], -128, 127)}


BYTES = {"I": (-128, 127), "W": (-127, 127)}
WHOLE |= {
    "int8/conv-3x3": ({"k": 3, "c": 2, "p": 5, "q": 6}, BYTES, lambda i: {"Y": rescaled(convolution(around(i["I"]), i["W"]))}),
    "int8/conv-1x1": ({"k": 3, "c": 2, "p": 5, "q": 6}, BYTES, lambda i: {"Y": rescaled(np.einsum("cpq,kc->kpq", i["I"], i["W"]))}),
    "int8/depthwise-3x3": ({"c": 3, "p": 5, "q": 6}, BYTES, lambda i: {"Y": rescaled(depthwise(around(i["I"]), i["W"]))}),
    "int8/fully-connected": ({"k": 7, "c": 9}, BYTES, lambda i: {"Y": rescaled(i["W"] @ i["I"])}),
    "int8/residual-block": ({"k": 2, "c": 2, "p": 5, "q": 6}, BYTES, residual),
}


WHOLE |= products.WHOLE


MODELS: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "bert-base": ({"b": 2, "p": 6, "m": 6, "d": 8, "h": 2, "e": 4, "f": 4, "s": 10, "o": 5}, encoder),
    "mamba-130m": ({"b": 2, "t": 7, "d": 6, "i": 8, "n": 3, "r": 2, "w": 4, "v": 9}, block),
    "mamba-130m-step": ({"b": 3, "d": 6, "i": 8, "n": 3, "r": 2, "w": 4, "v": 9}, further),
    "llama3-8b": ({"b": 2, "p": 3, "m": 7, "d": 8, "g": 2, "r": 2, "e": 3, "f": 4, "s": 10, "v": 9}, grouped_decoder),
}


CASES |= published.CASES
MODELS |= published.MODELS


def small(name: str, shape: dict[str, int]) -> Cascade | Model:
    constants = attention_cases.CONSTANTS.get(name, {})
    settings = {f"shape.{rank}": str(extent) for rank, extent in shape.items()}
    return load_workload(FOLDER / f"{name}.yaml", settings | {f"constants.{key}": str(value) for key, value in constants.items()})


def assert_close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.max(np.abs(found - expected)) <= TOLERANCE * max(1.0, float(np.max(np.abs(expected))))


@pytest.mark.parametrize("name", sorted(CASES))
def test_shipped_cascade_equals_a_direct_computation(name: str) -> None:
    shape, reference = CASES[name]
    cascade = small(name, shape)
    assert isinstance(cascade, Cascade)
    inputs = random_inputs(cascade, np.random.default_rng(7))
    if "BM" in inputs:
        inputs["BM"][..., 0] = 1  # a row without any key has no result
    done = run(cascade, inputs)
    for tensor, expected in reference(inputs).items():
        assert_close(done.values[tensor], expected)
    if not any(einsum.condition_reads for einsum in cascade.work):
        assert cascade.bounds.points == {einsum: points.executed for einsum, points in done.counts.items()}


def counted(name: str, shape: dict[str, int]) -> dict[str, int]:
    """Operations of a shipped cascade, by its points and what a machine that has every primitive does at each."""
    cascade = small(name, shape)
    assert isinstance(cascade, Cascade)
    done = run(cascade, random_inputs(cascade, np.random.default_rng(2)))
    totals: dict[str, int] = {}
    for einsum in cascade.work:
        for primitive, many in needed_primitives(einsum).items():
            totals[primitive] = totals.get(primitive, 0) + many * done.counts[einsum.name].executed
    return totals


def test_the_gate_of_blocks_is_counted_beside_the_attention_that_is_left() -> None:
    """By hand: sums over blocks, their product, each pair of blocks compared twice; then j of m1 blocks."""
    h, p1, p0, m1, m0, j, e, f = 2, 4, 3, 6, 5, 2, 4, 7
    found = counted("attention-blocks", {"h": h, "p1": p1, "p0": p0, "m1": m1, "u": m1, "m0": m0, "j": j, "e": e, "f": f})
    pairs, ranked, placed, scores = h * p1 * m1, h * p1 * m1**2, h * p1 * m1 * j, h * p1 * p0 * j * m0
    assert found == {
        "add": h * e * (p1 * p0 + m1 * m0) + ranked + scores,
        "cmp": 2 * ranked + placed,
        "mac": pairs * e + ranked + placed + scores * (e + f),
        "select": scores * (e + f),
        "max": scores,
        "subexp": scores,
        "div": h * p1 * p0 * f,
    }


def test_a_layer_of_experts_counts_those_that_are_chosen_and_their_router() -> None:
    """By hand: n scores a token, each pair of experts compared twice, and three products of j experts."""
    t, d, n, j, f = 9, 6, 5, 2, 7
    found = counted("experts", {"t": t, "d": d, "n": n, "u": n, "j": j, "f": f})
    assert found == {
        "mac": t * d * n + t * n * n + t * n * j + 3 * t * j * d * f + t * j * d,
        "cmp": 2 * t * n * n + t * n * j,
        "add": t * n * n + t * j,
        "select": t * j + 3 * t * j * d * f,
        "max": t * j,
        "subexp": t * j,
        "div": t * j,
        "silu": t * j * f,
        "mul": t * j * f,
    }


def test_a_spiking_layer_multiplies_nothing() -> None:
    t, i, j = 12, 15, 9
    found = counted("spiking", {"t": t, "i": i, "j": j})
    assert found == {"take": t * i * j + t * j, "add": t * i * j + t * j, "cmp": t * j, "sub": t * j}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_shipped_cascade_of_whole_numbers_equals_a_direct_computation(name: str) -> None:
    """Every word, with inputs large enough that scales, cuts and exponentials matter: not all results are alike."""
    shape, bounds, reference = WHOLE[name]
    cascade, rng = small(name, shape), np.random.default_rng(11)
    assert isinstance(cascade, Cascade)
    inputs = {
        tensor: rng.integers(*bounds[tensor], cascade.tensors[tensor].shape, endpoint=True)
        for tensor in cascade.tensors
        if cascade.tensors[tensor].is_input
    }
    values = run(cascade, inputs).values
    for tensor, expected in reference(inputs).items():
        assert np.array_equal(values[tensor], expected)
        assert len(np.unique(expected)) > 3


@pytest.mark.parametrize("m", [1, 3, 4, 5, 11])
@pytest.mark.parametrize("name", ["attention", "attention-causal", "attention-2pass"])
def test_partial_last_key_tile_gives_the_result_of_the_unsplit_rank(name: str, m: int) -> None:
    cascade = small(name, {**HEADS, "m": m, "p": min(m, 7), "m0": 4})
    assert isinstance(cascade, Cascade)
    inputs = random_inputs(cascade, np.random.default_rng(m))
    done = run(cascade, inputs)
    assert_close(done.values["AV"], CASES[name][1](inputs)["AV"])
    if name == "attention":
        assert done.counts["QK"].executed == 2 * 3 * min(m, 7) * m * 5
        assert done.counts["QK"].masked == 0


@pytest.mark.parametrize("name", sorted(MODELS))
def test_shipped_model_equals_a_direct_computation(name: str) -> None:
    """Of a model that repeats its layers, each once."""
    shape, reference = MODELS[name]
    model = small(name, shape)
    assert isinstance(model, Model)
    inputs = model_inputs(model, np.random.default_rng(7))
    values = {tensor: value for done in run_model(model, inputs).values() for tensor, value in done.values.items()}
    for tensor, expected in reference(inputs).items():
        assert_close(values[tensor], expected)


def test_transformer_layer_equals_the_product_of_its_parts() -> None:
    model = small("transformer-layer", {"b": 2, "h": 3, "p": 6, "m": 6, "e": 4, "f": 4, "d": 12, "s": 10})
    assert isinstance(model, Model)
    i = model_inputs(model, np.random.default_rng(3))
    query, key, value = (np.einsum("bpd,dhe->bhpe", i["X"], i[name]) for name in ("WQ", "WK", "WV"))
    av = attention({"Q": query, "K": key, "V": value})["AV"]
    y = np.einsum("bhfp,hfd->bpd", av, i["WO"])
    assert_close(run_model(model, i)["feed-forward"].values["Z"], y @ i["W1"] @ i["W2"])


def test_every_shipped_workload_has_a_case_here() -> None:
    """Or is a part of a network that has one, and runs there."""
    found = {path.relative_to(FOLDER).with_suffix("").as_posix(): path.read_text() for path in FOLDER.rglob("*.yaml")}
    sized = {name for name, text in found.items() if "\nuse: " in text}  # another one with sizes of its own
    shipped = {name for name, text in found.items() if "\nphases:" not in text and not name.startswith(("sparse/", "families/"))}
    networks = {name for name in shipped if name.rsplit("/", 1)[-1] in {*test_image_models.NETWORKS, *test_image_models.OTHERS}}
    parts = used = networks
    while used:
        wanted = {part for name in used for part in re.findall(r"- \{use: ([\w-]+)", found[name])}
        used = {name for name in shipped - parts if name.rsplit("/", 1)[-1] in wanted}
        parts = parts | used
    assert shipped - {"transformer-layer", "int8/ds-cnn"} - sized == (set(CASES) | set(WHOLE) | set(MODELS) | parts) - sized


def test_every_shipped_workload_says_what_it_is_and_where_it_comes_from() -> None:
    for path in FOLDER.rglob("*.yaml"):
        text = path.read_text()
        assert text.startswith(f"workload: {path.stem}\nabout: "), path.name
        assert "\nsource: " in text, path.name
