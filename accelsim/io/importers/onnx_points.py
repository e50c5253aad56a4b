"""ONNX operators that work point by point, as formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

from accelsim.errors import InputError
from accelsim.io.importers.arithmetic import call, elementwise
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.sketch import Apply, Formula, View

Point = Callable[..., Formula]


def _one(function: str) -> Point:
    return lambda node, x: Apply(function, (x,))


def _two(function: str) -> Point:
    def fold(node: Node, *parts: Formula) -> Formula:
        made = parts[0]
        for part in parts[1:]:
            made = call(function, made, part)
        return made

    return fold


def _mean(node: Node, *parts: Formula) -> Formula:
    return call("div", _two("add")(node, *parts), float(len(parts)))


def _clip(node: Node, x: Formula, low: Formula | None = None, high: Formula | None = None) -> Formula:
    low = node.attributes.get("min", low)
    high = node.attributes.get("max", high)
    if low is not None and not (isinstance(low, float) and low <= -3.4e38):
        x = Apply("relu", (x,)) if low == 0.0 else Apply("max", (x, low))
    return x if high is None or (isinstance(high, float) and high >= 3.4e38) else Apply("min", (x, high))


def _leaky(node: Node, x: Formula) -> Formula:
    return _prelu(node, x, float(node("alpha", 0.01)))


def _prelu(node: Node, x: Formula, slope: Formula) -> Formula:
    if isinstance(slope, float) and 0 <= slope <= 1:
        return Apply("max", (x, call("mul", x, slope)))
    return Apply("add", (Apply("relu", (x,)), call("mul", Apply("min", (x, 0.0)), slope)))


def _elu(node: Node, x: Formula, alpha: float = 1.0, scale: float = 1.0) -> Formula:
    alpha = float(node("alpha", alpha))
    scale = float(node("gamma", scale))
    low = call("mul", Apply("sub", (Apply("exp", (Apply("min", (x, 0.0)),)), 1.0)), alpha)
    return call("mul", Apply("add", (Apply("relu", (x,)), low)), scale)


def _hard_sigmoid(node: Node, x: Formula) -> Formula:
    line = call("add", call("mul", x, float(node("alpha", 0.2))), float(node("beta", 0.5)))
    return Apply("min", (Apply("relu", (line,)), 1.0))


def _hard_swish(node: Node, x: Formula) -> Formula:
    line = Apply("add", (call("div", x, 6.0), 0.5))
    return Apply("mul", (x, Apply("min", (Apply("relu", (line,)), 1.0))))


def _gelu(node: Node, x: Formula) -> Formula:
    if node("approximate", "none") == "tanh":
        inner = Apply("add", (x, call("mul", Apply("pow", (x, 3.0)), 0.044715)))
        curve = Apply("tanh", (call("mul", inner, math.sqrt(2 / math.pi)),))
        return call("mul", Apply("mul", (x, Apply("add", (curve, 1.0)))), 0.5)
    return Apply("gelu", (x,))


def _swish(node: Node, x: Formula) -> Formula:
    alpha = float(node("alpha", 1.0))
    return Apply("silu", (x,)) if alpha == 1.0 else Apply("mul", (x, Apply("sigmoid", (call("mul", x, alpha),))))


def _where(node: Node, choice: Formula, x: Formula, y: Formula) -> Formula:
    return Apply("add", (Apply("take", (choice, x)), Apply("take", (Apply("not", (choice,)), y))))


def _mod(node: Node, x: Formula, y: Formula) -> Formula:
    if node("fmod", 0):
        raise InputError("takes the sign of its first operand", "only fmod 0 is known")
    return Apply("mod", (x, y))


def _sine(shift: float) -> Point:
    return lambda node, x: Apply("re", (Apply("cis", (call("sub", x, shift),)),))


def _shift_down(node: Node, x: Formula) -> Formula:
    return Apply("floordiv", (x, 1.0))


POINTS: dict[str, Point] = {
    "Add": _two("add"), "Sub": _two("sub"), "Mul": _two("mul"), "Div": _two("div"), "Max": _two("max"), "Min": _two("min"),
    "Sum": _two("add"), "Mean": _mean, "Pow": _two("pow"), "Mod": _mod, "Sqrt": _one("sqrt"), "Exp": _one("exp"), "Log": _one("log"),
    "Abs": _one("abs"), "Neg": _one("neg"), "Round": _one("rint"), "Sigmoid": _one("sigmoid"), "Tanh": _one("tanh"), "Relu": _one("relu"),
    "Softplus": _one("softplus"), "Erf": _one("erf"), "Silu": _one("silu"), "Swish": _swish, "Gelu": _gelu, "LeakyRelu": _leaky,
    "PRelu": _prelu, "Clip": _clip, "HardSigmoid": _hard_sigmoid, "HardSwish": _hard_swish,
    "Elu": _elu, "Selu": lambda node, x: _elu(node, x, 1.67326319217681884765625, 1.05070102214813232421875),
    "Reciprocal": lambda node, x: Apply("div", (1.0, x)),
    "Softsign": lambda node, x: Apply("div", (x, Apply("add", (Apply("abs", (x,)), 1.0)))),
    "Mish": lambda node, x: Apply("mul", (x, Apply("tanh", (Apply("softplus", (x,)),)))),
    "Floor": _shift_down, "Ceil": lambda node, x: Apply("neg", (_shift_down(node, Apply("neg", (x,))),)),
    "Sign": lambda node, x: Apply("sub", (Apply("step", (x,)), Apply("step", (Apply("neg", (x,)),)))),
    "Cos": _sine(0.0), "Sin": _sine(math.pi / 2),
    "Greater": _two("gt"), "GreaterOrEqual": _two("ge"), "Less": _two("lt"), "LessOrEqual": _two("le"), "Equal": _two("eq"),
    "And": _two("and"), "Or": _two("or"), "Not": _one("not"), "Where": _where,
}  # fmt: skip


def point(node: Node) -> list[View]:
    """The results of an operator of the table."""
    make = POINTS[node.kind]
    views = [view for view in node.inputs if view is not None]
    if len(views) < len(node.inputs):
        if node.kind != "Clip" or node.inputs[0] is None:
            raise InputError("lacks an input", "check the file")
        return [_clipped(node)]
    return [elementwise(node.sketch, node.result, views, lambda *parts: make(node, *parts), node.type)]


def _clipped(node: Node) -> View:
    """A Clip without its lower bound."""
    x, high = node.given(0), node.optional(2)
    if high is None:
        return x
    return elementwise(node.sketch, node.result, [x, high], lambda a, b: Apply("min", (a, b)), node.type)
