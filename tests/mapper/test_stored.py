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
from accelsim.mapper import stored_nest as nests
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored_formats import every_format, with_formats
from accelsim.mapper.stored_space import StoredSpace
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.sparse import needs as requirements
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
    inside: Any = Unit(
        "U", {name: Operation(name, energy_pj=PRICE) for name in ("mac", "mul", "add")}, sparse=replace(sparsity, merge_radix=merge)
    )
    if axis:
        registers = Memory("Registers", 64, None, None, "shared", None, PRICE, PRICE, PRICE, sparse=sparsity, feeds=(inside,))
        inside = Array("array", (Axis("x", axis),), feeds=(registers,))
    half = Fraction(rate * 10**9)
    buffer = Memory("Buffer", words, half * 2, half * 2, "shared", None, PRICE, PRICE, PRICE, sparse=sparsity, feeds=(inside,))
    ten = Quantity(10.0, 10.0, 10.0)
    return Architecture(
        "small", Memory("Main", None, half, half, "shared", None, ten, ten, ten, sparse=sparsity, feeds=(buffer,)), Fraction(10**9)
    )


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "objective", "bits", "by", "merge"),
    [(0, "latency", 96, "leading", 0), (1, "energy", 64, "skip_ahead", 2), (2, "traffic", 48, "", 0), (3, "edp", 80, "two_finger", 2)][
        : share(4, 2, 1)
    ],
)
def test_listed_search_finds_the_best_of_all_nests_that_plain_loops_list(
    seed: int, objective: str, bits: int, by: str, merge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
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
    cascade = with_formats(cascade, formats)
    evaluator = Evaluator(cascade, target)
    try:
        found = evaluate_stored(evaluator, mapping, stored)
    except AccelsimError:
        return
    ((path, leaf),) = mapping.paths()
    given = nest_of(cascade, target, path, leaf, stored)  # with elements left out that are stored all the same
    need = requirements.needs(given)
    kept = {name: each for name, each in stored.items() if not cascade.tensors[name].storage.all_elements}  # type: ignore[union-attr]
    nest = nest_of(cascade, target, path, leaf, kept)
    assert need.effectual <= found.works["Z"].effectual
    if len(kept) == len(stored) and (requirements.MOST_PRODUCTS or len(stored) < 3):
        assert need.effectual == found.works["Z"].effectual
    for floor in (floors.floor_of(evaluator, nest, need), floors.floor_anywhere(evaluator, nest, need)):
        for objective in ("latency", "energy", "traffic", "edp", "energy + 0.5*latency"):
            asked_for = objective_named(objective)
            assert floor.of(asked_for) <= asked_for.value(found.evaluation) * (1 + 1e-12), (seed, objective)


def test_floors_are_never_above_what_is_counted() -> None:
    for seed in range(CASES):
        floored(seed)


def test_floors_are_never_above_what_is_counted_where_products_are_too_many_to_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "MOST_PRODUCTS", 0)
    for seed in range(CASES):
        floored(seed)


def test_floor_is_reached_where_all_that_is_needed_crosses_once() -> None:
    # A[0,0], A[1,1] meet B[0,1], B[1,1]: two products, four words of a byte in and two of four bytes out, of a memory of one byte a cycle
    cascade, target = workload(2, 2, 2), machine(10_000)
    stored = {"A": np.array([[0, 1], [0, 1]]), "B": np.array([[0, 1, 1], [1, 0, 1]])[:, [0, 2]]}
    space = StoredSpace(cascade, target)
    ((path, leaf),) = space.mapping(next(iter(space.every()))).paths()
    nest = nest_of(cascade, target, path, leaf, stored)
    assert requirements.needs(nest) == requirements.Needs(2, {"A": 2, "B": 2}, 2)
    assert floors.floor_anywhere(Evaluator(cascade, target), nest, requirements.needs(nest)).of(objective_named("latency")) == 4 + 8


