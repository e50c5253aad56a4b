"""Selections of protection: the program against trying all, and against going step by step."""

from __future__ import annotations

import os
from random import Random

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.greedy import greedy
from accelsim.faults.protection import Block, Choice, Observed, Part, choices
from accelsim.faults.selection import AREA, RESIDUAL, Limits, Problem, problem, select, summed
from accelsim.faults.tradeoff import front, steadiness
from tests.faults.protected import DUPLICATION, TECHNIQUES, blocks, every, random_problem, technique

SEEDS = st.integers(0, 10**6)


def drawn_limits(rng: Random) -> Limits:
    """Some limits, often close to what can be met."""
    def some(low: float, high: float) -> float | None:
        return rng.uniform(low, high) if rng.random() < 0.4 else None

    slack = (("main", rng.uniform(0, 6)),) if rng.random() < 0.3 else ()
    return Limits(some(0.4, 0.95), some(0.5, 0.98), some(2, 20), some(2, 20), some(5, 25), some(5, 25), slack)


@given(SEEDS, st.sampled_from((AREA, RESIDUAL)))
def test_selection_of_four_blocks_is_the_best_of_all(seed: int, least: str) -> None:
    rng = Random(seed)
    found, limits = random_problem(rng, 4, rng.choice((1, 2))), drawn_limits(rng)
    all_of_them = every(found, limits)
    if not all_of_them:
        with pytest.raises(InputError, match="no choices meet"):
            select(found, limits, least)
        return
    assert getattr(select(found, limits, least), least) == min(getattr(each, least) for each in all_of_them)


@given(SEEDS)
def test_selection_is_within_its_limits_by_their_definitions_at_the_upper_bounds(seed: int) -> None:
    rng = Random(seed)
    mine = blocks(rng, 5, 2)
    raw = sum(block.fit for block in mine)
    limits = Limits(spfm=0.97, lfm=0.9, detected_fit=raw * 0.2, slack=(("main", 3.0),))
    found = problem(mine, TECHNIQUES)
    try:
        chosen = select(found, limits)
    except InputError:
        assert not every(found, limits)
        return
    picked = [options[pick] for options, pick in zip(found.options, chosen.picks, strict=True)]
    rate = raw + sum(each.added for each in picked)
    for workload in range(2):
        silent = sum(each.silent[workload] for each in picked)
        assert 1 - silent / rate >= 0.97 - 1e-8
        assert 1 - sum(each.latent for each in picked) / (rate - silent) >= 0.9 - 1e-8
        assert sum(each.detected[workload] for each in picked) <= raw * 0.2 * (1 + 1e-8)
    assert sum(each.delay for block, each in zip(mine, picked, strict=True) if block.paths) <= 3.0
    # whatever the true shares are below the bounds, less is left
    truth = [[[tuple(np.array(each.upper(0.95)) * rng.random()) for each in part.observed] for part in block.parts] for block in mine]
    lower = [choices(block, TECHNIQUES, shares)[pick] for block, shares, pick in zip(mine, truth, chosen.picks, strict=True)]
    assert sum(each.silent for each in lower).max() <= sum(each.silent for each in picked).max()


@given(SEEDS, st.floats(0.3, 0.99))
def test_selection_costs_at_most_what_steps_do_and_those_at_most_what_duplicating_everything_does(seed: int, spfm: float) -> None:
    found = problem(blocks(Random(seed), 8), TECHNIQUES)
    limits = Limits(spfm=spfm)
    exact, steps = select(found, limits), greedy(found, limits)
    twice = [next(at for at, each in enumerate(options) if each.name == DUPLICATION.name) for options in found.options]
    assert exact.area <= steps.area * (1 + 1e-9)
    assert steps.area <= summed(found, twice).area * (1 + 1e-9)


@given(SEEDS)
def test_steps_are_never_better_than_the_best(seed: int) -> None:
    rng = Random(seed)
    found, limits = random_problem(rng, 4), drawn_limits(rng)
    try:
        steps = greedy(found, limits)
    except InputError as error:
        assert "no choices within the limits are found" in str(error)
        return
    assert steps.area >= select(found, limits).area


def handmade(*options: list[tuple[float, float]]) -> Problem:
    """Blocks of choices: area, and what is left."""
    mine = tuple(Block(f"b{at}", (Part("flops", 1, 10.0, 1.0, 1.0, (Observed(1, 0, 1),)),)) for at in range(len(options)))
    made = [tuple(Choice(f"c{at}", area, 0.0, 0.0, np.array([left]), np.zeros(1), 0.0, 0.0) for at, (area, left) in enumerate(each))
            for each in options]  # fmt: skip
    return Problem(mine, tuple(made))


def test_rate_of_what_is_added_counts_in_the_metrics() -> None:
    """10 FIT: 1 left is a metric of 90 %; 0.95 left with 10 more added is one of 95.25 %. The same of 1 and 0.95 latent."""
    (block,) = handmade([(0, 1.0)]).blocks
    nothing = np.zeros(1)
    found = [Problem((block,), ((Choice("a", 0, 0, 0, left, nothing, 0.0, latent[0]),
                                Choice("b", 1, 0, 0, 0.95 * left, nothing, 10.0, 0.95 * latent[0])),))
             for left, latent in ((np.ones(1), nothing), (nothing, np.ones(1)))]  # fmt: skip
    for name, each in zip(("spfm", "lfm"), found, strict=True):
        picks = [select(each, Limits(**{name: least})).picks for least in (0.9, 0.901, 0.952)]
        assert picks == [(0,), (1,), (1,)]
        with pytest.raises(InputError):
            select(each, Limits(**{name: 0.953}))


