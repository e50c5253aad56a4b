"""ONNX: a graph of operators in a protocol buffer. Needs the package `onnx`. Only the file itself is read, no data beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.io.importers.names import layer_name
from accelsim.io.importers.network import Imported, Request, drawn, settled
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.onnx_operators import OPERATORS
from accelsim.io.importers.opaque import opaque
from accelsim.io.importers.sketch import Sketch, View

ABOUT = "graphs of operators (.onnx)"
MAX_BYTES = 2 << 30
_DAMAGED = (ValueError, TypeError, IndexError, KeyError, AssertionError, ArithmeticError)  # of what is not as ONNX says it is
MOST_FOLDED = 1 << 20  # elements of a constant that is worked out while the file is read
TYPES = {
    "FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "FLOAT8E4M3FN": "e4m3", "FLOAT8E5M2": "e5m2", "INT8": "int8", "UINT8": "int8",
    "INT16": "int16", "UINT16": "int16", "INT32": "int32", "UINT32": "int32", "INT64": "int32", "UINT64": "int32", "BOOL": "int8",
}  # fmt: skip


def fits(path: Path, text: str | None) -> bool:
    """Whether a file is of this format."""
    return path.suffix == ".onnx"


def read(path: Path, request: Request) -> Imported:
    """The network of a file."""
    onnx = _package(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than 2 GiB", "export it with its weights in files beside it")
        model = onnx.load(str(path), load_external_data=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}", "check the path") from None
    except Exception as error:  # what the protocol buffer's reader raises is no public class
        raise InputError(f"{path}: not an ONNX file: {_first_line(error)}", "export it again") from None
    return from_model(model, str(path), request)


def from_model(model: Any, file: str, request: Request | None = None) -> Imported:
    """The network of an `onnx.ModelProto`; `file` stands in messages and in the workload's source."""
    return _Reader(_package(Path(file)), model, file, request or Request()).imported()


