"""ONNX operators that reduce: pools, sums, means, softmax, normalisations; and changes between number types."""

from __future__ import annotations

import math
from itertools import product

from accelsim.errors import InputError
from accelsim.io.importers.arithmetic import call, contract, elementwise, mean, normal, normalised, reduce, softmax
from accelsim.io.importers.onnx_layers import along, limits, windows
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.sketch import Apply, Formula, View
from accelsim.io.importers.views import Window, reshape, slide

LOWEST = -math.inf


def pooled(node: Node) -> list[View]:
    """MaxPool and AveragePool."""
    node.one_output()
    x, kernel, sketch = node.given(0), node("kernel_shape", []), node.sketch
    sizes = sketch.shape(x)[2:]
    found = windows(node, sizes, kernel, bool(node("ceil_mode", 0)))
    average = node.kind == "AveragePool"
    slid = slide(sketch, x, 2, found, 0.0 if average else LOWEST, ("pqo" if len(sizes) < 3 else "opq", "rsu"))
    axes = list(range(2 + len(sizes), 2 + 2 * len(sizes)))
    if not average:
        return [reduce(sketch, node.result, slid, axes, "max", node.type)]
    return averaged(node, slid, axes, sizes, found)


def averaged(node: Node, slid: View, axes: list[int], sizes: tuple[int, ...], found: list[Window]) -> list[View]:
    """Sums of windows over how many elements each has: one number, or a constant by place."""
    import numpy as np

    sketch = node.sketch
    sums = reduce(sketch, f"{node.result}_sum", slid, axes, "add", node.type)
    pads = node("pads", [0] * 2 * len(sizes))
    counted = []
    for at, (window, size) in enumerate(zip(found, sizes, strict=True)):
        end = (
            size if not node("count_include_pad", 0) else size + (pads[at + len(sizes)] if node("auto_pad", "NOTSET") == "NOTSET" else size)
        )
        start = 0 if not node("count_include_pad", 0) else -window.before
        starts = [place * window.stride - window.before for place in range(window.count)]
        counted.append([sum(start <= first + at * window.dilation < end for at in range(window.kernel)) for first in starts])
    if all(len(set(each)) == 1 for each in counted):
        return [
            elementwise(sketch, node.result, [sums], lambda s: call("div", s, float(math.prod(each[0] for each in counted))), node.type)
        ]
    shares = np.array([1.0 / math.prod(each) for each in product(*counted)]).reshape([len(each) for each in counted])
    view = sketch.source(f"{node.result}_shares", shares.shape, node.type, shares, kind="constant")
    return [elementwise(sketch, node.result, [sums, view], lambda a, b: Apply("mul", (a, b)), node.type)]


def pooled_whole(node: Node) -> list[View]:
    """GlobalMaxPool and GlobalAveragePool."""
    x = node.given(0)
    axes = list(range(2, len(x.dims)))
    if node.kind == "GlobalMaxPool":
        return [reduce(node.sketch, node.result, x, axes, "max", node.type, keep=True)]
    return [mean(node.sketch, node.result, x, axes, node.type, keep=True)]


def _square(x: Formula) -> Formula:
    return Apply("mul", (x, x))


_REDUCTIONS = {
    "ReduceSum": ("add", None), "ReduceMax": ("max", None), "ReduceMin": ("min", None), "ReduceProd": ("mul", None),
    "ReduceSumSquare": ("add", _square), "ReduceL2": ("add", _square), "ReduceL1": ("add", lambda x: Apply("abs", (x,))),
    "ReduceMean": ("add", None),
}  # fmt: skip


def reduced(node: Node) -> list[View]:
    """ReduceSum, ReduceMean and the like."""
    x, axes = node.given(0), node.whole_numbers(1, "axes", "axes")
    if not axes and node("noop_with_empty_axes", 0):
        return [x]
    axes = normal(axes or list(range(len(x.dims))), len(x.dims))
    keep = bool(node("keepdims", 1))
    if node.kind == "ReduceMean":
        return [mean(node.sketch, node.result, x, axes, node.type, keep)]
    operator, make = _REDUCTIONS[node.kind]
    if node.kind == "ReduceL2":
        squares = reduce(node.sketch, f"{node.result}_squares", x, axes, operator, node.type, keep, make)
        return [elementwise(node.sketch, node.result, [squares], lambda s: Apply("sqrt", (s,)), node.type)]
    return [reduce(node.sketch, node.result, x, axes, operator, node.type, keep, make)]


def softmaxed(node: Node) -> list[View]:
    """Softmax and LogSoftmax; before version 13 over all dimensions from the axis on."""
    x = node.given(0)
    (axis,) = normal([int(node("axis", -1 if node.version >= 13 else 1))], len(x.dims))
    axes = [axis] if node.version >= 13 else list(range(axis, len(x.dims)))
    return [softmax(node.sketch, node.result, x, axes, node.type, node.kind == "LogSoftmax")]


