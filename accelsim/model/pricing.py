"""Energy and area: counts times the prices of a technology table, with the low and high that each price has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.hardware.architecture import Architecture, Array, Memory, Quantity, Unit
from accelsim.model.counts import Counts
from accelsim.model.program import Program


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its low and high."""

    value: float
    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.value + other.value, self.low + other.low, self.high + other.high)

    def scaled(self, factor: float) -> Range:
        """All three times a factor that is not negative."""
        return Range(self.value * factor, self.low * factor, self.high * factor)


NOTHING = Range(0.0, 0.0, 0.0)


def _range(quantities: Iterable[Quantity | None], per: float = 1.0) -> Range:
    total = NOTHING
    for quantity in quantities:
        if quantity is not None:
            total = total + Range(quantity.value, quantity.low, quantity.high).scaled(1 / per)
    return total


class Prices:
    """Prices of a machine per piece of a bit and per operation, and its power in watts."""

    def __init__(self, architecture: Architecture, pieces: int) -> None:
        self.architecture = architecture
        self.read: dict[str, Range | None] = {}
        self.write: dict[str, Range | None] = {}
        self.update: dict[str, Range | None] = {}
        self.operation: dict[tuple[str, str], Range | None] = {}
        self.cross: dict[str, Range | None] = {}
        power, area, self.without_area = NOTHING, NOTHING, list[str]()
        for node in architecture.nodes():
            copies = architecture.copies(node.name)
            if isinstance(node, Memory):
                per = float((node.access_bits or 1) * pieces)
                interface = _range([node.interface_pj], pieces)
                self.read[node.name] = None if node.read_pj is None else _range([node.read_pj], per) + interface
                self.write[node.name] = None if node.write_pj is None else _range([node.write_pj], per) + interface
                update = node.update_pj or node.write_pj
                self.update[node.name] = None if update is None else _range([update], per) + interface
                power += _range([node.static_w, node.clock_w, node.background_w]).scaled(copies)
            elif isinstance(node, Unit):
                for name, operation in node.operations.items():
                    self.operation[node.name, name] = None if operation.energy_pj is None else _range([operation.energy_pj])
                power += _range([node.static_w, node.clock_w]).scaled(copies)
            else:
                assert isinstance(node, Array)
                power += _range([node.static_w, node.clock_w]).scaled(copies)
            area += _range([node.area_um2]).scaled(copies)
            if node.area_um2 is None and node is not architecture.root and not isinstance(node, Array):
                self.without_area.append(node.name)
        for name, (_, network) in architecture.networks.items():
            self.cross[name] = None if network.energy_pj is None else _range([network.energy_pj], pieces)
        self.power = power
        # the outermost memory's port is where an interface is paid: without a price it is said so
        self.interface_missing = architecture.root.name if architecture.root.interface_pj is None else None
        self.area = area if any(node.area_um2 for node in architecture.nodes()) else None
        self.area_um2 = self.area.value if self.area else None

    def dynamic(
        self,
        program: Program,
        counts: Counts,
        bits: dict[tuple[str, str, str], tuple[int, int, int]],
        crossed: dict[tuple[str, str, str], tuple[int, int]],
    ) -> tuple[Range, dict[str, float], dict[str, float], tuple[str, ...]]:
        """Dynamic energy in all, by component and by Einsum, and what was used without a price."""
        value = low = high = 0.0
        by_component: dict[str, float] = {}
        by_einsum: dict[str, float] = dict.fromkeys(counts.lowered.leaves, 0.0)
        unpriced: dict[str, None] = {}
        for (einsum, _, memory), amounts in bits.items():
            total = 0.0
            for amount, prices, action in zip(amounts, (self.read, self.write, self.update), ("read", "write", "update"), strict=True):
                if not amount:
                    continue
                price = prices[memory]
                if price is None:
                    unpriced[f"{memory} {action}"] = None
                    continue
                total += amount * price.value
                low += amount * price.low
                high += amount * price.high
            value += total
            by_component[memory] = by_component.get(memory, 0.0) + total
            by_einsum[einsum] += total
        for (einsum, _, network), ways in crossed.items():
            price, amount = self.cross[network], sum(ways)
            if price is None:
                unpriced |= {network: None} if amount else {}
                continue
            value += amount * price.value
            low += amount * price.low
            high += amount * price.high
            by_component[network] = by_component.get(network, 0.0) + amount * price.value
            by_einsum[einsum] += amount * price.value
        for einsum, leaf in counts.lowered.leaves.items():
            operations, total = counts.operations[einsum], 0.0
            for primitive, times in program.cover(einsum, leaf.unit).items():
                price = self.operation[leaf.unit, primitive]
                if price is None:
                    unpriced[f"{leaf.unit} {primitive}"] = None
                    continue
                executed = operations * float(times)
                total += executed * price.value
                low += executed * price.low
                high += executed * price.high
            value += total
            by_component[leaf.unit] = by_component.get(leaf.unit, 0.0) + total
            by_einsum[einsum] += total
        if self.interface_missing and any(memory == self.interface_missing and any(row) for (_, _, memory), row in bits.items()):
            unpriced[f"{self.interface_missing} interface"] = None
        return Range(value, low, high), by_component, by_einsum, tuple(unpriced)
