"""Direct numpy computations of shipped products: quantised, of experts, of what a gate leaves, and of spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Case = tuple[dict[str, int], Callable[[Arrays], Arrays]]


def rescaled(i: Arrays) -> Arrays:
    """Rows and columns scaled before they are multiplied."""
    return {"Z": (i["A"] * i["SA"][:, None]) @ (i["B"] * i["SB"])}


def requantised(i: Arrays) -> Arrays:
    """Whole numbers, shifted by six bits and cut off."""
    return {"Z": np.clip((i["A"] @ i["B"]) >> 6, -8, 7)}


def grouped(i: Arrays) -> Arrays:
    """Weights made whole first: one matrix of all groups."""
    weights = (i["W"] - i["O"][:, None]) * i["SC"][:, None]
    return {"Z": i["A"] @ weights.reshape(-1, weights.shape[-1])}


def in_blocks(i: Arrays) -> Arrays:
    a, b = (i[each] * i[f"S{each}"][..., None] for each in "AB")
    return {"Z": a.reshape(len(a), -1) @ b.reshape(len(b), -1).T}


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def kept_columns(i: Arrays) -> Arrays:
    """Only the columns and rows that the gate keeps are touched."""
    gate = silu(i["X"] @ i["WG"])
    kept = np.flatnonzero(np.abs(gate) > 0.1)
    assert 0 < len(kept) < len(gate)
    return {"Y": (gate[kept] * (i["X"] @ i["WU"][:, kept])) @ i["WD"][kept]}


def gathered(i: Arrays) -> Arrays:
    kept = i["P"].astype(int)
    return {"Y": (silu(i["X"] @ i["WG"])[kept] * (i["X"] @ i["WU"][:, kept])) @ i["WD"][kept]}


def chosen_experts(i: Arrays) -> Arrays:
    """Token by token, through the experts whose gate is open."""
    found = np.zeros((len(i["X"]), i["W2"].shape[2]))
    for t, x in np.argwhere(i["G"] > 0):
        found[t] += i["G"][t, x] * np.maximum(i["X"][t] @ i["W1"][x], 0) @ i["W2"][x]
    assert 0 < np.mean(i["G"] > 0) < 1
    return {"Y": found}


def leaky(i: Arrays) -> Arrays:
    """Step by step, neuron by neuron, only the weights of spikes added up."""
    steps, many = len(i["SI"]), i["W"].shape[1]
    spikes = np.zeros((steps, many))
    for j in range(many):
        potential = 0.0
        for t in range(steps):
            potential = 0.9 * potential + sum(i["W"][n, j] for n in np.flatnonzero(i["SI"][t]))
            spikes[t, j] = potential > 1
            potential -= spikes[t, j]
    assert 0 < spikes.mean() < 1
    return {"SO": spikes}


CASES: dict[str, Case] = {
    "int8/mlp": (
        {"b": 3, "i": 4, "j": 5, "k": 6, "l": 7, "m": 8, "n": 9},
        lambda i: {"Y": np.linalg.multi_dot([i["X"], *(i[f"W{at}"] for at in range(1, 6))])},
    ),
    "quantised/matmul-int8": ({"m": 5, "n": 6, "k": 7}, rescaled),
    "quantised/matmul-w4a16": ({"m": 5, "n": 6, "g": 3, "i": 4}, grouped),
    "quantised/matmul-mxfp8": ({"m": 5, "n": 6, "k": 7}, lambda i: {"Z": i["A"] @ i["B"].T}),
    "quantised/matmul-mxfp4": ({"m": 5, "n": 6, "k": 7}, lambda i: {"Z": i["A"] @ i["B"].T}),
    "quantised/matmul-scaled": ({"m": 5, "n": 6, "g": 3, "i": 4}, in_blocks),
    "ffn-cats": ({"d": 6, "f": 20, "o": 5}, kept_columns),
    "ffn-gathered": ({"d": 6, "f": 20, "j": 9, "o": 5}, gathered),
    "moe-ffn": ({"t": 9, "x": 5, "d": 6, "f": 7, "o": 4}, chosen_experts),
    "snn-lif": ({"t": 12, "i": 15, "j": 9}, leaky),
}

WHOLE: dict[str, tuple[dict[str, int], dict[str, tuple[int, int]], Callable[[Arrays], Arrays]]] = {
    "quantised/matmul-int4": ({"m": 7, "n": 6, "k": 19}, {"A": (-8, 7), "B": (-8, 7)}, requantised),
}
