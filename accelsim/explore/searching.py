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
from accelsim.explore.exploration import Exploration, known_figures, value_of
from accelsim.explore.finished import Finished
from accelsim.explore.ledger import Ledger
from accelsim.explore.points import OK, Evaluate, Point, Row, Spread, evaluate_points, here
from accelsim.explore.quantity import Quantity
from accelsim.explore.rules import Rule
from accelsim.explore.search import EVOLUTIONARY, Search
from accelsim.explore.sweep import Sweep
from accelsim.jobs.meter import Meter

_STALE = 8  # generations without a new point, after which points are drawn
_TRIES = 1000  # draws for a new point
_CHUNKS = 8  # of a generation
Values = tuple[str, ...]


@dataclass(frozen=True)
class Visited(Sweep):
    """A sweep of the points that a search has chosen, in the order in which it did. `chosen`: values of its axes."""

    chosen: tuple[Values, ...] = ()

    @property
    def asked(self) -> int:
        """How many points were chosen."""
        return len(self.chosen)

    def points(self) -> Iterator[Point]:
        """They, in order."""
        for number, values in enumerate(self.chosen):
            yield self.point(number, values)


def search(
    sweep: Sweep,
    store: str = "",
    spread: Spread = here,
    tell: Callable[[str], None] | None = None,
    evaluate: Evaluate = evaluate_points,
) -> Exploration:
    """What the search of a sweep finds. `sweep.front`: what it makes small; `sweep.rules`: what it keeps to; the rest as of
    `sweeping.explore`, which calls it. An interrupt (Ctrl-C) ends it and keeps what is done. InputError where Optuna is not installed.
    """
    assert sweep.search is not None
    chooser = _Chooser(sweep, sweep.search)
    finished = Finished(store)
    try:
        return _Run(sweep, sweep.search, chooser, finished, spread, tell or (lambda _: None), evaluate).run()
    except BaseException:
        finished.close()
        raise


class _Run:
    """`places`: as of an Exploration, by values in the order in which they were chosen, 0 while no row is known.

    `verdicts`: figures to make small, and by how much each rule is broken.
    """

    def __init__(
        self,
        sweep: Sweep,
        asked: Search,
        chooser: _Chooser,
        finished: Finished,
        spread: Spread,
        tell: Callable[[str], None],
        evaluate: Evaluate,
    ) -> None:
        self.sweep, self.asked, self.chooser = sweep, asked, chooser
        self.ledger: Ledger[Point] = Ledger(finished)
        self.spread, self.tell, self.evaluate = spread, tell, evaluate
        self.places: dict[Values, int] = {}
        self.verdicts: dict[Values, tuple[tuple[float, ...], tuple[float, ...]]] = {}
        self.drawn = np.random.default_rng(asked.seed)
        self.meter = Meter("points")

    def run(self) -> Exploration:
        started, interrupted, stale = time.monotonic(), False, 0
        try:
            while len(self.places) < self.asked.points:
                trials = self.chooser.generation()
                different = dict.fromkeys(values for _, values in trials if values not in self.places)
                stale = 0 if different else stale + 1
                if stale > _STALE:
                    different = dict.fromkeys(self._unseen())
                    if not different:
                        break
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
        return Exploration(visited, self.ledger.finished, places, self.ledger.new, self.ledger.known, seconds, interrupted)

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
        wanted: dict[bytes, Point] = {}
        for point, values in zip(points, chosen, strict=True):
            self.places[values] = -self.sweep.broken_early(point)
            if not self.places[values]:
                key = cases.key(point)
                self.places[values] = self.ledger.place(key)
                if not self.places[values]:
                    self.ledger.wait(key, point)
                    wanted.setdefault(key, point)
        self._find(wanted, chosen, first)
        for point, values in zip(points, chosen, strict=True):
            place = self.places[values]
            self.verdicts[values] = self._verdict(point, self.ledger.finished.row(place) if place > 0 else None)

    def _find(self, wanted: dict[bytes, Point], chosen: Sequence[Values], first: int) -> None:
        """Rows of the points wanted, by key, and the places of all that wait for one; `first`: the number of the first point chosen."""
        keys, size = [*wanted], max(1, len(wanted) // _CHUNKS)
        parts = [keys[start : start + size] for start in range(0, len(keys), size)]
        self._say()
        for at, rows in self.spread(partial(self.evaluate, self.sweep.cases), ([wanted[key] for key in part] for part in parts)):
            for point, place in self.ledger.keep(parts[at], rows):
                self.places[chosen[point.number - first]] = place
            self._say()

    def _say(self) -> None:
        done = sum(place != 0 for place in self.places.values())
        self.tell(f"generation {self.chooser.generations}: {self.meter(done, self.asked.points)}")

    def _verdict(self, point: Point, row: Row | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Figures, inf where there is none; by how much each rule is broken, and whether there is no mapping."""
        figures = [math.nan] * len(self.sweep.front)
        names = self.sweep.known_early(point)
        if row is not None and row.status == OK:
            figures = [value_of(self.sweep, point, row, name) for name in self.sweep.front]
            names |= known_figures(row)
        excess = [_excess(rule, names) for rule in self.sweep.rules]
        unmapped = row is not None and row.status != OK
        return tuple(math.inf if math.isnan(value) else value for value in figures), (*excess, float(unmapped))


def _excess(rule: Rule, names: dict[str, Quantity]) -> float:
    """By what share of its larger side a rule is broken, 0 where it holds; 1 where a side has no value."""
    sides = rule.sides(names)
    if sides is None:
        return 1.0
    if rule.holds(names):
        return 0.0
    left, right = (float(side.value) for side in sides)
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
