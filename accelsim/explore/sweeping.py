"""Running a sweep: points are made one by one, those that are not known are evaluated in chunks, and rows are kept as they are found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.explore.exploration import Exploration
from accelsim.explore.finished import Finished
from accelsim.explore.ledger import Ledger
from accelsim.explore.points import Evaluate, Point, Row, Spread, evaluate_points, here
from accelsim.explore.sweep import MOST, Sweep, refuse_size
from accelsim.jobs.meter import Meter

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IN_CHUNK = 1024
WINDOW = 16384  # points among which those of one problem are brought together
CHUNK_S = 0.5  # of work, and so what an interrupt loses
_TELL_S = 0.1


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
    """`places`: as of an Exploration, 0 where no row is known so far. `made`: points so far. `given`: keys of the chunks that are out.

    `size`: points of the next chunk. `done`: points whose place is known.
    """

    def __init__(self, sweep: Sweep, finished: Finished, spread: Spread, tell: Callable[[str], None], evaluate: Evaluate) -> None:
        self.sweep, self.spread, self.tell, self.evaluate = sweep, spread, tell, evaluate
        self.ledger: Ledger[int] = Ledger(finished)
        self.places = np.zeros(sweep.asked, dtype=np.int64)
        self.given: dict[int, list[bytes]] = {}
        self.made = self.chunks = self.done = 0
        self.size = 1
        self.meter = Meter("points")
        self.meter(0, sweep.asked)
        self.started = self.said = time.monotonic()

    def run(self) -> Exploration:
        interrupted = False
        results = self.spread(partial(self.evaluate, self.sweep.cases), self._chunks())
        try:
            for at, rows in results:
                self._keep(at, rows)
        except KeyboardInterrupt:
            interrupted = True
        if not interrupted and (self.places[: self.made] < 0).all():
            raise self._impossible()
        seconds = time.monotonic() - self.started
        places = self._whole() if interrupted else self.places[: self.made]
        return Exploration(self.sweep, self.ledger.finished, places, self.ledger.new, self.ledger.known, seconds, interrupted)

    def _whole(self) -> NDArray[np.int64]:
        """Places of all points, of which an interrupted run has not made the last ones; repeated samples are none."""
        if self.made < len(self.places) and self.sweep.sample.points:
            return self.places[: sum(1 for _ in self.sweep.points())]
        return self.places

    def _impossible(self) -> InputError:
        """Why no point is left to map."""
        numbers, counts = np.unique(-self.places[: self.made], return_counts=True)
        rule = self.sweep.rules[int(numbers[counts.argmax()]) - 1]
        mend = "loosen it, or vary more"
        if "area_um2" in rule.names:
            areas = [area for point in self.sweep.points() if (area := self.sweep.cases.area_um2(point)) is not None]
            mend = f"the least area_um2 is {min(areas):,.0f}" if areas else "its machines do not state their areas"
        return InputError(f"none of {self.made:,} points holds '{rule.text}'", mend, rule.place)

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
            broken = self.sweep.broken_early(point)
            if broken:
                self.places[point.number] = -broken
                self.done += 1
                continue
            key = self.sweep.cases.key(point)
            if self.ledger.waits(key):
                self.ledger.wait(key, point.number)
                continue
            place = self.ledger.place(key)
            if place:
                self.places[point.number] = place
                self.done += 1
                continue
            self.ledger.wait(key, point.number)
            yield point, key

    def _keep(self, at: int, rows: list[Row]) -> None:
        settled = self.ledger.keep(self.given.pop(at), rows)
        for number, place in settled:
            self.places[number] = place
        self.done += len(settled)
        rate = self.ledger.new / max(1e-6, time.monotonic() - self.started)
        self.size = min(MOST_IN_CHUNK, max(1, min(int(rate * CHUNK_S), 2 * len(rows))))
        self._say(at_once=self.ledger.new == 1)

    def _say(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self.said >= _TELL_S:
            self.said = now
            self.tell(self.meter(self.done, len(self.places)))
