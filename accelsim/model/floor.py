"""Lower bounds of a cascade on a machine, from the algebra of the cascade alone: never from a mapping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.hardware.architecture import Architecture
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import cover
from accelsim.workload.passes import all_passes


@dataclass(frozen=True, slots=True)
class Floors:
    """Cycles that no mapping beats, by what asks for them.

    `traffic`: compulsory bytes at the outermost memory's bandwidth. `alone`: the Einsum that takes longest on the unit that does it
    fastest, which is `longest`. `shared`: all Einsums shared out over the units as well as can be. `launch`: of one part, on top.
    """

    compulsory_bytes: Fraction
    traffic: Fraction
    alone: Fraction
    longest: str
    shared: Fraction
    launch: Fraction

    @property
    def cycles(self) -> Fraction:
        """The largest of the three and the launch."""
        return max(self.traffic, self.alone, self.shared) + self.launch


def floor(cascade: Cascade, architecture: Architecture) -> dict[str, Any]:
    """Compulsory bytes, cycles that no mapping beats, passes by rank."""
    found = floors(cascade, architecture)
    return {
        "compulsory_bytes": float(found.compulsory_bytes),
        "min_cycles": math.floor(found.cycles),
        "passes": {rank: passed.count for rank, passed in all_passes(cascade).items()},
    }


def floors(cascade: Cascade, architecture: Architecture) -> Floors:
    """Cycles that no mapping beats.

    The larger of compulsory traffic at the outermost memory's bandwidth, of each Einsum on the unit that does it
    fastest, and of all Einsums shared out over the units as well as can be (`shared_out`); then the launch of one part.
    """
    found = bounds(cascade)
    rate = architecture.root.read_bits_per_s
    if architecture.root.ports != "shared" and rate is not None and architecture.root.write_bits_per_s is not None:
        rate += architecture.root.write_bits_per_s
    elif architecture.root.ports != "shared":
        rate = None
    traffic, launch = Fraction(0), architecture.launch_s * architecture.clock_hz
    if rate is not None:
        traffic = Fraction(found.compulsory_bytes) * 8 / rate * architecture.clock_hz
    work: list[dict[str, float]] = []
    fastest: dict[str, Fraction] = {}
    for einsum in cascade.work:
        times: dict[str, Fraction] = {}
        for name, unit in architecture.units.items():
            primitives = cover(einsum, unit.accepting(cascade.operand_types(einsum)))
            if primitives is not None:
                cycles = sum((Fraction(count) * unit.operations[primitive].cycles for primitive, count in primitives.items()), Fraction(0))
                times[name] = found.points[einsum.name] * cycles / (architecture.copies(name) * unit.lanes)
        if times:
            work.append({name: float(ticks) for name, ticks in times.items()})
            fastest[einsum.name] = min(times.values())
    longest = max(fastest, key=lambda name: fastest[name], default="")
    alone, shared = fastest.get(longest, Fraction(0)), Fraction(shared_out(work) * (1 - 1e-9))
    return Floors(Fraction(found.compulsory_bytes), traffic, alone, longest, shared, launch)


def shared_out(work: Sequence[Mapping[str, float]]) -> float:
    """A lower bound on the busiest unit's time, given every item's time on each unit that can do it.

    For any weights of the units that sum to 1, no sharing out is faster than the sum over items of the least weighted time
    (duality of linear programs); the weights are moved towards the units that this loads most.
    """
    units = sorted({unit for times in work for unit in times})
    weights = dict.fromkeys(units, 1.0 / max(1, len(units)))
    best = 0.0
    for step in range(1, 101):
        loads = dict.fromkeys(units, 0.0)
        total = 0.0
        for times in work:
            unit = min(times, key=lambda name: (weights[name] * times[name], name))
            total += weights[unit] * times[unit]
            loads[unit] += times[unit]
        best = max(best, total)
        most = max(loads.values(), default=0.0)
        if not most:
            break
        weights = {unit: weight * math.exp(loads[unit] / most / step**0.5) for unit, weight in weights.items()}
        scale = sum(weights.values())
        weights = {unit: weight / scale for unit, weight in weights.items()}
    return best
