"""Ways to run one Einsum, where the search is stopped in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.io.hardware import load_architecture
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, Weights, aim
from accelsim.mapper.leaf import Front, LeafSearch, OutOfTime
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.model.evaluation import Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import cascade
from tests.mapper.small_problems import single

ARCHITECTURES = Path(__file__).resolve().parents[2] / "hw" / "arch"


def a_search() -> LeafSearch:
    """A matrix product on the array of a machine with four memories."""
    work = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "n": 2, "k": 6})
    evaluator = Evaluator(work, load_architecture(ARCHITECTURES / "tpu_like.yaml", {}))
    ways = Exact(evaluator, aim("energy", Scale.of(evaluator))).ways["Z"]
    return max((search for search, _ in ways), key=lambda search: search.plan.ports.shape[0])


@pytest.mark.parametrize("looks", range(1, 8))
def test_a_search_that_was_stopped_goes_on(looks: int) -> None:
    """Whenever the clock stops it, it knows nothing wrong, and what it finds afterwards is the same."""
    search, left = a_search(), [looks]

    def over(work: float) -> bool:
        left[0] -= 1
        return left[0] <= 0

    everything, asked = (1 << len(search.names.tensors)) - 1, np.ones((1, len(search.names.tensors)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accelsim.mapper.leaf._PATIENCE", 1)  # candidates between looks at the clock
        search.over = over
        with pytest.raises(OutOfTime):
            search.least(everything, asked)
    search.over = lambda work: False
    for found, other in zip(search.least(everything, asked), a_search().least(everything, asked), strict=True):
        assert found.tolist() == other.tolist()


def sums(front: Front, weights: Weights, exact: Exact) -> NDArray[np.float64]:
    """What every row of a front is worth."""
    ticks = front.rows[:, 1 : 1 + exact.traffic].max(axis=1) + front.rows[:, 1 + exact.latency]
    found = weights[0] * front.rows[:, 0] + weights[1] * ticks + weights[2] * front.rows[:, 1 + exact.traffic]
    return np.asarray(found * ticks if weights[3] else found)


@given(seed=st.integers(0, 2**32), memories=st.sampled_from([3, 4, 4]), refill=st.sampled_from(["delta", "every_visit"]))
def test_a_sum_tried_from_its_bound_upwards_is_the_least_of_the_whole_front(seed: int, memories: int, refill: str) -> None:
    """Whatever was worked out for a sum before leaves nothing out of what is asked for afterwards."""
    work, machine = single(np.random.default_rng(seed), memories)
    evaluator = Evaluator(work, machine, Counting(refill=refill))
    scale = Scale.of(evaluator)
    try:
        exact = Exact(evaluator, aim("energy", scale))
    except Unsupported:
        return
    (name,) = exact.order
    for search, _ in exact.ways[name]:
        plan = search.plan
        if plan.ports.shape[0] < 3:
            continue
        everything, budget = (1 << len(search.names.tensors)) - 1, int(plan.ports[1, 2])
        whole = LeafSearch(plan, search.names).front(search.whole, 0, everything, budget)
        for weights in ((1.0, 0.0, 0.0, 0.0), (1.0, 0.01, 0.0, 0.0), (1.0, 0.0, 0.5, 0.0), (1.0, 0.001, 0.0, 1.0)):
            uses = (True, True, weights[2] > 0, False)
            least = search.front(search.whole, 0, everything, budget, None, True, False, uses, weights=weights)
            assert bool(len(least.rows)) == bool(len(whole.rows))
            if len(whole.rows):
                assert sums(least, weights, exact).min() == pytest.approx(sums(whole, weights, exact).min(), rel=1e-9)
        again = search.front(search.whole, 0, everything, budget)
        assert len(again.rows) == len(whole.rows)
