"""State spaces and other linear recurrences run step by step in plain numpy: sizes and a reference for every shipped form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def root(x: Any, scale: Any) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def state_space(i: Arrays) -> Arrays:
    """Channel by channel and step by step: x' = A x + b u, y = c x'."""
    steps, channels = i["U"].shape
    found = np.zeros((steps, channels))
    for channel in range(channels):
        state = np.zeros(i["BB"].shape[1])
        for t in range(steps):
            state = i["AB"][channel] @ state + i["BB"][channel] * i["U"][t, channel]
            found[t, channel] = i["C"][channel] @ state
    return {"Y": found}


def convolved(kernel: Any, signal: Any) -> Any:
    """Causal, along the first dimension."""
    return np.array([np.convolve(kernel[:, c], signal[:, c])[: len(signal)] for c in range(signal.shape[1])]).T


def diagonal(i: Arrays) -> Arrays:
    """A recurrence of complex numbers, of which the real part goes out."""
    ratio = np.exp(i["DR"] + 1j * i["DI"])
    weight = i["CR"] + 1j * i["CI"]
    state, found = np.zeros_like(ratio), []
    for u in i["U"]:
        state = ratio * state + u[:, None]
        found.append((weight * state).sum(-1).real)
    return {"Y": np.array(found)}


def transform(i: Arrays) -> Arrays:
    """numpy's transform, at place v + N1*z of the result."""
    batch, _, _ = i["S"].shape
    found = np.fft.fft(i["S"][..., 0] + 1j * i["S"][..., 1])
    placed = found.reshape(batch, 4, 3).transpose(0, 2, 1)  # [b, z, v] to [b, v, z], with 3 of v and 4 of z
    return {"Z3": np.stack([placed.real, placed.imag], -1)}


