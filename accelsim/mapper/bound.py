"""A lower bound on latency that no mapping in the space beats: every Einsum runs on one unit, whose copies are all busy at best."""

from __future__ import annotations

import math
from fractions import Fraction

from accelsim.hardware.architecture import Architecture
from accelsim.mapper.assign import balance
from accelsim.mapper.scope import Scope
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import steps_alone

_MOST_EINSUMS = 12  # up to here the balance is exact, so that it bounds


def least_cycles(scope: Scope) -> float:
    """Cycles of the busiest unit when work is shared out as well as it can be and no copy ever idles; 0 where that is not exact."""
    points = bounds(scope.cascade).points
    options = []
    for name, able in scope.able.items():
        costs = {}
        for unit, cycles in able.items():
            places = scope.architecture.copies(unit) * scope.architecture.units[unit].lanes
            costs[unit] = max(points[name] / places, _steps(scope, name, unit)) * cycles
        options.append(costs)
    if len(scope.architecture.units) ** len(options) > 2**_MOST_EINSUMS:
        return _fractional(options)
    chosen = balance(options)
    loads: dict[str, float] = {}
    for unit, costs in zip(chosen, options, strict=True):
        loads[unit] = loads.get(unit, 0.0) + costs[unit]
    return max(loads.values())


def _steps(scope: Scope, einsum: str, unit: str) -> int:
    """Issues at least of a recurrence: one for each step, unless lanes take many steps at once."""
    machine, noun = scope.architecture.units[unit], scope.facts.einsums[einsum]
    primitives = machine.accepting(scope.cascade.operand_types(noun))
    if noun.condition is not None or (machine.lanes > 1 and not steps_alone(noun, primitives)):
        return 0
    return math.prod(scope.cascade.extents[rank] for rank in scope.carried[einsum] if rank in noun.ranks)


def least_transfer(cascade: Cascade, architecture: Architecture) -> float:
    """Cycles that the compulsory traffic of a cascade takes at the outermost memory."""
    root = architecture.root
    rates = [root.read_bits_per_s] if root.ports == "shared" else [root.read_bits_per_s, root.write_bits_per_s]
    if any(rate is None for rate in rates):
        return 0.0
    rate = sum((rate for rate in rates if rate is not None), Fraction(0))
    return float(bounds(cascade).compulsory_bytes * 8 / rate * architecture.clock_hz)


def _fractional(options: list[dict[str, float]]) -> float:
    """The same if Einsums could be shared between units: two units are balanced exactly, more are bounded by the mean."""
    units = sorted({unit for costs in options for unit in costs})
    forced = max(sum(costs[unit] for costs in options if list(costs) == [unit]) for unit in units)
    if len(units) != 2:
        return max(forced, sum(min(costs.values()) for costs in options) / len(units))
    one, other = units
    first = sum(costs[one] for costs in options if one in costs)
    second = sum(costs[other] for costs in options if one not in costs)
    both = (costs for costs in options if len(costs) == 2 and any(costs.values()))  # views cost nothing anywhere
    for costs in sorted(both, key=lambda costs: costs[other] / max(costs[one], 1e-9)):
        if first <= second:
            break
        share = min(1.0, max(0.0, (first - second) / (costs[one] + costs[other])))
        first -= share * costs[one]
        second += share * costs[other]
    return max(forced, first, second)
