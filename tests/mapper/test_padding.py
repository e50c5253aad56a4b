"""Sizes with few divisors: those chosen instead, and what becomes of their mappings."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.mapper import search
from accelsim.mapper.best import Request
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.padding import cut, padding, rounder
from accelsim.mapping.legality import check
from accelsim.model import Evaluator
from accelsim.workload.cascade import Cascade
from tests.mapper.small import grid, matmul, one_unit, softmax, two_units
from tests.mapper.test_shipped import machine, workload

MACHINES = {"one_unit": one_unit(), "two_units": two_units(), "grid": grid()}


@given(size=st.integers(1, 5000), axes=st.lists(st.integers(2, 128), max_size=3))
def test_a_size_never_shrinks_and_grows_by_a_sixteenth_or_one_at_most(size: int, axes: list[int]) -> None:
    assert size <= rounder(size, axes) <= size + max(1, size // 16)


@pytest.mark.parametrize(
    ("size", "axes", "larger"),
    [(1009, [32], 1024), (1024, [32], 1024), (1000, [32], 1024), (97, [], 100), (7, [4], 8), (50257, [128], 50688)],
)
def test_sizes_that_fill_axes_and_have_many_divisors_are_taken(size: int, axes: list[int], larger: int) -> None:
    assert rounder(size, axes) == larger


def test_sizes_that_can_be_cut_well_stay() -> None:
    assert padding(matmul(16, 64, 32), one_unit()) is None


def cascades() -> st.SearchStrategy[Cascade]:
    sizes = st.sampled_from([17, 19, 23, 29, 31, 37, 41, 47, 8, 24])
    return st.one_of(st.builds(matmul, sizes, sizes, sizes), st.builds(softmax, sizes, sizes))


@given(cascade=cascades(), name=st.sampled_from(sorted(MACHINES)), objective=st.sampled_from(["latency", "energy"]))
@pytest.mark.slow
def test_a_mapping_of_larger_sizes_is_legal_and_costs_no_more_on_the_true_ones(cascade: Cascade, name: str, objective: str) -> None:
    architecture = MACHINES[name]
    larger = padding(cascade, architecture)
    assume(larger is not None)
    assert larger is not None
    before = Evaluator(larger, architecture)
    aim = objective_named(objective).aim(Scale.of(before))
    assert aim is not None
    try:
        result = Exact(before, aim).run()
    except Unsupported:  # no unit for a maximum
        assert name != "two_units" and len(cascade.work) > 1
        return
    assert result is not None
    mapping = cut(result.mapping, cascade)
    check(cascade, architecture, mapping)
    large, small = before.evaluate(result.mapping), Evaluator(cascade, architecture).evaluate(mapping)
    assert small.cycles <= large.cycles
    assert small.energy_pj <= large.energy_pj * (1 + 1e-9)


@pytest.mark.parametrize("name", ["tpu_like", "npu", "spatial"])
@pytest.mark.slow
def test_a_prime_sized_product_takes_at_most_5_percent_longer_than_a_power_of_two_scaled(name: str) -> None:
    cycles = {}
    for size in (1009, 1024):
        sizes = {f"shape.{rank}": str(size) for rank in "mnk"}
        cycles[size] = search(workload("matmul", sizes), machine(name)).evaluation.cycles
    assert cycles[1009] <= 1.05 * cycles[1024] * (1009 / 1024) ** 3


@pytest.mark.slow
def test_a_prime_sized_product_takes_no_more_energy_than_one_of_the_next_power_of_two() -> None:
    request = Request(objective_named("energy"))
    energy = {}
    for size in (31, 32):
        sizes = {f"shape.{rank}": str(size) for rank in "mnk"}
        energy[size] = search(workload("matmul", sizes), machine("npu"), request=request).evaluation.energy_pj
    assert energy[31] <= energy[32]
