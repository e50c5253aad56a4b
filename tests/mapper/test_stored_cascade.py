"""Several Einsums over stored elements: against all pairs of nests that plain loops list, and what is said of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.mapper import stored as search
from accelsim.mapper import stored_nest as nests
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored_formats import with_formats
from accelsim.mapper.stored_judge import problems
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.workload.build import cascade as built
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import Storage
from tests.mapper.test_stored import SMALL, fits, machine, run
from tests.share import share

WIDE = {"default": "int8", "Z": {"partial": "int32", "final": "int32"}, "T": {"partial": "int32", "final": "int16"}}


def pair(first: str, second: str, sizes: dict[str, int], stored: str) -> Cascade:
    """Two Einsums, with fibers of coordinates of three bits for some tensors."""
    made = built("pair", [first, second], sizes, types=WIDE)
    tensors = dict(made.tensors)
    for name in stored:
        tensors[name] = replace(tensors[name], storage=Storage(("compressed",) * len(tensors[name].shape), 3, 5))
    return replace(made, tensors=tensors)


def branches(einsum: str, ranks: str, tensors: str) -> Iterator[list[Any]]:
    """Nests of loops over single elements in any order, with every tensor in the buffer below any number of them, or not."""
    for many in range(len(ranks) + 1):
        for order in permutations(ranks, many):
            for depths in product(range(-1, many + 1), repeat=len(tensors)):
                nodes: list[Any] = []
                for depth in range(many + 1):
                    held = tuple(Held(tensor) for tensor, at in zip(tensors, depths, strict=True) if at == depth)
                    nodes += [Keep("Buffer", held)] if held else []
                    nodes += [For(order[depth], 1)] if depth < many else []
                yield [*nodes, Leaf(einsum, "U")]


def least_of(made: Cascade, target: Architecture, stored: dict[str, Any], objective: str, *listed: list[list[Any]]) -> float:
    """The least of an objective over all combinations of branches that fit, each counted as a whole."""
    evaluator, value, least = Evaluator(made, target), objective_named(objective).value, float("inf")
    everything = tuple(Held(name) for name in made.tensors)
    for chosen in product(*listed):
        mapping = Mapping("plain", (Keep("Main", everything), Fuse("sequential", tuple(map(tuple, chosen)))))
        try:
            found = evaluate_stored(evaluator, mapping, stored)
        except AccelsimError:
            continue
        if fits(found):
            least = min(least, value(found.evaluation))
    return least


def asked(objective: str) -> Request:
    return Request(objective_named(objective), tiles="dividing")


VECTORS = "T[m] = A[m] * B[m]", "Z[] = T[m] * C[m]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "rate"),
    [("latency", 3), ("energy", 8), ("traffic", 8), ("latency", 8), ("energy + 0.5*latency", 3)][: share(5, 3, 1)],
)
def test_einsums_one_after_the_other_are_the_best_of_all_pairs_of_nests(objective: str, rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    made, target = pair(*VECTORS, {"m": 5}, "ABTC"), machine(40, rate)  # a rate of 3 bits leaves parts of cycles
    stored = {"A": np.array([[0, 1, 3]]), "B": np.array([[1, 2, 3, 4]]), "C": np.array([[0, 3]])}
    listed = [list(branches("T", "m", "ABT")), list(branches("Z", "m", "TCZ"))]
    found = search.search_stored(made, target, stored, asked(objective))
    assert found.record["value"] == pytest.approx(least_of(made, target, stored, objective, *listed), rel=1e-9)
    assert found.record["proved_optimal"] and found.record["lower_bound"] == pytest.approx(found.record["value"], rel=2e-6)
    assert list(found.record["einsums"]) == ["T", "Z"]
    again = evaluate_stored(Evaluator(made, target), found.mapping, stored)
    assert fits(again) and objective_named(objective).value(again.evaluation) == found.record["value"]


@pytest.mark.slow
def test_product_of_energy_and_time_is_taken_of_what_was_counted_of_each_and_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 300)
    made, target = pair(*VECTORS, {"m": 5}, "ABTC"), machine(40)
    stored = {"A": np.array([[0, 1, 3]]), "B": np.array([[1, 2, 3, 4]]), "C": np.array([[0, 3]])}
    found = search.search_stored(made, target, stored, asked("edp"))
    least = least_of(made, target, stored, "edp", list(branches("T", "m", "ABT")), list(branches("Z", "m", "TCZ")))
    assert found.record["lower_bound"] <= least * (1 + 1e-12) and least <= found.record["value"] * (1 + 1e-12) <= 1.5 * least
    assert found.record["proved_optimal"] == (found.record["value"] <= found.record["lower_bound"] * 1.000001)
    assert "edp of several Einsums is no sum" in found.record["no_exact_search"]


def test_elements_of_an_intermediate_result_are_those_that_products_make() -> None:
    made = pair("T[m,n] = A[m,k] * B[k,n]", "Z[m] = T[m,n] * C[n]", {"m": 5, "k": 4, "n": 3}, "ABT")
    rng = np.random.default_rng(3)
    left, right = rng.random((5, 4)) < 0.4, rng.random((4, 3)) < 0.4
    stored = {"A": np.array(np.nonzero(left)), "B": np.array(np.nonzero(right))}
    _, last = problems(made, machine(100), stored, asked("latency"), True)
    assert list(last.stored) == ["T"]
    assert (last.stored["T"] == np.array(np.nonzero(left.astype(int) @ right.astype(int)))).all()


@pytest.mark.slow
def test_formats_of_an_intermediate_result_are_chosen_for_both_that_touch_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 400)
    made, target = pair("T[m] = A[m] * 2", "Z[] = T[m] * C[m]", {"m": 7}, "AT"), machine(64)
    for at in ([[0, 1, 3, 4, 5, 6]], [[2]])[: share(2, 2, 1)]:  # nearly all, of which a mask takes less than coordinates, and one
        stored = {"A": np.array(at)}
        found = search.search_stored(made, target, stored, asked("traffic"), formats=True)
        listed = [list(branches("T", "m", "AT")), list(branches("Z", "m", "TCZ"))]
        values = {}
        for one, other in product(("compressed", "bitmask"), repeat=2):
            way = with_formats(made, (("A", (one,)), ("T", (other,))))
            values[one, other] = least_of(way, target, stored, "traffic", *listed)
        chosen = dict(found.formats)
        assert found.record["value"] == min(values.values()) == values[chosen["A"][0], chosen["T"][0]]
        assert len(set(values.values())) > 1 and found.record["proved_optimal"]


def test_a_bound_of_several_einsums_is_not_above_the_best_where_the_search_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 20)
    monkeypatch.setattr(nests, "MOST_LISTED", 0)
    made, target = pair(*VECTORS, {"m": 5}, "ABTC"), machine(40, 3)
    stored = {"A": np.array([[0, 1, 3]]), "B": np.array([[1, 2, 3, 4]]), "C": np.array([[0, 3]])}
    listed = [list(branches("T", "m", "ABT")), list(branches("Z", "m", "TCZ"))]
    for objective in ("latency", "energy", "traffic")[: share(3, 1, 1)]:
        found = search.search_stored(made, target, stored, asked(objective))
        assert found.record["lower_bound"] <= least_of(made, target, stored, objective, *listed) * (1 + 1e-12)
        assert all("not listed" in each["no_exact_search"] or each["proved_optimal"] for each in found.record["einsums"].values())


def test_outermost_memory_that_does_not_hold_all_tensors_is_said_to_be_too_small() -> None:
    made, target = pair(*VECTORS, {"m": 5}, "ABTC"), machine(400)
    target = replace(target, root=replace(target.root, size_bits=130))  # T alone takes 115 bits, Z 92, all five tensors 169
    stored = {"A": np.array([[0, 1, 3]]), "B": np.array([[1, 2, 3, 4]]), "C": np.array([[0, 3]])}
    with pytest.raises(IllegalMapping, match="Main does not hold all tensors at once; enlarge it"):
        search.search_stored(made, target, stored, asked("latency"))


CHAIN = """
workload: chain
shape: {m: 6, k: 7, n: 5, p: 4}
type: {default: int8, Z: {partial: int32, final: int32}, T: {partial: int32, final: int16}}
density: {A: 0.3, B: 0.4}
format:
  A: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
  B: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
  T: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
  Z: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}
