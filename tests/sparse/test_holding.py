"""Loops whose tiles hold at most so many stored elements: where they end, and what is counted of nests with them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accelsim.errors import AccelsimError, IllegalMapping, InputError
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.io.source import parse
from accelsim.io.template import template
from accelsim.mapping.text import nest as printed
from accelsim.mapping.text import parse_nest
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.model.stored import evaluate_stored
from accelsim.rtl.program import export
from accelsim.sim.simulation import simulate
from accelsim.sim.values import execute
from accelsim.sparse import cuts, reference
from accelsim.sparse.cuts import Level, cut_of
from accelsim.sparse.nest import Nest, Room, fibers_of, nest_of, walked
from accelsim.workload.build import cascade
from accelsim.workload.storage import NAMED, Storage
from tests.share import share
from tests.sparse.nests import by_elements, dealt, machine, problem
from tests.sparse.test_nest import _by_rows, difference, lazily, of_problem, twice

CASES = share(6000, 500, 60)
REFUSALS = ("more than two tensors", "which is stored too, has no", "fetches", "hands out tiles")


def uneven(seed: int) -> tuple[Nest, Any, Any] | None:
    """A nest with tiles that hold so many elements, what the kernel counts, and the problem; None where it is refused or has none."""
    made = by_elements(seed, dealt(seed) if seed % 4 == 0 else problem(seed))
    try:
        found = of_problem(made)
    except InputError as error:
        assert any(each in str(error) for each in REFUSALS), error
        return None
    return found if found[0].uneven else None


def test_kernel_and_twin_count_the_same() -> None:
    differing, several, apart = {}, 0, 0
    for seed in range(CASES):
        if (made := uneven(seed)) is None:
            continue
        if found := difference(*made):
            differing[seed] = found
        cuts_ = [turn.cut for turn in made[0].turns if turn.cut is not None and turn.trips > 1]
        several += len(cuts_) > 1
        apart += any(cut.keys.size > 1 for cut in cuts_)
    assert not differing
    assert several > CASES // 30 and apart > CASES // 30


def test_what_memories_hold_and_ask_for_is_the_same_in_kernel_and_twin() -> None:
    differing, asked = {}, 0
    for seed in range(CASES):
        rng = random.Random(seed)
        cascade_, machine_, mapping, stored = by_elements(seed, dealt(seed) if seed % 4 == 0 else problem(seed))
        machine_ = lazily(machine_) if seed % 2 else machine_
        mapping = replace(mapping, nodes=tuple(twice(node, rng) if isinstance(node, Keep) else node for node in mapping.nodes))
        ((path, leaf),) = mapping.paths()
        try:
            nest, words = nest_of(cascade_, machine_, path, leaf, stored), {name: rng.randint(1, 9) for name in cascade_.tensors}
            fibers = fibers_of(nest)
            tiles = {name: [words[name] * level for level in tree.elements] for name, tree in fibers.items()}
            whole = words | {name: words[name] * tree.count for name, tree in fibers.items()}
            rooms = {each.child: rng.choice([10, 30, 90]) for each in nest.crossings if each.child}
            counts = walked(nest, fibers=fibers, room=Room(tiles, whole, rooms)).counts
        except InputError as error:
            assert any(each in str(error) for each in REFUSALS), error
            continue
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        twin = reference.count(cascade_, machine_, mapping, sets, words=words, rooms=rooms)["Z"]
        if (found := dict(zip(rooms, counts.held.tolist(), strict=True))) != twin["held"]:
            differing[seed] = found, twin["held"]
        for number, outer in enumerate(nest.demanded):
            if outer >= 0:
                key = nest.crossings[number].tensor, nest.crossings[number].parent
                assert int(counts.asked_words[number].sum()) == twin["asked"].get(key, 0), seed
                asked += nest.uneven
    assert not differing
    assert asked > CASES // 100


def test_words_are_told_apart_alike_where_tiles_have_no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.sparse import nest as nest_module

    monkeypatch.setattr(nest_module, "MOST_PLACES", 40)
    assert not {seed: found for seed in range(share(2000, 200, 30)) if (made := uneven(seed)) and (found := difference(*made))}


def elements_of(rng: random.Random, shape: tuple[int, ...]) -> Any:
    """Random elements."""
    chances = np.random.default_rng(rng.randrange(1 << 30)).random(shape)
    return np.array(np.nonzero(chances < rng.choice([0, 0.1, 0.4, 1])), np.int64).reshape(len(shape), -1)


def test_tiles_follow_one_another_hold_no_more_and_end_only_where_one_more_coordinate_is_too_much() -> None:
    """In every tile that equal loops above leave, found by a walk over coordinates."""
    for seed in range(share(1000, 200, 50)):
        rng = random.Random(seed)
        shape = rng.randint(1, 9), rng.randint(1, 9)
        outer = [Level(dimension, tile, -(-shape[dimension] // tile)) for dimension in rng.choice([(), (0,), (1,), (1, 0), (0, 1)])
                 for tile in (rng.randint(1, shape[dimension]),)]  # fmt: skip
        stored, most, dimension = elements_of(rng, shape), rng.randint(1, 6), rng.randrange(2)
        made = cut_of("A", range(len(outer)), outer, shape, stored, dimension, most)
        assert made is not None
        cut, largest, trips = made
        sizes = {level.dimension: level.tile for level in outer}
        seen, all_sizes, many = 0, [], []
        rows, columns = (range(0, shape[each], sizes.get(each, shape[each])) for each in range(2))
        boxes = [(row, column) for row in rows for column in columns]
        for begin in boxes:
            end = [min(begin[each] + sizes.get(each, shape[each]), shape[each]) for each in range(2)]
            inside = [at for at in stored.T.tolist() if all(begin[each] <= at[each] < end[each] for each in range(2))]
            size = end[dimension] - begin[dimension]
            key = 0
            for level in outer:
                key = key * level.trips + begin[level.dimension] // level.tile
            place = np.flatnonzero(cut.keys == key)
            if not inside:
                all_sizes, many = [*all_sizes, size], [*many, 1]
                continue
            seen += 1
            starts = cut.starts[cut.first[place[0]] : cut.first[place[0] + 1]].tolist()
            assert starts[0] == 0
            counts = [sum(at[dimension] - begin[dimension] == coordinate for at in inside) for coordinate in range(size)]
            for start, stop in zip(starts, [*starts[1:], size], strict=True):
                assert stop > start
                assert sum(counts[start:stop]) <= most or stop == start + 1
                assert stop == size or sum(counts[start : stop + 1]) > most
                all_sizes.append(stop - start)
            many.append(len(starts))
        assert seen == cut.keys.size or not stored.size
        assert (largest, trips) == (max(all_sizes), max(many))


def test_a_row_that_holds_more_is_a_tile_alone_and_empty_rows_before_it_are_another() -> None:
    # rows of 0, 0, 3, 0, 1, 1, 2, 0 elements, two in a tile: rows 0-1, row 2, rows 3-5, rows 6-7
    rows = [2, 2, 2, 4, 5, 6, 6]
    made = cut_of("A", (), [], (8, 3), np.array([rows, [0, 1, 2, 0, 0, 0, 1]]), 0, 2)
    assert made is not None and made[0].starts.tolist() == [0, 2, 3, 6] and made[1:] == (3, 4)


def test_no_split_changes_operations_or_the_elements_of_the_result() -> None:
    """Against the same nest without the loops that count elements."""
    for seed in range(CASES):
        if (made := uneven(seed)) is None:
            continue
        _, counts, (cascade_, machine_, mapping, stored) = made
        nodes = tuple(node for node in mapping.nodes if not (isinstance(node, For) and node.of))
        _, plain, _ = of_problem((cascade_, machine_, replace(mapping, nodes=nodes), stored))
        assert int(counts.effectual.sum()) == int(plain.effectual.sum())
        sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
        mappings = mapping, replace(mapping, nodes=nodes)
        mine, theirs = (reference.count(cascade_, machine_, each, sets)["Z"]["elements"] for each in mappings)
        assert mine == theirs


@pytest.mark.parametrize("kinds", [NAMED["csr"], NAMED["dcsr"], NAMED["bitmask"], ("bitmask", "bitmask")])
def test_with_every_element_stored_a_number_that_divides_gives_what_equal_tiles_give(kinds: tuple[str, ...]) -> None:
    """Words, bits, times and energy of a mapping, with formats, in every place where a loop can stand."""
    several = 0
    for seed in range(share(1500, 150, 30)):
        rng = random.Random(seed)
        made = cascade("full", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 6, "k": 4, "n": 4})
        tensors = {name: replace(tensor, storage=Storage(kinds)) for name, tensor in made.tensors.items()}
        made = replace(made, tensors=tensors)
        stored = {name: np.array(np.nonzero(np.ones(tensor.shape)), np.int64) for name, tensor in tensors.items() if tensor.is_input}
        ranks = {"A": "mk", "B": "kn"}
        left, equal, counted = {"m": 6, "k": 4, "n": 4}, list[Any](), list[Any]()
        places = sorted(rng.sample(range(1, 5), 2))
        for number in range(5):
            rank = rng.choice("mkn")
            tile = rng.choice([each for each in range(1, left[rank] + 1) if left[rank] % each == 0])
            leader = rng.choice([name for name in ranks if rank in ranks[name]])
            beside = ranks[leader].replace(rank, "")
            sound = rank != "k" or left[beside] == made.extents[beside]  # else tiles along k end elsewhere for each of these
            equal.append(For(rank, tile))
            counted.append(For(rank, tile * left[beside], of=leader) if sound and rng.random() < 0.7 else For(rank, tile))
            left[rank] = tile
            if number + 1 in places:
                memory = "Buffer" if number + 1 == places[0] else "Registers"
                keep = Keep(memory, tuple(Held(tensor) for tensor in "ABZ" if rng.random() < 0.6))
                for nodes in (equal, counted):
                    nodes.extend([keep] if keep.held else [])
        home, leaf = Keep("DRAM", tuple(Held(tensor) for tensor in "ABZ")), Leaf("Z", "U")
        target = machine(rng, limited=True)
        evaluator = Evaluator(made, target)
        try:
            found = evaluate_stored(evaluator, Mapping("one", (home, *counted, leaf)), stored).to_json()
        except InputError as error:
            assert "cut twice" in str(error)
            continue
        wanted = evaluate_stored(evaluator, Mapping("one", (home, *equal, leaf)), stored).to_json()
        assert {**found, "nest": ""} == {**wanted, "nest": ""}, seed  # the loops are written in other words
        several += any(node.of for node in counted if isinstance(node, For))
    assert several > share(1500, 150, 30) // 3


@pytest.mark.parametrize("seed", range(5))
def test_products_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (
        sparse.random_array(shape, density=0.3, rng=rng, data_sampler=lambda size: rng.integers(1, 9, size).astype(float)).tocoo()
        for shape in ((8, 9), (9, 7))
    )
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 8, "k": 9, "n": 7})
    held = tuple(Held(tensor) for tensor in "ABZ")
    loops = Keep("DRAM", held), For("k", 4), For("m", 5, of="A"), Keep("Registers", (Held("Z"),)), For("n", 6, of="B"), Leaf("Z", "U")
    values = {
        name: dict(zip(zip(each.row.tolist(), each.col.tolist(), strict=True), each.data.tolist(), strict=True))
        for name, each in (("A", left), ("B", right))
    }
    sums = reference.computed(made, _by_rows(2), Mapping("by elements", loops), values)
    whole = (left.tocsr() @ right.tocsr()).tocoo()
    assert sums == dict(zip(zip(whole.row.tolist(), whole.col.tolist(), strict=True), whole.data.tolist(), strict=True))


HELD = tuple(Held(tensor) for tensor in "ABZ")
ROWS = np.array([[0, 1, 2, 2, 3, 3, 3, 3], [0, 0, 0, 1, 0, 1, 2, 3]])  # of 1, 1, 2 and 4 elements


def small(*loops: Any, kinds: tuple[str, ...] = ()) -> Any:
    """An evaluation of loops over a product of which A has rows of 1, 1, 2 and 4 elements and B one in every row."""
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    tensors = {name: replace(tensor, storage=Storage(kinds, value_bits=8)) if kinds else tensor for name, tensor in made.tensors.items()}
    stored = {"A": ROWS, "B": np.array([[0, 1, 2, 3], [0, 1, 2, 3]])}
    mapping = Mapping("small", (Keep("DRAM", HELD), *loops, Leaf("Z", "U")))
    target = _by_rows(2)
    limited = replace(target, root=replace(target.root, feeds=(replace(target.root.feeds[0], size_bits=1000),)))
    return evaluate_stored(Evaluator(replace(made, tensors=tensors), limited), mapping, stored)


@pytest.mark.parametrize(("most", "fullest", "tiles"), [(4, 142, 2), (3, 88, 3), (8, 216, 1)])
def test_tiles_that_come_are_those_that_hold_so_many(most: int, fullest: int, tiles: int) -> None:
    """Rows 0-2 hold four elements and row 3 as many; with three in a tile rows 0-1 hold two, row 2 two, and row 3 is more by itself.

    A row takes a coordinate of 2 bits and a pointer of 32, an element 8 and a coordinate of 2: 3 * 34 + 4 * 10, 2 * 34 + 2 * 10, and all.
    """
    found = small(For("m", most, of="A"), Keep("Registers", (Held("A"),)), kinds=("compressed", "compressed"))
    assert found.evaluation.counts.words["Z", "A", "Registers"][1] == 8
    (tile,) = found.works["Z"].tiles
    assert tile.bits == fullest
    ((path, leaf),) = found.evaluation.mapping.paths()
    evaluator = found.evaluation.evaluator
    nest = nest_of(evaluator.cascade, evaluator.architecture, path, leaf, {"A": ROWS})
    assert nest.turns[0].trips == tiles


@pytest.mark.parametrize(
    ("loops", "message"),
    [
        ((For("m", 4, of="C"),), "tiles of 'for m' hold 4 stored elements of C, and Z does not read it; name A, or write a size"),
        ((For("m", 4, of="B"),), "tiles of 'for m' hold 4 stored elements of B, and Z has it without that rank; name A, or write a size"),
        (
            (For("m", 1), For("k", 4, of="A")),
            "Z: tiles along k hold so many elements of A for each tile along m, and B, which is stored too, has no m; put 'for m' inside "
            "'for k', or write sizes",
        ),
        ((For("q", 4, of="A"),), "no rank 'q' in the cascade; known: k, m, n"),
    ],
)
def test_what_does_not_say_where_tiles_end_is_refused_in_a_line(loops: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AccelsimError) as caught:
        small(*loops)
    assert str(caught.value).removeprefix("product:1:1: ") == message


def test_too_many_tiles_outside_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "MOST_TILES", 3)
    with pytest.raises(InputError) as caught:
        small(For("k", 1), For("m", 4, of="A"))
    assert "in each of more than" in str(caught.value) and str(caught.value).endswith("tiles of the loops outside; move it out")


def test_tiles_of_a_result_that_come_whole_are_of_stated_sizes() -> None:
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    tensors = made.tensors | {"Z": replace(made.tensors["Z"], storage=Storage(("compressed",) * 2, whole_tiles=True))}
    stored = {"A": np.array([[0, 1], [0, 1]]), "B": np.array([[0, 1], [0, 1]])}
    loops = Keep("DRAM", HELD), For("k", 1), For("m", 4, of="A"), Keep("Registers", (Held("Z"),)), Leaf("Z", "U")
    with pytest.raises(InputError) as caught:
        evaluate_stored(Evaluator(replace(made, tensors=tensors), _by_rows(2)), Mapping("whole", loops), stored)
    message = "tiles of Z come and go whole, and a loop ends them after so many stored elements; write sizes in the mapping"
    assert str(caught.value) == f"product:1:1: {message}"


def test_where_all_elements_count_a_loop_by_elements_is_refused() -> None:
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("small", (Keep("DRAM", HELD), For("m", 4, of="A"), Leaf("Z", "U")))
    with pytest.raises(IllegalMapping) as caught:
        Evaluator(made, _by_rows(2)).evaluate(mapping)
    message = "tiles of 'for m' hold 4 stored elements of A, and here all elements count; write a size, as in 'for m: 16'"
    assert str(caught.value) == message


def test_expectations_and_constraints_know_no_loop_by_elements() -> None:
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("small", (Keep("DRAM", HELD), For("m", 4, of="A"), Leaf("Z", "U")))
    with pytest.raises(IllegalMapping) as caught:
        evaluate_expected(Evaluator(made, _by_rows(2)), mapping, {})
    message = "tiles of 'for m' hold 4 stored elements of A, and without elements nothing says where these end"
    assert str(caught.value) == f"{message}; write a size, as in 'for m: 16'"
    with pytest.raises(IllegalMapping) as caught:
        template(parse(dump_mapping(mapping), "rules.yaml"), made, _by_rows(2), raised=False)
    message = "rules.yaml:4:5: tiles of 'for m' hold 4 stored elements of A, and no rule says so"
    assert str(caught.value) == f"{message}; write a size, as in 'for m: 16'"


def test_what_processors_and_the_simulator_run_has_tiles_of_sizes() -> None:
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("small", (Keep("DRAM", HELD), For("m", 4, of="A"), Leaf("Z", "U")))
    mini = Evaluator(made, load_architecture(resolve("mini", MACHINE)))
    values = {"A": np.ones((4, 4), np.int64), "B": np.ones((4, 4), np.int64)}
    for run in (
        lambda: simulate(made, _by_rows(2), mapping), lambda: export(mini, mapping), lambda: execute(made, _by_rows(2), mapping, values)
    ):  # fmt: skip
        with pytest.raises(IllegalMapping, match="tiles of 'for m' hold 4 stored elements of A, and here all elements count"):
            run()


def test_such_a_loop_is_read_from_yaml_with_a_formula_and_written_and_printed_and_read_again() -> None:
    loops = ["keep DRAM: [A, B, Z]", "for m: {holding: many // 2, of: A}", "{einsum: Z, unit: U}"]
    mapping = parse_mapping("mapping: one\nlet: {many: 2 * M}\ntree:\n" + "".join(f"  - {loop}\n" for loop in loops), {"m": 8})
    assert mapping.nodes[1] == For("m", 8, of="A")
    assert parse_mapping(dump_mapping(mapping), {}) == mapping
    assert "for m holding 8 of A" in printed(mapping) and parse_nest(printed(mapping)) == mapping


def test_a_printed_nest_states_no_trips_where_elements_say_how_many() -> None:
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "k": 4, "n": 4})
    mapping = Mapping("small", (For("m", 4, of="A"), For("m", 1), For("k", 2), Leaf("Z", "U")))
    lines = printed(mapping, made).splitlines()
    assert lines[1:3] == ["for m holding 4 of A", "  for m by 1"] and lines[3].endswith("# 2 trips")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("for m: {holding: 8}", "'for m' needs 'of'; write 'for m: {holding: 16, of: A}'"),
        ("for m: {of: A}", "'for m' needs 'holding'; write 'for m: {holding: 16, of: A}'"),
        ("for m: {holding: 0, of: A}", "what tiles of 'for m' hold must be at least 1, not 0"),
        ("for m: {holding: 8, off: A}", "what tiles of 'for m' hold has no 'off'; did you mean 'of'?"),
        ("for m: {holding: 8, of: 2A}", "'2A' is not a tensor; write the name of one, as in 'of: A'"),
        ("spatial x m: {holding: 8, of: A}", "tiles of 'spatial x m' are of one size; write a size, as in 'spatial x m: 1'"),
    ],
)
def test_what_is_not_such_a_loop_is_refused_in_a_line(node: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_mapping(f"mapping: one\ntree:\n  - {node}\n  - {{einsum: Z, unit: U}}\n", {})
    assert str(caught.value).partition(": ")[2] == message
