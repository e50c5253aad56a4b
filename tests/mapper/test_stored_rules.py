"""Constraints over stored elements: the best of all nests that obey, told by another reading of the nest, and refusals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from accelsim.hardware.architecture import Architecture
from accelsim.mapper import stored as search
from accelsim.mapper import stored_nest as nests
from accelsim.mapper.best import Request
from accelsim.mapper.constraints import (
    AxisRule,
    Constraints,
    KeepRule,
    LoopRule,
    OrderRule,
    StationaryRule,
    TileRule,
    UnitRule,
)
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored_rules import Rules
from accelsim.mapper.stored_space import StoredSpace
from accelsim.mapping.tree import For, Keep, Leaf, Spatial, TreeNode
from accelsim.workload.build import cascade as built
from accelsim.workload.cascade import Cascade
from tests.mapper.test_stored import LAYER, PRODUCT, SMALL, best_of, elements, machine, plain, run, workload
from tests.share import share

INDEXED = {"A": "mk", "B": "kn", "Z": "mn"}


def tiles_held(nodes: Sequence[TreeNode], sizes: dict[str, int], memory: str) -> dict[str, dict[str, int]]:
    """By tensor that a memory keeps, the sizes of its tile along the ranks that index it."""
    found, left = {}, dict(sizes)
    for node in nodes:
        if isinstance(node, (For, Spatial)):
            left[node.rank] = min(left[node.rank], node.tile)
        elif isinstance(node, Keep) and node.memory == memory:
            found |= {tensor: {rank: left[rank] for rank in INDEXED[tensor]} for tensor in node.tensors}
    return found


def loops_of(nodes: Sequence[TreeNode], memory: str, outer: str) -> list[str]:
    """Ranks of loops in time of a memory's block: below the last keep of the one outside and above its own last keep."""
    last = max(at for at, node in enumerate(nodes) if isinstance(node, Keep) and node.memory == memory)
    first = max((at for at, node in enumerate(nodes[:last]) if isinstance(node, Keep) and node.memory == outer), default=-1)
    return [node.rank for node in nodes[first + 1 : last] if isinstance(node, For)]


def in_order(ranks: Sequence[str], wanted: str) -> bool:
    return [rank for rank in ranks if rank in wanted] == [rank for rank in wanted if rank in ranks]


def holds(nodes: Sequence[TreeNode], memory: str) -> set[str]:
    return {tensor for node in nodes if isinstance(node, Keep) and node.memory == memory for tensor in node.tensors}


def stays(nodes: Sequence[TreeNode], tensor: str) -> bool:
    """Whether the buffer holds a tensor, with loops that index it outside all others."""
    if tensor not in holds(nodes, "Buffer"):
        return False
    lacking = [rank not in INDEXED[tensor] for rank in loops_of(nodes, "Buffer", "Main")]
    return lacking == sorted(lacking)


