"""Running a sweep: points are made one by one, those that are not known are evaluated in chunks, and rows are kept as they are found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.explore.finished import Finished
from accelsim.explore.front import on_front
from accelsim.explore.points import NOT_REACHED, OK, OUTSIDE, Evaluate, Point, Row, Spread, evaluate_points, here
from accelsim.explore.quantity import Quantity, quantity
from accelsim.explore.rules import BEFORE, NUMBERS, figure
from accelsim.explore.sweep import MOST, Sweep, refuse_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IN_CHUNK = 1024
WINDOW = 16384  # points among which those of one problem are brought together
CHUNK_S = 0.5  # of work, and so what an interrupt loses
_TELL_S = 0.1


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
        """The points of the front with their rows, by the first figure."""
        chosen = [(point, row) for (point, row), flag in zip(self.rows(), self.summary.on_front.tolist(), strict=True) if flag]
        names = self.sweep.front

        def order(pair: tuple[Point, Row]) -> tuple[float, ...]:
            return (*(value_of(self.sweep, pair[0], pair[1], name) for name in names), pair[0].number)

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
    """`counts`: rows by status. `on_front`: bool[points]."""

    counts: dict[str, int]
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


def _summary(exploration: Exploration) -> Summary:
    sweep = exploration.sweep
    counts: Counter[str] = Counter()
    figures = np.full((len(exploration.places), len(sweep.front)), np.nan)
    for at, (point, row) in enumerate(exploration.rows()):
        counts[row.status] += 1
        if row.status == OK:
            figures[at] = [value_of(sweep, point, row, name) for name in sweep.front]
    return Summary(dict(counts), on_front(figures))


def explore(
    sweep: Sweep,
    store: str = "",
    spread: Spread = here,
    tell: Callable[[str], None] | None = None,
    most: int = MOST,
    evaluate: Evaluate = evaluate_points,
) -> Exploration:
    """Every point of a sweep. What `store` (an SQLite file) holds is not worked out again; what is new is kept there.

    `spread`: where chunks of points are worked on, by `evaluate`: its rows follow from the points' keys. An interrupt (Ctrl-C) ends the run
    and keeps what is done. InputError before anything runs for a sweep without points, with more than `most`, or none that its rules keep.
    """
    refuse_size(sweep, most)
    if sweep.search is not None:
        from accelsim.explore.searching import search

        return search(sweep, store, spread, tell, evaluate)
    finished = Finished(store)
    try:
        return _Run(sweep, finished, spread, tell or (lambda _: None), evaluate).run()
    except BaseException:
        finished.close()
        raise


class _Run:
    def __init__(self, sweep: Sweep, finished: Finished, spread: Spread, tell: Callable[[str], None], evaluate: Evaluate) -> None:
        self.sweep, self.finished, self.spread, self.tell, self.evaluate = sweep, finished, spread, tell, evaluate
        self.places = np.zeros(sweep.asked, dtype=np.int64)
        self.early = [(number, rule) for number, rule in enumerate(sweep.rules, 1) if not rule.needs_mapping]
        self.made = 0  # points, so far
        self.size = 1  # of the next chunk
        self.chunks = 0  # given so far
        self.done = self.new = self.known = 0
        self.waiting: dict[bytes, list[int]] = {}  # numbers of the points that wait for a key
        self.given: dict[int, list[bytes]] = {}  # keys of a chunk
        self.started = self.said = time.monotonic()
        self.working = self.started  # when the first chunk was given

    def run(self) -> Exploration:
        interrupted = False
        results = self.spread(partial(self.evaluate, self.sweep.cases), self._chunks())
        try:
            for at, rows in results:
                self._keep(at, rows)
        except KeyboardInterrupt:
            interrupted = True
        if not interrupted and self.made == len(self.early_outside()):
            raise self._impossible()
        seconds = time.monotonic() - self.started
        places = self.places if interrupted else self.places[: self.made]
        return Exploration(self.sweep, self.finished, self._whole(places), self.new, self.known, seconds, interrupted)

    def early_outside(self) -> NDArray[np.int64]:
        """Numbers of the points that rules without a mapping rule out."""
        return np.flatnonzero(self.places[: self.made] < 0)

    def _whole(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of all points, of which an interrupted run has not made the last ones; repeated samples are none."""
        if self.made < len(places) and self.sweep.sample.points:
            many = sum(1 for _ in self.sweep.points())
            return places[:many]
        return places

    def _impossible(self) -> InputError:
        """Why no point is left to map."""
        numbers, counts = np.unique(-self.places[: self.made], return_counts=True)
        rule = self.sweep.rules[int(numbers[counts.argmax()]) - 1]
        what = f"none of {self.made:,} points holds '{rule.text}'"
        areas = (
            [area for point in self.sweep.points() if (area := self.sweep.cases.area_um2(point)) is not None]
            if "area_um2" in rule.names
            else []
        )
        mend = f"the least area_um2 is {min(areas):,.0f}" if areas else "loosen it, or vary more"
        return InputError(what, mend, rule.place)

    def _chunks(self) -> Iterator[list[Point]]:
        """Points that are not known, in chunks; fills in the places of the others.

        Those that one search answers come together, so that whoever is given them searches once.
        """
        gathered: dict[str, list[tuple[Point, bytes]]] = {}
        alone: list[tuple[Point, bytes]] = []
        many = 0
        for point, key in self._unknown():
            problem = self.sweep.cases.problem(point)
            if problem is None:
                alone.append((point, key))
                if len(alone) >= self.size:
                    yield self._chunk(alone)
                    alone = []
                continue
            gathered.setdefault(problem, []).append((point, key))
            many += 1
            if many >= WINDOW:
                yield from self._together(gathered)
                gathered, many = {}, 0
        if alone:
            yield self._chunk(alone)
        yield from self._together(gathered)

    def _together(self, gathered: dict[str, list[tuple[Point, bytes]]]) -> Iterator[list[Point]]:
        """Chunks of whole problems, and of parts of those that have more points than a chunk."""
        pairs: list[tuple[Point, bytes]] = []
        for group in gathered.values():
            if pairs and len(pairs) + len(group) > self.size:
                yield self._chunk(pairs)
                pairs = []
            pairs += group
            while len(pairs) > MOST_IN_CHUNK:
                yield self._chunk(pairs[:MOST_IN_CHUNK])
                pairs = pairs[MOST_IN_CHUNK:]
        if pairs:
            yield self._chunk(pairs)

    def _chunk(self, pairs: list[tuple[Point, bytes]]) -> list[Point]:
        self.given[self.chunks] = [key for _, key in pairs]
        self.chunks += 1
        return [point for point, _ in pairs]

    def _unknown(self) -> Iterator[tuple[Point, bytes]]:
        """Points that have to be evaluated, with their keys."""
        for point in self.sweep.points():
            self.made += 1
            self._say()
            broken = self._broken(point)
            if broken:
                self.places[point.number] = -broken
                self.done += 1
                continue
            key = self.sweep.cases.key(point)
            if key in self.waiting:
                self.waiting[key].append(point.number)
                continue
            (place,) = self.finished.places([key])
            if place:
                self.places[point.number] = place
                self.done += 1
                self.known += 1
                continue
            self.waiting[key] = [point.number]
            yield point, key

    def _broken(self, point: Point) -> int:
        """The number of the first rule that a point does not hold, as far as that shows without a mapping; 0 if it holds them."""
        if not self.early:
            return 0
        names: dict[str, Quantity] = {}
        if any(name in BEFORE for _, rule in self.early for name in rule.names):
            area = self.sweep.cases.area_um2(point)
            names = {} if area is None else {"area_um2": figure("area_um2", area)}
        known = self.sweep.quantities(point, names)
        for number, rule in self.early:
            if all(name in known for name in rule.names) and not rule.holds(known):
                return number
        return 0

    def _keep(self, at: int, rows: list[Row]) -> None:
        keys = self.given.pop(at)
        places = self.finished.put(dict(zip(keys, rows, strict=True)))
        for key, place in zip(keys, places, strict=True):
            numbers = self.waiting.pop(key)
            self.places[numbers] = place
            self.done += len(numbers)
        self.new += len(rows)
        rate = self.new / max(1e-6, time.monotonic() - self.started)
        self.size = min(MOST_IN_CHUNK, max(1, min(int(rate * CHUNK_S), 2 * len(rows))))
        self._say(True)

    def _say(self, always: bool = False) -> None:
        now = time.monotonic()
        if now - self.said < _TELL_S and not (always and self.new == 1):
            return
        self.said = now
        spent = now - self.started
        rate = self.done / spent if spent > 0 else 0.0
        left = f", {clock((len(self.places) - self.done) / rate)} to go" if rate else ""
        self.tell(f"{self.done:,} of {len(self.places):,} points, {rate:.3g} points/s{left}")


def clock(seconds: float) -> str:
    """A time for people: seconds, minutes and seconds, or hours and minutes."""
    whole = int(seconds + 0.5)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
