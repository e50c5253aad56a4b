"""The search over stored elements: against every mapping listed by plain loops, its floors against counts, what it writes, and SciPy."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accelsim.cli import main
from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Quantity, Sparsity, Unit
from accelsim.mapper import stored as search
from accelsim.mapper import stored_floor as floors
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored_space import StoredSpace
from accelsim.mapping.text import nest as text_of
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.sparse.nest import nest_of
from accelsim.sparse.reference import computed
from accelsim.workload.build import cascade as built
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import KINDS, Storage
from tests.share import share
from tests.sparse.nests import problem

CASES = share(2000, 200, 30)
PRODUCT = "Z[m,n] = A[m,k] * B[k,n]"
PRICE = Quantity(1.0, 1.0, 1.0)


def machine(words: int, rate: int = 8, axis: int = 0, by: str = "leading", merge: int = 0) -> Architecture:
    """A memory, a buffer of so many bits that intersects, and copies of registers and a unit along an axis, or the unit alone."""
    sparsity = Sparsity(intersect=by)
    inside: Any = Unit("U", {name: Operation(name, energy_pj=PRICE) for name in ("mac", "mul", "add")}, sparse=replace(sparsity, merge_radix=merge))
    if axis:
        registers = Memory("Registers", 64, None, None, "shared", None, PRICE, PRICE, PRICE, sparse=sparsity, feeds=(inside,))
        inside = Array("array", (Axis("x", axis),), feeds=(registers,))
    half = Fraction(rate * 10**9)
    buffer = Memory("Buffer", words, half * 2, half * 2, "shared", None, PRICE, PRICE, PRICE, sparse=sparsity, feeds=(inside,))
    ten = Quantity(10.0, 10.0, 10.0)
    return Architecture("small", Memory("Main", None, half, half, "shared", None, ten, ten, ten, sparse=sparsity, feeds=(buffer,)), Fraction(10**9))


def elements(seed: int, shape: tuple[int, int], share: float) -> Any:
    """Elements of a random matrix, at least one."""
    held = np.random.default_rng(seed).random(shape) < share
    held[0, 0] = True
    return np.array(np.nonzero(held), np.int64)


def workload(m: int, k: int, n: int) -> Cascade:
    """A product of int8 with CSR operands and a compressed result."""
    made = built("layer", [PRODUCT], {"m": m, "k": k, "n": n}, types={"default": "int8", "Z": {"partial": "int32", "final": "int32"}})
    csr = Storage(("uncompressed", "compressed"), 8, 8)
    return replace(made, tensors={name: replace(each, storage=csr) for name, each in made.tensors.items()})


def asked(objective: str = "latency", **more: Any) -> Request:
    return Request(objective_named(objective), tiles="dividing", **more)


def fits(found: Any) -> bool:
    """Whether no visit brings a tile, or holds tiles, larger than their memory; as the JSON says."""
    works = found.to_json()["stored"].values()
    return not any(each["beyond"] for work in works for each in (*work["tiles"], *work["together"]))


def plain(ranks: str, tensors: str) -> Iterator[list[Any]]:
    """Nests of loops over single elements in any order, with every tensor in the buffer below any number of them, or not."""
    for many in range(len(ranks) + 1):
        for order in permutations(ranks, many):
            for depths in product(range(-1, many + 1), repeat=len(tensors)):
                nodes: list[Any] = [Keep("Main", tuple(Held(tensor) for tensor in tensors))]
                for depth in range(many + 1):
                    held = tuple(Held(tensor) for tensor, at in zip(tensors, depths, strict=True) if at == depth)
                    nodes += [Keep("Buffer", held)] if held else []
                    nodes += [For(order[depth], 1)] if depth < many else []
                yield [*nodes, Leaf("Z", "U")]


def spread(ranks: str, tensors: str, axis: int, size: int) -> Iterator[list[Any]]:
    """Of two levels with an axis between them, ranks of `size` elements no smaller than the axis; any loops, keeps and copies."""
    for outer in (order for many in range(len(ranks) + 1) for order in permutations(ranks, many)):
        for shared in product(range(-1, len(outer) + 1), repeat=len(tensors)):
            for copied in (None, *(rank for rank in ranks if rank not in outer)):
                if copied is None and max(shared, default=0) < len(outer) and outer:
                    continue  # loops between the buffer's keeps and the registers' belong to the registers
                left = [rank for rank in ranks if rank not in outer and (rank != copied or -(-size // axis) > 1)]
                for inner in (order for many in range(len(left) + 1) for order in permutations(left, many)):
                    for own in product(range(-1, len(inner) + 1), repeat=len(tensors)):
                        nodes: list[Any] = [Keep("Main", tuple(Held(tensor) for tensor in tensors))]
                        for memory, order, depths in (("Buffer", outer, shared), ("Registers", inner, own)):
                            if memory == "Registers" and copied is not None:
                                nodes.append(Spatial("x", copied, -(-size // axis)))
                            for depth in range(len(order) + 1):
                                held = tuple(Held(tensor) for tensor, at in zip(tensors, depths, strict=True) if at == depth)
                                nodes += [Keep(memory, held)] if held else []
                                nodes += [For(order[depth], 1)] if depth < len(order) else []
                        yield [*nodes, Leaf("Z", "U")]


def best_of(
    cascade: Cascade, target: Architecture, stored: dict[str, Any], objective: str, nests: Iterator[list[Any]]
) -> tuple[float, list[Mapping]]:
    """The least of an objective over nests that fit, and all that have it."""
    evaluator, value = Evaluator(cascade, target), objective_named(objective).value
    least, all_best = float("inf"), []
    for nodes in nests:
        try:
            found = evaluate_stored(evaluator, Mapping("plain", tuple(nodes)), stored)
        except AccelsimError:
            continue
        if not fits(found) or value(found.evaluation) > least:
            continue
        all_best = all_best if value(found.evaluation) == least else []
        least = value(found.evaluation)
        all_best.append(found.evaluation.mapping)
    return least, all_best


@pytest.mark.parametrize(
    ("seed", "objective", "bits", "by", "merge"),
    [(0, "latency", 96, "leading", 0), (1, "energy", 64, "skip_ahead", 2), (2, "traffic", 48, "", 0), (3, "edp", 80, "two_finger", 2)],
)
def test_listed_search_finds_the_best_of_all_nests_that_plain_loops_list(seed: int, objective: str, bits: int, by: str, merge: int) -> None:
    # sizes are primes, so that the only tiles that divide are single elements
    cascade, target = workload(3, 5, 3), machine(bits, by=by, merge=merge)
    stored = {"A": elements(seed, (3, 5), 0.4), "B": elements(seed + 9, (5, 3), 0.5)}
    least, _ = best_of(cascade, target, stored, objective, plain("mnk", "ABZ"))
    found = search.search_stored(cascade, target, stored, asked(objective))
    assert found.record["value"] == pytest.approx(least, rel=1e-9) and found.record["proved_optimal"]
    assert len({tuple(each) for each in plain("mnk", "ABZ")}) == sum(1 for _ in StoredSpace(cascade, target, True).every())
    again = evaluate_stored(Evaluator(cascade, target), found.mapping, stored)
    assert fits(again) and objective_named(objective).value(again.evaluation) == found.record["value"]


def test_nests_with_copies_are_those_that_plain_loops_list_each_once() -> None:
    made = built("vector", ["Z[m] = A[m,k] * B[k]"], {"m": 2, "k": 2})
    space = StoredSpace(made, machine(512, axis=2), True)
    listed = [space.mapping(design).nodes for design in space.every()]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {tuple(nodes) for nodes in spread("mk", "ABZ", 2, 2)}


def test_neighbours_and_starts_are_legal_nests_of_the_space_once_tidied() -> None:
    made = built("product", [PRODUCT], {"m": 2, "k": 3, "n": 2})
    space = StoredSpace(made, machine(512))
    every = {space.mapping(design) for design in space.every()}
    rng = random.Random(0)
    for start in space.starts():
        tidied = space.tidy(start)
        assert tidied is not None and space.mapping(tidied) in every
        for changed in rng.sample(list(space.around(tidied)), 5):
            if (other := space.tidy(changed)) is not None:
                assert space.mapping(other) in every and space.tidy(other) == other


def floored(seed: int) -> None:
    """No floor is above what is counted, of a random nest with operands stored in random ways."""
    rng = random.Random(seed)
    cascade, target, mapping, stored = problem(seed, limited=True)
    formats = tuple((name, tuple(rng.choice(KINDS) for _ in cascade.tensors[name].shape)) for name in stored)
    cascade = search.with_formats(cascade, formats)
    evaluator = Evaluator(cascade, target)
    try:
        found = evaluate_stored(evaluator, mapping, stored)
    except AccelsimError:
        return
    ((path, leaf),) = mapping.paths()
    given = nest_of(cascade, target, path, leaf, stored)  # with elements left out that are stored all the same
    need = floors.needs(given)
    kept = {name: each for name, each in stored.items() if not cascade.tensors[name].storage.all_elements}  # type: ignore[union-attr]
    nest = nest_of(cascade, target, path, leaf, kept)
    assert need.effectual <= found.works["Z"].effectual
    if len(kept) == len(stored) and (floors.MOST_PRODUCTS or len(stored) < 3):
        assert need.effectual == found.works["Z"].effectual
    for floor in (floors.floor_of(evaluator, nest, need), floors.floor_anywhere(evaluator, nest, need)):
        for objective in ("latency", "energy", "traffic", "edp", "energy + 0.5*latency"):
            asked_for = objective_named(objective)
            assert floor.of(asked_for) <= asked_for.value(found.evaluation) * (1 + 1e-12), (seed, objective)


def test_floors_are_never_above_what_is_counted() -> None:
    for seed in range(CASES):
        floored(seed)


def test_floors_are_never_above_what_is_counted_where_products_are_too_many_to_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "MOST_PRODUCTS", 0)
    for seed in range(CASES):
        floored(seed)


def test_floor_is_reached_where_all_that_is_needed_crosses_once() -> None:
    # A[0,0], A[1,1] meet B[0,1], B[1,1]: two products, four words of a byte in and two of four bytes out, of a memory of one byte a cycle
    cascade, target = workload(2, 2, 2), machine(10_000)
    stored = {"A": np.array([[0, 1], [0, 1]]), "B": np.array([[0, 1, 1], [1, 0, 1]])[:, [0, 2]]}
    space = StoredSpace(cascade, target)
    ((path, leaf),) = space.mapping(next(iter(space.every()))).paths()
    nest = nest_of(cascade, target, path, leaf, stored)
    assert floors.needs(nest) == floors.Needs(2, {"A": 2, "B": 2}, 2)
    assert floors.floor_anywhere(Evaluator(cascade, target), nest, floors.needs(nest)).of(objective_named("latency")) == 4 + 8


def needed(seed: int) -> None:
    """What takes part in a product, against a loop over all points."""
    cascade, target, mapping, stored = problem(seed)
    ((path, leaf),) = mapping.paths()
    try:
        nest = nest_of(cascade, target, path, leaf, stored)
    except AccelsimError:
        return
    sets = {name: set(map(tuple, each.T.tolist())) for name, each in stored.items()}
    used: dict[str, set[Any]] = {operand.tensor: set() for operand in nest.operands}
    made, points = set(), 0
    for at in product(*(range(size) for size in nest.extents.values())):
        point = dict(zip(nest.extents, at, strict=True))
        words = {operand.tensor: tuple(point[rank] for rank in operand.ranks) for operand in nest.operands}
        if all(words[name] in sets[name] for name in sets):
            points += 1
            made.add(tuple(point[rank] for rank in nest.result))
            for name, word in words.items():
                used[name].add(word)
    assert floors.needs(nest) == floors.Needs(points, {name: len(words) for name, words in used.items()}, len(made))


def test_what_is_needed_is_what_a_loop_over_all_points_needs() -> None:
    for seed in range(CASES):
        needed(seed)


def test_two_layers_of_other_densities_take_other_orders_of_loops_and_a_listing_by_hand_agrees() -> None:
    # a buffer that holds little: either operand is gone through once only if its rows, or columns, come first
    target, chosen = machine(LITTLE), {}
    for name, (few, many) in {"sparse A": ("A", "B"), "sparse B": ("B", "A")}.items():
        cascade = workload(5, 7, 5)
        shapes = {"A": (5, 7), "B": (7, 5)}
        stored = {few: elements(1, shapes[few], 0.1), many: elements(2, shapes[many], 0.9)}
        least, every = best_of(cascade, target, stored, "traffic", plain("mnk", "ABZ"))
        found = search.search_stored(cascade, target, stored, asked("traffic"))
        assert found.record["value"] == pytest.approx(least) and found.record["proved_optimal"]
        chosen[name] = {tuple(node.rank for node in mapping.nodes if isinstance(node, For)) for mapping in every}
        assert tuple(node.rank for node in found.mapping.nodes if isinstance(node, For)) in chosen[name]
    assert not chosen["sparse A"] & chosen["sparse B"]


LITTLE = 160


@pytest.mark.parametrize("seed", range(3))
def test_mapping_that_is_found_computes_the_product_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (
        sparse.random_array(shape, density=0.3, rng=rng, data_sampler=lambda size: rng.integers(1, 9, size).astype(float)).tocoo()
        for shape in ((6, 8), (8, 7))
    )
    stored = {"A": np.stack([left.row, left.col]).astype(np.int64), "B": np.stack([right.row, right.col]).astype(np.int64)}
    found = search.search_stored(workload(6, 8, 7), machine(300, axis=2, merge=2), stored, asked("latency", time_limit=4, seed=seed))
    values = {
        name: dict(zip(map(tuple, stored[name].T.tolist()), each.data.tolist(), strict=True)) for name, each in (("A", left), ("B", right))
    }
    sums = computed(workload(6, 8, 7), machine(300, axis=2, merge=2), found.mapping, values)
    whole = (left.tocsr() @ right.tocsr()).tocoo()
    assert sums == dict(zip(zip(whole.row.tolist(), whole.col.tolist(), strict=True), whole.data.tolist(), strict=True))
    assert len(sums) > 10
