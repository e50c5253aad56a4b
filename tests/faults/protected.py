"""Blocks and techniques drawn at random, and the best selection by trying all."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np

from accelsim.faults.protection import FLOPS, LOGIC, MEMORY, Block, Choice, Observed, Part, Technique
from accelsim.faults.selection import Limits, Problem, Selection, summed
from accelsim.hardware.architecture import Quantity


def figure(value: float, low: float | None = None, high: float | None = None) -> Quantity:
    """A figure, without doubt if none is given."""
    return Quantity(value, value if low is None else low, value if high is None else high, "a test")


def technique(name: str, protects: tuple[str, ...], detected: float, corrected: float, area: float, added: float = 0.0,
              structure: str | None = None) -> Technique:  # fmt: skip
    """One that costs as much energy as area."""
    numbers = (figure(each) for each in (detected, corrected, area, area, added, 0.9, 1.0))
    return Technique(name, protects, *numbers, "a test", "assumed", structure)  # type: ignore[arg-type]


DUPLICATION = technique("duplication", (FLOPS, MEMORY, LOGIC), 0.99, 0.0, 1.0, 1.0)
TECHNIQUES = (
    technique("parity", (MEMORY,), 1.0, 0.0, 0.0, structure="parity"),
    technique("secded", (MEMORY,), 1.0, 1.0, 0.0, structure="secded"),
    technique("light", (FLOPS,), 0.75, 1.0, 0.2),
    technique("hard", (FLOPS,), 0.9998, 1.0, 1.0),
    DUPLICATION,
)


def blocks(rng: Random, many: int, workloads: int = 1) -> tuple[Block, ...]:
    """Blocks of flops, memory and logic, some without one of the three."""
    found = []
    for at in range(many):
        observed = tuple(Observed(rng.randint(0, 300), rng.randint(0, 30), 1000) for _ in range(workloads))
        flops, bits = rng.randint(1, 5000), rng.randint(1, 200_000)
        parts = (
            Part(FLOPS, flops, flops * 7e-5, flops * 4.5, flops * 1.0, observed),
            Part(MEMORY, bits, bits * 2e-5, bits * 0.5, bits * 0.1, observed, rng.choice((8, 32, 64))),
            Part(LOGIC, 0, 0.0, flops * 10.0, flops * 2.0, tuple(Observed(0, 0, 1, exhaustive=True) for _ in observed)),
        )
        keep = rng.choice(((0, 1, 2), (0, 2), (1,)))
        found.append(Block(f"block{at}", tuple(parts[each] for each in keep), paths=("main",) if rng.random() < 0.5 else ()))
    return tuple(found)


def random_problem(rng: Random, many: int, workloads: int = 1) -> Problem:
    """Choices of small numbers, so that ties and conflicts are common."""
    paths = [("main",) if rng.random() < 0.6 else () for _ in range(many)]
    part = Part(FLOPS, 1, 10.0, 1.0, 1.0, (Observed(1, 0, 1),) * workloads)
    made = tuple(Block(f"b{at}", (part,), paths=paths[at]) for at in range(many))
    options = []
    for _ in made:
        size = rng.randint(1, 5)
        options.append(tuple(
            Choice(f"c{at}", rng.randint(0, 9), rng.randint(0, 9), rng.randint(0, 3),
                   np.array([rng.randint(0, 8) for _ in range(workloads)], float),
                   np.array([rng.randint(0, 8) for _ in range(workloads)], float), rng.randint(0, 4), rng.randint(0, 2))
            for at in range(size)
        ))  # fmt: skip
    return Problem(made, tuple(options))


def within(found: Problem, picks: tuple[int, ...], limits: Limits) -> bool:
    """Whether picks keep within limits, by what the limits are called."""
    chosen = [options[pick] for options, pick in zip(found.options, picks, strict=True)]
    rate = sum(part.fit for block in found.blocks for part in block.parts) + sum(each.added for each in chosen)
    latent, more = sum(each.latent for each in chosen), 1 + 1e-9
    for workload in range(chosen[0].silent.size):
        silent, detected = (sum(getattr(each, name)[workload] for each in chosen) for name in ("silent", "detected"))
        if limits.spfm is not None and 1 - silent / rate < limits.spfm - 1e-9:
            return False
        if limits.lfm is not None and latent > (1 - limits.lfm) * (rate - silent) + 1e-9 * rate:
            return False
        if limits.residual_fit is not None and silent > limits.residual_fit * more:
            return False
        if limits.detected_fit is not None and detected > limits.detected_fit * more:
            return False
    sums = {name: sum(getattr(each, name) for each in chosen) for name in ("area", "energy")}
    if any(getattr(limits, name) is not None and each > getattr(limits, name) * more for name, each in sums.items()):
        return False
    delays = {path: sum(each.delay for block, each in zip(found.blocks, chosen, strict=True) if path in block.paths)
              for path, _ in limits.slack}  # fmt: skip
    return all(delays[path] <= most * more for path, most in limits.slack)


def every(found: Problem, limits: Limits) -> list[Selection]:
    """All selections within limits."""
    return [summed(found, picks) for picks in product(*(range(len(each)) for each in found.options)) if within(found, picks, limits)]
