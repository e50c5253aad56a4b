"""Ticks: the common unit of time in which every rate of a machine is a whole number, so that times add and compare exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Memory
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Port:
    """Ticks per smallest piece of a bit to read and to write; None is unlimited. `shared`: reads and writes take turns."""

    read: int | None
    write: int | None
    shared: bool

    def ticks(self, read: int, written: int) -> tuple[int, int]:
        """Time to move these pieces of bits on the port that reads (and writes, if it is shared) and on the port that only writes."""
        if self.shared:
            return (read + written) * (self.read or 0), 0
        return read * (self.read or 0), written * (self.write or 0)


class Clock:
    """How many ticks a cycle has, and what bits and issues cost in ticks."""

    def __init__(self, cascade: Cascade, architecture: Architecture) -> None:
        widths = {bits for tensor in cascade.tensors.values() for bits in (tensor.final.bits, tensor.partial.bits)}
        self.pieces = math.lcm(*(width.denominator for width in widths)) if widths else 1
        rates: list[Fraction] = [Fraction(1)]
        for memory in architecture.memories.values():
            rates.extend(self._cycles_per_piece(architecture, rate) for rate in self._rates(memory) if rate is not None)
        for unit in architecture.units.values():
            rates.extend(operation.cycles for operation in unit.operations.values())
        self.per_cycle = math.lcm(*(rate.denominator for rate in rates))
        self.ports: dict[str, Port] = {}
        for name, memory in architecture.memories.items():
            read, write = (
                None if rate is None else int(self._cycles_per_piece(architecture, rate) * self.per_cycle) for rate in self._rates(memory)
            )
            if read is not None or write is not None:
                self.ports[name] = Port(read, write, memory.ports == "shared")

    @staticmethod
    def _rates(memory: Memory) -> tuple[Fraction | None, Fraction | None]:
        if memory.ports == "shared":
            return memory.read_bits_per_s, memory.read_bits_per_s
        return memory.read_bits_per_s, memory.write_bits_per_s

    def _cycles_per_piece(self, architecture: Architecture, bits_per_s: Fraction) -> Fraction:
        return architecture.clock_hz / (bits_per_s * self.pieces)

    def cycles(self, ticks: int | Fraction) -> Fraction:
        """Ticks as cycles."""
        return Fraction(ticks, self.per_cycle)
