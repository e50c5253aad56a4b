"""Random search: every point drawn afresh."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from accelsim.mapper.baselines.draws import Draws
from accelsim.mapper.baselines.points import Point

if TYPE_CHECKING:
    import numpy as np


def proposals(draws: Draws, rng: np.random.Generator) -> Generator[Point, float, None]:
    """Points without end; what they are worth is not looked at."""
    while True:
        yield draws.draw(rng)
