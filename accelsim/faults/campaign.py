"""Campaigns: which faults of a target are injected, in chunks that are the same whoever works on them, and what they add up to."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import MASKED, SILENT, UNRECOVERED, Tally
from accelsim.faults.target import Stratum, Target
from accelsim.jobs.workers import side_by_side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.results import Chunk, Results

    IntArray = NDArray[np.int64]

MOST_CHUNKS = 4096
_WAIT_S = 0.05
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """How many faults: all of each stratum with at most `exhaustive` faults; of others `faults` each, or fewer where after some chunks the
    interval of the silent share (at all looks at once) is narrower than `half_width` on each side.
    """

    faults: int = 1 << 20
    exhaustive: int = 0
    half_width: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True)
class Campaign:
    """Faults of a target. `name`, `described`: what it is, in words that tell it from others; `seed`: of the numbers that are drawn."""

    name: str
    target: Target
    sample: Sample
    seed: int
    described: str

    @cached_property
    def chunk(self) -> int:
        """Faults of a chunk."""
        most = max((self.wanted(stratum) for stratum in range(len(self.target.strata))), default=0)
        return max(self.target.chunk, -(-most // MOST_CHUNKS))

    def is_exhaustive(self, stratum: Stratum) -> bool:
        """Whether every fault of a stratum is injected."""
        return stratum.classes <= max(self.sample.exhaustive, self.sample.faults)

    def wanted(self, stratum: int) -> int:
        """Faults of a stratum, if none stops it."""
        found = self.target.strata[stratum]
        return found.classes if self.is_exhaustive(found) else self.sample.faults

    def chunks(self) -> list[Chunk]:
        """All chunks, first those that come first in their strata."""
        many = [-(-self.wanted(stratum) // self.chunk) for stratum in range(len(self.target.strata))]
        return [(stratum, chunk) for chunk in range(max(many, default=0)) for stratum in range(len(many)) if chunk < many[stratum]]

    def numbers(self, chunk: Chunk) -> IntArray:
        """The faults of a chunk; where all are injected, the classes."""
        import numpy as np

        from accelsim.faults.randomness import below

        stratum, number = chunk
        found = self.target.strata[stratum]
        indices = np.arange(number * self.chunk, min((number + 1) * self.chunk, self.wanted(stratum)), dtype=np.int64)
        if self.is_exhaustive(found):
            return indices
        return below(self.seed, indices * len(self.target.strata) + stratum, found.population)[:, 0]

    def work(self, chunk: Chunk) -> Tally:
        """What comes of a chunk."""
        numbers, target = self.numbers(chunk), self.target
        ask = target.of_classes if self.is_exhaustive(target.strata[chunk[0]]) else target.effects
        return Tally.of(ask(chunk[0], numbers), numbers)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a stratum's faults, with an interval that covers it; without sampling error where all were injected."""

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """As plain data."""
        return [self.value, self.low, self.high]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a stratum's faults. `silent`: outputs are wrong and nothing tells; `unrecovered`: words never come, or too many do."""

    stratum: Stratum
    tally: Tally
    exhaustive: bool
    masked: Share
    silent: Share
    unrecovered: Share


@dataclass(frozen=True)
class Outcome:
    """A campaign's results by stratum. `finished`: all that it asks for is there. `seconds`: of this run."""

    campaign: Campaign
    found: tuple[Found, ...]
    finished: bool

    def avf(self) -> Share:
        """The share of all upsets that is silent or unrecovered, bits and cycles alike (AVF): of intervals that all hold at once."""
        total = sum(each.stratum.population for each in self.found)
        if not total:
            return Share(0.0, 0.0, 0.0)
        parts = [(each.stratum.population / total, each.silent, each.unrecovered) for each in self.found]
        value, low, high = (sum(w * (getattr(a, way) + getattr(b, way)) for w, a, b in parts) for way in ("value", "low", "high"))
        return Share(value, low, min(1.0, high))


def run(campaign: Campaign, path: Path | None, workers: int = 1, tell: Tell | None = None) -> Outcome:
    """Inject what is not yet in the file (None: a file that is removed after it), from so many processes."""
    if path is None:
        with tempfile.TemporaryDirectory() as folder:
            return run(campaign, Path(folder) / "results.sqlite", workers, tell)
    tell = tell or (lambda _: None)
    opened(campaign, path).close()
    jobs = [_Worker(campaign, path) for _ in range(workers)]
    done = side_by_side(jobs, workers, tell)
    results = opened(campaign, path)
    try:
        return outcome(campaign, results.chunks(), not any(each.interrupted for each in done))
    finally:
        results.close()


