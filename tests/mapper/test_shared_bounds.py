"""Bounds on sums over Einsums that share a room or trade ports, against all choices one by one and against a linear program."""

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from accelsim.hardware.architecture import Architecture
from accelsim.mapper import floors
from accelsim.mapper.crowding import least_sum
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.floors import Floors
from accelsim.mapper.leaf_bounds import BEYOND
from accelsim.mapper.mixing import best_weights, least_means, pairs
from accelsim.model.evaluation import Evaluator
from accelsim.workload.build import cascade as build
from tests.mapper.small import GIGA, memory, unit
from tests.share import share

CHOICES = st.lists(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), min_size=1, max_size=4), min_size=1, max_size=4)
FRONTS = st.lists(st.lists(st.tuples(*[st.integers(0, 60)] * 3), min_size=1, max_size=5), min_size=1, max_size=4)


@given(CHOICES, st.integers(0, 30))
def test_bound_on_what_shares_a_room_lies_between_any_choice_and_the_best_that_fits(lists: list[list[tuple[int, int]]], room: int) -> None:
    values = [np.array([[float(value)] for value, _ in each]) for each in lists]
    bits = [np.array([[float(held)] for _, held in each]) for each in lists]
    sums = [(sum(value for value, _ in picks), sum(held for _, held in picks)) for picks in itertools.product(*lists)]
    best = min((value for value, held in sums if held <= room), default=BEYOND)
    (bound,) = least_sum(values, bits, np.array([float(room)]))
    assert bound <= best * (1 + 1e-9)
    assert bound >= min(value for value, _ in sums)
    assert not all(held <= room for _, held in sums) or bound == best


def test_bound_knows_that_only_one_of_two_can_be_kept() -> None:
    """Two Einsums that save 10 each by keeping 6 of 8 pieces: of 12 pieces a third is missing, and with it a third of what is saved."""
    values, bits = [np.array([[20.0], [10.0]])] * 2, [np.array([[0.0], [6.0]])] * 2
    (bound,) = least_sum(values, bits, np.array([8.0]))
    np.testing.assert_allclose(bound, 40 - 20 * 8 / 12)


@given(FRONTS)
def test_weights_of_two_ports_are_those_of_the_linear_program(lists: list[list[tuple[int, int, int]]]) -> None:
    """Of the pair that a coarse look prefers, the time is that of Einsums that may mix their rows in any shares, minimised by HiGHS."""
    fronts, tried = [np.array(each, float) for each in lists], pairs([0, 1, 2], 3)
    means = [least_means(front, tried) for front in fronts]
    found = best_weights(fronts, means, tried)
    alone = sum(front.min(axis=0) for front in fronts)
    pair = np.flatnonzero(tried[int(np.sum(means, axis=0).argmax())])
    rows = sum(map(len, fronts))
    start = np.cumsum([0, *map(len, fronts)])
    shares = np.array([[float(first <= at < last) for at in range(rows)] + [0.0] for first, last in itertools.pairwise(start)])
    busy = np.concatenate([np.concatenate(fronts)[:, pair].T, -np.ones((2, 1))], axis=1)
    solved = linprog(np.eye(rows + 1)[rows], busy, np.zeros(2), shares, np.ones(len(fronts)))
    best = max(alone[pair].max(), 0.0 if not len(found) else sum(float(least_means(front, found)[0]) for front in fronts))
    np.testing.assert_allclose(best, solved.fun, rtol=1e-7, atol=1e-9)
    assert min(max(sum(picks)) for picks in itertools.product(*(map(np.array, each) for each in lists))) >= best * (1 - 1e-9)


CHAINS, NARROWED = share(24, 4, 4), share(5, 1, 1)  # chains that are searched, and in how many at least each bound says something


@pytest.mark.slow
def test_searches_with_and_without_these_bounds_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains of products on two levels whose ports are about as busy as the unit, so that Einsums trade one for another."""
    rng, told = np.random.default_rng(71), Counter[str]()

    def counted(name: str, found: object, says: bool) -> object:
        told[name] += says
        return found

    mixed, crowded = floors.best_weights, Floors.crowded
    for _ in range(CHAINS):
        length = int(rng.integers(4, 6))
        statements = [f"T{k + 1}[m,n{k + 1}] = T{k}[m,n{k}] * W{k}[n{k},n{k + 1}]" for k in range(length)]
        shape = {"m": int(rng.choice([16, 32, 64]))} | {f"n{k}": int(rng.choice([12, 16, 24, 32, 48])) for k in range(length + 1)}
        lanes, rate, inner = int(rng.choice([8, 16, 32])), int(rng.integers(1, 5)), int(rng.integers(6, 14))
        buffer = memory("Buffer", int(rng.integers(2, 16)) * 256, inner * lanes // 8, 1.0, unit("U", "mac", lanes=lanes))
        machine = Architecture("two", memory("Main", None, rate, 10.0, buffer), Fraction(GIGA))
        evaluator, values = Evaluator(build("chain", statements, shape), machine), list[float]()
        for with_them in (True, False):
            with monkeypatch.context() as patched:
                if with_them:
                    patched.setattr(floors, "best_weights", lambda *each: counted("mixed", found := mixed(*each), len(found) > 0))
                    patched.setattr(Floors, "crowded", lambda *each: counted("crowded", found := crowded(*each), found is not None))
                else:
                    patched.setattr(floors, "best_weights", lambda fronts, means, weights: weights[:0])
                    patched.setattr(Floors, "crowded", lambda *_: None)
                result = Exact(evaluator, aim("latency", Scale.of(evaluator))).run()
            assert result is not None and result.value <= result.bound * (1 + 1e-9)
            values.append(result.value)
        assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert min(told["mixed"], told["crowded"]) >= NARROWED, told
