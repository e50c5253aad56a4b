"""Every ONNX operator that is known, beside ONNX's own reference evaluator, over random attributes and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.io.importers.reference import agree, found, model, needs, node

needs_onnx = pytest.fixture(autouse=True, scope="module")(lambda: needs("onnx", "pip install 'accelsim[onnx]'"))
Draw = Any
small = st.integers(1, 4)


def array(draw: Draw, *shape: int) -> np.ndarray[Any, Any]:
    """Random numbers in single precision, of a seed that is drawn."""
    return np.random.default_rng(draw(st.integers(0, 99))).standard_normal(shape).astype(np.float32)


def one(kind: str, inputs: dict[str, Any], constants: dict[str, Any] | None = None, version: int = 18, **attributes: Any) -> None:
    """Compare one node; inputs that are called '' are left out."""
    constants = constants or {}
    names = [name.strip("_") for name in (*inputs, *constants)]
    known = {name: value for name, value in constants.items() if value is not None}
    made = model([node(kind, names, ["y"], **attributes)], inputs, ["y"], known, version)
    agree(made, inputs)


UNARY = ["Abs", "Neg", "Exp", "Sigmoid", "Tanh", "Relu", "Softplus", "Erf", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Selu",
         "Softsign", "Floor", "Ceil", "Sign", "Cos", "Sin", "Round", "Reciprocal", "Identity", "Mish"]  # fmt: skip


@pytest.mark.parametrize("kind", UNARY)
def test_functions_of_one_number(kind: str) -> None:
    x = np.linspace(-3.3, 3.1, 24, dtype=np.float32).reshape(2, 3, 4)
    one(kind, {"x": x}, version=22 if kind in ("HardSwish", "Mish") else 18)


@pytest.mark.parametrize(
    ("kind", "attributes"), [("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("Swish", {"alpha": 1.5}), ("Swish", {})]
)
def test_functions_of_newer_versions(kind: str, attributes: dict[str, Any]) -> None:
    one(kind, {"x": np.linspace(-3, 3, 12, dtype=np.float32)}, version=24 if kind == "Swish" else 20, **attributes)


@pytest.mark.parametrize("kind", ["Sqrt", "Log"])
def test_functions_of_a_positive_number(kind: str) -> None:
    one(kind, {"x": np.linspace(0.1, 3.1, 24, dtype=np.float32).reshape(2, 12)})


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Pow", "PRelu", "Mod"])
@given(st.data())
def test_functions_of_two_numbers_repeat_sizes_of_one(kind: str, data: Any) -> None:
    shape = [data.draw(small) for _ in range(3)]
    other = [size if data.draw(st.booleans()) else 1 for size in shape][data.draw(st.integers(0, 2)) :]
    x, y = array(data.draw, *shape), array(data.draw, *other)
    if kind == "Pow":
        x = np.abs(x) + np.float32(0.1)
    if kind in ("Div", "Mod"):
        y = np.abs(y) + np.float32(0.5)
    if kind == "Mod":
        x, y = (10 * x).astype(np.int32), (5 * y + 1).astype(np.int32)
    if data.draw(st.booleans()):
        one(kind, {"x": x, "w": y})
    else:
        one(kind, {"x": x}, {"w": y})


@pytest.mark.parametrize("kind", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "And", "Or"])
def test_comparisons(kind: str) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    y = np.full((4,), 5, dtype=np.float32)
    if kind in ("And", "Or"):
        x, y = x > 4, y[:] > np.arange(4) + 3
    one(kind, {"x": x, "w": y})


def test_where_chooses_between_two() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    one("Where", {"c": x > 5, "x": x, "w": -x[:1]})


@given(st.data())
def test_clip(data: Any) -> None:
    low, high = (np.float32(data.draw(st.sampled_from((-0.5, 0.0, 6.0)))) for _ in range(2))
    x = 3 * array(data.draw, 2, 5)
    bounds = {"low": np.array(min(low, high)), "high": np.array(max(low, high))}
    one("Clip", {"x": x}, bounds if data.draw(st.booleans()) else {"low": bounds["low"]})


@st.composite
def convolutions(draw: Draw) -> dict[str, Any]:
    """A convolution in one or two dimensions, of groups, with strides, dilations and padding."""
    many, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    part, filters = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, dilations, strides = ([draw(st.integers(1, most)) for _ in range(many)] for most in (3, 2, 3))
    sizes = [(k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilations, strict=True)]
    how = draw(st.sampled_from(("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")))
    attributes = {"strides": strides, "dilations": dilations, "group": groups}
    if how == "NOTSET":
        attributes["pads"] = [draw(st.integers(0, 2)) for _ in range(2 * many)]
    else:
        attributes |= {"auto_pad": how}
        attributes["dilations"] = [1] * many
    return {"x": array(draw, draw(st.integers(1, 2)), groups * part, *sizes), "w": array(draw, filters, part, *kernel),
            "b": array(draw, filters) if draw(st.booleans()) else None, "attributes": attributes}  # fmt: skip


@given(convolutions())
def test_convolutions(case: dict[str, Any]) -> None:
    constants = {"w": case["w"]} | ({"b": case["b"]} if case["b"] is not None else {})
    one("Conv", {"x": case["x"]}, constants, **case["attributes"])


@given(convolutions(), st.data())
def test_convolutions_of_integers(case: dict[str, Any], data: Any) -> None:
    x, w = (np.clip(np.round(20 * case[name]) + 30, 0, 255).astype(np.uint8) for name in "xw")
    zeros = {"xz": np.array(data.draw(st.sampled_from((0, 7))), np.uint8), "wz": np.array(data.draw(st.sampled_from((0, 3))), np.uint8)}
    one("ConvInteger", {"x": x}, {"w": w} | zeros, **case["attributes"])


@given(st.data())
def test_quantised_convolutions(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = rng.integers(0, 200, (1, 2, 5, 5), dtype=np.uint8), rng.integers(0, 200, (3, 2, 3, 3), dtype=np.uint8)
    wide = data.draw(st.booleans())
    numbers = {"xs": np.float32(0.02), "xz": np.uint8(data.draw(st.sampled_from((0, 100)))), "w": w,
               "ws": np.array([0.03, 0.02, 0.01] if wide else 0.03, np.float32), "wz": np.array([9, 8, 7] if wide else 9, np.uint8),
               "ys": np.float32(0.5), "yz": np.uint8(128), "b": rng.integers(-99, 99, 3, dtype=np.int32)}  # fmt: skip
    made = model(
        [node("QLinearConv", ["x", *numbers], ["y"], pads=[1, 1, 1, 1])], {"x": x}, ["y"], {k: np.array(v) for k, v in numbers.items()}
    )
    agree(made, {"x": x}, most=1.0)


@given(st.data())
def test_quantised_products(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = rng.integers(0, 200, (2, 3, 4), dtype=np.uint8), rng.integers(0, 200, (2, 4, 5), dtype=np.uint8)
    names = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    constants = {
        "as": np.float32(0.02),
        "az": np.uint8(113),
        "bs": np.float32(0.03),
        "bz": np.uint8(99),
        "ys": np.float32(0.3),
        "yz": np.uint8(120),
    }
    made = model([node("QLinearMatMul", names, ["y"])], {"a": a, "b": b}, ["y"], {k: np.array(v) for k, v in constants.items()})
    agree(made, {"a": a, "b": b}, most=1.0)


def test_products_of_integers() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 200, (2, 3, 4), dtype=np.uint8), rng.integers(0, 200, (4, 5), dtype=np.uint8)
    one("MatMulInteger", {"a": a, "b": b}, {"az": np.array(11, np.uint8), "bz": np.array([1, 2, 3, 4, 5], np.uint8)})


@given(st.data())
def test_changes_of_type_by_a_scale(data: Any) -> None:
    x = 5 * array(data.draw, 2, 3, 4)
    signed = data.draw(st.booleans())
    kind = np.int8 if signed else np.uint8
    if data.draw(st.booleans()):
        scale, zero, axis = np.array([0.1, 0.2, 0.3], np.float32), np.array([3, 2, 1], kind), 1
    else:
        scale, zero, axis = np.array(0.1, np.float32), np.array(3, kind), 1
    made = model([node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=axis)], {"x": x}, ["y"], {"s": scale, "z": zero}, 19)
    agree(made, {"x": x}, most=1.0)
    y = (20 * x).clip(0, 100).astype(kind)
    one("DequantizeLinear", {"x": y}, {"s": scale, "z": zero}, version=19, axis=axis)


@given(st.data())
def test_matrix_products_repeat_leading_dimensions(data: Any) -> None:
    m, k, n, batch = (data.draw(small) for _ in range(4))
    left = data.draw(st.sampled_from(([m, k], [batch, m, k], [1, m, k], [k], [2, batch, m, k])))
    right = data.draw(st.sampled_from(([k, n], [batch, k, n], [2, 1, k, n])))
    if len(left) == 1:
        right = data.draw(st.sampled_from(([k, n], [k])))
    a, b = array(data.draw, *left), array(data.draw, *right)
    one("MatMul", {"a": a}, {"b": b}) if data.draw(st.booleans()) else one("MatMul", {"a": a, "b": b})


@given(st.data())
def test_gemm(data: Any) -> None:
    m, k, n = (data.draw(small) for _ in range(3))
    first, second = data.draw(st.booleans()), data.draw(st.booleans())
    a, b = array(data.draw, *((k, m) if first else (m, k))), array(data.draw, *((n, k) if second else (k, n)))
    c = data.draw(st.sampled_from((None, (n,), (m, n), (1, n), (m, 1), ())))
    constants = {"b": b} | ({} if c is None else {"c": array(data.draw, *c)})
    scales = {"alpha": data.draw(st.sampled_from((1.0, 0.5))), "beta": data.draw(st.sampled_from((1.0, 2.0)))}
    one("Gemm", {"a": a}, constants, transA=int(first), transB=int(second), **scales)


@pytest.mark.parametrize("equation", ["bhqd,bhkd->bhqk", "ij,jk->ik", "ij,ij->i", "ijk->kj", "i,j->ij"])
def test_einsum(equation: str) -> None:
    left = equation.partition("->")[0]
    sizes = {letter: 2 + at for at, letter in enumerate(dict.fromkeys(left.replace(",", "")))}
    rng = np.random.default_rng(3)
    inputs = {
        f"x{at}": rng.standard_normal([sizes[letter] for letter in term]).astype(np.float32) for at, term in enumerate(left.split(","))
    }
    one("Einsum", inputs, equation=equation)


@given(st.data())
def test_pools(data: Any) -> None:
    """Averages beside the reference evaluator; the greatest beside what is worked out here, for that evaluator leaves its arrays."""
    from accelsim.io.importers.formats.onnx import from_model

    many = data.draw(st.integers(1, 2))
    kernel, strides = ([data.draw(st.integers(1, 3)) for _ in range(many)] for _ in range(2))
    pads = [data.draw(st.integers(0, size // 2)) for size in kernel] * 2
    sizes = [size + data.draw(st.integers(0, 4)) for size in kernel]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    x = array(data.draw, 1, data.draw(st.integers(1, 3)), *sizes)
    one("AveragePool", {"x": x}, **attributes, **({"count_include_pad": 1} if data.draw(st.booleans()) else {}))
    around = np.pad(x, [(0, 0), (0, 0), *((pad, pad) for pad in pads[:many])], constant_values=-np.inf)
    seen = np.lib.stride_tricks.sliding_window_view(around, kernel, tuple(range(2, 2 + many)))
    seen = seen[(slice(None), slice(None), *(slice(None, None, stride) for stride in strides))]
    made = model([node("MaxPool", ["x"], ["y"], **attributes)], {"x": x}, ["y"], {})
    assert np.allclose(found(from_model(made, "pool.onnx"), {"x": x})["y"], seen.max(axis=tuple(range(2 + many, 2 + 2 * many))))


@pytest.mark.parametrize("kind", ["GlobalMaxPool", "GlobalAveragePool"])
def test_pools_of_everything(kind: str) -> None:
    one(kind, {"x": np.arange(48, dtype=np.float32).reshape(2, 3, 2, 4)})


REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2"]


@pytest.mark.parametrize("kind", REDUCTIONS)
@given(st.data())
def test_reductions(kind: str, data: Any) -> None:
    shape = [data.draw(small) for _ in range(3)]
    axes = data.draw(st.lists(st.integers(-3, 2), min_size=1, max_size=3, unique_by=lambda axis: axis % 3))
    one(kind, {"x": array(data.draw, *shape)}, {"axes": np.array(axes, np.int64)}, keepdims=data.draw(st.integers(0, 1)))


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@given(st.data())
def test_softmax(kind: str, data: Any) -> None:
    x = 3 * array(data.draw, *[data.draw(small) for _ in range(3)])
    one(kind, {"x": x}, axis=data.draw(st.integers(-3, 2)))


def test_softmax_of_old_versions_goes_over_all_dimensions_from_its_axis_on() -> None:
    """The reference evaluator takes the newer meaning, so the expected value is worked out here (ONNX operators, Softmax-11)."""
    from accelsim.io.importers.formats.onnx import from_model

    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 5
    imported = from_model(model([node("Softmax", ["x"], ["y"], axis=1)], {"x": x}, ["y"], {}, 11), "old.onnx")
    wanted = np.exp(x) / np.exp(x).sum(axis=(1, 2), keepdims=True)
    assert np.allclose(found(imported, {"x": x})["y"], wanted)


@given(st.data())
def test_normalisations_of_layers(data: Any) -> None:
    shape = [data.draw(st.integers(2, 4)) for _ in range(3)]
    axis = data.draw(st.sampled_from((-1, -2, 1)))
    inside = shape[axis:]
    constants = {"s": array(data.draw, *inside)} | ({"b": array(data.draw, *inside)} if data.draw(st.booleans()) else {})
    one("LayerNormalization", {"x": array(data.draw, *shape)}, constants, axis=axis, epsilon=1e-3)
    one("RMSNormalization", {"x": array(data.draw, *shape)}, {"s": constants["s"]}, version=23, axis=axis, epsilon=1e-3)


@given(st.data())
def test_normalisations_of_channels(data: Any) -> None:
    x = array(data.draw, 2, 4, *[data.draw(st.integers(2, 4)) for _ in range(data.draw(st.integers(1, 2)))])
    s, b, mean = (array(data.draw, 4) for _ in range(3))
    one("BatchNormalization", {"x": x}, {"s": s, "b": b, "m": mean, "v": np.abs(mean) + np.float32(0.5)})
    one("InstanceNormalization", {"x": x}, {"s": s, "b": b})
    one("GroupNormalization", {"x": x}, {"s": s, "b": b}, version=21, num_groups=2)


@given(st.data())
def test_shapes_change_without_a_copy_where_they_can(data: Any) -> None:
    shape = [data.draw(st.integers(1, 4)) for _ in range(3)]
    x, order = array(data.draw, *shape), data.draw(st.permutations(range(3)))
    total = int(np.prod(shape))
    rows = data.draw(st.sampled_from([size for size in range(1, total + 1) if total % size == 0]))
    nodes = [node("Transpose", ["x"], ["t"], perm=order), node("Reshape", ["t", "shape"], ["r"]), node("Mul", ["r", "r"], ["y"])]
    agree(model(nodes, {"x": x}, ["y"], {"shape": np.array([rows, -1], np.int64)}), {"x": x})
    nodes = [node("Relu", ["x"], ["a"]), node("Flatten", ["a"], ["f"], axis=data.draw(st.integers(0, 3))), node("Neg", ["f"], ["y"])]
    agree(model(nodes, {"x": x}, ["y"], {}), {"x": x}, "one")


@given(st.data())
def test_parts_of_tensors(data: Any) -> None:
    shape = [data.draw(st.integers(2, 5)) for _ in range(2)]
    x = array(data.draw, *shape)
    starts, steps = [data.draw(st.integers(-2, 1)) for _ in shape], [data.draw(st.sampled_from((1, 2, -1))) for _ in shape]
    ends = [99 if step > 0 else -99 for step in steps]
    if all(len(range(*slice(*part).indices(size))) for part, size in zip(zip(starts, ends, steps, strict=True), shape, strict=True)):
        one("Slice", {"x": x}, {name: np.array(value, np.int64) for name, value in
                                (("starts", starts), ("ends", ends), ("axes", [0, 1]), ("steps", steps))})  # fmt: skip
    size = data.draw(st.integers(1, shape[1] - 1))
    nodes = [node("Split", ["x", "sizes"], ["a", "b"], axis=1), node("Concat", ["b", "a", "b"], ["c"], axis=1), node("Exp", ["c"], ["y"])]
    agree(model(nodes, {"x": x}, ["y"], {"sizes": np.array([size, shape[1] - size], np.int64)}), {"x": x})
    nodes = [
        node("Concat", ["x", "x"], ["c"], axis=0),
        node("Split", ["c"], ["a", "b"], axis=0, num_outputs=2),
        node("Add", ["a", "b"], ["y"]),
    ]
    agree(model(nodes, {"x": x}, ["y"], {}), {"x": x})


@given(st.data())
def test_tables_are_looked_up(data: Any) -> None:
    table, axis = array(data.draw, 5, 6), data.draw(st.integers(0, 1))
    index = (
        np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 5, data.draw(st.sampled_from(((3,), (2, 3), ())))).astype(np.int64)
    )
    one("Gather", {}, {"x": table, "i": index}, axis=axis) if index.size == 0 else None
    made = model([node("Gather", ["x", "i"], ["g"], axis=axis), node("Neg", ["g"], ["y"])], {"i": index}, ["y"], {"x": table})
    agree(made, {"i": index})
    made = model([node("Gather", ["x", "i"], ["g"], axis=axis), node("Neg", ["g"], ["y"])], {"x": table}, ["y"], {"i": index})
    agree(made, {"x": table})


@given(st.data())
def test_padding_and_repetition(data: Any) -> None:
    x = array(data.draw, 2, 3)
    pads = [data.draw(st.integers(0, 2)) for _ in range(4)]
    nodes = [node("Pad", ["x", "pads", "value"], ["p"]), node("Exp", ["p"], ["y"])]
    agree(model(nodes, {"x": x}, ["y"], {"pads": np.array(pads, np.int64), "value": np.array(1.5, np.float32)}), {"x": x})
    nodes = [node("Unsqueeze", ["x", "axes"], ["u"]), node("Expand", ["u", "shape"], ["e"]), node("ReduceSum", ["e", "axes"], ["y"])]
    agree(model(nodes, {"x": x}, ["y"], {"axes": np.array([1], np.int64), "shape": np.array([2, 4, 3], np.int64)}), {"x": x})