Obeys = Callable[[Sequence[TreeNode]], bool]
RULES: list[tuple[Constraints, Obeys]] = [
    (Constraints(keeps=(KeepRule(memory="Buffer", tensors=("A", "Z")),)), lambda nodes: {"A", "Z"} <= holds(nodes, "Buffer")),
    (Constraints(keeps=(KeepRule(memory="Buffer", tensors=("B",), must=False),)), lambda nodes: "B" not in holds(nodes, "Buffer")),
    (
        Constraints(orders=(OrderRule(memory="Buffer", ranks=("k", "n", "m")),)),
        lambda nodes: not holds(nodes, "Buffer") or in_order(loops_of(nodes, "Buffer", "Main"), "knm"),
    ),
    (
        Constraints(loops=(LoopRule(memory="Buffer", ranks=("m", "n")),)),
        lambda nodes: not holds(nodes, "Buffer") or "k" not in loops_of(nodes, "Buffer", "Main"),
    ),
    (Constraints(stationary=(StationaryRule(memory="Buffer", tensor="B"),)), lambda nodes: stays(nodes, "B")),
    (
        Constraints(tiles=(TileRule(memory="Buffer", rank="k", least=1, most=1),), keeps=(KeepRule(memory="Buffer", tensors=("A",)),)),
        lambda nodes: (
            "A" in holds(nodes, "Buffer")
            and all(tile.get("k", 1) == 1 for tile in tiles_held(nodes, {"m": 3, "k": 5, "n": 3}, "Buffer").values())
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(RULES))[: share(6, 2, 1)])
def test_best_nest_that_obeys_is_the_best_of_all_that_plain_loops_list_and_that_obey(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    rules, obeys = RULES[number]
    cascade, target = workload(3, 5, 3), machine(200)
    stored = {"A": elements(1, (3, 5), 0.4), "B": elements(10, (5, 3), 0.5)}
    every = [nodes for nodes in plain("mnk", "ABZ") if obeys(nodes)]
    least, _ = best_of(cascade, target, stored, "energy", iter(every))
    request = Request(objective_named("energy"), tiles="dividing", constraints=rules)
    found = search.search_stored(cascade, target, stored, request)
    assert found.record["value"] == pytest.approx(least, rel=1e-9) and found.record["proved_optimal"]
    assert obeys(found.mapping.nodes)


@pytest.mark.parametrize("number", range(len(RULES)))
def test_nests_that_obey_are_those_that_plain_loops_list_and_that_obey(number: int) -> None:
    rules, obeys = RULES[number]
    space = StoredSpace(workload(3, 5, 3), machine(200), True)
    mine = {space.mapping(design).nodes for design in space.every() if Rules(rules, space).obeys(design)}
    theirs = {tuple(nodes) for nodes in plain("mnk", "ABZ") if obeys(nodes)}
    assert mine == theirs and 0 < len(mine) < 1223


def spread_machine() -> tuple[Cascade, Architecture]:
    return built("product", [PRODUCT], {"m": 4, "k": 6, "n": 4}), machine(512, axis=4)


AXES: list[tuple[Constraints, Callable[[Sequence[TreeNode]], bool]]] = [
    (
        Constraints(axes=(AxisRule(axis="x", ranks=("n",)),)),
        lambda nodes: all(node.rank == "n" for node in nodes if isinstance(node, Spatial)),
    ),
    (Constraints(units=(UnitRule(einsums=("Z",), units=("U",)),)), lambda nodes: isinstance(nodes[-1], Leaf) and nodes[-1].unit == "U"),
    (
        Constraints(
            tiles=(TileRule(memory="Buffer", rank="k", least=2, most=3),),
            keeps=(KeepRule(memory="Buffer", tensors=("B",)), KeepRule(memory="Registers", tensors=("A",), must=False)),
            orders=(OrderRule(memory="Buffer", ranks=("n", "k")),),
        ),
        lambda nodes: (
            "B" in holds(nodes, "Buffer")
            and "A" not in holds(nodes, "Registers")
            and all(2 <= tile.get("k", 2) <= 3 for tile in tiles_held(nodes, {"m": 4, "k": 6, "n": 4}, "Buffer").values())
            and in_order(loops_of(nodes, "Buffer", "Main"), "nk")
        ),
    ),
]


@pytest.mark.parametrize("rules", [*RULES, *AXES])
def test_designs_that_are_mended_obey_and_most_starts_can_be(rules: tuple[Constraints, Obeys]) -> None:
    made, target = spread_machine()
    space, rng = StoredSpace(made, target), random.Random(1)
    mine = Rules(rules[0], space)
    starts = [tidy for each in space.starts() if (tidy := space.tidy(each)) is not None]
    mended = [each for start in starts if (each := mine.mended(start)) is not None]
    assert len(mended) > len(starts) // 4
    for design in rng.sample(mended, 30):
        assert mine.obeys(design) and space.tidy(design) == design
        if rules in AXES:
            assert rules[1](space.mapping(design).nodes)
        for changed in rng.sample(list(space.around(design)), 5):
            if (tidy := space.tidy(changed)) is not None and (other := mine.mended(tidy)) is not None:
                assert mine.obeys(other)


@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        ("- apart: [Z, T]", 2, "'apart Z, T' (rules.yaml:2:12) is not known to the search over stored elements; leave it out: Einsums run"),
        ("- sequence: [T, Z]", 2, "'sequence T, Z' (rules.yaml:2:15) is not known to the search over stored elements; leave it out"),
        ("- schedule: {einsums: [Z], as: pipelined}", 2, "is not known to the search over stored elements; leave it out"),
        ("- bypass: {memory: Main, tensors: [A]}", 2, "over stored elements Main keeps every tensor; leave it out"),
        ("- tile: {memory: Buffer, rank: m, is: 6}\n- keep: {memory: Buffer, tensors: [A, B, Z]}\n- tile: {memory: Buffer, rank: k, is: 7}",
         1, "no mapping of T of chain on small was found that obeys all constraints"),
    ],
)  # fmt: skip
def test_constraints_that_are_not_known_are_refused_in_a_line(
    rules: str, code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nests, "BUDGET", 60)
    monkeypatch.setattr(nests, "MOST_LISTED", 0)
    chain = LAYER.replace("workload: layer", "workload: chain").replace("- Z[m,n] = A[m,k]", "- T[m,k] = A[m,k] * 2\n  - Z[m,n] = T[m,k]")
    Path("chain.yaml").write_text(chain)
    Path("small.yaml").write_text(SMALL.replace("SIZE", "16 B"))
    Path("rules.yaml").write_text("constraints:\n" + "\n".join(f"  {line}" for line in rules.splitlines()) + "\n")
    found, text = run(capsys, "map", "chain.yaml", "--arch", "small.yaml", "--constraints", "rules.yaml")
    assert found == code and message in text and len(text.strip().splitlines()) == 1, text


def test_mapping_with_holes_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("layer.yaml").write_text(LAYER)
    Path("small.yaml").write_text(SMALL.replace("SIZE", "24 B"))
    holes = "mapping: rows\ntree:\n  - keep Main: [A, B, Z]\n  - for m: ?\n  - keep Buffer: [A, ?]\n  - {einsum: Z, unit: ?}\n"
    Path("rules.yaml").write_text(holes)
    code, text = run(capsys, "map", "layer.yaml", "--arch", "small.yaml", "--constraints", "rules.yaml")
    assert code == 2 and "a mapping with holes is not known to the search over stored elements; write a list of rules" in text, text
    assert len(text.strip().splitlines()) == 1


def test_constraints_hold_for_the_einsums_that_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BUDGET", 60)
    monkeypatch.setattr(nests, "MOST_LISTED", 0)
    made = built("pair", ["T[m,n] = A[m,k] * B[k,n]", "Z[m,p] = T[m,n] * C[n,p]"], {"m": 3, "k": 4, "n": 3, "p": 2})
    stored: dict[str, Any] = {"A": elements(1, (3, 4), 0.4), "B": elements(2, (4, 3), 0.4)}
    keeps = KeepRule(("T",), memory="Buffer", tensors=("B",)), KeepRule(("Z",), memory="Buffer", tensors=("T",), must=False)
    rules = Constraints(keeps=keeps)
    found = search.search_stored(made, machine(400), stored, Request(objective_named("energy"), constraints=rules))
    nodes = {leaf.einsum: path for path, leaf in found.mapping.paths()}
    assert "B" in holds(nodes["T"], "Buffer") and "T" not in holds(nodes["Z"], "Buffer")
