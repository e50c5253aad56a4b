"""Campaigns: which faults of a target are injected, in chunks that are the same whoever works on them, and what they add up to."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import MASKED, SILENT, UNRECOVERED, Tally
from accelsim.faults.plan import IMPORTANCE, Plan, Sample
from accelsim.faults.ranges import Range
from accelsim.faults.rates import Rates
from accelsim.faults.target import Grouped, Stratum, Target
from accelsim.jobs.executors import Executor, executor_of
from accelsim.jobs.meter import Meter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.importance import Mixture
    from accelsim.faults.results import Chunk, Results

    IntArray = NDArray[np.int64]

_POSTERIOR = (1 << 64) - 1  # the stream of its draws, which no fault has
_WAIT_S = 0.05
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Campaign:
    """Faults of a target. `described`: what tells it from others, a `content_key` or other text; `seed`: of the numbers that are drawn;
    `rates`: raw rates of its cells, if they are known.
    """

    name: str
    target: Target
    sample: Sample
    seed: int
    described: str
    rates: Rates | None = None

    @cached_property
    def first(self) -> Plan:
        """What is to be injected, as far as it is known beforehand."""
        return Plan.first(self.target.strata, self.sample, self.target.chunk)

    @cached_property
    def groups(self) -> tuple[IntArray, ...]:
        """How many faults are in each group of each stratum, where the sample draws by groups."""
        if self.sample.by != IMPORTANCE:
            return ()
        assert isinstance(self.target, Grouped)
        return tuple(self.target.groups(number) for number in range(len(self.target.strata)))

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """What a stratum's failing share weighs in the whole: its FIT if rates are known, else its upsets."""
        rates = self.rates
        return tuple(each.population * (rates.of(each.cell).fit.value if rates else 1.0) for each in self.target.strata)

    def plan(self, done: Mapping[Chunk, Tally]) -> Plan:
        """What is to be injected, as far as it is known from the chunks that are done. It follows from pilots alone, whoever did them."""
        return self.first.after(self.target.strata, self.sample, self.weights, done, self.groups)

    def foreign(self, done: Mapping[Chunk, Tally]) -> str | None:
        """Says which chunks it does not have, or which hold more or fewer faults than it injects there."""
        plan, strata = self.plan(done), self.target.strata
        known, totals = {*plan.chunks()}, dict[int, int]()
        for (stratum, number), tally in done.items():
            called = f"chunk {number} of stratum {stratum}"
            if (stratum, number) not in known:
                return f"it holds {called}, which this campaign does not have"
            places = len(plan.places((stratum, number)))
            wrong = tally.total != places
            if plan.whole[stratum] and number in plan.counted(stratum):  # a class in each place, of one fault or more
                totals[stratum] = totals.get(stratum, 0) + tally.total
                wrong = tally.total < places or totals[stratum] > strata[stratum].population
            if wrong:
                return f"{called} holds {tally.total:,} faults, which are not those of this campaign"
        return None

    def numbers(self, chunk: Chunk, plan: Plan | None = None) -> IntArray:
        """The faults of a chunk of a plan (None: the first)."""
        plan = plan or self.first
        if not self._is_grouped(chunk, plan):
            return plan.numbers(self.seed, chunk, self.target.strata[chunk[0]].population)
        assert isinstance(self.target, Grouped)
        return self.target.members(chunk[0], *plan.grouped(self.seed, chunk, self.groups[chunk[0]]))

    def _is_grouped(self, chunk: Chunk, plan: Plan) -> bool:
        """Whether faults of a chunk are drawn by their groups."""
        stratum, number = chunk
        return bool(self.groups) and (number not in plan.counted(stratum) or plan.mixtures[stratum] is not None)

    def work(self, chunk: Chunk, plan: Plan) -> Tally:
        """What comes of a chunk; of classes, where all are injected."""
        numbers, target = self.numbers(chunk, plan), self.target
        if self._is_grouped(chunk, plan):
            group, _ = plan.grouped(self.seed, chunk, self.groups[chunk[0]])
            return Tally.grouped(target.effects(chunk[0], numbers), numbers, group, self.groups[chunk[0]].size)
        ask = target.of_classes if plan.whole[chunk[0]] and chunk[1] in plan.counted(chunk[0]) else target.effects
        return Tally.of(ask(chunk[0], numbers), numbers)

    def __repr__(self) -> str:
        from accelsim.faults.shown import campaign_line

        return f"<Campaign {campaign_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.faults.shown import campaign_html

        return campaign_html(self)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a stratum's faults. `silent`: outputs are wrong and nothing tells; `unrecovered`: words never come, or too many do; each
    with an interval that covers it, without sampling error where all were injected; the value is nan while none of them, or only the first
    of all, were. `pilot`: faults that only said how many to inject.
    `weights`: of faults of each group, where some groups were drawn more often than they occur; (): all weigh the same. `worth`: failures
    and injections that say as much without weights.
    """

    stratum: Stratum
    tally: Tally
    exhaustive: bool
    masked: Range
    silent: Range
    unrecovered: Range
    pilot: int = 0
    weights: tuple[float, ...] = ()
    worth: tuple[float, float] = (0, 0)

    def share(self, count: Callable[[Tally], int]) -> float:
        """The part of a stratum's faults that some count of a tally stands for."""
        if not self.tally.total:
            return 0.0
        if not self.weights:
            return count(self.tally) / self.tally.total
        return sum(weight * count(part) for weight, part in zip(self.weights, self.tally.parts, strict=True)) / self.tally.total

    @property
    def avf(self) -> Range:
        """The share of its upsets that matters."""
        both = Range.total((self.silent, self.unrecovered))
        return Range(both.value, both.low, min(1.0, both.high))


