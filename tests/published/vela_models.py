"""Small int8 networks as TensorFlow Lite files, and the cycles that Vela estimates for them; needs the wheel `ethos-u-vela`.

A network is a shape `[height, width, channels]` and a list of layers: `{conv: channels, kernel: [h, w], stride: s, relu: true}`,
`{depthwise: [h, w]}`, `{dense: n}`, `{pool: mean}` (over the whole image) or `{add: i}` (of the result of layer i, 0 being the input).
Weights are drawn, biases are zero, padding is `SAME`, every scale is a power of two. What is written is the public schema of the format.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Layer = dict[str, Any]
INT8, INT32 = 9, 2  # TensorType of the schema
ADD, MEAN_POOL, CONV, DEPTHWISE, DENSE = 0, 1, 3, 4, 9  # BuiltinOperator
OPTIONS = {ADD: 11, MEAN_POOL: 5, CONV: 1, DEPTHWISE: 2, DENSE: 8}  # BuiltinOptions
SAME, VALID, RELU = 0, 1, 1
START = "import sys; from ethosu.vela.vela import main; sys.exit(main())"
SYSTEM, MODE = "Ethos_U55_High_End_Embedded", "Sram_Only"


class Writer:
    """A flatbuffer of one subgraph, filled operator by operator."""

    def __init__(self) -> None:
        import flatbuffers  # type: ignore[import-not-found]

        self.builder = flatbuffers.Builder(0)
        self.tensors: list[int] = []
        self.buffers: list[int] = [self.table(())]
        self.operators: list[int] = []
        self.codes: list[int] = []

    def table(self, slots: tuple[tuple[int, str, Any, Any] | None, ...]) -> int:
        """A table whose slots are (number, kind, value, default); `offset` is of something written before."""
        self.builder.StartObject(12)
        prepend: dict[str, Callable[..., None]] = {
            "offset": self.builder.PrependUOffsetTRelativeSlot,
            "int32": self.builder.PrependInt32Slot,
            "uint32": self.builder.PrependUint32Slot,
            "int8": self.builder.PrependInt8Slot,
            "uint8": self.builder.PrependUint8Slot,
        }
        for slot in slots:
            if slot is not None:
                number, kind, value, default = slot
                prepend[kind](number, value, default)
        return int(self.builder.EndObject())

    def offsets(self, values: list[int]) -> int:
        """A vector of what was written before."""
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return int(self.builder.EndVector())

    def numbers(self, values: Any, kind: type[np.generic]) -> int:
        """A vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.asarray(values, kind)))

    def tensor(self, shape: list[int], kind: int, scale: float, data: Any = None) -> int:
        """A tensor, constant if it has `data`; its number."""
        buffer = 0
        if data is not None:
            raw = self.numbers(np.asarray(data).view(np.uint8).reshape(-1), np.uint8)
            self.buffers.append(self.table(((0, "offset", raw, 0),)))
            buffer = len(self.buffers) - 1
        name = self.builder.CreateString(f"t{len(self.tensors)}")
        scales, zeros = self.numbers([scale], np.float32), self.numbers([0], np.int64)
        quantization = self.table(((2, "offset", scales, 0), (3, "offset", zeros, 0)))
        sizes = self.numbers(shape, np.int32)
        self.tensors.append(
            self.table(
                (
                    (0, "offset", sizes, 0),
                    (1, "int8", kind, 0),
                    (2, "uint32", buffer, 0),
                    (3, "offset", name, 0),
                    (4, "offset", quantization, 0),
                )
            )
        )
        return len(self.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int, options: tuple[tuple[int, str, Any, Any] | None, ...]) -> None:
        """An operator with its options."""
        if code not in self.codes:
            self.codes.append(code)
        own = self.table(options)
        read, written = self.numbers(inputs, np.int32), self.numbers([output], np.int32)
        self.operators.append(
            self.table(
                (
                    (0, "uint32", self.codes.index(code), 0),
                    (1, "offset", read, 0),
                    (2, "offset", written, 0),
                    (3, "uint8", OPTIONS[code], 0),
                    (4, "offset", own, 0),
                )
            )
        )

    def finish(self, first: int, last: int) -> bytes:
        """The file."""
        tensors, operators = self.offsets(self.tensors), self.offsets(self.operators)
        inputs, outputs = self.numbers([first], np.int32), self.numbers([last], np.int32)
        graph = self.table(((0, "offset", tensors, 0), (1, "offset", inputs, 0), (2, "offset", outputs, 0), (3, "offset", operators, 0)))
        codes = [self.table(((0, "int8", code, 0), (2, "int32", 1, 1), (3, "int32", code, 0))) for code in self.codes]
        buffers, graphs, known = self.offsets(self.buffers), self.offsets([graph]), self.offsets(codes)
        model = self.table(((0, "uint32", 3, 0), (1, "offset", known, 0), (2, "offset", graphs, 0), (4, "offset", buffers, 0)))
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())


