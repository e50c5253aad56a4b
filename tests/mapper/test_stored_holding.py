"""The search over stored elements tries tiles that hold so many of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.mapper import stored as search
from accelsim.mapper import stored_nest
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored_space import Block, NestDesign, StoredSpace
from accelsim.mapping.tree import For, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.sparse.density import PowerLaw
from accelsim.workload.build import cascade as built
from accelsim.workload.storage import Storage
from tests.mapper.test_stored import fits, machine, workload

SIZE, COLUMNS, BITS = 32, 12, 1200


def power_law(seed: int) -> dict[str, Any]:
    """A square matrix with a few long rows, and one with all elements."""
    drawn = PowerLaw(5, 160, (0.57, 0.19, 0.19, 0.05)).draw(seed)
    return {"A": np.stack([drawn.row_of, drawn.columns]), "B": np.array(np.nonzero(np.ones((SIZE, COLUMNS))), np.int64)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2])
def test_rows_of_a_power_law_are_cut_by_elements_which_no_equal_tiles_equal(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traffic of the mapping that is found, against the best found without such steps, and against its own nest with equal tiles."""
    monkeypatch.setattr(stored_nest, "BUDGET", 600)
    cascade, target, stored = workload(SIZE, SIZE, COLUMNS), machine(BITS), power_law(seed)
    request = Request(objective_named("traffic"), seed=0)
    found = search.search_stored(cascade, target, stored, request)
    cut = next(node for node in found.mapping.nodes if isinstance(node, For) and node.of)
    written = parse_mapping(dump_mapping(found.mapping), {})
    again = evaluate_stored(Evaluator(cascade, target), written, stored)
    assert fits(again) and request.objective.value(again.evaluation) == found.record["value"]
    for tile in range(1, SIZE + 1):
        nodes = tuple(For(cut.rank, tile) if node is cut else node for node in found.mapping.nodes)
        equal = evaluate_stored(Evaluator(cascade, target), Mapping("equal", nodes), stored)
        assert not fits(equal) or request.objective.value(equal.evaluation) > found.record["value"]
    monkeypatch.setattr(StoredSpace, "by_elements", lambda *_: [])
    without = search.search_stored(cascade, target, stored, request)
    assert found.record["value"] < 0.75 * without.record["value"]


def test_steps_lead_to_tiles_of_as_many_elements_as_fit_or_as_equal_ones_hold_and_back() -> None:
    """Of 100 elements of A, which take 8 bits and a coordinate of 5: 600 bits hold 46 of them, and tiles of 8 of 32 rows 25 on average."""
    space = StoredSpace(workload(SIZE, SIZE, COLUMNS), machine(600), elements={"A": 100})
    assert space.by_elements("m", None, "Buffer") == [For("m", many, of="A") for many in (46, 23, 11)]
    assert For("m", 25, of="A") in space.by_elements("m", For("m", 8), "Buffer")
    assert space.by_elements("n", None, "Buffer") == []
    assert [loop.tile for loop in space.by_elements("m", For("m", 40, of="A"), "Buffer")] == [20, 30, 35, 45, 60, 80]
    design = NestDesign("U", (Block((), (For("m", 46, of="A"),), (("A", 1),)),))
    assert space.tidy(design) == design
    around = [each.blocks[0].loops for each in space.around(design)]
    assert (For("m", 16),) in around and (For("m", 23, of="A"),) in around
    whole = NestDesign("U", (Block((), (For("m", 100, of="A"),), (("A", 1),)),))
    assert space.tidy(whole) == NestDesign("U", (Block((), (), (("A", 0),)),))


def test_where_tiles_are_to_divide_none_counts_elements() -> None:
    assert StoredSpace(workload(SIZE, SIZE, COLUMNS), machine(600), True, elements={"A": 100}).by_elements("m", None, "Buffer") == []


def test_listing_covers_equal_tiles_and_claims_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the listing does not cover is not proved, though it is better than all that is listed."""
    monkeypatch.setattr(stored_nest, "BUDGET", 200)
    types = {"default": "int8", "Z": {"partial": "int32", "final": "int32"}}
    made = built("vector", ["Z[m] = A[m,k] * B[k]"], {"m": 5, "k": 3}, types=types)
    tensors = made.tensors | {"A": replace(made.tensors["A"], storage=Storage(("uncompressed", "compressed"), 8, 8))}
    rng = np.random.default_rng(8)
    held = rng.random((5, 3)) < 0.35
    held[int(rng.integers(0, 5))] = True
    stored = {"A": np.array(np.nonzero(held), np.int64)}
    found = search.search_stored(replace(made, tensors=tensors), machine(112), stored, Request(objective_named("traffic"), seed=0))
    assert any(node.of for node in found.mapping.nodes if isinstance(node, For))
    assert not found.record["proved_optimal"] and found.record["lower_bound"] < found.record["value"]
    assert found.record["no_exact_search"] == "over stored elements only nests with equal tiles are listed, and none of them is better"