def opened(campaign: Campaign, path: Path) -> Results:
    """The campaign's file."""
    import hashlib

    from accelsim.faults.results import Results

    return Results(path, campaign.described, hashlib.sha256(campaign.described.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class _Done:
    interrupted: bool


class _Worker:
    """Works on chunks until none is left."""

    def __init__(self, campaign: Campaign, path: Path) -> None:
        self.campaign, self.path, self.chunks, self.stopped = campaign, path, campaign.chunks(), False

    def __call__(self, tell: Tell, hurry: bool) -> _Done:
        from accelsim.jobs.interrupts import stopped_by_interrupts

        campaign, results, stops = self.campaign, opened(self.campaign, self.path), Stops(self.campaign)
        self.stopped = hurry
        try:
            with stopped_by_interrupts(self._stop):
                while not self.stopped:
                    done = results.chunks()
                    left = [chunk for chunk in self.chunks if chunk not in done and not stops.stopped(done, chunk)]
                    if not left:
                        break
                    chunk = results.claim(left)
                    if chunk is None:  # others work on the rest
                        time.sleep(_WAIT_S)
                        continue
                    injected = sum(tally.total for tally in done.values())
                    tell(f"{injected:,} faults injected, {len(left):,} chunks to go")
                    results.put(chunk, campaign.work(chunk))
            return _Done(self.stopped)
        finally:
            results.close()

    def _stop(self) -> None:
        self.stopped = True


class Stops:
    """After how many chunks each stratum has enough. It looks after every chunk in their order, so that who worked on what, and when,
    changes nothing.
    """

    def __init__(self, campaign: Campaign) -> None:
        strata = campaign.target.strata
        self.campaign, self.total, self.seen = campaign, [Tally()] * len(strata), [0] * len(strata)
        self.ends: dict[int, int] = {}  # of strata that have enough
        fixed = campaign.sample.half_width is None
        self.looks = [not fixed and not campaign.is_exhaustive(stratum) for stratum in strata]

    def stopped(self, done: dict[Chunk, Tally], chunk: Chunk) -> bool:
        """Whether a stratum needs no chunk from this one on."""
        stratum, number = chunk
        while self.looks[stratum] and (stratum, self.seen[stratum]) in done:
            self.total[stratum] += done[stratum, self.seen[stratum]]
            self.seen[stratum] += 1
            self.looks[stratum] = not self._is_narrow(self.total[stratum])
            if not self.looks[stratum]:
                self.ends[stratum] = self.seen[stratum]
        return number >= self.ends.get(stratum, number + 1)

    def _is_narrow(self, total: Tally) -> bool:
        from accelsim.faults.intervals import confidence_sequence

        low, high = confidence_sequence(total.some(SILENT), total.total, self.campaign.sample.confidence)
        assert self.campaign.sample.half_width is not None
        return float(high - low) <= 2 * self.campaign.sample.half_width


def outcome(campaign: Campaign, done: dict[Chunk, Tally], finished: bool) -> Outcome:
    """What chunks add up to; of a stratum that was stopped, those up to there."""
    from accelsim.faults.intervals import clopper_pearson, confidence_sequence

    found, stops = [], Stops(campaign)
    strata = campaign.target.strata
    confidence = 1 - (1 - campaign.sample.confidence) / max(1, 2 * len(strata))  # of all intervals together
    for number, stratum in enumerate(strata):
        total, chunk, complete = Tally(), 0, True
        while chunk * campaign.chunk < campaign.wanted(number) and not stops.stopped(done, (number, chunk)):
            tally = done.get((number, chunk))
            complete = complete and tally is not None
            total += tally or Tally()
            chunk += 1
        finished = finished and complete
        exact = campaign.is_exhaustive(stratum) and complete
        shares = []
        for kinds in (MASKED, SILENT, UNRECOVERED):
            count = total.some(kinds)
            value = count / total.total if total.total else 0.0
            low = high = value
            if not exact:
                way: Callable[..., Any] = clopper_pearson if campaign.sample.half_width is None else confidence_sequence
                low, high = (float(each) for each in way(count, total.total, confidence))
            shares.append(Share(value, low, high))
        found.append(Found(stratum, total, exact, *shares))
    return Outcome(campaign, tuple(found), finished)
