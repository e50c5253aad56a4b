"""Ways to run one Einsum, where the search is stopped in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.io.hardware import load_architecture
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.leaf import LeafSearch, OutOfTime
from accelsim.model.evaluation import Evaluator
from accelsim.workload.build import cascade

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
