"""ONNX operators that sum products: convolutions, matrix products, with floating-point and with quantised numbers."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.errors import InputError
from accelsim.io.importers.arithmetic import Make, call, contract, elementwise
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.sketch import Apply, Formula, Sketch, View
from accelsim.io.importers.views import Window, reshape, slide, transpose


def windows(node: Node, sizes: Sequence[int], kernel: Sequence[int], ceiling: bool = False) -> list[Window]:
    """How windows slide over dimensions of some sizes, after the attributes of a convolution or a pool."""
    many = len(sizes)
    strides, dilations = node("strides", [1] * many), node("dilations", [1] * many)
    pads, how = node("pads", [0] * 2 * many), node("auto_pad", "NOTSET")
    if not many == len(kernel) == len(strides) == len(dilations) or len(pads) != 2 * many:
        raise InputError(f"has attributes for another number of dimensions than {many}", "check the file")
    found = []
    for at, (size, elements, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        if min(elements, stride, dilation) < 1:
            raise InputError("has a kernel, stride or dilation below 1", "check the file")
        reach = (elements - 1) * dilation + 1
        if how in ("SAME_UPPER", "SAME_LOWER"):
            count = -(-size // stride)
            total = max((count - 1) * stride + reach - size, 0)
            before = total // 2 if how == "SAME_UPPER" else total - total // 2
        else:
            before, after = (0, 0) if how == "VALID" else (pads[at], pads[at + many])
            over = size + before + after - reach
            count = (-(-over // stride) if ceiling else over // stride) + 1
            if ceiling and (count - 1) * stride >= size + before:
                count -= 1  # a window that begins in what is padded after is none
        if count < 1 or before < 0:
            raise InputError(f"has no room for its kernel of {elements} in {size}", "check the file")
        found.append(Window(count, stride, elements, dilation, before))
    return found


def convolve(node: Node, x: View, w: View, type: str, partial: str = "", fill: float = 0.0, make: Make | None = None) -> View:
    """A convolution of groups, without what is added; `make`: of what products are summed."""
    sketch = node.sketch
    (batch, channels, *sizes), (many, part, *kernel) = sketch.shape(x), sketch.shape(w)
    groups = int(node("group", 1))
    if groups < 1 or channels != part * groups or many % groups or len(sizes) != len(kernel):
        raise InputError(f"convolves {channels} channels by {groups} groups of {part}", "check the file")
    named(sketch, w, ("k", "c", *"rsu"))
    slid = slide(sketch, x, 2, windows(node, sizes, kernel), fill, ("pqo" if len(sizes) < 3 else "opq", "rsu"))
    places = sketch.shape(slid)[2 : 2 + len(sizes)]
    left = reshape(sketch, slid, [batch, groups, part, *places, *kernel])
    right = reshape(sketch, w, [groups, many // groups, part, *kernel])
    outer, inner = [f"p{at}" for at in range(len(sizes))], [f"r{at}" for at in range(len(sizes))]
    named(sketch, left, ("b", "g"))
    out = ["b", "g", "k", *outer]
    labels = [["b", "g", "c", *outer, *inner], ["g", "k", "c", *inner]]
    made = contract(sketch, node.result, [left, right], labels, out, type, partial, make)
    return reshape(sketch, made, [batch, many, *places])


def named(sketch: Sketch, view: View, hints: Sequence[str]) -> None:
    """Say what the ranks of dimensions might be called."""
    for dim, hint in zip(view.dims, hints, strict=False):
        for rank in dim if len(dim) == 1 else ():
            sketch.hint(rank, hint)


def conv(node: Node) -> list[View]:
    """Conv."""
    sums = convolve(node, node.given(0), node.given(1), node.type)
    return [_plus_bias(node, sums, node.optional(2), node.type)]


def _plus_bias(node: Node, sums: View, bias: View | None, type: str) -> View:
    if bias is None:
        return sums
    shape = [node.sketch.size(dim) for dim in bias.dims] + [1] * (len(sums.dims) - 2)
    return elementwise(
        node.sketch, f"{node.result}_biased", [sums, reshape(node.sketch, bias, shape)], lambda a, b: Apply("add", (a, b)), type
    )


def multiply(sketch: Sketch, name: str, a: View, b: View, type: str, partial: str = "", make: Make | None = None) -> View:
    """numpy.matmul: the last two dimensions are matrices, those before them are repeated along each other."""
    width = max(len(a.dims), len(b.dims), 2)
    left = [f"b{at}" for at in range(width - len(a.dims), width - 2)] + ["m", "k"] if len(a.dims) > 1 else ["k"]
    right = [f"b{at}" for at in range(width - len(b.dims), width - 2)] + ["k", "n"] if len(b.dims) > 1 else ["k"]
    if not a.dims or not b.dims:
        raise InputError("multiplies a number as a matrix", "check the file")
    named(sketch, a, left)
    named(sketch, b, right)
    out = [f"b{at}" for at in range(width - 2)] + (["m"] if len(a.dims) > 1 else []) + (["n"] if len(b.dims) > 1 else [])
    return contract(sketch, name, [a, b], [left, right], [label for label in out if label in {*left, *right}], type, partial, make)


def product(node: Node) -> list[View]:
    """MatMul."""
    return [multiply(node.sketch, node.result, node.given(0), node.given(1), node.type)]


def gemm(node: Node) -> list[View]:
    """Gemm: alpha * A * B + beta * C."""
    a, b, c = node.given(0), node.given(1), node.optional(2)
    a = transpose(a, (1, 0)) if node("transA", 0) else a
    b = transpose(b, (1, 0)) if node("transB", 0) else b
    alpha, beta = float(node("alpha", 1.0)), float(node("beta", 1.0))
    sums = multiply(node.sketch, node.result, a, b, node.type)
    if c is None and alpha == 1.0:
        return [sums]

    def make(s: Formula, *rest: Formula) -> Formula:
        scaled = call("mul", s, alpha)
        return call("add", scaled, call("mul", rest[0], beta)) if rest else scaled

    return [elementwise(node.sketch, f"{node.result}_biased", [sums, *([] if c is None else [c])], make, node.type)]


def _less(node: Node, zero: View | None, axis: int | None = None, width: int = 0) -> float | View:
    """A zero point: a number, or one for each coordinate of an axis."""
    if zero is None:
        return 0.0
    number = node.sketch.number(zero)
    if number is not None:
        return number
    return along(node.sketch, zero, axis, width)


def along(sketch: Sketch, view: View, axis: int | None, width: int) -> View:
    """A vector that lies along one of several dimensions."""
    if axis is None or len(view.dims) != 1:
        raise InputError("has a scale or a zero point of a shape that is not known", "give one number, or one for each channel")
    axis = axis + width if axis < 0 else axis
    return reshape(sketch, view, [sketch.size(view.dims[0]) if at == axis else 1 for at in range(width)])


def _shifted(node: Node, at: int, zero: float | View, sign: str) -> tuple[View, float]:
    """An operand and the zero point that stays for the product; one that differs by channel is taken off before."""
    view = node.given(at)
    if isinstance(zero, float):
        return view, zero
    return elementwise(node.sketch, f"{node.result}_{sign}", [view, zero], lambda a, b: Apply("sub", (a, b)), "int16"), 0.0


def _differences(x_zero: float, w_zero: float) -> Make | None:
    """The product of differences from zero points; None where these are 0."""
    if not x_zero and not w_zero:
        return None
    return lambda x, w: Apply("mul", (call("sub", x, x_zero), call("sub", w, w_zero)))


def conv_of_integers(node: Node) -> list[View]:
    """ConvInteger."""
    x, x_zero = _shifted(node, 0, _less(node, node.optional(2)), "x")
    w, w_zero = _shifted(node, 1, _less(node, node.optional(3), 0, len(node.given(1).dims)), "w")
    return [convolve(node, x, w, "int32", "", x_zero, _differences(x_zero, w_zero))]


def product_of_integers(node: Node) -> list[View]:
    """MatMulInteger."""
    x, x_zero = _shifted(node, 0, _less(node, node.optional(2), -2, len(node.given(0).dims)), "a")
    w, w_zero = _shifted(node, 1, _less(node, node.optional(3), -1, len(node.given(1).dims)), "b")
    return [multiply(node.sketch, node.result, x, w, "int32", "", _differences(x_zero, w_zero))]


def quantised_conv(node: Node) -> list[View]:
    """QLinearConv: sums of int32, scaled and rounded."""
    x, x_zero = _shifted(node, 0, _less(node, node.optional(2)), "x")
    w, w_zero = _shifted(node, 3, _less(node, node.optional(5), 0, len(node.given(3).dims)), "w")
    sums = convolve(node, x, w, "int32", "", x_zero, _differences(x_zero, w_zero))
    sums = _plus_bias(node, sums, node.optional(8), "int32")
    return [requantised(node, sums, [node.given(1), node.given(4)], node.given(6), node.given(7), 1)]


def quantised_product(node: Node) -> list[View]:
    """QLinearMatMul."""
    x, x_zero = _shifted(node, 0, _less(node, node.optional(2), -2, len(node.given(0).dims)), "a")
    w, w_zero = _shifted(node, 3, _less(node, node.optional(5), -1, len(node.given(3).dims)), "b")
    sums = multiply(node.sketch, node.result, x, w, "int32", "", _differences(x_zero, w_zero))
    return [requantised(node, sums, [node.given(1), node.given(4)], node.given(6), node.given(7), -1)]


def requantised(node: Node, sums: View, scales: Sequence[View], scale: View, zero: View, axis: int) -> View:
    """Sums times scales over a scale, rounded, shifted and clipped to eight bits."""
    sketch, width = node.sketch, len(sums.dims)
    parts = [part if sketch.number(part) is not None else along(sketch, part, axis, width) for part in (*scales, scale, zero)]
    low, high = limits(node, zero)

    def make(s: Formula, one: Formula, other: Formula, by: Formula, shift: Formula) -> Formula:
        if isinstance(one, float) and isinstance(other, float) and isinstance(by, float):
            scaled = call("mul", s, one * other / by)
        else:
            scaled = call("div", call("mul", call("mul", s, one), other), by)
        return Apply("min", (Apply("max", (call("add", Apply("rint", (scaled,)), shift), low)), high))

    return elementwise(sketch, node.result, [sums, *parts], make, "int8")


def limits(node: Node, zero: View | None) -> tuple[float, float]:
    """The least and greatest number of eight bits, after the zero point's type; unsigned where there is none."""
    values = None if zero is None else node.sketch.tensors[zero.tensor].values
    return (-128.0, 127.0) if values is not None and values.dtype.kind == "i" else (0.0, 255.0)