def test_floors_know_that_values_of_a_result_may_be_stored_with_fewer_bits_than_their_type() -> None:
    # products of int8 are int32, of which each of the four is written as a nibble with two coordinates of a bit
    made, target = workload(2, 1, 2), machine(10_000)
    stored = {"A": np.array([[0, 1], [0, 0]]), "B": np.array([[0, 0], [0, 1]])}
    narrow = Storage(("compressed", "compressed"), 1, 8, value_bits=4)
    made = replace(made, tensors=made.tensors | {"Z": replace(made.tensors["Z"], storage=narrow)})
    space, evaluator = StoredSpace(made, target), Evaluator(made, target)
    mapping = space.mapping(space.bare("U"))
    ((path, leaf),) = mapping.paths()
    nest = nest_of(made, target, path, leaf, stored)
    found = evaluate_stored(evaluator, mapping, stored).evaluation
    assert found.traffic_bits("Main")[1] == 4 * (4 + 2)
    need, traffic = requirements.needs(nest), objective_named("traffic")
    assert floors.floor_of(evaluator, nest, need).of(traffic) == (8 * 8 + 4 * 4) / 8 <= traffic.value(found)  # operands once an operation
    assert floors.floor_anywhere(evaluator, nest, need).of(traffic) == (4 * 8 + 4 * 4) / 8


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
    assert requirements.needs(nest) == requirements.Needs(points, {name: len(words) for name, words in used.items()}, len(made))
    for number, operand in enumerate(nest.operands):
        if operand.coordinates is not None:
            assert requirements.taking_part(nest, number) == len(used[operand.tensor])


def test_what_is_needed_is_what_a_loop_over_all_points_needs() -> None:
    for seed in range(CASES):
        needed(seed)


@pytest.mark.slow
def test_two_layers_of_other_densities_take_other_orders_of_loops_and_a_listing_by_hand_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    # few products: sums seldom meet, and operands are gone through once with the summed rank outside; many: sums stay, it is inside
    target, chosen = machine(96), {}
    for share_ in (0.2, 0.9):
        cascade, stored = workload(5, 5, 5), {"A": elements(1, (5, 5), share_), "B": elements(2, (5, 5), share_)}
        least, every = best_of(cascade, target, stored, "latency", plain("mnk", "ABZ"))
        found = search.search_stored(cascade, target, stored, asked())
        assert found.record["value"] == least and found.record["proved_optimal"]
        orders = {tuple(node.rank for node in mapping.nodes if isinstance(node, For)) for mapping in every}
        assert tuple(node.rank for node in found.mapping.nodes if isinstance(node, For)) in orders
        chosen[share_] = {order[0] for order in orders}
    assert chosen == {0.2: {"k"}, 0.9: {"m", "n"}}


@pytest.mark.parametrize("seed", range(3))
def test_mapping_that_is_found_computes_the_product_of_scipy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 150)
    rng = np.random.default_rng(seed)
    left, right = (
        sparse.random_array(shape, density=0.3, rng=rng, data_sampler=lambda size: rng.integers(1, 9, size).astype(float)).tocoo()
        for shape in ((6, 8), (8, 7))
    )
    stored = {"A": np.stack([left.row, left.col]).astype(np.int64), "B": np.stack([right.row, right.col]).astype(np.int64)}
    found = search.search_stored(workload(6, 8, 7), machine(300, axis=2, merge=2), stored, asked("latency", seed=seed))
    values = {
        name: dict(zip(map(tuple, stored[name].T.tolist()), each.data.tolist(), strict=True)) for name, each in (("A", left), ("B", right))
    }
    sums = computed(workload(6, 8, 7), machine(300, axis=2, merge=2), found.mapping, values)
    whole = (left.tocsr() @ right.tocsr()).tocoo()
    assert sums == dict(zip(zip(whole.row.tolist(), whole.col.tolist(), strict=True), whole.data.tolist(), strict=True))
    assert len(sums) > 10


# From the command line.

