"""Ticks: the common unit of time in which every rate of a machine is a whole number, so that times add and compare exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Memory, Network
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Port:
    """Ticks per smallest piece of a bit to read and to write; None is unlimited. `shared`: reads and writes take turns.

    Of a network, what goes down counts as read and what goes up as written, as at the memory above.
    """

    read: int | None
    write: int | None
    shared: bool

    def ticks(self, read: int, written: int) -> tuple[int, int]:
        """Time to move these pieces of bits on the port that reads (and writes, if it is shared) and on the port that only writes."""
        if self.shared:
            return (read + written) * (self.read or 0), 0
        return read * (self.read or 0), written * (self.write or 0)


class Clock:
    """How many ticks a cycle has, and what bits and issues cost in ticks. `ports`: of memories and networks that have a limit, by name."""

    def __init__(self, cascade: Cascade, architecture: Architecture) -> None:
        widths = {bits for tensor in cascade.tensors.values() for bits in (tensor.final.bits, tensor.partial.bits)}
        self.pieces = math.lcm(*(width.denominator for width in widths)) if widths else 1
        rates: list[Fraction] = [Fraction(1)]
        links: dict[str, Memory | Network] = dict(architecture.memories)
        links |= {name: network for name, (_, network) in architecture.networks.items()}
        for link in links.values():
            rates.extend(self._cycles_per_piece(architecture, rate) for rate in self._rates(link) if rate is not None)
        for unit in architecture.units.values():
            rates.extend(operation.cycles for operation in unit.operations.values())
        self.per_cycle = math.lcm(*(rate.denominator for rate in rates))
        self.ports: dict[str, Port] = {}
        for name, link in links.items():
            read, write = (
                None if rate is None else int(self._cycles_per_piece(architecture, rate) * self.per_cycle) for rate in self._rates(link)
            )
            if read is not None or write is not None:
                self.ports[name] = Port(read, write, link.ports == "shared")

    @staticmethod
    def _rates(link: Memory | Network) -> tuple[Fraction | None, Fraction | None]:
        out, back = (
            (link.down_bits_per_s, link.up_bits_per_s)
            if isinstance(link, Network)
            else (link.read_bits_per_s, link.write_bits_per_s)
        )
        return out, out if link.ports == "shared" else back

    def _cycles_per_piece(self, architecture: Architecture, bits_per_s: Fraction) -> Fraction:
        return architecture.clock_hz / (bits_per_s * self.pieces)

    def cycles(self, ticks: int | Fraction) -> Fraction:
        """Ticks as cycles."""
        return Fraction(ticks, self.per_cycle)
