"""An ONNX model through accelsim's importer and interpreter, and through ONNX's own reference evaluator."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np
import pytest

from accelsim.io.importers.network import Imported, Request
from accelsim.io.source import parse
from accelsim.io.workload import read_workload
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.interpreter import run, run_model

FLOAT = 1  # onnx.TensorProto.FLOAT


def needs(package: str, command: str) -> None:
    """Skip with a reason if a package is not installed; where ACCELSIM_EVIDENCE asks for everything, that fails."""
    if importlib.util.find_spec(package) is None:
        reason = f"{package} is not installed; {command}"
        if os.environ.get("ACCELSIM_EVIDENCE"):
            pytest.fail(reason)
        pytest.skip(reason)


def loaded(text: str) -> Cascade | Model:
    """The workload of a text."""
    return read_workload(parse(text, "imported.yaml"), text, lambda name: pytest.fail(f"uses {name}"))


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    import onnx

    return onnx.helper.make_node(kind, inputs, outputs, name=f"{outputs[0]}_node", **attributes)


def model(
    nodes: list[Any], inputs: dict[str, Any], outputs: list[str], constants: dict[str, np.ndarray[Any, Any]], version: int = 18
) -> Any:
    """A model whose inputs have the shapes and types of arrays; outputs of any shape."""
    import onnx

    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype
    given = [helper.make_tensor_value_info(name, kind(array.dtype), array.shape) for name, array in inputs.items()]
    wanted = [helper.make_empty_tensor_value_info(name) for name in outputs]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", given, wanted, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made)


def expected(made: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """What ONNX's reference evaluator makes of inputs."""
    from onnx.reference import ReferenceEvaluator

    return dict(zip([value.name for value in made.graph.output], ReferenceEvaluator(made).run(None, feeds), strict=True))


def found(imported: Imported, feeds: dict[str, Any]) -> dict[str, Any]:
    """What accelsim's interpreter makes of inputs, by the source's names of outputs."""
    workload, given = loaded(imported.text), imported.inputs(feeds)
    if isinstance(workload, Model):
        values = {name: value for done in run_model(workload, given).values() for name, value in done.values.items()}
    else:
        wanted = {name for name, tensor in workload.tensors.items() if tensor.is_input}
        values = dict(run(workload, {name: value for name, value in given.items() if name in wanted}).values)
    return {name: np.asarray(values[tensor]).reshape(shape) for name, (tensor, shape) in imported.results.items()}


def agree(made: Any, feeds: dict[str, Any], layers: str = "each", slack: float = 1e-4, most: float = 0.0) -> Imported:
    """Compare both ways; `slack` relative to the greatest value, for ONNX computes in single precision; `most`: absolute, for rounding."""
    from accelsim.io.importers.formats.onnx import from_model

    imported = from_model(made, "model.onnx", Request(layers=layers))
    wanted, got = expected(made, feeds), found(imported, feeds)
    assert wanted.keys() == got.keys()
    for name, value in wanted.items():
        value = np.asarray(value, dtype=np.float64)
        assert value.shape == got[name].shape, imported.text
        bound = most + slack * max(1.0, float(np.max(np.abs(value), initial=0.0)))
        assert np.allclose(value, got[name], rtol=0, atol=bound), f"{name} is off by {np.max(np.abs(value - got[name]))}\n{imported.text}"
    return imported
