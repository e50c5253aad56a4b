"""What a sweep has found: every point with its row, how many rows are of each status, and which points are on the front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from accelsim.explore.finished import Finished
from accelsim.explore.front import on_front
from accelsim.explore.points import NOT_REACHED, OK, OUTSIDE, Point, Row
from accelsim.explore.quantity import Quantity, quantity
from accelsim.explore.rules import NUMBERS, figure
from accelsim.explore.sweep import Sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Exploration:
    """What a sweep has found.

    `places`: int64[points], where a point's row is in `finished`, 0 if it was not reached, -k if it does not hold rule k (from 1).
    `new`: rows that were worked out now; `known`: points whose rows were there. `seconds`: of this run, by the clock.
    """

    sweep: Sweep
    finished: Finished
    places: NDArray[np.int64]
    new: int
    known: int
    seconds: float
    interrupted: bool = False
    _summary: list[Summary] = field(default_factory=list, repr=False)

    def rows(self) -> Iterator[tuple[Point, Row]]:
        """Every point with its row, in the order of the sweep; a row that a rule rules out is `outside`."""
        rules = [rule for rule in self.sweep.rules if rule.needs_mapping]
        for point, at in zip(self.sweep.points(), self.places.tolist(), strict=True):
            if at < 0:
                rule = self.sweep.rules[-at - 1]
                yield point, Row(OUTSIDE, rule.text, area_um2=self.sweep.cases.area_um2(point))
                continue
            if at == 0:
                yield point, Row(NOT_REACHED)
                continue
            row = self.finished.row(at)
            if rules and row.status == OK:
                names = self.sweep.quantities(point, known_figures(row))
                broken = next((rule for rule in rules if not rule.holds(names)), None)
                row = row if broken is None else row._replace(status=OUTSIDE, why=broken.text)
            yield point, row

    @property
    def summary(self) -> Summary:
        """How the rows are, and which are on the front; worked out once."""
        if not self._summary:
            self._summary.append(_summary(self))
        return self._summary[0]

    def front(self) -> list[tuple[Point, Row]]:
        """The points of the front with their rows, by the first figure; those of one front after the other, where there are several."""
        chosen = [(point, row) for (point, row), flag in zip(self.rows(), self.summary.on_front.tolist(), strict=True) if flag]
        names = self.sweep.front
        groups: dict[tuple[str, ...], int] = {}

        def order(pair: tuple[Point, Row]) -> tuple[float, ...]:
            group = groups.setdefault(group_of(self.sweep, pair[0]), len(groups))
            return (group, *(value_of(self.sweep, pair[0], pair[1], name) for name in names), pair[0].number)

        return sorted(chosen, key=order)

    def close(self) -> None:
        """Let go of the file."""
        self.finished.close()

    def __repr__(self) -> str:
        from accelsim.explore.shown import exploration_line

        return f"<Exploration {exploration_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.explore.shown import exploration_html

        return exploration_html(self)


@dataclass(frozen=True, slots=True)
class Summary:
    """`counts`: rows by status, and of those `outside` by the rule that does not hold, `broken`. `on_front`: bool[points]."""

    counts: dict[str, int]
    broken: dict[str, int]
    on_front: NDArray[np.bool_]


def known_figures(row: Row) -> dict[str, Quantity]:
    """The figures of a row that are numbers and known."""
    values = {name: getattr(row, name) for name in NUMBERS}
    return {name: figure(name, value) for name, value in values.items() if value is not None and abs(value) != float("inf")}


def value_of(sweep: Sweep, point: Point, row: Row, name: str) -> float:
    """A figure of a row or a numeric parameter of its point, in base units; nan where there is none."""
    if name in NUMBERS:
        value = getattr(row, name)
        return float("nan") if value is None else float(value)
    number = quantity(point.values[sweep.names.index(name)])
    return float("nan") if number is None else float(number.value)


def group_of(sweep: Sweep, point: Point) -> tuple[str, ...]:
    """The values that a point shares with all others of its front."""
    return tuple(point.values[sweep.names.index(name)] for name in sweep.each)


def _summary(exploration: Exploration) -> Summary:
    sweep = exploration.sweep
    counts: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    figures = np.full((len(exploration.places), len(sweep.front)), np.nan)
    groups: dict[tuple[str, ...], int] = {}
    of = np.zeros(len(exploration.places), dtype=np.int64)
    for at, (point, row) in enumerate(exploration.rows()):
        counts[row.status] += 1
        of[at] = groups.setdefault(group_of(sweep, point), len(groups))
        if row.status == OUTSIDE:
            broken[row.why] += 1
        if row.status == OK:
            figures[at] = [value_of(sweep, point, row, name) for name in sweep.front]
    flags = np.zeros(len(figures), dtype=bool)
    for group in groups.values():
        flags[of == group] = on_front(figures[of == group])
    return Summary(dict(counts), dict(broken), flags)
