"""Evaluations from densities whose outline is known from another mapping: against those of an evaluator that has seen none."""

from __future__ import annotations

import gc
import random
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Unit
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model import outlines
from accelsim.model.chain import LaterLowered
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.sparse import boxes
from accelsim.sparse.axes import Axes
from accelsim.sparse.boxes import UniformBoxes
from accelsim.sparse.chances import hypergeometric
from accelsim.workload.build import cascade
from accelsim.workload.storage import Storage
from tests.sparse.densities import KINDS
from tests.sparse.nests import machine
from tests.sparse.test_even import case

KEPT = ("uncompressed", "compressed", "bitmask")


def outcome(evaluator: Evaluator, mapping: Mapping, densities: Any) -> Any:
    """What the evaluation says, or why there is none."""
    try:
        return evaluate_expected(evaluator, mapping, densities).to_json()
    except AccelsimError as error:
        return str(error)


@given(seed=st.integers(0, 10**6), ragged=st.booleans(), kind=st.sampled_from(KINDS))
def test_mapping_whose_form_is_known_costs_what_it_costs_alone(seed: int, ragged: bool, kind: str) -> None:
    rng, made = random.Random(seed), case(seed, ragged, kind, 4)
    tensors = dict(made.cascade.tensors)
    for name, each in made.densities.items():
        kinds = rng.choice(KEPT), *["compressed"] * (len(each.shape) - 1)
        tensors[name] = replace(tensors[name], storage=Storage(kinds, rng.choice([0, 5]), 7))
    shared = Evaluator(replace(made.cascade, tensors=tensors), made.machine)
    for mapping in made.mappings:
        assert outcome(shared, mapping, made.densities) == outcome(Evaluator(shared.cascade, made.machine), mapping, made.densities)


@example(seed=168, ragged=False, kind="uniform")  # a loop of one turn, of which no two are paired
@example(seed=313, ragged=False, kind="uniform")  # tiles that stay from turn to turn where they alone hold something are rare
@example(seed=624, ragged=False, kind="uniform")
@given(seed=st.integers(0, 10**6), ragged=st.booleans(), kind=st.sampled_from(("uniform", "structured", "fibers", "blocks")))
def test_sums_of_an_outline_are_those_of_all_turns_whether_chances_are_listed_or_not(seed: int, ragged: bool, kind: str) -> None:
    """Of nests with formats and memories that tiles may not fit: by compiled rules, and by none but volumes and means, against `Axes`."""
    rng, made = random.Random(seed), case(seed, ragged, kind, 3)
    kinds = {name: ("uncompressed", *["compressed"] * (len(each.shape) - 1)) for name, each in made.densities.items()}
    stored = {name: Storage(each, rng.choice([0, 5]), 7) for name, each in kinds.items()}
    tensors = {name: replace(each, storage=stored.get(name)) for name, each in made.cascade.tensors.items()}
    target = limited(made.machine, rng.choice([20, 60, 200]))
    for most in (boxes.MOST_LISTED, 0):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(boxes, "MOST_LISTED", most)
            densities = {name: replace(each) for name, each in made.densities.items()}  # without what was listed before
            evaluator = Evaluator(replace(made.cascade, tensors=tensors), target)
            for mapping in made.mappings:
                outcome(evaluator, mapping, densities)
            for known in outlines._BY_EVALUATOR.get(evaluator, {}).values():
                for mapping, each in product(made.mappings, known.outlines):
                    nest = made.nest(mapping)
                    found, axes = each.table.of(nest), Axes(nest)
                    for place in range(len(each.table.sums)):
                        if found.is_even(place):
                            expected = axes.total(each.table.sums[place])
                            assert found.sum(place).total == pytest.approx(expected.sum(), rel=1e-11, abs=1e-12), (mapping, place)


@pytest.mark.parametrize(("short", "held"), [(1, 0), (0, 1), (-1, 1), (1, 1), (0, 2), (1, 2), (0, 3)])
def test_tiles_that_just_fit_are_told_from_those_that_do_not(short: int, held: int) -> None:
    """A is 4 x 8 in a tile, hypergeometric: 4 pointers of 7 bits, and 5 bits and a value for each element; one bit less holds one less."""
    evaluator, densities = intersecting({"A": UniformBoxes((16, 16), 40), "B": UniformBoxes((16,), 4)})
    tensors = evaluator.cascade.tensors
    each, fitting = 5 + int(tensors["A"].final.bits), held + max(0, short)
    stored = tensors | {"A": replace(tensors["A"], storage=Storage(("uncompressed", "compressed"), 5, 7))}
    size = 4 * 7 + fitting * each - short
    nodes = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", 4), For("k", 8), Keep("Buffer", (Held("A"),)), Leaf("Z", "U")
    sized = Evaluator(replace(evaluator.cascade, tensors=stored), limited(evaluator.architecture, size))
    found = evaluate_expected(sized, Mapping("four by eight", nodes), densities)
    (fit,) = (fit for fit in found.works["Z"].fits if fit.tensor == "A")
    chances = hypergeometric(256, 40, 32)
    assert fit.chance == pytest.approx(chances[held + 1 :].sum() / chances[1:].sum(), rel=1e-12)


def limited(machine: Architecture, size: int) -> Architecture:
    """With a buffer of so many bits."""
    buffer = replace(machine.memories["Buffer"], size_bits=size)
    return replace(machine, root=replace(machine.root, feeds=(buffer,)))


