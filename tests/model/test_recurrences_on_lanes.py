"""Issues of recurrences on lanes: kernels against the replay, with uneven tiles, spread ranks and a condition."""

from __future__ import annotations

from fractions import Fraction

import pytest

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.options import Counting
from accelsim.model.reference import count
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.model.kernel_side import kernel_count
from tests.model.published import unit

STEPS = cascade("steps", "H[0,i] = 0 ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i]", {"t": 7, "i": 5})
UPPER = cascade("upper", "H[0,i] = 0 ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i] where i <= t", {"t": 6, "i": 5})
NESTS: list[tuple[TreeNode, ...]] = [
    (),
    (For("t", 3),),
    (For("i", 3), For("t", 2)),
    (For("t", 4), Spatial("x", "i", 3)),
    (Spatial("x", "i", 4),),
]


@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("made", [STEPS, UPPER])
def test_kernels_issue_as_often_as_a_replay(made: Cascade, nest: tuple[TreeNode, ...]) -> None:
    where = Architecture("machine", Memory("DRAM", feeds=(Array("array", (Axis("x", 2),), feeds=(unit("PE", 2),)),)), Fraction(10**9))
    mapping = Mapping("by hand", (Keep("DRAM", tuple(map(Held, ("A", "B", "H")))), *nest, Leaf("H", "PE")))
    assert kernel_count(made, where, mapping, Counting())["einsums"] == count(made, where, mapping, Counting())["einsums"]


def test_steps_under_a_condition_by_hand() -> None:
    """Tiles of two steps: of 0, 1 no channel beyond 1 survives, but a tile is taken whole: 3 tiles x 2 steps x ceil(5 / 2)."""
    where = Architecture("machine", Memory("DRAM", feeds=(unit("PE", 2),)), Fraction(10**9))
    mapping = Mapping("by hand", (Keep("DRAM", tuple(map(Held, ("A", "B", "H")))), For("t", 2), Leaf("H", "PE")))
    assert kernel_count(UPPER, where, mapping, Counting())["einsums"]["H"]["issues"] == 3 * 2 * 3
