"""Sizes of parts of splits that a cascade leaves open (`m0: ~`): every way to cut the rank evenly is searched, the most promising first.

A size whose bound says that none of its mappings can be better than the best so far is left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapper.best import Found, Request, search_sized
from accelsim.mapper.climbing import floor
from accelsim.mapper.objectives import key
from accelsim.mapper.tiles import divisors
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade, Split

Sizes = tuple[tuple[str, int], ...]
"""The size of every open part."""

_CLOSE = 1 + 1e-6  # of the bound, within which a mapping counts as the best
_ENOUGH = 1 + 5e-4  # of a bound, that a size whose bound is that has no need to be searched for less


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


def search_splits(cascade: Cascade, architecture: Architecture, request: Request, tell: Callable[[str], None]) -> Found:
    """The best mapping over all sizes of open parts; refuses what `search` refuses, and constraints, which name tiles of sizes that are
    not known yet.
    """
    opened = ", ".join(part for split in cascade.splits for part in split.free)
    if request.constraints:
        raise InputError(f"constraints say nothing about a workload that leaves the size of {opened} open", f"give it a size: {_mend(cascade)}")
    started = time.process_time()
    choices = sorted(_floors(cascade, architecture), key=lambda each: (each[0], _lopsided(cascade, each[1])))
    best: Found | None = None
    refusal: IllegalMapping | InputError | None = None
    bounds: list[float | None] = []
    evaluated = covered = searched = 0
    for at, (least, sizes, made) in enumerate(choices):
        timely = request.objective.timely
        if best is not None and (best.interrupted or (timely and least * _ENOUGH >= request.objective.value(best.evaluation))):
            bounds.append(least if timely else None)
            continue
        shown = ", ".join(f"{part} = {size}" for part, size in sizes)
        tell(f"{shown}, {at + 1} of {len(choices)}")
        left = None
        if request.time_limit is not None:
            left = max(0.0, request.time_limit - (time.process_time() - started)) / (len(choices) - at)
        try:
            found = search_sized(made, architecture, replace(request, time_limit=left), lambda said, shown=shown: tell(f"{shown}: {said}"))
        except (IllegalMapping, InputError) as error:
            refusal = refusal or error
            continue
        record = found.evaluation.search or {}
        searched += 1
        evaluated, covered = evaluated + record["evaluated"], covered + record["mappings_covered"]
        bounds.append(record["lower_bound"])
        if best is None or key(request.objective, found.evaluation) < key(request.objective, best.evaluation):
            best = Found(replace(found.mapping, sizes=sizes), found.evaluation, found.interrupted or (best is not None and best.interrupted))
    if best is None:
        assert refusal is not None
        raise refusal
    value = request.objective.value(best.evaluation)
    known = [bound for bound in bounds if bound is not None]
    bound = min(value, *known) if len(known) == len(bounds) else None
    record = (best.evaluation.search or {}) | {
        "lower_bound": bound,
        "gap": None if not bound else max(0.0, value / bound - 1),
        "proved_optimal": bound is not None and value <= bound * _CLOSE,
        "mappings_covered": covered,
        "evaluated": evaluated,
        "sizes": dict(best.mapping.sizes),
        "sizes_searched": searched,
        "sizes_possible": len(choices),
        "seconds": time.process_time() - started,
    }
    evaluation = replace(best.evaluation, mapping=best.mapping)
    return Found(best.mapping, evaluation.with_search(record), best.interrupted)


def _floors(cascade: Cascade, architecture: Architecture) -> list[tuple[float, Sizes, Cascade]]:
    """Every choice with the cycles that no mapping of it goes below."""
    found = []
    for sizes in sizings(cascade):
        made = sized(cascade, sizes)
        found.append((math.ceil(floor(made, architecture)), sizes, made))
    return found


def _lopsided(cascade: Cascade, sizes: Sizes) -> float:
    """How far sizes are from those that cut a rank into as many parts as each has elements."""
    middle = {part: split.extent ** (1 / len(split.parts)) for split in cascade.splits for part in split.parts}
    return sum(abs(math.log(size / middle[part])) for part, size in sizes)


def refuse_open(cascade: Cascade, option: str) -> None:
    """An InputError where the size of some part is left open: the option needs to know it."""
    if any(split.free for split in cascade.splits):
        opened = ", ".join(part for split in cascade.splits for part in split.free)
        raise InputError(f"{option}: {cascade.name} leaves the size of {opened} open", f"give it a size: {_mend(cascade)}")


def _mend(cascade: Cascade) -> str:
    return " ".join(f"--set shape.{part}={min(256, split.extent)}" for split in cascade.splits for part in split.free)
