"""What a format makes of a file, and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.types import TYPES
from accelsim.io.importers.drawing import layers, sheets
from accelsim.io.importers.sheet import Sheet, distinct, merged, write
from accelsim.io.importers.simplify import simplified
from accelsim.io.importers.sketch import Index, Sketch, View

LAYERS = ("merged", "each", "one")
UNSUPPORTED = ("refuse", "count")


@dataclass(frozen=True, slots=True)
class Request:
    """How to import: `unsupported` operators are refused or counted; `layers`: equal ones merged, each by itself, or one cascade in all.

    `sizes`: of dimensions that the file leaves open, by name; `strict`: it does leave them open. `type`: a number type in place of the
    file's floating-point types.
    """

    unsupported: str = "refuse"
    layers: str = "merged"
    sizes: Mapping[str, int] = field(default_factory=dict)
    strict: bool = True
    type: str = ""

    def __post_init__(self) -> None:
        options = (("unsupported", self.unsupported, UNSUPPORTED), ("layers", self.layers, LAYERS), ("type", self.type, ("", *TYPES)))
        for option, given, known in options:
            if given not in known:
                raise InputError(f"--{option} {given}: not a choice", did_you_mean(given, known))


@dataclass(frozen=True, slots=True)
class Imported:
    """A workload file's `text`, and what was `counted`: operators of which only the traffic is known.

    `arrays`: what constants hold, by tensor. `feeds`: by the source's name of an input, the tensor that it is. `results`: by the source's
    name of an output, its tensor and shape. `shapes`: of every tensor. `sized`: the open dimensions that got a size.
    """

    text: str
    counted: tuple[str, ...] = ()
    sized: frozenset[str] = frozenset()
    arrays: Mapping[str, Any] = field(default_factory=dict)
    feeds: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arrays for the interpreter: those of constants, and those given by the source's names of inputs."""
        fed = {self.feeds[name]: value for name, value in given.items() if name in self.feeds}
        return {name: value.reshape(self.shapes[name]) for name, value in {**self.arrays, **fed}.items() if name in self.shapes}


def written(name: str, about: str, source: str, found: list[Sheet], request: Request) -> str:
    """The text of a workload of sheets, merged where that is asked."""
    named = distinct(merged(found) if request.layers == "merged" else found)
    return write(name, about, source, named)


def drawn(
    sketch: Sketch, name: str, about: str, source: str, request: Request, counted: tuple[str, ...], sized: frozenset[str],
    feeds: Mapping[str, str], results: Mapping[str, tuple[str, tuple[int, ...]]],
) -> Imported:  # fmt: skip
    """A sketch as a workload."""
    simplified(sketch)
    if not sketch.statements:
        raise InputError(f"{source} computes nothing", "import a network that has operators")
    groups = [sketch.statements] if request.layers == "one" else layers(sketch)
    text = written(name, about, source, sheets(sketch, groups), request)
    arrays = {tensor.name: tensor.values for tensor in sketch.tensors.values() if tensor.values is not None}
    shapes = {tensor.name: tensor.shape for tensor in sketch.tensors.values()}
    return Imported(text, counted, sized, arrays, feeds, results, shapes)


def settled(sketch: Sketch, view: View, origin: str) -> View:
    """A view as an output: in a tensor of its own that holds it as it is, which a copy makes where none does."""
    ranks = [rank for dim in view.dims for rank in dim]
    pure = [index.pure if isinstance(index, Index) else None for index in view.indices]
    tensor = sketch.tensors[view.tensor]
    if pure != ranks or tensor.shape != tuple(sketch.sizes[rank] for rank in ranks) or tensor.kind != "computed":
        sketch.origin = origin
        view = sketch.flat(view)
    if view.tensor not in sketch.outputs:
        sketch.outputs.append(view.tensor)
    return view
