"""Searching a sweep instead of walking through all of it: generations of points, each chosen by what was found for those before.

`evolutionary` is NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017) and `bayesian` the multi-objective tree-structured Parzen estimator
(Ozaki et al. 2022, doi:10.1613/jair.1.13188), both of Optuna, which is imported here alone. Choices follow from the seed and from what
was found; a search that is run again takes all rows from its file and comes to the same points.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.explore.finished import Finished
from accelsim.explore.points import OK, Point, Row, Spread, evaluate_points, here
from accelsim.explore.quantity import Quantity, reckon
from accelsim.explore.rules import BEFORE, Rule, figure
from accelsim.explore.search import EVOLUTIONARY, Search
from accelsim.explore.sweep import Sweep
from accelsim.explore.sweeping import Exploration, known_figures, value_of
from accelsim.jobs.meter import Meter

_STALE = 8  # generations without a new point, after which points are drawn
_TRIES = 1000
_CHUNKS = 8  # of a generation
_MOST_LISTED = 1 << 16
Values = tuple[str, ...]


@dataclass(frozen=True)
class Visited(Sweep):
    """A sweep of the points that a search has chosen, in the order in which it did. `chosen`: values of its axes."""

    chosen: tuple[Values, ...] = ()

    @property
    def asked(self) -> int:  # type: ignore[override]
        """How many points were chosen."""
        return len(self.chosen)

    def points(self) -> Iterator[Point]:
        """They, in order."""
        for number, values in enumerate(self.chosen):
            yield self.point(number, values)


def search(sweep: Sweep, asked: Search, store: str = "", spread: Spread = here, tell: Callable[[str], None] | None = None) -> Exploration:
    """What a search of a sweep finds. `sweep.front`: what it makes small; `sweep.rules`: what it keeps to; `store` and `spread`: see
    `sweeping.explore`. An interrupt (Ctrl-C) ends it and keeps what is done. InputError where the whole grid is no more than is asked for,
    and where Optuna is not installed.
    """
    if all(axis.values for axis in sweep.axes):
        whole = math.prod(len(axis.values) for axis in sweep.axes)
        if whole <= asked.points:
            what = f"a search of {asked.points:,} points, and the whole grid has {whole:,}"
            raise InputError(what, "leave 'search' out, or search for fewer", asked.place)
    finished = Finished(store)
    try:
        return _Run(sweep, asked, finished, spread, tell or (lambda _: None)).run()
    except BaseException:
        finished.close()
        raise


class _Run:
    """`places` and `visited` by values, in the order in which they were chosen; `verdicts`: figures to make small, and by how much each
    rule is broken.
    """

    def __init__(self, sweep: Sweep, asked: Search, finished: Finished, spread: Spread, tell: Callable[[str], None]) -> None:
        self.sweep, self.asked, self.finished, self.spread, self.tell = sweep, asked, finished, spread, tell
        self.places: dict[Values, int] = {}
        self.verdicts: dict[Values, tuple[tuple[float, ...], tuple[float, ...]]] = {}
        self.chooser = _Chooser(sweep, asked)
        self.drawn = np.random.default_rng(asked.seed)
        self.meter = Meter("points")
        self.new = self.known = 0

    def run(self) -> Exploration:
        started, interrupted, stale = time.monotonic(), False, 0
        try:
            while len(self.places) < self.asked.points:
                trials = self.chooser.generation()
                different = dict.fromkeys(values for _, values in trials if values not in self.places)
                stale = 0 if different else stale + 1
                if stale > _STALE:
                    different = dict.fromkeys(self._unseen())
                self._evaluate([*different][: self.asked.points - len(self.places)])
                for trial, values in trials:
                    if values in self.verdicts:
                        self.chooser.learn(trial, *self.verdicts[values])
        except KeyboardInterrupt:
            interrupted = True
        mine = {field.name: getattr(self.sweep, field.name) for field in fields(self.sweep)}
        visited = Visited(**mine, chosen=tuple(self.places))
        places = np.array([*self.places.values()], dtype=np.int64)
        seconds = time.monotonic() - started
        return Exploration(visited, self.finished, places, self.new, self.known, seconds=seconds, interrupted=interrupted)

    def _unseen(self) -> Iterator[Values]:
        """A point that was not chosen yet: drawn, or the first that is left where hardly any is."""
        for _ in range(_TRIES):
            values = tuple(axis.at(share) for axis, share in zip(self.sweep.axes, self.drawn.random(len(self.sweep.axes)), strict=True))
            if values not in self.places:
                yield values
                return
        listed = itertools.product(*(axis.values or axis.ends for axis in self.sweep.axes))
        yield from itertools.islice((values for values in listed if values not in self.places), 1)

    def _evaluate(self, chosen: Sequence[Values]) -> None:
        """Places and verdicts of points that were not chosen before."""
        cases, first = self.sweep.cases, len(self.places)
        points = [self.sweep.point(first + number, values) for number, values in enumerate(chosen)]
        keys, missing = dict[Values, bytes](), dict[bytes, Point]()
        for point, values in zip(points, chosen, strict=True):
            self.places[values] = -self._broken(point)
            if not self.places[values]:
                keys[values] = key = cases.key(point)
                if self.finished.places([key])[0]:
                    self.known += 1
                else:
                    missing.setdefault(key, point)
        wanted, size = [*missing], max(1, len(missing) // _CHUNKS)
        parts = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        for at, rows in self.spread(partial(evaluate_points, cases), ([missing[key] for key in part] for part in parts)):
            self.finished.put(dict(zip(parts[at], rows, strict=True)))
            self.new += len(rows)
            self._say(first)
        self._say(first)
        for point, values in zip(points, chosen, strict=True):
            if values in keys:
                self.places[values] = self.finished.places([keys[values]])[0]
            row = self.finished.row(self.places[values]) if values in keys else None
            self.verdicts[values] = self._verdict(point, row)

    def _say(self, first: int) -> None:
        known = len(self.places) - sum(1 for values in [*self.places][first:] if not self.places[values])
        self.tell(f"generation {self.chooser.generations}: {self.meter(known, self.asked.points)}")

    def _broken(self, point: Point) -> int:
        """The number, from 1, of the first rule that a point breaks as far as that shows without a mapping; 0 if there is none."""
        names = self._early(point)
        for number, rule in enumerate(self.sweep.rules, 1):
            if not rule.needs_mapping and all(name in names for name in rule.names) and not rule.holds(names):
                return number
        return 0

    def _early(self, point: Point) -> dict[str, Quantity]:
        area = None
        if any(name in BEFORE for rule in self.sweep.rules for name in rule.names):
            area = self.sweep.cases.area_um2(point)
        return self.sweep.quantities(point, {} if area is None else {"area_um2": figure("area_um2", area)})

    def _verdict(self, point: Point, row: Row | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Figures, inf where there is none; by how much each rule is broken, and whether there is no mapping."""
        mapped = row is not None and row.status == OK
        figures = [math.nan] * len(self.sweep.front)
        names = self._early(point)
        if row is not None and row.status == OK:
            figures = [value_of(self.sweep, point, row, name) for name in self.sweep.front]
            names |= known_figures(row)
        excess = [_excess(rule, names) for rule in self.sweep.rules]
        unmapped = row is not None and not mapped
        return tuple(math.inf if math.isnan(value) else value for value in figures), (*excess, 1.0 if unmapped else 0.0)