@dataclass(frozen=True)
class Outcome:
    """A campaign's results by stratum. `finished`: all that it asks for is there. `seconds`: of this run."""

    campaign: Campaign
    found: tuple[Found, ...]
    finished: bool

    def avf(self) -> Range:
        """The share of all upsets that is silent or unrecovered, bits and cycles alike (AVF): of intervals that all hold at once."""
        return Range.total(each.avf.times(share) for each, share in zip(self.found, self.shares, strict=True))

    @property
    def shares(self) -> list[float]:
        """What part of all upsets is in each stratum."""
        total = sum(each.stratum.population for each in self.found) or 1
        return [each.stratum.population / total for each in self.found]

    def likely(self, weights: Sequence[float]) -> Range:
        """The sum of weights times failing shares, where its posterior says that it is with the sample's confidence: narrower than the sum
        of intervals that all hold at once, near its confidence on average over shares, and no guarantee.
        """
        from accelsim.faults.randomness import generator
        from accelsim.faults.sampling import posterior

        if any(isnan(each.avf.value) for each in self.found):  # the first of all faults are no sample of them
            return Range.total(each.avf.times(weight) for each, weight in zip(self.found, weights, strict=True))
        sides = list(zip(self.found, weights, strict=True))
        known = Range.total(each.avf.times(weight) for each, weight in sides if each.exhaustive)
        counts = [(weight, *each.worth) for each, weight in sides if not each.exhaustive]
        if not counts:
            return known
        some, failures, injections = zip(*counts, strict=True)
        rng = generator(self.campaign.seed, _POSTERIOR)
        return Range.total((known, posterior(some, failures, injections, rng, self.campaign.sample.confidence)))

    def __repr__(self) -> str:
        from accelsim.faults.shown import outcome_line

        return f"<Outcome {outcome_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.faults.shown import outcome_html

        return outcome_html(self)


def run(campaign: Campaign, path: Path | None, workers: int = 1, tell: Tell | None = None, executor: Executor | None = None) -> Outcome:
    """Inject what is not yet in the file (None: a file that is removed after it), in so many processes, or where an executor does."""
    if path is None:
        with tempfile.TemporaryDirectory() as folder:
            return run(campaign, Path(folder) / "results.sqlite", workers, tell, executor)
    results = opened(campaign, path)
    try:
        try:
            whole = _inject(campaign, results, executor or executor_of(None, workers), tell or (lambda _: None))
        finally:
            results.release()
        return outcome(campaign, results.chunks(), whole)
    finally:
        results.close()


def opened(campaign: Campaign, path: Path) -> Results:
    """The campaign's file."""
    import hashlib

    from accelsim.faults.results import Results

    return Results(path, campaign.described, hashlib.sha256(campaign.described.encode()).hexdigest(), campaign.foreign)


@dataclass(frozen=True, slots=True)
class _Injection:
    """What a worker does."""

    campaign: Campaign

    def __call__(self, wanted: tuple[Chunk, Plan]) -> Tally:
        return self.campaign.work(*wanted)


