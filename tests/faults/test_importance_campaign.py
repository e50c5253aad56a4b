"""Campaigns that draw some bits more often than they occur, against ones in which every upset was injected."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.campaign import Campaign, outcome
from accelsim.faults.firings import Product
from accelsim.faults.grid import product_run
from accelsim.faults.outcomes import CORRUPTED, Effects
from accelsim.faults.plan import IMPORTANCE, NEYMAN, Plan, Sample
from accelsim.faults.ranges import Range
from accelsim.faults.requantise import Requantise
from accelsim.io.campaign import load_campaign
from accelsim.io.catalogue import CAMPAIGN, resolve
from accelsim.sim.systolic import Grid
from tests.faults.arrays import words
from tests.faults.test_plan import worked
from tests.share import share

FAULTS, SEEDS = 20_000, share(300, 40, 30)


@cache
def target(together: int = 1) -> ArrayTarget:
    """Two products of different length, to outputs of a few bits, so that few upsets corrupt."""
    rng = Random(2)
    made = []
    for rows in (60, 20):
        product = product_run(words(rng, rows, 6, 8), words(rng, 6, 4, 8), Grid(3, 3), "B")
        made.append(Product(product, np.arange(rows * 4).reshape(rows, 4)))
    return ArrayTarget("MAC", made, Requantise(1, 14), ("operands", "sums"), together)


def memories() -> Any:
    return load_campaign(resolve("attention-memories", CAMPAIGN)).target


@pytest.mark.parametrize("make", [target, lambda: target(3), memories], ids=["array", "three bits", "memories"])
def test_groups_hold_every_fault_once_and_one_bit_each(make: Any) -> None:
    found = make()
    for number, stratum in enumerate(found.strata):
        sizes = found.groups(number)
        group = np.repeat(np.arange(sizes.size), sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        numbers = found.members(number, group, places)
        assert (np.sort(numbers) == np.arange(stratum.population)).all()
        some = np.random.default_rng(number).integers(0, numbers.size, 60)
        lives = found.effects(number, numbers[some]).outcome > 0
        bits = {(int(group[at]), *found.site(number, int(numbers[at]))["bits"]) for at, live in zip(some, lives, strict=True) if live}
        assert len({each[1:] for each in bits}) == len(bits)


@dataclass(frozen=True)
class Known:
    """A target all of whose outcomes are known: int64[population] by stratum."""

    inner: Any
    outcomes: tuple[Any, ...]
    classes: tuple[Effects, ...]

    @classmethod
    def of(cls, inner: Any) -> Known:
        found, classes = [], tuple(inner.of_classes(number, np.arange(each.classes)) for number, each in enumerate(inner.strata))
        for number, (stratum, effects) in enumerate(zip(inner.strata, classes, strict=True)):
            if effects.fault is None:
                found.append(effects.outcome)
                continue
            bits = inner.intervals.bits[inner._members[number][0]]
            every, outcome_ = np.full(stratum.population, -1), np.repeat(effects.outcome, effects.weight)
            late = np.concatenate([np.arange(many) for many in effects.weight])
            every[np.repeat(effects.fault, effects.weight) + bits * late] = outcome_
            assert every.min() >= 0
            found.append(every)
        return cls(inner, tuple(found), classes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def effects(self, stratum: int, numbers: Any) -> Effects:
        found = self.outcomes[stratum][numbers]
        corrupted = (found == CORRUPTED) * 1
        return Effects(found, corrupted, corrupted, corrupted > 0)

    def of_classes(self, stratum: int, numbers: Any) -> Effects:
        each = self.classes[stratum]
        return Effects(*(None if words is None else words[numbers] for words in astuple(each)))

    @property
    def avf(self) -> float:
        return float(np.concatenate([each >= CORRUPTED for each in self.outcomes]).mean())


def test_share_is_right_on_average_its_intervals_hold_and_it_varies_less() -> None:
    """Against all upsets, for many seeds. Variances are those that all upsets say the drawn plans have, and the estimates vary so."""
    known = Known.of(target())
    failing = [each >= CORRUPTED for each in known.outcomes]
    expected: dict[str, float] = {}
    for by in (IMPORTANCE, NEYMAN):
        campaigns = [Campaign("some", known, Sample(FAULTS, by=by), seed, f"{by} {seed}") for seed in range(SEEDS)]
        works = [worked(each) for each in campaigns]
        found = [outcome(each, done, True) for each, done in zip(campaigns, works, strict=True)]
        values = np.array([each.avf().value for each in found])
        assert abs(values.mean() - known.avf) < 4 * values.std() / np.sqrt(SEEDS)
        assert all(inside(each.avf(), known.avf) for each in found)  # far more often than 95 %: half-widths add up
        assert np.mean([inside(each.likely(each.shares), known.avf) for each in found]) > 0.85
        held = [inside(part.silent, float(some.mean())) for each in found for part, some in zip(each.found, failing, strict=True)]
        assert np.mean(held) > 0.95
        expected[by] = np.mean([variance(each, each.plan(done), failing) for each, done in zip(campaigns, works, strict=True)])
        assert values.var(ddof=1) / expected[by] == pytest.approx(1, abs=4 * np.sqrt(2 / SEEDS))
    assert expected[NEYMAN] / expected[IMPORTANCE] > 1.3


def variance(campaign: Campaign, plan: Plan, failing: list[Any]) -> float:
    """Of the estimate of a plan, if it is known what fails: of a mean of independent terms, each of them the weight or 0."""
    found, total = 0.0, sum(each.size for each in failing)
    for number, some in enumerate(failing):
        if plan.whole[number]:
            continue
        chances, mixture, share_ = np.full(some.size, 1 / some.size), plan.mixtures[number], some.mean()
        if mixture is not None:
            sizes = campaign.target.groups(number)
            group = np.repeat(np.arange(sizes.size), sizes)
            numbers = campaign.target.members(number, group, np.concatenate([np.arange(size) for size in sizes]))
            chances[numbers] = (mixture.chances / sizes)[group]
        square = np.sum(some / chances) / some.size**2
        found += (some.size / total) ** 2 * (square - share_**2) / plan.wanted[number]
    return found


def inside(share_: Range, value: float) -> bool:
    return share_.low <= value <= share_.high