def _excess(rule: Rule, names: dict[str, Quantity]) -> float:
    """By what share of its larger side a rule is broken, 0 where it holds; 1 where a name of it is not known."""
    if not all(name in names for name in rule.names):
        return 1.0
    if rule.holds(names):
        return 0.0
    left, right = (float(reckon(side, names, rule.place).value) for side in (rule.left, rule.right))
    return max(1e-9, abs(left - right) / max(abs(left), abs(right), 1e-300))


class _Chooser:
    """Optuna over the axes of a sweep: the place in a list of numbers, one of some names, or a share of the way between two ends."""

    def __init__(self, sweep: Sweep, asked: Search) -> None:
        try:
            import optuna
        except ImportError:
            raise InputError("a search needs Optuna, which is not installed", "pip install 'accelsim[search]'", asked.place) from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.sweep, self.asked, self.generations = sweep, asked, 0
        made: dict[str, Any] = {}
        for axis in sweep.axes:
            if not axis.values:
                made[axis.name] = optuna.distributions.FloatDistribution(0.0, 1.0)
            elif axis.dimension is not None:
                made[axis.name] = optuna.distributions.IntDistribution(0, len(axis.values) - 1)
            else:
                made[axis.name] = optuna.distributions.CategoricalDistribution([*range(len(axis.values))])
        self.distributions = made
        sampler: Any = (
            optuna.samplers.NSGAIISampler(population_size=asked.population, seed=asked.seed)
            if asked.how == EVOLUTIONARY
            else optuna.samplers.TPESampler(n_startup_trials=max(10, asked.population), multivariate=True, seed=asked.seed)
        )
        self.study = optuna.create_study(directions=["minimize"] * len(sweep.front), sampler=sampler)

    def generation(self) -> list[tuple[Any, Values]]:
        """Trials with the values that they stand for; some may be the same, or as before."""
        self.generations += 1
        trials = [self.study.ask(self.distributions) for _ in range(self.asked.population)]
        return [(trial, tuple(self._text(axis.name, trial.params[axis.name]) for axis in self.sweep.axes)) for trial in trials]

    def learn(self, trial: Any, figures: tuple[float, ...], excess: tuple[float, ...]) -> None:
        """What came of a trial."""
        for number, value in enumerate(excess):
            trial.set_constraint(str(number), value)
        self.study.tell(trial, list(figures))

    def _text(self, name: str, choice: float | int) -> str:
        axis = next(each for each in self.sweep.axes if each.name == name)
        return axis.values[int(choice)] if axis.values else axis.at(float(choice))