def _inject(campaign: Campaign, results: Results, executor: Executor, tell: Tell) -> bool:
    """Have chunks worked on until none is left; says whether it came to that before an interrupt."""
    from accelsim.jobs.interrupts import stopped_by_interrupts

    stopped, stops, meter = list[bool](), Stops(campaign), Meter("chunks")
    plan, chunks = campaign.first, campaign.first.chunks()
    given: list[Chunk] = []
    with stopped_by_interrupts(lambda: stopped.append(True)), executor.crew(_Injection(campaign)) as crew:
        while True:
            done = results.chunks()
            if plan.open and not (plan := campaign.plan(done)).open:
                chunks = plan.chunks()
            left = [chunk for chunk in chunks if chunk not in done and not stops.stopped(done, chunk)]
            if stopped or not left:
                break
            injected = sum(tally.total for tally in done.values())
            far = f"{injected:,} faults injected" if injected else "the first faults, which may compile for a minute or two"
            tell(f"{far}, {meter(len(done), len(done) + len(left))}")
            while crew.room and (chunk := results.claim(left)) is not None:
                crew.give(len(given), (chunk, plan))
                given.append(chunk)
            if crew.busy:
                tag, tally = crew.take()
                results.put(given[tag], tally)
            else:  # another run works on the rest
                time.sleep(_WAIT_S)
        while crew.busy and stopped:  # they are begun; without an interrupt nobody wants them
            tag, tally = crew.take()
            results.put(given[tag], tally)
    return not stopped


class Stops:
    """After how many chunks each stratum has enough. It looks after every chunk in their order, so that who worked on what, and when,
    changes nothing.
    """

    def __init__(self, campaign: Campaign) -> None:
        strata = campaign.target.strata
        self.campaign, self.total, self.seen = campaign, [Tally()] * len(strata), [0] * len(strata)
        self.ends: dict[int, int] = {}  # of strata that have enough
        fixed = campaign.sample.half_width is None
        self.looks = [not fixed and not whole for whole in campaign.first.whole]

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

    found, stops, plan = [], Stops(campaign), campaign.plan(done)
    strata = campaign.target.strata
    confidence = 1 - (1 - campaign.sample.confidence) / max(1, 2 * len(strata))  # of all intervals together
    for number, stratum in enumerate(strata):
        total, complete = Tally(), not plan.open or not plan.pilot[number]
        for chunk in plan.counted(number):
            if stops.stopped(done, (number, chunk)):
                break
            tally = done.get((number, chunk))
            complete = complete and tally is not None
            total += tally or Tally()
        finished = finished and complete
        exact, mixture = plan.whole[number] and complete, plan.mixtures[number]
        pilot = done[number, 0].total if plan.pilot[number] and (number, 0) in done else 0
        if mixture is not None and total.total > 1:
            found.append(_weighted(stratum, total, mixture, confidence, pilot))
            continue
        shares = []
        for kinds in (MASKED, SILENT, UNRECOVERED):
            count = total.some(kinds)
            value = count / total.total if total.total else 0.0 if complete else nan
            low = high = value
            if plan.whole[number] and not complete:  # the first ones are no sample: of the others any may be so
                low = count / stratum.population
                high = (count + stratum.population - total.total) / stratum.population
                value = nan
            elif not exact:
                way: Callable[..., Any] = clopper_pearson if campaign.sample.half_width is None else confidence_sequence
                low, high = (float(each) for each in way(count, total.total, confidence))
            shares.append(Range(value, low, high))
        masked, silent, unrecovered = shares
        worth = total.some((*SILENT, *UNRECOVERED)), total.total
        found.append(Found(stratum, total, exact, masked, silent, unrecovered, pilot, worth=worth))
    return Outcome(campaign, tuple(found), finished)


def _weighted(stratum: Stratum, total: Tally, mixture: Mixture, confidence: float, pilot: int) -> Found:
    """Of faults whose groups were drawn by other chances than they occur."""
    import numpy as np

    from accelsim.faults.importance import weighted

    weights = mixture.weights(np.arange(len(total.parts)))
    shares = []
    for kinds in (MASKED, SILENT, UNRECOVERED, (*SILENT, *UNRECOVERED)):
        count = np.array([[part.some(kinds), part.total - part.some(kinds)] for part in total.parts], np.int64)
        failing, each = np.repeat(np.tile([True, False], len(weights)), count.ravel()), np.repeat(weights, count.sum(axis=1))
        shares.append(weighted(failing, each, float(weights.max()), confidence))
    masked, silent, unrecovered, failures = shares
    return Found(stratum, total, False, masked.share, silent.share, unrecovered.share, pilot, tuple(weights.tolist()), failures.worth)
