"""The batch kernel against its twin, which evaluates one mapping at a time with the ordinary model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapper.batch import Batch
from accelsim.mapper.reference import evaluate_batch
from accelsim.mapping.tree import For, Leaf, Loop, Mapping, Spatial
from accelsim.model import Evaluator
from accelsim.model.options import Counting
from tests.mapper.small import grid, keep, matmul, one_unit

TENSORS = ("A", "B", "Z")


@st.composite
def structures(draw: st.DrawFn) -> Mapping:
    """Loops in any order over three memories, some of them spatial, and keeps of any tensors."""
    loops: list[Loop] = [For(rank, 1) for rank in draw(st.lists(st.sampled_from("mnk"), max_size=4))]
    held = draw(st.lists(st.sampled_from(TENSORS), unique=True))
    if held:
        loops.append(keep("Buffer", *held))
    loops += [For(rank, 1) for rank in draw(st.lists(st.sampled_from("mnk"), max_size=3))]
    spread = draw(st.permutations("mnk"))
    loops += [Spatial(axis, rank, 1) for axis, rank in zip("xy", spread, strict=False) if draw(st.booleans())]
    held = draw(st.lists(st.sampled_from(TENSORS), unique=True))
    if held:
        loops.append(keep("Reg", *held))
    loops += [For(rank, 1) for rank in draw(st.lists(st.sampled_from("mnk"), max_size=2))]
    return Mapping("structure", (keep("Main", *TENSORS), Leaf("Z", "PE", tuple(loops))))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Evaluator, Mapping, list[list[int]]]:
    """A machine, a shape, a structure and tilings of it, some of them illegal."""
    machine = grid(
        draw(st.integers(8, 200)),
        draw(st.integers(1, 12)),
        draw(st.integers(1, 5)),
        draw(st.integers(1, 4)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from((1, 1, 3))),
    )
    shape = {rank: draw(st.integers(1, 13)) for rank in "mnk"}
    counting = Counting(
        draw(st.sampled_from(("charged", "free"))),
        draw(st.sampled_from(("one", "every_member"))),
        draw(st.sampled_from(("parent", "child"))),
        "touched",
        draw(st.sampled_from(("delta", "delta", "every_visit"))),
    )
    structure = draw(structures())
    (path,) = structure.paths()
    ranks = [node.rank for node in path[0] if isinstance(node, (For, Spatial))]
    tilings = []
    for _ in range(4):
        left, tiling = dict(shape), []
        for rank in ranks:
            left[rank] = draw(st.integers(1, left[rank]))
            tiling.append(left[rank])
        tilings.append(tiling)
    return Evaluator(matmul(**shape), machine, counting), structure, tilings


@given(problems())
@pytest.mark.slow
def test_a_batch_equals_its_mappings_evaluated_one_by_one(problem: tuple[Evaluator, Mapping, list[list[int]]]) -> None:
    evaluator, structure, tilings = problem
    batch = Batch(evaluator, structure)
    found = batch.evaluate(np.array(tilings, np.int64).reshape(len(tilings), -1))
    for number, tiling in enumerate(tilings):
        row = evaluate_batch(evaluator, structure, tuple(tiling))
        assert bool(found.legal[number]) == (row is not None)
        if row is None:
            continue
        assert int(found.steady[number]) == row.steady
        assert bool(found.fits[number]) == row.fits
        assert [tuple(pair) for pair in found.traffic[number].tolist()] == list(row.traffic.values())
        assert found.energy_pj[number] - batch.operations_pj == pytest.approx(row.energy, rel=1e-9, abs=1e-6)


def test_a_tile_larger_than_what_is_left_is_not_legal() -> None:
    structure = Mapping("s", (keep("Main", *TENSORS), Leaf("Z", "U", (For("m", 1), For("m", 1)))))
    found = Batch(Evaluator(matmul(), one_unit()), structure).evaluate(np.array([[2, 3], [3, 2], [0, 0]]))
    assert found.legal.tolist() == [False, True, False]


def test_a_batch_refuses_a_window() -> None:
    from accelsim.workload.build import cascade

    window = cascade("window", "Y[p] = X[p+r] * W[r]", {"p": 4, "r": 3})
    structure = Mapping("s", (keep("Main", "X", "W", "Y"), Leaf("Y", "U")))
    with pytest.raises(InputError) as caught:
        Batch(Evaluator(window, one_unit()), structure)
    assert str(caught.value) == "no batch: Y has windows or a condition; evaluate its mappings one by one"


def test_a_batch_refuses_a_tensor_that_the_root_does_not_keep() -> None:
    structure = Mapping("s", (keep("Main", "A", "B"), Leaf("Z", "U")))
    with pytest.raises(IllegalMapping) as caught:
        Batch(Evaluator(matmul(), one_unit()), structure)
    assert str(caught.value) == "Z is not kept above all loops; keep it at the outermost memory"


def test_a_batch_refuses_counts_beyond_64_bits() -> None:
    structure = Mapping("s", (keep("Main", *TENSORS), Leaf("Z", "U")))
    with pytest.raises(InputError) as caught:
        Batch(Evaluator(matmul(2**20, 2**20, 2**20), one_unit()), structure)
    assert str(caught.value).startswith("a batch over 1.15e+18 points passes 64-bit counters")