def test_mapping_that_no_plan_is_made_of_is_refused_though_its_loops_are_known() -> None:
    evaluator, densities = intersecting({"A": UniformBoxes((16, 16), 40), "B": UniformBoxes((16,), 4)})
    evaluate_expected(evaluator, tiled(8), densities)
    keep = Keep("Buffer", (Held("A", layout=("m", "k")), Held("B")))
    laid = replace(tiled(4), nodes=tuple(keep if isinstance(node, Keep) and node.memory == "Buffer" else node for node in tiled(4).nodes))
    with pytest.raises(AccelsimError, match="A: a layout in Buffer makes no difference"):
        evaluate_expected(evaluator, laid, densities)


def test_reduction_takes_as_long_where_the_loops_are_known_as_in_the_plan() -> None:
    """Four copies add up along an axis that takes 3 cycles, plus the unit's own; the plan itself is asked last."""
    made = cascade("vectors", ["Z[m] = A[m,k] * B[k]"], {"m": 16, "k": 16})
    unit = Unit("U", {name: Operation(name) for name in ("mac", "mul", "add")}, pipeline_depth=2)
    axis = Axis("x", 4, multicast=True, reduces=("add",), reduction_latency={"add": 3})
    buffer = Memory("Buffer", None, None, None, "shared", None, None, None, None, feeds=(Array("array", (axis,), feeds=(unit,)),))
    root = Memory("DRAM", None, None, None, "shared", None, None, None, None, feeds=(buffer,))
    evaluator = Evaluator(made, Architecture("adds", root, Fraction(10**9)))
    densities = {"A": UniformBoxes((16, 16), 40)}
    for size in (8, 4):
        keeps = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", size), Keep("Buffer", (Held("A"), Held("B")))
        found = evaluate_expected(evaluator, Mapping("spread", (*keeps, Spatial("x", "k", 4), Leaf("Z", "U"))), densities).evaluation
        assert found.loads["Z"].latency == 5 * evaluator.clock.per_cycle
        lowered = found.counts.lowered
        assert isinstance(lowered, LaterLowered)
        assert lowered.latencies == lowered.whole.latencies == {"Z": 3}


def tiled(size: int, outer: str = "k") -> Mapping:
    """Tiles of so many places of a vector."""
    keeps = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For(outer, size), Keep("Buffer", (Held("A"), Held("B")))
    return Mapping("tiled", (*keeps, Leaf("Z", "U")))


def intersecting(densities: dict[str, UniformBoxes]) -> tuple[Evaluator, dict[str, UniformBoxes]]:
    made = cascade("vectors", ["Z[m] = A[m,k] * B[k]"], {"m": 16, "k": 16})
    rng = random.Random(0)
    target = machine(rng)
    while target.sparsity("Buffer").intersect != "leading" or target.sparsity("DRAM").intersect != "leading":
        target = machine(rng)
    return Evaluator(made, target), densities


def test_outline_is_not_used_where_a_tile_can_no_longer_be_empty() -> None:
    """B has two places of 16 that are empty: a tile of two may be empty, one of four may not."""
    evaluator, densities = intersecting({"A": UniformBoxes((16, 16), 40), "B": UniformBoxes((16,), 14)})
    for size in (2, 4, 2, 8):
        fresh = Evaluator(evaluator.cascade, evaluator.architecture)
        assert outcome(evaluator, tiled(size), densities) == outcome(fresh, tiled(size), densities)
    (known,) = outlines._BY_EVALUATOR[evaluator].values()
    assert len(known.outlines) == 2


def test_outline_is_not_used_where_tiles_stay_at_the_edge() -> None:
    """Tiles of 8 and of 4 are cut into two or more each by tiles of 2; by tiles of 4, the second stays from one turn over m to the next."""
    made = cascade("vectors", ["Z[m] = A[m,k] * B[k]"], {"m": 16, "k": 12})
    rng = random.Random(0)
    target = machine(rng)
    while any(target.sparsity(each).intersect for each in ("DRAM", "Buffer", "U")):
        target = machine(rng)
    densities = {"A": UniformBoxes((16, 12), 40), "B": UniformBoxes((12,), 4)}

    def cut(size: int) -> Mapping:
        loops = For("k", 8), For("m", 8), For("k", size), Keep("Buffer", (Held("B"),))
        return Mapping("cut", (Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), *loops, Leaf("Z", "U")))

    evaluator = Evaluator(made, target)
    found = [outcome(evaluator, cut(size), densities) for size in (2, 3, 4)]
    assert [isinstance(each, dict) for each in found] == [True, True, False]
    assert "tiles of B stay at the edge" in found[2]


def test_outlines_are_made_once_and_only_so_many_forms_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator, densities = intersecting({"A": UniformBoxes((16, 16), 40), "B": UniformBoxes((16,), 4)})
    monkeypatch.setattr(outlines, "MOST_FORMS", 1)
    for size in (8, 4, 2):
        evaluate_expected(evaluator, tiled(size), densities)
    (known,) = outlines._BY_EVALUATOR[evaluator].values()
    assert len(known.outlines) == 1
    evaluate_expected(evaluator, tiled(4, "m"), densities)
    (other,) = outlines._BY_EVALUATOR[evaluator].values()
    assert other is not known
    many = len(outlines._BY_EVALUATOR)
    del evaluator, known, other
    gc.collect()
    assert len(outlines._BY_EVALUATOR) < many
