"""Lower bounds of a cascade on a machine, from the algebra of the cascade alone: never from a mapping."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from accelsim.hardware.architecture import Architecture
from accelsim.model.program import Program
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import cover
from accelsim.workload.passes import all_passes


def floor(cascade: Cascade, architecture: Architecture, program: Program) -> dict[str, Any]:
    """Compulsory bytes, cycles that no mapping beats, passes by rank.

    Cycles: the larger of compulsory traffic at the outermost memory's bandwidth, of each Einsum on the unit that does it
    fastest, and of all Einsums so, spread evenly over all units.
    """
    del program
    found = bounds(cascade)
    rate = architecture.root.read_bits_per_s
    if architecture.root.ports != "shared" and rate is not None and architecture.root.write_bits_per_s is not None:
        rate += architecture.root.write_bits_per_s
    elif architecture.root.ports != "shared":
        rate = None
    least = Fraction(0)
    if rate is not None:
        least = Fraction(found.compulsory_bytes) * 8 / rate * architecture.clock_hz
    work = []
    for einsum in cascade.work:
        times = []
        for name, unit in architecture.units.items():
            primitives = cover(einsum, unit.operations)
            if primitives is not None:
                cycles = sum((Fraction(count) * unit.operations[primitive].cycles for primitive, count in primitives.items()), Fraction(0))
                times.append(found.points[einsum.name] * cycles / (architecture.copies(name) * unit.lanes))
        if times:
            work.append(min(times))
    least = max([least, *work, sum(work, Fraction(0)) / max(1, len(architecture.units))])
    return {
        "compulsory_bytes": float(found.compulsory_bytes),
        "min_cycles": math.floor(least),
        "passes": {rank: passed.count for rank, passed in all_passes(cascade).items()},
    }