LAYER = """
workload: layer
shape: {m: 6, k: 7, n: 5}
type: {default: int8, Z: {partial: int32, final: int32}}
density: {A: 0.3, B: 0.4}
format:
  A: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
  B: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
  Z: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
SMALL = """
machine: small
source: made up for this test
clock: 1 GHz
tree:
  memory: Main
  size: unlimited
  bandwidth: 1 B/cycle
  energy: 8 pJ/bit
  intersect: {by: leading, energy: 1 pJ}
  feeds:
    memory: Buffer
    size: SIZE
    bandwidth: 4 B/cycle
    energy: 1 pJ/bit
    intersect: {by: leading, energy: 1 pJ}
    feeds:
      unit: U
      executes: {mac: 1 pJ}
      intersect: {by: leading, energy: 1 pJ}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layer.yaml").write_text(LAYER)
    (tmp_path / "bare.yaml").write_text(LAYER[: LAYER.index("format:")] + LAYER[LAYER.index("einsums:") :])
    (tmp_path / "small.yaml").write_text(SMALL.replace("SIZE", "24 B"))
    (tmp_path / "none.yaml").write_text(
        SMALL.replace("SIZE", "1 B").replace("memory: Main\n  size: unlimited", "memory: Main\n  size: 8 B")
    )
    for name, shape in (("A", (6, 7)), ("B", (7, 5))):
        rows, columns = elements(len(name) + ord(name), shape, 0.3)
        lines = [f"{row + 1} {column + 1}" for row, column in zip(rows, columns, strict=True)]
        head = f"%%MatrixMarket matrix coordinate pattern general\n{shape[0]} {shape[1]} {len(lines)}\n"
        (tmp_path / f"{name}.mtx").write_text(head + "\n".join(lines) + "\n")
    monkeypatch.setattr(nests, "BUDGET", 150)
    monkeypatch.setattr(nests, "MOST_LISTED", 0)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    out = capsys.readouterr()
    return code, out.out + out.err


DATA = ("--data", "A=A.mtx", "--data", "B=B.mtx")


