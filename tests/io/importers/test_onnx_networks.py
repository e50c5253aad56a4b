"""Small whole networks in ONNX through the importer, beside ONNX's reference evaluator; and what is refused or counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io.importers.network import Request
from accelsim.workload.cascade import Model
from tests.io.importers.reference import agree, loaded, model, needs, node

needs_onnx = pytest.fixture(autouse=True, scope="module")(lambda: needs("onnx", "pip install 'accelsim[onnx]'"))
RNG = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray[Any, Any]:
    return (0.3 * RNG.standard_normal(shape)).astype(np.float32)


def lenet() -> tuple[Any, dict[str, Any]]:
    x = array(1, 1, 28, 28)
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[2, 2, 2, 2]), node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"]), node("Relu", ["c2"], ["r2"]),
        node("MaxPool", ["r2"], ["p2"], kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", ["p2"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["g3"], transB=1), node("Relu", ["g3"], ["r3"]), node("Gemm", ["r3", "w4"], ["g4"], transB=1),
        node("Softmax", ["g4"], ["y"], axis=1),
    ]  # fmt: skip
    constants = {"w1": array(6, 1, 5, 5), "b1": array(6), "w2": array(16, 6, 5, 5), "b2": array(16), "w3": array(84, 400), "b3": array(84)}
    return model(nodes, {"x": x}, ["y"], constants | {"w4": array(10, 84)}), {"x": x}


def residual() -> tuple[Any, dict[str, Any]]:
    """Two equal residual blocks after each other."""
    x, nodes, constants, before = array(2, 4, 6, 6), [], {}, "x"
    for at in range(2):
        names = {name: f"{name}{at}" for name in ("u", "v", "s", "t", "m", "n", "c", "d", "e", "f", "g", "y")}
        constants |= {names["u"]: array(4, 4, 3, 3), names["v"]: array(4, 4, 3, 3)}
        constants |= {names[key]: array(4) for key in "stm"} | {names["n"]: np.abs(array(4)) + np.float32(1)}
        nodes += [
            node("Conv", [before, names["u"]], [names["c"]], pads=[1] * 4),
            node("BatchNormalization", [names[key] for key in "cstmn"], [names["d"]]), node("Relu", [names["d"]], [names["e"]]),
            node("Conv", [names["e"], names["v"]], [names["f"]], pads=[1] * 4), node("Add", [names["f"], before], [names["g"]]),
            node("Relu", [names["g"]], [names["y"]]),
        ]  # fmt: skip
        before = names["y"]
    return model(nodes, {"x": x}, [before], constants), {"x": x}


def separable() -> tuple[Any, dict[str, Any]]:
    """A depthwise and a pointwise convolution."""
    x = array(1, 6, 9, 9)
    nodes = [node("Conv", ["x", "d"], ["a"], group=6, strides=[2, 2], pads=[1] * 4), node("Clip", ["a", "low", "high"], ["b"]),
             node("Conv", ["b", "p"], ["c"]), node("HardSwish", ["c"], ["h"]), node("GlobalAveragePool", ["h"], ["y"])]  # fmt: skip
    constants = {"d": array(6, 1, 3, 3), "p": array(8, 6, 1, 1), "low": np.float32(0), "high": np.float32(6)}
    return model(nodes, {"x": x}, ["y"], {name: np.asarray(value) for name, value in constants.items()}), {"x": x}


def transformer() -> tuple[Any, dict[str, Any]]:
    """A block as exporters write one: looked-up embeddings, heads by reshape and transpose, gelu by erf."""
    t = RNG.integers(0, 11, (2, 5)).astype(np.int64)
    nodes = [node("Gather", ["table", "t"], ["x"]), node("LayerNormalization", ["x", "s", "b"], ["n"])]
    for name in "qkv":
        nodes += [node("MatMul", ["n", f"w{name}"], [f"{name}1"]), node("Reshape", [f"{name}1", "heads"], [f"{name}2"]),
                  node("Transpose", [f"{name}2"], [name], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])]  # fmt: skip
    nodes += [
        node("MatMul", ["q", "k"], ["qk"]), node("Div", ["qk", "root"], ["scores"]), node("Softmax", ["scores"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v"], ["av"]), node("Transpose", ["av"], ["av1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["av1", "joined"], ["av2"]), node("MatMul", ["av2", "wo"], ["o"]), node("Add", ["x", "o"], ["r"]),
        node("MatMul", ["r", "w1"], ["u"]), node("Div", ["u", "two"], ["u1"]), node("Erf", ["u1"], ["u2"]),
        node("Add", ["u2", "one"], ["u3"]),
        node("Mul", ["u", "u3"], ["u4"]), node("Mul", ["u4", "half"], ["u5"]), node("MatMul", ["u5", "w2"], ["d"]),
        node("Add", ["r", "d"], ["y"]),
    ]  # fmt: skip
    numbers = {"root": 2.0, "two": 2.0**0.5, "one": 1.0, "half": 0.5}
    constants = {"table": array(11, 8), "s": array(8), "b": array(8), "w1": array(8, 32), "w2": array(32, 8), "wo": array(8, 8)}
    constants |= {f"w{name}": array(8, 8) for name in "qkv"} | {name: np.array(value, np.float32) for name, value in numbers.items()}
    constants |= {"heads": np.array([0, 0, 2, 4], np.int64), "joined": np.array([2, -1, 8], np.int64)}
    return model(nodes, {"t": t}, ["y"], constants), {"t": t}


NETWORKS = {"lenet": lenet, "residual": residual, "separable": separable, "transformer": transformer}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("layers", ["each", "one"])
def test_networks(name: str, layers: str) -> None:
    made, feeds = NETWORKS[name]()
    agree(made, feeds, layers)


def test_a_transformer_reads_well() -> None:
    made, feeds = transformer()
    text = agree(made, feeds).text
    assert "  - name: o-node" in text and "gelu(" in text and "erf(" not in text
    assert "//" not in text and "copy(" not in text  # heads are axes of their own, and nothing is moved


def test_equal_layers_are_one_layer_some_times() -> None:
    from accelsim.io.importers.formats.onnx import from_model

    workload = loaded(from_model(residual()[0], "residual.onnx").text)
    assert isinstance(workload, Model)
    assert [layer.times for layer in workload.layers] == [2, 2]


def test_a_file_is_a_workload_wherever_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx

    made, _ = separable()
    onnx.save(made, str(tmp_path / "separable.onnx"))
    assert main(["bounds", str(tmp_path / "separable.onnx"), "-q"]) == 0
    assert main(["import", str(tmp_path / "separable.onnx"), "-o", str(tmp_path / "separable.yaml")]) == 0
    assert main(["check", str(tmp_path / "separable.yaml"), "-q"]) == 0
    assert "is the workload separable now" in " ".join(capsys.readouterr().out.split())


def test_open_sizes_are_named_and_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx

    helper = onnx.helper
    given, wanted = (helper.make_tensor_value_info(name, 1, ["batch", 3]) for name in "xy")
    graph = helper.make_graph([node("Relu", ["x"], ["y"])], "open", [given], [wanted])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path := tmp_path / "open.onnx"))
    assert main(["import", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: input 'x' leaves the size of its dimension 0 open, 'batch'; say it: --size batch=1\n"
    assert main(["import", str(path), "--size", "batch=4"]) == 0
    assert "shape: {a: 4, b: 3}" in capsys.readouterr().out
    assert main(["bounds", str(path), "--set", "shape.batch=4", "-q"]) == 0
    assert main(["import", str(path), "--size", "batch=4", "--size", "bat=1"]) == 2
    assert capsys.readouterr().err == f"--size bat: {path} leaves no dimension 'bat' open; did you mean 'batch'?\n"


def test_unknown_operators_are_named_or_their_traffic_is_counted() -> None:
    from accelsim.io.importers.formats.onnx import from_model

    x = array(4, 6)
    nodes = [node("Relu", ["x"], ["a"]), node("CumSum", ["a", "axis"], ["b"]), node("Det", ["x"], ["z"]), node("Relu", ["b"], ["y"])]
    made = model(nodes, {"x": x}, ["y"], {"axis": np.array(0, np.int64)})
    with pytest.raises(InputError) as error:
        from_model(made, "sums.onnx")
    assert str(error.value) == (
        "sums.onnx: node 1, 'b_node' (CumSum): this operator is not known, nor Det further on; "
        "--unsupported count counts the traffic of such operators alone"
    )
    del made.graph.node[2]
    imported = from_model(made, "sums.onnx", Request("count"))
    assert imported.counted == ("b_node (CumSum)",)
    workload = loaded(imported.text)
    assert isinstance(workload, Model)
    layer = next(layer.cascade for layer in workload.layers if layer.cascade.name == "b-node")
    assert layer.bounds.compulsory_bytes == 4 * (24 + 24 + 1)  # read once, written once, and the one word of the axis


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from accelsim.io.importers.formats import onnx

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(onnx, "import_module", absent)
    with pytest.raises(InputError, match=r"reading ONNX takes the package 'onnx'; pip install 'accelsim\[onnx\]'"):
        onnx.read(tmp_path / "any.onnx", Request())


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    import onnx

    data = lenet()[0].SerializeToString()
    rng = np.random.default_rng(5)
    path = tmp_path / "damaged.onnx"
    from accelsim.io.importing import import_file

    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(0, min(len(data), 1500), rng.integers(1, 6)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged[: rng.integers(1, len(damaged))] if rng.random() < 0.2 else damaged))
        try:
            import_file(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error), error
    assert onnx is not None
