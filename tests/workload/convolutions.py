"""Direct numpy computations of shipped convolutions, in the way of a deep-learning library: pad, take windows, multiply.

Images are [batch, channel, row, column].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Case = tuple[dict[str, int], Callable[[Arrays], Arrays]]


def windows(image: Any, rows: int, columns: int, stride: int = 1, pad: int = 0, fill: float = 0.0) -> Any:
    """Windows of a padded image: [batch, channel, p, q, r, s]."""
    padded = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(2, 3))[:, :, ::stride, ::stride]


def convolution(image: Any, weights: Any, stride: int = 1, pad: int = 0) -> Any:
    """All channels with all channels; weights are [k, c, r, s]."""
    return np.tensordot(windows(image, *weights.shape[2:], stride, pad), weights, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def depthwise(image: Any, weights: Any, stride: int = 1, pad: int = 0) -> Any:
    """Every channel by itself; weights are [c, r, s]."""
    return (windows(image, *weights.shape[1:], stride, pad) * weights[:, None, None]).sum((-2, -1))


def pointwise(image: Any, weights: Any) -> Any:
    """Channels multiplied at every place; weights are [k, c]."""
    return np.moveaxis(np.moveaxis(image, 1, -1) @ weights.T, -1, 1)


def scaled(image: Any, factors: Any, offsets: Any) -> Any:
    """A normalisation whose mean and variance are part of its factors and offsets."""
    return image * factors[:, None, None] + offsets[:, None, None]


def relu(values: Any) -> Any:
    return np.maximum(values, 0)


def relu6(values: Any) -> Any:
    return np.clip(values, 0, 6)


def partial(i: Arrays) -> Arrays:
    """The first channels convolved, the others as they are, then a product over all of them."""
    first = len(i["F"])
    mixed = np.concatenate([convolution(i["I"][:, :first], i["F"], pad=1), i["I"][:, first:]], axis=1)
    return {"Y": relu(pointwise(mixed, i["W"]))}


def streaming(i: Arrays) -> Arrays:
    new = i["I"].shape[-1] - i["F"].shape[-1] + 1 - 5  # 5 columns are new in the case below
    computed = convolution(i["I"][None], i["F"])[0]
    return {"O": np.concatenate([i["OLD"][..., 5:], computed[..., new:]], axis=-1)}


def separable(i: Arrays) -> Arrays:
    deep = relu(scaled(depthwise(i["I"], i["FD"], pad=1), i["GD"], i["BD"]))
    return {"Y": relu(scaled(pointwise(deep, i["FO"]), i["GO"], i["BO"]))}


def inverted(i: Arrays) -> Arrays:
    wide = relu6(scaled(pointwise(i["I"], i["FX"]), i["GX"], i["BX"]))
    deep = relu6(scaled(depthwise(wide, i["FD"], pad=1), i["GD"], i["BD"]))
    return {"Y": scaled(pointwise(deep, i["FO"]), i["GO"], i["BO"]) + i["I"]}


CASES: dict[str, Case] = {
    "cnn/conv2d-strided": (
        {"b": 2, "k": 3, "c": 2, "p": 4, "q": 5, "r": 3, "s": 3},
        lambda i: {"O": convolution(i["I"], i["F"], stride=2, pad=1)},
    ),
    "cnn/conv2d-alexnet": (
        {"b": 2, "k": 3, "c": 2, "p": 4, "q": 5, "r": 5, "s": 3, "stride": 3},
        lambda i: {"O": convolution(i["I"], i["F"], stride=3, pad=0)},
    ),
    "cnn/conv2d-depthwise": ({"b": 2, "c": 4, "p": 4, "q": 5, "r": 3, "s": 2}, lambda i: {"O": depthwise(i["I"], i["F"])}),
    "cnn/conv2d-pointwise": ({"b": 2, "k": 3, "c": 4, "p": 5, "q": 6}, lambda i: {"O": pointwise(i["I"], i["F"])}),
    "cnn/conv2d-partial": ({"b": 2, "c": 8, "k": 5, "a": 2, "u": 2, "p": 5, "q": 6, "r": 3, "s": 3}, partial),
    "cnn/conv2d-streaming": ({"k": 3, "c": 2, "p": 4, "w": 12, "n": 5, "r": 3, "s": 3}, streaming),
    "cnn/separable-block": ({"b": 2, "k": 3, "c": 4, "p": 5, "q": 6, "r": 3, "s": 3}, separable),
    "cnn/inverted-residual": ({"b": 2, "c": 3, "k": 3, "e": 7, "p": 5, "q": 6, "r": 3, "s": 3}, inverted),
}