einsums:
  - T[m,n] = A[m,k] * B[k,n]
  - Z[m,p] = T[m,n] * C[n,p]
"""


@pytest.mark.parametrize("options", [(), ("--formats",), ("--objective", "edp", "--seed", "3")])
def test_what_map_writes_of_a_chain_is_evaluated_to_the_same_numbers(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nests, "BUDGET", 150)
    monkeypatch.setattr(nests, "MOST_LISTED", 0)
    Path("chain.yaml").write_text(CHAIN)
    Path("small.yaml").write_text(SMALL.replace("SIZE", "32 B"))
    code, text = run(capsys, "map", "chain.yaml", "--arch", "small.yaml", *options, "-o", "best.yaml", "--json", "best.json")
    assert code == 0, text
    assert "T alone" in text and "Z alone" in text
    found = json.loads(Path("best.json").read_text())
    settings = [f"--set=format.{name}.ranks=[{', '.join(kinds)}]" for name, kinds in found["search"].get("formats", {}).items()]
    assert ("--formats" in options) == (len(settings) == 4)
    seed = options[options.index("--seed") :] if "--seed" in options else ()
    given = ("--arch", "small.yaml", "--mapping", "best.yaml", *seed, *settings)
    assert main(["evaluate", "chain.yaml", *given, "--json", "again.json"]) == 0
    again = json.loads(Path("again.json").read_text())
    assert set(found.pop("search")["einsums"]) == {"T", "Z"} and again.pop("search") is None
    assert found == again