def network(shape: list[int], layers: list[Layer], seed: int = 1) -> bytes:
    """The file of a network."""
    rng = np.random.default_rng(seed)
    writer = Writer()
    height, width, channels = shape
    made = [writer.tensor([1, *shape], INT8, 0.125)]
    for layer in layers:
        kind = next(iter(layer))
        size, stride = layer.get("kernel", [1, 1]), layer.get("stride", 1)
        activation = RELU if layer.get("relu") else 0
        source, scale = made[-1], 0.125
        if kind in ("conv", "depthwise"):
            outputs = layer["conv"] if kind == "conv" else channels
            size = size if kind == "conv" else layer["depthwise"]
            across = [outputs, *size, channels] if kind == "conv" else [1, *size, channels]
            weights = writer.tensor(across, INT8, 2**-6, rng.integers(-127, 128, across).astype(np.int8))
            biases = writer.tensor([outputs], INT32, 2**-9, np.zeros(outputs, np.int32))
            height, width, channels = -(-height // stride), -(-width // stride), outputs
            made.append(writer.tensor([1, height, width, channels], INT8, scale))
            code = CONV if kind == "conv" else DEPTHWISE
            slots = ((0, "int8", SAME, 9), (1, "int32", stride, 0), (2, "int32", stride, 0))
            last = (3, "int8", activation, 0) if kind == "conv" else (4, "int8", activation, 0)
            multiplier = None if kind == "conv" else (3, "int32", 1, 0)
            writer.operator(code, [source, weights, biases], made[-1], (*slots, last, multiplier))
        elif kind == "dense":
            across = [layer["dense"], height * width * channels]
            weights = writer.tensor(across, INT8, 2**-6, rng.integers(-127, 128, across).astype(np.int8))
            biases = writer.tensor([across[0]], INT32, 2**-9, np.zeros(across[0], np.int32))
            height, width, channels = 1, 1, across[0]
            made.append(writer.tensor([1, channels], INT8, scale))
            writer.operator(DENSE, [source, weights, biases], made[-1], ((0, "int8", activation, 0),))
        elif kind == "pool":
            window = ((0, "int8", VALID, 9), (1, "int32", 1, 0), (2, "int32", 1, 0), (3, "int32", width, 0), (4, "int32", height, 0))
            height, width = 1, 1
            made.append(writer.tensor([1, 1, 1, channels], INT8, scale))
            writer.operator(MEAN_POOL, [source], made[-1], window)
        elif kind == "add":
            made.append(writer.tensor([1, height, width, channels], INT8, 0.25))
            writer.operator(ADD, [source, made[layer["add"]]], made[-1], ((0, "int8", activation, 0),))
        else:
            raise AssertionError(kind)
    return writer.finish(made[0], made[-1])


def estimate(model: Path, size: int, legacy: bool = False) -> dict[str, float]:
    """Cycles of a model on the U55 of so many MACs a cycle: the row that the tool's summary writes."""
    out = model.parent / f"{model.stem}-{size}{'-legacy' if legacy else ''}"
    import ethosu  # type: ignore[import-not-found]

    settings = Path(next(iter(ethosu.__path__))) / "config_files" / "Arm" / "vela.ini"
    command = [sys.executable, "-c", START, str(model), "--accelerator-config", f"ethos-u55-{size}"]
    command += ["--config", str(settings), "--system-config", SYSTEM, "--memory-mode", MODE, "--output-dir", str(out)]
    command += ["--debug-force-legacy-core" if legacy else "--debug-force-regor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    table = next(out.glob("*summary*.csv"))
    with table.open(encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    return {key: float(value) for key, value in row.items() if key.startswith("cycles_")}
