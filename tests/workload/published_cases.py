"""Shipped workloads that files of evidence are about, each beside a direct computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]


def softmax(i: Arrays) -> Arrays:
    powers = np.exp(i["X"])
    return {"Y": powers / powers.sum(-1, keepdims=True)}


def chosen_tokens(i: Arrays) -> Arrays:
    """Scores by labels, and attention to the tokens that are given."""
    scores = np.einsum("bhe,bhje->bhj", i["Q"], i["K"])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return {"LS": np.einsum("bhc,bhmc->bhm", i["QL"], i["KL"]), "AV": np.einsum("bhj,bhjf->bhf", weights, i["V"])}


def normalised(x: Any, scale: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * scale


def side_by_side(i: Arrays) -> Arrays:
    """One decoder block of a single key head whose two parts both start from the same norm, and the logits."""
    inner = normalised(i["X"], i["GN"])
    scores = np.einsum("bpd,dhe,bme->bhpm", inner, i["WQ"], i["K"])
    p, m = scores.shape[-2:]
    weights = np.exp(np.where(np.arange(m)[None, :] <= np.arange(p)[:, None] + m - p, scores, -np.inf))
    weights /= weights.sum(-1, keepdims=True)
    attended = np.einsum("bhpm,bmf,hfd->bpd", weights, i["V"], i["WO"])
    gate = inner @ i["WG"]
    z = i["X"] + attended + (gate / (1 + np.exp(-gate)) * (inner @ i["WU"])) @ i["WD"]
    return {"KN": inner @ i["WK"], "VN": inner @ i["WV"], "Z": z, "L": normalised(z[:, -1], i["GL"]) @ i["WE"].T}


CASES: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "attention-double-sparse": ({"b": 2, "h": 3, "m": 11, "c": 2, "j": 4, "e": 5, "f": 6}, chosen_tokens),
    "softmax-recomputed": ({"b": 3, "k": 11}, softmax),
    "softmax-two-pass-recomputed": ({"b": 3, "k": 11}, softmax),
}
MODELS: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "palm-540b": ({"b": 2, "p": 3, "m": 7, "d": 8, "h": 3, "e": 3, "f": 4, "s": 10, "v": 9}, side_by_side),
}
