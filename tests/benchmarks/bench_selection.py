"""How long the selection of protection takes, and what it selects, with a limit on what is detected and without: blocks drawn at random.

Run: python tests/benchmarks/bench_selection.py [BLOCKS …]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from random import Random

from accelsim.faults.greedy import greedy
from accelsim.faults.protection import FLOPS, LOGIC, Block, Observed, Part, Technique
from accelsim.faults.selection import Limits, problem, select
from accelsim.hardware.architecture import Quantity


def technique(name: str, detected: float, corrected: float, area: float, added: float = 0.0) -> Technique:
    """Of flops; one that costs as much energy as area."""
    kinds = (FLOPS, LOGIC) if added else (FLOPS,)
    figures = (Quantity(each, each, each) for each in (detected, corrected, area, area, added, 0.9, 0.0))
    return Technique(name, kinds, *figures, "assumed, for speed alone", "assumed")  # type: ignore[arg-type]


TECHNIQUES = (
    technique("parity", 0.99, 0.0, 0.1), technique("light", 0.75, 1.0, 0.2), technique("hard", 0.9998, 1.0, 1.0),
    technique("duplication", 0.99, 0.0, 1.02, 1.0), technique("triplication", 0.999, 1.0, 2.05, 2.0),
)  # fmt: skip


def blocks(many: int) -> list[Block]:
    """Flops with as much logic, AVFs from 0.1 to 30 % of 1000 injections."""
    rng = Random(many)
    found = []
    for at in range(many):
        flops = int(10 ** rng.uniform(1, 4))
        silent = int(1000 * 10 ** rng.uniform(-3, -0.5))
        parts = (
            Part(FLOPS, flops, flops * 7.153e-5, flops * 4.5, float(flops), (Observed(silent, 0, 1000),)),
            Part(LOGIC, 0, 0.0, flops * 10.0, float(flops), (Observed(0, 0, 1, exhaustive=True),)),
        )
        found.append(Block(f"block{at}", parts))
    return found


def main(sizes: list[int]) -> None:
    """Seconds, area over that of all blocks, and how often each choice is made."""
    for many in sizes:
        mine = blocks(many)
        found = problem(mine, TECHNIQUES)
        whole = sum(part.area for block in mine for part in block.parts)
        raw = found.fit
        for name, limits in (
            ("silent", Limits(residual_fit=0.01 * raw)),
            ("silent and detected", Limits(residual_fit=0.01 * raw, detected_fit=0.01 * raw)),
        ):
            start = time.perf_counter()
            best = select(found, limits)
            middle = time.perf_counter()
            steps = greedy(found, limits)
            end = time.perf_counter()
            areas = f"area +{100 * best.area / whole:.2f} % (step by step +{100 * steps.area / whole:.2f} %)"
            print(f"{many:5} blocks, {name} at most 1 % of raw: {middle - start:6.2f} s ({end - middle:.2f} s), {areas}")
            print(f"      {dict(Counter(best.names).most_common())}")


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [8, 50, 500])
