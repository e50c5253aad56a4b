"""Simulated annealing: a neighbour is taken if it is better, and sometimes if it is worse.

As in SALSA (V. J. B. Jung et al., "SALSA: Simulated Annealing based Loop-Ordering Scheduler for DNN Accelerators", AICAS 2023,
arXiv 2304.12931), with neighbours that also change tiles, spreads, keeps, units and cuts. Budgets are counts of proposals, so the clock
decides nothing: a round cools down over a fixed number of them, and the next, twice as long, starts from the best point or afresh.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING

from accelsim.mapper.baselines.draws import Draws
from accelsim.mapper.baselines.points import Point

if TYPE_CHECKING:
    import numpy as np

# a temperature is the logarithm of the factor by which a value may be worse and still be taken once in e times
_HOT, _COLD = 0.5, 0.002
_FIRST_ROUND = 500
_STARTS = 20


def proposals(draws: Draws, rng: np.random.Generator) -> Generator[Point, float, None]:
    """Points without end; each is answered with its value, infinite if it is not legal."""
    best: tuple[float, Point] | None = None
    length, number = _FIRST_ROUND, 0
    while True:
        if best is None or number % 2:
            now = yield from _start(draws, rng)
        else:
            now = best
        hot = _HOT if number % 2 == 0 or best is None else _HOT / 4
        for step in range(length):
            temperature = hot * (_COLD / hot) ** (step / length)
            point = draws.vary(now[1], rng)
            value = yield point
            if value <= now[0] or (now[0] > 0 and rng.random() < math.exp(-math.log(value / now[0]) / temperature)):
                now = (value, point)
            if best is None or value < best[0]:
                best = (value, point)
        length, number = 2 * length, number + 1


def _start(draws: Draws, rng: np.random.Generator) -> Generator[Point, float, tuple[float, Point]]:
    """The best of a few points drawn afresh."""
    found: list[tuple[float, Point]] = []
    for _ in range(_STARTS):
        point = draws.draw(rng)
        found.append(((yield point), point))
    return min(found, key=lambda pair: pair[0])
