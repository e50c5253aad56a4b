"""Random small networks as campaign files, each with a plain numpy program of its own that runs it whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

Array = Any
Values = dict[str, Array]


@dataclass(frozen=True)
class Op:
    """A layer: its text, the tensor it makes, and its sums (or maxima, …) before they are scaled, from all tensors by LAYER.TENSOR."""

    text: str
    makes: str
    sums: Callable[[Values], Array]
    wraps: int = 32


def windows(x: Array, r: int, s: int, stride: int, pad: int) -> list[tuple[int, int, Array]]:
    """Shifted views of images [..., rows, columns], zeros around them."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(pad, pad)] * 2)
    high, wide = ((each + 2 * pad - size) // stride + 1 for each, size in zip(x.shape[-2:], (r, s), strict=True))
    return [
        (i, j, padded[..., i : i + stride * (high - 1) + 1 : stride, j : j + stride * (wide - 1) + 1 : stride])
        for i in range(r) for j in range(s)
    ]  # fmt: skip


def convolution(name: str, source: str, shape: tuple[int, ...], rng: Random) -> tuple[Op, tuple[int, ...]]:
    b, c, high, wide = shape
    k, r, stride, pad = rng.randint(1, 4), rng.randint(1, 3), rng.randint(1, 2), rng.randint(0, 1)
    p, q = ((each + 2 * pad - r) // stride + 1 for each in (high, wide))
    text = f"""\
  - name: {name}
    shape: {{b: {b}, k: {k}, c: {c}, p: {p}, q: {q}, r: {r}, s: {r}}}
    type: {{default: int8, O: {{partial: int32, final: int8}}}}
    tensors: {{I: {{shape: [B, C, {high}, {wide}], fill: 0}}}}
    einsums:
      - O[b,k,p,q] = I[b,c,{stride}*p+r-{pad},{stride}*q+s-{pad}] * F[k,c,r,s]
    stationary: {rng.choice("OIF")}
{taken("I", source)}{scaled(rng)}"""

    def sums(v: Values) -> Array:
        total: Array = 0
        for i, j, part in windows(v[source or f"{name}.I"], r, r, stride, pad):
            total = total + np.tensordot(part, v[f"{name}.F"][:, :, i, j], axes=(1, 1)).transpose(0, 3, 1, 2)
        return total

    return Op(text, f"{name}.O", sums), (b, k, p, q)


def pooling(name: str, source: str, shape: tuple[int, ...], rng: Random) -> tuple[Op, tuple[int, ...]]:
    b, k, high, wide = shape
    p, q, mean = high // 2, wide // 2, rng.random() < 0.4
    text = f"""\
  - name: {name}
    shape: {{b: {b}, k: {k}, p: {p}, q: {q}, r: 2, s: 2}}
    type: {{default: int8, P: {{partial: int{32 if mean else 8}, final: int8}}}}
    tensors: {{X: {{shape: [B, K, {high}, {wide}]}}}}
    einsums:
      - P[b,k,p,q] = {"" if mean else "max[r,s]"}(X[b,k,2*p+r,2*q+s])
{taken("X", source)}{"    outputs: {multiplier: 1, shift: 2}" if mean else ""}
"""

    def sums(v: Values) -> Array:
        x = v[source][..., : 2 * p, : 2 * q].reshape(b, k, p, 2, q, 2)
        return x.sum(axis=(3, 5)) if mean else x.max(axis=(3, 5))

    return Op(text, f"{name}.P", sums, 32 if mean else 64), (b, k, p, q)


def residual(name: str, one: str, other: str, shape: tuple[int, ...], rng: Random) -> Op:
    indices = "b,k,p,q"
    statement, how = rng.choice([
        ("X[{0}] + Y[{0}]", lambda x, y: x + y),
        ("max(X[{0}], Y[{0}]) - Y[{0}] // 3", lambda x, y: np.maximum(x, y) - y // 3),
        ("X[{0}] * Y[{0}] // 64", lambda x, y: x * y // 64),
        ("X[{0}] % 7 * (Y[{0}] > 0) + p", lambda x, y: x % 7 * np.sign(np.maximum(y, 0)) + np.arange(shape[2])[:, None]),
    ])  # fmt: skip
    sizes = dict(zip("bkpq", shape, strict=True))
    text = f"""\
  - name: {name}
    shape: {{{", ".join(f"{rank}: {size}" for rank, size in sizes.items())}}}
    type: {{default: int8}}
    einsums:
      - R[{indices}] = max(-128, min(127, {statement.format(indices)}))
    takes: {{X: {one}, Y: {other}}}
"""
    return Op(text, f"{name}.R", lambda v: np.clip(how(v[one], v[other]), -128, 127), 64)


def dense(name: str, source: str, shape: tuple[int, ...], many: int, rng: Random, stays: str = "") -> tuple[Op, tuple[int, ...]]:
    """Of images, in the order of their words, or of rows."""
    b, *rest = shape
    if len(rest) == 1:
        flat, declared = "i", f"[B, {rest[0]}]"
    else:
        c, high, wide = rest
        flat, declared = f"i // {high * wide}, i // {wide} % {high}, i % {wide}", f"[B, {c}, {high}, {wide}]"
    text = f"""\
  - name: {name}
    shape: {{b: {b}, i: {int(np.prod(rest))}, n: {many}}}
    type: {{default: int8, Y: {{partial: int32, final: int8}}}}
    tensors: {{X: {{shape: {declared}}}}}
    einsums:
      - Y[b,n] = X[b, {flat}] * W[i,n]
    stationary: {stays or rng.choice("YWX")}
{taken("X", source)}{scaled(rng)}"""
    return Op(text, f"{name}.Y", lambda v: v[source].reshape(b, -1) @ v[f"{name}.W"]), (b, many)


def outer(name: str, one: str, other: str, shape: tuple[int, ...], rng: Random) -> tuple[Op, tuple[int, ...]]:
    """A product of two tensors that both depend on what is before them."""
    b, n = shape
    text = f"""\
  - name: {name}
    shape: {{b: {b}, c: 1, n: {n}, m: {n}}}
    type: {{default: int8, S: {{partial: int32, final: int8}}}}
    einsums:
      - S[b,c,n,m] = X[b,n] * Z[b,m]
    takes: {{X: {one}, Z: {other}}}
"""
    return Op(text, f"{name}.S", lambda v: (v[one][:, :, None] * v[other][:, None, :])[:, None], 64), (b, 1, n, n)


def taken(own: str, source: str) -> str:
    return f"    takes: {{{own}: {source}}}\n" if source else ""


def scaled(rng: Random) -> str:
    how = rng.choice(["", "{low: 0}", "{multiplier: 3, shift: 9}", "{multiplier: 700, shift: 17, zero: -4, low: -60}"])
    return f"    outputs: {how}\n" if how else ""


def network(seed: int) -> tuple[str, list[Op]]:
    """A campaign file, and the layers."""
    rng = Random(seed)
    shape: tuple[int, ...] = (rng.randint(1, 3), rng.randint(1, 2), rng.randint(4, 6), rng.randint(4, 6))
    first, shape = convolution("c1", "", shape, rng)
    ops = [first]
    if rng.random() < 0.7:
        made, _ = convolution_alike("c2", ops[-1].makes, shape, rng)
        ops += [made, residual("r1", ops[-1].makes, made.makes, shape, rng)]
    if min(shape[2:]) >= 2 and rng.random() < 0.7:
        made, shape = pooling("p1", ops[-1].makes, shape, rng)
        ops.append(made)
    if rng.random() < 0.5:
        made, flat = dense("d1", ops[-1].makes, shape, rng.randint(2, 4), rng)
        twin, _ = dense("d2", ops[-1].makes, shape, flat[1], rng)
        product, shape = outer("o1", made.makes, twin.makes, flat, rng)
        ops += [made, twin, product]
    made, _ = dense("last", ops[-1].makes, shape, rng.randint(2, 5), rng)
    ops.append(made)
    text = f"""\
campaign: random
arch: systolic128
set: {{arch.rows.size: {rng.randint(1, 4)}, arch.columns.size: {rng.randint(1, 4)}}}
network:
{"".join(each.text for each in ops)}
inputs: {{draw: {rng.choice(("uniform", "normal"))}, seed: {seed}}}
decision: n
"""
    return text, ops


def convolution_alike(name: str, source: str, shape: tuple[int, ...], rng: Random) -> tuple[Op, tuple[int, ...]]:
    """A 3 x 3 convolution that keeps the shape."""
    b, k, p, q = shape
    text = f"""\
  - name: {name}
    shape: {{b: {b}, k: {k}, c: {k}, p: {p}, q: {q}, r: 3, s: 3}}
    type: {{default: int8, O: {{partial: int32, final: int8}}}}
    tensors: {{I: {{shape: [B, C, P, Q], fill: 0}}}}
    einsums:
      - O[b,k,p,q] = I[b,c,p+r-1,q+s-1] * F[k,c,r,s]
    stationary: {rng.choice("OIF")}
{taken("I", source)}{scaled(rng)}"""

    def sums(v: Values) -> Array:
        total: Array = 0
        for i, j, part in windows(v[source], 3, 3, 1, 1):
            total = total + np.tensordot(part, v[f"{name}.F"][:, :, i, j], axes=(1, 1)).transpose(0, 3, 1, 2)
        return total

    return Op(text, f"{name}.O", sums), shape


def quantised(sums: Array, wraps: int, scale: Mapping[str, int]) -> Array:
    """Values of sums, one after the other by whole numbers of Python."""
    found = []
    for word in sums.ravel().tolist():
        word = (word + (1 << wraps - 1)) % (1 << wraps) - (1 << wraps - 1)
        half = (1 << scale["shift"]) // 2
        found.append(min(max((word * scale["multiplier"] + half) // (1 << scale["shift"]) + scale["zero"], scale["low"]), scale["high"]))
    return np.array(found, np.int64).reshape(sums.shape)


def whole_run(ops: list[Op], inputs: Values, scales: Mapping[str, Mapping[str, int]], instead: Values) -> Values:
    """All tensors; those of `instead` are not worked out."""
    values = {**inputs, **instead}
    for op in ops:
        if op.makes not in instead:
            values[op.makes] = quantised(op.sums(values), op.wraps, scales[op.makes])
    return values