@pytest.mark.parametrize(("workload_file", "data"), [("layer.yaml", DATA), ("layer.yaml", ()), ("bare.yaml", DATA)])
@pytest.mark.parametrize("options", [(), ("--formats",), ("--objective", "energy", "--seed", "3"), ("--formats", "--objective", "traffic")])
def test_what_map_writes_is_evaluated_to_the_same_numbers(
    workload_file: str, options: tuple[str, ...], data: tuple[str, ...], files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(capsys, "map", workload_file, "--arch", "small.yaml", *data, *options, "-o", "best.yaml", "--json", "best.json")
    assert code == 0, text
    found = json.loads(Path("best.json").read_text())
    settings = [f"--set=format.{name}.ranks=[{', '.join(kinds)}]" for name, kinds in found["search"].get("formats", {}).items()]
    for setting in settings:  # as it is printed
        assert setting.removeprefix("--set=").replace("=[", "='[") + "'" in " ".join(text.split())
    seed = options[options.index("--seed") :] if "--seed" in options else ()
    given = ("--arch", "small.yaml", "--mapping", "best.yaml", *data, *seed, *settings)
    code, text = run(capsys, "evaluate", workload_file, *given, "--json", "again.json")
    assert code == 0, text
    again = json.loads(Path("again.json").read_text())
    assert found.pop("search")["value"] > 0 and again.pop("search") is None
    assert found == again


def test_formats_that_are_chosen_are_no_worse_than_any_others_of_the_same_nest(files: Path) -> None:
    cascade, target = workload(3, 5, 3), machine(96)
    stored = {"A": elements(1, (3, 5), 0.3), "B": elements(2, (5, 3), 0.8)}
    found = search.search_stored(cascade, target, stored, asked("traffic"), formats=True)
    values = {}
    for formats in every_format(cascade, (*stored, "Z")):
        counted = evaluate_stored(Evaluator(with_formats(cascade, formats), target), found.mapping, stored)
        if fits(counted):
            values[formats] = objective_named("traffic").value(counted.evaluation)
    assert len(values) > 40 and found.record["value"] == min(values.values()) == values[found.formats] < max(values.values())


def test_all_nests_and_formats_are_listed_where_they_are_few() -> None:
    made = built("dot", ["Z[] = A[k] * B[k]"], {"k": 5})
    target, stored = machine(64), {"A": np.array([[0, 2, 3]]), "B": np.array([[1, 2, 3, 4]])}
    found = search.search_stored(made, target, stored, asked("energy"), formats=True)
    values = []
    for formats in product(KINDS, repeat=2):
        way = with_formats(made, (("A", (formats[0],)), ("B", (formats[1],))))
        values.append(best_of(way, target, stored, "energy", plain("k", "ABZ"))[0])
    assert found.record["proved_optimal"] and found.record["value"] == pytest.approx(min(values)) and len(set(values)) > 1


@pytest.mark.slow
def test_large_matrices_are_searched_on_a_sample_and_counted_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 80)
    monkeypatch.setattr(nests, "SAMPLED", 500)
    monkeypatch.setattr(nests, "SAMPLE", 60)
    made, target = workload(60, 50, 40), machine(400)
    stored = {"A": elements(1, (60, 50), 0.1), "B": elements(2, (50, 40), 0.1)}
    request = Request(objective_named("latency"), seed=5)
    found, again = (search.search_stored(made, target, stored, request) for _ in range(2))
    assert found.mapping == again.mapping
    sample = found.record["sample"]
    assert sample["seed"] == 5 and sample["counted"] > 20 and all(end - begin < 40 for begin, end in sample["ranks"].values())
    counted = evaluate_stored(Evaluator(made, target), found.mapping, stored)
    assert fits(counted) and counted.evaluation.cycles == found.record["value"] >= found.record["lower_bound"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("layer.yaml", "--arch", "small.yaml", "--compare"), 2, "--compare is not known to the search over stored elements; leave"),
        (("layer.yaml", "--arch", "small.yaml", "--gap", "0.1"), 2, "--gap is not known"),
        (("bare.yaml", "--arch", "small.yaml", "--formats"), 2, "--formats: layer stores all elements; state a 'format', or give --data"),
        (("bare.yaml", "--arch", "small.yaml", "--data", "Q=A.mtx"), 2, "layer has no input 'Q'"),
        (("layer.yaml", "--arch", "small.yaml", "--counting", "drains=free"), 2, "counting conventions other than the defaults"),
        (("bert-base", "--arch", "simple", "--data", "A=A.mtx"), 2, "--data: bert-base is a model"),
        (("attention", "--arch", "small.yaml", "--data", "Q=A.mtx"), 2, "Q has 4 dimensions"),
        (("twice.yaml", "--arch", "small.yaml"), 2, "T is written by 2 Einsums, which the search over stored elements does not know"),
        (("sum.yaml", "--arch", "small.yaml"), 1, "no unit of small can execute Z"),
        (
            ("layer.yaml", "--arch", "none.yaml"),
            1,
            "no mapping of layer on small was found: Main holds less than the tiles that were tried",
        ),
    ],
)
def test_what_is_not_searched_is_refused_in_a_line(
    arguments: tuple[str, ...], code: int, message: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = "- T[m,k] = A[m,k] * 2 where m < 3\n  - T[m,k] = A[m,k] * 3 where m >= 3\n  - Z[m,n] = T[m,k]"
    (files / "twice.yaml").write_text(LAYER.replace("- Z[m,n] = A[m,k]", twice))
    (files / "sum.yaml").write_text(LAYER.replace("A[m,k] * B[k,n]", "exp(A[m,k] * B[k,n])"))
    found, text = run(capsys, "map", *arguments)
    assert found == code and message in text and len(text.strip().splitlines()) == 1, text
