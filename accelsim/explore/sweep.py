"""A sweep: what is varied and how, what rows are held to, and its points, made one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.explore.dimension import Axis, Dependent
from accelsim.explore.points import Cases, Point
from accelsim.explore.quantity import Quantity, quantity, read, reckon, unit_of, written
from accelsim.explore.rules import BEFORE, NUMBERS, Rule, figure
from accelsim.explore.search import Search

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 1_000_000  # points, unless more are asked for
GRID, SOBOL, LATIN = "grid", "sobol", "latin"
_AT_ONCE = 1 << 13  # samples


@dataclass(frozen=True, slots=True)
class Sample:
    """Which points of all: the whole grid, or so many samples."""

    how: str = GRID
    points: int = 0
    seed: int = 0
    place: Place | None = None


@dataclass(frozen=True)
class Sweep:
    """`axes` in order, the last one changes fastest; `dependents` in an order in which each follows from names before it.

    `rules`: what rows are held to. `front`: figures and numeric parameters, of which less is better. `each`: names of which every
    combination of values has a front of its own. `cases` makes the nouns of a point.
    `search`: how points are chosen by what is found, in place of a sample. `source`: the text of the file.
    """

    name: str
    axes: tuple[Axis, ...]
    dependents: tuple[Dependent, ...]
    cases: Cases
    rules: tuple[Rule, ...] = ()
    sample: Sample = field(default_factory=Sample)
    front: tuple[str, ...] = ("latency_s", "energy_pj")
    source: str = ""
    about: str = ""
    search: Search | None = None
    each: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a point's values, in order."""
        return (*(axis.name for axis in self.axes), *(each.name for each in self.dependents))

    @cached_property
    def asked(self) -> int:
        """How many points are asked for; repeated samples count."""
        return self.sample.points if self.sample.how != GRID else math.prod(len(axis.values) for axis in self.axes)

    def points(self) -> Iterator[Point]:
        """All points in order; samples that repeat an earlier one are left out."""
        chosen = self._grid() if self.sample.how == GRID else self._samples()
        for number, values in enumerate(chosen):
            yield self.point(number, values)

    def point(self, number: int, values: Sequence[str]) -> Point:
        """A point from the texts of its axes."""
        return Point(number, (*values, *self._following(values)))

    def _grid(self) -> Iterator[tuple[str, ...]]:
        return itertools.product(*(axis.values for axis in self.axes))

    def _samples(self) -> Iterator[tuple[str, ...]]:
        seen: set[tuple[str, ...]] = set()
        for shares in self._shares():
            for row in shares.tolist():
                values = tuple(axis.at(share) for axis, share in zip(self.axes, row, strict=True))
                if values not in seen:
                    seen.add(values)
                    yield values

    def _shares(self) -> Iterator[NDArray[np.float64]]:
        """Samples of the unit cube, float64[some, axes], block by block: the same for the same seed."""
        from scipy.stats import qmc

        dimensions, wanted = len(self.axes), self.sample.points
        if self.sample.how == LATIN:
            yield qmc.LatinHypercube(dimensions, rng=self.sample.seed).random(wanted)
            return
        engine = qmc.Sobol(dimensions, rng=self.sample.seed)
        for start in range(0, wanted, _AT_ONCE):
            block = engine.random(_AT_ONCE)  # a power of two, as the sequence is made for
            yield block[: wanted - start]

    def _following(self, values: Sequence[str]) -> tuple[str, ...]:
        if not self.dependents:
            return ()
        known = dict(zip((axis.name for axis in self.axes), values, strict=True))
        for each in self.dependents:
            known[each.name] = following(each, known)
        return tuple(known[each.name] for each in self.dependents)

    def quantities(self, point: Point, more: Mapping[str, Quantity]) -> dict[str, Quantity]:
        """What a rule may name: parameters of a point that are numbers, and more."""
        found = {name: number for name, text in zip(self.names, point.values, strict=True) if (number := quantity(text)) is not None}
        return found | dict(more)

    def known_early(self, point: Point) -> dict[str, Quantity]:
        """What a rule may name of a point that is not mapped: its numbers, and the area of its machine if a rule reads it."""
        area = self.cases.area_um2(point) if self._reads_area else None
        return self.quantities(point, {} if area is None else {"area_um2": figure("area_um2", area)})

    def broken_early(self, point: Point) -> int:
        """The number, from 1, of the first rule that a point breaks as far as that shows without a mapping; 0 if there is none."""
        known = self.known_early(point) if self._early_rules else {}
        for number, rule in self._early_rules:
            if not rule.holds(known):
                return number
        return 0

    @cached_property
    def _early_rules(self) -> tuple[tuple[int, Rule], ...]:
        return tuple((number, rule) for number, rule in enumerate(self.rules, 1) if not rule.needs_mapping)

    @cached_property
    def _reads_area(self) -> bool:
        return any(name in BEFORE for rule in self.rules for name in rule.names)


