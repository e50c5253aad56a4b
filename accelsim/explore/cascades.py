"""The best mapping over equivalent cascades: each is bounded, mapped in the order of its bound, and left out where it cannot win."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from accelsim.errors import IllegalMapping, InputError
from accelsim.explore.equivalents import DEEPEST, MOST, Equivalent, equivalents
from accelsim.hardware.architecture import Architecture
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.best import Found, Request, search_sized
from accelsim.mapper.climbing import floor
from accelsim.mapper.objectives import key
from accelsim.mapper.splits import search_splits, sizings
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade

MAPPED, LEFT_OUT, NOT_REACHED, NO_MAPPING = "mapped", "cannot win", "no time left", "no mapping"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An equivalent cascade and what became of it.

    `cycles`: that no mapping of it goes below, over all sizes that it leaves open. `found`: its best mapping, None unless it was mapped.
    `why`: it was not.
    """

    equivalent: Equivalent
    cycles: float
    outcome: str
    found: Found | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """`candidates`: the original first, then in the order in which they were looked at. `complete`: whether all equivalents were."""

    candidates: tuple[Candidate, ...]
    complete: bool
    deepest: int
    seconds: float
    request: Request

    @property
    def original(self) -> Candidate:
        """The cascade as given."""
        return self.candidates[0]

    @property
    def best(self) -> Candidate:
        """The candidate whose mapping is best; of equal ones the original, then the one that was looked at first."""
        mapped = [(each, each.found.evaluation) for each in self.candidates if each.found is not None]
        return min(mapped, key=lambda pair: key(self.request.objective, pair[1])[0])[0]


def explore(
    cascade: Cascade,
    architecture: Architecture,
    request: Request,
    tell: Callable[[str], None],
    most: int = MOST,
    deepest: int = DEEPEST,
) -> Candidates:
    """Map equivalent cascades, those that may be quickest first. Raises what the mapper raises where none has a mapping.

    Where time is the objective, a cascade whose bound is no better than the best so far is left out. A time limit is shared out among
    those that are left; the original is always mapped.
    """
    return _Exploring(cascade, architecture, request, tell, most, deepest).run()


class _Exploring:
    def __init__(
        self, cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None], most: int, deepest: int
    ) -> None:
        self.cascade, self.architecture, self.request, self.tell = cascade, architecture, request, tell
        self.most, self.deepest = most, deepest
        self.started, self.clock = cpu_seconds(), time.monotonic()
        self.refusal: IllegalMapping | InputError | None = None
        self.interrupted = False
        self.best: Found | None = None

    def run(self) -> Candidates:
        listed, complete = equivalents(self.cascade, self.most, self.deepest, over=lambda: self._left() <= 0.0, tell=self.tell)
        bounded = [(each, self._floor(each.cascade)) for each in listed]
        first, *others = bounded
        queue = [first, *sorted(others, key=lambda pair: (pair[1], len(pair[0].steps)))]
        made = []
        for at, (each, cycles) in enumerate(queue):
            if at and (self.interrupted or self._left() <= 0.0):
                made.append(Candidate(each, cycles, NOT_REACHED))
            elif at and self._cannot_win(cycles):
                made.append(Candidate(each, cycles, LEFT_OUT))
            else:
                made.append(self._map(each, cycles, at, len(queue)))
        if self.best is None:
            assert self.refusal is not None, "the original was mapped"
            raise self.refusal
        return Candidates(tuple(made), complete, self.deepest, cpu_seconds() - self.started, self.request)

    def _floor(self, cascade: Cascade) -> float:
        """Cycles that no mapping goes below, whatever the open sizes; infinite where some Einsum has no unit."""
        try:
            return min(math.ceil(floor(sized(cascade, sizes), self.architecture)) for sizes in sizings(cascade))
        except (IllegalMapping, InputError):
            return math.inf

    def _cannot_win(self, cycles: float) -> bool:
        objective = self.request.objective
        return self.best is not None and objective.timely and cycles * (1 + self.request.gap) >= objective.value(self.best.evaluation)

    def _left(self) -> float:
        limit = self.request.time_limit
        return math.inf if limit is None else limit - (cpu_seconds() - self.started)

    def _map(self, each: Equivalent, cycles: float, at: int, count: int) -> Candidate:
        limit = None if self.request.time_limit is None else max(0.0, self._left()) / (count - at)
        began = f"{each.name}, {at + 1} of {count}{self._eta(at, count)}"
        request = replace(self.request, time_limit=limit)
        try:
            found = self._search(each.cascade, request, lambda said: self.tell(f"{began}: {said}"))
        except (IllegalMapping, InputError) as error:
            self.refusal = self.refusal or error
            return Candidate(each, cycles, NO_MAPPING, why=error.what)
        self.interrupted = self.interrupted or found.interrupted
        if self.best is None or key(self.request.objective, found.evaluation) < key(self.request.objective, self.best.evaluation):
            self.best = found
        return Candidate(each, cycles, MAPPED, found)

    def _search(self, cascade: Cascade, request: Request, tell: Callable[[str], None]) -> Found:
        if all(not cut.free for cut in cascade.splits):
            return search_sized(cascade, self.architecture, request, tell)
        beat = math.inf if self.best is None else self.request.objective.value(self.best.evaluation)
        return search_splits(cascade, self.architecture, request, tell, beat)

    def _eta(self, at: int, count: int) -> str:
        """How long the others take if each takes as long as those before, at most the time that is left."""
        if not at:
            return ""
        left = (time.monotonic() - self.clock) / at * (count - at)
        return f", at most {min(left, self._left()):.0f} s to go"
