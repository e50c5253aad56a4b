"""Evaluation: counts, times and prices of one mapping; made by an Evaluator, which is built once per workload and machine."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.holding import by_size
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping
from accelsim.model.counts import Counts, count
from accelsim.model.options import Counting
from accelsim.model.pricing import Prices, Range
from accelsim.model.program import Program
from accelsim.model.schedule import Load, Timing, schedule
from accelsim.model.ticks import Clock
from accelsim.model.traffic import Widths
from accelsim.workload.cascade import Cascade

MOST_BANKS = 1024


@dataclass(frozen=True)
class Evaluation:
    """What a mapping costs. Times in cycles are exact; energy in picojoules with its low and high; `search` as in the JSON contract.

    `bits`: (einsum, tensor, memory) -> pieces of bits read, filled, updated. `energies`: dynamic energy by component, and by Einsum.
    `crossed`: (einsum, tensor, network) -> pieces of bits that go down, and up, over all copies of the network. `least`: bounds that
    differ from those of all elements.
    """

    evaluator: Evaluator
    mapping: Mapping
    counts: Counts
    timing: Timing
    loads: dict[str, Load]
    bits: dict[tuple[str, str, str], tuple[int, int, int]]
    dynamic: Range
    by_component: dict[str, float]
    by_einsum: dict[str, float]
    unpriced: tuple[str, ...]
    search: dict[str, Any] | None = field(default=None)
    crossed: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    least: dict[str, Any] = field(default_factory=dict)

    @property
    def steady_cycles(self) -> Fraction:
        """Cycles of the steady state: what published tables compare."""
        return self.evaluator.clock.cycles(self.timing.steady)

    @property
    def cycles(self) -> int:
        """Cycles with fill and drain, rounded up."""
        clock = self.evaluator.clock
        return math.ceil(clock.cycles(self.timing.latency))

    @property
    def seconds(self) -> float:
        """Latency with fill and drain."""
        clock = self.evaluator.clock
        return self.timing.latency / clock.per_cycle / float(self.evaluator.architecture.clock_hz)

    @property
    def static(self) -> Range:
        """Energy of static, clock and background power over the run, in picojoules."""
        return self.evaluator.prices.power.scaled(self.seconds * 1e12)

    @property
    def energy(self) -> Range:
        """Dynamic and static energy in picojoules."""
        return self.dynamic + self.static

    @property
    def energy_pj(self) -> float:
        """Dynamic and static energy in picojoules."""
        return self.energy.value

    @property
    def edp_pj_s(self) -> float:
        """Energy times delay."""
        return self.energy.value * self.seconds

    def bounds(self) -> dict[str, Any]:
        """What no mapping can go below: compulsory traffic in bytes, cycles, and passes by rank."""
        return self.evaluator.bounds() | self.least

    def traffic_bits(self, memory: str) -> tuple[Fraction, Fraction]:
        """Bits read from and written to all copies of a memory."""
        pieces = self.evaluator.clock.pieces
        rows = [row for key, row in self.bits.items() if key[2] == memory]
        return Fraction(sum(row[0] for row in rows), pieces), Fraction(sum(row[1] + row[2] for row in rows), pieces)

    def network_bits(self, network: str) -> tuple[Fraction, Fraction]:
        """Bits that cross all copies of a network, down and up."""
        pieces = self.evaluator.clock.pieces
        rows = [row for key, row in self.crossed.items() if key[2] == network]
        return Fraction(sum(row[0] for row in rows), pieces), Fraction(sum(row[1] for row in rows), pieces)

    def occupancy(self) -> dict[str, int]:
        """Bits that every memory holds at its fullest moment, per copy."""
        from accelsim.mapping.occupancy import occupancy

        cascade = self.evaluator.cascade
        return occupancy(cascade, self.evaluator.architecture, by_size(self.mapping, cascade.extents))

    def with_search(self, search: dict[str, Any]) -> Evaluation:
        """The same evaluation with the record of the search that found its mapping."""
        return replace(self, search=search)

    def on(self, architecture: Architecture) -> Evaluation:
        """The same mapping on a machine that differs in seconds, power that flows all the time and area alone: no tick changes."""
        return replace(self, evaluator=self.evaluator.on(architecture))

    def to_json(self) -> dict[str, Any]:
        """The evaluation as the contract `accelsim/evaluation/1` says (DESIGN of the JSON: docs/model.md)."""
        from accelsim.model.document import document

        return document(self)

    def __repr__(self) -> str:
        from accelsim.model.shown import evaluation_line

        return f"<Evaluation {evaluation_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.model.shown import evaluation_html

        return evaluation_html(self)


class Evaluator:
    """Evaluates mappings of one cascade on one machine; everything that does not depend on the mapping is worked out once."""

    def __init__(self, cascade: Cascade, architecture: Architecture, counting: Counting | None = None) -> None:
        self.cascade = cascade
        self.architecture = architecture
        self.counting = counting or Counting()
        _refuse_unmodelled(architecture)
        self.program = Program(cascade, architecture, self.counting)
        self.clock = Clock(cascade, architecture)
        self.launch_ticks = math.ceil(architecture.launch_s * architecture.clock_hz * self.clock.per_cycle)
        self.widths = Widths(cascade, self.clock.pieces)
        self.prices = Prices(architecture, self.clock.pieces)
        self._bounds: dict[str, Any] | None = None
        self._copies = {name: architecture.copies(name) for name in architecture.memories}
        self._copies |= {name: architecture.copies(array.name) for name, (array, _) in architecture.networks.items()}
        self._issue_ticks: dict[tuple[str, str], int] = {}
        self._depth: dict[str, int] = {name: unit.pipeline_depth for name, unit in architecture.units.items()}

    def on(self, architecture: Architecture) -> Evaluator:
        """The same for a machine that differs in seconds, power that flows all the time and area alone."""
        other = copy(self)
        other.architecture, other.prices, other._bounds = architecture, Prices(architecture, self.clock.pieces), None
        return other

    def evaluate(self, mapping: Mapping, checked: bool = False) -> Evaluation:
        """Count, schedule and price a mapping; IllegalMapping says in words why a machine or a cascade does not allow it.

        `checked`: the caller knows that the mapping is legal.
        """
        if not checked:
            check(self.cascade, self.architecture, mapping)
        counts = count(self.program, mapping)
        widths = self.widths
        final = counts.final
        bits = {key: widths.bits(key, words, final.get(key)) for key, words in counts.words.items()}
        crossed = {key: self._ways(key, words, counts.crossed_final.get(key)) for key, words in counts.crossed.items()}
        loads = self._loads(counts, bits, crossed)
        timing = schedule(self.program, mapping, loads, self.launch_ticks)
        dynamic, by_component, by_einsum, unpriced = self.prices.dynamic(self.program, counts, bits, crossed)
        return Evaluation(self, mapping, counts, timing, loads, bits, dynamic, by_component, by_einsum, unpriced, crossed=crossed)

    def _ways(self, key: tuple[str, str, str], words: list[int], complete: list[int] | None) -> tuple[int, int]:
        """Pieces of bits that cross a network: down, as the memory above is read for them, and up, as it is updated."""
        down, _, up = self.widths.bits(key, words, complete)
        return down, up

    def issue_ticks(self, einsum: str, unit: str) -> int:
        """Ticks that one issue of an Einsum keeps a unit busy."""
        key = (einsum, unit)
        if key not in self._issue_ticks:
            operations = self.architecture.units[unit].operations
            cycles = sum((count * operations[name].cycles for name, count in self.program.cover(einsum, unit).items()), Fraction(0))
            self._issue_ticks[key] = int(cycles * self.clock.per_cycle)
        return self._issue_ticks[key]

    def bounds(self) -> dict[str, Any]:
        """What no mapping can go below: compulsory traffic in bytes, cycles, and passes by rank."""
        if self._bounds is None:
            from accelsim.model.floor import floor

            self._bounds = floor(self.cascade, self.architecture)
        return self._bounds

    def _loads(
        self,
        counts: Counts,
        bits: dict[tuple[str, str, str], tuple[int, int, int]],
        crossed: dict[tuple[str, str, str], tuple[int, int]],
    ) -> dict[str, Load]:
        per_cycle, ports, many = self.clock.per_cycle, self.clock.ports, self.program.many
        moved: dict[tuple[str, str], tuple[int, int]] = {}
        for key, row in bits.items():
            memory = key[2]
            if memory in ports:
                if many[memory]:
                    # the first copy is the busiest but where padding or // touch it less; none is below the mean of all
                    copies = self._copies[memory]
                    first = self.widths.bits(key, counts.first[key], counts.first_final.get(key))
                    row = (max(first[0], -(-row[0] // copies)), max(first[1], -(-row[1] // copies)), max(first[2], -(-row[2] // copies)))
                read, written = moved.get((key[0], memory), (0, 0))
                moved[key[0], memory] = (read + row[0], written + row[1] + row[2])
        for key, ways in crossed.items():
            network = key[2]
            if network in ports:
                mine, copies = self._ways(key, counts.crossed_first[key], counts.crossed_first_final.get(key)), self._copies[network]
                down, up = (max(one, -(-every // copies)) for one, every in zip(mine, ways, strict=True))
                read, written = moved.get((key[0], network), (0, 0))
                moved[key[0], network] = (read + down, written + up)
        loads: dict[str, Load] = {}
        for name, leaf in counts.lowered.leaves.items():
            latency = self._depth[leaf.unit] + counts.lowered.latencies[name]
            loads[name] = Load(leaf.unit, counts.issues[name] * self.issue_ticks(name, leaf.unit), {}, latency * per_cycle)
        for (name, memory), (read, written) in moved.items():
            loads[name].ports[memory] = ports[memory].ticks(read, written)
        return loads


def _refuse_unmodelled(architecture: Architecture) -> None:
    """What a machine states and this model would ignore is an error: what is accepted is modelled."""
    for memory in architecture.memories.values():
        if memory.latency_cycles and memory.read_bits_per_s is None:
            raise InputError(f"{memory.name} has a latency and an unlimited bandwidth", "give it a bandwidth, or no latency", memory.place)
        if memory.banks > MOST_BANKS:
            raise InputError(f"{memory.name} has {memory.banks} banks, more than {MOST_BANKS}", "write fewer 'banks'", memory.place)
        if memory.banks > 1 and memory.dram is not None:
            raise InputError(f"{memory.name} has banks beside those of its DRAM", "remove 'banks'", memory.place)
        if memory.banks > 1 and memory.read_bits_per_s is None and memory.write_bits_per_s is None:
            mend = "give it a bandwidth, or remove 'banks'"
            raise InputError(f"{memory.name} has banks, and a bandwidth without limit", mend, memory.place)
        if memory.dram is not None and memory is not architecture.root:
            raise InputError(f"{memory.name} is not the outermost memory, which alone may be a DRAM", "remove 'dram'", memory.place)
    for _, axis in architecture.axes.values():
        if axis.forwards:
            raise InputError(f"{axis.name}: forwarding between neighbours is not modelled yet", "remove it", axis.place)


def evaluate(cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting | None = None) -> Evaluation:
    """Evaluate one mapping, with the sizes that it states of open parts of splits; use an Evaluator for many."""
    from accelsim.workload.build import sized

    return Evaluator(sized(cascade, mapping.sizes), architecture, counting).evaluate(mapping)
