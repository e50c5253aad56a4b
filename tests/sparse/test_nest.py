"""Nests over stored elements: the kernel against its twin, and with every element stored against the dense model."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError, InputError
from accelsim.hardware.architecture import Architecture, Array, Memory
from accelsim.mapping.tree import For, Keep, Mapping, Spatial
from accelsim.model.counts import count
from accelsim.model.evaluation import Evaluator
from accelsim.sparse import kernels, reference, results
from accelsim.sparse import nest as nest_module
from accelsim.sparse.fibers import Fibers, Level
from accelsim.sparse.nest import Nest, Room, fibers_of, known, nest_of, walked
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products, merge
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Name
from accelsim.workload.storage import Storage
from tests.share import share
from tests.sparse.nests import dealt, problem

CASES = share(6000, 300, 60)
STEPS = ("visits", "two_finger", "skip_ahead", "leading", "matches")


def counted(seed: int, full: bool = False) -> tuple[Nest, kernels.Walked, Any]:
    """A nest, what the kernel counts, and the problem."""
    return of_problem(problem(seed, full))


def of_problem(made: Any, ticks: tuple[int, int] = (1, 1)) -> tuple[Nest, kernels.Walked, Any]:
    """The same of a problem that is there."""
    cascade, machine, mapping, stored = made
    ((path, leaf),) = mapping.paths()
    nest = nest_of(cascade, machine, path, leaf, stored)
    return nest, walked(nest, ticks).counts, made


def figures(found: Any) -> list[int]:
    """What copies count that count anything, whichever they are."""
    return sorted(each for each in (found.values() if isinstance(found, dict) else found.tolist()) if each)


def compared(seed: int) -> str:
    """The first count in which kernel and twin differ, or nothing."""
    return difference(*counted(seed))


def difference(nest: Nest, counts: kernels.Walked, made: Any, ticks: tuple[int, int] = (1, 1)) -> str:
    """The same of a problem and its counts."""
    cascade, machine, mapping, stored = made
    sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
    twin = reference.count(cascade, machine, mapping, sets, ticks)["Z"]
    for row, name in enumerate(STEPS):
        mine, theirs = counts.steps[row].sum(axis=1).tolist(), list(twin[name])
        for level, turn in enumerate(nest.turns):
            if turn.meets == "leading" and name in ("two_finger", "skip_ahead"):  # steps of other units
                mine[level] = theirs[level] = 0
        if mine != theirs:
            return f"{name}: {mine} {theirs}"
    for name in ("points", "effectual", "issues", "merging", "draining"):
        if figures(getattr(counts, name)) != figures(twin[name]):
            return f"{name}: {figures(getattr(counts, name))} {figures(twin[name])}"
    for level, row in enumerate(counts.looked.tolist()):
        for operand, places in zip(nest.operands, row, strict=True):
            if places != twin["looked"].get((level, operand.tensor), 0):
                return f"looked up {level} {operand.tensor}: {places} {twin['looked']}"
    for number, crossing in enumerate(nest.crossings):
        key = (crossing.tensor, crossing.parent, crossing.child)
        rows = {"entering": counts.entering[number], "grouped": counts.grouped[number]}
        if crossing.tensor == "Z":
            rows["known"] = known(nest, counts, number)
        for name, row in rows.items():
            if figures(row) != figures(twin[name][key]):
                return f"{name} {key}: {figures(row)} {figures(twin[name][key])}"
    for row, name in ((kernels.BROUGHT, "brought"), (kernels.NEW, "added")):
        if figures(counts.whole[row]) != figures(twin[name]):
            return f"{name}: {figures(counts.whole[row])} {figures(twin[name])}"
    for number, outer in enumerate(nest.demanded):
        key = nest.crossings[number].tensor, nest.crossings[number].parent
        if outer >= 0 and int(counts.asked_words[number].sum()) != twin["asked"].get(key, 0):
            return f"asked {key}: {counts.asked_words[number]} {twin['asked']}"
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


def test_turns_that_are_dealt_out_go_to_the_same_copies_in_kernel_and_twin() -> None:
    """Everything that is counted by copy, words and steps among it, follows the copy that is free first."""
    differing = {}
    for seed in range(share(3000, 300, 60)):
        ticks = ((1, 1), (3, 2), (1, 5))[seed % 3]
        nest, counts, made = of_problem(dealt(seed), ticks)
        assert nest.dealt >= 0
        if found := difference(nest, counts, made, ticks):
            differing[seed] = found
    assert not differing


def test_turns_that_are_dealt_out_bring_whole_tiles_and_what_is_asked_for_to_the_same_copies() -> None:
    """The same of nests of which tiles of Z come and go whole, half of them again for the second half of k, and of a buffer on demand."""
    differing, brought, asked = {}, 0, 0
    for seed in range(share(3000, 300, 60)):
        cascade, machine, mapping, stored = dealt(seed)
        tensors = {**cascade.tensors, "Z": replace(cascade.tensors["Z"], storage=Storage(("compressed",) * 2, whole_tiles=seed % 2 == 0))}
        mapping = again_for_k(mapping, cascade.extents) if seed % 4 == 0 else mapping
        made = replace(cascade, tensors=tensors), lazily(machine), mapping, stored
        try:
            nest, counts, made = of_problem(made)
        except InputError as error:
            assert "fetches" in str(error) or "and no memory inside its home keeps one" in str(error)
            continue
        assert nest.dealt >= 0
        brought, asked = brought + int(counts.whole[kernels.BROUGHT].sum() > 0), asked + int(counts.asked_words.sum() > 0)
        if found := difference(nest, counts, made):
            differing[seed] = found
    assert not differing
    assert brought > 3 and asked > 3


def again_for_k(mapping: Mapping, extents: dict[str, int]) -> Mapping:
    """A mapping of `dealt` that keeps Z in no buffer, and leads to tiles of it once for each half of k."""
    nodes: list[Any] = []
    for node in mapping.nodes:
        if isinstance(node, Keep) and node.memory == "Buffer":
            node = replace(node, held=tuple(held for held in node.held if held.tensor != "Z"))
        nodes += [node] if not isinstance(node, Keep) or node.held else []
        if isinstance(node, Spatial):
            nodes += [For("k", -(-extents["k"] // 2)), For("n" if node.rank == "m" else "m", 1)]
    return replace(mapping, nodes=tuple(nodes))


def lazily(machine: Architecture) -> Architecture:
    """A machine of which the buffer fetches on demand."""
    buffer = machine.root.feeds[0]
    assert isinstance(buffer, Memory)
    lazy = replace(buffer, sparse=replace(buffer.sparse, fetch="on_demand"))
    return replace(machine, root=replace(machine.root, feeds=(lazy,)))


def test_dealing_out_turns_moves_words_and_changes_no_sum_of_operations() -> None:
    """Against the same nest with a static assignment: sums of operations and steps stay, and in some nests the words of copies do not."""
    moved = False
    for seed in range(60):
        cascade, machine, mapping, stored = dealt(seed)
        static = replace(machine, root=statically(machine.root))
        (_, one, _), (_, other, _) = of_problem((cascade, machine, mapping, stored)), of_problem((cascade, static, mapping, stored))
        for name in ("points", "effectual", "issues", "merging"):
            assert int(getattr(one, name).sum()) == int(getattr(other, name).sum()), name
        assert (one.steps.sum(axis=2) == other.steps.sum(axis=2)).all()
        moved = moved or figures(one.entering[0]) != figures(other.entering[0])
    assert moved


def test_what_memories_hold_at_once_is_the_same_in_kernel_and_twin() -> None:
    """Tiles of several tensors, the last two of some, of which every word takes something else; of some nests they come and go whole."""
    differing, beyond, most, whole_tiles = {}, 0, 0, 0
    for seed in range(share(3000, 300, 60)):
        rng = random.Random(seed)
        again = rewritten(seed) if seed % 3 == 1 else None
        cascade, machine, mapping, stored = again[1] if again else dealt(seed) if seed % 3 == 0 else problem(seed)
        nodes = [twice(node, rng) if isinstance(node, Keep) else node for node in mapping.nodes]
        mapping = replace(mapping, nodes=tuple(nodes))
        ((path, leaf),) = mapping.paths()
        try:
            nest, words = nest_of(cascade, machine, path, leaf, stored), {name: rng.randint(1, 9) for name in cascade.tensors}
            fibers = fibers_of(nest)
            tiles = {name: [words[name] * level for level in tree.elements] for name, tree in fibers.items()}
            whole = words | {name: words[name] * tree.count for name, tree in fibers.items()}
            rooms = {each.child: rng.choice([10, 30, 90]) for each in nest.crossings if each.child}
            counts = walked(nest, fibers=fibers, room=Room(tiles, whole, rooms)).counts
        except InputError:
            continue
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        twin = reference.count(cascade, machine, mapping, sets, words=words, rooms=rooms)["Z"]["held"]
        found = dict(zip(rooms, counts.held.tolist(), strict=True))
        if found != twin:
            differing[seed] = found, twin
        whole_tiles += nest.whole >= 0
        beyond += sum(row[2] > 0 for row in found.values())
        most += sum(row[2] < row[1] for row in found.values())
    assert not differing
    assert beyond > 10 and most > 10 and whole_tiles > 3


def twice(keep: Keep, rng: random.Random) -> Keep:
    """A keep that holds the last two tiles of some tensors."""
    return replace(keep, held=tuple(replace(held, copies=rng.choice([1, 2])) for held in keep.held))


def statically(node: Any) -> Any:
    """A machine in which copies have turns of their own."""
    if isinstance(node, Array):
        return replace(node, axes=tuple(replace(axis, assign="static") for axis in node.axes))
    return replace(node, feeds=tuple(statically(each) for each in node.feeds))


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
    less = 0
    for seed in range(CASES):
        cascade, machine, mapping, stored = problem(seed)
        machine = lazily(machine)
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
    from accelsim.mapping.tree import Held, Leaf

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


def _rank(index: Any) -> str:
    """The rank variable that an index is."""
    assert isinstance(index, Name)
    return index.name


def least_brought(mapping: Mapping, cascade: Cascade, stored: dict[str, Any]) -> tuple[int, int]:
    """What tiles of Z that come whole bring at least, and words of Z, from nothing but products in the order of the loops.

    A copy of what keeps Z has one tile; one of another product comes with the words that earlier ones made.
    """
    einsum = cascade.by_name["Z"]
    sets = {name: set(map(tuple, elements.T.tolist())) for name, elements in stored.items()}
    nodes = [node for node in next(iter(mapping.paths()))[0] if isinstance(node, For | Spatial | Keep)]
    depth = next(at for at, node in enumerate(nodes) if isinstance(node, Keep) and node.memory != "DRAM" and "Z" in node.tensors)
    tiles: dict[Any, set[Any]] = {}
    last: dict[Any, Any] = {}
    brought, ordered = 0, []
    for point in product(*(range(cascade.extents[rank]) for rank in einsum.ranks)):
        at = dict(zip(einsum.ranks, point, strict=True))
        if all(tuple(at[_rank(index)] for index in read.indices) in sets[read.tensor] for read in einsum.reads if read.tensor in sets):
            turns, inside = [], dict(at)
            for node in nodes:
                if not isinstance(node, Keep):
                    turns.append(inside[node.rank] // node.tile)
                    inside[node.rank] %= node.tile
            ordered.append((turns, tuple(at[_rank(index)] for index in einsum.output.indices)))
    loops = [node for node in nodes if not isinstance(node, Keep)]
    above = sum(not isinstance(node, Keep) for node in nodes[:depth])
    for turns, word in sorted(ordered, key=lambda each: each[0]):
        copy = tuple(turn for turn, node in zip(turns[:above], loops, strict=False) if isinstance(node, Spatial))
        tile = tuple(turn for turn, node in zip(turns[:above], loops, strict=False) if node.rank in "mn")
        words = tiles.setdefault(tile, set())
        brought += len(words) if last.get(copy) != tile else 0
        last[copy] = tile
        words.add(word)
    return brought, sum(map(len, tiles.values()))


def test_tiles_that_come_and_go_whole_bring_what_the_twin_says_and_at_least_what_products_need() -> None:
    """Every word is added once; and a tile comes with what is made of it when another had its place."""
    told = same = 0
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
        least, words = least_brought(mapping, cascade, stored)
        assert sum(added) == words == int(known(nest, counts, nest.whole).sum()) and sum(brought) >= least, seed
        told += least > 0
        same += sum(brought) == least > 0
    assert told > CASES // 100 and same > told // 2  # more only where fibers meet that have no product


def test_a_tile_that_comes_again_brings_the_words_that_it_has() -> None:
    """Two rows of Z over two of k: k 0 makes three words of each, k 1 meets row 0 alone and adds nothing."""
    from accelsim.mapping.tree import Held, Leaf
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
    from accelsim.mapping.tree import Held, Leaf
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
    tree = Fibers.of(elements, [Level(1, 3, 2), Level(0, 1, 5), Level(1, 1, 3)], (5, 6))
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
        (["Z[m,n] = take(A[m,k], exp(B[k,n]))"], "Z is not zero wherever B is"),
        (["Z[m,n] = max[k](A[m,k] * B[k,n])"], "Z is not zero wherever A is"),
        (["Z[m,n] = A[m,k] * A[k,m] * B[k,n]"], "reads A in two ways"),
    ],
)
def test_what_is_not_counted_over_stored_elements_is_refused(statements: list[str], message: str) -> None:
    from accelsim.mapping.tree import Held, Leaf
    from accelsim.workload.build import cascade

    made = cascade("refused", statements, {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("whole", (Keep("DRAM", tuple(Held(tensor) for tensor in "ABZ")), Leaf("Z", "U")))
    ((path, leaf),) = mapping.paths()
    with pytest.raises(AccelsimError, match=message):
        nest_of(made, _by_rows(2), path, leaf, {tensor: np.zeros((2, 0), np.int64) for tensor in "AB"})
