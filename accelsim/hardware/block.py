"""What a node is made of in RTL: blocks of a synthesis table, each with the flip-flops, memory bits and gates that it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """Flip-flops, bits of memories, gates, and the gate equivalents of gates and flip-flops together."""

    flops: int = 0
    memory_bits: int = 0
    gates: int = 0
    gate_equivalents: float = 0.0

    def __add__(self, other: Content) -> Content:
        return Content(
            self.flops + other.flops,
            self.memory_bits + other.memory_bits,
            self.gates + other.gates,
            self.gate_equivalents + other.gate_equivalents,
        )

    def times(self, count: int) -> Content:
        """That of so many."""
        return Content(count * self.flops, count * self.memory_bits, count * self.gates, count * self.gate_equivalents)


@dataclass(frozen=True, slots=True)
class Block:
    """`count` copies of a module with its parameters, each of which has the `content`. `apart`: modules in it that do not count."""

    module: str
    parameters: tuple[tuple[str, int], ...]
    content: Content
    apart: str = ""
    count: int = 1

    def __str__(self) -> str:
        parts = (self.module, *(f"{name}={value}" for name, value in self.parameters), *(("without", self.apart) if self.apart else ()))
        return " ".join(parts)


def content(blocks: tuple[Block, ...]) -> Content:
    """That of all."""
    return sum((block.content.times(block.count) for block in blocks), Content())
