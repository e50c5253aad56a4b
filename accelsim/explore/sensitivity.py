"""How much the figures of one point of a sweep change when each parameter alone goes down and up (a tornado).

A parameter of the file goes down and up by a factor, and the machine is made again, with prices that follow from sizes. A price goes to the
low and the high of its row, or down and up by the factor where they are the same. Each case is mapped anew as the sweep says, so that a
change is that of the best mapping; only where the objective has no energy in it do other prices leave the point its mapping.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.explore.exploration import value_of
from accelsim.explore.points import OK, Case, Point, Row, Spread, evaluate_points, evaluated, here, row_of
from accelsim.explore.prices import prices, repriced
from accelsim.explore.quantity import PLAIN, SIZE, Quantity, quantity, rounded, unit_of, written
from accelsim.explore.sweep import Sweep
from accelsim.hardware.architecture import Quantity as Price
from accelsim.jobs.meter import Meter
from accelsim.mapping.tree import Mapping
from accelsim.model.layers import ModelEvaluation

FIGURES = ("latency_s", "energy_pj", "area_um2")
PARAMETER, PRICE = "parameter", "price"
_WITHOUT_PRICES = {"latency", "traffic", "capacity"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A parameter at another value: its text and the figures there, nan where there is no mapping; `why` says so then."""

    text: str
    figures: tuple[float, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Swing:
    """What comes of one parameter or price (`kind`). `text`: what it is at the point."""

    name: str
    kind: str
    text: str
    down: Turn
    up: Turn


@dataclass(frozen=True, slots=True)
class Tornado:
    """`figures`: their names; `base`: what they are at the point; `factor`: by how much parameters go down and up."""

    sweep: str
    point: tuple[tuple[str, str], ...]
    factor: float
    figures: tuple[str, ...]
    base: tuple[float, ...]
    swings: tuple[Swing, ...]

    def __repr__(self) -> str:
        from accelsim.explore.shown import tornado_line

        return f"<Tornado {tornado_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.explore.shown import tornado_html

        return tornado_html(self)

    def changes(self, figure: str) -> tuple[tuple[Swing, float, float], ...]:
        """Of every parameter the change of a figure, as a share of what it is at the point, down and up; the largest first.

        nan where there is no mapping; parameters that change nothing are left out. Of a figure that the point has not, none: its machine
        may state no areas.
        """
        at = self.figures.index(figure)
        base = self.base[at]
        if math.isnan(base):
            return ()
        found: list[tuple[Swing, float, float]] = []
        for swing in self.swings:
            down, up = (turn.figures[at] / base - 1 if base else math.nan for turn in (swing.down, swing.up))
            found.append((swing, down, up))

        def width(one: tuple[Swing, float, float]) -> float:
            return max((abs(change) for change in one[1:] if not math.isnan(change)), default=0.0)

        moved = [one for one in found if width(one) > 0 or any(math.isnan(change) for change in one[1:])]
        return tuple(sorted(moved, key=lambda one: (-width(one), one[0].name)))


@dataclass(frozen=True)
class _Turned:
    """Cases of one point with one thing changed; a point's values are kind, name and text here. `mappings`: under other prices."""

    sweep: Sweep
    point: Point
    mappings: tuple[Mapping, ...] | None = None

    def case(self, point: Point) -> Case:
        kind, name, text = point.values
        cases: Any = self.sweep.cases
        if kind == PRICE:
            case = self.sweep.cases.case(self.point)
            value, low, high = (float(part) for part in text.split())
            machine = repriced(case.machine, name, replace(prices(case.machine)[name], value=value, low=low, high=high))
            return replace(case, machine=machine, mappings=case.mappings or self.mappings)
        names = [axis.name for axis in self.sweep.axes]
        if name in names:
            values = [*self.point.values[: len(names)]]
            values[names.index(name)] = text
            return self.sweep.cases.case(self.sweep.point(0, values))
        found: Case = cases.case_with(self.point, name, text)
        return found

    def key(self, point: Point) -> bytes:
        return "\n".join(point.values).encode()

    def problem(self, point: Point) -> str | None:
        return None

    def area_um2(self, point: Point) -> float | None:
        return None

    def text(self, mapping: Mapping) -> str:
        return self.sweep.cases.text(mapping)

    def command(self, point: Point) -> str:
        raise NotImplementedError("a price cannot be set on the command line")


def sensitivity(
    sweep: Sweep,
    point: Point,
    parameters: Dict[str, str],
    factor: float = 2.0,
    spread: Spread = here,
    tell: Callable[[str], None] | None = None,
) -> Tornado:
    """The tornado of a point of a sweep: of its numeric parameters, of further `parameters` of its machine, and of all prices.

    parameters: text by path, as from `io.machine_parameters`. InputError for a factor that is not above 1, and what is wrong with the
    point itself.
    """
    if not 1 < factor < math.inf:
        raise InputError(f"a factor of {factor:g}, by which values are both multiplied and divided", "write one above 1, as in 2")
    case = sweep.cases.case(point)
    given = dict(zip((axis.name for axis in sweep.axes), point.values, strict=False))
    following = {each.name for each in sweep.dependents}
    turns = _turns({name: text for name, text in (dict(parameters) | given).items() if name not in following}, case, factor)
    tell = tell or (lambda _: None)
    tell("the point itself")
    whole = evaluated(case)
    layers = whole.evaluations if isinstance(whole, ModelEvaluation) else (whole,)
    base = row_of(whole, sweep.cases.text)
    cheap = {*re.findall(r"[a-z_]+", case.request.objective.name)} <= _WITHOUT_PRICES
    cases = _Turned(sweep, point, tuple(each.mapping for each in layers) if cheap else None)
    asked = [(kind, name, text) for name, (kind, _, texts) in turns.items() for text in texts if text]
    rows = _rows(cases, asked, spread, tell)

    def found(kind: str, name: str, text: str) -> Turn:
        if not text:
            return Turn("", tuple(math.nan for _ in FIGURES), "there is no whole number between")
        row = rows[kind, name, text]
        shown = text if kind == PARAMETER else f"{float(text.split()[0]):.4g}"
        values = tuple(value_of(sweep, point, row, figure) if row.status == OK else math.nan for figure in FIGURES)
        return Turn(shown, values, row.why)

    swings = [Swing(name, kind, text, *(found(kind, name, each) for each in texts)) for name, (kind, text, texts) in turns.items()]
    at = tuple(value_of(sweep, point, base, figure) for figure in FIGURES)
    return Tornado(sweep.name, tuple(zip(sweep.names, point.values, strict=True)), factor, FIGURES, at, tuple(swings))


def _turns(parameters: Dict[str, str], case: Case, factor: float) -> dict[str, tuple[str, str, tuple[str, str]]]:
    """Of every numeric parameter and every price its kind, its text at the point, and its texts down and up; '' where there is none."""
    found: dict[str, tuple[str, str, tuple[str, str]]] = {}
    for name, text in parameters.items():
        if quantity(text) is not None:
            found[name] = PARAMETER, text, (turned(text, factor, up=False), turned(text, factor, up=True))
    for name, price in prices(case.machine).items():
        found[name] = PRICE, f"{price.value:.4g}", _priced(price, factor)
    return found


def _rows(
    cases: _Turned, asked: Sequence[tuple[str, str, str]], spread: Spread, tell: Callable[[str], None]
) -> dict[tuple[str, str, str], Row]:
    meter, rows = Meter("cases"), dict[tuple[str, str, str], Row]()
    tell(meter(0, len(asked)))
    for at, (row,) in spread(partial(evaluate_points, cases), ([Point(number, each)] for number, each in enumerate(asked))):
        rows[asked[at]] = row
        tell(meter(len(rows), len(asked)))
    return rows


def turned(text: str, factor: float, up: bool) -> str:
    """The text of a parameter that goes up or down by a factor: whole numbers stay whole, and bytes; '' where that changes nothing."""
    number = quantity(text)
    assert number is not None
    by = Fraction(factor).limit_denominator(1 << 20)
    moved = Quantity(number.value * by if up else number.value / by, number.dimension)
    grain = {PLAIN: Fraction(1), SIZE: Fraction(8), (("words", 1),): Fraction(1)}.get(number.dimension)
    if grain is not None and (number.value / grain).denominator == 1:
        moved = rounded(moved, Quantity(grain, number.dimension))
    return "" if moved == number else written(moved, unit_of(text))


def _priced(price: Price, factor: float) -> tuple[str, str]:
    """Value, low and high of a price at its low and at its high; by the factor where it has neither."""
    if price.low < price.high:
        return f"{price.low!r} {price.low!r} {price.high!r}", f"{price.high!r} {price.low!r} {price.high!r}"
    if not price.value:
        return "", ""
    down, up = ([each * by for each in (price.value, price.low, price.high)] for by in (1 / factor, factor))
    return " ".join(map(repr, down)), " ".join(map(repr, up))