def following(dependent: Dependent, known: Mapping[str, str]) -> str:
    """The text of a dependent value: that of a name by itself, else the value of the formula."""
    if dependent.formula in known:
        return known[dependent.formula]
    numbers: dict[str, Quantity] = {}
    for name in read(dependent.formula):
        number = quantity(known[name]) if name in known else None
        if number is None:
            mend = did_you_mean(name, known) if name not in known else "a formula reads numbers; give a name that has one"
            what = f"{dependent.name}: the formula names an unknown '{name}'" if name not in known else f"'{name}' is '{known[name]}'"
            raise InputError(what, mend, dependent.place)
        numbers[name] = number
    found = reckon(dependent.formula, numbers, dependent.place)
    symbols = [symbol for name in numbers if (symbol := unit_of(known[name])) and numbers[name].dimension == found.dimension]
    try:
        return written(found, symbols[0] if symbols else "")
    except InputError as error:
        raise InputError(f"{dependent.name}: {error.what}", error.mend, dependent.place) from None


def ordered(dependents: Sequence[Dependent], axes: Sequence[Axis]) -> tuple[Dependent, ...]:
    """Dependents in an order in which each follows from names before it; InputError for unknown names and for a circle."""
    known = {axis.name for axis in axes}
    waiting = {each.name: each for each in dependents}
    found: list[Dependent] = []
    for each in dependents:
        for name in read(each.formula):
            if name not in known and name not in waiting:
                mend = did_you_mean(name, {*known, *waiting})
                raise InputError(f"{each.name}: the formula '{each.formula}' names an unknown '{name}'", mend, each.place)
    while waiting:
        ready = [each for each in waiting.values() if all(name not in waiting for name in read(each.formula))]
        if not ready:
            circle = " and ".join(waiting)
            first = next(iter(waiting.values()))
            raise InputError(f"{circle} follow from each other", "give one of them values of its own", first.place)
        found += ready
        for each in ready:
            del waiting[each.name]
    return tuple(found)


def refuse_size(sweep: Sweep, most: int) -> None:
    """An InputError for no points, and for more than `most`, which says how many were asked for and by what."""
    if sweep.search is not None:
        return _refuse_whole(sweep, sweep.search)
    open_axes = [axis for axis in sweep.axes if axis.between is not None]
    if sweep.sample.how == GRID and open_axes:
        axis = open_axes[0]
        raise InputError(f"{axis.name}: a grid needs to know how many values it takes", "add 'points' or 'step', or a 'sample'", axis.place)
    if sweep.asked > most:
        if sweep.sample.how == GRID:
            product = " x ".join(f"{len(axis.values):,}" for axis in sweep.axes if len(axis.values) > 1)
            largest = max(sweep.axes, key=lambda axis: len(axis.values))
            what = f"asks for {sweep.asked:,} points ({product}), more than {most:,}"
            mend = f"{largest.name} has {len(largest.values):,} values: take fewer, write 'sample: {{sobol: 1000}}', or raise --most"
            raise InputError(what, mend, largest.place)
        what = f"asks for {sweep.asked:,} samples, more than {most:,}"
        raise InputError(what, "take fewer, or allow more with --most", sweep.sample.place)
    for axis in sweep.axes:
        axis.refuse_repeats()
    if sweep.sample.how != GRID and not open_axes:
        different = math.prod(len(axis.values) for axis in sweep.axes)
        if sweep.sample.points > different:
            what = f"asks for {sweep.sample.points:,} samples of {different:,} different points"
            raise InputError(what, "write 'sample: grid', or take fewer", sweep.sample.place)


def _refuse_whole(sweep: Sweep, search: Search) -> None:
    """An InputError for a search of as many points as there are."""
    if all(axis.between is None for axis in sweep.axes):
        whole = math.prod(len(axis.values) for axis in sweep.axes)
        if whole <= search.points:
            what = f"a search of {search.points:,} points, and the whole grid has {whole:,}"
            raise InputError(what, "leave 'search' out, or search for fewer", search.place)


def numeric(sweep: Sweep) -> tuple[str, ...]:
    """Names that a front and a rule may use: figures and parameters that are numbers of one unit."""
    first = next(sweep.points(), None)
    texts: dict[str, Any] = {} if first is None else dict(zip(sweep.names, first.values, strict=True))
    mine = [axis.name for axis in sweep.axes if axis.dimension is not None]
    mine += [each.name for each in sweep.dependents if quantity(texts.get(each.name, "")) is not None]
    return (*NUMBERS, *mine)
