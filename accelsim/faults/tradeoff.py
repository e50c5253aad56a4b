"""Area against what is left, and how often each choice survives other outcomes of the same campaigns."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.protection import Block, Technique
from accelsim.faults.selection import RESIDUAL, Limits, Problem, Selection, problem, select

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def front(found: Problem, limits: Limits, step: float = 0.1, most: int = 200) -> list[Selection]:
    """Choices of which none has both less area and less that is left, the least area first; each leaves at least a part `step` less.

    Area is least for what may be left, and then what is left is least for that area. A tiny step gives all of them.
    """
    if not 0 < step < 1:
        raise InputError(f"a step of {step:g} is no part", "write it between 0 and 1")
    points: list[Selection] = []
    bound = limits.residual_fit
    while len(points) < most:
        try:
            best = select(found, replace(limits, residual_fit=bound))
        except InputError:
            if not points:
                raise
            break
        with contextlib.suppress(InputError):  # where areas differ by less than the solver's slack
            best = select(found, replace(limits, residual_fit=bound, area=best.area), RESIDUAL)
        points.append(best)
        bound = best.residual * (1 - step)
        if best.residual <= 0:
            break
    return points


def steadiness(
    blocks: Sequence[Block], techniques: Sequence[Technique], limits: Limits, reference: Selection, draws: int, rng: np.random.Generator,
) -> tuple[Numbers, int]:  # fmt: skip
    """How often each block's choice survives, of draws from the posterior that can be met, and how many cannot: float64[blocks]."""
    import numpy as np

    kept, met = np.zeros(len(blocks)), 0
    for _ in range(draws):
        try:
            again = select(problem(blocks, techniques, rng=rng), limits)
        except InputError:
            continue
        met += 1
        kept += np.array([one == other for one, other in zip(again.names, reference.names, strict=True)])
    return kept / max(1, met), draws - met

