"""Which protection each block gets: the least area, or the least that is left, within limits; exact, as a mixed-integer program.

One choice for each block (a multiple-choice knapsack). All limits are linear in the choices, also those on shares of a rate that the
choices themselves add to. Source of the metrics: ISO 26262-5, as docs/faults-protection.md states them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.protection import Block, Choice, Technique, choices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

AREA, RESIDUAL = "area", "residual"
_SLACK = 1e-9  # of a limit, relative: what sums of doubles may differ by
_TIGHTER = 1e-6  # the solver's own slack


@dataclass(frozen=True, slots=True)
class Limits:
    """What must hold in every workload; None: anything may. `spfm`, `lfm`: least single-point and latent fault metrics; `residual_fit`:
    most silent failures (what PMHF counts, but for failures of two things at once); `detected_fit`: most failures that tell; `area`,
    `energy`: most that is added; `slack`: most delay added on each path.
    """

    spfm: float | None = None
    lfm: float | None = None
    residual_fit: float | None = None
    detected_fit: float | None = None
    area: float | None = None
    energy: float | None = None
    slack: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("spfm", "lfm"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} {value:g} is not a share", "write it from 0 to 1, as in 0.99")


@dataclass(frozen=True, slots=True)
class Row:
    """A limit: the sum of `weights` (float64[choices]) of what is chosen is at most `most`."""

    name: str
    weights: Numbers
    most: float

    def left(self, total: float) -> float:
        """How far a sum is above the limit, in parts of it; not above 0 if it is met."""
        return (total - self.most) / max(abs(self.most), _scale(self)) - _SLACK


def _scale(row: Row) -> float:
    return float(abs(row.weights).max(initial=0.0)) or 1.0


@dataclass(frozen=True)
class Problem:
    """Blocks and their choices."""

    blocks: tuple[Block, ...]
    options: tuple[tuple[Choice, ...], ...]

    @cached_property
    def flat(self) -> tuple[Choice, ...]:
        """The choices of all blocks, one block after the other."""
        return tuple(each for options in self.options for each in options)

    @cached_property
    def starts(self) -> list[int]:
        """Where the choices of each block begin, and their end."""
        found = [0]
        for options in self.options:
            found.append(found[-1] + len(options))
        return found

    @property
    def fit(self) -> float:
        """Raw rate of all blocks."""
        return sum(block.fit for block in self.blocks)

    def column(self, name: str) -> Numbers:
        """A figure of every choice: float64[choices], or float64[choices, workloads]."""
        import numpy as np

        return np.array([getattr(each, name) for each in self.flat], float)

    def rows(self, limits: Limits) -> list[Row]:
        """Limits as sums."""
        import numpy as np

        silent, detected, added, latent = (self.column(name) for name in ("silent", "detected", "added", "latent"))
        found = []
        for workload in range(silent.shape[1]):
            where = f" in workload {workload}" if silent.shape[1] > 1 else ""
            mine = silent[:, workload]
            if limits.spfm is not None:
                found.append(Row(f"spfm {limits.spfm:g}{where}", mine - (1 - limits.spfm) * added, (1 - limits.spfm) * self.fit))
            if limits.residual_fit is not None:
                found.append(Row(f"residual {limits.residual_fit:g} FIT{where}", mine, limits.residual_fit))
            if limits.lfm is not None:
                weights = latent + (1 - limits.lfm) * (mine - added)
                found.append(Row(f"lfm {limits.lfm:g}{where}", weights, (1 - limits.lfm) * self.fit))
            if limits.detected_fit is not None:
                found.append(Row(f"detected {limits.detected_fit:g} FIT{where}", detected[:, workload], limits.detected_fit))
        for name in ("area", "energy"):
            most = getattr(limits, name)
            if most is not None:
                found.append(Row(f"{name} {most:g}", self.column(name), most))
        delay = self.column("delay")
        for path, most in limits.slack:
            on = np.repeat([path in block.paths for block in self.blocks], np.diff(self.starts))
            found.append(Row(f"slack {most:g} of path {path}", delay * on, most))
        return found


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice for each block, and the sums. `residual`, `detected`: of the workload with most of it."""

    picks: tuple[int, ...]
    names: tuple[str, ...]
    area: float
    energy: float
    residual: float
    detected: float
    spfm: float


def problem(
    blocks: Sequence[Block], techniques: Sequence[Technique], confidence: float = 0.95, rng: np.random.Generator | None = None,
    worst: bool = False,
) -> Problem:  # fmt: skip
    """Blocks at the upper confidence bounds of what was observed, or at a draw from the posterior. InputError for blocks that were not
    observed under the same number of workloads.
    """
    many = {len(part.observed) for block in blocks for part in block.parts}
    if len(many) != 1 or 0 in many:
        raise InputError("blocks are observed under different numbers of workloads, or under none", "give each part one for each workload")
    options = []
    for block in blocks:
        shares = [[each.draw(rng) if rng else each.upper(confidence) for each in part.observed] for part in block.parts]
        options.append(tuple(choices(block, techniques, shares, worst)))
    return Problem(tuple(blocks), tuple(options))