def layer_normalised(node: Node) -> list[View]:
    """LayerNormalization and RMSNormalization."""
    node.one_output()
    x = node.given(0)
    (first,) = normal([int(node("axis", -1))], len(x.dims))
    axes = list(range(first, len(x.dims)))
    scales = [node.optional(1), node.optional(2)]
    epsilon = float(node("epsilon", 1e-5))
    return [normalised(node.sketch, node.result, x, axes, epsilon, scales, node.type, not node.kind.startswith(("RMS", "Simplified")))]


def instance_normalised(node: Node) -> list[View]:
    """InstanceNormalization: over the dimensions after the channels."""
    x, width = node.given(0), len(node.given(0).dims)
    scales = [along(node.sketch, node.given(at), 1, width) for at in (1, 2)]
    return [normalised(node.sketch, node.result, x, list(range(2, width)), float(node("epsilon", 1e-5)), scales, node.type)]


def group_normalised(node: Node) -> list[View]:
    """GroupNormalization: over the channels of a group and the dimensions after them, with a scale for each channel."""
    sketch, x, groups = node.sketch, node.given(0), int(node("num_groups", 1))
    sizes = sketch.shape(x)
    if groups < 1 or sizes[1] % groups or node.version < 21:
        raise InputError("groups its channels in a way that is not known", "write version 21 of the operators")
    parted = reshape(sketch, x, [sizes[0], groups, sizes[1] // groups, *sizes[2:]])
    inside = list(range(2, len(parted.dims)))
    scales = [reshape(sketch, node.given(at), [groups, sizes[1] // groups, *([1] * (len(sizes) - 2))]) for at in (1, 2)]
    made = normalised(sketch, node.result, parted, inside, float(node("epsilon", 1e-5)), scales, node.type)
    return [reshape(sketch, made, sizes)]


def batch_normalised(node: Node) -> list[View]:
    """BatchNormalization with statistics that are given: one scale and one shift for each channel."""
    node.one_output()
    sketch, x, epsilon = node.sketch, node.given(0), float(node("epsilon", 1e-5))
    if node("training_mode", 0):
        raise InputError("is in training mode", "export the network for inference")
    parts = [node.given(at) for at in range(1, 5)]
    arrays = [sketch.tensors[part.tensor].values for part in parts]
    width = len(x.dims)
    if all(array is not None for array in arrays):
        scale, shift, average, variance = (array.reshape(-1).astype("float64") for array in arrays)
        by = scale / (variance + epsilon) ** 0.5
        folded = ((f"{node.result}_scale", by), (f"{node.result}_shift", shift - average * by))
        parts = [sketch.source(name, array.shape, node.type, array, "c", "constant") for name, array in folded]
        scale_view, shift_view = (along(sketch, part, 1, width) for part in parts)
        return [elementwise(sketch, node.result, [x, scale_view, shift_view], lambda a, s, t: call("add", call("mul", a, s), t), node.type)]
    views = [along(sketch, part, 1, width) for part in parts]

    def make(a: Formula, s: Formula, t: Formula, m: Formula, v: Formula) -> Formula:
        return call("add", call("mul", call("div", call("sub", a, m), Apply("sqrt", (call("add", v, epsilon),))), s), t)

    return [elementwise(sketch, node.result, [x, *views], make, node.type)]


def _scales(node: Node) -> list[View | None]:
    """The input, its scale and its zero point, along the axis that they are for."""
    width, axis = len(node.given(0).dims), int(node("axis", 1))
    if node("block_size", 0):
        raise InputError("has a scale for each block", "one number, or one for each channel, is known")
    parts = [node.optional(1), node.optional(2)]
    return [part if part is None or node.sketch.number(part) is not None else along(node.sketch, part, axis, width) for part in parts]


def quantised(node: Node) -> list[View]:
    """QuantizeLinear to eight bits."""
    scale, zero = _scales(node)
    low, high = limits(node, node.optional(2))
    views = [view for view in (node.given(0), scale, zero) if view is not None]

    def make(x: Formula, by: Formula, shift: Formula = 0.0) -> Formula:
        return Apply("min", (Apply("max", (call("add", Apply("rint", (call("div", x, by),)), shift), low)), high))

    return [elementwise(node.sketch, node.result, views, make, "int8")]


def dequantised(node: Node) -> list[View]:
    """DequantizeLinear."""
    scale, zero = _scales(node)
    views = [view for view in (node.given(0), scale, zero) if view is not None]
    return [elementwise(node.sketch, node.result, views, lambda x, by, shift=0.0: call("mul", call("sub", x, shift), by), node.type)]


def einsum(node: Node) -> list[View]:
    """Einsum without dots that stand for many dimensions."""
    equation = str(node("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    views = [node.given(at) for at in range(len(node.inputs))]
    if "." in equation or len(terms) != len(views) or any(len(term) != len(view.dims) for term, view in zip(terms, views, strict=False)):
        raise InputError(f"has the equation '{equation[:60]}'", "write one letter for each dimension")
    out = right if arrow else "".join(sorted(letter for letter in set(left) - {","} if left.count(letter) == 1))
    if any(len(set(term)) < len(term) for term in (*terms, out)) or not set(out) <= set(left):
        raise InputError(f"has the equation '{equation[:60]}'", "name each dimension of a tensor once")
    return [contract(node.sketch, node.result, views, terms, out, node.type)]