def test_steps_protect_only_the_block_that_needs_it() -> None:
    assert greedy(handmade([(0, 5), (1, 1)], [(0, 0.1), (1, 0)]), Limits(residual_fit=2.0)).picks == (1, 0)


def test_steps_take_back_what_later_ones_make_needless() -> None:
    """First 2 FIT for 1, then 10 for 10, after which the first are not needed."""
    found = handmade([(0, 2), (1, 0)], [(0, 10), (10, 0)])
    assert greedy(found, Limits(residual_fit=2.0)).picks == (0, 1)


@given(SEEDS)
def test_front_is_all_that_nothing_beats(seed: int) -> None:
    found = random_problem(Random(seed), 4)
    known = {(each.area, each.residual) for each in every(found, Limits())}
    best = {one for one in known if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in known)}
    assert [(each.area, each.residual) for each in front(found, Limits(), 1e-3)] == sorted(best)


def one_block(detected: float) -> tuple[Block, ...]:
    part = Part("flops", 100, 10.0, 450.0, 1.0, (Observed(50, 0, 100, exhaustive=True),))
    return (Block("one", (part,)),)


def test_limit_that_cannot_be_met_is_named_with_what_can() -> None:
    found = problem(one_block(0.5), [technique("half", ("flops",), 0.5, 1.0, 0.1)])
    with pytest.raises(InputError) as error:
        select(found, Limits(residual_fit=2.0, area=1000.0))
    assert str(error.value) == ("no choices meet residual 2 FIT (its sum is 2.5 at best, and 2 at most); "
                                "relax one, or offer techniques that do more")  # fmt: skip


def test_limits_that_conflict_are_named_and_others_are_not() -> None:
    found = problem(one_block(0.5), [technique("half", ("flops",), 0.5, 1.0, 0.1)])
    with pytest.raises(InputError) as error:
        select(found, Limits(residual_fit=3.0, area=44.0, energy=10.0))
    assert str(error.value) == ("no choices meet residual 3 FIT and area 44 together; relax one, or offer techniques that do more")


def test_solver_that_prints_is_not_heard(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    solver = scipy.optimize.milp

    def loud(*given: object, **named: object) -> object:
        os.write(1, b"heard")
        return solver(*given, **named)

    monkeypatch.setattr(scipy.optimize, "milp", loud)
    assert select(handmade([(0, 5), (1, 1)]), Limits(residual_fit=2.0)).picks == (1,)
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_metric_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError) as error:
        Limits(spfm=99)
    assert str(error.value) == "spfm 99 is not a share; write it from 0 to 1, as in 0.99"


def test_blocks_under_different_workloads_are_refused() -> None:
    with pytest.raises(InputError) as error:
        problem((*blocks(Random(0), 1, 1), *blocks(Random(0), 1, 2)), TECHNIQUES)
    assert str(error.value) == ("blocks are observed under different numbers of workloads, or under none; "
                                "give each part one for each workload")  # fmt: skip


def test_front_in_steps_of_nothing_is_refused() -> None:
    with pytest.raises(InputError) as error:
        front(problem(one_block(0.5), []), Limits(), 0.0)
    assert str(error.value) == "a step of 0 is no part; write it between 0 and 1"


def test_detected_limit_turns_parity_into_correction() -> None:
    """Without it, parity is enough for the residual: what is detected is not safe."""
    found = problem(blocks(Random(3), 12), TECHNIQUES)
    free, bound = select(found, Limits(spfm=0.99)), select(found, Limits(spfm=0.99, detected_fit=0.01 * found.fit))
    assert sum("parity" in name for name in free.names) > sum("parity" in name for name in bound.names)
    assert any("secded" in name for name in bound.names) and free.area < bound.area


def test_choice_that_every_draw_makes_survives_and_one_at_the_edge_does_not() -> None:
    rng = np.random.default_rng(1)
    half = [technique("half", ("flops",), 0.5, 1.0, 0.1)]
    part = Part("flops", 100, 10.0, 450.0, 1.0, (Observed(300, 0, 1000),))
    edge = (Block("edge", (part,)),)
    sure, _ = steadiness(edge, half, Limits(residual_fit=2.0), select(problem(edge, half), Limits(residual_fit=2.0)), 50, rng)
    limits = Limits(residual_fit=3.0)  # as much as the point estimate leaves unprotected
    split, missed = steadiness(edge, half, limits, select(problem(edge, half), limits), 200, rng)
    assert sure.tolist() == [1.0]
    assert 0.35 < split[0] < 0.65 and missed == 0


def test_draws_that_cannot_be_met_are_counted() -> None:
    mine = one_block(0.5)
    reference = select(problem(mine, []), Limits())
    kept, missed = steadiness(mine, [], Limits(residual_fit=1.0), reference, 5, np.random.default_rng(0))
    assert (kept.tolist(), missed) == ([0.0], 5)