def _package(path: Path) -> Any:
    try:
        return import_module("onnx")
    except ImportError:
        raise InputError(f"{path}: reading ONNX takes the package 'onnx'", "pip install 'accelsim[onnx]'") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class _Reader:
    """One graph while its nodes are read in order. `views`: what every value is."""

    def __init__(self, onnx: Any, model: Any, file: str, request: Request) -> None:
        self.onnx, self.file, self.request = onnx, file, request
        self.sketch, self.views = Sketch(), dict[str, View]()
        self.counted: list[str] = []
        self.model = self._prepared(model)
        self.graph = self.model.graph
        domains = {each.domain: each.version for each in self.model.opset_import}
        self.version = int(domains.get("", domains.get("ai.onnx", 1)))
        self.types: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...] | None] = {}
        for value in (*self.graph.value_info, *self.graph.output, *self.graph.input):
            self.types[value.name] = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            dims = value.type.tensor_type.shape.dim if value.type.tensor_type.HasField("shape") else None
            self.shapes[value.name] = (
                None if dims is None or any(not dim.dim_value for dim in dims) else tuple(dim.dim_value for dim in dims)
            )

    def _prepared(self, model: Any) -> Any:
        """The model with its functions written out, its open dimensions sized and all shapes worked out."""
        copy = self.onnx.ModelProto()
        copy.CopyFrom(model)
        if len(copy.functions):
            copy = import_module("onnx.inliner").inline_local_functions(copy)
        if not copy.graph.node:
            raise InputError(f"{self.file}: has no operators", "export it again")
        given = {value.name for value in copy.graph.initializer}
        known: set[str] = set()
        for value in copy.graph.input:
            if value.name in given:
                continue
            if not value.type.HasField("tensor_type"):
                raise InputError(f"{self.file}: input '{value.name}' is no tensor", "only tensors are known")
            for at, dim in enumerate(value.type.tensor_type.shape.dim):
                name = dim.dim_param or f"{value.name}.{at}"
                if dim.dim_value > 0:
                    continue
                known.add(name)
                if name not in self.request.sizes:
                    what = f"{self.file}: input '{value.name}' leaves the size of its dimension {at} open, '{name}'"
                    raise InputError(what, f"say it: --size {name}=1")
                dim.ClearField("dim_param")
                dim.dim_value = self.request.sizes[name]
        self.sized = frozenset(known & set(self.request.sizes))
        for name in self.request.sizes if self.request.strict else ():
            if name not in known:
                raise InputError(f"--size {name}: {self.file} leaves no dimension '{name}' open", did_you_mean(name, known))
        for stated in (copy.graph.value_info, copy.graph.output):
            for value in stated:
                for dim in value.type.tensor_type.shape.dim:
                    if dim.dim_param in self.request.sizes:
                        dim.dim_value = self.request.sizes[dim.dim_param]
        try:
            return import_module("onnx.shape_inference").infer_shapes(copy, data_prop=True)
        except Exception as error:  # it raises many kinds, some of them not public
            raise InputError(f"{self.file}: its shapes do not agree: {_first_line(error)}", "check it with onnx.checker") from None

    def imported(self) -> Imported:
        """The whole graph."""
        feeds = self._inputs()
        for at, node in enumerate(self.graph.node):
            self._read(node, at)
        results = dict(self._output(value.name) for value in self.graph.output)
        name = Path(self.file).name
        about = f"Imported from {name}"
        if self.counted:
            about += "; of these operators only the traffic is counted, and what they compute is not known: " + ", ".join(self.counted)
        producer = " ".join(part for part in (self.model.producer_name, self.model.producer_version) if part)
        source = f"{name}, ONNX version {self.version}" + (f", written by {producer}" if producer else "")
        return drawn(
            self.sketch,
            layer_name(Path(self.file).stem),
            f"{about}.",
            source,
            self.request,
            tuple(self.counted),
            self.sized,
            feeds,
            results,
        )

    def _inputs(self) -> dict[str, str]:
        helper = import_module("onnx.numpy_helper")
        for proto in self.graph.initializer:
            external = proto.data_location == self.onnx.TensorProto.EXTERNAL
            try:
                values = None if external else helper.to_array(proto)
            except (ValueError, TypeError) as error:
                raise InputError(f"{self.file}: constant '{proto.name}' cannot be read: {_first_line(error)}", "export it again") from None
            self.views[proto.name] = self._constant(proto.name, tuple(proto.dims), self._type(self._kind(proto.data_type)), values)
        if len(self.graph.sparse_initializer):
            raise InputError(f"{self.file}: has sparse constants", "store them dense")
        feeds = {}
        for value in self.graph.input:
            if value.name not in self.views:
                shape = self.shapes[value.name]
                if shape is None:
                    raise InputError(f"{self.file}: input '{value.name}' has no shape", "export it with shapes")
                self.views[value.name] = self.sketch.source(value.name, shape, self._type(self.types[value.name]))
                feeds[value.name] = self.views[value.name].tensor
        return feeds

    def _kind(self, number: int) -> str:
        return str(self.onnx.TensorProto.DataType.Name(number))

    def _type(self, kind: str) -> str:
        if kind == "UNDEFINED":
            return self.request.type or "fp32"
        if kind not in TYPES:
            raise InputError(f"{self.file}: has tensors of type {kind}", f"known are {', '.join(TYPES)}")
        found = TYPES[kind]
        return self.request.type if self.request.type and not found.startswith("int") else found

    def _constant(self, name: str, shape: tuple[int, ...], type: str, values: Any) -> View:
        return self.sketch.source(name, shape, type, values, kind="constant")

    def _read(self, proto: Any, at: int) -> None:
        """One node: known by the table, worked out if all that it reads is known, counted or refused."""
        name = proto.name or f"{proto.op_type}_{at}"
        self.sketch.origin = name
        where = f"{self.file}: node {at}, '{name}' ({proto.op_type})"
        if proto.op_type == "Constant" or self._is_known(proto):
            self._fold(proto, where)
            return
        missing = [value for value in proto.input if value and value not in self.views]
        if missing:
            raise InputError(f"{where}: reads '{missing[0]}', which nothing before it makes", "check the file with onnx.checker")
        read = OPERATORS.get(proto.op_type) if proto.domain in ("", "ai.onnx", "com.microsoft") else None
        try:
            if read is None:
                self._unknown(proto, where)
                return
            made = read(self._node(proto))
        except InputError as error:
            if error.what.startswith(where):
                raise
            if self.request.unsupported == "count":
                self._count(proto, name)
                return
            raise InputError(f"{where}: {error.what}", error.mend) from None
        except _DAMAGED as error:
            raise InputError(f"{where}: its inputs and attributes do not fit: {_first_line(error)}", "check it with onnx.checker") from None
        for output, view in zip(proto.output, made, strict=False):
            self._agree(output, view, where)
            self.views[output] = view

    def _node(self, proto: Any) -> Node:
        inputs = tuple(self.views[value] if value else None for value in proto.input)
        attributes = {each.name: self._attribute(each) for each in proto.attribute}
        kind = self.types.get(proto.output[0], "UNDEFINED")
        first = next((view for view in inputs if view is not None), None)
        guess = self.sketch.tensors[first.tensor].type if first is not None else "fp32"
        type = self._type(kind) if kind != "UNDEFINED" else guess
        return Node(self.sketch, proto.op_type, proto.name, inputs, attributes, tuple(proto.output), self.version, type)

    def _attribute(self, proto: Any) -> Any:
        value = self.onnx.helper.get_attribute_value(proto)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return list(value) if isinstance(value, (list, tuple)) or hasattr(value, "_values") else value

    def _agree(self, output: str, view: View, where: str) -> None:
        stated, found = self.shapes.get(output), self.sketch.shape(view)
        if stated is not None and stated != found:
            raise InputError(f"{where}: makes {list(found)}, and the file says {list(stated)}", "check the file")

    def _is_known(self, proto: Any) -> bool:
        """Whether a node can be worked out now: a shape that is known, or little that is computed from constants."""
        if proto.op_type in ("Shape", "Size"):
            return True
        views = [self.views.get(value) for value in proto.input if value]
        if not views or any(view is None or self.sketch.tensors[view.tensor].values is None for view in views):
            return False
        stated = [self.shapes.get(output) for output in proto.output]
        sizes = [self.sketch.tensors[view.tensor].values.size for view in views if view is not None]
        return sum(sizes) <= MOST_FOLDED and all(shape is None or math.prod(shape) <= MOST_FOLDED for shape in stated)

    def _fold(self, proto: Any, where: str) -> None:
        """Work out a node with ONNX's reference."""
        import numpy as np

        feeds = {}
        if proto.op_type in ("Shape", "Size"):
            shape = self.sketch.shape(self.views[proto.input[0]])
            feeds[proto.input[0]] = np.broadcast_to(np.zeros((), np.int8), shape)
        else:
            for value in proto.input:
                if value:
                    view = self.views[value]
                    feeds[value] = self.sketch.tensors[view.tensor].values.reshape(self.sketch.shape(view))
        try:
            evaluator = import_module("onnx.reference").ReferenceEvaluator(self._alone(proto, feeds))
            results = evaluator.run(None, feeds)
        except Exception as error:  # numpy and the reference raise anything here
            raise InputError(f"{where}: cannot be worked out from its constants: {_first_line(error)}", "check the file") from None
        for output, array in zip(proto.output, results, strict=True):
            if output:
                array = np.asarray(array)
                self.views[output] = self._constant(output, array.shape, self._type(self._kind_of(array)), array)

    def _kind_of(self, array: Any) -> str:
        return self._kind(self.onnx.helper.np_dtype_to_tensor_dtype(array.dtype))

    def _alone(self, proto: Any, feeds: Mapping[str, Any]) -> Any:
        helper = self.onnx.helper
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in proto.output if name]
        graph = helper.make_graph([proto], "alone", inputs, outputs)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", max(self.version, 1))])

    def _unknown(self, proto: Any, where: str) -> None:
        if self.request.unsupported == "count":
            self._count(proto, proto.name or proto.op_type)
            return
        others = sorted(
            {node.op_type for node in self.graph.node if node.op_type not in {*OPERATORS, "Constant", "Shape", "Size"}} - {proto.op_type}
        )
        more = f", nor {', '.join(others[:6])} further on" if others else ""
        raise InputError(f"{where}: this operator is not known{more}", "--unsupported count counts the traffic of such operators alone")

    def _count(self, proto: Any, name: str) -> None:
        shapes = []
        for output in proto.output:
            shape = self.shapes.get(output)
            if output and shape is None:
                raise InputError(f"{self.file}: '{name}' ({proto.op_type}) makes a tensor of unknown shape", "state its shape in the file")
            if output and shape is not None:
                shapes.append((output, shape, self._type(self.types.get(output, "UNDEFINED"))))
        inputs = [self.views[value] for value in proto.input if value]
        made = opaque(self.sketch, inputs, shapes)
        self.views |= dict(zip([output for output in proto.output if output], made, strict=True))
        self.counted.append(f"{name} ({proto.op_type})")

    def _output(self, name: str) -> tuple[str, tuple[str, tuple[int, ...]]]:
        """An output of the graph, in a tensor that holds it as it is."""
        if name not in self.views:
            raise InputError(f"{self.file}: nothing makes the output '{name}'", "check the file with onnx.checker")
        view = settled(self.sketch, self.views[name], name)
        return name, (view.tensor, self.sketch.shape(view))
