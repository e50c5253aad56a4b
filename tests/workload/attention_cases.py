"""Attention, softmax, norms and whole layers of transformers in plain numpy: sizes and a reference for every shipped form.

Every reference takes the inputs of a cascade and gives outputs by name. Attention is computed row by row from scores in [rows, keys].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]


def rows(query: Any, key: Any, value: Any, visible: Any = True, scale: float = 1.0) -> Any:
    """Softmax of scores times values: [p, e], [m, e], [m, f] to [p, f]; `visible` says which of [p, m] count."""
    scores = np.where(visible, query @ key.T * scale, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


def heads(i: Arrays, visible: Any = True) -> Arrays:
    """Every batch and head by itself."""
    found = np.zeros((*i["Q"].shape[:2], i["V"].shape[-1], i["Q"].shape[2]))
    for b, h in np.ndindex(*i["Q"].shape[:2]):
        found[b, h] = rows(i["Q"][b, h], i["K"][b, h], i["V"][b, h], visible).T
    return {"AV": found}


def window(i: Arrays, width: int = 4) -> Arrays:
    p, m = np.arange(i["Q"].shape[2])[:, None], np.arange(i["K"].shape[2])[None, :]
    latest = p + len(m[0]) - len(p)
    return heads(i, (m <= latest) & (m > latest - width))


def decode(i: Arrays) -> Arrays:
    keys, values = (np.concatenate([i[old], i[new][:, :, None]], 2) for old, new in (("KC", "KN"), ("VC", "VN")))
    batch, many, _ = i["Q"].shape
    shared = many // keys.shape[1]
    each = [[rows(i["Q"][b, h][None], keys[b, h // shared], values[b, h // shared])[0] for h in range(many)] for b in range(batch)]
    return {"AV": np.array(each), "K": keys, "V": values}


def block_sparse(i: Arrays) -> Arrays:
    """Of blocks of 2 queries and 3 keys those of the mask, and at least one in every row."""
    seen = [np.kron(mask, np.ones((2, 3))) > 0 for mask in i["BM"]]
    return {"AV": np.array([rows(i["Q"][h], i["K"][h], i["V"][h], seen[h]).T for h in range(len(seen))])}


def linear(i: Arrays) -> Arrays:
    return {"O": np.array([[q @ k.T @ v for q, k, v in zip(*three, strict=True)] for three in zip(i["Q"], i["K"], i["V"], strict=True)])}


def latent(i: Arrays) -> Arrays:
    """Head by head, with keys of both parts side by side."""
    found = np.zeros_like(i["XQ"])
    latents, queries = i["X"] @ i["WDKV"], i["XQ"] @ i["WDQ"]
    for h in range(len(i["WUK"])):
        key = np.hstack([latents @ i["WUK"][h], i["X"] @ i["WKR"]])
        query = np.hstack([queries @ i["WUQ"][h], queries @ i["WQR"][h]])
        found += rows(query, key, latents @ i["WUV"][h]) @ i["WO"][h]
    return {"Y": found}


def latent_decode(i: Arrays) -> Arrays:
    """The same for one token behind those of a cache, with keys and values expanded from the latents."""
    latents = np.concatenate([i["CC"], (i["X"] @ i["WDKV"])[:, None]], 1)
    rotated = np.concatenate([i["RC"], (i["X"] @ i["WKR"])[:, None]], 1)
    found = np.zeros_like(i["X"])
    for b, x in enumerate(i["X"]):
        low = x @ i["WDQ"]
        for h in range(len(i["WUK"])):
            query = np.hstack([low @ i["WUQ"][h], low @ i["WQR"][h]])[None]
            key = np.hstack([latents[b] @ i["WUK"][h], rotated[b]])
            found[b] += rows(query, key, latents[b] @ i["WUV"][h])[0] @ i["WO"][h]
    return {"Y": found, "C": latents, "KR": rotated}


def factored(i: Arrays) -> Arrays:
    low, key, value = i["XQ"] @ i["WDQ"], i["X"] @ i["WK"], i["X"] @ i["WV"]
    return {"Y": sum(rows(low @ i["WUQ"][h], key, value) @ i["WO"][h] for h in range(len(i["WUQ"])))}


def softmax(i: Arrays) -> Arrays:
    powers = np.exp(i["X"])
    return {"Y": powers / powers.sum(-1, keepdims=True)}


def centred(x: Any, eps: float = 1e-5) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def root(x: Any) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def multi_head(x: Any, i: Arrays, visible: Any = True) -> Any:
    """Scaled attention of tokens [p, d] to each other, added up over heads."""
    every = range(i["WQ"].shape[1])
    scale = 1 / math.sqrt(i["WQ"].shape[2])
    return sum(rows(x @ i["WQ"][:, h], x @ i["WK"][:, h], x @ i["WV"][:, h], visible, scale) @ i["WO"][h] for h in every)


def bert(i: Arrays) -> Arrays:
    first = centred(i["X"] + multi_head(i["X"], i), 1e-12) * i["G1"] + i["B1"]
    return {"N2": centred(first + gelu(first @ i["W1"]) @ i["W2"], 1e-12) * i["G2"] + i["B2"]}


def gpt(i: Arrays) -> Arrays:
    tokens = len(i["X"])
    middle = i["X"] + multi_head(centred(i["X"]) * i["G1"] + i["B1"], i, np.tri(tokens) > 0)
    return {"Z": middle + gelu((centred(middle) * i["G2"] + i["B2"]) @ i["W1"]) @ i["W2"]}


def llama(i: Arrays) -> Arrays:
    x = root(i["X"]) * i["G1"]
    half = i["WQ"].shape[2] // 2
    shared = i["WQ"].shape[1] // i["WK"].shape[1]

    def turned(y: Any) -> Any:
        return y * i["CO"] + np.roll(y, half, -1) * i["SI"]

    def head(h: int) -> Any:
        g = h // shared
        query, key, value = turned(x @ i["WQ"][:, h]), turned(x @ i["WK"][:, g]), x @ i["WV"][:, g]
        return rows(query, key, value, np.tri(len(x)) > 0, 1 / math.sqrt(2 * half)) @ i["WO"][h]

    middle = i["X"] + sum(head(h) for h in range(i["WQ"].shape[1]))
    wide = root(middle) * i["G2"]
    gate = wide @ i["W1"]
    return {"Z": middle + (gate / (1 + np.exp(-gate)) * (wide @ i["W3"])) @ i["W2"]}


HEADS = {"b": 2, "h": 3, "p": 7, "m": 12, "e": 5, "f": 6}
LATENT = {"h": 3, "p": 4, "m": 6, "d": 8, "a": 5, "c": 4, "n": 3, "r": 2, "v": 3}
LAYER = {"p": 5, "d": 8, "h": 3, "e": 4, "f": 3, "s": 10}
CASES: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "attention-naive-deferred": (HEADS, heads),
    "attention-3pass-deferred": (HEADS, heads),
    "attention-2pass-local": ({**HEADS, "m0": 4}, heads),
    "attention-window": ({**HEADS, "m0": 4}, window),
    "attention-decode": ({"b": 2, "h": 6, "g": 2, "m": 9, "e": 5, "f": 4}, decode),
    "attention-block-sparse": ({"h": 2, "p": 6, "m": 12, "e": 4, "f": 5}, block_sparse),
    "attention-linear-left": ({"t": 2, "h": 2, "p": 5, "e": 4, "f": 3}, linear),
    "attention-linear-right": ({"t": 2, "h": 2, "p": 5, "e": 4, "f": 3}, linear),
    "mla-naive": (LATENT, latent),
    "mla-absorbed": (LATENT, latent),
    "mla-decode": ({"b": 2} | {rank: size for rank, size in LATENT.items() if rank != "p"}, latent_decode),
    "mfa": ({"h": 3, "p": 4, "m": 6, "d": 8, "a": 5, "c": 4}, factored),
    "softmax-online": ({"b": 3, "k": 11}, softmax),
    "softmax-two-pass": ({"b": 3, "k": 11}, softmax),
    "layernorm-welford": ({"b": 3, "d": 11}, lambda i: {"Y": centred(i["X"])}),
    "layernorm-sumsq": ({"b": 3, "d": 11}, lambda i: {"Y": centred(i["X"])}),
    "layernorm-linear-deferred": ({"b": 3, "d": 11, "o": 4}, lambda i: {"Y": centred(i["X"]) @ i["W"]}),
    "rmsnorm": ({"b": 3, "d": 11}, lambda i: {"Y": root(i["X"])}),
    "rmsnorm-linear-deferred": ({"b": 3, "d": 11, "o": 4}, lambda i: {"Y": root(i["X"]) @ i["W"]}),
    "bert-layer": (LAYER, bert),
    "gpt-layer": (LAYER, gpt),
    "llama-layer": ({"p": 5, "d": 8, "h": 4, "g": 2, "e": 6, "f": 3, "s": 10}, llama),
}
CONSTANTS = {"attention-window": {"W": 4}, "attention-block-sparse": {"BP": 2, "BK": 3}}
