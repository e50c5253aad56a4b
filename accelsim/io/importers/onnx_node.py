"""A node of an ONNX graph as operators see it: its inputs as views, its attributes as Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.errors import InputError
from accelsim.io.importers.sketch import Sketch, View


@dataclass(frozen=True, slots=True)
class Node:
    """`inputs`: None where one is left out. `version`: of the operators that the file is written in. `type`: of its first output."""

    sketch: Sketch
    kind: str
    name: str
    inputs: tuple[View | None, ...]
    attributes: dict[str, Any]
    outputs: tuple[str, ...]
    version: int
    type: str

    @property
    def result(self) -> str:
        """What the first result should be called."""
        return self.outputs[0].removesuffix("_output_0")

    def given(self, at: int) -> View:
        """An input that has to be there."""
        if at >= len(self.inputs) or (found := self.inputs[at]) is None:
            raise InputError(f"has no input {at + 1}", "check the file")
        return found

    def optional(self, at: int) -> View | None:
        """An input that may be left out."""
        return self.inputs[at] if at < len(self.inputs) else None

    def __call__(self, attribute: str, default: Any) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(attribute, default)

    def values(self, view: View | None, what: str) -> Any:
        """The array of a constant input, in the shape that it has here; an InputError if it is computed."""
        if view is None:
            return None
        tensor = self.sketch.tensors[view.tensor]
        if tensor.values is None:
            raise InputError(f"its {what} are not constants", "fold constants, or state the sizes of the file's open dimensions")
        return tensor.values.reshape(self.sketch.shape(view))

    def whole_numbers(self, at: int, attribute: str, what: str) -> list[int] | None:
        """A list of numbers that older files give as an attribute and newer ones as an input; None if neither is there."""
        if attribute in self.attributes:
            found = self.attributes[attribute]
            return [int(value) for value in (found if isinstance(found, Sequence) else [found])]
        array = self.values(self.optional(at), what)
        return None if array is None else [int(value) for value in array.reshape(-1)]

    def one_output(self) -> None:
        """Refuse outputs after the first."""
        if any(self.outputs[1:]):
            raise InputError("has more than one output", "only its first is known")
