"""Sizes of parts of splits that a cascade leaves open (`m0: ~`): every way to cut the rank evenly is searched, the most promising first.

A size whose bound says that none of its mappings can be better than the best so far is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.best import Found, Request, search_sized
from accelsim.mapper.climbing import floor
from accelsim.mapper.objectives import key
from accelsim.mapper.tiles import divisors
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade, Split

Sizes = tuple[tuple[str, int], ...]
"""The size of every open part."""

_CLOSE = 1 + 1e-6  # of the bound, within which a mapping counts as the best
_ENOUGH = 1 + 5e-4  # of the bound of a size, within which the best so far makes a search of that size needless


@dataclass(frozen=True, slots=True)
class _Choice:
    """Sizes, the cascade that has them, and the cycles that no mapping of it goes below."""

    sizes: Sizes
    cascade: Cascade
    cycles: float

    def __str__(self) -> str:
        return ", ".join(f"{part} = {size}" for part, size in self.sizes)


def sizings(cascade: Cascade) -> list[Sizes]:
    """Every choice of sizes of the open parts that cuts its ranks evenly; one empty choice where nothing is open."""
    found: list[Sizes] = [()]
    for split in cascade.splits:
        found = [(*before, *more) for before in found for more in _cuts(split, cascade)]
    return found


def _cuts(split: Split, cascade: Cascade) -> list[Sizes]:
    left = split.extent
    for part in split.parts[1:]:
        if part not in split.free:
            left = left // cascade.extents[part] if left % cascade.extents[part] == 0 else 1
    found: list[tuple[Sizes, int]] = [((), left)]
    for part in split.free:
        found = [((*sizes, (part, size)), rest // size) for sizes, rest in found for size in divisors(rest)]
    return [sizes for sizes, _ in found]


def refuse_open(cascade: Cascade, option: str) -> None:
    """An InputError where the size of some part is left open: what `option` names needs to know it."""
    parts = [part for split in cascade.splits for part in split.free]
    if parts:
        mend = " ".join(f"--set shape.{part}={size}" for part, size in min(sizings(cascade), key=lambda sizes: _unlike(cascade, sizes)))
        raise InputError(f"{option}: {cascade.name} leaves the size of {', '.join(parts)} open", f"give it a size: {mend}")


def _unlike(cascade: Cascade, sizes: Sizes) -> float:
    """How far from each other sizes leave the parts of their ranks."""
    middle = {part: split.extent ** (1 / len(split.parts)) for split in cascade.splits for part in split.parts}
    return sum(abs(math.log(size / middle[part])) for part, size in sizes)


def search_splits(
    cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None], beat: float = math.inf
) -> Found:
    """The best mapping over all sizes of open parts; refuses what `search` refuses, and constraints: they are about known sizes.

    `beat`: a value of the objective that is known without this cascade; where time is the objective, sizes that cannot be better than it
    are left out, unless all are.
    """
    if request.constraints:
        refuse_open(cascade, "constraints")
    return _Search(cascade, architecture, request, tell, beat).run()


class _Search:
    def __init__(
        self, cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None], beat: float
    ) -> None:
        self.cascade, self.architecture, self.request, self.tell, self.beat = cascade, architecture, request, tell, beat
        self.started = cpu_seconds()
        self.best: Found | None = None
        self.refusal: IllegalMapping | InputError | None = None
        self.bounds: list[float | None] = []  # of all choices
        self.spaces: set[str] = set()  # that these bounds are over
        self.searched = self.evaluated = self.covered = 0
        self.interrupted = False

    def run(self) -> Found:
        choices = self._choices()
        for at, choice in enumerate(choices):
            last = at + 1 == len(choices) and self.best is None and self.refusal is None  # one is searched in any case
            if self.interrupted or (not last and self._is_needless(choice)) or (self.best is not None and self._left() <= 0.0):
                self.bounds.append(choice.cycles if self.request.objective.timely else None)
            else:
                self._try(choice, at, len(choices))
        if self.best is None:
            assert self.refusal is not None, "some choice was searched"
            raise self.refusal
        return Found(self.best.mapping, self.best.evaluation.with_search(self._record(self.best, len(choices))), self.interrupted)

    def _choices(self) -> list[_Choice]:
        """All choices, those of the fewest cycles first, then those that cut ranks into parts of like sizes."""
        found = []
        for sizes in sizings(self.cascade):
            made = sized(self.cascade, sizes)
            found.append(_Choice(sizes, made, math.ceil(floor(made, self.architecture))))
        return sorted(found, key=lambda each: (each.cycles, _unlike(self.cascade, each.sizes)))

    def _is_needless(self, choice: _Choice) -> bool:
        objective = self.request.objective
        enough = max(_ENOUGH, 1 + self.request.gap)
        if not objective.timely:
            return False
        known = math.inf if self.best is None else objective.value(self.best.evaluation)
        return choice.cycles * enough >= known or choice.cycles >= self.beat

    def _left(self) -> float:
        """Seconds that are left."""
        limit = self.request.time_limit
        return math.inf if limit is None else limit - (cpu_seconds() - self.started)

    def _try(self, choice: _Choice, at: int, count: int) -> None:
        """Search one choice, the one at a place among so many, with an equal share of what time is left."""
        limit = None if self.request.time_limit is None else max(0.0, self._left()) / (count - at)

        def tell(said: str) -> None:
            self.tell(f"{choice}, {at + 1} of {count}: {said}")

        try:
            found = search_sized(choice.cascade, self.architecture, replace(self.request, time_limit=limit), tell)
        except (IllegalMapping, InputError) as error:
            self.refusal = self.refusal or error
            self.bounds.append(choice.cycles if self.request.objective.timely else None)  # that none was found does not say that none is
            return
        record = found.evaluation.search or {}
        self.searched += 1
        self.evaluated, self.covered = self.evaluated + record["evaluated"], self.covered + record["mappings_covered"]
        self.bounds.append(record["lower_bound"])
        self.spaces.add(record["space"])
        self.interrupted = self.interrupted or found.interrupted
        if self.best is None or key(self.request.objective, found.evaluation) < key(self.request.objective, self.best.evaluation):
            mapping = replace(found.mapping, sizes=choice.sizes)
            self.best = Found(mapping, replace(found.evaluation, mapping=mapping))

    def _record(self, best: Found, choices: int) -> dict[str, Any]:
        value = self.request.objective.value(best.evaluation)
        known = [bound for bound in self.bounds if bound is not None]
        bound = min(value, *known) if len(known) == len(self.bounds) else None
        return (best.evaluation.search or {}) | {
            "lower_bound": bound,
            "space": "dividing tiles" if "dividing tiles" in self.spaces else (best.evaluation.search or {})["space"],
            "gap": None if not bound else max(0.0, value / bound - 1),
            "proved_optimal": bound is not None and value <= bound * _CLOSE,
            "mappings_covered": self.covered,
            "evaluated": self.evaluated,
            "seconds": cpu_seconds() - self.started,
            "sizes": dict(best.mapping.sizes),
            "sizes_searched": self.searched,
            "sizes_possible": choices,
        }
