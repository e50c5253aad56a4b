"""Nests over stored elements: the kernel against its twin, and with every element stored against the dense model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError, InputError
from accelsim.model.counts import count
from accelsim.model.evaluation import Evaluator
from accelsim.sparse import kernels, reference, results
from accelsim.sparse import nest as nest_module
from accelsim.sparse.fibers import Fibers, Level
from accelsim.sparse.nest import Nest, known, nest_of, walked
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products, merge
from accelsim.workload.storage import Storage
from tests.share import share
from tests.sparse.nests import problem

CASES = share(6000, 500, 60)
STEPS = ("visits", "two_finger", "skip_ahead", "leading", "matches")


def counted(seed: int, full: bool = False) -> tuple[Nest, kernels.Walked, Any]:
    """A nest, what the kernel counts, and the problem."""
    made = problem(seed, full)
    cascade, machine, mapping, stored = made
    ((path, leaf),) = mapping.paths()
    nest = nest_of(cascade, machine, path, leaf, stored)
    return nest, walked(nest).counts, made


def figures(found: Any) -> list[int]:
    """What copies count that count anything, whichever they are."""
    return sorted(each for each in (found.values() if isinstance(found, dict) else found.tolist()) if each)


def compared(seed: int) -> str:
    """The first count in which kernel and twin differ, or nothing."""
    nest, counts, (cascade, machine, mapping, stored) = counted(seed)
    sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
    twin = reference.count(cascade, machine, mapping, sets)["Z"]
    for row, name in enumerate(STEPS):
        mine, theirs = counts.steps[row].sum(axis=1).tolist(), list(twin[name])
        for level, turn in enumerate(nest.turns):
            if turn.meets == "leading" and name in ("two_finger", "skip_ahead"):  # steps of other units
                mine[level] = theirs[level] = 0
        if mine != theirs:
            return f"{name}: {mine} {theirs}"
    for name in ("points", "effectual", "issues", "merging"):
        if figures(getattr(counts, name)) != figures(twin[name]):
            return f"{name}: {figures(getattr(counts, name))} {figures(twin[name])}"
    for number, crossing in enumerate(nest.crossings):
        key = (crossing.tensor, crossing.parent, crossing.child)
        rows = {"entering": counts.entering[number], "grouped": counts.grouped[number]}
        if crossing.tensor == "Z":
            rows["known"] = known(nest, counts, number)
        for name, row in rows.items():
            if figures(row) != figures(twin[name][key]):
                return f"{name} {key}: {figures(row)} {figures(twin[name][key])}"
    return ""


def refused(seed: int) -> bool:
    """Whether three stored tensors meet in one loop, which is refused."""
    try:
        counted(seed)
    except InputError as error:
        assert "more than two tensors" in str(error)
        return True
    return False


def test_kernel_and_twin_count_the_same() -> None:
    differing = {}
    for seed in range(CASES):
        if not refused(seed) and (found := compared(seed)):
            differing[seed] = found
    assert not differing


@pytest.mark.parametrize("places", [0, 40])
def test_words_are_told_apart_alike_where_tiles_have_no_places(places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest_module, "MOST_PLACES", places)
    differing = {seed: found for seed in range(share(2000, 200, 30)) if not refused(seed) and (found := compared(seed))}
    assert not differing


def test_elements_of_results_are_those_that_the_twin_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(CASES):
        if refused(seed):
            continue
        nest, _, (cascade, machine, mapping, stored) = counted(seed)
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        assert results.made(nest).T.tolist() == sorted(map(list, reference.count(cascade, machine, mapping, sets)["Z"]["elements"])), seed
    monkeypatch.setattr(results, "MOST_ELEMENTS", 0)
    with pytest.raises(InputError, match=r"Z makes [0-9]+ products, and its result is stored as it is made"):
        results.made(next(nest for nest, counts, _ in map(counted, range(1, 60)) if counts.effectual.sum()))


def test_what_is_fetched_on_demand_is_what_the_twin_asks_for() -> None:
    """Never more words than whole tiles bring, and of a buffer that serves copies apart each tile once for all of them."""
    from dataclasses import replace

    from accelsim.hardware.architecture import Memory

    less = 0
    for seed in range(CASES):
        cascade, machine, mapping, stored = problem(seed)
        buffer = machine.root.feeds[0]
        assert isinstance(buffer, Memory)
        lazy = replace(buffer, sparse=replace(buffer.sparse, fetch="on_demand"))
        machine = replace(machine, root=replace(machine.root, feeds=(lazy,)))
        ((path, leaf),) = mapping.paths()
        try:
            nest = nest_of(cascade, machine, path, leaf, stored)
            counts = walked(nest).counts
        except InputError as error:
            assert "fetches" in str(error) or "more than two" in str(error)
            continue
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        twin = reference.count(cascade, machine, mapping, sets)["Z"]["asked"]
        inner = [number for number, outer in enumerate(nest.demanded) if outer >= 0]
        for number in inner:
            tensor = nest.crossings[number].tensor
            assert int(counts.asked_words[number].sum()) == twin.get((tensor, "Buffer"), 0), (seed, tensor)
            whole = int(counts.entering[nest.demanded[number]].sum())
            assert int(counts.asked_words[number].sum()) <= whole
            less += int(counts.asked_words[number].sum()) < whole
    assert less > CASES // 100


def rewritten(seed: int) -> Any:
    """A nest of which tiles of the result come and go whole, and its problem, or None where that is refused.

    Every other one has a mapping in which reduced loops lead to tiles again.
    """
    import random
    from dataclasses import replace

    from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial

    cascade, machine, mapping, stored = problem(seed)
    tensors = {**cascade.tensors, "Z": replace(cascade.tensors["Z"], storage=Storage(("compressed",) * 2, whole_tiles=True))}
    cascade, rng = replace(cascade, tensors=tensors), random.Random(seed)
    if seed % 2:
        left, loops = dict(cascade.extents), list[Any]()
        for number, rank in enumerate(("k", rng.choice("mk"), "m", rng.choice("mk"), rng.choice("mk"))):
            left[rank] = rng.randint(max(1, -(-left[rank] // 4)), -(-left[rank] // (1 + (number == 0))))
            loops.append(Spatial("x", rank, left[rank]) if number == 2 and rng.random() < 0.4 else For(rank, left[rank]))
        held = tuple(Held(tensor) for tensor in (*stored, "Z"))
        home = Keep("DRAM", (*(Held(read.tensor) for read in cascade.by_name["Z"].reads), Held("Z")))
        keep = Keep("Registers", held[rng.randrange(len(held)) :])
        mapping = Mapping("again", (home, *loops[:3], keep, *loops[3:], Leaf("Z", "U")))
    ((path, leaf),) = mapping.paths()
    try:
        return nest_of(cascade, machine, path, leaf, stored), (cascade, machine, mapping, stored)
    except InputError as error:
        assert "come and go whole" in str(error) or "more than two tensors" in str(error)
        return None


def test_tiles_that_come_and_go_whole_bring_what_the_twin_says_and_at_least_what_is_changed() -> None:
    """Every word is added once; and a word that is made again was there before."""
    told = 0
    for seed in range(CASES):
        try:
            made = rewritten(seed)
            if made is None:
                continue
            walked(made[0])
        except InputError:  # three operands in one loop
            continue
        nest, (cascade, machine, mapping, stored) = made
        counts = walked(nest).counts
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        twin = reference.count(cascade, machine, mapping, sets)["Z"]
        brought, added = (figures(row) for row in counts.whole)
        assert (brought, added) == (figures(twin["brought"]), figures(twin["added"])), seed
        grouped, new = int(counts.grouped[nest.whole].sum()), int(known(nest, counts, nest.whole).sum())
        assert sum(added) == new and sum(brought) >= grouped - new
        told += sum(brought) > grouped - new
    assert told > CASES // 100


def test_a_tile_that_comes_again_brings_the_words_that_it_has() -> None:
    """Two rows of Z over two of k: k 0 makes three words of each, k 1 meets row 0 alone and adds nothing."""
    from dataclasses import replace

    from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
    from accelsim.workload.build import cascade

    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 2, "k": 2, "n": 4})
    tensors = {**made.tensors, "Z": replace(made.tensors["Z"], storage=Storage(("compressed",) * 2, whole_tiles=True))}
    held = tuple(Held(tensor) for tensor in "ABZ")
    loops = Keep("DRAM", held), For("k", 1), For("m", 1), Keep("Registers", (Held("Z"),)), For("n", 1), Leaf("Z", "U")
    mapping = Mapping("by k", loops)
    ((path, leaf),) = mapping.paths()
    stored = {"A": np.array([[0, 1, 0], [0, 0, 1]]), "B": np.array([[0, 0, 0, 1], [0, 1, 2, 2]])}
    nest = nest_of(replace(made, tensors=tensors), _by_rows(2), path, leaf, stored)
    counts = walked(nest).counts
    assert [int(row.sum()) for row in counts.whole] == [3, 6]
    assert int(counts.fullest[nest.whole]) == 3


def test_with_every_element_stored_counts_are_those_of_the_dense_model() -> None:
    differing = []
    for seed in range(CASES):
        if refused(seed):
            continue
        nest, counts, (cascade, machine, mapping, _) = counted(seed, full=True)
        dense = count(Evaluator(cascade, machine).program, mapping)
        words: dict[tuple[str, str, str], list[int]] = {}
        for number, crossing in enumerate(nest.crossings):
            moved, entering = int(counts.grouped[number].sum()), int(counts.entering[number].sum())
            parent = words.setdefault(("Z", crossing.tensor, crossing.parent), [0, 0, 0, 0])
            child = words.setdefault(("Z", crossing.tensor, crossing.child), [0, 0, 0, 0])
            if crossing.tensor != "Z":
                parent[0], child[1] = parent[0] + moved, child[1] + entering
                continue
            returned = moved - int(known(nest, counts, number).sum())
            parent[0], parent[2] = parent[0] + returned, parent[2] + moved
            child[1], child[3] = child[1] + returned, child[3] + entering
        mine = {key: row for key, row in words.items() if key[2] and any(row)}
        if mine != {key: row for key, row in dense.words.items() if any(row)}:
            differing.append((seed, mine, dense.words))
        if int(counts.points.sum()) != dense.operations["Z"] or int(counts.issues[0]) != dense.issues["Z"]:
            differing.append((seed, counts.points.sum(), counts.issues[0]))
    assert not differing


def test_products_and_merging_are_those_of_the_matrices() -> None:
    """By rows: multiplications and merge cycles have closed forms that share nothing with the walk."""
    from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
    from accelsim.workload.build import cascade
    from tests.sparse.test_random import pair

    for seed in range(share(300, 40, 10)):
        a, b = (Pattern.of(each) for each in pair(seed))
        extents = {"m": a.rows, "k": a.width, "n": b.width}
        made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], extents)
        held = tuple(Held(tensor) for tensor in "ABZ")
        loops = Keep("DRAM", held), For("m", 1), Keep("Registers", (Held("Z"),)), For("k", 1), For("n", 1), Leaf("Z", "U")
        mapping = Mapping("by rows", loops)
        ((path, leaf),) = mapping.paths()
        machine = _by_rows(3)
        stored = {"A": np.stack([a.row_of, a.columns]), "B": np.stack([b.row_of, b.columns])}
        counts = walked(nest_of(made, machine, path, leaf, stored)).counts
        products = Products(a, b)
        assert int(counts.effectual.sum()) == products.multiplications
        if b.width > 1:  # a single column has no order to merge in
            assert int(counts.merging.sum()) == merge(products, 3).cycles


def _by_rows(radix: int) -> Any:
    from fractions import Fraction

    from accelsim.hardware.architecture import Architecture, Memory, Operation, Sparsity, Unit

    unit = Unit("U", {"mac": Operation("mac")}, sparse=Sparsity(intersect="leading", merge_radix=radix))
    registers = Memory("Registers", sparse=Sparsity(intersect="leading"), feeds=(unit,))
    return Architecture("by rows", Memory("DRAM", sparse=Sparsity(intersect="leading"), feeds=(registers,)), Fraction(10**9))


def test_fibers_hold_every_element_once_in_the_order_of_the_loops() -> None:
    elements = np.array([[0, 0, 3, 4], [1, 5, 2, 0]])
    tree = Fibers.of(elements, [Level(1, 3, 2), Level(0, 1, 5), Level(1, 1, 3)])
    assert tree.coordinates[0].tolist() == [0, 1]  # columns below 3, and the others
    assert tree.elements[0].tolist() == [3, 1]
    assert tree.coordinates[1].tolist() == [0, 3, 4, 0]
    assert tree.starts[1].tolist() == [0, 3, 4]
    assert tree.coordinates[2].tolist() == [1, 2, 0, 2]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["Z[m,n] = A[m,k] * B[k,n+1]"], "not a rank alone"),
        (["Z[m,n] = A[m,k] * B[k,n] where m <= n"], "has a condition"),
        (["Z[m,n] = A[m,m] * B[k,n]"], "indexed by a rank twice"),
        (["Z[m,n] = A[m,k] + B[k,n]"], "Z is not zero wherever A is"),
        (["Z[m,n] = A[m,k] * exp(B[k,n])"], "Z is not zero wherever B is"),
        (["Z[m,n] = B[k,n] / A[m,k]"], "Z is not zero wherever A is"),
        (["Z[m,n] = max[k](A[m,k] * B[k,n])"], "Z is not zero wherever A is"),
        (["Z[m,n] = A[m,k] * A[k,m] * B[k,n]"], "reads A in two ways"),
    ],
)
def test_what_is_not_counted_over_stored_elements_is_refused(statements: list[str], message: str) -> None:
    from accelsim.mapping.tree import Held, Keep, Leaf, Mapping
    from accelsim.workload.build import cascade

    made = cascade("refused", statements, {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("whole", (Keep("DRAM", tuple(Held(tensor) for tensor in "ABZ")), Leaf("Z", "U")))
    ((path, leaf),) = mapping.paths()
    with pytest.raises(AccelsimError, match=message):
        nest_of(made, _by_rows(2), path, leaf, {tensor: np.zeros((2, 0), np.int64) for tensor in "AB"})
