"""Programs of torch.export (.pt2). Needs the package `torch`, whose own reader opens the file: open files that you trust."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.io.importers.aten import Aten
from accelsim.io.importers.names import layer_name
from accelsim.io.importers.network import Imported, Request, drawn, settled
from accelsim.io.importers.opaque import opaque
from accelsim.io.importers.sketch import Sketch, View

ABOUT = "programs of torch.export (.pt2)"
TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float8_e4m3fn": "e4m3", "float8_e5m2": "e5m2", "int8": "int8",
         "uint8": "int8", "int16": "int16", "int32": "int32", "int64": "int32", "bool": "int8"}  # fmt: skip


def fits(path: Path, text: str | None) -> bool:
    """Whether a file is of this format."""
    return path.suffix == ".pt2"


def read(path: Path, request: Request) -> Imported:
    """The program of a file."""
    try:
        export = import_module("torch.export")
    except ImportError:
        raise InputError(f"{path}: reading programs of torch.export takes the package 'torch'", "pip install 'accelsim[torch]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = export.load(str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}", "check the path") from None
    except Exception as error:  # it raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path}: not a program of torch.export: {reason}", "save it with torch.export.save") from None
    return from_exported(program, str(path), request)


def from_exported(program: Any, file: str = "program", request: Request | None = None) -> Imported:
    """The workload of a `torch.export.ExportedProgram`; `file` stands in messages and in the workload's source."""
    return _Reader(program, file, request or Request()).imported()


class _Reader:
    """One program while its nodes are read in order. `known`: what every node is."""

    def __init__(self, program: Any, file: str, request: Request) -> None:
        self.program, self.file, self.request = program, file, request
        self.sketch = Sketch()
        self.aten = Aten(self.sketch)
        self.known: dict[str, Any] = {}
        self.counted: list[str] = []

    def imported(self) -> Imported:
        """The whole program."""
        if self.request.sizes and self.request.strict:
            raise InputError(f"--size: {self.file} leaves no size open", "leave --size out")
        specs = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs if hasattr(spec.arg, "name")}
        feeds: dict[str, str] = {}
        results: dict[str, tuple[str, tuple[int, ...]]] = {}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._given(node, specs[node.name], feeds)
            elif node.op == "output":
                wanted = [spec.arg.name for spec in self.program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
                for name in wanted:
                    results[name] = self._output(name)
            elif node.op == "call_function":
                self._called(node)
            else:
                raise InputError(f"{self.file}: node '{node.name}' is a {node.op}, which is not known", "export it again")
        stem = Path(self.file).stem
        about = f"Imported from {Path(self.file).name}"
        if self.counted:
            about += "; of these operators only the traffic is counted, and what they compute is not known: " + ", ".join(self.counted)
        source = f"{Path(self.file).name}, a program of torch.export"
        return drawn(self.sketch, layer_name(stem), f"{about}.", source, self.request, tuple(self.counted), frozenset(), feeds, results)

    def _given(self, node: Any, spec: Any, feeds: dict[str, str]) -> None:
        value = node.meta.get("val")
        if not hasattr(value, "shape"):
            raise InputError(f"{self.file}: input '{node.name}' is no tensor", "export it with tensors alone")
        shape, kind = self._shape(value, node.name), self._type(value)
        if spec.kind.name == "USER_INPUT":
            self.known[node.name] = view = self.sketch.source(node.name, shape, kind)
            feeds[node.name] = view.tensor
            return
        tensor = self.program.state_dict.get(spec.target, self.program.constants.get(spec.target))
        values = None
        if tensor is not None:
            plain = tensor.detach().cpu()
            values = (plain.float() if plain.dtype.is_floating_point else plain).numpy()
        self.known[node.name] = self.sketch.source(spec.target or node.name, shape, kind, values, kind="constant")

    def _shape(self, value: Any, name: str) -> tuple[int, ...]:
        if any(not isinstance(size, int) for size in value.shape):
            raise InputError(f"{self.file}: '{name}' leaves a size open", "export the program with fixed sizes")
        return tuple(value.shape)

    def _type(self, value: Any) -> str:
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in TYPES:
            raise InputError(f"{self.file}: has tensors of type {kind}", f"known are {', '.join(TYPES)}")
        found = TYPES[kind]
        return self.request.type if self.request.type and not found.startswith("int") else found

    def _called(self, node: Any) -> None:
        if node.name.startswith("_guards") or not node.users:
            return
        operator = str(getattr(node.target, "_opname", None) or getattr(node.target, "__name__", node.target))
        where = f"{self.file}: node '{node.name}' ({operator})"
        value = node.meta.get("val")
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        self.sketch.origin = self.aten.name = _origin(node)
        self.aten.type = self._type(first) if hasattr(first, "dtype") else "fp32"
        arguments = [self._argument(each, where) for each in node.args]
        if operator == "getitem":
            self.known[node.name] = arguments[0][arguments[1]]
            return
        found = self.aten.find(operator)
        try:
            if found is None:
                raise InputError("this operator is not known", "--unsupported count counts the traffic of such operators alone")
            options = {
                key: self._argument(each, where)
                for key, each in node.kwargs.items()
                if key not in ("dtype", "layout", "device", "pin_memory")
            }
            made = found(*arguments, **options)
        except (InputError, TypeError, IndexError) as error:
            if self.request.unsupported == "count" and hasattr(first, "shape"):
                made = self._count(node, operator, arguments, value)
            elif isinstance(error, InputError):
                raise InputError(f"{where}: {error.what}", error.mend) from None
            else:
                raise InputError(f"{where}: has arguments that are not known", "--unsupported count counts its traffic alone") from None
        for view, stated in zip(
            made if isinstance(made, list) else [made], value if isinstance(value, (list, tuple)) else [value], strict=False
        ):
            if hasattr(stated, "shape") and self.sketch.shape(view) != tuple(stated.shape):
                raise InputError(
                    f"{where}: makes {list(self.sketch.shape(view))}, and the program says {list(stated.shape)}", "export it again"
                )
        self.known[node.name] = made

    def _count(self, node: Any, operator: str, arguments: list[Any], value: Any) -> Any:
        several = isinstance(value, (list, tuple))
        stated = [each for each in (value if several else [value]) if hasattr(each, "shape")]
        views = [each for each in arguments if isinstance(each, View)]
        outputs = [
            (f"{node.name}_{at}" if several else node.name, self._shape(each, node.name), self._type(each))
            for at, each in enumerate(stated)
        ]
        self.counted.append(f"{node.name} ({operator})")
        made = opaque(self.sketch, views, outputs)
        return made if several else made[0]

    def _argument(self, value: Any, where: str) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._argument(each, where) for each in value]
        name = getattr(value, "name", None)
        if hasattr(value, "op") and isinstance(name, str):
            if name not in self.known:
                raise InputError(f"{where}: reads '{name}', which is no tensor", "export it again")
            return self.known[name]
        return value

    def _output(self, name: str) -> tuple[str, tuple[int, ...]]:
        """An output of the program, in a tensor that holds it as it is."""
        view = settled(self.sketch, self.known[name], name)
        return view.tensor, self.sketch.shape(view)


def _origin(node: Any) -> str:
    """What in the source a node comes from: the module that it belongs to, else its own name."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [str(entry[0]) for entry in stack.values() if entry and entry[0]]
    path = paths[-1].removeprefix("L['self'].").replace("['", ".").replace("']", "") if paths else ""
    plain = "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in path).strip("._")
    return plain or str(node.name)
