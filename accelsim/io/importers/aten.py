"""Operators of PyTorch's ATen library, as torch.export writes them, on views. To add one: a function and a row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from accelsim.errors import InputError
from accelsim.io.importers.arithmetic import call, contract, elementwise, join, mean, normal, normalised, reduce, softmax
from accelsim.io.importers.onnx_layers import along, convolve, multiply, windows
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.onnx_points import POINTS
from accelsim.io.importers.onnx_sums import averaged
from accelsim.io.importers.sketch import Apply, Formula, Index, Place, Sketch, View
from accelsim.io.importers.views import Window, choose, cut, expand, pad, reshape, slide, transpose

Result = View | list[View]
Operator = Callable[..., Result]


class Aten:
    """The operators, with the sketch that they draw in, and the name and the type of the result at hand."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch, self.name, self.type = sketch, "", "fp32"

    def find(self, operator: str) -> Operator | None:
        """The function of an operator by its name without overload and trailing underscore."""
        name = operator.rstrip("_") if not operator.startswith("_") else operator
        if re.fullmatch(r"conv(\dd|olution)", name):
            return self.slid_products if name[4:5].isdigit() else self.general_products
        if name.startswith("scaled_dot_product_"):
            return self.weighted
        if name in _POINTS:
            return lambda *parts, **more: self.point(_POINTS[name], *parts, **more)
        found: Operator | None = getattr(self, f"op_{name}", None)
        return found

    def point(self, make: Callable[..., Formula], *parts: View | float, **more: Any) -> View:
        """A formula at every point of views and numbers."""
        views = [part for part in parts if isinstance(part, View)]
        if more.get("alpha", 1) != 1:
            raise InputError("scales its second operand", "write the product out")
        if any(not isinstance(part, (View, int, float)) for part in parts):
            raise InputError("has arguments that are not known", "export it in another form")

        def formula(*reads: Formula) -> Formula:
            rest = iter(reads)
            return make(*(next(rest) if isinstance(part, View) else float(part) for part in parts))

        return elementwise(self.sketch, self.name, views, formula, self.type)

    def _node(self, attributes: dict[str, Any]) -> Node:
        return Node(self.sketch, "AveragePool", self.name, (), attributes, (self.name,), 18, self.type)

    def slid_products(
        self, x: View, w: View, b: View | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> View:
        """conv1d, conv2d and conv3d; padding may be 'same' or 'valid'."""
        many = len(x.dims) - 2
        auto = {"same": "SAME_UPPER", "valid": "VALID"}.get(padding, "NOTSET") if isinstance(padding, str) else "NOTSET"
        pads = _each(padding, many) if auto == "NOTSET" else [0] * many
        attributes = {
            "strides": _each(stride, many),
            "dilations": _each(dilation, many),
            "group": groups,
            "pads": [*pads, *pads],
            "auto_pad": auto,
        }
        sums = convolve(self._node(attributes), x, w, self.type)
        if b is None:
            return sums
        shape = [self.sketch.size(b.dims[0]), *([1] * many)]
        return self.point(_sum, sums, reshape(self.sketch, b, shape))

    def general_products(
        self, x: View, w: View, b: View | None, stride: Any, padding: Any, dilation: Any, transposed: bool, output: Any, groups: int
    ) -> View:
        """convolution, which is general."""
        if transposed:
            raise InputError("is transposed", "only convolutions forwards are known")
        return self.slid_products(x, w, b, stride, padding, dilation, groups)

    def op_linear(self, x: View, w: View, b: View | None = None) -> View:
        sums = multiply(self.sketch, self.name, x, transpose(w, (1, 0)), self.type)
        return sums if b is None else self.point(_sum, sums, b)

    def op_matmul(self, a: View, b: View) -> View:
        return multiply(self.sketch, self.name, a, b, self.type)

    op_mm = op_bmm = op_mv = op_dot = op_matmul

    def op_addmm(self, c: View, a: View, b: View, beta: float = 1.0, alpha: float = 1.0) -> View:
        sums = multiply(self.sketch, self.name, a, b, self.type)
        return self.point(lambda s, t: call("add", call("mul", s, float(alpha)), call("mul", t, float(beta))), sums, c)

    op_baddbmm = op_addmm

    def op_einsum(self, equation: str, views: Sequence[View], **_: Any) -> View:
        left, arrow, right = equation.replace(" ", "").partition("->")
        terms = left.split(",")
        repeated = any(len(set(term)) < len(term) for term in terms)
        if "." in equation or not arrow or repeated or any(len(term) != len(view.dims) for term, view in zip(terms, views, strict=True)):
            raise InputError(f"has the equation '{equation[:60]}'", "write one letter for each dimension")
        return contract(self.sketch, self.name, list(views), terms, right, self.type)

    def weighted(
        self, q: View, k: View, v: View, mask: View | None = None, dropout: float = 0.0, is_causal: bool = False, *,
        scale: float | None = None, enable_gqa: bool = False,
    ) -> View:  # fmt: skip
        """softmax(q k / sqrt(e)) v; causal: keys up to the query's own place alone, and no other point exists."""
        sketch, name, width = self.sketch, self.name.removeprefix("scaled_dot_product_"), len(q.dims)
        if enable_gqa:
            k, v = (self._repeated(part, sketch.size(q.dims[-3])) for part in (k, v))
        by = 1 / math.sqrt(sketch.size(q.dims[-1])) if scale is None else float(scale)
        q = elementwise(sketch, f"{name}_scaled", [q], lambda x: call("mul", x, by), self.type)
        batch = [f"b{at}" for at in range(width - 2)]
        scores = contract(sketch, f"{name}_scores", [q, k], [[*batch, "p", "e"], [*batch, "m", "e"]], [*batch, "p", "m"], self.type)
        if mask is not None:
            kind = sketch.tensors[mask.tensor].type

            def masked(x: Formula, y: Formula) -> Formula:
                return call("add", x, Apply("take", (Apply("not", (y,)), -math.inf)) if kind == "int8" else y)

            scores = elementwise(sketch, f"{name}_masked", [scores, mask], masked, self.type)
        first = len(sketch.statements) - 1
        weights = softmax(sketch, f"{name}_weights", scores, [width - 1], self.type)
        made = contract(sketch, name, [weights, v], [[*batch, "p", "m"], [*batch, "m", "f"]], [*batch, "p", "f"], self.type)
        if is_causal:
            self._causal(first)
        return made

    def _repeated(self, view: View, heads: int) -> View:
        *front, own, long, wide = self.sketch.shape(view)
        if heads % own:
            raise InputError(f"shares {own} heads among {heads}", "check the program")
        made = expand(self.sketch, reshape(self.sketch, view, [*front, own, 1, long, wide]), [*front, own, heads // own, long, wide])
        return reshape(self.sketch, made, [*front, heads, long, wide])

    def _causal(self, first: int) -> None:
        """Put the condition on every statement from the scores on that has both queries and keys."""
        import dataclasses

        sketch = self.sketch
        scores = sketch.statements[first].output
        tensors: dict[str, tuple[int, int]] = {scores.tensor: (len(scores.indices) - 2, len(scores.indices) - 1)}
        for at in range(first, len(sketch.statements)):
            statement = sketch.statements[at]
            parts = [part for part in (statement.output, *_reads(statement.formula)) if part.tensor in tensors]
            for part in parts[:1]:
                p, m = (part.indices[axis] for axis in tensors[part.tensor])
                assert isinstance(p, Index) and isinstance(m, Index)
                condition = Apply("le", (Place(m), Place(p)))
                sketch.statements[at] = dataclasses.replace(statement, condition=condition)
                if m.pure is not None and m.pure in statement.output.ranks():
                    output = statement.output
                    axes = tuple(next(axis for axis, index in enumerate(output.indices) if index == each) for each in (p, m))
                    tensors.setdefault(output.tensor, (axes[0], axes[1]))

    def op_softmax(self, x: View, axis: int, *_: Any) -> View:
        return softmax(self.sketch, self.name, x, [axis], self.type)

    op__softmax = op_softmax

    def op_log_softmax(self, x: View, axis: int, *_: Any) -> View:
        return softmax(self.sketch, self.name, x, [axis], self.type, log=True)

    op__log_softmax = op_log_softmax

    def op_layer_norm(
        self, x: View, shape: Sequence[int], s: View | None = None, b: View | None = None, eps: float = 1e-5, *_: Any
    ) -> View:
        axes = list(range(len(x.dims) - len(shape), len(x.dims)))
        return normalised(self.sketch, self.name, x, axes, float(eps), [s, b], self.type)

    def op_rms_norm(self, x: View, shape: Sequence[int], s: View | None = None, eps: float | None = None) -> View:
        axes = list(range(len(x.dims) - len(shape), len(x.dims)))
        return normalised(self.sketch, self.name, x, axes, 1.1920929e-07 if eps is None else float(eps), [s], self.type, centred=False)

    def op_group_norm(self, x: View, groups: int, s: View | None = None, b: View | None = None, eps: float = 1e-5, *_: Any) -> View:
        sizes = self.sketch.shape(x)
        shape = [sizes[0], groups, sizes[1] // groups, *sizes[2:]]
        scales = [None if p is None else reshape(self.sketch, p, [groups, sizes[1] // groups, *([1] * (len(sizes) - 2))]) for p in (s, b)]
        parted = reshape(self.sketch, x, shape)
        made = normalised(self.sketch, self.name, parted, list(range(2, len(shape))), float(eps), scales, self.type)
        return reshape(self.sketch, made, sizes)

    def op_batch_norm(
        self,
        x: View,
        s: View | None,
        b: View | None,
        mu: View | None,
        var: View | None,
        training: bool,
        momentum: float,
        eps: float,
        *_: Any,
    ) -> View:
        """With statistics that are given: one scale and one shift for each channel."""
        if training or mu is None or var is None:
            raise InputError("is in training mode", "export the program after eval()")
        arrays = [None if part is None else self.sketch.tensors[part.tensor].values for part in (s, b, mu, var)]
        if arrays[2] is None or arrays[3] is None:
            raise InputError("has statistics that are not constants", "export the program after eval()")
        scale = (1.0 if arrays[0] is None else arrays[0].reshape(-1).astype("float64")) / (arrays[3].reshape(-1) + eps) ** 0.5
        shift = (0.0 if arrays[1] is None else arrays[1].reshape(-1).astype("float64")) - arrays[2].reshape(-1) * scale
        parts = [
            self.sketch.source(f"{self.name}_{kind}", a.shape, self.type, a, "c", "constant")
            for kind, a in (("scale", scale), ("shift", shift))
        ]
        t, u = (along(self.sketch, part, 1, len(x.dims)) for part in parts)
        return self.point(lambda a, m, c: call("add", call("mul", a, m), c), x, t, u)

    def op__native_batch_norm_legit_no_training(
        self, x: View, s: Any, b: Any, mu: Any, var: Any, momentum: float, eps: float
    ) -> list[View]:
        return [self.op_batch_norm(x, s, b, mu, var, False, momentum, eps)]

    def op_max_pool2d(self, x: View, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceiling: bool = False) -> View:
        slid, axes, _, _ = self._slid(x, kernel, stride, padding, dilation, ceiling, -math.inf)
        return reduce(self.sketch, self.name, slid, axes, "max", self.type)

    def op_avg_pool2d(
        self, x: View, kernel: Any, stride: Any = None, padding: Any = 0, ceiling: bool = False, inside: bool = True, by: Any = None
    ) -> View:
        if by is not None:
            raise InputError("divides by a number of its own", "leave divisor_override out")
        slid, axes, node, found = self._slid(x, kernel, stride, padding, 1, ceiling, 0.0)
        node.attributes["count_include_pad"] = int(inside)
        return averaged(node, slid, axes, self.sketch.shape(x)[-2:], found)[0]

    def _slid(
        self, x: View, kernel: Any, stride: Any, padding: Any, dilation: Any, ceiling: bool, fill: float
    ) -> tuple[View, list[int], Node, list[Window]]:
        """Windows over the last two dimensions, and the dimensions of their elements."""
        kernel, pads = _each(kernel, 2), _each(padding, 2)
        node = self._node({"strides": _each(stride or kernel, 2), "pads": [*pads, *pads], "dilations": _each(dilation, 2)})
        first = len(x.dims) - 2
        found = windows(node, self.sketch.shape(x)[first:], kernel, ceiling)
        slid = slide(self.sketch, x, first, found, fill, ("pq", "rs"))
        return slid, [first + 2, first + 3], node, found

    def op_adaptive_avg_pool2d(self, x: View, size: Sequence[int]) -> View:
        if any(want != 1 for want in size):
            have = self.sketch.shape(x)[-2:]
            if any(own % want for own, want in zip(have, size, strict=True)):
                raise InputError("averages parts of unequal size", "choose an output size that divides the input's")
            return self.op_avg_pool2d(x, [own // want for own, want in zip(have, size, strict=True)])
        return mean(self.sketch, self.name, x, [-2, -1], self.type, keep=True)

    def op_mean(self, x: View, axes: Sequence[int] | None = None, keep: bool = False, **_: Any) -> View:
        return mean(self.sketch, self.name, x, list(axes) if axes else list(range(len(x.dims))), self.type, keep)

    def op_sum(self, x: View, axes: Sequence[int] | None = None, keep: bool = False, **_: Any) -> View:
        return reduce(self.sketch, self.name, x, list(axes) if axes else list(range(len(x.dims))), "add", self.type, keep)

    def op_amax(self, x: View, axes: Sequence[int] = (), keep: bool = False) -> View:
        return reduce(self.sketch, self.name, x, list(axes) or list(range(len(x.dims))), "max", self.type, keep)

    def op_view(self, x: View, shape: Sequence[int], *_: Any) -> View:
        known = math.prod(size for size in shape if size != -1)
        total = self.sketch.size([rank for dim in x.dims for rank in dim])
        return reshape(self.sketch, x, [total // max(known, 1) if size == -1 else size for size in shape])

    op_reshape = op__unsafe_view = op_view

    def op_flatten(self, x: View, start: int = 0, end: int = -1) -> View:
        sizes = self.sketch.shape(x)
        start, end = normal([start], len(sizes))[0], normal([end], len(sizes))[0]
        return reshape(self.sketch, x, [*sizes[:start], math.prod(sizes[start : end + 1]), *sizes[end + 1 :]])

    def op_permute(self, x: View, order: Sequence[int]) -> View:
        return transpose(x, normal(order, len(x.dims)))

    def op_transpose(self, x: View, one: int, other: int) -> View:
        order = list(range(len(x.dims)))
        one, other = normal([one], len(order))[0], normal([other], len(order))[0]
        order[one], order[other] = order[other], order[one]
        return transpose(x, order)

    def op_t(self, x: View) -> View:
        return transpose(x, list(reversed(range(len(x.dims)))))

    def op_squeeze(self, x: View, axes: Any = None) -> View:
        sizes = self.sketch.shape(x)
        chosen = range(len(sizes)) if axes is None else normal(axes if isinstance(axes, Sequence) else [axes], len(sizes))
        return reshape(self.sketch, x, [size for at, size in enumerate(sizes) if at not in chosen or size != 1])

    def op_unsqueeze(self, x: View, axis: int) -> View:
        sizes = list(self.sketch.shape(x))
        sizes.insert(normal([axis], len(sizes) + 1)[0], 1)
        return reshape(self.sketch, x, sizes)

    def op_expand(self, x: View, shape: Sequence[int], **_: Any) -> View:
        sizes = [*([1] * (len(shape) - len(x.dims))), *self.sketch.shape(x)]
        return expand(self.sketch, x, [own if want == -1 else want for own, want in zip(sizes, shape, strict=True)])

    def op_slice(self, x: View, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> View:
        (axis,) = normal([axis], len(x.dims))
        part = range(*slice(start, end, step).indices(self.sketch.size(x.dims[axis])))
        return cut(self.sketch, x, axis, part.start, step, len(part))

    def op_select(self, x: View, axis: int, at: int) -> View:
        (axis,) = normal([axis], len(x.dims))
        size = self.sketch.size(x.dims[axis])
        part = cut(self.sketch, x, axis, at + size if at < 0 else at, 1, 1)
        return View(part.tensor, (*part.dims[:axis], *part.dims[axis + 1 :]), part.indices)

    def op_unbind(self, x: View, axis: int = 0) -> list[View]:
        (axis,) = normal([axis], len(x.dims))
        return [self.op_select(x, axis, at) for at in range(self.sketch.size(x.dims[axis]))]

    def op_split(self, x: View, sizes: Any, axis: int = 0) -> list[View]:
        (axis,) = normal([axis], len(x.dims))
        total = self.sketch.size(x.dims[axis])
        many = sizes if isinstance(sizes, Sequence) else [min(sizes, total - at) for at in range(0, total, sizes)]
        return [cut(self.sketch, x, axis, sum(many[:at]), 1, size) for at, size in enumerate(many)]

    op_split_with_sizes = op_split

    def op_chunk(self, x: View, parts: int, axis: int = 0) -> list[View]:
        return self.op_split(x, -(-self.sketch.size(x.dims[normal([axis], len(x.dims))[0]]) // parts), axis)

    def op_cat(self, views: Sequence[View], axis: int = 0) -> View:
        return views[0] if len(views) == 1 else join(self.sketch, self.name, list(views), axis, self.type)

    def op_embedding(self, table: View, index: View, *_: Any) -> View:
        chosen = choose(self.sketch, table, 0, index, self.sketch.size(table.dims[0]))
        ranks, (read,) = self.sketch.align([chosen], [range(len(chosen.dims))])
        return self.sketch.define(self.name, [ranks.get(at, ()) for at in range(len(chosen.dims))], read, self.type)

    def op_constant_pad_nd(self, x: View, pads: Sequence[int], value: float = 0.0) -> View:
        before, after = [0] * len(x.dims), [0] * len(x.dims)
        for at in range(len(pads) // 2):
            before[-1 - at], after[-1 - at] = pads[2 * at], pads[2 * at + 1]
        return pad(self.sketch, x, before, after, float(value))

    op_pad = op_constant_pad_nd

    def op_alias(self, x: View, *_: Any, **__: Any) -> View:
        return x

    op_clone = op_contiguous = op_detach = op_dropout = op_to = op__to_copy = op_lift_fresh_copy = op_alias


def _reads(formula: Formula) -> Sequence[Any]:
    from accelsim.io.importers.sketch import reads

    return reads(formula)


def _each(value: Any, many: int) -> list[int]:
    """A number for each dimension."""
    found = [int(each) for each in value] if isinstance(value, Sequence) else [int(value)]
    return found * many if len(found) == 1 else found


def _sum(x: Formula, y: Formula) -> Formula:
    return Apply("add", (x, y))


def _gelu(x: Formula, approximate: float = 0.0) -> Formula:
    return Apply("gelu", (x,))


_ONNX = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs", "neg": "Neg",
         "erf": "Erf", "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min",
         "reciprocal": "Reciprocal", "sin": "Sin", "cos": "Cos", "floor": "Floor", "where": "Where", "gt": "Greater", "lt": "Less",
         "ge": "GreaterOrEqual", "le": "LessOrEqual", "eq": "Equal", "logical_not": "Not", "logical_and": "And", "silu": "Silu",
         "hardswish": "HardSwish", "mish": "Mish"}  # fmt: skip


def _as_onnx(kind: str) -> Callable[..., Formula]:
    return lambda *parts: POINTS[kind](None, *parts)


_POINTS: dict[str, Callable[..., Formula]] = {
    **{name: _as_onnx(kind) for name, kind in _ONNX.items()},
    "gelu": _gelu,
    "rsqrt": lambda x: Apply("div", (1.0, Apply("sqrt", (x,)))),
    "relu6": lambda x: Apply("min", (Apply("relu", (x,)), 6.0)),
    "hardtanh": lambda x, low=-1.0, high=1.0: Apply("min", (Apply("relu" if low == 0 else "max", (x,) if low == 0 else (x, low)), high)),
    "clamp": lambda x, low, high: Apply("min", (Apply("max", (x, low)), high)),
    "hardsigmoid": lambda x: Apply("min", (Apply("relu", (call("add", call("div", x, 6.0), 0.5),)), 1.0)),
    "leaky_relu": lambda x, slope=0.01: Apply("max", (x, call("mul", x, slope))),
    "softplus": lambda x: Apply("softplus", (x,)),
}  # fmt: skip