def long_convolution(i: Arrays) -> Arrays:
    """By the inverse of the kernel's transform, whose tail of the second half reaches around; one product after the other."""
    channels, v, z, _ = i["KF"].shape
    spectrum = (i["KF"][..., 0] + 1j * i["KF"][..., 1]).transpose(0, 2, 1).reshape(channels, z * v)
    kernel, many = np.fft.ifft(spectrum), v * z
    found = np.zeros((*i["U"].shape,))
    for b, c, t in np.ndindex(*found.shape):
        found[b, c, t] = sum((kernel[c, (t - s) % many] * i["U"][b, c, s]).real for s in range(many // 2))
    return {"C": found.reshape(*found.shape[:2], v // 2, z)}


def monarch(i: Arrays) -> Arrays:
    """With the full matrix."""
    blocks = len(i["RB"])
    full = np.zeros((blocks, blocks, blocks, blocks))
    for row, j, k, m in np.ndindex(*full.shape):
        full[row, j, k, m] = i["LB"][j, row, k] * i["RB"][k, j, m]
    return {"Y2": (i["X"] @ full.reshape(blocks**2, blocks**2).T).reshape(-1, blocks, blocks)}


def scan(i: Arrays) -> Any:
    """The selective scan [t, i]."""
    state, found = np.zeros(i["A"].shape), []
    for t, step in enumerate(i["DL"]):
        state = np.exp(step[:, None] * i["A"]) * state + (step * i["X"][t])[:, None] * i["B"][t]
        found.append(state @ i["C"][t] + i["DP"] * i["X"][t])
    return np.array(found)


def taps(x: Any, weights: Any) -> Any:
    """Causal convolution of every channel with its own weights [channel, tap]."""
    wide = weights.shape[1]
    padded = np.vstack([np.zeros((wide - 1, x.shape[1])), x])
    return np.array([(padded[t : t + wide] * weights.T).sum(0) for t in range(len(x))])


def mamba1(i: Arrays) -> Arrays:
    inner = root(i["U"], i["GN"])
    x = silu(taps(inner @ i["WX"], i["WC"]) + i["BC"])
    step = softplus(x @ i["WDT"] @ i["WDP"] + i["BDT"])
    y = scan({"A": i["A"], "DL": step, "X": x, "B": x @ i["WB"], "C": x @ i["WN"], "DP": i["DP"]})
    return {"OUT": i["U"] + (y * silu(inner @ i["WZ"])) @ i["WO"]}


def decaying(decay: Any, x: Any, b: Any, c: Any) -> Any:
    """States that decay by a factor per head: [t, h], [t, h, p], [t, n], [t, n] to [t, h, p]."""
    state, found = np.zeros((*x.shape[1:], b.shape[1])), []
    for t in range(len(x)):
        state = np.exp(decay[t])[:, None, None] * state + x[t][:, :, None] * b[t]
        found.append(state @ c[t])
    return np.array(found)


def duality(i: Arrays) -> Arrays:
    return {"Y": decaying(i["AL"], i["X"], i["B"], i["C"])}


def in_chunks(found: Arrays, chunk: int) -> Arrays:
    return {name: value.reshape(-1, chunk, *value.shape[1:]) for name, value in found.items()}


def heads_in_chunks(values: Any, chunk: int) -> Any:
    """[h, t, v] to [h, c, q, v]."""
    return values.reshape(values.shape[0], -1, chunk, values.shape[2])


def mamba2(i: Arrays) -> Arrays:
    (heads,), states = i["A"].shape, (i["WF"].shape[1] - i["WO"].shape[0]) // 2
    wide, steps = i["WO"].shape[0], len(i["U"])
    inner = root(i["U"], i["GN"])
    f = silu(taps(inner @ i["WF"], i["WC"]) + i["BC"])
    x, b, c = f[:, :wide].reshape(steps, heads, -1), f[:, wide : wide + states], f[:, wide + states :]
    step = softplus(inner @ i["WDT"] + i["BDT"])
    y = decaying(step * i["A"], step[:, :, None] * x, b, c) + i["DP"][:, None] * x
    gated = y.reshape(steps, wide) * silu(inner @ i["WZ"])
    return {"OUT": (i["U"] + root(gated, i["GG"]) @ i["WO"]).reshape(-1, 4, i["U"].shape[1])}


def gated(i: Arrays) -> Arrays:
    found = np.zeros(i["VV"].shape)
    for h in range(len(found)):
        state = np.zeros((i["KK"].shape[2], i["VV"].shape[2]))
        for t in range(found.shape[1]):
            state = np.exp(i["LA"][h, t])[:, None] * state + np.outer(i["KK"][h, t], i["VV"][h, t])
            found[h, t] = i["QQ"][h, t] @ state
    return {"O": heads_in_chunks(found, 4)}


def delta(i: Arrays, micro: int = 1, chunk: int = 4) -> Arrays:
    """The state of one head after another; `micro` rules for every token, of which the last is followed by its query."""
    many, steps, _ = i["VV"].shape
    found = np.zeros((many, steps // micro, i["VV"].shape[2]))
    for h in range(many):
        state = np.zeros((i["VV"].shape[2], i["KK"].shape[2]))
        for t in range(steps):
            key, step = i["KK"][h, t], i["BE"][h, t]
            state = state @ (np.eye(len(key)) - step * np.outer(key, key)) + step * np.outer(i["VV"][h, t], key)
            if t % micro == micro - 1:
                found[h, t // micro] = state @ i["QQ"][h, t // micro]
    return {"O": heads_in_chunks(found, chunk)}


LINEAR = {"h": 2, "t": 12, "k": 5, "v": 3}
CASES: dict[str, tuple[dict[str, int], Callable[[Arrays], Arrays]]] = {
    "s4-recurrent": ({"t": 8, "i": 2, "n": 3}, state_space),
    "s4-convolution": ({"t": 8, "i": 2, "n": 3}, state_space),
    "s4-dft": ({"t": 8, "i": 2}, lambda i: {"Y": convolved(i["KB"], i["U"])}),
    "s4d-convolution": ({"t": 8, "i": 2, "n": 3}, diagonal),
    "monarch-dft": ({"b": 2, "y": 3, "x": 4}, transform),
    "monarch-convolution": ({"b": 2, "i": 2, "v": 6, "x": 4}, long_convolution),
    "monarch-matvec": ({"t": 3, "k": 3}, monarch),
    "scan-kogge-stone": ({"t": 13, "i": 2, "n": 3}, lambda i: {"Y": scan(i)}),
    "scan-blelloch": ({"t": 16, "i": 2, "n": 3}, lambda i: {"Y": scan(i)}),
    "mamba1-block": ({"t": 7, "d": 6, "n": 3, "w": 4}, mamba1),
    "ssd-quadratic": ({"t": 12, "h": 2, "p": 3, "n": 5}, duality),
    "ssd-chunked": ({"t": 12, "q": 4, "h": 2, "p": 3, "n": 5}, lambda i: in_chunks(duality(i), 4)),
    "mamba2-block": ({"t": 12, "q": 4, "d": 6, "h": 2, "p": 3, "n": 5, "w": 4}, mamba2),
    "gla-chunked": ({**LINEAR, "q": 4}, gated),
    "deltanet-chunked": ({**LINEAR, "q": 4}, delta),
    "deltaproduct-chunked": ({**LINEAR, "a": 3, "j": 2}, lambda i: delta(i, 2, 3)),
}
