"""What an Einsum over stored elements cannot go below, in any nest and in a given one. Source: docs/sparse.md, "Mapper"."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from accelsim.model.stored_traffic import value_bits

if TYPE_CHECKING:
    from accelsim.mapper.objectives import Objective
    from accelsim.model.evaluation import Evaluator
    from accelsim.model.pricing import Range
    from accelsim.sparse.needs import Needs
    from accelsim.sparse.nest import Nest

_LESS = 1 - 1e-9  # what sums of floating-point numbers may be off


@dataclass(frozen=True, slots=True)
class Floor:
    """Cycles (not rounded), picojoules and bytes that pass the outermost memory, at least."""

    cycles: Fraction
    energy_pj: float
    traffic: float
    seconds: float

    def of(self, objective: Objective, rounded: bool = True) -> float:
        """The least that an objective can be; `rounded`: where a part of a cycle counts as a whole one."""
        cycles = float(math.ceil(self.cycles)) if rounded else float(self.cycles) * _LESS
        figures = {
            "latency": cycles, "energy": self.energy_pj, "traffic": self.traffic,
            "edp": self.energy_pj * self.seconds * _LESS,
        }  # fmt: skip
        return sum(weight * figures[figure] for figure, weight in objective.terms or ((objective.name, 1.0),))


def floor_anywhere(evaluator: Evaluator, nest: Nest, need: Needs) -> Floor:
    """Of every nest: what has to pass the outermost memory, and operations if every copy of the quickest unit had as many."""
    machine, root = evaluator.architecture, evaluator.architecture.root.name
    name, result = nest.einsum.name, nest.einsum.output.tensor
    able = [unit for unit in machine.units if _executes(evaluator, name, unit)]
    rows = [(root, 0, words * _width(evaluator, name, tensor)) for tensor, words in need.words.items()]
    rows.append((root, 2, need.made * _made_width(evaluator, result)))
    busy = min(
        Fraction(need.effectual * evaluator.issue_ticks(name, unit), machine.units[unit].lanes * machine.copies(unit)) for unit in able
    )
    return _floor(evaluator, rows, busy, min(_operation_pj(evaluator, name, unit) for unit in able) * need.effectual)


def floor_of(evaluator: Evaluator, nest: Nest, need: Needs) -> Floor:
    """Of a nest: every keep gets each word that is needed once, and what the unit takes from no memory below it, once an operation."""
    name, result = nest.einsum.name, nest.einsum.output.tensor
    rows = []
    for number, crossing in enumerate(nest.crossings):
        made = crossing.tensor == result
        width = _made_width(evaluator, result) if made else _width(evaluator, name, crossing.tensor)
        words = need.made if made else need.words[crossing.tensor]
        if not crossing.child:
            together = math.prod(turn.trips for turn, shares in zip(nest.turns, nest.shared[number], strict=True) if shares)
            words = max(words, -(-need.effectual // together))
        rows.append((crossing.parent, 2 if made else 0, words * width))
        if crossing.child:
            rows.append((crossing.child, 0 if made else 1, words * width))
    unit = evaluator.architecture.units[nest.unit]
    busy = Fraction(need.effectual * evaluator.issue_ticks(name, nest.unit), unit.lanes * nest.copies[-1])
    return _floor(evaluator, rows, busy, _operation_pj(evaluator, name, nest.unit) * need.effectual)


def _floor(evaluator: Evaluator, rows: list[tuple[str, int, int]], busy: Fraction, operations_pj: float) -> Floor:
    """`rows`: memories, 0 for what is read, 1 written and 2 updated, and pieces of bits; `busy`: ticks of the unit."""
    machine, clock, prices = evaluator.architecture, evaluator.clock, evaluator.prices
    tables: tuple[Dict[str, Range | None], ...] = (prices.read, prices.write, prices.update)
    moved, dynamic, root = defaultdict[str, list[int]](lambda: [0, 0]), operations_pj, 0
    for memory, way, pieces in rows:
        moved[memory][way > 0] += pieces
        price = tables[way][memory]
        dynamic += 0.0 if price is None else pieces * price.value
        root += pieces if memory == machine.root.name else 0
    ticks = busy
    for memory, (read, written) in moved.items():
        if (port := clock.ports.get(memory)) is not None:
            ticks = max(ticks, Fraction(max(port.ticks(read, written)), machine.copies(memory)))
    cycles = ticks / clock.per_cycle
    seconds = float(cycles) / float(machine.clock_hz)
    energy = (dynamic + prices.power.value * seconds * 1e12) * _LESS
    return Floor(cycles, energy, float(Fraction(root, clock.pieces)) / 8, seconds)


def _executes(evaluator: Evaluator, einsum: str, unit: str) -> bool:
    from accelsim.workload.operators import cover

    noun = evaluator.cascade.by_name[einsum]
    return cover(noun, evaluator.architecture.units[unit].accepting(evaluator.cascade.operand_types(noun))) is not None


def _operation_pj(evaluator: Evaluator, einsum: str, unit: str) -> float:
    """Of an operation, as far as it is priced."""
    times = evaluator.program.cover(einsum, unit).items()
    return sum(float(many) * price.value for name, many in times if (price := evaluator.prices.operation[unit, name]) is not None)


def _width(evaluator: Evaluator, einsum: str, tensor: str) -> int:
    """Pieces of bits of a value of an operand, however it is stored."""
    return min(value_bits(evaluator.cascade.tensors[tensor]) * evaluator.clock.pieces, evaluator.widths.read[einsum, tensor])


def _made_width(evaluator: Evaluator, tensor: str) -> int:
    """Pieces of bits of a word of a result, however it is stored."""
    widths = evaluator.widths
    return min(widths.final[tensor], widths.partial[tensor], value_bits(evaluator.cascade.tensors[tensor]) * evaluator.clock.pieces)
