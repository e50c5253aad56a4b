"""What a person states about a cascade before it is checked: statements, sizes, splits, types, tensors and constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelsim.errors import Place
from accelsim.hardware.types import TYPES, NumberType
from accelsim.workload.density import Stated
from accelsim.workload.grammar import Statement
from accelsim.workload.storage import Storage


@dataclass(frozen=True, slots=True)
class TensorDeclaration:
    """What is stated about a tensor: `shape` items are numbers, ranks or formulas over sizes, and so is `below`, which its values are less
    than; `fill` is what a read outside reads.
    """

    shape: tuple[int | str, ...] | None = None
    fill: float | None = None
    output: bool = False
    below: int | str | None = None


@dataclass(frozen=True, slots=True)
class TypePair:
    """The type of a finished value and of a partial one."""

    final: NumberType
    partial: NumberType


BF16 = TypePair(TYPES["bf16"], TYPES["bf16"])


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything that `build.build` makes a Cascade from.

    `split`: for every split rank its parts outermost first, None for a size that is derived or left to the mapper; `shape` may
    also size a part. `derived`: formulas of ranks whose size follows from others, unless `shape` has them. `constants`: numbers or
    formulas over sizes and earlier constants. `places`: where `section.key` stands.
    """

    name: str
    statements: tuple[Statement, ...]
    shape: Mapping[str, int]
    split: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    default: TypePair = BF16
    types: Mapping[str, TypePair] = field(default_factory=dict)
    tensors: Mapping[str, TensorDeclaration] = field(default_factory=dict)
    constants: Mapping[str, float | str] = field(default_factory=dict)
    density: Mapping[str, float | Stated] = field(default_factory=dict)
    storage: Mapping[str, Storage] = field(default_factory=dict)
    source: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)

    def place(self, *path: str) -> Place | None:
        """Where a stated thing stands, the nearest enclosing one if it has no place of its own."""
        for length in range(len(path), 0, -1):
            found = self.places.get(".".join(path[:length]))
            if found is not None:
                return found
        return self.statements[0].place() if self.statements else None