def summed(found: Problem, picks: Sequence[int]) -> Selection:
    """What choices come to."""
    import numpy as np

    chosen = [options[pick] for options, pick in zip(found.options, picks, strict=True)]
    silent = float(np.sum([each.silent for each in chosen], axis=0).max())
    detected = float(np.sum([each.detected for each in chosen], axis=0).max())
    rate = found.fit + sum(each.added for each in chosen)
    return Selection(
        tuple(picks), tuple(each.name for each in chosen), sum(each.area for each in chosen), sum(each.energy for each in chosen),
        silent, detected, 1 - silent / rate if rate else 1.0,
    )  # fmt: skip


def meets(found: Problem, picks: Sequence[int], limits: Limits) -> bool:
    """Whether choices keep within limits."""
    at = [start + pick for start, pick in zip(found.starts, picks, strict=False)]
    return all(row.left(float(row.weights[at].sum())) <= 0 for row in found.rows(limits))


def select(found: Problem, limits: Limits, least: str = AREA) -> Selection:
    """The best choices within limits. InputError with the limits that cannot be met together, if there are none."""
    rows = found.rows(limits)
    picks = _solved(found, rows, least)
    if picks is None:
        raise InputError(_binding(found, rows), "relax one, or offer techniques that do more")
    return summed(found, picks)


def _solved(found: Problem, rows: Sequence[Row], least: str) -> list[int] | None:
    """The best picks, None if there are none. Where the solver's slack lets a limit be passed, again with that limit tighter."""
    import numpy as np

    tighter = np.zeros(len(rows))
    for _ in range(8):
        picks = _solution(found, rows, least, tighter)
        if picks is None:
            return None
        at = [start + pick for start, pick in zip(found.starts, picks, strict=False)]
        passed = np.array([row.left(float(row.weights[at].sum())) > 0 for row in rows], bool)
        if not passed.any():
            return picks
        tighter[passed] = np.maximum(_TIGHTER, 4 * tighter[passed])
    return None


def _solution(found: Problem, rows: Sequence[Row], least: str, tighter: Numbers) -> list[int] | None:
    """From HiGHS. The largest residual of several workloads is one more variable, at least each of them."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, hstack, vstack

    size, blocks, silent = len(found.flat), len(found.blocks), found.column("silent")
    one = csr_array((np.ones(size), (np.repeat(np.arange(blocks), np.diff(found.starts)), np.arange(size))), shape=(blocks, size))
    scales = [max(abs(row.most), _scale(row)) for row in rows]
    limits = csr_array(np.array([row.weights / scale for row, scale in zip(rows, scales, strict=True)]).reshape(len(rows), size))
    most = np.array([row.most / scale for row, scale in zip(rows, scales, strict=True)]) - tighter
    whole = vstack([one, limits])
    lows, highs = np.concatenate([np.ones(blocks), np.full(len(rows), -np.inf)]), np.concatenate([np.ones(blocks), most])
    objective = found.column("area") if least == AREA else np.zeros(size)
    objective = objective / (float(abs(objective).max(initial=0.0)) or 1.0)
    integrality, bounds = np.ones(size), Bounds(0, 1)
    if least == RESIDUAL:
        unit = float(silent.max(initial=0.0)) or 1.0
        above = csr_array(np.hstack([silent.T / unit, -np.ones((silent.shape[1], 1))]))
        whole = vstack([hstack([whole, csr_array((whole.shape[0], 1))]), above])
        lows, highs = np.append(lows, np.full(silent.shape[1], -np.inf)), np.append(highs, np.zeros(silent.shape[1]))
        objective, integrality = np.append(objective, 1.0), np.append(integrality, 0)
        bounds = Bounds(0, np.append(np.ones(size), np.inf))
    constraints, options = LinearConstraint(whole, lows, highs), {"mip_rel_gap": 0.0}
    with _quiet():
        answer = milp(objective, integrality=integrality, bounds=bounds, constraints=constraints, options=options)
    if answer.x is None:
        return None
    return [int(np.argmax(answer.x[start:end])) for start, end in zip(found.starts, found.starts[1:], strict=False)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is printed meanwhile, not by compiled code either: HiGHS writes a line now and then whatever its options say."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _binding(found: Problem, rows: Sequence[Row]) -> str:
    """A smallest set of limits that no choices meet: the first that cannot be met alone, with what can, else those that conflict."""
    for row in rows:
        best = [row.weights[start:end].min() for start, end in zip(found.starts, found.starts[1:], strict=False)]
        if row.left(float(sum(best))) > 0:
            return f"no choices meet {row.name} (its sum is {sum(best):.4g} at best, and {row.most:.4g} at most)"
    kept = list(rows)
    for row in rows:
        less = [each for each in kept if each is not row]
        if _solved(found, less, AREA) is None:
            kept = less
    return f"no choices meet {' and '.join(row.name for row in kept)} together"
